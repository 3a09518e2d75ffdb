//! Undo: what a run wrote for each person, what later runs wrote since, and the pins that keep the next run from
//! doing again what was taken back.
//!
//! A return is a run of its own that names the run it takes back. Where it takes back an ordinary run (or the return
//! of a return), its intents pin their people, in the same transaction; where it takes back a return, an acknowledged
//! write lifts the pin instead: the source rules again.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use crate::core::undo::written_paths;
use crate::model::aliases;
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::id::SourceId;
use crate::model::plan::PlannedAction;
use crate::model::report::Trigger;
use crate::model::time::Millis;
use crate::store::state::holds::{APPROVAL_MILLIS, Approvals, approval};
use crate::store::state::pins::known_digest;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// A run that somebody wants to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunToUndo {
    /// The sync it belongs to.
    pub sync: String,
    /// Whether it has no end yet and was begun by whoever writes for its sync now.
    pub goes_on: bool,
    /// People for whom it wrote something that was acknowledged.
    pub people: u64,
}

/// What a run wrote for one person, and what happened since.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// What was acknowledged, in the order in which it was sent.
    pub applied: Vec<PlannedAction>,
    /// What later runs wrote again, and the last of them.
    pub written_since: BTreeMap<AttributePath, i64>,
    /// Where the person stood at the source when a run last looked.
    pub source_digest: Option<Digest>,
}

impl Snapshot {
    /// A run by its number; `None` where there is none.
    pub async fn run_to_undo(&self, run: i64) -> Result<Option<RunToUndo>, StoreError> {
        self.transact(move |transaction| {
            Ok(transaction
                .query_row(
                    "SELECT run.sync, run.finished_at IS NULL AND run.epoch = sync.epoch,
                            (SELECT count(DISTINCT source_id) FROM journal
                             WHERE journal.run = run.id AND kind = 'outcome' AND outcome = 'applied'
                               AND payload IS NOT NULL)
                     FROM run JOIN sync ON sync.name = run.sync WHERE run.id = ?1",
                    [run],
                    |row| {
                        let people: i64 = row.get(2)?;
                        Ok(RunToUndo { sync: row.get(0)?, goes_on: row.get(1)?, people: people as u64 })
                    },
                )
                .optional()?)
        })
        .await
    }

    /// Everybody for whom a run wrote something that was acknowledged, in the order in which it was sent.
    pub async fn written_by(&self, sync: &str, run: i64) -> Result<Vec<SourceId>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id FROM journal
                 WHERE run = ?1 AND sync = ?2 AND kind = 'outcome' AND outcome = 'applied' AND payload IS NOT NULL
                 GROUP BY source_id ORDER BY min(intent)",
            )?;
            let rows =
                statement.query_map(params![run, sync], |row| Ok(SourceId::new(row.get::<_, String>(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What a run wrote for one person, and what happened since.
    pub async fn trace(&self, sync: &str, run: i64, person: &SourceId) -> Result<Trace, StoreError> {
        let (sync, person, key) = (sync.to_owned(), person.clone(), self.digest_key());
        self.transact(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT sent.run, sent.payload FROM journal AS sent JOIN journal AS ended
                   ON ended.sync = sent.sync AND ended.source_id = sent.source_id AND ended.intent = sent.seq
                 WHERE sent.sync = ?1 AND sent.source_id = ?2 AND sent.kind = 'intent' AND ended.outcome = 'applied'
                   AND sent.payload IS NOT NULL
                   AND sent.seq >= (SELECT min(seq) FROM journal WHERE sync = ?1 AND source_id = ?2 AND run = ?3)
                 ORDER BY sent.seq",
            )?;
            let rows = statement.query_map(params![sync, person.as_str(), run], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })?;
            let mut trace = Trace::default();
            for row in rows {
                let (by, payload) = row?;
                let action: PlannedAction = aliases::read(&payload)?;
                if by == run {
                    written_paths(&action).iter().for_each(|path| {
                        trace.written_since.remove(path);
                    });
                    trace.applied.push(action);
                } else {
                    trace.written_since.extend(written_paths(&action).into_iter().map(|path| (path, by)));
                }
            }
            trace.source_digest = known_digest(transaction, &key, &sync, &person)?;
            Ok(trace)
        })
        .await
    }

    /// Pairs that somebody approved for the return of a run, and that have not been sent yet.
    pub async fn approvals_of_return(
        &self,
        sync: &str,
        run: i64,
        now: Millis,
    ) -> Result<Approvals, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, action, content FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
                 WHERE hold.sync = ?1 AND hold_pair.state = 'approved' AND hold_pair.approved_at > ?2
                   AND hold_pair.undoes = ?3",
            )?;
            let rows = statement.query_map(params![sync, now.0 - APPROVAL_MILLIS, run], approval)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl Store {
    /// Begins a run that takes back another one, and gives its number.
    pub async fn begin_return(
        &self,
        tenure: &Tenure,
        undoes: i64,
        by: &str,
        now: Millis,
    ) -> Result<i64, StoreError> {
        let run = self.begin_run(tenure, Trigger::Undo, false, false, now).await?;
        let by = by.to_owned();
        self.transact_as(tenure, move |transaction, _| {
            transaction.execute(
                "UPDATE run SET undoes = ?2, undone_by = ?3 WHERE id = ?1",
                params![run, undoes, by],
            )?;
            Ok(run)
        })
        .await
    }
}
