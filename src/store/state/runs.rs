//! Syncs and their runs: what a sync is bound to, who may write, how runs ended, who keeps failing.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::quarantine::{Health, Refused, RunEnd, Side};
use crate::model::digest::Digest;
use crate::model::order::OrderNumber;
use crate::model::report::{RunFacts, Trigger};
use crate::model::time::Millis;
use crate::store::record::chain;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// How long a look at one person is remembered.
const LOOK_MILLIS: i64 = 24 * 3600 * 1000;

/// What a sync's links belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// `okta` or `onelogin`.
    pub source_kind: String,
    /// Origin of the source.
    pub source_origin: String,
    /// App id.
    pub source_app: String,
    /// SCIM base URL, normalised.
    pub target_url: String,
}

/// How many links there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// All links.
    pub links: u64,
    /// Active accounts.
    pub active: u64,
    /// Billable accounts that exist, active or not.
    pub billable: u64,
}

/// What a run's end says of the health of its sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunHealth {
    /// As its result says.
    ByResult,
    /// It failed because either side refused the credentials.
    CredentialsRefused,
    /// Nothing: what was asked for did not fit, and both sides are as they were.
    Nothing,
}

impl RunHealth {
    /// What the end of a run says of its sync's health; `None` = nothing.
    pub fn end_of(self, facts: &RunFacts, full: bool) -> Option<RunEnd> {
        let credentials_refused = match self {
            RunHealth::Nothing => return None,
            RunHealth::CredentialsRefused => true,
            RunHealth::ByResult => false,
        };
        Some(RunEnd {
            full,
            result: facts.result,
            credentials_refused,
            wrote: facts.summary.writes() > 0,
            at: facts.finished_at,
            reason: facts.problem().unwrap_or_else(|| facts.result.as_str()).to_owned(),
        })
    }
}

/// The workspace that a sync is bound to.
pub(crate) fn target_url_of(transaction: &Transaction<'_>, sync: &str) -> Result<String, StoreError> {
    let url: Option<String> =
        transaction.query_row("SELECT target_url FROM sync WHERE name = ?1", [sync], |row| row.get(0))?;
    Ok(url.unwrap_or_default())
}

impl Store {
    /// Takes the right to write for a sync, from whoever had it.
    pub async fn seize(&self, sync: &str) -> Result<Tenure, StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| {
                let epoch: i64 = transaction.query_row(
                    "UPDATE epoch_sequence SET epoch = epoch + 1 RETURNING epoch",
                    [],
                    |row| row.get(0),
                )?;
                transaction.execute(
                    "INSERT INTO sync (name, epoch) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch",
                    params![sync, epoch],
                )?;
                Ok(Tenure { sync, epoch })
            })
            .await
    }

    /// Binds a sync to its source and workspace. The caller has compared with what was bound before.
    pub async fn bind(&self, tenure: &Tenure, binding: Binding) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            transaction.execute(
                "UPDATE sync SET source_kind = ?2, source_origin = ?3, source_app = ?4, target_url = ?5
                     WHERE name = ?1",
                params![
                    tenure.sync,
                    binding.source_kind,
                    binding.source_origin,
                    binding.source_app,
                    binding.target_url
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Begins a run and gives its number. Numbers are unique over the state.
    pub async fn begin_run(
        &self,
        tenure: &Tenure,
        trigger: Trigger,
        full: bool,
        unattended: bool,
        now: Millis,
    ) -> Result<i64, StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            let active = known_active(transaction, &tenure.sync)?;
            transaction.execute(
                "INSERT INTO run (sync, epoch, trigger, is_full, started_at, active, unattended, number)
                     VALUES (?1, ?2, ?3, ?5, ?4, ?8, ?6, ?7)",
                params![
                    tenure.sync,
                    tenure.epoch,
                    trigger.as_str(),
                    now.0,
                    full,
                    unattended,
                    OrderNumber::next().in_epoch(tenure.epoch).get(),
                    active
                ],
            )?;
            let run = transaction.last_insert_rowid();
            if full {
                transaction.execute("UPDATE sync SET runs = runs + 1 WHERE name = ?1", [&tenure.sync])?;
                // No run goes on for longer than that with what it read at its beginning.
                transaction.execute(
                    "DELETE FROM look WHERE sync = ?1 AND observed_at < ?2",
                    params![tenure.sync, now.0 - LOOK_MILLIS],
                )?;
            }
            Ok(run)
        })
        .await
    }

    /// Records who started a run by hand.
    pub async fn note_actor(&self, run: i64, by: &str) -> Result<(), StoreError> {
        let by = by.to_owned();
        self.snapshot
            .transact(move |transaction| {
                transaction.execute("UPDATE run SET actor = ?2 WHERE id = ?1", params![run, by])?;
                Ok(())
            })
            .await
    }

    /// Records how a run ended, and the head of the journal's chain with it. Gives the head, for the log.
    pub async fn finish_run(
        &self,
        tenure: &Tenure,
        facts: RunFacts,
        verdict: RunHealth,
    ) -> Result<String, StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            let head = chain::head(transaction)?;
            note_health(transaction, tenure, &facts, verdict)?;
            transaction.execute(
                "UPDATE run SET finished_at = ?2, result = ?3, facts = ?4, chain_head = ?5, chain_seq = ?7,
                         active = max(active, ?6)
                     WHERE id = ?1",
                params![
                    facts.run,
                    facts.finished_at.0,
                    facts.result.as_str(),
                    serde_json::to_string(&facts)?,
                    head.chain,
                    known_active(transaction, &tenure.sync)?,
                    head.seq
                ],
            )?;
            Ok(chain::hex(&head.chain))
        })
        .await
    }

    /// Remembers a digest over the secrets of a run that failed; `None` after one that did not.
    pub async fn note_secrets(&self, sync: &str, digest: Option<Digest>) -> Result<(), StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| {
                transaction.execute(
                    "UPDATE sync SET secrets = ?2 WHERE name = ?1",
                    params![sync, digest.map(|digest| digest.0.to_vec())],
                )?;
                Ok(())
            })
            .await
    }

    /// Remembers what a sync's target was seen to do. A hint, so it asks for no tenure.
    pub async fn save_profile(&self, sync: &str, profile: String) -> Result<(), StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| {
                transaction
                    .execute("UPDATE sync SET profile = ?2 WHERE name = ?1", params![sync, profile])?;
                Ok(())
            })
            .await
    }
}

