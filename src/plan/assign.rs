//! Which spare takes over which source: everything that may be paired, then the best assignment of it all.
//!
//! Best means, in this order: most sources of the first priority group, then of the next; earlier pools; earlier
//! provision states; more preferences; names. What `keep` and `spread` ask for is kept in any case. Nodes that every rule sees alike are one class, so that the work follows
//! the number of kinds of hardware and places and not the number of machines.

mod bound;
mod classes;
mod deal;
mod flow;
mod grid;
mod spread;
mod wanted;

use super::candidates::{LeftOutCode, source_obstacles, spare_obstacles};
use super::holdings::Holdings;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::model::*;
use crate::runbook::{Judge, LeftOutPolicy, Runbook};
use classes::Classes;
use deal::Assigned;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spread::Spreads;
use std::collections::{BTreeMap, BTreeSet};
use wanted::{Wanted, wanted};

/// A source and the spare that takes over from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub source: NodeId,
    pub destination: NodeId,
    /// The pool that the spare comes from; `destinations` where the runbook names it.
    pub pool: String,
    /// Priority; the lowest goes first.
    pub group: i64,
    /// The preferences that hold.
    pub preferred: Vec<String>,
    /// How many facts are identical.
    pub identical: usize,
}

/// A source that is not switched over, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    pub node: NodeId,
    pub name: String,
    pub code: LeftOutCode,
    pub why: String,
    /// Named in `nodes`, not only selected.
    pub listed: bool,
}

/// What the plan takes from a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolUse {
    pub name: String,
    /// Spares that could serve at least one of the sources.
    pub candidates: usize,
    pub used: usize,
    /// Spares that must stay behind.
    pub keep: u32,
}

/// Who is switched over to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// By priority, then by the source's name.
    pub pairs: Vec<Pair>,
    /// By name.
    pub left_out: Vec<LeftOut>,
    /// In the order of the runbook.
    pub pools: Vec<PoolUse>,
    pub diagnostics: Diagnostics,
}

/// `did you mean ...?` for a node that is not there.
pub(super) fn suggest_node(fleet: &Fleet, name: &str) -> Option<String> {
    wanted::suggest(fleet, name)
}

/// The pool of a pair whose destination the runbook names.
pub const NAMED_POOL: &str = "destinations";

pub(super) fn error(code: &'static str, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic { code, severity: Severity::Error, message, span: None, hint }
}

/// Choose. `only` narrows the sources down, `exclude` keeps nodes out of both roles; names or uuids. Total and
/// deterministic: names decide between equals, never ids or the order of the inventory.
pub fn choose(runbook: &Runbook, fleet: &Fleet, only: Option<&[String]>, exclude: &[String]) -> Choice {
    choose_with(runbook, fleet, &Holdings::of(fleet), only, exclude)
}

/// [`choose`], with what is known already of who has what.
pub(super) fn choose_with(runbook: &Runbook, fleet: &Fleet, holdings: &Holdings, only: Option<&[String]>, exclude: &[String]) -> Choice {
    let mut diagnostics = Vec::new();
    let judge = Judge::new(&runbook.matching, fleet, &runbook.vars);
    let excluded = named(fleet, exclude, "--exclude", &mut diagnostics);
    let only = only.map(|names| named(fleet, names, "--only", &mut diagnostics));
    let mut sources = wanted(runbook, fleet, &judge, &mut diagnostics);
    let all_sources: BTreeSet<NodeId> = sources.iter().map(|w| w.node.id).collect();
    sources.retain(|w| only.as_ref().is_none_or(|o| o.contains(&w.node.id)) && !excluded.contains(&w.node.id));

    let mut left_out = Vec::new();
    let mut able = Vec::new();
    let obstacles: Vec<_> = sources.par_iter().map(|s| source_obstacles(runbook, fleet, holdings, s.node).next()).collect();
    for (source, obstacle) in sources.into_iter().zip(obstacles) {
        match obstacle {
            Some(obstacle) => left_out.push(source.left_out(obstacle.code, obstacle.text)),
            None => able.push(source),
        }
    }
    let not_spare = |id: &NodeId| all_sources.contains(id) || excluded.contains(id);
    let free = |node: &Node| !not_spare(&node.id) && spare_obstacles(fleet, holdings, node).next().is_none();
    let mut spares: Vec<&Node> = fleet.nodes.par_iter().map(|(_, n)| n).filter(|n| free(n)).collect();
    spares.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));

    let mut pairs = pin(runbook, (fleet, holdings), &judge, &spares, &mut able, &mut left_out, &mut diagnostics);
    let taken: BTreeSet<NodeId> = pairs.iter().map(|p| p.destination).collect();
    spares.retain(|n| !taken.contains(&n.id));

    let spreads = Spreads::new(&runbook.matching.spread, fleet, holdings, &judge, &mut diagnostics);
    let mut classes = Classes::new(runbook, &judge, spreads, (&able, &spares), &mut diagnostics);
    let assigned = classes.assign();
    if !assigned.proven {
        diagnostics.push(unproven(&assigned));
    }
    let assigned = assigned.pairs;
    let matched: BTreeSet<NodeId> = assigned.iter().map(|p| p.source).collect();
    let unmatched: Vec<&Wanted> = able.iter().filter(|s| !matched.contains(&s.node.id)).collect();
    left_out.extend(classes.unmatched(&unmatched));
    let pools = classes.pools(&assigned);
    pairs.extend(assigned);
    pairs.sort_by_cached_key(|p| (p.group, fleet.nodes.get(&p.source).map(|n| n.name.clone()), p.source));
    left_out.sort_by(|a, b| (&a.name, a.node).cmp(&(&b.name, b.node)));
    refuse_left_out(runbook, &left_out, &mut diagnostics);
    Choice { pairs, left_out, pools, diagnostics: Diagnostics(diagnostics) }
}

