//! Who may start now, and what holds the others back.
//!
//! A gate is closed for everything (`at_once`, `start_rate`), for a priority group, or for one switchover (`per_domain`,
//! a window). The narrow ones are looked at only while the wide ones are open, so that what holds a switchover back
//! changes a few times in its life and not with every switchover that comes and goes: a thousand that wait write a
//! thousand words, not a million.
//!
//! | gate | when it cannot be told | why |
//! |---|---|---|
//! | `at_once`, `start_rate`, `stop_after_failures` | counted from the journal: closed | too slow costs time, too fast costs machines |
//! | `per_domain` | a node without that domain: open, with a warning in the plan | there is nothing to count |
//! | windows | no window known, or no prediction: closed | what runs into the morning is noticed by everybody |
//! | approval, canary, prompt | nobody answers: the declared default | nothing waits for ever |

use super::progress::{Phase, Progress};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::plan::Plan;
use std::collections::{BTreeMap, VecDeque};

/// Waiting switchovers by group, and what is in flight.
#[derive(Debug)]
pub(super) struct Admission {
    waiting: BTreeMap<i64, VecDeque<usize>>,
    in_flight: BTreeMap<i64, u32>,
    total: u32,
    /// Switchovers in flight by failure domain, for the levels that are limited.
    domains: BTreeMap<Domain, u32>,
    openings: Vec<Opening>,
    /// Nothing has changed since everybody who waits was looked at.
    looked_at: bool,
}

/// What came of asking for the next one.
pub(super) enum Next {
    Start(usize),
    /// A gate that is closed for everything; it may open by itself at that time.
    Closed(Limit, String, Option<Time>),
    /// Each of those who could be next is held back by something of its own.
    NobodyFits,
    NobodyWaits,
}

impl Admission {
    pub fn new(plan: &Plan, progress: &Progress) -> Admission {
        let mut admission = Admission {
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            total: 0,
            domains: BTreeMap::new(),
            openings: Vec::new(),
            looked_at: false,
        };
        for (index, track) in progress.tracks.iter().enumerate() {
            match track.phase {
                Phase::Waiting => admission.waiting.entry(plan.switchovers[index].group).or_default().push_back(index),
                Phase::Finished(_) => {}
                _ => admission.begin(plan, index),
            }
        }
        admission
    }

    pub fn set_openings(&mut self, openings: Vec<Opening>) {
        self.openings = openings;
        self.looked_at = false;
    }

    pub fn look_again(&mut self) {
        self.looked_at = false;
    }

    /// It is in flight, whatever the gates say.
    pub fn begin(&mut self, plan: &Plan, index: usize) {
        let switchover = &plan.switchovers[index];
        *self.in_flight.entry(switchover.group).or_insert(0) += 1;
        self.total += 1;
        for domain in &switchover.domains {
            *self.domains.entry(domain.clone()).or_insert(0) += 1;
        }
        self.looked_at = false;
    }

    /// The next switchover that may start. `note` hears what holds back those who were passed over.
    pub fn next(&mut self, plan: &Plan, progress: &Progress, now: Time, note: &mut impl FnMut(usize, Limit, String)) -> Next {
        let Some(group) = self.waiting.first_key_value().map(|(group, _)| *group) else { return Next::NobodyWaits };
        if self.in_flight.keys().any(|g| *g < group) {
            return Next::NobodyFits;
        }
        let at_once = plan.limits.at_once.max(1);
        if self.total >= at_once {
            return Next::Closed(Limit::AtOnce, format!("`limits.at_once: {at_once}` are in flight"), None);
        }
        if let Some((rate, at)) = paced(plan, progress).filter(|(_, at)| *at > now) {
            return Next::Closed(Limit::StartRate, format!("`limits.start_rate: {rate}`"), Some(at));
        }
        if self.looked_at {
            return Next::NobodyFits;
        }
        let queue = self.waiting.get(&group).into_iter().flatten().copied();
        let mut found = None;
        for (position, index) in queue.enumerate() {
            match self.held(plan, index, now) {
                None => {
                    found = Some((position, index));
                    break;
                }
                Some((limit, why)) => note(index, limit, why),
            }
        }
        let Some((position, index)) = found else {
            self.looked_at = true;
            return Next::NobodyFits;
        };
        self.take(group, position);
        self.begin(plan, index);
        Next::Start(index)
    }

    fn take(&mut self, group: i64, position: usize) {
        if let Some(queue) = self.waiting.get_mut(&group) {
            queue.remove(position);
            if queue.is_empty() {
                self.waiting.remove(&group);
            }
        }
    }

    /// What holds this very switchover back.
    fn held(&self, plan: &Plan, index: usize, now: Time) -> Option<(Limit, String)> {
        let switchover = &plan.switchovers[index];
        if !plan.windows.is_empty() && !self.fits(now, switchover.expected()) {
            return Some((Limit::Window, self.why_not(now, switchover.expected())));
        }
        switchover.domains.iter().find_map(|domain| {
            let limit = *plan.limits.per_domain.get(&domain.level)?;
            let count = self.domains.get(domain).copied().unwrap_or(0);
            (count >= limit).then(|| {
                let Domain { level, name } = domain;
                (Limit::PerDomain, format!("`limits.per_domain: {{{level}: {limit}}}` are in flight in {level} `{name}`"))
            })
        })
    }

