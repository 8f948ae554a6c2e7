//! Power as Ironic has it: its conductor asks the BMC, coldswap asks Ironic and needs no BMC's password.
//!
//! What is read is the state in Ironic's records, which its conductor compares with the BMC's every minute or so. In
//! maintenance it does not, and then nothing is known.

use super::facts::Reading;
use super::wire::{flag, text};
use crate::model::*;
use serde_json::Value;

/// The state, and why none is known.
pub(super) fn power(raw: &Value) -> (PowerState, Option<String>) {
    let unknown = |why: String| (PowerState::Unknown, Some(why));
    let recorded = text(raw, "power_state");
    if flag(raw, "maintenance") {
        let last = recorded.map(|state| format!("; the last that it saw is `{state}`")).unwrap_or_default();
        return unknown(format!("Ironic does not look at the power of a node in maintenance{last}"));
    }
    match text(raw, "target_power_state") {
        Some("power off" | "soft power off") => return (PowerState::PoweringOff, None),
        Some(_) => return (PowerState::PoweringOn, None),
        None => {}
    }
    match recorded {
        Some("power on") => (PowerState::On, None),
        Some("power off") => (PowerState::Off, None),
        Some(other) => unknown(format!("Ironic has its power as `{other}`")),
        None => unknown("Ironic has not read its power; `manage` makes it look".to_owned()),
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
    SystemReading { power, power_unknown, identity: of.identity(), ..SystemReading::default() }
}

pub(super) fn report(of: &Reading) -> SystemReport {
    SystemReport { reading: reading(of), facts: of.found(), abilities: abilities(&of.node), ..SystemReport::default() }
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
        for stale in ["power off", "power on"] {
            let (power, why) = power(&json!({"power_state": stale, "maintenance": true}));
            assert_eq!(power, PowerState::Unknown, "in maintenance it is stale");
            assert!(why.is_some_and(|why| why.contains(stale)));
        }
        assert_eq!(read(json!({"power_state": null})), PowerState::Unknown);
        assert_eq!(read(json!({"power_state": "error"})), PowerState::Unknown);
    }
}
