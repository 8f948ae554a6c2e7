//! Nodes that every rule sees alike, and what may be paired with what.

use super::flow::{self, Demand, Edge, Lane, Limit, Problem, Supply};
use super::grid::{Answer, Facet, Numbers};
use super::spread::{Bound, Spreads};
use super::wanted::{Failures, Wanted};
use crate::diagnostic::Diagnostic;
use crate::model::*;
use crate::runbook::{Ask, Judge, Pool, Property, Runbook};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes of one class, by name.
pub(super) struct Class<'a> {
    pub nodes: Vec<&'a Node>,
    /// Priority; for spares 0.
    pub group: i64,
    /// The values that must be equal.
    pub key: u32,
    /// What they show to each question: rules, then preferences, then pools.
    pub shows: Vec<u32>,
    /// One node, and the one that the runbook names for it: of a source its destination, of a spare its source.
    pub named: Option<NodeId>,
}

/// What decides between pairs: pool, provision state, what is missing of the preferences' weights.
pub(super) type Rank = (usize, usize, u64);

/// What is named is wanted before everything that is chosen.
const NAMED: Rank = (0, 0, 0);

pub(super) struct Classes<'a, 'j> {
    pub runbook: &'a Runbook,
    pub judge: &'j Judge<'a>,
    pub sources: Vec<Class<'a>>,
    pub spares: Vec<Class<'a>>,
    pub keys: Vec<Vec<Option<Property>>>,
    pub facets: Vec<Facet<'a>>,
    pub class_of: BTreeMap<NodeId, usize>,
    pub problem: Problem,
    pub ranks: Vec<Rank>,
    /// By pool, whether each spare class could serve in it.
    pub members: Vec<Vec<bool>>,
    /// Sets of spare classes of which only so many may be used, and which lie across other such sets.
    pub across: Vec<(Vec<usize>, usize)>,
    pub spreads: Spreads<'a>,
    pub bounds: Vec<Vec<Option<Bound>>>,
    pub domains: Vec<Vec<Option<u32>>>,
}

/// Classes of spares of which the same facts are known, with what they show by question, and by pool the position of their
/// provision state.
#[derive(Default)]
struct Alike {
    spares: Vec<u32>,
    shows: Vec<Vec<u32>>,
    states: Vec<Vec<Option<usize>>>,
}

impl Alike {
    fn add(&mut self, at: u32, class: &Class, pools: &[Pool]) {
        self.spares.push(at);
        self.shows.resize(class.shows.len(), Vec::new());
        self.shows.iter_mut().zip(&class.shows).for_each(|(column, shown)| column.push(*shown));
        self.states.resize(pools.len(), Vec::new());
        for (column, pool) in self.states.iter_mut().zip(pools) {
            column.push(pool.provision_states.iter().position(|s| *s == class.nodes[0].provision_state));
        }
    }
}

/// Give edges, which lie by their supplies, the places of their ranks and put them in order by them. Where ranks are few,
/// counting them is faster than sorting.
fn put_in_order(edges: &mut Vec<Edge>, place: &[u32]) {
    edges.iter_mut().for_each(|e| e.rank = place[e.rank as usize]);
    if place.len() > edges.len() {
        edges.sort_unstable();
        return;
    }
    let mut starts = vec![0; place.len() + 1];
    edges.iter().for_each(|e| starts[e.rank as usize + 1] += 1);
    for rank in 0..place.len() {
        starts[rank + 1] += starts[rank];
    }
    let mut ordered = edges.clone();
    for edge in edges.iter() {
        let next = &mut starts[edge.rank as usize];
        ordered[*next] = *edge;
        *next += 1;
    }
    *edges = ordered;
}

fn facets(runbook: &Runbook) -> Vec<Facet<'_>> {
    let rules = runbook.matching.require.iter().map(|r| Ask::from(&r.rule));
    let preferences = runbook.matching.prefer.iter().map(|p| Ask::When(&p.when));
    let pools = runbook.pools.iter().map(|p| Ask::When(&p.select));
    rules.chain(preferences).chain(pools).map(Facet::new).collect()
}

