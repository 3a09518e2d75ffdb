//! What runs told of people for whom nothing was done and who are not unchanged: out of scope, waiting, held, blocked,
//! refused.
//!
//! One row holds for as long as the line stays the same: a quiet run only compares, a line that changed ends its row and
//! begins another, and a run that listed everybody ends the rows of those who have no line any more. A run of named
//! people touches theirs only.
//!
//! What is held, deferred or refused is told in words that differ from run to run: how many were sent in the last hour,
//! how many runs are left, what the target answered. Where only these differ it is the same line, and its row takes the
//! newest words: every run that the row stands for is repeated with them.
//!
//! Runs overlap. Where a run that began later has told of somebody, or sent them something, what an older one tells is a
//! row of that run alone, named in `told_by`, and the other row stays as it is.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::explain::Told;
use crate::model::aliases;
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::spool::Spool;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// Lines of one transaction.
const BATCH: usize = 2000;

/// Lines in the order in which a report tells them.
const IN_ORDER: &str =
    "ORDER BY instr('deactivate delete update reactivate adopt create hold-back block skip',
                                       told.record ->> '$.action'), told.id";

/// Whose lines a run gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineScope {
    /// Everybody's who has one.
    Everybody,
    /// These people's only.
    These(HashSet<SourceId>),
    /// Lines about the return of another run: they say nothing of where anybody stands.
    AReturn,
}

impl Store {
    /// Notes what a run told of people for whom it did nothing. Whoever was told of, or sent something, by a run that
    /// began later stays as that one left them, and what this one told is its own only.
    pub async fn record_lines(
        &self,
        tenure: &Tenure,
        run: i64,
        of: LineScope,
        records: &mut Spool<ActionRecord>,
    ) -> Result<(), StoreError> {
        let spooled = |error| StoreError::Database(format!("cannot read temporary data: {error}"));
        let mut kept: Vec<i64> = Vec::new();
        let mut batch: Vec<ActionRecord> = Vec::new();
        let mut lines = records.iter().map_err(spooled)?.peekable();
        let mut rest = match &of {
            LineScope::These(people) => people.clone(),
            LineScope::Everybody | LineScope::AReturn => HashSet::new(),
        };
        while let Some(line) = lines.next() {
            let line = line.map_err(spooled)?;
            if is_told(&line) {
                line.source_id.as_ref().map(|id| rest.remove(id));
                batch.push(line);
            }
            if batch.len() >= BATCH || (lines.peek().is_none() && !batch.is_empty()) {
                kept.extend(self.note_lines(tenure, run, &of, std::mem::take(&mut batch)).await?);
            }
        }
        match of {
            LineScope::Everybody => self.end_all_but(tenure, run, kept).await?,
            LineScope::These(_) => self.end_of(tenure, run, rest.into_iter().collect()).await?,
            LineScope::AReturn => {}
        }
        let how = if of == LineScope::Everybody { "all" } else { "some" };
        self.transact_as(tenure, move |transaction, _| {
            transaction.execute("UPDATE run SET told = ?2 WHERE id = ?1", params![run, how])?;
            Ok(())
        })
        .await
    }

    /// Notes some lines; gives the rows that they leave standing.
    async fn note_lines(
        &self,
        tenure: &Tenure,
        run: i64,
        of: &LineScope,
        lines: Vec<ActionRecord>,
    ) -> Result<Vec<i64>, StoreError> {
        let (of_all, of_a_return) = (*of == LineScope::Everybody, *of == LineScope::AReturn);
        self.transact_as(tenure, move |transaction, tenure| {
            let mut rows = Vec::with_capacity(lines.len());
            for line in &lines {
                let noted = if of_a_return {
                    Some(alone(transaction, &tenure.sync, run, None, line)?)
                } else {
                    note_line(transaction, &tenure.sync, run, line)?
                };
                let Some(Noted { row, alone, beside }) = noted else { continue };
                rows.push(row);
                rows.extend(beside);
                if alone || !of_all {
                    transaction
                        .prepare_cached("INSERT OR IGNORE INTO told_by (run, told) VALUES (?1, ?2)")?
                        .execute(params![run, row])?;
                }
            }
            Ok(rows)
        })
        .await
    }

