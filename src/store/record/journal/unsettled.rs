//! What is in flight and not settled: its own tries, what a removal overtook, what somebody gives up.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::aliases;
use crate::model::digest::DigestKey;
use crate::model::history::EventKind;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::order::OrderNumber;
use crate::model::owed::{OwedEntry, WaitsFor};
use crate::model::plan::PlannedAction;
use crate::model::time::Millis;
use crate::store::record::events::{About, NewEvent, counted, record_about};
use crate::store::record::intent::{
    IntentId, IntentOutcome, IntentSettlement, LinkWrite, OutcomePayload, append_outcome,
};
use crate::store::state::claims::end_claims;
use crate::store::state::links::put_link;
use crate::store::state::owed;
use crate::store::{Snapshot, Store, StoreError, Tenure};

const HOUR_MILLIS: i64 = 3600 * 1000;
/// How long after a removal a write that it overtook may still arrive.
const OVERTAKEN_LOOK_MILLIS: i64 = 10 * 60 * 1000;

/// An intent without an outcome.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The intent.
    pub id: IntentId,
    /// What was, or was about to be, sent.
    pub action: PlannedAction,
    /// The run that sent it.
    pub run: i64,
    /// When it was recorded.
    pub sent_at: Millis,
    /// How often it was read back in vain.
    pub tries: u32,
    /// When a search that may decide it came back empty for the first time; of a write that was given up and may come late:
    /// since when.
    pub first_empty_at: Option<Millis>,
}

impl Store {
    /// The request of an intent is over, and nobody can tell what became of it: its own tries, and nobody else's run.
    pub async fn leave_unsettled(
        &self,
        tenure: &Tenure,
        intent: IntentId,
        reason: String,
        first_empty_at: Option<Millis>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
                let tries: Option<(u32, String)> = transaction
                    .query_row(
                        "SELECT tries, journal.payload FROM in_flight JOIN journal ON journal.seq = in_flight.intent
                         WHERE in_flight.intent = ?1",
                        [intent.0],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .optional()?;
                let Some((tries, payload)) = tries else { return Ok(()) };
                let pause = match tries {
                    0 => 60 * 1000,
                    1 => 10 * 60 * 1000,
                    _ => HOUR_MILLIS,
                };
                transaction.execute(
                    "UPDATE in_flight SET request_over = 1, tries = tries + 1, reason = ?2, next_try_at = ?3,
                                          first_empty_at = coalesce(first_empty_at, ?4)
                     WHERE intent = ?1",
                    params![intent.0, reason, now.0 + pause, first_empty_at.map(|at| at.0)],
                )?;
                let action: PlannedAction = aliases::read(&payload)?;
                let entry = OwedEntry {
                    source_id: action.source_id.clone(),
                    user: action.user.clone(),
                    target_id: action.target_id.clone(),
                    verb: action.verb,
                    cause: action.cause,
                    waits_for: WaitsFor::Unsettled,
                    // The run that sent it counts the attempt, and a look afterwards is none.
                    attempted: false,
                    refused: false,
                    detail: reason,
                    desired: action.desired.as_ref().map(|desired| desired.digest),
                };
                owed::put(transaction, tenure, &entry, OrderNumber::next(), now)
            })
            .await
    }

    /// Gives up an intent that nobody can settle, without an outcome that anybody knows: the person is free again, and
    /// the next run looks first. Gives how many there were.
    pub async fn give_up_unsettled(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        by: &str,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let (person, key) = (person.clone(), self.snapshot.digest_key());
        let by = by.to_owned();
        self.transact_as(tenure, move |transaction, tenure| {
            let given_up = give_up(transaction, tenure, &key, &person, &by, now)?;
            if given_up == 0 {
                return Ok(0);
            }
            // Whether a removal was done is not known: until somebody has looked it is still owed.
            transaction.execute(
                "UPDATE owed SET waits_for = 'look', next_try_at = ?3, detail = 'the write was given up'
                     WHERE sync = ?1 AND source_id = ?2 AND class = 'removal' AND waits_for = 'unsettled'",
                params![tenure.sync, person.as_str(), now.0],
            )?;
            transaction.execute(
                "DELETE FROM owed WHERE sync = ?1 AND source_id = ?2 AND waits_for = 'unsettled'",
                params![tenure.sync, person.as_str()],
            )?;
            let counts = counted([("writes", given_up)]);
            let sync = Some(tenure.sync.clone());
            let event = NewEvent { kind: EventKind::GiveUp, sync, by, at: now, counts, detail: None };
            record_about(transaction, &key, &event, About { source_id: &person, user: None })?;
            Ok(given_up)
        })
        .await
    }

    /// The look ten minutes after a removal that overtook older writes: they are over. Where the account was active
    /// after all, the link says so, and the removal is wanted again.
    pub async fn end_overtaken(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        link: Option<Link>,
    ) -> Result<(), StoreError> {
        let person = person.clone();
        self.transact_as(tenure, move |transaction, tenure| {
                let mut statement = transaction.prepare(
                    "DELETE FROM in_flight WHERE sync = ?1 AND source_id = ?2 AND overtaken_at IS NOT NULL
                     RETURNING intent",
                )?;
                let intents: Vec<i64> = statement
                    .query_map(params![tenure.sync, person.as_str()], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                intents.into_iter().try_for_each(|intent| end_claims(transaction, IntentId(intent)))?;
                transaction.execute(
                    "DELETE FROM owed WHERE sync = ?1 AND source_id = ?2 AND class = 'removal' AND waits_for = 'look'",
                    params![tenure.sync, person.as_str()],
                )?;
                match link {
                    Some(link) => put_link(transaction, tenure, &link).map(drop),
                    None => Ok(()),
                }
            })
            .await
    }
}

