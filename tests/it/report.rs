//! The report: what it says of simulated runs, of journals cut anywhere, and of a run that an earlier version wrote.

use crate::crash::plan_for;
use coldswap::engine::{Entry, Event, Outcome, Told};
use coldswap::model::*;
use coldswap::plan::Plan;
use coldswap::report::*;
use coldswap::sim::{Bugs, CrashAt, Faults, Survives, fleet, run};
use std::path::PathBuf;
use std::sync::Arc;

const CRUEL: Faults = Faults {
    lost_before: 9,
    lost_after: 9,
    refused: 2,
    blind: 5,
    ignored: 5,
    soft_ignored: 40,
    slow_power_ms: 1_500,
    hook_fails: 25,
    button: 8,
    dead: 0,
    agent_lies: 0,
    agent_blind: 0,
    replugged: 0,
    tampered: 0,
    attested: 0,
    null_power: 0,
    lags: 0,
    strangers: 0,
    provision_fails: 0,
    foreign: 0,
};

fn plan_of(pairs: u32) -> Plan {
    let (fleet, ends) = coldswap_sim::sim::fleet(pairs, 1);
    let planned = plan_for(&fleet, &ends, 2, coldswap_sim::model::Span::secs(3));
    let mut plan: Plan = serde_json::from_value(serde_json::json!(planned)).expect("the same type, from the same file");
    plan.limits.stop_after_failures = Some(Threshold::Count(3));
    plan
}

/// The journal of a run that is killed twice, with words in the output of hooks that failed.
fn journal_of(plan: &Plan, seed: u64, faults: Faults) -> Vec<Entry> {
    let (fleet, _) = fleet(plan.switchovers.len() as u32, 1);
    let crashes = [40, 90].map(|point| CrashAt { point, survives: Survives::EventsAndOrders });
    let mut journal = run(&Arc::new(plan.clone()), &fleet, seed, faults, &crashes, Bugs::default()).journal;
    for entry in &mut journal {
        if let Event::Achieved { hook: Some(hook), .. }
        | Event::Retried { hook: Some(hook), .. }
        | Event::Tolerated { hook: Some(hook), .. }
        | Event::RollingBack { hook: Some(hook), .. }
        | Event::Finished { hook: Some(hook), .. } = &mut entry.event
            && !hook.succeeded
        {
            hook.output = "draining\n\u{1b}[31merror\u{1b}[0m: 3 sessions are still open\n".into();
        }
    }
    journal
}

fn about() -> About {
    About { run: "r-1".into(), coldswap: "0.1.0".into() }
}

fn report_of(plan: &Plan, journal: &[Entry]) -> Report {
    report(plan, &about(), journal).expect("a journal that fits")
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name)
}

/// The file's text; written anew first where the environment asks for it.
fn blessed(path: PathBuf, text: &str) -> String {
    if std::env::var_os("COLDSWAP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("create");
        std::fs::write(&path, text).expect("write");
    }
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; COLDSWAP_BLESS=1 writes it", path.display()))
}

fn line_of(entry: &Entry) -> String {
    serde_json::json!({"at": entry.at, "event": entry.event}).to_string()
}

fn entry_of(line: &str) -> Entry {
    let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    let event = serde_json::from_value(value["event"].clone()).expect("an event of this version");
    Entry { at: Time(value["at"].as_i64().expect("microseconds")), event }
}

/// A plan and a journal as format 1 wrote them. They are made once (`COLDSWAP_BLESS=1`, when there are none) and then
/// only read: a change that cannot read them must raise the formats.
fn kept() -> (Plan, Vec<Entry>) {
    let (plan, journal) = (golden("plan-v1.json"), golden("journal-v1.jsonl"));
    if !plan.exists() && std::env::var_os("COLDSWAP_BLESS").is_some() {
        make_kept();
    }
    let plan: Plan = serde_json::from_str(&std::fs::read_to_string(plan).expect("plan-v1.json")).expect("a plan of this version");
    let journal = std::fs::read_to_string(journal).expect("journal-v1.jsonl");
    (plan, journal.lines().map(entry_of).collect())
}

