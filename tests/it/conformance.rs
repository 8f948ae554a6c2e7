//! The contract of an inventory, as cases that every implementation must pass.

use coldswap::adapter::inventory_memory::MemoryInventory;
use coldswap::adapter::store_sqlite::SqliteStore;
use coldswap::model::*;
use coldswap::ports::{Deadline, Inventory};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn holder(n: u32) -> Holder {
    Holder { run: RunId(format!("r-{n}")), switchover: SwitchoverId(n) }
}

pub fn id(name: &str) -> NodeId {
    NodeId::derived(name)
}

pub fn instance() -> Instance {
    Instance { uuid: NodeId::derived("instance").0, name: Some("shop-db".into()) }
}

/// `web` with an instance, an IQN, a burned-in WWPN and two targets; `spare` and `other` with nothing.
pub fn documents() -> Vec<NodeRecord> {
    let node = |name: &str, state| Node { provision_state: state, ..Node::named(name, &format!("https://{name}")) };
    let connector = |kind: ConnectorKind, text: &str| VolumeConnector {
        id: ConnectorId::derived(text),
        node: id("web"),
        kind,
        connector_id: text.into(),
        burned_in: kind.burned_in_by_default(),
        generation: Generation(0),
    };
    let target = |boot_index: u32, volume: &str| VolumeTarget {
        id: TargetId::derived(volume),
        node: id("web"),
        volume_type: VolumeType::Iscsi,
        boot_index,
        volume_id: volume.into(),
        properties: BTreeMap::from([("target_iqn".into(), Scalar::Text("iqn.2026-01.example:v".into()))]),
        shareable: false,
        generation: Generation(0),
    };
    let mut web = node("web", ProvisionState::Active);
    web.instance = Some(instance());
    web.bmc.password = Some(SecretRef::Env("BMC_PASSWORD".into()));
    let connectors = vec![connector(ConnectorKind::Iqn, "iqn.2026-01.example:web"), connector(ConnectorKind::Wwpn, "50014380aa000001")];
    let bare = |name: &str| NodeRecord { node: node(name, ProvisionState::Manageable), connectors: vec![], targets: vec![] };
    vec![NodeRecord { node: web, connectors, targets: vec![target(0, "boot"), target(1, "data")] }, bare("spare"), bare("other")]
}

fn memory() -> MemoryInventory {
    let inventory = MemoryInventory::default();
    inventory.with(|fleet| fleet.import(documents(), ImportMode::Merge, Generation(0))).expect("import");
    inventory
}

fn sqlite() -> SqliteStore {
    let store = SqliteStore::in_memory().expect("store");
    store.import(documents(), ImportMode::Merge).expect("import");
    store
}

fn every() -> [Arc<dyn Inventory>; 2] {
    [Arc::new(memory()), Arc::new(sqlite())]
}

fn reserve(node: &str, by: u32, expect: u64) -> Change {
    Change::Reserve { node: id(node), holder: holder(by), expect: Generation(expect), claim: None }
}

fn release(node: &str, by: u32) -> Change {
    Change::Release { node: id(node), holder: holder(by) }
}

fn move_target(to: &str, by: u32) -> Change {
    Change::MoveTarget { target: TargetId::derived("boot"), from: id("web"), to: id(to), holder: holder(by) }
}

fn move_instance(by: u32) -> Change {
    let (from_state, to_state) = (ProvisionState::Manageable, ProvisionState::Active);
    Change::MoveInstance { instance: Some(instance()), from: id("web"), to: id("spare"), from_state, to_state, holder: holder(by) }
}

async fn refused(inventory: &dyn Inventory, change: &Change, parts: &[&str]) {
    let before = inventory.fleet().await.expect("fleet");
    let fault = inventory.change(change, &Deadline::NONE).await.expect_err(&format!("{change:?} must be refused"));
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    for part in parts {
        assert!(fault.detail.contains(part), "`{part}` is not in: {fault}");
    }
    let after = Fleet { captured_at: before.captured_at, ..inventory.fleet().await.expect("fleet") };
    assert_eq!(after, before, "a refusal changes nothing");
}

async fn good(inventory: &dyn Inventory, changes: &[Change]) {
    for change in changes {
        inventory.change(change, &Deadline::NONE).await.unwrap_or_else(|fault| panic!("{change:?}: {fault}"));
    }
}

async fn generation(inventory: &dyn Inventory, name: &str) -> u64 {
    inventory.node(id(name)).await.expect("node").generation.0
}

