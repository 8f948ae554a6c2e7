//! What the language has and this version does not execute. It is refused, never ignored: a fence level
//! that is silently left out is worse than a runbook that does not run.

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
}
