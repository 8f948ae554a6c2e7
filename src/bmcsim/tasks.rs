//! Tasks: what a BMC hands out that answers a reset with 202 (DSP0266, section on asynchronous operations).

use super::machine::Machine;
use crate::model::Span;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::time::Instant;

/// How many a BMC remembers.
const KEPT: usize = 16;

struct Task {
    id: u64,
    ends: Instant,
}

#[derive(Default)]
pub(super) struct Tasks {
    known: VecDeque<Task>,
    counted: u64,
}

impl Tasks {
    pub(super) fn start(&mut self, takes: Span) -> u64 {
        self.counted += 1;
        if self.known.len() == KEPT {
            self.known.pop_front();
        }
        self.known.push_back(Task { id: self.counted, ends: Instant::now() + takes.duration() });
        self.counted
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.known.iter().map(|t| t.id.to_string()).collect()
    }

    /// Is it over? None: there is no such task.
    pub(super) fn over(&self, id: &str) -> Option<bool> {
        self.known.iter().find(|t| t.id.to_string() == id).map(|t| t.ends <= Instant::now())
    }
}

/// Where the task is followed.
pub(super) fn monitor(machine: &Machine, id: &str) -> String {
    machine.at(&format!("/TaskService/TaskMonitors/{id}"))
}

pub(super) fn resource(machine: &Machine, id: &str, over: bool) -> Value {
    json!({
        "@odata.id": machine.at(&format!("/TaskService/Tasks/{id}")),
        "@odata.type": "#Task.v1_7_4.Task",
        "Id": id,
        "Name": "Reset",
        "TaskState": if over { "Completed" } else { "Running" },
        "TaskStatus": "OK",
        "PercentComplete": if over { 100 } else { 50 },
        "TaskMonitor": monitor(machine, id),
        "Messages": [],
    })
}
