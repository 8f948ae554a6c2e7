//! Matching: may this spare stand in for that source? Total, deterministic, and always every rule, so that
//! `explain` can show what a near miss missed and by how much.

use super::{Against, Expression, ExpressionError, FactTest, Matching, Require, Rule, Scope, Value, node_values};
use crate::model::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What one rule said of one source and one spare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// `identical memory_mib`, or the rule's own name.
    pub rule: String,
    pub passed: bool,
    /// The source's value where the rule has one; absent where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spare: Option<String>,
    /// By how much: `needs 524288, has 393216`.
    pub text: String,
    /// How far apart two numbers are, to find the nearest of several misses.
    #[serde(skip)]
    pub gap: u64,
}

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
    let two = Fleet {
        nodes: fleet.nodes.iter().filter(|(id, _)| [source, spare].contains(id)).map(|(id, n)| (*id, n.clone())).collect(),
        connectors: fleet.connectors.iter().filter(|(_, c)| [source, spare].contains(&c.node)).map(|(id, c)| (*id, c.clone())).collect(),
        targets: fleet.targets.iter().filter(|(_, t)| [source, spare].contains(&t.node)).map(|(id, t)| (*id, t.clone())).collect(),
        live: fleet.live.iter().filter(|(id, _)| [source, spare].contains(id)).map(|(id, l)| (*id, l.clone())).collect(),
        captured_at: fleet.captured_at,
    };
    Judge::new(matching, &two, vars).judge(source, spare)
}

/// A property that matching may speak of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    One(Scalar),
    Set(BTreeSet<String>),
}

impl std::fmt::Display for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Property::One(scalar) => scalar.fmt(f),
            Property::Set(set) if set.is_empty() => f.write_str("none"),
            Property::Set(set) => f.write_str(&set.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
}

struct Seen<'a> {
    node: &'a Node,
    facts: Facts,
    value: Value,
}

impl Seen<'_> {
    /// Text is trimmed: BMCs pad their strings.
    fn property(&self, name: &str) -> Option<Property> {
        let trimmed = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty()).map(|t| Property::One(Scalar::Text(t)));
        match name {
            "traits" => Some(Property::Set(self.node.traits.clone())),
            "resource_class" => self.node.resource_class.as_deref().and_then(trimmed),
            _ => match self.facts.get(name)? {
                Scalar::Text(text) => trimmed(&text),
                scalar => Some(Property::One(scalar)),
            },
        }
    }
}

/// Matching over one fleet: what each node shows is worked out once.
pub struct Judge<'a> {
    matching: &'a Matching,
    seen: BTreeMap<NodeId, Seen<'a>>,
    vars: Scope,
}

