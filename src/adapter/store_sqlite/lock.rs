//! One process at a time executes a run. A lock on a file goes with the process, however it ends; a row in a table
//! would stay behind.

use crate::model::RunId;
use crate::ports::{RunLock, StoreError};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) enum Locks {
    /// A file for each run in this directory. The files stay: to remove one would let two processes lock two files of
    /// one name.
    Files(PathBuf),
    Memory(Arc<Mutex<BTreeSet<RunId>>>),
}

impl Locks {
    /// In `<path>.locks`.
    pub(super) fn beside(path: &Path) -> Locks {
        let mut name = path.as_os_str().to_owned();
        name.push(".locks");
        Locks::Files(name.into())
    }

    pub(super) fn in_memory() -> Locks {
        Locks::Memory(Arc::default())
    }

    /// `run` is one of this store's own, so that its id can be a file's name.
    pub(super) fn take(&self, run: &RunId) -> Result<RunLock, StoreError> {
        match self {
            Locks::Files(directory) => lock_file(directory, run),
            Locks::Memory(held) => {
                if !held.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone()) {
                    return Err(StoreError::Locked(run.clone()));
                }
                Ok(RunLock(Box::new(Held { held: held.clone(), run: run.clone() })))
            }
        }
    }
}

fn lock_file(directory: &Path, run: &RunId) -> Result<RunLock, StoreError> {
    let path = directory.join(&run.0);
    let open = || -> std::io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)
    };
    let failed = |e: std::io::Error| StoreError::Failed(format!("cannot lock `{}`: {e}", path.display()));
    let file = open().map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(RunLock(Box::new(file))),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(run.clone())),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

struct Held {
    held: Arc<Mutex<BTreeSet<RunId>>>,
    run: RunId,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
    }
}
