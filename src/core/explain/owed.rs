//! What is owed to a person: what waits for what, since when, when it is tried again, and the command that changes it.
//!
//! What lives here: words about rows. What must not: whether anything is owed (the engine).

use crate::model::explain::{Guards, OwedExplained};
use crate::model::id::SourceId;
use crate::model::owed::{OwedChange, OwedClass, WaitsFor};
use crate::model::plan::RemovalCause;

/// The rows of a person as an explanation shows them.
pub(super) fn explained(owed: &[OwedChange], person: &SourceId, guards: &Guards) -> Vec<OwedExplained> {
    owed.iter()
        .map(|change| OwedExplained {
            class: change.class,
            verb: change.verb,
            cause: change.cause.map(RemovalCause::as_str),
            since: change.since,
            waits_for: change.waits_for,
            next_try: change.next_try_at,
            attempts: change.attempts,
            detail: change.detail.clone(),
            command: command(change, person, guards),
        })
        .collect()
}

/// The command that changes what a row waits for.
fn command(change: &OwedChange, person: &SourceId, guards: &Guards) -> Option<String> {
    match change.waits_for {
        WaitsFor::Look | WaitsFor::Retry | WaitsFor::Proof => {
            Some(format!("rosterd --reconcile-now --user {person}"))
        }
        WaitsFor::Unsettled => Some(format!("rosterd forget {person} --unsettled")),
        WaitsFor::Approval => guards
            .holds
            .iter()
            .find(|hold| !hold.approved && OwedClass::of(hold.class) == Some(change.class))
            .map(|hold| hold.approve.clone()),
        WaitsFor::Pause => Some("rosterd resume".to_owned()),
        WaitsFor::Decision => guards.pin.as_ref().map(|pin| pin.lift.clone()),
        // Only the configuration, or time, changes these.
        WaitsFor::Seat | WaitsFor::Switch | WaitsFor::Date => None,
    }
}

/// What to do about a row, in one sentence; nothing where another part of the explanation says it.
pub(super) fn advice(owed: &OwedExplained, person: &SourceId) -> Option<String> {
    let by_hand = format!("`rosterd --reconcile-now --user {person}`");
    match owed.waits_for {
        WaitsFor::Look => Some(format!("nothing, or {by_hand} looks at once")),
        WaitsFor::Proof => Some(format!(
            "see why the identity provider gives no proof ({}); {by_hand} asks at once",
            owed.detail
        )),
        WaitsFor::Unsettled => Some(format!(
            "{by_hand} reads again what became of an earlier write ({}); `rosterd forget {person} --unsettled` gives that \
             write up where nobody can tell",
            owed.detail
        )),
        WaitsFor::Approval if owed.class == OwedClass::Removal => Some(format!(
            "`rosterd keep {person} --for 30d` keeps the account although this person left, for that cause alone"
        )),
        WaitsFor::Seat => Some("free a seat, or raise guard.max_seats".to_owned()),
        WaitsFor::Date => Some(format!("nothing before its date ({})", owed.detail)),
        // Said of the refusal, the hold, the pause, the switch and the pin themselves.
        WaitsFor::Approval | WaitsFor::Retry | WaitsFor::Pause | WaitsFor::Switch | WaitsFor::Decision => {
            None
        }
    }
}
