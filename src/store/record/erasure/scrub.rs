//! Writing the file anew, so that no byte of what was erased is left in it. A file that cannot be written anew keeps
//! nobody from anything else: it is tried again.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::model::time::Millis;
use crate::store::{Store, StoreError};

/// Noted while bytes of what was erased may still be in the file.
const DUE: &str = "scrub_due";
/// When it was last tried again.
const TRIED_AT: &str = "scrub_tried_at";
/// How often it is tried again: it reads and writes everything.
const EVERY_MILLIS: i64 = 24 * 3600 * 1000;

impl Store {
    /// Writes the file anew and empties the write-ahead log, so that no byte of what was erased is left in either.
    /// False where somebody reads just now: [`Store::scrub_if_due`] does it later.
    ///
    /// # Errors
    /// Where the file cannot be written, as on a full disk. What was erased stays erased.
    pub async fn scrub(&self) -> Result<bool, StoreError> {
        let outcome = self.snapshot.connection.call(|connection| scrub(connection)).await;
        outcome.map_err(StoreError::of_call)
    }

    /// As [`Store::scrub`], where an earlier one could not be carried out, and at most once a day. Says whether it was
    /// done.
    ///
    /// # Errors
    /// As there.
    pub async fn scrub_if_due(&self, now: Millis) -> Result<bool, StoreError> {
        let begins = self.snapshot.transact(move |transaction| begins(transaction, now)).await?;
        if begins { self.scrub().await } else { Ok(false) }
    }
}

/// Notes that something was erased, and that the next try is not put off by an earlier one.
pub(crate) fn is_due_now(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, x'01')", [DUE])?;
    transaction.execute("DELETE FROM meta WHERE key = ?1", [TRIED_AT])?;
    Ok(())
}

/// Whether it is due and a day has passed since the last try; notes this one, so that a failure does not repeat at once.
fn begins(transaction: &Transaction<'_>, now: Millis) -> Result<bool, StoreError> {
    let note = |key: &str| -> Result<Option<Vec<u8>>, rusqlite::Error> {
        transaction.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
    };
    let last = note(TRIED_AT)?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let last = last.map(|bytes| Millis(i64::from_le_bytes(bytes)));
    // After a clock that went back it is time again.
    let is_soon = last.is_some_and(|last| (0..EVERY_MILLIS).contains(&now.since(last)));
    if note(DUE)?.is_none() || is_soon {
        return Ok(false);
    }
    transaction.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
        params![TRIED_AT, now.0.to_le_bytes().as_slice()],
    )?;
    Ok(true)
}

fn scrub(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.execute_batch("VACUUM")?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Ok(false);
    }
    connection.execute("DELETE FROM meta WHERE key IN (?1, ?2)", [DUE, TRIED_AT])?;
    Ok(true)
}
