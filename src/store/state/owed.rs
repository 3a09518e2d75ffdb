//! What is owed: the one place that says what is wanted and not acknowledged, and what it waits for.
//!
//! What lives here: the rows, when each is tried again, and when a row ends. What must not: a second notion of "not
//! done" (backoff, holds, pins, exit codes and reports read these rows), and whether anything is wanted (the engine).

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::model::digest::Digest;
use crate::model::id::{SourceId, TargetId};
use crate::model::order::OrderNumber;
use crate::model::owed::{OwedChange, OwedClass, OwedEntry, WaitMeaning, WaitsFor};
use crate::model::plan::{DeletionBarrier, PlannedAction, RemovalCause, Verb};
use crate::model::time::Millis;
use crate::spool::Spool;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// Rows of one transaction.
const BATCH: usize = 2000;
const SECOND_MILLIS: i64 = 1000;
const HOUR_MILLIS: i64 = 3600 * SECOND_MILLIS;
/// How soon a removal is tried again by itself, try by try; then as often as the last.
const REMOVAL_RETRY_MILLIS: [i64; 5] =
    [30 * SECOND_MILLIS, 60 * SECOND_MILLIS, 120 * SECOND_MILLIS, 300 * SECOND_MILLIS, 600 * SECOND_MILLIS];
/// So many refusals of one account, while the rest of the workspace answers, are for good: then hourly.
const REFUSED_FOR_GOOD: u32 = 3;
/// Other classes wait for full runs: every 2nd, 4th … up to every 32nd.
const LONGEST_WAIT_RUNS: i64 = 32;

/// But at most so long.
const LONGEST_WAIT_MILLIS: i64 = 24 * HOUR_MILLIS;

/// One row. What was not tried again keeps the words of the last try.
const PUT: &str =
    "INSERT INTO owed (sync, source_id, class, user_name, target_id, verb, cause, since, attempts, refusals,
                       tried_at, next_try_at, retry_run, waits_for, detail, desired, noted_number)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
     ON CONFLICT (sync, source_id, class) DO UPDATE SET
         user_name = excluded.user_name, target_id = excluded.target_id, verb = excluded.verb,
         cause = excluded.cause, attempts = excluded.attempts, refusals = excluded.refusals,
         tried_at = coalesce(excluded.tried_at, owed.tried_at), next_try_at = excluded.next_try_at,
         retry_run = excluded.retry_run, waits_for = excluded.waits_for,
         detail = CASE WHEN excluded.tried_at IS NULL AND owed.attempts > 0
                            AND owed.waits_for = 'retry' AND excluded.waits_for = 'retry'
                       THEN owed.detail ELSE excluded.detail END,
         desired = excluded.desired, noted_number = excluded.noted_number";

pub(crate) const COLUMNS: &str =
    "owed.source_id, owed.user_name, owed.target_id, owed.class, owed.verb, owed.cause, owed.since,
     owed.attempts, owed.refusals, owed.next_try_at,
     CASE WHEN owed.retry_run IS NULL THEN 0
          ELSE max(owed.retry_run - coalesce((SELECT runs FROM sync WHERE sync.name = owed.sync), 0), 0) END,
     owed.waits_for, owed.detail, owed.desired, owed.tried_at,
     EXISTS (SELECT 1 FROM link WHERE link.sync = owed.sync AND link.source_id = owed.source_id
               AND link.state = 'deactivated')";

/// Whose rows a pass answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwedScope {
    /// Everybody, as read from this number on: whoever has no entry wants nothing any more.
    Everybody(OrderNumber),
    /// These people.
    These(HashSet<SourceId>, OrderNumber),
    /// Nobody: rows are added and none ends (the pass broke off, or did less than its people need).
    OnlyMore,
}

/// What is still owed to the exit code of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwedTotals {
    /// Somebody who left still has access, or nobody knows what became of a write, and nobody wants it so.
    pub undone: u64,
    /// A removal waits for an approval.
    pub held: u64,
}

impl Store {
    /// Notes what a pass leaves owed, and ends the rows of those in its scope for whom nothing is wanted any more.
    pub async fn note_owed(
        &self,
        tenure: &Tenure,
        entries: &mut Spool<OwedEntry>,
        scope: OwedScope,
        now: Millis,
    ) -> Result<(), StoreError> {
        let spooled = |error| StoreError::Database(format!("cannot read temporary data: {error}"));
        let mut batch: Vec<OwedEntry> = Vec::new();
        let number = OrderNumber::next();
        for entry in entries.iter().map_err(spooled)? {
            batch.push(entry.map_err(spooled)?);
            if batch.len() >= BATCH {
                self.put_owed(tenure, std::mem::take(&mut batch), number, now).await?;
            }
        }
        self.put_owed(tenure, batch, number, now).await?;
        self.transact_as(tenure, move |transaction, tenure| end_rows(transaction, tenure, &scope)).await
    }

