//! The past as the journal holds it: runs, one run again, and every attempt for one person.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Deserialize;

use crate::model::aliases;
use crate::model::history::{Attempt, AttemptOutcome, RunLine};
use crate::model::id::{SourceId, TargetId};
use crate::model::plan::{Change, Situation};
use crate::model::report::{ActionRecord, Outcome, RunFacts};
use crate::model::time::Millis;
use crate::spool::Spool;
use crate::store::read::decided_holds::note_decisions;
use crate::store::record::report_line::{add_lines, lines_of};
use crate::store::rows::people;
use crate::store::rows::verb_of;
use crate::store::rows::{result_of, trigger_of};
use crate::store::{Snapshot, StoreError};

/// What stands where a name was erased.
pub(crate) const ERASED: &str = "(erased)";

/// Which part of the past is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Of these syncs; empty = of all.
    pub syncs: Vec<String>,
    /// Not older than this.
    pub since: Option<Millis>,
    /// Only what failed: runs that did not do all they wanted, attempts that were refused.
    pub failed: bool,
    /// At most so many, the newest.
    pub limit: u32,
}

/// One run, put together again.
#[derive(Debug)]
pub struct RunAgain {
    /// As they were recorded at its end; `None` where it has none.
    pub facts: Option<RunFacts>,
    /// Its place in the list.
    pub line: RunLine,
    /// Everybody whom it listed, where that is on record.
    pub records: Spool<ActionRecord>,
    /// Whether the lines of those for whom nothing was done are among them; else they are not on record.
    pub whole: bool,
}

/// What is shown of an intent. Its other fields are for settling it.
#[derive(Deserialize)]
struct Sent {
    user: String,
    target_id: Option<TargetId>,
    situation: Situation,
    reason: String,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Ended {
    status: Option<u16>,
    detail: Option<String>,
    attempts: u32,
}

const RUN_COLUMNS: &str = "id, sync, trigger, result, started_at, finished_at, facts ->> '$.source.users',
     coalesce(facts ->> '$.source.complete', 0), facts -> '$.summary',
     coalesce(facts ->> '$.source.problem', facts ->> '$.target.problem',
              iif(result = 'error', facts ->> '$.notes[#-1]', NULL)), coalesce(actor, undone_by)";

const ATTEMPTS: &str = "SELECT sent.at, ended.at, sent.run, sent.sync, sent.verb, sent.source_id, sent.payload,
            sent.approved_by, ended.outcome, ended.payload,
            (SELECT target_id FROM link WHERE link.sync = sent.sync AND link.source_id = sent.source_id), sent.seq
     FROM journal AS sent LEFT JOIN journal AS ended
       ON ended.sync = sent.sync AND ended.source_id = sent.source_id AND ended.intent = sent.seq
     WHERE sent.kind = 'intent'";

impl Snapshot {
    /// Runs, the newest first.
    pub async fn runs(&self, past: Past) -> Result<Vec<RunLine>, StoreError> {
        self.runs_before(past, None).await
    }

    /// Runs with a smaller number than this, the newest first.
    pub async fn runs_before(&self, past: Past, before: Option<i64>) -> Result<Vec<RunLine>, StoreError> {
        self.transact(move |transaction| runs_in(transaction, &past, before)).await
    }

    /// One run with everybody whom it listed; `None` where there is no such run.
    pub async fn run_again(&self, run: i64) -> Result<Option<RunAgain>, StoreError> {
        self.transact(move |transaction| {
            let sql = format!("SELECT {RUN_COLUMNS}, facts FROM run WHERE id = ?1");
            let found = transaction
                .query_row(&sql, [run], |row| Ok((run_line(row), row.get::<_, Option<String>>(11)?)))
                .optional()?;
            let Some((line, facts)) = found else { return Ok(None) };
            let mut facts: Option<RunFacts> = facts.map(|text| aliases::read(&text)).transpose()?;
            if let Some(facts) = &mut facts {
                note_decisions(transaction, facts, Millis::now())?;
            }
            let told = lines_of(transaction, run)?;
            let mut records = records_of(transaction, run, told)?;
            if let Some(which) = told {
                add_lines(transaction, run, which, &mut records)?;
            }
            Ok(Some(RunAgain { facts, line: line?, records, whole: told.is_some() }))
        })
        .await
    }

