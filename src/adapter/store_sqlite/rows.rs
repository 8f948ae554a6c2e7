//! Records in and out of their tables.

use super::kinds::Kinds;
use super::writer::Failure;
use crate::model::*;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Failure> {
    serde_json::from_str(body).map_err(|e| Failure::Undone(format!("a record in the store cannot be read: {e}")))
}

fn to_json<T: Serialize>(record: &T) -> Result<String, Failure> {
    serde_json::to_string(record).map_err(|e| Failure::Undone(format!("a record cannot be written: {e}")))
}

fn column(generation: Generation) -> Result<i64, Failure> {
    i64::try_from(generation.0).map_err(|_| Failure::Undone("a generation beyond 2^63".into()))
}

/// A node's row with its power mark, before it is taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct NodeRow {
    body: String,
    mark: Option<MarkRow>,
}

type MarkRow = (String, i64, i64);

fn mark_row(db: &Connection, id: &str) -> Result<Option<MarkRow>, Failure> {
    let mut mark = db.prepare_cached("SELECT reset, sent_at, lands_by FROM power_marks WHERE node = ?1")?;
    Ok(mark.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?)
}

/// The last power command that any run sent to the node.
pub(super) fn power_mark(db: &Connection, id: NodeId) -> Result<Option<PowerMark>, Failure> {
    mark_row(db, &id.to_string())?.map(|(reset, sent_at, lands_by)| mark(&reset, sent_at, lands_by)).transpose()
}

impl NodeRow {
    /// All of them, `share` at a time. Few machines have been sent a power command: their marks are read once and kept,
    /// instead of being looked up for each row.
    pub(super) fn each(db: &Connection, share: usize, mut send: impl FnMut(Vec<NodeRow>)) -> Result<(), Failure> {
        let mut marks = db.prepare_cached("SELECT node, reset, sent_at, lands_by FROM power_marks")?;
        let read = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)));
        let mut marks: BTreeMap<String, MarkRow> = marks.query_map([], read)?.collect::<Result<_, _>>()?;
        let mut statement = db.prepare_cached("SELECT id, body FROM nodes")?;
        let mut found = statement.query([])?;
        let mut rows = Vec::with_capacity(share);
        while let Some(row) = found.next()? {
            let mark = if marks.is_empty() { None } else { marks.remove(row.get_ref(0)?.as_str().unwrap_or_default()) };
            rows.push(NodeRow { body: row.get(1)?, mark });
            if rows.len() == share {
                send(std::mem::replace(&mut rows, Vec::with_capacity(share)));
            }
        }
        send(rows);
        Ok(())
    }

    /// Two look-ups and no join: SQLite plans a parameter beside an outer join anew each time that it is bound.
    fn one(db: &Connection, id: NodeId) -> Result<Option<NodeRow>, Failure> {
        let id = id.to_string();
        let mut body = db.prepare_cached("SELECT body FROM nodes WHERE id = ?1")?;
        let Some(body) = body.query_row([&id], |row| row.get(0)).optional()? else { return Ok(None) };
        let mark = mark_row(db, &id)?;
        Ok(Some(NodeRow { body, mark }))
    }

    pub(super) fn node(self) -> Result<Node, Failure> {
        let node = parse(&self.body)?;
        self.marked(node)
    }

    /// [`NodeRow::node`], where many are read.
    pub(super) fn node_among(self, kinds: &mut Kinds) -> Result<Node, Failure> {
        let node = kinds.parse(&self.body)?;
        self.marked(node)
    }

    fn marked(self, mut node: Node) -> Result<Node, Failure> {
        node.power_mark = self.mark.map(|(reset, sent_at, lands_by)| mark(&reset, sent_at, lands_by)).transpose()?;
        Ok(node)
    }
}

fn mark(reset: &str, sent_at: i64, lands_by: i64) -> Result<PowerMark, Failure> {
    let known = ResetType::ALL.into_iter().find(|r| r.as_str() == reset);
    let reset = known.ok_or_else(|| Failure::Undone(format!("a power mark in the store has the reset type `{reset}`")))?;
    Ok(PowerMark { reset, sent_at: Time(sent_at), lands_by: Time(lands_by) })
}

/// How many nodes are kept taken apart: those of a large run.
const KEPT: usize = 16_384;

