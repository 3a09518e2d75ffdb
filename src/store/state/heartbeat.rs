//! Whose account was asked for last to see that the workspace answers, and when it did.

use rusqlite::{OptionalExtension, params};

use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::time::Millis;
use crate::store::state::links::link_of;
use crate::store::{Snapshot, Store, StoreError, Tenure};

impl Snapshot {
    /// The link after the one that was asked for last, in the order of ids; from the beginning again after the last.
    pub async fn next_heartbeat(&self, sync: &str) -> Result<Option<Link>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let next: Option<String> = transaction
                .query_row(
                    "SELECT source_id FROM link WHERE sync = ?1 AND state <> 'gone'
                     ORDER BY source_id <= coalesce((SELECT heartbeat_person FROM sync WHERE name = ?1), ''),
                              source_id
                     LIMIT 1",
                    [&sync],
                    |row| row.get(0),
                )
                .optional()?;
            match next {
                Some(id) => link_of(transaction, &sync, &SourceId::new(id)),
                None => Ok(None),
            }
        })
        .await
    }
}

impl Store {
    /// The workspace answered for this person's account.
    pub async fn note_heartbeat(
        &self,
        tenure: &Tenure,
        person: &SourceId,
        now: Millis,
    ) -> Result<(), StoreError> {
        let person = person.clone();
        self.transact_as(tenure, move |transaction, tenure| {
            transaction.execute(
                "UPDATE sync SET target_answered_at = ?2, heartbeat_person = ?3 WHERE name = ?1",
                params![tenure.sync, now.0, person.as_str()],
            )?;
            Ok(())
        })
        .await
    }
}
