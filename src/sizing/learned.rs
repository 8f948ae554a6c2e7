//! A failure rate from what happened, and how little it may rest on.

use super::model::Wrong;
use super::poisson::{at_least, at_most};
use schemars::JsonSchema;
use serde::Serialize;

/// Failures over the time in which they could happen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Learned {
    /// Nodes that a run in disaster mode began to switch over.
    pub failures: u32,
    /// Nodes with an instance, times the age of the store.
    pub node_years: f64,
    /// Failures per node and year.
    pub rate: f64,
    /// The rates within which such a count is seen 19 times in 20 (exact Poisson limits, Garwood 1936).
    pub low: f64,
    pub high: f64,
}

impl Learned {
    /// # Errors
    /// [`Wrong`] where there is nothing to learn from. No failures in a year of ten nodes is no rate of zero.
    pub fn of(failures: u32, node_years: f64) -> Result<Learned, Wrong> {
        if !node_years.is_finite() || node_years <= 0.0 {
            let message = "no failure rate can be learned: no node with an instance was watched for any time";
            return Err(Wrong { message: message.into(), hint: "write the rate that you expect, like `--failure-rate 5%`".into() });
        }
        let high = mean_where(|mean| at_most(mean, failures), 0.025) / node_years;
        if failures == 0 {
            let message = format!("no failure rate can be learned: no disaster switchover began in {node_years:.1} node-years");
            let hint = format!(
                "write the rate that you expect, like `--failure-rate 5%`; what was seen speaks against more than {:.3} failures per node \
                 and year",
                high
            );
            return Err(Wrong { message, hint });
        }
        let low = mean_where(|mean| -at_least(mean, failures), -0.025) / node_years;
        Ok(Learned { failures, node_years, rate: f64::from(failures) / node_years, low, high })
    }
}

/// The mean at which `falling(mean)` has come down to `level`.
fn mean_where(falling: impl Fn(f64) -> f64, level: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while falling(high) > level {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if falling(middle) > level { low = middle } else { high = middle }
    }
    high
}
