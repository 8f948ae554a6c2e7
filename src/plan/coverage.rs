//! Who has no spare: now, after any K more failures, and after the loss of a failure domain; and what would mend it.
//!
//! All nodes that carry something are asked about, each of which may fail, and all that are free, by the built-in rules or
//! by a runbook's `match` and `pools`. `keep`, `spread` and preferences say which spare is taken, or which stays behind
//! in a run, and do not count here.

mod cover;
mod mend;
mod svg;
mod text;
mod worst;

pub use mend::{Buy, Mend, Move};
pub use svg::svg;
pub use text::render;

use super::assign::{LeftOut, Reach, most, reach, would_serve};
use super::explain::amount;
use crate::diagnostic::{Diagnostics, Severity};
use crate::model::*;
use crate::runbook::Runbook;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use worst::Group;

/// Raised whenever a reader of the version before could misread it.
pub const COVERAGE_FORMAT: u32 = 1;

/// The answer of `coverage`. Written as JSON; `schemas/coverage.schema.json` is generated from these types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Coverage {
    pub format_version: u32,
    /// Nodes that carry something and could be switched over.
    pub nodes: usize,
    /// Free nodes that match at least one of them.
    pub spares: usize,
    /// Any so many failures, of nodes or of spares, leave nobody without a spare. Absent: no number of them does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerates: Option<usize>,
    /// For 1, 2, and so on failures up to the number that was asked for.
    pub failures: Vec<AfterFailures>,
    /// The worst first.
    pub classes: Vec<ClassCoverage>,
    /// The loss of each failure domain, the worst first.
    pub domains: Vec<DomainLoss>,
    /// The fewest spares with which any so many failures leave nobody without.
    pub mend: Mend,
    /// Nodes that carry something and cannot be switched over, whatever spares there are.
    pub unable: Vec<LeftOut>,
    /// Free nodes that are no spares, by reason.
    pub unfit: BTreeMap<String, Vec<String>>,
}

/// The worst that so many failures can do, wherever they strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AfterFailures {
    pub failures: usize,
    /// Failed nodes without a spare.
    pub uncovered: usize,
    /// No failures leave more than this without; the same as `uncovered` where that is exact.
    pub at_most: usize,
}

/// Nodes for which the same spares could stand in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClassCoverage {
    pub name: String,
    pub nodes: usize,
    pub spares: usize,
    /// Spares that no other class could take.
    pub own_spares: usize,
    /// By number of failures from 1: nodes of this class without a spare when all of them strike here.
    pub after: Vec<usize>,
    /// By level: the domain whose loss leaves most of this class without, and how many.
    pub domains: BTreeMap<String, WorstDomain>,
    /// The names of the nodes, where none of them has a spare.
    pub without: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorstDomain {
    pub name: String,
    pub uncovered: usize,
}

/// What the loss of a failure domain with all that stands in it would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DomainLoss {
    pub level: String,
    /// With the domains around it in front.
    pub name: String,
    pub nodes: usize,
    pub spares: usize,
    /// Nodes of it that find no spare elsewhere.
    pub uncovered: usize,
}

impl Coverage {
    /// Does everybody have a spare, after as many failures as were asked about?
    pub fn is_complete(&self) -> bool {
        self.failures.iter().all(|f| f.at_most == 0) && self.classes.iter().all(|c| c.spares > 0) && self.unable.is_empty()
    }
}

/// Nodes that the same spares stand behind, and spares that stand behind the same nodes.
struct Merged<'a> {
    nodes: Vec<&'a Node>,
    key: u32,
    /// Positions on the other side.
    fits: BTreeSet<usize>,
}

fn merge<'a>(classes: Vec<Vec<&'a Node>>, keys: &[u32], fits: &[BTreeSet<usize>]) -> (Vec<Merged<'a>>, Vec<usize>) {
    let mut merged: Vec<Merged> = Vec::new();
    let mut known: BTreeMap<(u32, &BTreeSet<usize>, Option<usize>), usize> = BTreeMap::new();
    let mut place = Vec::with_capacity(classes.len());
    for (class, ((nodes, key), fits)) in classes.into_iter().zip(keys).zip(fits).enumerate() {
        // What nothing fits may want different things.
        let alone = fits.is_empty().then_some(class);
        let at = *known.entry((*key, fits, alone)).or_insert_with(|| {
            merged.push(Merged { nodes: Vec::new(), key: *key, fits: fits.clone() });
            merged.len() - 1
        });
        merged[at].nodes.extend(nodes);
        place.push(at);
    }
    merged.iter_mut().for_each(|m| m.nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id))));
    (merged, place)
}

