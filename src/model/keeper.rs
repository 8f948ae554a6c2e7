//! What an inventory service that boots machines itself (Ironic) knows of a node and an inventory of our own does not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Present on a node that such a service keeps: the service holds its record, drives its BMC and lets it boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keeper {
    /// What keeps it from being a source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_bars: Vec<Bar<SourceBar>>,
    /// What keeps it from being a spare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spare_bars: Vec<Bar<SpareBar>>,
    /// Present where the service itself has put the node into maintenance, for a fault that it found (Ironic: `fault`, and
    /// nobody's `maintenance_reason` but its own). `power failure`: it cannot reach the BMC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One thing in the way. `text` names the node, the service's own word and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bar<C> {
    pub code: C,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceBar {
    /// It has volumes and runs nothing from them.
    ProvisionState,
    /// The service works on it.
    Locked,
    /// The service may not take it down.
    Protected,
    /// Its storage interface attaches volumes by itself.
    StorageInterface,
    /// It was deployed from an image.
    ImageSource,
    /// A record of it cannot be carried over as it is.
    RecordUnfit,
    /// A volume of its is recorded for a node that we are not shown.
    SecondAttachment,
    /// Nova runs its instance, and will not know of the move.
    Nova,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpareBar {
    /// The service works on it.
    Locked,
    Retired,
    /// An allocation has taken it.
    Allocated,
    StorageInterface,
    BootInterface,
    /// It cannot boot from any kind of volume that is booted from here.
    BootCapability,
    /// An image would be written to it.
    ImageSource,
    RecordUnfit,
    /// It has an initiator name of its own, and one machine boots with one.
    OwnInitiator,
    /// It has volumes of a kind that is not known here.
    HasVolumes,
}
