//! Why access is to end: the cause that a standing gives, the verb that the configuration gives a cause, the sentence.
//!
//! What must not live here: whether anything is planned (`planner`), what proves a cause (`proof`).

use super::eligibility::Eligibility;
use crate::config::{LifecyclePolicy, RemovalPolicy};
use crate::model::plan::{RemovalCause, Verb};

/// Why somebody of this standing would be removed.
pub fn removal_cause(eligibility: &Eligibility) -> RemovalCause {
    match eligibility {
        Eligibility::Suspended => RemovalCause::Suspended,
        Eligibility::Leaver(cause) => *cause,
        Eligibility::OutOfScope => RemovalCause::OutOfScope,
        Eligibility::Qualifies(_)
        | Eligibility::Pending
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => RemovalCause::NotListed,
    }
}

/// The verb that a cause leads to; `None` = the account is kept. Also asked again with what a proof showed.
pub fn removal_verb(cause: RemovalCause, policy: &LifecyclePolicy) -> Option<Verb> {
    let chosen = match cause {
        RemovalCause::NotAssigned | RemovalCause::Disabled | RemovalCause::OutOfScope => policy.on_unassigned,
        RemovalCause::Suspended => policy.on_suspended,
        RemovalCause::Deleted => policy.on_deleted,
        // Not listed is not yet a cause: the point read decides. Until then the milder of what could follow.
        RemovalCause::NotListed => match (policy.on_unassigned, policy.on_deleted) {
            (RemovalPolicy::Keep, other) | (other, _) => other,
        },
        RemovalCause::DeleteAfter => RemovalPolicy::Delete,
        RemovalCause::Undone => RemovalPolicy::Deactivate,
    };
    match chosen {
        RemovalPolicy::Deactivate => Some(Verb::Deactivate),
        RemovalPolicy::Delete => Some(Verb::Delete),
        RemovalPolicy::Keep => None,
    }
}

/// The sentence for a cause, in reports and proofs.
pub fn removal_reason(cause: RemovalCause) -> &'static str {
    match cause {
        RemovalCause::NotListed => "no longer listed by the app",
        RemovalCause::NotAssigned => "no longer assigned to the app",
        RemovalCause::Disabled => "deactivated at the source",
        RemovalCause::Suspended => "suspended at the source",
        RemovalCause::OutOfScope => "out of scope by scope.filter",
        RemovalCause::Deleted => "deleted at the source",
        RemovalCause::DeleteAfter => "stayed away longer than lifecycle.delete_after",
        RemovalCause::Undone => "a run made the account active, and that is taken back",
    }
}
