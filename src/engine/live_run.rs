//! The right to write, and a run that has it.

use crate::model::order::OrderNumber;
use crate::store::{Store, Tenure};

/// The right to write. A dry run has none.
pub struct LiveAccess<'a, P> {
    /// The state.
    pub store: &'a Store,
    /// The workspace, for writing.
    pub provisioner: &'a P,
}

/// A run that is on record and may write.
pub(crate) struct LiveRun<'a, P> {
    pub access: &'a LiveAccess<'a, P>,
    pub tenure: Tenure,
    pub run: i64,
    /// When it began, in the order of things.
    pub began: OrderNumber,
}
