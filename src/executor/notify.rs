//! Who is told what happens. In a task of its own behind a queue of its own: a chat that hangs never slows a run, and
//! one that refuses never stops it.
//!
//! A message is made of the journal's own words. Those hold no secret, and what a hook printed is not among them.

use super::carry::Ports;
use crate::engine::{Entry, Event, Outcome, Told};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::plan::Plan;
use crate::ports::Deadline;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// More than this and the far side is too slow to be told everything.
const QUEUE: usize = 256;
/// One attempt.
const LIMIT: Span = Span::secs(10);
const ATTEMPTS: u32 = 3;
/// How long the end of a run waits until everything is told.
const LAST_WORDS: Duration = Duration::from_secs(10);

struct Message {
    kind: NoticeEvent,
    text: String,
    switchover: Option<SwitchoverId>,
}

/// The way to the task. Does nothing where nobody is to be told.
pub struct Notifier {
    way: Option<(mpsc::Sender<Message>, tokio::task::JoinHandle<()>)>,
    plan: Arc<Plan>,
    run: RunId,
    /// Why each turned back: its end does not say so again.
    turned: BTreeMap<SwitchoverId, String>,
}

impl Notifier {
    pub fn start(plan: Arc<Plan>, run: RunId, ports: &Ports) -> Notifier {
        let way = (!plan.notify.is_empty()).then(|| {
            let (send, receive) = mpsc::channel(QUEUE);
            (send, tokio::spawn(deliver(plan.clone(), run.clone(), ports.clone(), receive)))
        });
        Notifier { way, plan, run, turned: BTreeMap::new() }
    }

    /// Tell of an entry of this process.
    pub fn hear(&mut self, entry: &Entry) {
        if self.way.is_none() {
            return;
        }
        if let Event::RollingBack { switchover, why, .. } = &entry.event {
            self.turned.insert(*switchover, why.text.clone());
        }
        let about = entry.event.about();
        let turned = about.and_then(|id| self.turned.get(&id)).map(|why| format!(": {why}")).unwrap_or_default();
        for (kind, what) in kinds(&entry.event, &turned) {
            self.tell(kind, &what, about);
        }
    }

    fn tell(&self, kind: NoticeEvent, what: &str, switchover: Option<SwitchoverId>) {
        let Some((send, _)) = &self.way else { return };
        let who = switchover.and_then(|id| self.plan.index(id)).map(|at| &self.plan.switchovers[at]);
        let who = who.map(|s| format!(" {} {} -> {}", s.id, s.source.name, s.destination.name)).unwrap_or_default();
        let text = format!("coldswap {} ({}){who}: {what}", self.run, self.plan.runbook.name);
        if send.try_send(Message { kind, text, switchover }).is_err() {
            tracing::warn!(run = %self.run, kind = kind.as_str(), "a notification is left out: the far side is too slow");
        }
    }

    /// The process is done with the run: say so, and wait a little until everything is told.
    pub async fn end(mut self, how: &str) {
        self.tell(NoticeEvent::Finished, how, None);
        let Some((send, task)) = self.way.take() else { return };
        drop(send);
        let abort = task.abort_handle();
        if tokio::time::timeout(LAST_WORDS, task).await.is_err() {
            abort.abort();
            tracing::warn!(run = %self.run, "not every notification was delivered within {LAST_WORDS:?}");
        }
    }
}

fn kinds(event: &Event, turned: &str) -> Vec<(NoticeEvent, String)> {
    match event {
        Event::RunStarted { .. } => vec![(NoticeEvent::Started, "started".to_owned())],
        Event::RunResumed => vec![(NoticeEvent::Started, "taken up again".to_owned())],
        Event::Paused { why, .. } => vec![(NoticeEvent::Paused, format!("paused: {why}"))],
        Event::Asked { matter, until, default } => {
            vec![(NoticeEvent::Paused, format!("waits for a decision on the {matter}; `{default}` at {until}"))]
        }
        Event::Intended { command: Told::Prompt, .. } => vec![(NoticeEvent::Paused, "asks somebody: `coldswap show` says what".to_owned())],
        Event::Finished { outcome, why, .. } if *outcome != Outcome::SwitchedOver => {
            let why = why.as_ref().map_or_else(|| turned.to_owned(), |w| format!(": {w}"));
            let text = format!("{}{why}", outcome.as_str());
            let mut kinds = vec![(NoticeEvent::Failed, text.clone())];
            if *outcome == Outcome::InDoubt {
                kinds.push((NoticeEvent::InDoubt, text));
            }
            kinds
        }
        _ => Vec::new(),
    }
}

