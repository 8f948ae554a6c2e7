//! Power, what takes its time, and the witness.

use super::*;

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
async fn a_feed_that_comes_back_starts_what_its_restore_policy_says() {
    let policies = [(PowerRestorePolicy::AlwaysOn, "On"), (PowerRestorePolicy::LastState, "On"), (PowerRestorePolicy::AlwaysOff, "Off")];
    for (policy, after) in policies {
        let facts = Facts { power_restore_policy: Some(policy), ..Facts::default() };
        let machine = MachineSpec { on: true, facts, ..booting("a", "v") };
        let lab = Lab::of(FleetSpec { machines: vec![machine], ..FleetSpec::default() }).await;
        let order = lab.client.post(format!("{}/power", lab.running.lab_url())).json(&json!({"machine": "a", "do": "power_cut"}));
        assert_eq!(order.send().await.expect("answer").status(), 204);
        assert_eq!(lab.power("a").await, after, "{policy:?}");
    }
}

/// The client of this crate sets what the simulator shows, and it holds when the feed comes back.
#[tokio::test]
async fn a_restore_policy_that_was_set_keeps_a_machine_off() {
    use coldswap::adapter::redfish::{Redfish, RedfishOptions};
    use coldswap::adapter::secrets::SystemSecrets;
    use coldswap::model::Node;
    use coldswap::ports::Bmc;
    let facts = Facts { power_restore_policy: Some(PowerRestorePolicy::AlwaysOn), ..Facts::default() };
    let lab = Lab::of(FleetSpec { machines: vec![MachineSpec { on: true, facts, ..booting("a", "v") }], ..FleetSpec::default() }).await;
    let redfish = Redfish::new(RedfishOptions::default(), std::sync::Arc::new(SystemSecrets::default()));
    let at = Node::named("a", lab.running.address_of("a").expect("a")).bmc;
    assert_eq!(redfish.read(&at).await.expect("look").restore_policy, Some(PowerRestorePolicy::AlwaysOn));
    redfish.set_restore_policy(&at, PowerRestorePolicy::AlwaysOff, &coldswap::ports::Deadline::NONE).await.expect("accepted");
    assert_eq!(redfish.read(&at).await.expect("look").restore_policy, Some(PowerRestorePolicy::AlwaysOff));
    assert!(lab.running.power_cut("a"));
    assert_eq!(lab.power("a").await, "Off");
    assert!(lab.holders("v").is_empty());
}
