//! Mixtures of faults that have a name. Each stands for something that has been seen; the chances are drill sergeants'
//! figures and not measurements: high enough that a few hundred seeds meet everything.

use super::rules::{Action, Request, Rule};
use crate::model::Span;

#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
    rules: &'static [Line],
}

#[derive(Clone, Copy, Debug)]
struct Line(Request, Action, Option<Span>, u32, bool);

const ONCE: bool = false;
const LASTING: bool = true;

/// In the order in which they are told.
pub const PRESETS: [Preset; 7] = [
    Preset {
        name: "rude-bmc",
        about: "BMCs that accept and do nothing, say no for no reason, answer with half a body; systems that ignore a soft off",
        rules: &[
            Line(Request::SoftOff, Action::Ignore, None, 3_000, ONCE),
            Line(Request::Write, Action::Ignore, None, 500, ONCE),
            Line(Request::Write, Action::Refuse, None, 300, ONCE),
            Line(Request::HardOff, Action::Conflict, None, 500, ONCE),
            Line(Request::Write, Action::Error, None, 300, ONCE),
            Line(Request::ReadSystem, Action::NoPower, None, 200, ONCE),
            Line(Request::Read, Action::Garbage, None, 200, ONCE),
            Line(Request::Read, Action::Busy, None, 300, ONCE),
        ],
    },
    Preset {
        name: "slow-post",
        about: "machines that test their memory for a quarter of an hour, and now and then one that never comes up",
        rules: &[
            Line(Request::Boot, Action::Ignore, None, 50, ONCE),
            Line(Request::Boot, Action::Slow, Some(Span::mins(20)), 500, ONCE),
            Line(Request::Boot, Action::Slow, Some(Span::mins(8)), 4_000, ONCE),
        ],
    },
    Preset {
        name: "lost-answers",
        about: "a network that loses requests and answers: nobody knows whether a command was heard",
        rules: &[
            Line(Request::Write, Action::DropAfter, None, 800, ONCE),
            Line(Request::Write, Action::Drop, None, 500, ONCE),
            Line(Request::Write, Action::HangAfter, None, 200, ONCE),
            Line(Request::Read, Action::Drop, None, 500, ONCE),
        ],
    },
    Preset {
        name: "dead-bmc",
        about: "BMCs that stop answering at any moment and stay silent",
        rules: &[Line(Request::Any, Action::Drop, None, 30, LASTING)],
    },
    Preset {
        name: "failing-hook",
        about: "hooks that fail, hang until their time is over, or whose end nobody sees",
        rules: &[
            Line(Request::Hook, Action::Refuse, None, 1_000, ONCE),
            Line(Request::Hook, Action::Slow, Some(Span::mins(30)), 200, ONCE),
            Line(Request::Hook, Action::Drop, None, 100, ONCE),
        ],
    },
    Preset {
        name: "slow-storage",
        about: "a storage array under load: operating systems take minutes longer to come up, and hooks that zone or export wait",
        rules: &[
            Line(Request::Boot, Action::Slow, Some(Span::mins(5)), 5_000, ONCE),
            Line(Request::Hook, Action::Slow, Some(Span::secs(90)), 3_000, ONCE),
        ],
    },
    Preset {
        name: "late-power",
        about: "power commands that are accepted and show a minute later",
        rules: &[
            Line(Request::HardOff, Action::Late, Some(Span::secs(60)), 1_000, ONCE),
            Line(Request::PowerOn, Action::Late, Some(Span::secs(60)), 1_000, ONCE),
            Line(Request::Write, Action::DropLate, Some(Span::secs(45)), 200, ONCE),
        ],
    },
];

impl Preset {
    pub fn find(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|p| p.name == name)
    }

    pub fn rules(&self) -> Vec<Rule> {
        let rule = |Line(request, action, by, chance, lasting): &Line| Rule {
            machine: "*".into(),
            request: *request,
            action: *action,
            by: *by,
            chance: *chance,
            times: None,
            lasting: *lasting,
        };
        self.rules.iter().map(rule).collect()
    }
}
