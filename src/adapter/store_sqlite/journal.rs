//! Plans, runs and their journals.

use super::writer::Failure;
use super::{SqliteStore, attestations, lease, mailbox, meta, rows, set_meta};
use crate::model::*;
use crate::ports::{Lease, Record, RunLease, RunRow, Store, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};

const RUNS: &str = "SELECT id, plan, created_at, status, name FROM runs";

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow { id: RunId(row.get(0)?), plan: PlanId(row.get(1)?), created_at: Time(row.get(2)?), status: row.get(3)?, name: row.get(4)? })
}

fn run(db: &Connection, id: &RunId) -> Result<Option<RunRow>, Failure> {
    Ok(db.prepare_cached(&format!("{RUNS} WHERE id = ?1"))?.query_row([&id.0], run_row).optional()?)
}

pub(super) fn known_run(db: &Connection, id: &RunId) -> Result<(), Failure> {
    match run(db, id)? {
        Some(_) => Ok(()),
        None => Err(StoreError::Failed(format!("there is no run `{id}` in this store")).into()),
    }
}

/// What the ids of this store start with: nothing, or the name of the lab that it belongs to.
fn id_prefix(db: &Connection) -> rusqlite::Result<String> {
    Ok(meta(db, "id_prefix")?.unwrap_or_default())
}

fn begin_run(db: &Connection, plan: &PlanId, name: &str, now: Time) -> Result<RunId, Failure> {
    let used: Option<String> =
        db.prepare_cached("SELECT id FROM runs WHERE plan = ?1")?.query_row([&plan.0], |row| row.get(0)).optional()?;
    if let Some(run) = used {
        return Err(StoreError::Used { plan: plan.clone(), run: RunId(run) }.into());
    }
    let saved = db.prepare_cached("SELECT 1 FROM plans WHERE id = ?1")?.exists([&plan.0])?;
    if !saved {
        return Err(StoreError::Failed(format!("there is no plan `{plan}` in this store")).into());
    }
    let number: i64 = db.query_row("SELECT coalesce(max(number), 0) + 1 FROM runs", [], |row| row.get(0))?;
    let id = RunId(format!("{}r-{number}", id_prefix(db)?));
    db.prepare_cached("INSERT INTO runs (number, id, plan, created_at, status, name) VALUES (?1, ?2, ?3, ?4, 'running', ?5)")?
        .execute(params![number, id.0, plan.0, now.0, name])?;
    Ok(id)
}

/// The journal counts without a gap, from 0 or 1 on. Anything else is two writers, or one that has forgotten something.
fn append(db: &Connection, run: &RunId, records: &[Record]) -> Result<(), Failure> {
    let last: Option<i64> = db.prepare_cached("SELECT max(seq) FROM journal WHERE run = ?1")?.query_row([&run.0], |row| row.get(0))?;
    let mut last = last.and_then(|n| u64::try_from(n).ok());
    let mut insert = db.prepare_cached("INSERT INTO journal (run, seq, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    for Record { seq, at, body } in records {
        let follows = last.map_or(*seq <= 1, |last| *seq == last + 1);
        let column = i64::try_from(*seq).ok().filter(|_| follows);
        let Some(column) = column else {
            let last = last.map_or("nothing".into(), |n| format!("record {n}"));
            return Err(StoreError::Failed(format!("journal of run `{run}`: record {seq} cannot follow {last}")).into());
        };
        insert.execute(params![run.0, column, at.0, body])?;
        last = Some(*seq);
    }
    Ok(())
}

fn set_marks(db: &Connection, marks: &[(NodeId, PowerMark)]) -> Result<(), Failure> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO power_marks (node, reset, sent_at, lands_by) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (node) DO UPDATE SET reset = excluded.reset, sent_at = excluded.sent_at, lands_by = excluded.lands_by",
    )?;
    for (node, mark) in marks {
        upsert.execute(params![node.to_string(), mark.reset.as_str(), mark.sent_at.0, mark.lands_by.0])?;
    }
    Ok(())
}

