//! What "identical" means, rule by rule, and how it is explained.

use crate::fleets::Vars;
use crate::fleets::*;
use coldswap::model::*;
use coldswap::plan::explain::{Standing, explain, explain_rules};
use coldswap::runbook::*;
use proptest::prelude::*;

fn two(change_source: impl FnOnce(&mut Node), change_spare: impl FnOnce(&mut Node)) -> (Fleet, NodeId, NodeId) {
    let mut b = Builder::default();
    let source = b.source("web-1", change_source);
    let spare = b.spare("spare-1", change_spare);
    (b.fleet, source, spare)
}

fn matching(identical: &[&str], require: Vec<Require>) -> Matching {
    Matching { identical: identical.iter().map(|s| (*s).to_owned()).collect(), require, prefer: Vec::new(), spread: Vec::new() }
}

fn ask(matching: &Matching, world: &(Fleet, NodeId, NodeId)) -> Judgement {
    judge(matching, &world.0, world.1, world.2, &Vars::new())
}

fn rule(fact: &str, test: FactTest, against: Against) -> Require {
    Require { name: "rule".into(), rule: Rule::Fact { fact: fact.into(), test, against } }
}

fn found<'j>(judgement: &'j Judgement, rule: &str) -> &'j Finding {
    judgement.findings.iter().find(|f| f.rule == rule).unwrap_or_else(|| panic!("{judgement:?}"))
}

#[test]
fn every_builtin_fact_must_be_known_and_equal() {
    let builtin = Matching { identical: builtin(), require: Vec::new(), prefer: Vec::new(), spread: Vec::new() };
    let same = ask(&builtin, &two(|_| {}, |_| {}));
    assert!(same.qualifies());
    assert_eq!((same.identical, same.findings.len()), (8, 10));
    type Spoil = fn(&mut Node);
    let spoils: [(&str, Spoil); 8] = [
        ("manufacturer", |n| n.declared_facts.manufacturer = Some("Other".into())),
        ("model", |n| n.declared_facts.model = None),
        ("cpu.model", |n| n.declared_facts.cpu.model = Some("Y".into())),
        ("cpu.count", |n| n.declared_facts.cpu.count = Some(1)),
        ("memory_mib", |n| n.declared_facts.memory_mib = Some(524_289)),
        ("boot_mode", |n| n.declared_facts.boot_mode = Some(BootMode::Bios)),
        ("resource_class", |n| n.resource_class = None),
        ("firmware.bios", |n| n.declared_facts.firmware.clear()),
    ];
    for (fact, spoil) in spoils {
        for world in [two(spoil, |_| {}), two(|_| {}, spoil)] {
            let judgement = ask(&builtin, &world);
            let misses: Vec<&str> = judgement.misses().map(|f| f.rule.as_str()).collect();
            assert_eq!(misses, [format!("identical {fact}")], "exactly this rule fails, all others are still told");
            assert_eq!(judgement.findings.len(), 10);
        }
    }
}

#[test]
fn unknown_equals_nothing_not_even_unknown() {
    for fact in Facts::NAMES.into_iter().chain(["resource_class", "firmware.*", "firmware.nic"]) {
        let strip = |n: &mut Node| {
            n.declared_facts = Facts { sku: Some("x".into()), ..Facts::default() }.into();
            n.resource_class = None;
        };
        if fact != "sku" {
            let judgement = ask(&matching(&[fact], vec![]), &two(strip, strip));
            assert!(!judgement.qualifies(), "{fact}");
            assert!(judgement.findings[2].text.contains("unknown"), "{fact}");
        }
    }
}

#[test]
fn text_is_trimmed_and_the_live_value_counts() {
    let m = matching(&["model", "firmware.bios"], vec![]);
    let world =
        two(|n| n.declared_facts.model = Some(" C1  ".into()), |n| drop(n.live_facts.firmware.insert("bios".into(), "1.2 ".into())));
    assert!(ask(&m, &world).qualifies());
    let world = two(|_| {}, |n| drop(n.live_facts.firmware.insert("bios".into(), "1.3".into())));
    let judgement = ask(&m, &world);
    assert_eq!(found(&judgement, "identical firmware.bios").text, "needs 1.2, has 1.3");
}

#[test]
fn the_firmware_wildcard_speaks_of_every_component_of_either() {
    let m = matching(&["firmware.*"], vec![]);
    assert!(ask(&m, &two(|_| {}, |_| {})).qualifies());
    let judgement = ask(&m, &two(|_| {}, |n| drop(n.declared_facts.firmware.insert("nic".into(), "7".into()))));
    assert!(!judgement.qualifies());
    assert!(found(&judgement, "identical firmware.bios").passed && !found(&judgement, "identical firmware.nic").passed);
}

