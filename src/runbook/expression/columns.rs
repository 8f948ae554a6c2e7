//! One source against many spares at once: comparisons and sums of integers, column by column. It says what `eval` says of
//! every one of them, or nothing: whatever is not of this kind, or fails for one spare alone, is left to who asks pair by pair.

use super::Value;
use super::lower::{Ast, Op};
use std::borrow::Cow;

/// What many spares show to one expression, by the slot of each of its paths. None: not all are integers.
pub struct Columns {
    slots: Vec<Option<Vec<i64>>>,
    count: usize,
}

/// One operand for every spare.
enum Column<'c> {
    /// None is what the source shows.
    Absent,
    Same(i64),
    Each(Cow<'c, [i64]>),
    Truth(bool),
    Truths(Vec<bool>),
}

impl Columns {
    /// `rows`: as `Expression::row` gives them; `of_spare`: which of their slots are the spare's.
    pub(super) fn of<'v>(rows: impl ExactSizeIterator<Item = &'v [Value]> + Clone, of_spare: &[bool]) -> Columns {
        let integer = |row: &[Value], slot: usize| match row.get(slot) {
            Some(Value::Integer(n)) => Some(*n),
            _ => None,
        };
        let column = |(slot, is): (usize, &bool)| is.then(|| rows.clone().map(|row| integer(row, slot)).collect()).flatten();
        Columns { count: rows.len(), slots: of_spare.iter().enumerate().map(column).collect() }
    }

    /// Is it so, spare by spare?
    pub(super) fn truths(&self, ast: &Ast, source: &[Value], of_spare: &[bool]) -> Option<Vec<bool>> {
        match (View { all: self, source, of_spare }).truth(ast)? {
            Column::Truth(holds) => Some(vec![holds; self.count]),
            Column::Truths(each) => Some(each),
            _ => None,
        }
    }
}

struct View<'c> {
    all: &'c Columns,
    source: &'c [Value],
    of_spare: &'c [bool],
}

impl<'c> View<'c> {
    fn column(&self, ast: &Ast) -> Option<Column<'c>> {
        match &ast.op {
            Op::Constant(value) => one(value),
            Op::Path(path) => match self.of_spare.get(path.slot) {
                Some(true) => self.all.slots.get(path.slot)?.as_deref().map(|each| Column::Each(Cow::Borrowed(each))),
                _ => self.source.get(path.slot).map_or(Some(Column::Absent), one),
            },
            Op::Not(inner) => Some(match self.truth(inner)? {
                Column::Truths(each) => Column::Truths(each.into_iter().map(|holds| !holds).collect()),
                Column::Truth(holds) => Column::Truth(!holds),
                _ => return None,
            }),
            Op::And(left, right) => both(self.truth(left)?, self.truth(right)?, |a, b| a & b),
            Op::Or(left, right) => both(self.truth(left)?, self.truth(right)?, |a, b| a | b),
            Op::Compare(first, rest) => {
                let mut left = self.column(first)?;
                let mut all = Column::Truth(true);
                for (operator, right) in rest {
                    let right = self.column(right)?;
                    all = both(all, compared(&left, operator, &right)?, |a, b| a & b)?;
                    left = right;
                }
                Some(all)
            }
            Op::Arithmetic(operator, left, right) => match *operator {
                "+" => combined(self.column(left)?, self.column(right)?, i64::overflowing_add),
                "-" => combined(self.column(left)?, self.column(right)?, i64::overflowing_sub),
                _ => None,
            },
            _ => None,
        }
    }

    /// What is absent is not so, as everywhere.
    fn truth(&self, ast: &Ast) -> Option<Column<'c>> {
        match self.column(ast)? {
            Column::Absent => Some(Column::Truth(false)),
            truth @ (Column::Truth(_) | Column::Truths(_)) => Some(truth),
            _ => None,
        }
    }
}

fn one<'c>(value: &Value) -> Option<Column<'c>> {
    match value {
        Value::None => Some(Column::Absent),
        Value::Integer(n) => Some(Column::Same(*n)),
        Value::Bool(b) => Some(Column::Truth(*b)),
        _ => None,
    }
}

fn both<'c>(left: Column, right: Column, join: impl Fn(bool, bool) -> bool) -> Option<Column<'c>> {
    Some(match (left, right) {
        (Column::Truth(a), Column::Truth(b)) => Column::Truth(join(a, b)),
        (Column::Truth(a), Column::Truths(mut each)) | (Column::Truths(mut each), Column::Truth(a)) => {
            each.iter_mut().for_each(|b| *b = join(a, *b));
            Column::Truths(each)
        }
        (Column::Truths(mut each), Column::Truths(other)) => {
            each.iter_mut().zip(&other).for_each(|(a, b)| *a = join(*a, *b));
            Column::Truths(each)
        }
        _ => return None,
    })
}

