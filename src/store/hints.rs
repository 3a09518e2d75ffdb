//! What the watch has heard and nobody has looked at yet, and how far each event log has been read.
//!
//! *Invariant*: a cursor is saved together with the people that the events before it named, so that no crash loses one.

use rusqlite::{OptionalExtension, params};

use super::{Snapshot, Store, StoreError, Tenure};
use crate::model::id::SourceId;
use crate::model::time::Millis;

/// The only event log that a source has.
const STREAM: &str = "events";

/// Somebody whom an event named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Who.
    pub source_id: SourceId,
    /// The earliest event that nobody has looked into yet, by the vendor's clock.
    pub event_at: Millis,
    /// Whether an assignment may have changed, which counts for anybody.
    pub membership: bool,
}

/// Somebody who waits to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What was heard.
    pub heard: Heard,
    /// Whether the sync knows this person: linked, or failing.
    pub known: bool,
}

impl Store {
    /// Stores the people whom events named, and how far the log has been read with them.
    pub async fn save_events(
        &self,
        tenure: &Tenure,
        heard: Vec<Heard>,
        cursor: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        let tenure = tenure.clone();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let mut statement = transaction.prepare(
                    "INSERT INTO hint (sync, source_id, event_at, noted_at, membership) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (sync, source_id) DO UPDATE SET
                         event_at = min(event_at, excluded.event_at), noted_at = excluded.noted_at,
                         membership = max(membership, excluded.membership)",
                )?;
                for Heard { source_id, event_at, membership } in &heard {
                    statement.execute(params![
                        tenure.sync,
                        source_id.as_str(),
                        event_at.0,
                        now.0,
                        membership
                    ])?;
                }
                transaction.execute(
                    "INSERT INTO cursor (sync, stream, position, saved_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (sync, stream) DO UPDATE SET
                         position = excluded.position, saved_at = excluded.saved_at",
                    params![tenure.sync, STREAM, cursor, now.0],
                )?;
                Ok(())
            })
            .await
    }

    /// Forgets how far the log has been read, because the vendor does not know the place any more.
    pub async fn forget_cursor(&self, tenure: &Tenure) -> Result<(), StoreError> {
        let tenure = tenure.clone();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                transaction.execute(
                    "DELETE FROM cursor WHERE sync = ?1 AND stream = ?2",
                    params![tenure.sync, STREAM],
                )?;
                Ok(())
            })
            .await
    }

    /// Forgets what was heard before `looked_at` of these people, or of everybody.
    pub async fn drop_heard(
        &self,
        tenure: &Tenure,
        people: Option<Vec<SourceId>>,
        looked_at: Millis,
    ) -> Result<(), StoreError> {
        let tenure = tenure.clone();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let Some(people) = people else {
                    transaction.execute(
                        "DELETE FROM hint WHERE sync = ?1 AND noted_at <= ?2",
                        params![tenure.sync, looked_at.0],
                    )?;
                    return Ok(());
                };
                let mut statement = transaction
                    .prepare("DELETE FROM hint WHERE sync = ?1 AND source_id = ?3 AND noted_at <= ?2")?;
                for id in &people {
                    statement.execute(params![tenure.sync, looked_at.0, id.as_str()])?;
                }
                Ok(())
            })
            .await
    }
}

impl Snapshot {
    /// How far the event log has been read.
    pub async fn cursor(&self, sync: &str) -> Result<Option<String>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            Ok(transaction
                .query_row(
                    "SELECT position FROM cursor WHERE sync = ?1 AND stream = ?2",
                    params![sync, STREAM],
                    |row| row.get(0),
                )
                .optional()?)
        })
        .await
    }

    /// Who waits to be looked at, the earliest event first.
    pub async fn heard(&self, sync: &str) -> Result<Vec<Waiting>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, event_at, membership,
                        EXISTS (SELECT 1 FROM link WHERE link.sync = hint.sync AND link.source_id = hint.source_id)
                        OR EXISTS (SELECT 1 FROM failing
                                   WHERE failing.sync = hint.sync AND failing.source_id = hint.source_id)
                 FROM hint WHERE sync = ?1 ORDER BY event_at, source_id",
            )?;
            let rows = statement.query_map([&sync], |row| {
                let heard = Heard {
                    source_id: SourceId::new(row.get::<_, String>(0)?),
                    event_at: Millis(row.get(1)?),
                    membership: row.get(2)?,
                };
                Ok(Waiting { heard, known: row.get(3)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// When the last full run of a sync began, and the last one that ended well.
    pub async fn last_full_runs(&self, sync: &str) -> Result<(Option<Millis>, Option<Millis>), StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let (begun, well): (Option<i64>, Option<i64>) = transaction.query_row(
                "SELECT max(started_at),
                        max(CASE WHEN result IN ('ok', 'partial', 'held') THEN started_at END)
                 FROM run WHERE sync = ?1 AND is_full",
                [&sync],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok((begun.map(Millis), well.map(Millis)))
        })
        .await
    }
}
