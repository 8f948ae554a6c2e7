use crate::diagnostic::Diagnostics;
use crate::model::*;
use crate::runbook::Runbook;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut { pub node: NodeId, pub name: String, pub code: LeftOutCode, pub why: String, pub listed: bool }
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutCode { Unidentified, BootUnsupported, BootMismatch, NoSpare }
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolUse { pub name: String, pub candidates: u32, pub used: u32, pub keep: u32 }
#[derive(Clone, Debug)]
pub struct Pair { pub source: NodeId, pub destination: NodeId, pub pool: String, pub group: i64, pub preferred: Vec<String>, pub identical: usize }
pub struct Choice { pub pairs: Vec<Pair>, pub left_out: Vec<LeftOut>, pub pools: Vec<PoolUse>, pub diagnostics: Diagnostics }
pub fn choose(runbook: &Runbook, fleet: &Fleet, _only: &[String], _exclude: &[String]) -> Choice {
    let pairs = runbook.sources.nodes.iter().filter_map(|(n, _)| {
        let s = fleet.find(n)?; let d = fleet.find(&runbook.sources.destinations.get(n)?.0)?;
        Some(Pair { source: s.id, destination: d.id, pool: String::new(), group: 0, preferred: vec![], identical: 0 })
    }).collect();
    Choice { pairs, left_out: vec![], pools: vec![], diagnostics: Diagnostics::default() }
}
