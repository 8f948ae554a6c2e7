//! A BMC that says what a test tells it to, and remembers what it was asked.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use coldswap::adapter::redfish::{Redfish, RedfishOptions};
use coldswap::adapter::secrets::SystemSecrets;
use coldswap::model::{BmcEndpoint, SecretRef, Sensitive, TlsTrust};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const SYSTEM: &str = "/redfish/v1/Systems/1";
pub const RESET: &str = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";

#[derive(Clone, Debug)]
pub struct Canned {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    delay: Duration,
}

pub fn ok(body: Value) -> Canned {
    status(200).body(&body.to_string())
}

pub fn status(status: u16) -> Canned {
    Canned { status, headers: vec![], body: String::new(), delay: Duration::ZERO }
}

impl Canned {
    pub fn header(mut self, name: &'static str, value: &str) -> Canned {
        self.headers.push((name, value.to_owned()));
        self
    }
    pub fn body(mut self, body: &str) -> Canned {
        self.body = body.to_owned();
        self
    }
    pub fn delay(mut self, delay: Duration) -> Canned {
        self.delay = delay;
        self
    }
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /redfish/v1/Systems/1`
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

#[derive(Default)]
struct Inner {
    answers: HashMap<String, VecDeque<Canned>>,
    asked: Vec<Asked>,
}

#[derive(Clone, Default)]
pub struct Fake {
    inner: Arc<Mutex<Inner>>,
    address: String,
}

async fn answer(State(fake): State<Fake>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let line = format!("{method} {uri}");
    let canned = {
        let mut inner = fake.inner.lock().expect("lock");
        inner.asked.push(Asked { line: line.clone(), headers, body: String::from_utf8_lossy(&body).into_owned() });
        match inner.answers.get_mut(&line) {
            Some(queue) if queue.len() > 1 => queue.pop_front(),
            Some(queue) => queue.front().cloned(),
            None => None,
        }
    };
    let canned = canned.unwrap_or_else(|| status(404));
    tokio::time::sleep(canned.delay).await;
    let mut response = (StatusCode::from_u16(canned.status).expect("status"), canned.body).into_response();
    for (name, value) in canned.headers {
        response.headers_mut().insert(name, value.parse().expect("header"));
    }
    response
}

impl Fake {
    pub async fn start() -> Fake {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let fake = Fake { address: format!("http://{}", listener.local_addr().expect("address")), ..Fake::default() };
        let app = axum::Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub fn url(&self) -> &str {
        &self.address
    }

    /// A fake with a ServiceRoot and one system that has what most systems have.
    pub async fn with_system(system: Value) -> Fake {
        let fake = Fake::start().await;
        fake.on("GET /redfish/v1/", ok(json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}})));
        fake.on("GET /redfish/v1/Systems", ok(json!({"Members": [{"@odata.id": SYSTEM}]})));
        fake.on(&format!("GET {SYSTEM}"), ok(system));
        fake.on(&format!("POST {RESET}"), status(204));
        fake
    }

    /// Answer `line` so; said several times, one after the other, the last for ever.
    pub fn on(&self, line: &str, canned: Canned) {
        self.inner.lock().expect("lock").answers.entry(line.to_owned()).or_default().push_back(canned);
    }

    pub fn instead(&self, line: &str, canned: Canned) {
        self.inner.lock().expect("lock").answers.insert(line.to_owned(), VecDeque::from([canned]));
    }

    pub fn tree(&self, tree: &Value) {
        for (path, body) in tree.as_object().expect("a tree") {
            self.on(&format!("GET {path}"), ok(body.clone()));
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.inner.lock().expect("lock").asked.clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }

    /// Requests that were not reads.
    pub fn commands(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|a| !a.line.starts_with("GET ")).collect()
    }

    pub fn at(&self) -> BmcEndpoint {
        endpoint(&self.address, Some(SYSTEM))
    }

    pub fn unnamed(&self) -> BmcEndpoint {
        endpoint(&self.address, None)
    }

    pub fn with_login(&self) -> BmcEndpoint {
        BmcEndpoint {
            username: Some(Sensitive::Plain("admin".into())),
            password: Some(SecretRef::Command(vec!["printf".into(), PASSWORD.into()])),
            ..self.at()
        }
    }
}

pub const PASSWORD: &str = "hunter2-hunter2";

pub fn endpoint(address: &str, system: Option<&str>) -> BmcEndpoint {
    BmcEndpoint { address: address.into(), system: system.map(Into::into), username: None, password: None, tls: TlsTrust::System }
}

pub fn options() -> RedfishOptions {
    RedfishOptions { request_timeout: Duration::from_millis(400), task_time: Duration::from_secs(2), ..RedfishOptions::default() }
}

pub fn redfish() -> Redfish {
    Redfish::new(options(), Arc::new(SystemSecrets::default()))
}

/// A system as most are.
pub fn system() -> Value {
    json!({
        "@odata.id": SYSTEM, "UUID": "6E6F6465-0000-4000-8000-000000000001", "SerialNumber": " CZ1 ", "PowerState": "Off",
        "Boot": {"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled"},
        "Actions": {"#ComputerSystem.Reset": {"target": RESET,
            "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown"]}}
    })
}

/// [`system`] with some of it replaced.
pub fn system_but(changes: Value) -> Value {
    let mut system = system();
    for (key, value) in changes.as_object().expect("an object") {
        system[key] = value.clone();
    }
    system
}
