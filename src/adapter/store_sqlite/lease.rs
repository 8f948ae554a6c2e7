//! Who executes a run: a lock on a file that goes with the process, and a row whose token fences off everybody before.
//!
//! The lock of token n is a file of its own, so that a process that was stopped and superseded keeps its lock and nobody
//! away. Whoever wants token n + 1 proves that token n is dead by holding n's lock, or that its lease has ended.

use super::SqliteStore;
use super::journal::known_run;
use super::writer::Failure;
use crate::adapter::clock::{boot_id, since_boot};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::ports::{Deadline, Lease, RunLease, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A row, and what only this file needs of it.
struct Known {
    lease: Lease,
    /// By our own clock, and in the future.
    quiet: Span,
}

const LEASES: &str = "SELECT run, token, pid, host, boot_id, since, length_ms, expires_boottime_us, quiet_boottime_us FROM leases";

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let ours = row.get::<_, String>(4)? == boot_id();
    let now = Time(since_boot());
    // Rounded up: what ends within this millisecond has not ended.
    let left = |until: i64| Span(u64::try_from(until - now.0).unwrap_or(0).div_ceil(1000));
    let expires = row.get(7)?;
    let lease = Lease {
        run: RunId(row.get(0)?),
        token: row.get::<_, i64>(1)?.unsigned_abs(),
        pid: row.get(2)?,
        host: row.get(3)?,
        since: Time(row.get(5)?),
        length: Span(row.get::<_, i64>(6)?.unsigned_abs()),
        expires,
        left: ours.then(|| left(expires)),
    };
    // A host that was started again has nothing on its wires.
    Ok(Known { lease, quiet: if ours { left(row.get(8)?) } else { Span::ZERO } })
}

fn newest(db: &Connection, run: &RunId) -> Result<Option<Known>, Failure> {
    let mut statement = db.prepare_cached(&format!("{LEASES} WHERE run = ?1 ORDER BY token DESC LIMIT 1"))?;
    Ok(statement.query_row([&run.0], known).optional()?)
}

/// The fence: in the transaction of every write that an executor makes. A run that was never executed has token 0.
pub(super) fn fence(db: &Connection, run: &RunId, token: u64) -> Result<(), Failure> {
    let mut statement = db.prepare_cached("SELECT max(token) FROM leases WHERE run = ?1")?;
    let last: Option<i64> = statement.query_row([&run.0], |row| row.get(0))?;
    if last.unwrap_or(0).unsigned_abs() == token {
        return Ok(());
    }
    match newest(db, run)? {
        Some(by) => Err(StoreError::Superseded { run: run.clone(), by: Box::new(by.lease) }.into()),
        None => Err(StoreError::Failed(format!("run `{run}` has no lease {token}")).into()),
    }
}

/// The fence for a change of the inventory that a run makes.
pub(super) fn fence_holder(db: &Connection, holder: &Holder, deadline: &Deadline) -> Result<(), Failure> {
    let Some(token) = deadline.token() else { return Ok(()) };
    // The transaction may have waited: the deadline is tested once more inside it.
    deadline.test("a change of the inventory")?;
    fence(db, &holder.run, token)
}

fn insert(db: &Connection, run: &RunId, token: u64, length: Span, quiet: Span) -> Result<(), Failure> {
    let now = Time(since_boot());
    let number = |n: u64| i64::try_from(n).map_err(|_| Failure::Undone("a number beyond 2^63".into()));
    db.prepare_cached(
        "INSERT INTO leases (run, token, pid, host, boot_id, since, length_ms, expires_boottime_us, quiet_boottime_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        run.0,
        number(token)?,
        std::process::id(),
        rustix::system::uname().nodename().to_string_lossy(),
        boot_id(),
        super::now().0,
        number(length.0)?,
        (now + length).0,
        (now + quiet).0,
    ])?;
    Ok(())
}

/// Its lease has not ended, and a process of that number runs on this host. A number that was given to another process since
/// keeps a run from being resumed for no longer than the rest of the lease. Where it is this very process, its lock tells.
#[cfg(target_os = "linux")]
fn lives(lease: &Lease) -> bool {
    let here = rustix::system::uname().nodename().to_string_lossy() == lease.host;
    if !here || lease.pid == std::process::id() || lease.left.is_none_or(|left| left == Span::ZERO) {
        return false;
    }
    // proc_pid_stat(5): the state follows the command's name, which is in parentheses and may hold any character.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", lease.pid)).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X' | 'x'))
}

#[cfg(not(target_os = "linux"))]
fn lives(_: &Lease) -> bool {
    false
}

