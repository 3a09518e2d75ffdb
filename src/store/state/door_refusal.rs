//! Why the door lets a write not pass.

use crate::model::time::Millis;

/// Why a write does not pass. What is refused here was not sent, and nothing was recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorRefusal {
    /// A newer look at the person was acted on, or the link does not stand as planned any more.
    Stale(String),
    /// A request to this person is on the wire.
    OnTheWire,
    /// Nobody can tell what became of an earlier write to this person.
    Unsettled(String),
    /// Writing is paused.
    Paused(Millis),
    /// The person or account is protected.
    Protected(String),
    /// Somebody decided otherwise meanwhile.
    Decided(String),
    /// The account or the login belongs to somebody else.
    TakenElsewhere(String),
    /// A limit, with what was sent meanwhile, or an approval that is not there.
    Held(String),
    /// No seat.
    NoSeat(String),
}
