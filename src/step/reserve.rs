//! Reserve and Release: one holder a node (rule S2).

use super::*;
use crate::model::gate_table::gates;
use std::collections::BTreeMap;

/// The node is held by this switchover, and is still what the plan was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    pub machine: Machine,
    /// Of the node's record when the plan was made.
    pub generation: Generation,
    /// The facts that the plan rests on.
    pub facts: Shared<BTreeMap<String, Scalar>>,
    /// The reason of a maintenance that an earlier switchover set and this one takes back: the machine comes home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// What locks source and spare together where a service keeps them; the spare's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<uuid::Uuid>,
}

impl Reserve {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::Node(self.machine.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let (node, landing) = match record(&self.machine, seen) {
            Ok(found) => found,
            Err(wait) => return wait,
        };
        let refuse = |code, text: String| Verdict::Refuse(Reason::new(code, text));
        let name = &self.machine.name;
        match &node.reservation {
            Some(holder) if *holder == cx.holder => return Verdict::Satisfied,
            Some(holder) => {
                return refuse(
                    ReasonCode::Reserved,
                    format!("`{name}` is held by {holder}; wait for it or look at it with `coldswap show {}`", holder.run),
                );
            }
            None => {}
        }
        if let Some(maintenance) = node.maintenance.as_ref().filter(|m| Some(&m.reason) != self.ours.as_ref()) {
            return refuse(ReasonCode::Maintenance, format!("`{name}` is in maintenance: {}", maintenance.reason));
        }
        if let Some(debt) = &node.debt {
            return refuse(ReasonCode::Stale, format!("`{name}` has something owed from an earlier run: {debt}"));
        }
        if let Some(moved) = self.moved(node) {
            return refuse(ReasonCode::Stale, format!("`{name}` is not what the plan was made for: {moved}; make a new plan"));
        }
        match landing {
            Some(left) => Verdict::Wait(Reason::new(
                ReasonCode::Landing,
                format!("a power command of an earlier run may still land on `{name}` for {left}"),
            )),
            None => Verdict::Act,
        }
    }

    /// The first used fact that differs from the plan's, or the generation.
    fn moved(&self, node: &Node) -> Option<String> {
        for (name, planned) in self.facts.iter() {
            let now = node.fact(name);
            if now.as_ref() != Some(planned) {
                let now = now.map_or("unknown".to_owned(), |v| format!("`{v}`"));
                return Some(format!("`{name}` was `{planned}` and is {now}"));
            }
        }
        (node.generation != self.generation).then(|| format!("its record changed ({} -> {})", self.generation.0, node.generation.0))
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        let (node, holder) = (self.machine.node, cx.holder.clone());
        Some(Command::Change(Change::Reserve { node, holder, expect: self.generation, claim: self.claim }))
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::Release(Release { machine: self.machine.clone() })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("free".into(), "held by this run".into())
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

/// The node is held by nobody, or by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub machine: Machine,
}

impl Release {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::Node(self.machine.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        match record(&self.machine, seen) {
            // What it owes is this switchover's to settle: nobody else may have it before.
            Ok((node, _)) if self.machine.kept && node.debt.is_some() => Verdict::Satisfied,
            Ok((node, _)) if node.reservation.as_ref() == Some(&cx.holder) => Verdict::Act,
            Ok(_) => Verdict::Satisfied,
            Err(wait) => wait,
        }
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::Release { node: self.machine.node, holder: cx.holder.clone() }))
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("held by this run".into(), "free".into())
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

/// The first observation as a record, or the reason to wait for one.
pub(super) fn record<'a>(machine: &Machine, seen: &'a [Observation]) -> Result<(&'a Node, Option<Span>), Verdict> {
    match &seen[0] {
        Observation::Node(node, landing) => Ok((node, *landing)),
        Observation::Unreadable(fault) => Err(unreadable(&machine.name, fault)),
        other => unreachable!("a query for a node gives its record, not {other:?}"),
    }
}

/// Rule S2 where no record is changed: a BMC is told something only while its node is held by this switchover. A person
/// may have released it and another run may have taken it since.
pub(super) fn held(cx: &Context, machine: &Machine, seen: &Observation) -> Result<(), Verdict> {
    match seen {
        Observation::Node(node, _) if node.reservation.as_ref() == Some(&cx.holder) => Ok(()),
        Observation::Node(node, _) => {
            let by = node.reservation.as_ref().map_or("nobody".to_owned(), ToString::to_string);
            let text = format!("`{}` is held by {by} and not by this switchover any more", machine.name);
            Err(Verdict::Refuse(Reason::new(ReasonCode::Reserved, text)))
        }
        Observation::Unreadable(fault) => Err(unreadable(&machine.name, fault)),
        other => unreachable!("a query for a node gives its record, not {other:?}"),
    }
}

pub(super) fn unreadable(what: &str, fault: &Fault) -> Verdict {
    Verdict::Wait(Reason::new(ReasonCode::Silent, format!("`{what}` cannot be read: {fault}")))
}

gates! {
    "one holder", "a node is touched only by the switchover that holds it",
        Closed, "two runs that share a node undo each other", a_node_that_is_held_by_another_is_not_touched;
    "maintenance", "a node that somebody put into maintenance is not reserved, but for our own when it comes home",
        Closed, "a person may be working on it", a_node_that_somebody_put_into_maintenance_is_not_reserved;
    "debt", "a node that owes something to an earlier switchover is not reserved",
        Closed, "nobody has said yet that its volumes and boot settings are right", a_node_that_owes_something_is_not_reserved;
    "stale plan", "the node is what the plan was made for: same generation, same facts",
        Closed, "a plan that was right yesterday moves volumes to the wrong machine today",
        a_node_that_changed_since_the_plan_is_refused_and_the_rest_goes_on;
    "landing", "every power command of an earlier run has landed or run out of time",
        Closed, "an unanswered power-on lands after a look saw Off", a_power_command_that_may_still_land_is_waited_for;
}
