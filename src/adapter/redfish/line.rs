//! One BMC: its connection, its login, and how a request is made.
//!
//! Reads are repeated within [`Limits::read_time`]; what changes anything is sent once. The two exceptions are answers
//! that say that nothing was done at all: 401 (the session has ended: log in again, once) and 412 (see `boot`).

use super::address::Address;
use super::pace::Pace;
use super::session::{Auth, Credentials, Login};
use super::system::{Place, Root};
use super::tls::{Channel, server_name};
use super::trouble::{self, Again, Trouble};
use super::{Limits, message};
use crate::adapter::gate::Gate;
use crate::model::{Fault, TlsTrust};
use crate::ports::Deadline;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Redfish resources are tens of kilobytes; anything beyond this is not one.
const BODY_BYTES_MAX: usize = 8 << 20;

/// So often is a read tried.
const READ_ATTEMPTS: u32 = 4;

/// A command is given this long at least: BMCs take longer to change something than to show it.
const COMMAND_MIN: Duration = Duration::from_secs(4);

const FIRST_PAUSE: Duration = Duration::from_millis(200);

const REDIRECTS_MAX: u32 = 3;

/// A look at a machine reads its system and its adapter functions.
const RECENT: usize = 4;
/// So old may an answer be that a change is written by.
const JUST_NOW: Duration = Duration::from_secs(2);

/// An answer, read whole. A body that broke off after the status is an empty body.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|v| !v.is_empty())
    }

    /// The body as `T`. A body that is not JSON says nothing: a BMC that restarts answers with anything.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self, shown: &str) -> Result<T, Fault> {
        let body = if self.body.is_empty() { b"null".as_slice() } else { &self.body };
        serde_json::from_slice::<super::wire::Item<T>>(body)
            .ok()
            .and_then(|item| item.0)
            .ok_or_else(|| Fault::answered(format!("GET {shown} answered with something that is not a JSON object")))
    }

    fn retry_after(&self) -> Option<Duration> {
        self.header(header::RETRY_AFTER)?.parse().ok().map(Duration::from_secs)
    }
}

/// A request that changes something.
pub(super) struct Command<'a> {
    pub method: Method,
    pub url: &'a Url,
    /// For the answer.
    pub limit: Duration,
    pub body: &'a [u8],
    pub if_match: Option<&'a str>,
    pub not_after: Instant,
    pub deadline: &'a Deadline,
}

pub(super) struct Line {
    pub(super) address: Address,
    pub(super) limits: Limits,
    pub(super) login: Login,
    pub(super) root: OnceCell<Root>,
    /// By the system that the inventory names; `None`: the only one.
    pub(super) places: Mutex<HashMap<Option<String>, Arc<Place>>>,
    channel: Channel,
    trust: TlsTrust,
    name: String,
    pace: Pace,
    /// The last answers to reads, until something is changed.
    recent: Mutex<Vec<(Url, Instant, Arc<Answer>)>>,
    /// When anything last came back from it, whatever it was.
    heard_at: Mutex<Option<Instant>>,
    gate: Semaphore,
    everyone: Arc<Semaphore>,
}

impl Line {
    pub(super) fn new(
        address: Address,
        trust: TlsTrust,
        channel: Channel,
        credentials: Option<Credentials>,
        limits: Limits,
        everyone: Arc<Semaphore>,
    ) -> Line {
        Line {
            name: server_name(address.host()),
            login: Login::new(credentials),
            root: OnceCell::new(),
            places: Mutex::default(),
            pace: Pace::default(),
            recent: Mutex::default(),
            heard_at: Mutex::default(),
            gate: Semaphore::new(limits.requests_at_once.max(1)),
            address,
            limits,
            channel,
            trust,
            everyone,
        }
    }

    /// A URL as messages show it: without a query.
    pub(super) fn shown(&self, url: &Url) -> String {
        format!("{}{}", self.address.shown(), self.address.bare(url))
    }

    fn heard_now(&self) {
        *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Did anything come back since then: a status, or bytes that are none?
    pub(super) fn heard_since(&self, began: Instant) -> bool {
        self.heard_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at >= began)
    }