fn compared<'c>(left: &Column, operator: &str, right: &Column) -> Option<Column<'c>> {
    match operator {
        "==" => ordered(left, right, |a, b| a == b),
        "!=" => ordered(left, right, |a, b| a != b),
        "<" => ordered(left, right, |a, b| a < b),
        "<=" => ordered(left, right, |a, b| a <= b),
        ">" => ordered(left, right, |a, b| a > b),
        ">=" => ordered(left, right, |a, b| a >= b),
        _ => None,
    }
}

fn ordered<'c>(left: &Column, right: &Column, is: impl Fn(i64, i64) -> bool) -> Option<Column<'c>> {
    Some(match (left, right) {
        (Column::Absent, _) | (_, Column::Absent) => Column::Truth(false),
        (Column::Same(a), Column::Same(b)) => Column::Truth(is(*a, *b)),
        (Column::Same(a), Column::Each(each)) => Column::Truths(each.iter().map(|b| is(*a, *b)).collect()),
        (Column::Each(each), Column::Same(b)) => Column::Truths(each.iter().map(|a| is(*a, *b)).collect()),
        (Column::Each(each), Column::Each(other)) => Column::Truths(each.iter().zip(other.iter()).map(|(a, b)| is(*a, *b)).collect()),
        _ => return None,
    })
}

/// None where one of them has no 64-bit result.
fn combined<'c>(left: Column, right: Column, join: impl Fn(i64, i64) -> (i64, bool)) -> Option<Column<'c>> {
    let mut over = false;
    let mut joined = |a: i64, b: i64| {
        let (sum, beyond) = join(a, b);
        over |= beyond;
        sum
    };
    let column = match (left, right) {
        (Column::Absent, _) | (_, Column::Absent) => Column::Absent,
        (Column::Same(a), Column::Same(b)) => Column::Same(joined(a, b)),
        (Column::Same(a), Column::Each(each)) => Column::Each(each.iter().map(|b| joined(a, *b)).collect()),
        (Column::Each(each), Column::Same(b)) => Column::Each(each.iter().map(|a| joined(*a, b)).collect()),
        (Column::Each(each), Column::Each(other)) => Column::Each(each.iter().zip(other.iter()).map(|(a, b)| joined(*a, *b)).collect()),
        _ => return None,
    };
    (!over).then_some(column)
}

#[cfg(test)]
mod tests {
    use super::super::eval::{self, Row};
    use super::super::{Expression, Names};
    use super::*;
    use std::collections::BTreeMap;

    /// What is asked of spares that show one of these each.
    fn spares(with: &Value) -> Vec<Vec<Value>> {
        [Value::Integer(-1), Value::Integer(0), Value::Integer(7), with.clone()].map(|v| vec![v; 8]).to_vec()
    }

    #[test]
    fn it_says_what_eval_says_of_every_spare_or_nothing() {
        let (a, b) = ("source.labels.a", "spare.labels.b");
        let mut texts = vec![format!("not {a} < {b}"), format!("{a} in {b}"), format!("{a} * {b} > 1"), format!("{a} + {b}")];
        for operator in ["==", "!=", "<", "<=", ">", ">="] {
            texts.push(format!("{a} {operator} {b}"));
            texts.push(format!("{b} - {a} {operator} 3 and 2 > {a} - {b}"));
            texts.push(format!("{a} {operator} {b} or {b} {operator} {b} + 1 and true"));
            texts.push(format!("not ({b} {operator} 0 {operator} {a}) or {a} {operator} 1 + 1"));
            texts.push(format!("{a} and {a} {operator} {b}"));
        }
        let sources = [Value::None, Value::Bool(true), Value::Integer(0), Value::Integer(i64::MAX), Value::Float(1.0), Value::text("1")];
        let (mut said, mut silent) = (0, 0);
        for text in &texts {
            let expression = Expression::parse(text, Names::SpareAndSource, &BTreeMap::new()).expect("an expression");
            for (source, with) in sources.iter().flat_map(|s| [Value::Integer(9), Value::None, Value::text("x")].map(|w| (s, w))) {
                let (source, spares) = (vec![source.clone(); 8], spares(&with));
                let columns = Columns::of(spares.iter().map(Vec::as_slice), &expression.of_spare);
                let Some(truths) = columns.truths(&expression.ast, &source, &expression.of_spare) else {
                    silent += 1;
                    continue;
                };
                said += 1;
                let by_pair = spares
                    .iter()
                    .map(|spare| eval::truth(&expression.ast, &Row { source: &source, spare, of_spare: &expression.of_spare }));
                assert_eq!(
                    truths.into_iter().map(Ok).collect::<Vec<_>>(),
                    by_pair.collect::<Vec<_>>(),
                    "{text} of {source:?} with {with:?}"
                );
            }
        }
        assert!(said > 50 && silent > 50, "{said} said, {silent} not");
    }
}
