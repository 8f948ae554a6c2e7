//! Volumes, the instance and the states of nodes: what is moved, what is not, and a crash anywhere in between.

use super::claims::{BM03, DEADLINE, at, held, holder, id, pair, release, reserve};
use super::rack::{Rack, Trouble};
use super::*;
use coldswap::model::*;
use coldswap::ports::Inventory;

const INSTANCE: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn instance() -> Option<Instance> {
    Some(Instance { uuid: INSTANCE.parse().expect("a uuid"), name: Some("db1".into()) })
}

fn moving(from: &str, to: &str) -> Change {
    let state = ProvisionState::Active;
    Change::MoveInstance { instance: instance(), from: id(from), to: id(to), from_state: state, to_state: state, holder: holder("r-1") }
}

fn move_target(from: &str, to: &str) -> Change {
    let target = "ab7d1005-b10a-4089-a530-565000000001".parse().expect("an id");
    Change::MoveTarget { target, from: id(from), to: id(to), holder: holder("r-1") }
}

/// An instance with much that hangs on it.
async fn rich() -> (Rack, Ironic) {
    let (rack, ironic) = pair().await;
    let info = json!({"display_name": "db1", "configdrive": "s3cret", "image_source": "http://i/img", "image_checksum": "x", "root_gb": 10,
        "ssh_password": "s3cret", "capabilities": {"boot_option": "local"}, "nested": {"admin_password": "******", "x": 1}});
    rack.set(BM01, "instance_info", info);
    rack.set(BM01, "lessee", json!("tenant"));
    rack.set(BM01, "allocation_uuid", json!(INSTANCE));
    let allocation = json!({"uuid": INSTANCE, "name": "db1", "resource_class": "model-1", "traits": [], "extra": {"k": 1}, "owner": null,
        "state": "active", "node_uuid": BM01, "candidate_nodes": []});
    rack.world().allocations.insert(INSTANCE.into(), allocation);
    held(&ironic).await;
    rack.changes();
    (rack, ironic)
}

#[tokio::test]
async fn an_instance_moves_without_secrets_and_without_its_image() {
    let (rack, ironic) = rich().await;
    ironic.change(&moving(BM01, BM02), DEADLINE).await.expect("moved");
    let sent = rack.changes();
    assert_eq!(sent.len(), 3, "{sent:?}");
    let text = serde_json::to_string(&sent).expect("JSON");
    assert!(!text.contains("******") && !text.contains("s3cret") && !text.contains("image"), "{text}");
    let (source, spare) = (rack.node(BM01), rack.node(BM02));
    assert_eq!((&source["instance_uuid"], &spare["instance_uuid"]), (&Value::Null, &json!(INSTANCE)));
    assert_eq!(spare["instance_info"], json!({"display_name": "db1", "capabilities": {"boot_option": "local"}}));
    assert_eq!((&spare["lessee"], &source["lessee"]), (&json!("tenant"), &Value::Null), "it moves like the instance");
    assert_eq!(source["instance_info"]["configdrive"], "s3cret", "what cannot be moved stays for the way back");
    ironic.change(&moving(BM01, BM02), DEADLINE).await.expect("again");
    assert!(rack.changes().is_empty());
    // The allocation went with the source's instance_uuid; when the instance runs, it is made anew.
    assert!(rack.world().allocations.is_empty());
    rack.set(BM02, "provision_state", json!("active"));
    tokio::time::sleep(Duration::from_millis(60)).await;
    ironic.node(id(BM02)).await.expect("a look");
    release(&ironic, BM02).await.expect("released");
    let made = rack.world().allocations[INSTANCE].clone();
    assert_eq!((&made["node"], &made["name"], &made["extra"]), (&json!(BM02), &json!("db1"), &json!({"k": 1})));
    release(&ironic, BM01).await.expect("released");
    for node in [BM01, BM02] {
        let left = rack.node(node)["extra"]["coldswap"].as_object().cloned().unwrap_or_default();
        assert!(left.keys().all(|key| key == "facts"), "{left:?}");
    }
    assert_eq!(rack.node(BM02)["instance_uuid"], INSTANCE);
}

#[tokio::test]
async fn the_way_back_restores_both_nodes() {
    let (rack, ironic) = rich().await;
    let keys = ["instance_uuid", "instance_info", "lessee", "provision_state"];
    let of = |rack: &Rack, node: &str| keys.map(|key| rack.node(node)[key].clone());
    let (source, mut spare) = (of(&rack, BM01), of(&rack, BM02));
    ironic.change(&moving(BM01, BM02), DEADLINE).await.expect("there");
    ironic.change(&moving(BM02, BM01), DEADLINE).await.expect("and back");
    assert_eq!(of(&rack, BM01), source, "what Ironic shows to nobody included");
    spare[0] = Value::Null;
    assert_eq!(of(&rack, BM02), spare);
    release(&ironic, BM01).await.expect("released");
    assert!(rack.world().allocations.contains_key(INSTANCE), "its allocation is its own again");
}

