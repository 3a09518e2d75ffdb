//! Guards: pure functions from a plan, the links and the last day's journal to what may go through.
//!
//! *Invariant*: [`Approved`] is made only by [`Judgement::release`].

use std::collections::BTreeMap;

use crate::model::plan::{Disposition, PlannedAction, Verb};
use crate::model::report::GuardFact;

/// An action that the guards let through. Cannot be deserialized.
#[derive(Debug)]
pub struct Approved(PlannedAction);

impl Approved {
    /// The action.
    pub fn action(&self) -> &PlannedAction {
        &self.0
    }

    /// The action, given up for its proof or its write.
    pub fn into_action(self) -> PlannedAction {
        self.0
    }
}

/// What the journal says of the last hour and day. An unknown outcome counts as sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Deactivations and deletions sent in the last hour, over all triggers.
    pub removals_last_hour: u64,
    /// Active linked accounts now.
    pub active_now: u64,
    /// The highest number of active linked accounts in the last 24 hours, now included.
    pub active_peak: u64,
}

/// What a run would send, per verb, and what speaks against its removals as a whole.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// Actions that would be sent.
    pub counts: BTreeMap<Verb, u64>,
    /// Names of `scope.filter` that nobody had in a full read.
    pub scope_names_nobody_has: Vec<String>,
}

impl Intent {
    /// Counts one planned action.
    pub fn add(&mut self, action: &PlannedAction) {
        if action.disposition == Disposition::Send {
            *self.counts.entry(action.verb).or_default() += 1;
        }
    }

    fn removals(&self) -> u64 {
        self.counts.iter().filter(|(verb, _)| verb.is_removal()).map(|(_, count)| count).sum()
    }
}

/// The guards' verdict on one plan.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    facts: Vec<GuardFact>,
    removals_held: Option<String>,
}

impl Judgement {
    /// The numbers, for the report.
    pub fn facts(&self) -> &[GuardFact] {
        &self.facts
    }

    /// Why every removal is held, if so.
    pub fn removals_held(&self) -> Option<&str> {
        self.removals_held.as_deref()
    }

    /// Lets an action through, or gives it back with the reason why it is held.
    pub fn release(&self, action: PlannedAction) -> Result<Approved, Box<(PlannedAction, String)>> {
        match &self.removals_held {
            Some(reason) if action.verb.is_removal() => Err(Box::new((action, reason.clone()))),
            Some(_) | None => Ok(Approved(action)),
        }
    }
}

/// Judges a plan. "Everybody would go" is always on: a plan that, with what was sent in the last hour, would take
/// access from every active account of two or more waits for a person.
pub fn judge(intent: &Intent, ledger: &Ledger) -> Judgement {
    let removals = intent.removals();
    let total = removals + ledger.removals_last_hour;
    let everybody = removals > 0 && ledger.active_peak >= 2 && total >= ledger.active_peak;
    let facts = vec![GuardFact {
        guard: "everybody_would_go".to_owned(),
        limit: Some(ledger.active_peak as f64),
        value: total as f64,
        tripped: everybody,
    }];
    let removals_held = if everybody {
        Some(format!(
            "everybody would go: {removals} planned and {} sent in the last hour, of {} active accounts",
            ledger.removals_last_hour, ledger.active_peak
        ))
    } else if removals > 0 && !intent.scope_names_nobody_has.is_empty() {
        Some(format!(
            "scope.filter uses {}, which nobody has at the source: a renamed attribute would empty the workspace",
            intent.scope_names_nobody_has.join(", ")
        ))
    } else {
        None
    };
    Judgement { facts, removals_held }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(removals: u64, last_hour: u64, peak: u64) -> bool {
        let intent = Intent { counts: BTreeMap::from([(Verb::Deactivate, removals)]), ..Intent::default() };
        let ledger = Ledger { removals_last_hour: last_hour, active_now: peak, active_peak: peak };
        judge(&intent, &ledger).removals_held().is_some()
    }

    #[test]
    fn a_plan_that_removes_everybody_is_held_and_one_less_is_not() {
        assert!(held(2, 0, 2) && held(400, 0, 400) && held(5, 5, 10));
        assert!(!held(1, 0, 2) && !held(399, 0, 400) && !held(4, 5, 10));
    }

    #[test]
    fn the_only_member_of_a_workspace_may_leave_it() {
        assert!(!held(1, 0, 1));
    }

    #[test]
    fn a_plan_without_removals_is_never_held_by_the_total_guard() {
        assert!(!held(0, 10, 10));
    }
}
