//! Pins and pauses: decisions of people that stand until the source changes, or until they are lifted.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::eligibility::eligibility_digest;
use crate::core::situation::EligibilityKind;
use crate::model::digest::Digest;
use crate::model::digest::DigestKey;
use crate::model::history::EventKind;
use crate::model::id::{SourceId, TargetId};
use crate::model::order::OrderNumber;
use crate::model::plan::{PlannedAction, RemovalCause, Verb};
use crate::model::time::Millis;
use crate::store::record::events::{About, NewEvent, record, record_about};
use crate::store::rows::verb_of;
use crate::store::state::holds::number_now;
use crate::store::state::looks::ask_for_full_run_now;
use crate::store::{Snapshot, Store, StoreError, Tenure};

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
    /// Why access was to end when it was decided; a pin of a removal from before causes were stored has none, and takes
    /// that of the first look.
    pub cause: Option<RemovalCause>,
    /// Until when the decision stands; `None` = until the source changes.
    pub until: Option<Millis>,
    /// Who decided it, where it is known by itself.
    pub decided_by: Option<String>,
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
                    "INSERT INTO sync (name, paused_until, paused_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET
                         paused_until = excluded.paused_until, paused_at = excluded.paused_at",
                    params![sync, until.map(|until| until.0), now.0],
                )?;
                if until.is_none() {
                    let number = OrderNumber::next();
                    ask_for_full_run_now(transaction, &sync, "writing was resumed", number, now)?;
                }
                record(transaction, &key, &event)
            })
            .await
    }

    /// Ends a pause whose time is over and asks for the full run that makes up for it; gives until when the sync is paused
    /// otherwise. A pause that was asked for in the future, by a clock that was ahead, lasts as long as was asked from now
    /// on.
    pub async fn look_at_pause(&self, sync: &str, now: Millis) -> Result<Option<Millis>, StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| {
                let stored: Option<(Option<i64>, Option<i64>)> = transaction
                    .query_row("SELECT paused_until, paused_at FROM sync WHERE name = ?1", [&sync], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                let Some((Some(mut until), asked_at)) = stored else { return Ok(None) };
                if let Some(asked_at) = asked_at.filter(|asked_at| *asked_at > now.0) {
                    if until != Millis::FOR_GOOD.0 {
                        until = now.0.saturating_add(until.saturating_sub(asked_at));
                    }
                    transaction.execute(
                        "UPDATE sync SET paused_until = ?2, paused_at = ?3 WHERE name = ?1",
                        params![sync, until, now.0],
                    )?;
                }
                if until > now.0 {
                    return Ok(Some(Millis(until)));
                }
                transaction.execute(
                    "UPDATE sync SET paused_until = NULL, paused_at = NULL WHERE name = ?1",
                    [&sync],
                )?;
                let number = OrderNumber::next();
                ask_for_full_run_now(transaction, &sync, "the pause is over", number, now)?;
                Ok(None)
            })
            .await
    }

    /// Forgets pins whose people have changed at the source.
    pub async fn drop_pins(&self, tenure: &Tenure, people: Vec<SourceId>) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
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

    /// A pin from before causes were stored takes the cause of its first look: an upgrade removes nobody.
    pub async fn note_pin_causes(
        &self,
        tenure: &Tenure,
        causes: Vec<(SourceId, RemovalCause)>,
    ) -> Result<(), StoreError> {
        if causes.is_empty() {
            return Ok(());
        }
        self.transact_as(tenure, move |transaction, tenure| {
            for (id, cause) in &causes {
                transaction.execute(
                    "UPDATE pin SET cause = ?3 WHERE sync = ?1 AND source_id = ?2 AND cause IS NULL",
                    params![tenure.sync, id.as_str(), cause.bound_by_decision().as_str()],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// A person decides that an account stays as it is although its owner left, for this cause and until then.
    pub async fn keep_account(
        &self,
        tenure: &Tenure,
        kept: KeptAccount,
        by: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (by, key) = (by.to_owned(), self.snapshot.digest_key());
        self.transact_as(tenure, move |transaction, tenure| {
                let KeptAccount { source_id, user, target_id, cause, until, reason } = kept;
                let words = reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                transaction.execute(
                    "INSERT OR REPLACE INTO pin (sync, source_id, reason, verb, digest, pinned_at, user_name, target_id,
                                                 cause, until, decided_by, pinned_number)
                     VALUES (?1, ?2, ?3, NULL, NULL, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                    params![
                        tenure.sync,
                        source_id.as_str(),
                        format!("kept by {by} on {} until {}{words}", now.rfc3339(), until.rfc3339()),
                        now.0,
                        user,
                        target_id.as_str(),
                        cause.bound_by_decision().as_str(),
                        until.0,
                        by,
                        number_now(transaction, &tenure.sync)?
                    ],
                )?;
                transaction.execute(
                    "UPDATE hold_pair SET state = 'dropped'
                     WHERE source_id = ?2 AND state IN ('waiting', 'approved')
                       AND action IN ('deactivate', 'delete') AND hold IN (SELECT id FROM hold WHERE sync = ?1)",
                    params![tenure.sync, source_id.as_str()],
                )?;
                transaction.execute(
                    "UPDATE owed SET waits_for = 'decision', next_try_at = NULL, detail = ?3
                     WHERE sync = ?1 AND source_id = ?2 AND class = 'removal'",
                    params![tenure.sync, source_id.as_str(), format!("kept by {by} until {}", until.rfc3339())],
                )?;
                let event = NewEvent {
                    kind: EventKind::Keep,
                    sync: Some(tenure.sync.clone()),
                    by,
                    at: now,
                    counts: BTreeMap::new(),
                    detail: Some(format!("until {}", until.rfc3339())),
                };
                record_about(transaction, &key, &event, About { source_id: &source_id, user: Some(user) })
            })
            .await
    }
}

/// An account that a person decided to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAccount {
    /// Whose.
    pub source_id: SourceId,
    /// The login.
    pub user: String,
    /// The account.
    pub target_id: TargetId,
    /// Why access would end.
    pub cause: RemovalCause,
    /// Until when.
    pub until: Millis,
    /// Why it is kept, in the words of whoever decided.
    pub reason: Option<String>,
}

/// What was decided about a person while an ordinary run was under way binds that run too; a return is what decides.
pub(crate) fn decided_meanwhile(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    run: i64,
) -> Result<Option<String>, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT pin.reason FROM pin JOIN run ON run.id = ?3
             WHERE pin.sync = ?1 AND pin.source_id = ?2 AND pin.pinned_number > run.number
               AND run.undoes IS NULL AND (pin.verb IS NULL OR pin.verb = ?4)",
        )?
        .query_row(params![tenure.sync, action.source_id.as_str(), run, action.verb.as_str()], |row| {
            row.get(0)
        })
        .optional()?)
}

