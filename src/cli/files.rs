//! Files as the language reads them.

use super::args::VarArgs;
use super::{Failure, output};
use crate::diagnostic::{Diagnostics, Look, Source, render};
use crate::runbook::{Files, Runbook, Vars, read_runbook};
use std::io::Write;
use std::path::Path;

mod replace;

pub use replace::{Kind, not_the_store};

/// Larger files are refused before they are read; the language has lower limits of its own.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The file system.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        read_bytes(Path::new(path))
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if meta.is_dir() {
        return Err("it is a directory".into());
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(format!("it is {} bytes large; {FILE_BYTES_MAX} are read at most", meta.len()));
    }
    std::fs::read(path).map_err(|e| e.to_string())
}

/// Read a file, named as the person named it.
pub fn source(path: &Path) -> Result<Source, Failure> {
    let bytes = read_bytes(path).map_err(|why| Failure::usage(format!("`{}` cannot be read: {why}", path.display())))?;
    Ok(Source::new(path.display().to_string(), bytes))
}

pub fn vars(args: &VarArgs) -> Result<Vars, Failure> {
    let mut vars = Vars::new();
    for file in &args.vars {
        let source = source(file)?;
        vars.read(&source).map_err(|d| Failure::Diagnostics(d, vec![source.clone()]))?;
    }
    for pair in &args.var {
        vars.set(pair).map_err(Failure::usage)?;
    }
    Ok(vars)
}

/// A checked runbook and its text. Warnings go to standard error.
pub fn runbook(path: &Path, args: &VarArgs) -> Result<(Runbook, Source), Failure> {
    let source = source(path)?;
    match read_runbook(&source, &vars(args)?, &Disk) {
        Ok((runbook, warnings)) => {
            warn(&warnings, &[&source]);
            Ok((runbook, source))
        }
        Err(wrong) => Err(Failure::Diagnostics(wrong, vec![source])),
    }
}

pub fn warn(warnings: &Diagnostics, sources: &[&Source]) {
    if !warnings.is_empty() {
        output::tell(render(warnings, sources, Look::Coloured));
    }
}

/// Could [`write_whole`] write it? Leaves nothing behind.
///
/// # Errors
/// In words, as [`write_whole`] would have them.
pub fn try_to_write(path: &Path, kind: Kind) -> Result<(), Failure> {
    let wrong = |e: std::io::Error| Failure::usage(format!("`{}` cannot be written: {e}", path.display()));
    kind.may_replace(path)?;
    if path.is_dir() {
        return Err(wrong(std::io::ErrorKind::IsADirectory.into()));
    }
    // Directories that are still missing are made when it is written: what counts is the last one that is there.
    let there = directory_of(path).ancestors().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }).find(|p| p.exists());
    tempfile::NamedTempFile::new_in(there.unwrap_or_else(|| Path::new("/"))).map(drop).map_err(wrong)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Write a file whole or not at all, readable by its owner only where it may name what is secret to others. What is there
/// and is not of the same kind stays.
pub fn write_whole(path: &Path, kind: Kind, bytes: &[u8]) -> Result<(), Failure> {
    let wrong = |e: std::io::Error| Failure::usage(format!("`{}` cannot be written: {e}", path.display()));
    kind.may_replace(path)?;
    let directory = directory_of(path);
    std::fs::create_dir_all(directory).map_err(wrong)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(wrong)?;
    file.write_all(bytes).map_err(wrong)?;
    file.as_file().sync_all().map_err(wrong)?;
    file.persist(path).map_err(|e| wrong(e.error))?;
    // Without this the rename itself may be lost with the power.
    std::fs::File::open(directory).and_then(|d| d.sync_all()).map_err(wrong)
}