type OpenIntent = (IntentId, i64, PlannedAction);

/// Records that somebody gave up what nobody can settle for a person; gives how many writes that were.
pub(crate) fn give_up(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    key: &DigestKey,
    person: &SourceId,
    by: &str,
    now: Millis,
) -> Result<u64, StoreError> {
    let detail = format!("given up by {by}: what became of it is not known");
    let open = open_intents(transaction, tenure, person)?;
    for (intent, run, action) in &open {
        let settlement = IntentSettlement {
            intent: *intent,
            settled: IntentOutcome::GivenUp,
            status: None,
            detail: Some(detail.clone()),
            attempts: 0,
            link: LinkWrite::Keep,
            at: now,
        };
        let outcome = OutcomePayload { status: None, detail: Some(&detail), attempts: 0 };
        append_outcome(transaction, tenure, key, *run, action, &settlement, &outcome)?;
        transaction.execute("DELETE FROM in_flight WHERE intent = ?1", [intent.0])?;
        end_claims(transaction, *intent)?;
    }
    Ok(open.len() as u64)
}

fn open_intents(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    person: &SourceId,
) -> Result<Vec<OpenIntent>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT journal.seq, journal.run, journal.payload FROM in_flight
         JOIN journal ON journal.seq = in_flight.intent
         WHERE in_flight.sync = ?1 AND in_flight.source_id = ?2 AND overtaken_at IS NULL
           AND (request_over OR journal.epoch <> ?3)",
    )?;
    let rows = statement.query_map(params![tenure.sync, person.as_str(), tenure.epoch], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
    })?;
    rows.map(|row| {
        let (seq, run, payload) = row?;
        Ok((IntentId(seq), run, aliases::read(&payload)?))
    })
    .collect()
}
/// An acknowledged removal settles the older writes of the person whose requests are over. They keep their claims until
/// one look ten minutes later has made sure that none of them arrived after it.
pub(crate) fn overtake(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    now: Millis,
) -> Result<(), StoreError> {
    let overtaken = transaction.execute(
        "UPDATE in_flight SET overtaken_at = ?3, next_try_at = ?4, reason = 'overtaken by the removal'
         WHERE sync = ?1 AND source_id = ?2 AND overtaken_at IS NULL",
        params![tenure.sync, action.source_id.as_str(), now.0, now.0 + OVERTAKEN_LOOK_MILLIS],
    )?;
    if overtaken == 0 {
        return Ok(());
    }
    let entry = OwedEntry {
        source_id: action.source_id.clone(),
        user: action.user.clone(),
        target_id: action.target_id.clone(),
        verb: action.verb,
        cause: action.cause,
        waits_for: WaitsFor::Look,
        attempted: false,
        refused: false,
        detail: "an older write may have arrived after the removal".to_owned(),
        desired: None,
    };
    owed::put(transaction, tenure, &entry, OrderNumber::next(), now)?;
    transaction.execute(
        "UPDATE owed SET next_try_at = ?3 WHERE sync = ?1 AND source_id = ?2 AND class = 'removal'",
        params![tenure.sync, action.source_id.as_str(), now.0 + OVERTAKEN_LOOK_MILLIS],
    )?;
    Ok(())
}

