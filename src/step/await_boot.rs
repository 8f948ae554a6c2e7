//! AwaitBoot: what was started runs.

use super::guard::source_off;
use super::*;
use crate::model::gate_table::gates;

/// The destination's operating system has control, as far as its BMC can tell; and the source is still off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitBoot {
    pub pair: Shared<Pair>,
    /// BootProgress counts where the BMC has it; else being On does, and the post-boot hooks decide.
    pub boot_progress: bool,
    pub timeout: Span,
}

impl AwaitBoot {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![self.pair.source.off(), Query::System(self.pair.destination.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        // S1's last look, once after boot.
        if let Err(verdict) = source_off(cx, &self.pair.source, &seen[0]) {
            return verdict;
        }
        let name = &self.pair.destination.name;
        match power_of(&self.pair.destination, &seen[1]) {
            Seen::On => {}
            Seen::Wrong(why) => return Verdict::Refuse(why),
            Seen::Neither(why) => return Verdict::Wait(why),
            Seen::Off => return Verdict::Wait(Reason::new(ReasonCode::TimedOut, format!("`{name}` is Off again"))),
        }
        match &seen[1] {
            Observation::System(reading) if self.boot_progress => match reading.boot_progress {
                Some(BootProgress::OsRunning) => Verdict::Satisfied,
                progress => {
                    let text = match progress {
                        Some(BootProgress::OsBootStarted) => format!("the operating system of `{name}` has started and is not running yet"),
                        Some(_) => format!("`{name}` is still in its firmware"),
                        None => format!("`{name}` reports no boot progress yet"),
                    };
                    Verdict::Wait(Reason::new(ReasonCode::TimedOut, text))
                }
            },
            _ => Verdict::Satisfied,
        }
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        None
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { wait: self.timeout, ..Patience::device(self.timeout) }
    }

    pub(super) fn subject(&self) -> String {
        self.pair.destination.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        let what = if self.boot_progress { "BootProgress OSRunning" } else { "On; its post-boot hooks tell the rest" };
        (String::new(), what.into())
    }

    pub(super) fn remark(&self) -> String {
        format!("at most {}", self.timeout)
    }
}

gates! {
    "boot progress", "booted means BootProgress OSRunning; where the BMC has none, On counts and the post-boot hooks decide",
        Open, "most BMCs have no BootProgress, and a machine that runs must not be reported lost for that",
        a_bmc_without_boot_progress_is_believed_when_on;
}
