//! Reading from Ironic: its microversion, pages, patience.
//!
//! Only GETs leave from here; `send` is for what changes something. A read is repeated while the node is locked or no worker is
//! free, once where a kept connection was cut, and never after a 500: Ironic answers so to bad input, and again and again.

mod send;

use super::trouble::{Means, Refusal, words};
use crate::adapter::openstack::{Answer, Session};
use crate::model::Fault;
use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The first that has everything that a switchover needs (`retired`), of 2020.
pub(super) const OLDEST: u16 = 61;
/// The newest that this version was written for (release 39, 2026.2).
pub(super) const NEWEST: u16 = 115;

const VERSION: HeaderName = HeaderName::from_static("x-openstack-ironic-api-version");
const REQUEST_ID: &str = "x-openstack-request-id";

/// Nobody has so many pages.
const PAGES_MAX: usize = 100_000;

/// How reading is done.
#[derive(Clone, Copy, Debug)]
pub struct IronicOptions {
    /// For one request and its answer: a list of a thousand nodes takes its seconds.
    pub request_timeout: Duration,
    /// How long a lock or a busy Ironic is waited for. A conductor's own tries take 2 s each.
    pub patience: Duration,
    /// The same for what changes something. With one more request it stays below what an order may take in all.
    pub order_patience: Duration,
    /// For one request that changes something. A dead BMC makes Ironic answer some of them after 31 s.
    pub order_timeout: Duration,
    /// For the operating system to shut down, where the runbook does not say.
    pub soft_off: Duration,
    pub requests_at_once: usize,
    /// Of a list; Ironic cuts it to its own `max_limit`.
    pub page: usize,
    /// How long what was read of the whole fleet stands for a look at one of its nodes.
    pub fresh: Duration,
}

impl Default for IronicOptions {
    fn default() -> IronicOptions {
        IronicOptions {
            request_timeout: Duration::from_secs(60),
            patience: Duration::from_secs(30),
            order_patience: Duration::from_secs(75),
            order_timeout: Duration::from_secs(40),
            soft_off: Duration::from_secs(30),
            requests_at_once: 8,
            page: 500,
            fresh: Duration::from_secs(30),
        }
    }
}

pub(super) struct Client {
    session: Session,
    /// `https://host/baremetal`
    base: String,
    /// Of microversion 1.x.
    pub minor: u16,
    options: IronicOptions,
}

/// A read that found nothing, or did not come to an end.
#[derive(Debug)]
pub(super) enum Unread {
    Refused(Refusal),
    Fault(Fault),
}

impl Client {
    /// Log in and agree on a microversion.
    pub(super) async fn connect(session: Session, options: IronicOptions) -> Result<Client, Fault> {
        let base = session.endpoint().await?;
        let mut client = Client { session, base, minor: 0, options };
        // Public with every way of logging in, but for what some operators put in front.
        let found = match client.document(false).await {
            Err(Unread::Refused(refusal)) if matches!(refusal.status, 401 | 403) => client.document(true).await,
            other => other,
        };
        let root = found.map_err(|unread| client.fault(unread))?;
        client.minor = client.agreed(&root)?;
        tracing::debug!(target: "coldswap::ironic", base = %client.base, version = %client.version(), "agreed");
        Ok(client)
    }

    async fn document(&self, login: bool) -> Result<Value, Unread> {
        let url = self.url("/v1", &[])?;
        self.patiently(&url, login).await
    }

    fn agreed(&self, root: &Value) -> Result<u16, Fault> {
        let cloud = &self.session.cloud().name;
        let version = |key: &str| {
            let of = |doc: &Value| minor(doc.get(key)?.as_str()?);
            [root.get("version"), root.get("default_version")].into_iter().flatten().find_map(of)
        };
        let no_ironic = || Fault::refused(format!("{} of cloud `{cloud}` does not answer as Ironic does; correct the endpoint", self.base));
        let newest = version("version").ok_or_else(no_ironic)?;
        let oldest = version("min_version").unwrap_or(1);
        let held = self.session.cloud().api_version.as_deref().and_then(minor).unwrap_or(NEWEST);
        let agreed = newest.min(NEWEST).min(held);
        if agreed < OLDEST {
            let why = match held < OLDEST && newest >= OLDEST {
                true => format!("`baremetal_api_version` of cloud `{cloud}` holds it at 1.{held}"),
                false => format!("Ironic at {} offers no newer API than 1.{newest}", self.base),
            };
            return Err(Fault::refused(format!("{why}; coldswap needs 1.{OLDEST} (of 2020) at least")));
        }
        if agreed < oldest {
            let text = format!("Ironic at {} offers 1.{oldest} and newer, and this coldswap knows 1.{agreed} and older", self.base);
            return Err(Fault::refused(text));
        }
        Ok(agreed)
    }

    pub(super) fn version(&self) -> String {
        format!("1.{}", self.minor)
    }

