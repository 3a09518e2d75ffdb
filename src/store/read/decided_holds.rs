//! What was decided about a hold since a run named it: a report that is repeated offers no command that does nothing any
//! more.
//!
//! What lives here: the sentence. What must not: decisions (`holds`).

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::report::RunFacts;
use crate::model::time::Millis;
use crate::store::StoreError;

/// Says of each hold of a stored run what became of it.
pub(crate) fn note_decisions(
    transaction: &Transaction<'_>,
    facts: &mut RunFacts,
    now: Millis,
) -> Result<(), StoreError> {
    for hold in &mut facts.holds {
        let Some(number) = hold.id.strip_prefix('h').and_then(|number| number.parse::<i64>().ok()) else {
            continue;
        };
        hold.decided = decision(transaction, number, now)?;
    }
    Ok(())
}

/// What became of a hold; `None` while somebody waits in it.
fn decision(transaction: &Transaction<'_>, number: i64, now: Millis) -> Result<Option<String>, StoreError> {
    let found = transaction
        .query_row(
            "SELECT state, decided_by, decided_at, expires_at FROM hold WHERE id = ?1",
            params![number],
            |row| {
                let by: Option<String> = row.get(1)?;
                let at: Option<i64> = row.get(2)?;
                Ok((row.get::<_, String>(0)?, by, at.map(Millis), Millis(row.get(3)?)))
            },
        )
        .optional()?;
    let Some((state, by, at, expires_at)) = found else {
        return Ok(Some("it is not on record any more".to_owned()));
    };
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let on = at.map(|at| format!(" on {}", at.rfc3339())).unwrap_or_default();
    Ok(match state.as_str() {
        "open" if expires_at > now => None,
        "open" | "expired" => Some(format!("it ran out on {}", expires_at.rfc3339())),
        "released" => Some(format!("approved{by}{on}")),
        "rejected" => Some(format!("rejected{by}{on}")),
        // The table's CHECK allows nothing else than a hold that was dropped.
        _ => Some("nobody in it waits any more".to_owned()),
    })
}
