//! Links that come from elsewhere than a write: found again in the workspace, or handed over by another sync.

use rusqlite::{OptionalExtension, Transaction, params};

use super::links::put_link;
use super::{Snapshot, Store, StoreError, Tenure};
use crate::model::digest::Digest;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::Link;

/// A stored pair, without what is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The sync it belongs to.
    pub sync: String,
    /// The person.
    pub source_id: SourceId,
    /// The account.
    pub target_id: TargetId,
    /// The account's login.
    pub user_name: String,
}

/// What became of links that were to be stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Stored.
    pub stored: u64,
    /// Not stored: the person or the account was linked meanwhile.
    pub taken: u64,
}

impl Snapshot {
    /// The pairs of every sync in a workspace.
    pub async fn pairs(&self, target_url: &str) -> Result<Vec<Pair>, StoreError> {
        let target_url = target_url.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction
                .prepare("SELECT sync, source_id, target_id, user_name FROM link WHERE target_url = ?1")?;
            let rows = statement.query_map([&target_url], |row| {
                Ok(Pair {
                    sync: row.get(0)?,
                    source_id: SourceId::new(row.get::<_, String>(1)?),
                    target_id: TargetId::new(row.get::<_, String>(2)?),
                    user_name: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether a run of this sync has begun and not ended, under the tenure that holds now.
    pub async fn is_running(&self, sync: &str) -> Result<bool, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            Ok(transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM run JOIN sync ON sync.name = run.sync
                                WHERE run.sync = ?1 AND run.finished_at IS NULL AND run.epoch = sync.epoch)",
                [&sync],
                |row| row.get(0),
            )?)
        })
        .await
    }
}

impl Store {
    /// Stores links that were found again. One whose person or account was linked meanwhile is left out; with
    /// an account beside it, a link replaces the person's link to that account.
    pub async fn restore_links(
        &self,
        tenure: &Tenure,
        links: Vec<(Link, Option<TargetId>)>,
    ) -> Result<Restored, StoreError> {
        let tenure = tenure.clone();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let mut restored = Restored::default();
                for (link, instead_of) in &links {
                    let linked = account_of(transaction, &tenure, &link.source_id)?;
                    if linked.as_ref() != instead_of.as_ref() {
                        restored.taken += 1;
                        continue;
                    }
                    match put_link(transaction, &tenure, link) {
                        Ok(()) => restored.stored += 1,
                        Err(StoreError::AlreadyLinked(_)) => restored.taken += 1,
                        Err(error) => return Err(error),
                    }
                }
                Ok(restored)
            })
            .await
    }

    /// Hands one link over: it belongs to another sync, or to another person of the same one, and keeps everything
    /// that is remembered of the account. `pinned` is where the person stands at the new source: a decision that stands
    /// until the source changes goes along. `false` = one of them is not as it was any more, and nothing happened.
    pub async fn hand_over(
        &self,
        from: &Tenure,
        to: &Tenure,
        link: &Link,
        new_id: &SourceId,
        pinned: Digest,
    ) -> Result<bool, StoreError> {
        let (from, to, link, new_id) = (from.clone(), to.clone(), link.clone(), new_id.clone());
        self.snapshot
            .transact(move |transaction| {
                from.check(transaction)?;
                to.check(transaction)?;
                if account_of(transaction, &from, &link.source_id)?.as_ref() != Some(&link.target_id) {
                    return Ok(false);
                }
                let stays = from == to && link.source_id == new_id;
                if !stays && account_of(transaction, &to, &new_id)?.is_some() {
                    return Ok(false);
                }
                transaction.execute(
                    "UPDATE link SET sync = ?3, source_id = ?4, epoch = ?5, digest = NULL, absent_since = NULL
                     WHERE sync = ?1 AND source_id = ?2",
                    params![from.sync, link.source_id.as_str(), to.sync, new_id.as_str(), to.epoch],
                )?;
                transaction.execute(
                    "UPDATE OR REPLACE pin SET sync = ?3, source_id = ?4, digest = CASE WHEN digest IS NULL THEN NULL
                                                                                        ELSE ?5 END
                     WHERE sync = ?1 AND source_id = ?2",
                    params![
                        from.sync,
                        link.source_id.as_str(),
                        to.sync,
                        new_id.as_str(),
                        pinned.0.as_slice()
                    ],
                )?;
                // What was heard, refused or seen of the old identity says nothing of the new one.
                for table in ["failing", "hint", "look"] {
                    let sql = format!("DELETE FROM {table} WHERE sync = ?1 AND source_id = ?2");
                    transaction.execute(&sql, params![from.sync, link.source_id.as_str()])?;
                }
                Ok(true)
            })
            .await
    }
}

fn account_of(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    source_id: &SourceId,
) -> Result<Option<TargetId>, StoreError> {
    let id: Option<String> = transaction
        .query_row(
            "SELECT target_id FROM link WHERE sync = ?1 AND source_id = ?2",
            params![tenure.sync, source_id.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(id.map(TargetId::new))
}
