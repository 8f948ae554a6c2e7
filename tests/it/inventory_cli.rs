//! `inventory` from the command line, after switchovers: what an old file, a slip or a removal must not undo.

use crate::cli::{Place, text};
use coldswap::bmcsim::{FaultAction, FaultRule, RequestKind};
use coldswap::model::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The inventory as it is, as a document.
fn exported(place: &Place) -> Value {
    let name = "export.json";
    let _ = std::fs::remove_file(place.path(name));
    place.run(&["inventory", "export", "--out", name]).code(0);
    serde_json::from_slice(&std::fs::read(place.path(name)).expect("a file")).expect("JSON")
}

fn node<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
    document["nodes"].as_array_mut().expect("nodes").iter_mut().find(|n| n["name"] == name).expect("the node")
}

/// A file of some of the nodes.
fn part(place: &Place, file: &str, document: &Value, of: &str) {
    let nodes: Vec<&Value> =
        document["nodes"].as_array().expect("nodes").iter().filter(|n| n["name"].as_str().is_some_and(|n| n.starts_with(of))).collect();
    let mut part = document.clone();
    part["nodes"] = json!(nodes);
    place.write(file, &part.to_string());
}

fn refused(place: &Place, args: &[&str], words: &[&str]) {
    let told = text(&place.run(args).code(3).get_output().stderr);
    for word in words {
        assert!(told.contains(word), "{args:?}: {word}: {told}");
    }
}

