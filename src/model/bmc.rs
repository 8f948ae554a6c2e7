//! How a BMC is reached, and what it said when asked.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a secret is kept. The secret itself is read at the moment of use and is never part of any value that is
/// written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file, read whole, without its last line end.
    File(String),
    /// A command's standard output, without its last line end.
    Command(Vec<String>),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "environment variable `{name}`"),
            SecretRef::File(path) => write!(f, "file `{path}`"),
            SecretRef::Command(argv) => write!(f, "command `{}`", argv.first().map_or("", String::as_str)),
        }
    }
}

/// Text in the open, or where to find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitive {
    Plain(String),
    Secret(SecretRef),
}

/// What makes a BMC's certificate good.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlsTrust {
    /// The system's roots.
    #[default]
    System,
    /// A PEM file of certificate authorities.
    Ca(String),
    /// SHA-256 of the leaf certificate, 64 lower-case hex digits. The handshake signature is verified all the same.
    Fingerprint(String),
    /// Knowingly none.
    Unverified,
}

/// One system behind one BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BmcEndpoint {
    /// Scheme, host and port: `https://10.0.0.7`. A path in front of `/redfish/v1` is allowed.
    pub address: String,
    /// Path of the ComputerSystem. None: the BMC must have exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Sensitive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    #[serde(default)]
    pub tls: TlsTrust,
}

/// One look at a ComputerSystem: one GET.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemReading {
    pub power: PowerState,
    /// Who answered, as far as it says.
    pub identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_progress: Option<BootProgress>,
    pub boot_override: BootOverride,
    /// What it does when mains power returns. None: it does not say, and it cannot be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_policy: Option<PowerRestorePolicy>,
    /// Why `power` is unknown, where whoever was asked knows the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_unknown: Option<String>,
    /// What a service recorded while it does not look at the machine (Ironic, in maintenance): `power` is unknown then, and
    /// this is no evidence of anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<PowerState>,
}

/// What a short reading asks for beside the ComputerSystem: each costs requests of its own, so a plan asks for what its
/// runbook speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Further {
    /// `cpu.architecture`, of a processor.
    pub architecture: bool,
    pub secure_boot: bool,
    /// `firmware.bmc`, of the manager.
    pub bmc_firmware: bool,
    /// What the adapters' firmware opens, and whether it can open anything.
    pub iscsi_boot: bool,
}

impl Further {
    pub const ALL: Further = Further { architecture: true, secure_boot: true, bmc_firmware: true, iscsi_boot: true };

    /// What only one of the two asks for, and what both do.
    pub fn and(self, other: Further) -> Further {
        Further {
            architecture: self.architecture || other.architecture,
            secure_boot: self.secure_boot || other.secure_boot,
            bmc_firmware: self.bmc_firmware || other.bmc_firmware,
            iscsi_boot: self.iscsi_boot || other.iscsi_boot,
        }
    }
}

impl Default for Further {
    fn default() -> Further {
        Further::ALL
    }
}

/// Everything that planning wants to know of a BMC: facts and abilities. Several GETs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemReport {
    pub reading: SystemReading,
    pub facts: Facts,
    pub abilities: BmcAbilities,
    /// Present when the system has an adapter function that can boot from iSCSI.
    pub iscsi_boot: Option<IscsiBoot>,
    /// What was not asked for is unknown here, and not unknown to the BMC.
    #[serde(default)]
    pub asked: Further,
    /// The path that was found where the inventory names none.
    pub system: String,
    /// The facts are those of a full reading ([`Depth::Full`]).
    #[serde(default)]
    pub in_full: bool,
    /// What the BMC has and could not be read, each with its reason. The facts that hang on it are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// What a BMC lets be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BmcAbilities {
    /// The allowable reset types that coldswap knows, inline or by ActionInfo. None: the BMC does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_types: Option<Vec<ResetType>>,
    /// It has an adapter function with `iSCSIBoot`.
    pub iscsi_boot: bool,
    /// Nobody has looked yet whether it has one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub iscsi_boot_unread: bool,
    /// It reports BootProgress.
    pub boot_progress: bool,
    /// Allowable `BootSourceOverrideTarget` values. Empty: it does not say.
    pub override_targets: Vec<String>,
}

/// The boot source override of a ComputerSystem (`Boot.BootSourceOverride*`), in Redfish's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BootOverride {
    /// `None`, `Pxe`, `Hdd`, `UefiHttp`, `RemoteDrive`, ...; absent where the BMC does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `Disabled`, `Once`, `Continuous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<String>,
}

/// What an adapter's boot firmware opens (Redfish NetworkDeviceFunction `iSCSIBoot`, primary target). CHAP secrets
/// are not part of it: a BMC does not give them back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IscsiBoot {
    /// `InitiatorName`; empty where none is set.
    pub initiator: String,
    /// `PrimaryTargetName`; empty: the adapter boots from nothing.
    pub target: String,
    /// `PrimaryTargetIPAddress` and `PrimaryTargetTCPPort`: `127.0.0.1:3260`.
    pub portal: String,
    /// `PrimaryLUN`.
    pub lun: u32,
}

impl IscsiBoot {
    pub fn is_clear(&self) -> bool {
        self.target.is_empty()
    }
}

/// A node's boot configuration as its BMC holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BootSettings {
    /// None: not managed here (`boot.via` does not touch it), or no such adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iscsi: Option<IscsiBoot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_override: Option<BootOverride>,
}

impl BootSettings {
    /// Does this reading show what was asked? What was not asked is not compared. An override that was asked for
    /// `Once` may read `Continuous` (sushy-tools) or `Disabled` again (taken): only its target is compared, and a
    /// `Continuous` that was asked must not read `Disabled`.
    pub fn shows(&self, asked: &BootSettings) -> bool {
        let iscsi = match (&asked.iscsi, &self.iscsi) {
            (None, _) => true,
            (Some(want), Some(seen)) if want.is_clear() => seen.is_clear(),
            (Some(want), Some(seen)) => want == seen,
            (Some(want), None) => want.is_clear(),
        };
        let overridden = match (&asked.boot_override, &self.boot_override) {
            (None, _) => true,
            (Some(want), seen) => {
                let seen = seen.clone().unwrap_or_default();
                let off = |o: &BootOverride| {
                    matches!(o.enabled.as_deref(), Some("Disabled")) || matches!(o.target.as_deref(), None | Some("None"))
                };
                if off(want) { off(&seen) } else { !off(&seen) && seen.target == want.target }
            }
        };
        iscsi && overridden
    }
}
