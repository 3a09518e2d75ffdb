//! The journal: an intent is committed before its request is sent, an outcome after; append-only and chained.
//!
//! How an entry is sealed into the chain, so that its person and content can be erased later, is `chain`'s matter.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;

use super::chain::{self, append};
use super::holds::{consume_approval, give_back_approval};
use super::links::put_link;
use super::undo::{pin_return, refuse_decided_meanwhile, settle_return};
use super::{Snapshot, Store, StoreError, Tenure};
use crate::core::guard::{Budget, Ledger, Sent, rewrites};
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;

const HOUR_MILLIS: i64 = 3600 * 1000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
/// The longest row of runs that a failing person waits.
const LONGEST_WAIT_RUNS: i64 = 31;

/// An intent's place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub(super) i64);

/// A write about to be sent.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The run it belongs to.
    pub run: i64,
    /// What is sent; all that is needed to settle it after a crash.
    pub action: PlannedAction,
    /// Now.
    pub at: Millis,
    /// What the guards knew, to ask them again where another run has sent something since; `None` = do not ask.
    pub budget: Option<Budget>,
}

/// An intent without an outcome.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The intent.
    pub id: IntentId,
    /// What was, or was about to be, sent.
    pub action: PlannedAction,
    /// The run that sent it.
    pub run: i64,
}

/// How an intent ended. An intent whose outcome is still unknown is not settled: it stays in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Acknowledged.
    Applied,
    /// Refused: nothing changed.
    Refused,
    /// Found not to have happened, or never sent.
    NotSent,
}

impl Settled {
    fn as_str(self) -> &'static str {
        match self {
            Settled::Applied => "applied",
            Settled::Refused => "refused",
            Settled::NotSent => "not_sent",
        }
    }
}

/// What follows for the link.
#[derive(Debug, Clone)]
pub enum LinkWrite {
    /// Nothing.
    Keep,
    /// Store this.
    Put(Box<Link>),
    /// The account was deleted: forget the pair.
    Remove,
}

/// The end of one intent.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which.
    pub intent: IntentId,
    /// How it ended.
    pub settled: Settled,
    /// The target's status.
    pub status: Option<u16>,
    /// The target's words, or ours.
    pub detail: Option<String>,
    /// Requests that carried it.
    pub attempts: u32,
    /// What follows for the link.
    pub link: LinkWrite,
    /// Now.
    pub at: Millis,
}

#[derive(Serialize)]
struct OutcomePayload<'a> {
    status: Option<u16>,
    detail: Option<&'a str>,
    attempts: u32,
}

impl Store {
    /// Commits an intent. Fails with [`StoreError::Stale`] where a newer look at the person was acted on, and with
    /// [`StoreError::Overrun`] where another run has used up what the guards allow.
    pub async fn record_intent(&self, tenure: &Tenure, intent: Intent) -> Result<IntentId, StoreError> {
        let (tenure, key) = (tenure.clone(), self.snapshot.digest_key());
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                refuse_stale(transaction, &tenure, &intent.action)?;
                refuse_decided_meanwhile(transaction, &tenure, &intent)?;
                let approved_by = consume_approval(transaction, &tenure, &intent.action, intent.run)?;
                if approved_by.is_none()
                    && let Some(budget) = &intent.budget
                {
                    refuse_overrun(transaction, &tenure, &intent, budget)?;
                }
                let payload = serde_json::to_string(&intent.action)?;
                let entry = chain::Entry {
                    run: Some(intent.run),
                    sync: Some(&tenure.sync),
                    epoch: tenure.epoch,
                    at: intent.at,
                    kind: "intent",
                    intent: None,
                    verb: intent.action.verb.as_str(),
                    source_id: intent.action.source_id.as_str(),
                    outcome: None,
                    approved: approved_by.is_some(),
                    by: approved_by.as_deref(),
                    rewrites: rewrites(&intent.action),
                    activates: intent.action.activate,
                    payload: &payload,
                };
                let id = IntentId(append(transaction, &key, &entry)?);
                transaction.execute(
                    "INSERT INTO in_flight (intent, sync, source_id) VALUES (?1, ?2, ?3)",
                    params![id.0, tenure.sync, intent.action.source_id.as_str()],
                )?;
                pin_return(transaction, &tenure, &intent)?;
                transaction
                    .execute("UPDATE run SET last_intent = ?2 WHERE id = ?1", params![intent.run, id.0])?;
                Ok(id)
            })
            .await
    }

    /// Commits an outcome together with what follows for the link and the list of failing people.
    pub async fn settle(&self, tenure: &Tenure, settlement: Settlement) -> Result<(), StoreError> {
        let (tenure, key) = (tenure.clone(), self.snapshot.digest_key());
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let (run, payload, approved): (i64, String, bool) = transaction.query_row(
                    "SELECT run, payload, approved FROM journal WHERE seq = ?1",
                    [settlement.intent.0],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )?;
                let action: PlannedAction = serde_json::from_str(&payload)?;
                let outcome = OutcomePayload {
                    status: settlement.status,
                    detail: settlement.detail.as_deref(),
                    attempts: settlement.attempts,
                };
                let payload = serde_json::to_string(&outcome)?;
                let entry = chain::Entry {
                    run: Some(run),
                    sync: Some(&tenure.sync),
                    epoch: tenure.epoch,
                    at: settlement.at,
                    kind: "outcome",
                    intent: Some(settlement.intent.0),
                    verb: action.verb.as_str(),
                    source_id: action.source_id.as_str(),
                    outcome: Some(settlement.settled.as_str()),
                    approved: false,
                    by: None,
                    rewrites: false,
                    activates: false,
                    payload: &payload,
                };
                append(transaction, &key, &entry)?;
                transaction.execute("DELETE FROM in_flight WHERE intent = ?1", [settlement.intent.0])?;
                match &settlement.link {
                    LinkWrite::Keep => {}
                    LinkWrite::Put(link) => put_link(transaction, &tenure, link)?,
                    LinkWrite::Remove => {
                        transaction.execute(
                            "DELETE FROM link WHERE sync = ?1 AND source_id = ?2",
                            params![tenure.sync, action.source_id.as_str()],
                        )?;
                    }
                }
                if approved && settlement.settled == Settled::NotSent {
                    give_back_approval(transaction, &tenure, &action, run)?;
                }
                let is_return = settle_return(transaction, &tenure, run, &action, &settlement)?;
                // No later run tries a return again by itself.
                if is_return && settlement.settled == Settled::Refused {
                    return Ok(());
                }
                note_failure(transaction, &tenure, &action, &settlement)
            })
            .await
    }
}

