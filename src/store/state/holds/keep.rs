//! Bringing the open holds in line with what a run held.
//!
//! What lives here: who joins, who leaves, revisions, expiry, approvals for what nobody wants any more. *Invariant*: only
//! what the guards were asked about in this run changes a hold: what a pause, a switch, a wait or a saved plan kept from
//! being asked stays as it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::guard::HoldClass;
use crate::model::digest::DigestKey;
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::plan::{RemovalCause, Verb};
use crate::model::time::Millis;
use crate::store::rows::verb_of;
use crate::store::state::holds::{
    APPROVAL_MILLIS, HeldPair, Hold, HoldScope, OPEN_MILLIS, Wanted, close, digest_of, kind_of, kind_word,
    open_holds, people_of,
};
use crate::store::{Store, StoreError, Tenure};

impl Store {
    /// Brings the holds in line with what a run held, and drops approvals for what is no longer wanted. Gives the
    /// open holds.
    pub async fn sync_holds(
        &self,
        tenure: &Tenure,
        held: Vec<HeldPair>,
        wanted: Wanted,
        scope: HoldScope,
        now: Millis,
    ) -> Result<Vec<Hold>, StoreError> {
        let key = self.snapshot.digest_key();
        self.transact_as(tenure, move |transaction, tenure| {
            let pass = Pass { transaction, tenure, key: &key, scope: &scope, now };
            let mut by_class: BTreeMap<HoldClass, Vec<HeldPair>> = BTreeMap::new();
            for pair in held {
                by_class.entry(pair.class).or_default().push(pair);
            }
            for class in pass.open_classes()?.into_iter().filter(|class| !by_class.contains_key(class)) {
                pass.bring_in_line(class, &[], &wanted)?;
            }
            for (class, pairs) in &by_class {
                pass.bring_in_line(*class, pairs, &wanted)?;
            }
            pass.drop_unwanted_approvals(&wanted)?;
            let holds = open_holds(transaction, Some(&tenure.sync), now)?;
            for hold in holds.iter().filter(|hold| hold.remind) {
                transaction
                    .execute("UPDATE hold SET reminded_at = ?2 WHERE id = ?1", params![hold.number, now.0])?;
            }
            Ok(holds)
        })
        .await
    }
}

struct Pass<'a, 't> {
    transaction: &'a Transaction<'t>,
    tenure: &'a Tenure,
    key: &'a DigestKey,
    scope: &'a HoldScope,
    now: Millis,
}

/// Somebody who waits in a hold.
struct Joined {
    number: i64,
    undoes: Option<i64>,
    /// Content and cause: any change of them is a new revision.
    said: (Option<Vec<u8>>, Option<String>),
}

