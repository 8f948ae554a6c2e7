//! The world of a drill: copies of the real machines, which take the time that such machines take, and BMCs that do what
//! the rules say. Nothing in it can reach anything: it is a value.
//!
//! It stands beside [`super::super::World`], which proves the engine: that one draws small times and cruel faults for
//! whole fleets of made-up machines and is killed at every point; this one asks how long and how often.

use super::Setting;
use super::rules::{Action, Dice, Request};
use crate::engine::{Input, Order, Ticket};
use crate::model::*;
use crate::plan::Switchover;
use crate::sim::Rng;
use crate::step::{Command, FenceLevel, Observation, Query, Step, meaning};
use std::collections::{BTreeMap, BTreeSet};

enum Happening {
    Answer(Ticket, Vec<Query>),
    Do(Ticket, Box<Command>),
    Reply(Input),
    /// A power command shows. A soft one only if the operating system that was asked still runs.
    Land {
        node: NodeId,
        reset: ResetType,
        asked: Option<u64>,
    },
    /// The operating system has control, if that start is still the last one.
    Booted {
        node: NodeId,
        start: u64,
    },
    Late(Box<Command>),
}

/// Longer than this and the answers of one look are not one look any more, as the executor has it.
const LOOK_LIMIT: Span = Span::secs(10);
/// A request that is not answered is given up after so long.
const REQUEST_LIMIT: Span = Span::secs(10);

pub(super) struct World<'s> {
    pub fleet: Fleet,
    pub now: Time,
    /// Times that two machines had one volume open, in words.
    pub two_writers: Vec<String>,
    setting: &'s Setting,
    rng: Rng,
    dice: Dice,
    queue: BTreeMap<(Time, u64), Happening>,
    seq: u64,
    /// Which start of each machine is the last one.
    starts: BTreeMap<NodeId, u64>,
    /// When its power last changed, and from what.
    changed: BTreeMap<NodeId, (Time, PowerState)>,
    open: BTreeMap<(String, u32), BTreeSet<NodeId>>,
    hooks_done: BTreeSet<(SwitchoverId, String)>,
}

