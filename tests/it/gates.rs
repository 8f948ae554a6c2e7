//! Limits, windows, approval, canary, prompts and the people who ask: seeds, and planted bugs for each gate.

use crate::crash::runbook;
use coldswap_sim::engine::{Event, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::plan::{Landing, Plan, Request as PlanRequest, plan};
use coldswap_sim::runbook::*;
use coldswap_sim::sim::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn prompt(name: &str, point: HookPoint, default: &str, timeout: Span) -> HookTemplate {
    let text = Template::parse("Well?", Names::Switchover, &BTreeMap::new()).expect("a template");
    let choices = vec!["good".to_owned(), "bad".to_owned()];
    let on_failure = if point == HookPoint::PostBoot { OnFailure::Stop } else { OnFailure::RollBack };
    HookTemplate {
        name: name.into(),
        point,
        action: ActionTemplate::Prompt { text, choices, fails: vec!["bad".into()], default: default.into() },
        check: None,
        undo: None,
        when: None,
        timeout,
        retries: 0,
        until: None,
        rerun: Rerun::Allowed,
        on_failure,
        lab: false,
        zones: false,
        place: Place::default(),
    }
}

/// Eight pairs in four racks and two priority groups.
fn stage() -> (Fleet, Vec<(NodeId, NodeId)>) {
    let (mut fleet, pairs) = fleet(8, 1);
    for (n, (source, spare)) in pairs.iter().enumerate() {
        for node in [source, spare] {
            let node = fleet.nodes.get_mut(node).expect("a node");
            node.failure_domain.rack = Some(format!("r{}", n % 4));
            node.labels.insert("tier".into(), Scalar::Integer(i64::from(n >= 6)));
        }
    }
    (fleet, pairs)
}

fn plan_of(fleet: &Fleet, pairs: &[(NodeId, NodeId)], change: impl FnOnce(&mut Runbook)) -> Plan {
    let mut runbook = runbook(fleet, pairs, 4, Span::millis(300));
    change(&mut runbook);
    let request = PlanRequest {
        id: "p-1".into(),
        store: "store".into(),
        now: fleet.captured_at,
        landing: Landing { default: Some(Span::millis(600)), by_node: BTreeMap::new() },
        only: Vec::new(),
        exclude: Vec::new(),
        allow_storm: false,
        allow_boot_cleared: Vec::new(),
        home: Default::default(),
    };
    plan(&runbook, fleet, &request).expect("a plan").0
}

/// Every gate that there is.
fn gated(runbook: &mut Runbook) {
    runbook.sources.priority = Some(Expression::parse("node.labels.tier", Names::Node, &BTreeMap::new()).expect("an expression"));
    runbook.limits.per_domain = BTreeMap::from([("rack".to_owned(), 1)]);
    runbook.limits.start_rate = Some(Rate { count: 2, per: Span::secs(1) });
    runbook.limits.stop_after_failures = Some(Threshold::Count(3));
    runbook.limits.canary = Some(Canary { count: 1, timeout: Span::secs(4), go: true });
    runbook.approval = Some(Approval { timeout: Span::secs(3), allow: true });
    runbook.hooks.push(prompt("ready", HookPoint::PreShutdown, "good", Span::secs(2)));
    runbook.hooks.push(prompt("serving", HookPoint::PostBoot, "good", Span::secs(2)));
}

fn crashes_of(rng: &mut Rng) -> Vec<CrashAt> {
    let mut points: Vec<u64> = (0..rng.below(4)).map(|_| 1 + rng.below(400)).collect();
    points.sort_unstable();
    points.dedup();
    let ways = [Survives::Events, Survives::EventsAndOrders, Survives::HalfTheEvents];
    points.into_iter().map(|point| CrashAt { point, survives: ways[rng.below(3) as usize] }).collect()
}

#[test]
fn people_and_limits_over_many_seeds() {
    let from: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(1_500);
    let (fleet, pairs) = stage();
    let anytime = Arc::new(plan_of(&fleet, &pairs, gated));
    let windowed = Arc::new(plan_of(&fleet, &pairs, |r| {
        gated(r);
        r.windows = vec![window()];
    }));
    let (mut outcomes, mut events) = (Tally::new(), BTreeMap::<String, u32>::new());
    for seed in from..from + count {
        let mut rng = Rng(seed ^ 0x9A7E_5EED);
        let faults = faults_of(&mut rng);
        let crashes = crashes_of(&mut rng);
        let plan = if seed % 3 == 0 { &windowed } else { &anytime };
        let drawn = Stage::drawn(&mut rng, plan, fleet.captured_at);
        // Wide enough for what starts in the first twenty seconds, and another one later.
        let longest = plan.switchovers.iter().filter_map(|s| s.expected()).max().unwrap_or_default();
        let closes = fleet.captured_at + longest + Span(rng.below(20_000));
        let later = Opening { opens: closes + Span::secs(1), closes: closes + longest + longest };
        let openings = vec![Opening { opens: fleet.captured_at, closes }, later];
        let people = Stage { resumes: rng.below(3) as u32, openings, ..drawn };
        let run = run_on(people.clone(), World::new(fleet.clone(), seed, faults), plan, &crashes, Bugs::default());
        let tally = check(plan, &fleet, &run).unwrap_or_else(|wrong| {
            let story: String = run.journal.iter().map(|e| format!("{} {:?}\n", e.at, e.event)).collect();
            panic!(
                "seed {seed}: {wrong}\n{people:#?}\n{crashes:?}\nagain: SEED={seed} SEEDS=1 cargo test --locked people_and_limits\n{story}"
            )
        });
        tally.into_iter().for_each(|(o, n)| *outcomes.entry(o).or_insert(0) += n);
        for entry in &run.journal {
            if let Event::Paused { why, .. } = &entry.event {
                *events.entry(format!("Paused for {}", why.code)).or_insert(0) += 1;
            }
            let name = format!("{:?}", entry.event).split([' ', '{']).next().unwrap_or_default().to_owned();
            *events.entry(name).or_insert(0) += 1;
        }
    }
    println!("{count} seeds: {outcomes:?}\n{events:?}");
    // Seeds in which nobody is ever heard would prove nothing.
    for name in
        ["Paused", "Continued", "Held", "Asked", "Decided", "Recalled", "Declined", "Resolved", "Paused for window", "Paused for limit"]
    {
        assert!(count < 1_000 || events.get(name).is_some_and(|n| *n > 0), "{name}: {events:?}");
    }
    assert!(count < 1_000 || outcomes.len() == 5, "{outcomes:?}");
}

/// What happens to this plan in a kind world, with these people.
fn told(plan: &Plan, fleet: &Fleet, people: Stage) -> Result<(Run, Tally), String> {
    let run = run_on(people, World::new(fleet.clone(), 1, Faults::default()), &Arc::new(plan.clone()), &[], Bugs::default());
    check(plan, fleet, &run).map(|tally| (run, tally))
}

fn count(run: &Run, is: impl Fn(&Event) -> bool) -> usize {
    run.journal.iter().filter(|e| is(&e.event)).count()
}

fn ask(seq: u64, at: Time, request: Request) -> Posted {
    Posted { seq, at, by: format!("person-{seq}"), request }
}

fn mail(at: Time, requests: Vec<Request>) -> Stage {
    Stage { mail: (1..).zip(requests).map(|(seq, r)| ask(seq, at, r)).collect(), ..Stage::default() }
}

#[test]
fn a_refused_approval_touches_nothing_and_so_does_silence() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| r.approval = Some(Approval { timeout: Span::secs(3), allow: false }));
    let refuse = Request::Decide { matter: Matter::Approval, choice: "refuse".into(), why: Some("not today".into()) };
    for people in [Stage::default(), mail(fleet.captured_at + Span::secs(1), vec![refuse])] {
        let (run, tally) = told(&plan, &fleet, people).expect("all well");
        assert_eq!(tally, Tally::from([(Outcome::Skipped, 8)]));
        assert_eq!(count(&run, |e| matches!(e, Event::Started { .. })), 0);
    }
    let approve = Request::Decide { matter: Matter::Approval, choice: "approve".into(), why: None };
    let (_, tally) = told(&plan, &fleet, mail(fleet.captured_at + Span::secs(1), vec![approve])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 8)]));
}

