//! The identity provider's side: reading people, never writing.
//!
//! What lives here: the reader that makes a [`CompleteRead`] and the point reads, whoever the vendor is. What
//! must not: judgement about a person (`core`), knowledge of links or accounts.
//!
//! *Invariant*: a [`CompleteRead`] is only made by [`Reader::finish`], after the vendor's own end mark and every
//! count check. Nothing else can make one.

use crate::model::identity::Identity;
use crate::model::time::Millis;

/// One page of people.
#[derive(Debug)]
pub struct Page {
    /// The people of this page.
    pub identities: Vec<Identity>,
    /// When the request that brought it was sent.
    pub observed_at: Millis,
}

/// Proof that every page chain was read to the vendor's own end mark and every count agreed.
#[derive(Debug)]
pub struct CompleteRead {
    users: u64,
    pages: u64,
    started_at: Millis,
}

impl CompleteRead {
    /// People read.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// Pages read, over all chains.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// When its first request was sent.
    pub fn started_at(&self) -> Millis {
        self.started_at
    }
}

/// Why the source could not be read. Messages name the page and the cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The answer cannot be trusted to be complete.
    #[error("{0}")]
    Incomplete(String),
    /// The source did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// The source refused the credentials, or they could not be read.
    #[error("{0}")]
    Credentials(String),
}