impl<'s> World<'s> {
    pub fn new(setting: &'s Setting, seed: u64) -> World<'s> {
        let mut world = World {
            now: setting.fleet.captured_at,
            fleet: setting.fleet.clone(),
            two_writers: Vec::new(),
            setting,
            rng: Rng(seed),
            dice: Dice::default(),
            queue: BTreeMap::new(),
            seq: 0,
            starts: BTreeMap::new(),
            changed: BTreeMap::new(),
            open: BTreeMap::new(),
            hooks_done: BTreeSet::new(),
        };
        let on: Vec<NodeId> = world.fleet.nodes.keys().copied().filter(|n| world.fleet.power(*n) == PowerState::On).collect();
        on.into_iter().for_each(|node| world.opens(node));
        world
    }

    fn after(&mut self, delay: Span, happening: Happening) {
        self.seq += 1;
        self.queue.insert((self.now + delay, self.seq), happening);
    }

    pub fn carry(&mut self, order: Order) {
        match order {
            Order::Look(ticket, queries) => self.after(Span(1), Happening::Answer(ticket, queries)),
            Order::Act(ticket, command) => self.after(Span(1), Happening::Do(ticket, Box::new(command))),
        }
    }

    /// Go on to the next happening that is not later than `wake`; hand back what the engine should hear, if anything.
    pub fn step(&mut self, wake: Option<Time>) -> Option<Input> {
        loop {
            let next = self.queue.first_key_value().map(|(key, _)| *key);
            let (Some(key), limit) = (next, wake) else {
                self.now = wake.map_or(self.now, |wake| self.now.max(wake));
                return None;
            };
            if let Some(wake) = limit.filter(|wake| *wake <= key.0) {
                self.now = self.now.max(wake);
                return None;
            }
            self.now = self.now.max(key.0);
            if let Some(input) = self.queue.remove(&key).and_then(|h| self.happen(h)) {
                return Some(input);
            }
        }
    }

    fn happen(&mut self, happening: Happening) -> Option<Input> {
        match happening {
            Happening::Reply(input) => return Some(input),
            Happening::Answer(ticket, queries) => {
                let (seen, delay) = self.look(&queries);
                self.after(delay, Happening::Reply(Input::Seen(ticket, seen)));
            }
            Happening::Do(ticket, command) => {
                let (told, delay) = self.perform(&command);
                self.after(delay, Happening::Reply(Input::Told(ticket, told)));
            }
            Happening::Late(command) => drop(self.effect(&command)),
            Happening::Land { node, reset, asked } => {
                if asked.is_none_or(|start| self.starts.get(&node).copied().unwrap_or(0) == start) {
                    self.power(node, if reset.starts() { PowerState::On } else { PowerState::Off });
                }
            }
            Happening::Booted { node, start } => {
                if self.starts.get(&node) == Some(&start)
                    && let Some(Live::Answered { reading, .. }) = self.fleet.live.get_mut(&node)
                    && reading.power == PowerState::On
                {
                    reading.boot_progress = Some(BootProgress::OsRunning);
                    self.opens(node);
                }
            }
        }
        None
    }

    fn look(&mut self, queries: &[Query]) -> (Vec<Observation>, Span) {
        let mut slowest = Span(2);
        let mut seen = Vec::with_capacity(queries.len());
        for query in queries {
            let (observation, took) = self.answer(query);
            slowest = slowest.max(took);
            seen.push(observation);
        }
        if slowest > LOOK_LIMIT && seen.len() > 1 {
            for seen in seen.iter_mut().filter(|s| matches!(s, Observation::System(_))) {
                *seen = Observation::Unreadable(Fault::transient("the answers of one look came too far apart"));
            }
        }
        (seen, slowest)
    }

    fn answer(&mut self, query: &Query) -> (Observation, Span) {
        let (node, kind) = match query {
            Query::System(node) => (*node, Request::ReadSystem),
            Query::Boot(node) | Query::BootAndOverride(node) | Query::Override(node) => (*node, Request::Read),
            Query::SameVolume(id) => {
                let at = |t: &TargetId| self.fleet.targets.get(t).map(|t| t.node);
                let own = at(id);
                let same = self.setting.same_volume.get(id).into_iter().flatten().filter_map(at);
                return (Observation::AlsoAt(same.filter(|n| Some(*n) != own).collect()), Span(1));
            }
            Query::Check(call) => return (self.check(call), Span::secs(1)),
            Query::Plug(call) => {
                let off = self.plugged(call).is_some_and(|node| self.fleet.power(node) == PowerState::Off);
                return (Observation::Plug(if off { PlugState::Off } else { PlugState::On }), Span::secs(1));
            }
            _ => {
                self.fleet.captured_at = self.now;
                return (meaning::answer(&self.fleet, query), Span(1));
            }
        };
        let latency = self.setting.times.answer.quantile(self.rng.below(10_000));
        let Some((action, by)) = self.dice.throw(&self.setting.rules, &mut self.rng, node, kind) else {
            return (meaning::answer(&self.fleet, query), latency);
        };
        match action {
            Action::Slow => (meaning::answer(&self.fleet, query), latency + by.unwrap_or(Span::secs(1))),
            Action::FalseOff | Action::NoPower | Action::Stale | Action::WrongMachine if kind == Request::ReadSystem => {
                let mut seen = meaning::answer(&self.fleet, query);
                if let Observation::System(reading) = &mut seen {
                    self.distort(node, action, by.unwrap_or(Span::secs(30)), reading);
                }
                (seen, latency)
            }
            Action::Hang | Action::HangAfter => (Observation::Unreadable(Fault::transient("no answer in time")), REQUEST_LIMIT),
            Action::Ignore | Action::Late | Action::FalseOff | Action::NoPower | Action::Stale | Action::WrongMachine => {
                (meaning::answer(&self.fleet, query), latency)
            }
            _ => (Observation::Unreadable(Fault::transient("no answer that can be read")), latency),
        }
    }

    fn distort(&self, node: NodeId, action: Action, by: Span, reading: &mut SystemReading) {
        match action {
            Action::FalseOff => reading.power = PowerState::Off,
            Action::NoPower => reading.power = PowerState::Unknown,
            Action::WrongMachine => {
                reading.identity = Identity { system_uuid: Some("another".into()), serial_number: Some("another".into()) }
            }
            _ => {
                if let Some((at, was)) = self.changed.get(&node).filter(|(at, _)| self.now.since(*at) < by) {
                    debug_assert!(*at <= self.now);
                    reading.power = *was;
                }
            }
        }
    }

    fn check(&self, call: &crate::step::HookCall) -> Observation {
        let succeeded = self.hooks_done.contains(&(call.context.switchover, call.hook.name.clone()));
        let how = if succeeded { "exit 0" } else { "exit 1" };
        Observation::Check(HookResult { succeeded, how: how.into(), output: String::new(), took: Span::secs(1) })
    }

    fn perform(&mut self, command: &Command) -> (Result<Option<HookResult>, Fault>, Span) {
        let (node, kind) = match command {
            Command::Hook(call) => return self.hook(call),
            Command::Change(_) | Command::Agents(_) | Command::UseAttestation { .. } => {
                return (self.effect(command).map(|()| None), Span(5));
            }
            Command::SetBoot { node, .. } | Command::SetRestorePolicy { node, .. } => (*node, Request::SetBoot),
            Command::Reset { node, reset: ResetType::GracefulShutdown } => (*node, Request::SoftOff),
            Command::Reset { node, reset } if reset.starts() => (*node, Request::PowerOn),
            Command::Reset { node, .. } => (*node, Request::HardOff),
        };
        let latency = self.setting.times.answer.quantile(self.rng.below(10_000));
        let Some((action, by)) = self.dice.throw(&self.setting.rules, &mut self.rng, node, kind) else {
            return (self.effect(command).map(|()| None), latency);
        };
        let by = by.unwrap_or(Span::secs(30));
        let delay = match action {
            Action::Hang | Action::HangAfter => REQUEST_LIMIT,
            Action::Slow => latency + by,
            _ => latency,
        };
        match action {
            Action::Late | Action::DropLate => self.after(by, Happening::Late(Box::new(command.clone()))),
            action if action.takes_effect() => drop(self.effect(command)),
            _ => {}
        }
        (action.answer().map(|()| None), delay)
    }

    fn hook(&mut self, call: &crate::step::HookCall) -> (Result<Option<HookResult>, Fault>, Span) {
        let mut took = self.setting.times.hook(&call.hook.name).quantile(self.rng.below(10_000));
        let about = self.setting.about.get(&call.context.switchover).copied();
        let fault = about.and_then(|node| self.dice.throw(&self.setting.rules, &mut self.rng, node, Request::Hook));
        let (mut succeeded, mut lost) = (true, None);
        match fault {
            Some((Action::Slow | Action::Late, by)) => took = took + by.unwrap_or(Span::secs(30)),
            Some((Action::Hang | Action::HangAfter | Action::Drop | Action::DropAfter | Action::DropLate, _)) => {
                lost = Some(Fault::unknown("nobody saw its end"));
            }
            Some((Action::Ignore, _)) => return (Ok(Some(result(true, "exit 0", took))), took),
            Some(_) => succeeded = false,
            None => {}
        }
        if took > call.hook.timeout {
            let limit = call.hook.timeout;
            return (Ok(Some(result(false, &format!("killed after {limit}"), limit))), limit);
        }
        let undone = call.hook.check.is_none() && call.hook.undo.is_none() && call.hook.rerun == Rerun::Allowed;
        if succeeded && !undone {
            self.hooks_done.insert((call.context.switchover, call.hook.name.clone()));
        }
        match lost {
            Some(fault) => (Err(fault), took),
            None => (Ok(Some(result(succeeded, if succeeded { "exit 0" } else { "exit 1" }, took))), took),
        }
    }

    /// The machine that a fence agent switches off: the source of the switchover whose fence names the plug.
    fn plugged(&self, call: &AgentCall) -> Option<NodeId> {
        let names = |level: &FenceLevel| matches!(level, FenceLevel::Agents(calls) if calls.contains(call));
        let fenced = |s: &&Switchover| s.steps.iter().filter_map(Step::fence).any(|fence| fence.levels.iter().any(names));
        self.setting.plan.switchovers.iter().find(fenced).map(|s| s.source.node)
    }

    fn effect(&mut self, command: &Command) -> Result<(), Fault> {
        if let Command::Agents(calls) = command {
            let nodes: Vec<NodeId> = calls.iter().filter_map(|call| self.plugged(call)).collect();
            for node in nodes {
                self.after(Span::secs(1), Happening::Land { node, reset: ResetType::ForceOff, asked: None });
            }
            return Ok(());
        }
        let Command::Reset { node, reset } = command else {
            return meaning::obey(&mut self.fleet, command);
        };
        // A crash dump changes no power state.
        if *reset == ResetType::Nmi {
            return Ok(());
        }
        let wanted = if reset.starts() { PowerState::On } else { PowerState::Off };
        if self.fleet.power(*node) == wanted {
            return Ok(());
        }
        let model = self.fleet.nodes.get(node).and_then(|n| n.facts().model);
        let times = &self.setting.times;
        let spread = match reset {
            ResetType::GracefulShutdown => times.of("soft_off", model.as_deref()),
            ResetType::ForceOff => times.of("hard_off", model.as_deref()),
            ResetType::On | ResetType::ForceOn | ResetType::Nmi => times.of("power_on", model.as_deref()),
        };
        let delay = spread.quantile(self.rng.below(10_000));
        let soft = *reset == ResetType::GracefulShutdown;
        let asked = soft.then(|| self.starts.get(node).copied().unwrap_or(0));
        self.after(delay, Happening::Land { node: *node, reset: *reset, asked });
        Ok(())
    }

    fn power(&mut self, node: NodeId, state: PowerState) {
        let Some(Live::Answered { reading, .. }) = self.fleet.live.get_mut(&node) else { return };
        let was = std::mem::replace(&mut reading.power, state);
        if was == state {
            return;
        }
        self.changed.insert(node, (self.now, was));
        let start = self.starts.entry(node).or_insert(0);
        *start += 1;
        let start = *start;
        if state == PowerState::Off {
            reading.boot_progress = None;
            for machines in self.open.values_mut() {
                machines.remove(&node);
            }
            return;
        }
        reading.boot_progress = Some(BootProgress::Firmware);
        let model = self.fleet.nodes.get(&node).and_then(|n| n.facts().model);
        let boot = self.setting.times.of("boot", model.as_deref()).quantile(self.rng.below(10_000));
        match self.dice.throw(&self.setting.rules, &mut self.rng, node, Request::Boot) {
            Some((Action::Slow | Action::Late, by)) => {
                self.after(boot + by.unwrap_or(Span::secs(30)), Happening::Booted { node, start });
            }
            // It hangs in its firmware.
            Some(_) => {}
            None => self.after(boot, Happening::Booted { node, start }),
        }
        self.opens(node);
    }

    /// What its own firmware names, and nothing else.
    fn opens(&mut self, node: NodeId) {
        let Some(Live::Answered { boot, .. }) = self.fleet.live.get(&node) else { return };
        let Some(iscsi) = boot.iscsi.as_ref().filter(|i| !i.is_clear()) else { return };
        let machines = self.open.entry((iscsi.target.clone(), iscsi.lun)).or_default();
        if machines.insert(node) && machines.len() > 1 {
            let names: Vec<&str> = machines.iter().filter_map(|id| self.fleet.nodes.get(id)).map(|n| n.name.as_str()).collect();
            self.two_writers.push(format!("{} lun {} is open on {}", iscsi.target, iscsi.lun, names.join(" and ")));
        }
    }
}

fn result(succeeded: bool, how: &str, took: Span) -> HookResult {
    HookResult { succeeded, how: how.to_owned(), output: String::new(), took }
}
