//! `inventory list`: a line for each node.

use crate::cli::args::Global;
use crate::cli::site::Site;
use crate::cli::{Failure, output};
use crate::model::*;
use crate::report::ExitCode;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// All that keeps a node from being taken, what must not be overlooked first.
fn state(node: &Node) -> String {
    let debt = node.debt.as_ref().map(|debt| format!("owes: {debt}"));
    let held = node.reservation.as_ref().map(|holder| format!("held by {holder}"));
    let maintenance = node.maintenance.as_ref().map(|m| format!("maintenance: {}", m.reason));
    [debt, held, maintenance].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

pub(super) async fn run(global: &Global, site: &Site) -> Result<ExitCode, Failure> {
    let fleet = site.inventory().fleet().await?;
    let mut nodes: Vec<&Node> = fleet.nodes.values().collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    // Looked through once, not once for each node.
    let mut targets: BTreeMap<NodeId, Vec<&VolumeTarget>> = BTreeMap::new();
    fleet.targets.values().for_each(|t| targets.entry(t.node).or_default().push(t));
    targets.values_mut().for_each(|list| list.sort_by_key(|t| (t.boot_index, t.id)));
    let mut connectors: BTreeMap<NodeId, Vec<&str>> = BTreeMap::new();
    fleet.connectors.values().for_each(|c| connectors.entry(c.node).or_default().push(&c.connector_id));
    let text = || {
        if nodes.is_empty() {
            return "no nodes; `coldswap inventory import FILE` takes them from a file\n".to_owned();
        }
        let width = nodes.iter().map(|n| n.name.chars().count()).max().unwrap_or(0);
        nodes.iter().fold(String::new(), |mut out, n| {
            let rack = n.failure_domain.rack.as_deref().unwrap_or("-");
            let volumes = targets.get(&n.id).map_or(0, Vec::len);
            let line = format!(
                "{:<width$}  {:<10}  rack {:<6}  {volumes} volume{}  {}",
                n.name,
                n.provision_state.to_string(),
                rack,
                if volumes == 1 { " " } else { "s" },
                state(n)
            );
            let _ = writeln!(out, "{}", line.trim_end());
            out
        })
    };
    let json = || {
        let list: Vec<_> = nodes
            .iter()
            .map(|n| {
                json!({"name": n.name, "uuid": n.id, "provision_state": n.provision_state, "failure_domain": n.failure_domain,
                       "maintenance": n.maintenance, "reservation": n.reservation, "debt": n.debt, "instance": n.instance,
                       "volume_targets": targets.get(&n.id).into_iter().flatten().map(|t| &t.volume_id).collect::<Vec<_>>(),
                       "volume_connectors": connectors.get(&n.id).into_iter().flatten().collect::<Vec<_>>()})
            })
            .collect();
        json!({ "nodes": list })
    };
    output::print(global, text, json);
    Ok(ExitCode::Done)
}