/// Spares that fit the same classes first, then classes that the same kinds of spares fit.
fn merged(reach: Reach<'_>) -> (Vec<Merged<'_>>, Vec<Merged<'_>>) {
    let mut back = vec![BTreeSet::new(); reach.spares.len()];
    for (source, fits) in reach.fits.iter().enumerate() {
        for spare in fits {
            back[*spare].insert(source);
        }
    }
    let (mut spares, place) = merge(reach.spares, &reach.spare_keys, &back);
    let fits: Vec<BTreeSet<usize>> = reach.fits.iter().map(|f| f.iter().map(|spare| place[*spare]).collect()).collect();
    let (sources, _) = merge(reach.sources, &reach.source_keys, &fits);
    for (at, spare) in spares.iter_mut().enumerate() {
        spare.fits = sources.iter().enumerate().filter(|(_, s)| s.fits.contains(&at)).map(|(n, _)| n).collect();
    }
    (sources, spares)
}

/// Work it out for up to `failures` more failures.
///
/// # Errors
/// A rule or a pool that cannot be evaluated for some nodes.
pub fn coverage(runbook: &Runbook, fleet: &Fleet, failures: usize) -> Result<Coverage, Diagnostics> {
    let mut runbook = runbook.clone();
    runbook.matching.prefer.clear();
    runbook.matching.spread.clear();
    let mut reach = reach(&runbook, fleet);
    if reach.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Err(Diagnostics(reach.diagnostics));
    }
    let unable = std::mem::take(&mut reach.unable);
    let mut unfit: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, why) in std::mem::take(&mut reach.unfit) {
        // The reason without the name that it begins with, so that many have one.
        unfit.entry(why.replace(&format!("`{name}` "), "")).or_default().push(name);
    }
    let (sources, spares) = merged(reach);
    let sizes: Vec<usize> = spares.iter().map(|s| s.nodes.len()).collect();
    let groups: Vec<Group> = sources.iter().map(|s| Group { nodes: s.nodes.len(), spares: s.fits.clone() }).collect();
    let worst = worst::uncovered(&groups, &sizes, failures);
    let behind: Vec<usize> = sources.iter().map(|s| s.fits.iter().map(|f| sizes[*f]).sum()).collect();
    let (domains, by_class) = losses(&sources, &spares);
    let mut classes: Vec<ClassCoverage> = Vec::new();
    for ((at, source), (name, domains)) in sources.iter().enumerate().zip(names(&sources).into_iter().zip(by_class)) {
        let after = |k: usize| source.nodes.len().min(k.saturating_sub(behind[at]));
        classes.push(ClassCoverage {
            name,
            nodes: source.nodes.len(),
            spares: behind[at],
            own_spares: source.fits.iter().filter(|f| spares[**f].fits.len() == 1).map(|f| sizes[*f]).sum(),
            after: (1..=failures).map(after).collect(),
            domains,
            without: if behind[at] == 0 { source.nodes.iter().map(|n| n.name.clone()).collect() } else { Vec::new() },
        });
    }
    let serves = |spare: &Node, class: usize| {
        let source = sources[class].nodes[0];
        let like = sources[class].fits.iter().next().map(|at| spares[*at].nodes[0]);
        let would = |place: &Node, labels: &Node| {
            let moved = Node { failure_domain: place.failure_domain.clone(), labels: labels.labels.clone(), ..spare.clone() };
            would_serve(&runbook, fleet, source, moved)
        };
        let beside = |place: &Node| would(place, spare).then(|| (place.name.clone(), None));
        let as_like = || like.filter(|like| would(like, like)).map(|like| (like.name.clone(), Some(like.name.clone())));
        like.and_then(beside).or_else(as_like).or_else(|| beside(source))
    };
    let mend = mend::mend(&sources, &spares, failures, &classes, &serves);
    classes.sort_by(|a, b| (a.spares, std::cmp::Reverse(a.nodes), &a.name).cmp(&(b.spares, std::cmp::Reverse(b.nodes), &b.name)));
    Ok(Coverage {
        format_version: COVERAGE_FORMAT,
        nodes: sources.iter().map(|s| s.nodes.len()).sum(),
        spares: spares.iter().filter(|s| !s.fits.is_empty()).map(|s| s.nodes.len()).sum(),
        tolerates: behind.iter().min().copied(),
        failures: (1..=failures).map(|k| AfterFailures { failures: k, uncovered: worst[k].known, at_most: worst[k].bound }).collect(),
        classes,
        domains,
        mend,
        unable,
        unfit,
    })
}

/// Of one domain: how many of which class of sources, and of which class of spares.
type InDomain = (BTreeMap<usize, usize>, BTreeMap<usize, usize>);
type ByClass = Vec<BTreeMap<String, WorstDomain>>;

