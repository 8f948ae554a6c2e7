//! Expressions and templates of the runbook language.
//!
//! The grammar is minijinja's own: its parser reads the text, so what looks like Jinja is Jinja. The meaning is ours.
//! Minijinja orders values of all types (`"a" > 3` is true there), finds `none == none` and lets a misspelt attribute
//! of a mapping be undefined; a switchover must not hang on any of these. So its syntax tree is lowered into a smaller
//! one (`read` and `lower` are all that touches minijinja's unstable interface), checked against what attributes there are
//! (`shape`), and evaluated strictly (`eval`): a comparison with none is false, kinds are never mixed, there are no
//! loops and no calls, so that every evaluation ends.

mod eval;
mod filter;
mod lower;
mod read;
mod scope;
mod shape;
mod template;
#[cfg(test)]
mod tests;
mod value;

pub use scope::{Scope, node_values};
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
    reads: Vec<String>,
}

impl Expression {
    /// Read and check: syntax, names, attributes, and kinds as far as they are known beforehand.
    pub fn parse(text: &str, names: Names, vars: &BTreeMap<String, serde_json::Value>) -> Result<Expression, ExpressionError> {
        let mut lowering = lower::Lowering { names, vars, not_in: Vec::new(), reads: Vec::new() };
        let (ast, _) = read::expression(text, &mut lowering)?;
        Ok(Expression { text: text.to_owned(), ast: Arc::new(ast), reads: lowering.reads })
    }

    /// Must give a boolean. None (a missing label) counts as false.
    pub fn holds(&self, scope: &Scope) -> Result<bool, ExpressionError> {
        eval::truth(&self.ast, scope)
    }

    /// Must give an integer.
    pub fn integer(&self, scope: &Scope) -> Result<i64, ExpressionError> {
        match eval::evaluate(&self.ast, scope)? {
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
    pub fn readings(&self, scope: &Scope) -> Vec<(String, Value)> {
        let mut seen: Vec<(String, Value)> = Vec::new();
        for path in &self.reads {
            if !seen.iter().any(|(p, _)| p == path) {
                let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
                seen.push((path.clone(), scope.get(&steps)));
            }
        }
        seen
    }
}

fn mentions(reads: &[String], path: &str) -> bool {
    reads.iter().any(|read| read == path || read.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
