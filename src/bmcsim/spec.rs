//! A simulated fleet as plain data: what a Lab document is turned into.

use super::faults::FaultRule;
use crate::model::{Facts, IscsiBoot, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Every machine of a simulated fleet and what goes wrong with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSpec {
    pub machines: Vec<MachineSpec>,
    pub faults: Vec<FaultRule>,
    /// For machines that bring no timing of their own.
    pub timing: Timing,
    /// Decides every `chance` of a fault: the same seed and the same requests to a machine give the same faults.
    pub seed: u64,
    /// What every BMC asks for. None: no authentication, any login succeeds.
    pub auth: Option<Credentials>,
    /// Where a target name has an entry, only those initiators may open its volumes. No entry: everybody may.
    pub exports: BTreeMap<String, Vec<String>>,
    /// How many requests the log keeps; totals are kept for all.
    pub log_limit: usize,
}

impl Default for FleetSpec {
    fn default() -> FleetSpec {
        FleetSpec {
            machines: Vec::new(),
            faults: Vec::new(),
            timing: Timing::default(),
            seed: 0,
            auth: None,
            exports: BTreeMap::new(),
            log_limit: 10_000,
        }
    }
}

/// A made-up account. Kept out of `Debug` all the same: people reuse real ones.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One machine with its BMC.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MachineSpec {
    /// Part of its URL: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// None: the BMC reports none.
    pub system_uuid: Option<String>,
    pub serial_number: Option<String>,
    /// What the hardware is; a fact that is unknown is null or absent on the wire.
    pub facts: Facts,
    /// Is it On when the simulator starts?
    pub on: bool,
    /// Network adapters with one function each. Empty: nothing boots from iSCSI and the witness sees nothing.
    pub adapters: Vec<AdapterSpec>,
    /// It boots from a disk of its own when no adapter names a target. Otherwise it stays in its firmware.
    pub local_disk: bool,
    /// Report `BootProgress`.
    pub boot_progress: bool,
    /// Report `PoweringOn` and `PoweringOff`. Otherwise the old state is shown until the new one is reached.
    pub transitions: bool,
    /// `Id` of its ComputerSystem.
    pub system_id: String,
    /// More ComputerSystems behind the same BMC, listed after the real one, without Reset (`HGX_Baseboard_0`).
    pub extra_systems: Vec<String>,
    /// The reset types that it allows, spelt as it spells them.
    pub reset_types: Vec<String>,
    pub allowable: Allowable,
    pub reset_answer: ResetAnswer,
    pub already: Already,
    /// Allowable `BootSourceOverrideTarget` values.
    pub override_targets: Vec<String>,
    /// Sessions at once; more are refused with 503. Real BMCs: 4 to 16, some 64.
    pub session_limit: u32,
    /// Instead of the fleet's.
    pub timing: Option<Timing>,
}

impl Default for MachineSpec {
    fn default() -> MachineSpec {
        let texts = |t: &[&str]| t.iter().map(|t| (*t).to_owned()).collect();
        MachineSpec {
            name: String::new(),
            system_uuid: None,
            serial_number: None,
            facts: Facts::default(),
            on: false,
            adapters: Vec::new(),
            local_disk: false,
            boot_progress: true,
            transitions: false,
            system_id: "1".into(),
            extra_systems: Vec::new(),
            reset_types: texts(&[
                "On",
                "ForceOff",
                "ForceOn",
                "GracefulShutdown",
                "GracefulRestart",
                "ForceRestart",
                "PowerCycle",
                "PushPowerButton",
                "Nmi",
            ]),
            allowable: Allowable::default(),
            reset_answer: ResetAnswer::default(),
            already: Already::default(),
            override_targets: texts(&["None", "Pxe", "Cd", "Usb", "Hdd", "BiosSetup", "UefiHttp", "RemoteDrive"]),
            session_limit: 16,
            timing: None,
        }
    }
}

