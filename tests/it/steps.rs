//! What single steps make of what they see, where a wrong answer costs a volume or a machine.

use crate::gate_table::{asked, code, held_and_off, holder, moved_and_set, one, reading, verdict};
use coldswap_sim::model::*;
use coldswap_sim::step::{Context, LeaveMaintenance, NoteDebt, Observation, PowerOn, Query, SetRestorePolicy, Step, Verdict};

fn boot_of(fleet: &mut Fleet, node: NodeId) -> &mut BootSettings {
    match fleet.live.get_mut(&node) {
        Some(Live::Answered { boot, .. }) => boot,
        other => panic!("{other:?}"),
    }
}

fn power_on(plan: &coldswap_sim::plan::Plan) -> PowerOn {
    let found = plan.switchovers[0].steps.iter().find_map(|s| if let Step::PowerOn(on) = s { Some(on.clone()) } else { None });
    found.expect("a start")
}

#[test]
fn a_machine_whose_firmware_opens_something_else_is_not_started() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    moved_and_set(&mut fleet, &plan);
    let on = power_on(&plan);
    let destination = on.pair.destination.node;
    let start = Step::PowerOn(on.clone());
    assert_eq!(asked(&start, &fleet, false), Verdict::Act);
    let right = boot_of(&mut fleet, destination).clone();
    // Forgotten, and another's.
    boot_of(&mut fleet, destination).iscsi = Some(IscsiBoot::default());
    assert_eq!(code(asked(&start, &fleet, false)), Some(ReasonCode::BootChanged));
    let other = IscsiBoot { target: "iqn.2026-01.example:payroll".into(), ..right.iscsi.clone().expect("iSCSI") };
    boot_of(&mut fleet, destination).iscsi = Some(other);
    let Verdict::Refuse(why) = asked(&start, &fleet, false) else { panic!("it starts") };
    assert_eq!(why.code, ReasonCode::BootChanged);
    assert!(why.text.contains("spare-00") && why.text.contains("payroll") && why.text.contains("vol-0-0"), "{why}");
    *boot_of(&mut fleet, destination) = right;
    assert_eq!(asked(&start, &fleet, false), Verdict::Act);
    // It was not read: nobody knows.
    let cx = Context::fresh(holder(), 1, fleet.captured_at);
    let mut seen: Vec<Observation> = start.observes(&cx).iter().map(|q| coldswap_sim::step::meaning::answer(&fleet, q)).collect();
    *seen.last_mut().expect("the boot configuration") = Observation::Unreadable(Fault::transient("503"));
    assert_eq!(code(start.evaluate(&cx, &seen)), Some(ReasonCode::Silent));
    // It is asked before the command, and not while the start is waited for.
    let asks = |cx: &Context| start.observes(cx).iter().filter(|q| matches!(q, Query::Boot(_))).count();
    assert_eq!((asks(&cx), asks(&Context { sent: true, begun: true, ..cx.clone() })), (1, 0));
}

/// While a start is waited for the destination tells, and the source is looked at beside it every other time.
#[test]
fn a_start_that_is_waited_for_is_asked_of_the_destination() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    moved_and_set(&mut fleet, &plan);
    let on = power_on(&plan);
    let (source, destination) = (on.pair.source.node, on.pair.destination.node);
    let start = Step::PowerOn(on);
    let sent = |looks| Context { sent: true, begun: true, looks, ..Context::fresh(holder(), 1, fleet.captured_at) };
    assert_eq!(start.observes(&sent(0)), [Query::System(source), Query::System(destination)]);
    assert_eq!(start.observes(&sent(1)), [Query::System(destination)]);
    assert_eq!(start.observes(&sent(2)).len(), 2);
    let mut see = |looks, power| {
        reading(&mut fleet, destination).power = power;
        let cx = Context { sent: true, begun: true, looks, ..Context::fresh(holder(), 1, fleet.captured_at) };
        let seen: Vec<Observation> = start.observes(&cx).iter().map(|q| coldswap_sim::step::meaning::answer(&fleet, q)).collect();
        start.evaluate(&cx, &seen)
    };
    assert_eq!(see(1, PowerState::Off), Verdict::Act, "which waits, because it is sent already");
    assert_eq!(see(1, PowerState::On), Verdict::Satisfied);
    assert_eq!(see(2, PowerState::On), Verdict::Satisfied);
    reading(&mut fleet, source).power = PowerState::On;
    let cx = Context { sent: true, begun: true, looks: 2, ..Context::fresh(holder(), 1, fleet.captured_at) };
    let seen: Vec<Observation> = start.observes(&cx).iter().map(|q| coldswap_sim::step::meaning::answer(&fleet, q)).collect();
    assert_eq!(code(start.evaluate(&cx, &seen)), Some(ReasonCode::SourceOn));
}

