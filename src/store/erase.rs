//! Erasing: one person disappears from what serves history only, and from the file's bytes.
//!
//! In the journal, who and what give way to a pseudonym, and an event says which entries those are: it names nobody.
//! What a run needs of somebody who has an active account is no history, and stays.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Deserialize;
use serde_json::Value;

use super::events::{ErasedEntries, EventPayload, NewEvent, counted, record_after};
use super::history::ERASED;
use super::{Snapshot, Store, StoreError};
use crate::core::normalize::fold_address;
use crate::model::digest::DigestKey;
use crate::model::history::EventKind;
use crate::model::id::{SourceId, TargetId};
use crate::model::time::Millis;

/// Noted while bytes of what was erased may still be in the file.
const DUE: &str = "scrub_due";
/// Shorter ids are too likely to be a number or a word of something else.
const SHORTEST_ID: usize = 6;

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
const PLACES: &[Remove] = &[decided_pairs, lines, failing, hints, looks, repairs, names_in_pins, link];

/// Somebody who is or was known by a name, in one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAs {
    /// The sync.
    pub sync: String,
    /// The person.
    pub source_id: SourceId,
    /// Where the id is from: ids of two organisations may be the same.
    pub origin: Option<String>,
    /// Logins, present and earlier.
    pub logins: BTreeSet<String>,
    /// Entries of the journal about them that have not been erased.
    pub entries: u64,
    /// The newest of these.
    pub last_at: Option<Millis>,
    /// The linked account, and its state.
    pub account: Option<(TargetId, String)>,
    /// What waits for a decision about them.
    pub open_holds: u64,
    /// Whether a decision stands that keeps rosterd from them.
    pub pinned: bool,
}

impl KnownAs {
    /// Whether their account is linked and active.
    pub fn is_provisioned(&self) -> bool {
        self.account.as_ref().is_some_and(|(_, state)| state == "active")
    }
}

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

impl Snapshot {
    /// Everybody who is or was known by a login, a source id or an account id, in these syncs; none given = in all.
    pub async fn known_as(&self, who: &str, syncs: Vec<String>) -> Result<Vec<KnownAs>, StoreError> {
        let who = who.to_owned();
        self.transact(move |transaction| {
            let mut found = Vec::new();
            for (sync, source_id) in candidates(transaction, &who)? {
                if syncs.is_empty() || syncs.contains(&sync) {
                    found.push(known(transaction, sync, source_id)?);
                }
            }
            Ok(found)
        })
        .await
    }
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

    /// Writes the file anew and empties the write-ahead log, so that no byte of what was erased is left in either.
    /// False where somebody reads just now: the next erasure, pruning or start does it.
    pub async fn scrub(&self) -> Result<bool, StoreError> {
        let outcome = self.snapshot.connection.call(|connection| scrub(connection)).await;
        outcome.map_err(|error| match error {
            tokio_rusqlite::Error::Error(error) => StoreError::from(error),
            other => StoreError::Database(format!("the database thread ended: {other}")),
        })
    }
}

impl Store {
    /// As [`Store::scrub`], where an earlier one could not be carried out.
    pub async fn scrub_if_due(&self) -> Result<(), StoreError> {
        let due = self.snapshot.transact(|transaction| Ok(is_scrub_due(transaction)?)).await?;
        if due {
            self.scrub().await?;
        }
        Ok(())
    }
}

/// Whether bytes of what was erased may still be in the file.
pub(super) fn is_scrub_due(connection: &rusqlite::Connection) -> Result<bool, rusqlite::Error> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1)", [DUE], |row| row.get(0))
}

/// As [`Store::scrub`].
pub(super) fn scrub(connection: &rusqlite::Connection) -> Result<bool, rusqlite::Error> {
    connection.execute_batch("VACUUM")?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Ok(false);
    }
    connection.execute("DELETE FROM meta WHERE key = ?1", [DUE])?;
    Ok(true)
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
        let who = params![sync, person.as_str()];
        let unsettled: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM in_flight WHERE sync = ?1 AND source_id = ?2)",
            who,
            |row| row.get(0),
        )?;
        if unsettled {
            return Ok(None);
        }
        let known = known(transaction, sync.clone(), person.as_str().to_owned())?;
        let names = names_of(transaction, &known)?;
        erasure.runs += unname_runs(transaction, sync, &names)?;
        unname_sync(transaction, sync, &names)?;
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
    transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, x'01')", [DUE])?;
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

