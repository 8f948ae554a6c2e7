//! How one switchover moves on with each event, and what its way back is.

use super::event::*;
use super::progress::{Held, Phase, Track};
use crate::model::*;
use crate::step::{Confirm, NoteDebt, Owed, PowerOff, Step, Undo};
use std::collections::BTreeSet;

impl Track {
    /// The steps of the path that is being walked.
    pub fn path<'a>(&'a self, forward: &'a [Step]) -> &'a [Step] {
        match self.phase {
            Phase::Back | Phase::CuttingOff | Phase::Settling => &self.detour,
            _ => forward,
        }
    }

    pub fn in_flight(&self) -> bool {
        matches!(self.phase, Phase::Forward | Phase::Back | Phase::CuttingOff | Phase::Settling)
    }

    /// It has not begun, or can still go back by itself.
    pub fn may_be_recalled(&self) -> bool {
        self.phase == Phase::Waiting || (self.phase == Phase::Forward && !self.past_return)
    }

    /// It ended where a person must say how it goes on, and nobody has yet.
    pub fn may_be_resolved(&self) -> bool {
        matches!(self.phase, Phase::Finished(Outcome::Stopped | Outcome::InDoubt)) && self.owes
    }

    /// It went well, and its source is not undeployed yet.
    pub(super) fn may_be_mended(&self, forward: &[Step]) -> bool {
        self.phase == Phase::Finished(Outcome::SwitchedOver) && self.owes && self.debt.is_some() && !mending(forward).is_empty()
    }

