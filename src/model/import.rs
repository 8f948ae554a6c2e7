//! Taking inventory documents into a fleet: all of them or none, with every problem named.
//!
//! A document says what a node *is* (name, BMC, labels, volumes). It does not say what runs have done: reservations,
//! power marks, live facts and debts are kept, maintenance is not left, and a volume, connector or instance that the
//! inventory has at a node is neither taken from it nor moved to another. A file from before a switchover would otherwise
//! give the volume back to the dead machine in the records while the spare writes to it, at once or in two steps: the
//! spare's file takes it away, the source's file brings it back. Only where a person names the node ([`Fleet::import_detaching`])
//! an import takes such things from it.

use super::clash::repeated;
use super::detach::taken_away;
use super::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What becomes of nodes that no document names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// They stay.
    #[default]
    Merge,
    /// They are removed, unless a run holds them.
    Replace,
}

/// What an import did, by the names of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub added: Vec<String>,
    pub updated: Vec<String>,
    pub unchanged: Vec<String>,
    pub removed: Vec<String>,
    /// Not named and not removed, because a run holds them.
    pub kept: Vec<String>,
    /// Records that are made from now on begin here ([`NodeRecord::floor_after`]).
    pub floor: Generation,
}

/// Why documents cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImportProblem {
    /// The nodes that it is about, by name.
    pub nodes: Vec<String>,
    pub text: String,
}

impl fmt::Display for ImportProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Fleet {
    /// Take the documents in, or name everything that is wrong with them and change nothing. `floor` is the generation
    /// of records that are new.
    pub fn import(&mut self, documents: Vec<NodeRecord>, mode: ImportMode, floor: Generation) -> Result<Imported, Vec<ImportProblem>> {
        self.import_detaching(documents, mode, floor, &BTreeSet::new())
    }

    /// The same, and from the nodes in `detach` the documents may take volume targets, connectors and the instance. The
    /// caller has made sure that those machines are off.
    pub fn import_detaching(
        &mut self,
        documents: Vec<NodeRecord>,
        mode: ImportMode,
        floor: Generation,
        detach: &BTreeSet<NodeId>,
    ) -> Result<Imported, Vec<ImportProblem>> {
        let mut problems = repeated(&documents);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut next = self.clone();
        let mut done = Imported { floor, ..Imported::default() };
        let named: BTreeSet<NodeId> = documents.iter().map(|d| d.node.id).collect();
        // Only these can clash or be moved: what is not touched stands as it stood.
        let mut touched = match mode {
            ImportMode::Merge => BTreeSet::new(),
            ImportMode::Replace => next.remove_others(&named, &mut done),
        };
        problems.extend(self.lost_with(&touched, detach));
        let existing: BTreeMap<NodeId, NodeRecord> = self.records().into_iter().map(|r| (r.node.id, r)).collect();
        let mut changed = Vec::new();
        for document in documents {
            match taken(existing.get(&document.node.id), document, &mut done) {
                Ok(record) => changed.extend(record),
                Err(problem) => problems.push(problem),
            }
        }
        touched.extend(changed.iter().map(|r| r.node.id));
        let kept = changed.iter().filter(|r| !detach.contains(&r.node.id));
        problems.extend(kept.filter_map(|new| taken_away(existing.get(&new.node.id)?, new)));
        // First all that goes, then all that comes: what one node loses another may get, and that must be seen below.
        for old in changed.iter().filter_map(|r| existing.get(&r.node.id)) {
            old.connectors.iter().for_each(|c| drop(next.connectors.remove(&c.id)));
            old.targets.iter().for_each(|t| drop(next.targets.remove(&t.id)));
        }
        for record in changed {
            next.nodes.insert(record.node.id, record.node);
            next.connectors.extend(record.connectors.into_iter().map(|c| (c.id, c)));
            next.targets.extend(record.targets.into_iter().map(|t| (t.id, t)));
        }
        if !touched.is_empty() {
            problems.extend(next.clashes());
            problems.extend(self.moved_by(&next, &touched, detach));
        }
        problems.sort();
        problems.dedup();
        if !problems.is_empty() {
            return Err(problems);
        }
        *self = next;
        Ok(done)
    }

