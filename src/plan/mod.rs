//! Planning: a runbook and a snapshot in, immutable data with every choice made out.
//!
//! [`plan`] is pure, total and deterministic. The plan names every node, record, hook, reset type and time limit, and
//! says what was left out and why; no meaningful choice is left to execution.

pub mod assign;
mod audit;
pub mod candidates;
mod conditions;
pub mod coverage;
mod diff;
pub mod explain;
mod gates;
pub mod holdings;
pub mod home;
mod many;
mod predict;
mod recipe;
mod types;

pub use assign::{Choice, LeftOut, PoolUse, choose};
pub use candidates::LeftOutCode;
pub use conditions::conditions;
pub use diff::*;
pub use predict::{kind_of, model_of, predict};
pub use types::*;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::model::*;
use crate::runbook::{Judge, Runbook};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What planning guards, for `docs/gates.md`.
pub const GATES: &[&[Gate]] =
    &[candidates::GATES, recipe::GATES, recipe::BOOT_GATES, recipe::KEEPER_GATES, audit::GATES, gates::GATES, home::GATES, predict::GATES];

/// What a plan needs to know that is neither in the runbook nor in the fleet.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: PlanId,
    pub store: StoreId,
    pub now: Time,
    /// The longest that a sent power command may take to show, by node; the default under no name.
    pub landing: Landing,
    /// Only these sources, by name or uuid. Empty: all.
    pub only: Vec<String>,
    pub exclude: Vec<String>,
    /// A person has said that more nodes than `limits.refuse_above` are meant.
    pub allow_storm: bool,
    /// Sources, by name or uuid, of which a person has said that they are rightly Off with firmware that opens nothing.
    pub allow_boot_cleared: Vec<String>,
    /// What the way home owes, by the node that holds the volumes now. Empty: an ordinary plan.
    pub home: BTreeMap<NodeId, home::Homecoming>,
}

/// How long power commands may take to show (rule S6).
#[derive(Clone, Debug, Default)]
pub struct Landing {
    pub default: Option<Span>,
    pub by_node: BTreeMap<NodeId, Span>,
}

/// States lag behind commands by 10 to 70 s on real machines (powerman PR #47 and #72); a minute and a half covers all
/// that were seen, and what it costs is only paid on the way back and by the next run.
pub const LANDING_DEFAULT: Span = Span::secs(90);

impl Landing {
    pub fn of(&self, node: NodeId) -> Span {
        self.by_node.get(&node).copied().or(self.default).unwrap_or(LANDING_DEFAULT)
    }
}

/// Decide everything.
///
/// # Errors
/// What keeps this runbook from being carried out on this fleet, all of it at once.
pub fn plan(runbook: &Runbook, fleet: &Fleet, request: &Request) -> Result<(Plan, Diagnostics), Diagnostics> {
    let holdings = holdings::Holdings::of(fleet);
    let only = (!request.only.is_empty()).then_some(&request.only[..]);
    let choice = assign::choose_with(runbook, &home::as_spares(fleet, &request.home), &holdings, only, &request.exclude);
    let mut diagnostics = choice.diagnostics.clone();
    let mut left_out = choice.left_out.clone();
    let mut switchovers: Vec<Switchover> = Vec::with_capacity(choice.pairs.len());
    for composed in many::compose(runbook, fleet, request, &holdings, &choice.pairs) {
        match composed {
            Ok(switchover) => switchovers.push(switchover),
            Err(recipe::Unfit::Left(left)) => left_out.push(*left),
            Err(recipe::Unfit::Wrong(d)) => diagnostics.0.push(*d),
        }
    }
    left_out.sort_by(|a, b| a.name.cmp(&b.name));
    gates::no_source(fleet, request, &choice, &mut diagnostics);
    refuse_left_out(runbook, &choice.left_out, &left_out, &mut diagnostics);
    if switchovers.is_empty() && left_out.is_empty() && !diagnostics.has_errors() {
        diagnostics.0.push(Diagnostic {
            code: codes::NOTHING_TO_DO,
            severity: Severity::Warning,
            message: "no node is to be switched over: `sources` selects none".into(),
            span: None,
            hint: Some("`coldswap inventory list` shows the nodes and their labels".into()),
        });
    }
    let storm = gates::storm(runbook, fleet, switchovers.len(), request.allow_storm, &mut diagnostics);
    let notify = gates::notices(runbook, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let plan = Plan {
        format_version: PLAN_FORMAT,
        id: request.id.clone(),
        store: request.store.clone(),
        created_at: request.now,
        captured_at: fleet.captured_at,
        runbook: RunbookRef {
            name: runbook.name.clone(),
            description: runbook.description.clone(),
            labels: runbook.labels.clone(),
            digest: runbook.digest.clone(),
        },
        mode: runbook.mode,
        switchovers,
        left_out,
        pools: choice.pools,
        limits: RunLimits {
            at_once: runbook.limits.at_once,
            stop_after_failures: runbook.limits.stop_after_failures,
            canary: runbook.limits.canary,
            per_domain: runbook.limits.per_domain.clone(),
            start_rate: runbook.limits.start_rate,
        },
        windows: runbook.windows.clone(),
        approval: runbook.approval,
        notify,
        storm,
        report: runbook.report.clone(),
        failback_of: None,
    };
    Ok((plan, diagnostics))
}

/// The nodes whose BMCs a plan of this runbook rests on: its sources, the destinations that it names, and every node
/// that could be a spare. Where an expression cannot be told without asking, the node is among them.
pub fn concerned(runbook: &Runbook, fleet: &Fleet) -> std::collections::BTreeSet<NodeId> {
    let sources = &runbook.sources;
    let named = sources.nodes.iter().map(|(name, _)| name).chain(sources.destinations.values().map(|(name, _)| name));
    let mut nodes: std::collections::BTreeSet<NodeId> = named.filter_map(|name| fleet.find(name)).map(|n| n.id).collect();
    nodes.extend(fleet.nodes.values().filter(|n| n.instance.is_none()).map(|n| n.id));
    if let Some(select) = &sources.select {
        let judge = Judge::new(&runbook.matching, fleet, &runbook.vars);
        let others = fleet.nodes.keys().filter(|id| !nodes.contains(id)).copied().collect::<Vec<_>>();
        nodes.extend(others.into_iter().filter(|id| judge.selects(select, *id).unwrap_or(true)));
    }
    nodes
}

/// A source that turned out unfit only when its steps were composed falls under the same policy as any other.
fn refuse_left_out(runbook: &Runbook, known: &[LeftOut], all: &[LeftOut], diagnostics: &mut Diagnostics) {
    use crate::runbook::LeftOutPolicy;
    let known: std::collections::BTreeSet<NodeId> = known.iter().map(|k| k.node).collect();
    for left in all.iter().filter(|l| !known.contains(&l.node)) {
        let refuse = match runbook.sources.left_out {
            Some(LeftOutPolicy::Refuse) => true,
            Some(LeftOutPolicy::Allow) => false,
            None => left.listed,
        };
        if refuse {
            diagnostics.0.push(Diagnostic {
                code: codes::LEFT_OUT_LATE,
                severity: Severity::Error,
                message: format!("`{}` cannot be switched over: {}", left.name, left.why),
                span: None,
                hint: Some("set `sources.left_out: allow` to go on without it".into()),
            });
        }
    }
}

/// SHA-256 over the JSON of what a switchover rests on.
pub(crate) fn digest_of<T: serde::Serialize>(value: &T) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    use std::fmt::Write;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(&json) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
