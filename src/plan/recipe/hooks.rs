//! Hooks as steps: their templates rendered for the fleet as it will be at that step.

use super::*;
use crate::runbook::{ActionTemplate, ExpressionError, HookTemplate, SensitiveTemplate, TemplateValue};

impl Cook<'_> {
    pub(super) fn hooks(&self, point: HookPoint, after: &Fleet, steps: &mut Vec<Step>) -> Result<(), Unfit> {
        if self.runbook.hooks.iter().all(|h| h.point != point) {
            return Ok(());
        }
        // The source is told as it was: what it served is what a hook after the move asks about.
        let before = Scope::new(&self.runbook.vars).with("source", self.fleet, self.source.id);
        let scope = before.with("destination", after, self.destination.id);
        for hook in self.runbook.hooks.iter().filter(|h| h.point == point) {
            let wanted = match &hook.when {
                Some(when) => when.holds(&scope).map_err(|e| self.wrong(hook, "when", &e))?,
                None => true,
            };
            if wanted {
                steps.push(Step::RunHook(RunHook { hook: self.render(hook, &scope)?, node: self.source.name.clone(), undoing: false }));
            }
        }
        Ok(())
    }

    fn wrong(&self, hook: &HookTemplate, part: &str, error: &ExpressionError) -> Unfit {
        Unfit::Wrong(Box::new(Diagnostic {
            code: codes::HOOK_TEMPLATE,
            severity: Severity::Error,
            message: format!("hook `{}`, `{part}`, for `{}`: {}", hook.name, self.source.name, error.message),
            span: None,
            hint: error.hint.clone(),
        }))
    }

    fn render(&self, hook: &HookTemplate, scope: &Scope) -> Result<Hook, Unfit> {
        let action = |part: &str, a: &ActionTemplate| render_action(a, scope).map_err(|e| self.wrong(hook, part, &e));
        Ok(Hook {
            name: hook.name.clone(),
            point: hook.point,
            action: action("run", &hook.action)?,
            check: hook.check.as_ref().map(|a| action("check", a)).transpose()?,
            undo: hook.undo.as_ref().map(|a| action("undo", a)).transpose()?,
            timeout: hook.timeout,
            retries: hook.retries,
            until: hook.until,
            rerun: hook.rerun,
            on_failure: hook.on_failure,
            lab: hook.lab,
        })
    }
}

pub(super) fn render_sensitive(value: &SensitiveTemplate, scope: &Scope) -> Result<Sensitive, ExpressionError> {
    match value {
        SensitiveTemplate::Plain(t) => t.render(scope).map(Sensitive::Plain),
        SensitiveTemplate::Secret(s) => Ok(Sensitive::Secret(s.clone())),
    }
}

pub(in crate::plan) fn render_action(action: &ActionTemplate, scope: &Scope) -> Result<HookAction, ExpressionError> {
    let sensitive = |s: &SensitiveTemplate| render_sensitive(s, scope);
    let all = |m: &BTreeMap<String, SensitiveTemplate>| {
        m.iter().map(|(k, v)| Ok((k.clone(), sensitive(v)?))).collect::<Result<BTreeMap<_, _>, ExpressionError>>()
    };
    Ok(match action {
        ActionTemplate::Run { argv, env, directory, digest } => HookAction::Run(RunAction {
            argv: argv.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?,
            env: all(env)?,
            directory: directory.clone(),
            digest: digest.clone(),
        }),
        ActionTemplate::Http { method, url, headers, json, expect } => HookAction::Http(HttpAction {
            method: method.clone(),
            url: sensitive(url)?,
            headers: all(headers)?,
            json: json.as_ref().map(|j: &TemplateValue| j.render(scope)).transpose()?,
            expect: expect.clone(),
        }),
        ActionTemplate::Prompt { text, choices, fails, default } => HookAction::Prompt(PromptAction {
            text: text.render(scope)?,
            choices: choices.clone(),
            fails: fails.clone(),
            default: default.clone(),
        }),
    })
}
