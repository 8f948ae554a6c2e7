//! How long a switchover will take, from what earlier runs took.

use super::{Plan, Switchover};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::step::Step;

/// Under which name a step's duration is kept.
pub fn kind_of(step: &Step) -> String {
    match step {
        Step::PowerOff(_) => "power_off".into(),
        Step::PowerOn(_) => "power_on".into(),
        Step::AwaitBoot(_) => "boot".into(),
        Step::RunHook(hook) => format!("hook {}", hook.hook.name),
        other => format!("step {}", other.name()),
    }
}

/// The hardware model that decides how long a step takes, as the plan knew it.
pub fn model_of<'p>(switchover: &'p Switchover, step: &Step) -> Option<&'p str> {
    let node = match step {
        Step::PowerOff(_) => switchover.source.node,
        Step::PowerOn(_) | Step::AwaitBoot(_) => switchover.destination.node,
        _ => return None,
    };
    switchover.steps.iter().find_map(|s| match s {
        Step::Reserve(r) if r.machine.node == node => match r.facts.get("model") {
            Some(Scalar::Text(model)) => Some(model.as_str()),
            _ => None,
        },
        _ => None,
    })
}

/// Write into each switchover how long it will take, where enough was measured to say. A power-off, a power-on, a boot or
/// a hook that was never measured makes the whole a guess, and a guess is left out: whoever must have a figure takes the
/// sum of the declared limits.
pub fn predict(plan: &mut Plan, durations: &Durations) {
    for switchover in &mut plan.switchovers {
        let spreads: Option<Vec<Spread>> = switchover.steps.iter().map(|step| spread(switchover, step, durations)).collect();
        switchover.predicted = spreads.map(Spread::sum);
    }
}

fn spread(switchover: &Switchover, step: &Step, durations: &Durations) -> Option<Spread> {
    let kind = kind_of(step);
    let measured = durations.of(&kind, model_of(switchover, step));
    match step {
        Step::PowerOff(_) | Step::PowerOn(_) | Step::AwaitBoot(_) | Step::RunHook(_) => measured,
        // Its time is the plan's own choice, and an earlier plan may have chosen otherwise.
        Step::Fence(fence) => {
            let waits = fence.apart.0.saturating_mul(u64::from(fence.reads.saturating_sub(1)));
            Some(Spread::exactly(Span(waits) + Span::millis(500)))
        }
        _ => Some(measured.unwrap_or(Spread::exactly(Span::ZERO))),
    }
}

gates! {
    "prediction", "a duration that was never measured gives no prediction; the declared limits stand in",
        Open, "a run is not kept from starting for want of a statistic", times_are_learned_from_past_runs_and_held_against_what_is_measured;
}
