//! A service that keeps nodes (Ironic), as far as a switchover can be hurt by it: its record of power goes stale in
//! maintenance, and outside of it its sync makes machines what the record says; a change of power or of the provision state
//! holds a lock to its end; a deployment reads the volumes at that moment and starts the machine; what a machine's network
//! boot file opens stays until it is undeployed; an undeployment deletes the targets that are recorded there.
//!
//! What a boot file opens stands where a firmware's boot configuration stands for other machines, and so the witness asks the
//! same of both.

use super::*;

/// Between two power syncs.
const SYNC: Span = Span::millis(900);

#[derive(Default)]
pub(super) struct Service {
    kept: BTreeSet<NodeId>,
    recorded: BTreeMap<NodeId, PowerState>,
    /// Nodes at which a conductor works, and to what power.
    locked: BTreeMap<NodeId, Option<PowerState>>,
    pub claims: BTreeMap<NodeId, uuid::Uuid>,
    /// Whose instance boots from a volume.
    instances: BTreeMap<TargetId, Option<uuid::Uuid>>,
    next_sync: Time,
}

impl Service {
    pub fn of(fleet: &Fleet) -> Service {
        let kept: BTreeSet<NodeId> = fleet.nodes.values().filter(|n| n.kept_by.is_some()).map(|n| n.id).collect();
        let recorded = kept.iter().map(|id| (*id, fleet.power(*id))).collect();
        let of = |t: &VolumeTarget| fleet.nodes.get(&t.node).and_then(|n| n.instance.as_ref()).map(|i| i.uuid);
        let instances = fleet.targets.values().map(|t| (t.id, of(t))).collect();
        Service { kept, recorded, instances, next_sync: fleet.captured_at + SYNC, ..Service::default() }
    }
}

fn locked(node: NodeId) -> Fault {
    Fault::transient(format!("node {node} is locked"))
}

impl World {
    pub(super) fn keeps(&self, node: NodeId) -> bool {
        self.service.kept.contains(&node)
    }

    fn in_maintenance(&self, node: NodeId) -> bool {
        self.fleet.nodes.get(&node).is_some_and(|n| n.maintenance.is_some())
    }

    /// The claims that still stand.
    pub fn claims(&self) -> usize {
        self.service.claims.len()
    }

    /// Outside of maintenance a machine becomes what the record says.
    pub(super) fn sync(&mut self) {
        while !self.service.kept.is_empty() && self.now >= self.service.next_sync {
            self.service.next_sync = self.service.next_sync.max(self.now) + SYNC;
            for node in self.service.kept.clone() {
                if self.in_maintenance(node) || self.dead.contains(&node) || self.service.locked.contains_key(&node) {
                    continue;
                }
                let (is, says) = (self.fleet.power(node), self.service.recorded.get(&node).copied().unwrap_or_default());
                match says {
                    PowerState::On | PowerState::Off if says != is => self.power(node, says),
                    PowerState::On | PowerState::Off => {}
                    _ => drop(self.service.recorded.insert(node, is)),
                }
            }
        }
    }

    pub(super) fn kept_answer(&mut self, query: &Query) -> Option<Observation> {
        let (Query::System(node) | Query::Off(node)) = query else { return None };
        let node = *node;
        if !self.keeps(node) {
            return None;
        }
        let Some(Live::Answered { reading, .. }) = self.fleet.live.get(&node) else { return None };
        let mut reading = SystemReading { recorded: None, ..reading.clone() };
        let says = self.service.recorded.get(&node).copied().unwrap_or_default();
        let under_way = self.service.locked.get(&node).copied();
        reading.power = match under_way {
            Some(Some(PowerState::On)) => PowerState::PoweringOn,
            Some(Some(_)) => PowerState::PoweringOff,
            Some(None) => PowerState::Unknown,
            None => says,
        };
        if matches!(query, Query::System(_)) {
            if under_way.is_none() && self.in_maintenance(node) {
                reading.recorded = Some(says).filter(|s| *s != PowerState::Unknown);
                reading.power = if says == PowerState::On { says } else { PowerState::Unknown };
            }
            return Some(Observation::System(reading));
        }
        if under_way.is_none() && self.believes_records {
            return Some(Observation::System(reading));
        }
        if self.dead.contains(&node) {
            return Some(Observation::Unreadable(Fault::transient("the BMC does not answer Ironic")));
        }
        if under_way.is_none() && says != PowerState::On {
            self.power(node, PowerState::Off);
            self.service.recorded.insert(node, PowerState::Off);
            reading.power = PowerState::Off;
        }
        Some(Observation::System(reading))
    }

    /// What a command to a kept node does; `None`: the same as with any other.
    pub(super) fn kept_effect(&mut self, command: &Command) -> Option<Result<Option<HookResult>, Fault>> {
        match command {
            Command::Reset { node, reset } if self.keeps(*node) => Some(self.kept_reset(*node, *reset)),
            Command::Change(change) if change.nodes().iter().any(|n| self.keeps(*n)) => {
                change.nodes().iter().for_each(|node| drop(self.shown.remove(node)));
                Some(self.kept_change(change))
            }
            _ => None,
        }
    }

