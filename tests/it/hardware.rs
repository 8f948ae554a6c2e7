//! `inventory discover`, `inventory refresh` and `plan --refresh`: the program itself against a lab of some hundred BMCs
//! with broken ones among them, and against trees in the shapes that vendors use.

use crate::cli::{Place, RUNBOOK, command, text};
use crate::redfish::hardware::{TREES, served};
use coldswap::bmcsim::{self, AdapterSpec, FaultAction, FaultRule, FleetSpec, Listen, MachineSpec, RequestKind, Running, Timing};
use coldswap::model::*;
use coldswap::runbook::{BUILTIN_IDENTICAL, Format, write_inventory};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn rich() -> Facts {
    let some = |text: &str| Some(text.to_owned());
    let mut facts = Facts {
        manufacturer: some("Contoso"),
        model: some("C1"),
        sku: some("C1-7"),
        cpu: CpuFacts { model: some("X"), count: Some(2), cores: Some(64), threads: Some(128), architecture: some("x86") },
        memory_mib: Some(524_288),
        memory: MemoryFacts { modules: Some(16) },
        accelerators: AcceleratorFacts { count: Some(3), models: some("1 x F2, 2 x G1") },
        network: NetworkFacts {
            adapters: Some(2),
            ports: Some(3),
            ports_up: Some(2),
            speed_mbps: Some(100_000),
            link_mbps: Some(25_000),
            models: some("1 x E25, 1 x I100"),
        },
        storage: StorageFacts { controllers: Some(2), drives: Some(4), models: some("1 x R1, 1 x R2") },
        hbas: HbaFacts { count: Some(1), ports: Some(2), models: some("1 x FC16") },
        boot_mode: Some(BootMode::Uefi),
        secure_boot: Some(false),
        health: Some(Health::Ok),
        power_restore_policy: Some(PowerRestorePolicy::AlwaysOff),
        ..Facts::default()
    };
    facts.firmware.extend([("bios", "1"), ("bmc", "2"), ("nic", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    facts
}

fn machine(name: &str, facts: &Facts) -> MachineSpec {
    let adapter = || AdapterSpec { mac: None, iscsi: Some(IscsiBoot::default()) };
    MachineSpec { facts: facts.clone(), adapters: vec![adapter(), adapter()], ..MachineSpec::named(name) }
}

fn lab(runtime: &tokio::runtime::Runtime, machines: Vec<MachineSpec>, faults: Vec<FaultRule>) -> Running {
    let spec = FleetSpec { machines, faults, timing: Timing::instant(), ..FleetSpec::default() };
    runtime.block_on(bmcsim::start(spec, Listen::anywhere())).expect("a lab")
}

fn run(at: &Path, args: &[&str], code: i32) -> (Value, String) {
    let done = command(at).timeout(Duration::from_secs(240)).args(["--output", "json"]).args(args).assert().code(code);
    let output = done.get_output();
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), text(&output.stderr))
}

fn facts_of(at: &Path, node: &str) -> Vec<Value> {
    let (shown, _) = run(at, &["inventory", "show", node], 0);
    shown["facts"].as_array().cloned().unwrap_or_else(|| panic!("{shown}"))
}

fn fact<'a>(facts: &'a [Value], name: &str) -> &'a Value {
    facts.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("{name}: {facts:?}"))
}

