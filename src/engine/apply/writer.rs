//! The two hands that carry an action out: one says what would be sent, the other one sends it.
//!
//! What lives here: the ends of actions and the lines of the report that they make. What must not: how a write is sent
//! and settled (`apply`), decisions (`execute`).

use std::future::Future;

use crate::core::guard::Approved;
use crate::core::proof::Proven;
use crate::model::digest::DigestKey;
use crate::model::link::Link;
use crate::model::owed::WaitsFor;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::store::HeldPair;

/// Why a run stops before its plan is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The target is gone.
    TargetUnavailable(String),
    /// The target refuses the credentials.
    CredentialsRefused(String),
    /// Another process took over, or the state failed.
    State(String),
    /// A signal.
    Interrupted,
    /// `max_apply` is over: read and plan afresh.
    TimeIsUp,
}

impl StopReason {
    /// The reason given to everybody who did not get a turn.
    pub fn reason(&self) -> &str {
        match self {
            StopReason::TargetUnavailable(why)
            | StopReason::CredentialsRefused(why)
            | StopReason::State(why) => why,
            StopReason::Interrupted => "the run was interrupted before this was sent",
            StopReason::TimeIsUp => "max_apply was over before this was sent",
        }
    }
}

/// What became of an action.
#[derive(Debug)]
pub struct ActionResult {
    /// Its line in the report.
    pub record: ActionRecord,
    /// Whether the run must stop.
    pub stop: Option<StopReason>,
    /// What waits for an approval after all.
    pub held: Option<HeldPair>,
    /// Something was sent, or should have been, and came to nothing.
    pub attempted: bool,
    /// Another action for the same person that this one led to: it is decided like any other.
    pub next: Option<Box<PlannedAction>>,
}

impl ActionResult {
    /// The end of an action that the run cannot go on after.
    pub fn stopping(record: ActionRecord, stop: StopReason) -> ActionResult {
        ActionResult { stop: Some(stop), ..ActionResult::with(record) }
    }

    /// The end of an action that waits for an approval.
    pub fn held(action: &PlannedAction, reason: String, key: &DigestKey) -> ActionResult {
        let pair = HeldPair::of(action, reason.clone(), key);
        ActionResult {
            held: Some(pair),
            ..ActionResult::waiting(action, Outcome::Held, WaitsFor::Approval, reason)
        }
    }

    /// The end of an action that waits for something.
    pub fn waiting(
        action: &PlannedAction,
        outcome: Outcome,
        waits_for: WaitsFor,
        why: String,
    ) -> ActionResult {
        let record = ActionRecord { waits_for: Some(waits_for), ..record(action, outcome, Some(why)) };
        ActionResult::with(record)
    }

    /// An ordinary end.
    pub fn with(record: ActionRecord) -> ActionResult {
        ActionResult { record, stop: None, held: None, attempted: false, next: None }
    }
}

/// Takes what the guards let through.
pub trait Writer {
    /// Whether what it takes goes on record: in a dry run nothing becomes owed.
    const IS_ON_RECORD: bool = true;

    /// Removes access; `link` is the pair it is about. `is_approved`: it goes by an approval alone.
    fn remove(&self, proven: Proven, link: &Link, is_approved: bool) -> impl Future<Output = ActionResult>;
    /// What comes now are removals of accounts that were refused before.
    fn begin_refused_before(&self) {}
    /// Creates, adopts, updates or reactivates.
    fn write(&self, approved: Approved, is_approved: bool) -> impl Future<Output = ActionResult>;
}

/// The hand of a dry run: it says what would be sent.
#[derive(Debug, Clone, Copy)]
pub struct DryRunWriter;

impl Writer for DryRunWriter {
    const IS_ON_RECORD: bool = false;

    async fn remove(&self, proven: Proven, _link: &Link, _is_approved: bool) -> ActionResult {
        ActionResult::with(record(proven.action(), Outcome::Planned, None))
    }

    async fn write(&self, approved: Approved, _is_approved: bool) -> ActionResult {
        ActionResult::with(record(approved.action(), Outcome::Planned, None))
    }
}

/// The line of an action that was not sent, or whose sending is told separately.
pub fn record(action: &PlannedAction, outcome: Outcome, detail: Option<String>) -> ActionRecord {
    let PlannedAction {
        verb,
        situation,
        reason,
        user,
        source_id,
        target_id,
        changes,
        desired: _,
        found: _,
        cause,
        activate: _,
        disposition: _,
        observation: _,
        assigned_at: _,
        billable: _,
        source_digest: _,
        kept_from: _,
        predecessor: _,
        deletion_owed: _,
    } = action;
    ActionRecord {
        action: *verb,
        user: user.clone(),
        source_id: Some(source_id.clone()),
        target_id: target_id.clone(),
        situation: *situation,
        reason: reason.clone(),
        changes: changes.clone(),
        outcome,
        status: None,
        detail,
        attempts: 0,
        cause: *cause,
        waits_for: None,
        owed_since: None,
    }
}

/// The line of somebody who turned out to be blocked while the plan was carried out.
pub fn blocked(action: &PlannedAction, reason: String) -> ActionRecord {
    ActionRecord { action: Verb::Block, reason, ..record(action, Outcome::Skipped, None) }
}
