//! What a run intends for one person: situation, verb, changes.
//!
//! A planned action carries old and new values, so the plan is the report. What must not live here: the
//! decision itself (`core::situation`, `core::planner`).

use serde::{Deserialize, Serialize};

use super::aliases;
use super::attributes::{AttributePath, Attributes, Scalar};
use super::digest::Digest;
use super::id::{SourceId, TargetId};
use super::order::Observation;
use super::time::Millis;

/// The situations of one person; see the decision table in docs/semantics.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// Qualifies, linked, active as far as known.
    Confirmed,
    /// Qualifies, linked, and we deactivated the account.
    Returning,
    /// Qualifies, no link, exactly one match.
    Found,
    /// Qualifies, no link, no match.
    Absent,
    /// Qualifies, linked, the account is gone and nothing matches.
    Missing,
    /// Qualifies, linked, the account is gone and another one matches.
    Relink,
    /// Several accounts match, or several people map to one login.
    Ambiguous,
    /// The matching account is linked to somebody else who is alive, or by another sync.
    TakenElsewhere,
    /// The matching account is linked to an identity that is proven gone.
    Successor,
    /// Not yet activated at the source.
    Waiting,
    /// Suspended at the source, account active.
    Suspended,
    /// Not assigned, disabled or deleted; account active.
    Leaver,
    /// Assigned, but the scope leaves the person out; account active.
    OutOfScope,
    /// Left in any way, and there is nothing to remove (any more).
    Gone,
    /// Could not be decided or may not be written.
    Blocked,
}

impl Situation {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Situation::Confirmed => "confirmed",
            Situation::Returning => "returning",
            Situation::Found => "found",
            Situation::Absent => "absent",
            Situation::Missing => "missing",
            Situation::Relink => "relink",
            Situation::Ambiguous => "ambiguous",
            Situation::TakenElsewhere => "taken_elsewhere",
            Situation::Successor => "successor",
            Situation::Waiting => "waiting",
            Situation::Suspended => "suspended",
            Situation::Leaver => "leaver",
            Situation::OutOfScope => "out_of_scope",
            Situation::Gone => "gone",
            Situation::Blocked => "blocked",
        }
    }
}

/// What is done to an account, or why nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// `active: false`.
    Deactivate,
    /// DELETE.
    Delete,
    /// Owned attributes.
    Update,
    /// `active: true`, with the update where there is one.
    Reactivate,
    /// An existing account is taken over.
    Adopt,
    /// POST.
    Create,
    /// Could not be decided or may not be written: listed with the reason.
    Block,
    /// A lasting decision to do nothing.
    Skip,
}

impl Verb {
    /// Every verb, in the order in which a run sends them (leavers first).
    pub const ALL: [Verb; 8] = [
        Verb::Deactivate,
        Verb::Delete,
        Verb::Update,
        Verb::Reactivate,
        Verb::Adopt,
        Verb::Create,
        Verb::Block,
        Verb::Skip,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Deactivate => "deactivate",
            Verb::Delete => "delete",
            Verb::Update => "update",
            Verb::Reactivate => "reactivate",
            Verb::Adopt => "adopt",
            Verb::Create => "create",
            Verb::Block => "block",
            Verb::Skip => "skip",
        }
    }

    /// Whether it takes access away, so that it needs a proof.
    pub fn is_removal(self) -> bool {
        match self {
            Verb::Deactivate | Verb::Delete => true,
            Verb::Update | Verb::Reactivate | Verb::Adopt | Verb::Create | Verb::Block | Verb::Skip => false,
        }
    }

    /// Whether it sends anything to the target.
    pub fn is_write(self) -> bool {
        match self {
            Verb::Block | Verb::Skip => false,
            Verb::Deactivate
            | Verb::Delete
            | Verb::Update
            | Verb::Reactivate
            | Verb::Adopt
            | Verb::Create => true,
        }
    }
}

/// One attribute's old and new value. `to: None` clears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub path: AttributePath,
    /// The value last acknowledged, or read in this run.
    pub from: Option<Scalar>,
    /// The value to be.
    pub to: Option<Scalar>,
}

/// What the account of one person should hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredAccount {
    /// Values to set, `userName` and `externalId` among them.
    pub set: Attributes,
    /// Paths to clear because the source has nothing and the configuration asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<AttributePath>,
    /// Digest over all of it, the mapping's version included.
    pub digest: Digest,
}