    /// Every attempt for the people whom a login, a source id or a target id means or meant, the newest first.
    pub async fn attempts(&self, who: &str, past: Past) -> Result<Vec<Attempt>, StoreError> {
        let who = who.to_owned();
        self.transact(move |transaction| {
            let sql = format!(
                "{ATTEMPTS} AND sent.sync = ?1 AND sent.source_id = ?2 AND (?3 IS NULL OR sent.at >= ?3)
                   AND (NOT ?4 OR ended.outcome = 'refused')
                 ORDER BY sent.seq DESC LIMIT ?5"
            );
            let since = past.since.map(|since| since.0);
            let mut statement = transaction.prepare(&sql)?;
            let mut found: Vec<(i64, Attempt)> = Vec::new();
            for (sync, id) in people(transaction, &who)? {
                if !past.syncs.is_empty() && !past.syncs.contains(&sync) {
                    continue;
                }
                let values = params![sync, id, since, past.failed, past.limit];
                let rows = statement.query_map(values, |row| Ok((row.get::<_, i64>(11)?, attempt(row))))?;
                for row in rows {
                    let (seq, attempt) = row?;
                    found.push((seq, attempt?.0));
                }
            }
            found.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
            found.truncate(past.limit as usize);
            Ok(found.into_iter().map(|(_, attempt)| attempt).collect())
        })
        .await
    }
}

pub(crate) fn runs_in(
    transaction: &Transaction<'_>,
    past: &Past,
    before: Option<i64>,
) -> Result<Vec<RunLine>, StoreError> {
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM run
         WHERE (?1 = '[]' OR sync IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR started_at >= ?2)
           AND (NOT ?3 OR result NOT IN ('ok', 'held')) AND (?5 IS NULL OR id < ?5)
         ORDER BY id DESC LIMIT ?4"
    );
    let syncs = serde_json::to_string(&past.syncs)?;
    let mut statement = transaction.prepare(&sql)?;
    let since = past.since.map(|since| since.0);
    let values = params![syncs, since, past.failed, past.limit, before];
    let rows = statement.query_map(values, |row| Ok(run_line(row)))?;
    rows.map(|row| row?).collect()
}

/// The last attempts for one person, the newest first.
pub(crate) fn attempts_of(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
    limit: u32,
) -> Result<Vec<Attempt>, StoreError> {
    let sql =
        format!("{ATTEMPTS} AND sent.sync = ?1 AND sent.source_id = ?2 ORDER BY sent.seq DESC LIMIT ?3");
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(params![sync, person, limit], |row| Ok(attempt(row)))?;
    rows.map(|row| Ok(row??.0)).collect()
}

/// The last thing that a run sent for each person, in the order in which it was sent. Of whom it told something else
/// in the end is not among them.
fn records_of(
    transaction: &Transaction<'_>,
    run: i64,
    told: Option<&str>,
) -> Result<Spool<ActionRecord>, StoreError> {
    let but = told.map(|which| {
        format!(
            "AND NOT EXISTS (SELECT 1 FROM told
                             WHERE told.sync = sent.sync AND told.source_id = sent.source_id AND {which})"
        )
    });
    let sql = last_attempts(&but.unwrap_or_default());
    let mut statement = transaction.prepare(&sql)?;
    let mut records = Spool::default();
    let rows = statement.query_map([run], |row| Ok(attempt(row)))?;
    for row in rows {
        let (attempt, situation) = row??;
        let written = records.push(&record_of(attempt, situation));
        written.map_err(|error| StoreError::Database(format!("cannot write temporary data: {error}")))?;
    }
    Ok(records)
}

/// The last attempt of a run for each person. `later` is found by person and not by run (the sign says so): else each
/// entry would walk the rest of its run.
fn last_attempts(but: &str) -> String {
    format!(
        "{ATTEMPTS} AND sent.run = ?1
           AND NOT EXISTS (SELECT 1 FROM journal AS later
                           WHERE later.sync = sent.sync AND later.source_id = sent.source_id
                             AND later.seq > sent.seq AND +later.run = sent.run AND later.kind = 'intent')
           {but}
         ORDER BY sent.seq"
    )
}

