//! Who is known by a name, and by which names they are known. Nothing is changed here.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId};
use crate::model::time::Millis;
use crate::store::record::erasure::unname::Names;
use crate::store::{Snapshot, StoreError};

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
    /// Whether the linked account takes a seat that is counted.
    pub takes_a_seat: bool,
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
    take("SELECT sync, source_id, user_name, target_id FROM owed")?;
    take(
        "SELECT DISTINCT sync, source_id, user_name, record ->> '$.target_id' FROM told WHERE source_id <> ''",
    )?;
    take("SELECT sync, source_id, NULL, NULL FROM look")?;
    take(
        "SELECT hold.sync, source_id, user_name, NULL FROM hold_pair JOIN hold ON hold.id = hold_pair.hold",
    )?;
    take(
        "SELECT DISTINCT sync, source_id, payload ->> '$.user', payload ->> '$.target_id' FROM journal
         WHERE payload IS NOT NULL AND source_id <> ''",
    )?;
    Ok(found)
}

pub(crate) fn known(
    transaction: &Transaction<'_>,
    sync: String,
    source_id: String,
) -> Result<KnownAs, StoreError> {
    let who = params![sync, source_id];
    let (entries, last_at): (i64, Option<i64>) = transaction.query_row(
        "SELECT count(*), max(at) FROM journal WHERE sync = ?1 AND source_id = ?2 AND payload IS NOT NULL",
        who,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let account = transaction
        .query_row(
            "SELECT target_id, state, billable AND state <> 'gone' FROM link WHERE sync = ?1 AND source_id = ?2",
            who,
            |row| Ok(((TargetId::new(row.get::<_, String>(0)?), row.get(1)?), row.get::<_, bool>(2)?)),
        )
        .optional()?;
    let takes_a_seat = account.as_ref().is_some_and(|(_, takes_a_seat)| *takes_a_seat);
    let account = account.map(|(account, _)| account);
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
         UNION SELECT user_name FROM owed WHERE sync = ?1 AND source_id = ?2 AND class <> 'look'
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
        takes_a_seat,
        open_holds: open_holds as u64,
        pinned,
    })
}

/// What is looked at of an intent, or of a line, for further names.
#[derive(Deserialize)]
struct Named {
    user: Option<String>,
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

/// Whether what is written there names somebody.
fn is_name(path: &str) -> bool {
    path == "userName" || path.starts_with("emails")
}

/// Every word by which a person is named: ids, logins and addresses.
pub(crate) fn names_of(transaction: &Transaction<'_>, known: &KnownAs) -> Result<Names, StoreError> {
    let mut names: BTreeSet<String> = known.logins.clone();
    names.insert(known.source_id.as_str().to_owned());
    names.extend(known.account.iter().map(|(id, _)| id.as_str().to_owned()));
    let who = [known.sync.as_str(), known.source_id.as_str()];
    let mut statement = transaction.prepare(
        "SELECT payload FROM journal
         WHERE sync = ?1 AND source_id = ?2 AND kind = 'intent' AND payload IS NOT NULL
         UNION ALL SELECT record FROM told WHERE sync = ?1 AND source_id = ?2",
    )?;
    for document in statement.query_map(who, |row| row.get::<_, String>(0))? {
        let Ok(named) = serde_json::from_str::<Named>(&document?) else { continue };
        names.extend([named.user, named.target_id].into_iter().flatten());
        for change in named.changes {
            let values = [change.from, change.to].into_iter().flatten().filter(|_| is_name(&change.path));
            names.extend(values.filter_map(|value| value.as_str().map(str::to_owned)));
        }
    }
    let mut statement =
        transaction.prepare("SELECT acknowledged FROM link WHERE sync = ?1 AND source_id = ?2")?;
    for values in statement.query_map(who, |row| row.get::<_, String>(0))? {
        let Ok(values) = serde_json::from_str::<Map<String, Value>>(&values?) else { continue };
        let values = values.into_iter().filter(|(path, _)| is_name(path));
        names.extend(values.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
    }
    Ok(Names::new(names))
}
