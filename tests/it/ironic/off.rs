//! Power through Ironic: what is sent, and when an Off is proven.

use super::claims::{DEADLINE, at, pair};
use super::rack::Rack;
use super::*;
use coldswap::model::*;
use coldswap::ports::Bmc;

const REFUSED: &str = "Redfish exception occurred. Error: Unable to connect to http://192.0.2.9. Error: Connection refused";

fn bmc(node: &str) -> BmcEndpoint {
    Node::named("x", &format!("ironic:{node}")).bmc
}

async fn proof(ironic: &Ironic, node: &str) -> Result<PowerState, Fault> {
    ironic.confirm_off(&bmc(node), DEADLINE).await.map(|reading| reading.power)
}

fn offs(rack: &Rack) -> usize {
    rack.changes().iter().filter(|(line, body)| line.ends_with("/states/power") && body["target"] == "power off").count()
}

#[tokio::test]
async fn an_off_in_maintenance_is_proven_by_a_power_off_and_by_nothing_else() {
    let (rack, ironic) = pair().await;
    rack.set(BM02, "maintenance", json!(true));
    let seen = ironic.read(&bmc(BM02)).await.expect("a reading");
    assert_eq!((seen.power, seen.recorded), (PowerState::Unknown, Some(PowerState::Off)), "nobody looks");
    assert_eq!(proof(&ironic, BM02).await, Ok(PowerState::Off));
    assert_eq!(offs(&rack), 1);
    assert_eq!(proof(&ironic, BM02).await, Ok(PowerState::Off));
    assert_eq!(offs(&rack), 0, "nothing gets from a start to a write so soon");
    tokio::time::sleep(Duration::from_millis(3100)).await;
    // A feed came back, and Ironic's record does not know.
    rack.world().machines.get_mut(BM02).expect("a machine").on = true;
    assert_eq!(proof(&ironic, BM02).await, Ok(PowerState::Off));
    assert!(!rack.world().machines[BM02].on, "it is off again");
    assert_eq!(offs(&rack), 1);
    // After something else was sent, what was seen is over.
    ironic.reset(&bmc(BM02), ResetType::ForceOff, DEADLINE).await.expect("accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
    rack.changes();
    assert_eq!(proof(&ironic, BM02).await, Ok(PowerState::Off));
    assert_eq!(offs(&rack), 1);
    // One that will not go off, and that Ironic had as off.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    {
        let mut world = rack.world();
        let machine = world.machines.get_mut(BM02).expect("a machine");
        (machine.on, machine.stuck) = (true, true);
    }
    let told = proof(&ironic, BM02).await;
    assert!(told.as_ref().is_err_and(|f| f.kind == FaultKind::Answered) || told == Ok(PowerState::On), "{told:?}");
    assert_eq!(proof(&ironic, BM02).await, Ok(PowerState::On), "and now it is recorded");
}

#[tokio::test]
async fn a_look_sends_nothing_while_on_is_recorded_or_anybody_is_at_work() {
    let (rack, ironic) = pair().await;
    assert_eq!(proof(&ironic, BM01).await, Ok(PowerState::On));
    rack.set(BM01, "maintenance", json!(true));
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(proof(&ironic, BM01).await, Ok(PowerState::On), "believing it only ever stops us");
    for (key, value, seen) in [
        ("target_power_state", json!("power on"), PowerState::PoweringOn),
        ("target_power_state", json!("power off"), PowerState::PoweringOff),
        ("reservation", json!("lab"), PowerState::Unknown),
    ] {
        let before = rack.node(BM02)[key].clone();
        rack.set(BM02, key, value);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(proof(&ironic, BM02).await, Ok(seen), "{key}");
        rack.set(BM02, key, before);
    }
    assert!(rack.changes().is_empty());
    // One that this process has told to start, whatever its record says by now.
    ironic.reset(&bmc(BM02), ResetType::On, DEADLINE).await.expect("accepted");
    tokio::time::sleep(Duration::from_millis(150)).await;
    rack.set(BM02, "power_state", json!("power off"));
    rack.changes();
    assert_eq!(proof(&ironic, BM02).await, Ok(PowerState::Off), "as recorded, and not proven");
    assert!(rack.changes().is_empty());
}

#[tokio::test]
async fn a_bmc_that_nobody_reaches_is_silent_and_one_that_answers_anything_is_not() {
    let (rack, ironic) = pair().await;
    let dead = |why| rack.world().machines.get_mut(BM02).expect("a machine").dead = Some(why);
    dead(REFUSED);
    let told = proof(&ironic, BM02).await.expect_err("dead");
    assert!(told.is_silence() && told.detail.contains("Connection refused") && told.detail.contains("bm02"), "{told}");
    rack.changes();
    assert_eq!(proof(&ironic, BM02).await, Err(told), "it stands for a while: Ironic needs 31 s to say so");
    assert_eq!(offs(&rack), 0);
    for why in ["HTTP GET http://192.0.2.9 returned code 401. Base.1.0.AccessDenied", "HTTP POST returned code 503. unknown error"] {
        dead(why);
        let told = proof(&at(&rack), BM02).await.expect_err("it answers");
        assert_eq!(told.kind, FaultKind::Answered, "{told}");
    }
    // An error of something else that was left there says nothing.
    rack.world().machines.get_mut(BM02).expect("a machine").dead = None;
    rack.set(BM02, "last_error", json!("Failed to adopt"));
    assert_eq!(proof(&at(&rack), BM02).await, Ok(PowerState::Off));
    // Ironic's own silence is not its machines'.
    let gone = Ironic::new(None, by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", "http://127.0.0.1:9")]), quick());
    assert_eq!(gone.confirm_off(&bmc(BM02), DEADLINE).await.expect_err("nobody listens").kind, FaultKind::Answered);
}

#[tokio::test]
async fn each_order_is_the_word_that_ironic_has_for_it() {
    let (rack, ironic) = pair().await;
    for (reset, path, body) in [
        (ResetType::GracefulShutdown, "states/power", json!({"target": "soft power off", "timeout": 30})),
        (ResetType::ForceOff, "states/power", json!({"target": "power off"})),
        (ResetType::On, "states/power", json!({"target": "power on"})),
        (ResetType::Nmi, "management/inject_nmi", json!({})),
    ] {
        ironic.reset(&bmc(BM01), reset, DEADLINE).await.expect("accepted");
        assert_eq!(rack.changes(), [(format!("PUT /v1/nodes/{BM01}/{path}"), body)]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let boots = |target: &str| BootSettings {
        boot_override: Some(BootOverride { target: Some(target.into()), enabled: Some("Continuous".into()) }),
        ..BootSettings::default()
    };
    for (target, device) in [("Pxe", "pxe"), ("Hdd", "disk")] {
        ironic.set_boot(&bmc(BM02), &boots(target), DEADLINE).await.expect("set");
        let body = json!({"boot_device": device, "persistent": true});
        assert_eq!(rack.changes(), [(format!("PUT /v1/nodes/{BM02}/management/boot_device"), body)]);
    }
    assert_eq!(ironic.set_boot(&bmc(BM02), &boots("UefiHttp"), DEADLINE).await.expect_err("no such").kind, FaultKind::Refused);
    let policy = ironic.set_restore_policy(&bmc(BM02), PowerRestorePolicy::AlwaysOff, DEADLINE).await;
    assert_eq!(policy.expect_err("no word for it").kind, FaultKind::Refused);
}
