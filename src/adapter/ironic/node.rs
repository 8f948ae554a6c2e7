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

/// Its name: a node may have none.
pub(super) fn name(node: &Value) -> String {
    text(node, "name").or_else(|| text(node, "uuid")).unwrap_or_default().to_owned()
}

/// `wanted`: the capabilities that boot volumes of this fleet ask for.
pub(super) fn node(reading: &Reading, volumes: &Volumes, wanted: &BTreeSet<&'static str>) -> Result<Node, Fault> {
    let raw = &reading.node;
    let id = uuid(raw, "uuid").map(NodeId).ok_or_else(|| Fault::answered("Ironic gave a node without uuid"))?;
    let name = name(raw);
    let found = reading.found();
    let mut keeper = Keeper::default();
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
        reservation: holder(raw),
        instance: instance(raw),
        owner: own("owner"),
        lessee: own("lessee"),
        debt: ours(raw).and_then(|o| o.get("debt")).and_then(Value::as_str).map(str::to_owned),
        ..Node::named(&name, &format!("{SCHEME}{id}"))
    };
    super::bars::judge(raw, &node, volumes, wanted, &mut keeper);
    node.generation = super::generation(&node);
    node.kept_by = Some(Box::new(keeper));
    Ok(node)
}

fn maintenance(raw: &Value) -> Option<Maintenance> {
    flag(raw, "maintenance").then(|| {
        let reason = text(raw, "maintenance_reason").unwrap_or("no reason is given");
        let fault = text(raw, "fault").map(|fault| format!(" (Ironic found a fault: {fault})")).unwrap_or_default();
        Maintenance { reason: format!("{reason}{fault}") }
    })
}

/// The claim of a run, as runs leave it. Ironic's own `reservation` is its conductor's lock and nothing of ours.
fn holder(raw: &Value) -> Option<Holder> {
    serde_json::from_value(ours(raw)?.get("holder")?.clone()).ok()
}

fn instance(raw: &Value) -> Option<Instance> {
    let uuid = uuid(raw, "instance_uuid")?;
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
