//! What `explain` asks of the state: whom a name means, and everything that is stored of them.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::explain::{Similar, Stored, StoredSync, UntoldRead};
use crate::model::explain::{LastRead, PersonHold, PersonPin};
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::status::FailingPerson;
use crate::model::time::Millis;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::read::history::attempts_of;
use crate::store::record::report_line::told_now;
use crate::store::rows::people;
use crate::store::rows::verb_of;
use crate::store::state::holds::APPROVAL_MILLIS;
use crate::store::state::links::link_of;
use crate::store::state::owed::owed_of_person;
use crate::store::state::pins::paused_until;
use crate::store::state::runs::health;

/// Attempts that are shown.
const ATTEMPTS_SHOWN: u32 = 5;

impl Snapshot {
    /// Everything that is stored of the people whom a login, an e-mail address, a source id or a target id means or
    /// meant.
    pub async fn explained(&self, sync: &str, who: &str, now: Millis) -> Result<StoredSync, StoreError> {
        let (sync, who) = (sync.to_owned(), who.trim().to_owned());
        self.transact(move |transaction| {
            let ids = ids_of(transaction, &sync, &who)?;
            let similar = if ids.is_empty() { similar(transaction, &sync, &who)? } else { Vec::new() };
            Ok(StoredSync { similar, ..stored(transaction, &sync, &ids, now)? })
        })
        .await
    }

    /// Everything that is stored of these people, in this order. Of whom nothing is stored, just that.
    pub async fn stored(
        &self,
        sync: &str,
        ids: Vec<SourceId>,
        now: Millis,
    ) -> Result<StoredSync, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| stored(transaction, &sync, &ids, now)).await
    }
}

fn stored(
    transaction: &Transaction<'_>,
    sync: &str,
    ids: &[SourceId],
    now: Millis,
) -> Result<StoredSync, StoreError> {
    let billable: i64 = transaction.query_row(
        "SELECT count(*) FROM link WHERE sync = ?1 AND billable AND state <> 'gone'",
        [sync],
        |row| row.get(0),
    )?;
    let last_read = last_read(transaction, sync)?;
    Ok(StoredSync {
        untold_read: untold_read(transaction, sync, last_read.as_ref())?,
        last_read,
        paused_until: paused_until(transaction, sync, now)?,
        health: health(transaction, sync)?,
        billable: billable as u64,
        people: ids.iter().map(|id| person(transaction, sync, id, now)).collect::<Result<_, _>>()?,
        similar: Vec::new(),
    })
}

