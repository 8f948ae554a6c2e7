//! Matching over one fleet: every rule of [`super::predicate`] for a source and a spare, or one question for many pairs.

use super::predicate::*;
use super::{Against, Columns, Expression, ExpressionError, Matching, NodeValues, Require, Rule, Scope, Value};
use crate::model::*;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Everything that the rules say of one source and one spare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Judgement {
    pub findings: Vec<Finding>,
    /// The preferences that hold.
    pub preferred: Vec<String>,
    /// Their weights, added up.
    pub weight: u64,
    /// How many facts were found identical.
    pub identical: usize,
    /// Rules that could not be evaluated: the plan is refused, for a rule that cannot be asked decides nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl Judgement {
    pub fn qualifies(&self) -> bool {
        self.findings.iter().all(|f| f.passed)
    }

    pub fn misses(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| !f.passed)
    }
}

/// Match one source with one spare. For many pairs make one [`Judge`].
pub fn judge(matching: &Matching, fleet: &Fleet, source: NodeId, spare: NodeId, vars: &BTreeMap<String, serde_json::Value>) -> Judgement {
    Judge::new(matching, fleet, vars).judge(source, spare)
}

/// What a node shows to a question. Nodes that show the same get the same answers.
#[derive(Clone, Debug)]
pub enum Shown {
    Row(Vec<Value>),
    Fact(Option<Property>),
}

/// An order to find equals by, and no more: the language's own comparisons mix no kinds.
impl Ord for Shown {
    fn cmp(&self, other: &Shown) -> Ordering {
        match (self, other) {
            (Shown::Row(a), Shown::Row(b)) => Value::place_of_lists(a, b),
            (Shown::Fact(a), Shown::Fact(b)) => a.cmp(b),
            (Shown::Row(_), Shown::Fact(_)) => Ordering::Less,
            (Shown::Fact(_), Shown::Row(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Shown {
    fn partial_cmp(&self, other: &Shown) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Shown) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Shown {}

/// Matching over one fleet. What a node shows is worked out when it is asked for.
pub struct Judge<'a> {
    matching: &'a Matching,
    fleet: &'a Fleet,
    values: NodeValues<'a>,
    vars: Scope,
}

impl<'a> Judge<'a> {
    pub fn new(matching: &'a Matching, fleet: &'a Fleet, vars: &BTreeMap<String, serde_json::Value>) -> Judge<'a> {
        Judge { matching, fleet, values: NodeValues::new(fleet), vars: Scope::new(vars) }
    }

    pub fn matching(&self) -> &'a Matching {
        self.matching
    }

    fn seen(&self, id: NodeId) -> Option<Seen<'a>> {
        self.fleet.nodes.get(&id).map(|node| Seen { node })
    }

    /// `node` stands for the spare.
    fn read(&self, path: &[String], source: NodeId, spare: NodeId) -> Value {
        match path.split_first() {
            Some((name, rest)) if name == "source" => self.values.read(source, rest),
            Some((name, rest)) if name == "spare" || name == "node" => self.values.read(spare, rest),
            _ => self.vars.get(path),
        }
    }

    /// Is it true of this pair?
    ///
    /// # Errors
    /// The values do not fit the expression.
    pub fn holds(&self, expression: &Expression, source: NodeId, spare: NodeId) -> Result<bool, ExpressionError> {
        let row = expression.row(|path| self.read(path, source, spare));
        expression.holds_for(&row, &row)
    }

    /// Is it true of this node?
    ///
    /// # Errors
    /// The values do not fit the expression.
    pub fn selects(&self, expression: &Expression, node: NodeId) -> Result<bool, ExpressionError> {
        self.holds(expression, node, node)
    }

    /// What an expression over `node` gives.
    ///
    /// # Errors
    /// The values do not fit the expression, or it gives no integer.
    pub fn integer(&self, expression: &Expression, node: NodeId) -> Result<i64, ExpressionError> {
        expression.integer_of(&expression.row(|path| self.read(path, node, node)))
    }

    /// Whatever an expression over `node` gives.
    ///
    /// # Errors
    /// The values do not fit the expression.
    pub fn value(&self, expression: &Expression, node: NodeId) -> Result<Value, ExpressionError> {
        expression.value_of(&expression.row(|path| self.read(path, node, node)))
    }

    /// What an expression saw, for messages.
    pub fn readings(&self, expression: &Expression, source: NodeId, spare: NodeId) -> Vec<(String, Value)> {
        expression.readings(|path| self.read(path, source, spare))
    }

    /// What a node shows to a question as the source (else as the spare).
    pub fn shows(&self, ask: Ask<'_>, as_source: bool, id: NodeId) -> Shown {
        match ask {
            Ask::When(expression) => {
                let others = if as_source { "spare" } else { "source" };
                Shown::Row(expression.row(|path| if path[0] == others { Value::None } else { self.read(path, id, id) }))
            }
            // Compared with a value, the source's fact is only shown to people.
            Ask::Fact { against, .. } if as_source && *against != Against::Source => Shown::Fact(None),
            Ask::Fact { fact, .. } => Shown::Fact(self.seen(id).and_then(|seen| seen.property(fact))),
        }
    }

    /// The values that must be equal, in order. Two nodes whose keys differ cannot match; neither can one with a gap.
    pub fn identical_key(&self, id: NodeId) -> Vec<Option<Property>> {
        let Some(seen) = self.seen(id) else { return Vec::new() };
        self.matching.identical.iter().map(|name| seen.property(name)).collect()
    }

    /// May it be a spare at all, by what is known of it: rules that no runbook can take away.
    pub fn sound(&self, id: NodeId) -> bool {
        self.fleet.nodes.get(&id).is_some_and(|node| node.facts_known() && node.health() != Some(Health::Critical))
    }

    /// Every rule, whether or not an earlier one failed.
    pub fn judge(&self, source: NodeId, spare: NodeId) -> Judgement {
        let mut judgement = Judgement::default();
        let (Some(from), Some(to)) = (self.seen(source), self.seen(spare)) else {
            let text = "it is not in the inventory".to_owned();
            judgement.findings.push(Finding { rule: "known".into(), passed: false, source: None, spare: None, text, gap: 0 });
            return judgement;
        };
        let (from, to) = (&from, &to);
        judgement.findings.push(facts_known(to));
        judgement.findings.push(health(to));
        for name in &self.matching.identical {
            let names = if name == "firmware.*" { components(from, to) } else { vec![name.clone()] };
            judgement.findings.extend(names.iter().map(|n| identical(n, from, to)));
        }
        judgement.identical = judgement.findings.iter().skip(2).filter(|f| f.passed).count();
        for rule in &self.matching.require {
            let finding = self.require(rule, from, to).unwrap_or_else(|error| {
                judgement.errors.push(format!("rule `{}` cannot be evaluated: {error}", rule.name));
                Finding { rule: rule.name.clone(), passed: false, source: None, spare: None, text: error.message, gap: 0 }
            });
            judgement.findings.push(finding);
        }
        for preference in &self.matching.prefer {
            match self.holds(&preference.when, source, spare) {
                Ok(true) => {
                    judgement.preferred.push(preference.name.clone());
                    judgement.weight += u64::from(preference.weight);
                }
                Ok(false) => {}
                Err(error) => judgement.errors.push(format!("preference `{}` cannot be evaluated: {error}", preference.name)),
            }
        }
        judgement
    }

    fn require(&self, rule: &Require, from: &Seen, to: &Seen) -> Result<Finding, ExpressionError> {
        match &rule.rule {
            Rule::When(expression) => {
                let passed = self.holds(expression, from.node.id, to.node.id)?;
                let seen = self.readings(expression, from.node.id, to.node.id);
                let of = |role: &str| {
                    let shown: Vec<String> =
                        seen.iter().filter(|(p, _)| p.split('.').next() == Some(role)).map(|(_, v)| v.to_string()).collect();
                    (!shown.is_empty()).then(|| shown.join(", "))
                };
                let what: Vec<String> = seen.iter().map(|(path, value)| format!("`{path}` is {value}")).collect();
                let text = format!("`{}` is {passed}: {}", expression.text, what.join(", "));
                Ok(Finding { rule: rule.name.clone(), passed, source: of("source"), spare: of("spare"), text, gap: 0 })
            }
            Rule::Fact { fact, test, against } => Ok(fact_rule(&rule.name, fact, *test, against, from, to)),
        }
    }
}

impl Ask<'_> {
    /// The same as [`Judge::judge`] finds, from what both sides show.
    ///
    /// # Errors
    /// The values do not fit the expression.
    pub fn answer(&self, source: &Shown, spare: &Shown) -> Result<bool, ExpressionError> {
        match (self, source, spare) {
            (Ask::When(expression), Shown::Row(source), Shown::Row(spare)) => expression.holds_for(source, spare),
            (Ask::Fact { test, against, .. }, Shown::Fact(source), Shown::Fact(spare)) => {
                let need = needed(against, source.clone());
                Ok(need.zip(spare.as_ref()).is_some_and(|(need, have)| meets(*test, &need, have)))
            }
            _ => Ok(false),
        }
    }

