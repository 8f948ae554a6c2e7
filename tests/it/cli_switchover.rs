//! `switchover` and `node-switchover`: one node without a file, from the command line to the inventory.

use crate::cli::{Place, RUNBOOK, command};
use coldswap::model::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn known() -> Facts {
    serde_json::from_value(json!({
        "manufacturer": "Contoso", "model": "C1", "memory_mib": 524_288, "boot_mode": "uefi",
        "cpu": {"model": "X", "count": 2}, "firmware": {"bios": "1.2"}
    }))
    .expect("facts")
}

fn node(place: &Place, name: &str) -> Value {
    let fleet = place.json(&["inventory", "list"], 0);
    fleet["nodes"].as_array().expect("nodes").iter().find(|n| n["name"] == name).cloned().expect("the node")
}

const EVIL: &str = "C1\u{1b}[2J\u{202e}\u{9b}31m";

/// What a BMC calls its machine and what a hook prints steers nobody's terminal, whatever prints it. Colours are forced,
/// because without a terminal escape sequences are taken out of everything anyway.
#[test]
fn text_from_outside_steers_no_terminal() {
    let seen = Facts { model: Some(EVIL.into()), ..Facts::default() };
    let place = Place::seen(Span(50), 2, &seen, &Facts::default());
    place.write("say.txt", EVIL);
    let hooks = "hooks:\n  post-migration:\n    - {name: zone, run: [/bin/sh, -c, 'cat say.txt; exit 1'], undo: [/bin/true]}\n";
    place.write("failing.yaml", &(RUNBOOK.to_owned() + hooks));
    let said = |args: &[&str], code: i32| {
        let run = command(place.directory()).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR").args(args).assert().code(code);
        [&run.get_output().stdout[..], &run.get_output().stderr[..]].concat()
    };
    let mut all = said(&["plan", "failing.yaml"], 0);
    all.extend(said(&["apply", "failing.yaml", "--yes"], 4));
    let shown = said(&["inventory", "show", "web-1"], 0);
    assert!(String::from_utf8_lossy(&shown).contains("[2J\u{fffd}\u{fffd}31m"), "{}", String::from_utf8_lossy(&shown));
    all.extend(shown);
    for args in
        [&["show", "r-1"][..], &["journal", "r-1"], &["report", "r-1"], &["explain", "failing.yaml", "web-1"], &["inventory", "list"]]
    {
        all.extend(said(args, 0));
    }
    let all = String::from_utf8(all).expect("UTF-8");
    assert!(all.contains("[2J"), "what was planted is told: {all}");
    for bad in ["\u{1b}[2J", "\u{202e}", "\u{9b}"] {
        assert!(!all.contains(bad), "{bad:?} in {all:?}");
    }
}

/// Wait until somebody holds the node.
fn until_held(place: &Place, name: &str) {
    let began = Instant::now();
    while node(place, name)["reservation"].is_null() {
        assert!(began.elapsed() < Duration::from_secs(30), "`{name}` is held by nobody");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// All three spellings at the same time, for each takes the built-in fence's half a minute: with a destination by
/// position, by flag, and with none, which must find the one spare that is left.
#[test]
fn one_node_is_switched_over_without_a_file() {
    let place = Place::of(Span(50), 3, &known());
    let mut first = place.spawn(&["switchover", "web-1", "spare-2", "--yes", "--report", "one.json"]);
    until_held(&place, "spare-2");
    let mut second = place.spawn(&["node-switchover", "web-2", "--destination", "spare-3", "--yes", "--report", "two.json"]);
    until_held(&place, "spare-3");
    let mut third = place.spawn(&["switchover", "web-3", "--yes", "--report", "three.json"]);
    for (child, what) in [(&mut first, "by position"), (&mut second, "by flag"), (&mut third, "without destination")] {
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{what}");
    }
    for (report, run, source, spare) in
        [("one.json", "r-1", "web-1", "spare-2"), ("two.json", "r-2", "web-2", "spare-3"), ("three.json", "r-3", "web-3", "spare-1")]
    {
        let written: Value = serde_json::from_slice(&std::fs::read(place.path(report)).expect("the report")).expect("JSON");
        assert_eq!(written, place.json(&["report", run], 0), "the journal alone gives the same report");
        assert_eq!(written["totals"]["switched_over"], 1, "{written}");
        let told = &written["switchovers"][0];
        assert_eq!((&told["source"]["name"], &told["destination"]["name"]), (&json!(source), &json!(spare)));
        let (old, new) = (node(&place, source), node(&place, spare));
        assert_eq!((&old["volume_targets"], &new["volume_targets"]), (&json!([]), &json!([format!("vol-{source}")])));
        assert_eq!((&old["provision_state"], &new["provision_state"]), (&json!("manageable"), &json!("active")));
        assert!(old["instance"].is_null() && new["instance"].is_object(), "{old} {new}");
        assert!(old["maintenance"].is_object() && old["reservation"].is_null() && new["reservation"].is_null(), "{old} {new}");
        assert_eq!(place.lab.machine(source).map(|m| m.power), Some(PowerState::Off));
        assert_eq!(place.lab.machine(spare).map(|m| m.power), Some(PowerState::On));
    }
    place.no_volume_was_open_twice();
}
