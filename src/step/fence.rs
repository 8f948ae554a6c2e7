//! The fence: what makes it certain that the source is off.

use super::reserve::{held, unreadable};
use super::*;
use crate::model::gate::gates;

/// The source is certainly off: one ForceOff of ours, then so many reads in a row, apart, from the right machine, with
/// no power command of any run still to land on either end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub pair: Pair,
    pub reads: u32,
    pub apart: Span,
    pub landing: Span,
}

impl Fence {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::System(self.pair.source.node), Query::Node(self.pair.source.node), Query::Node(self.pair.destination.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        for (machine, seen) in [(&self.pair.source, &seen[1]), (&self.pair.destination, &seen[2])] {
            if let Err(verdict) = held(cx, machine, seen) {
                return verdict;
            }
        }
        match power_of(&self.pair.source, &seen[0]) {
            Seen::On => return Verdict::Act,
            Seen::Wrong(why) => return Verdict::Refuse(why),
            Seen::Neither(why) => return Verdict::Wait(why),
            // One ForceOff of this process, also where an earlier one meant to send it: its intent is no sending.
            Seen::Off if !cx.sent => return Verdict::Act,
            Seen::Off => {}
        }
        for (machine, seen) in [(&self.pair.source, &seen[1]), (&self.pair.destination, &seen[2])] {
            match seen {
                Observation::Unreadable(fault) => return unreadable(&machine.name, fault),
                Observation::Node(node, Some(left)) if node.power_mark.is_some_and(|m| m.reset.starts()) => {
                    let text = format!("a power-on of an earlier run may still land on `{}` for {left}", machine.name);
                    return Verdict::Wait(Reason::new(ReasonCode::Landing, text));
                }
                _ => {}
            }
        }
        Verdict::Satisfied
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::Reset { node: self.pair.source.node, reset: ResetType::ForceOff })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { reads: self.reads, apart: self.apart, ..Patience::device(self.landing) }
    }

    pub(super) fn subject(&self) -> String {
        self.pair.source.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (String::new(), format!("ForceOff, then the BMC reads Off {} times, {} apart", self.reads, self.apart))
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

gates! {
    "fence", "the source is certainly Off: a ForceOff of our own, then several reads in a row",
        Closed, "a watchdog's power cycle also reads Off for a moment; a source that cannot be fenced is not moved",
        an_acknowledgement_that_is_believed;
}
