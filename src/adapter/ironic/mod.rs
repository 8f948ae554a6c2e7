//! Ironic, OpenStack's bare metal service, as an inventory and as the way to its nodes' power. Reads only: what would change
//! anything is refused.
//!
//! - `client`: requests, microversion, pages, patience; `trouble`: what its errors mean
//! - `node`, `facts`, `volumes`: its records as ours; `bars`: what it would refuse or find out too late
//! - `power`: what is known of a node's power
//!
//! Cost of a look at the whole fleet: three lists in pages, and for each node that was inspected one request more, and one
//! where it has a firmware interface; `requests_at_once` of them at a time.

mod bars;
mod client;
mod facts;
mod node;
mod power;
mod trouble;
mod volumes;
mod wire;

pub use client::IronicOptions;

use crate::adapter::openstack::{Cloud, Session, Surroundings, find};
use crate::model::*;
use crate::ports::{Bmc, Deadline, Inventory};
use async_trait::async_trait;
use client::Client;
use facts::Reading;
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::OnceCell;
use volumes::Volumes;
use wire::{text, uuid};

/// What is not there before a microversion.
const INVENTORY: u16 = 81;
const FIRMWARE: u16 = 86;

/// Why nothing is changed.
pub const READ_ONLY: &str = "nothing is changed in Ironic yet: this version only reads from it";

/// An Ironic. It is found and logged in to when it is first asked.
pub struct Ironic {
    cloud: Option<String>,
    around: Surroundings,
    options: IronicOptions,
    client: OnceCell<Client>,
    last: Mutex<Option<Snapshot>>,
}

/// What was last read of every node: a plan looks at the fleet and right after that at each of its nodes.
struct Snapshot {
    at: Instant,
    reports: BTreeMap<NodeId, SystemReport>,
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
        Ironic { cloud, around, options, client: OnceCell::new(), last: Mutex::default() }
    }

    async fn client(&self) -> Result<&Client, Fault> {
        let connect = || async {
            let cloud: Cloud = find(self.cloud.as_deref(), &self.around)?;
            let session = Session::open(cloud, self.options.request_timeout, self.options.requests_at_once)?;
            Client::connect(session, self.options).await
        };
        self.client.get_or_try_init(connect).await
    }

    /// A node with what its inspection and its firmware interface know.
    async fn reading(&self, client: &Client, node: Value) -> Result<Reading, Fault> {
        let id = text(&node, "uuid").unwrap_or_default().to_owned();
        let inspected = client.minor >= INVENTORY && text(&node, "inspection_finished_at").is_some();
        let firm = client.minor >= FIRMWARE && !matches!(text(&node, "firmware_interface"), None | Some("no-firmware"));
        let part = async |wanted: bool, path: &str, key: &str| match wanted {
            true => Ok(client.find(&format!("/v1/nodes/{id}/{path}")).await?.and_then(|mut v| v.get_mut(key).map(Value::take))),
            false => Ok::<_, Fault>(None),
        };
        let (inventory, firmware) = tokio::try_join!(part(inspected, "inventory", "inventory"), part(firm, "firmware", "firmware"))?;
        let firmware = match firmware {
            Some(Value::Array(parts)) => parts,
            _ => Vec::new(),
        };
        Ok(Reading { node, inventory, firmware })
    }

    async fn volumes_of(&self, client: &Client, query: &[(&str, &str)]) -> Result<(Vec<Value>, Vec<Value>), Fault> {
        tokio::try_join!(client.list("/v1/volume/connectors", "connectors", query), client.list("/v1/volume/targets", "targets", query))
    }

    async fn one(&self, id: NodeId) -> Result<Reading, Fault> {
        let client = self.client().await?;
        let node = client.get(&format!("/v1/nodes/{id}")).await?;
        self.reading(client, node).await
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
            let node = node::node(reading, &volumes, &wanted)?;
            reports.insert(node.id, power::report(reading));
            fleet.nodes.insert(node.id, node);
        }
        fleet.connectors = volumes.connectors.into_iter().map(|c| (c.id, c)).collect();
        fleet.targets = volumes.targets.into_iter().map(|t| (t.id, t)).collect();
        let snapshot = Snapshot { at: Instant::now(), reports };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        Ok(fleet)
    }

    fn remembered(&self, id: NodeId) -> Option<SystemReport> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|s| s.at.elapsed() < self.options.fresh)?.reports.get(&id).cloned()
    }
}

