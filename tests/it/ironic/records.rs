//! What Ironic's records become.

use super::*;
use coldswap::model::*;
use coldswap::ports::{Bmc, Inventory};

async fn fleet(nodes: &[Value], connectors: &[Value], targets: &[Value]) -> Fleet {
    open(&service(nodes, connectors, targets).await).fleet().await.unwrap_or_else(|e| panic!("{e}"))
}

async fn alone(with: Value) -> Node {
    let fleet = fleet(&[running(), node(BM02, "bm02", with)], &[], &[target(1, BM01, json!({}))]).await;
    fleet.find("bm02").expect("bm02").clone()
}

fn codes(node: &Node) -> (Vec<SourceBar>, Vec<SpareBar>) {
    let keeper = node.kept_by.as_ref().expect("kept by Ironic");
    (keeper.source_bars.iter().map(|b| b.code).collect(), keeper.spare_bars.iter().map(|b| b.code).collect())
}

#[tokio::test]
async fn a_node_is_read_with_its_volumes_and_without_its_secrets() {
    let in_the_open = json!({"boot_index": 1, "volume_id": "vol-2", "extra": {"coldswap": {"shareable": true}}, "properties": {
        "target_iqns": ["iqn.a", "iqn.b"], "target_luns": [2, 2], "auth_username": "db1", "auth_password": "chap-secret"}});
    let connectors = [connector(1, BM01, "iqn", "iqn.2026-11.lab:db1"), connector(2, BM01, "ip", "192.0.2.1")];
    let targets = [target(1, BM01, json!({})), target(2, BM01, in_the_open)];
    let fleet = fleet(&[running()], &connectors, &targets).await;
    let node = fleet.find("bm01").expect("by name");
    assert_eq!(fleet.find(BM01).map(|n| n.id), Some(node.id));
    assert_eq!((node.provision_state, node.resource_class.as_deref()), (ProvisionState::Active, Some("model-1")));
    assert_eq!(
        node.instance.as_ref().map(|i| (i.uuid.to_string(), i.name.clone())),
        Some(("aaaaaaaa-0000-4000-8000-000000000001".into(), Some("db1".into())))
    );
    assert_eq!(node.failure_domain.rack.as_deref(), Some("b"));
    assert_eq!(node.capabilities["iscsi_boot"], "true");
    assert!(node.traits.contains("CUSTOM_MODEL_1") && node.labels["driver"] == Scalar::Text("redfish".into()));
    assert_eq!(node.bmc.address, format!("ironic:{BM01}"));
    let all = fleet.targets_of(node.id);
    assert_eq!(all.iter().map(|t| (t.volume_id.as_str(), t.shareable)).collect::<Vec<_>>(), [("vol-1", false), ("vol-2", true)]);
    assert_eq!(all[0].iscsi_boot("i").map(|b| (b.target, b.lun)), Some(("iqn.2026-11.lab:array".into(), 1)));
    assert_eq!(all[1].properties["target_iqn"], Scalar::Text("iqn.a".into()), "the first of several");
    assert_eq!(fleet.connectors_of(node.id).count(), 2);
    let whole = serde_json::to_string(&fleet.records()).expect("JSON");
    assert!(!whole.contains("******") && !whole.contains("chap-secret"), "{whole}");
    assert_eq!(codes(node), (vec![], vec![SpareBar::OwnInitiator]));
}

