//! Requests of people to a run.

use super::journal::known_run;
use super::writer::Failure;
use crate::model::*;
use crate::ports::StoreError;
use rusqlite::{Connection, params};

pub(super) const TABLE: &str = include_str!("mailbox.sql");

pub(super) fn post(db: &Connection, run: &RunId, at: Time, by: &str, request: &Request) -> Result<u64, Failure> {
    known_run(db, run)?;
    let body = serde_json::to_string(request).map_err(|e| StoreError::Failed(e.to_string()))?;
    let last: i64 = db.prepare_cached("SELECT coalesce(max(seq), 0) FROM mailbox WHERE run = ?1")?.query_row([&run.0], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO mailbox (run, seq, at, sender, body) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        run.0,
        last + 1,
        at.0,
        by,
        body
    ])?;
    Ok(u64::try_from(last + 1).unwrap_or_default())
}

pub(super) fn inbox(db: &Connection, run: &RunId, after: u64) -> Result<Vec<Posted>, Failure> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached("SELECT seq, at, sender, body FROM mailbox WHERE run = ?1 AND seq > ?2 ORDER BY seq")?;
    let rows = statement.query_map(params![run.0, after], |row| {
        Ok((row.get::<_, i64>(0)?, Time(row.get(1)?), row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    })?;
    let mut posted = Vec::new();
    for row in rows {
        let (seq, at, by, body) = row?;
        // One of a later version is left for that version: it must not end a run in flight.
        if let Ok(request) = serde_json::from_str(&body) {
            posted.push(Posted { seq: u64::try_from(seq).unwrap_or_default(), at, by, request });
        }
    }
    Ok(posted)
}
