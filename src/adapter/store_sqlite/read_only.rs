//! A store that can only be read: a mount that a broken disk has turned read-only, an immutable file, another owner's.
//!
//! What is read is a copy in a directory of its own, of the file and of the write-ahead log beside it. SQLite reads a log
//! only where it may write beside it, and without the log the last events of a run that was cut off would be missing; an
//! older format is brought to the newest in the copy. While another process writes, its log holds what it has answered,
//! and the copy is taken again until neither has changed meanwhile.

use super::open::{self, Opened};
use super::writer::in_words;
use crate::ports::StoreError;
use rustix::fs::Access;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempDir;

/// A store that is written to all the time is copied between two commits sooner or later.
const ATTEMPTS: usize = 20;

/// Can the store be opened for writing, as far as the file system says?
pub(super) fn writable(path: &Path) -> bool {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    [path, directory].iter().all(|p| rustix::fs::access(*p, Access::WRITE_OK).is_ok())
}

pub(super) fn open(path: &Path) -> Result<(Opened, TempDir), StoreError> {
    let failed = |e: std::io::Error| StoreError::Failed(format!("`{}`: {e}", path.display()));
    let directory = tempfile::Builder::new().prefix("coldswap-").tempdir().map_err(failed)?;
    let copy = directory.path().join("state.db");
    let files = [(path.to_path_buf(), copy.clone()), (log_of(path), log_of(&copy))];
    for attempt in 1.. {
        let before = files.each_ref().map(|(from, _)| stamp(from));
        std::fs::copy(&files[0].0, &files[0].1).map_err(failed)?;
        match std::fs::copy(&files[1].0, &files[1].1) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.map_err(failed)?),
        }
        if before == files.each_ref().map(|(from, _)| stamp(from)) {
            break;
        }
        if attempt == ATTEMPTS {
            return Err(StoreError::Failed(format!("`{}`: another process writes to it all the time; try again", path.display())));
        }
    }
    // What was read-only there need not be here.
    for (_, to) in files.iter().filter(|(_, to)| to.exists()) {
        std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(failed)?;
    }
    let opened = open::file(&copy)?;
    // What would be written into the copy would be lost without a word.
    let closed = opened.connection.pragma_update(None, "query_only", "ON");
    closed.map_err(|e| StoreError::Failed(in_words(&e)))?;
    Ok((opened, directory))
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn stamp(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    std::fs::metadata(path).ok().map(|m| (m.len(), m.modified().ok()))
}
