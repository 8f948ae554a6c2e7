//! An order becomes port calls, and what they gave becomes an input.

use crate::engine::{Input, Order};
use crate::model::*;
use crate::plan::Plan;
use crate::ports::{Attestations, Bmc, Clock, Deadline, FenceAgent, HookRunner, Inventory, Store};
use crate::step::{Command, HookCall, Observation, Query, Step};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

/// Everything that the executor may touch.
#[derive(Clone)]
pub struct Ports {
    pub inventory: Arc<dyn Inventory>,
    pub bmc: Arc<dyn Bmc>,
    pub hooks: Arc<dyn HookRunner>,
    pub agents: Arc<dyn FenceAgent>,
    pub attestations: Arc<dyn Attestations>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
}

pub struct Carrier {
    ports: Ports,
    endpoints: BTreeMap<NodeId, Arc<BmcEndpoint>>,
    /// How long operating systems may take to shut down.
    soft: BTreeMap<NodeId, Span>,
    deadline: Deadline,
    began: std::time::Instant,
}

/// Adapters have limits of their own; this one is for an adapter that forgets. Longer than any of theirs but a hook's.
const PORT_LIMIT: Duration = Duration::from_secs(120);

/// Machines take seconds to start; readings that lie further apart than this do not speak of one moment.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
const PANICKED: &str = "a bug in coldswap: the adapter panicked; see the log";

impl Carrier {
    /// Every order that it carries ends with `deadline`.
    pub fn new(ports: Ports, plan: &Plan, fleet: &Fleet, deadline: Deadline) -> Carrier {
        let endpoints = fleet.nodes.values().map(|n| (n.id, Arc::new(n.bmc.clone()))).collect();
        let steps = plan.switchovers.iter().flat_map(|s| &s.steps);
        let soft = steps.filter_map(|step| if let Step::PowerOff(off) = step { Some((off.machine.node, off.soft?)) } else { None });
        Carrier { ports, endpoints, soft: soft.collect(), deadline, began: std::time::Instant::now() }
    }

    fn endpoint(&self, node: NodeId) -> Result<Arc<BmcEndpoint>, Fault> {
        self.endpoints.get(&node).cloned().ok_or_else(|| Fault::refused(format!("node {node} is not in the inventory any more")))
    }

    /// One look: all of it at the same time, each system read once. Where the answers lie far apart it is not the same
    /// look any more, and what was read of power is thrown away (rule S1), but for an On: that is believed whenever it was
    /// read. Agents take their time, and their answers are evidence of their own.
    async fn look_all(&self, queries: &[Query]) -> Vec<Observation> {
        // A look changes nothing, but who has no lease has no business with the machines either.
        if let Err(fault) = self.deadline.test("a look") {
            return vec![Observation::Unreadable(fault); queries.len()];
        }
        let began = std::time::Instant::now();
        let several = queries.len() > 1;
        let mut systems: Vec<(NodeId, Asked)> = queries.iter().filter_map(system_of).collect();
        systems.sort_unstable();
        systems.dedup();
        let readings = futures_util::future::join_all(systems.iter().map(|(id, asked)| self.read(*id, *asked)));
        let rest = futures_util::future::join_all(queries.iter().map(|query| self.look_beside(query, several)));
        let (readings, rest) = futures_util::future::join(readings, rest).await;
        let agents = queries.iter().any(|q| matches!(q, Query::Plug(_)));
        let apart = began.elapsed() > LOOK_LIMIT && several && !agents;
        let reading = |asked: (NodeId, Asked)| {
            systems.binary_search(&asked).map_err(|_| Fault::transient("not read")).and_then(|at| readings[at].clone())
        };
        let together = |(query, beside): (&Query, Result<Beside, Fault>)| {
            Ok(match (query, beside?) {
                (_, Beside::All(seen)) => seen,
                (Query::System(_) | Query::Off(_), _) => {
                    let reading = system_of(query).map_or_else(|| Err(Fault::transient("not read")), reading)?;
                    if apart && !reading.power.runs() {
                        return Err(Fault::answered("the answers of one look came too far apart"));
                    }
                    Observation::System(reading)
                }
                (_, Beside::Override(boot_override)) => Observation::Boot(BootSettings { iscsi: None, boot_override: Some(boot_override) }),
                (query, Beside::Iscsi(iscsi)) => {
                    let seen = system_of(query).map(reading).transpose()?;
                    Observation::Boot(BootSettings { iscsi, boot_override: seen.map(|s| s.boot_override) })
                }
            })
        };
        queries.iter().zip(rest).map(|pair| together(pair).unwrap_or_else(Observation::Unreadable)).collect()
    }

