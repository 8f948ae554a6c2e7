//! An order becomes port calls, and what they gave becomes an input.

use crate::engine::{Input, Order};
use crate::model::*;
use crate::ports::{Bmc, Clock, Deadline, HookRunner, Inventory, Store};
use crate::step::{Command, HookCall, Observation, Query};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

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
    deadline: Deadline,
}

/// Adapters have limits of their own; this one is for an adapter that forgets. Longer than any of theirs but a hook's.
const PORT_LIMIT: Duration = Duration::from_secs(120);

/// Machines take seconds to start; readings that lie further apart than this do not speak of one moment.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
const PANICKED: &str = "a bug in coldswap: the adapter panicked; see the log";

impl Carrier {
    /// Every order that it carries ends with `deadline`.
    pub fn new(ports: Ports, fleet: &Fleet, deadline: Deadline) -> Carrier {
        let endpoints = fleet.nodes.values().map(|n| (n.id, Arc::new(n.bmc.clone()))).collect();
        Carrier { ports, endpoints, deadline }
    }

    fn endpoint(&self, node: NodeId) -> Result<Arc<BmcEndpoint>, Fault> {
        self.endpoints.get(&node).cloned().ok_or_else(|| Fault::refused(format!("node {node} is not in the inventory any more")))
    }

    /// One look: all of it at the same time. Where the answers lie far apart it is not the same look any more, and what
    /// was read of power is thrown away (rule S1).
    async fn look_all(&self, queries: &[Query]) -> Vec<Observation> {
        // A look changes nothing, but who has no lease has no business with the machines either.
        if let Err(fault) = self.deadline.test("a look") {
            return vec![Observation::Unreadable(fault); queries.len()];
        }
        let began = std::time::Instant::now();
        let mut seen = futures_util::future::join_all(queries.iter().map(|q| self.look(q))).await;
        if began.elapsed() > LOOK_LIMIT && seen.len() > 1 {
            for seen in seen.iter_mut().filter(|s| matches!(s, Observation::System(_))) {
                *seen = Observation::Unreadable(Fault::transient("the answers of one look came too far apart"));
            }
        }
        seen
    }

    async fn look(&self, query: &Query) -> Observation {
        match self.try_look(query).await {
            Ok(seen) => seen,
            Err(fault) => Observation::Unreadable(fault),
        }
    }

    async fn try_look(&self, query: &Query) -> Result<Observation, Fault> {
        let inventory = &self.ports.inventory;
        Ok(match query {
            Query::Node(id) => {
                let node = limited(inventory.node(*id), Fault::transient).await?;
                let left = node.power_mark.map(|m| m.lands_by.since(self.ports.clock.now())).filter(|left| *left > Span::ZERO);
                Observation::Node(Arc::new(node), left)
            }
            Query::System(id) => {
                let endpoint = self.endpoint(*id)?;
                Observation::System(limited(self.ports.bmc.read(&endpoint), Fault::transient).await?)
            }
            Query::Boot(id) => {
                let endpoint = self.endpoint(*id)?;
                let settings = async {
                    let iscsi = self.ports.bmc.iscsi_boot(&endpoint).await?;
                    let reading = self.ports.bmc.read(&endpoint).await?;
                    Ok(BootSettings { iscsi, boot_override: Some(reading.boot_override) })
                };
                Observation::Boot(limited(settings, Fault::transient).await?)
            }
            Query::Connector(id) => Observation::At(limited(inventory.connector(*id), Fault::transient).await?.node),
            Query::Target(id) => Observation::At(limited(inventory.target(*id), Fault::transient).await?.node),
            Query::SameVolume(id) => {
                let own = limited(inventory.target(*id), Fault::transient).await?;
                let same = limited(inventory.same_volume(*id), Fault::transient).await?;
                let elsewhere = same.iter().map(|t| t.node).filter(|n| *n != own.node && !own.shareable);
                Observation::AlsoAt(elsewhere.collect())
            }
            Query::Check(call) => Observation::Check(self.hook(call).await?),
        })
    }

    async fn hook(&self, call: &HookCall) -> Result<HookResult, Fault> {
        self.ports.hooks.run(&call.hook, &call.action, &call.context, &self.deadline).await
    }

    async fn act(&self, command: &Command) -> Result<Option<HookResult>, Fault> {
        match command {
            Command::Change(change) => limited(self.ports.inventory.change(change, &self.deadline), Fault::unknown).await?,
            Command::Reset { node, reset } => {
                let endpoint = self.endpoint(*node)?;
                limited(self.ports.bmc.reset(&endpoint, *reset, &self.deadline), Fault::unknown).await?;
            }
            Command::SetBoot { node, settings } => {
                let endpoint = self.endpoint(*node)?;
                limited(self.ports.bmc.set_boot(&endpoint, settings, &self.deadline), Fault::unknown).await?;
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
        Command::Hook(call) => &call.hook.name,
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, Fault>>, fault: fn(String) -> Fault) -> Result<T, Fault> {
    match tokio::time::timeout(PORT_LIMIT, work).await {
        Ok(result) => result,
        Err(_) => Err(fault(format!("no answer within {} s", PORT_LIMIT.as_secs()))),
    }
}

/// Carry an order out and tell the loop. The task outlives nothing: when the loop has gone, nobody hears.
pub fn send(carrier: &Arc<Carrier>, order: Order, heard: &UnboundedSender<Input>) {
    let (carrier, heard) = (carrier.clone(), heard.clone());
    tokio::spawn(async move {
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
    });
}
