//! Where a cloud is written down: `clouds.yaml` in the places that openstacksdk looks in, the first found wins; `secure.yaml`
//! merged over it; `OS_*` in the environment as a cloud called `envvars`.
//!
//! Messages name files, lines and keys, and never a value: any of them may be a secret.

use super::cloud::Cloud;
use crate::model::Fault;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The cloud that the environment makes.
const ENVVARS: &str = "envvars";

/// A larger file is a wrong one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file and its top map.
type Found = (PathBuf, Map<String, Value>);

/// What is looked at besides files: variables and folders of the process.
#[derive(Clone, Default)]
pub struct Surroundings {
    pub vars: BTreeMap<String, String>,
    pub directory: PathBuf,
    /// `/etc`
    pub etc: PathBuf,
}

impl Surroundings {
    pub fn of_process() -> Surroundings {
        let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Surroundings { vars: vars.collect(), directory: PathBuf::from("."), etc: PathBuf::from("/etc") }
    }

    fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The folders in which the files may lie, the best first.
    fn folders(&self) -> Vec<PathBuf> {
        let home = self.var("HOME").map(PathBuf::from);
        let user = self.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.clone()?.join(".config")));
        let site = self.var("XDG_CONFIG_DIRS").map(str::to_owned).unwrap_or_else(|| self.etc.join("xdg").display().to_string());
        let mut folders = vec![self.directory.clone()];
        folders.extend(user.map(|u| u.join("openstack")));
        folders.extend(home.map(|h| h.join(".config/openstack")));
        folders.extend(site.split(':').filter(|s| !s.is_empty()).map(|s| Path::new(s).join("openstack")));
        folders.push(self.etc.join("openstack"));
        folders
    }

    /// The first of the files `<stem>.yaml`, `.yml` and `.json`, or the one that a variable names.
    fn file(&self, stem: &str, variable: &str) -> Result<Option<Found>, Fault> {
        if let Some(path) = self.var(variable) {
            let path = self.directory.join(path);
            return match read(&path)? {
                Some(map) => Ok(Some((path, map))),
                None => Err(Fault::refused(format!("`{variable}` names `{}`, which does not exist", path.display()))),
            };
        }
        for folder in self.folders() {
            for end in ["yaml", "yml", "json"] {
                let path = folder.join(format!("{stem}.{end}"));
                if let Some(map) = read(&path)? {
                    return Ok(Some((path, map)));
                }
            }
        }
        Ok(None)
    }

    /// The cloud that `OS_*` make, unless all of them merely choose.
    fn envvars(&self) -> Option<Map<String, Value>> {
        const CHOOSE: [&str; 5] = ["OS_CLOUD", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE", "OS_CLIENT_VENDOR_FILE"];
        let ours = |name: &str| name.starts_with("OS_") && name != "OS_CLOUD_NAME";
        let given = self.vars.iter().filter(|(k, v)| ours(k) && !v.is_empty());
        let given: Vec<(&String, &String)> = given.collect();
        if given.iter().all(|(k, _)| CHOOSE.contains(&k.as_str())) {
            return None;
        }
        Some(given.into_iter().map(|(k, v)| (k[3..].to_lowercase(), Value::String(v.clone()))).collect())
    }
}

/// A file's top map; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Map<String, Value>>, Fault> {
    let shown = path.display();
    let wrong = |why: String| Fault::refused(format!("`{shown}`: {why}"));
    match std::fs::metadata(path) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(wrong(e.to_string())),
        Ok(about) if about.len() > FILE_BYTES_MAX => return Err(wrong("it is larger than 1 MiB; that is no list of clouds".to_owned())),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let value: Value = serde_yaml::from_str(&text).map_err(|e| match e.location() {
        // The parser's own words may repeat the line, and with it a password.
        Some(at) => wrong(format!("it is not YAML at line {}, column {}", at.line(), at.column())),
        None => wrong("it is not YAML".to_owned()),
    })?;
    match value {
        Value::Object(map) => Ok(Some(map)),
        Value::Null => Ok(Some(Map::new())),
        _ => Err(wrong("a map with the key `clouds` is wanted".to_owned())),
    }
}

