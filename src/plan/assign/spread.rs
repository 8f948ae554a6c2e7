//! How close together what belongs together may come to stand: `match.spread`.
//!
//! A node that carries something counts where it stands, a source as well: it stands there until it has moved, and again if
//! its switchover goes back. So whatever becomes of each switchover, no domain ever holds more than it may. A source that
//! stays in its own domain adds nothing to it.

use super::flow::{Answer, Given};
use super::grid::Numbers;
use super::wanted::Failures;
use crate::diagnostic::Diagnostic;
use crate::model::*;
use crate::plan::holdings::Holdings;
use crate::runbook::{Judge, SpreadRule, Value};
use std::collections::BTreeMap;

/// Where a source stands with one rule: what it belongs to, and the domain that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bound {
    pub group: u32,
    pub home: Option<u32>,
}

struct One<'a> {
    rule: &'a SpreadRule,
    groups: Numbers<String>,
    domains: Numbers<String>,
    standing: BTreeMap<(u32, u32), usize>,
}

#[derive(Default)]
pub(super) struct Spreads<'a> {
    rules: Vec<One<'a>>,
}

impl<'a> Spreads<'a> {
    pub(super) fn new(
        rules: &'a [SpreadRule],
        fleet: &'a Fleet,
        holdings: &Holdings,
        judge: &Judge,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Spreads<'a> {
        // By name: what is numbered in the order in which it is met must not depend on ids.
        let mut carrying: Vec<&Node> =
            fleet.nodes.values().filter(|n| n.instance.is_some() || !holdings.targets(n.id).is_empty()).collect();
        carrying.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let one = |rule: &'a SpreadRule| {
            let mut one = One { rule, groups: Numbers::new(), domains: Numbers::new(), standing: BTreeMap::new() };
            let mut failures = Failures::new("match.spread");
            for node in &carrying {
                match one.bound(judge, node) {
                    Ok(Some(Bound { group, home: Some(home) })) => *one.standing.entry((group, home)).or_default() += 1,
                    Ok(_) => {}
                    Err(message) => failures.add(&node.name, message),
                }
            }
            failures.tell(diagnostics);
            one
        };
        Spreads { rules: rules.iter().map(one).collect() }
    }

    /// By rule; none where the rule does not speak of it.
    pub(super) fn source(&mut self, judge: &Judge, node: &Node) -> Vec<Option<Bound>> {
        self.rules.iter_mut().map(|one| one.bound(judge, node).unwrap_or(None)).collect()
    }

    /// By rule, the domain that a spare stands in.
    pub(super) fn spare(&mut self, node: &Node) -> Vec<Option<u32>> {
        self.rules.iter_mut().map(|one| one.domain(node)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// How many may still come to a domain. A spare whose domain nobody knows may stand beside anybody: none.
    pub(super) fn room(&self, rule: usize, bound: Bound, domain: Option<u32>) -> usize {
        let one = &self.rules[rule];
        match domain {
            None => 0,
            Some(domain) if bound.home == Some(domain) => usize::MAX,
            Some(domain) => (one.rule.at_most as usize).saturating_sub(one.standing.get(&(bound.group, domain)).copied().unwrap_or(0)),
        }
    }

    /// The first domain into which too many of a group would come: the rule, and the pairs that bring them there.
    pub(super) fn broken(&self, answer: &Answer, sources: &[Vec<Option<Bound>>], spares: &[Vec<Option<u32>>]) -> Option<(usize, Pairs)> {
        for rule in 0..self.rules.len() {
            let mut coming: BTreeMap<(u32, u32), (usize, Pairs)> = BTreeMap::new();
            for (demand, given) in answer.iter().enumerate() {
                let Some(bound) = sources[demand][rule] else { continue };
                for one in given {
                    let Some(domain) = spares[one.edge.supply as usize][rule].filter(|d| bound.home != Some(*d)) else { continue };
                    let (units, pairs) = coming.entry((bound.group, domain)).or_default();
                    *units += one.units;
                    pairs.push((demand, *one));
                }
            }
            let room = |(group, domain): &(u32, u32)| self.room(rule, Bound { group: *group, home: None }, Some(*domain));
            if let Some((_, (_, pairs))) = coming.into_iter().find(|(key, (units, _))| *units > room(key)) {
                return Some((rule, pairs));
            }
        }
        None
    }
}

/// Demands, each with what is given to it.
type Pairs = Vec<(usize, Given)>;

impl One<'_> {
    fn bound(&mut self, judge: &Judge, node: &Node) -> Result<Option<Bound>, String> {
        match judge.value(&self.rule.by, node.id) {
            Ok(Value::None) => Ok(None),
            Ok(value) => {
                let group = self.groups.of(value.to_string());
                Ok(Some(Bound { group, home: self.domain(node) }))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn domain(&mut self, node: &Node) -> Option<u32> {
        Domain::of(node, &self.rule.domain).map(|domain| self.domains.of(domain.name))
    }
}
