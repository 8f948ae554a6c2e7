//! Maps whose keys are known. A record is a function over [`Fields`]: it asks for each key, and what it asked for is
//! both what is allowed and what the schema says.

use super::{At, Definitions, Path, Reading, Shape};
use crate::diagnostic::{Diagnostic, codes, did_you_mean};
use crate::runbook::document::{Entry, Tree, Value, shorten};
use serde_json::{Map as JsonMap, Value as Json, json};
use std::ops::Range;

/// A map with known keys.
pub struct Record<T> {
    /// How messages and the schema call it: `hook`.
    name: &'static str,
    fields: fn(&mut Fields<'_>) -> Option<T>,
}

/// `fields` asks for every key before it gives up on a missing one, or keys behind it would be unknown.
pub fn record<T>(name: &'static str, fields: fn(&mut Fields<'_>) -> Option<T>) -> Record<T> {
    Record { name, fields }
}

/// The keys of one map, while they are asked for.
pub struct Fields<'a> {
    asked: Vec<&'static str>,
    mode: Mode<'a>,
}

enum Mode<'a> {
    Read { reading: &'a Reading<'a>, entries: &'a [Entry], at: Range<usize>, path: &'a Path<'a> },
    Describe { definitions: &'a mut Definitions, properties: JsonMap<String, Json>, required: Vec<&'static str>, one_of: Vec<&'static str> },
}

impl Fields<'_> {
    /// A key that must be there.
    pub fn required<S: Shape>(&mut self, key: &'static str, about: &str, shape: S) -> Option<S::Out> {
        if let Mode::Describe { required, .. } = &mut self.mode {
            required.push(key);
        }
        let (there, value) = self.ask(key, about, shape);
        if let (false, Mode::Read { reading, at, path, .. }) = (there, &self.mode) {
            let message = format!("the key `{key}` is missing{}", path.inside());
            reading.tell(Diagnostic::error(codes::MISSING_KEY, message).hint(format!("add `{key}` ({about})")), &opening(reading, at));
        }
        value
    }

    /// A key that may be left out.
    pub fn optional<S: Shape>(&mut self, key: &'static str, about: &str, shape: S) -> Option<S::Out> {
        self.ask(key, about, shape).1
    }

    /// A key that says what the file is. It was looked at before the reading began and is not looked at again.
    pub fn fixed(&mut self, key: &'static str, about: &str, value: &str) {
        self.asked.push(key);
        if let Mode::Describe { properties, required, .. } = &mut self.mode {
            required.push(key);
            properties.insert(key.to_owned(), json!({"const": value, "description": about}));
        }
    }

    /// Was it there, and what was read of it.
    fn ask<S: Shape>(&mut self, key: &'static str, about: &str, shape: S) -> (bool, Option<S::Out>) {
        self.asked.push(key);
        match &mut self.mode {
            Mode::Read { reading, entries, path, .. } => match entries.iter().find(|e| e.key == key) {
                Some(entry) => (true, shape.read(reading, &entry.value, &path.key(key))),
                None => (false, None),
            },
            Mode::Describe { definitions, properties, .. } => {
                properties.insert(key.to_owned(), described(shape.schema(definitions), about));
                (true, None)
            }
        }
    }

    /// Is the key written, right or wrong?
    pub fn has(&self, key: &str) -> bool {
        matches!(&self.mode, Mode::Read { entries, .. } if entries.iter().any(|e| e.key == key))
    }

    /// Where a key is written.
    pub fn place(&self, key: &str) -> Option<Range<usize>> {
        match &self.mode {
            Mode::Read { entries, .. } => entries.iter().find(|e| e.key == key).map(|e| e.key_at.clone()),
            Mode::Describe { .. } => None,
        }
    }

    /// Where the whole map is written; its first character stands for it in messages.
    pub fn at(&self) -> Range<usize> {
        match &self.mode {
            Mode::Read { reading, at, .. } => opening(reading, at),
            Mode::Describe { .. } => 0..0,
        }
    }

    /// Something about the map as a whole.
    pub fn tell(&self, diagnostic: Diagnostic, at: &Range<usize>) {
        if let Mode::Read { reading, .. } = &self.mode {
            reading.tell(diagnostic, at);
        }
    }

    /// One of these keys and no more. Tells what is wrong; the caller need not.
    pub fn exactly_one(&mut self, keys: &[&'static str]) {
        let written: Vec<&str> = keys.iter().copied().filter(|k| self.has(k)).collect();
        match &mut self.mode {
            Mode::Describe { one_of, .. } => *one_of = keys.to_vec(),
            Mode::Read { reading, entries, at, path } => {
                let list = keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
                let inside = path.inside();
                if written.is_empty() {
                    reading.error(codes::ONE_OF, format!("one of {list} is missing{inside}"), &opening(reading, at));
                }
                for second in written.iter().skip(1) {
                    let place = entries.iter().find(|e| e.key == *second).map_or(at.clone(), |e| e.key_at.clone());
                    let message = format!("`{second}` and `{}` exclude each other{inside}", written[0]);
                    reading.hinted(codes::ONE_OF, message, &place, format!("only one of {list} may be written"));
                }
            }
        }
    }
}

/// The first line of a map is where a missing key is told.
fn opening(reading: &Reading<'_>, at: &Range<usize>) -> Range<usize> {
    let text = reading.source.get(at.clone()).unwrap_or(&[]);
    let line = text.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(text.len());
    at.start..at.start + line
}

fn described(schema: Json, about: &str) -> Json {
    match schema {
        Json::Object(mut map) => {
            map.insert("description".to_owned(), about.into());
            Json::Object(map)
        }
        _ => json!({"description": about}),
    }
}

impl<T> Record<T> {
    /// Every key that it knows.
    fn keys(&self) -> Vec<&'static str> {
        let mut definitions = Definitions::new();
        let definitions = &mut definitions;
        let mode = Mode::Describe { definitions, properties: JsonMap::new(), required: Vec::new(), one_of: Vec::new() };
        let mut fields = Fields { asked: Vec::new(), mode };
        (self.fields)(&mut fields);
        fields.asked
    }
}

