//! The whole inventory at once. The thread that owns the connection only copies rows, a share at a time; they are taken apart
//! on all processors while it goes on copying, so that a large fleet neither keeps others waiting nor lies in memory
//! twice.

use super::kinds::Kinds;
use super::now;
use super::rows::{self, NodeRow};
use super::writer::Failure;
use crate::model::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

/// Rows that travel together: enough that handing them over costs nothing, few enough for every processor to have some.
const SHARE: usize = 1024;

enum Share {
    Nodes(Vec<NodeRow>),
    Connectors(Vec<String>),
    Targets(Vec<String>),
}

#[derive(Default)]
struct Parts {
    nodes: Vec<Vec<Node>>,
    connectors: Vec<Vec<VolumeConnector>>,
    targets: Vec<Vec<VolumeTarget>>,
}

/// Where rows go in, and what comes out.
pub(super) struct Reading {
    rows: Sender<Share>,
    assembled: std::thread::JoinHandle<Result<Fleet, Failure>>,
}

impl Reading {
    pub(super) fn start() -> Reading {
        let (rows, waiting) = channel();
        Reading { rows, assembled: std::thread::spawn(move || assemble(waiting)) }
    }

    /// What is to be done with the connection, and what is to be waited for without it.
    pub(super) fn split(self) -> (impl FnOnce(&Connection) -> Result<(), Failure>, impl FnOnce() -> Result<Fleet, Failure>) {
        let Reading { rows, assembled } = self;
        let ended = || Failure::Undone("the thread that reads the fleet has ended".into());
        (move |db: &Connection| copy(db, &rows), move || assembled.join().unwrap_or_else(|_| Err(ended())))
    }
}

/// Everything that the store has, as this connection sees it.
pub(super) fn fleet(db: &Connection) -> Result<Fleet, Failure> {
    let (copy, wait) = Reading::start().split();
    let copied = copy(db);
    let fleet = wait();
    copied?;
    fleet
}

fn copy(db: &Connection, rows: &Sender<Share>) -> Result<(), Failure> {
    // Nobody there to take them: what went wrong is told by whoever waits.
    let send = |share: Share| drop(rows.send(share));
    NodeRow::each(db, SHARE, |nodes| send(Share::Nodes(nodes)))?;
    bodies(db, "SELECT body FROM volume_connectors", |share| send(Share::Connectors(share)))?;
    bodies(db, "SELECT body FROM volume_targets", |share| send(Share::Targets(share)))
}

fn bodies(db: &Connection, sql: &str, mut send: impl FnMut(Vec<String>)) -> Result<(), Failure> {
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query([])?;
    let mut share = Vec::with_capacity(SHARE);
    while let Some(row) = found.next()? {
        share.push(row.get(0)?);
        if share.len() == SHARE {
            send(std::mem::replace(&mut share, Vec::with_capacity(SHARE)));
        }
    }
    send(share);
    Ok(())
}

fn assemble(waiting: Receiver<Share>) -> Result<Fleet, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let waiting = Mutex::new(waiting);
    let parts = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(|| take_apart(&waiting))).collect();
        let ended = |_| Failure::Undone("a thread that reads the fleet has ended".into());
        readers.into_iter().map(|reader| reader.join().map_err(ended)?).collect::<Result<Vec<Parts>, Failure>>()
    })?;
    let (mut nodes, mut connectors, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        nodes.extend(part.nodes);
        connectors.extend(part.connectors);
        targets.extend(part.targets);
    }
    Ok(Fleet {
        nodes: in_order(nodes, |n| n.id),
        connectors: in_order(connectors, |c| c.id),
        targets: in_order(targets, |t| t.id),
        live: BTreeMap::new(),
        captured_at: now(),
    })
}

fn take_apart(waiting: &Mutex<Receiver<Share>>) -> Result<Parts, Failure> {
    let (mut parts, mut kinds) = (Parts::default(), Kinds::default());
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Err(_) => return Ok(parts),
            Ok(Share::Nodes(rows)) => {
                // Records are large: they are put where they stay, and not moved to a larger place again and again.
                let mut nodes = Vec::with_capacity(rows.len());
                for row in rows {
                    nodes.push(row.node_among(&mut kinds)?);
                }
                parts.nodes.push(nodes);
            }
            Ok(Share::Connectors(rows)) => parts.connectors.push(rows.iter().map(|r| rows::parse(r)).collect::<Result<_, _>>()?),
            Ok(Share::Targets(rows)) => parts.targets.push(rows.iter().map(|r| rows::parse(r)).collect::<Result<_, _>>()?),
        }
    }
}

/// A map is built fastest from what is in order. Records are large and ids are small: the ids are put in order, and each
/// record is moved once.
fn in_order<K: Ord + Copy, T>(shares: Vec<Vec<T>>, id: impl Fn(&T) -> K) -> BTreeMap<K, T> {
    let mut records: Vec<Option<T>> = Vec::with_capacity(shares.iter().map(Vec::len).sum());
    records.extend(shares.into_iter().flatten().map(Some));
    let ids = records.iter().enumerate().filter_map(|(at, record)| Some((id(record.as_ref()?), at)));
    let mut ids: Vec<(K, usize)> = ids.collect();
    ids.sort_unstable_by_key(|(id, _)| *id);
    ids.into_iter().filter_map(|(id, at)| Some((id, records[at].take()?))).collect()
}