async fn deliver(plan: Arc<Plan>, run: RunId, ports: Ports, mut messages: mpsc::Receiver<Message>) {
    while let Some(message) = messages.recv().await {
        for notice in plan.notify.iter().filter(|n| n.events.contains(&message.kind)) {
            send(notice, &run, &ports, &message).await;
        }
    }
}

async fn send(notice: &Notice, run: &RunId, ports: &Ports, message: &Message) {
    let action = filled(&notice.action, &|text| fill(text, run, message));
    // In a lab a program is not started, and a request goes to this very machine or nowhere.
    let lab = matches!(action, HookAction::Http(_));
    let hook = Hook {
        name: "notify".to_owned(),
        point: HookPoint::PostBoot,
        action: action.clone(),
        check: None,
        undo: None,
        timeout: LIMIT,
        retries: 0,
        until: None,
        rerun: Rerun::Allowed,
        on_failure: OnFailure::Continue,
        lab,
    };
    for attempt in 1..=ATTEMPTS {
        let context = HookContext { run: run.clone(), switchover: message.switchover.unwrap_or(SwitchoverId(0)), step: 0, attempt };
        let why = match tokio::time::timeout(2 * LIMIT.duration(), ports.hooks.run(&hook, &action, &context, &Deadline::NONE)).await {
            Ok(Ok(result)) if result.succeeded => return,
            Ok(Ok(result)) => result.how,
            Ok(Err(fault)) if fault.kind == FaultKind::Refused => {
                tracing::warn!(%run, "a notification cannot be sent: {fault}");
                return;
            }
            Ok(Err(fault)) => fault.detail,
            Err(_) => format!("no answer within {LIMIT}"),
        };
        if attempt == ATTEMPTS {
            tracing::warn!(%run, "a notification was not delivered: {why}");
            return;
        }
        tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
    }
}

fn fill(text: &str, run: &RunId, message: &Message) -> String {
    let id = message.switchover.map(|id| id.to_string()).unwrap_or_default();
    // The event's own text last: what it holds is not filled in again.
    text.replace("{{ run.id }}", &run.0)
        .replace("{{ event.kind }}", message.kind.as_str())
        .replace("{{ event.switchover }}", &id)
        .replace("{{ event.text }}", &message.text)
}

/// Every text of an action, filled in.
fn filled(action: &HookAction, fill: &impl Fn(&str) -> String) -> HookAction {
    let sensitive = |value: &Sensitive| match value {
        Sensitive::Plain(text) => Sensitive::Plain(fill(text)),
        secret => secret.clone(),
    };
    match action {
        HookAction::Run(run) => HookAction::Run(RunAction { argv: run.argv.iter().map(|a| fill(a)).collect(), ..run.clone() }),
        HookAction::Http(http) => HookAction::Http(HttpAction {
            url: sensitive(&http.url),
            headers: http.headers.iter().map(|(k, v)| (k.clone(), sensitive(v))).collect(),
            json: http.json.as_ref().map(|json| json_filled(json, fill)),
            ..http.clone()
        }),
        HookAction::Prompt(prompt) => HookAction::Prompt(prompt.clone()),
    }
}

fn json_filled(value: &serde_json::Value, fill: &impl Fn(&str) -> String) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(fill(text)),
        Value::Array(list) => list.iter().map(|v| json_filled(v, fill)).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), json_filled(v, fill))).collect(),
        other => other.clone(),
    }
}

gates! {
    "notify", "what cannot be told in three attempts of ten seconds is left out, with a warning in the log",
        Open, "a chat that hangs must not hold up machines", a_far_side_that_hangs_or_refuses_stops_nothing;
}