    /// Does this end count as a failure? Not where it is what somebody asked for; one that could not even be taken back
    /// does.
    pub(super) fn has_failed(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::SwitchedOver => false,
            Outcome::RolledBack | Outcome::Skipped => !self.asked_back,
            Outcome::Stopped | Outcome::InDoubt => true,
        }
    }

    /// It is on its way back, and not because somebody asked for it.
    pub(super) fn fails(&self) -> bool {
        match self.phase {
            Phase::Back => !self.asked_back,
            phase => phase == Phase::CuttingOff,
        }
    }

    /// Number of the step in hand, from 1.
    pub fn number(&self) -> u32 {
        u32::try_from(self.cursor + 1).unwrap_or(u32::MAX)
    }

    pub(super) fn step_event(&mut self, forward: &[Step], entry: &Entry) -> bool {
        let here = |step: u32, t: &Track| t.in_flight() && step == t.number() && t.cursor < t.path(forward).len();
        match &entry.event {
            Event::Started { .. } if self.phase == Phase::Waiting => self.phase = Phase::Forward,
            Event::Intended { step, attempt, command, .. } if here(*step, self) && *attempt == self.attempt && !self.intended => {
                self.intend(forward, entry.at, command);
            }
            Event::Achieved { step, fence, how, .. } if here(*step, self) => {
                if let Some(voucher) = fence {
                    self.fence = self.counts(voucher).then(|| held(voucher));
                }
                match self.path(forward).get(self.cursor) {
                    Some(Step::NoteDebt(note)) if note.owed == Owed::Paid => self.debt = None,
                    Some(Step::NoteDebt(note)) if *how != How::AlreadySo => {
                        self.debt = Some(format!("`{}`: {}", note.machine.name, note.debt));
                    }
                    _ => {}
                }
                self.next();
            }
            Event::Tolerated { step, .. } if here(*step, self) => self.next(),
            Event::FenceLevel { step, level, .. } if here(*step, self) => {
                let Some(Step::Fence(fence)) = self.path(forward).get(self.cursor) else { return false };
                if *level > 0 && fence.level(*level).is_none() {
                    return false;
                }
                self.level = *level;
                self.levels_changed += 1;
                (self.attempt, self.intended) = (0, false);
            }
            Event::Retried { step, attempt, .. } if here(*step, self) && *attempt == self.attempt => {
                self.attempt += 1;
                self.intended = false;
            }
            Event::RollingBack { why, .. } if self.phase == Phase::Forward && !self.past_return => {
                self.asked_back = why.code == ReasonCode::Asked;
                self.detour = self.way_back(forward);
                self.turn(Phase::Back);
            }
            Event::CuttingOff { .. } if self.phase == Phase::Forward && self.past_return => {
                self.detour = forward.iter().find_map(cut_off).into_iter().collect();
                self.turn(Phase::CuttingOff);
            }
            Event::Resolved { moved, .. } if self.may_be_resolved() => {
                self.detour = self.settlement(forward, *moved);
                self.moved = Some(*moved);
                self.turn(Phase::Settling);
            }
            Event::Mending { .. } if self.may_be_mended(forward) => {
                self.detour = mending(forward);
                self.moved = Some(true);
                self.turn(Phase::Settling);
            }
            Event::Settled { .. } if self.owes && matches!(self.phase, Phase::Finished(_)) => self.owes = false,
            Event::Finished { outcome: Outcome::Skipped, .. } if self.phase == Phase::Waiting => {
                self.phase = Phase::Finished(Outcome::Skipped);
                self.asked_back = true;
            }
            Event::Finished { outcome, debt, .. } if self.in_flight() => {
                self.phase = Phase::Finished(*outcome);
                self.owes = debt.is_some();
            }
            _ => return false,
        }
        true
    }

    /// An On of the source that was seen or told ends whatever an agent or a person said.
    pub(super) fn void_fence(&mut self, source: NodeId, entry: &Entry) {
        let on = |reads: &[Read]| reads.iter().any(|r| r.node == source && r.power.runs());
        let void = match &entry.event {
            Event::Intended { before, command: Told::Reset { node, reset }, .. } => (*node == source && reset.starts()) || on(before),
            Event::Intended { before, .. } => on(before),
            Event::Achieved { after, .. } => on(after),
            Event::CuttingOff { .. } => true,
            Event::RollingBack { why, .. } | Event::Finished { why: Some(why), .. } => why.code == ReasonCode::SourceOn,
            // The BMC took the question back.
            Event::FenceLevel { level: 0, .. } => true,
            _ => false,
        };
        if void {
            self.fence = None;
            self.spoke = Some(entry.at);
        }
    }

    /// A word that was given before its machine was seen or told On stands in for nothing. The fence asks the same of what
    /// it sees; here it is asked of the journal.
    fn counts(&self, voucher: &Voucher) -> bool {
        match voucher {
            Voucher::Agents(_) => true,
            Voucher::Attestation { at, .. } => self.spoke.is_none_or(|spoke| spoke < *at),
        }
    }

    fn intend(&mut self, forward: &[Step], at: Time, command: &Told) {
        self.intended = true;
        self.begun = true;
        self.first_intent.get_or_insert(at);
        if matches!(command, Told::Reset { .. } | Told::Agents(_) | Told::Provision { target: ProvisionTarget::Active, .. }) {
            self.last_power = Some(at);
        }
        if self.phase == Phase::Forward {
            if self.begun_steps.last() != Some(&self.cursor) {
                self.begun_steps.push(self.cursor);
            }
            self.past_return |= forward[self.cursor].starts_destination();
        }
    }

    fn next(&mut self) {
        self.cursor += 1;
        self.answer = None;
        (self.attempt, self.intended, self.begun, self.first_intent) = (0, false, false, None);
        (self.level, self.levels_changed) = (0, 0);
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.cursor = 0;
        (self.attempt, self.intended, self.begun, self.first_intent) = (0, false, false, None);
        (self.level, self.levels_changed) = (0, 0);
    }

    /// Only what was begun is taken back, the last one first. The step in hand may have happened and is among them.
    ///
    /// What a service made of the spare is taken back last of all that touches the spare, when no record hangs on it any more
    /// and the source runs again: an undeployment deletes what is recorded there.
    fn way_back(&self, forward: &[Step]) -> Vec<Step> {
        let undo = |at: usize| match forward[at].undo() {
            Undo::Steps(steps) => steps,
            Undo::Nothing | Undo::Never => Vec::new(),
        };
        let mut begun = self.begun_steps.clone();
        // A fence that was begun may have switched off what a power-off that was left undone did not.
        let off = forward.iter().position(|s| matches!(s, Step::PowerOff(_)));
        let told = self.last_power.is_some() && begun.iter().any(|b| forward[*b].fence().is_some());
        if let Some(off) = off.filter(|at| told && !begun.contains(at)) {
            begun.push(off);
            begun.sort_unstable();
        }
        let taken = begun.iter().filter_map(|at| if let Step::Provision(p) = &forward[*at] { Some(p.afterwards()) } else { None });
        let mut taken: Vec<Step> = taken.flatten().collect();
        let mut back = Vec::new();
        for at in begun.into_iter().rev() {
            if off.is_none_or(|off| at < off) {
                back.append(&mut taken);
            }
            back.extend(undo(at));
        }
        back.append(&mut taken);
        back
    }

    /// A fresh look at both nodes first. Moved: what else belongs to a switchover follows, and both nodes are given back.
    /// Not moved: all that was begun is taken back.
    fn settlement(&self, forward: &[Step], moved: bool) -> Vec<Step> {
        let Some(pair) = forward.iter().find_map(Step::pair) else { return Vec::new() };
        let mut confirm = Confirm { pair: pair.clone(), moved, connectors: Vec::new(), targets: Vec::new(), opens: None };
        if !moved {
            // Confirm has waited for whatever may still land. A source that runs by now serves, and is not switched off for it.
            let back = self.way_back(forward).into_iter().filter(|step| !matches!(step, Step::PowerOff(_)));
            return std::iter::once(Step::Confirm(confirm)).chain(back).collect();
        }
        let mut rest = Vec::new();
        let started = forward.iter().position(Step::starts_destination).unwrap_or(forward.len());
        for (at, step) in forward.iter().enumerate() {
            match step {
                // What is left to do after the start: what the source's firmware still opens, and the way home's own ends.
                Step::NoteDebt(_) | Step::LeaveMaintenance(_) | Step::SetRestorePolicy(_) | Step::CleanSource(_) | Step::Provision(_)
                    if at > started =>
                {
                    rest.push(step.clone());
                }
                Step::MoveConnector(m) => confirm.connectors.push((m.connector, m.connector_id.clone())),
                Step::ConfigureBoot(c) => confirm.opens = c.settings.iscsi.clone().filter(|i| !i.is_clear()),
                Step::MoveTarget(m) => confirm.targets.push((m.target, m.volume_id.clone())),
                // A spare that a service started has left its maintenance.
                Step::SetMaintenance(m) if m.machine.node == pair.destination.node => {}
                Step::SetMaintenance(_) | Step::MoveInstance(_) | Step::Release(_) => rest.push(step.clone()),
                _ => {}
            }
        }
        std::iter::once(Step::Confirm(confirm)).chain(rest).collect()
    }

    /// Nothing but reservations was begun: the nodes themselves were not touched.
    pub fn touched_nothing(&self, forward: &[Step]) -> bool {
        self.begun_steps.iter().all(|at| matches!(forward[*at], Step::Reserve(_)))
    }
}

