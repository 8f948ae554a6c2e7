//! What people do to machines meanwhile: somebody else writes a destination's boot configuration between the step that
//! sets it and the start; somebody pulls the cords of a source and says so; fence agents switch plugs.

use super::*;
use crate::plan::{Plan, Switchover};
use crate::step::Step;

/// From what a look sees to the order that follows from it: what changes within this nobody could see.
const GLANCE: Span = Span::millis(80);

/// What another machine says.
pub(super) fn impostor(query: &Query) -> Observation {
    if matches!(query, Query::Boot(_)) {
        return Observation::Boot(BootSettings { iscsi: Some(IscsiBoot::default()), boot_override: None });
    }
    let identity = Identity { system_uuid: Some("another".into()), serial_number: None };
    Observation::System(SystemReading { power: PowerState::Off, identity, ..SystemReading::default() })
}

impl World {
    /// A destination was told what to open: somebody may write something else in the seconds that follow.
    pub(super) fn may_be_tampered(&mut self, command: &Command) {
        if let Command::SetBoot { node, settings } = command
            && settings.iscsi.as_ref().is_some_and(|i| !i.is_clear())
            && !self.sources.contains(node)
            && self.rng.percent(self.faults.tampered)
        {
            let delay = self.rng.below(250);
            self.at(delay, Happening::Tamper(*node));
        }
    }

    /// It opens a volume of somebody else's, or nothing. A machine that runs has read its own already.
    pub(super) fn tamper(&mut self, node: NodeId) {
        if self.fleet.power(node) == PowerState::On {
            return;
        }
        let own = match self.fleet.live.get(&node) {
            Some(Live::Answered { boot, .. }) => boot.iscsi.clone().unwrap_or_default(),
            _ => return,
        };
        let others: Vec<IscsiBoot> = self.fleet.targets.values().filter_map(|t| t.iscsi_boot(&own.initiator)).collect();
        let others: Vec<IscsiBoot> = others.into_iter().filter(|o| o.target != own.target).collect();
        let foreign = if others.is_empty() || self.rng.percent(50) {
            IscsiBoot::default()
        } else {
            let at = self.rng.below(others.len() as u64);
            others[usize::try_from(at).unwrap_or(0)].clone()
        };
        if let Some(Live::Answered { boot, .. }) = self.fleet.live.get_mut(&node) {
            boot.iscsi = Some(foreign);
        }
        self.tampered.insert(node, self.now);
    }

    /// An order arrives long after the look that it followed from: what was changed meanwhile nobody could see.
    pub(super) fn started_unheard(&mut self, command: &Command) {
        if let Command::Reset { node, reset } = command
            && reset.starts()
            && self.tampered.contains_key(node)
        {
            self.tampered.insert(*node, Time(i64::MAX / 2));
        }
    }

    /// Was its boot configuration changed so shortly before it was told On, or after, that nobody could see it?
    pub fn tampered_unseen(&self, node: NodeId) -> bool {
        match (self.tampered.get(&node), self.ordered_on.get(&node)) {
            (Some(tampered), Some(told)) => *tampered + GLANCE > *told,
            _ => false,
        }
    }

    /// Only for a machine whose BMC is silent (`coldswap attest` refuses others), and true when it is said.
    pub(super) fn attests(&mut self, node: NodeId) {
        if !self.dead.contains(&node) {
            return;
        }
        self.power(node, PowerState::Off);
        self.pulled.insert(node);
        let (by, reason) = ("Kim".to_owned(), "pulled both cords".to_owned());
        let id = 1 + self.attestations.len() as u64;
        let word = Attestation { id, node, by, reason, at: self.now, expires_at: self.now + Span::mins(60), used_by: None };
        self.attestations.insert(node, word);
    }

