//! The configuration file. Environment variables (`COLDSWAP_*`) are the command line's business.

use super::document::Limits;
use super::kind::Kind;
use super::raw::{expression, head};
use super::read::{end, tree};
use super::shape::*;
use super::{Expression, Names, beside, meaning};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes};
use crate::model::Span;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Config {
    pub store: StoreLocation,
    pub inventory: InventoryKind,
    pub bmc: BmcLimits,
}

impl Default for Config {
    fn default() -> Config {
        Config { store: StoreLocation::Sqlite(".coldswap/state.db".to_owned()), inventory: InventoryKind::Store, bmc: BmcLimits::default() }
    }
}

/// Where plans, runs, journals and locks are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// Path as seen from the working directory.
    Sqlite(String),
}

/// Where nodes and volumes are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InventoryKind {
    /// In the store.
    Store,
    /// In Ironic: the cloud's name in clouds.yaml, where one is named.
    Ironic { cloud: Option<String> },
}

/// How BMCs are treated.
#[derive(Clone, Debug)]
pub struct BmcLimits {
    /// Per BMC: many answer one request at a time, and wrongly when asked more.
    pub requests_at_once: u32,
    pub total_at_once: u32,
    /// The longest a sent power command may take to show (rule S6).
    pub landing: Span,
    /// The first that fits a node counts.
    pub overrides: Vec<BmcOverride>,
}

