//! Why a source gets the spare that it gets, or none: every node of the inventory, pool by pool and rule by rule, with
//! both values and what would have to change. Nothing here decides; it asks what [`choose`] asks.

mod text;

use super::assign::{Choice, choose, suggest_node};
use super::candidates::{LeftOutCode, Obstacle, SpareCode, source_obstacles, spare_obstacles};
use super::holdings::Holdings;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::model::*;
use crate::runbook::{BUILTIN_IDENTICAL, FactTest, Finding, Judge, Matching, Pool, Rule, Runbook, SpreadRule, Value};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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
        apart: apart(runbook, fleet, &holdings, &judge, source),
    };
    Ok(Explanation {
        node: source.name.clone(),
        is_source: sources.contains(&source.id),
        obstacles: source_obstacles(runbook, fleet, &holdings, source).collect(),
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
    apart: Vec<Apart<'a>>,
}

/// What a rule of `match.spread` says to this source: who of its own stands where.
struct Apart<'a> {
    rule: &'a SpreadRule,
    home: Option<String>,
    standing: BTreeMap<String, Vec<&'a str>>,
}

/// One for each rule that speaks of this source.
fn apart<'a>(runbook: &'a Runbook, fleet: &'a Fleet, holdings: &Holdings, judge: &Judge, source: &Node) -> Vec<Apart<'a>> {
    let group = |rule: &SpreadRule, node: &Node| judge.value(&rule.by, node.id).ok().filter(|value| *value != Value::None);
    let one = |rule: &'a SpreadRule| {
        let ours = group(rule, source)?;
        let domain = |node: &Node| Domain::of(node, &rule.domain).map(|d| d.name);
        let mut standing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for node in fleet.nodes.values().filter(|n| n.instance.is_some() || !holdings.targets(n.id).is_empty()) {
            if let Some(domain) = domain(node).filter(|_| group(rule, node).as_ref() == Some(&ours)) {
                standing.entry(domain).or_default().push(&node.name);
            }
        }
        standing.values_mut().for_each(|names| names.sort_unstable());
        Some(Apart { rule, home: domain(source), standing })
    };
    runbook.matching.spread.iter().filter_map(one).collect()
}

impl Apart<'_> {
    fn finding(&self, spare: &Node) -> Finding {
        let (level, at_most) = (&self.rule.domain, self.rule.at_most as usize);
        let domain = Domain::of(spare, level).map(|d| d.name);
        let names = domain.as_ref().and_then(|d| self.standing.get(d)).map_or(&[] as &[&str], Vec::as_slice);
        let stays = domain.is_some() && domain == self.home;
        let passed = stays || domain.is_some() && names.len() < at_most;
        let text = match &domain {
            None => format!("its {level} is not recorded"),
            Some(_) if stays => format!("the source stands in that {level} already"),
            Some(domain) if names.is_empty() => format!("none of its kind stands in {level} {domain}"),
            Some(domain) => format!("{level} {domain} holds {} already, and may hold {at_most}", names.join(", ")),
        };
        Finding { rule: format!("spread {}", self.rule.name), passed, source: self.home.clone(), spare: domain, text, gap: 0 }
    }
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
        let (source, spare) = (self.source.id, node.id);
        let selected = self.judge.holds(&pool.select, source, spare);
        let seen: Vec<String> =
            self.judge.readings(&pool.select, source, spare).iter().map(|(path, value)| format!("`{path}` is {value}")).collect();
        let selection = match &selected {
            Ok(_) => seen.join(", "),
            Err(error) => error.message.clone(),
        };
        let mut judgement = self.judge.judge(self.source.id, node.id);
        judgement.findings.extend(self.apart.iter().map(|apart| apart.finding(node)));
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
        let changes = select.into_iter().chain(free).chain(judgement.misses().map(|m| change(self.judge.matching(), node, m))).collect();
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

