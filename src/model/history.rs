//! What happened: runs and attempts, as the journal holds them. Field names here are those of `rosterd.history/1`.

use serde::{Deserialize, Serialize};

use super::id::{SourceId, TargetId};
use super::plan::{Change, Verb};
use super::report::{RunResult, Summary, Trigger};
use super::time::{Millis, maybe_rfc3339, rfc3339};

/// The schema's name.
pub const HISTORY_SCHEMA: &str = "rosterd.history/1";

/// One run in a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunLine {
    /// Its number.
    pub run: i64,
    /// Name of the sync.
    pub sync: String,
    /// What started it.
    pub trigger: Trigger,
    /// How it ended; `null` where it has not, or was cut off.
    pub result: Option<RunResult>,
    /// Start.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Millis,
    /// End.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub finished_at: Option<Millis>,
    /// People read, once it has ended.
    pub people: Option<u64>,
    /// Whether the read was about everybody and proven complete.
    pub complete: bool,
    /// Each person once, once it has ended.
    pub summary: Option<Summary>,
    /// What was wrong with either side.
    pub problem: Option<String>,
}

/// One write that was tried for one person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// When it was written down, right before it was sent.
    #[serde(serialize_with = "rfc3339")]
    pub at: Millis,
    /// When its outcome was known.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub ended_at: Option<Millis>,
    /// The run.
    pub run: i64,
    /// Name of the sync.
    pub sync: String,
    /// What was tried.
    pub action: Verb,
    /// Login then.
    pub user: String,
    /// The person.
    pub source_id: SourceId,
    /// The account, where there was one.
    pub target_id: Option<TargetId>,
    /// Why.
    pub reason: String,
    /// Old and new values.
    pub changes: Vec<Change>,
    /// Who approved it, where it had been held.
    pub approved_by: Option<String>,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// The target's HTTP status, where one was received.
    pub status: Option<u16>,
    /// The target's words, or ours.
    pub detail: Option<String>,
    /// Requests that carried it.
    pub requests: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Acknowledged by the target.
    Applied,
    /// Refused by the target.
    Refused,
    /// Found not to have happened, or never sent.
    NotSent,
    /// Not known (yet): the run is going on, or was cut off and the next one looks.
    Unknown,
}

impl AttemptOutcome {
    /// The word in the journal and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Applied => "applied",
            AttemptOutcome::Refused => "refused",
            AttemptOutcome::NotSent => "not_sent",
            AttemptOutcome::Unknown => "unknown",
        }
    }
}