    /// What was sent in what is the future now, was sent before a clock was set back: it is counted from when this process
    /// began.
    fn landing_left(&self, mark: PowerMark) -> Span {
        let now = self.ports.clock.now();
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left = mark.left(now);
        if mark.sent_at > now { Span(left.0.saturating_sub(elapsed)) } else { left }
    }

    /// A BMC that is silent must not make the answers beside it too old, nor keep the next look waiting.
    async fn read(&self, id: NodeId, asked: Asked) -> Result<SystemReading, Fault> {
        let (endpoint, began) = (self.endpoint(id)?, std::time::Instant::now());
        let (bmc, limit) = (&self.ports.bmc, self.ports.bmc.read_limit());
        let seen = match asked {
            Asked::State => limited_to(limit, bmc.read(&endpoint), Fault::transient).await,
            Asked::Off => limited_to(limit, bmc.confirm_off(&endpoint, &self.deadline), Fault::transient).await,
        };
        seen.map_err(|fault| match fault.is_silence() && self.ports.bmc.heard(&endpoint, began) {
            true => Fault::answered(format!("{} (and yet it has answered)", fault.detail)),
            false => fault,
        })
    }

    /// What a query asks beside the reading of a system.
    async fn look_beside(&self, query: &Query, several: bool) -> Result<Beside, Fault> {
        let inventory = &self.ports.inventory;
        Ok(Beside::All(match query {
            Query::Node(id) => {
                let mut node = limited(inventory.node(*id), Fault::transient).await?;
                // A service keeps no marks of ours: the store does, for every node that was told anything.
                if node.kept_by.is_some() {
                    let mark = self.ports.store.power_mark(*id).map_err(|e| Fault::answered(e.to_string()))?;
                    Arc::make_mut(&mut node).power_mark = mark;
                }
                let left = node.power_mark.map(|mark| self.landing_left(mark)).filter(|left| *left > Span::ZERO);
                Observation::Node(node, left)
            }
            Query::System(_) | Query::Off(_) => return Ok(Beside::Iscsi(None)),
            Query::Override(id) => {
                let endpoint = self.endpoint(*id)?;
                let told = limited(self.ports.bmc.boot_override(&endpoint), Fault::transient).await?;
                return Ok(told.map_or(Beside::Iscsi(None), Beside::Override));
            }
            Query::Boot(id) | Query::BootAndOverride(id) => {
                let endpoint = self.endpoint(*id)?;
                let limit = if several { self.ports.bmc.read_limit() } else { PORT_LIMIT };
                return limited_to(limit, self.ports.bmc.iscsi_boot(&endpoint), Fault::transient).await.map(Beside::Iscsi);
            }
            Query::Connector(id) => Observation::At(limited(inventory.connector(*id), Fault::transient).await?.node),
            Query::Target(id) => Observation::At(limited(inventory.target(*id), Fault::transient).await?.node),
            Query::SameVolume(id) => {
                let (own, same) = futures_util::future::join(
                    limited(inventory.target(*id), Fault::transient),
                    limited(inventory.same_volume(*id), Fault::transient),
                )
                .await;
                let (own, same) = (own?, same?);
                let elsewhere = same.iter().map(|t| t.node).filter(|n| *n != own.node && !own.shareable);
                Observation::AlsoAt(elsewhere.collect())
            }
            Query::TargetsAt(id) => Observation::Targets(limited(inventory.targets_at(*id), Fault::transient).await?),
            Query::Plug(call) => Observation::Plug(self.ports.agents.status(call).await?),
            Query::Attestation(id) => {
                Observation::Attestation(limited(self.ports.attestations.attestation(*id), Fault::transient).await?.map(Box::new))
            }
            Query::Check(call) => Observation::Check(self.hook(call).await?),
        }))
    }

    async fn hook(&self, call: &HookCall) -> Result<HookResult, Fault> {
        self.ports.hooks.run(&call.hook, &call.action, &call.context, &self.deadline).await
    }

