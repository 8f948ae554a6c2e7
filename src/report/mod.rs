//! What happened, as data and as text: a fold of a plan and the journal of its run.
//!
//! [`report`] is pure. It reads no device, no clock and no inventory, so the journal alone gives the whole report: of
//! a run that has ended, of one that is still on its way, and of one whose process was killed. [`Fold`] is the same,
//! entry by entry.

mod exit_code;
mod fold;
mod learned;
mod people;
mod stamp;
mod tally;
pub mod text;
mod types;

pub use exit_code::{ExitCode, exit_code};
pub use fold::Fold;
pub use learned::learn;
pub use stamp::{Stamp, Took, brief};
pub use types::*;

use crate::engine::{BadEvent, Entry};
use crate::plan::Plan;

/// The report of a run.
///
/// # Errors
/// [`BadEvent`] when the journal does not fit the plan.
pub fn report(plan: &Plan, about: &About, journal: &[Entry]) -> Result<Report, BadEvent> {
    let mut fold = Fold::new(plan, about);
    for entry in journal {
        fold.apply(entry)?;
    }
    Ok(fold.report())
}
