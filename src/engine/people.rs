//! What people ask and answer while the run goes on, and what counts when nobody does.
//!
//! Every request becomes exactly one event with its number, so that one which is delivered again after a crash is not
//! acted upon again. What it leads to follows from the fold and is found again by whoever takes the run up.

use super::decisions::{ALLOW, APPROVE, GO, REFUSE, STOP};
use super::flight::State;
use super::*;
use crate::model::gate_table::gates;

impl Engine {
    pub(super) fn request(&mut self, now: Time, posted: Posted) {
        if posted.seq <= self.progress.last_request {
            return;
        }
        let by = Voice { name: posted.by, request: posted.seq };
        let asked = posted.request.to_string();
        let declined = match posted.request {
            Request::Pause { limit } => self.asked_to_pause(now, limit, &by),
            Request::Stop => self.asked_to_stop(now, &by),
            Request::Resume if self.progress.paused.is_some() => {
                self.record(now, Event::Continued { by: by.clone() });
                self.admission.look_again();
                None
            }
            Request::Resume => Some("it is being executed by another process and is not paused".to_owned()),
            Request::RollBack { switchover } => self.asked_to_go_back(now, switchover, &by),
            Request::Decide { matter, choice, why } => self.decided(now, matter, &choice, why, &by),
            Request::Resolve { switchover, moved, why } => self.resolved(now, switchover, moved, why, &by),
        };
        if let Some(why) = declined {
            self.record(now, Event::Declined { request: asked, why, by });
        }
    }

    fn asked_to_pause(&mut self, now: Time, limit: Span, by: &Voice) -> Option<String> {
        if let Some(why) = &self.progress.paused {
            return Some(format!("nothing new starts already: {why}"));
        }
        if self.admission.none_waiting() {
            return Some("nothing waits to be started".to_owned());
        }
        let until = now + limit;
        let why = Reason::new(ReasonCode::Asked, format!("{} asked for a pause; without `resume` it is parked at {until}", by.name));
        self.record(now, Event::Paused { why, until: Some(until), by: Some(by.clone()) });
        None
    }

    fn asked_to_stop(&mut self, now: Time, by: &Voice) -> Option<String> {
        let stopped = self.progress.paused.is_some() && self.progress.pause_until.is_none();
        if stopped || self.admission.none_waiting() {
            return Some("nothing waits to be started; what is in flight goes on to its end".to_owned());
        }
        let why = Reason::new(ReasonCode::Asked, format!("{} asked for a stop; `coldswap resume` goes on with the rest", by.name));
        self.record(now, Event::Paused { why, until: None, by: Some(by.clone()) });
        None
    }

    fn asked_to_go_back(&mut self, now: Time, whom: Option<SwitchoverId>, by: &Voice) -> Option<String> {
        match whom {
            None if !self.progress.tracks.iter().any(Track::may_be_recalled) => {
                return Some("nothing can go back: every switchover has ended or has passed its point of no return".to_owned());
            }
            None => self.record(now, Event::Recalled { whom: None, by: by.clone() }),
            Some(id) => {
                let Some(index) = self.plan.index(id) else { return Some(format!("the plan has no {id}")) };
                let track = &self.progress.tracks[index];
                if track.may_be_resolved() && !track.past_return {
                    return self.resolved(now, id, false, Some("rollback".to_owned()), by);
                }
                if !track.may_be_recalled() {
                    return Some(self.why_not_back(index));
                }
                self.record(now, Event::Recalled { whom: Some(id), by: by.clone() });
            }
        }
        self.enforce(now);
        None
    }

    fn why_not_back(&self, index: usize) -> String {
        let s = &self.plan.switchovers[index];
        let track = &self.progress.tracks[index];
        match track.phase {
            Phase::Finished(outcome) if !track.past_return => format!("{} has ended: {}", s.id, outcome.as_str()),
            Phase::Back => format!("{} is on its way back already", s.id),
            Phase::Settling => format!("{} is being settled", s.id),
            _ if track.may_be_resolved() => format!(
                "{} is past its point of no return; look at both nodes, then `coldswap decide` with `--moved` or `--not-moved`",
                s.id
            ),
            _ => format!(
                "{} is past its point of no return: `{}` may have started. The way home is a new plan: `coldswap failback`",
                s.id, s.destination.name
            ),
        }
    }

