//! The plan of a run, and what goes into it: what people decided, seats, a saved plan.
//!
//! What must not live here: reading (`gather`), sending (`apply`).

use crate::core::guard::GuardReport;
use crate::model::digest::Digest;
use crate::model::id::{SourceId, TargetId};
use crate::model::order::Observation;
use crate::model::plan::{PlannedAction, RemovalCause};
use crate::spool::Spool;

pub mod account_claims;
pub mod build;
pub mod decisions;
pub mod kept_people;
pub mod plan_maker;
pub mod saved_plan;
pub mod seats;

/// The stages of a run, in the order in which they are sent. Leavers first.
#[derive(Debug, Default)]
pub struct Plan {
    /// Deactivations and deletions.
    pub removals: Spool<PlannedAction>,
    /// Those that the target refused before: they come after the others.
    pub refused_removals: Spool<PlannedAction>,
    /// Renames that wait for each other: within a chain one after the other.
    pub chains: Spool<Vec<PlannedAction>>,
    /// All other updates.
    pub updates: Spool<PlannedAction>,
    /// Reactivations.
    pub reactivations: Spool<PlannedAction>,
    /// Adoptions.
    pub adoptions: Spool<PlannedAction>,
    /// Creations.
    pub creations: Spool<PlannedAction>,
    /// Blocks and skips: told, not sent.
    pub quiet: Spool<PlannedAction>,
    /// Linked people with nothing to do.
    pub unchanged: u64,
    /// Digests that changed although no value did.
    pub refresh: Vec<(SourceId, Digest)>,
    /// The guards' verdict.
    pub guard_report: GuardReport,
    /// Actions that go on to the guards and the door, approved ones included.
    pub writes: u64,
    /// People whose pins no longer hold because the source changed.
    pub stale_pins: Vec<SourceId>,
    /// People who were looked at one by one while planning, and when.
    pub looks: Vec<(SourceId, Observation)>,
    /// Why people are not listed, as these looks showed it.
    pub causes: Vec<(SourceId, RemovalCause)>,
    /// Linked accounts that answered 404 to a look while planning.
    pub vanished: Vec<(SourceId, TargetId)>,
    /// What the report says of the whole plan.
    pub notes: Vec<String>,
    /// Pins from before causes were stored, with the cause of this first look.
    pub pin_causes: Vec<(SourceId, RemovalCause)>,
    /// People whom the list left out although they are assigned.
    pub list_was_short: u64,
    /// Why this plan leaves something to a full run, if it does.
    pub left_to_full_run: Option<String>,
}
