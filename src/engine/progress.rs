//! The fold: what a plan and its events amount to. The engine, resume, the live view and the report all use it, and it
//! refuses an event that does not fit, so that a damaged journal is noticed and never acted upon.

use super::decisions::word;
use super::event::*;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::plan::Plan;
use crate::step::{Confirm, PowerOff, Step, Undo};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Waiting,
    Forward,
    Back,
    /// Cutting off a source that was seen On too late.
    CuttingOff,
    /// A person has said where the volumes are; the records are set right.
    Settling,
    Finished(Outcome),
}

/// How far one switchover is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub phase: Phase,
    /// Steps of the way back or of cutting off; forward walks the plan's own.
    detour: Vec<Step>,
    /// Position of the step in hand, from 0.
    pub cursor: usize,
    pub attempt: u32,
    /// The intent of this attempt is durable.
    pub intended: bool,
    /// Any attempt of the step in hand was intended.
    pub begun: bool,
    /// When the first attempt of the step in hand was intended.
    pub first_intent: Option<Time>,
    /// Forward steps, by position, whose command may have been sent.
    pub begun_steps: Vec<usize>,
    /// A power command was sent to either end and may not have landed (rule S6).
    pub last_power: Option<Time>,
    /// The destination may have been started: nothing goes back by itself.
    pub past_return: bool,
    /// The level of the fence in hand, and how often it changed.
    pub level: u32,
    pub levels_changed: u32,
    /// What another than the BMC vouched for, until the source is seen or told On.
    pub fence: Option<Held>,
    /// What is owed although it went well.
    pub debt: Option<String>,
    /// What was answered to the prompt in hand.
    pub answer: Option<Answer>,
    /// Who wants it taken back.
    pub recalled: Option<String>,
    /// What a person said of where its volumes are.
    pub moved: Option<bool>,
    /// Something is owed.
    pub owes: bool,
}

/// A recorded fence that stands in for a silent source (rule S1). It is one switchover's, as its track is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it stops to count; `None`: an agent's does not.
    pub until: Option<Time>,
    /// Whose word it is, for people.
    pub by: String,
}

/// An answer to a prompt; `by: None` is its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub choice: String,
    pub by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub tracks: Vec<Track>,
    pub started: bool,
    pub run: Option<RunId>,
    pub paused: Option<Reason>,
    /// A pause that `resume` lifts from another terminal, and when it ends by parking the run.
    pub pause_until: Option<Time>,
    /// Questions to the run as a whole that are open, and when their defaults count.
    pub open: BTreeMap<&'static str, Time>,
    /// Whether the run may start, once it is decided.
    pub approved: Option<bool>,
    pub storm_allowed: bool,
    /// The canaries were found good.
    pub canary_passed: bool,
    /// Who wants what has not begun to be skipped.
    pub withdrawn: Option<String>,
    /// The last request of the mailbox that is in the journal.
    pub last_request: u64,
    pub last_start: Option<Time>,
    /// Switchovers that were started.
    pub starts: u32,
    /// What holds whom back, as last told.
    pub held: BTreeMap<Whom, Limit>,
    /// Failures that were there when a person last resumed the run: they are known and count no more.
    pub failures_acknowledged: u32,
}

/// An event that does not fit: a damaged journal, or a bug of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    #[error("event {event} does not fit the state of {what}; the journal is damaged or was written by another version")]
    Misfit { what: String, event: String },
    /// Steps are told by their number: with another plan every number would mean another step.
    #[error("the journal is of plan `{journal}` and not of plan `{plan}`; take the run up with the plan that it was started with")]
    OtherPlan { journal: PlanId, plan: PlanId },
}

