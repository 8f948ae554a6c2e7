//! Events of the YAML parser into a [`Tree`], within limits.

use super::{Entry, Tree, Value, encoding, shorten, syntax};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes, line_column};
use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};
use std::collections::BTreeMap;
use std::ops::Range;

/// How much of a file is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes: usize,
    /// Keys and values, those that aliases repeat included.
    pub values: usize,
}

impl Limits {
    pub const FILE: Limits = Limits { bytes: 4 << 20, values: 1_000_000 };
    /// Five thousand nodes are about as many megabytes.
    pub const INVENTORY: Limits = Limits { bytes: 64 << 20, values: 16_000_000 };
}

/// Lists and maps inside each other.
const DEPTH: usize = 64;
/// Values that all aliases of a file may repeat. A runbook that says a thing twice does not need more; a billion
/// laughs does.
const REPEATED: usize = 10_000;
/// Values that are copied aside for aliases to come.
const KEPT: usize = 1_000_000;
/// Errors told of one file: who made more made one mistake many times.
const TOLD: usize = 200;

/// The tree of a file and what is wrong with it. Without a tree the file could not be read to its end; with one, the
/// rest can be checked too, so that all errors are told at once.
pub fn read(source: &Source, limits: Limits) -> (Option<Tree>, Diagnostics) {
    let told = |d: Diagnostic| (None, Diagnostics(vec![d]));
    if source.text.len() > limits.bytes {
        let message = format!("the file has {} bytes, more than the {} MiB that are read", source.text.len(), limits.bytes >> 20);
        return told(Diagnostic::error(codes::TOO_LARGE, message).hint("split it, or keep the inventory in the store"));
    }
    let text = match encoding::text(source) {
        Ok(text) => text,
        Err(found) => return (None, found),
    };
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder::new(&source.name, text, limits);
    for next in Parser::new_from_str_with_options(text, options) {
        let step = match next {
            Ok((event, span)) => builder.take(event, span.byte_range().unwrap_or(0..0), span.tag_span().and_then(|t| t.byte_range())),
            Err(error) => Err(syntax::explain(&source.name, text, &error)),
        };
        if let Err(last) = step {
            builder.found.extend(last);
            return (None, builder.found.sorted());
        }
    }
    match builder.root {
        Some(tree) if !tree.is_nothing() => (Some(tree), builder.found),
        _ => {
            let message = "the file holds nothing";
            let nothing = Diagnostic::error(codes::EMPTY_FILE, message).at(&source.name, 0..0);
            builder.found.push(nothing.hint("begin with `apiVersion: coldswap/v1` and `kind:`"));
            (None, builder.found)
        }
    }
}

/// A list or map that is not closed yet.
struct Open {
    anchor: usize,
    at: Range<usize>,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Tree>),
    Map { entries: Vec<Entry>, seen: BTreeMap<String, usize>, key: Option<(String, Range<usize>)>, skip: bool },
}

struct Builder<'a> {
    file: &'a str,
    text: &'a str,
    limits: Limits,
    open: Vec<Open>,
    root: Option<Tree>,
    documents: usize,
    /// Finished anchored values with their weight; one that is too heavy to be repeated is not kept.
    anchors: BTreeMap<usize, (Option<Tree>, usize)>,
    /// The weight of all that is kept in `anchors`.
    kept: usize,
    values: usize,
    repeated: usize,
    found: Diagnostics,
}

type Step = Result<(), Diagnostics>;

