//! A hook that is a request. It is sent once and follows no redirect; an answer is how it ended, no answer is a fault.

use super::gate::Gate;
use super::hooks::{Job, Mask, Tail};
use super::redfish::RedfishOptions;
use super::redfish::tls::{Channels, tls_error};
use crate::model::{Fault, HookResult, HttpAction, Sensitive, Span, TlsTrust};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::time::{Duration, Instant};

/// More of an answer is not read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The client for hooks: the system's roots, loaded when first needed.
pub(super) struct Web(Channels);

impl Web {
    pub(super) fn new() -> Web {
        Web(Channels::new(RedfishOptions { connect_timeout: Duration::from_secs(10), ..RedfishOptions::default() }))
    }

    pub(super) async fn run(&self, job: &Job<'_>, action: &HttpAction) -> Result<HookResult, Fault> {
        let mut mask = Mask::default();
        let url = target(job, &action.url, &mut mask).await?;
        let shown = shown(&action.url, &url);
        let (mut request, gate) = request(job, action, url, &mut mask).await?;
        *request.timeout_mut() = Some(job.hook.timeout.duration());
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let channel = if request.url().scheme() == "http" { self.0.plain() } else { self.0.channel(&TlsTrust::System, "") };
        let client = channel.map_err(|f| job.refused(f.detail))?.client;
        job.in_time()?;
        let started = Instant::now();
        let failed = |e: reqwest::Error| {
            gate.held(format_args!("hook `{}`", job.hook.name)).unwrap_or_else(|| fault(job, &shown, reads, &e.without_url()))
        };
        let mut response = client.execute(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut tail = Tail::new(&mask);
        let mut read = 0;
        // The status has been said; a body that breaks off changes nothing.
        while let Ok(Some(chunk)) = response.chunk().await {
            tail.push(&chunk);
            read += chunk.len();
            if read > BODY_BYTES_MAX {
                break;
            }
        }
        let expected = if action.expect.is_empty() { (200..300).contains(&status) } else { action.expect.contains(&status) };
        let took = Span(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        Ok(HookResult { succeeded: expected, how: format!("HTTP {status}"), output: tail.text(&mask), took })
    }
}

async fn target(job: &Job<'_>, url: &Sensitive, mask: &mut Mask) -> Result<Url, Fault> {
    let text = job.text(url, mask).await?;
    // Neither the text nor the parser's words are shown: it may be a secret.
    let url = Url::parse(text.expose_secret().trim()).map_err(|_| job.refused("its URL cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(job.refused("its URL has neither `https://` nor `http://` in front"));
    }
    if job.options.lab && !loopback(&url) {
        return Err(job.refused("its URL leads out of the machine, which is not allowed in a lab; use `localhost`"));
    }
    Ok(url)
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// For messages: without a query, and nothing of a secret.
fn shown(given: &Sensitive, url: &Url) -> String {
    match given {
        Sensitive::Plain(_) => format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
        Sensitive::Secret(secret) => format!("the URL in {secret}"),
    }
}

async fn request(job: &Job<'_>, action: &HttpAction, url: Url, mask: &mut Mask) -> Result<(reqwest::Request, Gate), Fault> {
    let method = job.context.fill(&action.method).to_uppercase();
    let method: Method = method.parse().map_err(|_| job.refused(format!("`{method}` is not an HTTP method")))?;
    let mut request = reqwest::Request::new(method, url);
    // A kept connection may have been cut unnoticed, and then nobody knows whether the request arrived (rule S4).
    request.headers_mut().insert(reqwest::header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in job.texts(&action.headers, mask).await? {
        let bad = |what: &str| job.refused(format!("header `{name}` has {what} that HTTP does not allow"));
        let key: HeaderName = name.parse().map_err(|_| bad("a name"))?;
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| bad("a value"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(key, value);
    }
    let mut gate = Gate::default();
    if let Some(json) = &action.json {
        let headers = request.headers_mut();
        headers.entry(reqwest::header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        gate = Gate::close(&mut request, filled(job, json).to_string().into_bytes(), job.deadline);
    }
    Ok((request, gate))
}

/// The late names put into every text of a JSON value.
fn filled(job: &Job<'_>, value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(job.context.fill(text)),
        Value::Array(list) => list.iter().map(|v| filled(job, v)).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), filled(job, v))).collect(),
        other => other.clone(),
    }
}

fn fault(job: &Job<'_>, shown: &str, reads: bool, error: &reqwest::Error) -> Fault {
    if let Some(rustls::Error::InvalidCertificate(why)) = tls_error(error) {
        return job.refused(format!("{shown}: certificate is not trusted ({why}); add its authority to the system's"));
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let why = if error.is_timeout() { format!("no answer within {}", job.hook.timeout) } else { cause.to_string() };
    match (error.is_builder(), error.is_connect() || reads) {
        (true, _) => job.refused(format!("{shown}: {why}")),
        (false, true) => job.transient(format!("{shown}: {why}")),
        (false, false) => job.unknown(format!("{shown}: {why}; it may have been received")),
    }
}
