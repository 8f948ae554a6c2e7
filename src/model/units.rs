//! Quantities with their units: points in time, spans, sizes, rates, shares. Each reads and writes the text of the
//! runbook language (`5m`, `512GiB`, `1/s`, `10%`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z. The executor's clock never goes backwards within a process; across
/// processes a `Time` is for people and for bounds that are generous, never for order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// RFC 3339, as [`Time::exact`] writes it.
    pub fn parse(text: &str) -> Option<Time> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Time(t.as_microsecond()))
    }

    /// RFC 3339 in UTC, without loss.
    pub fn exact(self) -> String {
        jiff::Timestamp::from_microsecond(self.0).map_or_else(|_| self.to_string(), |t| t.to_string())
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Time) -> Span {
        Span(u64::try_from(self.0 - earlier.0).unwrap_or(0) / 1000)
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        let micros = i64::try_from(span.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        Time(self.0.saturating_add(micros))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, more: Span) -> Span {
        Span(self.0.saturating_add(more.0))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        let micros = i64::try_from(span.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        Time(self.0.saturating_sub(micros))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

/// A length of time in milliseconds. Text: a whole number and one unit of `ms s m h d`, or several (`1h30m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Span {
    pub const ZERO: Span = Span(0);
    pub const fn millis(n: u64) -> Span {
        Span(n)
    }
    pub const fn secs(n: u64) -> Span {
        Span(n * 1000)
    }
    pub const fn mins(n: u64) -> Span {
        Span(n * 60_000)
    }
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl fmt::Display for Span {
    /// The shortest exact text: `90s` is `1m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in UNITS {
            let n = rest / size;
            rest %= size;
            if n > 0 {
                write!(f, "{n}{unit}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Span, String> {
        let bad = || format!("`{text}` is not a duration; write a whole number and a unit, like `90s`, `5m`, `2h` or `14d`");
        let mut rest = text.trim();
        let mut total = 0u64;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let n: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (_, size) = UNITS.iter().find(|(u, _)| *u == &rest[..letters]).ok_or_else(bad)?;
            total = n.checked_mul(*size).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
            rest = &rest[letters..];
        }
        Ok(Span(total))
    }
}

/// Bytes. Text: a whole number and `B KiB MiB GiB TiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = SIZES.iter().find(|(_, s)| self.0 >= *s && self.0.is_multiple_of(*s)).unwrap_or(&SIZES[4]);
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Bytes, String> {
        let bad = || format!("`{text}` is not a size; write a whole number and a unit, like `512GiB`");
        let t = text.trim();
        let digits = t.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let n: u64 = t[..digits].parse().map_err(|_| bad())?;
        let (_, size) = SIZES.iter().find(|(u, _)| *u == &t[digits..]).ok_or_else(bad)?;
        n.checked_mul(*size).map(Bytes).ok_or_else(bad)
    }
}

/// So many per span: `1/s`, `30/m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Span,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, s)| *s == self.per.0).map_or("s", |(u, _)| *u);
        write!(f, "{}/{unit}", self.count)
    }
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Rate, String> {
        let bad = || format!("`{text}` is not a rate; write a whole number, `/` and a unit, like `1/s` or `30/m`");
        let (n, unit) = text.trim().split_once('/').ok_or_else(bad)?;
        let count: u32 = n.trim().parse().map_err(|_| bad())?;
        let (_, per) = UNITS.iter().find(|(u, _)| *u == unit.trim()).ok_or_else(bad)?;
        if count == 0 {
            return Err(bad());
        }
        Ok(Rate { count, per: Span(*per) })
    }
}

/// A number of things, or a share of them in hundredths of a percent: `2`, `10%`, `12.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    Count(u32),
    Share(u32),
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threshold::Count(n) => write!(f, "{n}"),
            Threshold::Share(s) if s % 100 == 0 => write!(f, "{}%", s / 100),
            Threshold::Share(s) => write!(f, "{}.{:02}%", s / 100, s % 100),
        }
    }
}

impl FromStr for Threshold {
    type Err = String;
    fn from_str(text: &str) -> Result<Threshold, String> {
        let bad = || format!("`{text}` is neither a whole number nor a share like `10%`");
        let t = text.trim();
        let Some(share) = t.strip_suffix('%') else { return t.parse().map(Threshold::Count).map_err(|_| bad()) };
        let (whole, part) = share.split_once('.').unwrap_or((share, "0"));
        if part.len() > 2 || !part.bytes().all(|b| b.is_ascii_digit()) || part.is_empty() {
            return Err(bad());
        }
        let whole: u32 = whole.parse().map_err(|_| bad())?;
        let part: u32 = format!("{part:0<2}").parse().map_err(|_| bad())?;
        if whole > 100 || whole * 100 + part > 10_000 {
            return Err(format!("`{text}` is more than the whole"));
        }
        Ok(Threshold::Share(whole * 100 + part))
    }
}

macro_rules! text_serde {
    ($name:ident, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    };
}

text_serde!(Span, "^([0-9]+(ms|s|m|h|d))+$");
text_serde!(Bytes, "^[0-9]+(B|KiB|MiB|GiB|TiB)$");
text_serde!(Rate, "^[1-9][0-9]*/(ms|s|m|h|d)$");
text_serde!(Threshold, "^([0-9]+|[0-9]+([.][0-9]{1,2})?%)$");

#[cfg(test)]
mod tests {
    use super::*;

    fn round<T: FromStr + fmt::Display>(text: &str) -> Option<String> {
        text.parse::<T>().ok().map(|t| t.to_string())
    }

    #[test]
    fn spans_read_and_write_their_own_text() {
        for (text, want) in [("90s", "1m30s"), ("5m", "5m"), ("14d", "14d"), ("1h30m", "1h30m"), ("0s", "0s"), ("250ms", "250ms")] {
            assert_eq!(round::<Span>(text).as_deref(), Some(want));
        }
        for text in ["", "5", "m", "-5m", "5 m", "1.5h", "5min", "99999999999999999999d", "300000000000d"] {
            assert_eq!(round::<Span>(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_rates_and_thresholds_read_and_write_their_own_text() {
        assert_eq!(round::<Bytes>("512GiB").as_deref(), Some("512GiB"));
        assert_eq!(round::<Bytes>("1024MiB").as_deref(), Some("1GiB"));
        assert_eq!(round::<Bytes>("512GB"), None);
        assert_eq!(round::<Rate>("30/m").as_deref(), Some("30/m"));
        assert_eq!(round::<Rate>("0/s"), None);
        assert_eq!(round::<Threshold>("10%").as_deref(), Some("10%"));
        assert_eq!(round::<Threshold>("12.5%").as_deref(), Some("12.50%"));
        assert_eq!(round::<Threshold>("2").as_deref(), Some("2"));
        assert_eq!(round::<Threshold>("101%"), None);
    }

    #[test]
    fn a_time_before_another_is_no_time_since() {
        assert_eq!(Time(1_000).since(Time(5_000_000)), Span::ZERO);
        assert_eq!((Time(0) + Span::secs(2)).since(Time(0)), Span::secs(2));
    }
}