#[test]
fn a_critical_spare_or_one_without_facts_is_out_whatever_the_rules() {
    let m = matching(&[], vec![when("true")]);
    assert!(
        ask(&m, &two(|n| n.declared_facts.health = Some(Health::Critical), |n| n.declared_facts.health = Some(Health::Warning)))
            .qualifies()
    );
    assert!(!ask(&m, &two(|_| {}, |n| n.declared_facts.health = Some(Health::Critical))).qualifies());
    let unknown = ask(&m, &two(|_| {}, |n| n.declared_facts = Facts::default().into()));
    assert!(!found(&unknown, "facts known").passed && unknown.findings[0].text.contains("inventory refresh spare-1"));
}

#[test]
fn requirements_compare_facts_with_the_source_or_a_value() {
    use Against::{Set, Source, Value};
    use FactTest::{AtLeast, AtMost, Equal, Matches, SupersetOf};
    let text = |t: &str| Value(Scalar::Text(t.into()));
    let set = |items: &[&str]| Set(items.iter().map(|i| (*i).to_owned()).collect());
    let world = two(
        |n| n.traits = ["A".to_owned()].into(),
        |n| {
            n.traits = ["A".to_owned(), "B".to_owned()].into();
            n.declared_facts.memory_mib = Some(600_000);
            n.declared_facts.sku = Some("R740-xd".into());
        },
    );
    let cases = [
        ("memory_mib", AtLeast, Source, true),
        ("memory_mib", AtMost, Source, false),
        ("memory_mib", Equal, Source, false),
        ("memory_mib", AtMost, Value(Scalar::Integer(600_000)), true),
        ("memory_mib", AtLeast, text("1"), false),
        ("memory_mib", Equal, Value(Scalar::Integer(600_000)), true),
        ("traits", SupersetOf, Source, true),
        ("traits", SupersetOf, set(&["B"]), true),
        ("traits", SupersetOf, set(&["B", "C"]), false),
        ("traits", Equal, Source, false),
        ("traits", Equal, set(&["B", "A"]), true),
        ("traits", Matches, text("?"), true),
        ("model", SupersetOf, set(&["C1"]), false),
        ("model", Equal, set(&["C1", "C2"]), true),
        ("model", Equal, text(" C1"), true),
        ("sku", Matches, text("R7*-x?"), true),
        ("sku", Matches, text("R7*-x??"), false),
        ("sku", Matches, set(&["a", "*40*"]), true),
        ("sku", Equal, Source, false),
        ("resource_class", Equal, text("web"), true),
        ("boot_mode", Equal, text("uefi"), true),
        ("secure_boot", Equal, Value(Scalar::Bool(false)), false),
    ];
    for (fact, test, against, want) in cases {
        let m = matching(&[], vec![rule(fact, test, against.clone())]);
        let judgement = ask(&m, &world);
        assert_eq!(judgement.qualifies(), want, "{fact} {test:?} {against:?}: {judgement:?}");
    }
    let m = matching(&[], vec![rule("memory_mib", FactTest::AtLeast, Value(Scalar::Integer(700_000)))]);
    let judgement = ask(&m, &world);
    let finding = found(&judgement, "rule");
    assert_eq!(finding.text, "needs at least 700000, has 600000");
    assert_eq!((finding.source.as_deref(), finding.spare.as_deref()), (Some("524288"), Some("600000")));
}

#[test]
fn expressions_tell_what_they_saw_and_preferences_add_up() {
    let feed = |f: &'static str| move |n: &mut Node| n.failure_domain.feed = Some(f.into());
    let text = "spare.failure_domain.feed != source.failure_domain.feed";
    let mut m = matching(&["model"], vec![when(text)]);
    m.prefer = vec![prefer("spare.name == 'spare-1'", 3), prefer("false", 100), prefer("source.name == 'web-1'", 4)];
    assert!(ask(&m, &two(feed("a"), feed("b"))).qualifies());
    let judgement = ask(&m, &two(feed("a"), feed("a")));
    let finding = found(&judgement, text);
    assert!(!finding.passed);
    assert_eq!((finding.source.as_deref(), finding.spare.as_deref()), (Some("a"), Some("a")));
    assert!(finding.text.contains("`spare.failure_domain.feed` is a"), "{}", finding.text);
    assert_eq!((judgement.weight, judgement.preferred.len()), (7, 2));
    assert!(!ask(&m, &two(feed("a"), |_| {})).qualifies(), "unknown differs from nothing");
}

