//! The program's exit codes, and which of them a report gives.

use super::{Report, SwitchoverStatus};
use crate::engine::Outcome;

/// What a process says with its exit code. The numbers are stable and documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// Everything planned was switched over; nodes left out are listed in the report.
    Done,
    /// A bug of ours.
    Bug,
    /// The command line is wrong.
    Usage,
    /// A runbook, an inventory or a plan was refused; nothing was touched.
    Refused,
    /// The run has ended and some of what was planned was not switched over. Nothing is owed.
    NotAll,
    /// Stopped or parked: `coldswap resume` goes on.
    Resumable,
    /// In doubt, or something is owed: a person must look.
    NeedsPerson,
    /// All of it is done, and its result could not be written where it was wanted: the report's file, standard output.
    Unwritten,
    /// `plan --detailed-exitcode`: there is something to do.
    Changes,
}

impl ExitCode {
    pub const ALL: [ExitCode; 9] = [
        ExitCode::Done,
        ExitCode::Bug,
        ExitCode::Usage,
        ExitCode::Refused,
        ExitCode::NotAll,
        ExitCode::Resumable,
        ExitCode::NeedsPerson,
        ExitCode::Unwritten,
        ExitCode::Changes,
    ];

    pub fn code(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::Bug => 1,
            ExitCode::Usage => 2,
            ExitCode::Refused => 3,
            ExitCode::NotAll => 4,
            ExitCode::Resumable => 5,
            ExitCode::NeedsPerson => 6,
            ExitCode::Unwritten => 7,
            ExitCode::Changes => 10,
        }
    }

    /// For machines that read words.
    pub fn word(self) -> &'static str {
        match self {
            ExitCode::Done => "done",
            ExitCode::Bug => "bug",
            ExitCode::Usage => "usage",
            ExitCode::Refused => "refused",
            ExitCode::NotAll => "not_all",
            ExitCode::Resumable => "resumable",
            ExitCode::NeedsPerson => "needs_person",
            ExitCode::Unwritten => "unwritten",
            ExitCode::Changes => "changes",
        }
    }

    /// For the manual and the help.
    pub fn meaning(self) -> &'static str {
        match self {
            ExitCode::Done => "everything planned was switched over",
            ExitCode::Bug => "a bug in coldswap",
            ExitCode::Usage => "the command line is wrong",
            ExitCode::Refused => "a file, a runbook or a plan was refused; nothing was touched",
            ExitCode::NotAll => "finished, and some of what was planned was not switched over",
            ExitCode::Resumable => "stopped or parked; `coldswap resume` goes on",
            ExitCode::NeedsPerson => "in doubt, or something is owed; a person must look",
            ExitCode::Unwritten => "done, and its result could not be written where it was wanted",
            ExitCode::Changes => "`plan --detailed-exitcode`: there is something to do",
        }
    }
}

/// The worst thing that the report tells decides. What a person owes comes before what a `resume` can do, since a
/// resume does not settle it.
pub fn exit_code(report: &Report) -> ExitCode {
    let any = |outcome: Outcome| report.switchovers.iter().any(|s| s.outcome == Some(outcome) && s.settled_at.is_none());
    if any(Outcome::InDoubt) || !report.totals.debts.is_empty() {
        ExitCode::NeedsPerson
    } else if any(Outcome::Stopped) || report.switchovers.iter().any(|s| s.status != SwitchoverStatus::Finished) {
        ExitCode::Resumable
    } else if report.switchovers.iter().any(|s| s.outcome != Some(Outcome::SwitchedOver)) {
        ExitCode::NotAll
    } else {
        ExitCode::Done
    }
}
