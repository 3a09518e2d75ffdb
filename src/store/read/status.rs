//! What `status` asks of the state: how the last runs went, how many accounts there are, who waits, who fails.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::planner::KEPT_BY_LIFECYCLE;
use crate::core::status::Recorded;
use crate::model::link::REFUSAL_REST_MILLIS;
use crate::model::report::RunResult;
use crate::model::status::{
    Accounts, DriftStatus, FailingPerson, Failures, HoldStatus, LastRun, OpenRun, UnconfiguredSync,
};
use crate::model::time::Millis;
use crate::store::rows::{result_of, trigger_of};
use crate::store::state::credentials::credential_ages;
use crate::store::state::drift::{failed_verification, last_verification};
use crate::store::state::holds::open_holds;
use crate::store::state::owed::owed_in;
use crate::store::state::pins::paused_until;
use crate::store::state::runs::health;
use crate::store::{Hold, Snapshot, StoreError};

/// Failing people who are shown.
const FAILING_SHOWN: u32 = 3;

impl Snapshot {
    /// What is on record of these syncs, all of one moment. A sync that never ran has nothing.
    pub async fn recorded(&self, syncs: Vec<String>, now: Millis) -> Result<Vec<Recorded>, StoreError> {
        self.transact(move |transaction| {
            syncs.iter().map(|sync| recorded_in(transaction, sync, now)).collect()
        })
        .await
    }

    /// Syncs that are in the state and not among these, as far as anything is left of them.
    pub async fn unconfigured(&self, configured: Vec<String>) -> Result<Vec<UnconfiguredSync>, StoreError> {
        self.transact(move |transaction| unconfigured(transaction, &configured)).await
    }

    /// How many people the last complete read of a sync had.
    pub async fn people_last_read(&self, sync: &str) -> Result<Option<u64>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| Ok(last_success(transaction, &sync)?.map(|(_, people)| people)))
            .await
    }
}

pub(crate) fn recorded_in(
    transaction: &Transaction<'_>,
    sync: &str,
    now: Millis,
) -> Result<Recorded, StoreError> {
    let (last_success_at, people) = last_success(transaction, sync)?.unzip();
    let (accounts, billable) = accounts(transaction, sync)?;
    Ok(Recorded {
        last_success_at,
        last_run: last_run(transaction, sync)?,
        open_run: open_run(transaction, sync)?,
        people,
        accounts,
        billable,
        holds: open_holds(transaction, Some(sync), now)?.iter().map(hold_status).collect(),
        failing: failing(transaction, sync, FAILING_SHOWN)?,
        owed: owed_in(transaction, sync)?,
        pins: pin_count(transaction, sync)?,
        kept_by_configuration: kept_by_configuration(transaction, sync)?,
        target_answered_at: target_answered_at(transaction, sync)?,
        health: health(transaction, sync)?,
        paused_until: paused_until(transaction, sync, now)?,
        ignored_attributes: by_attribute(
            transaction,
            "SELECT item.key, count(*) FROM link, json_each(link.memory, '$.echoes') AS item
             WHERE link.sync = ?1 AND link.memory <> '{}' AND item.value ->> '$.kind' = 'ignored' AND ?2 IS NOT NULL GROUP BY item.key",
            sync,
            now.0,
        )?,
        refused_attributes: by_attribute(
            transaction,
            "SELECT item.key, count(*) FROM link, json_each(link.memory, '$.refusals') AS item
             WHERE link.sync = ?1 AND link.memory <> '{}' AND item.value ->> '$.at' > ?2 GROUP BY item.key",
            sync,
            now.0 - REFUSAL_REST_MILLIS,
        )?,
        drift: last_verification(transaction, sync)?.map(|(verified_at, counts)| DriftStatus {
            verified_at,
            drift: counts.drift(),
            counts,
        }),
        failed_verification: failed_verification(transaction, sync)?,
        credentials: credential_ages(transaction, sync)?,
    })
}

/// When the workspace last answered a run that asked it.
fn target_answered_at(transaction: &Transaction<'_>, sync: &str) -> Result<Option<Millis>, StoreError> {
    let at: Option<Option<i64>> = transaction
        .query_row("SELECT target_answered_at FROM sync WHERE name = ?1", [sync], |row| row.get(0))
        .optional()?;
    Ok(at.flatten().map(Millis))
}

fn pin_count(transaction: &Transaction<'_>, sync: &str) -> Result<u64, StoreError> {
    let count: i64 =
        transaction.query_row("SELECT count(*) FROM pin WHERE sync = ?1", [sync], |row| row.get(0))?;
    Ok(count as u64)
}

/// Linked, active accounts that the last runs left alone because `[sync.lifecycle]` keeps them.
fn kept_by_configuration(transaction: &Transaction<'_>, sync: &str) -> Result<u64, StoreError> {
    let count: i64 = transaction.query_row(
        "SELECT count(*) FROM link JOIN told ON told.sync = link.sync AND told.source_id = link.source_id
         WHERE link.sync = ?1 AND link.state = 'active' AND told.until_run IS NULL
           AND instr(told.record, ?2) > 0 AND instr(told.record ->> '$.reason', ?2) > 0",
        params![sync, KEPT_BY_LIFECYCLE],
        |row| row.get(0),
    )?;
    Ok(count as u64)
}