fn journal(db: &Connection, run: &RunId) -> Result<Vec<Record>, Failure> {
    known_run(db, run)?;
    let mut statement = db.prepare_cached("SELECT seq, at, body FROM journal WHERE run = ?1 ORDER BY seq")?;
    let rows = statement.query_map([&run.0], |row| {
        Ok(Record { seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(), at: Time(row.get(1)?), body: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl SqliteStore {
    /// What the ids of this store start with; empty for a store of real machines.
    ///
    /// # Errors
    /// The disk's.
    pub fn id_prefix(&self) -> Result<String, StoreError> {
        Ok(self.read(|db| Ok(id_prefix(db)?))?)
    }

    /// Neither a node nor a run was ever kept here.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_fresh(&self) -> Result<bool, StoreError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM nodes) AND NOT EXISTS (SELECT 1 FROM runs)";
        Ok(self.read(move |db| Ok(db.query_row(sql, [], |row| row.get(0))?))?)
    }

    /// Let the ids of plans and runs start with `prefix`, so that they name the store that holds them.
    ///
    /// # Errors
    /// The disk's.
    pub fn prefix_ids(&self, prefix: &str) -> Result<(), StoreError> {
        let prefix = prefix.to_owned();
        Ok(self.write(move |db| Ok(set_meta(db, "id_prefix", &prefix)?))?)
    }
}

impl Store for SqliteStore {
    fn id(&self) -> StoreId {
        self.inner.id.clone()
    }

    fn next_plan_id(&self) -> Result<PlanId, StoreError> {
        Ok(self.write(|db| {
            let next = meta(db, "plans")?.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) + 1;
            set_meta(db, "plans", &next.to_string())?;
            Ok(PlanId(format!("{}p-{next}", id_prefix(db)?)))
        })?)
    }

    fn save_plan(&self, id: &PlanId, created_at: Time, json: &str) -> Result<(), StoreError> {
        let (id, json) = (id.clone(), json.to_owned());
        Ok(self.write(move |db| {
            let sql = "INSERT INTO plans (id, created_at, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
            match db.prepare_cached(sql)?.execute(params![id.0, created_at.0, json])? {
                0 => Err(StoreError::Failed(format!("plan `{id}` is already saved, and a plan does not change")).into()),
                _ => Ok(()),
            }
        })?)
    }

    fn load_plan(&self, id: &PlanId) -> Result<Option<String>, StoreError> {
        let id = id.clone();
        Ok(self.read(move |db| {
            Ok(db.prepare_cached("SELECT body FROM plans WHERE id = ?1")?.query_row([&id.0], |row| row.get(0)).optional()?)
        })?)
    }

    fn begin_run(&self, plan: &PlanId, name: &str, now: Time) -> Result<RunId, StoreError> {
        let (plan, name) = (plan.clone(), name.to_owned());
        Ok(self.write(move |db| begin_run(db, &plan, &name, now))?)
    }

    fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        Ok(self.read(|db| {
            let mut statement = db.prepare_cached(&format!("{RUNS} ORDER BY number"))?;
            Ok(statement.query_map([], run_row)?.collect::<Result<_, _>>()?)
        })?)
    }

    fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        let id = id.clone();
        Ok(self.read(move |db| run(db, &id))?)
    }

    fn set_status(&self, id: &RunId, token: u64, status: &str) -> Result<(), StoreError> {
        let (id, status) = (id.clone(), status.to_owned());
        Ok(self.write(move |db| {
            known_run(db, &id)?;
            lease::fence(db, &id, token)?;
            db.prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1")?.execute([&id.0, &status])?;
            Ok(())
        })?)
    }

    fn append(&self, run: &RunId, token: u64, records: &[Record], marks: &[(NodeId, PowerMark)]) -> Result<(), StoreError> {
        let (run, records, marks) = (run.clone(), records.to_vec(), marks.to_vec());
        Ok(self.write(move |db| {
            known_run(db, &run)?;
            lease::fence(db, &run, token)?;
            append(db, &run, &records)?;
            set_marks(db, &marks)
        })?)
    }

    fn journal(&self, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let run = run.clone();
        Ok(self.read(move |db| journal(db, &run))?)
    }

    fn power_mark(&self, node: NodeId) -> Result<Option<PowerMark>, StoreError> {
        Ok(self.read(move |db| rows::power_mark(db, node))?)
    }

    fn withdraw(&self, run: &RunId, token: u64, seen_on: &[(NodeId, Time)]) -> Result<(), StoreError> {
        let (run, seen_on) = (run.clone(), seen_on.to_vec());
        Ok(self.write(move |db| {
            lease::fence(db, &run, token)?;
            seen_on.iter().try_for_each(|(node, at)| attestations::withdraw(db, *node, *at))
        })?)
    }

    fn post(&self, run: &RunId, at: Time, by: &str, request: &Request) -> Result<u64, StoreError> {
        let (run, by, request) = (run.clone(), by.to_owned(), request.clone());
        Ok(self.write(move |db| mailbox::post(db, &run, at, &by, &request))?)
    }

    fn inbox(&self, run: &RunId, after: u64) -> Result<Vec<Posted>, StoreError> {
        let run = run.clone();
        Ok(self.read(move |db| mailbox::inbox(db, &run, after))?)
    }

    fn lock_run(&self, run: &RunId, length: Span) -> Result<RunLease, StoreError> {
        self.lock_free_run(run, length)
    }

    fn test_lock(&self, run: &RunId) -> Result<(), StoreError> {
        self.is_free(run)
    }

    fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        self.last_lease(run)
    }

    fn renew(&self, run: &RunId, token: u64, length: Span) -> Result<(), StoreError> {
        self.renew_lease(run, token, length)
    }

    fn take_over(&self, from: &Lease, length: Span, quiet: Span) -> Result<RunLease, StoreError> {
        self.take_from(from, length, quiet)
    }
}
