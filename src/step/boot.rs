//! What the two machines' firmware opens: taken off the source first, set on the destination last.

use super::guard::{both_off, leaves_open};
use super::reserve::{held, unreadable};
use super::*;
use crate::model::gate_table::gates;

/// The source's firmware opens nothing any more, whoever switches it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearSourceBoot {
    pub pair: Shared<Pair>,
    pub settings: BootSettings,
    /// What it was, for the way back.
    pub was: BootSettings,
    pub landing: Span,
}

/// How long a step that may be left undone tries a silent BMC.
pub(super) const BRIEFLY: Span = Span::secs(10);

impl ClearSourceBoot {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        looks(cx, &self.pair, self.pair.source.node, &self.settings)
    }

    /// Where a fence stands in for a silent source, its firmware cannot be reached either: then what it opens is a debt.
    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        // After the command only the boot configuration was asked for, and that is the source's own BMC.
        let open = |system: Option<&Observation>| system.is_none_or(|seen| leaves_open(&self.pair.source, seen));
        match (judge(cx, &self.pair, &self.settings, seen), &seen[0]) {
            (Verdict::Wait(why), Observation::Unreadable(_)) if cx.stand_in == StandIn::Holds && open(seen.get(1)) => {
                Verdict::Wait(Reason::new(ReasonCode::NoVoucher, why.text))
            }
            (verdict, _) => verdict,
        }
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::SetBoot { node: self.pair.source.node, settings: self.settings.clone() })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::ConfigureBoot(ConfigureBoot {
            pair: self.pair.clone(),
            node: self.pair.source.node,
            settings: self.was.clone(),
            was: self.settings.clone(),
            landing: self.landing,
        })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { silent: BRIEFLY, ..Patience::device(self.landing) }
    }

    pub(super) fn subject(&self) -> String {
        self.pair.source.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (describe(&self.was), describe(&self.settings))
    }

    pub(super) fn remark(&self) -> String {
        "it opens nothing, whoever starts it".into()
    }
}

/// A machine's firmware opens what it should: the destination's on the way out, either end's on the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigureBoot {
    pub pair: Shared<Pair>,
    pub node: NodeId,
    pub settings: BootSettings,
    pub was: BootSettings,
    pub landing: Span,
}

impl ConfigureBoot {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        looks(cx, &self.pair, self.node, &self.settings)
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        judge(cx, &self.pair, &self.settings, seen)
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::SetBoot { node: self.node, settings: self.settings.clone() })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::ConfigureBoot(ConfigureBoot { settings: self.was.clone(), was: self.settings.clone(), ..self.clone() })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::device(self.landing)
    }

    pub(super) fn subject(&self) -> String {
        record::name_of(&self.pair, self.node)
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (describe(&self.was), describe(&self.settings))
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

/// Rule S1 wants its look before the command. Whether the command did what it should is asked of the boot configuration
/// alone; the next step looks at both machines again before it does anything.
fn looks(cx: &Context, pair: &Pair, node: NodeId, settings: &BootSettings) -> Vec<Query> {
    let (source, destination) = (pair.source.node, pair.destination.node);
    let boot = boot_query(node, settings);
    if cx.sent {
        return vec![boot];
    }
    vec![boot, pair.source.off(), pair.destination.off(), Query::Node(source), Query::Node(destination)]
}

/// The question for what `settings` say: the override alone costs no request beside the look at the system, and what is
/// not managed is not asked for.
pub(super) fn boot_query(node: NodeId, settings: &BootSettings) -> Query {
    match (&settings.iscsi, &settings.boot_override) {
        (Some(_), None) => Query::Boot(node),
        (Some(_), Some(_)) => Query::BootAndOverride(node),
        (None, _) => Query::Override(node),
    }
}

fn judge(cx: &Context, pair: &Pair, settings: &BootSettings, seen: &[Observation]) -> Verdict {
    if !cx.sent {
        if let Err(verdict) = both_off(cx, pair, &seen[1], &seen[2]) {
            return verdict;
        }
        for (machine, seen) in [(&pair.source, &seen[3]), (&pair.destination, &seen[4])] {
            if let Err(verdict) = held(cx, machine, seen) {
                return verdict;
            }
        }
    }
    match &seen[0] {
        Observation::Boot(boot) if boot.shows(settings) => Verdict::Satisfied,
        Observation::Boot(_) => Verdict::Act,
        Observation::Unreadable(fault) => unreadable("the boot configuration", fault),
        other => unreachable!("a query for a boot configuration gives one, not {other:?}"),
    }
}

pub(super) fn describe(settings: &BootSettings) -> String {
    let iscsi =
        settings.iscsi.as_ref().map(|i| if i.is_clear() { "opens nothing".to_owned() } else { format!("{} lun {}", i.target, i.lun) });
    let over = settings.boot_override.as_ref().map(|o| match (o.target.as_deref(), o.enabled.as_deref()) {
        (_, Some("Disabled")) | (None | Some("None"), _) => "no override".to_owned(),
        (Some(target), enabled) => format!("override {target} {}", enabled.unwrap_or_default()),
    });
    let text: Vec<String> = iscsi.into_iter().chain(over).collect();
    if text.is_empty() { "not managed".into() } else { text.join(", ") }
}

gates! {
    "source's boot configuration", "it stays where a fence stands in for a silent BMC; report, record and `debt` say so",
        Open, "the source is off, and its firmware cannot be reached", an_agent_switches_off_what_a_dead_bmc_cannot;
}
