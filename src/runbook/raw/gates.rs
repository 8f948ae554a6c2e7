//! Limits, windows, approval and notifications as written.

use super::hooks::{RawHttp, http, span};
use crate::model::{FailureDomain, Rate, Span, Threshold};
use crate::runbook::shape::*;

#[derive(Clone, Debug, Default)]
pub struct RawLimits {
    pub at_once: Option<At<i64>>,
    pub canary: Option<At<i64>>,
    pub per_domain: Option<At<()>>,
    pub start_rate: Option<At<Rate>>,
    pub stop_after_failures: Option<At<Threshold>>,
    pub refuse_above: Option<At<Threshold>>,
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
    pub events: Vec<At<&'static str>>,
    pub http: Option<RawHttp>,
}

pub fn limits() -> Record<RawLimits> {
    record("limits", |f| {
        let threshold = quantity("a whole number or a share such as `10%`");
        let at_once = f.optional("at_once", "switchovers in flight; default 10", at_least(1));
        let canary = f.optional("canary", "after the first ones: pause for decide", at_least(1));
        let per_domain = f.optional(
            "per_domain",
            "in flight in one failure domain",
            Placed(record("per domain", |f| {
                for level in FailureDomain::LEVELS {
                    f.optional(level, "in flight, source or destination", at_least(1));
                }
                Some(())
            })),
        );
        let start_rate = f.optional("start_rate", "how fast switchovers start", quantity("a rate such as `1/s`"));
        let stop = f.optional("stop_after_failures", "cumulative over the run; then nothing new starts", threshold);
        let refuse = f.optional("refuse_above", "share of all volume-booted nodes; more is refused", threshold);
        Some(RawLimits { at_once, canary, per_domain, start_rate, stop_after_failures: stop, refuse_above: refuse })
    })
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
        let events = ["started", "failed", "finished", "paused", "in_doubt"].map(|e| (e, e));
        let events = f.required("events", "when it is sent", list_of("a list of events", words(&events)).not_empty());
        let http = f.required("http", "the request", http());
        Some(RawNotify { events: events.unwrap_or_default(), http })
    })
}
