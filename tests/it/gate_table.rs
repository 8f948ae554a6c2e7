//! The table of gates, and those of the gates that no other test shows by itself.

use crate::crash::plan_for;
use crate::lessons::test_names;
use coldswap::cli::gates;
use coldswap_sim::model::*;
use coldswap_sim::plan::Plan;
use coldswap_sim::sim::fleet;
use coldswap_sim::step::{AwaitBoot, Context, LeaveMaintenance, Observation, Query, SetRestorePolicy, Step, Verdict, meaning};
use std::collections::BTreeSet;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_gates_is_what_the_code_declares() {
    let path = root().join("docs/gates.md");
    if std::env::var_os("COLDSWAP_BLESS").is_some() {
        std::fs::write(&path, gates::page()).expect("write");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), gates::page(), "COLDSWAP_BLESS=1 writes it");
}

/// The sources below a folder, each with its name from the root.
pub fn texts(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            found.push((name, std::fs::read_to_string(&path).expect("text")));
        }
    }
}

#[test]
fn each_gate_names_a_test_that_is_there_and_none_is_forgotten() {
    let mut files = Vec::new();
    texts(&root().join("src"), &mut files);
    let declaring: BTreeSet<String> = files
        .iter()
        .filter(|(name, text)| text.contains("\ngates! {") && name != "src/model/gate_table.rs")
        .map(|(name, _)| name.clone())
        .collect();
    texts(&root().join("tests"), &mut files);
    let all = gates::all();
    let listed: BTreeSet<String> = all.iter().map(|g| g.file.to_owned()).collect();
    assert_eq!(listed, declaring, "every file that declares gates is in a list of its module, and the list in cli/gates.rs");
    let tests: BTreeSet<&str> = files.iter().flat_map(|(_, text)| test_names(text)).collect();
    let mut names = BTreeSet::new();
    for gate in all {
        assert!(names.insert(gate.name), "two gates are called {}", gate.name);
        assert!(tests.contains(gate.test), "gate `{}`: there is no test `{}`", gate.name, gate.test);
        assert!(!gate.why.is_empty() && !gate.guards.contains('|') && !gate.why.contains('|'), "{gate:?}");
    }
}

pub fn one() -> (Fleet, Plan) {
    let (fleet, ends) = fleet(1, 1);
    let plan = plan_for(&fleet, &ends, 1, Span::secs(1));
    (fleet, plan)
}

pub fn holder() -> Holder {
    Holder { run: "r-1".into(), switchover: SwitchoverId(1) }
}

/// What the first step that fits says of this world.
pub fn verdict(plan: &Plan, fleet: &Fleet, begun: bool, wanted: impl Fn(&Step) -> bool) -> Verdict {
    let step = plan.switchovers[0].steps.iter().find(|s| wanted(s)).expect("such a step");
    asked(step, fleet, begun)
}

pub fn asked(step: &Step, fleet: &Fleet, begun: bool) -> Verdict {
    let cx = Context { begun, sent: begun, ..Context::fresh(holder(), 1, fleet.captured_at) };
    let seen: Vec<Observation> = step.observes(&cx).iter().map(|q| meaning::answer(fleet, q)).collect();
    step.evaluate(&cx, &seen)
}

pub fn code(verdict: Verdict) -> Option<ReasonCode> {
    match verdict {
        Verdict::Refuse(why) | Verdict::Wait(why) | Verdict::Level(_, why) => Some(why.code),
        Verdict::Act | Verdict::Satisfied => None,
    }
}

/// Both machines held and Off.
pub fn held_and_off(fleet: &mut Fleet) {
    fleet.nodes.values_mut().for_each(|n| n.reservation = Some(holder()));
    for live in fleet.live.values_mut() {
        if let Live::Answered { reading, .. } = live {
            reading.power = PowerState::Off;
        }
    }
}

/// Everything is done but the start: the volumes are at the destination, and its firmware opens them.
pub fn moved_and_set(fleet: &mut Fleet, plan: &Plan) {
    let (source, destination) = (plan.switchovers[0].source.node, plan.switchovers[0].destination.node);
    fleet.targets.values_mut().filter(|t| t.node == source).for_each(|t| t.node = destination);
    let set = plan.switchovers[0]
        .steps
        .iter()
        .find(|s| matches!(s, Step::ConfigureBoot(_)))
        .and_then(|s| s.command(&Context::fresh(holder(), 1, fleet.captured_at)));
    meaning::obey(fleet, &set.expect("a boot configuration")).expect("set");
}