    fn kept_reset(&mut self, node: NodeId, reset: ResetType) -> Result<Option<HookResult>, Fault> {
        if self.service.locked.contains_key(&node) {
            return Err(locked(node));
        }
        if self.dead.contains(&node) {
            return Err(Fault::transient("the BMC does not answer Ironic"));
        }
        if reset.starts() {
            self.ordered_on.insert(node, self.now);
            self.check_records(node);
        }
        let deaf = reset == ResetType::GracefulShutdown && self.rng.percent(self.faults.soft_ignored);
        let delay = if self.faults.slow_power_ms > 0 { self.rng.below(self.faults.slow_power_ms) } else { 0 };
        self.service.locked.insert(node, reset.leads_to());
        let idle = deaf || self.rng.percent(self.faults.ignored);
        self.at(delay, if idle { Happening::Unlocked(node) } else { Happening::Land(node, reset) });
        Ok(None)
    }

    /// The lock ends with what the BMC says.
    pub(super) fn unlocked(&mut self, node: NodeId) {
        if self.service.locked.remove(&node).is_some() && !self.dead.contains(&node) {
            self.service.recorded.insert(node, self.fleet.power(node));
        }
    }

    fn kept_change(&mut self, change: &Change) -> Result<Option<HookResult>, Fault> {
        // The node that gives a connector or target is not looked at.
        let asked = match change {
            Change::MoveConnector { to, .. } | Change::MoveTarget { to, .. } => vec![*to],
            other => other.nodes(),
        };
        if let Some(node) = asked.iter().find(|n| self.service.locked.contains_key(n)) {
            return Err(locked(*node));
        }
        match change {
            Change::Reserve { node, claim: Some(claim), .. } => {
                if self.service.claims.iter().any(|(at, known)| known == claim && at != node) {
                    return Err(Fault::refused("another run wants this source"));
                }
                if self.fleet.nodes[node].instance.is_some() {
                    return Err(Fault::refused("it is associated with an instance"));
                }
                self.fleet.apply(change)?;
                self.service.claims.insert(*node, *claim);
            }
            Change::Release { node, .. } => {
                self.fleet.apply(change)?;
                self.service.claims.remove(node);
            }
            Change::MoveConnector { to, .. } | Change::MoveTarget { to, .. } => {
                let says = self.service.recorded.get(to).copied().unwrap_or_default();
                if says != PowerState::Off {
                    return Err(Fault::refused(format!("it cannot be performed on node {to} while it is in state {says}")));
                }
                self.check_move(change);
                self.fleet.apply(change)?;
            }
            Change::MoveInstance { instance, from, to, holder, .. } => {
                return self.move_kept_instance(instance.as_ref(), *from, *to, holder);
            }
            Change::SetProvisionState { node, target, .. } => self.provision(*node, *target)?,
            Change::Undeploy { node, .. } => {
                let state = self.fleet.nodes[node].provision_state;
                if state != ProvisionState::Available {
                    if !matches!(state, ProvisionState::Active | ProvisionState::DeployFailed | ProvisionState::Error) {
                        return Err(Fault::refused(format!("it is {state}")));
                    }
                    self.begin(*node, ProvisionState::Deleting, Happening::Undeployed(*node));
                }
            }
            other => self.fleet.apply(other)?,
        }
        Ok(None)
    }

    /// Three requests, and a process may die between any two.
    fn move_kept_instance(
        &mut self,
        instance: Option<&Instance>,
        from: NodeId,
        to: NodeId,
        holder: &Holder,
    ) -> Result<Option<HookResult>, Fault> {
        let held = |w: &World, node: NodeId| w.fleet.nodes[&node].reservation.as_ref() == Some(holder);
        if !held(self, from) || !held(self, to) {
            return Err(Fault::refused("it is not held"));
        }
        let Some(instance) = instance else { return Ok(None) };
        let uuid = |w: &World, node: NodeId| w.fleet.nodes[&node].instance.as_ref().map(|i| i.uuid);
        if uuid(self, from) == Some(instance.uuid) {
            self.set_instance(from, None);
        }
        if self.rng.percent(self.faults.lost_after) {
            return Err(Fault::unknown("the answer is lost"));
        }
        self.service.claims.remove(&to);
        if self.rng.percent(self.faults.foreign) {
            self.set_instance(to, Some(Instance { uuid: uuid::Uuid::from_u128(0xF0), name: None }));
        }
        if self.rng.percent(self.faults.lost_after) {
            return Err(Fault::unknown("the answer is lost"));
        }
        match uuid(self, to) {
            Some(other) if other != instance.uuid => return Err(Fault::refused("it is associated with another instance")),
            _ => self.set_instance(to, Some(instance.clone())),
        }
        Ok(None)
    }

    fn set_instance(&mut self, node: NodeId, instance: Option<Instance>) {
        if let Some(node) = self.fleet.nodes.get_mut(&node) {
            node.instance = instance;
        }
    }

    fn begin(&mut self, node: NodeId, state: ProvisionState, end: Happening) {
        self.set_state(node, state);
        self.service.locked.insert(node, None);
        let delay = if self.faults.slow_power_ms > 0 { self.rng.below(2 * self.faults.slow_power_ms) } else { 0 };
        self.at(delay, end);
    }

