//! The world: machines, BMCs that misbehave, an inventory, hooks, and the witness.

mod faults;
mod keeper;
mod people;
mod unheard;
mod witness;

pub use self::faults::Faults;
use self::keeper::Service;
use self::people::impostor;
use super::Rng;
use super::queue::Queue;
use super::volumes::same_volume;
use crate::engine::{Input, Order, Ticket};
use crate::model::*;
use crate::step::{Command, Observation, Query, meaning};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

enum Happening {
    Answer(Ticket, Vec<Query>),
    Do(Ticket, Command),
    Reply(Input),
    /// A command of an executor that does not hear the answer.
    Late(Command),
    Land(NodeId, ResetType),
    Button(NodeId),
    /// A feed that came back.
    Feed(NodeId),
    /// A feed that came back behind a BMC that stays silent.
    Replug(NodeId),
    /// Some other command sees a machine run.
    Seen(NodeId),
    /// Somebody starts a spare that no run has told On.
    Stranger(NodeId),
    /// Somebody else writes a destination's boot configuration.
    Tamper(NodeId),
    /// A person switches a machine off by hand and vouches for it.
    Attests(NodeId),
    /// A service has ended what it was about with a node.
    Unlocked(NodeId),
    Provisioned(NodeId, ProvisionTarget),
    Undeployed(NodeId),
    /// A BMC that answers nothing from here, and one that answers again.
    Dies(NodeId),
    Revives(NodeId),
}

type Volume = (String, u32);

/// Longer than any look here takes from its question to the order that follows from it.
const LOOK: Span = Span::millis(200);