thread_local! {
    /// What this thread has taken apart, each beside the text that it was made from. It is never asked whether a record has
    /// changed, only whether a text that was just read is one whose meaning is known.
    static MEANINGS: RefCell<HashMap<NodeId, (NodeRow, Arc<Node>)>> = RefCell::default();
}

/// The same, for those who only look: most looks find the very same text.
pub(super) fn shared_node(db: &Connection, id: NodeId) -> Result<Option<Arc<Node>>, Failure> {
    let Some(row) = NodeRow::one(db, id)? else { return Ok(None) };
    MEANINGS.with_borrow_mut(|known| {
        if let Some((_, node)) = known.get(&id).filter(|(text, _)| *text == row) {
            return Ok(Some(Arc::clone(node)));
        }
        if known.len() >= KEPT {
            known.clear();
        }
        let node = Arc::new(row.clone().node()?);
        known.insert(id, (row, Arc::clone(&node)));
        Ok(Some(node))
    })
}

pub(super) fn node(db: &Connection, id: NodeId) -> Result<Option<Node>, Failure> {
    NodeRow::one(db, id)?.map(NodeRow::node).transpose()
}

fn body<T: DeserializeOwned>(db: &Connection, sql: &str, id: &str) -> Result<Option<T>, Failure> {
    let body: Option<String> = db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    body.map(|b| parse(&b)).transpose()
}

pub(super) fn connector(db: &Connection, id: ConnectorId) -> Result<Option<VolumeConnector>, Failure> {
    body(db, "SELECT body FROM volume_connectors WHERE id = ?1", &id.to_string())
}

pub(super) fn target(db: &Connection, id: TargetId) -> Result<Option<VolumeTarget>, Failure> {
    body(db, "SELECT body FROM volume_targets WHERE id = ?1", &id.to_string())
}

/// The nodes of these ids that exist, with their power marks and without what hangs on them.
fn nodes(db: &Connection, ids: impl IntoIterator<Item = NodeId>, fleet: &mut Fleet) -> Result<(), Failure> {
    for id in ids {
        if let Entry::Vacant(place) = fleet.nodes.entry(id)
            && let Some(node) = node(db, id)?
        {
            place.insert(node);
        }
    }
    Ok(())
}

/// As much of the fleet as [`Fleet::apply`] looks at for this change, so that it decides here as it does anywhere.
pub(super) fn around(db: &Connection, change: &Change) -> Result<Fleet, Failure> {
    if let Change::Undeploy { node, .. } = change {
        return record(db, *node);
    }
    let mut fleet = Fleet::default();
    nodes(db, change.nodes(), &mut fleet)?;
    match change {
        Change::MoveConnector { connector: id, .. } => {
            if let Some(connector) = connector(db, *id)? {
                nodes(db, [connector.node], &mut fleet)?;
                fleet.connectors.insert(*id, connector);
            }
        }
        Change::MoveTarget { target: id, .. } => {
            if let Some(target) = target(db, *id)? {
                nodes(db, [target.node], &mut fleet)?;
                fleet.targets.insert(*id, target);
            }
        }
        Change::MoveInstance { instance: Some(instance), .. } => {
            let mut statement = db.prepare_cached("SELECT id FROM nodes WHERE instance = ?1")?;
            let id: Option<String> = statement.query_row([instance.uuid.to_string()], |row| row.get(0)).optional()?;
            nodes(db, id.and_then(|id| id.parse().ok()), &mut fleet)?;
        }
        _ => {}
    }
    Ok(fleet)
}