    fn decided(&mut self, now: Time, matter: Matter, choice: &str, why: Option<String>, by: &Voice) -> Option<String> {
        let choices: Vec<String> = match matter {
            Matter::Approval | Matter::Canary if !self.may_decide(matter) => return Some(format!("no {matter} is waited for")),
            Matter::Storm if self.plan.storm.is_none() || self.progress.storm_allowed => {
                return Some("no storm waits to be allowed".to_owned());
            }
            Matter::Storm => vec![ALLOW.to_owned()],
            Matter::Approval => vec![APPROVE.to_owned(), REFUSE.to_owned()],
            Matter::Canary => vec![GO.to_owned(), STOP.to_owned()],
            Matter::Prompt(id) => match self.plan.index(id) {
                None => return Some(format!("the plan has no {id}")),
                Some(index) => match self.prompt(index) {
                    Some(prompt) if self.is_asking(index) => prompt.choices.clone(),
                    _ => return Some(format!("nothing is asked at {id}")),
                },
            },
        };
        if !choices.iter().any(|c| c == choice) {
            return Some(format!("`{choice}` is not one of the answers: {}", choices.join(", ")));
        }
        self.decide(now, matter, choice.to_owned(), Some(by.clone()), why);
        None
    }

    /// The question is open, or it will be asked next: an answer may wait in the mailbox for the process that asks.
    fn may_decide(&self, matter: Matter) -> bool {
        let canary = self.plan.limits.canary.filter(|_| matter == Matter::Canary);
        match canary {
            None => matter == Matter::Approval && self.plan.approval.is_some() && self.progress.approved.is_none(),
            // Nobody says that the canaries are well before they have ended.
            Some(c) => !self.progress.canary_passed && self.progress.starts >= c.count && self.admission.none_in_flight(),
        }
    }

    fn decide(&mut self, now: Time, matter: Matter, choice: String, by: Option<Voice>, why: Option<String>) {
        let who = by.as_ref().map_or("nobody answered in time, and the default counts".to_owned(), |v| format!("said {}", v.name));
        let stops = matter == Matter::Canary && choice != GO;
        self.record(now, Event::Decided { matter, choice: choice.clone(), by, why });
        if let Matter::Prompt(id) = matter
            && let Some(index) = self.plan.index(id)
        {
            self.at_once(index);
        }
        if stops {
            self.pause(now, Reason::new(ReasonCode::Asked, format!("after the canaries: `{choice}`, {who}; `coldswap resume` asks again")));
        }
        self.enforce(now);
    }

    fn resolved(&mut self, now: Time, id: SwitchoverId, moved: bool, why: Option<String>, by: &Voice) -> Option<String> {
        let Some(index) = self.plan.index(id) else { return Some(format!("the plan has no {id}")) };
        let track = &self.progress.tracks[index];
        if !track.may_be_resolved() {
            return Some(match track.phase {
                Phase::Finished(outcome) => format!("{id} has ended and owes nothing: {}", outcome.as_str()),
                _ => format!("{id} has not ended"),
            });
        }
        if self.settling.remove(&index) {
            // Its look for what is owed is not waited for any more.
            self.flights[index].state = State::Over;
        }
        // Counted as a failure until now; how it ends is open again.
        self.failures = self.failures.saturating_sub(1);
        self.record(now, Event::Resolved { switchover: id, moved, why, by: by.clone() });
        self.admission.begin(&self.plan, index);
        self.flights[index] = Flight::new(State::Idle, false, now);
        self.idle.push(index);
        None
    }

    /// Whatever was asked for and is not done yet: skip what has not begun, turn back what can still turn back.
    pub(super) fn enforce(&mut self, now: Time) {
        let refused = (self.progress.approved == Some(false)).then(|| "the approval was refused".to_owned());
        for index in 0..self.progress.tracks.len() {
            let track = &self.progress.tracks[index];
            match track.phase {
                Phase::Waiting => {
                    let by = track.recalled.as_ref().or(self.progress.withdrawn.as_ref());
                    let why = by.map(|by| format!("{by} asked for a rollback, and it had not begun")).or_else(|| refused.clone());
                    if let Some(why) = why {
                        self.skip(now, index, Reason::new(ReasonCode::Asked, why));
                    }
                }
                Phase::Forward if track.recalled.is_some() && !matches!(self.flights[index].state, State::Acting(_)) => {
                    self.recall(now, index);
                }
                _ => {}
            }
        }
    }

    fn skip(&mut self, now: Time, index: usize, why: Reason) {
        let (id, group) = (self.plan.switchovers[index].id, self.plan.switchovers[index].group);
        self.admission.withdraw(group, index);
        self.record(now, Event::Finished { switchover: id, outcome: Outcome::Skipped, why: Some(why), debt: None, hook: None });
    }

