//! Full readings: whole trees in the shapes that vendors use, written after the public schema, and the facts that must
//! come of each. To add one: a file in `fixtures/trees`, as those beside it.

use super::fake::*;
use coldswap::model::*;
use coldswap::ports::Bmc;
use serde_json::{Value, json};

pub const TREES: [(&str, &str); 6] = [
    ("modern", include_str!("../fixtures/trees/modern.json")),
    ("older", include_str!("../fixtures/trees/older.json")),
    ("simple", include_str!("../fixtures/trees/simple.json")),
    ("baseboard", include_str!("../fixtures/trees/baseboard.json")),
    ("pcie", include_str!("../fixtures/trees/pcie.json")),
    ("enclosure", include_str!("../fixtures/trees/enclosure.json")),
];

pub async fn served(name: &str) -> (Fake, BmcEndpoint, Value) {
    let text = TREES.iter().find(|(n, _)| *n == name).expect("a tree").1;
    let case: Value = serde_json::from_str(text).expect("a case");
    let fake = Fake::start().await;
    fake.tree(&case["tree"]);
    let at = BmcEndpoint { system: case["system"].as_str().map(Into::into), ..fake.at() };
    (fake, at, case)
}

async fn surveyed(at: &BmcEndpoint) -> SystemReport {
    redfish().survey(at).await.expect("a report")
}

const CHASSIS: &str = "/redfish/v1/Chassis/1";

#[tokio::test]
async fn each_tree_gives_its_facts_and_nothing_is_missed() {
    for (name, _) in TREES {
        let (fake, at, case) = served(name).await;
        let report = surveyed(&at).await;
        let facts: Facts = serde_json::from_value(case["facts"].clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(report.facts, facts, "{name}: {}", case["about"]);
        assert_eq!(json!(report.unread), case["unread"], "{name}");
        assert!(report.in_full && fake.commands().is_empty(), "{name}");
    }
}

/// What only a full reading gives is not asked for by a plan: each request there counts, node by node.
#[tokio::test]
async fn a_short_reading_asks_for_nothing_that_only_a_full_one_gives() {
    let (fake, at, _) = served("modern").await;
    let report = redfish().report(&at, Further::ALL).await.expect("a report");
    assert!(!report.in_full && report.facts.network == NetworkFacts::default());
    let lines = fake.lines();
    for part in ["Storage", "Ports", "Drives", "UpdateService", "PCIe", "Processors/GPU"] {
        assert!(lines.iter().all(|l| !l.contains(part)), "{part}: {lines:#?}");
    }
    // System, SecureBoot, Manager, Processors and one of them; interfaces, one by one, and the chassis for their iSCSI boot.
    assert_eq!(lines.len(), 12, "{lines:#?}");
}

/// And of a short one no more than the runbook speaks of.
#[tokio::test]
async fn what_no_rule_speaks_of_is_not_asked_for() {
    let (fake, at, case) = served("modern").await;
    let nothing = Further { architecture: false, secure_boot: false, bmc_firmware: false, iscsi_boot: false };
    let report = redfish().report(&at, nothing).await.expect("a report");
    // The way to the only system, and the system.
    assert_eq!(fake.lines().len(), 3, "{:#?}", fake.lines());
    let facts: Facts = serde_json::from_value(case["facts"].clone()).expect("facts");
    let same = |name: &str| assert_eq!(report.facts.get(name), facts.get(name), "{name}");
    ["manufacturer", "model", "cpu.model", "cpu.count", "memory_mib", "boot_mode", "firmware.bios"].iter().for_each(|name| same(name));
    assert!(report.facts.secure_boot.is_none() && report.abilities.iscsi_boot_unread && !report.abilities.iscsi_boot);
    // What is remembered of it from before is not lost, nor taken for new.
    let mut node = Node::named("a", "http://a");
    node.take_in(&redfish().report(&at, Further::ALL).await.expect("a report"), Time(1));
    let known = node.clone();
    node.take_in(&report, Time(2));
    assert_eq!((&node.live_facts.secure_boot, &node.abilities), (&known.live_facts.secure_boot, &known.abilities));
    assert_eq!((node.facts_at, node.further_at), (Some(Time(2)), Some(Time(1))));
    let at = |name: &str| node.known_facts().into_iter().find(|f| f.name == name).and_then(|f| f.at);
    assert_eq!((at("model"), at("secure_boot")), (Some(Time(2)), Some(Time(1))));
}

/// A count that rests on something that could not be read is unknown, never smaller; the rest is not touched, and the
/// reason is told.
#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_listed_and_spoils_nothing_beside_it() {
    type Case = (&'static str, &'static str, fn(&mut Facts));
    let cases: [Case; 9] = [
        ("/redfish/v1/Systems/1/Memory/3", "memory", |f| f.memory = MemoryFacts::default()),
        ("/redfish/v1/Systems/1/Memory?$skip=2", "memory", |f| f.memory = MemoryFacts::default()),
        ("/redfish/v1/Systems/1/Storage/R1/Controllers/0", "storage", |f| f.storage = StorageFacts::default()),
        ("/redfish/v1/Chassis/1/Drives/2", "storage", |f| f.storage = StorageFacts::default()),
        ("/redfish/v1/Chassis/1/NetworkAdapters/N1/Ports/2", "network", no_network),
        ("/redfish/v1/Chassis/1/NetworkAdapters/N2", "network", no_network),
        ("/redfish/v1/Systems/1/NetworkInterfaces/N1", "network", no_network),
        ("/redfish/v1/UpdateService/FirmwareInventory/Installed-3", "firmware", |f| drop(f.firmware.remove("contoso_r7"))),
        ("/redfish/v1/Systems/1/Processors/GPU2", "processors", |f| {
            f.accelerators = AcceleratorFacts::default();
            (f.cpu.cores, f.cpu.threads) = (None, None);
        }),
    ];
    fn no_network(f: &mut Facts) {
        (f.network, f.hbas) = (NetworkFacts::default(), HbaFacts::default());
    }
    for (path, part, spoil) in cases {
        for answer in [status(404), status(403), status(500), status(200).body("[]"), status(200).body("not json")] {
            let (fake, at, case) = served("modern").await;
            fake.instead(&format!("GET {path}"), answer.clone());
            let report = surveyed(&at).await;
            let mut facts: Facts = serde_json::from_value(case["facts"].clone()).expect("facts");
            spoil(&mut facts);
            assert_eq!(report.facts, facts, "{path}: {answer:?}");
            let told = report.unread.join("\n");
            assert!(told.starts_with(&format!("{part}: ")) && report.unread.len() == 1, "{path}: {answer:?}: {told}");
        }
    }
}