/// Syncs of the state that are not among these, as far as anything is left of them.
fn unconfigured(
    transaction: &Transaction<'_>,
    configured: &[String],
) -> Result<Vec<UnconfiguredSync>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT name, (SELECT count(*) FROM link WHERE link.sync = sync.name),
                (SELECT count(*) FROM in_flight WHERE in_flight.sync = sync.name AND overtaken_at IS NULL),
                (SELECT count(*) FROM owed WHERE owed.sync = sync.name AND class = 'removal')
         FROM sync ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        let number = |index| row.get::<_, i64>(index).map(|number| number as u64);
        let name: String = row.get(0)?;
        Ok(UnconfiguredSync {
            transfer: format!("rosterd transfer --from {name} --to OTHER"),
            forget: format!("rosterd forget --sync {name}"),
            links: number(1)?,
            unsettled: number(2)?,
            leavers_with_access: number(3)?,
            name,
        })
    })?;
    let all: Vec<UnconfiguredSync> = rows.collect::<Result<_, _>>()?;
    let is_left = |sync: &UnconfiguredSync| sync.links + sync.unsettled + sync.leavers_with_access > 0;
    Ok(all.into_iter().filter(|sync| !configured.contains(&sync.name) && is_left(sync)).collect())
}

/// The end of the last run that read everybody and reached both sides, and how many people it read.
fn last_success(transaction: &Transaction<'_>, sync: &str) -> Result<Option<(Millis, u64)>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT finished_at, coalesce(facts ->> '$.source.users', 0) FROM run
             WHERE sync = ?1 AND result IN ('ok', 'partial', 'held') AND facts ->> '$.source.complete'
             ORDER BY started_at DESC, id DESC LIMIT 1",
            [sync],
            |row| Ok((Millis(row.get(0)?), row.get::<_, i64>(1)? as u64)),
        )
        .optional()?)
}

fn last_run(transaction: &Transaction<'_>, sync: &str) -> Result<Option<LastRun>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT id, result, trigger, started_at, finished_at FROM run
             WHERE sync = ?1 AND finished_at IS NOT NULL ORDER BY started_at DESC, id DESC LIMIT 1",
            [sync],
            |row| {
                Ok(LastRun {
                    run: row.get(0)?,
                    result: result_of(row, 1)?.unwrap_or(RunResult::Error),
                    trigger: trigger_of(row, 2)?,
                    started_at: Millis(row.get(3)?),
                    finished_at: Millis(row.get(4)?),
                })
            },
        )
        .optional()?)
}

/// Runs overlap: the oldest of those that have not ended, as far as they belong to whoever may write now.
fn open_run(transaction: &Transaction<'_>, sync: &str) -> Result<Option<OpenRun>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT run.id, run.trigger, run.started_at FROM run JOIN sync ON sync.name = run.sync
             WHERE run.sync = ?1 AND run.finished_at IS NULL AND run.epoch = sync.epoch
             ORDER BY run.started_at, run.id LIMIT 1",
            [sync],
            |row| {
                Ok(OpenRun {
                    run: row.get(0)?,
                    trigger: trigger_of(row, 1)?,
                    started_at: Millis(row.get(2)?),
                })
            },
        )
        .optional()?)
}

fn accounts(transaction: &Transaction<'_>, sync: &str) -> Result<(Accounts, u64), StoreError> {
    Ok(transaction.query_row(
        "SELECT coalesce(sum(state = 'active'), 0), coalesce(sum(state = 'deactivated'), 0),
                coalesce(sum(state = 'inactive'), 0), coalesce(sum(state = 'gone'), 0),
                coalesce(sum(billable AND state <> 'gone'), 0)
         FROM link WHERE sync = ?1",
        [sync],
        |row| {
            let number = |index| row.get::<_, i64>(index).map(|number| number as u64);
            let accounts = Accounts {
                active: number(0)?,
                deactivated: number(1)?,
                inactive: number(2)?,
                gone: number(3)?,
            };
            Ok((accounts, number(4)?))
        },
    )?)
}

fn hold_status(hold: &Hold) -> HoldStatus {
    HoldStatus {
        id: hold.id(),
        revision: hold.revision,
        class: hold.verb,
        kind: hold.kind,
        count: hold.count,
        reason: hold.reason.clone(),
        opened_at: hold.opened_at,
        expires_at: hold.expires_at,
        approve: format!("rosterd approve {}@{}", hold.id(), hold.revision),
        reject: format!("rosterd reject {}", hold.id()),
    }
}

/// Those who have been failing the longest, at most so many, and how many there are.
pub(crate) fn failing(transaction: &Transaction<'_>, sync: &str, shown: u32) -> Result<Failures, StoreError> {
    let owed = owed_in(transaction, sync)?;
    let mut first: Vec<FailingPerson> = owed.iter().filter_map(FailingPerson::of).collect();
    let count = first.len() as u64;
    first.sort_by(|one, other| {
        (one.since, one.source_id.as_str()).cmp(&(other.since, other.source_id.as_str()))
    });
    first.truncate(shown as usize);
    Ok(Failures { count, first })
}

fn by_attribute(
    transaction: &Transaction<'_>,
    sql: &str,
    sync: &str,
    since: i64,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = transaction.prepare(sql)?;
    let rows =
        statement.query_map(params![sync, since], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