    /// Between two commands: turn back if somebody asked for it. While a command is on its way its answer is waited
    /// for, so that a hook and its undo never run side by side.
    pub(super) fn recall(&mut self, now: Time, index: usize) -> bool {
        let track = &self.progress.tracks[index];
        let Some(by) = track.recalled.clone().filter(|_| track.phase == Phase::Forward && !track.past_return) else { return false };
        self.forget(index);
        self.turn_back(now, index, Reason::new(ReasonCode::Asked, format!("{by} asked for a rollback")), None);
        true
    }

    /// Nothing is planned for it any more.
    fn forget(&mut self, index: usize) {
        self.idle.retain(|i| *i != index);
        self.resting.retain(|(_, i)| *i != index);
    }

    fn at_once(&mut self, index: usize) {
        self.forget(index);
        self.flights[index].state = State::Idle;
        self.idle.push(index);
    }

    fn prompt(&self, index: usize) -> Option<&PromptAction> {
        self.step(index).and_then(Step::prompt)
    }

    fn is_asking(&self, index: usize) -> bool {
        let track = &self.progress.tracks[index];
        track.in_flight() && track.intended && track.answer.is_none() && self.prompt(index).is_some()
    }

    /// The step in hand asks a person. The question is durable by now; the time limit counts from then, across lives.
    pub(super) fn ask(&mut self, now: Time, index: usize) {
        let (Some(prompt), Some(hook)) = (self.prompt(index).cloned(), self.step(index).and_then(Step::hook).cloned()) else { return };
        let track = &self.progress.tracks[index];
        let asked_at = track.first_intent.unwrap_or(now);
        let until = asked_at + hook.timeout;
        if let Some(answer) = track.answer.clone() {
            return self.answered(now, index, (&prompt, &hook), &answer, asked_at);
        }
        if now < until {
            return self.rest(index, until);
        }
        self.decide(now, Matter::Prompt(self.id(index)), prompt.default, None, None);
    }

    fn answered(&mut self, now: Time, index: usize, (prompt, hook): (&PromptAction, &Hook), answer: &Answer, asked_at: Time) {
        let who = answer.by.as_ref().map_or("by default, as nobody answered in time".to_owned(), |by| format!("said {by}"));
        let result = HookResult {
            succeeded: !prompt.fails.contains(&answer.choice),
            how: format!("`{}`, {who}", answer.choice),
            output: String::new(),
            took: now.since(asked_at),
        };
        if result.succeeded {
            return self.achieved(now, index, How::Acted, Some(result));
        }
        let why = Reason::new(ReasonCode::HookFailed, format!("prompt `{}`: {}", hook.name, result.how));
        self.give_up(now, index, why, Some(result));
    }

    /// Ask what must be asked before anything starts. `true`: nothing may.
    pub(super) fn gated(&mut self, now: Time) -> bool {
        if let Some(storm) = self.plan.storm.clone().filter(|_| !self.progress.storm_allowed) {
            self.pause(now, Reason::new(ReasonCode::Limit, format!("a storm that nobody has allowed: {storm}")));
            return true;
        }
        if let Some(approval) = self.plan.approval {
            if self.progress.approved.is_none() && !self.progress.open.contains_key("approval") {
                let default = if approval.allow { APPROVE } else { REFUSE };
                self.record(now, Event::Asked { matter: Matter::Approval, until: now + approval.timeout, default: default.to_owned() });
            }
            if self.progress.approved != Some(true) {
                self.hold(now, Whom::All, Limit::Approval, || "`approval`: nobody has agreed yet".to_owned());
                return true;
            }
        }
        let Some(canary) = self.plan.limits.canary.filter(|_| !self.progress.canary_passed) else { return false };
        if self.progress.starts < canary.count {
            return false;
        }
        self.hold(now, Whom::All, Limit::Canary, || format!("`limits.canary: {}`: the first ones are watched", canary.count));
        if self.admission.none_in_flight() && !self.progress.open.contains_key("canary") {
            let default = if canary.go { GO } else { STOP };
            self.record(now, Event::Asked { matter: Matter::Canary, until: now + canary.timeout, default: default.to_owned() });
        }
        true
    }