/// The first seed whose run shows the most: several outcomes, a tolerated hook, a way back, something parked.
fn make_kept() {
    let mut plan = plan_of(5);
    plan.limits.stop_after_failures = Some(Threshold::Count(3));
    plan.runbook.labels.insert("change".into(), "CHG-1042".into());
    plan.switchovers[0].pool = Some("same-row".into());
    plan.switchovers[0].preferred = vec!["same row".into()];
    let left = serde_json::json!({
        "node": NodeId::derived("web-07"), "name": "web-07", "code": "no_spare", "listed": false,
        "why": "no spare has 524288 MiB of memory (nearest: `spare-09`, 393216)"
    });
    plan.left_out.push(serde_json::from_value(left).expect("a source that is left out"));
    let shows = |seed: &u64| {
        let report = report_of(&plan, &journal_of(&plan, *seed, CRUEL));
        let t = &report.totals;
        let kinds = [t.switched_over, t.rolled_back, t.in_doubt + t.stopped, t.skipped, t.not_begun].iter().filter(|n| **n > 0).count();
        kinds + usize::from(report.switchovers.iter().any(|s| s.steps.iter().any(|t| t.status == StepStatus::Tolerated)))
    };
    let seed = (0..400).max_by_key(|seed| (shows(seed), u64::MAX - seed)).expect("a seed");
    let lines: Vec<String> = journal_of(&plan, seed, CRUEL).iter().map(line_of).collect();
    std::fs::write(golden("plan-v1.json"), serde_json::to_string(&plan).expect("json") + "\n").expect("write");
    std::fs::write(golden("journal-v1.jsonl"), lines.join("\n") + "\n").expect("write");
}

#[test]
fn a_kept_run_still_gives_its_report() {
    let (plan, journal) = kept();
    let report = report_of(&plan, &journal);
    let json = serde_json::to_string_pretty(&report).expect("json") + "\n";
    let disk = blessed(golden("report-v1.json"), &json);
    assert!(disk == json, "report-v1.json differs; COLDSWAP_BLESS=1 writes it anew, and `git diff` shows what changed");
    let read: Report = serde_json::from_str(&disk).expect("a report of this version");
    assert_eq!(read, report);
}

#[test]
fn a_kept_run_still_reads_the_same_to_a_person() {
    let (plan, journal) = kept();
    let text = text::render(&report_of(&plan, &journal), 80, false);
    let disk = blessed(golden("report-v1.txt"), &text);
    assert!(disk == text, "report-v1.txt differs; COLDSWAP_BLESS=1 writes it anew\n{text}");
}

fn schema() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(Report)).expect("json")
}

#[test]
fn the_schema_on_disk_is_the_one_of_the_types() {
    let text = serde_json::to_string_pretty(&schema()).expect("json") + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/report.schema.json");
    assert!(blessed(path, &text) == text, "schemas/report.schema.json differs; COLDSWAP_BLESS=1 writes it anew");
}

#[test]
fn reports_of_runs_that_went_well_and_badly_are_valid() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let plan = plan_of(4);
    for seed in 0..30 {
        let faults = if seed == 0 { Faults::default() } else { CRUEL };
        let journal = journal_of(&plan, seed, faults);
        for cut in [0, 1, journal.len() / 3, journal.len() / 2, journal.len()] {
            let json = serde_json::to_value(report_of(&plan, &journal[..cut])).expect("json");
            let wrong: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(wrong.is_empty(), "seed {seed}, cut {cut}: {wrong:?}");
            let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["format_version", "left_out", "run", "switchovers", "totals"]);
        }
    }
    let mut json = serde_json::to_value(report_of(&plan, &[])).expect("json");
    json["switchovers"][0]["status"] = "lost".into();
    assert!(!validator.is_valid(&json), "a schema that allows everything proves nothing");
}

