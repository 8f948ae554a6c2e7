//! What has no formula is simulated: repairs that are lognormal, repairers with a queue, domains that are lost whole.
//!
//! Machines are dealt to domains like cards, so that spares stand among the nodes. A node that is lost calls for an
//! idle machine at once, any one; a machine that comes back runs where one is missing and else waits as a spare.
//! Failures are exponential, so the time to the next may be drawn anew after every event. Repairs are taken up in the
//! order of the failures. A lost domain comes back whole; a machine of it that was in repair stays there until both
//! are done.
//!
//! The run is cut into batches of equal time, long against a repair, whose means are as good as independent (batch
//! means; Law and Kelton, Simulation Modeling and Analysis). The first is thrown away: it starts with nothing broken.

use super::answer::{Estimate, Interval, Point};
use super::model::{Question, Repair, Standby, years};
use super::rng::Rng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Batches that count.
const BATCHES: usize = 30;
/// Student's t for 95% with one degree of freedom less than there are batches.
const T95: f64 = 2.045;
/// A batch lasts at least as many mean repairs.
const REPAIRS_PER_BATCH: f64 = 10.0;
/// Where an event was seen at no time, its mean number is below this 19 times in 20: e^-3 is 0.05.
const NONE_SEEN: f64 = 3.0;

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In `running`, at this position.
    Running(usize),
    Idle(usize),
    /// Broken: in repair or waiting for it.
    Broken,
    /// Whole, in a domain that is lost.
    Cut,
}

/// What is due at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Repaired(usize),
    Restored(usize),
}

/// Years as bits: for numbers that are not negative the order is the same.
type When = u64;

#[derive(Clone, Copy, Default)]
struct Batch {
    short: f64,
    lost: f64,
    found_none: f64,
}

struct World<'q> {
    question: &'q Question,
    rng: Rng,
    places: Vec<Place>,
    running: Vec<usize>,
    idle: Vec<usize>,
    waiting: VecDeque<usize>,
    in_repair: u32,
    due: BinaryHeap<Reverse<(When, Due)>>,
    /// Domains that stand.
    domains: Vec<usize>,
    /// By domain.
    stands: Vec<bool>,
    now: f64,
    batch: Batch,
}

/// Length of one batch: all of them together see about as many failures as were asked for.
fn batch_years(question: &Question) -> f64 {
    let together = question.domain.map_or(0.0, |d| d.rate.0);
    let lost_per_year = f64::from(question.nodes) * (question.failure_rate.0 + together);
    let longest = question.repair.mean_years().max(question.domain.map_or(0.0, |d| years(d.repair)));
    (question.simulation.failures as f64 / lost_per_year / BATCHES as f64).max(REPAIRS_PER_BATCH * longest)
}

/// The bounds that hold when nothing at all went wrong: of the time short, and of the failures that found no spare.
/// Nodes of one domain find none together.
fn bounds(question: &Question) -> (f64, f64) {
    let time = batch_years(question) * BATCHES as f64;
    let (size, rate) = question.domain.map_or((1.0, 0.0), |d| (f64::from(d.size.min(question.nodes)), d.rate.0));
    let lost = time * f64::from(question.nodes) * (question.failure_rate.0 + rate);
    let longest = question.repair.mean_years().max(question.domain.map_or(0.0, |d| years(d.repair)));
    (NONE_SEEN * longest / time, NONE_SEEN * size / lost)
}

pub(super) fn least_bound(question: &Question) -> f64 {
    let (time, lost) = bounds(question);
    time.max(lost)
}

/// Both answers for a number of spares, with intervals. The same question gives the same answer.
pub fn monte_carlo(question: &Question, spares: u32) -> Point {
    let mut world = World::new(question, spares);
    let length = batch_years(question);
    let mut batches = Vec::new();
    for n in 0..=BATCHES {
        world.batch = Batch::default();
        world.run_until(length * (n + 1) as f64);
        batches.push(world.batch);
    }
    let batches = &batches[1..];
    let (time_bound, lost_bound) = bounds(question);
    let lost: f64 = batches.iter().map(|b| b.lost).sum();
    Point::new(
        spares,
        estimate(batches.iter().map(|b| (b.short, length)), time_bound),
        estimate(batches.iter().map(|b| (b.found_none, b.lost)), lost_bound),
        lost / (length * BATCHES as f64),
    )
}

/// The ratio of the sums and its interval over the batches. `bound`: where the upper end is at least.
fn estimate(batches: impl Iterator<Item = (f64, f64)> + Clone, bound: f64) -> Estimate {
    let (part, whole) = batches.clone().fold((0.0, 0.0), |(p, w), (part, of)| (p + part, w + of));
    if whole <= 0.0 {
        return Estimate { value: 0.0, interval: Some(Interval { low: 0.0, high: 1.0 }) };
    }
    let value = part / whole;
    let squares: f64 = batches.map(|(part, of)| (part - value * of).powi(2)).sum();
    let half = T95 * (squares * BATCHES as f64 / (BATCHES as f64 - 1.0)).sqrt() / whole;
    let interval = Interval { low: (value - half).max(0.0), high: (value + half).max(bound).min(1.0) };
    Estimate { value, interval: Some(interval) }
}

