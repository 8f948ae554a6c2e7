//! What the language has and this version does not execute. It is refused, never ignored: a fence level
//! that is silently left out is worse than a runbook that does not run.

use super::raw::{RawFence, RawRunbook, RawVia};
use super::shape::Reading;
use crate::diagnostic::codes;
use std::ops::Range;

pub(super) fn supported(reading: &Reading<'_>, raw: &RawRunbook) {
    let refuse = |what: &str, at: &Range<usize>| {
        reading.error(codes::NOT_SUPPORTED, format!("{what} is not supported yet"), at);
    };
    if let Some(nmi) = raw.power.nmi_before_off.as_ref().filter(|n| n.value) {
        refuse("`nmi_before_off`", &nmi.at);
    }
    let levels = raw.fence.as_deref().unwrap_or_default();
    for (n, level) in levels.iter().enumerate() {
        match &level.value {
            RawFence::Bmc { .. } if n == 0 => {}
            RawFence::Bmc { .. } => refuse("a second `bmc` level of the fence", &level.at),
            RawFence::Agent(_) => refuse("a fence `agent`", &level.at),
            RawFence::Attestation { .. } => refuse("an `attestation`", &level.at),
            RawFence::All(_) => refuse("`all` in a fence", &level.at),
        }
    }
    if let Some((via, RawVia::NotYet(word))) = raw.boot.via.as_ref().map(|v| (v, v.value)) {
        refuse(&format!("`via: {word}`"), &via.at);
    }
}