#[test]
fn the_canary_stops_by_default_and_a_resume_asks_again() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| r.limits.canary = Some(Canary { count: 2, timeout: Span::secs(5), go: false }));
    let (run, tally) = told(&plan, &fleet, Stage::default()).expect("all well");
    assert_eq!(
        (tally, run.journal.last().map(|e| matches!(e.event, Event::Paused { .. }))),
        (Tally::from([(Outcome::SwitchedOver, 2)]), Some(true))
    );
    let (run, tally) = told(&plan, &fleet, Stage { resumes: 1, ..Stage::default() }).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 2)]));
    assert_eq!(count(&run, |e| matches!(e, Event::Asked { .. })), 2);
}

/// A request is no failure, and a failure is one: the limit is met exactly.
#[test]
fn what_a_person_asked_to_be_taken_back_has_not_failed() {
    let (fleet, pairs) = stage();
    let limited = |more: &dyn Fn(&mut Runbook)| {
        plan_of(&fleet, &pairs, |r| {
            r.limits.at_once = 1;
            r.limits.stop_after_failures = Some(Threshold::Count(1));
            more(r);
        })
    };
    let back = |ids: &[u32]| {
        let requests = ids.iter().map(|id| Request::RollBack { switchover: Some(SwitchoverId(*id)) }).collect();
        mail(fleet.captured_at + Span::secs(1), requests)
    };
    // Some that wait, and the one in flight.
    let (run, tally) = told(&limited(&|_| ()), &fleet, back(&[1, 5, 6])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 5), (Outcome::RolledBack, 1), (Outcome::Skipped, 2)]));
    assert_eq!(count(&run, |e| matches!(e, Event::Paused { .. })), 0);
    // The last two fail: the first of them ends it, unless somebody took it back before.
    let failing = limited(&|r| {
        let mut ask = prompt("ask", HookPoint::PreShutdown, "bad", Span::secs(1));
        ask.when = Some(Expression::parse("source.labels.tier == 1", Names::Switchover, &BTreeMap::new()).expect("an expression"));
        r.hooks.push(ask);
    });
    let (run, tally) = told(&failing, &fleet, Stage::default()).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 6), (Outcome::RolledBack, 1)]));
    assert_eq!(count(&run, |e| matches!(e, Event::Paused { why, .. } if why.code == ReasonCode::Limit)), 1);
    let (run, tally) = told(&failing, &fleet, back(&[7])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 6), (Outcome::Skipped, 1), (Outcome::RolledBack, 1)]));
    assert_eq!(count(&run, |e| matches!(e, Event::Paused { .. })), 0, "nothing is left to be stopped");
    let two = limited(&|r| {
        r.limits.stop_after_failures = Some(Threshold::Count(2));
        r.hooks.push(prompt("ask", HookPoint::PreShutdown, "bad", Span::secs(1)));
    });
    let (_, tally) = told(&two, &fleet, back(&[1, 3])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::RolledBack, 3), (Outcome::Skipped, 1)]), "two that failed, and what was asked for");
}

