//! Who may execute a run: tokens, leases, deadlines, and the store of the format before.

use crate::conformance::{documents, holder, id};
use coldswap::adapter::clock::SystemClock;
use coldswap::adapter::store_sqlite::{FORMAT, SqliteStore};
use coldswap::model::*;
use coldswap::ports::{Clock, Deadline, Inventory, Record, Store, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const LONG: Span = Span::secs(60);
const SHORT: Span = Span::millis(60);

fn record(seq: u64) -> Vec<Record> {
    vec![Record { seq, at: Time(1), body: "{}".into() }]
}

fn begun(store: &SqliteStore) -> RunId {
    let plan = store.next_plan_id().expect("plan id");
    store.save_plan(&plan, Time(1), "{}").expect("plan");
    store.begin_run(&plan, "rack-b", Time(2)).expect("run")
}

fn deadline(token: u64) -> Deadline {
    let clock = Arc::new(SystemClock::new());
    Deadline::new(token, clock.clone(), clock.now() + LONG)
}

/// Two handles on one file, as two processes have them.
fn two_handles() -> (tempfile::TempDir, SqliteStore, SqliteStore) {
    let here = tempfile::tempdir().expect("directory");
    let path = here.path().join("state.db");
    let open = || SqliteStore::open(&path).expect("store");
    let (one, two) = (open(), open());
    (here, one, two)
}

fn superseded<T>(result: Result<T, StoreError>, token: u64) -> bool {
    matches!(result, Err(StoreError::Superseded { by, .. }) if by.token == token)
}

#[tokio::test]
async fn a_lease_that_has_ended_is_taken_and_its_token_is_worth_nothing_any_more() {
    let (_here, one, two) = two_handles();
    one.import(documents(), ImportMode::Merge).expect("import");
    let run = begun(&one);
    assert_eq!(one.lease(&run).expect("lease"), None);
    let first = one.lock_run(&run, SHORT).expect("nobody has it");
    assert_eq!((first.token, first.quiet), (1, Span::ZERO));
    let seen = two.lease(&run).expect("lease").expect("a row");
    assert_eq!((seen.token, seen.pid, seen.length), (1, std::process::id(), SHORT));
    assert!(matches!(two.lock_run(&run, LONG), Err(StoreError::Locked { by: Some(by), .. }) if by.token == 1));
    assert!(matches!(two.take_over(&seen, LONG, LONG), Err(StoreError::Alive { .. })), "it has not ended");
    let change =
        Change::Reserve { node: id("spare"), holder: Holder { run: run.clone(), ..holder(1) }, expect: Generation(0), claim: None };
    one.append(&run, 1, &record(1), &[]).expect("it is the newest");
    std::thread::sleep(Duration::from_millis(80));
    one.append(&run, 1, &record(2), &[]).expect("and stays it until somebody else is");

    let second = two.take_over(&seen, LONG, Span::secs(9)).expect("it has ended");
    assert_eq!((second.token, second.quiet), (2, Span::secs(9)));
    assert!(superseded(one.append(&run, 1, &record(3), &[(id("web"), mark())]), 2));
    assert!(superseded(one.renew(&run, 1, LONG), 2));
    assert!(superseded(one.set_status(&run, 1, "finished"), 2));
    let fault = one.change(&change, &deadline(1)).await.expect_err("superseded");
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.detail.contains("was taken over by another process"), "{fault}");
    assert!(superseded(one.append(&run, 0, &record(3), &[]), 2), "and without a lease nobody writes");
    assert_eq!((two.journal(&run).expect("journal").len(), one.run(&run).expect("run").expect("row").status.as_str()), (2, "running"));
    let node = two.node(id("web")).await.expect("web");
    assert_eq!(
        (node.power_mark, two.node(id("spare")).await.expect("spare").reservation.clone()),
        (None, None),
        "nothing of it was written"
    );
    two.change(&change, &deadline(2)).await.expect("the newest may");
    assert!(one.release_reservation(id("spare"), &deadline(1)).is_err());
    two.append(&run, 2, &record(3), &[]).expect("the newest may");

    // The first one's lock keeps nobody away, and what is left of the wait outlives the second.
    drop(second);
    let third = one.lock_run(&run, LONG).expect("the newest is gone");
    assert!(third.token == 3 && third.quiet > Span::secs(7) && third.quiet <= Span::secs(9), "{}", third.quiet);
}

fn mark() -> PowerMark {
    PowerMark { reset: ResetType::On, sent_at: Time(1), lands_by: Time(2) }
}

