//! Variables: defaults in the runbook, overrides from the command line.

use super::document::{self, Limits, Tree, Typed};
use super::plain;
use super::shape::{Map, Reading};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes, did_you_mean};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Overrides of a runbook's variables. The last one of a name counts.
#[derive(Clone, Debug, Default)]
pub struct Vars(BTreeMap<String, Given>);

#[derive(Clone, Debug)]
enum Given {
    /// Takes the type of the default.
    Text(String),
    Structure(Json),
}

impl Vars {
    pub fn new() -> Vars {
        Vars::default()
    }

    /// `--var key=value`.
    ///
    /// # Errors
    /// Without `=` or without a name.
    pub fn set(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not a variable; write `name=value`"))?;
        if name.trim().is_empty() {
            return Err(format!("`{pair}` names no variable; write `name=value`"));
        }
        self.0.insert(name.trim().to_owned(), Given::Text(value.to_owned()));
        Ok(())
    }

    /// `--vars FILE`: a map of names to values.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read(&mut self, source: &Source) -> Result<(), Diagnostics> {
        let (tree, mut found) = document::read(source, Limits::FILE);
        match tree.map(|t| (t.value, t.at)) {
            Some((document::Value::Map(entries), _)) if !found.has_errors() => {
                for entry in entries {
                    let given = match entry.value.text() {
                        Some(text) if !entry.value.is_nothing() => Given::Text(text.to_owned()),
                        _ => Given::Structure(entry.value.json()),
                    };
                    self.0.insert(entry.key, given);
                }
                return Ok(());
            }
            Some((document::Value::Map(_), _)) | None => {}
            Some((_, at)) => found.push(
                Diagnostic::error(codes::WRONG_TYPE, "a map of variables is wanted").at(&source.name, at).hint("write `name: value` lines"),
            ),
        }
        Err(found)
    }
}

/// The defaults with the overrides put in; what is wrong is told to `reading`.
pub(super) fn resolve(reading: &Reading<'_>, defaults: &Map<Tree>, overrides: &Vars) -> BTreeMap<String, Json> {
    for (name, default) in defaults {
        if let Some(text) = default.text().filter(|_| !default.is_nothing()) {
            plain::under(reading, &name.value, text, &default.at, plain::WHERE_USED);
        }
    }
    let mut vars: BTreeMap<String, Json> = defaults.iter().map(|(k, v)| (k.value.clone(), v.json())).collect();
    for (name, given) in &overrides.0 {
        let Some(default) = vars.get(name) else {
            let hint = did_you_mean(name, vars.keys().map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
            let message = format!("the runbook has no variable `{name}` that could be set");
            let hint = hint.unwrap_or_else(|| "add it to `vars` with a default".to_owned());
            reading.tell_nowhere(Diagnostic::error(codes::UNKNOWN_VARIABLE, message).hint(hint));
            continue;
        };
        if plain::names_secret(name) {
            let message = format!("a secret in the open: the variable `{name}` would stand in the plan");
            reading.tell_nowhere(Diagnostic::error(codes::PLAIN_SECRET, message).hint("write `{secret: {env: NAME}}` where it is used"));
            continue;
        }
        match given.like(default) {
            Some(value) => {
                vars.insert(name.clone(), value);
            }
            None => {
                let message = format!("the variable `{name}` is {}, and what is given for it is not", kind(default));
                reading.tell_nowhere(Diagnostic::error(codes::VARIABLE_TYPE, message).hint(format!("its default is `{default}`")));
            }
        }
    }
    vars
}

impl Given {
    /// The value in the type of the default; `None` where it has another.
    fn like(&self, default: &Json) -> Option<Json> {
        let text = match self {
            Given::Structure(json) => return (kind(json) == kind(default)).then(|| json.clone()),
            Given::Text(text) => text,
        };
        if default.is_string() {
            return Some(text.clone().into());
        }
        let (tree, found) = document::read(&Source::new("--var", text.as_bytes()), Limits::FILE);
        let json = tree.filter(|t| !found.has_errors() && t.typed() != Some(Typed::Nothing))?.json();
        (default.is_null() || kind(&json) == kind(default)).then_some(json)
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "nothing",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}
