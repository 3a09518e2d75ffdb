//! Proof that a removal is right: absence is a question, a fresh point read is the answer.
//!
//! *Invariant*: [`Proven`] is made only by [`prove`], from an [`Approved`] action and a fresh point read at the source,
//! and by [`prove_return`], from an [`Approved`] action that a person's `undo` asked for, the [`JournaledWrite`] that it takes
//! back and a fresh read of the account. Neither `Proven` nor `Approved` can be deserialized. A provisioner's
//! `deactivate` and `delete` take nothing else. An ordinary run cannot reach `prove_return`: its plan never has the
//! cause [`RemovalCause::Undone`], and without that cause nothing is proven there.

use super::eligibility::{Eligibility, ScopeNames, eligibility};
use super::guard::Approved;
use super::mapping::Mapping;
use super::removal_cause::{removal_reason, removal_verb};
use super::undo::JournaledWrite;
use crate::config::LifecyclePolicy;
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::TargetId;
use crate::model::identity::{Finding, PointRead};
use crate::model::order::Observation;
use crate::model::plan::{DeletionBarrier, PlannedAction, RemovalCause, Verb};
use crate::model::time::Millis;

/// The longest time between the point read and the write that rests on it.
pub const PROOF_VALID_MILLIS: i64 = 2 * 60 * 1000;

/// What the fresh point read showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProofKind {
    /// The vendor says: not assigned to this app.
    NotAssigned,
    /// Disabled at the source.
    Disabled,
    /// Suspended at the source.
    Suspended,
    /// Gone from the source, with a second witness.
    Deleted,
    /// Assigned, and the scope, evaluated again on the fresh record, leaves the person out.
    OutOfScope,
    /// A person asked for the return of what a run did, that run made the account active, and a fresh read of the
    /// target shows it active. Says nothing about the source.
    Undone,
}

impl ProofKind {
    /// The cause that this proof establishes.
    pub fn cause(self) -> RemovalCause {
        match self {
            ProofKind::NotAssigned => RemovalCause::NotAssigned,
            ProofKind::Disabled => RemovalCause::Disabled,
            ProofKind::Suspended => RemovalCause::Suspended,
            ProofKind::Deleted => RemovalCause::Deleted,
            ProofKind::OutOfScope => RemovalCause::OutOfScope,
            ProofKind::Undone => RemovalCause::Undone,
        }
    }
}

/// Whether somebody besides the 404 says that a user was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionWitness {
    /// The event log has the deletion.
    Event,
    /// The event log may not be read, and two complete reads an hour or more apart both missed the person.
    TwoReads,
    /// The person was last seen before the event log begins, and two complete reads a day or more apart both missed
    /// them: a person has to decide.
    TwoReadsBeforeLog,
    /// The log reaches back to when the person was last seen, and has no deletion: a contradiction, and no proof
    /// whatever the reads say, because both share one blindness.
    Contradicted,
    /// Nobody.
    None,
}

/// The smallest time between two complete reads that together witness a deletion where the log may not be read.
pub const TWO_READS_APART_MILLIS: i64 = 3600 * 1000;
/// The same where the log begins after the person was last seen.
pub const TWO_READS_BEFORE_LOG_APART_MILLIS: i64 = 24 * 3600 * 1000;

/// A removal that may be sent.
#[derive(Debug)]
pub struct Proven {
    action: PlannedAction,
    target_id: TargetId,
    kind: ProofKind,
    observation: Observation,
    needs_person: bool,
}

impl Proven {
    /// Why somebody has to approve the removal although it is proven, if so.
    pub fn needs_approval(&self) -> Option<&'static str> {
        self.needs_person.then_some(
            "the user is gone from the source and was last seen before its event log begins, so a person has to decide",
        )
    }

    /// The action, with the verb that the proof chose.
    pub fn action(&self) -> &PlannedAction {
        &self.action
    }

    /// The account it is about.
    pub fn target_id(&self) -> &TargetId {
        &self.target_id
    }

    /// What the point read showed.
    pub fn kind(&self) -> ProofKind {
        self.kind
    }

    /// When the point read's request was sent.
    pub fn observation(&self) -> Observation {
        self.observation
    }

    /// `Deactivate` or `Delete`.
    pub fn verb(&self) -> Verb {
        self.action.verb
    }

    /// Earlier values that go back before the account is deactivated, as a write of their own: only a return has any.
    pub fn values(&self) -> Option<Approved> {
        let mut changes = self.action.changes.clone();
        changes.retain(|change| change.path != AttributePath::active());
        if changes.is_empty() {
            return None;
        }
        Some(Approved::part_of_proven(PlannedAction {
            verb: Verb::Update,
            cause: None,
            changes,
            ..self.action.clone()
        }))
    }

    /// The removal alone, without values that go back by a write of their own.
    #[must_use]
    pub fn without_values(mut self) -> Proven {
        self.action.changes.retain(|change| change.path == AttributePath::active());
        self
    }

    /// The same proof for the milder verb, where a deletion cannot go: it stays owed.
    #[must_use]
    pub fn as_deactivation(mut self, barrier: DeletionBarrier) -> Proven {
        self.action.verb = Verb::Deactivate;
        self.action.deletion_owed = Some(barrier);
        self.action.changes = vec![super::diff::activation(Some(true), false)];
        self
    }

    /// The same proof for an account that was made anew for the same person: it bears the person's mark, or somebody
    /// approved the removal of the account with this login.
    #[must_use]
    pub fn for_account_made_anew(mut self, account: &Account) -> Proven {
        self.action.target_id = Some(account.id.clone());
        self.target_id = account.id.clone();
        self
    }

    /// Whether the proof is still fresh enough to write on.
    pub fn is_fresh(&self, now: Millis) -> bool {
        (0..PROOF_VALID_MILLIS).contains(&now.since(self.observation.at))
    }
}

