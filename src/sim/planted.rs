//! Planted bugs: what the engine is told, or not told, so that the checks are seen to miss each gate.

use crate::engine::{Input, Order};
use crate::model::*;
use crate::plan::{Plan, Switchover};
use crate::step::{Command, Observation, Query, Step};
use std::collections::{BTreeMap, BTreeSet};

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
    /// PowerOn does not ask the plugs again that were switched off for the fence.
    pub plugs_not_asked_again: bool,
    /// The power-off does not ask whether the spare is Off.
    pub spare_not_asked: bool,
    /// A machine that is seen On takes nothing of what was attested of it before.
    pub on_withdraws_nothing: bool,
    /// The way back does not see that a power-off may still land on the source.
    pub landing_not_seen: bool,
    /// Whoever answers is taken for the machine that was meant.
    pub any_machine_believed: bool,
    /// CleanSource sees neither the targets nor the instance that its node still has.
    pub targets_not_seen: bool,
    /// Somebody else's instance at a spare is taken for ours.
    pub foreign_not_seen: bool,
    /// On the way back, what is still at the spare is taken to be at the source.
    pub records_not_seen: bool,
}

impl Bugs {
    pub(super) fn distort(self) -> bool {
        let believes = [
            self.acknowledgement_believed,
            self.agent_exit_believed,
            self.attestation_believed,
            self.any_word_counts,
            self.any_machine_believed,
            self.landing_not_seen,
        ];
        let deaf = [
            self.no_fence,
            self.live_on_overridden,
            self.fence_survives_on,
            self.start_boot_not_asked,
            self.plugs_not_asked_again,
            self.spare_not_asked,
            self.debt_not_seen,
            self.targets_not_seen,
            self.foreign_not_seen,
            self.records_not_seen,
        ];
        believes.contains(&true) || deaf.contains(&true)
    }
}

/// Lies that the engine is told when a bug is planted.
#[derive(Default)]
pub(super) struct Beliefs {
    power: BTreeMap<NodeId, PowerState>,
    plugs_off: bool,
    sources: BTreeSet<NodeId>,
    asked: BTreeMap<usize, (Vec<Query>, Option<Command>)>,
    /// By spare: its source and the instance that is ours.
    ours: BTreeMap<NodeId, (NodeId, Option<Instance>)>,
    /// What each node's firmware was last told to open.
    boots: BTreeMap<NodeId, BootSettings>,
}

impl Beliefs {
    pub(super) fn of(plan: &Plan) -> Beliefs {
        let moved =
            |s: &Switchover| s.steps.iter().find_map(|step| if let Step::MoveInstance(m) = step { m.instance.clone() } else { None });
        let ours = plan.switchovers.iter().map(|s| (s.destination.node, (s.source.node, moved(s)))).collect();
        Beliefs { sources: plan.switchovers.iter().map(|s| s.source.node).collect(), ours, ..Beliefs::default() }
    }

    /// The process died.
    pub(super) fn forget(&mut self) {
        self.power.clear();
    }

    pub(super) fn note(&mut self, order: &Order) {
        if let Order::Act(_, Command::SetBoot { node, settings }) = order {
            self.boots.insert(*node, settings.clone());
        }
        match order {
            Order::Look(ticket, queries) => self.asked.insert(ticket.index(), (queries.clone(), None)),
            Order::Act(ticket, command) => self.asked.insert(ticket.index(), (Vec::new(), Some(command.clone()))),
        };
    }

    pub(super) fn distort(&mut self, bugs: Bugs, now: Time, input: &mut Input) {
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
                let look = Look::of(queries);
                let start = look == Some(Look::Start);
                let cleans = bugs.targets_not_seen && queries.iter().any(|q| matches!(q, Query::TargetsAt(_)));
                let moves = matches!(queries[..], [Query::Target(_) | Query::Connector(_), Query::Off(_), Query::Off(_), ..]);
                let goes_back = bugs.records_not_seen && (moves || look == Some(Look::WayBack));
                for (query, seen) in queries.iter().zip(seen) {
                    self.distort_kept(bugs, (cleans, goes_back), query, seen);
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
                    if let (Query::System(_), Observation::System(reading), true) = (query, &mut *seen, bugs.spare_not_asked)
                        && look == Some(Look::FirstOff)
                        && !asked_source(query, &self.sources)
                    {
                        reading.power = PowerState::Off;
                    }
                    if let (Observation::Node(_, left), true) = (&mut *seen, bugs.landing_not_seen && look == Some(Look::WayBack)) {
                        *left = None;
                    }
                    if let (Observation::Plug(state), true) = (&mut *seen, self.plugs_off || (bugs.plugs_not_asked_again && start)) {
                        *state = PlugState::Off;
                    }
                    if let (Observation::Attestation(Some(word)), true) = (&mut *seen, bugs.attestation_believed) {
                        let switchover = SwitchoverId(u32::try_from(ticket.index() + 1).unwrap_or(u32::MAX));
                        word.used_by = Some(Holder { run: "r-1".into(), switchover });
                        word.at = now;
                        word.expires_at = Time(i64::MAX / 2);
                    }
                    if let (Observation::Attestation(Some(word)), true) = (&mut *seen, bugs.any_word_counts) {
                        word.at = now;
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

impl Beliefs {
    fn distort_kept(&self, bugs: Bugs, (cleans, goes_back): (bool, bool), query: &Query, seen: &mut Observation) {
        match (query, seen) {
            (_, Observation::Targets(targets)) if cleans => targets.clear(),
            (_, Observation::Node(node, _)) if cleans => std::sync::Arc::make_mut(node).instance = None,
            (_, Observation::At(at)) if cleans => {
                *at = self.ours.iter().find(|(_, (source, _))| source == at).map_or(*at, |(spare, _)| *spare);
            }
            (_, Observation::At(at)) if goes_back => *at = self.ours.get(at).map_or(*at, |(source, _)| *source),
            (Query::Node(id), Observation::Node(node, _)) if bugs.foreign_not_seen && node.instance.is_some() => {
                if let Some((_, instance)) = self.ours.get(id) {
                    std::sync::Arc::make_mut(node).instance.clone_from(instance);
                }
            }
            _ => {}
        }
    }
}

/// Which step asks, told by what it asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Of `PowerOn`: both ends, their records, then each volume with who else has it.
    Start,
    /// Of `PowerOff`, before anything was sent: the source, its record, the spare.
    FirstOff,
    /// Of `PowerBack`: both ends, their records, then who else has each volume.
    WayBack,
}

impl Look {
    fn of(queries: &[Query]) -> Option<Look> {
        match queries {
            [Query::System(_), Query::Node(_), Query::System(_)] => Some(Look::FirstOff),
            [Query::System(_), Query::System(_), Query::Node(_), Query::Node(_), Query::Target(_), Query::SameVolume(_), ..] => {
                Some(Look::Start)
            }
            [
                Query::System(_) | Query::Off(_),
                Query::System(_) | Query::Off(_),
                Query::Node(_),
                Query::Node(_),
                Query::SameVolume(_),
                ..,
            ] => Some(Look::WayBack),
            _ => None,
        }
    }
}

fn asked_source(query: &Query, sources: &BTreeSet<NodeId>) -> bool {
    matches!(query, Query::System(node) if sources.contains(node))
}
