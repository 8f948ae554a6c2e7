//! The witness: who has which volume open, and what must not happen to it. It asks neither the inventory nor the engine.

use super::*;

impl World {
    /// A volume must not change hands while somebody has it open.
    pub(super) fn check_move(&mut self, change: &Change) {
        if let Change::MoveTarget { target, to, .. } = change
            && let Some(target) = self.fleet.targets.get(target)
            && target.node != *to
            && let Some(boot) = target.iscsi_boot("")
            && let Some(who) = self.open.get(&(boot.target, boot.lun)).and_then(|m| m.iter().find(|n| *n != to && !self.unseen_now(**n)))
        {
            self.violations.push(format!("S1: `{}` moved to {to} while {who} has it open", target.volume_id));
        }
    }

    /// What nobody could see in time: a boot configuration that was changed behind everybody's back, and a kept machine whose
    /// button was pressed after the look.
    fn unseen_now(&self, node: NodeId) -> bool {
        let pressed = self.keeps(node) && self.fed.get(&node).is_some_and(|at| *at + LOOK > self.now);
        pressed || self.tampered_unseen(node)
    }

    /// What its own firmware names, and nothing else.
    pub(super) fn opens(&mut self, node: NodeId) {
        let Some(Live::Answered { boot, .. }) = self.fleet.live.get(&node) else { return };
        let Some(iscsi) = boot.iscsi.as_ref().filter(|i| !i.is_clear()) else { return };
        let machines = self.open.entry((iscsi.target.clone(), iscsi.lun)).or_default();
        machines.insert(node);
        // A look takes a moment; who is plugged in again within it, or after the destination was told to start, nobody could see.
        let fed = machines.iter().filter_map(|n| self.fed.get(n)).max();
        let told = machines.iter().filter_map(|n| self.ordered_on.get(n)).max();
        let unseen = matches!((fed, told), (Some(fed), Some(told)) if *fed + LOOK > *told);
        let several: Vec<NodeId> = machines.iter().copied().collect();
        let unseen = unseen || several.iter().any(|n| self.tampered_unseen(*n));
        let machines = several;
        if machines.len() > 1 && unseen {
            self.unseen += 1;
        } else if machines.len() > 1 {
            self.violations.push(format!("S1: {} lun {} is open on {machines:?}", iscsi.target, iscsi.lun));
        }
    }

    /// A healthy source must not be taken down for a spare that cannot take over: whose being On could be seen.
    pub(super) fn check_dark(&mut self, command: &Command) {
        if let Command::Reset { node, reset } = command
            && !reset.starts()
            && let Some(spare) = self.spares.get(node)
            && self.told_off.insert(*node)
            && self.fleet.power(*spare) == PowerState::On
            && self.strangers.get(spare).is_none_or(|since| *since + LOOK <= self.now)
        {
            self.violations.push(format!("dark for nothing: {node} was told {reset} while its spare {spare} ran"));
        }
    }
}
