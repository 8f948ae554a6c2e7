//! Who is switched over to whom: the order of what counts, what stays behind, and what is left out with which words.

use crate::fleets::*;
use coldswap::model::*;
use coldswap::plan::assign::{Choice, choose};
use coldswap::plan::candidates::LeftOutCode as Code;
use coldswap::runbook::*;
use std::collections::BTreeSet;

fn pairs(choice: &Choice, fleet: &Fleet) -> Vec<String> {
    choice.pairs.iter().map(|p| format!("{}>{}/{}", fleet.nodes[&p.source].name, fleet.nodes[&p.destination].name, p.pool)).collect()
}

fn run(runbook: &Runbook, fleet: &Fleet) -> Choice {
    choose(runbook, fleet, None, &[])
}

fn rack(name: &'static str) -> impl Fn(&mut Node) {
    move |node| node.failure_domain.rack = Some(name.to_owned())
}

fn tier(n: i64) -> impl Fn(&mut Node) {
    move |node| drop(node.labels.insert("tier".into(), Scalar::Integer(n)))
}

#[test]
fn as_many_as_possible_even_where_greed_would_strand_one() {
    let mut b = Builder::default();
    b.source("web-1", rack("a"));
    b.source("web-2", rack("b"));
    b.spare("spare-1", rack("b"));
    b.spare("spare-2", rack("a"));
    let mut book = runbook();
    // web-1 may take either and would take spare-1 first; web-2 only spare-1.
    book.matching.require = vec![when("source.failure_domain.rack == 'a' or spare.failure_domain.rack == 'b'")];
    let choice = run(&book, &b.fleet);
    assert_eq!(pairs(&choice, &b.fleet), ["web-1>spare-2/any", "web-2>spare-1/any"]);
    assert!(choice.diagnostics.0.is_empty() && choice.left_out.is_empty());
}

#[test]
fn a_better_group_outweighs_any_number_of_a_worse_one() {
    let mut b = Builder::default();
    b.source("web-9", |n| {
        tier(1)(n);
        rack("b")(n);
    });
    for name in ["web-1", "web-2", "web-3"] {
        b.source(name, tier(5));
    }
    b.spare("spare-1", |_| {});
    let choice = run(&runbook(), &b.fleet);
    assert_eq!(pairs(&choice, &b.fleet), ["web-9>spare-1/any"]);
    assert_eq!(choice.pairs[0].group, 1);
    let left: Vec<_> = choice.left_out.iter().map(|l| (l.name.as_str(), l.code)).collect();
    assert_eq!(left, [("web-1", Code::SparesExhausted), ("web-2", Code::SparesExhausted), ("web-3", Code::SparesExhausted)]);
    assert!(!choice.diagnostics.has_errors(), "selected nodes may be left out");
}

#[test]
fn pool_then_state_then_preference_then_name_decide() {
    let mut b = Builder::default();
    b.source("web-1", rack("a"));
    b.spare("spare-0", |n| drop(n.labels.insert("role".into(), Scalar::Text("emergency".into()))));
    b.spare("spare-1", |n| n.provision_state = ProvisionState::Available);
    b.spare("spare-2", rack("b"));
    b.spare("spare-3", rack("a"));
    b.spare("spare-4", rack("a"));
    let mut book = runbook();
    book.pools.push(pool("emergency", "spare.labels.role == 'emergency'", 0));
    book.matching.prefer = vec![prefer("spare.failure_domain.rack == source.failure_domain.rack", 10)];
    let mut fleet = b.fleet.clone();
    for best in ["spare-3", "spare-4", "spare-2", "spare-1", "spare-0"] {
        let choice = run(&book, &fleet);
        assert_eq!(fleet.nodes[&choice.pairs[0].destination].name, best);
        assert_eq!(choice.pairs[0].preferred.len(), usize::from(["spare-3", "spare-4"].contains(&best)));
        assert_eq!(choice.pairs[0].identical, 8);
        fleet.nodes.remove(&choice.pairs[0].destination);
    }
    assert!(run(&book, &fleet).pairs.is_empty());
}

