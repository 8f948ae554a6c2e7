//! The rules of the runbook language, one test each. The fixtures `whole-*.yaml` show every key that the language has.

use coldswap::diagnostic::{Diagnostics, Look, Source, codes, render};
use coldswap::model::{Approval, Canary, Further, HookPoint, NoticeEvent, OnFailure, Span, Window};
use coldswap::runbook::*;
use serde_json::json;
use std::path::Path;

/// Files as a map from path to text; every other path is not there.
pub struct Shelf(pub Vec<(&'static str, &'static str)>);

impl Files for Shelf {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| "no such file".to_owned())
    }
}

/// The files of the project.
pub struct Project;

impl Files for Project {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
            .map_err(|e| if e.kind() == std::io::ErrorKind::NotFound { "no such file".to_owned() } else { e.to_string() })
    }
}

pub fn fixture(name: &str) -> Source {
    let path = format!("tests/it/fixtures/{name}");
    Source::new(path.clone(), Project.read(&path).expect("the fixture is there"))
}

/// A fact that the text does not name cannot be used.
#[test]
fn a_runbook_says_what_bmcs_are_asked_for() {
    let asked = |more: &str| good(more).further;
    let nothing = Further { architecture: false, secure_boot: false, bmc_firmware: false, iscsi_boot: false };
    assert_eq!(asked("boot: {via: redfish-override}\n"), nothing);
    assert_eq!(asked(""), Further { iscsi_boot: true, ..nothing });
    let more = "boot: {via: none}\nmatch: {identical: {add: [secure_boot, firmware.bmc]}, require: [{name: kind, when: spare.facts.cpu.architecture == 'x86'}]}\n";
    assert_eq!(asked(more), Further { iscsi_boot: false, ..Further::ALL });
}

const SMALL: &str = "\
apiVersion: coldswap/v1
kind: Runbook
metadata: {name: small}
mode: planned
sources: {nodes: [web-01]}
pools: [{name: spares, select: spare.labels.pool == 'spare'}]
";

fn read(text: &str) -> Result<(Runbook, Diagnostics), Diagnostics> {
    read_runbook(&Source::new("dir/small.yaml", text), &Vars::new(), &Shelf(vec![("dir/hooks/drain.sh", "#!/bin/sh\n")]))
}

/// The runbook of the small one with more lines.
fn good(more: &str) -> Runbook {
    let text = format!("{SMALL}{more}");
    match read(&text) {
        Ok((runbook, _)) => runbook,
        Err(found) => panic!("{}", render(&found, &[&Source::new("dir/small.yaml", text)], Look::Plain)),
    }
}

/// Codes of what is wrong with a text, warnings included, and where each points.
fn told(text: &str) -> Vec<(&'static str, String)> {
    let found = match read(text) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    };
    found.0.iter().map(|d| (d.code, d.span.as_ref().map_or(String::new(), |s| text[s.start..s.end].to_owned()))).collect()
}

/// The same for the small runbook with more lines.
fn wrong(more: &str) -> Vec<(&'static str, String)> {
    told(&format!("{SMALL}{more}"))
}

fn one(code: &'static str, at: &str) -> Vec<(&'static str, String)> {
    vec![(code, at.to_owned())]
}

#[test]
fn the_whole_language_is_read() {
    let source = fixture("whole-runbook.yaml");
    struct AnyScript;
    impl Files for AnyScript {
        fn read(&self, _: &str) -> Result<Vec<u8>, String> {
            Ok(b"#!/bin/sh\n".to_vec())
        }
    }
    let read = read_runbook(&source, &Vars::new(), &AnyScript);
    let refused = read.as_ref().err().map(|found| render(found, &[&source], Look::Plain));
    assert_eq!(refused, None);
}

