//! One search after the other over the residual graph, which is never written out: its nodes are the sink, the limits, the
//! supplies, the lanes and the demands, in the order in which equals are taken from the heap. So a search ends at the first
//! free spare instead of looking at every source that is as near.

use super::{Answer, Cost, Cuts, Edge, Given, Problem};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SINK: usize = 0;

#[derive(Clone, Copy)]
enum Kind {
    Sink,
    Limit(usize),
    Supply(usize),
    Lane(usize),
    Demand(usize),
}

#[derive(Clone, Copy, Default)]
struct Place {
    potential: Cost,
    distance: Cost,
    /// The search that has seen it, and the one that is done with it.
    seen: u32,
    done: u32,
    before: u32,
    /// Of the edge by which a supply was reached.
    rank: u32,
}

#[derive(Clone, Copy)]
struct Taken {
    lane: usize,
    rank: u32,
    units: usize,
}

struct LaneState<'p> {
    demand: usize,
    left: usize,
    used: usize,
    edges: &'p [Edge],
}

pub(super) struct Search<'p> {
    problem: &'p Problem,
    cuts: &'p Cuts,
    places: Vec<Place>,
    lanes: Vec<LaneState<'p>>,
    /// Of each demand, the first of its lanes.
    first_lane: Vec<usize>,
    supply_left: Vec<usize>,
    taken: Vec<Vec<Taken>>,
    limit_left: Vec<usize>,
    limit_used: Vec<usize>,
    below: Vec<(Vec<usize>, Vec<usize>)>,
    /// What comes next: a place to be settled, or (with the position of an edge, plus one) the next edges of a lane.
    heap: BinaryHeap<Reverse<(Cost, u32, u32)>>,
    settled: Vec<u32>,
    number: u32,
}

