//! An Ironic with machines: nodes that keep what is written to them, locks, power that takes its time, and Ironic's own refusals.
//! Each rule was seen with release 39.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long power and provision changes take here.
const TAKES: Duration = Duration::from_millis(60);

#[derive(Clone, Default)]
pub struct Machine {
    pub on: bool,
    /// What Ironic's driver says when it asks the BMC.
    pub dead: Option<&'static str>,
    /// A power off is accepted and never happens.
    pub stuck: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
pub enum Trouble {
    /// This status, and nothing is done.
    Status(u16, &'static str),
    /// It is done, and the answer is a 500.
    DoneAndFailed,
    /// It is done, and no answer comes.
    DoneAndCut,
}

#[derive(Default)]
pub struct World {
    pub nodes: BTreeMap<String, Value>,
    pub machines: BTreeMap<String, Machine>,
    pub volumes: BTreeMap<String, Value>,
    pub allocations: BTreeMap<String, Value>,
    pub asked: Vec<(String, Value)>,
    /// By the beginning of the request's line: what becomes of it, and how often.
    pub trouble: Vec<(String, Trouble, u32)>,
    due: Vec<(Instant, String, Value)>,
}

#[derive(Clone)]
pub struct Rack {
    world: Arc<Mutex<World>>,
    address: String,
}

type Answer = (u16, Value);

fn no(status: u16, said: &str) -> Answer {
    let inner = json!({"faultcode": "Client", "faultstring": said, "debuginfo": null}).to_string();
    (status, json!({ "error_message": inner }))
}

/// `/extra/coldswap/holder` of a JSON patch, applied.
fn put_at(root: &mut Value, path: &str, value: Option<Value>) -> Result<(), Answer> {
    let pointer = path.rsplit_once('/').expect("a path");
    let at = root.pointer_mut(pointer.0).and_then(Value::as_object_mut).ok_or_else(|| no(400, "the path does not exist"))?;
    match value {
        Some(value) => drop(at.insert(pointer.1.to_owned(), value)),
        None if path.matches('/').count() == 1 => drop(at.insert(pointer.1.to_owned(), Value::Null)),
        None => drop(at.remove(pointer.1).ok_or_else(|| no(400, "can't remove a non-existent object"))?),
    }
    Ok(())
}

fn word<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

impl World {
    /// What was begun and is due.
    fn tick(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.due).into_iter().partition(|(at, ..)| *at <= now);
        self.due = later;
        for (_, id, fields) in due {
            let node = self.nodes.get_mut(&id).expect("a node");
            for (key, value) in fields.as_object().expect("fields") {
                node[key] = value.clone();
            }
            node["reservation"] = Value::Null;
        }
    }

    fn shown(&self, id: &str) -> Value {
        let mut node = self.nodes[id].clone();
        for (part, keys) in [("instance_info", &["configdrive", "image_url", "ssh_password"][..]), ("driver_info", &["redfish_password"])] {
            for key in keys {
                if node[part].get(*key).is_some() {
                    node[part][*key] = json!("******");
                }
            }
        }
        node
    }

    fn unlocked(&self, id: &str) -> Result<(), Answer> {
        let node = self.nodes.get(id).ok_or_else(|| no(404, &format!("Node {id} could not be found.")))?;
        match word(node, "reservation") {
            Some(host) => {
                Err(no(409, &format!("Node {id} is locked by host {host}, please retry after the current operation is completed.")))
            }
            None => Ok(()),
        }
    }

    fn patch_node(&mut self, id: &str, ops: &Value) -> Result<Answer, Answer> {
        self.unlocked(id)?;
        let before = self.nodes[id].clone();
        let mut node = before.clone();
        for op in ops.as_array().expect("a patch") {
            let (what, path) = (word(op, "op").expect("an op"), word(op, "path").expect("a path"));
            let field = path.split('/').nth(1).unwrap_or_default();
            if ["power_state", "provision_state", "fault", "maintenance_reason", "reservation", "uuid"].contains(&field) {
                return Err(no(400, &format!("Cannot patch {path}.")));
            }
            put_at(&mut node, path, (what != "remove").then(|| op["value"].clone()))?;
        }
        let (was, is) = (word(&before, "instance_uuid"), word(&node, "instance_uuid"));
        if was != is && is.is_some() {
            if let Some(was) = was {
                return Err(no(409, &format!("Node {id} is associated with instance {was}.")));
            }
            if self.nodes.values().any(|n| word(n, "instance_uuid") == is) {
                let said = format!(
                    "Instance {} is already associated with a node, it cannot be associated with this other node {id}",
                    is.unwrap_or_default()
                );
                return Err(no(409, &said));
            }
        }
        if is.is_none()
            && let Some(allocation) = word(&before, "allocation_uuid")
        {
            if before["maintenance"] != true {
                return Err(no(409, "Node with an allocation can not have instance_uuid removed unless in maintenance"));
            }
            self.allocations.remove(allocation);
            node["allocation_uuid"] = Value::Null;
        }
        if node["maintenance"] == false {
            (node["maintenance_reason"], node["fault"]) = (Value::Null, Value::Null);
        }
        self.nodes.insert(id.to_owned(), node);
        Ok((200, self.shown(id)))
    }

