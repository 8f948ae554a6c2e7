//! The fence: the BMC first, then whoever else may vouch.

use super::Check;
use super::hooks::sensitive_map;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{FORBIDDEN_OPTIONS, Span, option_name};
use crate::runbook::raw::{RawAgent, RawFence, RawRunbook};
use crate::runbook::shape::At;
use crate::runbook::{AgentTemplate, BmcFence, VoucherTemplate, Vouchers};

/// How long a person's word counts where nothing is said: long enough to walk back from the rack.
const EXPIRES: Span = Span::mins(30);

pub(super) fn fence(check: &Check<'_>, raw: &RawRunbook) -> (BmcFence, Vouchers) {
    let levels = raw.fence.as_deref().unwrap_or_default();
    let (mut fence, mut vouchers) = (BmcFence::default(), Vouchers::default());
    let mut bmc = None;
    for (n, level) in levels.iter().enumerate() {
        match &level.value {
            RawFence::Bmc { reads, apart, silent } => {
                bmc_level(check, level, n, bmc.is_some());
                bmc = Some(n);
                fence = bmc_fence(check, reads.as_ref(), apart.as_ref());
                vouchers.silent = silent.as_ref().map(|s| s.value);
            }
            RawFence::Agent(raw) => vouchers.levels.extend(agent(check, raw).map(|a| VoucherTemplate::Agents(vec![a]))),
            RawFence::All(members) => {
                let agents: Vec<Option<AgentTemplate>> = members.iter().map(|m| member(check, m)).collect();
                vouchers.levels.extend(agents.into_iter().collect::<Option<_>>().map(VoucherTemplate::Agents));
            }
            RawFence::Attestation { expires } => {
                if let Some(expires) = expires.as_ref().filter(|e| e.value == Span::ZERO) {
                    check.reading.error(codes::OUT_OF_RANGE, "an attestation that counts `0s` never counts", &expires.at);
                }
                vouchers.levels.push(VoucherTemplate::Attestation { expires: expires.as_ref().map_or(EXPIRES, |e| e.value) });
            }
        }
    }
    vouchers.bmc_not_enough = !levels.is_empty() && bmc.is_none();
    (fence, vouchers)
}

fn bmc_level(check: &Check<'_>, level: &At<RawFence>, n: usize, again: bool) {
    if again {
        check.reading.error(codes::CONTRADICTION, "a second `bmc` level: the BMC is asked once, and first", &level.at);
    } else if n > 0 {
        let message = "`bmc` is not the first level: no agent and no person ever overrides a BMC that answers";
        check.reading.hinted(codes::CONTRADICTION, message, &level.at, "write it first");
    }
}

fn bmc_fence(check: &Check<'_>, reads: Option<&At<i64>>, apart: Option<&At<Span>>) -> BmcFence {
    if let Some(apart) = apart.filter(|a| a.value == Span::ZERO) {
        check.reading.hinted(codes::OUT_OF_RANGE, "`0s` between two reads makes them one", &apart.at, "the default is `10s`");
    }
    let default = BmcFence::default();
    BmcFence { reads: reads.map_or(default.reads, At::small), apart: apart.map_or(default.apart, |a| a.value) }
}

/// What stands together with others: agents, for machines with several feeds.
fn member(check: &Check<'_>, level: &At<RawFence>) -> Option<AgentTemplate> {
    let what = match &level.value {
        RawFence::Agent(raw) => return agent(check, raw),
        RawFence::Attestation { .. } => "an `attestation`",
        RawFence::Bmc { .. } | RawFence::All(_) => "`bmc`",
    };
    let message = format!("{what} inside `all`: only agents are asked together");
    check.reading.hinted(codes::CONTRADICTION, message, &level.at, "write it as a level of its own");
    None
}

fn agent(check: &Check<'_>, raw: &RawAgent) -> Option<AgentTemplate> {
    for (name, _) in &raw.options {
        let at = &name.at;
        if FORBIDDEN_OPTIONS.contains(&option_name(&name.value.replace('-', "_")).to_lowercase().as_str()) {
            let message =
                format!("the option `{}` is not yours to set: coldswap itself names the action, and nothing is written down", name.value);
            check.reading.error(codes::CONTRADICTION, message, at);
        } else if !name.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            check.reading.error(codes::CONTRADICTION, format!("`{}` cannot be the name of an agent's option", name.value), at);
        }
    }
    if raw.options.is_empty() {
        let message = format!("`{}` is told nothing: which outlet or machine is meant?", raw.name.value);
        check.reading.tell(Diagnostic::warning(codes::CONTRADICTION, message).hint("`options:` takes what its manual lists"), &raw.name.at);
    }
    Some(AgentTemplate {
        name: raw.name.value.clone(),
        options: sensitive_map(check, &raw.options)?,
        at: raw.name.at.clone(),
        options_at: raw.options.iter().map(|(name, _)| (name.value.clone(), name.at.clone())).collect(),
    })
}
