use super::*;
use crate::engine::{How, JOURNAL_FORMAT, Outcome, Read, Told};
use crate::step::{Fence, Machine, Pair, PowerOff, Step};
use indicatif::TermLike;
use std::io;
use std::sync::Mutex;

#[derive(Clone, Debug, Default)]
struct Paper(Arc<Mutex<String>>);

impl Paper {
    fn text(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal of that many columns.
#[derive(Debug)]
struct Narrow(u16, Paper);

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        self.0
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.1.clone().write_all(text.as_bytes())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A plan of switchovers of two steps each.
fn plan_of(count: u32) -> Arc<Plan> {
    let machine = |name: String| Machine { node: NodeId::derived(&name), name, identity: Identity::default(), kept: false };
    let switchover = |n: u32| {
        let pair = Pair { source: machine(format!("web-{n:02}")), destination: machine(format!("spare-{n:02}")) };
        let off = PowerOff {
            machine: pair.source.clone(),
            soft: None,
            hard: Some(ResetType::ForceOff),
            landing: Span::secs(1),
            silent: None,
            spare: None,
            way_back: None,
        };
        let fence = Fence {
            pair: pair.clone().into(),
            reads: 3,
            apart: Span::secs(1),
            landing: Span::secs(1),
            bmc: true,
            silent: None,
            levels: Vec::new(),
            seen_on: None,
            never_hard: false,
        };
        crate::plan::Switchover {
            id: SwitchoverId(n),
            source: pair.source,
            destination: pair.destination,
            pool: None,
            group: 0,
            preferred: Vec::new(),
            identical: 0,
            warnings: Vec::new(),
            landing: Span::secs(1),
            allowance: None,
            domains: Vec::new(),
            steps: vec![Step::PowerOff(off), Step::Fence(fence)],
            already_so: Vec::new(),
            digest: String::new(),
            predicted: None,
        }
    };
    let plan = serde_json::json!({
        "format_version": 1, "id": "p-1", "store": "store", "created_at": 0, "captured_at": 0, "mode": "planned",
        "runbook": {"name": "case", "description": null, "labels": {}, "digest": "0"},
        "switchovers": [], "left_out": [], "pools": [], "limits": {"at_once": 2, "stop_after_failures": null}, "report": null
    });
    let mut plan: Plan = serde_json::from_value(plan).expect("a plan");
    plan.switchovers = (1..=count).map(switchover).collect();
    Arc::new(plan)
}

fn at(second: i64, event: Event) -> Entry {
    Entry { at: Time((1_700_000_000 + second) * 1_000_000), event }
}

fn reset(n: u32, step: u32, attempt: u32) -> Event {
    let command = Told::Reset { node: NodeId::derived(&format!("web-{n:02}")), reset: ResetType::ForceOff };
    Event::Intended { switchover: SwitchoverId(n), step, attempt, command, before: Vec::new() }
}

fn achieved(n: u32, step: u32) -> Event {
    let read = Read { at: Time(0), node: NodeId::derived(&format!("web-{n:02}")), power: PowerState::Off, who: None };
    Event::Achieved { switchover: SwitchoverId(n), step, how: How::Acted, after: vec![read; 3], hook: None, fence: None }
}

fn finished(n: u32, outcome: Outcome, why: Option<Reason>) -> Event {
    Event::Finished { switchover: SwitchoverId(n), outcome, why, debt: None, hook: None }
}

fn started() -> Event {
    Event::RunStarted { run: "r-1".into(), plan: "p-1".into(), journal_format: JOURNAL_FORMAT }
}

/// A run of two: one goes well after a retry, one ends in doubt.
fn story() -> Vec<Entry> {
    let (first, second) = (SwitchoverId(1), SwitchoverId(2));
    let why = || Reason::new(ReasonCode::TimedOut, "`web-01`: it did not come true");
    vec![
        at(0, started()),
        at(0, Event::Started { switchover: first }),
        at(0, Event::Started { switchover: second }),
        at(1, reset(1, 1, 0)),
        at(9, Event::Retried { switchover: first, step: 1, attempt: 0, why: why(), hook: None }),
        at(10, reset(1, 1, 1)),
        at(11, achieved(1, 1)),
        at(12, reset(1, 2, 0)),
        at(15, achieved(1, 2)),
        at(15, finished(1, Outcome::SwitchedOver, None)),
        at(16, Event::Paused { why: Reason::new(ReasonCode::Asked, "a person\u{1b}[2J asked"), until: None, by: None }),
        at(20, finished(2, Outcome::InDoubt, Some(Reason::new(ReasonCode::Silent, "the BMC of `web-02` is silent")))),
    ]
}

fn watched(mut live: Live, plan: &Plan, story: &[Entry]) {
    let mut progress = Progress::new(plan);
    for entry in story {
        progress.apply(plan, entry).expect("it fits");
    }
    // As the executor does after a resume: the engine's fold knows the end already.
    for entry in story {
        live.saw(entry, &progress);
    }
    live.finished();
}

fn lines(since: i64, quiet: bool, colour: bool) -> String {
    let (plan, paper) = (plan_of(2), Paper::default());
    let live = Live::lines(plan.clone(), at(since, started()).at, Box::new(paper.clone()), colour, quiet);
    watched(live, &plan, &story());
    paper.text()
}

#[test]
fn plain_lines() {
    let want = "\
22:13:20Z run r-1 of plan p-1: 2 to switch over, 2 at once
22:13:20Z s-001 web-01 -> spare-01  started
22:13:20Z s-002 web-02 -> spare-02  started
22:13:21Z s-001 web-01 -> spare-01  power_off  ForceOff to web-01
22:13:29Z s-001 web-01 -> spare-01  power_off  attempt 1 came to nothing: `web-01`: it did not come true
22:13:30Z s-001 web-01 -> spare-01  power_off  ForceOff to web-01, attempt 2
22:13:31Z s-001 web-01 -> spare-01  power_off  web-01: On -> Off
22:13:32Z s-001 web-01 -> spare-01  fence  ForceOff to web-01
22:13:35Z s-001 web-01 -> spare-01  fence  ForceOff, 3 reads Off
22:13:35Z s-001 web-01 -> spare-01  switched over after 15.0s
22:13:36Z paused, nothing new starts: a person\u{fffd}[2J asked
22:13:40Z s-002 web-02 -> spare-02  in doubt after 20.0s: the BMC of `web-02` is silent
";
    assert_eq!(lines(0, false, false), want);
}

#[test]
fn quiet_says_only_what_a_person_must_know() {
    let text = lines(0, true, false);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("paused") && text.contains("in doubt"), "{text}");
}

#[test]
fn history_is_folded_and_not_shown() {
    let text = lines(15, false, false);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.starts_with("22:13:35Z s-001 web-01 -> spare-01  fence  ForceOff, 3 reads Off"), "{text}");
}

#[test]
fn colour_only_when_asked() {
    assert!(!lines(0, false, false).contains('\u{1b}'));
    assert!(lines(0, false, true).contains("\u{1b}["));
}

#[test]
fn an_entry_that_does_not_fit_is_caught_up_with() {
    let (plan, paper) = (plan_of(2), Paper::default());
    let mut progress = Progress::new(&plan);
    let story = story();
    let mut live = Live::lines(plan.clone(), story[0].at, Box::new(paper.clone()), false, false);
    for entry in &story {
        progress.apply(&plan, entry).expect("it fits");
    }
    live.saw(&story[8], &progress);
    live.saw(&story[11], &progress);
    assert_eq!(live.progress, progress);
}

#[test]
fn narrow_terminals_and_many_switchovers_do_no_harm() {
    // None has 0 columns: `console` takes 80 where a terminal does not say.
    for width in [1, 2, 3, 5, 8, 13, 21, 80, 500] {
        let (plan, paper) = (plan_of(60), Paper::default());
        let target = ProgressDrawTarget::term_like(Box::new(Narrow(width, paper.clone())));
        let live = Live::bars(plan.clone(), Time(0), target, true);
        let begin = (1..=60).map(|n| at(1, Event::Started { switchover: SwitchoverId(n) }));
        let end = (1..=60).rev().map(|n| at(2, finished(n, Outcome::Stopped, None)));
        let story: Vec<Entry> = std::iter::once(at(0, started())).chain(begin).chain(end).collect();
        watched(live, &plan, &story);
        assert!(width < 80 || paper.text().contains("s-060 web-60 -> spare-60"), "{width}");
    }
}

#[test]
fn no_more_lines_than_fit() {
    let mut bars = Bars::new(ProgressDrawTarget::hidden(), false, 60);
    for index in 0..60 {
        bars.fly(index, "message", Span::secs(1), false);
    }
    assert_eq!(bars.lines(), (16, 44));
    bars.land(3);
    assert_eq!(bars.lines(), (16, 43));
    (0..60).for_each(|index| bars.land(index));
    assert_eq!(bars.lines(), (0, 0));
}
