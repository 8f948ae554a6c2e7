//! Which node has which volumes and connectors, worked out once for a whole fleet.

use crate::model::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Holdings<'a> {
    targets: BTreeMap<NodeId, Vec<&'a VolumeTarget>>,
    connectors: BTreeMap<NodeId, Vec<&'a VolumeConnector>>,
    volumes: BTreeMap<VolumeIdentity, Vec<&'a VolumeTarget>>,
}

impl<'a> Holdings<'a> {
    pub fn of(fleet: &'a Fleet) -> Holdings<'a> {
        let (mut holdings, volumes) = rayon::join(|| Holdings::by_node(fleet), || by_volume(fleet));
        holdings.volumes = volumes;
        holdings
    }

    fn by_node(fleet: &'a Fleet) -> Holdings<'a> {
        let mut holdings = Holdings::default();
        for target in fleet.targets.values() {
            holdings.targets.entry(target.node).or_default().push(target);
        }
        holdings.targets.values_mut().for_each(|list| list.sort_by_key(|t| (t.boot_index, t.id)));
        for connector in fleet.connectors.values() {
            holdings.connectors.entry(connector.node).or_default().push(connector);
        }
        holdings
    }

    /// What one node has, for who asks about no other.
    pub fn of_node(fleet: &'a Fleet, node: NodeId) -> Holdings<'a> {
        let (targets, connectors) = (fleet.targets_of(node), fleet.connectors_of(node).collect());
        Holdings { targets: [(node, targets)].into(), connectors: [(node, connectors)].into(), volumes: BTreeMap::new() }
    }

    /// The boot volume first.
    pub fn targets(&self, node: NodeId) -> &[&'a VolumeTarget] {
        self.targets.get(&node).map_or(&[], Vec::as_slice)
    }

    pub fn connectors(&self, node: NodeId) -> &[&'a VolumeConnector] {
        self.connectors.get(&node).map_or(&[], Vec::as_slice)
    }

    /// As [`Fleet::second_attachments`], without looking through all targets again.
    pub(super) fn elsewhere(&self, target: &VolumeTarget) -> Option<&'a VolumeTarget> {
        if target.shareable {
            return None;
        }
        let same = target.identities();
        same.iter().filter_map(|i| self.volumes.get(i)).flatten().find(|t| t.node != target.node).copied()
    }

    /// The part of the fleet that a switchover between these two can see: with the other holders of their volumes.
    pub(super) fn around(&self, fleet: &Fleet, source: NodeId, destination: NodeId) -> Fleet {
        let mut part = Fleet { captured_at: fleet.captured_at, ..Fleet::default() };
        let mut nodes = BTreeSet::from([source, destination]);
        for node in [source, destination] {
            for target in self.targets(node) {
                for same in target.identities().iter().filter_map(|i| self.volumes.get(i)).flatten() {
                    part.targets.entry(same.id).or_insert_with(|| (*same).clone());
                    nodes.insert(same.node);
                }
            }
            part.connectors.extend(self.connectors(node).iter().map(|c| (c.id, (*c).clone())));
        }
        for node in nodes {
            part.nodes.insert(node, fleet.nodes[&node].clone());
            if let Some(live) = fleet.live.get(&node) {
                part.live.insert(node, live.clone());
            }
        }
        part
    }
}

fn by_volume(fleet: &Fleet) -> BTreeMap<VolumeIdentity, Vec<&VolumeTarget>> {
    let mut volumes: BTreeMap<VolumeIdentity, Vec<&VolumeTarget>> = BTreeMap::new();
    for target in fleet.targets.values() {
        for identity in target.identities() {
            volumes.entry(identity).or_default().push(target);
        }
    }
    volumes
}
