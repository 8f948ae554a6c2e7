//! Fences in the simulation: BMCs that are dead or die, agents that lie, feeds that come back, people's words that are old.

use crate::crash::{plan_for_runbook, runbook};
use coldswap_sim::engine::{Event, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::plan::Plan;
use coldswap_sim::report::{About, report};
use coldswap_sim::runbook::*;
use coldswap_sim::sim::*;
use coldswap_sim::step::{FenceLevel, Step};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Agents whose plug is called like the node, then a person.
pub fn vouchers() -> Vouchers {
    let plug = Template::parse("{{ source.name }}", Names::Switchover, &BTreeMap::new()).expect("a template");
    let agent = AgentTemplate {
        name: "fence_test".into(),
        options: BTreeMap::from([("plug".to_owned(), SensitiveTemplate::Plain(plug))]),
        at: 0..0,
        options_at: BTreeMap::new(),
    };
    let levels = vec![VoucherTemplate::Agents(vec![agent]), VoucherTemplate::Attestation { expires: Span::secs(20) }];
    Vouchers { bmc_not_enough: false, silent: Some(Span::secs(2)), levels }
}

fn book(fleet: &Fleet, pairs: &[(NodeId, NodeId)], mode: Mode) -> Runbook {
    let mut book = runbook(fleet, pairs, 4, Span::millis(300));
    book.mode = mode;
    book.vouchers = vouchers();
    book.power.crash_dump = Some(Span::millis(200));
    if mode == Mode::Disaster {
        book.power = PowerPolicy { soft_off: Span::ZERO, hard_off: HardOff::AtOnce, ..book.power };
    }
    book
}

/// The plan that is made of a fleet whose sources' BMCs are silent already.
fn disaster(pairs: u32) -> (Fleet, Plan) {
    let (fleet, ends) = fleet(pairs, 1);
    let mut seen = fleet.clone();
    for (source, _) in &ends {
        seen.live.insert(*source, Live::Silent(Fault::transient("no route to host")));
    }
    let plan = plan_for_runbook(&book(&fleet, &ends, Mode::Disaster), &seen, Span::secs(1));
    assert_eq!(plan.switchovers.len(), ends.len(), "{:?}", plan.left_out);
    (fleet, plan)
}

fn dead_world(fleet: &Fleet, seed: u64, faults: Faults) -> World {
    let mut world = World::new(fleet.clone(), seed, faults);
    world.dead = fleet.targets.values().map(|t| t.node).collect();
    world
}

fn word(fleet: &Fleet, node: NodeId) -> Attestation {
    let (by, reason) = ("Kim".to_owned(), "pulled both cords".to_owned());
    Attestation { id: 7, node, by, reason, at: fleet.captured_at, expires_at: fleet.captured_at + Span::mins(60), used_by: None }
}

/// Only agents, or only a person.
fn only(plan: &Plan, agents: bool) -> Arc<Plan> {
    let mut plan = plan.clone();
    for step in plan.switchovers.iter_mut().flat_map(|s| &mut s.steps) {
        if let Step::Fence(fence) = step {
            fence.levels.retain(|l| matches!(l, FenceLevel::Agents(_)) == agents);
        }
    }
    Arc::new(plan)
}

fn outcomes(plan: &Arc<Plan>, fleet: &Fleet, run: &Run) -> Tally {
    check(plan, fleet, run).unwrap_or_else(|e| panic!("{e}\n{:#?}", run.journal))
}

#[test]
fn an_agent_switches_off_what_a_dead_bmc_cannot() {
    let (fleet, plan) = disaster(3);
    let plan = Arc::new(plan);
    let run = run_in(dead_world(&fleet, 1, Faults::default()), &plan, &[], Bugs::default());
    assert_eq!(outcomes(&plan, &fleet, &run), Tally::from([(Outcome::SwitchedOver, 3)]));
    let text = serde_json::to_string(&run.journal.iter().map(|e| &e.event).collect::<Vec<_>>()).expect("json");
    assert!(text.contains(r#""fence":{"agents":[{"#) && text.contains("fence_test source-00"), "{text}");
    let tolerated = |e: &&coldswap_sim::engine::Entry| matches!(e.event, Event::Tolerated { .. });
    assert_eq!(run.journal.iter().filter(tolerated).count(), 3 * 3, "crash dump, power-off and boot configuration of each");
    for source in plan.switchovers.iter().map(|s| s.source.node) {
        let debt = run.world.fleet.nodes[&source].debt.as_deref();
        assert!(debt.is_some_and(|d| d.contains("never power it on")), "{debt:?}");
    }
    assert!(text.contains(r#""debt":"`source-00`: never"#), "{text}");
    let report = report(&plan, &About::run("r-1".into()), &run.journal).expect("a report");
    let next = &report.totals.debts[0].next;
    assert!(next.contains("firmware opens none of these volumes") && next.contains("inventory set source-00 debt="), "{next}");
}

#[test]
fn a_person_is_asked_where_no_agent_can_be_and_once() {
    let (fleet, plan) = disaster(1);
    let source = plan.switchovers[0].source.node;
    let plan = only(&plan, false);
    // It is off in truth: what no software can know.
    let mut truth = fleet.clone();
    if let Some(Live::Answered { reading, .. }) = truth.live.get_mut(&source) {
        reading.power = PowerState::Off;
    }
    let mut world = dead_world(&truth, 1, Faults::default());
    // Given while the run waits: it counts for twenty seconds.
    let at = fleet.captured_at + Span::secs(12);
    world.attestations.insert(source, Attestation { at, ..word(&fleet, source) });
    let run = run_in(world, &plan, &[], Bugs::default());
    assert_eq!(outcomes(&plan, &fleet, &run), Tally::from([(Outcome::SwitchedOver, 1)]));
    let used = run.world.attestations[&source].used_by.clone();
    assert_eq!(used, Some(Holder { run: "r-1".into(), switchover: SwitchoverId(1) }));
}

/// The word ends while the start is waited for: the destination runs by then, and stopping would help nobody. It ends just
/// before: nothing starts.
#[test]
fn an_attestation_that_ends_counts_up_to_the_start_and_no_further() {
    let (fleet, plan) = disaster(1);
    let source = plan.switchovers[0].source.node;
    let plan = only(&plan, false);
    let mut truth = fleet.clone();
    if let Some(Live::Answered { reading, .. }) = truth.live.get_mut(&source) {
        reading.power = PowerState::Off;
    }
    let run_until = |seed: u64, until: Option<Time>| {
        let mut world = dead_world(&truth, seed, Faults { slow_power_ms: 900, ..Faults::default() });
        let given = Attestation { at: fleet.captured_at + Span::secs(12), ..word(&fleet, source) };
        world.attestations.insert(source, Attestation { expires_at: until.unwrap_or(given.expires_at), ..given });
        run_in(world, &plan, &[], Bugs::default())
    };
    let number = 1 + plan.switchovers[0].steps.iter().position(Step::starts_destination).expect("a start") as u32;
    let mut between = 0;
    for seed in 0..20 {
        let whole = run_until(seed, None);
        let find = |is: &dyn Fn(&Event) -> bool| whole.journal.iter().find(|e| is(&e.event)).expect("it went well").at;
        let told = find(&|e| matches!(e, Event::Intended { step, .. } if *step == number));
        let came = find(&|e| matches!(e, Event::Achieved { step, .. } if *step == number));
        if told + Span::millis(2) < came {
            between += 1;
            let run = run_until(seed, Some(told + Span::millis(1)));
            assert_eq!(outcomes(&plan, &fleet, &run), Tally::from([(Outcome::SwitchedOver, 1)]), "seed {seed}");
        }
        let run = run_until(seed, Some(told));
        assert_eq!(outcomes(&plan, &fleet, &run), Tally::from([(Outcome::RolledBack, 1)]), "seed {seed}");
        let expired = |e: &Event| matches!(e, Event::RollingBack { why, .. } if why.code == ReasonCode::FenceExpired);
        assert!(run.journal.iter().any(|e| expired(&e.event)), "seed {seed}");
    }
    assert!(between > 5, "{between}");
}

#[test]
fn without_anybody_to_vouch_nothing_moves() {
    let (fleet, plan) = disaster(1);
    for (agents, blind) in [(true, 100), (false, 0)] {
        let plan = only(&plan, agents);
        let run = run_in(dead_world(&fleet, 3, Faults { agent_blind: blind, ..Faults::default() }), &plan, &[], Bugs::default());
        let tally = outcomes(&plan, &fleet, &run);
        assert_eq!(tally.get(&Outcome::SwitchedOver), None, "{tally:?}");
    }
}

fn faults_of_fences(rng: &mut Rng) -> Faults {
    let dead = if rng.percent(80) { 30 + rng.below(71) } else { 0 };
    let replugged = if rng.percent(30) { rng.below(40) } else { 0 };
    // In every third seed no agent can be asked, and the question goes on to people.
    let agent_blind = if rng.percent(33) { 100 } else { rng.below(30) };
    let attested = if rng.percent(60) { 100 } else { rng.below(50) };
    Faults { dead, agent_lies: rng.below(40), agent_blind, replugged, attested, button: 0, ..faults_of(rng) }
}

#[test]
fn many_seeds_of_fences() {
    let count: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3_000);
    let from: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let (known, ends) = fleet(4, 1);
    let planned = Arc::new(plan_for_runbook(&book(&known, &ends, Mode::Planned), &known, Span::millis(600)));
    let (fleet, silent) = disaster(4);
    let silent = Arc::new(silent);
    let (mut total, mut unseen, mut agents, mut people, mut decided) = (Tally::new(), 0, 0, 0, 0);
    for seed in from..from + count {
        let mut rng = Rng(seed ^ 0xFE2C_E000);
        let faults = faults_of_fences(&mut rng);
        let plan = if seed % 3 == 0 { &planned } else { &silent };
        let crashes: Vec<CrashAt> = if rng.percent(50) {
            vec![CrashAt { point: 1 + rng.below(120), survives: [Survives::Events, Survives::EventsAndOrders][rng.below(2) as usize] }]
        } else {
            Vec::new()
        };
        let world = World::new(fleet.clone(), seed, faults);
        // Some are asked to go back, paused, or decided by somebody when they have ended in doubt.
        let stage =
            if rng.percent(30) { Stage { resumes: 2, ..Stage::drawn(&mut rng, plan, fleet.captured_at) } } else { Stage::default() };
        let run = run_on(stage, world, plan, &crashes, Bugs::default());
        match check(plan, &fleet, &run) {
            Ok(tally) => tally.into_iter().for_each(|(o, n)| *total.entry(o).or_insert(0) += n),
            Err(wrong) => panic!(
                "seed {seed}: {wrong}\n{faults:?}\n{crashes:?}\nagain: SEED={seed} SEEDS=1 cargo test many_seeds_of_fences\n{:#?}",
                run.journal.iter().map(|e| (e.at, &e.event)).collect::<Vec<_>>()
            ),
        }
        unseen += run.world.unseen;
        for entry in &run.journal {
            decided += u32::from(matches!(entry.event, Event::Resolved { .. } | Event::Recalled { .. }));
            if let Event::Achieved { fence: Some(voucher), .. } = &entry.event {
                match voucher {
                    coldswap_sim::engine::Voucher::Agents(_) => agents += 1,
                    coldswap_sim::engine::Voucher::Attestation { .. } => people += 1,
                }
            }
        }
    }
    println!(
        "{count} seeds of fences: {total:?}, {agents} fenced by agents, {people} by people, {decided} decided or recalled, {unseen} restarts that nobody could see"
    );
    assert!(
        count < 1_000 || (agents > 100 && people > 100 && decided > 100 && total[&Outcome::SwitchedOver] > 1_000),
        "{agents} {people} {total:?}"
    );
}

mod planted;
