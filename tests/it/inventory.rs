//! Inventories: read, written, and read again.

use crate::language::{Project, fixture};
use coldswap::bmcsim;
use coldswap::diagnostic::{Look, Source, render};
use coldswap::model::*;
use coldswap::runbook::*;
use proptest::prelude::*;

fn read(name: &str, text: &str) -> Vec<NodeRecord> {
    let source = Source::new(name, text);
    match read_inventory(&source) {
        Ok((records, _)) => records,
        Err(found) => panic!("{}", render(&found, &[&source], Look::Plain)),
    }
}

fn fleet(records: Vec<NodeRecord>) -> Fleet {
    let mut fleet = Fleet::default();
    for record in records {
        fleet.connectors.extend(record.connectors.into_iter().map(|c| (c.id, c)));
        fleet.targets.extend(record.targets.into_iter().map(|t| (t.id, t)));
        fleet.nodes.insert(record.node.id, record.node);
    }
    fleet
}

#[test]
fn defaults_are_merged_and_ids_follow_from_names() {
    let source = fixture("whole-inventory.yaml");
    let (records, warnings) = read_inventory(&source).expect("an inventory");
    assert!(warnings.is_empty());
    let [web, spare] = records.as_slice() else { panic!("two nodes") };
    assert_eq!(web.node.id.to_string(), "6e6f6465-0000-4000-8000-000000000001");
    assert_eq!(spare.node.id, NodeId::derived("spare-03"));
    for node in [&web.node, &spare.node] {
        assert_eq!(node.bmc.username, Some(Sensitive::Secret(SecretRef::Env("BMC_USER".into()))));
        assert_eq!(node.bmc.password, Some(SecretRef::Env("BMC_PASSWORD".into())));
        assert_eq!(node.bmc.tls, TlsTrust::Ca("/etc/pki/bmc.pem".into()));
    }
    assert_eq!(web.node.labels["tier"], Scalar::Integer(1));
    assert_eq!(web.node.labels["outlet_a"], Scalar::Text("7".into()), "quoted is text");
    assert_eq!(web.node.declared_facts.memory_mib, Some(524_288));
    assert_eq!(web.connectors.iter().map(|c| c.burned_in).collect::<Vec<_>>(), [false, true]);
    assert_eq!(web.targets[0].properties["target_lun"], Scalar::Integer(1));
    assert_eq!(web.node.instance.as_ref().and_then(|i| i.name.as_deref()), Some("shop-db"));
}