    fn power(&mut self, id: &str, body: &Value) -> Result<Answer, Answer> {
        self.unlocked(id)?;
        let target = word(body, "target").expect("a target");
        let (on, state) = if target == "power on" { (true, "power on") } else { (false, "power off") };
        let machine = self.machines.get_mut(id).expect("a machine");
        let failed =
            |why: &str| json!({"target_power_state": null, "last_error": format!("Failed to change power state to '{state}': {why}")});
        let end = match machine.dead {
            Some(why) => failed(why),
            None if machine.stuck && !on && machine.on => {
                let mut end = failed("Failed to set node power state to power off.");
                end["power_state"] = json!("power on");
                end
            }
            None => {
                machine.on = on;
                json!({"power_state": state, "target_power_state": null})
            }
        };
        let node = self.nodes.get_mut(id).expect("a node");
        (node["target_power_state"], node["last_error"], node["reservation"]) = (json!(state), Value::Null, json!("lab"));
        self.due.push((Instant::now() + TAKES, id.to_owned(), end));
        Ok((202, Value::Null))
    }

    fn provision(&mut self, id: &str, verb: &str) -> Result<Answer, Answer> {
        self.unlocked(id)?;
        let state = word(&self.nodes[id], "provision_state").expect("a state").to_owned();
        let boots = self.volumes.values().any(|v| word(v, "node_uuid") == Some(id) && v["boot_index"] == 0);
        let (going, mut end) = match (verb, state.as_str()) {
            ("active", "available" | "deploy failed") if self.nodes[id]["maintenance"] == true => {
                return Err(no(400, "The provision operation can't be performed on node because it's in maintenance mode."));
            }
            ("active", "available" | "deploy failed") if boots => {
                ("deploying", json!({"provision_state": "active", "power_state": "power on"}))
            }
            ("active", "available" | "deploy failed") => return Err(no(400, "Missing are: ['instance_info.image_source']")),
            ("adopt", "manageable" | "adopt failed") => ("adopting", json!({"provision_state": "active"})),
            ("manage", "enroll") => ("verifying", json!({"provision_state": "manageable", "power_state": "power off"})),
            ("manage", "available" | "adopt failed") => ("manageable", json!({"provision_state": "manageable"})),
            ("deleted", "active" | "deploy failed" | "error") => {
                self.volumes.retain(|_, v| word(v, "node_uuid") != Some(id) || v.get("volume_id").is_none());
                let after = if self.nodes[id]["automated_clean"] == false { "available" } else { "clean wait" };
                (
                    "deleting",
                    json!({"provision_state": after, "instance_uuid": null, "instance_info": {}, "instance_name": null, "power_state": "power off"}),
                )
            }
            _ => {
                return Err(no(
                    400,
                    &format!("The requested action \"{verb}\" can not be performed on node \"{id}\" while it is in state \"{state}\"."),
                ));
            }
        };
        end["target_provision_state"] = Value::Null;
        if verb == "active" {
            self.machines.get_mut(id).expect("a machine").on = true;
        }
        let node = self.nodes.get_mut(id).expect("a node");
        (node["provision_state"], node["reservation"], node["last_error"]) = (json!(going), json!("lab"), Value::Null);
        self.due.push((Instant::now() + TAKES, id.to_owned(), end));
        Ok((202, Value::Null))
    }

    fn move_volume(&mut self, id: &str, ops: &Value) -> Result<Answer, Answer> {
        let to = ops[0]["value"].as_str().expect("a node");
        self.unlocked(to)?;
        let state = word(&self.nodes[to], "power_state");
        if state != Some("power off") {
            return Err(no(400, &format!("can not be performed on node {to} while it is in state \"{}\"", state.unwrap_or("None"))));
        }
        let volume = self.volumes.get_mut(id).ok_or_else(|| no(404, "not found"))?;
        volume["node_uuid"] = json!(to);
        Ok((200, volume.clone()))
    }

