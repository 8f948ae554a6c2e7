//! Hooks against real programs and a real socket.

use crate::cli::{Place, RUNBOOK};
use coldswap::adapter::hooks::{HookOptions, Hooks};
use coldswap::adapter::secrets::SystemSecrets;
use coldswap::model::*;
use coldswap::ports::{Deadline, HookRunner};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn hook(timeout: Span) -> Hook {
    Hook {
        name: "drain".into(),
        point: HookPoint::PreShutdown,
        action: sh("true"),
        check: None,
        undo: None,
        timeout,
        retries: 0,
        until: None,
        rerun: Rerun::Never,
        on_failure: OnFailure::Stop,
        lab: false,
    }
}

fn action(argv: &[&str]) -> RunAction {
    RunAction { argv: argv.iter().map(|a| (*a).to_owned()).collect(), env: BTreeMap::new(), directory: None, digest: None }
}

fn sh(script: &str) -> HookAction {
    HookAction::Run(action(&["sh", "-c", script]))
}

fn secret(value: &str) -> Sensitive {
    Sensitive::Secret(SecretRef::Command(vec!["printf".into(), "%s".into(), value.into()]))
}

fn hooks(lab: bool) -> Hooks {
    Hooks::new(HookOptions { lab, grace: Duration::from_millis(300) }, Arc::new(SystemSecrets::default()))
}

async fn run_within(timeout: Span, action: &HookAction) -> Result<HookResult, Fault> {
    let context = HookContext { run: RunId("r-7".into()), switchover: SwitchoverId(4), step: 2, attempt: 3 };
    hooks(false).run(&hook(timeout), action, &context, &Deadline::NONE).await
}

async fn run(action: &HookAction) -> Result<HookResult, Fault> {
    run_within(Span::secs(20), action).await
}

async fn ran(action: &HookAction) -> HookResult {
    run(action).await.expect("a result")
}

fn gone(pid: &str) -> bool {
    // A zombie has ended too.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "))
}

#[tokio::test]
async fn a_program_is_told_where_it_runs_and_its_exit_decides() {
    let result = ran(&HookAction::Run(RunAction {
        env: BTreeMap::from([("MINE".into(), Sensitive::Plain("at {{ attempt }}".into()))]),
        ..action(&[
            "sh",
            "-c",
            "echo $COLDSWAP_RUN $COLDSWAP_SWITCHOVER $COLDSWAP_STEP $COLDSWAP_ATTEMPT $MINE \"$1\"",
            "x",
            "{{ run.id }} $HOME; true",
        ])
    }))
    .await;
    let four = SwitchoverId(4);
    assert_eq!((result.succeeded, result.how.as_str()), (true, "exit 0"));
    assert_eq!(result.output, format!("r-7 {four} 2 3 at 3 r-7 $HOME; true\n"));
    let result = ran(&sh("echo out; echo err >&2; echo out; read line || exit 3")).await;
    assert_eq!((result.succeeded, result.how.as_str(), result.output.as_str()), (false, "exit 3", "out\nerr\nout\n"));
    assert_eq!(ran(&sh("kill -9 $$")).await.how, "ended by signal 9");
}

#[tokio::test]
async fn a_secret_goes_into_the_environment_and_does_not_come_back() {
    let env = BTreeMap::from([("TOKEN".into(), secret("hunter2-hunter2"))]);
    let result =
        ran(&HookAction::Run(RunAction { env: env.clone(), ..action(&["sh", "-c", "test ${#TOKEN} = 15 && echo \"token=$TOKEN.\""]) }))
            .await;
    assert_eq!((result.succeeded, result.output.as_str()), (true, "token=***.\n"));
    let missing = BTreeMap::from([("TOKEN".into(), Sensitive::Secret(SecretRef::Env("COLDSWAP_NO_SUCH".into())))]);
    let fault = run(&HookAction::Run(RunAction { env: missing, ..action(&["true"]) })).await.expect_err("no secret");
    assert!(fault.kind == FaultKind::Refused && fault.detail.contains("COLDSWAP_NO_SUCH"), "{fault}");
}

#[tokio::test]
async fn long_output_keeps_its_end() {
    let result = ran(&sh("seq 1 100000; echo last >&2")).await;
    assert!(result.output.len() <= OUTPUT_BYTES_MAX && result.output.ends_with("100000\nlast\n") && result.output.starts_with("... "));
}