#[test]
fn a_prompt_that_nobody_answers_takes_its_default() {
    let (fleet, pairs) = stage();
    let asks = |point, default: &str| plan_of(&fleet, &pairs, |r| r.hooks.push(prompt("ask", point, default, Span::secs(2))));
    for (plan, outcome) in [
        (asks(HookPoint::PreShutdown, "bad"), Outcome::RolledBack),
        (asks(HookPoint::PostMigration, "bad"), Outcome::RolledBack),
        (asks(HookPoint::PostBoot, "bad"), Outcome::Stopped),
        (asks(HookPoint::PostBoot, "good"), Outcome::SwitchedOver),
    ] {
        let (run, tally) = told(&plan, &fleet, Stage::default()).expect("all well");
        assert_eq!(tally, Tally::from([(outcome, 8)]));
        assert_eq!(count(&run, |e| matches!(e, Event::Decided { by: None, .. })), 8);
    }
    // The time goes on while nobody carries the run out.
    let plan = Arc::new(asks(HookPoint::PreShutdown, "good"));
    let whole = run(&plan, &fleet, 1, Faults::default(), &[], Bugs::default());
    for point in 1..whole.points {
        let crash = [CrashAt { point, survives: Survives::Events }];
        let run = run(&plan, &fleet, 1, Faults::default(), &crash, Bugs::default());
        check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("{crash:?}: {e}"));
    }
}

