//! A drill: the engine that carries out real switchovers, on a plan for a copy of the inventory, in a world of virtual
//! time where things go wrong as the rules say; once for every seed. The same seed gives the same run.
//!
//! A drill says what would happen, how often and how long. It proves nothing about safety: that is what the seeds and
//! crashes of [`super::run`] do.

mod presets;
mod presume;
mod result;
mod rules;
mod world;

pub use presets::{PRESETS, Preset};
pub use presume::presume;
pub use result::*;
pub use rules::{Action, Request, Rule, Rules};

use crate::engine::{Engine, Entry, EventLog, LogError, Outcome, Phase, Told};
use crate::model::*;
use crate::plan::Plan;
use crate::step::Step;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// How long what takes.
#[derive(Clone, Debug)]
pub struct Times {
    /// Measured, and believed before anything that is assumed.
    pub measured: Durations,
    pub assumed: BTreeMap<&'static str, Spread>,
    /// One answer of a BMC.
    pub answer: Spread,
}

/// What is assumed where nothing was measured, with where it is from.
pub const ASSUMED: [(&str, Spread, &str); 5] = [
    ("soft_off", Spread::new(Span::secs(45), Span::mins(3)), "a server's own way down; services are stopped one after the other"),
    ("hard_off", Spread::new(Span::secs(5), Span::secs(20)), "states lag behind commands by 10 s and more (powerman PR #47)"),
    ("power_on", Spread::new(Span::secs(10), Span::secs(70)), "On is reported after 10 to 70 s (powerman PR #47 and #72)"),
    ("boot", Spread::new(Span::mins(4), Span::mins(9)), "firmware of large machines takes 300 s and more (community.general PR #7113)"),
    ("hook", Spread::new(Span::secs(5), Span::secs(30)), "a script or a request; hooks differ, so measure them"),
];

impl Default for Times {
    fn default() -> Times {
        Times {
            measured: Durations::default(),
            assumed: ASSUMED.iter().map(|(kind, spread, _)| (*kind, *spread)).collect(),
            answer: Spread::new(Span(60), Span(400)),
        }
    }
}

impl Times {
    fn of(&self, kind: &str, model: Option<&str>) -> Spread {
        self.measured.of(kind, model).or_else(|| self.assumed.get(kind).copied()).unwrap_or(Spread::exactly(Span::ZERO))
    }

    fn hook(&self, name: &str) -> Spread {
        self.measured.of(&format!("hook {name}"), None).unwrap_or_else(|| self.of("hook", None))
    }
}

/// Everything that all seeds have in common.
pub struct Setting {
    plan: Arc<Plan>,
    /// The plan's nodes and what shares volumes with them.
    fleet: Fleet,
    same_volume: BTreeMap<TargetId, Vec<TargetId>>,
    /// The node that a switchover's hooks are about.
    about: BTreeMap<SwitchoverId, NodeId>,
    rules: Rules,
    times: Times,
}

impl Setting {
    pub fn new(plan: Arc<Plan>, fleet: &Fleet, rules: &[Rule], times: Times) -> Setting {
        let part = part_of(&plan, fleet);
        let same_volume = super::volumes::same_volume(&part);
        let about = plan.switchovers.iter().map(|s| (s.id, s.source.node)).collect();
        Setting { rules: Rules::of(rules, &part), fleet: part, same_volume, about, times, plan }
    }
}

/// The part of the fleet that the plan can see: an inventory of thousands is not copied for every seed.
fn part_of(plan: &Plan, fleet: &Fleet) -> Fleet {
    let nodes: std::collections::BTreeSet<NodeId> = plan.switchovers.iter().flat_map(|s| [s.source.node, s.destination.node]).collect();
    let volumes: std::collections::BTreeSet<VolumeIdentity> =
        fleet.targets.values().filter(|t| nodes.contains(&t.node)).flat_map(VolumeTarget::identities).collect();
    let shares = |t: &VolumeTarget| nodes.contains(&t.node) || t.identities().iter().any(|i| volumes.contains(i));
    Fleet {
        nodes: fleet.nodes.iter().filter(|(id, _)| nodes.contains(id)).map(|(id, n)| (*id, n.clone())).collect(),
        connectors: fleet.connectors.iter().filter(|(_, c)| nodes.contains(&c.node)).map(|(id, c)| (*id, c.clone())).collect(),
        targets: fleet.targets.iter().filter(|(_, t)| shares(t)).map(|(id, t)| (*id, t.clone())).collect(),
        live: fleet.live.iter().filter(|(id, _)| nodes.contains(id)).map(|(id, l)| (*id, l.clone())).collect(),
        captured_at: fleet.captured_at,
    }
}

