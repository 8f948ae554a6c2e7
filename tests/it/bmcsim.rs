//! The simulated fleet over HTTP, asked by a plain client that knows nothing of this crate.

use coldswap::bmcsim::*;
use coldswap::model::{Facts, IscsiBoot, PowerRestorePolicy, PowerState, Span};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn client() -> Client {
    // The second to come finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().expect("client")
}

fn quick() -> Timing {
    Timing { power_on: Span::millis(60), power_off: Span::millis(60), soft_off: Span::millis(300), ..Timing::instant() }
}

fn booting(name: &str, volume: &str) -> MachineSpec {
    let mut machine = MachineSpec::named(name);
    machine.adapters[0].iscsi = Some(IscsiBoot {
        initiator: format!("iqn.2026-01.example:{name}"),
        target: format!("iqn.2026-01.example:{volume}"),
        portal: "127.0.0.1:3260".into(),
        lun: 1,
    });
    machine
}

struct Lab {
    running: Running,
    client: Client,
}

impl Lab {
    async fn of(spec: FleetSpec) -> Lab {
        Lab { running: start(spec, Listen::anywhere()).await.expect("start"), client: client() }
    }

    /// `a` is On with volume `v`, `b` is Off with nothing, both quick.
    async fn pair() -> Lab {
        let a = MachineSpec { on: true, ..booting("a", "v") };
        Lab::of(FleetSpec { machines: vec![a, MachineSpec::named("b")], timing: quick(), ..FleetSpec::default() }).await
    }

    fn url(&self, machine: &str, path: &str) -> String {
        format!("{}/redfish/v1{path}", self.running.address_of(machine).expect("machine"))
    }

    async fn get(&self, machine: &str, path: &str) -> Value {
        let response = self.client.get(self.url(machine, path)).send().await.expect("answer");
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("json")
    }

    async fn send(&self, method: Method, machine: &str, path: &str, body: Value) -> reqwest::Result<Response> {
        self.client.request(method, self.url(machine, path)).json(&body).send().await
    }

    async fn reset(&self, machine: &str, reset_type: &str) -> reqwest::Result<Response> {
        self.send(Method::POST, machine, "/Systems/1/Actions/ComputerSystem.Reset", json!({"ResetType": reset_type})).await
    }

    async fn status_of_reset(&self, machine: &str, reset_type: &str) -> u16 {
        self.reset(machine, reset_type).await.expect("answer").status().as_u16()
    }

    async fn power(&self, machine: &str) -> Value {
        self.get(machine, "/Systems/1").await["PowerState"].clone()
    }

    fn really(&self, machine: &str) -> PowerState {
        self.running.machine(machine).expect("machine").power
    }

    fn fault(&self, rule: FaultRule) {
        self.running.set_faults(vec![rule]).expect("rules");
    }

