//! `attest`: a person vouches that a machine is off.

use super::args::{AttestArgs, Global};
use super::site::Site;
use super::{Failure, output};
use crate::diagnostic::did_you_mean;
use crate::model::*;
use crate::report::ExitCode;
use serde_json::json;

/// How long a word counts where nothing is said; a runbook may let it count for less.
const EXPIRES: Span = Span::mins(30);
/// Nobody remembers for longer what they looked at.
const EXPIRES_MAX: Span = Span::mins(24 * 60);

/// Refused where the BMC answers: a person never overrides it, and would be wrong about the machine or about its name.
pub async fn attest(global: &Global, args: &AttestArgs) -> Result<ExitCode, Failure> {
    let (by, reason) = (args.by.trim(), args.reason.trim());
    if by.is_empty() || reason.is_empty() {
        return Err(Failure::usage("`--by` and `--reason` stand in the report: who looked, and how they know"));
    }
    let expires = args.expires.unwrap_or(EXPIRES);
    if expires == Span::ZERO || expires > EXPIRES_MAX {
        return Err(Failure::usage(format!("`--expires {expires}`: more than 0s and at most {EXPIRES_MAX}")));
    }
    let site = Site::open(global)?;
    let ports = site.ports();
    let fleet = ports.inventory.fleet().await?;
    let Some(node) = fleet.find(&args.node) else {
        let hint = did_you_mean(&args.node, fleet.nodes.values().map(|n| n.name.as_str()));
        let failure = Failure::refused(format!("there is no node `{}` in the inventory", args.node));
        return Err(match hint {
            Some(name) => failure.hint(format!("did you mean `{name}`?")),
            None => failure,
        });
    };
    let mut seen = ports.bmc.read(&node.bmc).await;
    if node.kept_by.is_some() && seen.as_ref().is_ok_and(|reading| !reading.power.runs()) {
        // The service told its record. Asked for the boot device, it has to ask the BMC itself: silence is the BMC's then.
        if let Err(fault) = ports.bmc.boot_override(&node.bmc).await {
            seen = Err(fault);
        }
    }
    ports.bmc.close().await;
    if let Some(why) = contradicts(node, &seen) {
        // Rule S1: it ends whatever was said before, too.
        if seen.as_ref().is_ok_and(|reading| reading.power.runs()) {
            site.store.saw_running(vec![node.id], site.now())?;
        }
        return Err(Failure::refused(why).hint("a BMC that answers is never overridden; look at the machine and its name again"));
    }
    let now = site.now();
    let word = Attestation {
        id: 0,
        node: node.id,
        by: by.to_owned(),
        reason: reason.to_owned(),
        at: now,
        expires_at: now + expires,
        used_by: None,
    };
    let word = site.store.attest(word)?;
    let text = || {
        format!(
            "attestation {} of {by}: `{}` is off ({reason})\nIt counts until {}, for one switchover. If the machine is on, two machines will \
             write to its volumes and nobody will notice: leave it off.\n",
            word.id, node.name, word.expires_at
        )
    };
    let json = || json!({ "attestation": {"id": word.id, "node": node.name, "by": by, "reason": reason, "at": now.to_string(), "expires_at": word.expires_at.to_string()} });
    output::print(global, text, json);
    Ok(ExitCode::Done)
}

/// What the BMC says against it; silence and Off say nothing.
fn contradicts(node: &Node, seen: &Result<SystemReading, Fault>) -> Option<String> {
    if let Err(fault) = seen
        && !fault.is_silence()
    {
        return Some(format!("the BMC of `{}` answers, and not what its power is: {fault}", node.name));
    }
    let reading = seen.as_ref().ok()?;
    if node.identity.recognises(&reading.identity) == Some(false) {
        return Some(format!("another machine answers at the BMC of `{}`: correct its address first", node.name));
    }
    (reading.power != PowerState::Off).then(|| format!("the BMC of `{}` answers, and reads {}", node.name, reading.power))
}
