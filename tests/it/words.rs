//! What ends a person's word, and what is no silence: a machine that was seen running by anybody, a plug that stays on, a
//! clock that was set, a BMC that answers something.

use crate::before_dark::{by_a_person, power, word};
use crate::cli::Place;
use crate::crash::{plan_for, plan_for_runbook};
use crate::fences::vouchers;
use coldswap_sim::engine::{Event, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::plan::Plan;
use coldswap_sim::runbook::VoucherTemplate;
use coldswap_sim::sim::*;
use coldswap_sim::step::{Confirm, Context, Observation, Query, Step, Verdict};
use std::sync::Arc;

/// One pair in disaster mode whose source's BMC was silent when the plan was made; who is asked after it.
fn silent_plan(levels: Vec<VoucherTemplate>) -> (Fleet, Arc<Plan>, NodeId) {
    let (fleet, ends) = fleet(1, 1);
    let mut seen = fleet.clone();
    seen.live.insert(ends[0].0, Live::Silent(Fault::transient("no route to host")));
    let mut book = by_a_person(&fleet, &ends);
    book.vouchers.levels = levels;
    (fleet.clone(), Arc::new(plan_for_runbook(&book, &seen, Span::secs(1))), ends[0].0)
}

fn person() -> Vec<VoucherTemplate> {
    vec![VoucherTemplate::Attestation { expires: Span::mins(20) }]
}

fn outcomes(plan: &Arc<Plan>, fleet: &Fleet, run: &Run) -> Vec<Outcome> {
    check(plan, fleet, run).unwrap_or_else(|e| panic!("{e}\n{:#?}", run.journal)).into_keys().collect()
}

/// The look that sees it leads to waiting, and leaves no reading in the journal.
#[test]
fn a_source_that_was_starting_ends_an_older_word() {
    for state in [PowerState::PoweringOn, PowerState::Paused, PowerState::On] {
        let (fleet, plan, source) = silent_plan(person());
        for seed in 0..10 {
            let mut world = World::new(fleet.clone(), seed, Faults::default());
            power(&mut world.fleet, source, state);
            world.fall_silent(source, Span::secs(6));
            world.attestations.insert(source, word(&fleet, source));
            let run = run_in(world, &plan, &[], Bugs::default());
            assert_eq!(run.world.violations, Vec::<String>::new(), "{state}, seed {seed}");
            assert!(run.world.attestations[&source].used_by.is_none(), "{state}, seed {seed}: {:#?}", run.journal);
        }
    }
}

/// The agent said that it is on, and then nothing more; the word is older than that.
#[test]
fn a_plug_that_stayed_on_is_not_overruled_by_an_older_word() {
    let levels = [vouchers().levels[0].clone(), person().remove(0)].to_vec();
    let (fleet, plan, source) = silent_plan(levels);
    let mut lied = 0;
    for seed in 0..60 {
        let mut world = World::new(fleet.clone(), seed, Faults { agent_lies: 100, ..Faults::default() });
        world.dead.insert(source);
        world.attestations.insert(source, word(&fleet, source));
        world.agents_gone = Some(fleet.captured_at + Span::millis(9_000));
        let run = run_in(world, &plan, &[], Bugs::default());
        assert_eq!(run.world.violations, Vec::<String>::new(), "seed {seed}: {:#?}", run.journal);
        lied += u32::from(run.world.fleet.power(source) == PowerState::On && run.world.attestations[&source].used_by.is_none());
    }
    assert!(lied > 5, "{lied}");
    // Where it never said anything, the word counts.
    let mut world = World::new(fleet.clone(), 1, Faults::default());
    power(&mut world.fleet, source, PowerState::Off);
    world.dead.insert(source);
    world.attestations.insert(source, word(&fleet, source));
    world.agents_gone = Some(fleet.captured_at);
    let run = run_in(world, &plan, &[], Bugs::default());
    assert!(run.world.attestations[&source].used_by.is_some(), "{:#?}", run.journal);
}

/// `silent` counts from when nobody is heard any more, and not from the errors before.
#[test]
fn a_bmc_that_answers_errors_is_not_silent_until_it_is() {
    let (fleet, plan, source) = silent_plan(vec![vouchers().levels[0].clone()]);
    let mut world = World::new(fleet.clone(), 3, Faults::default());
    world.dead.insert(source);
    let sulks = fleet.captured_at + Span::secs(9);
    world.sulks.insert(source, sulks);
    let run = run_in(world, &plan, &[], Bugs::default());
    assert_eq!(outcomes(&plan, &fleet, &run), [Outcome::SwitchedOver]);
    let level = run.journal.iter().find(|e| matches!(e.event, Event::FenceLevel { level: 1, .. })).expect("the agent is asked");
    let silent = vouchers().silent.expect("a time");
    assert!(level.at >= sulks + silent, "asked {} after the last answer, and {silent} is meant", level.at.since(sulks));
}

/// The start was meant, the process died, and some other command saw the source run before a resume.
#[test]
fn a_start_that_was_meant_is_not_sent_once_the_word_has_ended() {
    let (fleet, plan, source) = silent_plan(person());
    let number = 1 + plan.switchovers[0].steps.iter().position(Step::starts_destination).expect("a start") as u32;
    let mut truth = fleet.clone();
    power(&mut truth, source, PowerState::Off);
    let world = |seed| {
        let mut world = World::new(truth.clone(), seed, Faults::default());
        world.dead.insert(source);
        world.attestations.insert(source, Attestation { at: fleet.captured_at + Span::millis(1), ..word(&fleet, source) });
        world
    };
    for seed in 0..10 {
        let whole = run_in(world(seed), &plan, &[], Bugs::default());
        assert_eq!(outcomes(&plan, &fleet, &whole), [Outcome::SwitchedOver]);
        let meant = |e: &&coldswap_sim::engine::Entry| matches!(e.event, Event::Intended { step, .. } if step == number);
        let at = whole.journal.iter().find(meant).expect("it was meant").at;
        let died = (1..whole.points).find(|point| {
            let run = run_in(world(seed), &plan, &[CrashAt { point: *point, survives: Survives::Events }], Bugs::default());
            run.journal.iter().any(|e| matches!(e.event, Event::RunResumed) && e.at == at)
        });
        let mut world = world(seed);
        world.replug_seen(source, at);
        let crash = CrashAt { point: died.expect("a point at which it was meant and not sent"), survives: Survives::Events };
        let run = run_in(world, &plan, &[crash], Bugs::default());
        assert_eq!(run.world.violations, Vec::<String>::new(), "seed {seed}: {:#?}", run.journal);
        let ended =
            run.journal.iter().any(|e| matches!(&e.event, Event::Finished { why: Some(why), .. } if why.code == ReasonCode::FenceExpired));
        assert!(ended, "seed {seed}: {:#?}", run.journal);
    }
}

#[test]
fn a_word_from_the_future_counts_for_nothing() {
    let (fleet, plan, source) = silent_plan(person());
    let ahead = |by: Span| {
        let mut world = World::new(fleet.clone(), 1, Faults::default());
        world.dead.insert(source);
        let at = fleet.captured_at + by;
        world.attestations.insert(source, Attestation { at, expires_at: at + Span::mins(60), ..word(&fleet, source) });
        let run = run_in(world, &plan, &[], Bugs::default());
        assert_eq!(run.world.violations, Vec::<String>::new());
        run.world.attestations[&source].used_by.is_some()
    };
    assert!(!ahead(Span::mins(120)), "a clock was set back since");
    let holder = Holder { run: "r-1".into(), switchover: SwitchoverId(1) };
    let mut early = Attestation { at: Time(2), expires_at: Time(9), ..word(&fleet, source) };
    assert!(early.bind(&holder, Time(1), None).is_err_and(|fault| fault.detail.contains("now")));
    assert_eq!(early.bind(&holder, Time(3), None), Ok(()));
}

#[test]
fn a_mark_whose_clock_was_set_back_ends_within_its_own_bound() {
    let hour = Span::mins(60);
    let mark = PowerMark { reset: ResetType::On, sent_at: Time(0) + hour, lands_by: Time(0) + hour + Span::secs(90) };
    assert_eq!(mark.left(Time(0)), Span::secs(90));
    assert_eq!(mark.left(Time(0) + hour + Span::secs(30)), Span::secs(60));
    assert_eq!(mark.left(Time(0) + hour + hour), Span::ZERO);
}

/// A machine that runs without its volume serves nothing, whatever a person says.
#[test]
fn moved_is_contradicted_by_a_firmware_that_opens_nothing() {
    let (fleet, ends) = fleet(1, 1);
    let plan = plan_for(&fleet, &ends, 1, Span::secs(1));
    let pair = plan.switchovers[0].steps.iter().find_map(Step::pair).expect("a pair").clone();
    let opens = IscsiBoot { target: "iqn.2026-01.example:v".into(), ..IscsiBoot::default() };
    let step = Step::Confirm(Confirm { pair, moved: true, connectors: Vec::new(), targets: Vec::new(), opens: Some(opens.clone()) });
    let holder = Holder { run: "r-1".into(), switchover: SwitchoverId(1) };
    let cx = Context::fresh(holder.clone(), 1, fleet.captured_at);
    let said = |boot: Observation| {
        let answer = |query: Query| match query {
            Query::System(id) => {
                let Some(Live::Answered { reading, .. }) = fleet.live.get(&id) else { panic!("it answers") };
                let power = if id == ends[0].1 { PowerState::On } else { PowerState::Off };
                Observation::System(SystemReading { power, ..reading.clone() })
            }
            Query::Node(id) => Observation::Node(Arc::new(Node { reservation: Some(holder.clone()), ..fleet.nodes[&id].clone() }), None),
            Query::Boot(_) => boot.clone(),
            other => panic!("not asked for: {other:?}"),
        };
        step.evaluate(&cx, &step.observes(&cx).into_iter().map(answer).collect::<Vec<_>>())
    };
    let shows = |iscsi: IscsiBoot| Observation::Boot(BootSettings { iscsi: Some(iscsi), boot_override: None });
    assert_eq!(said(shows(opens)), Verdict::Satisfied);
    for wrong in [shows(IscsiBoot::default()), Observation::Boot(BootSettings::default())] {
        assert!(matches!(said(wrong), Verdict::Refuse(why) if why.code == ReasonCode::Contradicted));
    }
    assert!(matches!(said(Observation::Unreadable(Fault::transient("no answer"))), Verdict::Wait(_)));
}

/// Whoever decides that it has moved is asked that, where the plan set the firmware.
#[test]
fn a_settlement_asks_what_the_plan_set() {
    let (fleet, ends) = fleet(1, 1);
    let plan = Arc::new(plan_for(&fleet, &ends, 1, Span::secs(1)));
    let mut world = World::new(fleet.clone(), 1, Faults { tampered: 100, ..Faults::default() });
    world.faults.lost_before = 0;
    let posted = |seq: u64, at: Span, request| Posted { seq, at: fleet.captured_at + at, by: format!("p{seq}"), request };
    let resolve = Request::Resolve { switchover: plan.switchovers[0].id, moved: true, why: None };
    let stage = Stage { mail: vec![posted(1, Span::mins(30), resolve)], ..Stage::default() };
    let run = run_on(stage, world, &plan, &[], Bugs::default());
    let moved = check(&plan, &fleet, &run);
    assert!(moved.is_ok(), "{moved:?}");
}

#[test]
fn every_command_that_sees_a_machine_run_ends_what_was_said() {
    use coldswap::model::{Attestation, NodeId, Span, Time};
    use coldswap::ports::Attestations;
    let place = Place::new(Span(50));
    place.write("web-1.yaml", &crate::cli::RUNBOOK.replace("[web-1, web-2]", "[web-1]"));
    let asks: [(&[&str], i32); 4] = [
        (&["attest", "web-1", "--off", "--by", "Bo", "--reason", "looked"], 3),
        (&["explain", "web-1.yaml", "web-1"], 0),
        (&["plan", "web-1.yaml"], 0),
        (&["drill", "web-1.yaml", "--refresh", "--seeds", "2"], 0),
    ];
    let now = || Time(i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_micros()).expect("a time"));
    for (ask, code) in asks {
        let store = coldswap::adapter::store_sqlite::SqliteStore::open(place.path(".coldswap/state.db")).expect("the store");
        // Given by a clock that was an hour ahead, while the BMC was silent.
        let (at, expires_at) = (now() + Span::mins(60), now() + Span::mins(120));
        let node = NodeId::derived("web-1");
        let word = Attestation { id: 0, node, by: "Kim".into(), reason: "pulled both cords".into(), at, expires_at, used_by: None };
        store.attest(word).expect("kept");
        place.run(ask).code(code);
        let left = place.runtime.block_on(store.attestation(node)).expect("read").expect("a word");
        assert!(left.expires_at <= now(), "{ask:?}: it counts until {}", left.expires_at);
    }
}
