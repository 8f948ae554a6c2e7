//! One request from its arrival to its answer: find the machine, write it down, wait the latency, let the faults have
//! their way, answer.

use super::change::Change;
use super::faults::{Fault, FaultAction, RequestKind};
use super::fleet::Fleet;
use super::lab;
use super::log::RequestEntry;
use super::machine::Machine;
use super::reply::{Answer, general};
use super::resources::Shown;
use super::routes::{self, Asked, Reply};
use crate::model::Span;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bodies that are longer are refused.
const BODY_LIMIT: usize = 64 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(super) struct Cut;

/// A request that has come in whole.
struct Arrived {
    machine: Arc<Machine>,
    head: Parts,
    /// Without what names the machine.
    path: String,
    /// None: no JSON.
    body: Option<Value>,
    kind: RequestKind,
    /// Counts the machine's requests.
    nth: u64,
}

/// What the client gets to see.
enum Outcome {
    Answer(Answer),
    Cut,
    Hang,
}

/// `own`: the machine whose listener this is; none where machines are told apart by path.
pub(super) async fn answer(fleet: Arc<Fleet>, own: Option<Arc<Machine>>, request: Request<Incoming>) -> Result<Response<String>, Cut> {
    let (head, body) = request.into_parts();
    // A client that went away in the middle of its body gets no answer anyway.
    let bytes = axum::body::to_bytes(axum::body::Body::new(body), BODY_LIMIT).await.map_err(|_| Cut)?;
    let body: Option<Value> = if bytes.is_empty() { None } else { serde_json::from_slice(&bytes).ok() };
    let path = head.uri.path();
    if path == "/lab" || path.starts_with("/lab/") {
        return Ok(lab::answer(&fleet, &head.method, path, body).into_response());
    }
    let Some((machine, path)) = find(&fleet, own, path) else {
        return Ok(routes::nowhere(path).into_response());
    };
    let path = path.to_owned();
    let Some(parts) = below(&path) else {
        return Ok(routes::nowhere(&path).into_response());
    };
    let _in_flight = machine.enter();
    let nth = machine.requests.fetch_add(1, Ordering::Relaxed);
    let kind = routes::kind(&head.method, &parts, body.as_ref());
    let number = fleet.log.arrived(entry(&fleet, &machine, &head.method, &path, kind));
    let arrived = Arrived { machine: machine.clone(), head, path, body, kind, nth };
    let work = process(fleet.clone(), arrived);
    // What a BMC has heard it does, whether or not its client still waits for the answer.
    let outcome = if kind.reads() { work.await } else { tokio::spawn(work).await.unwrap_or(Outcome::Cut) };
    match outcome {
        Outcome::Answer(answer) => {
            fleet.log.answered(number, answer.status.as_u16());
            Ok(answer.into_response())
        }
        Outcome::Cut => Err(Cut),
        Outcome::Hang => std::future::pending().await,
    }
}

/// A path below `/redfish/v1`, taken apart at its slashes.
fn below(path: &str) -> Option<Vec<&str>> {
    if path.trim_end_matches('/') == VERSIONS {
        return Some(Vec::new());
    }
    let rest = path.strip_prefix("/redfish/v1").filter(|r| r.is_empty() || r.starts_with('/'))?;
    Some(rest.split('/').filter(|p| !p.is_empty()).collect())
}

const VERSIONS: &str = "/redfish";

async fn process(fleet: Arc<Fleet>, arrived: Arrived) -> Outcome {
    let Arrived { machine, head, path, body, kind, nth } = arrived;
    if machine.timing.latency > Span::ZERO {
        tokio::time::sleep(machine.timing.latency.duration()).await;
    }
    let fault = fleet.faults().decide(&machine.name, kind, nth);
    if let Some(slow) = fault.as_ref().filter(|f| f.action == FaultAction::Slow) {
        tokio::time::sleep(slow.by_or(Span::secs(1)).duration()).await;
    }
    if fleet.stopped.load(Ordering::Relaxed) {
        return Outcome::Cut;
    }
    if path.trim_end_matches('/') == VERSIONS {
        return Outcome::Answer(routes::versions(&machine));
    }
    let parts = below(&path).unwrap_or_default();
    let asked = Asked { method: &head.method, path: &parts, query: head.uri.query(), headers: &head.headers, body: body.as_ref() };
    match fault {
        None => Outcome::Answer(handle(&fleet, &machine, &machine, &asked, Shown::True, Effect::Now)),
        Some(fault) => with_fault(&fleet, &machine, &asked, &fault),
    }
}

fn entry(fleet: &Fleet, machine: &Machine, method: &Method, path: &str, kind: RequestKind) -> RequestEntry {
    let (machine, method, path) = (machine.name.clone(), method.to_string(), path.to_owned());
    RequestEntry { at: fleet.now(), machine, method, path, kind, status: None }
}

