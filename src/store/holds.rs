//! Holds, approvals and rejections: rows that whoever holds the state reads.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use super::events::{NewEvent, counted, record};
use super::{Snapshot, Store, StoreError, Tenure};
use crate::model::digest::Digest;
use crate::model::history::EventKind;
use crate::model::id::SourceId;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;

const HOUR_MILLIS: i64 = 3600 * 1000;
/// How long a hold stays open.
const OPEN_MILLIS: i64 = 72 * HOUR_MILLIS;
/// How long an approval that could not be sent survives.
pub(super) const APPROVAL_MILLIS: i64 = 24 * HOUR_MILLIS;
/// How often a held removal is reminded of.
const REMIND_MILLIS: i64 = 24 * HOUR_MILLIS;

/// One person and action that a run held.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPair {
    /// The class.
    pub verb: Verb,
    /// Who.
    pub source_id: SourceId,
    /// Login.
    pub user: String,
    /// Why, with the numbers.
    pub reason: String,
    /// Where the person stands at the source.
    pub source_digest: Option<Digest>,
}

/// An open hold: one per sync and class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number; shown as `h7`.
    pub number: i64,
    /// The sync.
    pub sync: String,
    /// The class.
    pub verb: Verb,
    /// Grows when pairs join.
    pub revision: u32,
    /// Why, with the numbers.
    pub reason: String,
    /// Pairs that wait.
    pub count: u64,
    /// Over the pairs, hex.
    pub digest: String,
    /// Since when.
    pub opened_at: Millis,
    /// Until when.
    pub expires_at: Millis,
    /// Whether it is time to remind somebody of it.
    pub remind: bool,
}

impl Hold {
    /// `h7`
    pub fn id(&self) -> String {
        format!("h{}", self.number)
    }
}

/// One pair of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Who.
    pub source_id: SourceId,
    /// Login.
    pub user: String,
    /// The revision in which it joined.
    pub revision: u32,
    /// The run that it takes back, where a return was held.
    pub undoes: Option<i64>,
}

/// Whom a run that syncs the holds was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldScope {
    /// Everybody, as read then: what is not held any more leaves its hold. What another run has held or somebody
    /// has approved since is newer, and stays.
    Everybody(Millis),
    /// These people only.
    Named(HashSet<SourceId>),
    /// The return of this run: only what earlier returns of it held.
    ReturnOf(i64),
}

impl HoldScope {
    /// Whether this run's word about a person is newer than what was noted `since`.
    fn covers(&self, id: &SourceId, since: i64, undoes: Option<i64>) -> bool {
        match self {
            HoldScope::Everybody(read_at) => undoes.is_none() && since <= read_at.0,
            HoldScope::Named(ids) => undoes.is_none() && ids.contains(id),
            HoldScope::ReturnOf(run) => undoes == Some(*run),
        }
    }

    /// The run that is taken back, for a return.
    fn undoes(&self) -> Option<i64> {
        match self {
            HoldScope::ReturnOf(run) => Some(*run),
            HoldScope::Everybody(_) | HoldScope::Named(_) => None,
        }
    }
}

/// What an approval or a rejection did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The sync.
    pub sync: String,
    /// The people of the pairs.
    pub people: Vec<SourceId>,
    /// Those of them whom a return of a run held, by that run.
    pub of_returns: BTreeMap<i64, Vec<SourceId>>,
}

impl Decided {
    /// Those whom no return held.
    pub fn of_no_return(&self) -> Vec<SourceId> {
        let of_returns: HashSet<&SourceId> = self.of_returns.values().flatten().collect();
        self.people.iter().filter(|id| !of_returns.contains(id)).cloned().collect()
    }
}

