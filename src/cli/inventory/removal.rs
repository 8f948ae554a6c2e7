//! What takes volumes or an instance from a node, or the node itself: only by name, and only from a machine that is off.

use super::find;
use crate::cli::args::Global;
use crate::cli::site::Site;
use crate::cli::{Failure, output};
use crate::model::*;
use crate::ports::{Attestations, Inventory};
use crate::report::ExitCode;
use serde_json::json;
use std::collections::BTreeSet;

/// `inventory remove`.
pub(super) async fn run(global: &Global, site: &Site, name: &str, force: bool) -> Result<ExitCode, Failure> {
    let fleet = site.store.fleet().await?;
    let node = find(&fleet, name)?;
    let record = fleet.record_of(node.id).ok_or_else(|| no_node(node.id))?;
    let losses = record.losses();
    if force && node.reservation.is_none() && !(record.targets.is_empty() && node.instance.is_none()) {
        seen_off(site, &[name.to_owned()]).await?;
    }
    let removed = match force {
        true => site.store.remove_node(node.id),
        false => site.store.remove_empty_node(node.id),
    };
    removed.map_err(|fault| {
        let failure = Failure::from(fault);
        match losses.is_empty() || node.reservation.is_some() {
            true => failure,
            false => failure.hint(format!(
                "take its volumes elsewhere or settle what it owes first; `coldswap inventory remove {name} --force` forgets all of it, and \
                 a machine that still runs would then write to volumes that may be given to another"
            )),
        }
    })?;
    let with = if losses.is_empty() { String::new() } else { format!(", with {}", losses.join(", ")) };
    output::print(global, || format!("{name}: removed{with}"), || json!({ "removed": [name], "lost": losses }));
    Ok(ExitCode::Done)
}

/// The ids of these nodes, each of which is off by a look just now or, where its BMC is silent, by a person's word that
/// still counts.
///
/// # Errors
/// One of them is held, on, or may be.
pub(super) async fn seen_off(site: &Site, names: &[String]) -> Result<BTreeSet<NodeId>, Failure> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let fleet = site.store.fleet().await?;
    let nodes: Vec<&Node> = names.iter().map(|name| find(&fleet, name)).collect::<Result<_, _>>()?;
    let bmc = site.ports().bmc;
    let mut refused = None;
    for node in &nodes {
        let seen = bmc.read(&node.bmc).await;
        let word =
            site.store.attestation(node.id).await?.filter(|w| w.used_by.is_none() && w.at <= site.now() && site.now() < w.expires_at);
        refused = refused.or_else(|| not_off(node, &seen, word.is_some()));
    }
    bmc.close().await;
    refused.map_or_else(|| Ok(nodes.iter().map(|n| n.id).collect()), Err)
}

fn not_off(node: &Node, seen: &Result<SystemReading, Fault>, attested: bool) -> Option<Failure> {
    let name = &node.name;
    if let Some(holder) = &node.reservation {
        let hint = "wait for the run, or `coldswap inventory release` where it will not be taken up again";
        return Some(Failure::refused(format!("nothing is taken from `{name}`: it is reserved by {holder}")).hint(hint));
    }
    let (why, hint) = match seen {
        Ok(reading) if node.identity.recognises(&reading.identity) == Some(false) => (
            "another machine answers at its BMC's address".to_owned(),
            "correct the BMC's address or the identity in the inventory first".to_owned(),
        ),
        Ok(reading) if reading.power == PowerState::Off => return None,
        Ok(reading) => (
            format!("it reads {}, and may have its volumes open", reading.power),
            "where the file is older than a switchover, `coldswap inventory export` gives a new one; else switch the machine off first"
                .to_owned(),
        ),
        Err(fault) if fault.is_silence() && attested => return None,
        Err(fault) => (
            format!("its BMC does not say that it is off ({fault})"),
            format!(
                "look at the machine; where its BMC is dead, `coldswap attest {name} --off --by NAME --reason TEXT` vouches for it first"
            ),
        ),
    };
    Some(Failure::refused(format!("nothing is taken from `{name}`: {why}")).hint(hint))
}
