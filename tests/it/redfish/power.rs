use super::fake::*;
use coldswap::adapter::redfish::{Redfish, RedfishOptions};
use coldswap::adapter::secrets::SystemSecrets;
use coldswap::model::*;
use coldswap::ports::{Bmc, Deadline};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn only_the_five_words_of_the_specification_are_power_states() {
    let fake = Fake::with_system(system()).await;
    let redfish = redfish();
    for (said, seen) in [
        (json!("On"), PowerState::On),
        (json!("Off"), PowerState::Off),
        (json!("PoweringOn"), PowerState::PoweringOn),
        (json!("PoweringOff"), PowerState::PoweringOff),
        (json!("Paused"), PowerState::Paused),
        (json!(null), PowerState::Unknown),
        (json!("Reset"), PowerState::Unknown),
        (json!("off"), PowerState::Unknown),
        (json!(false), PowerState::Unknown),
        (json!({}), PowerState::Unknown),
    ] {
        fake.instead(&format!("GET {SYSTEM}"), ok(system_but(json!({"PowerState": said}))));
        assert_eq!(redfish.read(&fake.at()).await.expect("reading").power, seen, "{said}");
    }
    fake.instead(&format!("GET {SYSTEM}"), ok(json!({"@odata.id": SYSTEM})));
    let reading = redfish.read(&fake.at()).await.expect("reading");
    assert_eq!(reading, SystemReading::default(), "a BMC that has not woken up says nothing");
}

#[tokio::test]
async fn boot_progress_is_read_and_its_absence_is_no_progress() {
    let fake = Fake::with_system(system()).await;
    let redfish = redfish();
    for (said, seen) in [
        (json!({"LastState": "OSRunning"}), Some(BootProgress::OsRunning)),
        (json!({"LastState": "OSBootStarted"}), Some(BootProgress::OsBootStarted)),
        (json!({"LastState": "SystemHardwareInitializationComplete"}), Some(BootProgress::Firmware)),
        (json!({"LastState": "None"}), Some(BootProgress::Firmware)),
        (json!({"LastState": null}), None),
        (json!({"LastState": "OEM"}), None),
        (json!(null), None),
    ] {
        fake.instead(&format!("GET {SYSTEM}"), ok(system_but(json!({"BootProgress": said}))));
        assert_eq!(redfish.read(&fake.at()).await.expect("reading").boot_progress, seen, "{said}");
    }
}

#[tokio::test]
async fn a_look_at_a_named_system_is_one_request() {
    let fake = Fake::with_system(system()).await;
    let reading = redfish().read(&fake.at()).await.expect("reading");
    assert_eq!(fake.lines(), [format!("GET {SYSTEM}")]);
    assert_eq!(reading.identity.system_uuid.as_deref(), Some("6e6f6465-0000-4000-8000-000000000001"));
    assert_eq!(reading.identity.serial_number.as_deref(), Some("CZ1"));
    assert!(fake.asked()[0].header("authorization").is_none() && fake.asked()[0].header("x-auth-token").is_none());
}

#[tokio::test]
async fn the_only_system_is_found_once_and_several_are_refused_by_name() {
    let fake = Fake::with_system(system()).await;
    let redfish = redfish();
    redfish.read(&fake.unnamed()).await.expect("reading");
    redfish.read(&fake.unnamed()).await.expect("reading");
    let walk = ["GET /redfish/v1/", "GET /redfish/v1/Systems", "GET /redfish/v1/Systems/1", "GET /redfish/v1/Systems/1"];
    assert_eq!(fake.lines(), walk);

    let fake = Fake::with_system(system()).await;
    let two = json!({"Members": [{"@odata.id": SYSTEM}, {"@odata.id": "/redfish/v1/Systems/HGX_Baseboard_0"}]});
    fake.instead("GET /redfish/v1/Systems", ok(two));
    let fault = redfish.read(&fake.unnamed()).await.expect_err("two systems");
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.detail.contains("HGX_Baseboard_0") && fault.detail.contains(SYSTEM), "{fault}");

    let paged = json!({"Members": [{"@odata.id": SYSTEM}], "Members@odata.nextLink": "/redfish/v1/Systems?page=2"});
    fake.instead("GET /redfish/v1/Systems", ok(paged));
    fake.instead("GET /redfish/v1/Systems?page=2", ok(json!({"Members": [{"@odata.id": "/redfish/v1/Systems/2"}]})));
    assert_eq!(redfish.read(&fake.unnamed()).await.expect_err("a second page").kind, FaultKind::Refused);

    fake.instead("GET /redfish/v1/Systems", ok(json!({"Members": null})));
    assert_eq!(redfish.read(&fake.unnamed()).await.expect_err("none yet").kind, FaultKind::Answered);
}

