//! What a change means: the one place where it is decided whether a change of the inventory's records is allowed and
//! what it does. Every inventory that keeps its own records, and every simulated one, goes through here.
//!
//! What [`Node::generation`] counts: the changes of what a plan rests on. That is a node's description (labels, failure
//! domain, BMC, declared facts, ...), provision state, instance, debt, the connectors and targets that it has, and
//! maintenance where a *person* set or left it: a spare that was taken out of service after the plan was made must not be
//! reserved by it. It does not count reservations, power marks, nor maintenance set or left by a node's holder: those come
//! and go with every run, also one that came to nothing, and would make every other plan stale. Nor does it count what a
//! BMC said of itself: a plan names the facts that it rests on, and the step that reserves the node compares just those.
//! The engine looks at maintenance and reservation by themselves.

use super::*;
use std::collections::BTreeSet;

impl Change {
    /// For whom it is made.
    pub fn holder(&self) -> &Holder {
        match self {
            Change::Reserve { holder, .. }
            | Change::Release { holder, .. }
            | Change::SetMaintenance { holder, .. }
            | Change::SetDebt { holder, .. }
            | Change::MoveConnector { holder, .. }
            | Change::MoveTarget { holder, .. }
            | Change::MoveInstance { holder, .. }
            | Change::SetProvisionState { holder, .. }
            | Change::Undeploy { holder, .. } => holder,
        }
    }

    /// The nodes that it names, the one that gives first.
    pub fn nodes(&self) -> Vec<NodeId> {
        match self {
            Change::Reserve { node, .. } | Change::Release { node, .. } => vec![*node],
            Change::SetMaintenance { node, .. } | Change::SetDebt { node, .. } => vec![*node],
            Change::SetProvisionState { node, .. } | Change::Undeploy { node, .. } => vec![*node],
            Change::MoveConnector { from, to, .. } | Change::MoveTarget { from, to, .. } | Change::MoveInstance { from, to, .. } => {
                vec![*from, *to]
            }
        }
    }
}

impl Generation {
    pub fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

/// Where a record is, seen from a move.
enum Leg {
    Here,
    Arrived,
    Elsewhere,
}

fn leg(at: NodeId, from: NodeId, to: NodeId) -> Leg {
    match at {
        at if at == to => Leg::Arrived,
        at if at == from => Leg::Here,
        _ => Leg::Elsewhere,
    }
}

/// What the records say of one field, written only where it differs.
fn put<T: PartialEq + Clone>(place: &mut T, value: &T) -> bool {
    let differs = place != value;
    if differs {
        *place = value.clone();
    }
    differs
}

impl Fleet {
    /// Make one change, or refuse it and leave everything as it was.
    ///
    /// # Errors
    /// Always [`FaultKind::Refused`]: an unknown record, a node held by another, another generation than expected, a
    /// connector, target or instance that is at neither end of its move.
    pub fn apply(&mut self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::Reserve { node, holder, expect, claim: _ } => self.reserve(*node, holder, *expect),
            Change::Release { node, holder } => {
                let node = self.record_mut(*node)?;
                if node.reservation.as_ref() == Some(holder) {
                    node.reservation = None;
                }
                Ok(())
            }
            Change::SetMaintenance { node, holder, maintenance } => {
                self.held(*node, holder)?;
                self.record_mut(*node)?.maintenance.clone_from(maintenance);
                Ok(())
            }
            Change::SetDebt { node, holder, debt } => {
                self.held(*node, holder)?;
                let node = self.record_mut(*node)?;
                if put(&mut node.debt, debt) {
                    node.generation = node.generation.next();
                }
                Ok(())
            }
            Change::MoveConnector { connector, from, to, holder } => self.move_connector(*connector, *from, *to, holder),
            Change::MoveTarget { target, from, to, holder } => self.move_target(*target, *from, *to, holder),
            Change::MoveInstance { instance, from, to, from_state, to_state, holder } => {
                self.held(*from, holder)?;
                self.held(*to, holder)?;
                self.move_instance(instance.as_ref(), (*from, *from_state), (*to, *to_state))
            }
            Change::SetProvisionState { node, target, holder } => {
                self.held(*node, holder)?;
                self.provision(*node, *target)
            }
            Change::Undeploy { node, holder } => {
                self.held(*node, holder)?;
                self.undeploy(*node)
            }
        }
    }

