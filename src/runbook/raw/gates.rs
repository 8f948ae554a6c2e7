//! Limits, windows, approval and notifications as written.

use super::hooks::{RawAction, arguments, http, span};
use crate::model::{FailureDomain, NoticeEvent, Rate, Span, Threshold};
use crate::runbook::shape::*;

#[derive(Clone, Debug, Default)]
pub struct RawLimits {
    pub at_once: Option<At<i64>>,
    pub canary: Option<RawCanary>,
    pub per_domain: Vec<(&'static str, At<i64>)>,
    pub start_rate: Option<At<Rate>>,
    pub stop_after_failures: Option<At<Threshold>>,
    pub refuse_above: Option<At<Threshold>>,
}

/// `2`, or with what counts when nobody answers.
#[derive(Clone, Debug)]
pub struct RawCanary {
    pub count: At<i64>,
    pub timeout: Option<At<Span>>,
    /// Do the others start?
    pub default: Option<At<bool>>,
}

/// Either from one time to another, or again and again.
#[derive(Clone, Debug)]
pub struct RawWindow {
    pub opens: Option<At<String>>,
    pub closes: Option<At<String>>,
    pub cron: Option<At<String>>,
    pub lasts: Option<At<Span>>,
    pub time_zone: Option<At<String>>,
}

#[derive(Clone, Debug)]
pub struct RawApproval {
    pub required: Option<At<bool>>,
    pub timeout: Option<At<Span>>,
    /// What counts when nobody answers in time.
    pub default: Option<At<bool>>,
}

#[derive(Clone, Debug)]
pub struct RawNotify {
    pub events: Vec<At<NoticeEvent>>,
    pub action: Option<RawAction>,
}

pub fn limits() -> Record<RawLimits> {
    record("limits", |f| {
        let threshold = quantity("a whole number or a share such as `10%`");
        let at_once = f.optional("at_once", "switchovers in flight; default 10", at_least(1));
        let canary = f.optional("canary", "after the first ones: pause for decide", canary());
        let per_domain = f.optional(
            "per_domain",
            "in flight in one failure domain",
            record("per domain", |f| {
                let levels = FailureDomain::LEVELS.map(|level| (level, f.optional(level, "in flight, source or destination", at_least(1))));
                Some(levels.into_iter().filter_map(|(level, limit)| Some((level, limit?))).collect::<Vec<_>>())
            }),
        );
        let start_rate = f.optional("start_rate", "how fast switchovers start", quantity("a rate such as `1/s`"));
        let stop = f.optional("stop_after_failures", "cumulative over the run; then nothing new starts", threshold);
        let refuse = f.optional("refuse_above", "share of all volume-booted nodes; more is refused", threshold);
        let (canary, per_domain) = (canary.flatten(), per_domain.unwrap_or_default());
        Some(RawLimits { at_once, canary, per_domain, start_rate, stop_after_failures: stop, refuse_above: refuse })
    })
}

fn canary() -> Forms<Option<RawCanary>> {
    let full = record("canary", |f| {
        let count = f.required("count", "switchovers that are watched first", at_least(1));
        let timeout = f.optional("timeout", "how long to wait for decide; default 8h", span());
        let default = f.optional("default", "what counts after that; default stop", words(&[("stop", false), ("go", true)]));
        Some(RawCanary { count: count?, timeout, default })
    });
    Forms::new("a whole number or `{count: 1, timeout: 8h, default: stop}`")
        .scalar(at_least(1), |count| Some(RawCanary { count, timeout: None, default: None }))
        .map(full, Some)
}

pub fn window() -> Record<RawWindow> {
    record("window", |f| {
        f.exactly_one(&["opens", "cron"]);
        let opens = f.optional("opens", "local time, such as 2026-12-01T22:00", text("a time such as 2026-12-01T22:00"));
        let closes = f.optional("closes", "local time; with opens", text("a time such as 2026-12-02T04:00"));
        let cron = f.optional("cron", "five fields; with for", text("a cron expression such as `0 22 * * SAT`"));
        let lasts = f.optional("for", "how long it stays open; with cron", span());
        let time_zone = f.optional("time_zone", "such as Europe/Berlin; default UTC", text("a time zone such as Europe/Berlin"));
        Some(RawWindow { opens, closes, cron, lasts, time_zone })
    })
}

pub fn approval() -> Record<RawApproval> {
    record("approval", |f| {
        let required = f.required("required", "must somebody agree before the run starts?", flag());
        let timeout = f.optional("timeout", "how long to wait for it", span());
        let default = words(&[("refuse", false), ("allow", true)]);
        let default = f.optional("default", "what counts after that; default refuse", default);
        Some(RawApproval { required, timeout, default })
    })
}

pub fn notify() -> Record<RawNotify> {
    record("notification", |f| {
        f.exactly_one(&["http", "run"]);
        let events = NoticeEvent::ALL.map(|e| (e.as_str(), e));
        let events = f.required("events", "when it is sent", list_of("a list of events", words(&events)).not_empty());
        let http = f.optional("http", "a request; its texts may use event.text, event.kind, event.switchover, run.id and vars", http());
        let run = f.optional("run", "a program and its arguments; the same names", arguments());
        Some(RawNotify { events: events.unwrap_or_default(), action: http.map(RawAction::Http).or(run.map(RawAction::Run)) })
    })
}
