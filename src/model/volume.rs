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

    /// Every name under which this volume is known: by protocol (iSCSI target and LUN without portal; WWN and LUN;
    /// NFS server and path; NQN and namespace) and by `volume_id`. Two targets that share one of them are one volume.
    /// Ironic keeps no constraint against two nodes with one volume; this is where it is noticed.
    pub fn identities(&self) -> Vec<VolumeIdentity> {
        let lun = self.property(&["target_lun", "lun"]).unwrap_or_else(|| "0".to_owned());
        let by_protocol = match self.volume_type {
            VolumeType::Iscsi => self.property(&["target_iqn"]).map(|iqn| format!("iscsi:{iqn}/{lun}")),
            VolumeType::FibreChannel | VolumeType::Fcoe => self.property(&["target_wwn", "target_wwpn"]).map(|wwn| {
                let digits: String = wwn.trim_start_matches("0x").chars().filter(char::is_ascii_hexdigit).collect();
                format!("wwn:{digits}/{lun}")
            }),
            VolumeType::Nfs => {
                let server = self.property(&["server", "target_server"]);
                let path = self.property(&["path", "target_path"]).map(|p| p.trim_end_matches('/').to_owned());
                server.zip(path).map(|(server, path)| format!("nfs:{server}:{path}"))
            }
            VolumeType::NvmeTcp => {
                let ns = self.property(&["target_nsid", "nsid"]).unwrap_or_else(|| "1".to_owned());
                self.property(&["target_nqn"]).map(|nqn| format!("nvme:{nqn}/{ns}"))
            }
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
            lun: text("target_lun").and_then(|l| l.parse().ok()).unwrap_or(0),
        })
    }
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
    fn a_portal_without_a_port_has_the_registered_one() {
        for (portal, want) in
            [("10.0.0.1", "10.0.0.1:3260"), ("10.0.0.1:860", "10.0.0.1:860"), ("[fe80::1]", "[fe80::1]:3260"), ("[::1]:9", "[::1]:9")]
        {
            let t = target(VolumeType::Iscsi, "v", &[("target_iqn", "iqn.x:v"), ("target_portal", portal)]);
            assert_eq!(t.iscsi_boot("i").map(|b| b.portal).as_deref(), Some(want));
        }
    }
}
