//! Ironic's JSON, read without trust: a field may be absent, null, empty or of another type.

use crate::model::Scalar;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What Ironic shows in place of a secret. It is never taken for a value.
pub(super) const MASK: &str = "******";

/// The key under `extra` that is ours.
pub(super) const OURS: &str = "coldswap";

pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str().map(str::trim).filter(|t| !t.is_empty())
}

/// Text, or a number as text: people write a rack as `7`.
pub(super) fn words(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

pub(super) fn flag(value: &Value, key: &str) -> bool {
    match value.get(key) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// A number, or one that is written as text.
pub(super) fn number<N: FromStr + TryFrom<u64>>(value: &Value, key: &str) -> Option<N> {
    match value.get(key)? {
        Value::Number(n) => N::try_from(n.as_u64()?).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn uuid(value: &Value, key: &str) -> Option<uuid::Uuid> {
    text(value, key)?.parse().ok()
}

/// A key that may hold a secret, or a value that stands for one.
pub(super) fn is_secret(key: &str, value: &Value) -> bool {
    let name = key.to_lowercase();
    value.as_str() == Some(MASK) || ["password", "passwd", "secret", "token", "private_key"].iter().any(|word| name.contains(word))
}

/// What is text, a whole number or a flag, and no secret.
pub(super) fn scalar(key: &str, value: &Value) -> Option<Scalar> {
    match value {
        _ if is_secret(key, value) => None,
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Bool(flag) => Some(Scalar::Bool(*flag)),
        Value::Number(n) => Some(n.as_i64().map_or_else(|| Scalar::Text(n.to_string()), Scalar::Integer)),
        _ => None,
    }
}

pub(super) fn scalars(value: Option<&Value>) -> BTreeMap<String, Scalar> {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), scalar(key, value)?))).collect()
}

/// Our own part of a record's `extra`.
pub(super) fn ours(record: &Value) -> Option<&Map<String, Value>> {
    record.get("extra")?.get(OURS)?.as_object()
}

/// `properties.capabilities`: `a:1,b:2`, or a map.
pub(super) fn capabilities(properties: &Value) -> BTreeMap<String, String> {
    match properties.get("capabilities") {
        Some(Value::String(text)) => text
            .split(',')
            .filter_map(|pair| pair.split_once(':'))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .filter(|(key, _)| !key.is_empty())
            .collect(),
        Some(Value::Object(map)) => {
            map.iter().map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
        }
        _ => BTreeMap::new(),
    }
}
