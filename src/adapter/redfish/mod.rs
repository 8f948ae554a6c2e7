//! Redfish BMCs: [`crate::ports::Bmc`] over HTTP.
//!
//! - `line`: one BMC, its connection and how a request is made; `session`: its login; `trouble`: what a failure means
//! - `system`: the ComputerSystem and how it reads; `reset`, `boot`, `iscsi`: what is changed; `facts`: what is
//!   learnt by every plan, `survey`: what only a full reading gives
//! - `pace`: how long this BMC takes, and so how long it is waited for
//! - `wire`: decoding without trust; `quirks`: what BMCs do otherwise than the specifications say, each by its name
//! - `tls`, `address`: who may answer, and where requests may go
//!
//! Nothing here decides: an acknowledgement is told as one, and a look tells what it saw.

mod address;
mod boot;
mod facts;
mod iscsi;
mod line;
mod look;
mod message;
mod pace;
pub mod quirks;
mod reset;
mod session;
mod survey;
mod system;
pub(in crate::adapter) mod tls;
mod trouble;
mod wire;

use crate::model::*;
use crate::ports::{Bmc, Deadline, Secrets};
use address::Address;
use async_trait::async_trait;
use line::Line;
use session::Credentials;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How many BMCs are logged out of at once.
const CLOSING_AT_ONCE: usize = 64;

/// What holds for one BMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// BMCs are small: more than one request at a time makes many of them fail.
    pub requests_at_once: usize,
    /// For one request and its answer, connecting included. A POST or PATCH that takes longer has an unknown result. A
    /// command that could not be begun within twice this, because the BMC was busy, is not sent at all; so a reset that
    /// is asked for now is sent within three of these or never (rule S6).
    pub request_timeout: Duration,
    /// For a read with all its repetitions.
    pub read_time: Duration,
    /// How long a task that a command became is followed. Its end decides nothing.
    pub task_time: Duration,
}

/// Limits for a BMC that needs its own; `None`: the common ones.
pub type Overrides = Arc<dyn Fn(&BmcEndpoint) -> Option<Limits> + Send + Sync>;

#[derive(Clone)]
pub struct RedfishOptions {
    pub requests_at_once_per_bmc: usize,
    /// Over all BMCs together: bounds sockets and memory.
    pub total_at_once: usize,
    pub request_timeout: Duration,
    /// TCP and TLS together.
    pub connect_timeout: Duration,
    pub read_time: Duration,
    pub task_time: Duration,
    /// How long an unused connection is kept. BMCs cut theirs without notice, and a command that meets a cut one has an
    /// unknown result; so this is short.
    pub idle_timeout: Duration,
    pub overrides: Option<Overrides>,
}

impl Default for RedfishOptions {
    fn default() -> RedfishOptions {
        RedfishOptions {
            requests_at_once_per_bmc: 1,
            total_at_once: 2000,
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(4),
            read_time: Duration::from_secs(30),
            task_time: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(5),
            overrides: None,
        }
    }
}

impl fmt::Debug for RedfishOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedfishOptions").field("limits", &self.limits()).field("total_at_once", &self.total_at_once).finish_non_exhaustive()
    }
}

impl RedfishOptions {
    /// The common limits: a start for an override.
    pub fn limits(&self) -> Limits {
        Limits {
            requests_at_once: self.requests_at_once_per_bmc,
            request_timeout: self.request_timeout,
            read_time: self.read_time,
            task_time: self.task_time,
        }
    }
}

/// Who is asked how: two endpoints that agree in this share a connection, a session and a place in the queue.
struct Known {
    username: Option<Sensitive>,
    password: Option<SecretRef>,
    tls: TlsTrust,
    line: Arc<Line>,
}

/// Every BMC holds a connection: as many files as the system lets this process have.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If it does not work, a connection says so later.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// All BMCs.
pub struct Redfish {
    options: RedfishOptions,
    secrets: Arc<dyn Secrets>,
    channels: tls::Channels,
    everyone: Arc<Semaphore>,
    /// By address.
    lines: Mutex<HashMap<String, Vec<Known>>>,
}