    async fn until(&self, machine: &str, power: PowerState) {
        let began = Instant::now();
        while self.really(machine) != power {
            assert!(began.elapsed() < Duration::from_secs(5), "{machine} is not {power}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn holders(&self, volume: &str) -> Vec<String> {
        self.running.witness().open.get(&format!("iqn.2026-01.example:{volume}/1")).cloned().unwrap_or_default()
    }
}

const FUNCTION: &str = "/Chassis/1/NetworkAdapters/nic1/NetworkDeviceFunctions/nic1f1";

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test]
async fn two_machines_told_to_boot_one_volume_are_seen_by_the_witness() {
    let machines = vec![booting("a", "v"), booting("b", "V"), booting("c", "w")];
    let lab = Lab::of(FleetSpec { machines, ..FleetSpec::default() }).await;
    for machine in ["a", "b", "c"] {
        let order = lab.client.post(format!("{}/power", lab.running.lab_url())).json(&json!({"machine": machine, "do": "on"}));
        assert_eq!(order.send().await.expect("answer").status(), 204);
    }
    let response = lab.client.get(format!("{}/witness", lab.running.lab_url())).send().await.expect("answer");
    let witness: Value = response.json().await.expect("json");
    assert_eq!(witness["violations"].as_array().map(Vec::len), Some(1), "{witness}");
    assert_eq!(witness["violations"][0]["volume"], "iqn.2026-01.example:v/1");
    assert_eq!(witness["violations"][0]["machines"], json!(["a", "b"]));
    assert_eq!(witness["opens"], 3);
    assert_eq!(lab.holders("w"), ["c"]);
}

#[tokio::test]
async fn a_switchover_by_hand_leaves_no_violation() {
    let lab = Lab::pair().await;
    assert_eq!(lab.holders("v"), ["a"]);
    assert_eq!(lab.status_of_reset("a", "GracefulShutdown").await, 204);
    assert_eq!(lab.power("a").await, "On", "the way down takes time");
    assert_eq!(lab.holders("v"), ["a"], "and it writes all that time");
    lab.until("a", PowerState::Off).await;
    assert_eq!(lab.power("a").await, "Off");
    assert!(lab.holders("v").is_empty());
    let boot = json!({"iSCSIBoot": {
        "InitiatorName": "iqn.2026-01.example:a", "PrimaryTargetName": "iqn.2026-01.example:v", "PrimaryLUN": 1,
        "PrimaryTargetIPAddress": "127.0.0.1", "PrimaryTargetTCPPort": 3260, "CHAPSecret": "a made-up secret"}});
    assert_eq!(lab.send(Method::PATCH, "b", FUNCTION, boot).await.expect("answer").status(), 204);
    assert_eq!(lab.running.machine("b").expect("b").iscsi[0].portal, "127.0.0.1:3260");
    let read = lab.get("b", FUNCTION).await;
    assert_eq!(read["iSCSIBoot"]["PrimaryTargetName"], "iqn.2026-01.example:v");
    assert!(!read.to_string().contains("made-up secret"));
    assert_eq!(lab.status_of_reset("b", "On").await, 204);
    lab.until("b", PowerState::On).await;
    assert_eq!(lab.holders("v"), ["b"]);
    assert_eq!(lab.get("b", "/Systems/1").await["BootProgress"]["LastState"], "OSRunning");
    assert_eq!(lab.running.witness().violations, []);
    let log: Vec<(String, Doing)> = lab.running.witness_log().iter().map(|e| (e.machine.to_string(), e.what)).collect();
    assert_eq!(log, [("a".into(), Doing::Opened), ("a".into(), Doing::Closed), ("b".into(), Doing::Opened)]);
}

#[tokio::test]
async fn a_boot_configuration_counts_from_the_next_start_on() {
    let lab = Lab::pair().await;
    let clear = json!({"iSCSIBoot": {"PrimaryTargetName": "", "InitiatorName": null}});
    lab.send(Method::PATCH, "a", FUNCTION, clear).await.expect("answer");
    assert_eq!(lab.holders("v"), ["a"], "what is open stays open");
    assert_eq!(lab.status_of_reset("a", "ForceRestart").await, 204);
    lab.until("a", PowerState::PoweringOn).await;
    lab.until("a", PowerState::On).await;
    assert!(lab.holders("v").is_empty());
    let progress = lab.get("a", "/Systems/1").await["BootProgress"]["LastState"].clone();
    assert_eq!(progress, "SystemHardwareInitializationComplete", "nothing to boot");
}

#[tokio::test]
async fn an_export_that_names_others_keeps_a_machine_from_booting() {
    let exports = BTreeMap::from([("iqn.2026-01.example:v".to_owned(), vec!["iqn.2026-01.example:b".to_owned()])]);
    let lab = Lab::of(FleetSpec { machines: vec![booting("a", "v")], exports, timing: quick(), ..FleetSpec::default() }).await;
    lab.running.power("a", true);
    assert!(lab.holders("v").is_empty());
    assert_eq!(lab.running.witness().denied, 1);
    assert_ne!(lab.running.machine("a").expect("a").boot_progress, "OSRunning");
}

#[tokio::test]
async fn power_commands_are_refused_as_bmcs_refuse_them() {
    let mut spec =
        FleetSpec { machines: vec![booting("a", "v"), booting("b", "w"), booting("c", "x")], timing: quick(), ..FleetSpec::default() };
    spec.machines[1].already = Already::Accept;
    spec.machines[2].already = Already::BadRequest;
    spec.machines[2].transitions = true;
    spec.machines[2].timing = Some(Timing { settle: Span::millis(200), ..quick() });
    let lab = Lab::of(spec).await;
    for (machine, status) in [("a", 409), ("b", 204), ("c", 400)] {
        assert_eq!(lab.status_of_reset(machine, "ForceOff").await, status);
        assert_eq!(lab.status_of_reset(machine, "On").await, 204);
        lab.until(machine, PowerState::On).await;
        assert_eq!(lab.status_of_reset(machine, "On").await, status);
    }
    let refused: Value = lab.reset("a", "Explode").await.expect("answer").json().await.expect("json");
    assert_eq!(refused["error"]["@Message.ExtendedInfo"][0]["MessageId"], "Base.1.18.ActionParameterNotSupported");
    assert_eq!(lab.status_of_reset("c", "ForceOff").await, 204);
    assert_eq!(lab.power("c").await, "PoweringOff");
    assert_eq!(lab.power("a").await, "On");
    assert_eq!(lab.status_of_reset("c", "On").await, 409, "on its way down");
    lab.until("c", PowerState::Off).await;
    assert_eq!(lab.status_of_reset("c", "On").await, 409, "just off");
    pause(220).await;
    assert_eq!(lab.status_of_reset("c", "On").await, 204);
    assert_eq!(lab.power("c").await, "PoweringOn");
    // A hard off overtakes the way up; the old timer is void.
    assert_eq!(lab.status_of_reset("c", "ForceOff").await, 204);
    lab.until("c", PowerState::Off).await;
    pause(150).await;
    assert_eq!(lab.really("c"), PowerState::Off);
}

#[tokio::test]
async fn refusing_faults_answer_and_do_nothing() {
    use FaultAction::*;
    let lab = Lab::pair().await;
    let rule = |action| FaultRule::new("a", RequestKind::HardOff, action);
    let table = [
        (rule(Refuse), 400),
        (rule(Refuse).status(403), 403),
        (rule(Conflict), 409),
        (rule(Error), 500),
        (rule(Busy).by(Span::secs(7)), 503),
    ];
    for (fault, status) in table {
        lab.fault(fault);
        let response = lab.reset("a", "ForceOff").await.expect("answer");
        assert_eq!(response.status(), status);
        if status == 503 {
            assert_eq!(response.headers()["retry-after"], "7");
        }
        assert_eq!(response.json::<Value>().await.expect("json")["error"]["@Message.ExtendedInfo"].as_array().map(Vec::len), Some(1));
        assert_eq!(lab.power("a").await, "On", "reads are not meant");
    }
    lab.fault(rule(Ignore));
    assert_eq!(lab.status_of_reset("a", "ForceOff").await, 204);
    for action in [Drop, Hang] {
        lab.fault(rule(action));
        assert!(lab.reset("a", "ForceOff").await.is_err(), "{action:?}");
    }
    pause(100).await;
    assert_eq!(lab.really("a"), PowerState::On, "nothing of all that happened");
    let latest = lab.running.requests().latest;
    assert_eq!(latest.iter().filter(|e| e.status.is_none()).count(), 2, "what was not answered was written down all the same");
}

#[tokio::test]
async fn faults_that_come_after_the_deed_leave_it_done() {
    use FaultAction::*;
    for (action, answered) in [(ErrorAfter, Some(500)), (DropAfter, None), (HangAfter, None)] {
        let lab = Lab::pair().await;
        lab.fault(FaultRule::new("a", RequestKind::HardOff, action));
        let status = lab.reset("a", "ForceOff").await.ok().map(|r| r.status().as_u16());
        assert_eq!(status, answered, "{action:?}");
        lab.until("a", PowerState::Off).await;
    }
}

#[tokio::test]
async fn a_late_command_lands_late_whether_it_was_answered_or_not() {
    for (action, answered) in [(FaultAction::Late, true), (FaultAction::DropLate, false)] {
        let lab = Lab::pair().await;
        lab.fault(FaultRule::new("*", RequestKind::PowerOn, action).by(Span::millis(250)));
        assert_eq!(lab.reset("b", "On").await.is_ok(), answered);
        pause(120).await;
        assert_eq!(lab.power("b").await, "Off");
        assert_eq!(lab.running.machine("b").expect("b").landing, 1);
        lab.until("b", PowerState::On).await;
        assert_eq!(lab.running.machine("b").expect("b").landing, 0);
    }
}

#[tokio::test]
async fn a_late_boot_setting_lands_late() {
    let lab = Lab::pair().await;
    lab.fault(FaultRule::new("a", RequestKind::SetBoot, FaultAction::Late).by(Span::millis(150)));
    let clear = json!({"iSCSIBoot": {"PrimaryTargetName": ""}});
    assert_eq!(lab.send(Method::PATCH, "a", FUNCTION, clear).await.expect("answer").status(), 204);
    assert!(!lab.running.machine("a").expect("a").iscsi[0].is_clear());
    pause(250).await;
    assert!(lab.running.machine("a").expect("a").iscsi[0].is_clear());
}

#[tokio::test]
async fn reads_can_lie() {
    use FaultAction::*;
    let lab = Lab::pair().await;
    let read = |action| FaultRule::new("a", RequestKind::ReadSystem, action);
    lab.fault(read(FalseOff));
    assert_eq!(lab.power("a").await, "Off");
    assert_eq!(lab.holders("v"), ["a"]);
    lab.fault(read(NoPower));
    assert_eq!(lab.power("a").await, Value::Null);
    lab.fault(read(Empty));
    assert_eq!(lab.get("a", "/Systems/1").await, json!({}));
    lab.fault(read(Garbage));
    let garbage = lab.client.get(lab.url("a", "/Systems/1")).send().await.expect("answer");
    assert_eq!(garbage.status(), 200);
    assert!(garbage.json::<Value>().await.is_err());
    lab.fault(read(Stale).by(Span::millis(400)));
    lab.running.power("a", false);
    assert_eq!(lab.power("a").await, "On", "what was");
    pause(450).await;
    assert_eq!(lab.power("a").await, "Off", "the truth comes through in the end");
    lab.fault(read(Slow).by(Span::millis(200)));
    let began = Instant::now();
    lab.power("a").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn another_machine_can_answer_and_obey() {
    let lab = Lab::pair().await;
    let own = lab.get("b", "/Systems/1").await;
    let rule = FaultRule::new("a", RequestKind::Any, FaultAction::WrongMachine);
    lab.fault(FaultRule { answers: Some("b".into()), ..rule });
    let seen = lab.get("a", "/Systems/1").await;
    assert_eq!((&seen["UUID"], &seen["PowerState"]), (&own["UUID"], &json!("Off")));
    assert_eq!(seen["@odata.id"], "/bmc/a/redfish/v1/Systems/1");
    assert_eq!(lab.status_of_reset("a", "On").await, 204);
    lab.until("b", PowerState::On).await;
    assert_eq!(lab.really("a"), PowerState::On);
}

#[tokio::test]
async fn faults_are_switched_over_http() {
    let lab = Lab::pair().await;
    let url = format!("{}/faults", lab.running.lab_url());
    let put = |rules: Value| lab.client.put(url.clone()).json(&rules).send();
    assert_eq!(
        put(json!([{"machine": "a", "request": "read", "do": "busy", "by": "2s", "times": 1}])).await.expect("answer").status(),
        204
    );
    assert_eq!(lab.client.get(lab.url("a", "/Systems")).send().await.expect("answer").status(), 503);
    lab.get("a", "/Systems").await;
    let left: Value = lab.client.get(&url).send().await.expect("answer").json().await.expect("json");
    assert_eq!(left, json!([{"machine": "a", "request": "read", "do": "busy", "by": "2s", "times": 0}]));
    for bad in [json!([{"do": "explode"}]), json!([{"do": "wrong_machine"}]), json!([{"do": "drop", "chance": "3"}]), json!("x")] {
        assert_eq!(put(bad.clone()).await.expect("answer").status(), 400, "{bad}");
    }
    assert_eq!(lab.running.faults().len(), 1, "a bad list changes nothing");
}

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

#[tokio::test]
async fn each_may_have_an_address_of_its_own() {
    let machines = vec![booting("a", "v"), booting("b", "w")];
    let addressing = Addressing::Addresses { first: [127, 1, 77, 254].into(), port: 0 };
    let running = start(FleetSpec { machines, ..FleetSpec::default() }, Listen { addressing, tls: None }).await.expect("start");
    let address = running.address_of("b").expect("b").to_owned();
    assert!(address.starts_with("http://127.1.78.1:"), "{address}");
    let system: Value = client().get(format!("{address}/redfish/v1/Systems/1")).send().await.expect("answer").json().await.expect("json");
    assert_eq!((&system["Name"], &system["@odata.id"]), (&json!("b"), &json!("/redfish/v1/Systems/1")));
    assert_eq!(client().get(format!("{}/witness", running.lab_url())).send().await.expect("answer").status(), 200);
    running.shutdown().await;
    assert!(client().get(format!("{address}/redfish/v1")).send().await.is_err());
}

#[tokio::test]
async fn tls_is_spoken_where_asked() {
    let client_ready = client();
    drop(client_ready);
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("certificate");
    let certificate = reqwest::Certificate::from_der(key.cert.der()).expect("certificate");
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("key");
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private).expect("tls");
    let listen = Listen { tls: Some(std::sync::Arc::new(config)), ..Listen::anywhere() };
    let running = start(FleetSpec { machines: vec![booting("a", "v")], ..FleetSpec::default() }, listen).await.expect("start");
    let address = running.address_of("a").expect("a");
    assert!(address.starts_with("https://"));
    let trusting = Client::builder().no_proxy().tls_certs_only([certificate]).build().expect("client");
    assert_eq!(trusting.get(format!("{address}/redfish/v1")).send().await.expect("answer").status(), 200);
}

#[tokio::test]
async fn a_spec_that_cannot_be_meant_is_refused() {
    let twice = FleetSpec { machines: vec![booting("a", "v"), booting("a", "v")], ..FleetSpec::default() };
    let named = FleetSpec { machines: vec![booting("a/b", "v")], ..FleetSpec::default() };
    for spec in [twice, named] {
        assert_eq!(start(spec, Listen::anywhere()).await.err().map(|e| e.kind()), Some(std::io::ErrorKind::InvalidInput));
    }
}

#[tokio::test]
async fn the_most_requests_at_once_are_counted() {
    let lab = Lab::of(FleetSpec {
        machines: vec![booting("a", "v")],
        timing: Timing { latency: Span::millis(100), ..Timing::instant() },
        ..FleetSpec::default()
    })
    .await;
    let (one, two) = tokio::join!(lab.power("a"), lab.power("a"));
    assert_eq!(one, two);
    assert_eq!(lab.running.machine("a").expect("a").requests_at_once, 2);
}

/// Nobody waits for another machine's latency.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_machines_answer_side_by_side() {
    let machines = (0..500).map(|n| MachineSpec { on: n % 2 == 0, ..booting(&format!("m{n}"), &format!("v{n}")) }).collect();
    let timing = Timing { latency: Span::millis(60), ..Timing::instant() };
    let lab = Lab::of(FleetSpec { machines, timing, log_limit: 100, ..FleetSpec::default() }).await;
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let (client, url) = (lab.client.clone(), lab.url(&format!("m{n}"), "/Systems/1"));
        tasks.spawn(async move { client.get(url).timeout(Duration::from_secs(30)).send().await.map(|r| r.status().as_u16()) });
    }
    while let Some(status) = tasks.join_next().await {
        assert_eq!(status.expect("task").expect("answer"), 200);
    }
    // One after the other they would take 30 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(lab.running.requests().by_method["GET"], 500);
}
