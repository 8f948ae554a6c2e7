//! From what an inventory says to records: defaults, ids, and what must not be there twice.

use super::raw::*;
use super::volume;
use crate::diagnostic::{LineIndex, codes};
use crate::model::*;
use crate::runbook::beside;
use crate::runbook::meaning::resolved;
use crate::runbook::plain;
use crate::runbook::raw::RawSensitive;
use crate::runbook::shape::{At, Reading};
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) fn records(reading: &Reading<'_>, raw: &RawInventory) -> Option<Vec<NodeRecord>> {
    raw.defaults.labels.iter().for_each(|(key, value)| open_secret(reading, key, &value.value, &value.at, plain::WHERE_USED));
    let records: Vec<Option<NodeRecord>> = raw.nodes.iter().map(|node| record(reading, &raw.defaults, node)).collect();
    twice(reading, raw, &records);
    records.into_iter().collect()
}

fn record(reading: &Reading<'_>, defaults: &RawNode, raw: &RawNode) -> Option<NodeRecord> {
    let name = raw.name.as_ref();
    if let Some(name) = name {
        name_is_good(reading, name);
    }
    let bmc = endpoint(reading, &defaults.bmc, &raw.bmc);
    let identity = identity(reading, raw.identity.as_ref());
    for connector in &raw.connectors {
        connector_fits(reading, &connector.value);
    }
    for target in &raw.targets {
        properties_fit(reading, &target.value);
        volume::names_fit(reading, &target.value);
    }
    raw.labels.iter().for_each(|(key, value)| open_secret(reading, key, &value.value, &value.at, plain::WHERE_USED));
    let name = &name?.value;
    let id = raw.uuid.as_ref().map_or_else(|| NodeId::derived(name), |u| NodeId(u.value));
    let text = |of: fn(&RawNode) -> Option<&At<String>>| of(raw).or(of(defaults)).map(|t| t.value.clone());
    let mut node = Node::named(name, "");
    node.id = id;
    node.bmc = bmc?;
    node.labels = merged(&defaults.labels, &raw.labels);
    node.capabilities = merged(&defaults.capabilities, &raw.capabilities);
    node.failure_domain = domain(&raw.failure_domain, &defaults.failure_domain);
    node.resource_class = text(|n| n.resource_class.as_ref());
    node.traits = raw.traits.as_ref().or(defaults.traits.as_ref()).into_iter().flatten().map(|t| t.value.clone()).collect();
    node.declared_facts = raw.facts.or(&defaults.facts).into();
    node.imported = raw.read_facts.as_ref().and_then(|(at, facts)| imported(reading, at, facts));
    node.identity = identity;
    node.provision_state = raw.provision_state.as_ref().or(defaults.provision_state.as_ref()).map_or_else(Default::default, |s| s.value);
    node.maintenance = raw.maintenance.as_ref().map(|reason| Maintenance { reason: reason.value.clone() });
    node.debt = raw.debt.as_ref().map(|debt| debt.value.clone());
    node.instance = raw.instance.as_ref().map(|i| Instance { uuid: i.uuid, name: i.name.clone() });
    node.owner = text(|n| n.owner.as_ref());
    node.lessee = text(|n| n.lessee.as_ref());
    let connectors = raw.connectors.iter().map(|c| connector(id, &c.value)).collect();
    let targets: Vec<VolumeTarget> = raw.targets.iter().map(|t| target(reading.file, id, &t.value)).collect();
    raw.targets.iter().zip(&targets).for_each(|(raw, target)| volume::boot_is_named(reading, &raw.value, target));
    Some(NodeRecord { node, connectors, targets })
}

fn imported(reading: &Reading<'_>, at: &At<String>, facts: &Facts) -> Option<Box<ImportedFacts>> {
    let Some(time) = Time::parse(&at.value) else {
        let message = format!("`{}` is not a time in UTC, like 2026-11-22T17:00:00Z", at.value);
        reading.error(codes::WRONG_TYPE, message, &at.at);
        return None;
    };
    Some(Box::new(ImportedFacts { at: time, facts: facts.clone() }))
}

/// The node's own entries over those of the defaults.
fn merged<T: Clone>(defaults: &[(At<String>, At<T>)], own: &[(At<String>, At<T>)]) -> BTreeMap<String, T> {
    defaults.iter().chain(own).map(|(k, v)| (k.value.clone(), v.value.clone())).collect()
}

