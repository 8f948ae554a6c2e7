//! Ironic, OpenStack's bare metal service, as an inventory and as the way to its nodes' power and boot.
//!
//! - `client`: requests, microversion, pages, patience; `trouble`: what its errors mean
//! - `node`, `facts`, `volumes`: its records as ours; `bars`: what it would refuse or find out too late
//! - `change`, `instance`: what a switchover changes in its records, and what it asks it to do
//! - `power`, `off`: what is known of a node's power, and how an Off is proven
//! - `known`, `sharing`: what this process remembers, so that it need not ask twice
//!
//! Cost of a look at the whole fleet: three lists in pages, and for each node that was inspected one request more, and one
//! where it has a firmware interface; `requests_at_once` of them at a time. A look at one node: one request.

mod bars;
mod change;
mod client;
mod facts;
mod instance;
mod known;
mod node;
mod off;
mod power;
mod sharing;
mod trouble;
mod volumes;
mod wire;

pub(super) use change::GATES as CHANGE_GATES;
pub use client::IronicOptions;
pub(super) use off::GATES as OFF_GATES;

use crate::adapter::openstack::{Cloud, Session, Surroundings, find};
use crate::model::*;
use crate::ports::{Bmc, Deadline, Inventory};
use async_trait::async_trait;
use client::Client;
use facts::Reading;
use futures_util::{StreamExt, TryStreamExt};
use known::Memory;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sharing::Sharing;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use volumes::Volumes;
use wire::{text, uuid};

/// What is not there before a microversion.
const INVENTORY: u16 = 81;
const FIRMWARE: u16 = 86;

/// The queries of one look are one moment.
const ONE_LOOK: Duration = Duration::from_millis(50);
/// Who else has a volume is asked of all nodes, page after page: many switchovers share one answer.
const ATTACHMENTS: Duration = Duration::from_secs(2);

/// An Ironic. It is found and logged in to when it is first asked.
pub struct Ironic {
    cloud: Option<String>,
    around: Surroundings,
    options: IronicOptions,
    /// Whose runs these are: every store counts its own from 1.
    store: String,
    client: OnceCell<Client>,
    last: Mutex<Option<Snapshot>>,
    known: Memory,
    nodes: Sharing<NodeId, Arc<Value>>,
    connectors: Sharing<ConnectorId, Arc<Value>>,
    targets: Sharing<TargetId, Arc<Value>>,
    all_targets: Sharing<(), Arc<Fleet>>,
}

/// What was last read of every node: a plan looks at the fleet and right after that at each of its nodes.
struct Snapshot {
    at: Instant,
    reports: BTreeMap<NodeId, Result<SystemReport, Fault>>,
}

/// Ironic counts no changes of its records: a digest of what is used of one stands in. It detects, it does not lock.
/// 53 bits, so that a reader of JSON that has only floating point reads the same number.
fn generation<T: Serialize>(record: &T) -> Generation {
    let json = serde_json::to_vec(record).unwrap_or_default();
    let digest = Sha256::digest(&json);
    let number = digest.iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    Generation((number >> 11).max(1))
}

impl Ironic {
    /// `cloud`: an entry of clouds.yaml; the one that openstacksdk would take where none is named.
    pub fn new(cloud: Option<String>, around: Surroundings, options: IronicOptions) -> Ironic {
        Ironic {
            cloud,
            around,
            options,
            store: String::new(),
            client: OnceCell::new(),
            last: Mutex::default(),
            known: Memory::default(),
            nodes: Sharing::default(),
            connectors: Sharing::default(),
            targets: Sharing::default(),
            all_targets: Sharing::default(),
        }
    }

    /// The store that keeps the runs that change anything here.
    pub fn of_store(self, store: &str) -> Ironic {
        Ironic { store: store.to_owned(), ..self }
    }