impl Store {
    /// Brings the holds in line with what a run held, and drops approvals for what is no longer wanted. Gives the
    /// open holds.
    pub async fn sync_holds(
        &self,
        tenure: &Tenure,
        held: Vec<HeldPair>,
        wanted: HashSet<(SourceId, Verb)>,
        scope: HoldScope,
        now: Millis,
    ) -> Result<Vec<Hold>, StoreError> {
        let (tenure, key) = (tenure.clone(), self.snapshot.digest_key());
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let mut by_verb: BTreeMap<Verb, Vec<HeldPair>> = BTreeMap::new();
                for pair in held {
                    by_verb.entry(pair.verb).or_default().push(pair);
                }
                for verb in Verb::ALL.into_iter().filter(|verb| verb.is_write()) {
                    let pairs = by_verb.remove(&verb).unwrap_or_default();
                    sync_class(transaction, &tenure, &key, verb, &pairs, &scope, now)?;
                }
                drop_unwanted_approvals(transaction, &tenure, &wanted, &scope, now)?;
                let holds = open_holds(transaction, Some(&tenure.sync), now)?;
                for hold in holds.iter().filter(|hold| hold.remind) {
                    transaction.execute(
                        "UPDATE hold SET reminded_at = ?2 WHERE id = ?1",
                        params![hold.number, now.0],
                    )?;
                }
                Ok(holds)
            })
            .await
    }

    /// Releases the pairs of an open hold up to a revision. They are planned and proven again before they are sent.
    pub async fn approve(
        &self,
        number: i64,
        revision: u32,
        by: &str,
        now: Millis,
    ) -> Result<Decided, StoreError> {
        let (name, key) = (by.to_owned(), self.snapshot.digest_key());
        self.decide(number, EventKind::Approve, by, now, move |transaction, sync| {
            transaction.execute(
                "UPDATE hold_pair SET state = 'approved', approved_at = ?3
                 WHERE hold = ?1 AND revision <= ?2 AND state = 'waiting'",
                params![number, revision, now.0],
            )?;
            close(transaction, number, "released", Some((&name, now)))?;
            move_to_a_new_hold(transaction, number, &key)?;
            let people = people_of(transaction, number, "approved")?;
            for id in &people {
                transaction.execute(
                    "DELETE FROM pin WHERE sync = ?1 AND source_id = ?2",
                    params![sync, id.as_str()],
                )?;
            }
            Ok(people)
        })
        .await
    }

    /// Drops an open hold and pins its pairs: they are not planned again until the source changes for the person.
    pub async fn reject(&self, number: i64, by: &str, now: Millis) -> Result<Decided, StoreError> {
        let name = by.to_owned();
        self.decide(number, EventKind::Reject, by, now, move |transaction, sync| {
            let people = people_of(transaction, number, "waiting")?;
            let reason = format!("rejected by {name} on {}", now.rfc3339());
            transaction.execute(
                "INSERT OR REPLACE INTO pin (sync, source_id, reason, verb, digest, pinned_at)
                 SELECT ?2, source_id, ?3, action, digest, ?4 FROM hold_pair
                 WHERE hold = ?1 AND state = 'waiting' AND undoes IS NULL",
                params![number, sync, reason, now.0],
            )?;
            transaction.execute("UPDATE hold_pair SET state = 'dropped' WHERE hold = ?1", [number])?;
            close(transaction, number, "rejected", Some((&name, now)))?;
            Ok(people)
        })
        .await
    }

    /// A decision, and its event in the history.
    async fn decide<F>(
        &self,
        number: i64,
        kind: EventKind,
        by: &str,
        at: Millis,
        act: F,
    ) -> Result<Decided, StoreError>
    where
        F: FnOnce(&Transaction<'_>, &str) -> Result<Vec<SourceId>, StoreError> + Send + 'static,
    {
        let (by, key) = (by.to_owned(), self.snapshot.digest_key());
        self.snapshot
            .transact(move |transaction| {
                let sync: String = transaction
                    .query_row("SELECT sync FROM hold WHERE id = ?1 AND state = 'open'", [number], |row| {
                        row.get(0)
                    })
                    .optional()?
                    .ok_or(StoreError::NoSuchHold(number))?;
                let people = act(transaction, &sync)?;
                let of_returns = of_returns(transaction, number, &people)?;
                let (counts, detail) =
                    (counted([("people", people.len() as u64)]), Some(format!("h{number}")));
                let event = NewEvent { kind, sync: Some(sync.clone()), by, at, counts, detail };
                record(transaction, &key, &event)?;
                Ok(Decided { sync, people, of_returns })
            })
            .await
    }
}

