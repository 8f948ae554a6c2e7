//! What the engine does for the fence: its levels, its evidence, what of it stands in for a silent source, and which
//! power commands may still land (rules S1 and S6).

use super::flight::State;
use super::*;
use crate::model::gate_table::gates;
use crate::step::{Command, FenceLevel, Observation, Query, StandIn, Verdict, leaves_open};

/// So many looks at least must have found nobody at home before the next level is asked.
pub(super) const SILENT_LOOKS: u32 = 3;
/// So often may a fence change its level.
const LEVEL_CHANGES: u32 = 8;

impl Engine {
    /// A recorded fence stands in until it is void. An attestation's end counts at every step that could let the
    /// destination write: not on the way back, which gives everything to the source again, and not for the last look
    /// after the boot.
    pub(super) fn stand_in(&self, now: Time, index: usize) -> StandIn {
        let track = &self.progress.tracks[index];
        if track.fence.is_none() {
            return StandIn::None;
        }
        let counts = match self.step(index) {
            Some(Step::Confirm(_)) => true,
            Some(step) if step.starts_destination() => track.phase == Phase::Forward && !track.intended,
            _ => track.phase == Phase::Forward && !track.past_return,
        };
        match self.word_over(now, index).filter(|_| counts) {
            None => StandIn::Holds,
            Some(why) => StandIn::Expired(why),
        }
    }

    /// The word that stands in for this source has ended.
    fn word_over(&self, now: Time, index: usize) -> Option<Reason> {
        let fence = self.progress.tracks[index].fence.as_ref()?;
        let source = &self.plan.switchovers[index].source;
        let until = fence.until.map(|until| self.words_end.get(&source.node).map_or(until, |end| until.min(*end)));
        let until = until.filter(|until| *until <= now)?;
        let text = format!("the attestation of {} that `{}` is off ended at {until}, and its BMC is silent", fence.by, source.name);
        Some(Reason::new(ReasonCode::FenceExpired, text))
    }

    /// A start that was meant and is about to be sent, by a resume or once more, rests on the word as it is now. A destination
    /// that is On already is another matter.
    pub(super) fn too_late_to_start(&self, now: Time, index: usize, seen: &[Observation]) -> Option<Reason> {
        let silent = matches!(seen.first(), Some(seen) if leaves_open(&self.plan.switchovers[index].source, seen));
        let sends = self.step(index).is_some_and(Step::starts_destination) && self.flights[index].told_at.is_none();
        self.word_over(now, index).filter(|_| silent && sends)
    }

    /// The sources for which a person's word stands in.
    pub fn on_a_word(&self) -> Vec<NodeId> {
        let held = |(index, track): (usize, &Track)| {
            track.fence.as_ref().filter(|fence| fence.until.is_some()).map(|_| self.plan.switchovers[index].source.node)
        };
        self.progress.tracks.iter().enumerate().filter_map(held).collect()
    }

    /// A word may have ended while nobody carried the run out: some other command saw the machine run.
    pub fn word_ends(&mut self, source: NodeId, at: Time) {
        self.words_end.entry(source).and_modify(|end| *end = at.min(*end)).or_insert(at);
    }

    /// The level to ask when the fence's own cannot tell, if the runbook has one more.
    pub(super) fn next_level(&self, index: usize) -> Option<u32> {
        let next = self.progress.tracks[index].level + 1;
        let forward = self.progress.tracks[index].phase == Phase::Forward;
        self.step(index).and_then(Step::fence).filter(|f| forward && f.level(next).is_some()).map(|_| next)
    }

    /// The fence goes on at another level. A BMC that comes and goes must not keep it going for ever.
    pub(super) fn fence_at(&mut self, now: Time, index: usize, level: u32, why: Reason) {
        if self.progress.tracks[index].levels_changed >= LEVEL_CHANGES {
            return self.give_up(now, index, why, None);
        }
        let step = self.progress.tracks[index].number();
        self.record(now, Event::FenceLevel { switchover: self.id(index), step, level, why });
        self.flights[index].fresh_attempt();
        self.flights[index].state = State::Idle;
        self.idle.push(index);
    }