#[test]
fn defaults_are_what_the_language_says() {
    let runbook = good("hooks: {post-boot: [{name: a, run: [curl, x]}], pre-shutdown: [{name: b, run: [./hooks/drain.sh]}]}\n");
    assert_eq!(runbook.power.soft_off, Span::mins(5));
    assert_eq!(runbook.power.hard_off, HardOff::AfterSoft);
    assert_eq!(runbook.fence, BmcFence { reads: 3, apart: Span::secs(10) });
    assert_eq!(runbook.boot.via, None, "what suits the inventory");
    assert_eq!(runbook.boot.timeout, Span::mins(15));
    assert_eq!(runbook.boot.ready, [BootReady::BootProgress, BootReady::PostBootHooks]);
    assert_eq!(runbook.limits.at_once, 10);
    assert_eq!(runbook.pools[0].keep, 0);
    assert_eq!(
        runbook.pools[0].provision_states.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["manageable", "available", "enroll"]
    );
    assert_eq!(runbook.matching.identical.len(), BUILTIN_IDENTICAL.len());
    assert_eq!(runbook.sources.left_out, None);
    assert_eq!(runbook.sources.nodes, [("web-01".to_owned(), Place { line: 5, column: 19 })]);
    let [before, after] = runbook.hooks.as_slice() else { panic!("two hooks") };
    assert_eq!((before.point, before.on_failure), (HookPoint::PreShutdown, OnFailure::RollBack));
    assert_eq!((after.point, after.on_failure), (HookPoint::PostBoot, OnFailure::Stop));
    assert_eq!((before.timeout, before.retries, before.lab), (Span::mins(5), 0, false));
    let disaster = read(&SMALL.replace("planned", "disaster")).expect("a runbook").0;
    assert_eq!((disaster.power.soft_off, disaster.power.hard_off), (Span::ZERO, HardOff::AtOnce));
}

#[test]
fn unknown_keys_are_errors_with_a_guess() {
    let text = SMALL.replace("nodes: [web-01]", "nodes: [web-01], selekt: 'true'");
    let found = read(&text).expect_err("an unknown key");
    assert_eq!(found.0[0].code, codes::UNKNOWN_KEY);
    assert_eq!(found.0[0].message, "unknown key `selekt` in `sources`");
    assert_eq!(found.0[0].hint.as_deref(), Some("did you mean `select`?"));
    assert_eq!(wrong("limits: {at_onze: 3}\n"), one(codes::UNKNOWN_KEY, "at_onze"));
}

#[test]
fn all_errors_are_told_at_once_and_in_the_order_of_the_file() {
    let text = "\
apiVersion: coldswap/v1
kind: Runbook
metadata: {name: small, nmae: x}
mode: planed
sources: {nodes: web-01, priority: node.nmae}
pools: [{name: a, select: spare.labels.pool ==}, {name: a, select: 'true', keep: -1}]
power: {soft_off: 5}
power: {}
";
    let codes: Vec<&str> = told(text).iter().map(|t| t.0).collect();
    assert_eq!(codes, ["R003", "R006", "R005", "R101", "R101", "R106", "R021", "R007", "R002"]);
}

#[test]
fn strings_stay_strings() {
    let runbook = good("vars: {}\nreport: {path: 0755}\nhooks: {pre-shutdown: [{name: on, run: [echo, no, 0755, 1e3, true, 5]}]}\n");
    let ActionTemplate::Run { argv, .. } = &runbook.hooks[0].action else { panic!("a program") };
    assert_eq!(argv.iter().map(|t| t.text.as_str()).collect::<Vec<_>>(), ["echo", "no", "0755", "1e3", "true", "5"]);
    assert_eq!(runbook.hooks[0].name, "on");
    assert_eq!(runbook.report.as_deref(), Some("0755"));
}

#[test]
fn quantities_carry_their_unit() {
    let found = read(&format!("{SMALL}power: {{soft_off: 5}}\n")).expect_err("no unit");
    assert_eq!(found.0[0].message, "`5` in `power.soft_off` is a number; a duration such as `5m` is wanted");
    assert_eq!(wrong("boot: {timeout: 5 m}\n"), one(codes::BAD_QUANTITY, "5 m"));
    assert_eq!(wrong("boot: {timeout: [5m]}\n"), one(codes::WRONG_TYPE, "[5m]"));
    assert_eq!(wrong("limits: {stop_after_failures: 120%}\n"), one(codes::BAD_QUANTITY, "120%"));
    assert_eq!(wrong("limits: {stop_after_failures: 0}\n"), one(codes::OUT_OF_RANGE, "0"));
    assert_eq!(good("limits: {stop_after_failures: 12.5%}\n").limits.stop_after_failures, Some(coldswap::model::Threshold::Share(1250)));
    assert_eq!(good("limits: {stop_after_failures: 2}\n").limits.stop_after_failures, Some(coldswap::model::Threshold::Count(2)));
}

