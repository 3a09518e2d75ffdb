//! The journal: an intent is committed before its request is sent (`door`), an outcome after; append-only and chained.
//!
//! What lives here: outcomes, and what the guards read. What must not: whether a write may be sent (`door`), how an entry
//! is sealed into the chain (`chain`).
//!
//! *Invariant*: an acknowledgement can always be recorded by the tenure that owns it. What does not fit the links any
//! more is recorded as it is and said, never refused.

use std::collections::HashSet;

use rusqlite::{Transaction, params};

use crate::core::guard::{Ledger, SentPeople};
use crate::model::aliases;
use crate::model::id::SourceId;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;
use crate::store::record::intent::{
    IntentOutcome, IntentSettlement, LinkOutcome, LinkWrite, OutcomePayload, append_outcome,
};
use crate::store::state::claims::end_claims;
use crate::store::state::holds::give_back_approval;
use crate::store::state::links::put_link;
use crate::store::state::owed;
use crate::store::state::return_pins::settle_return;
use crate::store::{Snapshot, Store, StoreError, Tenure};
use unsettled::overtake;

mod unsettled;

pub use unsettled::InFlight;
pub(crate) use unsettled::{give_up, is_in_flight};

const HOUR_MILLIS: i64 = 3600 * 1000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

impl Store {
    /// Commits an outcome together with what follows for the link, the claims and what is owed.
    pub async fn settle(
        &self,
        tenure: &Tenure,
        settlement: IntentSettlement,
    ) -> Result<LinkOutcome, StoreError> {
        let key = self.snapshot.digest_key();
        self.transact_as(tenure, move |transaction, tenure| {
            let (run, payload, approved): (i64, Option<String>, bool) = transaction.query_row(
                "SELECT run, payload, approved FROM journal WHERE seq = ?1",
                [settlement.intent.0],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let action: PlannedAction = aliases::read(payload.as_deref().unwrap_or("null"))?;
            let recorded = follow_link(transaction, tenure, &action, &settlement)?;
            let detail = match &recorded {
                LinkOutcome::Stored => settlement.detail.clone(),
                LinkOutcome::TakenElsewhere(owner) => {
                    Some(format!("the account is linked to {owner}; the link was not stored"))
                }
            };
            let outcome = OutcomePayload {
                status: settlement.status,
                detail: detail.as_deref(),
                attempts: settlement.attempts,
            };
            append_outcome(transaction, tenure, &key, run, &action, &settlement, &outcome)?;
            transaction.execute("DELETE FROM in_flight WHERE intent = ?1", [settlement.intent.0])?;
            end_claims(transaction, settlement.intent)?;
            if approved && settlement.settled.did_nothing() {
                give_back_approval(transaction, tenure, &action, run)?;
            }
            // What waited for this to be known is tried at once.
            transaction.execute(
                "UPDATE owed SET waits_for = 'retry', attempts = 0, retry_run = NULL
                     WHERE sync = ?1 AND source_id = ?2 AND waits_for = 'unsettled'",
                params![tenure.sync, action.source_id.as_str()],
            )?;
            if settlement.settled == IntentOutcome::Applied {
                owed::end_acknowledged(transaction, &tenure.sync, &action.source_id, action.verb)?;
                owed::put_deletion(transaction, tenure, &action, settlement.at)?;
                if action.verb.is_removal() {
                    overtake(transaction, tenure, &action, settlement.at)?;
                }
            }
            settle_return(transaction, tenure, run, &action, &settlement)?;
            Ok(recorded)
        })
        .await
    }
}

/// What follows for the link. An account that is linked to somebody else stays theirs.
fn follow_link(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    settlement: &IntentSettlement,
) -> Result<LinkOutcome, StoreError> {
    match &settlement.link {
        LinkWrite::Keep => Ok(LinkOutcome::Stored),
        LinkWrite::Put(link) => match put_link(transaction, tenure, link)? {
            None => {
                transaction.execute(
                    "DELETE FROM taken_account WHERE sync = ?1 AND source_id = ?2",
                    params![tenure.sync, action.source_id.as_str()],
                )?;
                Ok(LinkOutcome::Stored)
            }
            Some(owner) => {
                transaction.execute(
                    "INSERT OR REPLACE INTO taken_account (sync, source_id, target_id, desired, noted_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        tenure.sync,
                        action.source_id.as_str(),
                        link.target_id.as_str(),
                        action.desired.as_ref().map(|desired| desired.digest.0.to_vec()),
                        settlement.at.0
                    ],
                )?;
                Ok(LinkOutcome::TakenElsewhere(owner))
            }
        },
        LinkWrite::Remove => {
            transaction.execute(
                "DELETE FROM link WHERE sync = ?1 AND source_id = ?2",
                params![tenure.sync, action.source_id.as_str()],
            )?;
            Ok(LinkOutcome::Stored)
        }
    }
}

