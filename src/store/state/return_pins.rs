//! The pins of an undo: whoever was taken back stays as that left them, until the source changes.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::aliases;
use crate::model::plan::{PlannedAction, RemovalCause};
use crate::model::time::Millis;
use crate::store::record::intent::{IntentOutcome, IntentSettlement};
use crate::store::state::holds::number_now;
use crate::store::{StoreError, Tenure};

/// A run's place in a row of returns: 0 = an ordinary run, 1 = it takes back an ordinary run, 2 = it takes back such a
/// return, and so on.
fn returns_in_a_row(transaction: &Transaction<'_>, run: i64) -> Result<i64, StoreError> {
    Ok(transaction.query_row(
        "WITH RECURSIVE chain (id, place) AS (
             SELECT ?1, 0 UNION ALL
             SELECT run.undoes, chain.place + 1 FROM chain JOIN run ON run.id = chain.id
             WHERE run.undoes IS NOT NULL
         ) SELECT max(place) FROM chain",
        [run],
        |row| row.get(0),
    )?)
}

/// Pins the person of a return's intent, before anything is sent: a crash must not leave what was taken back to the
/// next run.
pub(crate) fn pin_return(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    run: i64,
    at: Millis,
) -> Result<(), StoreError> {
    if returns_in_a_row(transaction, run)? % 2 == 0 {
        return Ok(());
    }
    let cause = cause_taken_back(transaction, action, run)?;
    transaction.execute(
        "INSERT OR REPLACE INTO pin (sync, source_id, reason, verb, digest, pinned_at, run, user_name, target_id,
                                     pinned_number, cause)
         SELECT ?1, ?2, 'undone by ' || coalesce(undone_by, '') || ' on ' || ?3 || ' (run ' || id
                        || ' took back run ' || undoes || ')', NULL, ?4, ?5, id, ?6, ?7, ?9, ?10
         FROM run WHERE id = ?8",
        params![
            tenure.sync,
            action.source_id.as_str(),
            at.rfc3339(),
            action.source_digest.map(|digest| digest.0.to_vec()),
            at.0,
            action.user,
            action.target_id.as_ref().map(|id| id.as_str()),
            run,
            number_now(transaction, &tenure.sync)?,
            cause.map(|cause| cause.bound_by_decision().as_str()),
        ],
    )?;
    Ok(())
}

/// Why the removal was sent that a return takes back: the decision binds that cause, and no later one.
fn cause_taken_back(
    transaction: &Transaction<'_>,
    action: &PlannedAction,
    run: i64,
) -> Result<Option<RemovalCause>, StoreError> {
    let payload: Option<String> = transaction
        .query_row(
            "SELECT payload FROM journal
             WHERE run = (SELECT undoes FROM run WHERE id = ?1) AND source_id = ?2 AND kind = 'intent'
               AND verb IN ('deactivate', 'delete') AND payload IS NOT NULL
             ORDER BY seq DESC LIMIT 1",
            params![run, action.source_id.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    let removal: Option<PlannedAction> = payload.map(|payload| aliases::read(&payload)).transpose()?;
    Ok(removal.and_then(|removal| removal.cause).filter(|cause| cause.is_at_the_source()))
}

/// Takes the pin of a return away where it came to nothing, and lifts the pin of a return that was itself taken back.
/// Says whether the run is a return at all.
pub(crate) fn settle_return(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    run: i64,
    action: &PlannedAction,
    settlement: &IntentSettlement,
) -> Result<bool, StoreError> {
    let place = returns_in_a_row(transaction, run)?;
    let person = params![tenure.sync, action.source_id.as_str(), run];
    match (place, place % 2 == 1, settlement.settled) {
        (0, _, _)
        | (_, true, IntentOutcome::Applied | IntentOutcome::GivenUp)
        | (_, false, IntentOutcome::Refused | IntentOutcome::NotSent | IntentOutcome::GivenUp) => {}
        (_, true, IntentOutcome::Refused | IntentOutcome::NotSent) => {
            transaction.execute(
                "DELETE FROM pin WHERE sync = ?1 AND source_id = ?2 AND run = ?3
                   AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.sync = ?1 AND journal.source_id = ?2
                                     AND journal.run = ?3 AND journal.outcome = 'applied')",
                person,
            )?;
        }
        (_, false, IntentOutcome::Applied) => {
            transaction
                .execute("DELETE FROM pin WHERE sync = ?1 AND source_id = ?2 AND ?3 IS NOT NULL", person)?;
        }
    }
    Ok(place > 0)
}
