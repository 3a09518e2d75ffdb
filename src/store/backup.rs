//! A consistent copy of the state while it is in use.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{Snapshot, StoreError};

/// Tries while a writer is in the way.
const MOST_TRIES: u32 = 200;
/// Between two tries.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

impl Snapshot {
    /// Copies the state as it is at one moment into `file`, which exists, is empty and is this process's own. What is
    /// copied is one whole file that needs none beside it.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_owned();
        let outcome = self
            .connection
            .call(move |connection| {
                let mut copy = Connection::open(&file)?;
                {
                    let backup = Backup::new(connection, &mut copy)?;
                    all_pages(&backup)?;
                }
                // Without it the copy would say of itself that a write-ahead log belongs to it.
                copy.pragma_update(None, "journal_mode", "DELETE")?;
                let verdict: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
                if verdict != "ok" {
                    return Err(StoreError::Database(format!("the copy turned out damaged ({verdict})")));
                }
                copy.close().map_err(|(_, error)| StoreError::from(error))
            })
            .await;
        outcome.map_err(|error| match error {
            tokio_rusqlite::Error::Error(error) => error,
            other => StoreError::Database(format!("the database thread ended: {other}")),
        })
    }
}

/// All pages in one step, so that a writer beside us cannot make it begin again and again.
fn all_pages(backup: &Backup<'_, '_>) -> Result<(), StoreError> {
    for _ in 0..MOST_TRIES {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            _ => std::thread::sleep(PAUSE),
        }
    }
    Err(StoreError::Database("the state was in use all the time".to_owned()))
}
