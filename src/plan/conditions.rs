//! What holds a run back or stops it, as a person reads it under the plan.

use super::Plan;
use crate::model::{Approval, Canary, Window};

/// One line each, in the order in which they are met. What the runbook leaves out is not told, and a limit that this plan
/// cannot reach neither.
pub fn conditions(plan: &Plan) -> Vec<String> {
    let limits = &plan.limits;
    let storm = plan.storm.as_ref().map(|storm| format!("storm: {storm}; carried out only with --allow-storm"));
    let windows = plan.windows.iter().map(|window| format!("window: {}", window_words(window)));
    let mut pace = Vec::new();
    if plan.switchovers.len() > limits.at_once as usize {
        pace.push(format!("{} at once", limits.at_once));
    }
    pace.extend(limits.per_domain.iter().map(|(level, most)| format!("{most} in flight in one {level}")));
    pace.extend(limits.start_rate.map(|rate| format!("starts {rate}")));
    let pace = (!pace.is_empty()).then(|| format!("at most: {}", pace.join(", ")));
    let brake = limits.stop_after_failures.as_ref().map(|most| format!("nothing new starts after failures: {most}"));
    let tells = (!plan.notify.is_empty()).then(|| format!("notifications: {}", plan.notify.len()));
    storm
        .into_iter()
        .chain(windows)
        .chain(plan.approval.as_ref().map(approval_words))
        .chain(limits.canary.as_ref().map(canary_words))
        .chain(pace)
        .chain(brake)
        .chain(tells)
        .collect()
}

fn window_words(window: &Window) -> String {
    match window {
        Window::Once { opens, closes, time_zone } => format!("from {opens} until {closes}, {time_zone}"),
        Window::Cron { cron, lasts, time_zone } => format!("`{cron}` for {lasts}, {time_zone}"),
    }
}

fn approval_words(approval: &Approval) -> String {
    let default = if approval.allow { "it starts" } else { "it does not start" };
    format!("approval: somebody agrees before the first step; without an answer for {} {default}", approval.timeout)
}

fn canary_words(canary: &Canary) -> String {
    let default = if canary.go { "go on" } else { "do not start" };
    format!("canary: after the first {} somebody decides; without an answer for {} the others {default}", canary.count, canary.timeout)
}
