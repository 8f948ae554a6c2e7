//! Switchovers on nodes that a service keeps (Ironic), simulated: killed at every point, with seeds, and with planted bugs.

use crate::crash::{plan_for_runbook, runbook};
use coldswap_sim::engine::{Event, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::plan::Plan;
use coldswap_sim::runbook::*;
use coldswap_sim::sim::*;
use coldswap_sim::step::Step;
use std::sync::Arc;

const WAYS: [Survives; 3] = [Survives::Events, Survives::EventsAndOrders, Survives::HalfTheEvents];
const STATES: [ProvisionState; 3] = [ProvisionState::Available, ProvisionState::Manageable, ProvisionState::Enroll];

fn plan_of(fleet: &Fleet, pairs: &[(NodeId, NodeId)]) -> Plan {
    let mut book = runbook(fleet, pairs, 8, Span::millis(600));
    book.boot = BootPolicy { via: None, timeout: Span::mins(2), ready: vec![BootReady::PostBootHooks] };
    let plan = plan_for_runbook(&book, fleet, Span::secs(2));
    assert_eq!(plan.switchovers.len(), pairs.len(), "{:?}", plan.left_out);
    plan
}

fn kept(pairs: u32, volumes: u32, spare: ProvisionState) -> (Fleet, Arc<Plan>) {
    let (fleet, pairs) = kept_fleet(pairs, volumes, spare);
    let plan = plan_of(&fleet, &pairs);
    (fleet, Arc::new(plan))
}

fn harsh(rng: &mut Rng) -> Faults {
    Faults {
        lost_before: rng.below(10),
        lost_after: rng.below(10),
        refused: rng.below(3),
        blind: rng.below(8),
        ignored: rng.below(6),
        soft_ignored: rng.below(50),
        slow_power_ms: rng.below(900),
        hook_fails: rng.below(12),
        button: if rng.percent(30) { rng.below(12) } else { 0 },
        provision_fails: rng.below(25),
        foreign: if rng.percent(25) { rng.below(30) } else { 0 },
        dead: if rng.percent(10) { rng.below(30) } else { 0 },
        ..Faults::default()
    }
}

fn story(run: &Run) -> String {
    run.journal.iter().map(|e| format!("{} {:?}\n", e.at, e.event)).collect()
}

#[test]
fn a_kind_service_switches_over_by_deploy_and_by_adopt() {
    for state in STATES {
        let (fleet, plan) = kept(2, 2, state);
        let run = run(&plan, &fleet, 1, Faults { slow_power_ms: 300, ..Faults::default() }, &[], Bugs::default());
        let tally = check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("{state}: {e}\n{}", story(&run)));
        assert_eq!(tally, Tally::from([(Outcome::SwitchedOver, 2)]), "{state}: {}", story(&run));
        assert_eq!(run.world.claims(), 0);
    }
}

#[test]
fn kept_nodes_killed_at_every_point() {
    let (mut runs, mut outcomes, began) = (0, Tally::new(), std::time::Instant::now());
    for state in STATES {
        let (fleet, plan) = kept(2, 2, state);
        let faults = Faults { slow_power_ms: 700, ..Faults::default() };
        let rough = Faults { lost_before: 6, lost_after: 6, blind: 4, hook_fails: 5, provision_fails: 20, ..faults };
        for (faults, seeds) in [(faults, 0..2), (rough, 0..2)] {
            for seed in seeds {
                let whole = run(&plan, &fleet, seed, faults, &[], Bugs::default());
                check(&plan, &fleet, &whole).unwrap_or_else(|e| panic!("{state}, seed {seed}: {e}\n{}", story(&whole)));
                for point in 1..=whole.points {
                    for survives in WAYS {
                        let crash = CrashAt { point, survives };
                        let run = run(&plan, &fleet, seed, faults, &[crash], Bugs::default());
                        let tally = check(&plan, &fleet, &run)
                            .unwrap_or_else(|e| panic!("{state}, seed {seed}, {crash:?}, {faults:?}: {e}\n{}", story(&run)));
                        tally.into_iter().for_each(|(o, n)| *outcomes.entry(o).or_insert(0) += n);
                        runs += 1;
                    }
                }
            }
        }
    }
    println!("{runs} runs over kept nodes killed once in {:.1} s: {outcomes:?}", began.elapsed().as_secs_f64());
    assert!(runs > 500, "{runs}");
}

