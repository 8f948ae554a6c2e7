//! The way back: records as a file that gives the same records when it is read.

use crate::model::*;
use crate::runbook::document::{Tree, Typed, Value};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
}

/// A value in the order in which it is to be written.
enum Out {
    Text(String),
    Bare(String),
    List(Vec<Out>),
    Map(Vec<(String, Out)>),
}

/// Every node of the fleet by name, with its connectors and volumes. Ids are written where they do not follow from
/// the names. Reading it gives the same records, but for what runs and BMCs have found out.
///
/// Paths of secrets and certificates are written as they are known, which is relative to the working directory.
pub fn write_inventory(fleet: &Fleet, format: Format) -> String {
    let nodes = fleet.records().iter().map(node).collect();
    let head = |key: &str, value: &str| (key.to_owned(), Out::Text(value.to_owned()));
    let whole =
        Out::Map(vec![head("apiVersion", crate::runbook::API_VERSION), head("kind", "Inventory"), ("nodes".to_owned(), Out::List(nodes))]);
    let mut text = String::new();
    match format {
        Format::Yaml => whole.block(0, &mut text),
        Format::Json => {
            whole.flow(true, &mut text);
            text.push('\n');
        }
    }
    text
}

/// Collects the entries of a map that are there.
#[derive(Default)]
struct Entries(Vec<(String, Out)>);

impl Entries {
    fn put(&mut self, key: &str, value: Option<Out>) {
        self.0.extend(value.map(|v| (key.to_owned(), v)));
    }
    fn text(&mut self, key: &str, value: Option<&str>) {
        self.put(key, value.map(|v| Out::Text(v.to_owned())));
    }
    fn bare(&mut self, key: &str, value: Option<impl ToString>) {
        self.put(key, value.map(|v| Out::Bare(v.to_string())));
    }
    fn map(self) -> Option<Out> {
        (!self.0.is_empty()).then_some(Out::Map(self.0))
    }
}

fn map_of<T>(map: &BTreeMap<String, T>, value: impl Fn(&T) -> Out) -> Option<Out> {
    (!map.is_empty()).then(|| Out::Map(map.iter().map(|(k, v)| (k.clone(), value(v))).collect()))
}

fn list(items: Vec<Out>) -> Option<Out> {
    (!items.is_empty()).then_some(Out::List(items))
}

fn scalar(value: &Scalar) -> Out {
    match value {
        Scalar::Text(text) => Out::Text(text.clone()),
        Scalar::Secret { secret: place } => secret(place),
        bare => Out::Bare(bare.to_string()),
    }
}

/// The word of a fieldless enum.
fn word<T: serde::Serialize>(value: Option<T>) -> Option<Out> {
    serde_json::to_value(value?).ok()?.as_str().map(|t| Out::Text(t.to_owned()))
}

fn node(record: &NodeRecord) -> Out {
    let node = &record.node;
    let mut e = Entries::default();
    e.text("name", Some(&node.name));
    e.text("uuid", (node.id != NodeId::derived(&node.name)).then(|| node.id.to_string()).as_deref());
    e.text("resource_class", node.resource_class.as_deref());
    e.put("provision_state", word(Some(node.provision_state)));
    let mut domain = Entries::default();
    FailureDomain::LEVELS.iter().for_each(|level| domain.text(level, node.failure_domain.get(level)));
    e.put("failure_domain", domain.map());
    e.put("labels", map_of(&node.labels, scalar));
    e.put("traits", list(node.traits.iter().cloned().map(Out::Text).collect()));
    e.put("capabilities", map_of(&node.capabilities, |t| Out::Text(t.clone())));
    e.put("bmc", Some(bmc(&node.bmc)));
    let mut identity = Entries::default();
    identity.text("system_uuid", node.identity.system_uuid.as_deref());
    identity.text("serial_number", node.identity.serial_number.as_deref());
    e.put("identity", identity.map());
    e.put("facts", facts(&node.declared_facts));
    e.put("read_facts", read_facts(node));
    e.put("maintenance", node.maintenance.as_ref().map(|m| Out::Map(vec![("reason".to_owned(), Out::Text(m.reason.clone()))])));
    e.text("debt", node.debt.as_deref());
    e.put("instance", node.instance.as_ref().and_then(instance));
    e.text("owner", node.owner.as_deref());
    e.text("lessee", node.lessee.as_deref());
    e.put("volume_connectors", list(record.connectors.iter().map(connector).collect()));
    e.put("volume_targets", list(record.targets.iter().map(target).collect()));
    Out::Map(e.0)
}

