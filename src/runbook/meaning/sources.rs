//! Which nodes, and the pairs that are pinned.

use super::{Check, unique};
use crate::diagnostic::{codes, did_you_mean};
use crate::runbook::raw::RawSources;
use crate::runbook::shape::At;
use crate::runbook::{Names, Place, Sources};
use std::collections::BTreeMap;

pub(super) fn sources(check: &Check<'_>, raw: &RawSources) -> Option<Sources> {
    // A misspelt key is what is missing.
    if !raw.named && !check.reading.told(codes::UNKNOWN_KEY) {
        check.reading.hinted(codes::NO_SOURCES, "`sources` names no node", &raw.at, "add `nodes` or `select`");
    }
    unique(check, "sources", &raw.nodes);
    pairs(check, raw);
    let select = raw.select.as_ref().map(|s| check.expression(s, Names::Node));
    let priority = raw.priority.as_ref().map(|p| check.expression(p, Names::Node));
    let placed = |name: &At<String>| (name.value.clone(), check.place(name.at.start));
    Some(Sources {
        nodes: raw.nodes.iter().map(placed).collect(),
        select: transpose(select)?,
        destinations: raw.destinations.iter().map(|(from, to)| (from.value.clone(), placed(to))).collect(),
        priority: transpose(priority)?,
        left_out: raw.left_out.as_ref().map(|l| l.value),
        nova_aware: raw.nova_aware.as_ref().is_some_and(|aware| aware.value),
    })
}

/// Written and wrong is not the same as not written.
fn transpose<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

impl Check<'_> {
    pub(super) fn place(&self, offset: usize) -> Place {
        let place = self.lines.find(offset);
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { line: small(place.line), column: small(place.column) }
    }
}

fn pairs(check: &Check<'_>, raw: &RawSources) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (from, to) in &raw.destinations {
        if from.value == to.value {
            check.reading.error(codes::PAIRS, format!("`{}` cannot be its own destination", to.value), &to.at);
        }
        if let Some(other) = taken.insert(&to.value, &from.value) {
            check.reading.error(codes::PAIRS, format!("`{}` is already the destination of `{other}`", to.value), &to.at);
        }
        // With a selection only the inventory tells who is a source.
        if raw.select.is_none() && raw.named && !raw.nodes.iter().any(|n| n.value == from.value) {
            let hint = did_you_mean(&from.value, raw.nodes.iter().map(|n| n.value.as_str())).map(|n| format!("did you mean `{n}`?"));
            let message = format!("`{}` has a destination but is not among `nodes`", from.value);
            check.reading.hinted(codes::PAIRS, message, &from.at, hint.unwrap_or_else(|| "add it to `nodes`".to_owned()));
        }
        if raw.nodes.iter().any(|n| n.value == to.value) {
            check.reading.error(codes::PAIRS, format!("the destination `{}` is itself a source", to.value), &to.at);
        }
    }
}
