//! Off and on again: what the runbook allows, and what the way back owes.

use super::boot::BootSteps;
use super::*;

impl Cook<'_> {
    pub(super) fn power_off(&self, connectors: &[Step], targets: &[Step], boot: &BootSteps) -> Step {
        let power = &self.runbook.power;
        let soft_possible = self.source.abilities.reset_types.as_ref().is_none_or(|t| t.contains(&ResetType::GracefulShutdown));
        let soft = (power.hard_off != HardOff::AtOnce && power.soft_off > Span::ZERO && soft_possible).then_some(power.soft_off);
        let hard = (power.hard_off != HardOff::Never).then_some(ResetType::ForceOff);
        let way_back = (self.runbook.mode == Mode::Planned).then(|| {
            Box::new(PowerBack {
                pair: self.pair.clone(),
                reset: on_type(self.source),
                landing: self.landing,
                connectors: connectors
                    .iter()
                    .filter_map(|s| if let Step::MoveConnector(m) = s { Some(m.connector) } else { None })
                    .collect(),
                targets: targets.iter().filter_map(|s| if let Step::MoveTarget(m) = s { Some(m.target) } else { None }).collect(),
                boot: boot.clear.as_ref().map(|c| c.was.clone()),
                destination_boot: boot.configure.as_ref().map(|c| c.was.clone()),
            })
        });
        // Where nothing hard is allowed, a fence that switches off hard must not take over.
        let silent = self.silent().filter(|_| hard.is_some());
        let spare = Some(self.pair.destination.clone());
        Step::PowerOff(PowerOff { machine: self.pair.source.clone(), soft, hard, landing: self.landing, silent, spare, way_back })
    }

    pub(super) fn power_on(&self, boot: &BootSteps, fence: &Step) -> Step {
        let targets = self.fleet.targets_of(self.source.id);
        Step::PowerOn(PowerOn {
            pair: self.pair.clone(),
            reset: on_type(self.destination),
            landing: self.landing,
            targets: targets.into_iter().map(|t| (t.id, t.volume_id.clone())).collect(),
            boot: boot.configure.as_ref().map(|c| c.settings.clone()),
            agents: fence.fence().map(Fence::agents).unwrap_or_default(),
        })
    }
}

fn on_type(node: &Node) -> ResetType {
    match &node.abilities.reset_types {
        Some(types) if !types.contains(&ResetType::On) && types.contains(&ResetType::ForceOn) => ResetType::ForceOn,
        _ => ResetType::On,
    }
}
