//! What may hold a run back: windows, approval, canary, limits; and who is told of it.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When switchovers may run, as declared. Which instants it means is worked out where there is a time zone database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Local times, such as `2026-12-01T22:00`.
    Once { opens: String, closes: String, time_zone: String },
    /// Five fields, and how long it stays open each time, in elapsed time.
    Cron { cron: String, lasts: Span, time_zone: String },
}

/// One time that a window is open: from `opens` until just before `closes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    pub opens: Time,
    pub closes: Time,
}

/// Somebody must agree before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub timeout: Span,
    /// What counts when nobody answers in time: does the run start?
    pub allow: bool,
}

impl Approval {
    /// A working day.
    pub const TIMEOUT: Span = Span::mins(8 * 60);
}

/// After the first switchovers have ended, somebody looks before the others start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    pub count: u32,
    pub timeout: Span,
    /// What counts when nobody answers in time: do the others start?
    pub go: bool,
}

impl Canary {
    pub const TIMEOUT: Span = Span::mins(8 * 60);
}

/// Who is told of what. Rendered at plan time but for [`EVENT_NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub events: Vec<NoticeEvent>,
    pub action: HookAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeEvent {
    /// The run began or was taken up again.
    Started,
    /// A switchover ended otherwise than switched over.
    Failed,
    /// This process is done with the run: everything is finished, or it is parked.
    Finished,
    /// Nothing new starts, or somebody is asked.
    Paused,
    InDoubt,
}

impl NoticeEvent {
    pub const ALL: [NoticeEvent; 5] =
        [NoticeEvent::Started, NoticeEvent::Failed, NoticeEvent::Finished, NoticeEvent::Paused, NoticeEvent::InDoubt];

    pub fn as_str(self) -> &'static str {
        match self {
            NoticeEvent::Started => "started",
            NoticeEvent::Failed => "failed",
            NoticeEvent::Finished => "finished",
            NoticeEvent::Paused => "paused",
            NoticeEvent::InDoubt => "in_doubt",
        }
    }
}

/// What a notification's templates may use beside `vars`; filled in when it is sent.
pub const EVENT_NAMES: [&str; 4] = ["event.kind", "event.text", "event.switchover", "run.id"];

/// What holds a waiting switchover back. Wire names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    Approval,
    Canary,
    Paused,
    AtOnce,
    StartRate,
    Priority,
    PerDomain,
    Window,
}

impl Limit {
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Approval => "approval",
            Limit::Canary => "canary",
            Limit::Paused => "paused",
            Limit::AtOnce => "at_once",
            Limit::StartRate => "start_rate",
            Limit::Priority => "priority",
            Limit::PerDomain => "per_domain",
            Limit::Window => "window",
        }
    }
}

/// A failure domain that a switchover touches: rack `fra1/r2/b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Domain {
    pub level: String,
    /// With the domains around it in front: two racks of one name in two rows are two racks.
    pub name: String,
}

impl Domain {
    /// `None`: the inventory does not say where the node is.
    pub fn of(node: &Node, level: &str) -> Option<Domain> {
        let place = &node.failure_domain;
        let own = place.get(level)?;
        // A power feed runs through rows and racks of its site.
        let around: &[&str] = match level {
            "site" => &[],
            "row" | "feed" => &["site"],
            "rack" => &["site", "row"],
            "chassis" => &["site", "row", "rack"],
            _ => &["site", "row", "rack", "chassis"],
        };
        let path: Vec<&str> = around.iter().filter_map(|l| place.get(l)).chain([own]).collect();
        Some(Domain { level: level.to_owned(), name: path.join("/") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_racks_of_one_name_in_two_rows_are_two() {
        let mut node = Node::named("a", "http://127.0.0.1");
        node.failure_domain.rack = Some("b".into());
        let name = |node: &Node, level| Domain::of(node, level).map(|d| d.name);
        assert_eq!(name(&node, "rack").as_deref(), Some("b"));
        (node.failure_domain.site, node.failure_domain.row) = (Some("fra1".into()), Some("r2".into()));
        assert_eq!(name(&node, "rack").as_deref(), Some("fra1/r2/b"));
        assert_eq!(name(&node, "row").as_deref(), Some("fra1/r2"));
        assert_eq!(name(&node, "chassis"), None);
    }
}
