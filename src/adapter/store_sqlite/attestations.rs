//! What people vouch for: one row for each time.

use super::writer::Failure;
use super::{SqliteStore, lease, rows};
use crate::model::*;
use crate::ports::{Attestations, Deadline};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A format of its own (`migrate`). `IF NOT EXISTS`: some stores of format 1 have it already.
pub(super) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS attestations (
    id BIGINT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    run TEXT,
    switchover BIGINT
);
CREATE INDEX IF NOT EXISTS attestations_by_node ON attestations (node);";

const COLUMNS: &str = "SELECT id, node, at, expires_at, who, reason, run, switchover FROM attestations";

fn attestation(row: &Row<'_>) -> rusqlite::Result<Attestation> {
    let node: String = row.get(1)?;
    let used: Option<(String, u32)> = row.get::<_, Option<String>>(6)?.zip(row.get::<_, Option<u32>>(7)?);
    Ok(Attestation {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        node: node.parse().map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(e)))?,
        at: Time(row.get(2)?),
        expires_at: Time(row.get(3)?),
        by: row.get(4)?,
        reason: row.get(5)?,
        used_by: used.map(|(run, switchover)| Holder { run: RunId(run), switchover: SwitchoverId(switchover) }),
    })
}

fn latest(db: &Connection, node: NodeId) -> Result<Option<Attestation>, Failure> {
    let sql = format!("{COLUMNS} WHERE node = ?1 ORDER BY id DESC LIMIT 1");
    Ok(db.prepare_cached(&sql)?.query_row([node.to_string()], attestation).optional()?)
}

/// The machine was seen running at `at`: an unused word is over. Whatever stands here by now was given before, whatever its
/// time says: a clock may have been set back since. So is one that a switchover uses: its resume asks.
pub(super) fn withdraw(db: &Connection, node: NodeId, at: Time) -> Result<(), Failure> {
    let sql = "UPDATE attestations SET expires_at = MIN(expires_at, at, ?2) WHERE node = ?1";
    db.prepare_cached(sql)?.execute(params![node.to_string(), at.0])?;
    Ok(())
}

impl SqliteStore {
    /// Record a person's word. Its id is the next one of the store.
    ///
    /// # Errors
    /// Our own disk.
    pub fn attest(&self, word: Attestation) -> Result<Attestation, Fault> {
        Ok(self.write(move |db| {
            let next: i64 = db.query_row("SELECT coalesce(max(id), 0) + 1 FROM attestations", [], |row| row.get(0))?;
            let sql = "INSERT INTO attestations (id, node, at, expires_at, who, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let values = params![next, word.node.to_string(), word.at.0, word.expires_at.0, word.by, word.reason];
            db.prepare_cached(sql)?.execute(values)?;
            Ok(Attestation { id: next.cast_unsigned(), ..word })
        })?)
    }
}

impl SqliteStore {
    /// These machines were seen running: what people said before of their being off counts for nothing any more. A store
    /// that cannot be written keeps its words, and nothing can be carried out with it.
    ///
    /// # Errors
    /// Our own disk.
    pub fn saw_running(&self, nodes: Vec<NodeId>, at: Time) -> Result<(), Fault> {
        if nodes.is_empty() || self.is_read_only() {
            return Ok(());
        }
        Ok(self.write(move |db| nodes.iter().try_for_each(|node| withdraw(db, *node, at)))?)
    }
}

#[async_trait]
impl Attestations for SqliteStore {
    async fn attestation(&self, node: NodeId) -> Result<Option<Attestation>, Fault> {
        Ok(self.inner.writer.wait_async(false, move |db| latest(db, node)).await?)
    }

