//! Who decided what, and what everybody waited for.

use super::types::*;
use super::{Stamp, Took};
use crate::engine::{Entry, Event, Phase, Progress, Whom};
use crate::model::*;
use crate::plan::Plan;
use std::collections::BTreeMap;

/// What holds each switchover back and since when.
#[derive(Clone)]
pub(super) struct Waits {
    since: Vec<Option<(Time, Limit, String)>>,
    sums: Vec<BTreeMap<Limit, (String, Span)>>,
    why: BTreeMap<Whom, String>,
}

impl Waits {
    pub fn new(count: usize) -> Waits {
        Waits { since: vec![None; count], sums: vec![BTreeMap::new(); count], why: BTreeMap::new() }
    }

    /// Take an entry in that `progress` knows already.
    pub fn hear(&mut self, plan: &Plan, progress: &Progress, entry: &Entry) {
        match &entry.event {
            Event::Started { switchover } | Event::Finished { switchover, .. } => {
                if let Some(index) = plan.index(*switchover) {
                    self.now(plan, progress, index, entry.at);
                }
                return;
            }
            Event::Held { whom: Whom::One(id), why, .. } => {
                if let Some(why) = why {
                    self.why.insert(Whom::One(*id), why.clone());
                }
                if let Some(index) = plan.index(*id) {
                    self.now(plan, progress, index, entry.at);
                }
                return;
            }
            Event::Held { whom, why: Some(why), .. } => {
                self.why.insert(*whom, why.clone());
            }
            Event::Held { .. } | Event::Paused { .. } | Event::Continued { .. } | Event::RunResumed | Event::RunStarted { .. } => {}
            _ => return,
        }
        (0..self.since.len()).for_each(|index| self.now(plan, progress, index, entry.at));
    }

    fn now(&mut self, plan: &Plan, progress: &Progress, index: usize, at: Time) {
        let waiting = progress.tracks[index].phase == Phase::Waiting;
        let limit = progress.held(plan, index).filter(|_| waiting);
        if self.since[index].as_ref().map(|(_, limit, _)| *limit) != limit {
            self.add(index, at);
            self.since[index] = limit.map(|limit| (at, limit, self.words(plan, progress, index, limit)));
        }
    }

    fn words(&self, plan: &Plan, progress: &Progress, index: usize, limit: Limit) -> String {
        let switchover = &plan.switchovers[index];
        let whom = match limit {
            Limit::Paused => return progress.paused.as_ref().map(|p| p.text.clone()).unwrap_or_default(),
            Limit::PerDomain | Limit::Window => Whom::One(switchover.id),
            Limit::Priority => Whom::Group(switchover.group),
            _ => Whom::All,
        };
        self.why.get(&whom).cloned().unwrap_or_default()
    }

    fn add(&mut self, index: usize, at: Time) {
        let Some((from, limit, why)) = &self.since[index] else { return };
        let sum = self.sums[index].entry(*limit).or_default();
        *sum = (why.clone(), Span(sum.1.0.saturating_add(at.since(*from).0)));
    }

    /// What each has waited for until `at`.
    pub fn told(&self, at: Time) -> Vec<Vec<WaitedReport>> {
        let mut until = self.clone();
        (0..until.since.len()).for_each(|index| until.add(index, at));
        let one = |sums: BTreeMap<Limit, (String, Span)>| {
            sums.into_iter().map(|(limit, (why, took))| WaitedReport { limit, why, took: Took::new(took) }).collect()
        };
        until.sums.into_iter().map(one).collect()
    }
}

/// The decision that an event is, if it is one.
pub(super) fn decision(entry: &Entry) -> Option<DecisionReport> {
    let told = |about: String, choice: String| DecisionReport {
        at: Stamp::new(entry.at),
        about,
        choice,
        by: entry.event.voice().map(|v| v.name.clone()),
        why: None,
        refused: None,
    };
    let run = || "run".to_owned();
    Some(match &entry.event {
        Event::Decided { matter, choice, why, .. } => DecisionReport { why: why.clone(), ..told(matter.to_string(), choice.clone()) },
        Event::Paused { by: Some(_), until, .. } => told(run(), if until.is_some() { "pause" } else { "stop" }.to_owned()),
        Event::Continued { .. } => told(run(), "resume".to_owned()),
        Event::Recalled { whom, .. } => told(whom.map_or_else(run, |id| id.to_string()), "rollback".to_owned()),
        Event::Resolved { switchover, moved, why, .. } => {
            let choice = if *moved { "--moved" } else { "--not-moved" };
            DecisionReport { why: why.clone(), ..told(switchover.to_string(), choice.to_owned()) }
        }
        Event::Declined { request, why, .. } => DecisionReport { refused: Some(why.clone()), ..told(run(), request.clone()) },
        _ => return None,
    })
}
