//! Addresses, TLS, many at once.

use super::*;

#[tokio::test]
async fn each_may_have_an_address_of_its_own() {
    let machines = vec![booting("a", "v"), booting("b", "w")];
    let addressing = Addressing::Addresses { first: [127, 1, 77, 254].into(), port: 0 };
    let running = start(FleetSpec { machines, ..FleetSpec::default() }, Listen { addressing, tls: None }).await.expect("start");
    let address = running.address_of("b").expect("b").to_owned();
    assert!(address.starts_with("http://127.1.78.1:"), "{address}");
    let system: Value = client().get(format!("{address}/redfish/v1/Systems/1")).send().await.expect("answer").json().await.expect("json");
    assert_eq!((&system["Name"], &system["@odata.id"]), (&json!("b"), &json!("/redfish/v1/Systems/1")));
    assert_eq!(client().get(format!("{}/witness", running.lab_url())).send().await.expect("answer").status(), 200);
    running.shutdown().await;
    assert!(client().get(format!("{address}/redfish/v1")).send().await.is_err());
}

#[tokio::test]
async fn tls_is_spoken_where_asked() {
    let client_ready = client();
    drop(client_ready);
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("certificate");
    let certificate = reqwest::Certificate::from_der(key.cert.der()).expect("certificate");
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("key");
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private).expect("tls");
    let listen = Listen { tls: Some(std::sync::Arc::new(config)), ..Listen::anywhere() };
    let running = start(FleetSpec { machines: vec![booting("a", "v")], ..FleetSpec::default() }, listen).await.expect("start");
    let address = running.address_of("a").expect("a");
    assert!(address.starts_with("https://"));
    let trusting = Client::builder().no_proxy().tls_certs_only([certificate]).build().expect("client");
    assert_eq!(trusting.get(format!("{address}/redfish/v1")).send().await.expect("answer").status(), 200);
}

#[tokio::test]
async fn a_spec_that_cannot_be_meant_is_refused() {
    let twice = FleetSpec { machines: vec![booting("a", "v"), booting("a", "v")], ..FleetSpec::default() };
    let named = FleetSpec { machines: vec![booting("a/b", "v")], ..FleetSpec::default() };
    for spec in [twice, named] {
        assert_eq!(start(spec, Listen::anywhere()).await.err().map(|e| e.kind()), Some(std::io::ErrorKind::InvalidInput));
    }
}

#[tokio::test]
async fn the_most_requests_at_once_are_counted() {
    let lab = Lab::of(FleetSpec {
        machines: vec![booting("a", "v")],
        timing: Timing { latency: Span::millis(100), ..Timing::instant() },
        ..FleetSpec::default()
    })
    .await;
    let (one, two) = tokio::join!(lab.power("a"), lab.power("a"));
    assert_eq!(one, two);
    assert_eq!(lab.running.machine("a").expect("a").requests_at_once, 2);
}

/// Nobody waits for another machine's latency.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_machines_answer_side_by_side() {
    let machines = (0..500).map(|n| MachineSpec { on: n % 2 == 0, ..booting(&format!("m{n}"), &format!("v{n}")) }).collect();
    let timing = Timing { latency: Span::millis(60), ..Timing::instant() };
    let lab = Lab::of(FleetSpec { machines, timing, log_limit: 100, ..FleetSpec::default() }).await;
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let (client, url) = (lab.client.clone(), lab.url(&format!("m{n}"), "/Systems/1"));
        tasks.spawn(async move { client.get(url).timeout(Duration::from_secs(30)).send().await.map(|r| r.status().as_u16()) });
    }
    while let Some(status) = tasks.join_next().await {
        assert_eq!(status.expect("task").expect("answer"), 200);
    }
    // One after the other they would take 30 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(lab.running.requests().by_method["GET"], 500);
}
