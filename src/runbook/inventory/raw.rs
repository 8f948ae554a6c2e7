//! An inventory as written.

use crate::diagnostic::{Diagnostic, codes};
use crate::model::{
    AcceleratorFacts, BootMode, ConnectorKind, CpuFacts, Facts, FailureDomain, HbaFacts, Health, MemoryFacts, NetworkFacts,
    PowerRestorePolicy, ProvisionState, Scalar, SecretRef, StorageFacts, VolumeType,
};
use crate::runbook::document::{Tree, Value};
use crate::runbook::raw::{RawSensitive, head, secret, sensitive};
use crate::runbook::shape::*;
use serde_json::{Value as Json, json};
use uuid::Uuid;

pub struct RawInventory {
    pub defaults: RawNode,
    pub nodes: Vec<RawNode>,
}

/// A node, or the defaults of all nodes, which have no name, identity, volumes or address.
#[derive(Default)]
pub struct RawNode {
    pub name: Option<At<String>>,
    pub uuid: Option<At<Uuid>>,
    pub resource_class: Option<At<String>>,
    pub provision_state: Option<At<ProvisionState>>,
    pub failure_domain: FailureDomain,
    pub labels: Map<At<Scalar>>,
    pub traits: Option<Vec<At<String>>>,
    pub capabilities: Map<At<String>>,
    pub bmc: RawBmc,
    pub identity: Option<At<RawIdentity>>,
    pub facts: Facts,
    pub read_facts: Option<(At<String>, Facts)>,
    pub maintenance: Option<At<String>>,
    pub debt: Option<At<String>>,
    pub instance: Option<RawInstance>,
    pub owner: Option<At<String>>,
    pub lessee: Option<At<String>>,
    pub connectors: Vec<At<RawConnector>>,
    pub targets: Vec<At<RawTarget>>,
}

#[derive(Default)]
pub struct RawBmc {
    pub address: Option<At<String>>,
    pub system: Option<At<String>>,
    pub username: Option<RawSensitive>,
    pub password: Option<SecretRef>,
    pub tls: Option<RawTls>,
}

#[derive(Clone)]
pub enum RawTls {
    Ca(At<String>),
    Fingerprint(At<String>),
    Verify(bool),
}

pub struct RawIdentity {
    pub system_uuid: Option<At<String>>,
    pub serial_number: Option<At<String>>,
}

pub struct RawInstance {
    pub uuid: Uuid,
    pub name: Option<String>,
}

pub struct RawConnector {
    pub uuid: Option<At<Uuid>>,
    pub kind: ConnectorKind,
    pub connector_id: At<String>,
    pub burned_in: Option<bool>,
}

pub struct RawTarget {
    pub uuid: Option<At<Uuid>>,
    pub volume_type: VolumeType,
    pub boot_index: u32,
    pub volume_id: At<String>,
    pub properties: Map<At<Scalar>>,
    pub shareable: bool,
}

pub fn inventory() -> Record<RawInventory> {
    record("inventory", |f| {
        head(f, "Inventory");
        let defaults = f.optional("defaults", "what nodes have that do not say otherwise", record("defaults", defaults));
        let nodes = f.required("nodes", "the machines", list_of("a list of nodes", record("node", node)));
        Some(RawInventory { defaults: defaults.unwrap_or_default(), nodes: nodes? })
    })
}

fn defaults(f: &mut Fields<'_>) -> Option<RawNode> {
    let mut node = RawNode::default();
    common(f, &mut node);
    node.bmc = f
        .optional(
            "bmc",
            "access to all BMCs",
            record("bmc defaults", |f| {
                let mut bmc = RawBmc::default();
                access(f, &mut bmc);
                Some(bmc)
            }),
        )
        .unwrap_or_default();
    Some(node)
}

