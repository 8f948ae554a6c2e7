//! The edges: what the executor needs of the world, as traits over the nouns of [`crate::model`].
//!
//! Notes for implementors
//! - A port never decides. It says what it saw, or what became of a request, and lets the engine judge.
//! - [`FaultKind`](crate::model::FaultKind) is chosen with care: `Unknown` whenever the request may have reached the
//!   other side, `Transient` only when it certainly did not take effect, `Refused` when the other side said no.
//! - Nothing that changes anything is repeated inside a port. Reads may be, within the limits given.
//! - No secret in a fault's detail.
//! - What changes anything takes a [`Deadline`] and tests it last of all before the bytes leave.

mod lease;
pub mod seam;

pub use lease::{Deadline, Lease, RunLease};

use crate::model::*;
use async_trait::async_trait;
use std::sync::Arc;

/// Nodes, connectors, targets. Knows no runs but as holders of nodes.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Everything, at one instant.
    async fn fleet(&self) -> Result<Fleet, Fault>;
    async fn node(&self, id: NodeId) -> Result<Arc<Node>, Fault>;
    async fn connector(&self, id: ConnectorId) -> Result<VolumeConnector, Fault>;
    async fn target(&self, id: TargetId) -> Result<VolumeTarget, Fault>;
    /// Every target in the inventory that shares an identity with this one, itself left out.
    async fn same_volume(&self, id: TargetId) -> Result<Vec<VolumeTarget>, Fault>;
    /// The targets that are recorded at a node, of whatever kind: what an undeployment there would delete.
    async fn targets_at(&self, id: NodeId) -> Result<Vec<TargetId>, Fault> {
        Ok(self.fleet().await?.targets_of(id).into_iter().map(|t| t.id).collect())
    }
    /// Compare and set. `Refused` when what the change expects does not hold, and, in the same transaction, when the
    /// deadline's token is not the newest of the holder's run.
    async fn change(&self, change: &Change, deadline: &Deadline) -> Result<(), Fault>;
    /// Remember what a BMC said of itself (facts, identity where none is known, abilities).
    async fn learn(&self, id: NodeId, report: &SystemReport, at: Time) -> Result<(), Fault>;
}

/// Baseboard management controllers.
#[async_trait]
pub trait Bmc: Send + Sync {
    /// One look at the system: power, who answers, boot progress, override.
    async fn read(&self, at: &BmcEndpoint) -> Result<SystemReading, Fault>;
    /// A look that is to prove the machine Off (rule S1). Where reading asks the machine's own BMC, reading is all that there
    /// is to it. A service that answers from its records must ask the machine by a means that starts nothing: for Ironic that
    /// is `power off`, sent only where the record says off and nothing is under way. An On, and a change under way, are told
    /// as they are and nothing is sent.
    async fn confirm_off(&self, at: &BmcEndpoint, _deadline: &Deadline) -> Result<SystemReading, Fault> {
        self.read(at).await
    }
    /// So long is it waited for in a look that asks others too.
    fn read_limit(&self) -> std::time::Duration {
        std::time::Duration::from_secs(9)
    }
    /// Did anything come back from this BMC since then, whatever became of it? One that was given up because it took too
    /// long is silent only if nothing did (rule S1).
    fn heard(&self, _at: &BmcEndpoint, _since: std::time::Instant) -> bool {
        false
    }
    /// Facts and abilities, as far as they are asked for.
    async fn report(&self, at: &BmcEndpoint, asked: Further) -> Result<SystemReport, Fault>;
    /// The same with everything that only a full reading gives ([`Depth::Full`]): some dozens of requests.
    async fn survey(&self, at: &BmcEndpoint) -> Result<SystemReport, Fault> {
        self.report(at, Further::ALL).await
    }
    /// Paths of the systems behind this BMC that are machines of their own.
    async fn systems(&self, at: &BmcEndpoint) -> Result<Vec<String>, Fault> {
        Ok(at.system.iter().cloned().collect())
    }
    /// Send one reset and nothing else. `Ok` means only that the BMC accepted it.
    async fn reset(&self, at: &BmcEndpoint, reset: ResetType, deadline: &Deadline) -> Result<(), Fault>;
    /// The same, where the other side is told how long the operating system may take. A BMC is not: it asks the system and leaves
    /// it at that. Ironic waits so long itself, and lets nobody else at the node meanwhile.
    async fn reset_within(&self, at: &BmcEndpoint, reset: ResetType, _within: Option<Span>, deadline: &Deadline) -> Result<(), Fault> {
        self.reset(at, reset, deadline).await
    }
    /// The iSCSI boot configuration. `None`: no adapter function has one.
    async fn iscsi_boot(&self, at: &BmcEndpoint) -> Result<Option<IscsiBoot>, Fault>;
    /// The boot override, where a look at the system does not show it. `None`: it does.
    async fn boot_override(&self, _at: &BmcEndpoint) -> Result<Option<BootOverride>, Fault> {
        Ok(None)
    }
    /// Write what is `Some` and leave the rest alone.
    async fn set_boot(&self, at: &BmcEndpoint, settings: &BootSettings, deadline: &Deadline) -> Result<(), Fault>;
    /// Write `PowerRestorePolicy`: what the machine does when mains power returns.
    async fn set_restore_policy(&self, at: &BmcEndpoint, policy: PowerRestorePolicy, deadline: &Deadline) -> Result<(), Fault>;
    /// Log out everywhere. Errors are of no consequence.
    async fn close(&self);
}

