//! `pause`, `stop`, `rollback`, `decide`, and `resume` of a run that is carried out elsewhere: what people ask of a run
//! from another terminal.
//!
//! Where somebody carries the run out, the request goes into its mailbox and the answer is waited for. Where nobody
//! does, `rollback` and `decide SWITCHOVER --moved | --not-moved` carry the run out themselves and start nothing new;
//! an answer to a question is kept for the `resume` that acts on it; there is nothing to pause or to stop.

use super::apply::{carry_out, make_report};
use super::args::{AskArgs, DecideArgs, Global, PauseArgs, RollbackArgs};
use super::site::Site;
use super::{Failure, control, output};
use crate::engine::Event;
use crate::executor::{Control, claim, entries};
use crate::model::*;
use crate::ports::{RunRow, Store, StoreError};
use crate::report::{self, ExitCode};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The executor looks every quarter of a second; while it writes or waits for a command on its way it may take longer.
const ANSWER: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub async fn pause(global: &Global, args: &PauseArgs) -> Result<ExitCode, Failure> {
    if args.limit == Span::ZERO {
        return Err(Failure::usage("`--for 0s` is no pause: it would park the run at once").hint("`coldswap stop` parks it"));
    }
    ask(global, &args.ask.id, args.ask.by.as_deref(), Request::Pause { limit: args.limit }).await
}

pub async fn stop(global: &Global, args: &AskArgs) -> Result<ExitCode, Failure> {
    ask(global, &args.id, args.by.as_deref(), Request::Stop).await
}

pub async fn rollback(global: &Global, args: &RollbackArgs) -> Result<ExitCode, Failure> {
    ask(global, &args.id, args.by.as_deref(), Request::RollBack { switchover: args.switchover }).await
}

pub async fn decide(global: &Global, args: &DecideArgs) -> Result<ExitCode, Failure> {
    let switchover = || args.about.parse::<SwitchoverId>().map_err(Failure::usage);
    let request = match (args.moved || args.not_moved, &args.choice) {
        (true, _) => Request::Resolve { switchover: switchover()?, moved: args.moved, why: args.why.clone() },
        (false, choice) => {
            let matter = match args.about.as_str() {
                "approval" => Matter::Approval,
                "canary" => Matter::Canary,
                _ => Matter::Prompt(switchover()?),
            };
            Request::Decide { matter, choice: choice.clone().unwrap_or_default(), why: args.why.clone() }
        }
    };
    ask(global, &args.id, args.by.as_deref(), request).await
}

