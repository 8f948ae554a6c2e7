//! What went wrong out there, as data that survives in a journal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of a request that did not end well. The engine branches on this and on nothing else of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It did not happen; trying again may help.
    Transient,
    /// It did not happen; the other side said no.
    Refused,
    /// Nobody knows whether it happened.
    Unknown,
    /// For reads: the other side is there and said nothing that can be used (404, 5xx, no JSON). Trying again may help, and
    /// it is no silence: nobody else is believed in its place.
    Answered,
}

/// A fault with words for people. `detail` never holds a secret: adapters build it from addresses, paths, status
/// codes and the other side's message, never from a request's headers or body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    pub kind: FaultKind,
    pub detail: String,
}

impl Fault {
    pub fn transient(detail: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Transient, detail: detail.into() }
    }
    pub fn refused(detail: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Refused, detail: detail.into() }
    }
    pub fn answered(detail: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Answered, detail: detail.into() }
    }
    /// Nobody was heard, so that somebody else may be asked.
    pub fn is_silence(&self) -> bool {
        matches!(self.kind, FaultKind::Transient | FaultKind::Unknown)
    }
    pub fn unknown(detail: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Unknown, detail: detail.into() }
    }
}

/// Why a step waits or refuses, or a switchover ended as it did. `code` is stable and documented; `text` is for the
/// person on call and names the node and the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    pub code: ReasonCode,
    pub text: String,
}

impl Reason {
    pub fn new(code: ReasonCode, text: impl Into<String>) -> Reason {
        Reason { code, text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Every reason that the engine may have to stop short. Wire names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The source was read On where it must be Off (S1).
    SourceOn,
    /// The destination was read On before anything of ours could have started it.
    DestinationOn,
    /// Another machine answers at the BMC's address than the inventory names.
    WrongMachine,
    /// The BMC says Off but nothing tells which machine it speaks for.
    Unidentified,
    /// The BMC does not answer, or not in a way that can be read.
    Silent,
    /// A power state that is neither Off nor On.
    InTransition,
    /// A power command of an earlier run may still land.
    Landing,
    /// Another run or switchover holds the node.
    Reserved,
    /// A fact or generation that the plan rests on has changed.
    Stale,
    /// The node is in maintenance for somebody else's reason.
    Maintenance,
    /// A connector or target is at neither end of its move.
    Elsewhere,
    /// The volume is attached to a third node as well.
    SecondAttachment,
    /// It was told and did not come true within its limit.
    TimedOut,
    /// Every attempt that the plan allows has failed.
    Exhausted,
    /// The other side said no and no look showed otherwise.
    Refused,
    /// A hook failed.
    HookFailed,
    /// A hook may or may not have run and must not run twice (S4).
    HookUnknown,
    /// The plan forbids the reset type that would be needed.
    HardOffForbidden,
    /// A person asked for it.
    Asked,
    /// A limit of the runbook stopped new starts.
    Limit,
    /// The BMC of the source is silent, or says Off without saying of which machine, and something else may vouch.
    NoVoucher,
    /// A fence agent cannot tell whether its plug is off.
    FenceAgent,
    /// Nobody has attested that the source is off, or the attestation is used or expired.
    NotAttested,
    /// The attestation that a fence rests on has expired.
    FenceExpired,
    /// It is not predicted to end inside a window.
    Window,
    /// The look contradicts what a person said.
    Contradicted,
    /// The destination's boot configuration is not the one that was set, just before the start.
    BootChanged,
    /// The service that keeps the node is at work on it (deploying, adopting, undeploying).
    Provisioning,
    /// The service has the node in a provision state that no step leads out of.
    ProvisionState,
    /// Somebody else's instance stands at the destination.
    ForeignInstance,
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_value(self).ok();
        f.write_str(text.as_ref().and_then(|v| v.as_str()).unwrap_or("reason"))
    }
}
