//! `failback` from the command line, against simulated BMCs: there and back, what is refused, and what stays.

use crate::cli::{Place, RUNBOOK, text};
use coldswap::bmcsim::{FaultAction, FaultRule, RequestKind};
use coldswap::model::*;
use serde_json::Value;

/// A place where both nodes have been switched over.
fn away() -> (Place, Value) {
    let place = Place::new(Span(50));
    let before = place.json(&["inventory", "list"], 0);
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    (place, before)
}

fn refused(place: &Place, args: &[&str], words: &[&str]) {
    let told = text(&place.run(args).code(3).get_output().stderr);
    for word in words {
        assert!(told.contains(word), "{args:?}: {told}");
    }
}

#[test]
fn after_the_repair_everything_is_as_it_was() {
    let (place, before) = away();
    let report = place.json(&["failback", "r-1", "--yes"], 0);
    assert_eq!(report["totals"]["switched_over"], 2);
    assert_eq!(report["run"]["runbook"]["name"], "failback-r-1");
    assert_eq!(place.json(&["inventory", "list"], 0), before, "spares, maintenance, volumes, instances");
    for (name, power) in [("web-1", PowerState::On), ("spare-1", PowerState::Off)] {
        assert_eq!(place.lab.machine(name).map(|m| m.power), Some(power), "{name}");
    }
    place.no_volume_was_open_twice();
    refused(&place, &["failback", "r-1", "--yes"], &["already_home", "at `web-1` already"]);
    refused(&place, &["failback", "web-1", "--yes"], &["already_home"]);
    // The spares are spares again.
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
}

#[test]
fn one_node_comes_home_by_its_own_name_or_by_its_spare_s() {
    let (place, _) = away();
    place.run(&["failback", "web-1", "--yes"]).code(0);
    assert_eq!(place.lab.machine("web-1").map(|m| m.power), Some(PowerState::On));
    assert_eq!(place.lab.machine("spare-2").map(|m| m.power), Some(PowerState::On), "the other one stays");
    place.run(&["failback", "spare-2", "--yes"]).code(0);
    assert_eq!(place.lab.machine("web-2").map(|m| m.power), Some(PowerState::On));
    place.no_volume_was_open_twice();
}

#[test]
fn a_way_home_can_be_saved_and_is_single_use() {
    let (place, _) = away();
    let saved = place.run(&["failback", "r-1", "--only", "web-2", "--out", "home.json"]).code(0);
    let shown = text(&saved.get_output().stdout);
    assert!(
        shown.contains("the way home of run r-1") && shown.contains("spare-2 -> web-2") && shown.contains("\"test s-002\" -> no"),
        "{shown}"
    );
    assert_eq!(place.lab.machine("web-2").map(|m| m.power), Some(PowerState::Off), "nothing was done");
    place.run(&["apply", "home.json", "--yes"]).code(0);
    let again = place.run(&["apply", "home.json", "--yes"]).code(3);
    assert!(text(&again.get_output().stderr).contains("already used by run"));
}

#[test]
fn a_machine_that_is_not_repaired_stays_away_and_the_rest_comes_home() {
    let (place, _) = away();
    place.lab.set_faults(vec![FaultRule::new("web-1", RequestKind::Any, FaultAction::Drop)]).expect("a fault");
    refused(&place, &["failback", "web-1", "--yes"], &["original_silent", "`web-1`"]);
    let report = place.json(&["failback", "r-1", "--yes"], 0);
    assert_eq!(report["totals"]["switched_over"], 1);
    assert_eq!(report["left_out"][0]["code"], "original_silent");
    assert_eq!(report["left_out"][0]["name"], "spare-1");
    place.lab.set_faults(Vec::new()).expect("no fault");
    assert!(place.lab.power("web-1", true));
    refused(&place, &["failback", "web-1", "--yes"], &["original_not_off", "switch it off"]);
    refused(&place, &["failback", "web-1", "--keep", "--yes"], &["original_not_off"]);
}