    async fn use_attestation(&self, node: NodeId, holder: &Holder, now: Time, deadline: &Deadline) -> Result<(), Fault> {
        let (holder, deadline) = (holder.clone(), deadline.clone());
        let work = move |db: &Connection| {
            lease::fence_holder(db, &holder, &deadline)?;
            let mut word = latest(db, node)?.ok_or_else(|| Fault::refused(format!("nobody has attested anything of node `{node}`")))?;
            word.bind(&holder, now, rows::power_mark(db, node)?)?;
            let sql = "UPDATE attestations SET run = ?1, switchover = ?2 WHERE id = ?3";
            db.prepare_cached(sql)?.execute(params![holder.run.0, holder.switchover.0, word.id.cast_signed()])?;
            Ok(())
        };
        Ok(self.inner.writer.wait_async(true, work).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(node: NodeId, at: i64) -> Attestation {
        let (by, reason) = ("Kim".to_owned(), "pulled both cords".to_owned());
        Attestation { id: 0, node, by, reason, at: Time(at), expires_at: Time(at + 100), used_by: None }
    }

    #[tokio::test]
    async fn a_word_is_kept_found_and_used_once() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("state.db");
        let (web, db) = (NodeId::derived("web"), NodeId::derived("db"));
        let holder = |run: &str| Holder { run: run.into(), switchover: SwitchoverId(4) };
        {
            let store = SqliteStore::open(&path).expect("store");
            assert_eq!(store.attestation(web).await, Ok(None));
            assert!(store.use_attestation(web, &holder("r-1"), Time(1), &Deadline::NONE).await.is_err());
            assert_eq!(store.attest(word(web, 1)).expect("kept").id, 1);
            assert_eq!(store.attest(word(db, 2)).expect("kept").id, 2);
            store.use_attestation(web, &holder("r-1"), Time(50), &Deadline::NONE).await.expect("in time");
        }
        let store = SqliteStore::open(&path).expect("store again");
        let found = store.attestation(web).await.expect("read").expect("there");
        assert_eq!((found.id, found.used_by), (1, Some(holder("r-1"))));
        store.use_attestation(web, &holder("r-1"), Time(999), &Deadline::NONE).await.expect("its own again, however late");
        assert!(
            store.use_attestation(web, &holder("r-2"), Time(50), &Deadline::NONE).await.expect_err("used").detail.contains("r-1/s-004")
        );
        assert!(store.use_attestation(db, &holder("r-2"), Time(102), &Deadline::NONE).await.expect_err("late").detail.contains("ended"));
        assert_eq!(store.attest(word(web, 60)).expect("a second word").id, 3);
        store.use_attestation(web, &holder("r-2"), Time(61), &Deadline::NONE).await.expect("the new one");
        store.attest(word(db, 200)).expect("a word");
        store.write(move |tables| withdraw(tables, db, Time(210))).expect("seen On");
        let late = store.use_attestation(db, &holder("r-3"), Time(211), &Deadline::NONE).await.expect_err("an On came after it");
        assert!(late.detail.contains("ended"), "{late}");
    }

    /// Whoever told the machine On after the word was given has made it worth nothing, also where nobody looked.
    #[tokio::test]
    async fn a_word_that_is_older_than_the_last_power_on_is_not_bound() {
        let directory = tempfile::tempdir().expect("directory");
        let store = SqliteStore::open(directory.path().join("state.db")).expect("store");
        let web = NodeId::derived("web");
        let holder = Holder { run: "r-1".into(), switchover: SwitchoverId(4) };
        store.attest(word(web, 10)).expect("kept");
        let told = |reset: ResetType, at: i64| {
            let sql = "INSERT OR REPLACE INTO power_marks (node, reset, sent_at, lands_by) VALUES (?1, ?2, ?3, ?3)";
            store.write(move |db| Ok(db.execute(sql, params![web.to_string(), reset.as_str(), at])?)).expect("a mark");
        };
        told(ResetType::On, 10);
        let old = store.use_attestation(web, &holder, Time(20), &Deadline::NONE).await.expect_err("told On since");
        assert!(old.kind == FaultKind::Refused && old.detail.contains("older than the On"), "{old}");
        assert_eq!(store.attestation(web).await.expect("read").expect("there").used_by, None);
        told(ResetType::ForceOff, 15);
        store.use_attestation(web, &holder, Time(20), &Deadline::NONE).await.expect("an off makes nothing worse");
        told(ResetType::ForceOn, 30);
        assert!(store.use_attestation(web, &holder, Time(40), &Deadline::NONE).await.is_err(), "not its own either");
    }
}
