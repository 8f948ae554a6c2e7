//! Each kind of fault.

use super::*;

#[tokio::test]
async fn refusing_faults_answer_and_do_nothing() {
    use FaultAction::*;
    let lab = Lab::pair().await;
    let rule = |action| FaultRule::new("a", RequestKind::HardOff, action);
    let table = [
        (rule(Refuse), 400),
        (rule(Refuse).status(403), 403),
        (rule(Conflict), 409),
        (rule(Error), 500),
        (rule(Busy).by(Span::secs(7)), 503),
    ];
    for (fault, status) in table {
        lab.fault(fault);
        let response = lab.reset("a", "ForceOff").await.expect("answer");
        assert_eq!(response.status(), status);
        if status == 503 {
            assert_eq!(response.headers()["retry-after"], "7");
        }
        assert_eq!(response.json::<Value>().await.expect("json")["error"]["@Message.ExtendedInfo"].as_array().map(Vec::len), Some(1));
        assert_eq!(lab.power("a").await, "On", "reads are not meant");
    }
    lab.fault(rule(Ignore));
    assert_eq!(lab.status_of_reset("a", "ForceOff").await, 204);
    for action in [Drop, Hang] {
        lab.fault(rule(action));
        assert!(lab.reset("a", "ForceOff").await.is_err(), "{action:?}");
    }
    pause(100).await;
    assert_eq!(lab.really("a"), PowerState::On, "nothing of all that happened");
    let latest = lab.running.requests().latest;
    assert_eq!(latest.iter().filter(|e| e.status.is_none()).count(), 2, "what was not answered was written down all the same");
}

#[tokio::test]
async fn faults_that_come_after_the_deed_leave_it_done() {
    use FaultAction::*;
    for (action, answered) in [(ErrorAfter, Some(500)), (DropAfter, None), (HangAfter, None)] {
        let lab = Lab::pair().await;
        lab.fault(FaultRule::new("a", RequestKind::HardOff, action));
        let status = lab.reset("a", "ForceOff").await.ok().map(|r| r.status().as_u16());
        assert_eq!(status, answered, "{action:?}");
        lab.until("a", PowerState::Off).await;
    }
}

#[tokio::test]
async fn a_late_command_lands_late_whether_it_was_answered_or_not() {
    for (action, answered) in [(FaultAction::Late, true), (FaultAction::DropLate, false)] {
        let lab = Lab::pair().await;
        lab.fault(FaultRule::new("*", RequestKind::PowerOn, action).by(Span::millis(250)));
        assert_eq!(lab.reset("b", "On").await.is_ok(), answered);
        pause(120).await;
        assert_eq!(lab.power("b").await, "Off");
        assert_eq!(lab.running.machine("b").expect("b").landing, 1);
        lab.until("b", PowerState::On).await;
        assert_eq!(lab.running.machine("b").expect("b").landing, 0);
    }
}

#[tokio::test]
async fn a_late_boot_setting_lands_late() {
    let lab = Lab::pair().await;
    lab.fault(FaultRule::new("a", RequestKind::SetBoot, FaultAction::Late).by(Span::millis(150)));
    let clear = json!({"iSCSIBoot": {"PrimaryTargetName": ""}});
    assert_eq!(lab.send(Method::PATCH, "a", FUNCTION, clear).await.expect("answer").status(), 204);
    assert!(!lab.running.machine("a").expect("a").iscsi[0].is_clear());
    pause(250).await;
    assert!(lab.running.machine("a").expect("a").iscsi[0].is_clear());
}

#[tokio::test]
async fn reads_can_lie() {
    use FaultAction::*;
    let lab = Lab::pair().await;
    let read = |action| FaultRule::new("a", RequestKind::ReadSystem, action);
    lab.fault(read(FalseOff));
    assert_eq!(lab.power("a").await, "Off");
    assert_eq!(lab.holders("v"), ["a"]);
    lab.fault(read(NoPower));
    assert_eq!(lab.power("a").await, Value::Null);
    lab.fault(read(Empty));
    assert_eq!(lab.get("a", "/Systems/1").await, json!({}));
    lab.fault(read(Garbage));
    let garbage = lab.client.get(lab.url("a", "/Systems/1")).send().await.expect("answer");
    assert_eq!(garbage.status(), 200);
    assert!(garbage.json::<Value>().await.is_err());
    lab.fault(read(Stale).by(Span::millis(400)));
    lab.running.power("a", false);
    assert_eq!(lab.power("a").await, "On", "what was");
    pause(450).await;
    assert_eq!(lab.power("a").await, "Off", "the truth comes through in the end");
    lab.fault(read(Slow).by(Span::millis(200)));
    let began = Instant::now();
    lab.power("a").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn another_machine_can_answer_and_obey() {
    let lab = Lab::pair().await;
    let own = lab.get("b", "/Systems/1").await;
    let rule = FaultRule::new("a", RequestKind::Any, FaultAction::WrongMachine);
    lab.fault(FaultRule { answers: Some("b".into()), ..rule });
    let seen = lab.get("a", "/Systems/1").await;
    assert_eq!((&seen["UUID"], &seen["PowerState"]), (&own["UUID"], &json!("Off")));
    assert_eq!(seen["@odata.id"], "/bmc/a/redfish/v1/Systems/1");
    assert_eq!(lab.status_of_reset("a", "On").await, 204);
    lab.until("b", PowerState::On).await;
    assert_eq!(lab.really("a"), PowerState::On);
}

#[tokio::test]
async fn faults_are_switched_over_http() {
    let lab = Lab::pair().await;
    let url = format!("{}/faults", lab.running.lab_url());
    let put = |rules: Value| lab.client.put(url.clone()).json(&rules).send();
    assert_eq!(
        put(json!([{"machine": "a", "request": "read", "do": "busy", "by": "2s", "times": 1}])).await.expect("answer").status(),
        204
    );
    assert_eq!(lab.client.get(lab.url("a", "/Systems")).send().await.expect("answer").status(), 503);
    lab.get("a", "/Systems").await;
    let left: Value = lab.client.get(&url).send().await.expect("answer").json().await.expect("json");
    assert_eq!(left, json!([{"machine": "a", "request": "read", "do": "busy", "by": "2s", "times": 0}]));
    for bad in [json!([{"do": "explode"}]), json!([{"do": "wrong_machine"}]), json!([{"do": "drop", "chance": "3"}]), json!("x")] {
        assert_eq!(put(bad.clone()).await.expect("answer").status(), 400, "{bad}");
    }
    assert_eq!(lab.running.faults().len(), 1, "a bad list changes nothing");
}

#[tokio::test]
async fn what_a_bmc_has_heard_it_does_though_the_client_gives_up() {
    let lab = Lab::pair().await;
    lab.fault(FaultRule::new("b", RequestKind::PowerOn, FaultAction::Slow).by(Span::millis(250)));
    let request = lab.client.post(lab.url("b", "/Systems/1/Actions/ComputerSystem.Reset")).json(&json!({"ResetType": "On"}));
    assert!(request.timeout(Duration::from_millis(80)).send().await.is_err());
    assert_eq!(lab.really("b"), PowerState::Off);
    lab.until("b", PowerState::On).await;
}
