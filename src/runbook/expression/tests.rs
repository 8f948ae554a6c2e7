use super::*;
use crate::model::*;
use proptest::prelude::*;
use serde_json::json;

pub(super) fn vars() -> BTreeMap<String, serde_json::Value> {
    let json = json!({"ticket": "CHG-1042", "limit": 3, "racks": ["a", "b"], "deep": {"er": {"text": "x"}}, "on": true, "nothing": null});
    serde_json::from_value(json).expect("variables")
}

pub(super) fn fleet() -> (Fleet, NodeId, NodeId) {
    let mut web = Node::named("web-01", "https://10.0.0.1");
    web.labels = BTreeMap::from([
        ("tier".into(), Scalar::Integer(1)),
        ("pool-name".into(), Scalar::Text("gold".into())),
        ("old".into(), Scalar::Bool(false)),
    ]);
    web.failure_domain.rack = Some("b".into());
    web.resource_class = Some("web".into());
    web.traits = ["CUSTOM_GPU".to_owned()].into();
    web.capabilities = BTreeMap::from([("iscsi_boot".into(), "true".into())]);
    web.declared_facts = serde_json::from_value(json!({
        "manufacturer": "Contoso", "model": "C1", "sku": "s", "memory_mib": 524288, "boot_mode": "uefi", "secure_boot": true,
        "cpu": {"model": "X", "count": 2, "cores": 4, "threads": 8, "architecture": "x86"},
        "firmware": {"bios": "1.2", "bmc": "2"}, "health": "ok", "power_restore_policy": "always_off"
    }))
    .expect("facts");
    web.instance = Some(Instance { uuid: uuid::Uuid::nil(), name: Some("shop-db".into()) });
    web.bmc.address = "https://root:SESAME@10.0.0.1".into();
    web.bmc.username = Some(Sensitive::Plain("SESAME".into()));
    web.bmc.password = Some(SecretRef::Env("SESAME".into()));
    let spare = Node::named("spare-01", "https://10.0.0.2");
    let (w, s) = (web.id, spare.id);
    let mut fleet = Fleet { nodes: [(w, web), (s, spare)].into(), ..Fleet::default() };
    for (n, name) in ["50:01", "50:02"].iter().enumerate() {
        let id = ConnectorId::derived(&n.to_string());
        let kind = ConnectorKind::Wwpn;
        fleet
            .connectors
            .insert(id, VolumeConnector { id, node: w, kind, connector_id: (*name).into(), burned_in: false, generation: Generation(0) });
    }
    let id = TargetId::derived("t");
    let properties = [("target_iqn", "iqn.x"), ("auth_password", "SESAME"), ("auth_username", "SESAME")];
    let properties = properties.map(|(k, v)| (k.to_owned(), Scalar::Text(v.to_owned()))).into();
    let target = VolumeTarget {
        id,
        node: w,
        volume_type: VolumeType::Iscsi,
        boot_index: 0,
        volume_id: "vol-9a".into(),
        properties,
        shareable: false,
        generation: Generation(0),
    };
    fleet.targets.insert(id, target);
    (fleet, w, s)
}

fn scope(names: Names) -> Scope {
    let (fleet, web, spare) = fleet();
    let scope = Scope::new(&vars());
    match names {
        Names::Node => scope.with("node", &fleet, web),
        Names::SpareAndSource => scope.with("source", &fleet, web).with("spare", &fleet, spare),
        Names::Switchover => scope.with("source", &fleet, web).with("destination", &fleet, spare),
        Names::Event => scope,
    }
}

fn ask(text: &str, names: Names) -> Result<bool, ExpressionError> {
    Expression::parse(text, names, &vars())?.holds(&scope(names))
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(ask(text, Names::Node), Ok(true), "{text}");
}

#[track_caller]
fn fails_to_hold(text: &str) {
    assert_eq!(ask(text, Names::Node), Ok(false), "{text}");
}

#[track_caller]
fn refused(text: &str, names: Names) -> ExpressionError {
    Expression::parse(text, names, &vars()).expect_err(text)
}