/// `over` wins; maps are merged.
fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

fn clouds(path: &Path, mut file: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    match file.remove("clouds") {
        Some(Value::Object(clouds)) => Ok(clouds),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err(Fault::refused(format!("`{}`: `clouds` must be a map of clouds by their names", path.display()))),
    }
}

/// The cloud that is meant: `named` (by our own configuration), else `OS_CLOUD`, else what the environment makes, else the
/// only one.
///
/// # Errors
/// No such cloud, or none can be told; a file that cannot be read; an entry that cannot be used.
pub fn find(named: Option<&str>, around: &Surroundings) -> Result<Cloud, Fault> {
    let found = around.file("clouds", "OS_CLIENT_CONFIG_FILE")?;
    let (place, mut all) = match found {
        Some((path, file)) => (path.display().to_string(), clouds(&path, file)?),
        None => (String::new(), Map::new()),
    };
    if let Some((path, file)) = around.file("secure", "OS_CLIENT_SECURE_FILE")? {
        merge(&mut all, clouds(&path, file)?);
    }
    let envvars = around.envvars();
    let chosen = named.or_else(|| around.var("OS_CLOUD"));
    let name = match (chosen, &envvars) {
        (Some(name), _) => name.to_owned(),
        (None, Some(_)) => ENVVARS.to_owned(),
        (None, None) => only(&all, &place)?,
    };
    if name == ENVVARS
        && let Some(vars) = envvars
    {
        return Cloud::read(ENVVARS, "the environment (`OS_*`)", &flat(vars), around);
    }
    match all.get(&name) {
        Some(Value::Object(entry)) => Cloud::read(&name, &format!("`{place}`"), &flat(entry.clone()), around),
        Some(_) => Err(Fault::refused(format!("`{place}`: cloud `{name}` must be a map"))),
        None => Err(unknown(&name, named.is_some(), &all, &place)),
    }
}

fn only(all: &Map<String, Value>, place: &str) -> Result<String, Fault> {
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    match names[..] {
        [one] => Ok(one.to_owned()),
        [] if place.is_empty() => Err(Fault::refused(
            "no cloud is known: there is no clouds.yaml (here, in ~/.config/openstack or in /etc/openstack) and nothing in `OS_*`; \
             `OS_CLIENT_CONFIG_FILE` names a file elsewhere",
        )),
        [] => Err(Fault::refused(format!("`{place}` holds no cloud under `clouds`"))),
        _ => Err(Fault::refused(format!(
            "`{place}` holds several clouds ({}); name one as `inventory: {{kind: ironic, cloud: NAME}}` or in `OS_CLOUD`",
            names.join(", ")
        ))),
    }
}

fn unknown(name: &str, ours: bool, all: &Map<String, Value>, place: &str) -> Fault {
    let said = if ours { "the configuration" } else { "`OS_CLOUD`" };
    let known = all.keys().map(String::as_str);
    let like = known.map(|k| (strsim::damerau_levenshtein(k, name), k)).min().filter(|(far, _)| *far <= 2);
    let hint = match (like, all.is_empty()) {
        (Some((_, like)), _) => format!("; did you mean `{like}`?"),
        (None, false) => format!("; it holds {}", all.keys().cloned().collect::<Vec<_>>().join(", ")),
        (None, true) => String::new(),
    };
    match place.is_empty() {
        true => Fault::refused(format!("{said} names the cloud `{name}`, and there is no clouds.yaml")),
        false => Fault::refused(format!("{said} names the cloud `{name}`, which is not in `{place}`{hint}")),
    }
}

/// Keys as openstacksdk has them: `_` where `-` was written.
fn flat(map: Map<String, Value>) -> Map<String, Value> {
    let inner = |value: Value| match value {
        Value::Object(map) => Value::Object(flat(map)),
        other => other,
    };
    map.into_iter().map(|(key, value)| (key.replace('-', "_"), inner(value))).collect()
}
