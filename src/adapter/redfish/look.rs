//! One look at a system, and what was read just now for a change.

use super::line::{Answer, Line};
use super::system::{Look, Place};
use crate::model::Fault;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Line {
    /// Read a system: one GET.
    pub(super) async fn look(&self, place: &Place) -> Result<Arc<Look>, Fault> {
        Ok(self.look_closely(place).await?.0)
    }

    /// The same, with the answer for those who need more of it.
    pub(super) async fn look_closely(&self, place: &Place) -> Result<(Arc<Look>, Arc<Answer>), Fault> {
        let answer = self.get(&place.url).await.map_err(Fault::from)?;
        self.look_at(place, answer).await
    }

    /// As read just now ([`Line::get_recent`]).
    pub(super) async fn look_back(&self, place: &Place) -> Result<(Arc<Look>, Arc<Answer>), Fault> {
        let answer = self.get_recent(&place.url).await.map_err(Fault::from)?;
        self.look_at(place, answer).await
    }

    async fn look_at(&self, place: &Place, answer: Arc<Answer>) -> Result<(Arc<Look>, Arc<Answer>), Fault> {
        let look = match place.meaning(&answer) {
            Some(look) => look,
            None => {
                let look = Arc::new(answer.parse::<Look>(&self.shown(&place.url))?);
                place.remember(&answer, &look);
                look
            }
        };
        if place.override_pending.load(Ordering::Relaxed) {
            let mut look = answer.parse::<Look>(&self.shown(&place.url))?;
            self.overlay_pending(&mut look).await?;
            return Ok((Arc::new(look), answer));
        }
        Ok((look, answer))
    }

    /// `override_behind_settings`: what we wrote to the settings resource is what the next start will use.
    async fn overlay_pending(&self, look: &mut Look) -> Result<(), Fault> {
        let Some(path) = look.settings.as_ref().and_then(|s| s.object.0.as_deref()) else { return Ok(()) };
        let url = self.address.url(path)?;
        let pending: Look = self.get(&url).await.map_err(Fault::from)?.parse(&self.shown(&url))?;
        if let (Some(boot), Some(now)) = (pending.boot, look.boot.as_mut()) {
            now.target = boot.target.or(now.target.take());
            now.enabled = boot.enabled.or(now.enabled.take());
        }
        Ok(())
    }
}
