//! What a result may be written over: only one of its own kind. A slip of the hand (`--report state.db`) would otherwise
//! replace the store, and with it every record of where the volumes are.

use crate::cli::Failure;
use serde::de::IgnoredAny;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is written to a file that a person names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plan,
    Report,
    /// YAML or JSON.
    Inventory,
    /// SVG.
    Drawing,
}

/// What tells plans, reports and inventories apart, whatever else is in them.
#[derive(Default, serde::Deserialize)]
struct Head {
    format_version: Option<IgnoredAny>,
    limits: Option<IgnoredAny>,
    totals: Option<IgnoredAny>,
    kind: Option<String>,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Plan => "a saved plan",
            Kind::Report => "a report",
            Kind::Inventory => "an inventory",
            Kind::Drawing => "an SVG drawing",
        }
    }

    fn is(self, text: &[u8]) -> bool {
        let head: Head = serde_json::from_slice(text).unwrap_or_default();
        match self {
            Kind::Plan => head.format_version.is_some() && head.limits.is_some(),
            Kind::Report => head.format_version.is_some() && head.totals.is_some(),
            Kind::Inventory => head.kind.as_deref() == Some("Inventory") || yaml_inventory(text),
            Kind::Drawing => [&b"<svg"[..], b"<?xml"].iter().any(|start| text.trim_ascii_start().starts_with(start)),
        }
    }

    /// Nothing is there, or nothing is in it, or it is one of this kind.
    ///
    /// # Errors
    /// Usage: the file is something else, or cannot be looked at.
    pub(super) fn may_replace(self, path: &Path) -> Result<(), Failure> {
        let shown = path.display();
        let Ok(meta) = std::fs::metadata(path) else { return Ok(()) };
        // Directories are told elsewhere.
        if meta.is_dir() {
            return Ok(());
        }
        if !meta.is_file() {
            return Err(Failure::usage(format!("`{shown}` cannot be written: it is no ordinary file")));
        }
        let text = super::read_bytes(path).map_err(|why| Failure::usage(format!("`{shown}` cannot be written over: {why}")))?;
        if text.is_empty() || self.is(&text) {
            return Ok(());
        }
        let message = format!("`{shown}` is there and is not {}; it is not written over", self.word());
        Err(Failure::usage(message).hint("name another file, or move this one away"))
    }
}

fn yaml_inventory(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let kind = text.lines().find_map(|line| line.strip_prefix("kind:"));
    !text.contains('\0') && kind.is_some_and(|kind| kind.trim().trim_matches(['"', '\'']) == "Inventory")
}

/// A result is not written over the store, nor over what SQLite and the locks keep beside it.
///
/// # Errors
/// Usage.
pub fn not_the_store(path: &Path, store: Option<&Path>) -> Result<(), Failure> {
    let Some(store) = store else { return Ok(()) };
    let beside = |suffix: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let is_it = ["", "-wal", "-shm", "-journal", ".locks"].iter().any(|suffix| same_file(path, &beside(suffix)));
    let among_locks = path.parent().is_some_and(|above| same_file(above, &beside(".locks")));
    if !(is_it || among_locks) {
        return Ok(());
    }
    let message = format!("`{}` belongs to the store `{}`; nothing is written over it", path.display(), store.display());
    Err(Failure::usage(message).hint("the store is named by `--store`; a plan or report goes to a file of its own"))
}

/// By device and inode, so that no other spelling, link or case of a name gets past; where one is not there, by name.
fn same_file(a: &Path, b: &Path) -> bool {
    if let (Ok(a), Ok(b)) = (std::fs::metadata(a), std::fs::metadata(b)) {
        return (a.dev(), a.ino()) == (b.dev(), b.ino());
    }
    let place = |path: &Path| -> Option<(PathBuf, OsString)> {
        let above = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some((above.canonicalize().ok()?, path.file_name().map(OsStr::to_owned)?))
    };
    place(a).is_some_and(|a| Some(a) == place(b))
}
