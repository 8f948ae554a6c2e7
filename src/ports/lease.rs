//! Who may execute a run, and until when (rule S2).
//!
//! Three things keep two executors of one run apart, each alone sufficient where it reaches:
//! - a *lock* that goes with the process, however it ends: where it is free, the process is certainly dead;
//! - a *token* that counts up with every new executor: the store takes nothing from any but the newest;
//! - a *deadline*, the end of the lease: after it nothing leaves for a device. It is tested where the order leaves, since
//!   a process can be stopped for hours between any two instructions.

use super::Clock;
use crate::model::*;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// An executor of a run, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub run: RunId,
    /// Counts from 1 over all executors that the run ever had.
    pub token: u64,
    pub pid: u32,
    pub host: String,
    pub since: Time,
    /// Another number after each renewal. Comparable with a clock only where `left` is something.
    pub expires: i64,
    pub length: Span,
    /// What is left of it now, zero when it has ended; `None`: it was counted by a clock that is not ours (another
    /// machine, or this one before it was started again).
    pub left: Option<Span>,
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on `{}`, since {} (token {})", self.pid, self.host, self.since, self.token)
    }
}

/// The right to execute a run, until it is dropped or somebody else has taken it.
pub struct RunLease {
    pub token: u64,
    /// How much longer nothing may be looked at: an earlier executor was taken over, and what it sent may still land.
    pub quiet: Span,
    /// Goes with the process.
    pub lock: Box<dyn Send + Sync>,
}

/// Until when an order may leave: the end of the lease under which it was given, as that is renewed. Whoever sends
/// something that changes anything tests it last of all before the bytes leave.
#[derive(Clone, Default)]
pub struct Deadline(Option<Arc<Held>>);

struct Held {
    token: u64,
    clock: Arc<dyn Clock>,
    /// Microseconds on `clock`, which counts on while the machine or the process is suspended.
    until: AtomicI64,
}

impl Deadline {
    /// For what a person does outside of any run.
    pub const NONE: Deadline = Deadline(None);

    pub fn new(token: u64, clock: Arc<dyn Clock>, until: Time) -> Deadline {
        Deadline(Some(Arc::new(Held { token, clock, until: AtomicI64::new(until.0) })))
    }

    /// The lease was renewed; all copies know.
    pub fn extend(&self, until: Time) {
        if let Some(held) = &self.0 {
            held.until.fetch_max(until.0, Ordering::SeqCst);
        }
    }

    /// The token of the lease; `None` outside of any run.
    pub fn token(&self) -> Option<u64> {
        self.0.as_ref().map(|held| held.token)
    }

    pub fn passed(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.clock.now().0 >= held.until.load(Ordering::SeqCst))
    }

    /// # Errors
    /// [`FaultKind::Transient`]: `what` was certainly not sent, and may be sent again by whoever has a lease. It is no
    /// `Refused`: nobody on the other side has said no, and a lease that is found alive again goes on.
    pub fn test(&self, what: impl fmt::Display) -> Result<(), Fault> {
        if self.passed() { Err(Deadline::fault(what)) } else { Ok(()) }
    }

    pub fn fault(what: impl fmt::Display) -> Fault {
        Fault::transient(format!("{what} was not sent: the lease of this executor had ended"))
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline").field(&self.token()).finish()
    }
}