/// What would make a failed rule pass: at the spare, or in the runbook.
fn change(matching: &Matching, node: &Node, finding: &Finding) -> String {
    let spare = node.name.as_str();
    let identical = finding.rule.strip_prefix("identical ");
    let listed = |fact: &str| matching.identical.iter().any(|name| name == fact);
    let relax = match identical {
        Some(fact) if fact.starts_with("firmware.") && !listed(fact) => "relax `firmware.*` (`identical: {drop: [firmware.*]}`)".to_owned(),
        Some(fact) => format!("relax `{fact}` (`identical: {{drop: [{fact}]}}`)"),
        None => format!("relax `{}`", finding.rule),
    };
    match (identical, &finding.source, &finding.spare) {
        (Some("memory_mib"), Some(need), Some(have)) => match (need.parse::<u64>(), have.parse::<u64>()) {
            (Ok(need), Ok(have)) if need > have => format!("add {} to `{spare}`, or {relax}", amount(need - have)),
            (Ok(need), Ok(have)) => format!("take {} out of `{spare}`, or {relax}", amount(have.saturating_sub(need))),
            _ => relax,
        },
        (Some(fact), Some(need), Some(have)) if fact.starts_with("firmware.") => {
            format!("bring `{fact}` of `{spare}` from {have} to {need}, or {relax}")
        }
        (Some("boot_mode"), Some(need), Some(have)) => format!("set the boot mode of `{spare}` to {need} (it is {have}), or {relax}"),
        (Some("resource_class"), Some(need), Some(have)) => {
            format!("change the resource_class of `{spare}` from {have} to {need}, or {relax}")
        }
        (Some(fact), Some(need), Some(have)) => format!("`{spare}` has {have} as `{fact}`, not {need}: take another machine, or {relax}"),
        (Some(fact), Some(need), None) => {
            format!("make `{fact}` of `{spare}` known to be {need} (`{}`), or {relax}", node.reread())
        }
        (Some(fact), None, _) => format!("make `{fact}` of the source known, or {relax}"),
        (None, ..) if finding.rule == "health" => format!("repair `{spare}`: {}", finding.text),
        (None, ..) if finding.rule == "facts known" => finding.text.clone(),
        (None, ..) => match short_of(matching, finding) {
            Some(("memory_mib", gap)) => format!("add {} to `{spare}`, or {relax}", amount(gap)),
            Some((fact, gap)) => format!("raise `{fact}` of `{spare}` by {gap}, or {relax}"),
            None => format!("{}, or {relax}", finding.text),
        },
    }
}

/// The fact of a rule that wants at least so much, where it is known and too small, and by how much.
fn short_of<'m>(matching: &'m Matching, finding: &Finding) -> Option<(&'m str, u64)> {
    let rule = matching.require.iter().find(|require| require.name == finding.rule)?;
    match &rule.rule {
        Rule::Fact { fact, test: FactTest::AtLeast, .. } if finding.spare.is_some() && (1..u64::MAX).contains(&finding.gap) => {
            Some((fact, finding.gap))
        }
        _ => None,
    }
}

/// Memory as people say it.
pub(super) fn amount(mib: u64) -> String {
    if mib > 0 && mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

/// The rules that hold whatever a runbook says.
pub const ALWAYS: [(&str, &str); 2] = [
    ("facts known", "a spare of which nothing is known matches nothing"),
    ("health", "a spare that reports itself critical takes nothing over"),
];

/// What `match` may name besides the rows of [`FACTS`].
const BESIDES: [(&str, &str); 5] = [
    ("resource_class", "the operator's own word for interchangeable machines"),
    ("traits", "the node's traits, all together as one set"),
    ("capabilities.NAME", "the node's capability of that name"),
    ("firmware.COMPONENT", "version of a component that the BMC's firmware inventory lists"),
    ("firmware.*", "every component that either has, in `identical`"),
];

/// The built-in rules with their reasons and all facts that `match` may name, for `explain --rules`.
pub fn explain_rules() -> String {
    let mut text = String::from("always\n");
    text.push_str(&text::table(&ALWAYS));
    text.push_str("\nidentical, with `base: builtin`: known on both sides and equal\n");
    text.push_str(&text::table(&BUILTIN_IDENTICAL));
    text.push_str("\nfacts that `match` may name, under `identical` and in `require`\n");
    let facts: Vec<(&str, &str)> = FACTS.iter().map(|row| (row.name, row.what)).chain(BESIDES).collect();
    text.push_str(&text::table(&facts));
    text
}
