//! Shapes of single values.

use super::{At, Definitions, Path, Reading, Shape};
use crate::diagnostic::{Diagnostic, codes, did_you_mean};
use crate::model::Scalar;
use crate::runbook::document::{Tree, Typed, Value, shorten};
use serde_json::{Value as Json, json};
use std::marker::PhantomData;
use std::str::FromStr;

/// Text. Whatever stands there unquoted is taken as it is written: `no`, `on`, `0755` and `1e3` are text.
#[derive(Clone, Copy)]
pub struct Text {
    wanted: &'static str,
}

pub fn text(wanted: &'static str) -> Text {
    Text { wanted }
}

impl Shape for Text {
    type Out = At<String>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<String>> {
        match &tree.value {
            Value::Scalar { text, .. } if !tree.is_nothing() && !text.is_empty() => Some(At::new(text.clone(), tree.at.clone())),
            Value::Scalar { text, plain: false } if text.is_empty() => {
                reading.error(codes::WRONG_TYPE, format!("an empty text stands{}; {} is wanted", path.inside(), self.wanted), &tree.at);
                None
            }
            _ => {
                reading.wrong_type(tree, path, self.wanted);
                None
            }
        }
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": ["string", "number", "boolean"]})
    }
}

/// `true` or `false`.
#[derive(Clone, Copy)]
pub struct Flag;

pub fn flag() -> Flag {
    Flag
}

impl Shape for Flag {
    type Out = At<bool>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<bool>> {
        if let Some(Typed::Bool(value)) = tree.typed() {
            return Some(At::new(value, tree.at.clone()));
        }
        let guess = match tree.text().map(str::to_lowercase).as_deref() {
            Some("yes" | "on" | "y" | "true") => Some("write `true`"),
            Some("no" | "off" | "n" | "false") => Some("write `false`"),
            _ => None,
        };
        let message = format!("{}; `true` or `false` is wanted", tree.describe(&path.inside()));
        reading.tell(Diagnostic::error(codes::WRONG_TYPE, message).maybe_hint(guess.map(str::to_owned)), &tree.at);
        None
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": "boolean"})
    }
}

/// A whole number within bounds, both included.
#[derive(Clone, Copy)]
pub struct Number {
    from: i64,
    to: i64,
}

pub fn number(from: i64, to: i64) -> Number {
    Number { from, to }
}

/// A whole number that fits 32 bits and is not below `from`.
pub fn at_least(from: u32) -> Number {
    Number { from: from.into(), to: u32::MAX.into() }
}

impl Shape for Number {
    type Out = At<i64>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<i64>> {
        let Some(Typed::Integer(value)) = tree.typed() else {
            let quoted = matches!(&tree.value, Value::Scalar { text, plain: false } if text.parse::<i64>().is_ok());
            let message = format!("{}; a whole number is wanted", tree.describe(&path.inside()));
            reading
                .tell(Diagnostic::error(codes::WRONG_TYPE, message).maybe_hint(quoted.then(|| "remove the quotes".to_owned())), &tree.at);
            return None;
        };
        if value < self.from || value > self.to {
            let bound = if value < self.from { format!("at least {}", self.from) } else { format!("at most {}", self.to) };
            reading.error(codes::OUT_OF_RANGE, format!("`{value}` is out of range{}; {bound} is wanted", path.inside()), &tree.at);
            return None;
        }
        Some(At::new(value, tree.at.clone()))
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": "integer", "minimum": self.from, "maximum": self.to})
    }
}

impl At<i64> {
    /// The number as the shape's bounds have made sure it is.
    pub fn small(&self) -> u32 {
        u32::try_from(self.value).unwrap_or(if self.value < 0 { 0 } else { u32::MAX })
    }
}

/// A quantity of [`crate::model::units`] in its own text.
#[derive(Clone, Copy)]
pub struct Quantity<T> {
    wanted: &'static str,
    kind: PhantomData<T>,
}

