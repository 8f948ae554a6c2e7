//! What an entry of clouds.yaml means.

use super::files::Surroundings;
use crate::model::{Fault, TlsTrust};
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// One cloud: how one logs in, and which of its endpoints is meant.
pub struct Cloud {
    pub name: String,
    /// Where it is written, for messages.
    pub place: String,
    pub auth: Auth,
    pub region: Option<String>,
    /// `public`, `internal`, `admin`, the first that the catalogue has.
    pub interfaces: Vec<String>,
    /// Of Ironic, instead of the catalogue's.
    pub endpoint: Option<Url>,
    /// `1.82`: no newer microversion than this one.
    pub api_version: Option<String>,
    pub trust: TlsTrust,
    /// Our own certificate and its key: paths of PEM files.
    pub identity: Option<(String, String)>,
}

pub enum Auth {
    None,
    Basic { username: String, password: SecretString },
    Keystone(Box<Keystone>),
}

pub struct Keystone {
    /// With `/v3` at its end.
    pub url: Url,
    pub login: Login,
    pub scope: Scope,
}

/// A user or a project: by id, or by name within a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Id(String),
    Name { name: String, domain: Domain },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    Id(String),
    Name(String),
}

pub enum Login {
    Password {
        user: Named,
        password: SecretString,
    },
    /// `user` where the credential is named and not given by id.
    ApplicationCredential {
        id: Result<String, (String, Named)>,
        secret: SecretString,
    },
    Token(SecretString),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What the login brings with it.
    None,
    System,
    Domain(Domain),
    Project(Named),
}

/// One entry being read.
struct Entry<'a> {
    name: &'a str,
    place: &'a str,
    map: &'a Map<String, Value>,
    around: &'a Surroundings,
}

impl Cloud {
    /// # Errors
    /// What is missing, wrong or not supported, by the name of its key.
    pub(super) fn read(name: &str, place: &str, map: &Map<String, Value>, around: &Surroundings) -> Result<Cloud, Fault> {
        let entry = Entry { name, place, map, around };
        for (key, hint) in [("profile", "write its settings into the entry itself"), ("vendor_file", "write its settings into the entry")] {
            if map.contains_key(key) {
                return Err(entry.wrong(format!("`{key}` is not supported; {hint}")));
            }
        }
        let endpoint = ["baremetal_endpoint_override", "endpoint_override"];
        let mut cloud = Cloud {
            name: name.to_owned(),
            place: place.to_owned(),
            auth: Auth::None,
            region: entry.region()?,
            interfaces: entry.interfaces(),
            endpoint: entry.url(&endpoint, "the address of Ironic")?,
            api_version: entry.text("baremetal_api_version")?.filter(|v| v.contains('.')),
            trust: entry.trust()?,
            identity: entry.identity()?,
        };
        cloud.auth = entry.auth(&mut cloud.endpoint)?;
        Ok(cloud)
    }
}

