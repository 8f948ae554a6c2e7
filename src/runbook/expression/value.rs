//! Values of the runbook language. Cheap to clone: the same node is bound to thousands of evaluations.

use crate::model::*;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What an expression computes with. There is one kind of absence: a label, fact or list element that is not there is
/// `None`, as is `none` written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    List(Arc<[Value]>),
    Map(Arc<BTreeMap<String, Value>>),
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }

    pub fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
        Value::Map(Arc::new(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
    }

    pub fn optional(text: Option<&str>) -> Value {
        text.map_or(Value::None, Value::text)
    }

    /// What kind of value it is, in the words of the messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "none",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Where it stands in an order of all values, by kind first: to find equals, not what the language calls less.
    pub(in crate::runbook) fn place(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => Value::place_of_lists(a, b),
            (Value::Map(a), Value::Map(b)) => {
                let fields = a.iter().zip(b.iter()).map(|((n, x), (m, y))| n.cmp(m).then_with(|| x.place(y)));
                fields.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (a, b) => a.number_of_kind().cmp(&b.number_of_kind()),
        }
    }

    pub(in crate::runbook) fn place_of_lists(a: &[Value], b: &[Value]) -> Ordering {
        let items = a.iter().zip(b).map(|(x, y)| x.place(y));
        items.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
    }

    fn number_of_kind(&self) -> u8 {
        match self {
            Value::None => 0,
            Value::Bool(_) => 1,
            Value::Integer(_) => 2,
            Value::Float(_) => 3,
            Value::Text(_) => 4,
            Value::List(_) => 5,
            Value::Map(_) => 6,
        }
    }

    /// The attribute of that name; none of anything that has none.
    pub fn attribute(&self, name: &str) -> Value {
        match self {
            Value::Map(fields) => fields.get(name).cloned().unwrap_or(Value::None),
            _ => Value::None,
        }
    }
}

impl fmt::Display for Value {
    /// As it stands in rendered text. Lists and mappings are JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            other => serde_json::Value::from(other).fmt(f),
        }
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> serde_json::Value {
        match value {
            Value::None => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Integer(n) => (*n).into(),
            Value::Float(n) => (*n).into(),
            Value::Text(t) => t.as_ref().into(),
            Value::List(items) => items.iter().map(serde_json::Value::from).collect(),
            Value::Map(fields) => fields.iter().map(|(k, v)| (k.clone(), serde_json::Value::from(v))).collect(),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::None,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => n.as_i64().map(Value::Integer).or(n.as_f64().map(Value::Float)).unwrap_or(Value::None),
            serde_json::Value::String(t) => Value::text(t),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from)),
            serde_json::Value::Object(fields) => Value::Map(Arc::new(fields.iter().map(|(k, v)| (k.clone(), v.into())).collect())),
        }
    }
}

impl From<&Scalar> for Value {
    fn from(scalar: &Scalar) -> Value {
        match scalar {
            Scalar::Bool(b) => Value::Bool(*b),
            Scalar::Integer(n) => Value::Integer(*n),
            Scalar::Text(t) => Value::text(t),
            Scalar::Secret { .. } => Value::None,
        }
    }
}
