//! Limits, windows and people, as they are met at two terminals: every prompt's default, every exit code, a disk that
//! is full, a far side that does not listen.

use crate::cli::{Place, RUNBOOK, text};
use coldswap::model::*;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn with(place: &Place, more: &str) {
    place.write("gated.yaml", &format!("{RUNBOOK}{more}\n"));
}

fn ends(mut child: Child, code: i32) {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is waited for") {
            return assert_eq!(status.code(), Some(code));
        }
        if began.elapsed() > Duration::from_secs(40) {
            child.kill().expect("it is killed");
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn outcomes(report: &Value) -> Vec<&str> {
    let all = report["switchovers"].as_array().expect("switchovers");
    all.iter().map(|s| s["outcome"].as_str().unwrap_or("none")).collect()
}

fn decisions(report: &Value) -> Vec<String> {
    let all = report["run"]["decisions"].as_array().cloned().unwrap_or_default();
    let word = |d: &Value, key: &str| d[key].as_str().unwrap_or("-").to_owned();
    all.iter().map(|d| format!("{} {} {}", word(d, "about"), word(d, "choice"), word(d, "by"))).collect()
}

fn refused(place: &Place, args: &[&str], words: &str) {
    let said = place.run(args).code(3);
    let said = text(&said.get_output().stderr);
    assert!(said.contains(words), "{args:?}: {said}");
}

#[test]
fn a_run_is_paused_resumed_and_stopped_from_another_terminal() {
    let place = Place::new(Span(400));
    with(&place, "limits: {at_once: 1}");
    let child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    place.wait_for("\"started\",\"switchover\":\"s-001\"");
    place.run(&["pause", "r-1", "--by", "anna", "--for", "1m"]).code(0);
    refused(&place, &["pause", "r-1", "--by", "bert"], "nothing new starts already");
    place.wait_for("\"finished\",\"switchover\":\"s-001\"");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(place.json(&["report", "r-1"], 0)["totals"]["not_begun"], 1);
    place.run(&["resume", "r-1", "--by", "bert"]).code(0);
    ends(child, 0);
    let report = place.json(&["report", "r-1"], 0);
    assert_eq!(decisions(&report), ["run pause anna", "run pause for at most 8h bert", "run resume bert"]);
    let waited = &report["switchovers"][1]["waited"];
    assert!(waited.to_string().contains("at_once") && waited.to_string().contains("paused"), "{waited}");
    assert!(report["switchovers"][0]["waited"].is_null());
}

#[test]
fn a_stop_parks_and_a_pause_that_nobody_lifts_parks_too() {
    for ask in [&["stop", "r-1"][..], &["pause", "r-1", "--for", "200ms"]] {
        let place = Place::new(Span(300));
        with(&place, "limits: {at_once: 1}");
        let child = place.spawn(&["apply", "gated.yaml", "--yes"]);
        place.wait_for("\"started\",\"switchover\":\"s-001\"");
        place.run(ask).code(0);
        ends(child, 5);
        assert_eq!(place.json(&["report", "r-1"], 0)["totals"]["not_begun"], 1);
        place.run(&["stop", "r-1"]).code(5);
        assert_eq!(place.json(&["resume", "r-1"], 0)["totals"]["switched_over"], 2);
    }
}

#[test]
fn an_approval_is_given_refused_and_refused_by_silence() {
    let approval = |timeout: &str, default: &str| format!("approval: {{required: true, timeout: {timeout}, default: {default}}}");
    let place = Place::new(Span(50));
    with(&place, &approval("1m", "refuse"));
    let child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    place.wait_for("\"event\":\"asked\"");
    refused(&place, &["decide", "r-1", "approval", "perhaps"], "approve, refuse");
    refused(&place, &["decide", "r-1", "canary", "go"], "no canary is waited for");
    place.run(&["decide", "r-1", "approval", "refuse", "--by", "anna", "--why", "frozen"]).code(0);
    ends(child, 4);
    let report = place.json(&["report", "r-1"], 0);
    assert_eq!(outcomes(&report), ["skipped", "skipped"]);
    assert_eq!(report["run"]["decisions"].as_array().expect("decisions").last().expect("one")["why"], "frozen");
    // Nobody answers: its default.
    with(&place, &approval("300ms", "refuse"));
    let report = place.json(&["apply", "gated.yaml", "--yes"], 4);
    assert_eq!((outcomes(&report), decisions(&report)), (vec!["skipped", "skipped"], vec!["approval refuse -".to_owned()]));
    with(&place, &approval("300ms", "allow"));
    let report = place.json(&["apply", "gated.yaml", "--yes"], 0);
    assert_eq!(decisions(&report), ["approval approve -"]);
}

#[test]
fn a_canary_is_watched_before_the_others_start() {
    let place = Place::new(Span(50));
    with(&place, "limits: {canary: {count: 1, timeout: 300ms, default: stop}}");
    let report = place.json(&["apply", "gated.yaml", "--yes"], 5);
    assert_eq!((outcomes(&report), decisions(&report)), (vec!["switched_over", "none"], vec!["canary stop -".to_owned()]));
    // An answer waits for the process that asks.
    place.run(&["decide", "r-1", "canary", "go", "--by", "anna"]).code(5);
    let report = place.json(&["resume", "r-1"], 0);
    assert_eq!(decisions(&report), ["canary stop -", "canary go anna"]);
}

#[test]
fn a_prompt_is_answered_or_takes_its_default() {
    let place = Place::new(Span(50));
    let one = |prompt: &str| {
        let hook = format!("hooks: {{pre-shutdown: [{{name: look, prompt: {{{prompt}}}}}]}}\n");
        place.write("gated.yaml", &(RUNBOOK.replace("[web-1, web-2]", "[web-1]") + &hook));
    };
    one("text: \"Is {{ source.name }} drained?\", choices: [drained, busy], timeout: 300ms, default: busy");
    let report = place.json(&["apply", "gated.yaml", "--yes"], 4);
    assert_eq!((outcomes(&report), decisions(&report)), (vec!["rolled_back"], vec!["s-001 busy -".to_owned()]));
    one("text: \"Is {{ source.name }} drained?\", choices: [drained, busy], timeout: 1m, default: busy");
    let child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    let began = Instant::now();
    while place.run(&["decide", "r-2", "s-001", "drained", "--by", "anna"]).get_output().status.code() != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody asks");
    }
    ends(child, 0);
    let report = place.json(&["report", "r-2"], 0);
    let result = &report["switchovers"][0]["steps"][2]["result"];
    assert!(result["how"].as_str().is_some_and(|h| h.contains("drained") && h.contains("anna")), "{result}");
    refused(&place, &["decide", "r-2", "s-001", "drained"], "has ended");
}