fn instance(instance: &Instance) -> Option<Out> {
    let mut e = Entries::default();
    e.text("uuid", Some(&instance.uuid.to_string()));
    e.text("name", instance.name.as_deref());
    e.map()
}

fn secret(secret: &SecretRef) -> Out {
    let (key, value) = match secret {
        SecretRef::Env(name) => ("env", Out::Text(name.clone())),
        SecretRef::File(path) => ("file", Out::Text(path.clone())),
        SecretRef::Command(argv) => ("command", Out::List(argv.iter().cloned().map(Out::Text).collect())),
    };
    Out::Map(vec![("secret".to_owned(), Out::Map(vec![(key.to_owned(), value)]))])
}

fn bmc(bmc: &BmcEndpoint) -> Out {
    let mut e = Entries::default();
    e.text("address", Some(&bmc.address));
    e.text("system", bmc.system.as_deref());
    e.put(
        "username",
        bmc.username.as_ref().map(|u| match u {
            Sensitive::Plain(text) => Out::Text(text.clone()),
            Sensitive::Secret(place) => secret(place),
        }),
    );
    e.put("password", bmc.password.as_ref().map(secret));
    let tls = |key: &str, value: Out| Some(Out::Map(vec![(key.to_owned(), value)]));
    e.put(
        "tls",
        match &bmc.tls {
            TlsTrust::System => None,
            TlsTrust::Ca(path) => tls("ca", Out::Text(path.clone())),
            TlsTrust::Fingerprint(digits) => tls("fingerprint", Out::Text(format!("sha256:{digits}"))),
            TlsTrust::Unverified => tls("verify", Out::Bare("false".to_owned())),
        },
    );
    Out::Map(e.0)
}

/// What a BMC said, here or where it was imported from, for a store that has not read it.
fn read_facts(node: &Node) -> Option<Out> {
    let (at, read) = match &node.imported {
        Some(imported) => (imported.at.max(node.facts_at.unwrap_or(imported.at)), node.live_facts.or(&imported.facts)),
        None => (node.full_at.or(node.facts_at)?, (*node.live_facts).clone()),
    };
    Some(Out::Map(vec![("at".to_owned(), Out::Text(at.exact())), ("facts".to_owned(), facts(&read)?)]))
}

fn facts(facts: &Facts) -> Option<Out> {
    let mut e = Entries::default();
    e.text("manufacturer", facts.manufacturer.as_deref());
    e.text("model", facts.model.as_deref());
    e.text("sku", facts.sku.as_deref());
    let mut cpu = Entries::default();
    cpu.text("model", facts.cpu.model.as_deref());
    cpu.bare("count", facts.cpu.count);
    cpu.bare("cores", facts.cpu.cores);
    cpu.bare("threads", facts.cpu.threads);
    cpu.text("architecture", facts.cpu.architecture.as_deref());
    e.put("cpu", cpu.map());
    e.bare("memory_mib", facts.memory_mib);
    let mut memory = Entries::default();
    memory.bare("modules", facts.memory.modules);
    e.put("memory", memory.map());
    let mut accelerators = Entries::default();
    accelerators.bare("count", facts.accelerators.count);
    accelerators.text("models", facts.accelerators.models.as_deref());
    e.put("accelerators", accelerators.map());
    let mut network = Entries::default();
    network.bare("adapters", facts.network.adapters);
    network.bare("ports", facts.network.ports);
    network.bare("ports_up", facts.network.ports_up);
    network.bare("speed_mbps", facts.network.speed_mbps);
    network.bare("link_mbps", facts.network.link_mbps);
    network.text("models", facts.network.models.as_deref());
    e.put("network", network.map());
    let mut storage = Entries::default();
    storage.bare("controllers", facts.storage.controllers);
    storage.bare("drives", facts.storage.drives);
    storage.text("models", facts.storage.models.as_deref());
    e.put("storage", storage.map());
    let mut hbas = Entries::default();
    hbas.bare("count", facts.hbas.count);
    hbas.bare("ports", facts.hbas.ports);
    hbas.text("models", facts.hbas.models.as_deref());
    e.put("hbas", hbas.map());
    e.put("boot_mode", word(facts.boot_mode));
    e.bare("secure_boot", facts.secure_boot);
    e.put("firmware", map_of(&facts.firmware, |v| Out::Text(v.clone())));
    e.put("health", word(facts.health));
    e.put("power_restore_policy", word(facts.power_restore_policy));
    e.map()
}

