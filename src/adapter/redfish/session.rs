//! Who we are to a BMC: nobody, a session, or a name and password with each request.
//!
//! A BMC has 4 to 16 sessions and keeps forgotten ones for half an hour, so there is one, opened when it is first needed
//! and closed by [`Line::log_out`]. Where SessionService is absent or refuses (sushy-tools answers 401 or 404; a full
//! session table 503 or 400), basic authentication is used for the rest of the process.

use super::line::{Command, Line};
use super::wire::Link;
use crate::adapter::secrets::blocking_reveal;
use crate::model::{Fault, FaultKind, SecretRef, Sensitive};
use crate::ports::{Deadline, Secrets};
use base64::Engine;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Logging out must not hold up the end of a run.
const LOG_OUT_LIMIT: Duration = Duration::from_secs(3);

/// Before a login is tried a second time.
const AGAIN: Duration = Duration::from_millis(200);

static TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// What goes with each request.
pub(super) enum Auth {
    Nobody,
    Basic(HeaderValue),
    Session { token: HeaderValue, url: Option<Url> },
}

impl Auth {
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Auth::Nobody => None,
            Auth::Basic(value) => headers.insert(header::AUTHORIZATION, value.clone()),
            Auth::Session { token, .. } => headers.insert(TOKEN.clone(), token.clone()),
        };
    }
}

/// Where name and password come from. The texts are read at login and not kept.
pub(super) struct Credentials {
    pub username: Sensitive,
    pub password: SecretRef,
    pub secrets: Arc<dyn Secrets>,
}

struct Revealed {
    username: SecretString,
    password: SecretString,
}

impl Credentials {
    async fn reveal(&self) -> Result<Revealed, Fault> {
        let username = match &self.username {
            Sensitive::Plain(name) => name.clone().into(),
            Sensitive::Secret(secret) => blocking_reveal(&self.secrets, secret).await?,
        };
        Ok(Revealed { username, password: blocking_reveal(&self.secrets, &self.password).await? })
    }
}

impl Revealed {
    fn basic(&self) -> Result<Auth, Fault> {
        let pair = SecretString::from(format!("{}:{}", self.username.expose_secret(), self.password.expose_secret()));
        let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose_secret()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| Fault::refused("the credentials cannot be put into a header"))?;
        value.set_sensitive(true);
        Ok(Auth::Basic(value))
    }

    fn session_request(&self) -> Vec<u8> {
        serde_json::json!({"UserName": self.username.expose_secret(), "Password": self.password.expose_secret()}).to_string().into_bytes()
    }
}

/// The login of one BMC.
pub(super) struct Login {
    credentials: Option<Credentials>,
    now: Mutex<Option<Arc<Auth>>>,
    /// One login at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Login {
    pub(super) fn new(credentials: Option<Credentials>) -> Login {
        let now = credentials.is_none().then(|| Arc::new(Auth::Nobody));
        Login { credentials, now: Mutex::new(now), turn: tokio::sync::Mutex::default() }
    }

    fn now(&self) -> Option<Arc<Auth>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, auth: Option<Arc<Auth>>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = auth;
    }
}

impl Line {
    /// Logged in, now or before.
    pub(super) async fn authorised(&self) -> Result<Arc<Auth>, Fault> {
        match self.login.now() {
            Some(auth) => Ok(auth),
            None => self.log_in(None).await,
        }
    }

    /// The session `old` was not accepted: another one, unless somebody else has logged in since. Name and password that
    /// were refused are not tried again, so that no account is locked.
    pub(super) async fn renewed(&self, old: &Arc<Auth>) -> Result<Arc<Auth>, Fault> {
        match **old {
            Auth::Session { .. } => self.log_in(Some(old)).await,
            Auth::Nobody => Err(Fault::refused(format!("{} wants a login: set `bmc.username` and `bmc.password`", self.address.shown()))),
            Auth::Basic(_) => {
                Err(Fault::refused(format!("{} does not accept the login; check `bmc.username` and `bmc.password`", self.address.shown())))
            }
        }
    }

    async fn log_in(&self, old: Option<&Arc<Auth>>) -> Result<Arc<Auth>, Fault> {
        let _turn = self.login.turn.lock().await;
        if let Some(now) = self.login.now()
            && old.is_none_or(|old| !Arc::ptr_eq(old, &now))
        {
            return Ok(now);
        }
        let Some(credentials) = &self.login.credentials else { return Ok(Arc::new(Auth::Nobody)) };
        let revealed = credentials.reveal().await?;
        // A login that got lost is no reason to call a BMC silent.
        let opened = match self.open_session(&revealed).await {
            Err(fault) if fault.kind == FaultKind::Transient => {
                tokio::time::sleep(AGAIN).await;
                self.open_session(&revealed).await?
            }
            opened => opened?,
        };
        let auth = match opened {
            Some(session) => session,
            None => revealed.basic()?,
        };
        let auth = Arc::new(auth);
        self.login.set(Some(Arc::clone(&auth)));
        Ok(auth)
    }

    /// `None`: the BMC has no sessions for us. An error: it cannot be reached, and nothing was sent on anybody's behalf.
    async fn open_session(&self, revealed: &Revealed) -> Result<Option<Auth>, Fault> {
        let root = match self.root(&Auth::Nobody).await {
            Ok(root) => root,
            Err(trouble) if trouble.status.is_some() => return Ok(None),
            Err(trouble) => return Err(trouble.into()),
        };
        let Some(sessions) = &root.sessions else { return Ok(None) };
        let url = self.address.url(sessions)?;
        let body = revealed.session_request();
        let post = Command {
            method: Method::POST,
            url: &url,
            limit: self.limits.request_timeout,
            body: &body,
            if_match: None,
            not_after: self.not_after(),
            deadline: &Deadline::NONE,
        };
        match self.send_as(&post, &Auth::Nobody).await {
            Ok(answer) => {
                let from_body = || answer.parse::<LocationBody>("").ok().and_then(|b| b.id.0);
                let place = answer.header(header::LOCATION).map(str::to_owned).or_else(from_body);
                let url = place.and_then(|p| self.address.url(&p).ok());
                let Some(mut token) = answer.headers.get(&TOKEN).cloned() else { return Ok(None) };
                token.set_sensitive(true);
                Ok(Some(Auth::Session { token, url }))
            }
            Err(trouble) if trouble.status.is_some() => Ok(None),
            // A login that got lost has changed nothing that anybody asked for.
            Err(trouble) if trouble.fault.kind == FaultKind::Unknown => Err(Fault::transient(trouble.fault.detail)),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Close the session, if there is one. Errors are of no consequence: the BMC forgets it in time.
    pub(super) async fn log_out(&self) {
        if self.login.credentials.is_none() {
            return;
        }
        let Some(auth) = self.login.now() else { return };
        let Auth::Session { url: Some(url), .. } = &*auth else { return };
        self.login.set(None);
        let delete = Command {
            method: Method::DELETE,
            url,
            limit: LOG_OUT_LIMIT,
            body: b"",
            if_match: None,
            not_after: self.not_after(),
            deadline: &Deadline::NONE,
        };
        let _ = tokio::time::timeout(LOG_OUT_LIMIT, self.send_as(&delete, &auth)).await;
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct LocationBody {
    #[serde(rename = "@odata.id")]
    id: Link,
}