fn domain(own: &FailureDomain, defaults: &FailureDomain) -> FailureDomain {
    let or = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
    FailureDomain {
        site: or(&own.site, &defaults.site),
        row: or(&own.row, &defaults.row),
        rack: or(&own.rack, &defaults.rack),
        chassis: or(&own.chassis, &defaults.chassis),
        slot: or(&own.slot, &defaults.slot),
        feed: or(&own.feed, &defaults.feed),
    }
}

/// Ironic's rule for node names: unreserved characters of RFC 3986.
fn name_is_good(reading: &Reading<'_>, name: &At<String>) {
    let good = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
    if !name.value.chars().all(good) || name.value.len() > 255 {
        reading.error(codes::BAD_NAME, "a node's name is made of letters, digits and `. _ ~ -`, at most 255 of them", &name.at);
    } else if name.value.parse::<uuid::Uuid>().is_ok() {
        reading.error(codes::BAD_NAME, "a name that is a uuid cannot be told from one", &name.at);
    }
}

fn endpoint(reading: &Reading<'_>, defaults: &RawBmc, raw: &RawBmc) -> Option<BmcEndpoint> {
    let address = raw.address.as_ref().and_then(|a| address(reading, a));
    if let Some(system) = raw.system.as_ref().filter(|s| !s.value.starts_with('/')) {
        reading.hinted(codes::BAD_ADDRESS, "the system is a path that begins with `/`", &system.at, "such as /redfish/v1/Systems/1");
    }
    let tls = raw.tls.as_ref().or(defaults.tls.as_ref()).map_or(Some(TlsTrust::System), |t| tls(reading, t));
    let username = raw.username.as_ref().or(defaults.username.as_ref()).map(|u| match u {
        RawSensitive::Plain(text) => Sensitive::Plain(text.value.clone()),
        RawSensitive::Secret(secret) => Sensitive::Secret(resolved(reading.file, secret)),
    });
    let password = raw.password.as_ref().or(defaults.password.as_ref()).map(|p| resolved(reading.file, p));
    Some(BmcEndpoint { address: address?, system: raw.system.as_ref().map(|s| s.value.clone()), username, password, tls: tls? })
}

fn address(reading: &Reading<'_>, written: &At<String>) -> Option<String> {
    let wrong = |message: &str| {
        reading.hinted(codes::BAD_ADDRESS, message, &written.at, "write it like `https://10.0.0.7` or `https://bmc-7.example:8443`");
        None
    };
    if written.value.contains('@') {
        let message = "name and password do not belong into the address";
        reading.hinted(codes::PLAIN_SECRET, message, &written.at, "use `username` and `password: {secret: ...}`");
        return None;
    }
    match url::Url::parse(&written.value) {
        Ok(url) if !matches!(url.scheme(), "https" | "http") => wrong("a BMC is reached by https"),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => wrong("the address has no host"),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => wrong("the address has a query or a fragment"),
        Ok(_) => Some(written.value.trim_end_matches('/').to_owned()),
        Err(_) => wrong("this is not an address"),
    }
}

fn tls(reading: &Reading<'_>, raw: &RawTls) -> Option<TlsTrust> {
    match raw {
        RawTls::Ca(path) => Some(TlsTrust::Ca(beside(reading.file, &path.value))),
        RawTls::Verify(true) => Some(TlsTrust::System),
        RawTls::Verify(false) => Some(TlsTrust::Unverified),
        RawTls::Fingerprint(text) => {
            let digits = text.value.strip_prefix("sha256:").unwrap_or("").replace(':', "").to_lowercase();
            let good = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if !good {
                let message = "a fingerprint is `sha256:` and 64 hex digits";
                reading.hinted(codes::BAD_FINGERPRINT, message, &text.at, "openssl x509 -noout -fingerprint -sha256");
            }
            good.then_some(TlsTrust::Fingerprint(digits))
        }
    }
}

