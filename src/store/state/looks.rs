//! Looks that are owed: whom an event named and at whom nobody has looked since, and full runs that something asked for;
//! with them how far each event log has been read.
//!
//! *Invariant*: a cursor is saved together with the people and the full run that the events before it asked for, so that
//! no crash loses one. What must not live here: when anybody is looked at (the daemon).

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::owed::EventMeaning;
use crate::model::time::Millis;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// The only event log that a source has.
const STREAM: &str = "events";

/// Somebody whom an event named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPerson {
    /// Who.
    pub source_id: SourceId,
    /// The earliest event that nobody has looked into yet, by the vendor's clock.
    pub event_at: Millis,
    /// Whether an assignment may have changed, which counts for anybody.
    pub membership: bool,
    /// What the event lets expect.
    pub meaning: EventMeaning,
}

/// Somebody who waits to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedLook {
    /// Whom the events named.
    pub named: NamedPerson,
    /// Whether the sync knows this person: linked, or something is owed.
    pub known: bool,
    /// When to look; in the past = now.
    pub due_at: Millis,
    /// Looks so far that came to nothing.
    pub attempts: u32,
    /// Looks so far that found the contrary of what the event says.
    pub contradicted: u32,
}

/// A look that came to nothing final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookAgain {
    /// At whom.
    pub source_id: SourceId,
    /// When.
    pub due_at: Millis,
    /// Whether it found the contrary of what the event says.
    pub contradicted: bool,
}

/// A full run that something asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedFullRun {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Millis,
}

impl Store {
    /// Stores whom events named, the full run that they ask for, and how far the log has been read with them.
    pub async fn save_events(
        &self,
        tenure: &Tenure,
        named: Vec<NamedPerson>,
        full_run: Option<String>,
        cursor: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            let number = OrderNumber::next().in_epoch(tenure.epoch).get();
            let mut statement = transaction.prepare(
                "INSERT INTO owed (sync, source_id, class, user_name, since, waits_for, event_at, membership,
                                       noted_number, next_try_at, meaning)
                     VALUES (?1, ?2, 'look', ?2, ?4, 'look', ?3, ?5, ?6, ?4, ?7)
                     ON CONFLICT (sync, source_id, class) DO UPDATE SET
                         event_at = min(event_at, excluded.event_at), noted_number = excluded.noted_number,
                         membership = max(membership, excluded.membership), attempts = 0, contradicted = 0,
                         next_try_at = excluded.next_try_at,
                         meaning = CASE excluded.meaning WHEN 'other' THEN meaning ELSE excluded.meaning END",
            )?;
            for NamedPerson { source_id, event_at, membership, meaning } in &named {
                statement.execute(params![
                    tenure.sync,
                    source_id.as_str(),
                    event_at.0,
                    now.0,
                    membership,
                    number,
                    meaning.as_str()
                ])?;
            }
            if let Some(reason) = &full_run {
                let number = OrderNumber::next().in_epoch(tenure.epoch);
                ask_for_full_run(transaction, &tenure.sync, reason, number, now)?;
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

    /// Forgets how far the log has been read, because the vendor does not know the place any more, and asks for the
    /// full run that makes up for what was missed.
    pub async fn forget_cursor(
        &self,
        tenure: &Tenure,
        reason: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            transaction.execute(
                "DELETE FROM cursor WHERE sync = ?1 AND stream = ?2",
                params![tenure.sync, STREAM],
            )?;
            let number = OrderNumber::next().in_epoch(tenure.epoch);
            ask_for_full_run(transaction, &tenure.sync, &reason, number, now)
        })
        .await
    }

    /// Asks for a full run; it stays asked for until one has ended well that began after this.
    pub async fn owe_full_run(&self, sync: &str, reason: String, now: Millis) -> Result<(), StoreError> {
        self.owe_full_run_since(sync, reason, OrderNumber::next(), now).await
    }

    /// The same, where one that began after this number will do. Where one is asked for already, that stays.
    pub async fn owe_full_run_since(
        &self,
        sync: &str,
        reason: String,
        number: OrderNumber,
        now: Millis,
    ) -> Result<(), StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| ask_for_full_run_now(transaction, &sync, &reason, number, now))
            .await
    }

    /// A full run that began with this number ended well: what had asked for one before is done.
    pub async fn end_full_run(&self, tenure: &Tenure, began: OrderNumber) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            transaction.execute(
                "DELETE FROM full_look WHERE sync = ?1 AND noted_number <= ?2",
                params![tenure.sync, began.in_epoch(tenure.epoch).get()],
            )?;
            Ok(())
        })
        .await
    }

    /// Ends looks at these people (`None` = everybody) that were asked for before `looked`.
    pub async fn end_looks(
        &self,
        tenure: &Tenure,
        people: Option<Vec<SourceId>>,
        looked: OrderNumber,
    ) -> Result<(), StoreError> {
        let number = looked.in_epoch(tenure.epoch).get();
        self.transact_as(tenure, move |transaction, tenure| {
                let Some(people) = people else {
                    transaction.execute(
                        "DELETE FROM owed WHERE sync = ?1 AND class = 'look' AND noted_number <= ?2",
                        params![tenure.sync, number],
                    )?;
                    return Ok(());
                };
                let mut statement = transaction.prepare(
                    "DELETE FROM owed WHERE sync = ?1 AND class = 'look' AND source_id = ?3 AND noted_number <= ?2",
                )?;
                for id in &people {
                    statement.execute(params![tenure.sync, number, id.as_str()])?;
                }
                Ok(())
            })
            .await
    }

    /// Puts looks off that came to nothing final: they stay owed, and are due again then. Whom an event named since
    /// `looked` is due as that event says.
    pub async fn put_off_looks(
        &self,
        tenure: &Tenure,
        again: Vec<LookAgain>,
        looked: OrderNumber,
    ) -> Result<(), StoreError> {
        let number = looked.in_epoch(tenure.epoch).get();
        self.transact_as(tenure, move |transaction, tenure| {
            let mut statement = transaction.prepare(
                "UPDATE owed SET attempts = attempts + 1, contradicted = contradicted + ?4, next_try_at = ?3
                     WHERE sync = ?1 AND source_id = ?2 AND class = 'look' AND noted_number <= ?5",
            )?;
            for LookAgain { source_id, due_at, contradicted } in &again {
                statement.execute(params![
                    tenure.sync,
                    source_id.as_str(),
                    due_at.0,
                    contradicted,
                    number
                ])?;
            }
            Ok(())
        })
        .await
    }
}