#[test]
fn kept_nodes_under_many_seeds() {
    let began = std::time::Instant::now();
    let from: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(1_500);
    let shapes = STATES.map(|state| kept(4, 2, state));
    let mut total = Tally::new();
    for seed in from..from + count {
        let (fleet, plan) = &shapes[(seed % 3) as usize];
        let mut rng = Rng(seed ^ 0x1409_1C00);
        let faults = harsh(&mut rng);
        let mut points: Vec<u64> = (0..rng.below(4)).map(|_| 1 + rng.below(200)).collect();
        points.sort_unstable();
        points.dedup();
        let crashes: Vec<CrashAt> = points.into_iter().map(|point| CrashAt { point, survives: WAYS[rng.below(3) as usize] }).collect();
        let run = run(plan, fleet, seed, faults, &crashes, Bugs::default());
        match check(plan, fleet, &run) {
            Ok(tally) => tally.into_iter().for_each(|(o, n)| *total.entry(o).or_insert(0) += n),
            Err(wrong) => panic!(
                "seed {seed}: {wrong}\n{faults:?}\n{crashes:?}\nagain: SEED={seed} SEEDS=1 cargo test --locked kept_nodes_under_many_seeds\n{}",
                story(&run)
            ),
        }
    }
    println!("{count} seeds of 4 kept switchovers in {:.1} s: {total:?}", began.elapsed().as_secs_f64());
    assert!(count < 500 || total.len() >= 4, "{total:?}");
    assert!(count < 500 || u64::from(total[&Outcome::SwitchedOver]) > count, "{total:?}");
}

/// The source's BMC dies once the spare serves: the undeployment is owed, the source stays held, and a resume settles it.
#[test]
fn a_source_that_cannot_be_undeployed_stays_held_and_resume_settles_it() {
    let (fleet, plan) = kept(1, 1, ProvisionState::Available);
    let s = &plan.switchovers[0];
    let at = 1 + s.steps.iter().position(|s| matches!(s, Step::AwaitBoot(_))).expect("a boot");
    let mut world = World::new(fleet.clone(), 3, Faults::default());
    let calm = run_in(World::new(fleet.clone(), 3, Faults::default()), &plan, &[], Bugs::default());
    let done = calm.journal.iter().find(|e| matches!(e.event, Event::Achieved { step, .. } if step as usize == at)).expect("booted").at;
    world.fall_silent(s.source.node, done.since(fleet.captured_at));
    let mut owed = run_in(world, &plan, &[], Bugs::default());
    check(&plan, &fleet, &owed).unwrap_or_else(|e| panic!("{e}\n{}", story(&owed)));
    let last = &owed.journal.last().expect("an end").event;
    let Event::Finished { outcome: Outcome::SwitchedOver, debt: Some(debt), .. } = last else { panic!("{last:?}\n{}", story(&owed)) };
    assert!(debt.contains("never power on `source-00`; undeploy pending"), "{debt}");
    let node = |run: &Run| run.world.fleet.nodes[&s.source.node].clone();
    assert!(node(&owed).debt.is_some() && node(&owed).reservation.is_some());
    owed.world.dead.clear();
    let run = run_again(owed, &plan);
    check(&plan, &fleet, &run).unwrap_or_else(|e| panic!("{e}\n{}", story(&run)));
    assert!(
        matches!(run.journal.last().expect("an end").event, Event::Finished { outcome: Outcome::SwitchedOver, debt: None, .. }),
        "{}",
        story(&run)
    );
    assert_eq!((node(&run).debt, node(&run).reservation), (None, None));
    assert_eq!(node(&run).provision_state, ProvisionState::Available);
}

mod planted {
    //! Tests of the tests: each planted bug must be caught.
    use super::*;

    fn caught(plan: &Plan, fleet: &Fleet, faults: Faults, bugs: Bugs, needle: &str, prepare: impl Fn(&mut World)) -> u64 {
        let plan = Arc::new(plan.clone());
        let told = |seed: &u64| {
            let mut world = World::new(fleet.clone(), *seed, faults);
            prepare(&mut world);
            check(&plan, fleet, &run_in(world, &plan, &[], bugs)).is_err_and(|e| e.contains(needle))
        };
        (0..120).filter(told).count() as u64
    }

