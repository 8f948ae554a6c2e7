//! Finding or making the file, and refusing what would not be safe to write to.

use super::migrate::{FORMAT, format, migrate};
use super::{meta, now, set_meta, writer::in_words};
use crate::model::StoreId;
use crate::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// How long another process may hold the store before we give up. Its transactions take milliseconds.
const BUSY: Duration = Duration::from_secs(10);

pub(super) struct Opened {
    pub connection: Connection,
    /// For reads alone: in the write-ahead log they need not wait for a commit. A store in memory has none.
    pub reader: Option<Connection>,
    pub id: StoreId,
}

pub(super) fn memory() -> Result<Opened, StoreError> {
    let connection = Connection::open_in_memory().map_err(|e| StoreError::Failed(in_words(&e)))?;
    prepare(connection).map_err(|e| StoreError::Failed(in_words(&e)))
}

pub(super) fn file(path: &Path) -> Result<Opened, StoreError> {
    let shown = path.display().to_string();
    let failed = |text: String| StoreError::Failed(format!("`{shown}`: {text}"));
    refuse_network(path).map_err(failed)?;
    make_file(path).map_err(failed)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failed(in_words(&e)))?;
    connection.busy_timeout(BUSY).map_err(|e| failed(in_words(&e)))?;
    // Nothing is written before it is known whose file this is.
    if connection.is_readonly("main").map_err(|e| failed(in_words(&e)))? {
        return Err(failed("the store cannot be written; check its owner and mode".into()));
    }
    check(&connection, &shown)?;
    write_ahead(&connection).map_err(failed)?;
    let mut opened = prepare(connection).map_err(|e| failed(in_words(&e)))?;
    check(&opened.connection, &shown)?;
    opened.reader = Some(reader(path).map_err(|e| failed(in_words(&e)))?);
    sync_directory(path).map_err(failed)?;
    Ok(opened)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Make an empty file for its owner alone (SQLite gives its log the same mode), or see that what is there can be a
/// database: SQLite itself says no more than "file is not a database".
fn make_file(path: &Path) -> Result<(), String> {
    let directory = parent(path);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|e| format!("cannot make the directory `{}`: {e}", directory.display()))?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(format!("cannot make the file: {e}; name a directory that can be written")),
    }
    if path.is_dir() {
        return Err("is a directory; name a file in it".into());
    }
    // sqlite.org/howtocorrupt.html section 2.5: each name would have a log of its own.
    let names = std::fs::metadata(path).map_err(|e| format!("cannot read the file: {e}"))?.nlink();
    if names > 1 {
        return Err(format!("has {names} names (hard links), and a store must have one; remove the others"));
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    read.map_err(|e| format!("cannot read the file: {e}"))?;
    if start.is_empty() || start == *b"SQLite format 3\0" { Ok(()) } else { Err("is not an SQLite database; name another file".into()) }
}

/// Refuse a database that is somebody else's, and a store of a version that is newer than this one.
fn check(connection: &Connection, shown: &str) -> Result<(), StoreError> {
    let failed = |e: rusqlite::Error| StoreError::Failed(format!("`{shown}`: {}", in_words(&e)));
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    if count("SELECT count(*) FROM sqlite_master")? == 0 {
        return Ok(());
    }
    let ours = count("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('meta', 'journal')")? == 2;
    if !ours {
        return Err(StoreError::Failed(format!("`{shown}`: is an SQLite database, but not a coldswap store; name another file")));
    }
    let found = format(connection).map_err(failed)?;
    if (1..=FORMAT).contains(&found) {
        return Ok(());
    }
    let hint = if found > FORMAT { "use the newer coldswap that wrote it, or another store" } else { "restore it from a copy" };
    Err(StoreError::Format { path: shown.to_owned(), found, known: FORMAT, hint: hint.into() })
}

fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(connection)
}

/// The switch to the write-ahead log needs the file alone and does not wait for it.
fn write_ahead(connection: &Connection) -> Result<(), String> {
    let mut outcome = Err(String::new());
    for _ in 0..200 {
        outcome = match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(format!("the file system has no shared memory for a write-ahead log (mode `{mode}`)")),
            Err(error) => Err(in_words(&error)),
        };
        std::thread::sleep(Duration::from_millis(20));
    }
    outcome
}