/// The machine behind an agent's plug: plugs are called like their nodes here.
fn plugged(call: &AgentCall) -> Option<NodeId> {
    match call.options.get("plug") {
        Some(Sensitive::Plain(name)) => Some(NodeId::derived(name)),
        _ => None,
    }
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
    /// Sources whose BMC answers nothing.
    pub dead: BTreeSet<NodeId>,
    /// Who has attested what, by node. The truth of it is not asked: no software can.
    pub attestations: BTreeMap<NodeId, Attestation>,
    /// When a feed came back, and when a destination was told On: what nobody could see in time is no breach.
    fed: BTreeMap<NodeId, Time>,
    ordered_on: BTreeMap<NodeId, Time>,
    /// Sources that a plan takes down in good health, with the spare of each; those that were told Off at least once; and
    /// spares that somebody started.
    spares: BTreeMap<NodeId, NodeId>,
    told_off: BTreeSet<NodeId>,
    pub(super) strangers: BTreeMap<NodeId, Time>,
    /// When a destination's boot configuration was last changed behind everybody's back.
    tampered: BTreeMap<NodeId, Time>,
    /// Machines that a person switched off by hand.
    pub pulled: BTreeSet<NodeId>,
    /// From when on another machine answers at a source's address: it is Off, and its firmware opens nothing.
    pub impostors: BTreeMap<NodeId, Time>,
    /// Until when a BMC answers, and only with errors; from when on no agent can be asked.
    pub sulks: BTreeMap<NodeId, Time>,
    pub agents_gone: Option<Time>,
    /// A planted bug: the store binds a word however old it is.
    pub binds_any_word: bool,
    /// A planted bug: what a service has on record is taken for what is.
    pub believes_records: bool,
    service: Service,
    /// Two machines on one volume after a feed came back behind everybody's back.
    pub unseen: u32,
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
            dead: BTreeSet::new(),
            attestations: BTreeMap::new(),
            fed: BTreeMap::new(),
            ordered_on: BTreeMap::new(),
            spares: BTreeMap::new(),
            told_off: BTreeSet::new(),
            strangers: BTreeMap::new(),
            tampered: BTreeMap::new(),
            pulled: BTreeSet::new(),
            impostors: BTreeMap::new(),
            sulks: BTreeMap::new(),
            agents_gone: None,
            binds_any_word: false,
            believes_records: false,
            service: Service::of(&fleet),
            unseen: 0,
            fleet,
        };
        for source in world.sources.clone() {
            if world.rng.percent(world.faults.dead) {
                let after = if world.rng.percent(50) { 0 } else { world.rng.below(4_000) };
                world.at(after, Happening::Dies(source));
            }
            if world.rng.percent(world.faults.attested) {
                // Now and then twice: the first word is too old by the time that it is needed.
                for _ in 0..=world.rng.below(2) {
                    let after = world.rng.below(60_000);
                    world.at(after, Happening::Attests(source));
                }
            }
        }
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
            Happening::Late(command) => {
                self.started_unheard(&command);
                drop(self.perform(&command));
            }
            Happening::Land(node, reset) => self.land(node, reset),
            Happening::Tamper(node) => self.tamper(node),
            Happening::Attests(node) => self.attests(node),
            // One that came back with its feed stays: a feed that comes back behind a silent BMC nobody could see.
            Happening::Dies(node) if self.fed.contains_key(&node) => {}
            Happening::Dies(node) => drop(self.dead.insert(node)),
            Happening::Revives(node) => drop(self.dead.remove(&node)),
            Happening::Feed(node) => {
                self.dead.remove(&node);
                self.fed.insert(node, self.now);
                self.power(node, PowerState::On);
            }
            Happening::Replug(node) => {
                self.fed.insert(node, self.now);
                self.power(node, PowerState::On);
            }
            Happening::Stranger(node) => self.stranger(node),
            Happening::Seen(node) => self.withdraw(node, self.now),
            Happening::Button(node) => {
                self.buttons_pressed += 1;
                // Its boot file stays until it is undeployed: what it opens meanwhile is seen by the next look, or by nobody.
                if self.keeps(node) {
                    self.fed.insert(node, self.now);
                }
                self.power(node, PowerState::On);
            }
            Happening::Unlocked(node) => self.unlocked(node),
            Happening::Provisioned(node, target) => self.provisioned(node, target),
            Happening::Undeployed(node) => self.undeployed(node),
        }
        self.sync();
        None
    }

    fn answer(&mut self, query: &Query) -> Observation {
        let device = matches!(query, Query::System(_) | Query::Off(_) | Query::Boot(_) | Query::BootAndOverride(_) | Query::Override(_));
        if self.rng.percent(if device { self.faults.blind } else { self.faults.blind / 4 }) {
            return Observation::Unreadable(Fault::transient("no answer"));
        }
        self.fleet.captured_at = self.now;
        if let Some(seen) = self.kept_answer(query) {
            return seen;
        }
        match query {
            Query::System(id) | Query::Boot(id) if self.impostors.get(id).is_some_and(|from| *from <= self.now) => impostor(query),
            Query::System(id) if self.sulks.get(id).is_some_and(|until| self.now < *until) => {
                Observation::Unreadable(Fault::answered("503 Service Unavailable"))
            }
            Query::System(id) if !self.dead.contains(id) => self.reading(query),
            Query::System(id) | Query::Boot(id) if self.dead.contains(id) => Observation::Unreadable(Fault::transient("no route to host")),
            Query::Plug(_) if self.agents_gone.is_some_and(|from| from <= self.now) || self.rng.percent(self.faults.agent_blind) => {
                Observation::Unreadable(Fault::unknown("the agent gave up"))
            }
            // A plug is off when its machine is: what an agent's status says is true here, as what a BMC says is.
            Query::Plug(call) => match plugged(call).map(|node| self.fleet.power(node)) {
                Some(PowerState::Off) => Observation::Plug(PlugState::Off),
                Some(_) => Observation::Plug(PlugState::On),
                None => Observation::Unreadable(Fault::refused("no such plug")),
            },
            Query::Attestation(id) => Observation::Attestation(self.attestations.get(id).cloned().map(Box::new)),
            Query::SameVolume(id) if self.fleet.targets.contains_key(id) => {
                let at = |t: &TargetId| self.fleet.targets.get(t).map(|t| t.node);
                let own = self.fleet.targets[id].node;
                Observation::AlsoAt(self.same_volume[id].iter().filter_map(at).filter(|n| *n != own).collect())
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
        self.check_dark(command);
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
        if let Some(result) = self.kept_effect(command) {
            return result;
        }
        match command {
            Command::Reset { node, .. } | Command::SetBoot { node, .. } | Command::SetRestorePolicy { node, .. }
                if self.dead.contains(node) =>
            {
                return Err(Fault::transient("no route to host"));
            }
            Command::Agents(calls) => return self.switch_off(calls),
            Command::UseAttestation { node, holder } => {
                let now = self.now;
                let mark = self.fleet.nodes.get(node).and_then(|n| n.power_mark).filter(|_| !self.binds_any_word);
                match self.attestations.get_mut(node) {
                    Some(word) => word.bind(holder, now, mark)?,
                    None => return Err(Fault::refused("there is none")),
                }
            }
            Command::Reset { node, reset } => {
                if reset.starts() {
                    self.ordered_on.insert(*node, self.now);
                }
                let deaf = *reset == ResetType::GracefulShutdown && self.rng.percent(self.faults.soft_ignored);
                if deaf || self.rng.percent(self.faults.ignored) {
                    return Ok(None);
                }
                let delay = if self.faults.slow_power_ms > 0 { self.rng.below(self.faults.slow_power_ms) } else { 0 };
                if delay == 0 { self.land(*node, *reset) } else { self.at(delay, Happening::Land(*node, *reset)) }
            }
            Command::SetBoot { .. } | Command::SetRestorePolicy { .. } if self.rng.percent(self.faults.ignored) => {}
            Command::SetBoot { .. } | Command::SetRestorePolicy { .. } => {
                meaning::obey(&mut self.fleet, command)?;
                self.may_be_tampered(command);
            }
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

    fn land(&mut self, node: NodeId, reset: ResetType) {
        let Some(power) = reset.leads_to() else { return self.unlocked(node) };
        if !(self.keeps(node) && self.dead.contains(&node)) {
            self.power(node, power);
        }
        self.unlocked(node);
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
}
