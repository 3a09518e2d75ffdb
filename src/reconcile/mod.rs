//! The run: read, map, look, plan, guard, prove, apply, record. A dry run is the same code path without the right
//! to write.
//!
//! What lives here: the order of the phases and what connects them. What must not: vendor shapes, SQL, decisions
//! about one person (`core`).

use std::collections::HashMap;
use std::sync::OnceLock;

use tokio::sync::watch;

use crate::config;
use crate::core::clock::ClockTrust;
use crate::core::mapping::Mapping;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::report::RunResult;
use crate::source::{Source, SourceError};
use crate::store::{Snapshot, StoreError};
use crate::target::{Observe, TargetError};

mod apply;
mod backoff;
mod clearing;
mod clock;
mod compare;
mod conflict;
pub mod event;
mod execute;
pub mod explain;
pub mod hand;
mod heartbeat;
mod keep;
mod look;
mod matches;
mod narrowing;
mod owed;
mod owners;
mod people;
mod planning;
mod prove;
pub mod rebuild;
mod refusal;
mod relook;
mod removal;
mod roster;
pub mod rulings;
mod run;
mod seats;
mod settle;
mod sides;
mod telling;
pub mod transfer;
mod undo;
mod unlisted;
mod verify;

pub use backoff::{Resting, is_secret_changed, put_off, quarantine_of, unreadable_secret};
pub use clearing::clear_up;
pub use keep::CauseNow;
pub use run::{Finished, Refused, Request, Who, Writing, bound_to, run, target_url};
pub use sides::{OpenError, Order, Sides, State, mapping_of, vendor};
pub use verify::{Verification, Verified, verify};

/// What every phase of a run may look at. Nothing in it can write.
pub struct Context<'a, O> {
    /// The sync's configuration.
    pub config: &'a config::Sync,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
    /// The identity provider.
    pub source: &'a Source,
    /// The workspace, for reading.
    pub target: &'a O,
    /// The state, for reading.
    pub snapshot: &'a Snapshot,
    /// The workspace's normalised base URL: links are unique within it.
    pub target_url: String,
    /// Who is told what happens.
    pub watcher: &'a dyn event::Watcher,
    /// Becomes true when a signal asks the run to stop between two writes.
    pub interrupted: watch::Receiver<bool>,
    /// How the runs that failing people still wait are counted.
    pub waiting: Waiting,
    /// Nobody stands behind this run: the limits for unattended runs apply.
    pub unattended: bool,
    /// The lane for looking at people: the watch has the reserved one.
    pub lane: Lane,
    /// People are read one by one in this run, so that nobody is asked for twice.
    pub reads_one_by_one: bool,
    /// What the witnesses said of our clock, once they were heard.
    pub clock: OnceLock<ClockTrust>,
    /// Links as the target was seen where a dry run would store them first.
    pub corrected: HashMap<SourceId, Link>,
}

/// How waiting is counted for people whose last write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// This run has been counted already.
    Counted,
    /// This is a dry run: count it as the next one.
    AsIfNext,
    /// Named people do not wait.
    Ignored,
}

impl<O: Observe> Context<'_, O> {
    /// Name of the sync.
    pub fn sync_name(&self) -> &str {
        &self.config.name
    }

    /// Whether what cannot be taken back may be done in this run.
    pub fn is_clock_confirmed(&self) -> bool {
        self.clock.get().is_some_and(ClockTrust::is_confirmed)
    }

    /// One person's link, as this run knows it.
    pub async fn link(&self, id: &SourceId) -> Result<Option<Link>, StoreError> {
        match self.corrected.get(id) {
            Some(link) => Ok(Some(link.clone())),
            None => self.snapshot.link(self.sync_name(), id).await,
        }
    }

    /// Runs that somebody still has to wait after this one; 0 = it is tried now.
    pub fn runs_to_wait(&self, stored: u32) -> u32 {
        match self.waiting {
            Waiting::Counted => stored,
            Waiting::AsIfNext => stored.saturating_sub(1),
            Waiting::Ignored => 0,
        }
    }
}

/// Why a run ended without a plan, or in the middle of one.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spool.
    #[error("cannot write temporary data: {0}\nhelp: check the space in the temporary directory")]
    Spool(#[from] std::io::Error),
    /// The configuration does not fit the links it would work on.
    #[error("{0}")]
    Binding(String),
    /// A saved plan does not fit what is there now.
    #[error("{0}")]
    StalePlan(String),
    /// Two witnesses agree that this machine's clock is wrong, so nothing is written.
    #[error("nothing was written: {0}")]
    Clock(String),
    /// Nobody is called so, at the source or here.
    #[error("{0}")]
    NobodyNamed(String),
    /// A signal.
    #[error("interrupted")]
    Interrupted,
    /// The program itself: a panic.
    #[error(
        "a defect of rosterd broke the run off: {0}\nhelp: report it with the log; what it left open is settled by \
         reading in the next run"
    )]
    Defect(String),
}

impl RunError {
    /// The result that this error means for the run.
    pub fn result(&self) -> RunResult {
        match self {
            RunError::Source(SourceError::Incomplete(_)) => RunResult::SourceIncomplete,
            RunError::Source(SourceError::Unavailable(_) | SourceError::Credentials(_)) => {
                RunResult::SourceUnavailable
            }
            RunError::Target(_) => RunResult::TargetUnavailable,
            RunError::Interrupted => RunResult::Interrupted,
            RunError::Store(_)
            | RunError::Spool(_)
            | RunError::Binding(_)
            | RunError::NobodyNamed(_)
            | RunError::Clock(_)
            | RunError::StalePlan(_)
            | RunError::Defect(_) => RunResult::Error,
        }
    }
}
