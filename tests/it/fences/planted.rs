//! Tests of the tests: each gate of the fence, taken away, must be missed.
use super::*;

fn caught(plan: &Arc<Plan>, world: impl Fn(u64) -> World, before: &Fleet, bugs: Bugs, needle: &str) -> usize {
    let wrong = |seed| check(plan, before, &run_in(world(seed), plan, &[], bugs)).is_err_and(|e| e.contains(needle));
    (0..300).filter(|seed| wrong(*seed)).count()
}

#[test]
fn an_agents_exit_that_is_believed() {
    let (fleet, plan) = disaster(1);
    let plan = only(&plan, true);
    let world = |seed| dead_world(&fleet, seed, Faults { agent_lies: 60, slow_power_ms: 2_000, ..Faults::default() });
    assert!(caught(&plan, world, &fleet, Bugs { agent_exit_believed: true, ..Bugs::default() }, "S1") > 10);
    assert_eq!(caught(&plan, world, &fleet, Bugs::default(), ""), 0);
}

/// The BMC comes back and says On while agents are asked, or after they have vouched.
#[test]
fn a_live_on_that_is_overridden() {
    let (fleet, plan) = disaster(1);
    let source = plan.switchovers[0].source.node;
    let mut person = plan.clone();
    for step in person.switchovers.iter_mut().flat_map(|s| &mut s.steps) {
        if let Step::Fence(fence) = step {
            fence.levels = vec![FenceLevel::Attestation { expires: Span::mins(60) }];
        }
    }
    let person = Arc::new(person);
    // Somebody vouches for the wrong machine, and its BMC answers again: On.
    let world = |seed| {
        let mut world = dead_world(&fleet, seed, Faults::default());
        world.attestations.insert(source, word(&fleet, source));
        world.revive(source, Span::millis(15_000 + seed * 20));
        world
    };
    let bug = Bugs { live_on_overridden: true, fence_survives_on: true, ..Bugs::default() };
    assert!(caught(&person, world, &fleet, bug, "S1") > 10);
}

#[test]
fn a_fence_that_survives_an_on() {
    let (fleet, plan) = disaster(1);
    let plan = only(&plan, true);
    let world = |seed| dead_world(&fleet, seed, Faults { replugged: 100, ..Faults::default() });
    assert!(caught(&plan, world, &fleet, Bugs { fence_survives_on: true, ..Bugs::default() }, "S1") > 5);
    assert_eq!(caught(&plan, world, &fleet, Bugs::default(), ""), 0);
}

#[test]
fn an_attestation_that_is_used_twice_or_has_expired() {
    let (fleet, plan) = disaster(1);
    let source = plan.switchovers[0].source.node;
    let plan = only(&plan, false);
    let bug = Bugs { attestation_believed: true, ..Bugs::default() };
    let other = Holder { run: "r-0".into(), switchover: SwitchoverId(1) };
    // It was true once: of an earlier switchover, or of yesterday.
    let used = Attestation { used_by: Some(other), ..word(&fleet, source) };
    let old = Attestation { at: fleet.captured_at, expires_at: fleet.captured_at + Span(1), ..word(&fleet, source) };
    for stale in [used, old] {
        let world = |seed| {
            let mut world = dead_world(&fleet, seed, Faults::default());
            world.attestations.insert(source, stale.clone());
            world
        };
        assert!(caught(&plan, world, &fleet, bug, "S1") > 10);
        assert_eq!(caught(&plan, world, &fleet, Bugs::default(), ""), 0);
    }
}

/// A word that was given before another run told the machine On: asked of the fence's look and, once more, of the store.
#[test]
fn an_attestation_that_is_older_than_the_last_power_on() {
    let (fleet, plan) = disaster(1);
    let source = plan.switchovers[0].source.node;
    let mut plan = plan.clone();
    for step in plan.switchovers.iter_mut().flat_map(|s| &mut s.steps) {
        if let Step::Fence(fence) = step {
            fence.levels = vec![FenceLevel::Attestation { expires: Span::mins(60) }];
        }
    }
    let plan = Arc::new(plan);
    let world = |binds_any_word| {
        let fleet = &fleet;
        move |seed| {
            let mut world = dead_world(fleet, seed, Faults::default());
            let at = |s: i64| Time(fleet.captured_at.0 + s * 1_000_000);
            let mark = PowerMark { reset: ResetType::On, sent_at: at(-20), lands_by: at(-10) };
            world.fleet.nodes.get_mut(&source).expect("the source").power_mark = Some(mark);
            world.attestations.insert(source, Attestation { at: at(-30), ..word(fleet, source) });
            world.binds_any_word = binds_any_word;
            world
        }
    };
    let bug = Bugs { any_word_counts: true, ..Bugs::default() };
    assert!(caught(&plan, world(true), &fleet, bug, "S1") > 10, "neither asks");
    assert_eq!(caught(&plan, world(false), &fleet, bug, ""), 0, "the store refuses alone");
    assert_eq!(caught(&plan, world(true), &fleet, Bugs::default(), ""), 0, "the fence refuses alone");
}