    async fn client(&self) -> Result<&Client, Fault> {
        let connect = || async {
            let cloud: Cloud = find(self.cloud.as_deref(), &self.around)?;
            let session = Session::open(cloud, self.options.request_timeout, self.options.requests_at_once)?;
            Client::connect(session, self.options).await
        };
        self.client.get_or_try_init(connect).await
    }

    /// A node with what its inspection and its firmware interface know. An inspection's result stays as it is until the next
    /// one; firmware is read again now and then, as long as nobody holds the node: then its facts have been compared.
    async fn reading(&self, client: &Client, node: Value) -> Result<Reading, Fault> {
        let id = text(&node, "uuid").unwrap_or_default().to_owned();
        let inspected = text(&node, "inspection_finished_at").filter(|_| client.minor >= INVENTORY).map(str::to_owned);
        let firm = client.minor >= FIRMWARE && !matches!(text(&node, "firmware_interface"), None | Some("no-firmware"));
        let part = async |path: &str, key: &str| {
            let found = client.find(&format!("/v1/nodes/{id}/{path}")).await?;
            Ok::<_, Fault>(found.and_then(|mut v| v.get_mut(key).map(Value::take)))
        };
        let key = uuid(&node, "uuid").map(NodeId);
        let inventory = async {
            let Some(at) = inspected else { return Ok::<_, Fault>(None) };
            if let Some(known) = key.and_then(|id| self.known.inspection(id, &at)) {
                return Ok(known);
            }
            let found = part("inventory", "inventory").await?;
            key.inspect(|id| self.known.inspected(*id, &at, found.clone()));
            Ok(found)
        };
        let held = node::holder(&node, &self.store).is_some();
        let firmware = async {
            let fresh = if held { Duration::MAX } else { self.options.fresh };
            match key.and_then(|id| self.known.firmware(id, fresh)).filter(|_| firm) {
                Some(parts) => Ok(parts),
                None if !firm => Ok(Vec::new()),
                None => {
                    let parts = match part("firmware", "firmware").await? {
                        Some(Value::Array(parts)) => parts,
                        _ => Vec::new(),
                    };
                    key.inspect(|id| self.known.read_firmware(*id, parts.clone()));
                    Ok(parts)
                }
            }
        };
        let (inventory, firmware) = tokio::try_join!(inventory, firmware)?;
        Ok(Reading { node, inventory, firmware })
    }

    async fn volumes_of(&self, client: &Client, query: &[(&str, &str)]) -> Result<(Vec<Value>, Vec<Value>), Fault> {
        tokio::try_join!(client.list("/v1/volume/connectors", "connectors", query), client.list("/v1/volume/targets", "targets", query))
    }

    /// A node's record, asked for at most `age` ago.
    async fn raw(&self, id: NodeId, age: Duration) -> Result<Arc<Value>, Fault> {
        let client = self.client().await?;
        let ask = async { client.get(&format!("/v1/nodes/{id}")).await.map(Arc::new) };
        self.nodes.get(id, age, ask).await
    }

    async fn one(&self, id: NodeId) -> Result<Reading, Fault> {
        let raw = self.raw(id, ONE_LOOK).await?;
        self.reading(self.client().await?, Value::clone(&raw)).await
    }

    async fn node_of(&self, raw: Value) -> Result<Node, Fault> {
        let reading = self.reading(self.client().await?, raw).await?;
        let id = node::id(&reading.node)?;
        let (volumes, attached) = match self.known.attachments(id, Duration::MAX) {
            Some(attached) => (Volumes::default(), attached),
            None => {
                let volumes = self.volumes(&reading.node).await?;
                let attached = volumes.attached(id);
                (volumes, attached)
            }
        };
        node::node(&reading, &volumes, &BTreeSet::new(), attached, &self.store)
    }

    /// What hangs on one node.
    async fn volumes(&self, raw: &Value) -> Result<Volumes, Fault> {
        let id = node::id(raw)?;
        let of = id.to_string();
        let (connectors, targets) = self.volumes_of(self.client().await?, &[("detail", "true"), ("node", &of)]).await?;
        let volumes = Volumes::read(&connectors, &targets, &BTreeMap::from([(id, node::name(raw))]));
        self.known.attached(id, volumes.attached(id));
        Ok(volumes)
    }