#[tokio::test]
async fn facts_come_from_inspection_then_from_people_each_with_its_source() {
    let with = json!({"inspection_finished_at": "2026-11-01T10:00:00+00:00", "firmware_interface": "redfish",
        "properties": {"cpus": 8, "memory_mb": 1, "cpu_arch": "typed", "vendor": "typed", "capabilities": {"iscsi_boot": true}},
        "extra": {"coldswap": {"facts": {"cpu": {"count": 2}, "firmware": {"bios": "9"}}, "labels": {"pool": "spare", "tier": 1},
                               "failure_domain": {"rack": "c", "feed": "a"}, "debt": "undeploy pending"}, "rack": "b", "api_token": "x"}});
    let fake = service(&[node(BM02, "bm02", with)], &[], &[]).await;
    let inventory = json!({"inventory": {"cpu": {"count": 128, "model_name": "Lab CPU", "architecture": "x86_64"}, "memory": {"physical_mb": 65536},
        "interfaces": [{"mac_address": "52:54:00:0a:01:01"}, {"mac_address": "52:54:00:0a:01:02"}],
        "system_vendor": {"manufacturer": "Lab", "product_name": "model-1", "serial_number": "SN000002",
                          "system_uuid": "00000000-0000-4000-8000-000000000002"}}, "plugin_data": {}});
    fake.on(&format!("GET /v1/nodes/{BM02}/inventory"), ok(inventory));
    fake.on(
        &format!("GET /v1/nodes/{BM02}/firmware"),
        ok(json!({"firmware": [{"component": "BMC", "current_version": "2.1", "initial_version": "2.0"}]})),
    );
    let fleet = open(&fake).fleet().await.expect("a fleet");
    let node = fleet.find("bm02").expect("bm02");
    let at = Time::parse("2026-11-01T10:00:00Z");
    let known: BTreeMap<String, (String, FactSource, Option<Time>)> =
        node.known_facts().into_iter().map(|f| (f.name, (f.value.to_string(), f.source, f.at))).collect();
    for (name, value) in [
        ("manufacturer", "Lab"),
        ("model", "model-1"),
        ("cpu.model", "Lab CPU"),
        ("cpu.threads", "128"),
        ("memory_mib", "65536"),
        ("cpu.architecture", "x86_64"),
        ("boot_mode", "uefi"),
        ("firmware.bmc", "2.1"),
        ("network.ports", "2"),
        ("health", "ok"),
    ] {
        assert_eq!(known.get(name), Some(&(value.to_owned(), FactSource::Ironic, at)), "{name}");
    }
    for (name, value) in [("cpu.count", "2"), ("firmware.bios", "9")] {
        assert_eq!(known.get(name), Some(&(value.to_owned(), FactSource::Declared, None)), "{name}");
    }
    assert!(node.contradictions().is_empty(), "what was typed into `properties` gives way");
    assert_eq!(node.identity.system_uuid.as_deref(), Some("00000000-0000-4000-8000-000000000002"));
    assert_eq!((node.failure_domain.rack.as_deref(), node.failure_domain.feed.as_deref()), (Some("c"), Some("a")));
    assert_eq!((&node.labels["pool"], &node.labels["tier"]), (&Scalar::Text("spare".into()), &Scalar::Integer(1)));
    assert!(!node.labels.contains_key("api_token") && !node.labels.contains_key("coldswap"));
    assert_eq!(node.debt.as_deref(), Some("undeploy pending"));
    // What was never inspected is not asked for it, and its facts are what people typed.
    let typed = alone(json!({})).await;
    assert_eq!(typed.facts().memory_mib, Some(65536));
    assert!(typed.known_facts().iter().filter(|f| f.name == "model").all(|f| f.source == FactSource::Declared));
    assert_eq!(typed.identity.system_uuid.as_deref(), Some(BM02), "the conductor chooses the BMC by the record");
    let wrong = alone(json!({"extra": {"coldswap": {"facts": {"memori": 1}}}})).await;
    assert_eq!(codes(&wrong), (vec![SourceBar::RecordUnfit, SourceBar::ProvisionState], vec![SpareBar::RecordUnfit]));
}

#[tokio::test]
async fn what_ironic_would_refuse_keeps_a_node_from_being_a_spare() {
    assert_eq!(codes(&alone(json!({})).await).1, []);
    for (with, code, words) in [
        (json!({"retired": true, "retired_reason": "old"}), SpareBar::Retired, "old"),
        (json!({"reservation": "lab-1"}), SpareBar::Locked, "lab-1"),
        (json!({"allocation_uuid": BM01}), SpareBar::Allocated, BM01),
        (json!({"storage_interface": "cinder"}), SpareBar::StorageInterface, "cinder"),
        (json!({"storage_interface": "noop"}), SpareBar::StorageInterface, "external"),
        (json!({"boot_interface": "redfish-virtual-media"}), SpareBar::BootInterface, "ipxe"),
        (json!({"properties": {"capabilities": "boot_mode:uefi"}}), SpareBar::BootCapability, "iscsi_boot:true"),
        (json!({"instance_info": {"image_source": "http://i/img"}}), SpareBar::ImageSource, "image_source"),
    ] {
        let node = alone(with.clone()).await;
        let bars = &node.kept_by.as_ref().expect("kept").spare_bars;
        assert_eq!(bars.iter().map(|b| b.code).collect::<Vec<_>>(), [code], "{with}");
        assert!(bars[0].text.contains(words) && bars[0].text.contains("`bm02`"), "{}", bars[0].text);
    }
    assert_eq!(codes(&alone(json!({"provision_state": "manageable", "storage_interface": "noop"})).await).1, [], "it can be adopted");
    for state in ["clean failed", "deploying", "error", "rescue", "polishing"] {
        let node = alone(json!({ "provision_state": state })).await;
        assert!(!node.provision_state.is_settled(), "{state}");
    }
}