/// A plan of a version that did not ask, or one whose firmware is none of coldswap's business.
#[test]
fn a_start_that_set_no_boot_configuration_asks_for_none() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    moved_and_set(&mut fleet, &plan);
    let mut json = serde_json::to_value(Step::PowerOn(power_on(&plan))).expect("JSON");
    assert!(json.as_object_mut().expect("an object").remove("boot").is_some());
    let old: Step = serde_json::from_value(json).expect("a step of a version before");
    assert!(
        !old.observes(&Context::fresh(holder(), 1, fleet.captured_at)).iter().any(|q| matches!(q, Query::Boot(_) | Query::Override(_)))
    );
    assert_eq!(asked(&old, &fleet, false), Verdict::Act);
    // An override is asked of the look at the system, which costs nothing more.
    let boot_override = Some(BootOverride { target: Some("Pxe".into()), enabled: Some("Continuous".into()) });
    let by_override =
        Step::PowerOn(PowerOn { boot: Some(BootSettings { iscsi: None, boot_override: boot_override.clone() }), ..power_on(&plan) });
    assert!(by_override.observes(&Context::fresh(holder(), 1, fleet.captured_at)).iter().any(|q| matches!(q, Query::Override(_))));
    assert_eq!(code(asked(&by_override, &fleet, false)), Some(ReasonCode::BootChanged));
    boot_of(&mut fleet, power_on(&plan).pair.destination.node).boot_override = boot_override;
    assert_eq!(asked(&by_override, &fleet, false), Verdict::Act);
}

#[test]
fn a_power_state_that_is_null_is_no_answer() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    moved_and_set(&mut fleet, &plan);
    let on = |s: &Step| matches!(s, Step::PowerOn(_));
    let destination = plan.switchovers[0].destination.node;
    reading(&mut fleet, destination).power = PowerState::Unknown;
    assert!(matches!(verdict(&plan, &fleet, false, on), Verdict::Wait(_)), "it is asked again");
    for starting in [PowerState::PoweringOn, PowerState::PoweringOff, PowerState::Paused, PowerState::On] {
        reading(&mut fleet, destination).power = starting;
        assert_eq!(code(verdict(&plan, &fleet, false, on)), Some(ReasonCode::DestinationOn), "{starting}");
    }
}

fn owing(fleet: &mut Fleet) {
    fleet.nodes.values_mut().for_each(|n| n.debt = Some("never power it on".into()));
}

#[test]
fn a_machine_that_owes_something_stays_off_when_power_returns_and_stays_in_maintenance() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let machine = plan.switchovers[0].source.clone();
    let policy = |policy, was| Step::SetRestorePolicy(SetRestorePolicy { machine: machine.clone(), policy, was, landing: Span::ZERO });
    let (give_back, take) = (
        policy(PowerRestorePolicy::AlwaysOn, PowerRestorePolicy::AlwaysOff),
        policy(PowerRestorePolicy::AlwaysOff, PowerRestorePolicy::AlwaysOn),
    );
    fleet.nodes.values_mut().for_each(|n| n.maintenance = Some(Maintenance { reason: "ours".into() }));
    let leave = |off| Step::LeaveMaintenance(LeaveMaintenance { machine: machine.clone(), reason: "ours".into(), off });
    assert_eq!((asked(&give_back, &fleet, false), asked(&leave(true), &fleet, false)), (Verdict::Act, Verdict::Act));
    owing(&mut fleet);
    assert_eq!(code(asked(&give_back, &fleet, false)), Some(ReasonCode::Refused));
    assert_eq!(asked(&take, &fleet, false), Verdict::Act, "nothing keeps it from being made safer");
    assert_eq!(asked(&leave(true), &fleet, false), Verdict::Satisfied, "it stays in maintenance");
    assert_eq!(asked(&leave(false), &fleet, false), Verdict::Act, "the way back gives everything to it again");
}

#[test]
fn only_the_machine_itself_says_that_nothing_is_owed() {
    let (mut fleet, plan) = one();
    held_and_off(&mut fleet);
    let machine = plan.switchovers[0].source.clone();
    let node = machine.node;
    let settings = BootSettings { iscsi: Some(IscsiBoot::default()), boot_override: None };
    let note =
        Step::NoteDebt(NoteDebt { machine, settings: settings.clone(), debt: "clear it".into(), owed: coldswap_sim::step::Owed::Boot });
    assert_eq!(asked(&note, &fleet, false), Verdict::Act, "it opens its volume");
    *boot_of(&mut fleet, node) = settings;
    assert_eq!(asked(&note, &fleet, false), Verdict::Satisfied);
    let itself = reading(&mut fleet, node).identity.clone();
    for who in [Identity { system_uuid: Some("another".into()), serial_number: None }, Identity::default()] {
        reading(&mut fleet, node).identity = who;
        assert_eq!(asked(&note, &fleet, false), Verdict::Act, "somebody else's firmware opens nothing");
    }
    reading(&mut fleet, node).identity = itself;
    fleet.nodes.values_mut().for_each(|n| n.debt = Some("clear it".into()));
    assert_eq!(asked(&note, &fleet, false), Verdict::Satisfied, "it is noted already");
    fleet.live.insert(node, Live::Silent(Fault::transient("gone")));
    assert_eq!(asked(&note, &fleet, false), Verdict::Satisfied);
    fleet.nodes.values_mut().for_each(|n| n.debt = None);
    assert_eq!(asked(&note, &fleet, false), Verdict::Act);
}
