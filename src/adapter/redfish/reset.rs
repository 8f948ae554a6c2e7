//! Sending a reset: the right word, to the right target, once.

use super::line::{Answer, Command, Line};
use super::quirks;
use super::system::{Look, Place, ResetAbility};
use super::wire::{Item, Link, Word, list, text, words};
use crate::model::{Fault, ResetType};
use crate::ports::Deadline;
use reqwest::{Method, StatusCode, Url, header};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Deserialize, Default)]
#[serde(default)]
struct ActionInfo {
    #[serde(rename = "Parameters", deserialize_with = "list")]
    parameters: Option<Vec<Item<Parameter>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parameter {
    #[serde(rename = "Name", deserialize_with = "text")]
    name: Option<String>,
    #[serde(rename = "AllowableValues", deserialize_with = "list")]
    allowable: Option<Vec<Word>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Task {
    #[serde(rename = "TaskState", deserialize_with = "text")]
    state: Option<String>,
    #[serde(rename = "TaskMonitor")]
    monitor: Link,
    #[serde(rename = "@odata.id")]
    id: Link,
}

/// The word to send for `reset`, or why none can be sent. Without a list the standard word is sent.
fn word(reset: ResetType, allowable: &[String]) -> Result<&'static str, String> {
    if allowable.is_empty() {
        return Ok(reset.as_str());
    }
    quirks::spellings(reset).iter().find(|s| allowable.iter().any(|a| a == *s)).copied().ok_or_else(|| {
        let allowed: Vec<String> = allowable.iter().map(|a| format!("`{a}`")).collect();
        format!("`{reset}` is not among the reset types that it allows: {}", allowed.join(", "))
    })
}

/// The reset types of ours that this list allows. `None`: it says nothing.
pub(super) fn known(allowable: &[String]) -> Option<Vec<ResetType>> {
    (!allowable.is_empty()).then(|| ResetType::ALL.into_iter().filter(|r| word(*r, allowable).is_ok()).collect())
}

impl Line {
    pub(super) async fn reset(&self, place: &Place, reset: ResetType, deadline: &Deadline) -> Result<(), Fault> {
        let not_after = self.not_after();
        let ability = self.reset_ability(place).await?;
        let allowable = self.allowable(place, &ability).await?;
        let shown = self.shown(&place.url);
        let word = word(reset, &allowable).map_err(|why| Fault::refused(format!("{shown}: {why}")))?;
        let url = self.address.url(&ability.target)?;
        let body = serde_json::json!({ "ResetType": word }).to_string();
        let answer = self
            .send(Command {
                method: Method::POST,
                url: &url,
                limit: self.command_limit(),
                body: body.as_bytes(),
                if_match: None,
                not_after,
                deadline,
            })
            .await
            .map_err(Fault::from)?;
        self.follow(&answer).await
    }

    /// As last read, or read now.
    async fn reset_ability(&self, place: &Place) -> Result<Arc<ResetAbility>, Fault> {
        if let Some(ability) = place.reset_ability() {
            return Ok(ability);
        }
        let look = self.look(place).await?;
        match place.reset_ability() {
            Some(ability) => Ok(ability),
            None => Err(no_reset(&self.shown(&place.url), &look)),
        }
    }

    /// The allowable values, from where they are; empty where the BMC does not say (`reset_types_behind_action_info`).
    pub(super) async fn allowable(&self, place: &Place, ability: &ResetAbility) -> Result<Vec<String>, Fault> {
        let split = |values: &[String]| values.iter().flat_map(|v| quirks::allowable(v)).collect::<Vec<_>>();
        if !ability.allowable.is_empty() {
            return Ok(split(&ability.allowable));
        }
        let Some(info) = ability.info.as_deref() else { return Ok(Vec::new()) };
        let values = place
            .by_info
            .get_or_try_init(|| async {
                let info = self.optional::<ActionInfo>(info).await?.unwrap_or_default();
                let parameter = info.parameters.into_iter().flatten().filter_map(|p| p.0).find(|p| p.name.as_deref() == Some("ResetType"));
                Ok::<_, Fault>(split(&words(parameter.and_then(|p| p.allowable).as_ref())))
            })
            .await?;
        Ok(values.clone())
    }

    /// Follow a task for a while. How it ends is not how the system is: a task that failed may have done its work, and
    /// one that still runs may have too. Only a look decides (rule S5), so at most this waits a little.
    pub(super) async fn follow(&self, answer: &Answer) -> Result<(), Fault> {
        if answer.status != StatusCode::ACCEPTED {
            return Ok(());
        }
        let task = self.task(answer);
        let place = answer.header(header::LOCATION).map(str::to_owned).or(task.monitor.0).or(task.id.0);
        // `accepted_without_task`
        let Some(url) = place.and_then(|p| self.address.url(&p).ok()) else { return Ok(()) };
        let until = Instant::now() + self.limits.task_time;
        let mut pause = Duration::from_millis(250);
        while Instant::now() + pause < until {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            let Some(state) = self.task_state(&url).await else { return Ok(()) };
            match state.as_str() {
                "Exception" | "Killed" | "Cancelled" => {
                    return Err(Fault::unknown(format!("{}: the task ended with `{state}`", self.shown(&url))));
                }
                // Waiting for a restart or a window of time: nothing to wait for here.
                "Completed" | "Pending" | "Suspended" | "Interrupted" => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    fn task(&self, answer: &Answer) -> Task {
        serde_json::from_slice::<Item<Task>>(&answer.body).ok().and_then(|i| i.0).unwrap_or_default()
    }

    /// `None`: the task is done, or nothing more is to be learnt from it.
    async fn task_state(&self, url: &Url) -> Option<String> {
        let answer = self.get(url).await.ok()?;
        let state = self.task(&answer).state;
        if answer.status == StatusCode::ACCEPTED { Some(state.unwrap_or_default()) } else { state }
    }
}

fn no_reset(shown: &str, look: &Look) -> Fault {
    if look.is_empty() {
        return Fault::answered(format!("{shown} answered with next to nothing; the BMC may be restarting"));
    }
    Fault::refused(format!("{shown} has no `#ComputerSystem.Reset` action; is `bmc.system` the right one?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().flat_map(|w| quirks::allowable(w)).collect()
    }

    #[test]
    fn only_an_allowed_and_known_word_is_sent() {
        assert_eq!(word(ResetType::GracefulShutdown, &list(&["On", "ForceOff", "PowerOffGraceful"])), Ok("PowerOffGraceful"));
        assert_eq!(word(ResetType::On, &list(&["PowerOn", "On"])), Ok("On"));
        assert_eq!(word(ResetType::On, &list(&["PowerOn"])), Ok("PowerOn"));
        assert_eq!(word(ResetType::GracefulShutdown, &list(&["ForceOff", "GracefulShutdownGracefulRestart"])), Ok("GracefulShutdown"));
        assert_eq!(word(ResetType::ForceOff, &[]), Ok("ForceOff"));
        let why = word(ResetType::ForceOff, &list(&["On", "ForceOffish"])).expect_err("not allowed");
        assert!(why.contains("`ForceOff`") && why.contains("`ForceOffish`"), "{why}");
    }

    #[test]
    fn what_is_allowed_is_told_in_our_own_words() {
        assert_eq!(known(&list(&["PowerOn", "ForceOff", "Nmi"])), Some(vec![ResetType::On, ResetType::ForceOff, ResetType::Nmi]));
        assert_eq!(known(&list(&["Suspend"])), Some(vec![]));
        assert_eq!(known(&[]), None);
    }
}
