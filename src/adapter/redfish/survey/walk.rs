//! Going through a BMC's tree, and remembering what could not be read of it.

use super::part::Part;
use crate::adapter::redfish::line::Line;
use crate::adapter::redfish::system::MEMBERS_MAX;
use serde_json::Value;
use std::collections::BTreeSet;

/// So many requests may stay without an answer before the rest of the tree is not asked for any more.
const SILENCES_MAX: u32 = 2;
/// More pages than any collection has.
const PAGES_MAX: usize = 64;

/// Why something could not be read.
#[derive(Debug)]
pub(super) struct Miss {
    /// The BMC says that it has no such thing (404, 405, 410, 501): nothing is wrong.
    pub absent: bool,
    pub why: String,
}

impl Miss {
    pub(super) fn broken(why: impl Into<String>) -> Miss {
        Miss { absent: false, why: why.into() }
    }

    /// Of a thing whose existence was told by the collection that it is in, so that it is missed.
    fn of_member(self) -> Miss {
        Miss { absent: false, ..self }
    }
}

pub(super) type Found<T> = Result<T, Miss>;

pub(super) struct Walk<'a> {
    pub line: &'a Line,
    silences: u32,
    pub unread: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(line: &'a Line) -> Walk<'a> {
        Walk { line, silences: 0, unread: Vec::new() }
    }

    /// Keep what was found of a part of the tree, or the reason.
    pub(super) fn keep<T>(&mut self, part: &str, found: Found<T>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(miss) => {
                if !miss.absent {
                    self.unread.push(format!("{part}: {}", miss.why));
                }
                None
            }
        }
    }

    pub(super) async fn body(&mut self, path: &str) -> Found<Value> {
        if self.silences >= SILENCES_MAX {
            return Err(Miss::broken("not asked for, because the BMC had stopped answering"));
        }
        let url = self.line.address.url(path).map_err(|fault| Miss::broken(fault.detail))?;
        match self.line.get(&url).await {
            Ok(answer) => match serde_json::from_slice::<Value>(&answer.body) {
                Ok(body) if body.is_object() => Ok(body),
                _ => Err(Miss::broken(format!("GET {} answered what is no JSON object", self.line.shown(&url)))),
            },
            Err(trouble) => {
                self.silences += u32::from(trouble.status.is_none());
                let absent = trouble.status.is_some_and(|s| matches!(s.as_u16(), 404 | 405 | 410 | 501));
                Err(Miss { absent, why: crate::model::Fault::from(trouble).detail })
            }
        }
    }

    /// The links of a collection, over all its pages, each once. A member without a link is a member that is missed.
    pub(super) async fn members(&mut self, path: &str) -> Found<Vec<String>> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = Some(path.to_owned());
        for page in 0..PAGES_MAX {
            let Some(path) = next.take() else { return Ok(found) };
            let body = self.body(&path).await.map_err(|miss| if page == 0 { miss } else { miss.of_member() })?;
            let body = Part::of(&body);
            for member in body.list("Members").unwrap_or_default() {
                let link = member.path().ok_or_else(|| Miss::broken(format!("a member of `{path}` has no link")))?;
                if seen.insert(link.clone()) {
                    found.push(link);
                }
            }
            if found.len() > MEMBERS_MAX {
                break;
            }
            next = body.text("Members@odata.nextLink");
        }
        match next {
            None if found.len() <= MEMBERS_MAX => Ok(found),
            _ => Err(Miss::broken(format!("`{path}` has more members than the {MEMBERS_MAX} that are read"))),
        }
    }

    /// One member of a collection.
    pub(super) async fn member(&mut self, path: &str) -> Found<Value> {
        self.body(path).await.map_err(Miss::of_member)
    }

    /// What these links lead to: all or nothing, because a count that rests on a part is too small.
    pub(super) async fn bodies(&mut self, paths: &[String]) -> Found<Vec<Value>> {
        let mut bodies = Vec::with_capacity(paths.len());
        for path in paths {
            bodies.push(self.member(path).await?);
        }
        Ok(bodies)
    }

    /// All members of a collection.
    pub(super) async fn all(&mut self, path: &str) -> Found<Vec<Value>> {
        // In one request, where that works.
        if self.silences == 0
            && let Ok(Some(all)) = self.line.expanded(path).await
        {
            return Ok(all);
        }
        let members = self.members(path).await?;
        self.bodies(&members).await
    }
}