#[tokio::test]
async fn a_program_that_takes_too_long_ends_with_all_that_it_started() {
    let dir = tempfile::tempdir().expect("dir");
    let pid = dir.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; echo waiting; wait", pid.display());
    let result = run_within(Span::millis(500), &sh(&script)).await.expect("a result");
    assert_eq!((result.succeeded, result.how.as_str(), result.output.as_str()), (false, "killed after 500ms", "waiting\n"));
    let child = std::fs::read_to_string(&pid).expect("pid");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(gone(child.trim()), "the sleep lives on");

    let before = std::time::Instant::now();
    let stubborn = run_within(Span::millis(300), &sh("trap '' TERM; echo no; while :; do sleep 1; done")).await.expect("a result");
    assert_eq!((stubborn.how.as_str(), stubborn.output.as_str()), ("killed after 300ms", "no\n"));
    assert!(before.elapsed() < Duration::from_secs(5));

    let polite = run_within(Span::millis(300), &sh("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done")).await.expect("a result");
    assert!(!polite.succeeded && polite.output.ends_with("bye\n"), "{polite:?}");
}

#[tokio::test]
async fn a_hook_that_is_given_up_is_ended() {
    let dir = tempfile::tempdir().expect("dir");
    let pid = dir.path().join("pid");
    let action = sh(&format!("sleep 60 & echo $! > {}; wait", pid.display()));
    let _ = tokio::time::timeout(Duration::from_millis(500), run(&action)).await.expect_err("it runs for a minute");
    let child = std::fs::read_to_string(&pid).expect("pid");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(gone(child.trim()), "the sleep lives on");
}

#[tokio::test]
async fn a_background_process_does_not_hold_up_the_result() {
    let before = std::time::Instant::now();
    let result = ran(&sh("sleep 3 & echo started")).await;
    assert_eq!((result.how.as_str(), result.output.as_str()), ("exit 0", "started\n"));
    assert!(before.elapsed() < Duration::from_millis(2500));
}

#[tokio::test]
async fn what_cannot_be_started_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let script = dir.path().join("x.sh");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").expect("script");
    let in_dir = |digest: Option<&str>| {
        let directory = Some(dir.path().display().to_string());
        HookAction::Run(RunAction { directory, digest: digest.map(Into::into), ..action(&["./x.sh"]) })
    };
    let refused = |result: Result<HookResult, Fault>, why: &str| {
        let fault = result.expect_err(why);
        assert!(fault.kind == FaultKind::Refused && fault.detail.contains(why), "{fault}");
    };
    refused(run(&HookAction::Run(action(&["/no/such/program"]))).await, "not found");
    refused(run(&HookAction::Run(action(&["coldswap-no-such-program"]))).await, "not found");
    refused(run(&HookAction::Run(action(&[]))).await, "no program");
    refused(run(&HookAction::Run(RunAction { directory: Some("/no/such".into()), ..action(&["true"]) })).await, "no directory");
    refused(run(&in_dir(None)).await, "executable");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    refused(run(&in_dir(Some(&"0".repeat(64)))).await, "changed since the plan");
    assert!(ran(&in_dir(None)).await.succeeded);
    use sha2::Digest;
    let digest: String = sha2::Sha256::digest("#!/bin/sh\nexit 0\n").iter().map(|b| format!("{b:02x}")).collect();
    assert!(ran(&in_dir(Some(&digest))).await.succeeded);
}

/// Answers each request with `answer` and tells what it got.
async fn web(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/notify/s3cr3t-path", listener.local_addr().expect("address"));
    let (send, got) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let n = socket.read(&mut request).await.unwrap_or(0);
            let _ = send.send(String::from_utf8_lossy(&request[..n]).into_owned());
            if answer.is_empty() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (address, got)
}

fn post(url: Sensitive) -> HttpAction {
    let json = Some(serde_json::json!({"text": ["run {{ run.id }}", 7]}));
    let headers = BTreeMap::from([("X-Key".into(), secret("hunter2-hunter2"))]);
    HttpAction { method: "POST".into(), url, headers, json, expect: vec![] }
}