/// A node with its connectors and targets.
pub(super) fn record(db: &Connection, id: NodeId) -> Result<Fleet, Failure> {
    let mut fleet = Fleet::default();
    nodes(db, [id], &mut fleet)?;
    let bodies = |sql: &str| -> Result<Vec<String>, Failure> {
        Ok(db.prepare_cached(sql)?.query_map([id.to_string()], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    for body in bodies("SELECT body FROM volume_connectors WHERE node = ?1")? {
        let connector: VolumeConnector = parse(&body)?;
        fleet.connectors.insert(connector.id, connector);
    }
    for body in bodies("SELECT body FROM volume_targets WHERE node = ?1")? {
        let target: VolumeTarget = parse(&body)?;
        fleet.targets.insert(target.id, target);
    }
    Ok(fleet)
}

/// Every target that shares an identity with this one, itself left out, in the order of their ids.
pub(super) fn same_volume(db: &Connection, id: TargetId) -> Result<Vec<VolumeTarget>, Failure> {
    target(db, id)?.ok_or_else(|| no_target(id))?;
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT t.id, t.body FROM volume_identities mine
         JOIN volume_identities theirs ON theirs.identity = mine.identity AND theirs.target <> mine.target
         JOIN volume_targets t ON t.id = theirs.target WHERE mine.target = ?1 ORDER BY t.id",
    )?;
    let bodies: Vec<String> = statement.query_map([id.to_string()], |row| row.get(1))?.collect::<Result<_, _>>()?;
    bodies.iter().map(|body| parse(body)).collect()
}

/// Write what `after` has and `before` has not or has otherwise, and delete what only `before` has.
pub(super) fn write_difference(db: &Connection, before: &Fleet, after: &Fleet) -> Result<(), Failure> {
    for target in before.targets.values() {
        let now = after.targets.get(&target.id);
        if now.is_none_or(|now| now.identities() != target.identities()) {
            db.prepare_cached("DELETE FROM volume_identities WHERE target = ?1")?.execute([target.id.to_string()])?;
        }
        if now.is_none() {
            db.prepare_cached("DELETE FROM volume_targets WHERE id = ?1")?.execute([target.id.to_string()])?;
        }
    }
    for id in before.connectors.keys().filter(|id| !after.connectors.contains_key(id)) {
        db.prepare_cached("DELETE FROM volume_connectors WHERE id = ?1")?.execute([id.to_string()])?;
    }
    // Names are unique at every moment, also while two nodes swap theirs.
    let renamed = before.nodes.values().filter(|n| after.nodes.get(&n.id).is_none_or(|a| a.name != n.name));
    for node in renamed {
        db.prepare_cached("DELETE FROM nodes WHERE id = ?1")?.execute([node.id.to_string()])?;
    }
    for node in after.nodes.values().filter(|n| before.nodes.get(&n.id) != Some(n)) {
        put_node(db, node)?;
    }
    for connector in after.connectors.values().filter(|c| before.connectors.get(&c.id) != Some(c)) {
        put_connector(db, connector)?;
    }
    for target in after.targets.values().filter(|t| before.targets.get(&t.id) != Some(t)) {
        put_target(db, target)?;
        if before.targets.get(&target.id).is_none_or(|was| was.identities() != target.identities()) {
            put_identities(db, target)?;
        }
    }
    Ok(())
}

fn put_node(db: &Connection, node: &Node) -> Result<(), Failure> {
    // Power marks have a table of their own.
    let body = to_json(&Node { power_mark: None, ..node.clone() })?;
    let holder = node.reservation.as_ref().map(ToString::to_string);
    let instance = node.instance.as_ref().map(|i| i.uuid.to_string());
    db.prepare_cached(
        "INSERT INTO nodes (id, name, holder, instance, generation, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, holder = excluded.holder, instance = excluded.instance,
         generation = excluded.generation, body = excluded.body",
    )?
    .execute(params![node.id.to_string(), node.name, holder, instance, column(node.generation)?, body])?;
    Ok(())
}

fn put_connector(db: &Connection, connector: &VolumeConnector) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO volume_connectors (id, node, generation, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET node = excluded.node, generation = excluded.generation, body = excluded.body",
    )?
    .execute(params![connector.id.to_string(), connector.node.to_string(), column(connector.generation)?, to_json(connector)?])?;
    Ok(())
}

fn put_target(db: &Connection, target: &VolumeTarget) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO volume_targets (id, node, generation, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET node = excluded.node, generation = excluded.generation, body = excluded.body",
    )?
    .execute(params![target.id.to_string(), target.node.to_string(), column(target.generation)?, to_json(target)?])?;
    Ok(())
}

fn put_identities(db: &Connection, target: &VolumeTarget) -> Result<(), Failure> {
    let identities: BTreeSet<VolumeIdentity> = target.identities().into_iter().collect();
    for identity in identities {
        db.prepare_cached("INSERT INTO volume_identities (identity, target) VALUES (?1, ?2)")?
            .execute(params![identity.0, target.id.to_string()])?;
    }
    Ok(())
}
