//! The state: links, journal, runs and what else must survive, in SQLite.
//!
//! Methods are use-case transactions. No SQL, row type or closure over a connection appears in a signature; times
//! are UTC milliseconds; case folding is done in Rust; every mutation takes a [`Tenure`]. What must not live here:
//! decisions.
//!
//! *Invariant*: [`Snapshot`] only reads, and leaves the directory byte-identical; only [`Store`] writes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::model::digest::DigestKey;

mod aside;
mod audit;
mod backup;
mod chain;
mod claims;
mod clock;
mod credentials;
mod decided;
mod door;
mod drift;
mod erase;
mod events;
mod explain;
mod forget;
mod handover;
mod heartbeat;
mod history;
mod holds;
mod journal;
mod links;
mod lock;
mod looks;
mod migrations;
mod open;
mod overview;
mod owed;
mod pins;
mod prune;
mod runs;
#[cfg(feature = "sim")]
mod simulated;
mod spool;
mod status;
mod told;
mod undo;

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod book_tests;
#[cfg(test)]
mod erase_tests;
#[cfg(test)]
mod prune_tests;

pub use aside::set_aside;
pub use credentials::SecretDigests;
pub use door::{DoorRefusal, DoorTerms, Permit, Recorded};
pub use drift::{Repairs, RepairsByPath};
pub use erase::{Erasure, KnownAs};
pub use events::{NewEvent, counted};
pub use forget::{ForgottenSync, Unsettled};
pub use handover::{Pair, Restored};
pub use history::{Past, RunAgain};
pub use holds::{Approvals, Decided, HeldPair, Hold, HoldScope, Waiting, Wanted};
pub use journal::{InFlight, IntentId, LinkOutcome, LinkWrite, Settled, Settlement};
pub use lock::StateLock;
pub use looks::{LookAgain, NamedPerson, OwedFullRun, OwedLook};
pub use overview::Overview;
pub use owed::{OwedScope, OwedTotals};
pub use pins::{KeptAccount, Pin};
pub use prune::{Pruned, SHORTEST_KEEP};
pub use runs::{Binding, Census, Verdict};
pub use spool::{Spool, SpoolIter, SpoolOffset};
pub use told::ToldOf;
pub use undo::{RunToUndo, Trace};

/// Read access to a state directory.
#[derive(Debug)]
pub struct Snapshot {
    connection: tokio_rusqlite::Connection,
    key: DigestKey,
    exists: bool,
    _copy: Option<tempfile::TempDir>,
}

/// Write access: holds the directory's lock.
#[derive(Debug)]
pub struct Store {
    snapshot: Snapshot,
    tenures: tokio::sync::Mutex<HashMap<String, Tenure>>,
    _lock: StateLock,
}

/// The right to write for one sync. A newer tenure of the same sync makes an older one fail with
/// [`StoreError::LostTenure`], which stops its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    sync: String,
    epoch: i64,
}

impl Tenure {
    /// The sync.
    pub fn sync(&self) -> &str {
        &self.sync
    }

    /// Grows with each tenure.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }
}

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes here.
    #[error(
        "cannot lock {}: another rosterd{} holds it\nhelp: wait for its run to end, or stop it", directory.display(),
        if holder.is_empty() { String::new() } else { format!(" ({holder})") }
    )]
    Busy {
        /// What the lock file says.
        holder: String,
        /// The state directory.
        directory: PathBuf,
    },
    /// The directory cannot be used as it is; the text ends with what to do.
    #[error("{0}")]
    Unusable(String),
    /// The database cannot be read: it is damaged, or no database of rosterd's at all.
    #[error(
        "the state database {} is damaged: {why}\nhelp: `rosterd rebuild` moves it aside and finds the links again in \
         the workspace; or restore a backup", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer tenure has taken over this sync.
    #[error("another rosterd has taken over sync \"{0}\"; this run stops without writing")]
    LostTenure(String),
    /// The door let a write not pass; ends its transaction and never leaves this layer.
    #[error("not let through: {0:?}")]
    Refused(DoorRefusal),
    /// No open hold has this number.
    #[error("there is no open hold h{0}\nhelp: `rosterd holds` lists the open ones")]
    NoSuchHold(i64),
    /// Something is still owed to the person; the text ends with what to do.
    #[error("{0}")]
    StillOwed(String),
    /// SQLite failed.
    #[error("the state database failed: {0}\nhelp: check disk space and permissions of the state directory")]
    Database(String),
}

impl StoreError {
    pub(crate) fn io(verb: &str, path: &Path, error: &std::io::Error) -> StoreError {
        StoreError::Unusable(format!(
            "cannot {verb} {}: {error}\nhelp: check that the directory exists and that this user may write there",
            path.display()
        ))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::Database(error.to_string())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> StoreError {
        StoreError::Database(format!("a stored value is damaged: {error}"))
    }
}

impl Snapshot {
    /// Whether there was any state to read.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// The key of this directory's digests.
    pub fn digest_key(&self) -> DigestKey {
        self.key.clone()
    }

    /// Runs `work` in one transaction on the database's own thread.
    async fn transact<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let transacted = self.connection.call(move |connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Deferred)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok::<T, StoreError>(value)
        });
        #[cfg(feature = "sim")]
        let transacted = simulated::at_once(transacted);
        let outcome = transacted.await;
        outcome.map_err(|error| match error {
            tokio_rusqlite::Error::Error(error) => error,
            other => StoreError::Database(format!("the database thread ended: {other}")),
        })
    }

    async fn close(&self) -> Result<(), StoreError> {
        let closing = self.connection.clone().close();
        #[cfg(feature = "sim")]
        let closing = simulated::at_once(closing);
        closing.await.map_err(|error| StoreError::Database(format!("closing failed: {error}")))
    }
}

impl Store {
    /// Its reading side.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Gives back the memory of the database's page cache: a daemon may have nothing to do for hours.
    pub async fn release_cache(&self) -> Result<(), StoreError> {
        let released = self.snapshot.connection.call(|connection| connection.release_memory()).await;
        released.map_err(|error| StoreError::Database(error.to_string()))
    }

    /// The tenure of a sync that all runs of this process share; taken at the first call.
    pub async fn tenure(&self, sync: &str) -> Result<Tenure, StoreError> {
        let mut tenures = self.tenures.lock().await;
        if let Some(tenure) = tenures.get(sync) {
            return Ok(tenure.clone());
        }
        let tenure = self.seize(sync).await?;
        tenures.insert(sync.to_owned(), tenure.clone());
        Ok(tenure)
    }

    /// Ends the tenure of a sync after one of its runs broke off without an end: the next run takes a new one and
    /// settles what was left in flight.
    pub async fn give_up_tenure(&self, sync: &str) {
        self.tenures.lock().await.remove(sync);
    }

    /// Writes everything back and lets go of the directory. Dropping does too, but cannot report.
    pub async fn close(self) -> Result<(), StoreError> {
        self.write_back().await
    }

    /// Writes everything back for the last time: whoever else has this store can do nothing with it any more. The
    /// directory is let go of by dropping it.
    pub async fn write_back(&self) -> Result<(), StoreError> {
        self.snapshot.close().await
    }
}