#[tokio::test]
async fn what_the_bmc_does_not_have_is_not_listed_as_missed() {
    for collection in ["Storage", "Memory", "Processors"] {
        let (fake, at, _) = served("modern").await;
        fake.instead(&format!("GET {SYSTEM}/{collection}"), status(404));
        let report = surveyed(&at).await;
        assert!(report.unread.is_empty(), "{collection}: {:?}", report.unread);
        let unknown = match collection {
            "Storage" => report.facts.storage.controllers,
            "Memory" => report.facts.memory.modules,
            _ => report.facts.accelerators.count,
        };
        assert_eq!(unknown, None, "{collection}");
    }
    let (fake, at, _) = served("modern").await;
    fake.instead(&format!("GET {SYSTEM}/Storage"), status(403));
    assert!(surveyed(&at).await.unread[0].contains("403"), "a refusal is no absence");
}

#[tokio::test]
async fn a_bmc_that_falls_silent_on_the_way_is_not_waited_for_again_and_again() {
    let (fake, at, _) = served("modern").await;
    let slow = || status(200).body("{}").delay(std::time::Duration::from_secs(60));
    for path in ["Memory", "NetworkInterfaces", "Storage"] {
        fake.instead(&format!("GET {SYSTEM}/{path}"), slow());
    }
    let began = std::time::Instant::now();
    // The short reading must get through, and it asks for the interfaces.
    let fault = redfish().survey(&at).await.expect_err("silent in what every plan needs");
    assert_eq!(fault.kind, FaultKind::Answered, "it had answered before: {fault}");
    fake.instead(&format!("GET {SYSTEM}/NetworkInterfaces"), status(404));
    fake.instead("GET /redfish/v1/UpdateService", slow());
    let report = surveyed(&at).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!((report.facts.model.as_deref(), report.facts.accelerators.count), (Some("C9000"), Some(3)));
    let told = report.unread.join("\n");
    assert!(told.contains("memory: ") && told.contains("storage: ") && told.contains("had stopped answering"), "{told}");
}

