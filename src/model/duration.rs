//! How long things take, learned from what was measured.

use super::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Half of what was measured took no longer than `p50`, nineteen in twenty no longer than `p95`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Spread {
    pub p50: Span,
    pub p95: Span,
}

impl Spread {
    pub const fn new(p50: Span, p95: Span) -> Spread {
        Spread { p50, p95 }
    }

    /// Always the same.
    pub const fn exactly(span: Span) -> Spread {
        Spread { p50: span, p95: span }
    }

    /// The value below which `ten_thousandths` of all lie: straight lines through half the median, the median, the 95th
    /// percentile, and as far again beyond it. Repair and boot times have long tails (LANL, DSN'06: lognormal), and
    /// whole numbers give the same drill on every machine.
    pub fn quantile(self, ten_thousandths: u64) -> Span {
        let (low, mid, high) = (self.p50.0 / 2, self.p50.0, self.p95.0.max(self.p50.0));
        let between = |from: u64, to: u64, part: u64, whole: u64| Span(from + (to - from) * part / whole);
        if low == mid || mid == high {
            return self.p50;
        }
        match ten_thousandths.min(9_999) {
            u @ 0..5_000 => between(low, mid, u, 5_000),
            u @ 5_000..9_500 => between(mid, high, u - 5_000, 4_500),
            u => between(high, high + (high - mid), u - 9_500, 500),
        }
    }

    /// One thing after the other, each taken for independent of the rest: medians add, and what lies beyond them adds as
    /// squares do, because not everything is slow on the same day.
    pub fn sum(spreads: impl IntoIterator<Item = Spread>) -> Spread {
        let (mut middle, mut squares) = (0u64, 0u64);
        for spread in spreads {
            middle = middle.saturating_add(spread.p50.0);
            let beyond = spread.p95.0.saturating_sub(spread.p50.0);
            squares = squares.saturating_add(beyond.saturating_mul(beyond));
        }
        Spread { p50: Span(middle), p95: Span(middle.saturating_add(squares.isqrt())) }
    }
}

/// Samples of one kind that are needed before they are believed.
const SAMPLES_MIN: usize = 3;
/// And before those of one model alone count for it.
const MODEL_SAMPLES_MIN: usize = 8;

/// What was measured, by kind and hardware model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    samples: BTreeMap<String, BTreeMap<Option<String>, Vec<u64>>>,
}

impl Durations {
    pub fn add(&mut self, kind: &str, model: Option<&str>, took: Span) {
        let models = self.samples.entry(kind.to_owned()).or_default();
        let list = models.entry(model.map(str::to_owned)).or_default();
        let at = list.partition_point(|t| *t <= took.0);
        list.insert(at, took.0);
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// How many samples there are of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.samples.get(kind).map_or(0, |models| models.values().map(Vec::len).sum())
    }

    /// Of that model where enough of it was measured, else of all machines. None: too little was measured to say.
    pub fn of(&self, kind: &str, model: Option<&str>) -> Option<Spread> {
        let models = self.samples.get(kind)?;
        let own = models.get(&model.map(str::to_owned)).filter(|list| model.is_some() && list.len() >= MODEL_SAMPLES_MIN);
        if let Some(list) = own {
            return Some(spread(list));
        }
        let mut all: Vec<u64> = models.values().flatten().copied().collect();
        all.sort_unstable();
        (all.len() >= SAMPLES_MIN).then(|| spread(&all))
    }

    /// Every kind with its spread over all machines and the number of samples.
    pub fn known(&self) -> impl Iterator<Item = (&str, Spread, usize)> {
        self.samples.keys().filter_map(|kind| Some((kind.as_str(), self.of(kind, None)?, self.count(kind))))
    }
}

/// Nearest rank. `sorted` is not empty.
fn spread(sorted: &[u64]) -> Spread {
    let at = |percent: usize| Span(sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)]);
    Spread { p50: at(50), p95: at(95) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_gives_back_its_own_percentiles() {
        let spread = Spread::new(Span::secs(60), Span::secs(200));
        assert_eq!((spread.quantile(5_000), spread.quantile(9_500)), (Span::secs(60), Span::secs(200)));
        assert_eq!((spread.quantile(0), spread.quantile(10_000)), (Span::secs(30), Span(339_720)));
        assert_eq!(Spread::exactly(Span::secs(5)).quantile(9_999), Span::secs(5));
        assert!((0..10_000).all(|u| spread.quantile(u) <= spread.quantile(u + 1)));
    }

    #[test]
    fn sums_are_less_pessimistic_than_the_sum_of_the_worst() {
        let one = Spread::new(Span(100), Span(200));
        assert_eq!(Spread::sum([one; 4]), Spread::new(Span(400), Span(600)));
        assert_eq!(Spread::sum([]), Spread::exactly(Span::ZERO));
    }

    #[test]
    fn a_model_counts_for_itself_once_enough_of_it_was_measured() {
        let mut durations = Durations::default();
        durations.add("boot", Some("C1"), Span(10));
        durations.add("boot", None, Span(20));
        assert_eq!(durations.of("boot", None), None, "two are no measurement");
        durations.add("boot", Some("C2"), Span(30));
        assert_eq!(durations.of("boot", Some("C1")), Some(Spread::new(Span(20), Span(30))));
        (0..8).for_each(|_| durations.add("boot", Some("C1"), Span(10)));
        assert_eq!(durations.of("boot", Some("C1")), Some(Spread::new(Span(10), Span(10))));
        assert_eq!(durations.of("boot", Some("C9")), Some(Spread::new(Span(10), Span(30))));
    }
}
