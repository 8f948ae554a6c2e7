//! The iSCSI boot configuration of a system's adapter functions (NetworkDeviceFunction `iSCSIBoot`).
//!
//! A system may have fifty functions of which most have an empty `iSCSIBoot` (recorded Dell R750: 51 and 35). They are
//! walked once; what matters is remembered: those that have a target set, or the first that could. Clearing clears
//! every one that has a target set, so that no second adapter still opens the volume.

use super::facts::System;
use super::line::{Answer, Line};
use super::system::{Place, Settings};
use super::wire::{Link, flag, list, number, part, paths, text, words};
use crate::model::{Fault, IscsiBoot};
use crate::ports::Deadline;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const PORT: u16 = 3260;

/// So many functions are asked in every look. Somebody may set a target on one that had none when the tree was walked; a
/// machine with dozens of functions (35 on a recorded one) cannot be asked of them all each time.
const ASKED_MAX: usize = 4;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Chassis {
    #[serde(rename = "NetworkAdapters")]
    adapters: Link,
    #[serde(rename = "Links", deserialize_with = "part")]
    links: Option<ChassisLinks>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChassisLinks {
    #[serde(rename = "ComputerSystems", deserialize_with = "list")]
    systems: Option<Vec<Link>>,
}

/// A NetworkAdapter or NetworkInterface: both link to functions.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Adapter {
    #[serde(rename = "NetworkDeviceFunctions")]
    functions: Link,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FunctionBody {
    #[serde(rename = "iSCSIBoot", deserialize_with = "part")]
    boot: Option<BootBody>,
    #[serde(rename = "BootMode", deserialize_with = "text")]
    mode: Option<String>,
    #[serde(rename = "@Redfish.Settings", deserialize_with = "part")]
    settings: Option<Settings>,
}

#[derive(Clone, Deserialize, Default)]
#[serde(default)]
struct BootBody {
    #[serde(rename = "InitiatorName", deserialize_with = "text")]
    initiator: Option<String>,
    #[serde(rename = "PrimaryTargetName", deserialize_with = "text")]
    target: Option<String>,
    #[serde(rename = "PrimaryTargetIPAddress", deserialize_with = "text")]
    address: Option<String>,
    #[serde(rename = "PrimaryTargetTCPPort", deserialize_with = "number")]
    port: Option<f64>,
    #[serde(rename = "PrimaryLUN", deserialize_with = "number")]
    lun: Option<f64>,
    #[serde(rename = "SecondaryTargetName", deserialize_with = "text")]
    second_target: Option<String>,
    #[serde(rename = "SecondaryTargetIPAddress", deserialize_with = "text")]
    second_address: Option<String>,
    #[serde(rename = "TargetInfoViaDHCP", deserialize_with = "flag")]
    by_dhcp: Option<bool>,
    /// It boots by iSCSI and takes its target from a DHCP server, whatever else is set.
    #[serde(skip)]
    asks_dhcp: bool,
}

/// What stands for a target that only a DHCP server knows. No iSCSI name (RFC 3720 section 3.2.6.1) has parentheses.
const BY_DHCP: &str = "(by DHCP)";

/// An adapter function with `iSCSIBoot`.
pub(super) struct Function {
    url: Url,
    /// What this process has written to its settings resource and the function does not show yet: until it does, what
    /// the settings resource holds is what will be. At other times that counts for nothing: it may be blank.
    written: Mutex<Option<IscsiBoot>>,
}

impl Function {
    fn written(&self) -> MutexGuard<'_, Option<IscsiBoot>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is something written that `now` does not show? Once it is shown, it is forgotten.
    fn waits(&self, now: &BootBody) -> bool {
        let mut written = self.written();
        let shown = written.as_ref().is_some_and(|want| if want.is_clear() { !now.is_set() } else { now.config() == *want });
        if shown {
            *written = None;
        }
        written.is_some()
    }
}

/// How the functions are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The whole tree.
    Walking,
    /// Those that matter.
    Anew,
    /// By [`Line::get_recent`], for a change.
    JustNow,
}

