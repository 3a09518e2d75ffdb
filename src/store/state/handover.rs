//! Links that come from elsewhere than a write: found again in the workspace, or handed over by another sync.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::handover::Handover;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::Link;
use crate::store::state::links::put_link;
use crate::store::{Snapshot, Store, StoreError, Tenure};

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
        self.transact_as(tenure, move |transaction, tenure| {
            let mut restored = Restored::default();
            for (link, instead_of) in &links {
                let linked = account_of(transaction, tenure, &link.source_id)?;
                if linked.as_ref() != instead_of.as_ref() {
                    restored.taken += 1;
                    continue;
                }
                match put_link(transaction, tenure, link)? {
                    None => restored.stored += 1,
                    Some(_) => restored.taken += 1,
                }
            }
            Ok(restored)
        })
        .await
    }

    /// Hands links over in one transaction: each belongs to another sync, or to another person of the same one, and
    /// keeps everything that is remembered of the account. A decision that stands until the source changes goes along.
    /// One that is not as it was any more stays. Gives how many went over.
    pub async fn hand_over(
        &self,
        from: &Tenure,
        to: &Tenure,
        handovers: Vec<Handover>,
    ) -> Result<u64, StoreError> {
        let (from, to) = (from.clone(), to.clone());
        self.snapshot
            .transact(move |transaction| {
                from.check(transaction)?;
                to.check(transaction)?;
                let going = those_that_can_go(transaction, &from, &to, &handovers)?;
                if from.sync == to.sync {
                    // Numbers of two organisations may cross: nobody's new id is in the way of another's old one.
                    for handover in &going {
                        let between = between(&handover.new_id);
                        move_link(transaction, &from, &to, &handover.link.source_id, &between, handover)?;
                    }
                    for handover in &going {
                        let between = between(&handover.new_id);
                        move_link(transaction, &from, &to, &between, &handover.new_id, handover)?;
                    }
                } else {
                    for handover in &going {
                        let (old, new) = (&handover.link.source_id, &handover.new_id);
                        move_link(transaction, &from, &to, old, new, handover)?;
                    }
                }
                Ok(going.len() as u64)
            })
            .await
    }
}

/// An id that no vendor gives, for the time between two.
fn between(new_id: &SourceId) -> SourceId {
    SourceId::new(format!("\u{1}{new_id}"))
}

/// Links that are as they were, and whose new place is free or becomes free.
fn those_that_can_go<'a>(
    transaction: &Transaction<'_>,
    from: &Tenure,
    to: &Tenure,
    handovers: &'a [Handover],
) -> Result<Vec<&'a Handover>, StoreError> {
    let mut going = Vec::with_capacity(handovers.len());
    for handover in handovers {
        let account = account_of(transaction, from, &handover.link.source_id)?;
        if account.as_ref() == Some(&handover.link.target_id) {
            going.push(handover);
        }
    }
    loop {
        let before = going.len();
        let releasing: HashSet<SourceId> = match from.sync == to.sync {
            true => going.iter().map(|handover| handover.link.source_id.clone()).collect(),
            false => HashSet::new(),
        };
        let mut free = Vec::with_capacity(before);
        for handover in going {
            let is_free = releasing.contains(&handover.new_id)
                || account_of(transaction, to, &handover.new_id)?.is_none();
            free.extend(is_free.then_some(handover));
        }
        going = free;
        if going.len() == before {
            return Ok(going);
        }
    }
}

fn move_link(
    transaction: &Transaction<'_>,
    from: &Tenure,
    to: &Tenure,
    old_id: &SourceId,
    new_id: &SourceId,
    handover: &Handover,
) -> Result<(), StoreError> {
    let (old_id, new_id) = (old_id.as_str(), new_id.as_str());
    transaction.execute(
        "UPDATE link SET sync = ?3, source_id = ?4, epoch = ?5, digest = NULL, absent_since = NULL,
                         last_listed_at = NULL, cause = NULL, observed_number = 0
         WHERE sync = ?1 AND source_id = ?2",
        params![from.sync, old_id, to.sync, new_id, to.epoch],
    )?;
    transaction.execute(
        "UPDATE OR REPLACE pin
         SET sync = ?3, source_id = ?4, digest = CASE WHEN digest IS NULL THEN NULL ELSE ?5 END
         WHERE sync = ?1 AND source_id = ?2",
        params![from.sync, old_id, to.sync, new_id, handover.eligibility.0.as_slice()],
    )?;
    // What is owed goes along with the link; what events named or a look showed says nothing of the new identity.
    transaction.execute(
        "DELETE FROM owed WHERE sync = ?1 AND source_id = ?2 AND class = 'look'",
        params![from.sync, old_id],
    )?;
    transaction.execute(
        "UPDATE OR REPLACE owed SET sync = ?3, source_id = ?4, noted_number = 0
         WHERE sync = ?1 AND source_id = ?2",
        params![from.sync, old_id, to.sync, new_id],
    )?;
    transaction.execute("DELETE FROM look WHERE sync = ?1 AND source_id = ?2", params![from.sync, old_id])?;
    // What was told of it was true until now: the runs that told it still show it.
    transaction.execute(
        "UPDATE told SET until_run = (SELECT coalesce(max(id), 0) + 1 FROM run)
         WHERE sync = ?1 AND source_id = ?2 AND until_run IS NULL",
        params![from.sync, old_id],
    )?;
    Ok(())
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