    /// What many spares show, for [`Ask::answers`]. None: there is nothing to be had by columns.
    pub fn columns(&self, spares: &[Shown]) -> Option<Columns> {
        let Ask::When(expression) = self else { return None };
        let row = |shown: &Shown| matches!(shown, Shown::Row(_));
        spares.iter().all(row).then(|| {
            expression.columns(spares.iter().map(|shown| match shown {
                Shown::Row(row) => row.as_slice(),
                Shown::Fact(_) => &[],
            }))
        })
    }

    /// [`Ask::answer`] for one source and every spare, where that can be told column by column.
    pub fn answers(&self, source: &Shown, spares: &Columns) -> Option<Vec<bool>> {
        match (self, source) {
            (Ask::When(expression), Shown::Row(source)) => expression.truths(source, spares),
            _ => None,
        }
    }

    /// How far a fact is from what is wanted, to find the nearest of several misses.
    pub fn gap(&self, source: &Shown, spare: &Shown) -> u64 {
        match (self, source, spare) {
            (Ask::Fact { against, .. }, Shown::Fact(source), Shown::Fact(spare)) => {
                needed(against, source.clone()).zip(spare.as_ref()).map_or(u64::MAX, |(need, have)| gap(&need, have))
            }
            _ => 0,
        }
    }
}

/// How many of the values that must be equal are not, and how far numbers are apart in all.
pub fn key_distance(source: &[Option<Property>], spare: &[Option<Property>]) -> (usize, u64) {
    let apart = source.iter().zip(spare).filter(|(a, b)| a.is_none() || a != b);
    apart.fold((0, 0u64), |(misses, sum), pair| {
        let far = if let (Some(a), Some(b)) = pair { gap(a, b) } else { u64::MAX };
        (misses + 1, sum.saturating_add(far))
    })
}
