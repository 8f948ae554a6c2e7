//! What past runs took, as the journals of this store have it.

use super::Failure;
use super::apply::read_plan;
use crate::executor::{Records, entries};
use crate::model::Durations;
use crate::model::gate_table::gates;
use crate::report::learn;

/// Events that are read at most, the newest runs first: reading more costs seconds and changes little, and hardware that
/// has gone should not be remembered for ever.
const EVENTS_MAX: usize = 50_000;

#[derive(Default)]
pub struct History {
    pub durations: Durations,
    pub runs: u32,
    pub switchovers: u32,
}

/// A run that cannot be read teaches nothing and stops nothing.
pub fn history(records: &Records) -> Result<History, Failure> {
    let mut history = History::default();
    let mut events = 0;
    for row in records.runs()?.into_iter().rev() {
        let Some(plan) = records.plan(&row.plan)?.and_then(|text| read_plan(text.as_bytes()).ok()) else { continue };
        let journal = records.journal(&row.id)?;
        events += journal.len();
        let Ok(journal) = entries(&journal) else { continue };
        match learn(&mut history.durations, &plan, &journal) {
            Ok(taught) if taught > 0 => {
                history.runs += 1;
                history.switchovers += taught;
            }
            _ => {}
        }
        if events > EVENTS_MAX {
            break;
        }
    }
    Ok(history)
}

gates! {
    "history", "a past run that cannot be read teaches nothing",
        Open, "a prediction is a comfort and no condition", times_are_learned_from_past_runs_and_held_against_what_is_measured;
}
