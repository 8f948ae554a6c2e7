//! Matching as written.

use super::expression;
use crate::model::Scalar;
use crate::runbook::FactTest;
use crate::runbook::shape::*;

#[derive(Clone, Debug, Default)]
pub struct RawMatch {
    pub identical: Option<At<RawIdentical>>,
    pub require: Vec<At<RawRequire>>,
    pub prefer: Vec<RawPrefer>,
    pub spread: Vec<RawSpread>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Builtin,
    None,
}

#[derive(Clone, Debug)]
pub struct RawIdentical {
    pub base: Option<At<Base>>,
    pub add: Vec<At<String>>,
    pub drop: Vec<At<String>>,
}

/// One of `when` and `fact`; with `fact`, one test.
#[derive(Clone, Debug)]
pub struct RawRequire {
    pub name: Option<At<String>>,
    pub when: Option<At<String>>,
    pub fact: Option<At<String>>,
    pub tests: Vec<(FactTest, At<RawAgainst>)>,
}

#[derive(Clone, Debug)]
pub enum RawAgainst {
    /// The word `source`, not in quotes, or a value.
    One(At<Scalar>),
    Set(Vec<At<String>>),
}

#[derive(Clone, Debug)]
pub struct RawPrefer {
    pub name: At<String>,
    pub when: At<String>,
    pub weight: Option<At<i64>>,
}

#[derive(Clone, Debug)]
pub struct RawSpread {
    pub name: At<String>,
    pub by: At<String>,
    pub domain: At<&'static str>,
    pub at_most: Option<At<i64>>,
}

/// In the order in which messages list them.
pub const TESTS: [(&str, FactTest, &str); 5] = [
    ("equal", FactTest::Equal, "the same as the source's or this value"),
    ("at_least", FactTest::AtLeast, "not below the source's or this number"),
    ("at_most", FactTest::AtMost, "not above the source's or this number"),
    ("superset_of", FactTest::SupersetOf, "has at least the source's or these traits"),
    ("matches", FactTest::Matches, "fits this pattern with * and ?"),
];

pub fn shape() -> Record<RawMatch> {
    record("match", |f| {
        let identical = f.optional("identical", "facts that must be known and equal on both sides", Placed(record("identical", identical)));
        let rules = list_of("a list of rules", Placed(record("rule", require)));
        let require = f.optional("require", "further rules that a spare must meet", rules);
        let prefer =
            f.optional("prefer", "decides which spare, never whether", list_of("a list of preferences", record("preference", prefer)));
        let spread = f.optional(
            "spread",
            "how many of those that belong together may stand in one failure domain",
            list_of("a list of limits", record("limit", spread)),
        );
        Some(RawMatch {
            identical,
            require: require.unwrap_or_default(),
            prefer: prefer.unwrap_or_default(),
            spread: spread.unwrap_or_default(),
        })
    })
}

fn identical(f: &mut Fields<'_>) -> Option<RawIdentical> {
    let base = f.optional("base", "the list to start from; default builtin", words(&[("builtin", Base::Builtin), ("none", Base::None)]));
    let facts = list_of("a list of facts", text("the name of a fact"));
    let add = f.optional("add", "facts besides those of the base", facts);
    let drop = f.optional("drop", "facts of the base that do not count", facts);
    Some(RawIdentical { base, add: add.unwrap_or_default(), drop: drop.unwrap_or_default() })
}

fn require(f: &mut Fields<'_>) -> Option<RawRequire> {
    f.exactly_one(&["fact", "when"]);
    let name = f.optional("name", "what explanations call the rule", text("a name"));
    let when = f.optional("when", "an expression over spare and source", expression());
    let fact = f.optional("fact", "the spare's fact, `traits` or `resource_class`", text("the name of a fact"));
    let mut tests = Vec::new();
    for (key, test, about) in TESTS {
        let set = list_of("a list of traits", text("a trait"));
        let against = Forms::new("`source`, a value or a list").scalar(TypedScalar, RawAgainst::One).list(set, RawAgainst::Set);
        if let Some(against) = f.optional(key, about, Placed(against)) {
            tests.push((test, against));
        }
    }
    Some(RawRequire { name, when, fact, tests })
}

fn prefer(f: &mut Fields<'_>) -> Option<RawPrefer> {
    let name = f.required("name", "what explanations call it", text("a name"));
    let when = f.required("when", "an expression over spare and source", expression());
    let weight = f.optional("weight", "how much it counts; default 1", number(1, 1_000_000));
    Some(RawPrefer { name: name?, when: when?, weight })
}

const LEVELS: [(&str, &str); 6] =
    [("site", "site"), ("row", "row"), ("rack", "rack"), ("chassis", "chassis"), ("slot", "slot"), ("feed", "feed")];

fn spread(f: &mut Fields<'_>) -> Option<RawSpread> {
    let name = f.required("name", "what explanations call it", text("a name"));
    let by = f.required("by", "an expression over node; nodes for which it gives the same belong together", expression());
    let domain = f.required("domain", "a level of failure_domain", words(&LEVELS));
    let at_most = f.optional("at_most", "how many of them one domain may hold; default 1", number(1, 1_000_000));
    Some(RawSpread { name: name?, by: by?, domain: domain?, at_most })
}
