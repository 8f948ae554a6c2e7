//! From classes to nodes: the best answer, who gets whom, and why somebody gets nobody.

use super::bound::{self, Outcome};
use super::classes::Classes;
use super::flow::{Answer, Cuts, Edge, Given};
use super::grid::Facet;
use super::wanted::Wanted;
use super::{LeftOut, NAMED_POOL, Pair, PoolUse};
use crate::model::*;
use crate::plan::candidates::LeftOutCode;
use crate::runbook::{Judgement, key_distance};
use std::collections::BTreeMap;

/// The assignment, and whether there is none better.
pub(super) struct Assigned {
    /// By priority and name of the sources.
    pub pairs: Vec<Pair>,
    pub proven: bool,
    /// So many sources could be served at most.
    pub at_most: usize,
}

impl<'a> Classes<'a, '_> {
    pub(super) fn assign(&mut self) -> Assigned {
        let outcome = bound::best(&self.problem, &|answer, cuts| self.mend(answer, cuts), || self.one_by_one());
        let Outcome { answer, proven, at_most } = outcome;
        let pairs = self.deal(&answer);
        Assigned { pairs, proven, at_most: at_most.0.iter().map(|n| n.0).sum() }
    }

    /// What would have to be different, one of these, where an answer breaks what does not fit into the flow.
    fn mend(&self, answer: &Answer, cuts: &Cuts) -> Vec<Cuts> {
        let mut used: BTreeMap<usize, usize> = BTreeMap::new();
        if !self.across.is_empty() {
            answer.iter().flatten().for_each(|g| *used.entry(g.edge.supply as usize).or_default() += g.units);
        }
        for (set, capacity) in &self.across {
            let of_set: Vec<(usize, usize)> = set.iter().filter_map(|s| used.get(s).map(|n| (*s, *n))).collect();
            if of_set.iter().map(|(_, n)| n).sum::<usize>() > *capacity {
                let fewer = |(supply, n): (usize, usize)| Cuts { supplies: with(&cuts.supplies, supply, n - 1), ..cuts.clone() };
                return of_set.into_iter().map(fewer).collect();
            }
        }
        let Some((rule, pairs)) = self.spreads.broken(answer, &self.bounds, &self.domains) else { return Vec::new() };
        if rule > 0 {
            let without = |(demand, given): (usize, Given)| {
                let mut next = cuts.clone();
                next.pairs.insert((demand, given.edge.supply));
                next
            };
            return pairs.into_iter().map(without).collect();
        }
        let mut coming: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (demand, given) in pairs {
            let lanes = &self.problem.demands[demand].lanes;
            // Lanes are short lists of sorted edges, and all of these pairs lie in the same lane of their demand.
            if let Some(lane) = lanes.iter().position(|l| l.edges.binary_search(&given.edge).is_ok()) {
                *coming.entry((demand, lane)).or_default() += given.units;
            }
        }
        coming.into_iter().map(|(at, n)| Cuts { lanes: with(&cuts.lanes, at, n - 1), ..cuts.clone() }).collect()
    }

    /// Each source in its turn takes the cheapest spare that nothing forbids: not the best, but an answer.
    fn one_by_one(&self) -> Answer {
        let problem = &self.problem;
        let mut left: Vec<usize> = problem.supplies.iter().map(|s| s.count).collect();
        let mut limits: Vec<usize> = problem.limits.iter().map(|l| l.capacity).collect();
        let mut across: Vec<usize> = self.across.iter().map(|(_, capacity)| *capacity).collect();
        let mut came: BTreeMap<(usize, u32, u32), usize> = BTreeMap::new();
        let mut answer: Answer = vec![Vec::new(); problem.demands.len()];
        let mut order: Vec<usize> = (0..problem.demands.len()).collect();
        order.sort_by_key(|d| problem.demands[*d].group);
        for demand in order {
            let mut edges: Vec<Edge> = problem.demands[demand].lanes.iter().flat_map(|l| l.edges.iter().copied()).collect();
            edges.sort_unstable();
            for _ in 0..problem.demands[demand].count {
                let above = |supply: usize| std::iter::successors(problem.supplies[supply].limit, |l| problem.limits[*l].parent);
                let places = |supply: usize| {
                    let rules = self.bounds[demand].iter().enumerate();
                    rules.filter_map(move |(rule, bound)| {
                        let (bound, domain) = ((*bound)?, self.domains[supply][rule]);
                        Some(((rule, bound.group, domain.unwrap_or(u32::MAX)), self.spreads.room(rule, bound, domain)))
                    })
                };
                let fits = |edge: &&Edge| {
                    let supply = edge.supply as usize;
                    left[supply] > 0
                        && above(supply).all(|l| limits[l] > 0)
                        && self.across.iter().zip(&across).all(|((set, _), n)| *n > 0 || set.binary_search(&supply).is_err())
                        && places(supply).all(|(place, room)| room == usize::MAX || came.get(&place).copied().unwrap_or(0) < room)
                };
                let Some(edge) = edges.iter().find(fits).copied() else { break };
                let supply = edge.supply as usize;
                left[supply] -= 1;
                above(supply).for_each(|l| limits[l] -= 1);
                for ((set, _), n) in self.across.iter().zip(&mut across) {
                    *n -= usize::from(set.binary_search(&supply).is_ok());
                }
                for (place, room) in places(supply) {
                    *came.entry(place).or_default() += usize::from(room != usize::MAX);
                }
                match answer[demand].iter_mut().find(|g| g.edge == edge) {
                    Some(given) => given.units += 1,
                    None => answer[demand].push(Given { edge, units: 1 }),
                }
            }
        }
        answer
    }

    /// Both sides by name, the cheapest pairs first.
    fn deal(&mut self, answer: &Answer) -> Vec<Pair> {
        let Classes { runbook, judge, sources, spares, facets, ranks, .. } = self;
        let rules = runbook.matching.require.len();
        let mut next = vec![0; spares.len()];
        let mut pairs = Vec::new();
        // What is identical follows from the values that must be.
        let mut identical: BTreeMap<u32, usize> = BTreeMap::new();
        for (class, given) in sources.iter().zip(answer) {
            let mut nodes = class.nodes.iter();
            for Given { edge, units } in given {
                let supply = edge.supply as usize;
                let spare = &spares[supply];
                let holds = |(n, _): &(usize, _)| facets[rules + n].holds(class.shows[rules + n], spare.shows[rules + n]).unwrap_or(false);
                let preferred = runbook.matching.prefer.iter().enumerate().filter(holds).map(|(_, p)| p.name.clone());
                let preferred: Vec<String> = preferred.collect();
                let judged = || judge.judge(class.nodes[0].id, spare.nodes[0].id).identical;
                let identical = *identical.entry(class.key).or_insert_with(judged);
                for source in nodes.by_ref().take(*units) {
                    let destination = spare.nodes[next[supply]];
                    next[supply] += 1;
                    pairs.push(Pair {
                        source: source.id,
                        destination: destination.id,
                        pool: match class.named {
                            Some(_) => NAMED_POOL.to_owned(),
                            None => runbook.pools[ranks[edge.rank as usize].0].name.clone(),
                        },
                        group: class.group,
                        preferred: preferred.clone(),
                        identical,
                    });
                }
            }
        }
        pairs
    }

    pub(super) fn pools(&self, pairs: &[Pair]) -> Vec<PoolUse> {
        let count = |set: &[bool]| set.iter().zip(&self.spares).filter(|(is, _)| **is).map(|(_, c)| c.nodes.len()).sum();
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        pairs.iter().for_each(|p| *used.entry(&p.pool).or_default() += 1);
        let pools = self.runbook.pools.iter().zip(&self.members);
        pools
            .map(|(pool, set)| PoolUse {
                name: pool.name.clone(),
                candidates: count(set),
                used: used.get(pool.name.as_str()).copied().unwrap_or(0),
                keep: pool.keep,
            })
            .collect()
    }

    /// Why these sources got no spare: what the nearest one misses, or that all were taken.
    pub(super) fn unmatched(&mut self, sources: &[&Wanted]) -> Vec<LeftOut> {
        // Sources that show the same miss the same: with many of them left out the search is made once.
        type Nearest<'n> = Option<(&'n Node, Judgement)>;
        let mut nearest: BTreeMap<(u32, Vec<u32>), Nearest<'a>> = BTreeMap::new();
        let mut told = Vec::with_capacity(sources.len());
        for source in sources {
            let (Some(class), name) = (self.class_of.get(&source.node.id).copied(), &source.node.name) else { continue };
            if let Some(destination) = source.destination {
                told.push(source.left_out(LeftOutCode::DestinationUnfit, held_back(name, &destination.name)));
                continue;
            }
            let count: usize =
                self.problem.demands[class].lanes.iter().flat_map(|l| &l.edges).map(|e| self.spares[e.supply as usize].nodes.len()).sum();
            if count > 0 {
                told.push(source.left_out(LeftOutCode::SparesExhausted, exhausted(count, name, self.spreads.len() > 0)));
                continue;
            }
            let kind = (self.sources[class].key, self.sources[class].shows.clone());
            let text = match nearest.entry(kind).or_insert_with(|| self.nearest(class)) {
                None => format!("no free spare is in any pool for `{name}`; `coldswap explain RUNBOOK {name}` shows each node"),
                Some((node, judgement)) if judgement.qualifies() => {
                    format!("`{}` matches `{name}`, but `match.spread` lets nothing more come to where it stands", node.name)
                }
                Some((node, judgement)) => nearest_text(name, node, judgement),
            };
            told.push(source.left_out(LeftOutCode::NoSpare, text));
        }
        told
    }

    /// Of the free spares in its pools, the one that misses the fewest rules, then by the least, then by name.
    fn nearest(&mut self, class: usize) -> Option<(&'a Node, Judgement)> {
        let (rules, preferences) = (self.runbook.matching.require.len(), self.runbook.matching.prefer.len());
        let from = (self.sources[class].key, self.sources[class].shows.clone());
        let mut distances: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
        let mut best: Option<((usize, u64), usize)> = None;
        for at in 0..self.spares.len() {
            let spare = &self.spares[at];
            let (node, shows) = (spare.nodes[0], spare.shows.clone());
            let states = |pool: usize| self.runbook.pools[pool].provision_states.contains(&node.provision_state);
            let pools: Vec<usize> = (0..self.runbook.pools.len()).filter(|p| states(*p)).collect();
            let asks = |n: usize, facets: &mut [Facet]| facets[n].holds(from.1[n], shows[n]).unwrap_or(false);
            if !pools.into_iter().any(|p| asks(rules + preferences + p, &mut self.facets)) {
                continue;
            }
            let key = spare.key;
            let (mut misses, mut gap) =
                *distances.entry(key).or_insert_with(|| key_distance(&self.keys[from.0 as usize], &self.keys[key as usize]));
            misses += usize::from(!self.judge.sound(node.id));
            for (n, shown) in shows.iter().enumerate().take(rules) {
                if !asks(n, &mut self.facets) {
                    misses += 1;
                    gap = gap.saturating_add(self.facets[n].gap(from.1[n], *shown));
                }
            }
            // Spares come by name, so that the first of equals stays.
            if best.is_none_or(|(known, _)| (misses, gap) < known) {
                best = Some(((misses, gap), at));
            }
        }
        let (_, at) = best?;
        let node = self.spares[at].nodes[0];
        Some((node, self.judge.judge(self.sources[class].nodes[0].id, node.id)))
    }
}

