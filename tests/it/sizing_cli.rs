//! `coldswap spares size` as a person or a pipeline meets it.

use crate::corpus::golden;
use crate::crash::plan_for;
use assert_cmd::Command;
use coldswap::adapter::store_sqlite::SqliteStore;
use coldswap::model::*;
use coldswap::ports::{Record, Store};
use coldswap::sizing::Sizing;
use coldswap_sim::runbook::Mode;
use coldswap_sim::sim::{Bugs, Faults, fleet, run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const BASIC: [&str; 8] = ["spares", "size", "--nodes", "100", "--failure-rate", "5%", "--repair", "14d"];

pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coldswap"));
    command.current_dir(directory).env_remove("COLDSWAP_STORE").env_remove("COLDSWAP_CONFIG").env_remove("RUST_LOG");
    command.timeout(Duration::from_secs(60));
    command
}

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Exit code, standard output, standard error.
fn said(directory: &Path, args: &[&str]) -> (i32, String, String) {
    let output = command(directory).args(args).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

fn json(directory: &Path, args: &[&str]) -> Value {
    let (code, out, err) = said(directory, &[&["--output", "json"], args].concat());
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).expect("one JSON document")
}

fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(Sizing)).expect("JSON")
}

fn valid(document: &Value) {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let wrong: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_schema_on_disk_is_the_one_of_the_types() {
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    golden(&root("schemas/spares-size.schema.json"), &text).expect("COLDSWAP_BLESS=1 writes it anew");
}

#[test]
fn both_answers_and_the_model_are_in_the_text_and_the_json() {
    let place = place();
    let (code, out, err) = said(place.path(), &BASIC);
    assert_eq!((code, err.as_str()), (0, ""));
    for part in
        ["model: poisson, because", "99% of the time without shortage:    2 spares", "99% that the next failure finds one: 3 spares"]
    {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    assert!(out.lines().all(|l| l.len() <= 160), "{out}");
    let document = json(place.path(), &BASIC);
    valid(&document);
    assert_eq!(document["format_version"], 1);
    let answer = &document["groups"][0]["answer"];
    assert_eq!((&answer["without_shortage"]["spares"], &answer["next_failure_finds_one"]["spares"]), (&2.into(), &3.into()));
    assert_eq!(answer["model"], "poisson");
    let short = answer["table"][1]["time_short"]["value"].as_f64().expect("a number");
    assert!((short - (1.0 - 0.9838)).abs() < 5e-5, "{short}");
    let rare = json(
        place.path(),
        &[
            &BASIC[..],
            &["--domain-size", "20", "--domain-rate", "2%", "--domain-repair", "6h", "--simulated-failures", "5000", "--target", "90%"],
        ]
        .concat(),
    );
    valid(&rare);
    assert_eq!(rare["groups"][0]["answer"]["model"], "monte-carlo");
    assert!(rare["groups"][0]["answer"]["table"][0]["time_short"]["interval"]["high"].is_number());
    let mut wrong = rare;
    wrong["groups"][0]["answer"]["model"] = "guess".into();
    assert!(!jsonschema::validator_for(&schema()).expect("a schema").is_valid(&wrong), "a schema that allows everything proves nothing");
    // Numbers alone need no store, and make none.
    assert_eq!(std::fs::read_dir(place.path()).expect("a directory").count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint_and_exit_code_2() {
    let place = place();
    let size = |args: &[&'static str]| said(place.path(), &[&["spares", "size"], args].concat());
    let cases: [(&[&'static str], &str); 12] = [
        (&["--failure-rate", "5%", "--repair", "14d"], "--nodes"),
        (&["--nodes", "100", "--failure-rate", "five", "--repair", "14d"], "write a share like `5%` or a number like `0.05`"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14"], "like `90s`, `5m`, `2h` or `14d`"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14d", "--target", "99"], "write `99%`"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14d", "--target", "100%"], "below 100%"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "0s"], "takes no time"),
        (&["--nodes", "0", "--failure-rate", "5%", "--repair", "14d"], "--nodes 100"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14d", "--repairers", "0"], "leave it out"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14d", "--domain-size", "20"], "--domain-rate"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14d", "--domain-rate", "2%", "--domain-repair", "6h"], "--domain-size"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair", "14d", "--repairers", "2", "--model", "poisson"], "--model birth-death"),
        (&["--nodes", "100", "--failure-rate", "5%", "--repair-p50", "14d", "--repair-p95", "7d"], "above the median"),
    ];
    for (args, part) in cases {
        let (code, out, err) = size(args);
        assert!(code == 2 && out.is_empty() && err.contains(part), "{args:?}: {code}\n{out}\n{err}");
    }
    let (code, out, _) = said(place.path(), &["spares", "size", "--help"]);
    assert!(code == 0 && out.contains("Examples:") && out.contains("--failure-rate 5% --repair 14d"), "{out}");
}

#[test]
fn the_plot_is_one_whole_file_for_light_and_dark() {
    let place = place();
    let args = [&BASIC[..], &["--repairers", "1", "--plot", "out/spares.svg"]].concat();
    assert_eq!(said(place.path(), &args).0, 0);
    let svg = std::fs::read_to_string(place.path().join("out/spares.svg")).expect("the plot");
    for part in [
        "<svg xmlns=\"http://www.w3.org/2000/svg\"",
        "prefers-color-scheme:dark",
        "<title>",
        "<desc>",
        "<circle",
        "<rect",
        "stroke-dasharray",
        "birth-death",
    ] {
        assert!(svg.contains(part), "{part} is not in\n{svg}");
    }
    for part in ["href", "<script", "url(", "@import", "<image", "NaN", "inf\""] {
        assert!(!svg.contains(part), "{part} is in\n{svg}");
    }
    let opened = svg.matches('<').count() - svg.matches("</").count();
    assert_eq!(opened, svg.matches("</").count() + svg.matches("/>").count(), "every element ends");
    // A name from the inventory is text, never markup.
    import(place.path(), &INVENTORY.replace("resource_class: web", "resource_class: 'a<b>&\"c'"));
    let args = ["spares", "size", "--from-inventory", "--failure-rate", "5%", "--repair", "14d", "--plot", "classes.svg"];
    assert_eq!(said(place.path(), &args).0, 0);
    let svg = std::fs::read_to_string(place.path().join("classes.svg")).expect("the plot");
    assert!(svg.contains("a&lt;b&gt;&amp;&quot;c") && !svg.contains("a<b>"), "{svg}");
}

const INVENTORY: &str = r#"
apiVersion: coldswap/v1
kind: Inventory
defaults:
  resource_class: web
  facts: {manufacturer: Contoso, model: C1, cpu: {model: X2, count: 2}, memory_mib: 524288, boot_mode: uefi, firmware: {bios: "2.4"}}
nodes:
  - {name: web-1, provision_state: active, failure_domain: {rack: a}, instance: {uuid: aaaaaaaa-0000-4000-8000-000000000001}, bmc: {address: "http://127.8.0.1:1"}}
  - {name: web-2, provision_state: active, failure_domain: {rack: a}, instance: {uuid: aaaaaaaa-0000-4000-8000-000000000002}, bmc: {address: "http://127.8.0.2:1"}}
  - {name: web-3, provision_state: active, failure_domain: {rack: b}, instance: {uuid: aaaaaaaa-0000-4000-8000-000000000003}, bmc: {address: "http://127.8.0.3:1"}}
  - {name: big-1, provision_state: active, facts: {memory_mib: 1048576}, instance: {uuid: aaaaaaaa-0000-4000-8000-000000000004}, bmc: {address: "http://127.8.0.4:1"}}
  - {name: other-1, resource_class: gpu, provision_state: active, instance: {uuid: aaaaaaaa-0000-4000-8000-000000000005}, bmc: {address: "http://127.8.0.5:1"}}
  - {name: spare-1, provision_state: available, failure_domain: {rack: b}, bmc: {address: "http://127.8.0.6:1"}}
  - {name: spare-2, provision_state: available, failure_domain: {rack: b}, bmc: {address: "http://127.8.0.7:1"}}
  - {name: idle-1, provision_state: available, facts: {model: C9}, bmc: {address: "http://127.8.0.8:1"}}
  - {name: sick-1, provision_state: available, facts: {health: critical}, bmc: {address: "http://127.8.0.9:1"}}
"#;

fn import(directory: &Path, inventory: &str) {
    std::fs::write(directory.join("inventory.yaml"), inventory).expect("a file");
    let (code, _, err) = said(directory, &["inventory", "import", "inventory.yaml"]);
    assert_eq!(code, 0, "{err}");
}

/// Nodes and spares of the class with this name.
fn counts(document: &Value, name: &str) -> (u64, u64) {
    let groups = document["groups"].as_array().expect("groups");
    let group =
        groups.iter().find(|g| g["name"].as_str().is_some_and(|n| n.starts_with(name))).unwrap_or_else(|| panic!("{name}: {document}"));
    (group["answer"]["question"]["nodes"].as_u64().expect("nodes"), group["spares_now"].as_u64().expect("spares"))
}

#[test]
fn the_inventory_is_sized_class_by_class() {
    let place = place();
    let size = ["spares", "size", "--from-inventory", "--failure-rate", "20%", "--repair", "14d"];
    let (code, _, err) = said(place.path(), &size);
    assert!(code == 3 && err.contains("inventory is empty") && err.contains("inventory import"), "{code} {err}");
    import(place.path(), INVENTORY);
    let unknown = "apiVersion: coldswap/v1\nkind: Inventory\nnodes:\n  - {name: dim-1, provision_state: available, bmc: {address: \"http://127.8.0.10:1\"}}\n";
    std::fs::write(place.path().join("unknown.yaml"), unknown).expect("a file");
    assert_eq!(said(place.path(), &["inventory", "import", "unknown.yaml"]).0, 0);
    assert_eq!(said(place.path(), &["inventory", "set", "spare-2", "maintenance=fan"]).0, 0);
    let document = json(place.path(), &size);
    valid(&document);
    assert_eq!(document["groups"].as_array().map(Vec::len), Some(3));
    assert_eq!(counts(&document, "web: Contoso C1 X2, 524288 MiB"), (3, 1));
    assert_eq!(counts(&document, "web: Contoso C1 X2, 1048576 MiB"), (1, 0));
    assert_eq!(counts(&document, "gpu: Contoso C1 X2, 524288 MiB"), (1, 0));
    let why = |node: &str| {
        let all = document["left_out"].as_array().expect("a list");
        let one = all.iter().find(|l| l["nodes"].as_array().is_some_and(|n| n.contains(&node.into())));
        one.unwrap_or_else(|| panic!("{node}: {document}"))["why"].as_str().unwrap_or_default().to_owned()
    };
    assert!(why("spare-2").contains("maintenance: fan"), "{}", why("spare-2"));
    assert!(why("idle-1").contains("carries no work"), "{}", why("idle-1"));
    assert!(why("sick-1").contains("critical"), "{}", why("sick-1"));
    assert!(why("dim-1").contains("`manufacturer` is unknown") && why("dim-1").contains("inventory discover"), "{}", why("dim-1"));
    let (_, text, _) = said(place.path(), &size);
    assert!(text.contains("spares now: 1") && text.contains("class web: Contoso C1") && text.contains("not counted: dim-1"), "{text}");
    let racks = [
        &size[..],
        &["--domain", "rack", "--domain-rate", "5%", "--domain-repair", "1d", "--simulated-failures", "2000", "--target", "80%"],
    ]
    .concat();
    let (code, _, err) = said(place.path(), &racks);
    assert!(code == 3 && err.contains("has a rack in the inventory") && err.contains("--domain-size N"), "{code} {err}");
    let placed = INVENTORY.replace("defaults:\n", "defaults:\n  failure_domain: {rack: c}\n");
    import(place.path(), &placed);
    let document = json(place.path(), &racks);
    let web =
        document["groups"].as_array().expect("groups").iter().find(|g| g["name"] == "web: Contoso C1 X2, 524288 MiB").expect("the class");
    // Two machines in rack a, two in rack b: the third of b is in maintenance and no spare.
    assert_eq!(web["answer"]["question"]["domain"]["size"], 2);
}

#[test]
fn a_lab_is_asked_and_has_no_past() {
    let place = place();
    let lab = root("examples/lab.yaml").display().to_string();
    let size = ["spares", "size", "--from-inventory", "--lab", &lab, "--repair", "14d", "--failure-rate"];
    let document = json(place.path(), &[&size[..], &["20%"]].concat());
    let groups = document["groups"].as_array().expect("groups");
    let total: u64 = groups.iter().map(|g| g["answer"]["question"]["nodes"].as_u64().expect("nodes")).sum();
    assert_eq!((groups.len(), total), (2, 6), "{document}");
    let (code, _, err) = said(place.path(), &[&size[..], &["learned"]].concat());
    assert!(code == 2 && err.contains("no past"), "{code} {err}");
}

/// Make the store `years` old.
fn aged(store: &Path, years: i64) {
    let db = rusqlite::Connection::open(store).expect("the store");
    let micros: i64 = db
        .query_row("SELECT value FROM meta WHERE name = 'created_at'", [], |r| r.get::<_, String>(0))
        .expect("a row")
        .parse()
        .expect("a time");
    let then = (micros - years * 365 * 86_400_000_000).to_string();
    db.execute("UPDATE meta SET value = ?1 WHERE name = 'created_at'", [then]).expect("an update");
}

/// A run of three switchovers in the store, as the engine journals it.
fn ran(path: &Path, mode: Mode, faults: Faults, seed: u64) {
    let store = SqliteStore::open(path).expect("the store");
    let (fleet, pairs) = fleet(3, 1);
    let mut plan = plan_for(&fleet, &pairs, 3, coldswap_sim::model::Span::secs(1));
    plan.mode = mode;
    let plan_id = store.next_plan_id().expect("an id");
    plan.id = coldswap_sim::model::PlanId(plan_id.0.clone());
    let journal = run(&Arc::new(plan.clone()), &fleet, seed, faults, &[], Bugs::default()).journal;
    store.save_plan(&plan_id, Time(1), &serde_json::to_string(&plan).expect("JSON")).expect("saved");
    let id = store.begin_run(&plan_id, "test", Time(2)).expect("begun");
    let body = |e: &coldswap_sim::engine::Entry| serde_json::to_string(&e.event).expect("JSON");
    let records: Vec<_> = journal.iter().zip(1..).map(|(e, seq)| Record { seq, at: Time(e.at.0), body: body(e) }).collect();
    store.append(&id, 0, &records, &[]).expect("appended");
}

#[test]
fn a_rate_is_learned_from_disasters_and_says_what_it_rests_on() {
    let place = place();
    import(place.path(), INVENTORY);
    let store = place.path().join(".coldswap/state.db");
    aged(&store, 4);
    let size = ["spares", "size", "--nodes", "100", "--repair", "14d", "--failure-rate", "learned"];
    let (code, _, err) = said(place.path(), &size);
    assert!(code == 2 && err.contains("no disaster switchover began in 20.0 node-years") && err.contains("0.184"), "{code} {err}");
    // Maintenance is no failure.
    ran(&store, Mode::Planned, Faults::default(), 1);
    assert_eq!(said(place.path(), &size).0, 2);
    ran(&store, Mode::Disaster, Faults::default(), 2);
    let learned = json(place.path(), &size)["learned"].clone();
    assert_eq!(learned["failures"], 3);
    let number = |name: &str| learned[name].as_f64().expect("a number");
    // Five nodes with an instance, four years; three events: 0.6187 to 8.7673.
    assert!((number("node_years") - 20.0).abs() < 1e-3 && (number("rate") - 0.15).abs() < 1e-4, "{learned}");
    assert!((number("low") - 0.6187 / 20.0).abs() < 1e-4 && (number("high") - 8.7673 / 20.0).abs() < 1e-3, "{learned}");
    let (_, text, _) = said(place.path(), &size);
    assert!(
        text.starts_with("failure rate learned from 3 disaster switchovers in 20.0 node-years: 0.150") && text.contains("few"),
        "{text}"
    );
    // A switchover that does not succeed and is tried again is one failure: every step of the first try is refused.
    ran(&store, Mode::Disaster, Faults { ignored: 100, ..Faults::default() }, 3);
    assert_eq!(json(place.path(), &size)["learned"]["failures"], 6);
    ran(&store, Mode::Disaster, Faults::default(), 4);
    assert_eq!(json(place.path(), &size)["learned"]["failures"], 6);
    ran(&store, Mode::Disaster, Faults::default(), 5);
    assert_eq!(json(place.path(), &size)["learned"]["failures"], 9);
}
