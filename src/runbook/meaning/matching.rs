//! What identical means.

use super::{Check, unique};
use crate::diagnostic::{Diagnostic, codes, did_you_mean};
use crate::model::{FactKind, Facts, Scalar};
use crate::runbook::raw::{Base, RawAgainst, RawMatch, RawRequire, RawSpread};
use crate::runbook::shape::At;
use crate::runbook::{Against, BUILTIN_IDENTICAL, FactTest, Matching, Names, Prefer, Require, Rule, SpreadRule};

pub(super) fn matching(check: &Check<'_>, raw: &RawMatch) -> Option<Matching> {
    let identical = identical(check, raw);
    unique(
        check,
        "rules",
        raw.require
            .iter()
            .filter_map(|r| r.value.name.as_ref())
            .chain(raw.prefer.iter().map(|p| &p.name))
            .chain(raw.spread.iter().map(|s| &s.name)),
    );
    let require: Vec<Option<Require>> = raw.require.iter().map(|r| require(check, r)).collect();
    let prefer = raw.prefer.iter().map(|p| {
        let when = check.expression(&p.when, Names::SpareAndSource)?;
        Some(Prefer { name: p.name.value.clone(), when, weight: p.weight.as_ref().map_or(1, At::small) })
    });
    let prefer: Vec<Option<Prefer>> = prefer.collect();
    let spread: Vec<Option<SpreadRule>> = raw.spread.iter().map(|s| spread(check, s)).collect();
    Some(Matching {
        identical,
        require: require.into_iter().collect::<Option<_>>()?,
        prefer: prefer.into_iter().collect::<Option<_>>()?,
        spread: spread.into_iter().collect::<Option<_>>()?,
    })
}

fn spread(check: &Check<'_>, raw: &RawSpread) -> Option<SpreadRule> {
    let by = check.expression(&raw.by, Names::Node);
    let at_most = raw.at_most.as_ref().map_or(1, At::small);
    Some(SpreadRule { name: raw.name.value.clone(), by: by?, domain: raw.domain.value.to_owned(), at_most })
}

fn identical(check: &Check<'_>, raw: &RawMatch) -> Vec<String> {
    let builtin = || BUILTIN_IDENTICAL.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let Some(written) = &raw.identical else { return builtin() };
    let base = written.value.base.as_ref().map_or(Base::Builtin, |b| b.value);
    let mut facts = if base == Base::Builtin { builtin() } else { Vec::new() };
    for fact in &written.value.add {
        fact_name(check, fact, &["resource_class", "traits"]);
        if !facts.contains(&fact.value) {
            facts.push(fact.value.clone());
        }
    }
    for fact in &written.value.drop {
        let before = facts.len();
        facts.retain(|f| *f != fact.value);
        if facts.len() == before {
            let hint = did_you_mean(&fact.value, facts.iter().map(String::as_str)).map(|f| format!("did you mean `{f}`?"));
            let message = format!("`{}` is not in the list, so it cannot be dropped", fact.value);
            check.reading.tell(Diagnostic::error(codes::UNKNOWN_FACT, message).maybe_hint(hint), &fact.at);
        }
    }
    if facts.is_empty() && raw.require.is_empty() {
        let message = "nothing would have to be identical: any machine at all would do";
        check.reading.hinted(codes::NOTHING_IDENTICAL, message, &written.at, "write `base: builtin`, or name facts under `add`");
    }
    facts
}

/// Is this a fact, or one of the `others`?
fn fact_name(check: &Check<'_>, fact: &At<String>, others: &[&'static str]) -> bool {
    let name = fact.value.as_str();
    let component = name.strip_prefix("firmware.").is_some_and(|c| !c.is_empty() && !c.contains('.'));
    let capability = name.strip_prefix("capabilities.").is_some_and(|c| !c.is_empty());
    if component || capability || Facts::NAMES.contains(&name) || others.contains(&name) {
        return true;
    }
    let known = Facts::NAMES.into_iter().chain(others.iter().copied());
    let hint = did_you_mean(name, known).map(|f| format!("did you mean `{f}`?"));
    let hint = hint.unwrap_or_else(|| "`coldswap explain --rules` lists the facts".to_owned());
    check.reading.hinted(codes::UNKNOWN_FACT, format!("unknown fact `{name}`"), &fact.at, hint);
    false
}