#[test]
fn outside_its_windows_a_run_is_parked_with_the_reason() {
    let place = Place::new(Span(50));
    with(&place, "windows: [{opens: 2020-01-01T00:00, closes: 2020-01-01T06:00, time_zone: Europe/Berlin}]");
    let report = place.json(&["apply", "gated.yaml", "--yes"], 5);
    assert_eq!(report["run"]["paused"]["code"], "window");
    assert!(report["run"]["paused"]["text"].as_str().is_some_and(|t| t.contains("no other is known to open")), "{report}");
    assert_eq!(place.json(&["resume", "r-1"], 5)["totals"]["not_begun"], 2);
    with(&place, "boot: {timeout: 1m}\nwindows: [{cron: \"* * * * *\", for: 8h}]");
    place.run(&["apply", "gated.yaml", "--yes"]).code(0);
    let late = place.json(&["report", "r-1"], 0);
    assert!(late["switchovers"][0]["waited"].to_string().contains("window") || late["run"]["paused"]["code"] == "window");
}

#[test]
fn a_storm_is_refused_unless_it_is_allowed() {
    let place = Place::new(Span(50));
    with(&place, "limits: {refuse_above: 50%}");
    for command in ["plan", "apply"] {
        refused(&place, &[command, "gated.yaml"], "P024");
    }
    place.run(&["plan", "gated.yaml", "--out", "plan.json", "--allow-storm"]).code(0);
    refused(&place, &["apply", "plan.json", "--yes"], "--allow-storm");
    let report = place.json(&["apply", "plan.json", "--yes", "--allow-storm"], 0);
    assert!(decisions(&report)[0].starts_with("storm allow "), "{:?}", decisions(&report));
}

