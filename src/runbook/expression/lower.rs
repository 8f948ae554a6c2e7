//! From minijinja's syntax tree to ours: what the runbook language does not have is refused here, and every attribute
//! and every kind that is known beforehand is checked.

use super::filter::{Filter, Test};
use super::shape::{self, Shape};
use super::{ExpressionError, Names, Value};
use minijinja::machinery::ast::{self, BinOpKind, CompareOpKind, Expr, UnaryOpKind};
use minijinja::value::ValueKind;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Ast {
    /// Byte offset into the text.
    pub at: usize,
    pub op: Op,
}

#[derive(Debug)]
pub(super) enum Op {
    Constant(Value),
    Path(Path),
    Attribute(Box<Ast>, String),
    Index(Box<Ast>, Box<Ast>),
    List(Vec<Ast>),
    Not(Box<Ast>),
    Negative(Box<Ast>),
    And(Box<Ast>, Box<Ast>),
    Or(Box<Ast>, Box<Ast>),
    If {
        test: Box<Ast>,
        yes: Box<Ast>,
        no: Option<Box<Ast>>,
    },
    /// `a < b < c` compares neighbours.
    Compare(Box<Ast>, Vec<(&'static str, Ast)>),
    Arithmetic(&'static str, Box<Ast>, Box<Ast>),
    Concat(Box<Ast>, Box<Ast>),
    Filter(Filter, Box<Ast>, Vec<Ast>),
    Test(Test, Box<Ast>, Vec<Ast>),
}

/// A top-level name and its attributes.
#[derive(Debug)]
pub(super) struct Path {
    pub steps: Vec<String>,
    /// Which of the expression's reads it is.
    pub slot: usize,
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Piece {
    Raw(String),
    Output {
        ast: Ast,
        /// As written between the braces, for messages.
        text: String,
    },
    /// One of the late names, which stays as it is.
    Late(String),
}

pub(super) struct Lowering<'v> {
    pub names: Names,
    pub vars: &'v BTreeMap<String, serde_json::Value>,
    /// Where `not in` is written.
    pub not_in: Vec<usize>,
    /// Paths that are read, step by step.
    pub reads: Vec<Vec<String>>,
}

pub(super) type Lowered<'v> = Result<(Ast, Shape<'v>), ExpressionError>;

fn unsupported(at: usize, what: &str, hint: &str) -> ExpressionError {
    ExpressionError { message: format!("{what} is not part of the language"), at: Some(at), hint: Some(hint.to_owned()) }
}

fn start(expr: &Expr) -> usize {
    expr.span().start_offset as usize
}

impl<'v> Lowering<'v> {
    pub(super) fn piece(&mut self, text: &str, statement: &ast::Stmt) -> Result<Piece, ExpressionError> {
        match statement {
            ast::Stmt::EmitRaw(raw) => Ok(Piece::Raw(raw.raw.to_owned())),
            ast::Stmt::EmitExpr(emit) => {
                let span = emit.span();
                let source = text.get(span.start_offset as usize..span.end_offset as usize).unwrap_or(text);
                let source = source.trim_start_matches("{{").trim_start_matches('-').trim().to_owned();
                if let Some(late) = self.late(&emit.expr) {
                    return Ok(Piece::Late(late));
                }
                let (ast, _) = self.lower(&emit.expr)?;
                Ok(Piece::Output { ast, text: source })
            }
            _ => {
                let at = text.find("{%").unwrap_or(0);
                Err(unsupported(
                    at,
                    "`{% %}`",
                    "write `{{ a if condition else b }}`, or two hooks with `when`; a literal `{%` is `{{ '{%' }}`",
                ))
            }
        }
    }

    /// Is it one of the names that are known only when a hook is started, alone?
    fn late(&self, expr: &Expr) -> Option<String> {
        let path = plain_path(expr)?;
        let late: &[&str] = match self.names {
            Names::Switchover => &crate::model::LATE_NAMES,
            Names::Event => &crate::model::EVENT_NAMES,
            Names::Node | Names::SpareAndSource => &[],
        };
        late.contains(&path.as_str()).then_some(path)
    }

    pub(super) fn lower(&mut self, expr: &Expr) -> Lowered<'v> {
        let at = start(expr);
        match expr {
            Expr::Const(constant) => self.constant(at, &constant.value),
            Expr::Var(var) if self.names.nodes().contains(&var.id) => Err(whole_node(at, var.id)),
            Expr::Var(var) => self.name(at, var.id),
            Expr::GetAttr(get) => self.attribute(&get.expr, get.name, end_of(expr).saturating_sub(get.name.len())),
            Expr::GetItem(get) => self.item(at, get),
            Expr::List(list) => self.list(at, &list.items),
            Expr::Tuple(tuple) => self.list(at, &tuple.items),
            Expr::UnaryOp(unary) => self.unary(at, unary),
            Expr::BinOp(binary) => self.binary(at, binary),
            Expr::Compare(compare) => self.compare(at, compare),
            Expr::IfExpr(choice) => self.choice(at, choice),
            Expr::Filter(filter) => self.filter(at, filter),
            Expr::Test(test) => self.test(at, test),
            Expr::Call(_) => {
                Err(unsupported(at, "a call", "there are filters instead: `x | lower`, `x | default(0)`, `x is startingwith('a')`"))
            }
            Expr::Slice(_) => Err(unsupported(at, "a slice", "`x | first` and `x | last` take one element")),
            Expr::Map(_) => Err(unsupported(at, "a mapping in braces", "write the mapping in YAML around the templates")),
        }
    }

    fn constant(&mut self, at: usize, value: &minijinja::Value) -> Lowered<'v> {
        let (value, shape) = match value.kind() {
            ValueKind::None => (Value::None, Shape::Unknown),
            ValueKind::Bool => (Value::Bool(value.is_true()), Shape::Bool),
            ValueKind::String => (value.as_str().map_or(Value::None, Value::text), Shape::Text),
            ValueKind::Number if value.is_integer() => {
                let n = value.as_i64().ok_or_else(|| ExpressionError::at(at, format!("`{value}` is too large for a 64-bit integer")))?;
                (Value::Integer(n), Shape::Number)
            }
            ValueKind::Number => (Value::Float(f64::try_from(value.clone()).unwrap_or(f64::NAN)), Shape::Number),
            other => {
                return Err(unsupported(at, &format!("a constant of kind {other}"), "write text, a number, `true`, `false` or `none`"));
            }
        };
        Ok((Ast { at, op: Op::Constant(value) }, shape))
    }

