//! The failure rate that past runs show.

use crate::adapter::store_sqlite::SqliteStore;
use crate::cli::Failure;
use crate::cli::apply::make_report;
use crate::cli::runs::plan_of;
use crate::cli::site::Site;
use crate::engine::Outcome;
use crate::model::*;
use crate::ports::Store;
use crate::runbook::Mode;
use crate::sizing::Learned;
use std::collections::BTreeSet;

const YEAR_MICROS: f64 = 365.0 * 86_400e6;

/// Disaster switchovers that began, over the nodes with an instance times the age of the store.
///
/// # Errors
/// Where there is nothing to learn from, or a journal cannot be read.
pub fn learn(site: &Site, fleet: &Fleet) -> Result<Learned, Failure> {
    let serving = fleet.nodes.values().filter(|n| n.instance.is_some()).count();
    let began = age_from(&site.store)?;
    let years = (site.now().0 - began.0).max(0) as f64 / YEAR_MICROS;
    Learned::of(failures(site)?, serving as f64 * years).map_err(super::told)
}

fn age_from(store: &SqliteStore) -> Result<Time, Failure> {
    store.created_at()?.ok_or_else(|| {
        Failure::refused("the store does not say how old it is").hint("write the rate that you expect, like `--failure-rate 5%`")
    })
}

/// A node that is tried again after a switchover that did not succeed has failed once.
fn failures(site: &Site) -> Result<u32, Failure> {
    let mut failed: BTreeSet<NodeId> = BTreeSet::new();
    let mut count = 0;
    for row in site.store.runs()? {
        let plan = plan_of(site, &row.plan)?;
        if plan.mode != Mode::Disaster {
            continue;
        }
        for switchover in make_report(&site.store, &plan, &row.id)?.switchovers {
            if switchover.started_at.is_none() {
                continue;
            }
            let node = switchover.source.uuid;
            count += u32::from(failed.insert(node));
            if switchover.outcome == Some(Outcome::SwitchedOver) {
                failed.remove(&node);
            }
        }
    }
    Ok(count)
}
