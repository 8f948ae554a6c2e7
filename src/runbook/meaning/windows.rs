//! Windows: do they open before they close, and can their times be read at all?

use super::Check;
use crate::diagnostic::codes;
use crate::runbook::raw::RawWindow;
use crate::runbook::shape::At;
use jiff::civil::DateTime;

pub(super) fn windows(check: &Check<'_>, windows: &[At<RawWindow>]) {
    for window in windows {
        let raw = &window.value;
        let times = raw.opens.as_ref().map(|t| time(check, t)).zip(raw.closes.as_ref().map(|t| time(check, t)));
        if let (Some((Some(opens), Some(closes))), Some(at)) = (times, &raw.closes)
            && closes <= opens
        {
            check.reading.error(codes::TIME_RANGE, "the window closes before it opens", &at.at);
        }
        if let Some(cron) = raw.cron.as_ref().filter(|c| c.value.split_whitespace().count() != 5) {
            let hint = "minute, hour, day of the month, month, day of the week";
            check.reading.hinted(codes::TIME_RANGE, "a recurrence has five fields", &cron.at, hint);
        }
        let (with, missing) = if raw.cron.is_some() {
            ("cron", raw.lasts.is_none().then_some("for"))
        } else {
            ("opens", raw.closes.is_none().then_some("closes"))
        };
        if let (Some(missing), true) = (missing, raw.cron.is_some() || raw.opens.is_some()) {
            check.reading.error(codes::MISSING_KEY, format!("a window with `{with}` needs `{missing}`"), &window.at);
        }
    }
}

fn time(check: &Check<'_>, written: &At<String>) -> Option<DateTime> {
    let read = written.value.parse().ok();
    if read.is_none() {
        check.reading.hinted(
            codes::TIME_RANGE,
            format!("`{}` is not a time", written.value),
            &written.at,
            "write it like 2026-12-01T22:00",
        );
    }
    read
}
