//! `docs/lessons.md` names tests and pages: they must be there.

use crate::gate_table::texts;
use std::collections::BTreeSet;
use std::path::Path;

/// The functions of a file that are tests, with any attribute whose path ends in `test`.
pub fn test_names(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        }
        if !marked || line.starts_with('#') || line.starts_with("//") {
            return None;
        }
        marked = false;
        function(line)
    })
}

/// The name in `fn name(`.
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ")?;
    rest.split_once('(').map(|(name, _)| name)
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "fn a() {}\n#[test]\nfn b() {}\nfn c() {}\n    #[tokio::test(flavor = \"x\")]\n    // why\n    async fn d() {}\n";
    assert_eq!(test_names(text).collect::<Vec<_>>(), ["b", "d"]);
}

/// What stands between two marks, again and again.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close)).map(|(inside, _)| inside)
}

#[test]
fn what_the_lessons_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    texts(&root.join("src"), &mut files);
    texts(&root.join("tests"), &mut files);
    let tests: BTreeSet<&str> = files.iter().flat_map(|(_, text)| test_names(text)).collect();
    let page = std::fs::read_to_string(root.join("docs/lessons.md")).expect("the page");
    let named: Vec<&str> = between(&page, "`fn ", '`').collect();
    assert!(named.len() > 50, "only {} tests are named", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !tests.contains(name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    for link in between(&page, "](", ')') {
        let (path, place) = link.split_once('#').unwrap_or((link, ""));
        let target = std::fs::read_to_string(root.join("docs").join(path)).unwrap_or_else(|e| panic!("`{link}`: {e}"));
        let anchors: BTreeSet<String> = target.lines().filter_map(|l| l.strip_prefix("## ")).map(anchor).collect();
        assert!(place.is_empty() || anchors.contains(place), "`{link}`: {anchors:?}");
    }
    // Each row has something to show: a test, a page, or both.
    for row in page.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| what happened") && !l.starts_with("| rule")) {
        assert!(row.contains("`fn ") || row.contains("]("), "nothing shows it: {row}");
    }
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let words = heading.to_lowercase().replace(' ', "-");
    words.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}