impl DesiredAccount {
    /// The login to be.
    pub fn user_name(&self) -> &str {
        self.text(&AttributePath::user_name())
    }

    /// The mark to be.
    pub fn external_id(&self) -> &str {
        self.text(&AttributePath::external_id())
    }

    /// The primary e-mail to be, where it is owned.
    pub fn email(&self) -> Option<&str> {
        match self.set.get(&AttributePath::primary_email()) {
            Some(Scalar::Text(text)) => Some(text),
            Some(Scalar::Flag(_) | Scalar::Integer(_)) | None => None,
        }
    }

    fn text(&self, path: &AttributePath) -> &str {
        match self.set.get(path) {
            Some(Scalar::Text(text)) => text,
            Some(Scalar::Flag(_) | Scalar::Integer(_)) | None => "",
        }
    }
}

/// Why a removal is wanted, before it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalCause {
    /// A complete read did not list the person.
    NotListed,
    /// The source showed the person as not assigned.
    NotAssigned,
    /// Lifecycle `disabled`.
    Disabled,
    /// Lifecycle `suspended`.
    Suspended,
    /// `scope.filter` gave false.
    OutOfScope,
    /// The user object is gone.
    Deleted,
    /// Deactivated long enough ago for `lifecycle.delete_after`.
    DeleteAfter,
    /// A person asked for the return of what a run did, and that run made the account active. Never planned by an
    /// ordinary run.
    Undone,
}

impl RemovalCause {
    /// The word in reports and in the state.
    pub fn as_str(self) -> &'static str {
        match self {
            RemovalCause::NotListed => "unknown",
            RemovalCause::NotAssigned => "unassigned",
            RemovalCause::Disabled => "disabled",
            RemovalCause::Suspended => "suspended",
            RemovalCause::OutOfScope => "out_of_scope",
            RemovalCause::Deleted => "deleted",
            RemovalCause::DeleteAfter => "delete_after",
            RemovalCause::Undone => "undone",
        }
    }

    /// Every cause.
    pub const ALL: [RemovalCause; 8] = [
        RemovalCause::NotListed,
        RemovalCause::NotAssigned,
        RemovalCause::Disabled,
        RemovalCause::Suspended,
        RemovalCause::OutOfScope,
        RemovalCause::Deleted,
        RemovalCause::DeleteAfter,
        RemovalCause::Undone,
    ];

    /// The cause of a stored word.
    pub fn of_word(word: &str) -> Option<RemovalCause> {
        let word = aliases::word(word);
        RemovalCause::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// The kind that the guards judge it in. A cause that is not known yet counts as unassigned.
    pub fn kind(self) -> RemovalKind {
        match self {
            RemovalCause::Disabled | RemovalCause::Suspended | RemovalCause::Deleted => {
                RemovalKind::Terminated
            }
            RemovalCause::NotListed
            | RemovalCause::NotAssigned
            | RemovalCause::OutOfScope
            | RemovalCause::DeleteAfter
            | RemovalCause::Undone => RemovalKind::Unassigned,
        }
    }

    /// Whether it says where somebody stands at the source, so that a decision can bind it.
    pub fn is_at_the_source(self) -> bool {
        match self {
            RemovalCause::NotAssigned
            | RemovalCause::Disabled
            | RemovalCause::Suspended
            | RemovalCause::OutOfScope
            | RemovalCause::Deleted => true,
            RemovalCause::NotListed | RemovalCause::DeleteAfter | RemovalCause::Undone => false,
        }
    }

    /// The standing that a decision about somebody binds. Disabled and deleted are one: vendors delete only who is
    /// disabled.
    pub fn bound_by_decision(self) -> RemovalCause {
        match self {
            RemovalCause::Deleted => RemovalCause::Disabled,
            RemovalCause::NotListed
            | RemovalCause::NotAssigned
            | RemovalCause::Disabled
            | RemovalCause::Suspended
            | RemovalCause::OutOfScope
            | RemovalCause::DeleteAfter
            | RemovalCause::Undone => self,
        }
    }
}