/// A switchover that is in doubt: its hook must not run twice, and nobody knows whether it ran.
fn in_doubt(place: &Place) {
    let hook = "hooks: {pre-shutdown: [{name: once, rerun: never, run: [/bin/sleep, '30']}]}\n";
    place.write("gated.yaml", &(RUNBOOK.replace("[web-1, web-2]", "[web-1]") + hook));
    let mut child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    place.wait_for("\"step\":3,\"attempt\":0,\"command\":\"hook\"");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    assert_eq!(outcomes(&place.json(&["resume", "r-1"], 6)), ["in_doubt"]);
}

#[test]
fn a_switchover_in_doubt_is_decided_after_a_fresh_look() {
    let place = Place::new(Span(50));
    in_doubt(&place);
    let report = place.json(&["decide", "r-1", "s-001", "--moved", "--by", "anna"], 6);
    assert_eq!(report["switchovers"][0]["why"]["code"], "source_on", "the look contradicts: {}", report["switchovers"][0]["why"]);
    let report = place.json(&["decide", "r-1", "s-001", "--not-moved", "--by", "anna", "--why", "I looked"], 4);
    assert_eq!((outcomes(&report), report["totals"]["debts"].as_array().map(Vec::len)), (vec!["rolled_back"], Some(0)));
    refused(&place, &["decide", "r-1", "s-001", "--not-moved"], "owes nothing");
    place.no_volume_was_open_twice();
    // Both nodes are free again.
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
}

#[test]
fn a_debt_that_was_settled_by_hand_is_settled_by_resume() {
    let place = Place::new(Span(50));
    in_doubt(&place);
    assert_eq!(place.json(&["resume", "r-1"], 6)["totals"]["debts"].as_array().map(Vec::len), Some(1));
    for node in ["web-1", "spare-1"] {
        place.run(&["inventory", "release", node, "--yes"]).code(0);
    }
    place.run(&["resume", "r-1"]).code(6);
    for node in ["web-1", "spare-1"] {
        place.run(&["inventory", "set", node, "debt="]).code(0);
    }
    let report = place.json(&["resume", "r-1"], 4);
    assert!(report["switchovers"][0]["settled_at"].is_string() && report["switchovers"][0]["debt"].is_null(), "{report}");
}

#[test]
fn a_rollback_of_a_run_that_nobody_carries_out_is_carried_out() {
    let place = Place::new(Span(600));
    with(&place, "limits: {at_once: 1}");
    let mut child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    place.wait_for("\"event\":\"intended\",\"switchover\":\"s-001\",\"step\":5");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let report = place.json(&["rollback", "r-1", "--by", "anna"], 4);
    assert_eq!(outcomes(&report), ["rolled_back", "skipped"]);
    assert_eq!(place.lab.machine("web-1").map(|m| m.power), Some(PowerState::On));
    place.no_volume_was_open_twice();
}

/// The program where no file may grow beyond so many blocks of 512 or 1024 bytes: what a full disk does to it.
fn on_a_full_disk(place: &Place, blocks: u32, args: &str) -> (i32, String) {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {args}", env!("CARGO_BIN_EXE_coldswap"));
    let output = Command::new("bash").args(["-c", &script]).current_dir(place.path("")).output().expect("it runs");
    (output.status.code().unwrap_or(-1), text(&output.stderr))
}

