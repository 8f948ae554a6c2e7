//! Limits, approval and notifications.

use super::Check;
use super::hooks::action;
use crate::diagnostic::codes;
use crate::model::{Approval, Canary, Span, Threshold};
use crate::runbook::raw::{RawCanary, RawRunbook};
use crate::runbook::shape::At;
use crate::runbook::{Limits, Names, NotifyTemplate};

pub(super) fn limits(check: &Check<'_>, raw: &RawRunbook) -> Limits {
    let raw = &raw.limits;
    let zero = |t: &&At<Threshold>| matches!(t.value, Threshold::Count(0) | Threshold::Share(0));
    if let Some(stop) = raw.stop_after_failures.as_ref().filter(zero) {
        let message = format!("`{}` failures would stop the run before it starts", stop.value);
        check.reading.hinted(codes::OUT_OF_RANGE, message, &stop.at, "write `1` to stop at the first failure");
    }
    if let Some(refuse) = raw.refuse_above.as_ref().filter(zero) {
        let message = format!("`refuse_above: {}` would refuse every plan", refuse.value);
        check.reading.hinted(codes::OUT_OF_RANGE, message, &refuse.at, "write a share such as `20%`");
    }
    let default = Limits::default();
    Limits {
        at_once: raw.at_once.as_ref().map_or(default.at_once, At::small),
        stop_after_failures: raw.stop_after_failures.as_ref().map(|s| s.value),
        canary: raw.canary.as_ref().map(|c| canary(check, c)),
        per_domain: raw.per_domain.iter().map(|(level, limit)| ((*level).to_owned(), limit.small())).collect(),
        start_rate: raw.start_rate.as_ref().map(|r| r.value),
        refuse_above: raw.refuse_above.as_ref().map(|r| r.value),
    }
}

fn canary(check: &Check<'_>, raw: &RawCanary) -> Canary {
    some_time(check, raw.timeout.as_ref());
    Canary {
        count: raw.count.small(),
        timeout: raw.timeout.as_ref().map_or(Canary::TIMEOUT, |t| t.value),
        go: raw.default.as_ref().is_some_and(|d| d.value),
    }
}

pub(super) fn some_time(check: &Check<'_>, timeout: Option<&At<Span>>) {
    if let Some(timeout) = timeout.filter(|t| t.value == Span::ZERO) {
        check.reading.error(codes::OUT_OF_RANGE, "`timeout: 0s` leaves no time at all", &timeout.at);
    }
}

pub(super) fn approval(check: &Check<'_>, raw: &RawRunbook) -> Option<Approval> {
    let raw = &raw.approval.as_ref()?.value;
    some_time(check, raw.timeout.as_ref());
    raw.required.as_ref().is_some_and(|r| r.value).then(|| Approval {
        timeout: raw.timeout.as_ref().map_or(Approval::TIMEOUT, |t| t.value),
        allow: raw.default.as_ref().is_some_and(|d| d.value),
    })
}

pub(super) fn notify(check: &Check<'_>, raw: &RawRunbook) -> Vec<NotifyTemplate> {
    check.names.set(Names::Event);
    let read = raw.notify.iter().filter_map(|n| {
        let action = action(check, n.value.action.as_ref()?, &Default::default())?;
        Some(NotifyTemplate { events: n.value.events.iter().map(|e| e.value).collect(), action })
    });
    let read = read.collect();
    check.names.set(Names::Switchover);
    read
}