impl MachineSpec {
    /// A machine that is Off, with a UUID and a serial number that follow from its name and one adapter that boots
    /// from nothing yet.
    pub fn named(name: &str) -> MachineSpec {
        let uuid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("simulated machine {name}").as_bytes());
        MachineSpec {
            name: name.to_owned(),
            system_uuid: Some(uuid.to_string()),
            serial_number: Some(format!("SIM-{name}")),
            adapters: vec![AdapterSpec { iscsi: Some(IscsiBoot::default()), ..AdapterSpec::default() }],
            ..MachineSpec::default()
        }
    }
}

/// A network adapter with one function.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdapterSpec {
    /// None: made up.
    pub mac: Option<String>,
    /// What it boots from when the simulator starts. None: it cannot boot from iSCSI at all.
    pub iscsi: Option<IscsiBoot>,
}

/// Where a client learns the allowable reset types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allowable {
    /// `ResetType@Redfish.AllowableValues` in the action.
    #[default]
    Inline,
    /// Only behind `@Redfish.ActionInfo`.
    ActionInfo,
    /// Nowhere.
    Absent,
}

/// What an accepted reset answers (DSP0266, section on actions: any of these).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetAnswer {
    /// 204.
    #[default]
    NoContent,
    /// 200 with a success message.
    Body,
    /// 202 with a task and its monitor.
    Task,
}

/// What a reset answers that asks for the state the machine is in already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Already {
    /// 409, as most vendors do.
    #[default]
    Conflict,
    /// 400, as some do.
    BadRequest,
    /// As if it had done something.
    Accept,
}

/// How long a machine and its BMC take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Before every answer.
    pub latency: Span,
    pub power_on: Span,
    /// A hard off.
    pub power_off: Span,
    /// The operating system's own way down.
    pub soft_off: Span,
    /// From On to `OSRunning`.
    pub boot: Span,
    /// For so long after Off an On is refused with 409.
    pub settle: Span,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            latency: Span::ZERO,
            power_on: Span::secs(1),
            power_off: Span::secs(1),
            soft_off: Span::secs(2),
            boot: Span::secs(3),
            settle: Span::ZERO,
        }
    }
}

impl Timing {
    /// Nothing takes any time.
    pub fn instant() -> Timing {
        Timing {
            latency: Span::ZERO,
            power_on: Span::ZERO,
            power_off: Span::ZERO,
            soft_off: Span::ZERO,
            boot: Span::ZERO,
            settle: Span::ZERO,
        }
    }
}

/// Where the BMCs are found.
#[derive(Clone, Debug)]
pub enum Addressing {
    /// All behind one listener, each under `/bmc/NAME`.
    Paths(SocketAddr),
    /// Each on a loopback address of its own, counted up from `first` (`127.1.0.1`), on one port. Port 0: any.
    /// `/lab` is at `127.0.0.1` on the same port, and on every BMC.
    Addresses { first: Ipv4Addr, port: u16 },
}

/// How to listen.
#[derive(Clone)]
pub struct Listen {
    pub addressing: Addressing,
    /// Speak TLS with this certificate.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Listen {
    /// Plain HTTP on any free port of 127.0.0.1.
    pub fn anywhere() -> Listen {
        Listen { addressing: Addressing::Paths(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), tls: None }
    }
}

impl FleetSpec {
    /// Everything that is wrong with the spec, in words.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for m in &self.machines {
            let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if !plain(&m.name) {
                problems.push(format!("machine name `{}`: use letters, digits, `-`, `_` and `.`", m.name));
            }
            if !seen.insert(m.name.as_str()) {
                problems.push(format!("machine `{}` is there twice", m.name));
            }
            for id in std::iter::once(&m.system_id).chain(&m.extra_systems).filter(|id| !plain(id)) {
                problems.push(format!("system `{id}` of machine `{}`: use letters, digits, `-`, `_` and `.`", m.name));
            }
        }
        let known = |name: &str| seen.contains(name);
        problems.extend(self.faults.iter().filter_map(|f| f.problem(&known)));
        problems
    }
}