#[test]
fn the_examples_of_the_language_work() {
    holds("node.failure_domain.rack == 'b' and node.instance is not none");
    holds("node.facts.cpu.model == 'X' and node.facts.memory_mib >= 512 * 1024");
    holds("node.labels['pool-name'] in ['gold', 'silver'] and not node.labels.old");
    holds("'CUSTOM_GPU' in node.traits and node.traits | length == 1");
    holds("1 < node.facts.cpu.count <= 2 and vars.ticket is startingwith('CHG-')");
    holds("node.name ~ '/' ~ node.labels.tier == 'web-01/1'");
    holds("node.failure_domain.rack in vars.racks and vars.deep.er.text == 'x' and vars.on");
    holds("(node.facts.firmware.bios | default('0')) == '1.2'");
    holds("node.targets[0].volume_id == 'vol-9a' and (node.connectors.wwpn | first) == '50:01'");
    holds("node.provision_state == 'enroll' and not node.maintenance and node.facts.secure_boot");
    assert_eq!(
        ask("spare.labels.pool == 'spare' and spare.failure_domain.row == source.failure_domain.row", Names::SpareAndSource),
        Ok(false)
    );
    assert_eq!(ask("source.labels.tier != 2 and destination.name == 'spare-01'", Names::Switchover), Ok(true));
}

#[test]
fn a_comparison_with_none_is_false_whatever_the_operator() {
    for operator in ["==", "!=", "<", "<=", ">", ">=", "in", "not in"] {
        fails_to_hold(&format!("node.labels.missing {operator} node.labels.other"));
        fails_to_hold(&format!("node.labels.missing {operator} 'a'"));
        fails_to_hold(&format!("'a' {operator} node.labels.missing"));
        fails_to_hold(&format!("node.labels.missing {operator} none"));
        fails_to_hold(&format!("none {operator} none"));
    }
    for text in [
        "x not in y",
        "(x) not in (y)",
        "true and x not in y",
        "((x)) not in y",
        "not (not (x not in y))",
        "(x | lower) not in [y]",
        "x not in y or false",
    ] {
        fails_to_hold(&text.replace('x', "node.labels.missing").replace('y', "node.traits"));
    }
    for text in
        ["not (x in y)", "not x in y", "not (x not in y)", "not x not in y", "true and not (x) in (y)", "not ('a' not in 'b' and x in y)"]
    {
        holds(&text.replace('x', "node.labels.missing").replace('y', "node.traits"));
    }
    fails_to_hold("node.failure_domain.row != 'r1'");
    fails_to_hold("vars.nothing == vars.nothing");
    fails_to_hold("node.labels.missing | lower | trim == ''");
    fails_to_hold("node.labels.missing + 1 > 0");
    fails_to_hold("node.labels.missing is startingwith('a')");
    fails_to_hold("node.labels.missing");
    holds("not node.labels.missing");
}

#[test]
fn none_can_be_asked_for_and_replaced() {
    holds("node.labels.missing is none and node.owner is none and node.owner is not defined");
    holds("node.labels.tier is not none and node.labels.tier is defined");
    holds("node.labels.missing | default(9) == 9");
    holds("node.owner | default('nobody') == 'nobody'");
    assert_eq!(ask("spare.instance is none and spare.instance.name is none", Names::SpareAndSource), Ok(true));
}

#[test]
fn kinds_are_never_mixed() {
    for text in [
        "'a' > 3",
        "node.name == 3",
        "node.facts.memory_mib == '524288'",
        "node.traits == 'CUSTOM_GPU'",
        "true < false",
        "node.name and true",
        "not node.name",
        "vars.limit == 'x'",
        "node.facts.secure_boot == 'true'",
        "'a' in 3",
        "node.name + 'x' == 'a'",
        "1 < 2 < 'a'",
    ] {
        refused(text, Names::Node);
    }
    for text in ["node.labels.tier == '1'", "node.labels.tier > 'a'", "node.labels['pool-name'] == 3", "node.labels.tier", "3 in ['a']"] {
        let error = ask(text, Names::Node).expect_err(text);
        assert!(error.at.is_some(), "{text}");
    }
    holds("node.labels.tier == 1.0 and 1 < 1.5");
}