#[test]
fn a_journal_cut_anywhere_gives_a_report() {
    let plan = plan_of(4);
    for seed in 0..12 {
        let journal = journal_of(&plan, seed, CRUEL);
        let mut fold = Fold::new(&plan, &about());
        for cut in 0..=journal.len() {
            let report = report_of(&plan, &journal[..cut]);
            assert_eq!(fold.report(), report, "the fold and the whole differ at {cut}");
            let t = &report.totals;
            let sum = t.switched_over + t.rolled_back + t.stopped + t.in_doubt + t.skipped + t.in_flight + t.not_begun;
            assert_eq!((sum, t.planned), (4, 4));
            for line in text::render(&report, 80, false).lines() {
                assert!(line.chars().count() <= 80, "{line}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
            if cut < journal.len() {
                fold.apply(&journal[cut]).expect("it fits");
            }
        }
        let json = serde_json::to_string(&fold.report()).expect("json");
        assert_eq!(serde_json::from_str::<Report>(&json).expect("it reads back"), fold.report());
    }
}

/// How many of a journal's events are of a kind.
fn count(journal: &[Entry], kind: fn(&Event) -> bool) -> usize {
    journal.iter().filter(|e| kind(&e.event)).count()
}

#[test]
fn every_kind_of_event_is_told() {
    let plan = plan_of(4);
    let kinds: [fn(&Event) -> bool; 11] = [
        |e| matches!(e, Event::RunStarted { .. }),
        |e| matches!(e, Event::RunResumed),
        |e| matches!(e, Event::Paused { .. }),
        |e| matches!(e, Event::Started { .. }),
        |e| matches!(e, Event::Intended { .. }),
        |e| matches!(e, Event::Achieved { .. }),
        |e| matches!(e, Event::Retried { .. }),
        |e| matches!(e, Event::Tolerated { .. }),
        |e| matches!(e, Event::RollingBack { .. }),
        |e| matches!(e, Event::CuttingOff { .. }),
        |e| matches!(e, Event::Finished { .. }),
    ];
    let mut met = [0; 11];
    for seed in 0..300 {
        let journal = journal_of(&plan, seed, CRUEL);
        let report = report_of(&plan, &journal);
        let found = kinds.map(|kind| count(&journal, kind));
        let steps = || report.switchovers.iter().flat_map(|s| &s.steps);
        let all = |of: fn(&SwitchoverReport) -> bool| report.switchovers.iter().filter(|s| of(s)).count();
        let resets = count(&journal, |e| matches!(e, Event::Intended { command: Told::Reset { .. }, .. }));
        let told = [
            usize::from(report.run.started_at.is_some()),
            report.run.resumed as usize,
            // Gone with the resume that follows it, so only the last one is left.
            found[2].min(usize::from(report.run.paused.is_some())),
            all(|s| s.started_at.is_some()),
            steps().map(|s| s.attempts as usize).sum(),
            steps().filter(|s| s.status == StepStatus::Achieved).count(),
            report.totals.retries as usize,
            steps().filter(|s| s.status == StepStatus::Tolerated).count(),
            all(|s| s.rolled_back.is_some()),
            all(|s| s.cut_off.is_some()),
            all(|s| s.outcome.is_some()),
        ];
        for (n, (told, found)) in told.iter().zip(found).enumerate() {
            assert!(*told == found || (n == 2 && *told <= found), "seed {seed}, kind {n}: {told} told of {found}");
            met[n] += told;
        }
        assert_eq!(report.totals.power_requests as usize, resets, "seed {seed}");
    }
    assert!(met.iter().all(|n| *n > 0), "a kind that never came proves nothing: {met:?}");
}

#[test]
fn what_was_switched_over_has_its_evidence() {
    let plan = plan_of(4);
    let mut seen = 0;
    for seed in 0..40 {
        let report = report_of(&plan, &journal_of(&plan, seed, CRUEL));
        for s in report.switchovers.iter().filter(|s| s.outcome == Some(Outcome::SwitchedOver)) {
            let fence = s.fence.as_ref().expect("fence evidence");
            assert!(fence.held_at.is_some() && fence.reads.len() == 2, "{fence:?}");
            assert!(fence.sent.iter().any(|sent| sent.reset == Some(ResetType::ForceOff)), "{fence:?}");
            let source = |r: &&ReadReport| r.node == s.source.name;
            for reads in [&fence.reads, &fence.before_start, &fence.after_boot] {
                assert!(reads.iter().any(|r| source(&r)), "{fence:?}");
                assert!(reads.iter().filter(source).all(|r| r.power == PowerState::Off && r.who.is_some()), "{fence:?}");
            }
            assert!(s.dark.as_ref().is_some_and(|d| d.ms > 0 && d.ms <= s.took.as_ref().map_or(0, |t| t.ms)), "{:?}", s.dark);
            assert!(s.steps.iter().all(|t| matches!(t.status, StepStatus::Achieved | StepStatus::Tolerated)));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_hook_that_turned_a_switchover_back_is_quoted() {
    let plan = plan_of(4);
    let faults = Faults { hook_fails: 60, ..Faults::default() };
    let report = report_of(&plan, &journal_of(&plan, 3, faults));
    let back = report.switchovers.iter().find(|s| s.rolled_back.is_some()).expect("one that turned back");
    let step = back.steps.iter().find(|t| t.status == StepStatus::GivenUp).expect("the step that it turned at");
    assert!(step.result.as_ref().is_some_and(|r| !r.succeeded && r.output.contains("3 sessions")), "{step:?}");
    let text = text::render(&report, 80, false);
    assert!(text.contains("| \u{fffd}[31merror\u{fffd}[0m: 3 sessions are still open"), "{text}");
}

#[test]
fn exit_codes() {
    let plan = plan_of(2);
    let journal = journal_of(&plan, 1, Faults::default());
    let good = report_of(&plan, &journal);
    let ended = |outcomes: [Option<Outcome>; 2], debt: bool| {
        let mut report = good.clone();
        for (s, outcome) in report.switchovers.iter_mut().zip(outcomes) {
            s.outcome = outcome;
            s.status = if outcome.is_some() { SwitchoverStatus::Finished } else { SwitchoverStatus::Waiting };
        }
        if debt {
            let text = || "owed".to_owned();
            let debt = Debt { switchover: SwitchoverId(1), source: text(), destination: text(), text: text(), next: text() };
            report.totals.debts.push(debt);
        }
        exit_code(&report).code()
    };
    use Outcome::*;
    assert_eq!(exit_code(&good), ExitCode::Done);
    let table = [
        ([Some(SwitchedOver), Some(SwitchedOver)], false, 0),
        ([Some(SwitchedOver), Some(RolledBack)], false, 4),
        ([Some(SwitchedOver), Some(Skipped)], false, 4),
        ([Some(SwitchedOver), None], false, 5),
        ([Some(RolledBack), None], false, 5),
        ([Some(SwitchedOver), Some(Stopped)], false, 5),
        ([Some(SwitchedOver), Some(Stopped)], true, 6),
        ([Some(SwitchedOver), Some(InDoubt)], false, 6),
        ([None, Some(InDoubt)], false, 6),
        ([Some(SwitchedOver), Some(SwitchedOver)], true, 6),
    ];
    for (outcomes, debt, code) in table {
        assert_eq!(ended(outcomes, debt), code, "{outcomes:?}, debt {debt}");
    }
    assert_eq!(ExitCode::ALL.map(ExitCode::code), [0, 1, 2, 3, 4, 5, 6, 7, 10]);
    assert_eq!(exit_code(&report_of(&plan, &journal[..1])), ExitCode::Resumable);
}

#[test]
fn a_journal_that_does_not_fit_gives_no_report() {
    let plan = plan_of(2);
    let journal = journal_of(&plan, 1, Faults::default());
    assert!(report(&plan, &about(), &journal[1..]).is_err());
    let mut fold = Fold::new(&plan, &about());
    let before = fold.report();
    assert!(fold.apply(&journal[3]).is_err());
    assert_eq!(fold.report(), before, "a refused event leaves no trace");
}

#[test]
fn the_journal_of_another_plan_is_refused() {
    let plan = plan_of(2);
    let journal = journal_of(&plan, 1, Faults::default());
    let other = Plan { id: "p-2".into(), ..plan };
    let said = report(&other, &about(), &journal).expect_err("another plan").to_string();
    assert!(said.contains("of plan `p-1` and not of plan `p-2`"), "{said}");
    let resumed = coldswap::engine::Engine::resume(Arc::new(other), "r-1".into(), Time(0), &journal);
    assert!(resumed.is_err_and(|e| e.to_string() == said));
}
