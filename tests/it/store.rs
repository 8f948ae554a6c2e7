//! The embedded store: durability, crashes, processes, and what it refuses to open.

use crate::conformance::{documents, holder, id};
use coldswap::adapter::store_sqlite::{FORMAT, ImportError, SqliteStore};
use coldswap::model::*;
use coldswap::ports::{Deadline, Inventory, Record, Store, StoreError};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub fn directory() -> TempDir {
    tempfile::tempdir().expect("directory")
}

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).expect("store")
}

pub fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(|seq| Record { seq, at: Time(seq as i64), body: format!("{{\"n\":{seq}}}") }).collect()
}

fn mark(at: i64) -> PowerMark {
    PowerMark { reset: ResetType::ForceOff, sent_at: Time(at), lands_by: Time(at + 1) }
}

/// A store with a run `r-1`.
pub fn begun(store: &SqliteStore) -> RunId {
    let plan = store.next_plan_id().expect("plan id");
    store.save_plan(&plan, Time(1), "{}").expect("plan");
    store.begin_run(&plan, "rack-b", Time(2)).expect("run")
}

#[tokio::test]
async fn plans_are_single_use_and_runs_are_counted() {
    let store = SqliteStore::in_memory().expect("store");
    let plan = store.next_plan_id().expect("plan id");
    assert_eq!((plan.0.as_str(), store.next_plan_id().expect("another").0.as_str()), ("p-1", "p-2"));
    assert!(store.begin_run(&plan, "x", Time(0)).is_err(), "not saved yet");
    store.save_plan(&plan, Time(1), "{\"a\":1}").expect("save");
    assert!(store.save_plan(&plan, Time(1), "{}").is_err(), "a plan does not change");
    assert_eq!(store.load_plan(&plan).expect("load").as_deref(), Some("{\"a\":1}"));
    assert_eq!(store.load_plan(&"p-9".into()).expect("load"), None);
    let race: Vec<_> = (0..8)
        .map(|_| {
            let (store, plan) = (store.clone(), plan.clone());
            std::thread::spawn(move || store.begin_run(&plan, "rack-b", Time(2)))
        })
        .collect();
    let outcomes: Vec<_> = race.into_iter().map(|t| t.join().expect("thread")).collect();
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    let used = |o: &Result<RunId, StoreError>| matches!(o, Err(StoreError::Used { run, .. }) if run.0 == "r-1");
    assert_eq!(outcomes.iter().filter(|o| used(o)).count(), 7);
    store.set_status(&"r-1".into(), 0, "parked").expect("status");
    let rows = store.runs().expect("runs");
    assert_eq!((rows.len(), rows[0].status.as_str(), rows[0].name.as_str()), (1, "parked", "rack-b"));
    assert_eq!(store.run(&"r-1".into()).expect("run").as_ref(), rows.first());
    assert_eq!(begun(&store).0, "r-2");
    assert!(store.set_status(&"r-9".into(), 0, "x").is_err() && store.journal(&"r-9".into()).is_err());
}

#[tokio::test]
async fn a_journal_has_no_gaps_and_a_refused_append_writes_nothing() {
    let store = SqliteStore::in_memory().expect("store");
    store.import(documents(), ImportMode::Merge).expect("import");
    let run = begun(&store);
    for bad in [2..3, 7..8] {
        assert!(store.append(&run, 0, &records(bad), &[]).is_err(), "a journal begins at its beginning");
    }
    store.append(&run, 0, &records(1..4), &[(id("web"), mark(5))]).expect("append");
    for bad in [3..4, 5..6, 0..1] {
        let error = store.append(&run, 0, &records(bad), &[(id("web"), mark(6))]).expect_err("gap or repetition");
        assert!(error.to_string().contains("cannot follow record 3"), "{error}");
    }
    let mut torn = records(4..6);
    torn.extend(records(7..8));
    assert!(store.append(&run, 0, &torn, &[(id("web"), mark(6))]).is_err());
    assert_eq!(store.journal(&run).expect("journal"), records(1..4));
    assert_eq!(store.node(id("web")).await.expect("web").power_mark, Some(mark(5)));
    assert!(store.append(&"r-9".into(), 0, &records(1..2), &[]).is_err());
}

