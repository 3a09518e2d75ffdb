//! Pins and pauses: decisions of people that stand until the source changes, or until they are lifted.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension, Transaction, params};

use super::events::{NewEvent, record};
use super::holds::verb_of;
use super::{Snapshot, Store, StoreError, Tenure};
use crate::model::digest::Digest;
use crate::model::history::EventKind;
use crate::model::id::{SourceId, TargetId};
use crate::model::plan::Verb;
use crate::model::time::Millis;

/// A decision that stands until the source changes for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Why, with who and when.
    pub reason: String,
    /// The verb that is not planned again; `None` = any.
    pub verb: Option<Verb>,
    /// Where the person stood when it was pinned.
    pub digest: Option<Digest>,
    /// The login then, where they were noted.
    pub user_name: Option<String>,
    /// The account then.
    pub target_id: Option<TargetId>,
}

impl Store {
    /// Stops a sync's writes until then ([`Millis::FOR_GOOD`] = until somebody resumes); `None` starts them again.
    pub async fn set_pause(
        &self,
        sync: &str,
        until: Option<Millis>,
        by: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (sync, key) = (sync.to_owned(), self.snapshot.digest_key());
        let event = NewEvent {
            kind: if until.is_some() { EventKind::Pause } else { EventKind::Resume },
            sync: Some(sync.clone()),
            by: by.to_owned(),
            at: now,
            counts: BTreeMap::new(),
            detail: until
                .filter(|until| *until != Millis::FOR_GOOD)
                .map(|until| format!("until {}", until.rfc3339())),
        };
        self.snapshot
            .transact(move |transaction| {
                transaction.execute(
                    "INSERT INTO sync (name, paused_until) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET paused_until = excluded.paused_until",
                    params![sync, until.map(|until| until.0)],
                )?;
                record(transaction, &key, &event)
            })
            .await
    }

    /// Forgets pins whose people have changed at the source.
    pub async fn drop_pins(&self, tenure: &Tenure, people: Vec<SourceId>) -> Result<(), StoreError> {
        let tenure = tenure.clone();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                for id in &people {
                    transaction.execute(
                        "DELETE FROM pin WHERE sync = ?1 AND source_id = ?2",
                        params![tenure.sync, id.as_str()],
                    )?;
                }
                Ok(())
            })
            .await
    }
}

impl Snapshot {
    /// Decisions that stand until the source changes.
    pub async fn pins(&self, sync: &str) -> Result<HashMap<SourceId, Pin>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, reason, verb, digest, user_name, target_id FROM pin WHERE sync = ?1",
            )?;
            let rows = statement.query_map([&sync], |row| {
                let digest: Option<Vec<u8>> = row.get(3)?;
                let digest = digest.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Digest);
                let verb: Option<String> = row.get(2)?;
                let target_id: Option<String> = row.get(5)?;
                let pin = Pin {
                    reason: row.get(1)?,
                    verb: verb.as_deref().map(verb_of),
                    digest,
                    user_name: row.get(4)?,
                    target_id: target_id.map(TargetId::new),
                };
                Ok((SourceId::new(row.get::<_, String>(0)?), pin))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Until when a sync's writes are stopped, if they are.
    pub async fn paused_until(&self, sync: &str, now: Millis) -> Result<Option<Millis>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| paused_until(transaction, &sync, now)).await
    }
}

pub(super) fn paused_until(
    transaction: &Transaction<'_>,
    sync: &str,
    now: Millis,
) -> Result<Option<Millis>, StoreError> {
    let until: Option<Option<i64>> = transaction
        .query_row("SELECT paused_until FROM sync WHERE name = ?1", [sync], |row| row.get(0))
        .optional()?;
    Ok(until.flatten().map(Millis).filter(|until| *until > now))
}
