//! What BMCs do otherwise than DSP0266 and DSP0268 say, as named facts with their source. Add one here, use it by its
//! name in a comment where it is honoured, and give it a recorded case in `tests/it/redfish`.

use crate::model::{BootMode, ResetType};

/// One deviation, and where it was learnt.
pub struct Quirk {
    pub name: &'static str,
    pub what: &'static str,
    pub source: &'static str,
}

const fn quirk(name: &'static str, what: &'static str, source: &'static str) -> Quirk {
    Quirk { name, what, source }
}

pub const QUIRKS: [Quirk; 26] = [
    quirk(
        "reset_types_misspelt",
        "two allowable reset types in one text (`GracefulShutdownGracefulRestart`): a comma is missing",
        "recorded BMC data",
    ),
    quirk("reset_types_renamed", "`PowerOn` and `PowerOffGraceful` for `On` and `GracefulShutdown`", "recorded BMC data"),
    quirk("reset_types_behind_action_info", "allowable reset types only by `@Redfish.ActionInfo`", "recorded BMC data"),
    quirk("baseboard_among_systems", "`HGX_Baseboard_0` is a ComputerSystem without Reset", "recorded DGX, GH200, GB200"),
    quirk("power_state_null", "`PowerState` null, absent, or a reset type", "recorded BMC data"),
    quirk("numbers_as_text", "memory and core counts as text", "recorded BMC data; sushy-tools 2.2 (`TotalCores`)"),
    quirk("processor_count_absent", "`ProcessorSummary.Count` absent although Processors has members", "recorded Supermicro 821GE"),
    quirk("memory_total_zero", "`TotalSystemMemoryGiB` 0 although modules have capacity", "recorded DGX"),
    quirk("memory_slots_empty", "members with `CapacityMiB` null are empty slots", "recorded Dell R750"),
    quirk("members_null", "`Members` null instead of an empty list", "nv-redfish pull request 120"),
    quirk("boot_mode_in_bios_attributes", "the boot mode only as a BIOS attribute", "Dell, HPE, Lenovo, Supermicro attribute registries"),
    quirk("tree_half_forbidden", "403 or 404 behind links that the BMC itself gives", "recorded BMC data"),
    quirk("session_refused", "POST Sessions answers 401 or 404, basic authentication works", "sushy release notes; sushy-tools 2.2"),
    quirk("session_ended_403", "an ended session is 403 with `NoValidSession`", "DSP0266 base registry; HPE iLO"),
    quirk(
        "etag_of_header_differs",
        "the `ETag` header and `@odata.etag` differ, and one of them is refused with 412",
        "metal-operator issue 667",
    ),
    quirk(
        "etag_wants_star",
        "its own ETag is refused with 412, `*` is accepted",
        "sushy release notes; AMI and Lenovo on AMI in nv-redfish",
    ),
    quirk("accepted_without_task", "202 without a task to follow", "Supermicro in nv-redfish"),
    quirk("override_once_stays_continuous", "`Once` reads `Continuous` for ever", "sushy-tools 2.2, libvirt driver"),
    quirk(
        "override_behind_settings",
        "the boot override is written through `@Redfish.Settings` and shows after a reset",
        "sushy release notes (AMI MegaRAC)",
    ),
    quirk("accelerators_on_baseboard", "accelerators are processors of a ComputerSystem that is no machine", "recorded DGX, HGX"),
    quirk("accelerators_only_as_pcie", "accelerators are PCIe devices and no processors", "DSP0268, PCIeFunction `DeviceClass`"),
    quirk(
        "controllers_told_twice",
        "`StorageControllers` beside `Controllers`, for the same controllers",
        "DSP0268, Storage: the one is deprecated in favour of the other",
    ),
    quirk("bays_listed_as_drives", "an empty bay is a drive that is Absent", "DSP0268, `Status.State`"),
    quirk(
        "firmware_beside_the_running",
        "versions that do not run are in the firmware inventory as well",
        "Dell iDRAC, ids `Previous-`, `Available-`",
    ),
    quirk("adapter_without_ports", "a NetworkAdapter that shows functions and no ports", "recorded Dell, Lenovo"),
    quirk("restart_answers_nothing", "200 with next to no keys, or 404, for minutes after the BMC restarts", "infra-controller issue 2886"),
];