    async fn whole(&self) -> Result<Fleet, Fault> {
        let client = self.client().await?;
        let nodes = client.list("/v1/nodes/detail", "nodes", &[]);
        let (nodes, (connectors, targets)) = tokio::try_join!(nodes, self.volumes_of(client, &[("detail", "true")]))?;
        let readings: Vec<Reading> = futures_util::stream::iter(nodes)
            .map(|node| self.reading(client, node))
            .buffer_unordered(self.options.requests_at_once.max(1))
            .try_collect()
            .await?;
        let names = readings.iter().filter_map(|r| Some((NodeId(uuid(&r.node, "uuid")?), node::name(&r.node)))).collect();
        let volumes = Volumes::read(&connectors, &targets, &names);
        let boots = volumes.targets.iter().filter(|t| t.boot_index == 0);
        let wanted: BTreeSet<&'static str> = boots.filter_map(|t| t.volume_type.boot_capability()).collect();
        let mut fleet = Fleet::default();
        let mut reports = BTreeMap::new();
        for reading in &readings {
            let id = node::id(&reading.node)?;
            self.known.attached(id, volumes.attached(id));
            let node = node::node(reading, &volumes, &wanted, volumes.attached(id), &self.store)?;
            reports.insert(node.id, power::report(reading));
            fleet.nodes.insert(node.id, node);
        }
        fleet.connectors = volumes.connectors.into_iter().map(|c| (c.id, c)).collect();
        fleet.targets = volumes.targets.into_iter().map(|t| (t.id, t)).collect();
        let snapshot = Snapshot { at: Instant::now(), reports };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        Ok(fleet)
    }

    fn remembered(&self, id: NodeId) -> Option<Result<SystemReport, Fault>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|s| s.at.elapsed() < self.options.fresh)?.reports.get(&id).cloned()
    }
}

#[async_trait]
impl Inventory for Ironic {
    async fn fleet(&self) -> Result<Fleet, Fault> {
        self.whole().await
    }

    /// With the volumes that were last seen at it, as its generation counts them: a run asks often, and whether they are still
    /// the same is asked by the change that reserves the node.
    async fn node(&self, id: NodeId) -> Result<Arc<Node>, Fault> {
        let raw = self.raw(id, ONE_LOOK).await?;
        self.node_of(Value::clone(&raw)).await.map(Arc::new)
    }

    async fn connector(&self, id: ConnectorId) -> Result<VolumeConnector, Fault> {
        let client = self.client().await?;
        let ask = async { client.get(&format!("/v1/volume/connectors/{id}")).await.map(Arc::new) };
        let raw = self.connectors.get(id, ONE_LOOK, ask).await?;
        volumes::connector(&raw).map_err(|why| Fault::refused(format!("{id} is {why}, which this coldswap does not know")))
    }

    async fn target(&self, id: TargetId) -> Result<VolumeTarget, Fault> {
        let client = self.client().await?;
        let ask = async { client.get(&format!("/v1/volume/targets/{id}")).await.map(Arc::new) };
        let raw = self.targets.get(id, ONE_LOOK, ask).await?;
        volumes::target(&raw).map_err(|why| Fault::refused(format!("{id} is {why}, which this coldswap does not know")))
    }

    /// Over all nodes: Ironic takes the same volume for two of them.
    async fn same_volume(&self, id: TargetId) -> Result<Vec<VolumeTarget>, Fault> {
        let client = self.client().await?;
        let ask = async {
            let raw = client.list("/v1/volume/targets", "targets", &[("detail", "true")]).await?;
            let targets = raw.iter().filter_map(|raw| volumes::target(raw).ok()).map(|t| (t.id, t)).collect();
            Ok::<_, Fault>(Arc::new(Fleet { targets, ..Fleet::default() }))
        };
        self.all_targets.get((), ATTACHMENTS, ask).await?.same_volume(id)
    }