impl Snapshot {
    /// Intents that a crash, or a target that went away, left without an outcome. Those of a run that is still
    /// going on under the same tenure are that run's own.
    pub async fn in_flight(&self, tenure: &Tenure) -> Result<Vec<InFlight>, StoreError> {
        let tenure = tenure.clone();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT journal.seq, journal.payload, journal.run
                 FROM in_flight JOIN journal ON journal.seq = in_flight.intent JOIN run ON run.id = journal.run
                 WHERE in_flight.sync = ?1 AND (journal.epoch <> ?2 OR run.finished_at IS NOT NULL)
                 ORDER BY journal.seq",
            )?;
            let rows = statement.query_map(params![tenure.sync, tenure.epoch], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })?;
            rows.map(|row| {
                let (seq, payload, run) = row?;
                Ok(InFlight { id: IntentId(seq), action: serde_json::from_str(&payload)?, run })
            })
            .collect()
        })
        .await
    }

    /// What the guards need to know of the last hour and day. Entries from the future (a clock that went back)
    /// count as recent.
    pub async fn ledger(&self, sync: &str, now: Millis) -> Result<Ledger, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| ledger_in(transaction, &sync, now)).await
    }
}

fn ledger_in(transaction: &Transaction<'_>, sync: &str, now: Millis) -> Result<Ledger, StoreError> {
    let hour = sent_since(transaction, sync, now.0 - HOUR_MILLIS)?;
    let day = sent_since(transaction, sync, now.0 - DAY_MILLIS)?;
    let active: i64 = transaction.query_row(
        "SELECT count(*) FROM link WHERE sync = ?1 AND state = 'active'",
        [sync],
        |row| row.get(0),
    )?;
    let peak: i64 = transaction.query_row(
        "SELECT coalesce(max(active), 0) FROM run WHERE sync = ?1 AND started_at > ?2",
        params![sync, now.0 - DAY_MILLIS],
        |row| row.get(0),
    )?;
    let links: i64 =
        transaction.query_row("SELECT count(*) FROM link WHERE sync = ?1", [sync], |row| row.get(0))?;
    let as_of: i64 =
        transaction.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))?;
    Ok(Ledger {
        hour,
        day,
        active_now: active as u64,
        active_peak: peak.max(active) as u64,
        links: links as u64,
        as_of,
    })
}