#[test]
fn the_brake_lets_no_start_too_many_and_none_too_few() {
    let (fleet, pairs) = stage();
    for limit in 1..=4 {
        let plan = plan_of(&fleet, &pairs, |r| {
            r.limits.at_once = 1;
            r.limits.stop_after_failures = Some(Threshold::Count(limit));
            r.hooks.push(prompt("ask", HookPoint::PreShutdown, "bad", Span::secs(1)));
        });
        let (run, tally) = told(&plan, &fleet, Stage::default()).expect("all well");
        assert_eq!(tally.values().sum::<u32>(), limit);
        assert_eq!(count(&run, |e| matches!(e, Event::Started { .. })), limit as usize);
    }
    // A share of 25 % of 8 is 2.
    let plan = plan_of(&fleet, &pairs, |r| {
        r.limits.at_once = 1;
        r.limits.stop_after_failures = Some(Threshold::Share(2_500));
        r.hooks.push(prompt("ask", HookPoint::PreShutdown, "bad", Span::secs(1)));
    });
    assert_eq!(told(&plan, &fleet, Stage::default()).expect("all well").1.values().sum::<u32>(), 2);
}

#[test]
fn a_node_without_the_domain_is_not_counted_and_the_plan_says_so() {
    let (mut fleet, pairs) = stage();
    for node in [pairs[0].0, pairs[0].1] {
        fleet.nodes.get_mut(&node).expect("a node").failure_domain.rack = None;
    }
    let plan = plan_of(&fleet, &pairs, |r| r.limits.per_domain = BTreeMap::from([("rack".to_owned(), 1)]));
    let uncounted: Vec<_> = plan.switchovers.iter().filter(|s| s.domains.is_empty()).collect();
    assert_eq!(uncounted.len(), 1);
    assert_eq!(uncounted[0].warnings.iter().filter(|w| w.contains("`limits.per_domain` does not count")).count(), 2);
    assert_eq!(told(&plan, &fleet, Stage::default()).expect("all well").1, Tally::from([(Outcome::SwitchedOver, 8)]));
}

#[test]
fn a_rollback_takes_back_what_flies_and_skips_what_waits() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| r.hooks.push(prompt("ask", HookPoint::PostMigration, "good", Span::secs(600))));
    let at = fleet.captured_at + Span::secs(60);
    let (_, tally) = told(&plan, &fleet, mail(at, vec![Request::RollBack { switchover: None }])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::RolledBack, 4), (Outcome::Skipped, 4)]));
    // One only; and one past its point of no return is refused with the reason.
    let id = plan.switchovers[0].id;
    let back = Request::RollBack { switchover: Some(id) };
    let (run, tally) = told(&plan, &fleet, mail(at, vec![back.clone()])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::RolledBack, 1), (Outcome::SwitchedOver, 7)]));
    assert_eq!(count(&run, |e| matches!(e, Event::Declined { .. })), 0);
    let plan = plan_of(&fleet, &pairs, |r| r.hooks.push(prompt("ask", HookPoint::PostBoot, "good", Span::secs(600))));
    let (run, tally) = told(&plan, &fleet, mail(at, vec![back])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 8)]));
    assert_eq!(count(&run, |e| matches!(e, Event::Declined { why, .. } if why.contains("point of no return"))), 1);
}

