//! How a sync is doing: the nouns behind `status`, `/api/status`, the gauges and readiness.
//!
//! Field names here are those of `rosterd.status/1`. What must not live here: the judgement (`core::status`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::drift::DriftCounts;
use super::id::SourceId;
use super::owed::{OwedChange, OwedClass, WaitsFor};
use super::plan::{RemovalKind, Verb};
use super::report::{RunResult, Trigger};
use super::time::{Millis, maybe_rfc3339, rfc3339};

/// The schema's name.
pub const STATUS_SCHEMA: &str = "rosterd.status/1";

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// [`STATUS_SCHEMA`].
    pub schema: &'static str,
    /// The program's version.
    pub rosterd: &'static str,
    /// When it was asked.
    #[serde(serialize_with = "rfc3339")]
    pub generated_at: Millis,
    /// Whether every sync is healthy.
    pub healthy: bool,
    /// In the order of the configuration.
    pub syncs: Vec<SyncStatus>,
    /// Syncs that the state holds something of and the configuration does not name any more.
    pub unconfigured: Vec<UnconfiguredSync>,
}

impl Status {
    /// The syncs' standing at one moment.
    pub fn new(generated_at: Millis, syncs: Vec<SyncStatus>, unconfigured: Vec<UnconfiguredSync>) -> Status {
        Status {
            schema: STATUS_SCHEMA,
            rosterd: env!("CARGO_PKG_VERSION"),
            generated_at,
            healthy: syncs.iter().all(|sync| sync.healthy),
            syncs,
            unconfigured,
        }
    }
}

/// A sync that is in the state and not in the configuration: nothing runs for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnconfiguredSync {
    /// Its name.
    #[serde(rename = "sync")]
    pub name: String,
    /// Linked accounts.
    pub links: u64,
    /// Writes whose outcome nobody knows.
    pub unsettled: u64,
    /// People who left and still have access, as far as its last run knew.
    pub leavers_with_access: u64,
    /// The command that hands the links over to a configured sync.
    pub transfer: String,
    /// The command that drops what is left of it.
    pub forget: String,
}

impl UnconfiguredSync {
    /// The line that `status` shows of it.
    pub fn describe(&self) -> String {
        let UnconfiguredSync { name, links, unsettled, leavers_with_access, transfer, forget } = self;
        let links = if *links == 1 { "1 link".to_owned() } else { format!("{links} links") };
        let leavers = if *leavers_with_access == 1 { "leaver" } else { "leavers" };
        format!(
            "sync \"{name}\" is not configured any more: {links}, {unsettled} unsettled, {leavers_with_access} {leavers} \
             with access; `{transfer}` hands the links over, `{forget}` drops them"
        )
    }
}

/// One sync.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncStatus {
    /// Name of the sync.
    #[serde(rename = "sync")]
    pub name: String,
    /// Leavers who still have access, the longest first.
    pub leavers_with_access: Vec<LeaverWithAccess>,
    /// Whether nothing needs anybody's attention.
    pub healthy: bool,
    /// What does, a sentence each; empty where healthy.
    pub problems: Vec<String>,
    /// What somebody wants so, or what ends by itself: worth a line, and no reason for an exit code.
    pub notices: Vec<String>,
    /// Where people come from.
    pub source: SourceWords,
    /// Where accounts live.
    pub target: TargetWords,
    /// When the last full run that reached both sides ended.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub last_success_at: Option<Millis>,
    /// How long ago that was; 0 where the clock went back.
    pub last_success_seconds_ago: Option<u64>,
    /// The last run that ended, whatever it was about.
    pub last_run: Option<LastRun>,
    /// A run that has begun and not ended: it is going on, or was cut off.
    pub open_run: Option<OpenRun>,
    /// When the schedule fires next, without jitter; in quarantine the first firing after it.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub next_run_at: Option<Millis>,
    /// People in the last complete read.
    pub people: Option<u64>,
    /// Linked accounts by state.
    pub accounts: Accounts,
    /// Billable linked accounts.
    pub seats: SeatCount,
    /// People who wait in open holds.
    pub held: u64,
    /// The open holds.
    pub holds: Vec<HoldStatus>,
    /// People whose last write was refused.
    pub failing: Failures,
    /// What is wanted and not acknowledged: people by class and wait.
    pub owed: Vec<OwedCount>,
    /// Decisions that stand.
    pub pins: u64,
    /// Accounts of people who left that `[sync.lifecycle]` keeps: nothing is owed for them.
    pub kept_by_configuration: u64,
    /// When the workspace last answered a run that asked it.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub target_answered_at: Option<Millis>,
    /// Whether and why the sync runs less often.
    pub quarantine: Option<QuarantineStatus>,
    /// Runs that failed in a row, and why the last of them did.
    pub failed_runs: FailedRuns,
    /// Whether writes are stopped.
    pub paused: bool,
    /// Until when they are; `null` where they are not, or until somebody resumes.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub paused_until: Option<Millis>,
    /// Attributes that the target takes and does not keep: accounts by attribute.
    pub ignored_attributes: BTreeMap<String, u64>,
    /// Attributes whose value the target refused: accounts by attribute.
    pub refused_attributes: BTreeMap<String, u64>,
    /// What the last verification found that could repair (`drift.schedule`, `verify --repair`); `null` = none yet.
    pub drift: Option<DriftStatus>,
    /// Why the last scheduled verification failed; `null` where it did not.
    pub failed_verification: Option<FailedVerification>,
    /// Since when the present credentials are in use.
    pub credentials: CredentialAges,
}

