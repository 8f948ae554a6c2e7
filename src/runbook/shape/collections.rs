//! Shapes of lists, maps, and of places that take one of several forms.

use super::{At, Definitions, Path, Reading, Shape};
use crate::diagnostic::codes;
use crate::runbook::document::{Tree, Value};
use serde_json::{Value as Json, json};

/// A list of one shape. One bad item does not spoil the others, so that all errors are told; the list is then short
/// of it, and the file is refused anyhow.
#[derive(Clone, Copy)]
pub struct ListOf<S> {
    item: S,
    /// What the list is wanted for, in messages.
    wanted: &'static str,
    least: usize,
}

pub fn list_of<S: Shape>(wanted: &'static str, item: S) -> ListOf<S> {
    ListOf { item, wanted, least: 0 }
}

impl<S> ListOf<S> {
    pub fn not_empty(self) -> ListOf<S> {
        ListOf { least: 1, ..self }
    }
}

impl<S: Shape> Shape for ListOf<S> {
    type Out = Vec<S::Out>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<Vec<S::Out>> {
        let Value::List(items) = &tree.value else {
            reading.wrong_type(tree, path, self.wanted);
            return None;
        };
        if items.len() < self.least {
            reading.error(codes::WRONG_TYPE, format!("an empty list stands{}; {} is wanted", path.inside(), self.wanted), &tree.at);
        }
        Some(items.iter().enumerate().filter_map(|(n, item)| self.item.read(reading, item, &path.index(n))).collect())
    }
    fn schema(&self, definitions: &mut Definitions) -> Json {
        let items = self.item.schema(definitions);
        if self.least > 0 {
            json!({"type": "array", "minItems": self.least, "items": items})
        } else {
            json!({"type": "array", "items": items})
        }
    }
}

/// What [`MapOf`] reads: keys with their places, in the order of the file.
pub type Map<T> = Vec<(At<String>, T)>;

/// A map whose keys are the user's own.
#[derive(Clone, Copy)]
pub struct MapOf<S> {
    item: S,
    wanted: &'static str,
}

pub fn map_of<S: Shape>(wanted: &'static str, item: S) -> MapOf<S> {
    MapOf { item, wanted }
}

impl<S: Shape> Shape for MapOf<S> {
    type Out = Map<S::Out>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<Map<S::Out>> {
        let Value::Map(entries) = &tree.value else {
            reading.wrong_type(tree, path, self.wanted);
            return None;
        };
        let read = |e: &crate::runbook::document::Entry| {
            let value = self.item.read(reading, &e.value, &path.key(&e.key))?;
            Some((At::new(e.key.clone(), e.key_at.clone()), value))
        };
        Some(entries.iter().filter_map(read).collect())
    }
    fn schema(&self, definitions: &mut Definitions) -> Json {
        json!({"type": "object", "additionalProperties": self.item.schema(definitions)})
    }
}

/// Anything at all, kept as it is.
#[derive(Clone, Copy)]
pub struct Any;

impl Shape for Any {
    type Out = Tree;
    fn read(&self, _: &Reading<'_>, tree: &Tree, _: &Path<'_>) -> Option<Tree> {
        Some(tree.clone())
    }
    fn schema(&self, _: &mut Definitions) -> Json {
        json!(true)
    }
}

/// A shape whose value is turned into another.
pub struct Mapped<S: Shape, T> {
    pub shape: S,
    pub into: fn(S::Out) -> T,
}

impl<S: Shape, T> Shape for Mapped<S, T> {
    type Out = T;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<T> {
        self.shape.read(reading, tree, path).map(self.into)
    }
    fn schema(&self, definitions: &mut Definitions) -> Json {
        self.shape.schema(definitions)
    }
}

type Boxed<T> = Box<dyn Shape<Out = T>>;

/// A place that takes a scalar, a list or a map: which one decides how it is read, so that errors are told of the
/// form that was meant.
pub struct Forms<T> {
    wanted: &'static str,
    scalar: Option<Boxed<T>>,
    list: Option<Boxed<T>>,
    map: Option<Boxed<T>>,
}

impl<T: 'static> Forms<T> {
    pub fn new(wanted: &'static str) -> Forms<T> {
        Forms { wanted, scalar: None, list: None, map: None }
    }
    pub fn scalar<S: Shape + 'static>(self, shape: S, into: fn(S::Out) -> T) -> Forms<T> {
        Forms { scalar: Some(Box::new(Mapped { shape, into })), ..self }
    }
    pub fn list<S: Shape + 'static>(self, shape: S, into: fn(S::Out) -> T) -> Forms<T> {
        Forms { list: Some(Box::new(Mapped { shape, into })), ..self }
    }
    pub fn map<S: Shape + 'static>(self, shape: S, into: fn(S::Out) -> T) -> Forms<T> {
        Forms { map: Some(Box::new(Mapped { shape, into })), ..self }
    }
}

impl<T> Shape for Forms<T> {
    type Out = T;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<T> {
        let form = match &tree.value {
            Value::Scalar { .. } if tree.is_nothing() => None,
            Value::Scalar { .. } => self.scalar.as_ref(),
            Value::List(_) => self.list.as_ref(),
            Value::Map(_) => self.map.as_ref(),
        };
        match form {
            Some(shape) => shape.read(reading, tree, path),
            None => {
                reading.wrong_type(tree, path, self.wanted);
                None
            }
        }
    }
    fn schema(&self, definitions: &mut Definitions) -> Json {
        let forms = [&self.scalar, &self.list, &self.map];
        let forms: Vec<Json> = forms.into_iter().flatten().map(|f| f.schema(definitions)).collect();
        json!({"anyOf": forms})
    }
}
