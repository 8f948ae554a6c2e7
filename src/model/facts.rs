//! Hardware as seen. Every field may be unknown, and unknown equals nothing, not even unknown.

use super::SecretRef;
use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A value that a label, fact or property may hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Integer(i64),
    Text(String),
    /// Where it is kept. Only properties of volume targets have any: CHAP credentials.
    Secret {
        secret: SecretRef,
    },
}

/// `{"secret": {"env": "NAME"}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    secret: SecretRef,
}

/// Written by hand: an untagged enum's own reader tries one variant after the other and words an error for each that does
/// not fit, which was a third of the time that a fleet takes to be read.
impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Scalar, D::Error> {
        struct Any;
        impl<'v> Visitor<'v> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, an integer, `true` or `false`")
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(flag))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                i64::try_from(number).map(Scalar::Integer).map_err(|_| E::custom(format!("{number} is too large")))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
                Ok(Scalar::Text(text))
            }
            fn visit_map<A: de::MapAccess<'v>>(self, map: A) -> Result<Scalar, A::Error> {
                Kept::deserialize(de::value::MapAccessDeserializer::new(map)).map(|kept| Scalar::Secret { secret: kept.secret })
            }
        }
        d.deserialize_any(Any)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(b) => b.fmt(f),
            Scalar::Integer(n) => n.fmt(f),
            Scalar::Text(t) => t.fmt(f),
            Scalar::Secret { secret } => secret.fmt(f),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootMode {
    Uefi,
    Bios,
}

/// Redfish `Status.Health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    Warning,
    Critical,
}

/// Redfish `PowerRestorePolicy`: what the machine does when mains power returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerRestorePolicy {
    AlwaysOn,
    AlwaysOff,
    LastState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CpuFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sockets in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

/// The facts that matching may speak of. [`Facts::get`] reads one by the name that runbooks use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: CpuFacts,
    /// Mebibytes, as Ironic counts memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<BootMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// Firmware versions by component: `bios`, `bmc`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub firmware: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_restore_policy: Option<PowerRestorePolicy>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Facts {
    /// Every name that [`Facts::get`] knows. `firmware.*` stands for any component.
    pub const NAMES: [&'static str; 15] = [
        "manufacturer",
        "model",
        "sku",
        "cpu.model",
        "cpu.count",
        "cpu.cores",
        "cpu.threads",
        "cpu.architecture",
        "memory_mib",
        "boot_mode",
        "secure_boot",
        "firmware.bios",
        "firmware.bmc",
        "health",
        "power_restore_policy",
    ];

    /// The fact of that name, if it is known.
    pub fn get(&self, name: &str) -> Option<Scalar> {
        let text = |t: &Option<String>| t.clone().map(Scalar::Text);
        let number = |n: Option<u32>| n.map(|n| Scalar::Integer(n.into()));
        match name {
            "manufacturer" => text(&self.manufacturer),
            "model" => text(&self.model),
            "sku" => text(&self.sku),
            "cpu.model" => text(&self.cpu.model),
            "cpu.count" => number(self.cpu.count),
            "cpu.cores" => number(self.cpu.cores),
            "cpu.threads" => number(self.cpu.threads),
            "cpu.architecture" => text(&self.cpu.architecture),
            "memory_mib" => self.memory_mib.and_then(|n| i64::try_from(n).ok()).map(Scalar::Integer),
            "boot_mode" => self.boot_mode.map(wire),
            "secure_boot" => self.secure_boot.map(Scalar::Bool),
            "health" => self.health.map(wire),
            "power_restore_policy" => self.power_restore_policy.map(wire),
            _ => name.strip_prefix("firmware.").and_then(|c| self.firmware.get(c)).cloned().map(Scalar::Text),
        }
    }

    /// Does any fact have a value? A node without facts never matches.
    pub fn known(&self) -> bool {
        *self != Facts::default()
    }

    /// These facts with `other`'s where these are silent.
    pub fn or(&self, other: &Facts) -> Facts {
        let mut firmware = other.firmware.clone();
        firmware.extend(self.firmware.clone());
        Facts {
            manufacturer: self.manufacturer.clone().or_else(|| other.manufacturer.clone()),
            model: self.model.clone().or_else(|| other.model.clone()),
            sku: self.sku.clone().or_else(|| other.sku.clone()),
            cpu: CpuFacts {
                model: self.cpu.model.clone().or_else(|| other.cpu.model.clone()),
                count: self.cpu.count.or(other.cpu.count),
                cores: self.cpu.cores.or(other.cpu.cores),
                threads: self.cpu.threads.or(other.cpu.threads),
                architecture: self.cpu.architecture.clone().or_else(|| other.cpu.architecture.clone()),
            },
            memory_mib: self.memory_mib.or(other.memory_mib),
            boot_mode: self.boot_mode.or(other.boot_mode),
            secure_boot: self.secure_boot.or(other.secure_boot),
            firmware,
            health: self.health.or(other.health),
            power_restore_policy: self.power_restore_policy.or(other.power_restore_policy),
        }
    }
}

/// The text that a fieldless enum has on the wire.
fn wire<T: Serialize>(value: T) -> Scalar {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Scalar::Text(text),
        other => unreachable!("a fieldless enum is a string on the wire, not {other:?}"),
    }
}

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

    #[test]
    fn every_named_fact_can_be_read() {
        let facts: Facts = serde_json::from_value(serde_json::json!({
            "manufacturer": "Contoso", "model": "C1", "sku": "s", "memory_mib": 1, "boot_mode": "uefi", "secure_boot": true,
            "cpu": {"model": "X", "count": 2, "cores": 4, "threads": 8, "architecture": "x86"},
            "firmware": {"bios": "1", "bmc": "2"}, "health": "ok", "power_restore_policy": "always_off"
        }))
        .expect("facts");
        for name in Facts::NAMES {
            assert!(facts.get(name).is_some(), "{name}");
            assert!(Facts::default().get(name).is_none(), "{name}");
        }
    }
}
