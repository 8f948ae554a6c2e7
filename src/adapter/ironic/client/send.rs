//! Changing something in Ironic: one request, and what is known of it afterwards.
//!
//! A request is repeated only where it certainly did nothing: the node was locked, or no worker was free. After a time-out, a cut
//! connection and any 5xx but 503 it may have been done, and that is what is told.

use super::{Client, Unread, logged, wait};
use crate::adapter::ironic::trouble::{Means, Refusal, words};
use crate::adapter::openstack::Order;
use crate::model::Fault;
use crate::ports::Deadline;
use reqwest::Method;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Conductors try a lock three times themselves, 1 s apart, before they say 409.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl Client {
    /// Change one record by a JSON patch; the record as it is after that, where Ironic gives it.
    pub(in super::super) async fn patch(&self, path: &str, patch: Vec<Value>, deadline: &Deadline) -> Result<Value, Unread> {
        self.change(Method::PATCH, path, &Value::Array(patch), deadline, self.options.order_patience).await
    }

    pub(in super::super) async fn put(&self, path: &str, body: &Value, deadline: &Deadline) -> Result<Value, Unread> {
        self.change(Method::PUT, path, body, deadline, self.options.order_patience).await
    }

    /// The same without patience: a lock is told at once.
    pub(in super::super) async fn put_once(&self, path: &str, body: &Value, deadline: &Deadline) -> Result<Value, Unread> {
        self.change(Method::PUT, path, body, deadline, Duration::ZERO).await
    }

    pub(in super::super) async fn post(&self, path: &str, body: &Value, deadline: &Deadline) -> Result<Value, Unread> {
        self.change(Method::POST, path, body, deadline, self.options.order_patience).await
    }

    async fn change(&self, method: Method, path: &str, body: &Value, deadline: &Deadline, patience: Duration) -> Result<Value, Unread> {
        let url = self.url(path, &[])?;
        let shown = format!("{method} {}{}", url.origin().ascii_serialization(), url.path());
        let (headers, body) = (self.headers(), body.to_string());
        let (until, mut pause) = (Instant::now() + patience, PAUSE);
        loop {
            let order =
                Order { method: method.clone(), url: &url, headers: &headers, body: body.as_bytes(), limit: self.options.order_timeout };
            let answer = self.session.order(&order, deadline).await.map_err(Unread::Fault)?;
            let request_id = logged(&shown, &answer);
            if (200..300).contains(&answer.status) {
                // Many have no body, and whatever cannot be read of one does not undo what was done.
                return Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null));
            }
            let refusal = Refusal { shown: shown.clone(), status: answer.status, said: words(&answer.body), request_id };
            let wait = wait(&answer, pause);
            // A 502 or 504 is a proxy's, which has passed the request on.
            let passes = refusal.means() == Means::Locked || matches!(refusal.status, 429 | 503);
            if !passes || Instant::now() + wait > until {
                return Err(Unread::Refused(refusal));
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
    }

    /// What is known of a change that did not end well.
    pub(in super::super) fn undone(&self, unread: Unread) -> Fault {
        match unread {
            Unread::Fault(fault) => fault,
            Unread::Refused(refusal) => refusal.of_a_change(&self.session.cloud().name),
        }
    }
}