    /// Ends every row that is still open but these.
    async fn end_all_but(&self, tenure: &Tenure, run: i64, mut kept: Vec<i64>) -> Result<(), StoreError> {
        kept.sort_unstable();
        let kept = std::sync::Arc::new(kept);
        let mut after = String::new();
        loop {
            let (kept, from) = (kept.clone(), after.clone());
            let last = self.transact_as(tenure, move |transaction, tenure| {
                    let mut page = transaction.prepare_cached(
                        "SELECT id, source_id FROM told
                         WHERE sync = ?1 AND until_run IS NULL AND source_id > ?2 ORDER BY source_id LIMIT ?3",
                    )?;
                    let open = page.query_map(params![tenure.sync, from, BATCH as i64], |row| {
                        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                    })?;
                    let open: Vec<(i64, String)> = open.collect::<Result<_, _>>()?;
                    for (row, _) in open.iter().filter(|(row, _)| kept.binary_search(row).is_err()) {
                        end(transaction, *row, run)?;
                    }
                    Ok(open.into_iter().next_back().map(|(_, id)| id))
                })
                .await?;
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// Ends the rows of people who were looked at and have no line.
    async fn end_of(&self, tenure: &Tenure, run: i64, people: Vec<SourceId>) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            for person in &people {
                if let Some((row, _, _)) = open_row(transaction, &tenure.sync, person.as_str())? {
                    end(transaction, row, run)?;
                }
            }
            Ok(())
        })
        .await
    }
}

impl Snapshot {
    /// How many lines are on record, and how many of them are still true.
    pub async fn told_count(&self, sync: &str) -> Result<(u64, u64), StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            Ok(transaction.query_row(
                "SELECT count(*), coalesce(sum(until_run IS NULL), 0) FROM told WHERE sync = ?1",
                [&sync],
                |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
            )?)
        })
        .await
    }
}

/// Whether a line is about somebody for whom nothing was done; the journal has the others.
fn is_told(line: &ActionRecord) -> bool {
    match line.outcome {
        Outcome::Held | Outcome::Deferred | Outcome::Disabled | Outcome::Skipped | Outcome::Failed => true,
        Outcome::Planned | Outcome::Applied => false,
    }
}

/// Where a line is on record.
struct Noted {
    /// The row that says it.
    row: i64,
    /// The row is about this run and no other.
    alone: bool,
    /// The row that is still true of the person, where that is another one.
    beside: Option<i64>,
}

/// Notes one line; nothing where it is about nobody whom the source knows.
fn note_line(
    transaction: &Transaction<'_>,
    sync: &str,
    run: i64,
    line: &ActionRecord,
) -> Result<Option<Noted>, StoreError> {
    let Some(person) = &line.source_id else { return Ok(None) };
    let open = open_row(transaction, sync, person.as_str())?;
    let text = serde_json::to_string(line)?;
    let as_before = |row| Ok(Some(Noted { row, alone: false, beside: None }));
    if let Some((row, first_run, stored)) = &open
        && *stored == text
        && *first_run <= run
    {
        return as_before(*row);
    }
    let same = match &open {
        Some((row, first_run, stored)) if *first_run <= run => {
            says_the_same(&aliases::read(stored)?, line).then_some(*row)
        }
        Some(_) | None => None,
    };
    match (same, a_newer_run_knows_better(transaction, sync, person.as_str(), run)?) {
        (Some(row), true) => return as_before(row),
        (Some(row), false) => {
            transaction
                .prepare_cached("UPDATE told SET record = ?2 WHERE id = ?1")?
                .execute(params![row, text])?;
            return as_before(row);
        }
        (None, true) => {
            let beside = open.map(|(row, _, _)| row);
            return alone(transaction, sync, run, beside, line).map(Some);
        }
        (None, false) => {}
    }
    if let Some((row, _, _)) = open {
        end(transaction, row, run)?;
    }
    as_before(insert(transaction, sync, run, None, line)?)
}

/// Notes a line that is about one run and no other.
fn alone(
    transaction: &Transaction<'_>,
    sync: &str,
    run: i64,
    beside: Option<i64>,
    line: &ActionRecord,
) -> Result<Noted, StoreError> {
    let row = insert(transaction, sync, run, Some(run + 1), line)?;
    Ok(Noted { row, alone: true, beside })
}

/// Whether two lines differ at most in words that change from run to run.
fn says_the_same(before: &ActionRecord, now: &ActionRecord) -> bool {
    match now.outcome {
        Outcome::Held | Outcome::Deferred | Outcome::Failed => {
            let ActionRecord { detail, status, attempts, .. } = now;
            let reworded = ActionRecord {
                detail: detail.clone(),
                status: *status,
                attempts: *attempts,
                owed_since: now.owed_since,
                ..before.clone()
            };
            reworded == *now
        }
        Outcome::Disabled | Outcome::Skipped | Outcome::Planned | Outcome::Applied => {
            ActionRecord { owed_since: now.owed_since, ..before.clone() } == *now
        }
    }
}

