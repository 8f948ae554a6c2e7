//! The program itself, as a person or a pipeline meets it: streams, exit codes, saved plans, interruptions.

use assert_cmd::Command;
use coldswap::bmcsim::{self, AdapterSpec, Addressing, FleetSpec, Listen, MachineSpec, Running, Timing};
use coldswap::model::*;
use coldswap::runbook::{Format, write_inventory};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const RUNBOOK: &str = r#"
apiVersion: coldswap/v1
kind: Runbook
metadata: {name: test}
mode: planned
sources: {nodes: [web-1, web-2]}
pools:
  - {name: spares, select: "spare.instance is none"}
match: {identical: {base: none, add: [model]}}
power: {soft_off: 2s}
fence: [{bmc: {reads: 2, apart: 100ms}}]
"#;

/// Simulated machines, an inventory of them, a store and a runbook, each in a directory of its own.
pub struct Place {
    pub directory: TempDir,
    pub lab: Running,
    pub runtime: tokio::runtime::Runtime,
}

fn machine(name: &str, boot: Option<IscsiBoot>, facts: Facts) -> MachineSpec {
    let on = boot.is_some();
    MachineSpec { facts, on, adapters: vec![AdapterSpec { mac: None, iscsi: Some(boot.unwrap_or_default()) }], ..MachineSpec::named(name) }
}

fn boots_from(name: &str) -> IscsiBoot {
    IscsiBoot {
        initiator: format!("iqn.2026-01.example:{name}"),
        target: format!("iqn.2026-01.example:vol-{name}"),
        portal: "127.0.0.1:3260".into(),
        lun: 1,
    }
}

fn record(name: &str, address: &str, serves: bool, facts: &Facts) -> NodeRecord {
    let mut node = Node::named(name, address);
    node.resource_class = Some("web".into());
    node.declared_facts = facts.clone().into();
    node.bmc.system = Some("/redfish/v1/Systems/1".into());
    if !serves {
        node.provision_state = ProvisionState::Available;
        return NodeRecord { node, connectors: vec![], targets: vec![] };
    }
    node.provision_state = ProvisionState::Active;
    node.instance = Some(Instance { uuid: node.id.0, name: Some(format!("work of {name}")) });
    let boot = boots_from(name);
    let connector = VolumeConnector {
        id: ConnectorId::derived(name),
        node: node.id,
        kind: ConnectorKind::Iqn,
        connector_id: boot.initiator,
        burned_in: false,
        generation: Generation(0),
    };
    let properties = BTreeMap::from([
        ("target_iqn".to_owned(), Scalar::Text(boot.target)),
        ("target_portal".to_owned(), Scalar::Text(boot.portal)),
        ("target_lun".to_owned(), Scalar::Integer(1)),
    ]);
    let target = VolumeTarget {
        id: TargetId::derived(name),
        node: node.id,
        volume_type: VolumeType::Iscsi,
        boot_index: 0,
        volume_id: format!("vol-{name}"),
        properties,
        shareable: false,
        generation: Generation(0),
    };
    NodeRecord { node, connectors: vec![connector], targets: vec![target] }
}

impl Place {
    pub fn new(power: Span) -> Place {
        Place::of(power, 2, &Facts { model: Some("C1".into()), ..Facts::default() })
    }

    /// So many sources and as many spares, of which that much is known.
    pub fn of(power: Span, pairs: usize, facts: &Facts) -> Place {
        Place::seen(power, pairs, facts, facts)
    }

