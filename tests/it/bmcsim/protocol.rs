//! What DSP0266 and clients want of a service.

use super::*;

#[tokio::test]
async fn nobody_gets_in_without_a_name_and_sessions_are_few() {
    let auth = Some(Credentials { username: "admin".into(), password: "made-up".into() });
    let machines = vec![MachineSpec { session_limit: 2, ..booting("a", "v") }];
    let lab = Lab::of(FleetSpec { machines, auth, ..FleetSpec::default() }).await;
    let ask = |token: Option<String>| {
        let request = lab.client.get(lab.url("a", "/Systems/1"));
        let request = token.iter().fold(request, |r, t| r.header("X-Auth-Token", t));
        async move { request.send().await.expect("answer").status() }
    };
    assert_eq!(ask(None).await, StatusCode::UNAUTHORIZED);
    lab.get("a", "").await;
    let basic = lab.client.get(lab.url("a", "/Systems/1")).basic_auth("admin", Some("made-up")).send().await.expect("answer");
    assert_eq!(basic.status(), 200);
    let login = |password: &str| {
        let body = json!({"UserName": "admin", "Password": password});
        lab.send(Method::POST, "a", "/SessionService/Sessions", body)
    };
    assert_eq!(login("guess").await.expect("answer").status(), 401);
    let first = login("made-up").await.expect("answer");
    assert_eq!(first.status(), 201);
    let token = first.headers()["x-auth-token"].to_str().expect("text").to_owned();
    let location = first.headers()["location"].to_str().expect("text").to_owned();
    assert_eq!(ask(Some(token.clone())).await, StatusCode::OK);
    assert_eq!(login("made-up").await.expect("answer").status(), 201);
    assert_eq!(login("made-up").await.expect("answer").status(), 503);
    let origin = lab.running.address_of("a").expect("a").replace("/bmc/a", "");
    let logout = lab.client.delete(format!("{origin}{location}")).header("X-Auth-Token", &token).send().await.expect("answer");
    assert_eq!(logout.status(), 204);
    assert_eq!(ask(Some(token)).await, StatusCode::UNAUTHORIZED);
    let view = lab.running.machine("a").expect("a");
    assert_eq!((view.sessions, view.sessions_at_once), (1, 2));
    assert!(!format!("{:?}", Credentials { username: "admin".into(), password: "made-up".into() }).contains("made-up"));
}

#[tokio::test]
async fn an_etag_that_has_gone_stale_is_refused() {
    let lab = Lab::pair().await;
    let patch = |etag: String, target: &str| {
        let body = json!({"Boot": {"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": "Once"}});
        lab.client.patch(lab.url("b", "/Systems/1")).header("If-Match", etag).json(&body).send()
    };
    let read = lab.client.get(lab.url("b", "/Systems/1")).send().await.expect("answer");
    let etag = read.headers()["etag"].to_str().expect("text").to_owned();
    assert_eq!(read.json::<Value>().await.expect("json")["@odata.etag"], etag.as_str());
    assert_eq!(patch(etag.clone(), "Pxe").await.expect("answer").status(), 204);
    assert_eq!(patch(etag, "Hdd").await.expect("answer").status(), 412);
    assert_eq!(lab.get("b", "/Systems/1").await["Boot"]["BootSourceOverrideTarget"], "Pxe");
    assert_eq!(patch("*".into(), "Hdd").await.expect("answer").status(), 204);
    assert_eq!(patch("*".into(), "Moon").await.expect("answer").status(), 400);
    lab.reset("b", "On").await.expect("answer");
    lab.until("b", PowerState::On).await;
    let boot = lab.get("b", "/Systems/1").await["Boot"].clone();
    assert_eq!(
        (&boot["BootSourceOverrideEnabled"], &boot["BootSourceOverrideTarget"]),
        (&json!("Disabled"), &json!("None")),
        "once is once"
    );
}

#[tokio::test]
async fn a_reset_may_be_a_task() {
    let machines = vec![MachineSpec { reset_answer: ResetAnswer::Task, ..booting("a", "v") }];
    let lab = Lab::of(FleetSpec { machines, timing: quick(), ..FleetSpec::default() }).await;
    let accepted = lab.reset("a", "On").await.expect("answer");
    assert_eq!(accepted.status(), 202);
    let monitor = accepted.headers()["location"].to_str().expect("text").replace("/bmc/a/redfish/v1", "");
    let status = || async { lab.client.get(lab.url("a", &monitor)).send().await.expect("answer").status().as_u16() };
    assert_eq!(status().await, 202);
    lab.until("a", PowerState::On).await;
    pause(20).await;
    assert_eq!(status().await, 204);
    assert_eq!(lab.get("a", "/TaskService/Tasks/1").await["TaskState"], "Completed");
}

