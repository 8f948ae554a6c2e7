//! The sources that a runbook asks for: listed, selected, with their priority and the destination named for them.

use super::{LeftOut, error};
use crate::diagnostic::{Diagnostic, Severity, codes, did_you_mean};
use crate::model::*;
use crate::plan::candidates::LeftOutCode;
use crate::runbook::{Judge, Runbook};
use std::collections::BTreeMap;

pub(super) struct Wanted<'a> {
    pub node: &'a Node,
    pub listed: bool,
    pub group: i64,
    pub destination: Option<&'a Node>,
}

impl Wanted<'_> {
    pub(super) fn left_out(&self, code: LeftOutCode, why: String) -> LeftOut {
        LeftOut { node: self.node.id, name: self.node.name.clone(), code, why, listed: self.listed }
    }
}

pub(super) fn suggest(fleet: &Fleet, name: &str) -> Option<String> {
    let mut names: Vec<&str> = fleet.nodes.values().map(|n| n.name.as_str()).collect();
    names.sort_unstable();
    did_you_mean(name, names).map(|n| format!("did you mean `{n}`?"))
}

/// By priority, then by name.
pub(super) fn wanted<'a>(runbook: &Runbook, fleet: &'a Fleet, judge: &Judge, diagnostics: &mut Vec<Diagnostic>) -> Vec<Wanted<'a>> {
    let sources = &runbook.sources;
    let mut found: BTreeMap<NodeId, (&Node, bool)> = BTreeMap::new();
    for (name, place) in &sources.nodes {
        match fleet.find(name) {
            Some(node) => drop(found.insert(node.id, (node, true))),
            None => diagnostics.push(error(
                codes::NO_SUCH_NODE,
                format!("unknown node `{name}` in `sources.nodes` (line {})", place.line),
                suggest(fleet, name),
            )),
        }
    }
    if let Some(select) = &sources.select {
        let mut failures = Failures::new("sources.select");
        for node in fleet.nodes.values() {
            match judge.selects(select, node.id) {
                Ok(true) => drop(found.entry(node.id).or_insert((node, false))),
                Ok(false) => {}
                Err(e) => failures.add(&node.name, e.to_string()),
            }
        }
        failures.tell(diagnostics);
    }
    let mut failures = Failures::new("sources.priority");
    let mut wanted: Vec<Wanted> = found
        .into_values()
        .map(|(node, listed)| {
            let group = sources.priority.as_ref().map_or(Ok(0), |p| judge.integer(p, node.id));
            let group = group.unwrap_or_else(|e| {
                failures.add(&node.name, e.to_string());
                i64::MAX
            });
            Wanted { node, listed, group, destination: None }
        })
        .collect();
    failures.tell(diagnostics);
    wanted.sort_by(|a, b| (a.group, &a.node.name, a.node.id).cmp(&(b.group, &b.node.name, b.node.id)));
    destinations(runbook, fleet, &mut wanted, diagnostics);
    wanted
}

fn destinations<'a>(runbook: &Runbook, fleet: &'a Fleet, wanted: &mut [Wanted<'a>], diagnostics: &mut Vec<Diagnostic>) {
    for (from, (to, place)) in &runbook.sources.destinations {
        let place = format!("in `sources.destinations` (line {})", place.line);
        let (Some(source), Some(destination)) = (fleet.find(from), fleet.find(to)) else {
            let name = if fleet.find(from).is_none() { from } else { to };
            diagnostics.push(error(codes::NO_SUCH_DESTINATION, format!("unknown node `{name}` {place}"), suggest(fleet, name)));
            continue;
        };
        match wanted.iter_mut().find(|w| w.node.id == source.id) {
            Some(w) => w.destination = Some(destination),
            None => diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                ..error(
                    codes::NOT_A_SOURCE,
                    format!("`{from}` {place} is not one of the sources"),
                    Some("add it to `sources.nodes`".to_owned()),
                )
            }),
        }
    }
}

/// Errors of one expression over many nodes, told once.
pub(super) struct Failures {
    what: String,
    first: Option<(String, String)>,
    more: usize,
}

impl Failures {
    pub(super) fn new(what: &str) -> Failures {
        Failures { what: what.to_owned(), first: None, more: 0 }
    }

    /// The name that sorts first is told, whatever the order of adding.
    pub(super) fn add(&mut self, node: &str, message: String) {
        let new = (node.to_owned(), message);
        match &mut self.first {
            None => self.first = Some(new),
            Some(first) => {
                self.more += 1;
                if new < *first {
                    *first = new;
                }
            }
        }
    }

    pub(super) fn tell(self, diagnostics: &mut Vec<Diagnostic>) {
        let Some((node, message)) = self.first else { return };
        let more = if self.more == 0 { String::new() } else { format!(" (and {} more)", self.more) };
        diagnostics.push(error(codes::EXPRESSION_FAILED, format!("`{}` for `{node}`{more}: {message}", self.what), None));
    }
}
