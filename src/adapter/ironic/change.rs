//! What a switchover changes in Ironic, each as few requests as Ironic allows, each repeatable after a crash anywhere.
//!
//! | change | request |
//! |---|---|
//! | reserve a spare | PATCH node: `instance_uuid` = claim, `extra.coldswap.holder` and `.claim`, in one |
//! | reserve a source | PATCH node: `extra.coldswap.holder` |
//! | release | PATCH node: all of that away again, `automated_clean` as it was |
//! | maintenance | PUT `maintenance` with its reason; PATCH node `maintenance` = false |
//! | move a volume | PATCH connector or target: `node_uuid` |
//! | provision | PUT `states/provision` |
//! | undeploy | PATCH node: `automated_clean` = false; PUT `states/provision` `deleted` |
//!
//! Ironic has no If-Match. What makes the claim safe is that it lets nobody overwrite an `instance_uuid`, and no two nodes have the
//! same: of two runs that want one spare, or one source, exactly one gets its PATCH accepted. Two that want the same source *and* the
//! same spare in the same tenth of a second have the same claim: there the second's name stands in the record, the first is
//! refused by the next change that it makes, and the second by the source that the first holds. Both withdraw, and nothing was
//! switched off or moved.

use super::Ironic;
use super::client::Unread;
use super::node;
use super::trouble::{Means, Refusal};
use super::wire::{flag, ours, text, uuid};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::ports::Deadline;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A record that was read in the look before a change, or came back from the change before it.
const JUST_NOW: Duration = Duration::from_secs(3);
/// What was attached when the whole fleet was read is asked again after this.
const ATTACHED: Duration = Duration::from_secs(5);

/// A JSON patch, as Ironic takes it: `add`, `replace` and `remove`.
#[derive(Default)]
pub(super) struct Patch(Vec<Value>);

impl Patch {
    /// What is there already is replaced.
    pub(super) fn add(&mut self, path: &str, value: Value) {
        self.0.push(json!({"op": "add", "path": path, "value": value}));
    }

    pub(super) fn replace(&mut self, path: &str, value: Value) {
        self.0.push(json!({"op": "replace", "path": path, "value": value}));
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.0.push(json!({"op": "remove", "path": path}));
    }

