//! `drill` from the command line: it touches nothing, it is the same every time, and what it finds is so.

use crate::cli::{Place, RUNBOOK, command, text};
use coldswap::model::*;
use coldswap::runbook::{ACTIONS, DRILL_REQUESTS, PRESETS, REQUESTS};
use coldswap::sim::drill;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Run in the project's own directory, with a store that is not there.
fn of_the_example(args: &[&str], code: i32) -> String {
    let directory = TempDir::new().expect("a directory");
    let store = directory.path().join("none.db");
    let mut command = command(root());
    command.args(["drill", "runbooks/rack-maintenance.yaml", "--lab", "examples/lab.yaml", "--store", &store.display().to_string()]);
    let output = command.args(args).assert().code(code);
    assert!(!store.exists(), "a drill in a lab needs no store");
    text(&output.get_output().stdout)
}

fn golden(name: &str, text: &str) {
    let path = root().join("tests/it/golden").join(name);
    if std::env::var_os("COLDSWAP_BLESS").is_some() {
        std::fs::write(&path, text).expect("write");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{}: COLDSWAP_BLESS=1 writes it", path.display());
}

#[test]
fn the_example_drilled_reads_like_this() {
    golden("drill.txt", &of_the_example(&["--seeds", "60", "--fault", "rude-bmc,dead-bmc"], 4));
}

#[test]
fn the_same_drill_gives_the_same_findings_on_any_number_of_threads() {
    let args = ["--seeds", "40", "--fault", "lost-answers,slow-post,late-power", "--mode", "both", "--output", "json"];
    let first = of_the_example(&args, 4);
    assert_eq!(of_the_example(&args, 4), first);
    let found: Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(found["format_version"], 1);
    let modes: Vec<&Value> = found["modes"].as_array().expect("modes").iter().map(|m| &m["mode"]).collect();
    assert_eq!(modes, ["planned", "disaster"]);
    for mode in found["modes"].as_array().expect("modes") {
        assert_eq!(mode["runs"], 40);
        for s in mode["switchovers"].as_array().expect("switchovers") {
            let all: u64 = s["outcomes"].as_object().expect("outcomes").values().filter_map(Value::as_u64).sum();
            assert_eq!(all, 40, "every run ends in one outcome: {s}");
        }
        assert!(mode["two_writers"].is_null());
    }
}

#[test]
fn a_drill_of_the_real_inventory_reaches_nothing() {
    let place = Place::new(Span(50));
    place.run(&["inventory", "discover"]).code(0);
    let before = place.json(&["inventory", "list"], 0);
    place.lab.clear_requests();
    let hooks = "hooks:\n  pre-shutdown:\n    - {name: drain, run: [/bin/sh, -c, 'echo ran >> log'], check: [/bin/sh, -c, 'echo checked >> log']}\n";
    place.write("hooked.yaml", &(RUNBOOK.to_owned() + hooks));
    // Times are assumed, and such machines take longer than the second that the other tests allow.
    place.write("coldswap.yaml", "apiVersion: coldswap/v1\nkind: Config\n");
    let found = place.json(&["drill", "hooked.yaml", "--seeds", "30", "--fault", "slow-storage"], 0);
    assert_eq!(found["never_read"], 0);
    assert_eq!(place.lab.requests().total, 0, "not even a read");
    assert!(!place.path("log").exists(), "no hook and no check ran");
    assert_eq!(place.json(&["inventory", "list"], 0), before);
    assert_eq!(text(&place.run(&["runs"]).code(0).get_output().stdout).lines().count(), 1, "no run was begun");
    place.run(&["drill", "runbook.yaml", "--seeds", "2", "--refresh"]).code(0);
    assert!(place.lab.requests().total > 0 && place.lab.requests().only_reads(), "{:?}", place.lab.requests());
}

#[test]
fn who_has_no_way_out_is_told_with_the_reason_and_the_seed() {
    let place = Place::new(Span(50));
    place.run(&["inventory", "discover"]).code(0);
    // Times are assumed, and such machines take longer than the second that the other tests allow.
    place.write("coldswap.yaml", "apiVersion: coldswap/v1\nkind: Config\n");
    let drill = "apiVersion: coldswap/v1\nkind: Drill\nseeds: 12\nfaults: [{machine: spare-1, request: boot, do: ignore}]\n";
    place.write("drill.yaml", drill);
    let found = place.json(&["drill", "runbook.yaml", "--drill", "drill.yaml"], 4);
    let of = |n: usize| found["modes"][0]["switchovers"][n].clone();
    assert_eq!((&of(0)["no_way_out"], &of(0)["outcomes"]["stopped"]), (&true.into(), &12.into()), "{}", of(0));
    assert_eq!((&of(1)["no_way_out"], &of(1)["outcomes"]["switched_over"]), (&false.into(), &12.into()), "{}", of(1));
    assert_eq!((&of(0)["whys"][0]["code"], &of(0)["whys"][0]["seed"]), (&"timed_out".into(), &0.into()));
    let told = text(&place.run(&["drill", "runbook.yaml", "--drill", "drill.yaml"]).code(4).get_output().stdout);
    assert!(told.contains("no way out:\n    web-1: switched over in no run"), "{told}");
    let one = place.json(&["drill", "runbook.yaml", "--drill", "drill.yaml", "--seed", "3"], 6);
    assert_eq!(one["switchovers"][0]["outcome"], "stopped");
    assert_eq!(one["run"]["id"], "drill-3");
}

/// The drill's own witness can see: a BMC that lies steadily makes two writers of the best plan, and the drill says so.
#[test]
fn a_bmc_that_lies_is_found_out() {
    let place = Place::new(Span(50));
    place.run(&["inventory", "discover"]).code(0);
    let lies = "apiVersion: coldswap/v1\nkind: Drill\nseeds: 5\nfaults:\n  - {machine: web-1, request: soft_off, do: ignore}\n  - {machine: web-1, request: hard_off, do: ignore}\n  - {machine: web-1, request: read_system, do: false_off}\n";
    place.write("lies.yaml", lies);
    let found = place.json(&["drill", "runbook.yaml", "--drill", "lies.yaml"], 6);
    assert_eq!(found["modes"][0]["two_writers"]["runs"], 5, "{found}");
}

#[test]
fn times_are_learned_from_past_runs_and_held_against_what_is_measured() {
    let place = Place::new(Span(120));
    let first = place.json(&["apply", "runbook.yaml", "--yes"], 0);
    assert!(first["switchovers"][0]["predicted"].is_null(), "nothing was measured yet");
    place.run(&["failback", "r-1", "--yes"]).code(0);
    let plan = place.json(&["plan", "runbook.yaml"], 0);
    let predicted = &plan["switchovers"][0]["predicted"];
    assert!(predicted["p50"].is_string() && predicted["p95"].is_string(), "{plan}");
    let shown = text(&place.run(&["plan", "runbook.yaml"]).code(0).get_output().stdout);
    assert!(shown.contains("by what earlier runs took"), "{shown}");
    let found = place.json(&["drill", "runbook.yaml", "--seeds", "5"], 0);
    let time = |what: &str| found["times"].as_array().expect("times").iter().find(|t| t["what"] == what).cloned().expect("the time");
    assert_eq!(time("power_on")["measured"], 4);
    assert_eq!(time("hook")["measured"], 0);
    let ms = |t: &Value| t.as_str().and_then(|t| t.parse::<Span>().ok()).expect("a span");
    assert!((Span(100)..Span(2_000)).contains(&ms(&time("power_on")["p50"])), "{}", time("power_on"));
    let second = place.json(&["apply", "runbook.yaml", "--yes"], 0);
    let told = &second["switchovers"][0];
    let (took, p50) = (told["took"]["ms"].as_u64().expect("took"), told["predicted"]["p50"]["ms"].as_u64().expect("predicted"));
    assert!(p50 > took / 3 && p50 < took * 3, "predicted {p50} ms, took {took} ms");
    assert!(text(&place.run(&["report", "r-3"]).code(0).get_output().stdout).contains("predicted"));
}

#[test]
fn the_words_of_a_drill_are_those_of_the_language() {
    assert_eq!(drill::PRESETS.map(|p| p.name), PRESETS);
    let words: Vec<&str> = REQUESTS.into_iter().chain(DRILL_REQUESTS).collect();
    assert_eq!(drill::Request::ALL.map(|(word, _)| word).to_vec(), words);
    assert_eq!(drill::Action::ALL.map(|(word, _)| word), ACTIONS);
    for preset in drill::PRESETS {
        assert!(!preset.rules().is_empty() && preset.about.len() > 20, "{}", preset.name);
    }
    let place = TempDir::new().expect("a directory");
    let wrong = command(place.path()).args(["drill", "x.yaml", "--fault", "rude-bcm"]).assert().code(2);
    assert!(text(&wrong.get_output().stderr).contains("rude-bmc"));
}

#[test]
fn findings_have_a_schema() {
    let schema = schemars::schema_for!(coldswap::cli::drill::DrillResult).to_value();
    let path = root().join("schemas/drill-result.schema.json");
    let pretty = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    if std::env::var_os("COLDSWAP_BLESS").is_some() {
        std::fs::write(&path, &pretty).expect("write");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), pretty, "COLDSWAP_BLESS=1 writes it");
    let found: Value = serde_json::from_str(&of_the_example(&["--seeds", "5", "--output", "json"], 4)).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    validator.validate(&found).unwrap_or_else(|e| panic!("{e} at {}", e.instance_path()));
}

