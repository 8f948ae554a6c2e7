//! What fence agents that are installed here say of the options that a runbook gives them.

use super::Failure;
use crate::adapter::fence_agent::{AgentOptions, FenceAgents};
use crate::adapter::secrets::SystemSecrets;
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes, did_you_mean};
use crate::model::{AgentCall, AgentMetadata, option_name};
use crate::plan::Plan;
use crate::ports::FenceAgent;
use crate::runbook::{AgentTemplate, Runbook, VoucherTemplate};
use crate::step::{FenceLevel, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Programs and the names of the options that they are given.
type Told = BTreeMap<String, BTreeSet<String>>;

/// What an agent would not understand, or that it is not there.
struct Misfit {
    /// The option that is meant, where it is written.
    option: Option<String>,
    text: String,
    hint: Option<String>,
    /// It could not be asked: a runbook may be written where its agents are not installed.
    missing: bool,
}

/// Before a run: every agent of its plan must be there and know what it is told.
pub async fn check(agents: &dyn FenceAgent, plan: &Plan) -> Result<(), Failure> {
    let fences = plan.switchovers.iter().flat_map(|s| &s.steps).filter_map(Step::fence).flat_map(|f| &f.levels);
    let mut told = Told::new();
    for level in fences {
        let FenceLevel::Agents(calls) = level else { continue };
        for AgentCall { name, options } in calls {
            told.entry(name.clone()).or_default().extend(options.keys().cloned());
        }
    }
    let lines: Vec<String> =
        problems(agents, &told).await.into_iter().map(|m| m.text + &m.hint.map(|h| format!(" ({h})")).unwrap_or_default()).collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::refused(lines.join("; "))) }
}

pub async fn of_runbook(source: &Source, runbook: &Runbook) -> Diagnostics {
    let levels = runbook.vouchers.levels.iter();
    let list: Vec<&AgentTemplate> =
        levels.flat_map(|level| if let VoucherTemplate::Agents(list) = level { &list[..] } else { &[] }).collect();
    let agents = FenceAgents::new(AgentOptions::default(), Arc::new(SystemSecrets::default()));
    let mut found = Diagnostics::default();
    for agent in list {
        let told = Told::from([(agent.name.clone(), agent.options.keys().cloned().collect())]);
        for misfit in problems(&agents, &told).await {
            let at = misfit.option.as_ref().and_then(|o| agent.options_at.get(o)).unwrap_or(&agent.at);
            let tell = if misfit.missing { Diagnostic::warning } else { Diagnostic::error };
            found.push(tell(codes::FENCE_AGENT, misfit.text.as_str()).maybe_hint(misfit.hint).at(&source.name, at.clone()));
        }
    }
    found
}

async fn problems(agents: &dyn FenceAgent, told: &Told) -> Vec<Misfit> {
    let mut all = Vec::new();
    for (name, options) in told {
        match agents.metadata(name).await {
            Ok(metadata) => all.extend(misfits(name, options, &metadata)),
            Err(fault) => all.push(Misfit { option: None, text: fault.detail, hint: None, missing: true }),
        }
    }
    all
}

fn misfits(name: &str, options: &BTreeSet<String>, metadata: &AgentMetadata) -> Vec<Misfit> {
    let same = |a: &str, b: &str| option_name(&a.replace('-', "_")) == option_name(&b.replace('-', "_"));
    let known = |option: &str| metadata.parameters.iter().any(|p| p.name == option || same(&p.name, option));
    let misfit = |option: Option<&String>, text: String, hint| Misfit { option: option.cloned(), text, hint, missing: false };
    let mut wrong = Vec::new();
    for option in options.iter().filter(|o| !known(o)) {
        let names = metadata.parameters.iter().filter(|p| !p.deprecated).map(|p| p.name.as_str());
        let hint = did_you_mean(option, names).map(|n| format!("did you mean `{n}`?"));
        wrong.push(misfit(Some(option), format!("fence agent `{name}` has no option `{option}`"), hint));
    }
    let needed = metadata.parameters.iter().filter(|p| p.required && !p.deprecated && p.name != "action");
    for parameter in needed.filter(|p| !options.iter().any(|o| same(o, &p.name))) {
        wrong.push(misfit(None, format!("fence agent `{name}` needs the option `{}`", parameter.name), None));
    }
    if !metadata.actions.iter().any(|a| a == "status") {
        wrong.push(misfit(None, format!("fence agent `{name}` has no `status`: nothing could be read back"), None));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AgentParameter;

    #[test]
    fn options_are_held_against_the_metadata() {
        let parameter = |name: &str, required, deprecated| AgentParameter { name: name.into(), required, deprecated };
        let metadata = AgentMetadata {
            parameters: vec![
                parameter("plug", true, false),
                parameter("port", false, true),
                parameter("ip", true, false),
                parameter("action", true, false),
            ],
            actions: vec!["off".into(), "status".into()],
        };
        let told = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let said = |names: &[&str], metadata: &AgentMetadata| {
            let lines = misfits("fence_x", &told(names), metadata).into_iter();
            lines.map(|m| m.text + &m.hint.unwrap_or_default()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(said(&["ip", "plug"], &metadata), "");
        assert_eq!(said(&["ipaddr", "port"], &metadata), "");
        let wrong = said(&["ip", "plugg"], &metadata);
        assert!(wrong.contains("did you mean `plug`?") && wrong.contains("needs the option `plug`"), "{wrong}");
        let silent = AgentMetadata { actions: vec!["off".into()], ..metadata };
        assert!(said(&["ip", "plug"], &silent).contains("`status`"));
    }
}
