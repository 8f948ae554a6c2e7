//! Who may ask: basic authentication, sessions and their limit.

use super::fleet::Fleet;
use super::machine::Machine;
use super::reply::{Answer, Message, bad_property, error, malformed, unauthorized};
use super::spec::Credentials;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use base64::Engine as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// `SessionTimeout`: sessions unused for so long are gone.
pub(super) const IDLE: Duration = Duration::from_secs(1800);

struct Session {
    id: u64,
    token: String,
    user: String,
    used: Instant,
}

/// The sessions of one BMC.
#[derive(Default)]
pub(super) struct Sessions {
    open: Vec<Session>,
    counted: u64,
    /// The most at once.
    pub peak: usize,
}

impl Sessions {
    fn expire(&mut self) {
        self.open.retain(|s| s.used.elapsed() < IDLE);
    }

    /// None: no more than `limit` at once.
    fn login(&mut self, user: &str, limit: u32) -> Option<(u64, String)> {
        self.expire();
        if self.open.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            return None;
        }
        self.counted += 1;
        let token = uuid::Uuid::new_v4().simple().to_string();
        self.open.push(Session { id: self.counted, token: token.clone(), user: user.to_owned(), used: Instant::now() });
        self.peak = self.peak.max(self.open.len());
        Some((self.counted, token))
    }

    pub(super) fn logout(&mut self, id: &str) -> bool {
        let before = self.open.len();
        self.open.retain(|s| s.id.to_string() != id);
        self.open.len() < before
    }

    fn knows(&mut self, token: &str) -> bool {
        self.expire();
        let found = self.open.iter_mut().find(|s| s.token == token);
        found.map(|s| s.used = Instant::now()).is_some()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.open.iter().map(|s| s.id.to_string()).collect()
    }

    pub(super) fn user(&self, id: &str) -> Option<String> {
        self.open.iter().find(|s| s.id.to_string() == id).map(|s| s.user.clone())
    }
}

fn basic(value: &str, want: &Credentials) -> bool {
    let Some(encoded) = value.strip_prefix("Basic ") else { return false };
    let Ok(decoded) = base64::engine::general_purpose::STANDARD.decode(encoded.trim()) else { return false };
    decoded == format!("{}:{}", want.username, want.password).as_bytes()
}

/// May this request be answered at all? A token that is no good is refused even where no password is asked for: so do
/// clients learn that their session has gone.
pub(super) fn allowed(fleet: &Fleet, machine: &Machine, headers: &HeaderMap) -> bool {
    if let Some(token) = headers.get("x-auth-token") {
        return token.to_str().is_ok_and(|t| machine.state().sessions.knows(t));
    }
    let Some(want) = &fleet.auth else { return true };
    headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).is_some_and(|v| basic(v, want))
}

/// POST to Sessions.
pub(super) fn login(fleet: &Fleet, machine: &Machine, body: Option<&Value>) -> Answer {
    let Some(body) = body else { return malformed() };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let Some(user) = text("UserName") else { return bad_property("PropertyMissing", "UserName", "is required and was not there") };
    let Some(password) = text("Password") else { return bad_property("PropertyMissing", "Password", "is required and was not there") };
    if fleet.auth.as_ref().is_some_and(|want| want.username != user || want.password != password) {
        return unauthorized();
    }
    let Some((id, token)) = machine.state().sessions.login(user, machine.spec.session_limit) else {
        let text = "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.";
        let resolution = "Reduce the number of other sessions before trying to establish the session.";
        let message = Message { id: "SessionLimitExceeded", text: text.into(), args: &[], resolution };
        return error(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let location = machine.at(&format!("/SessionService/Sessions/{id}"));
    Answer::json(StatusCode::CREATED, &resource(machine, &id.to_string(), user))
        .with(header::LOCATION, location)
        .with(HeaderName::from_static("x-auth-token"), token)
}

pub(super) fn resource(machine: &Machine, id: &str, user: &str) -> Value {
    json!({
        "@odata.id": machine.at(&format!("/SessionService/Sessions/{id}")),
        "@odata.type": "#Session.v1_7_2.Session",
        "Id": id,
        "Name": "User Session",
        "UserName": user,
    })
}
