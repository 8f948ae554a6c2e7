//! Between the engine's entries and the store's records.

use super::ExecuteError;
use crate::engine::{Entry, Event, EventLog, LogError};
use crate::model::*;
use crate::ports::{Record, Store, StoreError};
use std::sync::Arc;

/// The engine's log over a store.
pub struct JournalLog {
    store: Arc<dyn Store>,
    run: RunId,
    token: u64,
    seq: u64,
    /// Why the store took the last entries not.
    refused: Option<StoreError>,
}

impl JournalLog {
    pub fn new(store: Arc<dyn Store>, run: RunId, token: u64, last_seq: u64) -> JournalLog {
        JournalLog { store, run, token, seq: last_seq, refused: None }
    }

    /// The store's own words for an error of the log, where it has any.
    pub fn why(&mut self, error: LogError) -> ExecuteError {
        match self.refused.take() {
            Some(lost @ StoreError::Superseded { .. }) => ExecuteError::Store(lost),
            _ => ExecuteError::Log(error),
        }
    }
}

impl EventLog for JournalLog {
    fn heard(&mut self, sources: Vec<(NodeId, Time)>) -> Result<(), LogError> {
        self.store.withdraw(&self.run, self.token, &sources).map_err(|refused| {
            let error = LogError(refused.to_string());
            self.refused = Some(refused);
            error
        })
    }

    fn append(&mut self, entries: Vec<Entry>, marks: Vec<(NodeId, PowerMark)>) -> Result<(), LogError> {
        let mut records = Vec::with_capacity(entries.len());
        for (entry, seq) in entries.iter().zip(self.seq + 1..) {
            records.push(record(seq, entry).map_err(|e| LogError(e.to_string()))?);
        }
        if let Err(refused) = self.store.append(&self.run, self.token, &records, &marks) {
            let error = LogError(refused.to_string());
            self.refused = Some(refused);
            return Err(error);
        }
        self.seq += entries.len() as u64;
        Ok(())
    }
}

/// # Errors
/// When an event cannot be written as JSON, which none of ours is.
pub fn record(seq: u64, entry: &Entry) -> Result<Record, serde_json::Error> {
    Ok(Record { seq, at: entry.at, body: serde_json::to_string(&entry.event)? })
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal record {seq} cannot be read: {why}; it is damaged or was written by a later version")]
pub struct BadJournal {
    pub seq: u64,
    pub why: String,
}

/// # Errors
/// [`BadJournal`] for a gap in the numbers or a body that is no event of this version.
pub fn entries(records: &[Record]) -> Result<Vec<Entry>, BadJournal> {
    let read = |(record, seq): (&Record, u64)| {
        if record.seq != seq {
            return Err(BadJournal { seq, why: format!("it is missing; the next one is {}", record.seq) });
        }
        let event: Event = serde_json::from_str(&record.body).map_err(|e| BadJournal { seq, why: e.to_string() })?;
        Ok(Entry { at: record.at, event })
    };
    records.iter().zip(1..).map(read).collect()
}
