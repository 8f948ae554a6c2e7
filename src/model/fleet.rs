//! One snapshot of everything a plan is made from: the inventory's records and what the BMCs said.

use super::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a BMC showed when the snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
        let names = target.identities();
        self.targets.values().filter(|t| t.node != target.node && t.identities().iter().any(|i| names.contains(i))).collect()
    }

    pub fn power(&self, node: NodeId) -> PowerState {
        match self.live.get(&node) {
            Some(Live::Answered { reading, .. }) => reading.power,
            _ => PowerState::Unknown,
        }
    }
}
