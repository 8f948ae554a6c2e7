//! Seeds: random faults, crashes, late and lost effects. A failing seed prints how to run it again.

use crate::crash::{plan_for, plan_with};
use coldswap_sim::model::Span;
use coldswap_sim::sim::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Faults and crashes of a seed.
fn drawn(seed: u64) -> (Faults, Vec<CrashAt>) {
    let mut rng = Rng(seed ^ 0xC01D_5A4B);
    let faults = faults_of(&mut rng);
    let mut points: Vec<u64> = (0..rng.below(4)).map(|_| 1 + rng.below(400)).collect();
    points.sort_unstable();
    points.dedup();
    let crashes = points.into_iter().map(|point| {
        let survives = [Survives::Events, Survives::EventsAndOrders, Survives::HalfTheEvents][rng.below(3) as usize];
        CrashAt { point, survives }
    });
    (faults, crashes.collect())
}

/// A fleet and its plan. Most seeds run in a narrow one, where a run takes few looks; every tenth in a wide one, with two
/// volumes each and power that is late by seconds.
struct Shape {
    fleet: coldswap_sim::model::Fleet,
    plan: Arc<coldswap_sim::plan::Plan>,
    slow_power_ms: Option<u64>,
}

fn shapes() -> [Shape; 2] {
    let (narrow, ends) = fleet(8, 1);
    let plan = Arc::new(plan_for(&narrow, &ends, 8, Span::millis(600)));
    let (wide, wide_ends) = fleet(8, 2);
    let soft =
        Shape { plan: Arc::new(plan_with(&wide, &wide_ends, 8, Span::secs(3), Span::secs(2))), fleet: wide, slow_power_ms: Some(2_500) };
    [Shape { plan, fleet: narrow, slow_power_ms: None }, soft]
}

/// The faults of a seed in its shape.
fn cast(shapes: &[Shape; 2], seed: u64) -> (&Shape, Faults, Vec<CrashAt>) {
    let shape = &shapes[usize::from(seed.is_multiple_of(10))];
    let (mut faults, crashes) = drawn(seed);
    if let Some(most) = shape.slow_power_ms {
        faults.slow_power_ms = Rng(seed ^ 0x51DE).below(most);
    }
    (shape, faults, crashes)
}

#[test]
fn many_seeds() {
    let began = std::time::Instant::now();
    let from: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20_000);
    let shapes = shapes();
    let next = AtomicU64::new(from);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let worker = || {
            let mut total = Tally::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= from + count {
                    return total;
                }
                let (shape, faults, crashes) = cast(&shapes, seed);
                let run = run(&shape.plan, &shape.fleet, seed, faults, &crashes, Bugs::default());
                match check(&shape.plan, &shape.fleet, &run) {
                    Ok(tally) => tally.into_iter().for_each(|(o, n)| *total.entry(o).or_insert(0) += n),
                    Err(wrong) => {
                        let again = format!("SEED={seed} SEEDS=1 cargo test --locked many_seeds");
                        panic!("seed {seed}: {wrong}\n{faults:?}\n{crashes:?}\nagain: {again}\n{}", story(&run, &wrong));
                    }
                }
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        handles.into_iter().map(|h| h.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    });
    let mut total = Tally::new();
    tallies.into_iter().flatten().for_each(|(o, n)| *total.entry(o).or_insert(0) += n);
    println!("{count} seeds of 8 switchovers in {:.1} s: {total:?}", began.elapsed().as_secs_f64());
    // Seeds that only ever succeed, or only ever fail, would prove nothing.
    assert!(count < 1_000 || total.len() >= 4, "{total:?}");
    assert!(count < 1_000 || total[&coldswap_sim::engine::Outcome::SwitchedOver] as u64 > count, "{total:?}");
}

/// The journal of the switchover that the message names.
fn story(run: &Run, wrong: &str) -> String {
    let about = |e: &&coldswap_sim::engine::Entry| {
        e.event.switchover().is_none_or(|id| wrong.contains(&id.to_string()) || !wrong.starts_with("s-"))
    };
    run.journal.iter().filter(about).map(|e| format!("{} {:?}\n", e.at, e.event)).collect()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (fleet, pairs) = fleet(4, 2);
    let plan = Arc::new(plan_for(&fleet, &pairs, 3, Span::millis(600)));
    for seed in 0..40 {
        let (faults, crashes) = drawn(seed);
        let (a, b) =
            (run(&plan, &fleet, seed, faults, &crashes, Bugs::default()), run(&plan, &fleet, seed, faults, &crashes, Bugs::default()));
        assert_eq!(a.journal, b.journal);
        assert_eq!(a.world.fleet, b.world.fleet);
    }
}
