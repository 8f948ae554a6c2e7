//! What a person should know before a switchover begins.

use super::*;

impl Cook<'_> {
    pub(super) fn warnings(&self, steps: &[Step]) -> Vec<String> {
        let mut warnings = Vec::new();
        let name = &self.source.name;
        self.fence_warnings(&mut warnings);
        self.feed_warnings(steps, &mut warnings);
        let soft = self.source.abilities.reset_types.as_ref().is_some_and(|t| !t.contains(&ResetType::GracefulShutdown));
        if soft && self.runbook.power.soft_off > Span::ZERO {
            warnings.push(format!("the BMC of `{name}` offers no GracefulShutdown; its operating system is not asked"));
        }
        self.keeper_warnings(&mut warnings);
        let bars = self.source.kept_by.iter().flat_map(|k| &k.source_bars);
        warnings.extend(bars.filter(|bar| bar.code == SourceBar::Nova).map(|bar| bar.text.clone()));
        if self.boot_via() == BootVia::None {
            warnings.push(format!("`boot.via: none`: nothing takes the boot configuration off `{name}`; its hooks must"));
        }
        if self.boot_via() == BootVia::RedfishIscsi && self.home.is_none() && self.is_off_and_cleared() {
            warnings.push(format!(
                "`{name}` is Off and its firmware opens nothing; the command line says that it had the volumes all the same"
            ));
        }
        self.chap_warnings(steps, &mut warnings);
        for hook in self.runbook.hooks.iter().filter(|h| h.point != HookPoint::PostBoot && h.undo.is_none()) {
            warnings.push(format!("hook `{}` has no `undo`: a rollback leaves what it did", hook.name));
        }
        warnings
    }

    fn fence_warnings(&self, warnings: &mut Vec<String>) {
        let name = &self.source.name;
        let levels = &self.runbook.vouchers.levels;
        let stays_off = self.offered_policy().is_some() || self.source.restore_policy() == Some(PowerRestorePolicy::AlwaysOff);
        if !stays_off && !self.is_silent() {
            warnings.push(match levels.is_empty() {
                true => format!(
                    "only the BMC vouches that `{name}` is off: no restore policy AlwaysOff, export fence or agent; after a power cut it may start again"
                ),
                false => format!("the BMC of `{name}` offers no restore policy: after a power cut it may start again"),
            });
        }
        if let Some(Live::Silent(fault)) = self.fleet.live.get(&self.source.id) {
            warnings.push(format!(
                "the BMC of `{name}` is silent ({fault}): another than it must vouch that it is off, and its firmware cannot be reached"
            ));
        }
        if self.runbook.power.crash_dump.is_some() && !self.can_dump() {
            warnings.push(format!("the BMC of `{name}` offers no Nmi; no crash dump is asked for"));
        }
    }

    /// The firmware of a spare gets name, portal and LUN; there are no credentials of volumes in Redfish's iSCSI boot that
    /// could be read back, so none are written.
    fn chap_warnings(&self, steps: &[Step], warnings: &mut Vec<String>) {
        let opens = |s: &Step| matches!(s, Step::ConfigureBoot(c) if c.settings.iscsi.is_some());
        let chap = |t: &&VolumeTarget| t.boot_index == 0 && t.properties.contains_key("auth_password");
        for target in self.fleet.targets_of(self.source.id).into_iter().filter(chap).filter(|_| steps.iter().any(opens)) {
            warnings.push(format!(
                "`{}` wants CHAP credentials, and the firmware of `{}` is set up without any: the storage must let it in by its name",
                target.volume_id, self.destination.name
            ));
        }
    }

    fn feed_warnings(&self, steps: &[Step], warnings: &mut Vec<String>) {
        for level in steps.iter().filter_map(Step::fence).flat_map(|f| &f.levels) {
            let FenceLevel::Agents(calls) = level else { continue };
            for (n, call) in calls.iter().enumerate() {
                if calls[..n].iter().any(|c| c.switches_the_same(call)) {
                    let name = &self.source.name;
                    warnings.push(format!(
                        "`{call}` stands twice in one `all` for `{name}`: if it has a second feed, that one is not switched"
                    ));
                }
            }
        }
    }
}
