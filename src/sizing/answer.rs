//! Both answers for any number of spares, and the smallest number that meets the target for each of the two questions.

use super::model::{Model, Question, Standby, Wrong};
use super::{Learned, SIZING_FORMAT, birth_death, monte_carlo, poisson};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A probability or a share of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Estimate {
    pub value: f64,
    /// Absent where the value is computed and not simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// Holds the true value 19 times in 20.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    pub fn exact(value: f64) -> Estimate {
        Estimate { value, interval: None }
    }

    /// The end that a careful reader counts with.
    fn at_worst(self) -> f64 {
        self.interval.map_or(self.value, |i| i.high)
    }

    fn of_the_rest(self) -> Estimate {
        let interval = self.interval.map(|i| Interval { low: 1.0 - i.high, high: 1.0 - i.low });
        Estimate { value: 1.0 - self.value, interval }
    }
}

/// What a number of spares is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    pub spares: u32,
    /// Share of the time in which as many nodes run as must.
    pub time_without_shortage: Estimate,
    /// The rest of it, to more digits.
    pub time_short: Estimate,
    /// Probability that the next node that is lost finds no spare.
    pub next_failure_finds_none: Estimate,
    /// Of nodes that run, all together.
    pub failures_per_year: f64,
}

impl Point {
    pub(super) fn new(spares: u32, time_short: Estimate, next_failure_finds_none: Estimate, failures_per_year: f64) -> Point {
        Point { spares, time_without_shortage: time_short.of_the_rest(), time_short, next_failure_finds_none, failures_per_year }
    }
}

/// The smallest number of spares that meets the target.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Choice {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spares: Option<u32>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Answer {
    pub question: Question,
    pub model: Model,
    /// Why this model.
    pub why: String,
    /// Nodes in repair on average, if none had to wait for a repairer.
    pub load: f64,
    /// For the target as a share of the time without shortage.
    pub without_shortage: Choice,
    /// For the target as the probability that the next failure finds a spare.
    pub next_failure_finds_one: Choice,
    /// What the number of spares that was asked about is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Point>,
    /// Ascending; around the two choices, and the number that was asked about.
    pub table: Vec<Point>,
}

/// The answer of `spares size`. Written as JSON; `schemas/spares-size.schema.json` is generated from these types.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Sizing {
    pub format_version: u32,
    /// What the failure rate rests on, when it is learned from past runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
    /// One, or one for each class of nodes that can stand in for each other.
    pub groups: Vec<SizingGroup>,
    /// Nodes that no group counts, and why.
    pub left_out: Vec<SizingLeftOut>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SizingGroup {
    pub name: String,
    /// What the nodes of the class have in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<BTreeMap<String, String>>,
    /// Spares that the inventory has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spares_now: Option<u32>,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SizingLeftOut {
    pub nodes: Vec<String>,
    pub why: String,
}

impl Sizing {
    pub fn new(groups: Vec<SizingGroup>) -> Sizing {
        Sizing { format_version: SIZING_FORMAT, learned: None, groups, left_out: Vec::new() }
    }
}

/// Numbers of spares that are tried; simulated ones take a moment each.
const SPARES_MAX: u32 = 100_000;
const SIMULATED_SPARES_MAX: u32 = 10_000;

struct Points<'q> {
    question: &'q Question,
    model: Model,
    known: BTreeMap<u32, Point>,
}