#[test]
fn expressions_are_checked_when_they_are_read() {
    assert_eq!(told(&SMALL.replace("spare.labels.pool == 'spare'", "spare.nmae == 'spare'")), one(codes::EXPRESSION, "nmae"));
    assert_eq!(told(&SMALL.replace("{nodes: [web-01]}", "{select: spare.name == 'x'}")).first().map(|t| t.0), Some(codes::EXPRESSION));
    assert_eq!(wrong("hooks: {post-boot: [{name: a, run: [echo, '{{ source.nmae }}']}]}\n"), one(codes::TEMPLATE, "nmae"));
    let found = wrong("hooks: {post-boot: [{name: a, http: {url: 'http://x', json: {a: ['{{ spare.name }}']}}}]}\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(wrong("report: {path: 'reports/{{ source.name }}.json'}\n").first().map(|t| t.0), Some(codes::TEMPLATE));
    assert_eq!(good("report: {path: 'reports/{{ run.id }}.json'}\n").report.as_deref(), Some("reports/{{ run.id }}.json"));
}

#[test]
fn an_unquoted_template_has_its_own_code() {
    assert_eq!(wrong("report: {path: {{ run.id }}}\n"), one(codes::UNQUOTED_TEMPLATE, "{{ run.id }}"));
    assert_eq!(wrong("report:\n  path: {{ run.id }}.json\n"), one(codes::UNQUOTED_TEMPLATE, "{{ run.id }}"));
}

#[test]
fn variables_have_defaults_and_overrides_of_the_same_type() {
    let text = format!("{SMALL}vars: {{ticket: CHG-1, tries: 3, hosts: [a], on: true}}\n");
    let read = |pairs: &[&str]| {
        let mut vars = Vars::new();
        for pair in pairs {
            vars.set(pair).expect("a pair");
        }
        read_runbook(&Source::new("small.yaml", text.as_bytes()), &vars, &Shelf(vec![]))
    };
    let runbook = read(&["ticket=5", "tries=7", "hosts=[b, c]"]).expect("a runbook").0;
    assert_eq!(json!(runbook.vars), json!({"ticket": "5", "tries": 7, "hosts": ["b", "c"], "on": true}));
    let found = read(&["tikcet=5", "tries=seven"]).expect_err("two errors");
    assert_eq!(found.0.iter().map(|d| d.code).collect::<Vec<_>>(), [codes::UNKNOWN_VARIABLE, codes::VARIABLE_TYPE]);
    assert_eq!(found.0[0].hint.as_deref(), Some("did you mean `ticket`?"));
    assert!(Vars::new().set("ticket").is_err() && Vars::new().set("=x").is_err());
    let mut file = Vars::new();
    file.read(&Source::new("v.yaml", "ticket: CHG-2\nhosts: [z]\n")).expect("a file of variables");
    let runbook = read_runbook(&Source::new("small.yaml", text.as_bytes()), &file, &Shelf(vec![])).expect("a runbook").0;
    assert_eq!(json!(runbook.vars), json!({"ticket": "CHG-2", "tries": 3, "hosts": ["z"], "on": true}));
    assert!(file.read(&Source::new("v.yaml", "- ticket\n")).is_err());
}

#[test]
fn a_missing_script_is_an_error_and_a_changed_one_another_digest() {
    let text = format!("{SMALL}hooks: {{pre-shutdown: [{{name: a, run: [./hooks/drain.sh], undo: [./hooks/gone.sh]}}]}}\n");
    assert_eq!(told(&text), one(codes::SCRIPT, "./hooks/gone.sh"));
    let text = text.replace("gone", "drain");
    let with = |script: &'static str| {
        let files = Shelf(vec![("dir/hooks/drain.sh", script)]);
        read_runbook(&Source::new("dir/small.yaml", text.as_bytes()), &Vars::new(), &files).expect("a runbook").0
    };
    let (one, same, other) = (with("a"), with("a"), with("b"));
    assert_eq!(one.digest, same.digest);
    assert_ne!(one.digest, other.digest);
    let ActionTemplate::Run { digest, directory, .. } = &one.hooks[0].action else { panic!("a program") };
    assert_eq!(digest.as_deref(), Some("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"));
    assert_eq!(directory.as_deref(), Some("dir"));
    let bare = good("hooks: {pre-shutdown: [{name: a, run: [curl, -f, http://x]}]}\n");
    assert!(matches!(&bare.hooks[0].action, ActionTemplate::Run { digest: None, .. }));
    let late = wrong("hooks: {pre-shutdown: [{name: a, run: ['./{{ source.name }}.sh']}]}\n");
    assert_eq!(late.first().map(|t| t.0), Some(codes::UNSEEN_SCRIPT));
}