impl Default for BmcLimits {
    fn default() -> BmcLimits {
        BmcLimits { requests_at_once: 1, total_at_once: 2000, landing: Span::secs(90), overrides: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub struct BmcOverride {
    /// Over `node`.
    pub select: Expression,
    pub requests_at_once: Option<u32>,
    pub landing: Option<Span>,
}

pub(super) struct RawConfig {
    store: Option<At<String>>,
    inventory: Option<RawPlace>,
    bmc: RawBmc,
}

struct RawPlace {
    kind: At<&'static str>,
    cloud: Option<At<String>>,
    power: Option<At<&'static str>>,
}

#[derive(Default)]
struct RawBmc {
    requests_at_once: Option<At<i64>>,
    total_at_once: Option<At<i64>>,
    landing: Option<At<Span>>,
    overrides: Vec<RawOverride>,
}

struct RawOverride {
    select: At<String>,
    requests_at_once: Option<At<i64>>,
    landing: Option<At<Span>>,
}

/// Read and check a configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_config(source: &Source) -> Result<(Config, Diagnostics), Diagnostics> {
    let (tree, mut found) = tree(source, Kind::Config, Limits::FILE)?;
    let reading = Reading::new(&source.name, &source.text);
    let config = config().read(&reading, &tree, &Path::ROOT).and_then(|raw| meant(&reading, &raw));
    found.extend(reading.finish());
    end(config, found)
}

pub(super) fn config() -> Record<RawConfig> {
    record("configuration", |f| {
        head(f, "Config");
        let store = f.optional("store", "sqlite:PATH or postgres://...; default sqlite:.coldswap/state.db", text("the place of a store"));
        let inventory = f.optional(
            "inventory",
            "where nodes and volumes are recorded",
            record("inventory place", |f| {
                let kind = f.required("kind", "store or ironic", words(&[("store", "store"), ("ironic", "ironic")]));
                let cloud = f.optional("cloud", "entry of clouds.yaml; with ironic", text("the name of a cloud"));
                let ways = words(&[("ironic", "ironic"), ("redfish", "redfish")]);
                let power = f.optional("power", "whom power is asked of; with ironic; default ironic", ways);
                for (key, given) in [("cloud", cloud.is_some()), ("power", power.is_some())] {
                    if let (Some(At { value: "store", .. }), Some(place), true) = (&kind, f.place(key), given) {
                        f.tell(Diagnostic::error(codes::CONTRADICTION, format!("`{key}` has no effect with `kind: store`")), &place);
                    }
                }
                Some(RawPlace { kind: kind?, cloud, power })
            }),
        );
        let bmc = f.optional("bmc", "how BMCs are treated", record("bmc limits", bmc));
        Some(RawConfig { store, inventory, bmc: bmc.unwrap_or_default() })
    })
}

fn span() -> Quantity<Span> {
    quantity("a duration such as `90s`")
}

fn bmc(f: &mut Fields<'_>) -> Option<RawBmc> {
    let requests_at_once = f.optional("requests_at_once", "per BMC; default 1", number(1, 64));
    let total_at_once = f.optional("total_at_once", "over all BMCs; default 2000", number(1, 100_000));
    let landing = f.optional("landing", "the longest a sent power command may take to show; default 90s", span());
    let overrides = list_of(
        "a list of overrides",
        record("bmc override", |f| {
            let select = f.required("select", "an expression over node", expression());
            let requests_at_once = f.optional("requests_at_once", "per BMC", number(1, 64));
            let landing = f.optional("landing", "the longest a sent power command may take to show", span());
            Some(RawOverride { select: select?, requests_at_once, landing })
        }),
    );
    let overrides = f.optional("overrides", "for some nodes; the first that fits counts", overrides).unwrap_or_default();
    Some(RawBmc { requests_at_once, total_at_once, landing, overrides })
}

fn meant(reading: &Reading<'_>, raw: &RawConfig) -> Option<Config> {
    let default = Config::default();
    let store = raw.store.as_ref().map_or(Some(default.store), |s| store(reading, s));
    let place = raw.inventory.as_ref();
    if let Some(power) = place.and_then(|p| p.power.as_ref()).filter(|p| p.value == "redfish") {
        let message = "`power: redfish` is not supported yet with Ironic";
        reading.hinted(codes::NOT_SUPPORTED, message, &power.at, "`power: ironic` asks Ironic's conductors");
    }
    let inventory = match place {
        Some(place) if place.kind.value == "ironic" => InventoryKind::Ironic { cloud: place.cloud.as_ref().map(|c| c.value.clone()) },
        _ => InventoryKind::Store,
    };
    for landing in raw.bmc.landing.iter().chain(raw.bmc.overrides.iter().filter_map(|o| o.landing.as_ref())) {
        if landing.value == Span::ZERO {
            let message = "`landing: 0s`: no power command shows at once, and nothing would be waited for before going back";
            reading.hinted(codes::OUT_OF_RANGE, message, &landing.at, "the default is `90s`");
        }
    }
    let small = |n: &Option<At<i64>>| n.as_ref().map(At::small);
    let overrides: Vec<Option<BmcOverride>> = raw
        .bmc
        .overrides
        .iter()
        .map(|o| {
            let select = Expression::parse(&o.select.value, Names::Node, &BTreeMap::new()).map_err(|e| {
                let at = meaning::caret(reading, &o.select, e.at);
                reading.tell(Diagnostic::error(codes::EXPRESSION, e.message).maybe_hint(e.hint), &at);
            });
            Some(BmcOverride {
                select: select.ok()?,
                requests_at_once: small(&o.requests_at_once),
                landing: o.landing.as_ref().map(|l| l.value),
            })
        })
        .collect();
    Some(Config {
        store: store?,
        inventory,
        bmc: BmcLimits {
            requests_at_once: small(&raw.bmc.requests_at_once).unwrap_or(default.bmc.requests_at_once),
            total_at_once: small(&raw.bmc.total_at_once).unwrap_or(default.bmc.total_at_once),
            landing: raw.bmc.landing.as_ref().map_or(default.bmc.landing, |l| l.value),
            overrides: overrides.into_iter().collect::<Option<_>>()?,
        },
    })
}

fn store(reading: &Reading<'_>, written: &At<String>) -> Option<StoreLocation> {
    if let Some(path) = written.value.strip_prefix("sqlite:").filter(|p| !p.is_empty()) {
        return Some(StoreLocation::Sqlite(beside(reading.file, path)));
    }
    if ["postgres://", "postgresql://"].iter().any(|p| written.value.starts_with(p)) {
        reading.error(codes::NOT_SUPPORTED, "a store in PostgreSQL is not supported yet", &written.at);
    } else {
        let message = "this is not the place of a store";
        reading.hinted(codes::BAD_STORE, message, &written.at, "write `sqlite:PATH`, such as `sqlite:.coldswap/state.db`");
    }
    None
}
