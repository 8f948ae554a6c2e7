//! One simulated machine: what it is (never changes), and what state it and its BMC are in (one mutex).

use super::power::Power;
use super::resources::system::Fixed;
use super::sessions::Sessions;
use super::spec::{MachineSpec, Timing};
use super::tasks::Tasks;
use super::witness::Wanted;
use crate::model::{BootMode, BootOverride, IscsiBoot, PowerRestorePolicy};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Machine {
    pub name: Arc<str>,
    pub spec: MachineSpec,
    pub timing: Timing,
    /// What stands before `/redfish/v1` in its links.
    pub prefix: String,
    pub fixed: Fixed,
    state: Mutex<State>,
    /// Requests so far.
    pub requests: AtomicU64,
    in_flight: AtomicU32,
    /// The most requests at once.
    pub peak: AtomicU32,
    /// Accepted commands that have not taken effect yet.
    pub landing: AtomicU32,
}

/// What changes.
pub(super) struct State {
    pub power: Power,
    pub adapters: Vec<Adapter>,
    pub boot: BootOverride,
    pub boot_mode: Option<BootMode>,
    pub restore: Option<PowerRestorePolicy>,
    pub asset_tag: String,
    pub sessions: Sessions,
    pub tasks: Tasks,
    /// What it opened when it came On.
    pub opened: Vec<Wanted>,
    /// It found something to boot.
    pub boots: bool,
}

/// A network adapter's function.
pub(super) struct Adapter {
    pub mac: String,
    /// None: it cannot boot from iSCSI.
    pub iscsi: Option<Iscsi>,
    /// `NetworkDeviceFunction.BootMode`.
    pub boot_mode: String,
}

pub(super) struct Iscsi {
    pub initiator: String,
    pub target: String,
    pub address: String,
    pub port: Option<u16>,
    pub lun: u32,
    /// Members of `iSCSIBoot` that are kept and shown but mean nothing to the machine. No CHAP secret ever gets in.
    pub rest: Map<String, Value>,
}

impl Machine {
    pub(super) fn new(index: usize, spec: MachineSpec, fleet: &Timing, prefix: String) -> Machine {
        let adapters = spec.adapters.iter().enumerate().map(|(n, a)| {
            let made_up = format!("02:00:{:02x}:{:02x}:{:02x}:{:02x}", index >> 16 & 255, index >> 8 & 255, index & 255, n);
            Adapter {
                mac: a.mac.clone().unwrap_or(made_up),
                boot_mode: if a.iscsi.as_ref().is_some_and(|i| !i.is_clear()) { "iSCSI" } else { "Disabled" }.into(),
                iscsi: a.iscsi.as_ref().map(Iscsi::new),
            }
        });
        let state = State {
            power: Power::new(),
            adapters: adapters.collect(),
            boot: BootOverride { target: Some("None".into()), enabled: Some("Disabled".into()) },
            boot_mode: spec.facts.boot_mode,
            restore: spec.facts.power_restore_policy,
            asset_tag: String::new(),
            sessions: Sessions::default(),
            tasks: Tasks::default(),
            opened: Vec::new(),
            boots: false,
        };
        Machine {
            name: Arc::from(spec.name.as_str()),
            fixed: Fixed::new(&spec, &prefix),
            timing: spec.timing.unwrap_or(*fleet),
            spec,
            prefix,
            state: Mutex::new(state),
            requests: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            landing: AtomicU32::new(0),
        }
    }

    /// Held for a moment only, never across an await. The witness's lock is taken inside it, never the other way.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link to something of this BMC: `at("/Systems")`.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}/redfish/v1{path}", self.prefix)
    }

    /// Counts a request for as long as the guard lives.
    pub(super) fn enter(self: &Arc<Machine>) -> InFlight {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        InFlight(self.clone())
    }
}

/// Dropped when the request was answered, or when its client went away.
pub(super) struct InFlight(Arc<Machine>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// Every volume that the boot configuration names now.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let boots = self.adapters.iter().filter_map(|a| a.iscsi.as_ref()).filter(|b| !b.target.trim().is_empty());
        boots.map(|b| Wanted { target: b.target.clone(), lun: b.lun, initiator: b.initiator.clone() }).collect()
    }

    /// Does the override send the next boot to the network (PXE, HTTP)?
    pub(super) fn boots_from_network(&self) -> bool {
        let on = self.boot.enabled.as_deref().is_some_and(|e| e != "Disabled");
        on && matches!(self.boot.target.as_deref(), Some("Pxe" | "UefiHttp"))
    }
}

impl Iscsi {
    fn new(boot: &IscsiBoot) -> Iscsi {
        let (address, port) = split_portal(&boot.portal);
        Iscsi {
            initiator: boot.initiator.clone(),
            target: boot.target.clone(),
            address: address.to_owned(),
            port,
            lun: boot.lun,
            rest: iscsi_rest(),
        }
    }

    pub(super) fn boot(&self) -> IscsiBoot {
        IscsiBoot {
            initiator: self.initiator.clone(),
            target: self.target.clone(),
            portal: join_portal(&self.address, self.port),
            lun: self.lun,
        }
    }
}

/// Address and port of `10.0.0.1:3260`, `[fd00::1]:3260`, or without a port.
fn split_portal(portal: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = portal.strip_prefix('[').and_then(|p| p.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match portal.split_once(':') {
        Some((address, port)) if !port.contains(':') => (address, port.parse().ok()),
        _ => (portal, None),
    }
}

/// The other way round.
fn join_portal(address: &str, port: Option<u16>) -> String {
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    match port {
        Some(port) if !address.is_empty() => format!("{address}:{port}"),
        _ => address,
    }
}

fn iscsi_rest() -> Map<String, Value> {
    let rest = json!({
        "IPAddressType": "IPv4", "IPMaskDNSViaDHCP": false, "TargetInfoViaDHCP": false, "AuthenticationMethod": "None",
        "InitiatorIPAddress": null, "InitiatorNetmask": null, "InitiatorDefaultGateway": null, "PrimaryDNS": null,
        "SecondaryDNS": null, "PrimaryVLANEnable": false, "PrimaryVLANId": null, "RouterAdvertisementEnabled": false,
        "SecondaryTargetName": "", "SecondaryTargetIPAddress": null, "SecondaryTargetTCPPort": null, "SecondaryLUN": null,
        "SecondaryVLANEnable": false, "SecondaryVLANId": null, "CHAPUsername": null, "MutualCHAPUsername": null,
    });
    match rest {
        Value::Object(map) => map,
        _ => unreachable!("written as an object above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals_come_apart_and_together() {
        for portal in ["10.0.0.1:3260", "10.0.0.1", "[fd00::1]:3260", "[fd00::1]", ""] {
            let (address, port) = split_portal(portal);
            assert_eq!(join_portal(address, port), portal);
        }
        assert_eq!(split_portal("fd00::1"), ("fd00::1", None));
    }
}