    /// Notes removals as soon as they are judged, so that a crash before they are sent leaves them to be seen.
    pub async fn note_judged_removals(
        &self,
        tenure: &Tenure,
        entries: Vec<OwedEntry>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.put_owed(tenure, entries, OrderNumber::next(), now).await
    }

    async fn put_owed(
        &self,
        tenure: &Tenure,
        entries: Vec<OwedEntry>,
        number: OrderNumber,
        now: Millis,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.transact_as(tenure, move |transaction, tenure| {
            entries.iter().try_for_each(|entry| put(transaction, tenure, entry, number, now))
        })
        .await
    }
}

/// Writes one row. The time since which it is owed stays that of the first time.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    entry: &OwedEntry,
    number: OrderNumber,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(class) = entry.class() else { return Ok(()) };
    if is_done_meanwhile(transaction, tenure, entry)? {
        return Ok(());
    }
    let known: Option<(u32, u32, Option<i64>)> = transaction
        .prepare_cached(
            "SELECT attempts, refusals, retry_run FROM owed WHERE sync = ?1 AND source_id = ?2 AND class = ?3",
        )?
        .query_row(params![tenure.sync, entry.source_id.as_str(), class.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (known_attempts, known_refusals, known_retry) = known.unwrap_or((0, 0, None));
    let attempts = known_attempts.saturating_add(u32::from(entry.attempted));
    let refusals = match (entry.attempted, entry.refused) {
        (true, true) => known_refusals.saturating_add(1),
        (true, false) => 0,
        (false, _) => known_refusals,
    };
    let tries = class == OwedClass::Removal && entry.waits_for.meaning() == WaitMeaning::Undone;
    let next_try_at = tries.then(|| now.0.saturating_add(removal_pause(attempts, refusals)));
    let runs: i64 = transaction
        .query_row("SELECT runs FROM sync WHERE name = ?1", [&tenure.sync], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let retry_run = match (class, entry.attempted) {
        (OwedClass::Removal, _) => None,
        (_, true) => Some(runs + (1i64 << attempts.saturating_sub(1).min(5)).min(LONGEST_WAIT_RUNS)),
        (_, false) => known_retry,
    };
    transaction.prepare_cached(PUT)?.execute(params![
        tenure.sync,
        entry.source_id.as_str(),
        class.as_str(),
        entry.user,
        entry.target_id.as_ref().map(|id| id.as_str()),
        entry.verb.as_str(),
        entry.cause.map(RemovalCause::as_str),
        now.0,
        attempts,
        refusals,
        entry.attempted.then_some(now.0),
        next_try_at,
        retry_run,
        entry.waits_for.as_str(),
        entry.detail,
        entry.desired.map(|digest| digest.0.to_vec()),
        number.in_epoch(tenure.epoch).get(),
    ])?;
    Ok(())
}

/// Whether another run has taken the access that this one left for its next try, because it met that run's write.
fn is_done_meanwhile(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    entry: &OwedEntry,
) -> Result<bool, StoreError> {
    if entry.verb != Verb::Deactivate || entry.attempted || entry.waits_for != WaitsFor::Retry {
        return Ok(false);
    }
    Ok(transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM link WHERE sync = ?1 AND source_id = ?2 AND state <> 'active'
                              AND removal_seen)",
        )?
        .query_row(params![tenure.sync, entry.source_id.as_str()], |row| row.get(0))?)
}

/// How long a removal waits for its next try by itself.
fn removal_pause(attempts: u32, refusals: u32) -> i64 {
    if refusals >= REFUSED_FOR_GOOD {
        return HOUR_MILLIS;
    }
    let index = (attempts.saturating_sub(1) as usize).min(REMOVAL_RETRY_MILLIS.len() - 1);
    REMOVAL_RETRY_MILLIS[index]
}