#[test]
fn an_unknown_attribute_is_found_when_read() {
    for (text, names, at, hint) in [
        ("nodes.name == 'a'", Names::Node, 0, "did you mean `node`?"),
        ("source.name == 'a'", Names::Node, 0, "known here: `node`, `vars`"),
        ("node.failure_domian.rack == 'b'", Names::Node, 5, "did you mean `failure_domain`?"),
        ("1 == 1 and node.failure_domain.rak == 'b'", Names::Node, 31, "did you mean `rack`?"),
        ("spare.facts.cpu.modell == 'b'", Names::SpareAndSource, 16, "did you mean `model`?"),
        ("node['facts']['memory'] == 1", Names::Node, 14, "did you mean `memory_mib`?"),
        ("vars.tiket == 'b'", Names::Node, 5, "did you mean `ticket`?"),
        ("vars.unheard_of == 'b'", Names::Node, 5, "define it under `vars`"),
        ("vars.deep.or == 'b'", Names::Node, 10, "did you mean `er`?"),
        ("destination.connectors.wwpm == 'b'", Names::Switchover, 23, "did you mean `wwpn`?"),
        ("env.HOME == 'b'", Names::Node, 0, "the environment cannot be read"),
        ("node.name | lowr == 'b'", Names::Node, 5, "did you mean `lower`?"),
        ("node.name is nothing", Names::Node, 0, "there are"),
        ("source.bmc.password is none", Names::Switchover, 11, "`source.bmc` has `address`"),
    ] {
        let error = refused(text, names);
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {error:?}");
        assert_eq!(error.at.map(|a| a.min(at)), Some(at), "{text}: {error:?}");
    }
}

#[test]
fn what_the_language_lacks_is_refused_and_not_ignored() {
    for text in [
        "node.name.startswith('a')",
        "range(10)",
        "node.name[1:2] == 'a'",
        "{'a': 1}",
        "2 ** 3 == 8",
        "node == node",
        "node.name ==",
        "",
        "node.name == 'a' 'b' c",
        "node.name.first == 'a'",
        "run.id == 'r-1'",
        "99999999999999999999 > 1",
        "node.name | default(value='a') == 'a'",
        "node.name | replace('a') == 'b'",
    ] {
        let error = refused(text, Names::Node);
        assert!(!error.message.is_empty(), "{text}");
    }
    for text in ["1 / 0 > 1", "1 // 0 > 1", "9223372036854775807 + 1 > 1", "vars.ticket | int > 1", "-vars.limit - 9223372036854775807 < 0"]
    {
        assert!(ask(text, Names::Node).is_err(), "{text}");
    }
}

#[test]
fn hostile_nesting_is_an_error_and_no_crash() {
    for (open, close) in [("-", ""), ("(", ")"), ("not ", ""), ("[", "]"), ("1 if ", " else 1")] {
        for n in [100, 400, 600, 2000, 100_000] {
            let text = format!("{}1{}", open.repeat(n), close.repeat(n));
            let _ = Expression::parse(&text, Names::Node, &vars()).map(|e| e.holds(&scope(Names::Node)));
            let _ = Template::parse(&format!("{{{{ {text} }}}}"), Names::Node, &vars());
        }
    }
    let chain = format!("node.labels{}", ".a".repeat(250));
    assert!(Expression::parse(&chain, Names::Node, &vars()).is_ok());
}

#[test]
fn a_priority_is_an_integer() {
    let int = |text: &str| Expression::parse(text, Names::Node, &vars()).and_then(|e| e.integer(&scope(Names::Node)));
    assert_eq!(int("node.labels.tier | default(9) | int"), Ok(1));
    assert_eq!(int("node.labels.missing | default(9) | int"), Ok(9));
    assert_eq!(int("-3 // 2"), Ok(-2));
    assert_eq!(int("'7' | int"), Ok(7));
    for text in ["node.labels.missing", "node.name", "1.5", "true", "7 / 2"] {
        assert!(int(text).is_err(), "{text}");
    }
}