fn with<K: Ord + Clone>(cuts: &BTreeMap<K, usize>, at: K, capacity: usize) -> BTreeMap<K, usize> {
    let mut next = cuts.clone();
    next.insert(at, capacity);
    next
}

fn held_back(name: &str, destination: &str) -> String {
    format!(
        "`{destination}`, named for `{name}`, matches it, but must stay behind in its pool (`keep`), or too many would come together where \
         it stands (`match.spread`)"
    )
}

fn exhausted(count: usize, name: &str, spread: bool) -> String {
    let spares = if count == 1 { "1 spare matches".to_owned() } else { format!("{count} spares match") };
    let near = if spread { ", or too many would come together (`match.spread`)" } else { "" };
    format!("{spares} `{name}`, but all are taken by other sources or must stay behind in their pool (`keep`){near}")
}

/// `no spare has 524288 MiB of memory (nearest: spare-09, 393216)`.
fn nearest_text(source: &str, nearest: &Node, judgement: &Judgement) -> String {
    let misses: Vec<_> = judgement.misses().collect();
    if let [one] = misses[..]
        && let (Some(fact), Some(need)) = (one.rule.strip_prefix("identical "), &one.source)
    {
        let what = match fact {
            "memory_mib" => format!("{need} MiB of memory"),
            _ => format!("{fact} `{need}`"),
        };
        return format!("no spare has {what} (nearest: {}, {})", nearest.name, one.spare.as_deref().unwrap_or("unknown"));
    }
    let missed: Vec<String> = misses.iter().map(|f| format!("{}: {}", f.rule, f.text)).collect();
    let rules = judgement.findings.len();
    format!(
        "no spare matches `{}` (nearest: {}, which misses {} of {rules} rules: {})",
        source,
        nearest.name,
        missed.len(),
        missed.join("; ")
    )
}