    async fn act(&self, command: &Command) -> Result<Option<HookResult>, Fault> {
        // The adapters test it again at the write; this spares the reads that come before one.
        self.deadline.test("an order")?;
        match command {
            Command::Change(change) => limited(self.ports.inventory.change(change, &self.deadline), Fault::unknown).await?,
            Command::Reset { node, reset } => {
                let endpoint = self.endpoint(*node)?;
                let within = self.soft.get(node).copied().filter(|_| *reset == ResetType::GracefulShutdown);
                limited(self.ports.bmc.reset_within(&endpoint, *reset, within, &self.deadline), Fault::unknown).await?;
            }
            Command::SetBoot { node, settings } => {
                let endpoint = self.endpoint(*node)?;
                limited(self.ports.bmc.set_boot(&endpoint, settings, &self.deadline), Fault::unknown).await?;
            }
            Command::SetRestorePolicy { node, policy } => {
                let endpoint = self.endpoint(*node)?;
                limited(self.ports.bmc.set_restore_policy(&endpoint, *policy, &self.deadline), Fault::unknown).await?;
            }
            Command::Agents(calls) => {
                // All at once: a machine with two feeds must not be left on one for longer than need be.
                let told = futures_util::future::join_all(calls.iter().map(|c| self.ports.agents.off(c, &self.deadline))).await;
                told.into_iter().collect::<Result<Vec<()>, Fault>>()?;
            }
            Command::UseAttestation { node, holder } => {
                let now = self.ports.clock.now();
                limited(self.ports.attestations.use_attestation(*node, holder, now, &self.deadline), Fault::unknown).await?;
            }
            Command::Hook(call) => return self.hook(call).await.map(Some),
        }
        Ok(None)
    }
}

/// By what a test names a command that it wants to stop before.
pub fn word(command: &Command) -> &str {
    match command {
        Command::Change(_) => "change",
        Command::Reset { reset, .. } => reset.as_str(),
        Command::SetBoot { .. } => "set_boot",
        Command::SetRestorePolicy { .. } => "set_restore_policy",
        Command::Agents(_) => "agents",
        Command::UseAttestation { .. } => "use_attestation",
        Command::Hook(call) => &call.hook.name,
    }
}

/// What a query asks beside the reading of a system.
enum Beside {
    All(Observation),
    Iscsi(Option<IscsiBoot>),
    Override(BootOverride),
}

/// How a system is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    State,
    Off,
}

/// The node whose system a query wants read.
fn system_of(query: &Query) -> Option<(NodeId, Asked)> {
    match query {
        Query::System(id) | Query::BootAndOverride(id) | Query::Override(id) => Some((*id, Asked::State)),
        Query::Off(id) => Some((*id, Asked::Off)),
        _ => None,
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, Fault>>, fault: fn(String) -> Fault) -> Result<T, Fault> {
    limited_to(PORT_LIMIT, work, fault).await
}

async fn limited_to<T>(limit: Duration, work: impl Future<Output = Result<T, Fault>>, fault: fn(String) -> Fault) -> Result<T, Fault> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(fault(format!("no answer within {} s", limit.as_secs()))),
    }
}

/// Orders under way. When the loop ends they are given up: nothing is sent for a run whose lock has been let go.
pub struct Errands {
    carrier: Arc<Carrier>,
    heard: UnboundedSender<Input>,
    tasks: JoinSet<()>,
}

impl Errands {
    pub fn new(carrier: Carrier, heard: UnboundedSender<Input>) -> Errands {
        Errands { carrier: Arc::new(carrier), heard, tasks: JoinSet::new() }
    }

    /// Carry an order out and tell the loop.
    pub fn send(&mut self, order: Order) {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(carry(Arc::clone(&self.carrier), order, self.heard.clone()));
    }
}

async fn carry(carrier: Arc<Carrier>, order: Order, heard: UnboundedSender<Input>) {
    // A port that panics must not leave its switchover waiting for ever.
    let input = match order {
        Order::Look(ticket, queries) => {
            let seen = AssertUnwindSafe(carrier.look_all(&queries)).catch_unwind().await;
            Input::Seen(ticket, seen.unwrap_or_else(|_| vec![Observation::Unreadable(Fault::transient(PANICKED)); queries.len()]))
        }
        Order::Act(ticket, command) => {
            let told = AssertUnwindSafe(carrier.act(&command)).catch_unwind().await;
            Input::Told(ticket, told.unwrap_or_else(|_| Err(Fault::unknown(PANICKED))))
        }
    };
    let _ = heard.send(input);
}
