//! One look at everything that a plan may concern: the inventory's records and what the BMCs say. Touches nothing, and
//! cannot: what is here holds its ports where nobody else can reach them, and uses of each only what reads. `plan`,
//! `explain` and `drill` are built on these two types and get no other port.

use super::Ports;
use crate::model::*;
use crate::ports::{Bmc, Clock, Inventory, Record, RunRow, Store, StoreError};
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A snapshot with live readings, and the reports that they came from.
pub struct Gathered {
    pub fleet: Fleet,
    pub reports: BTreeMap<NodeId, SystemReport>,
    /// Who was seen running, also where the rest of a report could not be had.
    pub running: BTreeSet<NodeId>,
}

/// What is written down: inventory, plans, runs. It can be read and nothing else, and no BMC can be reached with it.
#[derive(Clone)]
pub struct Records {
    inventory: Arc<dyn Inventory>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Records {
    pub fn new(inventory: Arc<dyn Inventory>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Records {
        Records { inventory, store, clock }
    }

    /// # Errors
    /// When the inventory cannot be read.
    pub async fn fleet(&self) -> Result<Fleet, Fault> {
        let mut fleet = self.inventory.fleet().await?;
        fleet.captured_at = self.clock.now();
        Ok(fleet)
    }

    pub fn store(&self) -> StoreId {
        self.store.id()
    }

    /// # Errors
    /// The store's.
    pub fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        self.store.runs()
    }

    /// # Errors
    /// The store's.
    pub fn plan(&self, id: &PlanId) -> Result<Option<String>, StoreError> {
        self.store.load_plan(id)
    }

    /// # Errors
    /// The store's.
    pub fn journal(&self, run: &RunId) -> Result<Vec<Record>, StoreError> {
        self.store.journal(run)
    }
}

/// Records, and BMCs that can be asked and not told.
#[derive(Clone)]
pub struct Looks {
    records: Records,
    bmc: Arc<dyn Bmc>,
}

impl Looks {
    pub fn new(records: Records, bmc: Arc<dyn Bmc>) -> Looks {
        Looks { records, bmc }
    }

    /// The harmless part of all the ports.
    pub fn of(ports: &Ports) -> Looks {
        let records = Records::new(ports.inventory.clone(), ports.store.clone(), ports.clock.clone());
        Looks { records, bmc: ports.bmc.clone() }
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Log out everywhere.
    pub async fn close(&self) {
        self.bmc.close().await;
    }

    /// Read the inventory, then ask the BMCs of the nodes that `concerns` names, at most `at_once` at a time. A BMC that
    /// does not answer is recorded as silent and is no error.
    ///
    /// # Errors
    /// When the inventory itself cannot be read.
    pub async fn gather(
        &self,
        at_once: usize,
        concerns: impl FnOnce(&Fleet) -> BTreeSet<NodeId>,
        asked: impl FnMut(usize, usize),
    ) -> Result<Gathered, Fault> {
        self.ask((Depth::Short, Further::ALL), at_once, concerns, asked).await
    }

    /// The same, to the depth that is asked for, and of a short reading no more than is asked for; what a person declared
    /// is asked for all the same, because the BMC may contradict. A full reading takes some dozens of requests to each BMC.
    ///
    /// # Errors
    /// When the inventory itself cannot be read.
    pub async fn ask(
        &self,
        (depth, further): (Depth, Further),
        at_once: usize,
        concerns: impl FnOnce(&Fleet) -> BTreeSet<NodeId>,
        mut asked: impl FnMut(usize, usize),
    ) -> Result<Gathered, Fault> {
        let mut fleet = self.records.fleet().await?;
        let of = |id| fleet.nodes.get(&id).map(|n| (id, n.bmc.clone(), further.and(declared(n))));
        let nodes: Vec<(NodeId, BmcEndpoint, Further)> = concerns(&fleet).into_iter().filter_map(of).collect();
        let total = nodes.len();
        let bmc = &self.bmc;
        let mut answers = futures_util::stream::iter(nodes)
            .map(|(id, endpoint, further)| async move {
                let answer = match depth {
                    Depth::Short => bmc.report(&endpoint, further).await,
                    Depth::Full => bmc.survey(&endpoint).await,
                };
                // Its power may have been said before the rest went wrong, and an On must not be lost (rule S1).
                let runs = match &answer {
                    Ok(report) => report.reading.power.runs(),
                    Err(fault) if fault.is_silence() => false,
                    Err(_) => bmc.read(&endpoint).await.is_ok_and(|reading| reading.power.runs()),
                };
                (id, answer, runs)
            })
            .buffer_unordered(at_once.max(1));
        let mut reports = BTreeMap::new();
        let mut count = 0;
        let mut running = BTreeSet::new();
        while let Some((id, answer, runs)) = answers.next().await {
            count += 1;
            running.extend(runs.then_some(id));
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
        drop(answers);
        Ok(Gathered { fleet, reports, running })
    }
}

/// What is asked of a node whatever the runbook speaks of: what a person declared of it, and whether the firmware of one that
/// may be a spare opens anything by itself (rule S1: it would be started into somebody else's volume).
fn declared(node: &Node) -> Further {
    let facts = &node.declared_facts;
    Further {
        architecture: facts.cpu.architecture.is_some(),
        secure_boot: facts.secure_boot.is_some(),
        bmc_firmware: facts.firmware.contains_key("bmc"),
        iscsi_boot: node.instance.is_none(),
    }
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
        node.take_in(report, captured_at);
    }
}
