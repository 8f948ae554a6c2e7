//! One snapshot of everything a plan is made from: the inventory's records and what the BMCs said.

use super::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a BMC showed when the snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every node answers: a box for each would cost more than it saves")]
pub enum Live {
    /// The reading, and the boot configuration as far as it can be read.
    Answered { reading: SystemReading, boot: BootSettings },
    /// It was asked and did not answer in a way that can be read.
    Silent(Fault),
}

/// A snapshot. Everything is kept in order so that whatever is computed from it comes out the same every time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    pub nodes: BTreeMap<NodeId, Node>,
    pub connectors: BTreeMap<ConnectorId, VolumeConnector>,
    pub targets: BTreeMap<TargetId, VolumeTarget>,
    /// Absent: not asked.
    pub live: BTreeMap<NodeId, Live>,
    pub captured_at: Time,
}

impl Fleet {
    /// A node by name or uuid.
    pub fn find(&self, ident: &str) -> Option<&Node> {
        self.nodes.values().find(|n| n.name == ident).or_else(|| self.nodes.get(&ident.parse().ok()?))
    }

    pub fn connectors_of(&self, node: NodeId) -> impl Iterator<Item = &VolumeConnector> {
        self.connectors.values().filter(move |c| c.node == node)
    }

    /// A node's targets, the boot volume first.
    pub fn targets_of(&self, node: NodeId) -> Vec<&VolumeTarget> {
        let mut targets: Vec<_> = self.targets.values().filter(|t| t.node == node).collect();
        targets.sort_by_key(|t| (t.boot_index, t.id));
        targets
    }

    /// Other nodes that have the same volume attached.
    pub fn second_attachments(&self, target: &VolumeTarget) -> Vec<&VolumeTarget> {
        if target.shareable {
            return Vec::new();
        }
        let others: Vec<_> = self.targets.values().filter(|t| t.node != target.node).collect();
        if others.is_empty() {
            return others;
        }
        let names = target.identities();
        others.into_iter().filter(|t| t.identities().iter().any(|i| names.contains(i))).collect()
    }

    pub fn power(&self, node: NodeId) -> PowerState {
        match self.live.get(&node) {
            Some(Live::Answered { reading, .. }) => reading.power,
            _ => PowerState::Unknown,
        }
    }
}

/// A node with everything that hangs on it: what an inventory document holds for one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub node: Node,
    pub connectors: Vec<VolumeConnector>,
    pub targets: Vec<VolumeTarget>,
}

impl Fleet {
    /// Node by node, in the order of their names: what an export writes.
    pub fn records(&self) -> Vec<NodeRecord> {
        let empty = |node: &Node| NodeRecord { node: node.clone(), connectors: Vec::new(), targets: Vec::new() };
        let mut records: BTreeMap<NodeId, NodeRecord> = self.nodes.iter().map(|(id, node)| (*id, empty(node))).collect();
        for connector in self.connectors.values() {
            if let Some(record) = records.get_mut(&connector.node) {
                record.connectors.push(connector.clone());
            }
        }
        for target in self.targets.values() {
            if let Some(record) = records.get_mut(&target.node) {
                record.targets.push(target.clone());
            }
        }
        let mut records: Vec<NodeRecord> = records.into_values().collect();
        records.iter_mut().for_each(|r| r.targets.sort_by_key(|t| (t.boot_index, t.id)));
        records.sort_by(|a, b| (&a.node.name, a.node.id).cmp(&(&b.node.name, b.node.id)));
        records
    }

    /// A fleet of just these records; nothing was asked.
    pub fn from_records(records: Vec<NodeRecord>) -> Fleet {
        let mut fleet = Fleet::default();
        for record in records {
            fleet.connectors.extend(record.connectors.into_iter().map(|c| (c.id, c)));
            fleet.targets.extend(record.targets.into_iter().map(|t| (t.id, t)));
            fleet.nodes.insert(record.node.id, record.node);
        }
        fleet
    }
}