/// What defaults and nodes share.
fn common(f: &mut Fields<'_>, node: &mut RawNode) {
    let states = words(&[
        ("enroll", ProvisionState::Enroll),
        ("manageable", ProvisionState::Manageable),
        ("available", ProvisionState::Available),
        ("active", ProvisionState::Active),
    ]);
    node.resource_class = f.optional("resource_class", "the operator's word for interchangeable machines", text("text"));
    node.provision_state = f.optional("provision_state", "Ironic's provision state; default enroll", states);
    node.failure_domain =
        f.optional("failure_domain", "where it stands and what it hangs on", record("failure domain", domain)).unwrap_or_default();
    node.labels = f.optional("labels", "free labels", map_of("a map of labels", TypedScalar)).unwrap_or_default();
    node.traits = f.optional("traits", "Ironic's traits", list_of("a list of traits", text("a trait")));
    node.capabilities =
        f.optional("capabilities", "Ironic's capabilities", map_of("a map of capabilities", text("text"))).unwrap_or_default();
    node.facts = f.optional("facts", "hardware as declared; what the BMC says must agree", facts()).unwrap_or_default();
    node.owner = f.optional("owner", "Ironic's owner", text("text"));
    node.lessee = f.optional("lessee", "Ironic's lessee", text("text"));
}

fn node(f: &mut Fields<'_>) -> Option<RawNode> {
    let mut node = RawNode { name: f.required("name", "unique name", text("a name")), ..RawNode::default() };
    node.uuid = f.optional("uuid", "Ironic's uuid; default: follows from the name", UuidText);
    common(f, &mut node);
    let bmc = f.required(
        "bmc",
        "how its BMC is reached",
        record("bmc", |f| {
            let mut bmc = RawBmc { address: f.required("address", "such as https://10.0.0.7", text("an address")), ..RawBmc::default() };
            bmc.system = f.optional("system", "path of the ComputerSystem; default: the only one", text("a path"));
            access(f, &mut bmc);
            Some(bmc)
        }),
    );
    node.identity = f.optional(
        "identity",
        "what tells this machine from others; checked at every look at its power",
        Placed(record("identity", |f| {
            let system_uuid = f.optional("system_uuid", "UUID of the ComputerSystem", text("a uuid"));
            let serial_number = f.optional("serial_number", "SerialNumber of the ComputerSystem", text("text"));
            Some(RawIdentity { system_uuid, serial_number })
        })),
    );
    node.read_facts = f.optional(
        "read_facts",
        "what a BMC said, as `inventory export` writes it; a reading of one's own takes its place",
        record("read_facts", |f| {
            let at = f.required("at", "when the BMC said it", text("a time"));
            let found = f.required("facts", "what it said", facts());
            Some((at?, found?))
        }),
    );
    let reason = record("maintenance", |f| f.required("reason", "why", text("text")));
    node.maintenance = f.optional("maintenance", "it is in maintenance", reason);
    node.debt = f.optional("debt", "what an earlier switchover owes this node, as `inventory export` writes it", text("text"));
    node.instance = f.optional(
        "instance",
        "what runs on it",
        record("instance", |f| {
            let uuid = f.required("uuid", "Ironic's instance_uuid", UuidText);
            let name = f.optional("name", "what people call it", text("a name"));
            Some(RawInstance { uuid: uuid?.value, name: name.map(|n| n.value) })
        }),
    );
    node.connectors = f
        .optional(
            "volume_connectors",
            "how it presents itself to the storage",
            list_of("a list of volume connectors", Placed(record("volume connector", connector))),
        )
        .unwrap_or_default();
    node.targets = f
        .optional(
            "volume_targets",
            "the volumes that it uses",
            list_of("a list of volume targets", Placed(record("volume target", target))),
        )
        .unwrap_or_default();
    node.bmc = bmc?;
    Some(node)
}

fn access(f: &mut Fields<'_>, bmc: &mut RawBmc) {
    bmc.username = f.optional("username", "text or a secret", sensitive());
    bmc.password = f.optional("password", "a secret", SecretOnly);
    bmc.tls = f.optional(
        "tls",
        "what makes its certificate good; default: the system's roots",
        record("tls", |f| {
            f.exactly_one(&["ca", "fingerprint", "verify"]);
            let ca = f.optional("ca", "PEM file of certificate authorities", text("a path")).map(RawTls::Ca);
            let fingerprint =
                f.optional("fingerprint", "sha256: and the digest of the certificate", text("a fingerprint")).map(RawTls::Fingerprint);
            let verify = f.optional("verify", "false: knowingly none", flag()).map(|v| RawTls::Verify(v.value));
            ca.or(fingerprint).or(verify)
        }),
    );
}

