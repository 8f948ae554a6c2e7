//! Writing: PATCH with the ETag that the resource gave, and the boot source override.

use super::iscsi::apply_time;
use super::line::{Answer, Command, Line};
use super::system::{Boot, Look, Place};
use super::wire::{part, text, words};
use crate::model::{BootOverride, Fault, FaultKind, PowerRestorePolicy};
use crate::ports::Deadline;
use reqwest::{Method, StatusCode, Url, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tagged {
    #[serde(rename = "@odata.etag", deserialize_with = "text")]
    etag: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pending {
    #[serde(rename = "Boot", deserialize_with = "part")]
    boot: Option<Boot>,
}

/// The tags that a resource gave: of the header, of the body. Empty ones do not count.
fn tags(answer: &Answer) -> (Option<String>, Option<String>) {
    let header = answer.header(header::ETAG).map(str::to_owned).filter(|t| t != "\"\"" && t != "W/\"\"");
    let body = serde_json::from_slice::<Tagged>(&answer.body).ok().and_then(|t| t.etag);
    (header, body.filter(|t| t != "\"\"" && t != "W/\"\""))
}

/// After `sent` was refused with 412 and the resource read again: the new tag, else the body's
/// (`etag_of_header_differs`), else any (`etag_wants_star`).
fn second_tag(sent: Option<&str>, header: Option<String>, body: Option<String>) -> String {
    [header, body].into_iter().flatten().find(|tag| Some(tag.as_str()) != sent).unwrap_or_else(|| "*".to_owned())
}

impl Line {
    /// PATCH with If-Match where the resource gave an ETag. 412 and 428 say that nothing was changed: then the resource
    /// is read once more and the change sent once more.
    /// `seen`: the resource, where it was read just now.
    pub(super) async fn patch(&self, url: &Url, change: &Value, seen: Option<&Answer>, deadline: &Deadline) -> Result<Answer, Fault> {
        let body = change.to_string();
        let not_after = self.not_after();
        let patch = |if_match| Command {
            method: Method::PATCH,
            url,
            limit: self.command_limit(),
            body: body.as_bytes(),
            if_match,
            not_after,
            deadline,
        };
        let first = match seen {
            Some(answer) => tags(answer),
            None => match self.get(url).await {
                Ok(answer) => tags(&answer),
                // Some settings resources can be written and not read.
                Err(trouble) if trouble.status.is_some() => (None, None),
                // Nothing has been sent that changes anything.
                Err(trouble) => return Err(Fault { kind: unsent(trouble.fault.kind), ..trouble.fault }),
            },
        };
        let tag = first.0.or(first.1);
        let refused = match self.send(patch(tag.as_deref())).await {
            Err(trouble) if matches!(trouble.status, Some(StatusCode::PRECONDITION_FAILED | StatusCode::PRECONDITION_REQUIRED)) => trouble,
            result => return result.map_err(Fault::from),
        };
        let Ok(answer) = self.get(url).await else { return Err(refused.into()) };
        let (header, in_body) = tags(&answer);
        let tag = second_tag(tag.as_deref(), header, in_body);
        self.send(patch(Some(tag.as_str()))).await.map_err(Fault::from)
    }

    pub(super) async fn set_override(&self, place: &Place, want: &BootOverride, deadline: &Deadline) -> Result<(), Fault> {
        let (look, seen) = self.look_back(place).await?;
        let change = override_change(&look, want).map_err(|why| Fault::refused(format!("{}: {why}", self.shown(&place.url))))?;
        let mut body = Map::from_iter([("Boot".to_owned(), Value::Object(change))]);
        let settings = self.override_settings(&look).await?;
        if let (Some(_), Some(settings)) = (&settings, &look.settings) {
            apply_time(settings, &mut body);
        }
        let seen = settings.is_none().then_some(&seen);
        let answer = self.patch(settings.as_ref().unwrap_or(&place.url), &Value::Object(body), seen.map(|seen| &**seen), deadline).await?;
        place.override_pending.store(settings.is_some(), Ordering::Relaxed);
        self.follow(&answer).await
    }

    /// Read back by the next look (rule S5).
    pub(super) async fn set_restore_policy(&self, place: &Place, policy: PowerRestorePolicy, deadline: &Deadline) -> Result<(), Fault> {
        let word = match policy {
            PowerRestorePolicy::AlwaysOn => "AlwaysOn",
            PowerRestorePolicy::AlwaysOff => "AlwaysOff",
            PowerRestorePolicy::LastState => "LastState",
        };
        let answer = self.patch(&place.url, &json!({ "PowerRestorePolicy": word }), None, deadline).await?;
        self.follow(&answer).await
    }

    /// The settings resource, if the override is written there: it must show one itself (`override_behind_settings`).
    async fn override_settings(&self, look: &Look) -> Result<Option<Url>, Fault> {
        let Some(path) = look.settings.as_ref().and_then(|s| s.object.0.as_deref()) else { return Ok(None) };
        let pending = self.optional::<Pending>(path).await?.and_then(|p| p.boot);
        if pending.is_some_and(|b| b.target.is_some() || b.enabled.is_some()) { self.address.url(path).map(Some) } else { Ok(None) }
    }
}

/// A read that failed on the way to a write: the write was not sent.
fn unsent(kind: FaultKind) -> FaultKind {
    if kind == FaultKind::Unknown { FaultKind::Transient } else { kind }
}

/// What to write below `Boot`. The mode is never written: sushy-tools rewrites the machine for it, and others reset.
fn override_change(look: &Look, want: &BootOverride) -> Result<Map<String, Value>, String> {
    let allowed = look.boot.as_ref().map(|b| words(b.targets.as_ref())).unwrap_or_default();
    let mut change = Map::new();
    let off = want.enabled.as_deref() == Some("Disabled") || want.target.as_deref() == Some("None");
    if off {
        change.insert("BootSourceOverrideEnabled".into(), json!("Disabled"));
        // A target of `None` is an error where it is not offered (sushy-tools: 500).
        if allowed.iter().any(|a| a == "None") {
            change.insert("BootSourceOverrideTarget".into(), json!("None"));
        }
        return Ok(change);
    }
    if let Some(target) = &want.target {
        if target == "UefiTarget" {
            return Err("boot target `UefiTarget` needs a device path, which a runbook cannot give; choose another target".to_owned());
        }
        if !allowed.is_empty() && !allowed.contains(target) {
            let allowed: Vec<String> = allowed.iter().map(|a| format!("`{a}`")).collect();
            return Err(format!("boot target `{target}` is not among those that it allows: {}", allowed.join(", ")));
        }
        change.insert("BootSourceOverrideTarget".into(), json!(target));
    }
    if let Some(enabled) = &want.enabled {
        change.insert("BootSourceOverrideEnabled".into(), json!(enabled));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_tag_is_never_the_one_that_was_refused() {
        let s = |t: &str| Some(t.to_owned());
        assert_eq!(second_tag(Some("a"), s("b"), s("a")), "b");
        assert_eq!(second_tag(Some("a"), s("a"), s("b")), "b");
        assert_eq!(second_tag(Some("a"), s("a"), None), "*");
        assert_eq!(second_tag(None, None, None), "*");
    }

    #[test]
    fn an_override_that_cannot_work_is_not_sent() {
        let look: Look =
            serde_json::from_str(r#"{"Boot":{"BootSourceOverrideTarget@Redfish.AllowableValues":["Pxe","Hdd"]}}"#).expect("look");
        let ask = |target: &str, enabled: &str| BootOverride { target: Some(target.into()), enabled: Some(enabled.into()) };
        assert!(override_change(&look, &ask("RemoteDrive", "Once")).expect_err("not allowed").contains("`Hdd`"));
        assert!(override_change(&Look::default(), &ask("UefiTarget", "Once")).is_err());
        let off = override_change(&look, &ask("None", "Disabled")).expect("off");
        assert_eq!(Value::Object(off), json!({"BootSourceOverrideEnabled": "Disabled"}));
        let on = override_change(&Look::default(), &ask("Pxe", "Continuous")).expect("on");
        assert_eq!(on.len(), 2);
    }
}