    fn remove_others(&mut self, named: &BTreeSet<NodeId>, done: &mut Imported) -> BTreeSet<NodeId> {
        let others: BTreeSet<NodeId> = self.nodes.keys().filter(|id| !named.contains(id)).copied().collect();
        let gone: BTreeSet<NodeId> = others.iter().filter(|id| self.nodes[id].reservation.is_none()).copied().collect();
        done.kept = others.difference(&gone).map(|id| self.name(*id)).collect();
        done.removed = gone.iter().map(|id| self.name(*id)).collect();
        let (connectors, targets) = self.take_off(|at| gone.contains(&at));
        let nodes = gone.iter().filter_map(|id| self.nodes.remove(id)).map(|n| n.generation);
        let others = connectors.iter().map(|c| c.generation).chain(targets.iter().map(|t| t.generation));
        let highest = nodes.chain(others).map(Generation::next).max();
        done.floor = done.floor.max(highest.unwrap_or_default());
        self.live.retain(|id, _| !gone.contains(id));
        gone
    }
}

/// The record that a document makes, if it differs from the old one.
fn taken(old: Option<&NodeRecord>, document: NodeRecord, done: &mut Imported) -> Result<Option<NodeRecord>, ImportProblem> {
    let name = document.node.name.clone();
    let Some(old) = old else {
        done.added.push(name);
        return Ok(Some(fresh(document, done.floor)));
    };
    let new = merged(old, document, done.floor);
    if *old == new {
        done.unchanged.push(name);
        return Ok(None);
    }
    if let Some(holder) = &old.node.reservation {
        let text = format!("node `{name}` is reserved by `{holder}` and cannot be changed until the run lets it go");
        return Err(ImportProblem { nodes: vec![name], text });
    }
    // Connectors and targets that are taken off may come back.
    done.floor = done.floor.max(old.floor_after());
    done.updated.push(name);
    Ok(Some(new))
}

fn fresh(mut document: NodeRecord, floor: Generation) -> NodeRecord {
    let id = document.node.id;
    document.node.reservation = None;
    document.node.power_mark = None;
    document.node.generation = floor;
    document.connectors.iter_mut().for_each(|c| (c.node, c.generation) = (id, floor));
    document.targets.iter_mut().for_each(|t| (t.node, t.generation) = (id, floor));
    in_order(document)
}

/// In the order of [`Fleet::records`], so that two records can be compared.
fn in_order(mut record: NodeRecord) -> NodeRecord {
    record.connectors.sort_by_key(|c| c.id);
    record.targets.sort_by_key(|t| (t.boot_index, t.id));
    record
}

/// The document, with what is not a document's to say, and with generations that count what has changed.
fn merged(old: &NodeRecord, document: NodeRecord, floor: Generation) -> NodeRecord {
    let mut new = fresh(document, floor);
    for connector in &mut new.connectors {
        if let Some(was) = old.connectors.iter().find(|c| c.id == connector.id) {
            connector.generation = was.generation;
            connector.generation = if connector == was { was.generation } else { was.generation.next() };
        }
    }
    for target in &mut new.targets {
        if let Some(was) = old.targets.iter().find(|t| t.id == target.id) {
            target.generation = was.generation;
            target.generation = if target == was { was.generation } else { was.generation.next() };
        }
    }
    new.node = merged_node(&old.node, new.node);
    if new != *old {
        new.node.generation = new.node.generation.next();
    }
    new
}

fn merged_node(old: &Node, document: Node) -> Node {
    // Another machine than the one that was known: what was read from the old one says nothing of it.
    let replaced = old.identity.recognises(&document.identity) == Some(false);
    let read = if replaced { Node::named(&document.name, "") } else { old.clone() };
    let identity = Identity {
        system_uuid: document.identity.system_uuid.or(read.identity.system_uuid),
        serial_number: document.identity.serial_number.or(read.identity.serial_number),
    };
    Node {
        identity,
        live_facts: read.live_facts,
        abilities: read.abilities,
        facts_at: read.facts_at,
        full_at: read.full_at,
        imported: newer(read.imported, document.imported, read.full_at),
        maintenance: document.maintenance.or_else(|| old.maintenance.clone()),
        reservation: old.reservation.clone(),
        // One that was settled here and stands in the file comes back: to settle it again costs less than to miss it.
        debt: old.debt.clone().or(document.debt),
        power_mark: old.power_mark,
        generation: old.generation,
        ..document
    }
}

