//! Each stands for a gate that does not hold: the engine runs a plan without it, and the checks know the right one.
use super::*;

fn caught(right: &Plan, wrong: &Plan, fleet: &Fleet, stage: (Stage, Stage), faults: Faults, needle: &str) -> usize {
    let (right_stage, wrong_stage) = stage;
    let (right, wrong) = (Arc::new(right.clone()), Arc::new(wrong.clone()));
    let found = |plan: &Arc<Plan>, stage: &Stage| {
        (0..30)
            .filter(|seed| {
                let mut run = run_on(stage.clone(), World::new(fleet.clone(), *seed, faults), plan, &[], Bugs::default());
                run.stage = right_stage.clone();
                check(&right, fleet, &run).is_err_and(|e| e.contains(needle))
            })
            .count()
    };
    assert_eq!(found(&right, &right_stage), 0, "the right one");
    found(&wrong, &wrong_stage)
}

fn plain(right: &Plan, wrong: &Plan, fleet: &Fleet, needle: &str) -> usize {
    caught(right, wrong, fleet, Default::default(), Faults { hook_fails: 40, ..Faults::default() }, needle)
}

#[test]
fn admission_that_ignores_the_failure_domains() {
    let (fleet, pairs) = stage();
    let right = plan_of(&fleet, &pairs, |r| r.limits.per_domain = BTreeMap::from([("rack".to_owned(), 1)]));
    let mut wrong = right.clone();
    wrong.limits.per_domain.clear();
    assert!(plain(&right, &wrong, &fleet, "in flight in rack") > 10);
}

#[test]
fn a_brake_off_by_one() {
    let (fleet, pairs) = stage();
    let right = plan_of(&fleet, &pairs, |r| r.limits.stop_after_failures = Some(Threshold::Count(1)));
    let mut wrong = right.clone();
    wrong.limits.stop_after_failures = Some(Threshold::Count(2));
    assert!(plain(&right, &wrong, &fleet, "had failed") > 5);
}

#[test]
fn one_too_many_at_once_and_too_fast() {
    let (fleet, pairs) = stage();
    let right = plan_of(&fleet, &pairs, |r| r.limits.start_rate = Some(Rate { count: 1, per: Span::secs(1) }));
    let mut wrong = right.clone();
    wrong.limits.at_once += 1;
    assert!(plain(&right, &wrong, &fleet, "were in flight") > 10);
    let mut wrong = right.clone();
    wrong.limits.start_rate = None;
    assert!(plain(&right, &wrong, &fleet, "had started at") > 10);
}

#[test]
fn a_start_after_the_windows_end() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| {
        r.limits.at_once = 1;
        r.windows = vec![window()];
    });
    let predicted = plan.switchovers[0].expected().expect("a prediction");
    let from = fleet.captured_at;
    let open = |span: Span| Stage { openings: vec![Opening { opens: from, closes: from + span }], ..Stage::default() };
    let stages = (open(Span(predicted.0 + 1_000)), open(Span(predicted.0 + 3_600_000)));
    assert!(caught(&plan, &plan, &fleet, stages, Faults::default(), "window") > 10);
}

#[test]
fn a_default_that_is_not_applied() {
    let (fleet, pairs) = stage();
    let right = plan_of(&fleet, &pairs, |r| r.hooks.push(prompt("ask", HookPoint::PreShutdown, "good", Span::secs(2))));
    let wrong = plan_of(&fleet, &pairs, |r| r.hooks.push(prompt("ask", HookPoint::PreShutdown, "good", Span::secs(60))));
    let late = || mail(fleet.captured_at + Span::secs(30), vec![Request::Stop]);
    assert!(caught(&right, &wrong, &fleet, (late(), late()), Faults::default(), "stayed open") > 10);
}

#[test]
fn a_request_that_is_acted_upon_twice() {
    let (fleet, pairs) = stage();
    let plan = plan_of(&fleet, &pairs, |r| r.limits.at_once = 1);
    let people = mail(fleet.captured_at + Span::secs(1), vec![Request::Stop]);
    let twice = Stage { mail_twice: true, ..people.clone() };
    assert!(caught(&plan, &plan, &fleet, (people, twice), Faults::default(), "twice") > 10);
}

#[test]
fn an_approval_and_a_canary_that_are_not_waited_for() {
    let (fleet, pairs) = stage();
    let right = plan_of(&fleet, &pairs, gated);
    let mut wrong = right.clone();
    wrong.approval = None;
    assert!(plain(&right, &wrong, &fleet, "nobody had agreed") > 10);
    let mut wrong = right.clone();
    wrong.limits.canary = None;
    assert!(plain(&right, &wrong, &fleet, "canaries") > 10);
}