impl Redfish {
    pub fn new(options: RedfishOptions, secrets: Arc<dyn Secrets>) -> Redfish {
        raise_file_limit();
        Redfish {
            channels: tls::Channels::new(options.clone()),
            everyone: Arc::new(Semaphore::new(options.total_at_once.max(1))),
            lines: Mutex::default(),
            options,
            secrets,
        }
    }

    fn line(&self, at: &BmcEndpoint) -> Result<Arc<Line>, Fault> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |k: &&Known| k.username == at.username && k.password == at.password && k.tls == at.tls;
        if let Some(known) = lines.get(&at.address).and_then(|known| known.iter().find(same)) {
            return Ok(Arc::clone(&known.line));
        }
        let line = Arc::new(self.open(at)?);
        lines.entry(at.address.clone()).or_default().push(Known {
            username: at.username.clone(),
            password: at.password.clone(),
            tls: at.tls.clone(),
            line: Arc::clone(&line),
        });
        Ok(line)
    }

    fn open(&self, at: &BmcEndpoint) -> Result<Line, Fault> {
        let address = Address::parse(&at.address)?;
        let channel = if address.is_plain() { self.channels.plain()? } else { self.channels.channel(&at.tls, address.host())? };
        let credentials = match (&at.username, &at.password) {
            (Some(username), Some(password)) => {
                Some(Credentials { username: username.clone(), password: password.clone(), secrets: Arc::clone(&self.secrets) })
            }
            (None, None) => None,
            _ => return Err(Fault::refused(format!("{}: set both `bmc.username` and `bmc.password`, or neither", address.shown()))),
        };
        let own = self.options.overrides.as_ref().and_then(|of| of(at));
        let limits = own.unwrap_or_else(|| self.options.limits());
        Ok(Line::new(address, at.tls.clone(), channel, credentials, limits, Arc::clone(&self.everyone)))
    }

    /// A short reading, and the ComputerSystem that it was made from.
    /// `whole`: where what the adapters open cannot be told, that is unknown and the rest is not spoilt by it.
    async fn described(&self, at: &BmcEndpoint, asked: Further, whole: bool) -> Result<(SystemReport, Arc<line::Answer>), Fault> {
        let line = self.line(at)?;
        let place = line.place(at.system.as_deref()).await?;
        let (look, answer) = line.look_closely(&place).await?;
        if look.is_empty() {
            return Err(Fault::answered(format!("{} answered with next to nothing; the BMC may be restarting", line.shown(&place.url))));
        }
        let system: facts::System = answer.parse(&line.shown(&place.url))?;
        let reading = look.reading();
        let reset_types = match look.reset_ability() {
            Some(ability) => reset::known(&line.allowable(&place, &ability).await?),
            None => Some(Vec::new()),
        };
        let boot = if asked.iscsi_boot { line.iscsi_boot(&place, Some(&system), true).await.map(Some) } else { Ok(None) };
        let boot = match boot {
            Err(fault) if whole && !fault.is_silence() => None,
            boot => boot?,
        };
        let (iscsi_boot_unread, iscsi_boot) = (boot.is_none(), boot.flatten());
        let abilities = BmcAbilities {
            reset_types,
            iscsi_boot: iscsi_boot.is_some(),
            iscsi_boot_unread,
            boot_progress: reading.boot_progress.is_some(),
            override_targets: look.boot.as_ref().map(|b| wire::words(b.targets.as_ref())).unwrap_or_default(),
        };
        let facts = line.facts(&system, asked).await?;
        let system = line.address.bare(&place.url);
        Ok((SystemReport { reading, facts, abilities, iscsi_boot, asked, system, in_full: false, unread: Vec::new() }, answer))
    }
}

/// Of a command only the reads that go before it are merely answered: it was not sent.
fn unsent(fault: Fault) -> Fault {
    if fault.kind == FaultKind::Answered { Fault::transient(fault.detail) } else { fault }
}