/// What was sent since then and not approved; an intent counts until it is known that nothing happened.
fn sent_since(transaction: &Transaction<'_>, sync: &str, since: i64) -> Result<Sent, StoreError> {
    Ok(transaction.query_row(
        "SELECT coalesce(sum(verb IN ('deactivate', 'delete')), 0),
                coalesce(sum(verb = 'update' OR (verb = 'adopt' AND rewrites)), 0),
                coalesce(sum(verb = 'reactivate' OR (verb = 'adopt' AND activates)), 0),
                coalesce(sum(verb = 'create'), 0)
         FROM journal AS sent
         WHERE sent.sync = ?1 AND sent.at > ?2 AND sent.kind = 'intent' AND NOT sent.approved
           AND NOT EXISTS (SELECT 1 FROM journal AS ended
                           WHERE ended.sync = sent.sync AND ended.source_id = sent.source_id
                             AND ended.intent = sent.seq AND ended.outcome IN ('refused', 'not_sent'))",
        params![sync, since],
        |row| {
            Ok(Sent {
                removals: row.get::<_, i64>(0)? as u64,
                updates: row.get::<_, i64>(1)? as u64,
                reactivations: row.get::<_, i64>(2)? as u64,
                creates: row.get::<_, i64>(3)? as u64,
            })
        },
    )?)
}

/// An action may not rest on an older look than the newest one that was acted on for this person.
fn refuse_stale(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
) -> Result<(), StoreError> {
    let newest: Option<i64> = transaction.query_row(
        "SELECT max(observed_number) FROM (SELECT observed_number FROM link WHERE sync = ?1 AND source_id = ?2
                                           UNION ALL
                                           SELECT observed_number FROM look WHERE sync = ?1 AND source_id = ?2)",
        params![tenure.sync, action.source_id.as_str()],
        |row| row.get(0),
    )?;
    // Another run has linked this person since, so there is nothing to create or to adopt any more.
    let linked: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM link WHERE sync = ?1 AND source_id = ?2 AND state <> 'gone')",
        params![tenure.sync, action.source_id.as_str()],
        |row| row.get(0),
    )?;
    if linked && matches!(action.verb, Verb::Create | Verb::Adopt) {
        return Err(StoreError::Stale);
    }
    let in_flight = is_in_flight(transaction, &tenure.sync, &action.source_id)?;
    if in_flight
        || newest.is_some_and(|newest| newest > action.observation.number.in_epoch(tenure.epoch).get())
    {
        return Err(StoreError::Stale);
    }
    Ok(())
}

/// Runs overlap: what another one sent since this one's plan was judged counts for this one's next write.
fn refuse_overrun(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    intent: &Intent,
    budget: &Budget,
) -> Result<(), StoreError> {
    let others: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM run WHERE sync = ?1 AND last_intent > ?2 AND id <> ?3)",
        params![tenure.sync, budget.as_of, intent.run],
        |row| row.get(0),
    )?;
    if !others {
        return Ok(());
    }
    let ledger = ledger_in(transaction, &tenure.sync, intent.at)?;
    match budget.overrun(&intent.action, &ledger) {
        Some(reason) => Err(StoreError::Overrun(reason)),
        None => Ok(()),
    }
}

fn note_failure(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    settlement: &Settlement,
) -> Result<(), StoreError> {
    match settlement.settled {
        Settled::Applied => {
            transaction.execute(
                "DELETE FROM failing WHERE sync = ?1 AND source_id = ?2",
                params![tenure.sync, action.source_id.as_str()],
            )?;
        }
        Settled::NotSent => {}
        Settled::Refused => {
            let failures: i64 = transaction
                .query_row(
                    "SELECT failures FROM failing WHERE sync = ?1 AND source_id = ?2",
                    params![tenure.sync, action.source_id.as_str()],
                    |row| row.get(0),
                )
                .optional()?
                .unwrap_or(0)
                + 1;
            // 1st failure: the next run tries again; then every 2nd, 4th, 8th … up to every 32nd run.
            let wait = (1i64 << (failures - 1).min(5)).min(LONGEST_WAIT_RUNS + 1);
            transaction.execute(
                "INSERT INTO failing (sync, source_id, user_name, verb, failures, first_at, last_at, retry_run, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, (SELECT runs FROM sync WHERE name = ?1) + ?7, ?8)
                 ON CONFLICT (sync, source_id) DO UPDATE SET
                     user_name = excluded.user_name, verb = excluded.verb, failures = excluded.failures,
                     last_at = excluded.last_at, retry_run = excluded.retry_run, detail = excluded.detail",
                params![
                    tenure.sync,
                    action.source_id.as_str(),
                    action.user,
                    action.verb.as_str(),
                    failures,
                    settlement.at.0,
                    wait,
                    settlement.detail.as_deref().unwrap_or("refused"),
                ],
            )?;
        }
    }
    Ok(())
}

/// Whether a write for somebody was recorded and how it ended is not known.
pub(super) fn is_in_flight(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &SourceId,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM in_flight WHERE sync = ?1 AND source_id = ?2)";
    Ok(transaction.query_row(sql, [sync, person.as_str()], |row| row.get(0))?)
}