#[tokio::test]
async fn a_crash_after_any_request_of_a_move_is_taken_up_again() {
    for there in [true, false] {
        let requests = if there { 3 } else { 2 };
        for after in 0..=requests {
            let (rack, ironic) = rich().await;
            let back = moving(BM02, BM01);
            let change = if there { moving(BM01, BM02) } else { back };
            if !there {
                ironic.change(&moving(BM01, BM02), DEADLINE).await.expect("there");
                rack.changes();
            }
            // Each of the first ones does its work, and who sent it does not live to hear of it.
            rack.trouble("PATCH ", Trouble::DoneAndFailed, after);
            let mut failures = 0;
            let mut others;
            loop {
                // Another process, which remembers nothing.
                others = at(&rack);
                match others.change(&change, DEADLINE).await {
                    Ok(()) => break,
                    Err(fault) => assert_eq!(fault.kind, FaultKind::Unknown, "{fault}"),
                }
                failures += 1;
                assert!(failures < 6);
            }
            assert_eq!(failures, after, "each failure stopped one process");
            let (had, has) = if there { (BM01, BM02) } else { (BM02, BM01) };
            assert_eq!((&rack.node(had)["instance_uuid"], &rack.node(has)["instance_uuid"]), (&Value::Null, &json!(INSTANCE)));
            assert_eq!((&rack.node(has)["lessee"], &rack.node(had)["lessee"]), (&json!("tenant"), &Value::Null), "{there} {after}");
            assert_eq!(rack.node(has)["instance_info"]["display_name"], "db1");
        }
    }
}

#[tokio::test]
async fn a_foreign_instance_at_the_spare_is_told_and_left_alone() {
    let (rack, ironic) = rich().await;
    rack.set(BM02, "instance_uuid", json!("bbbbbbbb-0000-4000-8000-000000000001"));
    tokio::time::sleep(Duration::from_millis(60)).await;
    let told = ironic.change(&moving(BM01, BM02), DEADLINE).await.expect_err("foreign");
    assert!(told.kind == FaultKind::Refused && told.detail.contains("somebody else"), "{told}");
    assert!(rack.changes().is_empty(), "the source keeps its own");
    assert!(ironic.node(id(BM02)).await.expect("a look").instance.as_ref().is_some_and(|i| i.uuid.to_string().starts_with("bbbb")));
}

#[tokio::test]
async fn volumes_move_by_patch_with_their_secrets() {
    let (rack, ironic) = pair().await;
    held(&ironic).await;
    rack.changes();
    ironic.change(&move_target(BM01, BM02), DEADLINE).await.expect("moved");
    let sent = rack.changes();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1, json!([{"op": "replace", "path": "/node_uuid", "value": BM02}]));
    ironic.change(&move_target(BM01, BM02), DEADLINE).await.expect("so already");
    assert!(rack.changes().is_empty());
    rack.world().volumes.values_mut().for_each(|v| v["node_uuid"] = json!(BM03));
    let told = at(&rack).change(&move_target(BM01, BM02), DEADLINE).await.expect_err("elsewhere");
    assert!(told.kind == FaultKind::Refused && told.detail.contains(BM03), "{told}");
}

#[tokio::test]
async fn an_undeployment_waits_for_an_empty_node() {
    let (rack, ironic) = rich().await;
    let undeploy = Change::Undeploy { node: id(BM01), holder: holder("r-1") };
    for words in ["instance", "volume targets"] {
        let told = ironic.change(&undeploy, DEADLINE).await.expect_err("too early");
        assert!(told.kind == FaultKind::Refused && told.detail.contains(words), "{told}");
        assert!(rack.changes().is_empty());
        ironic.change(&moving(BM01, BM02), DEADLINE).await.expect("moved");
        rack.changes();
    }
    ironic.change(&move_target(BM01, BM02), DEADLINE).await.expect("moved");
    rack.changes();
    ironic.change(&undeploy, DEADLINE).await.expect("accepted");
    let lines: Vec<String> = rack.changes().into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [format!("PATCH /v1/nodes/{BM01}"), format!("PUT /v1/nodes/{BM01}/states/provision")]);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(rack.node(BM01)["provision_state"], "available", "no ramdisk cleans a machine that may be broken");
    assert_eq!(rack.world().volumes.len(), 2, "nothing is deleted");
    ironic.change(&undeploy, DEADLINE).await.expect("so already");
    assert!(rack.changes().is_empty());
    release(&ironic, BM01).await.expect("released");
    let source = rack.node(BM01);
    assert_eq!((&source["automated_clean"], &source["maintenance"]), (&Value::Null, &json!(true)), "as it was, and in maintenance still");
    assert!(source["extra"]["coldswap"].get("automated_clean_was").is_none());
}