/// Who is at this terminal, unless somebody else is named.
pub fn who(by: Option<&str>) -> String {
    let named = by.map(str::to_owned).or_else(|| std::env::var("SUDO_USER").ok()).or_else(|| std::env::var("USER").ok());
    named
        .or_else(|| std::env::var("LOGNAME").ok())
        .filter(|n| !n.trim().is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

async fn ask(global: &Global, id: &str, by: Option<&str>, request: Request) -> Result<ExitCode, Failure> {
    let site = Site::of_id(global, id)?;
    let run = RunId(id.to_owned());
    let Some(row) = site.store.run(&run)? else { return Err(super::runs::unknown(&site, id)) };
    match site.store.test_lock(&run) {
        Err(StoreError::Locked { .. }) => wait_for(global, &site, &row, by, request).await,
        Err(other) => Err(other.into()),
        Ok(()) => nobody(global, &site, &row, by, request).await,
    }
}

/// Somebody carries the run out: post, and say what became of it.
pub async fn wait_for(global: &Global, site: &Site, row: &RunRow, by: Option<&str>, request: Request) -> Result<ExitCode, Failure> {
    let (run, store) = (&row.id, &site.store);
    let seq = store.post(run, site.now(), &who(by), &request)?;
    let began = Instant::now();
    while began.elapsed() < ANSWER {
        if let Some(refused) = answer(store, run, seq)? {
            return match refused {
                Some(why) => Err(Failure::refused(format!("`{request}` is refused: {why}"))),
                None => {
                    output::print(
                        global,
                        || format!("{run}: {request}"),
                        || json!({"run": run, "request": seq, "asked": request.to_string()}),
                    );
                    Ok(ExitCode::Done)
                }
            };
        }
        if store.test_lock(run).is_ok() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let by = match store.test_lock(run) {
        Err(StoreError::Locked { by: Some(by), .. }) => format!(". It is held by {by}; if that hangs: `coldswap resume {run} --take-over`"),
        _ => format!(", and `coldswap resume {run}` acts on it"),
    };
    output::note(global, format!("{run}: nobody has acted on `{request}` yet; it is kept{by}"));
    Ok(ExitCode::Resumable)
}

/// What became of a request: not heard yet, done, or refused.
fn answer(store: &dyn Store, run: &RunId, seq: u64) -> Result<Option<Option<String>>, Failure> {
    let journal = entries(&store.journal(run)?).map_err(|bad| Failure::refused(format!("run `{run}`: {bad}")))?;
    let heard = journal.into_iter().rev().find(|e| e.event.voice().is_some_and(|v| v.request == seq));
    Ok(heard.map(|entry| match entry.event {
        Event::Declined { why, .. } => Some(why),
        _ => None,
    }))
}

/// Another answer to the same question that nobody has acted on yet: the first one will count.
fn kept_answer(site: &Site, run: &RunId, request: &Request) -> Result<Option<Posted>, Failure> {
    let Request::Decide { matter, choice, .. } = request else { return Ok(None) };
    let journal = crate::executor::entries(&site.store.journal(run)?).map_err(|bad| Failure::refused(format!("{run}: {bad}")))?;
    let acted_on = journal.iter().filter_map(|entry| entry.event.voice()).map(|voice| voice.request).max().unwrap_or(0);
    let other = |posted: &Posted| matches!(&posted.request, Request::Decide { matter: m, choice: c, .. } if m == matter && c != choice);
    Ok(site.store.inbox(run, acted_on)?.into_iter().find(other))
}

async fn nobody(global: &Global, site: &Site, row: &RunRow, by: Option<&str>, request: Request) -> Result<ExitCode, Failure> {
    let run = &row.id;
    let plan = super::runs::plan_of(site, &row.plan)?;
    let report = make_report(&site.store, &plan, run)?;
    match &request {
        Request::Pause { .. } | Request::Stop | Request::Resume => {
            if report.run.status == report::RunStatus::Finished {
                let tell = format!("`coldswap report {run}` tells how");
                return Err(Failure::usage(format!("`{request}` finds nothing to do: {run} has ended")).hint(tell));
            }
            let status = output::word(&report.run.status);
            output::print(
                global,
                || format!("{run}: nobody carries it out ({status}), so nothing starts"),
                || json!({"run": run, "asked": request.to_string(), "status": status}),
            );
            return Ok(report::exit_code(&report));
        }
        Request::Decide { .. } => {
            if report.run.status == report::RunStatus::Finished {
                return Err(Failure::refused(format!("`{request}` is refused: {run} has ended")));
            }
            if let Some(kept) = kept_answer(site, run, &request)? {
                let why = format!("`{}` of {} is kept already for `coldswap resume {run}`", kept.request, kept.by);
                return Err(Failure::refused(format!("`{request}` would come too late: {why}"))
                    .hint(format!("`coldswap rollback {run}` takes back what is in flight and skips what waits")));
            }
            site.store.post(run, site.now(), &who(by), &request)?;
            output::print(
                global,
                || format!("{run}: {request} is kept; `coldswap resume {run}` acts on it"),
                || json!({"run": run, "asked": request.to_string(), "kept": true}),
            );
            return Ok(ExitCode::Resumable);
        }
        Request::RollBack { .. } | Request::Resolve { .. } => {}
    }
    if site.lab && global.store.is_none() {
        return Err(Failure::refused(format!("`{run}` ran in a lab that has ended; its machines are gone")));
    }
    let seq = site.store.post(run, site.now(), &who(by), &request)?;
    let why = Reason::new(ReasonCode::Asked, format!("only `{request}` was asked for; `coldswap resume {run}` goes on with the rest"));
    let ports = site.ports();
    let claim = claim(&ports, run, &site.terms())?;
    let code = carry_out(global, ports, Arc::new(plan), claim, None, control::listen(Some(Control::Pause(why)))).await?;
    match answer(&site.store, run, seq)? {
        Some(Some(why)) => Err(Failure::refused(format!("`{request}` is refused: {why}"))),
        _ => Ok(code),
    }
}