impl SqliteStore {
    fn newest(&self, run: &RunId) -> Result<Option<Known>, StoreError> {
        let run = run.clone();
        Ok(self.read(move |db| {
            known_run(db, &run)?;
            newest(db, &run)
        })?)
    }

    pub(super) fn last_lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        Ok(self.newest(run)?.map(|known| known.lease))
    }

    /// Whoever executes it holds the lock of the newest token.
    pub(super) fn is_free(&self, run: &RunId) -> Result<(), StoreError> {
        let last = self.newest(run)?;
        if let Some(known) = last.as_ref().filter(|known| lives(&known.lease)) {
            return Err(StoreError::Locked { run: run.clone(), by: Some(Box::new(known.lease.clone())) });
        }
        match self.inner.locks.take(run, last.as_ref().map_or(0, |known| known.lease.token))? {
            Some(_free) => Ok(()),
            None => Err(StoreError::Locked { run: run.clone(), by: last.map(|known| Box::new(known.lease)) }),
        }
    }

    pub(super) fn lock_free_run(&self, run: &RunId, length: Span) -> Result<RunLease, StoreError> {
        loop {
            let last = self.newest(run)?;
            let (token, quiet) = last.as_ref().map_or((0, Span::ZERO), |known| (known.lease.token, known.quiet));
            let locked = |by: Option<Known>| StoreError::Locked { run: run.clone(), by: by.map(|known| Box::new(known.lease)) };
            // Free: whoever had it is dead. But the lock of one that lives can be taken away with its file.
            if last.as_ref().is_some_and(|known| lives(&known.lease)) {
                return Err(locked(last));
            }
            let Some(_dead) = self.inner.locks.take(run, token)? else { return Err(locked(last)) };
            let Some(lock) = self.inner.locks.take(run, token + 1)? else { return Err(locked(self.newest(run)?)) };
            if self.begin_lease(run, token, None, length, quiet)? {
                return Ok(RunLease { token: token + 1, quiet, lock });
            }
        }
    }

    /// Write the row that follows on `token`; false when another one does already, or when the lease was renewed since it
    /// had `expires`.
    fn begin_lease(&self, run: &RunId, token: u64, expires: Option<i64>, length: Span, quiet: Span) -> Result<bool, StoreError> {
        let run = run.clone();
        Ok(self.write(move |db| {
            let last = newest(db, &run)?;
            let same = last.as_ref().map_or(0, |known| known.lease.token) == token;
            let renewed = expires.is_some() && expires != last.as_ref().map(|known| known.lease.expires);
            if same && !renewed {
                insert(db, &run, token + 1, length, quiet)?;
            }
            Ok(same && !renewed)
        })?)
    }

    pub(super) fn take_from(&self, from: &Lease, length: Span, quiet: Span) -> Result<RunLease, StoreError> {
        let run = &from.run;
        let next = from.token + 1;
        let alive = |by: &Lease| StoreError::Alive { run: run.clone(), by: Box::new(by.clone()) };
        match self.last_lease(run)? {
            Some(now) if now.token != from.token => return Err(StoreError::Locked { run: run.clone(), by: Some(Box::new(now)) }),
            Some(now) if now.left.is_some_and(|left| left > Span::ZERO) || now.expires != from.expires => return Err(alive(&now)),
            _ => {}
        }
        let Some(lock) = self.inner.locks.take(run, next)? else {
            return Err(StoreError::Locked { run: run.clone(), by: self.last_lease(run)?.map(Box::new) });
        };
        if self.begin_lease(run, from.token, Some(from.expires), length, quiet)? {
            return Ok(RunLease { token: next, quiet, lock });
        }
        Err(alive(&self.last_lease(run)?.unwrap_or_else(|| from.clone())))
    }

    pub(super) fn renew_lease(&self, run: &RunId, token: u64, length: Span) -> Result<(), StoreError> {
        let run = run.clone();
        Ok(self.write(move |db| {
            fence(db, &run, token)?;
            let expires = Time(since_boot()) + length;
            db.prepare_cached("UPDATE leases SET expires_boottime_us = ?3 WHERE run = ?1 AND token = ?2")?.execute(params![
                run.0,
                token.cast_signed(),
                expires.0
            ])?;
            Ok(())
        })?)
    }
}

gates! {
    "token", "the journal and the inventory take writes of a run's newest executor only, tested inside the transaction",
        Closed, "who was superseded does not know it yet",
        a_lease_that_has_ended_is_taken_and_its_token_is_worth_nothing_any_more;
}
