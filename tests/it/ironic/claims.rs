//! Who may have a node, and what becomes of requests that do not end well.

use super::rack::{Rack, Trouble};
use super::*;
use coldswap::model::*;
use coldswap::ports::{Clock, Deadline, Inventory};
use std::sync::Arc;

pub const BM03: &str = "b01490e9-625d-411d-b16f-f4a9ee93c3ce";
pub const DEADLINE: &Deadline = &Deadline::NONE;

pub fn id(uuid: &str) -> NodeId {
    uuid.parse().expect("a uuid")
}

pub fn holder(run: &str) -> Holder {
    Holder { run: RunId(run.into()), switchover: SwitchoverId(1) }
}

pub fn impatient() -> IronicOptions {
    let short = Duration::from_millis(1500);
    IronicOptions { patience: short, order_patience: short, order_timeout: Duration::from_secs(2), ..IronicOptions::default() }
}

pub fn at(rack: &Rack) -> Ironic {
    Ironic::new(None, by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", rack.url())]), impatient())
}

/// A source with its volumes and two spares.
pub async fn pair() -> (Rack, Ironic) {
    let mut source = running();
    source["extra"] = json!({"rack": "a", "coldswap": {"facts": {"cpu": {"count": 2}}}});
    source["automated_clean"] = Value::Null;
    let nodes = [source, node(BM02, "bm02", json!({})), node(BM03, "bm03", json!({}))];
    let rack = Rack::start(&nodes, &[connector(1, BM01, "iqn", "iqn.2026-11.lab:db1"), target(1, BM01, json!({}))]).await;
    let ironic = at(&rack);
    (rack, ironic)
}

pub async fn reserve(ironic: &Ironic, node: &str, run: &str, claim: Option<NodeId>) -> Result<(), Fault> {
    let expect = ironic.node(id(node)).await?.generation;
    let change = Change::Reserve { node: id(node), holder: holder(run), expect, claim: claim.map(claim_of) };
    ironic.change(&change, DEADLINE).await
}

/// Reserved and in maintenance, as a switchover has them while it moves.
pub async fn held(ironic: &Ironic) {
    reserve(ironic, BM02, "r-1", Some(id(BM01))).await.expect("the spare");
    reserve(ironic, BM01, "r-1", None).await.expect("the source");
    for node in [BM01, BM02] {
        let maintenance = Some(Maintenance { reason: "switchover r-1".into() });
        let change = Change::SetMaintenance { node: id(node), holder: holder("r-1"), maintenance };
        ironic.change(&change, DEADLINE).await.expect("maintenance");
    }
}

pub async fn release(ironic: &Ironic, node: &str) -> Result<(), Fault> {
    ironic.change(&Change::Release { node: id(node), holder: holder("r-1") }, DEADLINE).await
}

#[tokio::test]
async fn a_claim_is_one_patch_and_its_release_leaves_nothing_behind() {
    let (rack, ironic) = pair().await;
    let (before, generation) = (rack.node(BM02), ironic.node(id(BM02)).await.expect("a node").generation);
    reserve(&ironic, BM02, "r-1", Some(id(BM01))).await.expect("reserved");
    let sent = rack.changes();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let claimed = rack.node(BM02);
    assert_eq!(claimed["instance_uuid"], json!(claim_of(id(BM01))));
    assert_eq!(claimed["extra"]["coldswap"], json!({"holder": {"run": "r-1", "switchover": "s-001"}, "claim": claim_of(id(BM01))}));
    assert_eq!(claimed["extra"]["rack"], "b", "what stood there stays");
    let seen = ironic.node(id(BM02)).await.expect("a node");
    assert_eq!((seen.reservation.clone(), seen.instance.clone()), (Some(holder("r-1")), None), "a claim is no instance");
    assert_eq!(seen.generation, generation, "our own claim makes no plan stale");
    reserve(&ironic, BM02, "r-1", Some(id(BM01))).await.expect("again, after a crash");
    assert_eq!(rack.changes().len(), 0);
    ironic.change(&Change::Release { node: id(BM02), holder: holder("r-2") }, DEADLINE).await.expect("nothing happens");
    assert_eq!(rack.changes().len(), 0, "it is another's");
    release(&ironic, BM02).await.expect("released");
    assert_eq!((rack.changes().len(), rack.node(BM02)), (1, before));
    // Facts that people wrote stay where they are.
    reserve(&ironic, BM01, "r-1", None).await.expect("the source");
    assert_eq!(rack.node(BM01)["extra"]["coldswap"]["facts"], json!({"cpu": {"count": 2}}));
    release(&ironic, BM01).await.expect("released");
    assert_eq!(rack.node(BM01)["extra"]["coldswap"], json!({"facts": {"cpu": {"count": 2}}}));
}

#[tokio::test]
async fn two_runs_that_want_one_spare_or_one_source() {
    // Another source's claim on the same spare; the same source's on another spare; the same source and the same spare.
    for (theirs, for_source) in [(BM02, BM03), (BM03, BM01), (BM02, BM01)] {
        let (rack, ironic) = pair().await;
        let others = at(&rack);
        // Both have looked before either writes: only Ironic's own uniqueness is between them.
        let look = async |ironic: &Ironic, node: &str| ironic.node(id(node)).await.expect("a node").generation;
        let expect = [look(&others, theirs).await, look(&ironic, BM02).await];
        let change = |node: &str, run: &str, expect, source: &str| Change::Reserve {
            node: id(node),
            holder: holder(run),
            expect,
            claim: Some(claim_of(id(source))),
        };
        let (second, first) = (change(theirs, "r-2", expect[0], for_source), change(BM02, "r-1", expect[1], BM01));
        let told = tokio::join!(others.change(&second, DEADLINE), ironic.change(&first, DEADLINE));
        let goes_on = async |ironic: &Ironic, node: &str, run: &str, told: Result<(), Fault>| {
            told?;
            tokio::time::sleep(Duration::from_millis(60)).await;
            ironic.node(id(node)).await.expect("a look");
            let maintenance = Some(Maintenance { reason: "x".into() });
            ironic.change(&Change::SetMaintenance { node: id(node), holder: holder(run), maintenance }, DEADLINE).await
        };
        let ends = [goes_on(&others, theirs, "r-2", told.0).await, goes_on(&ironic, BM02, "r-1", told.1).await];
        let lost: Vec<&Fault> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
        assert_eq!(lost.len(), 1, "{theirs} {for_source}: exactly one gets it: {lost:?}");
        assert_eq!(lost[0].kind, FaultKind::Refused);
        let words = ["another run wants", "somebody else has taken it", "reserved by"];
        assert!(words.iter().any(|w| lost[0].detail.contains(w)), "{}", lost[0]);
        let claimed = rack.world().nodes.values().filter(|n| n["extra"].get("coldswap").is_some_and(|o| o.get("claim").is_some())).count();
        assert_eq!(claimed, 1);
    }
}

/// Every store counts its runs from 1: `r-1` of one is not `r-1` of another.
#[tokio::test]
async fn a_run_of_another_store_with_the_same_number_is_another_run() {
    let (rack, _) = pair().await;
    let (ours, theirs) = (at(&rack).of_store("one"), at(&rack).of_store("two"));
    reserve(&ours, BM02, "r-1", Some(id(BM01))).await.expect("reserved");
    let told = reserve(&theirs, BM02, "r-1", Some(id(BM01))).await.expect_err("it is another's");
    assert!(told.kind == FaultKind::Refused && told.detail.contains("r-1 of store one"), "{told}");
    release(&theirs, BM02).await.expect("nothing happens");
    assert_eq!(ours.node(id(BM02)).await.expect("a node").reservation, Some(holder("r-1")));
    let seen = theirs.node(id(BM02)).await.expect("a node");
    assert_ne!(seen.reservation, Some(holder("r-1")));
    release(&ours, BM02).await.expect("released");
    reserve(&theirs, BM02, "r-1", Some(id(BM01))).await.expect("now it is free");
}

#[tokio::test]
async fn a_node_that_changed_since_the_plan_is_not_reserved() {
    for change in [("resource_class", json!("x")), ("owner", json!("p")), ("instance_uuid", json!(BM03)), ("maintenance", json!(true))] {
        let (rack, ironic) = pair().await;
        let expect = ironic.node(id(BM02)).await.expect("a node").generation;
        rack.set(BM02, change.0, change.1);
        tokio::time::sleep(Duration::from_millis(60)).await;
        let wanted = Change::Reserve { node: id(BM02), holder: holder("r-1"), expect, claim: Some(claim_of(id(BM01))) };
        assert_eq!(ironic.change(&wanted, DEADLINE).await.expect_err("stale").kind, FaultKind::Refused, "{}", change.0);
        assert!(rack.changes().is_empty(), "{}", change.0);
    }
    // Power, errors and what was said by BMCs do not count.
    let (rack, ironic) = pair().await;
    let expect = ironic.node(id(BM02)).await.expect("a node").generation;
    for (key, value) in [("last_error", json!("x")), ("health", json!("WARNING")), ("power_state", json!("power on"))] {
        rack.set(BM02, key, value);
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(ironic.node(id(BM02)).await.expect("a node").generation, expect);
    rack.world().volumes.insert("x".into(), target(9, BM02, json!({})));
    assert_ne!(at(&rack).node(id(BM02)).await.expect("a node").generation, expect, "a volume that hangs on it counts");
}

#[tokio::test]
async fn only_the_holder_changes_anything() {
    let (rack, ironic) = pair().await;
    let (node, to, other) = (id(BM01), id(BM02), holder("r-2"));
    reserve(&ironic, BM02, "r-1", Some(id(BM01))).await.expect("reserved");
    rack.changes();
    let target: TargetId = "ab7d1005-b10a-4089-a530-565000000001".parse().expect("an id");
    for change in [
        Change::SetMaintenance { node: to, holder: other.clone(), maintenance: None },
        Change::SetDebt { node: to, holder: other.clone(), debt: Some("x".into()) },
        Change::MoveTarget { target, from: node, to, holder: holder("r-1") },
        Change::SetProvisionState { node: to, target: ProvisionTarget::Active, holder: other.clone() },
        Change::Undeploy { node, holder: other.clone() },
    ] {
        let told = ironic.change(&change, DEADLINE).await.expect_err("not held");
        assert!(told.kind == FaultKind::Refused && told.detail.contains("reserved by"), "{told}");
    }
    assert!(rack.changes().is_empty());
}

#[tokio::test]
async fn what_certainly_did_nothing_is_repeated_and_nothing_else_is() {
    let locked = "Node bm02 is locked by host lab, please retry after the current operation is completed.";
    for (trouble, times, kind, requests) in [
        (Trouble::Status(409, locked), 1, None, 2),
        (Trouble::Status(503, "No free conductor workers available"), 1, None, 2),
        (Trouble::Status(409, locked), 9, Some(FaultKind::Transient), 3),
        (Trouble::Status(409, "Node x is associated with instance y."), 1, Some(FaultKind::Refused), 1),
        (Trouble::Status(400, "bad"), 1, Some(FaultKind::Refused), 1),
        (Trouble::Status(403, "policy"), 1, Some(FaultKind::Refused), 1),
        (Trouble::Status(500, "oops"), 1, Some(FaultKind::Unknown), 1),
        (Trouble::Status(502, "a proxy's"), 1, Some(FaultKind::Unknown), 1),
        (Trouble::Status(504, "a proxy's"), 1, Some(FaultKind::Unknown), 1),
        (Trouble::DoneAndFailed, 1, Some(FaultKind::Unknown), 1),
        (Trouble::DoneAndCut, 1, Some(FaultKind::Unknown), 1),
    ] {
        let (rack, ironic) = pair().await;
        rack.trouble("PATCH ", trouble, times);
        let told = reserve(&ironic, BM02, "r-1", Some(id(BM01))).await;
        assert_eq!(told.as_ref().err().map(|f| f.kind), kind, "{told:?}");
        assert_eq!(rack.changes().len(), requests, "{told:?}");
        if let (Err(fault), Trouble::Status(..)) = (&told, trouble) {
            assert!(fault.detail.contains("req-17"), "{fault}");
        }
    }
    let gone = Ironic::new(None, by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", "http://127.0.0.1:9")]), impatient());
    assert_eq!(release(&gone, BM02).await.expect_err("nobody listens").kind, FaultKind::Transient);
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        Time(100)
    }
}

#[tokio::test]
async fn nothing_is_sent_after_the_lease_has_ended() {
    let (rack, ironic) = pair().await;
    reserve(&ironic, BM02, "r-1", Some(id(BM01))).await.expect("reserved");
    rack.changes();
    let over = Deadline::new(1, Arc::new(Stopped), Time(50));
    let told = ironic.change(&Change::Release { node: id(BM02), holder: holder("r-1") }, &over).await.expect_err("too late");
    assert!(told.kind == FaultKind::Transient && told.detail.contains("lease"), "{told}");
    assert!(rack.changes().is_empty());
}
