//! The program where the world around it is rough: terminals that go away, disks that are full, places that cannot be
//! written.

use crate::cli::{Place, RUNBOOK, text};
use coldswap::model::Span;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(place: &Place, args: &[&str], out: Stdio, err: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coldswap"));
    command.current_dir(place.directory()).args(args).stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("it starts")
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("Linux has it").into()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it is there");
}

fn code(mut child: Child) -> i32 {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is waited for") {
            return status.code().unwrap_or_else(|| panic!("it was killed: {status}"));
        }
        assert!(began.elapsed() < Duration::from_secs(40), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A closed terminal sends SIGHUP, often twice, and takes no more output.
#[test]
fn a_terminal_that_goes_away_parks_the_run() {
    // Slow machines: on a busy computer the first switchover must not be over before the signal comes.
    let place = Place::new(Span(1200));
    place.write("one.yaml", &(RUNBOOK.to_owned() + "limits: {at_once: 1}\n"));
    let child = start(&place, &["-v", "apply", "one.yaml", "--yes", "--report", "out/r.json"], full(), full());
    place.wait_for("\"event\":\"intended\",\"switchover\":\"s-001\",\"step\":4");
    signal(&child, rustix::process::Signal::HUP);
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, rustix::process::Signal::HUP);
    assert_eq!(code(child), 5);
    let report = place.json(&["report", "r-1"], 0);
    assert_eq!(report["totals"]["switched_over"], 1, "what was in flight goes on to its end");
    assert_eq!(report["totals"]["not_begun"], 1);
    assert!(place.path("out/r.json").exists());
    assert_eq!(place.json(&["resume", "r-1"], 0)["totals"]["switched_over"], 2);
    place.no_volume_was_open_twice();
}

/// `nohup coldswap apply` is meant to outlive its terminal.
#[test]
fn a_run_under_nohup_does_not_hear_of_its_terminal() {
    let place = Place::new(Span(400));
    let nohup = ["-c", "trap '' HUP; exec \"$0\" apply runbook.yaml --yes", env!("CARGO_BIN_EXE_coldswap")];
    let mut command = Command::new("/bin/sh");
    command.current_dir(place.directory()).args(nohup).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("it starts");
    place.wait_for("\"event\":\"intended\",\"switchover\":\"s-001\",\"step\":4");
    signal(&child, rustix::process::Signal::HUP);
    assert_eq!(code(child), 0);
    let said = place.run(&["report", "r-1"]).code(0);
    assert!(!text(&said.get_output().stdout).contains("terminal"));
}

/// The macros of the standard library and of `anstream` panic where the line cannot be written.
#[test]
fn nothing_is_printed_by_a_macro_that_panics() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("a file");
                assert!(
                    !["print!(", "println!("].iter().any(|m| text.contains(m)),
                    "{}: use `output::tell` or `output::raw`",
                    path.display()
                );
            }
        }
    }
}

fn reported_to(path: &str) -> String {
    format!("{RUNBOOK}report: {{path: \"{path}\"}}\n")
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_is_touched() {
    let place = Place::new(Span(50));
    let refused = place.run(&["apply", "runbook.yaml", "--yes", "--report", "/proc/nope/r.json"]).code(2);
    assert!(text(&refused.get_output().stderr).contains("`/proc/nope/r.json` cannot be written"));
    place.run(&["apply", "runbook.yaml", "--yes", "--report", "."]).code(2);
    place.write("reported.yaml", &reported_to("/proc/nope/{{ run.id }}.json"));
    let refused = place.run(&["apply", "reported.yaml", "--yes"]).code(3);
    assert!(text(&refused.get_output().stderr).contains("`report.path`"), "{}", text(&refused.get_output().stderr));
    assert_eq!(place.json(&["runs"], 0)["runs"], serde_json::json!([]));
    assert!(place.lab.requests().only_reads(), "{:?}", place.lab.requests());
    place.write("reported.yaml", &reported_to("new/{{ run.id }}/r.json"));
    place.run(&["apply", "reported.yaml", "--yes", "--report", "other/r.json"]).code(0);
    assert!(place.path("new/r-1/r.json").exists() && place.path("other/r.json").exists());
    assert_eq!(std::fs::read_dir(place.path("new")).expect("it is there").count(), 1, "the trial leaves nothing behind");
}

/// It could be written when the run began, and cannot when it ends.
#[test]
fn a_report_that_is_lost_afterwards_keeps_the_exit_code_of_the_run_and_the_other_reports() {
    for (hook, code) in [("touch gone", 7), ("touch gone; exit 1", 4)] {
        let place = Place::new(Span(50));
        let hooks = format!("hooks: {{pre-shutdown: [{{name: h, run: [/bin/sh, -c, \"{hook}\"]}}]}}\n");
        place.write("reported.yaml", &(reported_to("kept/r.json").replace("[web-1, web-2]", "[web-1]") + &hooks));
        let said = place.run(&["apply", "reported.yaml", "--yes", "--report", "gone/r.json"]).code(code);
        let said = text(&said.get_output().stderr);
        assert!(said.contains("warning: the report: `gone/r.json` cannot be written") && said.contains("`coldswap report r-1`"), "{said}");
        assert!(place.path("kept/r.json").exists(), "the other one is written all the same");
    }
}

#[test]
fn a_result_that_cannot_be_printed_is_no_success() {
    let place = Place::new(Span(50));
    let run = |args: &[&str], out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coldswap"));
        let ended = command.current_dir(place.directory()).args(args).stdin(Stdio::null()).stdout(out).output().expect("it runs");
        (ended.status.code(), text(&ended.stderr))
    };
    let (code, said) = run(&["inventory", "export"], full());
    assert!(code == Some(7) && said.contains("standard output cannot be written"), "{code:?} {said}");
    for args in [&["--help"][..], &["man"], &["completions", "bash"], &["plan", "runbook.yaml", "--detailed-exitcode"]] {
        assert_eq!(run(args, full()).0, Some(7), "{args:?}");
    }
    assert_eq!(run(&["show", "r-9"], full()).0, Some(2), "a failure keeps its own code");
    let (code, _) = run(&["apply", "runbook.yaml", "--yes", "--output", "json"], full());
    assert_eq!(code, Some(7));
    assert_eq!(place.json(&["report", "r-1"], 0)["totals"]["switched_over"], 2, "the run itself went on");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(run(&["inventory", "export"], writer.into()).0, Some(0), "a reader that has left is no error");
}
