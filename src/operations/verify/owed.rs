//! What is owed, as a verification says it: whoever waits for an approval or is kept by a decision is not written by the
//! next run.
//!
//! What lives here: words. What must not: the rows (`store`), what becomes of them (`execute`).

use std::collections::HashMap;

use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::model::id::SourceId;
use crate::model::owed::{OwedChange, WaitMeaning};
use crate::scim::target::Observe;

/// The most urgent thing that is owed to each person.
#[derive(Debug, Default)]
pub(crate) struct Owed(HashMap<SourceId, OwedChange>);

impl Owed {
    /// What is owed in a sync.
    pub(crate) async fn load<O: Observe>(context: &RunContext<'_, O>) -> Result<Owed, RunError> {
        let mut owed = HashMap::new();
        // Leavers come first, and stay.
        for change in context.snapshot.owed(context.sync_name()).await? {
            owed.entry(change.source_id.clone()).or_insert(change);
        }
        Ok(Owed(owed))
    }

    /// What becomes of values that changed at the source.
    pub(crate) fn moved(&self, person: &SourceId, names: &str) -> String {
        match self.0.get(person).map(|change| change.waits_for.meaning()) {
            None | Some(WaitMeaning::Undone) => {
                format!("{names} changed at the source: the next run writes it{}", self.waits(person))
            }
            Some(WaitMeaning::Held | WaitMeaning::Wanted) => {
                format!("{names} changed at the source{}", self.waits(person))
            }
        }
    }

    /// Since when something is owed and what it waits for, as the end of a sentence.
    pub(crate) fn waits(&self, person: &SourceId) -> String {
        let Some(change) = self.0.get(person) else { return String::new() };
        format!(
            "; owed since {}, waits for {} (`rosterd explain {person}` names the command that changes it)",
            change.since.rfc3339(),
            change.waits_for.describe()
        )
    }
}