/// Sync and source id of everybody who is or was known by this name. Unlike `history --user`, it finds everybody: a
/// login may have been another's before.
fn candidates(transaction: &Transaction<'_>, who: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
    let key = fold_address(who);
    let mut found = BTreeSet::new();
    let mut take = |sql: &str| -> Result<(), StoreError> {
        let mut statement = transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = |index| row.get::<_, Option<String>>(index);
            let (Some(sync), Some(id)) = (text(0)?, text(1)?) else { continue };
            let is_login = text(2)?.is_some_and(|login| fold_address(&login) == key);
            if id == who || is_login || text(3)?.is_some_and(|account| account == who) {
                found.insert((sync, id));
            }
        }
        Ok(())
    };
    take("SELECT sync, source_id, user_name, target_id FROM link")?;
    take("SELECT sync, source_id, user_name, target_id FROM pin")?;
    take("SELECT sync, source_id, user_name, NULL FROM failing")?;
    take(
        "SELECT DISTINCT sync, source_id, user_name, record ->> '$.target_id' FROM told WHERE source_id <> ''",
    )?;
    take("SELECT sync, source_id, NULL, NULL FROM hint UNION SELECT sync, source_id, NULL, NULL FROM look")?;
    take(
        "SELECT hold.sync, source_id, user_name, NULL FROM hold_pair JOIN hold ON hold.id = hold_pair.hold",
    )?;
    take(
        "SELECT DISTINCT sync, source_id, payload ->> '$.user', payload ->> '$.target_id' FROM journal
         WHERE payload IS NOT NULL AND source_id <> ''",
    )?;
    Ok(found)
}

fn known(transaction: &Transaction<'_>, sync: String, source_id: String) -> Result<KnownAs, StoreError> {
    let who = params![sync, source_id];
    let (entries, last_at): (i64, Option<i64>) = transaction.query_row(
        "SELECT count(*), max(at) FROM journal WHERE sync = ?1 AND source_id = ?2 AND payload IS NOT NULL",
        who,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let account = transaction
        .query_row("SELECT target_id, state FROM link WHERE sync = ?1 AND source_id = ?2", who, |row| {
            Ok((TargetId::new(row.get::<_, String>(0)?), row.get(1)?))
        })
        .optional()?;
    let open_holds: i64 = transaction.query_row(
        "SELECT count(*) FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
         WHERE hold.sync = ?1 AND source_id = ?2 AND hold_pair.state IN ('waiting', 'approved')",
        who,
        |row| row.get(0),
    )?;
    let pinned: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM pin WHERE sync = ?1 AND source_id = ?2)",
        who,
        |row| row.get(0),
    )?;
    let origin: Option<Option<String>> = transaction
        .query_row("SELECT source_origin FROM sync WHERE name = ?1", [&sync], |row| row.get(0))
        .optional()?;
    let mut logins = BTreeSet::new();
    let mut statement = transaction.prepare(
        "SELECT user_name FROM link WHERE sync = ?1 AND source_id = ?2
         UNION SELECT user_name FROM pin WHERE sync = ?1 AND source_id = ?2
         UNION SELECT user_name FROM failing WHERE sync = ?1 AND source_id = ?2
         UNION SELECT user_name FROM told WHERE sync = ?1 AND source_id = ?2
         UNION SELECT user_name FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
               WHERE hold.sync = ?1 AND source_id = ?2
         UNION SELECT payload ->> '$.user' FROM journal WHERE sync = ?1 AND source_id = ?2",
    )?;
    let names = statement.query_map(who, |row: &Row<'_>| row.get::<_, Option<String>>(0))?;
    for name in names {
        logins.extend(name?.filter(|name| !name.is_empty()));
    }
    Ok(KnownAs {
        source_id: SourceId::new(source_id),
        sync,
        origin: origin.flatten(),
        logins,
        entries: entries as u64,
        last_at: last_at.map(Millis),
        account,
        open_holds: open_holds as u64,
        pinned,
    })
}

/// What is looked at of an intent for further names.
#[derive(Deserialize)]
struct Named {
    target_id: Option<String>,
    #[serde(default)]
    changes: Vec<NamedChange>,
}

#[derive(Deserialize)]
struct NamedChange {
    path: String,
    from: Option<Value>,
    to: Option<Value>,
}

