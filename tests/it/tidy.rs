//! The shape of the tree, held on every `cargo test`: who may import whom, what a pure module may not do, how long a
//! file may be, and words that must not be there. Each rule has a planted breach below that it must find.

mod rules;

use rules::{Problem, check};
use std::fs;
use std::path::{Path, PathBuf};

/// Not ours, not text, or made by a machine.
const SKIPPED: &[&str] = &["target", ".git", ".coldswap", "node_modules", "__pycache__", "Cargo.lock", ".venv"];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("cannot list {}: {e}", dir.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder that was just listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if SKIPPED.contains(&name.as_ref()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn the_tree_keeps_its_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(root, &mut found);
    found.sort();
    let mut problems: Vec<Problem> = Vec::new();
    let mut sources = 0;
    for path in &found {
        let Ok(text) = fs::read_to_string(path) else { continue };
        let relative = path.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
        sources += usize::from(relative.starts_with("src/"));
        problems.extend(check(&relative, &text));
    }
    assert!(sources > 50, "only {sources} files of src were read");
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} breaches:\n{}", list.len(), list.join("\n"));
}

/// What `check` says of a file with this text, as `line: rule`.
fn said(path: &str, text: &str) -> Vec<String> {
    check(path, text).iter().map(|p| format!("{}: {}", p.line, p.rule)).collect()
}

#[test]
fn imports_go_one_way() {
    assert_eq!(said("src/plan/audit.rs", "use crate::step::Step;\n"), [""; 0]);
    assert_eq!(said("src/plan/audit.rs", "use crate::engine::Event;\n"), ["1: import"]);
    assert_eq!(said("src/step/mod.rs", "\nfn f() { crate::runbook::read(); }\n"), ["2: import"]);
    assert_eq!(said("src/model/node.rs", "use crate::{model::Node, ports::Bmc};\n"), ["1: import"]);
    assert_eq!(said("src/model/node.rs", "use crate::{\n    model::Node,\n    ports::Bmc,\n};\n"), ["3: import"]);
    assert_eq!(said("src/model/node.rs", "pub use super::super::ports::Bmc;\n"), ["1: import"]);
    assert_eq!(said("src/ports.rs", "use super::adapter::Clock;\n"), ["1: import"]);
    assert_eq!(said("src/adapter/redfish/mod.rs", "use super::secrets::read;\n"), [""; 0]);
    assert_eq!(said("src/adapter/mod.rs", "//! Implements [`crate::executor`].\n"), [""; 0], "a link is no import");
    assert_eq!(said("src/cli/mod.rs", "use crate::sim::World;\nuse crate::adapter::Clock;\n"), [""; 0]);
    assert_eq!(said("src/unheard_of/mod.rs", "use crate::model::Node;\n"), ["1: import"], "no row in the table");
}

#[test]
fn only_the_assembly_names_concrete_adapters() {
    assert_eq!(said("src/executor/mod.rs", "use crate::adapter::SqliteStore;\n"), ["1: import"]);
    assert_eq!(said("src/lib.rs", "pub mod adapter;\npub fn f() { run() }\n"), ["2: no logic"]);
}

#[test]
fn pure_modules_stay_pure() {
    let breaches = [
        "use std::collections::HashMap;",
        "let s: HashSet<u8> = x;",
        "use std::time::{Duration, Instant};",
        "let t = SystemTime::now();",
        "use std::fs;",
        "use std::net::TcpStream;",
        "pub async fn look() {}",
        "let v = rand::random();",
        "use tokio::time;",
        "use reqwest::Client;",
        "let v = std::env::var(\"X\");",
        "std::thread::sleep(d);",
        "println!(\"x\");",
        "let id = Uuid::new_v4();",
    ];
    for module in ["model", "diagnostic", "runbook", "step", "plan", "engine", "report", "sim", "sizing"] {
        for line in breaches {
            let text = format!("{line}\n");
            assert_eq!(said(&format!("src/{module}/x.rs"), &text), ["1: pure"], "{module}: {line}");
        }
    }
    assert_eq!(said("src/executor/x.rs", "pub async fn look() {}\n"), [""; 0]);
    assert_eq!(
        said("src/plan/x.rs", "/// An operand; brand, asynchronous.\nuse std::collections::BTreeMap;\nuse std::net::Ipv4Addr;\n"),
        [""; 0]
    );
    assert_eq!(said("src/plan/x.rs", "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}\n"), [""; 0], "tests may");
}

#[test]
fn files_are_short() {
    let long = "x\n".repeat(rules::BUDGET + 1);
    assert_eq!(said("src/plan/x.rs", &long), [format!("{}: budget", rules::BUDGET + 1)]);
    assert_eq!(said("tests/it/x.rs", &long).len(), 1);
    assert_eq!(said("tests/rigs/x.py", &long).len(), 1);
    assert_eq!(said("tests/it/x.json", &long).len(), 0);
}

#[test]
fn nothing_is_left_for_later_and_no_error_is_thrown_away() {
    let mark = ["TO", "DO"].concat();
    for line in [
        format!("// {mark}: later"),
        format!("// {}", ["FIX", "ME"].concat()),
        format!("{}!()", ["to", "do"].concat()),
        format!("{}!()", ["unimple", "mented"].concat()),
        format!("#[{}]", ["ig", "nore"].concat()),
        format!("{}!(x)", ["db", "g"].concat()),
    ] {
        assert_eq!(said("tests/it/x.rs", &format!("{line}\n")), ["1: unfinished"], "{line}");
    }
    assert_eq!(said("src/plan/x.rs", "let x = y.unwrap();\n"), ["1: unwrap"]);
    assert_eq!(said("src/plan/x.rs", "#[cfg(test)]\nmod tests {\n    fn f() { y.unwrap(); }\n}\n"), [""; 0]);
    assert_eq!(said("tests/it/x.rs", "let x = y.unwrap();\n"), [""; 0]);
}

#[test]
fn names_say_something() {
    for name in ["util", "common", "manager", "handler", "service", "helpers", "misc"] {
        assert_eq!(said(&format!("src/plan/{name}.rs"), ""), ["1: name"]);
        assert_eq!(said(&format!("src/{name}/x.rs"), "")[0], "1: name");
        assert_eq!(said("src/plan/x.rs", &format!("pub(crate) mod {name};\n")), ["1: name"]);
    }
    assert_eq!(said("src/server/services.rs", "mod names;\n"), [""; 0]);
}

#[test]
fn the_project_speaks_of_itself_only() {
    for text in [
        ["see /wo", "rk/notes"].concat(),
        ["/tmp/", "wt/x"].concat(),
        ["cp ../sha", "red/x ."].concat(),
        ["written by an A", "I"].concat(),
        ["the LL", "M said"].concat(),
        ["asked Cla", "ude"].concat(),
        ["index.cra", "tes.io"].concat(),
        ["from pyp", "i.org"].concat(),
    ] {
        assert_eq!(said("docs/x.md", &text), ["1: word"], "{text}");
        assert_eq!(said(".ci/run", &text), ["1: word"], "{text}");
    }
    assert_eq!(said("docs/x.md", "framework/rules, MAIL, ARAID, /sys/devices, a prompt, a fence agent\n"), [""; 0]);
}
