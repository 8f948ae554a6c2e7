//! Hooks: templates, scripts, and what goes together with what.

use super::{Check, hex, unique};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{HookPoint, OnFailure, Rerun, SecretRef, Span};
use crate::runbook::document::Tree;
use crate::runbook::plain;
use crate::runbook::raw::{RawAction, RawHook, RawHttp, RawPrompt, RawRunbook, RawSensitive};
use crate::runbook::shape::{At, Map};
use crate::runbook::{ActionTemplate, HookTemplate, Names, SensitiveTemplate, Template, TemplateValue, beside, directory};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How long one attempt may take where nothing is said.
const TIMEOUT: Span = Span::mins(5);
/// How long a prompt may stay unanswered where nothing is said.
const PROMPT_TIMEOUT: Span = Span::mins(60);
/// What a request that is answered well is answered with.
const EXPECT: [u16; 4] = [200, 201, 202, 204];

pub(super) fn hooks(check: &Check<'_>, raw: &RawRunbook) -> Vec<HookTemplate> {
    unique(check, "hooks", raw.hooks.iter().map(|(_, h)| &h.value.name));
    let lab = raw.lab.as_ref().is_some_and(|l| l.value);
    raw.hooks.iter().filter_map(|(point, hook)| one(check, *point, hook, lab)).collect()
}

fn one(check: &Check<'_>, point: HookPoint, written: &At<RawHook>, lab: bool) -> Option<HookTemplate> {
    let raw = &written.value;
    sense(check, point, raw);
    let when = raw.when.as_ref().map(|w| check.expression(w, Names::Switchover));
    let wrap = |a: Option<&RawAction>| a.map(|a| action(check, a, &raw.env));
    let (main, looked, undone) = (wrap(raw.action.as_ref()), wrap(raw.check.as_ref()), wrap(raw.undo.as_ref()));
    let main = match &raw.prompt {
        Some(asked) => prompt(check, &asked.value)?,
        None => main??,
    };
    let limit = raw.prompt.as_ref().map(|p| p.value.timeout.as_ref().map_or(PROMPT_TIMEOUT, |t| t.value));
    Some(HookTemplate {
        name: raw.name.value.clone(),
        point,
        zones: mentions(&main, "destination.connectors"),
        action: main,
        check: looked.flatten(),
        undo: undone.flatten(),
        when: when.flatten(),
        timeout: limit.unwrap_or_else(|| raw.timeout.as_ref().map_or(TIMEOUT, |t| t.value)),
        retries: raw.retries.as_ref().map_or(0, At::small),
        until: raw.until.as_ref().map(|u| u.value),
        rerun: raw.rerun.as_ref().map_or(Rerun::Allowed, |r| r.value),
        on_failure: raw.on_failure.as_ref().map_or_else(|| on_failure(point), |o| o.value),
        lab: raw.lab.as_ref().map_or(lab, |l| l.value),
        place: check.place(written.at.start),
    })
}

/// Before the point of no return a failed hook is a reason to go back; after it there is no back.
fn on_failure(point: HookPoint) -> OnFailure {
    match point {
        HookPoint::PreShutdown | HookPoint::PostMigration => OnFailure::RollBack,
        HookPoint::PostBoot => OnFailure::Stop,
    }
}

fn sense(check: &Check<'_>, point: HookPoint, raw: &RawHook) {
    let reading = check.reading;
    for (name, _) in &raw.env {
        variable(check, name);
    }
    if raw.rerun.as_ref().is_some_and(|r| r.value == Rerun::Never) {
        if let Some(retries) = raw.retries.as_ref().filter(|r| r.value > 0) {
            let message = format!("`retries: {}` and `rerun: never` exclude each other", retries.value);
            reading.hinted(codes::RETRY_NEVER, message, &retries.at, "a retry starts the hook again");
        }
        if let Some(until) = &raw.until {
            reading.hinted(
                codes::RETRY_NEVER,
                "`until` and `rerun: never` exclude each other",
                &until.at,
                "`until` starts the hook again and again",
            );
        }
    }
    if let (Some(until), Some(retries)) = (&raw.until, raw.retries.as_ref().filter(|r| r.value > 0)) {
        let message = format!("`until: {}` and `retries: {}` both say how often to try", until.value, retries.value);
        reading.hinted(codes::CONTRADICTION, message, &retries.at, "keep one of the two");
    }
    if point == HookPoint::PostBoot {
        if let Some(failure) = raw.on_failure.as_ref().filter(|o| o.value == OnFailure::RollBack) {
            let message = "a post-boot hook cannot roll back: the destination has been started";
            reading.hinted(
                codes::ROLL_BACK_TOO_LATE,
                message,
                &failure.at,
                "use `stop` or `continue`; `coldswap failback` is the way home",
            );
        }
        if raw.undo.is_some() {
            let message = format!("the `undo` of `{}` never runs: nothing goes back after the destination was started", raw.name.value);
            reading.tell(Diagnostic::warning(codes::CONTRADICTION, message), &raw.name.at);
        }
    }
    for (what, span) in [("timeout", &raw.timeout), ("until", &raw.until)] {
        if let Some(span) = span.as_ref().filter(|s| s.value == Span::ZERO) {
            reading.error(codes::OUT_OF_RANGE, format!("`{what}: 0s` leaves no time at all"), &span.at);
        }
    }
    if let Some(prompt) = &raw.prompt {
        sense_of_prompt(check, raw, &prompt.value);
    }
}