    fn name(&mut self, at: usize, name: &str) -> Lowered<'v> {
        let late = crate::model::LATE_NAMES.iter().chain(&crate::model::EVENT_NAMES);
        if late.into_iter().any(|late| late.split('.').next() == Some(name)) {
            return Err(self.too_late(at, name));
        }
        let shape = Shape::of_name(name, self.names, self.vars).map_err(|(m, hint)| ExpressionError { message: m, at: Some(at), hint })?;
        self.reads.push(vec![name.to_owned()]);
        Ok((Ast { at, op: Op::Path(Path { steps: vec![name.to_owned()], slot: self.reads.len() - 1 }) }, shape))
    }

    fn too_late(&self, at: usize, name: &str) -> ExpressionError {
        let hint = match self.names {
            Names::Switchover => {
                "in the templates of hooks it stands alone, as `{{ run.id }}`, `{{ switchover.id }}`, `{{ step }}` or `{{ attempt }}`"
            }
            Names::Event => {
                "a notification may use `{{ event.text }}`, `{{ event.kind }}`, `{{ event.switchover }}` and `{{ run.id }}`, each alone"
            }
            _ => "what is planned cannot depend on it",
        };
        ExpressionError { message: format!("`{name}` is known only when a hook is started"), at: Some(at), hint: Some(hint.to_owned()) }
    }

    fn attribute(&mut self, inner: &Expr, name: &str, at: usize) -> Lowered<'v> {
        let (inner, shape) = match inner {
            Expr::Var(var) => self.name(start(inner), var.id)?,
            _ => self.lower(inner)?,
        };
        let path = match &inner.op {
            Op::Path(path) => path.steps.join("."),
            _ => "this".to_owned(),
        };
        let shape = shape.attribute(&path, name).map_err(|(message, hint)| ExpressionError { message, at: Some(at), hint })?;
        let Op::Path(mut path) = inner.op else {
            return Ok((Ast { at: inner.at, op: Op::Attribute(Box::new(inner), name.to_owned()) }, shape));
        };
        // The longer path takes the place of the one that it begins with; a path that is read by itself stays.
        path.steps.push(name.to_owned());
        self.reads.pop();
        self.reads.push(path.steps.clone());
        Ok((Ast { at: inner.at, op: Op::Path(path) }, shape))
    }

    fn item(&mut self, at: usize, get: &ast::GetItem) -> Lowered<'v> {
        if let Expr::Const(key) = &get.subscript_expr
            && let Some(name) = key.value.as_str()
        {
            return self.attribute(&get.expr, name, start(&get.subscript_expr));
        }
        let (list, shape) = self.lower(&get.expr)?;
        let (index, index_shape) = self.lower(&get.subscript_expr)?;
        if shape.kind().is_some_and(|k| k != "a list") || index_shape.kind().is_some_and(|k| k != "a number") {
            return Err(unsupported(at, "this subscript", "write `labels['a-name']` or `list[0]`"));
        }
        Ok((Ast { at, op: Op::Index(Box::new(list), Box::new(index)) }, Shape::Unknown))
    }

    fn list(&mut self, at: usize, items: &[Expr]) -> Lowered<'v> {
        let items = items.iter().map(|item| self.lower(item).map(|(ast, _)| ast)).collect::<Result<_, _>>()?;
        Ok((Ast { at, op: Op::List(items) }, Shape::List))
    }

    /// Minijinja reads `a not in b` as `not (a in b)`. With none the one is false (a comparison) and the other true, so
    /// they are told apart by where the operator stands: between its operands.
    fn not_in<'e>(&self, negated: &'e Expr<'e>) -> Option<&'e ast::BinOp<'e>> {
        let Expr::BinOp(inner) = negated else { return None };
        let between = end_of(&inner.left)..start(&inner.right);
        let found = matches!(inner.op, BinOpKind::In) && self.not_in.iter().any(|place| between.contains(place));
        found.then_some(&**inner)
    }

    fn unary(&mut self, at: usize, unary: &ast::UnaryOp) -> Lowered<'v> {
        match unary.op {
            UnaryOpKind::Not => {
                if let Some(inner) = self.not_in(&unary.expr) {
                    return self.comparison(at, &inner.left, "not in", &inner.right);
                }
                let inner = self.condition(&unary.expr)?;
                Ok((Ast { at, op: Op::Not(Box::new(inner)) }, Shape::Bool))
            }
            UnaryOpKind::Neg => {
                let (inner, shape) = self.lower(&unary.expr)?;
                number(shape, "-", inner.at)?;
                Ok((Ast { at, op: Op::Negative(Box::new(inner)) }, Shape::Number))
            }
        }
    }

    /// An operand that is asked for its truth.
    fn condition(&mut self, expr: &Expr) -> Result<Ast, ExpressionError> {
        let (ast, shape) = self.lower(expr)?;
        match shape.kind() {
            None | Some("a boolean") => Ok(ast),
            Some(kind) => Err(not_boolean(kind, ast.at)),
        }
    }

    fn binary(&mut self, at: usize, binary: &ast::BinOp) -> Lowered<'v> {
        let operator = match binary.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => {
                let (left, right) = (Box::new(self.condition(&binary.left)?), Box::new(self.condition(&binary.right)?));
                let op = if matches!(binary.op, BinOpKind::ScAnd) { Op::And(left, right) } else { Op::Or(left, right) };
                return Ok((Ast { at, op }, Shape::Bool));
            }
            BinOpKind::Concat => {
                let (left, right) = (Box::new(self.lower(&binary.left)?.0), Box::new(self.lower(&binary.right)?.0));
                return Ok((Ast { at, op: Op::Concat(left, right) }, Shape::Text));
            }
            BinOpKind::Eq | BinOpKind::Ne | BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte | BinOpKind::In => {
                return self.comparison(at, &binary.left, operator_of(binary.op), &binary.right);
            }
            BinOpKind::Add => "+",
            BinOpKind::Sub => "-",
            BinOpKind::Mul => "*",
            BinOpKind::Div => "/",
            BinOpKind::FloorDiv => "//",
            BinOpKind::Rem => "%",
            BinOpKind::Pow => return Err(unsupported(at, "`**`", "write the number out")),
        };
        let (left, left_shape) = self.lower(&binary.left)?;
        let (right, right_shape) = self.lower(&binary.right)?;
        number(left_shape, operator, left.at)?;
        number(right_shape, operator, right.at)?;
        Ok((Ast { at, op: Op::Arithmetic(operator, Box::new(left), Box::new(right)) }, Shape::Number))
    }

    fn comparison(&mut self, at: usize, left: &Expr, operator: &'static str, right: &Expr) -> Lowered<'v> {
        let (left, shape) = self.lower(left)?;
        let (right, _) = self.compared(shape, operator, right)?;
        Ok((Ast { at, op: Op::Compare(Box::new(left), vec![(operator, right)]) }, Shape::Bool))
    }

    fn compare(&mut self, at: usize, compare: &ast::Compare) -> Lowered<'v> {
        let (first, mut before) = self.lower(&compare.expr)?;
        let mut rest = Vec::new();
        for op in &compare.ops {
            let operator = match op.op {
                CompareOpKind::Eq => "==",
                CompareOpKind::Ne => "!=",
                CompareOpKind::Lt => "<",
                CompareOpKind::Lte => "<=",
                CompareOpKind::Gt => ">",
                CompareOpKind::Gte => ">=",
                CompareOpKind::In => "in",
                CompareOpKind::NotIn => "not in",
            };
            let (next, shape) = self.compared(before, operator, &op.expr)?;
            rest.push((operator, next));
            before = shape;
        }
        Ok((Ast { at, op: Op::Compare(Box::new(first), rest) }, Shape::Bool))
    }

    fn compared(&mut self, left: Shape<'v>, operator: &'static str, right: &Expr) -> Lowered<'v> {
        let (ast, shape) = self.lower(right)?;
        shape::comparable(left, shape, operator, ast.at)?;
        Ok((ast, shape))
    }

    fn choice(&mut self, at: usize, choice: &ast::IfExpr) -> Lowered<'v> {
        let test = Box::new(self.condition(&choice.test_expr)?);
        let (yes, shape) = self.lower(&choice.true_expr)?;
        let no = choice.false_expr.as_ref().map(|e| self.lower(e)).transpose()?;
        let same = no.as_ref().is_none_or(|(_, other)| other.kind() == shape.kind());
        let op = Op::If { test, yes: Box::new(yes), no: no.map(|(ast, _)| Box::new(ast)) };
        Ok((Ast { at, op }, if same { shape } else { Shape::Unknown }))
    }

    fn filter(&mut self, at: usize, filter: &ast::Filter) -> Lowered<'v> {
        let Some(input) = &filter.expr else { return Err(unsupported(at, "a filter without a value", "write `x | lower`")) };
        let (input, shape) = self.lower(input)?;
        let args = self.arguments(at, &filter.args)?;
        let kind = Filter::find(filter.name, args.len()).map_err(|e| ExpressionError { at: Some(end_of_name(input.at, at)), ..e })?;
        Ok((Ast { at, op: Op::Filter(kind, Box::new(input), args) }, kind.shape(shape)))
    }

    fn test(&mut self, at: usize, test: &ast::Test) -> Lowered<'v> {
        let (input, _) = self.lower(&test.expr)?;
        let args = self.arguments(at, &test.args)?;
        let kind = Test::find(test.name, args.len()).map_err(|e| ExpressionError { at: Some(at), ..e })?;
        Ok((Ast { at, op: Op::Test(kind, Box::new(input), args) }, Shape::Bool))
    }

    fn arguments(&mut self, at: usize, args: &[ast::CallArg]) -> Result<Vec<Ast>, ExpressionError> {
        args.iter()
            .map(|arg| match arg {
                ast::CallArg::Pos(expr) => self.lower(expr).map(|(ast, _)| ast),
                _ => Err(unsupported(at, "a named argument", "write the argument without its name")),
            })
            .collect()
    }
}