    /// What the BMCs say and what the inventory declares, apart.
    pub fn seen(power: Span, pairs: usize, facts: &Facts, declared: &Facts) -> Place {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let numbered = |what: &str, serves: bool| (1..=pairs).map(|n| (format!("{what}-{n}"), serves)).collect::<Vec<_>>();
        let names = [numbered("web", true), numbered("spare", false)].concat();
        let machines = names.iter().map(|(n, serves)| machine(n, serves.then(|| boots_from(n)), facts.clone())).collect();
        let timing = Timing { latency: Span(1), power_on: power, power_off: power, soft_off: power, boot: Span(50), settle: Span::ZERO };
        let spec = FleetSpec { machines, timing, ..FleetSpec::default() };
        let listen = Listen { addressing: Addressing::Addresses { first: Ipv4Addr::new(127, 7, 0, 1), port: 0 }, tls: None };
        let lab = runtime.block_on(bmcsim::start(spec, listen)).expect("a lab");
        let records = names.iter().map(|(n, serves)| record(n, lab.address_of(n).expect("an address"), *serves, declared)).collect();
        let directory = TempDir::new().expect("a directory");
        let place = Place { directory, lab, runtime };
        place.write("inventory.yaml", &write_inventory(&Fleet::from_records(records), Format::Yaml));
        place.write("runbook.yaml", RUNBOOK);
        place.write(
            "coldswap.yaml",
            "apiVersion: coldswap/v1\nkind: Config\nbmc: {overrides: [{select: \"node.name != ''\", landing: 1s}]}\n",
        );
        place.run(&["inventory", "import", "inventory.yaml"]).code(0);
        place
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file is written");
    }

    pub fn run(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        command(self.directory.path()).args(args).assert()
    }

    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let assert = command(self.directory.path()).args(["--output", "json", "--quiet"]).args(args).assert().code(code);
        serde_json::from_slice(&assert.get_output().stdout).expect("one JSON document on standard output")
    }

    /// Start it and leave it running.
    pub fn spawn(&self, args: &[&str]) -> std::process::Child {
        std::process::Command::new(env!("CARGO_BIN_EXE_coldswap"))
            .current_dir(self.directory.path())
            .args(args)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts")
    }

    /// Wait until the journal of `r-1` has an event that contains `text`.
    pub fn wait_for(&self, text: &str) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            let output = command(self.directory.path()).args(["journal", "r-1"]).output().expect("it runs");
            if String::from_utf8_lossy(&output.stdout).contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no event with {text} within 20 s");
    }

    pub fn no_volume_was_open_twice(&self) {
        let witness = self.lab.witness();
        assert!(witness.violations.is_empty(), "{:?}", witness.violations);
    }
}

pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coldswap"));
    command.current_dir(directory).env_remove("COLDSWAP_STORE").env_remove("RUST_LOG").timeout(Duration::from_secs(60));
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_runbook_is_carried_out_and_reported() {
    let place = Place::new(Span(100));
    let report = place.json(&["apply", "runbook.yaml", "--yes", "--report", "out/report.json"], 0);
    assert_eq!(report["totals"]["switched_over"], 2);
    assert_eq!(report["switchovers"][0]["outcome"], "switched_over");
    let written: Value = serde_json::from_slice(&std::fs::read(place.path("out/report.json")).expect("the report")).expect("JSON");
    assert_eq!(written, report);
    assert_eq!(place.json(&["report", "r-1"], 0), report, "the journal alone gives the same report");
    place.no_volume_was_open_twice();
    let fleet = place.json(&["inventory", "list"], 0);
    let node = |name: &str| fleet["nodes"].as_array().expect("nodes").iter().find(|n| n["name"] == name).cloned().expect("the node");
    for (source, spare) in [("web-1", "spare-1"), ("web-2", "spare-2")] {
        assert_eq!(node(source)["volume_targets"], serde_json::json!([]));
        assert_eq!(node(spare)["volume_targets"], serde_json::json!([format!("vol-{source}")]));
        assert!(node(source)["maintenance"].is_object(), "{}", node(source));
        assert!(node(spare)["reservation"].is_null());
    }
    drop(place.runtime);
}

#[test]
fn a_dry_run_sends_only_reads() {
    let place = Place::new(Span(100));
    place.lab.clear_requests();
    let plan = place.json(&["plan", "runbook.yaml"], 0);
    assert_eq!(plan["switchovers"].as_array().map(Vec::len), Some(2));
    place.run(&["plan", "runbook.yaml", "--detailed-exitcode"]).code(10);
    place.run(&["explain", "runbook.yaml", "web-1"]).code(0);
    assert!(place.lab.requests().only_reads(), "{:?}", place.lab.requests());
}