impl<'a, 'j> Classes<'a, 'j> {
    /// `sources` by priority and name, `spares` by name.
    pub(super) fn new(
        runbook: &'a Runbook,
        judge: &'j Judge<'a>,
        mut spreads: Spreads<'a>,
        (sources, spares): (&[Wanted<'a>], &[&'a Node]),
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Classes<'a, 'j> {
        let mut facets = facets(runbook);
        let mut keys = Numbers::new();
        let mut see = |node: &Node, as_source: bool| {
            let key = keys.of(judge.identical_key(node.id));
            (key, facets.iter_mut().map(|f| f.number(judge, as_source, node.id)).collect::<Vec<u32>>())
        };
        let (mut from, mut bounds): (Vec<Class>, Vec<_>) = (Vec::new(), Vec::new());
        let (mut class_of, mut alike) = (BTreeMap::new(), BTreeMap::new());
        let mut named_for = BTreeMap::new();
        for wanted in sources {
            let (key, shows) = see(wanted.node, true);
            let bound = spreads.source(judge, wanted.node);
            let named = wanted.destination.map(|destination| destination.id);
            named_for.extend(named.map(|destination| (destination, wanted.node.id)));
            // With several rules at once a class is too coarse: its nodes may have to part.
            let parts = spreads.len() > 1 && bound.iter().any(Option::is_some);
            let alone = (parts || named.is_some()).then_some(wanted.node.id);
            let at = *alike.entry((wanted.group, key, shows.clone(), bound.clone(), alone)).or_insert_with(|| {
                from.push(Class { nodes: Vec::new(), group: wanted.group, key, shows, named });
                bounds.push(bound);
                from.len() - 1
            });
            from[at].nodes.push(wanted.node);
            class_of.insert(wanted.node.id, at);
        }
        let (mut to, mut domains): (Vec<Class>, Vec<_>) = (Vec::new(), Vec::new());
        let mut alike = BTreeMap::new();
        for node in spares {
            let ((key, shows), domain) = (see(node, false), spreads.spare(node));
            let named = named_for.get(&node.id).copied();
            let kind = (key, shows.clone(), domain.clone(), node.provision_state, judge.sound(node.id), named);
            let at = *alike.entry(kind).or_insert_with(|| {
                to.push(Class { nodes: Vec::new(), group: 0, key, shows, named });
                domains.push(domain);
                to.len() - 1
            });
            to[at].nodes.push(*node);
        }
        facets.iter_mut().for_each(|f| f.ready(from.len() * to.len()));
        let members = vec![vec![false; to.len()]; runbook.pools.len()];
        let (keys, problem) = (keys.seen, Problem::default());
        let mut classes = Classes {
            runbook,
            judge,
            sources: from,
            spares: to,
            keys,
            facets,
            class_of,
            problem,
            ranks: Vec::new(),
            members,
            across: Vec::new(),
            spreads,
            bounds,
            domains,
        };
        classes.pair_up(diagnostics);
        classes
    }

    /// Ask about each class of sources and each class of spares whose identical facts are the same; the others cannot
    /// match.
    fn pair_up(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let mut by_key: BTreeMap<u32, Alike> = BTreeMap::new();
        let free = |spare: &Class| spare.named.is_none() && self.judge.sound(spare.nodes[0].id);
        for (at, spare) in self.spares.iter().enumerate().filter(|(_, spare)| free(spare)) {
            by_key.entry(spare.key).or_default().add(at as u32, spare, &self.runbook.pools);
        }
        let mut failures: BTreeMap<String, Failures> = BTreeMap::new();
        let mut ranks: BTreeMap<Rank, u32> = BTreeMap::new();
        // There are few, and a look-up for each of millions of pairs would be most of the work.
        let mut recent: Vec<(Rank, u32)> = Vec::new();
        let mut found: Vec<Vec<Edge>> = Vec::with_capacity(self.sources.len());
        let mut costs = Vec::new();
        for source in 0..self.sources.len() {
            let key = self.sources[source].key;
            let complete = self.keys[key as usize].iter().all(Option::is_some);
            let alike = by_key.get(&key).filter(|_| complete);
            costs.clear();
            if let Some(alike) = alike {
                self.fit(source, alike, &mut costs, &mut failures);
            }
            // The others were asked all the same: who could serve it counts in its pool.
            if self.sources[source].named.is_some() {
                let next = ranks.len() as u32;
                let rank = *ranks.entry(NAMED).or_insert(next);
                found.push(self.named(source).map(|supply| Edge { rank, supply }).into_iter().collect());
                continue;
            }
            let Some(alike) = alike else {
                found.push(Vec::new());
                continue;
            };
            let mut edges = Vec::with_capacity(costs.iter().filter(|c| c.is_some()).count());
            for (supply, rank) in alike.spares.iter().zip(&costs).filter_map(|(supply, rank)| Some((*supply, (*rank)?))) {
                let next = ranks.len() as u32;
                let rank = match recent.iter().find(|(known, _)| *known == rank) {
                    Some((_, number)) => *number,
                    None => {
                        let number = *ranks.entry(rank).or_insert(next);
                        recent.truncate(15);
                        recent.insert(0, (rank, number));
                        number
                    }
                };
                edges.push(Edge { rank, supply });
            }
            found.push(edges);
        }
        failures.into_values().for_each(|f| f.tell(diagnostics));
        // Numbered as they were met until now; from here on by what they cost.
        let mut place = vec![0; ranks.len()];
        for (at, met) in ranks.values().enumerate() {
            place[*met as usize] = at as u32;
        }
        found.iter_mut().for_each(|edges| put_in_order(edges, &place));
        self.ranks = ranks.into_keys().collect();
        self.state(found);
    }

    /// The class of the spare that is named for this source, and of nobody else. It counts in every pool that it could serve
    /// in, as any other.
    fn named(&mut self, source: usize) -> Option<u32> {
        let from = &self.sources[source];
        let supply = self.spares.iter().position(|spare| spare.named == Some(from.nodes[0].id))?;
        let first = self.runbook.matching.require.len() + self.runbook.matching.prefer.len();
        let (spare, state) = (&self.spares[supply], self.spares[supply].nodes[0].provision_state);
        for (number, _) in self.runbook.pools.iter().enumerate().filter(|(_, pool)| pool.provision_states.contains(&state)) {
            let at = first + number;
            // What cannot be told is told with the other spares of the pool.
            self.members[number][supply] = self.facets[at].holds(from.shows[at], spare.shows[at]).unwrap_or(false);
        }
        u32::try_from(supply).ok()
    }

    /// What each pair of a source with these spares costs; none where it may not be.
    fn fit(&mut self, source: usize, alike: &Alike, costs: &mut Vec<Option<Rank>>, failures: &mut BTreeMap<String, Failures>) {
        let (runbook, matching) = (self.runbook, &self.runbook.matching);
        let Classes { sources, spares, facets, members, .. } = self;
        let (from, count) = (&sources[source], alike.spares.len());
        let (mut answers, mut errors) = (Vec::with_capacity(count), Vec::new());
        let mut wrong = |what: String, place: &str, at: usize, message: String| {
            let who = format!("{}` and `{}", from.nodes[0].name, spares[alike.spares[at] as usize].nodes[0].name);
            failures.entry(what).or_insert_with(|| Failures::new(place)).add(&who, message);
        };
        let mut asked = facets.iter_mut().zip(&from.shows).zip(&alike.shows);
        let mut next = |answers: &mut Vec<Answer>, errors: &mut Vec<_>| {
            if let Some(((facet, source), spares)) = asked.next() {
                facet.answers(*source, spares, answers, errors);
            }
        };
        let mut qualifies = vec![true; count];
        for rule in &matching.require {
            next(&mut answers, &mut errors);
            qualifies.iter_mut().zip(&answers).for_each(|(qualifies, answer)| *qualifies &= *answer == Answer::Yes);
            for (at, error) in errors.drain(..) {
                let what = format!("rule `{}`", rule.name);
                wrong(what.clone(), "match", at, format!("{what} cannot be evaluated: {error}"));
            }
        }
        let mut missing = vec![0u64; count];
        for preference in &matching.prefer {
            next(&mut answers, &mut errors);
            let weight = u64::from(preference.weight);
            missing.iter_mut().zip(&answers).for_each(|(missing, answer)| *missing += if *answer == Answer::No { weight } else { 0 });
            for (at, error) in errors.drain(..) {
                let what = format!("preference `{}`", preference.name);
                wrong(what.clone(), "match", at, format!("{what} cannot be evaluated: {error}"));
            }
        }
        costs.clear();
        costs.resize(count, None);
        for (number, pool) in runbook.pools.iter().enumerate() {
            next(&mut answers, &mut errors);
            let states = &alike.states[number];
            for at in (0..count).filter(|at| answers[*at] == Answer::Yes && qualifies[*at]) {
                if let Some(state) = states[at] {
                    members[number][alike.spares[at] as usize] = true;
                    costs[at] = costs[at].or(Some((number, state, missing[at])));
                }
            }
            for (at, error) in errors.drain(..).filter(|(at, _)| states[*at].is_some()) {
                let what = format!("pools.{}.select", pool.name);
                wrong(what.clone(), &what, at, error.to_string());
            }
        }
    }

    /// Write the problem down: who could get what, what must stay behind, and what may come where.
    fn state(&mut self, found: Vec<Vec<Edge>>) {
        let groups: BTreeSet<i64> = self.sources.iter().map(|c| c.group).collect();
        let place: BTreeMap<i64, usize> = groups.into_iter().enumerate().map(|(at, group)| (group, at)).collect();
        let demands = found.into_iter().enumerate().map(|(at, edges)| {
            let class = &self.sources[at];
            Demand { count: class.nodes.len(), group: place.get(&class.group).copied().unwrap_or(0), lanes: self.lanes(at, edges) }
        });
        let demands: Vec<Demand> = demands.collect();
        let (supplies, limits) = self.limits();
        let costs = self.ranks.iter().map(|(pool, state, missing)| flow::cost(*pool, *state, *missing)).collect();
        self.problem = Problem { costs, demands, supplies, limits };
    }

    /// One lane, or one for each domain where the first rule of `spread` speaks of the class.
    fn lanes(&self, source: usize, mut edges: Vec<Edge>) -> Vec<Lane> {
        let count = self.sources[source].nodes.len();
        let room = |rule: usize, bound: Bound, spare: u32| self.spreads.room(rule, bound, self.domains[spare as usize][rule]);
        for (rule, bound) in self.bounds[source].iter().enumerate() {
            if let Some(bound) = bound {
                edges.retain(|e| room(rule, *bound, e.supply) > 0);
            }
        }
        let Some(Some(bound)) = self.bounds[source].first() else { return vec![Lane { capacity: count, edges }] };
        let mut lanes: BTreeMap<Option<u32>, Lane> = BTreeMap::new();
        for edge in edges {
            let lane = lanes.entry(self.domains[edge.supply as usize][0]);
            let lane = lane.or_insert_with(|| Lane { capacity: count.min(room(0, *bound, edge.supply)), edges: Vec::new() });
            lane.edges.push(edge);
        }
        lanes.into_values().collect()
    }

    /// `keep` as limits. A spare counts in every pool that it could serve in, whichever pool it is taken through: that is
    /// what "stay behind" promises. Pools that lie within each other, or apart, are part of the flow; those that lie
    /// across others are kept apart.
    fn limits(&mut self) -> (Vec<Supply>, Vec<Limit>) {
        let sets: Vec<BTreeSet<usize>> =
            self.members.iter().map(|m| m.iter().enumerate().filter(|(_, is)| **is).map(|(at, _)| at).collect()).collect();
        let size = |set: &BTreeSet<usize>| set.iter().map(|s| self.spares[*s].nodes.len()).sum::<usize>();
        let mut supplies: Vec<Supply> = self.spares.iter().map(|c| Supply { count: c.nodes.len(), limit: None }).collect();
        let mut keeping: Vec<usize> = (0..sets.len()).filter(|p| self.runbook.pools[*p].keep > 0).collect();
        // The smaller sets first, so that a set is met after all that lie within it.
        keeping.sort_by_key(|p| (sets[*p].len(), *p));
        let mut nested: Vec<(usize, &BTreeSet<usize>)> = Vec::new();
        let mut limits: Vec<Limit> = Vec::new();
        let mut across = Vec::new();
        for pool in keeping {
            let set = &sets[pool];
            let capacity = size(set).saturating_sub(self.runbook.pools[pool].keep as usize);
            if !nested.iter().all(|(_, other)| other.is_subset(set) || other.is_disjoint(set)) {
                across.push((set.iter().copied().collect(), capacity));
                continue;
            }
            let id = limits.len();
            limits.push(Limit { capacity, parent: None });
            for (inner, _) in nested.iter().filter(|(_, other)| other.is_subset(set)) {
                limits[*inner].parent.get_or_insert(id);
            }
            for spare in set {
                supplies[*spare].limit.get_or_insert(id);
            }
            nested.push((id, set));
        }
        self.across = across;
        (supplies, limits)
    }
}
