//! What attributes there are, so that a misspelt one is an error when a file is read and not a silent none.

use super::{ExpressionError, Names};
use crate::diagnostic::did_you_mean;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The static form of a value. Every value but a mapping may also be none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'a> {
    /// Only its evaluation tells.
    Unknown,
    Bool,
    Number,
    Text,
    List,
    Fields(&'static [(&'static str, Shape<'static>)]),
    /// Any key; each value has this form.
    Open(&'static Shape<'static>),
    Variables(&'a BTreeMap<String, Json>),
    Json(&'a Json),
}

const CPU: &[(&str, Shape<'static>)] = &[
    ("model", Shape::Text),
    ("count", Shape::Number),
    ("cores", Shape::Number),
    ("threads", Shape::Number),
    ("architecture", Shape::Text),
];

const NETWORK: &[(&str, Shape<'static>)] = &[
    ("adapters", Shape::Number),
    ("ports", Shape::Number),
    ("ports_up", Shape::Number),
    ("speed_mbps", Shape::Number),
    ("link_mbps", Shape::Number),
    ("models", Shape::Text),
];

const FACTS: &[(&str, Shape<'static>)] = &[
    ("manufacturer", Shape::Text),
    ("model", Shape::Text),
    ("sku", Shape::Text),
    ("cpu", Shape::Fields(CPU)),
    ("memory_mib", Shape::Number),
    ("memory", Shape::Fields(&[("modules", Shape::Number)])),
    ("accelerators", Shape::Fields(&[("count", Shape::Number), ("models", Shape::Text)])),
    ("network", Shape::Fields(NETWORK)),
    ("storage", Shape::Fields(&[("controllers", Shape::Number), ("drives", Shape::Number), ("models", Shape::Text)])),
    ("hbas", Shape::Fields(&[("count", Shape::Number), ("ports", Shape::Number), ("models", Shape::Text)])),
    ("boot_mode", Shape::Text),
    ("secure_boot", Shape::Bool),
    ("firmware", Shape::Open(&Shape::Text)),
    ("health", Shape::Text),
    ("power_restore_policy", Shape::Text),
];

const FAILURE_DOMAIN: &[(&str, Shape<'static>)] = &[
    ("site", Shape::Text),
    ("row", Shape::Text),
    ("rack", Shape::Text),
    ("chassis", Shape::Text),
    ("slot", Shape::Text),
    ("feed", Shape::Text),
];

const CONNECTORS: &[(&str, Shape<'static>)] =
    &[("iqn", Shape::List), ("ip", Shape::List), ("mac", Shape::List), ("wwnn", Shape::List), ("wwpn", Shape::List)];

/// A node as expressions see it. No credentials: of the BMC there is only the address.
const NODE: &[(&str, Shape<'static>)] = &[
    ("name", Shape::Text),
    ("uuid", Shape::Text),
    ("labels", Shape::Open(&Shape::Unknown)),
    ("failure_domain", Shape::Fields(FAILURE_DOMAIN)),
    ("resource_class", Shape::Text),
    ("traits", Shape::List),
    ("capabilities", Shape::Open(&Shape::Text)),
    ("facts", Shape::Fields(FACTS)),
    ("provision_state", Shape::Text),
    ("power_state", Shape::Text),
    ("maintenance", Shape::Bool),
    ("maintenance_reason", Shape::Text),
    ("instance", Shape::Fields(&[("uuid", Shape::Text), ("name", Shape::Text)])),
    ("owner", Shape::Text),
    ("lessee", Shape::Text),
    ("bmc", Shape::Fields(&[("address", Shape::Text)])),
    ("connectors", Shape::Fields(CONNECTORS)),
    ("targets", Shape::List),
];

pub(super) const NODE_SHAPE: Shape<'static> = Shape::Fields(NODE);

impl Names {
    /// The names of nodes.
    pub(super) fn nodes(self) -> &'static [&'static str] {
        match self {
            Names::Node => &["node"],
            Names::SpareAndSource => &["spare", "source"],
            Names::Switchover => &["source", "destination"],
            Names::Event => &[],
        }
    }
}

impl<'a> Shape<'a> {
    /// The form of a top-level name.
    pub(super) fn of_name(name: &str, names: Names, vars: &'a BTreeMap<String, Json>) -> Result<Shape<'a>, (String, Option<String>)> {
        if name == "vars" {
            return Ok(Shape::Variables(vars));
        }
        if names.nodes().contains(&name) {
            return Ok(NODE_SHAPE);
        }
        if name == "env" {
            let hint = "the environment cannot be read here; pass a variable with `--var`, or a secret with `{secret: {env: NAME}}`";
            return Err(("there is no `env`".to_owned(), Some(hint.to_owned())));
        }
        let known: Vec<&str> = names.nodes().iter().copied().chain(["vars"]).collect();
        let hint = suggestion(name, known.iter().copied()).unwrap_or_else(|| format!("known here: {}", quoted(&known)));
        Err((format!("unknown name `{name}`"), Some(hint)))
    }

    /// The form of an attribute of this.
    pub(super) fn attribute(self, path: &str, name: &str) -> Result<Shape<'a>, (String, Option<String>)> {
        match self {
            Shape::Unknown => Ok(Shape::Unknown),
            Shape::Open(each) => Ok(*each),
            Shape::Fields(fields) => fields.iter().find(|(f, _)| *f == name).map(|(_, s)| *s).ok_or_else(|| {
                let known: Vec<&str> = fields.iter().map(|(f, _)| *f).collect();
                let hint = suggestion(name, known.iter().copied()).unwrap_or_else(|| format!("`{path}` has {}", quoted(&known)));
                (format!("`{path}` has no attribute `{name}`"), Some(hint))
            }),
            Shape::Variables(vars) => vars.get(name).map(Shape::Json).ok_or_else(|| {
                let hint = suggestion(name, vars.keys().map(String::as_str))
                    .unwrap_or_else(|| "define it under `vars`, or pass it with `--var`".to_owned());
                (format!("undefined variable `{path}.{name}`"), Some(hint))
            }),
            Shape::Json(Json::Object(fields)) => fields
                .get(name)
                .map(Shape::Json)
                .ok_or_else(|| (format!("`{path}` has no attribute `{name}`"), suggestion(name, fields.keys().map(String::as_str)))),
            Shape::Json(Json::Null) => Ok(Shape::Unknown),
            other => Err((format!("`{path}` is {} and has no attributes", other.kind().unwrap_or("a value")), None)),
        }
    }

    /// What kind of value it is, if it is known beforehand.
    pub(super) fn kind(self) -> Option<&'static str> {
        match self {
            Shape::Unknown | Shape::Json(Json::Null) => None,
            Shape::Bool | Shape::Json(Json::Bool(_)) => Some("a boolean"),
            Shape::Number | Shape::Json(Json::Number(_)) => Some("a number"),
            Shape::Text | Shape::Json(Json::String(_)) => Some("text"),
            Shape::List | Shape::Json(Json::Array(_)) => Some("a list"),
            Shape::Fields(_) | Shape::Open(_) | Shape::Variables(_) | Shape::Json(Json::Object(_)) => Some("a mapping"),
        }
    }
}

/// Refuse what can never be compared. Unknown kinds wait for their evaluation.
pub(super) fn comparable(left: Shape, right: Shape, operator: &str, at: usize) -> Result<(), ExpressionError> {
    let (Some(a), Some(b)) = (left.kind(), right.kind()) else { return Ok(()) };
    let ordered = matches!(operator, "<" | "<=" | ">" | ">=");
    match () {
        () if operator.ends_with("in") && b == "a list" => Ok(()),
        () if operator.ends_with("in") && (a, b) == ("text", "text") => Ok(()),
        () if operator.ends_with("in") => {
            Err(ExpressionError::at(at, format!("`{operator}` looks in a list or in text, not for {a} in {b}")))
        }
        () if a != b => Err(mismatch(a, operator, b, at)),
        () if ordered && !matches!(a, "a number" | "text") => Err(ExpressionError::at(at, format!("{a} has no order for `{operator}`"))),
        () => Ok(()),
    }
}

pub(super) fn mismatch(left: &str, operator: &str, right: &str, at: usize) -> ExpressionError {
    let hint = "make both the same: `| int` makes a number of text, `| string` text of a number";
    ExpressionError { hint: Some(hint.to_owned()), ..ExpressionError::at(at, format!("`{operator}` between {left} and {right}")) }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn suggestion<'n>(word: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    did_you_mean(word, known).map(|name| format!("did you mean `{name}`?"))
}