/// The two kinds in which removals are judged and held: a mistaken mass unassignment that waits for an approval must
/// not keep a dismissal in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalKind {
    /// Disabled, suspended, deleted at the source. Judged first.
    Terminated,
    /// Not assigned, out of scope, or not known yet.
    Unassigned,
}

impl RemovalKind {
    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            RemovalKind::Terminated => "terminated",
            RemovalKind::Unassigned => "unassigned",
        }
    }
}

/// What a run intends for one person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// The verb.
    pub verb: Verb,
    /// The situation it follows from.
    pub situation: Situation,
    /// Why, in words.
    pub reason: String,
    /// The login at the target where there is one, else the one to come.
    pub user: String,
    /// The person; `None` only where an account has no identity.
    pub source_id: SourceId,
    /// The account, once there is one.
    pub target_id: Option<TargetId>,
    /// Old and new values.
    pub changes: Vec<Change>,
    /// The whole account to be, for the verbs that write attributes.
    pub desired: Option<DesiredAccount>,
    /// What the account holds, for an adoption.
    pub found: Option<FoundAccount>,
    /// Set for removals.
    pub cause: Option<RemovalCause>,
    /// Whether `active: true` is part of the action (an adoption or reactivation of an inactive account).
    pub activate: bool,
    /// What stops it from being sent at once.
    pub disposition: Disposition,
    /// When the oldest request was sent that this rests on.
    pub observation: Observation,
    /// When the person was assigned, where known.
    pub assigned_at: Option<Millis>,
    /// Whether the account is, or would be, billable.
    pub billable: bool,
    /// Digest of where the person stands at the source: a rejection holds until it changes.
    pub source_digest: Option<Digest>,
    /// What would be done but for a decision or for protection, where `verb` is a skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<Verb>,
    /// Of a successor: the identity that is gone and whose account it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<SourceId>,
    /// Of a deactivation that takes the access where a deletion cannot go: why not. The deletion stays owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_owed: Option<DeletionBarrier>,
}

/// Why a deletion could not go, so that a deactivation took the access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionBarrier {
    /// The workspace does not delete; its words.
    NotOffered(String),
    /// No witness confirmed the clock.
    Clock,
}

impl DeletionBarrier {
    /// The reason in words.
    pub fn describe(&self) -> String {
        match self {
            DeletionBarrier::NotOffered(why) => format!("the workspace does not delete accounts ({why})"),
            DeletionBarrier::Clock => "a deletion waits for a clock that a witness confirms".to_owned(),
        }
    }
}

impl PlannedAction {
    /// The kind in which a removal is judged; `None` for everything else.
    pub fn removal_kind(&self) -> Option<RemovalKind> {
        self.verb.is_removal().then(|| self.cause.map_or(RemovalKind::Unassigned, RemovalCause::kind))
    }

    /// Nothing to be done for a person. What is to be said or done is filled in by who plans it.
    pub fn blank(source_id: SourceId, user: String, observation: Observation) -> PlannedAction {
        PlannedAction {
            verb: Verb::Skip,
            situation: Situation::Gone,
            reason: String::new(),
            user,
            source_id,
            target_id: None,
            changes: Vec::new(),
            desired: None,
            found: None,
            cause: None,
            activate: false,
            disposition: Disposition::Nothing,
            observation,
            assigned_at: None,
            billable: false,
            source_digest: None,
            kept_from: None,
            predecessor: None,
            deletion_owed: None,
        }
    }
}

/// The account that an adoption takes over, as it was read in this run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundAccount {
    /// Owned values.
    pub values: Attributes,
    /// Whether it was active.
    pub active: bool,
    /// Paths that must not change before somebody approved it (an adoption by e-mail).
    pub withheld: Vec<AttributePath>,
}

/// What a plan lets happen with an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// To be sent.
    Send,
    /// Waits for an approval.
    Held(String),
    /// Waits for a seat.
    NoSeat(String),
    /// Waits for a retry, a proof or time.
    Deferred(String),
    /// Switched off by `[sync.lifecycle]`. The text says by what.
    Disabled(String),
    /// Could not be prepared for this person, so that it failed before anything was sent. The text says why.
    Failed(String),
    /// Writing is paused. The text says until when.
    Paused(String),
    /// Waits for a date, or for a clock that can be trusted. The text says which.
    Dated(String),
    /// Nothing to send: a block or a skip.
    Nothing,
}
