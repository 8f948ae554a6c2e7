//! What names stand for: a node as the fleet shows it.

use super::Value;
use crate::model::*;
use crate::runbook::plain::may_be_secret;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// What names stand for during one evaluation. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Few, so that looking through them beats a map.
    bound: Vec<(&'static str, Value)>,
}

impl Scope {
    pub fn new(vars: &BTreeMap<String, serde_json::Value>) -> Scope {
        let vars = Value::Map(Arc::new(vars.iter().map(|(k, v)| (k.clone(), v.into())).collect()));
        Scope { bound: vec![("vars", vars)] }
    }

    /// Bind `name` to a node as the fleet shows it: fields, labels, facts, connectors, targets. A node that the fleet
    /// does not have is none.
    #[must_use]
    pub fn with(self, name: &'static str, fleet: &Fleet, node: NodeId) -> Scope {
        let value = fleet.nodes.get(&node).map_or(Value::None, |n| {
            let connectors: Vec<_> = fleet.connectors_of(node).collect();
            node_value(n, fleet.power(node), &connectors, &fleet.targets_of(node))
        });
        self.with_value(name, value)
    }

    /// Bind `name` to a value made before: see [`node_values`].
    #[must_use]
    pub fn with_value(mut self, name: &'static str, value: Value) -> Scope {
        match self.bound.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.bound.push((name, value)),
        }
        self
    }

    pub(super) fn get(&self, path: &[String]) -> Value {
        let Some((name, rest)) = path.split_first() else { return Value::None };
        let Some((_, value)) = self.bound.iter().find(|(n, _)| n == name) else { return Value::None };
        let mut value = value;
        for step in rest {
            match value {
                Value::Map(fields) => match fields.get(step) {
                    Some(inner) => value = inner,
                    None => return Value::None,
                },
                _ => return Value::None,
            }
        }
        value.clone()
    }
}

/// The values of all nodes of a fleet, made in one pass: matching binds each of them many times.
pub fn node_values(fleet: &Fleet) -> BTreeMap<NodeId, Value> {
    let mut connectors: BTreeMap<NodeId, Vec<&VolumeConnector>> = BTreeMap::new();
    for connector in fleet.connectors.values() {
        connectors.entry(connector.node).or_default().push(connector);
    }
    let mut targets: BTreeMap<NodeId, Vec<&VolumeTarget>> = BTreeMap::new();
    for target in fleet.targets.values() {
        targets.entry(target.node).or_default().push(target);
    }
    targets.values_mut().for_each(|list| list.sort_by_key(|t| (t.boot_index, t.id)));
    let empty = || (&[] as &[_], &[] as &[_]);
    fleet
        .nodes
        .values()
        .map(|node| {
            let (no_connectors, no_targets) = empty();
            let connectors = connectors.get(&node.id).map_or(no_connectors, Vec::as_slice);
            let targets = targets.get(&node.id).map_or(no_targets, Vec::as_slice);
            (node.id, node_value(node, fleet.power(node.id), connectors, targets))
        })
        .collect()
}

/// A node as expressions see it. Credentials are left out by construction: each field is named here.
fn node_value(node: &Node, power: PowerState, connectors: &[&VolumeConnector], targets: &[&VolumeTarget]) -> Value {
    let maintenance = node.maintenance.as_ref().map(|m| m.reason.as_str());
    let instance = node
        .instance
        .as_ref()
        .map_or(Value::None, |i| Value::map([("uuid", Value::text(&i.uuid.to_string())), ("name", Value::optional(i.name.as_deref()))]));
    Value::map([
        ("name", Value::text(&node.name)),
        ("uuid", Value::text(&node.id.to_string())),
        ("labels", scalars(node.labels.iter())),
        ("failure_domain", failure_domain(&node.failure_domain)),
        ("resource_class", Value::optional(node.resource_class.as_deref())),
        ("traits", Value::list(node.traits.iter().map(|t| Value::text(t)))),
        ("capabilities", texts(&node.capabilities)),
        ("facts", facts_value(&node.facts())),
        ("provision_state", wire(node.provision_state)),
        ("power_state", if power == PowerState::Unknown { Value::None } else { wire(power) }),
        ("maintenance", Value::Bool(maintenance.is_some())),
        ("maintenance_reason", Value::optional(maintenance)),
        ("instance", instance),
        ("owner", Value::optional(node.owner.as_deref())),
        ("lessee", Value::optional(node.lessee.as_deref())),
        ("bmc", Value::map([("address", Value::text(&without_credentials(&node.bmc.address)))])),
        ("connectors", connectors_value(connectors)),
        ("targets", Value::list(targets.iter().map(|t| target_value(t)))),
    ])
}

