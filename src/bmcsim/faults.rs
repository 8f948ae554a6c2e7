//! What goes wrong, as data: rules that say which request to which machine is answered how.

use crate::model::{Span, Threshold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};

/// One fault: `{machine: web-02, request: soft_off, do: ignore}`, `{request: power_on, do: late, by: 60s, chance: 5%}`.
/// The first rule that fits a request (and whose dice fall so) decides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A name; `*` and `?` stand for any text and any character. Default: every machine.
    #[serde(default = "every")]
    pub machine: String,
    #[serde(default)]
    pub request: RequestKind,
    #[serde(rename = "do")]
    pub action: FaultAction,
    /// How late, slow, stale or how long to wait before trying again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Span>,
    /// The status code of `refuse`, `error` and `error_after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The machine that answers instead, for `wrong_machine`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// A share: `5%`. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Threshold>,
    /// How often in all, over all machines. Default: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

fn every() -> String {
    "*".into()
}

/// What a request is about. A wider kind (`any`, `read`, `write`) fits the narrower ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    #[default]
    Any,
    /// Any GET.
    Read,
    /// A GET of a ComputerSystem.
    ReadSystem,
    /// Anything but a GET, a login or a logout.
    Write,
    /// `GracefulShutdown`.
    SoftOff,
    /// `ForceOff`.
    HardOff,
    /// `On`, `ForceOn`.
    PowerOn,
    /// Any other reset type.
    Restart,
    /// A PATCH: boot override, iSCSI boot.
    SetBoot,
    /// A POST to Sessions.
    Login,
    /// A DELETE of a session.
    Logout,
}

impl RequestKind {
    pub(super) fn reads(self) -> bool {
        matches!(self, RequestKind::Read | RequestKind::ReadSystem)
    }

    fn covers(self, kind: RequestKind) -> bool {
        use RequestKind::*;
        match self {
            Any => true,
            Read => kind.reads(),
            Write => matches!(kind, Write | SoftOff | HardOff | PowerOn | Restart | SetBoot),
            narrow => narrow == kind,
        }
    }
}

/// What happens instead of the right thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// Not done; answers `status` (default 400).
    Refuse,
    /// Not done; answers 409.
    Conflict,
    /// Not done; answers `status` (default 500).
    Error,
    /// Done; answers `status` (default 500).
    ErrorAfter,
    /// Not done; answers 503 with `Retry-After: by` (default 1 s).
    Busy,
    /// Not done; never answers.
    Hang,
    /// Done; never answers.
    HangAfter,
    /// Not done; the connection is closed without an answer.
    Drop,
    /// Done; the connection is closed without an answer.
    DropAfter,
    /// Accepted, and nothing happens.
    Ignore,
    /// Accepted, and happens `by` later (default 30 s).
    Late,
    /// The connection is closed without an answer, and it happens `by` later (default 30 s).
    DropLate,
    /// Everything right, `by` later (default 1 s), the answer too.
    Slow,
    /// The system reads Off, whatever it is.
    FalseOff,
    /// The system's power state is null.
    NoPower,
    /// The system's power state is as it was `by` ago (default 30 s).
    Stale,
    /// The machine named by `as` answers and obeys instead of this one.
    WrongMachine,
    /// 200 with a body that is cut in the middle.
    Garbage,
    /// 200 with an empty object, as BMCs do while their manager restarts.
    Empty,
}

/// How the effect of a fitting rule is carried out.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub action: FaultAction,
    pub by: Option<Span>,
    pub status: Option<u16>,
    pub answers: Option<String>,
}

impl Fault {
    pub(super) fn by_or(&self, default: Span) -> Span {
        self.by.unwrap_or(default)
    }
}

impl FaultRule {
    /// A rule with nothing but the three words that matter.
    pub fn new(machine: &str, request: RequestKind, action: FaultAction) -> FaultRule {
        let machine = machine.to_owned();
        FaultRule { machine, request, action, by: None, status: None, answers: None, chance: None, times: None }
    }
    pub fn by(self, by: Span) -> FaultRule {
        FaultRule { by: Some(by), ..self }
    }
    pub fn times(self, times: u32) -> FaultRule {
        FaultRule { times: Some(times), ..self }
    }
    pub fn status(self, status: u16) -> FaultRule {
        FaultRule { status: Some(status), ..self }
    }

    /// What is wrong with the rule, in words. `known` says which machines there are.
    pub fn problem(&self, known: &dyn Fn(&str) -> bool) -> Option<String> {
        if let Some(Threshold::Count(n)) = self.chance {
            return Some(format!("fault `chance: {n}`: write a share like `{n}%`"));
        }
        if !self.machine.contains(['*', '?']) && !known(&self.machine) {
            return Some(format!("fault `machine: {}`: there is no machine of that name", self.machine));
        }
        if self.status.is_some_and(|s| !(300..=599).contains(&s)) {
            return Some("fault `status`: write a status code from 300 to 599".into());
        }
        match (self.action, &self.answers) {
            (FaultAction::WrongMachine, None) => Some("fault `wrong_machine`: name the machine that answers with `as`".into()),
            (_, Some(name)) if !known(name) => Some(format!("fault `as: {name}`: there is no machine of that name")),
            _ => None,
        }
    }
}

struct Armed {
    rule: FaultRule,
    left: Option<AtomicU32>,
}

