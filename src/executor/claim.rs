//! The right to execute a run: taken, kept, taken over, lost (rule S2).
//!
//! A thread of its own renews the lease, so that no look, no disk and no full queue of the loop can starve it. Where the
//! store says no, somebody else has the run: the loop hears of it and ends. Where the store cannot be written, the
//! deadline simply passes, and nothing more is sent.
//!
//! Who takes over waits three times before its first look: until the lease has ended (nothing leaves any more: the
//! deadline is tested at the write), the request time-out (what left just before arrives or is dropped by then) and the
//! landing bound (what arrived shows by then). The first wait ends early when the other process turns out to be alive or
//! dead; the other two stand in the store, so that a taker that dies does not shorten them.

use super::Ports;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::ports::{Clock, Deadline, Lease, RunLease, Store, StoreError, seam};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long leases are.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub length: Span,
    pub renew_every: Span,
    /// The longest that one request to a BMC may be on its way.
    pub request_timeout: Span,
}

impl Terms {
    /// Half a minute survives five missed renewals: a disk that hangs, a store that another process holds for its 10 s,
    /// a virtual machine that is moved. Longer would only make the person wait who takes over a dead executor.
    const LENGTH: Span = Span::secs(30);
    const RENEW_EVERY: Span = Span::secs(5);

    pub fn new(request_timeout: Span) -> Terms {
        match seam::terms() {
            Some([length, renew_every, request_timeout]) => Terms { length, renew_every, request_timeout },
            None => Terms { length: Terms::LENGTH, renew_every: Terms::RENEW_EVERY, request_timeout },
        }
    }
}

/// A renewal that failed for another reason than a new executor is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// So often is it looked whether an executor that may be alive has renewed its lease or died.
const POLL: Duration = Duration::from_millis(200);

/// The right to execute one run, kept until it is dropped.
pub struct Claim {
    pub(super) run: RunId,
    pub(super) token: u64,
    pub(super) deadline: Deadline,
    /// Nothing is looked at before.
    pub(super) quiet_until: Time,
    /// From whom the run was taken.
    pub(super) from: Option<Lease>,
    /// Hears why it is no longer ours.
    pub(super) lost: oneshot::Receiver<StoreError>,
    // In this order: the lock is let go when nobody renews any more.
    _keeper: Keeper,
    _lock: Box<dyn Send + Sync>,
}

impl Claim {
    fn keep(ports: &Ports, run: &RunId, lease: RunLease, asked: Time, terms: &Terms, from: Option<Lease>) -> Result<Claim, StoreError> {
        // Counted from before the store was asked: never later than what the store has.
        let deadline = Deadline::new(lease.token, ports.clock.clone(), asked + terms.length);
        let (tell, lost) = oneshot::channel();
        let renewal = Renewal {
            store: ports.store.clone(),
            clock: ports.clock.clone(),
            run: run.clone(),
            token: lease.token,
            deadline: deadline.clone(),
            terms: *terms,
        };
        let quiet_until = ports.clock.now() + lease.quiet;
        let keeper = Keeper::start(renewal, tell).map_err(|e| StoreError::Failed(format!("cannot start a thread: {e}")))?;
        Ok(Claim { run: run.clone(), token: lease.token, deadline, quiet_until, from, lost, _keeper: keeper, _lock: lease.lock })
    }

    pub fn run(&self) -> &RunId {
        &self.run
    }

    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// How long nothing is looked at from `now` on, where an executor before this one had taken the run over.
    pub fn waits(&self, now: Time) -> Option<Span> {
        Some(self.quiet_until.since(now)).filter(|left| self.from.is_none() && *left > Span::ZERO)
    }
}

/// Execute a run that nobody executes.
///
/// # Errors
/// [`StoreError::Locked`] where another process has it, stopped or not.
pub fn claim(ports: &Ports, run: &RunId, terms: &Terms) -> Result<Claim, StoreError> {
    let asked = ports.clock.now();
    let lease = ports.store.lock_run(run, terms.length)?;
    Claim::keep(ports, run, lease, asked, terms, None)
}

/// Execute a run that another process has and does not go on with. `landing`: the longest that a power command of this
/// run may take to show. `tell` hears of whom it waits for. Where nobody has the run this is [`claim`].
///
/// # Errors
/// [`StoreError::Alive`] where the other one renews its lease, [`StoreError::Locked`] where somebody else was faster.
pub async fn take_over(
    ports: &Ports,
    run: &RunId,
    terms: &Terms,
    landing: Span,
    mut tell: impl FnMut(&Lease),
) -> Result<Claim, StoreError> {
    let mut first: Option<(Lease, Time)> = None;
    loop {
        let now = match claim(ports, run, terms) {
            Err(StoreError::Locked { by: Some(by), .. }) => *by,
            other => return other,
        };
        let at = ports.clock.now();
        let (seen, since) = first.get_or_insert_with(|| {
            tell(&now);
            (now.clone(), at)
        });
        if now.token != seen.token {
            return Err(StoreError::Locked { run: run.clone(), by: Some(Box::new(now)) });
        }
        if now.expires != seen.expires {
            return Err(StoreError::Alive { run: run.clone(), by: Box::new(now) });
        }
        let ended = match now.left {
            Some(left) => left == Span::ZERO,
            // Not our clock: it has ended when it was not renewed for its whole length of ours.
            None => at.since(*since) > now.length,
        };
        if ended {
            let quiet = Span(terms.request_timeout.0.saturating_add(landing.0));
            let asked = ports.clock.now();
            let lease = ports.store.take_over(&now, terms.length, quiet)?;
            return Claim::keep(ports, run, lease, asked, terms, Some(now));
        }
        tokio::time::sleep(now.left.map_or(POLL, |left| left.duration().min(POLL))).await;
    }
}

struct Renewal {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    run: RunId,
    token: u64,
    deadline: Deadline,
    terms: Terms,
}

impl Renewal {
    /// When to renew again; the error that ends it all otherwise.
    fn renew(&self) -> Result<Duration, StoreError> {
        let asked = self.clock.now();
        match seam::undisturbed(|| self.store.renew(&self.run, self.token, self.terms.length)) {
            Ok(()) => {
                self.deadline.extend(asked + self.terms.length);
                Ok(self.terms.renew_every.duration())
            }
            Err(lost @ StoreError::Superseded { .. }) => Err(lost),
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "the lease cannot be renewed; nothing is sent once it has ended");
                Ok(self.terms.renew_every.duration().min(AGAIN))
            }
        }
    }
}

/// The thread that renews a lease. Dropped, it ends.
struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn start(renewal: Renewal, tell: oneshot::Sender<StoreError>) -> std::io::Result<Keeper> {
        let (stop, stopped) = channel::<()>();
        let work = move || {
            let mut pause = renewal.terms.renew_every.duration();
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                match renewal.renew() {
                    Ok(next) => pause = next,
                    Err(lost) => {
                        let _ = tell.send(lost);
                        return;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("lease".into()).spawn(work)?;
        Ok(Keeper { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

gates! {
    "one executor", "a run is carried out by one process at a time",
        Closed, "two processes would send every command twice", a_run_is_executed_once_at_a_time;
    "take-over", "a run is taken only from a process whose lease has ended; one that renews it is alive",
        Closed, "two that are alive would both drive the machines", who_is_alive_is_not_taken_over;
    "first look after a take-over", "nothing is looked at before what the other process sent has landed or run out of time",
        Closed, "a command that left in the last moment of a lease would land after the look",
        without_its_gates_a_take_over_is_caught;
}
