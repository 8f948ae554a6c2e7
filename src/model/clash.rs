//! What two records of an inventory must not both say, and what an import must not undo.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn problem(nodes: impl IntoIterator<Item = String>, text: String) -> ImportProblem {
    ImportProblem { nodes: nodes.into_iter().collect(), text }
}

fn in_order(a: &str, b: &str) -> [String; 2] {
    [a.min(b).to_owned(), a.max(b).to_owned()]
}

/// Ids that documents give twice. Nothing else can be said of such documents: a later one would hide an earlier one.
pub(super) fn repeated(documents: &[NodeRecord]) -> Vec<ImportProblem> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for NodeRecord { node, connectors, targets } in documents {
        let ids = std::iter::once(("node uuid", node.id.0));
        let ids = ids.chain(connectors.iter().map(|c| ("volume connector uuid", c.id.0)));
        for (what, id) in ids.chain(targets.iter().map(|t| ("volume target uuid", t.id.0))) {
            if let Some(first) = seen.insert((id, what), &node.name) {
                let pair = [first.to_owned(), node.name.clone()];
                problems.push(problem(pair, format!("{what} `{id}` is given twice, by node `{first}` and by node `{}`", node.name)));
            }
        }
    }
    problems
}

/// What a value is called, whatever the spelling: bytes of an address may be written with and without separators.
pub(super) fn connector_key(connector: &VolumeConnector) -> (ConnectorKind, String) {
    let text = connector.connector_id.trim().to_lowercase();
    let key = match connector.kind {
        ConnectorKind::Mac | ConnectorKind::Wwnn | ConnectorKind::Wwpn => {
            text.trim_start_matches("0x").chars().filter(char::is_ascii_alphanumeric).collect()
        }
        ConnectorKind::Iqn | ConnectorKind::Ip => text,
    };
    (connector.kind, key)
}

/// A BMC's address without what does not tell one from another: case, the scheme's own port, a dot or a slash at the end,
/// the spelling of an IP address.
fn bmc_key(address: &str) -> String {
    let text = address.trim().trim_end_matches('/').to_lowercase();
    let Ok(url) = url::Url::parse(&text) else { return text };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let host = url::Host::parse(host).map_or_else(|_| host.to_owned(), |h| h.to_string());
    format!("{}://{host}:{}{}", url.scheme(), url.port_or_known_default().unwrap_or_default(), url.path().trim_end_matches('/'))
}

impl Fleet {
    /// Everything that two nodes of this fleet must not share and do.
    pub fn clashes(&self) -> Vec<ImportProblem> {
        let mut problems = Vec::new();
        self.clashing_names(&mut problems);
        self.clashing_bmcs(&mut problems);
        self.clashing_connectors(&mut problems);
        self.clashing_volumes(&mut problems);
        self.clashing_identities(&mut problems);
        for target in self.targets.values() {
            if let Err(why) = target.lun() {
                let node = self.name(target.node);
                problems.push(problem([node.clone()], format!("volume `{}` of node `{node}`: {why}", target.volume_id)));
            }
        }
        problems
    }

    /// Two nodes with one identity are one machine: whichever of them was read, the Off would be believed of both (rule
    /// S1). A serial number tells machines apart only where no UUID does.
    fn clashing_identities(&self, problems: &mut Vec<ImportProblem>) {
        let mut seen: BTreeMap<(&str, String), &Node> = BTreeMap::new();
        for node in self.nodes.values() {
            let (uuid, serial) = (&node.identity.system_uuid, &node.identity.serial_number);
            let uuid = uuid.as_ref().map(|u| ("system UUID", u.to_lowercase()));
            let Some(key) = uuid.or_else(|| serial.as_ref().map(|s| ("serial number", s.to_lowercase()))) else { continue };
            let (what, value) = (key.0, key.1.clone());
            if let Some(first) = seen.insert(key, node) {
                let [first, second] = in_order(&first.name, &node.name);
                let text = format!("nodes `{first}` and `{second}` have one {what}, `{value}`; one machine is one node");
                problems.push(problem([first, second], text));
            }
        }
    }

