//! The identity provider's side: reading people, never writing.
//!
//! What lives here: the reader that makes a [`CompleteRead`] and the point reads, whoever the vendor is. What
//! must not: judgement about a person (`core`), knowledge of links or accounts.
//!
//! *Invariant*: a [`CompleteRead`] is only made by [`Reader::finish`], after the vendor's own end mark and every
//! count check. Nothing else can make one.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::config;
use crate::config::secret::SecretRef;
use crate::http::Lane;
use crate::http::clock::ClockWitness;
use crate::http::counters::{Counters, Traffic};
use crate::http::pacer::Pacers;
use crate::model::id::{SourceId, Vendor};
use crate::model::identity::{Identity, PointRead};
use crate::model::order::Observation;

pub mod check;
mod control;
mod fault;
mod ids;
mod legible;
mod lenient;
mod names;
pub mod okta;
pub mod onelogin;
mod person;
mod reader;
#[cfg(feature = "sim")]
pub mod simulated;
mod watch;

pub use self::check::{CheckContext, CheckLevel, RightCheck};
pub use self::person::{DeletionEvidence, OwnRecord, OwnState};
pub use self::reader::Reader;
pub use self::watch::{Hint, Poll, PollError, Subject};

/// Gives the value behind a reference, each time afresh; the error is a sentence without the value.
pub type ResolveSecret = Arc<dyn Fn(&SecretRef) -> Result<SecretString, String> + Send + Sync>;

/// One page of people.
#[derive(Debug)]
pub struct Page {
    /// The people of this page.
    pub identities: Vec<Identity>,
    /// When the request that brought it was sent.
    pub observation: Observation,
}

