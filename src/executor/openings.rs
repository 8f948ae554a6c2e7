//! From declared windows to instants. This is where the time zone database is asked; the engine only compares.
//!
//! A window whose edge falls into an hour that a change of clocks skips or repeats is taken as the shorter of what it
//! may mean. A recurrence opens once a day that has its time twice, and just after the gap on a day that has it never;
//! `for` is elapsed time either way.

use crate::model::gate_table::gates;
use crate::model::*;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::str::FromStr;

/// Openings of each recurrence that are worked out ahead. A run that lasts longer is parked and taken up again.
const AHEAD: usize = 100;
/// And in all, those that have closed again included.
const SEARCHED: usize = 100_000;
/// A recurrence that never comes is not searched for ever.
const HORIZON: Span = Span::mins(60 * 24 * 366 * 2);

/// When these windows are open, from the one at `now` or the next on, in order; what touches or overlaps is one.
///
/// # Errors
/// In words: a time, a recurrence or a time zone that this machine does not know. Then nothing may start.
pub fn openings(windows: &[Window], now: Time) -> Result<Vec<Opening>, String> {
    let mut all = Vec::new();
    for window in windows {
        match window {
            Window::Once { opens, closes, time_zone } => {
                let zone = zone(time_zone)?;
                let (opens, closes) = (edge(&zone, opens, true)?, edge(&zone, closes, false)?);
                all.push(Opening { opens, closes });
            }
            Window::Cron { cron, lasts, time_zone } => recurring(cron, *lasts, &zone(time_zone)?, now, &mut all)?,
        }
    }
    all.retain(|o| o.opens < o.closes && now < o.closes);
    all.sort_unstable();
    let mut merged: Vec<Opening> = Vec::with_capacity(all.len());
    for next in all {
        match merged.last_mut() {
            Some(last) if next.opens <= last.closes => last.closes = last.closes.max(next.closes),
            _ => merged.push(next),
        }
    }
    Ok(merged)
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|e| format!("time zone `{name}`: {e}"))
}

/// A local time as an instant. The later one opens and the earlier one closes.
fn edge(zone: &TimeZone, text: &str, opens: bool) -> Result<Time, String> {
    let local: DateTime = text.parse().map_err(|e| format!("`{text}`: {e}"))?;
    let meant = zone.to_ambiguous_zoned(local);
    let meant = if opens { meant.later() } else { meant.earlier() };
    meant.map(|z| Time(z.timestamp().as_microsecond())).map_err(|e| format!("`{text}`: {e}"))
}

fn recurring(cron: &str, lasts: Span, zone: &TimeZone, now: Time, all: &mut Vec<Opening>) -> Result<(), String> {
    let pattern = croner::Cron::from_str(cron).map_err(|e| format!("`{cron}`: {e}"))?;
    let at = |time: Time| -> Result<Zoned, String> {
        Ok(Timestamp::from_microsecond(time.0).map_err(|e| e.to_string())?.to_zoned(zone.clone()))
    };
    // The one that is open now opened at most `lasts` ago.
    let mut from = at(now - lasts)?;
    let last = at(now + HORIZON)?;
    let mut ahead = 0;
    for _ in 0..SEARCHED {
        let Ok(next) = pattern.find_next_occurrence(&from, false) else { return Ok(()) };
        if next > last || ahead > AHEAD {
            return Ok(());
        }
        let opens = Time(next.timestamp().as_microsecond());
        ahead += usize::from(opens > now);
        all.push(Opening { opens, closes: opens + lasts });
        from = next;
    }
    Ok(())
}