impl<'q> World<'q> {
    fn new(question: &'q Question, spares: u32) -> World<'q> {
        let (nodes, machines) = (question.nodes as usize, question.nodes as usize + spares as usize);
        let domain_count = question.domain.map_or(0, |d| machines.div_ceil(d.size as usize));
        World {
            question,
            rng: Rng(question.simulation.seed),
            places: (0..machines).map(|m| if m < nodes { Place::Running(m) } else { Place::Idle(m - nodes) }).collect(),
            running: (0..nodes).collect(),
            idle: (nodes..machines).collect(),
            waiting: VecDeque::new(),
            in_repair: 0,
            due: BinaryHeap::new(),
            domains: (0..domain_count).collect(),
            stands: vec![true; domain_count],
            now: 0.0,
            batch: Batch::default(),
        }
    }

    fn run_until(&mut self, end: f64) {
        let rate = self.question.failure_rate.0;
        let domain_rate = self.question.domain.map_or(0.0, |d| d.rate.0);
        loop {
            let failing = match self.question.standby {
                Standby::Cold => self.running.len(),
                Standby::Warm => self.running.len() + self.idle.len(),
            };
            let (single, together) = (failing as f64 * rate, self.domains.len() as f64 * domain_rate);
            let hazard = single + together;
            let next = if hazard > 0.0 { self.now + self.rng.exponential() / hazard } else { f64::INFINITY };
            let due = self.due.peek().map_or(f64::INFINITY, |Reverse((when, _))| f64::from_bits(*when));
            let at = next.min(due).min(end);
            if self.running.len() < self.question.nodes as usize {
                self.batch.short += at - self.now;
            }
            self.now = at;
            if at >= end {
                return;
            }
            if due <= next {
                if let Some(Reverse((_, due))) = self.due.pop() {
                    self.come_back(due);
                }
            } else if self.rng.unit() * hazard <= single {
                self.fail(failing);
            } else {
                self.lose_domain();
            }
        }
    }

    fn schedule(&mut self, years: f64, due: Due) {
        self.due.push(Reverse(((self.now + years).to_bits(), due)));
    }

    fn come_back(&mut self, due: Due) {
        match due {
            Due::Repaired(machine) => {
                self.in_repair -= 1;
                if let Some(next) = self.waiting.pop_front() {
                    self.repair(next);
                }
                if self.stands.is_empty() || self.stands[machine % self.stands.len()] {
                    self.serve(machine);
                } else {
                    self.places[machine] = Place::Cut;
                }
            }
            Due::Restored(domain) => {
                self.domains.push(domain);
                self.stands[domain] = true;
                for machine in (domain..self.places.len()).step_by(self.stands.len()) {
                    if self.places[machine] == Place::Cut {
                        self.serve(machine);
                    }
                }
            }
        }
    }

    /// One of `failing` machines breaks.
    fn fail(&mut self, failing: usize) {
        let which = self.rng.below(failing);
        let ran = which < self.running.len();
        let machine = if ran { self.running[which] } else { self.idle[which - self.running.len()] };
        self.take_away(machine, Place::Broken);
        if self.question.repairers.is_some_and(|r| self.in_repair >= r) {
            self.waiting.push_back(machine);
        } else {
            self.repair(machine);
        }
        if ran {
            self.replace();
        }
    }

    fn lose_domain(&mut self) {
        let Some(loss) = self.question.domain else { return };
        let which = self.rng.below(self.domains.len());
        let domain = self.domains.swap_remove(which);
        self.stands[domain] = false;
        let mut lost = 0;
        for machine in (domain..self.places.len()).step_by(self.stands.len()) {
            if self.places[machine] != Place::Broken {
                lost += usize::from(matches!(self.places[machine], Place::Running(_)));
                self.take_away(machine, Place::Cut);
            }
        }
        let repair = years(loss.repair) * self.rng.exponential();
        self.schedule(repair, Due::Restored(domain));
        (0..lost).for_each(|_| self.replace());
    }

    fn repair(&mut self, machine: usize) {
        self.in_repair += 1;
        let mean = self.question.repair.mean_years();
        let time = match self.question.repair {
            Repair::Exponential { .. } => mean * self.rng.exponential(),
            Repair::Lognormal { sigma, .. } => mean * (sigma * self.rng.normal() - sigma * sigma / 2.0).exp(),
        };
        self.schedule(time, Due::Repaired(machine));
    }

    /// A node was lost: any idle machine takes its place.
    fn replace(&mut self) {
        self.batch.lost += 1.0;
        if self.idle.is_empty() {
            self.batch.found_none += 1.0;
            return;
        }
        let machine = self.idle[self.rng.below(self.idle.len())];
        self.take_away(machine, Place::Cut);
        self.serve(machine);
    }

    /// Run where a machine is missing, else wait.
    fn serve(&mut self, machine: usize) {
        if self.running.len() < self.question.nodes as usize {
            self.places[machine] = Place::Running(self.running.len());
            self.running.push(machine);
        } else {
            self.places[machine] = Place::Idle(self.idle.len());
            self.idle.push(machine);
        }
    }

    fn take_away(&mut self, machine: usize, to: Place) {
        match self.places[machine] {
            Place::Running(at) => {
                self.running.swap_remove(at);
                if let Some(moved) = self.running.get(at) {
                    self.places[*moved] = Place::Running(at);
                }
            }
            Place::Idle(at) => {
                self.idle.swap_remove(at);
                if let Some(moved) = self.idle.get(at) {
                    self.places[*moved] = Place::Idle(at);
                }
            }
            Place::Broken | Place::Cut => {}
        }
        self.places[machine] = to;
    }
}
