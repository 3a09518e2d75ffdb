//! The schema, version by version. A migration is never edited once released.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
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
    #[cfg(feature = "sim")]
    crate::store::files::killed::beginning_of_migration(connection)?;
    if let Some(path) = path.filter(|_| version > 0) {
        back_up(connection, path, version)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    Migrations::from_slice(STEPS)
        .to_latest(connection)
        .map_err(|error| StoreError::Database(format!("migration failed: {error}")))?;
    #[cfg(feature = "sim")]
    crate::store::files::killed::end_of_migration(connection)?;
    Ok(())
}

/// Copies the state as it was beside it. What bears the backup's name is whole: it gets it last.
fn back_up(connection: &rusqlite::Connection, path: &Path, version: i64) -> Result<(), StoreError> {
    let backup = path.with_extension(format!("v{version}.backup"));
    let part = path.with_extension(format!("v{version}.backup.part"));
    let failed = |error: &dyn std::fmt::Display| {
        StoreError::Database(format!("cannot back up the state before migrating: {error}"))
    };
    new_file(&part).map_err(|error| failed(&error))?;
    connection.backup("main", &part, None).map_err(|error| failed(&error))?;
    rename_for_good(&part, &backup).map_err(|error| failed(&error))
}

/// An empty file that is nobody else's to read, without what SQLite left beside one that was not finished.
pub(crate) fn new_file(path: &Path) -> std::io::Result<()> {
    for end in ["-journal", "-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        match std::fs::remove_file(beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map(drop)
}

/// Renames a file that is written, so that a crash leaves either name and never half of it.
pub(crate) fn rename_for_good(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    to.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
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