/// Runs one hook once. `Err` is for what kept it from being started (`Transient`, `Refused`) or from being observed
/// (`Unknown`); a hook that ran and failed is an `Ok` with `succeeded: false`.
#[async_trait]
pub trait HookRunner: Send + Sync {
    async fn run(&self, hook: &Hook, action: &HookAction, context: &HookContext, deadline: &Deadline) -> Result<HookResult, Fault>;
}

/// Fence agents, by the ClusterLabs FenceAgentAPI.
#[async_trait]
pub trait FenceAgent: Send + Sync {
    /// Send `off` once. `Ok` means only that the agent says that it succeeded.
    async fn off(&self, call: &AgentCall, deadline: &Deadline) -> Result<(), Fault>;
    /// Ask for `status`. Changes nothing. Everything but a clear on or off is a fault.
    async fn status(&self, call: &AgentCall) -> Result<PlugState, Fault>;
    /// What the agent knows: asks no device.
    async fn metadata(&self, name: &str) -> Result<AgentMetadata, Fault>;
}

/// What people vouch for.
#[async_trait]
pub trait Attestations: Send + Sync {
    /// The latest one for a node, used and expired ones included.
    async fn attestation(&self, node: NodeId) -> Result<Option<Attestation>, Fault>;
    /// Bind the latest one for a node to a switchover ([`Attestation::bind`]), in one transaction.
    async fn use_attestation(&self, node: NodeId, holder: &Holder, now: Time, deadline: &Deadline) -> Result<(), Fault>;
}

/// Where a secret's text comes from. Called at the moment of use.
pub trait Secrets: Send + Sync {
    fn reveal(&self, secret: &SecretRef) -> Result<secrecy::SecretString, Fault>;
}

/// The executor's clock: microseconds that never go backwards within a process and count on while it is stopped or the
/// machine sleeps (the boot-time clock): leases end by it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;
}

/// One durable record of a run: what the journal is made of. `body` is JSON whose shape the engine owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub at: Time,
    pub body: String,
}

/// What the store remembers of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    pub id: RunId,
    pub plan: PlanId,
    pub created_at: Time,
    /// `running`, `finished`, `parked`: for listings; the journal decides.
    pub status: String,
    /// The runbook's name.
    pub name: String,
}