#[test]
fn what_a_pool_keeps_stays_whichever_pool_it_is_taken_through() {
    let mut b = Builder::default();
    for name in ["web-1", "web-2", "web-3", "web-4"] {
        b.source(name, rack("a"));
    }
    b.spare("spare-1", rack("a"));
    b.spare("spare-2", rack("a"));
    b.spare("spare-3", rack("b"));
    let count = |near: u32, all: u32| {
        let mut book = runbook();
        book.pools = vec![
            pool("near", "spare.failure_domain.rack == source.failure_domain.rack", near),
            pool("all", "spare.labels.role == 'spare'", all),
        ];
        let choice = run(&book, &b.fleet);
        let keeps: Vec<_> = choice.pools.iter().map(|p| (p.name.clone(), p.candidates, p.used, p.keep)).collect();
        (choice.pairs.len(), keeps)
    };
    let uses = |n: usize, a: usize, m: u32, k: u32| vec![("near".to_owned(), 2, n, m), ("all".to_owned(), 3, a, k)];
    assert_eq!(count(0, 0), (3, uses(2, 1, 0, 0)));
    assert_eq!(count(1, 0), (2, uses(1, 1, 1, 0)));
    assert_eq!(count(0, 2), (1, uses(1, 0, 0, 2)));
    assert_eq!(count(2, 0), (1, uses(0, 1, 2, 0)));
    assert_eq!(count(5, 5), (0, uses(0, 0, 5, 5)));
}

#[test]
fn overlapping_pools_keep_at_least_what_they_must() {
    let mut b = Builder::default();
    for name in ["web-1", "web-2", "web-3"] {
        b.source(name, |_| {});
    }
    for (name, pools) in [("spare-1", "x"), ("spare-2", "xy"), ("spare-3", "y")] {
        b.spare(name, |n| drop(n.labels.insert("in".into(), Scalar::Text(pools.into()))));
    }
    let mut book = runbook();
    book.pools = vec![pool("x", "'x' in spare.labels.in", 1), pool("y", "'y' in spare.labels.in", 1)];
    let choice = run(&book, &b.fleet);
    let used: BTreeSet<String> = choice.pairs.iter().map(|p| b.name(p.destination)).collect();
    assert!(!used.contains("spare-1") || !used.contains("spare-2"));
    assert!(!used.contains("spare-3") || !used.contains("spare-2"));
    assert!(!used.is_empty());
}

#[test]
fn each_reason_to_leave_a_source_out_has_its_code_and_names_the_node() {
    type Spoil = fn(&mut Builder, NodeId);
    fn read(b: &mut Builder, id: NodeId, change: fn(&mut SystemReading)) {
        if let Some(Live::Answered { reading, .. }) = b.fleet.live.get_mut(&id) {
            change(reading);
        }
    }
    fn node(b: &mut Builder, id: NodeId) -> &mut Node {
        b.fleet.nodes.get_mut(&id).expect("node")
    }
    let cases: [(Code, &str, Spoil); 14] = [
        (Code::NoVolumes, "no volume targets", |b, _| b.fleet.targets.clear()),
        (Code::NotVolumeBooted, "boot_index 0", |b, _| b.fleet.targets.values_mut().for_each(|t| t.boot_index = 1)),
        (Code::NotVolumeBooted, "`iscsi_boot` is false", |b, id| {
            drop(node(b, id).capabilities.insert("iscsi_boot".into(), "False".into()))
        }),
        (Code::Reserved, "r-7/s-002", |b, id| node(b, id).reservation = Some(Holder { run: "r-7".into(), switchover: SwitchoverId(2) })),
        (Code::Maintenance, "disk is smoking", |b, id| node(b, id).maintenance = Some(Maintenance { reason: "disk is smoking".into() })),
        (Code::InDebt, "never power on", |b, id| node(b, id).debt = Some("never power on".into())),
        (Code::SecondAttachment, "`third`", |b, _| {
            let third = b.spare("third", |n| n.labels.clear());
            b.target(third, "web-1", 7);
        }),
        (Code::BurnedInConnectors, "50:01", |b, id| {
            let connector = ConnectorId::derived("c");
            let kind = ConnectorKind::Wwpn;
            b.fleet.connectors.insert(
                connector,
                VolumeConnector { id: connector, node: id, kind, connector_id: "50:01".into(), burned_in: true, generation: Generation(0) },
            );
        }),
        (Code::ContradictingFacts, "`memory_mib` 524288, its BMC says 1", |b, id| node(b, id).live_facts.memory_mib = Some(1)),
        (Code::Silent, "no route", |b, id| drop(b.fleet.live.insert(id, Live::Silent(Fault::transient("no route"))))),
        (Code::WrongMachine, "SN-other", |b, id| read(b, id, |r| r.identity.serial_number = Some("SN-other".into()))),
        (Code::Unidentified, "proves nothing", |b, id| read(b, id, |r| r.identity = Identity::default())),
        (Code::CannotBeFenced, "ForceOff", |b, id| node(b, id).abilities.reset_types = Some(vec![ResetType::On])),
        (Code::PowerInTransition, "PoweringOff", |b, id| read(b, id, |r| r.power = PowerState::PoweringOff)),
    ];
    for (code, word, spoil) in cases {
        let mut b = Builder::default();
        let id = b.source("web-1", |_| {});
        b.spare("spare-1", |_| {});
        assert_eq!(run(&runbook(), &b.fleet).pairs.len(), 1);
        spoil(&mut b, id);
        let choice = run(&runbook(), &b.fleet);
        assert!(choice.pairs.is_empty(), "{code:?}");
        let left = &choice.left_out[0];
        assert_eq!((left.code, left.node, left.listed), (code, id, false));
        assert!(left.why.contains("`web-1`") && left.why.contains(word), "{}", left.why);
    }
}

