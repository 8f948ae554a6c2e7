//! What a file says that it is.

use super::document::{Tree, Value, shorten};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes, did_you_mean};

pub const API_VERSION: &str = "coldswap/v1";

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Runbook,
    Inventory,
    Lab,
    Drill,
    Config,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Runbook, Kind::Inventory, Kind::Lab, Kind::Drill, Kind::Config];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Runbook => "Runbook",
            Kind::Inventory => "Inventory",
            Kind::Lab => "Lab",
            Kind::Drill => "Drill",
            Kind::Config => "Config",
        }
    }
}

/// The kind of a file, and what is wrong with `apiVersion` and `kind`. Without a kind the rest cannot be checked.
pub(super) fn kind(source: &Source, tree: &Tree, wanted: Option<Kind>) -> (Option<Kind>, Diagnostics) {
    let mut found = Diagnostics::default();
    if !matches!(tree.value, Value::Map(_)) {
        let message = format!("{}; a map with `apiVersion` and `kind` is wanted", tree.describe(""));
        found.push(Diagnostic::error(codes::WRONG_TYPE, message).at(&source.name, first_line(source, tree)));
        return (None, found);
    }
    found.extend(api_version(source, tree));
    let names = Kind::ALL.map(Kind::as_str);
    let Some(written) = tree.get("kind") else {
        found.push(
            Diagnostic::error(codes::KIND, "the key `kind` is missing")
                .at(&source.name, first_line(source, tree))
                .hint(format!("write `kind: {}`", wanted.map_or("Runbook", Kind::as_str))),
        );
        return (wanted, found);
    };
    let text = written.text().unwrap_or_default();
    let wrong = |message: String| Diagnostic::error(codes::KIND, message).at(&source.name, written.at.clone());
    match (Kind::ALL.into_iter().find(|k| k.as_str() == text), wanted) {
        (Some(kind), Some(wanted)) if kind != wanted => {
            found.push(wrong(format!("this is of kind `{text}`; one of kind `{}` is wanted here", wanted.as_str())));
            (None, found)
        }
        (Some(kind), _) => (Some(kind), found),
        (None, _) => {
            let hint = did_you_mean(text, names).map(|k| format!("did you mean `{k}`?"));
            found.push(wrong(format!("`{}` is not a kind; {} are", shorten(text), names.join(", "))).maybe_hint(hint));
            (wanted, found)
        }
    }
}

fn api_version(source: &Source, tree: &Tree) -> Diagnostics {
    let hint = format!("write `apiVersion: {API_VERSION}`");
    let wrong = |message: String, at| Diagnostics(vec![Diagnostic::error(codes::API_VERSION, message).at(&source.name, at).hint(hint)]);
    match tree.get("apiVersion") {
        None => wrong("the key `apiVersion` is missing".to_owned(), first_line(source, tree)),
        Some(version) if version.text() == Some(API_VERSION) => Diagnostics::default(),
        Some(version) => wrong(
            format!("`{}` is not a version of the language that is known", shorten(version.text().unwrap_or_default())),
            version.at.clone(),
        ),
    }
}

fn first_line(source: &Source, tree: &Tree) -> std::ops::Range<usize> {
    let text = &source.text[tree.at.clone()];
    let end = text.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(text.len());
    tree.at.start..tree.at.start + end
}

/// Is this an inventory, as far as can be told before it is read? Inventories may be larger than other files.
pub(super) fn looks_like_inventory(source: &Source) -> bool {
    const HEAD: usize = 4096;
    let head = String::from_utf8_lossy(&source.text[..source.text.len().min(HEAD)]).replace(['"', ' '], "");
    head.contains("kind:Inventory")
}
