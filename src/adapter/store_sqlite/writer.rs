//! One thread owns the connection. It takes everything that waits, does it in one transaction, commits once and only
//! then answers: a disk's `fdatasync` of milliseconds serves a thousand callers instead of one.

use super::whereabouts::Whereabouts;
use crate::model::Fault;
use crate::ports::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// So many operations at most share a commit. More would only make the first one wait longer.
const BATCH: usize = 1024;

/// Why an operation has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The records say no.
    Refused(Fault),
    Store(StoreError),
    /// It was certainly not done.
    Undone(String),
    /// It was done in a transaction whose commit went wrong, or nobody is left to say.
    Unknown(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Undone(in_words(&error))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Refused(fault)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        match failure {
            Failure::Refused(fault) => fault,
            Failure::Store(error) => Fault::refused(error.to_string()),
            Failure::Undone(text) => Fault::transient(format!("store: {text}")),
            Failure::Unknown(text) => Fault::unknown(format!("store: {text}")),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure {
            Failure::Refused(fault) => StoreError::Failed(fault.detail),
            Failure::Store(error) => error,
            Failure::Undone(text) | Failure::Unknown(text) => StoreError::Failed(text),
        }
    }
}

pub(super) fn in_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            format!("another process holds the store for too long ({error}); try again")
        }
        Some(rusqlite::ErrorCode::DiskFull) => format!("the disk is full ({error}); make room and try again"),
        Some(rusqlite::ErrorCode::ReadOnly) => format!("the store cannot be written ({error}); check its owner and mode"),
        _ => error.to_string(),
    }
}

/// Tells the caller, once it is known whether the commit went well.
type Answer = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// Does the operation, or takes note of why it cannot be done. Says whether it went well.
type Work = Box<dyn FnOnce(Result<&Connection, &str>) -> (bool, Answer) + Send>;

struct Job {
    writes: bool,
    work: Work,
}

/// The way to the thread. Dropped, it waits until the thread has done what was asked and closed the database.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Writer> {
        let (jobs, waiting) = channel();
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || serve(connection, &waiting))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hand in an operation; `answer` is called from the thread when its outcome is durable. A failed operation takes
    /// back what it did and nothing else.
    fn submit<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        answer: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        let work = move |connection: Result<&Connection, &str>| -> (bool, Answer) {
            let result = connection.map_err(|text| Failure::Undone(text.to_owned())).and_then(work);
            let good = result.is_ok();
            let tell = move |commit: Result<(), &str>| match commit {
                Ok(()) => answer(result),
                // A refusal is true whatever becomes of the transaction: it wrote nothing.
                Err(_) if result.is_err() => answer(result),
                Err(text) if writes => answer(Err(Failure::Unknown(text.to_owned()))),
                Err(text) => answer(Err(Failure::Undone(text.to_owned()))),
            };
            (good, Box::new(tell))
        };
        if let Some(jobs) = &self.jobs {
            // An error means that the thread has died. The job is dropped with its answer, which the caller notices.
            let _ = jobs.send(Job { writes, work: Box::new(work) });
        }
    }

    /// Hand in an operation and wait for it.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (tell, told) = channel();
        self.submit(writes, work, move |result| drop(tell.send(result)));
        told.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// The same without blocking the caller's thread.
    pub(super) async fn wait_async<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.submit(writes, work, move |result| drop(tell.send(result)));
        told.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Failure {
    Failure::Unknown("the thread that writes the store has ended; start the process again".into())
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut connection: Connection, waiting: &Receiver<Job>) {
    let whereabouts = Whereabouts::of(&connection);
    while let Ok(first) = waiting.recv() {
        let mut jobs = std::iter::once(first).chain(waiting.try_iter()).take(BATCH).collect::<Vec<_>>().into_iter();
        let mut answers = Vec::with_capacity(jobs.len());
        let writes = jobs.as_slice().iter().any(|job| job.writes);
        let there = whereabouts.as_ref().filter(|_| writes).map_or(Ok(()), |w| w.test(&connection));
        let outcome = there.and_then(|()| run(&mut connection, writes, &mut jobs, &mut answers));
        let outcome = outcome.as_ref().copied().map_err(String::as_str);
        for job in jobs {
            answers.push((job.work)(Err(outcome.err().unwrap_or("not reached"))).1);
        }
        for answer in answers {
            answer(outcome);
        }
    }
}

/// One transaction for the whole batch, a savepoint for each operation that writes. What is left of `jobs` after an
/// error was not done.
fn run(connection: &mut Connection, writes: bool, jobs: &mut std::vec::IntoIter<Job>, answers: &mut Vec<Answer>) -> Result<(), String> {
    // A transaction that begins by reading cannot become a writing one once another process has written.
    let behavior = if writes { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
    let transaction = connection.transaction_with_behavior(behavior).map_err(|e| in_words(&e))?;
    let execute = |sql| transaction.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(|e| in_words(&e));
    for job in jobs {
        if !job.writes {
            answers.push((job.work)(Ok(&transaction)).1);
            continue;
        }
        execute("SAVEPOINT operation")?;
        let (good, answer) = (job.work)(Ok(&transaction));
        answers.push(answer);
        // A full disk or a failed read makes SQLite roll back everything by itself: then nothing of this batch stands.
        if transaction.is_autocommit() {
            return Err("the transaction was rolled back by a failure of the disk".into());
        }
        if !good {
            execute("ROLLBACK TO operation")?;
        }
        execute("RELEASE operation")?;
    }
    transaction.commit().map_err(|e| in_words(&e))
}