fn render(text: &str) -> Result<String, ExpressionError> {
    Template::parse(text, Names::Switchover, &vars())?.render(&scope(Names::Switchover))
}

#[test]
fn templates_fill_in_and_keep_the_rest() {
    assert_eq!(render("ssh {{ source.name }} {{ vars.ticket|lower }}\n").as_deref(), Ok("ssh web-01 chg-1042\n"));
    assert_eq!(render("plain } text {").as_deref(), Ok("plain } text {"));
    assert_eq!(render("{{ 1 + 1 }}/{{ source.facts.secure_boot }}").as_deref(), Ok("2/true"));
    assert_eq!(render("{{ source.connectors.wwpn | join(',') }}").as_deref(), Ok("50:01,50:02"));
    assert_eq!(render("{{ '{{' }}").as_deref(), Ok("{{"));
    assert_eq!(render("{{ 'a' if source.labels.old else 'b' }}").as_deref(), Ok("b"));
}

#[test]
fn nothing_never_becomes_text() {
    let error = render("rm -rf /srv/{{ source.labels.directory }}").expect_err("none");
    assert_eq!(error.message, "`source.labels.directory` has no value");
    assert_eq!(error.at, Some(15));
    assert!(render("{{ source.connectors.wwpn }}").expect_err("a list").hint.is_some_and(|h| h.contains("join")));
    assert!(render("{{ 'a' if source.labels.old }}").is_err());
    for text in
        ["{{ source.nam }}", "{% if true %}a{% endif %}", "{{ source.name", "{{ }}", "{{ env.HOME }}", "{{ source }}", "{{ node.name }}"]
    {
        assert!(Template::parse(text, Names::Switchover, &vars()).is_err(), "{text}");
    }
}

#[test]
fn late_names_stay_as_the_journal_fills_them() {
    let context = HookContext { run: "r-7".into(), switchover: SwitchoverId(4), step: 3, attempt: 2 };
    let text = render("{{run.id}}/{{  switchover.id }}/{{- step -}}/{{attempt}} {{ source.name }}").expect("late");
    assert_eq!(text, "{{ run.id }}/{{ switchover.id }}/{{ step }}/{{ attempt }} web-01");
    assert_eq!(context.fill(&text), "r-7/s-004/3/2 web-01");
    for text in ["{{ run.id | upper }}", "{{ attempt + 1 }}", "{{ run }}"] {
        assert!(Template::parse(text, Names::Switchover, &vars()).is_err(), "{text}");
    }
    assert!(Template::parse("{{ run.id }}", Names::Node, &vars()).is_err());
}

#[test]
fn a_value_that_is_one_template_keeps_its_type() {
    let json = json!({"host": "{{ source.name }}", "wwpns": "{{ source.connectors.wwpn }}", "n": "{{ 1 + 1 }}", "t": "n={{ 2 }}", "k": [1, null, "x"]});
    let value = TemplateValue::parse(&json, Names::Switchover, &vars()).expect("template");
    let want = json!({"host": "web-01", "wwpns": ["50:01", "50:02"], "n": 2, "t": "n=2", "k": [1, null, "x"]});
    assert_eq!(value.render(&scope(Names::Switchover)), Ok(want));
    assert!(value.mentions("source.connectors"));
    assert!(!value.mentions("destination.connectors"));
    let one = |text: &str| Template::parse(text, Names::Switchover, &vars()).expect("template").mentions("destination.connectors");
    assert!(one("a {{ destination['connectors'].wwpn | first }}"));
    assert!(one("{{ destination.connectors }}"));
    assert!(!one("{{ destination.name }} destination.connectors"));
}

#[test]
fn no_secret_can_be_reached() {
    assert_eq!(render("{{ source.bmc.address }}").as_deref(), Ok("https://10.0.0.1"));
    let (fleet, ..) = fleet();
    for id in fleet.nodes.keys() {
        let value = Scope::default().with("node", &fleet, *id).get(&["node".to_owned()]);
        assert!(!serde_json::Value::from(&value).to_string().contains("SESAME"));
    }
}

