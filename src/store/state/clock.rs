//! What a wrong clock left behind, and when a witness confirmed the clock.
//!
//! What lives here: stored times that cannot be, replaced once. What must not: the journal, whose entries stay as they
//! are.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::time::Millis;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// Clocks of two machines differ by a little.
const TOLERANCE_MILLIS: i64 = 5 * 60 * 1000;
const DAY_MILLIS: i64 = 24 * 3600 * 1000;
/// How fresh a confirmation is for what cannot be taken back.
const FRESH_MILLIS: i64 = 3600 * 1000;
const CONFIRMED_AT: &str = "clock_confirmed_at";
const CONFIRMED_BEFORE: &str = "clock_confirmed_before";

/// Times of what has happened: table, column.
const HAPPENED: &[(&str, &str)] = &[
    ("link", "state_since"),
    ("link", "absent_since"),
    ("link", "last_listed_at"),
    ("owed", "since"),
    ("owed", "tried_at"),
    ("hold", "opened_at"),
    ("hold", "reminded_at"),
    ("hold_pair", "joined_at"),
    ("hold_pair", "approved_at"),
    ("in_flight", "sent_at"),
    ("in_flight", "first_empty_at"),
    ("sync", "failed_at"),
    ("refused_credentials", "since"),
    ("refused_credentials", "refused_at"),
    ("taken_account", "noted_at"),
    ("full_look", "noted_at"),
];

/// Deadlines and the longest that their own rule allows: table, column, milliseconds.
const DEADLINES: &[(&str, &str, i64)] = &[
    ("hold", "expires_at", 72 * 3600 * 1000),
    ("owed", "next_try_at", 3600 * 1000),
    ("in_flight", "next_try_at", 3600 * 1000),
];

impl Store {
    /// A witness confirmed the clock in this run: what is stored with a time that lies in the future is replaced by now,
    /// once, and no deadline is further off than its rule allows.
    pub async fn note_clock_confirmed(&self, tenure: &Tenure, now: Millis) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, _| {
            for (table, column) in HAPPENED {
                transaction.execute(
                    &format!("UPDATE {table} SET {column} = ?1 WHERE {column} > ?2"),
                    params![now.0, now.0 + TOLERANCE_MILLIS],
                )?;
            }
            for (table, column, longest) in DEADLINES {
                transaction.execute(
                    &format!("UPDATE {table} SET {column} = ?1 WHERE {column} > ?2"),
                    params![now.0 + longest, now.0 + longest + TOLERANCE_MILLIS],
                )?;
            }
            let last = time(transaction, CONFIRMED_AT)?;
            match last {
                Some(last) if (0..DAY_MILLIS).contains(&now.since(last)) => {}
                Some(last) if now.0 >= last.0 => {
                    set_time(transaction, CONFIRMED_BEFORE, last)?;
                    set_time(transaction, CONFIRMED_AT, now)?;
                }
                Some(_) | None => set_time(transaction, CONFIRMED_AT, now)?,
            }
            set_time(transaction, "clock_confirmed_last", now)
        })
        .await
    }
}

impl Snapshot {
    /// Whether a witness confirmed the clock just now, and in an earlier run at least a day before: then what cannot be
    /// taken back may be done.
    pub async fn is_clock_confirmed_twice(&self, now: Millis) -> Result<bool, StoreError> {
        self.transact(move |transaction| is_confirmed_twice(transaction, now)).await
    }
}

fn is_confirmed_twice(transaction: &Transaction<'_>, now: Millis) -> Result<bool, StoreError> {
    let last = time(transaction, "clock_confirmed_last")?;
    let earlier = [time(transaction, CONFIRMED_BEFORE)?, time(transaction, CONFIRMED_AT)?];
    let fresh = last.is_some_and(|last| (0..FRESH_MILLIS).contains(&now.since(last)));
    Ok(fresh && earlier.into_iter().flatten().any(|earlier| now.since(earlier) >= DAY_MILLIS))
}

fn time(transaction: &Transaction<'_>, key: &str) -> Result<Option<Millis>, StoreError> {
    let bytes: Option<Vec<u8>> =
        transaction.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map(|bytes| Millis(i64::from_le_bytes(bytes))))
}

fn set_time(transaction: &Transaction<'_>, key: &str, at: Millis) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
        params![key, at.0.to_le_bytes().as_slice()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::migrations::migrate;

    #[test]
    fn every_stored_time_that_is_replaced_is_a_column_of_the_schema() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrate(&mut connection, None).unwrap();
        let deadlines = DEADLINES.iter().map(|(table, column, _)| (*table, *column));
        for (table, column) in HAPPENED.iter().copied().chain(deadlines) {
            let known: i64 = connection
                .query_row(
                    "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2",
                    params![table, column],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(known, 1, "{table}.{column}");
        }
    }
}
