//! A program in a process group of its own: what it says is kept, its time limit holds, and nothing of it outlives being
//! given up.

use super::hooks::Tail;
use super::watchdog;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;

/// What a program left running may hold its output open: this long is still listened.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A program and everything that it started. Nothing of it outlives its run being given up, or coldswap being killed.
pub(super) struct Group {
    pid: Option<Pid>,
    pub(super) child: Child,
}

impl Group {
    pub(super) fn of(child: Child) -> Group {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        pid.into_iter().for_each(watchdog::watch);
        Group { pid, child }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // Gone already: nothing to end.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Listen until it ends. `None`: it was killed because its time was up. `grace`: between being told to end (SIGTERM)
    /// and being killed.
    pub(super) async fn watch(
        &mut self,
        output: &mut pipe::Receiver,
        tail: &mut Tail,
        (limit, grace): (Duration, Duration),
    ) -> std::io::Result<Option<ExitStatus>> {
        let ended = listen(&mut self.child, output, tail, limit).await;
        if let Some(status) = ended {
            let _ = tokio::time::timeout(LAST_WORDS, drain(output, tail)).await;
            return status.map(Some);
        }
        self.signal(Signal::TERM);
        let in_time = listen(&mut self.child, output, tail, grace).await;
        // Also what the program started and did not take along.
        self.signal(Signal::KILL);
        if in_time.is_none() {
            self.child.wait().await?;
        }
        let _ = tokio::time::timeout(LAST_WORDS, drain(output, tail)).await;
        Ok(None)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Reaped already: its number may belong to somebody else.
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
        self.pid.into_iter().for_each(watchdog::forget);
    }
}

async fn listen(child: &mut Child, output: &mut pipe::Receiver, tail: &mut Tail, limit: Duration) -> Option<std::io::Result<ExitStatus>> {
    let end = tokio::time::sleep(limit);
    tokio::pin!(end);
    let mut open = true;
    let mut chunk = vec![0; 4096];
    loop {
        tokio::select! {
            read = output.read(&mut chunk), if open => match read {
                Ok(n) if n > 0 => tail.push(&chunk[..n]),
                _ => open = false,
            },
            status = child.wait() => return Some(status),
            () = &mut end => return None,
        }
    }
}

async fn drain(output: &mut pipe::Receiver, tail: &mut Tail) {
    let mut chunk = vec![0; 4096];
    while let Ok(n) = output.read(&mut chunk).await {
        if n == 0 {
            break;
        }
        tail.push(&chunk[..n]);
    }
}