/// A program that tells its runs apart by `COLDSWAP_RUN` and the like must be able to rely on them.
fn variable(check: &Check<'_>, name: &At<String>) {
    let first = name.value.bytes().next();
    let good = first.is_some_and(|b| !b.is_ascii_digit()) && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !good {
        let message = format!("`{}` cannot be the name of an environment variable", name.value);
        check.reading.hinted(codes::HOOK_VARIABLE, message, &name.at, "it is made of letters, digits and `_`, and begins with no digit");
    } else if name.value.to_uppercase().starts_with("COLDSWAP_") {
        let message = format!("`{}` is not yours to set: `COLDSWAP_...` is what coldswap itself tells a hook", name.value);
        check.reading.hinted(codes::HOOK_VARIABLE, message, &name.at, "choose another name");
    }
}

/// A person is asked once, and answers with one of the choices.
fn sense_of_prompt(check: &Check<'_>, raw: &RawHook, prompt: &RawPrompt) {
    let reading = check.reading;
    let unknown = |answer: &At<String>| !prompt.choices.iter().any(|c| c.value == answer.value);
    if unknown(&prompt.default) {
        reading.error(codes::UNKNOWN_WORD, format!("the default `{}` is not one of the choices", prompt.default.value), &prompt.default.at);
    }
    for answer in prompt.fails.iter().flatten().filter(|a| unknown(a)) {
        reading.error(codes::UNKNOWN_WORD, format!("`{}` is not one of the choices", answer.value), &answer.at);
    }
    unique(check, "answers", prompt.choices.iter());
    super::gates::some_time(check, prompt.timeout.as_ref());
    let places = [
        ("timeout", raw.timeout.as_ref().map(|t| &t.at)),
        ("retries", raw.retries.as_ref().map(|r| &r.at)),
        ("until", raw.until.as_ref().map(|u| &u.at)),
    ];
    for (what, at) in places.into_iter().filter_map(|(what, at)| Some((what, at?))) {
        let message = format!("`{what}` says nothing of a prompt: a person is asked once");
        reading.hinted(codes::CONTRADICTION, message, at, "how long it may stay unanswered is `prompt.timeout`");
    }
}

/// Where nothing says which answers fail, all but the first do: a question that cannot fail need not be asked.
fn prompt(check: &Check<'_>, raw: &RawPrompt) -> Option<ActionTemplate> {
    let texts = |list: &[At<String>]| list.iter().map(|t| t.value.clone()).collect::<Vec<_>>();
    let fails = raw.fails.as_ref().map_or_else(|| texts(raw.choices.get(1..).unwrap_or_default()), |f| texts(f));
    Some(ActionTemplate::Prompt {
        text: check.template(&raw.text)?,
        choices: texts(&raw.choices),
        fails,
        default: raw.default.value.clone(),
    })
}

pub(super) fn action(check: &Check<'_>, raw: &RawAction, env: &Map<RawSensitive>) -> Option<ActionTemplate> {
    match raw {
        RawAction::Run(argv) => {
            let digest = argv.first().and_then(|program| script(check, program));
            let argv: Vec<Option<Template>> = argv.iter().map(|a| check.template(a)).collect();
            let env = sensitive_map(check, env);
            Some(ActionTemplate::Run {
                argv: argv.into_iter().collect::<Option<_>>()?,
                env: env?,
                directory: Some(directory(check.reading.file).to_owned()),
                digest,
            })
        }
        RawAction::Http(http) => request(check, http),
    }
}

