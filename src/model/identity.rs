//! Which machine a BMC speaks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What tells one machine from another. UUIDs of all zeros or all f, and serial numbers that are placeholders,
/// identify nothing and never get in here ([`Identity::clean`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
}

impl Identity {
    /// Keep of what a BMC reported only what identifies: trimmed, UUIDs in lower case, placeholders dropped.
    ///
    /// Seen in recorded data: UUID of all `f` (Dell DSS9630M), zeros with a MAC at the end (Supermicro: kept, it is
    /// unique), empty, serial numbers `Not Specified`, `To be filled by O.E.M.`, `0123456789`.
    pub fn clean(system_uuid: Option<&str>, serial_number: Option<&str>) -> Identity {
        let uuid = system_uuid.map(|u| u.trim().to_lowercase()).filter(|u| {
            let hex: Vec<char> = u.chars().filter(|c| *c != '-').collect();
            hex.len() >= 8 && !hex.iter().all(|c| *c == '0') && !hex.iter().all(|c| *c == 'f')
        });
        let serial = serial_number.map(|s| s.trim().to_owned()).filter(|s| {
            let low = s.to_lowercase();
            let same = low.chars().next().is_none_or(|first| low.chars().all(|c| c == first));
            !same && !matches!(low.as_str(), "none" | "n/a" | "na" | "unknown" | "default string" | "0123456789" | "123456789" | "1234567890")
                && !low.starts_with("not s") // "not specified", "not set"
                && !low.starts_with("not a") // "not available", "not applicable"
                && !low.contains("o.e.m")
                && !low.starts_with("empty")
        });
        Identity { system_uuid: uuid, serial_number: serial }
    }

    pub fn is_empty(&self) -> bool {
        self.system_uuid.is_none() && self.serial_number.is_none()
    }

    /// Is the machine that reports `seen` the one that this identity names? `None` where nothing can be compared.
    pub fn recognises(&self, seen: &Identity) -> Option<bool> {
        let pair = |a: &Option<String>, b: &Option<String>| Some(a.as_ref()? == b.as_ref()?);
        match (pair(&self.system_uuid, &seen.system_uuid), pair(&self.serial_number, &seen.serial_number)) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(true) && b.unwrap_or(true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_identify_nothing() {
        for uuid in ["ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000", "", "  "] {
            assert_eq!(Identity::clean(Some(uuid), None), Identity::default(), "{uuid}");
        }
        for serial in ["", "0000000", "To be filled by O.E.M.", "Not Specified", "N/A", "Default string", "xxxxxxx"] {
            assert_eq!(Identity::clean(None, Some(serial)), Identity::default(), "{serial}");
        }
        let kept = Identity::clean(Some("00000000-0000-0000-0000-3CECEF123456"), Some(" CZ123 "));
        assert_eq!(kept.system_uuid.as_deref(), Some("00000000-0000-0000-0000-3cecef123456"));
        assert_eq!(kept.serial_number.as_deref(), Some("CZ123"));
    }

    #[test]
    fn recognition_needs_something_to_compare_and_no_contradiction() {
        let id = |u: Option<&str>, s: Option<&str>| Identity { system_uuid: u.map(Into::into), serial_number: s.map(Into::into) };
        assert_eq!(id(Some("a"), None).recognises(&id(None, Some("s"))), None);
        assert_eq!(id(Some("a"), Some("s")).recognises(&id(Some("a"), None)), Some(true));
        assert_eq!(id(Some("a"), Some("s")).recognises(&id(Some("a"), Some("t"))), Some(false));
    }
}
