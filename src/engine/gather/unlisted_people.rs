//! Linked people whom a complete read leaves out: why, asked before the guards judge and, of those who are kept, again
//! after this run's removals have gone.
//!
//! What lives here: whom to ask, in which turn, and what an answer means. What must not: verbs and proofs.

use std::collections::HashMap;

use crate::core::eligibility::{Eligibility, lifecycle_of_status};
use crate::core::lifecycle::Lifecycle;
use crate::core::removal_cause::removal_verb;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::named::one;
use crate::engine::gather::read_set::Candidate;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::plan::RemovalCause;
use crate::scim::target::Observe;
use crate::source::OwnState;

/// Looks a run: people who are kept stay unlisted for good, and must not cost every run a request each.
const LOOKS: usize = 200;

/// Linked people whom the list leaves out, or whom nobody can judge.
#[derive(Debug, Default)]
pub struct Unlisted {
    people: Vec<(Candidate, Link, Question)>,
}

/// How somebody is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// By their own record alone: why they are not listed.
    OwnRecord,
    /// Record and assignment: a list that is short must not end a decision about somebody, and nobody could judge the
    /// other ones.
    Whole,
}

/// What the looks showed.
#[derive(Debug, Default)]
pub struct Looked {
    /// With what a fresh look shows instead of the absence.
    pub seen: Vec<(Candidate, Link)>,
    /// Not looked at in this run, or the look told nothing.
    pub unseen: Vec<(Candidate, Link)>,
}

impl Unlisted {
    /// Whether it takes a look to know why somebody with an active account is not listed, or cannot be judged.
    pub fn is_unexplained(candidate: &Candidate, link: &Link) -> bool {
        link.state.may_give_access()
            && match &candidate.eligibility {
                Eligibility::Leaver(RemovalCause::NotListed) | Eligibility::Unknown(_) => true,
                Eligibility::Leaver(_)
                | Eligibility::Suspended
                | Eligibility::OutOfScope
                | Eligibility::Qualifies(_)
                | Eligibility::Pending
                | Eligibility::Blocked(_) => false,
            }
    }

    /// Takes somebody in.
    pub fn push(&mut self, candidate: Candidate, link: Link, question: Question) {
        self.people.push((candidate, link, question));
    }

    /// Looks at those who were not looked at for the longest time. A person who cannot be read is that person's matter.
    pub async fn look<O: Observe>(mut self, context: &RunContext<'_, O>) -> Result<Looked, RunError> {
        let mut looked = Looked::default();
        if self.people.is_empty() {
            return Ok(looked);
        }
        let looks: HashMap<SourceId, Observation> = context.snapshot.looks(context.sync_name()).await?;
        self.people.sort_by_key(|(candidate, ..)| looks.get(&candidate.id).map(|look| look.number));
        let mut refused = false;
        for (index, (candidate, link, question)) in self.people.into_iter().enumerate() {
            // Whom this very run has read one by one was looked at just now.
            let is_fresh = context.reads_one_by_one;
            if refused || is_fresh || index >= LOOKS {
                looked.unseen.push((candidate, link));
                continue;
            }
            match look_at(context, &candidate, &link, question).await {
                Ok(Some(fresh)) => looked.seen.push((fresh, link)),
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

/// Why somebody is not listed, by their own record alone; the assignment is left to the proof, because it shares the list's
/// small bucket. Somebody whom nobody could judge is read whole.
async fn look_at<O: Observe>(
    context: &RunContext<'_, O>,
    candidate: &Candidate,
    link: &Link,
    question: Question,
) -> Result<Option<Candidate>, RunError> {
    match question {
        Question::Whole => one(context, &candidate.id, Some(link)).await,
        Question::OwnRecord => {
            let seen = cause_by_own_record(context, &candidate.id).await?;
            Ok(seen.map(|(cause, observation)| Candidate {
                eligibility: Eligibility::Leaver(cause),
                observation,
                ..candidate.clone()
            }))
        }
    }
}

/// Disabled, suspended, gone; all else counts as unassigned. `None` where the record tells nothing.
pub(crate) async fn cause_by_own_record<O: Observe>(
    context: &RunContext<'_, O>,
    person: &SourceId,
) -> Result<Option<(RemovalCause, Observation)>, RunError> {
    let record = context.source.own_record(person, Lane::General).await?;
    let policy = &context.config.lifecycle;
    let cause = match &record.state {
        OwnState::Status(status) => match lifecycle_of_status(status, true, policy) {
            Lifecycle::Disabled => RemovalCause::Disabled,
            // Where suspended people are kept, whether this one is also unassigned decides, and that is the proof's to
            // tell.
            Lifecycle::Suspended if removal_verb(RemovalCause::Suspended, policy).is_some() => {
                RemovalCause::Suspended
            }
            Lifecycle::Suspended | Lifecycle::Active | Lifecycle::Pending | Lifecycle::Unknown => {
                RemovalCause::NotAssigned
            }
        },
        OwnState::UserGone => RemovalCause::Deleted,
        OwnState::Inconclusive(_) => return Ok(None),
    };
    Ok(Some((cause, record.observation)))
}
