//! How it is asked: microversion, pages, patience, logins.

use super::*;
use coldswap::model::{FaultKind, TargetId};
use coldswap::ports::Inventory;

const VERSION: &str = "x-openstack-ironic-api-version";

#[tokio::test]
async fn the_newest_microversion_that_both_know_is_asked_for() {
    for (newest, cap, want) in
        [("1.115", "", "1.115"), ("1.200", "", "1.115"), ("1.72", "", "1.72"), ("1.115", "1.82", "1.82"), ("1.61", "", "1.61")]
    {
        let fake = service(&[running()], &[], &[]).await;
        fake.instead("GET /v1", discovery(newest));
        let around = by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", fake.url()), ("OS_BAREMETAL_API_VERSION", cap)]);
        Ironic::new(None, around, quick()).fleet().await.expect("a fleet");
        let asked = fake.asked();
        assert_eq!((asked[0].line.as_str(), asked[0].header(VERSION)), ("GET /v1", None));
        assert!(asked[1..].iter().all(|a| a.header(VERSION) == Some(want)), "{newest} {cap}: {asked:?}");
    }
}

#[tokio::test]
async fn an_ironic_that_is_too_old_or_none_is_refused_in_words() {
    let fake = Fake::start().await;
    fake.on("GET /v1", discovery("1.58"));
    let told = open(&fake).fleet().await.expect_err("too old").detail;
    assert!(told.contains("1.58") && told.contains("1.61"), "{told}");
    fake.instead("GET /v1", ok(json!({"version": {"id": "v1", "min_version": "1.120", "version": "1.130"}})));
    let told = open(&fake).fleet().await.expect_err("too new").detail;
    assert!(told.contains("1.120 and newer") && told.contains("1.115"), "{told}");
    fake.instead("GET /v1", ok(json!({"hello": "world"})));
    assert!(open(&fake).fleet().await.expect_err("no Ironic").detail.contains("does not answer as Ironic does"));
    fake.instead("GET /v1", status(302).header("location", "http://elsewhere.example/v1"));
    assert!(open(&fake).fleet().await.expect_err("elsewhere").detail.contains("points elsewhere"));
    let capped = by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", fake.url()), ("OS_BAREMETAL_API_VERSION", "1.50")]);
    fake.instead("GET /v1", discovery("1.115"));
    let told = Ironic::new(None, capped, quick()).fleet().await.expect_err("held back").detail;
    assert!(told.contains("baremetal_api_version"), "{told}");
}

#[tokio::test]
async fn pages_are_followed_on_our_own_host_and_never_in_a_circle() {
    let names = ["bm01", "bm02", "bm03"];
    let uuid = |n: usize| format!("de63c6b3-9e14-4514-9203-00000000000{n}");
    let fake = service(&[], &[], &[]).await;
    for (n, name) in names.iter().enumerate() {
        let line = match n {
            0 => "GET /v1/nodes/detail?limit=500".to_owned(),
            _ => format!("GET /v1/nodes/detail?sort_key=id&limit=500&marker={}", uuid(n - 1)),
        };
        let mut page = json!({"nodes": [node(&uuid(n), name, json!({}))]});
        if n < 2 {
            page["next"] = json!(format!("http://inside.example:6385/v1/nodes/detail?sort_key=id&limit=500&marker={}", uuid(n)));
        }
        fake.instead(&line, ok(page));
    }
    let fleet = open(&fake).fleet().await.expect("a fleet");
    let mut found: Vec<&str> = fleet.nodes.values().map(|n| n.name.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, names);
    let circle = json!({"nodes": [], "next": format!("{}/v1/nodes/detail?limit=500", fake.url())});
    fake.instead(NODES, ok(circle));
    let told = open(&fake).fleet().await.expect_err("a circle");
    assert!(told.detail.contains("in a circle"), "{told}");
    assert!(fake.asked().len() < 20);
}

#[tokio::test]
async fn a_list_that_forgets_what_it_was_asked_is_asked_again_in_full() {
    let fake = service(&[running()], &[], &[]).await;
    let next = json!({"targets": [target(1, BM01, json!({}))], "next": "http://x/v1/volume/targets?limit=500&marker=m"});
    fake.instead(TARGETS, ok(next));
    let second = target(2, BM01, json!({"boot_index": 1, "volume_id": "vol-2"}));
    fake.on("GET /v1/volume/targets?limit=500&marker=m&detail=true", ok(json!({ "targets": [second] })));
    assert_eq!(open(&fake).fleet().await.expect("a fleet").targets.len(), 2);
}

