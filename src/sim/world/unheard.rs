//! What happens when no executor hears of it: it has died, is stopped, or has ended.

use super::*;

impl World {
    /// Let one outstanding effect happen after the executor is finished; false when nothing is outstanding.
    pub fn settle(&mut self) -> bool {
        let Some((at, happening)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        if !matches!(happening, Happening::Reply(_) | Happening::Answer(..)) {
            self.happen(happening);
        }
        true
    }

    /// The executor is stopped: it hears nothing any more, and each command that is on its way arrives `within` some time.
    pub fn forsake(&mut self, within: Span) {
        for (at, happening) in std::mem::take(&mut self.queue).in_order() {
            match happening {
                Happening::Reply(_) | Happening::Answer(..) => {}
                Happening::Do(_, command) => self.arrives(command, within),
                other => self.queue.push(at, other),
            }
        }
    }

    /// An order leaves whose executor will not hear the answer.
    pub fn carry_late(&mut self, order: Order, within: Span) {
        if let Order::Act(_, command) = order {
            self.arrives(command, within);
        }
    }

    /// A program starts where it is started; a change of the inventory is one transaction with its fence. Only what goes
    /// to a BMC is on its way for long.
    fn arrives(&mut self, command: Command, within: Span) {
        let far = matches!(command, Command::Reset { .. } | Command::SetBoot { .. });
        let delay = if far { self.rng.below(within.0) } else { 0 };
        self.at(delay, Happening::Late(command));
    }

    /// Let happen what happens until then, with nobody to hear of it.
    pub fn run_until(&mut self, until: Time) {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.settle();
        }
        self.now = self.now.max(until);
    }

    /// The executor dies: answers are lost, requests on the wire arrive or do not.
    pub fn crash(&mut self) {
        for (at, happening) in std::mem::take(&mut self.queue).in_order() {
            match happening {
                Happening::Reply(_) | Happening::Answer(..) => {}
                Happening::Land(..)
                | Happening::Late(_)
                | Happening::Button(_)
                | Happening::Unlocked(_)
                | Happening::Provisioned(..)
                | Happening::Undeployed(_)
                | Happening::Feed(_)
                | Happening::Replug(_)
                | Happening::Stranger(_)
                | Happening::Seen(_)
                | Happening::Tamper(_)
                | Happening::Attests(_)
                | Happening::Dies(_)
                | Happening::Revives(_) => {
                    self.queue.push(at, happening);
                }
                Happening::Do(_, command) => {
                    if self.rng.percent(50) {
                        let _ = self.perform(&command);
                    }
                }
            }
        }
    }
}
