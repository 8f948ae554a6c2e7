//! The program with `inventory: {kind: ironic}`: what works, and that nothing else is begun.

use super::*;
use assert_cmd::Command;
use std::path::Path;

const RUNBOOK: &str = "apiVersion: coldswap/v1
kind: Runbook
metadata: {name: test}
mode: planned
sources: {nodes: [bm01]}
pools: [{name: spares, select: spare.instance is none}]
match: {identical: {base: none, add: [model, memory_mib, resource_class]}}
";

fn place(fake: &Fake) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("a file");
    put("coldswap.yaml", "apiVersion: coldswap/v1\nkind: Config\ninventory: {kind: ironic, cloud: lab}\n");
    put("clouds.yaml", &format!("clouds: {{lab: {{auth_type: none, auth: {{endpoint: '{}'}}}}}}\n", fake.url()));
    put("runbook.yaml", RUNBOOK);
    directory
}

fn run(at: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("coldswap").expect("the program");
    for (name, _) in std::env::vars().filter(|(k, _)| k.starts_with("OS_") || k.starts_with("COLDSWAP_")) {
        command.env_remove(name);
    }
    let done = command.current_dir(at).args(words).output().expect("an end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

async fn ran(at: &Path, words: &[&str]) -> (i32, String, String) {
    let (at, words) = (at.to_owned(), words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
    let words = move || run(&at, &words.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(words).await.expect("an end")
}

async fn lab() -> Fake {
    let uuid = |n: u8| format!("a01490e9-625d-411d-b16f-f4a9ee93c3{n:02x}");
    let nodes = [
        running(),
        node(&uuid(2), "bm02", json!({})),
        node(&uuid(3), "bm03", json!({"retired": true})),
        node(&uuid(4), "bm04", json!({"provision_state": "clean failed"})),
        node(&uuid(5), "bm05", json!({"maintenance": true, "maintenance_reason": "fan"})),
    ];
    service(&nodes, &[connector(1, BM01, "iqn", "iqn.2026-11.lab:db1")], &[target(1, BM01, json!({}))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_the_fit_spare_and_the_reasons_of_the_others() {
    let fake = lab().await;
    let place = place(&fake);
    let (code, out, err) = ran(place.path(), &["plan", "runbook.yaml", "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let plan: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(plan["switchovers"][0]["destination"]["name"], "bm02", "{out}");
    assert_eq!(plan["switchovers"][0]["destination"]["node"], "a01490e9-625d-411d-b16f-f4a9ee93c302");
    assert!(plan["switchovers"][0]["warnings"].to_string().contains("Ironic deploys `bm02`"), "{out}");
    let (code, out, err) = ran(place.path(), &["explain", "runbook.yaml", "bm01", "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    let nodes = told["explanation"]["pools"][0]["nodes"].as_array().expect("nodes");
    let codes = |name: &str| {
        let node = nodes.iter().find(|n| n["node"] == name).expect("a node");
        node["obstacles"].as_array().expect("obstacles").iter().map(|o| o["code"].as_str().expect("a code").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes("bm02"), Vec::<String>::new());
    assert_eq!(codes("bm03"), ["retired"]);
    assert!(codes("bm04").contains(&"provision_state".to_owned()) && out.contains("`clean failed`"), "{out}");
    assert_eq!(codes("bm05"), ["maintenance"]);
    for words in [
        &["inventory", "list"][..],
        &["inventory", "show", "bm04"],
        &["inventory", "export"],
        &["coverage", "runbook.yaml", "--failures", "0"],
    ] {
        let (code, out, err) = ran(place.path(), words).await;
        assert_eq!(code, 0, "{words:?}: {out}{err}");
        assert!(!out.contains("******") && !out.contains("bmc-secret"), "{out}");
    }
    assert!(fake.asked().iter().all(|a| a.line.starts_with("GET ")), "nothing is changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_records_by_hand_is_refused_before_ironic_is_asked() {
    let fake = lab().await;
    let place = place(&fake);
    for words in [
        &["failback", "r-1", "--keep"][..],
        &["inventory", "import", "runbook.yaml"],
        &["inventory", "set", "bm01", "debt="],
        &["inventory", "discover"],
        &["inventory", "refresh"],
        &["inventory", "release", "bm01"],
        &["inventory", "remove", "bm01"],
    ] {
        let (code, out, err) = ran(place.path(), &[words, &["--output", "json"]].concat()).await;
        let told: Value = serde_json::from_str(&out).unwrap_or_default();
        assert_eq!((code, &told["error"]["code"]), (3, &json!("P027")), "{words:?}: {out}{err}");
        assert!(err.contains("kept in Ironic") && err.contains("openstack baremetal"), "{err}");
    }
    assert!(fake.asked().is_empty(), "{:?}", fake.asked());
    let (code, _, err) = ran(place.path(), &["switchover", "bm01", "--dry-run"]).await;
    assert!(code == 3 && !err.contains("P027"), "a dry run looks, and tells that nothing is known to be identical: {err}");
    std::fs::write(place.path().join("coldswap.yaml"), "apiVersion: coldswap/v1\nkind: Config\ninventory: {kind: ironic, cloud: lob}\n")
        .expect("a file");
    let (code, _, err) = ran(place.path(), &["inventory", "list"]).await;
    assert!(code == 3 && err.contains("did you mean `lab`?"), "{err}");
}
