//! A store that cannot be written is still read, the log beside it and older formats included.

use crate::cli::{Place, RUNBOOK, text};
use coldswap::adapter::store_sqlite::SqliteStore;
use coldswap::model::*;
use coldswap::ports::{Inventory, Record, Store};
use rustix::fs::{IFlags, Mode};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(directory).expect("a directory").map(|e| e.expect("an entry").path()).filter(|p| p.is_file());
    files.map(|p| (p.display().to_string(), std::fs::read(&p).expect("a file"))).collect()
}

fn golden(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("state.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/store-v1.db"), &path).expect("the golden store");
    path
}

#[tokio::test]
async fn an_older_store_is_read_as_it_stands() {
    let directory = TempDir::new().expect("a directory");
    let path = golden(directory.path());
    let before = contents(directory.path());
    let store = SqliteStore::open_read_only(&path).expect("it is read");
    assert!(store.is_read_only());
    assert_eq!(store.fleet().await.expect("the fleet").nodes.len(), 3);
    assert_eq!(store.runs().expect("runs")[0].name, "rack-b");
    assert!(store.journal(&"r-1".into()).is_ok_and(|j| j.len() == 3));
    let more = [Record { seq: 3, at: Time(3), body: "{}".into() }];
    assert!(
        store.append(&"r-1".into(), 0, &more, &[]).is_err()
            && store.next_plan_id().is_err()
            && store.remove_node(NodeId::derived("web")).is_err()
    );
    drop(store);
    assert_eq!(contents(directory.path()), before, "nothing is written, nor left beside it");
    assert!(SqliteStore::open_read_only(directory.path().join("none.db")).is_err());
}

/// What a process that was cut off has left in the write-ahead log is not missing.
#[test]
fn the_log_beside_the_file_is_read_too() {
    let directory = TempDir::new().expect("a directory");
    let path = golden(directory.path());
    let alive = SqliteStore::open(&path).expect("it opens");
    let more: Vec<Record> = (3..5).map(|seq| Record { seq, at: Time(seq as i64), body: "{}".into() }).collect();
    alive.append(&"r-1".into(), 0, &more, &[]).expect("two more");
    let store = SqliteStore::open_read_only(&path).expect("it is read");
    assert!(store.journal(&"r-1".into()).is_ok_and(|j| j.len() == 5));
}

/// Take the right to write away, from root too, and give it back whatever happens.
struct Locked(Vec<std::path::PathBuf>);

impl Locked {
    fn new(paths: Vec<std::path::PathBuf>) -> Locked {
        let locked = Locked(paths);
        locked.set(false);
        locked
    }

    fn set(&self, writable: bool) {
        for path in &self.0 {
            let file = std::fs::File::open(path).expect("it is there");
            if rustix::process::geteuid().is_root() {
                let flags = rustix::fs::ioctl_getflags(&file).expect("the flags of a file") - IFlags::IMMUTABLE;
                rustix::fs::ioctl_setflags(&file, if writable { flags } else { flags | IFlags::IMMUTABLE }).expect("they are set");
            } else {
                let mode = if path.is_dir() { Mode::RWXU } else { Mode::RUSR | Mode::WUSR };
                rustix::fs::fchmod(&file, if writable { mode } else { mode - Mode::WUSR }).expect("it is ours");
            }
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.set(true);
    }
}

#[test]
fn what_only_looks_back_works_with_a_store_that_cannot_be_written() {
    let place = Place::new(Span(50));
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    let store = place.path(".coldswap/state.db");
    let whole = Locked::new(vec![store, place.path(".coldswap")]);
    for args in [
        &["runs"][..],
        &["show", "r-1"],
        &["report", "r-1"],
        &["journal", "r-1"],
        &["inventory", "list"],
        &["inventory", "show", "web-1"],
        &["inventory", "export"],
        &["explain", "runbook.yaml", "spare-1"],
        &["plan", "runbook.yaml", "--exclude", "web-1,web-2"],
    ] {
        let said = place.run(args).code(0);
        let said = text(&said.get_output().stderr);
        assert!(said.contains("warning: `.coldswap/state.db` cannot be written"), "{args:?}: {said}");
    }
    assert_eq!(place.json(&["report", "r-1"], 0)["totals"]["switched_over"], 2);
    place.write("again.yaml", &RUNBOOK.replace("[web-1, web-2]", "[spare-1]"));
    for args in
        [&["apply", "again.yaml", "--yes"][..], &["plan", "again.yaml", "--out", "p.json"], &["inventory", "set", "web-1", "label.x=1"]]
    {
        place.run(args).code(3);
    }
    drop(whole);
}