#[test]
fn a_fleet_with_broken_bmcs_is_discovered_but_for_those() {
    const MACHINES: usize = 312;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let name = |n: usize| format!("node-{n:03}");
    let machines = (1..=MACHINES).map(|n| machine(&name(n), &rich())).collect();
    let rule = |n: usize, request: RequestKind, action: FaultAction| FaultRule {
        machine: name(n),
        request,
        action,
        by: None,
        status: None,
        answers: None,
        chance: None,
        times: None,
    };
    let faults = vec![
        rule(7, RequestKind::ReadSystem, FaultAction::Refuse),
        rule(99, RequestKind::ReadSystem, FaultAction::Drop),
        rule(200, RequestKind::Read, FaultAction::Refuse),
    ];
    let lab = lab(&runtime, machines, faults);
    let place = TempDir::new().expect("a directory");
    let records = (1..=MACHINES).map(|n| {
        let mut node = Node::named(&name(n), lab.address_of(&name(n)).expect("an address"));
        node.bmc.system = Some("/redfish/v1/Systems/1".into());
        NodeRecord { node, connectors: vec![], targets: vec![] }
    });
    std::fs::write(place.path().join("i.yaml"), write_inventory(&Fleet::from_records(records.collect()), Format::Yaml)).expect("written");
    run(place.path(), &["inventory", "import", "i.yaml"], 0);
    let (told, said) = run(place.path(), &["inventory", "discover", "--at-once", "64"], 4);
    assert!(!said.contains('\u{1b}'), "a bar is for terminals: {said:?}");
    let unread: Vec<&str> = told["unread"].as_array().expect("a list").iter().filter_map(|u| u["node"].as_str()).collect();
    assert_eq!((told["read"].as_u64(), unread), (Some(MACHINES as u64 - 3), vec!["node-007", "node-099", "node-200"]), "{told}");
    assert!(told["unread"].as_array().expect("a list").iter().all(|u| u["why"].as_str().is_some_and(|w| w.len() > 10)), "{told}");
    assert!(lab.requests().only_reads());
    // Everything that the machine has is known, with its source and its time.
    let facts = facts_of(place.path(), "node-312");
    let live: Facts =
        serde_json::from_value(run(place.path(), &["inventory", "show", "node-312"], 0).0["node"]["live_facts"].clone()).expect("facts");
    assert_eq!(live, rich());
    assert!(facts.iter().all(|f| f["source"] == "bmc" && f["at"].is_number()), "{facts:?}");
    assert_eq!(facts.len(), FACTS.len() + 1);
    // Again: only what was not read is asked.
    lab.set_faults(vec![]).expect("no faults");
    lab.clear_requests();
    let (told, _) = run(place.path(), &["inventory", "discover"], 0);
    assert_eq!(told["read"], 3, "{told}");
    let (told, _) = run(place.path(), &["inventory", "discover", "node-001"], 0);
    assert!(
        told["read"] == 0 && told["passed_over"][0]["why"].as_str().is_some_and(|w| w.contains("inventory refresh node-001")),
        "{told}"
    );
    drop(runtime);
}

#[test]
fn a_refresh_shows_what_has_changed() {
    let place = Place::of(Span(50), 1, &Facts { model: Some("C1".into()), ..Facts::default() });
    place.run(&["inventory", "discover"]).code(0);
    let told = place.json(&["inventory", "refresh"], 0);
    assert_eq!((&told["read"], &told["changed"]), (&json!(2), &json!([])));
    // Another machine of the same identity and model: somebody has put memory into it.
    let store = coldswap::adapter::store_sqlite::SqliteStore::open(place.path(".coldswap/state.db")).expect("the store");
    let id = NodeId::derived("web-1");
    let report = SystemReport {
        facts: Facts { model: Some("C1".into()), memory_mib: Some(1), health: Some(Health::Warning), ..Facts::default() },
        in_full: true,
        ..SystemReport::default()
    };
    place.runtime.block_on(coldswap::ports::Inventory::learn(&store, id, &report, Time(1))).expect("learnt");
    drop(store);
    let said = text(&place.run(&["inventory", "refresh", "web-1"]).code(0).get_output().stdout);
    assert!(said.contains("web-1:\n") && said.contains("  memory_mib: 1 -> unknown\n") && said.contains("  health: warning -> "), "{said}");
    assert!(said.ends_with("1 read, 1 changed\n"), "{said}");
}