    /// Remember what a BMC said of itself. Facts and abilities are replaced ([`Node::take_in`]); what is known of the identity is kept and
    /// only completed, and only by a machine that is recognised (or where nothing was known).
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node and for an identity that contradicts the known one: then nothing is
    /// remembered, because the facts are another machine's.
    pub fn learn(&mut self, id: NodeId, report: &SystemReport, at: Time) -> Result<(), Fault> {
        let node = self.record_mut(id)?;
        let seen = &report.reading.identity;
        let verdict = node.identity.recognises(seen);
        if verdict == Some(false) {
            return Err(Fault::refused(format!(
                "node `{}` is {} in the inventory, but its BMC speaks for {}; correct the BMC's address, or import the node with \
                 its new identity if the machine was replaced",
                node.name,
                in_words(&node.identity),
                in_words(seen)
            )));
        }
        let mut identity = node.identity.clone();
        if verdict == Some(true) || identity.is_empty() {
            identity.system_uuid = identity.system_uuid.or_else(|| seen.system_uuid.clone());
            identity.serial_number = identity.serial_number.or_else(|| seen.serial_number.clone());
        }
        node.take_in(report, at);
        node.identity = identity;
        Ok(())
    }

    /// Every target that shares an identity with this one, itself left out, in the order of their ids.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown target.
    pub fn same_volume(&self, id: TargetId) -> Result<Vec<VolumeTarget>, Fault> {
        let target = self.targets.get(&id).ok_or_else(|| no_target(id))?;
        let names: BTreeSet<_> = target.identities().into_iter().collect();
        let others = self.targets.values().filter(|t| t.id != id && t.identities().iter().any(|i| names.contains(i)));
        Ok(others.cloned().collect())
    }

    fn reserve(&mut self, id: NodeId, holder: &Holder, expect: Generation) -> Result<(), Fault> {
        let node = self.record_mut(id)?;
        match &node.reservation {
            Some(held) if held == holder => Ok(()),
            Some(other) => Err(Fault::refused(format!("node `{}` is reserved by `{other}`", node.name))),
            None if node.generation != expect => Err(Fault::refused(format!(
                "node `{}` is at generation {}, but the plan was made from generation {}; make a new plan",
                node.name, node.generation.0, expect.0
            ))),
            None => {
                node.reservation = Some(holder.clone());
                Ok(())
            }
        }
    }

