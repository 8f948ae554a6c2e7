//! The vocabulary of a switchover. A step is a desired state, not an action: it says what to look at, judges what was
//! seen, names the one command that makes it so, and how it is taken back. What a command means to a fleet is written
//! once, in [`meaning`].
//!
//! Adding a step from existing commands: one struct in a family file with `observes`, `evaluate`, `command` and `undo`,
//! an arm in each `match` below, and its place in `plan/recipe.rs`.

mod ask;
mod await_boot;
mod boot;
mod confirm;
mod fence;
mod guard;
mod hook;
pub mod meaning;
mod nmi;
mod power;
mod power_back;
mod provision;
mod record;
mod reserve;
mod restore;

pub use ask::*;
pub use await_boot::*;
pub use boot::*;
pub use confirm::*;
pub use fence::*;
pub use guard::{Seen, leaves_open, power_of};
pub use hook::*;
pub use nmi::*;
pub use power::*;
pub use power_back::*;
pub use provision::{CleanSource, Provision};
pub use record::*;
pub use reserve::*;
pub use restore::*;

use crate::model::*;
use serde::{Deserialize, Serialize};

/// What the steps guard, for `docs/gates.md`.
pub const GATES: &[&[Gate]] = &[
    guard::GATES,
    nmi::GATES,
    restore::GATES,
    fence::GATES,
    reserve::GATES,
    boot::GATES,
    record::GATES,
    power::GATES,
    provision::GATES,
    await_boot::GATES,
    hook::GATES,
];

/// Wire names are stable: plans and reports of every version carry them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    Reserve(Reserve),
    RunHook(RunHook),
    SetMaintenance(SetMaintenance),
    LeaveMaintenance(LeaveMaintenance),
    InjectNmi(InjectNmi),
    PowerOff(PowerOff),
    SetRestorePolicy(SetRestorePolicy),
    Fence(Fence),
    ClearSourceBoot(ClearSourceBoot),
    MoveConnector(MoveConnector),
    MoveTarget(MoveTarget),
    MoveInstance(MoveInstance),
    ConfigureBoot(ConfigureBoot),
    Provision(Provision),
    CleanSource(CleanSource),
    PowerOn(PowerOn),
    AwaitBoot(AwaitBoot),
    PowerBack(PowerBack),
    NoteDebt(NoteDebt),
    Release(Release),
    Confirm(Confirm),
}

macro_rules! each {
    ($step:expr, $s:ident => $body:expr) => {
        match $step {
            Step::Reserve($s) => $body,
            Step::RunHook($s) => $body,
            Step::SetMaintenance($s) => $body,
            Step::LeaveMaintenance($s) => $body,
            Step::InjectNmi($s) => $body,
            Step::PowerOff($s) => $body,
            Step::SetRestorePolicy($s) => $body,
            Step::Fence($s) => $body,
            Step::ClearSourceBoot($s) => $body,
            Step::MoveConnector($s) => $body,
            Step::MoveTarget($s) => $body,
            Step::MoveInstance($s) => $body,
            Step::ConfigureBoot($s) => $body,
            Step::Provision($s) => $body,
            Step::CleanSource($s) => $body,
            Step::PowerOn($s) => $body,
            Step::AwaitBoot($s) => $body,
            Step::PowerBack($s) => $body,
            Step::NoteDebt($s) => $body,
            Step::Release($s) => $body,
            Step::Confirm($s) => $body,
        }
    };
}

impl Step {
    /// What must be looked at. Empty: the step cannot be seen, only done.
    pub fn observes(&self, cx: &Context) -> Vec<Query> {
        each!(self, s => s.observes(cx))
    }