#[tokio::test]
async fn a_node_has_one_holder() {
    for inventory in every() {
        let inventory = inventory.as_ref();
        good(inventory, &[reserve("web", 1, 0), reserve("web", 1, 0), reserve("web", 1, 99)]).await;
        refused(inventory, &reserve("web", 2, 0), &["`web`", "`r-1/s-001`"]).await;
        good(inventory, &[release("web", 2)]).await;
        assert_eq!(inventory.node(id("web")).await.expect("web").reservation, Some(holder(1)), "only the holder gives back");
        good(inventory, &[release("web", 1), release("web", 1), reserve("web", 2, 0)]).await;
        refused(inventory, &reserve("nobody", 1, 0), &["no node"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_reserve_at_once_one_wins() {
    for inventory in every() {
        let race = (1..=16).map(|n| {
            let inventory = inventory.clone();
            tokio::spawn(async move { inventory.change(&reserve("spare", n, 0), &Deadline::NONE).await.is_ok() })
        });
        let mut winners = 0;
        for one in race.collect::<Vec<_>>() {
            winners += usize::from(one.await.expect("task"));
        }
        assert_eq!(winners, 1);
    }
}

#[tokio::test]
async fn a_stale_generation_is_refused_and_only_what_a_plan_rests_on_is_counted() {
    for inventory in every() {
        let inventory = inventory.as_ref();
        let set = |maintenance| Change::SetMaintenance { node: id("web"), holder: holder(1), maintenance };
        let reason = Some(Maintenance { reason: "r".into() });
        good(inventory, &[reserve("web", 1, 0), reserve("spare", 1, 0), set(reason), set(None)]).await;
        assert_eq!(generation(inventory, "web").await, 0, "a run that came to nothing makes no other plan stale");
        good(inventory, &[move_target("spare", 1), move_instance(1)]).await;
        assert_eq!((generation(inventory, "web").await, generation(inventory, "spare").await), (2, 2));
        good(inventory, &[move_target("spare", 1), move_instance(1)]).await;
        assert_eq!((generation(inventory, "web").await, generation(inventory, "spare").await), (2, 2), "what is already so counts nothing");
        let debt = Change::SetDebt { node: id("web"), holder: holder(1), debt: Some("never power on".into()) };
        good(inventory, &[debt.clone(), debt, release("web", 1), release("spare", 1)]).await;
        refused(inventory, &reserve("web", 2, 0), &["generation 3", "generation 0"]).await;
        good(inventory, &[reserve("web", 2, 3)]).await;
    }
}

#[tokio::test]
async fn a_move_needs_both_ends_and_the_record_at_one_of_them() {
    for inventory in every() {
        let inventory = inventory.as_ref();
        refused(inventory, &move_target("spare", 1), &["`web` is not reserved"]).await;
        good(inventory, &[reserve("web", 1, 0), reserve("spare", 2, 0)]).await;
        refused(inventory, &move_target("spare", 1), &["`spare`", "`r-2/s-002`"]).await;
        refused(inventory, &move_instance(1), &["`spare`", "`r-2/s-002`"]).await;
        good(inventory, &[release("spare", 2), reserve("spare", 1, 0), move_target("spare", 1)]).await;
        let moved = inventory.target(TargetId::derived("boot")).await.expect("target");
        assert_eq!((moved.node, moved.generation), (id("spare"), Generation(1)));
        good(inventory, &[reserve("other", 1, 0)]).await;
        refused(inventory, &move_target("other", 1), &["`spare`", "`web`", "`other`"]).await;
        good(inventory, &[move_instance(1)]).await;
        let elsewhere = Change::MoveInstance {
            instance: Some(instance()),
            from: id("web"),
            to: id("other"),
            from_state: ProvisionState::Manageable,
            to_state: ProvisionState::Active,
            holder: holder(1),
        };
        refused(inventory, &elsewhere, &["it is at node `spare`"]).await;
    }
}

#[tokio::test]
async fn a_burned_in_connector_stays_and_a_virtual_one_moves() {
    for inventory in every() {
        let inventory = inventory.as_ref();
        good(inventory, &[reserve("web", 1, 0), reserve("spare", 1, 0)]).await;
        let connector = |text: &str| Change::MoveConnector {
            connector: ConnectorId::derived(text),
            from: id("web"),
            to: id("spare"),
            holder: holder(1),
        };
        refused(inventory, &connector("50014380aa000001"), &["burned into node `web`"]).await;
        refused(inventory, &connector("unheard of"), &["no volume connector"]).await;
        good(inventory, &[connector("iqn.2026-01.example:web"), connector("iqn.2026-01.example:web")]).await;
        let moved = inventory.connector(ConnectorId::derived("iqn.2026-01.example:web")).await.expect("connector");
        assert_eq!((moved.node, moved.generation), (id("spare"), Generation(1)));
    }
}

#[tokio::test]
async fn the_same_volume_is_found_whatever_it_is_called() {
    for inventory in every() {
        let others = inventory.same_volume(TargetId::derived("boot")).await.expect("targets");
        assert_eq!(others.iter().map(|t| t.volume_id.as_str()).collect::<Vec<_>>(), ["data"], "one IQN and LUN, two volume ids");
        assert_eq!(inventory.same_volume(TargetId::derived("nothing")).await.expect_err("fault").kind, FaultKind::Refused);
    }
}

fn report(serial: Option<&str>, model: &str) -> SystemReport {
    let mut report = SystemReport::default();
    report.reading.identity.serial_number = serial.map(Into::into);
    report.facts.model = Some(model.into());
    report
}

#[tokio::test]
async fn what_a_bmc_says_is_learnt_unless_another_machine_answers() {
    for inventory in every() {
        inventory.learn(id("web"), &report(Some("S1"), "C1"), Time(5)).await.expect("first");
        inventory.learn(id("web"), &report(Some("S1"), "C1"), Time(6)).await.expect("the same again");
        let node = inventory.node(id("web")).await.expect("web");
        assert_eq!((node.generation, node.facts_at), (Generation(0), Some(Time(6))), "a plan names the facts that it rests on");
        assert_eq!(node.identity.serial_number.as_deref(), Some("S1"));
        let fault = inventory.learn(id("web"), &report(Some("S2"), "C2"), Time(7)).await.expect_err("another machine");
        assert!(fault.kind == FaultKind::Refused && fault.detail.contains("`S1`") && fault.detail.contains("`S2`"), "{fault}");
        assert_eq!(inventory.node(id("web")).await.expect("web"), node, "nothing of it is remembered");
        inventory.learn(id("web"), &report(None, "C3"), Time(8)).await.expect("no identity");
        let node = inventory.node(id("web")).await.expect("web");
        assert_eq!((node.identity.serial_number.as_deref(), node.live_facts.model.as_deref()), (Some("S1"), Some("C3")));
    }
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Act {
    Change(Box<Change>),
    Learn(NodeId, Option<String>, String),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let node = || prop::sample::select(vec!["web", "spare", "other", "nobody"]).prop_map(id);
    let by = || (1u32..3).prop_map(holder);
    let connector = prop::sample::select(vec!["iqn.2026-01.example:web", "50014380aa000001"]).prop_map(ConnectorId::derived);
    let target = prop::sample::select(vec!["boot", "data", "nothing"]).prop_map(TargetId::derived);
    let state = || prop::sample::select(vec![ProvisionState::Active, ProvisionState::Manageable]);
    let change = prop_oneof![
        6 => (node(), by(), 0u64..3).prop_map(|(node, holder, n)| Change::Reserve { node, holder, expect: Generation(n), claim: None }),
        2 => (node(), by()).prop_map(|(node, holder)| Change::Release { node, holder }),
        1 => (node(), by(), any::<bool>()).prop_map(|(node, holder, set)| Change::SetMaintenance {
            node,
            holder,
            maintenance: set.then(|| Maintenance { reason: "r".into() }),
        }),
        1 => (node(), by(), any::<bool>())
            .prop_map(|(node, holder, set)| Change::SetDebt { node, holder, debt: set.then(|| "owed".to_owned()) }),
        3 => (connector, node(), node(), by()).prop_map(|(connector, from, to, holder)| Change::MoveConnector { connector, from, to, holder }),
        3 => (target, node(), node(), by()).prop_map(|(target, from, to, holder)| Change::MoveTarget { target, from, to, holder }),
        3 => (any::<bool>(), node(), node(), state(), state(), by()).prop_map(|(some, from, to, from_state, to_state, holder)| {
            Change::MoveInstance { instance: some.then(instance), from, to, from_state, to_state, holder }
        }),
        1 => (node(), prop::sample::select(ProvisionTarget::ALL.to_vec()), by())
            .prop_map(|(node, target, holder)| Change::SetProvisionState { node, target, holder }),
        1 => (node(), by()).prop_map(|(node, holder)| Change::Undeploy { node, holder }),
    ];
    let learn = (node(), prop::option::of("[AB]"), "[CD]").prop_map(|(node, serial, model)| Act::Learn(node, serial, model));
    prop::collection::vec(prop_oneof![8 => change.prop_map(|c| Act::Change(Box::new(c))), 1 => learn], 1..60)
}

async fn act(inventory: &dyn Inventory, act: &Act) -> Result<(), Fault> {
    match act {
        Act::Change(change) => inventory.change(change, &Deadline::NONE).await,
        Act::Learn(node, serial, model) => inventory.learn(*node, &report(serial.as_deref(), model), Time(1)).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_inventory_tells_the_same_story(history in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let (memory, sqlite) = (memory(), sqlite());
            for step in &history {
                prop_assert_eq!(act(&memory, step).await, act(&sqlite, step).await, "{:?}", step);
            }
            let (mut one, mut two) = (memory.fleet().await.expect("fleet"), sqlite.fleet().await.expect("fleet"));
            (one.captured_at, two.captured_at) = (Time(0), Time(0));
            prop_assert_eq!(&one, &two);
            for target in one.targets.keys() {
                prop_assert_eq!(memory.same_volume(*target).await, sqlite.same_volume(*target).await);
            }
            for node in one.nodes.keys() {
                prop_assert_eq!(memory.targets_at(*node).await, sqlite.targets_at(*node).await);
            }
            Ok(())
        })?;
    }
}