impl Pass<'_, '_> {
    /// The classes of the open holds of this origin.
    fn open_classes(&self) -> Result<Vec<HoldClass>, StoreError> {
        let mut statement = self
            .transaction
            .prepare("SELECT class, kind FROM hold WHERE sync = ?1 AND state = 'open' AND undoes IS ?2")?;
        let rows = statement.query_map(params![self.tenure.sync, self.scope.undoes()], |row| {
            let (class, kind): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(HoldClass { verb: verb_of(&class), kind: kind_of(&kind) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn bring_in_line(&self, class: HoldClass, held: &[HeldPair], wanted: &Wanted) -> Result<(), StoreError> {
        self.expire(class)?;
        let (number, revision) = match (self.open(class)?, held.first()) {
            (None, None) => return Ok(()),
            (Some(open), _) => open,
            (None, Some(first)) => (self.open_new(class, &first.reason)?, 0),
        };
        let known = self.joined(number)?;
        let still: HashSet<&SourceId> = held.iter().map(|pair| &pair.source_id).collect();
        let mut left = 0;
        for (id, joined) in &known {
            let is_covered = self.scope.covers(id, joined.number, joined.undoes, self.tenure.epoch);
            // Who is still wanted in this class was kept from being asked: by a pause, a switch, a wait.
            if is_covered && !still.contains(id) && !wanted.contains(&(id.clone(), class)) {
                left += 1;
                self.transaction.execute(
                    "DELETE FROM hold_pair WHERE hold = ?1 AND source_id = ?2",
                    params![number, id.as_str()],
                )?;
            }
        }
        let changes = held.iter().any(|pair| match known.get(&pair.source_id) {
            None => true,
            Some(joined) => joined.said != said(pair),
        });
        let revision = revision + u32::from(changes || left > 0);
        for pair in held {
            let is_new = known.get(&pair.source_id).is_none_or(|joined| joined.said != said(pair));
            self.put_pair(number, revision, pair, is_new)?;
        }
        let people = people_of(self.transaction, number, "waiting")?;
        if people.is_empty() {
            return close(self.transaction, number, "dropped", None);
        }
        let count = people.len() as i64;
        let hex = digest_of(self.key, people);
        // Only who is asked about everybody knows the numbers; another run was told that these people wait.
        let reason = held.first().map(|pair| pair.reason.as_str()).filter(|_| self.scope.knows_the_numbers());
        self.transaction.execute(
            "UPDATE hold SET revision = ?2, digest = ?3, reason = coalesce(?4, reason), largest = max(largest, ?5)
             WHERE id = ?1",
            params![number, revision.max(1), hex, reason, count],
        )?;
        Ok(())
    }

    fn open(&self, class: HoldClass) -> Result<Option<(i64, u32)>, StoreError> {
        Ok(self
            .transaction
            .query_row(
                "SELECT id, revision FROM hold
                 WHERE sync = ?1 AND class = ?2 AND kind = ?3 AND undoes IS ?4 AND state = 'open'",
                params![self.tenure.sync, class.verb.as_str(), kind_word(class.kind), self.scope.undoes()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?)
    }

    fn open_new(&self, class: HoldClass, reason: &str) -> Result<i64, StoreError> {
        self.transaction.execute(
            "INSERT INTO hold (sync, class, kind, undoes, revision, state, reason, digest, opened_at, expires_at,
                               reminded_at)
             VALUES (?1, ?2, ?3, ?4, 0, 'open', ?5, '', ?6, ?7, ?6)",
            params![
                self.tenure.sync,
                class.verb.as_str(),
                kind_word(class.kind),
                self.scope.undoes(),
                reason,
                self.now.0,
                self.now.0 + OPEN_MILLIS
            ],
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    /// A pair that is new, or of which anything changed, has the newest revision; another keeps its own.
    fn put_pair(&self, number: i64, revision: u32, pair: &HeldPair, is_new: bool) -> Result<(), StoreError> {
        let (content, cause) = said(pair);
        self.transaction.execute(
            "INSERT INTO hold_pair (hold, revision, source_id, action, user_name, digest, joined_at, undoes, content,
                                    cause, target_id, joined_number, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'waiting')
             ON CONFLICT (hold, source_id) DO UPDATE SET
                 user_name = excluded.user_name, digest = excluded.digest, undoes = excluded.undoes,
                 content = excluded.content, cause = excluded.cause, target_id = excluded.target_id,
                 revision = CASE WHEN ?13 THEN excluded.revision ELSE hold_pair.revision END",
            params![
                number,
                revision,
                pair.source_id.as_str(),
                pair.class.verb.as_str(),
                pair.user,
                pair.source_digest.map(|digest| digest.0.to_vec()),
                self.now.0,
                self.scope.undoes(),
                content,
                cause,
                pair.target_id.as_ref().map(|id| id.as_str()),
                OrderNumber::next().in_epoch(self.tenure.epoch).get(),
                is_new,
            ],
        )?;
        Ok(())
    }

    fn expire(&self, class: HoldClass) -> Result<(), StoreError> {
        let expired: Option<i64> = self
            .transaction
            .query_row(
                "SELECT id FROM hold WHERE sync = ?1 AND class = ?2 AND kind = ?3 AND undoes IS ?4
                   AND state = 'open' AND expires_at <= ?5",
                params![
                    self.tenure.sync,
                    class.verb.as_str(),
                    kind_word(class.kind),
                    self.scope.undoes(),
                    self.now.0
                ],
                |row| row.get(0),
            )
            .optional()?;
        match expired {
            Some(number) => {
                self.transaction
                    .execute("UPDATE hold_pair SET state = 'dropped' WHERE hold = ?1", [number])?;
                close(self.transaction, number, "expired", None)
            }
            None => Ok(()),
        }
    }

    /// Who waits in a hold.
    fn joined(&self, number: i64) -> Result<HashMap<SourceId, Joined>, StoreError> {
        let mut statement = self.transaction.prepare(
            "SELECT source_id, joined_number, undoes, content, cause FROM hold_pair
             WHERE hold = ?1 AND state = 'waiting'",
        )?;
        let rows = statement.query_map([number], |row| {
            let joined =
                Joined { number: row.get(1)?, undoes: row.get(2)?, said: (row.get(3)?, row.get(4)?) };
            Ok((SourceId::new(row.get::<_, String>(0)?), joined))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// An approval whose action nobody wants any more, or that is too old.
    fn drop_unwanted_approvals(&self, wanted: &Wanted) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare(
            "SELECT hold_pair.rowid, source_id, action, approved_at, approved_number, hold_pair.undoes
             FROM hold_pair JOIN hold ON hold.id = hold_pair.hold
             WHERE hold.sync = ?1 AND hold_pair.state = 'approved'",
        )?;
        let rows: Vec<(i64, String, String, i64, i64, Option<i64>)> = statement
            .query_map([&self.tenure.sync], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })?
            .collect::<Result<_, _>>()?;
        let verbs: HashSet<(&SourceId, Verb)> = wanted.iter().map(|(id, class)| (id, class.verb)).collect();
        for (row, source_id, action, approved_at, number, undoes) in rows {
            let id = SourceId::new(source_id);
            let is_wanted = verbs.contains(&(&id, verb_of(&action)));
            let too_old = self.now.0 - approved_at >= APPROVAL_MILLIS;
            let is_covered = self.scope.covers(&id, number, undoes, self.tenure.epoch);
            if too_old || (is_covered && !is_wanted) {
                self.transaction.execute("UPDATE hold_pair SET state = 'dropped' WHERE rowid = ?1", [row])?;
            }
        }
        Ok(())
    }
}

fn said(pair: &HeldPair) -> (Option<Vec<u8>>, Option<String>) {
    (Some(pair.content.0.to_vec()), pair.cause.map(|cause| RemovalCause::as_str(cause).to_owned()))
}
