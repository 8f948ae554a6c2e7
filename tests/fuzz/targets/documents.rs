//! Any bytes as a runbook, inventory, lab, drill or configuration: checked or refused with places that can be shown, and
//! an inventory that is read is the same after it was written.
#![no_main]

use coldswap_sim::diagnostic::{Look, Source, codes, render};
use coldswap_sim::model::Fleet;
use coldswap_sim::runbook::{Files, Format, Vars, check_document, read_inventory, write_inventory};
use libfuzzer_sys::fuzz_target;

struct Shelf;

impl Files for Shelf {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path.ends_with(".sh") { Ok(b"#!/bin/sh\n".to_vec()) } else { Err("no such file".into()) }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let source = Source::new("fuzzed.yaml", bytes);
    let said = match check_document(&source, &Vars::new(), &Shelf) {
        Ok((_, warnings)) => {
            assert!(!warnings.has_errors(), "accepted with errors");
            warnings
        }
        Err(errors) => {
            assert!(errors.has_errors(), "refused without an error");
            errors
        }
    };
    for diagnostic in &said.0 {
        assert!(codes::CODES.iter().any(|c| c.code == diagnostic.code), "{} is not in the table", diagnostic.code);
    }
    render(&said, &[&source], Look::Plain);
    render(&said, &[&source], Look::Coloured);
    let Ok((records, _)) = read_inventory(&source) else { return };
    let fleet = Fleet::from_records(records);
    for format in [Format::Yaml, Format::Json] {
        let text = write_inventory(&fleet, format);
        match read_inventory(&Source::new("written", text.as_str())) {
            Ok((again, _)) => assert_eq!(Fleet::from_records(again), fleet, "{text}"),
            Err(found) => panic!("{text}\n{:?}", found.0),
        }
    }
});
