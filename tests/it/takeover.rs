//! Two real processes and one run: who is stopped between storing and sending and is superseded sends nothing when it
//! wakes up; who is alive is left alone; who is dead is followed at once.

use crate::cli::{Place, RUNBOOK, text};
use coldswap::model::*;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const STOP_AT: &str = "COLDSWAP_STOP_AT";
const TERMS: &str = "COLDSWAP_TEST_TERMS";
/// Lease, renewal, request time-out. The landing bound of every place is 1 s.
const SHORT: &str = "1500ms,300ms,500ms";

/// A program that was started. Stopped or not, it does not outlive a test that fails.
struct Process(Option<Child>);

impl Process {
    fn wait_with_output(mut self) -> std::io::Result<Output> {
        self.0.take().expect("it is waited for once").wait_with_output()
    }
}

impl std::ops::Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("it is not waited for yet")
    }
}

impl std::ops::DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is not waited for yet")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(place: &Place, args: &[&str], environment: &[(&str, &str)]) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_coldswap"))
        .current_dir(place.directory())
        .env_remove("COLDSWAP_STORE")
        .envs(environment.iter().copied())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    Process(Some(child))
}

fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(40), "not within 40 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// proc_pid_stat(5): the state follows on the name in parentheses.
fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

fn ended(child: Process, code: i32) -> String {
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    assert_eq!(status.code(), Some(code), "{}", text(&stderr));
    text(&stderr)
}

/// Everything that the store holds of runs and nodes.
fn store(place: &Place) -> (Value, String, String) {
    let runs = place.json(&["runs"], 0);
    let out = |args: &[&str]| text(&place.run(args).get_output().stdout);
    (runs, out(&["journal", "r-1"]), out(&["inventory", "export"]))
}

fn journal(place: &Place) -> String {
    text(&place.run(&["journal", "r-1"]).get_output().stdout)
}

/// A place whose runbook is for one node.
fn place_for_one(power: Span) -> Place {
    let place = Place::new(power);
    place.write("runbook.yaml", &RUNBOOK.replace("[web-1, web-2]", "[web-1]"));
    place
}

