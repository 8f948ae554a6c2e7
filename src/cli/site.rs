//! Where a command works: the store, the inventory in it, and the ways to the BMCs.

use super::args::Global;
use super::files::Kind;
use super::{Failure, files, output};
use crate::adapter::clock::SystemClock;
use crate::adapter::fence_agent::{AgentOptions, FenceAgents};
use crate::adapter::hooks::{HookOptions, Hooks};
use crate::adapter::ironic::{self, Ironic, IronicOptions};
use crate::adapter::redfish::{Redfish, RedfishOptions};
use crate::adapter::secrets::SystemSecrets;
use crate::adapter::store_sqlite::SqliteStore;
use crate::diagnostic::codes;
use crate::executor::{Looks, Ports, Records, Terms};
use crate::model::*;
use crate::plan::Landing;
use crate::ports::{Bmc, Clock, Inventory, Secrets};
use crate::runbook::{Config, InventoryKind, NodeValues, StoreLocation, read_config};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const CONFIG_FILE: &str = "coldswap.yaml";

/// A store and a configuration.
pub struct Site {
    pub store: SqliteStore,
    pub config: Config,
    pub clock: Arc<SystemClock>,
    /// How long power commands may take where nothing else is said.
    pub landing: Option<Span>,
    /// Everything behind it is simulated.
    pub lab: bool,
    /// Where nodes and volumes are recorded, if not in the store.
    pub ironic: Option<Arc<Ironic>>,
}

/// A command that changes records by hand.
///
/// # Errors
/// They are kept elsewhere.
pub fn records_here(config: &Config, what: &str) -> Result<(), Failure> {
    if config.inventory == InventoryKind::Store {
        return Ok(());
    }
    let code = codes::RECORDS_IN_IRONIC;
    Err(Failure::refused(format!("{code}: `{what}` changes records, and those of this inventory are kept in Ironic; nothing was touched"))
        .hint("change them there (`openstack baremetal node set`, `inspect`, ...); what coldswap keeps stands under `extra.coldswap`"))
}

/// The configuration that applies: `--config`, or `coldswap.yaml` here, or the defaults.
pub fn config(global: &Global) -> Result<Config, Failure> {
    let path = match &global.config {
        Some(path) => path.clone(),
        None if Path::new(CONFIG_FILE).exists() => PathBuf::from(CONFIG_FILE),
        None => return Ok(Config::default()),
    };
    let source = files::source(&path)?;
    match read_config(&source) {
        Ok((config, warnings)) => {
            files::warn(&warnings, &[&source]);
            Ok(config)
        }
        Err(wrong) => Err(Failure::Diagnostics(wrong, vec![source])),
    }
}

/// The store's file: `--store`, the configuration's, or the default.
pub fn store_path(global: &Global, config: &Config) -> Result<PathBuf, Failure> {
    let Some(given) = &global.store else {
        let StoreLocation::Sqlite(path) = &config.store;
        return Ok(PathBuf::from(path));
    };
    if given.starts_with("postgres:") || given.starts_with("postgresql:") {
        return Err(Failure::refused("a PostgreSQL store is not supported yet").hint("use `sqlite:PATH`"));
    }
    Ok(PathBuf::from(given.strip_prefix("sqlite:").unwrap_or(given)))
}

/// Where the stores of labs are: beside the default store.
pub fn labs_directory(store: &Path) -> PathBuf {
    store.parent().unwrap_or_else(|| Path::new(".")).join("labs")
}

/// Open a store for reading; where it cannot be written, say so.
pub fn to_read(path: &Path) -> Result<SqliteStore, Failure> {
    let store = SqliteStore::open_to_read(path)?;
    if store.is_read_only() {
        output::tell(format!(
            "warning: `{}` cannot be written; it is shown as it stands, and nothing can be carried out with it",
            path.display()
        ));
    }
    Ok(store)
}

/// The store that holds a run or plan, and the configuration.
fn place_of(global: &Global, id: &str) -> Result<(PathBuf, Config), Failure> {
    let config = config(global)?;
    let path = store_path(global, &config)?;
    let lab = id.rsplit_once("-r-").or_else(|| id.rsplit_once("-p-")).map(|(lab, _)| lab);
    let Some(lab) = lab.filter(|_| global.store.is_none()) else { return Ok((path, config)) };
    let path = labs_directory(&path).join(format!("{lab}.db"));
    if !path.exists() {
        return Err(Failure::usage(format!("there is no `{id}`: `{}` does not exist", path.display())));
    }
    Ok((path, config))
}

impl Site {
    /// The site of a real run.
    pub fn open(global: &Global) -> Result<Site, Failure> {
        let config = config(global)?;
        let store = SqliteStore::open(store_path(global, &config)?)?;
        Site::with(store, config)
    }

