//! The independent witness: which machine has which volume open, written down by the machines themselves. It knows no
//! plan, no inventory and no intent; it only sees whether two had one volume at the same moment.

use crate::model::Time;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longer logs forget their beginning; counts and violations are never forgotten.
const LOG_LIMIT: usize = 200_000;

/// Two machines had one volume open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub volume: String,
    /// Who had it open, and who opened it then, last.
    pub machines: Vec<String>,
    pub at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    Opened,
    Closed,
    /// The export names other initiators.
    Denied,
    /// The export was taken away while the volume was open.
    Revoked,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WitnessEntry {
    pub at: Time,
    #[serde(serialize_with = "super::log::shared_text")]
    pub machine: Arc<str>,
    pub volume: String,
    pub what: Doing,
}

/// What the witness has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WitnessReport {
    pub violations: Vec<Violation>,
    /// Volume (`iqn.2026-01.example:vol-9a/1`: target and LUN) to the machines that have it open.
    pub open: BTreeMap<String, Vec<String>>,
    pub opens: u64,
    pub closes: u64,
    pub denied: u64,
}

/// A volume and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub target: String,
    pub lun: u32,
    pub initiator: String,
}

impl Wanted {
    fn volume(&self) -> String {
        format!("{}/{}", self.target.trim().to_lowercase(), self.lun)
    }
}

struct Opened {
    machine: Arc<str>,
    wanted: Wanted,
}

#[derive(Default)]
struct Record {
    open: BTreeMap<String, Vec<Opened>>,
    violations: Vec<Violation>,
    log: VecDeque<WitnessEntry>,
    exports: BTreeMap<String, Vec<String>>,
    opens: u64,
    closes: u64,
    denied: u64,
}

impl Record {
    fn note(&mut self, at: Time, machine: &Arc<str>, volume: &str, what: Doing) {
        match what {
            Doing::Opened => self.opens += 1,
            Doing::Closed | Doing::Revoked => self.closes += 1,
            Doing::Denied => self.denied += 1,
        }
        if self.log.len() == LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(WitnessEntry { at, machine: machine.clone(), volume: volume.to_owned(), what });
    }

    fn allows(&self, wanted: &Wanted) -> bool {
        let target = wanted.target.trim().to_lowercase();
        self.exports.get(&target).is_none_or(|who| who.iter().any(|i| i.eq_ignore_ascii_case(wanted.initiator.trim())))
    }

    fn open(&mut self, at: Time, machine: &Arc<str>, wanted: &Wanted) -> bool {
        let volume = wanted.volume();
        if !self.allows(wanted) {
            self.note(at, machine, &volume, Doing::Denied);
            return false;
        }
        self.note(at, machine, &volume, Doing::Opened);
        let holders = self.open.entry(volume.clone()).or_default();
        let mut machines: Vec<String> = holders.iter().filter(|o| o.machine != *machine).map(|o| o.machine.to_string()).collect();
        holders.push(Opened { machine: machine.clone(), wanted: wanted.clone() });
        if !machines.is_empty() {
            machines.push(machine.to_string());
            tracing::error!(volume, ?machines, "two machines have one volume open");
            self.violations.push(Violation { volume, machines, at });
        }
        true
    }

    /// Close what no export allows any more.
    fn revoke(&mut self, at: Time) {
        let mut gone = Vec::new();
        let mut open = std::mem::take(&mut self.open);
        for (volume, holders) in &mut open {
            let (kept, revoked): (Vec<_>, Vec<_>) = std::mem::take(holders).into_iter().partition(|o| self.allows(&o.wanted));
            *holders = kept;
            gone.extend(revoked.into_iter().map(|o| (o.machine, volume.clone())));
        }
        open.retain(|_, holders| !holders.is_empty());
        self.open = open;
        for (machine, volume) in gone {
            self.note(at, &machine, &volume, Doing::Revoked);
        }
    }
}

#[derive(Default)]
pub(super) struct Witness(Mutex<Record>);

