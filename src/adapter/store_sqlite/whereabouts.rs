//! Is the file that is open still the one under its name? Somebody may remove it, or put a copy in its place, while a run
//! goes on: then every record of where the volumes are would end with this process, and the next command would begin from
//! records that are older than the machines (rule S2).

use rusqlite::Connection;
use std::cell::OnceCell;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

pub(super) struct Whereabouts {
    path: PathBuf,
    file: (u64, u64),
    /// What this process has put beside it.
    rescued: OnceCell<PathBuf>,
}

fn file(seen: &Metadata) -> (u64, u64) {
    (seen.dev(), seen.ino())
}

impl Whereabouts {
    /// `None`: a store in memory.
    pub(super) fn of(connection: &Connection) -> Option<Whereabouts> {
        let path = PathBuf::from(connection.path().filter(|p| !p.is_empty())?);
        let file = file(&path.metadata().ok()?);
        Some(Whereabouts { path, file, rescued: OnceCell::new() })
    }

    /// # Errors
    /// In words, when the name stands for another file or for none. Where it was removed, what is known is put beside it
    /// first: this process is the last that has it.
    pub(super) fn test(&self, connection: &Connection) -> Result<(), String> {
        let shown = self.path.display();
        match self.path.metadata() {
            Ok(seen) if file(&seen) == self.file => return Ok(()),
            // Whoever has opened that one has our log too, under the same name.
            Ok(_) => {
                return Err(format!("another file was put in the place of the store `{shown}` while it was in use; nothing more is done"));
            }
            Err(_) => {}
        }
        let kept = match self.rescued.get().cloned().or_else(|| self.rescue(connection)) {
            Some(there) => format!("what it held is in `{}`: put that back under the name before anything else is done", there.display()),
            None => "what it held could not be written beside it".to_owned(),
        };
        Err(format!("somebody has removed the store `{shown}` while it was in use; nothing more is done. {kept}"))
    }

    fn rescue(&self, connection: &Connection) -> Option<PathBuf> {
        let free = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".rescued-{}-{n}", std::process::id()));
            Some(PathBuf::from(name)).filter(|path| !path.exists())
        };
        let path = (1..1_000).find_map(free)?;
        connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]).ok()?;
        Some(self.rescued.get_or_init(|| path).clone())
    }
}
