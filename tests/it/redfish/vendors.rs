//! Whole systems as vendors show them, cut down from recorded trees, and the report that must come of each. To add one:
//! a file in `cases` with the tree (path to body; what is not in it is 404) and the expected report.

use super::fake::*;
use coldswap::model::*;
use coldswap::ports::{Bmc, Deadline};
use serde_json::{Value, json};

const CASES: [(&str, &str); 6] = [
    ("dell_r750", include_str!("cases/dell_r750.json")),
    ("hpe_dl385", include_str!("cases/hpe_dl385.json")),
    ("lenovo_sr670_v2", include_str!("cases/lenovo_sr670_v2.json")),
    ("supermicro_821ge", include_str!("cases/supermicro_821ge.json")),
    ("dgx_h100", include_str!("cases/dgx_h100.json")),
    ("gb200", include_str!("cases/gb200.json")),
];

async fn served(case: &str) -> (Fake, BmcEndpoint, Value) {
    let case: Value = serde_json::from_str(case).expect("a case");
    let fake = Fake::start().await;
    fake.tree(&case["tree"]);
    let at = BmcEndpoint { system: case["system"].as_str().map(Into::into), ..fake.at() };
    (fake, at, case)
}

#[tokio::test]
async fn each_vendors_tree_gives_its_report() {
    let redfish = redfish();
    for (name, case) in CASES {
        let (_fake, at, case) = served(case).await;
        let report = redfish.report(&at, Further::ALL).await.unwrap_or_else(|f| panic!("{name}: {f}"));
        let seen = serde_json::to_value(&report).expect("json");
        for part in ["reading", "facts", "abilities", "iscsi_boot", "system"] {
            assert_eq!(seen[part], case["expect"][part], "{name}: {part}");
        }
    }
}

#[tokio::test]
async fn a_dgx_without_a_named_system_is_refused_and_its_baseboard_has_no_reset() {
    let (fake, at, _) = served(CASES[4].1).await;
    let redfish = redfish();
    let unnamed = BmcEndpoint { system: None, ..at.clone() };
    assert_eq!(redfish.read(&unnamed).await.expect_err("two").kind, FaultKind::Refused);
    let baseboard = BmcEndpoint { system: Some("/redfish/v1/Systems/HGX_Baseboard_0".into()), ..at };
    let fault = redfish.reset(&baseboard, ResetType::ForceOff, &Deadline::NONE).await.expect_err("no reset");
    assert!(fault.kind == FaultKind::Refused && fake.commands().is_empty(), "{fault}");
    assert_eq!(redfish.report(&baseboard, Further::ALL).await.expect("report").abilities.reset_types, Some(vec![]));
}

#[tokio::test]
async fn a_count_with_a_part_missing_is_unknown_and_not_smaller() {
    for missing in [status(404), status(403), status(500), status(200).body("not json")] {
        let (fake, at, _) = served(CASES[4].1).await;
        fake.instead("GET /redfish/v1/Systems/DGX/Memory/3", missing.clone());
        let facts = redfish().report(&at, Further::ALL).await.expect("report").facts;
        assert_eq!(facts.memory_mib, None, "{missing:?}");
    }
}

#[tokio::test]
async fn members_that_come_half_done_are_read_one_by_one() {
    let (fake, at, _) = served(CASES[3].1).await;
    let path = "/redfish/v1/Systems/1/Processors";
    let links = json!({"Members": [{"@odata.id": format!("{path}/1")}, {"@odata.id": format!("{path}/2")}]});
    let one = json!({"Model": "X", "TotalCores": "8"});
    for half in [ok(links.clone()), status(400), status(200).body("[]")] {
        fake.instead(&format!("GET {path}?$expand=.($levels=1)"), half);
        fake.instead(&format!("GET {path}"), ok(links.clone()));
        fake.instead(&format!("GET {path}/1"), ok(one.clone()));
        fake.instead(&format!("GET {path}/2"), ok(one.clone()));
        let cpu = redfish().report(&at, Further::ALL).await.expect("report").facts.cpu;
        assert_eq!((cpu.count, cpu.cores, cpu.threads), (Some(2), Some(16), None));
    }
}

#[tokio::test]
async fn a_report_of_a_bmc_that_is_starting_is_no_report() {
    let fake = Fake::with_system(json!({"@odata.id": SYSTEM})).await;
    assert_eq!(redfish().report(&fake.at(), Further::ALL).await.expect_err("nothing known").kind, FaultKind::Answered);
}
