//! Requests that get lost on their way, and looks that answer two questions: what the engine asks when.

use crate::gate_table::one;
use coldswap_sim::engine::{Engine, Entry, Event, EventLog, Input, LogError, Order, Outcome};
use coldswap_sim::model::*;
use coldswap_sim::step::{Command, Query, Step, meaning};
use std::sync::Arc;

#[derive(Default)]
struct Log(Vec<Entry>);

impl EventLog for Log {
    fn heard(&mut self, _: Vec<(NodeId, Time)>) -> Result<(), LogError> {
        Ok(())
    }

    fn append(&mut self, entries: Vec<Entry>, _: Vec<(NodeId, PowerMark)>) -> Result<(), LogError> {
        self.0.extend(entries);
        Ok(())
    }
}

/// What happened when, with a world that does at once as it is told but for the first `loses` of the commands for which
/// `lost` holds.
fn run(loses: usize, lost: impl Fn(&Command) -> bool) -> (Vec<Entry>, Vec<(Time, Order)>) {
    let (mut fleet, mut plan) = one();
    for step in &mut plan.switchovers[0].steps {
        match step {
            Step::PowerOn(on) => on.landing = Span::secs(30),
            Step::ConfigureBoot(boot) => boot.landing = Span::secs(30),
            _ => {}
        }
    }
    let mut now = fleet.captured_at;
    let mut engine = Engine::resume(Arc::new(plan), "r-1".into(), now, &[]).expect("a new run");
    let (mut log, mut orders, mut left) = (Log::default(), Vec::new(), loses);
    loop {
        let ready = engine.ready(now);
        let (done, wake) = (ready.done(), ready.wake_at());
        let sent = ready.store(&mut log).expect("a log");
        if done {
            return (log.0, orders);
        }
        if sent.is_empty() {
            now = wake.expect("something is waited for");
        }
        for order in sent {
            orders.push((now, order.clone()));
            fleet.captured_at = now;
            let input = match order {
                Order::Look(ticket, queries) => Input::Seen(ticket, queries.iter().map(|q| meaning::answer(&fleet, q)).collect()),
                Order::Act(ticket, command) if left > 0 && lost(&command) => {
                    left -= 1;
                    Input::Told(ticket, Err(Fault::unknown("the connection was cut")))
                }
                Order::Act(ticket, command) => Input::Told(ticket, meaning::obey(&mut fleet, &command).map(|()| None)),
            };
            engine.accept(now, input);
        }
    }
}

fn told<'a>(orders: &'a [(Time, Order)], is: impl Fn(&Command) -> bool + 'a) -> Vec<Time> {
    orders.iter().filter(|(_, order)| matches!(order, Order::Act(_, command) if is(command))).map(|(at, _)| *at).collect()
}

#[test]
fn what_got_lost_is_said_again_soon_and_once_before_the_attempt_counts_as_failed() {
    let boot =
        |command: &Command| matches!(command, Command::SetBoot { settings, .. } if settings.iscsi.as_ref().is_some_and(|i| !i.is_clear()));
    let on = |command: &Command| matches!(command, Command::Reset { reset: ResetType::On, .. });
    type Is<'a> = &'a dyn Fn(&Command) -> bool;
    for (is, soon) in [(&boot as Is<'_>, Span::millis(1500)), (&on, Span::secs(4))] {
        let (journal, orders) = run(1, is);
        let times = told(&orders, is);
        assert!(times.len() == 2 && times[1].since(times[0]) <= soon, "{times:?}");
        assert!(!journal.iter().any(|e| matches!(e.event, Event::Retried { .. })), "the same attempt with the same intent");
        let (journal, orders) = run(2, is);
        assert_eq!(told(&orders, is).len(), 3);
        assert_eq!(journal.iter().filter(|e| matches!(e.event, Event::Retried { .. })).count(), 1, "once is enough");
        assert!(matches!(journal.last().map(|e| &e.event), Some(Event::Finished { outcome: Outcome::SwitchedOver, .. })));
    }
}

/// Rule S1 wants source and destination in one look before the start, and once more after the boot.
#[test]
fn the_source_is_looked_at_before_the_start_and_after_the_boot() {
    let (journal, orders) = run(0, |_| false);
    let intended =
        journal.iter().position(|e| matches!(&e.event, Event::Intended { command, .. } if format!("{command:?}").contains("On")));
    assert!(intended.is_some());
    let on = orders.iter().position(|(_, o)| matches!(o, Order::Act(_, Command::Reset { reset: ResetType::On, .. }))).expect("a start");
    let systems = |order: &Order| match order {
        Order::Look(_, queries) => queries.iter().filter(|q| matches!(q, Query::System(_))).count(),
        Order::Act(..) => 0,
    };
    assert_eq!(systems(&orders[on - 1].1), 2, "before the start");
    assert_eq!(systems(&orders[on + 1].1), 2, "after it");
    assert_eq!(
        orders[on + 1..].iter().filter(|(_, o)| systems(o) > 0).count(),
        1,
        "one look has answered what came of the start and of the boot"
    );
    let booted = journal.iter().rev().find_map(|e| match &e.event {
        Event::Achieved { after, .. } if after.len() == 2 => Some(after.iter().map(|r| r.power).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(booted, Some(vec![PowerState::Off, PowerState::On]), "its evidence is in the journal");
}
