//! Seeds with two executors: the first is stopped, superseded, and wakes up.

use crate::crash::plan_for;
use coldswap_sim::model::Span;
use coldswap_sim::plan::Plan;
use coldswap_sim::sim::*;
use std::sync::Arc;

const WAYS: [Stopped; 3] = [Stopped::BeforeStoring, Stopped::BeforeSending, Stopped::AfterSending];

fn drawn(seed: u64, points: u64) -> (Faults, Pause) {
    let mut rng = Rng(seed ^ 0x7A4E_0FE4);
    let faults = faults_of(&mut rng);
    let stopped = WAYS[rng.below(3) as usize];
    (faults, Pause { point: 1 + rng.below(points), stopped, with_power_off: false, wakes_at: rng.below(400) as u32 })
}

/// Stopped with a power-off in hand early on, and awake again while or after the second executor goes back.
fn provoking(seed: u64, stopped: Stopped) -> Pause {
    let mut rng = Rng(seed ^ 0x0FF0_0FF0);
    Pause { point: 1 + rng.below(12), stopped, with_power_off: true, wakes_at: rng.below(1_500) as u32 }
}

/// What is wrong, for each seed for which something is.
fn wrong(plan: &Arc<Plan>, pairs: u32, seeds: std::ops::Range<u64>, points: u64, bugs: TakeoverBugs) -> (Tally, Vec<String>) {
    let (fleet, _) = fleet(pairs, 1);
    let (mut tally, mut wrong) = (Tally::new(), Vec::new());
    for seed in seeds {
        let (faults, pause) = drawn(seed, points);
        let run = run_taken_over(plan, &fleet, seed, faults, pause, bugs);
        match check(plan, &fleet, &run) {
            Ok(outcomes) => outcomes.into_iter().for_each(|(o, n)| *tally.entry(o).or_insert(0) += n),
            Err(error) => wrong.push(format!("seed {seed}, {pause:?}, {faults:?}: {error}")),
        }
    }
    (tally, wrong)
}

fn plan_of(pairs: u32) -> Arc<Plan> {
    let (fleet, ends) = fleet(pairs, 1);
    Arc::new(plan_for(&fleet, &ends, pairs, Span::millis(600)))
}

#[test]
fn taken_over_at_any_point() {
    let (tally, wrong) = wrong(&plan_of(3), 3, 0..3_000, 60, TakeoverBugs::default());
    println!("3000 runs of 3 switchovers taken over: {tally:?}");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    assert!(tally.len() >= 4 && tally[&coldswap_sim::engine::Outcome::SwitchedOver] > 3_000, "{tally:?}");
}

/// So that much is taken back: what the first executor sent lands where the second has gone back already.
fn harsh() -> Faults {
    Faults { lost_before: 5, lost_after: 5, refused: 3, blind: 2, slow_power_ms: 500, hook_fails: 60, ..Faults::default() }
}

#[test]
fn without_its_gates_a_take_over_is_caught() {
    let plan = plan_of(1);
    let (fleet, _) = fleet(1, 1);
    let caught = |bugs: TakeoverBugs, needle: &str, pause: &dyn Fn(u64) -> Pause| {
        let found = (0..2_000).filter(|seed| {
            let run = run_taken_over(&plan, &fleet, *seed, harsh(), pause(*seed), bugs);
            check(&plan, &fleet, &run).is_err_and(|e| e.contains(needle))
        });
        found.count()
    };
    let none = TakeoverBugs::default();
    let in_hand = |seed| provoking(seed, Stopped::BeforeSending);
    let on_the_way = |seed| provoking(seed, Stopped::AfterSending);
    let anywhere = |seed| drawn(seed, 40).1;
    let deadline = caught(TakeoverBugs { no_deadline: true, ..none }, "dark", &in_hand);
    let token = caught(TakeoverBugs { no_token: true, ..none }, "does not fit", &anywhere);
    let wait = caught(TakeoverBugs { no_wait: true, ..none }, "dark", &on_the_way);
    println!("of 2000 caught: {deadline} without deadline, {token} without token, {wait} without waiting");
    assert!(deadline > 20 && token > 20 && wait > 20, "{deadline} {token} {wait}");
    for pause in [&in_hand as &dyn Fn(u64) -> Pause, &on_the_way, &anywhere] {
        assert_eq!(caught(none, "", pause), 0);
    }
}