impl Snapshot {
    /// What the guards need to know of the last hour and day. Entries from the future (a clock that went back)
    /// count as recent.
    pub async fn ledger(&self, sync: &str, now: Millis) -> Result<Ledger, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| ledger_in(transaction, &sync, now)).await
    }
}

pub(crate) fn ledger_in(
    transaction: &Transaction<'_>,
    sync: &str,
    now: Millis,
) -> Result<Ledger, StoreError> {
    let hour = sent_since(transaction, sync, now.0 - HOUR_MILLIS)?;
    let day = sent_since(transaction, sync, now.0 - DAY_MILLIS)?.counts();
    let active: i64 = transaction.query_row(
        "SELECT count(*) FROM link WHERE sync = ?1 AND state = 'active'",
        [sync],
        |row| row.get(0),
    )?;
    // A run that a wrong clock put into the future is none of the last day, and would not be for as long as the clock was
    // ahead.
    let peak: i64 = transaction.query_row(
        "SELECT coalesce(max(active), 0) FROM run WHERE sync = ?1 AND started_at > ?2 AND started_at <= ?3",
        params![sync, now.0 - DAY_MILLIS, now.0],
        |row| row.get(0),
    )?;
    let links: i64 =
        transaction.query_row("SELECT count(*) FROM link WHERE sync = ?1", [sync], |row| row.get(0))?;
    let as_of: i64 =
        transaction.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))?;
    Ok(Ledger {
        hour: hour.counts(),
        day,
        people: hour,
        active_now: active as u64,
        active_peak: peak.max(active) as u64,
        links: links as u64,
        as_of,
    })
}

/// Who was sent something since then without an approval; an intent counts until it is known that nothing happened.
/// Creations count where nobody stood behind their run.
fn sent_since(transaction: &Transaction<'_>, sync: &str, since: i64) -> Result<SentPeople, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT sent.source_id, sent.verb, sent.rewrites, sent.activates, run.unattended
         FROM journal AS sent JOIN run ON run.id = sent.run
         WHERE sent.sync = ?1 AND sent.at > ?2 AND sent.kind = 'intent' AND NOT sent.approved
           AND NOT EXISTS (SELECT 1 FROM journal AS ended
                           WHERE ended.sync = sent.sync AND ended.source_id = sent.source_id
                             AND ended.intent = sent.seq AND ended.outcome IN ('refused', 'not_sent'))",
    )?;
    let mut rows = statement.query(params![sync, since])?;
    let mut people = SentPeople::default();
    while let Some(row) = rows.next()? {
        let person = SourceId::new(row.get::<_, String>(0)?);
        let verb: String = row.get(1)?;
        let (rewrites, activates, unattended): (bool, bool, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
        match crate::store::rows::verb_of(&verb) {
            Verb::Deactivate | Verb::Delete => insert(&mut people.removals, person),
            Verb::Update => insert(&mut people.updates, person),
            Verb::Reactivate => insert(&mut people.reactivations, person),
            Verb::Adopt => {
                if rewrites {
                    insert(&mut people.updates, person.clone());
                }
                if activates {
                    insert(&mut people.reactivations, person);
                }
            }
            Verb::Create if unattended => insert(&mut people.creates, person),
            Verb::Create | Verb::Block | Verb::Skip => {}
        }
    }
    Ok(people)
}

fn insert(people: &mut HashSet<SourceId>, person: SourceId) {
    people.insert(person);
}
