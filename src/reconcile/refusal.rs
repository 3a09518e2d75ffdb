//! What a refusal means: for the person, for the rest of a class, for the run.
//!
//! What lives here: classes of refusals, and when a class stops for a run. What must not: recognising them in an answer
//! (the target), sending anything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::apply::{Ending, WriteHand};
use super::hand::{Done, Stop};
use crate::core::settlement::settle_state;
use crate::model::link::{Link, LinkState};
use crate::model::owed::{OwedClass, WaitsFor};
use crate::model::plan::{PlannedAction, Verb};
use crate::model::report::Outcome;
use crate::model::time::Millis;
use crate::store::{LinkWrite, Settled};
use crate::target::{Observe, Provision, Refusal, RefusalClass};

/// So many writes of a class in a row that were refused alike, while none was accepted, stop the class for the run: a
/// token that may only read must not send ten thousand requests.
const REFUSED_ALIKE: u32 = 20;

/// Counts refusals of each class in a row.
#[derive(Debug, Default)]
pub(super) struct ClassStops {
    rows: Mutex<HashMap<OwedClass, Row>>,
}

#[derive(Debug, Default, Clone)]
struct Row {
    status: u16,
    refused: u32,
    accepted: bool,
    detail: String,
}

impl ClassStops {
    /// The line of somebody whose class is stopped.
    pub fn turn_away(&self, action: &PlannedAction) -> Option<Done> {
        let class = OwedClass::of(action.verb)?;
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.get(&class)?;
        (row.refused >= REFUSED_ALIKE && !row.accepted).then(|| {
            let why = format!(
                "{} writes in a row were refused alike ({}) and none was accepted, so the rest of them was not sent",
                row.refused, row.detail
            );
            Done::waiting(action, Outcome::Deferred, WaitsFor::Retry, why)
        })
    }

    /// A write of its class was accepted.
    pub fn accepted(&self, action: &PlannedAction) {
        if let Some(class) = OwedClass::of(action.verb) {
            self.rows.lock().unwrap_or_else(PoisonError::into_inner).entry(class).or_default().accepted =
                true;
        }
    }

    fn refused(&self, action: &PlannedAction, refusal: &Refusal) {
        if refusal.status < 400 {
            return;
        }
        let Some(class) = OwedClass::of(action.verb) else { return };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.entry(class).or_default();
        if row.status != refusal.status {
            row.refused = 0;
            row.status = refusal.status;
        }
        row.refused = row.refused.saturating_add(1);
        row.detail = format!("HTTP {}: {}", refusal.status, refusal.detail);
    }
}

impl<O: Observe, P: Provision> WriteHand<'_, O, P> {
    /// The end of a refusal that needs no second thought.
    pub(super) fn refused(&self, action: &PlannedAction, refusal: &Refusal, link: Option<&Link>) -> Ending {
        if refusal.class != RefusalClass::TakenBack {
            self.stops.refused(action, refusal);
        }
        let detail = refusal.detail.clone();
        let base = Ending {
            settled: Settled::NotSent,
            outcome: Outcome::Deferred,
            detail: Some(detail.clone()),
            waits_for: Some(WaitsFor::Retry),
            ..Ending::applied(
                (refusal.status != 0).then_some(refusal.status),
                refusal.attempts,
                LinkWrite::Keep,
            )
        };
        let failed = |base: Ending| Ending { settled: Settled::Refused, outcome: Outcome::Failed, ..base };
        match refusal.class {
            RefusalClass::Credentials => Ending { stop: Some(Stop::CredentialsRefused(detail)), ..base },
            RefusalClass::Unreachable => Ending { stop: Some(Stop::TargetUnavailable(detail)), ..base },
            RefusalClass::RateLimited => base,
            // Nothing was sent; the proof is taken afresh.
            RefusalClass::Expired => Ending { waits_for: Some(WaitsFor::Proof), ..base },
            RefusalClass::TakenBack => {
                Ending { outcome: Outcome::Disabled, waits_for: Some(WaitsFor::Pause), ..base }
            }
            RefusalClass::NoSeat if takes_a_seat(action) => {
                if action.verb == Verb::Create {
                    let mut no_seat = self.no_seat.lock().unwrap_or_else(PoisonError::into_inner);
                    *no_seat = Some(detail.clone());
                }
                Ending {
                    outcome: Outcome::Held,
                    waits_for: Some(WaitsFor::Seat),
                    detail: Some(format!("no seat: {detail}")),
                    ..base
                }
            }
            RefusalClass::NotFound => {
                let gone =
                    link.map(|link| settle_state(link, LinkState::Gone(Millis::now()), action.observation));
                Ending {
                    outcome: Outcome::Failed,
                    detail: Some(format!("the account is gone at the target: {detail}")),
                    link: gone.map_or(LinkWrite::Keep, |link| LinkWrite::Put(Box::new(link))),
                    ..base
                }
            }
            RefusalClass::Permanent => {
                Ending { detail: Some(format!("the target never allows this: {detail}")), ..failed(base) }
            }
            RefusalClass::NoSeat
            | RefusalClass::Forbidden
            | RefusalClass::Conflict
            | RefusalClass::Invalid
            | RefusalClass::StillActive
            | RefusalClass::NotOffered
            | RefusalClass::Server => failed(base),
        }
    }
}

/// Only these verbs can lack a seat.
fn takes_a_seat(action: &PlannedAction) -> bool {
    match action.verb {
        Verb::Create | Verb::Reactivate => true,
        Verb::Adopt => action.activate,
        Verb::Update | Verb::Deactivate | Verb::Delete | Verb::HoldBack | Verb::Skip => false,
    }
}