fn end_of(expr: &Expr) -> usize {
    expr.span().end_offset as usize
}

fn end_of_name(input: usize, filter: usize) -> usize {
    filter.max(input)
}

fn operator_of(op: BinOpKind) -> &'static str {
    match op {
        BinOpKind::Ne => "!=",
        BinOpKind::Lt => "<",
        BinOpKind::Lte => "<=",
        BinOpKind::Gt => ">",
        BinOpKind::Gte => ">=",
        BinOpKind::In => "in",
        _ => "==",
    }
}

pub(super) fn not_boolean(kind: &str, at: usize) -> ExpressionError {
    let hint = "compare it with something, or ask `is none` or `is not none`";
    ExpressionError { message: format!("{kind} where true or false is needed"), at: Some(at), hint: Some(hint.to_owned()) }
}

fn whole_node(at: usize, name: &str) -> ExpressionError {
    let hint = format!("name one of its attributes, such as `{name}.name` or `{name}.uuid`");
    ExpressionError { message: format!("`{name}` is a whole node"), at: Some(at), hint: Some(hint) }
}

fn number(shape: Shape, operator: &str, at: usize) -> Result<(), ExpressionError> {
    match shape.kind() {
        None | Some("a number") => Ok(()),
        Some(kind) => Err(shape::mismatch(kind, operator, "a number", at)),
    }
}

/// `a.b.c` written without anything else.
fn plain_path(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Var(var) => Some(var.id.to_owned()),
        Expr::GetAttr(get) => plain_path(&get.expr).map(|inner| format!("{inner}.{}", get.name)),
        _ => None,
    }
}
