//! Volume connectors and volume targets, as Ironic has them, and what makes two targets the same volume.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorKind {
    Iqn,
    Ip,
    Mac,
    Wwnn,
    Wwpn,
}

impl ConnectorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectorKind::Iqn => "iqn",
            ConnectorKind::Ip => "ip",
            ConnectorKind::Mac => "mac",
            ConnectorKind::Wwnn => "wwnn",
            ConnectorKind::Wwpn => "wwpn",
        }
    }

    /// WWPNs and MACs are burned into an adapter unless the inventory says that they are virtual.
    pub fn burned_in_by_default(self) -> bool {
        matches!(self, ConnectorKind::Wwpn | ConnectorKind::Wwnn | ConnectorKind::Mac)
    }
}

/// How a node presents itself to the storage. A burned-in one belongs to the hardware and never moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeConnector {
    pub id: ConnectorId,
    pub node: NodeId,
    pub kind: ConnectorKind,
    pub connector_id: String,
    pub burned_in: bool,
    pub generation: Generation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumeType {
    Iscsi,
    FibreChannel,
    Fcoe,
    Nfs,
    NvmeTcp,
}

impl VolumeType {
    pub fn as_str(self) -> &'static str {
        match self {
            VolumeType::Iscsi => "iscsi",
            VolumeType::FibreChannel => "fibre_channel",
            VolumeType::Fcoe => "fcoe",
            VolumeType::Nfs => "nfs",
            VolumeType::NvmeTcp => "nvme_tcp",
        }
    }

    /// The capability that Ironic asks of a node that boots from such a volume.
    pub fn boot_capability(self) -> Option<&'static str> {
        match self {
            VolumeType::Iscsi => Some("iscsi_boot"),
            VolumeType::FibreChannel | VolumeType::Fcoe => Some("fibre_channel_boot"),
            VolumeType::Nfs | VolumeType::NvmeTcp => None,
        }
    }
}

/// A volume that a node uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeTarget {
    pub id: TargetId,
    pub node: NodeId,
    pub volume_type: VolumeType,
    /// 0 is the volume to boot from.
    pub boot_index: u32,
    pub volume_id: String,
    /// `target_portal`, `target_iqn`, `target_lun`, `target_wwn`, `server`, `path`, ...
    pub properties: BTreeMap<String, Scalar>,
    /// A cluster file system lives on it: several nodes may have it at once.
    pub shareable: bool,
    pub generation: Generation,
}

/// What makes two targets the same volume, whatever the portal or the spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct VolumeIdentity(pub String);

