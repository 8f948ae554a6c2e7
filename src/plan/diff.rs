//! The plan as a person reads it: what changes, from what to what.

use super::{Plan, Switchover};
use crate::model::Span;
use crate::step::Step;
use std::fmt::Write;

/// One line of a switchover's diff.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DiffLine {
    /// `~` changes, `=` is already so.
    pub mark: char,
    pub number: u32,
    pub kind: &'static str,
    pub subject: String,
    pub before: String,
    pub after: String,
    pub remark: String,
}

/// The lines of one switchover.
pub fn diff(switchover: &Switchover) -> Vec<DiffLine> {
    let lines = switchover.steps.iter().zip(1u32..).map(|(step, number)| {
        let (before, after) = step.change_text();
        let already = switchover.already_so.contains(&number);
        let after = match step {
            Step::SetMaintenance(_) => after,
            _ if already => format!("already {after}"),
            _ => after,
        };
        DiffLine {
            mark: if already { '=' } else { '~' },
            number,
            kind: kind(step),
            subject: step.subject(),
            before: if already { String::new() } else { before },
            after,
            remark: step.remark(),
        }
    });
    lines.collect()
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Reserve(_) => "reserve",
        Step::RunHook(_) if step.prompt().is_some() => "prompt",
        Step::RunHook(_) => "hook",
        Step::SetMaintenance(_) | Step::LeaveMaintenance(_) => "maintenance",
        Step::PowerOff(_) | Step::PowerOn(_) | Step::PowerBack(_) | Step::InjectNmi(_) => "power",
        Step::SetRestorePolicy(_) => "restore policy",
        Step::NoteDebt(_) => "debt",
        Step::Fence(_) => "fence",
        Step::ClearSourceBoot(_) | Step::ConfigureBoot(_) => "boot",
        Step::MoveConnector(_) => "connector",
        Step::MoveTarget(_) => "target",
        Step::MoveInstance(_) => "instance",
        Step::Provision(p) if p.starts() => "deploy",
        Step::Provision(_) => "provision",
        Step::CleanSource(_) => "undeploy",
        Step::AwaitBoot(_) => "await boot",
        Step::Release(_) => "release",
        Step::Confirm(_) => "confirm",
    }
}

/// Lines that get longer put their remark on one of its own.
const WIDTH: usize = 100;

/// The whole plan as text.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    if let Some(run) = &plan.failback_of {
        let _ = writeln!(out, "the way home of run {run}\n");
    }
    for switchover in &plan.switchovers {
        render_switchover(&mut out, switchover);
        out.push('\n');
    }
    for left in &plan.left_out {
        let _ = writeln!(out, "left out: {:<8} {}", left.name, left.why);
    }
    for condition in super::conditions(plan) {
        let _ = writeln!(out, "{condition}");
    }
    out.push_str(&summary(plan));
    out.push('\n');
    out
}

fn render_switchover(out: &mut String, s: &Switchover) {
    let from = s.pool.as_ref().map_or("named destination".to_owned(), |p| format!("pool {p}"));
    let preferred = if s.preferred.is_empty() { String::new() } else { format!("; preferred: {}", s.preferred.join(", ")) };
    let _ = writeln!(
        out,
        "switchover {}   {} -> {}   {from}; {} facts identical{preferred}",
        s.id, s.source.name, s.destination.name, s.identical
    );
    let lines = diff(s);
    let kind_width = lines.iter().map(|l| l.kind.len()).max().unwrap_or(0);
    let subject_width = lines.iter().map(|l| l.subject.chars().count()).max().unwrap_or(0).min(32);
    for line in &lines {
        let change = match (line.before.is_empty(), line.after.is_empty()) {
            (true, _) => line.after.clone(),
            (false, _) => format!("{} -> {}", line.before, line.after),
        };
        let head = format!("  {} {:>2} {:<kind_width$}  {:<subject_width$}  ", line.mark, line.number, line.kind, line.subject);
        let text = format!("{head}{change:<24}  {}", line.remark);
        if text.trim_end().chars().count() <= WIDTH {
            let _ = writeln!(out, "{}", text.trim_end());
        } else {
            let _ = writeln!(out, "{head}{change}");
            if !line.remark.is_empty() {
                let _ = writeln!(out, "{:indent$}{}", "", line.remark, indent = head.chars().count());
            }
        }
    }
    if let Some(predicted) = &s.predicted {
        let _ = writeln!(
            out,
            "  takes about {}, at most {} in nineteen of twenty runs, by what earlier runs took",
            whole(predicted.p50),
            whole(predicted.p95)
        );
    }
    for warning in &s.warnings {
        let _ = writeln!(out, "  warning: {warning}");
    }
}

/// A second is as fine as a prediction gets.
fn whole(span: Span) -> Span {
    if span.0 < 10_000 { span } else { Span(span.0.next_multiple_of(1000)) }
}

/// One line: how much changes.
pub fn summary(plan: &Plan) -> String {
    let steps: usize = plan.switchovers.iter().map(|s| s.steps.len()).sum();
    let already: usize = plan.switchovers.iter().map(|s| s.already_so.len()).sum();
    let count = plan.switchovers.len();
    if count == 0 && !plan.left_out.is_empty() {
        return format!("nothing would be switched over: {} left out", plan.left_out.len());
    }
    let mut text = format!("{count} switchover{}, {} changes, {already} already so", if count == 1 { "" } else { "s" }, steps - already);
    if !plan.left_out.is_empty() {
        let _ = write!(text, ", {} left out", plan.left_out.len());
    }
    for pool in plan.pools.iter().filter(|p| p.keep > 0) {
        let _ = write!(text, "; pool {} keeps {} of {}", pool.name, pool.keep, pool.candidates);
    }
    text
}
