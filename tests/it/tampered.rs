//! Somebody else writes the spare's boot configuration between the step that sets it and the start, or its BMC forgets it.

use crate::cli::{Place, RUNBOOK};
use crate::crash::plan_for;
use coldswap_sim::sim::*;
use std::sync::Arc;

/// How many of so many seeds end with what `needle` says.
fn caught(bugs: Bugs, needle: &str) -> usize {
    let (fleet, pairs) = fleet(3, 1);
    let plan = Arc::new(plan_for(&fleet, &pairs, 3, coldswap_sim::model::Span::secs(1)));
    let faults = Faults { tampered: 50, ..Faults::default() };
    (0..300).filter(|seed| check(&plan, &fleet, &run(&plan, &fleet, *seed, faults, &[], bugs)).is_err_and(|e| e.contains(needle))).count()
}

#[test]
fn a_boot_configuration_that_is_changed_before_the_start() {
    let bug = Bugs { start_boot_not_asked: true, ..Bugs::default() };
    let (twice, nothing) = (caught(bug, "S1"), caught(bug, "has not opened its volume"));
    println!("of 300 caught where PowerOn does not look: {twice} volumes open twice, {nothing} machines without their volume");
    assert!(twice > 10 && nothing > 10);
    assert_eq!(caught(Bugs::default(), ""), 0);
}

/// A BMC that says nothing of its power for once has not said that anything is wrong.
#[test]
fn a_power_state_that_is_null_now_and_then_turns_nothing_back() {
    let (fleet, pairs) = fleet(3, 1);
    let plan = Arc::new(plan_for(&fleet, &pairs, 3, coldswap_sim::model::Span::secs(1)));
    for seed in 0..100 {
        let run = run(&plan, &fleet, seed, Faults { null_power: 30, ..Faults::default() }, &[], Bugs::default());
        let tally = check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(tally, Tally::from([(coldswap_sim::engine::Outcome::SwitchedOver, 3)]), "seed {seed}");
    }
}

/// The real program: while its hook asks a person, somebody at the spare's BMC writes another volume, or clears it.
#[test]
fn the_program_starts_no_machine_whose_boot_configuration_was_changed() {
    use coldswap::model::*;
    let place = Place::new(Span(50));
    let hook = "hooks: {post-migration: [{name: look, prompt: {text: ok, choices: [yes, no], timeout: 1m, default: no}}]}\n";
    place.write("gated.yaml", &(RUNBOOK.replace("[web-1, web-2]", "[web-1]") + hook));
    for (n, target) in ["iqn.2026-01.example:vol-web-2", ""].iter().enumerate() {
        let run = format!("r-{}", n + 1);
        let mut child = place.spawn(&["apply", "gated.yaml", "--yes"]);
        let began = std::time::Instant::now();
        let asks = || String::from_utf8_lossy(&place.run(&["journal", &run]).get_output().stdout).contains("prompt");
        while !asks() {
            assert!(began.elapsed().as_secs() < 20, "nobody asks");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let address = place.lab.address_of("spare-1").expect("an address");
        let function = format!("{address}/redfish/v1/Chassis/1/NetworkAdapters/nic1/NetworkDeviceFunctions/nic1f1");
        let other = serde_json::json!({"iSCSIBoot": {"PrimaryTargetName": target}});
        // Whoever comes second finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let sent = place.runtime.block_on(client.patch(function).json(&other).send()).expect("an answer");
        assert_eq!(sent.status(), 204);
        place.run(&["decide", &run, "s-001", "yes"]).code(0);
        assert_eq!(child.wait().expect("it ends").code(), Some(4));
        let report = place.json(&["report", &run], 0);
        assert_eq!(report["switchovers"][0]["outcome"], "rolled_back");
        assert_eq!(report["switchovers"][0]["why"]["code"], "boot_changed", "{}", report["switchovers"][0]["why"]);
        assert_eq!(place.lab.machine("spare-1").map(|m| m.power), Some(PowerState::Off));
        assert_eq!(place.lab.machine("web-1").map(|m| m.power), Some(PowerState::On));
        assert!(place.lab.machine("spare-1").is_some_and(|m| m.iscsi[0].target.is_empty()), "the spare opens nothing");
        place.no_volume_was_open_twice();
    }
    place.run(&["apply", "runbook.yaml", "--yes"]).code(0);
}
