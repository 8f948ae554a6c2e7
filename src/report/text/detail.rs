//! What went wrong, switchover by switchover, and the evidence of the fence.

use super::page::Page;
use super::*;
use crate::engine::How;
use crate::model::{PowerState, Span};

/// How many lines of a hook's output a person is shown; the JSON report has all that was kept.
const OUTPUT_LINES_MAX: usize = 8;

pub(super) fn troubles(page: &mut Page, report: &Report) {
    let tolerated = |s: &SwitchoverReport| s.steps.iter().any(|t| t.status == StepStatus::Tolerated);
    let retried = |s: &SwitchoverReport| s.steps.iter().any(|t| !t.retries.is_empty());
    let good = |s: &SwitchoverReport| s.outcome == Some(Outcome::SwitchedOver) && !tolerated(s);
    let wrong: Vec<&SwitchoverReport> =
        report.switchovers.iter().filter(|s| !good(s) && (s.outcome.is_some() || tolerated(s) || retried(s))).collect();
    if !wrong.is_empty() {
        page.heading("what went wrong");
        wrong.into_iter().for_each(|s| trouble(page, s));
    }
    let late: Vec<&SwitchoverReport> = report.switchovers.iter().filter(|s| good(s) && retried(s)).collect();
    if !late.is_empty() {
        page.heading("came true at a later attempt");
    }
    for s in late {
        let steps: Vec<String> = s.steps.iter().filter_map(|t| Some(format!("{} ({})", label(t), t.retries.last()?.why.code))).collect();
        page.text(0, &format!("{}  {}", s.id, steps.join(", ")));
    }
}

fn trouble(page: &mut Page, s: &SwitchoverReport) {
    let what = s.outcome.map_or("in flight", outcome_words);
    page.inked(0, &format!("{}  {} -> {}: {what}", s.id, s.source.name, s.destination.name), what, ink_of(s.outcome));
    if let Some(why) = &s.why {
        page.field(7, "why", &format!("{} ({})", why.text, why.code));
    }
    for step in s.steps.iter().filter(|t| !t.retries.is_empty() || matches!(t.status, StepStatus::GivenUp | StepStatus::Tolerated)) {
        troubled_step(page, s, step);
    }
    if let Some(turn) = &s.rolled_back {
        let back: Vec<&StepReport> = s.steps.iter().filter(|t| t.direction == Direction::Back).collect();
        let done = back.iter().filter(|t| t.how.is_some()).count();
        let slept = back.iter().filter(|t| t.how == Some(How::AlreadySo)).count();
        page.field(
            7,
            "back",
            &format!("turned at {}; {done} of {} steps taken back, {slept} of them already so", turn.at.clock(), back.len()),
        );
    }
    if let Some(turn) = &s.cut_off {
        page.field(7, "cut off", &format!("at {}: {}", turn.at.clock(), turn.why.text));
    }
}

fn troubled_step(page: &mut Page, s: &SwitchoverReport, step: &StepReport) {
    let state = match step.status {
        StepStatus::GivenUp if step.attempts == 0 => "given up before anything was sent".to_owned(),
        StepStatus::GivenUp => format!("given up after {}", plural(step.attempts, "attempt")),
        StepStatus::Tolerated => "failed; the run went on".to_owned(),
        StepStatus::Achieved if step.retries.len() >= step.attempts as usize => "came true late, and by itself".to_owned(),
        StepStatus::Achieved => format!("came true after {}", plural(step.attempts, "attempt")),
        StepStatus::InHand => "still in hand".to_owned(),
        StepStatus::NotBegun => "not begun".to_owned(),
    };
    let subject: Vec<&str> = step.subject.split_whitespace().collect();
    page.field(7, "step", &format!("{} {}: {state}", label(step), subject.join(" ")));
    for retry in &step.retries {
        page.text(17, &format!("{} attempt {}: {}", retry.at.clock(), retry.attempt, retry.why.text));
    }
    // The switchover's own reason stands above.
    if step.why.is_some() && step.why != s.why {
        page.text(17, step.why.as_ref().map_or("", |w| &w.text));
    }
    let last = step.result.as_ref().or(step.retries.last().and_then(|r| r.result.as_ref())).filter(|r| !r.succeeded);
    if let Some(result) = last {
        page.text(17, &format!("the hook: {}, {}", result.how, result.took.brief()));
        page.quote(17, &result.output, OUTPUT_LINES_MAX);
    }
}

/// `8 move_target`, `back 2 power_back`.
fn label(step: &StepReport) -> String {
    let way = match step.direction {
        Direction::Forward => "",
        Direction::Back => "back ",
        Direction::CuttingOff => "cutting off ",
        Direction::Settling => "settling ",
    };
    format!("{way}{} {}", step.number, step.step)
}

/// The step in hand of a switchover in flight.
pub(super) fn in_hand(s: &SwitchoverReport) -> String {
    let step = s.steps.iter().find(|t| t.status == StepStatus::InHand);
    step.map_or_else(|| "between two steps".to_owned(), label)
}

