//! The fold: what a plan and its events amount to. The engine, resume, the live view and the report all use it, and it
//! refuses an event that does not fit, so that a damaged journal is noticed and never acted upon.

use super::decisions::word;
use super::event::*;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::plan::Plan;
use crate::step::Step;
use std::collections::BTreeMap;

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
    pub(super) detour: Vec<Step>,
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
    /// When its source was last seen or told On, or answered while another voucher was asked.
    pub spoke: Option<Time>,
    /// What is owed although it went well.
    pub debt: Option<String>,
    /// What was answered to the prompt in hand.
    pub answer: Option<Answer>,
    /// Who wants it taken back.
    pub recalled: Option<String>,
    /// It went back, or never began, because somebody asked for it: nothing has failed.
    pub asked_back: bool,
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
    /// Agent and plug of each, where agents vouch.
    pub plugs: Vec<(String, String)>,
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
            spoke: None,
            debt: None,
            answer: None,
            recalled: None,
            asked_back: false,
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
        track.void_fence(switchover.source.node, entry);
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

    /// Switchovers that ended otherwise than switched over, or than somebody asked for.
    pub fn failures(&self) -> u32 {
        let failed = |t: &&Track| matches!(t.phase, Phase::Finished(o) if t.has_failed(o));
        u32::try_from(self.tracks.iter().filter(failed).count()).unwrap_or(u32::MAX)
    }

    pub fn all_finished(&self) -> bool {
        self.tracks.iter().all(|t| matches!(t.phase, Phase::Finished(_)))
    }
}

gates! {
    "journal that fits", "an event that cannot follow on what came before ends the reading of the journal",
        Closed, "a damaged journal must not be acted upon", a_journal_that_does_not_fit_gives_no_report;
}
