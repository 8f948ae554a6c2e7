//! The codes of what is in the way.

use crate::model::{SourceBar, SpareBar};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a source is not switched over. Wire names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutCode {
    /// It has no volume to move.
    NoVolumes,
    /// None of its volumes is the one to boot from, or the node is declared unable to boot from it.
    NotVolumeBooted,
    /// Another run holds it.
    Reserved,
    /// It is in maintenance for somebody else's reason.
    Maintenance,
    /// Something is owed for it after an earlier switchover.
    InDebt,
    /// One of its volumes is attached to another node as well.
    SecondAttachment,
    /// Its inventory service says that it is neither at rest nor healthy, or that nothing runs on it.
    ProvisionState,
    /// Its inventory service works on it.
    Locked,
    /// Its inventory service may not take it down.
    Protected,
    /// Its storage interface attaches volumes by itself.
    StorageInterface,
    /// It was deployed from an image, which would be written over the volume.
    ImageSource,
    /// A record of it cannot be carried over as it is.
    RecordUnfit,
    /// Nova runs its instance and will not know of the move, and the runbook does not say `nova_aware`.
    Nova,
    /// Its connectors belong to its hardware, and no hook does the zoning.
    BurnedInConnectors,
    /// Its BMC contradicts facts that were declared.
    ContradictingFacts,
    /// Its BMC does not answer.
    Silent,
    /// Its BMC does not answer in a disaster, and the runbook names nobody else who may vouch that it is off.
    SilentInDisaster,
    /// Its BMC is there and does not say what it is asked: a wrong password, a locked account, a certificate that is not
    /// trusted, errors only.
    BmcRefuses,
    /// Another machine answers at its BMC's address.
    WrongMachine,
    /// Its BMC does not say which machine it speaks for.
    Unidentified,
    /// Its BMC does not allow ForceOff: it cannot be fenced.
    CannotBeFenced,
    /// Neither On nor Off.
    PowerInTransition,
    /// Its BMC answers but does not say whether the machine is on.
    PowerUnknown,
    /// The boot method that the runbook asks for cannot be used with it or its spare.
    BootUnsupported,
    /// Only one of it and its spare is kept by a service that boots its nodes.
    OneEndKept,
    /// Its service boots it by itself, and the runbook's `boot.via` wants to.
    BootByService,
    /// Its adapter opens another volume than the inventory says.
    BootMismatch,
    /// It is Off and its adapter opens nothing, though the inventory has its boot volume there: as a switchover leaves its
    /// source.
    BootCleared,
    /// A fence agent's options speak of something that it lacks.
    FenceIncomplete,
    /// A fence agent would switch off another node as well.
    PlugShared,
    /// No spare matches.
    NoSpare,
    /// Spares match, but all are taken or must stay behind.
    SparesExhausted,
    /// The destination named for it cannot serve.
    DestinationUnfit,
    /// The destination named for it does not match.
    DestinationNotIdentical,
    /// The destination named for it is another's destination already.
    DestinationTaken,
    /// Failback: that switchover did not end switched over, so that nothing is away from home.
    NotSwitchedOver,
    /// Failback: the volumes are at the original already.
    AlreadyHome,
    /// Failback: the volumes or the instance went on to somewhere else, or a node has left the inventory.
    MovedOn,
    /// Failback: the original is held by a run.
    OriginalReserved,
    /// Failback: somebody else has put the original into maintenance.
    OriginalInMaintenance,
    /// Failback: something is owed for the original.
    OriginalInDebt,
    /// Failback: the original has an instance or volumes of its own by now.
    OriginalInUse,
    /// Failback: the original's BMC does not answer.
    OriginalSilent,
    /// Failback: the original is not Off.
    OriginalNotOff,
    /// Failback: another machine answers for the original, or one that cannot be told.
    OriginalReplaced,
    /// Failback: the original's firmware opens a volume, or nobody knows what it opens.
    OriginalOpensVolume,
    /// Failback: the original's hardware or firmware is not what it was.
    OriginalChanged,
}

/// Why a node is no spare at all, whatever the source. Wire names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpareCode {
    /// It is one of the sources.
    IsSource,
    /// The command line leaves it out.
    Excluded,
    Reserved,
    Maintenance,
    InDebt,
    HasInstance,
    HasVolumes,
    ContradictingFacts,
    Silent,
    WrongMachine,
    /// Its BMC does not say which machine it speaks for.
    Unidentified,
    /// Its own boot configuration opens a volume: started, it would write to it.
    OpensVolume,
    /// Nobody knows what its adapters open when it starts.
    BootUnknown,
    /// It is on: somebody uses it.
    PowerOn,
    PowerInTransition,
    PowerUnknown,
    /// Its BMC allows neither On nor ForceOn.
    CannotPowerOn,
    /// Its BMC reports it broken.
    Critical,
    /// None of the provision states that its pool takes.
    ProvisionState,
    /// Its inventory service works on it.
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
    /// It has an initiator name of its own.
    OwnInitiator,
}

impl From<SourceBar> for LeftOutCode {
    fn from(bar: SourceBar) -> LeftOutCode {
        match bar {
            SourceBar::ProvisionState => LeftOutCode::ProvisionState,
            SourceBar::Locked => LeftOutCode::Locked,
            SourceBar::Protected => LeftOutCode::Protected,
            SourceBar::StorageInterface => LeftOutCode::StorageInterface,
            SourceBar::ImageSource => LeftOutCode::ImageSource,
            SourceBar::RecordUnfit => LeftOutCode::RecordUnfit,
            SourceBar::SecondAttachment => LeftOutCode::SecondAttachment,
            SourceBar::Nova => LeftOutCode::Nova,
        }
    }
}

impl From<SpareBar> for SpareCode {
    fn from(bar: SpareBar) -> SpareCode {
        match bar {
            SpareBar::Locked => SpareCode::Locked,
            SpareBar::Retired => SpareCode::Retired,
            SpareBar::Allocated => SpareCode::Allocated,
            SpareBar::StorageInterface => SpareCode::StorageInterface,
            SpareBar::BootInterface => SpareCode::BootInterface,
            SpareBar::BootCapability => SpareCode::BootCapability,
            SpareBar::ImageSource => SpareCode::ImageSource,
            SpareBar::RecordUnfit => SpareCode::RecordUnfit,
            SpareBar::OwnInitiator => SpareCode::OwnInitiator,
            SpareBar::HasVolumes => SpareCode::HasVolumes,
        }
    }
}