#[test]
fn machines_that_are_in_no_inventory_become_nodes_and_none_twice() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let baseboard = MachineSpec { extra_systems: vec!["HGX_Baseboard_0".into()], ..machine("board", &rich()) };
    let lab = lab(&runtime, vec![machine("one", &rich()), machine("two", &rich()), baseboard], vec![]);
    let place = TempDir::new().expect("a directory");
    let addresses = ["one", "two", "board"].map(|n| lab.address_of(n).expect("an address").to_owned());
    let gone = "http://127.0.0.1:9/bmc/gone";
    std::fs::write(place.path().join("bmcs"), format!("# rack b\n{}\n{}\n\n{gone}\n", addresses[0], addresses[1])).expect("written");
    let (told, _) = run(place.path(), &["inventory", "discover", "--bmcs", "bmcs", "--bmc", &addresses[2]], 4);
    assert_eq!((told["read"].as_u64(), told["added"].as_array().map(Vec::len)), (Some(3), Some(3)), "{told}");
    assert_eq!(told["unread"][0]["node"], gone);
    let list = run(place.path(), &["inventory", "list"], 0).0;
    assert!(list["nodes"].as_array().expect("nodes").iter().all(|n| n["provision_state"] == "enroll"), "{list}");
    let node = list["nodes"][0]["name"].as_str().expect("a name").to_owned();
    assert_eq!(fact(&facts_of(place.path(), &node), "accelerators.count")["value"], 3);
    let (told, _) = run(place.path(), &["inventory", "discover", "--bmc", &addresses[0]], 0);
    assert!(told["added"] == json!([]) && told["passed_over"][0]["why"].as_str().is_some_and(|w| w.contains("in the inventory")), "{told}");
    assert_eq!(run(place.path(), &["inventory", "list"], 0).0["nodes"].as_array().map(Vec::len), Some(3));
    drop(runtime);
}

/// A server of trees as vendors show them, and the program as it is.
#[test]
fn trees_of_vendors_are_discovered_by_the_program() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let place = TempDir::new().expect("a directory");
    for (name, _) in TREES {
        let (fake, at, case) = runtime.block_on(served(name));
        let node = Node { bmc: at, ..Node::named(name, "") };
        let records = vec![NodeRecord { node, connectors: vec![], targets: vec![] }];
        let file = format!("{name}.json");
        std::fs::write(place.path().join(&file), write_inventory(&Fleet::from_records(records), Format::Json)).expect("written");
        run(place.path(), &["inventory", "import", &file], 0);
        let (told, _) = run(place.path(), &["inventory", "discover", name], 0);
        assert_eq!((&told["read"], &told["partly"]), (&json!(1), &json!([])), "{name}: {told}");
        let want: Facts = serde_json::from_value(case["facts"].clone()).expect("facts");
        let live = run(place.path(), &["inventory", "show", name], 0).0["node"]["live_facts"].clone();
        assert_eq!(serde_json::from_value::<Facts>(live).expect("facts"), want, "{name}");
        drop(fake);
    }
    drop(runtime);
}

const BY_ACCELERATORS: &str = "match: {identical: {base: none, add: [accelerators.models, network.speed_mbps]}, require: [{fact: storage.drives, at_least: source}], prefer: [{name: links, when: spare.facts.network.ports_up >= source.facts.network.ports_up}]}";

#[test]
fn a_plan_refreshes_what_it_goes_by_and_remembers_it() {
    let place = Place::of(Span(50), 2, &rich());
    place.write("by-hardware.yaml", &RUNBOOK.replace("match: {identical: {base: none, add: [model]}}", BY_ACCELERATORS));
    // The inventory declares everything here; without that word only a full reading knows.
    place.write("bare.yaml", &bare_inventory(&place));
    place.run(&["inventory", "import", "bare.yaml"]).code(0);
    place.lab.clear_requests();
    place.run(&["plan", "by-hardware.yaml"]).code(3); // unknown equals nothing
    let short = place.lab.requests().total;
    assert_eq!(place.json(&["inventory", "show", "spare-1"], 0)["node"]["full_at"], Value::Null);
    let plan = place.json(&["plan", "by-hardware.yaml", "--refresh"], 0);
    assert_eq!(plan["switchovers"].as_array().map(Vec::len), Some(2), "{plan}");
    assert!(place.lab.requests().only_reads());
    let facts = place.json(&["inventory", "show", "spare-1"], 0);
    assert_eq!(fact(facts["facts"].as_array().expect("facts"), "accelerators.models")["value"], "1 x F2, 2 x G1");
    // From now on a plan knows, for as many requests as before, and so does its execution.
    place.lab.clear_requests();
    let again = place.json(&["plan", "by-hardware.yaml"], 0);
    assert_eq!(again["switchovers"].as_array().map(Vec::len), Some(2));
    assert_eq!(place.lab.requests().total, short, "a plain plan asks for no more than it did");
    let report = place.json(&["apply", "by-hardware.yaml", "--yes"], 0);
    assert_eq!(report["totals"]["switched_over"], 2, "{report}");
    place.no_volume_was_open_twice();
}

