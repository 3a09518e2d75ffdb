//! What a run tells: the facts behind every report format. Field names here are those of `rosterd.report/1`.

use serde::{Deserialize, Serialize};

use super::id::{SourceId, TargetId};
use super::owed::WaitsFor;
use super::plan::{Change, RemovalCause, Situation, Verb};
use super::time::Millis;

/// What became of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Would be sent (dry run).
    Planned,
    /// Acknowledged by the target.
    Applied,
    /// Refused by the target, or its outcome could not be settled.
    Failed,
    /// Waits for an approval or a seat.
    Held,
    /// Waits for a retry, a proof or time.
    Deferred,
    /// Its switch is off.
    Disabled,
    /// Nothing was to be sent.
    Skipped,
}

impl Outcome {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Planned => "planned",
            Outcome::Applied => "applied",
            Outcome::Failed => "failed",
            Outcome::Held => "held",
            Outcome::Deferred => "deferred",
            Outcome::Disabled => "disabled",
            Outcome::Skipped => "skipped",
        }
    }
}

/// One person's line of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// What.
    pub action: Verb,
    /// Login.
    pub user: String,
    /// The person.
    pub source_id: Option<SourceId>,
    /// The account.
    pub target_id: Option<TargetId>,
    /// The situation.
    pub situation: Situation,
    /// Why.
    pub reason: String,
    /// Old and new values.
    pub changes: Vec<Change>,
    /// What became of it.
    pub outcome: Outcome,
    /// The target's HTTP status, where one was received.
    pub status: Option<u16>,
    /// The target's words, or ours.
    pub detail: Option<String>,
    /// Requests that carried this write.
    pub attempts: u32,
    /// Why access is to end; removals only.
    #[serde(default, with = "cause_word")]
    pub cause: Option<RemovalCause>,
    /// What it still waits for; `None` where nothing is owed.
    #[serde(default)]
    pub waits_for: Option<WaitsFor>,
    /// Since when it is owed.
    #[serde(default, with = "maybe_time")]
    pub owed_since: Option<Millis>,
}

/// The cause by its word in reports.
mod cause_word {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::plan::RemovalCause;

    pub(super) fn serialize<S: Serializer>(
        cause: &Option<RemovalCause>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        cause.map(RemovalCause::as_str).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<RemovalCause>, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?;
        Ok(word.as_deref().and_then(RemovalCause::of_word))
    }
}

/// A time as RFC 3339, or null.
mod maybe_time {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::time::Millis;

    pub(super) fn serialize<S: Serializer>(time: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Millis::rfc3339).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Millis>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.as_deref().and_then(Millis::parse))
    }
}

/// `summary`: each person once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Created.
    pub create: u64,
    /// Adopted.
    pub adopt: u64,
    /// Updated.
    pub update: u64,
    /// Reactivated.
    pub reactivate: u64,
    /// Deactivated.
    pub deactivate: u64,
    /// Deleted.
    pub delete: u64,
    /// Linked, nothing to do.
    pub unchanged: u64,
    /// A lasting decision to do nothing.
    pub skipped: u64,
    /// Waiting for an approval or a seat.
    pub held: u64,
    /// Undecidable, or may not be written.
    pub blocked: u64,
    /// Refused.
    pub failed: u64,
    /// Waiting for a retry, a proof or time.
    pub deferred: u64,
}

impl Summary {
    /// Counts one person by what happened.
    pub fn count(&mut self, verb: Verb, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Planned | Outcome::Applied => match verb {
                Verb::Create => &mut self.create,
                Verb::Adopt => &mut self.adopt,
                Verb::Update => &mut self.update,
                Verb::Reactivate => &mut self.reactivate,
                Verb::Deactivate => &mut self.deactivate,
                Verb::Delete => &mut self.delete,
                Verb::Block => &mut self.blocked,
                Verb::Skip => &mut self.skipped,
            },
            Outcome::Failed => &mut self.failed,
            Outcome::Held => &mut self.held,
            Outcome::Deferred => &mut self.deferred,
            Outcome::Disabled => &mut self.skipped,
            Outcome::Skipped => match verb {
                Verb::Block => &mut self.blocked,
                Verb::Create
                | Verb::Adopt
                | Verb::Update
                | Verb::Reactivate
                | Verb::Deactivate
                | Verb::Delete
                | Verb::Skip => &mut self.skipped,
            },
        };
        *slot += 1;
    }

    /// Writes that were sent, or would be.
    pub fn writes(&self) -> u64 {
        self.create + self.adopt + self.update + self.reactivate + self.deactivate + self.delete
    }
}

/// How the note begins that tells what a failure led to.
const QUARANTINE_NOTE: &str = "this sync is in quarantine";

