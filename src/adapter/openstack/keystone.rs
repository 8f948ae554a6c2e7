//! Keystone, API v3: one token at a time, and where its catalogue says that Ironic is.

use super::cloud::{Cloud, Domain, Keystone, Login, Named, Scope};
use crate::model::Fault;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// keystoneauth asks anew this long before the end.
const BEFORE_THE_END: Duration = Duration::from_secs(120);

/// The names under which Ironic stands in catalogues (service-types authority: `baremetal`, alias `bare-metal`).
const TYPES: [&str; 2] = ["baremetal", "bare-metal"];

/// A token and what came with it.
pub(super) struct Token {
    pub value: SecretString,
    /// By our own clock: Keystone's may be another.
    pub renew_at: Instant,
    /// Ironic's address by the catalogue, or why it has none.
    pub endpoint: Result<Url, String>,
}

fn domain(domain: &Domain) -> Value {
    match domain {
        Domain::Id(id) => json!({ "id": id }),
        Domain::Name(name) => json!({ "name": name }),
    }
}

fn named(named: &Named) -> Value {
    match named {
        Named::Id(id) => json!({ "id": id }),
        Named::Name { name, domain: within } => json!({"name": name, "domain": domain(within)}),
    }
}

/// The body of `POST /v3/auth/tokens`. It holds the secret in the open.
pub(super) fn request(keystone: &Keystone) -> Value {
    let (method, detail) = match &keystone.login {
        Login::Password { user, password } => {
            let mut user = named(user);
            user["password"] = json!(password.expose_secret());
            ("password", json!({ "user": user }))
        }
        Login::ApplicationCredential { id, secret } => {
            let secret = secret.expose_secret();
            let detail = match id {
                Ok(id) => json!({"id": id, "secret": secret}),
                Err((name, user)) => json!({"name": name, "secret": secret, "user": named(user)}),
            };
            ("application_credential", detail)
        }
        Login::Token(token) => ("token", json!({ "id": token.expose_secret() })),
    };
    let mut auth = json!({"identity": {"methods": [method], method: detail}});
    match &keystone.scope {
        Scope::None => {}
        Scope::System => auth["scope"] = json!({"system": {"all": true}}),
        Scope::Domain(of) => auth["scope"] = json!({ "domain": domain(of) }),
        Scope::Project(project) => auth["scope"] = json!({ "project": named(project) }),
    }
    json!({ "auth": auth })
}

#[derive(Deserialize)]
struct Issued {
    token: IssuedToken,
}

#[derive(Deserialize)]
struct IssuedToken {
    issued_at: Option<String>,
    expires_at: Option<String>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(default)]
    interface: String,
    region_id: Option<String>,
    region: Option<String>,
    url: Option<String>,
}

/// Read an answer of 201.
pub(super) fn issued(cloud: &Cloud, value: SecretString, body: &[u8], asked: Instant) -> Result<Token, Fault> {
    let shape = |what: &str| Fault::refused(format!("Keystone of cloud `{}` gave a token, but {what}", cloud.name));
    let issued: Issued = serde_json::from_slice(body).map_err(|_| shape("no description of it that can be read"))?;
    let token = issued.token;
    let time = |text: &Option<String>| text.as_ref()?.parse::<jiff::Timestamp>().ok();
    let lives = match (time(&token.issued_at), time(&token.expires_at)) {
        (Some(from), Some(until)) => Duration::try_from(until.duration_since(from)).unwrap_or_default(),
        // Whatever it says of its end cannot be read: then the first 401 tells.
        _ => Duration::from_secs(3600),
    };
    // One that does not live so long is used for half its life.
    let use_for = lives.saturating_sub(BEFORE_THE_END).max(lives / 2);
    Ok(Token { value, renew_at: asked + use_for, endpoint: endpoint(cloud, &token.catalog) })
}

/// Ironic in the catalogue: by the interfaces that are wanted, in that order, and in the region, if one is named.
fn endpoint(cloud: &Cloud, catalog: &[Service]) -> Result<Url, String> {
    let ours: Vec<&Endpoint> =
        TYPES.iter().flat_map(|kind| catalog.iter().filter(move |s| s.kind == **kind)).flat_map(|s| &s.endpoints).collect();
    if ours.is_empty() {
        let kinds: Vec<&str> = catalog.iter().map(|s| s.kind.as_str()).collect();
        let has = if kinds.is_empty() { "is empty".to_owned() } else { format!("has only {}", kinds.join(", ")) };
        return Err(format!("there is no service of type `baremetal` in the catalogue of cloud `{}`, which {has}", cloud.name));
    }
    let here = |e: &&&Endpoint| match &cloud.region {
        Some(region) => e.region_id.as_ref().or(e.region.as_ref()) == Some(region),
        None => true,
    };
    let found = cloud.interfaces.iter().find_map(|wanted| ours.iter().filter(here).find(|e| e.interface == *wanted));
    let Some(found) = found else {
        let has = |e: &&Endpoint| match e.region_id.as_ref().or(e.region.as_ref()) {
            Some(region) => format!("{} in {region}", e.interface),
            None => e.interface.clone(),
        };
        let has: Vec<String> = ours.iter().map(has).collect();
        let region = cloud.region.as_ref().map(|r| format!(" in region `{r}`")).unwrap_or_default();
        let wanted = cloud.interfaces.join(" or ");
        return Err(format!(
            "the catalogue of cloud `{}` has no {wanted} endpoint of Ironic{region}; it has {}",
            cloud.name,
            has.join(", ")
        ));
    };
    let text = found.url.as_deref().unwrap_or_default();
    Url::parse(text).map_err(|_| format!("the catalogue of cloud `{}` has `{text}` as the address of Ironic, which is none", cloud.name))
}

