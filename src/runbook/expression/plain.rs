//! The part of evaluation that preferences over millions of pairs are made of: comparisons of booleans, integers and texts,
//! and sums, without copying a value. It says what `eval` says, or nothing; whatever is not plain, errors included, is
//! left to `eval`.

use super::Value;
use super::eval::Row;
use super::lower::{Ast, Op};
use std::cmp::Ordering;

#[derive(Clone, Copy)]
enum Plain<'v> {
    None,
    Bool(bool),
    Integer(i64),
    Text(&'v str),
}

fn of(value: &Value) -> Option<Plain<'_>> {
    match value {
        Value::None => Some(Plain::None),
        Value::Bool(b) => Some(Plain::Bool(*b)),
        Value::Integer(n) => Some(Plain::Integer(*n)),
        Value::Text(t) => Some(Plain::Text(t)),
        _ => None,
    }
}

/// Is it so? None: that is for `eval` to say.
pub(super) fn truth(ast: &Ast, row: &Row<'_>) -> Option<bool> {
    match plain(ast, row)? {
        Plain::Bool(b) => Some(b),
        Plain::None => Some(false),
        _ => None,
    }
}

fn plain<'v>(ast: &'v Ast, row: &Row<'v>) -> Option<Plain<'v>> {
    match &ast.op {
        Op::Constant(value) => of(value),
        Op::Path(path) => row.value(path).map_or(Some(Plain::None), of),
        Op::Not(inner) => Some(Plain::Bool(!truth(inner, row)?)),
        Op::And(left, right) => Some(Plain::Bool(truth(left, row)? && truth(right, row)?)),
        Op::Or(left, right) => Some(Plain::Bool(truth(left, row)? || truth(right, row)?)),
        Op::Compare(first, rest) => {
            let mut left = plain(first, row)?;
            for (operator, right) in rest {
                let right = plain(right, row)?;
                if !compare(left, operator, right)? {
                    return Some(Plain::Bool(false));
                }
                left = right;
            }
            Some(Plain::Bool(true))
        }
        Op::Arithmetic(operator, left, right) => match (plain(left, row)?, plain(right, row)?) {
            (Plain::None, _) | (_, Plain::None) => Some(Plain::None),
            (Plain::Integer(a), Plain::Integer(b)) => match *operator {
                "+" => a.checked_add(b).map(Plain::Integer),
                "-" => a.checked_sub(b).map(Plain::Integer),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn compare(left: Plain, operator: &str, right: Plain) -> Option<bool> {
    let order = match (left, right) {
        (Plain::None, _) | (_, Plain::None) => return Some(false),
        (Plain::Integer(a), Plain::Integer(b)) => a.cmp(&b),
        (Plain::Text(a), Plain::Text(b)) => a.cmp(b),
        // Booleans are the same or not; they have no order.
        (Plain::Bool(a), Plain::Bool(b)) if matches!(operator, "==" | "!=") => a.cmp(&b),
        _ => return None,
    };
    match operator {
        "==" => Some(order == Ordering::Equal),
        "!=" => Some(order != Ordering::Equal),
        "<" => Some(order.is_lt()),
        "<=" => Some(order.is_le()),
        ">" => Some(order.is_gt()),
        ">=" => Some(order.is_ge()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::eval;
    use super::super::{Expression, Names};
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_says_what_eval_says_or_nothing() {
        let (a, b) = ("source.labels.a", "spare.labels.b");
        let mut texts = vec![format!("not {a}"), format!("{a} in {b}"), format!("{a} * {b} > 1"), format!("{a} | default(1) == {b}")];
        for operator in ["==", "!=", "<", "<=", ">", ">="] {
            texts.push(format!("{a} {operator} {b}"));
            texts.push(format!("1 {operator} {a} - {b} + 2"));
            texts.push(format!("{a} {operator} {b} and {b} or 1 {operator} {b} {operator} {a}"));
        }
        let values = [Value::None, Value::Bool(true), Value::Bool(false), Value::Integer(0), Value::Integer(1), Value::Integer(i64::MIN)];
        let values = values.into_iter().chain([Value::Float(1.0), Value::text("1"), Value::text("b"), Value::list([])]);
        let values: Vec<Value> = values.collect();
        let mut said = 0;
        for text in &texts {
            let expression = Expression::parse(text, Names::SpareAndSource, &BTreeMap::new()).expect("an expression");
            for (source, spare) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
                let read = |path: &[String]| if path[0] == "spare" { spare.clone() } else { source.clone() };
                let values = expression.row(read);
                let row = Row { source: &values, spare: &values, of_spare: &expression.of_spare };
                if let Some(answer) = truth(&expression.ast, &row) {
                    assert_eq!(eval::truth(&expression.ast, &row), Ok(answer), "{text} of {source:?} and {spare:?}");
                    said += 1;
                }
            }
        }
        // A fifth of them is told apart without the whole evaluator; most pairs of kinds are errors, which it leaves to that one.
        assert!(said > texts.len() * values.len() * values.len() / 5, "{said}");
    }
}