/// Stop the first executor there, let a second one take the run over and end it, and wake the first one.
fn stopped_and_superseded(point: &str) {
    let place = place_for_one(Span(50));
    if point.ends_with(":On") {
        // Not even good-bye is said by who was superseded.
        crate::leaves::log_in(&place);
    }
    let terms = (TERMS, SHORT);
    let first = start(&place, &["--quiet", "apply", "runbook.yaml", "--yes"], &[terms, (STOP_AT, point)]);
    wait_until(point, || is_stopped(&first));
    let began = Instant::now();
    let second = start(&place, &["resume", "r-1", "--take-over"], &[terms]);
    let pid = second.id();
    let said = ended(second, 0);
    // Up to 1.5 s of lease, then 0.5 s and 1 s.
    assert!(began.elapsed() > Duration::from_millis(1_500), "{point}: {:?}", began.elapsed());
    assert!(said.contains(&format!("waiting for the end of the lease of process {}", first.id())), "{point}: {said}");
    assert!(said.contains("taken over from executor 1"), "{point}: {said}");
    assert!(journal(&place).contains(r#""event":"taken_over","from":1,"token":2"#), "{point}");
    assert!(is_stopped(&first), "{point}");
    let report = place.json(&["report", "r-1"], 0);
    assert_eq!((&report["run"]["resumed"], &report["run"]["taken_over"]), (&1.into(), &1.into()), "{point}");
    let told = text(&place.run(&["report", "r-1"]).get_output().stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(", taken over once") && !told.contains("taken up again"), "{point}: {told}");

    let before = store(&place);
    place.lab.clear_requests();
    signal(&first, "-CONT");
    let said = ended(first, 5);
    assert!(said.contains(&format!("run `r-1` was taken over by another process: process {pid} on")), "{point}: {said}");
    assert!(said.contains("coldswap show r-1"), "{point}: {said}");
    let requests = place.lab.requests();
    assert_eq!(requests.total, 0, "{point}: {:?}", requests.latest);
    assert_eq!(store(&place), before, "{point}");
    place.no_volume_was_open_twice();
    let power = |name: &str| place.lab.machine(name).map(|m| m.power);
    assert_eq!((power("web-1"), power("spare-1")), (Some(PowerState::Off), Some(PowerState::On)), "{point}");
}

#[test]
fn who_was_superseded_while_it_was_stopped_sends_nothing() {
    // Between storing and sending, each kind of command; and last of all with the connection to the BMC already made.
    let points = [
        "after-store:GracefulShutdown",
        "after-store:set_boot",
        "after-store:change",
        "after-store:On",
        "before-write:POST",
        "before-write:PATCH",
    ];
    std::thread::scope(|scope| {
        for point in points {
            scope.spawn(move || stopped_and_superseded(point));
        }
    });
}

#[test]
fn who_wakes_up_while_the_other_goes_on_ends_as_well() {
    let place = place_for_one(Span(50));
    let terms = (TERMS, SHORT);
    let first = start(&place, &["--quiet", "apply", "runbook.yaml", "--yes"], &[terms, (STOP_AT, "after-store:GracefulShutdown")]);
    wait_until("stopped", || is_stopped(&first));
    let second = start(&place, &["resume", "r-1", "--take-over"], &[terms]);
    wait_until("taken over", || journal(&place).contains("taken_over"));
    signal(&first, "-CONT");
    ended(first, 5);
    ended(second, 0);
    place.no_volume_was_open_twice();
    let shutdowns = place.lab.requests().latest.iter().filter(|r| r.path.contains("ComputerSystem.Reset")).count();
    assert_eq!(shutdowns, 3, "one soft off, one of the fence, one on");
}

#[test]
fn who_is_alive_is_not_taken_over() {
    let place = place_for_one(Span(3_000));
    place.write("runbook.yaml", &RUNBOOK.replace("[web-1, web-2]", "[web-1]").replace("soft_off: 2s", "soft_off: 20s"));
    let first = start(&place, &["--quiet", "apply", "runbook.yaml", "--yes"], &[(TERMS, "20s,500ms,500ms")]);
    wait_until("it is at work", || journal(&place).contains("intended"));
    let said = ended(start(&place, &["inventory", "release", "web-1", "--yes"], &[]), 3);
    assert!(said.contains(&format!("being executed by another process: process {}", first.id())), "{said}");
    assert!(said.contains("coldswap resume r-1 --take-over"), "{said}");
    let began = Instant::now();
    let said = ended(start(&place, &["resume", "r-1", "--take-over"], &[]), 3);
    assert!(said.contains("is alive and has renewed its lease"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait for the whole lease: {:?}", began.elapsed());
    // Its lock can be taken away with its file; the process lives all the same.
    std::fs::remove_dir_all(place.path(".coldswap/state.db.locks")).expect("removed");
    let said = ended(start(&place, &["resume", "r-1"], &[]), 3);
    assert!(said.contains("it is being executed by another process"), "{said}");
    // A stop that is shorter than the lease is no death either.
    signal(&first, "-STOP");
    let taker = start(&place, &["resume", "r-1", "--take-over"], &[]);
    std::thread::sleep(Duration::from_millis(1_000));
    signal(&first, "-CONT");
    ended(taker, 3);
    ended(first, 0);
    assert!(!journal(&place).contains("taken_over"));
}

#[test]
fn who_is_dead_is_followed_at_once() {
    // A lease and bounds that nobody could wait for within this test.
    let terms = (TERMS, "10m,1m,10m");
    for resume in [&["resume", "r-1"][..], &["resume", "r-1", "--take-over"]] {
        let place = place_for_one(Span(100));
        let mut first = start(&place, &["--quiet", "apply", "runbook.yaml", "--yes"], &[terms, (STOP_AT, "after-store:On")]);
        wait_until("stopped", || is_stopped(&first));
        first.kill().expect("it is killed");
        first.wait().expect("it ends");
        let began = Instant::now();
        ended(start(&place, resume, &[terms]), 0);
        assert!(began.elapsed() < Duration::from_secs(20), "{resume:?}: {:?}", began.elapsed());
        let journal = journal(&place);
        assert!(journal.contains("run_resumed") && !journal.contains("taken_over"), "{journal}");
        place.no_volume_was_open_twice();
    }
}

#[test]
fn of_two_runs_that_want_one_machine_one_gets_it() {
    let both = |first: (&str, &str), second: (&str, &str)| {
        let place = Place::new(Span(50));
        for (name, (source, spare)) in [("a", first), ("b", second)] {
            let nodes = format!("nodes: [{source}], destinations: {{{source}: {spare}}}");
            place.write(&format!("{name}.yaml"), &RUNBOOK.replace("nodes: [web-1, web-2]", &nodes));
            place.run(&["plan", &format!("{name}.yaml"), "--out", &format!("{name}.json")]).code(0);
        }
        let run = |plan: &str| start(&place, &["--quiet", "apply", plan, "--yes"], &[]);
        let mut codes: Vec<_> = ["a.json", "b.json"].map(run).map(|c| c.wait_with_output().expect("it ends").status.code()).into();
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(4)], "{first:?} and {second:?}");
        place.no_volume_was_open_twice();
        let outcomes: Vec<Value> = ["r-1", "r-2"].iter().map(|run| place_outcome(&place, run)).collect();
        assert!(outcomes.contains(&"switched_over".into()) && outcomes.contains(&"skipped".into()), "{outcomes:?}");
    };
    both(("web-1", "spare-1"), ("web-2", "spare-1"));
    both(("web-1", "spare-1"), ("web-1", "spare-2"));
}

fn place_outcome(place: &Place, run: &str) -> Value {
    let output = place.run(&["--output", "json", "report", run]);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).expect("a report");
    report["switchovers"][0]["outcome"].clone()
}

#[test]
fn a_saved_plan_that_is_applied_twice_at_once_runs_once() {
    let place = Place::new(Span(50));
    place.run(&["plan", "runbook.yaml", "--out", "plan.json"]).code(0);
    let children: Vec<Process> = (0..3).map(|_| start(&place, &["--quiet", "apply", "plan.json", "--yes"], &[])).collect();
    let outputs: Vec<Output> = children.into_iter().map(|c| c.wait_with_output().expect("it ends")).collect();
    let refused: Vec<String> = outputs.iter().filter(|o| o.status.code() == Some(3)).map(|o| text(&o.stderr)).collect();
    assert_eq!(outputs.iter().filter(|o| o.status.code() == Some(0)).count(), 1);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|said| said.contains("was already used by run `r-1`")), "{refused:?}");
    assert_eq!(place.json(&["runs"], 0)["runs"].as_array().map(Vec::len), Some(1));
    place.no_volume_was_open_twice();
}

/// The names of the variables by which a test stops a process stand in one file, behind `cfg(debug_assertions)`.
#[test]
fn a_release_cannot_be_told_to_stop_itself() {
    fn sources(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { sources(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let mut guarded = 0;
    for path in found {
        let source = std::fs::read_to_string(&path).expect("a source");
        for (number, line) in source.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            if line.contains(STOP_AT) || line.contains(TERMS) {
                assert!(path.ends_with("ports/seam.rs"), "{}:{}", path.display(), number + 1);
                let item = source.lines().take(number).collect::<Vec<_>>();
                let function = item.iter().rposition(|l| l.starts_with("pub fn")).expect("inside of a function");
                assert_eq!(item[function - 1], "#[cfg(debug_assertions)]");
                guarded += 1;
            }
        }
    }
    assert_eq!(guarded, 2);
    let binary = std::fs::read(env!("CARGO_BIN_EXE_coldswap")).expect("the program");
    let holds = |name: &str| binary.windows(name.len()).any(|w| w == name.as_bytes());
    for name in [STOP_AT, TERMS] {
        assert_eq!(holds(name), cfg!(debug_assertions), "{name}");
    }
}
