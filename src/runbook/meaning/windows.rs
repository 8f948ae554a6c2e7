//! Windows: do they open before they close, and can their times be read at all?
//!
//! Whether a name is a time zone is asked of the time zone database, which is data like the language's own lists.

use super::Check;
use crate::diagnostic::codes;
use crate::model::{Span, Window};
use crate::runbook::raw::RawWindow;
use crate::runbook::shape::At;
use jiff::civil::DateTime;
use std::str::FromStr;

pub(super) fn windows(check: &Check<'_>, windows: &[At<RawWindow>]) -> Vec<Window> {
    windows.iter().filter_map(|w| window(check, w)).collect()
}

fn window(check: &Check<'_>, window: &At<RawWindow>) -> Option<Window> {
    let raw = &window.value;
    let zone = time_zone(check, raw.time_zone.as_ref());
    let times = raw.opens.as_ref().map(|t| time(check, t)).zip(raw.closes.as_ref().map(|t| time(check, t)));
    if let (Some((Some(opens), Some(closes))), Some(at)) = (times, &raw.closes)
        && closes <= opens
    {
        check.reading.error(codes::TIME_RANGE, "the window closes before it opens", &at.at);
    }
    let cron = raw.cron.as_ref().map(|c| recurrence(check, c));
    if let Some(lasts) = raw.lasts.as_ref().filter(|l| l.value == Span::ZERO) {
        check.reading.error(codes::OUT_OF_RANGE, "`for: 0s` opens no window at all", &lasts.at);
    }
    let (with, missing) = if raw.cron.is_some() {
        ("cron", raw.lasts.is_none().then_some("for"))
    } else {
        ("opens", raw.closes.is_none().then_some("closes"))
    };
    if let (Some(missing), true) = (missing, raw.cron.is_some() || raw.opens.is_some()) {
        check.reading.error(codes::MISSING_KEY, format!("a window with `{with}` needs `{missing}`"), &window.at);
    }
    let time_zone = zone?;
    if let (Some((Some(opens), Some(closes))), Some(at)) = (times, &raw.opens)
        && opens < closes
    {
        on_the_clock(check, &time_zone, (opens, closes), at);
    }
    match (cron, &raw.lasts, &raw.opens, &raw.closes) {
        (Some(cron), Some(lasts), _, _) => Some(Window::Cron { cron: cron?, lasts: lasts.value, time_zone }),
        (None, _, Some(opens), Some(closes)) => Some(Window::Once { opens: opens.value.clone(), closes: closes.value.clone(), time_zone }),
        _ => None,
    }
}

/// Is there such a time, and is it open at all where clocks change? The later of what `opens` may mean and the earlier of
/// what `closes` may mean count.
fn on_the_clock(check: &Check<'_>, zone: &str, (opens, closes): (DateTime, DateTime), at: &At<String>) {
    let Ok(zone) = jiff::tz::TimeZone::get(zone) else { return };
    let meant = zone.to_ambiguous_zoned(opens).later().and_then(|o| Ok((o, zone.to_ambiguous_zoned(closes).earlier()?)));
    match meant {
        Err(_) => check.reading.error(codes::TIME_RANGE, "this is too far away to be worked out", &at.at),
        Ok((opens, closes)) if closes <= opens => {
            let message = "the window never opens: its times are skipped or repeated where the clocks change";
            check.reading.hinted(codes::TIME_RANGE, message, &at.at, "write both times before or both after the change, or use UTC");
        }
        Ok(_) => {}
    }
}

/// Any day that there is comes within eight years of this one: 29 February is left out in 2100.
const FROM: &str = "2096-03-01T00:00[UTC]";

fn recurrence(check: &Check<'_>, cron: &At<String>) -> Option<String> {
    let hint = "minute, hour, day of the month, month, day of the week";
    if cron.value.split_whitespace().count() != 5 {
        check.reading.hinted(codes::TIME_RANGE, "a recurrence has five fields", &cron.at, hint);
        return None;
    }
    match croner::Cron::from_str(&cron.value) {
        Ok(pattern) if FROM.parse().is_ok_and(|from| pattern.find_next_occurrence::<jiff::Zoned>(&from, false).is_err()) => {
            check.reading.hinted(codes::TIME_RANGE, format!("`{}` never comes", cron.value), &cron.at, hint);
            None
        }
        Ok(_) => Some(cron.value.clone()),
        Err(why) => {
            check.reading.hinted(codes::TIME_RANGE, format!("`{}` is not a recurrence: {why}", cron.value), &cron.at, hint);
            None
        }
    }
}

fn time_zone(check: &Check<'_>, written: Option<&At<String>>) -> Option<String> {
    let Some(written) = written else { return Some("UTC".to_owned()) };
    if jiff::tz::TimeZone::get(&written.value).is_ok() {
        return Some(written.value.clone());
    }
    let message = format!("`{}` is not a time zone", written.value);
    check.reading.hinted(codes::TIME_RANGE, message, &written.at, "write it like Europe/Berlin, or UTC");
    None
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
