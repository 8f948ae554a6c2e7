//! What may be changed in an inventory, each with what must hold for it to be allowed (compare-and-set).

use super::*;
use serde::{Deserialize, Serialize};

/// One change of the inventory's records. Every change but [`Change::Reserve`] is made by the holder of the node and is
/// refused if the node is held by anybody else (rule S2). A change that is already so is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Take a free node whose record is still at `expect`.
    Reserve {
        node: NodeId,
        holder: Holder,
        expect: Generation,
    },
    /// Give it back. Not held by `holder`: nothing happens.
    Release {
        node: NodeId,
        holder: Holder,
    },
    /// Set or leave maintenance.
    SetMaintenance {
        node: NodeId,
        holder: Holder,
        maintenance: Option<Maintenance>,
    },
    /// `from` and `to` must be held; the record must be at `from`.
    MoveConnector {
        connector: ConnectorId,
        from: NodeId,
        to: NodeId,
        holder: Holder,
    },
    MoveTarget {
        target: TargetId,
        from: NodeId,
        to: NodeId,
        holder: Holder,
    },
    /// Move the instance; `to` gets `to_state`, `from` gets `from_state`.
    MoveInstance {
        instance: Option<Instance>,
        from: NodeId,
        to: NodeId,
        from_state: ProvisionState,
        to_state: ProvisionState,
        holder: Holder,
    },
    /// Record or settle what is owed for a node.
    SetDebt {
        node: NodeId,
        holder: Holder,
        debt: Option<String>,
    },
}
