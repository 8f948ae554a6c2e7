//! What this process remembers of each node.

use crate::model::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Known {
    /// What hung on it when that was last read.
    attached: Option<(Instant, Generation)>,
    /// By when it was inspected.
    inspection: Option<(String, Option<Value>)>,
    firmware: Option<(Instant, Vec<Value>)>,
    /// The machine was seen Off by Ironic, at its BMC.
    off: Option<(Instant, SystemReading)>,
    /// A `power off` through Ironic has succeeded: it reaches the BMC.
    reached: bool,
    silent: Option<(Instant, Fault)>,
    /// This process has told it to start.
    started: bool,
}

#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<NodeId, Known>>);

impl Memory {
    fn with<T>(&self, id: NodeId, what: impl FnOnce(&mut Known) -> T) -> T {
        what(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default())
    }

    pub(super) fn attached(&self, id: NodeId, attached: Generation) {
        self.with(id, |k| k.attached = Some((Instant::now(), attached)));
    }

    pub(super) fn attachments(&self, id: NodeId, age: Duration) -> Option<Generation> {
        self.with(id, |k| k.attached.filter(|(at, _)| at.elapsed() <= age).map(|(_, attached)| attached))
    }

    pub(super) fn inspected(&self, id: NodeId, at: &str, found: Option<Value>) {
        self.with(id, |k| k.inspection = Some((at.to_owned(), found)));
    }

    pub(super) fn inspection(&self, id: NodeId, at: &str) -> Option<Option<Value>> {
        self.with(id, |k| k.inspection.as_ref().filter(|(known, _)| known == at).map(|(_, found)| found.clone()))
    }

    pub(super) fn read_firmware(&self, id: NodeId, parts: Vec<Value>) {
        self.with(id, |k| k.firmware = Some((Instant::now(), parts)));
    }

    pub(super) fn firmware(&self, id: NodeId, age: Duration) -> Option<Vec<Value>> {
        self.with(id, |k| k.firmware.as_ref().filter(|(at, _)| at.elapsed() <= age).map(|(_, parts)| parts.clone()))
    }

    /// Off was proven by a look that began `at`.
    pub(super) fn proven(&self, id: NodeId, at: Instant, reading: &SystemReading) {
        self.with(id, |k| {
            (k.off, k.silent, k.reached) = (Some((at, reading.clone())), None, true);
        });
    }

    pub(super) fn proof(&self, id: NodeId, age: Duration) -> Option<SystemReading> {
        self.with(id, |k| k.off.as_ref().filter(|(at, _)| at.elapsed() <= age).map(|(_, reading)| reading.clone()))
    }

    pub(super) fn reached(&self, id: NodeId) -> bool {
        self.with(id, |k| k.reached)
    }

    pub(super) fn fell_silent(&self, id: NodeId, fault: &Fault) {
        self.with(id, |k| (k.off, k.silent) = (None, Some((Instant::now(), fault.clone()))));
    }

    pub(super) fn silence(&self, id: NodeId, age: Duration) -> Option<Fault> {
        self.with(id, |k| k.silent.as_ref().filter(|(at, _)| at.elapsed() <= age).map(|(_, fault)| fault.clone()))
    }

    /// Something was sent to it, and whatever was seen of its power is over.
    pub(super) fn told(&self, id: NodeId, starts: bool) {
        self.with(id, |k| {
            (k.off, k.started) = (None, k.started || starts);
        });
    }

    pub(super) fn started(&self, id: NodeId) -> bool {
        self.with(id, |k| k.started)
    }
}
