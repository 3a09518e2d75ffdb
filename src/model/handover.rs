//! What `rebuild` and `transfer` tell: pairs of people and accounts that are to be stored without a write at the target.

use serde::{Deserialize, Serialize};

use super::id::{SourceId, TargetId};
use super::link::Link;
use super::report::Mode;

/// How a pair was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FoundBy {
    /// By the person's id at the source, which both sides of a transfer know.
    SourceId,
    /// By the mark in `externalId`.
    ExternalId,
    /// By login.
    UserName,
    /// By e-mail address.
    Email,
}

impl FoundBy {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FoundBy::SourceId => "sourceId",
            FoundBy::ExternalId => "externalId",
            FoundBy::UserName => "userName",
            FoundBy::Email => "email",
        }
    }
}

/// A link to be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The link as it would be stored.
    pub link: Link,
    /// How the pair was found.
    pub by: FoundBy,
    /// What a reader should know of it.
    pub note: Option<String>,
    /// The account that the person is linked to now, where this link replaces another.
    pub instead_of: Option<TargetId>,
}

/// A person or an account that is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The account's login, else the best name of the person.
    pub user: String,
    /// The person, where there is one.
    pub source_id: Option<SourceId>,
    /// The account, where there is one.
    pub target_id: Option<TargetId>,
    /// Why.
    pub reason: String,
}

/// Everything about one sync's rebuild but the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildFacts {
    /// The sync.
    pub sync: String,
    /// Whether links could be stored.
    pub mode: Mode,
    /// People whom the source lists.
    pub people: u64,
    /// Accounts that the target lists.
    pub accounts: u64,
    /// Links to be stored, or that were.
    pub linked: u64,
    /// Links that were there and stay as they are.
    pub kept: u64,
    /// People who qualify and have no account yet.
    pub without_account: u64,
    /// Accounts that belong to nobody of this source.
    pub unmanaged: u64,
    /// Sentences a reader must not miss.
    pub notes: Vec<String>,
}

/// One link that a transfer would hand over, or has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// The link as it is.
    pub link: Link,
    /// The person at the new source.
    pub new_id: SourceId,
    /// How the pair was found.
    pub by: FoundBy,
    /// What a reader should know of it.
    pub note: Option<String>,
    /// Where the person stands at the new source: a pin goes along with it.
    pub eligibility: super::digest::Digest,
}

/// Everything about one transfer but the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransferFacts {
    /// The sync that gives.
    pub from: String,
    /// The sync that takes.
    pub to: String,
    /// Whether links could be handed over.
    pub mode: Mode,
    /// People whom the new source lists.
    pub people: u64,
    /// Links handed over, or to be.
    pub handed_over: u64,
    /// Links that stay.
    pub stays: u64,
    /// Sentences a reader must not miss.
    pub notes: Vec<String>,
}
