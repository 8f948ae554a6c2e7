//! What a run teaches about how long things take.

use super::types::*;
use super::{About, report};
use crate::engine::{BadEvent, Entry, Event, How};
use crate::model::*;
use crate::plan::{Plan, kind_of, model_of};

/// Take the durations of a run's steps into `durations`; gives how many of its switchovers taught something.
///
/// Only what went straight: one attempt, achieved, with no process dying in between. A step that was retried took the
/// time of what went wrong, and one that was found done took nobody knows how long.
///
/// # Errors
/// [`BadEvent`] when the journal does not fit the plan; nothing is taken then.
pub fn learn(durations: &mut Durations, plan: &Plan, journal: &[Entry]) -> Result<u32, BadEvent> {
    let told = report(plan, &About::run(RunId(String::new())), journal)?;
    let died: Vec<Time> = journal.iter().filter(|e| e.event == Event::RunResumed).map(|e| e.at).collect();
    let mut taught = 0;
    for (planned, told) in plan.switchovers.iter().zip(&told.switchovers) {
        let mut any = false;
        for (step, told) in planned.steps.iter().zip(&told.steps) {
            if let Some(took) = straight(told, &died) {
                any = true;
                durations.add(&kind_of(step), model_of(planned, step), took);
                if let Some(way) = told.sent.first().and_then(|s| s.reset).filter(|_| told.step == "power_off") {
                    let kind = if way == ResetType::GracefulShutdown { "soft_off" } else { "hard_off" };
                    durations.add(kind, model_of(planned, step), took);
                }
            }
        }
        taught += u32::from(any);
    }
    Ok(taught)
}

fn straight(told: &StepReport, died: &[Time]) -> Option<Span> {
    let (from, to) = (told.started_at?.time(), told.ended_at?.time());
    // What is only waited for has no command: it counts when it was not so at once.
    let acted = match told.how? {
        How::Acted => told.attempts == 1 && told.retries.is_empty(),
        How::AlreadySo => told.step == "await_boot",
        How::FoundDone => false,
    };
    let whole = told.status == StepStatus::Achieved && told.direction == Direction::Forward;
    (acted && whole && !died.iter().any(|at| *at >= from && *at <= to)).then(|| to.since(from))
}