/// How a reset type may be written, in the order in which it is looked for among the allowable values
/// (`reset_types_renamed`). A value that is not here is never sent.
pub(super) fn spellings(reset: ResetType) -> &'static [&'static str] {
    match reset {
        ResetType::On => &["On", "PowerOn"],
        ResetType::ForceOn => &["ForceOn"],
        ResetType::ForceOff => &["ForceOff"],
        ResetType::GracefulShutdown => &["GracefulShutdown", "PowerOffGraceful"],
        ResetType::Nmi => &["Nmi"],
    }
}

/// Reset types of DSP0268, and the renamed ones: what a misspelt value may be made of.
const KNOWN: [&str; 15] = [
    "On",
    "PowerOn",
    "ForceOff",
    "ForceOn",
    "ForceRestart",
    "GracefulShutdown",
    "PowerOffGraceful",
    "GracefulRestart",
    "PushPowerButton",
    "PowerCycle",
    "FullPowerCycle",
    "Nmi",
    "Suspend",
    "Pause",
    "Resume",
];

/// The values that one text of an allowable list stands for (`reset_types_misspelt`).
pub(super) fn allowable(value: &str) -> Vec<String> {
    if KNOWN.contains(&value) {
        return vec![value.to_owned()];
    }
    for first in KNOWN {
        if let Some(rest) = value.strip_prefix(first)
            && KNOWN.contains(&rest)
        {
            return vec![first.to_owned(), rest.to_owned()];
        }
    }
    vec![value.to_owned()]
}

/// BIOS attributes that hold the boot mode (`boot_mode_in_bios_attributes`): Dell and HPE, Lenovo, Supermicro.
pub(super) const BOOT_MODE_ATTRIBUTES: [&str; 4] = ["BootMode", "BootModes_SystemBootMode", "SystemBootMode", "BootModeSelect"];

/// A boot mode in any of its spellings: `UEFI`, `Uefi`, `UEFIMode`; `Legacy`, `LegacyBios`, `LegacyMode`, `Bios`.
/// `Dual` and anything else is unknown.
pub(super) fn boot_mode(text: &str) -> Option<BootMode> {
    match text.to_lowercase().as_str() {
        "uefi" | "uefimode" => Some(BootMode::Uefi),
        "legacy" | "legacybios" | "legacymode" | "bios" => Some(BootMode::Bios),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quirk_has_one_name_and_a_source() {
        let mut names: Vec<&str> = QUIRKS.iter().map(|q| q.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QUIRKS.len());
        assert!(QUIRKS.iter().all(|q| !q.source.is_empty() && !q.what.is_empty()));
    }

    #[test]
    fn a_missing_comma_is_two_values_and_an_unknown_word_stays_itself() {
        assert_eq!(allowable("GracefulShutdownGracefulRestart"), ["GracefulShutdown", "GracefulRestart"]);
        assert_eq!(allowable("OnForceOff"), ["On", "ForceOff"]);
        assert_eq!(allowable("PowerOn"), ["PowerOn"]);
        assert_eq!(allowable("OnlyOnSundays"), ["OnlyOnSundays"]);
    }

    #[test]
    fn boot_modes_are_read_in_any_spelling_and_dual_is_none() {
        assert_eq!(boot_mode("UEFIMode"), Some(BootMode::Uefi));
        assert_eq!(boot_mode("LegacyBios"), Some(BootMode::Bios));
        assert_eq!(boot_mode("Dual"), None);
    }
}
