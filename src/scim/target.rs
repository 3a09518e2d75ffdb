//! The service provider's side. Reading ([`Observe`]) and writing ([`Provision`]) are separate traits, so that a
//! dry run, which holds no `Provision`, cannot write.
//!
//! What lives here: the two traits and the vocabulary of outcomes. What must not: loops over people, decisions.

use std::future::Future;
use std::time::Duration;

use crate::core::guard::Approved;
use crate::core::proof::Proven;
use crate::http::clock::ClockWitness;
use crate::http::counters::Counters;
use crate::http::pacer::{KeptBack, Place};
use crate::http::{HttpError, Lane};
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::TargetId;
use crate::model::order::Observation;
use crate::store::Recorded;

pub use crate::scim::criterion::Criterion;

/// Accounts found by a lookup.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Verified hits, each once.
    pub accounts: Vec<Account>,
    /// When the first request was sent.
    pub observation: Observation,
}

/// One page of a listing; ids are unique over the listing.
#[derive(Debug, Clone)]
pub struct AccountPage {
    /// Accounts not seen on an earlier page.
    pub accounts: Vec<Account>,
    /// `totalResults` as told on this page, where it was told. Never trusted as an end mark.
    pub total: Option<u64>,
    /// When the request was sent.
    pub observation: Observation,
}

/// Why the target could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TargetError {
    /// No answer, or lasting 5xx.
    #[error("{0}")]
    Unavailable(String),
    /// 401, or 403 to every read.
    #[error("{0}")]
    Credentials(String),
    /// This one question could not be answered (400 to a filter, and listing is impossible too; a 403 or 5xx for one
    /// account, while others are answered): that person's, and nobody else's.
    #[error("{0}")]
    Unanswerable(String),
}

/// Reading the target. GET only.
pub trait Observe {
    /// One account by id; `None` = 404.
    fn get(
        &self,
        id: &TargetId,
        lane: Lane,
    ) -> impl Future<Output = Result<Option<Account>, TargetError>> + Send;
    /// Accounts that match; verified, unique. Empty where nobody does (also for 404).
    fn find(&self, criterion: &Criterion) -> impl Future<Output = Result<Lookup, TargetError>> + Send;
    /// Whether a lookup by `externalId` makes sense at this target (Wrike searches by e-mail only).
    fn finds_external_id(&self) -> bool;
    /// Whether one lookup is one request. `false` where the target answers everybody to any filter: then one
    /// complete listing serves better than lookups.
    fn lookups_are_cheap(&self) -> bool {
        true
    }
    /// Whether the target's filter tells upper from lower case. That is found out once, with the login of an account that
    /// is there; where there is none it is believed not to.
    fn tells_case_apart(
        &self,
        _known_login: Option<&str>,
    ) -> impl Future<Output = Result<bool, TargetError>> + Send {
        std::future::ready(Ok(false))
    }
    /// Accounts that match, found by reading the whole listing and comparing: for what a lookup cannot find
    /// (a create answered "exists already" and the filter found nobody, because it tells cases apart).
    fn find_by_listing(
        &self,
        criterion: &Criterion,
    ) -> impl Future<Output = Result<Lookup, TargetError>> + Send;
    /// The next page of a complete listing; `None` at its end. `cursor` starts as `ListCursor::default()`.
    fn list(
        &self,
        cursor: &mut ListCursor,
    ) -> impl Future<Output = Result<Option<AccountPage>, TargetError>> + Send;
    /// The account that the token belongs to, where the target tells (RFC 7644 section 3.11); it is never touched.
    fn own_account(&self) -> impl Future<Output = Option<TargetId>> + Send;
    /// Requests so far, for the report.
    fn counters(&self) -> Counters;
    /// What the target's answers told about our clock since it was last forgotten; see [`crate::http::clock`].
    fn clock_witness(&self) -> Option<ClockWitness> {
        None
    }
    /// Hears the target anew: what it told before this counts no more.
    fn forget_clock_witness(&self) {}
    /// How long the target's rate limit keeps this lane back at least. Where that is longer than a proof is good for,
    /// the fresh proof is taken after it.
    fn opens_in(&self, _lane: Lane) -> Duration {
        Duration::ZERO
    }
    /// Waits until the target's rate limit lets this lane through, and keeps the place there for as long as what is given
    /// back lives: the fresh proof is taken when the gate opens. `None` where nothing is paced.
    fn place(&self, _lane: Lane) -> impl Future<Output = Result<Option<Place>, KeptBack>> + Send {
        std::future::ready(Ok(None))
    }
}

/// Where a listing stands. Opaque to the caller.
#[derive(Debug, Default)]
pub struct ListCursor {
    pub(crate) next_start: Option<u64>,
    pub(crate) seen: std::collections::HashSet<u128>,
    pub(crate) pages: u32,
    pub(crate) without_count: bool,
    pub(crate) total: Option<u64>,
    pub(crate) last_received: Option<u64>,
    pub(crate) stage: ListStage,
}