#[tokio::test]
async fn a_lock_and_a_busy_ironic_are_waited_for_and_nothing_else_is() {
    let fake = service(&[running()], &[], &[]).await;
    fake.instead(NODES, fault(409, "Node bm01 is locked by host lab, please retry after the current operation is completed."));
    fake.on(NODES, fault(503, "No free conductor workers available"));
    fake.on(NODES, ok(json!({"nodes": [running()]})));
    assert_eq!(open(&fake).fleet().await.expect("a fleet").nodes.len(), 1);
    let count = |fake: &Fake| fake.asked().iter().filter(|a| a.line == NODES).count();
    assert_eq!(count(&fake), 3);
    for (code, said, kind) in [
        (409, "Node bm01 is associated with instance a.", FaultKind::Refused),
        (500, "Unknown sort field", FaultKind::Answered),
        (403, "Forbidden", FaultKind::Refused),
        (400, "Bad", FaultKind::Refused),
    ] {
        let fake = service(&[], &[], &[]).await;
        fake.instead(NODES, fault(code, said));
        let told = open(&fake).fleet().await.expect_err("refused");
        assert_eq!((told.kind, count(&fake)), (kind, 1), "{code}");
        assert!(told.detail.contains(said.trim_end_matches('.')) && told.detail.contains("req-17"), "{told}");
    }
    let busy = service(&[], &[], &[]).await;
    busy.instead(NODES, fault(503, "No free conductor workers available"));
    let impatient = IronicOptions { patience: Duration::from_millis(700), ..quick() };
    let ironic = Ironic::new(None, by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", busy.url())]), impatient);
    let told = ironic.fleet().await.expect_err("busy for ever");
    assert_eq!(told.kind, FaultKind::Transient);
    assert_eq!(count(&busy), 2, "within its patience");
}

#[tokio::test]
async fn a_login_by_name_and_password_goes_with_every_request_but_the_first() {
    let fake = service(&[running()], &[], &[]).await;
    let vars = [("OS_AUTH_TYPE", "http_basic"), ("OS_ENDPOINT", fake.url()), ("OS_USERNAME", "admin"), ("OS_PASSWORD", "lab-secret")];
    Ironic::new(None, by(&vars), quick()).fleet().await.expect("a fleet");
    let asked = fake.asked();
    assert_eq!(asked[0].header("authorization"), None);
    assert!(asked[1..].iter().all(|a| a.header("authorization") == Some("Basic YWRtaW46bGFiLXNlY3JldA==")));
    fake.instead(NODES, status(401).body(r#"{"error": {"message": "Incorrect username or password", "code": 401}}"#));
    let told = Ironic::new(None, by(&vars), quick()).fleet().await.expect_err("refused").detail;
    assert!(told.contains("Incorrect username or password") && told.contains("`envvars`") && !told.contains("lab-secret"), "{told}");
    // What some put in front wants a login for the first as well.
    let door = service(&[running()], &[], &[]).await;
    door.instead("GET /v1", status(401));
    door.on("GET /v1", discovery("1.115"));
    let vars = vars.map(|(k, v)| (k, if k == "OS_ENDPOINT" { door.url() } else { v }));
    assert_eq!(Ironic::new(None, by(&vars), quick()).fleet().await.expect("a fleet").nodes.len(), 1);
    assert!(door.asked()[1].header("authorization").is_some());
}

fn token(value: &str, lives: u64, endpoint: &str) -> Canned {
    let from = jiff::Timestamp::UNIX_EPOCH;
    let until = from + jiff::SignedDuration::from_secs(lives as i64);
    let catalog =
        json!([{"type": "baremetal", "endpoints": [{"interface": "public", "region_id": "one", "url": format!("{endpoint}/v1")}]}]);
    status(201)
        .header("x-subject-token", value)
        .body(&json!({"token": {"issued_at": from.to_string(), "expires_at": until.to_string(), "catalog": catalog}}).to_string())
}

const LOGIN: &str = "POST /identity/v3/auth/tokens";

fn keystone(fake: &Fake) -> Ironic {
    let auth = format!("{}/identity", fake.url());
    let vars = [
        ("OS_AUTH_URL", auth.as_str()),
        ("OS_USERNAME", "ops"),
        ("OS_PASSWORD", "s3cret"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_NAME", "admin"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
    ];
    Ironic::new(None, by(&vars), quick())
}

#[tokio::test]
async fn one_token_serves_until_it_ends_and_a_refused_one_is_renewed_once() {
    let fake = service(&[running()], &[], &[]).await;
    fake.on(LOGIN, token("t-1", 3600, fake.url()));
    fake.on(LOGIN, token("t-2", 3600, fake.url()));
    let ironic = keystone(&fake);
    ironic.fleet().await.expect("a fleet");
    let logins = |fake: &Fake| fake.asked().iter().filter(|a| a.line == LOGIN).count();
    assert_eq!(logins(&fake), 1);
    let asked = fake.asked();
    assert!(asked[2..].iter().all(|a| a.header("x-auth-token") == Some("t-1")), "{asked:?}");
    assert_eq!(asked[0].json()["auth"]["scope"]["project"]["name"], "admin");
    // It was revoked: each of the lists that are asked for at once meets a 401, and all of them share one new token.
    fake.instead(NODES, status(401));
    fake.on(NODES, ok(json!({"nodes": [running()]})));
    ironic.fleet().await.expect("a fleet");
    assert_eq!(logins(&fake), 2);
    assert_eq!(fake.asked().last().and_then(|a| a.header("x-auth-token").map(str::to_owned)).as_deref(), Some("t-2"));
    fake.instead(NODES, status(401));
    let told = ironic.fleet().await.expect_err("refused").detail;
    assert!(told.contains("401") && told.contains("login"), "{told}");
    assert_eq!(logins(&fake), 3, "asked once more, and no more");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let fake = service(&[running()], &[], &[]).await;
    fake.on(LOGIN, token("short", 1, fake.url()));
    fake.on(LOGIN, token("long", 3600, fake.url()));
    let ironic = keystone(&fake);
    ironic.fleet().await.expect("a fleet");
    tokio::time::sleep(Duration::from_millis(600)).await;
    ironic.fleet().await.expect("a fleet");
    let used: Vec<String> = fake.asked().iter().filter_map(|a| a.header("x-auth-token").map(str::to_owned)).collect();
    assert_eq!((used.first().map(String::as_str), used.last().map(String::as_str)), (Some("short"), Some("long")));
}

#[tokio::test]
async fn what_keystone_says_of_a_login_is_told_without_what_was_sent() {
    let fake = Fake::start().await;
    for (code, word) in [(401, "credentials"), (403, "allow"), (404, "auth_url"), (400, "scope"), (503, "again")] {
        fake.instead(LOGIN, status(code).body(r#"{"error": {"message": "s3cret is wrong", "code": 401}}"#));
        let told = keystone(&fake).fleet().await.expect_err("no login").detail;
        assert!(told.contains(word) && told.contains(&code.to_string()) && !told.contains("s3cret"), "{told}");
    }
    fake.instead(LOGIN, token("t", 3600, fake.url()).body(r#"{"token": {"catalog": [{"type": "compute", "endpoints": []}]}}"#));
    let told = keystone(&fake).fleet().await.expect_err("no Ironic").detail;
    assert!(told.contains("has only compute") && told.contains("baremetal_endpoint_override"), "{told}");
}

#[tokio::test]
async fn one_volume_on_two_nodes_is_found_over_all_of_them() {
    let other =
        target(2, BM02, json!({"properties": {"target_iqn": "iqn.2026-11.lab:array", "target_lun": 1}, "volume_id": "another-name"}));
    let fake = service(&[], &[], &[target(1, BM01, json!({})), other]).await;
    let id: TargetId = "ab7d1005-b10a-4089-a530-565000000001".parse().expect("an id");
    let same = open(&fake).same_volume(id).await.expect("targets");
    assert_eq!(same.iter().map(|t| t.volume_id.as_str()).collect::<Vec<_>>(), ["another-name"]);
}
