//! What is asked of the state: `status`, `history`, `explain`, the page, and what an undo needs to know.

pub(super) mod decided_holds;
pub(super) mod explain;
pub(super) mod history;
pub(super) mod overview;
pub(super) mod status;
pub(super) mod undo;
