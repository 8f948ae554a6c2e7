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
    (faults, Pause { point: 1 + rng.below(points), stopped, wakes_at: rng.below(400) as u32 })
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
    let caught = |bugs: TakeoverBugs, needle: &str| {
        let found = (0..4_000).filter(|seed| {
            let (_, pause) = drawn(*seed, 40);
            let run = run_taken_over(&plan, &fleet, *seed, harsh(), pause, bugs);
            check(&plan, &fleet, &run).is_err_and(|e| e.contains(needle))
        });
        found.count()
    };
    let none = TakeoverBugs::default();
    let deadline = caught(TakeoverBugs { no_deadline: true, ..none }, "dark");
    let token = caught(TakeoverBugs { no_token: true, ..none }, "does not fit");
    let wait = caught(TakeoverBugs { no_wait: true, ..none }, "dark");
    println!("of 4000 caught: {deadline} without deadline, {token} without token, {wait} without waiting");
    assert!(deadline > 2 && token > 2 && wait > 2);
    assert_eq!(caught(none, ""), 0);
}