fn person(
    transaction: &Transaction<'_>,
    sync: &str,
    id: &SourceId,
    now: Millis,
) -> Result<Stored, StoreError> {
    let heard_at: Option<i64> = transaction
        .query_row(
            "SELECT event_at FROM owed WHERE sync = ?1 AND source_id = ?2 AND class = 'look'",
            params![sync, id.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(Stored {
        source_id: id.clone(),
        link: link_of(transaction, sync, id)?,
        told: told_now(transaction, sync, id.as_str())?,
        failing: failing(transaction, sync, id)?,
        owed: owed_of_person(transaction, sync, id.as_str())?,
        holds: holds(transaction, sync, id, now)?,
        pin: pin(transaction, sync, id)?,
        heard_at: heard_at.map(Millis),
        attempts: attempts_of(transaction, sync, id.as_str(), ATTEMPTS_SHOWN)?,
    })
}

/// The source ids that a name means within a sync, in a fixed order.
fn ids_of(transaction: &Transaction<'_>, sync: &str, who: &str) -> Result<Vec<SourceId>, StoreError> {
    let key = fold_address(who);
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut statement = transaction.prepare(
        "SELECT source_id FROM link WHERE sync = ?1 AND source_id = ?2
         UNION SELECT source_id FROM link WHERE sync = ?1 AND user_name_key = ?3
         UNION SELECT source_id FROM link
               WHERE target_url = (SELECT target_url FROM sync WHERE name = ?1) AND target_id = ?2 AND sync = ?1
         UNION SELECT source_id FROM told WHERE sync = ?1 AND source_id = ?2
         UNION SELECT source_id FROM told WHERE sync = ?1 AND user_name_key = ?3
         UNION SELECT source_id FROM pin WHERE sync = ?1 AND (source_id = ?2 OR target_id = ?2)
         UNION SELECT source_id FROM owed WHERE sync = ?1 AND source_id = ?2
         UNION SELECT source_id FROM journal WHERE sync = ?1 AND source_id = ?2",
    )?;
    for id in statement.query_map(params![sync, who, key], |row| row.get(0))? {
        found.insert(id?);
    }
    // Few rows each, whose logins are not folded.
    let mut statement = transaction.prepare(
        "SELECT source_id, user_name FROM owed WHERE sync = ?1 AND class <> 'look'
         UNION SELECT source_id, user_name FROM pin WHERE sync = ?1 AND user_name IS NOT NULL",
    )?;
    let mut rows = statement.query([sync])?;
    while let Some(row) = rows.next()? {
        if fold_address(&row.get::<_, String>(1)?) == key {
            found.insert(row.get(0)?);
        }
    }
    if found.is_empty() {
        by_address(transaction, sync, who, &mut found)?;
    }
    if found.is_empty() {
        let of_this = people(transaction, who)?.into_iter().filter(|(of, _)| of == sync);
        found.extend(of_this.map(|(_, id)| id));
    }
    Ok(found.into_iter().map(SourceId::new).collect())
}

/// By an address of the account that is not its login.
fn by_address(
    transaction: &Transaction<'_>,
    sync: &str,
    who: &str,
    found: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let Some((local, _)) = who.split_once('@') else { return Ok(()) };
    let key = fold_address(who);
    let mut statement = transaction.prepare(
        "SELECT link.source_id, item.value FROM link, json_each(link.acknowledged) AS item
         WHERE link.sync = ?1 AND instr(lower(link.acknowledged), ?2) > 0 AND item.key LIKE 'emails%'",
    )?;
    let mut rows = statement.query(params![sync, local.to_ascii_lowercase()])?;
    while let Some(row) = rows.next()? {
        let address: Option<String> = row.get(1)?;
        if address.is_some_and(|address| fold_address(&address) == key) {
            found.insert(row.get(0)?);
        }
    }
    Ok(())
}

fn similar(transaction: &Transaction<'_>, sync: &str, who: &str) -> Result<Vec<String>, StoreError> {
    let mut similar = Similar::new(who);
    let mut statement = transaction.prepare(
        "SELECT user_name_key FROM link WHERE sync = ?1
         UNION ALL SELECT user_name_key FROM told WHERE sync = ?1",
    )?;
    let mut rows = statement.query([sync])?;
    while let Some(row) = rows.next()? {
        similar.look_at(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
    }
    Ok(similar.found())
}

/// The newest run that read everybody and told of everybody: only then has somebody without a line none.
fn last_read(transaction: &Transaction<'_>, sync: &str) -> Result<Option<LastRead>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT id, started_at, coalesce(facts ->> '$.source.users', 0) FROM run
             WHERE sync = ?1 AND facts ->> '$.source.complete' AND told = 'all'
             ORDER BY started_at DESC, id DESC LIMIT 1",
            [sync],
            |row| {
                Ok(LastRead {
                    run: row.get(0)?,
                    started_at: Millis(row.get(1)?),
                    people: row.get::<_, i64>(2)? as u64,
                })
            },
        )
        .optional()?)
}

/// The newest run that read everybody after that and did not tell of everybody.
fn untold_read(
    transaction: &Transaction<'_>,
    sync: &str,
    last_read: Option<&LastRead>,
) -> Result<Option<UntoldRead>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT id, started_at, told = 'some',
                    coalesce(facts ->> '$.target.problem', facts ->> '$.source.problem', facts ->> '$.notes[#-1]')
             FROM run
             WHERE sync = ?1 AND facts ->> '$.source.complete' AND told IS NOT 'all' AND id > ?2
             ORDER BY started_at DESC, id DESC LIMIT 1",
            params![sync, last_read.map_or(0, |read| read.run)],
            |row| {
                Ok(UntoldRead {
                    run: row.get(0)?,
                    started_at: Millis(row.get(1)?),
                    of_some: row.get::<_, Option<bool>>(2)?.unwrap_or(false),
                    problem: row.get(3)?,
                })
            },
        )
        .optional()?)
}

fn failing(
    transaction: &Transaction<'_>,
    sync: &str,
    id: &SourceId,
) -> Result<Option<FailingPerson>, StoreError> {
    Ok(owed_of_person(transaction, sync, id.as_str())?.iter().find_map(FailingPerson::of))
}

/// What waits for an approval, and what was approved and not sent yet.
fn holds(
    transaction: &Transaction<'_>,
    sync: &str,
    id: &SourceId,
    now: Millis,
) -> Result<Vec<PersonHold>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT hold.id, hold_pair.revision, hold_pair.action, hold.reason, hold_pair.state = 'approved',
                hold_pair.joined_at, hold.expires_at, hold.revision
         FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
         WHERE hold.sync = ?1 AND hold_pair.source_id = ?2
           AND ((hold_pair.state = 'waiting' AND hold.state = 'open' AND hold.expires_at > ?3)
                OR (hold_pair.state = 'approved' AND hold_pair.approved_at > ?4))
         ORDER BY hold.id",
    )?;
    let rows = statement.query_map(params![sync, id.as_str(), now.0, now.0 - APPROVAL_MILLIS], |row| {
        let (number, newest): (i64, u32) = (row.get(0)?, row.get(7)?);
        Ok(PersonHold {
            id: format!("h{number}"),
            revision: row.get(1)?,
            class: verb_of(&row.get::<_, String>(2)?),
            reason: row.get(3)?,
            approved: row.get(4)?,
            since: Millis(row.get(5)?),
            expires_at: Millis(row.get(6)?),
            approve: format!("rosterd approve h{number}@{newest}"),
            reject: format!("rosterd reject h{number}"),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn pin(transaction: &Transaction<'_>, sync: &str, id: &SourceId) -> Result<Option<PersonPin>, StoreError> {
    Ok(transaction
        .query_row(
            "SELECT reason, verb FROM pin WHERE sync = ?1 AND source_id = ?2",
            params![sync, id.as_str()],
            |row| {
                Ok(PersonPin {
                    reason: row.get(0)?,
                    verb: row.get::<_, Option<String>>(1)?.as_deref().map(verb_of),
                    lift: format!("rosterd forget --lift {id}"),
                })
            },
        )
        .optional()?)
}