#[test]
fn a_saved_plan_is_single_use_and_bound_to_its_store() {
    let place = Place::new(Span(50));
    place.run(&["plan", "runbook.yaml", "--out", "plan.json"]).code(0);
    let other = place.run(&["--store", "other.db", "apply", "plan.json", "--yes"]).code(3);
    assert!(text(&other.get_output().stderr).contains("was made for store"));
    let mut changed: Value = serde_json::from_slice(&std::fs::read(place.path("plan.json")).expect("the plan")).expect("JSON");
    changed["limits"]["at_once"] = 7.into();
    place.write("changed.json", &changed.to_string());
    let refused = place.run(&["apply", "changed.json", "--yes"]).code(3);
    assert!(text(&refused.get_output().stderr).contains("it was changed"));
    place.run(&["apply", "plan.json", "--yes"]).code(0);
    let again = place.run(&["apply", "plan.json", "--yes"]).code(3);
    assert!(text(&again.get_output().stderr).contains("already used by run `r-1`"), "{}", text(&again.get_output().stderr));
    place.run(&["show", "p-1"]).code(0);
}

#[test]
fn a_node_that_changed_since_the_plan_is_refused_and_the_rest_goes_on() {
    let place = Place::new(Span(50));
    place.run(&["plan", "runbook.yaml", "--out", "plan.json"]).code(0);
    place.run(&["inventory", "set", "web-1", "label.tier=1"]).code(0);
    let report = place.json(&["apply", "plan.json", "--yes"], 4);
    assert_eq!(report["switchovers"][0]["outcome"], "skipped");
    assert!(
        report["switchovers"][0]["why"]["text"].as_str().is_some_and(|t| t.contains("make a new plan")),
        "{}",
        report["switchovers"][0]["why"]
    );
    assert_eq!(report["switchovers"][1]["outcome"], "switched_over");
}

#[test]
fn a_killed_run_is_taken_up_again() {
    let place = Place::new(Span(600));
    let mut child = place.spawn(&["apply", "runbook.yaml", "--yes"]);
    place.wait_for("\"event\":\"intended\",\"switchover\":\"s-001\",\"step\":5");
    let refused = place.run(&["resume", "r-1"]).code(3);
    assert!(text(&refused.get_output().stderr).contains("being executed by another process"));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let report = place.json(&["resume", "r-1"], 0);
    assert_eq!(report["totals"]["switched_over"], 2);
    assert_eq!(report["run"]["resumed"], 1);
    place.no_volume_was_open_twice();
}

#[test]
fn an_interrupted_run_parks_what_has_not_begun() {
    let place = Place::new(Span(300));
    place.write("one.yaml", &(RUNBOOK.to_owned() + "limits: {at_once: 1}\n"));
    let mut child = place.spawn(&["apply", "one.yaml", "--yes"]);
    place.wait_for("\"started\",\"switchover\":\"s-001\"");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is interrupted");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    let report = place.json(&["report", "r-1"], 0);
    assert_eq!(report["totals"]["switched_over"], 1, "what was in flight goes on to its end");
    assert_eq!(report["totals"]["not_begun"], 1);
    assert_eq!(place.json(&["resume", "r-1"], 0)["totals"]["switched_over"], 2);
}

#[test]
fn a_failed_hook_takes_everything_back() {
    let place = Place::new(Span(50));
    let hooks = "hooks:\n  pre-shutdown:\n    - {name: drain, run: [/bin/sh, -c, 'echo drained >> log'], undo: [/bin/sh, -c, 'echo undrained >> log']}\n  post-migration:\n    - {name: zone, run: [/bin/false], undo: [/bin/true]}\n";
    place.write("failing.yaml", &(RUNBOOK.replace("[web-1, web-2]", "[web-1]") + hooks));
    let report = place.json(&["apply", "failing.yaml", "--yes"], 4);
    assert_eq!(report["switchovers"][0]["outcome"], "rolled_back");
    assert_eq!(std::fs::read_to_string(place.path("log")).expect("the log"), "drained\nundrained\n");
    assert_eq!(place.lab.machine("web-1").map(|m| m.power), Some(PowerState::On));
    assert_eq!(place.lab.machine("spare-1").map(|m| m.power), Some(PowerState::Off));
    place.no_volume_was_open_twice();
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
}

#[test]
fn the_command_of_the_specification_switches_one_node_over() {
    let place = Place::new(Span(50));
    // Two machines of which too little is known are not identical by the built-in rules.
    let refused = place.run(&["switchover", "web-1", "--yes"]).code(3);
    assert!(text(&refused.get_output().stderr).contains("web-1"), "{}", text(&refused.get_output().stderr));
    let named = place.run(&["node-switchover", "web-1", "--destination", "spare-1", "--yes"]).code(3);
    assert!(text(&named.get_output().stderr).contains("spare-1"));
}

