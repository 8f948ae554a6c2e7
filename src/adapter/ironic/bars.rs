//! What Ironic would refuse, do by itself or find out too late: told when the plan is made.

use super::volumes::Volumes;
use super::wire::{flag, text};
use crate::model::*;
use serde_json::Value;
use std::collections::BTreeSet;

struct Judge<'a> {
    raw: &'a Value,
    node: &'a Node,
    volumes: &'a Volumes,
    keeper: &'a mut Keeper,
}

/// Everything that is in the way of one node.
pub(super) fn judge(raw: &Value, node: &Node, volumes: &Volumes, wanted: &BTreeSet<&'static str>, keeper: &mut Keeper) {
    let mut judge = Judge { raw, node, volumes, keeper };
    judge.state();
    judge.interfaces();
    judge.image();
    judge.nova();
    judge.records();
    judge.capability(wanted);
}

impl Judge<'_> {
    fn source(&mut self, code: SourceBar, text: String) {
        self.keeper.source_bars.push(Bar { code, text });
    }

    fn spare(&mut self, code: SpareBar, text: String) {
        self.keeper.spare_bars.push(Bar { code, text });
    }

    fn state(&mut self) {
        let (name, state) = (&self.node.name.clone(), self.node.provision_state);
        if state == ProvisionState::Other {
            let word = text(self.raw, "provision_state").unwrap_or("none");
            self.source(SourceBar::ProvisionState, format!("`{name}` is in `{word}`, a provision state that this coldswap does not know"));
        } else if state.is_settled() && state != ProvisionState::Active {
            let why = format!("`{name}` is {state}: Ironic runs nothing on it that could be switched over (an instance is `active`)");
            self.source(SourceBar::ProvisionState, why);
        }
        if let Some(host) = text(self.raw, "reservation") {
            let why = format!("Ironic's conductor `{host}` is at work on `{name}`; plan again when it has ended");
            self.source(SourceBar::Locked, why.clone());
            self.spare(SpareBar::Locked, why);
        }
        if flag(self.raw, "protected") {
            let reason = text(self.raw, "protected_reason").unwrap_or("no reason is given");
            let why = format!("`{name}` is protected ({reason}): Ironic will not undeploy it; take `protected` off first");
            self.source(SourceBar::Protected, why);
        }
        if flag(self.raw, "retired") {
            let reason = text(self.raw, "retired_reason").unwrap_or("no reason is given");
            self.spare(SpareBar::Retired, format!("`{name}` is retired ({reason})"));
        }
        if let Some(allocation) = text(self.raw, "allocation_uuid") {
            self.spare(SpareBar::Allocated, format!("allocation {allocation} has taken `{name}`"));
        }
    }

    fn interfaces(&mut self) {
        let name = &self.node.name.clone();
        let storage = text(self.raw, "storage_interface").unwrap_or("noop").to_owned();
        let boot = text(self.raw, "boot_interface").unwrap_or_default().to_owned();
        match storage.as_str() {
            "cinder" => {
                let why = format!(
                    "`{name}` has `storage_interface: cinder`, which attaches volumes by itself when a node is powered on; not supported yet"
                );
                self.source(SourceBar::StorageInterface, why.clone());
                self.spare(SpareBar::StorageInterface, why);
            }
            // It boots a volume after an adoption and refuses a deployment.
            "noop" if self.node.provision_state == ProvisionState::Available => {
                let why = format!("`{name}` has `storage_interface: noop`, with which Ironic deploys from no volume; set it to `external`");
                self.spare(SpareBar::StorageInterface, why);
            }
            // As `validate` of the storage interface has it.
            "external" if !boot.ends_with("ipxe") => {
                let why =
                    format!("`{name}` has `storage_interface: external` and `boot_interface: {boot}`; from a volume only `ipxe` boots");
                self.spare(SpareBar::BootInterface, why);
            }
            _ => {}
        }
    }

    fn image(&mut self) {
        let name = &self.node.name.clone();
        if self.raw.get("instance_info").is_some_and(|info| text(info, "image_source").is_some()) {
            let why = format!("`{name}` has `instance_info.image_source`: a deployment would write that image");
            self.source(SourceBar::ImageSource, format!("{why}; a node that boots from its volume has none"));
            self.spare(SpareBar::ImageSource, why);
        }
    }

    /// Its driver writes `nova_host_id` beside the instance; an allocation of Ironic's it makes none.
    fn nova(&mut self) {
        let host = self.raw.get("instance_info").and_then(|info| text(info, "nova_host_id"));
        if let Some(host) = host.filter(|_| self.node.instance.is_some()) {
            let why = format!(
                "Nova (`{host}`) runs the instance of `{}` and does not hear of a move: its database goes on naming this node, for volumes, \
                 networks and placement; correct `instance.node` there afterwards, and say `sources.nova_aware: true`",
                self.node.name
            );
            self.source(SourceBar::Nova, why);
        }
    }

    fn records(&mut self) {
        let (name, id) = (&self.node.name.clone(), self.node.id);
        let bars = self.volumes.unfit.get(&id).cloned().unwrap_or_default();
        self.keeper.source_bars.extend(bars);
        for what in self.volumes.unknown.get(&id).into_iter().flatten() {
            let why = format!("`{name}` has {what}, which this coldswap does not know");
            self.keeper.source_bars.push(Bar { code: SourceBar::RecordUnfit, text: why.clone() });
            self.keeper.spare_bars.push(Bar { code: SpareBar::HasVolumes, text: why });
        }
        for what in self.volumes.strange.get(&id).into_iter().flatten() {
            let why = format!("`{name}` has {what}; iqn, ip, mac, wwnn and wwpn are known");
            self.keeper.source_bars.push(Bar { code: SourceBar::RecordUnfit, text: why.clone() });
            self.keeper.spare_bars.push(Bar { code: SpareBar::RecordUnfit, text: why });
        }
        let own = self.volumes.connectors.iter().find(|c| c.node == id && c.kind == ConnectorKind::Iqn);
        if let Some(iqn) = own {
            let why = format!(
                "`{name}` has an initiator name of its own (`{}`), and Ironic boots with the last one recorded; delete that connector",
                iqn.connector_id
            );
            self.spare(SpareBar::OwnInitiator, why);
        }
    }

    fn capability(&mut self, wanted: &BTreeSet<&'static str>) {
        if wanted.is_empty() || wanted.iter().any(|c| self.node.capabilities.contains_key(*c)) {
            return;
        }
        let list: Vec<String> = wanted.iter().map(|c| format!("`{c}:true`")).collect();
        let why = format!(
            "`{}` has no {} among its `properties.capabilities`: Ironic boots it from no such volume",
            self.node.name,
            list.join(" or ")
        );
        self.spare(SpareBar::BootCapability, why);
    }
}
