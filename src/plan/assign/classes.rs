//! Nodes that every rule sees alike, and what may be paired with what.

use super::flow::{self, Cost, Demand, Limit, Supply};
use super::wanted::{Failures, Wanted};
use super::{LeftOut, Pair, PoolUse};
use crate::diagnostic::Diagnostic;
use crate::model::*;
use crate::plan::candidates::LeftOutCode;
use crate::runbook::{Expression, Judge, Judgement, Runbook};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes of one class, by name.
struct Class<'a> {
    nodes: Vec<&'a Node>,
    /// Priority; for spares 0.
    group: i64,
}

/// What is known of a class of sources against a class of spares.
struct Fit {
    spare: usize,
    pool: usize,
    cost: Cost,
    judgement: Judgement,
}

pub(super) struct Classes<'a, 'j> {
    runbook: &'a Runbook,
    judge: &'j Judge<'a>,
    sources: Vec<Class<'a>>,
    spares: Vec<Class<'a>>,
    class_of: BTreeMap<NodeId, usize>,
    /// By source class, the cheapest first.
    fits: Vec<Vec<Fit>>,
    /// By pool, the spare classes that could serve in it.
    members: Vec<BTreeSet<usize>>,
}

fn group<'a>(nodes: impl Iterator<Item = (&'a Node, i64, String)>) -> Vec<Class<'a>> {
    let mut classes: Vec<Class> = Vec::new();
    let mut by_signature: BTreeMap<(i64, String), usize> = BTreeMap::new();
    for (node, group, signature) in nodes {
        let at = *by_signature.entry((group, signature)).or_insert_with(|| {
            classes.push(Class { nodes: Vec::new(), group });
            classes.len() - 1
        });
        classes[at].nodes.push(node);
    }
    classes
}