fn switch_off(place: &Place, machine: &str) {
    place.lab.power(machine, false);
    let began = Instant::now();
    while place.lab.machine(machine).is_none_or(|m| m.power != PowerState::Off) {
        assert!(began.elapsed() < Duration::from_secs(10), "{machine} goes off");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_old_file_takes_nothing_from_a_spare_that_serves() {
    let place = Place::new(Span(50));
    let mut old = exported(&place);
    node(&mut old, "spare-1")["labels"] = json!({"row": "c"});
    part(&place, "rackB.json", &old, "web");
    part(&place, "rackC.json", &old, "spare");
    part(&place, "web-1.json", &old, "web-1");
    place.write("whole.json", &old.to_string());
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    let served = place.json(&["inventory", "list"], 0);

    let taken = [
        "nothing was imported",
        "node `spare-1` has instance `work of web-1`, volume `vol-web-1`",
        "takes nothing away",
        "inventory export",
        "--detach spare-1",
    ];
    refused(&place, &["inventory", "import", "rackC.json"], &taken);
    refused(
        &place,
        &["inventory", "import", "rackB.json"],
        &["is at node `spare-1` in the inventory and at node `web-1`", "inventory export"],
    );
    refused(&place, &["inventory", "import", "whole.json"], &["an import moves nothing", "takes nothing away"]);
    refused(&place, &["inventory", "import", "web-1.json", "--replace"], &["`--replace` would remove node `spare-1` with instance"]);
    // Named, but it runs: it has the volume open.
    refused(
        &place,
        &["inventory", "import", "rackC.json", "--detach", "spare-1,spare-2"],
        &["nothing is taken from `spare-1`", "reads On"],
    );
    refused(&place, &["inventory", "import", "web-1.json", "--detach", "spare-1"], &["reads On"]);
    let silent = FaultRule::new("spare-1", RequestKind::Any, FaultAction::Drop);
    place.lab.set_faults(vec![silent]).expect("a fault");
    refused(
        &place,
        &["inventory", "import", "rackC.json", "--detach", "spare-1"],
        &["does not say that it is off", "coldswap attest spare-1 --off"],
    );
    place.lab.set_faults(Vec::new()).expect("no fault");
    let unknown = place.run(&["inventory", "import", "rackC.json", "--detach", "spare1"]).code(2);
    assert!(text(&unknown.get_output().stderr).contains("did you mean `spare-1`?"));
    assert_eq!(place.json(&["inventory", "list"], 0), served, "nothing of it was done");

    // The same label by a file that is written now; and a volume more.
    let mut new = exported(&place);
    node(&mut new, "spare-1")["labels"] = json!({"row": "c"});
    node(&mut new, "spare-1")["volume_targets"].as_array_mut().expect("volumes").push(
        json!({"volume_type": "iscsi", "boot_index": 1, "volume_id": "more", "properties": {"target_iqn": "iqn.2026-01.example:more"}}),
    );
    place.write("new.json", &new.to_string());
    let done = place.json(&["inventory", "import", "new.json"], 0);
    assert!(done["updated"].as_array().is_some_and(|names| names.contains(&json!("spare-1"))), "{done}");
    assert_eq!(node(&mut exported(&place), "spare-1")["volume_targets"].as_array().map(Vec::len), Some(2));

    // Off, and named: a person may.
    switch_off(&place, "spare-1");
    old["nodes"].as_array_mut().expect("nodes").retain(|n| n["name"] == "web-1" || n["name"] == "spare-1");
    place.write("pair.json", &old.to_string());
    refused(&place, &["inventory", "import", "pair.json"], &["--detach spare-1"]);
    place.run(&["inventory", "import", "pair.json", "--detach", "spare-1"]).code(0);
    let list = place.json(&["inventory", "list"], 0);
    let volumes = |name: &str| {
        list["nodes"].as_array().expect("nodes").iter().find(|n| n["name"] == name).expect("the node")["volume_targets"].clone()
    };
    assert_eq!((volumes("web-1"), volumes("spare-1")), (json!(["vol-web-1"]), json!([])));
    place.no_volume_was_open_twice();
}

#[test]
fn records_that_went_back_do_not_start_a_second_machine() {
    let place = Place::of(Span(50), 3, &Facts { model: Some("C1".into()), ..Facts::default() });
    let old = exported(&place);
    place.write("one.yaml", &crate::cli::RUNBOOK.replace("[web-1, web-2]", "[web-1]"));
    place.run(&["apply", "one.yaml", "--yes"]).code(0);
    // What a store from a backup, or a person's edits, would come to: the records of before, and the spare runs.
    place.write("old.json", &old.to_string());
    place.run(&["--store", "other.db", "inventory", "import", "old.json"]).code(0);
    let spared = ["--store", "other.db", "apply", "one.yaml", "--yes", "--exclude", "spare-1"];
    refused(&place, &spared, &["`web-1` is Off and its firmware opens nothing", "boot volume `vol-web-1`", "--allow-boot-cleared web-1"]);
    refused(&place, &["--store", "other.db", "switchover", "web-1", "spare-2", "--yes"], &["web-1"]);
    place.no_volume_was_open_twice();
    // Where nobody has it open, a person may say that all is well.
    switch_off(&place, "spare-1");
    let plan = place.json(&[&spared[..2], &["plan", "one.yaml", "--exclude", "spare-1", "--allow-boot-cleared", "web-1"]].concat(), 0);
    assert_eq!(plan["switchovers"].as_array().map(Vec::len), Some(1));
    assert!(plan["switchovers"][0]["warnings"].to_string().contains("the command line says"), "{plan}");
}

#[test]
fn a_node_that_serves_or_owes_is_not_forgotten() {
    let place = Place::new(Span(50));
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    let before = place.json(&["inventory", "list"], 0);
    refused(
        &place,
        &["inventory", "remove", "spare-1"],
        &["instance `work of web-1` and volume `vol-web-1`", "would be forgotten", "--force"],
    );
    refused(&place, &["inventory", "remove", "spare-1", "--force"], &["nothing is taken from `spare-1`", "reads On"]);
    assert_eq!(place.json(&["inventory", "list"], 0), before);

    // A debt travels with the file, is shown, and is not given up by the way.
    let mut document = exported(&place);
    node(&mut document, "web-1")["debt"] = json!("never power it on as it is");
    place.write("owing.json", &document.to_string());
    place.run(&["--store", "new.db", "inventory", "import", "owing.json"]).code(0);
    place.run(&["inventory", "import", "owing.json"]).code(0);
    for store in [".coldswap/state.db", "new.db"] {
        let list = text(&place.run(&["--store", store, "inventory", "list"]).code(0).get_output().stdout);
        let line = list.lines().find(|l| l.starts_with("web-1")).expect("a line");
        assert!(line.contains("owes: never power it on as it is; maintenance: test s-001"), "{line}");
        let show = text(&place.run(&["--store", store, "inventory", "show", "web-1"]).code(0).get_output().stdout);
        assert!(show.contains("debt: \"never power it on as it is\""), "{show}");
        refused(&place, &["--store", store, "inventory", "remove", "web-1"], &["what it owes (never power it on as it is)"]);
        refused(&place, &["--store", store, "apply", "runbook.yaml", "--yes"], &["web-1"]);
    }
    let round = place.run(&["--store", "new.db", "inventory", "export", "--out", "round.json"]);
    round.code(0);
    let round: Value = serde_json::from_slice(&std::fs::read(place.path("round.json")).expect("a file")).expect("JSON");
    assert_eq!(round, document, "without loss");
    part(&place, "spares.json", &document, "spare");
    refused(&place, &["inventory", "import", "spares.json", "--replace"], &["node `web-1` with what it owes", "inventory set web-1 debt="]);
    place.run(&["inventory", "set", "web-1", "debt="]).code(0);
    place.run(&["inventory", "remove", "web-1"]).code(0);
    place.run(&["--store", "new.db", "inventory", "remove", "web-1", "--force"]).code(0);
    switch_off(&place, "spare-1");
    let lost = place.json(&["inventory", "remove", "spare-1", "--force"], 0);
    assert_eq!(lost["lost"], json!(["instance `work of web-1`", "volume `vol-web-1`"]));
}

#[test]
fn a_run_that_owes_says_what_and_how_it_is_settled() {
    let place = Place::new(Span(50));
    let hooks = "hooks:\n  post-boot:\n    - {name: check, run: [/bin/false]}\n";
    place.write("failing.yaml", &(crate::cli::RUNBOOK.replace("[web-1, web-2]", "[web-1]") + hooks));
    for args in [["apply", "failing.yaml", "--yes"].as_slice(), &["resume", "r-1"]] {
        let told = text(&place.run(args).code(6).get_output().stderr);
        assert!(told.contains("owed: s-001 web-1 -> spare-1: ") && told.contains("what settles it: "), "{args:?}: {told}");
    }
    let mut document = exported(&place);
    node(&mut document, "web-2")["debt"] = json!("check its disks");
    part(&place, "owing.json", &document, "web-2");
    place.run(&["inventory", "import", "owing.json"]).code(0);
    place.write("two.yaml", &crate::cli::RUNBOOK.replace("[web-1, web-2]", "[web-2]"));
    let told = text(&place.run(&["plan", "two.yaml"]).code(3).get_output().stderr);
    assert!(told.contains("check its disks; settle it, then `coldswap inventory set web-2 debt=`"), "{told}");
    assert!(!told.contains("coldswap resume"), "a resume settles nothing: {told}");
}
