use super::*;
use crate::diagnostic::{Look, Source, codes, render};
use proptest::prelude::*;

fn tree(text: &str) -> Tree {
    let (tree, found) = read(&Source::new("t.yaml", text), Limits::FILE);
    assert!(found.is_empty(), "{found:?}");
    tree.expect("a tree")
}

/// Codes with the text that each points at.
fn told(text: &str) -> Vec<(&'static str, String)> {
    let source = Source::new("t.yaml", text);
    let (_, found) = read(&source, Limits::FILE);
    render(&found, &[&source], Look::Plain);
    found.0.iter().map(|d| (d.code, d.span.as_ref().map_or(String::new(), |s| text[s.start..s.end].to_owned()))).collect()
}

#[test]
fn every_key_and_value_knows_its_place() {
    let text = "a: no\nlist: [1, \"two\", {k: v}]\nblock: |\n  line\n\nlast: x # why\n";
    let tree = tree(text);
    let at = |t: &Tree| text[t.at.clone()].to_owned();
    assert_eq!(at(tree.get("a").expect("a")), "no");
    let Value::List(items) = &tree.get("list").expect("list").value else { panic!("a list") };
    assert_eq!(items.iter().map(at).collect::<Vec<_>>(), ["1", "\"two\"", "{k: v}"]);
    assert_eq!(items[1].text(), Some("two"));
    assert_eq!(tree.get("block").and_then(Tree::text), Some("line\n"));
    assert_eq!(at(tree.get("last").expect("last")), "x");
    let Value::Map(entries) = &tree.value else { panic!("a map") };
    assert_eq!(entries.iter().map(|e| &text[e.key_at.clone()]).collect::<Vec<_>>(), ["a", "list", "block", "last"]);
}

#[test]
fn json_is_read_by_the_same_code() {
    let tree = tree(r#"{"a": [1, true, null, "no"], "b": {"c": 0.5}}"#);
    assert_eq!(tree.json(), serde_json::json!({"a": [1, true, null, "no"], "b": {"c": 0.5}}));
}

#[test]
fn aliases_repeat_a_value_within_reason() {
    assert_eq!(tree("a: &x [1, 2]\nb: *x\n").json(), serde_json::json!({"a": [1, 2], "b": [1, 2]}));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let alias = format!("*a{}", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", ")));
    }
    assert_eq!(told(&bomb).first().map(|t| t.0), Some(codes::ALIAS));
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1000));
    assert_eq!(told(&long), [(codes::ALIAS, "*a".to_owned())]);
}

#[test]
fn everything_that_two_readers_could_see_differently_is_refused_at_its_place() {
    let one = |code, at: &str| vec![(code, at.to_owned())];
    assert_eq!(told(""), one(codes::EMPTY_FILE, ""));
    assert_eq!(told("# nothing\n---\n"), one(codes::EMPTY_FILE, ""));
    assert_eq!(told("a: 1\nb: 2\na: 3\n"), one(codes::DUPLICATE_KEY, "a"));
    assert_eq!(told("a: 1\n---\nb: 2\n"), one(codes::SEVERAL_DOCUMENTS, "---"));
    assert_eq!(told("a: !!str 5\nb: !vault x\n"), [(codes::TAG, "!!str".to_owned()), (codes::TAG, "!vault".to_owned())]);
    assert_eq!(told("a: &a {b: 1}\nc: {<<: *a}\n"), one(codes::MERGE_KEY, "<<"));
    assert_eq!(told("[1, 2]: x\n~: y\n"), [(codes::BAD_KEY, "[1, 2]".to_owned()), (codes::BAD_KEY, "~".to_owned())]);
    assert_eq!(told("a: &a [*a]\n"), one(codes::ALIAS, "*a"));
    assert_eq!(told("a: *b\n"), one(codes::ALIAS, "*b"));
    assert_eq!(told("a: 1\n\tb: 2\n"), one(codes::TAB, "\t"));
    assert_eq!(told("a: [1, 2\n"), one(codes::SYNTAX, "["));
    assert_eq!(told("a: \u{0}\n"), one(codes::ENCODING, "\u{0}"));
    assert_eq!(told("\u{feff}a: 1\n").first().map(|t| t.0), Some(codes::ENCODING));
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let code = |bytes: &[u8]| read(&Source::new("b.yaml", bytes), Limits::FILE).1.0.first().map(|d| d.code);
    assert_eq!(code(b"a: \xff"), Some(codes::ENCODING));
    assert_eq!(code(b"\xff\xfea\0:\0"), Some(codes::ENCODING));
    assert_eq!(code(b"a\0:\0 \x001\0"), Some(codes::ENCODING));
    assert_eq!(code(&vec![b'a'; Limits::FILE.bytes + 1]), Some(codes::TOO_LARGE));
}

#[test]
fn a_template_without_quotes_has_a_code_of_its_own() {
    let one = |at: &str| vec![(codes::UNQUOTED_TEMPLATE, at.to_owned())];
    assert_eq!(told("a: {{ source.name }}\n"), one("{{ source.name }}"));
    assert_eq!(told("a: [x, {{ source.name }}]\n"), one("{{ source.name }}"));
    assert_eq!(told("a: {{ source.name }}/x\n"), one("{{ source.name }}"));
    assert_eq!(told("a: \"{{ source.name }}\"\nb: http://{{ x }}/\n"), []);
    assert_eq!(told("a: {{ x }}/1\nb:\n  - {{ y }}.z\n").len(), 2, "all at once");
}

#[test]
fn nesting_has_a_bound() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let nested = |n: usize| format!("a: {}x{}", open.repeat(n), close.repeat(n));
        assert_eq!(told(&nested(63)), []);
        assert_eq!(told(&nested(64)).first().map(|t| t.0), Some(codes::TOO_DEEP));
        assert_eq!(told(&nested(100_000)).first().map(|t| t.0), Some(codes::TOO_DEEP));
    }
}

/// Quadratic time in the parser would be found here: ten times the text would take a hundred times as long. Processor time
/// of this thread, which does not depend on what else the machine does.
#[test]
fn ten_times_the_text_takes_about_ten_times_as_long() {
    let processor = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    let took = |count: u32| {
        let text: String = (0..count).map(|n| format!("- {{name: node-{n}, labels: {{tier: {n}}}}}\n")).collect();
        let began = processor();
        let (tree, found) = read(&Source::new("l.yaml", text), Limits::FILE);
        assert!(tree.is_some(), "{found:?}");
        processor() - began
    };
    let (small, large) = (took(3_000), took(30_000));
    assert!(large < 40.0 * small, "{small:.3} s, then {large:.3} s");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = Source::new("r.yaml", bytes);
        let (tree, found) = read(&source, Limits::FILE);
        prop_assert!(tree.is_some() || found.has_errors());
        render(&found, &[&source], Look::Plain);
    }

    #[test]
    fn random_yaml_never_panics(text in "[a-c0&*!<>|:{}\\[\\], \"'#\t\n~?%ä-]{0,60}") {
        let source = Source::new("r.yaml", text.clone());
        let (tree, found) = read(&source, Limits::FILE);
        prop_assert!(tree.is_some() || found.has_errors());
        for d in &found.0 {
            let span = d.span.as_ref().expect("a place");
            prop_assert!(text.get(span.start..span.end.min(text.len())).is_some(), "{d:?} is between characters of {text:?}");
        }
        render(&found, &[&source], Look::Coloured);
    }
}