/// Somebody who left and still has access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaverWithAccess {
    /// Login.
    pub user: String,
    /// The person.
    pub source_id: SourceId,
    /// Since when the removal is owed.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Why access is to end.
    pub cause: &'static str,
    /// What the removal waits for.
    pub waits_for: WaitsFor,
    /// When it is tried again by itself.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub next_try: Option<Millis>,
    /// More words.
    pub detail: String,
}

/// People to whom something is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OwedCount {
    /// What kind of change.
    pub class: OwedClass,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// How many people.
    pub people: u64,
}

/// A scheduled verification that failed, and none has succeeded since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedVerification {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Millis,
    /// Why.
    pub reason: String,
}

/// Since when a run used the secret of each side that is in use now; `null` = no run has yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CredentialAges {
    /// The identity provider's token, client secret or private key.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub source_since: Option<Millis>,
    /// The workspace's token.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub target_since: Option<Millis>,
}

/// What the last verification found, before it repaired anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DriftStatus {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub verified_at: Millis,
    /// Findings that are drift.
    pub drift: u64,
    /// Findings by kind.
    pub counts: DriftCounts,
}

/// The source, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceWords {
    /// `okta` or `onelogin`.
    pub kind: &'static str,
    /// Origin.
    pub url: String,
    /// The app whose assignment decides.
    pub app_id: String,
}

/// The target, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetWords {
    /// `wrike` or `generic`.
    pub dialect: &'static str,
    /// SCIM base URL.
    pub url: String,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRun {
    /// Its number.
    pub run: i64,
    /// How it ended.
    pub result: RunResult,
    /// What started it.
    pub trigger: Trigger,
    /// Start.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Millis,
    /// End.
    #[serde(serialize_with = "rfc3339")]
    pub finished_at: Millis,
}

/// A run without an end on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenRun {
    /// Its number.
    pub run: i64,
    /// What started it.
    pub trigger: Trigger,
    /// Start.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Millis,
}

/// Linked accounts by state; the words are those of the link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// Active.
    pub active: u64,
    /// Deactivated by rosterd.
    pub deactivated: u64,
    /// Inactive when they were adopted.
    pub inactive: u64,
    /// The target answered 404 for them.
    pub gone: u64,
}

impl Accounts {
    /// Word and number, in a fixed order.
    pub fn by_state(&self) -> [(&'static str, u64); 4] {
        let Accounts { active, deactivated, inactive, gone } = *self;
        [("active", active), ("deactivated", deactivated), ("inactive", inactive), ("gone", gone)]
    }
}

/// Seats: linked billable accounts; unmanaged ones are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SeatCount {
    /// Linked billable accounts that exist, active or not.
    pub billable: u64,
    /// `guard.max_seats`.
    pub limit: Option<u64>,
}

/// An open hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldStatus {
    /// `h7`.
    pub id: String,
    /// Grows when people join.
    pub revision: u32,
    /// The verb that waits.
    pub class: Verb,
    /// The kind of its removals; `null` for every other verb.
    pub kind: Option<RemovalKind>,
    /// People.
    pub count: u64,
    /// Why, with the numbers.
    pub reason: String,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub opened_at: Millis,
    /// Until when.
    #[serde(serialize_with = "rfc3339")]
    pub expires_at: Millis,
    /// The command that releases exactly these people.
    pub approve: String,
    /// The command that drops them.
    pub reject: String,
}

/// People whose last write was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// All of them.
    pub count: u64,
    /// Those who have been failing the longest, at most three.
    pub first: Vec<FailingPerson>,
}

/// Somebody whose last write was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailingPerson {
    /// Login.
    pub user: String,
    /// The person.
    pub source_id: SourceId,
    /// Refusals in a row.
    pub failures: u32,
    /// The first of them.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Full runs to wait before the next try; 0 = the next run tries.
    pub wait_runs: u32,
    /// The target's words.
    pub detail: String,
}

impl FailingPerson {
    /// What is owed as somebody who is failing: it was tried in vain, and is tried again by itself. `None` for what waits for
    /// anything else.
    pub fn of(owed: &OwedChange) -> Option<FailingPerson> {
        let is_tried = match owed.waits_for {
            WaitsFor::Retry | WaitsFor::Unsettled => owed.attempts > 0 && owed.class != OwedClass::Look,
            WaitsFor::Look
            | WaitsFor::Proof
            | WaitsFor::Approval
            | WaitsFor::Pause
            | WaitsFor::Seat
            | WaitsFor::Switch
            | WaitsFor::Date
            | WaitsFor::Decision => false,
        };
        is_tried.then(|| FailingPerson {
            user: owed.user.clone(),
            source_id: owed.source_id.clone(),
            failures: owed.attempts,
            since: owed.since,
            // The next run is counted before it asks.
            wait_runs: owed.wait_runs.saturating_sub(1),
            detail: owed.detail.clone(),
        })
    }
}

/// Quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantineStatus {
    /// When the next run that nobody starts by hand is due.
    #[serde(serialize_with = "rfc3339")]
    pub until: Millis,
    /// Why.
    pub reason: String,
}

/// Runs that failed in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FailedRuns {
    /// How many; 0 after one that reached both sides.
    pub count: u32,
    /// Why the last one failed.
    pub reason: Option<String>,
}
