//! Runs the engine against a world, kills it where it is told to, and takes it up again from what was durable.

use super::{Faults, Stage, World};
use crate::engine::{Engine, Entry, EventLog, Input, LogError, Order};
use crate::model::*;
use crate::plan::Plan;
use crate::step::{Command, Observation, Query};
use std::collections::{BTreeMap, BTreeSet};
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

/// Deliberate faults of the harness itself, for the tests of the tests: each stands for a bug that the engine must not
/// have, made outside of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bugs {
    /// A power command that was acknowledged is taken for done.
    pub acknowledgement_believed: bool,
    /// The looks before a move do not see the source's power.
    pub no_fence: bool,
    /// Orders leave before their events are durable: a crash forgets the events and not the orders.
    pub orders_before_events: bool,
    /// An agent whose `off` ended well is taken to have switched off.
    pub agent_exit_believed: bool,
    /// A BMC that answers while an agent or a person is asked is not heard.
    pub live_on_overridden: bool,
    /// A recorded fence goes on to stand in, whatever the BMC says later.
    pub fence_survives_on: bool,
    /// An attestation counts though it has expired or was used.
    pub attestation_believed: bool,
    /// A person's word counts however old it is.
    pub any_word_counts: bool,
    /// PowerOn does not ask what the destination's firmware opens.
    pub start_boot_not_asked: bool,
    /// What a node owes is not seen where its restore policy and its maintenance are given back.
    pub debt_not_seen: bool,
    /// Whoever answers is taken for the machine that was meant.
    pub any_machine_believed: bool,
}

impl Bugs {
    fn distort(self) -> bool {
        let believes = [
            self.acknowledgement_believed,
            self.agent_exit_believed,
            self.attestation_believed,
            self.any_word_counts,
            self.any_machine_believed,
        ];
        let deaf = [self.no_fence, self.live_on_overridden, self.fence_survives_on, self.start_boot_not_asked, self.debt_not_seen];
        believes.contains(&true) || deaf.contains(&true)
    }
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

/// Lies that the engine is told when a bug is planted.
#[derive(Default)]
struct Beliefs {
    power: BTreeMap<NodeId, PowerState>,
    plugs_off: bool,
    sources: BTreeSet<NodeId>,
    asked: BTreeMap<usize, (Vec<Query>, Option<Command>)>,
    /// What each node's firmware was last told to open.
    boots: BTreeMap<NodeId, BootSettings>,
}

impl Beliefs {
    fn note(&mut self, order: &Order) {
        if let Order::Act(_, Command::SetBoot { node, settings }) = order {
            self.boots.insert(*node, settings.clone());
        }
        match order {
            Order::Look(ticket, queries) => self.asked.insert(ticket.index(), (queries.clone(), None)),
            Order::Act(ticket, command) => self.asked.insert(ticket.index(), (Vec::new(), Some(command.clone()))),
        };
    }

    fn distort(&mut self, bugs: Bugs, input: &mut Input) {
        match input {
            Input::Told(ticket, Ok(_)) if bugs.acknowledgement_believed => {
                if let Some((_, Some(Command::Reset { node, reset }))) = self.asked.get(&ticket.index()) {
                    self.power.insert(*node, if reset.starts() { PowerState::On } else { PowerState::Off });
                }
            }
            Input::Told(ticket, Ok(_)) if bugs.agent_exit_believed => {
                self.plugs_off |= matches!(self.asked.get(&ticket.index()), Some((_, Some(Command::Agents(_)))));
            }
            Input::Seen(ticket, seen) => {
                let Some((queries, _)) = self.asked.get(&ticket.index()) else { return };
                let asks_others = queries.iter().any(|q| matches!(q, Query::Plug(_) | Query::Attestation(_)));
                let guard = queries.iter().filter(|q| matches!(q, Query::System(_))).count() > 1;
                // Only PowerOn's look asks for both ends, the volumes, and one boot configuration.
                let start = matches!(queries.last(), Some(Query::Boot(_))) && queries.iter().any(|q| matches!(q, Query::SameVolume(_)));
                for (query, seen) in queries.iter().zip(seen) {
                    if let (Query::Boot(node), true) = (query, start && bugs.start_boot_not_asked)
                        && let (Observation::Boot(boot), Some(set)) = (&mut *seen, self.boots.get(node))
                        && !self.sources.contains(node)
                    {
                        boot.clone_from(set);
                    }
                    let deaf = (bugs.live_on_overridden && asks_others) || (bugs.fence_survives_on && guard);
                    if let Query::System(node) = query
                        && deaf
                        && self.sources.contains(node)
                    {
                        *seen = Observation::Unreadable(Fault::transient("not heard"));
                    }
                    if let (Observation::Node(node, _), true) = (&mut *seen, bugs.debt_not_seen && queries.len() == 2) {
                        std::sync::Arc::make_mut(node).debt = None;
                    }
                    if let (Observation::Plug(state), true) = (&mut *seen, self.plugs_off) {
                        *state = PlugState::Off;
                    }
                    if let (Observation::Attestation(Some(word)), true) = (&mut *seen, bugs.attestation_believed) {
                        let switchover = SwitchoverId(u32::try_from(ticket.index() + 1).unwrap_or(u32::MAX));
                        word.used_by = Some(Holder { run: "r-1".into(), switchover });
                        word.at = Time(i64::MAX / 4);
                        word.expires_at = Time(i64::MAX / 2);
                    }
                    if let (Observation::Attestation(Some(word)), true) = (&mut *seen, bugs.any_word_counts) {
                        word.at = Time(i64::MAX / 4);
                    }
                    if let (Query::System(node), Observation::System(reading)) = (query, seen) {
                        if let Some(believed) = self.power.get(node) {
                            reading.power = *believed;
                        }
                        if bugs.any_machine_believed {
                            reading.identity.system_uuid = Some(node.to_string());
                        }
                        if bugs.no_fence && guard && self.sources.contains(node) {
                            reading.power = PowerState::Off;
                        }
                    }
                }
            }
            _ => {}
        }
    }
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
    let sources = plan.switchovers.iter().map(|s| s.source.node).collect();
    let mut beliefs = Beliefs { sources, ..Beliefs::default() };
    for _life in 0..64 {
        match live(&mut run, plan, &mut crashes, bugs, &mut beliefs) {
            Life::Died => {
                run.world.crash();
                beliefs.power.clear();
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
        for (node, at) in log.heard {
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
                beliefs.distort(bugs, &mut input);
            }
            engine.accept(run.world.now, input);
        }
    }
    Life::Stuck
}
