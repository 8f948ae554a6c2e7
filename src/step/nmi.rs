//! A crash dump before the source is switched off.

use super::boot::BRIEFLY;
use super::guard::leaves_open;
use super::reserve::held;
use super::*;
use crate::model::gate_table::gates;

/// The source was sent one NMI, and had its time to write a dump. What became of it nobody can read, and a second one
/// would destroy the dump: it is sent once, whatever the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectNmi {
    pub machine: Machine,
    /// How long the dump may take.
    pub dump: Span,
}

impl InjectNmi {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::System(self.machine.node), Query::Node(self.machine.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        if let Err(verdict) = held(cx, &self.machine, &seen[1]) {
            return verdict;
        }
        if cx.begun {
            return Verdict::Satisfied;
        }
        match power_of(&self.machine, &seen[0]) {
            Seen::On => Verdict::Act,
            // Nothing runs that could write a dump.
            Seen::Off => Verdict::Satisfied,
            Seen::Wrong(why) => Verdict::Refuse(why),
            Seen::Neither(why) if leaves_open(&self.machine, &seen[0]) => Verdict::Wait(Reason::new(ReasonCode::NoVoucher, why.text)),
            Seen::Neither(why) => Verdict::Wait(why),
        }
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::Reset { node: self.machine.node, reset: ResetType::Nmi })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    /// The time of the dump lies between two looks that are both content.
    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { silent: BRIEFLY, attempts_max: 1, reads: 2, apart: self.dump, ..Patience::device(self.dump) }
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (String::new(), format!("Nmi, then {} for the crash dump", self.dump))
    }

    pub(super) fn remark(&self) -> String {
        "its operating system stops here".into()
    }
}

gates! {
    "crash dump", "where the BMC is silent or cannot do it, the switchover goes on without a dump, with a warning",
        Open, "a dump is worth less than the service", an_agent_switches_off_what_a_dead_bmc_cannot;
}
