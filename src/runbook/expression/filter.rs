//! The filters and tests of the language: few, total, and with one rule for none. Every filter but `default` passes none
//! on, so that a missing label ends in a comparison that is false and not in an error.

use super::shape::{self, Shape};
use super::{ExpressionError, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Default,
    Int,
    String,
    Lower,
    Upper,
    Trim,
    Length,
    Join,
    First,
    Last,
    Replace,
    ToJson,
}

/// Name, filter, least and most arguments.
const FILTERS: [(&str, Filter, usize, usize); 14] = [
    ("default", Filter::Default, 1, 1),
    ("d", Filter::Default, 1, 1),
    ("int", Filter::Int, 0, 0),
    ("string", Filter::String, 0, 0),
    ("lower", Filter::Lower, 0, 0),
    ("upper", Filter::Upper, 0, 0),
    ("trim", Filter::Trim, 0, 0),
    ("length", Filter::Length, 0, 0),
    ("count", Filter::Length, 0, 0),
    ("join", Filter::Join, 0, 1),
    ("first", Filter::First, 0, 0),
    ("last", Filter::Last, 0, 0),
    ("replace", Filter::Replace, 2, 2),
    ("tojson", Filter::ToJson, 0, 0),
];

impl Filter {
    pub(super) fn find(name: &str, args: usize) -> Result<Filter, ExpressionError> {
        let Some((_, filter, least, most)) = FILTERS.iter().find(|(n, ..)| *n == name) else {
            let hint =
                shape::suggestion(name, FILTERS.iter().map(|(n, ..)| *n)).unwrap_or_else(|| listed(FILTERS.iter().map(|(n, ..)| *n)));
            return Err(ExpressionError { message: format!("unknown filter `{name}`"), at: None, hint: Some(hint) });
        };
        arguments("filter", name, args, *least, *most).map(|()| *filter)
    }

    pub(super) fn shape(self, input: Shape) -> Shape {
        match self {
            Filter::Int | Filter::Length => Shape::Number,
            Filter::String | Filter::Lower | Filter::Upper | Filter::Trim | Filter::Join | Filter::Replace | Filter::ToJson => Shape::Text,
            Filter::First | Filter::Last => Shape::Unknown,
            Filter::Default => input,
        }
    }

    pub(super) fn apply(self, input: Value, args: &[Value]) -> Result<Value, ExpressionError> {
        if input == Value::None {
            return Ok(if self == Filter::Default { args.first().cloned().unwrap_or(Value::None) } else { Value::None });
        }
        Ok(match (self, &input) {
            (Filter::Default, _) => input,
            (Filter::Int, _) => int(&input)?,
            (Filter::String, Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_)) => Value::text(&input.to_string()),
            (Filter::Lower, Value::Text(t)) => Value::text(&t.to_lowercase()),
            (Filter::Upper, Value::Text(t)) => Value::text(&t.to_uppercase()),
            (Filter::Trim, Value::Text(t)) => Value::text(t.trim()),
            (Filter::Length, Value::Text(t)) => size(t.chars().count()),
            (Filter::Length, Value::List(items)) => size(items.len()),
            (Filter::Length, Value::Map(fields)) => size(fields.len()),
            (Filter::Join, Value::List(items)) => join(items, args.first())?,
            (Filter::First, Value::List(items)) => items.first().cloned().unwrap_or(Value::None),
            (Filter::Last, Value::List(items)) => items.last().cloned().unwrap_or(Value::None),
            (Filter::Replace, Value::Text(t)) => match args {
                [Value::Text(from), Value::Text(to)] if !from.is_empty() => Value::text(&t.replace(from.as_ref(), to)),
                _ => return Err(ExpressionError::new("`replace` takes two texts, the first not empty".to_owned())),
            },
            (Filter::ToJson, _) => Value::text(&serde_json::Value::from(&input).to_string()),
            (filter, value) => return Err(ExpressionError::new(format!("`{}` of {}", filter.name(), value.kind()))),
        })
    }

    fn name(self) -> &'static str {
        FILTERS.iter().find(|(_, f, ..)| *f == self).map_or("filter", |(n, ..)| n)
    }
}

fn int(input: &Value) -> Result<Value, ExpressionError> {
    let no = || ExpressionError::new(format!("`{input}` is no integer"));
    match input {
        Value::Integer(n) => Ok(Value::Integer(*n)),
        Value::Bool(b) => Ok(Value::Integer((*b).into())),
        Value::Text(t) => t.trim().parse().map(Value::Integer).map_err(|_| no()),
        // Exact in this range; beyond it a float no longer names one integer.
        Value::Float(n) if n.abs() < 9_007_199_254_740_992.0 => Ok(Value::Integer(n.trunc() as i64)),
        _ => Err(no()),
    }
}

fn size(n: usize) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn join(items: &[Value], between: Option<&Value>) -> Result<Value, ExpressionError> {
    let between = match between {
        None => "",
        Some(Value::Text(t)) => t.as_ref(),
        Some(other) => return Err(ExpressionError::new(format!("`join` with {}", other.kind()))),
    };
    let texts: Vec<String> = items
        .iter()
        .map(|item| match item {
            Value::None | Value::List(_) | Value::Map(_) => {
                Err(ExpressionError::new(format!("`join` of a list that holds {}", item.kind())))
            }
            scalar => Ok(scalar.to_string()),
        })
        .collect::<Result<_, _>>()?;
    Ok(Value::text(&texts.join(between)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    None,
    Defined,
    StartingWith,
    EndingWith,
    Containing,
}

const TESTS: [(&str, Test, usize); 6] = [
    ("none", Test::None, 0),
    ("undefined", Test::None, 0),
    ("defined", Test::Defined, 0),
    ("startingwith", Test::StartingWith, 1),
    ("endingwith", Test::EndingWith, 1),
    ("containing", Test::Containing, 1),
];

impl Test {
    pub(super) fn find(name: &str, args: usize) -> Result<Test, ExpressionError> {
        let Some((_, test, count)) = TESTS.iter().find(|(n, ..)| *n == name) else {
            let hint = shape::suggestion(name, TESTS.iter().map(|(n, ..)| *n)).unwrap_or_else(|| listed(TESTS.iter().map(|(n, ..)| *n)));
            return Err(ExpressionError { message: format!("unknown test `is {name}`"), at: None, hint: Some(hint) });
        };
        arguments("test", name, args, *count, *count).map(|()| *test)
    }

    /// Text tests are comparisons: false with none.
    pub(super) fn apply(self, input: &Value, args: &[Value]) -> Result<bool, ExpressionError> {
        Ok(match (self, input, args) {
            (Test::None, value, _) => *value == Value::None,
            (Test::Defined, value, _) => *value != Value::None,
            (_, Value::None, _) | (_, _, [Value::None]) => false,
            (Test::StartingWith, Value::Text(a), [Value::Text(b)]) => a.starts_with(b.as_ref()),
            (Test::EndingWith, Value::Text(a), [Value::Text(b)]) => a.ends_with(b.as_ref()),
            (Test::Containing, Value::Text(a), [Value::Text(b)]) => a.contains(b.as_ref()),
            (_, value, _) => return Err(ExpressionError::new(format!("this test is for text, not for {}", value.kind()))),
        })
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    format!("there are {}", names.map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))
}

fn arguments(what: &str, name: &str, given: usize, least: usize, most: usize) -> Result<(), ExpressionError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(ExpressionError::new(format!("the {what} `{name}` takes {least} argument{}, not {given}", if least == 1 { "" } else { "s" })))
}
