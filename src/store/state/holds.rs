//! Holds, approvals and rejections: rows that whoever holds the state reads.
//!
//! What lives here: decisions about a hold, and reading holds. What must not: how a run changes what waits in them
//! (`keep`), why anything is held (`core::guard`).

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::content::content_digest;
use crate::core::guard::{HoldClass, OpenHold};
use crate::model::digest::{Digest, DigestKey};
use crate::model::history::EventKind;
use crate::model::id::{SourceId, TargetId};
use crate::model::order::OrderNumber;
use crate::model::owed::WaitsFor;
use crate::model::plan::{PlannedAction, RemovalCause, RemovalKind, Verb};
use crate::model::time::Millis;
use crate::store::record::events::{NewEvent, counted, record};
use crate::store::rows::verb_of;
use crate::store::state::owed;
use crate::store::{Snapshot, Store, StoreError, Tenure};

mod keep;

const HOUR_MILLIS: i64 = 3600 * 1000;
/// How long a hold stays open.
pub(crate) const OPEN_MILLIS: i64 = 72 * HOUR_MILLIS;
/// How long an approval that could not be sent survives.
pub(crate) const APPROVAL_MILLIS: i64 = 24 * HOUR_MILLIS;
/// How often a held removal is reminded of.
const REMIND_MILLIS: i64 = 24 * HOUR_MILLIS;

/// One person and action that a run held.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPair {
    /// The verb, and the kind of a removal.
    pub class: HoldClass,
    /// Why access is to end; removals only.
    pub cause: Option<RemovalCause>,
    /// The account, where there is one.
    pub target_id: Option<TargetId>,
    /// Exactly what would be sent.
    pub content: Digest,
    /// Who.
    pub source_id: SourceId,
    /// Login.
    pub user: String,
    /// Why, with the numbers.
    pub reason: String,
    /// Where the person stands at the source.
    pub source_digest: Option<Digest>,
}

impl HeldPair {
    /// An action that waits.
    pub fn of(action: &PlannedAction, reason: String, key: &DigestKey) -> HeldPair {
        HeldPair {
            class: HoldClass::of(action),
            cause: action.cause,
            target_id: action.target_id.clone(),
            content: content_digest(key, action),
            source_id: action.source_id.clone(),
            user: action.user.clone(),
            reason,
            source_digest: action.source_digest,
        }
    }
}

/// An open hold: one per sync, class, kind and origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number; shown as `h7`.
    pub number: i64,
    /// The sync.
    pub sync: String,
    /// The class.
    pub verb: Verb,
    /// The kind of its removals.
    pub kind: Option<RemovalKind>,
    /// The run whose return holds it, if one does.
    pub undoes: Option<i64>,
    /// Grows when pairs join or change.
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

/// Whom a run was asked about, for whom it brings the holds in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldScope {
    /// Everybody, as read from this number on: what is not wanted any more leaves its hold. What another run has held
    /// or somebody has approved since is newer, and stays.
    Everybody(OrderNumber),
    /// These people only.
    Named(HashSet<SourceId>),
    /// The return of this run: only what earlier returns of it held.
    ReturnOf(i64),
    /// Nobody: the pass broke off, or asked the guards about less than its people want. Pairs join and none leaves.
    OnlyMore,
}

impl HoldScope {
    /// Whether this run's word about a person is newer than what was noted at `since`.
    fn covers(&self, id: &SourceId, since: i64, undoes: Option<i64>, epoch: i64) -> bool {
        match self {
            HoldScope::Everybody(read) => undoes.is_none() && since <= read.in_epoch(epoch).get(),
            HoldScope::Named(ids) => undoes.is_none() && ids.contains(id),
            HoldScope::ReturnOf(run) => undoes == Some(*run),
            HoldScope::OnlyMore => false,
        }
    }

    /// Whether the guards were asked with the numbers of the whole class.
    fn knows_the_numbers(&self) -> bool {
        match self {
            HoldScope::Everybody(_) | HoldScope::ReturnOf(_) => true,
            HoldScope::Named(_) | HoldScope::OnlyMore => false,
        }
    }

    /// The run that is taken back, for a return.
    fn undoes(&self) -> Option<i64> {
        match self {
            HoldScope::ReturnOf(run) => Some(*run),
            HoldScope::Everybody(_) | HoldScope::Named(_) | HoldScope::OnlyMore => None,
        }
    }
}

