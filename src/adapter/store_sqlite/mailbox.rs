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

#[cfg(test)]
mod tests {
    use super::super::SqliteStore;
    use super::*;
    use crate::ports::Store;

    /// A request of a later version, or a damaged one, must neither end a run in flight nor keep others from being heard.
    #[test]
    fn a_row_that_cannot_be_read_is_passed_over() {
        let directory = tempfile::tempdir().expect("directory");
        let store = SqliteStore::open(directory.path().join("state.db")).expect("store");
        store.save_plan(&"p-1".into(), Time(1), "{}").expect("a plan");
        let run = store.begin_run(&"p-1".into(), "test", Time(1)).expect("a run");
        for (seq, body) in [(1, r#"{"request":"of another version","more":[1]}"#), (2, "not JSON"), (3, "")] {
            let (run, sql) = (run.clone(), "INSERT INTO mailbox (run, seq, at, sender, body) VALUES (?1, ?2, 1, 'anna', ?3)");
            store.write(move |db| Ok(db.execute(sql, params![run.0, seq, body])?)).expect("a row");
        }
        assert_eq!(store.post(&run, Time(2), "bert", &Request::Stop).expect("kept"), 4);
        let heard = store.inbox(&run, 0).expect("the mail is read");
        assert_eq!(heard, [Posted { seq: 4, at: Time(2), by: "bert".into(), request: Request::Stop }]);
    }
}
