//! What the program leaves behind: exit codes, leases, sessions.

use crate::cli::{Place, text};
use coldswap::model::Span;
use std::process::Command;

/// Too few descriptors to begin with: the runtime fails, or panics. Either is told by the code that stands for it.
#[test]
fn a_panic_of_the_program_ends_with_exit_code_1() {
    let mut panicked = 0;
    for descriptors in 4..=7 {
        let script = format!("ulimit -n {descriptors}; exec {} runs", env!("CARGO_BIN_EXE_coldswap"));
        let directory = tempfile::tempdir().expect("a directory");
        let output = Command::new("bash").args(["-c", &script]).current_dir(directory.path()).output().expect("it runs");
        let said = text(&output.stderr);
        // Fewer than the loader itself needs is not the program's matter.
        if output.status.code() == Some(127) {
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{descriptors}: {said}");
        panicked += u32::from(said.contains("a bug in coldswap"));
    }
    assert!(panicked > 0, "nothing panicked");
}

fn leases(place: &Place) -> i64 {
    let db = rusqlite::Connection::open(place.path(".coldswap/state.db")).expect("the store");
    db.query_row("SELECT count(*) FROM leases", [], |row| row.get(0)).expect("a number")
}

#[test]
fn only_who_executes_a_run_writes_a_lease() {
    let place = Place::new(Span(300));
    let mut child = place.spawn(&["apply", "runbook.yaml", "--yes"]);
    place.wait_for("\"event\":\"intended\",\"switchover\":\"s-001\",\"step\":5");
    place.run(&["resume", "r-1"]).code(3);
    assert_eq!(leases(&place), 1, "whoever asks executes nothing");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    place.run(&["resume", "r-1"]).code(0);
    assert_eq!(leases(&place), 2);
    place.run(&["stop", "r-1"]).code(2);
    place.run(&["pause", "r-1"]).code(2);
    assert_eq!(leases(&place), 2, "nobody executes a run that has ended");
}

/// From here on the program logs in at every BMC.
pub fn log_in(place: &Place) {
    std::fs::write(place.path("pw"), "made-up").expect("a file");
    let inventory = std::fs::read_to_string(place.path("inventory.yaml")).expect("the inventory");
    let system = r#"system: "/redfish/v1/Systems/1""#;
    assert!(inventory.contains(system), "{inventory}");
    let with_login = inventory.replace(system, &format!("{system}, username: admin, password: {{secret: {{file: pw}}}}"));
    place.write("with-login.yaml", &with_login);
    place.run(&["inventory", "import", "with-login.yaml"]).code(0);
}

/// Logins and logouts of one command.
fn sessions(place: &Place, args: &[&str], code: i32) -> (usize, usize) {
    place.lab.clear_requests();
    place.run(args).code(code);
    let requests = place.lab.requests().latest;
    let count = |method: &str| requests.iter().filter(|r| r.method == method && r.path.contains("SessionService/Sessions")).count();
    (count("POST"), count("DELETE"))
}

#[test]
fn every_session_is_closed_also_where_a_saved_plan_is_refused() {
    let place = Place::new(Span(50));
    log_in(&place);
    place.run(&["plan", "runbook.yaml", "--out", "plan.json"]).code(0);
    let (logins, logouts) = sessions(&place, &["apply", "plan.json", "--yes"], 0);
    assert!(logins > 0 && logins == logouts, "{logins} {logouts}");
    // It was used, which is found out after the BMCs were asked.
    let (logins, logouts) = sessions(&place, &["apply", "plan.json", "--yes"], 3);
    assert!(logins > 0 && logins == logouts, "{logins} {logouts}");
}
