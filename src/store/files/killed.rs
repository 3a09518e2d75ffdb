//! An end by SIGKILL at a chosen step, for tests of the real program.
//!
//! What lives here: where a process ends that an environment variable told to. What must not: anything that a
//! configuration could reach. Without the feature `sim` none of it is there.
//!
//! `ROSTERD_SIM_KILL` is `before:N` or `after:N`: right before or right after the N-th transaction that writes anything
//! is committed. `migration:N` is N times [`INSTRUCTIONS`] of SQLite's own instructions into a migration.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use crate::store::StoreError;

/// SQLite's instructions between two instants of a migration at which it can end.
const INSTRUCTIONS: i32 = 10;

/// Transactions that wrote something, in this process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Before(u64),
    After(u64),
    Migration(u64),
}

fn step() -> Option<Step> {
    static STEP: OnceLock<Option<Step>> = OnceLock::new();
    *STEP.get_or_init(|| {
        let text = std::env::var("ROSTERD_SIM_KILL").ok()?;
        let (moment, number) = text.split_once(':')?;
        let number = number.parse().ok()?;
        match moment {
            "before" => Some(Step::Before(number)),
            "after" => Some(Step::After(number)),
            "migration" => Some(Step::Migration(number)),
            _ => None,
        }
    })
}

/// As an operator's `kill -9`: no destructor runs, no file is closed by us.
fn end() {
    // A signal to oneself is delivered before the call returns.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// One transaction, watched from its beginning.
pub(crate) struct Watched {
    changes: u64,
    number: Option<u64>,
}

impl Watched {
    pub(crate) fn begin(connection: &Connection) -> Watched {
        Watched { changes: connection.total_changes(), number: None }
    }

    /// Everything is written and nothing is committed.
    pub(crate) fn before_commit(&mut self, connection: &Connection) {
        if connection.total_changes() == self.changes {
            return;
        }
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed) + 1;
        self.number = Some(number);
        if step() == Some(Step::Before(number)) {
            end();
        }
    }

    /// It is committed, and nobody knows yet.
    pub(crate) fn after_commit(self) {
        if self.number.is_some_and(|number| step() == Some(Step::After(number))) {
            end();
        }
    }
}

/// Begins to count a migration's instructions. What was begun ends with the connection or [`end_of_migration`].
pub(crate) fn beginning_of_migration(connection: &Connection) -> Result<(), StoreError> {
    let Some(Step::Migration(number)) = step() else { return Ok(()) };
    let mut passed = 0;
    connection.progress_handler(
        INSTRUCTIONS,
        Some(move || {
            passed += 1;
            if passed == number {
                end();
            }
            false
        }),
    )?;
    Ok(())
}

/// Nothing is counted after it.
pub(crate) fn end_of_migration(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.progress_handler(0, None::<fn() -> bool>)?)
}