fn open_row(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
) -> Result<Option<(i64, i64, String)>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, first_run, record FROM told WHERE sync = ?1 AND source_id = ?2 AND until_run IS NULL",
    )?;
    let row = statement.query_row(params![sync, person], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(row.optional()?)
}

/// Whether a run that began later told of somebody, or sent them something. Wherever [`end`] leaves an open row as it
/// is, this is so too: there is never a second one.
fn a_newer_run_knows_better(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
    run: i64,
) -> Result<bool, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM told
                        WHERE sync = ?1 AND source_id = ?2 AND (until_run > ?3 OR first_run > ?3))
             OR EXISTS (SELECT 1 FROM told JOIN told_by ON told_by.told = told.id
                        WHERE told.sync = ?1 AND told.source_id = ?2 AND told_by.run > ?3)
             OR EXISTS (SELECT 1 FROM journal WHERE sync = ?1 AND source_id = ?2 AND run > ?3)
             OR EXISTS (SELECT 1 FROM run WHERE id > ?3 AND +sync = ?1 AND told = 'all')",
    )?;
    Ok(statement.query_row(params![sync, person, run], |row| row.get(0))?)
}

fn insert(
    transaction: &Transaction<'_>,
    sync: &str,
    run: i64,
    until: Option<i64>,
    line: &ActionRecord,
) -> Result<i64, StoreError> {
    let person = line.source_id.as_ref().map(SourceId::as_str).unwrap_or_default();
    transaction
        .prepare_cached(
            "INSERT INTO told (sync, source_id, user_name, user_name_key, first_run, until_run, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            sync,
            person,
            line.user,
            fold_address(&line.user),
            run,
            until,
            serde_json::to_string(line)?
        ])?;
    Ok(transaction.last_insert_rowid())
}

/// Ends a row, unless a run that began later has begun it or told it again.
fn end(transaction: &Transaction<'_>, row: i64, run: i64) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE told SET until_run = ?2
             WHERE id = ?1 AND first_run <= ?2
               AND NOT EXISTS (SELECT 1 FROM told_by WHERE told = ?1 AND run > ?2)
               AND NOT EXISTS (SELECT 1 FROM run
                               WHERE run.id > ?2 AND +run.sync = told.sync AND run.told = 'all')",
        )?
        .execute(params![row, run])?;
    Ok(())
}

/// The line that is still true of one person.
pub(crate) fn told_now(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
) -> Result<Option<Told>, StoreError> {
    let Some((_, first_run, record)) = open_row(transaction, sync, person)? else { return Ok(None) };
    let since: Option<i64> = transaction
        .query_row("SELECT started_at FROM run WHERE id = ?1", [first_run], |row| row.get(0))
        .optional()?;
    Ok(Some(Told { record: aliases::read(&record)?, first_run, since: since.map(Millis) }))
}

/// Which lines of a run are on record, as a condition on `told`; `?1` is the run. `None` = none are.
pub(crate) fn lines_of(transaction: &Transaction<'_>, run: i64) -> Result<Option<&'static str>, StoreError> {
    let how: Option<String> =
        transaction.query_row("SELECT told FROM run WHERE id = ?1", [run], |row| row.get(0))?;
    Ok(match how.as_deref() {
        Some("all") => Some(
            "(told.id IN (SELECT told FROM told_by WHERE run = ?1)
              OR (told.sync = (SELECT sync FROM run WHERE id = ?1) AND told.first_run <= ?1
                  AND (told.until_run IS NULL OR told.until_run > ?1)
                  AND NOT EXISTS (SELECT 1 FROM told_by JOIN told AS own ON own.id = told_by.told
                                  WHERE told_by.run = ?1
                                    AND own.sync = told.sync AND own.source_id = told.source_id)))",
        ),
        Some(_) => Some("told.id IN (SELECT told FROM told_by WHERE run = ?1)"),
        None => None,
    })
}

/// Adds the lines that meet [`lines_of`].
pub(crate) fn add_lines(
    transaction: &Transaction<'_>,
    run: i64,
    which: &str,
    records: &mut Spool<ActionRecord>,
) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare(&format!("SELECT told.record FROM told WHERE {which} {IN_ORDER}"))?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        let record: ActionRecord = aliases::read(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        let written = records.push(&record);
        written.map_err(|error| StoreError::Database(format!("cannot write temporary data: {error}")))?;
    }
    Ok(())
}
