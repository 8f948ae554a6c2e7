//! What kind of value a scalar is where the place does not decide it: labels, properties, variables, JSON bodies.

use super::{Tree, Value};
use crate::model::Scalar;

/// YAML 1.2's core schema with its traps taken out: only `true` and `false` are truth values, only decimal numbers
/// without leading zeros are numbers, and what stands in quotes is text.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    Nothing,
    Bool(bool),
    Integer(i64),
    /// A decimal fraction, as JSON would have it.
    Decimal(serde_json::Number),
    Text,
}

impl Tree {
    /// `None` for lists and maps.
    pub fn typed(&self) -> Option<Typed> {
        let Value::Scalar { text, plain } = &self.value else { return None };
        if !plain {
            return Some(Typed::Text);
        }
        Some(match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Typed::Nothing,
            "true" => Typed::Bool(true),
            "false" => Typed::Bool(false),
            _ => number(text).unwrap_or(Typed::Text),
        })
    }

    /// The value of a label or property; `None` for nothing, lists and maps. Fractions are text.
    pub fn scalar(&self) -> Option<Scalar> {
        let text = self.text()?;
        match self.typed()? {
            Typed::Nothing => None,
            Typed::Bool(b) => Some(Scalar::Bool(b)),
            Typed::Integer(n) => Some(Scalar::Integer(n)),
            Typed::Decimal(_) | Typed::Text => Some(Scalar::Text(text.to_owned())),
        }
    }

    /// The same as JSON.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::List(items) => items.iter().map(Tree::json).collect(),
            Value::Map(entries) => serde_json::Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.json())).collect()),
            Value::Scalar { text, .. } => match self.typed() {
                Some(Typed::Bool(b)) => b.into(),
                Some(Typed::Integer(n)) => n.into(),
                Some(Typed::Decimal(n)) => n.into(),
                Some(Typed::Text) => text.clone().into(),
                Some(Typed::Nothing) | None => serde_json::Value::Null,
            },
        }
    }
}

/// A number that JSON would write in the same way, so that nothing is lost on the way back.
fn number(text: &str) -> Option<Typed> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || whole.len() > 1 && whole.starts_with('0') || text == "-0" {
        return None;
    }
    match part {
        None => text.parse().ok().map(Typed::Integer),
        Some(part) if all_digits(part) => text.parse().ok().and_then(serde_json::Number::from_f64).map(Typed::Decimal),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str, plain: bool) -> Tree {
        Tree { value: Value::Scalar { text: text.into(), plain }, at: 0..0 }
    }

    #[test]
    fn only_what_is_written_in_one_way_is_a_number_or_a_truth_value() {
        for (text, want) in
            [("true", Scalar::Bool(true)), ("7", Scalar::Integer(7)), ("-3", Scalar::Integer(-3)), ("0", Scalar::Integer(0))]
        {
            assert_eq!(scalar(text, true).scalar(), Some(want.clone()));
            assert_eq!(scalar(text, true).scalar().map(|s| s.to_string()).as_deref(), Some(text), "nothing is lost");
            assert_eq!(scalar(text, false).scalar(), Some(Scalar::Text(text.into())), "quoted");
        }
        for text in ["no", "on", "yes", "True", "0755", "1e3", "0x1f", "1_000", "+1", "-0", "1.0", "9223372036854775808", ".5", "5."] {
            assert_eq!(scalar(text, true).scalar(), Some(Scalar::Text(text.into())), "{text}");
        }
        for text in ["", "~", "null"] {
            assert_eq!(scalar(text, true).scalar(), None);
        }
    }

    #[test]
    fn json_bodies_keep_fractions() {
        assert_eq!(scalar("0.5", true).json(), serde_json::json!(0.5));
        assert_eq!(scalar("0.5", false).json(), serde_json::json!("0.5"));
    }
}