#[tokio::test]
async fn a_reset_goes_to_the_target_that_the_system_names() {
    let action =
        json!({"#ComputerSystem.Reset": {"target": "/redfish/v1/Oem/Reset", "ResetType@Redfish.AllowableValues": ["PowerOn", "ForceOff"]}});
    let fake = Fake::with_system(system_but(json!({"Actions": action}))).await;
    fake.on("POST /redfish/v1/Oem/Reset", status(204));
    let redfish = redfish();
    redfish.reset(&fake.at(), ResetType::On, &Deadline::NONE).await.expect("on");
    assert_eq!(fake.commands()[0].json(), json!({"ResetType": "PowerOn"}));
    let fault = redfish.reset(&fake.at(), ResetType::GracefulShutdown, &Deadline::NONE).await.expect_err("not allowed");
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(fake.commands().len(), 1, "an unknown value is never sent");
    // The first reset read the system, the second knew it.
    assert_eq!(fake.lines().iter().filter(|l| l.starts_with("GET")).count(), 1);
}

#[tokio::test]
async fn what_a_system_says_of_reset_decides_what_is_sent() {
    let by_info = json!({"target": RESET, "@Redfish.ActionInfo": "/redfish/v1/Systems/1/ResetActionInfo"});
    let inline = |values: Value| json!({"target": RESET, "ResetType@Redfish.AllowableValues": values});
    let cases: [(Value, ResetType, Option<&str>); 9] = [
        (inline(json!(["On", "ForceOff", "GracefulShutdownGracefulRestart"])), ResetType::GracefulShutdown, Some("GracefulShutdown")),
        (inline(json!(["On", "PowerOffGraceful"])), ResetType::GracefulShutdown, Some("PowerOffGraceful")),
        (inline(json!(["On", "GracefulShutdown"])), ResetType::ForceOff, None),
        (inline(json!([])), ResetType::ForceOff, Some("ForceOff")),
        (inline(json!(null)), ResetType::ForceOff, Some("ForceOff")),
        (json!({"target": RESET}), ResetType::GracefulShutdown, Some("GracefulShutdown")),
        (by_info.clone(), ResetType::ForceOff, Some("ForceOff")),
        (by_info, ResetType::GracefulShutdown, None),
        (json!(null), ResetType::On, None),
    ];
    for (action, reset, sent) in cases {
        let fake = Fake::with_system(system_but(json!({"Actions": {"#ComputerSystem.Reset": action}}))).await;
        let parameters = json!({"Parameters": [{"Name": "Other"}, {"Name": "ResetType", "AllowableValues": ["On", "ForceOff"]}]});
        fake.on("GET /redfish/v1/Systems/1/ResetActionInfo", ok(parameters));
        let result = redfish().reset(&fake.at(), reset, &Deadline::NONE).await;
        let words: Vec<Value> = fake.commands().iter().map(|c| c.json()["ResetType"].clone()).collect();
        match sent {
            Some(word) => assert_eq!((result, words), (Ok(()), vec![json!(word)]), "{action}"),
            None => assert!(result.is_err_and(|f| f.kind == FaultKind::Refused) && words.is_empty(), "{action}"),
        }
    }
}

