//! The plan, walked over a copy of the fleet: refused if a step would refuse or a safety rule would break even in a
//! world where everything works at once. The same walk finds what is already so.

use super::Switchover;
use super::recipe::Unfit;
use crate::diagnostic::{Diagnostic, Severity, codes};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::step::*;
use std::sync::Arc;

/// Records as they were last shown: a copy serves until a change names its node.
#[derive(Default)]
struct Shown {
    nodes: Vec<Arc<Node>>,
}

impl Shown {
    fn look(&mut self, world: &Fleet, step: &Step, cx: &Context) -> Vec<Observation> {
        let mut answer = |query: &Query| match query {
            Query::Node(id) => match self.nodes.iter().find(|node| node.id == *id) {
                Some(node) => Observation::Node(node.clone(), meaning::landing_left(node, world.captured_at)),
                None => {
                    let seen = meaning::answer(world, query);
                    self.nodes.extend(if let Observation::Node(node, _) = &seen { Some(node.clone()) } else { None });
                    seen
                }
            },
            _ => meaning::answer(world, query),
        };
        step.observes(cx).iter().map(&mut answer).collect()
    }
}

/// Walk the steps; fill in which are already so.
///
/// # Errors
/// A diagnostic that names the step and the rule.
pub fn check(part: Fleet, mut switchover: Switchover) -> Result<Switchover, Unfit> {
    let mut world = part;
    let mut shown = Shown::default();
    let holder = Holder { run: "planned".into(), switchover: switchover.id };
    let mut on_before = false;
    let mut stand_in = StandIn::None;
    for (at, step) in switchover.steps.iter().enumerate() {
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let mut cx = Context { stand_in: stand_in.clone(), ..Context::fresh(holder.clone(), number, world.captured_at) };
        let wrong = |text: &str| {
            Unfit::Wrong(Box::new(Diagnostic {
                code: codes::UNSAFE_PLAN,
                severity: Severity::Error,
                message: format!(
                    "{} ({} -> {}), step {number} `{}`: {text}",
                    switchover.id,
                    switchover.source.name,
                    switchover.destination.name,
                    step.name()
                ),
                span: None,
                hint: Some("the inventory or the BMCs contradict the plan; `coldswap inventory show` prints what is recorded".into()),
            }))
        };
        match step.evaluate(&cx, &shown.look(&world, step, &cx)) {
            // In this walk everything boots at once; in the world it is waited for.
            Verdict::Satisfied if matches!(step, Step::AwaitBoot(_)) => {}
            Verdict::Satisfied => switchover.already_so.push(number),
            // A source that is silent now: others vouch for it, in a way that only the world can show.
            Verdict::Wait(why) if why.code == ReasonCode::NoVoucher && step.fence().is_some() => stand_in = StandIn::Holds,
            Verdict::Wait(why) if step.may_be_left(why.code, true) => {}
            Verdict::Wait(why) if why.code != ReasonCode::Landing => return Err(wrong(&why.text)),
            Verdict::Refuse(why) => return Err(wrong(&why.text)),
            Verdict::Level(_, why) => return Err(wrong(&why.text)),
            // What an earlier run sent may land yet; the run waits for it, and so it is no reason not to plan.
            Verdict::Act | Verdict::Wait(_) => {
                let Some(command) = step.command(&cx) else { return Err(wrong("it is not so and there is no command for it")) };
                meaning::obey(&mut world, &command).map_err(|fault| wrong(&fault.detail))?;
                if let Command::Change(change) = &command {
                    let changed = change.nodes();
                    shown.nodes.retain(|node| !changed.contains(&node.id));
                }
                (cx.begun, cx.sent) = (true, true);
                match step.evaluate(&cx, &shown.look(&world, step, &cx)) {
                    Verdict::Satisfied => {}
                    Verdict::Wait(why) if why.code == ReasonCode::Landing => {}
                    Verdict::Act if step.hook().is_some() => {}
                    Verdict::Act => return Err(wrong("its command does not make it so")),
                    // The BMC would read Off, and the runbook wants another voucher as well.
                    Verdict::Level(..) => {}
                    Verdict::Wait(why) if why.code == ReasonCode::NoVoucher => stand_in = StandIn::Holds,
                    Verdict::Refuse(why) | Verdict::Wait(why) => return Err(wrong(&why.text)),
                }
            }
        }
        if let Some(rule) = meaning::broken(&world) {
            return Err(wrong(&rule));
        }
        if step.starts_destination() && on_before {
            return Err(wrong("the destination would be started twice"));
        }
        on_before |= step.starts_destination();
    }
    Ok(switchover)
}

gates! {
    "audit", "a plan that breaks a rule even in a world where everything works is refused",
        Closed, "what is wrong on paper is not tried on machines", a_plan_that_breaks_a_rule_on_paper_is_refused;
}