impl Witness {
    pub(super) fn new(exports: BTreeMap<String, Vec<String>>) -> Witness {
        let witness = Witness::default();
        witness.set_exports(Time(0), exports);
        witness
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine that came On opens what its boot configuration names. Says whether it got all of it.
    pub(super) fn open(&self, at: Time, machine: &Arc<str>, wanted: &[Wanted]) -> bool {
        let mut record = self.record();
        let refused = wanted.iter().filter(|w| !record.open(at, machine, w)).count();
        refused == 0
    }

    /// A machine that goes Off closes what it opened.
    pub(super) fn close(&self, at: Time, machine: &Arc<str>, opened: &[Wanted]) {
        let mut record = self.record();
        for wanted in opened {
            let volume = wanted.volume();
            let Some(holders) = record.open.get_mut(&volume) else { continue };
            let before = holders.len();
            holders.retain(|o| o.machine != *machine);
            let gone = before - holders.len();
            if holders.is_empty() {
                record.open.remove(&volume);
            }
            for _ in 0..gone {
                record.note(at, machine, &volume, Doing::Closed);
            }
        }
    }

    /// Replace the export limits. Open sessions of initiators that are no longer named end here and now.
    pub(super) fn set_exports(&self, at: Time, exports: BTreeMap<String, Vec<String>>) {
        let mut record = self.record();
        record.exports = exports.into_iter().map(|(iqn, who)| (iqn.trim().to_lowercase(), who)).collect();
        record.revoke(at);
    }

    pub(super) fn exports(&self) -> BTreeMap<String, Vec<String>> {
        self.record().exports.clone()
    }

    pub(super) fn report(&self) -> WitnessReport {
        let record = self.record();
        let names = |o: &Vec<Opened>| o.iter().map(|o| o.machine.to_string()).collect();
        WitnessReport {
            violations: record.violations.clone(),
            open: record.open.iter().map(|(volume, o)| (volume.clone(), names(o))).collect(),
            opens: record.opens,
            closes: record.closes,
            denied: record.denied,
        }
    }

    pub(super) fn log(&self) -> Vec<WitnessEntry> {
        self.record().log.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(target: &str, initiator: &str) -> Vec<Wanted> {
        vec![Wanted { target: target.into(), lun: 1, initiator: initiator.into() }]
    }

    #[test]
    fn two_machines_at_once_are_a_violation_one_after_the_other_is_none() {
        let witness = Witness::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        witness.open(Time(1), &a, &wanted("iqn.x:V", ""));
        witness.close(Time(2), &a, &wanted("iqn.x:V", ""));
        witness.open(Time(3), &b, &wanted("iqn.x:v", ""));
        assert_eq!(witness.report().violations, []);
        witness.open(Time(4), &a, &wanted(" iqn.x:v ", ""));
        let report = witness.report();
        let violation = Violation { volume: "iqn.x:v/1".into(), machines: vec!["b".into(), "a".into()], at: Time(4) };
        assert_eq!(report.violations, [violation], "spelling makes no other volume");
        assert_eq!((report.opens, report.closes), (3, 1));
    }

    #[test]
    fn an_export_keeps_others_out_and_taking_it_away_ends_the_session() {
        let witness = Witness::new(BTreeMap::from([("iqn.x:v".into(), vec!["iqn.a".into()])]));
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        assert!(witness.open(Time(1), &a, &wanted("iqn.x:v", "iqn.a")));
        assert!(!witness.open(Time(2), &b, &wanted("iqn.x:v", "iqn.b")));
        assert_eq!(witness.report().violations, []);
        witness.set_exports(Time(3), BTreeMap::from([("iqn.x:v".into(), vec!["iqn.b".into()])]));
        assert!(witness.report().open.is_empty());
        assert!(witness.open(Time(4), &b, &wanted("iqn.x:v", "iqn.b")));
        let what: Vec<Doing> = witness.log().iter().map(|e| e.what).collect();
        assert_eq!(what, [Doing::Opened, Doing::Denied, Doing::Revoked, Doing::Opened]);
    }
}