    fn set_state(&mut self, node: NodeId, state: ProvisionState) {
        self.shown.remove(&node);
        if let Some(node) = self.fleet.nodes.get_mut(&node) {
            node.provision_state = state;
        }
    }

    fn provision(&mut self, node: NodeId, target: ProvisionTarget) -> Result<(), Fault> {
        let state = self.fleet.nodes[&node].provision_state;
        if state == target.leads_to() {
            return Ok(());
        }
        if !target.allowed_from(state) {
            return Err(Fault::refused(format!("it is {state}")));
        }
        let way = match target {
            ProvisionTarget::Active if self.in_maintenance(node) => return Err(Fault::refused("it is in maintenance mode")),
            ProvisionTarget::Active if self.boot_file(node).is_none() => {
                return Err(Fault::refused("missing are: instance_info.image_source"));
            }
            ProvisionTarget::Active => ProvisionState::Deploying,
            ProvisionTarget::Adopt => ProvisionState::Adopting,
            ProvisionTarget::Manage if state == ProvisionState::Enroll => ProvisionState::Verifying,
            ProvisionTarget::Manage | ProvisionTarget::Provide => {
                self.set_state(node, target.leads_to());
                return Ok(());
            }
        };
        if target != ProvisionTarget::Manage {
            self.ordered_on.insert(node, self.now);
            self.check_instance(node);
        }
        self.begin(node, way, Happening::Provisioned(node, target));
        Ok(())
    }

    /// What the volumes that are recorded at the node make its boot file open.
    fn boot_file(&self, node: NodeId) -> Option<IscsiBoot> {
        self.fleet.targets_of(node).first().filter(|t| t.boot_index == 0).and_then(|t| t.iscsi_boot("iqn.2026-01.example:kept"))
    }

    fn write_boot_file(&mut self, node: NodeId, opens: IscsiBoot) {
        if let Some(Live::Answered { boot, .. }) = self.fleet.live.get_mut(&node) {
            boot.iscsi = Some(opens);
        }
    }

    pub(super) fn provisioned(&mut self, node: NodeId, target: ProvisionTarget) {
        self.service.locked.remove(&node);
        if self.dead.contains(&node) || self.rng.percent(self.faults.provision_fails) {
            let failed = match target {
                ProvisionTarget::Active => ProvisionState::DeployFailed,
                ProvisionTarget::Adopt => ProvisionState::AdoptFailed,
                ProvisionTarget::Manage | ProvisionTarget::Provide => ProvisionState::Enroll,
            };
            if target == ProvisionTarget::Adopt {
                self.service.recorded.insert(node, PowerState::Unknown);
            }
            return self.set_state(node, failed);
        }
        self.set_state(node, target.leads_to());
        match target {
            ProvisionTarget::Active | ProvisionTarget::Adopt => {
                let opens = self.boot_file(node).unwrap_or_default();
                self.write_boot_file(node, opens);
            }
            ProvisionTarget::Manage | ProvisionTarget::Provide => {}
        }
        if target == ProvisionTarget::Active {
            self.power(node, PowerState::Off);
            self.power(node, PowerState::On);
            self.service.recorded.insert(node, PowerState::On);
        } else {
            self.service.recorded.insert(node, self.fleet.power(node));
        }
    }

    pub(super) fn undeployed(&mut self, node: NodeId) {
        self.service.locked.remove(&node);
        if self.dead.contains(&node) {
            return self.set_state(node, ProvisionState::Error);
        }
        self.power(node, PowerState::Off);
        self.service.recorded.insert(node, PowerState::Off);
        self.fleet.targets.retain(|_, target| target.node != node);
        self.write_boot_file(node, IscsiBoot::default());
        self.set_instance(node, None);
        self.set_state(node, ProvisionState::Available);
    }

    /// The witness: volumes are opened for the instance that they belong to, and for no other.
    fn check_instance(&mut self, node: NodeId) {
        let own = self.fleet.nodes[&node].instance.as_ref().map(|i| i.uuid);
        let of = |t: &&VolumeTarget| self.service.instances.get(&t.id).is_some_and(|of| *of != own);
        if let Some(target) = self.fleet.targets_of(node).into_iter().find(of) {
            self.violations.push(format!("S2: {node} takes `{}` over for another instance", target.volume_id));
        }
    }

    /// The witness: a machine whose boot file opens what is recorded elsewhere is not told On.
    fn check_records(&mut self, node: NodeId) {
        let Some(Live::Answered { boot, .. }) = self.fleet.live.get(&node) else { return };
        let Some(opens) = boot.iscsi.as_ref().filter(|i| !i.is_clear()) else { return };
        let same = |t: &&VolumeTarget| t.iscsi_boot("").is_some_and(|b| b.target == opens.target && b.lun == opens.lun);
        if let Some(target) = self.fleet.targets.values().find(same).filter(|t| t.node != node) {
            self.violations.push(format!("S1: {node} is told On while `{}` is recorded at {}", target.volume_id, target.node));
        }
    }
}