#[test]
fn a_rule_that_cannot_be_evaluated_fails_and_is_told() {
    let m = matching(&["model"], vec![when("spare.labels.role > 3")]);
    let judgement = ask(&m, &two(|_| {}, |_| {}));
    assert!(!judgement.qualifies());
    assert_eq!(judgement.errors.len(), 1);
}

#[test]
fn versions_are_ordered_number_by_number_or_not_at_all() {
    use std::cmp::Ordering::*;
    for (a, b, want) in [
        ("2.9", "2.10", Some(Less)),
        ("2.10.0", "2.10", Some(Greater)),
        ("U30 v2.54", "u30 V2.54", Some(Equal)),
        ("U30 2.54", "U32 2.50", Some(Less)),
        ("U30 2.54", "2.54", None),
        ("2.9-rc1", "2.9", None),
        ("a", "b", None),
        ("", "", Some(Equal)),
        ("99999999999999999999999", "1", None),
    ] {
        assert_eq!(versions(a, b), want, "{a} {b}");
        assert_eq!(versions(b, a), want.map(std::cmp::Ordering::reverse), "{b} {a}");
    }
}

#[test]
fn firmware_may_be_bounded_and_capabilities_and_traits_count_as_facts() {
    let world = two(
        |n| {
            n.capabilities.insert("boot_mode".into(), "uefi".into());
            n.traits = ["A".to_owned()].into();
        },
        |n| {
            n.declared_facts.firmware.insert("bios".into(), "1.10".into());
            n.capabilities.insert("boot_mode".into(), " uefi".into());
            n.traits = ["A".to_owned(), "B".to_owned()].into();
        },
    );
    let passes = |m: &Matching| ask(m, &world).qualifies();
    assert!(passes(&matching(&[], vec![rule("firmware.bios", FactTest::AtLeast, Against::Source)])));
    assert!(!passes(&matching(&[], vec![rule("firmware.bios", FactTest::AtMost, Against::Source)])));
    assert!(passes(&matching(&[], vec![rule("firmware.bios", FactTest::AtMost, Against::Value(Scalar::Text("2".into())))])));
    assert!(passes(&matching(&["capabilities.boot_mode"], vec![])));
    assert!(!passes(&matching(&["capabilities.raid"], vec![])), "unknown on both sides");
    assert!(!passes(&matching(&["traits"], vec![])));
    assert!(passes(&matching(&[], vec![rule("traits", FactTest::SupersetOf, Against::Source)])));
}

#[test]
fn globs_match_whole_texts() {
    for (pattern, text, want) in [
        ("", "", true),
        ("*", "", true),
        ("?", "", false),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "aXbY", false),
        ("*aab", "aaaab", true),
        ("R?40", "R740", true),
        ("R740", "R740xd", false),
        ("ä?", "äö", true),
        ("**", "x", true),
    ] {
        assert_eq!(glob(pattern, text), want, "{pattern} {text}");
    }
    assert!(!glob(&"a*".repeat(200), &format!("{}b", "a".repeat(150))), "and in bounded time");
}