/// Every word by which a person is named: ids, logins and addresses.
fn names_of(transaction: &Transaction<'_>, known: &KnownAs) -> Result<BTreeSet<String>, StoreError> {
    let mut names: BTreeSet<String> = known.logins.clone();
    names.insert(known.source_id.as_str().to_owned());
    names.extend(known.account.iter().map(|(id, _)| id.as_str().to_owned()));
    let mut statement = transaction.prepare(
        "SELECT payload FROM journal
         WHERE sync = ?1 AND source_id = ?2 AND kind = 'intent' AND payload IS NOT NULL",
    )?;
    let payloads =
        statement.query_map([&known.sync, known.source_id.as_str()], |row| row.get::<_, String>(0))?;
    for payload in payloads {
        let Ok(named) = serde_json::from_str::<Named>(&payload?) else { continue };
        names.extend(named.target_id);
        for change in named.changes {
            let is_name = change.path == "userName" || change.path.starts_with("emails");
            let values = [change.from, change.to].into_iter().flatten().filter(|_| is_name);
            names.extend(values.filter_map(|value| value.as_str().map(str::to_owned)));
        }
    }
    names.retain(|name| name.contains('@') || name.len() >= SHORTEST_ID);
    Ok(names)
}

/// Takes a person's names out of what runs say of themselves and of other people. Gives the runs.
fn unname_runs(
    transaction: &Transaction<'_>,
    sync: &str,
    names: &BTreeSet<String>,
) -> Result<u64, StoreError> {
    unname_documents(transaction, "told", "record", sync, names)?;
    unname_documents(transaction, "run", "facts", sync, names)
}

/// Takes a person's names out of every text of a column of JSON. Gives the rows that had one.
fn unname_documents(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    sync: &str,
    names: &BTreeSet<String>,
) -> Result<u64, StoreError> {
    let mut changed: BTreeMap<i64, String> = BTreeMap::new();
    let sql = format!("SELECT id, {column} FROM {table} WHERE sync = ?1 AND {column} IS NOT NULL");
    let mut select = transaction.prepare(&sql)?;
    let mut rows = select.query([sync])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let folded = text.to_ascii_lowercase();
        if names.iter().any(|name| folded.contains(&name.to_ascii_lowercase())) {
            let mut value: Value = serde_json::from_str(&text)?;
            if unname_value(&mut value, names) {
                changed.insert(row.get(0)?, serde_json::to_string(&value)?);
            }
        }
    }
    drop(rows);
    let sql = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1");
    for (row, text) in &changed {
        transaction.execute(&sql, params![row, text])?;
    }
    Ok(changed.len() as u64)
}

/// Takes a person's names out of why a sync failed and why something is held.
fn unname_sync(
    transaction: &Transaction<'_>,
    sync: &str,
    names: &BTreeSet<String>,
) -> Result<(), StoreError> {
    for (table, column, condition) in [
        ("sync", "failed_reason", "name = ?1"),
        ("sync", "verify_failed_reason", "name = ?1"),
        ("hold", "reason", "sync = ?1"),
    ] {
        let sql = format!("SELECT rowid, {column} FROM {table} WHERE {condition} AND {column} IS NOT NULL");
        let mut select = transaction.prepare(&sql)?;
        let rows: Vec<(i64, String)> =
            select.query_map([sync], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        for (row, mut text) in rows {
            if unname(&mut text, names) {
                let sql = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
                transaction.execute(&sql, params![row, text])?;
            }
        }
    }
    Ok(())
}

/// Every text in a value; says whether there was a name in any.
fn unname_value(value: &mut Value, names: &BTreeSet<String>) -> bool {
    let mut changed = false;
    match value {
        Value::String(text) => changed = unname(text, names),
        Value::Array(items) => items.iter_mut().for_each(|item| changed |= unname_value(item, names)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| changed |= unname_value(member, names));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    changed
}

/// Replaces each name that stands by itself; says whether there was one.
fn unname(text: &mut String, names: &BTreeSet<String>) -> bool {
    // The longest first: one name may be a part of another.
    let mut longest_first: Vec<&String> = names.iter().collect();
    longest_first.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut changed = false;
    for name in longest_first {
        let name = name.to_ascii_lowercase();
        let mut from = 0;
        while let Some(place) = text.to_ascii_lowercase().get(from..).and_then(|rest| rest.find(&name)) {
            let (start, end) = (from + place, from + place + name.len());
            let before = text[..start].chars().next_back();
            let after = text[end..].chars().next();
            if before.is_some_and(char::is_alphanumeric) || after.is_some_and(char::is_alphanumeric) {
                from = end;
            } else {
                text.replace_range(start..end, ERASED);
                from = start + ERASED.len();
                changed = true;
            }
        }
    }
    changed
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

fn failing(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(transaction, person, "DELETE FROM failing WHERE sync = ?1 AND source_id = ?2")
}

fn hints(transaction: &Transaction<'_>, person: &Person<'_>) -> Result<u64, StoreError> {
    of_nobody_here(transaction, person, "DELETE FROM hint WHERE sync = ?1 AND source_id = ?2")
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
