//! Which request is which, and what answers it when nothing goes wrong.

use super::change::{self, Change};
use super::faults::RequestKind;
use super::fleet::Fleet;
use super::machine::Machine;
use super::power::Verb;
use super::reply::{Answer, Message, error, general, method_not_allowed, not_found};
use super::resources::{self, Shown, network::function_index, services::METADATA};
use super::sessions;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

/// A request as far as it matters here.
pub(super) struct Asked<'a> {
    pub method: &'a Method,
    /// Below `/redfish/v1`, taken apart at its slashes.
    pub path: &'a [&'a str],
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// None: no JSON.
    pub body: Option<&'a Value>,
}

/// What is to be done about a request.
pub(super) enum Reply {
    Answer(Answer),
    /// It wants something changed, and may.
    Change(Change),
}

/// What the fault rules call this request.
pub(super) fn kind(method: &Method, path: &[&str], body: Option<&Value>) -> RequestKind {
    match (method.as_str(), path) {
        ("GET" | "HEAD", ["Systems", _]) => RequestKind::ReadSystem,
        ("GET" | "HEAD", _) => RequestKind::Read,
        ("POST", ["SessionService", "Sessions"] | ["SessionService", "Sessions", "Members"]) => RequestKind::Login,
        ("DELETE", ["SessionService", "Sessions", _]) => RequestKind::Logout,
        ("PATCH" | "PUT", _) => RequestKind::SetBoot,
        ("POST", ["Systems", _, "Actions", "ComputerSystem.Reset"]) => {
            match Verb::of(body.and_then(|b| b.get("ResetType")).and_then(Value::as_str).unwrap_or("")) {
                Verb::On => RequestKind::PowerOn,
                Verb::HardOff => RequestKind::HardOff,
                Verb::SoftOff => RequestKind::SoftOff,
                Verb::HardRestart | Verb::SoftRestart | Verb::Button | Verb::Nothing => RequestKind::Restart,
            }
        }
        _ => RequestKind::Write,
    }
}

/// What may be asked without saying who asks (DSP0266, section on authentication).
fn open_to_all(asked: &Asked) -> bool {
    let read = matches!(asked.method.as_str(), "GET" | "HEAD");
    match asked.path {
        [] | ["odata"] | ["$metadata"] => read,
        ["SessionService", "Sessions"] | ["SessionService", "Sessions", "Members"] => *asked.method == Method::POST,
        _ => false,
    }
}

/// `door`: the BMC that was asked, which knows the sessions. `machine`: the one that answers.
pub(super) fn answer(fleet: &Fleet, door: &Machine, machine: &Machine, shown: Shown, asked: &Asked) -> Reply {
    if !open_to_all(asked) && !sessions::allowed(fleet, door, asked.headers) {
        return Reply::Answer(super::reply::unauthorized());
    }
    if let Some(refused) = query_refusal(asked.query) {
        return Reply::Answer(refused);
    }
    match (asked.method.as_str(), asked.path) {
        ("GET" | "HEAD", _) => Reply::Answer(get(machine, asked.path, shown)),
        ("POST", ["SessionService", "Sessions"] | ["SessionService", "Sessions", "Members"]) => {
            Reply::Answer(sessions::login(fleet, door, asked.body))
        }
        ("DELETE", ["SessionService", "Sessions", id]) => Reply::Answer(logout(door, id)),
        _ => write(machine, asked).map_or_else(Reply::Answer, Reply::Change),
    }
}

fn logout(door: &Machine, id: &str) -> Answer {
    if door.state().sessions.logout(id) {
        return Answer::no_content();
    }
    not_found(&door.at(&format!("/SessionService/Sessions/{id}")))
}

/// No query option is supported, and DSP0266 wants that said, not ignored.
fn query_refusal(query: Option<&str>) -> Option<Answer> {
    let option = query?.split('&').find(|q| q.starts_with('$') || q.starts_with("%24") || *q == "only" || *q == "excerpt")?;
    let message = Message {
        id: "QueryNotSupported",
        text: "Querying is not supported by the implementation.".into(),
        args: &[],
        resolution: "Remove the query parameters and resubmit the request if the operation failed.",
    };
    tracing::debug!(option, "query option refused");
    Some(error(StatusCode::NOT_IMPLEMENTED, &message))
}

