//! Erasing: one person disappears from what serves history only, and from the file's bytes.
//!
//! In the journal, who and what give way to a pseudonym, and an event says which entries those are: it names nobody.
//! What a run needs of somebody who has an active account is no history, and stays.

use rusqlite::{Transaction, params};

use crate::model::digest::DigestKey;
use crate::model::history::EventKind;
use crate::model::id::SourceId;
use crate::model::time::Millis;
use crate::store::record::erasure::known::{known, names_of};
use crate::store::record::erasure::unname::unname_everywhere;
use crate::store::record::events::{ErasedEntries, EventPayload, NewEvent, counted, record_after};
use crate::store::record::journal::is_in_flight;
use crate::store::{Store, StoreError};

pub use known::KnownAs;

mod known;
mod scrub;
mod unname;

/// One person in one sync.
struct Person<'a> {
    sync: &'a str,
    source_id: &'a str,
    /// Their account is linked and active.
    is_provisioned: bool,
}

/// Removes what is held of a person in one place, and says how many rows it were.
type Remove = fn(&Transaction<'_>, &Person<'_>) -> Result<u64, StoreError>;

/// Where else than in the journal and the runs a person is held.
const PLACES: &[Remove] =
    &[decided_pairs, lines, owed, claimed, looks, repairs, heartbeat, names_in_pins, link];

/// What an erasure did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Entries of the journal that were emptied.
    pub entries: u64,
    /// Runs in whose words the person was named.
    pub runs: u64,
    /// Other records that were removed.
    pub others: u64,
}

impl Store {
    /// Erases a person from the history of these syncs. Their link stays where the account is active. `None`, and
    /// nothing is changed, where a write for them is not settled. [`Store::scrub`] has to follow.
    pub async fn erase(
        &self,
        person: &SourceId,
        syncs: Vec<String>,
        by: &str,
        now: Millis,
    ) -> Result<Option<Erasure>, StoreError> {
        let (person, by, key) = (person.clone(), by.to_owned(), self.snapshot.digest_key());
        self.snapshot.transact(move |transaction| erase(transaction, &key, &person, &syncs, by, now)).await
    }
}

fn erase(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    person: &SourceId,
    syncs: &[String],
    by: String,
    now: Millis,
) -> Result<Option<Erasure>, StoreError> {
    let mut erasure = Erasure::default();
    let mut emptied = Vec::new();
    for sync in syncs {
        if is_in_flight(transaction, sync, person)? {
            return Ok(None);
        }
        let is_owed: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM owed WHERE sync = ?1 AND source_id = ?2 AND class = 'removal')",
            [sync, person.as_str()],
            |row| row.get(0),
        )?;
        if is_owed {
            return Err(StoreError::StillOwed(format!(
                "cannot erase {person} from sync \"{sync}\": the removal of their access is still owed\nhelp: `rosterd \
                 status` says what it waits for; erase them once it is done"
            )));
        }
        let known = known(transaction, sync.clone(), person.as_str().to_owned())?;
        let names = names_of(transaction, &known)?;
        erasure.runs += unname_everywhere(transaction, sync, &names)?;
        let entries = empty_entries(transaction, sync, person.as_str(), &mut emptied)?;
        erasure.entries += entries;
        let is_provisioned = known.is_provisioned();
        let person = Person { sync, source_id: person.as_str(), is_provisioned };
        for remove in PLACES {
            erasure.others += remove(transaction, &person)?;
        }
    }
    let Erasure { entries, runs, others } = erasure;
    let counts = counted([("entries", entries), ("runs", runs), ("others", others)]);
    // A single sync may be named; the person is not.
    let sync = <&[String; 1]>::try_from(syncs).ok().map(|[sync]| sync.clone());
    let event = NewEvent { kind: EventKind::Erase, sync, by, at: now, counts, detail: None };
    let payload = EventPayload { erased: emptied, ..EventPayload::default() };
    record_after(transaction, key, &event, payload, None)?;
    scrub::is_due_now(transaction)?;
    Ok(Some(erasure))
}

/// Takes who and what out of every entry about a person.
fn empty_entries(
    transaction: &Transaction<'_>,
    sync: &str,
    source_id: &str,
    emptied: &mut Vec<ErasedEntries>,
) -> Result<u64, StoreError> {
    let pseudonym = format!("erased-{}", uuid::Uuid::new_v4().simple());
    let mut statement = transaction.prepare(
        "SELECT seq FROM journal WHERE sync = ?1 AND source_id = ?2 AND payload IS NOT NULL ORDER BY seq",
    )?;
    let entries: Vec<i64> =
        statement.query_map([sync, source_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // The salt goes too: with it, what was sent could be guessed and tried.
    let mut empty = transaction
        .prepare("UPDATE journal SET source_id = ?2, payload = NULL, salt = x'' WHERE seq = ?1")?;
    for seq in &entries {
        empty.execute(params![seq, pseudonym])?;
    }
    let count = entries.len() as u64;
    if count > 0 {
        emptied.push(ErasedEntries { pseudonym, entries });
    }
    Ok(count)
}

/// Pairs of holds that are decided. What still waits, or is approved and not sent, is no history.
fn decided_pairs(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    Ok(transaction.execute(
        "DELETE FROM hold_pair WHERE source_id = ?2 AND state IN ('consumed', 'dropped')
           AND hold IN (SELECT id FROM hold WHERE sync = ?1)",
        [person.sync, person.source_id],
    )? as u64)
}

/// What runs told of the person. Where it is still true, the next run tells it again.
fn lines(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    let who = [person.sync, person.source_id];
    Ok(transaction.execute("DELETE FROM told WHERE sync = ?1 AND source_id = ?2", who)? as u64)
}

fn owed(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(transaction, person, "DELETE FROM owed WHERE sync = ?1 AND source_id = ?2")
}

/// That a creation was answered with somebody else's account.
fn claimed(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(transaction, person, "DELETE FROM taken_account WHERE sync = ?1 AND source_id = ?2")
}

/// A look keeps a run that goes on from acting on an older one; after that it is of no use.
fn looks(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(
        transaction,
        person,
        "DELETE FROM look WHERE sync = ?1 AND source_id = ?2
           AND NOT EXISTS (SELECT 1 FROM run JOIN sync ON sync.name = run.sync
                           WHERE run.sync = ?1 AND run.finished_at IS NULL AND run.epoch = sync.epoch)",
    )
}

fn repairs(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(transaction, person, "DELETE FROM drift_repair WHERE sync = ?1 AND source_id = ?2")
}

/// Whose account was asked for last; the next run begins with the first one again. It is no record of its own.
fn heartbeat(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    let sql = "UPDATE sync SET heartbeat_person = NULL WHERE name = ?1 AND heartbeat_person = ?2";
    of_nobody_here(transaction, person, sql).map(|_| 0)
}

/// A pin keeps rosterd from the person: the id stays for that, login and account need not.
fn names_in_pins(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(
        transaction,
        person,
        "UPDATE pin SET user_name = NULL, target_id = NULL
         WHERE sync = ?1 AND source_id = ?2 AND (user_name IS NOT NULL OR target_id IS NOT NULL)",
    )
}

/// The link of somebody who left: it holds their login and every value that was written.
fn link(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(transaction, person, "DELETE FROM link WHERE sync = ?1 AND source_id = ?2")
}

fn of_nobody_here(transaction: &Transaction<'_>, person: &Person<'_>, sql: &str) -> Result<u64, StoreError> {
    if person.is_provisioned {
        return Ok(0);
    }
    Ok(transaction.execute(sql, [person.sync, person.source_id])? as u64)
}

#[cfg(test)]
mod tests;
