//! Facts that many nodes have alike: read once for all of them, and kept once. In a fleet of a few kinds of hardware they are
//! most of each record.

use super::rows;
use super::writer::Failure;
use crate::model::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Where no two nodes are alike, what is kept of them helps nobody.
const KEPT_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct Kinds {
    known: HashMap<String, Shared<Facts>>,
}

/// The parts of a node's record that are looked up.
#[derive(Deserialize)]
struct Parts<'b> {
    #[serde(borrow)]
    declared_facts: &'b RawValue,
    #[serde(borrow)]
    live_facts: &'b RawValue,
}

impl Kinds {
    /// As [`rows::parse`] reads it.
    pub(super) fn parse(&mut self, body: &str) -> Result<Node, Failure> {
        // What is not as it should be is for the reader of the whole record to say.
        let Ok(Parts { declared_facts, live_facts }) = serde_json::from_str(body) else { return rows::parse(body) };
        let place = |part: &RawValue| {
            let start = part.get().as_ptr() as usize - body.as_ptr() as usize;
            start..start + part.get().len()
        };
        let (declared, live) = (place(declared_facts), place(live_facts));
        let (first, second) = if declared.start < live.start { (declared, live) } else { (live, declared) };
        let rest = [&body[..first.start], "{}", &body[first.end..second.start], "{}", &body[second.end..]].concat();
        let mut node: Node = rows::parse(&rest)?;
        (node.declared_facts, node.live_facts) = (self.facts(declared_facts.get())?, self.facts(live_facts.get())?);
        Ok(node)
    }

    fn facts(&mut self, text: &str) -> Result<Shared<Facts>, Failure> {
        if let Some(facts) = self.known.get(text) {
            return Ok(facts.clone());
        }
        let facts: Shared<Facts> = rows::parse(text)?;
        if self.known.len() < KEPT_MAX {
            self.known.insert(text.to_owned(), facts.clone());
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_the_whole_of_it_is_and_what_is_alike_is_kept_once() {
        let mut node = Node::named("web-1", "https://10.0.0.1");
        node.labels.insert("declared_facts".into(), Scalar::Text("\"live_facts\":{}".into()));
        node.declared_facts = Facts { model: Some("C\"{1".into()), memory_mib: Some(1), ..Facts::default() }.into();
        node.live_facts = Facts { firmware: [("bios".to_owned(), "}".to_owned())].into(), ..Facts::default() }.into();
        let body = serde_json::to_string(&node).expect("JSON");
        let mut kinds = Kinds::default();
        let (first, second) = (kinds.parse(&body).expect("a node"), kinds.parse(&body).expect("a node"));
        assert_eq!(first, node);
        assert_eq!(second, node);
        assert!(first.live_facts.is(&second.live_facts) && first.declared_facts.is(&second.declared_facts));
        let other = body.replace("\"memory_mib\":1", "\"memory_mib\":\"one\"");
        assert!(kinds.parse(&other).is_err() && rows::parse::<Node>(&other).is_err());
        assert!(kinds.parse("{}").is_err());
    }
}
