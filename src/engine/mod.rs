//! The engine: a synchronous state machine without clock, I/O or threads. It hears [`Input`]s and says what is
//! [`Ready`]: events to store, then orders to carry out.
//!
//! It holds two kinds of state and never confuses them: [`Progress`] is a fold of journalled events and survives a
//! crash; a flight is what one step is waiting for right now and does not.
//!
//! Every step goes the same way, first run, retry, resume and rollback alike: look; if it is so, go on; if it may be
//! done, record the intent, send the command, and look again until it is so (rule S5).

mod admission;
mod decisions;
mod event;
mod fencing;
mod flight;
mod lost;
mod order;
mod people;
mod progress;
mod track;
mod verdict;

pub use event::*;
pub use order::*;
pub use progress::*;

use crate::model::*;
use crate::plan::Plan;
use crate::step::{Context, Step};
use admission::{Admission, Next, brake};
use flight::{Flight, State};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the engine guards, for `docs/gates.md`.
pub const GATES: &[&[Gate]] = &[admission::GATES, people::GATES, fencing::GATES, verdict::GATES, order::GATES, progress::GATES];

pub struct Engine {
    plan: Arc<Plan>,
    run: RunId,
    progress: Progress,
    flights: Vec<Flight>,
    admission: Admission,
    /// Failures so far, kept beside the fold because it is asked at every start.
    failures: u32,
    going_back: u32,
    next_serial: u32,
    /// Switchovers whose next thing is a look.
    idle: Vec<usize>,
    resting: BTreeSet<(Time, usize)>,
    /// Ended switchovers that are looked at for what is owed.
    settling: BTreeSet<usize>,
    entries: Vec<Entry>,
    marks: Vec<(NodeId, PowerMark)>,
    /// Sources that were seen or told On since the last [`Ready`].
    heard: Vec<(NodeId, Time)>,
    /// When people's words that stand in for silent sources end, as the store had it when this process began.
    words_end: BTreeMap<NodeId, Time>,
    orders: Vec<Order>,
    /// Nothing is begun or looked at before.
    first_look: Time,
    /// When `start_rate` lets the next one start.
    paced_until: Option<Time>,
}

impl Engine {
    /// A new run is the resume of an empty journal.
    ///
    /// # Errors
    /// [`BadEvent`] when the journal does not fit the plan.
    pub fn resume(plan: Arc<Plan>, run: RunId, now: Time, journal: &[Entry]) -> Result<Engine, BadEvent> {
        Engine::open(plan, run, now, journal, Event::RunResumed)
    }

    /// Resume what another process may still believe to be executing. What it sent has landed by `taken.first_look`.
    ///
    /// # Errors
    /// [`BadEvent`] when the journal does not fit the plan.
    pub fn take_over(plan: Arc<Plan>, run: RunId, now: Time, journal: &[Entry], taken: TakeOver) -> Result<Engine, BadEvent> {
        let TakeOver { from, token, first_look } = taken;
        let mut engine = Engine::open(plan, run, now, journal, Event::TakenOver { from, token, first_look })?;
        engine.stand_still(first_look);
        Ok(engine)
    }

    /// Begin nothing and look at nothing before `until`.
    pub fn stand_still(&mut self, until: Time) {
        self.first_look = self.first_look.max(until);
    }

    fn open(plan: Arc<Plan>, run: RunId, now: Time, journal: &[Entry], again: Event) -> Result<Engine, BadEvent> {
        let mut progress = Progress::new(&plan);
        for entry in journal {
            progress.apply(&plan, entry)?;
        }
        // A clock that was set back must not keep the next one waiting for as long.
        progress.last_start = progress.last_start.map(|at| at.min(now));
        let mut entries = Vec::new();
        if !progress.started {
            let event = Event::RunStarted { run: run.clone(), plan: plan.id.clone(), journal_format: JOURNAL_FORMAT };
            entries.push(Entry { at: now, event });
        }
        if progress.started || again != Event::RunResumed {
            entries.push(Entry { at: now, event: again });
        }
        for entry in &entries {
            progress.apply(&plan, entry)?;
        }
        let mut engine = Engine {
            run,
            flights: Vec::with_capacity(plan.switchovers.len()),
            admission: Admission::new(&plan, &progress),
            failures: progress.failures(),
            going_back: 0,
            next_serial: 0,
            idle: Vec::new(),
            resting: BTreeSet::new(),
            entries,
            first_look: Time(i64::MIN),
            settling: BTreeSet::new(),
            marks: Vec::new(),
            heard: Vec::new(),
            words_end: BTreeMap::new(),
            orders: Vec::new(),
            paced_until: None,
            plan,
            progress,
        };
        engine.take_up(now);
        engine.look_for_debts(now);
        engine.enforce(now);
        Ok(engine)
    }

