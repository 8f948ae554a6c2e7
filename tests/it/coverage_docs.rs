//! What `docs/coverage.md` and `docs/matching.md` show is what the program prints, and the rules shown can be read.

use crate::corpus::golden;
use coldswap::diagnostic::Source;
use coldswap::runbook::{Files, Vars, read_runbook};
use std::path::Path;
use std::process::Command;

fn blocks(page: &str, wanted: usize, code: i32) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().expect("a directory");
    let path = root.join("docs").join(page);
    let text = std::fs::read_to_string(&path).expect("the page");
    let (mut shown, mut rest, mut run) = (String::new(), text.as_str(), 0);
    while let Some((before, after)) = rest.split_once("```console\n$ coldswap ") {
        let (typed, after) = after.split_once('\n').expect("a command");
        let end = if after.starts_with("```") { 0 } else { after.find("\n```").expect("the end of the block") + 1 };
        let picture = place.path().join("picture.svg");
        let args: Vec<String> =
            typed.split(' ').map(|a| if a.ends_with(".svg") { picture.display().to_string() } else { a.to_owned() }).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_coldswap"));
        command.current_dir(root).env("COLDSWAP_STORE", place.path().join("state.db")).env_remove("COLDSWAP_CONFIG").env_remove("RUST_LOG");
        let output = command.args(&args).output().expect("it runs");
        let exit = output.status.code().expect("an exit code");
        assert!([0, code].contains(&exit), "{typed}: {exit}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("text");
        shown.push_str(&format!("{before}```console\n$ coldswap {typed}\n{}\n", printed.trim_end()));
        if let Some(at) = typed.split(' ').find(|a| a.ends_with(".svg")) {
            let drawn = std::fs::read_to_string(&picture).expect("the picture");
            golden(&root.join(at), &drawn).expect("COLDSWAP_BLESS=1 writes it anew");
        }
        rest = &after[end..];
        run += 1;
    }
    shown.push_str(rest);
    assert_eq!(run, wanted, "commands");
    golden(&path, &shown).expect("COLDSWAP_BLESS=1 writes it anew");
}

#[test]
fn the_page_on_coverage_shows_what_is_printed() {
    blocks("coverage.md", 1, 4);
}

#[test]
fn the_page_on_matching_shows_what_is_printed() {
    blocks("matching.md", 2, 0);
    let told = coldswap::plan::explain::explain_rules();
    for name in coldswap::model::Facts::NAMES {
        assert!(told.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} is not told");
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("no file {path}"))
    }
}

#[test]
fn the_rules_on_the_page_can_be_read() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/matching.md")).expect("the page");
    let (_, rules) = text.split_once("```yaml\n").expect("a block");
    let (rules, _) = rules.split_once("```").expect("its end");
    let runbook = format!(
        "apiVersion: coldswap/v1\nkind: Runbook\nmetadata: {{name: shown}}\nmode: planned\nsources: {{nodes: [web-1]}}\npools: [{{name: any, select: spare.instance is none}}]\nboot: {{via: redfish-override}}\n{rules}"
    );
    let (runbook, _) = read_runbook(&Source::new("shown.yaml", runbook), &Vars::new(), &NoFiles).unwrap_or_else(|d| panic!("{d:?}"));
    assert_eq!((runbook.matching.require.len(), runbook.matching.spread.len()), (5, 1));
}