#[test]
fn a_lab_never_touches_a_store_of_real_machines() {
    let place = Place::new(Span(50));
    let lab = "apiVersion: coldswap/v1\nkind: Lab\nmachines: {count: 6, template: {model: C1}}\n";
    place.write("lab.yaml", lab);
    let before = place.json(&["inventory", "list"], 0);
    let refused = place.run(&["apply", "runbook.yaml", "--lab", "lab.yaml", "--store", ".coldswap/state.db", "--yes"]).code(3);
    assert!(text(&refused.get_output().stderr).contains("is a store of real machines"));
    assert_eq!(place.json(&["inventory", "list"], 0), before);
}

#[test]
fn a_node_is_not_taken_from_a_switchover_that_has_not_ended() {
    let place = Place::new(Span(600));
    let mut child = place.spawn(&["apply", "runbook.yaml", "--yes"]);
    place.wait_for("\"event\":\"intended\",\"switchover\":\"s-001\",\"step\":5");
    let running = place.run(&["inventory", "release", "web-1", "--yes"]).code(3);
    assert!(text(&running.get_output().stderr).contains("being executed by another process"));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let refused = place.run(&["inventory", "release", "web-1", "--yes"]).code(3);
    assert!(text(&refused.get_output().stderr).contains("coldswap resume r-1"), "{}", text(&refused.get_output().stderr));
    place.run(&["resume", "r-1"]).code(0);
}

#[test]
fn what_is_wrong_is_told_with_the_next_step() {
    let place = Place::new(Span(50));
    let told = |args: &[&str], code: i32, words: &[&str]| {
        let output = place.run(args).code(code);
        let text = text(&output.get_output().stderr);
        for word in words {
            assert!(text.contains(word), "{args:?}: {text}");
        }
        assert!(output.get_output().stdout.is_empty(), "{args:?}: errors belong to standard error");
    };
    told(&["apply", "runbook.yaml"], 2, &["no terminal", "--yes"]);
    told(&["show", "r-9"], 2, &["no run or plan `r-9`"]);
    told(&["inventory", "show", "web1"], 2, &["did you mean `web-1`?"]);
    told(&["inventory", "set", "web-1", "maintenence=x"], 2, &["did you mean `maintenance`?"]);
    told(&["plan", "nothing.yaml"], 2, &["`nothing.yaml` cannot be read"]);
    told(&["aply"], 2, &["apply"]);
    place.write("typo.yaml", &RUNBOOK.replace("sources: {nodes", "sources: {nods"));
    told(&["plan", "typo.yaml"], 3, &["did you mean `nodes`?", "typo.yaml:6:"]);
    place.write("dangling.yaml", &RUNBOOK.replace("web-2", "web-22"));
    told(&["plan", "dangling.yaml"], 3, &["web-22"]);
}

#[test]
fn a_lab_works_twice_in_a_row_and_is_remembered() {
    let directory = TempDir::new().expect("a directory");
    let lab = "apiVersion: coldswap/v1\nkind: Lab\nmachines: {count: 6, template: {model: C1}, power: {off: 50ms, on: 50ms, soft: 50ms}, boot: 50ms}\n";
    std::fs::write(directory.path().join("lab.yaml"), lab).expect("a file");
    let runbook = RUNBOOK.replace("[web-1, web-2]", "[node-001, node-002]");
    std::fs::write(directory.path().join("runbook.yaml"), runbook).expect("a file");
    for n in 1..=2 {
        let run = command(directory.path()).args(["apply", "runbook.yaml", "--lab", "lab.yaml", "--yes"]).assert().code(0);
        assert!(text(&run.get_output().stdout).contains(&format!("lab-{n}-r-1")));
        command(directory.path()).args(["show", &format!("lab-{n}-r-1")]).assert().code(0);
    }
    let runs = command(directory.path()).arg("runs").assert().code(0);
    assert!(text(&runs.get_output().stdout).contains("lab-2-r-1"));
    command(directory.path()).args(["resume", "lab-1-r-1"]).assert().code(3);
}