fn domain(f: &mut Fields<'_>) -> Option<FailureDomain> {
    let mut level = |key, about| f.optional(key, about, text("a name")).map(|t| t.value);
    Some(FailureDomain {
        site: level("site", "data centre"),
        row: level("row", "row of racks"),
        rack: level("rack", "rack"),
        chassis: level("chassis", "chassis of blades"),
        slot: level("slot", "slot in the chassis"),
        feed: level("feed", "power feed"),
    })
}

/// Declared facts; the template of a lab has them too.
pub fn facts() -> Record<Facts> {
    record("facts", |f| {
        let manufacturer = f.optional("manufacturer", "Redfish Manufacturer", text("text"));
        let model = f.optional("model", "Redfish Model", text("text"));
        let sku = f.optional("sku", "Redfish SKU", text("text"));
        let cpu = f.optional(
            "cpu",
            "processors",
            record("cpu", |f| {
                let model = f.optional("model", "ProcessorSummary.Model", text("text")).map(|t| t.value);
                let count = f.optional("count", "sockets in use", at_least(1)).map(|n| n.small());
                let cores = f.optional("cores", "of all sockets", at_least(1)).map(|n| n.small());
                let threads = f.optional("threads", "of all sockets", at_least(1)).map(|n| n.small());
                let architecture = f.optional("architecture", "such as x86_64", text("text")).map(|t| t.value);
                Some(CpuFacts { model, count, cores, threads, architecture })
            }),
        );
        let groups = groups(f);
        let memory = f.optional("memory_mib", "memory in MiB", number(1, i64::MAX));
        let boot_mode = f.optional("boot_mode", "firmware", words(&[("uefi", BootMode::Uefi), ("bios", BootMode::Bios)]));
        let secure_boot = f.optional("secure_boot", "is secure boot on?", flag());
        let firmware = f.optional("firmware", "versions by component: bios, bmc, ...", map_of("a map of versions", text("a version")));
        let states = words(&[("ok", Health::Ok), ("warning", Health::Warning), ("critical", Health::Critical)]);
        let health = f.optional("health", "Redfish Status.Health", states);
        let policies = words(&[
            ("always_on", PowerRestorePolicy::AlwaysOn),
            ("always_off", PowerRestorePolicy::AlwaysOff),
            ("last_state", PowerRestorePolicy::LastState),
        ]);
        let policy = f.optional("power_restore_policy", "what it does when mains power returns", policies);
        Some(Facts {
            manufacturer: manufacturer.map(|t| t.value),
            model: model.map(|t| t.value),
            sku: sku.map(|t| t.value),
            cpu: cpu.unwrap_or_default(),
            memory_mib: memory.and_then(|m| u64::try_from(m.value).ok()),
            boot_mode: boot_mode.map(|b| b.value),
            secure_boot: secure_boot.map(|s| s.value),
            firmware: firmware.unwrap_or_default().into_iter().map(|(k, v)| (k.value, v.value)).collect(),
            health: health.map(|h| h.value),
            power_restore_policy: policy.map(|p| p.value),
            ..groups
        })
    })
}

/// What only a full reading of a BMC gives; declared where a BMC does not say it.
fn groups(f: &mut Fields<'_>) -> Facts {
    fn count(f: &mut Fields<'_>, key: &'static str, about: &str) -> Option<u32> {
        f.optional(key, about, at_least(0)).map(|n| n.small())
    }
    fn speed(f: &mut Fields<'_>, key: &'static str, about: &str) -> Option<u64> {
        f.optional(key, about, number(1, i64::MAX)).and_then(|n| u64::try_from(n.value).ok())
    }
    fn models(f: &mut Fields<'_>) -> Option<String> {
        f.optional("models", "models with their numbers, sorted: 2 x A, 1 x B; or none", text("text")).map(|t| t.value)
    }
    let memory = record("memory", |f| Some(MemoryFacts { modules: count(f, "modules", "slots that hold a module") }));
    let accelerators = record("accelerators", |f| {
        Some(AcceleratorFacts { count: count(f, "count", "GPUs, FPGAs, DPUs and the like"), models: models(f) })
    });
    let network = record("network", |f| {
        Some(NetworkFacts {
            adapters: count(f, "adapters", "Ethernet and InfiniBand adapters"),
            ports: count(f, "ports", "their ports"),
            ports_up: count(f, "ports_up", "ports with a link"),
            speed_mbps: speed(f, "speed_mbps", "the fastest that a port can be, Mbit/s"),
            link_mbps: speed(f, "link_mbps", "the fastest link that is up, Mbit/s"),
            models: models(f),
        })
    });
    let storage = record("storage", |f| {
        let (controllers, drives) = (count(f, "controllers", "storage controllers"), count(f, "drives", "drives of its own"));
        Some(StorageFacts { controllers, drives, models: models(f) })
    });
    let hbas = record("hbas", |f| {
        let (number, ports) = (count(f, "count", "Fibre Channel adapters"), count(f, "ports", "their ports"));
        Some(HbaFacts { count: number, ports, models: models(f) })
    });
    Facts {
        memory: f.optional("memory", "memory modules", memory).unwrap_or_default(),
        accelerators: f.optional("accelerators", "GPUs and the like", accelerators).unwrap_or_default(),
        network: f.optional("network", "network adapters and ports", network).unwrap_or_default(),
        storage: f.optional("storage", "storage controllers and drives", storage).unwrap_or_default(),
        hbas: f.optional("hbas", "Fibre Channel host bus adapters", hbas).unwrap_or_default(),
        ..Facts::default()
    }
}

