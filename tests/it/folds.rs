//! What a journal amounts to, where a wrong sum would let a volume be opened twice or a machine be forgotten: fences that
//! end, words that are too old, and what a person's `--moved` and `--not-moved` lead to.

use crate::crash::{plan_for_runbook, runbook};
use coldswap_sim::engine::{Entry, Event, How, Outcome, Phase, PlugRead, Progress, Voice, Voucher};
use coldswap_sim::model::*;
use coldswap_sim::plan::Plan;
use coldswap_sim::runbook::*;
use coldswap_sim::sim::fleet;
use coldswap_sim::step::Step;

/// One switchover in a disaster whose source's BMC is silent, with a person who may vouch.
fn plan() -> Plan {
    let (mut fleet, ends) = fleet(1, 1);
    fleet.live.insert(ends[0].0, Live::Silent(Fault::transient("no route to host")));
    let mut book = runbook(&fleet, &ends, 1, Span::millis(300));
    book.mode = Mode::Disaster;
    let levels = vec![VoucherTemplate::Attestation { expires: Span::mins(30) }];
    book.vouchers = Vouchers { bmc_not_enough: false, silent: None, levels };
    plan_for_runbook(&book, &fleet, Span::secs(1))
}

struct Tale<'p> {
    plan: &'p Plan,
    progress: Progress,
    now: Time,
}

const ONE: SwitchoverId = SwitchoverId(1);