#[test]
fn in_a_disaster_a_silent_source_is_left_out_under_its_own_code() {
    let mut b = Builder::default();
    let id = b.source("web-1", |_| {});
    b.spare("spare-1", |_| {});
    b.fleet.live.insert(id, Live::Silent(Fault::transient("no route")));
    let mut book = runbook();
    book.mode = Mode::Disaster;
    assert_eq!(run(&book, &b.fleet).left_out[0].code, Code::SilentInDisaster);
}

#[test]
fn a_spare_that_is_not_free_takes_over_nothing() {
    type Spoil = fn(&mut Node, &mut Option<Live>);
    let cases: [Spoil; 17] = [
        |n, live| {
            n.identity = Identity::default();
            *live = Some(reading(n, PowerState::Off));
        },
        |n, _| n.identity = Identity { system_uuid: Some("another".into()), serial_number: None },
        |n, _| n.reservation = Some(Holder { run: "r-1".into(), switchover: SwitchoverId(1) }),
        |n, _| n.maintenance = Some(Maintenance { reason: "x".into() }),
        |n, _| n.debt = Some("x".into()),
        |n, _| n.instance = Some(Instance { uuid: uuid::Uuid::nil(), name: None }),
        |n, _| n.provision_state = ProvisionState::Active,
        |n, _| n.live_facts.memory_mib = Some(1),
        |n, _| n.declared_facts.health = Some(Health::Critical),
        |n, _| n.declared_facts = Facts::default().into(),
        |n, _| n.declared_facts.memory_mib = None,
        |n, _| n.abilities.reset_types = Some(vec![ResetType::ForceOff]),
        |_, live| *live = Some(Live::Silent(Fault::unknown("x"))),
        |n, live| *live = Some(reading(n, PowerState::On)),
        |n, live| *live = Some(reading(n, PowerState::PoweringOn)),
        |n, live| *live = Some(reading(n, PowerState::Unknown)),
        |n, live| {
            n.abilities.iscsi_boot_unread = true;
            *live = Some(reading(n, PowerState::Off));
            if let Some(Live::Answered { boot, .. }) = live {
                boot.iscsi = None;
            }
        },
    ];
    for (n, spoil) in cases.into_iter().enumerate() {
        let mut b = Builder::default();
        b.source("web-1", |_| {});
        let id = b.spare("spare-1", |_| {});
        let (mut node, mut live) = (b.fleet.nodes[&id].clone(), b.fleet.live.get(&id).cloned());
        spoil(&mut node, &mut live);
        b.fleet.nodes.insert(id, node);
        live.map(|l| b.fleet.live.insert(id, l));
        let choice = run(&runbook(), &b.fleet);
        assert_eq!((choice.pairs.len(), choice.left_out[0].code), (0, Code::NoSpare), "case {n}");
    }
    let mut b = Builder::default();
    b.source("web-1", |_| {});
    let id = b.spare("spare-1", |_| {});
    b.target(id, "its own", 0);
    assert!(run(&runbook(), &b.fleet).pairs.is_empty(), "a spare with volumes of its own");
}