    /// Every plug is switched, or not, late or at once, whatever the agents say of it.
    pub(super) fn switch_off(&mut self, calls: &[AgentCall]) -> Result<Option<HookResult>, Fault> {
        let lies = self.rng.percent(self.faults.agent_lies);
        for node in calls.iter().filter_map(plugged) {
            if lies && self.rng.percent(50) {
                continue;
            }
            let delay = if self.faults.slow_power_ms > 0 { self.rng.below(self.faults.slow_power_ms) } else { 0 };
            self.at(delay, Happening::Land(node, ResetType::ForceOff));
            if self.rng.percent(self.faults.replugged) {
                let later = delay + self.rng.below(6_000);
                self.at(later, Happening::Feed(node));
            }
        }
        if lies && self.rng.percent(50) { Err(Fault::unknown("exit 1")) } else { Ok(None) }
    }

    /// Whose spare is whose, of a plan that takes its sources down in good health.
    pub fn watch(&mut self, plan: &Plan) {
        let planned = |s: &&Switchover| s.steps.iter().any(|step| matches!(step, Step::PowerOff(off) if off.way_back.is_some()));
        self.spares = plan.switchovers.iter().filter(planned).map(|s| (s.source.node, s.destination.node)).collect();
        for spare in self.spares.values().copied().collect::<Vec<_>>() {
            if self.rng.percent(self.faults.strangers) {
                let after = self.rng.below(3_000);
                self.at(after, Happening::Stranger(spare));
            }
        }
    }

    /// Nobody's run started it. Once a run has told it what to open, starting it is the run's own doing.
    pub(super) fn stranger(&mut self, spare: NodeId) {
        let told =
            matches!(self.fleet.live.get(&spare), Some(Live::Answered { boot, .. }) if boot.iscsi.as_ref().is_some_and(|i| !i.is_clear()));
        if !told && !self.ordered_on.contains_key(&spare) && self.fleet.power(spare) == PowerState::Off {
            self.strangers.insert(spare, self.now);
            self.power(spare, PowerState::On);
        }
    }

    /// Somebody goes to a machine whose BMC is silent by then, switches it off by hand and attests that.
    pub fn attests_at(&mut self, node: NodeId, after: Span) {
        self.at(after.0, Happening::Attests(node));
    }

    /// From then on its BMC answers nothing.
    pub fn fall_silent(&mut self, node: NodeId, after: Span) {
        self.at(after.0, Happening::Dies(node));
    }

    /// From then on the machine runs, and its BMC stays silent.
    pub fn replug(&mut self, node: NodeId, at: Time) {
        self.queue.push(at, Happening::Replug(node));
    }

    /// From then on its BMC answers.
    pub fn revive(&mut self, node: NodeId, after: Span) {
        self.at(after.0, Happening::Revives(node));
    }

    /// What a BMC says that answers.
    pub(super) fn reading(&mut self, query: &Query) -> Observation {
        let mut seen = meaning::answer(&self.fleet, query);
        if let Observation::System(reading) = &mut seen {
            if self.rng.percent(self.faults.null_power) {
                reading.power = PowerState::Unknown;
            } else if reading.power == PowerState::Off && self.rng.percent(self.faults.lags) {
                reading.power = PowerState::PoweringOff;
            }
        }
        seen
    }

    /// Did its feed come back behind everybody's back?
    pub fn was_fed(&self, node: NodeId) -> bool {
        self.fed.contains_key(&node)
    }

    pub fn has_open(&self, node: NodeId) -> bool {
        self.open.values().any(|m| m.contains(&node))
    }

    /// The machine was seen running: what was said of it before is over, used or not.
    pub fn withdraw(&mut self, node: NodeId, at: Time) {
        if let Some(word) = self.attestations.get_mut(&node).filter(|w| w.at <= at) {
            word.expires_at = word.expires_at.min(at);
        }
    }

    /// From then on the machine runs, and some other command has seen it before its BMC fell silent again.
    pub fn replug_seen(&mut self, node: NodeId, at: Time) {
        self.replug(node, at);
        self.queue.push(at, Happening::Seen(node));
    }
}