fn record_of(attempt: Attempt, situation: Situation) -> ActionRecord {
    let unknown = "the outcome is not on record (yet)".to_owned();
    let (outcome, detail) = match attempt.outcome {
        AttemptOutcome::Applied => (Outcome::Applied, attempt.detail),
        AttemptOutcome::Refused => (Outcome::Failed, attempt.detail),
        AttemptOutcome::NotSent => (Outcome::Deferred, attempt.detail),
        AttemptOutcome::Unknown => (Outcome::Failed, attempt.detail.or(Some(unknown))),
    };
    ActionRecord {
        action: attempt.action,
        user: attempt.user,
        source_id: Some(attempt.source_id),
        target_id: attempt.target_id,
        situation,
        reason: attempt.reason,
        changes: attempt.changes,
        outcome,
        status: attempt.status,
        detail,
        attempts: attempt.requests,
        cause: None,
        waits_for: None,
        owed_since: None,
    }
}

fn run_line(row: &Row<'_>) -> Result<RunLine, StoreError> {
    let summary: Option<String> = row.get(8)?;
    Ok(RunLine {
        run: row.get(0)?,
        sync: row.get(1)?,
        trigger: trigger_of(row, 2)?,
        by: row.get(10)?,
        result: result_of(row, 3)?,
        started_at: Millis(row.get(4)?),
        finished_at: row.get::<_, Option<i64>>(5)?.map(Millis),
        people: row.get::<_, Option<i64>>(6)?.map(|people| people as u64),
        complete: row.get(7)?,
        summary: summary.map(|text| aliases::read(&text)).transpose()?,
        problem: row.get(9)?,
    })
}

/// A payload that was erased leaves who, when, what and how it ended.
fn attempt(row: &Row<'_>) -> Result<(Attempt, Situation), StoreError> {
    let sent: Option<Sent> = parsed(row, 6)?;
    let sent = sent.unwrap_or_else(|| Sent {
        user: ERASED.to_owned(),
        target_id: None,
        situation: Situation::Confirmed,
        reason: "erased".to_owned(),
        changes: Vec::new(),
    });
    let ended: Option<Ended> = parsed(row, 9)?;
    let ended = ended.unwrap_or(Ended { status: None, detail: None, attempts: 0 });
    let outcome: Option<String> = row.get(8)?;
    let outcome = match outcome.as_deref() {
        Some("applied") => AttemptOutcome::Applied,
        Some("refused") => AttemptOutcome::Refused,
        Some("not_sent") => AttemptOutcome::NotSent,
        Some(_) | None => AttemptOutcome::Unknown,
    };
    // A creation learns the account's id from the answer; the link has it.
    let linked = row.get::<_, Option<String>>(10)?.filter(|_| outcome == AttemptOutcome::Applied);
    let attempt = Attempt {
        at: Millis(row.get(0)?),
        ended_at: row.get::<_, Option<i64>>(1)?.map(Millis),
        run: row.get(2)?,
        sync: row.get(3)?,
        action: verb_of(&row.get::<_, String>(4)?),
        source_id: SourceId::new(row.get::<_, String>(5)?),
        user: sent.user,
        target_id: sent.target_id.or(linked.map(TargetId::new)),
        reason: sent.reason,
        changes: sent.changes,
        approved_by: row.get(7)?,
        outcome,
        status: ended.status,
        detail: ended.detail,
        requests: ended.attempts,
    };
    Ok((attempt, sent.situation))
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.get(index)?;
    Ok(text.map(|text| aliases::read(&text)).transpose()?)
}

#[cfg(test)]
mod tests {
    use crate::store::record::sample_tests::Book;

    #[tokio::test]
    async fn a_large_run_told_again_is_not_walked_once_for_each_of_its_people() {
        let book = Book::new().await;
        let sql = format!("EXPLAIN QUERY PLAN {}", crate::store::read::history::last_attempts(""));
        let copy = book.copy().await;
        let connection = copy.open();
        let mut statement = connection.prepare(&sql).unwrap();
        let steps = statement.query_map([1], |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = steps.map(Result::unwrap).collect();
        let later = plan.iter().find(|step| step.contains("later")).unwrap();
        assert!(later.contains("journal_person (sync=? AND source_id=? AND seq>?)"), "{plan:#?}");
    }
}