fn request(check: &Check<'_>, raw: &RawHttp) -> Option<ActionTemplate> {
    if let RawSensitive::Plain(url) = &raw.url {
        plain::address(check.reading, url);
    }
    let url = sensitive(check, &raw.url);
    let headers = sensitive_map(check, &raw.headers);
    let json = raw.json.as_ref().map(|tree| body(check, tree));
    let json = match json {
        Some(None) => return None,
        other => other.flatten(),
    };
    let method = raw.method.as_ref().map_or(if json.is_some() { "POST" } else { "GET" }, |m| m.value);
    let expect = if raw.expect.is_empty() { EXPECT.to_vec() } else { raw.expect.clone() };
    Some(ActionTemplate::Http { method: method.to_owned(), url: url?, headers: headers?, json, expect })
}

/// The texts of a body are templates; each is told at its own place.
fn body(check: &Check<'_>, tree: &Tree) -> Option<TemplateValue> {
    use crate::runbook::document::Value;
    match &tree.value {
        Value::Scalar { text, .. } => match tree.json() {
            serde_json::Value::String(_) => check.template(&At::new(text.clone(), tree.at.clone())).map(TemplateValue::Text),
            other => Some(TemplateValue::Literal(other)),
        },
        Value::List(items) => {
            let items: Vec<Option<TemplateValue>> = items.iter().map(|i| body(check, i)).collect();
            items.into_iter().collect::<Option<_>>().map(TemplateValue::List)
        }
        Value::Map(entries) => {
            for e in entries {
                if let Some(text) = e.value.text().filter(|_| !e.value.is_nothing()) {
                    plain::under(check.reading, &e.key, text, &e.value.at, plain::NOT_IN_A_BODY);
                }
            }
            let entries: Vec<Option<(String, TemplateValue)>> =
                entries.iter().map(|e| Some((e.key.clone(), body(check, &e.value)?))).collect();
            entries.into_iter().collect::<Option<_>>().map(TemplateValue::Map)
        }
    }
}

pub(super) fn sensitive_map(check: &Check<'_>, raw: &Map<RawSensitive>) -> Option<BTreeMap<String, SensitiveTemplate>> {
    for (name, value) in raw {
        if let RawSensitive::Plain(text) = value {
            plain::under(check.reading, &name.value, &text.value, &text.at, plain::HERE);
        }
    }
    let read: Vec<_> = raw.iter().map(|(name, value)| Some((name.value.clone(), sensitive(check, value)?))).collect();
    read.into_iter().collect()
}

fn sensitive(check: &Check<'_>, raw: &RawSensitive) -> Option<SensitiveTemplate> {
    match raw {
        RawSensitive::Plain(text) => check.template(text).map(SensitiveTemplate::Plain),
        RawSensitive::Secret(secret) => Some(SensitiveTemplate::Secret(resolved(check.reading.file, secret))),
    }
}

/// A secret's file is relative to the file that names it.
pub fn resolved(file: &str, secret: &SecretRef) -> SecretRef {
    match secret {
        SecretRef::File(path) => SecretRef::File(beside(file, path)),
        other => other.clone(),
    }
}

/// The digest of the program, where it is a path. A bare name is looked up in PATH when it runs.
fn script(check: &Check<'_>, program: &At<String>) -> Option<String> {
    if program.value.contains("{{") {
        let message = "the program is known only when it runs: it cannot be checked, and the plan has no digest of it";
        check.reading.tell(Diagnostic::warning(codes::UNSEEN_SCRIPT, message), &program.at);
        return None;
    }
    if !program.value.contains('/') {
        return None;
    }
    let path = beside(check.reading.file, &program.value);
    if let Some(known) = check.scripts.borrow().get(&path) {
        return Some(known.clone());
    }
    match check.files.read(&path) {
        Ok(bytes) => {
            let digest = hex(&Sha256::digest(&bytes));
            check.scripts.borrow_mut().insert(path, digest.clone());
            Some(digest)
        }
        Err(why) => {
            let message = format!("the script `{}` cannot be read: {why}", program.value);
            check.reading.hinted(codes::SCRIPT, message, &program.at, format!("paths are relative to the runbook: `{path}`"));
            None
        }
    }
}

/// Does anything that the hook is told speak of this?
fn mentions(action: &ActionTemplate, path: &str) -> bool {
    let plain = |s: &SensitiveTemplate| matches!(s, SensitiveTemplate::Plain(t) if t.mentions(path));
    match action {
        ActionTemplate::Run { argv, env, .. } => argv.iter().any(|t| t.mentions(path)) || env.values().any(plain),
        ActionTemplate::Http { url, headers, json, .. } => {
            plain(url) || headers.values().any(plain) || json.as_ref().is_some_and(|j| j.mentions(path))
        }
        ActionTemplate::Prompt { text, .. } => text.mentions(path),
    }
}
