//! What is asked before a source is switched off, and which old words do not count once it was seen On.

use crate::crash::{plan_for, plan_for_runbook, runbook};
use coldswap_sim::engine::{Event, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::runbook::*;
use coldswap_sim::sim::*;
use coldswap_sim::step::{Context, Observation, Query, StandIn, Step, Verdict};
use std::sync::Arc;

pub fn word(fleet: &Fleet, node: NodeId) -> Attestation {
    let (by, reason) = ("Kim".to_owned(), "pulled both cords".to_owned());
    Attestation { id: 7, node, by, reason, at: fleet.captured_at, expires_at: fleet.captured_at + Span::mins(60), used_by: None }
}

pub fn by_a_person(fleet: &Fleet, ends: &[(NodeId, NodeId)]) -> Runbook {
    let mut book = runbook(fleet, ends, 4, Span::millis(300));
    book.mode = Mode::Disaster;
    book.power = PowerPolicy { soft_off: Span::ZERO, hard_off: HardOff::AtOnce, crash_dump: None };
    let levels = vec![VoucherTemplate::Attestation { expires: Span::mins(20) }];
    book.vouchers = Vouchers { bmc_not_enough: false, silent: Some(Span::secs(2)), levels };
    book
}

pub fn power(fleet: &mut Fleet, node: NodeId, to: PowerState) {
    match fleet.live.get_mut(&node) {
        Some(Live::Answered { reading, .. }) => reading.power = to,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_on_that_a_run_saw_withdraws_every_older_word() {
    let (fleet, ends) = fleet(2, 1);
    let plan = Arc::new(plan_for(&fleet, &ends, 4, Span::secs(1)));
    let mut world = World::new(fleet.clone(), 3, Faults::default());
    world.attestations = ends.iter().map(|(source, _)| (*source, word(&fleet, *source))).collect();
    let run = run_in(world, &plan, &[], Bugs::default());
    for (source, _) in &ends {
        let left = &run.world.attestations[source];
        assert!(left.expires_at < fleet.captured_at + Span::mins(1), "the run saw it On, and yet {left:?} counts");
    }
}

#[test]
fn a_word_from_before_the_plan_saw_its_machine_on_counts_for_nothing() {
    for (seen_on, want) in [(true, Outcome::RolledBack), (false, Outcome::SwitchedOver)] {
        let (fleet, ends) = fleet(1, 1);
        let mut seen = fleet.clone();
        if !seen_on {
            seen.live.insert(ends[0].0, Live::Silent(Fault::transient("no route to host")));
        }
        let plan = Arc::new(plan_for_runbook(&by_a_person(&fleet, &ends), &seen, Span::secs(1)));
        let mut truth = fleet.clone();
        power(&mut truth, ends[0].0, PowerState::Off);
        let mut world = World::new(truth, 5, Faults::default());
        world.dead.insert(ends[0].0);
        let after = Attestation { at: fleet.captured_at + Span::millis(1), ..word(&fleet, ends[0].0) };
        world.attestations.insert(ends[0].0, if seen_on { word(&fleet, ends[0].0) } else { after });
        let run = run_in(world, &plan, &[], Bugs::default());
        let tally = check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(tally.into_keys().collect::<Vec<_>>(), [want], "seen On: {seen_on}\n{:#?}", run.journal);
    }
}

#[test]
fn a_spare_that_runs_is_found_before_the_source_is_dark() {
    let (fleet, ends) = fleet(1, 1);
    let (source, spare) = ends[0];
    let plan = Arc::new(plan_for(&fleet, &ends, 4, Span::secs(1)));
    let mut started = fleet.clone();
    power(&mut started, spare, PowerState::On);
    let run = run_in(World::new(started, 1, Faults::default()), &plan, &[], Bugs::default());
    let why = run.journal.iter().find_map(|e| if let Event::RollingBack { why, .. } = &e.event { Some(why.code) } else { None });
    assert_eq!(why, Some(ReasonCode::DestinationOn), "{:#?}", run.journal);
    assert_eq!(run.world.fleet.nodes[&source].power_mark, None, "the source was told something");
}

#[test]
fn what_may_never_be_switched_off_hard_is_not_by_the_fence_either() {
    let (fleet, ends) = fleet(1, 1);
    let verdict = |hard_off: HardOff| {
        let mut book = runbook(&fleet, &ends, 1, Span::millis(300));
        book.power.hard_off = hard_off;
        let plan = plan_for_runbook(&book, &fleet, Span::secs(1));
        let fence = plan.switchovers[0].steps.iter().find(|s| matches!(s, Step::Fence(_))).expect("a fence").clone();
        let cx = Context::fresh(Holder { run: "r-1".into(), switchover: SwitchoverId(1) }, 1, fleet.captured_at);
        let record =
            |id: NodeId| Observation::Node(Arc::new(Node { reservation: Some(cx.holder.clone()), ..fleet.nodes[&id].clone() }), None);
        let Some(Live::Answered { reading, .. }) = fleet.live.get(&ends[0].0) else { panic!("it answers") };
        fence.evaluate(&cx, &[Observation::System(reading.clone()), record(ends[0].0), record(ends[0].1)])
    };
    assert_eq!(verdict(HardOff::AfterSoft), Verdict::Act);
    assert!(matches!(verdict(HardOff::Never), Verdict::Refuse(why) if why.code == ReasonCode::SourceOn && why.text.contains("never")));
}

#[test]
fn a_plan_says_what_holds_it_back() {
    let (fleet, ends) = fleet(3, 1);
    let mut book = runbook(&fleet, &ends, 2, Span::millis(300));
    let text = |book: &Runbook| coldswap_sim::plan::render(&plan_for_runbook(book, &fleet, Span::secs(1)));
    assert!(text(&book).contains("\nat most: 2 at once\n"), "{}", text(&book));
    book.approval = Some(Approval { timeout: Span::mins(30), allow: false });
    book.limits.canary = Some(Canary { count: 1, timeout: Span::mins(10), go: false });
    book.limits.stop_after_failures = Some(Threshold::Count(2));
    book.limits.start_rate = Some(Rate { count: 30, per: Span::mins(1) });
    book.limits.per_domain.insert("rack".into(), 1);
    book.windows = vec![Window::Cron { cron: "0 22 * * 6".into(), lasts: Span::mins(240), time_zone: "Europe/Berlin".into() }];
    let text = text(&book);
    for line in [
        "window: `0 22 * * 6` for 4h, Europe/Berlin",
        "approval: somebody agrees before the first step; without an answer for 30m it does not start",
        "canary: after the first 1 somebody decides; without an answer for 10m the others do not start",
        "at most: 2 at once, 1 in flight in one rack, starts 30/m",
        "nothing new starts after failures: 2",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[test]
fn a_plug_that_comes_back_after_the_fence_is_seen_before_the_start() {
    let (fleet, ends) = fleet(1, 1);
    let (source, spare) = ends[0];
    let mut seen = fleet.clone();
    seen.live.insert(source, Live::Silent(Fault::transient("no route to host")));
    let plug = Template::parse("{{ source.name }}", Names::Switchover, &Default::default()).expect("a template");
    let options = [("plug".to_owned(), SensitiveTemplate::Plain(plug))].into();
    let agent = AgentTemplate { name: "fence_test".into(), options, at: 0..0, options_at: Default::default() };
    let mut book = by_a_person(&fleet, &ends);
    book.vouchers.levels.insert(0, VoucherTemplate::Agents(vec![agent]));
    let plan = plan_for_runbook(&book, &seen, Span::secs(1));
    let on = plan.switchovers[0].steps.iter().find(|s| matches!(s, Step::PowerOn(_))).expect("a start").clone();
    let Step::PowerOn(start) = &on else { panic!("a start") };
    let call = start.agents.first().expect("the agent of the fence").clone();
    let holder = Holder { run: "r-1".into(), switchover: SwitchoverId(1) };
    let vouched = |vouchers: Vec<(String, String)>| Context {
        stand_in: StandIn::Holds,
        vouchers,
        ..Context::fresh(holder.clone(), 1, fleet.captured_at)
    };
    let record = |id: NodeId| Observation::Node(Arc::new(Node { reservation: Some(holder.clone()), ..fleet.nodes[&id].clone() }), None);
    let Some(Live::Answered { reading, .. }) = fleet.live.get(&spare) else { panic!("it answers") };
    let look = |cx: &Context, last: Observation| {
        let answers = on.observes(cx).into_iter().map(|query| match query {
            Query::System(id) if id == source => Observation::Unreadable(Fault::transient("no route to host")),
            Query::System(_) => Observation::System(reading.clone()),
            Query::Node(id) => record(id),
            Query::Target(_) => Observation::At(spare),
            Query::SameVolume(_) => Observation::AlsoAt(Default::default()),
            Query::Boot(_) => Observation::Boot(start.boot.clone().expect("a boot configuration")),
            Query::Plug(asked) if *asked == call => last.clone(),
            other => panic!("not asked for: {other:?}"),
        });
        on.evaluate(cx, &answers.collect::<Vec<_>>())
    };
    let by_agent = vouched(vec![(call.name.clone(), call.plug())]);
    assert_eq!(look(&by_agent, Observation::Plug(PlugState::Off)), Verdict::Act);
    assert!(matches!(look(&by_agent, Observation::Plug(PlugState::On)), Verdict::Refuse(why) if why.code == ReasonCode::SourceOn));
    let deaf = look(&by_agent, Observation::Unreadable(Fault::transient("no answer")));
    assert!(matches!(deaf, Verdict::Wait(why) if why.code == ReasonCode::FenceAgent));
    // A person vouched, because the agent could not: it is not asked again.
    assert_eq!(look(&vouched(Vec::new()), Observation::Plug(PlugState::On)), Verdict::Act);
}

/// How many of so many seeds end with what `needle` says.
fn caught(plan: &Arc<coldswap_sim::plan::Plan>, fleet: &Fleet, faults: Faults, bugs: Bugs, needle: &str) -> usize {
    (0..1_000).filter(|seed| check(plan, fleet, &run(plan, fleet, *seed, faults, &[], bugs)).is_err_and(|e| e.contains(needle))).count()
}

#[test]
fn a_spare_that_nobody_looks_at_before_the_source_is_dark() {
    let (fleet, ends) = fleet(2, 1);
    let plan = Arc::new(plan_for(&fleet, &ends, 2, Span::secs(1)));
    let faults = Faults { strangers: 50, lost_before: 5, lost_after: 5, blind: 5, null_power: 3, ..Faults::default() };
    let dark = caught(&plan, &fleet, faults, Bugs { spare_not_asked: true, ..Bugs::default() }, "dark for nothing");
    println!("of 1000 caught where the power-off does not look at the spare: {dark}");
    assert!(dark > 10);
    assert_eq!(caught(&plan, &fleet, faults, Bugs::default(), ""), 0);
}

#[test]
fn a_way_back_that_does_not_wait_for_what_may_still_land() {
    let (fleet, ends) = fleet(2, 1);
    let plan = Arc::new(plan_for(&fleet, &ends, 2, Span::secs(3)));
    let faults = Faults { hook_fails: 30, slow_power_ms: 2_500, lags: 50, ..Faults::default() };
    let dark = caught(&plan, &fleet, faults, Bugs { landing_not_seen: true, ..Bugs::default() }, "the source is dark");
    println!("of 1000 caught where the way back does not wait: {dark}");
    assert!(dark > 5);
    assert_eq!(caught(&plan, &fleet, faults, Bugs::default(), ""), 0);
}

/// Somebody vouched for a machine that an earlier run saw On since; then its BMC dies, and the machine still runs.
#[test]
fn an_on_that_withdraws_nothing() {
    let (fleet, ends) = fleet(1, 1);
    let (source, spare) = ends[0];
    let first = Arc::new(plan_for(&fleet, &ends, 1, Span::secs(1)));
    let mut silent = fleet.clone();
    silent.live.insert(source, Live::Silent(Fault::transient("no route to host")));
    let second = Arc::new(plan_for_runbook(&by_a_person(&fleet, &ends), &silent, Span::secs(1)));
    let both = |seed: u64, bugs: Bugs| {
        // The first run finds its spare running and goes no further than a look at the source.
        let mut started = fleet.clone();
        power(&mut started, spare, PowerState::On);
        let mut world = World::new(started, seed, Faults::default());
        world.attestations.insert(source, word(&fleet, source));
        let mut world = run_in(world, &first, &[], bugs).world;
        assert_eq!(world.fleet.nodes[&source].power_mark, None, "nothing but the look tells of its being On");
        power(&mut world.fleet, spare, PowerState::Off);
        world.hooks.clear();
        world.dead.insert(source);
        check(&second, &fleet, &run_in(world, &second, &[], bugs))
    };
    for seed in 0..50 {
        let wrong = both(seed, Bugs { on_withdraws_nothing: true, ..Bugs::default() });
        assert!(wrong.as_ref().is_err_and(|e| e.contains("S1")), "seed {seed}: {wrong:?}");
        let tally = both(seed, Bugs::default()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(tally, Tally::from([(Outcome::RolledBack, 1)]), "seed {seed}");
    }
}
