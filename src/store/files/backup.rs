//! A consistent copy of the state while it is in use.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::{Snapshot, StoreError};

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
                    // All pages in one step, so that a writer beside us cannot make it begin again and again.
                    if backup.step(-1)? != StepResult::Done {
                        let text = "the state was in use all the time; try again";
                        return Err(StoreError::Database(text.to_owned()));
                    }
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
        outcome.map_err(StoreError::of_call)
    }
}