gates! {
    "time zone", "a run with a window, a recurrence or a time zone that cannot be worked out here starts nothing",
        Closed, "a window that is an hour off is no window", what_touches_is_one_window_and_what_is_over_is_none;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time(text.parse::<Timestamp>().expect("a timestamp").as_microsecond())
    }

    fn told(windows: &[Window], now: &str, count: usize) -> Vec<String> {
        let found = openings(windows, time(now)).expect("openings");
        found.iter().take(count).map(|o| format!("{} {}", o.opens, o.closes.since(o.opens))).collect()
    }

    fn once(opens: &str, closes: &str) -> Window {
        Window::Once { opens: opens.into(), closes: closes.into(), time_zone: "Europe/Berlin".into() }
    }

    fn cron(text: &str, hours: u64) -> Window {
        Window::Cron { cron: text.into(), lasts: Span::mins(60 * hours), time_zone: "Europe/Berlin".into() }
    }

    #[test]
    fn winter_and_summer() {
        let windows = [cron("0 22 * * SAT", 6)];
        assert_eq!(told(&windows, "2026-01-01T00:00:00Z", 2), ["2026-01-03T21:00:00.000Z 6h", "2026-01-10T21:00:00.000Z 6h"]);
        assert_eq!(told(&windows, "2026-07-01T00:00:00Z", 1), ["2026-07-04T20:00:00.000Z 6h"]);
        assert_eq!(told(&windows, "2026-01-04T01:00:00Z", 1), ["2026-01-03T21:00:00.000Z 6h"], "the one that is open");
        assert_eq!(told(&windows, "2026-01-04T03:00:00Z", 1), ["2026-01-10T21:00:00.000Z 6h"], "closed on the second");
    }

    #[test]
    fn a_window_over_a_change_of_clocks_lasts_as_long_as_it_says() {
        // 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00.
        assert_eq!(told(&[cron("0 22 * * SAT", 6)], "2026-03-28T12:00:00Z", 1), ["2026-03-28T21:00:00.000Z 6h"]);
        assert_eq!(told(&[once("2026-03-28T22:00", "2026-03-29T04:00")], "2026-03-01T00:00:00Z", 1), ["2026-03-28T21:00:00.000Z 5h"]);
        assert_eq!(told(&[once("2026-10-24T22:00", "2026-10-25T04:00")], "2026-03-01T00:00:00Z", 1), ["2026-10-24T20:00:00.000Z 7h"]);
    }

    #[test]
    fn a_time_that_is_skipped_or_repeated_gives_the_shorter_window() {
        // 02:30 is not on 29 March: it opens at 03:30 (01:30Z), and closes at 01:30 (00:30Z).
        assert_eq!(told(&[once("2026-03-29T02:30", "2026-03-29T04:00")], "2026-03-01T00:00:00Z", 1), ["2026-03-29T01:30:00.000Z 30m"]);
        assert_eq!(told(&[once("2026-03-29T01:00", "2026-03-29T02:30")], "2026-03-01T00:00:00Z", 1), ["2026-03-29T00:00:00.000Z 30m"]);
        // 02:30 is twice on 25 October: 00:30Z and 01:30Z.
        assert_eq!(told(&[once("2026-10-25T02:30", "2026-10-25T04:00")], "2026-10-01T00:00:00Z", 1), ["2026-10-25T01:30:00.000Z 1h30m"]);
        assert_eq!(told(&[once("2026-10-25T01:00", "2026-10-25T02:30")], "2026-10-01T00:00:00Z", 1), ["2026-10-24T23:00:00.000Z 1h30m"]);
    }

    #[test]
    fn a_recurrence_opens_once_on_the_days_that_change_the_clocks() {
        let spring = told(&[cron("30 2 * * *", 1)], "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring.len(), 2);
        assert!(spring[0].starts_with("2026-03-29T01:") && spring[1] == "2026-03-30T00:30:00.000Z 1h", "{spring:?}");
        let autumn = told(&[cron("30 2 * * *", 1)], "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25T00:30:00.000Z 1h", "2026-10-26T01:30:00.000Z 1h"]);
    }

    #[test]
    fn what_touches_is_one_window_and_what_is_over_is_none() {
        let windows = [once("2026-05-01T10:00", "2026-05-01T12:00"), once("2026-05-01T12:00", "2026-05-01T13:00")];
        assert_eq!(told(&windows, "2026-05-01T00:00:00Z", 9), ["2026-05-01T08:00:00.000Z 3h"]);
        assert!(told(&windows, "2026-05-01T11:00:00Z", 9).is_empty());
        assert!(openings(&[Window::Once { opens: "x".into(), closes: "y".into(), time_zone: "UTC".into() }], Time(0)).is_err());
        assert!(openings(&[cron("0 0 31 2 *", 1)], time("2026-05-01T00:00:00Z")).expect("it is read").is_empty(), "never");
    }
}
