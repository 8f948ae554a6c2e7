//! What a drill found: many runs folded into shares and percentiles. The order in which runs are added changes nothing,
//! so that seeds may be run on any number of threads.

use super::{Once, Setting};
use crate::engine::Outcome;
use crate::model::*;
use crate::plan::LeftOut;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised whenever a reader of the version before could be misled.
pub const DRILL_FORMAT: u32 = 1;

/// Spans by size: each bucket is at most a sixty-fourth wide, so that a percentile is right within 1.6 %, and merging
/// never loses or orders anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Histogram(BTreeMap<u32, u64>);

const MANTISSA: u32 = 6;

impl Histogram {
    fn add(&mut self, span: Span) {
        *self.0.entry(bucket(span.0)).or_insert(0) += 1;
    }

    fn merge(&mut self, other: &Histogram) {
        other.0.iter().for_each(|(at, n)| *self.0.entry(*at).or_insert(0) += n);
    }

    /// Nearest rank; the lower end of its bucket.
    fn percentile(&self, percent: u64) -> Option<Span> {
        let rank: u64 = (self.0.values().sum::<u64>() * percent).div_ceil(100).max(1);
        let mut count = 0;
        let at = self.0.iter().find_map(|(at, n)| {
            count += n;
            (count >= rank).then_some(*at)
        })?;
        Some(Span(floor(at)))
    }

    fn spread(&self) -> Option<Spread> {
        Some(Spread { p50: self.percentile(50)?, p95: self.percentile(95)? })
    }
}

fn bucket(n: u64) -> u32 {
    let bits = 64 - n.leading_zeros();
    if bits <= MANTISSA + 1 {
        return u32::try_from(n).unwrap_or(u32::MAX);
    }
    let shift = bits - MANTISSA - 1;
    let mantissa = u32::try_from(n >> shift).unwrap_or(u32::MAX);
    (shift << MANTISSA) + mantissa
}

fn floor(bucket: u32) -> u64 {
    let shift = (bucket >> MANTISSA).saturating_sub(1);
    if shift == 0 { u64::from(bucket) } else { u64::from(bucket - (shift << MANTISSA)) << shift }
}

/// Runs so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    runs: u64,
    complete: u64,
    stuck: u64,
    took: Histogram,
    switchovers: Vec<One>,
    /// The lowest seed in which two machines had one volume open, and the words for it.
    two_writers: (u64, Option<(u64, String)>),
}

#[derive(Clone, Debug, Default)]
struct One {
    outcomes: BTreeMap<Option<Outcome>, u64>,
    took: Histogram,
    dark: Histogram,
    /// By reason: how often, and the lowest seed with its words.
    whys: BTreeMap<(Outcome, ReasonCode), (u64, u64, String)>,
}

impl Tally {
    pub fn add(&mut self, once: &Once) {
        self.runs += 1;
        self.stuck += u64::from(once.stuck);
        self.switchovers.resize(self.switchovers.len().max(once.ends.len()), One::default());
        self.complete += u64::from(once.ends.iter().all(|e| e.outcome == Some(Outcome::SwitchedOver)));
        self.took.add(once.took);
        for (one, end) in self.switchovers.iter_mut().zip(&once.ends) {
            *one.outcomes.entry(end.outcome).or_insert(0) += 1;
            if end.outcome == Some(Outcome::SwitchedOver) {
                end.took.into_iter().for_each(|t| one.took.add(t));
                end.dark.into_iter().for_each(|t| one.dark.add(t));
            } else if let (Some(outcome), Some(why)) = (end.outcome, &end.why) {
                let told = one.whys.entry((outcome, why.code)).or_insert((0, once.seed, why.text.clone()));
                told.0 += 1;
                if once.seed < told.1 {
                    (told.1, told.2) = (once.seed, why.text.clone());
                }
            }
        }
        if let Some(words) = once.two_writers.first() {
            self.two_writers.0 += 1;
            self.first_two_writers(once.seed, words);
        }
    }

    fn first_two_writers(&mut self, seed: u64, words: &str) {
        if self.two_writers.1.as_ref().is_none_or(|(first, _)| seed < *first) {
            self.two_writers.1 = Some((seed, words.to_owned()));
        }
    }

    pub fn merge(&mut self, other: &Tally) {
        self.runs += other.runs;
        self.complete += other.complete;
        self.stuck += other.stuck;
        self.took.merge(&other.took);
        self.switchovers.resize(self.switchovers.len().max(other.switchovers.len()), One::default());
        for (mine, theirs) in self.switchovers.iter_mut().zip(&other.switchovers) {
            theirs.outcomes.iter().for_each(|(o, n)| *mine.outcomes.entry(*o).or_insert(0) += n);
            mine.took.merge(&theirs.took);
            mine.dark.merge(&theirs.dark);
            for (key, (count, seed, text)) in &theirs.whys {
                let told = mine.whys.entry(*key).or_insert((0, *seed, text.clone()));
                told.0 += count;
                if *seed < told.1 {
                    (told.1, told.2) = (*seed, text.clone());
                }
            }
        }
        self.two_writers.0 += other.two_writers.0;
        if let Some((seed, words)) = &other.two_writers.1 {
            self.first_two_writers(*seed, words);
        }
    }

    /// Runs that did not come to an end: a bug of ours.
    pub fn stuck(&self) -> u64 {
        self.stuck
    }