    fn open_at(&self, now: Time) -> Option<&Opening> {
        self.openings.iter().find(|o| o.opens <= now && now < o.closes)
    }

    fn fits(&self, now: Time, predicted: Option<Span>) -> bool {
        self.open_at(now).zip(predicted).is_some_and(|(opening, predicted)| now + predicted <= opening.closes)
    }

    fn why_not(&self, now: Time, predicted: Option<Span>) -> String {
        let next = self
            .openings
            .iter()
            .find(|o| o.opens > now)
            .map_or_else(|| "and no other is known to open".to_owned(), |o| format!("the next one opens at {}", o.opens));
        match (self.open_at(now), predicted) {
            (None, _) => format!("no window is open; {next}"),
            (Some(_), None) => "nothing predicts how long it takes".to_owned(),
            (Some(open), Some(predicted)) => {
                let longest = self.openings.iter().map(|o| o.closes.since(o.opens)).max().unwrap_or_default();
                let never = if predicted > longest { "; that is longer than any window" } else { "" };
                format!("may take {predicted}, and the window closes at {}{never}; {next}", open.closes)
            }
        }
    }

    /// Why nothing at all can start before somebody resumes the run: the window is over for everybody who could be next,
    /// and nothing in flight can change that.
    pub fn window_is_over(&self, plan: &Plan, now: Time) -> Option<Reason> {
        let (_, queue) = self.waiting.first_key_value()?;
        if plan.windows.is_empty() || self.total > 0 || queue.iter().any(|i| self.fits(now, plan.switchovers[*i].expected())) {
            return None;
        }
        let first = &plan.switchovers[*queue.front()?];
        Some(Reason::new(ReasonCode::Window, format!("{}: {}", first.id, self.why_not(now, first.expected()))))
    }

    /// Groups that wait for an earlier one to end.
    pub fn groups_behind(&self) -> Vec<(i64, i64)> {
        let first = self.waiting.keys().chain(self.in_flight.keys()).min().copied();
        self.waiting.keys().filter_map(|g| first.filter(|f| f < g).map(|f| (*g, f))).collect()
    }

    /// It has not begun and never will.
    pub fn withdraw(&mut self, group: i64, index: usize) {
        let position = self.waiting.get(&group).and_then(|q| q.iter().position(|i| *i == index));
        if let Some(position) = position {
            self.take(group, position);
        }
        self.looked_at = false;
    }

    pub fn ended(&mut self, plan: &Plan, index: usize) {
        let switchover = &plan.switchovers[index];
        self.total = self.total.saturating_sub(1);
        release(&mut self.in_flight, &switchover.group);
        for domain in &switchover.domains {
            release(&mut self.domains, domain);
        }
        self.looked_at = false;
    }

    pub fn none_in_flight(&self) -> bool {
        self.total == 0
    }

    pub fn none_waiting(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn release<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(n) = counts.get_mut(key) {
        *n -= 1;
        if *n == 0 {
            counts.remove(key);
        }
    }
}

/// When the next one may start: starts lie at least `per / count` apart, counted over lives of the process. A clock
/// that was set back delays no start by more than that.
fn paced(plan: &Plan, progress: &Progress) -> Option<(Rate, Time)> {
    let rate = plan.limits.start_rate?;
    let apart = (rate.per.0 * 1000).div_ceil(u64::from(rate.count.max(1)));
    let last = progress.last_start?;
    Some((rate, Time(last.0.saturating_add(i64::try_from(apart).unwrap_or(i64::MAX)))))
}

/// Has the run failed so often that nothing new may start? Cumulative since a person last resumed it, switchovers that
/// are on their way back counted: a limit of 2 lets the second failure begin no third switchover. What somebody asked to
/// be taken back, or not to begin, has not failed.
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
        Closed, "a run that stops too early costs a `resume`, one that goes on costs machines",
        the_brake_lets_no_start_too_many_and_none_too_few;
    "at once, start rate", "no more in flight than `limits.at_once`, and no faster than `limits.start_rate`, over lives of the process",
        Closed, "too slow costs time, too fast costs machines", one_too_many_at_once_and_too_fast;
    "failure domain", "no more in flight in one failure domain than `limits.per_domain`",
        Closed, "what stands together fails together", admission_that_ignores_the_failure_domains;
    "priority", "a group starts when every switchover of the groups before it has ended",
        Closed, "what others depend on must serve first", people_and_limits_over_many_seeds;
    "window", "a switchover starts only where it is predicted to end before the window closes; the rest is parked",
        Closed, "what runs into the morning is noticed by everybody", a_window_starts_only_what_will_end_inside_and_parks_the_rest;
}
