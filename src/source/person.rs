//! What a source says of one person beside the point read.
//!
//! What lives here: the shapes of the answers, the same for every vendor. What must not: requests.

use crate::model::identity::VendorStatus;
use crate::model::order::Observation;

/// A person's own record, read without their assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRecord {
    /// When the request was sent.
    pub observation: Observation,
    /// What it showed.
    pub state: OwnState,
}

/// What a person's own record shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnState {
    /// The vendor's own words for the person's state; `core::lifecycle` knows what they mean.
    Status(VendorStatus),
    /// The vendor said, in its own error shape, that there is no such user.
    UserGone,
    /// An answer that proves nothing; the text says what was wrong with it.
    Inconclusive(String),
}

/// What the event log says of a person's deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletionEvidence {
    /// The log has the event.
    Event,
    /// The log can be read and, as far back as it goes ([`super::Source::log_retention`]), has no such event.
    NoEvent,
    /// These credentials may not read the log; the text says how they were refused.
    LogNotReadable(String),
}
