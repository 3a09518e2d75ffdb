//! Forgetting: a link is dropped and its person pinned, in one transaction; taking a pin away again; and dropping a sync
//! that is configured no more.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::aliases;
use crate::model::digest::DigestKey;
use crate::model::folding::fold_address;
use crate::model::history::EventKind;
use crate::model::id::SourceId;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;
use crate::store::record::events::{About, NewEvent, counted, record, record_about};
use crate::store::record::journal::{give_up, is_in_flight};
use crate::store::state::pins::known_digest;
use crate::store::{Snapshot, Store, StoreError, Tenure};

impl Store {
    /// Drops a person's link and pins the person until the source changes for them. What waits for an approval about
    /// them is dropped too. False, and nothing is changed, where a write for them is not settled.
    pub async fn forget(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        by: &str,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let (person, by) = (person.clone(), by.to_owned());
        let key = self.snapshot.digest_key();
        self.transact_as(tenure, move |transaction, tenure| {
                let who = params![tenure.sync, person.as_str()];
                if is_in_flight(transaction, &tenure.sync, &person)? {
                    return Ok(false);
                }
                // Before the link goes, because it says where the person stood.
                let digest = known_digest(transaction, &key, &tenure.sync, &person)?;
                let user: Option<String> = transaction
                    .query_row("SELECT user_name FROM link WHERE sync = ?1 AND source_id = ?2", who, |row| row.get(0))
                    .optional()?;
                transaction.execute(
                    "INSERT OR REPLACE INTO pin (sync, source_id, reason, verb, digest, pinned_at, user_name, target_id,
                                                 decided_by, pinned_number)
                     SELECT sync, source_id, ?3, NULL, ?4, ?5, user_name, target_id, ?6, ?7 FROM link
                     WHERE sync = ?1 AND source_id = ?2",
                    params![
                        tenure.sync,
                        person.as_str(),
                        format!("forgotten by {by} on {}", now.rfc3339()),
                        digest.map(|digest| digest.0.to_vec()),
                        now.0,
                        by,
                        crate::store::state::holds::number_now(transaction, &tenure.sync)?
                    ],
                )?;
                transaction.execute("DELETE FROM link WHERE sync = ?1 AND source_id = ?2", who)?;
                crate::store::state::owed::end_all_of(transaction, &tenure.sync, person.as_str())?;
                transaction.execute(
                    "UPDATE hold_pair SET state = 'dropped'
                     WHERE source_id = ?2 AND state IN ('waiting', 'approved')
                       AND hold IN (SELECT id FROM hold WHERE sync = ?1)",
                    who,
                )?;
                let event = event(EventKind::Forget, tenure, by, now);
                record_about(transaction, &key, &event, About { source_id: &person, user })?;
                Ok(true)
            })
            .await
    }

    /// Drops everything that a sync holds beside its history: links, what is owed, open holds, pins, looks, the place in
    /// the event log. What is unsettled is given up. Gives what it was; the sync's tenure must be a new one.
    pub async fn forget_sync(
        &self,
        tenure: &Tenure,
        by: &str,
        now: Millis,
    ) -> Result<ForgottenSync, StoreError> {
        let (by, key) = (by.to_owned(), self.snapshot.digest_key());
        self.transact_as(tenure, move |transaction, tenure| {
            let unsettled = give_up_all(transaction, tenure, &key, &by, now)?;
            let links = transaction.execute("DELETE FROM link WHERE sync = ?1", [&tenure.sync])? as u64;
            transaction.execute(
                "UPDATE hold_pair SET state = 'dropped' WHERE state IN ('waiting', 'approved')
                       AND hold IN (SELECT id FROM hold WHERE sync = ?1)",
                [&tenure.sync],
            )?;
            transaction.execute(
                "UPDATE hold SET state = 'dropped' WHERE sync = ?1 AND state = 'open'",
                [&tenure.sync],
            )?;
            transaction.execute(
                "UPDATE told SET until_run = (SELECT coalesce(max(id), 0) + 1 FROM run)
                     WHERE sync = ?1 AND until_run IS NULL",
                [&tenure.sync],
            )?;
            for table in ["owed", "pin", "look", "cursor", "full_look", "taken_account", "drift_repair"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE sync = ?1"), [&tenure.sync])?;
            }
            let counts = counted([("links", links), ("unsettled", unsettled)]);
            let event = NewEvent { counts, ..event(EventKind::Forget, tenure, by, now) };
            record(transaction, &key, &event)?;
            Ok(ForgottenSync { links, unsettled })
        })
        .await
    }

    /// Takes the pin of a person away, whatever it came from.
    pub async fn lift(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        by: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (person, by) = (person.clone(), by.to_owned());
        let key = self.snapshot.digest_key();
        self.transact_as(tenure, move |transaction, tenure| {
            let who = params![tenure.sync, person.as_str()];
            let user: Option<Option<String>> = transaction
                .query_row("SELECT user_name FROM pin WHERE sync = ?1 AND source_id = ?2", who, |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(user) = user else { return Ok(()) };
            transaction.execute("DELETE FROM pin WHERE sync = ?1 AND source_id = ?2", who)?;
            transaction.execute(
                "UPDATE owed SET waits_for = 'look', detail = 'the decision that kept it was lifted'
                     WHERE sync = ?1 AND source_id = ?2 AND class = 'removal' AND waits_for = 'decision'",
                who,
            )?;
            let event = event(EventKind::Lift, tenure, by, now);
            record_about(transaction, &key, &event, About { source_id: &person, user })
        })
        .await
    }
}