impl Progress {
    pub fn new(plan: &Plan) -> Progress {
        let track = Track {
            phase: Phase::Waiting,
            detour: Vec::new(),
            cursor: 0,
            attempt: 0,
            intended: false,
            begun: false,
            first_intent: None,
            begun_steps: Vec::new(),
            last_power: None,
            past_return: false,
            level: 0,
            levels_changed: 0,
            fence: None,
            debt: None,
            answer: None,
            recalled: None,
            moved: None,
            owes: false,
        };
        Progress {
            tracks: vec![track; plan.switchovers.len()],
            started: false,
            run: None,
            paused: None,
            pause_until: None,
            open: BTreeMap::new(),
            approved: None,
            storm_allowed: false,
            canary_passed: false,
            withdrawn: None,
            last_request: 0,
            last_start: None,
            starts: 0,
            held: BTreeMap::new(),
            failures_acknowledged: 0,
        }
    }

    /// # Errors
    /// [`BadEvent`] when the event cannot follow on what came before.
    pub fn apply(&mut self, plan: &Plan, entry: &Entry) -> Result<(), BadEvent> {
        let bad = |what: String| BadEvent::Misfit { what, event: format!("{:?}", entry.event) };
        if let Event::RunStarted { plan: journal, .. } = &entry.event
            && *journal != plan.id
        {
            return Err(BadEvent::OtherPlan { journal: journal.clone(), plan: plan.id.clone() });
        }
        if let Some(voice) = entry.event.voice() {
            self.last_request = self.last_request.max(voice.request);
        }
        let Some(id) = entry.event.switchover() else {
            return self.apply_run(plan, &entry.event).map_err(|what| bad(what.into()));
        };
        let index = plan.index(id).ok_or_else(|| bad(format!("a plan without {id}")))?;
        let switchover = &plan.switchovers[index];
        let track = &mut self.tracks[index];
        track.void_fence(switchover.source.node, &entry.event);
        if !self.started || !track.step_event(&switchover.steps, entry) {
            return Err(bad(format!("{id} ({:?})", track.phase)));
        }
        if matches!(entry.event, Event::Started { .. }) {
            self.last_start = Some(entry.at);
            self.starts += 1;
            self.held.remove(&Whom::One(id));
        }
        Ok(())
    }

