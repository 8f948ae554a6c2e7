//! Points in time and lengths of time as a report writes them.

use crate::model::{Span, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A point in time as RFC 3339 text: UTC, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(Time);

impl Stamp {
    /// Cut down to whole milliseconds, so that what is read back is what was written.
    pub fn new(at: Time) -> Stamp {
        Stamp(Time(at.0.div_euclid(1000).saturating_mul(1000)))
    }

    pub fn time(self) -> Time {
        self.0
    }

    /// `22:03:04Z`: for lists under a heading that says the day.
    pub fn clock(self) -> String {
        let text = self.to_string();
        match text.split_once('T').and_then(|(_, clock)| clock.split_once('.')) {
            Some((clock, _)) => format!("{clock}Z"),
            None => text,
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Stamp, D::Error> {
        let text = String::deserialize(d)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Stamp::new(Time(at.as_microsecond())))
    }
}

impl JsonSchema for Stamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A point in time: RFC 3339, UTC, milliseconds.",
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9-]+T[0-9:]+\\.[0-9]{3}Z$"
        })
    }
}

/// A length of time, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Took {
    /// Milliseconds.
    pub ms: u64,
    /// The same in the runbook's words, exactly: `4m12s350ms`.
    pub text: String,
}

impl Took {
    pub fn new(span: Span) -> Took {
        Took { ms: span.0, text: span.to_string() }
    }

    pub fn between(from: Time, to: Time) -> Took {
        Took::new(to.since(from))
    }

    /// Rounded as a person would say it.
    pub fn brief(&self) -> String {
        brief(Span(self.ms))
    }
}

/// A span as a person would say it: `0.4s`, `12.3s`, `4m12s`, `2h05m`, `3d04h`.
pub fn brief(span: Span) -> String {
    let seconds = span.0 / 1000;
    match seconds {
        0..60 => format!("{seconds}.{}s", span.0 % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_as_it_was_written() {
        let stamp = Stamp::new(Time(1_700_000_000_123_999));
        let json = serde_json::to_string(&stamp).expect("json");
        assert_eq!(json, "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(serde_json::from_str::<Stamp>(&json).expect("a stamp"), stamp);
        assert_eq!(stamp.clock(), "22:13:20Z");
        assert_eq!(Stamp::new(Time(-1)).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn spans_are_rounded_for_people_and_exact_for_programs() {
        for (ms, want) in [(0, "0.0s"), (449, "0.4s"), (59_999, "59.9s"), (252_350, "4m12s"), (7_500_000, "2h05m"), (273_600_000, "3d04h")]
        {
            assert_eq!(brief(Span(ms)), want);
        }
        assert_eq!(Took::new(Span(252_350)).text, "4m12s350ms");
    }
}