impl<'p> Search<'p> {
    pub(super) fn new(problem: &'p Problem, cuts: &'p Cuts) -> Search<'p> {
        let mut lanes = Vec::new();
        let mut first_lane = Vec::new();
        for (demand, d) in problem.demands.iter().enumerate() {
            first_lane.push(lanes.len());
            for (at, lane) in d.lanes.iter().enumerate() {
                let cut = cuts.lanes.get(&(demand, at)).copied().unwrap_or(usize::MAX);
                lanes.push(LaneState { demand, left: lane.capacity.min(cut), used: 0, edges: &lane.edges });
            }
        }
        first_lane.push(lanes.len());
        let mut below = vec![(Vec::new(), Vec::new()); problem.limits.len()];
        for (at, supply) in problem.supplies.iter().enumerate() {
            if let Some(limit) = supply.limit {
                below[limit].0.push(at);
            }
        }
        for (at, limit) in problem.limits.iter().enumerate() {
            if let Some(parent) = limit.parent {
                below[parent].1.push(at);
            }
        }
        let cut = |at: usize, count: usize| cuts.supplies.get(&at).map_or(count, |cut| count.min(*cut));
        let nodes = 1 + problem.limits.len() + problem.supplies.len() + lanes.len() + problem.demands.len();
        Search {
            problem,
            cuts,
            places: vec![Place::default(); nodes],
            lanes,
            first_lane,
            supply_left: problem.supplies.iter().enumerate().map(|(at, s)| cut(at, s.count)).collect(),
            taken: vec![Vec::new(); problem.supplies.len()],
            limit_left: problem.limits.iter().map(|l| l.capacity).collect(),
            limit_used: vec![0; problem.limits.len()],
            below,
            heap: BinaryHeap::new(),
            settled: Vec::new(),
            number: 0,
        }
    }

    fn limit(&self, at: usize) -> usize {
        1 + at
    }

    fn supply(&self, at: usize) -> usize {
        1 + self.problem.limits.len() + at
    }

    fn lane(&self, at: usize) -> usize {
        self.supply(self.problem.supplies.len()) + at
    }

    fn demand(&self, at: usize) -> usize {
        self.lane(self.lanes.len()) + at
    }

    fn kind(&self, node: usize) -> Kind {
        match node {
            SINK => Kind::Sink,
            n if n < self.supply(0) => Kind::Limit(n - 1),
            n if n < self.lane(0) => Kind::Supply(n - self.supply(0)),
            n if n < self.demand(0) => Kind::Lane(n - self.lane(0)),
            n => Kind::Demand(n - self.demand(0)),
        }
    }

    fn up(&self, limit: Option<usize>) -> usize {
        limit.map_or(SINK, |l| self.limit(l))
    }

    /// May one more of all that is below a limit be used, as things are?
    fn open(&self, limit: usize) -> bool {
        std::iter::successors(Some(limit), |l| self.problem.limits[*l].parent).all(|l| self.limit_left[l] > 0)
    }

    /// May one more of it be used, as things are?
    fn free(&self, supply: usize) -> bool {
        self.supply_left[supply] > 0 && self.problem.supplies[supply].limit.is_none_or(|limit| self.open(limit))
    }

    /// Give spares to at most `wanted` sources of a demand, the cheapest way. 0: no way makes more of them, or the same
    /// number cheaper.
    pub(super) fn serve(&mut self, demand: usize, wanted: usize) -> usize {
        let start = self.demand(demand);
        let group = self.problem.demands[demand].group;
        self.number += 1;
        self.heap.clear();
        self.settled.clear();
        self.reach(start, start, 0, 0);
        let mut bound: Option<Cost> = None;
        let mut instead: Option<(Cost, usize)> = None;
        while let Some(Reverse((distance, node, edge))) = self.heap.pop() {
            let node = node as usize;
            if edge > 0 {
                self.next_ways(node, edge as usize - 1, distance, &mut bound);
                continue;
            }
            if self.places[node].done == self.number {
                continue;
            }
            self.places[node].done = self.number;
            self.settled.push(node as u32);
            match self.kind(node) {
                Kind::Sink => return self.push(start, SINK, wanted),
                Kind::Limit(at) => {
                    if self.limit_left[at] > 0 {
                        self.relax(node, self.up(self.problem.limits[at].parent), distance, 0, bound);
                    }
                    // The sink is no farther then, and nothing below is looked at before it.
                    if self.open(at) {
                        continue;
                    }
                    for n in 0..self.below[at].0.len() {
                        let supply = self.below[at].0[n];
                        if !self.taken[supply].is_empty() {
                            self.relax(node, self.supply(supply), distance, 0, bound);
                        }
                    }
                    for n in 0..self.below[at].1.len() {
                        let limit = self.below[at].1[n];
                        if self.limit_used[limit] > 0 {
                            self.relax(node, self.limit(limit), distance, 0, bound);
                        }
                    }
                }
                Kind::Supply(at) => {
                    if self.supply_left[at] > 0 {
                        self.relax(node, self.up(self.problem.supplies[at].limit), distance, 0, bound);
                    }
                    for n in 0..self.taken[at].len() {
                        let Taken { lane, rank, .. } = self.taken[at][n];
                        self.relax(node, self.lane(lane), distance, -self.problem.costs[rank as usize], bound);
                    }
                }
                Kind::Lane(at) => {
                    if self.lanes[at].used > 0 {
                        self.relax(node, self.demand(self.lanes[at].demand), distance, 0, bound);
                    }
                    self.announce(node, at, 0, bound);
                }
                Kind::Demand(at) => {
                    if node != start && self.problem.demands[at].group == group {
                        let change = distance + self.places[node].potential - self.places[start].potential;
                        instead = instead.min(Some((change, node))).or(Some((change, node)));
                    }
                    for lane in self.first_lane[at]..self.first_lane[at + 1] {
                        if self.lanes[lane].left > 0 {
                            self.relax(node, self.lane(lane), distance, 0, bound);
                        }
                    }
                }
            }
        }
        match instead {
            Some((change, node)) if change < 0 => self.push(start, node, wanted),
            _ => 0,
        }
    }

    /// Put the next edges of a lane among what is to come, no later than anything that they lead to.
    fn announce(&mut self, node: usize, lane: usize, at: usize, bound: Option<Cost>) {
        let Some(edge) = self.lanes[lane].edges.get(at) else { return };
        let Place { distance, potential, .. } = self.places[node];
        let lowest = distance + potential + self.problem.costs[edge.rank as usize];
        if bound.is_none_or(|b| lowest < b) {
            self.heap.push(Reverse((lowest, node as u32, at as u32 + 1)));
        }
    }

    /// All edges of a lane that cost as much as the one at `at`, which is `lowest` in all.
    fn next_ways(&mut self, node: usize, mut at: usize, lowest: Cost, bound: &mut Option<Cost>) {
        if bound.is_some_and(|b| lowest >= b) {
            return;
        }
        let Kind::Lane(lane) = self.kind(node) else { return };
        let LaneState { demand, edges, .. } = self.lanes[lane];
        let rank = edges[at].rank;
        while let Some(edge) = edges.get(at).filter(|e| e.rank == rank) {
            at += 1;
            let supply = edge.supply as usize;
            let to = self.supply(supply);
            if self.places[to].done == self.number || (!self.cuts.pairs.is_empty() && self.cuts.pairs.contains(&(demand, edge.supply))) {
                continue;
            }
            if self.reach(to, node, lowest - self.places[to].potential, rank) && self.free(supply) {
                *bound = Some(lowest);
                return;
            }
        }
        self.announce(node, lane, at, *bound);
    }

    fn relax(&mut self, from: usize, to: usize, distance: Cost, cost: Cost, bound: Option<Cost>) {
        let next = distance + cost + self.places[from].potential - self.places[to].potential;
        debug_assert!(self.places[to].done == self.number || next >= distance, "potentials keep reduced costs from being negative");
        if self.places[to].done != self.number && bound.is_none_or(|b| next <= b) {
            self.reach(to, from, next, 0);
        }
    }

    fn reach(&mut self, to: usize, from: usize, distance: Cost, rank: u32) -> bool {
        let place = &mut self.places[to];
        if place.seen == self.number && place.distance <= distance {
            return false;
        }
        *place = Place { seen: self.number, distance, before: from as u32, rank, ..*place };
        self.heap.push(Reverse((distance, to as u32, 0)));
        true
    }

    /// Send as much as fits along the way that was found to `end`, and keep reduced costs from being negative.
    fn push(&mut self, start: usize, end: usize, wanted: usize) -> usize {
        let whole = self.places[end].distance;
        for node in std::mem::take(&mut self.settled) {
            let place = &mut self.places[node as usize];
            place.potential += (place.distance - whole).min(0);
        }
        let mut way = vec![end];
        while way[way.len() - 1] != start {
            way.push(self.places[way[way.len() - 1]].before as usize);
        }
        way.reverse();
        let links: Vec<(usize, usize)> = way.windows(2).map(|w| (w[0], w[1])).collect();
        let units = links.iter().map(|(from, to)| self.room(*from, *to)).fold(wanted, usize::min);
        for (from, to) in links {
            self.send(from, to, units);
        }
        units
    }

    fn position(&self, supply: usize, lane: usize) -> Option<usize> {
        self.taken[supply].iter().position(|t| t.lane == lane)
    }

    fn room(&self, from: usize, to: usize) -> usize {
        match (self.kind(from), self.kind(to)) {
            (Kind::Demand(_), Kind::Lane(lane)) => self.lanes[lane].left,
            (Kind::Lane(lane), Kind::Demand(_)) => self.lanes[lane].used,
            (Kind::Supply(supply), Kind::Lane(lane)) => self.position(supply, lane).map_or(0, |at| self.taken[supply][at].units),
            (Kind::Supply(supply), _) => self.supply_left[supply],
            (Kind::Limit(_), Kind::Supply(supply)) => self.taken[supply].iter().map(|t| t.units).sum(),
            (Kind::Limit(limit), to) => match to {
                Kind::Limit(below) if self.problem.limits[below].parent == Some(limit) => self.limit_used[below],
                _ => self.limit_left[limit],
            },
            _ => usize::MAX,
        }
    }

    fn send(&mut self, from: usize, to: usize, units: usize) {
        match (self.kind(from), self.kind(to)) {
            (Kind::Demand(_), Kind::Lane(lane)) => {
                self.lanes[lane].left -= units;
                self.lanes[lane].used += units;
            }
            (Kind::Lane(lane), Kind::Demand(_)) => {
                self.lanes[lane].left += units;
                self.lanes[lane].used -= units;
            }
            (Kind::Lane(lane), Kind::Supply(supply)) => match self.position(supply, lane) {
                Some(at) => self.taken[supply][at].units += units,
                None => self.taken[supply].push(Taken { lane, rank: self.places[to].rank, units }),
            },
            (Kind::Supply(supply), Kind::Lane(lane)) => {
                if let Some(at) = self.position(supply, lane) {
                    self.taken[supply][at].units -= units;
                    if self.taken[supply][at].units == 0 {
                        self.taken[supply].swap_remove(at);
                    }
                }
            }
            (Kind::Supply(supply), _) => self.supply_left[supply] -= units,
            (Kind::Limit(_), Kind::Supply(supply)) => self.supply_left[supply] += units,
            (Kind::Limit(limit), to) => match to {
                Kind::Limit(below) if self.problem.limits[below].parent == Some(limit) => {
                    self.limit_left[below] += units;
                    self.limit_used[below] -= units;
                }
                _ => {
                    self.limit_left[limit] -= units;
                    self.limit_used[limit] += units;
                }
            },
            _ => {}
        }
    }

    pub(super) fn answer(self) -> Answer {
        let mut answer = vec![Vec::new(); self.problem.demands.len()];
        for (supply, taken) in self.taken.iter().enumerate() {
            for Taken { lane, rank, units } in taken {
                let edge = Edge { rank: *rank, supply: supply as u32 };
                answer[self.lanes[*lane].demand].push(Given { edge, units: *units });
            }
        }
        answer.iter_mut().for_each(|given: &mut Vec<Given>| given.sort_unstable());
        answer
    }
}
