//! The ComputerSystem: which one, how its power reads, and who answers.

use super::facts::restore_policy;
use super::line::{Answer, Line};
use super::session::Auth;
use super::trouble::Trouble;
use super::wire::{Item, Link, Word, flag, list, part, paths, text, words};
use crate::model::{BootOverride, BootProgress, Fault, Identity, PowerState, SystemReading};
use reqwest::Url;
use serde::Deserialize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// What the ServiceRoot links to.
#[derive(Clone, Debug, Default)]
pub(super) struct Root {
    pub systems: Option<String>,
    pub sessions: Option<String>,
    pub updates: Option<String>,
    /// It says that it can answer a collection with its members in it.
    pub expands: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RootBody {
    #[serde(rename = "Systems")]
    systems: Link,
    #[serde(rename = "UpdateService")]
    updates: Link,
    #[serde(rename = "Links", deserialize_with = "part")]
    links: Option<RootLinks>,
    #[serde(rename = "ProtocolFeaturesSupported", deserialize_with = "part")]
    features: Option<Features>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RootLinks {
    #[serde(rename = "Sessions")]
    sessions: Link,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Features {
    #[serde(rename = "ExpandQuery", deserialize_with = "part")]
    expand: Option<ExpandQuery>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ExpandQuery {
    #[serde(rename = "NoLinks", deserialize_with = "flag")]
    no_links: Option<bool>,
    #[serde(rename = "Levels", deserialize_with = "flag")]
    levels: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Collection {
    #[serde(rename = "Members", deserialize_with = "list")]
    pub members: Option<Vec<Link>>,
    #[serde(rename = "Members@odata.nextLink", deserialize_with = "text")]
    pub next: Option<String>,
}

/// The parts of a ComputerSystem that a look needs. Small on purpose: it is read thousands of times.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Look {
    #[serde(rename = "UUID", deserialize_with = "text")]
    uuid: Option<String>,
    #[serde(rename = "SerialNumber", deserialize_with = "text")]
    serial: Option<String>,
    #[serde(rename = "PowerState", deserialize_with = "text")]
    power: Option<String>,
    #[serde(rename = "BootProgress", deserialize_with = "part")]
    progress: Option<Progress>,
    #[serde(rename = "Boot", deserialize_with = "part")]
    pub boot: Option<Boot>,
    #[serde(rename = "Actions", deserialize_with = "part")]
    actions: Option<Actions>,
    #[serde(rename = "PowerRestorePolicy", deserialize_with = "text")]
    restore: Option<String>,
    #[serde(rename = "@Redfish.Settings", deserialize_with = "part")]
    pub settings: Option<Settings>,
    #[serde(rename = "@odata.etag", deserialize_with = "text")]
    pub etag: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Progress {
    #[serde(rename = "LastState", deserialize_with = "text")]
    last: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Boot {
    #[serde(rename = "BootSourceOverrideTarget", deserialize_with = "text")]
    pub target: Option<String>,
    #[serde(rename = "BootSourceOverrideEnabled", deserialize_with = "text")]
    pub enabled: Option<String>,
    #[serde(rename = "BootSourceOverrideTarget@Redfish.AllowableValues", deserialize_with = "list")]
    pub targets: Option<Vec<Word>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Actions {
    #[serde(rename = "#ComputerSystem.Reset", deserialize_with = "part")]
    reset: Option<ResetAction>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResetAction {
    #[serde(deserialize_with = "text")]
    target: Option<String>,
    #[serde(rename = "ResetType@Redfish.AllowableValues", deserialize_with = "list")]
    allowable: Option<Vec<Word>>,
    #[serde(rename = "@Redfish.ActionInfo")]
    info: Link,
}

/// `@Redfish.Settings`: changes are written to another resource and come into force later.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Settings {
    #[serde(rename = "SettingsObject")]
    pub object: Link,
    #[serde(rename = "SupportedApplyTimes", deserialize_with = "list")]
    pub apply_times: Option<Vec<Word>>,
}

/// How a system is reset, as it said when it was last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResetAbility {
    pub target: String,
    /// Inline. Empty: it does not say here.
    pub allowable: Vec<String>,
    pub info: Option<String>,
}

/// One system and what is remembered of it between requests.
pub(super) struct Place {
    pub url: Url,
    /// The last answer and what it meant: most looks find the very same text.
    last: Mutex<Option<(Arc<Answer>, Arc<Look>)>>,
    reset: Mutex<Option<Arc<ResetAbility>>>,
    /// The allowable values that ActionInfo gave.
    pub(super) by_info: tokio::sync::OnceCell<Vec<String>>,
    /// Adapter functions that matter for iSCSI boot.
    pub(super) iscsi: tokio::sync::Mutex<Option<Vec<Arc<super::iscsi::Function>>>>,
    /// This process has written the boot override through a settings resource: what it holds is what will be.
    pub(super) override_pending: AtomicBool,
}

impl Place {
    fn new(url: Url) -> Place {
        Place {
            url,
            last: Mutex::default(),
            reset: Mutex::default(),
            by_info: tokio::sync::OnceCell::new(),
            iscsi: tokio::sync::Mutex::default(),
            override_pending: AtomicBool::new(false),
        }
    }

    pub(super) fn reset_ability(&self) -> Option<Arc<ResetAbility>> {
        self.reset.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn meaning(&self, answer: &Answer) -> Option<Arc<Look>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(known, _)| known.body == answer.body).map(|(_, look)| Arc::clone(look))
    }

    pub(super) fn remember(&self, answer: &Arc<Answer>, look: &Arc<Look>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(answer), Arc::clone(look)));
        let ability = look.reset_ability();
        let mut known = self.reset.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != ability.as_ref() {
            *known = ability.map(Arc::new);
        }
    }
}

impl Look {
    /// An answer without any of the things that every system says is a BMC that has not woken up
    /// (`restart_answers_nothing`), not a system without them.
    pub(super) fn is_empty(&self) -> bool {
        self.uuid.is_none() && self.serial.is_none() && self.power.is_none() && self.actions.is_none() && self.boot.is_none()
    }

    pub(super) fn reset_ability(&self) -> Option<ResetAbility> {
        let reset = self.actions.as_ref()?.reset.as_ref()?;
        Some(ResetAbility { target: reset.target.clone()?, allowable: words(reset.allowable.as_ref()), info: reset.info.0.clone() })
    }

    pub(super) fn reading(&self) -> SystemReading {
        SystemReading {
            power: power_state(self.power.as_deref()),
            identity: Identity::clean(self.uuid.as_deref(), self.serial.as_deref()),
            boot_progress: self.progress.as_ref().and_then(|p| boot_progress(p.last.as_deref()?)),
            boot_override: self.boot.as_ref().map(Boot::asked).unwrap_or_default(),
            restore_policy: self.restore.as_deref().and_then(restore_policy),
            power_unknown: None,
            recorded: None,
        }
    }
}

impl Boot {
    pub(super) fn asked(&self) -> BootOverride {
        BootOverride { target: self.target.clone(), enabled: self.enabled.clone() }
    }
}

/// Only the five words of DSP0268 are states (`power_state_null`).
fn power_state(text: Option<&str>) -> PowerState {
    match text {
        Some("On") => PowerState::On,
        Some("Off") => PowerState::Off,
        Some("PoweringOn") => PowerState::PoweringOn,
        Some("PoweringOff") => PowerState::PoweringOff,
        Some("Paused") => PowerState::Paused,
        _ => PowerState::Unknown,
    }
}

/// `OEM` says nothing that can be compared.
fn boot_progress(last: &str) -> Option<BootProgress> {
    match last {
        "OSRunning" => Some(BootProgress::OsRunning),
        "OSBootStarted" => Some(BootProgress::OsBootStarted),
        "OEM" => None,
        _ => Some(BootProgress::Firmware),
    }
}

impl Line {
    /// The ServiceRoot, read once. It must be readable without a login (DSP0266); where it is not, `auth` is used.
    pub(super) async fn root(&self, auth: &Auth) -> Result<&Root, Trouble> {
        self.root.get_or_try_init(|| self.read_root(auth)).await
    }

    async fn read_root(&self, auth: &Auth) -> Result<Root, Trouble> {
        let url = self.address.url("/redfish/v1/")?;
        let answer = match self.fetch(&url, auth).await {
            Err(trouble) if trouble.status == Some(reqwest::StatusCode::NOT_FOUND) => {
                self.fetch(&self.address.url("/redfish/v1")?, auth).await?
            }
            result => result?,
        };
        let body: RootBody = answer.parse(&self.shown(&url))?;
        let expand = body.features.and_then(|f| f.expand).unwrap_or_default();
        Ok(Root {
            systems: body.systems.0,
            updates: body.updates.0,
            sessions: body.links.and_then(|l| l.sessions.0),
            expands: expand.no_links == Some(true) && expand.levels == Some(true),
        })
    }

    /// The system that is meant: the one named, or the only one. Never the first and never the last of several
    /// (`baseboard_among_systems`).
    pub(super) async fn place(&self, named: Option<&str>) -> Result<Arc<Place>, Fault> {
        let key = named.map(str::to_owned);
        if let Some(place) = self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(place));
        }
        let url = match named {
            Some(path) => self.address.url(path)?,
            None => self.only_system().await?,
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(places.entry(key).or_insert_with(|| Arc::new(Place::new(url)))))
    }

    async fn only_system(&self) -> Result<Url, Fault> {
        let auth = self.authorised().await?;
        let address = self.address.shown();
        let systems = match self.root(&auth).await.map_err(Fault::from)?.systems.as_deref() {
            Some(path) => self.address.url(path)?,
            None => {
                return Err(Fault::answered(format!("{address} does not say where its systems are; if this stays so, set `bmc.system`")));
            }
        };
        let mut found = Vec::new();
        let mut next = Some(systems);
        // Two pages are enough to know that there are several.
        for _ in 0..2 {
            let Some(url) = next.take() else { break };
            let page: Collection = self.get(&url).await.map_err(Fault::from)?.parse(&self.shown(&url))?;
            found.extend(paths(page.members.as_ref()));
            next = page.next.map(|n| self.address.url(&n)).transpose()?;
        }
        match found.as_slice() {
            [] => Err(Fault::answered(format!("{address} has no system; if this stays so, set `bmc.system`"))),
            [one] => self.address.url(one),
            several => {
                let names: Vec<String> = several.iter().map(|s| format!("`{s}`")).collect();
                Err(Fault::refused(format!(
                    "{address} has {} systems: {}; name one of them as `bmc.system`",
                    several.len(),
                    names.join(", ")
                )))
            }
        }
    }

    /// A collection's members: links, without those that cannot be read as links. `None`: the BMC does not show it.
    pub(super) async fn members(&self, path: &str) -> Result<Option<Vec<String>>, Fault> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next.take() {
            let Some(page) = self.optional::<Collection>(&path).await? else { return Ok(None) };
            found.extend(paths(page.members.as_ref()));
            next = page.next.filter(|_| found.len() < MEMBERS_MAX);
        }
        found.truncate(MEMBERS_MAX);
        Ok(Some(found))
    }

