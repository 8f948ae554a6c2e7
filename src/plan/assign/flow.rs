//! The exact assignment: minimum cost flow by successive shortest paths with potentials (Edmonds and Karp 1972; Ahuja,
//! Magnanti and Orlin, "Network Flows", 9.7), over classes of interchangeable nodes.
//!
//! Groups are served one after the other. Who once has a spare keeps having one while later groups are served (an
//! augmenting path leaves every matched source matched), so the better group gets as many as it can, and by the
//! exchange property of matchings the next still gets as many as could be had with any choice for the first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one pair costs; lower is better, never negative. Compared first by pool, then by provision state, then by what
/// is missing of the preference weights. Packed so that sums over a million pairs keep the three apart.
pub(super) type Cost = i128;

pub(super) fn cost(pool: usize, state: usize, missing_weight: u64) -> Cost {
    (pool as Cost) << 90 | (state as Cost) << 64 | Cost::from(missing_weight.min(1 << 42))
}

/// Interchangeable sources.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub count: usize,
    /// Position of the priority group, best first.
    pub group: usize,
    /// Spare classes that can serve, with what each pair costs.
    pub edges: Vec<(usize, Cost)>,
}

/// Interchangeable spares.
#[derive(Clone, Debug)]
pub(super) struct Supply {
    pub count: usize,
    pub limit: Option<usize>,
}

/// At most so many of all the spares below it may be used.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub capacity: usize,
    pub parent: Option<usize>,
}

struct Edge {
    to: usize,
    left: usize,
    cost: Cost,
}

/// Node numbers are in the order in which equals are taken from the heap: the sink, limits, supplies, demands. So a
/// search ends at the first free spare instead of looking at every source that is as near.
struct Graph {
    edges: Vec<Edge>,
    /// Edge numbers by node; edge `e` and `e ^ 1` are each other's reverse.
    out: Vec<Vec<usize>>,
    potential: Vec<Cost>,
}

const SINK: usize = 0;

impl Graph {
    fn connect(&mut self, from: usize, to: usize, capacity: usize, cost: Cost) -> usize {
        let id = self.edges.len();
        self.edges.push(Edge { to, left: capacity, cost });
        self.edges.push(Edge { to: from, left: 0, cost: -cost });
        self.out[from].push(id);
        self.out[to].push(id + 1);
        id
    }

    /// The cheapest way from any of `starts` to the sink, as edges from the sink backwards, with its start.
    fn shortest(&mut self, starts: &[usize]) -> Option<(usize, Vec<usize>)> {
        let mut best: Vec<Option<(Cost, Option<usize>)>> = vec![None; self.out.len()];
        let mut heap = BinaryHeap::new();
        // As if one node led to all starts at no cost: its potential is whatever keeps each first step from being negative.
        let base = starts.iter().map(|s| self.potential[*s]).max()?;
        for start in starts {
            let distance = base - self.potential[*start];
            best[*start] = Some((distance, None));
            heap.push(Reverse((distance, *start)));
        }
        let mut settled = Vec::new();
        let mut done = vec![false; self.out.len()];
        while let Some(Reverse((distance, node))) = heap.pop() {
            if std::mem::replace(&mut done[node], true) {
                continue;
            }
            if node == SINK {
                settled.iter().for_each(|(n, d)| self.potential[*n] += d - distance);
                return Some(self.trace(&best));
            }
            settled.push((node, distance));
            for id in &self.out[node] {
                let edge = &self.edges[*id];
                if edge.left == 0 || done[edge.to] {
                    continue;
                }
                let next = distance + edge.cost + self.potential[node] - self.potential[edge.to];
                debug_assert!(next >= distance, "potentials keep reduced costs from being negative");
                if best[edge.to].is_none_or(|(known, _)| next < known) {
                    best[edge.to] = Some((next, Some(*id)));
                    heap.push(Reverse((next, edge.to)));
                }
            }
        }
        None
    }

    fn trace(&self, best: &[Option<(Cost, Option<usize>)>]) -> (usize, Vec<usize>) {
        let (mut node, mut path) = (SINK, Vec::new());
        while let Some((_, Some(id))) = best[node] {
            path.push(id);
            node = self.edges[id ^ 1].to;
        }
        (node, path)
    }
}

