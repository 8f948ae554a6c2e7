//! Who may start now, and when nothing new may.

use super::progress::{Phase, Progress};
use crate::model::gate::gates;
use crate::model::*;
use crate::plan::Plan;
use std::collections::{BTreeMap, VecDeque};

/// Waiting switchovers by group, and how many are in flight in which.
#[derive(Debug)]
pub(super) struct Admission {
    waiting: BTreeMap<i64, VecDeque<usize>>,
    in_flight: BTreeMap<i64, u32>,
    total: u32,
}

impl Admission {
    pub fn new(plan: &Plan, progress: &Progress) -> Admission {
        let mut admission = Admission { waiting: BTreeMap::new(), in_flight: BTreeMap::new(), total: 0 };
        for (index, track) in progress.tracks.iter().enumerate() {
            let group = plan.switchovers[index].group;
            match track.phase {
                Phase::Waiting => admission.waiting.entry(group).or_default().push_back(index),
                Phase::Finished(_) => {}
                _ => admission.begin(group),
            }
        }
        admission
    }

    fn begin(&mut self, group: i64) {
        *self.in_flight.entry(group).or_insert(0) += 1;
        self.total += 1;
    }

    /// The next switchover that may start: at most `at_once` in flight, and a group only when the one before has ended.
    pub fn admit(&mut self, plan: &Plan) -> Option<usize> {
        if self.total >= plan.limits.at_once.max(1) {
            return None;
        }
        let group = *self.waiting.first_key_value()?.0;
        if self.in_flight.keys().any(|g| *g < group) {
            return None;
        }
        let queue = self.waiting.get_mut(&group)?;
        let index = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&group);
        }
        self.begin(group);
        index
    }

    pub fn ended(&mut self, group: i64) {
        self.total = self.total.saturating_sub(1);
        if let Some(n) = self.in_flight.get_mut(&group) {
            *n -= 1;
            if *n == 0 {
                self.in_flight.remove(&group);
            }
        }
    }

    pub fn none_in_flight(&self) -> bool {
        self.total == 0
    }

    pub fn none_waiting(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Has the run failed so often that nothing new may start? Cumulative since a person last resumed it, switchovers that
/// are on their way back counted: a limit of 2 lets the second failure begin no third switchover.
///
/// Fails closed: a run that stops too early costs a `resume`, one that goes on costs machines.
pub(super) fn brake(plan: &Plan, failures: u32, going_back: u32) -> Option<Reason> {
    let limit = plan.limits.stop_after_failures?;
    let count = failures + going_back;
    let total = u32::try_from(plan.switchovers.len()).unwrap_or(u32::MAX);
    let reached = match limit {
        Threshold::Count(n) => count >= n.max(1),
        // Exact, in hundredths of a percent; a share is never reached without a failure.
        Threshold::Share(share) => count > 0 && u64::from(count) * 10_000 >= u64::from(share) * u64::from(total),
    };
    reached.then(|| {
        let text =
            format!("`limits.stop_after_failures: {limit}` is reached ({count} of {total}); `coldswap resume` goes on with the rest");
        Reason::new(ReasonCode::Limit, text)
    })
}

gates! {
    "stop after failures", "nothing new starts once so many switchovers have failed or are on their way back",
        Closed, "a run that stops too early costs a `resume`, one that goes on costs machines", every_kind_of_event_is_told;
}