    fn move_connector(&mut self, id: ConnectorId, from: NodeId, to: NodeId, holder: &Holder) -> Result<(), Fault> {
        self.held(from, holder)?;
        self.held(to, holder)?;
        let (at, burned_in) = self.connectors.get(&id).map(|c| (c.node, c.burned_in)).ok_or_else(|| no_connector(id))?;
        match leg(at, from, to) {
            Leg::Arrived => return Ok(()),
            Leg::Elsewhere => return Err(self.elsewhere("volume connector", &id.to_string(), at, from, to)),
            Leg::Here if burned_in => {
                return Err(Fault::refused(format!("volume connector `{id}` is burned into node `{}` and does not move", self.name(from))));
            }
            Leg::Here => {}
        }
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.node = to;
            connector.generation = connector.generation.next();
        }
        self.touch([from, to])
    }

    fn move_target(&mut self, id: TargetId, from: NodeId, to: NodeId, holder: &Holder) -> Result<(), Fault> {
        self.held(from, holder)?;
        self.held(to, holder)?;
        let at = self.targets.get(&id).map(|t| t.node).ok_or_else(|| no_target(id))?;
        match leg(at, from, to) {
            Leg::Arrived => return Ok(()),
            Leg::Elsewhere => return Err(self.elsewhere("volume target", &id.to_string(), at, from, to)),
            Leg::Here => {}
        }
        if let Some(target) = self.targets.get_mut(&id) {
            target.node = to;
            target.generation = target.generation.next();
        }
        self.touch([from, to])
    }

    /// With an instance: it must be at one of the ends, and the other must have none. Without: neither end may have one,
    /// and only the provision states are written.
    fn move_instance(
        &mut self,
        instance: Option<&Instance>,
        from: (NodeId, ProvisionState),
        to: (NodeId, ProvisionState),
    ) -> Result<(), Fault> {
        let has = |fleet: &Fleet, id: NodeId| fleet.nodes.get(&id).and_then(|n| n.instance.as_ref()).map(|i| i.uuid);
        let (want, at_from, at_to) = (instance.map(|i| i.uuid), has(self, from.0), has(self, to.0));
        let settled = want == at_to && at_from.is_none();
        if !settled && (want != at_from || at_to.is_some()) {
            return Err(self.instance_elsewhere(want, from.0, to.0));
        }
        self.record_mut(from.0)?;
        for (id, state, instance) in [(from.0, from.1, None), (to.0, to.1, instance.cloned())] {
            let node = self.record_mut(id)?;
            let changed = [put(&mut node.provision_state, &state), put(&mut node.instance, &instance)];
            if changed.contains(&true) {
                node.generation = node.generation.next();
            }
        }
        Ok(())
    }

    /// What a service that keeps the node would do of it, at once.
    fn provision(&mut self, id: NodeId, target: ProvisionTarget) -> Result<(), Fault> {
        let node = self.kept_mut(id)?;
        let settled = target.leads_to();
        if node.provision_state == settled {
            return Ok(());
        }
        if !target.allowed_from(node.provision_state) {
            return Err(Fault::refused(format!(
                "node `{}` is {}, and `{}` cannot be asked for",
                node.name,
                node.provision_state,
                target.as_str()
            )));
        }
        node.provision_state = settled;
        node.generation = node.generation.next();
        Ok(())
    }

    /// What is recorded at the node is lost with it: whoever asks for it too early has lost the volumes' records.
    fn undeploy(&mut self, id: NodeId) -> Result<(), Fault> {
        let node = self.kept_mut(id)?;
        if node.provision_state == ProvisionState::Available {
            return Ok(());
        }
        if !matches!(node.provision_state, ProvisionState::Active | ProvisionState::DeployFailed | ProvisionState::Error) {
            return Err(Fault::refused(format!("node `{}` is {}, and `deleted` cannot be asked for", node.name, node.provision_state)));
        }
        node.provision_state = ProvisionState::Available;
        node.instance = None;
        node.generation = node.generation.next();
        self.targets.retain(|_, target| target.node != id);
        Ok(())
    }

    fn kept_mut(&mut self, id: NodeId) -> Result<&mut Node, Fault> {
        let node = self.record_mut(id)?;
        match node.kept_by {
            Some(_) => Ok(node),
            None => Err(Fault::refused(format!("node `{}` is kept by no service that deploys it", node.name))),
        }
    }

    fn instance_elsewhere(&self, want: Option<uuid::Uuid>, from: NodeId, to: NodeId) -> Fault {
        let shown = |id: NodeId| match self.nodes.get(&id).and_then(|n| n.instance.as_ref()) {
            Some(instance) => format!("node `{}` has instance `{}`", self.name(id), instance.uuid),
            None => format!("node `{}` has no instance", self.name(id)),
        };
        let wanted = want.map_or("no instance".to_owned(), |w| format!("instance `{w}`"));
        let holder = self.nodes.values().find(|n| want.is_some() && n.instance.as_ref().map(|i| i.uuid) == want);
        let there = holder.filter(|n| n.id != from && n.id != to).map_or(String::new(), |n| format!("; it is at node `{}`", n.name));
        Fault::refused(format!("cannot move {wanted}: {} and {}{there}", shown(from), shown(to)))
    }

    fn elsewhere(&self, what: &str, id: &str, at: NodeId, from: NodeId, to: NodeId) -> Fault {
        Fault::refused(format!("{what} `{id}` is at node `{}`, neither at `{}` nor at `{}`", self.name(at), self.name(from), self.name(to)))
    }

    /// Rule S2: who writes must be the holder.
    fn held(&self, id: NodeId, holder: &Holder) -> Result<(), Fault> {
        let node = self.nodes.get(&id).ok_or_else(|| no_node(id))?;
        match &node.reservation {
            Some(held) if held == holder => Ok(()),
            Some(other) => Err(Fault::refused(format!("node `{}` is reserved by `{other}`, not by `{holder}`", node.name))),
            None => Err(Fault::refused(format!("node `{}` is not reserved by `{holder}`", node.name))),
        }
    }

    fn touch(&mut self, ids: [NodeId; 2]) -> Result<(), Fault> {
        for id in ids {
            let node = self.record_mut(id)?;
            node.generation = node.generation.next();
        }
        Ok(())
    }

    /// A node's name for people; its id where the name is not at hand.
    pub(super) fn name(&self, id: NodeId) -> String {
        self.nodes.get(&id).map_or_else(|| id.to_string(), |n| n.name.clone())
    }

    pub(super) fn record_mut(&mut self, id: NodeId) -> Result<&mut Node, Fault> {
        self.nodes.get_mut(&id).ok_or_else(|| no_node(id))
    }
}

fn in_words(identity: &Identity) -> String {
    let uuid = identity.system_uuid.as_ref().map(|u| format!("system uuid `{u}`"));
    let serial = identity.serial_number.as_ref().map(|s| format!("serial number `{s}`"));
    [uuid, serial].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The refusal for a node that is not in the inventory.
pub fn no_node(id: NodeId) -> Fault {
    Fault::refused(format!("the inventory has no node `{id}`"))
}

/// The refusal for a connector that is not in the inventory.
pub fn no_connector(id: ConnectorId) -> Fault {
    Fault::refused(format!("the inventory has no volume connector `{id}`"))
}

/// The refusal for a target that is not in the inventory.
pub fn no_target(id: TargetId) -> Fault {
    Fault::refused(format!("the inventory has no volume target `{id}`"))
}
