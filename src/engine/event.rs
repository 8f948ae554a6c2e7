//! The journal's vocabulary. Durable facts, in the order in which they became true; everything that is shown of a run
//! is a fold of them. Wire names are stable, and [`JOURNAL_FORMAT`] says which reader they need.

use crate::model::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Raised whenever an event of the version before could be misread.
pub const JOURNAL_FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first record of every journal.
    RunStarted {
        run: RunId,
        plan: PlanId,
        journal_format: u32,
    },
    /// Another process took the run up again.
    RunResumed,
    /// Another process took the run from one that held it and did not go on with it. Tokens count the run's executors;
    /// nothing is looked at before `first_look`, because what the other one sent may land until then.
    TakenOver {
        from: u64,
        token: u64,
        first_look: Time,
    },
    /// Nothing new starts; what is in flight goes on to its end.
    Paused {
        why: Reason,
        /// The executor waits for `resume` so long; absent: it leaves when nothing is in flight.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Voice>,
    },
    /// A pause was lifted.
    Continued {
        by: Voice,
    },
    /// What holds waiting switchovers back has changed. Told when it changes, not as long as it lasts.
    Held {
        whom: Whom,
        /// Absent: nothing does any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limit>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Nothing starts before this is decided, by somebody or, at `until`, by its default.
    Asked {
        matter: Matter,
        until: Time,
        default: String,
    },
    Decided {
        matter: Matter,
        choice: String,
        /// Absent: nobody answered in time, and the declared default counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Voice>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Somebody wants it taken back: one switchover, or all that can be.
    Recalled {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whom: Option<SwitchoverId>,
        by: Voice,
    },
    /// Somebody asked for what cannot be done.
    Declined {
        request: String,
        why: String,
        by: Voice,
    },
    /// Somebody says where the volumes of a switchover that ended stopped or in doubt are. A fresh look comes first.
    Resolved {
        switchover: SwitchoverId,
        moved: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        by: Voice,
    },
    /// Nothing is owed any more: both nodes were given back and put right.
    Settled {
        switchover: SwitchoverId,
    },
    /// A run that is taken up again tries once more what it left undone behind the point of no return.
    Mending {
        switchover: SwitchoverId,
    },
    Started {
        switchover: SwitchoverId,
    },
    /// Durable before the command leaves (rule S3). `step` counts from 1 along the path that is being walked.
    Intended {
        switchover: SwitchoverId,
        step: u32,
        attempt: u32,
        command: Told,
        /// What the look before it showed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        before: Vec<Read>,
    },
    Achieved {
        switchover: SwitchoverId,
        step: u32,
        how: How,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<Read>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookResult>,
        /// Who vouched that the source is off, where it was not its BMC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fence: Option<Voucher>,
    },
    /// The attempt came to nothing; another one follows.
    Retried {
        switchover: SwitchoverId,
        step: u32,
        attempt: u32,
        why: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookResult>,
    },
    /// The fence goes on at another of its levels: 0 is the BMC's.
    FenceLevel {
        switchover: SwitchoverId,
        step: u32,
        level: u32,
        why: Reason,
    },
    /// A hook failed and the runbook says to go on (`on_failure: continue`), an undo failed, or a step was left undone that
    /// may be.
    Tolerated {
        switchover: SwitchoverId,
        step: u32,
        why: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookResult>,
    },
    /// From here the begun steps are taken back, the last one first.
    RollingBack {
        switchover: SwitchoverId,
        why: Reason,
        /// The result of the hook that failed, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookResult>,
    },
    /// The source was seen On after the destination may have started: it is cut off at once.
    CuttingOff {
        switchover: SwitchoverId,
        why: Reason,
    },
    Finished {
        switchover: SwitchoverId,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Reason>,
        /// What is still owed, for the person who takes over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        debt: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookResult>,
    },
}

impl Event {
    /// The request that this event came of.
    pub fn voice(&self) -> Option<&Voice> {
        match self {
            Event::Paused { by, .. } | Event::Decided { by, .. } => by.as_ref(),
            Event::Continued { by } | Event::Recalled { by, .. } | Event::Declined { by, .. } | Event::Resolved { by, .. } => Some(by),
            _ => None,
        }
    }

    /// The switchover that a run-wide event is about as well, for those who tell it.
    pub fn about(&self) -> Option<SwitchoverId> {
        match self {
            Event::Held { whom: Whom::One(id), .. }
            | Event::Recalled { whom: Some(id), .. }
            | Event::Decided { matter: Matter::Prompt(id), .. } => Some(*id),
            other => other.switchover(),
        }
    }

    pub fn switchover(&self) -> Option<SwitchoverId> {
        match self {
            Event::RunStarted { .. }
            | Event::RunResumed
            | Event::TakenOver { .. }
            | Event::Paused { .. }
            | Event::Continued { .. }
            | Event::Held { .. }
            | Event::Asked { .. }
            | Event::Decided { .. }
            | Event::Recalled { .. }
            | Event::Declined { .. } => None,
            Event::Started { switchover }
            | Event::Intended { switchover, .. }
            | Event::Achieved { switchover, .. }
            | Event::Retried { switchover, .. }
            | Event::FenceLevel { switchover, .. }
            | Event::Tolerated { switchover, .. }
            | Event::RollingBack { switchover, .. }
            | Event::CuttingOff { switchover, .. }
            | Event::Resolved { switchover, .. }
            | Event::Settled { switchover }
            | Event::Mending { switchover }
            | Event::Finished { switchover, .. } => Some(*switchover),
        }
    }
}

/// A person who asked for something through the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    pub name: String,
    /// Number of the request in the run's mailbox. One that is in the journal is not acted upon again.
    pub request: u64,
}

