//! Hardware as seen. Every field may be unknown, and unknown equals nothing, not even unknown.

use super::{Further, SHORT_FIRMWARE, SecretRef};
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

/// Every group of facts that a [`Facts`] has besides its own: fields that are unknown, or numbers and texts.
macro_rules! group {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_about])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
        }

        impl $name {
            /// These facts with `other`'s where these are silent.
            fn or(&self, other: &$name) -> $name {
                $name { $($field: self.$field.clone().or_else(|| other.$field.clone()),)* }
            }
        }
    };
}

group! {
    CpuFacts {
        model: String,
        /// Sockets in use.
        count: u32,
        /// Of all sockets.
        cores: u32,
        /// Of all sockets.
        threads: u32,
        architecture: String,
    }
}

group! {
    MemoryFacts {
        /// Slots that hold a module.
        modules: u32,
    }
}

group! {
    /// GPUs, FPGAs, DPUs and the like. Zero is a count; no count is unknown.
    AcceleratorFacts {
        count: u32,
        /// Models with their numbers, sorted: `8 x H100`; `none` where there are none.
        models: String,
    }
}

group! {
    /// Ethernet and InfiniBand. Fibre Channel is in [`HbaFacts`].
    NetworkFacts {
        adapters: u32,
        ports: u32,
        /// Ports whose link was up when they were read.
        ports_up: u32,
        /// The fastest that a port can be, megabits per second.
        speed_mbps: u64,
        /// The fastest link that was up, megabits per second.
        link_mbps: u64,
        models: String,
    }
}

group! {
    StorageFacts {
        controllers: u32,
        /// Drives that the machine has of its own.
        drives: u32,
        models: String,
    }
}

group! {
    /// Fibre Channel host bus adapters.
    HbaFacts {
        count: u32,
        ports: u32,
        models: String,
    }
}

/// The facts that matching may speak of. [`Facts::get`] reads one by the name that runbooks use; what each of them is and
/// where it is read stands in [`FACTS`](super::FACTS).
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
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryFacts,
    #[serde(skip_serializing_if = "is_default")]
    pub accelerators: AcceleratorFacts,
    #[serde(skip_serializing_if = "is_default")]
    pub network: NetworkFacts,
    #[serde(skip_serializing_if = "is_default")]
    pub storage: StorageFacts,
    #[serde(skip_serializing_if = "is_default")]
    pub hbas: HbaFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<BootMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// Firmware versions by component: `bios`, `bmc`, and what the BMC's firmware inventory lists.
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

/// What is changed with a screwdriver: where one of these differs, what was read before was another machine's.
const HARDWARE: [&str; 7] = ["manufacturer", "model", "sku", "cpu.model", "cpu.count", "cpu.architecture", "memory_mib"];

impl Facts {
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
            cpu: self.cpu.or(&other.cpu),
            memory_mib: self.memory_mib.or(other.memory_mib),
            memory: self.memory.or(&other.memory),
            accelerators: self.accelerators.or(&other.accelerators),
            network: self.network.or(&other.network),
            storage: self.storage.or(&other.storage),
            hbas: self.hbas.or(&other.hbas),
            boot_mode: self.boot_mode.or(other.boot_mode),
            secure_boot: self.secure_boot.or(other.secure_boot),
            firmware,
            health: self.health.or(other.health),
            power_restore_policy: self.power_restore_policy.or(other.power_restore_policy),
        }
    }

    /// Does `now` show other hardware, as far as both know?
    pub fn other_hardware(&self, now: &Facts) -> bool {
        HARDWARE.iter().any(|name| matches!((self.get(name), now.get(name)), (Some(was), Some(is)) if was != is))
    }

    /// A short reading, with what only a full reading gives from the one before. `before` must be of the same hardware
    /// ([`Facts::other_hardware`]). What the short reading asked for and did not get is unknown now, whatever it was.
    pub(super) fn over_full(&self, before: &Facts, asked: Further) -> Facts {
        let mut firmware = self.firmware.clone();
        let read = || SHORT_FIRMWARE.into_iter().filter(|c| asked.bmc_firmware || *c != "bmc");
        if read().all(|c| self.firmware.get(c) == before.firmware.get(c)) {
            // After an update the versions beside it are as old as the one that was replaced.
            let further = before.firmware.iter().filter(|(component, _)| !read().any(|c| c == component.as_str()));
            firmware.extend(further.map(|(component, version)| (component.clone(), version.clone())));
        }
        Facts {
            cpu: CpuFacts {
                cores: self.cpu.cores.or(before.cpu.cores),
                threads: self.cpu.threads.or(before.cpu.threads),
                architecture: if asked.architecture { self.cpu.architecture.clone() } else { before.cpu.architecture.clone() },
                ..self.cpu.clone()
            },
            secure_boot: if asked.secure_boot { self.secure_boot } else { before.secure_boot },
            memory: before.memory.clone(),
            accelerators: before.accelerators.clone(),
            network: before.network.clone(),
            storage: before.storage.clone(),
            hbas: before.hbas.clone(),
            firmware,
            ..self.clone()
        }
    }
}