impl<'a, 'j> Classes<'a, 'j> {
    /// `sources` by priority and name, `spares` by name.
    pub(super) fn new(
        runbook: &'a Runbook,
        judge: &'j Judge<'a>,
        sources: &[Wanted<'a>],
        spares: &[&'a Node],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Classes<'a, 'j> {
        let selects: Vec<&Expression> = runbook.pools.iter().map(|p| &p.select).collect();
        let sources = group(sources.iter().map(|w| (w.node, w.group, judge.signature("source", w.node.id, &selects))));
        let spares = group(spares.iter().map(|n| {
            let signature = judge.signature("spare", n.id, &selects);
            (*n, 0, format!("{}|{signature}", n.provision_state))
        }));
        let class_of = sources.iter().enumerate().flat_map(|(at, class)| class.nodes.iter().map(move |n| (n.id, at))).collect();
        let members = vec![BTreeSet::new(); runbook.pools.len()];
        let mut classes = Classes { runbook, judge, sources, spares, class_of, fits: Vec::new(), members };
        classes.pair_up(diagnostics);
        classes
    }

    /// Judge each class of sources against each class of spares whose identical facts are the same; the others cannot
    /// match.
    fn pair_up(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let mut by_key: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, spare) in self.spares.iter().enumerate() {
            by_key.entry(self.judge.identical_key(spare.nodes[0].id)).or_default().push(at);
        }
        let mut failures: BTreeMap<String, Failures> = BTreeMap::new();
        for source in 0..self.sources.len() {
            let key = self.judge.identical_key(self.sources[source].nodes[0].id);
            let alike = if key.iter().all(Option::is_some) { by_key.get(&key) } else { None };
            let mut fits = Vec::new();
            for spare in alike.into_iter().flatten() {
                fits.extend(self.fit(source, *spare, &mut failures));
            }
            fits.sort_by_key(|f| (f.cost, f.spare));
            self.fits.push(fits);
        }
        failures.into_values().for_each(|f| f.tell(diagnostics));
    }

    fn fit(&mut self, source: usize, spare: usize, failures: &mut BTreeMap<String, Failures>) -> Option<Fit> {
        let (from, to) = (self.sources[source].nodes[0], self.spares[spare].nodes[0]);
        let who = format!("{}` and `{}", from.name, to.name);
        let judgement = self.judge.judge(from.id, to.id);
        let qualifies = judgement.qualifies();
        for message in &judgement.errors {
            let what = message.split(" cannot be evaluated").next().unwrap_or("match").to_owned();
            failures.entry(what).or_insert_with(|| Failures::new("match")).add(&who, message.clone());
        }
        let scope = self.judge.scope(from.id, to.id);
        let mut first = None;
        for (at, pool) in self.runbook.pools.iter().enumerate() {
            let Some(state) = pool.provision_states.iter().position(|s| *s == to.provision_state) else { continue };
            match pool.select.holds(&scope) {
                Ok(true) if qualifies => {
                    self.members[at].insert(spare);
                    first = first.or(Some((at, state)));
                }
                Ok(_) => {}
                Err(e) => {
                    let what = format!("pools.{}.select", pool.name);
                    failures.entry(what.clone()).or_insert_with(|| Failures::new(&what)).add(&who, e.to_string());
                }
            }
        }
        let (pool, state) = first?;
        let best: u64 = self.runbook.matching.prefer.iter().map(|p| u64::from(p.weight)).sum();
        let cost = flow::cost(pool, state, best.saturating_sub(judgement.weight));
        Some(Fit { spare, pool, cost, judgement })
    }

    /// The best assignment, by priority and name of the sources.
    pub(super) fn assign(&self) -> Vec<Pair> {
        let groups: BTreeSet<i64> = self.sources.iter().map(|c| c.group).collect();
        let place = |group: i64| groups.iter().position(|g| *g == group).unwrap_or(0);
        let demand = |(class, fits): (&Class, &Vec<Fit>)| Demand {
            count: class.nodes.len(),
            group: place(class.group),
            edges: fits.iter().map(|f| (f.spare, f.cost)).collect(),
        };
        let demands: Vec<Demand> = self.sources.iter().zip(&self.fits).map(demand).collect();
        let (supplies, limits) = self.limits();
        let answer = flow::solve(&demands, &supplies, &limits);
        self.deal(&answer)
    }

    /// From classes to nodes: both sides by name, the cheapest pairs first.
    fn deal(&self, answer: &[Vec<(usize, usize)>]) -> Vec<Pair> {
        let mut next = vec![0; self.spares.len()];
        let mut pairs = Vec::new();
        for ((class, fits), got) in self.sources.iter().zip(&self.fits).zip(answer) {
            let mut nodes = class.nodes.iter();
            for fit in fits {
                let units = got.iter().find(|(to, _)| *to == fit.spare).map_or(0, |(_, n)| *n);
                for source in nodes.by_ref().take(units) {
                    let destination = self.spares[fit.spare].nodes[next[fit.spare]];
                    next[fit.spare] += 1;
                    pairs.push(Pair {
                        source: source.id,
                        destination: destination.id,
                        pool: self.runbook.pools[fit.pool].name.clone(),
                        group: class.group,
                        preferred: fit.judgement.preferred.clone(),
                        identical: fit.judgement.identical,
                    });
                }
            }
        }
        pairs
    }

    /// `keep` as limits. A spare counts in every pool that it could serve in, whichever pool it is taken through: that is
    /// what "stay behind" promises. Pools that lie within each other, or apart, are exact. Of pools that overlap
    /// otherwise the later one holds back its last spares by name instead: never too few stay, perhaps one more than
    /// needed.
    fn limits(&self) -> (Vec<Supply>, Vec<Limit>) {
        let size = |set: &BTreeSet<usize>| set.iter().map(|s| self.spares[*s].nodes.len()).sum::<usize>();
        let mut supplies: Vec<Supply> = self.spares.iter().map(|c| Supply { count: c.nodes.len(), limit: None }).collect();
        let mut keeping: Vec<usize> = (0..self.members.len()).filter(|p| self.runbook.pools[*p].keep > 0).collect();
        // The smaller sets first, so that a set is met after all that lie within it.
        keeping.sort_by_key(|p| (self.members[*p].len(), *p));
        let mut nested: Vec<(usize, &BTreeSet<usize>)> = Vec::new();
        let mut limits: Vec<Limit> = Vec::new();
        for pool in keeping {
            let (set, keep) = (&self.members[pool], self.runbook.pools[pool].keep as usize);
            let apart_or_within = |(_, other): &(usize, &BTreeSet<usize>)| other.is_subset(set) || other.is_disjoint(set);
            if !nested.iter().all(apart_or_within) {
                hold_back(&mut supplies, set, keep);
                continue;
            }
            let id = limits.len();
            limits.push(Limit { capacity: size(set).saturating_sub(keep), parent: None });
            for (inner, _) in nested.iter().filter(|(_, other)| other.is_subset(set)) {
                limits[*inner].parent.get_or_insert(id);
            }
            for spare in set {
                supplies[*spare].limit.get_or_insert(id);
            }
            nested.push((id, set));
        }
        (supplies, limits)
    }

    pub(super) fn pools(&self, pairs: &[Pair]) -> Vec<PoolUse> {
        let count = |set: &BTreeSet<usize>| set.iter().map(|s| self.spares[*s].nodes.len()).sum();
        let pools = self.runbook.pools.iter().zip(&self.members);
        pools
            .map(|(pool, set)| PoolUse {
                name: pool.name.clone(),
                candidates: count(set),
                used: pairs.iter().filter(|p| p.pool == pool.name).count(),
                keep: pool.keep,
            })
            .collect()
    }

    /// Why these sources got no spare: what the nearest one misses, or that all were taken.
    pub(super) fn unmatched(&self, sources: &[&Wanted]) -> Vec<LeftOut> {
        let mut nearest: BTreeMap<usize, Option<(&Node, Judgement)>> = BTreeMap::new();
        let told = sources.iter().filter_map(|source| {
            let (class, name) = (*self.class_of.get(&source.node.id)?, &source.node.name);
            if !self.fits[class].is_empty() {
                return Some(source.left_out(LeftOutCode::SparesExhausted, self.exhausted(class, name)));
            }
            // Sources of one class miss the same: with many of them left out the search is made once.
            let text = match nearest.entry(class).or_insert_with(|| self.nearest(class)) {
                None => format!("no free spare is in any pool for `{name}`; `coldswap explain RUNBOOK {name}` shows each node"),
                Some((node, judgement)) => nearest_text(name, node, judgement),
            };
            Some(source.left_out(LeftOutCode::NoSpare, text))
        });
        told.collect()
    }

    fn exhausted(&self, class: usize, name: &str) -> String {
        let count: usize = self.fits[class].iter().map(|f| self.spares[f.spare].nodes.len()).sum();
        let spares = if count == 1 { "1 spare matches".to_owned() } else { format!("{count} spares match") };
        format!("{spares} `{name}`, but all are taken by other sources or must stay behind in their pool (`keep`)")
    }

    /// Of the free spares in its pools, the one that misses the fewest rules, then by the least, then by name.
    fn nearest(&self, class: usize) -> Option<(&'a Node, Judgement)> {
        let source = self.sources[class].nodes[0].id;
        let selected = |node: &&Node| {
            let scope = self.judge.scope(source, node.id);
            let mut pools = self.runbook.pools.iter().filter(|p| p.provision_states.contains(&node.provision_state));
            pools.any(|p| p.select.holds(&scope).unwrap_or(false))
        };
        let distance = |j: &Judgement| (j.misses().count(), j.misses().fold(0u64, |sum, f| sum.saturating_add(f.gap)));
        let free = self.spares.iter().map(|spare| spare.nodes[0]).filter(selected);
        free.map(|node| (node, self.judge.judge(source, node.id))).min_by_key(|(node, judgement)| (distance(judgement), node.name.clone()))
    }
}

fn hold_back(supplies: &mut [Supply], set: &BTreeSet<usize>, keep: usize) {
    let mut left = keep;
    for at in set.iter().rev() {
        let held = supplies[*at].count.min(left);
        supplies[*at].count -= held;
        left -= held;
    }
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
