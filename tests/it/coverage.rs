//! `coverage` as a person or a pipeline meets it, and against all possibilities on small fleets.

use crate::corpus::golden;
use crate::fleets::*;
use crate::sizing_cli::command;
use coldswap::model::*;
use coldswap::plan::coverage::{Coverage, coverage, render, svg};
use coldswap::runbook::*;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn schema() -> Json {
    serde_json::to_value(schemars::schema_for!(Coverage)).expect("JSON")
}

#[test]
fn the_coverage_schema_on_disk_is_the_one_of_the_types() {
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    golden(&root("schemas/coverage.schema.json"), &text).expect("COLDSWAP_BLESS=1 writes it anew");
}

fn place(name: &'static str, rack: &'static str) -> impl Fn(&mut Node) {
    move |node| {
        node.failure_domain.row = Some(name.to_owned());
        node.failure_domain.rack = Some(rack.to_owned());
    }
}

fn of_class(memory: u64, rack: &'static str) -> impl Fn(&mut Node) {
    move |node| {
        place("r1", rack)(node);
        node.declared_facts.memory_mib = Some(memory);
    }
}

/// Three large ones in two racks with two spares, two small ones with one spare in their own rack, one of its own kind.
fn three_classes() -> Fleet {
    let mut b = Builder::default();
    for (name, rack) in [("big-1", "a"), ("big-2", "a"), ("big-3", "b")] {
        b.source(name, of_class(524_288, rack));
    }
    b.spare("spare-1", of_class(524_288, "a"));
    b.spare("spare-2", of_class(524_288, "c"));
    b.source("small-1", of_class(1024, "d"));
    b.source("small-2", of_class(1024, "e"));
    b.spare("spare-3", of_class(1024, "d"));
    b.source("odd-1", of_class(2048, "e"));
    b.fleet
}

fn told(fleet: &Fleet, failures: usize) -> Coverage {
    coverage(&runbook(), fleet, failures).unwrap_or_else(|d| panic!("{d:?}"))
}

