//! Requests to a cloud: logged in, renewed before the login ends, and once more where it has ended all the same.

use super::cloud::{Auth, Cloud, Keystone};
use super::keystone::{self, Token};
use crate::adapter::gate::Gate;
use crate::adapter::redfish::RedfishOptions;
use crate::adapter::redfish::tls::{Channel, Channels, tls_error};
use crate::model::{Fault, FaultKind, TlsTrust};
use crate::ports::Deadline;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore};

/// A page of a thousand nodes has some ten megabytes.
const BODY_BYTES_MAX: usize = 256 << 20;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const ISSUED: HeaderName = HeaderName::from_static("x-subject-token");

/// What a server answered, whatever the status.
pub(in crate::adapter) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no answer, and whether asking again may help at once: a kept connection may have been cut unnoticed.
pub(in crate::adapter) struct NoAnswer {
    pub fault: Fault,
    pub again: bool,
    /// Nothing of the request has left.
    unsent: bool,
}

/// What is to be changed. The body says something also where the method needs none: it is with the body that the deadline is
/// tested, last of all before anything leaves.
pub(in crate::adapter) struct Order<'a> {
    pub method: Method,
    pub url: &'a Url,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// For the request and its answer.
    pub limit: Duration,
}

impl From<Fault> for NoAnswer {
    fn from(fault: Fault) -> NoAnswer {
        NoAnswer { fault, again: false, unsent: false }
    }
}

impl NoAnswer {
    /// The same where something was to be changed.
    fn of_an_order(self) -> Fault {
        match self.fault.kind {
            FaultKind::Transient if !self.unsent => Fault::unknown(self.fault.detail),
            _ => self.fault,
        }
    }
}

/// A cloud that one is logged in to.
pub(in crate::adapter) struct Session {
    cloud: Cloud,
    channels: Channels,
    timeout: Duration,
    /// One fetches, the others wait for it.
    token: Mutex<Option<Arc<Token>>>,
    turns: Semaphore,
}

impl Session {
    /// `timeout` for each request with its answer; `at_once` requests at a time.
    pub(in crate::adapter) fn open(cloud: Cloud, timeout: Duration, at_once: usize) -> Result<Session, Fault> {
        let options = RedfishOptions {
            requests_at_once_per_bmc: at_once,
            connect_timeout: Duration::from_secs(10),
            request_timeout: timeout,
            idle_timeout: Duration::from_secs(20),
            ..RedfishOptions::default()
        };
        let channels = match &cloud.identity {
            Some(own) => Channels::showing(options, own).map_err(|f| of_cloud(&cloud, &f.detail))?,
            None => Channels::new(options),
        };
        Ok(Session { cloud, channels, timeout, token: Mutex::default(), turns: Semaphore::new(at_once.max(1)) })
    }

    pub(in crate::adapter) fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Where Ironic is, without `/v1` and without a `/` at the end.
    pub(in crate::adapter) async fn endpoint(&self) -> Result<String, Fault> {
        let url = match (&self.cloud.endpoint, &self.cloud.auth) {
            (Some(url), _) => url.clone(),
            (None, Auth::Keystone(keystone)) => {
                let token = self.token(keystone, None).await?;
                token.endpoint.clone().map_err(|why| Fault::refused(format!("{why}; `baremetal_endpoint_override` names another")))?
            }
            (None, _) => return Err(of_cloud(&self.cloud, "`endpoint` is missing")),
        };
        let text = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let text = text.trim_end_matches('/');
        Ok(text.strip_suffix("/v1").unwrap_or(text).trim_end_matches('/').to_owned())
    }

    /// GET. With `login`, it carries it; a 401 to a token of Keystone fetches a new one and asks once more.
    pub(in crate::adapter) async fn get(&self, url: &Url, headers: &HeaderMap, login: bool) -> Result<Answer, NoAnswer> {
        let _turn = self.turns.acquire().await;
        let mut used = None;
        loop {
            let mut request = reqwest::Request::new(Method::GET, url.clone());
            *request.headers_mut() = headers.clone();
            let token = if login { self.authorise(&mut request, used.as_ref()).await? } else { None };
            let answer = self.exchange(request, self.timeout).await?;
            match token {
                Some(token) if answer.status == 401 && used.is_none() => used = Some(token),
                _ => return Ok(answer),
            }
        }
    }

    /// Send what changes something: once, and after a 401 to a token of Keystone, which did nothing, once more.
    ///
    /// # Errors
    /// [`FaultKind::Unknown`] wherever the request may have left.
    pub(in crate::adapter) async fn order(&self, order: &Order<'_>, deadline: &Deadline) -> Result<Answer, Fault> {
        let what = format_args!("{} {}", order.method, order.url.path()).to_string();
        let _turn = self.turns.acquire().await;
        let mut used = None;
        loop {
            let mut request = reqwest::Request::new(order.method.clone(), order.url.clone());
            *request.headers_mut() = order.headers.clone();
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let token = self.authorise(&mut request, used.as_ref()).await?;
            deadline.test(&what)?;
            let gate = Gate::close(&mut request, order.body.to_vec(), deadline);
            let answer = self.exchange(request, order.limit).await;
            let answer = answer.map_err(|none| gate.held(&what).unwrap_or_else(|| none.of_an_order()))?;
            match token {
                Some(token) if answer.status == 401 && used.is_none() => used = Some(token),
                _ => return Ok(answer),
            }
        }
    }