#[test]
fn an_explanation_shows_every_node_and_what_would_have_to_change() {
    let mut b = Builder::default();
    b.source("web-1", |_| {});
    b.source("web-2", |_| {});
    b.spare("spare-1", |n| n.declared_facts.memory_mib = Some(393_216));
    b.spare("spare-2", |n| n.maintenance = Some(Maintenance { reason: "a fan is being replaced, which takes a while".into() }));
    b.spare("spare-3", |n| n.labels.clear());
    b.spare("spare-4", |_| {});
    let explanation = explain(&runbook(), &b.fleet, "web-2").expect("explanation");
    assert!(explanation.is_source && explanation.obstacles.is_empty() && explanation.destination.is_none());
    let standings: Vec<_> = explanation.pools[0].nodes.iter().map(|n| (n.node.as_str(), n.standing)).collect();
    let want = [
        ("spare-4", Standing::CouldServe),
        ("spare-1", Standing::Misses),
        ("spare-2", Standing::NotFree),
        ("spare-3", Standing::NotSelected),
        ("web-1", Standing::NotSelected),
    ];
    assert_eq!(standings, want);
    let change = "add 128 GiB to `spare-1`, or relax `memory_mib` (`identical: {drop: [memory_mib]}`)";
    assert_eq!(explanation.pools[0].nodes[1].changes, [change]);
    let chosen = explain(&runbook(), &b.fleet, "web-1").expect("explanation");
    assert_eq!((chosen.destination.as_deref(), chosen.pools[0].nodes[0].standing), (Some("spare-4"), Standing::Chosen));
    let text = explanation.to_string();
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    for part in [
        "web-2: 1 spare matches",
        "pool any: spare.labels.role == 'spare'",
        "misses 1 of 10 rules",
        "NO  identical memory_mib",
        "not in this pool: spare-3, web-1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let error = explain(&runbook(), &b.fleet, "web-3").expect_err("unknown");
    assert_eq!(error.0[0].hint.as_deref(), Some("did you mean `web-1`?"));
}

#[test]
fn what_stands_too_near_is_told_with_who_stands_there() {
    let mut b = Builder::default();
    let rack = |name: &'static str| {
        move |n: &mut Node| {
            n.labels.insert("app".into(), Scalar::Text("shop".into()));
            n.failure_domain.rack = Some(name.into());
        }
    };
    b.source("web-1", rack("a"));
    b.source("web-2", rack("b"));
    b.spare("spare-1", rack("b"));
    let mut book = runbook();
    let by = expression("node.labels.app", Names::Node);
    book.matching.spread = vec![SpreadRule { name: "apart".into(), by, domain: "rack".into(), at_most: 1 }];
    let explanation = explain(&book, &b.fleet, "web-1").expect("explanation");
    let spare = &explanation.pools[0].nodes[0];
    let finding = spare.findings.last().expect("a finding");
    assert_eq!((spare.standing, finding.rule.as_str(), finding.passed), (Standing::Misses, "spread apart", false));
    assert_eq!(finding.text, "rack b holds web-2 already, and may hold 1");
    assert!(explanation.left_out.is_some_and(|why| why.contains("match.spread")));
    assert_eq!(explain(&book, &b.fleet, "web-2").expect("explanation").destination.as_deref(), Some("spare-1"), "it stays in its rack");
}

#[test]
fn the_builtin_rules_are_printed_with_their_reasons() {
    let text = explain_rules();
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    for (fact, reason) in BUILTIN_IDENTICAL {
        assert!(text.contains(fact), "{text}");
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(reason), "{text}");
    }
}

fn facts_of() -> impl Strategy<Value = Facts> {
    let word = || prop::option::of(prop_oneof![Just("a".to_owned()), Just(" a".to_owned()), Just("b".to_owned()), Just(String::new())]);
    let number = prop::option::of(0u64..3);
    let health = prop::option::of(prop_oneof![Just(Health::Ok), Just(Health::Critical)]);
    (word(), word(), number, health).prop_map(|(manufacturer, model, memory_mib, health)| Facts {
        manufacturer,
        model,
        memory_mib,
        health,
        ..Facts::default()
    })
}

proptest! {
    /// Matching ends for any two nodes, says the same each time, and identity goes both ways.
    #[test]
    fn matching_is_total_deterministic_and_symmetric_where_it_says_identical(a in facts_of(), b in facts_of()) {
        let m = matching(&["manufacturer", "model", "memory_mib"], vec![]);
        let world = two(|n| n.declared_facts = a.clone().into(), |n| n.declared_facts = b.clone().into());
        let there = ask(&m, &world);
        prop_assert_eq!(&there, &ask(&m, &world));
        prop_assert_eq!(there.findings.len(), 5);
        let back = judge(&m, &world.0, world.2, world.1, &Vars::new());
        let passed = |j: &Judgement| j.findings[2..].iter().map(|f| f.passed).collect::<Vec<_>>();
        prop_assert_eq!(passed(&there), passed(&back));
        prop_assert_eq!(there.qualifies(), there.misses().next().is_none());
    }

    /// A node never passes for another by what is not known of it.
    #[test]
    fn taking_a_fact_away_never_makes_a_match(a in facts_of(), b in facts_of()) {
        let m = matching(&["manufacturer", "model", "memory_mib"], vec![]);
        let less = Facts { model: None, ..b.clone() };
        let full = ask(&m, &two(|n| n.declared_facts = a.clone().into(), |n| n.declared_facts = b.clone().into())).qualifies();
        let poor = ask(&m, &two(|n| n.declared_facts = a.clone().into(), |n| n.declared_facts = less.clone().into())).qualifies();
        prop_assert!(!poor, "with all facts it was {full}");
    }
}