impl<T> Shape for Record<T> {
    type Out = T;

    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<T> {
        let Value::Map(entries) = &tree.value else {
            let mut keys = self.keys();
            let more = if keys.len() > 6 { ", ..." } else { "" };
            keys.truncate(6);
            let list = keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
            let message = format!("{}; a map is wanted", tree.describe(&path.inside()));
            reading.hinted(codes::WRONG_TYPE, message, &tree.at, format!("with {list}{more}"));
            return None;
        };
        let mode = Mode::Read { reading, entries, at: tree.at.clone(), path };
        let mut fields = Fields { asked: Vec::new(), mode };
        let value = (self.fields)(&mut fields);
        for entry in entries.iter().filter(|e| !fields.asked.contains(&e.key.as_str())) {
            let absent = fields.asked.iter().copied().filter(|k| !entries.iter().any(|e| e.key == *k));
            let hint = did_you_mean(&entry.key, absent).map(|k| format!("did you mean `{k}`?")).or_else(|| {
                let few = fields.asked.len() <= 8;
                few.then(|| format!("known here: {}", fields.asked.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")))
            });
            let message = format!("unknown key `{}`{}", shorten(&entry.key), path.inside());
            reading.tell(Diagnostic::error(codes::UNKNOWN_KEY, message).maybe_hint(hint), &entry.key_at);
        }
        value
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        if !definitions.contains_key(self.name) {
            // Taken before the fields are described, so that a name used twice is described once.
            definitions.insert(self.name.to_owned(), Json::Null);
            let mode = Mode::Describe { definitions, properties: JsonMap::new(), required: Vec::new(), one_of: Vec::new() };
            let mut fields = Fields { asked: Vec::new(), mode };
            (self.fields)(&mut fields);
            let Mode::Describe { properties, required, one_of, .. } = fields.mode else { unreachable!("the mode was set above") };
            let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            if !one_of.is_empty() {
                schema["oneOf"] = one_of.iter().map(|k| json!({"required": [k]})).collect();
            }
            definitions.insert(self.name.to_owned(), schema);
        }
        json!({"$ref": format!("#/$defs/{}", self.name.replace(' ', "%20"))})
    }
}

/// A value with the place of the whole thing it was read from.
pub struct Placed<S>(pub S);

impl<S: Shape> Shape for Placed<S> {
    type Out = At<S::Out>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<S::Out>> {
        self.0.read(reading, tree, path).map(|value| At::new(value, tree.at.clone()))
    }
    fn schema(&self, definitions: &mut Definitions) -> Json {
        self.0.schema(definitions)
    }
}