    async fn authorise(&self, request: &mut reqwest::Request, refused: Option<&Arc<Token>>) -> Result<Option<Arc<Token>>, Fault> {
        let (name, text, token) = match &self.cloud.auth {
            Auth::None => return Ok(None),
            Auth::Basic { username, password } => {
                use base64::Engine;
                let pair = SecretString::from(format!("{username}:{}", password.expose_secret()));
                let code = base64::engine::general_purpose::STANDARD.encode(pair.expose_secret());
                (AUTHORIZATION, SecretString::from(format!("Basic {code}")), None)
            }
            Auth::Keystone(keystone) => {
                let token = self.token(keystone, refused).await?;
                (TOKEN, token.value.clone(), Some(token))
            }
        };
        let value = HeaderValue::from_str(text.expose_secret());
        let mut value = value.map_err(|_| of_cloud(&self.cloud, "its credentials hold what a header cannot"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
        Ok(token)
    }

    /// The token, fetched or renewed where that is due or where this one was `refused`.
    async fn token(&self, keystone: &Keystone, refused: Option<&Arc<Token>>) -> Result<Arc<Token>, Fault> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref() {
            let is_refused = refused.is_some_and(|r| Arc::ptr_eq(r, token));
            if !is_refused && Instant::now() < token.renew_at {
                return Ok(Arc::clone(token));
            }
        }
        let token = Arc::new(self.log_in(keystone).await?);
        *kept = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn log_in(&self, keystone: &Keystone) -> Result<Token, Fault> {
        let asked = Instant::now();
        let mut url = keystone.url.clone();
        url.set_path(&format!("{}/auth/tokens", keystone.url.path()));
        let mut request = reqwest::Request::new(Method::POST, url.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(keystone::request(keystone).to_string().into());
        let answer = self.exchange(request, self.timeout).await.map_err(|none| none.fault)?;
        tracing::debug!(target: "coldswap::openstack", cloud = %self.cloud.name, status = answer.status, took = ?asked.elapsed(), "token");
        let status = answer.status;
        // Keystone's own words may repeat what was sent; only the status is told.
        let advice = match status {
            201 => {
                let value = answer.headers.get(&ISSUED).and_then(|v| v.to_str().ok()).map(|v| SecretString::from(v.to_owned()));
                let value = value.ok_or_else(|| of_cloud(&self.cloud, "Keystone gave no `X-Subject-Token`"))?;
                return keystone::issued(&self.cloud, value, &answer.body, asked);
            }
            401 => "it does not accept the credentials: check user, domain, password or application credential",
            403 => "it does not allow this login",
            404 | 300..=399 => "there is no Keystone v3 at `auth_url`",
            500.. => "it is not well; try again",
            _ => "it does not take the request: check the domains and the scope",
        };
        let text = format!("Keystone at {url} of cloud `{}` ({}) answered {status}: {advice}", self.cloud.name, self.cloud.place);
        Err(if status >= 500 { Fault::answered(text) } else { Fault::refused(text) })
    }

    async fn exchange(&self, mut request: reqwest::Request, limit: Duration) -> Result<Answer, NoAnswer> {
        let channel = self.channel(request.url())?;
        let orders = matches!(*request.method(), Method::PATCH | Method::PUT);
        *request.timeout_mut() = Some(limit);
        let shown = format!("{} {}{}", request.method(), request.url().origin().ascii_serialization(), request.url().path());
        let failed = |e: reqwest::Error| self.fault(&shown, limit, &e.without_url());
        let mut response = channel.client.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // The status has been said, and it is what counts.
                Err(_) if orders => return Ok(Answer { status, headers, body: Vec::new() }),
                Err(error) => return Err(failed(error)),
            };
            body.extend_from_slice(&chunk);
            if body.len() > BODY_BYTES_MAX {
                return Err(Fault::refused(format!("{shown}: the answer is larger than {} MiB", BODY_BYTES_MAX >> 20)).into());
            }
        }
        Ok(Answer { status, headers, body })
    }

    fn channel(&self, url: &Url) -> Result<Channel, Fault> {
        let channel = match url.scheme() {
            "http" => self.channels.plain(),
            _ => self.channels.channel(&self.cloud.trust, url.host_str().unwrap_or_default()),
        };
        channel.map_err(|f| of_cloud(&self.cloud, &f.detail.replace("bmc.tls.ca", "cacert")))
    }

    fn fault(&self, shown: &str, limit: Duration, error: &reqwest::Error) -> NoAnswer {
        if let Some(rustls::Error::InvalidCertificate(why)) = tls_error(error) {
            let file = match &self.cloud.trust {
                TlsTrust::Ca(path) => format!("by `{path}`"),
                _ => "by the system's authorities".to_owned(),
            };
            let text =
                format!("{shown}: its certificate is not trusted {file} ({why}); `cacert` of cloud `{}` names others", self.cloud.name);
            return Fault::refused(text).into();
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let why = match error.is_timeout() {
            true if error.is_connect() => "no connection within 10 s".to_owned(),
            true => format!("no answer within {} s", limit.as_secs()),
            false => cause.to_string(),
        };
        let again = !error.is_timeout() && !error.is_connect();
        let fault = Fault::transient(format!("{shown}: {why} (cloud `{}`)", self.cloud.name));
        NoAnswer { fault, again, unsent: error.is_connect() }
    }
}

fn of_cloud(cloud: &Cloud, why: &str) -> Fault {
    Fault::refused(format!("{}: cloud `{}`: {why}", cloud.place, cloud.name))
}
