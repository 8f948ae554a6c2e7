//! The inventory that the store keeps.

use super::fleet::{Reading, fleet};
use super::rows;
use super::writer::Failure;
use super::{SqliteStore, attestations, lease, meta, set_meta};
use crate::model::*;
use crate::ports::{Deadline, Inventory, StoreError};
use async_trait::async_trait;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why an import changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<ImportProblem>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Change the records of `before` and write what is different.
fn change<T>(db: &Connection, before: &Fleet, apply: impl FnOnce(&mut Fleet) -> Result<T, Fault>) -> Result<T, Failure> {
    let mut after = before.clone();
    let outcome = apply(&mut after)?;
    rows::write_difference(db, before, &after)?;
    Ok(outcome)
}

fn floor(db: &Connection) -> Result<Generation, Failure> {
    Ok(Generation(meta(db, "generation_floor")?.and_then(|n| n.parse().ok()).unwrap_or(0)))
}

fn raise_floor(db: &Connection, to: Generation) -> Result<(), Failure> {
    if to > floor(db)? {
        set_meta(db, "generation_floor", &to.0.to_string())?;
    }
    Ok(())
}

impl SqliteStore {
    /// Take documents into the inventory: all of them or none ([`Fleet::import`]).
    ///
    /// # Errors
    /// [`ImportError::Problems`] names all that is wrong with the documents.
    pub fn import(&self, documents: Vec<NodeRecord>, mode: ImportMode) -> Result<Imported, ImportError> {
        self.import_detaching(documents, mode, BTreeSet::new())
    }

    /// The same, and it may take volumes, connectors and instances from these nodes ([`Fleet::import_detaching`]).
    ///
    /// # Errors
    /// Those of [`SqliteStore::import`].
    pub fn import_detaching(
        &self,
        documents: Vec<NodeRecord>,
        mode: ImportMode,
        detach: BTreeSet<NodeId>,
    ) -> Result<Imported, ImportError> {
        let outcome = self.write(move |db| {
            let before = fleet(db)?;
            let mut after = before.clone();
            let outcome = after.import_detaching(documents, mode, floor(db)?, &detach);
            if let Ok(done) = &outcome {
                rows::write_difference(db, &before, &after)?;
                raise_floor(db, done.floor)?;
            }
            Ok(outcome)
        });
        outcome.map_err(StoreError::from)?.map_err(ImportError::Problems)
    }

    /// Make a person's edits of a node, all or none ([`Fleet::edit`]).
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node and for one that a run holds.
    pub fn set(&self, id: NodeId, edits: Vec<Edit>) -> Result<(), Fault> {
        Ok(self.write(move |db| change(db, &rows::record(db, id)?, |fleet| fleet.edit(id, &edits)))?)
    }

    /// Take a node from a run that will never be taken up again, and say which it was.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node, and when the holder's run has another executor than the deadline's.
    pub fn release_reservation(&self, id: NodeId, deadline: &Deadline) -> Result<Option<Holder>, Fault> {
        let deadline = deadline.clone();
        Ok(self.write(move |db| {
            let before = rows::record(db, id)?;
            if let Some(holder) = before.nodes.get(&id).and_then(|node| node.reservation.as_ref()) {
                lease::fence_holder(db, holder, &deadline)?;
            }
            change(db, &before, |fleet| fleet.release_reservation(id))
        })?)
    }

    /// Take a node out of the inventory with its connectors and targets. Its power mark stays.
    ///
    /// # Errors
    /// [`FaultKind::Refused`] for an unknown node and for one that a run holds.
    pub fn remove_node(&self, id: NodeId) -> Result<NodeRecord, Fault> {
        self.remove_by(id, Fleet::remove)
    }

    /// The same for a node without instance, volumes and debt ([`Fleet::remove_empty`]).
    ///
    /// # Errors
    /// [`FaultKind::Refused`] as there, and for a node that has any of them.
    pub fn remove_empty_node(&self, id: NodeId) -> Result<NodeRecord, Fault> {
        self.remove_by(id, Fleet::remove_empty)
    }

    fn remove_by(&self, id: NodeId, remove: fn(&mut Fleet, NodeId) -> Result<NodeRecord, Fault>) -> Result<NodeRecord, Fault> {
        Ok(self.write(move |db| {
            let removed = change(db, &rows::record(db, id)?, |fleet| remove(fleet, id))?;
            raise_floor(db, removed.floor_after())?;
            Ok(removed)
        })?)
    }
}

#[async_trait]
impl Inventory for SqliteStore {
    async fn fleet(&self) -> Result<Fleet, Fault> {
        let (copy, wait) = Reading::start().split();
        let copied = self.reader().wait_async(false, copy).await;
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || drop(tell.send(wait())));
        let fleet = told.await.unwrap_or_else(|_| Err(Failure::Undone("the thread that reads the fleet has ended".into())));
        copied?;
        Ok(fleet?)
    }

    async fn node(&self, id: NodeId) -> Result<Arc<Node>, Fault> {
        self.reader().wait_async(false, move |db| rows::shared_node(db, id)).await?.ok_or_else(|| no_node(id))
    }

    async fn connector(&self, id: ConnectorId) -> Result<VolumeConnector, Fault> {
        self.reader().wait_async(false, move |db| rows::connector(db, id)).await?.ok_or_else(|| no_connector(id))
    }

    async fn target(&self, id: TargetId) -> Result<VolumeTarget, Fault> {
        self.reader().wait_async(false, move |db| rows::target(db, id)).await?.ok_or_else(|| no_target(id))
    }

    async fn same_volume(&self, id: TargetId) -> Result<Vec<VolumeTarget>, Fault> {
        Ok(self.reader().wait_async(false, move |db| rows::same_volume(db, id)).await?)
    }

    async fn change(&self, wanted: &Change, deadline: &Deadline) -> Result<(), Fault> {
        deadline.test("a change of the inventory")?;
        let (wanted, deadline) = (wanted.clone(), deadline.clone());
        let work = move |db: &Connection| {
            lease::fence_holder(db, wanted.holder(), &deadline)?;
            change(db, &rows::around(db, &wanted)?, |fleet| fleet.apply(&wanted))
        };
        Ok(self.inner.writer.wait_async(true, work).await?)
    }

    async fn learn(&self, id: NodeId, report: &SystemReport, at: Time) -> Result<(), Fault> {
        let report = report.clone();
        // Rule S1: an On that any command saw ends what people said before, whatever becomes of the rest.
        if report.reading.power.runs() {
            self.inner.writer.wait_async(true, move |db| attestations::withdraw(db, id, at)).await?;
        }
        let work = move |db: &Connection| {
            let mut before = Fleet::default();
            before.nodes.extend(rows::node(db, id)?.map(|node| (id, node)));
            change(db, &before, |fleet| fleet.learn(id, &report, at))
        };
        Ok(self.inner.writer.wait_async(true, work).await?)
    }
}