#[tokio::test]
async fn a_request_carries_what_was_written_and_its_status_decides() {
    let (url, mut got) = web("HTTP/1.1 201 Created\r\ncontent-length: 20\r\n\r\nkey hunter2-hunter2.").await;
    let result = ran(&HookAction::Http(post(secret(&url)))).await;
    assert_eq!((result.succeeded, result.how.as_str(), result.output.as_str()), (true, "HTTP 201", "key ***."));
    let request = got.recv().await.expect("a request").to_lowercase();
    assert!(request.starts_with("post /notify/s3cr3t-path http/1.1") && request.contains("x-key: hunter2-hunter2"), "{request}");
    assert!(request.ends_with(r#"{"text":["run r-7",7]}"#), "{request}");
    let only_200 = HttpAction { expect: vec![200], ..post(Sensitive::Plain(url)) };
    assert!(!ran(&HookAction::Http(only_200)).await.succeeded);
    let (url, mut got) = web("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(ran(&HookAction::Http(post(Sensitive::Plain(url)))).await.how, "HTTP 302");
    got.recv().await.expect("a request");
    assert!(got.try_recv().is_err(), "a redirect was followed");
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_unknown_and_its_secret_url_is_not_shown() {
    let (url, _got) = web("").await;
    let fault = run_within(Span::millis(300), &HookAction::Http(post(secret(&url)))).await.expect_err("no answer");
    assert_eq!(fault.kind, FaultKind::Unknown);
    assert!(!fault.detail.contains("s3cr3t") && fault.detail.contains("no answer within 300ms"), "{fault}");
    let get = HttpAction { method: "get".into(), json: None, ..post(secret(&url)) };
    assert_eq!(run_within(Span::millis(300), &HookAction::Http(get)).await.expect_err("no answer").kind, FaultKind::Transient);

    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let nobody = format!("http://{port}/s3cr3t");
    let fault = run(&HookAction::Http(post(secret(&nobody)))).await.expect_err("nobody there");
    assert!(fault.kind == FaultKind::Transient && !fault.detail.contains("s3cr3t"), "{fault}");
    let fault = run(&HookAction::Http(post(secret("s3cr3t://x y")))).await.expect_err("no URL");
    assert!(fault.kind == FaultKind::Refused && !fault.detail.contains("s3cr3t"), "{fault}");
}

#[tokio::test]
async fn in_a_lab_only_hooks_that_say_so_run_and_nothing_leaves_the_machine() {
    let context = HookContext { run: RunId("r-7".into()), switchover: SwitchoverId(4), step: 2, attempt: 3 };
    let allowed = Hook { lab: true, ..hook(Span::secs(5)) };
    let result = hooks(true).run(&hook(Span::secs(5)), &sh("exit 1"), &context, &Deadline::NONE).await.expect("a result");
    assert_eq!((result.succeeded, result.how.as_str()), (true, "not run in a lab"));
    assert_eq!(hooks(true).run(&allowed, &sh("exit 1"), &context, &Deadline::NONE).await.expect("a result").how, "exit 1");
    for out in ["http://192.0.2.1/", "http://example.test/", "http://127.0.0.1.example.test/"] {
        let fault = hooks(true)
            .run(&allowed, &HookAction::Http(post(Sensitive::Plain(out.into()))), &context, &Deadline::NONE)
            .await
            .expect_err(out);
        assert!(fault.kind == FaultKind::Refused && fault.detail.contains("lab"), "{fault}");
    }
    let (url, _got) = web("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(
        hooks(true)
            .run(&allowed, &HookAction::Http(post(Sensitive::Plain(url))), &context, &Deadline::NONE)
            .await
            .expect("a result")
            .succeeded
    );
}

/// A real `kill -9`: the hook in hand ends with everything that it started; what a hook left running on purpose stays.
#[test]
fn a_hook_ends_when_the_program_is_killed() {
    let place = Place::new(Span(50));
    let leaves = "{name: leaves, run: [/bin/sh, -c, 'sleep 60 >/dev/null 2>&1 & echo $! > left']}";
    let hangs = "{name: hangs, run: [/bin/sh, -c, 'sleep 60 & echo $! > below; echo $$ > own; wait']}";
    let hooks = format!("hooks: {{pre-shutdown: [{leaves}, {hangs}]}}\n");
    place.write("gated.yaml", &(RUNBOOK.replace("[web-1, web-2]", "[web-1]") + &hooks));
    let mut child = place.spawn(&["apply", "gated.yaml", "--yes"]);
    let pid = |name: &str| std::fs::read_to_string(place.path(name)).unwrap_or_default().trim().to_owned();
    let began = std::time::Instant::now();
    while pid("own").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (own, below, left) = (pid("own"), pid("below"), pid("left"));
    assert!(!gone(&own) && !gone(&below) && !gone(&left));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let began = std::time::Instant::now();
    while !(gone(&own) && gone(&below)) {
        assert!(began.elapsed() < Duration::from_secs(5), "the hook lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!gone(&left), "it was left running by a hook that had ended");
    let left = rustix::process::Pid::from_raw(left.parse().expect("a number")).expect("a process");
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("it is ended");
}