fn connector(f: &mut Fields<'_>) -> Option<RawConnector> {
    let uuid = f.optional("uuid", "default: follows from node, type and id", UuidText);
    let kinds =
        [ConnectorKind::Iqn, ConnectorKind::Ip, ConnectorKind::Mac, ConnectorKind::Wwnn, ConnectorKind::Wwpn].map(|k| (k.as_str(), k));
    let kind = f.required("type", "iqn, wwnn, wwpn, ip or mac", words(&kinds));
    let connector_id = f.required("connector_id", "the initiator name, WWN or address", text("the id of a connector"));
    let burned_in = f.optional("burned_in", "it belongs to the hardware and never moves; default: WWNs and MACs are", flag());
    Some(RawConnector { uuid, kind: kind?.value, connector_id: connector_id?, burned_in: burned_in.map(|b| b.value) })
}

fn target(f: &mut Fields<'_>) -> Option<RawTarget> {
    let uuid = f.optional("uuid", "default: follows from node, type, boot index and id", UuidText);
    let types =
        [VolumeType::Iscsi, VolumeType::FibreChannel, VolumeType::Fcoe, VolumeType::Nfs, VolumeType::NvmeTcp].map(|t| (t.as_str(), t));
    let volume_type = f.required("volume_type", "protocol", words(&types));
    let boot_index = f.required("boot_index", "0 is the volume to boot from", at_least(0));
    let volume_id = f.required("volume_id", "what the storage calls it", text("the id of a volume"));
    let property = Forms::new("text, a whole number, a truth value or `{secret: ...}`")
        .scalar(TypedScalar, |value| value)
        .map(Placed(secret()), |kept| At::new(Scalar::Secret { secret: kept.value }, kept.at));
    let properties = f.optional("properties", "target_portal, target_iqn, target_lun, ...", map_of("a map of properties", property));
    let shareable = f.optional("shareable", "a cluster file system lives on it; default false", flag());
    Some(RawTarget {
        uuid,
        volume_type: volume_type?.value,
        boot_index: boot_index?.small(),
        volume_id: volume_id?,
        properties: properties.unwrap_or_default(),
        shareable: shareable.is_some_and(|s| s.value),
    })
}

/// A secret that must not stand here in the open. What was written is not repeated in the message.
struct SecretOnly;

impl Shape for SecretOnly {
    type Out = SecretRef;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<SecretRef> {
        if matches!(tree.value, Value::Scalar { .. }) && !tree.is_nothing() {
            let found = Diagnostic::error(codes::PLAIN_SECRET, format!("a password in the open{}", path.inside()));
            reading.tell(found.hint("write `{secret: {env: NAME}}` or `{secret: {file: PATH}}`"), &tree.at);
            return None;
        }
        secret().read(reading, tree, path)
    }
    fn schema(&self, definitions: &mut Definitions) -> Json {
        secret().schema(definitions)
    }
}

/// A UUID.
struct UuidText;

impl Shape for UuidText {
    type Out = At<Uuid>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<Uuid>> {
        let uuid = tree.text().and_then(|t| t.parse().ok());
        if uuid.is_none() {
            reading.wrong_type(tree, path, "a uuid");
        }
        Some(At::new(uuid?, tree.at.clone()))
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": "string", "pattern": "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"})
    }
}