/// Durable memory of plans, runs and journals.
///
/// Notes for implementors: [`Store::append`] returns only when the records would survive a power cut. A store has one
/// id from its birth. Columns are text, integers and blobs only, so that every backend has the same shape.
pub trait Store: Send + Sync {
    fn id(&self) -> StoreId;
    /// A fresh plan id.
    fn next_plan_id(&self) -> Result<PlanId, StoreError>;
    fn save_plan(&self, id: &PlanId, created_at: Time, json: &str) -> Result<(), StoreError>;
    fn load_plan(&self, id: &PlanId) -> Result<Option<String>, StoreError>;
    /// Begin a run of a plan. A plan is single use: a second run of it is refused with [`StoreError::Used`].
    fn begin_run(&self, plan: &PlanId, name: &str, now: Time) -> Result<RunId, StoreError>;
    fn runs(&self) -> Result<Vec<RunRow>, StoreError>;
    fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError>;
    /// Refused with [`StoreError::Superseded`] when `token` is not the newest.
    fn set_status(&self, id: &RunId, token: u64, status: &str) -> Result<(), StoreError>;
    /// Append to a run's journal and set the power marks of nodes, in one commit. `token`: of the lease under which the
    /// run is executed, 0 for a run that never was; any but the newest is refused with [`StoreError::Superseded`] in the
    /// same commit.
    fn append(&self, run: &RunId, token: u64, records: &[Record], marks: &[(NodeId, PowerMark)]) -> Result<(), StoreError>;
    fn journal(&self, run: &RunId) -> Result<Vec<Record>, StoreError>;
    /// The last power command that any run of this store sent to the node (rule S6).
    fn power_mark(&self, node: NodeId) -> Result<Option<PowerMark>, StoreError>;
    /// These machines were seen On at that time: no attestation from before it counts for anybody any more.
    fn withdraw(&self, run: &RunId, token: u64, seen_on: &[(NodeId, Time)]) -> Result<(), StoreError>;
    /// Put a request into a run's mailbox; its number. Durable when it returns.
    fn post(&self, run: &RunId, at: Time, by: &str, request: &Request) -> Result<u64, StoreError>;
    /// Requests with a number above `after`, in order.
    fn inbox(&self, run: &RunId, after: u64) -> Result<Vec<Posted>, StoreError>;
    /// Execute a run that nobody executes, for `length` at first. [`StoreError::Locked`] where a process holds it,
    /// stopped or not; the lock goes with that process, however it ends.
    fn lock_run(&self, run: &RunId, length: Span) -> Result<RunLease, StoreError>;
    /// [`StoreError::Locked`] while a process executes the run, stopped or not. Writes nothing.
    fn test_lock(&self, run: &RunId) -> Result<(), StoreError>;
    /// The last executor of a run, living or dead.
    fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError>;
    /// Refused with [`StoreError::Superseded`] when `token` is not the newest. A lease that has ended and was not taken
    /// is renewed like any other.
    fn renew(&self, run: &RunId, token: u64, length: Span) -> Result<(), StoreError>;
    /// Take the run from an executor whose lease has ended, its lock notwithstanding. For `quiet` from now on nobody may
    /// look at anything. [`StoreError::Alive`] where the lease has not ended or was renewed since `from` was read; whether
    /// a lease of another clock (`from.left` is `None`) has ended, the caller must know.
    fn take_over(&self, from: &Lease, length: Span, quiet: Span) -> Result<RunLease, StoreError>;
}

/// Our own disk. Nothing goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("plan `{plan}` was already used by run `{run}`; make a new plan")]
    Used { plan: PlanId, run: RunId },
    #[error("run `{run}` is being executed by another process{}", .by.as_ref().map(|by| format!(": {by}, {}", lease_words(by))).unwrap_or_default())]
    Locked { run: RunId, by: Option<Box<Lease>> },
    #[error("run `{run}` is not taken over: {by}, is alive and has renewed its lease")]
    Alive { run: RunId, by: Box<Lease> },
    #[error("run `{run}` was taken over by another process: {by}")]
    Superseded { run: RunId, by: Box<Lease> },
    #[error("store: {0}")]
    Failed(String),
    #[error("{path}: store format {found} is not one that this version reads (it reads {known}); {hint}")]
    Format { path: String, found: i64, known: i64, hint: String },
}

fn lease_words(lease: &Lease) -> String {
    match lease.left {
        Some(Span::ZERO) => "whose lease has ended".to_owned(),
        Some(left) => format!("lease for another {} s", left.0.div_ceil(1000)),
        None => "with a lease by another clock".to_owned(),
    }
}