    /// Put these under `extra.coldswap`, whatever else stands there left alone.
    pub(super) fn note(&mut self, raw: &Value, notes: Vec<(&str, Value)>) {
        match ours(raw) {
            Some(_) => notes.into_iter().for_each(|(key, value)| self.add(&format!("/extra/coldswap/{key}"), value)),
            None => self.add("/extra/coldswap", Value::Object(notes.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        }
    }

    /// Take these away from there, and the place with them where nothing else stands in it.
    pub(super) fn forget(&mut self, raw: &Value, keys: &[&str]) {
        let Some(ours) = ours(raw) else { return };
        let (gone, left): (Vec<&String>, Vec<&String>) = ours.keys().partition(|key| keys.contains(&key.as_str()));
        match left.is_empty() {
            true if !gone.is_empty() => self.remove("/extra/coldswap"),
            _ => gone.into_iter().for_each(|key| self.remove(&format!("/extra/coldswap/{key}"))),
        }
    }

    /// Take these away and leave the place.
    pub(super) fn drop_notes(&mut self, raw: &Value, keys: &[&str]) {
        let gone = ours(raw).into_iter().flat_map(Map::keys).filter(|key| keys.contains(&key.as_str()));
        gone.for_each(|key| self.remove(&format!("/extra/coldswap/{key}")));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a run writes under `extra.coldswap` of a node and takes away when it lets go. Facts, labels and debts stay.
const NOTES: [&str; 6] = ["holder", "claim", "moved", "before", "allocation", "automated_clean_was"];

pub(super) fn refused(why: String) -> Fault {
    Fault::refused(why)
}

impl Ironic {
    pub(super) async fn make(&self, change: &Change, deadline: &Deadline) -> Result<(), Fault> {
        match change {
            Change::Reserve { node, holder, expect, claim } => self.reserve(*node, holder, *expect, *claim, deadline).await,
            Change::Release { node, holder } => self.release(*node, holder, deadline).await,
            Change::SetMaintenance { node, holder, maintenance } => {
                self.set_maintenance(*node, holder, maintenance.as_ref(), deadline).await
            }
            Change::SetDebt { node, holder, debt } => {
                let raw = self.held(*node, holder, JUST_NOW).await?;
                let mut patch = Patch::default();
                match debt {
                    Some(debt) => patch.note(&raw, vec![("debt", json!(debt))]),
                    None => patch.forget(&raw, &["debt"]),
                }
                self.patch_node(*node, patch, deadline).await.map(drop)
            }
            Change::MoveConnector { connector, from, to, holder } => {
                let path = format!("/v1/volume/connectors/{connector}");
                let client = self.client().await?;
                let at = self.connectors.get(*connector, JUST_NOW, async { client.get(&path).await.map(Arc::new) }).await?;
                self.connectors.forget(connector);
                let moved = self.move_record(&path, &at, (*from, *to), holder, deadline).await;
                self.connectors.forget(connector);
                moved
            }
            Change::MoveTarget { target, from, to, holder } => {
                let path = format!("/v1/volume/targets/{target}");
                let client = self.client().await?;
                let at = self.targets.get(*target, JUST_NOW, async { client.get(&path).await.map(Arc::new) }).await?;
                self.targets.forget(target);
                let moved = self.move_record(&path, &at, (*from, *to), holder, deadline).await;
                self.targets.forget(target);
                moved
            }
            Change::MoveInstance { instance, from, to, holder, .. } => {
                self.move_instance(instance.as_ref(), (*from, *to), holder, deadline).await
            }
            Change::SetProvisionState { node, target, holder } => self.provision(*node, *target, holder, deadline).await,
            Change::Undeploy { node, holder } => self.undeploy(*node, holder, deadline).await,
        }
    }

    /// The node's record, if it is this run's (rule S2).
    pub(super) async fn held(&self, id: NodeId, holder: &Holder, age: Duration) -> Result<Arc<Value>, Fault> {
        let raw = self.raw(id, age).await?;
        let name = node::name(&raw);
        match node::holder(&raw, &self.store) {
            Some(held) if held == *holder => Ok(raw),
            Some(other) => Err(refused(format!("node `{name}` is reserved by `{other}`, not by `{holder}`"))),
            None => Err(refused(format!("node `{name}` is not reserved by `{holder}`"))),
        }
    }

    /// The record as it is after that, which is remembered.
    pub(super) async fn patch_node(&self, id: NodeId, patch: Patch, deadline: &Deadline) -> Result<Option<Value>, Fault> {
        match self.try_patch_node(id, patch, deadline).await {
            Ok(raw) => Ok(raw),
            Err(unread) => Err(self.client().await?.undone(unread)),
        }
    }

    async fn try_patch_node(&self, id: NodeId, patch: Patch, deadline: &Deadline) -> Result<Option<Value>, Unread> {
        if patch.is_empty() {
            return Ok(None);
        }
        let client = self.client().await.map_err(Unread::Fault)?;
        self.nodes.forget(&id);
        let raw = client.patch(&format!("/v1/nodes/{id}"), patch.0, deadline).await;
        self.nodes.forget(&id);
        let raw = raw?;
        if uuid(&raw, "uuid") == Some(id.0) {
            self.nodes.put(id, Arc::new(raw.clone()));
        }
        Ok(Some(raw))
    }

    async fn reserve(
        &self,
        id: NodeId,
        holder: &Holder,
        expect: Generation,
        claim: Option<uuid::Uuid>,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let raw = self.raw(id, Duration::ZERO).await?;
        let name = node::name(&raw);
        match node::holder(&raw, &self.store) {
            Some(held) if held == *holder => return Ok(()),
            Some(other) => return Err(refused(format!("node `{name}` is reserved by `{other}`"))),
            None => {}
        }
        let there = uuid(&raw, "instance_uuid");
        if let (Some(_), Some(other)) = (claim, there) {
            return Err(refused(format!("node `{name}` has instance `{other}`: somebody else has taken it")));
        }
        if raw.get("extra").and_then(|extra| extra.get(super::wire::OURS)).is_some_and(|ours| !ours.is_object()) {
            return Err(refused(format!("`extra.coldswap` of node `{name}` is no JSON object; correct or remove it")));
        }
        if self.known.attachments(id, ATTACHED).is_none() {
            self.volumes(&raw).await?;
        }
        let now = self.node_of(Value::clone(&raw)).await?.generation;
        if now != expect {
            return Err(refused(format!(
                "node `{name}` is at generation {}, but the plan was made from generation {}; make a new plan",
                now.0, expect.0
            )));
        }
        let mut patch = Patch::default();
        let mut notes = vec![("holder", node::held_by(holder, &self.store))];
        if let Some(claim) = claim {
            patch.add("/instance_uuid", json!(claim));
            notes.push(("claim", json!(claim)));
        }
        patch.note(&raw, notes);
        match self.try_patch_node(id, patch, deadline).await {
            Ok(_) => Ok(()),
            Err(Unread::Refused(refusal)) if taken(&refusal) => Err(refused(format!(
                "another run wants this source or this spare: node `{name}` was not reserved ({}{})",
                refusal.said,
                refusal.request_id.map(|id| format!(", {id}")).unwrap_or_default()
            ))),
            Err(unread) => Err(self.client().await?.undone(unread)),
        }
    }

    async fn release(&self, id: NodeId, holder: &Holder, deadline: &Deadline) -> Result<(), Fault> {
        let raw = self.raw(id, JUST_NOW).await?;
        if node::holder(&raw, &self.store).as_ref() != Some(holder) {
            return Ok(());
        }
        self.back_fill(id, &raw, deadline).await?;
        let mut patch = Patch::default();
        if uuid(&raw, "instance_uuid").is_some_and(|there| Some(there) == node::claim(&raw)) {
            patch.remove("/instance_uuid");
        }
        if let Some(was) = ours(&raw).and_then(|o| o.get("automated_clean_was")) {
            patch.replace("/automated_clean", was.clone());
        }
        patch.forget(&raw, &NOTES);
        // Ironic ends a maintenance that began with a fault as soon as it reaches the BMC, whatever reason was set since. A
        // machine that it has just switched off it reaches: then the fault is over, and the maintenance is set anew.
        let reason = text(&raw, "maintenance_reason").filter(|_| flag(&raw, "maintenance") && text(&raw, "fault").is_some());
        let cure = reason.filter(|_| self.known.reached(id));
        if cure.is_some() {
            patch.replace("/maintenance", json!(false));
        }
        self.patch_node(id, patch, deadline).await?;
        match cure {
            Some(reason) => self.maintain(id, reason, deadline).await,
            None => Ok(()),
        }
    }

    async fn maintain(&self, id: NodeId, reason: &str, deadline: &Deadline) -> Result<(), Fault> {
        let client = self.client().await?;
        self.nodes.forget(&id);
        let told = client.put(&format!("/v1/nodes/{id}/maintenance"), &json!({ "reason": reason }), deadline).await;
        self.nodes.forget(&id);
        told.map(drop).map_err(|unread| client.undone(unread))
    }

    async fn set_maintenance(&self, id: NodeId, holder: &Holder, wanted: Option<&Maintenance>, deadline: &Deadline) -> Result<(), Fault> {
        let raw = self.held(id, holder, JUST_NOW).await?;
        match wanted {
            Some(wanted) => self.maintain(id, &wanted.reason, deadline).await,
            None if !flag(&raw, "maintenance") => Ok(()),
            None => {
                // Ironic takes reason and fault away with it.
                let mut patch = Patch::default();
                patch.replace("/maintenance", json!(false));
                self.patch_node(id, patch, deadline).await.map(drop)
            }
        }
    }

    async fn move_record(
        &self,
        path: &str,
        record: &Value,
        (from, to): (NodeId, NodeId),
        holder: &Holder,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let at = uuid(record, "node_uuid").map(NodeId);
        if at == Some(to) {
            return Ok(());
        }
        if at != Some(from) {
            let at = at.map_or_else(|| "no node".to_owned(), |at| format!("node {at}"));
            return Err(refused(format!("{path} is at {at}, neither at {from} nor at {to}")));
        }
        tokio::try_join!(self.held(from, holder, JUST_NOW), self.held(to, holder, JUST_NOW))?;
        let client = self.client().await?;
        let mut patch = Patch::default();
        patch.replace("/node_uuid", json!(to));
        client.patch(path, patch.0, deadline).await.map(drop).map_err(|unread| client.undone(unread))
    }

    async fn provision(&self, id: NodeId, target: ProvisionTarget, holder: &Holder, deadline: &Deadline) -> Result<(), Fault> {
        let raw = self.held(id, holder, JUST_NOW).await?;
        let name = node::name(&raw);
        let state = ProvisionState::of(text(&raw, "provision_state").unwrap_or_default());
        let going = match target {
            ProvisionTarget::Active => matches!(state, ProvisionState::Deploying | ProvisionState::DeployWait),
            ProvisionTarget::Adopt => state == ProvisionState::Adopting,
            ProvisionTarget::Manage => state == ProvisionState::Verifying,
            ProvisionTarget::Provide => matches!(state, ProvisionState::Cleaning | ProvisionState::CleanWait),
        };
        if going || state == target.leads_to() {
            return Ok(());
        }
        if matches!(target, ProvisionTarget::Active | ProvisionTarget::Adopt) {
            let there = uuid(&raw, "instance_uuid");
            if there.is_some() && there == node::claim(&raw) {
                return Err(refused(format!("node `{name}` has our claim and not yet its instance")));
            }
            if raw.get("instance_info").is_some_and(|info| text(info, "image_source").is_some()) {
                return Err(refused(format!("node `{name}` has `instance_info.image_source`: Ironic would write that image")));
            }
        }
        let starts = target == ProvisionTarget::Active;
        self.tell(id, target.as_str(), starts, deadline).await
    }

    /// Ask for a provision state. Accepted is not done.
    async fn tell(&self, id: NodeId, verb: &str, starts: bool, deadline: &Deadline) -> Result<(), Fault> {
        let client = self.client().await?;
        self.known.told(id, starts);
        self.nodes.forget(&id);
        let told = client.put(&format!("/v1/nodes/{id}/states/provision"), &json!({ "target": verb }), deadline).await;
        self.nodes.forget(&id);
        told.map(drop).map_err(|unread| client.undone(unread))
    }

    /// Let Ironic forget the instance, and with it the network boot file that would start the machine from a volume that is
    /// another's by now. It deletes every volume target that is recorded at the node: there must be none.
    async fn undeploy(&self, id: NodeId, holder: &Holder, deadline: &Deadline) -> Result<(), Fault> {
        let raw = self.held(id, holder, Duration::ZERO).await?;
        let name = node::name(&raw);
        match ProvisionState::of(text(&raw, "provision_state").unwrap_or_default()) {
            ProvisionState::Available | ProvisionState::Deleting | ProvisionState::Cleaning | ProvisionState::CleanWait => return Ok(()),
            ProvisionState::Active | ProvisionState::DeployFailed | ProvisionState::Error => {}
            other => return Err(refused(format!("node `{name}` is {other}, and `deleted` cannot be asked for"))),
        }
        if let Some(instance) = uuid(&raw, "instance_uuid").filter(|there| Some(*there) != node::claim(&raw)) {
            return Err(refused(format!("node `{name}` has instance `{instance}` still: it is not undeployed")));
        }
        let of = id.to_string();
        let targets = self.client().await?.list("/v1/volume/targets", "targets", &[("node", &of)]).await?;
        if !targets.is_empty() {
            let list: Vec<&str> = targets.iter().filter_map(|t| text(t, "volume_id")).collect();
            let text = format!("node `{name}` has volume targets ({}), which an undeployment would delete", list.join(", "));
            return Err(refused(text));
        }
        let cleans = raw.get("automated_clean").cloned().unwrap_or(Value::Null);
        if cleans != json!(false) {
            let mut patch = Patch::default();
            patch.replace("/automated_clean", json!(false));
            patch.note(&raw, vec![("automated_clean_was", cleans)]);
            self.patch_node(id, patch, deadline).await?;
        }
        self.tell(id, "deleted", false, deadline).await
    }
}

/// The instance_uuid is somebody else's, or stands at another node: another run wants the same spare or the same source.
fn taken(refusal: &Refusal) -> bool {
    let said = ["is associated with instance", "already associated with a node"];
    refusal.means() == Means::Conflict && refusal.status == 409 && said.iter().any(|words| refusal.said.contains(words))
}

/// An object without these keys and without values that stand for secrets, at any depth.
pub(super) fn without(object: Option<&Value>, dropped: &dyn Fn(&str, &Value) -> bool) -> Map<String, Value> {
    let fields = object.and_then(Value::as_object).into_iter().flatten();
    let kept = fields.filter(|(key, value)| !dropped(key, value)).filter_map(|(key, value)| {
        let masked = |value: &Value| value.to_string().contains(super::wire::MASK);
        (!masked(value)).then(|| (key.clone(), value.clone()))
    });
    kept.collect()
}

gates! {
    "claim", "a spare is claimed by one PATCH that Ironic accepts only while nobody has it",
        Closed, "two runs that take one spare put two instances on one machine", two_runs_that_want_one_spare_or_one_source;
    "undeployment", "a node is undeployed only when no volume target is recorded there and its instance has gone",
        Closed, "Ironic deletes the records of every volume that is still there", an_undeployment_waits_for_an_empty_node;
    "masked secrets", "what Ironic shows masked is never written back, and no image is carried along",
        Closed, "asterisks in place of a password break the node, and an image would overwrite a disk",
        an_instance_moves_without_secrets_and_without_its_image;
}
