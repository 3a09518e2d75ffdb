//! Following a vendor's event log: what an event points at, and how far the log was read.
//!
//! What lives here: the shapes of a poll and what a refusal means for it, the same for every vendor. What must not:
//! requests (each vendor makes its own), and what is done about a hint.

use super::SourceError;
use super::fault::{Failure, Place};
use crate::http::Answer;
use crate::model::id::SourceId;
use crate::model::owed::EventMeaning;
use crate::model::time::Millis;

/// How far before now, or before the last look, a poll by time starts: clocks differ, and events come late.
pub(super) const LOOK_BACK_MILLISECONDS: i64 = 120_000;

/// Whom an event points at. An event is a hint where to look, never a fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The assignment of one person may have changed: counts for anybody.
    Membership(SourceId),
    /// Lifecycle or profile of one person: counts only for people whom the sync knows, because it names no app.
    Person(SourceId),
    /// The app, a role or a group as a whole: a full run soon. The text is the reason, for the log.
    Everybody(String),
}

/// One thing that an event tells. An event about several people gives a hint each, with the same `event_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The vendor's id of the event.
    pub event_id: String,
    /// When it happened, by the vendor's clock.
    pub at: Millis,
    /// Whom it is about.
    pub subject: Subject,
    /// What it lets expect of that person.
    pub meaning: EventMeaning,
}

/// One look at the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// In the order of the log.
    pub hints: Vec<Hint>,
    /// Where to go on, opaque; to be stored after the hints are.
    pub cursor: String,
    /// There is more already: poll again at once.
    pub more: bool,
}

/// Why the log could not be read on. Messages name the request and the cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PollError {
    /// The kept cursor leads nowhere any more: start again without one and do a full run.
    #[error("{0}")]
    CursorLost(String),
    /// The credentials may not read the log.
    #[error("{0}")]
    NotAllowed(String),
    /// Anything else, as with every other read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl PollError {
    /// What an answer means that is not the wanted one. `kept`: it was asked for with a cursor of an earlier poll;
    /// without one the same refusal is about the request.
    pub(super) fn refused(place: &Place, answer: &Answer, words: &str, kept: bool, help: &str) -> PollError {
        let told =
            format!("{place}: HTTP {}{}{words}", answer.status, if words.is_empty() { "" } else { ": " });
        match answer.status {
            401 | 403 => PollError::NotAllowed(format!("{told}; help: {help}")),
            400 | 404 | 410 | 422 if kept => PollError::CursorLost(format!(
                "{told}; the place up to which the log was read is not accepted any more"
            )),
            _ => place.refused(answer, words, help).into(),
        }
    }
}

impl From<Failure> for PollError {
    fn from(failure: Failure) -> PollError {
        PollError::Source(failure.error)
    }
}
