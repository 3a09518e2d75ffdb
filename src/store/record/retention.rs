//! Pruning: history that is older than it is kept goes, a bounded piece at a time, and the chain goes on from where it
//! was cut.
//!
//! *Invariant*: the journal loses a beginning, never a middle, and the event that says so goes in with the same
//! transaction. What a run or the guards may still need is not history: it stays, however old.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::aliases;
use crate::model::digest::DigestKey;
use crate::model::history::EventKind;
use crate::model::time::Millis;
use crate::store::record::chain::head;
use crate::store::record::events::{Cut, EventPayload, NewEvent, counted, record_after};
use crate::store::{Store, StoreError};

/// Nothing younger is ever pruned: far beyond the longest window of the guards, and the wait of somebody who fails.
pub const SHORTEST_KEEP: Duration = Duration::from_secs(31 * DAY_SECONDS);

const DAY_SECONDS: u64 = 24 * 3600;
/// How often it is done.
const EVERY_MILLIS: i64 = DAY_SECONDS as i64 * 1000;
/// Rows of a table that go in one transaction.
const PIECE: i64 = 5_000;
/// Where it is noted when it was last done.
const DONE_AT: &str = "pruned_at";

/// Removes rows older than a time, at most so many, and says how many.
type Remove = fn(&Transaction<'_>, i64, i64) -> Result<u64, StoreError>;

/// What else than the journal is pruned: what serves nothing but history, by the name under which it is counted.
const PLACES: &[(&str, Remove)] = &[("lines", old_lines), ("runs", old_runs), ("holds", old_holds)];

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Entries of the journal.
    pub entries: u64,
    /// Runs, holds and the like.
    pub others: u64,
}

impl Store {
    /// Removes history older than `keep`, at most once a day; `None` where it is not time yet. Never less than
    /// [`SHORTEST_KEEP`] is kept.
    pub async fn prune(&self, keep: Duration, now: Millis) -> Result<Option<Pruned>, StoreError> {
        if !self.begins_to_prune(now).await? {
            return Ok(None);
        }
        let keep = i64::try_from(keep.max(SHORTEST_KEEP).as_millis()).unwrap_or(i64::MAX);
        let before = Millis(now.0.saturating_sub(keep));
        let mut all = Pruned::default();
        loop {
            let key = self.snapshot.digest_key();
            let piece = self
                .snapshot
                .transact(move |transaction| prune_piece(transaction, &key, before, now, PIECE))
                .await?;
            if piece == Pruned::default() {
                return Ok(Some(all));
            }
            all.entries += piece.entries;
            all.others += piece.others;
        }
    }

    /// Whether a day has passed; notes that it was begun.
    async fn begins_to_prune(&self, now: Millis) -> Result<bool, StoreError> {
        self.snapshot
            .transact(move |transaction| {
                let last = done_at(transaction)?;
                // After a clock that went back it is time again.
                if last.is_some_and(|last| (0..EVERY_MILLIS).contains(&now.since(last))) {
                    return Ok(false);
                }
                transaction.execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                    params![DONE_AT, now.0.to_le_bytes().as_slice()],
                )?;
                Ok(true)
            })
            .await
    }
}

fn done_at(transaction: &Transaction<'_>) -> Result<Option<Millis>, StoreError> {
    let bytes: Option<Vec<u8>> = transaction
        .query_row("SELECT value FROM meta WHERE key = ?1", [DONE_AT], |row| row.get(0))
        .optional()?;
    let bytes = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    Ok(bytes.map(|bytes| Millis(i64::from_le_bytes(bytes))))
}

/// One transaction's worth: at most so many rows of each table.
pub(crate) fn prune_piece(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    before: Millis,
    now: Millis,
    rows: i64,
) -> Result<Pruned, StoreError> {
    // Where nothing is left, the record of the cut still follows what was there.
    let end = head(transaction)?;
    let earlier = earlier_cut(transaction)?;
    let (entries, cut) = match beginning(transaction, before, rows)? {
        None => (0, earlier),
        Some(cut) => {
            let entries = transaction.execute("DELETE FROM journal WHERE seq <= ?1", [cut.seq])?;
            (entries as u64, Some(cut))
        }
    };
    let mut counts = counted([("entries", entries)]);
    let mut others = 0;
    for (name, remove) in PLACES {
        let removed = remove(transaction, before.0, rows)?;
        counts.insert((*name).to_owned(), removed);
        others += removed;
    }
    let pruned = Pruned { entries, others };
    if pruned != Pruned::default() {
        counts.retain(|_, count| *count > 0);
        let detail = Some(format!("what was older than {}", before.rfc3339()));
        let by = "rosterd".to_owned();
        let event = NewEvent { kind: EventKind::Prune, sync: None, by, at: now, counts, detail };
        let payload = EventPayload { pruned: cut, ..EventPayload::default() };
        record_after(transaction, key, &event, payload, Some(&end))?;
    }
    Ok(pruned)
}