/// Who decided what.
pub(super) fn decisions(page: &mut Page, report: &Report) {
    if report.run.decisions.is_empty() {
        return;
    }
    page.heading("decisions");
    for d in &report.run.decisions {
        let by = d.by.as_deref().unwrap_or("nobody in time: the default");
        let why = d.why.as_ref().map(|w| format!(" ({w})")).unwrap_or_default();
        let refused = d.refused.as_ref().map(|w| format!("; refused: {w}")).unwrap_or_default();
        page.text(0, &format!("{}  {}: `{}` by {by}{why}{refused}", d.at.clock(), d.about, d.choice));
    }
}

/// Waits that are shorter say nothing.
const WAIT_MIN: Span = Span::secs(1);

/// What the limits held back, and how long.
pub(super) fn waits(page: &mut Page, report: &Report) {
    let long = |w: &&WaitedReport| w.took.ms >= WAIT_MIN.0;
    let waited: Vec<&SwitchoverReport> = report.switchovers.iter().filter(|s| s.waited.iter().any(|w| long(&w))).collect();
    if waited.is_empty() {
        return;
    }
    page.heading("held back");
    // Of a thousand that waited for the same thing, one line.
    let mut same: Vec<(String, Vec<&SwitchoverReport>, Vec<String>)> = Vec::new();
    for s in waited {
        let key: Vec<&str> = s.waited.iter().filter(long).map(|w| w.why.as_str()).collect();
        let key = key.join("; ");
        let took = s.waited.iter().filter(long).map(|w| w.took.brief()).collect::<Vec<_>>().join(", ");
        match same.iter_mut().find(|(k, _, _)| *k == key) {
            Some((_, who, times)) => {
                who.push(s);
                times.push(took);
            }
            None => same.push((key, vec![s], vec![took])),
        }
    }
    for (why, who, times) in same {
        let named: Vec<String> = who.iter().zip(&times).take(3).map(|(s, took)| format!("{} {took}", s.id)).collect();
        let more = if who.len() > 3 { format!(" and {} more", who.len() - 3) } else { String::new() };
        page.text(0, &format!("{}{more}: {why}", named.join(", ")));
    }
}

pub(super) fn fences(page: &mut Page, report: &Report) {
    let fenced: Vec<(&SwitchoverReport, &FenceReport)> = report.switchovers.iter().filter_map(|s| Some((s, s.fence.as_ref()?))).collect();
    if fenced.is_empty() {
        return;
    }
    page.heading("fence: who says that the source is off");
    for (s, fence) in fenced {
        page.text(0, &format!("{}  {}", s.id, fence_line(s, fence)));
    }
}

fn fence_line(s: &SwitchoverReport, fence: &FenceReport) -> String {
    let sent: Vec<String> = fence.sent.iter().filter_map(sent_words).collect();
    let sent = if sent.is_empty() { "nothing sent".to_owned() } else { sent.join(", ") };
    let Some(held) = fence.held_at else { return format!("{}: {sent}; the fence did not hold", s.source.name) };
    if let Some(voucher) = &fence.voucher {
        return vouched_line(s, fence, voucher, &held.clock());
    }
    let reads: Vec<&ReadReport> = fence.reads.iter().filter(|r| r.node == s.source.name).collect();
    let times: Vec<String> = reads.iter().map(|r| r.at.clock()).collect();
    let state = if reads.iter().all(|r| r.power == PowerState::Off) { "Off" } else { "not Off" };
    let who = reads.last().and_then(|r| r.who.as_deref()).unwrap_or("a machine without identity");
    let count = plural(u32::try_from(reads.len()).unwrap_or(u32::MAX), "time");
    let mut line = format!("{}: {sent}; read {state} {count} ({}) by {who}; held {}", s.source.name, times.join(", "), held.clock());
    for (reads, when) in [(&fence.before_start, "before the start"), (&fence.after_boot, "after the boot")] {
        if let Some(read) = reads.iter().rev().find(|r| r.node == s.source.name) {
            line.push_str(&format!("; {} {when} ({})", read.power, read.at.clock()));
        }
    }
    line
}

fn sent_words(sent: &Sent) -> Option<String> {
    match sent.reset {
        Some(reset) => Some(format!("{reset} {}", sent.at.clock())),
        None if sent.agents.is_empty() => None,
        None => Some(format!("off by {} {}", sent.agents.join(" and "), sent.at.clock())),
    }
}

/// The BMC was silent; somebody else's word is what the fence rests on.
fn vouched_line(s: &SwitchoverReport, fence: &FenceReport, voucher: &VoucherReport, held: &str) -> String {
    let name = &s.source.name;
    match voucher {
        VoucherReport::Agents(reads) => {
            let sent: Vec<String> = fence.sent.iter().filter_map(sent_words).collect();
            let reads: Vec<String> = reads.iter().map(|r| format!("{} {} {} {}", r.agent, r.plug, r.state, r.at.clock())).collect();
            format!("{name}: its BMC was silent; {}; status {}; held {held}", sent.join(", "), reads.join(", "))
        }
        VoucherReport::Attestation { by, reason, at, until, .. } => {
            format!(
                "{name}: its BMC was silent; {by} attested at {} that it is off ({reason}), until {}; held {held}",
                at.clock(),
                until.clock()
            )
        }
    }
}
