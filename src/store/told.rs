//! What runs told of people for whom nothing was done and who are not unchanged: out of scope, waiting, held, held back,
//! refused.
//!
//! One row holds for as long as the line stays the same: a quiet run only compares, a line that changed ends its row and
//! begins another, and a run that listed everybody ends the rows of those who have no line any more. A run of named
//! people touches theirs only.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Snapshot, Spool, Store, StoreError, Tenure};
use crate::core::explain::Told;
use crate::core::normalize::fold_address;
use crate::model::id::SourceId;
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;

/// Lines of one transaction.
const BATCH: usize = 2000;

/// Lines in the order in which a report tells them.
const IN_ORDER: &str = "ORDER BY instr('deactivate delete update reactivate adopt create hold-back skip',
                                       told.record ->> '$.action'), told.id";

/// Whose lines a run gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldOf {
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
    pub async fn note_told(
        &self,
        tenure: &Tenure,
        run: i64,
        of: ToldOf,
        records: &mut Spool<ActionRecord>,
    ) -> Result<(), StoreError> {
        let spooled = |error| StoreError::Database(format!("cannot read temporary data: {error}"));
        let mut kept: Vec<i64> = Vec::new();
        let mut batch: Vec<ActionRecord> = Vec::new();
        let mut lines = records.iter().map_err(spooled)?.peekable();
        let mut rest = match &of {
            ToldOf::These(people) => people.clone(),
            ToldOf::Everybody | ToldOf::AReturn => HashSet::new(),
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
            ToldOf::Everybody => self.end_all_but(tenure, run, kept).await?,
            ToldOf::These(_) => self.end_of(tenure, run, rest.into_iter().collect()).await?,
            ToldOf::AReturn => {}
        }
        let (tenure, how) = (tenure.clone(), if of == ToldOf::Everybody { "all" } else { "some" });
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                transaction.execute("UPDATE run SET told = ?2 WHERE id = ?1", params![run, how])?;
                Ok(())
            })
            .await
    }

    /// Notes some lines; gives the rows that hold for the people they are about.
    async fn note_lines(
        &self,
        tenure: &Tenure,
        run: i64,
        of: &ToldOf,
        lines: Vec<ActionRecord>,
    ) -> Result<Vec<i64>, StoreError> {
        let (tenure, of_all, of_a_return) =
            (tenure.clone(), *of == ToldOf::Everybody, *of == ToldOf::AReturn);
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let mut rows = Vec::with_capacity(lines.len());
                for line in &lines {
                    let row = if of_a_return {
                        Some(insert(transaction, &tenure.sync, run, Some(run + 1), line)?)
                    } else {
                        note_line(transaction, &tenure.sync, run, line)?
                    };
                    let Some(row) = row else { continue };
                    rows.push(row);
                    if !of_all {
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
            let (tenure, kept, from) = (tenure.clone(), kept.clone(), after.clone());
            let last = self
                .snapshot
                .transact(move |transaction| {
                    tenure.check(transaction)?;
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
        let tenure = tenure.clone();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                for person in &people {
                    if let Some((row, _, _)) = open_row(transaction, &tenure.sync, person.as_str())? {
                        end(transaction, row, run)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// Forgets every line about one person. Gives how many there were.
    pub async fn erase_told(&self, sync: &str, person: &SourceId) -> Result<u64, StoreError> {
        let (sync, person) = (sync.to_owned(), person.clone());
        self.snapshot.transact(move |transaction| erase_told(transaction, &sync, &person)).await
    }

    /// Forgets the lines that had ended before a run. Gives how many there were.
    pub async fn prune_told(&self, before_run: i64) -> Result<u64, StoreError> {
        self.snapshot.transact(move |transaction| prune_told(transaction, before_run)).await
    }
}

/// [`Store::erase_told`], as part of a larger transaction.
pub(super) fn erase_told(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &SourceId,
) -> Result<u64, StoreError> {
    let rows = transaction
        .execute("DELETE FROM told WHERE sync = ?1 AND source_id = ?2", params![sync, person.as_str()])?;
    Ok(rows as u64)
}

/// [`Store::prune_told`], as part of a larger transaction.
pub(super) fn prune_told(transaction: &Transaction<'_>, before_run: i64) -> Result<u64, StoreError> {
    Ok(transaction.execute("DELETE FROM told WHERE until_run <= ?1", [before_run])? as u64)
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

/// Notes one line; gives the row that holds for the person, if any does.
fn note_line(
    transaction: &Transaction<'_>,
    sync: &str,
    run: i64,
    line: &ActionRecord,
) -> Result<Option<i64>, StoreError> {
    let Some(person) = &line.source_id else { return Ok(None) };
    let open = open_row(transaction, sync, person.as_str())?;
    let text = serde_json::to_string(line)?;
    if let Some((row, _, stored)) = &open
        && *stored == text
    {
        return Ok(Some(*row));
    }
    if a_newer_run_knows_better(transaction, sync, person.as_str(), run)? {
        if told_at(transaction, sync, person.as_str(), run)? {
            return Ok(None);
        }
        return insert(transaction, sync, run, Some(run + 1), line).map(Some);
    }
    if let Some((row, _, _)) = open {
        end(transaction, row, run)?;
    }
    insert(transaction, sync, run, None, line).map(Some)
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

fn a_newer_run_knows_better(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
    run: i64,
) -> Result<bool, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM told
                        WHERE sync = ?1 AND source_id = ?2 AND (until_run > ?3 OR first_run > ?3))
             OR EXISTS (SELECT 1 FROM journal WHERE sync = ?1 AND source_id = ?2 AND run > ?3)",
    )?;
    Ok(statement.query_row(params![sync, person, run], |row| row.get(0))?)
}

/// Whether another line holds for the person as of a run.
fn told_at(transaction: &Transaction<'_>, sync: &str, person: &str, run: i64) -> Result<bool, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM told WHERE sync = ?1 AND source_id = ?2 AND first_run <= ?3
                                             AND (until_run IS NULL OR until_run > ?3))",
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

/// Ends a row, unless a run that began later has begun it.
fn end(transaction: &Transaction<'_>, row: i64, run: i64) -> Result<(), StoreError> {
    transaction
        .prepare_cached("UPDATE told SET until_run = ?2 WHERE id = ?1 AND first_run <= ?2")?
        .execute(params![row, run])?;
    Ok(())
}

/// The line that is still true of one person.
pub(super) fn told_now(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
) -> Result<Option<Told>, StoreError> {
    let Some((_, first_run, record)) = open_row(transaction, sync, person)? else { return Ok(None) };
    let since: Option<i64> = transaction
        .query_row("SELECT started_at FROM run WHERE id = ?1", [first_run], |row| row.get(0))
        .optional()?;
    Ok(Some(Told {
        record: serde_json::from_str(&record)?,
        first_run,
        since: Millis(since.unwrap_or_default()),
    }))
}

/// Which lines of a run are on record, as a condition on `told`; `?1` is the run. `None` = none are.
pub(super) fn lines_of(transaction: &Transaction<'_>, run: i64) -> Result<Option<&'static str>, StoreError> {
    let how: Option<String> =
        transaction.query_row("SELECT told FROM run WHERE id = ?1", [run], |row| row.get(0))?;
    Ok(match how.as_deref() {
        Some("all") => Some(
            "told.sync = (SELECT sync FROM run WHERE id = ?1) AND told.first_run <= ?1
             AND (told.until_run IS NULL OR told.until_run > ?1)",
        ),
        Some(_) => Some("told.id IN (SELECT told FROM told_by WHERE run = ?1)"),
        None => None,
    })
}

/// Adds the lines that meet [`lines_of`].
pub(super) fn add_lines(
    transaction: &Transaction<'_>,
    run: i64,
    which: &str,
    records: &mut Spool<ActionRecord>,
) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare(&format!("SELECT told.record FROM told WHERE {which} {IN_ORDER}"))?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        let record: ActionRecord =
            serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        let written = records.push(&record);
        written.map_err(|error| StoreError::Database(format!("cannot write temporary data: {error}")))?;
    }
    Ok(())
}
