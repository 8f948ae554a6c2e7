//! Volume connectors and targets, and what of them cannot be carried over.

use super::wire::{flag, is_secret, number, ours, scalar, text, uuid};
use crate::model::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What hangs on the nodes.
#[derive(Default)]
pub(super) struct Volumes {
    pub connectors: Vec<VolumeConnector>,
    pub targets: Vec<VolumeTarget>,
    /// Why a node can be no source, by node.
    pub unfit: BTreeMap<NodeId, Vec<Bar<SourceBar>>>,
    /// Volumes of kinds that are not known here, by node.
    pub unknown: BTreeMap<NodeId, Vec<String>>,
    /// Connectors of kinds that are not known here, by node.
    pub strange: BTreeMap<NodeId, Vec<String>>,
    /// A digest of what hangs on a node, by node.
    pub attached: BTreeMap<NodeId, Generation>,
    /// Ids of volumes that are recorded for something that is not among the nodes, or in a way that cannot be read.
    astray: BTreeMap<String, (NodeId, String)>,
}

pub(super) fn connector(raw: &Value) -> Result<VolumeConnector, String> {
    let word = text(raw, "type").unwrap_or_default().to_lowercase();
    let kinds = [ConnectorKind::Iqn, ConnectorKind::Ip, ConnectorKind::Mac, ConnectorKind::Wwnn, ConnectorKind::Wwpn];
    let Some(kind) = kinds.into_iter().find(|k| k.as_str() == word) else {
        return Err(format!("a volume connector of type `{word}`"));
    };
    let (Some(id), Some(node)) = (uuid(raw, "uuid"), uuid(raw, "node_uuid")) else {
        return Err("a volume connector without uuid or node_uuid".to_owned());
    };
    let burned_in = ours(raw).and_then(|o| o.get("burned_in")).and_then(Value::as_bool);
    let mut connector = VolumeConnector {
        id: ConnectorId(id),
        node: NodeId(node),
        kind,
        connector_id: text(raw, "connector_id").unwrap_or_default().to_owned(),
        burned_in: burned_in.unwrap_or_else(|| kind.burned_in_by_default()),
        generation: Generation(0),
    };
    connector.generation = super::generation(&connector);
    Ok(connector)
}

pub(super) fn target(raw: &Value) -> Result<VolumeTarget, String> {
    let word = text(raw, "volume_type").unwrap_or_default().to_lowercase();
    let kinds = [VolumeType::Iscsi, VolumeType::FibreChannel, VolumeType::Fcoe, VolumeType::Nfs, VolumeType::NvmeTcp];
    let Some(volume_type) = kinds.into_iter().find(|k| k.as_str() == word) else {
        return Err(format!("a volume target of type `{word}`"));
    };
    let (Some(id), Some(node)) = (uuid(raw, "uuid"), uuid(raw, "node_uuid")) else {
        return Err("a volume target without uuid or node_uuid".to_owned());
    };
    let Some(boot_index) = number(raw, "boot_index") else { return Err("a volume target whose boot_index is no number".to_owned()) };
    let shareable = ours(raw).and_then(|o| o.get("shareable")).and_then(Value::as_bool);
    let mut target = VolumeTarget {
        id: TargetId(id),
        node: NodeId(node),
        volume_type,
        boot_index,
        volume_id: text(raw, "volume_id").unwrap_or_default().to_owned(),
        properties: raw.get("properties").map(properties).unwrap_or_default(),
        shareable: shareable.unwrap_or(false),
        generation: Generation(0),
    };
    target.generation = super::generation(&target);
    Ok(target)
}

/// What names the volume; never what opens it. A path of several has the first of each (`target_iqns` of multipath): its
/// volume_id tells it from others all the same.
fn properties(raw: &Value) -> BTreeMap<String, Scalar> {
    let mut all = BTreeMap::new();
    let mut several = Vec::new();
    for (key, value) in raw.as_object().into_iter().flatten() {
        match value {
            Value::Array(list) if !is_secret(key, value) => several.push((key, list)),
            one => all.extend(scalar(key, one).map(|s| (key.clone(), s))),
        }
    }
    for (key, list) in several {
        let one = match key.as_str() {
            "target_iqns" | "target_portals" | "target_luns" | "target_wwns" => key.trim_end_matches('s'),
            other => other,
        };
        if let Some(first) = list.first().and_then(|v| scalar(one, v)) {
            all.entry(one.to_owned()).or_insert(first);
        }
    }
    all
}

