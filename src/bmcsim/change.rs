//! What a request wants changed: read and checked first, carried out at once, late or never.

use super::fleet::Fleet;
use super::machine::Machine;
use super::power::{NotNow, Verb, accepts, duration};
use super::reply::{Answer, bad_parameter, bad_property, malformed, success};
use super::spec::{Already, ResetAnswer};
use super::tasks;
use crate::model::{BootMode, PowerRestorePolicy, Span};
use axum::http::{StatusCode, header};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Checked and ready to be carried out.
pub(super) enum Change {
    Reset(Verb),
    System(SystemPatch),
    Function { adapter: usize, members: Map<String, Value>, boot_mode: Option<String> },
}

#[derive(Default)]
pub(super) struct SystemPatch {
    target: Option<String>,
    enabled: Option<String>,
    mode: Option<BootMode>,
    restore: Option<PowerRestorePolicy>,
    asset_tag: Option<String>,
}

const RESET: &str = "ComputerSystem.Reset";

/// Read a Reset. `Err` is the answer that refuses it.
pub(super) fn reset(machine: &Machine, body: Option<&Value>) -> Result<Change, Answer> {
    let bad = StatusCode::BAD_REQUEST;
    let body = body.ok_or_else(malformed)?;
    let Some(asked) = body.get("ResetType") else {
        return Err(bad_parameter(bad, "ActionParameterMissing", RESET, "ResetType", "is required and was not there"));
    };
    let allowed = asked.as_str().filter(|a| machine.spec.reset_types.iter().any(|t| t == a));
    let Some(reset_type) = allowed else {
        return Err(bad_parameter(bad, "ActionParameterNotSupported", RESET, "ResetType", &format!("is {asked}, which is not allowed")));
    };
    let verb = Verb::of(reset_type);
    let refusal = machine.state().power.refusal(verb, &machine.timing);
    match refusal {
        Some(why) if !accepts(machine.spec.already, why) => {
            let badly = why == NotNow::Already && machine.spec.already == Already::BadRequest;
            let status = if badly { bad } else { StatusCode::CONFLICT };
            let what = match why {
                NotNow::Already => format!("is {reset_type}, and the machine is in that state already"),
                NotNow::Busy => format!("is {reset_type}, which the machine cannot do in its present power state"),
            };
            Err(bad_parameter(status, "ActionParameterValueConflict", RESET, "ResetType", &what))
        }
        Some(_) => Ok(Change::Reset(Verb::Nothing)),
        None => Ok(Change::Reset(verb)),
    }
}

/// Read a PATCH of the ComputerSystem.
pub(super) fn system(machine: &Machine, body: Option<&Value>) -> Result<Change, Answer> {
    let mut patch = SystemPatch::default();
    for (key, value) in object(body)? {
        match key.as_str() {
            "Boot" => boot(machine, object(Some(value))?, &mut patch)?,
            "AssetTag" => patch.asset_tag = Some(text(key, value)?.to_owned()),
            "PowerRestorePolicy" if machine.spec.facts.power_restore_policy.is_some() => {
                patch.restore = Some(match text(key, value)? {
                    "AlwaysOn" => PowerRestorePolicy::AlwaysOn,
                    "AlwaysOff" => PowerRestorePolicy::AlwaysOff,
                    "LastState" => PowerRestorePolicy::LastState,
                    _ => return Err(bad_property("PropertyValueNotInList", key, "has a value that is not allowed")),
                });
            }
            "Id" | "Name" | "UUID" | "SerialNumber" | "PowerState" | "Model" | "Manufacturer" | "BiosVersion" => {
                return Err(bad_property("PropertyNotWritable", key, "is read-only"));
            }
            _ if key.starts_with('@') => {}
            _ => return Err(bad_property("PropertyUnknown", key, "is not known")),
        }
    }
    Ok(Change::System(patch))
}

fn boot(machine: &Machine, members: &Map<String, Value>, patch: &mut SystemPatch) -> Result<(), Answer> {
    let not_in_list = |key: &str| bad_property("PropertyValueNotInList", key, "has a value that is not allowed");
    for (key, value) in members {
        match key.as_str() {
            "BootSourceOverrideTarget" => {
                let target = text(key, value)?;
                if !machine.spec.override_targets.iter().any(|t| t == target) {
                    return Err(not_in_list(key));
                }
                patch.target = Some(target.to_owned());
            }
            "BootSourceOverrideEnabled" => {
                let enabled = text(key, value)?;
                if !matches!(enabled, "Disabled" | "Once" | "Continuous") {
                    return Err(not_in_list(key));
                }
                patch.enabled = Some(enabled.to_owned());
            }
            "BootSourceOverrideMode" => {
                patch.mode = Some(match text(key, value)? {
                    "UEFI" => BootMode::Uefi,
                    "Legacy" => BootMode::Bios,
                    _ => return Err(not_in_list(key)),
                });
            }
            _ => return Err(bad_property("PropertyUnknown", key, "is not known")),
        }
    }
    Ok(())
}