    fn url(&self, path: &str, query: &[(String, String)]) -> Result<Url, Unread> {
        let mut url =
            Url::parse(&format!("{}{path}", self.base)).map_err(|_| Unread::Fault(Fault::refused("the address cannot be read")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// One object.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        let url = self.url(path, &[]).map_err(|u| self.fault(u))?;
        self.patiently(&url, true).await.map_err(|unread| self.fault(unread))
    }

    /// One object that may be absent.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>, Fault> {
        let url = self.url(path, &[]).map_err(|u| self.fault(u))?;
        match self.patiently(&url, true).await {
            Ok(value) => Ok(Some(value)),
            Err(Unread::Refused(refusal)) if refusal.means() == Means::Absent => Ok(None),
            Err(unread) => Err(self.fault(unread)),
        }
    }

    /// All pages of a list. `next` is an absolute address made from the request's host, which a proxy may have changed: only
    /// its query is taken.
    pub(super) async fn list(&self, path: &str, key: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Fault> {
        let mut own: Vec<(String, String)> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        own.push(("limit".to_owned(), self.options.page.max(1).to_string()));
        let (mut all, mut asked, mut next) = (Vec::new(), BTreeSet::new(), own.clone());
        loop {
            let url = self.url(path, &next).map_err(|u| self.fault(u))?;
            if !asked.insert(url.query().unwrap_or_default().to_owned()) || asked.len() > PAGES_MAX {
                return Err(Fault::answered(format!("GET {path}: its pages lead in a circle")));
            }
            let mut page = self.patiently(&url, true).await.map_err(|unread| self.fault(unread))?;
            let Some(Value::Array(items)) = page.get_mut(key).map(Value::take) else {
                return Err(Fault::answered(format!("GET {path}: the answer has no `{key}`")));
            };
            all.extend(items);
            let Some(link) = page.get("next").and_then(Value::as_str) else { return Ok(all) };
            let link = Url::parse(link).map_err(|_| Fault::answered(format!("GET {path}: its `next` cannot be read")))?;
            next = link.query_pairs().into_owned().collect();
            // Not every list of Ironic's repeats what it was asked.
            let missing: Vec<_> = own.iter().filter(|(k, _)| !next.iter().any(|(n, _)| n == k)).cloned().collect();
            next.extend(missing);
        }
    }

    async fn patiently(&self, url: &Url, login: bool) -> Result<Value, Unread> {
        let until = Instant::now() + self.options.patience;
        let mut cut = false;
        loop {
            let (refusal, wait) = match self.once(url, login).await {
                Ok(answer) => match self.read(url, answer)? {
                    Ok(value) => return Ok(value),
                    Err((refusal, wait)) => (refusal, wait),
                },
                Err(none) if none.again && !cut => {
                    cut = true;
                    continue;
                }
                Err(none) => return Err(Unread::Fault(none.fault)),
            };
            let passes = matches!(refusal.means(), Means::Locked | Means::Busy);
            if !passes || Instant::now() + wait > until {
                return Err(Unread::Refused(refusal));
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, url: &Url, login: bool) -> Result<Answer, crate::adapter::openstack::NoAnswer> {
        self.session.get(url, &self.headers(), login).await
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.minor > 0
            && let Ok(version) = HeaderValue::from_str(&self.version())
        {
            headers.insert(VERSION, version);
        }
        headers
    }

    /// A success, or what it says instead and how long to wait before the next try.
    fn read(&self, url: &Url, answer: Answer) -> Result<Result<Value, (Refusal, Duration)>, Unread> {
        let shown = format!("GET {}{}", url.origin().ascii_serialization(), url.path());
        let request_id = logged(&shown, &answer);
        if answer.status == 200 {
            let value = serde_json::from_slice(&answer.body);
            return value.map(Ok).map_err(|_| Unread::Fault(Fault::answered(format!("{shown}: the answer is no JSON; is it Ironic?"))));
        }
        let wait = wait(&answer, Duration::from_millis(500));
        Ok(Err((Refusal { shown, status: answer.status, said: words(&answer.body), request_id }, wait)))
    }

    fn fault(&self, unread: Unread) -> Fault {
        match unread {
            Unread::Fault(fault) => fault,
            Unread::Refused(refusal) => refusal.fault(&self.session.cloud().name),
        }
    }
}

/// What an operator looks for in Ironic's log.
fn logged(shown: &str, answer: &Answer) -> Option<String> {
    let request_id = answer.headers.get(REQUEST_ID).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let id = request_id.as_deref().unwrap_or_default();
    tracing::debug!(target: "coldswap::ironic", request_id = id, status = answer.status, bytes = answer.body.len(), "{shown}");
    request_id
}

/// As it asks for, or `usual`.
fn wait(answer: &Answer, usual: Duration) -> Duration {
    let asked = answer.headers.get("retry-after").and_then(|v| v.to_str().ok()).and_then(|s| s.parse().ok()).map(Duration::from_secs);
    asked.unwrap_or(usual).clamp(Duration::from_millis(100), Duration::from_secs(5))
}

/// `1.115`
fn minor(version: &str) -> Option<u16> {
    version.strip_prefix("1.")?.parse().ok()
}
