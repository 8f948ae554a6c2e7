//! Is the process that executes a run still there? A lock on a file goes with the process, however it ends; a row in a
//! table would stay behind.

use crate::model::RunId;
use crate::ports::StoreError;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

type Names = Arc<Mutex<BTreeSet<String>>>;

pub(super) enum Locks {
    /// A file for each lease in this directory. The files stay: to remove one would let two processes lock two files of
    /// one name.
    Files(PathBuf),
    Memory(Names),
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

    /// Hold the lock of this lease; `None` while another process does. `run` is one of this store's own, so that its id
    /// can be a file's name.
    pub(super) fn take(&self, run: &RunId, token: u64) -> Result<Option<Box<dyn Send + Sync>>, StoreError> {
        // Without a token the name is the one that format 1 knew: a process of that version is found alive.
        let name = if token == 0 { run.0.clone() } else { format!("{run}.{token}") };
        match self {
            Locks::Files(directory) => lock_file(directory, &name),
            Locks::Memory(held) => {
                let free = held.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
                Ok(free.then(|| Box::new(Held { held: held.clone(), name }) as Box<dyn Send + Sync>))
            }
        }
    }
}

fn lock_file(directory: &Path, name: &str) -> Result<Option<Box<dyn Send + Sync>>, StoreError> {
    let path = directory.join(name);
    let open = || -> std::io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)
    };
    let failed = |e: std::io::Error| StoreError::Failed(format!("cannot lock `{}`: {e}", path.display()));
    let file = open().map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Box::new(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

struct Held {
    held: Names,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