#[test]
fn a_source_without_a_spare_hears_of_the_nearest() {
    let mut b = Builder::default();
    b.source("web-7", |_| {});
    b.spare("spare-08", |n| n.declared_facts.memory_mib = Some(131_072));
    b.spare("spare-09", |n| n.declared_facts.memory_mib = Some(393_216));
    b.spare("spare-01", |n| {
        n.declared_facts.memory_mib = Some(524_287);
        n.declared_facts.model = Some("C2".into());
    });
    let choice = run(&runbook(), &b.fleet);
    assert_eq!(choice.left_out[0].why, "no spare has 524288 MiB of memory (nearest: spare-09, 393216)");
    b.fleet.nodes.retain(|_, n| !["spare-08", "spare-09"].contains(&n.name.as_str()));
    let why = &run(&runbook(), &b.fleet).left_out[0].why;
    assert!(why.contains("nearest: spare-01, which misses 2 of 10 rules") && why.contains("needs C1, has C2"), "{why}");
    b.fleet.nodes.retain(|_, n| n.name != "spare-01");
    assert!(run(&runbook(), &b.fleet).left_out[0].why.contains("no free spare is in any pool"));
}

fn at(line: u32) -> Place {
    Place { line, column: 3 }
}

#[test]
fn listed_nodes_are_found_by_name_or_uuid_and_must_exist() {
    let mut b = Builder::default();
    let one = b.source("web-1", |_| {});
    b.source("web-2", |_| {});
    b.spare("spare-1", |_| {});
    let mut book = runbook();
    book.sources.select = None;
    book.sources.nodes = vec![("web-01".into(), at(12)), (one.to_string(), at(13)), ("web-1".into(), at(14))];
    let choice = run(&book, &b.fleet);
    assert_eq!(pairs(&choice, &b.fleet), ["web-1>spare-1/any"]);
    let [d] = &choice.diagnostics.0[..] else { panic!("{:?}", choice.diagnostics) };
    assert_eq!((d.code, d.message.as_str()), ("P001", "unknown node `web-01` in `sources.nodes` (line 12)"));
    assert_eq!(d.hint.as_deref(), Some("did you mean `web-1`?"));
}

#[test]
fn a_listed_node_that_is_left_out_is_an_error_unless_allowed() {
    let mut b = Builder::default();
    b.source("web-1", |_| {});
    let mut book = runbook();
    book.sources.nodes = vec![("web-1".into(), at(1))];
    let choice = run(&book, &b.fleet);
    assert!(choice.left_out[0].listed);
    assert_eq!(choice.diagnostics.0[0].code, "P003");
    book.sources.left_out = Some(LeftOutPolicy::Allow);
    assert!(!run(&book, &b.fleet).diagnostics.has_errors());
    book.sources.nodes.clear();
    book.sources.left_out = Some(LeftOutPolicy::Refuse);
    assert!(run(&book, &b.fleet).diagnostics.has_errors());
}

#[test]
fn named_destinations_are_checked_like_any_spare() {
    let mut b = Builder::default();
    for name in ["web-1", "web-2", "web-3", "web-4"] {
        b.source(name, |_| {});
    }
    b.spare("spare-1", |_| {});
    b.spare("spare-2", |n| n.declared_facts.memory_mib = Some(7));
    b.spare("spare-3", |n| n.maintenance = Some(Maintenance { reason: "fan".into() }));
    b.spare("spare-4", |_| {});
    b.spare("spare-5", |_| {});
    let mut book = runbook();
    let to = |name: &str| (name.to_owned(), at(1));
    book.sources.destinations =
        [("web-1", "spare-1"), ("web-2", "spare-2"), ("web-3", "spare-3"), ("web-4", "spare-1")].map(|(a, b)| (a.to_owned(), to(b))).into();
    let choice = run(&book, &b.fleet);
    assert_eq!(pairs(&choice, &b.fleet), ["web-1>spare-1/destinations"]);
    let left: Vec<_> = choice.left_out.iter().map(|l| (l.name.as_str(), l.code)).collect();
    assert_eq!(left, [("web-2", Code::DestinationNotIdentical), ("web-3", Code::DestinationUnfit), ("web-4", Code::DestinationTaken)]);
    assert!(choice.left_out[0].why.contains("needs 524288, has 7") && choice.left_out[0].why.contains("memory_mib"));
    assert!(choice.left_out[1].why.contains("fan"));
    assert!(choice.left_out[2].why.contains("`web-1`"));
    book.sources.destinations = [("web-1".to_owned(), to("spare-77")), ("spare-4".to_owned(), to("spare-5"))].into();
    let codes: Vec<_> = run(&book, &b.fleet).diagnostics.0.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["P005", "P002"]);
}