/// A function as it was just read.
struct Seen {
    function: Arc<Function>,
    answer: Arc<Answer>,
    body: FunctionBody,
    boot: BootBody,
}

fn address(text: Option<&str>) -> &str {
    text.filter(|a| !matches!(*a, "0.0.0.0" | "::" | "0")).unwrap_or_default()
}

impl BootBody {
    /// A second target is a target too: the firmware opens it when the first does not answer.
    fn is_set(&self) -> bool {
        self.target.is_some() || self.second_target.is_some() || self.asks_dhcp
    }

    fn config(&self) -> IscsiBoot {
        if self.asks_dhcp {
            let initiator = self.initiator.clone().unwrap_or_default();
            return IscsiBoot { initiator, target: BY_DHCP.into(), ..IscsiBoot::default() };
        }
        let (target, host) = match &self.target {
            Some(target) => (Some(target), address(self.address.as_deref())),
            None if self.second_target.is_some() => (self.second_target.as_ref(), address(self.second_address.as_deref())),
            None => (None, address(self.address.as_deref())),
        };
        let port = self.port.map_or(PORT, |p| p as u16);
        let port = if port == 0 { PORT } else { port };
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        IscsiBoot {
            initiator: self.initiator.clone().unwrap_or_default(),
            target: target.cloned().unwrap_or_default(),
            portal: if host.is_empty() { String::new() } else { format!("{host}:{port}") },
            lun: self.lun.map_or(0, |l| l as u32),
        }
    }

    /// What must be written to get `want`.
    fn change(&self, want: &IscsiBoot) -> Result<Map<String, Value>, String> {
        let mut change = Map::new();
        if want.target == BY_DHCP {
            change.insert("InitiatorName".into(), json!(want.initiator));
            change.insert("TargetInfoViaDHCP".into(), json!(true));
            return Ok(change);
        }
        let (host, port) = portal(&want.portal)?;
        change.insert("InitiatorName".into(), json!(want.initiator));
        change.insert("PrimaryTargetName".into(), json!(want.target));
        change.insert("PrimaryTargetIPAddress".into(), json!(if host.is_empty() { "0.0.0.0" } else { &host }));
        change.insert("PrimaryTargetTCPPort".into(), json!(port));
        change.insert("PrimaryLUN".into(), json!(want.lun));
        // Another volume as second target is never what is wanted; the same one over a second path may stay.
        if self.second_target.as_ref().is_some_and(|second| want.is_clear() || *second != want.target) {
            change.insert("SecondaryTargetName".into(), json!(""));
            change.insert("SecondaryTargetIPAddress".into(), json!("0.0.0.0"));
        }
        if self.by_dhcp == Some(true) {
            change.insert("TargetInfoViaDHCP".into(), json!(false));
        }
        Ok(change)
    }

    /// This with what the settings resource says.
    fn overlaid(self, pending: BootBody) -> BootBody {
        // Written as a whole, so read as a whole: an empty name is a name that was taken away.
        let by_dhcp = pending.by_dhcp.or(self.by_dhcp);
        BootBody { port: pending.port.or(self.port), lun: pending.lun.or(self.lun), by_dhcp, ..pending }
    }
}

