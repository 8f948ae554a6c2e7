//! Sizing against figures that were computed apart from it, against the laws that any right answer obeys, and the
//! models against each other where two of them must agree.

use coldswap::model::Span;
use coldswap::sizing::*;
use proptest::prelude::*;

pub fn question(nodes: u32, rate: f64, repair: Span, target: f64) -> Question {
    Question {
        nodes,
        failure_rate: YearlyRate(rate),
        repair: Repair::Exponential { mean: repair },
        repairers: None,
        standby: Standby::Cold,
        domain: None,
        target: Share(target),
        spares: None,
        simulation: Simulation::default(),
    }
}

pub const fn days(n: u64) -> Span {
    Span::mins(n * 24 * 60)
}

pub fn years(span: Span) -> f64 {
    span.0 as f64 / (365.0 * 86_400_000.0)
}

pub fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance, "{what}: {got}, not {want}");
}

fn two_weeks(nodes: u32, repairers: Option<u32>, spares: u32) -> Point {
    birth_death(nodes, 0.05, years(days(14)), repairers, Standby::Cold, spares)
}

/// The Poisson tail, by hand: 100 nodes, 5% a year, 14 days.
#[test]
fn the_poisson_tail_is_the_textbooks() {
    let load: f64 = 100.0 * 0.05 * 14.0 / 365.0;
    close(load, 0.1918, 5e-5, "load");
    for (spares, without_shortage) in [(0, 0.8255), (1, 0.9838), (2, 0.9990)] {
        let point = poisson(load, 5.0, spares);
        close(point.time_without_shortage.value, without_shortage, 5e-5, "without shortage");
    }
    let exact = |k: i32| (0..=k).map(|i| (-load).exp() * load.powi(i) / (1..=i).map(f64::from).product::<f64>()).sum::<f64>();
    for spares in 0..12 {
        let point = poisson(load, 5.0, spares);
        close(point.time_without_shortage.value, exact(spares as i32), 1e-14, "without shortage");
        close(point.next_failure_finds_none.value, 1.0 - exact(spares as i32 - 1), 1e-14, "finds none");
    }
}