#[tokio::test]
async fn a_power_mark_outlives_the_record_of_its_node() {
    let store = SqliteStore::in_memory().expect("store");
    let run = begun(&store);
    store.append(&run, 0, &records(0..1), &[(id("spare"), mark(5))]).expect("a mark for a node of another inventory");
    store.import(documents(), ImportMode::Merge).expect("import");
    assert_eq!(store.node(id("spare")).await.expect("spare").power_mark, Some(mark(5)));
    store.remove_node(id("spare")).expect("remove");
    store.import(documents(), ImportMode::Merge).expect("import");
    let spare = store.node(id("spare")).await.expect("spare");
    assert_eq!((spare.power_mark, spare.generation), (Some(mark(5)), Generation(1)), "and it does not look as if it had never been away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_takes_nothing_from_the_others_of_its_commit() {
    let store = SqliteStore::in_memory().expect("store");
    let names: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
    let node = |name: &String| NodeRecord { node: Node::named(name, &format!("https://{name}")), connectors: vec![], targets: vec![] };
    store.import(names.iter().map(node).collect(), ImportMode::Merge).expect("import");
    let all = names.iter().flat_map(|name| [(name, 1), (name, 2)]).map(|(name, by)| {
        let (store, change) = (store.clone(), Change::Reserve { node: id(name), holder: holder(by), expect: Generation(0), claim: None });
        tokio::spawn(async move { (by, store.change(&change, &Deadline::NONE).await) })
    });
    let mut won = [0; 3];
    for one in all.collect::<Vec<_>>() {
        let (by, outcome) = one.await.expect("task");
        won[by as usize] += usize::from(outcome.is_ok());
    }
    let fleet = store.fleet().await.expect("fleet");
    let held = |by: u32| fleet.nodes.values().filter(|n| n.reservation == Some(holder(by))).count();
    assert_eq!(won[1] + won[2], 500);
    assert_eq!([held(1), held(2)], [won[1], won[2]]);
}

#[tokio::test]
async fn imports_edits_and_removals_are_all_or_nothing() {
    let store = SqliteStore::in_memory().expect("store");
    let done = store.import(documents(), ImportMode::Merge).expect("import");
    assert_eq!(done.added, ["web", "spare", "other"]);
    let mut clash = documents();
    clash[1].node.bmc.address = "https://web".into();
    clash[2].targets = vec![VolumeTarget { id: TargetId::derived("copy"), ..clash[0].targets[0].clone() }];
    let before = store.fleet().await.expect("fleet");
    let Err(ImportError::Problems(problems)) = store.import(clash, ImportMode::Merge) else { panic!("problems") };
    assert_eq!(problems.iter().map(|p| p.nodes.join(" ")).collect::<Vec<_>>(), ["other web", "spare web"]);
    assert_eq!(store.fleet().await.expect("fleet").nodes, before.nodes);
    let mut swapped = documents();
    (swapped[1].node.name, swapped[2].node.name) = ("other".into(), "spare".into());
    store.import(swapped, ImportMode::Merge).expect("two nodes may swap their names");
    store.import(documents(), ImportMode::Merge).expect("and back");

    let edits = vec![Edit::Label { name: "pool".into(), value: Some(Scalar::Text("spare".into())) }, Edit::Maintenance(None)];
    store.set(id("spare"), edits.clone()).expect("edit");
    let spare = store.node(id("spare")).await.expect("spare");
    assert_eq!(spare.labels["pool"], Scalar::Text("spare".into()));
    store.set(id("spare"), edits.clone()).expect("already so");
    assert_eq!(store.node(id("spare")).await.expect("spare"), spare);
    let reserve = Change::Reserve { node: id("spare"), holder: holder(1), expect: spare.generation, claim: None };
    store.change(&reserve, &Deadline::NONE).await.expect("reserve");
    for fault in [store.set(id("spare"), edits).expect_err("held"), store.remove_node(id("spare")).map(|_| ()).expect_err("held")] {
        assert!(fault.detail.contains("`r-1/s-001`"), "{fault}");
    }
    let replaced = store.import(documents()[..1].to_vec(), ImportMode::Replace).expect("replace");
    assert_eq!((replaced.removed, replaced.kept), (vec!["other".to_owned()], vec!["spare".to_owned()]));
    assert_eq!(store.release_reservation(id("spare"), &Deadline::NONE).expect("release"), Some(holder(1)));
    store.remove_node(id("spare")).expect("remove");
    store.remove_node(id("web")).expect("remove with what hangs on it");
    let fleet = store.fleet().await.expect("fleet");
    assert!(fleet.nodes.is_empty() && fleet.connectors.is_empty() && fleet.targets.is_empty());
}

/// The files of a store as they are at this instant, as if the machine had died.
fn crash_image(from: &Path, wal: Option<usize>) -> (TempDir, PathBuf) {
    let image = directory();
    let path = image.path().join("state.db");
    std::fs::copy(from, &path).expect("copy");
    let log = std::fs::read(from.with_extension("db-wal")).expect("log");
    std::fs::write(image.path().join("state.db-wal"), &log[..wal.unwrap_or(log.len()).min(log.len())]).expect("log");
    (image, path)
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash_and_no_append_is_there_in_part() {
    let here = directory();
    let path = here.path().join("deep/down/state.db");
    let store = open(&path);
    store.import(documents(), ImportMode::Merge).expect("import");
    let run = begun(&store);
    for n in 0..12 {
        store.append(&run, 0, &records(n * 5..n * 5 + 5), &[(id("web"), mark(n as i64))]).expect("append");
    }
    let (_image, whole) = crash_image(&path, None);
    let again = open(&whole);
    assert_eq!((again.id(), again.journal(&run).expect("journal")), (store.id(), records(0..60)));
    assert_eq!(again.node(id("web")).await.expect("web").power_mark, Some(mark(11)));

    let length = std::fs::metadata(path.with_extension("db-wal")).expect("log").len() as usize;
    let mut lengths = std::collections::BTreeSet::new();
    for cut in (0..length).rev().step_by(4099).take(24) {
        let (_image, torn) = crash_image(&path, Some(cut));
        let torn = open(&torn);
        let Ok(journal) = torn.journal(&run) else { continue };
        assert_eq!(journal, records(0..journal.len() as u64));
        assert_eq!(journal.len() % 5, 0, "an append is there whole or not at all");
        let marked = torn.node(id("web")).await.expect("web").power_mark;
        assert_eq!(marked, (journal.len() as i64 / 5).checked_sub(1).filter(|n| *n >= 0).map(mark), "and so is its mark");
        lengths.insert(journal.len());
    }
    assert!(lengths.len() > 3, "the cuts hit different appends: {lengths:?}");
    drop(store);
    assert_eq!(open(&path).journal(&run).expect("journal").len(), 60);
}

#[test]
fn files_are_for_their_owner_and_hold_no_secret() {
    let here = directory();
    let path = here.path().join("state.db");
    let secret = here.path().join("password");
    std::fs::write(&secret, "hunter2-hunter2").expect("secret");
    let store = open(&path);
    let mut documents = documents();
    documents[0].node.bmc.password = Some(SecretRef::File(secret.display().to_string()));
    store.import(documents, ImportMode::Merge).expect("import");
    let run = begun(&store);
    let _lock = store.lock_run(&run, Span::secs(30)).expect("lock");
    let mut seen = 0;
    let locks = path.with_extension("db.locks").join("r-1");
    for file in [path.clone(), path.with_extension("db-wal"), path.with_extension("db-shm"), locks] {
        let mode = std::fs::metadata(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        let bytes = std::fs::read(&file).expect("file");
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!holds("hunter2"), "{}", file.display());
        seen += usize::from(holds("/password"));
    }
    assert!(seen > 0, "the reference is there");
}

#[test]
fn what_is_no_store_of_ours_is_refused_and_left_alone() {
    let here = directory();
    let error = |path: &Path| SqliteStore::open(path).expect_err("refused").to_string();
    let text = here.path().join("notes.txt");
    std::fs::write(&text, "not a database at all").expect("file");
    assert!(error(&text).contains("is not an SQLite database"), "{}", error(&text));
    assert_eq!(std::fs::read_to_string(&text).expect("file"), "not a database at all");
    assert!(error(here.path()).contains("is a directory"));
    assert!(error(&text.join("state.db")).contains("cannot"), "{}", error(&text.join("state.db")));
    assert!(error(Path::new("/proc/state.db")).contains("cannot make the file"), "{}", error(Path::new("/proc/state.db")));
    let foreign = here.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).and_then(|c| c.execute_batch("CREATE TABLE songs (t TEXT)")).expect("foreign");
    let bytes = std::fs::read(&foreign).expect("file");
    assert!(error(&foreign).contains("not a coldswap store"));
    assert_eq!(std::fs::read(&foreign).expect("file"), bytes);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let here = directory();
    let path = here.path().join("state.db");
    drop(open(&path));
    let raw = rusqlite::Connection::open(&path).expect("raw");
    raw.execute("UPDATE meta SET value = ?1 WHERE name = 'format'", [(FORMAT + 1).to_string()]).expect("newer");
    drop(raw);
    match SqliteStore::open(&path).expect_err("newer") {
        StoreError::Format { found, known, hint, .. } => {
            assert_eq!((found, known), (FORMAT + 1, FORMAT));
            assert!(hint.contains("newer coldswap"), "{hint}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_run_is_executed_once_at_a_time() {
    let here = directory();
    let path = here.path().join("state.db");
    let (one, two) = (open(&path), open(&path));
    let memory = SqliteStore::in_memory().expect("store");
    for (first, second) in [(&one, &two), (&memory, &memory)] {
        let run = begun(first);
        let lock = first.lock_run(&run, Span::secs(30)).expect("lock");
        assert!(matches!(second.lock_run(&run, Span::secs(30)), Err(StoreError::Locked { run: r, by: Some(_) }) if r == run));
        drop(lock);
        second.lock_run(&run, Span::secs(30)).expect("free again");
        assert!(matches!(first.lock_run(&"../r-1".into(), Span::secs(30)), Err(StoreError::Failed(_))));
    }
}

// What follows needs processes of its own: this test binary, started again with one test and a role.

const ROLE: &str = "COLDSWAP_TEST_ROLE";

fn child(role: &str, path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "store::plays_its_role", "--nocapture"]).env(ROLE, format!("{role} {}", path.display()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("child")
}

/// The lines that a child says about its role.
fn says(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = BufReader::new(child.stdout.take().expect("output")).lines().map_while(Result::ok);
    output.filter_map(|line| line.split_once("role: ").map(|(_, text)| text.to_owned()))
}

#[tokio::test]
async fn plays_its_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (role, path) = role.split_once(' ').expect("a role and a path");
    let store = open(Path::new(path));
    match role {
        "reserve" => {
            println!("role: ready");
            let _ = std::io::stdin().lines().next();
            let by = holder(std::process::id());
            let outcome =
                store.change(&Change::Reserve { node: id("spare"), holder: by, expect: Generation(0), claim: None }, &Deadline::NONE).await;
            println!("role: {}", if outcome.is_ok() { "won" } else { "lost" });
        }
        "append" => {
            for n in 0.. {
                store.append(&"r-1".into(), 1, &records(n * 3..n * 3 + 3), &[]).expect("append");
                println!("role: {n}");
            }
        }
        "lock" => {
            let _lock = store.lock_run(&"r-1".into(), Span::secs(30)).expect("lock");
            println!("role: locked");
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn of_two_processes_that_reserve_at_once_one_wins() {
    let here = directory();
    let path = here.path().join("state.db");
    let store = open(&path);
    for round in 0..3 {
        store.import(documents(), ImportMode::Merge).expect("import");
        let mut children: Vec<Child> = (0..3).map(|_| child("reserve", &path)).collect();
        let mut said: Vec<_> = children.iter_mut().map(says).collect();
        assert!(said.iter_mut().all(|s| s.next().as_deref() == Some("ready")));
        children.iter_mut().for_each(|c| drop(c.stdin.take()));
        let won = said.iter_mut().filter_map(|s| s.next()).filter(|outcome| outcome == "won").count();
        let pids: Vec<u32> = children.iter().map(Child::id).collect();
        children.iter_mut().for_each(|c| assert!(c.wait().expect("child").success()));
        assert_eq!(won, 1, "round {round}");
        let held = store.release_reservation(id("spare"), &Deadline::NONE).expect("release").expect("held");
        assert!(pids.iter().any(|pid| held == holder(*pid)));
    }
}

#[test]
fn a_killed_process_leaves_what_it_was_told_is_durable_and_lets_go_of_its_lock() {
    let here = directory();
    let path = here.path().join("state.db");
    let store = open(&path);
    let run = begun(&store);
    let mut locked = child("lock", &path);
    assert_eq!(says(&mut locked).next().as_deref(), Some("locked"));
    assert!(matches!(store.lock_run(&run, Span::secs(30)), Err(StoreError::Locked { .. })));
    let mut writer = child("append", &path);
    let last: u64 = says(&mut writer).nth(40).expect("appends").parse().expect("number");
    for victim in [&mut writer, &mut locked] {
        victim.kill().expect("kill");
        victim.wait().expect("wait");
    }
    let journal = store.journal(&run).expect("journal");
    assert!(journal.len() as u64 >= (last + 1) * 3 && journal.len().is_multiple_of(3), "{} records, {last} answered", journal.len());
    assert_eq!(journal, records(0..journal.len() as u64));
    store.lock_run(&run, Span::secs(30)).expect("the lock went with the process");
}

/// A store as format 1 wrote it. It is made once (`COLDSWAP_BLESS=1`, when there is none) and then only read: a change
/// that cannot read it needs a new format and a way from the old one.
#[tokio::test]
async fn a_store_of_format_1_still_opens() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/store-v1.db");
    if !golden.exists() && std::env::var_os("COLDSWAP_BLESS").is_some() {
        std::fs::create_dir_all(golden.parent().expect("directory")).expect("directory");
        let store = open(&golden);
        store.import(documents(), ImportMode::Merge).expect("import");
        let mut report = SystemReport::default();
        report.reading.identity.serial_number = Some("S1".into());
        report.facts.model = Some("C1".into());
        store.learn(id("web"), &report, Time(3)).await.expect("learn");
        let reserve = Change::Reserve { node: id("web"), holder: holder(1), expect: Generation(1), claim: None };
        store.change(&reserve, &Deadline::NONE).await.expect("reserve");
        let run = begun(&store);
        store.append(&run, 0, &records(0..3), &[(id("web"), mark(5))]).expect("append");
    }
    let here = directory();
    let path = here.path().join("state.db");
    std::fs::copy(&golden, &path).expect("the golden store");
    let store = open(&path);
    let fleet = store.fleet().await.expect("fleet");
    assert_eq!((fleet.nodes.len(), fleet.connectors.len(), fleet.targets.len()), (3, 2, 2));
    let web = fleet.find("web").expect("web");
    assert_eq!((web.reservation.clone(), web.generation, web.power_mark), (Some(holder(1)), Generation(1), Some(mark(5))));
    assert_eq!((web.identity.serial_number.as_deref(), web.facts().model), (Some("S1"), Some("C1".to_owned())));
    assert_eq!(web.bmc.password, Some(SecretRef::Env("BMC_PASSWORD".into())));
    assert_eq!(store.same_volume(TargetId::derived("boot")).await.expect("targets").len(), 1);
    assert_eq!(store.load_plan(&"p-1".into()).expect("plan").as_deref(), Some("{}"));
    assert_eq!(store.journal(&"r-1".into()).expect("journal"), records(0..3));
    assert_eq!(store.runs().expect("runs")[0].name, "rack-b");
    store.append(&"r-1".into(), 0, &records(3..4), &[]).expect("and goes on");
}
