//! What the two machines' firmware opens, before and after.

use super::*;
use crate::model::gate_table::gates;

#[derive(Default)]
pub(super) struct BootSteps {
    pub clear: Option<ClearSourceBoot>,
    pub configure: Option<ConfigureBoot>,
}

impl Cook<'_> {
    pub(super) fn boot(&self) -> Result<BootSteps, Unfit> {
        match self.boot_via() {
            BootVia::None => Ok(BootSteps::default()),
            BootVia::Inventory => self.inventory_boot(),
            BootVia::RedfishIscsi => self.iscsi_boot(),
            BootVia::RedfishOverride => Ok(self.override_boot()),
        }
    }

    /// What the runbook says, or what suits the inventory: a service that keeps a node lets it boot as well.
    pub(super) fn boot_via(&self) -> BootVia {
        let suits = if self.source.kept_by.is_some() { BootVia::Inventory } else { BootVia::RedfishIscsi };
        self.runbook.boot.via.unwrap_or(suits)
    }

    /// Nothing of ours: the service writes the boot configuration from the records. It looks only then at whether the machine
    /// can boot from such a volume, when the records have been moved (Ironic: `iscsi_boot`, `fibre_channel_boot`).
    fn inventory_boot(&self) -> Result<BootSteps, Unfit> {
        let (source, destination) = (&self.source.name, &self.destination.name);
        if self.source.kept_by.is_none() || self.destination.kept_by.is_none() {
            let why = format!("`boot.via: inventory` needs an inventory that boots its nodes (`kind: ironic`), and `{source}` is in none");
            return Err(self.left(LeftOutCode::BootUnsupported, why));
        }
        let boot = self.fleet.targets_of(self.source.id).into_iter().find(|t| t.boot_index == 0);
        let needs = boot.and_then(|t| Some((t, t.volume_type.boot_capability()?)));
        if let Some((target, capability)) = needs.filter(|(_, c)| !self.destination.capabilities.contains_key(*c)) {
            let why = format!(
                "`{source}` boots from `{}`, and `{destination}` has no `{capability}` among its capabilities: its deployment would fail",
                target.volume_id
            );
            return Err(self.left(LeftOutCode::BootUnsupported, why));
        }
        Ok(BootSteps::default())
    }

    fn settings_of(&self, node: NodeId) -> BootSettings {
        match self.fleet.live.get(&node) {
            Some(Live::Answered { boot, .. }) => boot.clone(),
            _ => BootSettings::default(),
        }
    }

    fn iscsi_boot(&self) -> Result<BootSteps, Unfit> {
        let targets = self.fleet.targets_of(self.source.id);
        let boot_target = targets.first().filter(|t| t.boot_index == 0);
        let initiator =
            self.fleet.connectors_of(self.source.id).filter(|c| c.kind == ConnectorKind::Iqn).map(|c| c.connector_id.clone()).min();
        let wanted = boot_target.and_then(|t| t.iscsi_boot(initiator.as_deref().unwrap_or_default()));
        if let Some(Err(why)) = boot_target.map(|t| t.lun()) {
            return Err(self.left(LeftOutCode::BootUnsupported, format!("the boot volume of `{}`: {why}", self.source.name)));
        }
        let Some(wanted) = wanted.filter(|w| !w.is_clear()) else {
            let why = format!(
                "`boot.via: redfish-iscsi` needs a boot target of type iscsi with `target_iqn`, and `{}` has none",
                self.source.name
            );
            return Err(self.left(LeftOutCode::BootUnsupported, why));
        };
        for node in [self.source, self.destination] {
            // What a silent source could do was never asked.
            let unread = node.facts_at.is_none() || node.abilities.iscsi_boot_unread;
            let never_read = node.id == self.source.id && self.is_silent() && unread;
            if !node.abilities.iscsi_boot && !never_read {
                let why = format!("`boot.via: redfish-iscsi` needs an adapter with iSCSIBoot, and the BMC of `{}` shows none", node.name);
                return Err(self.left(LeftOutCode::BootUnsupported, why));
            }
        }
        // A silent source is taken to open what the inventory says.
        let opened = if self.is_silent() { Some(wanted.clone()) } else { self.settings_of(self.source.id).iscsi };
        let was = BootSettings { iscsi: Some(opened.unwrap_or_default()), boot_override: None };
        let opens = was.iscsi.clone().unwrap_or_default();
        if !opens.is_clear() && (&opens.target, opens.lun) != (&wanted.target, wanted.lun) {
            let why = format!(
                "the adapter of `{}` opens `{}` lun {}, but the inventory says `{}` lun {}; correct one of them",
                self.source.name, opens.target, opens.lun, wanted.target, wanted.lun
            );
            return Err(self.left(LeftOutCode::BootMismatch, why));
        }
        if self.is_off_and_cleared() && self.home.is_none() && !self.allow_boot_cleared {
            let name = &self.source.name;
            let why = format!(
                "`{name}` is Off and its firmware opens nothing, but the inventory has the boot volume `{}` at it: another machine may have \
                 that volume open since an earlier switchover (`coldswap runs` tells of them); correct the inventory, or, where `{name}` \
                 really had it and booted otherwise, `--allow-boot-cleared {name}`",
                boot_target.map_or("", |t| &t.volume_id)
            );
            return Err(self.left(LeftOutCode::BootCleared, why));
        }
        let clear = BootSettings { iscsi: Some(IscsiBoot::default()), boot_override: None };
        // Whatever it opened before, the way back leaves it opening nothing: a spare that opens a volume is no spare.
        let destination_was = clear.clone();
        let asked = BootSettings { iscsi: Some(wanted), boot_override: None };
        Ok(BootSteps {
            clear: Some(ClearSourceBoot { pair: self.pair.clone(), settings: clear, was, landing: self.landing }),
            configure: Some(ConfigureBoot {
                pair: self.pair.clone(),
                node: self.destination.id,
                settings: asked,
                was: destination_was,
                landing: self.landing,
            }),
        })
    }

    /// As a switchover leaves its source. A machine that merely died keeps its boot configuration; of one whose adapters show
    /// none nothing is known.
    pub(super) fn is_off_and_cleared(&self) -> bool {
        let live = self.fleet.live.get(&self.source.id);
        let cleared = |boot: &BootSettings| boot.iscsi.as_ref().is_some_and(IscsiBoot::is_clear);
        matches!(live, Some(Live::Answered { reading, boot }) if reading.power == PowerState::Off && cleared(boot))
    }

    /// The destination is told to boot as the source did, or from the network where the source says nothing.
    fn override_boot(&self) -> BootSteps {
        let only = |o: BootOverride| BootSettings { iscsi: None, boot_override: Some(o) };
        let of = |node: NodeId| self.settings_of(node).boot_override.unwrap_or_default();
        let active =
            |o: &BootOverride| !matches!(o.enabled.as_deref(), Some("Disabled")) && !matches!(o.target.as_deref(), None | Some("None"));
        let (source, destination) = (of(self.source.id), of(self.destination.id));
        let off = BootOverride { target: Some("None".into()), enabled: Some("Disabled".into()) };
        let allowed = &self.source.abilities.override_targets;
        let can_clear = allowed.is_empty() || allowed.iter().any(|t| t == "None");
        let target = if active(&source) { source.target.clone() } else { Some("Pxe".to_owned()) };
        let wanted = BootOverride { target, enabled: Some("Continuous".into()) };
        let was = if active(&destination) { destination } else { off.clone() };
        BootSteps {
            // A silent machine may well be told to boot from the network: nobody knows.
            clear: ((active(&source) || self.is_silent()) && can_clear).then(|| ClearSourceBoot {
                pair: self.pair.clone(),
                settings: only(off),
                was: only(source.clone()),
                landing: self.landing,
            }),
            configure: Some(ConfigureBoot {
                pair: self.pair.clone(),
                node: self.destination.id,
                settings: only(wanted),
                was: only(was),
                landing: self.landing,
            }),
        }
    }
}

gates! {
    "cleared source", "a source that is Off, opens nothing and has a boot volume in the records is left out unless a person says that this is right",
        Closed, "that is how a switchover leaves its source: the volume may be open elsewhere", a_source_that_looks_switched_over_is_left_out;
}
