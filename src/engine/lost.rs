//! Commands that got lost on their way: what is harmless when it is said twice is said twice before an attempt is given up.

use super::flight::backoff;
use super::*;
use crate::step::Command;

/// A machine that was asked to shut down or to start shows it sooner than this, or has not heard.
const POWER_SHOWS: Span = Span::secs(3);
/// What a BMC was told to keep, it shows sooner than this.
const SETTING_SHOWS: Span = Span::secs(1);

impl Engine {
    /// Asking a machine a second time to shut down or to start is harmless (an On does not toggle, DSP0266), and so is
    /// writing the same settings again. A request that got lost must not end in a hard off, nor cost all the time that a
    /// command may take to land. It is the same attempt with the same intent, after a whole new look, and once is enough.
    pub(super) fn request_got_lost(&self, now: Time, index: usize) -> bool {
        let shows = match self.step(index).and_then(|s| s.command(&self.context(now, index))) {
            Some(Command::Reset { reset: ResetType::GracefulShutdown | ResetType::On | ResetType::ForceOn, .. }) => POWER_SHOWS,
            Some(Command::SetBoot { .. } | Command::SetRestorePolicy { .. }) => SETTING_SHOWS,
            _ => return false,
        };
        let flight = &self.flights[index];
        let vain = flight.told_in_vain.as_ref().is_some_and(|f| f.kind == FaultKind::Transient);
        // Counted from when it was sent: an answer that is not given up at once has been waited for already.
        let unheard = flight.told_unknown && flight.sent_at.is_some_and(|at| now.since(at) >= shows);
        !flight.asked_again && (vain || unheard)
    }

    pub(super) fn ask_again(&mut self, now: Time, index: usize) {
        let landing = self.plan.switchovers[index].landing;
        let flight = &mut self.flights[index];
        let vain = flight.told_in_vain.is_some();
        // Rule S6: the first one may still arrive, also where the second one is seen to have done it.
        if let Some(sent) = flight.sent_at.filter(|_| !vain) {
            flight.quiet_until = flight.quiet_until.max(sent + landing);
        }
        flight.fresh_attempt();
        flight.asked_again = true;
        self.rest(index, if vain { now + backoff(0) } else { now });
    }
}