    fn clashing_names(&self, problems: &mut Vec<ImportProblem>) {
        let (mut names, mut instances) = (BTreeMap::new(), BTreeMap::new());
        for node in self.nodes.values() {
            if let Some(first) = names.insert(&node.name, node.id) {
                let text = format!("the name `{}` is given to two nodes, `{first}` and `{}`", node.name, node.id);
                problems.push(problem([node.name.clone(), node.name.clone()], text));
            }
            let Some(instance) = &node.instance else { continue };
            if let Some(first) = instances.insert(instance.uuid, &node.name) {
                let [first, second] = in_order(first, &node.name);
                let text = format!("instance `{}` is on two nodes, `{first}` and `{second}`", instance.uuid);
                problems.push(problem([first, second], text));
            }
        }
    }

    /// One endpoint for two nodes would have the power of one read for the other (rule S1). A node that names no system
    /// speaks of all the systems at its address.
    fn clashing_bmcs(&self, problems: &mut Vec<ImportProblem>) {
        let mut at: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
        for node in self.nodes.values().filter(|n| !n.bmc.address.trim().is_empty()) {
            at.entry(bmc_key(&node.bmc.address)).or_default().push(node);
        }
        for nodes in at.into_values() {
            let whole = nodes.iter().find(|n| n.bmc.system.is_none());
            let mut systems: BTreeMap<&str, &Node> = BTreeMap::new();
            for node in &nodes {
                let system = node.bmc.system.as_deref().unwrap_or_default().trim_end_matches('/');
                let clash = whole.filter(|w| w.id != node.id).copied().or_else(|| systems.get(system).copied());
                systems.entry(system).or_insert(node);
                let Some(other) = clash else { continue };
                let [first, second] = in_order(&other.name, &node.name);
                let system = if system.is_empty() { String::new() } else { format!(" system `{system}`") };
                let text = format!(
                    "nodes `{first}` and `{second}` have one BMC, `{}`{system}; give each its own address, or name each one's `system`",
                    node.bmc.address
                );
                problems.push(problem([first, second], text));
            }
        }
    }

    fn clashing_connectors(&self, problems: &mut Vec<ImportProblem>) {
        let mut seen = BTreeMap::new();
        for connector in self.connectors.values() {
            if let Some(first) = seen.insert(connector_key(connector), connector.node) {
                let [first, second] = in_order(&self.name(first), &self.name(connector.node));
                let what = format!("{} `{}`", connector.kind.as_str(), connector.connector_id);
                let text = format!("volume connector {what} is given twice, to node `{first}` and to node `{second}`");
                problems.push(problem([first, second], text));
            }
        }
    }