    /// When the plan's windows are open, in order and without overlap. Until they are told, they are closed.
    pub fn set_openings(&mut self, openings: Vec<Opening>) {
        self.admission.set_openings(openings);
    }

    fn take_up(&mut self, now: Time) {
        for (index, track) in self.progress.tracks.iter().enumerate() {
            // Rule S6: whatever was sent before the crash may still land, counted from now and whole.
            let quiet_until = if track.last_power.is_some() { now + self.plan.switchovers[index].landing } else { Time(i64::MIN) };
            let state = match track.phase {
                Phase::Waiting | Phase::Finished(_) => State::Over,
                Phase::Back if track.cursor == 0 => State::Resting(quiet_until),
                _ => State::Idle,
            };
            match state {
                State::Idle => self.idle.push(index),
                State::Resting(until) => {
                    self.resting.insert((until, index));
                }
                _ => {}
            }
            self.going_back += u32::from(track.fails());
            self.flights.push(Flight::new(state, track.begun, quiet_until));
        }
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn shared_plan(&self) -> Arc<Plan> {
        self.plan.clone()
    }

    /// Take in what was heard. What follows from it comes with the next [`Engine::ready`].
    pub fn accept(&mut self, now: Time, input: Input) {
        match input {
            Input::Pause(why) => self.pause(now, why),
            Input::Request(posted) => self.request(now, posted),
            Input::Seen(ticket, _) if self.flights[ticket.index()].state != State::Looking(ticket) => {}
            Input::Seen(ticket, seen) if self.settling.contains(&ticket.index()) => self.debt_seen(now, ticket.index(), &seen),
            Input::Seen(ticket, seen) => self.seen(now, ticket.index(), &seen),
            Input::Told(ticket, result) => {
                if self.flights[ticket.index()].state == State::Acting(ticket) {
                    self.told(now, ticket.index(), result);
                }
            }
        }
    }

    /// Everything there is to do at `now`.
    pub fn ready(&mut self, now: Time) -> Ready {
        let still = now < self.first_look;
        if !still {
            self.go_on(now);
        }
        let wakes = [self.resting.first().map(|(until, _)| *until), self.paced_until, self.next_default()];
        // A pause that may be lifted is waited for while there is something that it keeps waiting.
        let parked = (self.progress.paused.is_some() && self.progress.pause_until.is_none()) || self.admission.none_waiting();
        Ready {
            entries: std::mem::take(&mut self.entries),
            marks: std::mem::take(&mut self.marks),
            heard: std::mem::take(&mut self.heard),
            orders: std::mem::take(&mut self.orders),
            wake_at: if still { Some(self.first_look) } else { wakes.into_iter().flatten().min() },
            done: parked && self.admission.none_in_flight() && self.settling.is_empty(),
        }
    }

    fn go_on(&mut self, now: Time) {
        self.overdue(now);
        self.start(now);
        while let Some((until, index)) = self.resting.first().copied().filter(|(until, _)| *until <= now) {
            self.resting.remove(&(until, index));
            self.flights[index].state = State::Idle;
            self.idle.push(index);
        }
        while let Some(index) = self.idle.pop() {
            self.look(now, index);
            self.start(now);
        }
    }

    fn start(&mut self, now: Time) {
        self.paced_until = None;
        if self.progress.paused.is_some() || self.admission.none_waiting() || self.gated(now) {
            return;
        }
        let failures = self.failures.saturating_sub(self.progress.failures_acknowledged);
        if let Some(why) = brake(&self.plan, failures, self.going_back) {
            return self.pause(now, why);
        }
        self.tell_groups(now);
        let plan = self.plan.clone();
        let mut held = Vec::new();
        loop {
            let next = self.admission.next(&plan, &self.progress, now, &mut |index, limit, why| held.push((index, limit, why)));
            for (index, limit, why) in held.drain(..) {
                self.hold(now, Whom::One(plan.switchovers[index].id), limit, || why);
            }
            match next {
                Next::Start(index) => {
                    self.record(now, Event::Started { switchover: self.id(index) });
                    self.flights[index].state = State::Idle;
                    self.idle.push(index);
                    // The canaries are counted with every start.
                    if self.gated(now) {
                        return;
                    }
                }
                Next::Closed(limit, why, until) => {
                    self.paced_until = until;
                    return self.hold(now, Whom::All, limit, || why);
                }
                Next::NobodyFits => {
                    self.free(now, Whom::All);
                    if let Some(why) = self.admission.window_is_over(&plan, now) {
                        self.pause(now, why);
                    }
                    return;
                }
                Next::NobodyWaits => return,
            }
        }
    }

    fn tell_groups(&mut self, now: Time) {
        let behind = self.admission.groups_behind();
        let told: Vec<i64> = self.progress.held.keys().filter_map(|w| if let Whom::Group(g) = w { Some(*g) } else { None }).collect();
        for group in told.into_iter().filter(|g| !behind.iter().any(|(b, _)| b == g)) {
            self.free(now, Whom::Group(group));
        }
        for (group, first) in behind {
            self.hold(now, Whom::Group(group), Limit::Priority, || {
                format!("`sources.priority`: group {group} starts when group {first} has ended")
            });
        }
    }

    fn pause(&mut self, now: Time, why: Reason) {
        let lasting = self.progress.paused.is_some() && self.progress.pause_until.is_none();
        if !lasting && !self.admission.none_waiting() {
            self.record(now, Event::Paused { why, until: None, by: None });
        }
    }

    fn record(&mut self, at: Time, event: Event) {
        let entry = Entry { at, event };
        if let Err(bad) = self.progress.apply(&self.plan, &entry) {
            // Our own event does not fit our own state. Going on would write a journal that cannot be read.
            panic!("{bad}");
        }
        if let Some(index) = entry.event.switchover().and_then(|id| self.plan.index(id))
            && self.progress.tracks[index].spoke == Some(entry.at)
        {
            self.heard.push((self.plan.switchovers[index].source.node, entry.at));
        }
        self.entries.push(entry);
    }

    fn id(&self, index: usize) -> SwitchoverId {
        self.plan.switchovers[index].id
    }

    fn context(&self, now: Time, index: usize) -> Context {
        let track = &self.progress.tracks[index];
        Context {
            level: track.level,
            stand_in: self.stand_in(now, index),
            now,
            holder: Holder { run: self.run.clone(), switchover: self.id(index) },
            begun: track.begun,
            sent: self.flights.get(index).is_some_and(|f| f.told_at.is_some()),
            looks: self.flights.get(index).map_or(0, |f| f.looks),
            attempt: track.attempt,
            number: track.number(),
            spoke: track.spoke,
            vouchers: track.fence.as_ref().map(|f| f.plugs.clone()).unwrap_or_default(),
        }
    }

    /// The step in hand; `None` at the end of the path.
    fn step(&self, index: usize) -> Option<&Step> {
        let track = &self.progress.tracks[index];
        track.path(&self.plan.switchovers[index].steps).get(track.cursor)
    }

    fn ticket(&mut self, index: usize) -> Ticket {
        self.next_serial = self.next_serial.wrapping_add(1);
        // A plan has fewer switchovers than u32 has numbers: their ids are u32.
        Ticket { index: index as u32, serial: self.next_serial }
    }

    fn rest(&mut self, index: usize, until: Time) {
        self.flights[index].state = State::Resting(until);
        self.resting.insert((until, index));
    }
}

#[cfg(test)]
mod tests;
