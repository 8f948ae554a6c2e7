//! Power: what is told, and how an Off is proven.
//!
//! Ironic answers from its records, and in maintenance it does not look at the machine: an Off in its records proves nothing. A
//! `power off` request is the one thing that makes it ask the BMC and that starts nothing: where the machine is off it does nothing
//! at all, and what it records then is what the BMC said.

use super::client::Unread;
use super::trouble::Means;
use super::wire::text;
use super::{Ironic, not_silence, power};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::ports::Deadline;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// For one proof, the 31 s of a dead BMC in it.
pub(super) const LIMIT: Duration = Duration::from_secs(50);
/// For the end of a power off to show, within that.
const SHOWS: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(200);
const POLL_MAX: Duration = Duration::from_millis(800);
/// Well within the time in which the answers of one look are one moment: no machine comes from a start to its first write in it.
const STANDS: Duration = Duration::from_secs(3);
/// Ironic needs 31 s to say that a BMC is silent: a look that asks two machines could never be one moment.
const SILENCE_STANDS: Duration = Duration::from_secs(60);

/// How Ironic's drivers say that nobody answered: sushy's, ipmitool's and those of the libraries below them. Everything else, an
/// HTTP status included, was said by a BMC that is there.
const SILENT: [&str; 12] = [
    "Unable to connect to",
    "Unable to establish",
    "Max retries exceeded",
    "Connection refused",
    "Connection reset",
    "Connection aborted",
    "ConnectionError",
    "ConnectTimeout",
    "timed out",
    "Read timed out",
    "No route to host",
    "Network is unreachable",
];

impl Ironic {
    /// Tell a node's power.
    pub(super) async fn switch(&self, id: NodeId, reset: ResetType, within: Option<Span>, deadline: &Deadline) -> Result<(), Fault> {
        let client = self.client().await?;
        if reset == ResetType::Nmi {
            let nmi = client.put(&format!("/v1/nodes/{id}/management/inject_nmi"), &json!({}), deadline).await;
            return nmi.map(drop).map_err(|unread| client.undone(unread));
        }
        let soft = within.map_or(self.options.soft_off, Span::duration);
        let body = match reset {
            ResetType::On | ResetType::ForceOn => json!({"target": "power on"}),
            ResetType::GracefulShutdown => json!({"target": "soft power off", "timeout": soft.as_secs().max(1)}),
            ResetType::ForceOff | ResetType::Nmi => json!({"target": "power off"}),
        };
        self.known.told(id, reset.starts());
        self.nodes.forget(&id);
        let told = client.put(&format!("/v1/nodes/{id}/states/power"), &body, deadline).await;
        self.nodes.forget(&id);
        told.map(drop).map_err(|unread| client.undone(unread))
    }

    /// A look that is to prove a machine Off.
    pub(super) async fn proof(&self, id: NodeId, deadline: &Deadline) -> Result<SystemReading, Fault> {
        if let Some(off) = self.known.proof(id, STANDS) {
            return Ok(off);
        }
        if let Some(silent) = self.known.silence(id, SILENCE_STANDS) {
            return Err(silent);
        }
        let reading = self.one(id).await.map_err(not_silence)?;
        let raw = &reading.node;
        let at_work = power::going(raw).is_some() || text(raw, "reservation").is_some();
        if power::recorded(raw) == Some(PowerState::On) || at_work || self.known.started(id) {
            let mut seen = power::reading(&reading);
            // Whoever is at work on it may be starting it.
            if at_work && seen.power == PowerState::Off {
                seen.power = PowerState::Unknown;
                seen.power_unknown = Some("Ironic is at work on it".to_owned());
            }
            return Ok(seen);
        }
        let client = self.client().await.map_err(not_silence)?;
        self.nodes.forget(&id);
        let (began, body) = (Instant::now(), json!({"target": "power off"}));
        match client.put_once(&format!("/v1/nodes/{id}/states/power"), &body, deadline).await {
            Ok(_) => {}
            Err(Unread::Refused(refusal)) if refusal.means() == Means::Locked => {
                return Err(Fault::answered(format!("{}: somebody is at work on it", refusal.said)));
            }
            Err(unread) => return Err(not_silence(client.undone(unread))),
        }
        self.shown(id, began).await
    }

