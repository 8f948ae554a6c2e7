//! The fleet: every machine, and what they share.

use super::faults::{FaultRule, FaultSet};
use super::log::RequestLog;
use super::machine::Machine;
use super::spec::{Credentials, FleetSpec};
use super::witness::Witness;
use crate::model::{Span, Time};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::time::Instant;

pub(super) struct Fleet {
    pub machines: Vec<Arc<Machine>>,
    by_name: HashMap<Arc<str>, usize>,
    pub witness: Witness,
    faults: RwLock<Arc<FaultSet>>,
    seed: u64,
    pub log: RequestLog,
    pub auth: Option<Credentials>,
    /// Timers that are still asleep do nothing any more.
    pub stopped: AtomicBool,
    started: Instant,
    started_at: Time,
}

impl Fleet {
    /// `prefix` says what stands before `/redfish/v1` in a machine's links.
    pub(super) fn new(spec: FleetSpec, prefix: impl Fn(&str) -> String) -> Arc<Fleet> {
        let timing = spec.timing;
        let machine = |(i, m): (usize, super::spec::MachineSpec)| {
            let prefix = prefix(&m.name);
            Arc::new(Machine::new(i, m, &timing, prefix))
        };
        let machines: Vec<Arc<Machine>> = spec.machines.into_iter().enumerate().map(machine).collect();
        let fleet = Arc::new(Fleet {
            by_name: machines.iter().enumerate().map(|(i, m)| (m.name.clone(), i)).collect(),
            machines,
            witness: Witness::new(spec.exports),
            faults: RwLock::new(Arc::new(FaultSet::new(spec.faults, spec.seed))),
            seed: spec.seed,
            log: RequestLog::new(spec.log_limit),
            auth: spec.auth,
            stopped: AtomicBool::new(false),
            started: Instant::now(),
            started_at: Time(jiff::Timestamp::now().as_microsecond()),
        });
        for machine in fleet.machines.iter().filter(|m| m.spec.on) {
            fleet.force(machine, true);
            machine.state().power.long_since(machine.timing.boot);
        }
        fleet
    }

    pub(super) fn machine(&self, name: &str) -> Option<&Arc<Machine>> {
        self.by_name.get(name).map(|i| &self.machines[*i])
    }

    /// Never goes backwards.
    pub(super) fn now(&self) -> Time {
        let micros = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        Time(self.started_at.0.saturating_add(micros))
    }

    pub(super) fn faults(&self) -> Arc<FaultSet> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replace the rules. Errors name what is wrong with them; then nothing is changed.
    pub(super) fn set_faults(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        let known = |name: &str| self.by_name.contains_key(name);
        if let Some(problem) = rules.iter().find_map(|r| r.problem(&known)) {
            return Err(problem);
        }
        let set = Arc::new(FaultSet::new(rules, self.seed));
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = set;
        Ok(())
    }

    /// Do something to a machine after a while, counted as on its way until then.
    pub(super) fn later(
        self: &Arc<Fleet>,
        machine: &Arc<Machine>,
        by: Span,
        what: impl FnOnce(&Arc<Fleet>, &Arc<Machine>) + Send + 'static,
    ) {
        use std::sync::atomic::Ordering::Relaxed;
        let (fleet, machine) = (self.clone(), machine.clone());
        machine.landing.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            tokio::time::sleep(by.duration()).await;
            if !fleet.stopped.load(Relaxed) {
                what(&fleet, &machine);
            }
            machine.landing.fetch_sub(1, Relaxed);
        });
    }
}
