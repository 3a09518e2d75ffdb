//! What the workspace answered lately, and why a read brought nothing.
//!
//! What must not live here: the control read itself (`control_read`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::id::TargetId;
use crate::scim::target::TargetError;

/// The control's success is believed for so long, so that it is not asked once a person.
const CONTROL_VALID: Duration = Duration::from_secs(30);

/// Why a read brought nothing.
#[derive(Debug)]
pub(crate) enum Unread {
    /// No other question would fare better: no connection, refused credentials, a rate limit, a URL that cannot be.
    Everybody(TargetError),
    /// This question was answered with a refusal, or with something that is no answer to it.
    Refused(TargetError),
    /// This question was sent, and no complete answer came.
    Lost(TargetError),
    /// Its time was over before it could be sent.
    Expired(String),
}

impl Unread {
    /// As it is, without a control read.
    pub(super) fn into_error(self) -> TargetError {
        match self {
            Unread::Everybody(error) | Unread::Refused(error) | Unread::Lost(error) => error,
            Unread::Expired(message) => TargetError::Unavailable(message),
        }
    }
}

/// What the service answered lately.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<Answered>,
}

#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Anything at all.
    pub any: Option<Instant>,
    /// Something that is not the plain listing.
    pub beside_listing: Option<Instant>,
    /// The account that a GET showed last.
    pub account: Option<TargetId>,
}

impl Control {
    /// Remembers an account that a GET showed.
    pub(super) fn saw(&self, id: &TargetId) {
        self.change(|answered| answered.account = Some(id.clone()));
    }

    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Answered) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the control's success is still believed.
pub(crate) fn is_recent(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at.elapsed() < CONTROL_VALID)
}
