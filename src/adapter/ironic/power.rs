//! Power as Ironic has it: its conductor asks the BMC, coldswap asks Ironic and needs no BMC's password.
//!
//! What is read is the state in Ironic's records, which its conductor compares with the BMC's every minute or so. In
//! maintenance it does not, and then nothing is known.

use super::facts::Reading;
use super::wire::{flag, text};
use crate::model::*;
use serde_json::Value;

/// The state, and why none is known. In maintenance an On is believed, which only ever stops us, and an Off is not: a feed, a
/// button or a watchdog may have started the machine since, and nobody has looked.
pub(super) fn power(raw: &Value) -> (PowerState, Option<String>) {
    let unknown = |why: String| (PowerState::Unknown, Some(why));
    if let Some(going) = going(raw) {
        return (going, None);
    }
    let recorded = text(raw, "power_state");
    let maintained = flag(raw, "maintenance");
    match recorded {
        Some("power on") => (PowerState::On, None),
        Some("power off") if !maintained => (PowerState::Off, None),
        _ if maintained => {
            let last = recorded.map(|state| format!("; the last that it saw is `{state}`")).unwrap_or_default();
            unknown(format!("Ironic does not look at the power of a node in maintenance{last}"))
        }
        Some(other) => unknown(format!("Ironic has its power as `{other}`")),
        None => unknown("Ironic has not read its power; `manage` makes it look".to_owned()),
    }
}

/// A change of power that is under way.
pub(super) fn going(raw: &Value) -> Option<PowerState> {
    match text(raw, "target_power_state")? {
        "power off" | "soft power off" => Some(PowerState::PoweringOff),
        _ => Some(PowerState::PoweringOn),
    }
}

/// What stands in the record, looked at or not.
pub(super) fn recorded(raw: &Value) -> Option<PowerState> {
    match text(raw, "power_state")? {
        "power on" => Some(PowerState::On),
        "power off" => Some(PowerState::Off),
        _ => None,
    }
}

/// What the conductor can be asked for.
pub(super) fn abilities(raw: &Value) -> BmcAbilities {
    let mut types = vec![ResetType::On];
    if !flag(raw, "disable_power_off") {
        types.extend([ResetType::ForceOff, ResetType::GracefulShutdown]);
    }
    if text(raw, "management_interface").is_some_and(|word| matches!(word, "redfish" | "idrac-redfish" | "ipmitool")) {
        types.push(ResetType::Nmi);
    }
    BmcAbilities { reset_types: Some(types), ..BmcAbilities::default() }
}

pub(super) fn reading(of: &Reading) -> SystemReading {
    let (power, power_unknown) = power(&of.node);
    let recorded = recorded(&of.node).filter(|_| power == PowerState::Unknown);
    SystemReading { power, power_unknown, recorded, identity: of.identity(), ..SystemReading::default() }
}

/// # Errors
/// Silence, where Ironic has found that it reaches the BMC no more.
pub(super) fn report(of: &Reading) -> Result<SystemReport, Fault> {
    if super::node::fault(&of.node).as_deref() == Some("power failure") {
        let name = super::node::name(&of.node);
        return Err(Fault::transient(format!("Ironic does not reach the BMC of `{name}` (fault: power failure)")));
    }
    Ok(SystemReport { reading: reading(of), facts: of.found(), abilities: abilities(&of.node), ..SystemReport::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_ironic_looks_at_is_on_or_off() {
        let read = |raw: Value| power(&raw).0;
        assert_eq!(read(json!({"power_state": "power on"})), PowerState::On);
        assert_eq!(read(json!({"power_state": "power off", "target_power_state": null})), PowerState::Off);
        assert_eq!(read(json!({"power_state": "power on", "target_power_state": "soft power off"})), PowerState::PoweringOff);
        assert_eq!(read(json!({"power_state": "power off", "target_power_state": "power on"})), PowerState::PoweringOn);
        let (stale, why) = power(&json!({"power_state": "power off", "maintenance": true}));
        assert_eq!(stale, PowerState::Unknown, "in maintenance it is stale");
        assert!(why.is_some_and(|why| why.contains("power off")));
        assert_eq!(read(json!({"power_state": "power on", "maintenance": true})), PowerState::On, "believing it only ever stops us");
        let leaving = json!({"power_state": "power on", "maintenance": true, "target_power_state": "power off"});
        assert_eq!(read(leaving), PowerState::PoweringOff);
        assert_eq!(read(json!({"power_state": null})), PowerState::Unknown);
        assert_eq!(read(json!({"power_state": "error"})), PowerState::Unknown);
    }
}