#[async_trait]
impl Inventory for Ironic {
    async fn fleet(&self) -> Result<Fleet, Fault> {
        self.whole().await
    }

    async fn node(&self, id: NodeId) -> Result<Arc<Node>, Fault> {
        let client = self.client().await?;
        let reading = self.one(id).await?;
        let of = id.to_string();
        let (connectors, targets) = self.volumes_of(client, &[("detail", "true"), ("node", &of)]).await?;
        let names = BTreeMap::from([(id, node::name(&reading.node))]);
        node::node(&reading, &Volumes::read(&connectors, &targets, &names), &BTreeSet::new()).map(Arc::new)
    }

    async fn connector(&self, id: ConnectorId) -> Result<VolumeConnector, Fault> {
        let raw = self.client().await?.get(&format!("/v1/volume/connectors/{id}")).await?;
        volumes::connector(&raw).map_err(|why| Fault::refused(format!("{id} is {why}, which this coldswap does not know")))
    }

    async fn target(&self, id: TargetId) -> Result<VolumeTarget, Fault> {
        let raw = self.client().await?.get(&format!("/v1/volume/targets/{id}")).await?;
        volumes::target(&raw).map_err(|why| Fault::refused(format!("{id} is {why}, which this coldswap does not know")))
    }

    /// Over all nodes: Ironic takes the same volume for two of them.
    async fn same_volume(&self, id: TargetId) -> Result<Vec<VolumeTarget>, Fault> {
        let raw = self.client().await?.list("/v1/volume/targets", "targets", &[("detail", "true")]).await?;
        let targets = raw.iter().filter_map(|raw| volumes::target(raw).ok()).map(|t| (t.id, t)).collect();
        Fleet { targets, ..Fleet::default() }.same_volume(id)
    }

    async fn change(&self, _: &Change, _: &Deadline) -> Result<(), Fault> {
        Err(Fault::refused(READ_ONLY))
    }

    async fn learn(&self, _: NodeId, _: &SystemReport, _: Time) -> Result<(), Fault> {
        Err(Fault::refused(READ_ONLY))
    }
}

/// The node that an endpoint stands for.
fn of_endpoint(at: &BmcEndpoint) -> Result<NodeId, Fault> {
    let id = at.address.strip_prefix(node::SCHEME).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Fault::refused(format!("`{}` is no node of Ironic", at.address)))
}

#[async_trait]
impl Bmc for Ironic {
    /// Asked each time.
    async fn read(&self, at: &BmcEndpoint) -> Result<SystemReading, Fault> {
        Ok(power::reading(&self.one(of_endpoint(at)?).await?))
    }

    /// As the fleet was read a moment ago, if it was.
    async fn report(&self, at: &BmcEndpoint, _: Further) -> Result<SystemReport, Fault> {
        let id = of_endpoint(at)?;
        match self.remembered(id) {
            Some(report) => Ok(report),
            None => Ok(power::report(&self.one(id).await?)),
        }
    }

    async fn reset(&self, _: &BmcEndpoint, _: ResetType, _: &Deadline) -> Result<(), Fault> {
        Err(Fault::refused(READ_ONLY))
    }

    async fn iscsi_boot(&self, _: &BmcEndpoint) -> Result<Option<IscsiBoot>, Fault> {
        Ok(None)
    }

    async fn set_boot(&self, _: &BmcEndpoint, _: &BootSettings, _: &Deadline) -> Result<(), Fault> {
        Err(Fault::refused(READ_ONLY))
    }

    async fn set_restore_policy(&self, _: &BmcEndpoint, _: PowerRestorePolicy, _: &Deadline) -> Result<(), Fault> {
        Err(Fault::refused(READ_ONLY))
    }

    /// A token ends by itself, and others may use the same.
    async fn close(&self) {}
}

/// One Ironic for both of its parts.
pub fn shared(cloud: Option<String>, options: IronicOptions) -> Arc<Ironic> {
    Arc::new(Ironic::new(cloud, Surroundings::of_process(), options))
}
