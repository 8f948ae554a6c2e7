//! From what is written to what is meant: defaults, expressions, names that must fit each other.

mod fence;
mod gates;
mod hooks;
mod matching;
mod places;
mod sources;
mod windows;

use super::raw::{RawPower, RawRunbook, RawVia};
use super::shape::{At, Reading};
use super::{BootPolicy, BootReady, Expression, Files, HardOff, Mode, Names, Pool, PowerPolicy, Runbook, Template};
use crate::diagnostic::{Diagnostic, LineIndex, codes};
use crate::model::{Further, ProvisionState, Span};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

pub(super) use hooks::resolved;
pub(super) use places::caret;

/// What the checks of one runbook share.
pub(super) struct Check<'a> {
    pub reading: &'a Reading<'a>,
    pub vars: &'a BTreeMap<String, Json>,
    pub files: &'a dyn Files,
    pub lines: LineIndex<'a>,
    /// Scripts that were read, by path: their digests are part of the runbook's.
    pub scripts: RefCell<BTreeMap<String, String>>,
    /// What templates may use where the reader is.
    pub names: Cell<Names>,
}

impl<'a> Check<'a> {
    pub fn new(reading: &'a Reading<'a>, vars: &'a BTreeMap<String, Json>, files: &'a dyn Files) -> Check<'a> {
        Check {
            reading,
            vars,
            files,
            lines: LineIndex::new(reading.source),
            scripts: RefCell::default(),
            names: Cell::new(Names::Switchover),
        }
    }

    fn expression(&self, written: &At<String>, names: Names) -> Option<Expression> {
        Expression::parse(&written.value, names, self.vars).map_err(|e| self.told(codes::EXPRESSION, written, e)).ok()
    }

    fn template(&self, written: &At<String>) -> Option<Template> {
        Template::parse(&written.value, self.names.get(), self.vars).map_err(|e| self.told(codes::TEMPLATE, written, e)).ok()
    }

    fn told(&self, code: &'static str, written: &At<String>, error: super::ExpressionError) {
        let at = caret(self.reading, written, error.at);
        let assigns = error.at.is_some_and(|at| written.value[at..].starts_with('=') && !written.value[at..].starts_with("=="));
        let hint = error.hint.or_else(|| assigns.then(|| "`==` compares".to_owned()));
        self.reading.tell(Diagnostic::error(code, error.message).maybe_hint(hint), &at);
    }
}

/// The runbook that `raw` means; `None` where too much is wrong. What is wrong is told to the reading.
pub(super) fn runbook(check: &Check<'_>, raw: &RawRunbook) -> Option<Runbook> {
    // Everything is looked at before the first `?`: all errors are told at once.
    let sources = raw.sources.as_ref().and_then(|s| sources::sources(check, s));
    let pools = pools(check, raw);
    let matching = matching::matching(check, &raw.matching);
    let mode = raw.mode.as_ref().map_or(Mode::Planned, |m| m.value);
    let power = power(check, raw, mode);
    let (fence, vouchers) = fence::fence(check, raw);
    let boot = boot(check, raw);
    let hooks = hooks::hooks(check, raw);
    let limits = gates::limits(check, raw);
    let windows = windows::windows(check, &raw.windows);
    let approval = gates::approval(check, raw);
    let notify = gates::notify(check, raw);
    if let Some(report) = &raw.report {
        check.template_of_report(report);
    }
    Some(Runbook {
        name: raw.name.value.clone(),
        description: raw.description.as_ref().map(|d| d.value.clone()),
        labels: raw.labels.iter().map(|(k, v)| (k.value.clone(), v.value.clone())).collect(),
        digest: digest(check),
        vars: check.vars.clone(),
        mode,
        sources: sources?,
        pools,
        matching: matching?,
        power,
        fence,
        vouchers,
        further: further(check.reading.source, &boot),
        boot,
        hooks,
        limits,
        windows,
        approval,
        notify,
        report: raw.report.as_ref().map(|r| r.value.clone()),
    })
}

/// A fact can be used only by its name, so what the text does not name is not needed, however much else the word may mean
/// in it. A firmware by any other name than the built-in one may be all of it (`firmware.*`).
fn further(text: &[u8], boot: &BootPolicy) -> Further {
    let named = |word: &str| text.windows(word.len()).any(|part| part == word.as_bytes());
    Further {
        architecture: named("architecture"),
        secure_boot: named("secure_boot"),
        bmc_firmware: named("firmware"),
        iscsi_boot: matches!(boot.via, None | Some(super::BootVia::RedfishIscsi)),
    }
}

impl Check<'_> {
    /// A report's path knows the late names and the variables, and no machine.
    fn template_of_report(&self, path: &At<String>) {
        if let Some(template) = self.template(path)
            && ["source", "destination"].iter().any(|name| template.mentions(name))
        {
            let message = "the path of the report knows `run.id` and `vars`, but no machine";
            self.reading.error(codes::TEMPLATE, message, &path.at);
        }
    }
}