/// `wanted`: `a duration such as `5m``.
pub fn quantity<T>(wanted: &'static str) -> Quantity<T> {
    Quantity { wanted, kind: PhantomData }
}

impl<T: FromStr<Err = String> + schemars::JsonSchema> Shape for Quantity<T> {
    type Out = At<T>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<T>> {
        let Some(written) = tree.text().filter(|t| !t.is_empty()) else {
            reading.wrong_type(tree, path, self.wanted);
            return None;
        };
        match written.parse() {
            Ok(value) => Some(At::new(value, tree.at.clone())),
            Err(why) => {
                let spaced = written.contains(' ') && written.replace(' ', "").parse::<T>().is_ok();
                let inside = path.inside();
                let quoted = format!("`{written}`");
                let message = match tree.typed() {
                    Some(Typed::Text) => {
                        let why = why.split(';').next().unwrap_or_default();
                        let why = why.strip_prefix(&quoted).unwrap_or(" cannot be read");
                        format!("`{}`{inside}{why}", shorten(written))
                    }
                    _ => tree.describe(&inside),
                };
                let hint = spaced.then(|| format!("write `{}`", shorten(&written.replace(' ', ""))));
                let message = if why.contains("neither") { message } else { format!("{message}; {} is wanted", self.wanted) };
                reading.tell(Diagnostic::error(codes::BAD_QUANTITY, message).maybe_hint(hint), &tree.at);
                None
            }
        }
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        let mut schema = schemars::schema_for!(T).to_value();
        if let Some(map) = schema.as_object_mut() {
            map.retain(|key, _| key == "type" || key == "pattern");
        }
        // `2` and `0` are numbers to YAML, and quantities to us where their text says so.
        if "2".parse::<T>().is_ok() { json!({"anyOf": [{"type": "integer", "minimum": 0}, schema]}) } else { schema }
    }
}

/// One of a fixed list of words.
#[derive(Clone)]
pub struct Words<T: 'static> {
    words: Vec<(String, T)>,
}

pub fn words<T: Clone>(words: &[(&str, T)]) -> Words<T> {
    Words { words: words.iter().map(|(w, t)| ((*w).to_owned(), t.clone())).collect() }
}

impl<T: Clone> Shape for Words<T> {
    type Out = At<T>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<T>> {
        let list = || self.words.iter().map(|(w, _)| format!("`{w}`")).collect::<Vec<_>>().join(", ");
        let Some(written) = tree.text().filter(|t| !t.is_empty()) else {
            let wanted = if self.words.len() == 1 { list() } else { format!("one of {}", list()) };
            reading.wrong_type(tree, path, &wanted);
            return None;
        };
        if let Some((_, value)) = self.words.iter().find(|(w, _)| w == written) {
            return Some(At::new(value.clone(), tree.at.clone()));
        }
        const FEW: usize = 8;
        let few = self.words.len() <= FEW;
        let known = if few { list() } else { format!("the {} words that are known here", self.words.len()) };
        let message = format!("`{}`{} is not one of {known}", shorten(written), path.inside());
        let hint = did_you_mean(written, self.words.iter().map(|(w, _)| w.as_str())).map(|w| format!("did you mean `{w}`?"));
        let hint = hint.or_else(|| (!few).then(list));
        reading.tell(Diagnostic::error(codes::UNKNOWN_WORD, message).maybe_hint(hint), &tree.at);
        None
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"enum": self.words.iter().map(|(w, _)| w).collect::<Vec<_>>()})
    }
}

/// A value that keeps its own type: a label, a property.
#[derive(Clone, Copy)]
pub struct TypedScalar;

impl Shape for TypedScalar {
    type Out = At<Scalar>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<Scalar>> {
        let value = tree.scalar();
        if value.is_none() {
            reading.wrong_type(tree, path, "text, a whole number or a truth value");
        }
        Some(At::new(value?, tree.at.clone()))
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": ["string", "number", "boolean"]})
    }
}
