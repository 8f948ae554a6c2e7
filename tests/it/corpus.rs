//! Broken files, each with what is said about it. `COLDSWAP_BLESS=1` writes the answers anew; look at each of them.

use crate::language::Project;
use coldswap::diagnostic::{Look, Source, codes, render};
use coldswap::runbook::{Vars, check_document};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus")
}

/// Is the golden file what was said? Blessed, it is.
pub fn golden(path: &Path, said: &str) -> Result<(), String> {
    if std::env::var_os("COLDSWAP_BLESS").is_some() {
        return std::fs::write(path, said).map_err(|e| e.to_string());
    }
    let want = std::fs::read_to_string(path).unwrap_or_default();
    if want == said { Ok(()) } else { Err(format!("{}:\n--- want\n{want}\n--- said\n{said}", path.display())) }
}

#[test]
fn every_broken_file_is_explained() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).expect("the corpus").map(|e| e.expect("an entry").path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    assert!(files.len() >= 60, "{} files", files.len());
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for path in files {
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name in UTF-8").to_owned();
        let source = Source::new(format!("tests/it/corpus/{name}"), std::fs::read(&path).expect("a file"));
        let Err(found) = check_document(&source, &Vars::new(), &Project) else { panic!("{name} is not broken") };
        seen.extend(found.0.iter().map(|d| d.code));
        let lone = found.0.iter().find(|d| d.span.is_none());
        assert_eq!(lone, None, "{name}: everything in a file has a place");
        wrong.extend(golden(&path.with_extension("txt"), &render(&found, &[&source], Look::Plain)).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Those are about what no small text file can hold.
    let elsewhere = [codes::TOO_LARGE, codes::ENCODING, codes::TOO_MANY, codes::UNKNOWN_VARIABLE, codes::VARIABLE_TYPE, codes::FENCE_AGENT];
    let missing: Vec<&str> =
        codes::CODES.iter().map(|c| c.code).filter(|c| c.starts_with('R') && !seen.contains(c) && !elsewhere.contains(c)).collect();
    assert!(missing.is_empty(), "no broken file for {missing:?}");
}

fn first_code(bytes: impl Into<Vec<u8>>) -> Option<&'static str> {
    let source = Source::new("generated.yaml", bytes);
    let found = check_document(&source, &Vars::new(), &Project).err()?;
    render(&found, &[&source], Look::Plain);
    found.0.first().map(|d| d.code)
}

#[test]
fn huge_and_binary_files_are_explained() {
    let text = "apiVersion: coldswap/v1\nkind: Config\n";
    assert_eq!(first_code(text), None);
    assert_eq!(first_code(format!("{text}# {}\n", "x".repeat(4 << 20))), Some(codes::TOO_LARGE));
    assert_eq!(first_code(format!("{text}x: [{}]\n", "a,".repeat(1_050_000))), Some(codes::TOO_LARGE));
    assert_eq!(first_code(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()), Some(codes::ENCODING));
    assert_eq!(first_code(text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()), Some(codes::ENCODING));
    assert_eq!(first_code(format!("\u{feff}{text}")), Some(codes::ENCODING));
    assert_eq!(first_code(b"kind: \xe4\n"), Some(codes::ENCODING));
    assert_eq!(first_code(format!("{text}# \0\n")), Some(codes::ENCODING));
    let elf: Vec<u8> = std::fs::read("/proc/self/exe").map(|b| b[..4096].to_vec()).unwrap_or(b"\x7fELF\0\0".to_vec());
    assert_eq!(first_code(elf), Some(codes::ENCODING));
}

/// An inventory may be larger than other files; a thousand errors are not told one by one.
#[test]
fn a_large_inventory_is_read_and_its_many_errors_are_counted() {
    let node = |n: usize, key: &str| {
        format!(
            "- {{name: node-{n}, {key}: web, bmc: {{address: \"https://10.0.{}.{}\"}}, labels: {{note: \"{}\"}}}}\n",
            n / 250,
            n % 250,
            "x".repeat(900)
        )
    };
    let inventory = |key: &str, count: usize| {
        format!("apiVersion: coldswap/v1\nkind: Inventory\nnodes:\n{}", (0..count).map(|n| node(n, key)).collect::<String>())
    };
    let good = inventory("resource_class", 4_600);
    assert!(good.len() > 4 << 20);
    assert_eq!(first_code(good), None);
    let found =
        check_document(&Source::new("many.yaml", inventory("resource_clas", 300)), &Vars::new(), &Project).expect_err("many errors");
    assert_eq!(found.0.len(), 201);
    let last = found.0.last().expect("the last");
    assert_eq!((last.code, last.message.as_str()), (codes::TOO_MANY, "100 more errors in `many.yaml`"));
}

/// What is emitted can be looked up: every literal in the sources that is shaped like a code is in the table.
#[test]
fn every_code_that_is_emitted_is_in_the_table() {
    let is_code = |word: &str| word.len() == 4 && word.starts_with(['P', 'R']) && word[1..].bytes().all(|b| b.is_ascii_digit());
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut unknown = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("diagnostic/codes.rs") {
                let text = std::fs::read_to_string(&path).expect("a file");
                unknown.extend(text.split('"').filter(|w| is_code(w) && codes::explain(w).is_none()).map(|w| (path.clone(), w.to_owned())));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}
