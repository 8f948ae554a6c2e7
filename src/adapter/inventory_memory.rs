//! An inventory in memory: for laboratories and tests. It decides as every other does, by
//! [`Fleet::apply`](crate::model::Fleet::apply).

use crate::model::*;
use crate::ports::{Deadline, Inventory};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

/// A fleet that many may read and change. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryInventory {
    fleet: Arc<Mutex<Fleet>>,
}

impl MemoryInventory {
    pub fn new(fleet: Fleet) -> MemoryInventory {
        MemoryInventory { fleet: Arc::new(Mutex::new(fleet)) }
    }

    /// Look at the fleet or change it, with nobody between.
    pub fn with<T>(&self, f: impl FnOnce(&mut Fleet) -> T) -> T {
        // Whoever panicked had not begun to write: every change of a fleet checks first.
        f(&mut self.fleet.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Inventory for MemoryInventory {
    async fn fleet(&self) -> Result<Fleet, Fault> {
        Ok(self.with(|fleet| fleet.clone()))
    }

    async fn node(&self, id: NodeId) -> Result<Arc<Node>, Fault> {
        self.with(|fleet| fleet.nodes.get(&id).cloned().map(Arc::new).ok_or_else(|| no_node(id)))
    }

    async fn connector(&self, id: ConnectorId) -> Result<VolumeConnector, Fault> {
        self.with(|fleet| fleet.connectors.get(&id).cloned().ok_or_else(|| no_connector(id)))
    }

    async fn target(&self, id: TargetId) -> Result<VolumeTarget, Fault> {
        self.with(|fleet| fleet.targets.get(&id).cloned().ok_or_else(|| no_target(id)))
    }

    async fn same_volume(&self, id: TargetId) -> Result<Vec<VolumeTarget>, Fault> {
        self.with(|fleet| fleet.same_volume(id))
    }

    async fn change(&self, change: &Change, deadline: &Deadline) -> Result<(), Fault> {
        deadline.test("a change of the inventory")?;
        self.with(|fleet| fleet.apply(change))
    }

    async fn learn(&self, id: NodeId, report: &SystemReport, at: Time) -> Result<(), Fault> {
        self.with(|fleet| fleet.learn(id, report, at))
    }
}