#[test]
fn a_machine_with_another_board_comes_home_once_a_person_has_said_so() {
    let (place, _) = away();
    let fault =
        FaultRule { answers: Some("spare-2".into()), ..FaultRule::new("web-1", RequestKind::ReadSystem, FaultAction::WrongMachine) };
    place.lab.set_faults(vec![fault]).expect("a fault");
    refused(&place, &["failback", "web-1", "--yes"], &["original_replaced", "inventory set web-1 identity=", "inventory refresh web-1"]);
    place.lab.set_faults(Vec::new()).expect("no fault");
    place.run(&["inventory", "set", "web-1", "identity="]).code(0);
    place.run(&["inventory", "refresh", "web-1"]).code(0);
    place.run(&["failback", "web-1", "--yes"]).code(0);
    place.no_volume_was_open_twice();
}

#[test]
fn hooks_of_the_way_home_are_never_guessed() {
    let place = Place::new(Span(50));
    let hooks = "hooks:\n  pre-shutdown:\n    - {name: drain, run: [/bin/sh, -c, 'echo {{ source.name }} >> log'], undo: [/bin/true]}\n";
    place.write("hooked.yaml", &(RUNBOOK.to_owned() + hooks));
    place.run(&["apply", "hooked.yaml", "--yes"]).code(0);
    refused(&place, &["failback", "r-1", "--yes"], &["had hooks (drain)", "--runbook FILE", "--without-hooks"]);
    place.run(&["failback", "web-1", "--runbook", "hooked.yaml", "--yes"]).code(0);
    let log = std::fs::read_to_string(place.path("log")).expect("the log");
    assert!(log.ends_with("spare-1\n"), "the hook of the way home is about the spare: {log}");
    place.run(&["failback", "web-2", "--without-hooks", "--yes"]).code(0);
    assert_eq!(std::fs::read_to_string(place.path("log")).expect("the log"), log);
}

#[test]
fn what_came_to_nothing_has_no_way_home() {
    let place = Place::new(Span(50));
    let hooks = "hooks:\n  pre-shutdown:\n    - {name: drain, run: [/bin/false], undo: [/bin/true]}\n";
    place.write("failing.yaml", &(RUNBOOK.to_owned() + hooks));
    place.run(&["apply", "failing.yaml", "--yes"]).code(4);
    refused(&place, &["failback", "r-1", "--without-hooks", "--yes"], &["not_switched_over", "serves as before"]);
    refused(&place, &["failback", "web-1", "--yes"], &["no run has switched `web-1` over"]);
    let unknown = place.run(&["failback", "r-7"]).code(2);
    assert!(text(&unknown.get_output().stderr).contains("no run or plan `r-7`"));
}

#[test]
fn what_stays_makes_the_repaired_machine_a_spare() {
    let (place, _) = away();
    place.run(&["inventory", "set", "web-2", "maintenance=its disk is out"]).code(0);
    refused(&place, &["failback", "web-2", "--keep", "--yes"], &["original_in_maintenance", "its disk is out"]);
    let kept = place.json(&["failback", "r-1", "--keep", "--pool", "repaired", "--yes"], 4);
    assert_eq!(kept["spares"], serde_json::json!(["web-1"]));
    assert_eq!(kept["left_out"][0]["code"], "original_in_maintenance");
    let node = place.json(&["inventory", "show", "web-1"], 0)["node"].clone();
    assert_eq!((&node["provision_state"], &node["labels"]["pool"]), (&"available".into(), &"repaired".into()));
    assert!(node["maintenance"].is_null());
    // It serves as one: the other machine's work goes to it.
    place.write("again.yaml", &RUNBOOK.replace("[web-1, web-2]", "[spare-2]"));
    let report = place.json(&["apply", "again.yaml", "--yes"], 0);
    assert_eq!(report["switchovers"][0]["destination"]["name"], "web-1");
    refused(&place, &["failback", "r-1", "--only", "web-2", "--yes"], &["moved_on", "`vol-web-2` went on from `spare-2` to `web-1`"]);
    place.no_volume_was_open_twice();
}
