//! Linked people whom the list leaves out, where the configuration treats one kind of leaving unlike another.
//!
//! What lives here: the look that tells which kind it was, before anybody is counted as a removal. What must not: the
//! proof (`prove`), which is taken again right before a write.

use std::collections::HashMap;

use super::people::one;
use super::roster::Candidate;
use super::{Context, RunError};
use crate::config::{LifecyclePolicy, RemovalPolicy};
use crate::core::standing::Standing;
use crate::model::id::SourceId;
use crate::model::link::{Link, LinkState};
use crate::model::plan::RemovalCause;
use crate::model::time::Millis;
use crate::target::Observe;

/// Looks a run: people who are kept stay unlisted for good, and must not cost every run a request each.
const LOOKS: usize = 50;

/// Linked people whom the list leaves out.
#[derive(Debug, Default)]
pub struct Unlisted {
    people: Vec<(Candidate, Link)>,
}

/// What the looks showed.
#[derive(Debug, Default)]
pub struct Looked {
    /// With what a fresh look shows instead of the absence.
    pub seen: Vec<(Candidate, Link)>,
    /// Not looked at in this run.
    pub unseen: Vec<(Candidate, Link)>,
    /// Assigned after all.
    pub list_was_short: u64,
}

impl Unlisted {
    /// Whether it takes a look to know what becomes of somebody who is not listed.
    pub fn needs_a_look(candidate: &Candidate, link: Option<&Link>, policy: &LifecyclePolicy) -> bool {
        let removes = |chosen: RemovalPolicy| chosen != RemovalPolicy::Keep;
        let (unassigned, deleted) = (removes(policy.on_unassigned), removes(policy.on_deleted));
        let differs = unassigned != deleted || (!unassigned && removes(policy.on_suspended));
        differs
            && candidate.standing == Standing::Leaver(RemovalCause::NotListed)
            && link.is_some_and(|link| link.state == LinkState::Active)
    }

    /// Takes somebody in.
    pub fn push(&mut self, candidate: Candidate, link: Link) {
        self.people.push((candidate, link));
    }

    /// Looks at those who were not looked at for the longest time.
    pub async fn look<O: Observe>(mut self, context: &Context<'_, O>) -> Result<Looked, RunError> {
        let mut looked = Looked::default();
        if self.people.is_empty() {
            return Ok(looked);
        }
        let looks: HashMap<SourceId, Millis> = context.snapshot.looks(context.sync_name()).await?;
        self.people.sort_by_key(|(candidate, _)| looks.get(&candidate.id).map_or(0, |at| at.0));
        let mut refused = false;
        for (index, (candidate, link)) in self.people.into_iter().enumerate() {
            if refused || index >= LOOKS {
                looked.unseen.push((candidate, link));
                continue;
            }
            match one(context, &candidate.id, Some(&link)).await {
                Ok(Some(fresh)) => {
                    looked.list_was_short += u64::from(matches!(fresh.standing, Standing::Qualifies(_)));
                    looked.seen.push((fresh, link));
                }
                Ok(None) => looked.unseen.push((candidate, link)),
                Err(error) => {
                    tracing::debug!(%error, "somebody who is not listed could not be asked for");
                    refused = true;
                    looked.unseen.push((candidate, link));
                }
            }
        }
        Ok(looked)
    }
}
