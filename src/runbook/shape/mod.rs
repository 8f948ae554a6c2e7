//! How a tree becomes typed values: shapes that read, collect every error, and describe themselves.
//!
//! A [`Shape`] is written once and used twice: [`Shape::read`] turns a tree into a value, [`Shape::schema`] gives the
//! JSON Schema of what it accepts. The schemas on disk can therefore not drift from the reader. No serde: its
//! `untagged` and `flatten` lose places, and it stops at the first error.

mod collections;
mod record;
mod scalars;

pub use collections::{Any, Forms, ListOf, Map, MapOf, Mapped, list_of, map_of};
pub use record::{Fields, Placed, Record, record};
pub use scalars::{Flag, Number, Quantity, Text, TypedScalar, Words, at_least, flag, number, quantity, text, words};

use super::document::Tree;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Named parts of a schema.
pub type Definitions = BTreeMap<String, Json>;

/// What may stand at one place.
pub trait Shape {
    type Out;
    /// `None`: it was wrong, and that was told to `reading`.
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<Self::Out>;
    fn schema(&self, definitions: &mut Definitions) -> Json;
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub at: Range<usize>,
}

impl<T> At<T> {
    pub fn new(value: T, at: Range<usize>) -> At<T> {
        At { value, at }
    }
}

/// Errors told of one file.
const TOLD: usize = 200;

/// One reading of one file: where errors are told.
pub struct Reading<'a> {
    pub file: &'a str,
    pub source: &'a [u8],
    found: RefCell<Vec<Diagnostic>>,
}

impl<'a> Reading<'a> {
    pub fn new(file: &'a str, source: &'a [u8]) -> Reading<'a> {
        Reading { file, source, found: RefCell::default() }
    }

    pub fn tell(&self, diagnostic: Diagnostic, at: &Range<usize>) {
        self.found.borrow_mut().push(diagnostic.at(self.file, at.clone()));
    }

    /// What no place in the file is to blame for.
    pub fn tell_nowhere(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    pub fn tell_all(&self, diagnostics: Diagnostics) {
        self.found.borrow_mut().extend(diagnostics.0);
    }

    /// An error at a place.
    pub fn error(&self, code: &'static str, message: impl Into<String>, at: &Range<usize>) {
        self.tell(Diagnostic::error(code, message), at);
    }

    pub fn hinted(&self, code: &'static str, message: impl Into<String>, at: &Range<usize>, hint: impl Into<String>) {
        self.tell(Diagnostic::error(code, message).hint(hint), at);
    }

    pub fn wrong_type(&self, tree: &Tree, path: &Path<'_>, wanted: &str) {
        let message = format!("{}; {wanted} is wanted", tree.describe(&path.inside()));
        self.error(codes::WRONG_TYPE, message, &tree.at);
    }

    /// Was something of that code told?
    pub fn told(&self, code: &str) -> bool {
        self.found.borrow().iter().any(|d| d.code == code)
    }

    /// Is there an error among what was told so far?
    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|d| d.severity == crate::diagnostic::Severity::Error)
    }

    /// Everything told so far, in the order of the file.
    pub fn finish(self) -> Diagnostics {
        let mut sorted = Diagnostics(self.found.into_inner()).sorted();
        let more = sorted.0.len().saturating_sub(TOLD);
        if more > 0 {
            sorted.0.truncate(TOLD);
            sorted.push(Diagnostic::error(codes::TOO_MANY, format!("{more} more errors in `{}`", self.file)));
        }
        sorted
    }
}

/// Where in the tree, for messages: `hooks.post-boot[1].run`.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: PathStep<'a>,
}

#[derive(Clone, Copy)]
enum PathStep<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl Path<'_> {
    pub const ROOT: Path<'static> = Path { parent: None, step: PathStep::Root };

    pub fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: PathStep::Key(key) }
    }

    pub fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), step: PathStep::Index(index) }
    }

    /// `` in `hooks.post-boot[1]` ``, or nothing at the root.
    pub fn inside(&self) -> String {
        match self.parent {
            None => String::new(),
            Some(_) => format!(" in `{self}`"),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.step {
            PathStep::Root => Ok(()),
            PathStep::Key(key) if parent.parent.is_none() => f.write_str(key),
            PathStep::Key(key) => write!(f, ".{key}"),
            PathStep::Index(n) => write!(f, "[{n}]"),
        }
    }
}
