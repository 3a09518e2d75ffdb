//! Forgetting: a link is dropped and its person pinned, in one transaction; and taking a pin away again.

use rusqlite::{OptionalExtension, params};

use super::events::{About, NewEvent, record_about};
use super::journal::is_in_flight;
use super::undo::known_digest;
use super::{Store, StoreError, Tenure};
use crate::model::history::EventKind;
use crate::model::id::SourceId;
use crate::model::time::Millis;

impl Store {
    /// Drops a person's link and pins the person until the source changes for them. What waits for an approval about
    /// them is dropped too. False, and nothing is changed, where a write for them is not settled.
    pub async fn forget(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        by: &str,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let (tenure, person, by) = (tenure.clone(), person.clone(), by.to_owned());
        let key = self.snapshot.digest_key();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let who = params![tenure.sync, person.as_str()];
                if is_in_flight(transaction, &tenure.sync, &person)? {
                    return Ok(false);
                }
                // Before the link goes, because it says where the person stood.
                let digest = known_digest(transaction, &key, &tenure.sync, &person)?;
                let user: Option<String> = transaction
                    .query_row("SELECT user_name FROM link WHERE sync = ?1 AND source_id = ?2", who, |row| row.get(0))
                    .optional()?;
                transaction.execute(
                    "INSERT OR REPLACE INTO pin (sync, source_id, reason, verb, digest, pinned_at, user_name, target_id,
                                                 decided_by, pinned_number)
                     SELECT sync, source_id, ?3, NULL, ?4, ?5, user_name, target_id, ?6, ?7 FROM link
                     WHERE sync = ?1 AND source_id = ?2",
                    params![
                        tenure.sync,
                        person.as_str(),
                        format!("forgotten by {by} on {}", now.rfc3339()),
                        digest.map(|digest| digest.0.to_vec()),
                        now.0,
                        by,
                        super::holds::number_now(transaction, &tenure.sync)?
                    ],
                )?;
                transaction.execute("DELETE FROM link WHERE sync = ?1 AND source_id = ?2", who)?;
                super::owed::end_all_of(transaction, &tenure.sync, person.as_str())?;
                transaction.execute(
                    "UPDATE hold_pair SET state = 'dropped'
                     WHERE source_id = ?2 AND state IN ('waiting', 'approved')
                       AND hold IN (SELECT id FROM hold WHERE sync = ?1)",
                    who,
                )?;
                let event = event(EventKind::Forget, &tenure, by, now);
                record_about(transaction, &key, &event, About { source_id: &person, user })?;
                Ok(true)
            })
            .await
    }

    /// Takes the pin of a person away, whatever it came from.
    pub async fn lift(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        by: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (tenure, person, by) = (tenure.clone(), person.clone(), by.to_owned());
        let key = self.snapshot.digest_key();
        self.snapshot
            .transact(move |transaction| {
                tenure.check(transaction)?;
                let who = params![tenure.sync, person.as_str()];
                let user: Option<Option<String>> = transaction
                    .query_row("SELECT user_name FROM pin WHERE sync = ?1 AND source_id = ?2", who, |row| {
                        row.get(0)
                    })
                    .optional()?;
                let Some(user) = user else { return Ok(()) };
                transaction.execute("DELETE FROM pin WHERE sync = ?1 AND source_id = ?2", who)?;
                let event = event(EventKind::Lift, &tenure, by, now);
                record_about(transaction, &key, &event, About { source_id: &person, user })
            })
            .await
    }
}

fn event(kind: EventKind, tenure: &Tenure, by: String, at: Millis) -> NewEvent {
    NewEvent { kind, sync: Some(tenure.sync.clone()), by, at, counts: Default::default(), detail: None }
}