    /// Who has answered at all since then was not silent, however the last request ended: a body that stalls or breaks off,
    /// three errors and a broken connection.
    pub(super) fn unless_heard(&self, began: Instant, fault: Fault) -> Fault {
        if fault.is_silence() && self.heard_since(began) {
            return Fault::answered(format!("{} (and yet it has answered)", fault.detail));
        }
        fault
    }

    async fn permits(&self) -> (Option<SemaphorePermit<'_>>, Option<SemaphorePermit<'_>>) {
        // Neither is ever closed. The BMC's own comes first: waiting for a slow BMC must not hold up the others.
        let own = self.gate.acquire().await.ok();
        (own, self.everyone.acquire().await.ok())
    }

    /// One request and its answer, whatever the status.
    /// A command must not sit in a queue and land when nobody expects it any more (rule S6): after `not_after` it is
    /// not sent.
    async fn exchange(&self, request: reqwest::Request, limit: Duration, not_after: Option<Instant>) -> Result<Answer, Trouble> {
        let Some(not_after) = not_after else {
            let _permits = self.permits().await;
            return self.transfer(request, limit).await;
        };
        let permits = tokio::time::timeout_at(not_after, self.permits()).await;
        let (Ok(_permits), true) = (permits, Instant::now() < not_after) else {
            let what = format!("{} {}", request.method(), self.shown(request.url()));
            return Err(Fault::transient(format!("{what} was not sent: the BMC was busy with earlier requests for too long")).into());
        };
        self.transfer(request, limit).await
    }

    /// How long a command may take to be answered. What was not answered by then has an unknown result, which only a look
    /// can clear up, and the look can begin sooner where the BMC is known to be quick.
    pub(super) fn command_limit(&self) -> Duration {
        let usual = self.pace.usual().map(|usual| (usual * 2).max(COMMAND_MIN));
        usual.unwrap_or(self.limits.request_timeout).min(self.limits.request_timeout)
    }

    /// The instant after which a command that is asked for now is no longer sent.
    pub(super) fn not_after(&self) -> Instant {
        Instant::now() + self.limits.request_timeout * 2
    }

