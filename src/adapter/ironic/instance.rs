//! The instance moves: `instance_uuid`, what `instance_info` says of it, its name, its lessee, its allocation.
//!
//! No two nodes can have one `instance_uuid`, and none can be overwritten, so this takes three PATCHes. What is on the way stands
//! under `extra.coldswap` of the node that gives it (`moved`), written with the PATCH that takes it away: a run that ends in between
//! is taken up from there. `before` at the node that gets it holds what it had, for the way back.

use super::change::{Patch, refused, without};
use super::node;
use super::wire::{MASK, ours, text, uuid};
use super::{Ironic, ONE_LOOK};
use crate::model::*;
use crate::ports::Deadline;
use serde_json::{Map, Value, json};

/// The microversion that knows `instance_name`.
const INSTANCE_NAME: u16 = 104;

/// What belongs to an image and to the disk that it was written to, and not to an instance that boots from its volume.
fn of_an_image(key: &str) -> bool {
    let names = ["kernel", "ramdisk", "configdrive", "stage2", "boot_iso", "preserve_ephemeral", "root_gb", "root_mb"];
    key.starts_with("image_") || key.starts_with("ephemeral_") || key.starts_with("swap_") || key.starts_with("ks_") || names.contains(&key)
}

/// What an instance takes along of `instance_info`.
fn carried(raw: &Value) -> Map<String, Value> {
    without(raw.get("instance_info"), &|key, _| of_an_image(key))
}

fn noted<'v>(raw: &'v Value, key: &str) -> &'v Value {
    ours(raw).and_then(|ours| ours.get(key)).unwrap_or(&Value::Null)
}

fn plain(raw: &Value, key: &str) -> Value {
    json!(text(raw, key).filter(|word| *word != MASK))
}

impl Ironic {
    pub(super) async fn move_instance(
        &self,
        instance: Option<&Instance>,
        (from, to): (NodeId, NodeId),
        holder: &Holder,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let (gives, gets) = tokio::try_join!(self.held(from, holder, ONE_LOOK), self.held(to, holder, ONE_LOOK))?;
        let Some(want) = instance.map(|i| i.uuid) else { return Ok(()) };
        let own = |raw: &Value| uuid(raw, "instance_uuid").filter(|there| Some(*there) != node::claim(raw));
        let (from_name, to_name) = (node::name(&gives), node::name(&gets));
        let there = own(&gets) == Some(want);
        if let Some(other) = own(&gets).filter(|other| *other != want) {
            return Err(refused(format!(
                "node `{to_name}` has instance `{other}`, which is nobody's that this run knows: somebody else took it"
            )));
        }
        let mut moved = noted(&gives, "moved").clone();
        match own(&gives) {
            Some(own) if own == want => {
                moved = self.taken_along(&gives, want).await?;
                let mut patch = Patch::default();
                patch.remove("/instance_uuid");
                self.as_it_was(&gives, &gets, &mut patch, &moved).await?;
                self.patch_node(from, patch, deadline).await?;
            }
            Some(other) => return Err(refused(format!("node `{from_name}` has instance `{other}` and not `{want}`"))),
            None if there || uuid(&moved, "instance") == Some(want) => {}
            None => return Err(refused(format!("instance `{want}` is at neither `{from_name}` nor `{to_name}`"))),
        }
        if there {
            return Ok(());
        }
        if uuid(&gets, "instance_uuid").is_some() {
            let mut patch = Patch::default();
            patch.remove("/instance_uuid");
            self.patch_node(to, patch, deadline).await?;
        }
        let mut patch = Patch::default();
        patch.add("/instance_uuid", json!(want));
        self.as_it_comes(&gets, &mut patch, &moved).await?;
        self.patch_node(to, patch, deadline).await.map(drop)
    }

