//! What holds a run back, as the plan carries it: prediction, failure domains, the storm guard, notifications.

use super::recipe::render_action;
use super::{Choice, Request, Switchover};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::runbook::{Runbook, Scope};
use crate::step::Step;
use std::collections::BTreeSet;

/// A switchover with its prediction and the failure domains that are limited.
pub(super) fn limited(runbook: &Runbook, fleet: &Fleet, mut switchover: Switchover) -> Switchover {
    switchover.allowance = Some(predict(&switchover.steps));
    for level in runbook.limits.per_domain.keys() {
        for end in [&switchover.source, &switchover.destination] {
            match fleet.nodes.get(&end.node).and_then(|node| Domain::of(node, level)) {
                Some(domain) if !switchover.domains.contains(&domain) => switchover.domains.push(domain),
                Some(_) => {}
                None => switchover.warnings.push(format!("`limits.per_domain` does not count `{}`: it has no {level}", end.name)),
            }
        }
    }
    switchover
}

/// How long a switchover may take: the sum of the declared limits of its steps. Where earlier runs have taught better,
/// this is where it is to be said.
fn predict(steps: &[Step]) -> Span {
    Span(steps.iter().fold(0u64, |sum, step| sum.saturating_add(step.allowance().0)))
}

/// Is it more of the fleet than the runbook allows at once? In words, where a person has allowed it.
pub(super) fn storm(runbook: &Runbook, fleet: &Fleet, planned: usize, allowed: bool, diagnostics: &mut Diagnostics) -> Option<String> {
    let limit = runbook.limits.refuse_above?;
    let booted = fleet.targets.values().filter(|t| t.boot_index == 0).map(|t| t.node).collect::<BTreeSet<_>>().len();
    let above = match limit {
        Threshold::Count(n) => planned > n as usize,
        // Exact: hundredths of a percent.
        Threshold::Share(share) => planned as u64 * 10_000 > u64::from(share) * booted as u64,
    };
    if !above {
        return None;
    }
    let text = format!("{planned} of {booted} nodes that boot from a volume, and `limits.refuse_above` is {limit}");
    diagnostics.0.push(Diagnostic {
        code: codes::STORM,
        severity: if allowed { Severity::Warning } else { Severity::Error },
        message: format!("a storm: {text}"),
        span: None,
        hint: (!allowed).then(|| {
            "so many at once is more often a broken network or a wrong `select` than so many broken nodes; if it is meant, `--allow-storm`"
                .into()
        }),
    });
    allowed.then_some(text)
}

/// A node that is named for this plan alone and is no source of it.
pub(super) fn no_source(fleet: &Fleet, request: &Request, choice: &Choice, diagnostics: &mut Diagnostics) {
    if diagnostics.has_errors() {
        return;
    }
    let met: BTreeSet<NodeId> = choice.pairs.iter().map(|p| p.source).chain(choice.left_out.iter().map(|l| l.node)).collect();
    let excluded: BTreeSet<NodeId> = request.exclude.iter().filter_map(|name| fleet.find(name)).map(|n| n.id).collect();
    let named = request.only.iter().filter_map(|name| fleet.find(name));
    for node in named.filter(|n| !met.contains(&n.id) && !excluded.contains(&n.id)) {
        diagnostics.0.push(Diagnostic {
            code: codes::NOT_SELECTED,
            severity: Severity::Error,
            message: format!("`--only {}`: the runbook's `sources` do not select it", node.name),
            span: None,
            hint: Some("add it to `sources.nodes`, or leave it out of `--only`".into()),
        });
    }
}

pub(super) fn notices(runbook: &Runbook, diagnostics: &mut Diagnostics) -> Vec<Notice> {
    let scope = Scope::new(&runbook.vars);
    let notices = runbook.notify.iter().filter_map(|notify| match render_action(&notify.action, &scope) {
        Ok(action) => Some(Notice { events: notify.events.clone(), action }),
        Err(error) => {
            diagnostics.0.push(Diagnostic {
                code: codes::NOTICE_TEMPLATE,
                severity: Severity::Error,
                message: format!("`notify`: {}", error.message),
                span: None,
                hint: error.hint,
            });
            None
        }
    });
    notices.collect()
}

gates! {
    "storm", "a plan for more of the fleet than `limits.refuse_above` is refused (P024) until a person allows it",
        Closed, "so many at once is more often a broken network or a wrong `select` than so many broken nodes",
        a_storm_is_refused_unless_it_is_allowed;
    "failure domain not recorded", "a node without the domain is not counted by `limits.per_domain`; the plan warns",
        Open, "there is nothing to count, and the machine is broken all the same",
        a_node_without_the_domain_is_not_counted_and_the_plan_says_so;
}
