//! Every resource that can be read, by path. Properties and their types are those of the DMTF schemas named in each
//! `@odata.type`.

mod hardware;
pub(super) mod network;
pub(super) mod services;
pub(super) mod system;

use super::machine::Machine;
use super::spec::MachineSpec;
use crate::model::{Health, Span};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hasher};

/// How the power state is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    #[default]
    True,
    /// Off, whatever it is.
    Off,
    Null,
    /// As it was so long ago.
    Ago(Span),
}

/// A resource as text, with an ETag where it can be changed by PATCH.
pub(super) struct Resource {
    pub body: String,
    pub etag: Option<String>,
}

impl From<Value> for Resource {
    fn from(value: Value) -> Resource {
        Resource { body: value.to_string(), etag: None }
    }
}

/// Give a JSON object's text its ETag: a digest of what may change in it, which begins at `from`.
fn tagged(mut body: String, from: usize) -> Resource {
    let mut hasher = DefaultHasher::new();
    hasher.write(&body.as_bytes()[from..]);
    let digest = format!("{:016x}", hasher.finish());
    body.pop();
    body.push_str(r#","@odata.etag":"\""#);
    body.push_str(&digest);
    body.push_str(r#"\""}"#);
    Resource { body, etag: Some(format!("\"{digest}\"")) }
}

/// The resource at a path below `/redfish/v1`, taken apart at its slashes.
pub(super) fn read(machine: &Machine, path: &[&str], shown: Shown) -> Option<Resource> {
    match path {
        ["Systems", id] if *id == machine.spec.system_id => Some(tagged(system::body(machine, shown), machine.fixed.head.len())),
        ["Systems"] => Some(system::collection(machine).into()),
        ["Systems", id] if machine.spec.extra_systems.iter().any(|x| x == id) => Some(system::extra(machine, id).into()),
        ["Systems", id, rest @ ..] if *id == machine.spec.system_id => match rest {
            ["EthernetInterfaces" | "NetworkInterfaces", ..] => network::of_system(machine, rest).map(Into::into),
            ["Storage", ..] => hardware::storage(machine, rest).map(Into::into),
            _ => system::below(machine, rest).map(Into::into),
        },
        ["Chassis", "1", "NetworkAdapters", _, "NetworkDeviceFunctions", _] => {
            network::function(machine, path).map(|v| tagged(v.to_string(), 0))
        }
        ["Chassis", "1", "PCIeDevices", ..] => hardware::pcie(machine, &path[3..]).map(Into::into),
        ["Chassis", "1", "NetworkAdapters", ..] => network::adapters(machine, &path[3..]).map(Into::into),
        _ => services::read(machine, path).map(Into::into),
    }
}

fn link(path: String) -> Value {
    json!({"@odata.id": path})
}

/// `kind`: the members' type, in the singular.
fn members(path: &str, kind: &str, name: &str, members: Vec<String>) -> Value {
    json!({
        "@odata.id": path,
        "@odata.type": format!("#{kind}Collection.{kind}Collection"),
        "Name": name,
        "Members@odata.count": members.len(),
        "Members": members.into_iter().map(link).collect::<Vec<_>>(),
    })
}

fn health(spec: &MachineSpec) -> Value {
    match spec.facts.health {
        Some(Health::Ok) => json!("OK"),
        Some(Health::Warning) => json!("Warning"),
        Some(Health::Critical) => json!("Critical"),
        None => Value::Null,
    }
}
