use super::fake::*;
use coldswap::model::*;
use coldswap::ports::{Bmc, Deadline};
use serde_json::{Value, json};

const NDF: &str = "/redfish/v1/Chassis/1/NetworkAdapters/N/NetworkDeviceFunctions";

fn link(path: &str) -> Value {
    json!({ "@odata.id": path })
}

fn boot(target: &str) -> Value {
    json!({"iSCSIBoot": {"InitiatorName": "iqn.old", "PrimaryTargetName": target, "PrimaryTargetIPAddress": "10.0.0.9",
        "PrimaryTargetTCPPort": 3260, "PrimaryLUN": "2", "SecondaryTargetName": ""}})
}

/// A system whose chassis has one adapter with these functions.
async fn with_functions(functions: &[Value]) -> Fake {
    let fake = Fake::with_system(system_but(json!({"Links": {"Chassis": [link("/redfish/v1/Chassis/1")]}}))).await;
    let members: Vec<Value> = (1..=functions.len()).map(|n| link(&format!("{NDF}/{n}"))).collect();
    fake.tree(&json!({
        "/redfish/v1/Chassis/1": {"NetworkAdapters": link("/redfish/v1/Chassis/1/NetworkAdapters"), "Links": {"ComputerSystems": [link(SYSTEM)]}},
        "/redfish/v1/Chassis/1/NetworkAdapters": {"Members": [link("/redfish/v1/Chassis/1/NetworkAdapters/N")]},
        "/redfish/v1/Chassis/1/NetworkAdapters/N": {"NetworkDeviceFunctions": link(NDF)},
        NDF: {"Members": members},
    }));
    for (n, function) in functions.iter().enumerate() {
        fake.on(&format!("GET {NDF}/{}", n + 1), ok(function.clone()));
        fake.on(&format!("PATCH {NDF}/{}", n + 1), status(200));
    }
    fake
}

fn volume() -> IscsiBoot {
    IscsiBoot { initiator: "iqn.host".into(), target: "iqn.vol".into(), portal: "10.0.0.1:3261".into(), lun: 1 }
}

fn iscsi(boot: IscsiBoot) -> BootSettings {
    BootSettings { iscsi: Some(boot), boot_override: None }
}

/// The look that let the change be made has read everything that the change needs. What was set is read anew.
#[tokio::test]
async fn a_change_is_written_by_what_was_read_just_before_and_read_back_afterwards() {
    let fake = Fake::with_system(system()).await;
    fake.instead(&format!("GET {SYSTEM}"), ok(system()).header("etag", "\"1\""));
    fake.on(&format!("PATCH {SYSTEM}"), status(204));
    let redfish = redfish();
    redfish.read(&fake.at()).await.expect("a look");
    let looked = fake.lines().len();
    let pxe = BootOverride { target: Some("Pxe".into()), enabled: Some("Continuous".into()) };
    let settings = BootSettings { iscsi: None, boot_override: Some(pxe) };
    redfish.set_boot(&fake.at(), &settings, &Deadline::NONE).await.expect("set");
    assert_eq!(fake.lines()[looked..], [format!("PATCH {SYSTEM}")]);
    assert_eq!(fake.commands()[0].header("if-match"), Some("\"1\""), "what changed since is not overwritten");
    redfish.set_boot(&fake.at(), &settings, &Deadline::NONE).await.expect("set");
    assert_eq!(fake.lines()[looked + 1..], [format!("GET {SYSTEM}"), format!("PATCH {SYSTEM}")], "after a change nothing is known");
}

