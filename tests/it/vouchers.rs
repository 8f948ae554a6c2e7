//! What a plan makes of the levels of a fence: who is kept, who is left out, and what is shown.

use crate::crash::runbook;
use coldswap_sim::model::*;
use coldswap_sim::plan::{LeftOutCode, Plan, Request, plan, render};
use coldswap_sim::runbook::*;
use coldswap_sim::sim::fleet;
use coldswap_sim::step::{Context, FenceLevel, Observation, Step, Verdict};
use std::collections::BTreeMap;

fn agent(name: &str, options: &[(&str, &str)]) -> AgentTemplate {
    let template = |text: &str| Template::parse(text, Names::Switchover, &BTreeMap::new()).expect("a template");
    let options = options.iter().map(|(n, t)| ((*n).to_owned(), SensitiveTemplate::Plain(template(t)))).collect();
    AgentTemplate { name: name.into(), options, at: 0..0, options_at: BTreeMap::new() }
}

/// Two pairs in disaster mode; the first source's BMC is silent.
fn planned(levels: Vec<VoucherTemplate>, change: impl FnOnce(&mut Fleet)) -> Plan {
    planned_by(BootVia::RedfishIscsi, levels, change)
}

fn planned_by(via: BootVia, levels: Vec<VoucherTemplate>, change: impl FnOnce(&mut Fleet)) -> Plan {
    let (mut fleet, ends) = fleet(2, 1);
    for (n, (source, _)) in ends.iter().enumerate() {
        let labels = &mut fleet.nodes.get_mut(source).expect("a source").labels;
        labels.insert("outlet".into(), Scalar::Text(format!("{n}")));
    }
    fleet.live.insert(ends[0].0, Live::Silent(Fault::transient("no route to host")));
    change(&mut fleet);
    let mut book = runbook(&fleet, &ends, 2, Span::millis(300));
    book.mode = Mode::Disaster;
    book.boot.via = Some(via);
    book.sources.left_out = Some(LeftOutPolicy::Allow);
    book.vouchers = Vouchers { bmc_not_enough: false, silent: None, levels };
    let request = Request {
        id: "p-1".into(),
        store: "store".into(),
        now: fleet.captured_at,
        landing: Default::default(),
        only: Vec::new(),
        exclude: Vec::new(),
        allow_storm: false,
        allow_boot_cleared: Vec::new(),
        home: Default::default(),
    };
    plan(&book, &fleet, &request).unwrap_or_else(|wrong| panic!("{wrong:?}")).0
}

fn codes(plan: &Plan) -> Vec<LeftOutCode> {
    plan.left_out.iter().map(|l| l.code).collect()
}

#[test]
fn a_silent_source_is_kept_in_a_disaster_with_whom_the_runbook_names() {
    assert_eq!(codes(&planned(Vec::new(), |_| ())), [LeftOutCode::SilentInDisaster]);
    let agents = VoucherTemplate::Agents(vec![agent("fence_apc", &[("ip", "10.0.0.9"), ("plug", "{{ source.labels.outlet }}")])]);
    let plan = planned(vec![agents, VoucherTemplate::Attestation { expires: Span::mins(30) }], |_| ());
    assert_eq!((codes(&plan), plan.switchovers.len()), (Vec::new(), 2));
    let text = render(&plan);
    for part in [
        "where it is silent for 1m: fence_apc 0 at 10.0.0.9 off, read back, then a person's attestation (counts 30m)",
        "warning: the BMC of `source-00` is silent (no route to host)",
        "debt",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).expect("json")).expect("a plan");
    assert_eq!(again, plan);
}