/// Gives up every write of a sync whose outcome nobody knows.
fn give_up_all(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    key: &DigestKey,
    by: &str,
    now: Millis,
) -> Result<u64, StoreError> {
    let mut statement = transaction.prepare("SELECT DISTINCT source_id FROM in_flight WHERE sync = ?1")?;
    let people: Vec<SourceId> = statement
        .query_map([&tenure.sync], |row| Ok(SourceId::new(row.get::<_, String>(0)?)))?
        .collect::<Result<_, _>>()?;
    let mut given_up = 0;
    for person in &people {
        given_up += give_up(transaction, tenure, key, person, by, now)?;
    }
    // Writes that a removal overtook were settled by it; only the look after it is left.
    transaction.execute(
        "DELETE FROM claim WHERE intent IN (SELECT intent FROM in_flight WHERE sync = ?1)",
        [&tenure.sync],
    )?;
    transaction.execute("DELETE FROM in_flight WHERE sync = ?1", [&tenure.sync])?;
    Ok(given_up)
}

/// What a sync held that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgottenSync {
    /// Linked accounts.
    pub links: u64,
    /// Writes that were given up.
    pub unsettled: u64,
}

/// Somebody for whom a write was recorded whose outcome nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The person.
    pub source_id: SourceId,
    /// Login then.
    pub user: String,
    /// What was sent.
    pub verb: Verb,
    /// When it was recorded.
    pub sent_at: Millis,
    /// Why nobody can tell.
    pub reason: String,
    /// Whether its request is over; while it is on the wire nothing can be given up.
    pub is_over: bool,
}

impl Snapshot {
    /// The unsettled writes of whom a login, a source id or an account id means.
    pub async fn unsettled_of(&self, sync: &str, who: &str) -> Result<Vec<Unsettled>, StoreError> {
        let (sync, who) = (sync.to_owned(), who.trim().to_owned());
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT in_flight.source_id, journal.payload, in_flight.sent_at, coalesce(in_flight.reason, ''),
                        in_flight.request_over OR run.finished_at IS NOT NULL OR journal.epoch <> sync.epoch
                 FROM in_flight JOIN journal ON journal.seq = in_flight.intent
                      JOIN run ON run.id = journal.run JOIN sync ON sync.name = in_flight.sync
                 WHERE in_flight.sync = ?1 AND in_flight.overtaken_at IS NULL ORDER BY in_flight.intent",
            )?;
            let mut rows = statement.query([&sync])?;
            let (mut found, key) = (Vec::new(), fold_address(&who));
            while let Some(row) = rows.next()? {
                let payload: String = row.get(1)?;
                let PlannedAction { user, target_id, verb, .. } = aliases::read(&payload)?;
                let source_id = SourceId::new(row.get::<_, String>(0)?);
                let is_meant = source_id.as_str() == who
                    || target_id.is_some_and(|id| id.as_str() == who)
                    || fold_address(&user) == key;
                if is_meant {
                    let (sent_at, reason, is_over) = (Millis(row.get(2)?), row.get(3)?, row.get(4)?);
                    found.push(Unsettled { source_id, user, verb, sent_at, reason, is_over });
                }
            }
            Ok(found)
        })
        .await
    }
}

fn event(kind: EventKind, tenure: &Tenure, by: String, at: Millis) -> NewEvent {
    NewEvent { kind, sync: Some(tenure.sync.clone()), by, at, counts: Default::default(), detail: None }
}
