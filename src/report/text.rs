//! A report for people: what came of it first, then what went wrong, then the evidence.

mod detail;
mod page;

pub use page::{printable, printable_lines};

use super::*;
use crate::engine::Outcome;
use page::{Ink, Page};
use std::collections::BTreeMap;

/// As text of at most `width` columns (40 at least), with ANSI colours if wanted. What came from outside cannot
/// carry control characters into it.
pub fn render(report: &Report, width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    head(&mut page, report);
    summary(&mut page, report);
    switchovers(&mut page, report);
    detail::troubles(&mut page, report);
    detail::waits(&mut page, report);
    detail::decisions(&mut page, report);
    detail::fences(&mut page, report);
    left_out(&mut page, report);
    debts(&mut page, report);
    warnings(&mut page, report);
    next(&mut page, report);
    page.done()
}

/// Words for an outcome, here and in the live view.
pub fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::SwitchedOver => "switched over",
        Outcome::RolledBack => "rolled back",
        Outcome::Stopped => "stopped",
        Outcome::InDoubt => "in doubt",
        Outcome::Skipped => "skipped",
    }
}

fn ink_of(outcome: Option<Outcome>) -> Ink {
    match outcome {
        Some(Outcome::SwitchedOver) => Ink::Good,
        Some(Outcome::RolledBack | Outcome::Skipped) => Ink::Odd,
        Some(Outcome::Stopped | Outcome::InDoubt) => Ink::Bad,
        None => Ink::Plain,
    }
}

fn head(page: &mut Page, report: &Report) {
    let run = &report.run;
    let nothing = match report.totals.left_out {
        0 => "there was nothing to switch over".to_owned(),
        left => format!("nothing was switched over: {left} left out"),
    };
    let (words, ink) = match (run.status, exit_code(report)) {
        (RunStatus::Open, _) => ("not ended", Ink::Odd),
        (RunStatus::Finished, ExitCode::Done) if report.totals.planned == 0 => (nothing.as_str(), Ink::Odd),
        (RunStatus::Parked, ExitCode::NeedsPerson) => ("parked, and a person must look", Ink::Bad),
        (RunStatus::Parked, _) => ("parked", Ink::Odd),
        (RunStatus::Finished, ExitCode::Done) => ("everything planned was switched over", Ink::Good),
        (RunStatus::Finished, ExitCode::NeedsPerson) => ("finished, and a person must look", Ink::Bad),
        (RunStatus::Finished, _) => ("finished, and not everything was switched over", Ink::Odd),
    };
    page.inked(0, &format!("run {}: {words}", run.id), words, ink);
    let labels: Vec<String> = run.runbook.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let short: String = run.runbook.digest.chars().take(12).collect();
    page.field(2, "runbook", &format!("{} ({}), digest {short}", run.runbook.name, run.mode));
    if let Some(description) = &run.runbook.description {
        page.field(2, "", description);
    }
    if !labels.is_empty() {
        page.field(2, "labels", &labels.join(", "));
    }
    page.field(2, "plan", &format!("{} of store {}", run.plan, run.store));
    if let (Some(from), Some(to)) = (run.started_at, run.as_of) {
        let took = report.totals.took.as_ref().map(Took::brief).unwrap_or_default();
        let told = |n: u32, what: &str| if n == 0 { String::new() } else { format!(", {what} {}", times(n)) };
        let resumed = run.resumed.saturating_sub(run.taken_over);
        let again = told(resumed, "taken up again") + &told(run.taken_over, "taken over");
        page.field(2, "time", &format!("{from} to {to}, {took}{again}"));
    }
    page.field(2, "by", &format!("coldswap {}", run.coldswap));
    if let Some(why) = &run.paused {
        page.field(2, "paused", &why.text);
    }
}

fn times(n: u32) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

fn plural(n: u32, one: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {one}{s}")
}