impl<'a> Builder<'a> {
    fn new(file: &'a str, text: &'a str, limits: Limits) -> Builder<'a> {
        let found = Diagnostics::default();
        Builder {
            file,
            text,
            limits,
            open: Vec::new(),
            root: None,
            documents: 0,
            anchors: BTreeMap::new(),
            kept: 0,
            values: 0,
            repeated: 0,
            found,
        }
    }

    fn error(&self, code: &'static str, message: impl Into<String>, at: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.file, at)
    }

    fn tell(&mut self, diagnostic: Diagnostic) -> Step {
        if self.found.0.len() >= TOLD {
            return Err(Diagnostics(vec![diagnostic]));
        }
        self.found.push(diagnostic);
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, at: Range<usize>, tag_at: Option<Range<usize>>) -> Step {
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_deref(), tag_at, &at)?;
                let at = self.trim(at);
                // The parser calls nothing `~`.
                let text = if at.is_empty() { String::new() } else { text.into_owned() };
                let value = Value::Scalar { text, plain: style == ScalarStyle::Plain };
                self.count(&at)?;
                self.finished(Tree { value, at }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), tag_at, &at)?;
                self.begin(OpenKind::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), tag_at, &at)?;
                self.begin(OpenKind::Map { entries: Vec::new(), seen: BTreeMap::new(), key: None, skip: false }, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn document(&mut self, at: Range<usize>) -> Step {
        self.documents += 1;
        if self.documents > 1 {
            let second =
                self.error(codes::SEVERAL_DOCUMENTS, "a second document begins here", at).hint("one file is one document: split it");
            return Err(Diagnostics(vec![second]));
        }
        Ok(())
    }

    fn tag(&mut self, tag: Option<&Tag>, tag_at: Option<Range<usize>>, at: &Range<usize>) -> Step {
        let Some(tag) = tag else { return Ok(()) };
        let message = format!("the tag `{}` is not part of the language", shorten(&tag.original()));
        self.tell(
            self.error(codes::TAG, message, tag_at.unwrap_or(at.clone())).hint("remove it; text that begins with `!` belongs in quotes"),
        )
    }

    /// A plain scalar's place without the blanks and line ends that the parser counts to it.
    fn trim(&self, at: Range<usize>) -> Range<usize> {
        let shown = self.text.get(at.clone()).unwrap_or("");
        at.start..at.start + shown.trim_end().len()
    }

    fn count(&mut self, at: &Range<usize>) -> Step {
        self.values += 1;
        if self.values + self.repeated > self.limits.values {
            let message = format!("the file holds more than {} values", self.limits.values);
            return Err(Diagnostics(vec![self.error(codes::TOO_LARGE, message, at.clone())]));
        }
        Ok(())
    }

    fn begin(&mut self, kind: OpenKind, anchor: usize, at: Range<usize>) -> Step {
        self.count(&at)?;
        if self.open.len() >= DEPTH {
            let message = format!("nested more than {DEPTH} levels deep");
            return Err(Diagnostics(vec![self.error(codes::TOO_DEEP, message, at)]));
        }
        self.open.push(Open { anchor, at, kind });
        Ok(())
    }

    fn end(&mut self, at: Range<usize>) -> Step {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { entries, .. } => Value::Map(entries),
        };
        let at = self.trim(open.at.start..at.end.max(open.at.end));
        self.finished(Tree { value, at }, open.anchor)
    }

    /// A value is complete: remember it for aliases and put it where it belongs.
    fn finished(&mut self, tree: Tree, anchor: usize) -> Step {
        if anchor != 0 {
            let weight = weight(&tree);
            let light = weight <= REPEATED;
            self.kept += if light { weight } else { 0 };
            if self.kept > KEPT {
                let message = "anchors stand inside each other too often";
                return Err(Diagnostics(vec![self.error(codes::ALIAS, message, tree.at).hint("write the values out")]));
            }
            self.anchors.insert(anchor, (light.then(|| tree.clone()), weight));
        }
        self.place(tree)
    }

    fn place(&mut self, tree: Tree) -> Step {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(tree);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(tree),
            OpenKind::Map { skip, .. } if *skip => *skip = false,
            OpenKind::Map { entries, key, .. } => match key.take() {
                Some((key, key_at)) => entries.push(Entry { key, key_at, value: tree }),
                None => return self.key(tree),
            },
        }
        Ok(())
    }

    /// A map's next key. One that cannot be used is told, and its value is passed over.
    fn key(&mut self, tree: Tree) -> Step {
        let trouble = match &tree.value {
            Value::Scalar { text, plain: true } if text == "<<" => {
                Some(self.error(codes::MERGE_KEY, "merge keys are not part of the language", tree.at.clone()).hint("write the keys out"))
            }
            Value::Scalar { .. } if tree.is_nothing() => {
                Some(self.error(codes::BAD_KEY, format!("a key is wanted: {}", tree.describe("")), tree.at.clone()))
            }
            Value::Scalar { text, .. } => self.repeated_key(text, &tree.at),
            _ if self.text[tree.at.start.saturating_sub(1)..].starts_with("{{") => {
                let from = tree.at.start.saturating_sub(1);
                let length = self.text[from..].find("}}").map_or(2, |n| n + 2);
                Some(syntax::unquoted(self.file, from..from + length))
            }
            _ => Some(self.error(codes::BAD_KEY, format!("a key is wanted: {}", tree.describe("")), tree.at.clone())),
        };
        let Some(OpenKind::Map { seen, key, skip, .. }) = self.open.last_mut().map(|o| &mut o.kind) else { return Ok(()) };
        match (trouble, tree.value) {
            (Some(trouble), _) => {
                *skip = true;
                self.tell(trouble)
            }
            (None, Value::Scalar { text, .. }) => {
                seen.insert(text.clone(), tree.at.start);
                *key = Some((text, tree.at));
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn repeated_key(&self, text: &str, at: &Range<usize>) -> Option<Diagnostic> {
        let Some(OpenKind::Map { seen, .. }) = self.open.last().map(|o| &o.kind) else { return None };
        let first = seen.get(text)?;
        let line = line_column(self.text.as_bytes(), *first).line;
        let message = format!("the key `{}` is written twice", shorten(text));
        Some(self.error(codes::DUPLICATE_KEY, message, at.clone()).hint(format!("it stands in line {line} already")))
    }

    fn alias(&mut self, id: usize, at: Range<usize>) -> Step {
        let fatal = |d: Diagnostic| Err(Diagnostics(vec![d.hint("write the values out")]));
        let Some((tree, weight)) = self.anchors.get(&id).cloned() else {
            return fatal(self.error(codes::ALIAS, "the alias stands inside its own anchor", at));
        };
        self.repeated += weight;
        let Some(tree) = tree.filter(|_| self.repeated <= REPEATED) else {
            return fatal(self.error(codes::ALIAS, format!("aliases repeat more than {REPEATED} values"), at));
        };
        if self.open.len() + depth(&tree) > DEPTH {
            return fatal(self.error(codes::TOO_DEEP, format!("aliases nest more than {DEPTH} levels deep"), at));
        }
        // What is wrong with the value as a whole is wrong here; what is wrong inside is wrong where it is written.
        self.place(Tree { at, ..tree })
    }
}

/// How many values a tree is; long text counts for several.
fn weight(tree: &Tree) -> usize {
    const TEXT: usize = 64;
    match &tree.value {
        Value::Scalar { text, .. } => 1 + text.len() / TEXT,
        Value::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|e| 1 + e.key.len() / TEXT + weight(&e.value)).sum::<usize>(),
    }
}

fn depth(tree: &Tree) -> usize {
    match &tree.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
    }
}