    /// The look that saw the destination On has also answered what the step after it asks first. Where that shows the
    /// operating system running, and the source Off beside it, it is the look after the boot.
    pub(super) fn boot_seen(&mut self, now: Time, index: usize, seen: &[Observation]) {
        let cx = self.context(now, index);
        let Some(step @ Step::AwaitBoot(_)) = self.step(index) else { return };
        let answered = self.idle.last() == Some(&index) && step.observes(&cx).len() == seen.len();
        if answered && step.evaluate(&cx, seen) == Verdict::Satisfied {
            // The step before it has just put it there.
            self.idle.pop();
            self.seen(now, index, seen);
        }
    }

    /// A source that runs ends what people said of it before, for this run and every later one, whatever else the look
    /// showed: what a look leads to may leave no reading in the journal. So does a plug that is on although its agent was
    /// told `off`.
    pub(super) fn hear(&mut self, now: Time, index: usize, queries: &[Query], seen: &[Observation]) {
        let source = self.plan.switchovers[index].source.node;
        let track = &self.progress.tracks[index];
        let told_off = track.begun || self.flights[index].told_at.is_some() || self.step(index).is_some_and(Step::starts_destination);
        let on = |(query, seen): (&Query, &Observation)| match (query, seen) {
            (Query::System(node) | Query::Off(node), Observation::System(reading)) => {
                // What a service recorded and does not look at was not seen now.
                *node == source && reading.power.runs() && reading.recorded.is_none()
            }
            (Query::Plug(_), Observation::Plug(state)) => *state == PlugState::On && told_off,
            _ => false,
        };
        if queries.iter().zip(seen).any(on) && self.heard.last() != Some(&(source, now)) {
            self.heard.push((source, now));
            // Also the word that stands in for it here, whatever this look leads to.
            self.words_end.insert(source, now);
        }
    }

    /// Rule S6: what changes power may land late, an agent's `off` as well as a BMC's reset.
    pub(super) fn mark(&mut self, now: Time, index: usize, command: &Command) {
        let switchover = &self.plan.switchovers[index];
        let (node, reset) = match command {
            Command::Reset { node, reset } if reset.leads_to().is_some() => (*node, *reset),
            Command::Agents(_) => (switchover.source.node, ResetType::ForceOff),
            Command::Change(Change::SetProvisionState { node, target: ProvisionTarget::Active, .. }) => (*node, ResetType::On),
            _ => return,
        };
        let lands_by = now + switchover.landing;
        self.flights[index].quiet_until = lands_by;
        self.marks.push((node, PowerMark { reset, sent_at: now, lands_by }));
    }

    /// The evidence of a fence for which another than the BMC vouched.
    pub(super) fn voucher(&mut self, index: usize) -> Option<Voucher> {
        let level = self.progress.tracks[index].level;
        let (plugs, word) = (std::mem::take(&mut self.flights[index].plugs), self.flights[index].attestation.take());
        match self.step(index)?.fence()?.level(level)? {
            FenceLevel::Agents(_) => Some(Voucher::Agents(plugs)),
            FenceLevel::Attestation { expires } => word.map(|word| {
                let until = word.counts_until(*expires);
                Voucher::Attestation { id: word.id, by: word.by, reason: word.reason, at: word.at, until }
            }),
        }
    }

    /// A destination that was told On once and came On has landed: the next run need not wait for it.
    pub(super) fn clear_mark(&mut self, now: Time, index: usize) {
        let started = match self.step(index) {
            Some(Step::PowerOn(on)) => Some((on.pair.destination.node, on.reset)),
            // Its lock is held to the end: what is active is landed.
            Some(Step::Provision(deploy)) if deploy.starts() => Some((deploy.node, ResetType::On)),
            _ => None,
        };
        if let Some((node, reset)) = started
            && self.progress.tracks[index].attempt == 0
            && !self.flights[index].inherited
            && !self.flights[index].asked_again
        {
            self.marks.push((node, PowerMark { reset, sent_at: now, lands_by: now }));
        }
    }
}

gates! {
    "fence that stands in", "a recorded fence stands in for a silent source until the source is seen On, or the attestation ends",
        Closed, "a feed that comes back starts the machine without asking anybody", a_fence_that_survives_an_on;
}
