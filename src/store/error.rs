//! What can go wrong with the state.

use std::path::{Path, PathBuf};

use crate::store::state::door_refusal::DoorRefusal;

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
    /// What a call on the database's thread ended with.
    pub(crate) fn of_call<E: Into<StoreError> + std::error::Error>(
        error: tokio_rusqlite::Error<E>,
    ) -> StoreError {
        let ended = error.to_string();
        if let tokio_rusqlite::Error::Error(error) = error {
            return error.into();
        }
        StoreError::Database(format!("the database thread ended: {ended}"))
    }

    pub(crate) fn io(verb: &str, path: &Path, error: &std::io::Error) -> StoreError {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        // A disk that is full is no matter of the configuration, and may have room again by itself.
        if [StorageFull, QuotaExceeded, FileTooLarge].contains(&error.kind()) {
            return StoreError::Database(format!("cannot {verb} {}: {error}", path.display()));
        }
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