/// Ends the rows of those for whom nothing is wanted any more. What nobody can tell stays as long as that is so.
fn end_rows(transaction: &Transaction<'_>, tenure: &Tenure, scope: &OwedScope) -> Result<(), StoreError> {
    const ENDED: &str = "sync = ?1 AND noted_number < ?2 AND class <> 'look'
        AND NOT EXISTS (SELECT 1 FROM in_flight WHERE in_flight.sync = owed.sync
                          AND in_flight.source_id = owed.source_id)";
    match scope {
        OwedScope::OnlyMore => {}
        OwedScope::Everybody(since) => {
            transaction.execute(
                &format!("DELETE FROM owed WHERE {ENDED}"),
                params![tenure.sync, since.in_epoch(tenure.epoch).get()],
            )?;
        }
        OwedScope::These(people, since) => {
            let mut statement =
                transaction.prepare(&format!("DELETE FROM owed WHERE {ENDED} AND source_id = ?3"))?;
            for person in people {
                statement.execute(params![
                    tenure.sync,
                    since.in_epoch(tenure.epoch).get(),
                    person.as_str()
                ])?;
            }
        }
    }
    Ok(())
}

/// Ends what an acknowledged write was owed for.
pub(crate) fn end_acknowledged(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &SourceId,
    verb: Verb,
) -> Result<(), StoreError> {
    let Some(class) = OwedClass::of(verb) else { return Ok(()) };
    // A create or an adoption gives the values too; whoever got access is owed no removal any more.
    let classes: &[OwedClass] = match class {
        OwedClass::Removal => &[OwedClass::Removal, OwedClass::Access, OwedClass::Attributes],
        OwedClass::Access => &[OwedClass::Access, OwedClass::Attributes],
        OwedClass::Attributes => &[OwedClass::Attributes],
        OwedClass::Look => &[],
    };
    for class in classes {
        transaction
            .prepare_cached("DELETE FROM owed WHERE sync = ?1 AND source_id = ?2 AND class = ?3")?
            .execute(params![sync, person.as_str(), class.as_str()])?;
    }
    Ok(())
}

/// Notes the deletion that stays owed after a deactivation that stood in for it.
pub(crate) fn put_deletion(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    instead: &PlannedAction,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(barrier) = &instead.deletion_owed else { return Ok(()) };
    let refused = match barrier {
        DeletionBarrier::NotOffered(_) => true,
        DeletionBarrier::Clock => false,
    };
    let entry = OwedEntry {
        source_id: instead.source_id.clone(),
        user: instead.user.clone(),
        target_id: instead.target_id.clone(),
        verb: Verb::Delete,
        cause: instead.cause,
        waits_for: WaitsFor::Date,
        attempted: refused,
        refused,
        detail: barrier.describe(),
        desired: None,
    };
    put(transaction, tenure, &entry, OrderNumber::next(), now)
}

/// A person decided about those of a hold who are in this state: what they are owed waits for something else from now on.
pub(crate) fn wait_for(
    transaction: &Transaction<'_>,
    (sync, hold, state): (&str, i64, &str),
    waits_for: WaitsFor,
    detail: &str,
) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE owed SET waits_for = ?4, detail = ?5, next_try_at = NULL
         WHERE sync = ?1 AND class = 'removal' AND waits_for = 'approval'
           AND source_id IN (SELECT source_id FROM hold_pair
                             WHERE hold = ?2 AND state = ?3 AND action IN ('deactivate', 'delete') AND undoes IS NULL)",
        params![sync, hold, state, waits_for.as_str(), detail],
    )?;
    Ok(())
}

/// Ends everything that is owed to somebody whose link ends, or who is somebody else from now on.
pub(crate) fn end_all_of(transaction: &Transaction<'_>, sync: &str, person: &str) -> Result<u64, StoreError> {
    let ended =
        transaction.execute("DELETE FROM owed WHERE sync = ?1 AND source_id = ?2", params![sync, person])?;
    Ok(ended as u64)
}

