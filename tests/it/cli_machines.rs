//! What a program that calls coldswap gets: one JSON document whatever happens, and refusals of what cannot be meant.

use crate::cli::{Place, RUNBOOK, command, text};
use coldswap::model::Span;
use serde_json::{Value, json};

fn said(place: &Place, args: &[&str], code: i32) -> String {
    text(&place.run(args).code(code).get_output().stderr)
}

#[test]
fn every_failure_is_one_json_document() {
    let place = Place::new(Span(50));
    // A result is no failure, whatever the exit code.
    place.write("failing.yaml", &(RUNBOOK.to_owned() + "hooks: {pre-shutdown: [{name: h, run: [/bin/false]}]}\n"));
    assert!(place.json(&["apply", "failing.yaml", "--yes"], 4)["error"].is_null());
    assert_eq!(place.json(&["apply", "runbook.yaml"], 2)["error"]["code"], "usage", "there is nobody to ask");
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    place.write("bad.yaml", "apiVersion: coldswap/v1\nkind: Runbook\nnope: 1\n");
    let error = |args: &[&str], code: i32| {
        let document = place.json(args, code);
        assert_eq!(document["format_version"], 1, "{args:?}: {document}");
        assert!(document["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{args:?}: {document}");
        document["error"].clone()
    };
    let broken = error(&["plan", "bad.yaml"], 3);
    assert_eq!((&broken["code"], &broken["message"]), (&json!("R004"), &json!("the key `metadata` is missing")), "{broken}");
    assert!(broken["hint"].is_string() && broken["diagnostics"].as_array().is_some_and(|d| d.len() > 1), "{broken}");
    assert_eq!((&broken["diagnostics"][3]["code"], &broken["diagnostics"][3]["place"]["line"]), (&json!("R003"), &json!(3)));
    let unknown = error(&["show", "r-77"], 2);
    assert!(unknown["code"] == "usage" && unknown["hint"].is_string(), "{unknown}");
    assert_eq!(error(&["inventory", "import", "none.yaml"], 2)["code"], "usage");
    assert_eq!(error(&["inventory", "import", "runbook.yaml"], 3)["code"], "R018");
    assert_eq!(error(&["switchover", "web-1", "--yes"], 3)["code"], "P003");
    assert_eq!(error(&["decide", "r-1", "approval", "approve"], 3)["code"], "refused");
    assert_eq!(error(&["frobnicate"], 2)["code"], "usage");
    assert!(place.json(&["validate", "bad.yaml"], 3)["error"].is_null());
}

#[test]
fn a_run_that_has_ended_is_neither_paused_nor_stopped() {
    let place = Place::new(Span(50));
    place.write("over.yaml", &(RUNBOOK.to_owned() + "windows: [{opens: 2020-01-01T00:00, closes: 2020-01-01T06:00}]\n"));
    let warned = said(&place, &["apply", "over.yaml", "--yes"], 5);
    assert!(warned.contains("warning[P026]") && warned.contains("2020-01-01T06:00"), "{warned}");
    assert_eq!(place.json(&["stop", "r-1"], 5)["status"], "parked");
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    for ask in [&["pause", "r-2"][..], &["stop", "r-2"]] {
        assert!(said(&place, ask, 2).contains("r-2 has ended"));
        assert_eq!(place.json(ask, 2)["error"]["code"], "usage");
    }
    assert!(said(&place, &["pause", "r-2", "--for", "0s"], 2).contains("`--for 0s`"));
}

#[test]
fn a_file_is_a_plan_or_a_runbook_whatever_it_is_called() {
    let place = Place::new(Span(50));
    let runbook: Value = json!({
        "apiVersion": "coldswap/v1", "kind": "Runbook", "metadata": {"name": "j"}, "mode": "planned", "sources": {"nodes": ["web-1"]},
        "pools": [{"name": "spares", "select": "spare.instance is none"}], "match": {"identical": {"base": "none", "add": ["model"]}},
        "fence": [{"bmc": {"reads": 2, "apart": "100ms"}}],
    });
    place.write("runbook.json", &runbook.to_string());
    assert_eq!(place.json(&["apply", "runbook.json", "--yes"], 0)["totals"]["switched_over"], 1);
    place.write("web-2.yaml", &RUNBOOK.replace("[web-1, web-2]", "[web-2]"));
    let saved = text(&place.run(&["plan", "web-2.yaml", "--out", "plan.out"]).code(0).get_output().stdout);
    assert!(saved.contains("`coldswap apply plan.out` carries it out"), "{saved}");
    let plan = std::fs::read_to_string(place.path("plan.out")).expect("the plan");
    place.write("cut", &plan[..500]);
    assert!(said(&place, &["apply", "cut", "--yes"], 3).contains("`cut` is no plan"));
    place.run(&["apply", "plan.out", "--yes"]).code(0);
}

#[test]
fn a_plan_of_a_lab_does_not_promise_to_be_carried_out() {
    let place = Place::new(Span(50));
    place.write(
        "lab.yaml",
        "apiVersion: coldswap/v1\nkind: Lab\nmachines: {count: 6, template: {model: C1}, power: {off: 10ms, on: 10ms}, boot: 10ms}\n",
    );
    place.write("lab-runbook.yaml", &RUNBOOK.replace("[web-1, web-2]", "[node-001]"));
    let shown = text(&place.run(&["plan", "lab-runbook.yaml", "--lab", "lab.yaml", "--out", "p.json"]).code(0).get_output().stdout);
    assert!(!shown.contains("`coldswap apply p.json`"), "{shown}");
    assert!(shown.contains("`coldswap apply lab-runbook.yaml --lab lab.yaml`"), "{shown}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let place = Place::new(Span(50));
    // A node that is there and is no source.
    let other = said(&place, &["plan", "runbook.yaml", "--only", "spare-1"], 3);
    assert!(other.contains("P007") && other.contains("`--only spare-1`"), "{other}");
    place.write("none.yaml", &RUNBOOK.replace("nodes: [web-1, web-2]", "select: \"node.labels.rack == 'r9'\""));
    assert!(said(&place, &["apply", "none.yaml", "--yes", "--only", "web-1"], 3).contains("P007"));
    place.run(&["plan", "runbook.yaml", "--only", "web-1"]).code(0);
    // A run that did nothing.
    place.run(&["apply", "none.yaml", "--yes"]).code(0);
    for args in [&["failback", "r-1", "--yes"][..], &["failback", "r-1", "--keep", "--yes"]] {
        let empty = said(&place, args, 3);
        assert!(empty.contains("`r-1` had no switchovers") && !empty.contains("-->"), "{empty}");
    }
    // A fault for a machine that is not there.
    place.write("drill.yaml", "apiVersion: coldswap/v1\nkind: Drill\nfaults: [{machine: web-11, request: power_on, do: late}]\n");
    let drilled = said(&place, &["drill", "runbook.yaml", "--drill", "drill.yaml", "--seeds", "2"], 3);
    assert!(drilled.contains("`web-11`") && drilled.contains("did you mean `web-1`?"), "{drilled}");
    place.write("drill.yaml", "apiVersion: coldswap/v1\nkind: Drill\nfaults: [{machine: \"web-*\", request: power_on, do: late}]\n");
    place.run(&["drill", "runbook.yaml", "--drill", "drill.yaml", "--seeds", "2"]).code(0);
}

/// CHAP credentials, an agent's password and a hook's token are kept as places, and shown as nothing else.
#[test]
fn secrets_are_taken_as_places_everywhere_and_shown_nowhere() {
    const SECRET: &str = "planted-secret-2";
    let place = Place::new(Span(50));
    std::fs::write(place.path("secret"), SECRET).expect("a file");
    let inventory = std::fs::read_to_string(place.path("inventory.yaml")).expect("the inventory");
    let with =
        |value: &str| inventory.replacen("properties: {", &format!("properties: {{auth_username: web-1, auth_password: {value}, "), 1);
    place.write("open.yaml", &with(SECRET));
    let refused = said(&place, &["inventory", "import", "open.yaml"], 3);
    assert!(refused.contains("R301") && !refused.contains(SECRET), "{refused}");
    place.write("closed.yaml", &with("{secret: {file: secret}}"));
    place.run(&["inventory", "import", "closed.yaml"]).code(0);
    let hooks = "hooks: {pre-shutdown: [{name: h, env: {TOKEN: {secret: {file: secret}}}, run: [/bin/sh, -c, 'echo $TOKEN']}]}\n";
    place.write("secret.yaml", &(RUNBOOK.to_owned() + hooks));
    let mut shown = text(&place.run(&["plan", "secret.yaml", "--out", "plan.json"]).code(0).get_output().stdout);
    assert!(shown.contains("`vol-web-1` wants CHAP credentials"), "{shown}");
    let every = [
        &["-vvv", "apply", "plan.json", "--yes", "--report", "report.json"][..],
        &["inventory", "show", "spare-1"],
        &["--output", "json", "inventory", "show", "spare-1"],
        &["inventory", "export", "--out", "export.yaml"],
        &["journal", "r-1"],
        &["show", "p-1"],
    ];
    for args in every {
        let output = command(place.directory()).args(args).output().expect("it runs");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        shown += &(text(&output.stdout) + &text(&output.stderr));
    }
    assert!(shown.contains("auth_password: {secret: {file: secret}}"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
    let mut folders = vec![place.directory().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("secret") && !path.ends_with("open.yaml") {
                let bytes = std::fs::read(&path).expect("a file");
                assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{}", path.display());
            }
        }
    }
    place.run(&["--store", "other.db", "inventory", "import", "export.yaml"]).code(0);
}

#[test]
fn of_two_answers_that_wait_the_second_is_refused_and_not_lost() {
    let place = Place::new(Span(50));
    place.write("asked.yaml", &(RUNBOOK.to_owned() + "approval: {required: true, timeout: 1m}\n"));
    let mut child = place.spawn(&["apply", "asked.yaml", "--yes"]);
    place.wait_for("\"event\":\"asked\"");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    place.run(&["decide", "r-1", "approval", "approve", "--by", "alice"]).code(5);
    let second = said(&place, &["decide", "r-1", "approval", "refuse", "--by", "bob"], 3);
    assert!(second.contains("alice") && second.contains("coldswap resume r-1"), "{second}");
    assert_eq!(place.json(&["resume", "r-1"], 0)["totals"]["switched_over"], 2);
}

/// The lease of a killed process ends; the row in the list says `running` for ever.
#[test]
fn a_run_whose_process_was_killed_is_told_as_left() {
    use coldswap::adapter::store_sqlite::SqliteStore;
    use coldswap::ports::Store;
    let place = Place::new(Span(50));
    place.run(&["plan", "runbook.yaml", "--out", "p.json"]).code(0);
    let store = SqliteStore::open(place.path(".coldswap/state.db")).expect("the store");
    let run = store.begin_run(&"p-1".into(), "test", coldswap::model::Time(1)).expect("a run");
    let lease = store.lock_run(&run, Span(1)).expect("its lease");
    store.set_status(&run, lease.token, "running").expect("it runs");
    drop(lease);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(place.json(&["runs"], 0)["runs"][0]["status"], "left");
    let listed = text(&place.run(&["runs"]).code(0).get_output().stdout);
    assert!(listed.contains("`coldswap resume r-1`"), "{listed}");
    let lease = store.lock_run(&run, Span::secs(30)).expect("another");
    store.set_status(&run, lease.token, "running").expect("it runs");
    assert_eq!(place.json(&["runs"], 0)["runs"][0]["status"], "running");
}