impl Snapshot {
    /// The open holds, of one sync or of all.
    pub async fn open_holds(&self, sync: Option<&str>, now: Millis) -> Result<Vec<Hold>, StoreError> {
        let sync = sync.map(str::to_owned);
        self.transact(move |transaction| open_holds(transaction, sync.as_deref(), now)).await
    }

    /// The pairs that wait in a hold.
    pub async fn waiting(&self, number: i64) -> Result<Vec<Waiting>, StoreError> {
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, user_name, revision, undoes FROM hold_pair
                 WHERE hold = ?1 AND state = 'waiting' ORDER BY user_name, source_id",
            )?;
            let rows = statement.query_map([number], |row| {
                Ok(Waiting {
                    source_id: SourceId::new(row.get::<_, String>(0)?),
                    user: row.get(1)?,
                    revision: row.get(2)?,
                    undoes: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Pairs that somebody approved and that have not been sent yet.
    pub async fn approvals(&self, sync: &str, now: Millis) -> Result<HashSet<(SourceId, Verb)>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, action FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
                 WHERE hold.sync = ?1 AND hold_pair.state = 'approved' AND hold_pair.approved_at > ?2
                   AND hold_pair.undoes IS NULL",
            )?;
            let rows = statement.query_map(params![sync, now.0 - APPROVAL_MILLIS], |row| {
                Ok((SourceId::new(row.get::<_, String>(0)?), verb_of(&row.get::<_, String>(1)?)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Uses up the approval of exactly this person and action. Says who gave it, if there was one.
pub(super) fn consume_approval(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    run: i64,
) -> Result<Option<String>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "UPDATE hold_pair SET state = 'consumed'
         WHERE state = 'approved' AND source_id = ?2 AND action = ?3
           AND hold IN (SELECT id FROM hold WHERE sync = ?1)
           AND hold_pair.undoes IS (SELECT undoes FROM run WHERE id = ?4)
         RETURNING (SELECT coalesce(decided_by, '') FROM hold WHERE hold.id = hold_pair.hold)",
    )?;
    let mut rows =
        statement.query(params![tenure.sync, action.source_id.as_str(), action.verb.as_str(), run])?;
    let mut by = None;
    while let Some(row) = rows.next()? {
        by = Some(row.get(0)?);
    }
    Ok(by)
}

/// What was approved and turned out not to have happened is still approved, for as long as it was.
pub(super) fn give_back_approval(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    run: i64,
) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE hold_pair SET state = 'approved'
         WHERE rowid = (SELECT max(hold_pair.rowid) FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
                        WHERE hold.sync = ?1 AND hold_pair.state = 'consumed' AND source_id = ?2 AND action = ?3
                          AND hold_pair.undoes IS (SELECT undoes FROM run WHERE run.id = ?4))",
        params![tenure.sync, action.source_id.as_str(), action.verb.as_str(), run],
    )?;
    Ok(())
}

fn sync_class(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    key: &crate::model::digest::DigestKey,
    verb: Verb,
    held: &[HeldPair],
    scope: &HoldScope,
    now: Millis,
) -> Result<(), StoreError> {
    expire(transaction, &tenure.sync, verb, now)?;
    let open: Option<(i64, u32)> = transaction
        .query_row(
            "SELECT id, revision FROM hold WHERE sync = ?1 AND class = ?2 AND state = 'open'",
            params![tenure.sync, verb.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (number, revision) = match (open, held.first()) {
        (None, None) => return Ok(()),
        (Some(open), _) => open,
        (None, Some(first)) => {
            transaction.execute(
                "INSERT INTO hold (sync, class, revision, state, reason, digest, opened_at, expires_at, reminded_at)
                 VALUES (?1, ?2, 0, 'open', ?3, '', ?4, ?5, ?4)",
                params![tenure.sync, verb.as_str(), first.reason, now.0, now.0 + OPEN_MILLIS],
            )?;
            (transaction.last_insert_rowid(), 0)
        }
    };
    let known = joined(transaction, number)?;
    let still: HashSet<&SourceId> = held.iter().map(|pair| &pair.source_id).collect();
    for (id, _) in
        known.iter().filter(|(id, (at, undoes))| scope.covers(id, *at, *undoes) && !still.contains(id))
    {
        transaction.execute(
            "DELETE FROM hold_pair WHERE hold = ?1 AND source_id = ?2",
            params![number, id.as_str()],
        )?;
    }
    let joins = held.iter().any(|pair| !known.contains_key(&pair.source_id));
    let revision = revision + u32::from(joins);
    for pair in held {
        transaction.execute(
            "INSERT INTO hold_pair (hold, revision, source_id, action, user_name, digest, joined_at, undoes, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting')
             ON CONFLICT (hold, source_id) DO UPDATE SET user_name = excluded.user_name, digest = excluded.digest,
                                                         undoes = excluded.undoes",
            params![
                number,
                revision,
                pair.source_id.as_str(),
                verb.as_str(),
                pair.user,
                pair.source_digest.map(|digest| digest.0.to_vec()),
                now.0,
                scope.undoes()
            ],
        )?;
    }
    let people = people_of(transaction, number, "waiting")?;
    if people.is_empty() {
        return close(transaction, number, "dropped", None);
    }
    let hex = digest_of(key, people);
    transaction.execute(
        "UPDATE hold SET revision = ?2, digest = ?3, reason = coalesce(?4, reason) WHERE id = ?1",
        params![number, revision, hex, held.first().map(|pair| pair.reason.as_str())],
    )?;
    Ok(())
}

/// Who joined after the revision that was approved stays held, in a hold of their own that lasts as long.
fn move_to_a_new_hold(
    transaction: &Transaction<'_>,
    number: i64,
    key: &crate::model::digest::DigestKey,
) -> Result<(), StoreError> {
    let people = people_of(transaction, number, "waiting")?;
    if people.is_empty() {
        return Ok(());
    }
    transaction.execute(
        "INSERT INTO hold (sync, class, revision, state, reason, digest, opened_at, expires_at, reminded_at)
         SELECT sync, class, 1, 'open', reason, ?2, opened_at, expires_at, reminded_at FROM hold WHERE id = ?1",
        params![number, digest_of(key, people)],
    )?;
    transaction.execute(
        "UPDATE hold_pair SET hold = ?2, revision = 1 WHERE hold = ?1 AND state = 'waiting'",
        params![number, transaction.last_insert_rowid()],
    )?;
    Ok(())
}

/// Over the people of a hold, in hex.
fn digest_of(key: &crate::model::digest::DigestKey, mut people: Vec<SourceId>) -> String {
    people.sort();
    let digest = key.digest(people.iter().map(|id| id.as_str().as_bytes()));
    digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn expire(transaction: &Transaction<'_>, sync: &str, verb: Verb, now: Millis) -> Result<(), StoreError> {
    let expired: Option<i64> = transaction
        .query_row(
            "SELECT id FROM hold WHERE sync = ?1 AND class = ?2 AND state = 'open' AND expires_at <= ?3",
            params![sync, verb.as_str(), now.0],
            |row| row.get(0),
        )
        .optional()?;
    match expired {
        Some(number) => {
            transaction.execute("UPDATE hold_pair SET state = 'dropped' WHERE hold = ?1", [number])?;
            close(transaction, number, "expired", None)
        }
        None => Ok(()),
    }
}

fn drop_unwanted_approvals(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    wanted: &HashSet<(SourceId, Verb)>,
    scope: &HoldScope,
    now: Millis,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare(
        "SELECT hold_pair.rowid, source_id, action, approved_at, undoes FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
         WHERE hold.sync = ?1 AND hold_pair.state = 'approved'",
    )?;
    let rows: Vec<(i64, String, String, i64, Option<i64>)> = statement
        .query_map([&tenure.sync], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?
        .collect::<Result<_, _>>()?;
    for (row, source_id, action, approved_at, undoes) in rows {
        let id = SourceId::new(source_id);
        let is_wanted = wanted.contains(&(id.clone(), verb_of(&action)));
        let too_old = now.0 - approved_at >= APPROVAL_MILLIS;
        if too_old || (scope.covers(&id, approved_at, undoes) && !is_wanted) {
            transaction.execute("UPDATE hold_pair SET state = 'dropped' WHERE rowid = ?1", [row])?;
        }
    }
    Ok(())
}

pub(super) fn open_holds(
    transaction: &Transaction<'_>,
    sync: Option<&str>,
    now: Millis,
) -> Result<Vec<Hold>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT id, sync, class, revision, reason, digest, opened_at, expires_at, coalesce(reminded_at, opened_at),
                (SELECT count(*) FROM hold_pair WHERE hold = hold.id AND state = 'waiting')
         FROM hold WHERE state = 'open' AND expires_at > ?1 AND (?2 IS NULL OR sync = ?2) ORDER BY id",
    )?;
    let rows = statement.query_map(params![now.0, sync], |row| {
        let class: String = row.get(2)?;
        let reminded_at: i64 = row.get(8)?;
        Ok(Hold {
            number: row.get(0)?,
            sync: row.get(1)?,
            verb: verb_of(&class),
            revision: row.get(3)?,
            reason: row.get(4)?,
            digest: row.get(5)?,
            opened_at: Millis(row.get(6)?),
            expires_at: Millis(row.get(7)?),
            count: row.get::<_, i64>(9)? as u64,
            remind: now.0 - reminded_at >= REMIND_MILLIS,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Since when somebody waits in a hold, and for the return of which run.
type Joined = (i64, Option<i64>);

/// Who waits in a hold.
fn joined(transaction: &Transaction<'_>, number: i64) -> Result<HashMap<SourceId, Joined>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT source_id, joined_at, undoes FROM hold_pair WHERE hold = ?1 AND state = 'waiting'",
    )?;
    let rows = statement.query_map([number], |row| {
        Ok((SourceId::new(row.get::<_, String>(0)?), (row.get(1)?, row.get(2)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those of these people whom a return of a run held.
fn of_returns(
    transaction: &Transaction<'_>,
    number: i64,
    people: &[SourceId],
) -> Result<BTreeMap<i64, Vec<SourceId>>, StoreError> {
    let mut statement = transaction
        .prepare("SELECT undoes, source_id FROM hold_pair WHERE hold = ?1 AND undoes IS NOT NULL")?;
    let rows = statement
        .query_map([number], |row| Ok((row.get::<_, i64>(0)?, SourceId::new(row.get::<_, String>(1)?))))?;
    let people: HashSet<&SourceId> = people.iter().collect();
    let mut of_returns: BTreeMap<i64, Vec<SourceId>> = BTreeMap::new();
    for row in rows {
        let (run, id) = row?;
        if people.contains(&id) {
            of_returns.entry(run).or_default().push(id);
        }
    }
    Ok(of_returns)
}

fn people_of(transaction: &Transaction<'_>, number: i64, state: &str) -> Result<Vec<SourceId>, StoreError> {
    let mut statement = transaction
        .prepare("SELECT source_id FROM hold_pair WHERE hold = ?1 AND state = ?2 ORDER BY source_id")?;
    let rows =
        statement.query_map(params![number, state], |row| Ok(SourceId::new(row.get::<_, String>(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn close(
    transaction: &Transaction<'_>,
    number: i64,
    state: &str,
    decided: Option<(&str, Millis)>,
) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE hold SET state = ?2, decided_by = ?3, decided_at = ?4 WHERE id = ?1",
        params![number, state, decided.map(|(by, _)| by), decided.map(|(_, at)| at.0)],
    )?;
    Ok(())
}

/// The verb of a stored word; only words of [`Verb::as_str`] are ever stored.
pub(super) fn verb_of(word: &str) -> Verb {
    Verb::ALL.into_iter().find(|verb| verb.as_str() == word).unwrap_or(Verb::Skip)
}
