//! What names stand for: a node as the fleet shows it.

use super::Value;
use crate::model::*;
use crate::runbook::plain::may_be_secret;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

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

    /// [`Scope::with`] of only those fields that are wanted, for who asks about every node of a fleet and knows what it has.
    #[must_use]
    pub fn with_fields(
        self,
        name: &'static str,
        (node, power): (&Node, PowerState),
        connectors: &[&VolumeConnector],
        targets: &[&VolumeTarget],
        wanted: impl Fn(&str) -> bool,
    ) -> Scope {
        let fields = FIELDS.into_iter().filter(|field| wanted(field));
        let fields = fields.map(|field| (field.to_owned(), field_value(node, field, power, connectors, targets)));
        self.with_value(name, Value::Map(Arc::new(fields.collect())))
    }

    /// Bind `name` to a value made before.
    #[must_use]
    pub fn with_value(mut self, name: &'static str, value: Value) -> Scope {
        match self.bound.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.bound.push((name, value)),
        }
        self
    }

    pub(in crate::runbook) fn get(&self, path: &[String]) -> Value {
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

/// The nodes of a fleet as expressions see them. Only what is asked for is made.
pub struct NodeValues<'a> {
    fleet: &'a Fleet,
    held: OnceLock<Held<'a>>,
}

#[derive(Default)]
struct Held<'a> {
    connectors: BTreeMap<NodeId, Vec<&'a VolumeConnector>>,
    targets: BTreeMap<NodeId, Vec<&'a VolumeTarget>>,
}

impl<'a> NodeValues<'a> {
    pub fn new(fleet: &'a Fleet) -> NodeValues<'a> {
        NodeValues { fleet, held: OnceLock::new() }
    }

    /// What stands behind `steps` at that node: `["labels", "tier"]`. None of a node that the fleet does not have.
    pub fn read(&self, id: NodeId, steps: &[String]) -> Value {
        let (Some(node), Some((field, rest))) = (self.fleet.nodes.get(&id), steps.split_first()) else { return Value::None };
        // What most expressions ask for, without making the mapping around it.
        match (field.as_str(), rest) {
            ("labels", [label]) => node.labels.get(label).map_or(Value::None, Value::from),
            ("failure_domain", [level]) => Value::optional(node.failure_domain.get(level)),
            _ => {
                let held = if matches!(field.as_str(), "connectors" | "targets") {
                    self.held.get_or_init(|| self.hold())
                } else {
                    &Held::default()
                };
                let none = (&[] as &[_], &[] as &[_]);
                let connectors = held.connectors.get(&id).map_or(none.0, Vec::as_slice);
                let targets = held.targets.get(&id).map_or(none.1, Vec::as_slice);
                let whole = field_value(node, field, self.fleet.power(id), connectors, targets);
                rest.iter().fold(whole, |value, step| value.attribute(step))
            }
        }
    }

    fn hold(&self) -> Held<'a> {
        let mut held = Held::default();
        for connector in self.fleet.connectors.values() {
            held.connectors.entry(connector.node).or_default().push(connector);
        }
        for target in self.fleet.targets.values() {
            held.targets.entry(target.node).or_default().push(target);
        }
        held.targets.values_mut().for_each(|list| list.sort_by_key(|t| (t.boot_index, t.id)));
        held
    }
}

const FIELDS: [&str; 18] = [
    "name",
    "uuid",
    "labels",
    "failure_domain",
    "resource_class",
    "traits",
    "capabilities",
    "facts",
    "provision_state",
    "power_state",
    "maintenance",
    "maintenance_reason",
    "instance",
    "owner",
    "lessee",
    "bmc",
    "connectors",
    "targets",
];

fn node_value(node: &Node, power: PowerState, connectors: &[&VolumeConnector], targets: &[&VolumeTarget]) -> Value {
    Value::map(FIELDS.map(|field| (field, field_value(node, field, power, connectors, targets))))
}

/// A node as expressions see it. Credentials are left out by construction: each field is named here.
fn field_value(node: &Node, field: &str, power: PowerState, connectors: &[&VolumeConnector], targets: &[&VolumeTarget]) -> Value {
    let maintenance = node.maintenance.as_ref().map(|m| m.reason.as_str());
    match field {
        "name" => Value::text(&node.name),
        "uuid" => Value::text(&node.id.to_string()),
        "labels" => scalars(node.labels.iter()),
        "failure_domain" => failure_domain(&node.failure_domain),
        "resource_class" => Value::optional(node.resource_class.as_deref()),
        "traits" => Value::list(node.traits.iter().map(|t| Value::text(t))),
        "capabilities" => texts(&node.capabilities),
        "facts" => facts_value(&node.facts()),
        "provision_state" => wire(node.provision_state),
        "power_state" if power == PowerState::Unknown => Value::None,
        "power_state" => wire(power),
        "maintenance" => Value::Bool(maintenance.is_some()),
        "maintenance_reason" => Value::optional(maintenance),
        "instance" => node.instance.as_ref().map_or(Value::None, |i| {
            Value::map([("uuid", Value::text(&i.uuid.to_string())), ("name", Value::optional(i.name.as_deref()))])
        }),
        "owner" => Value::optional(node.owner.as_deref()),
        "lessee" => Value::optional(node.lessee.as_deref()),
        "bmc" => Value::map([("address", Value::text(&without_credentials(&node.bmc.address)))]),
        "connectors" => connectors_value(connectors),
        "targets" => Value::list(targets.iter().map(|t| target_value(t))),
        _ => Value::None,
    }
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

#[cfg(test)]
mod tests {
    use super::super::tests::{fleet, vars};
    use super::super::{Expression, Names};
    use super::*;

    #[test]
    fn a_path_read_by_itself_is_what_the_whole_node_has_there() {
        fn paths(value: &Value, at: &[String], found: &mut Vec<Vec<String>>) {
            found.push(at.to_vec());
            if let Value::Map(fields) = value {
                for (name, inner) in fields.iter() {
                    paths(inner, &[at, std::slice::from_ref(name)].concat(), found);
                }
            }
        }
        let (fleet, web, spare) = fleet();
        let values = NodeValues::new(&fleet);
        for id in [web, spare] {
            let scope = Scope::default().with("node", &fleet, id);
            let mut all = Vec::new();
            paths(&scope.get(&["node".to_owned()]), &["node".to_owned()], &mut all);
            assert!(all.len() > 30);
            for path in all.iter().filter(|p| p.len() > 1) {
                assert_eq!(values.read(id, &path[1..]), scope.get(path), "{path:?}");
            }
        }
        let node = &fleet.nodes[&web];
        let (connectors, targets): (Vec<_>, _) = (fleet.connectors_of(web).collect(), fleet.targets_of(web));
        let some = |wanted: fn(&str) -> bool| {
            let scope = Scope::default().with_fields("node", (node, fleet.power(web)), &connectors, &targets, wanted);
            scope.get(&["node".to_owned()])
        };
        assert_eq!(some(|_| true), Scope::default().with("node", &fleet, web).get(&["node".to_owned()]));
        assert_eq!(some(|field| field == "name"), Value::map([("name", Value::text(&node.name))]));
        let text = "node.labels['a.b'] == 1 or node.labels.tier == 1 and node.failure_domain.rack != 'z'";
        let expression = Expression::parse(text, Names::Node, &vars()).expect("an expression");
        let row = expression.row(|path| values.read(web, &path[1..]));
        assert_eq!(expression.holds_for(&row, &row), expression.holds(&Scope::default().with("node", &fleet, web)));
    }
}
