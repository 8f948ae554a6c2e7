//! Matching: may this spare stand in for that source? Every rule that there is, total and deterministic, with what a miss
//! missed and by how much.

use super::{Against, Expression, FactTest, Rule};
use crate::model::*;
use serde::Serialize;
use std::collections::BTreeSet;

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

pub(super) struct Seen<'a> {
    pub node: &'a Node,
}

impl Seen<'_> {
    /// Text is trimmed: BMCs pad their strings.
    pub fn property(&self, name: &str) -> Option<Property> {
        let trimmed = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty()).map(|t| Property::One(Scalar::Text(t)));
        match name {
            "traits" => Some(Property::Set(self.node.traits.clone())),
            "resource_class" => self.node.resource_class.as_deref().and_then(trimmed),
            "firmware.*" => firmware(self),
            _ if name.starts_with("capabilities.") => self.node.capabilities.get(&name[13..]).map(String::as_str).and_then(trimmed),
            _ => match self.node.fact(name)? {
                Scalar::Text(text) => trimmed(&text),
                scalar => Some(Property::One(scalar)),
            },
        }
    }
}

/// One question about a source and a spare, for [`Judge::shows`] and [`Judge::answer`].
#[derive(Clone, Copy, Debug)]
pub enum Ask<'m> {
    When(&'m Expression),
    Fact { fact: &'m str, test: FactTest, against: &'m Against },
}

impl<'m> From<&'m Rule> for Ask<'m> {
    fn from(rule: &'m Rule) -> Ask<'m> {
        match rule {
            Rule::When(expression) => Ask::When(expression),
            Rule::Fact { fact, test, against } => Ask::Fact { fact, test: *test, against },
        }
    }
}

pub(super) fn facts_known(spare: &Seen) -> Finding {
    let passed = spare.node.facts_known();
    let text = if passed {
        "its facts are known".to_owned()
    } else {
        format!("nothing is known of its hardware; run `coldswap inventory refresh {}`", spare.node.name)
    };
    Finding { rule: "facts known".into(), passed, source: None, spare: None, text, gap: 0 }
}

/// A machine that reports itself broken takes nothing over. A warning is no reason: fans and spare disks warn.
pub(super) fn health(spare: &Seen) -> Finding {
    let passed = spare.node.health() != Some(Health::Critical);
    let value = spare.node.fact("health").map(|h| h.to_string());
    let text = value.as_ref().map_or("not reported".to_owned(), |h| format!("it reports {h}"));
    Finding { rule: "health".into(), passed, source: None, spare: value, text, gap: 0 }
}

/// The firmware components that either has. None at all: the wildcard itself is what is unknown.
pub(super) fn components(from: &Seen, to: &Seen) -> Vec<String> {
    let both: BTreeSet<&str> = from.node.firmware().into_keys().chain(to.node.firmware().into_keys()).collect();
    if both.is_empty() { vec!["firmware.*".to_owned()] } else { both.into_iter().map(|c| format!("firmware.{c}")).collect() }
}

fn firmware(seen: &Seen) -> Option<Property> {
    let all = seen.node.firmware();
    (!all.is_empty()).then(|| Property::Set(all.into_iter().map(|(c, v)| format!("{c}={}", v.trim())).collect()))
}

/// Both known and equal. Unknown equals nothing, not even unknown.
pub(super) fn identical(name: &str, from: &Seen, to: &Seen) -> Finding {
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

pub(super) fn gap(a: &Property, b: &Property) -> u64 {
    match (a, b) {
        (Property::One(Scalar::Integer(a)), Property::One(Scalar::Integer(b))) => a.abs_diff(*b),
        _ => 0,
    }
}

/// What the spare's fact is held against.
pub(super) fn needed(against: &Against, source: Option<Property>) -> Option<Property> {
    match against {
        Against::Source => source,
        Against::Value(Scalar::Text(text)) => Some(Property::One(Scalar::Text(text.trim().to_owned()))),
        Against::Value(scalar) => Some(Property::One(scalar.clone())),
        Against::Set(items) => Some(Property::Set(items.iter().map(|i| i.trim().to_owned()).collect())),
    }
}

pub(super) fn fact_rule(rule: &str, fact: &str, test: FactTest, against: &Against, from: &Seen, to: &Seen) -> Finding {
    let need = needed(against, from.property(fact));
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
pub(super) fn meets(test: FactTest, need: &Property, have: &Property) -> bool {
    use Property::{One, Set};
    match (test, need, have) {
        (FactTest::Equal, Set(any), One(Scalar::Text(t))) => any.contains(t),
        (FactTest::Equal, a, b) => a == b,
        (FactTest::AtLeast, One(Scalar::Integer(a)), One(Scalar::Integer(b))) => b >= a,
        (FactTest::AtMost, One(Scalar::Integer(a)), One(Scalar::Integer(b))) => b <= a,
        (FactTest::AtLeast, One(Scalar::Text(a)), One(Scalar::Text(b))) => versions(a, b).is_some_and(|order| order.is_le()),
        (FactTest::AtMost, One(Scalar::Text(a)), One(Scalar::Text(b))) => versions(a, b).is_some_and(|order| order.is_ge()),
        (FactTest::SupersetOf, Set(a), Set(b)) => b.is_superset(a),
        (FactTest::SupersetOf, One(Scalar::Text(t)), Set(b)) => b.contains(t),
        (FactTest::Matches, One(Scalar::Text(pattern)), One(Scalar::Text(t))) => glob(pattern, t),
        (FactTest::Matches, Set(patterns), One(Scalar::Text(t))) => patterns.iter().any(|p| glob(p, t)),
        (FactTest::Matches, One(Scalar::Text(pattern)), Set(items)) => items.iter().any(|t| glob(pattern, t)),
        _ => false,
    }
}

/// Versions of firmware, number by number: `2.9` is before `2.10`. None where they are not of one kind: `U30 v2.54` and
/// `2.54` have no order that anybody could rely on.
pub fn versions(a: &str, b: &str) -> Option<std::cmp::Ordering> {
    let (a, b) = (pieces(a), pieces(b));
    for (x, y) in a.iter().zip(&b) {
        match (x.parse::<u64>(), y.parse::<u64>()) {
            (Ok(x), Ok(y)) if x != y => return Some(x.cmp(&y)),
            (Ok(_), Ok(_)) => {}
            (Err(_), Err(_)) if x == y => {}
            _ => return None,
        }
    }
    // What only one of them has must be numbers: `2.9` is before `2.9.1`, but who knows about `2.9-rc`?
    let rest = a.iter().skip(b.len()).chain(b.iter().skip(a.len()));
    rest.into_iter().all(|p| p.parse::<u64>().is_ok()).then(|| a.len().cmp(&b.len()))
}

/// Runs of digits and runs of letters.
fn pieces(version: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last = None;
    for c in version.trim().chars() {
        let kind = c.is_alphanumeric().then(|| c.is_ascii_digit());
        match (kind, found.last_mut()) {
            (Some(_), Some(piece)) if kind == last => piece.extend(c.to_lowercase()),
            (Some(_), _) => found.push(c.to_lowercase().collect()),
            (None, _) => {}
        }
        last = kind;
    }
    found
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