impl fmt::Display for VolumeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl VolumeTarget {
    fn property(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|n| self.properties.get(*n)).map(|s| s.to_string().trim().to_lowercase()).filter(|s| !s.is_empty())
    }

    /// The properties that coldswap reads of a volume of this type: each way to name it first, alternatives of one thing
    /// together.
    pub fn known_properties(volume_type: VolumeType) -> &'static [&'static [&'static str]] {
        match volume_type {
            VolumeType::Iscsi => &[&["target_iqn"], &["target_lun", "lun"], &["target_portal"]],
            VolumeType::FibreChannel | VolumeType::Fcoe => &[&["target_wwn", "target_wwpn"], &["target_lun", "lun"]],
            VolumeType::Nfs => &[&["server", "target_server"], &["path", "target_path"]],
            VolumeType::NvmeTcp => &[&["target_nqn"], &["target_nsid", "nsid"], &["target_portal"]],
        }
    }

    /// The first of the properties without which the storage cannot be told which volume is meant, and that is missing or
    /// blank; its names.
    pub fn unnamed(&self) -> Option<&'static [&'static str]> {
        let naming = if self.volume_type == VolumeType::Nfs { 2 } else { 1 };
        VolumeTarget::known_properties(self.volume_type).iter().take(naming).find(|names| self.property(names).is_none()).copied()
    }

    /// The LUN, or the namespace of an NVMe subsystem. A volume that names none has LUN 0 (SAM-5 section 4.7.4: every target
    /// has it) or namespace 1.
    ///
    /// # Errors
    /// What is wrong, where it is no number or is given twice and differs: taken for 0 it would be another machine's volume.
    pub fn lun(&self) -> Result<u32, String> {
        let (names, default) = match self.volume_type {
            VolumeType::NvmeTcp => (["target_nsid", "nsid"], 1),
            _ => (["target_lun", "lun"], 0),
        };
        // One that is there and blank is no LUN 0 either: it is a number that somebody forgot.
        let text = |name: &str| Some(self.properties.get(name)?.to_string().trim().to_lowercase());
        let given: Vec<(&str, String)> = names.into_iter().filter_map(|name| Some((name, text(name)?))).collect();
        let mut found: Option<(&str, u32)> = None;
        for (name, text) in given {
            let Some(number) = number(&text) else {
                return Err(format!("`{name}: {text}` is no number; write it as one, such as `{name}: 1`"));
            };
            match found {
                Some((first, other)) if other != number => {
                    return Err(format!("`{first}` says {other} and `{name}` says {number}; keep one"));
                }
                _ => found = Some((name, number)),
            }
        }
        Ok(found.map_or(default, |(_, number)| number))
    }

    /// Every name under which this volume is known: by protocol (iSCSI target and LUN without portal; WWN and LUN;
    /// NFS server and path; NQN and namespace) and by `volume_id`. Two targets that share one of them are one volume.
    /// Ironic keeps no constraint against two nodes with one volume; this is where it is noticed.
    pub fn identities(&self) -> Vec<VolumeIdentity> {
        // One that cannot be read stays what it is: equal to its own spelling and to nothing else.
        let lun =
            self.lun().map_or_else(|_| self.property(&["target_lun", "lun", "target_nsid", "nsid"]).unwrap_or_default(), |l| l.to_string());
        let by_protocol = match self.volume_type {
            // RFC 7143 section 4.2.7 has no comma in a name; what follows one is a portal group (`,t,0x1`).
            VolumeType::Iscsi => {
                self.property(&["target_iqn"]).map(|iqn| format!("iscsi:{}/{lun}", iqn.split(',').next().unwrap_or_default()))
            }
            VolumeType::FibreChannel | VolumeType::Fcoe => {
                self.property(&["target_wwn", "target_wwpn"]).map(|wwn| format!("wwn:{}/{lun}", wwn_digits(&wwn)))
            }
            VolumeType::Nfs => {
                let server = self.property(&["server", "target_server"]).map(|s| bare_host(&s));
                let path = self.property(&["path", "target_path"]).map(|p| plain_path(&p));
                server.zip(path).map(|(server, path)| format!("nfs:{server}:{path}"))
            }
            VolumeType::NvmeTcp => self.property(&["target_nqn"]).map(|nqn| format!("nvme:{nqn}/{lun}")),
        };
        let by_id = Some(self.volume_id.trim()).filter(|v| !v.is_empty()).map(|v| format!("volume:{v}"));
        by_protocol.into_iter().chain(by_id).map(VolumeIdentity).collect()
    }

    /// The iSCSI boot configuration that opens this volume, if it is one.
    pub fn iscsi_boot(&self, initiator: &str) -> Option<IscsiBoot> {
        if self.volume_type != VolumeType::Iscsi {
            return None;
        }
        let text = |name: &str| self.properties.get(name).map(ToString::to_string);
        Some(IscsiBoot {
            initiator: initiator.to_owned(),
            target: text("target_iqn")?,
            portal: text("target_portal").map(with_port).unwrap_or_default(),
            lun: self.lun().ok()?,
        })
    }
}

/// A number as people and arrays write it: decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

/// A world wide name's digits, without what arrays and operating systems put before and between them: `naa.`, `wwn-0x`,
/// `0x`, colons.
fn wwn_digits(text: &str) -> String {
    let mut bare = text;
    while let Some(rest) = ["naa.", "eui.", "wwn-", "0x"].into_iter().find_map(|prefix| bare.strip_prefix(prefix)) {
        bare = rest;
    }
    bare.chars().filter(char::is_ascii_hexdigit).collect()
}

/// A host without the dot of a full name and the brackets of an IPv6 address.
fn bare_host(text: &str) -> String {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<std::net::IpAddr>().map_or_else(|_| bare.trim_end_matches('.').to_owned(), |ip| ip.to_string())
}