#[test]
fn hooks_that_contradict_themselves_are_refused() {
    let hook = |point: &str, rest: &str| wrong(&format!("hooks: {{{point}: [{{name: a, {rest}}}]}}\n"));
    assert_eq!(hook("pre-shutdown", "run: [x], retries: 2, rerun: never"), one(codes::RETRY_NEVER, "2"));
    assert_eq!(hook("pre-shutdown", "run: [x], until: 2m, rerun: never"), one(codes::RETRY_NEVER, "2m"));
    assert_eq!(hook("pre-shutdown", "run: [x], until: 2m, retries: 2"), one(codes::CONTRADICTION, "2"));
    assert_eq!(hook("post-boot", "run: [x], on_failure: roll_back"), one(codes::ROLL_BACK_TOO_LATE, "roll_back"));
    assert_eq!(hook("post-migration", "run: [x], on_failure: roll_back"), []);
    assert_eq!(hook("post-boot", "run: [x], undo: [y]"), one(codes::CONTRADICTION, "a"));
    assert_eq!(hook("pre-shutdown", "run: [x], http: {url: 'http://x'}"), one(codes::ONE_OF, "http"));
    assert_eq!(hook("pre-shutdown", "timeout: 1m").first().map(|t| t.0), Some(codes::ONE_OF));
    assert_eq!(hook("pre-shutdown", "run: []").first().map(|t| t.0), Some(codes::WRONG_TYPE));
    assert_eq!(hook("pre-shutdown", "run: x --y").first().map(|t| t.0), Some(codes::WRONG_TYPE));
    let twice = "hooks: {pre-shutdown: [{name: a, run: [x]}], post-boot: [{name: a, run: [y]}]}\n";
    assert_eq!(wrong(twice), one(codes::DUPLICATE_NAME, "a"));
}

#[test]
fn only_a_hook_that_names_the_connectors_does_the_zoning() {
    let hook = |argument: &str| good(&format!("hooks: {{post-migration: [{{name: a, run: [zone, '{argument}']}}]}}\n")).hooks[0].zones;
    assert!(hook("{{ destination.connectors.wwpn }}"));
    assert!(!hook("{{ destination.name }} connectors"));
}