pub fn reading(fleet: &mut Fleet, node: NodeId) -> &mut SystemReading {
    match fleet.live.get_mut(&node) {
        Some(Live::Answered { reading, .. }) => reading,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_off_from_another_machine_proves_nothing() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let fence = |s: &Step| matches!(s, Step::Fence(_));
    assert_eq!(verdict(&plan, &fleet, true, fence), Verdict::Satisfied);
    reading(&mut fleet, plan.switchovers[0].source.node).identity.system_uuid = Some("another".into());
    assert_eq!(code(verdict(&plan, &fleet, true, fence)), Some(ReasonCode::WrongMachine));
    reading(&mut fleet, plan.switchovers[0].source.node).identity = Identity::default();
    assert_eq!(code(verdict(&plan, &fleet, true, fence)), Some(ReasonCode::Unidentified));
}

#[test]
fn a_node_that_is_held_by_another_is_not_touched() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let other = Holder { run: "r-2".into(), switchover: SwitchoverId(7) };
    fleet.nodes.values_mut().for_each(|n| n.reservation = Some(other.clone()));
    for wanted in
        [|s: &Step| matches!(s, Step::Reserve(_)), |s: &Step| matches!(s, Step::PowerOff(_)), |s: &Step| matches!(s, Step::Fence(_))]
    {
        assert_eq!(code(verdict(&plan, &fleet, false, wanted)), Some(ReasonCode::Reserved));
    }
}

#[test]
fn a_node_that_somebody_put_into_maintenance_is_not_reserved() {
    let (mut fleet, plan) = one();
    let reserve = |s: &Step| matches!(s, Step::Reserve(_));
    assert_eq!(verdict(&plan, &fleet, false, reserve), Verdict::Act);
    fleet.nodes.values_mut().for_each(|n| n.maintenance = Some(Maintenance { reason: "case s-001".into() }));
    assert_eq!(code(verdict(&plan, &fleet, false, reserve)), Some(ReasonCode::Maintenance));
}

#[test]
fn a_node_that_owes_something_is_not_reserved() {
    let (mut fleet, plan) = one();
    fleet.nodes.values_mut().for_each(|n| n.debt = Some("look at it".into()));
    assert_eq!(code(verdict(&plan, &fleet, false, |s| matches!(s, Step::Reserve(_)))), Some(ReasonCode::Stale));
}

#[test]
fn a_power_command_that_may_still_land_is_waited_for() {
    let (mut fleet, plan) = one();
    let mark = PowerMark { reset: ResetType::On, sent_at: fleet.captured_at, lands_by: fleet.captured_at + Span::secs(60) };
    fleet.nodes.values_mut().for_each(|n| n.power_mark = Some(mark));
    assert_eq!(code(verdict(&plan, &fleet, false, |s| matches!(s, Step::Reserve(_)))), Some(ReasonCode::Landing));
    held_and_off(&mut fleet);
    assert_eq!(code(verdict(&plan, &fleet, true, |s| matches!(s, Step::Fence(_)))), Some(ReasonCode::Landing));
}

#[test]
fn a_volume_that_is_attached_twice_is_not_moved() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let moves = |s: &Step| matches!(s, Step::MoveTarget(_));
    assert_eq!(verdict(&plan, &fleet, false, moves), Verdict::Act);
    let mut twin = fleet.targets.values().next().expect("a target").clone();
    (twin.id, twin.node) = (TargetId::derived("twin"), NodeId::derived("third"));
    fleet.targets.insert(twin.id, twin);
    assert_eq!(code(verdict(&plan, &fleet, false, moves)), Some(ReasonCode::SecondAttachment));
}