#[tokio::test]
async fn collections_that_never_end_or_come_round_again_are_given_up() {
    let (fake, at, _) = served("modern").await;
    let page =
        json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1/Memory/1"}], "Members@odata.nextLink": "/redfish/v1/Systems/1/Memory"});
    fake.instead(&format!("GET {SYSTEM}/Memory"), ok(page));
    let report = surveyed(&at).await;
    assert!(report.facts.memory.modules.is_none() && report.unread[0].contains("more members"), "{:?}", report.unread);
    let (fake, at, _) = served("modern").await;
    fake.instead(&format!("GET {SYSTEM}/Memory"), ok(json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1/Memory/1"}, null]})));
    assert!(surveyed(&at).await.facts.memory.modules.is_none(), "a member without a link is a member");
}

#[tokio::test]
async fn whose_accelerators_they_are_must_be_clear() {
    let (fake, at, case) = served("baseboard").await;
    let mut second = case["tree"]["/redfish/v1/Systems/DGX"].clone();
    second["@odata.id"] = json!("/redfish/v1/Systems/Two");
    let systems = ["DGX", "HGX_Baseboard_0", "Two"].map(|s| json!({"@odata.id": format!("/redfish/v1/Systems/{s}")}));
    fake.instead("GET /redfish/v1/Systems", ok(json!({ "Members": systems })));
    fake.on("GET /redfish/v1/Systems/Two", ok(second));
    let report = surveyed(&at).await;
    assert_eq!(report.facts.accelerators, AcceleratorFacts::default());
    assert!(report.unread[0].contains("does not say whose"), "{:?}", report.unread);
    assert_eq!(redfish().systems(&fake.unnamed()).await.expect("machines"), ["/redfish/v1/Systems/DGX", "/redfish/v1/Systems/Two"]);
}

#[tokio::test]
async fn a_display_controller_of_an_unknown_vendor_may_be_an_accelerator() {
    let (fake, at, _) = served("pcie").await;
    let function = format!("GET {CHASSIS}/PCIeDevices/1/PCIeFunctions/0");
    fake.instead(&function, ok(json!({"DeviceClass": "DisplayController"})));
    let report = surveyed(&at).await;
    assert_eq!(report.facts.accelerators.count, None);
    assert!(report.unread[0].contains("unknown vendor"), "{:?}", report.unread);
    fake.instead(&function, ok(json!({"DeviceClass": "Bridge"})));
    assert_eq!(surveyed(&at).await.facts.accelerators.count, Some(2));
}

/// Two of one model and one processor that are not the same machine: found by what only a full reading gives.
#[tokio::test]
async fn the_same_model_is_not_identical() {
    let (_one, at, _) = served("modern").await;
    let (other, at_other, _) = served("modern").await;
    other.instead(
        &format!("GET {CHASSIS}/NetworkAdapters/N2"),
        ok(json!({"Model": "Fabrikam I200", "Ports": {"@odata.id": format!("{CHASSIS}/NetworkAdapters/N2/Ports")}})),
    );
    other.instead(&format!("GET {SYSTEM}/Processors/GPU2"), ok(json!({"ProcessorType": "GPU", "Model": null})));
    let (a, b) = (surveyed(&at).await.facts, surveyed(&at_other).await.facts);
    assert_eq!((&a.model, &a.cpu, a.memory_mib), (&b.model, &b.cpu, b.memory_mib));
    assert_ne!(a.network.models, b.network.models);
    assert_eq!((a.accelerators.count, b.accelerators.count, b.accelerators.models), (Some(3), Some(3), None), "null is equal to nothing");
}

#[tokio::test]
async fn an_identity_that_identifies_nothing_is_none() {
    let (_fake, at, _) = served("simple").await;
    let report = surveyed(&at).await;
    assert!(report.reading.identity.is_empty());
    assert_eq!(report.facts.health, Some(Health::Critical));
    assert_eq!((report.facts.manufacturer, report.facts.model), (None, None));
}
