//! One look at everything that a plan may concern: the inventory's records and what the BMCs say. Touches nothing.

use crate::model::*;
use crate::ports::{Bmc, Clock, Inventory};
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};

/// A snapshot with live readings, and the reports that they came from.
pub struct Gathered {
    pub fleet: Fleet,
    pub reports: BTreeMap<NodeId, SystemReport>,
}

/// Read the inventory, then ask the BMCs of `nodes`, at most `at_once` at a time. A BMC that does not answer is
/// recorded as silent and is no error.
///
/// # Errors
/// When the inventory itself cannot be read.
pub async fn gather(
    inventory: &dyn Inventory,
    bmc: &dyn Bmc,
    clock: &dyn Clock,
    at_once: usize,
    concerns: impl FnOnce(&Fleet) -> BTreeSet<NodeId>,
    mut asked: impl FnMut(usize, usize),
) -> Result<Gathered, Fault> {
    let mut fleet = inventory.fleet().await?;
    fleet.captured_at = clock.now();
    let nodes: Vec<(NodeId, BmcEndpoint)> =
        concerns(&fleet).into_iter().filter_map(|id| fleet.nodes.get(&id).map(|n| (id, n.bmc.clone()))).collect();
    let total = nodes.len();
    let mut answers = futures_util::stream::iter(nodes)
        .map(|(id, endpoint)| async move { (id, bmc.report(&endpoint).await) })
        .buffer_unordered(at_once.max(1));
    let mut reports = BTreeMap::new();
    let mut count = 0;
    while let Some((id, answer)) = answers.next().await {
        count += 1;
        asked(count, total);
        match answer {
            Ok(report) => {
                place(&mut fleet, id, &report);
                reports.insert(id, report);
            }
            Err(fault) => {
                fleet.live.insert(id, Live::Silent(fault));
            }
        }
    }
    Ok(Gathered { fleet, reports })
}

/// Put what a BMC said into the snapshot. Facts of a machine that is not the node's are not taken over; planning finds
/// the contradiction by the reading's identity.
fn place(fleet: &mut Fleet, id: NodeId, report: &SystemReport) {
    let boot = BootSettings { iscsi: report.iscsi_boot.clone(), boot_override: Some(report.reading.boot_override.clone()) };
    fleet.live.insert(id, Live::Answered { reading: report.reading.clone(), boot });
    let captured_at = fleet.captured_at;
    if let Some(node) = fleet.nodes.get_mut(&id)
        && node.identity.recognises(&report.reading.identity) != Some(false)
    {
        node.live_facts = report.facts.clone();
        node.abilities = report.abilities.clone();
        node.facts_at = Some(captured_at);
    }
}
