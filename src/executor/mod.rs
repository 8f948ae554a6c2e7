//! The effectful half: one task owns engine and journal, everything else is a message.
//!
//! The loop is `ready`, store the events, send the orders, wait for input, `accept`. It drains every input that waits
//! before it asks for `ready` again, so that one commit serves many switchovers.

mod carry;
mod gather;
mod journal;
mod watch;

pub use carry::Ports;
pub use gather::{Gathered, Looks, Records};
pub use journal::{BadJournal, entries, record};
pub use watch::Watch;

use crate::engine::{BadEvent, Engine, Entry, Input, LogError};
use crate::model::gate::gates;
use crate::model::*;
use crate::plan::Plan;
use crate::ports::{RunLock, StoreError};
use journal::JournalLog;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a person may ask of a run while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Start nothing new; finish what is in flight.
    Pause(Reason),
    /// Leave now. What is in flight stays as it is and is taken up by a resume.
    Leave,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every switchover is finished.
    Finished,
    /// Some have not begun; a resume goes on with them.
    Parked,
    /// Left at a person's request, with switchovers in flight.
    Left,
}

#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("run `{run}`: {bad}")]
    Journal { run: RunId, bad: BadJournal },
    #[error("run `{run}`: {bad}")]
    Event { run: RunId, bad: BadEvent },
    #[error("the inventory cannot be read: {0}")]
    Inventory(Fault),
}

/// Carry out a plan, from wherever its journal says that it is. Holds the run's lock until it returns.
///
/// # Errors
/// Our own disk, a journal that does not fit, an inventory that cannot be read at all. Whatever happens to machines is
/// no error but an event.
pub async fn execute(
    plan: Arc<Plan>,
    run: RunId,
    ports: Ports,
    mut control: mpsc::UnboundedReceiver<Control>,
    watch: &mut dyn Watch,
) -> Result<Ended, ExecuteError> {
    let _lock: RunLock = ports.store.lock_run(&run)?;
    let records = ports.store.journal(&run)?;
    let journal = entries(&records).map_err(|bad| ExecuteError::Journal { run: run.clone(), bad })?;
    let fleet = ports.inventory.fleet().await.map_err(ExecuteError::Inventory)?;
    let mut log = JournalLog::new(ports.store.clone(), run.clone(), records.last().map_or(0, |r| r.seq));
    let mut engine =
        Engine::resume(plan, run.clone(), ports.clock.now(), &journal).map_err(|bad| ExecuteError::Event { run: run.clone(), bad })?;
    ports.store.set_status(&run, "running")?;
    for entry in &journal {
        watch.saw(entry, engine.progress());
    }
    let (send, mut heard) = mpsc::unbounded_channel::<Input>();
    let mut errands = carry::Errands::new(carry::Carrier::new(ports.clone(), &fleet), send);
    drop(fleet);
    let mut watching_control = true;
    loop {
        let ready = engine.ready(ports.clock.now());
        let (done, wake) = (ready.done(), ready.wake_at());
        let entries: Vec<Entry> = ready.entries().to_vec();
        let orders = tokio::task::block_in_place(|| ready.store(&mut log))?;
        for entry in &entries {
            watch.saw(entry, engine.progress());
        }
        for order in orders {
            errands.send(order);
        }
        if done {
            break;
        }
        tokio::select! {
            input = heard.recv() => {
                let Some(input) = input else { break };
                engine.accept(ports.clock.now(), input);
            }
            asked = control.recv(), if watching_control => match asked {
                Some(Control::Pause(why)) => engine.accept(ports.clock.now(), Input::Pause(why)),
                Some(Control::Leave) => {
                    watch.finished();
                    return Ok(Ended::Left);
                }
                None => watching_control = false,
            },
            () = sleep_until(wake, &ports) => {}
        }
        while let Ok(input) = heard.try_recv() {
            engine.accept(ports.clock.now(), input);
        }
    }
    watch.finished();
    let ended = if engine.progress().all_finished() { Ended::Finished } else { Ended::Parked };
    ports.store.set_status(&run, if ended == Ended::Finished { "finished" } else { "parked" })?;
    Ok(ended)
}

async fn sleep_until(wake: Option<Time>, ports: &Ports) {
    match wake {
        Some(at) => tokio::time::sleep(at.since(ports.clock.now()).duration()).await,
        None => std::future::pending().await,
    }
}

gates! {
    "one executor", "a run is carried out by one process at a time",
        Closed, "two processes would send every command twice", a_run_is_executed_once_at_a_time;
}