impl<'a> Judge<'a> {
    pub fn new(matching: &'a Matching, fleet: &'a Fleet, vars: &BTreeMap<String, serde_json::Value>) -> Judge<'a> {
        let mut values = node_values(fleet);
        let seen = fleet.nodes.values().map(|node| {
            let value = values.remove(&node.id).unwrap_or(Value::None);
            (node.id, Seen { node, facts: node.facts(), value })
        });
        Judge { matching, seen: seen.collect(), vars: Scope::new(vars) }
    }

    pub fn matching(&self) -> &'a Matching {
        self.matching
    }

    /// `source` and `spare` bound for an expression.
    pub fn scope(&self, source: NodeId, spare: NodeId) -> Scope {
        self.vars.clone().with_value("source", self.value(source)).with_value("spare", self.value(spare))
    }

    /// `node` bound for an expression.
    pub fn node_scope(&self, node: NodeId) -> Scope {
        self.vars.clone().with_value("node", self.value(node))
    }

    fn value(&self, id: NodeId) -> Value {
        self.seen.get(&id).map_or(Value::None, |s| s.value.clone())
    }

    /// Everything that the rules, and these further expressions over `spare` and `source`, can see of a node in one of
    /// the two roles. Nodes that show the same are interchangeable.
    pub fn signature(&self, role: &'static str, id: NodeId, further: &[&Expression]) -> String {
        let Some(seen) = self.seen.get(&id) else { return String::new() };
        let rules = self.matching.require.iter();
        let whens = rules.clone().filter_map(|r| if let Rule::When(e) = &r.rule { Some(e) } else { None });
        let preferences = self.matching.prefer.iter().map(|p| &p.when);
        let scope = Scope::default().with_value(role, seen.value.clone());
        let facts = rules.filter_map(|r| if let Rule::Fact { fact, .. } = &r.rule { seen.property(fact) } else { None });
        let mut text = format!("{:?}|{:?}|{:?}|", self.identical_key(id), facts.collect::<Vec<_>>(), self.fit(seen));
        for expression in whens.chain(preferences).chain(further.iter().copied()) {
            for (path, value) in expression.readings(&scope) {
                if path.split('.').next() == Some(role) {
                    text.push_str(&format!("{value:?};"));
                }
            }
        }
        text
    }

    /// The values that must be equal, in order. Two nodes whose keys differ cannot match; neither can one with a gap.
    pub fn identical_key(&self, id: NodeId) -> Vec<Option<Property>> {
        let Some(seen) = self.seen.get(&id) else { return Vec::new() };
        let names = self.matching.identical.iter();
        names.map(|n| if n == "firmware.*" { firmware(seen) } else { seen.property(n) }).collect()
    }

    fn fit(&self, seen: &Seen) -> (bool, Option<Health>) {
        (seen.facts.known(), seen.facts.health)
    }

    /// Every rule, whether or not an earlier one failed.
    pub fn judge(&self, source: NodeId, spare: NodeId) -> Judgement {
        let mut judgement = Judgement::default();
        let (Some(from), Some(to)) = (self.seen.get(&source), self.seen.get(&spare)) else {
            let text = "it is not in the inventory".to_owned();
            judgement.findings.push(Finding { rule: "known".into(), passed: false, source: None, spare: None, text, gap: 0 });
            return judgement;
        };
        judgement.findings.push(facts_known(to));
        judgement.findings.push(health(to));
        for name in &self.matching.identical {
            let names = if name == "firmware.*" { components(from, to) } else { vec![name.clone()] };
            judgement.findings.extend(names.iter().map(|n| identical(n, from, to)));
        }
        judgement.identical = judgement.findings.iter().skip(2).filter(|f| f.passed).count();
        let scope = self.scope(source, spare);
        for rule in &self.matching.require {
            let finding = self.require(rule, from, to, &scope).unwrap_or_else(|error| {
                judgement.errors.push(format!("rule `{}` cannot be evaluated: {error}", rule.name));
                Finding { rule: rule.name.clone(), passed: false, source: None, spare: None, text: error.message, gap: 0 }
            });
            judgement.findings.push(finding);
        }
        for preference in &self.matching.prefer {
            match preference.when.holds(&scope) {
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

    fn require(&self, rule: &Require, from: &Seen, to: &Seen, scope: &Scope) -> Result<Finding, ExpressionError> {
        match &rule.rule {
            Rule::When(expression) => {
                let passed = expression.holds(scope)?;
                let seen = expression.readings(scope);
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

fn facts_known(spare: &Seen) -> Finding {
    let passed = spare.facts.known();
    let text = if passed {
        "its facts are known".to_owned()
    } else {
        format!("nothing is known of its hardware; run `coldswap inventory refresh {}`", spare.node.name)
    };
    Finding { rule: "facts known".into(), passed, source: None, spare: None, text, gap: 0 }
}

/// A machine that reports itself broken takes nothing over. A warning is no reason: fans and spare disks warn.
fn health(spare: &Seen) -> Finding {
    let passed = spare.facts.health != Some(Health::Critical);
    let value = spare.facts.get("health").map(|h| h.to_string());
    let text = value.as_ref().map_or("not reported".to_owned(), |h| format!("it reports {h}"));
    Finding { rule: "health".into(), passed, source: None, spare: value, text, gap: 0 }
}

/// The firmware components that either has. None at all: the wildcard itself is what is unknown.
fn components(from: &Seen, to: &Seen) -> Vec<String> {
    let both: BTreeSet<&String> = from.facts.firmware.keys().chain(to.facts.firmware.keys()).collect();
    if both.is_empty() { vec!["firmware.*".to_owned()] } else { both.into_iter().map(|c| format!("firmware.{c}")).collect() }
}

fn firmware(seen: &Seen) -> Option<Property> {
    let all = seen.facts.firmware.iter().map(|(c, v)| format!("{c}={}", v.trim()));
    (!seen.facts.firmware.is_empty()).then(|| Property::Set(all.collect()))
}

/// Both known and equal. Unknown equals nothing, not even unknown.
fn identical(name: &str, from: &Seen, to: &Seen) -> Finding {
    compare(&format!("identical {name}"), name, from.property(name), to.property(name), |a, b| a == b)
}

fn compare(rule: &str, fact: &str, need: Option<Property>, have: Option<Property>, test: impl Fn(&Property, &Property) -> bool) -> Finding {
    let (passed, text, gap) = match (&need, &have) {
        (Some(a), Some(b)) if test(a, b) => (true, format!("both {a}"), 0),
        (Some(a), Some(b)) => (false, format!("needs {a}, has {b}"), gap(a, b)),
        (None, None) => (false, format!("`{fact}` is unknown on both sides, and unknown equals nothing"), u64::MAX),
        (None, Some(_)) => (false, format!("`{fact}` of the source is unknown"), u64::MAX),
        (Some(a), None) => (false, format!("needs {a}, but `{fact}` of the spare is unknown"), u64::MAX),
    };
    let text_of = |p: Option<Property>| p.map(|p| p.to_string());
    Finding { rule: rule.to_owned(), passed, source: text_of(need), spare: text_of(have), text, gap }
}

fn gap(a: &Property, b: &Property) -> u64 {
    match (a, b) {
        (Property::One(Scalar::Integer(a)), Property::One(Scalar::Integer(b))) => a.abs_diff(*b),
        _ => 0,
    }
}

fn fact_rule(rule: &str, fact: &str, test: FactTest, against: &Against, from: &Seen, to: &Seen) -> Finding {
    let need = match against {
        Against::Source => from.property(fact),
        Against::Value(Scalar::Text(text)) => Some(Property::One(Scalar::Text(text.trim().to_owned()))),
        Against::Value(scalar) => Some(Property::One(scalar.clone())),
        Against::Set(items) => Some(Property::Set(items.iter().map(|i| i.trim().to_owned()).collect())),
    };
    let finding = compare(rule, fact, need, to.property(fact), |need, have| meets(test, need, have));
    let text = match (test, &finding.source, &finding.spare) {
        (_, Some(need), Some(have)) => format!("{} {need}, has {have}", wanted(test)),
        _ => finding.text,
    };
    let source = if *against == Against::Source { finding.source } else { from.property(fact).map(|p| p.to_string()) };
    Finding { text, source, ..finding }
}

fn wanted(test: FactTest) -> &'static str {
    match test {
        FactTest::Equal => "needs",
        FactTest::AtLeast => "needs at least",
        FactTest::AtMost => "needs at most",
        FactTest::SupersetOf => "needs all of",
        FactTest::Matches => "needs a match of",
    }
}

/// Kinds that a test does not speak of do not meet it.
fn meets(test: FactTest, need: &Property, have: &Property) -> bool {
    use Property::{One, Set};
    match (test, need, have) {
        (FactTest::Equal, Set(any), One(Scalar::Text(t))) => any.contains(t),
        (FactTest::Equal, a, b) => a == b,
        (FactTest::AtLeast, One(Scalar::Integer(a)), One(Scalar::Integer(b))) => b >= a,
        (FactTest::AtMost, One(Scalar::Integer(a)), One(Scalar::Integer(b))) => b <= a,
        (FactTest::SupersetOf, Set(a), Set(b)) => b.is_superset(a),
        (FactTest::SupersetOf, One(Scalar::Text(t)), Set(b)) => b.contains(t),
        (FactTest::Matches, One(Scalar::Text(pattern)), One(Scalar::Text(t))) => glob(pattern, t),
        (FactTest::Matches, Set(patterns), One(Scalar::Text(t))) => patterns.iter().any(|p| glob(p, t)),
        (FactTest::Matches, One(Scalar::Text(pattern)), Set(items)) => items.iter().any(|t| glob(pattern, t)),
        _ => false,
    }
}

/// `*` is any text, `?` any one character, all else itself. Takes at most pattern times text steps.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < t.len() {
        match p.get(i) {
            Some('*') => {
                star = Some((i, j));
                i += 1;
            }
            Some(c) if *c == '?' || *c == t[j] => {
                i += 1;
                j += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    i = at + 1;
                    j = from + 1;
                }
                None => return false,
            },
        }
    }
    p[i..].iter().all(|c| *c == '*')
}
