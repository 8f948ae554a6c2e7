//! What it takes to plan: the inventory read from the embedded store, every pair judged, assigned, composed into steps
//! and audited. Nothing is asked of a BMC.
//!
//!     cargo bench --bench planning                     three sizes, and the case without classes
//!     cargo bench --bench planning -- 50000            one size
//!     cargo bench --bench planning -- different        2,000 sources and 5,000 spares, no two alike
//!
//! Every measurement is a process of its own, so that its memory is its own. `benches/planning.py` prints the same beside
//! what other solvers need.

use coldswap::adapter::store_sqlite::SqliteStore;
use coldswap::diagnostic::Source;
use coldswap::model::*;
use coldswap::plan::{Landing, Request, Switchover, choose, plan};
use coldswap::ports::{Inventory, Store};
use coldswap::runbook::{Files, Runbook, Vars, read_runbook};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLASSES: usize = 30;
const ROWS: usize = 20;
const RACKS: usize = 200;

const RUNBOOK: &str = "
apiVersion: coldswap/v1
kind: Runbook
metadata: {name: planning}
mode: planned
sources: {select: node.labels.app == 'shop', priority: node.labels.tier | default(9) | int}
pools:
  - {name: same-row, select: spare.labels.pool == 'spare' and spare.failure_domain.row == source.failure_domain.row, keep: 1}
  - {name: anywhere, select: spare.labels.pool == 'spare', keep: 5}
match:
  prefer:
    - {name: same rack, when: spare.failure_domain.rack == source.failure_domain.rack, weight: 10}
    - {name: other feed, when: spare.failure_domain.feed != source.failure_domain.feed, weight: 4}
boot: {via: redfish-override}
";

/// No two nodes alike: the preferences speak of numbers that each node has alone.
const DIFFERENT: &str = "
apiVersion: coldswap/v1
kind: Runbook
metadata: {name: different}
mode: planned
sources: {select: node.labels.app == 'shop'}
pools: [{name: anywhere, select: spare.labels.pool == 'spare'}]
match:
  prefer:
    - {name: younger, when: spare.labels.age < source.labels.age, weight: 3}
    - {name: near, when: spare.labels.place - source.labels.place < 1000 and source.labels.place - spare.labels.place < 1000, weight: 5}
    - {name: other feed, when: spare.failure_domain.feed != source.failure_domain.feed, weight: 4}
boot: {via: redfish-override}
";

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("no file {path}"))
    }
}

/// The same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn facts(class: usize) -> Facts {
    let text = |t: String| Some(t);
    Facts {
        manufacturer: text(format!("Contoso {}", class % 3)),
        model: text(format!("C{}", class % 10)),
        sku: text(format!("SKU-{class:04}")),
        cpu: CpuFacts {
            model: text(format!("X{}", class % 5)),
            count: Some(2),
            cores: Some(64),
            threads: Some(128),
            ..CpuFacts::default()
        },
        memory_mib: Some(131_072 << (class % 4)),
        boot_mode: Some(BootMode::Uefi),
        firmware: [("bios".to_owned(), format!("2.{}", class % 7)), ("bmc".to_owned(), "7.10".to_owned())].into(),
        health: Some(Health::Ok),
        ..Facts::default()
    }
}

fn node(at: usize, kind: &str, class: usize, numbers: &mut Numbers) -> Node {
    let mut node = Node::named(&format!("{kind}-{at:06}"), &format!("https://10.{}.{}.{}", at >> 16, at >> 8 & 255, at & 255));
    let rack = numbers.below(RACKS);
    node.failure_domain = FailureDomain {
        site: Some("fra1".into()),
        row: Some(format!("row-{}", rack % ROWS)),
        rack: Some(format!("rack-{rack}")),
        feed: Some(if at.is_multiple_of(2) { "a" } else { "b" }.into()),
        ..FailureDomain::default()
    };
    node.resource_class = Some(format!("class-{class}"));
    node.declared_facts = facts(class).into();
    node.live_facts = facts(class).into();
    node.identity = Identity {
        system_uuid: Some(NodeId::derived(&format!("machine-{kind}-{at}")).to_string()),
        serial_number: Some(format!("SN{kind}{at}")),
    };
    node.labels.insert("age".into(), Scalar::Integer(numbers.below(1_000_000) as i64));
    node.labels.insert("place".into(), Scalar::Integer(numbers.below(1_000_000) as i64));
    node.traits = ["CUSTOM_RAID".to_owned(), "HW_CPU_X86_AVX2".to_owned()].into();
    node.bmc.system = Some("/redfish/v1/Systems/1".into());
    node
}

