//! The fence with its levels, and what goes before it: crash dump and restore policy.

use super::hooks::render_sensitive;
use super::*;
use crate::model::gate_table::gates;
use crate::plan::holdings::Holdings;
use crate::runbook::{AgentTemplate, SensitiveTemplate, VoucherTemplate};
use std::collections::BTreeSet;

/// How long a silent BMC is tried where the runbook says nothing. BMCs that restart answer nothing for minutes; in a
/// disaster the machine is presumed bad, and every minute is one without its service.
const SILENT: [(Mode, Span); 2] = [(Mode::Planned, Span::mins(5)), (Mode::Disaster, Span::mins(1))];

/// Which nodes an agent's call would switch, worked out once for a whole plan.
#[derive(Default)]
pub struct Plugs {
    /// Calls that some node's own values lead to.
    by_node: BTreeMap<String, Vec<(AgentCall, BTreeSet<NodeId>)>>,
    names: BTreeMap<NodeId, String>,
}

impl Plugs {
    /// Every agent of the runbook, told of every node that it could be told of. What is written out and speaks of no node
    /// is meant for the sources of this plan and nobody else.
    pub fn of(runbook: &Runbook, fleet: &Fleet, holdings: &Holdings, sources: &[NodeId]) -> Plugs {
        let mut plugs = Plugs::default();
        for agent in agents(runbook) {
            let named = agent.options.values().any(|o| matches!(o, SensitiveTemplate::Plain(t) if t.mentions("source")));
            let asks = |field: &str| {
                agent.options.values().any(|o| matches!(o, SensitiveTemplate::Plain(t) if t.reads_attribute("source", field)))
            };
            let ids: Vec<NodeId> = if named { fleet.nodes.keys().copied().collect() } else { sources.to_vec() };
            for node in ids.into_iter().filter_map(|id| fleet.nodes.get(&id)) {
                let (id, scope) = (node.id, Scope::new(&runbook.vars));
                let shown = (node, fleet.power(id));
                let scope = scope.with_fields("source", shown, holdings.connectors(id), holdings.targets(id), asks);
                // A node that lacks what the options speak of is not switched by them.
                if let Ok(call) = render(agent, &scope) {
                    plugs.add(call, id);
                    plugs.names.insert(id, node.name.clone());
                }
            }
        }
        plugs
    }

    fn add(&mut self, call: AgentCall, node: NodeId) {
        let list = self.by_node.entry(key(&call)).or_default();
        match list.iter_mut().find(|(known, _)| known.switches_the_same(&call)) {
            Some((_, nodes)) => drop(nodes.insert(node)),
            None => list.push((call, BTreeSet::from([node]))),
        }
    }

    /// Another node that the call would switch as well.
    fn shared(&self, call: &AgentCall, own: NodeId) -> Option<&str> {
        let list = self.by_node.get(&key(call))?;
        list.iter()
            .filter(|(known, _)| known.switches_the_same(call))
            .flat_map(|(_, nodes)| nodes)
            .find(|n| **n != own)
            .and_then(|n| self.names.get(n))
            .map(String::as_str)
    }
}

fn agents(runbook: &Runbook) -> impl Iterator<Item = &AgentTemplate> {
    runbook.vouchers.levels.iter().flat_map(|level| match level {
        VoucherTemplate::Agents(agents) => &agents[..],
        VoucherTemplate::Attestation { .. } => &[],
    })
}

