//! Evaluation: total (no loops, no calls), strict about kinds, and false wherever none is compared.

use super::lower::{Ast, Op, Path, not_boolean};
use super::{ExpressionError, Scope, Value, shape};
use std::cmp::Ordering;

type Evaluated = Result<Value, ExpressionError>;

/// Where the values of paths come from.
pub(super) trait Sight {
    fn read(&self, path: &Path) -> Value;
}

impl Sight for Scope {
    fn read(&self, path: &Path) -> Value {
        self.get(&path.steps)
    }
}

/// One expression's reads, in their order, by whom they are of.
pub(super) struct Row<'a> {
    pub source: &'a [Value],
    pub spare: &'a [Value],
    /// Is it of the spare?
    pub of_spare: &'a [bool],
}

impl Sight for Row<'_> {
    fn read(&self, path: &Path) -> Value {
        self.value(path).cloned().unwrap_or(Value::None)
    }
}

impl<'a> Row<'a> {
    pub(super) fn value(&self, path: &Path) -> Option<&'a Value> {
        let side = if self.of_spare.get(path.slot) == Some(&true) { self.spare } else { self.source };
        side.get(path.slot)
    }
}

pub(super) fn evaluate(ast: &Ast, scope: &impl Sight) -> Evaluated {
    step(ast, scope).map_err(|e| ExpressionError { at: e.at.or(Some(ast.at)), ..e })
}

fn step(ast: &Ast, scope: &impl Sight) -> Evaluated {
    match &ast.op {
        Op::Constant(value) => Ok(value.clone()),
        Op::Path(path) => Ok(scope.read(path)),
        Op::Attribute(inner, name) => Ok(evaluate(inner, scope)?.attribute(name)),
        Op::Index(list, index) => index_of(evaluate(list, scope)?, evaluate(index, scope)?),
        Op::List(items) => Ok(Value::List(items.iter().map(|i| evaluate(i, scope)).collect::<Result<_, _>>()?)),
        Op::Not(inner) => Ok(Value::Bool(!truth(inner, scope)?)),
        Op::Negative(inner) => arithmetic("-", Value::Integer(0), evaluate(inner, scope)?),
        Op::And(left, right) => Ok(Value::Bool(truth(left, scope)? && truth(right, scope)?)),
        Op::Or(left, right) => Ok(Value::Bool(truth(left, scope)? || truth(right, scope)?)),
        Op::If { test, yes, no } => match (truth(test, scope)?, no) {
            (true, _) => evaluate(yes, scope),
            (false, Some(no)) => evaluate(no, scope),
            (false, None) => Ok(Value::None),
        },
        Op::Compare(first, rest) => {
            let mut left = evaluate(first, scope)?;
            for (operator, right) in rest {
                let right = evaluate(right, scope)?;
                if !compare(&left, operator, &right)? {
                    return Ok(Value::Bool(false));
                }
                left = right;
            }
            Ok(Value::Bool(true))
        }
        Op::Arithmetic(operator, left, right) => arithmetic(operator, evaluate(left, scope)?, evaluate(right, scope)?),
        Op::Concat(left, right) => concat(&evaluate(left, scope)?, &evaluate(right, scope)?),
        Op::Filter(filter, input, args) => {
            let args: Vec<Value> = args.iter().map(|a| evaluate(a, scope)).collect::<Result<_, _>>()?;
            filter.apply(evaluate(input, scope)?, &args)
        }
        Op::Test(test, input, args) => {
            let args: Vec<Value> = args.iter().map(|a| evaluate(a, scope)).collect::<Result<_, _>>()?;
            test.apply(&evaluate(input, scope)?, &args).map(Value::Bool)
        }
    }
}

/// Is it so? A missing label is not; anything else than a boolean is an error.
pub(super) fn truth(ast: &Ast, scope: &impl Sight) -> Result<bool, ExpressionError> {
    match evaluate(ast, scope)? {
        Value::Bool(b) => Ok(b),
        Value::None => Ok(false),
        other => Err(not_boolean(other.kind(), ast.at)),
    }
}

