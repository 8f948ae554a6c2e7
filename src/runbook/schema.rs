//! JSON Schemas of all kinds, made from the shapes that read them.

use super::kind::Kind;
use super::shape::{Definitions, Shape};
use super::{config, inventory, lab, raw};
use serde_json::{Value as Json, json};

/// The schema of a kind (JSON Schema 2020-12). Editors that know it complete keys and show what they are for.
pub fn schema(kind: Kind) -> Json {
    let mut definitions = Definitions::new();
    let root = match kind {
        Kind::Runbook => raw::runbook().schema(&mut definitions),
        Kind::Inventory => inventory::shape().schema(&mut definitions),
        Kind::Lab => lab::lab().schema(&mut definitions),
        Kind::Drill => lab::drill().schema(&mut definitions),
        Kind::Config => config::config().schema(&mut definitions),
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("coldswap {}", kind.as_str()),
        "$ref": root["$ref"],
        "$defs": definitions,
    })
}