/// Counts what this end says of the sync's health.
/// Active accounts, for the share that a limit allows. An unknown outcome counts as sent: whose removal nobody can tell of
/// may be gone since long, and is settled by this run or a later one.
fn known_active(transaction: &Transaction<'_>, sync: &str) -> Result<i64, StoreError> {
    Ok(transaction.query_row(
        "SELECT count(*) FROM link WHERE sync = ?1 AND state = 'active'
           AND NOT EXISTS (SELECT 1 FROM in_flight JOIN journal ON journal.seq = in_flight.intent
                           WHERE in_flight.sync = link.sync AND in_flight.source_id = link.source_id
                             AND journal.verb IN ('deactivate', 'delete') AND in_flight.overtaken_at IS NULL)",
        [sync],
        |row| row.get(0),
    )?)
}

fn note_health(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    facts: &RunFacts,
    verdict: RunHealth,
) -> Result<(), StoreError> {
    let full: bool = transaction
        .query_row("SELECT is_full FROM run WHERE id = ?1", [facts.run], |row| row.get(0))
        .optional()?
        .unwrap_or(false);
    let Some(end) = verdict.end_of(facts, full) else { return Ok(()) };
    let Health { failed_runs, failed_at, reason, target: _, refused } =
        health(transaction, &tenure.sync)?.after(&end);
    transaction.execute(
        "UPDATE sync SET failed_runs = ?2, failed_reason = ?3, failed_at = ?4,
                         failed_result = CASE WHEN ?5 AND ?2 > 0 THEN ?6 ELSE failed_result END
         WHERE name = ?1",
        params![tenure.sync, failed_runs, reason, failed_at.map(|at| at.0), full, facts.result.as_str()],
    )?;
    transaction.execute("DELETE FROM refused_credentials WHERE sync = ?1", [&tenure.sync])?;
    for Refused { side, since, at, runs, reason } in refused {
        transaction.execute(
            "INSERT INTO refused_credentials (sync, side, since, refused_at, runs, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![tenure.sync, side.as_str(), since.0, at.0, runs, reason],
        )?;
    }
    Ok(())
}