#[tokio::test]
async fn states_are_asked_for_once_and_never_with_a_claim_or_an_image() {
    let (rack, ironic) = pair().await;
    held(&ironic).await;
    let active = Change::SetProvisionState { node: id(BM02), target: ProvisionTarget::Active, holder: holder("r-1") };
    rack.changes();
    let told = ironic.change(&active, DEADLINE).await.expect_err("only a claim");
    assert!(told.detail.contains("claim"), "{told}");
    ironic.change(&move_target(BM01, BM02), DEADLINE).await.expect("moved");
    ironic.change(&moving(BM01, BM02), DEADLINE).await.expect("moved");
    let told = ironic.change(&active, DEADLINE).await.expect_err("in maintenance");
    assert!(told.detail.contains("maintenance mode"), "{told}");
    let leave = Change::SetMaintenance { node: id(BM02), holder: holder("r-1"), maintenance: None };
    ironic.change(&leave, DEADLINE).await.expect("left");
    assert_eq!((&rack.node(BM02)["maintenance"], &rack.node(BM02)["maintenance_reason"]), (&json!(false), &Value::Null));
    rack.changes();
    ironic.change(&active, DEADLINE).await.expect("accepted");
    ironic.change(&active, DEADLINE).await.expect("under way");
    tokio::time::sleep(Duration::from_millis(150)).await;
    ironic.change(&active, DEADLINE).await.expect("done");
    assert_eq!(rack.changes().len(), 1);
    assert!(rack.world().machines[BM02].on);
    rack.set(BM02, "provision_state", json!("deploy failed"));
    rack.set(BM02, "instance_info", json!({"image_source": "http://i/img"}));
    let told = at(&rack).change(&active, DEADLINE).await.expect_err("an image");
    assert!(told.detail.contains("image_source"), "{told}");
}

#[tokio::test]
async fn a_debt_stands_at_the_node_until_it_is_settled() {
    let (rack, ironic) = pair().await;
    reserve(&ironic, BM01, "r-1", None).await.expect("reserved");
    let debt = |debt: Option<&str>| Change::SetDebt { node: id(BM01), holder: holder("r-1"), debt: debt.map(str::to_owned) };
    ironic.change(&debt(Some("never power on; undeploy pending")), DEADLINE).await.expect("written");
    release(&ironic, BM01).await.expect("released");
    assert_eq!(ironic.node(id(BM01)).await.expect("a node").debt.as_deref(), Some("never power on; undeploy pending"));
    reserve(&ironic, BM01, "r-1", None).await.expect("reserved");
    ironic.change(&debt(None), DEADLINE).await.expect("settled");
    assert_eq!(rack.node(BM01)["extra"]["coldswap"].get("debt"), None);
}

#[tokio::test]
async fn a_fault_is_cured_only_where_a_power_off_has_reached_the_machine() {
    use coldswap::ports::Bmc;
    for reached in [false, true] {
        let (rack, ironic) = pair().await;
        rack.set(BM01, "maintenance", json!(true));
        rack.set(BM01, "maintenance_reason", json!("During sync_power_state, max retries exceeded for node"));
        rack.set(BM01, "fault", json!("power failure"));
        rack.set(BM01, "power_state", Value::Null);
        reserve(&ironic, BM01, "r-1", None).await.expect("reserved");
        let seen = ironic.node(id(BM01)).await.expect("a node");
        assert_eq!(seen.kept_by.as_ref().and_then(|k| k.fault.as_deref()), Some("power failure"));
        let maintenance = Some(Maintenance { reason: "switchover r-1".into() });
        ironic.change(&Change::SetMaintenance { node: id(BM01), holder: holder("r-1"), maintenance }, DEADLINE).await.expect("set");
        let seen = ironic.node(id(BM01)).await.expect("a node");
        assert_eq!(
            (seen.maintenance.as_ref().map(|m| m.reason.as_str()), &seen.kept_by.as_ref().expect("kept").fault),
            (Some("switchover r-1"), &None)
        );
        if reached {
            assert_eq!(ironic.confirm_off(&seen.bmc, DEADLINE).await.expect("a proof").power, PowerState::Off);
        }
        rack.changes();
        release(&ironic, BM01).await.expect("released");
        let (source, sent) = (rack.node(BM01), rack.changes());
        assert_eq!(
            (&source["maintenance"], &source["maintenance_reason"]),
            (&json!(true), &json!("switchover r-1")),
            "whatever was done, it stays"
        );
        assert_eq!((sent.len(), source["fault"].is_null()), if reached { (2, true) } else { (1, false) }, "{sent:?}");
    }
}