#[tokio::test]
async fn the_function_that_has_a_target_is_the_one_and_is_found_once() {
    let fake = with_functions(&[json!({"NetDevFuncType": "Ethernet"}), boot(""), boot("iqn.vol")]).await;
    let redfish = redfish();
    let seen = redfish.iscsi_boot(&fake.at()).await.expect("look").expect("a function");
    let want = IscsiBoot { initiator: "iqn.old".into(), target: "iqn.vol".into(), portal: "10.0.0.9:3260".into(), lun: 2 };
    assert_eq!(seen, want);
    let walked = fake.lines().len();
    redfish.iscsi_boot(&fake.at()).await.expect("look");
    assert_eq!(fake.lines()[walked..], [format!("GET {NDF}/3"), format!("GET {NDF}/2")], "and the one that could have one by now");

    let fake = with_functions(&[json!({}), boot(""), boot("")]).await;
    assert!(redfish.iscsi_boot(&fake.at()).await.expect("look").expect("the first that could").is_clear());
    redfish.set_boot(&fake.at(), &iscsi(volume()), &Deadline::NONE).await.expect("set");
    let patch = &fake.commands()[0];
    assert_eq!(patch.line, format!("PATCH {NDF}/2"));
    let written = json!({"iSCSIBoot": {"InitiatorName": "iqn.host", "PrimaryTargetName": "iqn.vol", "PrimaryTargetIPAddress": "10.0.0.1",
        "PrimaryTargetTCPPort": 3261, "PrimaryLUN": 1}});
    assert_eq!(patch.json(), written);
    assert!(patch.header("if-match").is_none(), "it gave no ETag");
}

#[tokio::test]
async fn clearing_clears_every_target() {
    let mut second = boot("");
    second["iSCSIBoot"]["SecondaryTargetName"] = json!("iqn.vol");
    let fake = with_functions(&[boot(""), boot("iqn.vol"), second]).await;
    redfish().set_boot(&fake.at(), &iscsi(IscsiBoot::default()), &Deadline::NONE).await.expect("cleared");
    let patches = fake.commands();
    assert_eq!(patches.iter().map(|p| p.line.clone()).collect::<Vec<_>>(), [format!("PATCH {NDF}/2"), format!("PATCH {NDF}/3")]);
    for patch in &patches {
        let boot = &patch.json()["iSCSIBoot"];
        assert_eq!((&boot["PrimaryTargetName"], &boot["PrimaryTargetIPAddress"]), (&json!(""), &json!("0.0.0.0")));
    }
    assert_eq!(patches[1].json()["iSCSIBoot"]["SecondaryTargetName"], json!(""));
    // A second failure after a first success: nobody can say that nothing happened.
    fake.instead(&format!("PATCH {NDF}/3"), status(400));
    let fault = redfish().set_boot(&fake.at(), &iscsi(IscsiBoot::default()), &Deadline::NONE).await.expect_err("half");
    assert_eq!(fault.kind, FaultKind::Unknown);
    // Read back, what was written is clear.
    let cleared =
        json!({"iSCSIBoot": {"PrimaryTargetName": "", "PrimaryTargetIPAddress": "0.0.0.0", "PrimaryTargetTCPPort": 3260, "PrimaryLUN": 0}});
    let fake = with_functions(&[cleared]).await;
    let seen = redfish().iscsi_boot(&fake.at()).await.expect("look");
    assert_eq!(seen, Some(IscsiBoot::default()));
}

#[tokio::test]
async fn an_enclosures_adapters_are_nobodys_and_the_systems_own_come_first() {
    let fake = with_functions(&[boot("iqn.of-another-blade")]).await;
    let both = json!({"NetworkAdapters": link("/redfish/v1/Chassis/1/NetworkAdapters"),
        "Links": {"ComputerSystems": [link(SYSTEM), link("/redfish/v1/Systems/2")]}});
    fake.instead("GET /redfish/v1/Chassis/1", ok(both));
    let redfish = redfish();
    assert_eq!(redfish.iscsi_boot(&fake.at()).await.expect("look"), None);
    redfish.set_boot(&fake.at(), &iscsi(IscsiBoot::default()), &Deadline::NONE).await.expect("nothing to clear");
    let fault = redfish.set_boot(&fake.at(), &iscsi(volume()), &Deadline::NONE).await.expect_err("nowhere to write");
    assert_eq!((fault.kind, fake.commands().len()), (FaultKind::Refused, 0));

    let fake = with_functions(&[boot("iqn.chassis")]).await;
    let links = json!({"Links": {"Chassis": [link("/redfish/v1/Chassis/1")]}, "NetworkInterfaces": link("/redfish/v1/Systems/1/NetworkInterfaces")});
    fake.instead(&format!("GET {SYSTEM}"), ok(system_but(links)));
    fake.tree(&json!({
        "/redfish/v1/Systems/1/NetworkInterfaces": {"Members": [link("/redfish/v1/Systems/1/NetworkInterfaces/A")]},
        "/redfish/v1/Systems/1/NetworkInterfaces/A": {"NetworkDeviceFunctions": link("/own")},
        "/own": {"Members": [link("/redfish/v1/own/1"), link("https://elsewhere.example/own/2")]},
        "/redfish/v1/own/1": boot("iqn.own"),
    }));
    let seen = redfish.iscsi_boot(&fake.at()).await.expect("look").expect("a function");
    assert_eq!(seen.target, "iqn.own");
}