    /// What goes with the instance, as it stands at the node that has it. An allocation is deleted by Ironic together with its
    /// node's `instance_uuid`, and is made anew at the other.
    async fn taken_along(&self, gives: &Value, want: uuid::Uuid) -> Result<Value, Fault> {
        let mut moved = json!({"instance": want, "lessee": text(gives, "lessee"), "instance_info": carried(gives),
            "instance_name": plain(gives, "instance_name")});
        if let Some(allocation) = text(gives, "allocation_uuid") {
            let found = self.client().await?.find(&format!("/v1/allocations/{allocation}")).await?.unwrap_or_default();
            let kept = ["name", "resource_class", "traits", "extra", "owner"];
            moved["allocation"] = Value::Object(without(Some(&found), &|key, value| !kept.contains(&key) || value.is_null()));
        } else if let Some(pending) = ours(gives).and_then(|o| o.get("allocation")) {
            moved["allocation"] = pending.clone();
        }
        Ok(moved)
    }

    /// The node that gives: on the way back, it becomes what it was before the instance came.
    async fn as_it_was(&self, gives: &Value, gets: &Value, patch: &mut Patch, moved: &Value) -> Result<(), Fault> {
        let before = noted(gives, "before");
        if before.is_object() {
            patch.add("/instance_info", before.get("instance_info").cloned().unwrap_or_else(|| json!({})));
            if self.client().await?.minor >= INSTANCE_NAME {
                patch.add("/instance_name", before.get("instance_name").cloned().unwrap_or(Value::Null));
            }
            if text(before, "lessee") != text(gives, "lessee") {
                patch.add("/lessee", json!(text(before, "lessee")));
            }
            patch.note(gives, vec![("moved", moved.clone())]);
            patch.drop_notes(gives, &["before", "allocation"]);
            return Ok(());
        }
        if text(gives, "lessee") != text(gets, "lessee") {
            patch.add("/lessee", json!(text(gets, "lessee")));
        }
        patch.note(gives, vec![("moved", moved.clone())]);
        Ok(())
    }

    /// The node that gets it. One that had it before has all of it still, also what Ironic shows to nobody.
    async fn as_it_comes(&self, gets: &Value, patch: &mut Patch, moved: &Value) -> Result<(), Fault> {
        let had = noted(gets, "moved").is_object();
        let mut notes = Vec::new();
        if !had {
            let info = moved.get("instance_info").cloned().unwrap_or_default();
            if info.as_object().is_some_and(|info| !info.is_empty()) {
                patch.add("/instance_info", info);
            }
            let name = moved.get("instance_name").filter(|name| name.is_string());
            if let Some(name) = name.filter(|_| text(gets, "instance_name").is_none())
                && self.client().await?.minor >= INSTANCE_NAME
            {
                patch.add("/instance_name", name.clone());
            }
            let before = json!({"lessee": text(gets, "lessee"), "instance_name": plain(gets, "instance_name"),
                "instance_info": without(gets.get("instance_info"), &|_, _| false)});
            notes.push(("before", before));
        }
        if text(moved, "lessee") != text(gets, "lessee") {
            patch.add("/lessee", json!(text(moved, "lessee")));
        }
        if let Some(allocation) = moved.get("allocation").filter(|a| a.is_object()) {
            notes.push(("allocation", allocation.clone()));
        }
        patch.note(gets, notes);
        if had {
            patch.drop_notes(gets, &["moved"]);
        }
        Ok(())
    }

    /// The allocation of the instance, made anew for the node that has it now: Ironic takes the node's `instance_uuid` as its uuid.
    pub(super) async fn back_fill(&self, id: NodeId, raw: &Value, deadline: &Deadline) -> Result<(), Fault> {
        let Some(allocation) = noted(raw, "allocation").as_object() else { return Ok(()) };
        let runs = text(raw, "provision_state") == Some(ProvisionState::Active.as_str()) && uuid(raw, "instance_uuid").is_some();
        if text(raw, "allocation_uuid").is_some() || !runs {
            return Ok(());
        }
        let mut body = allocation.clone();
        body.insert("node".to_owned(), json!(id));
        if text(&Value::Object(body.clone()), "resource_class").is_none() {
            body.insert("resource_class".to_owned(), json!(text(raw, "resource_class")));
        }
        let client = self.client().await?;
        match client.post("/v1/allocations", &Value::Object(body), deadline).await.map_err(|unread| client.undone(unread)) {
            Ok(_) => Ok(()),
            // The instance runs; that it has no allocation is told and stands in no way.
            Err(fault) if fault.kind == FaultKind::Refused => {
                tracing::warn!(target: "coldswap::ironic", node = %id, "its allocation was not made anew: {fault}");
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}