#[async_trait]
impl Bmc for Redfish {
    async fn read(&self, at: &BmcEndpoint) -> Result<SystemReading, Fault> {
        let (line, began) = (self.line(at)?, Instant::now());
        let look = async { line.look(&*line.place(at.system.as_deref()).await?).await };
        Ok(look.await.map_err(|fault| line.unless_heard(began, fault))?.reading())
    }

    fn heard(&self, at: &BmcEndpoint, since: std::time::Instant) -> bool {
        self.line(at).is_ok_and(|line| line.heard_since(since.into()))
    }

    async fn report(&self, at: &BmcEndpoint, asked: Further) -> Result<SystemReport, Fault> {
        let (line, began) = (self.line(at)?, Instant::now());
        Ok(self.described(at, asked, false).await.map_err(|fault| line.unless_heard(began, fault))?.0)
    }

    async fn survey(&self, at: &BmcEndpoint) -> Result<SystemReport, Fault> {
        let (line, began) = (self.line(at)?, Instant::now());
        let described = self.described(at, Further::ALL, true).await;
        let (mut report, answer) = described.map_err(|fault| line.unless_heard(began, fault))?;
        let body = answer.parse(&report.system)?;
        let walk = line.survey(&report.system, &body, &mut report.facts);
        let too_long = || format!("reading it took longer than {} s", survey::FULL_TIME.as_secs());
        report.unread = tokio::time::timeout(survey::FULL_TIME, walk).await.map_err(|_| Fault::transient(too_long()))?;
        report.in_full = true;
        Ok(report)
    }

    async fn systems(&self, at: &BmcEndpoint) -> Result<Vec<String>, Fault> {
        match &at.system {
            Some(system) => Ok(vec![system.clone()]),
            None => self.line(at)?.machines().await,
        }
    }

    async fn reset(&self, at: &BmcEndpoint, reset: ResetType, deadline: &Deadline) -> Result<(), Fault> {
        let line = self.line(at)?;
        let place = line.place(at.system.as_deref()).await.map_err(unsent)?;
        line.reset(&place, reset, deadline).await.map_err(unsent)
    }

    async fn iscsi_boot(&self, at: &BmcEndpoint) -> Result<Option<IscsiBoot>, Fault> {
        let line = self.line(at)?;
        let place = line.place(at.system.as_deref()).await?;
        line.iscsi_boot(&place, None, false).await
    }

    async fn set_boot(&self, at: &BmcEndpoint, settings: &BootSettings, deadline: &Deadline) -> Result<(), Fault> {
        let line = self.line(at)?;
        let place = line.place(at.system.as_deref()).await.map_err(unsent)?;
        if let Some(iscsi) = &settings.iscsi {
            line.set_iscsi_boot(&place, iscsi, deadline).await.map_err(unsent)?;
        }
        if let Some(boot) = &settings.boot_override {
            // With the first half written, nobody can say that nothing happened.
            let half = |fault: Fault| if settings.iscsi.is_some() { Fault::unknown(fault.detail) } else { unsent(fault) };
            line.set_override(&place, boot, deadline).await.map_err(half)?;
        }
        Ok(())
    }

    async fn set_restore_policy(&self, at: &BmcEndpoint, policy: PowerRestorePolicy, deadline: &Deadline) -> Result<(), Fault> {
        let line = self.line(at)?;
        let place = line.place(at.system.as_deref()).await.map_err(unsent)?;
        line.set_restore_policy(&place, policy, deadline).await.map_err(unsent)
    }

    async fn close(&self) {
        let lines: Vec<Arc<Line>> = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.values().flatten().map(|known| Arc::clone(&known.line)).collect()
        };
        let turns = Arc::new(Semaphore::new(CLOSING_AT_ONCE));
        let mut closing = tokio::task::JoinSet::new();
        for line in lines {
            let turns = Arc::clone(&turns);
            closing.spawn(async move {
                let _turn = turns.acquire_owned().await;
                line.log_out().await;
            });
        }
        while closing.join_next().await.is_some() {}
    }
}