    /// What nobody answered in time is decided as declared.
    pub(super) fn overdue(&mut self, now: Time) {
        let over = |engine: &Engine, word: &str| engine.progress.open.get(word).is_some_and(|until| *until <= now);
        if let Some(approval) = self.plan.approval.filter(|_| over(self, "approval")) {
            let choice = if approval.allow { APPROVE } else { REFUSE };
            self.decide(now, Matter::Approval, choice.to_owned(), None, None);
        }
        if let Some(canary) = self.plan.limits.canary.filter(|_| over(self, "canary")) {
            self.decide(now, Matter::Canary, if canary.go { GO } else { STOP }.to_owned(), None, None);
        }
        if self.progress.pause_until.is_some_and(|until| until <= now) {
            let why = Reason::new(ReasonCode::Asked, "the pause was not lifted in time; `coldswap resume` goes on with the rest");
            self.record(now, Event::Paused { why, until: None, by: None });
        }
    }

    /// When the next default counts.
    pub(super) fn next_default(&self) -> Option<Time> {
        self.progress.open.values().copied().chain(self.progress.pause_until).min()
    }

    /// Tell what holds them back, if that is news.
    pub(super) fn hold(&mut self, now: Time, whom: Whom, limit: Limit, why: impl FnOnce() -> String) {
        if self.progress.held.get(&whom) != Some(&limit) {
            self.record(now, Event::Held { whom, limit: Some(limit), why: Some(why()) });
        }
    }

    pub(super) fn free(&mut self, now: Time, whom: Whom) {
        if self.progress.held.contains_key(&whom) {
            self.record(now, Event::Held { whom, limit: None, why: None });
        }
    }

    /// A run that is taken up again looks whether what is owed has been settled by hand.
    pub(super) fn look_for_debts(&mut self, now: Time) {
        for index in 0..self.progress.tracks.len() {
            let track = &self.progress.tracks[index];
            if !track.owes || track.in_flight() {
                continue;
            }
            if track.may_be_mended(&self.plan.switchovers[index].steps) {
                self.mend(now, index);
                continue;
            }
            let s = &self.plan.switchovers[index];
            let queries = vec![crate::step::Query::Node(s.source.node), crate::step::Query::Node(s.destination.node)];
            let ticket = self.ticket(index);
            self.flights[index].state = State::Looking(ticket);
            self.settling.insert(index);
            self.orders.push(Order::Look(ticket, queries));
        }
    }

    /// The source is still held for it: what could not be done is tried once more.
    fn mend(&mut self, now: Time, index: usize) {
        self.record(now, Event::Mending { switchover: self.id(index) });
        self.admission.begin(&self.plan, index);
        self.flights[index] = Flight::new(State::Idle, false, now);
        self.idle.push(index);
    }

    /// Settled: neither node is held for it any more, and neither owes anything. What cannot be read stays owed.
    pub(super) fn debt_seen(&mut self, now: Time, index: usize, seen: &[crate::step::Observation]) {
        self.settling.remove(&index);
        self.flights[index].state = State::Over;
        let switchover = self.id(index);
        let free = |seen: &crate::step::Observation| match seen {
            crate::step::Observation::Node(node, _) => {
                let ours = node.reservation.as_ref().is_some_and(|h| h.run == self.run && h.switchover == switchover);
                !ours && node.debt.is_none()
            }
            _ => false,
        };
        if seen.iter().all(free) {
            self.record(now, Event::Settled { switchover });
        }
    }
}

gates! {
    "approval", "nothing starts before a person agrees; nobody in time: the declared default, `refuse` where nothing is said",
        Closed, "nobody has agreed to what nobody has read", a_refused_approval_touches_nothing_and_so_does_silence;
    "canary", "after the first ones nothing starts before a person says `go`; nobody in time: the default, `stop` where nothing is said",
        Closed, "what breaks two would break all", the_canary_stops_by_default_and_a_resume_asks_again;
    "prompt", "a question that nobody answers in time is answered by the default that its hook must declare",
        Closed, "nothing waits for ever, and only the runbook's author knows which answer is safe",
        a_prompt_that_nobody_answers_takes_its_default;
    "pause limit", "a pause that nobody lifts in time parks the run",
        Closed, "a run that waits for ever holds its nodes for ever", a_pause_is_lifted_or_parks_and_never_lasts_for_ever;
    "request once", "what a person asked is acted upon once, whatever crashes in between",
        Closed, "a stop that is heard twice stops what was resumed", a_request_that_is_acted_upon_twice;
    "way out of doubt", "where the volumes are is what a person says and a fresh look confirms",
        Closed, "a person may mean another machine", a_switchover_that_stopped_has_a_way_out_unless_the_look_contradicts;
}