/// A comparison with none is false, whatever the operator, and kinds are never mixed.
fn compare(left: &Value, operator: &str, right: &Value) -> Result<bool, ExpressionError> {
    if *left == Value::None || *right == Value::None {
        return Ok(false);
    }
    match operator {
        "==" => equal(left, right, operator),
        "!=" => equal(left, right, operator).map(|same| !same),
        "in" => contains(right, left, operator),
        "not in" => contains(right, left, operator).map(|found| !found),
        _ => {
            let order = order(left, right, operator)?;
            Ok(match operator {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

fn mismatch(left: &Value, operator: &str, right: &Value) -> ExpressionError {
    ExpressionError { at: None, ..shape::mismatch(left.kind(), operator, right.kind(), 0) }
}

fn equal(left: &Value, right: &Value, operator: &str) -> Result<bool, ExpressionError> {
    match (left, right) {
        (Value::Integer(a), Value::Float(b)) | (Value::Float(b), Value::Integer(a)) => Ok(*a as f64 == *b),
        (a, b) if a.kind() == b.kind() => Ok(a == b),
        _ => Err(mismatch(left, operator, right)),
    }
}

fn order(left: &Value, right: &Value, operator: &str) -> Result<Ordering, ExpressionError> {
    let none = || mismatch(left, operator, right);
    match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => Ok(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        _ => float(left).zip(float(right)).and_then(|(a, b)| a.partial_cmp(&b)).ok_or_else(none),
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        _ => None,
    }
}

fn contains(container: &Value, item: &Value, operator: &str) -> Result<bool, ExpressionError> {
    match (container, item) {
        (Value::Text(whole), Value::Text(part)) => Ok(whole.contains(part.as_ref())),
        (Value::List(items), _) => {
            for other in items.iter().filter(|o| **o != Value::None) {
                if equal(item, other, operator)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(ExpressionError::new(format!("`{operator}` looks in a list or in text, not for {} in {}", item.kind(), container.kind()))),
    }
}

fn arithmetic(operator: &str, left: Value, right: Value) -> Evaluated {
    if left == Value::None || right == Value::None {
        return Ok(Value::None);
    }
    if let (Value::Integer(a), Value::Integer(b), true) = (&left, &right, operator != "/") {
        let result = match operator {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "*" => a.checked_mul(*b),
            "//" => a.checked_div_euclid(*b),
            _ => a.checked_rem_euclid(*b),
        };
        return result.map(Value::Integer).ok_or_else(|| ExpressionError::new(format!("`{a} {operator} {b}` has no 64-bit result")));
    }
    let (Some(a), Some(b)) = (float(&left), float(&right)) else { return Err(mismatch(&left, operator, &right)) };
    let result = match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "//" => a.div_euclid(b),
        _ => a.rem_euclid(b),
    };
    if result.is_finite() { Ok(Value::Float(result)) } else { Err(ExpressionError::new(format!("`{a} {operator} {b}` has no result"))) }
}

fn concat(left: &Value, right: &Value) -> Evaluated {
    for value in [left, right] {
        match value {
            Value::None => return Ok(Value::None),
            Value::List(_) | Value::Map(_) => {
                let hint = Some("`| join(',')` makes text of a list".to_owned());
                return Err(ExpressionError { hint, ..ExpressionError::new(format!("`~` joins text, not {}", value.kind())) });
            }
            _ => {}
        }
    }
    Ok(Value::text(&format!("{left}{right}")))
}

fn index_of(list: Value, index: Value) -> Evaluated {
    match (&list, &index) {
        (Value::None, _) | (_, Value::None) => Ok(Value::None),
        (Value::List(items), Value::Integer(n)) => {
            let at = if *n < 0 { n.checked_add(i64::try_from(items.len()).unwrap_or(i64::MAX)) } else { Some(*n) };
            Ok(at.and_then(|n| usize::try_from(n).ok()).and_then(|n| items.get(n).cloned()).unwrap_or(Value::None))
        }
        _ => Err(ExpressionError::new(format!("{} has no element number {}", list.kind(), index))),
    }
}