impl Snapshot {
    /// Everything that is owed in a sync, leavers first, the longest first. Looks are not in it.
    pub async fn owed(&self, sync: &str) -> Result<Vec<OwedChange>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| owed_in(transaction, &sync)).await
    }

    /// What is owed about one person, a look included.
    pub async fn owed_of(&self, sync: &str, person: &SourceId) -> Result<Vec<OwedChange>, StoreError> {
        let (sync, person) = (sync.to_owned(), person.clone());
        self.transact(move |transaction| owed_of_person(transaction, &sync, person.as_str())).await
    }

    /// What the rows that are left mean for an exit code: of everybody, or of these people.
    pub async fn owed_totals(
        &self,
        sync: &str,
        people: Option<HashSet<SourceId>>,
    ) -> Result<OwedTotals, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut counts = OwedTotals::default();
            for change in owed_in(transaction, &sync)? {
                let asked = people.as_ref().is_none_or(|people| people.contains(&change.source_id));
                if !asked {
                    continue;
                }
                match change.meaning() {
                    WaitMeaning::Undone => counts.undone += 1,
                    WaitMeaning::Held => counts.held += 1,
                    WaitMeaning::Wanted => {}
                }
            }
            Ok(counts)
        })
        .await
    }

    /// People whose owed removal is due for a try by itself.
    pub async fn due_removals(&self, sync: &str, now: Millis) -> Result<Vec<SourceId>, StoreError> {
        let sql = "SELECT source_id FROM owed WHERE sync = ?1 AND class = 'removal'
                     AND (next_try_at <= ?2 OR next_try_at > ?3)
                   ORDER BY refusals >= 3, next_try_at, source_id";
        self.people_due(sync, now, sql).await
    }

    /// When the next owed removal of a sync is due by itself.
    pub async fn next_removal_try(&self, sync: &str) -> Result<Option<Millis>, StoreError> {
        self.earliest(sync, "SELECT min(next_try_at) FROM owed WHERE sync = ?1 AND class = 'removal'").await
    }

    /// The people of a query of one sync (`?1`) that are due by now (`?2`). No try is further off than the longest pause
    /// (`?3`): the clock was ahead when such a one was put off.
    pub(crate) async fn people_due(
        &self,
        sync: &str,
        now: Millis,
        sql: &'static str,
    ) -> Result<Vec<SourceId>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement
                .query_map(params![sync, now.0, now.0.saturating_add(HOUR_MILLIS)], |row| {
                    Ok(SourceId::new(row.get::<_, String>(0)?))
                })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The one time, if any, that a query of one sync (`?1`) gives.
    pub(crate) async fn earliest(&self, sync: &str, sql: &'static str) -> Result<Option<Millis>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let at: Option<i64> = transaction.query_row(sql, [&sync], |row| row.get(0))?;
            Ok(at.map(Millis))
        })
        .await
    }
}

pub(crate) fn owed_in(transaction: &Transaction<'_>, sync: &str) -> Result<Vec<OwedChange>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM owed WHERE sync = ?1 AND class <> 'look'
         ORDER BY class <> 'removal', since, source_id"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map([sync], owed_change)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn owed_of_person(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
) -> Result<Vec<OwedChange>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM owed WHERE sync = ?1 AND source_id = ?2 ORDER BY class <> 'removal', since"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map([sync, person], owed_change)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn owed_change(row: &Row<'_>) -> rusqlite::Result<OwedChange> {
    let class: String = row.get(3)?;
    let verb: Option<String> = row.get(4)?;
    let cause: Option<String> = row.get(5)?;
    let waits: String = row.get(11)?;
    let desired: Option<Vec<u8>> = row.get(13)?;
    // Runs may be rare: nothing waits longer than a day.
    let tried_at: Option<i64> = row.get(14)?;
    let waited_a_day = tried_at.is_some_and(|at| Millis::now().since(Millis(at)) >= LONGEST_WAIT_MILLIS);
    Ok(OwedChange {
        source_id: SourceId::new(row.get::<_, String>(0)?),
        user: row.get(1)?,
        target_id: row.get::<_, Option<String>>(2)?.map(TargetId::new),
        // The table's CHECK allows nothing else.
        class: OwedClass::ALL.into_iter().find(|known| known.as_str() == class).unwrap_or(OwedClass::Look),
        verb: verb.and_then(|word| Verb::ALL.into_iter().find(|verb| verb.as_str() == word)),
        cause: cause.as_deref().and_then(RemovalCause::of_word),
        since: Millis(row.get(6)?),
        attempts: row.get(7)?,
        refusals: row.get(8)?,
        next_try_at: row.get::<_, Option<i64>>(9)?.map(Millis),
        wait_runs: if waited_a_day { 0 } else { row.get(10)? },
        waits_for: WaitsFor::ALL.into_iter().find(|known| known.as_str() == waits).unwrap_or(WaitsFor::Retry),
        detail: row.get(12)?,
        desired: desired.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Digest),
        is_deactivated: row.get(15)?,
    })
}

#[cfg(test)]
mod tests;
