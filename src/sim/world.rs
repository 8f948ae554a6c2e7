//! The world: machines, BMCs that misbehave, an inventory, hooks, and the witness.

use super::Rng;
use super::queue::Queue;
use crate::engine::{Input, Order, Ticket};
use crate::model::*;
use crate::step::{Command, Observation, Query, meaning};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Chances in percent, spans in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A command is lost before it reaches anything.
    pub lost_before: u64,
    /// It took effect and its answer is lost.
    pub lost_after: u64,
    pub refused: u64,
    /// A look is not answered.
    pub blind: u64,
    /// A power command or boot configuration is accepted and nothing happens.
    pub ignored: u64,
    /// The operating system takes no notice of a soft off.
    pub soft_ignored: u64,
    /// A power command takes up to so long.
    pub slow_power_ms: u64,
    pub hook_fails: u64,
    /// Somebody presses the source's button, per power-off that has landed.
    pub button: u64,
}

enum Happening {
    Answer(Ticket, Vec<Query>),
    Do(Ticket, Command),
    Reply(Input),
    /// A command of an executor that does not hear the answer.
    Late(Command),
    Land(NodeId, ResetType),
    Button(NodeId),
}

type Volume = (String, u32);

/// Which targets share a volume with which others.
fn same_volume(fleet: &Fleet) -> BTreeMap<TargetId, Vec<TargetId>> {
    let mut by_identity: BTreeMap<VolumeIdentity, Vec<TargetId>> = BTreeMap::new();
    for target in fleet.targets.values() {
        for identity in target.identities() {
            by_identity.entry(identity).or_default().push(target.id);
        }
    }
    let mut same: BTreeMap<TargetId, Vec<TargetId>> = fleet.targets.keys().map(|id| (*id, Vec::new())).collect();
    for group in by_identity.values().filter(|g| g.len() > 1) {
        for id in group {
            same.entry(*id).or_default().extend(group.iter().filter(|o| *o != id));
        }
    }
    same
}

pub struct World {
    pub fleet: Fleet,
    pub now: Time,
    pub rng: Rng,
    pub faults: Faults,
    queue: Queue<Happening>,
    open: BTreeMap<Volume, BTreeSet<NodeId>>,
    sources: BTreeSet<NodeId>,
    /// Records as they were last told, until they change.
    shown: BTreeMap<NodeId, Arc<Node>>,
    /// Identities do not change in a run, so who shares a volume with whom is worked out once.
    same_volume: BTreeMap<TargetId, Vec<TargetId>>,
    /// How often each hook ran, by name and switchover.
    pub hooks: BTreeMap<(String, SwitchoverId), u32>,
    pub violations: Vec<String>,
    pub buttons_pressed: u32,
}

impl World {
    /// Machines that are On have open what their boot configuration names.
    pub fn new(fleet: Fleet, seed: u64, faults: Faults) -> World {
        let mut world = World {
            now: fleet.captured_at,
            rng: Rng(seed),
            faults,
            queue: Queue::default(),
            shown: BTreeMap::new(),
            open: BTreeMap::new(),
            sources: fleet.targets.values().map(|t| t.node).collect(),
            same_volume: same_volume(&fleet),
            hooks: BTreeMap::new(),
            violations: Vec::new(),
            buttons_pressed: 0,
            fleet,
        };
        let on: Vec<NodeId> = world.fleet.nodes.keys().copied().filter(|n| world.fleet.power(*n) == PowerState::On).collect();
        for node in on {
            world.opens(node);
        }
        world
    }

    fn at(&mut self, delay_ms: u64, happening: Happening) {
        self.queue.push(self.now + Span(delay_ms), happening);
    }

    pub fn carry(&mut self, order: Order) {
        let delay = 5 + self.rng.below(50);
        match order {
            Order::Look(ticket, queries) => self.at(delay, Happening::Answer(ticket, queries)),
            Order::Act(ticket, command) => self.at(delay, Happening::Do(ticket, command)),
        }
    }

    /// A power command was recorded with the node.
    pub fn mark(&mut self, node: NodeId, mark: PowerMark) {
        self.shown.remove(&node);
        if let Some(node) = self.fleet.nodes.get_mut(&node) {
            node.power_mark = Some(mark);
        }
    }

