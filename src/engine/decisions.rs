//! What people have decided, in the fold: every answer, pause and recall is an event, and what it means is found again by
//! whoever reads the journal.

use super::event::*;
use super::progress::{Answer, Progress};
use crate::model::*;
use crate::plan::Plan;
use crate::step::Step;

/// The answers to an approval.
pub const APPROVE: &str = "approve";
pub const REFUSE: &str = "refuse";
/// The answer to a storm.
pub const ALLOW: &str = "allow";
/// The answers after the canaries.
pub const GO: &str = "go";
pub const STOP: &str = "stop";

/// What an open question of the run is kept under.
pub(super) fn word(matter: Matter) -> &'static str {
    match matter {
        Matter::Approval => "approval",
        Matter::Canary => "canary",
        Matter::Storm | Matter::Prompt(_) => "",
    }
}

impl Progress {
    pub(super) fn go_on(&mut self) {
        (self.paused, self.pause_until) = (None, None);
        self.failures_acknowledged = self.failures();
        // Whatever held it back may have changed meanwhile; it is told anew.
        self.held.clear();
    }

    pub(super) fn decide(&mut self, plan: &Plan, matter: Matter, choice: &str, by: Option<&Voice>) -> Result<(), &'static str> {
        self.open.remove(word(matter));
        match matter {
            Matter::Approval => self.approved = Some(choice == APPROVE),
            Matter::Canary => self.canary_passed |= choice == GO,
            Matter::Storm => self.storm_allowed = true,
            Matter::Prompt(id) => {
                let index = plan.index(id).ok_or("a plan without that switchover")?;
                let track = &mut self.tracks[index];
                let prompt = track.path(&plan.switchovers[index].steps).get(track.cursor).and_then(Step::prompt);
                if prompt.is_none() || !track.intended || track.answer.is_some() {
                    return Err("a switchover at which nothing is asked");
                }
                track.answer = Some(Answer { choice: choice.to_owned(), by: by.map(|v| v.name.clone()) });
            }
        }
        Ok(())
    }

    pub(super) fn recall(&mut self, plan: &Plan, whom: Option<SwitchoverId>, by: &str) -> Result<(), &'static str> {
        let Some(id) = whom else {
            self.withdrawn = Some(by.to_owned());
            for track in self.tracks.iter_mut().filter(|t| t.may_be_recalled()) {
                track.recalled = Some(by.to_owned());
            }
            return Ok(());
        };
        let index = plan.index(id).ok_or("a plan without that switchover")?;
        if !self.tracks[index].may_be_recalled() {
            return Err("a switchover that cannot be taken back");
        }
        self.tracks[index].recalled = Some(by.to_owned());
        Ok(())
    }

    /// What holds a waiting switchover back, as last told.
    pub fn held(&self, plan: &Plan, index: usize) -> Option<Limit> {
        let switchover = plan.switchovers.get(index)?;
        let narrow = self.held.get(&Whom::One(switchover.id)).or_else(|| self.held.get(&Whom::Group(switchover.group)));
        match (narrow, &self.paused) {
            (Some(limit), _) => Some(*limit),
            (None, Some(_)) => Some(Limit::Paused),
            (None, None) => self.held.get(&Whom::All).copied(),
        }
    }
}
