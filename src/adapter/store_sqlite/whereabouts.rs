//! Is the file that is open still the one under its name? Somebody may remove it, or put a copy in its place, while a run
//! goes on: then every record of where the volumes are would end with this process, and the next command would begin from
//! records that are older than the machines (rule S2).

use rusqlite::Connection;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

pub(super) struct Whereabouts {
    path: PathBuf,
    file: (u64, u64),
}

fn file(seen: &Metadata) -> (u64, u64) {
    (seen.dev(), seen.ino())
}

impl Whereabouts {
    /// `None`: a store in memory.
    pub(super) fn of(connection: &Connection) -> Option<Whereabouts> {
        let path = PathBuf::from(connection.path().filter(|p| !p.is_empty())?);
        let file = file(&path.metadata().ok()?);
        Some(Whereabouts { path, file })
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
        let mut rescued = self.path.clone().into_os_string();
        rescued.push(format!(".rescued-{}", std::process::id()));
        let rescued = PathBuf::from(rescued);
        let there = rescued.exists() || connection.execute("VACUUM INTO ?1", [rescued.to_string_lossy()]).is_ok();
        let kept = match there {
            true => format!("what it held is in `{}`: put that back under the name before anything else is done", rescued.display()),
            false => "what it held could not be written beside it".to_owned(),
        };
        Err(format!("somebody has removed the store `{shown}` while it was in use; nothing more is done. {kept}"))
    }
}