    /// Go on to the next happening that is not later than `wake`; hand back what the engine should hear, if anything.
    pub fn step(&mut self, wake: Option<Time>) -> Option<Input> {
        loop {
            match (self.queue.next_at(), wake) {
                (Some(at), Some(wake)) if wake <= at => {
                    self.now = self.now.max(wake);
                    return None;
                }
                (None, Some(wake)) => {
                    self.now = self.now.max(wake);
                    return None;
                }
                (None, None) => return None,
                (Some(at), _) => {
                    self.now = self.now.max(at);
                    if let Some(input) = self.queue.pop().and_then(|(_, h)| self.happen(h)) {
                        return Some(input);
                    }
                }
            }
        }
    }

    fn happen(&mut self, happening: Happening) -> Option<Input> {
        match happening {
            Happening::Reply(input) => return Some(input),
            Happening::Answer(ticket, queries) => {
                let seen = queries.iter().map(|q| self.answer(q)).collect();
                let delay = 1 + self.rng.below(20);
                self.at(delay, Happening::Reply(Input::Seen(ticket, seen)));
            }
            Happening::Do(ticket, command) => {
                let result = self.perform(&command);
                let delay = 1 + self.rng.below(20);
                self.at(delay, Happening::Reply(Input::Told(ticket, result)));
            }
            Happening::Late(command) => drop(self.perform(&command)),
            Happening::Land(node, reset) => self.land(node, reset),
            Happening::Button(node) => {
                self.buttons_pressed += 1;
                self.power(node, PowerState::On);
            }
        }
        None
    }

    fn answer(&mut self, query: &Query) -> Observation {
        let device = matches!(query, Query::System(_) | Query::Boot(_));
        if self.rng.percent(if device { self.faults.blind } else { self.faults.blind / 4 }) {
            return Observation::Unreadable(Fault::transient("no answer"));
        }
        self.fleet.captured_at = self.now;
        match query {
            Query::SameVolume(id) => {
                let at = |t: &TargetId| self.fleet.targets[t].node;
                let own = self.fleet.targets[id].node;
                Observation::AlsoAt(self.same_volume[id].iter().map(at).filter(|n| *n != own).collect())
            }
            Query::Node(id) => match self.fleet.nodes.get(id) {
                Some(node) => {
                    let left = meaning::landing_left(node, self.now);
                    Observation::Node(self.shown.entry(*id).or_insert_with(|| Arc::new(node.clone())).clone(), left)
                }
                None => meaning::answer(&self.fleet, query),
            },
            _ => meaning::answer(&self.fleet, query),
        }
    }

    fn perform(&mut self, command: &Command) -> Result<Option<HookResult>, Fault> {
        if self.rng.percent(self.faults.lost_before) {
            return Err(if self.rng.percent(50) { Fault::transient("connection refused") } else { Fault::unknown("time-out") });
        }
        let hook = matches!(command, Command::Hook(_));
        if !hook && self.rng.percent(self.faults.refused) {
            return Err(Fault::refused("the device says no"));
        }
        let result = self.effect(command)?;
        if self.rng.percent(self.faults.lost_after) {
            return Err(Fault::unknown("the answer is lost"));
        }
        Ok(result)
    }

    fn effect(&mut self, command: &Command) -> Result<Option<HookResult>, Fault> {
        match command {
            Command::Reset { node, reset } => {
                let deaf = *reset == ResetType::GracefulShutdown && self.rng.percent(self.faults.soft_ignored);
                if deaf || self.rng.percent(self.faults.ignored) {
                    return Ok(None);
                }
                let delay = if self.faults.slow_power_ms > 0 { self.rng.below(self.faults.slow_power_ms) } else { 0 };
                if delay == 0 { self.land(*node, *reset) } else { self.at(delay, Happening::Land(*node, *reset)) }
            }
            Command::SetBoot { .. } if self.rng.percent(self.faults.ignored) => {}
            Command::SetBoot { .. } => meaning::obey(&mut self.fleet, command)?,
            Command::Change(change) => {
                self.check_move(change);
                change.nodes().iter().for_each(|node| drop(self.shown.remove(node)));
                meaning::obey(&mut self.fleet, command)?;
            }
            Command::Hook(call) => {
                *self.hooks.entry((call.hook.name.clone(), call.context.switchover)).or_insert(0) += 1;
                let succeeded = !self.rng.percent(self.faults.hook_fails);
                let how = if succeeded { "exit 0" } else { "exit 1" };
                return Ok(Some(HookResult { succeeded, how: how.into(), output: String::new(), took: Span(1) }));
            }
        }
        Ok(None)
    }

