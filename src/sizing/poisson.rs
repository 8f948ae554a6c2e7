//! Failures at a steady rate, every repair begun at once: the number in repair is Poisson distributed whatever the
//! repair time's distribution, only its mean counts (Palm 1938; the queue with infinitely many servers). The same
//! formula holds for a stock that is filled up once in the mean repair time.

use super::answer::{Estimate, Point};
use super::distribution::Distribution;

/// `load`: nodes that are in repair on average, nodes x rate x repair time. `failures`: per year.
///
/// Nodes fail as if all of them always ran, which is a little too often where spares are short: it errs towards more
/// spares. What a failure meets is what the time shows, for failures come independently of it (Wolff 1982).
pub fn poisson(load: f64, failures: f64, spares: u32) -> Point {
    let in_repair = Distribution::from_ratio(None, |n| load / (n as f64 + 1.0));
    let spares_at = spares as usize;
    Point::new(spares, Estimate::exact(in_repair.at_least(spares_at + 1)), Estimate::exact(in_repair.at_least(spares_at)), failures)
}

/// P(k or fewer) for a Poisson number of that mean.
pub(super) fn at_most(mean: f64, k: u32) -> f64 {
    1.0 - Distribution::from_ratio(None, |n| mean / (n as f64 + 1.0)).at_least(k as usize + 1)
}

/// P(k or more).
pub(super) fn at_least(mean: f64, k: u32) -> f64 {
    Distribution::from_ratio(None, |n| mean / (n as f64 + 1.0)).at_least(k as usize)
}