    async fn targets_at(&self, id: NodeId) -> Result<Vec<TargetId>, Fault> {
        let of = id.to_string();
        let raw = self.client().await?.list("/v1/volume/targets", "targets", &[("node", &of)]).await?;
        // One that cannot be read hangs there all the same.
        Ok(raw.iter().map(|raw| TargetId(uuid(raw, "uuid").unwrap_or_default())).collect())
    }

    async fn change(&self, change: &Change, deadline: &Deadline) -> Result<(), Fault> {
        self.make(change, deadline).await
    }

    /// Ironic reads its machines by itself.
    async fn learn(&self, _: NodeId, _: &SystemReport, _: Time) -> Result<(), Fault> {
        Ok(())
    }
}

/// The node that an endpoint stands for.
fn of_endpoint(at: &BmcEndpoint) -> Result<NodeId, Fault> {
    let id = at.address.strip_prefix(node::SCHEME).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Fault::refused(format!("`{}` is no node of Ironic", at.address)))
}

/// An Ironic that is not heard is not a machine that is not heard: nobody else is believed in its place.
fn not_silence(fault: Fault) -> Fault {
    if fault.is_silence() { Fault::answered(fault.detail) } else { fault }
}

#[async_trait]
impl Bmc for Ironic {
    /// Asked each time.
    async fn read(&self, at: &BmcEndpoint) -> Result<SystemReading, Fault> {
        Ok(power::reading(&self.one(of_endpoint(at)?).await.map_err(not_silence)?))
    }

    async fn confirm_off(&self, at: &BmcEndpoint, deadline: &Deadline) -> Result<SystemReading, Fault> {
        self.proof(of_endpoint(at)?, deadline).await
    }

    /// Ironic takes 31 s to say that a BMC is dead.
    fn read_limit(&self) -> Duration {
        off::LIMIT
    }

    /// As the fleet was read a moment ago, if it was.
    async fn report(&self, at: &BmcEndpoint, _: Further) -> Result<SystemReport, Fault> {
        let id = of_endpoint(at)?;
        match self.remembered(id) {
            Some(report) => report,
            None => power::report(&self.one(id).await?),
        }
    }

    async fn reset(&self, at: &BmcEndpoint, reset: ResetType, deadline: &Deadline) -> Result<(), Fault> {
        self.switch(of_endpoint(at)?, reset, None, deadline).await
    }

    async fn reset_within(&self, at: &BmcEndpoint, reset: ResetType, within: Option<Span>, deadline: &Deadline) -> Result<(), Fault> {
        self.switch(of_endpoint(at)?, reset, within, deadline).await
    }

    async fn boot_override(&self, at: &BmcEndpoint) -> Result<Option<BootOverride>, Fault> {
        self.boots_from(of_endpoint(at)?).await.map(Some)
    }

    async fn iscsi_boot(&self, _: &BmcEndpoint) -> Result<Option<IscsiBoot>, Fault> {
        Ok(None)
    }

    async fn set_boot(&self, at: &BmcEndpoint, settings: &BootSettings, deadline: &Deadline) -> Result<(), Fault> {
        self.boot_device(of_endpoint(at)?, settings, deadline).await
    }

    async fn set_restore_policy(&self, _: &BmcEndpoint, _: PowerRestorePolicy, _: &Deadline) -> Result<(), Fault> {
        Err(Fault::refused("Ironic has no word for what a machine does when mains power returns; set it at its BMC"))
    }

    /// A token ends by itself, and others may use the same.
    async fn close(&self) {}
}

/// One Ironic for both of its parts.
pub fn shared(cloud: Option<String>, store: &str, options: IronicOptions) -> Arc<Ironic> {
    Arc::new(Ironic::new(cloud, Surroundings::of_process(), options).of_store(store))
}