    fn route(&mut self, method: &str, path: &str, query: &str, body: &Value) -> Result<Answer, Answer> {
        let of = query.split('&').find_map(|q| q.strip_prefix("node="));
        let listed = |world: &World, targets: bool| -> Vec<Value> {
            let all = world.volumes.values().filter(|v| v.get("volume_id").is_some() == targets);
            all.filter(|v| of.is_none_or(|of| word(v, "node_uuid") == Some(of))).cloned().collect()
        };
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        Ok(match (method, parts.as_slice()) {
            ("GET", ["/v1"] | ["nodes", "detail"]) if path == "/v1/nodes/detail" => {
                (200, json!({"nodes": self.nodes.keys().map(|id| self.shown(id)).collect::<Vec<_>>()}))
            }
            ("GET", ["nodes", id]) => match self.nodes.contains_key(*id) {
                true => (200, self.shown(id)),
                false => no(404, "not found"),
            },
            ("PATCH", ["nodes", id]) => self.patch_node(id, body)?,
            ("PUT", ["nodes", id, "maintenance"]) => {
                self.unlocked(id)?;
                let node = self.nodes.get_mut(*id).expect("a node");
                (node["maintenance"], node["maintenance_reason"]) = (json!(true), body["reason"].clone());
                (202, Value::Null)
            }
            ("PUT", ["nodes", id, "states", "power"]) => self.power(id, body)?,
            ("PUT", ["nodes", id, "states", "provision"]) => self.provision(id, word(body, "target").expect("a verb"))?,
            ("PUT", ["nodes", id, "management", _]) => {
                self.unlocked(id)?;
                (204, Value::Null)
            }
            ("GET", ["volume", "connectors"]) => (200, json!({"connectors": listed(self, false)})),
            ("GET", ["volume", "targets"]) => (200, json!({"targets": listed(self, true)})),
            ("GET", ["volume", _, id]) => self.volumes.get(*id).map_or_else(|| no(404, "not found"), |v| (200, v.clone())),
            ("PATCH", ["volume", _, id]) => self.move_volume(id, body)?,
            ("GET", ["allocations", id]) => self.allocations.get(*id).map_or_else(|| no(404, "not found"), |a| (200, a.clone())),
            ("POST", ["allocations"]) => {
                let node = self.nodes.get_mut(word(body, "node").expect("a node")).expect("a node");
                let uuid = node["instance_uuid"].clone();
                node["allocation_uuid"] = uuid.clone();
                self.allocations.insert(uuid.as_str().expect("an instance").to_owned(), body.clone());
                (201, body.clone())
            }
            _ if path == "/v1" => (200, json!({"id": "v1", "version": {"id": "v1", "min_version": "1.1", "version": "1.115"}})),
            _ => no(404, "no such place"),
        })
    }
}

async fn answer(State(rack): State<Rack>, method: Method, uri: Uri, body: Bytes) -> Response {
    let line = format!("{method} {}", uri.path());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (answer, trouble) = {
        let mut world = rack.world();
        world.asked.push((line.clone(), body.clone()));
        let found = world.trouble.iter_mut().find(|(begins, _, times)| line.starts_with(begins.as_str()) && *times > 0);
        let trouble = found.map(|(_, trouble, times)| {
            *times -= 1;
            *trouble
        });
        let answer = match trouble {
            Some(Trouble::Status(status, said)) => no(status, said),
            _ => world.route(method.as_str(), uri.path(), uri.query().unwrap_or_default(), &body).unwrap_or_else(|no| no),
        };
        (answer, trouble)
    };
    match trouble {
        Some(Trouble::DoneAndFailed) => (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
        Some(Trouble::DoneAndCut) => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        _ => {
            let text = if answer.1.is_null() { String::new() } else { answer.1.to_string() };
            (StatusCode::from_u16(answer.0).expect("a status"), [("x-openstack-request-id", "req-17")], text).into_response()
        }
    }
}

impl Rack {
    pub async fn start(nodes: &[Value], volumes: &[Value]) -> Rack {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let rack = Rack { world: Arc::default(), address: format!("http://{}", listener.local_addr().expect("an address")) };
        {
            let mut world = rack.world();
            for node in nodes {
                let id = word(node, "uuid").expect("a uuid").to_owned();
                world.machines.insert(id.clone(), Machine { on: word(node, "power_state") == Some("power on"), ..Machine::default() });
                world.nodes.insert(id, node.clone());
            }
            world.volumes = volumes.iter().map(|v| (word(v, "uuid").expect("a uuid").to_owned(), v.clone())).collect();
        }
        let app = axum::Router::new().fallback(answer).with_state(rack.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        rack
    }

    pub fn url(&self) -> &str {
        &self.address
    }

    /// As it is now.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().expect("lock");
        world.tick();
        world
    }

    pub fn node(&self, id: &str) -> Value {
        self.world().nodes[id].clone()
    }

    pub fn set(&self, id: &str, key: &str, value: Value) {
        self.world().nodes.get_mut(id).expect("a node")[key] = value;
    }

    pub fn trouble(&self, begins: &str, trouble: Trouble, times: u32) {
        self.world().trouble.push((begins.to_owned(), trouble, times));
    }

    /// Whatever was not only read, since this was asked last.
    pub fn changes(&self) -> Vec<(String, Value)> {
        let asked = std::mem::take(&mut self.world().asked);
        asked.into_iter().filter(|(line, _)| !line.starts_with("GET ")).collect()
    }
}
