//! The simulated fleet over HTTP, asked by a plain client that knows nothing of this crate.

use coldswap::bmcsim::*;
use coldswap::model::{Facts, IscsiBoot, PowerRestorePolicy, PowerState, Span};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

mod faults;
mod listening;
mod power;
mod protocol;

fn client() -> Client {
    // The second to come finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().expect("client")
}

fn quick() -> Timing {
    Timing { power_on: Span::millis(60), power_off: Span::millis(60), soft_off: Span::millis(300), ..Timing::instant() }
}

fn booting(name: &str, volume: &str) -> MachineSpec {
    let mut machine = MachineSpec::named(name);
    machine.adapters[0].iscsi = Some(IscsiBoot {
        initiator: format!("iqn.2026-01.example:{name}"),
        target: format!("iqn.2026-01.example:{volume}"),
        portal: "127.0.0.1:3260".into(),
        lun: 1,
    });
    machine
}

struct Lab {
    running: Running,
    client: Client,
}

impl Lab {
    async fn of(spec: FleetSpec) -> Lab {
        Lab { running: start(spec, Listen::anywhere()).await.expect("start"), client: client() }
    }

    /// `a` is On with volume `v`, `b` is Off with nothing, both quick.
    async fn pair() -> Lab {
        let a = MachineSpec { on: true, ..booting("a", "v") };
        Lab::of(FleetSpec { machines: vec![a, MachineSpec::named("b")], timing: quick(), ..FleetSpec::default() }).await
    }

    fn url(&self, machine: &str, path: &str) -> String {
        format!("{}/redfish/v1{path}", self.running.address_of(machine).expect("machine"))
    }

    async fn get(&self, machine: &str, path: &str) -> Value {
        let response = self.client.get(self.url(machine, path)).send().await.expect("answer");
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("json")
    }

    async fn send(&self, method: Method, machine: &str, path: &str, body: Value) -> reqwest::Result<Response> {
        self.client.request(method, self.url(machine, path)).json(&body).send().await
    }

    async fn reset(&self, machine: &str, reset_type: &str) -> reqwest::Result<Response> {
        self.send(Method::POST, machine, "/Systems/1/Actions/ComputerSystem.Reset", json!({"ResetType": reset_type})).await
    }

    async fn status_of_reset(&self, machine: &str, reset_type: &str) -> u16 {
        self.reset(machine, reset_type).await.expect("answer").status().as_u16()
    }

    async fn power(&self, machine: &str) -> Value {
        self.get(machine, "/Systems/1").await["PowerState"].clone()
    }

    fn really(&self, machine: &str) -> PowerState {
        self.running.machine(machine).expect("machine").power
    }

    fn fault(&self, rule: FaultRule) {
        self.running.set_faults(vec![rule]).expect("rules");
    }

    async fn until(&self, machine: &str, power: PowerState) {
        let began = Instant::now();
        while self.really(machine) != power {
            assert!(began.elapsed() < Duration::from_secs(5), "{machine} is not {power}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn holders(&self, volume: &str) -> Vec<String> {
        self.running.witness().open.get(&format!("iqn.2026-01.example:{volume}/1")).cloned().unwrap_or_default()
    }
}

const FUNCTION: &str = "/Chassis/1/NetworkAdapters/nic1/NetworkDeviceFunctions/nic1f1";

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