/// Whom something holds back: the narrowest that applies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// Everything that waits.
    All,
    /// One priority group.
    Group(i64),
    One(SwitchoverId),
}

/// An event and when it happened. The time is for people; order is the journal's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Time,
    pub event: Event,
}

/// A command as the journal tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A reset type that is sent to a node's BMC.
    Reset {
        node: NodeId,
        reset: ResetType,
    },
    /// A change of the inventory.
    Change,
    /// A boot configuration.
    Boot,
    Hook,
    /// What a machine does when mains power returns.
    RestorePolicy,
    /// Fence agents that are told `off`: program and plug of each, without secrets.
    Agents(Vec<String>),
    /// An attestation is bound to the switchover.
    Attestation,
    /// A question to a person.
    Prompt,
    /// The service that keeps the node is asked to take it to another provision state, by the service's own word.
    Provision {
        node: NodeId,
        target: ProvisionTarget,
    },
}

/// Who vouched that a source is off whose BMC could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Voucher {
    /// Every reading of every plug that was counted.
    Agents(Vec<PlugRead>),
    Attestation {
        id: u64,
        by: String,
        reason: String,
        at: Time,
        /// It counts until then.
        until: Time,
    },
}

/// What an agent's `status` said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlugRead {
    pub at: Time,
    /// The program.
    pub agent: String,
    pub plug: String,
    pub state: PlugState,
}

/// One reading of a machine's power, as evidence: who read what, when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    pub at: Time,
    pub node: NodeId,
    pub power: PowerState,
    /// System UUID or serial number of the machine that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was so before anything was sent.
    AlreadySo,
    /// It was made so.
    Acted,
    /// It was found done by a process that took the run up again.
    FoundDone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    SwitchedOver,
    /// Everything begun was taken back.
    RolledBack,
    /// Halted where it is, in a known state; a person goes on from there.
    Stopped,
    /// Nobody knows all of its state; a person must look.
    InDoubt,
    /// Nothing but reservations was begun.
    Skipped,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::SwitchedOver => "switched_over",
            Outcome::RolledBack => "rolled_back",
            Outcome::Stopped => "stopped",
            Outcome::InDoubt => "in_doubt",
            Outcome::Skipped => "skipped",
        }
    }
}
