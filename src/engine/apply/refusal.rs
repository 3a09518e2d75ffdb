//! What a refusal means: for the person, for the rest of a class, for the run.
//!
//! What lives here: classes of refusals, and when a class stops for a run. What must not: recognising them in an answer
//! (the target), sending anything.

use std::sync::PoisonError;

use crate::core::settlement::settle_state;
use crate::engine::apply::live_writer::{LiveWriter, WriteResult};
use crate::engine::apply::writer::StopReason;
use crate::model::link::{Link, LinkState};
use crate::model::owed::WaitsFor;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::report::Outcome;
use crate::model::time::Millis;
use crate::scim::target::{Observe, Provision, Refusal, RefusalClass};
use crate::store::{IntentOutcome, LinkWrite};

impl<O: Observe, P: Provision> LiveWriter<'_, O, P> {
    /// The end of a refusal that needs no second thought.
    pub(crate) fn refused(
        &self,
        action: &PlannedAction,
        refusal: &Refusal,
        link: Option<&Link>,
    ) -> WriteResult {
        if refusal.class != RefusalClass::TakenBack {
            self.stops.refused(action, refusal);
        }
        let detail = refusal.detail.clone();
        let base = WriteResult::not_sent(refusal, Outcome::Deferred, WaitsFor::Retry, detail.clone());
        let (settled, outcome) = (IntentOutcome::Refused, Outcome::Failed);
        let failed = |base: WriteResult| WriteResult { settled, outcome, ..base };
        match refusal.class {
            RefusalClass::Credentials => {
                WriteResult { stop: Some(StopReason::CredentialsRefused(detail)), ..base }
            }
            RefusalClass::Unreachable => {
                WriteResult { stop: Some(StopReason::TargetUnavailable(detail)), ..base }
            }
            RefusalClass::RateLimited => base,
            // Nothing was sent; the proof is taken afresh.
            RefusalClass::Expired => WriteResult { waits_for: Some(WaitsFor::Proof), ..base },
            RefusalClass::TakenBack => {
                WriteResult { outcome: Outcome::Disabled, waits_for: Some(WaitsFor::Pause), ..base }
            }
            RefusalClass::NoSeat if takes_a_seat(action) => {
                self.note_no_seat(action, &detail);
                WriteResult {
                    outcome: Outcome::Held,
                    waits_for: Some(WaitsFor::Seat),
                    detail: Some(format!("no seat: {detail}")),
                    ..base
                }
            }
            RefusalClass::NotFound => {
                let state = LinkState::Vanished(Millis::now());
                let gone = link.map(|link| settle_state(link, state, action.observation));
                WriteResult {
                    outcome: Outcome::Failed,
                    detail: Some(format!("the account is gone at the target: {detail}")),
                    link: gone.map_or(LinkWrite::Keep, |link| LinkWrite::Put(Box::new(link))),
                    ..base
                }
            }
            RefusalClass::Permanent => WriteResult {
                detail: Some(format!("the target never allows this: {detail}")),
                ..failed(base)
            },
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

impl<O: Observe, P: Provision> LiveWriter<'_, O, P> {
    /// Only a creation that lacks a seat stops further creations.
    fn note_no_seat(&self, action: &PlannedAction, detail: &str) {
        if action.verb == Verb::Create {
            let mut no_seat = self.no_seat.lock().unwrap_or_else(PoisonError::into_inner);
            *no_seat = Some(detail.to_owned());
        }
    }
}

/// Only these verbs can lack a seat.
fn takes_a_seat(action: &PlannedAction) -> bool {
    match action.verb {
        Verb::Create | Verb::Reactivate => true,
        Verb::Adopt => action.activate,
        Verb::Update | Verb::Deactivate | Verb::Delete | Verb::Block | Verb::Skip => false,
    }
}