impl Entry<'_> {
    fn wrong(&self, why: String) -> Fault {
        Fault::refused(format!("{}: cloud `{}`: {why}", self.place, self.name))
    }

    /// A value under `auth`, or beside it: the environment has them all on one level.
    fn value(&self, key: &str) -> Option<&Value> {
        let inner = self.map.get("auth").and_then(|a| a.get(key));
        inner.or_else(|| self.map.get(key)).filter(|v| !v.is_null() && **v != Value::String(String::new()))
    }

    fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(n)) if n.is_i64() || n.is_u64() => Ok(Some(n.to_string())),
            Some(_) => Err(self.wrong(format!("`{key}` must be text; put it in quotes"))),
        }
    }

    fn any(&self, keys: &[&str]) -> Result<Option<String>, Fault> {
        keys.iter().find_map(|key| self.text(key).transpose()).transpose()
    }

    fn needed(&self, keys: &[&str], what: &str) -> Result<String, Fault> {
        self.any(keys)?.ok_or_else(|| self.wrong(format!("`{}` is missing: {what}", keys[0])))
    }

    fn secret(&self, key: &str, what: &str) -> Result<SecretString, Fault> {
        self.needed(&[key], what).map(SecretString::from)
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(Some(true)),
                "false" | "no" | "off" | "0" => Ok(Some(false)),
                _ => Err(self.wrong(format!("`{key}` is neither true nor false"))),
            },
            Some(_) => Err(self.wrong(format!("`{key}` is neither true nor false"))),
        }
    }

    fn url(&self, keys: &[&str], what: &str) -> Result<Option<Url>, Fault> {
        let Some(text) = self.any(keys)? else { return Ok(None) };
        let wrong = |why: &str| self.wrong(format!("`{}`, {what}, {why}", keys[0]));
        let url = Url::parse(text.trim()).map_err(|_| wrong("cannot be read as an address"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("has neither `https://` nor `http://` in front"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a name or password, which do not belong there"));
        }
        Ok(Some(url))
    }

    fn region(&self) -> Result<Option<String>, Fault> {
        if let Some(chosen) = self.around.vars.get("OS_REGION_NAME").filter(|r| !r.is_empty()) {
            return Ok(Some(chosen.clone()));
        }
        if let Some(region) = self.text("region_name")? {
            return Ok(Some(region));
        }
        let name = |r: &Value| r.as_str().or_else(|| r.get("name")?.as_str()).map(str::to_owned);
        let listed: Vec<String> = self.map.get("regions").and_then(Value::as_array).into_iter().flatten().filter_map(name).collect();
        match &listed[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            several => Err(self.wrong(format!("it has several regions ({}); choose one in `OS_REGION_NAME`", several.join(", ")))),
        }
    }

    fn interfaces(&self) -> Vec<String> {
        let given = ["baremetal_interface", "interface", "endpoint_type"].into_iter().find_map(|key| self.value(key));
        let bare = |text: &str| text.strip_suffix("URL").unwrap_or(text).to_lowercase();
        let list: Vec<String> = match given {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(bare).collect(),
            Some(Value::String(text)) => text.split(',').map(|t| bare(t.trim())).collect(),
            _ => Vec::new(),
        };
        if list.is_empty() { vec!["public".to_owned()] } else { list }
    }

    fn trust(&self) -> Result<TlsTrust, Fault> {
        let ca = self.text("cacert")?;
        if self.flag("insecure")? == Some(true) || self.flag("verify")? == Some(false) {
            return Ok(TlsTrust::Unverified);
        }
        Ok(ca.map_or(TlsTrust::System, TlsTrust::Ca))
    }

    fn identity(&self) -> Result<Option<(String, String)>, Fault> {
        match (self.text("cert")?, self.text("key")?) {
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            // One file may hold both.
            (Some(cert), None) => Ok(Some((cert.clone(), cert))),
            (None, Some(_)) => Err(self.wrong("`key` without `cert`".to_owned())),
            (None, None) => Ok(None),
        }
    }

    fn auth(&self, endpoint: &mut Option<Url>) -> Result<Auth, Fault> {
        let kind = self.text("auth_type")?.unwrap_or_else(|| "password".to_owned());
        let mut own = || -> Result<(), Fault> {
            let found = self.url(&["endpoint"], "the address of Ironic")?;
            *endpoint = endpoint.take().or(found);
            match endpoint {
                Some(_) => Ok(()),
                None => Err(self.wrong(format!("`endpoint` is missing: with `auth_type: {kind}` there is no catalogue to find Ironic in"))),
            }
        };
        match kind.as_str() {
            "none" | "noauth" | "admin_token_noauth" => own().map(|()| Auth::None),
            "http_basic" => {
                own()?;
                let username = self.needed(&["username"], "who logs in")?;
                Ok(Auth::Basic { username, password: self.secret("password", "for `http_basic`")? })
            }
            "password" | "v3password" => self.keystone(Login::Password {
                user: self.user()?,
                password: self.secret("password", "for Keystone")?,
            }),
            "v3applicationcredential" => {
                let id = match self.text("application_credential_id")? {
                    Some(id) => Ok(id),
                    None => Err((self.needed(&["application_credential_id", "application_credential_name"], "or its name")?, self.user()?)),
                };
                self.keystone(Login::ApplicationCredential { id, secret: self.secret("application_credential_secret", "for Keystone")? })
            }
            "token" | "v3token" => self.keystone(Login::Token(self.secret("token", "for Keystone")?)),
            other => Err(self.wrong(format!(
                "`auth_type: {other}` is not supported; none, http_basic, password, v3password, v3applicationcredential, token and v3token are"
            ))),
        }
    }

    fn keystone(&self, login: Login) -> Result<Auth, Fault> {
        let what = "the address of Keystone";
        let mut url = self.url(&["auth_url"], what)?.ok_or_else(|| self.wrong(format!("`auth_url` is missing: {what}")))?;
        let path = url.path().trim_end_matches('/').to_owned();
        let path = path.strip_suffix("/v2.0").unwrap_or(&path);
        url.set_path(&if path.ends_with("/v3") { path.to_owned() } else { format!("{path}/v3") });
        let scope = match login {
            // Its scope is part of it, and Keystone refuses another.
            Login::ApplicationCredential { .. } => Scope::None,
            _ => self.scope()?,
        };
        Ok(Auth::Keystone(Box::new(Keystone { url, login, scope })))
    }

    fn domain(&self, of: &str) -> Result<Option<Domain>, Fault> {
        let [by_id, by_name] = [format!("{of}_domain_id"), format!("{of}_domain_name")];
        if let Some(id) = self.any(&[&by_id, "default_domain_id"])? {
            return Ok(Some(Domain::Id(id)));
        }
        Ok(self.any(&[&by_name, "default_domain_name", "default_domain"])?.map(Domain::Name))
    }

    fn user(&self) -> Result<Named, Fault> {
        if let Some(id) = self.text("user_id")? {
            return Ok(Named::Id(id));
        }
        let name = self.needed(&["username", "user_name"], "who logs in (or `user_id`)")?;
        let domain = self.domain("user")?;
        let domain = domain.ok_or_else(|| self.wrong("`user_domain_name` (or `user_domain_id`) is missing".to_owned()))?;
        Ok(Named::Name { name, domain })
    }

    fn scope(&self) -> Result<Scope, Fault> {
        if let Some(id) = self.any(&["project_id", "tenant_id"])? {
            return Ok(Scope::Project(Named::Id(id)));
        }
        if let Some(name) = self.any(&["project_name", "tenant_name"])? {
            let domain = self.domain("project")?;
            let domain = domain.ok_or_else(|| self.wrong("`project_domain_name` (or `project_domain_id`) is missing".to_owned()))?;
            return Ok(Scope::Project(Named::Name { name, domain }));
        }
        match self.text("system_scope")?.as_deref() {
            Some("all") => return Ok(Scope::System),
            Some(_) => return Err(self.wrong("`system_scope` can only be `all`".to_owned())),
            None => {}
        }
        if let Some(id) = self.text("domain_id")? {
            return Ok(Scope::Domain(Domain::Id(id)));
        }
        if let Some(name) = self.text("domain_name")? {
            return Ok(Scope::Domain(Domain::Name(name)));
        }
        match self.value("trust_id") {
            Some(_) => Err(self.wrong("`trust_id` is not supported".to_owned())),
            None => Err(self.wrong("nothing says what for: `project_name`, `project_id` or `system_scope: all` is missing".to_owned())),
        }
    }
}
