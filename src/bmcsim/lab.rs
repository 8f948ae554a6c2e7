//! `/lab`: what a test or a person asks of the simulator itself. No latency, no faults, no authentication: it listens
//! where the simulated BMCs listen, on a loopback address unless told otherwise.

use super::faults::FaultRule;
use super::fleet::Fleet;
use super::machine::Machine;
use super::power::{Phase, boot_progress};
use super::reply::{Answer, general, method_not_allowed};
use crate::model::{IscsiBoot, PowerState};
use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A machine as it really is, whatever its BMC says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MachineView {
    #[serde(serialize_with = "super::log::shared_text")]
    pub name: Arc<str>,
    pub power: PowerState,
    pub boot_progress: String,
    pub iscsi: Vec<IscsiBoot>,
    /// Accepted commands that have not taken effect yet.
    pub landing: u32,
    pub requests: u64,
    /// The most requests at once.
    pub requests_at_once: u32,
    pub sessions: usize,
    /// The most sessions at once.
    pub sessions_at_once: usize,
}

impl MachineView {
    pub(super) fn of(machine: &Machine) -> MachineView {
        let state = machine.state();
        MachineView {
            name: machine.name.clone(),
            power: match state.power.phase() {
                Phase::Off => PowerState::Off,
                Phase::PoweringOn => PowerState::PoweringOn,
                Phase::On => PowerState::On,
                Phase::PoweringOff => PowerState::PoweringOff,
            },
            boot_progress: boot_progress(&state, machine.timing.boot).to_owned(),
            iscsi: state.adapters.iter().filter_map(|a| a.iscsi.as_ref()).map(|i| i.boot()).collect(),
            landing: machine.landing.load(Ordering::Relaxed),
            requests: machine.requests.load(Ordering::Relaxed),
            requests_at_once: machine.peak.load(Ordering::Relaxed),
            sessions: state.sessions.ids().len(),
            sessions_at_once: state.sessions.peak,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerOrder {
    machine: String,
    #[serde(rename = "do")]
    what: OnOff,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnOff {
    On,
    Off,
    /// Its feed fails and comes back: `PowerRestorePolicy` decides.
    PowerCut,
}

pub(super) fn answer(fleet: &Arc<Fleet>, method: &Method, path: &str, body: Option<Value>) -> Answer {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).skip(1).collect();
    let done = match (method.as_str(), parts.as_slice()) {
        ("GET", []) => Ok(json!({"machines": fleet.machines.len(), "see": SEE})),
        ("GET", ["witness"]) => Ok(json!(fleet.witness.report())),
        ("GET", ["witness", "log"]) => Ok(json!(fleet.witness.log())),
        ("GET", ["machines"]) => Ok(json!(fleet.machines.iter().map(|m| MachineView::of(m)).collect::<Vec<_>>())),
        ("GET", ["machines", name]) => match fleet.machine(name) {
            Some(machine) => Ok(json!(MachineView::of(machine))),
            None => Err(unknown(name)),
        },
        ("GET", ["requests"]) => Ok(json!(fleet.log.report())),
        ("DELETE", ["requests"]) => Ok(json!(fleet.log.clear())),
        ("GET", ["faults"]) => Ok(json!(fleet.faults().rules())),
        ("PUT", ["faults"]) => read(body).and_then(|rules| set_faults(fleet, rules)),
        ("POST", ["faults"]) => read(body).and_then(|rule| set_faults(fleet, [fleet.faults().rules(), vec![rule]].concat())),
        ("DELETE", ["faults"]) => set_faults(fleet, Vec::new()),
        ("GET", ["exports"]) => Ok(json!(fleet.witness.exports())),
        ("PUT", ["exports"]) => read(body).map(|exports| set_exports(fleet, exports)),
        ("POST", ["power"]) => read(body).and_then(|order| power(fleet, &order)),
        (method, [known]) if SEE.contains(known) => return method_not_allowed(method, "GET"),
        _ => Err((StatusCode::NOT_FOUND, format!("there is no `{path}`; see `/lab`"))),
    };
    match done {
        Ok(Value::Null) => Answer::no_content(),
        Ok(value) => Answer::json(StatusCode::OK, &value),
        Err((status, text)) => general(status, &text),
    }
}

const SEE: [&str; 6] = ["witness", "machines", "requests", "faults", "exports", "power"];

type Done<T> = Result<T, (StatusCode, String)>;

fn unknown(name: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("there is no machine `{name}`"))
}

fn read<T: for<'de> Deserialize<'de>>(body: Option<Value>) -> Done<T> {
    let body = body.ok_or((StatusCode::BAD_REQUEST, "the body is no JSON".to_owned()))?;
    serde_json::from_value(body).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))
}

fn set_faults(fleet: &Fleet, rules: Vec<FaultRule>) -> Done<Value> {
    fleet.set_faults(rules).map(|()| Value::Null).map_err(|e| (StatusCode::BAD_REQUEST, e))
}

fn set_exports(fleet: &Fleet, exports: BTreeMap<String, Vec<String>>) -> Value {
    fleet.witness.set_exports(fleet.now(), exports);
    Value::Null
}

fn power(fleet: &Fleet, order: &PowerOrder) -> Done<Value> {
    let machine = fleet.machine(&order.machine).ok_or_else(|| unknown(&order.machine))?;
    match order.what {
        OnOff::On => fleet.force(machine, true),
        OnOff::Off => fleet.force(machine, false),
        OnOff::PowerCut => fleet.power_cut(machine),
    }
    Ok(Value::Null)
}