#[tokio::test]
async fn a_reset_of_a_bmc_that_is_starting_may_be_tried_again() {
    let fake = Fake::with_system(json!({"@odata.id": SYSTEM})).await;
    let fault = redfish().reset(&fake.at(), ResetType::On, &Deadline::NONE).await.expect_err("nothing known");
    assert_eq!((fault.kind, fake.commands().len()), (FaultKind::Transient, 0));
}

#[tokio::test]
async fn what_became_of_a_reset_is_told_apart_and_it_is_sent_once() {
    for (answer, kind) in [
        (status(500), Some(FaultKind::Unknown)),
        (status(503).header("retry-after", "0"), Some(FaultKind::Unknown)),
        (status(501), Some(FaultKind::Refused)),
        (status(400), Some(FaultKind::Refused)),
        (status(409), Some(FaultKind::Refused)),
        (status(404), Some(FaultKind::Refused)),
        (status(307).header("location", "/elsewhere"), Some(FaultKind::Refused)),
        (status(429), Some(FaultKind::Transient)),
        (status(200).body("{}"), None),
        (status(202), None),
        (status(204), None),
        (status(204).delay(Duration::from_secs(3)), Some(FaultKind::Unknown)),
    ] {
        let fake = Fake::with_system(system()).await;
        fake.instead(&format!("POST {RESET}"), answer.clone());
        let result = redfish().reset(&fake.at(), ResetType::ForceOff, &Deadline::NONE).await;
        assert_eq!(result.err().map(|f| f.kind), kind, "{answer:?}");
        assert_eq!(fake.commands().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_bmc_that_refuses_is_quoted() {
    let fake = Fake::with_system(system()).await;
    let body = r#"{"error":{"@Message.ExtendedInfo":[{"Message":"The system is already off."}]}}"#;
    fake.instead(&format!("POST {RESET}"), status(409).body(body));
    let fault = redfish().reset(&fake.at(), ResetType::ForceOff, &Deadline::NONE).await.expect_err("409");
    assert!(fault.detail.contains("POST http://127.0.0.1") && fault.detail.contains(RESET), "{fault}");
    assert!(fault.detail.contains("409 Conflict: The system is already off."), "{fault}");
}

#[tokio::test]
async fn a_task_is_followed_and_its_failure_is_unknown() {
    let fake = Fake::with_system(system()).await;
    fake.instead(&format!("POST {RESET}"), status(202).header("location", "/redfish/v1/TaskService/Tasks/7/Monitor"));
    fake.on("GET /redfish/v1/TaskService/Tasks/7/Monitor", status(202).body(r#"{"TaskState":"Running"}"#));
    fake.on("GET /redfish/v1/TaskService/Tasks/7/Monitor", status(204));
    redfish().reset(&fake.at(), ResetType::On, &Deadline::NONE).await.expect("done");
    assert_eq!(fake.lines().iter().filter(|l| l.contains("Tasks/7")).count(), 2);

    fake.instead("GET /redfish/v1/TaskService/Tasks/7/Monitor", ok(json!({"TaskState": "Exception"})));
    assert_eq!(redfish().reset(&fake.at(), ResetType::On, &Deadline::NONE).await.expect_err("failed").kind, FaultKind::Unknown);

    fake.instead("GET /redfish/v1/TaskService/Tasks/7/Monitor", status(202).body(r#"{"TaskState":"Running"}"#));
    let before = std::time::Instant::now();
    redfish().reset(&fake.at(), ResetType::On, &Deadline::NONE).await.expect("followed long enough");
    assert!(before.elapsed() < Duration::from_secs(4));
}

/// A server that reads one request and then does `with` the connection; counts connections.
async fn rude(with: &'static str, good_after: usize) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let n = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let body = system().to_string();
            let good = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let answer = if n >= good_after || request.starts_with(b"GET") && with == "cut posts" { good.as_str() } else { "" };
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_connection_that_breaks_is_read_again_and_a_command_is_unknown() {
    let (address, count) = rude("cut", 2).await;
    let redfish = redfish();
    let reading = redfish.read(&endpoint(&address, Some(SYSTEM))).await.expect("the third time");
    assert_eq!((reading.power, count.load(std::sync::atomic::Ordering::SeqCst)), (PowerState::Off, 3));

    let (address, count) = rude("cut posts", usize::MAX).await;
    let fault = redfish.reset(&endpoint(&address, Some(SYSTEM)), ResetType::On, &Deadline::NONE).await.expect_err("cut");
    assert_eq!((fault.kind, count.load(std::sync::atomic::Ordering::SeqCst)), (FaultKind::Unknown, 2), "{fault}");
    assert!(fault.detail.contains("may have been carried out"), "{fault}");
}

#[tokio::test]
async fn what_was_never_sent_is_transient() {
    let fake = Fake::with_system(system()).await;
    let redfish = redfish();
    redfish.read(&fake.at()).await.expect("reading");
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("address"))
    };
    let fault = redfish.reset(&endpoint(&gone, Some(SYSTEM)), ResetType::On, &Deadline::NONE).await.expect_err("nobody there");
    assert_eq!(fault.kind, FaultKind::Transient);
    assert!(fault.detail.contains("refused"), "{fault}");
    let fault = redfish.read(&endpoint("http://no-such-host.invalid", Some(SYSTEM))).await.expect_err("no name");
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
}

#[tokio::test]
async fn a_busy_bmc_is_read_again_when_it_says_so_and_not_for_ever() {
    let fake = Fake::with_system(system()).await;
    let line = format!("GET {SYSTEM}");
    fake.instead(&line, status(503).header("retry-after", "1"));
    fake.on(&line, status(429));
    fake.on(&line, ok(system()));
    let before = std::time::Instant::now();
    redfish().read(&fake.at()).await.expect("the third time");
    assert!(before.elapsed() >= Duration::from_secs(1) && fake.lines().len() == 3);

    fake.instead(&line, status(503).header("retry-after", "3600").body("starting"));
    let fault = redfish().read(&fake.at()).await.expect_err("an hour is too long");
    assert_eq!(fault.kind, FaultKind::Answered);
    assert!(fault.detail.contains("503") && fault.detail.contains("starting"), "{fault}");

    for (answer, kind) in
        [(status(404), FaultKind::Answered), (status(403), FaultKind::Refused), (status(200).body("<html>"), FaultKind::Answered)]
    {
        fake.instead(&line, answer);
        assert_eq!(redfish().read(&fake.at()).await.expect_err("no system").kind, kind);
    }
}

#[tokio::test]
async fn a_read_follows_a_redirect_only_within_the_bmc() {
    let fake = Fake::with_system(system()).await;
    fake.on("GET /redfish/v1/Systems/name", status(307).header("location", SYSTEM));
    let named = |path: &str| BmcEndpoint { system: Some(path.into()), ..fake.at() };
    assert_eq!(redfish().read(&named("/redfish/v1/Systems/name")).await.expect("followed").power, PowerState::Off);
    let other = Fake::with_system(system()).await;
    fake.on("GET /redfish/v1/Systems/away", status(307).header("location", &format!("{}{SYSTEM}", other.at().address)));
    assert_eq!(redfish().read(&named("/redfish/v1/Systems/away")).await.expect_err("away").kind, FaultKind::Refused);
    assert!(other.lines().is_empty());
    fake.on("GET /redfish/v1/Systems/round", status(307).header("location", "/redfish/v1/Systems/round"));
    assert!(redfish().read(&named("/redfish/v1/Systems/round")).await.is_err());
}

#[tokio::test]
async fn a_bmc_gets_one_request_at_a_time_and_a_late_command_is_not_sent() {
    let fake = Fake::with_system(system()).await;
    fake.instead(&format!("GET {SYSTEM}"), ok(system()).delay(Duration::from_millis(100)));
    let redfish = Arc::new(redfish());
    let before = std::time::Instant::now();
    let reads = (0..4).map(|_| {
        let (redfish, at) = (Arc::clone(&redfish), fake.at());
        tokio::spawn(async move { redfish.read(&at).await })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.expect("task").expect("reading");
    }
    assert!(before.elapsed() >= Duration::from_millis(400));

    // Reads that hang keep the BMC busy for longer than a command may wait.
    let slow = RedfishOptions { request_timeout: Duration::from_millis(300), read_time: Duration::from_secs(5), ..options() };
    let redfish = Arc::new(Redfish::new(slow, Arc::new(SystemSecrets::default())));
    fake.instead(&format!("GET {SYSTEM}"), ok(system()));
    redfish.read(&fake.at()).await.expect("reading");
    fake.instead(&format!("GET {SYSTEM}"), ok(system()).delay(Duration::from_secs(30)));
    for _ in 0..4 {
        let (redfish, at) = (Arc::clone(&redfish), fake.at());
        tokio::spawn(async move { redfish.read(&at).await });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let fault = redfish.reset(&fake.at(), ResetType::On, &Deadline::NONE).await.expect_err("too late");
    assert_eq!((fault.kind, fake.commands().len()), (FaultKind::Transient, 0), "{fault}");
}

#[tokio::test]
async fn a_bmc_may_have_limits_of_its_own() {
    let (slow, other) = (Fake::with_system(system()).await, Fake::with_system(system()).await);
    for fake in [&slow, &other] {
        fake.instead(&format!("POST {RESET}"), status(204).delay(Duration::from_millis(700)));
    }
    let address = slow.at().address;
    let common = options();
    let patient = coldswap::adapter::redfish::Limits { request_timeout: Duration::from_secs(5), ..common.limits() };
    let overrides: coldswap::adapter::redfish::Overrides = Arc::new(move |at| (at.address == address).then(|| patient.clone()));
    let redfish = Redfish::new(RedfishOptions { overrides: Some(overrides), ..common }, Arc::new(SystemSecrets::default()));
    redfish.reset(&slow.at(), ResetType::On, &Deadline::NONE).await.expect("it takes its time");
    assert_eq!(redfish.reset(&other.at(), ResetType::On, &Deadline::NONE).await.expect_err("too slow").kind, FaultKind::Unknown);
}

/// A server that writes these bytes for each request and then closes, or holds on.
async fn says(answers: &'static [&'static str], holds: bool) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(async move {
        let mut turn = 0;
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answers[turn.min(answers.len() - 1)].as_bytes()).await;
            turn += 1;
            if holds {
                held.push(socket);
            }
        }
    });
    address
}

/// Who sends anything at all has power, and so may its machine: neither an agent nor a person is asked instead.
#[tokio::test]
async fn a_bmc_that_sends_anything_is_not_silent() {
    const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"PowerState\":\"On\"}";
    const BUSY: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}";
    const EVERY: [(&[&str], bool); 6] = [
        (&[CUT], false),
        (&[CUT], true),
        (&[BUSY, BUSY, BUSY, ""], false),
        (&[CHUNKS], false),
        (&["SSH-2.0-x\r\n"], false),
        (&["", BUSY, ""], false),
    ];
    let options =
        RedfishOptions { request_timeout: Duration::from_millis(600), read_time: Duration::from_secs(3), ..RedfishOptions::default() };
    for (answers, holds) in EVERY {
        let redfish = Redfish::new(options.clone(), Arc::new(SystemSecrets::default()));
        let began = std::time::Instant::now();
        let at = endpoint(&says(answers, holds).await, Some(SYSTEM));
        let fault = redfish.read(&at).await.expect_err("nothing to be used");
        assert_eq!(fault.kind, FaultKind::Answered, "{answers:?}, {holds}: {fault}");
        assert!(redfish.heard(&at, began) && !redfish.heard(&at, std::time::Instant::now()));
    }
    for (answers, holds) in [(&[""], false), (&[""], true)] {
        let redfish = Redfish::new(options.clone(), Arc::new(SystemSecrets::default()));
        let fault = redfish.read(&endpoint(&says(answers, holds).await, Some(SYSTEM))).await.expect_err("silence");
        assert!(fault.is_silence(), "{holds}: {fault}");
    }
}