/// Everything is kept, and whether another choice would have been better was not found out in the time.
fn unproven(assigned: &Assigned) -> Diagnostic {
    let (found, at_most) = (assigned.pairs.len(), assigned.at_most);
    let message = match at_most - found.min(at_most) {
        0 => "as many sources as possible have a spare, but better preferences may be had".to_owned(),
        more => format!("{found} sources have a spare; whether up to {more} more could have one is not known"),
    };
    let hint = "`match.spread` and pools with `keep` that overlap make it hard; fewer of them, or `--only`, make it easier".to_owned();
    Diagnostic { severity: Severity::Warning, ..error(codes::NOT_PROVEN, message, Some(hint)) }
}

fn named(fleet: &Fleet, names: &[String], option: &str, diagnostics: &mut Vec<Diagnostic>) -> BTreeSet<NodeId> {
    let known = names.iter().filter_map(|name| match fleet.find(name) {
        Some(node) => Some(node.id),
        None => {
            diagnostics.push(error(codes::NO_SUCH_NODE, format!("unknown node `{name}` in `{option}`"), suggest_node(fleet, name)));
            None
        }
    });
    known.collect()
}

/// The destinations that the runbook names, under the same checks as any spare. Each source that names one leaves
/// `able`, either into a pair or into `left_out`: another spare is not what was asked for.
fn pin(
    runbook: &Runbook,
    (fleet, holdings): (&Fleet, &Holdings),
    judge: &Judge,
    spares: &[&Node],
    able: &mut Vec<Wanted>,
    left_out: &mut Vec<LeftOut>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let free: BTreeSet<NodeId> = spares.iter().map(|s| s.id).collect();
    let mut takers: BTreeMap<NodeId, String> = BTreeMap::new();
    able.retain(|source| {
        let Some(destination) = source.destination else { return true };
        let name = &source.node.name;
        let (code, why) = match takers.get(&destination.id) {
            Some(other) => (
                LeftOutCode::DestinationTaken,
                format!("`{}` is the destination of `{other}` already; name another for `{name}`", destination.name),
            ),
            None => match judge_pinned(runbook, (fleet, holdings), judge, &free, source.node, destination) {
                Ok((preferred, identical)) => {
                    takers.insert(destination.id, name.clone());
                    let pool = NAMED_POOL.to_owned();
                    pairs.push(Pair {
                        source: source.node.id,
                        destination: destination.id,
                        pool,
                        group: source.group,
                        preferred,
                        identical,
                    });
                    return false;
                }
                Err((code, why, errors)) => {
                    diagnostics.extend(
                        errors
                            .into_iter()
                            .map(|e| error(codes::EXPRESSION_FAILED, format!("`{name}` to `{}`: {e}", destination.name), None)),
                    );
                    (code, why)
                }
            },
        };
        left_out.push(source.left_out(code, why));
        false
    });
    pairs
}

type Unfit = (LeftOutCode, String, Vec<String>);

fn judge_pinned(
    runbook: &Runbook,
    (fleet, holdings): (&Fleet, &Holdings),
    judge: &Judge,
    free: &BTreeSet<NodeId>,
    source: &Node,
    destination: &Node,
) -> Result<(Vec<String>, usize), Unfit> {
    let to = &destination.name;
    let unfit =
        |why: String| (LeftOutCode::DestinationUnfit, format!("`{to}`, named for `{}`, cannot take over: {why}", source.name), Vec::new());
    if !free.contains(&destination.id) {
        let mut obstacles = spare_obstacles(fleet, holdings, destination);
        return Err(unfit(obstacles.next().map_or("it is a source itself, or was excluded".to_owned(), |o| o.text)));
    }
    let states: BTreeSet<ProvisionState> = runbook.pools.iter().flat_map(|p| p.provision_states.iter().copied()).collect();
    let takes = if states.is_empty() {
        destination.provision_state.is_settled() && destination.provision_state != ProvisionState::Active
    } else {
        states.contains(&destination.provision_state)
    };
    if !takes {
        return Err(unfit(format!("its provision state is {}", destination.provision_state)));
    }
    let judgement = judge.judge(source.id, destination.id);
    if judgement.qualifies() && judgement.errors.is_empty() {
        return Ok((judgement.preferred, judgement.identical));
    }
    let misses: Vec<String> = judgement.misses().map(|f| format!("{}: {}", f.rule, f.text)).collect();
    let why = format!("`{to}`, named for `{}`, does not match: {}", source.name, misses.join("; "));
    Err((LeftOutCode::DestinationNotIdentical, why, judgement.errors))
}

