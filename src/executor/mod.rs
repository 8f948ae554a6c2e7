//! The effectful half: one task owns engine and journal, everything else is a message.
//!
//! The loop is `ready`, store the events, send the orders, wait for input, `accept`. It drains every input that waits
//! before it asks for `ready` again, so that one commit serves many switchovers.

mod carry;
mod claim;
mod gather;
mod journal;
mod notify;
mod openings;
mod watch;

pub use carry::Ports;
pub use claim::{Claim, Terms, claim, take_over};
pub use gather::{Gathered, Looks, Records};
pub use journal::{BadJournal, entries, record};
pub use openings::openings;
pub use watch::Watch;

use crate::engine::{BadEvent, Engine, Entry, Input, LogError, Order, TakeOver};
use crate::model::*;
use crate::plan::Plan;
use crate::ports::{StoreError, seam};
use journal::JournalLog;
use notify::Notifier;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What the executor guards, for `docs/gates.md`.
pub const GATES: &[&[Gate]] = &[claim::GATES, openings::GATES, notify::GATES];

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
    #[error("`windows` cannot be worked out here, so none is open: {0}")]
    Windows(String),
}

/// How often the mailbox is looked into. A person does not notice, and neither does the store.
const MAILBOX: std::time::Duration = std::time::Duration::from_millis(250);

/// Carry out a plan, from wherever its journal says that it is. Holds the claim on its run until it returns.
///
/// # Errors
/// Our own disk, a journal that does not fit, an inventory that cannot be read at all, and [`StoreError::Superseded`] once
/// another process has taken the run over. Whatever happens to machines is no error but an event.
pub async fn execute(
    plan: Arc<Plan>,
    mut claim: Claim,
    ports: Ports,
    mut control: mpsc::UnboundedReceiver<Control>,
    watch: &mut dyn Watch,
) -> Result<Ended, ExecuteError> {
    let run = claim.run.clone();
    let records = ports.store.journal(&run)?;
    let journal = entries(&records).map_err(|bad| ExecuteError::Journal { run: run.clone(), bad })?;
    let fleet = ports.inventory.fleet().await.map_err(ExecuteError::Inventory)?;
    let mut log = JournalLog::new(ports.store.clone(), run.clone(), claim.token, records.last().map_or(0, |r| r.seq));
    let now = ports.clock.now();
    let mut engine = match &claim.from {
        None => Engine::resume(plan, run.clone(), now, &journal),
        Some(from) => {
            let taken = TakeOver { from: from.token, token: claim.token, first_look: claim.quiet_until };
            Engine::take_over(plan, run.clone(), now, &journal, taken)
        }
    }
    .map_err(|bad| ExecuteError::Event { run: run.clone(), bad })?;
    engine.stand_still(claim.quiet_until);
    ask_words(&mut engine, &ports).await?;
    engine.set_openings(openings(&engine.plan().windows, ports.clock.now()).map_err(ExecuteError::Windows)?);
    ports.store.set_status(&run, claim.token, "running")?;
    for entry in &journal {
        watch.saw(entry, engine.progress());
    }
    let mut notifier = Notifier::start(engine.shared_plan(), run.clone(), &ports);
    let carrier = carry::Carrier::new(ports.clone(), engine.plan(), &fleet, claim.deadline.clone());
    drop(fleet);
    let ended = carry_on(&mut engine, &run, &ports, (carrier, &mut log), (&mut control, &mut claim.lost), watch, &mut notifier).await;
    watch.finished();
    let how = match &ended {
        Ok(Ended::Finished) => "finished; `coldswap report` tells how",
        Ok(Ended::Parked) => "parked; `coldswap resume` goes on",
        Ok(Ended::Left) => "left with switchovers in flight; `coldswap resume` goes on",
        Err(ExecuteError::Store(StoreError::Superseded { .. })) => "left: another process has taken it over and goes on with it",
        Err(_) => "stopped: the store cannot be written; nothing more is sent until `coldswap resume`",
    };
    notifier.end(how).await;
    let ended = ended?;
    match ended {
        Ended::Finished => ports.store.set_status(&run, claim.token, "finished")?,
        Ended::Parked => ports.store.set_status(&run, claim.token, "parked")?,
        Ended::Left => {}
    }
    Ok(ended)
}

async fn carry_on(
    engine: &mut Engine,
    run: &RunId,
    ports: &Ports,
    (carrier, log): (carry::Carrier, &mut JournalLog),
    (control, lost): (&mut mpsc::UnboundedReceiver<Control>, &mut oneshot::Receiver<StoreError>),
    watch: &mut dyn Watch,
    notifier: &mut Notifier,
) -> Result<Ended, ExecuteError> {
    let (send, mut heard) = mpsc::unbounded_channel::<Input>();
    let mut errands = carry::Errands::new(carrier, send);
    let mut mailbox = tokio::time::interval(MAILBOX);
    mailbox.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut watching_control = true;
    // What was asked while nobody carried the run out comes before anything starts.
    take_mail(engine, run, ports)?;
    while let Ok(Control::Pause(why)) = control.try_recv() {
        engine.accept(ports.clock.now(), Input::Pause(why));
    }
    loop {
        let ready = engine.ready(ports.clock.now());
        let (done, wake) = (ready.done(), ready.wake_at());
        let entries: Vec<Entry> = ready.entries().to_vec();
        let orders = tokio::task::block_in_place(|| ready.store(log)).map_err(|e| log.why(e))?;
        for entry in &entries {
            watch.saw(entry, engine.progress());
            notifier.hear(entry);
        }
        for order in orders {
            if let Order::Act(_, command) = &order {
                seam::stop_at("after-store", carry::word(command));
            }
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
                Some(Control::Leave) => return Ok(Ended::Left),
                None => watching_control = false,
            },
            why = &mut *lost => {
                // The thread that renews ends otherwise only with the claim.
                return Err(why.unwrap_or_else(|_| StoreError::Failed("the thread that renews the lease has ended".into())).into());
            }
            _ = mailbox.tick() => {
                take_mail(engine, run, ports)?;
                ask_words(engine, ports).await?;
            }
            () = sleep_until(wake, ports) => {}
        }
        while let Ok(input) = heard.try_recv() {
            engine.accept(ports.clock.now(), input);
        }
    }
    Ok(if engine.progress().all_finished() { Ended::Finished } else { Ended::Parked })
}

/// What has become of the words that stand in for silent sources: whichever command sees such a machine run ends them.
async fn ask_words(engine: &mut Engine, ports: &Ports) -> Result<(), ExecuteError> {
    for source in engine.on_a_word() {
        if let Some(word) = ports.attestations.attestation(source).await.map_err(ExecuteError::Inventory)? {
            engine.word_ends(source, word.expires_at);
        }
    }
    Ok(())
}

/// What people have asked from other terminals since.
fn take_mail(engine: &mut Engine, run: &RunId, ports: &Ports) -> Result<(), StoreError> {
    let posted = tokio::task::block_in_place(|| ports.store.inbox(run, engine.progress().last_request))?;
    for posted in posted {
        engine.accept(ports.clock.now(), Input::Request(posted));
    }
    Ok(())
}

async fn sleep_until(wake: Option<Time>, ports: &Ports) {
    match wake {
        Some(at) => tokio::time::sleep(at.since(ports.clock.now()).duration()).await,
        None => std::future::pending().await,
    }
}