#[test]
fn every_fact_and_failure_domain_level_has_an_attribute() {
    let paths = Facts::NAMES.iter().map(|n| format!("node.facts.{n}"));
    for path in paths {
        holds(&format!("{path} is not none"));
    }
    for level in FailureDomain::LEVELS {
        assert!(ask(&format!("node.failure_domain.{level} is none"), Names::Node).is_ok(), "{level}");
    }
}

#[test]
fn every_attribute_of_the_checked_shape_exists_in_the_value() {
    fn walk(shape: shape::Shape, value: &Value, path: &str) {
        let shape::Shape::Fields(fields) = shape else { return };
        let Value::Map(have) = value else { panic!("`{path}` is {}", value.kind()) };
        assert_eq!(have.len(), fields.len(), "{path}");
        for (name, inner) in fields {
            walk(*inner, have.get(*name).unwrap_or_else(|| panic!("`{path}.{name}` is missing")), &format!("{path}.{name}"));
        }
    }
    let (fleet, web, _) = fleet();
    walk(shape::NODE_SHAPE, &Scope::default().with("node", &fleet, web).get(&["node".to_owned()]), "node");
}

#[test]
fn readings_tell_what_an_expression_saw() {
    let text = "spare.failure_domain.row == source.failure_domain.row and source.failure_domain.row != 'x' and vars.on";
    let expression = Expression::parse(text, Names::SpareAndSource, &vars()).expect("expression");
    let seen: Vec<String> =
        expression.readings(|path| scope(Names::SpareAndSource).get(path)).into_iter().map(|(p, v)| format!("{p}={v}")).collect();
    assert_eq!(seen, ["spare.failure_domain.row=null", "source.failure_domain.row=null", "vars.on=true"]);
    assert!(expression.mentions("spare") && expression.mentions("spare.failure_domain") && !expression.mentions("spare.fail"));
}

/// Expressions over numbers, texts and booleans that both sides can judge, without none and without mixed kinds.
fn number() -> impl Strategy<Value = String> {
    (-50i64..50).prop_map(|n| if n < 0 { format!("({n})") } else { n.to_string() }).prop_recursive(3, 16, 2, |inner| {
        (inner.clone(), prop_oneof![Just("+"), Just("-"), Just("*")], inner).prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    })
}

fn boolean() -> impl Strategy<Value = String> {
    let operator = || prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let texts = ("[a-c]{0,3}", operator(), "[a-c]{0,3}").prop_map(|(a, op, b)| format!("'{a}' {op} '{b}'"));
    let numbers = (number(), operator(), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}"));
    let inside = ("[a-c]{0,2}", "[a-c]{0,3}").prop_map(|(a, b)| format!("'{a}' in ['{b}', 'a'] or '{a}' not in '{b}'"));
    prop_oneof![texts, numbers, inside].prop_recursive(3, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop_oneof![Just("and"), Just("or")], inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
        ]
    })
}

proptest! {
    /// Where there is no none and no mixed kind, minijinja itself gives the same answer.
    #[test]
    fn sober_expressions_mean_what_minijinja_says(text in boolean()) {
        prop_assume!(Expression::parse(&text, Names::Node, &vars()).is_ok());
        let theirs = minijinja::Environment::new().compile_expression(&text).and_then(|e| e.eval(())).map(|v| v.is_true());
        let ours = Expression::parse(&text, Names::Node, &vars()).and_then(|e| e.holds(&Scope::default()));
        prop_assert_eq!(ours.ok(), theirs.ok(), "{}", text);
    }

    /// Any text at all is read or refused.
    #[test]
    fn no_text_crashes_the_reader(text in r#"[a-z0-9_ .'"|(){}\[\]<>=!+*/%~,-]{0,60}"#) {
        let _ = Expression::parse(&text, Names::SpareAndSource, &vars()).map(|e| e.holds(&scope(Names::SpareAndSource)));
        let _ = Template::parse(&text, Names::Switchover, &vars()).map(|t| t.render(&scope(Names::Switchover)));
    }
}