/// Host and port of `10.0.0.1:3260`, `[fe80::1]:3260`, `10.0.0.1`, or nothing.
fn portal(text: &str) -> Result<(String, u16), String> {
    let bad = || format!("portal `{text}` is not an address and a port, like `10.0.0.1:3260`");
    if text.is_empty() {
        return Ok((String::new(), PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (text, PORT),
    };
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

impl Line {
    /// Look at the functions that matter. Walks the tree the first time, and when `afresh`.
    pub(super) async fn iscsi_boot(&self, place: &Place, system: Option<&System>, afresh: bool) -> Result<Option<IscsiBoot>, Fault> {
        let seen = self.functions(place, system, if afresh { Read::Walking } else { Read::Anew }).await?;
        Ok(seen.iter().find(|s| s.boot.is_set()).or(seen.first()).map(|s| s.boot.config()))
    }

    pub(super) async fn set_iscsi_boot(&self, place: &Place, want: &IscsiBoot, deadline: &Deadline) -> Result<(), Fault> {
        let seen = self.functions(place, None, Read::JustNow).await?;
        let Some(first) = seen.iter().find(|s| s.boot.is_set()).or(seen.first()) else {
            let why = "no adapter function has `iSCSIBoot`; use `boot.via: redfish_override` or a hook";
            return if want.is_clear() { Ok(()) } else { Err(Fault::refused(format!("{}: {why}", self.shown(&place.url)))) };
        };
        let clear = IscsiBoot::default();
        let mut written = false;
        for one in seen.iter().filter(|s| s.boot.is_set() || Arc::ptr_eq(&s.function, &first.function)) {
            let ours = Arc::ptr_eq(&one.function, &first.function);
            let result = self.write_function(one, if ours { want } else { &clear }, deadline).await;
            result.map_err(|fault| if written { Fault::unknown(fault.detail) } else { fault })?;
            written = true;
        }
        Ok(())
    }

    async fn write_function(&self, seen: &Seen, want: &IscsiBoot, deadline: &Deadline) -> Result<(), Fault> {
        let shown = self.shown(&seen.function.url);
        let change = seen.boot.change(want).map_err(|why| Fault::refused(format!("{shown}: {why}")))?;
        let mut body = Map::from_iter([("iSCSIBoot".to_owned(), Value::Object(change))]);
        if !want.is_clear() && seen.body.mode.as_deref().is_some_and(|mode| mode != "iSCSI") {
            body.insert("BootMode".into(), json!("iSCSI"));
        }
        let settings = seen.body.settings.as_ref().and_then(|s| Some((s, s.object.0.as_deref()?)));
        let url = match settings {
            Some((settings, path)) => {
                apply_time(settings, &mut body);
                self.address.url(path)?
            }
            None => seen.function.url.clone(),
        };
        let known = settings.is_none().then_some(&*seen.answer);
        let answer = self.patch(&url, &Value::Object(body), known, deadline).await?;
        if settings.is_some() {
            *seen.function.written() = Some(want.clone());
        }
        self.follow(&answer).await
    }

    /// The functions that matter, as they are now; those with a target set come first among equals in the BMC's order.
    async fn functions(&self, place: &Place, system: Option<&System>, how: Read) -> Result<Vec<Seen>, Fault> {
        let mut known = place.iscsi.lock().await;
        if let Some(functions) = known.as_ref().filter(|_| how != Read::Walking) {
            let mut seen = Vec::with_capacity(functions.len());
            for function in functions {
                let answer = if how == Read::JustNow { self.get_recent(&function.url).await } else { self.get(&function.url).await };
                seen.extend(self.seen(Arc::clone(function), answer.map_err(Fault::from)?).await?);
            }
            return Ok(seen);
        }
        let own;
        let system = match system {
            Some(system) => system,
            None => {
                let answer = self.get(&place.url).await.map_err(Fault::from)?;
                own = answer.parse::<System>(&self.shown(&place.url))?;
                &own
            }
        };
        let before = known.clone().unwrap_or_default();
        let seen = self.walk(system, &before).await?;
        *known = Some(seen.iter().map(|s| Arc::clone(&s.function)).collect());
        Ok(seen)
    }

    /// Every function of the system's own adapters that has a target set; if none has, the first that has `iSCSIBoot`.
    async fn walk(&self, system: &System, before: &[Arc<Function>]) -> Result<Vec<Seen>, Fault> {
        let mut seen = Vec::new();
        if let Some(interfaces) = system.network_interfaces.0.as_deref() {
            self.walk_adapters(interfaces, before, &mut seen).await?;
        }
        if seen.is_empty() {
            for path in paths(system.links.as_ref().and_then(|l| l.chassis.as_ref())) {
                let chassis = self.there::<Chassis>(&path).await?.unwrap_or_default();
                // An enclosure's adapters may be another blade's: writing there could clear a machine that runs.
                let shared = chassis.links.and_then(|l| l.systems).is_some_and(|s| s.len() > 1);
                if let Some(adapters) = chassis.adapters.0.as_deref().filter(|_| !shared) {
                    self.walk_adapters(adapters, before, &mut seen).await?;
                }
            }
        }
        if seen.iter().any(|s: &Seen| s.boot.is_set()) {
            // Those that open something first; each look asks the others too, as far as there are not too many.
            seen.sort_by_key(|s| !s.boot.is_set());
            let set = seen.iter().filter(|s| s.boot.is_set()).count();
            seen.truncate(set.max(ASKED_MAX));
        } else {
            seen.truncate(ASKED_MAX);
        }
        Ok(seen)
    }

    async fn walk_adapters(&self, collection: &str, before: &[Arc<Function>], seen: &mut Vec<Seen>) -> Result<(), Fault> {
        for path in self.members_there(collection).await? {
            let Some(functions) = self.there::<Adapter>(&path).await?.and_then(|a| a.functions.0) else { continue };
            for path in self.members_there(&functions).await? {
                let Ok(url) = self.address.url(&path) else { continue };
                let known = before.iter().find(|f| f.url == url).cloned();
                let function = known.unwrap_or_else(|| Arc::new(Function { url, written: Mutex::default() }));
                match self.get(&function.url).await {
                    Ok(answer) => seen.extend(self.seen(function, answer).await?),
                    Err(trouble) if trouble.says_missing() => {}
                    Err(trouble) => return Err(trouble.into()),
                }
            }
        }
        Ok(())
    }

    /// `None`: it has no `iSCSIBoot`.
    async fn seen(&self, function: Arc<Function>, answer: Arc<Answer>) -> Result<Option<Seen>, Fault> {
        let body: FunctionBody = answer.parse(&self.shown(&function.url))?;
        let Some(mut boot) = body.boot.clone() else { return Ok(None) };
        boot.asks_dhcp = boot.by_dhcp == Some(true) && body.mode.as_deref() == Some("iSCSI");
        if function.waits(&boot)
            && let Some(path) = body.settings.as_ref().and_then(|s| s.object.0.as_deref())
        {
            let url = self.address.url(path)?;
            let pending: FunctionBody = self.get(&url).await.map_err(Fault::from)?.parse(&self.shown(&url))?;
            if let Some(pending) = pending.boot {
                boot = boot.overlaid(pending);
            }
        }
        boot.asks_dhcp = boot.by_dhcp == Some(true) && body.mode.as_deref() == Some("iSCSI");
        Ok(Some(Seen { function, answer, body, boot }))
    }
}

/// Where the BMC offers a choice, settings are applied at once, else at the next reset. Some (iDRAC) make no job of a
/// change that does not say when.
pub(super) fn apply_time(settings: &Settings, body: &mut Map<String, Value>) {
    let offered = words(settings.apply_times.as_ref());
    if let Some(time) = ["Immediate", "OnReset"].into_iter().find(|t| offered.iter().any(|o| o == t)) {
        body.insert("@Redfish.SettingsApplyTime".into(), json!({ "ApplyTime": time }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals_are_taken_apart_and_put_together_again() {
        for (text, host, port) in
            [("10.0.0.1:3261", "10.0.0.1", 3261), ("10.0.0.1", "10.0.0.1", PORT), ("[fe80::1]:9", "fe80::1", 9), ("", "", PORT)]
        {
            assert_eq!(portal(text), Ok((host.to_owned(), port)), "{text}");
        }
        assert!(portal("10.0.0.1:x").is_err());
        let body = BootBody { target: Some("iqn.x".into()), address: Some("fe80::1".into()), ..BootBody::default() };
        assert_eq!(body.config().portal, "[fe80::1]:3260");
    }

    #[test]
    fn cleared_is_clear_and_a_second_target_is_not() {
        let cleared = BootBody { address: Some("0.0.0.0".into()), port: Some(3260.0), ..BootBody::default() };
        assert_eq!(cleared.config(), IscsiBoot::default());
        let second = BootBody { second_target: Some("iqn.x".into()), ..cleared };
        assert!(second.is_set() && !second.config().is_clear());
        let change = second.change(&IscsiBoot::default()).expect("change");
        assert_eq!((change["PrimaryTargetName"].as_str(), change["SecondaryTargetName"].as_str()), (Some(""), Some("")));
    }
}