/// `plan`, `explain` and `drill` are built on two types that hold their ports where nobody can reach them. This holds the
/// types to what they promise, and the commands to the types.
#[test]
fn nothing_that_plans_or_drills_has_a_port_that_could_touch_anything() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let used = |text: &str, port: &str| -> BTreeSet<String> {
        let calls = text.match_indices(port).map(|(at, _)| &text[at + port.len()..]);
        calls.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
    };
    let looks = read("src/executor/gather.rs");
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(used(&looks, "self.inventory."), names(&["fleet"]));
    assert_eq!(used(&looks, "self.store."), names(&["id", "journal", "load_plan", "runs"]));
    assert_eq!(used(&looks, "bmc."), names(&["clone", "close", "read", "report", "survey"]));
    for field in ["inventory: Arc", "store: Arc", "clock: Arc", "bmc: Arc", "records: Records"] {
        assert!(looks.contains(&format!("    {field}")) && !looks.contains(&format!("pub {field}")), "{field} is private");
    }
    let forbidden =
        ["ports()", "Ports", "HookRunner", "dyn Bmc", "dyn Inventory", "execute", "bmcsim", "begin_run", ".set(", "Command::new"];
    let mut files: Vec<PathBuf> =
        ["plan", "drill", "drill/text", "look", "history"].map(|f| PathBuf::from(format!("src/cli/{f}.rs"))).into();
    files.extend(["mod", "presets", "presume", "result", "rules", "world"].map(|f| PathBuf::from(format!("src/sim/drill/{f}.rs"))));
    for file in files {
        let text = read(&file.display().to_string());
        for word in forbidden {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}
