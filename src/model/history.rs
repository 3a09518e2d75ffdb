//! What happened: runs and attempts, as the journal holds them. Field names here are those of `rosterd.history/1`.

use std::collections::BTreeMap;

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
    /// Who started it, where somebody did by hand.
    pub by: Option<String>,
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

/// Something that was done beside the runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventLine {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Millis,
    /// What.
    pub event: EventKind,
    /// Name of the sync; `null` = it was about all of them.
    pub sync: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// The person whom it was about, where it was about one and that is not erased.
    pub user: Option<String>,
    /// Their id, or what took its place.
    pub source_id: Option<SourceId>,
    /// How many of what.
    pub counts: BTreeMap<String, u64>,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// What can be done beside the runs. Field names are those of the journal and of `rosterd.history/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A link was dropped.
    Forget,
    /// A pin was taken away.
    Lift,
    /// Links were found again.
    Rebuild,
    /// Links were handed over.
    Transfer,
    /// One person's part of the history was erased.
    Erase,
    /// History that was too old was removed.
    Prune,
    /// A hold was released.
    Approve,
    /// A hold was dropped.
    Reject,
    /// Writes were stopped.
    Pause,
    /// Writes were started again.
    Resume,
    /// An account was kept although its owner had left.
    Keep,
    /// A write whose outcome nobody could tell was given up.
    GiveUp,
}

impl EventKind {
    /// Every one.
    pub const ALL: [EventKind; 12] = [
        EventKind::Forget,
        EventKind::Lift,
        EventKind::Rebuild,
        EventKind::Transfer,
        EventKind::Erase,
        EventKind::Prune,
        EventKind::Approve,
        EventKind::Reject,
        EventKind::Pause,
        EventKind::Resume,
        EventKind::Keep,
        EventKind::GiveUp,
    ];

    /// The word in the journal and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Forget => "forget",
            EventKind::Lift => "lift",
            EventKind::Rebuild => "rebuild",
            EventKind::Transfer => "transfer",
            EventKind::Erase => "erase",
            EventKind::Prune => "prune",
            EventKind::Approve => "approve",
            EventKind::Reject => "reject",
            EventKind::Pause => "pause",
            EventKind::Resume => "resume",
            EventKind::Keep => "keep",
            EventKind::GiveUp => "give-up",
        }
    }
}

/// What a look at the whole journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Whether everything fits.
    pub intact: bool,
    /// Entries that are there.
    pub entries: u64,
    /// When the first of them was made.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub first_at: Option<Millis>,
    /// Of them, those whose person and content were erased.
    pub erased: u64,
    /// What was pruned before them.
    pub pruned: Option<PrunedUpTo>,
    /// Runs whose end was compared with the chain.
    pub runs: u64,
    /// The number of the last entry; 0 = there is none.
    pub last: i64,
    /// The chain there, hex; each run's end logs the one of its time.
    pub head: String,
    /// The first thing that does not fit.
    pub broken: Option<BrokenChain>,
}

/// Where the journal was cut when what was too old was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrunedUpTo {
    /// The last entry that was removed.
    pub entry: i64,
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Millis,
}

/// The first place at which the journal does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenChain {
    /// The entry, where it is one.
    pub entry: Option<i64>,
    /// The run that it belongs to.
    pub run: Option<i64>,
    /// When the entry says that it was made.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub at: Option<Millis>,
    /// What does not fit, in words.
    pub what: String,
}