/// What Ironic finds out only when it deploys: at the spare, with the records moved already.
fn unfit(raw: &Value, name: &str) -> Option<String> {
    if text(raw, "volume_type") != Some("iscsi") {
        return None;
    }
    let properties = raw.get("properties").unwrap_or(&Value::Null);
    let volume = text(raw, "volume_id").unwrap_or("without a name");
    let lun = properties.get("target_lun");
    if lun.is_some_and(|lun| !lun.is_i64() && !lun.is_u64()) {
        return Some(format!(
            "`target_lun` of volume `{volume}` of `{name}` is no JSON integer: Ironic fails with it at deployment; write it as a number"
        ));
    }
    let login = |key: &str| properties.get(key).and_then(Value::as_str).is_some_and(|v| !v.is_empty());
    let further = number::<u32>(raw, "boot_index").is_some_and(|n| n > 0);
    if further && !(login("auth_username") && login("auth_password")) {
        return Some(format!(
            "volume `{volume}` of `{name}` is not the boot volume and has no `auth_username` and `auth_password`: Ironic deploys no further iSCSI volume without CHAP"
        ));
    }
    None
}

impl Volumes {
    /// `names`: of all nodes. `hidden`: where a record's node is not among them, the volume is nobody's to move.
    pub(super) fn read(connectors: &[Value], targets: &[Value], names: &BTreeMap<NodeId, String>) -> Volumes {
        let mut all = Volumes::default();
        for raw in connectors {
            let at = uuid(raw, "node_uuid").map(NodeId).filter(|n| names.contains_key(n));
            match (connector(raw), at) {
                (Ok(connector), Some(_)) => all.connectors.push(connector),
                (Err(why), Some(node)) => all.strange.entry(node).or_default().push(why),
                // It hangs on a node that is not ours to see: nothing of it can be moved, and nothing is.
                (_, None) => {}
            }
        }
        for raw in targets {
            let volume = text(raw, "volume_id").unwrap_or_default().to_owned();
            let Some(node) = uuid(raw, "node_uuid").map(NodeId) else { continue };
            match (names.get(&node), target(raw)) {
                (Some(name), Ok(target)) => {
                    let bars = unfit(raw, name).map(|text| Bar { code: SourceBar::RecordUnfit, text });
                    all.unfit.entry(node).or_default().extend(bars);
                    all.targets.push(target);
                }
                (Some(name), Err(why)) => {
                    all.unknown.entry(node).or_default().push(why);
                    all.astray.insert(volume, (node, format!("`{name}`")));
                }
                (None, _) if flag(raw.get("extra").and_then(|e| e.get(super::wire::OURS)).unwrap_or(&Value::Null), "shareable") => {}
                (None, _) => {
                    all.astray.insert(volume, (node, format!("node {node}, which this login is not shown")));
                }
            }
        }
        all.seconds(names);
        all.digest();
        all
    }

    fn digest(&mut self) {
        let mut parts: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
        for (node, what) in self.unknown.iter().chain(&self.strange) {
            parts.entry(*node).or_default().extend(what.iter().cloned());
        }
        for connector in &self.connectors {
            parts.entry(connector.node).or_default().push(format!("{} {}", connector.id, connector.generation.0));
        }
        for target in &self.targets {
            parts.entry(target.node).or_default().push(format!("{} {}", target.id, target.generation.0));
        }
        let digest = |(node, mut parts): (NodeId, Vec<String>)| {
            parts.sort_unstable();
            (node, super::generation(&parts))
        };
        self.attached = parts.into_iter().map(digest).collect();
    }

    /// What hangs on one node.
    pub(super) fn attached(&self, node: NodeId) -> Generation {
        self.attached.get(&node).copied().unwrap_or_default()
    }

    /// Volumes that something else has as well, which the records that we keep would not show.
    fn seconds(&mut self, names: &BTreeMap<NodeId, String>) {
        let mut told = BTreeSet::new();
        for target in self.targets.iter().filter(|t| !t.shareable && !t.volume_id.is_empty()) {
            let Some((_, place)) = self.astray.get(&target.volume_id).filter(|(at, _)| *at != target.node) else { continue };
            if told.insert((target.node, target.volume_id.clone())) {
                let name = names.get(&target.node).cloned().unwrap_or_default();
                let text = format!("volume `{}` of `{name}` is recorded for {place} as well; detach it there", target.volume_id);
                self.unfit.entry(target.node).or_default().push(Bar { code: SourceBar::SecondAttachment, text });
            }
        }
    }
}