#[test]
fn a_destination_that_is_on_already_is_not_taken_for_started() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let destination = plan.switchovers[0].destination.node;
    moved_and_set(&mut fleet, &plan);
    let on = |s: &Step| matches!(s, Step::PowerOn(_));
    assert_eq!(verdict(&plan, &fleet, false, on), Verdict::Act);
    reading(&mut fleet, destination).power = PowerState::On;
    assert_eq!(code(verdict(&plan, &fleet, false, on)), Some(ReasonCode::DestinationOn));
    assert_eq!(verdict(&plan, &fleet, true, on), Verdict::Satisfied);
}

#[test]
fn a_bmc_without_boot_progress_is_believed_when_on() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let destination = plan.switchovers[0].destination.node;
    *reading(&mut fleet, destination) =
        SystemReading { power: PowerState::On, boot_progress: None, ..reading(&mut fleet, destination).clone() };
    let await_boot = |has: bool| {
        let step = plan.switchovers[0].steps.iter().find_map(|s| if let Step::AwaitBoot(a) = s { Some(a.clone()) } else { None });
        Step::AwaitBoot(AwaitBoot { boot_progress: has, ..step.expect("it waits for the boot") })
    };
    assert_eq!(asked(&await_boot(false), &fleet, false), Verdict::Satisfied);
    assert_eq!(code(asked(&await_boot(true), &fleet, false)), Some(ReasonCode::TimedOut));
}

#[test]
fn a_check_that_cannot_be_run_says_nothing() {
    let (_, plan) = one();
    let step = plan.switchovers[0].steps.iter().find_map(|s| if let Step::RunHook(h) = s { Some(h.clone()) } else { None });
    let mut hook = step.expect("a hook");
    hook.hook.check = Some(hook.hook.action.clone());
    let cx = Context::fresh(holder(), 1, Time(0));
    let step = Step::RunHook(hook);
    assert!(matches!(step.observes(&cx)[..], [Query::Check(_)]));
    let verdict = step.evaluate(&cx, &[Observation::Unreadable(Fault::transient("no such file"))]);
    assert_eq!(code(verdict), Some(ReasonCode::Silent));
}

#[test]
fn a_spare_that_runs_does_not_leave_maintenance() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let machine = plan.switchovers[0].destination.clone();
    fleet.nodes.values_mut().for_each(|n| n.maintenance = Some(Maintenance { reason: "ours".into() }));
    let leave = Step::LeaveMaintenance(LeaveMaintenance { machine: machine.clone(), reason: "ours".into(), off: true });
    assert_eq!(asked(&leave, &fleet, false), Verdict::Act);
    reading(&mut fleet, machine.node).power = PowerState::On;
    assert_eq!(code(asked(&leave, &fleet, false)), Some(ReasonCode::SourceOn));
}

#[test]
fn a_plan_that_breaks_a_rule_on_paper_is_refused() {
    // Nobody was asked for its power: the walk through the plan meets a look that shows nothing.
    let (mut fleet, ends) = fleet(1, 1);
    fleet.live.clear();
    let request = coldswap_sim::plan::Request {
        id: "p-1".into(),
        store: "store".into(),
        now: fleet.captured_at,
        landing: coldswap_sim::plan::Landing::default(),
        only: Vec::new(),
        exclude: Vec::new(),
        home: Default::default(),
        allow_storm: false,
        allow_boot_cleared: Vec::new(),
    };
    let refused =
        coldswap_sim::plan::plan(&crate::crash::runbook(&fleet, &ends, 1, Span::millis(300)), &fleet, &request).expect_err("refused");
    assert_eq!(refused.0.iter().map(|d| d.code).collect::<Vec<_>>(), [coldswap_sim::diagnostic::codes::UNSAFE_PLAN], "{:?}", refused.0);
}

#[test]
fn a_restore_policy_that_cannot_be_set_is_left_with_a_warning() {
    let (_, plan) = one();
    let step = Step::SetRestorePolicy(SetRestorePolicy {
        machine: plan.switchovers[0].source.clone(),
        policy: PowerRestorePolicy::AlwaysOff,
        was: PowerRestorePolicy::LastState,
        landing: Span::ZERO,
    });
    for why in [ReasonCode::NoVoucher, ReasonCode::TimedOut, ReasonCode::Exhausted, ReasonCode::Refused] {
        assert!(step.may_be_left(why, true), "{why}");
    }
    // Another machine at that address is no matter of a policy.
    assert!(!step.may_be_left(ReasonCode::WrongMachine, true));
}
