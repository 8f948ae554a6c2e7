//! From any older format to the newest. A store only ever gains tables and columns, so that what an older version wrote
//! stays as it is.

use super::{meta, set_meta};
use rusqlite::Connection;

/// What makes format n + 1 out of format n, in order; the first makes a store out of nothing. A batch that was in a
/// release is never changed: append another.
const BATCHES: &[&str] = &[include_str!("schema.sql"), include_str!("leases.sql"), super::attestations::SCHEMA, super::mailbox::TABLE];

/// The newest format that this version reads and the one that it writes.
pub const FORMAT: i64 = BATCHES.len() as i64;

/// The format of a store that has tables; 0 when it does not say.
pub(super) fn format(db: &Connection) -> rusqlite::Result<i64> {
    Ok(meta(db, "format")?.and_then(|f| f.parse().ok()).unwrap_or(0))
}

/// Bring a store of format `from` (0: an empty database) to the newest, inside the caller's transaction.
pub(super) fn migrate(db: &Connection, from: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0);
    for batch in BATCHES.iter().skip(done) {
        db.execute_batch(batch)?;
    }
    if done < BATCHES.len() {
        set_meta(db, "format", &FORMAT.to_string())?;
    }
    Ok(())
}
