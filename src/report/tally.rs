//! Totals of a report, and what to do about what is owed.

use super::Took;
use super::steps::*;
use super::types::*;
use crate::engine::Outcome;
use crate::model::ReasonCode;

pub(super) fn totals(report: &Report) -> Totals {
    let mut totals = Totals { planned: count(report.switchovers.len()), left_out: count(report.left_out.len()), ..Totals::default() };
    for switchover in &report.switchovers {
        add(&mut totals, switchover);
    }
    if let (Some(from), Some(to)) = (report.run.started_at, report.run.as_of) {
        totals.took = Some(Took::between(from.time(), to.time()));
    }
    totals
}

fn add(totals: &mut Totals, switchover: &SwitchoverReport) {
    let place = match (switchover.status, switchover.outcome) {
        (SwitchoverStatus::Waiting, _) => &mut totals.not_begun,
        (_, None) => &mut totals.in_flight,
        (_, Some(Outcome::SwitchedOver)) => &mut totals.switched_over,
        (_, Some(Outcome::RolledBack)) => &mut totals.rolled_back,
        (_, Some(Outcome::Stopped)) => &mut totals.stopped,
        (_, Some(Outcome::InDoubt)) => &mut totals.in_doubt,
        (_, Some(Outcome::Skipped)) => &mut totals.skipped,
    };
    *place += 1;
    for step in &switchover.steps {
        totals.retries += count(step.retries.len());
        totals.power_requests += count(step.sent.iter().filter(|s| s.command == CommandKind::Reset).count());
    }
    totals.warnings += count(switchover.warnings.len());
    if let Some(text) = &switchover.debt {
        totals.debts.push(Debt {
            switchover: switchover.id,
            source: switchover.source.name.clone(),
            destination: switchover.destination.name.clone(),
            text: text.clone(),
            next: next(switchover),
        });
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What to do first. The order matters where both machines may run: the volume is what must be saved.
fn next(switchover: &SwitchoverReport) -> String {
    let (source, destination) = (&switchover.source.name, &switchover.destination.name);
    let code = switchover.why.as_ref().map(|w| w.code);
    let runs = switchover.steps.iter().any(|s| s.step == "power_on" && s.status == StepStatus::Achieved);
    if switchover.cut_off.is_some() {
        return format!(
            "make sure that `{source}` is and stays off, then check the volume for damage before `{destination}` goes on writing"
        );
    }
    if switchover.outcome == Some(Outcome::SwitchedOver) && code.is_none() {
        return format!(
            "`{destination}` serves; while `{source}` is off, see to it that its firmware opens none of these volumes (take its boot target off \
             in the BMC or the firmware's setup), then `coldswap inventory set {source} debt=`"
        );
    }
    match code {
        Some(ReasonCode::SourceOn) => {
            format!("find out who switched `{source}` on; keep `{destination}` off until it is settled which of them serves")
        }
        Some(ReasonCode::DestinationOn) => {
            format!("find out who switched `{destination}` on, and switch it off; `{source}` stays off until then")
        }
        Some(ReasonCode::WrongMachine | ReasonCode::Unidentified) => {
            format!("correct the BMC addresses and identities of `{source}` and `{destination}` in the inventory")
        }
        Some(ReasonCode::Silent) => format!("get the BMCs of `{source}` and `{destination}` to answer, then read the power of both"),
        Some(ReasonCode::HookUnknown) => "find out whether the hook ran, and finish or take back what it did".to_owned(),
        Some(ReasonCode::HookFailed) if runs => {
            format!("`{destination}` runs and `{source}` is off: do by hand what the hook should have done")
        }
        Some(ReasonCode::HookFailed) => "do by hand what the hook should have done, or take the steps before it back".to_owned(),
        Some(ReasonCode::Elsewhere | ReasonCode::SecondAttachment) => {
            "find out who moved the record, and put it where the volume really is".to_owned()
        }
        _ => format!("read the power of `{source}` and `{destination}`; only one of them may be on"),
    }
}