fn summary(page: &mut Page, report: &Report) {
    let t = &report.totals;
    let outcomes = [
        (t.switched_over, "switched over"),
        (t.rolled_back, "rolled back"),
        (t.stopped, "stopped"),
        (t.in_doubt, "in doubt"),
        (t.skipped, "skipped"),
        (t.in_flight, "in flight"),
        (t.not_begun, "not begun"),
    ];
    let told: Vec<String> = outcomes.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let told = if told.is_empty() { "nothing to do".to_owned() } else { told.join(", ") };
    page.gap();
    page.text(0, &format!("{} planned: {told}; {} left out", t.planned, t.left_out));
    let debts = plural(u32::try_from(t.debts.len()).unwrap_or(u32::MAX), "debt");
    let rest =
        [plural(t.power_requests, "power request"), if t.retries == 1 { "1 retry".into() } else { format!("{} retries", t.retries) }];
    page.text(0, &format!("{}, {}, {debts}", rest.join(", "), plural(t.warnings, "warning")));
}

fn switchovers(page: &mut Page, report: &Report) {
    if report.switchovers.is_empty() {
        return;
    }
    page.heading("switchovers");
    let pair = |s: &SwitchoverReport| format!("{} -> {}", s.source.name, s.destination.name);
    let widest = report.switchovers.iter().map(|s| pair(s).chars().count()).max().unwrap_or(0).min(36);
    for s in &report.switchovers {
        let what = match (s.status, s.outcome) {
            (_, Some(outcome)) => outcome_words(outcome),
            (SwitchoverStatus::Waiting, None) => "not begun",
            (_, None) => "in flight",
        };
        let mut line = format!("{}  {:widest$}  {what:13}", s.id, pair(s));
        if let Some(took) = &s.took {
            line.push_str(&format!("  {:>6}", took.brief()));
        }
        if let Some(dark) = &s.dark {
            line.push_str(&format!(", dark {}", dark.brief()));
        }
        if let Some(predicted) = &s.predicted {
            line.push_str(&format!(", predicted {} (95%: {})", predicted.p50.brief(), predicted.p95.brief()));
        }
        if s.status == SwitchoverStatus::InFlight {
            line.push_str(&format!("  {}", detail::in_hand(s)));
        }
        page.inked(0, &line, what, ink_of(s.outcome));
    }
}

fn left_out(page: &mut Page, report: &Report) {
    if report.left_out.is_empty() {
        return;
    }
    page.heading("left out");
    for left in &report.left_out {
        page.field(0, &left.name, &format!("{}: {}", left.code, left.why));
    }
}

fn debts(page: &mut Page, report: &Report) {
    if report.totals.debts.is_empty() {
        return;
    }
    page.heading("owed, and for a person to settle");
    for debt in &report.totals.debts {
        page.inked(0, &format!("{}  {} -> {}", debt.switchover, debt.source, debt.destination), &debt.switchover.to_string(), Ink::Bad);
        page.field(7, "owed", &debt.text);
        page.field(7, "next", &debt.next);
        page.field(7, "", &format!("`coldswap journal {}` shows every event", report.run.id));
    }
}

/// A plan of a thousand says the same thing a thousand times, of other nodes: told once for each text.
fn warnings(page: &mut Page, report: &Report) {
    let mut by_text: BTreeMap<String, Vec<&SwitchoverReport>> = BTreeMap::new();
    for s in &report.switchovers {
        for warning in &s.warnings {
            let general = warning
                .replace(&format!("`{}`", s.source.name), "the source")
                .replace(&format!("`{}`", s.destination.name), "the destination");
            by_text.entry(general).or_default().push(s);
        }
    }
    if by_text.is_empty() {
        return;
    }
    page.heading("warnings");
    for (text, about) in by_text {
        let named: Vec<String> = about.iter().take(3).map(|s| s.id.to_string()).collect();
        let more = if about.len() > 3 { format!(" and {} more", about.len() - 3) } else { String::new() };
        page.text(0, &format!("{}{more}: {text}", named.join(", ")));
    }
}

fn next(page: &mut Page, report: &Report) {
    if report.run.status == RunStatus::Finished {
        return;
    }
    page.gap();
    page.text(0, &format!("`coldswap resume {}` goes on, unless another process is at it", report.run.id));
}