/// As calls are compared: neither case nor spaces tell two outlets apart.
fn key(call: &AgentCall) -> String {
    call.plug().split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Of the source alone: an agent that is told of the destination would vouch for the wrong machine.
fn scope(runbook: &Runbook, fleet: &Fleet, source: NodeId) -> Scope {
    Scope::new(&runbook.vars).with("source", fleet, source)
}

/// # Errors
/// The option, and why it cannot be told.
fn render(agent: &AgentTemplate, scope: &Scope) -> Result<AgentCall, (String, String)> {
    let option = |(name, value): (&String, _)| match render_sensitive(value, scope) {
        Ok(Sensitive::Plain(text)) if NAMING_OPTIONS.contains(&option_name(name)) && text.trim().is_empty() => {
            Err((name.clone(), "it is blank, and an agent that is told of none may switch any".to_owned()))
        }
        Ok(value) => Ok((name.clone(), value)),
        Err(error) => Err((name.clone(), error.message)),
    };
    Ok(AgentCall { name: agent.name.clone(), options: agent.options.iter().map(option).collect::<Result<_, _>>()? })
}

impl Cook<'_> {
    /// How long a silent BMC is tried; `None`: nobody else may vouch.
    pub(super) fn silent(&self) -> Option<Span> {
        let vouchers = &self.runbook.vouchers;
        let default = SILENT.iter().find(|(mode, _)| *mode == self.runbook.mode).map(|(_, span)| *span);
        if vouchers.levels.is_empty() { None } else { vouchers.silent.or(default) }
    }

    pub(super) fn fence(&self, plugs: &Plugs) -> Result<Step, Unfit> {
        let runbook = self.runbook;
        let levels: Vec<FenceLevel> = runbook.vouchers.levels.iter().map(|l| self.level(l, plugs)).collect::<Result<_, _>>()?;
        Ok(Step::Fence(Fence {
            pair: self.pair.clone(),
            reads: runbook.fence.reads,
            apart: runbook.fence.apart,
            landing: self.landing,
            bmc: !runbook.vouchers.bmc_not_enough,
            silent: self.silent(),
            levels,
            seen_on: self.seen_on(),
            never_hard: runbook.power.hard_off == HardOff::Never,
        }))
    }

    /// When the plan's own look saw the source On.
    fn seen_on(&self) -> Option<Time> {
        match self.fleet.live.get(&self.source.id) {
            Some(Live::Answered { reading, .. }) if reading.power.runs() => Some(self.fleet.captured_at),
            _ => None,
        }
    }

    fn level(&self, level: &VoucherTemplate, plugs: &Plugs) -> Result<FenceLevel, Unfit> {
        let agents = match level {
            VoucherTemplate::Attestation { expires } => return Ok(FenceLevel::Attestation { expires: *expires }),
            VoucherTemplate::Agents(agents) => agents,
        };
        let scope = scope(self.runbook, self.fleet, self.source.id);
        let mut calls = Vec::with_capacity(agents.len());
        for agent in agents {
            let name = &self.source.name;
            let call = render(agent, &scope).map_err(|(option, why)| {
                let why = format!("fence agent `{}`, option `{option}`, for `{name}`: {why}", agent.name);
                self.left(LeftOutCode::FenceIncomplete, why)
            })?;
            if let Some(other) = plugs.shared(&call, self.source.id) {
                let why = format!("`{call}` would switch off `{other}` as well as `{name}`; give each its own outlet, or another fence");
                return Err(self.left(LeftOutCode::PlugShared, why));
            }
            calls.push(call);
        }
        Ok(FenceLevel::Agents(calls))
    }

    /// A crash dump, where it is asked for and the BMC can do it.
    pub(super) fn crash_dump(&self) -> Option<Step> {
        let dump = self.runbook.power.crash_dump.filter(|_| self.can_dump())?;
        Some(Step::InjectNmi(InjectNmi { machine: self.pair.source.clone(), dump }))
    }

    pub(super) fn can_dump(&self) -> bool {
        self.source.abilities.reset_types.as_ref().is_none_or(|t| t.contains(&ResetType::Nmi))
    }

    /// The source stays off when its feed comes back, where its BMC offers that.
    pub(super) fn restore_policy(&self) -> Option<Step> {
        let was = self.offered_policy().filter(|p| *p != PowerRestorePolicy::AlwaysOff)?;
        let machine = self.pair.source.clone();
        Some(Step::SetRestorePolicy(SetRestorePolicy { machine, policy: PowerRestorePolicy::AlwaysOff, was, landing: self.landing }))
    }

    pub(super) fn offered_policy(&self) -> Option<PowerRestorePolicy> {
        match self.fleet.live.get(&self.source.id) {
            Some(Live::Answered { reading, .. }) => reading.restore_policy,
            _ => None,
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.fleet.live.get(&self.source.id), Some(Live::Silent(_)))
    }

    /// What is noted where somebody else vouches: nobody could reach the source's firmware then.
    pub(super) fn note_debt(&self, boot: &super::boot::BootSteps) -> Option<Step> {
        self.silent()?;
        // Where nothing of ours clears it, nothing is known of a silent machine's firmware either.
        let settings = boot.clear.as_ref().map(|clear| clear.settings.clone()).or(self.is_silent().then(BootSettings::default))?;
        let debt = format!(
            "never power it on as it is: its boot configuration could not be taken away and opens what `{}` has now; clear it first, then \
             `coldswap inventory set {} debt=`",
            self.destination.name, self.source.name
        );
        Some(Step::NoteDebt(NoteDebt { machine: self.pair.source.clone(), settings, debt, owed: Owed::Boot }))
    }
}

gates! {
    "named outlet", "a fence agent whose plug, nodename or ip is blank or missing for a source is not called; the source is left out",
        Closed, "an agent that is told of no outlet may switch any", a_blank_plug_is_no_plug;
    "shared outlet", "a source whose fence agent would switch another node as well is left out",
        Closed, "a fence that takes a healthy machine down is worse than none", an_outlet_that_switches_another_node_is_refused;
}
