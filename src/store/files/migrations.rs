//! The schema, version by version. A migration is never edited once released.

use std::path::Path;

use rusqlite_migration::{M, Migrations};

use crate::store::StoreError;

/// `application_id` of our databases ("rstr").
pub(crate) const APPLICATION_ID: i32 = 0x7273_7472;

const STEPS: &[M<'static>] =
    &[M::up(include_str!("../migrations/1.sql")), M::up(include_str!("../migrations/2.sql"))];

/// The schema version this program writes.
pub(crate) fn newest() -> i64 {
    STEPS.len() as i64
}

/// Brings a database to the newest schema; a backup is written first where it holds anything.
pub(crate) fn migrate(connection: &mut rusqlite::Connection, path: Option<&Path>) -> Result<(), StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > newest() {
        return Err(StoreError::Unusable(format!(
            "the state has schema version {version}, and this rosterd knows up to {}\nhelp: use the newer rosterd \
             that wrote it; an older one must not touch it",
            newest()
        )));
    }
    if version == newest() {
        return Ok(());
    }
    if let Some(path) = path.filter(|_| version > 0) {
        let backup = path.with_extension(format!("v{version}.backup"));
        connection.backup("main", &backup, None).map_err(|error| {
            StoreError::Unusable(format!("cannot back up the state before migrating: {error}"))
        })?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    Migrations::from_slice(STEPS)
        .to_latest(connection)
        .map_err(|error| StoreError::Database(format!("migration failed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_valid() {
        Migrations::from_slice(STEPS).validate().unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", newest() + 1).unwrap();
        assert!(migrate(&mut connection, None).unwrap_err().to_string().contains("newer rosterd"));
    }
}