/// How far a listing has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListStage {
    /// More pages may follow.
    #[default]
    Walking,
    /// All pages were read; one question about the server's counting may be left.
    Finishing,
    /// Nothing follows.
    Ended,
}

impl ListCursor {
    /// Accounts shown so far.
    pub fn shown(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Pages taken so far; for fakes, which keep the listing themselves.
    #[cfg(feature = "sim")]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Notes a page as a fake shows it, the last one or not.
    #[cfg(feature = "sim")]
    pub fn note_page(&mut self, accounts: &[Account], total: Option<u64>, is_last: bool) {
        self.pages += 1;
        self.seen.extend(accounts.iter().map(|account| {
            let hash = blake3::hash(account.id.as_str().as_bytes());
            u128::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
        }));
        self.total = total.or(self.total);
        if is_last {
            self.stage = ListStage::Ended;
        }
    }

    /// Whether the listing ended although the target told of more accounts than it showed. Then a lookup should
    /// precede a create even for somebody whom the listing lacks.
    pub fn is_short(&self) -> bool {
        self.stage == ListStage::Ended && self.total.is_some_and(|total| total > self.shown())
    }
}

/// What became of a write.
#[derive(Debug, Clone)]
pub enum WriteOutcome {
    /// Acknowledged.
    Applied(Acknowledgement),
    /// Refused; nothing changed.
    Refused(Refusal),
    /// Sent, and it is not known whether the target acted. To be settled by reading.
    Unknown {
        /// What happened.
        message: String,
        /// The status, where an answer came (e.g. 504).
        status: Option<u16>,
        /// Times sent.
        attempts: u32,
    },
}

/// A write that the target acknowledged.
#[derive(Debug, Clone)]
pub struct Acknowledgement {
    /// Status.
    pub status: u16,
    /// The resource as returned; `None` where the answer had no body (204).
    pub account: Option<Account>,
    /// Optional attributes that the target refused and that were left out for the write to pass.
    pub refused: Vec<(AttributePath, String)>,
    /// Times sent.
    pub attempts: u32,
    /// Whether what was sent was seen to have taken, as far as the verb asks for that. `false` for a deactivation only:
    /// accepted, at a target that does not show `active`.
    pub seen: bool,
}

/// A write that the target refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What kind of refusal.
    pub class: RefusalClass,
    /// HTTP status; 0 where no answer came.
    pub status: u16,
    /// The target's words, one line, bounded.
    pub detail: String,
    /// Times sent.
    pub attempts: u32,
    /// Not empty where the write came to nothing because every attribute in it is optional and refused: these
    /// values are to be remembered as refused, and the person is not to blame.
    pub attributes: Vec<(AttributePath, String)>,
}

/// Kinds of refusal, by what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// 401: the run stops.
    Credentials,
    /// 403 on one write: that person's.
    Forbidden,
    /// No licence left for a verb that takes one, in words that name it: held for a seat.
    NoSeat,
    /// The account may never be changed this way (Wrike: owner, member of several accounts).
    Permanent,
    /// 404: the account is gone.
    NotFound,
    /// 409, or a 400/500 that says "exists already".
    Conflict,
    /// 400 and the like: the request is not acceptable.
    Invalid,
    /// 429 after all retries.
    RateLimited,
    /// 5xx that certainly changed nothing, 405, 501.
    Server,
    /// The proof's time was over before the removal could be sent: nothing happened, and it is proven afresh.
    Expired,
    /// Writing was stopped before it could be sent: nothing happened.
    TakenBack,
    /// A deactivation was accepted, and the account is still shown active: it stays owed.
    StillActive,
    /// The target does not delete: the access can be taken by a deactivation on the same proof.
    NotOffered,
    /// The target could not be reached at all (connection refused): the run stops.
    Unreachable,
}

/// Writing to the target. A dry run holds none, and every method takes what only the door makes: a write whose intent is
/// on record.
pub trait Provision {
    /// POST. The account is active.
    fn create(&self, write: &Recorded<Approved>) -> impl Future<Output = WriteOutcome> + Send;
    /// Owned attributes, and `active: true` in the same write where the action activates (or in a second one where
    /// the dialect needs that).
    fn update(&self, write: &Recorded<Approved>) -> impl Future<Output = WriteOutcome> + Send;
    /// `active: false`.
    fn deactivate(&self, removal: &Recorded<Proven>) -> impl Future<Output = WriteOutcome> + Send;
    /// DELETE; a 404 counts as done.
    fn delete(&self, removal: &Recorded<Proven>) -> impl Future<Output = WriteOutcome> + Send;
}

pub(crate) fn unavailable(error: HttpError) -> TargetError {
    match error {
        HttpError::Credentials { message } => TargetError::Credentials(message),
        HttpError::NotSent { message }
        | HttpError::Expired { message }
        | HttpError::TakenBack { message }
        | HttpError::Distrusted { message }
        | HttpError::Unanswered { message }
        | HttpError::TooLarge { message }
        | HttpError::ForeignOrigin { message } => TargetError::Unavailable(message),
    }
}