fn require(check: &Check<'_>, raw: &At<RawRequire>) -> Option<Require> {
    let rule = match (&raw.value.when, &raw.value.fact) {
        (Some(when), None) => {
            if let Some((_, against)) = raw.value.tests.first() {
                check.reading.error(codes::ONE_OF, "a test against a value needs a `fact`, not `when`", &against.at);
            }
            Rule::When(check.expression(when, Names::SpareAndSource)?)
        }
        (None, Some(fact)) => {
            let known = fact_name(check, fact, &["traits", "resource_class"]);
            let (test, against) = one_test(check, raw, fact)?;
            if !known {
                return None;
            }
            let against = fitting(check, fact, test, against)?;
            Rule::Fact { fact: fact.value.clone(), test, against }
        }
        _ => return None,
    };
    let name = raw.value.name.as_ref().map_or_else(|| default_name(&rule), |n| n.value.clone());
    Some(Require { name, rule })
}

fn word(test: FactTest) -> &'static str {
    crate::runbook::raw::TESTS.iter().find(|(_, t, _)| *t == test).map_or("", |(word, _, _)| word)
}

fn default_name(rule: &Rule) -> String {
    match rule {
        Rule::When(expression) => expression.text.clone(),
        Rule::Fact { fact, test, .. } => format!("{fact} {}", word(*test)),
    }
}

fn one_test<'r>(check: &Check<'_>, raw: &'r At<RawRequire>, fact: &At<String>) -> Option<(FactTest, &'r At<RawAgainst>)> {
    let words = || crate::runbook::raw::TESTS.map(|(w, _, _)| format!("`{w}`")).join(", ");
    match raw.value.tests.as_slice() {
        [(test, against)] => Some((*test, against)),
        [] => {
            check.reading.hinted(
                codes::ONE_OF,
                format!("`{}` is compared with nothing", fact.value),
                &fact.at,
                format!("add one of {}", words()),
            );
            None
        }
        [_, (_, second), ..] => {
            check.reading.error(codes::ONE_OF, format!("one rule makes one test; write a second rule for `{}`", fact.value), &second.at);
            None
        }
    }
}

/// What a fact is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Number,
    Truth,
    Text,
    Set,
}

fn made(fact: &str) -> Made {
    if fact == "traits" {
        return Made::Set;
    }
    match Facts::row(fact).map(|row| row.kind) {
        Some(FactKind::Number) => Made::Number,
        Some(FactKind::Truth) => Made::Truth,
        Some(FactKind::Text) | None => Made::Text,
    }
}

fn fitting(check: &Check<'_>, fact: &At<String>, test: FactTest, against: &At<RawAgainst>) -> Option<Against> {
    let wrong = |message: String| {
        check.reading.error(codes::FACT_RULE, message, &against.at);
        None
    };
    let (name, kind) = (&fact.value, made(&fact.value));
    let fits = match test {
        FactTest::Equal => true,
        FactTest::AtLeast | FactTest::AtMost => kind == Made::Number || name.starts_with("firmware."),
        FactTest::SupersetOf => kind == Made::Set,
        FactTest::Matches => kind == Made::Text,
    };
    if !fits {
        let what = match kind {
            Made::Number => "a number",
            Made::Truth => "a truth value",
            Made::Text => "text",
            Made::Set => "a set",
        };
        return wrong(format!("`{name}` is {what}; `{}` does not fit it", word(test)));
    }
    match &against.value {
        RawAgainst::One(value) if is_source(check, value) && test != FactTest::Matches => Some(Against::Source),
        RawAgainst::Set(items) if kind == Made::Set => Some(Against::Set(items.iter().map(|i| i.value.clone()).collect())),
        RawAgainst::Set(_) => wrong(format!("`{name}` is one value; a list does not fit it")),
        RawAgainst::One(_) if kind == Made::Set => wrong("`traits` are compared with `source` or with a list".to_owned()),
        RawAgainst::One(value) => match (kind, &value.value) {
            (Made::Number, Scalar::Integer(_)) | (Made::Truth, Scalar::Bool(_)) => Some(Against::Value(value.value.clone())),
            (Made::Text, value) => Some(Against::Value(Scalar::Text(value.to_string()))),
            (Made::Number, _) => wrong(format!("`{name}` is a number; a whole number or `source` is wanted")),
            (_, _) => wrong(format!("`{name}` is a truth value; `true`, `false` or `source` is wanted")),
        },
    }
}

/// The bare word; in quotes it is a text like any other.
fn is_source(check: &Check<'_>, value: &At<Scalar>) -> bool {
    value.value == Scalar::Text("source".to_owned()) && check.reading.source.get(value.at.clone()) == Some(b"source".as_slice())
}