/// Nobody could read what a silent machine's firmware opens, also where nothing of ours would take it away.
#[test]
fn a_silent_source_owes_its_boot_configuration_however_it_boots() {
    let owes = |plan: &Plan, at: usize| {
        let steps = &plan.switchovers[at].steps;
        steps.iter().find_map(|s| if let Step::NoteDebt(note) = s { Some(note.settings.clone()) } else { None })
    };
    for via in [BootVia::RedfishIscsi, BootVia::RedfishOverride, BootVia::None] {
        let plan = planned_by(via, vec![VoucherTemplate::Attestation { expires: Span::mins(30) }], |_| ());
        assert_eq!((codes(&plan), plan.switchovers.len()), (Vec::new(), 2), "{via:?}");
        let settings = owes(&plan, 0).unwrap_or_else(|| panic!("{via:?}: nothing is owed"));
        if via == BootVia::None {
            assert_eq!(settings, BootSettings::default());
            // The other's BMC answers: nothing of it is ours to clear, and nothing is unknown.
            assert_eq!(owes(&plan, 1), None);
        }
    }
}

/// No agent and nobody's word counts against a BMC that is there: such a node would only go back, after its hooks have run.
#[test]
fn a_source_whose_bmc_refuses_to_answer_is_left_out() {
    let refuses = |fleet: &mut Fleet| {
        let source = fleet.nodes.values().find(|n| n.name == "source-00").expect("a source").id;
        fleet.live.insert(source, Live::Silent(Fault::refused("401 Unauthorized")));
    };
    for levels in [Vec::new(), vec![VoucherTemplate::Attestation { expires: Span::mins(30) }]] {
        let plan = planned(levels, refuses);
        assert_eq!((codes(&plan), plan.switchovers.len()), (vec![LeftOutCode::BmcRefuses], 1));
        let why = &plan.left_out[0].why;
        assert!(why.contains("401 Unauthorized") && why.contains("account") && why.contains("source-00"), "{why}");
    }
}

#[test]
fn an_outlet_that_switches_another_node_is_refused() {
    let by_label =
        || vec![VoucherTemplate::Agents(vec![agent("fence_apc", &[("ip", "10.0.0.9"), ("plug", "{{ source.labels.outlet }}")])])];
    let same = |fleet: &mut Fleet| {
        let spare = fleet.nodes.values_mut().find(|n| n.name == "spare-01").expect("a spare");
        spare.labels.insert("outlet".into(), Scalar::Text("0".into()));
    };
    let plan = planned(by_label(), same);
    assert_eq!(codes(&plan), [LeftOutCode::PlugShared]);
    assert!(plan.left_out[0].why.contains("`spare-01` as well as `source-00`"), "{}", plan.left_out[0].why);
    // Written out, it is meant for the sources of the plan, of which there are two.
    let plan = planned(vec![VoucherTemplate::Agents(vec![agent("fence_apc", &[("plug", "7")])])], |_| ());
    assert_eq!(codes(&plan), [LeftOutCode::PlugShared, LeftOutCode::PlugShared]);
}

#[test]
fn a_node_that_lacks_what_an_agent_is_told_is_left_out_alone() {
    let level = VoucherTemplate::Agents(vec![agent("fence_apc", &[("plug", "{{ source.labels.outlet }}")])]);
    let plan = planned(vec![level], |fleet| {
        for node in fleet.nodes.values_mut().filter(|n| n.name == "source-01") {
            node.labels.clear();
        }
    });
    assert_eq!((codes(&plan), plan.switchovers.len()), (vec![LeftOutCode::FenceIncomplete], 1));
}

#[test]
fn one_outlet_named_for_two_feeds_is_told() {
    let feed = || agent("fence_apc", &[("ip", "10.0.0.9"), ("plug", "{{ source.labels.outlet }}")]);
    let plan = planned(vec![VoucherTemplate::Agents(vec![feed(), feed()])], |_| ());
    assert!(plan.switchovers[0].warnings.iter().any(|w| w.contains("stands twice")), "{:?}", plan.switchovers[0].warnings);
}

