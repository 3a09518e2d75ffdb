//! Events: what a person or rosterd did beside the runs, as entries of the journal.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use crate::model::aliases;
use crate::model::digest::DigestKey;
use crate::model::history::{EventKind, EventLine, RunLine};
use crate::model::id::SourceId;
use crate::model::time::Millis;
use crate::store::record::chain::{Entry, Head, append, append_after};
use crate::store::rows::people;
use crate::store::{Past, Snapshot, Store, StoreError};

/// An event that is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What.
    pub kind: EventKind,
    /// The sync; `None` = it is about all of them.
    pub sync: Option<String>,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Millis,
    /// How many of what.
    pub counts: BTreeMap<String, u64>,
    /// What else there is to say. It names nobody.
    pub detail: Option<String>,
}

/// What an event's entry holds beside its columns.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EventPayload {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of an erasure: which entries it emptied, and what stands in them instead of the person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<ErasedEntries>,
    /// Of a pruning: the last entry that was removed, now or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Cut>,
}

/// Entries that an erasure emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErasedEntries {
    pub pseudonym: String,
    pub entries: Vec<i64>,
}

/// Where the journal was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub seq: i64,
    pub chain: Vec<u8>,
}

/// Whom an event is about.
pub(crate) struct About<'a> {
    pub source_id: &'a SourceId,
    pub user: Option<String>,
}

/// Counts by name.
pub fn counted<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// Records an event about one person.
pub(crate) fn record_about(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    event: &NewEvent,
    about: About<'_>,
) -> Result<(), StoreError> {
    let payload = EventPayload { user: about.user, ..payload_of(event) };
    put(transaction, key, event, about.source_id.as_str(), &payload, None)
}

/// Records an event.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    event: &NewEvent,
) -> Result<(), StoreError> {
    record_after(transaction, key, event, EventPayload::default(), None)
}

/// Records an event with what only erasures and prunings have; after an entry that need not be there any more.
pub(crate) fn record_after(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    event: &NewEvent,
    payload: EventPayload,
    last: Option<&Head>,
) -> Result<(), StoreError> {
    let EventPayload { erased, pruned, .. } = payload;
    let payload = EventPayload { erased, pruned, ..payload_of(event) };
    put(transaction, key, event, "", &payload, last)
}

fn payload_of(event: &NewEvent) -> EventPayload {
    EventPayload { counts: event.counts.clone(), detail: event.detail.clone(), ..EventPayload::default() }
}

fn put(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    event: &NewEvent,
    source_id: &str,
    payload: &EventPayload,
    last: Option<&Head>,
) -> Result<(), StoreError> {
    let payload = serde_json::to_string(payload)?;
    let entry = Entry {
        run: None,
        sync: event.sync.as_deref(),
        epoch: 0,
        at: event.at,
        kind: "event",
        intent: None,
        verb: event.kind.as_str(),
        source_id,
        outcome: None,
        approved: false,
        by: Some(&event.by),
        rewrites: false,
        activates: false,
        payload: &payload,
    };
    match last {
        Some(last) => append_after(transaction, key, last, &entry)?,
        None => append(transaction, key, &entry)?,
    };
    Ok(())
}

impl Store {
    /// Records something that was done beside the runs.
    pub async fn note_event(&self, event: NewEvent) -> Result<(), StoreError> {
        let key = self.snapshot.digest_key();
        self.snapshot.transact(move |transaction| record(transaction, &key, &event)).await
    }
}

impl Snapshot {
    /// Runs, and what was done beside them, the newest first. Nothing is told of the time before the last run that is.
    pub async fn runs_and_events(&self, past: Past) -> Result<(Vec<RunLine>, Vec<EventLine>), StoreError> {
        let runs = self.runs(past.clone()).await?;
        let is_cut = runs.len() >= past.limit as usize;
        let oldest = runs.iter().map(|run| run.started_at).min().filter(|_| is_cut);
        let events = self.events(None, Past { since: past.since.max(oldest), ..past }).await?;
        Ok((runs, events))
    }

    /// What was done beside the runs, the newest first; with a login or id, what was done about this person.
    pub async fn events(&self, who: Option<&str>, past: Past) -> Result<Vec<EventLine>, StoreError> {
        let who = who.map(str::to_owned);
        self.transact(move |transaction| {
            if past.failed {
                // None of them is a failure.
                return Ok(Vec::new());
            }
            let ids = match &who {
                None => None,
                Some(who) => {
                    let ids: Vec<String> = people(transaction, who)?.into_iter().map(|(_, id)| id).collect();
                    Some(serde_json::to_string(&ids)?)
                }
            };
            let mut statement = transaction.prepare(
                "SELECT at, verb, sync, approved_by, source_id, payload FROM journal INDEXED BY journal_event
                 WHERE kind = 'event' AND (?1 = '[]' OR sync IS NULL OR sync IN (SELECT value FROM json_each(?1)))
                   AND (?2 IS NULL OR at >= ?2) AND (?3 IS NULL OR source_id IN (SELECT value FROM json_each(?3)))
                 ORDER BY seq DESC LIMIT ?4",
            )?;
            let syncs = serde_json::to_string(&past.syncs)?;
            let since = past.since.map(|since| since.0);
            let mut rows = statement.query(params![syncs, since, ids, past.limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let verb: String = row.get(1)?;
                let Some(event) = EventKind::ALL.into_iter().find(|kind| kind.as_str() == verb) else {
                    continue;
                };
                let payload: Option<String> = row.get(5)?;
                let payload: EventPayload =
                    payload.map(|text| aliases::read(&text)).transpose()?.unwrap_or_default();
                let source_id: String = row.get(4)?;
                events.push(EventLine {
                    at: Millis(row.get(0)?),
                    event,
                    sync: row.get(2)?,
                    by: row.get(3)?,
                    user: payload.user,
                    source_id: (!source_id.is_empty()).then(|| SourceId::new(source_id)),
                    counts: payload.counts,
                    detail: payload.detail,
                });
            }
            Ok(events)
        })
        .await
    }
}