fn connector(connector: &VolumeConnector) -> Out {
    let derived = ConnectorId::derived(&format!("{}/{}/{}", connector.node, connector.kind.as_str(), connector.connector_id));
    let mut e = Entries::default();
    e.text("uuid", (connector.id != derived).then(|| connector.id.to_string()).as_deref());
    e.text("type", Some(connector.kind.as_str()));
    e.text("connector_id", Some(&connector.connector_id));
    e.bare("burned_in", (connector.burned_in != connector.kind.burned_in_by_default()).then_some(connector.burned_in));
    Out::Map(e.0)
}

fn target(target: &VolumeTarget) -> Out {
    let kind = target.volume_type.as_str();
    let derived = TargetId::derived(&format!("{}/{kind}/{}/{}", target.node, target.boot_index, target.volume_id));
    let mut e = Entries::default();
    e.text("uuid", (target.id != derived).then(|| target.id.to_string()).as_deref());
    e.text("volume_type", Some(kind));
    e.bare("boot_index", Some(target.boot_index));
    e.text("volume_id", Some(&target.volume_id));
    e.put("properties", map_of(&target.properties, scalar));
    e.bare("shareable", target.shareable.then_some(true));
    Out::Map(e.0)
}

impl Out {
    fn is_small(&self) -> bool {
        let leaf = |o: &Out| matches!(o, Out::Text(_) | Out::Bare(_));
        match self {
            Out::Map(entries) => entries.len() <= 6 && entries.iter().all(|(_, v)| leaf(v) || v.is_small()),
            Out::List(items) => items.iter().all(leaf),
            _ => true,
        }
    }

    /// Block style; small maps and lists on one line.
    fn block(&self, indent: usize, text: &mut String) {
        let blanks = " ".repeat(indent);
        match self {
            Out::Map(entries) => {
                for (n, (key, value)) in entries.iter().enumerate() {
                    // The first entry of a list's item stands behind its dash.
                    let dash = n == 0 && text.ends_with("- ");
                    text.push_str(if dash { "" } else { &blanks });
                    text.push_str(&written(key, false));
                    text.push(':');
                    value.behind(indent, text);
                }
            }
            Out::List(items) => {
                for item in items {
                    text.push_str(&format!("{blanks}- "));
                    if item.is_small() {
                        item.flow(false, text);
                        text.push('\n');
                    } else {
                        item.block(indent + 2, text);
                    }
                }
            }
            leaf => leaf.flow(false, text),
        }
    }

    /// Behind a key.
    fn behind(&self, indent: usize, text: &mut String) {
        if self.is_small() {
            text.push(' ');
            self.flow(false, text);
            text.push('\n');
        } else {
            text.push('\n');
            self.block(indent + 2, text);
        }
    }

    /// On one line; with `json` everything in quotes that JSON wants in quotes.
    fn flow(&self, json: bool, text: &mut String) {
        let separated = |n: usize, text: &mut String| {
            if n > 0 {
                text.push_str(", ");
            }
        };
        match self {
            Out::Text(t) => text.push_str(&written(t, json)),
            Out::Bare(t) => text.push_str(t),
            Out::List(items) => {
                text.push('[');
                for (n, item) in items.iter().enumerate() {
                    separated(n, text);
                    item.flow(json, text);
                }
                text.push(']');
            }
            Out::Map(entries) => {
                text.push('{');
                for (n, (key, value)) in entries.iter().enumerate() {
                    separated(n, text);
                    text.push_str(&format!("{}: ", written(key, json)));
                    value.flow(json, text);
                }
                text.push('}');
            }
        }
    }
}

/// Text without quotes where it is read as the same text, else in double quotes.
fn written(text: &str, json: bool) -> String {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
    let tree = Tree { value: Value::Scalar { text: text.to_owned(), plain: true }, at: 0..0 };
    let plain =
        text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(word) && tree.typed() == Some(Typed::Text);
    if plain && !json {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
