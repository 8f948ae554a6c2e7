//! What may be changed in an inventory, each with what must hold for it to be allowed (compare-and-set).

use super::*;
use schemars::JsonSchema;
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
        /// What stands in the spare's `instance_uuid` until the real one comes, where a service keeps the node: unique over
        /// all its nodes, so that of two runs that want one source or one spare exactly one gets it
        /// ([`claim_of`]). An inventory with transactions has no use for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<uuid::Uuid>,
    },
    /// Give it back, and with it a claim that still stands. Not held by `holder`: nothing happens.
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
    /// The service that keeps the node takes it to another provision state. A request, and accepted is not done: the node's
    /// record tells. Asked for again where it goes on already, it is no error.
    SetProvisionState {
        node: NodeId,
        target: ProvisionTarget,
        holder: Holder,
    },
    /// The service forgets the instance that it ran on the node, without cleaning it. **It deletes every volume target that is
    /// recorded there.**
    Undeploy {
        node: NodeId,
        holder: Holder,
    },
}

/// The verbs of Ironic's `PUT states/provision` that a switchover uses, as Ironic writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionTarget {
    /// Deploy: from `available` or `deploy failed`. It starts the machine.
    Active,
    /// Take over as it is: from `manageable` or `adopt failed`. Starts nothing.
    Adopt,
    Manage,
    Provide,
}

impl ProvisionTarget {
    pub const ALL: [ProvisionTarget; 4] =
        [ProvisionTarget::Active, ProvisionTarget::Adopt, ProvisionTarget::Manage, ProvisionTarget::Provide];

    /// The text of Ironic's API.
    pub fn as_str(self) -> &'static str {
        match self {
            ProvisionTarget::Active => "active",
            ProvisionTarget::Adopt => "adopt",
            ProvisionTarget::Manage => "manage",
            ProvisionTarget::Provide => "provide",
        }
    }

    /// Where it ends when all goes well.
    pub fn leads_to(self) -> ProvisionState {
        match self {
            ProvisionTarget::Active | ProvisionTarget::Adopt => ProvisionState::Active,
            ProvisionTarget::Manage => ProvisionState::Manageable,
            ProvisionTarget::Provide => ProvisionState::Available,
        }
    }

    /// May it be asked for in this state? (Ironic 39, `states.py`; what a switchover meets of it.)
    pub fn allowed_from(self, state: ProvisionState) -> bool {
        use ProvisionState::*;
        match self {
            ProvisionTarget::Active => matches!(state, Available | DeployFailed),
            ProvisionTarget::Adopt => matches!(state, Manageable | AdoptFailed),
            ProvisionTarget::Manage => {
                matches!(state, Enroll | Available | AdoptFailed | CleanFailed | InspectFailed)
            }
            ProvisionTarget::Provide => state == Manageable,
        }
    }
}

/// The claim on a spare for this source: the same one for every run that wants the source, so that a service which lets no two
/// nodes have one `instance_uuid` locks the source as well.
pub fn claim_of(source: NodeId) -> uuid::Uuid {
    uuid::Uuid::new_v5(&super::id::NAMESPACE, format!("coldswap/{source}").as_bytes())
}
