//! Crash enumeration: every durable point, whatever survives of it, and all pairs of points.

use coldswap_sim::engine::{Event, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::plan::{Plan, Request, plan};
use coldswap_sim::runbook::*;
use coldswap_sim::sim::*;
use coldswap_sim::step::Step;
use std::collections::BTreeMap;
use std::sync::Arc;

const WAYS: [Survives; 3] = [Survives::Events, Survives::EventsAndOrders, Survives::HalfTheEvents];

fn hook(name: &str, point: HookPoint, rerun: Rerun, on_failure: OnFailure, undo: bool) -> HookTemplate {
    let template = |text: &str| Template::parse(text, Names::Switchover, &BTreeMap::new()).expect("a template");
    let action = |text: &str| ActionTemplate::Run { argv: vec![template(text)], env: BTreeMap::new(), directory: None, digest: None };
    HookTemplate {
        name: name.into(),
        point,
        action: action(name),
        check: None,
        undo: undo.then(|| action("undo")),
        when: None,
        timeout: Span::secs(60),
        retries: if rerun == Rerun::Never { 0 } else { 1 },
        until: None,
        rerun,
        on_failure,
        lab: true,
        zones: false,
        place: Place::default(),
    }
}

/// A planned runbook with a hook at each point, each of another kind.
pub fn runbook(fleet: &Fleet, pairs: &[(NodeId, NodeId)], at_once: u32, soft_off: Span) -> Runbook {
    let name = |id: &NodeId| fleet.nodes[id].name.clone();
    Runbook {
        name: "case".into(),
        description: None,
        labels: BTreeMap::new(),
        digest: "0".into(),
        vars: BTreeMap::new(),
        mode: Mode::Planned,
        sources: Sources {
            nodes: pairs.iter().map(|(s, _)| (name(s), Place::default())).collect(),
            select: None,
            destinations: pairs.iter().map(|(s, d)| (name(s), (name(d), Place::default()))).collect(),
            priority: None,
            left_out: None,
            nova_aware: false,
        },
        pools: Vec::new(),
        matching: Matching { identical: vec!["model".into()], require: Vec::new(), prefer: Vec::new(), spread: Vec::new() },
        power: PowerPolicy { soft_off, hard_off: HardOff::AfterSoft, crash_dump: None },
        fence: BmcFence { reads: 2, apart: Span::millis(500) },
        vouchers: Vouchers::default(),
        further: Further::ALL,
        boot: BootPolicy {
            via: Some(BootVia::RedfishIscsi),
            timeout: Span::mins(2),
            ready: vec![BootReady::BootProgress, BootReady::PostBootHooks],
        },
        hooks: vec![
            hook("drain", HookPoint::PreShutdown, Rerun::Allowed, OnFailure::RollBack, true),
            hook("tell", HookPoint::PreShutdown, Rerun::Never, OnFailure::Continue, false),
            hook("zone", HookPoint::PostMigration, Rerun::Allowed, OnFailure::RollBack, true),
            hook("greet", HookPoint::PostBoot, Rerun::Allowed, OnFailure::Stop, false),
        ],
        limits: Limits { at_once, ..Limits::default() },
        windows: Vec::new(),
        approval: None,
        notify: Vec::new(),
        report: None,
    }
}

pub fn plan_for(fleet: &Fleet, pairs: &[(NodeId, NodeId)], at_once: u32, landing: Span) -> Plan {
    plan_with(fleet, pairs, at_once, landing, Span::millis(300))
}

pub fn plan_with(fleet: &Fleet, pairs: &[(NodeId, NodeId)], at_once: u32, landing: Span, soft_off: Span) -> Plan {
    let plan = plan_for_runbook(&runbook(fleet, pairs, at_once, soft_off), fleet, landing);
    assert_eq!(plan.switchovers.len(), pairs.len());
    plan
}

pub fn plan_for_runbook(runbook: &Runbook, fleet: &Fleet, landing: Span) -> Plan {
    let request = Request {
        id: "p-1".into(),
        store: "store".into(),
        now: fleet.captured_at,
        landing: coldswap_sim::plan::Landing { default: Some(landing), by_node: BTreeMap::new() },
        only: Vec::new(),
        exclude: Vec::new(),
        allow_storm: false,
        allow_boot_cleared: Vec::new(),
        home: BTreeMap::new(),
    };
    plan(runbook, fleet, &request).unwrap_or_else(|wrong| panic!("{wrong:?}")).0
}

#[test]
fn a_kind_world_switches_everything_over() {
    let (fleet, pairs) = fleet(3, 2);
    let plan = Arc::new(plan_for(&fleet, &pairs, 2, Span::secs(1)));
    let run = run(&plan, &fleet, 1, Faults::default(), &[], Bugs::default());
    let tally = check(&plan, &fleet, &run).expect("all well");
    assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 3)]));
}

