//! A JSON value read without trust, key by key: as in `wire`, what cannot be read is unknown and spoils nothing.

use crate::adapter::redfish::facts::said;
use serde_json::Value;

/// A value, or its absence.
#[derive(Clone, Copy)]
pub(super) struct Part<'a>(pub Option<&'a Value>);

impl<'a> Part<'a> {
    pub(super) fn of(value: &'a Value) -> Part<'a> {
        Part(Some(value))
    }

    pub(super) fn at(self, key: &str) -> Part<'a> {
        Part(self.0.and_then(|v| v.get(key)).filter(|v| !v.is_null()))
    }

    /// Trimmed, and not empty.
    pub(super) fn text(self, key: &str) -> Option<String> {
        match self.at(key).0? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A name that somebody filled in.
    pub(super) fn said(self, key: &str) -> Option<String> {
        said(&self.text(key))
    }

    /// Numbers may be text (`numbers_as_text`).
    pub(super) fn number(self, key: &str) -> Option<f64> {
        let number = match self.at(key).0? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|n: &f64| n.is_finite() && *n >= 0.0)
    }

    /// A list; a single object where a list belongs is a list of one.
    pub(super) fn list(self, key: &str) -> Option<Vec<Part<'a>>> {
        match self.at(key).0? {
            Value::Array(items) => Some(items.iter().map(Part::of).collect()),
            one @ Value::Object(_) => Some(vec![Part::of(one)]),
            _ => None,
        }
    }

    /// `{"@odata.id": PATH}`, or the path alone.
    pub(super) fn link(self, key: &str) -> Option<String> {
        self.at(key).path()
    }

    pub(super) fn path(self) -> Option<String> {
        let path = match self.0? {
            Value::String(path) => path.as_str(),
            object => object.get("@odata.id")?.as_str()?,
        };
        Some(path.trim().to_owned()).filter(|p| !p.is_empty())
    }

    /// Is the thing there at all? A slot without one has `Status.State` Absent.
    pub(super) fn is_present(self) -> bool {
        self.at("Status").text("State").as_deref() != Some("Absent")
    }
}

/// Models with their numbers, sorted: `8 x H100, 1 x L4`; `none` of none. Unknown where one does not say.
pub(super) fn models(all: &[Option<String>]) -> Option<String> {
    let mut named: Vec<&String> = all.iter().map(Option::as_ref).collect::<Option<_>>()?;
    named.sort();
    let groups: Vec<String> = named.chunk_by(|a, b| a == b).map(|same| format!("{} x {}", same.len(), same[0])).collect();
    Some(if groups.is_empty() { "none".to_owned() } else { groups.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn models_are_counted_and_one_that_is_unknown_makes_all_unknown() {
        let some = |t: &str| Some(t.to_owned());
        assert_eq!(models(&[]), some("none"));
        assert_eq!(models(&[some("H100"), some("A2"), some("H100")]), some("1 x A2, 2 x H100"));
        assert_eq!(models(&[some("H100"), None]), None);
    }

    #[test]
    fn values_of_the_wrong_type_are_unknown() {
        let value = json!({"n": " 7 ", "neg": -1, "t": "  ", "o": {"@odata.id": " /x "}, "l": {"a": 1}, "s": "/y", "u": null, "m": "To be filled by O.E.M."});
        let part = Part::of(&value);
        assert_eq!((part.number("n"), part.number("neg"), part.number("o"), part.number("u")), (Some(7.0), None, None, None));
        assert_eq!((part.text("t"), part.text("l"), part.said("m")), (None, None, None));
        assert_eq!((part.link("o").as_deref(), part.link("s").as_deref(), part.link("l")), (Some("/x"), Some("/y"), None));
        assert_eq!(part.list("l").map(|l| l.len()), Some(1));
        assert!(part.list("n").is_none() && part.is_present());
    }
}