#[test]
fn the_lab_runs_only_what_says_so() {
    let hooks = "hooks: {pre-shutdown: [{name: a, run: [x]}, {name: b, run: [y], lab: allowed}, {name: c, run: [z], lab: never}]}\n";
    assert_eq!(good(hooks).hooks.iter().map(|h| h.lab).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(good(&format!("lab: allowed\n{hooks}")).hooks.iter().map(|h| h.lab).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn there_must_be_sources_destinations_and_something_identical() {
    assert_eq!(told(&SMALL.replace("{nodes: [web-01]}", "{}")), one(codes::NO_SOURCES, "{}"));
    assert_eq!(
        told(&SMALL.replace("pools: [{name: spares, select: spare.labels.pool == 'spare'}]", "")).first().map(|t| t.0),
        Some(codes::NO_DESTINATIONS)
    );
    assert_eq!(told(&SMALL.replace("[{name: spares, select: spare.labels.pool == 'spare'}]", "[]")), one(codes::NO_DESTINATIONS, "pools"));
    let pinned = SMALL
        .replace("pools: [{name: spares, select: spare.labels.pool == 'spare'}]", "")
        .replace("[web-01]", "[web-01], destinations: {web-01: s}");
    assert_eq!(told(&pinned), []);
    assert_eq!(wrong("match: {identical: {base: none}}\n"), one(codes::NOTHING_IDENTICAL, "{base: none}"));
    assert_eq!(wrong("match: {identical: {base: none}, require: [{fact: traits, superset_of: source}]}\n"), []);
    let none = BUILTIN_IDENTICAL.map(|(f, _)| f).join(", ");
    assert_eq!(wrong(&format!("match: {{identical: {{drop: [{none}]}}}}\n")).first().map(|t| t.0), Some(codes::NOTHING_IDENTICAL));
}

#[test]
fn matching_speaks_of_facts_that_there_are_in_ways_that_fit_them() {
    assert_eq!(wrong("match: {identical: {add: [memory_mb]}}\n"), one(codes::UNKNOWN_FACT, "memory_mb"));
    assert_eq!(wrong("match: {identical: {drop: [sku]}}\n"), one(codes::UNKNOWN_FACT, "sku"));
    assert_eq!(wrong("match: {require: [{fact: model, at_least: 5}]}\n"), one(codes::FACT_RULE, "5"));
    assert_eq!(wrong("match: {require: [{fact: memory_mib, at_least: much}]}\n"), one(codes::FACT_RULE, "much"));
    assert_eq!(wrong("match: {require: [{fact: model}]}\n"), one(codes::ONE_OF, "model"));
    assert_eq!(wrong("match: {require: [{fact: cpu.cores, at_least: 4, at_most: 8}]}\n"), one(codes::ONE_OF, "8"));
    let rules = good(
        "match:\n  identical: {add: [firmware.nic], drop: [firmware.bios]}\n  require: [{fact: memory_mib, at_least: source}, {fact: model, equal: 'source'}, \
         {fact: traits, superset_of: [A, B]}, {fact: sku, matches: 7}]\n",
    );
    let against: Vec<&Against> =
        rules.matching.require.iter().map(|r| if let Rule::Fact { against, .. } = &r.rule { against } else { panic!() }).collect();
    assert_eq!(against[0], &Against::Source);
    assert_eq!(against[1], &Against::Value(coldswap::model::Scalar::Text("source".into())), "quoted");
    assert_eq!(against[2], &Against::Set(vec!["A".into(), "B".into()]));
    assert_eq!(against[3], &Against::Value(coldswap::model::Scalar::Text("7".into())));
    assert!(
        rules.matching.identical.contains(&"firmware.nic".to_owned()) && !rules.matching.identical.contains(&"firmware.bios".to_owned())
    );
}

#[test]
fn pinned_pairs_fit_the_sources_and_each_other() {
    let pairs = |text: &str| told(&SMALL.replace("{nodes: [web-01]}", text));
    assert_eq!(pairs("{nodes: [a], destinations: {b: s}}"), one(codes::PAIRS, "b"));
    assert_eq!(pairs("{nodes: [a, b], destinations: {a: s, b: s}}"), one(codes::PAIRS, "s"));
    assert_eq!(pairs("{nodes: [a], select: 'true', destinations: {b: s}}"), []);
    assert_eq!(pairs("{nodes: [a, a]}"), one(codes::DUPLICATE_NAME, "a"));
    assert_eq!(pairs("{nodes: [a, b], destinations: {a: b}}"), one(codes::PAIRS, "b"));
}

#[test]
fn something_must_be_able_to_switch_the_source_off() {
    assert_eq!(wrong("power: {soft_off: 0s, hard_off: never}\n"), one(codes::NEVER_OFF, "never"));
    assert_eq!(wrong("power: {soft_off: 5m, hard_off: at_once}\n"), one(codes::CONTRADICTION, "5m"));
    assert_eq!(wrong("fence: [{bmc: {reads: 1}}]\n"), one(codes::OUT_OF_RANGE, "1"));
    assert_eq!(wrong("fence: [{bmc: {apart: 0s}}]\n"), one(codes::OUT_OF_RANGE, "0s"));
    assert_eq!(wrong("fence: [{attestation: {}}, {bmc: {}}]\n"), one(codes::CONTRADICTION, "{bmc: {}}"));
    assert_eq!(wrong("fence: [{bmc: {}}, {bmc: {}}]\n"), one(codes::CONTRADICTION, "{bmc: {}}"));
    assert_eq!(wrong("fence: [{bmc: {}}, {attestation: {expires: 0s}}]\n"), one(codes::OUT_OF_RANGE, "0s"));
    assert_eq!(wrong("fence: [{all: [{attestation: {}}]}]\n"), one(codes::CONTRADICTION, "{attestation: {}}"));
    assert_eq!(good("fence: [{bmc: {reads: 3, apart: 1s}}]\n").fence.apart, Span::secs(1));
}

#[test]
fn a_fence_has_levels_and_names_its_own_actions() {
    let book =
        good("fence: [{bmc: {silent: 20s}}, {all: [{agent: {name: fence_a, options: {plug: '{{ source.name }}'}}}]}, {attestation: {}}]\n");
    assert_eq!((book.vouchers.levels.len(), book.vouchers.silent, book.vouchers.bmc_not_enough), (2, Some(Span::secs(20)), false));
    assert!(matches!(&book.vouchers.levels[0], VoucherTemplate::Agents(agents) if agents[0].name == "fence_a"));
    assert!(good("fence: [{attestation: {expires: 1h}}]\n").vouchers.bmc_not_enough);
    assert_eq!(good("power: {nmi_before_off: true, crash_dump: 2m}\n").power.crash_dump, Some(Span::mins(2)));
    for option in ["action", "option", "debug_file", "debug-file"] {
        let text = format!("fence: [{{bmc: {{}}}}, {{agent: {{name: fence_a, options: {{{option}: x}}}}}}]\n");
        assert_eq!(wrong(&text), one(codes::CONTRADICTION, option));
    }
}

#[test]
fn what_does_not_execute_yet_is_refused_where_it_stands() {
    for (more, at) in [("boot: {via: redfish-fc}\n", "redfish-fc"), ("boot: {via: ipxe}\n", "ipxe")] {
        assert_eq!(wrong(more), one(codes::NOT_SUPPORTED, at));
    }
    assert_eq!(wrong("power: {nmi_before_off: false}\napproval: {required: false}\n"), []);
}

#[test]
fn limits_windows_and_questions_have_the_defaults_that_are_documented() {
    let runbook = good(
        "limits: {canary: 2, per_domain: {rack: 2}, start_rate: 30/m, refuse_above: 20%}\napproval: {required: true}\n\
         windows: [{cron: '0 22 * * SAT', for: 6h}]\n\
         hooks: {post-boot: [{name: look, prompt: {text: 'Well?', choices: [good, odd, bad], default: bad}}]}\n\
         notify: [{events: [failed], run: [tell, '{{ event.text }}', '{{ run.id }}']}]\n",
    );
    assert_eq!(runbook.limits.canary, Some(Canary { count: 2, timeout: Span::mins(480), go: false }));
    assert_eq!(runbook.approval, Some(Approval { timeout: Span::mins(480), allow: false }));
    assert_eq!(runbook.limits.per_domain["rack"], 2);
    assert_eq!(runbook.windows, [Window::Cron { cron: "0 22 * * SAT".into(), lasts: Span::mins(360), time_zone: "UTC".into() }]);
    let ActionTemplate::Prompt { fails, default, .. } = &runbook.hooks[0].action else { panic!("a prompt") };
    assert_eq!((fails.join(" ").as_str(), default.as_str(), runbook.hooks[0].timeout), ("odd bad", "bad", Span::mins(60)));
    assert_eq!(runbook.notify[0].events, [NoticeEvent::Failed]);
    assert_eq!(wrong("notify: [{events: [failed], run: [tell, '{{ source.name }}']}]\n").len(), 1, "no machine is known there");
    assert_eq!(wrong("hooks: {post-boot: [{name: a, run: [tell, '{{ event.text }}']}]}\n").len(), 1, "no event is known there");
}

#[test]
fn secrets_are_places_and_never_values() {
    let runbook = good("hooks: {post-boot: [{name: a, run: [x], env: {T: {secret: {env: TOKEN}}, F: {secret: {file: key}}}}]}\n");
    let ActionTemplate::Run { env, .. } = &runbook.hooks[0].action else { panic!("a program") };
    assert!(matches!(&env["T"], SensitiveTemplate::Secret(coldswap::model::SecretRef::Env(name)) if name == "TOKEN"));
    assert!(
        matches!(&env["F"], SensitiveTemplate::Secret(coldswap::model::SecretRef::File(path)) if path == "dir/key"),
        "beside the runbook"
    );
    assert_eq!(wrong("hooks: {post-boot: [{name: a, run: [x], env: {T: {secret: {env: A, file: b}}}}]}\n"), one(codes::ONE_OF, "file"));
    assert_eq!(
        wrong("hooks: {post-boot: [{name: a, run: [x], env: {T: '{{ env.HOME }}'}}]}\n").first().map(|t| t.0),
        Some(codes::TEMPLATE)
    );
}

#[test]
fn a_file_says_what_it_is() {
    assert_eq!(told(&SMALL.replace("coldswap/v1", "coldswap/v2")), one(codes::API_VERSION, "coldswap/v2"));
    assert_eq!(told(&SMALL.replace("apiVersion: coldswap/v1\n", "")), one(codes::API_VERSION, "kind: Runbook"));
    assert_eq!(told(&SMALL.replace("kind: Runbook\n", "")), one(codes::KIND, "apiVersion: coldswap/v1"));
    assert_eq!(told(&SMALL.replace("kind: Runbook", "kind: Runbok")), one(codes::KIND, "Runbok"));
    assert_eq!(told(&SMALL.replace("kind: Runbook", "kind: Lab")), one(codes::KIND, "Lab"));
    assert_eq!(told("- a\n"), one(codes::WRONG_TYPE, "- a"));
}
