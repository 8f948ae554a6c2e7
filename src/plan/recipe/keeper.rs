//! A pair that a service keeps (Ironic): it claims, deploys or adopts, and undeploys. The order is its own as well: the spare is
//! claimed before the source, is in maintenance between the claim and the real `instance_uuid`, and is started by its deployment.

use super::*;
use crate::model::gate_table::gates;

/// What a kept pair has that another has not.
pub(super) struct Keeping {
    /// In `enroll` nobody has looked at its BMC: `manage` makes the service look.
    pub verify: Option<Step>,
    /// The spare's maintenance: allocations pass it over, and the service's power sync leaves it alone.
    pub set_aside: Step,
    target: ProvisionTarget,
    reason: String,
}

impl Keeping {
    pub fn deploys(&self) -> bool {
        self.target == ProvisionTarget::Active
    }
}

impl Cook<'_> {
    /// `None`: nobody keeps either.
    pub(super) fn keeping(&self) -> Result<Option<Keeping>, Unfit> {
        let (source, destination) = (&self.source.name, &self.destination.name);
        match (&self.source.kept_by, &self.destination.kept_by) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {}
            (kept, _) => {
                let (kept, other) = if kept.is_some() { (source, destination) } else { (destination, source) };
                let why =
                    format!("`{kept}` is kept by a service that boots its nodes, and `{other}` is not: nothing can be moved between them");
                return Err(self.left(LeftOutCode::OneEndKept, why));
            }
        }
        if self.boot_via() != BootVia::Inventory {
            let why = format!(
                "Ironic lets `{source}` and `{destination}` boot, and knows their BMCs; leave `boot.via` out, or write `inventory`"
            );
            return Err(self.left(LeftOutCode::BootByService, why));
        }
        let target = match self.destination.provision_state {
            ProvisionState::Available => ProvisionTarget::Active,
            ProvisionState::Manageable | ProvisionState::Enroll => ProvisionTarget::Adopt,
            state => {
                let why = format!("`{destination}` is {state}: a spare is available, manageable or enroll");
                return Err(self.left(LeftOutCode::DestinationUnfit, why));
            }
        };
        let verify = (self.destination.provision_state == ProvisionState::Enroll)
            .then(|| self.provision(ProvisionTarget::Manage, self.destination.id, ProvisionState::Enroll));
        // An original that comes home is in the maintenance of the way out already.
        let away = self.home.and_then(|h| h.maintenance.clone());
        let reason = away.unwrap_or_else(|| format!("{} {}", self.runbook.name, self.id));
        let machine = self.pair.destination.clone();
        let set_aside = Step::SetMaintenance(SetMaintenance { machine, reason: reason.clone() });
        Ok(Some(Keeping { verify, set_aside, target, reason }))
    }

    fn provision(&self, target: ProvisionTarget, node: NodeId, was: ProvisionState) -> Step {
        Step::Provision(Provision {
            pair: self.pair.clone(),
            node,
            target,
            was,
            instance: None,
            targets: Vec::new(),
            agents: Vec::new(),
            undoing: false,
        })
    }

    /// Between the records' move and the hooks after it: an adoption, which starts nothing; and the end of the maintenance, in
    /// which nothing is deployed.
    pub(super) fn take_over(&self, keeping: &Keeping) -> Vec<Step> {
        let mut steps = Vec::new();
        if !keeping.deploys() {
            steps.push(self.with_volumes(ProvisionTarget::Adopt, ProvisionState::Manageable, Vec::new()));
            steps.push(self.boot_device());
        }
        let (machine, reason) = (self.pair.destination.clone(), keeping.reason.clone());
        steps.push(Step::LeaveMaintenance(LeaveMaintenance { machine, reason, off: true }));
        steps
    }

    fn with_volumes(&self, target: ProvisionTarget, was: ProvisionState, agents: Vec<AgentCall>) -> Step {
        let targets = self.fleet.targets_of(self.source.id).into_iter().map(|t| (t.id, t.volume_id.clone())).collect();
        match self.provision(target, self.destination.id, was) {
            Step::Provision(step) => Step::Provision(Provision { instance: self.source.instance.clone(), targets, agents, ..step }),
            other => other,
        }
    }

    pub(super) fn deploy(&self, fence: &Step) -> Step {
        let agents = fence.fence().map(Fence::agents).unwrap_or_default();
        self.with_volumes(ProvisionTarget::Active, ProvisionState::Available, agents)
    }

    /// An adoption sets none. iSCSI boots from the network by Ironic's own file; Fibre Channel and NFS by the card.
    fn boot_device(&self) -> Step {
        let boot = self.fleet.targets_of(self.source.id).into_iter().find(|t| t.boot_index == 0);
        let target = if boot.is_some_and(|t| t.volume_type == VolumeType::Iscsi) { "Pxe" } else { "Hdd" };
        let wanted = BootOverride { target: Some(target.into()), enabled: Some("Continuous".into()) };
        Step::ConfigureBoot(ConfigureBoot {
            pair: self.pair.clone(),
            node: self.destination.id,
            settings: BootSettings { iscsi: None, boot_override: Some(wanted) },
            // Whoever deploys the spare next sets it again.
            was: BootSettings::default(),
            landing: self.landing,
        })
    }

    pub(super) fn move_kept_instance(&self) -> Step {
        let to_was = match self.destination.provision_state {
            ProvisionState::Enroll => ProvisionState::Manageable,
            state => state,
        };
        let from_was = self.source.provision_state;
        Step::MoveInstance(MoveInstance {
            pair: self.pair.clone(),
            instance: self.source.instance.clone(),
            from: self.source.id,
            to: self.destination.id,
            from_state: from_was,
            to_state: to_was,
            from_was,
            to_was,
        })
    }

    /// The source is undeployed, or that is owed. One that came home in its stead was once a spare in another state.
    pub(super) fn clean_source(&self) -> Vec<Step> {
        let (name, serves) = (&self.source.name, &self.destination.name);
        let targets = self.fleet.targets_of(self.source.id).into_iter().map(|t| (t.id, t.volume_id.clone())).collect();
        let debt = format!(
            "never power on `{name}`; undeploy pending: its network boot file opens what `{serves}` has now. Make its BMC answer, then \
             `coldswap resume` undeploys it"
        );
        let note = NoteDebt { machine: self.pair.source.clone(), settings: BootSettings::default(), debt, owed: Owed::Undeploy };
        let clean = CleanSource { pair: self.pair.clone(), node: self.source.id, targets };
        let back = self.home.filter(|h| h.spare_state == ProvisionState::Manageable);
        let manage = |_| match self.provision(ProvisionTarget::Manage, self.source.id, ProvisionState::Available) {
            // Where the undeployment is owed, it is left as it is.
            Step::Provision(step) => Step::Provision(Provision { undoing: true, ..step }),
            other => other,
        };
        [Step::CleanSource(clean), Step::NoteDebt(note)].into_iter().chain(back.map(manage)).collect()
    }

    /// What Ironic does by itself.
    pub(super) fn keeper_warnings(&self, warnings: &mut Vec<String>) {
        if self.source.kept_by.is_none() {
            return;
        }
        let (source, destination) = (&self.source.name, &self.destination.name);
        warnings.push(match self.destination.provision_state {
            ProvisionState::Available => format!(
                "Ironic deploys `{destination}` from its volumes: it writes the network boot file, sets the boot device and starts the \
                 machine by itself"
            ),
            _ => {
                format!("Ironic adopts `{destination}`: it writes the network boot file and starts nothing; the start is a step of its own")
            }
        });
        let stays = if self.home.is_some() { "" } else { ", and it stays in maintenance" };
        warnings
            .push(format!("Ironic undeploys `{source}` without cleaning: its network boot file goes, its disks stay as they are{stays}"));
    }
}

gates! {
    "kept pair", "a pair of which a service keeps only one end, or whose boot the runbook wants for itself, is left out",
        Closed, "two that write one boot configuration undo each other", a_pair_that_is_half_kept_is_left_out;
}