/// What is tried once more where the source could not be undeployed; nothing where the plan undeploys none.
fn mending(forward: &[Step]) -> Vec<Step> {
    let Some(at) = forward.iter().position(|s| matches!(s, Step::CleanSource(_))) else { return Vec::new() };
    let Step::CleanSource(clean) = &forward[at] else { return Vec::new() };
    let rest = forward[at + 1..].iter().filter(|s| !matches!(s, Step::Release(r) if r.machine.node != clean.node));
    let paid = |step: &Step| match step {
        Step::NoteDebt(note) if note.owed == Owed::Undeploy => {
            [step.clone(), Step::NoteDebt(NoteDebt { owed: Owed::Paid, ..note.clone() })].to_vec()
        }
        _ => vec![step.clone()],
    };
    std::iter::once(forward[at].clone()).chain(rest.flat_map(paid)).collect()
}

fn held(voucher: &Voucher) -> Held {
    match voucher {
        Voucher::Agents(reads) => {
            let agents: BTreeSet<&str> = reads.iter().map(|r| r.agent.as_str()).collect();
            let plugs: BTreeSet<(String, String)> = reads.iter().map(|r| (r.agent.clone(), r.plug.clone())).collect();
            let by = agents.into_iter().collect::<Vec<_>>().join(" and ");
            Held { until: None, by, plugs: plugs.into_iter().collect() }
        }
        Voucher::Attestation { by, until, .. } => Held { until: Some(*until), by: by.clone(), plugs: Vec::new() },
    }
}

/// The source's power-off without asking and without a way back.
fn cut_off(step: &Step) -> Option<Step> {
    match step {
        Step::PowerOff(off) => {
            let (soft, hard, silent) = (None, Some(ResetType::ForceOff), None);
            Some(Step::PowerOff(PowerOff { soft, hard, silent, spare: None, way_back: None, ..off.clone() }))
        }
        _ => None,
    }
}