/// What a pass leaves wanted: the person and the class.
pub type Wanted = HashSet<(SourceId, HoldClass)>;

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
                "UPDATE hold_pair SET state = 'approved', approved_at = ?3, approved_number = ?4
                 WHERE hold = ?1 AND revision <= ?2 AND state = 'waiting'",
                params![number, revision, now.0, number_now(transaction, sync)?],
            )?;
            close(transaction, number, "released", Some((&name, now)))?;
            move_to_a_new_hold(transaction, number, &key)?;
            let people = people_of(transaction, number, "approved")?;
            let detail = format!("approved by {name}");
            owed::wait_for(transaction, (sync, number, "approved"), WaitsFor::Retry, &detail)?;
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
                "INSERT OR REPLACE INTO pin (sync, source_id, reason, verb, digest, pinned_at, cause, decided_by,
                                             pinned_number, user_name, target_id)
                 SELECT ?2, source_id, ?3, action, digest, ?4,
                        CASE cause WHEN 'deleted' THEN 'disabled' WHEN 'unknown' THEN NULL ELSE cause END, ?5, ?6,
                        user_name, target_id
                 FROM hold_pair WHERE hold = ?1 AND state = 'waiting' AND undoes IS NULL",
                params![number, sync, reason, now.0, name, number_now(transaction, sync)?],
            )?;
            // From now on a decision keeps them, and not only from the next run on.
            owed::wait_for(transaction, (sync, number, "waiting"), WaitsFor::Decision, &reason)?;
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

    /// The account whose adoption for this person waits for an approval, or was approved and not sent yet.
    pub async fn account_that_waits_for(
        &self,
        sync: &str,
        person: &SourceId,
    ) -> Result<Option<TargetId>, StoreError> {
        let (sync, person) = (sync.to_owned(), person.clone());
        self.transact(move |transaction| {
            let id: Option<String> = transaction
                .prepare_cached(
                    "SELECT target_id FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
                     WHERE hold.sync = ?1 AND source_id = ?2 AND action = 'adopt' AND target_id IS NOT NULL
                       AND hold_pair.state IN ('waiting', 'approved') AND hold_pair.undoes IS NULL
                     ORDER BY hold.id DESC LIMIT 1",
                )?
                .query_row(params![sync, person.as_str()], |row| row.get(0))
                .optional()?;
            Ok(id.map(TargetId::new))
        })
        .await
    }

    /// Pairs that somebody approved and that have not been sent yet.
    pub async fn approvals(&self, sync: &str, now: Millis) -> Result<Approvals, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, action, content FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
                 WHERE hold.sync = ?1 AND hold_pair.state = 'approved' AND hold_pair.approved_at > ?2
                   AND hold_pair.undoes IS NULL",
            )?;
            let rows = statement.query_map(params![sync, now.0 - APPROVAL_MILLIS], approval)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The open holds of a sync by class, with who waits in them. Those of a return are not in it.
    pub async fn waiting_by_class(
        &self,
        sync: &str,
        now: Millis,
    ) -> Result<BTreeMap<HoldClass, OpenHold>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut by_class = BTreeMap::new();
            for hold in
                open_holds(transaction, Some(&sync), now)?.into_iter().filter(|hold| hold.undoes.is_none())
            {
                let largest: i64 = transaction.query_row(
                    "SELECT largest FROM hold WHERE id = ?1",
                    [hold.number],
                    |row| row.get(0),
                )?;
                let people = people_of(transaction, hold.number, "waiting")?.into_iter().collect();
                let class = HoldClass { verb: hold.verb, kind: hold.kind };
                by_class.insert(class, OpenHold { largest: largest.max(0) as u64, people });
            }
            Ok(by_class)
        })
        .await
    }
}

/// What somebody approved and what has not been sent yet. An approval from before contents were stored is for
/// whatever that person's action is.
pub type Approvals = HashMap<(SourceId, Verb), Option<Digest>>;

pub(crate) fn approval(row: &rusqlite::Row<'_>) -> rusqlite::Result<((SourceId, Verb), Option<Digest>)> {
    let content: Option<Vec<u8>> = row.get(2)?;
    let content = content.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Digest);
    Ok(((SourceId::new(row.get::<_, String>(0)?), verb_of(&row.get::<_, String>(1)?)), content))
}

/// The order of something that is decided now, in the tenure of its sync.
pub(crate) fn number_now(transaction: &Transaction<'_>, sync: &str) -> Result<i64, StoreError> {
    let epoch: Option<i64> = transaction
        .query_row("SELECT epoch FROM sync WHERE name = ?1", [sync], |row| row.get(0))
        .optional()?;
    Ok(OrderNumber::next().in_epoch(epoch.unwrap_or(0)).get())
}

