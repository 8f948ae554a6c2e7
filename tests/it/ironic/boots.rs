//! `boot.via: inventory`: the service that keeps a node lets it boot.

use crate::crash::runbook;
use coldswap_sim::model::*;
use coldswap_sim::plan::{LeftOutCode, Plan, Request, plan};
use coldswap_sim::runbook::{BootVia, LeftOutPolicy};
use coldswap_sim::sim::fleet;
use coldswap_sim::step::Step;

fn planned(via: Option<BootVia>, change: impl Fn(&mut Fleet, NodeId, NodeId)) -> Plan {
    planned_by(via, false, change)
}

fn planned_by(via: Option<BootVia>, nova_aware: bool, change: impl Fn(&mut Fleet, NodeId, NodeId)) -> Plan {
    let (mut fleet, ends) = fleet(1, 1);
    for id in [ends[0].0, ends[0].1] {
        let node = fleet.nodes.get_mut(&id).expect("a node");
        node.kept_by = Some(Box::default());
        node.capabilities.insert("iscsi_boot".into(), "true".into());
        node.abilities.iscsi_boot = false;
    }
    change(&mut fleet, ends[0].0, ends[0].1);
    let mut book = runbook(&fleet, &ends, 1, Span::millis(300));
    book.boot.via = via;
    book.sources.nova_aware = nova_aware;
    book.sources.left_out = Some(LeftOutPolicy::Allow);
    let request = Request {
        id: "p-1".into(),
        store: "store".into(),
        now: fleet.captured_at,
        landing: Default::default(),
        only: Vec::new(),
        exclude: Vec::new(),
        allow_storm: true,
        allow_boot_cleared: Vec::new(),
        home: Default::default(),
    };
    plan(&book, &fleet, &request).unwrap_or_else(|e| panic!("{e:?}")).0
}

fn left(plan: &Plan) -> Vec<LeftOutCode> {
    plan.left_out.iter().map(|l| l.code).collect()
}

#[test]
fn nodes_that_a_service_keeps_are_booted_by_it_unless_the_runbook_says_otherwise() {
    let plan = planned(None, |_, _, _| {});
    assert_eq!(left(&plan), []);
    let ours = |s: &Step| matches!(s, Step::ClearSourceBoot(_) | Step::ConfigureBoot(_));
    assert!(!plan.switchovers[0].steps.iter().any(ours));
    let warnings = plan.switchovers[0].warnings.join("\n");
    assert!(
        warnings.contains("Ironic deploys `spare-00` from its volumes") && warnings.contains("Ironic undeploys `source-00`"),
        "{warnings}"
    );
    for via in [BootVia::RedfishIscsi, BootVia::RedfishOverride, BootVia::None] {
        assert_eq!(left(&planned(Some(via), |_, _, _| {})), [LeftOutCode::BootByService]);
    }
}

/// The order of requests that never meets a constraint of Ironic's, by deployment and by adoption.
#[test]
fn the_steps_of_a_kept_pair_stand_in_the_order_that_ironic_can_follow() {
    let names = |state: ProvisionState| {
        let plan = planned(None, |fleet, _, spare| fleet.nodes.get_mut(&spare).expect("the spare").provision_state = state);
        let told = |s: &Step| match s {
            Step::Reserve(r) => format!("reserve {} {}", r.machine.name, if r.claim.is_some() { "by claim" } else { "" }).trim().to_owned(),
            Step::SetMaintenance(m) => format!("maintenance {}", m.machine.name),
            Step::Provision(p) => format!("{} {}", p.target.as_str(), s.subject()),
            Step::LeaveMaintenance(_) | Step::CleanSource(_) => format!("{} {}", s.name(), s.subject()),
            _ => s.name().to_owned(),
        };
        plan.switchovers[0].steps.iter().filter(|s| s.hook().is_none()).map(told).collect::<Vec<_>>()
    };
    let begin = ["reserve spare-00 by claim", "reserve source-00"];
    let moves = ["maintenance source-00", "maintenance spare-00", "power_off", "fence", "move_connector", "move_target", "move_instance"];
    let end = ["await_boot", "clean_source source-00", "note_debt", "release", "release"];
    let deploy = ["leave_maintenance spare-00", "active spare-00"];
    assert_eq!(names(ProvisionState::Available), [&begin[..], &moves, &deploy, &end].concat());
    let adopt = ["adopt spare-00", "configure_boot", "leave_maintenance spare-00", "power_on"];
    assert_eq!(names(ProvisionState::Manageable), [&begin[..], &moves, &adopt, &end].concat());
    assert_eq!(names(ProvisionState::Enroll), [&begin[..], &["manage spare-00"], &moves, &adopt, &end].concat());
}

#[test]
fn a_pair_that_is_half_kept_is_left_out() {
    for end in [0, 1] {
        let plan = planned(None, |fleet, source, spare| {
            fleet.nodes.get_mut(&[source, spare][end]).expect("a node").kept_by = None;
        });
        assert_eq!(left(&plan), [LeftOutCode::OneEndKept]);
        assert!(plan.left_out[0].why.contains("`source-00`") && plan.left_out[0].why.contains("`spare-00`"), "{}", plan.left_out[0].why);
    }
}

