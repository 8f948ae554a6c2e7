//! The exact assignment: minimum cost flow by successive shortest paths with potentials (Edmonds and Karp 1972; Ahuja,
//! Magnanti and Orlin, "Network Flows", 9.7), over classes of interchangeable nodes.
//!
//! Sources are taken in one after the other. A source takes the cheapest way to a free spare, which may move others; where
//! there is none it may take the place of another of its group, if that is cheaper in all. So after each source the
//! assignment of those taken in so far is the best (Kuhn 1955), and who once has a spare keeps having one while later
//! groups are served: the better group gets as many as it can, and by the exchange property of matchings the next still
//! gets as many as could be had with any choice for the first.
//!
//! What keeps a search short: edges lie in the order of their cost and are looked at only when nothing nearer is left; and no
//! way through a later edge can be shorter than its cost less the source's potential, for potentials are never above
//! zero and those of free spares are zero.

mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

/// What one pair costs; lower is better, never negative. Compared first by pool, then by provision state, then by what
/// is missing of the preference weights. Packed so that sums over a million pairs keep the three apart.
pub(super) type Cost = i128;

pub(super) fn cost(pool: usize, state: usize, missing_weight: u64) -> Cost {
    (pool as Cost) << 90 | (state as Cost) << 64 | Cost::from(missing_weight.min(1 << 42))
}

/// A spare class that can serve, and what each pair costs: the position in [`Problem::costs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub rank: u32,
    pub supply: u32,
}

/// Interchangeable sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    pub count: usize,
    /// Position of the priority group, best first.
    pub group: usize,
    pub lanes: Vec<Lane>,
}

/// Some of the ways out of a demand, of which at most so many may be taken. No spare is in two lanes of one demand.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub capacity: usize,
    /// Ascending.
    pub edges: Vec<Edge>,
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

#[derive(Clone, Debug, Default)]
pub(super) struct Problem {
    /// Ascending.
    pub costs: Vec<Cost>,
    pub demands: Vec<Demand>,
    pub supplies: Vec<Supply>,
    pub limits: Vec<Limit>,
}

/// Tighter than the problem says, while the best of a harder problem is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    pub supplies: BTreeMap<usize, usize>,
    /// By demand and lane.
    pub lanes: BTreeMap<(usize, usize), usize>,
    /// Pairs of demand and supply that are not to be.
    pub pairs: BTreeSet<(usize, u32)>,
}

/// So many of a demand's sources get a spare of that class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Given {
    pub edge: Edge,
    pub units: usize,
}

/// By demand, the cheapest first.
pub(super) type Answer = Vec<Vec<Given>>;

/// What an answer is worth: how many of each group, best first; then the cost. The smaller, the better.
pub(super) type Worth = (Vec<std::cmp::Reverse<usize>>, Cost);

impl Problem {
    /// For each demand, how many it gets of which supply. Most for the first group, then for the next, and so on; of all
    /// such assignments one of least cost. The same problem always gives the same answer.
    pub(super) fn solve(&self, cuts: &Cuts) -> Answer {
        let mut search = search::Search::new(self, cuts);
        let groups: BTreeSet<usize> = self.demands.iter().map(|d| d.group).collect();
        for group in groups {
            for (at, demand) in self.demands.iter().enumerate().filter(|(_, d)| d.group == group) {
                let mut open = demand.count;
                while open > 0 {
                    let units = search.serve(at, open);
                    if units == 0 {
                        break;
                    }
                    open -= units;
                }
            }
        }
        search.answer()
    }

    pub(super) fn worth(&self, answer: &Answer) -> Worth {
        let groups = self.demands.iter().map(|d| d.group + 1).max().unwrap_or(0);
        let mut worth = (vec![std::cmp::Reverse(0); groups], 0);
        for (demand, given) in self.demands.iter().zip(answer) {
            for Given { edge, units } in given {
                worth.0[demand.group].0 += units;
                worth.1 += self.costs[edge.rank as usize] * *units as Cost;
            }
        }
        worth
    }
}
