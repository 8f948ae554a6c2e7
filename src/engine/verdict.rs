//! What follows from what was seen and heard.

use super::flight::{State, backoff, leaves_to_others, poll_pause};
use super::*;
use crate::model::gate_table::gates;
use crate::step::{Command, Observation, Patience, Verdict};

impl Engine {
    /// Begin, or begin again, the step in hand: always by looking. At the end of the path, finish.
    pub(super) fn look(&mut self, now: Time, index: usize) {
        if self.recall(now, index) {
            return;
        }
        let Some(step) = self.step(index) else { return self.arrived(now, index) };
        let cx = self.context(now, index);
        let queries = step.observes(&cx);
        if self.may_not_run_again(index, &cx) && queries.is_empty() {
            return self.hook_unknown(now, index);
        }
        if queries.is_empty() {
            return self.act(now, index);
        }
        let ticket = self.ticket(index);
        self.flights[index].state = State::Looking(ticket);
        self.orders.push(Order::Look(ticket, queries));
    }

    /// Rule S4: an earlier process may have started this hook, and it must not run twice.
    fn may_not_run_again(&self, index: usize, cx: &Context) -> bool {
        let never = self.step(index).and_then(Step::hook).is_some_and(|h| h.rerun == Rerun::Never);
        never && cx.begun && self.flights[index].inherited
    }

    fn hook_unknown(&mut self, now: Time, index: usize) {
        let name = self.step(index).and_then(Step::hook).map(|h| h.name.clone()).unwrap_or_default();
        let text = format!("hook `{name}` may or may not have run and has `rerun: never`; find out, then decide");
        self.finish(now, index, Outcome::InDoubt, Some(Reason::new(ReasonCode::HookUnknown, text)), None);
    }

    pub(super) fn seen(&mut self, now: Time, index: usize, seen: &[Observation]) {
        let Some(step) = self.step(index) else { return };
        let cx = self.context(now, index);
        let verdict = step.evaluate(&cx, seen);
        let patience = step.patience(&cx);
        let acts = verdict == Verdict::Act && self.flights[index].told_at.is_none();
        let queries = step.observes(&cx);
        self.hear(now, index, &queries, seen);
        let evidence = if acts || verdict == Verdict::Satisfied { queries } else { Vec::new() };
        if !matches!(verdict, Verdict::Wait(_)) {
            self.flights[index].heard_something();
        }
        // What was read before a streak is no evidence of it.
        if verdict != Verdict::Satisfied || self.flights[index].streak == 0 {
            self.flights[index].break_streak();
        }
        self.flights[index].keep_reads(now, &evidence, seen);
        self.flights[index].looks += u32::from(cx.sent);
        match verdict {
            Verdict::Satisfied => {
                self.satisfied(now, index, &patience);
                self.boot_seen(now, index, seen);
            }
            Verdict::Act if self.may_not_run_again(index, &cx) => self.hook_unknown(now, index),
            Verdict::Act => match self.too_late_to_start(now, index, seen) {
                Some(why) => self.give_up(now, index, why, None),
                None => self.not_so(now, index, &patience),
            },
            Verdict::Wait(why) => self.wait(now, index, &patience, why),
            Verdict::Refuse(why) => self.give_up(now, index, why, None),
            Verdict::Level(level, why) => self.fence_at(now, index, level, why),
        }
    }

    fn satisfied(&mut self, now: Time, index: usize, patience: &Patience) {
        let flight = &mut self.flights[index];
        flight.waiting_since = None;
        flight.streak += 1;
        if flight.streak < patience.reads {
            return self.rest(index, now + patience.apart);
        }
        let how = match (flight.told_at, flight.inherited) {
            (Some(_), _) => How::Acted,
            (None, true) => How::FoundDone,
            (None, false) if self.progress.tracks[index].begun => How::Acted,
            (None, false) => How::AlreadySo,
        };
        let result = self.flights[index].hook_result.take();
        self.achieved(now, index, how, result);
    }