/// Everything that is linked is there, names itself as it was asked for, and has what clients insist on.
#[tokio::test]
async fn every_link_leads_somewhere() {
    let facts: Facts = serde_json::from_value(json!({
        "manufacturer": "Contoso", "model": "C1", "sku": "s", "memory_mib": 524288, "boot_mode": "uefi", "secure_boot": true,
        "cpu": {"model": "X", "count": 2, "cores": 64, "threads": 128, "architecture": "x86"},
        "firmware": {"bios": "1.2", "bmc": "3.4"}, "health": "ok", "power_restore_policy": "always_off"}))
    .expect("facts");
    let extra_systems = vec!["HGX_Baseboard_0".to_owned()];
    let machine = MachineSpec { facts, extra_systems, allowable: Allowable::ActionInfo, ..booting("a", "v") };
    let lab = Lab::of(FleetSpec { machines: vec![machine], ..FleetSpec::default() }).await;
    let origin = lab.running.address_of("a").expect("a").replace("/bmc/a", "");
    let mut seen = std::collections::BTreeSet::new();
    let mut waiting = vec!["/bmc/a/redfish/v1/".to_owned()];
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.trim_end_matches('/').to_owned()) {
            continue;
        }
        let response = lab.client.get(format!("{origin}{path}")).send().await.expect("answer");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["odata-version"], "4.0");
        let body: Value = response.json().await.expect("json");
        assert_eq!(body["@odata.id"].as_str().map(|p| p.trim_end_matches('/')), Some(path.trim_end_matches('/')));
        let collection = body["@odata.type"].as_str().expect("type").contains("Collection");
        assert!(body["Name"].is_string() && (collection || body["Id"].is_string()), "{path}");
        links(&body, &mut waiting);
    }
    assert!(seen.len() > 25, "{seen:?}");
    let system = lab.get("a", "/Systems/1").await;
    assert_eq!(system["MemorySummary"]["TotalSystemMemoryGiB"], 512);
    assert_eq!(system["PowerRestorePolicy"], serde_json::to_value(PowerRestorePolicy::AlwaysOff).map(|_| "AlwaysOff").expect("text"));
    assert!(system["Actions"]["#ComputerSystem.Reset"]["@Redfish.ActionInfo"].is_string());
    let info = lab.get("a", "/Systems/1/ResetActionInfo").await;
    assert!(info["Parameters"][0]["AllowableValues"].as_array().is_some_and(|v| v.contains(&json!("ForceOff"))));
    assert_eq!(lab.get("a", "/Systems/HGX_Baseboard_0").await["Actions"], json!({}));
}

fn links(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(path) if matches!(key.as_str(), "@odata.id" | "@Redfish.ActionInfo") => found.push(path.to_owned()),
                    _ => links(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| links(v, found)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_says_so() {
    let lab = Lab::pair().await;
    let status = |method: Method, path: &'static str| {
        let request = lab.send(method, "a", path, json!({}));
        async move { request.await.expect("answer").status().as_u16() }
    };
    assert_eq!(status(Method::GET, "/Nowhere").await, 404);
    assert_eq!(status(Method::POST, "/Nowhere").await, 404);
    assert_eq!(status(Method::PATCH, "/Systems").await, 405);
    assert_eq!(status(Method::GET, "/Systems?$expand=.").await, 501);
    assert_eq!(status(Method::GET, "/Systems?harmless=1").await, 200);
    assert_eq!(status(Method::POST, "/Systems/1/Actions/ComputerSystem.Reset").await, 400);
    let broken = lab.client.patch(lab.url("a", "/Systems/1")).body("{").send().await.expect("answer");
    assert_eq!(broken.status(), 400);
    let unknown = lab.running.lab_url().replace("/lab", "/bmc/zzz/redfish/v1");
    assert_eq!(lab.client.get(unknown).send().await.expect("answer").status(), 404);
    let head = lab.client.head(lab.url("a", "/Systems/1")).send().await.expect("answer");
    assert_eq!(head.status(), 200);
    assert!(head.headers().contains_key("etag") && head.bytes().await.expect("body").is_empty());
    let versions = format!("{}/redfish", lab.running.address_of("a").expect("a"));
    let versions: Value = lab.client.get(versions).send().await.expect("answer").json().await.expect("json");
    assert_eq!(versions["v1"], "/bmc/a/redfish/v1/");
}

#[tokio::test]
async fn the_request_log_tells_reads_from_the_rest() {
    let lab = Lab::pair().await;
    lab.get("a", "/Systems/1").await;
    lab.send(Method::POST, "a", "/SessionService/Sessions", json!({"UserName": "x", "Password": "y"})).await.expect("answer");
    assert!(lab.running.requests().only_reads());
    lab.reset("a", "Nmi").await.expect("answer");
    let requests = lab.running.requests();
    assert!(!requests.only_reads());
    assert_eq!(requests.by_method, BTreeMap::from([("GET".to_owned(), 1), ("POST".to_owned(), 2)]));
    assert!(requests.latest.iter().all(|e| e.status.is_some()));
    assert_eq!(requests.latest[2].path, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset");
}
