//! Expressions and templates of the runbook language: minijinja, made strict.
//! (Stub: the API that the rest is written against.)

use crate::model::*;
use std::collections::BTreeMap;

/// Which names an expression or template may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `node`, `vars`.
    Node,
    /// `spare`, `source`, `vars`.
    SpareAndSource,
    /// `source`, `destination`, `vars`; in templates the late names too.
    Switchover,
}

/// Why an expression or template is no good. `at` is a byte offset into its text, for the caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    pub message: String,
    pub at: Option<usize>,
    pub hint: Option<String>,
}

/// An expression that was checked when it was read.
#[derive(Clone, Debug)]
pub struct Expression {
    pub text: String,
}

impl Expression {
    pub fn parse(_text: &str, _names: Names, _vars: &BTreeMap<String, serde_json::Value>) -> Result<Expression, ExpressionError> {
        todo!()
    }
    /// Must give a boolean.
    pub fn holds(&self, _scope: &Scope) -> Result<bool, ExpressionError> {
        todo!()
    }
    /// Must give an integer.
    pub fn integer(&self, _scope: &Scope) -> Result<i64, ExpressionError> {
        todo!()
    }
}

/// What names stand for during one evaluation.
#[derive(Clone, Debug, Default)]
pub struct Scope {}

impl Scope {
    pub fn new(_vars: &BTreeMap<String, serde_json::Value>) -> Scope {
        todo!()
    }
    /// Bind `name` to a node as the fleet shows it: fields, labels, facts, connectors, targets.
    pub fn with(self, _name: &str, _fleet: &Fleet, _node: NodeId) -> Scope {
        todo!()
    }
}

/// A text with `{{ }}` in it.
#[derive(Clone, Debug)]
pub struct Template {
    pub text: String,
}

impl Template {
    pub fn parse(_text: &str, _names: Names, _vars: &BTreeMap<String, serde_json::Value>) -> Result<Template, ExpressionError> {
        todo!()
    }
    pub fn render(&self, _scope: &Scope) -> Result<String, ExpressionError> {
        todo!()
    }
}

/// JSON whose strings are templates; one that is a whole `{{ }}` keeps its type.
#[derive(Clone, Debug)]
pub enum TemplateValue {
    Literal(serde_json::Value),
    Text(Template),
    List(Vec<TemplateValue>),
    Map(BTreeMap<String, TemplateValue>),
}

impl TemplateValue {
    pub fn render(&self, _scope: &Scope) -> Result<serde_json::Value, ExpressionError> {
        todo!()
    }
}