    /// Judge a look that answers [`Step::observes`], in that order. Total and pure.
    pub fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        each!(self, s => s.evaluate(cx, seen))
    }

    /// The one command that makes it so; `None` for a step that only waits.
    pub fn command(&self, cx: &Context) -> Option<Command> {
        each!(self, s => s.command(cx))
    }

    pub fn undo(&self) -> Undo {
        each!(self, s => s.undo())
    }

    pub fn patience(&self, cx: &Context) -> Patience {
        self.patience_at(cx.level, cx.attempt)
    }

    fn patience_at(&self, level: u32, attempt: u32) -> Patience {
        match self {
            Step::Fence(fence) => fence.patience_at(level),
            step => each!(step, s => s.patience(attempt)),
        }
    }

    /// The fence, when the step is it.
    pub fn fence(&self) -> Option<&Fence> {
        match self {
            Step::Fence(fence) => Some(fence),
            _ => None,
        }
    }

    /// May the switchover go on without it, for this reason? What is left undone is told. `forward`: not on the way back.
    ///
    /// A power-off that a silent BMC keeps from us leaves the question to the fence. The restore policy and the crash dump
    /// are worth less than the switchover. The source's boot configuration stays where a fence stands in for its BMC.
    pub fn may_be_left(&self, why: ReasonCode, forward: bool) -> bool {
        let device = matches!(why, ReasonCode::NoVoucher | ReasonCode::TimedOut | ReasonCode::Exhausted | ReasonCode::Refused);
        match self {
            Step::PowerOff(off) => forward && off.silent.is_some() && why == ReasonCode::NoVoucher,
            Step::ClearSourceBoot(_) => forward && why == ReasonCode::NoVoucher,
            Step::InjectNmi(_) => forward && device,
            Step::SetRestorePolicy(_) => device,
            Step::NoteDebt(note) => note.owed == Owed::Paid && why == ReasonCode::ProvisionState,
            // The destination serves by then; that the source is not undeployed is owed.
            Step::CleanSource(clean) => clean.node == clean.pair.source.node && why != ReasonCode::SourceOn,
            _ => false,
        }
    }

    /// The step's stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Reserve(_) => "reserve",
            Step::RunHook(_) => "run_hook",
            Step::SetMaintenance(_) => "set_maintenance",
            Step::LeaveMaintenance(_) => "leave_maintenance",
            Step::InjectNmi(_) => "inject_nmi",
            Step::PowerOff(_) => "power_off",
            Step::SetRestorePolicy(_) => "set_restore_policy",
            Step::Fence(_) => "fence",
            Step::ClearSourceBoot(_) => "clear_source_boot",
            Step::MoveConnector(_) => "move_connector",
            Step::MoveTarget(_) => "move_target",
            Step::MoveInstance(_) => "move_instance",
            Step::ConfigureBoot(_) => "configure_boot",
            Step::Provision(_) => "provision",
            Step::CleanSource(_) => "clean_source",
            Step::PowerOn(_) => "power_on",
            Step::AwaitBoot(_) => "await_boot",
            Step::PowerBack(_) => "power_back",
            Step::NoteDebt(_) => "note_debt",
            Step::Release(_) => "release",
            Step::Confirm(_) => "confirm",
        }
    }

    /// The point of no return: the first durable intent of such a step.
    pub fn starts_destination(&self) -> bool {
        match self {
            Step::PowerOn(_) => true,
            Step::Provision(provision) => provision.starts(),
            _ => false,
        }
    }

    /// The hook, when the step is one.
    pub fn hook(&self) -> Option<&Hook> {
        match self {
            Step::RunHook(h) => Some(&h.hook),
            _ => None,
        }
    }

    /// The question, when the step is a hook that asks a person.
    pub fn prompt(&self) -> Option<&PromptAction> {
        match self.hook().map(|h| &h.action) {
            Some(HookAction::Prompt(prompt)) => Some(prompt),
            _ => None,
        }
    }

    /// The two ends, for a step that every switchover has one of.
    pub fn pair(&self) -> Option<&Shared<Pair>> {
        match self {
            Step::PowerOn(on) => Some(&on.pair),
            Step::Provision(deploy) if deploy.starts() => Some(&deploy.pair),
            _ => None,
        }
    }

    /// The longest that the step is allowed to take when nothing has to be repeated: its declared limits.
    pub fn allowance(&self) -> Span {
        let patience = self.patience_at(0, 0);
        let between = patience.apart.0.saturating_mul(u64::from(patience.reads.saturating_sub(1)));
        match self {
            Step::RunHook(run) => {
                let once = run.hook.timeout.0;
                Span(run.hook.until.map_or(once.saturating_mul(u64::from(run.hook.retries) + 1), |until| until.0.saturating_add(once)))
            }
            // Soft first, then hard: each has its time.
            Step::PowerOff(off) if off.soft.is_some() && off.hard.is_some() => Span(patience.settle.0.saturating_add(off.landing.0)),
            _ => Span(patience.settle.0.saturating_add(between)),
        }
    }

    /// What must be the node of `what` or the code is wrong; for a person.
    pub fn subject(&self) -> String {
        each!(self, s => s.subject())
    }

    /// Before and after, for the diff.
    pub fn change_text(&self) -> (String, String) {
        each!(self, s => s.change_text())
    }

    /// A remark for the diff: why, how long, what is special.
    pub fn remark(&self) -> String {
        each!(self, s => s.remark())
    }
}