    fn clashing_volumes(&self, problems: &mut Vec<ImportProblem>) {
        let named = self.targets.values().flat_map(|t| t.identities().into_iter().map(move |i| (i, t)));
        let mut named: Vec<(VolumeIdentity, &VolumeTarget)> = named.collect();
        named.sort_unstable_by(|a, b| (&a.0, a.1.id).cmp(&(&b.0, b.1.id)));
        let mut told = BTreeSet::new();
        for group in named.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            let (identity, targets) = (&group[0].0, group.iter().map(|(_, t)| *t).collect::<Vec<_>>());
            let first = targets[0];
            let other = targets.iter().find(|t| t.node != first.node);
            let (Some(other), true) = (other, targets.iter().any(|t| !t.shareable)) else { continue };
            let nodes: BTreeSet<String> = targets.iter().map(|t| self.name(t.node)).collect();
            if told.insert((first.id, other.id)) {
                let list: Vec<String> = nodes.iter().map(|n| format!("`{n}`")).collect();
                let text = format!(
                    "volume `{identity}` is attached to {}; mark it `shareable` at each if a cluster file system lives on it",
                    list.join(" and ")
                );
                problems.push(problem(nodes, text));
            }
        }
    }

    /// What `next` has at one of the `touched` nodes and this fleet had at another that does not have it any more.
    /// From a node that a person named to be detached, it may go.
    pub(super) fn moved_by(&self, next: &Fleet, touched: &BTreeSet<NodeId>, detach: &BTreeSet<NodeId>) -> Vec<ImportProblem> {
        let moves = self.moved_instances(next, touched).into_iter();
        let moves = moves.chain(self.moved_connectors(next, touched)).chain(self.moved_volumes(next, touched));
        let moves: BTreeSet<Moved> = moves.filter(|m| !detach.contains(&m.was)).collect();
        let told = moves.into_iter().map(|Moved { what, was, is }| {
            let (was, is) = (self.name(was), next.name(is));
            let text = format!(
                "{what} is at node `{was}` in the inventory and at node `{is}` in the document, and an import moves nothing: the \
                 file is older than a switchover, or wrong; {}",
                super::detach::way_out(&was)
            );
            problem([was, is], text)
        });
        told.collect()
    }

    fn moved_instances(&self, next: &Fleet, touched: &BTreeSet<NodeId>) -> Vec<Moved> {
        let places = |fleet: &Fleet| -> BTreeMap<uuid::Uuid, NodeId> {
            let nodes = fleet.nodes.values().filter(|n| touched.contains(&n.id));
            nodes.filter_map(|n| Some((n.instance.as_ref()?.uuid, n.id))).collect()
        };
        let before = places(self);
        let moved = places(next).into_iter().filter_map(|(uuid, is)| {
            let was = *before.get(&uuid).filter(|was| **was != is)?;
            Some(Moved { what: format!("instance `{uuid}`"), was, is })
        });
        moved.collect()
    }

    fn moved_connectors(&self, next: &Fleet, touched: &BTreeSet<NodeId>) -> Vec<Moved> {
        let before = self.connectors.values().filter(|c| touched.contains(&c.node));
        let before: BTreeMap<_, _> = before.map(|c| (connector_key(c), c.node)).collect();
        let moved = next.connectors.values().filter(|c| touched.contains(&c.node)).filter_map(|c| {
            let was = self.connectors.get(&c.id).map(|c| c.node).or_else(|| before.get(&connector_key(c)).copied());
            let what = format!("volume connector {} `{}`", c.kind.as_str(), c.connector_id);
            Some(Moved { what, was: was.filter(|was| *was != c.node)?, is: c.node })
        });
        moved.collect()
    }

    /// A second attachment is told elsewhere; this is for a volume that its node would lose.
    fn moved_volumes(&self, next: &Fleet, touched: &BTreeSet<NodeId>) -> Vec<Moved> {
        let places = |fleet: &Fleet| -> BTreeMap<VolumeIdentity, BTreeSet<NodeId>> {
            let mut places: BTreeMap<_, BTreeSet<NodeId>> = BTreeMap::new();
            for target in fleet.targets.values().filter(|t| touched.contains(&t.node)) {
                for identity in target.identities() {
                    places.entry(identity).or_default().insert(target.node);
                }
            }
            places
        };
        let before = places(self);
        let after = if before.is_empty() { BTreeMap::new() } else { places(next) };
        let moved = next.targets.values().filter(|t| touched.contains(&t.node)).filter_map(|t| {
            let was = self.targets.get(&t.id).map(|t| t.node).filter(|was| *was != t.node);
            let lost = || {
                let names = if t.shareable || before.is_empty() { Vec::new() } else { t.identities() };
                let was = names.iter().filter_map(|i| Some((before.get(i)?, after.get(i)?)));
                was.filter(|(before, _)| !before.contains(&t.node)).find_map(|(before, after)| before.difference(after).next().copied())
            };
            Some(Moved { was: was.or_else(lost)?, what: format!("volume `{}`", t.volume_id), is: t.node })
        });
        moved.collect()
    }
}

/// Something that an import would move from one node to another.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Moved {
    what: String,
    was: NodeId,
    is: NodeId,
}
