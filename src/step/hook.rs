//! A hook of the operator's. Its exit is its own look (S5) unless it has a check.

use super::*;
use crate::model::gate_table::gates;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHook {
    pub hook: Hook,
    /// The node that it is about, for the diff.
    pub node: String,
    /// It is the undo of a hook that was begun.
    #[serde(default)]
    pub undoing: bool,
}

impl RunHook {
    fn call(&self, action: &HookAction, cx: &Context) -> Box<HookCall> {
        let context =
            HookContext { run: cx.holder.run.clone(), switchover: cx.holder.switchover, step: cx.number, attempt: cx.attempt + 1 };
        Box::new(HookCall { hook: self.hook.clone(), action: action.clone(), context })
    }

    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        self.hook.check.iter().map(|check| Query::Check(self.call(check, cx))).collect()
    }

    pub(super) fn evaluate(&self, _: &Context, seen: &[Observation]) -> Verdict {
        match seen.first() {
            None => Verdict::Act,
            Some(Observation::Check(result)) if result.succeeded => Verdict::Satisfied,
            Some(Observation::Check(_)) => Verdict::Act,
            // A check that cannot be run says nothing; the hook itself still may.
            Some(Observation::Unreadable(fault)) => {
                Verdict::Wait(Reason::new(ReasonCode::Silent, format!("the check of hook `{}` cannot be run: {fault}", self.hook.name)))
            }
            Some(other) => unreachable!("a check gives its result, not {other:?}"),
        }
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Hook(self.call(&self.hook.action, cx)))
    }

    pub(super) fn undo(&self) -> Undo {
        match &self.hook.undo {
            Some(undo) if !self.undoing => {
                let hook = Hook { action: undo.clone(), check: None, undo: None, rerun: Rerun::Allowed, ..self.hook.clone() };
                Undo::Steps(vec![Step::RunHook(RunHook { hook, node: self.node.clone(), undoing: true })])
            }
            _ => Undo::Nothing,
        }
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience {
            settle: Span::ZERO,
            wait: self.hook.timeout,
            silent: self.hook.timeout,
            attempts_max: self.hook.retries.saturating_add(1),
            until: self.hook.until,
            reads: 1,
            apart: Span::ZERO,
        }
    }

    pub(super) fn subject(&self) -> String {
        format!("{}  {}", self.hook.point, self.hook.name)
    }

    pub(super) fn change_text(&self) -> (String, String) {
        let what = match &self.hook.action {
            HookAction::Run(run) => run.argv.join(" "),
            HookAction::Http(http) => match &http.url {
                Sensitive::Plain(url) => format!("{} {url}", http.method),
                Sensitive::Secret(_) => format!("{} (a secret address)", http.method),
            },
            HookAction::Prompt(prompt) => format!("asks: {} ({})", prompt.text, prompt.choices.join(", ")),
        };
        (String::new(), if self.undoing { format!("undo: {what}") } else { what })
    }

    pub(super) fn remark(&self) -> String {
        if let HookAction::Prompt(prompt) = &self.hook.action {
            return format!("`{}` after {}", prompt.default, self.hook.timeout);
        }
        let rerun = match self.hook.rerun {
            Rerun::Allowed => "may rerun",
            Rerun::Never => "never twice",
        };
        let undo = if self.hook.undo.is_some() || self.undoing { "" } else { ", no undo" };
        format!("{rerun}{undo}")
    }
}

gates! {
    "hook check", "a check that cannot be run is waited for, then the hook has failed",
        Closed, "a check that says nothing has not said yes", a_check_that_cannot_be_run_says_nothing;
}
