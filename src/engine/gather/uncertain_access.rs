//! People for whom nobody can tell whether a write gave access. Where they leave before it can be told, they may have
//! access all the same: a leaver, and not somebody who needs nothing more.
//!
//! What lives here: who they are, and what is planned for those who left. What must not: settling (`settle`).

use std::collections::{HashMap, HashSet};

use crate::core::eligibility::Eligibility;
use crate::core::removal_cause::removal_cause;
use crate::engine::gather::read_set::Candidate;
use crate::model::id::SourceId;
use crate::model::link::{Link, LinkState};
use crate::model::order::Observation;
use crate::model::owed::{OwedChange, OwedClass, WaitsFor};
use crate::model::plan::{PlannedAction, RemovalCause, Situation, Verb};

/// Those whose account may have been created, adopted or reactivated.
#[derive(Debug, Default)]
pub(crate) struct UncertainAccess {
    people: HashMap<SourceId, OwedChange>,
}

impl UncertainAccess {
    /// Takes out of what is owed whatever concerns them.
    pub(crate) fn of(owed: &[OwedChange]) -> UncertainAccess {
        let uncertain = owed
            .iter()
            .filter(|change| change.waits_for == WaitsFor::Unsettled && change.class == OwedClass::Access);
        UncertainAccess {
            people: uncertain.map(|change| (change.source_id.clone(), change.clone())).collect(),
        }
    }

    /// Who they are.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &SourceId> {
        self.people.keys()
    }

    /// The link as it must be taken for a leaver: an account that may be active is to be deactivated.
    pub(crate) fn at_worst(&self, link: Link) -> Link {
        let state = match link.state {
            LinkState::Deactivated(_) | LinkState::Inactive if self.people.contains_key(&link.source_id) => {
                LinkState::Active
            }
            LinkState::Active
            | LinkState::Deactivated(_)
            | LinkState::Inactive
            | LinkState::Vanished(_)
            | LinkState::Gone(_) => link.state,
        };
        Link { state, ..link }
    }

    /// Those whom a complete read shows neither by themselves nor by a link.
    pub(crate) fn unlisted(&self, seen: &HashSet<SourceId>, read: Observation) -> Vec<Candidate> {
        let unlisted = self.people.values().filter(|change| !seen.contains(&change.source_id));
        let mut unlisted: Vec<Candidate> = unlisted
            .map(|change| Candidate {
                id: change.source_id.clone(),
                user: change.user.clone(),
                eligibility: Eligibility::Leaver(RemovalCause::NotListed),
                linked: false,
                observation: read,
                assigned_at: None,
                lacks: Vec::new(),
            })
            .collect();
        unlisted.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        unlisted
    }

    /// What is to be told, and owed, of a leaver without a link.
    pub(crate) fn block(&self, candidate: &Candidate) -> Option<PlannedAction> {
        let left = match &candidate.eligibility {
            Eligibility::Leaver(_) | Eligibility::Suspended | Eligibility::OutOfScope => true,
            Eligibility::Qualifies(_)
            | Eligibility::Pending
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_) => false,
        };
        let change = self.people.get(&candidate.id).filter(|_| left)?;
        Some(PlannedAction {
            verb: Verb::Block,
            situation: Situation::Leaver,
            reason: format!("left, and nobody can tell whether there is an account: {}", change.detail),
            target_id: change.target_id.clone(),
            cause: Some(removal_cause(&candidate.eligibility)),
            kept_from: Some(Verb::Deactivate),
            ..PlannedAction::blank(candidate.id.clone(), change.user.clone(), candidate.observation)
        })
    }
}
