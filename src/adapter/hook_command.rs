//! A hook that is a program: an argument vector, its own process group, a time limit that holds.

use super::hooks::{Job, Mask, Tail};
use crate::model::{Fault, HookResult, RunAction, Span};
use crate::ports::seam;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// What a program left running may hold its output open: this long is still listened.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub(super) async fn run(job: &Job<'_>, action: &RunAction) -> Result<HookResult, Fault> {
    let program = checked_program(job, action)?;
    let mut mask = Mask::default();
    let mut command = Command::new(&program);
    command
        .args(action.argv.iter().skip(1).map(|a| job.context.fill(a)))
        .env("COLDSWAP_RUN", &job.context.run.0)
        .env("COLDSWAP_SWITCHOVER", job.context.switchover.to_string())
        .env("COLDSWAP_STEP", job.context.step.to_string())
        .env("COLDSWAP_ATTEMPT", job.context.attempt.to_string())
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &action.directory {
        command.current_dir(directory);
    }
    for (name, value) in job.texts(&action.env, &mut mask).await? {
        command.env(name, value.expose_secret());
    }
    // One pipe for both streams keeps them in the order in which they were written.
    let pipes = std::io::pipe().and_then(|(reader, writer)| Ok((reader, writer.try_clone()?, writer)));
    let (reader, out, err) = pipes.map_err(|e| job.transient(format!("no pipe: {e}")))?;
    let mut output = pipe::Receiver::from_owned_fd(reader.into()).map_err(|e| job.transient(format!("no pipe: {e}")))?;
    command.stdout(out).stderr(err);
    seam::stop_at("before-spawn", &job.hook.name);
    job.in_time()?;
    let started = Instant::now();
    let child = command.spawn().map_err(|e| not_started(job, &program, &e))?;
    // Our own ends of the pipe go with it; else the output would never end.
    drop(command);
    let mut group = Group { pid: child.id().and_then(|id| Pid::from_raw(id.cast_signed())), child };
    let mut tail = Tail::new(&mask);
    let ended = watch(&mut group, &mut output, &mut tail, job).await;
    let took = Span(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    let (succeeded, how) = match ended.map_err(|e| job.unknown(format!("started, but how it ended cannot be seen: {e}")))? {
        Some(status) => (status.success(), describe(status)),
        None => (false, format!("killed after {}", job.hook.timeout)),
    };
    Ok(HookResult { succeeded, how, output: tail.text(&mask), took })
}

/// The program's path, if it may be started: a script must be what it was when the plan was made.
fn checked_program(job: &Job<'_>, action: &RunAction) -> Result<PathBuf, Fault> {
    let Some(named) = action.argv.first().map(|a| job.context.fill(a)).filter(|a| !a.is_empty()) else {
        return Err(job.refused("has no program to run"));
    };
    if let Some(directory) = action.directory.as_deref().filter(|d| !Path::new(d).is_dir()) {
        return Err(job.refused(format!("there is no directory `{directory}`")));
    }
    if !named.contains('/') {
        let known = PathBuf::from(&named);
        return if action.digest.is_none() { Ok(known) } else { Err(job.refused(format!("`{named}` has a digest and is no path"))) };
    }
    let path = action.directory.as_deref().map_or_else(|| PathBuf::from(&named), |d| Path::new(d).join(&named));
    if let Some(digest) = &action.digest {
        let script = std::fs::read(&path).map_err(|e| job.refused(format!("`{}` cannot be read: {e}", path.display())))?;
        let now = Sha256::digest(&script).iter().map(|b| format!("{b:02x}")).collect::<String>();
        if now != digest.trim_start_matches("sha256:").to_lowercase() {
            return Err(job.refused(format!("`{}` has changed since the plan was made; make a new plan", path.display())));
        }
    }
    // The child looks for a relative path from where it is to work, not from where we are.
    std::path::absolute(&path).map_err(|e| job.refused(format!("`{}` cannot be found from here: {e}", path.display())))
}

fn not_started(job: &Job<'_>, program: &Path, error: &std::io::Error) -> Fault {
    let program = program.display();
    match error.kind() {
        ErrorKind::NotFound => job.refused(format!("program `{program}`, or the interpreter in its first line, was not found")),
        ErrorKind::PermissionDenied => job.refused(format!("program `{program}` may not be executed; is it marked executable?")),
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory | ErrorKind::ExecutableFileBusy => {
            job.transient(format!("program `{program}` could not be started: {error}"))
        }
        _ => job.refused(format!("program `{program}` could not be started: {error}")),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A program and everything that it started. Nothing of it outlives its run being given up.
struct Group {
    pid: Option<Pid>,
    child: Child,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // Gone already: nothing to end.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Reaped already: its number may belong to somebody else.
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

/// Listen until it ends. `None`: it was killed because its time was up.
async fn watch(group: &mut Group, output: &mut pipe::Receiver, tail: &mut Tail, job: &Job<'_>) -> std::io::Result<Option<ExitStatus>> {
    let ended = listen(&mut group.child, output, tail, job.hook.timeout.duration()).await;
    if let Some(status) = ended {
        let _ = tokio::time::timeout(LAST_WORDS, drain(output, tail)).await;
        return status.map(Some);
    }
    group.signal(Signal::TERM);
    let in_time = listen(&mut group.child, output, tail, job.options.grace).await;
    // Also what the program started and did not take along.
    group.signal(Signal::KILL);
    if in_time.is_none() {
        group.child.wait().await?;
    }
    let _ = tokio::time::timeout(LAST_WORDS, drain(output, tail)).await;
    Ok(None)
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
