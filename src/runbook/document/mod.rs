//! A file as a tree in which every key and value knows its place.
//!
//! YAML is read into text, lists and maps and nothing else: whether `no` is a word or a truth value is decided by the
//! place it stands in, not by YAML. What would make two readers see different things (duplicate keys, tags, merge
//! keys, several documents) is refused. JSON is YAML, so it is read by the same code.

mod encoding;
mod parse;
mod syntax;
mod typed;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use parse::{Limits, read};
pub use typed::Typed;

/// A value with its place: a range of bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub value: Value,
    pub at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Its text, and whether it stood without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Tree>),
    /// In the order of the file.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub key_at: Range<usize>,
    pub value: Tree,
}

impl Tree {
    /// The value of that key, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Nothing was written where a value belongs, or `null`, or `~`.
    pub fn is_nothing(&self) -> bool {
        self.typed() == Some(Typed::Nothing)
    }

    /// What a person would call it: `` `5` in `power.soft_off` is a number``. `inside` is `` in `power.soft_off` `` or
    /// nothing.
    pub fn describe(&self, inside: &str) -> String {
        let what = |what: &str| if inside.is_empty() { format!("this is {what}") } else { format!("{what} stands{inside}") };
        let (Value::Scalar { text, plain }, Some(typed)) = (&self.value, self.typed()) else {
            return what(if matches!(self.value, Value::List(_)) { "a list" } else { "a map" });
        };
        let shown = shorten(text);
        match typed {
            Typed::Nothing if text.is_empty() && inside.is_empty() => "nothing is written here".to_owned(),
            Typed::Nothing if text.is_empty() => format!("nothing is written{inside}"),
            Typed::Nothing => format!("`{shown}`{inside} is nothing"),
            Typed::Bool(_) => format!("`{shown}`{inside} is a truth value"),
            Typed::Integer(_) | Typed::Decimal(_) => format!("`{shown}`{inside} is a number"),
            Typed::Text if *plain => format!("`{shown}`{inside} is text"),
            Typed::Text => format!("`\"{shown}\"`{inside} is text in quotes"),
        }
    }
}

/// A value as messages quote it: one line, not too long.
pub fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST + 1).collect();
    if line.chars().count() <= MOST { line } else { format!("{}...", line.chars().take(MOST - 3).collect::<String>()) }
}
