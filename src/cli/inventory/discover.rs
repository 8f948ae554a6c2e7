//! `inventory discover`: BMCs that were never read in full, of nodes in the inventory or of machines that are to become
//! nodes.

use super::reading::{Told, print};
use super::{find, refresh, refused};
use crate::cli::args::{AccessArgs, DiscoverArgs, Global};
use crate::cli::asking::Asking;
use crate::cli::site::Site;
use crate::cli::{Failure, files, output};
use crate::model::*;
use crate::ports::{Bmc, Inventory};
use crate::report::ExitCode;
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(global: &Global, site: &Site, args: &DiscoverArgs) -> Result<ExitCode, Failure> {
    let mut addresses = args.bmc.clone();
    if let Some(path) = &args.bmcs {
        let source = files::source(path)?;
        let text = String::from_utf8_lossy(&source.text).into_owned();
        addresses.extend(text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
    }
    if args.bmcs.is_some() || !addresses.is_empty() {
        return strangers(global, site, addresses, args).await;
    }
    let fleet = site.store.fleet().await?;
    let named: BTreeSet<NodeId> = args.nodes.iter().map(|n| find(&fleet, n).map(|n| n.id)).collect::<Result<_, _>>()?;
    let wanted = fleet.nodes.values().filter(|n| named.is_empty() || named.contains(&n.id));
    let (known, new): (Vec<&Node>, Vec<&Node>) = wanted.partition(|n| n.full_at.is_some());
    let mut told = refresh::survey(global, site, new.iter().map(|n| n.id).collect(), args.at_once).await?;
    if named.is_empty() && told.is_empty() {
        output::note(global, "every node was read in full before; `coldswap inventory refresh` reads them again");
    }
    told.extend(known.into_iter().filter(|n| named.contains(&n.id)).map(|n| {
        let at = n.full_at.map(|at| at.to_string()).unwrap_or_default();
        let why = format!("known since {at}; `coldswap inventory refresh {}` reads it again", n.name);
        Told { name: n.name.clone(), passed_over: Some(why), ..Told::default() }
    }));
    Ok(print(global, told, false))
}

impl AccessArgs {
    fn endpoint(&self, address: &str) -> BmcEndpoint {
        let env = self.password_env.clone().map(SecretRef::Env);
        let file = self.password_file.as_ref().map(|p| SecretRef::File(p.display().to_string()));
        let tls = match &self.tls_ca {
            Some(path) => TlsTrust::Ca(path.display().to_string()),
            None if self.tls_unverified => TlsTrust::Unverified,
            None => TlsTrust::System,
        };
        BmcEndpoint {
            address: address.trim_end_matches('/').to_owned(),
            system: None,
            username: self.username.clone().map(Sensitive::Plain),
            password: env.or(file),
            tls,
        }
    }
}

/// A machine behind a BMC that is in no inventory yet.
struct Stranger {
    name: String,
    endpoint: BmcEndpoint,
    report: SystemReport,
}

/// Letters, digits and `. _ ~ -` are what Ironic lets a name be made of.
fn name_of(address: &str, system: Option<&str>) -> String {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let text = match system.and_then(|s| s.rsplit('/').next()) {
        Some(system) => format!("{host}-{system}"),
        None => host.to_owned(),
    };
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "._~-".contains(c) { c } else { '-' }).collect()
}

/// Every machine behind one BMC, read in full, or the fault of each.
async fn met(bmc: &dyn Bmc, endpoint: BmcEndpoint) -> Vec<(String, Result<Stranger, Fault>)> {
    let systems = match bmc.systems(&endpoint).await {
        Ok(systems) => systems,
        Err(fault) => return vec![(endpoint.address, Err(fault))],
    };
    if systems.is_empty() {
        let fault = Fault::refused(format!("{}: none of its systems can be reset, so that none is a machine", endpoint.address));
        return vec![(endpoint.address, Err(fault))];
    }
    let several = systems.len() > 1;
    let mut met = Vec::new();
    for system in systems {
        let name = name_of(&endpoint.address, several.then_some(system.as_str()));
        let endpoint = BmcEndpoint { system: Some(system), ..endpoint.clone() };
        let found = bmc.survey(&endpoint).await.map(|report| {
            let endpoint = BmcEndpoint { system: Some(report.system.clone()), ..endpoint };
            Stranger { name: name.clone(), endpoint, report }
        });
        met.push((name, found));
    }
    met
}

