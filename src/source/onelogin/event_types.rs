//! The kinds of events that an account knows.

use std::sync::Arc;

use tokio::time::Instant;

/// The kinds of events, as this account tells them: number and name.
pub(super) type EventTypes = Vec<(String, String)>;

/// The same, and when they were read.
pub(super) struct KnownTypes {
    pub(super) types: Arc<EventTypes>,
    pub(super) read_at: Instant,
}
