//! When a class of writes stops for a run: the workspace refuses all of them alike.
//!
//! What must not live here: what a refusal means for one person (`refusal`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::engine::apply::writer::ActionResult;
use crate::model::owed::{OwedClass, WaitsFor};
use crate::model::plan::PlannedAction;
use crate::model::report::Outcome;
use crate::scim::target::{Refusal, RefusalClass};

/// So many writes of a class in a row that were refused alike, while none was accepted, stop the class for the run: a
/// token that may only read must not send ten thousand requests.
const REFUSED_ALIKE: u32 = 20;

/// Counts refusals of each class in a row.
#[derive(Debug, Default)]
pub(crate) struct ClassStops {
    rows: Mutex<HashMap<OwedClass, Row>>,
}

impl ClassStops {
    /// The accounts that were refused before have a count of their own: what became of the others says nothing of them.
    pub(crate) fn begin_refused_before(&self) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(&OwedClass::Removal);
    }
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
    pub(crate) fn turn_away(&self, action: &PlannedAction) -> Option<ActionResult> {
        let class = OwedClass::of(action.verb)?;
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.get(&class)?;
        (row.refused >= REFUSED_ALIKE && !row.accepted).then(|| {
            let why = format!(
                "{} writes in a row were refused alike ({}) and none was accepted, so the rest of them was not sent",
                row.refused, row.detail
            );
            ActionResult::waiting(action, Outcome::Deferred, WaitsFor::Retry, why)
        })
    }

    /// A write of its class was accepted.
    pub(crate) fn accepted(&self, action: &PlannedAction) {
        if let Some(class) = OwedClass::of(action.verb) {
            self.rows.lock().unwrap_or_else(PoisonError::into_inner).entry(class).or_default().accepted =
                true;
        }
    }

    pub(crate) fn refused(&self, action: &PlannedAction, refusal: &Refusal) {
        // What an answer says of one account for good says nothing of the token.
        if refusal.status < 400 || refusal.class == RefusalClass::Permanent {
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