#[tokio::test]
async fn what_is_written_through_a_settings_resource_is_read_there_and_only_then() {
    let mut function = boot("iqn.vol");
    function["@Redfish.Settings"] =
        json!({"SettingsObject": link(&format!("{NDF}/1/Settings")), "SupportedApplyTimes": ["OnReset", "AtMaintenanceWindowStart"]});
    function["BootMode"] = json!("Disabled");
    let fake = with_functions(&[function]).await;
    let blank = json!({"iSCSIBoot": {"PrimaryTargetName": "", "PrimaryTargetIPAddress": ""}});
    fake.on(&format!("GET {NDF}/1/Settings"), ok(blank));
    fake.on(&format!("PATCH {NDF}/1/Settings"), status(202));
    let redfish = redfish();
    let seen = redfish.iscsi_boot(&fake.at()).await.expect("look").expect("a function");
    assert_eq!(seen.target, "iqn.vol", "a settings resource that nobody wrote clears nothing");
    redfish.set_boot(&fake.at(), &iscsi(IscsiBoot::default()), &Deadline::NONE).await.expect("cleared");
    let patch = &fake.commands()[0];
    assert_eq!(patch.line, format!("PATCH {NDF}/1/Settings"));
    assert_eq!(patch.json()["@Redfish.SettingsApplyTime"], json!({"ApplyTime": "OnReset"}));
    assert!(patch.json().get("BootMode").is_none());
    assert!(redfish.iscsi_boot(&fake.at()).await.expect("look").expect("a function").is_clear(), "what was written is what will be");
    redfish.set_boot(&fake.at(), &iscsi(volume()), &Deadline::NONE).await.expect("set");
    assert_eq!(fake.commands()[1].json()["BootMode"], json!("iSCSI"));
}

#[tokio::test]
async fn if_match_goes_where_an_etag_was_given_and_412_is_answered_once() {
    let get = format!("GET {SYSTEM}");
    let patch = format!("PATCH {SYSTEM}");
    let want = BootSettings { iscsi: None, boot_override: Some(BootOverride { target: Some("Pxe".into()), enabled: Some("Once".into()) }) };
    // What the resource gives, what PATCH answers, which tags are sent, and how it ends.
    let in_body = system_but(json!({"@odata.etag": "\"body\""}));
    let cases = [
        (ok(system()), vec![204], vec![None], true),
        (ok(system()).header("etag", "\"\""), vec![204], vec![None], true),
        (ok(system()).header("etag", "W/\"a\""), vec![204], vec![Some("W/\"a\"")], true),
        (ok(in_body.clone()), vec![204], vec![Some("\"body\"")], true),
        (ok(in_body).header("etag", "\"head\""), vec![412, 204], vec![Some("\"head\""), Some("\"body\"")], true),
        (ok(system()).header("etag", "\"a\""), vec![412, 204], vec![Some("\"a\""), Some("*")], true),
        (ok(system()), vec![428, 204], vec![None, Some("*")], true),
        (ok(system()).header("etag", "\"a\""), vec![412, 412], vec![Some("\"a\""), Some("*")], false),
        (ok(system()), vec![500], vec![None], false),
    ];
    for (resource, answers, tags, good) in cases {
        let fake = Fake::with_system(system()).await;
        fake.instead(&get, resource.clone());
        answers.iter().for_each(|a| fake.on(&patch, status(*a)));
        let result = redfish().set_boot(&fake.at(), &want, &Deadline::NONE).await;
        let sent = fake.commands();
        assert_eq!(sent.iter().map(|a| a.header("if-match")).collect::<Vec<_>>(), tags, "{resource:?} {answers:?}");
        assert_eq!(result.is_ok(), good, "{result:?}");
        assert_eq!(sent[0].json(), json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}));
    }
}