#[tokio::test]
async fn what_would_not_survive_the_move_keeps_a_node_from_being_a_source() {
    let boot = |with: Value| target(1, BM01, with);
    let properties = |more: Value| {
        let mut all = json!({"target_iqn": "iqn.x:v", "target_lun": 1});
        all.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!({ "properties": all })
    };
    let no_chap = json!({"boot_index": 1, "volume_id": "vol-2", "properties": {"target_iqn": "iqn.x:w", "target_lun": 2}});
    let cases = [
        (vec![boot(json!({}))], None, ""),
        (vec![boot(properties(json!({"target_lun": "1"})))], Some(SourceBar::RecordUnfit), "JSON integer"),
        (vec![boot(json!({})), target(2, BM01, no_chap)], Some(SourceBar::RecordUnfit), "CHAP"),
        (
            vec![boot(json!({})), target(2, BM01, json!({"boot_index": 1, "volume_id": "vol-9", "volume_type": "rbd"}))],
            Some(SourceBar::RecordUnfit),
            "`rbd`",
        ),
        (
            vec![boot(json!({})), target(2, "11111111-0000-4000-8000-000000000009", json!({}))],
            Some(SourceBar::SecondAttachment),
            "not shown",
        ),
    ];
    for (targets, code, words) in cases {
        let fleet = fleet(&[running()], &[], &targets).await;
        let bars = &fleet.find("bm01").and_then(|n| n.kept_by.as_ref()).expect("kept").source_bars;
        let found: Vec<SourceBar> = bars.iter().map(|b| b.code).collect();
        assert_eq!(found.first().copied(), code, "{words}: {bars:?}");
        assert!(bars.iter().any(|b| b.text.contains(words)) || code.is_none(), "{bars:?}");
    }
    for (with, code) in [
        (json!({"protected": true}), SourceBar::Protected),
        (json!({"storage_interface": "cinder"}), SourceBar::StorageInterface),
        (json!({"instance_info": {"image_source": "x"}}), SourceBar::ImageSource),
        (json!({"reservation": "lab"}), SourceBar::Locked),
        (json!({"instance_info": {"display_name": "db1", "nova_host_id": "compute-1"}}), SourceBar::Nova),
        (json!({"provision_state": "manageable"}), SourceBar::ProvisionState),
        (json!({"provision_state": "polishing"}), SourceBar::ProvisionState),
    ] {
        let mut node = running();
        node.as_object_mut().expect("a map").extend(with.as_object().expect("a map").clone());
        let fleet = fleet(&[node], &[], &[boot(json!({}))]).await;
        assert_eq!(codes(fleet.find("bm01").expect("bm01")).0, [code], "{with}");
    }
    let strange = fleet(&[running()], &[connector(1, BM01, "bogus", "x")], &[boot(json!({}))]).await;
    assert_eq!(codes(strange.find("bm01").expect("bm01")), (vec![SourceBar::RecordUnfit], vec![SpareBar::RecordUnfit]));
}

#[tokio::test]
async fn power_in_maintenance_is_not_known_and_says_why() {
    let stale = json!({"maintenance": true, "maintenance_reason": null, "fault": "power failure", "power_state": "power off"});
    let fake = service(&[running(), node(BM02, "bm02", stale.clone())], &[], &[]).await;
    fake.on(&format!("GET /v1/nodes/{BM01}"), ok(running()));
    let ironic = open(&fake);
    let fleet = ironic.fleet().await.expect("a fleet");
    let maintained = fleet.find("bm02").expect("bm02");
    assert!(maintained.maintenance.as_ref().is_some_and(|m| m.reason.contains("power failure")));
    let report = ironic.report(&maintained.bmc, Further::ALL).await.expect("a report");
    assert_eq!(report.reading.power, PowerState::Unknown);
    assert!(report.reading.power_unknown.is_some_and(|why| why.contains("maintenance") && why.contains("power off")));
    let before = fake.asked().len();
    let serving = &fleet.find("bm01").expect("bm01").bmc;
    assert_eq!(ironic.report(serving, Further::ALL).await.expect("a report").reading.power, PowerState::On);
    assert_eq!(fake.asked().len(), before, "what was read a moment ago is not asked again");
    assert_eq!(ironic.read(serving).await.expect("a reading").power, PowerState::On);
    assert_eq!(fake.asked().len(), before + 1, "a look at one always asks");
    let lost = BmcEndpoint { address: "https://10.0.0.1".into(), ..serving.clone() };
    assert!(ironic.read(&lost).await.is_err());
}

#[tokio::test]
async fn a_generation_changes_with_what_is_used_and_with_nothing_else() {
    let base = alone(json!({})).await.generation;
    for same in [
        json!({"last_error": "x", "updated_at": "2026-11-22T21:39:53+00:00"}),
        json!({"reservation": "lab"}),
        json!({"power_state": "power on"}),
    ] {
        assert_eq!(alone(same.clone()).await.generation, base, "{same}");
    }
    for other in
        [json!({"maintenance": true}), json!({"resource_class": "x"}), json!({"provision_state": "active"}), json!({"instance_uuid": BM01})]
    {
        assert_ne!(alone(other.clone()).await.generation, base, "{other}");
    }
    assert!(base.0 > 0 && base.0 < 1 << 53);
}
