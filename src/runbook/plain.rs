//! Secrets that stand in the open, told by the name of their key or by their place in an address. What is found here is
//! masked wherever the file is shown (`R301`).

use super::shape::{At, Reading};
use crate::diagnostic::codes;
use std::ops::Range;

/// Where a secret's place may stand instead.
pub(super) const HERE: &str = "write `{secret: {env: NAME}}` or `{secret: {file: PATH}}`";
/// Where nothing but values may stand.
pub(super) const WHERE_USED: &str = "this stands in plans and in the store; write `{secret: {env: NAME}}` where it is used";
pub(super) const NOT_IN_A_BODY: &str = "a body takes no secret; use a header with `{secret: {env: NAME}}`, or a program with `env`";

/// Does a value under this key let somebody in? What ends in `_file` or `_script` says where to find it.
pub(super) fn names_secret(key: &str) -> bool {
    let name = key.to_lowercase().replace(['-', '.', ' '], "_");
    let elsewhere = ["_file", "_path", "_script"].iter().any(|end| name.ends_with(end));
    let says =
        ["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key"].iter().any(|word| name.contains(word));
    let header = ["authorization", "proxy_authorization", "cookie"].contains(&name.as_str());
    (says || header) && !elsewhere
}

/// Ironic keeps CHAP credentials among a target's properties (`auth_username`, `auth_password`).
pub(super) fn may_be_secret(property: &str) -> bool {
    let name = property.to_lowercase();
    names_secret(property) || ["password", "secret", "chap", "auth_"].iter().any(|word| name.contains(word))
}

/// Tell a text under a key that names a secret. Templates say where a value comes from, and the word in front of a
/// credential (RFC 9110 section 11.4) says of what kind it is: neither is one.
pub(super) fn under(reading: &Reading<'_>, key: &str, text: &str, at: &Range<usize>, hint: &str) {
    if !names_secret(key) {
        return;
    }
    let rest = without_templates(text, "").to_lowercase();
    let kind = |word: &&str| !["bearer", "basic", "digest", "token"].contains(word);
    if rest.split_whitespace().any(|word| kind(&word)) {
        reading.hinted(codes::PLAIN_SECRET, format!("a secret in the open: `{key}`"), at, hint);
    }
}

/// Tell credentials in an address, and whatever else cannot be asked there.
pub(super) fn address(reading: &Reading<'_>, written: &At<String>) {
    let text = &written.value;
    let host = text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if host.contains('@') {
        let message = "name and password do not belong into an address";
        reading.hinted(
            codes::PLAIN_SECRET,
            message,
            &written.at,
            "write the whole address as `{secret: {env: NAME}}`, or the header `Authorization` as one",
        );
        return;
    }
    let query = text.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        under(reading, key, value, &written.at, "write the whole address as `{secret: {env: NAME}}`");
    }
    if let Some(wrong) = not_to_be_asked(text) {
        reading.hinted(codes::HOOK_ADDRESS, wrong, &written.at, "write it like `https://chat.example/hook`");
    }
}

fn not_to_be_asked(text: &str) -> Option<&'static str> {
    const WAYS: [&str; 2] = ["https://", "http://"];
    let literal = text.split("{{").next().unwrap_or_default().trim_start().to_lowercase();
    let begins = WAYS.iter().any(|way| literal.starts_with(way));
    if literal.len() < text.trim_start().len() {
        // What a template gives is seen when the plan is made.
        let may_begin = WAYS.iter().any(|way| way.starts_with(&literal));
        return (!begins && !may_begin).then_some("neither `https://` nor `http://` stands in front");
    }
    if !begins {
        return Some("neither `https://` nor `http://` stands in front");
    }
    url::Url::parse(text.trim()).is_err().then_some("this is not an address")
}

/// The text with every `{{ }}` replaced.
fn without_templates(text: &str, by: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        out.push_str(by);
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &str, text: &str) -> Vec<&'static str> {
        let reading = Reading::new("x", b"");
        if key == "url" {
            address(&reading, &At::new(text.to_owned(), 0..0))
        } else {
            under(&reading, key, text, &(0..0), HERE)
        }
        reading.finish().0.iter().map(|d| d.code).collect()
    }

    #[test]
    fn a_secret_in_the_open_is_told_by_its_key() {
        for key in ["password", "passwd", "auth_password", "X-Auth-Token", "DB_PASSWORD", "client-secret", "Authorization", "api-key"] {
            assert_eq!(told(key, "hunter2"), [codes::PLAIN_SECRET], "{key}");
            assert_eq!(told(key, "{{ vars.x }}"), [""; 0], "{key}");
        }
        assert_eq!(told("Authorization", "Bearer hunter2"), [codes::PLAIN_SECRET]);
        assert_eq!(told("Authorization", "Bearer {{ vars.x }}"), [""; 0]);
        assert_eq!(told("Authorization", "Bearer {{ vars.x }}-2"), [codes::PLAIN_SECRET]);
        for key in ["username", "plug", "password_script", "token_file", "ip", "Content-Type", "auth_method"] {
            assert_eq!(told(key, "x"), [""; 0], "{key}");
        }
    }

    #[test]
    fn an_address_is_asked_and_has_no_password() {
        for good in [
            "https://a/b",
            "http://10.0.0.1:80/?x=1@2",
            "{{ vars.x }}/b",
            "https://{{ source.name }}:{{ vars.p }}/",
            "https://[{{ vars.x }}]/",
        ] {
            assert_eq!(told("url", good), [""; 0], "{good}");
        }
        for bad in ["file:///etc/passwd", "notaurl", "ftp://a/", "http://", "file://{{ vars.x }}", "ftp{{ vars.x }}", "https://a b/"] {
            assert_eq!(told("url", bad), [codes::HOOK_ADDRESS], "{bad}");
        }
        for open in ["http://user:pw@a/", "https://user@a", "https://u:{{ vars.x }}@a/", "https://a/?x=1&token=abc#y"] {
            assert_eq!(told("url", open), [codes::PLAIN_SECRET], "{open}");
        }
    }
}
