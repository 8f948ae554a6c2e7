//! The embedded store: one SQLite file with inventory, plans, runs and journals.
//!
//! - One thread owns the connection and commits in groups (`writer`); every answer means that the outcome is on the
//!   disk (`synchronous = FULL`, write-ahead log).
//! - What a change of the inventory means is decided by [`Fleet::apply`](crate::model::Fleet::apply) over just the records
//!   that it looks at; here they are only read and written (`rows`), in a transaction that no other process can cut into.
//! - Record bodies are JSON. A secret is never in them, only where it is kept ([`SecretRef`](crate::model::SecretRef)).
//! - Only the newest executor of a run writes to its journal or to nodes that it holds (`lease`).
//! - Network file systems are refused (`open`): their locks cannot be relied on, and two processes that both believe to
//!   hold the store would both drive machines.

mod attestations;
mod fleet;
mod inventory;
mod journal;
mod kinds;
mod lease;
mod lock;
mod mailbox;
mod migrate;
mod open;
mod read_only;
mod rows;
mod whereabouts;
mod writer;

pub use inventory::ImportError;
pub(super) use lease::GATES;
pub use migrate::FORMAT;

use crate::model::{StoreId, Time};
use crate::ports::StoreError;
use std::path::Path;
use std::sync::Arc;
use writer::{Failure, Writer};

/// A handle on a store. Clones share the connection; the last one dropped closes it.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    id: StoreId,
    read_only: bool,
    /// A thread and a connection of its own: a look at the records does not wait for a commit. It sees everything that was
    /// answered before it was asked. Closed first: only the writer can put the log back into the file.
    reader: Option<Writer>,
    writer: Writer,
    locks: lock::Locks,
    /// Removed when the connections above are closed.
    _copy: Option<tempfile::TempDir>,
}

impl SqliteStore {
    /// Open the store in the file `path`; make it, and the directories above it, if there is none. A new file is
    /// readable by its owner only.
    ///
    /// # Errors
    /// [`StoreError::Format`] for a store of a newer version; [`StoreError::Failed`] for a file that is no store, a
    /// network file system, a directory that cannot be written.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let path = path.as_ref();
        let opened = open::file(path)?;
        // One store has one directory of locks, whatever name it is opened by.
        let own = path.canonicalize().map_err(|e| StoreError::Failed(format!("`{}`: {e}", path.display())))?;
        SqliteStore::start(opened, lock::Locks::beside(&own), None)
    }

    /// For what only looks back: [`SqliteStore::open`], and where the file cannot be written, the store as it stands.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub fn open_to_read(path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let path = path.as_ref();
        match SqliteStore::open(path) {
            Err(error @ StoreError::Failed(_)) if !read_only::writable(path) => SqliteStore::open_read_only(path).map_err(|_| error),
            opened => opened,
        }
    }

    /// The store as it stands: nothing is written to it or beside it. What would change it is refused.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`], and where there is no store.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let (opened, copy) = read_only::open(path.as_ref())?;
        SqliteStore::start(opened, lock::Locks::in_memory(), Some(copy))
    }

    /// Was it opened for reading alone?
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// A store that is gone when it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Failed`] where no thread can be started.
    pub fn in_memory() -> Result<SqliteStore, StoreError> {
        SqliteStore::start(open::memory()?, lock::Locks::in_memory(), None)
    }

    fn start(opened: open::Opened, locks: lock::Locks, copy: Option<tempfile::TempDir>) -> Result<SqliteStore, StoreError> {
        let no_thread = |e: std::io::Error| StoreError::Failed(format!("cannot start a thread: {e}"));
        let writer = Writer::start(opened.connection).map_err(no_thread)?;
        let reader = opened.reader.map(Writer::start).transpose().map_err(no_thread)?;
        let read_only = copy.is_some();
        Ok(SqliteStore { inner: Arc::new(Inner { id: opened.id, read_only, reader, writer, locks, _copy: copy }) })
    }

    fn reader(&self) -> &Writer {
        self.inner.reader.as_ref().unwrap_or(&self.inner.writer)
    }

    /// The file that it is in, as SQLite has it open. None: in memory.
    pub fn file(&self) -> Option<std::path::PathBuf> {
        let path = self.read(|db| Ok(db.path().map(str::to_owned)));
        path.ok().flatten().filter(|p| !p.is_empty()).map(Into::into)
    }

    /// When the store was made.
    ///
    /// # Errors
    /// [`StoreError::Failed`] where it cannot be read.
    pub fn created_at(&self) -> Result<Option<Time>, StoreError> {
        let text = self.read(|db| Ok(meta(db, "created_at")?))?;
        Ok(text.and_then(|t| t.parse().ok()).map(Time))
    }

    /// Do something that changes the store, and wait until it is durable.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.inner.writer.wait(true, work)
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.reader().wait(false, work)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.inner.id).finish()
    }
}

/// A counter or setting of the store itself.
fn meta(db: &rusqlite::Connection, name: &str) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension;
    db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

fn set_meta(db: &rusqlite::Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute([name, value]).map(|_| ())
}

/// Microseconds since 1970, as the host has them.
fn now() -> crate::model::Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    crate::model::Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