/// The same inventory without a word of facts.
fn bare_inventory(place: &Place) -> String {
    let text = std::fs::read_to_string(place.path("inventory.yaml")).expect("the inventory");
    let source = coldswap::diagnostic::Source::new("i.yaml", text);
    let (mut records, _) = coldswap::runbook::read_inventory(&source).map_err(|_| "unreadable").expect("an inventory");
    records.iter_mut().for_each(|r| r.node.declared_facts = Facts::default().into());
    write_inventory(&Fleet::from_records(records), Format::Yaml)
}

/// Export, import elsewhere, export: nothing is lost, and whose word it was stays known.
#[test]
fn facts_travel_with_an_export_and_are_marked_as_imported() {
    let place = Place::of(Span(50), 1, &rich());
    place.write("bare.yaml", &bare_inventory(&place));
    place.run(&["inventory", "import", "bare.yaml"]).code(0);
    place.run(&["inventory", "discover"]).code(0);
    place.run(&["inventory", "export", "--out", "first.yaml"]).code(0);
    let elsewhere = TempDir::new().expect("a directory");
    let export = std::fs::read(place.path("first.yaml")).expect("the export");
    std::fs::write(elsewhere.path().join("first.yaml"), &export).expect("written");
    run(elsewhere.path(), &["inventory", "import", "first.yaml"], 0);
    command(elsewhere.path()).args(["inventory", "export", "--out", "second.yaml"]).assert().code(0);
    assert_eq!(text(&std::fs::read(elsewhere.path().join("second.yaml")).expect("the export")), text(&export));
    let facts = facts_of(elsewhere.path(), "web-1");
    assert_eq!(facts.len(), FACTS.len() + 1);
    assert!(facts.iter().all(|f| f["source"] == "imported" && f["at"].is_number()), "{facts:?}");
    // A later import of older words changes nothing, and a reading of one's own ends them.
    let (told, _) = run(elsewhere.path(), &["inventory", "import", "first.yaml"], 0);
    assert_eq!(told["unchanged"].as_array().map(Vec::len), Some(2), "{told}");
    run(elsewhere.path(), &["inventory", "refresh"], 0);
    let facts = facts_of(elsewhere.path(), "web-1");
    assert!(facts.iter().all(|f| f["source"] == "bmc"), "{facts:?}");
}

#[test]
fn the_page_of_hardware_lists_every_fact_as_the_code_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hardware.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    const HEAD: &str = "| fact | matching | reading | what it is | where it is read |\n|---|---|---|---|---|\n";
    let (head, rest) = page.split_once(HEAD).expect("the table");
    let matching = |name: &str| match BUILTIN_IDENTICAL.iter().any(|(fact, _)| *fact == name) {
        true => "identical",
        false if name == "health" => "critical excludes",
        false => "by name",
    };
    let after: String = rest.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
    let depth = |row: &FactRow| if row.depth == Depth::Full { "full" } else { "every" };
    let row = |r: &FactRow| format!("| `{}` | {} | {} | {} | {} |\n", r.name, matching(r.name), depth(r), r.what, r.redfish);
    let rows: String = FACTS.iter().map(row).collect();
    let whole = format!("{head}{HEAD}{rows}{after}");
    crate::corpus::golden(&path, &whole).expect("COLDSWAP_BLESS=1 writes it anew");
}