/// What identifies nothing would let any machine pass for this one.
fn identity(reading: &Reading<'_>, raw: Option<&At<RawIdentity>>) -> Identity {
    let Some(raw) = raw else { return Identity::default() };
    let (uuid, serial) = (&raw.value.system_uuid, &raw.value.serial_number);
    let clean = Identity::clean(uuid.as_ref().map(|t| t.value.as_str()), serial.as_ref().map(|t| t.value.as_str()));
    for (written, kept) in [(uuid, &clean.system_uuid), (serial, &clean.serial_number)] {
        if let (Some(written), None) = (written, kept) {
            let message = format!("`{}` is a placeholder that many machines report: it identifies nothing", written.value);
            reading.hinted(codes::BAD_IDENTITY, message, &written.at, "remove it");
        }
    }
    clean
}

fn connector(node: NodeId, raw: &RawConnector) -> VolumeConnector {
    let derived = || ConnectorId::derived(&format!("{node}/{}/{}", raw.kind.as_str(), raw.connector_id.value));
    VolumeConnector {
        id: raw.uuid.as_ref().map_or_else(derived, |u| ConnectorId(u.value)),
        node,
        kind: raw.kind,
        connector_id: raw.connector_id.value.clone(),
        burned_in: raw.burned_in.unwrap_or_else(|| raw.kind.burned_in_by_default()),
        generation: Generation(0),
    }
}

fn target(file: &str, node: NodeId, raw: &RawTarget) -> VolumeTarget {
    let derived = || TargetId::derived(&format!("{node}/{}/{}/{}", raw.volume_type.as_str(), raw.boot_index, raw.volume_id.value));
    VolumeTarget {
        id: raw.uuid.as_ref().map_or_else(derived, |u| TargetId(u.value)),
        node,
        volume_type: raw.volume_type,
        boot_index: raw.boot_index,
        volume_id: raw.volume_id.value.clone(),
        properties: raw.properties.iter().map(|(k, v)| (k.value.clone(), property(file, &v.value))).collect(),
        shareable: raw.shareable,
        generation: Generation(0),
    }
}

fn property(file: &str, written: &Scalar) -> Scalar {
    match written {
        Scalar::Secret { secret } => Scalar::Secret { secret: resolved(file, secret) },
        open => open.clone(),
    }
}

/// Credentials of a volume are kept elsewhere; what names it is compared, so it stands in the open.
fn properties_fit(reading: &Reading<'_>, raw: &RawTarget) {
    for (key, value) in &raw.properties {
        match &value.value {
            Scalar::Secret { .. } if !plain::may_be_secret(&key.value) => {
                let message = format!("a secret under `{}`: what names a volume is compared with others", key.value);
                reading.hinted(
                    codes::WRONG_TYPE,
                    message,
                    &value.at,
                    "write it in the open; `auth_username` and `auth_password` may be secrets",
                );
            }
            open => open_secret(reading, key, open, &value.at, plain::HERE),
        }
    }
}

fn open_secret(reading: &Reading<'_>, key: &At<String>, value: &Scalar, at: &Range<usize>, hint: &str) {
    if let Scalar::Text(_) | Scalar::Integer(_) = value {
        plain::under(reading, &key.value, &value.to_string(), at, hint);
    }
}

fn connector_fits(reading: &Reading<'_>, raw: &RawConnector) {
    let id = &raw.connector_id.value;
    let digits: String = id.trim_start_matches("0x").chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let hex = |n: usize| digits.len() == n && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let (fits, wanted) = match raw.kind {
        ConnectorKind::Iqn => {
            (["iqn.", "eui.", "naa."].iter().any(|p| id.to_lowercase().starts_with(p)), "`iqn.`, `eui.` or `naa.` and more")
        }
        ConnectorKind::Wwnn | ConnectorKind::Wwpn => (hex(16), "16 hex digits"),
        ConnectorKind::Mac => (hex(12), "12 hex digits"),
        ConnectorKind::Ip => (id.parse::<std::net::IpAddr>().is_ok(), "an IP address"),
    };
    if !fits {
        let message = format!("`{id}` is no {}: {wanted} are wanted", raw.kind.as_str()).replace("address are", "address is");
        reading.error(codes::BAD_CONNECTOR, message, &raw.connector_id.at);
    }
}

/// What was seen before: who has it and where it is written.
struct Seen<'a, 'r> {
    reading: &'a Reading<'r>,
    lines: LineIndex<'a>,
    known: BTreeMap<String, (String, Range<usize>)>,
}