fn get(machine: &Machine, path: &[&str], shown: Shown) -> Answer {
    match path {
        ["$metadata"] => return Answer::text(StatusCode::OK, METADATA.into()).with(header::CONTENT_TYPE, "application/xml"),
        ["TaskService", "TaskMonitors", id] => return monitor(machine, id),
        _ => {}
    }
    match resources::read(machine, path, shown) {
        Some(resource) => {
            let answer = Answer::text(StatusCode::OK, resource.body);
            let answer = answer.with(header::ALLOW, allow(machine, path));
            match resource.etag {
                Some(etag) => answer.with(header::ETAG, etag),
                None => answer,
            }
        }
        None => not_found(&machine.at(&format!("/{}", path.join("/")))),
    }
}

/// 202 for as long as the task runs, then what the action would have answered.
fn monitor(machine: &Machine, id: &str) -> Answer {
    let over = machine.state().tasks.over(id);
    match over {
        None => not_found(&super::tasks::monitor(machine, id)),
        Some(true) => Answer::no_content(),
        Some(false) => {
            let body = super::tasks::resource(machine, id, false);
            Answer::json(StatusCode::ACCEPTED, &body).with(header::LOCATION, super::tasks::monitor(machine, id))
        }
    }
}

fn write(machine: &Machine, asked: &Asked) -> Result<Change, Answer> {
    let own = |id: &str| id == machine.spec.system_id;
    match (asked.method.as_str(), asked.path) {
        ("POST", ["Systems", id, "Actions", "ComputerSystem.Reset"]) if own(id) => change::reset(machine, asked.body),
        ("PATCH", ["Systems", id]) if own(id) => {
            unchanged(machine, asked)?;
            change::system(machine, asked.body)
        }
        ("PATCH", path) if function_index(machine, path).is_some() => {
            unchanged(machine, asked)?;
            change::function(machine, function_index(machine, path).unwrap_or(0), asked.body)
        }
        ("POST", ["UpdateService", "Actions", "UpdateService.SimpleUpdate"]) => Err(update_disabled()),
        (method, path) if resources::read(machine, path, Shown::True).is_some() => Err(method_not_allowed(method, allow(machine, path))),
        (_, path) => Err(not_found(&machine.at(&format!("/{}", path.join("/"))))),
    }
}

fn update_disabled() -> Answer {
    let message = Message {
        id: "ServiceDisabled",
        text: "The operation failed because the service at /redfish/v1/UpdateService is disabled.".into(),
        args: &["/redfish/v1/UpdateService"],
        resolution: "Enable the service and resubmit the request if the operation failed.",
    };
    error(StatusCode::SERVICE_UNAVAILABLE, &message)
}

fn allow(machine: &Machine, path: &[&str]) -> &'static str {
    match path {
        ["Systems", id] if *id == machine.spec.system_id => "GET, HEAD, PATCH",
        ["SessionService", "Sessions"] => "GET, HEAD, POST",
        ["SessionService", "Sessions", _] => "GET, HEAD, DELETE",
        ["Chassis", _, "NetworkAdapters", _, "NetworkDeviceFunctions", _] => "GET, HEAD, PATCH",
        _ => "GET, HEAD",
    }
}

/// `If-Match` must name the resource as it is now, weakly or not, or be `*`.
fn unchanged(machine: &Machine, asked: &Asked) -> Result<(), Answer> {
    let Some(wanted) = asked.headers.get(header::IF_MATCH) else { return Ok(()) };
    let now = resources::read(machine, asked.path, Shown::True).and_then(|r| r.etag).unwrap_or_default();
    let names = |t: &str| t.split(',').map(str::trim).any(|t| t == "*" || t.trim_start_matches("W/") == now);
    if wanted.to_str().is_ok_and(names) {
        return Ok(());
    }
    let message = Message {
        id: "PreconditionFailed",
        text: "The ETag supplied did not match the ETag required to change this resource.".into(),
        args: &[],
        resolution: "Try the operation again using the appropriate ETag.",
    };
    Err(error(StatusCode::PRECONDITION_FAILED, &message))
}

/// `/redfish`: the versions.
pub(super) fn versions(machine: &Machine) -> Answer {
    Answer::json(StatusCode::OK, &json!({"v1": machine.at("/")}))
}

pub(super) fn nowhere(path: &str) -> Answer {
    if path.contains("/redfish") { not_found(path) } else { general(StatusCode::NOT_FOUND, "nothing is here") }
}
