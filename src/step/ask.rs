//! What a step may ask of the world, what may come back, and what it may tell the world to do.

use crate::model::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A question that changes nothing, however often it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// The inventory's record of a node.
    Node(NodeId),
    /// One look at the BMC: power, who answers, boot progress.
    System(NodeId),
    /// The same as a proof that it is Off: whoever answers from records asks the machine itself.
    Off(NodeId),
    /// What the adapters' firmware opens, of the boot configuration that the BMC holds.
    Boot(NodeId),
    /// That and its boot override.
    BootAndOverride(NodeId),
    /// Only its boot override, which the look at the system shows as well.
    Override(NodeId),
    /// Where a connector is recorded.
    Connector(ConnectorId),
    /// Where a target is recorded.
    Target(TargetId),
    /// Other records of the same volume.
    SameVolume(TargetId),
    /// The targets that are recorded at a node.
    TargetsAt(NodeId),
    /// Run the check of a hook.
    Check(Box<HookCall>),
    /// A fence agent's `status`.
    Plug(Box<AgentCall>),
    /// The latest attestation that the node is off.
    Attestation(NodeId),
}

/// What was seen. Every query gets one, in the order in which they were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The record, and how long a power command of any run may still take to land on the node.
    Node(Arc<Node>, Option<Span>),
    System(SystemReading),
    Boot(BootSettings),
    /// The node at which the connector or target is recorded.
    At(NodeId),
    /// Nodes with the same volume.
    AlsoAt(Vec<NodeId>),
    /// What is recorded at the node.
    Targets(Vec<TargetId>),
    Check(HookResult),
    Plug(PlugState),
    Attestation(Option<Box<Attestation>>),
    /// It could not be seen. Never the same as "no".
    Unreadable(Fault),
}

/// One thing to do. Repeating it must be harmless, hooks with `rerun: never` excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Change(Change),
    Reset {
        node: NodeId,
        reset: ResetType,
    },
    SetBoot {
        node: NodeId,
        settings: BootSettings,
    },
    Hook(Box<HookCall>),
    SetRestorePolicy {
        node: NodeId,
        policy: PowerRestorePolicy,
    },
    /// Fence agents are told `off`, all at once.
    Agents(Vec<AgentCall>),
    /// The latest attestation for the node is bound to the holder: compare and set.
    UseAttestation {
        node: NodeId,
        holder: Holder,
    },
}

/// A hook's action with what is known when it is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    pub hook: Hook,
    pub action: HookAction,
    pub context: HookContext,
}

/// Is it so, may I act, must I wait, or must I stop?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Satisfied,
    Act,
    Wait(Reason),
    Refuse(Reason),
    /// The fence goes on at this level of its own: 0 is the BMC's.
    Level(u32, Reason),
}

/// How a step is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    Nothing,
    Steps(Vec<super::Step>),
    /// From here nothing goes back by itself.
    Never,
}

/// A machine as a step names it: enough to ask its BMC who it is and to tell a person which one is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    pub node: NodeId,
    pub name: String,
    /// What its BMC must say of itself.
    pub identity: Identity,
    /// A service keeps its record and drives its BMC: what is read of its power are records, and a proof that it is Off has
    /// to be asked for ([`Query::Off`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl Machine {
    /// The look that can prove it Off (rule S1).
    pub fn off(&self) -> Query {
        if self.kept { Query::Off(self.node) } else { Query::System(self.node) }
    }
}

/// The two ends of a switchover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    pub source: Machine,
    pub destination: Machine,
}

/// What a step must know of the run that carries it out.
#[derive(Clone, Debug)]
pub struct Context {
    pub holder: Holder,
    /// A command of this step may already be on its way: its intent is in the journal.
    pub begun: bool,
    /// A command of this attempt was answered to this very process.
    pub sent: bool,
    /// Looks since then, this one not counted.
    pub looks: u32,
    /// From 0.
    pub attempt: u32,
    /// Position in the switchover, from 1, for hooks.
    pub number: u32,
    /// The level at which the fence is.
    pub level: u32,
    /// What may stand in for a look at a silent source.
    pub stand_in: StandIn,
    /// For what expires.
    pub now: Time,
    /// When the source was last seen or told On, or took its question back from another voucher.
    pub spoke: Option<Time>,
    /// Agent and plug of those that vouch now: they can be asked again.
    pub vouchers: Vec<(String, String)>,
}

/// The recorded fence, where another than the BMC vouched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StandIn {
    /// None, or one that ended when the source was seen or told On.
    #[default]
    None,
    Holds,
    /// The attestation that it rests on has come to its end.
    Expired(Reason),
}

impl Context {
    /// Before anything was begun.
    pub fn fresh(holder: Holder, number: u32, now: Time) -> Context {
        Context {
            holder,
            begun: false,
            sent: false,
            looks: 0,
            attempt: 0,
            number,
            level: 0,
            stand_in: StandIn::None,
            now,
            spoke: None,
            vouchers: Vec::new(),
        }
    }
}

/// How long to wait for what, how often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a command may take to come true before it is sent again.
    pub settle: Span,
    /// How long to put up with a look that says "wait".
    pub wait: Span,
    /// The same where somebody else may be asked, or the step may be left undone.
    pub silent: Span,
    pub attempts_max: u32,
    /// Keep trying until this much time has gone since the first attempt, whatever `attempts_max` says.
    pub until: Option<Span>,
    /// This many looks in a row must be satisfied, so far apart.
    pub reads: u32,
    pub apart: Span,
}

/// An inventory answers at once or not at all.
const RECORD_SETTLE: Span = Span::secs(10);
/// A BMC that restarts answers 404 or nothing for some minutes (infra-controller #2886): unknown, not "no".
pub(super) const SILENCE: Span = Span::mins(5);
/// On is refused for a while just after Off (iDRAC 10, PRIMEQUEST 4400E), connections drop, services answer 503: with
/// doubling pauses from one second, six attempts span about half a minute on top of their settling.
const ATTEMPTS: u32 = 6;

impl Patience {
    pub const RECORD: Patience = Patience {
        settle: RECORD_SETTLE,
        wait: SILENCE,
        silent: SILENCE,
        attempts_max: ATTEMPTS,
        until: None,
        reads: 1,
        apart: Span::ZERO,
    };

    /// For a command to a BMC that shows within `settle`.
    pub const fn device(settle: Span) -> Patience {
        Patience { settle, wait: SILENCE, silent: SILENCE, attempts_max: ATTEMPTS, until: None, reads: 1, apart: Span::ZERO }
    }
}
