//! A Redfish server for a whole simulated fleet: demos, drills, tests.
//!
//! Every BMC of the fleet lives in one process. What it serves is written against the DMTF documents and against what
//! other people's clients expect, independently of this crate's own client. Each machine opens what its own boot
//! configuration names when it comes On, and a [witness](WitnessReport) of its own notices when two machines have one
//! volume open, whatever anybody planned, believed or reported.
//!
//! Start with [`FleetSpec`], then [`start`]. `http` is the way of a request, `power` the way of a machine.

mod change;
mod faults;
mod fleet;
mod http;
mod lab;
mod listen;
mod log;
mod machine;
mod power;
mod reply;
mod resources;
mod routes;
mod sessions;
mod spec;
mod tasks;
mod witness;

pub use faults::{FaultAction, FaultRule, RequestKind};
pub use lab::MachineView;
pub use log::{RequestEntry, RequestsReport};
pub use spec::{AdapterSpec, Addressing, Allowable, Already, Credentials, FleetSpec, Listen, MachineSpec, ResetAnswer, Timing};
pub use witness::{Doing, Violation, WitnessEntry, WitnessReport};

use fleet::Fleet;
use listen::Door;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Bring a fleet up on the current tokio runtime. It is gone when the [`Running`] is dropped.
///
/// Raises this process's limit of open files as far as the system allows.
///
/// # Errors
/// `InvalidInput` names what is wrong with the spec; otherwise what the system says of an address.
pub async fn start(spec: FleetSpec, listen: Listen) -> Result<Running, io::Error> {
    let problems = spec.problems();
    if !problems.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problems.join("; ")));
    }
    listen::raise_file_limit();
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let (stop, stopped) = watch::channel(false);
    let shared = matches!(listen.addressing, Addressing::Paths(_));
    let fleet = Fleet::new(spec, |name| if shared { format!("/bmc/{name}") } else { String::new() });
    let door = Door { fleet: fleet.clone(), own: None, tls: listen.tls.map(TlsAcceptor::from), stop: stopped };
    let (common, own) = match listen.addressing {
        Addressing::Paths(at) => (listen::bind(at)?, Vec::new()),
        Addressing::Addresses { first, port } => {
            let common = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
            let ips = listen::addresses(first).take(fleet.machines.len());
            (common, ips.map(|ip| listen::bind(SocketAddr::from((ip, port)))).collect::<io::Result<Vec<_>>>()?)
        }
    };
    let url = format!("{scheme}://{}", common.local_addr()?);
    let mut addresses = BTreeMap::new();
    for machine in &fleet.machines {
        addresses.insert(machine.name.to_string(), format!("{url}{}", machine.prefix));
    }
    for (machine, listener) in fleet.machines.iter().zip(own) {
        addresses.insert(machine.name.to_string(), format!("{scheme}://{}", listener.local_addr()?));
        tokio::spawn(Door { own: Some(machine.clone()), ..door.clone() }.open(listener));
    }
    tokio::spawn(door.open(common));
    Ok(Running { fleet, addresses, lab: format!("{url}/lab"), stop })
}

/// A fleet that runs.
pub struct Running {
    fleet: Arc<Fleet>,
    addresses: BTreeMap<String, String>,
    lab: String,
    stop: watch::Sender<bool>,
}

impl Running {
    /// What stands before `/redfish/v1`: `http://127.0.0.1:8000/bmc/web-01` or `http://127.1.0.1:8000`.
    pub fn address_of(&self, machine: &str) -> Option<&str> {
        self.addresses.get(machine).map(String::as_str)
    }

    /// All of them, by machine.
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    /// `http://127.0.0.1:8000/lab`
    pub fn lab_url(&self) -> &str {
        &self.lab
    }

    pub fn witness(&self) -> WitnessReport {
        self.fleet.witness.report()
    }

    /// Every open and close, oldest first.
    pub fn witness_log(&self) -> Vec<WitnessEntry> {
        self.fleet.witness.log()
    }

    pub fn requests(&self) -> RequestsReport {
        self.fleet.log.report()
    }

    pub fn clear_requests(&self) {
        self.fleet.log.clear();
    }

    /// The rules in force; `times` is what is left.
    pub fn faults(&self) -> Vec<FaultRule> {
        self.fleet.faults().rules()
    }

    /// Replace the rules. The error names what is wrong with them; then nothing has changed.
    pub fn set_faults(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        self.fleet.set_faults(rules)
    }

    /// Replace the export limits, see [`FleetSpec::exports`]. Sessions of initiators that are no longer named end.
    pub fn set_exports(&self, exports: BTreeMap<String, Vec<String>>) {
        self.fleet.witness.set_exports(self.fleet.now(), exports);
    }

    /// A power button, a watchdog, a feed that came back: On or Off at once. False: there is no such machine.
    pub fn power(&self, machine: &str, on: bool) -> bool {
        let found = self.fleet.machine(machine);
        found.map(|m| self.fleet.force(m, on)).is_some()
    }

    /// Its feed fails and comes back; its restore policy decides what follows. False: there is no such machine.
    pub fn power_cut(&self, machine: &str) -> bool {
        let found = self.fleet.machine(machine);
        found.map(|m| self.fleet.power_cut(m)).is_some()
    }

    /// A machine as it really is.
    pub fn machine(&self, name: &str) -> Option<MachineView> {
        self.fleet.machine(name).map(|m| MachineView::of(m))
    }

    pub fn machines(&self) -> Vec<MachineView> {
        self.fleet.machines.iter().map(|m| MachineView::of(m)).collect()
    }

    /// Close every connection and listener, and wait until that is done. Commands that have not landed never will.
    pub async fn shutdown(self) {
        self.end();
        self.stop.closed().await;
    }

    fn end(&self) {
        self.fleet.stopped.store(true, Ordering::Relaxed);
        // Nobody listening any more is what is wanted.
        let _ = self.stop.send(true);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