#[cfg(test)]
mod tests {
    use super::super::{Surroundings, cloud};
    use super::*;

    fn cloud_of(entry: Value) -> Cloud {
        let Value::Object(map) = entry else { unreachable!("a map") };
        cloud::Cloud::read("lab", "`clouds.yaml`", &map, &Surroundings::default()).unwrap_or_else(|e| panic!("{e}"))
    }

    fn keystone(cloud: &Cloud) -> &Keystone {
        match &cloud.auth {
            cloud::Auth::Keystone(keystone) => keystone,
            _ => panic!("no Keystone"),
        }
    }

    #[test]
    fn a_login_is_written_as_keystone_wants_it() {
        let password =
            cloud_of(json!({"auth": {"auth_url": "https://k:5000", "username": "ops", "password": "p", "user_domain_name": "Default",
            "project_name": "admin", "project_domain_id": "default"}}));
        assert_eq!(keystone(&password).url.as_str(), "https://k:5000/v3");
        let want = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {"name": "ops", "domain": {"name": "Default"}, "password": "p"}}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}});
        assert_eq!(request(keystone(&password)), want);
        let system =
            cloud_of(json!({"auth_type": "v3password", "auth": {"auth_url": "https://k/identity/v3/", "user_id": "u", "password": "p",
            "system_scope": "all"}}));
        assert_eq!(keystone(&system).url.as_str(), "https://k/identity/v3");
        assert_eq!(request(keystone(&system))["auth"]["scope"], json!({"system": {"all": true}}));
        let by_id =
            cloud_of(json!({"auth_type": "v3applicationcredential", "auth": {"auth_url": "https://k", "application_credential_id": "i",
            "application_credential_secret": "s", "project_name": "ignored"}}));
        let want =
            json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "i", "secret": "s"}}}});
        assert_eq!(request(keystone(&by_id)), want, "a scope would be refused");
        let token = cloud_of(json!({"auth_type": "token", "auth": {"auth_url": "https://k", "token": "t", "project_id": "p"}}));
        assert_eq!(request(keystone(&token))["auth"]["identity"], json!({"methods": ["token"], "token": {"id": "t"}}));
    }

    #[test]
    fn the_catalogue_is_read_by_type_interface_and_region() {
        let catalog = json!([
            {"type": "compute", "endpoints": [{"interface": "public", "region_id": "a", "url": "https://n"}]},
            {"type": "bare-metal", "endpoints": [
                {"interface": "admin", "region_id": "a", "url": "https://admin.a/v1"},
                {"interface": "public", "region_id": "a", "url": "https://a/v1"},
                {"interface": "public", "region": "b", "url": "https://b"}]}]);
        let body = |catalog: &Value| json!({"token": {"issued_at": "2026-11-22T10:00:00.000000Z", "expires_at": "2026-11-22T11:00:00.000000Z", "catalog": catalog}});
        let read = |entry: Value, catalog: &Value| {
            let mut whole = json!({"auth_type": "token", "auth": {"auth_url": "https://k", "token": "t", "project_id": "p"}});
            whole.as_object_mut().expect("a map").extend(entry.as_object().expect("a map").clone());
            let asked = Instant::now();
            let token = issued(&cloud_of(whole), "t".to_owned().into(), body(catalog).to_string().as_bytes(), asked).expect("a token");
            assert_eq!(token.renew_at - asked, Duration::from_secs(3480), "two minutes before the end");
            token.endpoint.map(|u| u.to_string())
        };
        assert_eq!(read(json!({}), &catalog).as_deref(), Ok("https://a/v1"));
        assert_eq!(read(json!({"region_name": "b"}), &catalog).as_deref(), Ok("https://b/"));
        assert_eq!(read(json!({"interface": ["internal", "admin"]}), &catalog).as_deref(), Ok("https://admin.a/v1"));
        assert_eq!(read(json!({"endpoint_type": "adminURL"}), &catalog).as_deref(), Ok("https://admin.a/v1"));
        let none = read(json!({"region_name": "c"}), &catalog).expect_err("no such region");
        assert!(none.contains("public in b") && none.contains("region `c`"), "{none}");
        let none = read(json!({}), &json!([{"type": "compute", "endpoints": []}])).expect_err("no Ironic");
        assert!(none.contains("has only compute"), "{none}");
    }
}