    fn apply_run(&mut self, plan: &Plan, event: &Event) -> Result<(), &'static str> {
        match event {
            _ if !self.started && !matches!(event, Event::RunStarted { .. }) => return Err("a run that has not begun"),
            Event::RunStarted { run, journal_format, .. } if !self.started && *journal_format == JOURNAL_FORMAT => {
                self.started = true;
                self.run = Some(run.clone());
            }
            Event::RunResumed | Event::TakenOver { .. } => self.go_on(),
            Event::Continued { .. } if self.paused.is_some() => self.go_on(),
            // A pause that is not lifted becomes a stop, and so does one that somebody stops.
            Event::Paused { why, until, .. } if self.paused.is_none() || self.pause_until.is_some() => {
                self.paused = Some(why.clone());
                self.pause_until = *until;
            }
            Event::Held { whom, limit: Some(limit), .. } => {
                self.held.insert(*whom, *limit);
            }
            Event::Held { whom, limit: None, .. } => {
                self.held.remove(whom);
            }
            Event::Asked { matter, until, .. } => {
                self.open.insert(word(*matter), *until);
            }
            Event::Decided { matter, choice, by, .. } => self.decide(plan, *matter, choice, by.as_ref())?,
            Event::Recalled { whom, by } => self.recall(plan, *whom, &by.name)?,
            Event::Declined { .. } => {}
            _ => return Err("the run"),
        }
        Ok(())
    }

    /// Switchovers that ended otherwise than switched over.
    pub fn failures(&self) -> u32 {
        let failed = |t: &&Track| matches!(t.phase, Phase::Finished(o) if o != Outcome::SwitchedOver);
        u32::try_from(self.tracks.iter().filter(failed).count()).unwrap_or(u32::MAX)
    }

    pub fn all_finished(&self) -> bool {
        self.tracks.iter().all(|t| matches!(t.phase, Phase::Finished(_)))
    }
}

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

    /// Number of the step in hand, from 1.
    pub fn number(&self) -> u32 {
        u32::try_from(self.cursor + 1).unwrap_or(u32::MAX)
    }

    fn step_event(&mut self, forward: &[Step], entry: &Entry) -> bool {
        let here = |step: u32, t: &Track| t.in_flight() && step == t.number() && t.cursor < t.path(forward).len();
        match &entry.event {
            Event::Started { .. } if self.phase == Phase::Waiting => self.phase = Phase::Forward,
            Event::Intended { step, attempt, command, .. } if here(*step, self) && *attempt == self.attempt && !self.intended => {
                self.intend(forward, entry.at, command);
            }
            Event::Achieved { step, fence, how, .. } if here(*step, self) => {
                if let Some(voucher) = fence {
                    self.fence = Some(held(voucher));
                }
                if let (Some(Step::NoteDebt(note)), true) = (self.path(forward).get(self.cursor), *how != How::AlreadySo) {
                    self.debt = Some(format!("`{}`: {}", note.machine.name, note.debt));
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
            Event::RollingBack { .. } if self.phase == Phase::Forward && !self.past_return => {
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
            Event::Settled { .. } if self.owes && matches!(self.phase, Phase::Finished(_)) => self.owes = false,
            Event::Finished { outcome: Outcome::Skipped, .. } if self.phase == Phase::Waiting => {
                self.phase = Phase::Finished(Outcome::Skipped);
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
    fn void_fence(&mut self, source: NodeId, event: &Event) {
        let on = |reads: &[Read]| reads.iter().any(|r| r.node == source && matches!(r.power, PowerState::On | PowerState::PoweringOn));
        let void = match event {
            Event::Intended { before, command: Told::Reset { node, reset }, .. } => (*node == source && reset.starts()) || on(before),
            Event::Intended { before, .. } => on(before),
            Event::Achieved { after, .. } => on(after),
            Event::CuttingOff { .. } => true,
            _ => false,
        };
        if void {
            self.fence = None;
        }
    }

    fn intend(&mut self, forward: &[Step], at: Time, command: &Told) {
        self.intended = true;
        self.begun = true;
        self.first_intent.get_or_insert(at);
        if matches!(command, Told::Reset { .. } | Told::Agents(_)) {
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
    fn way_back(&self, forward: &[Step]) -> Vec<Step> {
        let undo = |at: &usize| match forward[*at].undo() {
            Undo::Steps(steps) => steps,
            Undo::Nothing | Undo::Never => Vec::new(),
        };
        self.begun_steps.iter().rev().flat_map(undo).collect()
    }

    /// A fresh look at both nodes first. Moved: what else belongs to a switchover follows, and both nodes are given back.
    /// Not moved: all that was begun is taken back.
    fn settlement(&self, forward: &[Step], moved: bool) -> Vec<Step> {
        let Some(pair) = forward.iter().find_map(Step::pair) else { return Vec::new() };
        let mut confirm = Confirm { pair: pair.clone(), moved, connectors: Vec::new(), targets: Vec::new() };
        if !moved {
            return std::iter::once(Step::Confirm(confirm)).chain(self.way_back(forward)).collect();
        }
        let mut rest = Vec::new();
        for step in forward {
            match step {
                Step::MoveConnector(m) => confirm.connectors.push((m.connector, m.connector_id.clone())),
                Step::MoveTarget(m) => confirm.targets.push((m.target, m.volume_id.clone())),
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

fn held(voucher: &Voucher) -> Held {
    match voucher {
        Voucher::Agents(reads) => {
            let agents: BTreeSet<&str> = reads.iter().map(|r| r.agent.as_str()).collect();
            Held { until: None, by: agents.into_iter().collect::<Vec<_>>().join(" and ") }
        }
        Voucher::Attestation { by, until, .. } => Held { until: Some(*until), by: by.clone() },
    }
}

/// The source's power-off without asking and without a way back.
fn cut_off(step: &Step) -> Option<Step> {
    match step {
        Step::PowerOff(off) => {
            Some(Step::PowerOff(PowerOff { soft: None, hard: Some(ResetType::ForceOff), silent: None, way_back: None, ..off.clone() }))
        }
        _ => None,
    }
}

gates! {
    "journal that fits", "an event that cannot follow on what came before ends the reading of the journal",
        Closed, "a damaged journal must not be acted upon", a_journal_that_does_not_fit_gives_no_report;
}