#[test]
fn killed_at_every_point() {
    let (fleet, pairs) = fleet(3, 2);
    let plan = Arc::new(plan_for(&fleet, &pairs, 3, Span::secs(1)));
    let harsh = Faults { lost_before: 8, lost_after: 8, refused: 1, blind: 5, slow_power_ms: 900, hook_fails: 5, ..Faults::default() };
    let (mut runs, mut outcomes, began) = (0, Tally::new(), std::time::Instant::now());
    for faults in [Faults { slow_power_ms: 900, ..Faults::default() }, harsh] {
        for seed in 0..4 {
            let whole = run(&plan, &fleet, seed, faults, &[], Bugs::default());
            check(&plan, &fleet, &whole).expect("the run without a crash");
            for point in 1..=whole.points {
                for survives in WAYS {
                    let crash = CrashAt { point, survives };
                    let run = run(&plan, &fleet, seed, faults, &[crash], Bugs::default());
                    let tally = check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("seed {seed}, {crash:?}, {faults:?}: {e}"));
                    tally.into_iter().for_each(|(o, n)| *outcomes.entry(o).or_insert(0) += n);
                    runs += 1;
                }
            }
        }
    }
    println!("{runs} runs killed once in {:.1} s: {outcomes:?}", began.elapsed().as_secs_f64());
    assert!(runs > 1_000, "{runs}");
}

#[test]
fn killed_at_every_pair_of_points() {
    let (fleet, pairs) = fleet(3, 1);
    let plan = Arc::new(plan_for(&fleet, &pairs, 3, Span::secs(1)));
    let faults = Faults { slow_power_ms: 900, ..Faults::default() };
    let whole = run(&plan, &fleet, 7, faults, &[], Bugs::default());
    let (mut runs, began) = (0, std::time::Instant::now());
    for first in 1..=whole.points {
        for second in first + 1..=whole.points + 8 {
            let survives = |n: u64| WAYS[(n % 3) as usize];
            let crashes =
                [CrashAt { point: first, survives: survives(first + second) }, CrashAt { point: second, survives: survives(second) }];
            let run = run(&plan, &fleet, 7, faults, &crashes, Bugs::default());
            check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("{crashes:?}: {e}"));
            runs += 1;
        }
    }
    println!("{runs} runs killed twice over {} points in {:.1} s", whole.points, began.elapsed().as_secs_f64());
    assert!(runs > 1_000, "{runs}");
}

/// Whoever takes a run up finds the fence in the journal; only the looks are made again.
#[test]
fn a_fence_that_is_recorded_is_not_sent_again() {
    let (fleet, pairs) = fleet(1, 1);
    let plan = Arc::new(plan_for(&fleet, &pairs, 1, Span::secs(1)));
    let at = 1 + plan.switchovers[0].steps.iter().take_while(|s| !matches!(s, Step::Fence(_))).count();
    let whole = run(&plan, &fleet, 1, Faults::default(), &[], Bugs::default());
    let mut fenced = 0;
    for point in 1..=whole.points {
        for survives in WAYS {
            let run = run(&plan, &fleet, 1, Faults::default(), &[CrashAt { point, survives }], Bugs::default());
            let is_held = |e: &Event| matches!(e, Event::Achieved { step, .. } if *step as usize == at);
            let Some(held) = run.journal.iter().position(|e| is_held(&e.event)) else { continue };
            fenced += 1;
            let sent_again = |e: &Event| matches!(e, Event::Intended { step, .. } if *step as usize == at);
            assert!(!run.journal[held..].iter().any(|e| sent_again(&e.event)), "{point} {survives:?}: {:#?}", run.journal);
        }
    }
    assert!(fenced > 20, "{fenced}");
}