    /// What a power off has come to.
    async fn shown(&self, id: NodeId, began: Instant) -> Result<SystemReading, Fault> {
        let mut pause = POLL;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(POLL_MAX);
            let reading = self.one(id).await.map_err(not_silence)?;
            let raw = &reading.node;
            if power::going(raw).is_some() || text(raw, "reservation").is_some() {
                if began.elapsed() < SHOWS {
                    continue;
                }
                return Err(Fault::answered("a power off through Ironic has not come to its end"));
            }
            if let Some(why) = failure(raw) {
                let name = super::node::name(raw);
                let text = format!("Ironic's power off of `{name}` to see whether it is off: {why}");
                if !SILENT.iter().any(|words| why.contains(words)) {
                    return Err(Fault::answered(text));
                }
                let fault = Fault::transient(text);
                self.known.fell_silent(id, &fault);
                return Err(fault);
            }
            let mut seen = power::reading(&reading);
            if power::recorded(raw) == Some(PowerState::Off) {
                (seen.power, seen.power_unknown, seen.recorded) = (PowerState::Off, None, None);
                self.known.proven(id, began, &seen);
            }
            return Ok(seen);
        }
    }

    /// Set what the machine boots from. `Pxe` and `Hdd` are what a volume needs.
    pub(super) async fn boot_device(&self, id: NodeId, settings: &BootSettings, deadline: &Deadline) -> Result<(), Fault> {
        if settings.iscsi.as_ref().is_some_and(|iscsi| !iscsi.is_clear()) {
            return Err(Fault::refused("Ironic writes no iSCSI boot configuration into a machine's firmware: it boots by its own iPXE"));
        }
        let Some(wanted) = &settings.boot_override else { return Ok(()) };
        let device = match wanted.target.as_deref() {
            Some("Pxe") => "pxe",
            Some("Hdd") => "disk",
            other => return Err(Fault::refused(format!("`{}` is no boot device that is set through Ironic", other.unwrap_or("None")))),
        };
        let client = self.client().await?;
        let body = json!({"boot_device": device, "persistent": wanted.enabled.as_deref() != Some("Once")});
        let told = client.put(&format!("/v1/nodes/{id}/management/boot_device"), &body, deadline).await;
        told.map(drop).map_err(|unread| client.undone(unread))
    }

    /// What the machine's BMC is set to boot from: Ironic asks it, under the node's lock.
    pub(super) async fn boots_from(&self, id: NodeId) -> Result<BootOverride, Fault> {
        let seen = self.client().await.map_err(not_silence)?.get(&format!("/v1/nodes/{id}/management/boot_device")).await;
        let seen = seen.map_err(|fault| match SILENT.iter().any(|words| fault.detail.contains(words)) {
            true if fault.kind == FaultKind::Answered => Fault::transient(fault.detail),
            _ => not_silence(fault),
        })?;
        let target = match text(&seen, "boot_device") {
            Some("pxe") => Some("Pxe".to_owned()),
            Some("disk") => Some("Hdd".to_owned()),
            other => other.map(str::to_owned),
        };
        let enabled = match seen.get("persistent").and_then(Value::as_bool) {
            Some(true) => Some("Continuous".to_owned()),
            Some(false) => Some("Once".to_owned()),
            None => None,
        };
        Ok(BootOverride { target, enabled })
    }
}

/// Why the last power request came to nothing. Each clears `last_error` first; what is left there of something else says nothing.
fn failure(raw: &Value) -> Option<&str> {
    text(raw, "last_error").filter(|why| why.starts_with("Failed to change power state"))
}

gates! {
    "off through Ironic", "an Off that Ironic recorded counts only after a `power off` made it ask the BMC in that very look",
        Closed, "in maintenance Ironic does not look, and a feed, a button or a watchdog may have started the machine",
        an_off_in_maintenance_is_proven_by_a_power_off_and_by_nothing_else;
    "nothing sent to what runs", "a machine that Ironic has as On, starting, locked or started by this process is not told `power off` by a look",
        Closed, "a look that switches a serving machine off is an outage", a_look_sends_nothing_while_on_is_recorded_or_anybody_is_at_work;
}
