//! What verifications leave behind: links corrected by what was seen, how often an attribute was repaired, and what
//! the last verification found.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::drift::DriftCounts;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::status::FailedVerification;
use crate::model::time::Millis;
use crate::store::state::links::put_link;
use crate::store::{Snapshot, Store, StoreError, Tenure};

/// How long a repair counts.
const REPAIRS_COUNT_FOR_MILLIS: i64 = 30 * 24 * 3600 * 1000;

/// Repairs of one attribute of one person towards one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repairs {
    /// Digest of the value that was repaired to: another one is another matter.
    pub wanted: Digest,
    /// How often.
    pub count: u32,
}

/// Repairs by person and path.
pub type RepairsByPath = HashMap<(SourceId, String), Repairs>;

impl Snapshot {
    /// People on whom any run acted at that time or later.
    pub async fn acted_on_since(&self, sync: &str, at: Millis) -> Result<HashSet<SourceId>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement =
                transaction.prepare("SELECT DISTINCT source_id FROM journal WHERE sync = ?1 AND at >= ?2")?;
            let rows = statement.query_map(params![sync, at.0], |row| row.get::<_, String>(0))?;
            rows.map(|row| Ok(SourceId::new(row?))).collect()
        })
        .await
    }

    /// How often what was repaired lately.
    pub async fn drift_repairs(&self, sync: &str, now: Millis) -> Result<RepairsByPath, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, path, wanted, repairs FROM drift_repair WHERE sync = ?1 AND repaired_at >= ?2",
            )?;
            let rows = statement.query_map(params![sync, now.0 - REPAIRS_COUNT_FOR_MILLIS], |row| {
                let key = (SourceId::new(row.get::<_, String>(0)?), row.get(1)?);
                Ok((key, Repairs { wanted: Digest(row.get(2)?), count: row.get(3)? }))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl Store {
    /// Stores links as a verification that began at `since` saw their accounts. Where any run acted on the person
    /// meanwhile, the link stays: that run knows better.
    pub async fn note_seen(
        &self,
        tenure: &Tenure,
        links: Vec<Link>,
        since: Millis,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            for link in &links {
                let is_untouched: bool = transaction.query_row(
                    "SELECT EXISTS (SELECT 1 FROM link WHERE sync = ?1 AND source_id = ?2 AND target_id = ?3)
                                AND NOT EXISTS (SELECT 1 FROM journal
                                                WHERE sync = ?1 AND source_id = ?2 AND at >= ?4)",
                    params![tenure.sync, link.source_id.as_str(), link.target_id.as_str(), since.0],
                    |row| row.get(0),
                )?;
                if is_untouched {
                    put_link(transaction, tenure, link)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Counts repairs that were carried out.
    pub async fn note_repairs(
        &self,
        tenure: &Tenure,
        repairs: Vec<(SourceId, AttributePath, Digest)>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            transaction.execute(
                "DELETE FROM drift_repair WHERE sync = ?1 AND repaired_at < ?2",
                params![tenure.sync, now.0 - REPAIRS_COUNT_FOR_MILLIS],
            )?;
            let mut count = transaction.prepare(
                "INSERT INTO drift_repair (sync, source_id, path, wanted, repairs, repaired_at)
                     VALUES (?1, ?2, ?3, ?4, 1, ?5)
                     ON CONFLICT (sync, source_id, path) DO UPDATE SET
                         repairs = CASE WHEN wanted = excluded.wanted THEN repairs + 1 ELSE 1 END,
                         wanted = excluded.wanted, repaired_at = excluded.repaired_at",
            )?;
            for (id, path, wanted) in &repairs {
                count.execute(params![
                    tenure.sync,
                    id.as_str(),
                    path.as_str(),
                    wanted.0.as_slice(),
                    now.0
                ])?;
            }
            Ok(())
        })
        .await
    }

    /// Remembers what the last verification found.
    pub async fn note_verified(
        &self,
        tenure: &Tenure,
        at: Millis,
        counts: DriftCounts,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            transaction.execute(
                "UPDATE sync SET verified_at = ?2, drift = ?3, verify_failed_at = NULL,
                                     verify_failed_reason = NULL
                     WHERE name = ?1",
                params![tenure.sync, at.0, serde_json::to_string(&counts)?],
            )?;
            Ok(())
        })
        .await
    }

    /// Remembers that a scheduled verification failed, until one succeeds. It writes nothing else, so it asks for no
    /// tenure.
    pub async fn note_verification_failed(
        &self,
        sync: &str,
        at: Millis,
        reason: String,
    ) -> Result<(), StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| {
                transaction.execute(
                    "INSERT INTO sync (name, verify_failed_at, verify_failed_reason) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET verify_failed_at = excluded.verify_failed_at,
                                                      verify_failed_reason = excluded.verify_failed_reason",
                    params![sync, at.0, reason],
                )?;
                Ok(())
            })
            .await
    }
}

/// When a sync was last verified by a run that could write, and what was found.
pub(crate) fn last_verification(
    transaction: &Transaction<'_>,
    sync: &str,
) -> Result<Option<(Millis, DriftCounts)>, StoreError> {
    let row: Option<(i64, String)> = transaction
        .query_row(
            "SELECT verified_at, drift FROM sync WHERE name = ?1 AND verified_at IS NOT NULL",
            [sync],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    row.map(|(at, counts)| Ok((Millis(at), serde_json::from_str(&counts)?))).transpose()
}

/// Why the last scheduled verification failed, if it did.
pub(crate) fn failed_verification(
    transaction: &Transaction<'_>,
    sync: &str,
) -> Result<Option<FailedVerification>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT verify_failed_at, coalesce(verify_failed_reason, '') FROM sync
             WHERE name = ?1 AND verify_failed_at IS NOT NULL",
            [sync],
            |row| Ok(FailedVerification { at: Millis(row.get(0)?), reason: row.get(1)? }),
        )
        .optional()?)
}

impl Snapshot {
    /// When a sync was last verified by a run that could write, and what was found.
    pub async fn last_verification(&self, sync: &str) -> Result<Option<(Millis, DriftCounts)>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| last_verification(transaction, &sync)).await
    }
}
