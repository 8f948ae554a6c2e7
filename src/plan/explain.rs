//! Why a source gets the spare that it gets, or none: every node of the inventory, pool by pool and rule by rule, with
//! both values and what would have to change. Nothing here decides; it asks what [`choose`] asks.

mod text;

use super::assign::{Choice, choose, suggest_node};
use super::candidates::{Holdings, LeftOutCode, Obstacle, SpareCode, source_obstacles, spare_obstacles};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::model::*;
use crate::runbook::{BUILTIN_IDENTICAL, Finding, Judge, Pool, Runbook};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Everything that was considered for one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    pub node: String,
    /// Does the runbook ask for it?
    pub is_source: bool,
    /// What keeps it from being switched over at all.
    pub obstacles: Vec<Obstacle<LeftOutCode>>,
    /// The spare that the whole plan gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Why it gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    pub pools: Vec<PoolView>,
}

/// One pool, as it looks from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PoolView {
    pub name: String,
    pub select: String,
    pub keep: u32,
    /// The nearest first, then by name.
    pub nodes: Vec<NodeView>,
}

/// How a node stands to one source in one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The plan takes it.
    Chosen,
    /// It could serve; the plan takes another, or needs it elsewhere, or it must stay behind.
    CouldServe,
    /// It is free, but a rule says no.
    Misses,
    /// It matches or not, but it is not free.
    NotFree,
    /// The pool's `select` is not true for it.
    NotSelected,
}

/// One node in one pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeView {
    pub node: String,
    pub standing: Standing,
    /// What the pool's `select` saw.
    pub selection: String,
    /// What keeps it from being a spare at all.
    pub obstacles: Vec<Obstacle<SpareCode>>,
    /// Every rule, passed or failed, with both values.
    pub findings: Vec<Finding>,
    pub preferred: Vec<String>,
    /// What would have to change for it to serve.
    pub changes: Vec<String>,
}

/// Explain one source, by name or uuid.
///
/// # Errors
/// The inventory has no such node.
pub fn explain(runbook: &Runbook, fleet: &Fleet, node: &str) -> Result<Explanation, Diagnostics> {
    let Some(source) = fleet.find(node) else {
        let (message, hint) = (format!("unknown node `{node}`"), suggest_node(fleet, node));
        return Err(Diagnostics(vec![Diagnostic { code: codes::NO_SUCH_NODE, severity: Severity::Error, message, span: None, hint }]));
    };
    let choice = choose(runbook, fleet, None, &[]);
    let holdings = Holdings::of(fleet);
    let judge = Judge::new(&runbook.matching, fleet, &runbook.vars);
    let pair = choice.pairs.iter().find(|p| p.source == source.id);
    let left_out = choice.left_out.iter().find(|l| l.node == source.id);
    let sources = sources_of(&choice);
    let look = Look {
        fleet,
        holdings: &holdings,
        judge: &judge,
        source,
        sources: &sources,
        chosen: pair.map(|p| (p.destination, p.pool.as_str())),
    };
    Ok(Explanation {
        node: source.name.clone(),
        is_source: sources.contains(&source.id),
        obstacles: source_obstacles(runbook, fleet, &holdings, source),
        destination: pair.and_then(|p| fleet.nodes.get(&p.destination)).map(|n| n.name.clone()),
        left_out: left_out.map(|l| l.why.clone()),
        pools: runbook.pools.iter().map(|pool| look.pool(pool)).collect(),
    })
}

fn sources_of(choice: &Choice) -> BTreeSet<NodeId> {
    choice.pairs.iter().map(|p| p.source).chain(choice.left_out.iter().map(|l| l.node)).collect()
}

struct Look<'a> {
    fleet: &'a Fleet,
    holdings: &'a Holdings<'a>,
    judge: &'a Judge<'a>,
    source: &'a Node,
    sources: &'a BTreeSet<NodeId>,
    chosen: Option<(NodeId, &'a str)>,
}

