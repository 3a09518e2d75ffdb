//! What happens to an action that may go through. The two hands are types of their own: the dry one has nothing
//! to write with.

use std::future::Future;

use crate::core::guard::Approved;
use crate::core::proof::Proven;
use crate::model::link::Link;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::store::HeldPair;

/// Why a run stops before its plan is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The target is gone or refuses the credentials.
    TargetUnavailable(String),
    /// Another process took over, or the state failed.
    State(String),
    /// A signal.
    Interrupted,
    /// `max_apply` is over: read and plan afresh.
    TimeIsUp,
}

impl Stop {
    /// The reason given to everybody who did not get a turn.
    pub fn reason(&self) -> &str {
        match self {
            Stop::TargetUnavailable(why) | Stop::State(why) => why,
            Stop::Interrupted => "the run was interrupted before this was sent",
            Stop::TimeIsUp => "max_apply was over before this was sent",
        }
    }
}

/// What became of an action.
#[derive(Debug)]
pub struct Done {
    /// Its line in the report.
    pub record: ActionRecord,
    /// Whether the run must stop.
    pub stop: Option<Stop>,
    /// What waits for an approval after all.
    pub held: Option<HeldPair>,
}

impl Done {
    /// The end of an action that the run cannot go on after.
    pub fn stopping(record: ActionRecord, stop: Stop) -> Done {
        Done { record, stop: Some(stop), held: None }
    }

    /// The end of an action that waits for an approval.
    pub fn held(action: &PlannedAction, reason: String) -> Done {
        let pair = HeldPair {
            verb: action.verb,
            source_id: action.source_id.clone(),
            user: action.user.clone(),
            reason: reason.clone(),
            source_digest: action.source_digest,
        };
        Done { held: Some(pair), ..Done::with(record(action, Outcome::Held, Some(reason))) }
    }

    /// An ordinary end.
    pub fn with(record: ActionRecord) -> Done {
        Done { record, stop: None, held: None }
    }
}

/// Takes what the guards let through.
pub trait Hand {
    /// Removes access; `link` is the pair it is about.
    fn remove(&self, proven: Proven, link: &Link) -> impl Future<Output = Done>;
    /// Creates, adopts, updates or reactivates.
    fn write(&self, approved: Approved) -> impl Future<Output = Done>;
}

/// The hand of a dry run: it says what would be sent.
#[derive(Debug, Clone, Copy)]
pub struct DryHand;

impl Hand for DryHand {
    async fn remove(&self, proven: Proven, _link: &Link) -> Done {
        Done::with(record(proven.action(), Outcome::Planned, None))
    }

    async fn write(&self, approved: Approved) -> Done {
        Done::with(record(approved.action(), Outcome::Planned, None))
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
        cause: _,
        activate: _,
        disposition: _,
        observation: _,
        assigned_at: _,
        billable: _,
        source_digest: _,
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
    }
}

/// The line of somebody who turned out to be held back while the plan was carried out.
pub fn held_back(action: &PlannedAction, reason: String) -> ActionRecord {
    ActionRecord { action: Verb::HoldBack, reason, ..record(action, Outcome::Skipped, None) }
}
