//! Schemas on disk are the generated ones, and agree with the readers on what is right and wrong.

use crate::corpus::golden;
use crate::language::{Project, fixture};
use coldswap::diagnostic::{Look, Source, codes, render};
use coldswap::runbook::document::{Limits, read};
use coldswap::runbook::{Files, Kind, Vars, check_document, schema};
use serde_json::Value as Json;
use std::path::Path;

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn json(source: &Source) -> Json {
    let (tree, found) = read(source, Limits::INVENTORY);
    tree.unwrap_or_else(|| panic!("{}: {found:?}", source.name)).json()
}

fn valid(kind: Kind, json: &Json) -> Result<(), String> {
    let schema = schema(kind);
    let validator = jsonschema::validator_for(&schema).map_err(|e| e.to_string())?;
    validator.validate(json).map_err(|e| format!("{e} at {}", e.instance_path()))
}

#[test]
fn the_schemas_on_disk_are_those_of_the_readers() {
    let wrong: Vec<String> = Kind::ALL
        .into_iter()
        .filter_map(|kind| {
            let text = serde_json::to_string_pretty(&schema(kind)).expect("JSON") + "\n";
            golden(&root(&format!("schemas/{}.schema.json", kind.as_str().to_lowercase())), &text).err()
        })
        .collect();
    assert!(wrong.is_empty(), "run with COLDSWAP_BLESS=1: {}", wrong.join("\n"));
}

#[test]
fn files_that_show_the_whole_language_fit_their_schemas() {
    for kind in Kind::ALL {
        let source = fixture(&format!("whole-{}.yaml", kind.as_str().to_lowercase()));
        valid(kind, &json(&source)).unwrap_or_else(|e| panic!("{}: {e}", source.name));
    }
}

/// The kind of a broken file that can be read as YAML.
fn kind_of(json: &Json) -> Option<Kind> {
    Kind::ALL.into_iter().find(|k| json["kind"] == k.as_str())
}

#[test]
fn what_a_reader_refuses_for_its_shape_the_schema_refuses_too() {
    let shapes = [codes::UNKNOWN_KEY, codes::MISSING_KEY, codes::UNKNOWN_WORD, codes::WRONG_TYPE, codes::OUT_OF_RANGE];
    let mut compared = 0;
    for entry in std::fs::read_dir(root("tests/it/corpus")).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let source =
            Source::new(format!("tests/it/corpus/{}", path.file_name().expect("a name").display()), std::fs::read(&path).expect("a file"));
        let (Some(tree), _) = read(&source, Limits::FILE) else { continue };
        let Some(kind) = kind_of(&tree.json()) else { continue };
        let found = check_document(&source, &Vars::new(), &Project).expect_err("broken");
        // Defaults that no schema can know: a choice of a prompt, a number of failures, a quantity of zero.
        let sense = ["hook-prompt-default", "fact-rules", "no-time"].iter().any(|n| source.name.contains(n));
        if !sense && found.0.iter().any(|d| shapes.contains(&d.code)) {
            compared += 1;
            assert!(valid(kind, &tree.json()).is_err(), "{} fits the schema:\n{}", source.name, render(&found, &[&source], Look::Plain));
        }
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn the_runbooks_and_examples_of_the_project_are_right() {
    let files = [
        "runbooks/rack-maintenance.yaml",
        "runbooks/disaster.yaml",
        "runbooks/single-node.yaml",
        "examples/lab.yaml",
        "examples/lab-inventory.yaml",
        "examples/drill.yaml",
        "tests/it/fixtures/whole-inventory.yaml",
        "tests/it/fixtures/whole-drill.yaml",
    ];
    for name in files {
        let source = Source::new(name, Project.read(name).expect("the file"));
        match check_document(&source, &Vars::new(), &Project) {
            Ok((kind, warnings)) => {
                assert!(warnings.is_empty(), "{}", render(&warnings, &[&source], Look::Plain));
                valid(kind, &json(&source)).unwrap_or_else(|e| panic!("{name}: {e}"));
                let schema = format!("schemas/{}.schema.json", kind.as_str().to_lowercase());
                let first = String::from_utf8_lossy(&source.text).lines().next().unwrap_or_default().to_owned();
                assert!(name.starts_with("tests/") || first == format!("# yaml-language-server: $schema=../{schema}"), "{name}: {first}");
            }
            Err(found) => panic!("{}", render(&found, &[&source], Look::Plain)),
        }
    }
}