#[test]
fn whoever_renews_is_alive() {
    let (_here, one, two) = two_handles();
    let run = begun(&one);
    let _first = one.lock_run(&run, SHORT).expect("nobody has it");
    let seen = two.lease(&run).expect("lease").expect("a row");
    std::thread::sleep(Duration::from_millis(80));
    let ended = two.lease(&run).expect("lease").expect("a row");
    assert_eq!((ended.left, ended.expires), (Some(Span::ZERO), seen.expires));
    one.renew(&run, 1, SHORT).expect("late, and nobody was there");
    std::thread::sleep(Duration::from_millis(80));
    assert!(matches!(two.take_over(&ended, LONG, LONG), Err(StoreError::Alive { .. })), "it was renewed since");
    let seen = two.lease(&run).expect("lease").expect("a row");
    let _second = two.take_over(&seen, LONG, LONG).expect("not renewed since");
    let taken = one.take_over(&seen, LONG, LONG);
    assert!(matches!(taken, Err(StoreError::Locked { by: Some(by), .. }) if by.token == 2), "one taker only");
}

#[test]
fn of_many_that_take_over_at_once_one_does() {
    let (_here, one, two) = two_handles();
    let run = begun(&one);
    let first = one.lock_run(&run, Span::ZERO).expect("nobody has it");
    let seen = two.lease(&run).expect("lease").expect("a row");
    let takers = (0..8).map(|n| {
        let (store, seen) = (if n % 2 == 0 { one.clone() } else { two.clone() }, seen.clone());
        std::thread::spawn(move || store.take_over(&seen, LONG, LONG).ok())
    });
    let won: Vec<_> = takers.collect::<Vec<_>>().into_iter().filter_map(|t| t.join().expect("thread")).collect();
    assert_eq!(won.iter().map(|lease| lease.token).collect::<Vec<_>>(), [2]);
    drop((first, won));
    let takers = (0..8).map(|n| {
        let (store, run) = (if n % 2 == 0 { one.clone() } else { two.clone() }, run.clone());
        std::thread::spawn(move || store.lock_run(&run, LONG).ok())
    });
    let won: Vec<_> = takers.collect::<Vec<_>>().into_iter().filter_map(|t| t.join().expect("thread")).collect();
    assert_eq!(won.iter().map(|lease| lease.token).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn after_the_deadline_nothing_is_changed() {
    let store = SqliteStore::in_memory().expect("store");
    store.import(documents(), ImportMode::Merge).expect("import");
    let run = begun(&store);
    let _lease = store.lock_run(&run, LONG).expect("lease");
    let clock = Arc::new(SystemClock::new());
    let late = Deadline::new(1, clock.clone(), clock.now());
    let change = Change::Reserve { node: id("spare"), holder: Holder { run, ..holder(1) }, expect: Generation(0), claim: None };
    let fault = store.change(&change, &late).await.expect_err("too late");
    assert_eq!(fault.kind, FaultKind::Transient, "certainly not done: {fault}");
    assert!(fault.detail.contains("was not sent: the lease of this executor had ended"), "{fault}");
    let copy = late.clone();
    late.extend(clock.now() + LONG);
    late.extend(clock.now());
    assert!(!copy.passed(), "all copies know of a renewal, and none shortens it");
    store.change(&change, &copy).await.expect("in time");
}

/// A store as format 1 wrote it gains what is new and keeps what it has.
#[test]
fn a_store_of_format_1_is_migrated_and_its_running_process_is_noticed() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/store-v1.db");
    let here = tempfile::tempdir().expect("directory");
    let path = here.path().join("state.db");
    std::fs::copy(&golden, &path).expect("the golden store");
    let format = || -> String {
        let raw = rusqlite::Connection::open(&path).expect("raw");
        raw.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0)).expect("format")
    };
    assert_eq!(format(), "1");
    let locks = path.with_extension("db.locks");
    std::fs::create_dir_all(&locks).expect("directory");
    let running = std::fs::File::create(locks.join("r-1")).expect("lock file");
    running.try_lock().expect("as a process of that version holds it");
    let store = SqliteStore::open(&path).expect("migrated");
    assert_eq!(format(), FORMAT.to_string());
    let run = RunId("r-1".into());
    let before = store.journal(&run).expect("journal");
    assert!(matches!(store.lock_run(&run, LONG), Err(StoreError::Locked { by: None, .. })));
    drop(running);
    assert_eq!(store.lock_run(&run, LONG).expect("free").token, 1);
    drop(store);
    let again = SqliteStore::open(&path).expect("again");
    assert_eq!((again.journal(&run).expect("journal"), again.lease(&run).expect("lease").map(|l| l.token)), (before, Some(1)));
}