/// The machine that a path means, and the path without what names it.
fn find<'a>(fleet: &Fleet, own: Option<Arc<Machine>>, path: &'a str) -> Option<(Arc<Machine>, &'a str)> {
    if let Some(machine) = own {
        return Some((machine, path));
    }
    let below = path.strip_prefix("/bmc/")?;
    let (name, _) = below.split_once('/')?;
    Some((fleet.machine(name)?.clone(), &below[name.len()..]))
}

/// When a change takes effect.
enum Effect {
    Now,
    Never,
    Late(Span),
}

/// What becomes of the answer.
enum After {
    Send,
    Hang,
    Cut,
    Instead(Answer),
    Garbage,
}

fn with_fault(fleet: &Arc<Fleet>, door: &Arc<Machine>, asked: &Asked, fault: &Fault) -> Outcome {
    tracing::debug!(machine = %door.name, path = ?asked.path, action = ?fault.action, "fault");
    let late = fault.by_or(Span::secs(30));
    let (mut effect, mut after, mut shown, mut machine) = (Effect::Now, After::Send, Shown::True, door.clone());
    match fault.action {
        FaultAction::Refuse => return Outcome::Answer(refusal(fault, StatusCode::BAD_REQUEST)),
        FaultAction::Conflict => return Outcome::Answer(refusal(fault, StatusCode::CONFLICT)),
        FaultAction::Error => return Outcome::Answer(refusal(fault, StatusCode::INTERNAL_SERVER_ERROR)),
        FaultAction::Busy => return Outcome::Answer(busy(fault)),
        FaultAction::Hang => return Outcome::Hang,
        FaultAction::Drop => return Outcome::Cut,
        FaultAction::ErrorAfter => after = After::Instead(refusal(fault, StatusCode::INTERNAL_SERVER_ERROR)),
        FaultAction::HangAfter => after = After::Hang,
        FaultAction::DropAfter => after = After::Cut,
        FaultAction::DropLate => (effect, after) = (Effect::Late(late), After::Cut),
        FaultAction::Late => effect = Effect::Late(late),
        FaultAction::Ignore => effect = Effect::Never,
        // The time has passed already.
        FaultAction::Slow => {}
        FaultAction::FalseOff => shown = Shown::Off,
        FaultAction::NoPower => shown = Shown::Null,
        FaultAction::Stale => shown = Shown::Ago(late),
        FaultAction::Garbage => after = After::Garbage,
        FaultAction::Empty => after = After::Instead(Answer::text(StatusCode::OK, "{}".into())),
        FaultAction::WrongMachine => {
            let other = fault.answers.as_deref().and_then(|name| fleet.machine(name));
            machine = other.cloned().unwrap_or(machine);
        }
    }
    let answer = handle(fleet, door, &machine, asked, shown, effect);
    match after {
        After::Send => Outcome::Answer(answer),
        After::Hang => Outcome::Hang,
        After::Cut => Outcome::Cut,
        After::Instead(other) => Outcome::Answer(other),
        After::Garbage => Outcome::Answer(garbage(answer)),
    }
}

fn handle(fleet: &Arc<Fleet>, door: &Arc<Machine>, machine: &Arc<Machine>, asked: &Asked, shown: Shown, effect: Effect) -> Answer {
    let mut answer = match routes::answer(fleet, door, machine, shown, asked) {
        Reply::Answer(answer) => answer,
        Reply::Change(change) => take_on(fleet, machine, change, effect),
    };
    if !Arc::ptr_eq(door, machine) && door.prefix != machine.prefix {
        // Another machine at this address has its links at this address.
        answer.body = answer.body.replace(&format!("{}/redfish", machine.prefix), &format!("{}/redfish", door.prefix));
    }
    answer
}

fn take_on(fleet: &Arc<Fleet>, machine: &Arc<Machine>, change: Change, effect: Effect) -> Answer {
    let late = if let Effect::Late(by) = effect { by } else { Span::ZERO };
    let answer = change.accepted(machine, late);
    match effect {
        Effect::Now => change.carry_out(fleet, machine),
        Effect::Never => {}
        Effect::Late(by) => fleet.later(machine, by, |fleet, machine| change.carry_out(fleet, machine)),
    }
    answer
}

fn refusal(fault: &Fault, default: StatusCode) -> Answer {
    let status = fault.status.and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(default);
    general(status, "The simulator was told to refuse this request.")
}

fn busy(fault: &Fault) -> Answer {
    let seconds = fault.by_or(Span::secs(1)).0.div_ceil(1000);
    general(StatusCode::SERVICE_UNAVAILABLE, "The service is temporarily unavailable.").with(header::RETRY_AFTER, seconds.to_string())
}

/// The first half of the body, or something that was never JSON.
fn garbage(answer: Answer) -> Answer {
    let mut body = answer.body;
    let mut half = body.len() / 2;
    while !body.is_char_boundary(half) {
        half -= 1;
    }
    body.truncate(half);
    Answer::text(StatusCode::OK, if body.is_empty() { "<html>".into() } else { body })
}