    /// It is not so and may be done: do it, wait for what was already done, or try again.
    fn not_so(&mut self, now: Time, index: usize, patience: &Patience) {
        let flight = &self.flights[index];
        let Some(told_at) = flight.told_at else { return self.act(now, index) };
        if self.request_got_lost(now, index) {
            return self.ask_again(now, index);
        }
        let flight = &self.flights[index];
        if let Some(fault) = &flight.told_in_vain {
            let hook = self.step(index).and_then(Step::hook);
            if hook.is_some_and(|h| h.rerun == Rerun::Never) && fault.kind == FaultKind::Unknown {
                return self.hook_unknown(now, index);
            }
            let code = match fault.kind {
                _ if hook.is_some() => ReasonCode::HookFailed,
                FaultKind::Refused => ReasonCode::Refused,
                _ => ReasonCode::Exhausted,
            };
            let why = Reason::new(code, fault.detail.clone());
            let result = self.flights[index].hook_result.take();
            return self.again(now, index, patience, why, result);
        }
        let waited = now.since(told_at);
        if waited < patience.settle {
            let until = now + poll_pause(waited);
            return self.rest(index, until);
        }
        let subject = self.step(index).map(Step::subject).unwrap_or_default();
        let text = format!("`{subject}`: it was accepted and did not come true within {}", patience.settle);
        self.again(now, index, patience, Reason::new(ReasonCode::TimedOut, text), None);
    }

    fn wait(&mut self, now: Time, index: usize, patience: &Patience, why: Reason) {
        let flight = &mut self.flights[index];
        let waited = now.since(*flight.waiting_since.get_or_insert(now));
        let other = leaves_to_others(why.code);
        let bound = if other { patience.silent } else { patience.wait };
        if flight.waited_enough(now, why.code, patience) {
            let why = Reason::new(why.code, format!("{} (for {bound})", why.text));
            return match self.next_level(index) {
                Some(level) if other => self.fence_at(now, index, level, why),
                _ => self.give_up(now, index, why, None),
            };
        }
        // Sent, and neither done nor not done for longer than it may take (a machine that hangs in PoweringOff).
        if let Some(told_at) = flight.told_at
            && now.since(told_at) >= patience.settle
            && why.code == ReasonCode::InTransition
        {
            return self.again(now, index, patience, why, None);
        }
        let until = now + poll_pause(waited);
        self.rest(index, until);
    }

    /// Record the intent, then send the command.
    fn act(&mut self, now: Time, index: usize) {
        let cx = self.context(now, index);
        let Some(command) = self.step(index).and_then(|s| s.command(&cx)) else { return };
        let told = match &command {
            Command::Change(Change::SetProvisionState { node, target, .. }) => Told::Provision { node: *node, target: *target },
            Command::Change(_) => Told::Change,
            Command::Reset { node, reset } => Told::Reset { node: *node, reset: *reset },
            Command::SetBoot { .. } => Told::Boot,
            Command::Hook(call) if matches!(call.action, HookAction::Prompt(_)) => Told::Prompt,
            Command::Hook(_) => Told::Hook,
            Command::SetRestorePolicy { .. } => Told::RestorePolicy,
            Command::Agents(calls) => Told::Agents(calls.iter().map(ToString::to_string).collect()),
            Command::UseAttestation { .. } => Told::Attestation,
        };
        self.mark(now, index, &command);
        let asks = told == Told::Prompt;
        if !self.progress.tracks[index].intended {
            let before = std::mem::take(&mut self.flights[index].reads);
            let event = Event::Intended { switchover: self.id(index), step: cx.number, attempt: cx.attempt, command: told, before };
            self.record(now, event);
        }
        if asks {
            return self.ask(now, index);
        }
        let ticket = self.ticket(index);
        let flight = &mut self.flights[index];
        flight.waiting_since = None;
        flight.sent_at = Some(now);
        flight.state = State::Acting(ticket);
        self.orders.push(Order::Act(ticket, command));
    }

    pub(super) fn told(&mut self, now: Time, index: usize, result: Result<Option<HookResult>, Fault>) {
        if self.step(index).and_then(Step::hook).is_some() {
            return self.hook_told(now, index, result);
        }
        let reset = matches!(self.step(index), Some(Step::PowerOff(_) | Step::PowerOn(_) | Step::PowerBack(_)));
        let cx = self.context(now, index);
        let command = self.step(index).and_then(|s| s.command(&cx));
        self.flights[index].told_at = Some(now);
        // Rule S6: the reset may have left only now, so the bound counts from the answer.
        if let Some(command) = &command {
            self.mark(now, index, command);
        }
        let flight = &mut self.flights[index];
        // Rule S5: an error fails nothing, an acknowledgement achieves nothing. Look.
        flight.told_unknown = result.as_ref().is_err_and(|f| f.kind == FaultKind::Unknown);
        flight.told_in_vain = result.err().filter(|f| f.kind != FaultKind::Unknown);
        if reset {
            self.rest(index, now + poll_pause(Span::ZERO));
        } else {
            flight.state = State::Idle;
            self.idle.push(index);
        }
    }