impl Snapshot {
    /// Intents whose request is over and whose outcome nobody knows: what a crash, or a target that went away, left.
    /// Those of a run that is still going on under the same tenure are that run's own.
    pub async fn in_flight(&self, tenure: &Tenure) -> Result<Vec<InFlight>, StoreError> {
        let tenure = tenure.clone();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT journal.seq, journal.payload, journal.run, in_flight.sent_at, in_flight.tries,
                        in_flight.first_empty_at
                 FROM in_flight JOIN journal ON journal.seq = in_flight.intent JOIN run ON run.id = journal.run
                 WHERE in_flight.sync = ?1 AND in_flight.overtaken_at IS NULL
                   AND (journal.epoch <> ?2 OR run.finished_at IS NOT NULL OR in_flight.request_over)
                 ORDER BY journal.seq",
            )?;
            let rows = statement.query_map(params![tenure.sync, tenure.epoch], |row| {
                let open = (row.get::<_, i64>(3)?, row.get(4)?, row.get::<_, Option<i64>>(5)?);
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, open))
            })?;
            rows.map(|row| {
                let (seq, payload, run, (sent_at, tries, first_empty_at)) = row?;
                Ok(InFlight {
                    id: IntentId(seq),
                    action: aliases::read(&payload)?,
                    run,
                    sent_at: Millis(sent_at),
                    tries,
                    first_empty_at: first_empty_at.map(Millis),
                })
            })
            .collect()
        })
        .await
    }

    /// People whose removal overtook an older write and for whom the look after it is due.
    pub async fn due_overtaken(&self, sync: &str, now: Millis) -> Result<Vec<SourceId>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT DISTINCT source_id FROM in_flight
                 WHERE sync = ?1 AND overtaken_at IS NOT NULL AND next_try_at <= ?2",
            )?;
            let rows = statement
                .query_map(params![sync, now.0], |row| Ok(SourceId::new(row.get::<_, String>(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// People about whom something is in flight that a run has to look after now: what nobody could tell, when its next
    /// try is due; an overtaken write, ten minutes after; and what an earlier tenure left.
    pub async fn due_in_flight(&self, sync: &str, now: Millis) -> Result<Vec<SourceId>, StoreError> {
        let sql = "SELECT DISTINCT in_flight.source_id FROM in_flight
                   JOIN journal ON journal.seq = in_flight.intent JOIN sync ON sync.name = in_flight.sync
                   WHERE in_flight.sync = ?1
                     AND (next_try_at <= ?2 OR next_try_at > ?3
                          OR (next_try_at IS NULL AND journal.epoch <> sync.epoch))";
        self.people_due(sync, now, sql).await
    }

    /// When the next of them is due.
    pub async fn next_in_flight_try(&self, sync: &str) -> Result<Option<Millis>, StoreError> {
        self.earliest(sync, "SELECT min(next_try_at) FROM in_flight WHERE sync = ?1").await
    }
}

/// Whether a write for somebody was recorded and how it ended is not known.
pub(crate) fn is_in_flight(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &SourceId,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM in_flight WHERE sync = ?1 AND source_id = ?2)";
    Ok(transaction.query_row(sql, [sync, person.as_str()], |row| row.get(0))?)
}
