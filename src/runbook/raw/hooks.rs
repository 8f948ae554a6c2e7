//! Hooks as written.

use super::secret::{RawSensitive, sensitive};
use super::{expression, lab};
use crate::model::{OnFailure, Rerun, Span};
use crate::runbook::document::Tree;
use crate::runbook::shape::*;

#[derive(Clone, Debug)]
pub struct RawHook {
    pub name: At<String>,
    pub action: Option<RawAction>,
    pub prompt: Option<At<RawPrompt>>,
    /// For programs: of `run`, `check` and `undo` alike.
    pub env: Map<RawSensitive>,
    pub check: Option<RawAction>,
    pub undo: Option<RawAction>,
    pub when: Option<At<String>>,
    pub timeout: Option<At<Span>>,
    pub retries: Option<At<i64>>,
    pub until: Option<At<Span>>,
    pub rerun: Option<At<Rerun>>,
    pub on_failure: Option<At<OnFailure>>,
    pub lab: Option<At<bool>>,
}

#[derive(Clone, Debug)]
pub enum RawAction {
    Run(Vec<At<String>>),
    Http(RawHttp),
}

#[derive(Clone, Debug)]
pub struct RawHttp {
    pub method: Option<At<&'static str>>,
    pub url: RawSensitive,
    pub headers: Map<RawSensitive>,
    pub json: Option<Tree>,
    pub expect: Vec<u16>,
}

/// A question to a person.
#[derive(Clone, Debug)]
pub struct RawPrompt {
    pub text: At<String>,
    pub choices: Vec<At<String>>,
    /// The answers that make the hook fail.
    pub fails: Option<Vec<At<String>>>,
    pub timeout: Option<At<Span>>,
    pub default: At<String>,
}

pub(super) fn span() -> Quantity<Span> {
    quantity("a duration such as `5m`")
}

pub fn hook() -> Record<RawHook> {
    record("hook", fields)
}

fn fields(f: &mut Fields<'_>) -> Option<RawHook> {
    f.exactly_one(&["run", "http", "prompt"]);
    let name = f.required("name", "name of the hook, unique in the runbook", text("a name"));
    let run = f.optional("run", "a program and its arguments, never a shell line", arguments());
    let http = f.optional("http", "a request", http());
    let prompt = f.optional("prompt", "a question to a person", Placed(record("prompt", prompt)));
    let env = f.optional("env", "environment of the programs", map_of("a map of environment variables", sensitive()));
    let check = f.optional("check", "succeeds when the hook's work is already done", action());
    let undo = f.optional("undo", "run by rollback when the hook was begun", action());
    let when = f.optional("when", "an expression over source and destination; false: the hook is left out", expression());
    let timeout = f.optional("timeout", "of one attempt; default 5m", span());
    let retries = f.optional("retries", "further attempts; default 0", number(0, 100));
    let until = f.optional("until", "try again until it succeeds or this much time has gone", span());
    let rerun = words(&[("allowed", Rerun::Allowed), ("never", Rerun::Never)]);
    let rerun = f.optional("rerun", "may it be started again when nobody knows whether it ran? default allowed", rerun);
    let failures = words(&[("roll_back", OnFailure::RollBack), ("stop", OnFailure::Stop), ("continue", OnFailure::Continue)]);
    let on_failure = f.optional("on_failure", "default: roll_back before the point of no return, stop after it", failures);
    let lab = f.optional("lab", "allowed: it may run for real in a lab", lab());
    Some(RawHook {
        name: name?,
        action: run.map(RawAction::Run).or(http.map(RawAction::Http)),
        prompt,
        env: env.unwrap_or_default(),
        check: check.flatten(),
        undo: undo.flatten(),
        when,
        timeout,
        retries,
        until,
        rerun,
        on_failure,
        lab,
    })
}

pub(super) fn arguments() -> ListOf<Text> {
    list_of("an argument vector such as `[./drain.sh, --now]`", text("an argument")).not_empty()
}

/// `[program, argument]`, `{run: [...]}` or `{http: {...}}`.
fn action() -> Forms<Option<RawAction>> {
    let either = record("action", |f| {
        f.exactly_one(&["run", "http"]);
        let run = f.optional("run", "a program and its arguments", arguments());
        let http = f.optional("http", "a request", http());
        Some(run.map(RawAction::Run).or(http.map(RawAction::Http)))
    });
    Forms::new("an argument vector or `{http: ...}`").list(arguments(), |argv| Some(RawAction::Run(argv))).map(either, |a| a)
}

pub(super) fn http() -> Record<RawHttp> {
    record("request", |f| {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(|m| (m, m));
        let method = f.optional("method", "default: POST with a body, GET without", words(&methods));
        let url = f.required("url", "address; a template or a secret", sensitive());
        let headers = f.optional("headers", "further header fields", map_of("a map of header fields", sensitive()));
        let json = f.optional("json", "body; its texts are templates", Any);
        let status = number(100, 599);
        let expect = Forms::new("a status code or a list of them")
            .scalar(status, |s| vec![s])
            .list(list_of("status codes", status).not_empty(), |s| s);
        let expect = f.optional("expect", "status codes that mean success; default 200, 201, 202, 204", expect);
        let expect = expect.unwrap_or_default().iter().filter_map(|s| u16::try_from(s.value).ok()).collect();
        Some(RawHttp { method, url: url?, headers: headers.unwrap_or_default(), json, expect })
    })
}

fn prompt(f: &mut Fields<'_>) -> Option<RawPrompt> {
    let question = f.required("text", "the question; a template", text("a question"));
    let choices = f.required("choices", "the answers that count", list_of("a list of answers", text("an answer")).not_empty());
    let fails = f.optional(
        "fails",
        "the answers that make the hook fail; default: all but the first",
        list_of("a list of answers", text("an answer")),
    );
    let timeout = f.optional("timeout", "how long it may stay unanswered; default 1h", span());
    let default = f.required("default", "the answer after that: nothing waits for ever", text("an answer"));
    Some(RawPrompt { text: question?, choices: choices?, fails, timeout, default: default? })
}