/// The rules in force, with what is left of each.
pub(super) struct FaultSet {
    rules: Vec<Armed>,
    seed: u64,
}

impl FaultSet {
    pub(super) fn new(rules: Vec<FaultRule>, seed: u64) -> FaultSet {
        let arm = |rule: FaultRule| Armed { left: rule.times.map(AtomicU32::new), rule };
        FaultSet { rules: rules.into_iter().map(arm).collect(), seed }
    }

    /// The rules as they stand: `times` is what is left.
    pub(super) fn rules(&self) -> Vec<FaultRule> {
        let now = |a: &Armed| FaultRule { times: a.left.as_ref().map(|l| l.load(Ordering::Relaxed)), ..a.rule.clone() };
        self.rules.iter().map(now).collect()
    }

    /// What is to happen to the `nth` request of a machine. The dice depend on seed, rule, machine and `nth` only, so
    /// that what other machines do at the same time changes nothing.
    pub(super) fn decide(&self, machine: &str, kind: RequestKind, nth: u64) -> Option<Fault> {
        for (index, armed) in self.rules.iter().enumerate() {
            let rule = &armed.rule;
            if !rule.request.covers(kind) || !glob(rule.machine.as_bytes(), machine.as_bytes()) {
                continue;
            }
            if let Some(Threshold::Share(share)) = rule.chance
                && self.dice(index, machine, nth) >= u64::from(share)
            {
                continue;
            }
            let take = |l: &AtomicU32| l.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
            if armed.left.as_ref().is_none_or(take) {
                return Some(Fault { action: rule.action, by: rule.by, status: rule.status, answers: rule.answers.clone() });
            }
        }
        None
    }

    /// 0 to 9,999.
    fn dice(&self, rule: usize, machine: &str, nth: u64) -> u64 {
        let mut h = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        for b in machine.bytes() {
            h = mix(h ^ u64::from(b));
        }
        mix(mix(h ^ rule as u64) ^ nth) % 10_000
    }
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Does the pattern fit the whole text?
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        (Some((b'?', rest)), Some((_, tail))) => glob(rest, tail),
        (Some((a, rest)), Some((b, tail))) if a == b => glob(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_as_it_is_spoken() {
        let text = "- {machine: web-02, request: soft_off, do: ignore}\n- {request: power_on, do: late, by: 60s, chance: 5%}\n";
        let rules: Vec<FaultRule> = serde_yaml::from_str(text).expect("rules");
        assert_eq!(rules[0], FaultRule::new("web-02", RequestKind::SoftOff, FaultAction::Ignore));
        let late = FaultRule::new("*", RequestKind::PowerOn, FaultAction::Late).by(Span::secs(60));
        assert_eq!(rules[1], FaultRule { chance: Some(Threshold::Share(500)), ..late });
        assert!(serde_yaml::from_str::<FaultRule>("{do: late, when: never}").is_err(), "unknown keys are refused");
    }

    #[test]
    fn the_first_rule_that_fits_decides_until_it_is_used_up() {
        let set = FaultSet::new(
            vec![
                FaultRule::new("web-?", RequestKind::Read, FaultAction::Drop).times(1),
                FaultRule::new("web*", RequestKind::Any, FaultAction::Busy),
            ],
            1,
        );
        let action = |machine: &str, kind| set.decide(machine, kind, 0).map(|f| f.action);
        assert_eq!(action("db-1", RequestKind::Read), None);
        assert_eq!(action("web-1", RequestKind::PowerOn), Some(FaultAction::Busy));
        assert_eq!(action("web-1", RequestKind::ReadSystem), Some(FaultAction::Drop));
        assert_eq!(action("web-1", RequestKind::ReadSystem), Some(FaultAction::Busy));
        assert_eq!(set.rules()[0].times, Some(0));
    }

    #[test]
    fn the_dice_are_the_seeds_and_fall_about_as_often_as_asked() {
        let rule = FaultRule { chance: Some(Threshold::Share(500)), ..FaultRule::new("*", RequestKind::Any, FaultAction::Drop) };
        let hits = |seed| {
            let set = FaultSet::new(vec![rule.clone()], seed);
            (0..4000).filter(|n| set.decide(&format!("m-{}", n % 40), RequestKind::Read, n / 40).is_some()).collect::<Vec<u64>>()
        };
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
        assert!((120..280).contains(&hits(7).len()), "{}", hits(7).len());
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_told() {
        let known = |name: &str| name == "a";
        let wrong = FaultRule::new("*", RequestKind::Any, FaultAction::WrongMachine);
        assert!(FaultRule::new("b", RequestKind::Any, FaultAction::Drop).problem(&known).is_some());
        assert!(FaultRule::new("a", RequestKind::Any, FaultAction::Drop).problem(&known).is_none());
        assert!(wrong.problem(&known).is_some());
        assert!(FaultRule { answers: Some("b".into()), ..wrong.clone() }.problem(&known).is_some());
        assert!(FaultRule { answers: Some("a".into()), ..wrong.clone() }.problem(&known).is_none());
        assert!(
            FaultRule { chance: Some(Threshold::Count(5)), ..FaultRule::new("*", RequestKind::Any, FaultAction::Drop) }
                .problem(&known)
                .is_some()
        );
    }
}