#[test]
fn keep_and_spread_hold_for_named_destinations_as_well() {
    let of = |rack: &'static str| {
        move |n: &mut Node| {
            n.failure_domain.rack = Some(rack.to_owned());
            n.labels.insert("app".into(), Scalar::Text("shop".into()));
        }
    };
    let mut b = Builder::default();
    b.source("web-1", of("a"));
    b.source("web-2", of("b"));
    for (name, rack) in [("spare-1", "c"), ("spare-2", "c"), ("spare-3", "d")] {
        b.spare(name, of(rack));
    }
    let mut book = runbook();
    let name = |book: &mut Runbook, list: &[(&str, &str)]| {
        book.sources.destinations = list.iter().map(|(from, to)| ((*from).to_owned(), ((*to).to_owned(), at(1)))).collect();
    };
    let left = |choice: &Choice| choice.left_out.iter().map(|l| (l.name.clone(), l.code)).collect::<Vec<_>>();
    book.pools[0].keep = 2;
    name(&mut book, &[("web-1", "spare-1"), ("web-2", "spare-2")]);
    let choice = run(&book, &b.fleet);
    assert_eq!(pairs(&choice, &b.fleet), ["web-1>spare-1/destinations"]);
    assert_eq!(left(&choice), [("web-2".to_owned(), Code::DestinationUnfit)]);
    assert!(choice.left_out[0].why.contains("`keep`"), "{}", choice.left_out[0].why);
    book.pools[0].keep = 0;
    assert_eq!(pairs(&run(&book, &b.fleet), &b.fleet).len(), 2);
    book.matching.spread =
        vec![SpreadRule { name: "apart".into(), by: expression("node.labels.app", Names::Node), domain: "rack".into(), at_most: 1 }];
    let choice = run(&book, &b.fleet);
    assert_eq!((pairs(&choice, &b.fleet), left(&choice).len()), (vec!["web-1>spare-1/destinations".to_owned()], 1));
    // Who may choose stays away from where the named one comes, and takes nobody's named one.
    name(&mut book, &[("web-1", "spare-1")]);
    assert_eq!(pairs(&run(&book, &b.fleet), &b.fleet), ["web-1>spare-1/destinations", "web-2>spare-3/any"]);
    name(&mut book, &[("web-2", "spare-3")]);
    assert_eq!(pairs(&run(&book, &b.fleet), &b.fleet), ["web-1>spare-1/any", "web-2>spare-3/destinations"]);
}

#[test]
fn the_command_line_narrows_down() {
    let mut b = Builder::default();
    b.source("web-1", |_| {});
    b.source("web-2", |_| {});
    b.spare("spare-1", |_| {});
    b.spare("spare-2", |_| {});
    let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let go = |only: Option<&[String]>, exclude: &[String]| pairs(&choose(&runbook(), &b.fleet, only, exclude), &b.fleet);
    assert_eq!(go(Some(&names(&["web-2"])), &[]), ["web-2>spare-1/any"]);
    assert_eq!(go(None, &names(&["web-2", "spare-1"])), ["web-1>spare-2/any"]);
    let choice = choose(&runbook(), &b.fleet, Some(&names(&["web-3"])), &[]);
    assert_eq!((choice.diagnostics.0[0].code, choice.pairs.len()), ("P001", 0));
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses_the_plan() {
    let mut b = Builder::default();
    b.source("web-1", tier(1));
    b.spare("spare-1", |_| {});
    let mut books = [runbook(), runbook(), runbook(), runbook()];
    books[0].matching.require = vec![when("source.labels.tier == 'one'")];
    books[1].pools = vec![pool("p", "source.labels.tier == 'one'", 0)];
    books[2].sources.select = Some(expression("node.labels.role == 1", Names::Node));
    books[3].sources.priority = Some(expression("node.labels.role | int", Names::Node));
    for book in &books {
        let choice = run(book, &b.fleet);
        assert!(choice.diagnostics.has_errors(), "{choice:?}");
        assert_eq!(choice.diagnostics.0[0].code, "P004");
    }
}