impl Look<'_> {
    fn pool(&self, pool: &Pool) -> PoolView {
        let others = self.fleet.nodes.values().filter(|n| n.id != self.source.id);
        let mut nodes: Vec<(usize, NodeView)> = others.map(|n| self.node(pool, n)).map(|v| (v.changes.len(), v)).collect();
        nodes.sort_by(|(m, a), (n, b)| (a.standing, m, &a.node).cmp(&(b.standing, n, &b.node)));
        let nodes = nodes.into_iter().map(|(_, view)| view).collect();
        PoolView { name: pool.name.clone(), select: pool.select.text.clone(), keep: pool.keep, nodes }
    }

    fn node(&self, pool: &Pool, node: &Node) -> NodeView {
        let scope = self.judge.scope(self.source.id, node.id);
        let selected = pool.select.holds(&scope);
        let seen: Vec<String> = pool.select.readings(&scope).iter().map(|(path, value)| format!("`{path}` is {value}")).collect();
        let selection = match &selected {
            Ok(_) => seen.join(", "),
            Err(error) => error.message.clone(),
        };
        let judgement = self.judge.judge(self.source.id, node.id);
        let obstacles = self.obstacles(pool, node);
        let chosen = self.chosen.is_some_and(|(id, from)| id == node.id && (from == pool.name || from == super::assign::NAMED_POOL));
        let standing = match (chosen, selected == Ok(true), obstacles.is_empty(), judgement.qualifies()) {
            (true, ..) => Standing::Chosen,
            (_, false, ..) => Standing::NotSelected,
            (_, _, false, _) => Standing::NotFree,
            (.., false) => Standing::Misses,
            _ => Standing::CouldServe,
        };
        let select = (standing == Standing::NotSelected).then(|| format!("the pool's `select` must hold: {selection}"));
        let free = obstacles.iter().map(|o| o.text.clone());
        let changes = select.into_iter().chain(free).chain(judgement.misses().map(change)).collect();
        NodeView {
            node: node.name.clone(),
            standing,
            selection,
            obstacles,
            findings: judgement.findings,
            preferred: judgement.preferred,
            changes,
        }
    }

    fn obstacles(&self, pool: &Pool, node: &Node) -> Vec<Obstacle<SpareCode>> {
        let source = self
            .sources
            .contains(&node.id)
            .then(|| Obstacle { code: SpareCode::IsSource, text: format!("`{}` is a source of this runbook itself", node.name) });
        let state = (!pool.provision_states.contains(&node.provision_state)).then(|| {
            let takes: Vec<String> = pool.provision_states.iter().map(ToString::to_string).collect();
            let text = format!("`{}` is {}, the pool takes {}", node.name, node.provision_state, takes.join(", "));
            Obstacle { code: SpareCode::ProvisionState, text }
        });
        source.into_iter().chain(state).chain(spare_obstacles(self.fleet, self.holdings, node)).collect()
    }
}

/// What would make a failed rule pass.
fn change(finding: &Finding) -> String {
    match (finding.rule.strip_prefix("identical "), &finding.source, &finding.spare) {
        (Some(fact), Some(need), Some(have)) => format!("`{fact}` must be {need}, not {have}"),
        (Some(fact), Some(need), None) => format!("`{fact}` must be known to be {need}"),
        (Some(fact), None, _) => format!("`{fact}` of the source must be known"),
        _ => format!("{}: {}", finding.rule, finding.text),
    }
}

/// The built-in rules with their reasons, for `explain --rules`.
pub fn explain_rules() -> String {
    let always = [
        ("facts known", "a spare of which nothing is known matches nothing"),
        ("health", "a spare that reports itself critical takes nothing over"),
    ];
    let mut text = String::from("always\n");
    text.push_str(&text::table(&always));
    text.push_str("\nidentical, with `base: builtin`: known on both sides and equal\n");
    text.push_str(&text::table(&BUILTIN_IDENTICAL));
    text
}
