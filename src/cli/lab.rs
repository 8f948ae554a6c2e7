//! Labs: simulated BMCs, and a site that knows nothing but them.

use super::args::{Global, LabArgs};
use super::files::{self, Disk};
use super::inventory::refused;
use super::site::{self, Site};
use super::{Failure, output};
use crate::adapter::clock::SystemClock;
use crate::adapter::store_sqlite::SqliteStore;
use crate::bmcsim::{self, AdapterSpec, Addressing, FaultRule, FleetSpec, Listen, MachineSpec, Running, Timing};
use crate::diagnostic::Source;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::report::ExitCode;
use crate::runbook::{Format, Lab, read_inventory, read_lab, write_inventory};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// Where a command works: the real site, or a lab that lives as long as this does.
pub struct Bench {
    pub site: Site,
    _lab: Option<Running>,
}

impl Bench {
    /// `kept`: something is saved, in a lab's store too, and to be found later. Else a store that can only be read will do.
    pub async fn open(global: &Global, lab: Option<&Path>, kept: bool) -> Result<Bench, Failure> {
        let Some(path) = lab else {
            let site = if kept { Site::open(global)? } else { Site::open_to_read(global)? };
            return Ok(Bench { site, _lab: None });
        };
        let (lab, mut records) = read(path)?;
        let running = start(&lab, &mut records, 0).await?;
        let store = if kept || global.store.is_some() { fresh_store(global)? } else { SqliteStore::in_memory()? };
        let config = site::config(global)?;
        store.import(records, ImportMode::Merge).map_err(refused)?;
        let site = Site { store, config, clock: Arc::new(SystemClock::new()), landing: Some(landing(&lab)), lab: true, ironic: None };
        Ok(Bench { site, _lab: Some(running) })
    }
}

/// Twice the slowest transition, and some for a busy machine: nothing simulated takes longer but by a fault.
pub(super) fn landing(lab: &Lab) -> Span {
    Span(2 * lab.timing.on.0.max(lab.timing.off.0).max(lab.timing.soft.0) + 2_000)
}