impl RunFacts {
    /// What was wrong with the run as a whole, where it failed.
    pub fn problem(&self) -> Option<&str> {
        let problem = match self.result {
            RunResult::SourceIncomplete | RunResult::SourceUnavailable => self.source.problem.as_ref(),
            RunResult::TargetUnavailable => self.target.problem.as_ref(),
            // The error is the last thing that a run notes, except for what it led to.
            RunResult::Error => self.notes.iter().rfind(|note| !note.starts_with(QUARANTINE_NOTE)),
            RunResult::Ok | RunResult::Partial | RunResult::Held | RunResult::Interrupted => None,
        };
        problem.map(String::as_str)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// Everything that was wanted was done (or would be).
    Ok,
    /// Some people failed, or a wanted removal was not sent.
    Partial,
    /// Something waits for approval.
    Held,
    /// The source's answer cannot be trusted to be complete.
    SourceIncomplete,
    /// The source did not answer, or refused the credentials.
    SourceUnavailable,
    /// The target did not answer, or refused the credentials.
    TargetUnavailable,
    /// Stopped by a signal.
    Interrupted,
    /// Something unexpected.
    Error,
}

impl RunResult {
    /// Whether both sides answered and the run went through its plan.
    pub fn reached_both_sides(self) -> bool {
        match self {
            RunResult::Ok | RunResult::Partial | RunResult::Held => true,
            RunResult::SourceIncomplete
            | RunResult::SourceUnavailable
            | RunResult::TargetUnavailable
            | RunResult::Interrupted
            | RunResult::Error => false,
        }
    }

    /// The word in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RunResult::Ok => "ok",
            RunResult::Partial => "partial",
            RunResult::Held => "held",
            RunResult::SourceIncomplete => "source_incomplete",
            RunResult::SourceUnavailable => "source_unavailable",
            RunResult::TargetUnavailable => "target_unavailable",
            RunResult::Interrupted => "interrupted",
            RunResult::Error => "error",
        }
    }
}

/// Whether a run may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It writes.
    Apply,
    /// It cannot.
    DryRun,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A person.
    Manual,
    /// A timer.
    Schedule,
    /// An event at the source.
    Watch,
    /// An approval.
    Approval,
    /// A saved plan.
    PlanFile,
    /// A person who takes back what a run did.
    Undo,
}

impl Trigger {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Manual => "manual",
            Trigger::Schedule => "schedule",
            Trigger::Watch => "watch",
            Trigger::Approval => "approval",
            Trigger::PlanFile => "plan-file",
            Trigger::Undo => "undo",
        }
    }
}

/// `source` of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// `okta` or `onelogin`.
    pub kind: String,
    /// People read.
    pub users: u64,
    /// Pages read.
    pub pages: u64,
    /// Requests sent.
    pub requests: u64,
    /// Whether the read was proven complete.
    pub complete: bool,
    /// What was wrong.
    pub problem: Option<String>,
}

/// `target` of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// `wrike` or `generic`.
    pub dialect: String,
    /// Requests sent.
    pub requests: u64,
    /// Answers that asked us to slow down.
    pub rate_limited: u64,
    /// What was wrong.
    pub problem: Option<String>,
}

/// `seats`: linked and planned billable accounts; unmanaged ones are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// Before the run.
    pub before: u64,
    /// After it (or after it would have run).
    pub after: u64,
    /// `guard.max_seats`.
    pub limit: Option<u64>,
}

/// One guard's reckoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardFact {
    /// The configuration key, or `everybody_would_go`.
    pub guard: String,
    /// The limit; `null` where the guard has none.
    pub limit: Option<f64>,
    /// What it was held against.
    pub value: f64,
    /// Whether it holds the class.
    pub tripped: bool,
}

/// One entry of `holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldFact {
    /// `h7`.
    pub id: String,
    /// Grows when pairs join.
    pub revision: u32,
    /// The verb that waits.
    pub class: Verb,
    /// Why, with the numbers.
    pub reason: String,
    /// Pairs.
    pub count: u64,
    /// Over the pairs.
    pub digest: String,
    /// RFC 3339.
    pub expires_at: String,
    /// What was decided about it since, and by whom; `None` while it is open. A run repeated from the record has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
}

/// Everything about one run of one sync except the action list, which is a spool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Name of the sync.
    pub sync: String,
    /// Run number; `None` in a dry run.
    pub run: Option<i64>,
    /// Whether it could write.
    pub mode: Mode,
    /// What started it.
    pub trigger: Trigger,
    /// How it ended.
    pub result: RunResult,
    /// Start.
    pub started_at: Millis,
    /// End.
    pub finished_at: Millis,
    /// Passes over the source.
    pub passes: u32,
    /// Whether there was no state to start from.
    pub first_contact: bool,
    /// The source.
    pub source: SourceFacts,
    /// The target.
    pub target: TargetFacts,
    /// Each person once.
    pub summary: Summary,
    /// Billable accounts.
    pub seats: Seats,
    /// The guards' numbers.
    pub guards: Vec<GuardFact>,
    /// What waits for approval.
    pub holds: Vec<HoldFact>,
    /// Sentences a reader must not miss.
    pub notes: Vec<String>,
}
