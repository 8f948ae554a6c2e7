//! What a person may change in the inventory by hand, as opposed to a run ([`Change`]) or an import.

use super::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change by a person. It counts as a change of what a plan rests on: plans made before it are stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Set maintenance, or leave it.
    Maintenance(Option<Maintenance>),
    /// Set a label, or take it off.
    Label {
        name: String,
        value: Option<Scalar>,
    },
    ProvisionState(ProvisionState),
    /// What was owed for the node is done, or will never be: it may be a spare again.
    SettleDebt,
    /// The machine was replaced: who answers next is it. What the old one's BMC said of itself is forgotten as well.
    ForgetIdentity,
}

impl Fleet {
    /// Make all edits of a node, or none. Edits that are already so change nothing.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node and for one that a run holds (rule S2).
    pub fn edit(&mut self, id: NodeId, edits: &[Edit]) -> Result<(), Fault> {
        let node = self.record_mut(id)?;
        free(node)?;
        let before = node.clone();
        for edit in edits {
            match edit {
                Edit::Maintenance(maintenance) => node.maintenance.clone_from(maintenance),
                Edit::Label { name, value: Some(value) } => drop(node.labels.insert(name.clone(), value.clone())),
                Edit::Label { name, value: None } => drop(node.labels.remove(name)),
                Edit::ProvisionState(state) => node.provision_state = *state,
                Edit::SettleDebt => node.debt = None,
                Edit::ForgetIdentity => {
                    node.identity = Identity::default();
                    (node.live_facts, node.abilities) = (Shared::default(), BmcAbilities::default());
                    (node.imported, node.facts_at, node.full_at) = (None, None, None);
                }
            }
        }
        if *node != before {
            node.generation = node.generation.next();
        }
        Ok(())
    }

    /// Take a node from whoever holds it, and say who that was. Only for reservations whose run will never be taken up
    /// again: the caller has made sure of that.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node.
    pub fn release_reservation(&mut self, id: NodeId) -> Result<Option<Holder>, Fault> {
        Ok(self.record_mut(id)?.reservation.take())
    }

    /// Take a node out of the inventory, with its connectors and targets, and give back what was taken out.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node and for one that a run holds.
    pub fn remove(&mut self, id: NodeId) -> Result<NodeRecord, Fault> {
        free(self.record_mut(id)?)?;
        let node = self.nodes.remove(&id).ok_or_else(|| no_node(id))?;
        self.live.remove(&id);
        let (connectors, targets) = self.take_off(|at| at == id);
        Ok(NodeRecord { node, connectors, targets })
    }

    /// Take out the connectors and targets of these nodes.
    pub(super) fn take_off(&mut self, gone: impl Fn(NodeId) -> bool) -> (Vec<VolumeConnector>, Vec<VolumeTarget>) {
        let (connectors, kept) = std::mem::take(&mut self.connectors).into_iter().partition(|(_, c)| gone(c.node));
        self.connectors = kept;
        let (targets, kept) = std::mem::take(&mut self.targets).into_iter().partition(|(_, t)| gone(t.node));
        self.targets = kept;
        let (connectors, targets): (BTreeMap<_, _>, BTreeMap<_, _>) = (connectors, targets);
        (connectors.into_values().collect(), targets.into_values().collect())
    }
}

impl NodeRecord {
    /// The generation at which records begin that come after this one: a node that was removed and comes back must not
    /// look to an old plan as if it had never been away.
    pub fn floor_after(&self) -> Generation {
        let connectors = self.connectors.iter().map(|c| c.generation);
        let targets = self.targets.iter().map(|t| t.generation);
        connectors.chain(targets).fold(self.node.generation, Ord::max).next()
    }
}

fn free(node: &Node) -> Result<(), Fault> {
    match &node.reservation {
        None => Ok(()),
        Some(holder) => Err(Fault::refused(format!(
            "node `{}` is reserved by `{holder}`; wait for the run, or release the node if its run will not be taken up again",
            node.name
        ))),
    }
}