    /// A volume must not change hands while somebody has it open.
    fn check_move(&mut self, change: &Change) {
        if let Change::MoveTarget { target, to, .. } = change
            && let Some(target) = self.fleet.targets.get(target)
            && target.node != *to
            && let Some(boot) = target.iscsi_boot("")
            && let Some(who) = self.open.get(&(boot.target, boot.lun)).and_then(|m| m.iter().find(|n| *n != to))
        {
            self.violations.push(format!("S1: `{}` moved to {to} while {who} has it open", target.volume_id));
        }
    }

    fn land(&mut self, node: NodeId, reset: ResetType) {
        self.power(node, if reset.starts() { PowerState::On } else { PowerState::Off });
        if !reset.starts() && self.sources.contains(&node) && self.rng.percent(self.faults.button) {
            let delay = self.rng.below(3_000);
            self.at(delay, Happening::Button(node));
        }
    }

    fn power(&mut self, node: NodeId, state: PowerState) {
        let Some(Live::Answered { reading, .. }) = self.fleet.live.get_mut(&node) else { return };
        let was = std::mem::replace(&mut reading.power, state);
        reading.boot_progress = (state == PowerState::On).then_some(BootProgress::OsRunning);
        if state == PowerState::Off {
            for machines in self.open.values_mut() {
                machines.remove(&node);
            }
        } else if was != PowerState::On {
            self.opens(node);
        }
    }

    /// What its own firmware names, and nothing else.
    fn opens(&mut self, node: NodeId) {
        let Some(Live::Answered { boot, .. }) = self.fleet.live.get(&node) else { return };
        let Some(iscsi) = boot.iscsi.as_ref().filter(|i| !i.is_clear()) else { return };
        let machines = self.open.entry((iscsi.target.clone(), iscsi.lun)).or_default();
        machines.insert(node);
        if machines.len() > 1 {
            self.violations.push(format!("S1: {} lun {} is open on {machines:?}", iscsi.target, iscsi.lun));
        }
    }

    pub fn has_open(&self, node: NodeId) -> bool {
        self.open.values().any(|m| m.contains(&node))
    }

    /// Let one outstanding effect happen after the executor is finished; false when nothing is outstanding.
    pub fn settle(&mut self) -> bool {
        let Some((at, happening)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        if !matches!(happening, Happening::Reply(_) | Happening::Answer(..)) {
            self.happen(happening);
        }
        true
    }

    /// The executor is stopped: it hears nothing any more, and each command that is on its way arrives `within` some time.
    pub fn forsake(&mut self, within: Span) {
        for (at, happening) in std::mem::take(&mut self.queue).in_order() {
            match happening {
                Happening::Reply(_) | Happening::Answer(..) => {}
                Happening::Do(_, command) => self.arrives(command, within),
                other => self.queue.push(at, other),
            }
        }
    }

    /// An order leaves whose executor will not hear the answer.
    pub fn carry_late(&mut self, order: Order, within: Span) {
        if let Order::Act(_, command) = order {
            self.arrives(command, within);
        }
    }

    /// A program starts where it is started; a change of the inventory is one transaction with its fence. Only what goes
    /// to a BMC is on its way for long.
    fn arrives(&mut self, command: Command, within: Span) {
        let far = matches!(command, Command::Reset { .. } | Command::SetBoot { .. });
        let delay = if far { self.rng.below(within.0) } else { 0 };
        self.at(delay, Happening::Late(command));
    }

    /// Let happen what happens until then, with nobody to hear of it.
    pub fn run_until(&mut self, until: Time) {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.settle();
        }
        self.now = self.now.max(until);
    }

    /// The executor dies: answers are lost, requests on the wire arrive or do not.
    pub fn crash(&mut self) {
        for (at, happening) in std::mem::take(&mut self.queue).in_order() {
            match happening {
                Happening::Reply(_) | Happening::Answer(..) => {}
                Happening::Land(..) | Happening::Button(_) | Happening::Late(_) => {
                    self.queue.push(at, happening);
                }
                Happening::Do(_, command) => {
                    if self.rng.percent(50) {
                        let _ = self.perform(&command);
                    }
                }
            }
        }
    }
}