impl Points<'_> {
    fn at(&mut self, spares: u32) -> Point {
        let (q, model) = (self.question, self.model);
        *self.known.entry(spares).or_insert_with(|| match model {
            Model::Poisson => poisson(q.load(), f64::from(q.nodes) * q.failure_rate.0, spares),
            Model::BirthDeath => birth_death(q.nodes, q.failure_rate.0, q.repair.mean_years(), q.repairers, q.standby, spares),
            Model::MonteCarlo => monte_carlo(q, spares),
        })
    }

    /// The smallest number that holds: doubled until it does, then halved in between. More spares are never worse; where
    /// it is simulated, chance may blur that, and the number that is found holds by its own interval.
    fn smallest(&mut self, holds: impl Fn(&Point) -> bool) -> Option<u32> {
        let limit = match self.model {
            Model::MonteCarlo if self.overloaded() => 64,
            Model::MonteCarlo => SIMULATED_SPARES_MAX,
            _ => SPARES_MAX,
        };
        let (mut low, mut high) = (0, 0);
        while !holds(&self.at(high)) {
            if high == limit {
                return None;
            }
            low = high + 1;
            high = (2 * high + 1).min(limit);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(&self.at(middle)) { high = middle } else { low = middle + 1 }
        }
        Some(high)
    }

    fn overloaded(&self) -> bool {
        self.question.repairers.is_some_and(|r| self.question.load() >= f64::from(r))
    }

    fn choose(&mut self, holds: impl Fn(&Point) -> bool) -> Choice {
        let spares = self.smallest(holds);
        let why_not = spares.is_none().then(|| {
            if self.overloaded() {
                let load = self.question.load();
                let least = load.floor() + 1.0;
                format!(
                    "{load:.1} nodes would have to be in repair at the same time on average; with fewer than {least:.0} repairers the queue \
                     only grows, and spares do not help"
                )
            } else {
                "no number of spares that was tried meets it".to_owned()
            }
        });
        Choice { spares, why_not }
    }
}

/// Both answers for the question, by the `wanted` model or the simplest that holds.
///
/// # Errors
/// [`Wrong`]: the question makes no sense, or the wanted model does not fit it.
pub fn answer(question: &Question, wanted: Option<Model>) -> Result<Answer, Wrong> {
    question.check()?;
    let (model, why) = question.model(wanted)?;
    let allowed = 1.0 - question.target.0;
    if model == Model::MonteCarlo {
        enough_simulated(question, allowed)?;
    }
    let mut points = Points { question, model, known: BTreeMap::new() };
    let without_shortage = points.choose(|p| p.time_short.at_worst() <= allowed);
    let next_failure_finds_one = points.choose(|p| p.next_failure_finds_none.at_worst() <= allowed);
    let told: Vec<u32> = [without_shortage.spares, next_failure_finds_one.spares, question.spares].into_iter().flatten().collect();
    let table = rows(&told).into_iter().map(|spares| points.at(spares)).collect();
    let judged = question.spares.map(|spares| points.at(spares));
    let load = question.load();
    Ok(Answer { question: *question, model, why, load, without_shortage, next_failure_finds_one, judged, table })
}

/// The longest table that is read as a whole.
const ROWS: u32 = 14;

/// All numbers up to one above the highest of `told`; of many only some, and always those of `told`.
fn rows(told: &[u32]) -> BTreeSet<u32> {
    let top = told.iter().max().map_or(3, |t| t + 1);
    let stride = top.div_ceil(ROWS);
    (0..=top).step_by(stride as usize).chain(told.iter().copied()).chain([top]).collect()
}

/// A simulation in which nothing went wrong vouches for no more than its length allows.
fn enough_simulated(question: &Question, allowed: f64) -> Result<(), Wrong> {
    let least = monte_carlo::least_bound(question);
    if least <= allowed {
        return Ok(());
    }
    let needed = (question.simulation.failures as f64 * least / allowed * 1.5).ceil();
    Err(Wrong {
        message: format!("{} simulated failures are too few to vouch for a target of {}", question.simulation.failures, question.target),
        hint: format!("write `--simulated-failures {}`, or a lower target", 10f64.powf(needed.log10().ceil())),
    })
}

/// Which of the two a spare that is cold or warm is, in words.
pub(super) fn standby_words(standby: Standby) -> &'static str {
    match standby {
        Standby::Cold => "spares that do not fail while they wait",
        Standby::Warm => "spares that fail like the nodes",
    }
}
