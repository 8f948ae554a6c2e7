//! What the language has and this version does not execute. It is refused, never ignored: a window, an approval or a
//! fence level that is silently left out is worse than a runbook that does not run.

use super::raw::{RawRunbook, RawVia};
use super::shape::Reading;
use crate::diagnostic::codes;
use std::ops::Range;

pub(super) fn supported(reading: &Reading<'_>, raw: &RawRunbook) {
    let refuse = |what: &str, at: &Range<usize>| {
        reading.error(codes::NOT_SUPPORTED, format!("{what} is not supported yet"), at);
    };
    if let Some((via, RawVia::NotYet(word))) = raw.boot.via.as_ref().map(|v| (v, v.value)) {
        refuse(&format!("`via: {word}`"), &via.at);
    }
    for (_, hook) in &raw.hooks {
        if let Some(prompt) = &hook.value.prompt {
            refuse("a `prompt`", &prompt.at);
        }
    }
    let limits = &raw.limits;
    let places = [
        ("`canary`", limits.canary.as_ref().map(|l| &l.at)),
        ("`per_domain`", limits.per_domain.as_ref().map(|l| &l.at)),
        ("`start_rate`", limits.start_rate.as_ref().map(|l| &l.at)),
        ("`refuse_above`", limits.refuse_above.as_ref().map(|l| &l.at)),
        ("`windows`", raw.places.windows.as_ref()),
        ("`notify`", raw.places.notify.as_ref()),
        ("`approval`", raw.approval.as_ref().filter(|a| a.value.required.as_ref().is_none_or(|r| r.value)).map(|a| &a.at)),
    ];
    for (what, at) in places {
        if let Some(at) = at {
            refuse(what, at);
        }
    }
}
