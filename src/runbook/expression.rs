//! Expressions and templates of the runbook language.
//!
//! The grammar is minijinja's own: its parser reads the text, so what looks like Jinja is Jinja. The meaning is ours.
//! Minijinja orders values of all types (`"a" > 3` is true there), finds `none == none` and lets a misspelt attribute
//! of a mapping be undefined; a switchover must not hang on any of these. So its syntax tree is lowered into a smaller
//! one (`read` and `lower` are all that touches minijinja's unstable interface), checked against what attributes there are
//! (`shape`), and evaluated strictly (`eval`): a comparison with none is false, kinds are never mixed, there are no
//! loops and no calls, so that every evaluation ends.

mod columns;
mod eval;
mod filter;
mod lower;
mod plain;
mod read;
mod scope;
mod shape;
mod template;
#[cfg(test)]
mod tests;
mod value;

pub use columns::Columns;
pub use scope::{NodeValues, Scope};
pub use template::{Template, TemplateValue};
pub use value::Value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Which names an expression or template may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `node`, `vars`.
    Node,
    /// `spare`, `source`, `vars`.
    SpareAndSource,
    /// `source`, `destination`, `vars`; in templates the late names too.
    Switchover,
    /// `vars`; in templates the names of an event.
    Event,
}

/// Why an expression or template is no good. `at` is a byte offset into its text, for the caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    pub message: String,
    pub at: Option<usize>,
    pub hint: Option<String>,
}

impl ExpressionError {
    fn new(message: String) -> ExpressionError {
        ExpressionError { message, at: None, hint: None }
    }

    fn at(at: usize, message: String) -> ExpressionError {
        ExpressionError { message, at: Some(at), hint: None }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExpressionError {}

/// An expression that was checked when it was read.
#[derive(Clone, Debug)]
pub struct Expression {
    pub text: String,
    ast: Arc<lower::Ast>,
    /// A path for each place where one is read.
    reads: Arc<[Vec<String>]>,
    /// Which of them are of the spare.
    of_spare: Arc<[bool]>,
}

impl Expression {
    /// Read and check: syntax, names, attributes, and kinds as far as they are known beforehand.
    pub fn parse(text: &str, names: Names, vars: &BTreeMap<String, serde_json::Value>) -> Result<Expression, ExpressionError> {
        let mut lowering = lower::Lowering { names, vars, not_in: Vec::new(), reads: Vec::new() };
        let (ast, _) = read::expression(text, &mut lowering)?;
        let of_spare = lowering.reads.iter().map(|path| path[0] == "spare").collect();
        Ok(Expression { text: text.to_owned(), ast: Arc::new(ast), reads: lowering.reads.into(), of_spare })
    }

    /// Must give a boolean. None (a missing label) counts as false.
    pub fn holds(&self, scope: &Scope) -> Result<bool, ExpressionError> {
        eval::truth(&self.ast, scope)
    }

    /// What its paths stand for, in their order: for [`Expression::holds_for`] and [`Expression::integer_of`].
    pub fn row(&self, read: impl Fn(&[String]) -> Value) -> Vec<Value> {
        self.reads.iter().map(|path| read(path)).collect()
    }

    /// [`Expression::holds`], with what each side shows worked out before: of the spare's row only what is the spare's is
    /// looked at, of the source's everything else.
    pub fn holds_for(&self, source: &[Value], spare: &[Value]) -> Result<bool, ExpressionError> {
        let row = eval::Row { source, spare, of_spare: &self.of_spare };
        plain::truth(&self.ast, &row).map_or_else(|| eval::truth(&self.ast, &row), Ok)
    }

    /// What many spares show, for [`Expression::truths`].
    pub fn columns<'v>(&self, spares: impl ExactSizeIterator<Item = &'v [Value]> + Clone) -> Columns {
        Columns::of(spares, &self.of_spare)
    }

    /// [`Expression::holds_for`] of one source and every spare, where that can be told column by column.
    pub fn truths(&self, source: &[Value], spares: &Columns) -> Option<Vec<bool>> {
        spares.truths(&self.ast, source, &self.of_spare)
    }

    /// Does a row of the source's, or of the spare's, hold what may decide?
    pub fn is_of(&self, role: &str) -> impl Iterator<Item = bool> {
        let role = role.to_owned();
        self.reads.iter().map(move |path| path[0] == role)
    }

    /// Must give an integer.
    pub fn integer(&self, scope: &Scope) -> Result<i64, ExpressionError> {
        self.as_integer(eval::evaluate(&self.ast, scope)?)
    }

    /// [`Expression::integer`], with what its paths stand for worked out before.
    pub fn integer_of(&self, row: &[Value]) -> Result<i64, ExpressionError> {
        self.as_integer(eval::evaluate(&self.ast, &eval::Row { source: row, spare: row, of_spare: &self.of_spare })?)
    }

    /// Whatever it gives, with what its paths stand for worked out before.
    pub fn value_of(&self, row: &[Value]) -> Result<Value, ExpressionError> {
        eval::evaluate(&self.ast, &eval::Row { source: row, spare: row, of_spare: &self.of_spare })
    }

    fn as_integer(&self, value: Value) -> Result<i64, ExpressionError> {
        match value {
            Value::Integer(n) => Ok(n),
            Value::None => {
                let hint = Some("add `| default(9)`".to_owned());
                Err(ExpressionError { hint, ..ExpressionError::at(0, format!("`{}` gives none, not an integer", self.text)) })
            }
            Value::Text(_) => {
                let hint = Some("add `| int`".to_owned());
                Err(ExpressionError { hint, ..ExpressionError::at(0, format!("`{}` gives text, not an integer", self.text)) })
            }
            other => Err(ExpressionError::at(0, format!("`{}` gives {}, not an integer", self.text, other.kind()))),
        }
    }

    /// Does it read this path or anything under it? `spare` asks for any attribute of the spare.
    pub fn mentions(&self, path: &str) -> bool {
        mentions(&self.reads, path)
    }

    /// What each path that it reads stands for, for messages: `source.failure_domain.row` is `r2`.
    pub fn readings(&self, read: impl Fn(&[String]) -> Value) -> Vec<(String, Value)> {
        let mut seen: Vec<(String, Value)> = Vec::new();
        for path in self.reads.iter() {
            let name = path.join(".");
            if !seen.iter().any(|(p, _)| *p == name) {
                seen.push((name, read(path)));
            }
        }
        seen
    }
}

fn mentions(reads: &[Vec<String>], path: &str) -> bool {
    reads.iter().map(|read| read.join(".")).any(|read| read == path || read.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
