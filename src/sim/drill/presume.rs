//! What a drill presumes of machines that it does not ask: what the inventory implies.

use crate::model::*;

/// Fill in a reading for every node that has none: On where it carries work, Off otherwise, itself, opening its boot
/// volume or nothing. Gives how many of them no BMC was ever asked about; those are presumed able to do everything.
pub fn presume(fleet: &mut Fleet) -> usize {
    let mut never_read = 0;
    let boots: Vec<(NodeId, IscsiBoot)> = fleet.nodes.keys().map(|id| (*id, boot_of(fleet, *id))).collect();
    for (id, iscsi) in boots {
        let Some(node) = fleet.nodes.get_mut(&id) else { continue };
        if fleet.live.contains_key(&id) {
            continue;
        }
        if node.facts_at.is_none() {
            never_read += 1;
            node.abilities = BmcAbilities { iscsi_boot: true, boot_progress: true, ..BmcAbilities::default() };
        }
        if node.identity.is_empty() {
            node.identity = Identity { system_uuid: Some(id.to_string()), serial_number: None };
        }
        let on = node.instance.is_some() || node.provision_state == ProvisionState::Active;
        let reading = SystemReading {
            power: if on { PowerState::On } else { PowerState::Off },
            identity: node.identity.clone(),
            boot_progress: on.then_some(BootProgress::OsRunning),
            boot_override: BootOverride::default(),
            restore_policy: node.facts().power_restore_policy,
            power_unknown: None,
            recorded: None,
        };
        let boot = BootSettings { iscsi: Some(if on { iscsi } else { IscsiBoot::default() }), boot_override: None };
        fleet.live.insert(id, Live::Answered { reading, boot });
    }
    never_read
}

/// What a node's firmware opens when all is as recorded.
fn boot_of(fleet: &Fleet, node: NodeId) -> IscsiBoot {
    let initiator = fleet.connectors_of(node).filter(|c| c.kind == ConnectorKind::Iqn).map(|c| c.connector_id.clone()).min();
    let targets = fleet.targets_of(node);
    let target = targets.first().filter(|t| t.boot_index == 0);
    target.and_then(|t| t.iscsi_boot(&initiator.unwrap_or_default())).unwrap_or_default()
}