impl Snapshot {
    /// Decisions that stand until the source changes.
    pub async fn pins(&self, sync: &str) -> Result<HashMap<SourceId, Pin>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, reason, verb, digest, user_name, target_id, cause, until, decided_by FROM pin
                 WHERE sync = ?1",
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
                    cause: row.get::<_, Option<String>>(6)?.as_deref().and_then(RemovalCause::of_word),
                    until: row.get::<_, Option<i64>>(7)?.map(Millis),
                    decided_by: row.get(8)?,
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

pub(crate) fn paused_until(
    transaction: &Transaction<'_>,
    sync: &str,
    now: Millis,
) -> Result<Option<Millis>, StoreError> {
    let until: Option<Option<i64>> = transaction
        .query_row("SELECT paused_until FROM sync WHERE name = ?1", [sync], |row| row.get(0))
        .optional()?;
    Ok(until.flatten().map(Millis).filter(|until| *until > now))
}

/// Where a person stood at the source when a run last looked: by the link, which runs keep up to date for everybody
/// who is as wanted, else by the last intent.
pub(crate) fn known_digest(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    sync: &str,
    person: &SourceId,
) -> Result<Option<Digest>, StoreError> {
    let by_link: Option<Option<Vec<u8>>> = transaction
        .query_row(
            "SELECT digest FROM link WHERE sync = ?1 AND source_id = ?2 AND state = 'active'",
            params![sync, person.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    let desired = by_link.flatten().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Digest);
    if desired.is_some() {
        return Ok(Some(eligibility_digest(key, EligibilityKind::Qualifies, desired)));
    }
    let by_intent: Option<String> = transaction
        .query_row(
            "SELECT payload -> '$.source_digest' FROM journal
             WHERE sync = ?1 AND source_id = ?2 AND kind = 'intent'
               AND json_type(payload, '$.source_digest') = 'array'
             ORDER BY seq DESC LIMIT 1",
            params![sync, person.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(by_intent.map(|text| serde_json::from_str(&text)).transpose()?)
}

#[cfg(test)]
mod tests;