/// Spares for 95%, 99% and 99.9% of the time without shortage, from tables of the Poisson distribution.
#[test]
fn the_smallest_numbers_are_those_of_the_tables() {
    let cases = [
        (20, 0.05, 14, [0, 1, 1]),
        (50, 0.05, 14, [1, 1, 2]),
        (100, 0.05, 14, [1, 2, 3]),
        (200, 0.05, 14, [2, 2, 3]),
        (500, 0.05, 14, [3, 4, 5]),
        (1000, 0.05, 14, [4, 6, 7]),
        (100, 0.08, 30, [2, 3, 4]),
        (256, 0.95, 3, [5, 6, 8]),
    ];
    let mut wrong = Vec::new();
    for (nodes, rate, repair, want) in cases {
        let spares = [0.95, 0.99, 0.999].map(|target| {
            let answer = answer(&question(nodes, rate, days(repair), target), None).expect("an answer");
            assert_eq!(answer.model, Model::Poisson);
            answer.without_shortage.spares.expect("a number")
        });
        if spares != want {
            wrong.push(format!("{nodes} nodes, {rate}, {repair} days: {spares:?}, not {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The machine repair model: nodes, spares, repairers, share of time without shortage, next failure finds none. Computed
/// apart from this code by the recursion p(n+1) = p(n) x births / deaths.
#[test]
fn the_machine_repair_model_is_the_textbooks() {
    let cases = [
        (100, 1, Some(1), 0.96332, 0.1913),
        (100, 2, Some(1), 0.99297, 0.03668),
        (100, 2, Some(100), 0.99898, 0.01619),
        (100, 3, Some(100), 0.99995, 0.00102),
        (50, 1, Some(50), 0.99569, 0.09135),
        (200, 3, Some(2), 0.99773, 0.01182),
    ];
    for (nodes, spares, repairers, without_shortage, none) in cases {
        let point = two_weeks(nodes, repairers, spares);
        close(point.time_without_shortage.value, without_shortage, 5.1e-6, "without shortage");
        close(point.next_failure_finds_none.value, none, 5.1e-5, "finds none");
        assert_eq!(two_weeks(nodes, None, spares).spares, spares);
    }
    // A repairer for each is as many as there can be.
    assert_eq!(two_weeks(100, Some(102), 2), two_weeks(100, None, 2));
}

/// One node, one spare, one repairer: three states that can be solved on paper. With r = rate x repair the weights are
/// 1, r, r^2 (cold) and 1, 2r, 2r^2 (warm).
#[test]
fn the_smallest_system_is_the_one_on_paper() {
    let r: f64 = 0.3;
    let cold = birth_death(1, r, 1.0, Some(1), Standby::Cold, 1);
    close(cold.time_short.value, r * r / (1.0 + r + r * r), 1e-15, "cold, short");
    close(cold.next_failure_finds_none.value, r / (1.0 + r), 1e-15, "cold, none");
    close(cold.failures_per_year, r * (1.0 + r) / (1.0 + r + r * r), 1e-15, "cold, failures");
    let warm = birth_death(1, r, 1.0, Some(1), Standby::Warm, 1);
    close(warm.time_short.value, 2.0 * r * r / (1.0 + 2.0 * r + 2.0 * r * r), 1e-15, "warm, short");
    close(warm.next_failure_finds_none.value, 2.0 * r / (1.0 + 2.0 * r), 1e-15, "warm, none");
}

/// Without spares and with a repairer for each, every node is up with probability 1/(1+r) on its own.
#[test]
fn independent_nodes_are_binomial_up_to_a_hundred_thousand() {
    for nodes in [1, 7, 1_000, 100_000] {
        let r: f64 = 0.05 * 14.0 / 365.0;
        let point = birth_death(nodes, 0.05, years(days(14)), None, Standby::Cold, 0);
        let all_up = -f64::from(nodes) * r.ln_1p();
        close(point.time_without_shortage.value, all_up.exp(), 1e-12, "all up");
        close(point.failures_per_year / (0.05 * f64::from(nodes) / (1.0 + r)), 1.0, 1e-11, "failures");
    }
}

#[test]
fn a_hundred_thousand_nodes_keep_their_digits() {
    let load = 100_000.0 * 0.05 * 14.0 / 365.0;
    for spares in [150, 192, 250, 400] {
        // All spares are taken at the same rate as in the infinite source: the difference is of the order of load / nodes.
        let (finite, endless) = (two_weeks(100_000, None, spares), poisson(load, 5_000.0, spares));
        assert!(finite.time_short.value.is_finite() && finite.time_short.value <= endless.time_short.value, "{spares}");
        let (a, b) = (finite.time_short.value, endless.time_short.value);
        assert!(b < 1e-20 || (a / b - 1.0).abs() < 0.02, "{spares}: {a} {b}");
    }
    // Six hundred repairers for a load of 191.8: the queue is as good as never there.
    let few = two_weeks(100_000, Some(600), 250);
    close(few.time_short.value / two_weeks(100_000, None, 250).time_short.value, 1.0, 1e-9, "repairers");
    let answer = answer(&question(100_000, 0.05, days(14), 0.999999), Some(Model::BirthDeath)).expect("an answer");
    assert!((255..=270).contains(&answer.without_shortage.spares.expect("a number")), "{:?}", answer.without_shortage);
}

#[test]
fn the_far_tail_is_a_number_and_not_a_rounding_error() {
    let point = poisson(0.1918, 5.0, 12);
    // e^-L L^13 / 13! and a little more.
    let first = (-0.1918f64).exp() * 0.1918f64.powi(13) / 6_227_020_800.0;
    assert!(point.time_short.value > first && point.time_short.value < first * 1.02, "{}", point.time_short.value);
}

#[test]
fn what_has_no_answer_says_why() {
    let overloaded = Question { repairers: Some(1), ..question(1000, 0.05, days(14), 0.99) };
    let told = answer(&overloaded, None).expect("an answer");
    assert_eq!(told.without_shortage.spares, None);
    let why = told.without_shortage.why_not.expect("a reason");
    assert!(why.contains("1.9 nodes") && why.contains("fewer than 2 repairers"), "{why}");
    let strict =
        Question { domain: Some(DomainLoss { size: 10, rate: YearlyRate(0.1), repair: days(1) }), ..question(100, 0.05, days(14), 0.9999) };
    let wrong = answer(&strict, None).expect_err("too few");
    assert!(wrong.message.contains("too few") && wrong.hint.contains("--simulated-failures 1000000"), "{wrong}");
}

/// What makes no sense, and a word of what is said of it.
#[test]
fn nonsense_is_refused_with_what_to_write() {
    let fine = question(100, 0.05, days(14), 0.99);
    let domain = DomainLoss { size: 10, rate: YearlyRate(0.1), repair: days(1) };
    let cases = [
        (Question { nodes: 0, ..fine }, "without nodes", "--nodes 100"),
        (Question { nodes: 100_001, ..fine }, "100001 nodes", "100000"),
        (Question { failure_rate: YearlyRate(0.0), ..fine }, "failure rate of 0", "`5%`"),
        (Question { failure_rate: YearlyRate(f64::NAN), ..fine }, "failure rate of NaN", "`5%`"),
        (Question { failure_rate: YearlyRate(500.0), ..fine }, "more than one a day", "`5%` or `0.05`"),
        (Question { repair: Repair::Exponential { mean: Span(0) }, ..fine }, "takes no time", "`14d`"),
        (Question { repair: Repair::Exponential { mean: days(4000) }, ..fine }, "ten years", "`14d`"),
        (Question { repair: Repair::Lognormal { mean: days(14), sigma: 9.0 }, ..fine }, "sigma of 9", "at most 4"),
        (Question { repairers: Some(0), ..fine }, "nobody who repairs", "leave it out"),
        (Question { target: Share(1.0), ..fine }, "always", "`99.9%`"),
        (Question { target: Share(0.0), ..fine }, "without spares", "`99%`"),
        (Question { spares: Some(100_001), ..fine }, "cannot be judged", "--spares"),
        (Question { domain: Some(DomainLoss { size: 0, ..domain }), ..fine }, "0 machines are no domain", "in one rack"),
        (Question { domain: Some(DomainLoss { repair: Span(0), ..domain }), ..fine }, "takes no time", "`6h`"),
        (Question { simulation: Simulation { seed: 1, failures: 10 }, ..fine }, "10 simulated failures", "200000"),
    ];
    for (q, message, hint) in cases {
        let wrong = answer(&q, None).expect_err(message);
        assert!(wrong.message.contains(message) && wrong.hint.contains(hint), "{wrong}");
    }
    for (model, q, word) in [
        (Model::Poisson, Question { repairers: Some(2), ..fine }, "queue"),
        (Model::BirthDeath, Question { domain: Some(domain), ..fine }, "lost together"),
        (Model::Poisson, Question { standby: Standby::Warm, ..fine }, "spares fail"),
    ] {
        let wrong = answer(&q, Some(model)).expect_err(word);
        assert!(wrong.message.contains(word) && wrong.hint.contains("--model"), "{wrong}");
    }
}

#[test]
fn rates_and_shares_are_read_as_they_are_written() {
    for (text, want) in [("5%", 0.05), ("0.05", 0.05), ("140%", 1.4), (" 0.95 ", 0.95), ("2", 2.0)] {
        close(text.parse::<YearlyRate>().expect(text).0, want, 1e-15, text);
    }
    for text in ["", "%", "five", "-5%", "1e3", "nan", "inf", "0", "0%", "400", "5 %%"] {
        assert!(text.parse::<YearlyRate>().is_err(), "{text}");
    }
    for (text, want) in [("99%", 0.99), ("0.999", 0.999), ("99.95%", 0.9995)] {
        close(text.parse::<Share>().expect(text).0, want, 1e-15, text);
    }
    let wrong = "99".parse::<Share>().expect_err("no percent sign");
    assert_eq!(wrong.hint, "write `99%` for hundredths");
    assert_eq!([0.99, 0.999, 0.9995, 0.29].map(|s| Share(s).to_string()), ["99%", "99.9%", "99.95%", "29%"]);
    assert!("100%".parse::<Share>().is_err() && "0".parse::<Share>().is_err() && "abc".parse::<Share>().is_err());
}

#[test]
fn percentiles_make_the_distribution_that_has_them() {
    let Ok(Repair::Lognormal { mean, sigma }) = Repair::of_percentiles(days(10), days(40)) else { panic!("a lognormal") };
    // ln 4 / 1.644854; the mean is the median times e^(sigma^2 / 2).
    close(sigma, 0.842_807, 1e-6, "sigma");
    close(mean.0 as f64 / days(1).0 as f64, 10.0 * (sigma * sigma / 2.0).exp(), 1e-6, "mean");
    assert!(Repair::of_percentiles(days(10), days(10)).is_err() && Repair::of_percentiles(Span(0), days(10)).is_err());
}

/// Exact Poisson limits from tables: 3 events, 95%: 0.6187 to 8.7673; none: below 3.6889.
#[test]
fn a_learned_rate_says_how_little_it_rests_on() {
    let learned = Learned::of(3, 60.0).expect("a rate");
    close(learned.rate, 0.05, 1e-15, "rate");
    close(learned.low * 60.0, 0.6187, 5e-5, "low");
    close(learned.high * 60.0, 8.7673, 5e-5, "high");
    let wrong = Learned::of(0, 60.0).expect_err("nothing");
    assert!(wrong.message.contains("60.0 node-years") && wrong.hint.contains("more than 0.061"), "{wrong}");
    assert!(Learned::of(2, 0.0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_spares_repairers_or_speed_are_never_worse(
        nodes in 1u32..400, rate in 0.001f64..20.0, repair in 1u64..200, repairers in 1u32..40, spares in 0u32..60, warm in any::<bool>(),
    ) {
        let standby = if warm { Standby::Warm } else { Standby::Cold };
        let at = |rate: f64, repair: u64, repairers: u32, spares: u32| birth_death(nodes, rate, years(days(repair)), Some(repairers), standby, spares);
        let here = at(rate, repair, repairers, spares);
        let slack = 1.0 + 1e-9;
        for (what, better) in [
            ("spares", at(rate, repair, repairers, spares + 1)),
            ("repairers", at(rate, repair, repairers + 1, spares)),
            ("speed", at(rate * 0.9, repair, repairers, spares)),
        ] {
            prop_assert!(better.time_short.value <= here.time_short.value * slack + 1e-300, "{what}: {better:?} {here:?}");
            prop_assert!(better.next_failure_finds_none.value <= here.next_failure_finds_none.value * slack + 1e-300, "{what}: {better:?} {here:?}");
        }
        prop_assert!((0.0..=1.0).contains(&here.time_short.value) && (0.0..=1.0).contains(&here.next_failure_finds_none.value));
    }

    #[test]
    fn a_finite_fleet_tends_to_the_endless_one(load in 0.01f64..20.0, spares in 0u32..40) {
        let endless = poisson(load, 1.0, spares);
        let mut last = f64::INFINITY;
        for nodes in [100u32, 1_000, 10_000, 100_000] {
            let repair = years(days(14));
            let rate = load / (f64::from(nodes) * repair);
            let finite = birth_death(nodes, rate, repair, None, Standby::Cold, spares);
            let apart = (finite.time_short.value - endless.time_short.value).abs();
            prop_assert!(finite.time_short.value <= endless.time_short.value * (1.0 + 1e-9), "the endless fleet errs to the safe side");
            prop_assert!(apart <= last * (1.0 + 1e-9) + 1e-12, "{nodes}: {apart} {last}");
            last = apart;
        }
        prop_assert!(last <= 1e-3 * load, "{last}");
    }

    #[test]
    fn the_number_that_is_found_is_the_smallest(
        nodes in 1u32..300, rate in 0.01f64..2.0, repair in 1u64..60, repairers in prop::option::of(1u32..8), target in 0.5f64..0.99999,
    ) {
        let q = Question { repairers, ..question(nodes, rate, days(repair), target) };
        let told = answer(&q, None).expect("an answer");
        for (choice, of) in [
            (&told.without_shortage, (|p| p.time_short.value) as fn(&Point) -> f64),
            (&told.next_failure_finds_one, |p| p.next_failure_finds_none.value),
        ] {
            let Some(spares) = choice.spares else {
                prop_assert!(repairers.is_some_and(|r| q.load() >= f64::from(r) * 0.9), "{:?}", choice.why_not);
                continue;
            };
            let at = |s: u32| of(&answer(&Question { spares: Some(s), ..q }, None).expect("an answer").judged.expect("a point"));
            prop_assert!(at(spares) <= 1.0 - target);
            prop_assert!(spares == 0 || at(spares - 1) > 1.0 - target);
        }
        if let (Some(a), Some(b)) = (told.without_shortage.spares, told.next_failure_finds_one.spares) {
            prop_assert!(a <= b, "{a} {b}");
        }
    }
}
