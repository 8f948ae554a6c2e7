//! An order becomes port calls, and what they gave becomes an input.

use crate::engine::{Input, Order};
use crate::model::*;
use crate::ports::{Bmc, Clock, HookRunner, Inventory, Store};
use crate::step::{Command, Observation, Query};
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
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
}

pub struct Carrier {
    ports: Ports,
    endpoints: BTreeMap<NodeId, Arc<BmcEndpoint>>,
}

/// Adapters have limits of their own; this one is for an adapter that forgets. Longer than any of theirs but a hook's.
const PORT_LIMIT: Duration = Duration::from_secs(120);

/// Machines take seconds to start; readings that lie further apart than this do not speak of one moment.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
const PANICKED: &str = "a bug in coldswap: the adapter panicked; see the log";

impl Carrier {
    pub fn new(ports: Ports, fleet: &Fleet) -> Carrier {
        let endpoints = fleet.nodes.values().map(|n| (n.id, Arc::new(n.bmc.clone()))).collect();
        Carrier { ports, endpoints }
    }

    fn endpoint(&self, node: NodeId) -> Result<Arc<BmcEndpoint>, Fault> {
        self.endpoints.get(&node).cloned().ok_or_else(|| Fault::refused(format!("node {node} is not in the inventory any more")))
    }

    /// One look: all of it at the same time, each system read once. Where the answers lie far apart it is not the same
    /// look any more, and what was read of power is thrown away (rule S1).
    async fn look_all(&self, queries: &[Query]) -> Vec<Observation> {
        let began = std::time::Instant::now();
        let mut systems: Vec<NodeId> = queries.iter().filter_map(system_of).collect();
        systems.sort_unstable();
        systems.dedup();
        let readings = futures_util::future::join_all(systems.iter().map(|id| self.read(*id)));
        let rest = futures_util::future::join_all(queries.iter().map(|query| self.look_beside(query)));
        let (readings, rest) = futures_util::future::join(readings, rest).await;
        let apart = began.elapsed() > LOOK_LIMIT && queries.len() > 1;
        let reading = |id: NodeId| systems.binary_search(&id).map_err(|_| Fault::transient("not read")).and_then(|at| readings[at].clone());
        let together = |(query, beside): (&Query, Result<Beside, Fault>)| {
            Ok(match (query, beside?) {
                (_, Beside::All(seen)) => seen,
                (Query::System(_), _) if apart => return Err(Fault::transient("the answers of one look came too far apart")),
                (Query::System(id), _) => Observation::System(reading(*id)?),
                (query, Beside::Iscsi(iscsi)) => {
                    let seen = system_of(query).map(reading).transpose()?;
                    Observation::Boot(BootSettings { iscsi, boot_override: seen.map(|s| s.boot_override) })
                }
            })
        };
        queries.iter().zip(rest).map(|pair| together(pair).unwrap_or_else(Observation::Unreadable)).collect()
    }

    async fn read(&self, id: NodeId) -> Result<SystemReading, Fault> {
        let endpoint = self.endpoint(id)?;
        limited(self.ports.bmc.read(&endpoint), Fault::transient).await
    }

    /// What a query asks beside the reading of a system.
    async fn look_beside(&self, query: &Query) -> Result<Beside, Fault> {
        let inventory = &self.ports.inventory;
        Ok(Beside::All(match query {
            Query::Node(id) => {
                let node = limited(inventory.node(*id), Fault::transient).await?;
                let left = node.power_mark.map(|m| m.lands_by.since(self.ports.clock.now())).filter(|left| *left > Span::ZERO);
                Observation::Node(Arc::new(node), left)
            }
            Query::System(_) | Query::Override(_) => return Ok(Beside::Iscsi(None)),
            Query::Boot(id) => {
                let endpoint = self.endpoint(*id)?;
                return limited(self.ports.bmc.iscsi_boot(&endpoint), Fault::transient).await.map(Beside::Iscsi);
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
            Query::Check(call) => Observation::Check(self.ports.hooks.run(&call.hook, &call.action, &call.context).await?),
        }))
    }

    async fn act(&self, command: &Command) -> Result<Option<HookResult>, Fault> {
        match command {
            Command::Change(change) => limited(self.ports.inventory.change(change), Fault::unknown).await?,
            Command::Reset { node, reset } => {
                let endpoint = self.endpoint(*node)?;
                limited(self.ports.bmc.reset(&endpoint, *reset), Fault::unknown).await?;
            }
            Command::SetBoot { node, settings } => {
                let endpoint = self.endpoint(*node)?;
                limited(self.ports.bmc.set_boot(&endpoint, settings), Fault::unknown).await?;
            }
            Command::Hook(call) => return self.ports.hooks.run(&call.hook, &call.action, &call.context).await.map(Some),
        }
        Ok(None)
    }
}

/// What a query asks beside the reading of a system.
enum Beside {
    All(Observation),
    Iscsi(Option<IscsiBoot>),
}

/// The node whose system a query wants read.
fn system_of(query: &Query) -> Option<NodeId> {
    match query {
        Query::System(id) | Query::Boot(id) | Query::Override(id) => Some(*id),
        _ => None,
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, Fault>>, fault: fn(String) -> Fault) -> Result<T, Fault> {
    match tokio::time::timeout(PORT_LIMIT, work).await {
        Ok(result) => result,
        Err(_) => Err(fault(format!("no answer within {} s", PORT_LIMIT.as_secs()))),
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
