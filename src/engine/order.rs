//! What leaves the engine, and the only way out of it.

use super::event::Entry;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::step::{Command, Observation, Query};

/// Ties an answer to its question. A ticket that is no longer waited for is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) index: u32,
    pub(super) serial: u32,
}

impl Ticket {
    /// Position in the plan of the switchover that it belongs to.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Look(Ticket, Vec<Query>),
    Act(Ticket, Command),
}

/// A run that is taken from an executor which holds it and does not go on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeOver {
    /// Of the executor that had it, and of the one that has it now.
    pub from: u64,
    pub token: u64,
    /// Not before has everything landed that the other one may have sent.
    pub first_look: Time,
}

/// What the engine hears.
#[derive(Clone, Debug)]
pub enum Input {
    /// One observation for each query, in order.
    Seen(Ticket, Vec<Observation>),
    /// What became of a command. For a hook: its result.
    Told(Ticket, Result<Option<HookResult>, Fault>),
    /// Start nothing new.
    Pause(Reason),
    /// What somebody asks from another terminal. The same one may come again.
    Request(Posted),
}

/// Where events become durable.
pub trait EventLog {
    /// Returns when the entries and marks would survive a power cut.
    ///
    /// # Errors
    /// Anything else: nothing may be done then.
    fn append(&mut self, entries: Vec<Entry>, marks: Vec<(NodeId, PowerMark)>) -> Result<(), LogError>;

    /// These sources were seen or told On: what people said of them before is withdrawn, for this run and every later one.
    ///
    /// # Errors
    /// As [`EventLog::append`].
    fn heard(&mut self, sources: Vec<(NodeId, Time)>) -> Result<(), LogError>;
}

#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub struct LogError(pub String);

/// Everything there is to do at one instant. The orders cannot be reached but through the journal (rule S3).
#[derive(Debug, Default)]
#[must_use = "orders that are not carried out leave their switchovers hanging"]
pub struct Ready {
    pub(super) entries: Vec<Entry>,
    pub(super) marks: Vec<(NodeId, PowerMark)>,
    pub(super) heard: Vec<(NodeId, Time)>,
    pub(super) orders: Vec<Order>,
    pub(super) wake_at: Option<Time>,
    pub(super) done: bool,
}

impl Ready {
    /// Make the events durable and hand out the orders. The only way to them.
    ///
    /// # Errors
    /// The journal's. The orders are gone then, on purpose: a resume looks again.
    pub fn store(self, log: &mut impl EventLog) -> Result<Vec<Order>, LogError> {
        // First: a word that was withdrawn too soon costs a telephone call.
        if !self.heard.is_empty() {
            log.heard(self.heard)?;
        }
        if !self.entries.is_empty() || !self.marks.is_empty() {
            log.append(self.entries, self.marks)?;
        }
        Ok(self.orders)
    }

    /// When to ask again if nothing is heard.
    pub fn wake_at(&self) -> Option<Time> {
        self.wake_at
    }

    /// Nothing is left to do in this process: every switchover is finished, or waits for a resume.
    pub fn done(&self) -> bool {
        self.done
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.orders.is_empty()
    }
}

gates! {
    "intent first", "no order leaves before its events are durable",
        Closed, "a crash would forget what may have happened", orders_that_leave_before_their_events_are_durable;
}