    #[test]
    fn an_undeployment_before_the_move_loses_the_volumes() {
        let (fleet, plan) = kept(1, 2, ProvisionState::Available);
        let mut early = Plan::clone(&plan);
        let steps = &mut early.switchovers[0].steps;
        let clean = steps.iter().position(|s| matches!(s, Step::CleanSource(_))).expect("an undeployment");
        let clean = steps.remove(clean);
        let moves = steps.iter().position(|s| matches!(s, Step::MoveConnector(_))).expect("a move");
        steps.insert(moves, clean);
        let bug = Bugs { targets_not_seen: true, ..Bugs::default() };
        assert!(caught(&early, &fleet, Faults::default(), bug, "a volume is lost", |_| ()) > 50);
        assert_eq!(caught(&early, &fleet, Faults::default(), Bugs::default(), "a volume is lost", |_| ()), 0, "the look keeps it from it");
        assert_eq!(caught(&plan, &fleet, Faults::default(), Bugs::default(), "", |_| ()), 0);
    }

    #[test]
    fn records_that_are_believed_in_maintenance() {
        let (fleet, plan) = kept(1, 2, ProvisionState::Available);
        let faults = Faults { button: 60, slow_power_ms: 400, ..Faults::default() };
        assert!(caught(&plan, &fleet, faults, Bugs::default(), "S1", |w| w.believes_records = true) > 5);
        assert_eq!(caught(&plan, &fleet, faults, Bugs::default(), "", |_| ()), 0);
    }

    #[test]
    fn an_instance_of_somebody_elses_is_never_deployed() {
        for state in [ProvisionState::Available, ProvisionState::Manageable] {
            let (fleet, plan) = kept(1, 1, state);
            let faults = Faults { foreign: 60, ..Faults::default() };
            let bug = Bugs { foreign_not_seen: true, ..Bugs::default() };
            assert!(caught(&plan, &fleet, faults, bug, "S2", |_| ()) > 20, "{state}");
            assert_eq!(caught(&plan, &fleet, faults, Bugs::default(), "", |_| ()), 0, "{state}");
        }
    }

    #[test]
    fn a_source_that_is_started_with_its_records_away() {
        let (fleet, plan) = kept(1, 1, ProvisionState::Available);
        let faults = Faults { hook_fails: 60, ..Faults::default() };
        let bug = Bugs { records_not_seen: true, ..Bugs::default() };
        assert!(caught(&plan, &fleet, faults, bug, "S1", |_| ()) > 10);
        assert_eq!(caught(&plan, &fleet, faults, Bugs::default(), "", |_| ()), 0);
    }

    /// A person switches a source off by hand whose BMC is silent and says so. The service still records it On: when the BMC
    /// answers again, its power sync starts the machine, unless it is in maintenance.
    #[test]
    fn a_source_that_is_not_in_maintenance_is_started_by_the_sync() {
        let (mut fleet, pairs) = kept_fleet(1, 1, ProvisionState::Available);
        let source = pairs[0].0;
        let silent = Live::Silent(Fault::transient("the BMC does not answer Ironic"));
        let mut book = runbook(&fleet, &pairs, 1, Span::ZERO);
        book.mode = Mode::Disaster;
        book.vouchers = Vouchers { levels: vec![VoucherTemplate::Attestation { expires: Span::mins(30) }], ..Vouchers::default() };
        book.power = PowerPolicy { soft_off: Span::ZERO, hard_off: HardOff::AtOnce, crash_dump: None };
        book.boot = BootPolicy { via: None, timeout: Span::mins(2), ready: vec![BootReady::PostBootHooks] };
        let answered = fleet.live.insert(source, silent);
        let plan = plan_for_runbook(&book, &fleet, Span::secs(2));
        fleet.live.extend(answered.map(|live| (source, live)));
        assert_eq!(plan.switchovers.len(), 1, "{:?}", plan.left_out);
        let prepare = |world: &mut World| {
            world.fall_silent(source, Span::ZERO);
            world.revive(source, Span::mins(6));
            world.attests_at(source, Span::mins(4));
        };
        let mut careless = plan.clone();
        careless.switchovers[0].steps.retain(|s| !matches!(s, Step::SetMaintenance(m) if m.machine.node == source));
        let faults = Faults::default();
        let bad = caught(&careless, &fleet, faults, Bugs::default(), "S1", prepare);
        assert!(bad > 20, "{bad}");
        assert_eq!(caught(&plan, &fleet, faults, Bugs::default(), "S1", prepare), 0);
    }
}