#[test]
fn a_full_disk_stops_the_run_before_the_next_order_and_loses_nothing() {
    let place = Place::new(Span(50));
    let size = |name: &str| std::fs::metadata(place.path(name)).map_or(0, |m| m.len());
    let log = size(".coldswap/state.db").max(size(".coldswap/state.db-wal"));
    let first = u32::try_from(log / 1024).expect("a small store") + 150;
    let mut stopped = 0;
    for more in 0..12 {
        let runs = place.json(&["runs"], 0)["runs"].as_array().map_or(0, Vec::len);
        let (code, said) = on_a_full_disk(&place, first + 20 * more, "--quiet apply runbook.yaml --yes");
        let after = place.json(&["runs"], 0)["runs"].as_array().map_or(0, Vec::len);
        if code == 0 {
            break;
        }
        if after == runs {
            assert_eq!(code, 3, "nothing was begun: {said}");
            continue;
        }
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("coldswap resume"), "{said}");
        stopped += 1;
        let run = format!("r-{after}");
        assert_eq!(outcomes(&place.json(&["resume", &run], 0)), ["switched_over", "switched_over"]);
        break;
    }
    assert!(stopped > 0, "no limit met the run");
    place.no_volume_was_open_twice();
}

#[test]
fn a_store_that_turns_read_only_stops_the_run_before_the_next_order() {
    let place = Place::new(Span(50));
    let db = rusqlite::Connection::open(place.path(".coldswap/state.db")).expect("the store");
    let mut resets = 0;
    for last in [3, 9, 14, 24] {
        place.lab.clear_requests();
        db.execute_batch(&format!(
            "CREATE TRIGGER readonly BEFORE INSERT ON journal WHEN NEW.seq > {last} BEGIN SELECT RAISE(ABORT, 'attempt to write a readonly database'); END"
        ))
        .expect("the fault");
        let run = format!("r-{}", place.json(&["runs"], 0)["runs"].as_array().map_or(0, Vec::len) + 1);
        let said = place.run(&["apply", "runbook.yaml", "--yes"]).code(5);
        assert!(text(&said.get_output().stderr).contains("readonly database"), "{}", text(&said.get_output().stderr));
        // Every reset that a BMC got is in the journal.
        let journal = place.json(&["journal", &run], 0).to_string();
        let intended = journal.matches("\"reset\":{").count();
        let requests = place.lab.requests().latest;
        let sent = requests.iter().filter(|r| r.method == "POST" && r.path.contains("ComputerSystem.Reset")).count();
        resets += sent;
        assert!(sent <= intended, "{sent} resets sent, {intended} in the journal");
        db.execute_batch("DROP TRIGGER readonly").expect("the fault is over");
        assert_eq!(outcomes(&place.json(&["rollback", &run], 4)).len(), 2);
    }
    assert!(resets > 0, "a fault that always comes first proves nothing");
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
    place.no_volume_was_open_twice();
}

#[test]
fn a_mailbox_keeps_what_is_asked_in_order_also_in_a_store_of_the_version_before() {
    use coldswap::adapter::store_sqlite::SqliteStore;
    use coldswap::ports::Store;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/store-v1.db");
    std::fs::copy(golden, &path).expect("a store of format 1");
    let store = SqliteStore::open(&path).expect("it opens");
    let run = store.runs().expect("its runs").first().expect("a run").id.clone();
    assert_eq!(store.post(&run, Time(1), "anna", &Request::Stop).expect("it is kept"), 1);
    let decide = Request::Decide { matter: Matter::Prompt(SwitchoverId(3)), choice: "yes".into(), why: None };
    assert_eq!(store.post(&run, Time(2), "bert", &decide).expect("it is kept"), 2);
    drop(store);
    let store = SqliteStore::open(&path).expect("it opens again");
    let all = store.inbox(&run, 0).expect("the mail");
    assert_eq!((all.len(), all[0].by.as_str(), &all[1].request), (2, "anna", &decide));
    assert_eq!(store.inbox(&run, 1).expect("the mail"), all[1..]);
    assert!(store.post(&"r-999".into(), Time(1), "anna", &Request::Stop).is_err());
}