#[test]
fn failures_domains_and_what_would_mend_it_are_told() {
    let covered = told(&three_classes(), 3);
    assert_eq!((covered.nodes, covered.spares, covered.tolerates), (6, 3, Some(0)));
    let worst: Vec<_> = covered.failures.iter().map(|f| (f.uncovered, f.at_most)).collect();
    // The odd one; a small one with its spare as well; two small ones, their spare is one short.
    assert_eq!(worst, [(1, 1), (1, 1), (2, 2)]);
    let classes: Vec<_> = covered.classes.iter().map(|c| (c.nodes, c.spares, c.after.clone())).collect();
    assert_eq!(classes, [(1, 0, vec![1, 1, 1]), (2, 1, vec![0, 1, 2]), (3, 2, vec![0, 0, 1])]);
    assert_eq!(covered.classes[0].without, ["odd-1"]);
    let domain = |level: &str, name: &str| covered.domains.iter().find(|d| d.level == level && d.name == name).expect("a domain");
    assert_eq!((domain("rack", "r1/a").nodes, domain("rack", "r1/a").spares, domain("rack", "r1/a").uncovered), (2, 1, 1));
    assert_eq!(domain("rack", "r1/d").uncovered, 1);
    assert_eq!(domain("row", "r1").uncovered, 6);
    assert_eq!(covered.classes[2].domains["row"].uncovered, 3);
    let bought: Vec<_> = covered.mend.buy.iter().map(|b| b.count).collect();
    assert_eq!((covered.mend.count(), covered.mend.fewest, bought.iter().sum::<usize>()), (6, 6, 6));
    assert!(!covered.is_complete());
    let text = render(&covered);
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["6 nodes, 3 spares", "no spare matches: odd-1", "rack r1/a", "6 machines; no fewer can do"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_spare_in_the_wrong_place_is_moved_before_one_is_bought() {
    let mut b = Builder::default();
    b.source("web-1", place("r1", "a"));
    b.source("web-2", place("r2", "b"));
    for name in ["spare-1", "spare-2", "spare-3"] {
        b.spare(name, place("r1", "c"));
    }
    let mut book = runbook();
    book.pools = vec![pool("row", "spare.labels.role == 'spare' and spare.failure_domain.row == source.failure_domain.row", 0)];
    let covered = coverage(&book, &b.fleet, 1).expect("coverage");
    assert_eq!((covered.mend.moves.len(), covered.mend.buy.len()), (1, 0));
    let step = &covered.mend.moves[0];
    assert!(step.to.contains("row r2") && step.place_of == "web-2" && step.labels_of.is_none(), "{step:?}");
}

#[test]
fn nobody_is_moved_to_where_it_would_not_serve() {
    // Rules of hardware and provision states are not mended by a place.
    let mut b = Builder::default();
    for (web, spare, memory) in [("web-1", "spare-1", 2048), ("web-2", "spare-2", 1024)] {
        b.source(web, of_class(memory, "a"));
        b.spare(spare, of_class(memory, "b"));
    }
    for name in ["spare-3", "spare-4"] {
        b.spare(name, of_class(1024, "c"));
    }
    let mut book = runbook();
    book.matching.identical.retain(|fact| fact != "memory_mib");
    book.matching.require = vec![when("spare.facts.memory_mib >= source.facts.memory_mib")];
    let mend = coverage(&book, &b.fleet, 2).expect("coverage").mend;
    let bought: usize = mend.buy.iter().map(|b| b.count).sum();
    assert_eq!((mend.moves.len(), bought, mend.fewest), (0, 1, 1), "{mend:?}");
    let mut b = Builder::default();
    b.source("web-1", place("r1", "a"));
    b.spare("spare-1", |n| n.provision_state = ProvisionState::Enroll);
    let mut book = runbook();
    book.pools[0].provision_states = vec![ProvisionState::Available];
    assert_eq!(coverage(&book, &b.fleet, 1).expect("coverage").mend.moves, []);
}

#[test]
fn the_picture_is_one_file_that_says_everything_in_words_too() {
    let picture = svg(&told(&three_classes(), 3));
    let document = roxmltree::Document::parse(&picture).expect("well-formed");
    let element = document.root_element();
    let named =
        |name: &str| element.children().find(|n| n.has_tag_name(("http://www.w3.org/2000/svg", name)) || n.tag_name().name() == name);
    assert!(named("title").is_some() && named("desc").and_then(|d| d.text()).is_some_and(|t| t.contains("loss of rack r1/a 1")));
    assert!(!picture.contains("href") && !picture.contains("<script") && picture.contains("prefers-color-scheme:dark"));
    let cells = document.descendants().filter(|n| n.tag_name().name() == "title").count();
    assert_eq!(cells, 1 + 3 + 3 * (3 + 2), "each row and each cell has its words");
}

#[test]
fn a_store_is_covered_from_the_command_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let said = |args: &[&str]| command(directory.path()).args(args).output().expect("it runs");
    let empty = said(&["coverage"]);
    assert_eq!(empty.status.code(), Some(3), "{}", String::from_utf8_lossy(&empty.stderr));
    let nodes: Vec<Json> = [("web-1", true), ("spare-1", false), ("spare-2", false)]
        .into_iter()
        .map(|(name, carries)| {
            let mut node = serde_json::json!({
                "name": name, "resource_class": "web", "provision_state": if carries { "active" } else { "manageable" },
                "bmc": {"address": format!("https://{name}.example")}, "failure_domain": {"rack": name},
                "facts": {"manufacturer": "Contoso", "model": "C1", "cpu": {"model": "X", "count": 2}, "memory_mib": 1024, "boot_mode": "uefi", "firmware": {"bios": "1"}},
            });
            if carries {
                node["instance"] = serde_json::json!({"uuid": "aaaaaaaa-0000-4000-8000-000000000001", "name": "shop"});
                node["volume_targets"] = serde_json::json!([{"volume_type": "iscsi", "boot_index": 0, "volume_id": "v", "properties": {"target_portal": "127.0.0.1:3260", "target_iqn": "iqn.2026-01.example:v", "target_lun": 1}}]);
            }
            node
        })
        .collect();
    let document = serde_json::json!({"apiVersion": "coldswap/v1", "kind": "Inventory", "nodes": nodes});
    std::fs::write(directory.path().join("inventory.json"), document.to_string()).expect("a file");
    let imported = said(&["inventory", "import", "inventory.json"]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    for (failures, code) in [("0", 0), ("2", 0), ("3", 4)] {
        let output = said(&["coverage", "--failures", failures, "--output", "json"]);
        assert_eq!(output.status.code(), Some(code), "{failures}: {}", String::from_utf8_lossy(&output.stderr));
        let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["format_version"], 1);
        let schema = schema();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let wrong: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[derive(Clone, Debug)]
struct Machine {
    carries: bool,
    memory: u64,
    rack: u8,
    feed: u8,
}

fn machine() -> impl Strategy<Value = Machine> {
    (any::<bool>(), 1u64..3, 0u8..3, 0u8..2).prop_map(|(carries, memory, rack, feed)| Machine { carries, memory, rack, feed })
}

fn built(machines: &[Machine]) -> Fleet {
    let mut b = Builder::default();
    for (at, m) in machines.iter().enumerate() {
        let change = |n: &mut Node| {
            n.declared_facts.memory_mib = Some(m.memory);
            n.failure_domain.rack = Some(m.rack.to_string());
            n.failure_domain.feed = Some(m.feed.to_string());
        };
        if m.carries {
            b.source(&format!("web-{at}"), change)
        } else {
            b.spare(&format!("spare-{at}"), change)
        };
    }
    b.fleet
}

/// The most of these sources that these spares can serve, by trying; `same` says which match.
fn served(sources: &[NodeId], spares: &[NodeId], same: &BTreeMap<(NodeId, NodeId), bool>) -> usize {
    let Some((first, rest)) = sources.split_first() else { return 0 };
    let mut best = served(rest, spares, same);
    for (at, spare) in spares.iter().enumerate() {
        if same[&(*first, *spare)] {
            let left = [&spares[..at], &spares[at + 1..]].concat();
            best = best.max(1 + served(rest, &left, same));
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// The loss of each domain, and what any failures can do, as trying everything says.
    #[test]
    fn nothing_is_worse_than_what_is_told_and_that_happens(machines in prop::collection::vec(machine(), 1..8), failures in 1usize..4, by_row in any::<bool>()) {
        let fleet = built(&machines);
        let mut book = runbook();
        if by_row {
            book.pools = vec![pool("feed", "spare.labels.role == 'spare' and spare.failure_domain.feed != source.failure_domain.feed", 0)];
        }
        let covered = coverage(&book, &fleet, failures).expect("coverage");
        let of = |carries: bool| fleet.nodes.values().filter(|n| fleet.targets.values().any(|t| t.node == n.id) == carries).map(|n| n.id).collect::<Vec<_>>();
        let (sources, spares) = (of(true), of(false));
        let pairs = sources.iter().flat_map(|s| spares.iter().map(move |t| (*s, *t)));
        let judge = Judge::new(&book.matching, &fleet, &book.vars);
        let same: BTreeMap<(NodeId, NodeId), bool> = pairs
            .map(|(s, t)| ((s, t), judge.judge(s, t).qualifies() && judge.holds(&book.pools[0].select, s, t) == Ok(true)))
            .collect();
        let without = |failed: &dyn Fn(NodeId) -> bool| {
            let down: Vec<NodeId> = sources.iter().copied().filter(|s| failed(*s)).collect();
            let up: Vec<NodeId> = spares.iter().copied().filter(|s| !failed(*s)).collect();
            down.len() - served(&down, &up, &same)
        };
        let all: Vec<NodeId> = fleet.nodes.keys().copied().collect();
        let sets = (0u32..1 << all.len()).filter(|set| set.count_ones() as usize <= failures);
        let worst = sets.map(|set| without(&|id| set >> all.iter().position(|a| *a == id).expect("a node") & 1 == 1)).max().unwrap_or(0);
        prop_assert_eq!(covered.failures[failures - 1].uncovered, worst);
        prop_assert_eq!(covered.failures[failures - 1].at_most, worst);
        for domain in &covered.domains {
            let uncovered = without(&|id| fleet.nodes[&id].failure_domain.get(&domain.level) == Some(domain.name.as_str()));
            prop_assert_eq!(domain.uncovered, uncovered, "{} {}", domain.level, domain.name);
        }
        let mut mended = fleet.clone();
        for buy in &covered.mend.buy {
            for n in 0..buy.count {
                let like = fleet.find(&buy.like).expect("a node").clone();
                let name = format!("new-{}-{n}", buy.like);
                let mut node = Node { id: NodeId::derived(&name), name, provision_state: ProvisionState::Manageable, ..like };
                node.labels.insert("role".into(), Scalar::Text("spare".into()));
                // A machine like a node, for a node, stands where its pool wants it.
                if by_row && fleet.find(&buy.like).is_some_and(|n| sources.contains(&n.id)) {
                    node.failure_domain.feed = Some(if node.failure_domain.feed.as_deref() == Some("0") { "1" } else { "0" }.into());
                }
                mended.nodes.insert(node.id, node);
            }
        }
        if covered.mend.moves.is_empty() {
            prop_assert_eq!(coverage(&book, &mended, failures).expect("coverage").failures[failures - 1].at_most, 0, "{:?}", covered.mend);
        }
    }
}
