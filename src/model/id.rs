//! Names of things. An id that a person reads aloud is short (`r-7`, `s-004`); one that a machine gave is a UUID.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Namespace of every UUID that coldswap derives instead of being told (UUIDv5, RFC 9562 section 5.5).
pub(super) const NAMESPACE: Uuid = Uuid::from_bytes(*b"coldswap-ns-0001");

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id that follows from what the thing is called: the same text gives the same id on every host.
            pub fn derived(text: &str) -> $name {
                $name(Uuid::new_v5(&NAMESPACE, format!("{}/{text}", stringify!($name)).as_bytes()))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<$name, uuid::Error> {
                text.parse().map($name)
            }
        }
    };
}

uuid_id!(
    /// A node, by Ironic's `uuid`.
    NodeId
);
uuid_id!(
    /// A volume connector (Ironic: `volume_connector.uuid`).
    ConnectorId
);
uuid_id!(
    /// A volume target (Ironic: `volume_target.uuid`).
    TargetId
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.to_owned())
            }
        }
    };
}

text_id!(
    /// A run of a plan: `r-7`, counted by the store.
    RunId
);
text_id!(
    /// A saved plan: `p-7`, counted by the store.
    PlanId
);
text_id!(
    /// Which store: drawn once when the store is made. A plan of another store is refused.
    StoreId
);

/// A switchover of a plan, by its position: `s-001` is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwitchoverId(pub u32);

impl fmt::Display for SwitchoverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s-{:03}", self.0)
    }
}

impl FromStr for SwitchoverId {
    type Err = String;
    fn from_str(text: &str) -> Result<SwitchoverId, String> {
        text.strip_prefix("s-")
            .and_then(|n| n.parse().ok())
            .map(SwitchoverId)
            .ok_or_else(|| format!("`{text}` is not a switchover id such as `s-001`"))
    }
}

impl Serialize for SwitchoverId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SwitchoverId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<SwitchoverId, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for SwitchoverId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SwitchoverId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^s-[0-9]{3,}$"})
    }
}