/// Asks for a full run whoever has the tenure.
pub(crate) fn ask_for_full_run_now(
    transaction: &Transaction<'_>,
    sync: &str,
    reason: &str,
    number: OrderNumber,
    now: Millis,
) -> Result<(), StoreError> {
    let epoch: Option<i64> = transaction
        .query_row("SELECT epoch FROM sync WHERE name = ?1", [sync], |row| row.get(0))
        .optional()?;
    ask_for_full_run(transaction, sync, reason, number.in_epoch(epoch.unwrap_or(0)), now)
}

fn ask_for_full_run(
    transaction: &Transaction<'_>,
    sync: &str,
    reason: &str,
    number: OrderNumber,
    now: Millis,
) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO full_look (sync, reason, noted_at, noted_number) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sync) DO UPDATE SET reason = excluded.reason, noted_number = excluded.noted_number
         WHERE excluded.noted_number > noted_number",
        params![sync, reason, now.0, number.get()],
    )?;
    Ok(())
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
    pub async fn owed_looks(&self, sync: &str) -> Result<Vec<OwedLook>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, coalesce(event_at, since), coalesce(membership, 0),
                        EXISTS (SELECT 1 FROM link WHERE link.sync = owed.sync AND link.source_id = owed.source_id)
                        OR EXISTS (SELECT 1 FROM owed AS other WHERE other.sync = owed.sync
                                     AND other.source_id = owed.source_id AND other.class <> 'look'),
                        coalesce(next_try_at, 0), attempts, meaning, contradicted
                 FROM owed WHERE sync = ?1 AND class = 'look' ORDER BY event_at, source_id",
            )?;
            let rows = statement.query_map([&sync], |row| {
                let named = NamedPerson {
                    source_id: SourceId::new(row.get::<_, String>(0)?),
                    event_at: Millis(row.get(1)?),
                    membership: row.get(2)?,
                    meaning: EventMeaning::of_word(&row.get::<_, String>(6)?),
                };
                Ok(OwedLook {
                    named,
                    known: row.get(3)?,
                    due_at: Millis(row.get(4)?),
                    attempts: row.get(5)?,
                    contradicted: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The full run that something asked for, if one did and none has been done since.
    pub async fn owed_full_run(&self, sync: &str) -> Result<Option<OwedFullRun>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            Ok(transaction
                .query_row("SELECT reason, noted_at FROM full_look WHERE sync = ?1", [&sync], |row| {
                    Ok(OwedFullRun { reason: row.get(0)?, since: Millis(row.get(1)?) })
                })
                .optional()?)
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
