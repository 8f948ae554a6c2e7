//! Where results go: never over the store or somebody's file; and what a run says that switched nothing over.

use crate::cli::{Place, RUNBOOK, text};
use coldswap::model::*;

fn told(place: &Place, args: &[&str], code: i32, words: &[&str]) {
    let told = text(&place.run(args).code(code).get_output().stderr);
    for word in words {
        assert!(told.contains(word), "{args:?}: {word}: {told}");
    }
}

#[test]
fn a_slip_of_the_hand_does_not_replace_the_store() {
    let place = Place::new(Span(50));
    std::os::unix::fs::symlink(".coldswap/state.db", place.path("link.json")).expect("a link");
    let store = ".coldswap/state.db";
    let before = place.json(&["inventory", "list"], 0);
    let places = [
        store,
        ".coldswap/../.coldswap/state.db",
        "link.json",
        ".coldswap/state.db-wal",
        ".coldswap/state.db-shm",
        ".coldswap/state.db.locks",
        ".coldswap/state.db.locks/r-1",
    ];
    for at in places {
        let words: &[&str] =
            if at.ends_with("-wal") || at.ends_with("-shm") || at.ends_with("locks") { &[at] } else { &["belongs to the store"] };
        told(&place, &["plan", "runbook.yaml", "--out", at], 2, words);
        told(&place, &["apply", "runbook.yaml", "--yes", "--report", at], 2, words);
        told(&place, &["inventory", "export", "--out", at], 2, words);
    }
    place.write("reporting.yaml", &(RUNBOOK.to_owned() + "report: {path: .coldswap/state.db}\n"));
    told(&place, &["apply", "reporting.yaml", "--yes"], 3, &["belongs to the store", "report.path"]);
    assert_eq!(place.json(&["inventory", "list"], 0), before);
    assert_eq!(place.json(&["runs"], 0)["runs"], serde_json::json!([]), "nothing had begun");
    told(&place, &["apply", "runbook.yaml", "--yes"], 0, &[]);
    told(&place, &["resume", "r-1", "--report", store], 2, &["belongs to the store"]);
    told(&place, &["failback", "r-1", "--out", store], 2, &["belongs to the store"]);
}

#[test]
fn only_a_result_of_the_same_kind_is_written_over() {
    let place = Place::new(Span(50));
    let runbook = std::fs::read(place.path("runbook.yaml")).expect("the runbook");
    for kind in
        [["plan", "runbook.yaml", "--out"].as_slice(), &["apply", "runbook.yaml", "--yes", "--report"], &["inventory", "export", "--out"]]
    {
        told(&place, &[kind, &["runbook.yaml"]].concat(), 2, &["`runbook.yaml` is there and is not", "name another file"]);
    }
    told(&place, &["inventory", "export", "--out", "/dev/null"], 2, &["no ordinary file"]);
    assert_eq!(std::fs::read(place.path("runbook.yaml")).expect("the runbook"), runbook);
    place.write("empty.json", "");
    for _ in 0..2 {
        place.run(&["plan", "runbook.yaml", "--out", "empty.json"]).code(0);
        place.run(&["inventory", "export", "--out", "inventory.yaml"]).code(0);
        place.run(&["inventory", "export", "--out", "inventory.json"]).code(0);
    }
    told(&place, &["apply", "runbook.yaml", "--yes", "--report", "empty.json"], 2, &["is not a report"]);
    place.run(&["apply", "runbook.yaml", "--yes", "--report", "report.json"]).code(0);
    place.run(&["resume", "r-1", "--report", "report.json"]).code(0);
    told(&place, &["plan", "runbook.yaml", "--out", "report.json"], 2, &["is not a saved plan"]);
}

#[test]
fn a_run_that_switched_nothing_over_says_so() {
    let place = Place::new(Span(50));
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    for spare in ["spare-1", "spare-2"] {
        place.run(&["inventory", "set", spare, "maintenance=its fan"]).code(0);
    }
    let report = ["nothing is taken home", "spare-1: maintenance: ", "its fan", "spare-2: maintenance: "];
    told(&place, &["failback", "r-1", "--yes"], 3, &report);
    told(&place, &["failback", "r-1", "--out", "home.json"], 3, &report);
    assert!(!place.path("home.json").exists());
    place.write("again.yaml", &RUNBOOK.replace("{nodes: [web-1, web-2]}", "{nodes: [spare-1, spare-2], left_out: allow}"));
    let plan = text(&place.run(&["plan", "again.yaml"]).code(0).get_output().stdout);
    assert!(plan.contains("nothing would be switched over: 2 left out"), "{plan}");
    let run = text(&place.run(&["apply", "again.yaml", "--yes"]).code(0).get_output().stdout);
    assert!(run.contains("nothing was switched over: 2 left out") && !run.contains("everything planned"), "{run}");
}