impl<'p> Tale<'p> {
    fn begun(plan: &'p Plan) -> Tale<'p> {
        let mut tale = Tale { plan, progress: Progress::new(plan), now: Time(0) };
        tale.tell(Event::RunStarted { run: "r-1".into(), plan: plan.id.clone(), journal_format: 1 });
        tale.tell(Event::Started { switchover: ONE });
        tale
    }

    fn tell(&mut self, event: Event) {
        self.now = self.now + Span::secs(1);
        self.progress.apply(self.plan, &Entry { at: self.now, event }).expect("an event that fits");
    }

    fn number(&self) -> u32 {
        self.progress.tracks[0].number()
    }

    fn achieve(&mut self, fence: Option<Voucher>) {
        let step = self.number();
        self.tell(Event::Achieved { switchover: ONE, step, how: How::Acted, after: Vec::new(), hook: None, fence });
    }

    /// Up to the first step that fits, which is then in hand. Steps that send something are begun.
    fn up_to(&mut self, wanted: impl Fn(&Step) -> bool) {
        loop {
            let track = &self.progress.tracks[0];
            let step = track.path(&self.plan.switchovers[0].steps).get(track.cursor).expect("such a step");
            if wanted(step) {
                return;
            }
            let command = match step {
                Step::PowerOff(off) => Some(off.machine.node),
                Step::PowerOn(on) => Some(on.pair.destination.node),
                _ => None,
            };
            let reset = if matches!(step, Step::PowerOn(_)) { ResetType::On } else { ResetType::ForceOff };
            let changes = matches!(step, Step::MoveTarget(_) | Step::MoveConnector(_) | Step::MoveInstance(_) | Step::SetMaintenance(_));
            let told = command.map(|node| coldswap_sim::engine::Told::Reset { node, reset });
            if let Some(command) = told.or(changes.then_some(coldswap_sim::engine::Told::Change)) {
                let step = self.number();
                self.tell(Event::Intended { switchover: ONE, step, attempt: 0, command, before: Vec::new() });
            }
            self.achieve(None);
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.progress.tracks[0].path(&self.plan.switchovers[0].steps).iter().map(Step::name).collect()
    }
}

fn is_fence(step: &Step) -> bool {
    step.fence().is_some()
}

fn agents(at: Time) -> Voucher {
    Voucher::Agents(vec![PlugRead { at, agent: "fence_test".into(), plug: "7".into(), state: PlugState::Off }])
}

fn word(at: Time) -> Voucher {
    Voucher::Attestation { id: 1, by: "kim".into(), reason: "looked".into(), at, until: at + Span::mins(30) }
}

/// Whoever goes on after a person's decision must not rest on a fence that an On has ended.
#[test]
fn a_switchover_that_ends_for_an_on_of_its_source_has_no_fence_any_more() {
    let plan = plan();
    let because = |code: ReasonCode| {
        let mut tale = Tale::begun(&plan);
        tale.up_to(is_fence);
        tale.achieve(Some(agents(tale.now)));
        assert!(tale.progress.tracks[0].fence.is_some());
        let why = Some(Reason::new(code, "so"));
        tale.tell(Event::Finished { switchover: ONE, outcome: Outcome::Stopped, why, debt: Some("look".into()), hook: None });
        tale.progress.tracks[0].clone()
    };
    let ended = because(ReasonCode::SourceOn);
    assert_eq!((ended.fence, ended.spoke.is_some()), (None, true));
    let kept = because(ReasonCode::TimedOut);
    assert_eq!((kept.fence.is_some(), kept.spoke), (true, None));
}

#[test]
fn a_way_back_for_an_on_of_the_source_has_no_fence_either() {
    let plan = plan();
    for (code, held) in [(ReasonCode::SourceOn, false), (ReasonCode::HookFailed, true)] {
        let mut tale = Tale::begun(&plan);
        tale.up_to(is_fence);
        tale.achieve(Some(agents(tale.now)));
        tale.tell(Event::RollingBack { switchover: ONE, why: Reason::new(code, "so"), hook: None });
        assert_eq!(tale.progress.tracks[0].fence.is_some(), held, "{code}");
    }
}

/// The fence asks a word's age of what it sees; the fold asks it again of the journal.
#[test]
fn a_word_that_is_older_than_what_the_machine_last_said_stands_in_for_nothing() {
    let plan = plan();
    for (age, counts) in [(Span::secs(1), true), (Span::ZERO, false)] {
        let mut tale = Tale::begun(&plan);
        tale.up_to(is_fence);
        let level =
            |level| Event::FenceLevel { switchover: ONE, step: tale_step(&plan), level, why: Reason::new(ReasonCode::NoVoucher, "so") };
        tale.tell(level(1));
        // The BMC answers again and takes the question back, then is silent once more.
        tale.tell(level(0));
        let spoke = tale.now;
        tale.tell(level(1));
        tale.achieve(Some(word(spoke + age)));
        assert_eq!(tale.progress.tracks[0].fence.is_some(), counts, "{age}");
    }
}

fn tale_step(plan: &Plan) -> u32 {
    let at = plan.switchovers[0].steps.iter().position(is_fence).expect("a fence");
    u32::try_from(at + 1).expect("a small number")
}

fn resolved(plan: &Plan, wanted: impl Fn(&Step) -> bool, moved: bool) -> Vec<&'static str> {
    let mut tale = Tale::begun(plan);
    tale.up_to(is_fence);
    tale.achieve(Some(agents(tale.now)));
    tale.up_to(wanted);
    let why = Some(Reason::new(ReasonCode::TimedOut, "so"));
    tale.tell(Event::Finished { switchover: ONE, outcome: Outcome::InDoubt, why, debt: Some("look".into()), hook: None });
    let by = Voice { name: "anna".into(), request: 1 };
    tale.tell(Event::Resolved { switchover: ONE, moved, why: None, by });
    assert_eq!(tale.progress.tracks[0].phase, Phase::Settling);
    tale.names()
}

/// What a silent source's firmware still opens is owed whoever says that the switchover went well.
#[test]
fn moved_keeps_what_is_owed() {
    let plan = plan();
    let rest = resolved(&plan, |s| matches!(s, Step::AwaitBoot(_)), true);
    assert_eq!(rest[0], "confirm");
    assert!(rest.contains(&"note_debt"), "{rest:?}");
    let debt = rest.iter().position(|s| *s == "note_debt").expect("it is there");
    let release = rest.iter().position(|s| *s == "release").expect("it is there");
    assert!(debt < release, "a node that is free already may be taken by somebody before its debt is noted: {rest:?}");
}

/// A source that runs by the time of the decision serves, and is not switched off for a way back.
#[test]
fn not_moved_switches_nothing_off() {
    let (fleet, ends) = fleet(1, 1);
    let plan = plan_for_runbook(&runbook(&fleet, &ends, 1, Span::millis(300)), &fleet, Span::secs(1));
    let back = resolved(&plan, |s| matches!(s, Step::AwaitBoot(_)), false);
    assert_eq!(back[0], "confirm");
    assert!(back.contains(&"power_back") && back.contains(&"move_target") && back.contains(&"leave_maintenance"), "{back:?}");
    assert!(!back.contains(&"power_off"), "{back:?}");
}