fn prepare(mut connection: Connection) -> rusqlite::Result<Opened> {
    connection.set_prepared_statement_cache_capacity(64);
    // Else some statements are planned anew each time that a parameter is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What a savepoint would take back is kept in memory, and a group commit of a large fleet fits into the cache
    // (KiB when negative): both cost system calls for each operation otherwise.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let empty = transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))? == 0;
    let found = if empty { 0 } else { format(&transaction)? };
    migrate(&transaction, found)?;
    if empty {
        set_meta(&transaction, "store_id", &uuid::Uuid::new_v4().to_string())?;
        set_meta(&transaction, "created_at", &now().0.to_string())?;
    }
    let id = meta(&transaction, "store_id")?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    transaction.commit()?;
    Ok(Opened { connection, reader: None, id: StoreId(id) })
}

/// A new file is there after a power cut only if its directory is on the disk as well.
fn sync_directory(path: &Path) -> Result<(), String> {
    let directory = parent(path);
    let synced = File::open(directory).and_then(|d| d.sync_all());
    synced.map_err(|e| format!("cannot make the directory `{}` durable: {e}", directory.display()))
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_: &Path) -> Result<(), String> {
    Ok(())
}

/// SQLite's write-ahead log needs shared memory and locks that hold between processes. Network file systems give
/// neither across hosts (sqlite.org/wal.html, sqlite.org/howtocorrupt.html section 2.1).
#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), String> {
    let Some(there) = path.ancestors().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }).find(|p| p.exists()) else {
        return Ok(());
    };
    let seen = rustix::fs::statfs(there).map_err(|e| format!("cannot tell its file system: {e}"))?;
    // The field's width and sign differ between architectures; a magic number has 32 bits.
    let magic = u32::try_from(seen.f_type as u64 & 0xffff_ffff).unwrap_or_default();
    let kind = match network(magic) {
        None if magic == FUSE => there.canonicalize().ok().and_then(|p| network_fuse(&p)),
        kind => kind.map(str::to_owned),
    };
    match kind {
        None => Ok(()),
        Some(kind) => Err(format!(
            "is on a network file system ({kind}), whose locks do not keep two hosts from writing to one store; name a file on \
             a local disk"
        )),
    }
}

#[cfg(target_os = "linux")]
const FUSE: u32 = 0x6573_5546;

/// By the magic numbers of statfs(2).
#[cfg(target_os = "linux")]
fn network(magic: u32) -> Option<&'static str> {
    let kind = match magic {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB2",
        0x0102_1997 => "9P",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564c => "NCP",
        _ => return None,
    };
    Some(kind)
}

/// FUSE is local (NTFS, overlays of unprivileged containers) as often as it is not: the mount's own name tells.
#[cfg(target_os = "linux")]
fn network_fuse(path: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    fuse_mount(&mounts, path)
}

/// proc_pid_mountinfo(5): the fifth field is the mount point, the first after ` - ` the type with its subtype.
#[cfg(target_os = "linux")]
fn fuse_mount(mounts: &str, path: &Path) -> Option<String> {
    const NETWORK: [&str; 10] = ["sshfs", "glusterfs", "ceph", "ceph-fuse", "s3fs", "rclone", "gcsfuse", "juicefs", "moosefs", "davfs"];
    let entries = mounts.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        Some((mount.split(' ').nth(4)?.replace("\\040", " "), kind.split(' ').next()?))
    });
    let (_, kind) = entries.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.len())?;
    let subtype = kind.strip_prefix("fuse.")?;
    NETWORK.contains(&subtype).then(|| kind.to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        for magic in [0x6969, 0xff53_4d42, 0xfe53_4d42] {
            assert!(network(magic).is_some(), "{magic:x}");
        }
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network(local), None, "{local:x}: ext4, xfs, btrfs, tmpfs, overlayfs");
        }
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 22 0:40 / /mnt/far rw - fuse.sshfs host:/ rw\n41 22 0:41 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw\n";
        assert_eq!(fuse_mount(mounts, Path::new("/mnt/far/x/state.db")).as_deref(), Some("fuse.sshfs"));
        assert_eq!(fuse_mount(mounts, Path::new("/mnt/ntfs/state.db")), None);
        assert_eq!(fuse_mount(mounts, Path::new("/mnt/farther/state.db")), None);
    }
}