/// A path without empty and `.` parts, and without `..` and what it goes back over.
fn plain_path(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// RFC 7143 section 15: iSCSI's own port, where a portal names none. What a BMC reads back always has one.
fn with_port(portal: String) -> String {
    let host_ends = portal.rfind(']').map_or(0, |at| at + 1);
    if portal.is_empty() || portal[host_ends..].contains(':') { portal } else { format!("{portal}:3260") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(volume_type: VolumeType, volume_id: &str, properties: &[(&str, &str)]) -> VolumeTarget {
        VolumeTarget {
            id: TargetId::derived("t"),
            node: NodeId::derived("n"),
            volume_type,
            boot_index: 0,
            volume_id: volume_id.into(),
            properties: properties.iter().map(|(k, v)| ((*k).into(), Scalar::Text((*v).into()))).collect(),
            shareable: false,
            generation: Generation(0),
        }
    }

    fn same(a: &VolumeTarget, b: &VolumeTarget) -> bool {
        a.identities().iter().any(|i| b.identities().contains(i))
    }

    #[test]
    fn the_portal_and_the_spelling_do_not_make_another_volume() {
        let a = target(
            VolumeType::Iscsi,
            "a",
            &[("target_iqn", "iqn.2026-01.example:V"), ("target_portal", "10.0.0.1:3260"), ("target_lun", "1")],
        );
        let b = target(
            VolumeType::Iscsi,
            "b",
            &[("target_iqn", "iqn.2026-01.example:v "), ("target_portal", "10.9.9.9:3260"), ("target_lun", "1")],
        );
        let c = target(VolumeType::Iscsi, "c", &[("target_iqn", "iqn.2026-01.example:v"), ("target_lun", "2")]);
        assert!(same(&a, &b));
        assert!(!same(&a, &c));
        let w = target(VolumeType::FibreChannel, "d", &[("target_wwn", "50:06:01:60:00:00:00:01")]);
        let x = target(VolumeType::Fcoe, "e", &[("target_wwn", "0x5006016000000001")]);
        assert!(same(&w, &x));
        let n = target(VolumeType::Nfs, "f", &[("server", "filer"), ("path", "/vol/a/")]);
        let m = target(VolumeType::Nfs, "g", &[("server", "filer"), ("path", "/vol/a")]);
        assert!(same(&n, &m));
        assert!(same(&target(VolumeType::Nfs, "h", &[]), &target(VolumeType::Iscsi, "h", &[])), "one volume_id is one volume");
    }

    #[test]
    fn a_lun_has_one_name_however_it_is_written_and_is_never_guessed() {
        let iscsi = |lun: &[(&str, &str)]| target(VolumeType::Iscsi, "v", &[&[("target_iqn", "iqn.x:v")], lun].concat());
        for (spelt, want) in [("1", 1), ("01", 1), ("0x1", 1), ("0X10", 16), ("0", 0), (" 7 ", 7)] {
            let t = iscsi(&[("target_lun", spelt)]);
            assert_eq!((t.lun(), t.iscsi_boot("i").map(|b| b.lun)), (Ok(want), Some(want)), "{spelt}");
            let other = VolumeTarget { volume_id: "other".into(), ..iscsi(&[("lun", &want.to_string())]) };
            assert!(same(&t, &other), "{spelt}");
        }
        assert_eq!(iscsi(&[]).lun(), Ok(0));
        for wrong in ["one", "1.5", "-1", "0x", "0xg", "4294967296", "+1", ""] {
            let t = iscsi(&[("target_lun", wrong)]);
            assert!(t.lun().is_err_and(|e| e.contains(wrong)), "{wrong}");
            assert_eq!(t.iscsi_boot("i"), None, "`{wrong}` must not become LUN 0");
        }
        let two = iscsi(&[("target_lun", "1"), ("lun", "2")]);
        assert!(two.lun().is_err_and(|e| e.contains("says 1") && e.contains("says 2")));
        assert_eq!(iscsi(&[("target_lun", "1"), ("lun", "0x1")]).lun(), Ok(1));
        assert_eq!(target(VolumeType::NvmeTcp, "v", &[("target_nqn", "n")]).lun(), Ok(1));
    }

    #[test]
    fn what_arrays_put_around_a_name_does_not_make_another_volume() {
        let fc = |id: &str, wwn: &str| target(VolumeType::FibreChannel, id, &[("target_wwn", wwn)]);
        for wwn in ["naa.5006016000000001", "wwn-0x5006016000000001", "50:06:01:60:00:00:00:01", "5006016000000001"] {
            assert!(same(&fc("a", wwn), &fc("b", "0x5006016000000001")), "{wwn}");
        }
        let nfs = |id: &str, server: &str, path: &str| target(VolumeType::Nfs, id, &[("server", server), ("path", path)]);
        for (server, path) in
            [("FILER.", "/vol/a"), ("filer", "/vol//a"), ("filer", "/vol/./a/"), ("filer", "vol/a"), ("filer", "/vol/b/../a")]
        {
            assert!(same(&nfs("a", server, path), &nfs("b", "filer", "/vol/a")), "{server}:{path}");
        }
        assert!(!same(&nfs("a", "filer", "/vol/a"), &nfs("b", "filer", "/vol/b")));
        assert!(same(&nfs("a", "::1", "/vol/a"), &nfs("b", "[0::1]", "/vol/a")));
        let iqn = |id: &str, iqn: &str| target(VolumeType::Iscsi, id, &[("target_iqn", iqn)]);
        assert!(same(&iqn("a", "iqn.2026-01.example:v,t,0x1"), &iqn("b", "IQN.2026-01.example:v")));
    }

    #[test]
    fn a_portal_without_a_port_has_the_registered_one() {
        for (portal, want) in
            [("10.0.0.1", "10.0.0.1:3260"), ("10.0.0.1:860", "10.0.0.1:860"), ("[fe80::1]", "[fe80::1]:3260"), ("[::1]:9", "[::1]:9")]
        {
            let t = target(VolumeType::Iscsi, "v", &[("target_iqn", "iqn.x:v"), ("target_portal", portal)]);
            assert_eq!(t.iscsi_boot("i").map(|b| b.portal).as_deref(), Some(want));
        }
    }
}
