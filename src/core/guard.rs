//! Guards: what may go through, and what is held.

use crate::model::plan::PlannedAction;

/// An action that the guards let through. Made only here.
#[derive(Debug)]
pub struct Approved(PlannedAction);

impl Approved {
    /// The action.
    pub fn action(&self) -> &PlannedAction {
        &self.0
    }

    /// The action, given up for its proof.
    pub fn into_action(self) -> PlannedAction {
        self.0
    }
}