/// A far side that keeps what it is told, or never answers.
fn listener(answers: bool) -> (String, Arc<Mutex<String>>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", socket.local_addr().expect("an address"));
    let heard = Arc::new(Mutex::new(String::new()));
    let kept = heard.clone();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in socket.incoming() {
            let Ok(mut stream) = stream else { return };
            if !answers {
                silent.push(stream);
                continue;
            }
            let mut bytes = vec![0; 65_536];
            let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
            while let Ok(n) = stream.read(&mut bytes) {
                if n == 0 {
                    break;
                }
                kept.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    (url, heard)
}

#[test]
fn a_notification_tells_what_happened_and_no_secret() {
    let place = Place::new(Span(50));
    let (url, heard) = listener(true);
    std::fs::write(place.path("token"), "planted-secret-1").expect("a file");
    let hooks =
        "hooks: {pre-shutdown: [{name: leaky, env: {TOKEN: {secret: {file: token}}}, run: [/bin/sh, -c, 'echo $TOKEN; exit 1']}]}\n";
    let told = place.path("told");
    let notify = format!(
        "notify:\n  - {{events: [started, failed, finished], http: {{url: \"{url}\", json: {{text: \"{{{{ event.text }}}}\", kind: \"{{{{ event.kind }}}}\"}}}}}}\n  - {{events: [finished], run: [/bin/sh, -c, 'echo \"$0\" > {}', \"{{{{ run.id }}}} {{{{ event.kind }}}}\"]}}\n",
        told.display()
    );
    with(&place, &format!("{hooks}{notify}"));
    place.run(&["apply", "gated.yaml", "--yes"]).code(4);
    let heard = heard.lock().expect("not poisoned").clone();
    for word in ["started", "s-001 web-1 -> spare-1", "leaky", "finished", "\"kind\":\"failed\""] {
        assert!(heard.contains(word), "{word}: {heard}");
    }
    assert!(!heard.contains("planted-secret"), "{heard}");
    assert_eq!(std::fs::read_to_string(told).expect("it was told").trim(), "r-1 finished");
}

#[test]
fn a_far_side_that_hangs_or_refuses_stops_nothing() {
    let place = Place::new(Span(50));
    let (url, _) = listener(false);
    let one =
        |url: &str| format!("  - {{events: [started, finished], http: {{url: \"{url}\", json: {{text: \"{{{{ event.text }}}}\"}}}}}}\n");
    with(&place, &format!("notify:\n{}{}", one(&url), one("http://127.0.0.1:1/nobody")));
    let began = Instant::now();
    let child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    place.wait_for("\"finished\",\"switchover\":\"s-002\"");
    assert!(began.elapsed() < Duration::from_secs(15), "the run itself is not slowed");
    ends(child, 0);
}

#[test]
fn what_the_limits_hold_back_is_in_the_journal_and_in_the_report() {
    let place = Place::new(Span(200));
    with(&place, "limits: {start_rate: 1/s}");
    let report = place.json(&["apply", "gated.yaml", "--yes"], 0);
    let started = |n: usize| report["switchovers"][n]["started_at"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    assert!((started(1) - started(0)).get_milliseconds() + 1000 * (started(1) - started(0)).get_seconds() >= 1_000);
    assert_eq!(report["switchovers"][1]["waited"][0]["limit"], "start_rate");
    assert!(place.json(&["journal", "r-1"], 0).to_string().contains("start_rate"));
}