/// The text that a fieldless enum has on the wire.
pub(super) fn wire<T: Serialize>(value: T) -> Scalar {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Scalar::Text(text),
        other => unreachable!("a fieldless enum is a string on the wire, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(value: serde_json::Value) -> Facts {
        serde_json::from_value(value).expect("facts")
    }

    #[test]
    fn a_short_reading_keeps_what_only_a_full_one_gives_and_nothing_else() {
        let before = facts(serde_json::json!({
            "model": "C1", "sku": "s", "cpu": {"count": 2, "cores": 64}, "memory_mib": 1, "memory": {"modules": 4}, "health": "ok",
            "accelerators": {"count": 8, "models": "8 x H100"}, "firmware": {"bios": "1", "bmc": "2", "nic": "3"}
        }));
        let short = facts(serde_json::json!({"model": "C1", "cpu": {"count": 2}, "firmware": {"bios": "1", "bmc": "2"}}));
        assert!(!before.other_hardware(&short));
        let now = short.over_full(&before, Further::ALL);
        assert_eq!((now.cpu.cores, now.memory.modules, now.accelerators.count), (Some(64), Some(4), Some(8)));
        assert_eq!(now.firmware["nic"], "3");
        assert_eq!((now.sku, now.memory_mib, now.health), (None, None, None), "asked for and not said");
        let updated = facts(serde_json::json!({"model": "C1", "firmware": {"bios": "1.1", "bmc": "2"}}));
        assert!(!updated.over_full(&before, Further::ALL).firmware.contains_key("nic"), "as old as the BIOS that was replaced");
        let before = facts(serde_json::json!({"cpu": {"architecture": "x86"}, "secure_boot": true, "firmware": {"bios": "1", "bmc": "2"}}));
        let asked = Further { architecture: false, secure_boot: false, bmc_firmware: false, iscsi_boot: false };
        let brief = facts(serde_json::json!({"model": "C1", "firmware": {"bios": "1"}}));
        let now = brief.over_full(&before, asked);
        assert_eq!((now.secure_boot, now.firmware["bmc"].as_str()), (Some(true), "2"), "not asked for");
        assert_eq!(now.cpu.architecture.as_deref(), Some("x86"));
        let brief = facts(serde_json::json!({"firmware": {"bios": "1.1"}}));
        assert!(!brief.over_full(&before, asked).firmware.contains_key("bmc"), "as old as the BIOS that was replaced");
        let before = facts(serde_json::json!({"memory_mib": 1, "model": "C1", "cpu": {"count": 2}}));
        for other in [serde_json::json!({"memory_mib": 2}), serde_json::json!({"cpu": {"count": 1}}), serde_json::json!({"model": "C2"})] {
            assert!(before.other_hardware(&facts(other)));
        }
        assert!(!Facts::default().other_hardware(&before) && !before.other_hardware(&Facts::default()), "unknown is no difference");
    }
}