#[test]
fn a_template_sees_the_world_of_its_step() {
    let (fleet, pairs) = fleet(1, 2);
    let mut book = runbook(&fleet, &pairs, 1, Span::millis(300));
    let text = "{{ source.targets | length }} {{ destination.targets | length }} {{ source.instance.name }}";
    for hook in &mut book.hooks {
        let argv = vec![Template::parse(text, Names::Switchover, &BTreeMap::new()).expect("a template")];
        hook.action = ActionTemplate::Run { argv, env: BTreeMap::new(), directory: None, digest: None };
    }
    let plan = plan_for_runbook(&book, &fleet, Span::secs(1));
    let hooks = plan.switchovers[0].steps.iter().filter_map(Step::hook);
    let seen: Vec<&str> = hooks
        .map(|h| match &h.action {
            HookAction::Run(run) => run.argv[0].as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    // The destination as it is at that step; the source as it was, since that is what a hook after the move asks about.
    let [before, after] = ["2 0 source-00-instance", "2 2 source-00-instance"];
    assert_eq!(seen, [before, before, after, after]);
}

mod planted {
    //! Tests of the tests: each planted bug must be caught.
    use super::*;

    fn caught(plan: &Plan, seeds: u64, faults: Faults, bugs: Bugs, needle: &str) -> u64 {
        let (fleet, _) = fleet(1, 1);
        let plan = Arc::new(plan.clone());
        (0..seeds)
            .filter(|seed| check(&plan, &fleet, &run(&plan, &fleet, *seed, faults, &[], bugs)).is_err_and(|e| e.contains(needle)))
            .count() as u64
    }

    fn one(landing: Span) -> Plan {
        let (fleet, pairs) = fleet(1, 1);
        plan_for(&fleet, &pairs, 1, landing)
    }

    #[test]
    fn an_acknowledgement_that_is_believed() {
        let faults = Faults { ignored: 30, slow_power_ms: 2_000, ..Faults::default() };
        let bug = Bugs { acknowledgement_believed: true, ..Bugs::default() };
        assert!(caught(&one(Span::secs(3)), 200, faults, bug, "S1") > 10);
        assert_eq!(caught(&one(Span::secs(3)), 200, faults, Bugs::default(), ""), 0);
    }

    #[test]
    fn no_fence() {
        let mut plan = one(Span::secs(3));
        for s in &mut plan.switchovers {
            s.steps.retain(|step| !matches!(step, Step::Fence(_) | Step::ClearSourceBoot(_)));
        }
        let faults = Faults { button: 60, slow_power_ms: 500, ..Faults::default() };
        assert!(caught(&plan, 200, faults, Bugs { no_fence: true, ..Bugs::default() }, "S1") > 10);
        assert_eq!(caught(&one(Span::secs(3)), 200, faults, Bugs::default(), "S1"), 0);
    }

    #[test]
    fn orders_that_leave_before_their_events_are_durable() {
        let (fleet, _) = fleet(1, 1);
        let plan = Arc::new(one(Span::secs(3)));
        let bug = Bugs { orders_before_events: true, ..Bugs::default() };
        let whole = run(&plan, &fleet, 1, Faults::default(), &[], bug);
        let twice = |seed, point, bugs| {
            let crash = [CrashAt { point, survives: Survives::EventsAndOrders }];
            check(&plan, &fleet, &run(&plan, &fleet, seed, Faults::default(), &crash, bugs)).is_err_and(|e| e.contains("S4"))
        };
        let found = |bugs: Bugs| {
            (0..8).flat_map(|seed| (1..=whole.points).map(move |point| (seed, point))).filter(|(s, p)| twice(*s, *p, bugs)).count()
        };
        assert!(found(bug) > 0);
        assert_eq!(found(Bugs::default()), 0);
    }

    #[test]
    fn going_back_without_standing_still() {
        let faults = Faults { lost_before: 6, lost_after: 12, refused: 4, slow_power_ms: 6_000, hook_fails: 50, ..Faults::default() };
        let good = one(Span::secs(7));
        let mut bad = good.clone();
        bad.switchovers[0].landing = Span::ZERO;
        assert!(caught(&bad, 2_000, faults, Bugs::default(), "dark") > 0);
        assert_eq!(caught(&good, 2_000, faults, Bugs::default(), ""), 0);
    }
}
