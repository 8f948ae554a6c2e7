//! A node of Ironic's as ours.

use super::facts::Reading;
use super::power;
use super::volumes::Volumes;
use super::wire::{capabilities, flag, ours, scalars, text, uuid, words};
use crate::model::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where the conductor's BMC is, as far as we need to know it.
pub(super) const SCHEME: &str = "ironic:";

pub(super) fn id(raw: &Value) -> Result<NodeId, Fault> {
    uuid(raw, "uuid").map(NodeId).ok_or_else(|| Fault::answered("Ironic gave a node without uuid"))
}

/// Its name: a node may have none.
pub(super) fn name(node: &Value) -> String {
    text(node, "name").or_else(|| text(node, "uuid")).unwrap_or_default().to_owned()
}

/// `wanted`: the capabilities that boot volumes of this fleet ask for. `attached`: the digest of its volumes, where `volumes` are
/// not read.
pub(super) fn node(
    reading: &Reading,
    volumes: &Volumes,
    wanted: &BTreeSet<&'static str>,
    attached: Generation,
    store: &str,
) -> Result<Node, Fault> {
    let raw = &reading.node;
    let id = id(raw)?;
    let name = name(raw);
    let found = reading.found();
    let mut keeper = Keeper { fault: fault(raw), ..Keeper::default() };
    let declared = reading.declared(&found).unwrap_or_else(|why| {
        let text = format!("`extra.coldswap.facts` of `{name}` cannot be read: {why}");
        keeper.source_bars.push(Bar { code: SourceBar::RecordUnfit, text: text.clone() });
        keeper.spare_bars.push(Bar { code: SpareBar::RecordUnfit, text });
        Facts::default()
    });
    let properties = raw.get("properties").unwrap_or(&Value::Null);
    let own = |key: &str| text(raw, key).map(str::to_owned);
    let mut node = Node {
        id,
        labels: labels(raw),
        failure_domain: failure_domain(raw),
        resource_class: own("resource_class"),
        traits: raw.get("traits").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        capabilities: capabilities(properties),
        declared_facts: declared.into(),
        facts_at: reading.at(),
        full_at: None,
        live_facts: found.into(),
        identity: reading.identity(),
        abilities: power::abilities(raw),
        provision_state: ProvisionState::of(text(raw, "provision_state").unwrap_or_default()),
        maintenance: maintenance(raw),
        reservation: holder(raw, store),
        instance: instance(raw),
        owner: own("owner"),
        lessee: own("lessee"),
        debt: ours(raw).and_then(|o| o.get("debt")).and_then(Value::as_str).map(str::to_owned),
        ..Node::named(&name, &format!("{SCHEME}{id}"))
    };
    super::bars::judge(raw, &node, volumes, wanted, &mut keeper);
    node.generation = generation(&node, attached);
    node.kept_by = Some(Box::new(keeper));
    Ok(node)
}

/// A digest of what a plan rests on. Our own claim, holder and maintenance come and go with every run, also one that came to
/// nothing, and are not part of it; facts are compared one by one by the step that reserves the node; power, locks and errors are
/// nothing that is recorded here.
fn generation(node: &Node, attached: Generation) -> Generation {
    let mut core = node.clone();
    core.maintenance = core.maintenance.filter(|_| core.reservation.is_none());
    core.reservation = None;
    core.live_facts = Shared::default();
    (core.facts_at, core.abilities) = (None, BmcAbilities::default());
    super::generation(&(core, attached))
}

/// What Ironic's periodic look at power writes when it puts a node into maintenance.
const OWN_REASON: &str = "During sync_power_state";

/// The fault for which Ironic itself has put the node into maintenance.
pub(super) fn fault(raw: &Value) -> Option<String> {
    let own = text(raw, "maintenance_reason").is_some_and(|reason| reason.starts_with(OWN_REASON));
    text(raw, "fault").filter(|_| own && flag(raw, "maintenance")).map(str::to_owned)
}

fn maintenance(raw: &Value) -> Option<Maintenance> {
    flag(raw, "maintenance").then(|| {
        let reason = text(raw, "maintenance_reason");
        let own = reason.is_none_or(|reason| reason.starts_with(OWN_REASON));
        let fault = text(raw, "fault").filter(|_| own).map(|fault| format!(" (Ironic found a fault: {fault})")).unwrap_or_default();
        Maintenance { reason: format!("{}{fault}", reason.unwrap_or("no reason is given")) }
    })
}

/// The claim of a run, as runs leave it. Ironic's own `reservation` is its conductor's lock and nothing of ours. A run of another
/// store has the number of one of ours, and is told by its store; what cannot be read is somebody's.
pub(super) fn holder(raw: &Value, store: &str) -> Option<Holder> {
    let mut held = ours(raw)?.get("holder")?.clone();
    let of = held.as_object_mut().and_then(|held| held.remove("store"));
    let of = of.as_ref().and_then(Value::as_str).unwrap_or_default();
    let held: Result<Holder, _> = serde_json::from_value(held);
    Some(match held {
        Ok(held) if of == store => held,
        Ok(held) => Holder { run: RunId(format!("{} of store {of}", held.run)), ..held },
        Err(_) => Holder { run: RunId("somebody".to_owned()), switchover: SwitchoverId(0) },
    })
}

/// What [`holder`] reads.
pub(super) fn held_by(holder: &Holder, store: &str) -> Value {
    let mut held = serde_json::json!(holder);
    if !store.is_empty() {
        held["store"] = serde_json::json!(store);
    }
    held
}

/// What a run has put in place of an instance, so that nobody else takes the node.
pub(super) fn claim(raw: &Value) -> Option<uuid::Uuid> {
    uuid(&Value::Object(ours(raw)?.clone()), "claim")
}

fn instance(raw: &Value) -> Option<Instance> {
    let uuid = uuid(raw, "instance_uuid").filter(|uuid| Some(*uuid) != claim(raw))?;
    let shown = raw.get("instance_info").and_then(|info| text(info, "display_name"));
    let name = text(raw, "instance_name").or(shown).filter(|name| *name != super::wire::MASK);
    Some(Instance { uuid, name: name.map(str::to_owned) })
}

/// What stands plainly under `extra`, what Ironic groups its nodes by, and over both what stands under
/// `extra.coldswap.labels`.
fn labels(raw: &Value) -> std::collections::BTreeMap<String, Scalar> {
    let mut labels = scalars(raw.get("extra"));
    for key in ["conductor_group", "shard", "driver", "description"] {
        labels.extend(text(raw, key).map(|word| (key.to_owned(), Scalar::Text(word.to_owned()))));
    }
    labels.extend(scalars(ours(raw).and_then(|o| o.get("labels"))));
    labels
}

/// `extra.coldswap.failure_domain`, else a word of that name under `extra`, else under `properties`; Ironic's own chassis where
/// nobody names one.
fn failure_domain(raw: &Value) -> FailureDomain {
    let places = [ours(raw).and_then(|o| o.get("failure_domain")), raw.get("extra"), raw.get("properties")];
    let of = |level: &str| places.into_iter().flatten().find_map(|place| words(place, level));
    FailureDomain {
        site: of("site"),
        row: of("row"),
        rack: of("rack"),
        chassis: of("chassis").or_else(|| text(raw, "chassis_uuid").map(str::to_owned)),
        slot: of("slot"),
        feed: of("feed"),
    }
}
