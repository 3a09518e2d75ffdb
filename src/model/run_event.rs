//! Everything worth telling about a run, as one closed enum: progress bars, logs and metrics consume it, so they
//! cannot disagree.

use serde::{Deserialize, Serialize};

use crate::model::report::{ActionRecord, RunResult};

/// Something happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// A page of people was read and mapped.
    PageRead {
        /// Pages so far.
        pages: u64,
        /// People so far.
        people: u64,
        /// About how many there will be, as far as the last read tells.
        expected: Option<u64>,
    },
    /// The read is complete.
    ReadComplete {
        /// People.
        people: u64,
    },
    /// Looking at the target for people without a link.
    Looking {
        /// Done so far.
        done: u64,
        /// All.
        total: u64,
    },
    /// The plan stands.
    Planned {
        /// Actions to be sent.
        writes: u64,
    },
    /// One action ended.
    Acted {
        /// Its line in the report.
        record: Box<ActionRecord>,
        /// How long it took, milliseconds.
        duration_millis: u64,
    },
    /// The run ended.
    Finished {
        /// How.
        result: RunResult,
        /// Hex of the journal's chain head; empty in a dry run.
        chain_head: String,
    },
}

/// Consumes events. Must not block.
pub trait RunWatcher: Send + Sync {
    /// Takes note of one event.
    fn tell(&self, event: &RunEvent);
}

/// Takes note of nothing.
#[derive(Debug, Clone, Copy)]
pub struct SilentWatcher;

impl RunWatcher for SilentWatcher {
    fn tell(&self, _event: &RunEvent) {}
}