/// The later of two imports, if no full reading of our own is later still.
fn newer(ours: Option<Box<ImportedFacts>>, theirs: Option<Box<ImportedFacts>>, full_at: Option<Time>) -> Option<Box<ImportedFacts>> {
    let latest = ours.into_iter().chain(theirs).max_by_key(|i| i.at);
    latest.filter(|i| full_at.is_none_or(|at| at < i.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, volume: Option<&str>) -> NodeRecord {
        let mut node = Node::named(name, &format!("https://{name}"));
        node.provision_state = ProvisionState::Active;
        let target = |volume: &str| VolumeTarget {
            id: TargetId::derived(&format!("{name}/{volume}")),
            node: node.id,
            volume_type: VolumeType::Iscsi,
            boot_index: 0,
            volume_id: volume.to_owned(),
            properties: BTreeMap::new(),
            shareable: false,
            generation: Generation(0),
        };
        let connector = VolumeConnector {
            id: ConnectorId::derived(name),
            node: node.id,
            kind: ConnectorKind::Iqn,
            connector_id: format!("iqn.2026-01.example:{name}"),
            burned_in: false,
            generation: Generation(0),
        };
        NodeRecord { targets: volume.map(target).into_iter().collect(), connectors: vec![connector], node }
    }

    fn fleet(records: &[NodeRecord]) -> Fleet {
        let mut fleet = Fleet::default();
        fleet.import(records.to_vec(), ImportMode::Merge, Generation(0)).expect("import");
        fleet
    }

    fn told(fleet: &mut Fleet, documents: &[NodeRecord]) -> String {
        let before = fleet.clone();
        let problems = fleet.import(documents.to_vec(), ImportMode::Merge, Generation(0)).expect_err("problems");
        assert_eq!(*fleet, before, "a refused import changes nothing");
        problems.iter().map(|p| format!("{p}\n")).collect()
    }

    #[test]
    fn every_problem_is_told_with_the_names_of_its_nodes() {
        let mut documents = vec![record("a", Some("v")), record("b", Some("v")), record("c", None), record("d", None)];
        documents[2].node.bmc.address = "HTTPS://a:443/".into();
        documents[3].connectors[0].connector_id = "iqn.2026-01.example:C".into();
        let text = told(&mut Fleet::default(), &documents);
        for part in ["`volume:v` is attached to `a` and `b`", "have one BMC", "is given twice, to node `c` and to node `d`"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.lines().count(), 3, "{text}");
        documents.push(record("a", None));
        assert!(told(&mut Fleet::default(), &documents).contains("node uuid"));
    }

    #[test]
    fn two_systems_behind_one_bmc_are_two_nodes_and_an_unnamed_one_is_all_of_them() {
        let mut documents = vec![record("a", None), record("b", None)];
        for (document, system) in documents.iter_mut().zip(["/redfish/v1/Systems/1", "/redfish/v1/Systems/2"]) {
            document.node.bmc.address = "https://chassis".into();
            document.node.bmc.system = Some(system.into());
        }
        fleet(&documents);
        documents[1].node.bmc.system = None;
        assert!(told(&mut Fleet::default(), &documents).contains("`a` and `b` have one BMC"));
    }

    #[test]
    fn a_document_from_before_a_switchover_does_not_give_the_volume_back() {
        let documents = [record("web", Some("v")), record("spare", None)];
        let mut fleet = fleet(&documents);
        let spare = documents[1].node.id;
        let target = documents[0].targets[0].id;
        fleet.targets.get_mut(&target).expect("target").node = spare;
        let text = told(&mut fleet, &documents);
        assert!(text.contains("volume `v` is at node `spare` in the inventory and at node `web` in the document"), "{text}");
        fleet.nodes.get_mut(&spare).expect("spare").reservation = Some(Holder { run: "r-1".into(), switchover: SwitchoverId(1) });
        assert!(told(&mut fleet, &documents).contains("`spare` is reserved by `r-1/s-001`"));
    }

    #[test]
    fn an_import_takes_nothing_from_a_node_that_nobody_named() {
        let documents = [record("web", Some("v")), record("spare", None)];
        let mut fleet = fleet(&documents);
        let [web, spare] = ["web", "spare"].map(NodeId::derived);
        let target = documents[0].targets[0].id;
        fleet.targets.get_mut(&target).expect("target").node = spare;
        fleet.nodes.get_mut(&spare).expect("spare").instance = Some(Instance { uuid: uuid::Uuid::from_u128(7), name: Some("shop".into()) });
        let mut labelled = documents.clone();
        labelled[1].node.owner = Some("shop".into());
        let text = told(&mut fleet, &labelled[1..]);
        assert!(text.contains("`spare` has instance `shop` and volume `v` in the inventory, and the document does not"), "{text}");
        assert!(text.contains("coldswap inventory export") && text.contains("--detach spare"), "{text}");
        told(&mut fleet, &labelled[..1]);
        let before = fleet.clone();
        let replaced = fleet.import(labelled[..1].to_vec(), ImportMode::Replace, Generation(0)).expect_err("the spare serves");
        assert!(
            replaced.iter().any(|p| p.text.contains("`--replace` would remove node `spare` with instance `shop` and volume `v`")),
            "{replaced:?}"
        );
        assert_eq!(fleet, before);
        // Named, it is done, in one step and in two.
        let detach = BTreeSet::from([spare]);
        let mut next = fleet.clone();
        next.import_detaching(labelled.to_vec(), ImportMode::Merge, Generation(0), &detach).expect("the whole file");
        assert_eq!(next.targets[&target].node, web);
        fleet.import_detaching(labelled[1..].to_vec(), ImportMode::Merge, Generation(0), &detach).expect("the spare's file");
        assert!(fleet.targets.is_empty() && fleet.nodes[&spare].instance.is_none());
        fleet.import(labelled[..1].to_vec(), ImportMode::Merge, Generation(0)).expect("nobody has it any more");
    }

    #[test]
    fn what_a_document_says_anew_of_the_same_volume_takes_nothing_away() {
        let mut fleet = fleet(&[record("web", Some("v"))]);
        let mut document = record("web", Some("v"));
        document.targets[0].id = TargetId::derived("another uuid");
        document.targets[0].properties.insert("target_lun".into(), Scalar::Integer(1));
        document.connectors[0].connector_id = "IQN.2026-01.example:web".into();
        document.targets.push(VolumeTarget {
            id: TargetId::derived("w"),
            volume_id: "w".into(),
            boot_index: 1,
            ..document.targets[0].clone()
        });
        fleet.import(vec![document.clone()], ImportMode::Merge, Generation(0)).expect("corrected, and a volume more");
        assert_eq!(fleet.targets.len(), 2);
        // What is burned into a replaced part went with it; an initiator name did not.
        let burned = VolumeConnector {
            kind: ConnectorKind::Mac,
            connector_id: "52:54:00:00:00:01".into(),
            burned_in: true,
            ..document.connectors[0].clone()
        };
        let mut with_card = document.clone();
        with_card.connectors.push(VolumeConnector { id: ConnectorId::derived("mac"), ..burned });
        fleet.import(vec![with_card], ImportMode::Merge, Generation(0)).expect("a card");
        fleet.import(vec![document.clone()], ImportMode::Merge, Generation(0)).expect("no card any more");
        document.connectors.clear();
        assert!(told(&mut fleet, &[document]).contains("`web` has connector iqn `IQN.2026-01.example:web` in the inventory"));
    }

    #[test]
    fn an_import_keeps_what_runs_and_bmcs_have_said() {
        let mut fleet = fleet(&[record("web", Some("v"))]);
        let id = NodeId::derived("web");
        let node = fleet.nodes.get_mut(&id).expect("web");
        node.live_facts.model = Some("C1".into());
        node.identity.serial_number = Some("S1".into());
        node.debt = Some("never power on".into());
        node.maintenance = Some(Maintenance { reason: "dead".into() });
        let mut document = record("web", Some("v"));
        document.node.owner = Some("shop".into());
        let done = fleet.import(vec![document.clone()], ImportMode::Merge, Generation(7)).expect("import");
        assert_eq!(done.updated, ["web"]);
        let node = &fleet.nodes[&id];
        assert_eq!((node.live_facts.model.as_deref(), node.debt.as_deref()), (Some("C1"), Some("never power on")), "the document has none");
        assert!(node.maintenance.is_some() && node.generation == Generation(1));
        assert_eq!(fleet.import(vec![document.clone()], ImportMode::Merge, Generation(7)).expect("again").unchanged, ["web"]);
        document.node.identity.serial_number = Some("S2".into());
        fleet.import(vec![document], ImportMode::Merge, Generation(7)).expect("another machine");
        assert!(!fleet.nodes[&id].live_facts.known(), "the facts were the old machine's");
    }

    #[test]
    fn what_was_removed_does_not_come_back_as_if_it_had_never_been_away() {
        let mut fleet = fleet(&[record("a", None), record("b", None)]);
        let done = fleet.import(vec![record("a", None)], ImportMode::Replace, Generation(0)).expect("replace");
        assert_eq!((done.removed, done.floor), (vec!["b".to_owned()], Generation(1)));
        fleet.import(vec![record("b", None)], ImportMode::Merge, done.floor).expect("back");
        assert_eq!(fleet.nodes[&NodeId::derived("b")].generation, Generation(1));
    }
}
