use super::fake::*;
use coldswap::model::*;
use coldswap::ports::{Bmc, Deadline};
use serde_json::json;

const SESSIONS: &str = "POST /redfish/v1/SessionService/Sessions";
const BASIC: &str = "Basic YWRtaW46aHVudGVyMi1odW50ZXIy";

async fn with_sessions() -> Fake {
    let fake = Fake::with_system(system()).await;
    let links = json!({"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}});
    fake.instead("GET /redfish/v1/", ok(json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": links})));
    for n in 1..=3 {
        let place = format!("/redfish/v1/SessionService/Sessions/{n}");
        fake.on(SESSIONS, status(201).header("x-auth-token", &format!("token-{n}")).header("location", &place));
        fake.on(&format!("DELETE {place}"), status(204));
    }
    fake
}

#[tokio::test]
async fn one_session_serves_all_requests_and_is_closed() {
    let fake = with_sessions().await;
    let redfish = redfish();
    assert!(fake.lines().is_empty(), "nobody logs in before there is something to ask");
    let at = fake.with_login();
    let unnamed = BmcEndpoint { system: None, ..fake.with_login() };
    let (a, b, c) = tokio::join!(redfish.read(&at), redfish.read(&at), redfish.read(&unnamed));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    redfish.reset(&at, ResetType::ForceOff, &Deadline::NONE).await.expect("off");
    let asked = fake.asked();
    let logins: Vec<_> = asked.iter().filter(|a| a.line == SESSIONS).collect();
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].json(), json!({"UserName": "admin", "Password": PASSWORD}));
    for one in asked.iter().filter(|a| a.line.contains("Systems")) {
        assert_eq!(one.header("x-auth-token"), Some("token-1"), "{}", one.line);
        assert!(one.header("authorization").is_none());
    }
    redfish.close().await;
    redfish.close().await;
    let ends: Vec<_> = fake.asked().into_iter().filter(|a| a.line.starts_with("DELETE")).collect();
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].header("x-auth-token"), ends[0].body.as_str()), (Some("token-1"), ""));
    assert!(ends[0].header("content-length").is_none(), "no body on DELETE");
}

#[tokio::test]
async fn a_session_that_ended_is_opened_again_once() {
    let ended = r#"{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.8.NoValidSession"}]}}"#;
    for gone in [status(401), status(403).body(ended)] {
        let fake = with_sessions().await;
        let redfish = redfish();
        redfish.read(&fake.with_login()).await.expect("reading");
        let post = format!("POST {RESET}");
        fake.instead(&post, gone.clone());
        fake.on(&post, status(204));
        redfish.reset(&fake.with_login(), ResetType::On, &Deadline::NONE).await.expect("with a new session");
        let resets: Vec<_> = fake.asked().into_iter().filter(|a| a.line == post).collect();
        let tokens: Vec<_> = resets.iter().map(|r| r.header("x-auth-token")).collect();
        assert_eq!(tokens, [Some("token-1"), Some("token-2")]);
        fake.instead(&format!("GET {SYSTEM}"), gone);
        let before = fake.lines().len();
        assert_eq!(redfish.read(&fake.with_login()).await.expect_err("never").kind, FaultKind::Refused);
        assert_eq!(fake.lines().len() - before, 3, "read, login, read, and no more");
    }
}

#[tokio::test]
async fn where_sessions_are_refused_name_and_password_go_with_each_request() {
    for refusal in [status(401), status(404), status(405), status(503), status(201)] {
        let fake = with_sessions().await;
        fake.instead(SESSIONS, refusal.clone());
        let redfish = redfish();
        redfish.read(&fake.with_login()).await.expect("reading");
        redfish.read(&fake.with_login()).await.expect("reading");
        let asked = fake.asked();
        assert_eq!(asked.iter().filter(|a| a.line == SESSIONS).count(), 1, "{refusal:?}");
        let reads = asked.iter().filter(|a| a.line.ends_with(SYSTEM));
        assert!(reads.clone().count() == 2 && reads.clone().all(|r| r.header("authorization") == Some(BASIC)), "{refusal:?}");
        redfish.close().await;
        assert!(!fake.lines().iter().any(|l| l.starts_with("DELETE")));
    }
    // No SessionService at all, and a ServiceRoot that wants a login itself.
    for root in [ok(json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}})), status(401)] {
        let fake = Fake::with_system(system()).await;
        fake.instead("GET /redfish/v1/", root);
        redfish().read(&fake.with_login()).await.expect("reading");
        assert!(fake.commands().is_empty());
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_no_more_than_needed_and_never_shown() {
    let fake = with_sessions().await;
    let echo = format!(r#"{{"error":{{"message":"{PASSWORD} is wrong"}}}}"#);
    fake.instead(SESSIONS, status(401).body(&echo));
    fake.instead(&format!("GET {SYSTEM}"), status(401));
    let fault = redfish().read(&fake.with_login()).await.expect_err("wrong");
    assert_eq!((fault.kind, fake.lines().len()), (FaultKind::Refused, 3));
    assert!(fault.detail.contains("bmc.password") && !fault.detail.contains(PASSWORD), "{fault}");

    let half = BmcEndpoint { password: None, ..fake.with_login() };
    assert!(redfish().read(&half).await.expect_err("half a login").detail.contains("both"));
    let none = redfish().read(&fake.at()).await.expect_err("no login");
    assert!(none.detail.contains("wants a login"), "{none}");
    let missing = BmcEndpoint { password: Some(SecretRef::Env("COLDSWAP_NO_SUCH".into())), ..fake.with_login() };
    let before = fake.lines().len();
    assert!(redfish().read(&missing).await.expect_err("no secret").detail.contains("COLDSWAP_NO_SUCH"));
    assert_eq!(fake.lines().len(), before);
}

#[tokio::test]
async fn a_login_that_gets_lost_leaves_the_command_unsent() {
    let fake = with_sessions().await;
    fake.instead(SESSIONS, status(201).delay(std::time::Duration::from_secs(3)));
    let fault = redfish().reset(&fake.with_login(), ResetType::On, &Deadline::NONE).await.expect_err("no session");
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
    assert!(!fake.lines().iter().any(|l| l.contains("Reset")));
}

#[tokio::test]
async fn closing_does_not_wait_for_a_bmc_that_hangs() {
    let fake = with_sessions().await;
    let redfish = redfish();
    redfish.read(&fake.with_login()).await.expect("reading");
    fake.instead("DELETE /redfish/v1/SessionService/Sessions/1", status(204).delay(std::time::Duration::from_secs(60)));
    let before = std::time::Instant::now();
    redfish.close().await;
    assert!(before.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn an_address_with_a_prefix_is_one_bmc_among_many() {
    let fake = Fake::start().await;
    let sessions = json!({"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}});
    fake.on("GET /bmc/7/redfish/v1/", ok(json!({"Systems": {"@odata.id": "/bmc/7/redfish/v1/Systems"}, "Links": sessions})));
    fake.on("GET /bmc/7/redfish/v1/Systems", ok(json!({"Members": [{"@odata.id": SYSTEM}]})));
    fake.on(&format!("GET /bmc/7{SYSTEM}"), ok(system()));
    let at = BmcEndpoint { address: format!("{}/bmc/7", fake.at().address), ..fake.unnamed() };
    let report = redfish().report(&at, Further::ALL).await.expect("report");
    assert_eq!(report.system, SYSTEM);
}