#[test]
fn the_restore_policy_is_set_where_the_bmc_offers_one_and_given_back() {
    let plan = planned(Vec::new(), |fleet| {
        for live in fleet.live.values_mut() {
            if let Live::Answered { reading, .. } = live {
                reading.restore_policy = Some(PowerRestorePolicy::LastState);
            }
        }
    });
    let steps = &plan.switchovers[0].steps;
    let at = steps.iter().position(|s| matches!(s, Step::SetRestorePolicy(_))).expect("the step");
    assert!(matches!(steps[at - 1], Step::PowerOff(_)) && matches!(steps[at + 1], Step::Fence(_)));
    let Step::SetRestorePolicy(set) = &steps[at] else { panic!("the step") };
    assert_eq!((set.policy, set.was), (PowerRestorePolicy::AlwaysOff, PowerRestorePolicy::LastState));
    assert!(!plan.switchovers[0].warnings.iter().any(|w| w.contains("restore policy")), "{:?}", plan.switchovers[0].warnings);
}

#[test]
fn an_agent_that_would_be_told_of_the_destination_vouches_for_nothing() {
    let level = VoucherTemplate::Agents(vec![agent("fence_apc", &[("plug", "{{ destination.labels.outlet }}")])]);
    let plan = planned(vec![level], |fleet| {
        fleet.nodes.values_mut().for_each(|n| drop(n.labels.insert("outlet".into(), Scalar::Text(n.name.clone()))));
    });
    assert_eq!((codes(&plan), plan.switchovers.len()), (vec![LeftOutCode::FenceIncomplete; 2], 0));
}

#[test]
fn neither_case_nor_spaces_tell_two_outlets_apart() {
    let level = VoucherTemplate::Agents(vec![agent("fence_apc", &[("ip", "10.0.0.9"), ("plug", "{{ source.labels.outlet }}")])]);
    let plan = planned(vec![level], |fleet| {
        for (name, outlet) in [("source-00", "A1"), ("spare-01", "a1 ")] {
            let node = fleet.nodes.values_mut().find(|n| n.name == name).expect("a node");
            node.labels.insert("outlet".into(), Scalar::Text(outlet.into()));
        }
    });
    assert_eq!(codes(&plan), [LeftOutCode::PlugShared]);
}

/// What the fence of a silent source says at the level of a person's word, given at second 100.
fn attested(spoke: Option<u64>, mark: Option<(ResetType, u64)>, silence: Fault) -> Verdict {
    let plan = planned(Vec::new(), |fleet| fleet.live.values_mut().for_each(|_| ()));
    let mut fence = plan.switchovers[0].steps.iter().find_map(|s| s.fence().cloned()).expect("a fence");
    fence.levels = vec![FenceLevel::Attestation { expires: Span::mins(30) }];
    // Times count from 0 here, long before the plan was made.
    fence.seen_on = None;
    let at = |s: u64| Time(0) + Span::secs(s);
    let holder = Holder { run: "r-1".into(), switchover: SwitchoverId(1) };
    let (mut source, mut destination) = {
        let (fleet, ends) = fleet(1, 1);
        (fleet.nodes[&ends[0].0].clone(), fleet.nodes[&ends[0].1].clone())
    };
    (source.id, destination.id) = (fence.pair.source.node, fence.pair.destination.node);
    source.reservation = Some(holder.clone());
    destination.reservation = Some(holder.clone());
    source.power_mark = mark.map(|(reset, sent)| PowerMark { reset, sent_at: at(sent), lands_by: at(sent) });
    let word = Attestation {
        id: 1,
        node: source.id,
        by: "kim".into(),
        reason: "looked".into(),
        at: at(100),
        expires_at: at(10_000),
        used_by: Some(holder.clone()),
    };
    let cx = Context { level: 1, spoke: spoke.map(at), ..Context::fresh(holder, 1, at(200)) };
    let node = |n: Node| Observation::Node(std::sync::Arc::new(n), None);
    let seen = [Observation::Unreadable(silence), node(source), node(destination), Observation::Attestation(Some(Box::new(word)))];
    Step::Fence(fence).evaluate(&cx, &seen)
}

