//! Two executors of one run: the first is stopped at a chosen point, its lease ends, a second takes the run over, and
//! then the first one wakes up and goes on where it was (rule S2).

use super::{Faults, Run, Stage, World};
use crate::engine::{Engine, Entry, Event, EventLog, LogError, Order, Ready, TakeOver, Told};
use crate::model::*;
use crate::plan::Plan;
use crate::step::Command;
use std::sync::Arc;

/// Where the first executor is stopped, at a durable point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It has events in hand and has not stored them.
    BeforeStoring,
    /// It has orders in hand and has not sent them.
    BeforeSending,
    /// It sent them in the last moment of its lease, and they are slow.
    AfterSending,
}

#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// From 1.
    pub point: u64,
    pub stopped: Stopped,
    /// Not at that point but at the first from there on at which it has a power-off in hand: what can do most harm.
    pub with_power_off: bool,
    /// The first executor wakes up at this turn of the second, or when that has ended.
    pub wakes_at: u32,
}

/// Deliberate faults, for the tests of the tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TakeoverBugs {
    /// Orders leave however late it is.
    pub no_deadline: bool,
    /// The journal takes entries from any executor.
    pub no_token: bool,
    /// The second executor looks at once.
    pub no_wait: bool,
}

/// As long as the real ones.
const LEASE: Span = Span::secs(30);
const RENEWED_EVERY: Span = Span::secs(5);
const REQUEST_TIMEOUT: Span = Span::secs(10);
const TURNS_MAX: u32 = 400_000;

/// The journal with its fence.
struct Log<'a> {
    run: &'a mut Run,
    token: u64,
    /// `None`: it takes what comes.
    newest: Option<u64>,
}

impl EventLog for Log<'_> {
    fn heard(&mut self, sources: Vec<(NodeId, Time)>) -> Result<(), LogError> {
        sources.into_iter().for_each(|(node, at)| self.run.world.withdraw(node, at));
        Ok(())
    }

    fn append(&mut self, mut entries: Vec<Entry>, marks: Vec<(NodeId, PowerMark)>) -> Result<(), LogError> {
        if self.newest.is_some_and(|newest| newest != self.token) {
            return Err(LogError("superseded".into()));
        }
        self.run.journal.append(&mut entries);
        for (node, mark) in marks {
            self.run.world.mark(node, mark);
        }
        Ok(())
    }
}

/// What the first executor has in hand while it sleeps.
enum InHand {
    Nothing,
    Events(Ready),
    Orders(Vec<Order>),
}

/// One run of the plan by two executors. Without a point of that number the first one ends it alone.
pub fn run_taken_over(plan: &Arc<Plan>, fleet: &Fleet, seed: u64, faults: Faults, pause: Pause, bugs: TakeoverBugs) -> Run {
    let mut run =
        Run { world: World::new(fleet.clone(), seed, faults), journal: Vec::new(), points: 0, stuck: false, stage: Stage::default() };
    let opened = Engine::resume(plan.clone(), "r-1".into(), run.world.now, &[]);
    let in_hand = match opened.map(|engine| first(&mut run, engine, pause)) {
        Ok(Some(in_hand)) => in_hand,
        Ok(None) => return settled(run),
        Err(bad) => return broken(run, &bad.to_string()),
    };
    // What is on its way was sent under the lease; the last of it leaves in its last moment.
    run.world.forsake(REQUEST_TIMEOUT);
    let ends = run.world.now + LEASE - Span(run.world.rng.below(RENEWED_EVERY.0));
    run.world.run_until(ends - Span(1));
    let in_hand = match in_hand {
        InHand::Orders(orders) if pause.stopped == Stopped::AfterSending => {
            orders.into_iter().for_each(|order| run.world.carry_late(order, REQUEST_TIMEOUT));
            InHand::Nothing
        }
        other => other,
    };
    run.world.run_until(ends);
    let landing = plan.switchovers.iter().map(|s| s.landing).max().unwrap_or_default();
    let now = run.world.now;
    let first_look = if bugs.no_wait { now } else { now + REQUEST_TIMEOUT + landing };
    match Engine::take_over(plan.clone(), "r-1".into(), now, &run.journal, TakeOver { from: 1, token: 2, first_look }) {
        Ok(engine) => second(run, engine, in_hand, pause, bugs),
        Err(bad) => broken(run, &bad.to_string()),
    }
}

/// Until it is stopped; `None` when it has ended before.
fn first(run: &mut Run, mut engine: Engine, pause: Pause) -> Option<InHand> {
    for _ in 0..TURNS_MAX {
        let ready = engine.ready(run.world.now);
        let (done, wake) = (ready.done(), ready.wake_at());
        run.points += u64::from(!ready.entries().is_empty());
        let off = |entry: &Entry| matches!(entry.event, Event::Intended { command: Told::Reset { reset, .. }, .. } if !reset.starts());
        let fits = match pause.with_power_off {
            true => run.points >= pause.point && ready.entries().iter().any(off),
            false => run.points == pause.point,
        };
        let here = fits && !ready.entries().is_empty();
        if here && pause.stopped == Stopped::BeforeStoring {
            return Some(InHand::Events(ready));
        }
        let orders = ready.store(&mut Log { run, token: 1, newest: Some(1) }).ok()?;
        if here {
            return Some(InHand::Orders(orders));
        }
        orders.into_iter().for_each(|order| run.world.carry(order));
        if done {
            return None;
        }
        if let Some(input) = run.world.step(wake) {
            engine.accept(run.world.now, input);
        }
    }
    run.stuck = true;
    None
}

fn second(mut run: Run, mut engine: Engine, in_hand: InHand, pause: Pause, bugs: TakeoverBugs) -> Run {
    let mut in_hand = Some(in_hand);
    for turn in 0..TURNS_MAX {
        if turn == pause.wakes_at {
            wake_up(&mut run, in_hand.take(), bugs);
        }
        let ready = engine.ready(run.world.now);
        let (done, wake) = (ready.done(), ready.wake_at());
        run.points += u64::from(!ready.entries().is_empty());
        let Ok(orders) = ready.store(&mut Log { run: &mut run, token: 2, newest: Some(2) }) else { break };
        orders.into_iter().for_each(|order| run.world.carry(order));
        if done {
            wake_up(&mut run, in_hand.take(), bugs);
            return settled(run);
        }
        if let Some(input) = run.world.step(wake) {
            engine.accept(run.world.now, input);
        }
    }
    run.stuck = true;
    run
}

/// The first executor does what it was about to do. Its lease has ended.
fn wake_up(run: &mut Run, in_hand: Option<InHand>, bugs: TakeoverBugs) {
    let newest = (!bugs.no_token).then_some(2);
    let orders = match in_hand {
        Some(InHand::Events(ready)) => ready.store(&mut Log { run, token: 1, newest }).unwrap_or_default(),
        Some(InHand::Orders(orders)) => orders,
        Some(InHand::Nothing) | None => return,
    };
    if bugs.no_deadline {
        // The inventory has a fence of its own, inside the transaction.
        let sent = orders.into_iter().filter(|order| !matches!(order, Order::Act(_, Command::Change(_))));
        sent.for_each(|order| run.world.carry_late(order, Span::millis(50)));
    }
}

fn settled(mut run: Run) -> Run {
    while run.world.settle() {}
    run
}

fn broken(mut run: Run, why: &str) -> Run {
    run.world.violations.push(format!("the journal does not replay: {why}"));
    run
}
