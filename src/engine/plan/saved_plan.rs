//! Narrowing a fresh plan to a saved one: exactly those actions, and only where nothing they rest on has moved.

use std::collections::{BTreeMap, HashSet};

use crate::engine::error::RunError;
use crate::model::id::SourceId;
use crate::model::plan::PlannedAction;
use crate::model::report::ActionRecord;

/// How many differences a message names.
const NAMED: usize = 5;

/// What a fresh plan is held against.
#[derive(Debug)]
pub struct SavedPlanMatcher {
    expected: BTreeMap<SourceId, ActionRecord>,
    moved: Vec<String>,
}

impl SavedPlanMatcher {
    /// From a saved plan's actions, without the people who were done in an earlier pass.
    pub fn new(actions: &[ActionRecord], done: &HashSet<SourceId>) -> SavedPlanMatcher {
        let expected = actions
            .iter()
            .filter_map(|record| Some((record.source_id.clone()?, record.clone())))
            .filter(|(id, _)| !done.contains(id))
            .collect();
        SavedPlanMatcher { expected, moved: Vec::new() }
    }

    /// Whether an action belongs to the saved plan. What belongs and differs is noted.
    pub fn admits(&mut self, action: &PlannedAction) -> bool {
        let Some(expected) = self.expected.remove(&action.source_id) else { return false };
        if expected.action != action.verb {
            self.moved.push(format!(
                "{}: planned {}, now {}",
                expected.user,
                expected.action.as_str(),
                action.verb.as_str()
            ));
        } else if expected.changes != action.changes || expected.target_id != action.target_id {
            self.moved.push(format!("{}: the values it rests on have changed", expected.user));
        }
        true
    }

    /// Fails where anything the plan touches has moved; nothing has been written then.
    pub fn verify(self) -> Result<(), RunError> {
        let mut moved = self.moved;
        moved.extend(self.expected.into_values().map(|record| format!("{}: no longer planned", record.user)));
        if moved.is_empty() {
            return Ok(());
        }
        let more = moved.len().saturating_sub(NAMED);
        moved.truncate(NAMED);
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        Err(RunError::StalePlan(format!(
            "the saved plan is stale, so nothing was written: {}{rest}\nhelp: make and read a new one with `rosterd plan \
             --out FILE`",
            moved.join("; ")
        )))
    }
}