#[test]
fn an_attestation_does_not_count_after_an_on_or_against_a_bmc_that_refuses_to_say() {
    let silent = || Fault::transient("no route to host");
    assert_eq!(attested(None, None, silent()), Verdict::Satisfied);
    assert_eq!(attested(Some(99), Some((ResetType::On, 99)), silent()), Verdict::Satisfied);
    assert_eq!(attested(None, Some((ResetType::ForceOff, 150)), silent()), Verdict::Satisfied);
    let refused = |verdict: Verdict| match verdict {
        Verdict::Wait(why) => why.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(attested(Some(150), None, silent())), ReasonCode::NotAttested, "seen On since");
    assert_eq!(refused(attested(None, Some((ResetType::On, 150)), silent())), ReasonCode::NotAttested, "told On since");
    assert_eq!(refused(attested(None, None, Fault::refused("401"))), ReasonCode::Silent, "a locked account is no silence");
    assert_eq!(refused(attested(None, None, Fault::answered("503"))), ReasonCode::Silent, "nor is a BMC in trouble");
}

/// `plug=` and nothing after it is no outlet: which one an agent then takes is its device's affair.
#[test]
fn a_blank_plug_is_no_plug() {
    for option in ["plug", "port", "nodename", "ip", "ipaddr"] {
        for blank in ["", " ", "\t"] {
            let options = [(option, "{{ source.labels.outlet }}"), ("ssl", "1")];
            let plan = planned(vec![VoucherTemplate::Agents(vec![agent("fence_apc", &options)])], |fleet| {
                let second =
                    fleet.nodes.values_mut().find(|n| n.labels.get("outlet") == Some(&Scalar::Text("1".into()))).expect("a source");
                second.labels.insert("outlet".into(), Scalar::Text(blank.into()));
            });
            assert_eq!(codes(&plan), [LeftOutCode::FenceIncomplete], "{option}={blank:?}");
            let why = &plan.left_out[0].why;
            assert!(why.contains(&format!("option `{option}`")) && why.contains("blank"), "{why}");
            assert_eq!(plan.switchovers.len(), 1, "the other one has an outlet");
        }
    }
}

/// Off, nothing open, and a boot volume in the records: so a switchover leaves its source, and an old inventory file makes
/// the rest.
#[test]
fn a_source_that_looks_switched_over_is_left_out() {
    let looks = |power: PowerState, iscsi: Option<IscsiBoot>| {
        move |fleet: &mut Fleet| {
            let second = fleet.nodes.values().find(|n| n.labels.get("outlet") == Some(&Scalar::Text("1".into()))).expect("a source").id;
            let Some(Live::Answered { reading, boot }) = fleet.live.get_mut(&second) else { panic!("it answers") };
            (reading.power, boot.iscsi) = (power, iscsi);
        }
    };
    let word = || vec![VoucherTemplate::Attestation { expires: Span::mins(30) }];
    let plan = planned(word(), looks(PowerState::Off, Some(IscsiBoot::default())));
    assert_eq!(codes(&plan), [LeftOutCode::BootCleared]);
    let why = &plan.left_out[0].why;
    assert!(why.contains("opens nothing") && why.contains("--allow-boot-cleared"), "{why}");
    // Dead as it was, of unknown firmware, or on and booted by other means: nothing is odd.
    let opens = |fleet: &mut Fleet| {
        let second = fleet.nodes.values().find(|n| n.labels.get("outlet") == Some(&Scalar::Text("1".into()))).expect("a source").id;
        if let Some(Live::Answered { reading, .. }) = fleet.live.get_mut(&second) {
            reading.power = PowerState::Off;
        }
    };
    assert_eq!(codes(&planned(word(), opens)), []);
    assert_eq!(codes(&planned(word(), looks(PowerState::Off, None))), []);
    assert_eq!(codes(&planned(word(), looks(PowerState::On, Some(IscsiBoot::default())))), []);
    assert_eq!(codes(&planned_by(BootVia::None, word(), looks(PowerState::Off, Some(IscsiBoot::default())))), []);
}
