//! What `docs/sizing.md` shows is what the program says: its commands are run, its table is computed.

use crate::corpus::golden;
use crate::sizing::question;
use crate::sizing_cli::command;
use coldswap::model::Span;
use coldswap::sizing::{YearlyRate, answer};
use std::path::{Path, PathBuf};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

#[test]
fn the_examples_are_what_the_program_prints() {
    let place = tempfile::tempdir().expect("a directory");
    let text = std::fs::read_to_string(docs("sizing.md")).expect("the page");
    let mut page = String::new();
    let mut rest = text.as_str();
    let mut run = 0;
    while let Some((before, after)) = rest.split_once("```console\n$ coldswap ") {
        let (typed, after) = after.split_once('\n').expect("a command");
        let end = if after.starts_with("```") { 0 } else { after.find("\n```").expect("the end of the block") + 1 };
        let output = command(place.path()).args(typed.split(' ')).output().expect("it runs");
        assert!(output.status.success(), "{typed}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("text");
        page.push_str(&format!("{before}```console\n$ coldswap {typed}\n{}\n", printed.trim_end()));
        rest = &after[end..];
        run += 1;
    }
    page.push_str(rest);
    assert_eq!(run, 2, "examples");
    golden(&docs("sizing.md"), &page).expect("COLDSWAP_BLESS=1 writes it anew");
    let svg = std::fs::read_to_string(place.path().join("docs/sizing.svg")).expect("the plot");
    golden(&docs("sizing.svg"), &svg).expect("COLDSWAP_BLESS=1 writes it anew");
}

#[test]
fn the_table_is_what_the_model_says() {
    let text = std::fs::read_to_string(docs("sizing.md")).expect("the page");
    let (_, table) = text.split_once("| nodes | rate | repair | 95% | 99% | 99.9% |\n|---|---|---|---|---|---|\n").expect("the table");
    let mut rows = 0;
    for line in table.lines().take_while(|l| l.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [nodes, rate, repair, told @ ..] = cells.as_slice() else { panic!("{line}") };
        let (rate, repair): (YearlyRate, Span) = (rate.parse().expect("a rate"), repair.parse().expect("a duration"));
        for (target, want) in [0.95, 0.99, 0.999].into_iter().zip(told) {
            let q = question(nodes.parse().expect("a number"), rate.0, repair, target);
            let spares = answer(&q, None).expect("an answer").without_shortage.spares.expect("a number");
            assert_eq!(spares.to_string(), **want, "{line} at {target}");
        }
        rows += 1;
    }
    assert_eq!(rows, 8);
}
