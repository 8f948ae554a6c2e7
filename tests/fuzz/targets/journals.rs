//! Any journal to a plan: refused by all that read it, or taken up by all. What is taken up can be gone on with, and what
//! is then written is read again.
//!
//! An input that begins with `{` is a journal as it is; any other is a list of changes to a journal of a whole run, for
//! mutation alone seldom keeps JSON whole.
#![no_main]

use coldswap_sim::engine::{Engine, Entry, Event, EventLog, Input, LogError};
use coldswap_sim::model::*;
use coldswap_sim::plan::Plan;
use coldswap_sim::report::{About, report, text};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};

fn plan() -> &'static Arc<Plan> {
    static PLAN: OnceLock<Arc<Plan>> = OnceLock::new();
    PLAN.get_or_init(|| Arc::new(serde_json::from_str(include_str!("../../it/golden/plan-v1.json")).expect("the golden plan")))
}

fn whole() -> &'static Vec<String> {
    static LINES: OnceLock<Vec<String>> = OnceLock::new();
    LINES.get_or_init(|| include_str!("../../it/golden/journal-v1.jsonl").lines().map(str::to_owned).collect())
}

fn entry_of(line: &str) -> Option<Entry> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let event: Event = serde_json::from_value(line.get("event")?.clone()).ok()?;
    Some(Entry { at: serde_json::from_value(line.get("at")?.clone()).ok()?, event })
}

/// Three bytes a change: what, where, how.
fn changed(program: &[u8]) -> Vec<String> {
    let mut lines = whole().clone();
    for change in program.chunks_exact(3).take(40) {
        if lines.is_empty() {
            break;
        }
        let (at, with) = (usize::from(change[1]) % lines.len(), usize::from(change[2]));
        match change[0] % 7 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(with % lines.len(), lines[at].clone()),
            2 => lines.truncate(at),
            3 => {
                let other = with % lines.len();
                lines.swap(at, other);
            }
            4 => lines[at] = lines[at].replace("s-001", "s-002"),
            5 => lines[at] = lines[at].replace("\"step\":", &format!("\"step\":{}", with % 10)),
            _ => lines[at] = lines[at].replace("\"attempt\":0", &format!("\"attempt\":{}", with % 3)),
        }
    }
    lines
}

struct Log<'a>(&'a mut Vec<Entry>);

impl EventLog for Log<'_> {
    fn heard(&mut self, _: Vec<(NodeId, Time)>) -> Result<(), LogError> {
        Ok(())
    }

    fn append(&mut self, mut entries: Vec<Entry>, _: Vec<(NodeId, PowerMark)>) -> Result<(), LogError> {
        self.0.append(&mut entries);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let lines = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('{') => text.lines().map(str::to_owned).collect(),
        _ => changed(bytes),
    };
    let Some(mut entries) = lines.iter().map(|l| entry_of(l)).collect::<Option<Vec<Entry>>>() else { return };
    let about = About { run: "r-1".into(), coldswap: "0".into() };
    let folded = report(plan(), &about, &entries);
    let now = entries.last().map_or(Time(0), |e| e.at);
    let taken_up = Engine::resume(plan().clone(), "r-1".into(), now, &entries);
    if let Ok(report) = &folded {
        text::render(report, 100, true);
        serde_json::to_string(report).expect("a report is JSON");
    }
    let mut engine = match taken_up {
        Ok(engine) => engine,
        Err(bad) => return drop(bad.to_string()),
    };
    assert!(folded.is_ok(), "the engine takes up what the report refuses: {folded:?}");
    let orders = engine.ready(now).store(&mut Log(&mut entries)).expect("this log takes everything");
    for order in orders {
        if let coldswap_sim::engine::Order::Act(ticket, _) = order {
            engine.accept(now, Input::Told(ticket, Err(Fault::unknown("fuzzed"))));
        }
    }
    engine.ready(now + Span::mins(60)).store(&mut Log(&mut entries)).expect("this log takes everything");
    report(plan(), &about, &entries).expect("what the engine wrote fits");
});
