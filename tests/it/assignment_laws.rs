//! What holds for every choice, whatever the fleet.

use crate::fleets::*;
use coldswap::model::*;
use coldswap::plan::assign::{Choice, choose};
use coldswap::runbook::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn run(runbook: &Runbook, fleet: &Fleet) -> Choice {
    choose(runbook, fleet, None, &[])
}

fn pairs(choice: &Choice, fleet: &Fleet) -> Vec<String> {
    choice.pairs.iter().map(|p| format!("{}>{}/{}", fleet.nodes[&p.source].name, fleet.nodes[&p.destination].name, p.pool)).collect()
}

#[derive(Clone, Debug)]
struct Machine {
    source: bool,
    tier: i64,
    memory: Option<u64>,
    rack: u8,
    state: u8,
}

fn machine() -> impl Strategy<Value = Machine> {
    (any::<bool>(), 0i64..3, prop::option::weighted(0.9, 1u64..3), 0u8..3, 0u8..3).prop_map(|(source, tier, memory, rack, state)| Machine {
        source,
        tier,
        memory,
        rack,
        state,
    })
}

fn build(machines: &[Machine], order: impl Iterator<Item = usize>, salt: &str) -> Builder {
    let mut b = Builder { salt: salt.into(), ..Builder::default() };
    for at in order {
        let m = &machines[at];
        let change = |n: &mut Node| {
            n.labels.insert("tier".into(), Scalar::Integer(m.tier));
            n.declared_facts.memory_mib = m.memory;
            n.failure_domain.rack = Some(m.rack.to_string());
        };
        if m.source {
            b.source(&format!("node-{at:02}"), change);
        } else {
            let id = b.spare(&format!("node-{at:02}"), change);
            let states = [ProvisionState::Manageable, ProvisionState::Available, ProvisionState::Enroll];
            b.fleet.nodes.get_mut(&id).expect("node").provision_state = states[usize::from(m.state)];
        }
    }
    b
}

fn book(keep: u32, far_keep: u32) -> Runbook {
    let mut book = runbook();
    book.pools = vec![
        pool("near", "spare.labels.role == 'spare' and spare.failure_domain.rack == source.failure_domain.rack", keep),
        pool("far", "spare.labels.role == 'spare'", far_keep),
    ];
    book.matching.prefer = vec![prefer("spare.failure_domain.rack > source.failure_domain.rack", 3)];
    book
}

/// What counts, as numbers: more of each group first, then pools, states, preferences. Lower is better.
fn value(choice: &Choice, fleet: &Fleet, runbook: &Runbook) -> (Vec<i64>, usize, usize, i64) {
    let per_tier = (0..3).map(|t| -(choice.pairs.iter().filter(|p| p.group == t).count() as i64)).collect();
    let pool = |name: &str| runbook.pools.iter().position(|p| p.name == name).expect("pool");
    let pools = choice.pairs.iter().map(|p| pool(&p.pool)).sum();
    let state = |id: &NodeId| runbook.pools[0].provision_states.iter().position(|s| *s == fleet.nodes[id].provision_state).expect("state");
    let states = choice.pairs.iter().map(|p| state(&p.destination)).sum();
    let preferred = -choice.pairs.iter().map(|p| p.preferred.len() as i64).sum::<i64>();
    (per_tier, pools, states, preferred)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Names decide, never ids, the order of the inventory or how often it is asked.
    #[test]
    fn the_answer_does_not_depend_on_ids_or_order(machines in prop::collection::vec(machine(), 1..16), keep in 0u32..2, far in 0u32..2) {
        let one = build(&machines, 0..machines.len(), "");
        let other = build(&machines, (0..machines.len()).rev(), "other");
        let book = book(keep, far);
        let (a, b) = (run(&book, &one.fleet), run(&book, &other.fleet));
        prop_assert_eq!(pairs(&a, &one.fleet), pairs(&b, &other.fleet));
        prop_assert_eq!(&a.pools, &b.pools);
        let left = |c: &Choice| c.left_out.iter().map(|l| (l.name.clone(), l.code, l.why.clone())).collect::<Vec<_>>();
        prop_assert_eq!(left(&a), left(&b));
        prop_assert_eq!(&a, &run(&book, &one.fleet));
    }

    /// Classes are a short cut and nothing else: with every node a class of its own the answer is worth the same.
    #[test]
    fn classes_change_nothing(machines in prop::collection::vec(machine(), 1..16), keep in 0u32..2) {
        let b = build(&machines, 0..machines.len(), "");
        let plain = book(keep, 0);
        let mut single = plain.clone();
        single.matching.require = vec![when("spare.name != 'x' and source.name != 'x'")];
        prop_assert_eq!(value(&run(&plain, &b.fleet), &b.fleet, &plain), value(&run(&single, &b.fleet), &b.fleet, &plain));
    }

    /// Every source is paired or left out, no spare is used twice, every pair matches, and enough stays behind.
    #[test]
    fn the_choice_is_complete_and_sound(machines in prop::collection::vec(machine(), 1..16), keep in 0u32..3, far in 0u32..3) {
        let b = build(&machines, 0..machines.len(), "");
        let book = book(keep, far);
        let choice = run(&book, &b.fleet);
        let paired: Vec<NodeId> = choice.pairs.iter().map(|p| p.source).collect();
        let all: BTreeSet<NodeId> = paired.iter().copied().chain(choice.left_out.iter().map(|l| l.node)).collect();
        prop_assert_eq!(all.len(), machines.iter().filter(|m| m.source).count());
        prop_assert_eq!(all.len(), choice.pairs.len() + choice.left_out.len());
        let used: BTreeSet<NodeId> = choice.pairs.iter().map(|p| p.destination).collect();
        prop_assert_eq!(used.len(), choice.pairs.len());
        for pair in &choice.pairs {
            prop_assert!(judge(&book.matching, &b.fleet, pair.source, pair.destination, &BTreeMap::new()).qualifies());
        }
        let far_pool = &choice.pools[1];
        prop_assert!(used.is_empty() || far_pool.candidates - used.len() >= far as usize, "{:?}", choice.pools);
    }
}