/// Why this machine is no new node: what it is already, by its identity, its BMC, or its name.
fn known(fleet: &Fleet, stranger: &Stranger) -> Option<String> {
    fleet.nodes.values().find_map(|node| {
        if node.identity.recognises(&stranger.report.reading.identity) == Some(true) {
            return Some(format!("is `{}` in the inventory: system UUID or serial number are the same", node.name));
        }
        let same = node.bmc.address.trim_end_matches('/') == stranger.endpoint.address;
        if same && node.bmc.system.as_ref().is_none_or(|s| Some(s) == stranger.endpoint.system.as_ref()) {
            return Some(format!("is `{}` in the inventory: the BMC is the same", node.name));
        }
        (node.name == stranger.name).then(|| "is the name of another node; take this one in by `coldswap inventory import`".to_owned())
    })
}

async fn strangers(global: &Global, site: &Site, addresses: Vec<String>, args: &DiscoverArgs) -> Result<ExitCode, Failure> {
    let ports = site.ports();
    let met = meet(global, ports.bmc.as_ref(), addresses, args).await;
    ports.bmc.close().await;
    let mut fleet = site.store.fleet().await?;
    let mut told = Vec::new();
    let mut new = BTreeMap::new();
    for (name, found) in met {
        let mut one = Told { name, ..Told::default() };
        match found {
            Err(fault) => one.fault = Some(fault.detail),
            Ok(stranger) => match known(&fleet, &stranger) {
                Some(why) => one.passed_over = Some(why),
                None => {
                    let mut node = Node::named(&stranger.name, "");
                    node.bmc = stranger.endpoint.clone();
                    // One machine may be met at two addresses.
                    node.identity = stranger.report.reading.identity.clone();
                    fleet.nodes.insert(node.id, node.clone());
                    new.insert(node.id, (node, stranger));
                    continue;
                }
            },
        }
        told.push(one);
    }
    let records = new.values().map(|(node, _)| NodeRecord { node: node.clone(), connectors: Vec::new(), targets: Vec::new() });
    if !new.is_empty() {
        site.store.import(records.collect(), ImportMode::Merge).map_err(refused)?;
    }
    for (id, (node, stranger)) in new {
        let fault = site.store.learn(id, &stranger.report, site.now()).await.err().map(|f| f.detail);
        let facts = stranger.report.facts.list().len();
        told.push(Told { name: node.name, added: true, partly: stranger.report.unread, facts, fault, ..Told::default() });
    }
    Ok(print(global, told, false))
}

/// Ask all addresses, some at a time.
async fn meet(global: &Global, bmc: &dyn Bmc, addresses: Vec<String>, args: &DiscoverArgs) -> Vec<(String, Result<Stranger, Fault>)> {
    let distinct: BTreeSet<String> = addresses.into_iter().collect();
    let mut asking = Asking::new(global, Depth::Full);
    let asked = distinct.iter().map(|address| met(bmc, args.access.endpoint(address)));
    let mut answers = futures_util::stream::iter(asked).buffer_unordered(args.at_once.max(1));
    let mut all = Vec::new();
    let mut count = 0;
    while let Some(found) = answers.next().await {
        count += 1;
        asking.tell(count, distinct.len());
        all.extend(found);
    }
    drop(answers);
    asking.end();
    // Of two addresses of one machine it is always the same that counts.
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_address() {
        assert_eq!(name_of("https://10.0.0.7", None), "10.0.0.7");
        assert_eq!(name_of("https://bmc-7.example:8443", None), "bmc-7.example-8443");
        assert_eq!(name_of("http://127.0.0.1:80/bmc/a", Some("/redfish/v1/Systems/Node 2")), "127.0.0.1-80-bmc-a-Node-2");
    }
}