/// Ironic puts a node whose BMC is dead into maintenance by itself: in a disaster that is no reason to leave it alone.
#[test]
fn a_maintenance_that_the_service_set_for_a_dead_bmc_keeps_no_source_from_a_disaster_plan() {
    let plan = |fault: Option<&str>| {
        let (mut fleet, ends) = coldswap_sim::sim::kept_fleet(1, 1, ProvisionState::Available);
        let source = ends[0].0;
        fleet.live.insert(source, Live::Silent(Fault::transient("the conductor does not reach its BMC")));
        let node = fleet.nodes.get_mut(&source).expect("the source");
        node.maintenance = Some(Maintenance { reason: "During sync_power_state, max retries exceeded".into() });
        node.kept_by = Some(Box::new(Keeper { fault: fault.map(str::to_owned), ..Keeper::default() }));
        let mut book = runbook(&fleet, &ends, 1, Span::ZERO);
        book.mode = coldswap_sim::runbook::Mode::Disaster;
        book.boot.via = None;
        book.sources.left_out = Some(LeftOutPolicy::Allow);
        let expires = Span::mins(30);
        book.vouchers.levels = vec![coldswap_sim::runbook::VoucherTemplate::Attestation { expires }];
        let request = Request {
            id: "p-1".into(),
            store: "store".into(),
            now: fleet.captured_at,
            landing: Default::default(),
            only: Vec::new(),
            exclude: Vec::new(),
            allow_storm: true,
            allow_boot_cleared: Vec::new(),
            home: Default::default(),
        };
        coldswap_sim::plan::plan(&book, &fleet, &request).unwrap_or_else(|e| panic!("{e:?}")).0
    };
    assert_eq!(left(&plan(None)), [LeftOutCode::Maintenance]);
    assert_eq!(left(&plan(Some("power failure"))), []);
}

#[test]
fn a_store_boots_nobody_and_a_spare_without_the_capability_is_told_before_anything_is_moved() {
    let stored = planned(Some(BootVia::Inventory), |fleet, _, _| fleet.nodes.values_mut().for_each(|n| n.kept_by = None));
    assert_eq!(left(&stored), [LeftOutCode::BootUnsupported]);
    assert!(stored.left_out[0].why.contains("kind: ironic"), "{}", stored.left_out[0].why);
    let cannot = planned(None, |fleet, _, spare| fleet.nodes.get_mut(&spare).expect("the spare").capabilities.clear());
    assert_eq!(left(&cannot), [LeftOutCode::BootUnsupported]);
    assert!(cannot.left_out[0].why.contains("`iscsi_boot`"), "{}", cannot.left_out[0].why);
}

#[test]
fn an_instance_of_novas_moves_only_where_the_runbook_knows_and_the_plan_says_what_nova_will_believe() {
    let of_nova = |aware| {
        planned_by(None, aware, |fleet, source, _| {
            let bars = vec![Bar { code: SourceBar::Nova, text: "Nova (`compute-1`) goes on naming this node".into() }];
            let keeper = Keeper { source_bars: bars, ..Keeper::default() };
            fleet.nodes.get_mut(&source).expect("the source").kept_by = Some(Box::new(keeper));
        })
    };
    assert_eq!(left(&of_nova(false)), [LeftOutCode::Nova]);
    let plan = of_nova(true);
    assert_eq!(left(&plan), []);
    assert!(plan.switchovers[0].warnings.iter().any(|w| w.contains("compute-1")), "{:?}", plan.switchovers[0].warnings);
}

#[test]
fn what_the_service_says_is_an_obstacle_of_its_own() {
    let bar = |code| Bar { code, text: "`x`: as Ironic says".into() };
    let locked = planned(None, |fleet, source, _| {
        let node = fleet.nodes.get_mut(&source).expect("the source");
        node.kept_by = Some(Box::new(Keeper { source_bars: vec![bar(SourceBar::Locked)], ..Keeper::default() }));
    });
    assert_eq!(left(&locked), [LeftOutCode::Locked]);
    for state in ProvisionState::ALL.iter().filter(|s| !s.is_settled()) {
        let source = planned(None, |fleet, source, _| fleet.nodes.get_mut(&source).expect("the source").provision_state = *state);
        assert_eq!(left(&source), [LeftOutCode::ProvisionState], "{state}");
        assert!(source.left_out[0].why.contains(&format!("`{state}`")), "{}", source.left_out[0].why);
        let spare = planned(None, |fleet, _, spare| fleet.nodes.get_mut(&spare).expect("the spare").provision_state = *state);
        assert!(spare.switchovers.is_empty(), "{state}");
    }
}

#[test]
fn a_node_of_an_earlier_version_has_no_keeper_and_one_that_has_keeps_it() {
    let node = Node::named("web-1", "https://web-1");
    let plain = serde_json::to_value(&node).expect("JSON");
    assert!(plain.get("kept_by").is_none());
    let kept = Node { kept_by: Some(Box::default()), ..node };
    let back: Node = serde_json::from_value(serde_json::to_value(&kept).expect("JSON")).expect("a node");
    assert_eq!(back, kept);
}
