//! The handles to a state directory: [`Snapshot`] reads, [`Store`] writes, [`Tenure`] is the right to write for one
//! sync; and the one place where a transaction runs.

use std::collections::HashMap;

use super::{StateLock, StoreError};
use crate::model::digest::DigestKey;

/// Read access to a state directory.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) connection: tokio_rusqlite::Connection,
    pub(super) key: DigestKey,
    pub(super) exists: bool,
    pub(super) _copy: Option<tempfile::TempDir>,
}

/// Write access: holds the directory's lock.
#[derive(Debug)]
pub struct Store {
    pub(super) snapshot: Snapshot,
    pub(super) tenures: tokio::sync::Mutex<HashMap<String, Tenure>>,
    pub(super) _lock: StateLock,
}

/// The right to write for one sync. A newer tenure of the same sync makes an older one fail with
/// [`StoreError::LostTenure`], which stops its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    pub(super) sync: String,
    pub(super) epoch: i64,
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

    /// Fails where a newer tenure has taken over. [`Store::transact_as`] asks it; a transaction of two syncs asks both.
    pub(super) fn check(&self, transaction: &rusqlite::Transaction<'_>) -> Result<(), StoreError> {
        let epoch: i64 =
            transaction
                .query_row("SELECT epoch FROM sync WHERE name = ?1", [&self.sync], |row| row.get(0))?;
        if epoch == self.epoch { Ok(()) } else { Err(StoreError::LostTenure(self.sync.clone())) }
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
    pub(super) async fn transact<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let transacted = self.connection.call(move |connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Deferred)?;
            #[cfg(feature = "sim")]
            let mut watched = super::files::killed::Watched::begin(&transaction);
            let value = work(&transaction)?;
            #[cfg(feature = "sim")]
            watched.before_commit(&transaction);
            transaction.commit()?;
            #[cfg(feature = "sim")]
            watched.after_commit();
            Ok::<T, StoreError>(value)
        });
        #[cfg(feature = "sim")]
        let transacted = super::files::simulated::at_once(transacted);
        let outcome = transacted.await;
        outcome.map_err(StoreError::of_call)
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let closing = self.connection.clone().close();
        #[cfg(feature = "sim")]
        let closing = super::files::simulated::at_once(closing);
        closing.await.map_err(|error| StoreError::Database(format!("closing failed: {error}")))
    }
}

impl Store {
    /// Its reading side.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Runs `work` in one transaction, once it is seen in it that the tenure still stands. What changes a sync's state goes
    /// this way: whoever was overtaken changes nothing.
    ///
    /// # Errors
    /// [`StoreError::LostTenure`] if a newer tenure has taken over, and whatever `work` ends with.
    pub(super) async fn transact_as<T, F>(&self, tenure: &Tenure, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Transaction<'_>, &Tenure) -> Result<T, StoreError> + Send + 'static,
    {
        let tenure = tenure.clone();
        let checked = move |transaction: &rusqlite::Transaction<'_>| {
            tenure.check(transaction)?;
            work(transaction, &tenure)
        };
        self.snapshot.transact(checked).await
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

#[cfg(test)]
mod tests;