/// Who could stand in for whom, whatever is preferred and whoever else needs it.
pub(super) struct Reach<'a> {
    /// Nodes that the rules see alike.
    pub sources: Vec<Vec<&'a Node>>,
    pub spares: Vec<Vec<&'a Node>>,
    /// By class of sources, the classes of spares that match.
    pub fits: Vec<Vec<usize>>,
    /// What of each class must be equal: classes with the same number are of the same hardware.
    pub source_keys: Vec<u32>,
    pub spare_keys: Vec<u32>,
    /// Carries something and could not be switched over, whatever spares there are.
    pub unable: Vec<LeftOut>,
    /// Carries nothing and is no spare, with the reason.
    pub unfit: Vec<(String, String)>,
    pub diagnostics: Vec<Diagnostic>,
}

/// All nodes that carry something, against all that are free, by the rules and pools of a runbook.
pub(super) fn reach<'a>(runbook: &'a Runbook, fleet: &'a Fleet) -> Reach<'a> {
    let mut diagnostics = Vec::new();
    let holdings = Holdings::of(fleet);
    let judge = Judge::new(&runbook.matching, fleet, &runbook.vars);
    let mut nodes: Vec<&Node> = fleet.nodes.values().collect();
    nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let (mut sources, mut spares, mut unable, mut unfit) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for node in nodes {
        if node.instance.is_some() || !holdings.targets(node.id).is_empty() {
            let wanted = Wanted { node, listed: false, group: 0, destination: None };
            match source_obstacles(runbook, fleet, &holdings, node).next() {
                Some(obstacle) => unable.push(wanted.left_out(obstacle.code, obstacle.text)),
                None => sources.push(wanted),
            }
            continue;
        }
        match spare_obstacles(fleet, &holdings, node).next() {
            Some(obstacle) => unfit.push((node.name.clone(), obstacle.text)),
            None if !judge.sound(node.id) => {
                unfit.push((node.name.clone(), "its hardware is unknown, or it reports itself critical".into()))
            }
            None => spares.push(node),
        }
    }
    let classes = Classes::new(runbook, &judge, Spreads::default(), (&sources, &spares), &mut diagnostics);
    let fits = classes.problem.demands.iter().map(|d| d.lanes.iter().flat_map(|l| &l.edges).map(|e| e.supply as usize).collect());
    Reach {
        fits: fits.collect(),
        source_keys: classes.sources.iter().map(|c| c.key).collect(),
        spare_keys: classes.spares.iter().map(|c| c.key).collect(),
        sources: classes.sources.into_iter().map(|c| c.nodes).collect(),
        spares: classes.spares.into_iter().map(|c| c.nodes).collect(),
        unable,
        unfit,
        diagnostics,
    }
}

/// The most that can be served, by class of sources: counts of sources, what fits, counts of spares.
pub(super) fn most(counts: &[usize], fits: &[Vec<usize>], spares: &[usize]) -> Vec<usize> {
    let lane = |(count, fits): (&usize, &Vec<usize>)| flow::Lane {
        capacity: *count,
        edges: fits.iter().map(|to| flow::Edge { rank: 0, supply: *to as u32 }).collect(),
    };
    let demand = |(count, fits): (&usize, &Vec<usize>)| flow::Demand { count: *count, group: 0, lanes: vec![lane((count, fits))] };
    let problem = flow::Problem {
        costs: vec![0],
        demands: counts.iter().zip(fits).map(demand).collect(),
        supplies: spares.iter().map(|count| flow::Supply { count: *count, limit: None }).collect(),
        limits: Vec::new(),
    };
    let answer = problem.solve(&flow::Cuts::default());
    answer.iter().map(|given| given.iter().map(|g| g.units).sum()).collect()
}

/// A node that was listed and is left out is an error unless the runbook allows it.
fn refuse_left_out(runbook: &Runbook, left_out: &[LeftOut], diagnostics: &mut Vec<Diagnostic>) {
    let refused = |l: &&LeftOut| match runbook.sources.left_out {
        Some(LeftOutPolicy::Refuse) => true,
        Some(LeftOutPolicy::Allow) => false,
        None => l.listed,
    };
    for left in left_out.iter().filter(refused) {
        let hint = format!("take `{}` out of the sources, or write `left_out: allow` to plan without it", left.name);
        diagnostics.push(error(codes::CANNOT_SWITCH_OVER, format!("`{}` cannot be switched over: {}", left.name, left.why), Some(hint)));
    }
}