/// Where the journal was cut before.
fn earlier_cut(transaction: &Transaction<'_>) -> Result<Option<Cut>, StoreError> {
    let payload: Option<Option<String>> = transaction
        .query_row(
            "SELECT payload FROM journal WHERE kind = 'event' AND verb = ?1 ORDER BY seq DESC LIMIT 1",
            [EventKind::Prune.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    let payload: Option<EventPayload> = payload.flatten().map(|text| aliases::read(&text)).transpose()?;
    Ok(payload.and_then(|payload| payload.pruned))
}

/// The last entry of the journal's beginning that may go: everything up to it is old, and belongs to no run that goes
/// on, has left something in flight, or lies across the edge: half a run would pass for the whole of it.
fn beginning(transaction: &Transaction<'_>, before: Millis, limit: i64) -> Result<Option<Cut>, StoreError> {
    let mut needed = transaction.prepare(
        "SELECT journal.run FROM in_flight JOIN journal ON journal.seq = in_flight.intent
         UNION SELECT run.id FROM run JOIN sync ON sync.name = run.sync
               WHERE run.finished_at IS NULL AND run.epoch = sync.epoch
         UNION SELECT id FROM run WHERE started_at < ?1 AND finished_at >= ?1",
    )?;
    let needed: HashSet<Option<i64>> =
        needed.query_map([before.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut statement =
        transaction.prepare("SELECT seq, at, run, chain FROM journal ORDER BY seq LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut cut = None;
    while let Some(row) = rows.next()? {
        let (at, run): (i64, Option<i64>) = (row.get(1)?, row.get(2)?);
        if at >= before.0 || (run.is_some() && needed.contains(&run)) {
            break;
        }
        cut = Some(Cut { seq: row.get(0)?, chain: row.get(3)? });
    }
    Ok(cut)
}

/// Lines that have not been true for so long, and which lines a run told that is gone. A sync for which nothing runs any
/// more ends no line, so its lines are as old as its last run.
fn old_lines(transaction: &Transaction<'_>, before: i64, limit: i64) -> Result<u64, StoreError> {
    transaction.execute(
        "DELETE FROM told_by WHERE (run, told) IN (
             SELECT run, told FROM told_by WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.id = told_by.run) LIMIT ?1)",
        [limit],
    )?;
    Ok(transaction.execute(
        "DELETE FROM told WHERE id IN (
             SELECT told.id FROM told
                 LEFT JOIN run AS last ON last.id = told.until_run
                 LEFT JOIN run AS first ON first.id = told.first_run
             WHERE (told.until_run IS NOT NULL AND coalesce(last.started_at, first.started_at, 0) < ?1)
                OR (told.until_run IS NULL AND told.sync NOT IN (SELECT sync FROM run WHERE started_at >= ?1))
             LIMIT ?2)",
        params![before, limit],
    )? as u64)
}

/// Runs without an entry that is left. The newest of a sync, and the newest full and the newest good one stay: they
/// say how the sync is doing.
fn old_runs(transaction: &Transaction<'_>, before: i64, limit: i64) -> Result<u64, StoreError> {
    Ok(transaction.execute(
        "DELETE FROM run WHERE id IN (
             SELECT run.id FROM run JOIN sync ON sync.name = run.sync
             WHERE coalesce(run.finished_at, run.started_at) < ?1
               AND (run.finished_at IS NOT NULL OR run.epoch <> sync.epoch)
               AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.run = run.id)
               AND NOT EXISTS (SELECT 1 FROM run AS later WHERE later.undoes = run.id)
               AND run.id NOT IN (
                   SELECT max(id) FROM run GROUP BY sync
                   UNION SELECT max(id) FROM run WHERE is_full GROUP BY sync
                   UNION SELECT max(id) FROM run WHERE is_full AND result IN ('ok', 'partial', 'held') GROUP BY sync)
             ORDER BY run.id LIMIT ?2)",
        params![before, limit],
    )? as u64)
}

/// Holds that are decided, or were never decided and are long over. An approval that is not used up, or that may have
/// to be given back, keeps its hold.
fn old_holds(transaction: &Transaction<'_>, before: i64, limit: i64) -> Result<u64, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT id FROM hold
         WHERE coalesce(decided_at, expires_at) < ?1 AND (state <> 'open' OR expires_at < ?1)
           AND NOT EXISTS (SELECT 1 FROM hold_pair WHERE hold_pair.hold = hold.id
                             AND (hold_pair.state = 'approved'
                                  OR hold_pair.source_id IN (SELECT source_id FROM in_flight)))
         ORDER BY id LIMIT ?2",
    )?;
    let holds: Vec<i64> =
        statement.query_map(params![before, limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for hold in &holds {
        transaction.execute("DELETE FROM hold_pair WHERE hold = ?1", [hold])?;
        transaction.execute("DELETE FROM hold WHERE id = ?1", [hold])?;
    }
    Ok(holds.len() as u64)
}

#[cfg(test)]
mod tests;
