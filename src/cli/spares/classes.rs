//! Classes of the inventory whose nodes can stand in for each other, as planning sees them.

use crate::model::*;
use crate::plan::candidates::spare_obstacles;
use crate::plan::holdings::Holdings;
use crate::runbook::{BUILTIN_IDENTICAL, Judge, Matching};
use crate::sizing::SizingLeftOut;
use std::collections::BTreeMap;

/// Nodes that carry work and the spares that could take it over.
pub struct Class {
    /// `web: Contoso C1, 2 x X2, 524288 MiB`, as far as it is known.
    pub name: String,
    pub common: BTreeMap<String, String>,
    pub nodes: Vec<NodeId>,
    pub spares: Vec<NodeId>,
}

impl Class {
    /// How many machines of the class stand in one domain of that level, on average and rounded up.
    pub fn per_domain(&self, fleet: &Fleet, level: &str) -> Option<u32> {
        let machines = self.nodes.iter().chain(&self.spares).filter_map(|id| fleet.nodes.get(id));
        // Every row may have a rack 1.
        let mut domains: BTreeMap<String, u32> = BTreeMap::new();
        for domain in machines.filter_map(|n| Domain::of(n, level)) {
            *domains.entry(domain.name).or_default() += 1;
        }
        let count = u32::try_from(domains.len()).ok().filter(|n| *n > 0)?;
        Some(domains.values().sum::<u32>().div_ceil(count))
    }
}

/// Every class that carries work; and what is in none, with the reason.
///
/// A class is one `resource_class` and one value of each fact that a runbook finds identical by default. A spare is a
/// node that a plan would take: without instance, volumes, holder, maintenance, debt.
pub fn classes(fleet: &Fleet) -> (Vec<Class>, Vec<SizingLeftOut>) {
    let names: Vec<String> = BUILTIN_IDENTICAL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let matching = Matching { identical: names.clone(), require: Vec::new(), prefer: Vec::new(), spread: Vec::new() };
    let none = BTreeMap::new();
    let judge = Judge::new(&matching, fleet, &none);
    let holdings = Holdings::of(fleet);
    let mut found: BTreeMap<_, Class> = BTreeMap::new();
    let mut left_out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut nodes: Vec<&Node> = fleet.nodes.values().collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    for node in nodes {
        let mut leave_out = |why: String| left_out.entry(why).or_default().push(node.name.clone());
        let key = judge.identical_key(node.id);
        if let Some(unknown) = key.iter().position(Option::is_none) {
            let how = match node.kept_by {
                Some(_) => "inspect them, or declare it under `extra.coldswap.facts`",
                None => "`coldswap inventory discover` asks the BMCs",
            };
            leave_out(format!("`{}` is unknown, so they match nothing; {how}", names[unknown]));
            continue;
        }
        let spare = node.instance.is_none();
        let critical = node.facts().health == Some(Health::Critical);
        match spare_obstacles(fleet, &holdings, node).next() {
            Some(obstacle) if spare => {
                leave_out(format!("no spare: {}", obstacle.text));
                continue;
            }
            None if critical => {
                leave_out("no spare: it reports critical health".into());
                continue;
            }
            None if node.provision_state == ProvisionState::Active => {
                leave_out("no spare: active without an instance that the inventory knows".into());
                continue;
            }
            _ => {}
        }
        let values = names.iter().zip(&key).filter_map(|(name, value)| Some((name.clone(), value.as_ref()?.to_string())));
        let resource_class = node.resource_class.iter().map(|c| ("resource_class".to_owned(), c.clone()));
        let class = found.entry((node.resource_class.clone(), key.clone())).or_insert_with(|| {
            let common: BTreeMap<String, String> = values.chain(resource_class).collect();
            Class { name: named(&common), common, nodes: Vec::new(), spares: Vec::new() }
        });
        if spare { class.spares.push(node.id) } else { class.nodes.push(node.id) }
    }
    let mut carrying = Vec::new();
    for class in found.into_values() {
        if class.nodes.is_empty() {
            let spares = class.spares.iter().filter_map(|id| fleet.nodes.get(id)).map(|n| n.name.clone()).collect();
            left_out.insert(format!("spares of a class that carries no work ({})", class.name), spares);
        } else {
            carrying.push(class);
        }
    }
    (carrying, left_out.into_iter().map(|(why, nodes)| SizingLeftOut { nodes, why }).collect())
}

fn named(common: &BTreeMap<String, String>) -> String {
    let value = |name: &str| common.get(name).cloned();
    let hardware: Vec<String> = ["manufacturer", "model", "cpu.model"].iter().filter_map(|n| value(n)).collect();
    let memory = value("memory_mib").map(|m| format!("{m} MiB"));
    let parts: Vec<String> = [Some(hardware.join(" ")), memory].into_iter().flatten().filter(|p| !p.is_empty()).collect();
    match value("resource_class") {
        Some(class) => format!("{class}: {}", parts.join(", ")),
        None => parts.join(", "),
    }
}