    pub fn found(&self, setting: &Setting, left_out: &[LeftOut]) -> Found {
        let plan = &setting.plan;
        let mut outcomes = Outcomes::default();
        let switchovers: Vec<Drilled> = plan
            .switchovers
            .iter()
            .zip(&self.switchovers)
            .map(|(planned, one)| {
                let counts = Outcomes::of(&one.outcomes);
                outcomes.add(&counts);
                let mut whys: Vec<DrilledWhy> =
                    one.whys.iter().map(|((outcome, code), told)| DrilledWhy::of(*outcome, *code, told)).collect();
                whys.sort_by_key(|w| (std::cmp::Reverse(w.runs), w.seed));
                Drilled {
                    id: planned.id,
                    source: planned.source.name.clone(),
                    destination: planned.destination.name.clone(),
                    no_way_out: counts.switched_over == 0 || counts.in_doubt > 0,
                    outcomes: counts,
                    took: one.took.spread(),
                    dark: one.dark.spread(),
                    whys,
                }
            })
            .collect();
        Found {
            mode: serde_json::to_value(plan.mode).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default(),
            runs: self.runs,
            complete: self.complete,
            outcomes,
            took: self.took.spread(),
            switchovers,
            left_out: left_out.to_vec(),
            two_writers: self.two_writers.1.as_ref().map(|(seed, text)| TwoWriters {
                runs: self.two_writers.0,
                seed: *seed,
                text: text.clone(),
            }),
        }
    }
}

/// What one mode of a runbook came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    #[schemars(extend("enum" = ["planned", "disaster"]))]
    pub mode: String,
    /// One for each seed.
    pub runs: u64,
    /// Runs in which everything planned was switched over.
    pub complete: u64,
    /// Of all switchovers of all runs.
    pub outcomes: Outcomes,
    /// Of a whole run. Percentiles are right within 1.6 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Spread>,
    pub switchovers: Vec<Drilled>,
    /// Sources that the plan does not switch over at all: they have no way out either.
    pub left_out: Vec<LeftOut>,
    /// Two machines had one volume open. Only a BMC that lies steadily brings this about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub two_writers: Option<TwoWriters>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TwoWriters {
    pub runs: u64,
    /// The lowest seed that shows it.
    pub seed: u64,
    pub text: String,
}

/// How often each outcome came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcomes {
    pub switched_over: u64,
    pub rolled_back: u64,
    pub stopped: u64,
    pub in_doubt: u64,
    pub skipped: u64,
    /// The run stopped starting new switchovers before this one's turn came.
    pub not_begun: u64,
}

impl Outcomes {
    fn of(counts: &BTreeMap<Option<Outcome>, u64>) -> Outcomes {
        let of = |o: Option<Outcome>| counts.get(&o).copied().unwrap_or(0);
        Outcomes {
            switched_over: of(Some(Outcome::SwitchedOver)),
            rolled_back: of(Some(Outcome::RolledBack)),
            stopped: of(Some(Outcome::Stopped)),
            in_doubt: of(Some(Outcome::InDoubt)),
            skipped: of(Some(Outcome::Skipped)),
            not_begun: of(None),
        }
    }

    fn add(&mut self, other: &Outcomes) {
        self.switched_over += other.switched_over;
        self.rolled_back += other.rolled_back;
        self.stopped += other.stopped;
        self.in_doubt += other.in_doubt;
        self.skipped += other.skipped;
        self.not_begun += other.not_begun;
    }

    /// In words, those that came, with their numbers.
    pub fn told(&self) -> [(&'static str, u64); 6] {
        [
            ("switched over", self.switched_over),
            ("rolled back", self.rolled_back),
            ("stopped", self.stopped),
            ("in doubt", self.in_doubt),
            ("skipped", self.skipped),
            ("not begun", self.not_begun),
        ]
    }
}

/// One switchover over all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drilled {
    pub id: SwitchoverId,
    pub source: String,
    pub destination: String,
    /// It was switched over in no run, or ended in doubt in at least one.
    pub no_way_out: bool,
    pub outcomes: Outcomes,
    /// Of the runs in which it was switched over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Spread>,
    /// From the power-off being sent until the destination served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dark: Option<Spread>,
    /// Why it ended otherwise, the most frequent first.
    pub whys: Vec<DrilledWhy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrilledWhy {
    pub outcome: Outcome,
    pub code: ReasonCode,
    pub runs: u64,
    /// The lowest seed that shows it; `drill --seed` tells that run whole.
    pub seed: u64,
    /// The words of that run.
    pub text: String,
}

impl DrilledWhy {
    fn of(outcome: Outcome, code: ReasonCode, (runs, seed, text): &(u64, u64, String)) -> DrilledWhy {
        DrilledWhy { outcome, code, runs: *runs, seed: *seed, text: text.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        for n in (0..20_000).chain([123_456, 86_400_000, u64::MAX]) {
            let low = floor(bucket(n));
            assert!(low <= n && n - low <= n / 64, "{n}: {low}");
            assert!(bucket(n) <= bucket(n.saturating_add(1)));
        }
        let mut histogram = Histogram::default();
        (1..=100).for_each(|n| histogram.add(Span(n)));
        assert_eq!(histogram.percentile(50), Some(Span(50)));
        assert_eq!(histogram.percentile(95), Some(Span(95)));
        assert_eq!(Histogram::default().percentile(50), None);
    }
}
