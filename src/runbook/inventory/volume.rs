//! What a volume's properties must say, and must not seem to say: a LUN under a name that nobody reads is LUN 0, which is
//! another machine's volume.

use super::raw::RawTarget;
use crate::diagnostic::{codes, did_you_mean};
use crate::model::{VolumeTarget, VolumeType};
use crate::runbook::shape::{At, Reading};

/// Ironic's and Cinder's, which say nothing of which volume it is.
const HARMLESS: [&str; 3] = ["target_discovered", "target_port", "target_transport"];

/// Lists of paths to one volume, as Ironic has them for multipath.
const PLURALS: [(&str, &str); 5] = [
    ("target_luns", "target_lun"),
    ("target_iqns", "target_iqn"),
    ("target_portals", "target_portal"),
    ("target_wwns", "target_wwn"),
    ("target_wwpns", "target_wwpn"),
];

pub(super) fn names_fit(reading: &Reading<'_>, raw: &RawTarget) {
    let known: Vec<&str> = VolumeTarget::known_properties(raw.volume_type).iter().copied().flatten().copied().collect();
    for (key, _) in raw.properties.iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
        if seems_to_name(&key.value, &known) {
            unknown(reading, raw.volume_type, key, &known);
        }
    }
}

fn unknown(reading: &Reading<'_>, volume_type: VolumeType, key: &At<String>, known: &[&str]) {
    let message = format!("`{}` is not a property of a volume of type {}", key.value, volume_type.as_str());
    let plural = PLURALS.iter().find(|(many, one)| *many == key.value.to_lowercase() && known.contains(one));
    // A LUN of another protocol is no slip of the pen for a path.
    let others = [VolumeType::Iscsi, VolumeType::FibreChannel, VolumeType::Nfs, VolumeType::NvmeTcp];
    let mut others = others.into_iter().flat_map(|t| VolumeTarget::known_properties(t).iter().copied().flatten());
    let meant = if others.any(|name| *name == key.value) { None } else { did_you_mean(&key.value, known.iter().copied()) };
    let hint = match (plural, meant) {
        (Some((_, one)), _) => format!("write one path to the volume as `{one}`; several paths are not supported"),
        (None, Some(meant)) => format!("did you mean `{meant}`?"),
        (None, None) => format!("these are: {}", known.join(", ")),
    };
    reading.hinted(codes::VOLUME_PROPERTY, message, &key.at, hint);
}

/// Would a reader take it for a part of the volume's name?
fn seems_to_name(key: &str, known: &[&str]) -> bool {
    if HARMLESS.contains(&key) {
        return false;
    }
    let folded: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let lower = key.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    let is_lun = |word: &str| matches!(word, "lunid" | "nsid") || word.ends_with("lun") || word.ends_with("luns");
    let alone = ["iqn", "iqns", "wwn", "wwns", "wwpn", "wwpns", "nqn", "nsid", "targetid"];
    let near = || did_you_mean(key, known.iter().copied().filter(|k| k.starts_with("target_"))).is_some();
    folded.starts_with("target") || alone.contains(&folded.as_str()) || words.any(is_lun) || near()
}

/// The volume to boot from is named in a way that the storage understands.
pub(super) fn boot_is_named(reading: &Reading<'_>, raw: &RawTarget, target: &VolumeTarget) {
    let Some(names) = target.unnamed().filter(|_| target.boot_index == 0) else { return };
    let message = format!(
        "volume `{}` has boot_index 0 and no `{}`: nobody could tell which volume of the storage it is",
        target.volume_id, names[0]
    );
    reading.hinted(codes::VOLUME_PROPERTY, message, &raw.volume_id.at, format!("add `{}` to its `properties`", names[0]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_lun_is_told_from_what_does_not() {
        let known = ["target_iqn", "target_lun", "lun", "target_portal"];
        for key in
            ["target_luns", "Target_LUN", "taget_lun", "targetLun", "host_lun", "LUN", "lun_id", "iqn", "target", "tgt_lun", "target_iqns"]
        {
            assert!(seems_to_name(key, &known), "{key}");
        }
        for key in ["auth_username", "auth_method", "volunteer", "access_mode", "encrypted", "p", "lunch", "target_discovered", "discard"] {
            assert!(!seems_to_name(key, &known), "{key}");
        }
    }
}