    fn hook_told(&mut self, now: Time, index: usize, result: Result<Option<HookResult>, Fault>) {
        let Some(hook) = self.step(index).and_then(Step::hook).cloned() else { return };
        self.flights[index].told_at = Some(now);
        if hook.check.is_some() {
            return self.hook_told_with_check(index, &hook, result);
        }
        match result {
            Ok(Some(result)) if result.succeeded => self.achieved(now, index, How::Acted, Some(result)),
            Ok(None) => self.achieved(now, index, How::Acted, None),
            Ok(Some(result)) => {
                let why = Reason::new(ReasonCode::HookFailed, format!("hook `{}` failed: {}", hook.name, result.how));
                self.hook_again(now, index, why, Some(result));
            }
            Err(fault) if fault.kind == FaultKind::Unknown && hook.rerun == Rerun::Never => self.hook_unknown(now, index),
            Err(fault) => {
                let why = Reason::new(ReasonCode::HookFailed, format!("hook `{}`: {fault}", hook.name));
                self.hook_again(now, index, why, None);
            }
        }
    }

    /// Rule S5: it has a check, and only that counts, whatever became of the hook itself.
    fn hook_told_with_check(&mut self, index: usize, hook: &Hook, result: Result<Option<HookResult>, Fault>) {
        let flight = &mut self.flights[index];
        flight.told_in_vain = Some(match &result {
            Ok(Some(result)) if !result.succeeded => Fault::refused(format!("hook `{}` failed: {}", hook.name, result.how)),
            Ok(_) => Fault::refused(format!("hook `{}` succeeded but its check does not", hook.name)),
            Err(fault) => Fault { kind: fault.kind, detail: format!("hook `{}`: {fault}", hook.name) },
        });
        flight.hook_result = result.ok().flatten();
        flight.state = State::Idle;
        self.idle.push(index);
    }

    fn hook_again(&mut self, now: Time, index: usize, why: Reason, result: Option<HookResult>) {
        let cx = self.context(now, index);
        let Some(patience) = self.step(index).map(|s| s.patience(&cx)) else { return };
        self.again(now, index, &patience, why, result);
    }

    /// The attempt came to nothing: another one, or none.
    fn again(&mut self, now: Time, index: usize, patience: &Patience, why: Reason, hook: Option<HookResult>) {
        let track = &self.progress.tracks[index];
        let in_time = match (patience.until, track.first_intent) {
            (Some(until), Some(first)) => now.since(first) < until,
            _ => false,
        };
        if track.attempt + 1 >= patience.attempts_max && !in_time {
            return self.give_up(now, index, why, hook);
        }
        let attempt = track.attempt;
        self.record(now, Event::Retried { switchover: self.id(index), step: track.number(), attempt, why, hook });
        self.flights[index].fresh_attempt();
        self.rest(index, now + backoff(attempt));
    }

    pub(super) fn achieved(&mut self, now: Time, index: usize, how: How, hook: Option<HookResult>) {
        let after = std::mem::take(&mut self.flights[index].reads);
        let fence = self.voucher(index);
        if fence.is_some() {
            // What ended an earlier word says nothing of this one.
            self.words_end.remove(&self.plan.switchovers[index].source.node);
        }
        self.clear_mark(now, index);
        let step = self.progress.tracks[index].number();
        self.record(now, Event::Achieved { switchover: self.id(index), step, how, after, hook, fence });
        self.onward(index);
    }

    fn onward(&mut self, index: usize) {
        self.flights[index].fresh_step();
        self.flights[index].state = State::Idle;
        self.idle.push(index);
    }

    /// The path is walked to its end.
    fn arrived(&mut self, now: Time, index: usize) {
        let track = &self.progress.tracks[index];
        match track.phase {
            Phase::Forward => self.finish(now, index, Outcome::SwitchedOver, None, None),
            Phase::Back => {
                let skipped = track.touched_nothing(&self.plan.switchovers[index].steps);
                let outcome = if skipped { Outcome::Skipped } else { Outcome::RolledBack };
                self.finish(now, index, outcome, None, None);
            }
            Phase::CuttingOff => {
                let name = &self.plan.switchovers[index].source.name;
                let text =
                    format!("`{name}` was On after its spare may have started, and was cut off; check the volume before anything else");
                self.finish(now, index, Outcome::InDoubt, Some(Reason::new(ReasonCode::SourceOn, text)), None);
            }
            Phase::Settling => {
                let moved = track.moved == Some(true);
                self.finish(now, index, if moved { Outcome::SwitchedOver } else { Outcome::RolledBack }, None, None);
            }
            Phase::Waiting | Phase::Finished(_) => {}
        }
    }

