//! Against all possibilities, and against an independent solver.

use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;

/// Demands by their count, group and lanes of (supply, cost).
type Written = (usize, usize, Vec<(usize, Vec<(usize, Cost)>)>);

fn problem(demands: &[Written], supplies: Vec<Supply>, limits: Vec<Limit>) -> Problem {
    let edges = demands.iter().flat_map(|d| &d.2).flat_map(|lane| &lane.1);
    let costs: Vec<Cost> = edges.map(|(_, cost)| *cost).collect::<BTreeSet<_>>().into_iter().collect();
    let edge = |(to, cost): &(usize, Cost)| Edge { rank: costs.binary_search(cost).expect("a cost") as u32, supply: *to as u32 };
    let lane = |(capacity, edges): &(usize, Vec<(usize, Cost)>)| {
        let mut edges: Vec<Edge> = edges.iter().map(edge).collect();
        edges.sort_unstable();
        Lane { capacity: *capacity, edges }
    };
    let demand = |(count, group, lanes): &Written| Demand { count: *count, group: *group, lanes: lanes.iter().map(lane).collect() };
    Problem { demands: demands.iter().map(demand).collect(), costs: costs.clone(), supplies, limits }
}

/// All possibilities, one source after the other.
struct Search<'p> {
    problem: &'p Problem,
    units: Vec<usize>,
    left: Vec<usize>,
    limits: Vec<usize>,
    lanes: Vec<Vec<usize>>,
    now: Worth,
    best: Worth,
}

impl Search<'_> {
    fn go(&mut self, at: usize) {
        let Some(demand) = self.units.get(at).copied() else {
            if self.now < self.best {
                self.best = self.now.clone();
            }
            return;
        };
        self.go(at + 1);
        let problem = self.problem;
        for (lane, ways) in problem.demands[demand].lanes.iter().enumerate() {
            for edge in &ways.edges {
                let to = edge.supply as usize;
                let chain: Vec<usize> = std::iter::successors(problem.supplies[to].limit, |n| problem.limits[*n].parent).collect();
                if self.left[to] == 0 || self.lanes[demand][lane] == 0 || chain.iter().any(|n| self.limits[*n] == 0) {
                    continue;
                }
                let (group, cost) = (problem.demands[demand].group, problem.costs[edge.rank as usize]);
                self.left[to] -= 1;
                self.lanes[demand][lane] -= 1;
                chain.iter().for_each(|n| self.limits[*n] -= 1);
                self.now.0[group].0 += 1;
                self.now.1 += cost;
                self.go(at + 1);
                self.now.1 -= cost;
                self.now.0[group].0 -= 1;
                chain.iter().for_each(|n| self.limits[*n] += 1);
                self.lanes[demand][lane] += 1;
                self.left[to] += 1;
            }
        }
    }
}

fn brute(problem: &Problem) -> Worth {
    let groups = problem.demands.iter().map(|d| d.group + 1).max().unwrap_or(0);
    let mut search = Search {
        problem,
        units: problem.demands.iter().enumerate().flat_map(|(n, d)| std::iter::repeat_n(n, d.count)).collect(),
        left: problem.supplies.iter().map(|s| s.count).collect(),
        limits: problem.limits.iter().map(|l| l.capacity).collect(),
        lanes: problem.demands.iter().map(|d| d.lanes.iter().map(|l| l.capacity).collect()).collect(),
        now: (vec![Reverse(0); groups], 0),
        best: (vec![Reverse(0); groups], Cost::MAX),
    };
    search.go(0);
    search.best
}

fn check(problem: &Problem) {
    let answer = problem.solve(&Cuts::default());
    let mut used = vec![0; problem.supplies.len()];
    let mut below = vec![0; problem.limits.len()];
    for (demand, given) in problem.demands.iter().zip(&answer) {
        assert!(given.iter().map(|g| g.units).sum::<usize>() <= demand.count);
        for lane in &demand.lanes {
            let through = given.iter().filter(|g| lane.edges.contains(&g.edge)).map(|g| g.units).sum::<usize>();
            assert!(through <= lane.capacity, "{answer:?}");
        }
        for g in given {
            let to = g.edge.supply as usize;
            used[to] += g.units;
            std::iter::successors(problem.supplies[to].limit, |l| problem.limits[*l].parent).for_each(|l| below[l] += g.units);
        }
    }
    assert!(used.iter().zip(&problem.supplies).all(|(n, s)| *n <= s.count));
    assert!(below.iter().zip(&problem.limits).all(|(n, l)| *n <= l.capacity));
    assert_eq!(problem.worth(&answer), brute(problem));
}

fn demand(supplies: usize) -> impl Strategy<Value = Written> {
    let edges = prop::collection::btree_map(0..supplies, (0usize..3, 0usize..2, 0u64..4), 0..=supplies);
    (1usize..3, 0usize..3, edges, 0usize..3, 0usize..3).prop_map(|(count, group, edges, first, second)| {
        let all: Vec<(usize, Cost)> = edges.into_iter().map(|(to, (p, s, w))| (to, cost(p, s, w))).collect();
        let (even, odd) = all.into_iter().partition(|(to, _)| to % 2 == 0);
        (count, group, vec![(first, even), (second, odd)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Against all possibilities, with groups, counts, lanes and nested limits.
    #[test]
    fn nothing_better_exists(
        demands in prop::collection::vec(demand(4), 1..4),
        counts in prop::collection::vec((0usize..3, prop::option::of(0usize..3)), 4),
        capacities in prop::collection::vec(0usize..4, 3),
    ) {
        let supplies: Vec<Supply> = counts.into_iter().map(|(count, limit)| Supply { count, limit }).collect();
        let parents = [Some(2), None, None];
        let limits: Vec<Limit> = capacities.into_iter().zip(parents).map(|(capacity, parent)| Limit { capacity, parent }).collect();
        check(&problem(&demands, supplies, limits));
    }

    /// Against an independent solver on larger cases: one group, single nodes, a spare for everybody or nobody.
    #[test]
    fn an_independent_solver_agrees(rows in 1usize..12, columns in 1usize..20, seed in prop::collection::vec(prop::option::weighted(0.7, 0i64..1000), 12 * 20)) {
        let at = |r: usize, c: usize| seed[r * 20 + c];
        let row = |r: usize| (1, 0, vec![(1, (0..columns).filter_map(|c| at(r, c).map(|w| (c, w as Cost))).collect())]);
        let demands: Vec<Written> = (0..rows).map(row).collect();
        let problem = problem(&demands, vec![Supply { count: 1, limit: None }; columns], Vec::new());
        let ours = problem.worth(&problem.solve(&Cuts::default()));
        // Forbidden pairs and one private way out a row, both far dearer than any assignment.
        const OUT: i64 = 1_000_000;
        let weights = pathfinding::matrix::Matrix::from_fn(rows, columns + rows, |(r, c)| if c < columns { at(r, c).unwrap_or(10 * OUT) } else { OUT });
        let (total, _) = pathfinding::kuhn_munkres::kuhn_munkres_min(&weights);
        prop_assert_eq!(ours.0[0].0 as i64, rows as i64 - total / OUT);
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