/// Proof that every page chain was read to the vendor's own end mark and every count agreed.
#[derive(Debug)]
pub struct CompleteRead {
    users: u64,
    pages: u64,
    started_at: Observation,
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
    pub fn started_at(&self) -> Observation {
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

/// The source of one sync.
#[derive(Clone)]
pub enum Source {
    /// Okta.
    Okta(okta::Okta),
    /// OneLogin.
    OneLogin(onelogin::OneLogin),
    /// Played by a simulation.
    #[cfg(feature = "sim")]
    Simulated(simulated::Simulated),
}

impl Source {
    /// Sets up the connection; sends nothing and reads no secret yet. `pacers` are shared by all syncs of a process.
    pub fn new(
        config: &config::Source,
        pacers: &Pacers,
        secrets: ResolveSecret,
    ) -> Result<Source, SourceError> {
        match &config.kind {
            config::SourceKind::OktaToken { .. } | config::SourceKind::OktaOauth { .. } => {
                okta::Okta::new(config, pacers, &secrets).map(Source::Okta)
            }
            config::SourceKind::OneLogin { .. } => {
                onelogin::OneLogin::new(config, pacers, &secrets).map(Source::OneLogin)
            }
        }
    }

    /// Checks that the app exists and is active, reads the configured groups, and starts the full read.
    pub async fn open(&self) -> Result<Reader, SourceError> {
        match self {
            Source::Okta(okta) => okta.open().await,
            Source::OneLogin(onelogin) => onelogin.open().await,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.open().await,
        }
    }

    /// Says that a pass begins: the declared groups or roles are resolved afresh when they are next needed, because
    /// one that was made anew under its name has another id. Sends nothing.
    pub fn begin_pass(&self) {
        match self {
            Source::Okta(okta) => okta.begin_pass(),
            Source::OneLogin(onelogin) => onelogin.begin_pass(),
            #[cfg(feature = "sim")]
            Source::Simulated(_) => {}
        }
    }

    /// Reads one person and their assignment afresh. An answer that proves nothing is a finding, not an error, and
    /// so is a failure that concerns this person alone: then a control read was answered. An error means that nobody
    /// can be read now.
    pub async fn point_read(&self, id: &SourceId, lane: Lane) -> Result<PointRead, SourceError> {
        match self {
            Source::Okta(okta) => okta.point_read(id, lane).await,
            Source::OneLogin(onelogin) => onelogin.point_read(id, lane).await,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().point_read(id, lane).await,
        }
    }

    /// Reads one person's own record alone, in one request: disabled, suspended or gone, whatever the assignment. As
    /// for a point read, an error means that nobody can be read now.
    pub async fn own_record(&self, id: &SourceId, lane: Lane) -> Result<OwnRecord, SourceError> {
        match self {
            Source::Okta(okta) => okta.own_record(id, lane).await,
            Source::OneLogin(onelogin) => onelogin.own_record(id, lane).await,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().own_record(id, lane).await,
        }
    }

    /// The people whom a login, an e-mail address or a source id means, whether assigned or not. Each is compared
    /// with what was asked for. Nobody means that the source said so; [`SourceError::Incomplete`] that it cannot
    /// answer for this name, which is about this name alone; any other error that nobody can be asked for now.
    pub async fn find(&self, who: &str) -> Result<Vec<SourceId>, SourceError> {
        match self {
            Source::Okta(okta) => okta.find(who).await,
            Source::OneLogin(onelogin) => onelogin.find(who).await,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().find(who).await,
        }
    }

    /// Everybody who shares this login, whose accounts would be one and the same. Errors are as those of
    /// [`Source::find`].
    pub async fn with_login(&self, login: &str) -> Result<Vec<SourceId>, SourceError> {
        match self {
            Source::Okta(okta) => okta.with_app_login(login).await,
            Source::OneLogin(onelogin) => onelogin.with_login(login).await,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().with_login(login).await,
        }
    }

    /// What the event log says of this person's deletion. An error where it could not be asked now.
    pub async fn deletion_event(&self, id: &SourceId) -> Result<DeletionEvidence, SourceError> {
        match self {
            Source::Okta(okta) => okta.deletion_event(id).await,
            Source::OneLogin(onelogin) => onelogin.deletion_event(id).await,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().deletion_event(id).await,
        }
    }

    /// How far back [`Source::deletion_event`] sees; `None` where the vendor does not say how long it keeps events.
    pub fn log_retention(&self) -> Option<Duration> {
        match self {
            Source::Okta(_) => Some(okta::LOG_RETENTION),
            // OneLogin documents no span.
            Source::OneLogin(_) => None,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().log_retention(),
        }
    }

    /// What the event log tells since `cursor`, or of the last minutes without one. An error leaves the cursor as it
    /// was; ask with it again later, unless the error says that it is lost.
    pub async fn poll_events(&self, cursor: Option<&str>) -> Result<Poll, PollError> {
        match self {
            Source::Okta(okta) => okta.poll_events(cursor).await,
            Source::OneLogin(onelogin) => onelogin.poll_events(cursor).await,
            #[cfg(feature = "sim")]
            Source::Simulated(_) => {
                Err(PollError::NotAllowed("a simulation brings its events itself".to_owned()))
            }
        }
    }

    /// One entry per right that the credentials need.
    pub async fn check(&self, context: &CheckContext) -> Vec<RightCheck> {
        match self {
            Source::Okta(okta) => okta.check(context).await,
            Source::OneLogin(onelogin) => onelogin.check(context).await,
            #[cfg(feature = "sim")]
            Source::Simulated(_) => Vec::new(),
        }
    }

    /// The vendor.
    pub fn vendor(&self) -> Vendor {
        match self {
            Source::Okta(_) => Vendor::Okta,
            Source::OneLogin(_) => Vendor::OneLogin,
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().vendor(),
        }
    }

    /// What was sent and answered so far.
    pub fn counters(&self) -> Counters {
        match self {
            Source::Okta(okta) => okta.client().counters(),
            Source::OneLogin(onelogin) => onelogin.client().counters(),
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.counters(),
        }
    }

    /// A handle on what is counted, for whoever reads it later.
    pub fn traffic(&self) -> Traffic {
        match self {
            Source::Okta(okta) => okta.client().traffic(),
            Source::OneLogin(onelogin) => onelogin.client().traffic(),
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.traffic(),
        }
    }

    /// What the source's answers told about our clock; see [`crate::http::clock`].
    pub fn clock_witness(&self) -> Option<ClockWitness> {
        match self {
            Source::Okta(okta) => okta.client().clock_witness(),
            Source::OneLogin(onelogin) => onelogin.client().clock_witness(),
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().clock_witness(),
        }
    }

    /// Hears the source anew: what it told before this counts no more.
    pub fn forget_clock_witness(&self) {
        match self {
            Source::Okta(okta) => okta.client().forget_clock_witness(),
            Source::OneLogin(onelogin) => onelogin.client().forget_clock_witness(),
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().forget_clock_witness(),
        }
    }

    /// Whether the source's own rate headers keep this lane back at this moment.
    pub fn is_kept_back(&self, lane: Lane) -> bool {
        match self {
            Source::Okta(okta) => okta.client().pacer().is_kept_back(lane),
            Source::OneLogin(onelogin) => onelogin.client().pacer().is_kept_back(lane),
            #[cfg(feature = "sim")]
            Source::Simulated(_) => false,
        }
    }

    /// The origin that is asked.
    pub fn origin(&self) -> &Url {
        match self {
            Source::Okta(okta) => okta.client().base(),
            Source::OneLogin(onelogin) => onelogin.client().base(),
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => simulated.played().origin(),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Okta(okta) => write!(f, "Source({:?})", okta.client()),
            Source::OneLogin(onelogin) => write!(f, "Source({:?})", onelogin.client()),
            #[cfg(feature = "sim")]
            Source::Simulated(simulated) => write!(f, "Source({})", simulated.played().origin()),
        }
    }
}