fn carries(mut node: Node, labels: &[(&str, Scalar)]) -> NodeRecord {
    node.provision_state = ProvisionState::Active;
    node.instance =
        Some(Instance { uuid: NodeId::derived(&format!("instance of {}", node.name)).0, name: Some(format!("vm-{}", node.name)) });
    node.labels.extend(labels.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    let connector = VolumeConnector {
        id: ConnectorId::derived(&node.name),
        node: node.id,
        kind: ConnectorKind::Iqn,
        connector_id: format!("iqn.2026-01.example:{}", node.name),
        burned_in: false,
        generation: Generation(0),
    };
    let target = VolumeTarget {
        id: TargetId::derived(&node.name),
        node: node.id,
        volume_type: VolumeType::Iscsi,
        boot_index: 0,
        volume_id: format!("vol-{}", node.name),
        properties: [
            ("target_portal".to_owned(), Scalar::Text("10.255.0.1:3260".into())),
            ("target_iqn".to_owned(), Scalar::Text(format!("iqn.2026-01.example:vol-{}", node.name))),
            ("target_lun".to_owned(), Scalar::Integer(1)),
        ]
        .into(),
        shareable: false,
        generation: Generation(0),
    };
    NodeRecord { node, connectors: vec![connector], targets: vec![target] }
}

fn spare(mut node: Node) -> NodeRecord {
    node.provision_state = ProvisionState::Manageable;
    node.labels.insert("pool".into(), Scalar::Text("spare".into()));
    NodeRecord { node, connectors: Vec::new(), targets: Vec::new() }
}

/// A fifth of the nodes are sources, a quarter spares, the rest works on.
fn fleet(nodes: usize) -> Vec<NodeRecord> {
    let numbers = &mut Numbers(7);
    let app = |name: &str| ("app", Scalar::Text(name.into()));
    let made = (0..nodes).map(|at| match at % 20 {
        0..4 => {
            let tier = Scalar::Integer(numbers.below(3) as i64);
            carries(node(at, "web", at / 20 % CLASSES, numbers), &[app("shop"), ("tier", tier)])
        }
        4..9 => spare(node(at, "spare", at / 20 % CLASSES, numbers)),
        _ => carries(node(at, "other", at / 20 % CLASSES, numbers), &[app("other")]),
    });
    made.collect()
}

fn different() -> Vec<NodeRecord> {
    let numbers = &mut Numbers(7);
    let sources = (0..2_000).map(|at| at + 5_000).collect::<Vec<_>>();
    let spares: Vec<_> = (0..5_000).map(|at| spare(node(at, "spare", 0, numbers))).collect();
    let sources = sources.into_iter().map(|at| carries(node(at, "web", 0, numbers), &[("app", Scalar::Text("shop".into()))]));
    spares.into_iter().chain(sources).collect()
}

/// Processor seconds of this process, and its peak of memory in MiB.
fn used() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|n| fields[*n].parse::<f64>().expect("ticks")).sum();
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux");
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a peak");
    (ticks / 100.0, peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024)
}

/// What the BMCs of sources and spares would have said, in no time.
fn answer(fleet: &mut Fleet) {
    let concerned = fleet.nodes.values().filter(|n| n.instance.is_none() || n.labels["app"] == Scalar::Text("shop".into()));
    let live = concerned.map(|node| {
        let power = if node.instance.is_some() { PowerState::On } else { PowerState::Off };
        let reading = SystemReading { power, identity: node.identity.clone(), ..SystemReading::default() };
        (node.id, Live::Answered { reading, boot: BootSettings::default() })
    });
    fleet.live = live.collect();
}

/// The weights of the preferences that a switchover does not meet: with the pools, what the assignment keeps low.
fn missing(runbook: &Runbook, switchover: &Switchover) -> u64 {
    let missed = runbook.matching.prefer.iter().filter(|p| !switchover.preferred.contains(&p.name));
    missed.map(|p| u64::from(p.weight)).sum()
}

fn measure(text: &str, store: &Path) {
    let (runbook, _) = read_runbook(&Source::new("planning.yaml".to_owned(), text.as_bytes().to_vec()), &Vars::new(), &NoFiles)
        .unwrap_or_else(|d| panic!("{d:?}"));
    let store = SqliteStore::open(store).expect("a store");
    let cpu_before = used().0;
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut fleet = runtime.block_on(store.fleet()).expect("a fleet");
    let read = began.elapsed().as_secs_f64();
    let (answered, began) = (Instant::now(), began);
    answer(&mut fleet);
    let answered = answered.elapsed();
    if std::env::var_os("PLANNING_CHOOSE").is_some() {
        let again = Instant::now();
        let choice = choose(&runbook, &fleet, None, &[]);
        eprintln!("choose alone {:.3} s, {} pairs", again.elapsed().as_secs_f64(), choice.pairs.len());
    }
    let request = Request {
        id: "p-1".into(),
        store: store.id(),
        now: Time(1),
        landing: Landing::default(),
        only: Vec::new(),
        exclude: Vec::new(),
        allow_storm: true,
        allow_boot_cleared: Vec::new(),
        home: Default::default(),
    };
    let (plan, _) = plan(&runbook, &fleet, &request).unwrap_or_else(|d| panic!("{:?}", d.0.first()));
    let wall = (began.elapsed() - answered).as_secs_f64();
    let (cpu, peak) = used();
    println!(
        "{{\"nodes\": {}, \"planned\": {}, \"left_out\": {}, \"later_pool\": {}, \"missing\": {}, \"read_s\": {read:.3}, \"wall_s\": {wall:.3}, \"cpu_s\": {:.2}, \"peak_mib\": {peak}}}",
        fleet.nodes.len(),
        plan.switchovers.len(),
        plan.left_out.len(),
        plan.switchovers.iter().filter(|s| s.pool.as_ref() != Some(&runbook.pools[0].name)).count(),
        plan.switchovers.iter().map(|s| missing(&runbook, s)).sum::<u64>(),
        cpu - cpu_before
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [what, kind, store] = &args[..]
        && what == "measure"
    {
        return measure(if kind == "different" { DIFFERENT } else { RUNBOOK }, Path::new(store));
    }
    let cases = if args.is_empty() { ["12500", "25000", "50000", "different"].map(str::to_owned).to_vec() } else { args };
    let place = tempfile::tempdir().expect("a directory");
    for case in cases {
        let path = place.path().join(format!("{case}.db"));
        let records = if case == "different" { different() } else { fleet(case.parse().expect("a number of nodes, or `different`")) };
        SqliteStore::open(&path).map(|s| s.import(records, ImportMode::Merge)).expect("a store").expect("an import");
        for _ in 0..3 {
            let status = Command::new(std::env::current_exe().expect("a path")).args(["measure", &case]).arg(&path).status();
            assert!(status.expect("it runs").success());
        }
    }
}
