//! What a node has and would lose: by an import whose document does not have it, or by its removal. Neither takes volumes,
//! connectors or an instance from a node unless a person names it, because a run may have put them there, and the next run
//! would start a second machine on a volume that this one has open.

use super::clash::connector_key;
use super::*;
use std::collections::BTreeSet;

/// What to do instead, and how it is meant if it is.
pub(super) fn way_out(name: &str) -> String {
    format!(
        "`coldswap inventory export` writes it as it is, to be changed and imported; `--detach {name}` takes it away, once that machine \
         is seen off"
    )
}

fn instance_word(instance: &Instance) -> String {
    format!("instance `{}`", instance.name.clone().unwrap_or_else(|| instance.uuid.to_string()))
}

fn listed(what: &[String]) -> String {
    match what {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Why the new record of a node may not take the place of the old one: it lacks an instance, a volume or a connector. What
/// is only written otherwise (another uuid, another LUN, another case) is still there, and what is burned into a part
/// goes with the part: no run moves it.
pub(super) fn taken_away(old: &NodeRecord, new: &NodeRecord) -> Option<ImportProblem> {
    let mut lost: Vec<String> = Vec::new();
    let uuid = |node: &Node| node.instance.as_ref().map(|i| i.uuid);
    lost.extend(old.node.instance.as_ref().filter(|i| uuid(&new.node) != Some(i.uuid)).map(instance_word));
    let names: BTreeSet<VolumeIdentity> = new.targets.iter().flat_map(VolumeTarget::identities).collect();
    let still = |t: &VolumeTarget| {
        let own = t.identities();
        own.iter().any(|i| names.contains(i)) || own.is_empty() && new.targets.iter().any(|n| n.id == t.id)
    };
    lost.extend(old.targets.iter().filter(|t| !still(t)).map(|t| format!("volume `{}`", t.volume_id)));
    let keys: BTreeSet<_> = new.connectors.iter().map(connector_key).collect();
    let gone = old.connectors.iter().filter(|c| !c.burned_in && !keys.contains(&connector_key(c)));
    lost.extend(gone.map(|c| format!("connector {} `{}`", c.kind.as_str(), c.connector_id)));
    let name = &old.node.name;
    (!lost.is_empty()).then(|| ImportProblem {
        nodes: vec![name.clone()],
        text: format!(
            "node `{name}` has {} in the inventory, and the document does not, and an import takes nothing away: the file is older than \
             a switchover, or wrong; {}",
            listed(&lost),
            way_out(name)
        ),
    })
}

impl NodeRecord {
    /// What would be lost with this record, in words: instance, volumes, debt. Empty: nothing that anybody would miss.
    pub fn losses(&self) -> Vec<String> {
        let debt = self.node.debt.as_ref().map(|debt| format!("what it owes ({debt})"));
        let volumes = self.targets.iter().map(|t| format!("volume `{}`", t.volume_id));
        self.node.instance.iter().map(instance_word).chain(volumes).chain(debt).collect()
    }
}

impl Fleet {
    /// A node with what hangs on it.
    pub fn record_of(&self, id: NodeId) -> Option<NodeRecord> {
        let node = self.nodes.get(&id)?.clone();
        let targets = self.targets_of(id).into_iter().cloned().collect();
        Some(NodeRecord { node, connectors: self.connectors_of(id).cloned().collect(), targets })
    }

    /// Nodes that would go with something that is missed. A debt is never given up by an import.
    pub(super) fn lost_with(&self, gone: &BTreeSet<NodeId>, detach: &BTreeSet<NodeId>) -> Vec<ImportProblem> {
        let all = if gone.is_empty() { Vec::new() } else { self.records() };
        let records = all.into_iter().filter(|r| gone.contains(&r.node.id));
        let lost = records.filter_map(|record| {
            let name = record.node.name.clone();
            if detach.contains(&record.node.id) && record.node.debt.is_none() {
                return None;
            }
            let losses = record.losses();
            let way_out = match record.node.debt {
                Some(_) => {
                    format!("settle it, then `coldswap inventory set {name} debt=`, or remove the node by `coldswap inventory remove`")
                }
                None => format!("name it in the file, or `--detach {name}` gives it up, once that machine is seen off"),
            };
            (!losses.is_empty()).then(|| ImportProblem {
                text: format!("`--replace` would remove node `{name}` with {}; {way_out}", listed(&losses)),
                nodes: vec![name],
            })
        });
        lost.collect()
    }

    /// [`Fleet::remove`], where nobody would miss anything.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] as there, and for a node that has an instance, volumes or a debt: what would be lost.
    pub fn remove_empty(&mut self, id: NodeId) -> Result<NodeRecord, Fault> {
        let losses = self.record_of(id).map(|r| r.losses()).unwrap_or_default();
        if losses.is_empty() || self.nodes.get(&id).is_some_and(|n| n.reservation.is_some()) {
            return self.remove(id);
        }
        let name = &self.nodes[&id].name;
        Err(Fault::refused(format!("node `{name}` has {}; with the node that would be forgotten", listed(&losses))))
    }
}