/// For each demand, how many it gets of which supply. Most for the first group, then for the next, and so on; of all
/// such assignments one of least cost. The same problem always gives the same answer.
pub(super) fn solve(demands: &[Demand], supplies: &[Supply], limits: &[Limit]) -> Vec<Vec<(usize, usize)>> {
    let (limit_at, supply_at) = (1, 1 + limits.len());
    let demand_at = supply_at + supplies.len();
    let nodes = demand_at + demands.len();
    let mut graph = Graph { edges: Vec::new(), out: vec![Vec::new(); nodes], potential: vec![0; nodes] };
    for (n, limit) in limits.iter().enumerate() {
        graph.connect(limit_at + n, limit.parent.map_or(SINK, |p| limit_at + p), limit.capacity, 0);
    }
    for (n, supply) in supplies.iter().enumerate() {
        graph.connect(supply_at + n, supply.limit.map_or(SINK, |l| limit_at + l), supply.count, 0);
    }
    let mut pairs = Vec::new();
    for (n, demand) in demands.iter().enumerate() {
        let edges = demand.edges.iter().map(|(to, cost)| (*to, graph.connect(demand_at + n, supply_at + to, demand.count, *cost)));
        pairs.push(edges.collect::<Vec<_>>());
    }
    let mut open: Vec<usize> = demands.iter().map(|d| d.count).collect();
    let groups: std::collections::BTreeSet<usize> = demands.iter().map(|d| d.group).collect();
    for group in groups {
        let mut active: Vec<usize> = (0..demands.len()).filter(|n| demands[*n].group == group && open[*n] > 0).collect();
        while let Some((start, path)) = graph.shortest(&active.iter().map(|n| demand_at + n).collect::<Vec<_>>()) {
            let served = start - demand_at;
            let units = path.iter().map(|e| graph.edges[*e].left).min().unwrap_or(0).min(open[served]);
            for edge in path {
                graph.edges[edge].left -= units;
                graph.edges[edge ^ 1].left += units;
            }
            open[served] -= units;
            active.retain(|n| open[*n] > 0);
        }
    }
    let used = |edges: &Vec<(usize, usize)>| edges.iter().map(|(to, id)| (*to, graph.edges[id ^ 1].left)).filter(|(_, n)| *n > 0).collect();
    pairs.iter().map(used).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Worth = (Vec<Reverse<usize>>, Cost);

    /// All possibilities, one source after the other.
    struct Search<'p> {
        demands: &'p [Demand],
        supplies: &'p [Supply],
        limits: &'p [Limit],
        units: Vec<usize>,
        left: Vec<usize>,
        capacities: Vec<usize>,
        now: Worth,
        best: Worth,
    }

    impl Search<'_> {
        fn go(&mut self, at: usize) {
            let Some(demand) = self.units.get(at).map(|n| &self.demands[*n]) else {
                if self.now < self.best {
                    self.best = self.now.clone();
                }
                return;
            };
            self.go(at + 1);
            for (to, cost) in &demand.edges {
                let chain: Vec<usize> = std::iter::successors(self.supplies[*to].limit, |n| self.limits[*n].parent).collect();
                if self.left[*to] == 0 || chain.iter().any(|n| self.capacities[*n] == 0) {
                    continue;
                }
                self.left[*to] -= 1;
                chain.iter().for_each(|n| self.capacities[*n] -= 1);
                self.now.0[demand.group].0 += 1;
                self.now.1 += cost;
                self.go(at + 1);
                self.now.1 -= cost;
                self.now.0[demand.group].0 -= 1;
                chain.iter().for_each(|n| self.capacities[*n] += 1);
                self.left[*to] += 1;
            }
        }
    }

    /// Matched by group and cost, best over all possibilities.
    fn brute(demands: &[Demand], supplies: &[Supply], limits: &[Limit], groups: usize) -> Worth {
        let mut search = Search {
            demands,
            supplies,
            limits,
            units: demands.iter().enumerate().flat_map(|(n, d)| std::iter::repeat_n(n, d.count)).collect(),
            left: supplies.iter().map(|s| s.count).collect(),
            capacities: limits.iter().map(|l| l.capacity).collect(),
            now: (vec![Reverse(0); groups], 0),
            best: (vec![Reverse(0); groups], Cost::MAX),
        };
        search.go(0);
        search.best
    }

    fn value(demands: &[Demand], answer: &[Vec<(usize, usize)>], groups: usize) -> Worth {
        let mut value = (vec![Reverse(0); groups], 0);
        for (demand, got) in demands.iter().zip(answer) {
            for (to, n) in got {
                value.0[demand.group].0 += n;
                value.1 += demand.edges.iter().find(|(t, _)| t == to).map_or(0, |(_, c)| *c) * *n as Cost;
            }
        }
        value
    }

    fn check(demands: &[Demand], supplies: &[Supply], limits: &[Limit]) {
        let answer = solve(demands, supplies, limits);
        let mut used = vec![0; supplies.len()];
        let mut below = vec![0; limits.len()];
        for (demand, got) in demands.iter().zip(&answer) {
            assert!(got.iter().map(|(_, n)| n).sum::<usize>() <= demand.count);
            for (to, n) in got {
                used[*to] += n;
                std::iter::successors(supplies[*to].limit, |l| limits[*l].parent).for_each(|l| below[l] += n);
            }
        }
        assert!(used.iter().zip(supplies).all(|(n, s)| *n <= s.count));
        assert!(below.iter().zip(limits).all(|(n, l)| *n <= l.capacity));
        assert_eq!(value(demands, &answer, 3), brute(demands, supplies, limits, 3));
    }

    fn demand(supplies: usize) -> impl Strategy<Value = Demand> {
        let edges = prop::collection::btree_map(0..supplies, (0usize..3, 0usize..2, 0u64..4), 0..=supplies);
        (1usize..3, 0usize..3, edges).prop_map(|(count, group, edges)| Demand {
            count,
            group,
            edges: edges.into_iter().map(|(to, (p, s, w))| (to, cost(p, s, w))).collect(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Against all possibilities, with groups, counts and nested limits.
        #[test]
        fn nothing_better_exists(
            demands in prop::collection::vec(demand(4), 1..4),
            counts in prop::collection::vec((0usize..3, prop::option::of(0usize..3)), 4),
            capacities in prop::collection::vec(0usize..4, 3),
        ) {
            let supplies: Vec<Supply> = counts.into_iter().map(|(count, limit)| Supply { count, limit }).collect();
            let parents = [Some(2), None, None];
            let limits: Vec<Limit> = capacities.into_iter().zip(parents).map(|(capacity, parent)| Limit { capacity, parent }).collect();
            check(&demands, &supplies, &limits);
        }

        /// Against an independent solver on larger cases: one group, single nodes, a spare for everybody or nobody.
        #[test]
        fn an_independent_solver_agrees(rows in 1usize..12, extra in 0usize..8, seed in prop::collection::vec(prop::option::weighted(0.7, 0i64..1000), 12 * 20)) {
            let columns = rows + extra;
            let at = |r: usize, c: usize| seed[r * 20 + c];
            let demands: Vec<Demand> = (0..rows)
                .map(|r| Demand { count: 1, group: 0, edges: (0..columns).filter_map(|c| at(r, c).map(|w| (c, w as Cost))).collect() })
                .collect();
            let supplies = vec![Supply { count: 1, limit: None }; columns];
            let ours = value(&demands, &solve(&demands, &supplies, &[]), 1);
            // Forbidden pairs and one private way out a row, both far dearer than any assignment.
            const OUT: i64 = 1_000_000;
            let weights = pathfinding::matrix::Matrix::from_fn(rows, columns + rows, |(r, c)| if c < columns { at(r, c).unwrap_or(10 * OUT) } else { OUT });
            let (total, _) = pathfinding::kuhn_munkres::kuhn_munkres_min(&weights);
            let unmatched = total / OUT;
            prop_assert_eq!(ours.0[0].0 as i64, rows as i64 - unmatched);
            prop_assert_eq!(ours.1, Cost::from(total % OUT));
        }
    }

    #[test]
    fn an_earlier_pool_outweighs_any_state_and_any_preference() {
        assert!(cost(0, 3, u64::MAX) < cost(1, 0, 0));
        assert!(cost(0, 0, u64::MAX) < cost(0, 1, 0));
        assert!(cost(0, 1, 0) * 1_000_000 < cost(1, 0, 0), "sums of the lower parts do not reach the higher ones");
        assert!(cost(0, 0, 1 << 42) * 1_000_000 < cost(0, 1, 0));
    }

    #[test]
    fn a_thousand_against_two_thousand_single_nodes_is_quick() {
        let supplies = vec![Supply { count: 1, limit: None }; 600];
        let demands: Vec<Demand> = (0..300)
            .map(|r| Demand {
                count: 1,
                group: 0,
                edges: (0..600).filter(|c| (r * 7 + c * 13) % 10 < 7).map(|c| (c, cost(0, 0, ((r * c) % 97) as u64))).collect(),
            })
            .collect();
        let matched: usize = solve(&demands, &supplies, &[]).iter().map(Vec::len).sum();
        assert_eq!(matched, 300);
    }
}