impl Seen<'_, '_> {
    /// Tell it where `key` was there before; is it new?
    fn once(&mut self, code: &'static str, key: String, node: &str, at: &Range<usize>, message: impl Fn(&str) -> String) -> bool {
        let new = !self.known.contains_key(&key);
        match self.known.get(&key) {
            Some((other, first)) => {
                let line = self.lines.find(first.start).line;
                self.reading.hinted(code, message(other), at, format!("the other is in line {line}"));
            }
            None => {
                self.known.insert(key, (node.to_owned(), at.clone()));
            }
        }
        new
    }
}

fn twice(reading: &Reading<'_>, raw: &RawInventory, records: &[Option<NodeRecord>]) {
    let mut seen = Seen { reading, lines: LineIndex::new(reading.source), known: BTreeMap::new() };
    for (written, record) in raw.nodes.iter().zip(records) {
        let Some(name) = &written.name else { continue };
        let node = name.value.as_str();
        let new = seen.once(codes::SAME_NODE, format!("name {node}"), node, &name.at, |_| format!("two nodes are called `{node}`"));
        let Some(record) = record.as_ref().filter(|_| new) else { continue };
        if let Some(uuid) = &written.uuid {
            let message = |other: &str| format!("`{node}` and `{other}` have one uuid");
            seen.once(codes::SAME_NODE, format!("uuid {}", uuid.value), node, &uuid.at, message);
        }
        one_system(&mut seen, node, &record.node, written);
        for (connector, written) in record.connectors.iter().zip(&written.connectors) {
            let id: String = connector.connector_id.to_lowercase().trim_start_matches("0x").replace(['-', ':'], "");
            let message =
                |other: &str| format!("the {} `{}` belongs to `{other}` already", connector.kind.as_str(), connector.connector_id);
            seen.once(codes::SAME_CONNECTOR, format!("{} {id}", connector.kind.as_str()), node, &written.value.connector_id.at, message);
        }
        volumes(&mut seen, node, record, written);
    }
}

/// Without `system` a node is the whole BMC.
fn one_system(seen: &mut Seen<'_, '_>, name: &str, node: &Node, written: &RawNode) {
    let Some(at) = written.bmc.address.as_ref().map(|a| a.at.clone()) else { return };
    let address = node.bmc.address.to_lowercase();
    let message = |other: &str| format!("`{name}` and `{other}` are one system behind one BMC");
    let hint = |system: &str| format!("bmc {address} {}", system.trim_end_matches('/'));
    match &node.bmc.system {
        Some(system) => {
            if let Some((other, _)) = seen.known.get(&hint("whole")).cloned() {
                seen.reading.hinted(codes::SAME_NODE, message(&other), &at, format!("`{other}` names no `system`"));
            } else {
                seen.once(codes::SAME_NODE, hint(system), name, &at, message);
                seen.known.entry(hint("any")).or_insert((name.to_owned(), at));
            }
        }
        None => match seen.known.get(&hint("any")).cloned() {
            Some((other, _)) => seen.reading.hinted(codes::SAME_NODE, message(&other), &at, "name the `system` of each"),
            None => drop(seen.once(codes::SAME_NODE, hint("whole"), name, &at, message)),
        },
    }
}

/// One volume on two nodes is right only where both say `shareable`.
fn volumes(seen: &mut Seen<'_, '_>, node: &str, record: &NodeRecord, written: &RawNode) {
    let own = |identity: &VolumeIdentity| format!("unshared {identity}");
    for (target, written) in record.targets.iter().zip(&written.targets) {
        let at = &written.value.volume_id.at;
        let clash = |i: &VolumeIdentity| seen.known.contains_key(&i.0) && (!target.shareable || seen.known.contains_key(&own(i)));
        if let Some(identity) = target.identities().into_iter().find(clash) {
            let message = |other: &str| match other == node {
                true => format!("the volume `{}` is attached to `{node}` twice", target.volume_id),
                false => format!("the volume `{}` is attached to `{other}` as well", target.volume_id),
            };
            seen.once(codes::SAME_VOLUME, identity.0, node, at, message);
            continue;
        }
        for identity in target.identities() {
            if !target.shareable {
                seen.known.insert(own(&identity), (node.to_owned(), at.clone()));
            }
            seen.known.entry(identity.0).or_insert((node.to_owned(), at.clone()));
        }
    }
}
