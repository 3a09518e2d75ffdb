//! Moving a damaged database aside. Nothing is deleted: whoever wants to save something from it finds it there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::time::Millis;
use crate::store::files::open::DATABASE_FILE;
use crate::store::{Snapshot, StateLock, StoreError};

/// Names that are tried for one second's damaged databases.
const MOST_NAMES: u32 = 100;

/// Moves the database of a state directory aside, with what SQLite keeps beside it, and gives its new name. Modes and
/// owners stay as they are.
///
/// # Errors
/// Where another process holds the directory, or a file cannot be moved.
pub fn set_aside(directory: &Path, now: Millis) -> Result<PathBuf, StoreError> {
    let _lock = StateLock::take(directory)?;
    let time: String = now.rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    let new = (0..MOST_NAMES)
        .map(|number| match number {
            0 => format!("{DATABASE_FILE}.damaged-{time}"),
            more => format!("{DATABASE_FILE}.damaged-{time}-{more}"),
        })
        .find(|name| ["", "-wal", "-shm"].iter().all(|end| !directory.join(with(name, end)).exists()))
        .ok_or_else(|| {
            let text =
                format!("too many damaged databases lie in {}\nhelp: move them away", directory.display());
            StoreError::Unusable(text)
        })?;
    // The write-ahead log first: left behind, it would be taken for the new database's.
    for end in ["-wal", "-shm", ""] {
        let from = directory.join(with(DATABASE_FILE, end));
        match std::fs::rename(&from, directory.join(with(&new, end))) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("move aside", &from, &error)),
        }
    }
    Ok(directory.join(new))
}

impl Snapshot {
    /// Refuses a database of this directory that is damaged anywhere.
    pub async fn refuse_damage(&self, directory: &Path) -> Result<(), StoreError> {
        match self.damage().await {
            Some(why) => Err(StoreError::Damaged { path: directory.join(DATABASE_FILE), why }),
            None => Ok(()),
        }
    }

    /// What a look at the whole database finds wrong with it. Opening one for reading looks at its beginning only.
    pub async fn damage(&self) -> Option<String> {
        let checked = self
            .connection
            .call(|connection| {
                connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
            })
            .await;
        match checked {
            Ok(verdict) if verdict == "ok" => None,
            Ok(verdict) => Some(verdict.lines().map(str::trim).collect::<Vec<_>>().join(" ")),
            Err(error) => Some(error.to_string()),
        }
    }
}

fn with(name: &str, end: &str) -> OsString {
    let mut whole = OsString::from(name);
    whole.push(end);
    whole
}
