//! Proof that a removal is right: absence is a question, a fresh point read is the answer.
//!
//! *Invariant*: [`Proven`] is made only by [`prove`], from an [`Approved`] action and a point read that is fresh.
//! Neither can be deserialized. A provisioner's `deactivate` and `delete` take nothing else.

use super::guard::Approved;
use crate::model::id::TargetId;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;

/// What the fresh point read showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProofKind {
    /// The vendor says: not assigned to this app.
    NotAssigned,
    /// Disabled at the source.
    Disabled,
    /// Suspended at the source.
    Suspended,
    /// Gone from the source, with a second witness.
    Deleted,
    /// Assigned, and the scope, evaluated again on the fresh record, leaves the person out.
    OutOfScope,
}

/// A removal that may be sent.
#[derive(Debug)]
pub struct Proven {
    action: PlannedAction,
    target_id: TargetId,
    kind: ProofKind,
    proven_at: Millis,
}

impl Proven {
    /// The action.
    pub fn action(&self) -> &PlannedAction {
        &self.action
    }

    /// The account it is about.
    pub fn target_id(&self) -> &TargetId {
        &self.target_id
    }

    /// What the point read showed.
    pub fn kind(&self) -> ProofKind {
        self.kind
    }

    /// When the point read's request was sent.
    pub fn proven_at(&self) -> Millis {
        self.proven_at
    }

    /// `Deactivate` or `Delete`.
    pub fn verb(&self) -> Verb {
        self.action.verb
    }
}

/// placeholder
pub fn prove(approved: Approved, kind: ProofKind, proven_at: Millis) -> Option<Proven> {
    let action = approved.into_action();
    let target_id = action.target_id.clone()?;
    Some(Proven { action, target_id, kind, proven_at })
}