/// `--store` where it is given; else a store of its own, beside the default one, whose name its runs carry.
fn fresh_store(global: &Global) -> Result<SqliteStore, Failure> {
    let path = site::store_path(global, &site::config(global)?)?;
    if global.store.is_some() {
        return given_store(&path);
    }
    let directory = site::labs_directory(&path);
    let wrong = |e: std::io::Error| Failure::usage(format!("`{}` cannot be made: {e}", directory.display()));
    std::fs::create_dir_all(&directory).map_err(wrong)?;
    // A name is not given a second time: its runs would be taken for the older ones.
    for n in numbers(&directory).last().map_or(1, |last| last + 1).. {
        let file = directory.join(format!("lab-{n}.db"));
        // Whoever makes the file has the name: two labs that start together do not share it.
        match std::fs::File::options().write(true).create_new(true).open(&file) {
            Ok(_) => {
                forget_old(&directory);
                let store = SqliteStore::open(&file)?;
                store.prefix_ids(&format!("lab-{n}-"))?;
                return Ok(store);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(wrong(e)),
        }
    }
    Err(Failure::usage("there is no free name for a lab's store"))
}

/// So many labs are remembered.
const LABS_KEPT: usize = 10;

/// The numbers of the labs that are remembered, the oldest first.
fn numbers(directory: &Path) -> Vec<u64> {
    let number = |name: &str| name.strip_prefix("lab-")?.strip_suffix(".db")?.parse().ok();
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> = files.filter_map(|f| number(f.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    numbers
}

/// Remove all but the last labs' stores, with what SQLite keeps beside them. One that cannot be removed is in nobody's way.
fn forget_old(directory: &Path) {
    let numbers = numbers(directory);
    for n in &numbers[..numbers.len().saturating_sub(LABS_KEPT)] {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(directory.join(format!("lab-{n}.db{suffix}")));
        }
        let _ = std::fs::remove_dir_all(directory.join(format!("lab-{n}.db.locks")));
    }
}

/// A store that is named for a lab: empty, or a lab's already. The simulated addresses of a lab must never get into the
/// records of real machines.
fn given_store(path: &Path) -> Result<SqliteStore, Failure> {
    let store = SqliteStore::open(path)?;
    if store.id_prefix()?.is_empty() {
        if !store.is_fresh()? {
            let message = format!("`{}` is a store of real machines; a lab does not touch it", path.display());
            return Err(Failure::refused(message).hint("name a store that does not exist yet, or leave `--store` out"));
        }
        store.prefix_ids("lab-")?;
    }
    Ok(store)
}

/// The lab's file and the records of its machines.
pub(super) fn read(path: &Path) -> Result<(Lab, Vec<NodeRecord>), Failure> {
    let source = files::source(path)?;
    let (lab, warnings) = read_lab(&source, &Disk).map_err(|wrong| Failure::Diagnostics(wrong, vec![source.clone()]))?;
    files::warn(&warnings, &[&source]);
    let records = match &lab.inventory {
        Some(inventory) => records(Path::new(inventory))?,
        None => made_up(&lab),
    };
    Ok((lab, records))
}

fn records(path: &Path) -> Result<Vec<NodeRecord>, Failure> {
    let source: Source = files::source(path)?;
    let (records, _) = read_inventory(&source).map_err(|wrong| Failure::Diagnostics(wrong, vec![source]))?;
    Ok(records)
}

/// Two thirds of the machines serve, each from a volume of its own; the others are spares with the label `pool: spare`.
fn made_up(lab: &Lab) -> Vec<NodeRecord> {
    let count = lab.count.unwrap_or(0);
    let serving = count - count / 3;
    (1..=count).map(|n| if n <= serving { serving_node(n) } else { spare_node(n - serving) }).collect()
}

fn spare_node(n: u32) -> NodeRecord {
    let mut node = Node::named(&format!("spare-{n:03}"), "http://127.0.0.1");
    node.provision_state = ProvisionState::Available;
    node.labels.insert("pool".into(), Scalar::Text("spare".into()));
    NodeRecord { node, connectors: Vec::new(), targets: Vec::new() }
}

fn serving_node(n: u32) -> NodeRecord {
    let name = format!("node-{n:03}");
    let mut node = Node::named(&name, "http://127.0.0.1");
    node.provision_state = ProvisionState::Active;
    node.instance = Some(Instance { uuid: NodeId::derived(&format!("instance of {name}")).0, name: Some(format!("work-{n:03}")) });
    let connector = VolumeConnector {
        id: ConnectorId::derived(&name),
        node: node.id,
        kind: ConnectorKind::Iqn,
        connector_id: format!("iqn.2026-01.example:{name}"),
        burned_in: false,
        generation: Generation(0),
    };
    let properties = BTreeMap::from([
        ("target_iqn".to_owned(), Scalar::Text(format!("iqn.2026-01.example:vol-{n:03}"))),
        ("target_portal".to_owned(), Scalar::Text("127.0.0.1:3260".into())),
        ("target_lun".to_owned(), Scalar::Integer(1)),
    ]);
    let target = VolumeTarget {
        id: TargetId::derived(&name),
        node: node.id,
        volume_type: VolumeType::Iscsi,
        boot_index: 0,
        volume_id: format!("vol-{n:03}"),
        properties,
        shareable: false,
        generation: Generation(0),
    };
    NodeRecord { node, connectors: vec![connector], targets: vec![target] }
}

/// Start a machine for each record and point the records at them. Real addresses and credentials are dropped: a lab
/// reaches nothing but itself.
async fn start(lab: &Lab, records: &mut [NodeRecord], port: u16) -> Result<Running, Failure> {
    let timing = Timing {
        latency: lab.timing.latency,
        power_on: lab.timing.on,
        power_off: lab.timing.off,
        soft_off: lab.timing.soft,
        boot: lab.timing.boot,
        settle: lab.timing.settle,
    };
    let spec = FleetSpec {
        machines: records.iter().map(|r| machine(lab, r)).collect(),
        faults: lab.faults.iter().map(fault).collect::<Result<_, _>>()?,
        timing,
        seed: lab.seed,
        ..FleetSpec::default()
    };
    let listen = Listen { addressing: Addressing::Addresses { first: Ipv4Addr::new(127, 1, 0, 1), port }, tls: None };
    let running = bmcsim::start(spec, listen).await.map_err(|e| Failure::refused(format!("the lab cannot be started: {e}")))?;
    for record in records {
        let Some(address) = running.address_of(&record.node.name) else {
            return Err(Failure::refused(format!("the lab has no machine for `{}`", record.node.name)));
        };
        {
            record.node.bmc = BmcEndpoint {
                address: address.to_owned(),
                system: Some("/redfish/v1/Systems/1".into()),
                username: None,
                password: None,
                tls: TlsTrust::System,
            };
        }
    }
    Ok(running)
}

fn fault(rule: &crate::runbook::FaultRule) -> Result<FaultRule, Failure> {
    let json = serde_json::to_value(rule).and_then(serde_json::from_value);
    json.map_err(|e| Failure::refused(format!("the fault for `{}` is not one that the simulator knows: {e}", rule.machine)))
}

fn machine(lab: &Lab, record: &NodeRecord) -> MachineSpec {
    let node = &record.node;
    let made_up = MachineSpec::named(&node.name);
    let initiator = record.connectors.iter().filter(|c| c.kind == ConnectorKind::Iqn).map(|c| c.connector_id.clone()).min();
    let boot = record.targets.iter().find(|t| t.boot_index == 0).and_then(|t| t.iscsi_boot(&initiator.unwrap_or_default()));
    let on = node.instance.is_some() || node.provision_state == ProvisionState::Active;
    let identity = match node.identity.is_empty() {
        true => Identity { system_uuid: Some(node.id.to_string()), serial_number: made_up.serial_number.clone() },
        false => node.identity.clone(),
    };
    MachineSpec {
        system_uuid: identity.system_uuid,
        serial_number: identity.serial_number,
        facts: node.declared_facts.or(&lab.template).or(&usual_hardware()),
        on,
        local_disk: on && boot.is_none(),
        adapters: vec![AdapterSpec { mac: None, iscsi: Some(boot.filter(|_| on).unwrap_or_default()) }],
        ..made_up
    }
}

/// What only a full reading shows, of machines that say nothing else.
fn usual_hardware() -> Facts {
    let some = |text: &str| Some(text.to_owned());
    Facts {
        memory: MemoryFacts { modules: Some(2) },
        accelerators: AcceleratorFacts { count: Some(0), models: some("none") },
        network: NetworkFacts {
            adapters: Some(1),
            ports: Some(2),
            ports_up: Some(2),
            speed_mbps: Some(25_000),
            link_mbps: Some(25_000),
            models: some("1 x Contoso E25"),
        },
        storage: StorageFacts { controllers: Some(1), drives: Some(2), models: some("1 x Contoso R1") },
        hbas: HbaFacts { count: Some(0), ports: Some(0), models: some("none") },
        ..Facts::default()
    }
}

/// `lab`: until stopped.
pub async fn serve(global: &Global, args: &LabArgs) -> Result<ExitCode, Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(format!("`{}` is not a loopback address; a lab has no authentication", args.listen)));
    }
    let (lab, mut records) = read(&args.lab)?;
    let running = start(&lab, &mut records, args.listen.port()).await?;
    let fleet = Fleet::from_records(records);
    if let Some(path) = &args.write_inventory {
        let json = path.extension().is_some_and(|e| e == "json");
        let text = write_inventory(&fleet, if json { Format::Json } else { Format::Yaml });
        files::write_whole(path, files::Kind::Inventory, text.as_bytes())?;
    }
    let addresses = running.addresses().clone();
    let text = || {
        let inventory = args.write_inventory.as_ref().map(|p| format!("inventory: {}\n", p.display())).unwrap_or_default();
        format!(
            "{} machines; witness, faults and requests at {}/lab\n{inventory}",
            addresses.len(),
            running.lab_url().trim_end_matches("/lab")
        )
    };
    output::print(global, text, || json!({"lab": running.lab_url(), "machines": addresses}));
    // Whoever started it in a pipe waits for the line above.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    output::note(global, "Ctrl-C ends it");
    let _ = tokio::signal::ctrl_c().await;
    let witness = running.witness();
    running.shutdown().await;
    match witness.violations.len() {
        0 => Ok(ExitCode::Done),
        n => Err(Failure::Said { message: format!("{n} times two machines had one volume open"), hint: None, code: ExitCode::NeedsPerson }),
    }
}

gates! {
    "lab store", "a lab works in a store of its own and never in one of real machines",
        Closed, "simulated addresses in real records would aim real commands", a_lab_never_touches_a_store_of_real_machines;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_machines_have_the_names_that_faults_may_name() {
        let source = Source::new("lab.yaml", "apiVersion: coldswap/v1\nkind: Lab\nmachines: {count: 7}\n");
        let (lab, _) = read_lab(&source, &Disk).expect("a lab");
        let names: Vec<String> = made_up(&lab).into_iter().map(|r| r.node.name).collect();
        assert_eq!(names, crate::runbook::made_up_names(7));
    }

    #[test]
    fn only_the_last_ten_labs_are_remembered() {
        let directory = tempfile::TempDir::new().expect("a directory");
        for n in 1..=12 {
            for suffix in ["", "-wal", "-shm"] {
                std::fs::write(directory.path().join(format!("lab-{n}.db{suffix}")), "").expect("a file");
            }
        }
        std::fs::write(directory.path().join("mine.db"), "").expect("a file");
        forget_old(directory.path());
        assert_eq!(numbers(directory.path()), (3..=12).collect::<Vec<u64>>());
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 31);
    }
}