#[test]
fn a_nodes_own_word_beats_the_defaults_key_by_key() {
    let text = "\
apiVersion: coldswap/v1
kind: Inventory
defaults:
  provision_state: available
  labels: {a: 1, b: 2}
  failure_domain: {site: s, row: r}
  facts: {model: M, memory_mib: 1, cpu: {count: 2}}
  bmc: {username: root, tls: {verify: false}}
nodes:
  - name: x
    provision_state: active
    labels: {b: 3, c: no}
    failure_domain: {row: q}
    facts: {memory_mib: 2, cpu: {model: X}}
    bmc: {address: \"https://10.0.0.1/\", username: {secret: {file: user}}, tls: {fingerprint: \"sha256:AA:BBaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}
";
    let node = &read("dir/i.yaml", text)[0].node;
    assert_eq!(node.provision_state, ProvisionState::Active);
    assert_eq!(node.labels.values().map(ToString::to_string).collect::<Vec<_>>(), ["1", "3", "no"]);
    assert_eq!(node.failure_domain, FailureDomain { site: Some("s".into()), row: Some("q".into()), ..FailureDomain::default() });
    assert_eq!((node.declared_facts.memory_mib, node.declared_facts.cpu.count), (Some(2), Some(2)));
    assert_eq!(node.declared_facts.cpu.model.as_deref(), Some("X"));
    assert_eq!(node.bmc.address, "https://10.0.0.1");
    assert_eq!(node.bmc.username, Some(Sensitive::Secret(SecretRef::File("dir/user".into()))));
    assert_eq!(node.bmc.tls, TlsTrust::Fingerprint(format!("aabb{}", "a".repeat(60))));
}

#[test]
fn an_export_reads_as_a_person_would_write_it() {
    let (records, _) = read_inventory(&fixture("whole-inventory.yaml")).expect("an inventory");
    let text = write_inventory(&fleet(records), Format::Yaml);
    assert!(text.contains("  - name: web-01\n    uuid: 6e6f6465-0000-4000-8000-000000000001\n    resource_class: web\n"), "{text}");
    assert!(text.contains("    failure_domain: {site: fra1, row: r2, rack: b, feed: a}\n"), "{text}");
    assert!(text.contains("      - {type: iqn, connector_id: \"iqn.2026-01.example:web-01\"}\n"), "{text}");
}

#[test]
fn a_lab_has_an_inventory_and_its_faults_are_those_of_the_simulator() {
    let source = Source::new("examples/lab.yaml", Project.read("examples/lab.yaml").expect("the lab"));
    let (lab, _) = read_lab(&source, &Project).expect("a lab");
    assert_eq!(lab.inventory.as_deref(), Some("examples/lab-inventory.yaml"));
    assert_eq!((lab.timing.off, lab.timing.boot), (Span::millis(300), Span::secs(1)));
    assert_eq!(lab.faults[0].machine, "web-02");
    let template = lab.faults[0].clone();
    for request in REQUESTS {
        let value = serde_json::to_value(FaultRule { request, ..template.clone() }).expect("JSON");
        serde_json::from_value::<bmcsim::FaultRule>(value).unwrap_or_else(|e| panic!("{request}: {e}"));
    }
    for action in ACTIONS {
        let value = serde_json::to_value(FaultRule { action, ..template.clone() }).expect("JSON");
        serde_json::from_value::<bmcsim::FaultRule>(value).unwrap_or_else(|e| panic!("{action}: {e}"));
    }
    fn known(schema: &serde_json::Value) -> usize {
        let own = schema["enum"].as_array().map_or(0, Vec::len) + usize::from(schema.get("const").is_some());
        own + schema["oneOf"].as_array().map_or(0, |forms| forms.iter().map(known).sum())
    }
    assert_eq!(known(&schemars::schema_for!(bmcsim::RequestKind).to_value()), REQUESTS.len(), "every request has a word");
    assert_eq!(known(&schemars::schema_for!(bmcsim::FaultAction).to_value()), ACTIONS.len(), "every action has a word");
}

/// A LUN that nobody reads is LUN 0: another machine's volume.
#[test]
fn a_volume_is_named_by_what_is_read_or_not_at_all() {
    let told = |volume: &str| -> Vec<String> {
        let node = format!("{{name: x, bmc: {{address: \"https://10.0.0.1\"}}, volume_targets: [{volume}]}}");
        let source = Source::new("i.yaml", format!("apiVersion: coldswap/v1\nkind: Inventory\nnodes:\n  - {node}\n"));
        match read_inventory(&source) {
            Ok(_) => Vec::new(),
            Err(found) => found.0.iter().map(|d| format!("{} {} ({})", d.code, d.message, d.hint.as_deref().unwrap_or_default())).collect(),
        }
    };
    let volume = |kind: &str, boot: u32, properties: &str| {
        told(&format!("{{volume_type: {kind}, boot_index: {boot}, volume_id: v, properties: {{{properties}}}}}"))
    };
    for (kind, properties, words) in [
        ("iscsi", "target_iqn: iqn.x, target_luns: 1", "one path to the volume as `target_lun`"),
        ("iscsi", "target_iqn: iqn.x, target_lun: 1, target_portals: p", "one path to the volume as `target_portal`"),
        ("iscsi", "target_iqn: iqn.x, Target_LUN: 1", "did you mean `target_lun`?"),
        ("iscsi", "target_iqn: iqn.x, taget_lun: 1", "did you mean `target_lun`?"),
        ("iscsi", "target_iqn: iqn.x, LUN: 1", "did you mean `lun`?"),
        ("fibre_channel", "target_wwn: 5001438000000001, target_luns: 1", "one path"),
        ("nvme_tcp", "target_nqn: nqn.x, target_lun: 1", "`target_lun` is not a property of a volume of type nvme_tcp"),
        ("nfs", "server: f, path: /v, target_lun: 1", "these are: server, target_server, path, target_path"),
        ("iscsi", "target_lun: 1", "no `target_iqn`"),
        ("iscsi", "target_iqn: ' '", "no `target_iqn`"),
        ("fibre_channel", "target_lun: 1", "no `target_wwn`"),
        ("fcoe", "", "no `target_wwn`"),
        ("nfs", "server: f", "no `path`"),
        ("nvme_tcp", "", "no `target_nqn`"),
    ] {
        let told = volume(kind, 0, properties);
        assert!(told.len() == 1 && told[0].starts_with("R310 ") && told[0].contains(words), "{kind} {properties}: {told:?}");
    }
    for (kind, boot, properties) in [
        ("iscsi", 0, "target_iqn: iqn.x, target_lun: 1, target_portal: p, target_discovered: false, auth_method: CHAP, access_mode: rw"),
        ("iscsi", 1, ""),
        ("fcoe", 0, "target_wwpn: 5001438000000001, lun: 0x1"),
        ("nfs", 0, "target_server: f, target_path: /v, volunteer: no"),
        ("nvme_tcp", 0, "target_nqn: nqn.x, nsid: 2"),
    ] {
        assert_eq!(volume(kind, boot, properties), Vec::<String>::new(), "{kind} {properties}");
    }
}

#[test]
fn a_drill_and_a_configuration_are_plain_data() {
    let (drill, _) = read_drill(&fixture("whole-drill.yaml")).expect("a drill");
    assert_eq!((drill.seeds, drill.faults.len()), (500, 3));
    assert_eq!(drill.faults[0], DrillFault::Preset("rude-bmc"));
    let (config, _) = read_config(&fixture("whole-config.yaml")).expect("a configuration");
    assert_eq!(config.store, StoreLocation::Sqlite("tests/it/fixtures/.coldswap/state.db".into()), "beside the file");
    assert_eq!((config.bmc.requests_at_once, config.bmc.total_at_once), (1, 2000));
    assert_eq!(config.bmc.overrides[0].landing, Some(Span::secs(90)));
    let (lab, _) = read_lab(&fixture("whole-lab.yaml"), &NoFiles).map_err(|f| f.0).unwrap_or_else(|found| {
        assert!(found.iter().all(|d| d.message.contains("cannot be read")), "{found:?}");
        read_lab(&Source::new("l.yaml", "apiVersion: coldswap/v1\nkind: Lab\nmachines: {count: 2}\n"), &NoFiles).expect("a lab")
    });
    assert_eq!(lab.timing.on, Span::secs(1));
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("no such file".to_owned())
    }
}

