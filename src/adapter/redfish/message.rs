//! Words for people: what a BMC said when it did not do as it was told, bounded and without anything that we sent.

use super::wire::{Item, list, part, text};
use serde::Deserialize;

/// A BMC's message may be as long as it likes; a report with a thousand of them must stay readable.
const MESSAGE_CHARS_MAX: usize = 300;

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    #[serde(deserialize_with = "part")]
    error: Option<ErrorPart>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorPart {
    #[serde(deserialize_with = "text")]
    message: Option<String>,
    #[serde(rename = "@Message.ExtendedInfo", deserialize_with = "list")]
    extended: Option<Vec<Item<Info>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info {
    #[serde(rename = "Message", deserialize_with = "text")]
    message: Option<String>,
    #[serde(rename = "MessageId", deserialize_with = "text")]
    id: Option<String>,
    #[serde(rename = "Resolution", deserialize_with = "text")]
    resolution: Option<String>,
}

fn infos(body: &[u8]) -> (Option<String>, Vec<Info>) {
    let error = serde_json::from_slice::<ErrorBody>(body).ok().and_then(|b| b.error).unwrap_or_default();
    (error.message, error.extended.into_iter().flatten().filter_map(|i| i.0).collect())
}

/// The message of an error body: `@Message.ExtendedInfo` first (its `message` is mostly "see ExtendedInfo"), plain text
/// where the body is no JSON (sushy-tools labels plain text as JSON), nothing where it is a web page.
pub(super) fn of_body(body: &[u8]) -> Option<String> {
    let (message, infos) = infos(body);
    let said: Vec<String> = infos
        .into_iter()
        .filter_map(|i| match (i.message.or(i.id), i.resolution) {
            (Some(message), Some(resolution)) if resolution != "None" => Some(format!("{message} {resolution}")),
            (message, _) => message,
        })
        .collect();
    let said = if said.is_empty() { message } else { Some(said.join("; ")) };
    let said = said.or_else(|| {
        let plain = std::str::from_utf8(body).ok()?.trim();
        (!plain.is_empty() && !plain.starts_with(['<', '{', '['])).then(|| plain.to_owned())
    })?;
    Some(bounded(&said))
}

/// Does the error body carry this message id, whatever registry and version stand in front of it?
pub(super) fn has_id(body: &[u8], id: &str) -> bool {
    infos(body).1.iter().any(|i| i.id.as_deref().is_some_and(|m| m.rsplit('.').next() == Some(id)))
}

/// One line of at most [`MESSAGE_CHARS_MAX`] characters, without control characters.
fn bounded(said: &str) -> String {
    let clean: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MESSAGE_CHARS_MAX) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_info_comes_first_and_web_pages_say_nothing() {
        let body = br#"{"error":{"code":"Base.1.8.GeneralError","message":"See @Message.ExtendedInfo",
            "@Message.ExtendedInfo":[{"MessageId":"IDRAC.2.8.SYS413","Message":"Unable to reset.","Resolution":"Wait."},null]}}"#;
        assert_eq!(of_body(body).as_deref(), Some("Unable to reset. Wait."));
        assert!(has_id(body, "SYS413") && !has_id(body, "413"));
        assert_eq!(of_body(b"PATCH only works for Boot\n").as_deref(), Some("PATCH only works for Boot"));
        assert_eq!(of_body(b"<html>502</html>"), None);
        assert_eq!(of_body(b""), None);
        assert_eq!(of_body(br#"{"error":[]}"#), None);
    }

    #[test]
    fn a_message_is_one_bounded_line() {
        let body = format!(r#"{{"error":{{"message":"a\n\u001b[31mb{}"}}}}"#, "x".repeat(5000));
        let said = of_body(body.as_bytes()).expect("a message");
        assert!(said.starts_with("a [31mbx") && said.ends_with("...") && said.chars().count() == MESSAGE_CHARS_MAX + 3, "{said}");
    }
}