fn failure_domain(domain: &FailureDomain) -> Value {
    Value::Map(Arc::new(FailureDomain::LEVELS.iter().map(|l| ((*l).to_owned(), Value::optional(domain.get(l)))).collect()))
}

fn facts_value(facts: &Facts) -> Value {
    let fact = |name: &str| facts.get(name).as_ref().map_or(Value::None, Value::from);
    let cpu = ["model", "count", "cores", "threads", "architecture"].map(|n| (n, fact(&format!("cpu.{n}"))));
    Value::map([
        ("manufacturer", fact("manufacturer")),
        ("model", fact("model")),
        ("sku", fact("sku")),
        ("cpu", Value::map(cpu)),
        ("memory_mib", fact("memory_mib")),
        ("memory", group(facts, 0)),
        ("accelerators", group(facts, 1)),
        ("network", group(facts, 2)),
        ("storage", group(facts, 3)),
        ("hbas", group(facts, 4)),
        ("boot_mode", fact("boot_mode")),
        ("secure_boot", fact("secure_boot")),
        ("firmware", texts(&facts.firmware)),
        ("health", fact("health")),
        ("power_restore_policy", fact("power_restore_policy")),
    ])
}

/// What only a full reading gives.
const GROUPS: [(&str, &[&str]); 5] = [
    ("memory", &["modules"]),
    ("accelerators", &["count", "models"]),
    ("network", &["adapters", "ports", "ports_up", "speed_mbps", "link_mbps", "models"]),
    ("storage", &["controllers", "drives", "models"]),
    ("hbas", &["count", "ports", "models"]),
];

fn group_value(facts: &Facts, n: usize) -> Value {
    let (group, fields) = GROUPS[n];
    let fact = |field: &str| facts.get(&format!("{group}.{field}")).as_ref().map_or(Value::None, Value::from);
    Value::Map(Arc::new(fields.iter().map(|field| ((*field).to_owned(), fact(field))).collect()))
}

/// Nodes that were never read in full share one value for each group: most of a large fleet may be of that kind.
fn group(facts: &Facts, n: usize) -> Value {
    static UNKNOWN: LazyLock<[Value; GROUPS.len()]> = LazyLock::new(|| std::array::from_fn(|n| group_value(&Facts::default(), n)));
    let unknown = match n {
        0 => facts.memory == MemoryFacts::default(),
        1 => facts.accelerators == AcceleratorFacts::default(),
        2 => facts.network == NetworkFacts::default(),
        3 => facts.storage == StorageFacts::default(),
        _ => facts.hbas == HbaFacts::default(),
    };
    if unknown { UNKNOWN[n].clone() } else { group_value(facts, n) }
}

fn connectors_value(connectors: &[&VolumeConnector]) -> Value {
    use ConnectorKind::*;
    Value::map([Iqn, Ip, Mac, Wwnn, Wwpn].map(|kind| {
        let ids = connectors.iter().filter(|c| c.kind == kind).map(|c| Value::text(&c.connector_id));
        (kind.as_str(), Value::list(ids))
    }))
}

fn target_value(target: &VolumeTarget) -> Value {
    Value::map([
        ("volume_type", Value::text(target.volume_type.as_str())),
        ("boot_index", Value::Integer(target.boot_index.into())),
        ("volume_id", Value::text(&target.volume_id)),
        ("properties", scalars(target.properties.iter().filter(|(k, _)| !may_be_secret(k)))),
        ("shareable", Value::Bool(target.shareable)),
    ])
}

/// `https://user:password@host` is an address that works, so somebody writes it.
fn without_credentials(address: &str) -> String {
    match address.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, "")))) {
        Some((scheme, (host, path))) if host.contains('@') => {
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}").trim_end_matches('/').to_owned()
        }
        _ => address.to_owned(),
    }
}

fn scalars<'m>(map: impl Iterator<Item = (&'m String, &'m Scalar)>) -> Value {
    Value::Map(Arc::new(map.map(|(k, v)| (k.clone(), Value::from(v))).collect()))
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    Value::Map(Arc::new(map.iter().map(|(k, v)| (k.clone(), Value::text(v))).collect()))
}

/// The text that a fieldless enum has on the wire.
fn wire<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).as_ref().map_or(Value::None, Value::from)
}