    /// The site for a look at what is written down: a store that cannot be written is good enough.
    pub fn open_to_read(global: &Global) -> Result<Site, Failure> {
        let config = config(global)?;
        let store = to_read(&store_path(global, &config)?)?;
        Site::with(store, config)
    }

    fn with(store: SqliteStore, config: Config) -> Result<Site, Failure> {
        // A lab's machines are gone when it ends; its store is for looking back.
        let lab = !store.id_prefix()?.is_empty();
        let ironic = match &config.inventory {
            InventoryKind::Ironic { cloud } if !lab => {
                Some(ironic::shared(cloud.clone(), &crate::ports::Store::id(&store).to_string(), IronicOptions::default()))
            }
            _ => None,
        };
        Ok(Site { store, config, clock: Arc::new(SystemClock::new()), landing: None, lab, ironic })
    }

    /// The site that holds a run or plan: a lab's where the id says so.
    pub fn of_id(global: &Global, id: &str) -> Result<Site, Failure> {
        let (path, config) = place_of(global, id)?;
        Site::with(SqliteStore::open(path)?, config)
    }

    /// The same for a look back.
    pub fn of_id_to_read(global: &Global, id: &str) -> Result<Site, Failure> {
        let (path, config) = place_of(global, id)?;
        Site::with(to_read(&path)?, config)
    }

    /// What is written down, and nothing to change it with.
    pub fn records(&self) -> Records {
        Records::new(self.inventory(), Arc::new(self.store.clone()), self.clock.clone())
    }

    /// Nodes and volumes, wherever they are recorded.
    pub fn inventory(&self) -> Arc<dyn Inventory> {
        match &self.ironic {
            Some(ironic) => Arc::<Ironic>::clone(ironic),
            None => Arc::new(self.store.clone()),
        }
    }

    fn bmc(&self, secrets: Arc<dyn Secrets>) -> Arc<dyn Bmc> {
        match &self.ironic {
            Some(ironic) => Arc::<Ironic>::clone(ironic),
            None => Arc::new(self.redfish(secrets)),
        }
    }

    /// Ports that can only look.
    pub fn looks(&self) -> Looks {
        Looks::new(self.records(), self.bmc(Arc::new(SystemSecrets::default())))
    }

    fn redfish(&self, secrets: Arc<dyn Secrets>) -> Redfish {
        let bmc = &self.config.bmc;
        let options = RedfishOptions {
            requests_at_once_per_bmc: bmc.requests_at_once as usize,
            total_at_once: bmc.total_at_once as usize,
            request_timeout: self.terms().request_timeout.duration(),
            ..RedfishOptions::default()
        };
        Redfish::new(options, secrets)
    }

    /// Ports to everything.
    pub fn ports(&self) -> Ports {
        let secrets: Arc<dyn Secrets> = Arc::new(SystemSecrets::default());
        let hooks = HookOptions { lab: self.lab, ..HookOptions::default() };
        Ports {
            inventory: self.inventory(),
            bmc: self.bmc(secrets.clone()),
            hooks: Arc::new(Hooks::new(hooks, secrets.clone())),
            agents: Arc::new(FenceAgents::new(AgentOptions { lab: self.lab, ..AgentOptions::default() }, secrets)),
            attestations: Arc::new(self.store.clone()),
            store: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
        }
    }

    /// Could a result of this kind be written there? The store itself is no place for one.
    ///
    /// # Errors
    /// In words.
    pub fn try_to_write(&self, path: &Path, kind: Kind) -> Result<(), Failure> {
        files::not_the_store(path, self.store.file().as_deref())?;
        files::try_to_write(path, kind)
    }

    /// How long leases are, and for how long a request to a BMC may be on its way.
    pub fn terms(&self) -> Terms {
        let request = match self.ironic {
            Some(_) => IronicOptions::default().request_timeout,
            None => RedfishOptions::default().request_timeout,
        };
        Terms::new(Span(u64::try_from(request.as_millis()).unwrap_or(u64::MAX)))
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// How long power commands may take to show, node by node, as the configuration says.
    pub fn landing(&self, fleet: &Fleet) -> Result<Landing, Failure> {
        let mut by_node = BTreeMap::new();
        for rule in &self.config.bmc.overrides {
            let Some(landing) = rule.landing else { continue };
            let values = NodeValues::new(fleet);
            for node in fleet.nodes.keys() {
                let row = rule.select.row(|path| values.read(*node, &path[1..]));
                let holds = rule.select.holds_for(&row, &row);
                if holds.map_err(|e| Failure::refused(format!("`bmc.overrides`, `{}`: {e}", rule.select.text)))? {
                    by_node.insert(*node, landing);
                }
            }
        }
        Ok(Landing { default: Some(self.landing.unwrap_or(self.config.bmc.landing)), by_node })
    }
}
