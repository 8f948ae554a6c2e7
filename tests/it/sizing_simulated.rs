//! The simulation against the formulae where both hold, and against what can be worked out on paper where they do not.

use crate::sizing::{close, days, question, years};
use coldswap::sizing::*;

fn simulated(q: &Question, failures: u64, seed: u64, spares: u32) -> Point {
    monte_carlo(&Question { simulation: Simulation { seed, failures }, ..*q }, spares)
}

fn holds(estimate: Estimate, truth: f64) -> bool {
    estimate.interval.is_some_and(|i| i.low <= truth && truth <= i.high)
}

/// Where all is exponential the simulation must give the formula's answer: its 95% interval must hold it about 19 times
/// in 20. Of 160 comparisons at least 140 (the chance that a right simulation misses this is below 10^-4).
#[test]
fn the_simulation_agrees_with_the_machine_repair_model() {
    let mut held = 0;
    let mut cases = 0;
    for (nodes, rate, repairers, standby, spares) in [
        (20, 0.8, Some(1), Standby::Cold, 2),
        (100, 0.05, Some(1), Standby::Cold, 1),
        (50, 0.5, None, Standby::Cold, 2),
        (30, 0.6, Some(3), Standby::Warm, 3),
    ] {
        let q = Question { repairers, standby, ..question(nodes, rate, days(14), 0.9) };
        let exact = birth_death(nodes, rate, years(days(14)), repairers, standby, spares);
        for seed in 0..20 {
            let point = simulated(&q, 20_000, seed, spares);
            held += usize::from(holds(point.time_short, exact.time_short.value));
            held += usize::from(holds(point.next_failure_finds_none, exact.next_failure_finds_none.value));
            cases += 2;
            close(point.failures_per_year / exact.failures_per_year, 1.0, 0.05, "failures");
            close(point.time_short.value / exact.time_short.value, 1.0, 0.25, "short");
        }
    }
    assert_eq!(cases, 160);
    assert!(held >= 140, "{held} of {cases}");
}

/// With a repairer for each only the mean of the repair time counts, however wide it is spread (Sevastyanov 1957). With
/// one repairer the spread counts.
#[test]
fn only_the_mean_counts_without_a_queue_and_more_with_one() {
    let repair = Repair::Lognormal { mean: days(14), sigma: 1.0 };
    let free = Question { repair, ..question(50, 0.5, days(14), 0.9) };
    let exact = birth_death(50, 0.5, years(days(14)), None, Standby::Cold, 2);
    let held = (0..20).filter(|seed| holds(simulated(&free, 20_000, *seed, 2).time_short, exact.time_short.value)).count();
    assert!(held >= 15, "{held} of 20");
    // In the queue M/G/1 the wait grows with the spread of the repair time (Pollaczek and Khinchine).
    let queued =
        Question { repairers: Some(1), repair: Repair::Lognormal { mean: days(14), sigma: 1.5 }, ..question(20, 0.8, days(14), 0.9) };
    let exponential = birth_death(20, 0.8, years(days(14)), Some(1), Standby::Cold, 4);
    let point = simulated(&queued, 50_000, 1, 4);
    assert!(point.time_short.interval.expect("an interval").low > exponential.time_short.value * 1.2, "{point:?} {exponential:?}");
}

/// Domains of the size of the whole fleet: all is lost at once, and spares that stand among the nodes are lost with it.
/// 10 nodes in one domain: up and down alternate, so the share of time lost is g/(1+g) with g = rate x repair.
#[test]
fn a_domain_that_holds_everything_is_all_or_nothing() {
    let domain = DomainLoss { size: 10, rate: YearlyRate(2.0), repair: days(30) };
    let q = Question { domain: Some(domain), ..question(10, 1e-6, days(1), 0.9) };
    let point = simulated(&q, 100_000, 3, 0);
    let g = 2.0 * 30.0 / 365.0;
    assert!(holds(point.time_short, g / (1.0 + g)), "{point:?}");
    // Ten spares more are a second domain: nodes are missing only while both are lost.
    let point = simulated(&q, 100_000, 3, 10);
    assert!(holds(point.time_short, (g / (1.0 + g)).powi(2)), "{point:?}");
}

#[test]
fn losing_racks_takes_more_spares_than_losing_nodes_one_by_one() {
    let alone = question(100, 0.25, days(1), 0.99);
    let domain = DomainLoss { size: 20, rate: YearlyRate(0.2), repair: days(1) };
    // As many nodes are lost in a year either way.
    let together = Question { failure_rate: YearlyRate(0.05), domain: Some(domain), ..alone };
    let simulation = Simulation { seed: 1, failures: 50_000 };
    let alone = answer(&alone, None).expect("an answer");
    let together = answer(&Question { simulation, ..together }, None).expect("an answer");
    assert_eq!((alone.model, together.model), (Model::Poisson, Model::MonteCarlo));
    let of = |a: &Answer| a.next_failure_finds_one.spares.expect("a number");
    assert!(of(&together) >= 20 && of(&alone) <= 3, "{} {}", of(&together), of(&alone));
    let again = answer(&Question { simulation, ..together.question }, None).expect("an answer");
    assert_eq!(again, together, "one seed, one answer");
}

/// Where nothing was seen the truth is below three events, 19 times in 20 (the rule of three).
#[test]
fn a_simulation_in_which_nothing_went_wrong_does_not_promise_that_nothing_can() {
    let point = simulated(&question(100, 0.05, days(14), 0.9), 10_000, 1, 30);
    for (estimate, least) in [(point.next_failure_finds_none, 3.0 / 10_000.0), (point.time_short, 3.0 * years(days(14)) / 2_000.0)] {
        assert_eq!(estimate.value, 0.0);
        close(estimate.interval.expect("an interval").high / least, 1.0, 0.01, "the upper end");
    }
}

#[test]
fn a_simulated_number_meets_the_target_by_the_worse_end_of_its_interval() {
    let domain = DomainLoss { size: 5, rate: YearlyRate(0.2), repair: days(3) };
    let base = Question { domain: Some(domain), simulation: Simulation { seed: 5, failures: 3_000 }, ..question(40, 0.5, days(14), 0.9) };
    let mut undecided = 0;
    for n in 1..20 {
        let target = Share(0.75 + 0.01 * f64::from(n));
        let told = answer(&Question { target, ..base }, None).expect("an answer");
        let spares = told.next_failure_finds_one.spares.expect("a number");
        let of = |s: u32| monte_carlo(&told.question, s).next_failure_finds_none;
        assert!(of(spares).interval.expect("an interval").high <= 1.0 - target.0, "{target}: {spares}");
        undecided += u32::from(spares > 0 && of(spares - 1).value <= 1.0 - target.0);
    }
    assert!(undecided > 0, "no target told the value from the end of its interval");
}
