//! Texts with `{{ }}` in them.

use super::lower::{Ast, Lowering, Piece};
use super::{ExpressionError, Names, Scope, Value, eval, mentions, read};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A text with `{{ }}` in it. What would stand there as nothing (none) is an error: an empty argument to a hook that
/// deletes is worse than no hook.
#[derive(Clone, Debug)]
pub struct Template {
    pub text: String,
    pieces: Arc<[Piece]>,
    reads: Vec<Vec<String>>,
}

impl Template {
    pub fn parse(text: &str, names: Names, vars: &BTreeMap<String, serde_json::Value>) -> Result<Template, ExpressionError> {
        let mut lowering = Lowering { names, vars, not_in: Vec::new(), reads: Vec::new() };
        let pieces = read::template(text, &mut lowering)?;
        Ok(Template { text: text.to_owned(), pieces: pieces.into(), reads: lowering.reads })
    }

    /// Late names come out as `{{ run.id }}` and so on, spaced as [`HookContext::fill`](crate::model::HookContext::fill)
    /// expects them.
    pub fn render(&self, scope: &Scope) -> Result<String, ExpressionError> {
        let mut text = String::new();
        for piece in self.pieces.iter() {
            match piece {
                Piece::Raw(raw) => text.push_str(raw),
                Piece::Late(name) => text.push_str(&format!("{{{{ {name} }}}}")),
                Piece::Output { ast, text: source } => text.push_str(&printable(ast, source, scope)?),
            }
        }
        Ok(text)
    }

    /// Like [`Template::render`], but a text that is one whole `{{ }}` keeps its type: a list stays a list.
    pub fn render_value(&self, scope: &Scope) -> Result<serde_json::Value, ExpressionError> {
        match &*self.pieces {
            [Piece::Output { ast, text }] => match eval::evaluate(ast, scope)? {
                Value::None => Err(nothing(ast, text)),
                value => Ok((&value).into()),
            },
            _ => self.render(scope).map(serde_json::Value::String),
        }
    }

    /// Does it read this path or anything under it, such as `destination.connectors`?
    pub fn mentions(&self, path: &str) -> bool {
        mentions(&self.reads, path)
    }

    /// Does it read this attribute of a name, or the whole of what the name stands for?
    pub fn reads_attribute(&self, name: &str, attribute: &str) -> bool {
        self.reads.iter().any(|path| path[0] == name && path.get(1).is_none_or(|read| read == attribute))
    }

    /// Has it nothing to fill in?
    pub fn is_literal(&self) -> bool {
        self.pieces.iter().all(|p| matches!(p, Piece::Raw(_)))
    }
}

fn printable(ast: &Ast, source: &str, scope: &Scope) -> Result<String, ExpressionError> {
    match eval::evaluate(ast, scope)? {
        Value::None => Err(nothing(ast, source)),
        value @ (Value::List(_) | Value::Map(_)) => {
            let hint = Some("`| join(',')` makes text of a list, `| tojson` of anything".to_owned());
            let message = format!("`{source}` is {} where text is needed", value.kind());
            Err(ExpressionError { message, at: Some(ast.at), hint })
        }
        value => Ok(value.to_string()),
    }
}

fn nothing(ast: &Ast, source: &str) -> ExpressionError {
    let hint = Some("give it a value, or write `| default('...')`".to_owned());
    ExpressionError { message: format!("`{source}` has no value"), at: Some(ast.at), hint }
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
    /// Read every string of a JSON value as a template. Keys are not templates.
    pub fn parse(
        json: &serde_json::Value,
        names: Names,
        vars: &BTreeMap<String, serde_json::Value>,
    ) -> Result<TemplateValue, ExpressionError> {
        Ok(match json {
            serde_json::Value::String(text) => TemplateValue::Text(Template::parse(text, names, vars)?),
            serde_json::Value::Array(items) => {
                TemplateValue::List(items.iter().map(|i| TemplateValue::parse(i, names, vars)).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(fields) => {
                TemplateValue::Map(fields.iter().map(|(k, v)| Ok((k.clone(), TemplateValue::parse(v, names, vars)?))).collect::<Result<
                    _,
                    ExpressionError,
                >>(
                )?)
            }
            other => TemplateValue::Literal(other.clone()),
        })
    }

    pub fn render(&self, scope: &Scope) -> Result<serde_json::Value, ExpressionError> {
        match self {
            TemplateValue::Literal(json) => Ok(json.clone()),
            TemplateValue::Text(template) => template.render_value(scope),
            TemplateValue::List(items) => items.iter().map(|i| i.render(scope)).collect(),
            TemplateValue::Map(fields) => fields.iter().map(|(k, v)| Ok((k.clone(), v.render(scope)?))).collect(),
        }
    }

    /// Does any of its templates read this path or anything under it?
    pub fn mentions(&self, path: &str) -> bool {
        match self {
            TemplateValue::Literal(_) => false,
            TemplateValue::Text(template) => template.mentions(path),
            TemplateValue::List(items) => items.iter().any(|i| i.mentions(path)),
            TemplateValue::Map(fields) => fields.values().any(|v| v.mentions(path)),
        }
    }
}