#[test]
fn a_switchover_that_stopped_has_a_way_out_unless_the_look_contradicts() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| r.hooks.push(prompt("ask", HookPoint::PostBoot, "bad", Span::secs(2))));
    let resolve = |moved| Request::Resolve { switchover: plan.switchovers[0].id, moved, why: None };
    let late = fleet.captured_at + Span::secs(25);
    let hold = Request::Pause { limit: Span::secs(60) };
    let people = |moved| Stage {
        mail: vec![ask(1, fleet.captured_at + Span::secs(1), hold.clone()), ask(2, late, resolve(moved))],
        ..Stage::default()
    };
    let (run, tally) = told(&plan, &fleet, people(true)).expect("all well");
    assert_eq!((tally[&Outcome::SwitchedOver], count(&run, |e| matches!(e, Event::Resolved { .. }))), (1, 1), "{tally:?}");
    let (run, tally) = told(&plan, &fleet, people(false)).expect("all well");
    assert_eq!(tally.get(&Outcome::RolledBack), None, "the destination runs: {tally:?}");
    let contradicted = |e: &Event| matches!(e, Event::Finished { why: Some(why), .. } if why.code == ReasonCode::Contradicted);
    assert_eq!(count(&run, contradicted), 1);
}

#[test]
fn a_pause_is_lifted_or_parks_and_never_lasts_for_ever() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| r.limits.at_once = 1);
    let at = fleet.captured_at + Span::secs(1);
    let (_, tally) = told(&plan, &fleet, mail(at, vec![Request::Pause { limit: Span::secs(90) }])).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 1)]));
    let lifted = Stage {
        mail: vec![ask(1, at, Request::Pause { limit: Span::secs(90) }), ask(2, at + Span::secs(60), Request::Resume)],
        ..Stage::default()
    };
    assert_eq!(told(&plan, &fleet, lifted).expect("all well").1, Tally::from([(Outcome::SwitchedOver, 8)]));
    let stopped = mail(at, vec![Request::Pause { limit: Span::secs(90) }, Request::Stop]);
    assert_eq!(told(&plan, &fleet, stopped).expect("all well").1, Tally::from([(Outcome::SwitchedOver, 1)]));
}

fn window() -> Window {
    Window::Once { opens: "2023-11-14T22:00".into(), closes: "2023-11-14T23:00".into(), time_zone: "UTC".into() }
}

#[test]
fn a_window_starts_only_what_will_end_inside_and_parks_the_rest() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| {
        r.limits.at_once = 1;
        r.windows = vec![window()];
    });
    let predicted = plan.switchovers[0].expected().expect("a prediction");
    let from = fleet.captured_at;
    let open = |ms: u64| Stage { openings: vec![Opening { opens: from, closes: from + Span(ms) }], ..Stage::default() };
    let started = |stage: Stage| {
        let (run, _) = told(&plan, &fleet, stage).expect("all well");
        (
            count(&run, |e| matches!(e, Event::Started { .. })),
            count(&run, |e| matches!(e, Event::Paused { why, .. } if why.code == ReasonCode::Window)),
        )
    };
    assert_eq!(started(Stage::default()), (0, 1), "no window is known: closed");
    assert_eq!(started(open(predicted.0 - 1)), (0, 1));
    assert_eq!(started(open(predicted.0)), (1, 1));
    assert_eq!(started(open(100 * predicted.0)), (8, 0));
}

mod planted;
