//! What Ironic says when it says no. Its errors come in three shapes, and one status has two meanings.

use crate::model::Fault;
use serde_json::Value;

/// More of a message is not shown.
const SAID_MAX: usize = 400;

/// What passes by itself, in the words of Ironic's 409.
const LOCKED: [&str; 2] = ["is locked by host", "while a state transition is in progress"];

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `GET /v1/nodes`
    pub shown: String,
    pub status: u16,
    /// Ironic's words, or a proxy's.
    pub said: String,
    /// `req-...`: what an operator looks for in Ironic's log.
    pub request_id: Option<String>,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// Somebody works on the node: it passes.
    Locked,
    /// No free worker, or a proxy without a back end: it passes.
    Busy,
    /// 404.
    Absent,
    /// A new login may help, or a right.
    NotAllowed,
    /// It is not well. Bad input gives 500 as well, so that asking again is of no use.
    Unwell,
    /// Everything else: what was asked for contradicts what is.
    Conflict,
}

/// The words in an error's body, whichever of the shapes it has: `error_message` with JSON as text, `faultstring` or
/// `title` and `description` in it; `error.message` of the middleware in front; anything else that is JSON.
pub(super) fn words(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => of_value(&value).unwrap_or_default(),
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            // A proxy's page says less than its status.
            if text.trim_start().starts_with('<') { String::new() } else { text.into_owned() }
        }
    };
    let plain: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = plain.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect();
    plain.trim_end_matches('.').to_owned()
}

fn of_value(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ Value::Object(_)) => of_value(&inner),
            _ => Some(text.clone()),
        },
        Value::Object(map) => {
            let keys = ["error_message", "error", "faultstring", "description", "message", "title"];
            keys.iter().filter_map(|key| map.get(*key)).find_map(of_value).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}

impl Refusal {
    pub(super) fn means(&self) -> Means {
        match self.status {
            // The same status for a lock and for a conflict that stays: only the text tells them apart.
            409 if LOCKED.iter().any(|words| self.said.contains(words)) => Means::Locked,
            429 | 502 | 503 | 504 => Means::Busy,
            404 => Means::Absent,
            401 | 403 => Means::NotAllowed,
            500.. => Means::Unwell,
            _ => Means::Conflict,
        }
    }

    pub(super) fn fault(&self, cloud: &str) -> Fault {
        let text = self.text(cloud, "which Ironic's policy gives to a reader of the system");
        match self.means() {
            Means::Locked | Means::Busy => Fault::transient(text),
            Means::Unwell => Fault::answered(text),
            Means::Absent | Means::NotAllowed | Means::Conflict => Fault::refused(text),
        }
    }

    /// The same where something was to be changed. It certainly was not where the node was locked, no worker was free or Ironic
    /// said no; after a 500 nobody knows.
    pub(super) fn of_a_change(&self, cloud: &str) -> Fault {
        let text = self.text(cloud, "which Ironic's policy gives to a member of the system or of the owning project");
        match (self.means(), self.status) {
            (Means::Locked, _) | (Means::Busy, 429 | 503) => Fault::transient(text),
            (Means::Unwell | Means::Busy, _) => Fault::unknown(text),
            (Means::Absent | Means::NotAllowed | Means::Conflict, _) => Fault::refused(text),
        }
    }

    fn text(&self, cloud: &str, right: &str) -> String {
        let hint = match self.status {
            401 => format!("; the login of cloud `{cloud}` is not accepted"),
            403 => format!("; the login of cloud `{cloud}` lacks the right, {right}"),
            300..=399 => "; it points elsewhere, and nothing is sent there: correct the endpoint".to_owned(),
            _ => String::new(),
        };
        let said = if self.said.is_empty() { String::new() } else { format!(": {}", self.said) };
        let id = self.request_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        format!("{} answered {}{said}{hint}{id}", self.shown, self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal { shown: "GET /v1/nodes".into(), status, said: words(body.as_bytes()), request_id: Some("req-1".into()) }
    }

    #[test]
    fn each_shape_of_an_error_gives_its_words() {
        // Recorded with release 39.
        let not_acceptable = r#"{"error_message":"{\"code\": 406, \"title\": \"Not Acceptable\", \"description\": \"Version 1.116 was requested but the minor version is not supported by this service. The supported version range is: [1.1, 1.115].\"}"}"#;
        assert!(refusal(406, not_acceptable).said.starts_with("Version 1.116 was requested"));
        let fault =
            r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Node nope could not be found.\", \"debuginfo\": null}"}"#;
        assert_eq!(refusal(404, fault).said, "Node nope could not be found");
        let door = r#"{"error": {"message": "Incorrect username or password", "code": 401}}"#;
        assert_eq!(refusal(401, door).said, "Incorrect username or password");
        assert_eq!(refusal(400, r#"{"error_message": {"faultstring": "x"}}"#).said, "x");
        assert_eq!(refusal(502, "<html><body>Bad Gateway</body></html>").said, "");
        assert_eq!(refusal(503, "no free\nworker").said, "no free worker");
    }

    #[test]
    fn a_lock_passes_and_a_conflict_stays() {
        let lock = r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Node 1be26c0b is locked by host lab, please retry after the current operation is completed.\"}"}"#;
        assert_eq!(refusal(409, lock).means(), Means::Locked);
        let taken = r#"{"error_message": "{\"faultstring\": \"Node 1be26c0b is associated with instance aaaa.\"}"}"#;
        assert_eq!(refusal(409, taken).means(), Means::Conflict);
        assert_eq!(refusal(503, "").means(), Means::Busy);
        assert_eq!(refusal(500, "").means(), Means::Unwell);
        let told = refusal(403, "").fault("lab").detail;
        assert!(told.contains("`lab`") && told.contains("req-1"), "{told}");
    }
}
