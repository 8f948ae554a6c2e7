//! `inventory refresh`: BMCs of known nodes, read in full again. Shows what is not as it was.

use super::find;
use super::reading::{Changed, Told, print};
use crate::cli::Failure;
use crate::cli::args::Global;
use crate::cli::asking::Asking;
use crate::cli::plan::remember;
use crate::cli::site::Site;
use crate::model::*;
use crate::ports::Inventory;
use crate::report::ExitCode;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(global: &Global, site: &Site, names: &[String], at_once: usize) -> Result<ExitCode, Failure> {
    let fleet = site.store.fleet().await?;
    let ids: BTreeSet<NodeId> = match names.is_empty() {
        true => fleet.nodes.keys().copied().collect(),
        false => names.iter().map(|n| find(&fleet, n).map(|n| n.id)).collect::<Result<_, _>>()?,
    };
    let told = survey(global, site, ids, at_once).await?;
    Ok(print(global, told, true))
}

/// Read these nodes' BMCs in full, remember what they say, and tell what became of each.
pub(super) async fn survey(global: &Global, site: &Site, ids: BTreeSet<NodeId>, at_once: usize) -> Result<Vec<Told>, Failure> {
    let before = site.store.fleet().await?;
    let looks = site.looks();
    let mut asking = Asking::new(global, Depth::Full);
    let gathered = looks.ask((Depth::Full, Further::ALL), at_once, |_| ids, |count, total| asking.tell(count, total)).await;
    asking.end();
    looks.close().await;
    let gathered = gathered?;
    let refused: BTreeMap<NodeId, Fault> = remember(site, &gathered.reports).await.into_iter().collect();
    let told = gathered.fleet.live.iter().filter_map(|(id, live)| {
        let node = gathered.fleet.nodes.get(id)?;
        let mut told = Told { name: node.name.clone(), facts: node.facts().list().len(), ..Told::default() };
        told.fault = match live {
            Live::Silent(fault) => Some(fault.detail.clone()),
            Live::Answered { .. } => refused.get(id).map(|fault| fault.detail.clone()),
        };
        if told.fault.is_none() {
            told.partly = gathered.reports.get(id).map(|r| r.unread.clone()).unwrap_or_default();
            told.changed = before.nodes.get(id).map(|was| changes(was, node)).unwrap_or_default();
        }
        Some(told)
    });
    Ok(told.collect())
}

/// Every fact that counts and is not as it was.
fn changes(was: &Node, is: &Node) -> Vec<Changed> {
    let (before, now) = (was.facts(), is.facts());
    let mut names: Vec<String> = before.list().into_iter().chain(now.list()).map(|(name, _)| name).collect();
    let place = |name: &String| Facts::NAMES.iter().position(|n| n == name).unwrap_or(usize::MAX);
    names.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
    names.dedup();
    let all = names.into_iter().map(|fact| Changed { before: before.get(&fact), now: now.get(&fact), fact });
    all.filter(|c| c.before != c.now).collect()
}
