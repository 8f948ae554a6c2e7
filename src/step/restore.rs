//! What the source does when mains power returns, and what is noted where its firmware could not be reached.

use super::boot::BRIEFLY;
use super::reserve::{held, record};
use super::*;
use crate::model::gate_table::gates;

/// The source stays off when its feed comes back. Part of the fence where the BMC offers it; what it was is kept in the
/// plan, for the way back and for failback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRestorePolicy {
    pub machine: Machine,
    pub policy: PowerRestorePolicy,
    pub was: PowerRestorePolicy,
    pub landing: Span,
}

impl SetRestorePolicy {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::System(self.machine.node), Query::Node(self.machine.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        if let Err(verdict) = held(cx, &self.machine, &seen[1]) {
            return verdict;
        }
        // What its firmware opens is another's: mains power must not start it.
        if let Observation::Node(node, _) = &seen[1]
            && node.debt.is_some()
            && self.policy != PowerRestorePolicy::AlwaysOff
        {
            let text = format!("`{}` owes something and stays off when mains power returns", self.machine.name);
            return Verdict::Refuse(Reason::new(ReasonCode::Refused, text));
        }
        let reading = match &seen[0] {
            Observation::System(reading) => reading,
            Observation::Unreadable(fault) => {
                let text = format!("the BMC of `{}` cannot be read: {fault}", self.machine.name);
                return Verdict::Wait(Reason::new(ReasonCode::NoVoucher, text));
            }
            other => unreachable!("a look at a system gives a reading, not {other:?}"),
        };
        if self.machine.identity.recognises(&reading.identity) == Some(false) {
            let text = format!("the BMC of `{}` speaks for another machine", self.machine.name);
            return Verdict::Refuse(Reason::new(ReasonCode::WrongMachine, text));
        }
        if reading.restore_policy == Some(self.policy) { Verdict::Satisfied } else { Verdict::Act }
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::SetRestorePolicy { node: self.machine.node, policy: self.policy })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::SetRestorePolicy(SetRestorePolicy { policy: self.was, was: self.policy, ..self.clone() })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { silent: BRIEFLY, attempts_max: 3, ..Patience::device(self.landing) }
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (word(self.was).into(), word(self.policy).into())
    }

    pub(super) fn remark(&self) -> String {
        "when mains power returns".into()
    }
}

fn word(policy: PowerRestorePolicy) -> &'static str {
    match policy {
        PowerRestorePolicy::AlwaysOn => "AlwaysOn",
        PowerRestorePolicy::AlwaysOff => "AlwaysOff",
        PowerRestorePolicy::LastState => "LastState",
    }
}

/// Where the source's firmware could not be reached, its record says so: switched on again, it would open a volume that is
/// another's now. A node with a debt is neither source nor spare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteDebt {
    pub machine: Machine,
    /// The boot configuration that should be taken away.
    pub settings: BootSettings,
    pub debt: String,
    #[serde(default, skip_serializing_if = "Owed::is_boot")]
    pub owed: Owed,
}

/// What is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// Its boot configuration is to be taken away.
    #[default]
    Boot,
    /// The service that keeps it is to undeploy it.
    Undeploy,
    /// That was made up for: the note is taken off again.
    Paid,
}

impl Owed {
    fn is_boot(&self) -> bool {
        *self == Owed::Boot
    }
}

impl NoteDebt {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        let node = self.machine.node;
        if self.owed != Owed::Boot {
            return vec![Query::Node(node)];
        }
        vec![Query::Node(node), Query::Boot(node), Query::System(node)]
    }

    /// Nothing is owed only where the machine's own BMC shows that its firmware opens nothing: another machine's boot
    /// configuration says nothing of it.
    pub(super) fn evaluate(&self, _: &Context, seen: &[Observation]) -> Verdict {
        let node = match record(&self.machine, seen) {
            Ok((node, _)) => node,
            Err(wait) => return wait,
        };
        let undeployed = node.provision_state != ProvisionState::Active && node.provision_state.is_settled();
        match self.owed {
            Owed::Boot => {}
            Owed::Undeploy if undeployed || node.debt.as_ref() == Some(&self.debt) => return Verdict::Satisfied,
            Owed::Undeploy => return Verdict::Act,
            Owed::Paid if !undeployed || node.debt.as_ref().is_some_and(|debt| *debt != self.debt) => {
                let text = format!("`{}` still owes something", self.machine.name);
                return Verdict::Refuse(Reason::new(ReasonCode::ProvisionState, text));
            }
            Owed::Paid if node.debt.is_some() => return Verdict::Act,
            Owed::Paid => return Verdict::Satisfied,
        }
        let itself = match &seen[2] {
            Observation::System(reading) => self.machine.identity.recognises(&reading.identity) == Some(true),
            Observation::Unreadable(_) => false,
            other => unreachable!("a look at a system gives a reading, not {other:?}"),
        };
        match &seen[1] {
            Observation::Boot(boot) if itself && boot.shows(&self.settings) && node.debt.is_none() => Verdict::Satisfied,
            Observation::Boot(_) | Observation::Unreadable(_) if node.debt.as_ref() == Some(&self.debt) => Verdict::Satisfied,
            Observation::Boot(_) | Observation::Unreadable(_) => Verdict::Act,
            other => unreachable!("a query for a boot configuration gives one, not {other:?}"),
        }
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::SetDebt {
            node: self.machine.node,
            holder: cx.holder.clone(),
            debt: Some(self.debt.clone()).filter(|_| self.owed != Owed::Paid),
        }))
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
        let when = match self.owed {
            Owed::Boot => "noted where its boot configuration could not be taken away",
            Owed::Undeploy => "noted where it could not be undeployed",
            Owed::Paid => "taken off again",
        };
        (String::new(), when.into())
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

gates! {
    "restore policy", "AlwaysOff is set where the BMC offers it; where it cannot be set the switchover goes on with a warning",
        Open, "it guards against a feed that comes back, and the fence against all that is seen",
        a_restore_policy_that_cannot_be_set_is_left_with_a_warning;
}