/// Read a PATCH of an adapter's function.
pub(super) fn function(machine: &Machine, adapter: usize, body: Option<&Value>) -> Result<Change, Answer> {
    let (mut members, mut boot_mode) = (Map::new(), None);
    for (key, value) in object(body)? {
        match key.as_str() {
            "iSCSIBoot" => members = iscsi(machine, adapter, object(Some(value))?)?,
            "BootMode" => boot_mode = Some(text(key, value)?.to_owned()),
            _ if key.starts_with('@') => {}
            _ => return Err(bad_property("PropertyUnknown", key, "is not known or read-only")),
        }
    }
    Ok(Change::Function { adapter, members, boot_mode })
}

/// Members of `iSCSIBoot` that are accepted and dropped: nobody reads them back.
const SECRETS: [&str; 2] = ["CHAPSecret", "MutualCHAPSecret"];

fn iscsi(machine: &Machine, adapter: usize, members: &Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let state = machine.state();
    let known = state.adapters.get(adapter).and_then(|a| a.iscsi.as_ref());
    let known = known.ok_or_else(|| bad_property("PropertyUnknown", "iSCSIBoot", "is not known"))?;
    let mut kept = Map::new();
    for (key, value) in members {
        let fits = match key.as_str() {
            "InitiatorName" | "PrimaryTargetName" | "PrimaryTargetIPAddress" => value.is_string() || value.is_null(),
            "PrimaryTargetTCPPort" => value.is_null() || value.as_u64().is_some_and(|n| n <= 65_535),
            "PrimaryLUN" => value.is_null() || value.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
            k if SECRETS.contains(&k) => value.is_string() || value.is_null(),
            k if known.rest.contains_key(k) => !value.is_object() && !value.is_array(),
            _ => return Err(bad_property("PropertyUnknown", key, "is not known")),
        };
        if !fits {
            return Err(bad_property("PropertyValueTypeError", key, "has a value of another type"));
        }
        if !SECRETS.contains(&key.as_str()) {
            kept.insert(key.clone(), value.clone());
        }
    }
    Ok(kept)
}

fn object(value: Option<&Value>) -> Result<&Map<String, Value>, Answer> {
    value.and_then(Value::as_object).ok_or_else(malformed)
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, Answer> {
    value.as_str().ok_or_else(|| bad_property("PropertyValueTypeError", key, "must be text"))
}

impl Change {
    /// What the BMC answers that accepts it. `late`: how much later it will begin.
    pub(super) fn accepted(&self, machine: &Machine, late: Span) -> Answer {
        let Change::Reset(verb) = self else { return Answer::no_content() };
        match machine.spec.reset_answer {
            ResetAnswer::NoContent => Answer::no_content(),
            ResetAnswer::Body => success(),
            ResetAnswer::Task => {
                let takes = Span(late.0 + duration(*verb, &machine.timing).0);
                let id = machine.state().tasks.start(takes).to_string();
                let body = tasks::resource(machine, &id, false);
                Answer::json(StatusCode::ACCEPTED, &body).with(header::LOCATION, tasks::monitor(machine, &id))
            }
        }
    }

    pub(super) fn carry_out(self, fleet: &Arc<Fleet>, machine: &Arc<Machine>) {
        match self {
            Change::Reset(verb) => fleet.obey(machine, verb),
            Change::System(patch) => patch.apply(machine),
            Change::Function { adapter, members, boot_mode } => set_function(machine, adapter, members, boot_mode),
        }
    }
}

impl SystemPatch {
    fn apply(self, machine: &Machine) {
        let mut state = machine.state();
        if let Some(target) = self.target {
            // DSP0268: a target without an Enabled leaves Enabled as it is; `None` disables.
            if target == "None" {
                state.boot.enabled = Some("Disabled".into());
            }
            state.boot.target = Some(target);
        }
        if let Some(enabled) = self.enabled {
            state.boot.enabled = Some(enabled);
        }
        state.boot_mode = self.mode.or(state.boot_mode);
        state.restore = self.restore.or(state.restore);
        if let Some(tag) = self.asset_tag {
            state.asset_tag = tag;
        }
    }
}

fn set_function(machine: &Machine, adapter: usize, members: Map<String, Value>, boot_mode: Option<String>) {
    let mut state = machine.state();
    let Some(adapter) = state.adapters.get_mut(adapter) else { return };
    if let Some(mode) = boot_mode {
        adapter.boot_mode = mode;
    }
    let Some(iscsi) = adapter.iscsi.as_mut() else { return };
    for (key, value) in members {
        let words = || value.as_str().unwrap_or("").to_owned();
        let number = || value.as_u64().and_then(|n| u32::try_from(n).ok());
        match key.as_str() {
            "InitiatorName" => iscsi.initiator = words(),
            "PrimaryTargetName" => iscsi.target = words(),
            "PrimaryTargetIPAddress" => iscsi.address = words(),
            "PrimaryTargetTCPPort" => iscsi.port = number().and_then(|n| u16::try_from(n).ok()),
            "PrimaryLUN" => iscsi.lun = number().unwrap_or(0),
            _ => drop(iscsi.rest.insert(key, value)),
        }
    }
}
