//! A hook that is a program: an argument vector, its own process group, a time limit that holds.

use super::hooks::{Job, Mask, Tail};
use super::process::{Group, describe};
use crate::model::{Fault, HookResult, RunAction, Span};
use crate::ports::seam;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::time::Instant;

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
    let mut group = Group::of(child);
    let mut tail = Tail::new(&mask);
    let ended = group.watch(&mut output, &mut tail, (job.hook.timeout.duration(), job.options.grace)).await;
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
