//! Which records are of one volume: worked out once for a world, since identities do not change in a run.

use crate::model::*;
use std::collections::BTreeMap;

/// Which targets share a volume with which others.
pub(super) fn same_volume(fleet: &Fleet) -> BTreeMap<TargetId, Vec<TargetId>> {
    let mut by_identity: BTreeMap<VolumeIdentity, Vec<TargetId>> = BTreeMap::new();
    for target in fleet.targets.values() {
        for identity in target.identities() {
            by_identity.entry(identity).or_default().push(target.id);
        }
    }
    let mut same: BTreeMap<TargetId, Vec<TargetId>> = fleet.targets.keys().map(|id| (*id, Vec::new())).collect();
    for group in by_identity.values().filter(|g| g.len() > 1) {
        for id in group {
            same.entry(*id).or_default().extend(group.iter().filter(|o| *o != id));
        }
    }
    same
}