fn refused(transaction: &Transaction<'_>, sync: &str) -> Result<Vec<Refused>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT side = 'target', since, refused_at, runs, reason FROM refused_credentials WHERE sync = ?1
         ORDER BY side",
    )?;
    let rows = statement.query_map([sync], |row| {
        Ok(Refused {
            side: if row.get(0)? { Side::Target } else { Side::Source },
            since: Millis(row.get(1)?),
            at: Millis(row.get(2)?),
            runs: row.get(3)?,
            reason: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Snapshot {
    /// How the last runs of a sync ended.
    pub async fn health(&self, sync: &str) -> Result<Health, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| health(transaction, &sync)).await
    }

    /// The digest over the secrets of the run that failed last.
    pub async fn secrets_at_failure(&self, sync: &str) -> Result<Option<Digest>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let digest: Option<Option<Vec<u8>>> = transaction
                .query_row("SELECT secrets FROM sync WHERE name = ?1", [&sync], |row| row.get(0))
                .optional()?;
            Ok(digest.flatten().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Digest))
        })
        .await
    }

    /// What a sync is bound to, once it ran.
    pub async fn binding(&self, sync: &str) -> Result<Option<Binding>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            Ok(transaction
                .query_row(
                    "SELECT source_kind, source_origin, source_app, target_url FROM sync
                     WHERE name = ?1 AND target_url IS NOT NULL",
                    [&sync],
                    |row| {
                        Ok(Binding {
                            source_kind: row.get(0)?,
                            source_origin: row.get(1)?,
                            source_app: row.get(2)?,
                            target_url: row.get(3)?,
                        })
                    },
                )
                .optional()?)
        })
        .await
    }

    /// What the target was seen to do.
    pub async fn profile(&self, sync: &str) -> Result<Option<String>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let profile: Option<Option<String>> = transaction
                .query_row("SELECT profile FROM sync WHERE name = ?1", [&sync], |row| row.get(0))
                .optional()?;
            Ok(profile.flatten())
        })
        .await
    }

    /// Counts the links of a sync.
    pub async fn link_counts(&self, sync: &str) -> Result<LinkCounts, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            Ok(transaction.query_row(
                "SELECT count(*),
                        coalesce(sum(state = 'active'), 0),
                        coalesce(sum(billable AND state <> 'gone'), 0)
                 FROM link WHERE sync = ?1",
                [&sync],
                |row| {
                    Ok(LinkCounts {
                        links: row.get::<_, i64>(0)? as u64,
                        active: row.get::<_, i64>(1)? as u64,
                        billable: row.get::<_, i64>(2)? as u64,
                    })
                },
            )?)
        })
        .await
    }
}

pub(crate) fn health(transaction: &Transaction<'_>, sync: &str) -> Result<Health, StoreError> {
    let refused = refused(transaction, sync)?;
    let health = transaction
        .query_row(
            "SELECT failed_runs, failed_at, failed_reason, coalesce(failed_result = 'target_unavailable', 0)
             FROM sync WHERE name = ?1",
            [sync],
            |row| {
                Ok(Health {
                    failed_runs: row.get(0)?,
                    failed_at: row.get::<_, Option<i64>>(1)?.map(Millis),
                    reason: row.get(2)?,
                    target: row.get(3)?,
                    refused: Vec::new(),
                })
            },
        )
        .optional()?;
    Ok(Health { refused, ..health.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use crate::model::id::TargetId;
    use crate::model::link::LinkState;
    use crate::model::order::Observation;
    use crate::model::plan::{PlannedAction, Verb};
    use crate::store::record::sample_tests::{Book, DAY, id, login};

    fn deactivation(name: &str) -> PlannedAction {
        let mut action = PlannedAction::blank(id(name), login(name), Observation::now());
        action.verb = Verb::Deactivate;
        action.target_id = Some(TargetId::new(format!("account-of-{name}")));
        action
    }

    #[tokio::test]
    async fn whose_removal_nobody_can_tell_of_is_none_of_those_whose_share_is_allowed() {
        let mut book = Book::new().await;
        let run = book.run(&["ann", "ben", "cleo"]).await;
        let intent = book.pass_door(run, deactivation("ann")).await;
        book.pass(2 * DAY);
        book.run(&[]).await;
        book.answer(intent, "ann", LinkState::Deactivated(book.at())).await;
        let ledger = book.store.snapshot().ledger("default", book.at()).await.unwrap();
        assert_eq!((ledger.active_now, ledger.active_peak), (2, 2));
    }

    #[tokio::test]
    async fn accounts_of_a_run_that_a_wrong_clock_put_into_the_future_are_none_of_the_last_day() {
        let mut book = Book::new().await;
        let run = book.run(&["ann", "ben", "cleo"]).await;
        book.pass(30 * DAY);
        book.run(&[]).await;
        book.pass(-28 * DAY);
        let intent = book.pass_door(run, deactivation("ann")).await;
        book.answer(intent, "ann", LinkState::Deactivated(book.at())).await;
        let ledger = book.store.snapshot().ledger("default", book.at()).await.unwrap();
        assert_eq!((ledger.active_now, ledger.active_peak), (2, 2));
    }
}
