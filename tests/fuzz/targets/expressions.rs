//! Any text as an expression or a template: refused, or evaluated to an end over a fleet.
#![no_main]

use coldswap_sim::runbook::{Expression, Names, Scope, Template};
use coldswap_sim::sim::fleet;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let (fleet, ends) = fleet(1, 1);
    let (source, spare) = ends[0];
    let mut vars: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    vars.insert("limit".into(), 3.into());
    vars.insert("site".into(), "ams".into());
    let scopes = [
        (Names::Node, Scope::new(&vars).with("node", &fleet, source)),
        (Names::SpareAndSource, Scope::new(&vars).with("spare", &fleet, spare).with("source", &fleet, source)),
        (Names::Switchover, Scope::new(&vars).with("source", &fleet, source).with("destination", &fleet, spare)),
    ];
    for (names, scope) in scopes {
        match Expression::parse(text, names, &vars) {
            Ok(expression) => {
                let held = expression.holds(&scope);
                assert_eq!(held, expression.holds(&scope), "the same twice");
                let _ = expression.integer(&scope);
                expression.readings(&scope);
            }
            Err(error) => assert!(error.at.is_none_or(|at| at <= text.len()), "{error} at {:?} of {}", error.at, text.len()),
        }
        if let Ok(template) = Template::parse(text, names, &vars) {
            let _ = template.render(&scope);
            let _ = template.render_value(&scope);
        }
    }
});