#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    marks: Vec<(NodeId, PowerMark)>,
}

impl EventLog for Log {
    // Nobody attests anything in a drill's world but what it presumes.
    fn heard(&mut self, _: Vec<(NodeId, Time)>) -> Result<(), LogError> {
        Ok(())
    }

    fn append(&mut self, entries: Vec<Entry>, marks: Vec<(NodeId, PowerMark)>) -> Result<(), LogError> {
        self.entries.extend(entries);
        self.marks.extend(marks);
        Ok(())
    }
}

/// How one switchover of one run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// None: it was never begun.
    pub outcome: Option<Outcome>,
    pub why: Option<Reason>,
    pub took: Option<Span>,
    /// From the power-off being sent until one of the two machines serves again, where one does.
    pub dark: Option<Span>,
}

/// One run.
pub struct Once {
    pub seed: u64,
    pub ends: Vec<End>,
    pub took: Span,
    pub two_writers: Vec<String>,
    pub journal: Vec<Entry>,
    /// It did not come to an end: a bug.
    pub stuck: bool,
}

/// More turns than any run that came to an end has taken, for each switchover.
const TURNS_MAX: usize = 50_000;

/// Run the plan once.
pub fn once(setting: &Setting, seed: u64) -> Once {
    let mut world = World::new(setting, seed);
    let began = world.now;
    let mut log = Log::default();
    let mut stuck = true;
    if let Ok(mut engine) = Engine::resume(setting.plan.clone(), "drill".into(), world.now, &[]) {
        for _ in 0..TURNS_MAX.saturating_mul(setting.plan.switchovers.len().max(1)) {
            let ready = engine.ready(world.now);
            let (done, wake) = (ready.done(), ready.wake_at());
            let Ok(orders) = ready.store(&mut log) else { break };
            for (node, mark) in log.marks.drain(..) {
                if let Some(node) = world.fleet.nodes.get_mut(&node) {
                    node.power_mark = Some(mark);
                }
            }
            orders.into_iter().for_each(|order| world.carry(order));
            if done {
                stuck = false;
                break;
            }
            if let Some(input) = world.step(wake) {
                engine.accept(world.now, input);
            }
        }
        let ends = ends(&setting.plan, &engine, &log.entries);
        let took = log.entries.last().map_or(Span::ZERO, |last| last.at.since(began));
        return Once { seed, ends, took, two_writers: world.two_writers, journal: log.entries, stuck };
    }
    Once { seed, ends: Vec::new(), took: Span::ZERO, two_writers: world.two_writers, journal: log.entries, stuck }
}

fn ends(plan: &Plan, engine: &Engine, journal: &[Entry]) -> Vec<End> {
    let mut ends: Vec<(End, Option<Time>, Option<Time>)> =
        vec![(End { outcome: None, why: None, took: None, dark: None }, None, None); plan.switchovers.len()];
    let forward = |index: usize, step: u32| plan.switchovers[index].steps.get(step as usize - 1);
    let mut turned = vec![false; ends.len()];
    for entry in journal {
        let Some(index) = entry.event.switchover().and_then(|id| plan.index(id)) else { continue };
        let (end, started, dark_from) = &mut ends[index];
        match &entry.event {
            crate::engine::Event::Started { .. } => *started = Some(entry.at),
            crate::engine::Event::Intended { step, command: Told::Reset { .. }, .. }
                if !turned[index] && matches!(forward(index, *step), Some(Step::PowerOff(_))) =>
            {
                dark_from.get_or_insert(entry.at);
            }
            crate::engine::Event::Achieved { step, .. } if !turned[index] && matches!(forward(index, *step), Some(Step::AwaitBoot(_))) => {
                end.dark = dark_from.map(|from| entry.at.since(from));
            }
            crate::engine::Event::RollingBack { why, .. } => {
                turned[index] = true;
                end.why = Some(why.clone());
            }
            crate::engine::Event::CuttingOff { .. } => turned[index] = true,
            crate::engine::Event::Finished { outcome, why, .. } => {
                if *outcome == Outcome::RolledBack {
                    end.dark = dark_from.map(|from| entry.at.since(from));
                }
                end.outcome = Some(*outcome);
                end.why = why.clone().or(end.why.take());
                end.took = started.map(|from| entry.at.since(from));
            }
            _ => {}
        }
    }
    debug_assert!(
        ends.iter().zip(&engine.progress().tracks).all(|(e, t)| (e.0.outcome.is_some()) == matches!(t.phase, Phase::Finished(_)))
    );
    ends.into_iter().map(|(end, ..)| end).collect()
}
