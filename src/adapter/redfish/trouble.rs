//! What became of a request that did not end well, and which [`FaultKind`] that is.
//!
//! | what happened | reading | POST, PATCH |
//! |---|---|---|
//! | not connected, no such name, TLS handshake broken | transient | transient: nothing was sent |
//! | certificate not accepted | refused | refused |
//! | no answer in time, connection broken | transient, or answered where anything came back within the look | unknown |
//! | 429 | answered | transient: turned away at the door |
//! | 404 on a system | answered: BMCs say so while they restart | refused |
//! | other 4xx, 3xx, 501 | refused | refused |
//! | other 5xx | answered | unknown |
//!
//! `answered` is tried again like `transient`, and is no silence: who answers at all has standby power, so that neither an
//! agent nor a person is believed in its place. A gateway that answers 502 or 504 for a dead BMC cannot be told from a BMC
//! whose own web server has lost its back end, and counts as an answer too.

use super::{message, tls};
use crate::model::{Fault, FaultKind, TlsTrust};
use reqwest::{Method, StatusCode};
use std::time::Duration;

/// A fault, and the status where there was an answer at all.
#[derive(Debug)]
pub(super) struct Trouble {
    pub status: Option<StatusCode>,
    pub fault: Fault,
    /// For reads only.
    pub again: Again,
}

/// Is it worth while to read again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    No,
    /// It has waited already.
    AtOnce,
    /// Not connected in time: only where the time was shorter than it need be.
    WithMoreTime,
    AfterPause,
}

impl Trouble {
    /// DSP0266 section 8.6: the resource is not there, or cannot be had in this way by anybody.
    pub(super) fn says_missing(&self) -> bool {
        self.status.is_some_and(|status| matches!(status.as_u16(), 404 | 405 | 410 | 501))
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Fault {
        trouble.fault
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble { status: None, fault, again: Again::No }
    }
}

fn reads(method: &Method) -> bool {
    *method == Method::GET
}

/// An answer that is no success. `tell`: may the BMC's message be shown? Not after a login, where it may repeat what was
/// sent.
pub(super) fn of_status(method: &Method, shown: &str, status: StatusCode, body: &[u8], tell: bool) -> Trouble {
    let kind = match status.as_u16() {
        404 | 429 if reads(method) => FaultKind::Answered,
        429 => FaultKind::Transient,
        501 | 300..=499 => FaultKind::Refused,
        _ if reads(method) => FaultKind::Answered,
        _ => FaultKind::Unknown,
    };
    let hint = match status.as_u16() {
        401 => "; check `bmc.username` and `bmc.password`",
        301 | 302 | 303 | 307 | 308 => "; it points elsewhere, and requests are not redirected: write the address that it points to",
        _ => "",
    };
    let said = if tell { message::of_body(body).map_or_else(String::new, |m| format!(": {m}")) } else { String::new() };
    let reason = status.canonical_reason().map_or_else(String::new, |r| format!(" {r}"));
    let detail = format!("{method} {shown} answered {}{reason}{said}{hint}", status.as_u16());
    Trouble { status: Some(status), fault: Fault { kind, detail }, again: Again::No }
}

/// No answer. `limit`: how long was waited.
pub(super) fn of_error(
    method: &Method,
    shown: &str,
    error: &reqwest::Error,
    limit: Duration,
    trust: &TlsTrust,
    refused: Option<&str>,
) -> Trouble {
    let not_sent = error.is_connect() || error.is_builder();
    if let Some(tls) = tls::tls_error(error) {
        if let Some(advice) = tls::certificate_advice(tls, trust, refused) {
            return Fault::refused(format!("{method} {shown}: {advice}")).into();
        }
        if not_sent {
            let hint = "; a BMC that speaks only old TLS (1.0, 1.1, or RSA key exchange) cannot be reached: update its firmware";
            return Fault::transient(format!("{method} {shown}: TLS handshake failed: {tls}{hint}")).into();
        }
    }
    let why = if error.is_timeout() {
        let waited = if not_sent { "no connection" } else { "no answer" };
        format!("{waited} within {:.1} s", limit.as_secs_f64())
    } else {
        root_cause(error)
    };
    let kind = if not_sent || reads(method) { FaultKind::Transient } else { FaultKind::Unknown };
    let fate = if kind == FaultKind::Unknown { "; it may have been carried out" } else { "" };
    // Who does not even take the connection within its limit will not do so in the next second either.
    let again = match (error.is_timeout(), not_sent) {
        (true, true) => Again::WithMoreTime,
        (true, false) => Again::AtOnce,
        (false, _) => Again::AfterPause,
    };
    Trouble { status: None, fault: Fault { kind, detail: format!("{method} {shown}: {why}{fate}") }, again }
}

/// Something came back, and it was no answer: not HTTP, or a TLS alert. Whoever sends it has power.
pub(super) fn speaks(error: &reqwest::Error) -> bool {
    use rustls::Error as Tls;
    let alerted = |e: &Tls| {
        matches!(e, Tls::AlertReceived(_) | Tls::InvalidMessage(_) | Tls::PeerIncompatible(_) | Tls::PeerMisbehaved(_) | Tls::DecryptError)
    };
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        next = error.source();
    }
    tls::tls_error(error).is_some_and(alerted)
}

/// The innermost error: the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_what_may_have_happened() {
        let kind = |method: Method, status: u16| {
            let status = StatusCode::from_u16(status).expect("status");
            of_status(&method, "https://b/x", status, b"", true).fault.kind
        };
        for status in [500, 502, 503, 504] {
            assert_eq!(kind(Method::GET, status), FaultKind::Answered, "{status}");
            assert_eq!(kind(Method::POST, status), FaultKind::Unknown, "{status}");
            assert_eq!(kind(Method::PATCH, status), FaultKind::Unknown, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 405, 409, 412, 501] {
            assert_eq!(kind(Method::POST, status), FaultKind::Refused, "{status}");
        }
        assert_eq!(kind(Method::POST, 429), FaultKind::Transient);
        assert_eq!(kind(Method::GET, 404), FaultKind::Answered);
        assert_eq!(kind(Method::GET, 403), FaultKind::Refused);
    }

    #[test]
    fn after_a_login_the_bmcs_words_are_not_repeated() {
        let body = br#"{"error":{"message":"calvin is not a good password"}}"#;
        let status = StatusCode::BAD_REQUEST;
        let shown = of_status(&Method::POST, "https://b/x", status, body, false).fault.detail;
        assert!(!shown.contains("calvin"), "{shown}");
        assert!(of_status(&Method::POST, "https://b/x", status, body, true).fault.detail.contains("calvin"));
    }
}