    /// A resource that may be missing, and nothing else: `None` where the BMC says that there is no such thing. Any other
    /// answer that is no success leaves open what it holds (rule S1: a firmware that cannot be read is not one that opens
    /// nothing).
    pub(super) async fn there<T: serde::de::DeserializeOwned + Default>(&self, path: &str) -> Result<Option<T>, Fault> {
        let Ok(url) = self.address.url(path) else { return Ok(None) };
        match self.get(&url).await {
            Ok(answer) => answer.parse(&self.shown(&url)).map(Some),
            Err(trouble) if trouble.says_missing() => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// [`Line::members`] of what is [`Line::there`].
    pub(super) async fn members_there(&self, path: &str) -> Result<Vec<String>, Fault> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next.take() {
            let page = self.there::<Collection>(&path).await?.unwrap_or_default();
            found.extend(paths(page.members.as_ref()));
            next = page.next.filter(|_| found.len() < MEMBERS_MAX);
        }
        found.truncate(MEMBERS_MAX);
        Ok(found)
    }

    /// A resource that may be missing, forbidden or broken (`tree_half_forbidden`): any answer that is no success is
    /// `None`. Silence is a fault: nothing is known then.
    pub(super) async fn optional<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Fault> {
        let Ok(url) = self.address.url(path) else { return Ok(None) };
        match self.get(&url).await {
            Ok(answer) => Ok(serde_json::from_slice::<Item<T>>(&answer.body).ok().and_then(|i| i.0)),
            Err(trouble) if trouble.status.is_some_and(|s| s != reqwest::StatusCode::UNAUTHORIZED) => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }
}

/// More members than any machine has.
pub(super) const MEMBERS_MAX: usize = 256;