#[tokio::test]
async fn an_override_behind_a_settings_resource_is_written_and_read_there() {
    let settings = json!({"@Redfish.Settings": {"SettingsObject": link("/redfish/v1/Systems/1/SD")}});
    let fake = Fake::with_system(system_but(settings)).await;
    fake.on(
        "GET /redfish/v1/Systems/1/SD",
        ok(json!({"Boot": {"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled"}})),
    );
    fake.on("PATCH /redfish/v1/Systems/1/SD", status(204));
    let redfish = redfish();
    let want = BootOverride { target: Some("Pxe".into()), enabled: Some("Continuous".into()) };
    let asked = BootSettings { iscsi: None, boot_override: Some(want.clone()) };
    redfish.set_boot(&fake.at(), &asked, &Deadline::NONE).await.expect("set");
    assert_eq!(fake.commands()[0].line, "PATCH /redfish/v1/Systems/1/SD");
    fake.instead(
        "GET /redfish/v1/Systems/1/SD",
        ok(json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}})),
    );
    let seen = redfish.read(&fake.at()).await.expect("reading").boot_override;
    assert_eq!(seen, want);
    // Settings that do not hold the override (BIOS attributes only) are not where it is written.
    let fake = Fake::with_system(system_but(json!({"@Redfish.Settings": {"SettingsObject": link("/redfish/v1/Systems/1/SD")}}))).await;
    fake.on("GET /redfish/v1/Systems/1/SD", ok(json!({"Boot": {}})));
    fake.on(&format!("PATCH {SYSTEM}"), status(204));
    redfish.set_boot(&fake.at(), &asked, &Deadline::NONE).await.expect("set");
    assert_eq!(fake.commands()[0].line, format!("PATCH {SYSTEM}"));
}

/// A firmware that cannot be read is not one that opens nothing.
#[tokio::test]
async fn a_function_that_cannot_be_read_leaves_open_what_it_opens() {
    for (status_code, passed_over) in [(404, true), (405, true), (501, true), (503, false), (500, false), (429, false), (403, false)] {
        let fake = with_functions(&[boot(""), boot("iqn.2026-01.example:other")]).await;
        fake.instead(&format!("GET {NDF}/2"), status(status_code));
        let seen = redfish().report(&fake.at(), Further::ALL).await;
        assert_eq!(seen.is_ok(), passed_over, "{status_code}: {seen:?}");
        if let Err(fault) = seen {
            assert!(!fault.is_silence(), "{status_code}: {fault}");
        }
    }
}

#[tokio::test]
async fn a_target_that_a_dhcp_server_names_is_a_target() {
    let by_dhcp = |mode: &str, flag: bool| json!({"BootMode": mode, "iSCSIBoot": {"PrimaryTargetName": "", "TargetInfoViaDHCP": flag}});
    for (mode, flag, clear) in [("iSCSI", true, false), ("iSCSI", false, true), ("PXE", true, true)] {
        let fake = with_functions(&[by_dhcp(mode, flag)]).await;
        let seen = redfish().report(&fake.at(), Further::ALL).await.expect("a report").iscsi_boot.expect("a function");
        assert_eq!(seen.is_clear(), clear, "{mode} {flag}: {seen:?}");
    }
    let fake = with_functions(&[by_dhcp("iSCSI", true)]).await;
    redfish().set_boot(&fake.at(), &iscsi(IscsiBoot::default()), &Deadline::NONE).await.expect("cleared");
    let sent = &fake.commands()[0];
    assert_eq!(sent.json()["iSCSIBoot"]["TargetInfoViaDHCP"], false, "{sent:?}");
}