/// The verdict on one removal.
#[derive(Debug)]
pub enum ProofOutcome {
    /// It may be sent.
    Proven(Box<Proven>),
    /// What was proven leads to another policy, which keeps the account.
    Kept(PlannedAction, String),
    /// What was proven asks for a stronger verb than the guards were asked about.
    Stronger(PlannedAction, String),
    /// The person is assigned after all: no removal.
    StillAssigned(PlannedAction, String),
    /// Nothing was proven.
    Unproven(PlannedAction, String),
}

/// Judges a removal by a fresh point read.
pub fn prove(
    approved: Approved,
    read: &PointRead,
    witness: DeletionWitness,
    mapping: &Mapping,
    policy: &LifecyclePolicy,
) -> ProofOutcome {
    let mut action = approved.into_action();
    let kind = match what_is_shown(read, witness, mapping, policy) {
        Ok(kind) => kind,
        Err(Shown::StillAssigned(text)) => return ProofOutcome::StillAssigned(action, text),
        Err(Shown::Nothing(text)) => return ProofOutcome::Unproven(action, text),
    };
    let Some(target_id) = action.target_id.clone() else {
        return ProofOutcome::Unproven(action, "there is no account to remove".to_owned());
    };
    let cause = kind.cause();
    // The second step of a two-step leave stays what it is; anything else follows what was proven.
    if action.cause != Some(RemovalCause::DeleteAfter) {
        let Some(verb) = removal_verb(cause, policy) else {
            return ProofOutcome::Kept(action, format!("{}: the account is kept", removal_reason(cause)));
        };
        if verb == Verb::Delete && action.verb != Verb::Delete {
            let why = format!("{}: the configuration deletes such accounts", removal_reason(cause));
            action.verb = Verb::Delete;
            action.changes.clear();
            return ProofOutcome::Stronger(action, why);
        }
        if verb != action.verb {
            action.changes = vec![super::diff::activation(Some(true), false)];
        }
        action.verb = verb;
        action.cause = Some(cause);
        removal_reason(cause).clone_into(&mut action.reason);
    }
    let needs_person = kind == ProofKind::Deleted && witness == DeletionWitness::TwoReadsBeforeLog;
    let observation = read.observation;
    ProofOutcome::Proven(Box::new(Proven { action, target_id, kind, observation, needs_person }))
}

/// Judges the deactivation that an undo asks for, by what the undone run did and a fresh read of the account
/// (`None` = 404). Only a deactivation, never a deletion, and only of an account that the run made active.
pub fn prove_return(
    approved: Approved,
    deed: Option<&JournaledWrite>,
    shown: Option<&Account>,
    observation: Observation,
) -> ProofOutcome {
    let action = approved.into_action();
    let unproven = |action: PlannedAction, why: &str| ProofOutcome::Unproven(action, why.to_owned());
    if action.cause != Some(RemovalCause::Undone) || action.verb != Verb::Deactivate {
        return unproven(action, "nobody asked to take this back");
    }
    let made_active = deed.is_some_and(|deed| {
        deed.made_active()
            && *deed.source_id() == action.source_id
            && deed.target_id().is_none_or(|id| Some(id) == action.target_id.as_ref())
    });
    if !made_active {
        return unproven(action, "the journal does not show that the run made this account active");
    }
    match (action.target_id.clone(), shown) {
        (Some(target_id), Some(account)) if account.id == target_id && account.active() != Some(false) => {
            ProofOutcome::Proven(Box::new(Proven {
                action,
                target_id,
                kind: ProofKind::Undone,
                observation,
                needs_person: false,
            }))
        }
        _ => unproven(action, "a fresh look does not find the account active any more"),
    }
}

enum Shown {
    StillAssigned(String),
    Nothing(String),
}

fn what_is_shown(
    read: &PointRead,
    witness: DeletionWitness,
    mapping: &Mapping,
    policy: &LifecyclePolicy,
) -> Result<ProofKind, Shown> {
    let identity = match &read.finding {
        Finding::Assigned(identity) | Finding::NotAssigned(identity) => identity,
        Finding::UserGone => {
            return match witness {
                DeletionWitness::Event
                | DeletionWitness::TwoReads
                | DeletionWitness::TwoReadsBeforeLog => Ok(ProofKind::Deleted),
                DeletionWitness::Contradicted => Err(Shown::Nothing(
                    "the source has no such user, and its event log, which reaches back to when the person was last \
                     seen, has no deletion; help: the credentials' admin role may not see this person"
                        .to_owned(),
                )),
                DeletionWitness::None => Err(Shown::Nothing(
                    "the source has no such user, but neither its event log nor a second complete read later confirms a \
                     deletion; help: let the credentials read the event log, or wait for the next runs"
                        .to_owned(),
                )),
            };
        }
        Finding::Inconclusive(text) => return Err(Shown::Nothing(text.clone())),
    };
    // The same order as everywhere: lifecycle and assignment, then scope.
    match eligibility(identity, true, mapping, policy, &mut ScopeNames::new(mapping)) {
        Eligibility::Leaver(RemovalCause::Disabled) => Ok(ProofKind::Disabled),
        Eligibility::Leaver(_) => Ok(ProofKind::NotAssigned),
        Eligibility::Suspended => Ok(ProofKind::Suspended),
        Eligibility::OutOfScope => Ok(ProofKind::OutOfScope),
        Eligibility::Qualifies(_) | Eligibility::Pending => {
            Err(Shown::StillAssigned("a fresh look finds the person assigned".to_owned()))
        }
        Eligibility::Blocked(reason) | Eligibility::Unknown(reason) => Err(Shown::Nothing(reason)),
    }
}

#[cfg(test)]
mod tests;
