//! Runs the engine against a world, kills it where it is told to, and takes it up again from what was durable.

use super::planted::Beliefs;
use super::{Bugs, Faults, Stage, World};
use crate::engine::{Engine, Entry, EventLog, Input, LogError};
use crate::model::*;
use crate::plan::Plan;
use std::sync::Arc;

/// What of the n-th durable point survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// The events are durable and no order left.
    Events,
    /// The events are durable and the orders left.
    EventsAndOrders,
    /// Half of the events, and no order.
    HalfTheEvents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashAt {
    /// From 1; counted over all lives.
    pub point: u64,
    pub survives: Survives,
}

struct Log<'a> {
    entries: &'a mut Vec<Entry>,
    marks: Vec<(NodeId, PowerMark)>,
    heard: Vec<(NodeId, Time)>,
    half: bool,
    forgets: bool,
}

impl EventLog for Log<'_> {
    fn heard(&mut self, sources: Vec<(NodeId, Time)>) -> Result<(), LogError> {
        self.heard = sources;
        Ok(())
    }

    fn append(&mut self, mut entries: Vec<Entry>, marks: Vec<(NodeId, PowerMark)>) -> Result<(), LogError> {
        if self.forgets {
            return Ok(());
        }
        if self.half {
            entries.truncate(entries.len() / 2);
        }
        self.entries.append(&mut entries);
        if self.half {
            return Err(LogError("the power went".into()));
        }
        self.marks = marks;
        Ok(())
    }
}

pub struct Run {
    pub world: World,
    pub journal: Vec<Entry>,
    /// Durable points over all lives.
    pub points: u64,
    /// It did not come to an end.
    pub stuck: bool,
    pub stage: Stage,
}

/// How many turns a life may take before it is called stuck: far more than any that ended took.
const TURNS_MAX: u32 = 400_000;

/// One run of the plan, through as many lives as there are crashes.
pub fn run(plan: &Arc<Plan>, fleet: &Fleet, seed: u64, faults: Faults, crashes: &[CrashAt], bugs: Bugs) -> Run {
    run_in(World::new(fleet.clone(), seed, faults), plan, crashes, bugs)
}

/// The same in a world that is there already.
pub fn run_in(world: World, plan: &Arc<Plan>, crashes: &[CrashAt], bugs: Bugs) -> Run {
    run_on(Stage::default(), world, plan, crashes, bugs)
}

/// The same with people who ask for things, and windows.
pub fn run_on(stage: Stage, world: World, plan: &Arc<Plan>, crashes: &[CrashAt], bugs: Bugs) -> Run {
    let mut run = Run { world, journal: Vec::new(), points: 0, stuck: false, stage };
    let mut crashes = crashes.iter().copied().peekable();
    let mut beliefs = Beliefs::of(plan);
    run.world.watch(plan);
    for _life in 0..64 {
        match live(&mut run, plan, &mut crashes, bugs, &mut beliefs) {
            Life::Died => {
                run.world.crash();
                beliefs.forget();
            }
            Life::Done => {
                while run.world.settle() {}
                return run;
            }
            Life::Stuck => break,
        }
    }
    run.stuck = true;
    run
}

/// Take a run up once more that has ended.
pub fn run_again(mut run: Run, plan: &Arc<Plan>) -> Run {
    let mut beliefs = Beliefs::of(plan);
    let life = live(&mut run, plan, &mut std::iter::empty().peekable(), Bugs::default(), &mut beliefs);
    run.stuck = !matches!(life, Life::Done);
    while run.world.settle() {}
    run
}

enum Life {
    Died,
    Done,
    Stuck,
}

fn live(
    run: &mut Run,
    plan: &Arc<Plan>,
    crashes: &mut std::iter::Peekable<impl Iterator<Item = CrashAt>>,
    bugs: Bugs,
    beliefs: &mut Beliefs,
) -> Life {
    let mut engine = match Engine::resume(plan.clone(), "r-1".into(), run.world.now, &run.journal) {
        Ok(engine) => engine,
        Err(bad) => {
            run.world.violations.push(format!("the journal does not replay: {bad}"));
            return Life::Done;
        }
    };
    engine.set_openings(run.stage.openings.clone());
    for source in engine.on_a_word() {
        if let Some(word) = run.world.attestations.get(&source) {
            engine.word_ends(source, word.expires_at);
        }
    }
    let mut letters = run.stage.letters();
    for _ in 0..TURNS_MAX {
        while letters.front().is_some_and(|l| l.at <= run.world.now) {
            if let Some(posted) = letters.pop_front() {
                engine.accept(run.world.now, Input::Request(posted));
            }
        }
        let ready = engine.ready(run.world.now);
        let (done, wake) = (ready.done(), ready.wake_at());
        let wake = wake.into_iter().chain(letters.front().map(|l| l.at)).min();
        let mut dies = None;
        if !ready.entries().is_empty() {
            run.points += 1;
            dies = crashes.next_if(|c| c.point == run.points).map(|c| c.survives);
        }
        let forgets = dies.is_some() && bugs.orders_before_events;
        let mut log = Log {
            entries: &mut run.journal,
            marks: Vec::new(),
            heard: Vec::new(),
            half: dies == Some(Survives::HalfTheEvents) && !forgets,
            forgets,
        };
        let orders = ready.store(&mut log);
        for (node, mark) in log.marks {
            run.world.mark(node, mark);
        }
        for (node, at) in log.heard.into_iter().filter(|_| !bugs.on_withdraws_nothing) {
            run.world.withdraw(node, at);
        }
        let Ok(orders) = orders else { return Life::Died };
        if dies != Some(Survives::Events) || forgets {
            for order in orders {
                if bugs.distort() {
                    beliefs.note(&order);
                }
                run.world.carry(order);
            }
        }
        if dies.is_some() {
            return Life::Died;
        }
        if done {
            // Somebody resumes what was parked, a few times.
            if run.stage.resumes > 0 && !engine.progress().all_finished() {
                run.stage.resumes -= 1;
                return Life::Died;
            }
            return Life::Done;
        }
        if let Some(mut input) = run.world.step(wake) {
            if bugs.distort() {
                beliefs.distort(bugs, run.world.now, &mut input);
            }
            engine.accept(run.world.now, input);
        }
    }
    Life::Stuck
}
