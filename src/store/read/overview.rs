//! What the status page asks of the state, all of one moment; and what leavers' access was measured to take.

use rusqlite::{Transaction, params};

use crate::core::status::Recorded;
use crate::model::history::RunLine;
use crate::model::revocation::Revocations;
use crate::model::time::Millis;
use crate::store::read::history::runs_in;
use crate::store::read::status::{failing, recorded_in};
use crate::store::{Past, Snapshot, Store, StoreError, Tenure};

/// Revocations that are kept of each sync: enough for a distribution.
const KEPT: u32 = 1000;
/// Failing people who are shown on a page.
const FAILING_SHOWN: u32 = 25;

/// One sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// What `status` goes by, with more of the failing people.
    pub recorded: Recorded,
    /// Its last runs, the newest first.
    pub runs: Vec<RunLine>,
    /// How long leavers kept their access.
    pub revocations: Revocations,
}

impl Snapshot {
    /// These syncs with their last runs, at most so many each. A sync that never ran has nothing.
    pub async fn overviews(
        &self,
        syncs: Vec<String>,
        runs: u32,
        now: Millis,
    ) -> Result<Vec<Overview>, StoreError> {
        self.transact(move |transaction| {
            syncs.into_iter().map(|sync| overview(transaction, sync, runs, now)).collect()
        })
        .await
    }
}

impl Store {
    /// Remembers how many milliseconds leavers kept their access.
    pub async fn note_revocations(
        &self,
        tenure: &Tenure,
        millis: Vec<i64>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            let mut insert =
                transaction.prepare("INSERT INTO revocation (sync, at, millis) VALUES (?1, ?2, ?3)")?;
            for millis in millis {
                insert.execute(params![tenure.sync, now.0, millis])?;
            }
            transaction.execute(
                "DELETE FROM revocation WHERE sync = ?1 AND id <= (
                         SELECT id FROM revocation WHERE sync = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                params![tenure.sync, KEPT],
            )?;
            Ok(())
        })
        .await
    }
}

fn overview(
    transaction: &Transaction<'_>,
    sync: String,
    runs: u32,
    now: Millis,
) -> Result<Overview, StoreError> {
    let mut recorded = recorded_in(transaction, &sync, now)?;
    recorded.failing = failing(transaction, &sync, FAILING_SHOWN)?;
    let revocations = revocations(transaction, &sync)?;
    let past = Past { syncs: vec![sync], since: None, failed: false, limit: runs };
    Ok(Overview { recorded, runs: runs_in(transaction, &past, None)?, revocations })
}

fn revocations(transaction: &Transaction<'_>, sync: &str) -> Result<Revocations, StoreError> {
    let mut statement =
        transaction.prepare("SELECT millis, at FROM revocation WHERE sync = ?1 ORDER BY id DESC LIMIT ?2")?;
    let rows = statement
        .query_map(params![sync, KEPT], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Revocations {
        since: rows.last().map(|(_, at)| Millis(*at)),
        millis: rows.into_iter().map(|(millis, _)| millis).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_revocations_of_each_sync_stay() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), false).await.unwrap();
        let (one, other) = (store.tenure("one").await.unwrap(), store.tenure("other").await.unwrap());
        store.note_revocations(&other, vec![7], Millis(1)).await.unwrap();
        let many = i64::from(KEPT);
        store.note_revocations(&one, (0..many).collect(), Millis(2)).await.unwrap();
        store.note_revocations(&one, vec![-1, -2], Millis(3)).await.unwrap();
        let names = ["one", "other", "none"].map(str::to_owned).to_vec();
        let overviews = store.snapshot().overviews(names, 30, Millis(4)).await.unwrap();
        let [one, other, none] = overviews.try_into().map(|all: [Overview; 3]| all).unwrap();
        let kept: Vec<i64> = [-2, -1].into_iter().chain((2..many).rev()).collect();
        assert_eq!(one.revocations, Revocations { since: Some(Millis(2)), millis: kept });
        assert_eq!(other.revocations, Revocations { since: Some(Millis(1)), millis: vec![7] });
        assert_eq!(none.revocations, Revocations::default());
    }
}