/// Text with everything in it that YAML could take for something else.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        prop::sample::select(vec![
            "no",
            "on",
            "true",
            "null",
            "~",
            "0755",
            "1e3",
            "5",
            "-3",
            "0x1f",
            ".5",
            "-",
            "a: b",
            "a #b",
            "#",
            "{{ x }}",
            "*a",
            "&a",
            "!x",
            "%x",
            "@",
            "`",
            "\"",
            "'",
            " a ",
            "a\nb",
            "a\tb",
            "\u{0}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "ä€😀",
            "\\",
            "[a]",
            "{a}",
            "a,b",
            "2026-01-01",
            "---",
            "<<",
            "=",
            "?"
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_filter("not empty", |t| !t.is_empty()),
    ]
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![any::<bool>().prop_map(Scalar::Bool), any::<i64>().prop_map(Scalar::Integer), words().prop_map(Scalar::Text)]
}

fn secrets() -> impl Strategy<Value = SecretRef> {
    prop_oneof![
        words().prop_map(SecretRef::Env),
        "[a-z]{1,8}".prop_map(SecretRef::File),
        prop::collection::vec(words(), 1..3).prop_map(SecretRef::Command)
    ]
}

prop_compose! {
    fn nodes(n: usize)(
        id in prop::option::of(any::<u128>()), labels in prop::collection::btree_map(words(), scalars(), 0..4), class in prop::option::of(words()),
        traits in prop::collection::btree_set(words(), 0..3), capabilities in prop::collection::btree_map(words(), words(), 0..2),
        domain in prop::collection::vec(prop::option::of(words()), 6), texts in prop::collection::vec(prop::option::of(words()), 6),
        numbers in (prop::option::of(1..u32::MAX), prop::option::of(1..i64::MAX as u64), any::<Option<bool>>()),
        secret in prop::option::of(secrets()), volumes in prop::collection::vec((0..5u32, scalars(), any::<Option<u128>>()), 0..3), maintained in prop::option::of(words()),
    ) -> NodeRecord {
        let name = format!("node-{n}");
        let mut node = Node::named(&name, &format!("https://10.0.0.{n}"));
        node.id = id.map_or(node.id, |id| NodeId(uuid::Uuid::from_u128(id ^ n as u128)));
        node.labels = labels;
        node.resource_class = class;
        node.traits = traits;
        node.capabilities = capabilities;
        let d = &domain;
        node.failure_domain = FailureDomain { site: d[0].clone(), row: d[1].clone(), rack: d[2].clone(), chassis: d[3].clone(), slot: d[4].clone(), feed: d[5].clone() };
        node.declared_facts = Facts { model: texts[0].clone(), cpu: CpuFacts { model: texts[1].clone(), count: numbers.0, ..CpuFacts::default() }, memory_mib: numbers.1, secure_boot: numbers.2, boot_mode: numbers.2.map(|b| if b { BootMode::Uefi } else { BootMode::Bios }), ..Facts::default() }.into();
        node.declared_facts.firmware = texts[2].iter().map(|t| (t.clone(), t.clone())).collect();
        let (small, wide) = (numbers.0.map(|n| n % 7), numbers.1);
        let facts: &mut Facts = &mut node.declared_facts;
        facts.memory.modules = small;
        facts.accelerators = AcceleratorFacts { count: small, models: texts[0].clone() };
        facts.network = NetworkFacts { adapters: small, ports: numbers.0, ports_up: small, speed_mbps: wide, link_mbps: wide, models: texts[1].clone() };
        facts.storage = StorageFacts { controllers: small, drives: numbers.0, models: texts[2].clone() };
        facts.hbas = HbaFacts { count: numbers.0, ports: small, models: texts[3].clone() };
        if facts.known() && small.is_some() {
            node.imported = Some(Box::new(ImportedFacts { at: Time(wide.unwrap_or(0) as i64 % 4_000_000_000_000_000), facts: facts.clone() }));
        }
        node.owner = texts[3].clone();
        node.instance = texts[4].clone().map(|t| Instance { uuid: uuid::Uuid::from_u128(n as u128 + 1), name: Some(t) });
        node.bmc.username = secret.clone().map(Sensitive::Secret).or(texts[5].clone().map(Sensitive::Plain));
        let chap: Vec<(String, Scalar)> = secret.iter().map(|s| ("auth_password".to_owned(), Scalar::Secret { secret: s.clone() })).collect();
        node.bmc.password = secret;
        node.debt = texts[5].clone();
        let named = |v: usize| [("server", "filer".to_owned()), ("path", format!("/x{n}/{v}"))].map(|(key, text)| (key.to_owned(), Scalar::Text(text)));
        node.maintenance = maintained.map(|reason| Maintenance { reason });
        let connectors = vec![VolumeConnector { id: ConnectorId::derived(&name), node: node.id, kind: ConnectorKind::Iqn, connector_id: format!("iqn.2026-01.example:{n}"), burned_in: n.is_multiple_of(2), generation: Generation(0) }];
        let mut targets: Vec<VolumeTarget> = volumes.into_iter().enumerate().map(|(v, (index, value, id))| {
            let volume_id = format!("vol-{n}-{v}");
            let id = id.map_or_else(|| TargetId::derived(&format!("{}/nfs/{index}/{volume_id}", node.id)), |id| TargetId(uuid::Uuid::from_u128(id)));
            VolumeTarget { id, node: node.id, volume_type: VolumeType::Nfs, boot_index: index, volume_id, properties: [("p".to_owned(), value)].into_iter().chain(named(v)).chain(chap.clone()).collect(), shareable: v == 1, generation: Generation(0) }
        }).collect();
        targets.sort_by_key(|t| t.id);
        NodeRecord { node, connectors, targets }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_is_written_is_read_again_without_loss(a in nodes(1), b in nodes(2)) {
        let records = vec![a, b];
        for format in [Format::Yaml, Format::Json] {
            let text = write_inventory(&fleet(records.clone()), format);
            prop_assert_eq!(fleet(read("i.yaml", &text)), fleet(records.clone()), "{}", text);
            if format == Format::Json {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }
    }

    /// A runbook with something changed somewhere is refused or read; nothing panics, and every place is in the file.
    #[test]
    fn a_mutated_file_never_panics(which in 0..5usize, at in any::<prop::sample::Index>(), length in 0..12usize, put in "[a-z0-9{}\\[\\]:\"'!&*#|>\n\t -]{0,8}") {
        let name = ["runbook", "inventory", "lab", "drill", "config"][which];
        let original = String::from_utf8(fixture(&format!("whole-{name}.yaml")).text).expect("UTF-8");
        let starts: Vec<usize> = original.char_indices().map(|(n, _)| n).collect();
        let from = *at.get(&starts);
        let to = starts.iter().copied().find(|n| *n >= from + length).unwrap_or(original.len());
        let text = format!("{}{put}{}", &original[..from], &original[to..]);
        let source = Source::new("m.yaml", text.clone());
        let (Ok((_, found)) | Err(found)) = check_document(&source, &Vars::new(), &NoFiles);
        for d in &found.0 {
            if let Some(span) = &d.span {
                prop_assert!(text.get(span.start..span.end).is_some(), "{d:?}\n{text}");
            }
        }
        render(&found, &[&source], Look::Plain);
    }
}
