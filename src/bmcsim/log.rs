//! Who asked what: the request log and its totals. A request is written down when it arrives, so that one that is
//! never answered is there too.

use super::faults::RequestKind;
use crate::model::Time;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestEntry {
    pub at: Time,
    #[serde(serialize_with = "super::log::shared_text")]
    pub machine: Arc<str>,
    pub method: String,
    /// Without what stands before `/redfish/v1`.
    pub path: String,
    pub kind: RequestKind,
    /// None: not answered, or not yet.
    pub status: Option<u16>,
}

/// A name that many records share.
pub(super) fn shared_text<S: serde::Serializer>(text: &Arc<str>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(text)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestsReport {
    pub total: u64,
    pub by_method: BTreeMap<String, u64>,
    /// The latest, oldest first.
    pub latest: Vec<RequestEntry>,
}

impl RequestsReport {
    /// Nothing but GET, HEAD, logins and logouts.
    pub fn only_reads(&self) -> bool {
        let session = |e: &RequestEntry| matches!(e.kind, RequestKind::Login | RequestKind::Logout);
        let all_there = self.latest.len() as u64 == self.total;
        let kept = self.latest.iter().all(|e| matches!(e.method.as_str(), "GET" | "HEAD") || session(e));
        kept && (all_there || self.by_method.keys().all(|m| m == "GET" || m == "HEAD"))
    }
}

#[derive(Default)]
struct Entries {
    latest: VecDeque<RequestEntry>,
    /// The number of the oldest one kept.
    first: u64,
    total: u64,
    by_method: BTreeMap<String, u64>,
}

pub(super) struct RequestLog {
    entries: Mutex<Entries>,
    limit: usize,
}

impl RequestLog {
    pub(super) fn new(limit: usize) -> RequestLog {
        RequestLog { entries: Mutex::default(), limit }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request arrived. The number is for [`RequestLog::answered`].
    pub(super) fn arrived(&self, entry: RequestEntry) -> u64 {
        let mut e = self.entries();
        match e.by_method.get_mut(&entry.method) {
            Some(count) => *count += 1,
            None => drop(e.by_method.insert(entry.method.clone(), 1)),
        }
        e.total += 1;
        e.latest.push_back(entry);
        while e.latest.len() > self.limit {
            e.latest.pop_front();
            e.first += 1;
        }
        e.first + e.latest.len() as u64 - u64::from(!e.latest.is_empty())
    }

    pub(super) fn answered(&self, number: u64, status: u16) {
        let mut e = self.entries();
        let index = number.checked_sub(e.first).and_then(|i| usize::try_from(i).ok());
        if let Some(entry) = index.and_then(|i| e.latest.get_mut(i)) {
            entry.status = Some(status);
        }
    }

    /// Begin anew. Requests that are under way are forgotten too.
    pub(super) fn clear(&self) {
        let mut e = self.entries();
        let first = e.first + e.latest.len() as u64;
        *e = Entries { first, ..Entries::default() };
    }

    pub(super) fn report(&self) -> RequestsReport {
        let e = self.entries();
        RequestsReport { total: e.total, by_method: e.by_method.clone(), latest: e.latest.iter().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(method: &str) -> RequestEntry {
        let kind = if method == "GET" { RequestKind::Read } else { RequestKind::Write };
        RequestEntry { at: Time(0), machine: Arc::from("a"), method: method.into(), path: "/".into(), kind, status: None }
    }

    #[test]
    fn the_log_is_bounded_the_totals_are_not() {
        let log = RequestLog::new(2);
        let numbers: Vec<u64> = ["GET", "POST", "GET", "GET"].map(|m| log.arrived(entry(m))).to_vec();
        log.answered(numbers[0], 200);
        log.answered(numbers[3], 204);
        let report = log.report();
        assert_eq!((report.total, report.by_method["GET"], report.by_method["POST"]), (4, 3, 1));
        assert_eq!(report.latest.iter().map(|e| e.status).collect::<Vec<_>>(), [None, Some(204)]);
        assert!(!report.only_reads(), "the POST that was forgotten counts");
        log.clear();
        log.arrived(entry("GET"));
        log.answered(numbers[3], 500);
        assert_eq!(log.report().latest[0].status, None);
        assert!(log.report().only_reads());
    }
}
