//! What goes wrong in a drill, as data, and the dice.

use crate::model::{Fault, Fleet, NodeId, Span};
use crate::sim::Rng;
use std::collections::BTreeSet;

/// What a rule is about. A wider kind fits the narrower ones too; hooks and boots are no requests to a BMC and must be
/// named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Any,
    Read,
    ReadSystem,
    Write,
    SoftOff,
    HardOff,
    PowerOn,
    Restart,
    SetBoot,
    Login,
    Logout,
    Hook,
    Boot,
}

impl Request {
    pub const ALL: [(&'static str, Request); 13] = [
        ("any", Request::Any),
        ("read", Request::Read),
        ("read_system", Request::ReadSystem),
        ("write", Request::Write),
        ("soft_off", Request::SoftOff),
        ("hard_off", Request::HardOff),
        ("power_on", Request::PowerOn),
        ("restart", Request::Restart),
        ("set_boot", Request::SetBoot),
        ("login", Request::Login),
        ("logout", Request::Logout),
        ("hook", Request::Hook),
        ("boot", Request::Boot),
    ];

    fn covers(self, kind: Request) -> bool {
        use Request::*;
        match self {
            Any => !matches!(kind, Hook | Boot),
            Read => matches!(kind, Read | ReadSystem),
            Write => matches!(kind, Write | SoftOff | HardOff | PowerOn | Restart | SetBoot),
            narrow => narrow == kind,
        }
    }
}

/// What happens instead of the right thing: the words that labs use, with the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Refuse,
    Conflict,
    Error,
    ErrorAfter,
    Busy,
    Hang,
    HangAfter,
    Drop,
    DropAfter,
    Ignore,
    Late,
    DropLate,
    Slow,
    FalseOff,
    NoPower,
    Stale,
    WrongMachine,
    Garbage,
    Empty,
}

impl Action {
    pub const ALL: [(&'static str, Action); 19] = [
        ("refuse", Action::Refuse),
        ("conflict", Action::Conflict),
        ("error", Action::Error),
        ("error_after", Action::ErrorAfter),
        ("busy", Action::Busy),
        ("hang", Action::Hang),
        ("hang_after", Action::HangAfter),
        ("drop", Action::Drop),
        ("drop_after", Action::DropAfter),
        ("ignore", Action::Ignore),
        ("late", Action::Late),
        ("drop_late", Action::DropLate),
        ("slow", Action::Slow),
        ("false_off", Action::FalseOff),
        ("no_power", Action::NoPower),
        ("stale", Action::Stale),
        ("wrong_machine", Action::WrongMachine),
        ("garbage", Action::Garbage),
        ("empty", Action::Empty),
    ];

    /// Does the effect happen at all?
    pub(super) fn takes_effect(self) -> bool {
        use Action::*;
        matches!(self, ErrorAfter | HangAfter | DropAfter | Late | DropLate | Slow)
    }

    /// How a command is answered: `Ok` means accepted.
    pub(super) fn answer(self) -> Result<(), Fault> {
        use Action::*;
        match self {
            Refuse => Err(Fault::refused("the BMC says no")),
            Conflict => Err(Fault::refused("409: it is in no state for that")),
            Busy => Err(Fault::transient("503: busy")),
            Error | ErrorAfter => Err(Fault::unknown("500")),
            Hang | HangAfter => Err(Fault::unknown("no answer in time")),
            Drop | DropAfter | DropLate | WrongMachine | Garbage | Empty => Err(Fault::unknown("the connection was closed")),
            Ignore | Late | Slow | FalseOff | NoPower | Stale => Ok(()),
        }
    }
}

/// One thing that may go wrong; the first rule that fits, and whose dice fall so, decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A name; `*` and `?` stand for any text and any character.
    pub machine: String,
    pub request: Request,
    pub action: Action,
    pub by: Option<Span>,
    /// Hundredths of a percent.
    pub chance: u32,
    /// How often in all. None: without end.
    pub times: Option<u32>,
    /// Once it has happened to a machine it goes on happening to it.
    pub lasting: bool,
}

impl Rule {
    pub const fn whole() -> u32 {
        10_000
    }
}

/// The rules with the machines that each is about, worked out once for all seeds.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<(Rule, BTreeSet<NodeId>)>,
}

impl Rules {
    pub fn of(rules: &[Rule], fleet: &Fleet) -> Rules {
        let about = |rule: &Rule| fleet.nodes.values().filter(|n| fits(&rule.machine, &n.name)).map(|n| n.id).collect();
        Rules { rules: rules.iter().map(|rule| (rule.clone(), about(rule))).collect() }
    }
}

/// What has happened so far in one run.
#[derive(Default)]
pub(super) struct Dice {
    used: Vec<u32>,
    lasting: BTreeSet<(usize, NodeId)>,
}

impl Dice {
    /// What happens to this request to this machine, if anything does.
    pub(super) fn throw(&mut self, rules: &Rules, rng: &mut Rng, node: NodeId, kind: Request) -> Option<(Action, Option<Span>)> {
        self.used.resize(rules.rules.len(), 0);
        for (at, (rule, about)) in rules.rules.iter().enumerate() {
            if !rule.request.covers(kind) || !about.contains(&node) {
                continue;
            }
            let goes_on = rule.lasting && self.lasting.contains(&(at, node));
            if !goes_on && (rule.times.is_some_and(|times| self.used[at] >= times) || rng.below(10_000) >= u64::from(rule.chance)) {
                continue;
            }
            if !goes_on {
                self.used[at] += 1;
            }
            if rule.lasting {
                self.lasting.insert((at, node));
            }
            return Some((rule.action, rule.by));
        }
        None
    }
}

/// `*` stands for any text, `?` for any character.
fn fits(pattern: &str, name: &str) -> bool {
    fn rest(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => rest(&pattern[1..], name) || (!name.is_empty() && rest(pattern, &name[1..])),
            (Some('?'), Some(_)) => rest(&pattern[1..], &name[1..]),
            (Some(p), Some(n)) if p == n => rest(&pattern[1..], &name[1..]),
            _ => false,
        }
    }
    pattern == "*" || rest(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_in_a_lab() {
        for (pattern, name, want) in [
            ("*", "web-01", true),
            ("web-*", "web-01", true),
            ("web-0?", "web-01", true),
            ("web", "web-01", false),
            ("*-0?", "web-1", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn what_lasts_goes_on_and_what_is_counted_ends() {
        let (fleet, _) = crate::sim::fleet(1, 1);
        let node = fleet.nodes.keys().next().copied().expect("a node");
        let rule = |lasting, times| Rule {
            machine: "*".into(),
            request: Request::Any,
            action: Action::Drop,
            by: None,
            chance: 500,
            times,
            lasting,
        };
        let throws = |rule: Rule, kind: Request| {
            let (rules, mut dice, mut rng) = (Rules::of(&[rule], &fleet), Dice::default(), Rng(1));
            (0..1_000).map(|_| dice.throw(&rules, &mut rng, node, kind).is_some()).collect::<Vec<bool>>()
        };
        let lasting = throws(rule(true, None), Request::ReadSystem);
        let first = lasting.iter().position(|t| *t).expect("it happens");
        assert!(lasting[first..].iter().all(|t| *t));
        let counted = throws(rule(false, Some(2)), Request::SetBoot);
        assert_eq!(counted.iter().filter(|t| **t).count(), 2);
        assert!(!throws(rule(true, None), Request::Hook).contains(&true), "a hook is no request to a BMC");
    }
}