    /// The step in hand will not come true. What now depends on how far the switchover is.
    pub(super) fn give_up(&mut self, now: Time, index: usize, why: Reason, hook: Option<HookResult>) {
        let track = &self.progress.tracks[index];
        let policy = self.step(index).and_then(Step::hook).map(|h| h.on_failure);
        let phase = track.phase;
        // A check that cannot be run says as little as a hook that failed.
        if let (Some(policy), true) = (policy, matches!(why.code, ReasonCode::HookFailed | ReasonCode::Silent)) {
            // An undo that fails must not keep the machine from being given back.
            if matches!(phase, Phase::Back | Phase::Settling) || policy == OnFailure::Continue {
                return self.tolerate(now, index, why, hook);
            }
            if policy == OnFailure::Stop || track.past_return {
                return self.finish(now, index, Outcome::Stopped, Some(why), hook);
            }
        }
        if self.step(index).is_some_and(|s| s.may_be_left(why.code, phase == Phase::Forward)) {
            return self.tolerate(now, index, why, hook);
        }
        match phase {
            // Going back would take the volumes from under somebody's instance, and going on would open them for it.
            Phase::Forward if why.code == ReasonCode::ForeignInstance => self.finish(now, index, Outcome::InDoubt, Some(why), hook),
            Phase::Forward if track.past_return && why.code == ReasonCode::SourceOn => {
                self.record(now, Event::CuttingOff { switchover: self.id(index), why });
                self.going_back += 1;
                self.onward(index);
            }
            Phase::Forward if track.past_return => {
                // Whether a machine that was told On and is not seen On will still start, nobody knows.
                let starting = self.step(index).is_some_and(Step::starts_destination);
                self.finish(now, index, if starting { Outcome::InDoubt } else { Outcome::Stopped }, Some(why), hook);
            }
            // Rule S1: a source that is On again is not fenced; nothing is moved, forward or back, around it.
            Phase::Forward if why.code == ReasonCode::SourceOn => self.finish(now, index, Outcome::Stopped, Some(why), hook),
            Phase::Forward => self.turn_back(now, index, why, hook),
            _ => self.finish(now, index, Outcome::InDoubt, Some(why), hook),
        }
    }

    fn tolerate(&mut self, now: Time, index: usize, why: Reason, hook: Option<HookResult>) {
        let step = self.progress.tracks[index].number();
        self.record(now, Event::Tolerated { switchover: self.id(index), step, why, hook });
        self.onward(index);
    }

    /// Rule S6: stand still until every power command has landed, then go back. An unanswered power-off may otherwise
    /// land after its undo was found already so.
    pub(super) fn turn_back(&mut self, now: Time, index: usize, why: Reason, hook: Option<HookResult>) {
        self.record(now, Event::RollingBack { switchover: self.id(index), why, hook });
        self.going_back += u32::from(self.progress.tracks[index].fails());
        self.flights[index].fresh_step();
        let until = self.flights[index].quiet_until.max(now);
        self.rest(index, until);
    }

    fn finish(&mut self, now: Time, index: usize, outcome: Outcome, why: Option<Reason>, hook: Option<HookResult>) {
        let switchover = &self.plan.switchovers[index];
        let held = matches!(outcome, Outcome::Stopped | Outcome::InDoubt);
        let debt = held.then(|| {
            format!(
                "`{source}` and `{destination}` stay held by {run}/{id}: look at both, then `coldswap decide {run} {id} --moved` \
                 (`{destination}` serves) or `--not-moved`; or put them right by hand and `coldswap inventory release`",
                source = switchover.source.name,
                destination = switchover.destination.name,
                run = self.run,
                id = switchover.id
            )
        });
        let debt = debt.or_else(|| self.progress.tracks[index].debt.clone());
        let id = switchover.id;
        self.going_back -= u32::from(self.progress.tracks[index].fails());
        self.record(now, Event::Finished { switchover: id, outcome, why, debt, hook });
        self.failures += u32::from(self.progress.tracks[index].has_failed(outcome));
        self.admission.ended(&self.plan, index);
        self.flights[index].state = State::Over;
    }
}

gates! {
    "silence", "a look that is not answered is repeated for some minutes, then the step has failed",
        Closed, "a BMC that restarts comes back; one that does not may hide a running machine", many_seeds;
    "hook failed", "before the point of no return everything is taken back, after it the switchover stops",
        Closed, "the operator made it part of the way out", a_failed_hook_takes_everything_back;
    "hook failed, on_failure: continue", "the run goes on with a warning in the report",
        Open, "the runbook says that it does not matter", every_kind_of_event_is_told;
    "hook rerun: never", "a hook that may have run is not started again: in doubt",
        Closed, "operators write scripts that must not run twice", orders_that_leave_before_their_events_are_durable;
    "undo of a hook failed", "the way back goes on with a warning",
        Open, "the machine must be given back even where a script fails", many_seeds;
}