/// A name that stands twice among `names`, with the line of the first.
pub(super) fn unique<'a>(check: &Check<'_>, what: &str, names: impl IntoIterator<Item = &'a At<String>>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        match seen.get(name.value.as_str()) {
            Some(first) => {
                let line = check.lines.find(*first).line;
                let message = format!("two {what} are called `{}`", name.value);
                check.reading.hinted(codes::DUPLICATE_NAME, message, &name.at, format!("the first is in line {line}"));
            }
            None => {
                seen.insert(&name.value, name.at.start);
            }
        }
    }
}

fn pools(check: &Check<'_>, raw: &RawRunbook) -> Vec<Pool> {
    unique(check, "pools", raw.pools.iter().map(|p| &p.name));
    let pinned = raw.sources.as_ref().is_some_and(|s| !s.destinations.is_empty());
    match (&raw.places.pools, &raw.sources) {
        (None, Some(sources)) if !pinned && !check.reading.told(codes::UNKNOWN_KEY) => {
            let message = "there are neither `pools` nor `destinations`: there is nowhere to go";
            check.reading.hinted(codes::NO_DESTINATIONS, message, &sources.at, "add a pool under `pools`");
        }
        (Some(at), _) if raw.pools.is_empty() && !pinned && !check.reading.has_errors() => {
            check.reading.error(codes::NO_DESTINATIONS, "`pools` is empty and no `destinations` are pinned", at);
        }
        _ => {}
    }
    let states = vec![ProvisionState::Manageable, ProvisionState::Available, ProvisionState::Enroll];
    let pool = |raw: &super::raw::RawPool| {
        let written = raw.provision_states.as_ref().map(|s| s.value.iter().map(|s| s.value).collect());
        Some(Pool {
            name: raw.name.value.clone(),
            select: check.expression(&raw.select, Names::SpareAndSource)?,
            keep: raw.keep.as_ref().map_or(0, At::small),
            provision_states: written.unwrap_or_else(|| states.clone()),
        })
    };
    raw.pools.iter().filter_map(pool).collect()
}

/// Planned: the operating system is asked first. Disaster: it is presumed dead.
fn power(check: &Check<'_>, raw: &RawRunbook, mode: Mode) -> PowerPolicy {
    let (soft, hard) = match mode {
        Mode::Planned => (Span::mins(5), HardOff::AfterSoft),
        Mode::Disaster => (Span::ZERO, HardOff::AtOnce),
    };
    let written = &raw.power;
    let policy = PowerPolicy {
        soft_off: written.soft_off.as_ref().map_or(soft, |s| s.value),
        hard_off: written.hard_off.as_ref().map_or(hard, |h| h.value),
        crash_dump: crash_dump(check, written),
    };
    if policy.soft_off == Span::ZERO && policy.hard_off == HardOff::Never {
        let at = written.hard_off.as_ref().map(|h| &h.at).or(written.soft_off.as_ref().map(|s| &s.at));
        if let Some(at) = at {
            check.reading.error(codes::NEVER_OFF, "`soft_off: 0s` and `hard_off: never`: nothing may switch the source off", at);
        }
    }
    if let (Some(soft), Some(hard)) = (&written.soft_off, &written.hard_off)
        && soft.value > Span::ZERO
        && hard.value == HardOff::AtOnce
    {
        let message = format!("`soft_off: {}` has no effect: `hard_off: at_once` does not wait for it", soft.value);
        check
            .reading
            .tell(Diagnostic::warning(codes::CONTRADICTION, message).hint("write `hard_off: after_soft`, or `soft_off: 0s`"), &soft.at);
    }
    policy
}

/// A kernel writes a compressed dump of a large machine within a minute, or not at all (kdump on a network).
const CRASH_DUMP: Span = Span::mins(1);

fn crash_dump(check: &Check<'_>, raw: &RawPower) -> Option<Span> {
    let asked = raw.nmi_before_off.as_ref().is_some_and(|n| n.value);
    if let Some(dump) = raw.crash_dump.as_ref().filter(|_| !asked) {
        let message = "`crash_dump` has no effect without `nmi_before_off: true`";
        check.reading.tell(Diagnostic::warning(codes::CONTRADICTION, message), &dump.at);
    }
    asked.then(|| raw.crash_dump.as_ref().map_or(CRASH_DUMP, |d| d.value))
}

fn boot(check: &Check<'_>, raw: &RawRunbook) -> BootPolicy {
    gates::some_time(check, raw.boot.timeout.as_ref());
    let via = match raw.boot.via.as_ref().map(|v| v.value) {
        Some(RawVia::Works(via)) => Some(via),
        Some(RawVia::NotYet(_)) | None => None,
    };
    let ready = raw.boot.ready.as_ref().map(|r| r.value.iter().map(|s| s.value).collect());
    BootPolicy {
        via,
        timeout: raw.boot.timeout.as_ref().map_or(Span::mins(15), |t| t.value),
        ready: ready.unwrap_or_else(|| vec![BootReady::BootProgress, BootReady::PostBootHooks]),
    }
}

/// SHA-256 over text, variables and scripts, each with its length in front so that nothing can shift between them.
fn digest(check: &Check<'_>) -> String {
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    put(check.reading.source);
    put(Json::from_iter(check.vars.clone()).to_string().as_bytes());
    for (path, digest) in check.scripts.borrow().iter() {
        put(path.as_bytes());
        put(digest.as_bytes());
    }
    hex(&hash.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