/// A plan that forgets what a silent source's firmware opens.
#[test]
fn a_debt_that_is_not_noted() {
    let (fleet, plan) = disaster(1);
    let mut wrong = plan.clone();
    for s in &mut wrong.switchovers {
        s.steps.retain(|step| !matches!(step, Step::NoteDebt(_)));
    }
    let world = |seed| dead_world(&fleet, seed, Faults::default());
    assert!(caught(&only(&wrong, true), world, &fleet, Bugs::default(), "nothing is owed") > 10);
    assert_eq!(caught(&only(&plan, true), world, &fleet, Bugs::default(), ""), 0);
}

/// Between the last look at the source and the note of what it owes, another machine takes its BMC's address.
#[test]
fn a_debt_that_another_machine_denies() {
    let (fleet, plan) = disaster(1);
    let plan = only(&plan, true);
    let source = plan.switchovers[0].source.node;
    let booted = 1 + plan.switchovers[0].steps.iter().position(|s| matches!(s, Step::AwaitBoot(_))).expect("a boot") as u32;
    let bug = Bugs { any_machine_believed: true, ..Bugs::default() };
    for seed in 0..20 {
        let whole = run_in(dead_world(&fleet, seed, Faults::default()), &plan, &[], Bugs::default());
        let is_boot = |e: &Event| matches!(e, Event::Achieved { step, .. } if *step == booted);
        let at = whole.journal.iter().find(|e| is_boot(&e.event)).expect("it boots").at;
        let world = || {
            let mut world = dead_world(&fleet, seed, Faults::default());
            world.impostors.insert(source, at + Span(1));
            world
        };
        let run = run_in(world(), &plan, &[], Bugs::default());
        assert_eq!(outcomes(&plan, &fleet, &run), Tally::from([(Outcome::SwitchedOver, 1)]), "seed {seed}");
        let wrong = check(&plan, &fleet, &run_in(world(), &plan, &[], bug));
        assert!(wrong.as_ref().is_err_and(|e| e.contains("nothing is owed")), "seed {seed}: {wrong:?}");
    }
}

/// Somebody plugs the source in again after its agent switched it off. Its BMC stays silent: only the plug tells.
#[test]
fn a_plug_that_nobody_asks_again() {
    let (fleet, plan) = disaster(1);
    let plan = only(&plan, true);
    let source = plan.switchovers[0].source.node;
    let number = |is: fn(&Step) -> bool| 1 + plan.switchovers[0].steps.iter().position(is).expect("such a step") as u32;
    let (fence, start) = (number(|s| matches!(s, Step::Fence(_))), number(Step::starts_destination));
    // Between the fence and the start, long enough before the start that a look can tell.
    let world = |seed: u64| {
        let whole = run_in(dead_world(&fleet, seed, Faults::default()), &plan, &[], Bugs::default());
        let find = |is: &dyn Fn(&Event) -> bool| whole.journal.iter().find(|e| is(&e.event)).expect("it went well").at;
        let fenced = find(&|e| matches!(e, Event::Achieved { step, .. } if *step == fence));
        let told = find(&|e| matches!(e, Event::Intended { step, .. } if *step == start));
        let last_move = told.0 - 260_000;
        let mut world = dead_world(&fleet, seed, Faults::default());
        world.replug(source, Time(last_move.max(fenced.0)));
        world
    };
    let bug = Bugs { plugs_not_asked_again: true, ..Bugs::default() };
    let twice = caught(&plan, world, &fleet, bug, "is open on");
    println!("of 300 caught where PowerOn does not ask the plugs: {twice}");
    assert!(twice > 100, "{twice}");
    assert_eq!(caught(&plan, world, &fleet, Bugs::default(), "is open on"), 0);
}