    async fn transfer(&self, mut request: reqwest::Request, limit: Duration) -> Result<Answer, Trouble> {
        *request.timeout_mut() = Some(limit);
        let method = request.method().clone();
        let url = request.url().clone();
        let failed = |error: reqwest::Error| {
            if trouble::speaks(&error) {
                self.heard_now();
            }
            let refused = self.channel.verifier.refused(&self.name);
            trouble::of_error(&method, &self.shown(&url), &error, limit, &self.trust, refused.as_deref())
        };
        let sent_at = Instant::now();
        let mut response = self.channel.client.execute(request).await.map_err(failed)?;
        self.pace.took(sent_at.elapsed());
        self.heard_now();
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::with_capacity(response.content_length().map_or(0, |n| n.min(BODY_BYTES_MAX as u64) as usize));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= BODY_BYTES_MAX => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(Fault::answered(format!("{} answered with too much", self.shown(&url))).into()),
                Ok(None) => break,
                Err(error) if method == Method::GET => return Err(failed(error)),
                // The status has been said, and it is what counts.
                Err(_) => {
                    body.clear();
                    break;
                }
            }
        }
        Ok(Answer { status, headers, body })
    }

    /// Read, with the session. Any status but success is an error.
    pub(super) async fn get(&self, url: &Url) -> Result<Arc<Answer>, Trouble> {
        let auth = self.authorised().await?;
        let answer = match self.fetch(url, &auth).await {
            Err(trouble) if trouble.status == Some(StatusCode::UNAUTHORIZED) => {
                let auth = self.renewed(&auth).await?;
                self.fetch(url, &auth).await
            }
            result => result,
        };
        let answer = Arc::new(answer?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|(known, ..)| known != url);
        recent.truncate(RECENT - 1);
        recent.insert(0, (url.clone(), Instant::now(), Arc::clone(&answer)));
        Ok(answer)
    }

    /// The same for what only says how a change is to be written: the look that let the change be made has read it just now,
    /// and where the BMC gives ETags, what has changed since is not overwritten. No look may use it.
    pub(super) async fn get_recent(&self, url: &Url) -> Result<Arc<Answer>, Trouble> {
        let known = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().find(|(known, at, _)| known == url && at.elapsed() < JUST_NOW).map(|(.., answer)| Arc::clone(answer))
        };
        match known {
            Some(answer) => Ok(answer),
            None => self.get(url).await,
        }
    }

    /// Read as somebody, again and again within the limits.
    pub(super) async fn fetch(&self, url: &Url, auth: &Auth) -> Result<Answer, Trouble> {
        let until = Instant::now() + self.limits.read_time;
        let mut url = url.clone();
        let (mut attempt, mut late, mut hops) = (0, 0, 0);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let limit = self.pace.read_limit(late).min(self.limits.request_timeout).min(left);
            let mut request = reqwest::Request::new(Method::GET, url.clone());
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            auth.apply(request.headers_mut());
            let result = self.exchange(request, limit, None).await;
            let pause = FIRST_PAUSE * 2u32.pow(attempt);
            late += u32::from(result.as_ref().is_err_and(|t| matches!(t.again, Again::AtOnce | Again::WithMoreTime)));
            let (trouble, pause) = match result {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if matches!(answer.status.as_u16(), 307 | 308) && hops < REDIRECTS_MAX => {
                    if let Some(next) = answer.header(header::LOCATION).and_then(|to| self.relocated(&url, to)) {
                        (url, hops) = (next, hops + 1);
                        continue;
                    }
                    return Err(self.trouble(&Method::GET, &url, &answer));
                }
                Ok(answer) if matches!(answer.status.as_u16(), 429 | 500 | 502 | 503 | 504) => {
                    (self.trouble(&Method::GET, &url, &answer), answer.retry_after().unwrap_or(pause))
                }
                Ok(answer) => return Err(self.trouble(&Method::GET, &url, &answer)),
                Err(trouble) => match trouble.again {
                    Again::No => return Err(trouble),
                    Again::AtOnce => (trouble, Duration::ZERO),
                    // A hasty attempt may have been too short for a TLS handshake.
                    Again::WithMoreTime if limit < self.limits.request_timeout.min(left) => (trouble, Duration::ZERO),
                    Again::WithMoreTime => return Err(trouble),
                    Again::AfterPause => (trouble, pause),
                },
            };
            attempt += 1;
            if attempt >= READ_ATTEMPTS || Instant::now() + pause >= until {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Where a redirect of a read leads, if it stays with the BMC.
    fn relocated(&self, from: &Url, to: &str) -> Option<Url> {
        let next = from.join(to).ok()?;
        self.address.url(next.as_str()).ok().filter(|next| next != from)
    }

    /// Send what changes something: once.
    pub(super) async fn send(&self, command: Command<'_>) -> Result<Answer, Trouble> {
        let auth = self.authorised().await?;
        match self.send_as(&command, &auth).await {
            Err(trouble) if trouble.status == Some(StatusCode::UNAUTHORIZED) => {
                let auth = self.renewed(&auth).await?;
                self.send_as(&command, &auth).await
            }
            result => result,
        }
    }

    pub(super) async fn send_as(&self, command: &Command<'_>, auth: &Auth) -> Result<Answer, Trouble> {
        let Command { method, url, limit, body, if_match, not_after, deadline } = command;
        deadline.test(format_args!("{method} {}", self.shown(url)))?;
        let mut request = reqwest::Request::new(method.clone(), (*url).clone());
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        auth.apply(headers);
        if let Some(tag) = if_match.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            headers.insert(header::IF_MATCH, tag);
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut gate = Gate::default();
        if *method != Method::DELETE {
            // A body on DELETE has put keep-alive connections out of step.
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            gate = Gate::close(&mut request, body.to_vec(), deadline);
        }
        let answer = self.exchange(request, *limit, Some(*not_after)).await;
        let held = |trouble| gate.held(format_args!("{method} {}", self.shown(url))).map_or(trouble, Trouble::from);
        let answer = answer.map_err(held)?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.trouble(method, url, &answer)) }
    }

    /// An answer that is no success. A session that has ended is 401, also where the BMC says it with 403.
    pub(super) fn trouble(&self, method: &Method, url: &Url, answer: &Answer) -> Trouble {
        let tell = !url.path().contains("/SessionService");
        let mut trouble = trouble::of_status(method, &self.shown(url), answer.status, &answer.body, tell);
        if answer.status == StatusCode::FORBIDDEN && message::has_id(&answer.body, "NoValidSession") {
            trouble.status = Some(StatusCode::UNAUTHORIZED);
        }
        trouble
    }
}