/// Why an action must wait because an open hold keeps this very person since `read`, if one does.
pub(crate) fn approval_waits(
    transaction: &Transaction<'_>,
    sync: &str,
    action: &PlannedAction,
    read: OrderNumber,
) -> Result<Option<String>, StoreError> {
    let class = HoldClass::of(action);
    Ok(transaction
        .prepare_cached(
            "SELECT hold.reason FROM hold JOIN hold_pair ON hold_pair.hold = hold.id
             WHERE hold.sync = ?1 AND hold.state = 'open' AND hold.class = ?3 AND hold.kind = ?4
               AND hold_pair.source_id = ?2 AND hold_pair.state = 'waiting' AND hold.undoes IS NULL
               AND hold_pair.joined_number > ?5",
        )?
        .query_row(
            params![sync, action.source_id.as_str(), class.verb.as_str(), kind_word(class.kind), read.get()],
            |row| row.get(0),
        )
        .optional()?)
}

pub(crate) fn kind_word(kind: Option<RemovalKind>) -> &'static str {
    kind.map_or("", RemovalKind::as_str)
}

/// Uses up the approval of exactly this content. Says who gave it, if there was one.
pub(crate) fn consume_approval(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    key: &DigestKey,
    action: &PlannedAction,
    run: i64,
) -> Result<Option<String>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "UPDATE hold_pair SET state = 'consumed'
         WHERE state = 'approved' AND source_id = ?2 AND action = ?3 AND (content IS NULL OR content = ?5)
           AND hold IN (SELECT id FROM hold WHERE sync = ?1)
           AND hold_pair.undoes IS (SELECT undoes FROM run WHERE id = ?4)
         RETURNING (SELECT coalesce(decided_by, '') FROM hold WHERE hold.id = hold_pair.hold)",
    )?;
    let content = content_digest(key, action);
    let mut rows = statement.query(params![
        tenure.sync,
        action.source_id.as_str(),
        action.verb.as_str(),
        run,
        content.0.as_slice()
    ])?;
    let mut by = None;
    while let Some(row) = rows.next()? {
        by = Some(row.get(0)?);
    }
    Ok(by)
}

/// What was approved and turned out not to have happened is still approved, for as long as it was.
pub(crate) fn give_back_approval(
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

/// Who joined after the revision that was approved stays held, in a hold of their own that lasts as long.
fn move_to_a_new_hold(transaction: &Transaction<'_>, number: i64, key: &DigestKey) -> Result<(), StoreError> {
    let people = people_of(transaction, number, "waiting")?;
    if people.is_empty() {
        return Ok(());
    }
    transaction.execute(
        "INSERT INTO hold (sync, class, revision, state, reason, digest, opened_at, expires_at, reminded_at, kind,
                           undoes, largest)
         SELECT sync, class, 1, 'open', reason, ?2, opened_at, expires_at, reminded_at, kind, undoes, ?3
         FROM hold WHERE id = ?1",
        params![number, digest_of(key, people.clone()), people.len() as i64],
    )?;
    transaction.execute(
        "UPDATE hold_pair SET hold = ?2, revision = 1 WHERE hold = ?1 AND state = 'waiting'",
        params![number, transaction.last_insert_rowid()],
    )?;
    Ok(())
}

/// Over the people of a hold, in hex.
fn digest_of(key: &DigestKey, mut people: Vec<SourceId>) -> String {
    people.sort();
    let digest = key.digest(people.iter().map(|id| id.as_str().as_bytes()));
    digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn open_holds(
    transaction: &Transaction<'_>,
    sync: Option<&str>,
    now: Millis,
) -> Result<Vec<Hold>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT id, sync, class, revision, reason, digest, opened_at, expires_at, coalesce(reminded_at, opened_at),
                (SELECT count(*) FROM hold_pair WHERE hold = hold.id AND state = 'waiting'), kind, undoes
         FROM hold WHERE state = 'open' AND expires_at > ?1 AND (?2 IS NULL OR sync = ?2) ORDER BY id",
    )?;
    let rows = statement.query_map(params![now.0, sync], |row| {
        let class: String = row.get(2)?;
        let reminded_at: i64 = row.get(8)?;
        Ok(Hold {
            number: row.get(0)?,
            sync: row.get(1)?,
            verb: verb_of(&class),
            kind: kind_of(&row.get::<_, String>(10)?),
            undoes: row.get(11)?,
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

/// The kind of a stored word; the table's CHECK allows nothing else.
fn kind_of(word: &str) -> Option<RemovalKind> {
    [RemovalKind::Terminated, RemovalKind::Unassigned].into_iter().find(|kind| kind.as_str() == word)
}
