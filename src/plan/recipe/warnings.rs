//! What a person should know before a switchover begins.

use super::*;

impl Cook<'_> {
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let name = &self.source.name;
        if self.source.facts().power_restore_policy != Some(PowerRestorePolicy::AlwaysOff) {
            warnings.push(format!(
                "only the BMC vouches that `{name}` is off: no restore policy AlwaysOff, export fence or agent; after a power cut it may start again"
            ));
        }
        let soft = self.source.abilities.reset_types.as_ref().is_some_and(|t| !t.contains(&ResetType::GracefulShutdown));
        if soft && self.runbook.power.soft_off > Span::ZERO {
            warnings.push(format!("the BMC of `{name}` offers no GracefulShutdown; its operating system is not asked"));
        }
        if self.runbook.boot.via == BootVia::None {
            warnings.push(format!("`boot.via: none`: nothing takes the boot configuration off `{name}`; its hooks must"));
        }
        for hook in self.runbook.hooks.iter().filter(|h| h.point != HookPoint::PostBoot && h.undo.is_none()) {
            warnings.push(format!("hook `{}` has no `undo`: a rollback leaves what it did", hook.name));
        }
        warnings
    }
}