/// The loss of each domain: exact, by the most that can be served from elsewhere. Slots hold one node each and are left out.
fn losses(sources: &[Merged], spares: &[Merged]) -> (Vec<DomainLoss>, ByClass) {
    let fits: Vec<Vec<usize>> = sources.iter().map(|s| s.fits.iter().copied().collect()).collect();
    let sizes: Vec<usize> = spares.iter().map(|s| s.nodes.len()).collect();
    let mut by_class: ByClass = vec![BTreeMap::new(); sources.len()];
    let mut domains = Vec::new();
    for level in FailureDomain::LEVELS.into_iter().filter(|l| *l != "slot") {
        let mut lost: BTreeMap<String, InDomain> = BTreeMap::new();
        for (at, node) in sources.iter().enumerate().flat_map(|(at, s)| s.nodes.iter().map(move |n| (at, n))) {
            if let Some(domain) = Domain::of(node, level) {
                *lost.entry(domain.name).or_default().0.entry(at).or_default() += 1;
            }
        }
        for (at, node) in spares.iter().enumerate().flat_map(|(at, s)| s.nodes.iter().map(move |n| (at, n))) {
            if let Some(domain) = Domain::of(node, level) {
                *lost.entry(domain.name).or_default().1.entry(at).or_default() += 1;
            }
        }
        for (name, (nodes, gone)) in lost {
            let left: Vec<usize> = sizes.iter().enumerate().map(|(at, n)| n - gone.get(&at).copied().unwrap_or(0)).collect();
            let (at, counts): (Vec<usize>, Vec<usize>) = nodes.iter().map(|(at, n)| (*at, *n)).unzip();
            let served = most(&counts, &at.iter().map(|a| fits[*a].clone()).collect::<Vec<_>>(), &left);
            for ((at, count), served) in at.iter().zip(&counts).zip(&served) {
                let uncovered = count - served;
                let worst = by_class[*at].entry(level.to_owned()).or_insert_with(|| WorstDomain { name: name.clone(), uncovered });
                if uncovered > worst.uncovered {
                    *worst = WorstDomain { name: name.clone(), uncovered };
                }
            }
            let nodes: usize = counts.iter().sum();
            let uncovered = nodes - served.iter().sum::<usize>();
            domains.push(DomainLoss { level: level.to_owned(), name, nodes, spares: gone.values().sum(), uncovered });
        }
    }
    let level = |d: &DomainLoss| FailureDomain::LEVELS.iter().position(|l| *l == d.level);
    domains.sort_by(|a, b| (std::cmp::Reverse(a.uncovered), level(a), &a.name).cmp(&(std::cmp::Reverse(b.uncovered), level(b), &b.name)));
    (domains, by_class)
}

/// What the nodes of each class have in common, and where they stand if that tells them apart.
fn names(classes: &[Merged]) -> Vec<String> {
    let hardware: Vec<String> = classes.iter().map(|c| hardware(c.nodes[0])).collect();
    let place = |class: &Merged| {
        let same = |level: &&&str| {
            let first = class.nodes[0].failure_domain.get(level);
            first.is_some() && class.nodes.iter().all(|n| n.failure_domain.get(level) == first)
        };
        let levels = ["site", "row", "rack", "feed"];
        let told: Vec<String> =
            levels.iter().filter(same).filter_map(|l| Some(format!("{l} {}", class.nodes[0].failure_domain.get(l)?))).collect();
        told.join(", ")
    };
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    hardware.iter().for_each(|name| *seen.entry(name).or_default() += 1);
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let named = hardware.iter().zip(classes).map(|(name, class)| {
        let place = if seen[name.as_str()] > 1 { place(class) } else { String::new() };
        let full = if place.is_empty() { name.clone() } else { format!("{name}; {place}") };
        let count = taken.entry(full.clone()).or_default();
        *count += 1;
        if *count > 1 { format!("{full} ({count})") } else { full }
    });
    named.collect()
}

fn hardware(node: &Node) -> String {
    let facts = node.facts();
    let words = [&facts.manufacturer, &facts.model, &facts.cpu.model].into_iter().flatten().map(|w| w.trim().to_owned());
    let memory = facts.memory_mib.map(amount);
    let parts: Vec<String> = [Some(words.collect::<Vec<_>>().join(" ")), memory].into_iter().flatten().filter(|p| !p.is_empty()).collect();
    match (&node.resource_class, parts.join(", ")) {
        (Some(class), parts) if parts.is_empty() => class.clone(),
        (Some(class), parts) => format!("{class}: {parts}"),
        (None, parts) if parts.is_empty() => "unknown hardware".to_owned(),
        (None, parts) => parts,
    }
}
