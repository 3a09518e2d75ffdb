//! Links: reading them one by one, by what is known of an account, and all of them in compact form.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use crate::model::digest::Digest;
use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::{Link, LinkDigest, LinkState};
use crate::model::order::{Observation, OrderNumber};
use crate::model::plan::RemovalCause;
use crate::model::time::Millis;
use crate::store::{Snapshot, Store, StoreError, Tenure};

const COLUMNS: &str = "source_id, target_id, user_name, acknowledged, state, state_since, digest, memory, billable, \
                       absent_since, observed_at, observed_number, last_listed_at, removal_seen, cause";

impl Snapshot {
    /// When people were last looked at one by one.
    pub async fn looks(&self, sync: &str) -> Result<HashMap<SourceId, Observation>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction
                .prepare("SELECT source_id, observed_at, observed_number FROM look WHERE sync = ?1")?;
            let rows = statement.query_map([&sync], |row| {
                let look = Observation { at: Millis(row.get(1)?), number: OrderNumber::stored(row.get(2)?) };
                Ok((SourceId::new(row.get::<_, String>(0)?), look))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Every link of a sync, in compact form.
    pub async fn link_digests(&self, sync: &str) -> Result<Vec<LinkDigest>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT source_id, state, state_since, digest, absent_since, cause, removal_seen FROM link
                 WHERE sync = ?1",
            )?;
            let rows = statement.query_map([&sync], |row| {
                Ok(LinkDigest {
                    source_id: SourceId::new(row.get::<_, String>(0)?),
                    state: state(row.get_ref(1)?.as_str()?, row.get::<_, Option<i64>>(2)?, row.get(6)?),
                    digest: digest(row.get::<_, Option<Vec<u8>>>(3)?),
                    absent_since: row.get::<_, Option<i64>>(4)?.map(Millis),
                    cause: row.get::<_, Option<String>>(5)?.as_deref().and_then(RemovalCause::of_word),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Every link of a sync, whole.
    pub async fn links(&self, sync: &str) -> Result<Vec<Link>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let sql = format!("SELECT {COLUMNS} FROM link WHERE sync = ?1 ORDER BY source_id");
            let mut statement = transaction.prepare(&sql)?;
            let rows = statement.query_map([&sync], |row| Ok(link(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    /// One person's link.
    pub async fn link(&self, sync: &str, source_id: &SourceId) -> Result<Option<Link>, StoreError> {
        self.one("WHERE sync = ?1 AND source_id = ?2", sync, source_id.as_str()).await
    }

    /// The link whose account has this login, compared without case.
    pub async fn link_by_login(&self, sync: &str, login: &str) -> Result<Option<Link>, StoreError> {
        self.one("WHERE sync = ?1 AND user_name_key = ?2 LIMIT 1", sync, &fold_address(login)).await
    }

    /// The link to this account within a sync.
    pub async fn link_by_account(&self, sync: &str, target_id: &str) -> Result<Option<Link>, StoreError> {
        self.one("WHERE sync = ?1 AND target_id = ?2 LIMIT 1", sync, target_id).await
    }

    /// Who is linked to an account of a workspace, over all syncs: the sync's name and the link.
    pub async fn owner_of_account(
        &self,
        target_url: &str,
        target_id: &TargetId,
    ) -> Result<Option<(String, Link)>, StoreError> {
        let (target_url, target_id) = (target_url.to_owned(), target_id.clone());
        self.transact(move |transaction| {
            let sql = format!("SELECT {COLUMNS}, sync FROM link WHERE target_url = ?1 AND target_id = ?2");
            transaction
                .query_row(&sql, params![target_url, target_id.as_str()], |row| Ok((row.get(15)?, link(row))))
                .optional()?
                .map(|(sync, link)| Ok((sync, link?)))
                .transpose()
        })
        .await
    }

    /// Everybody else's links, over all syncs of a workspace, to accounts that had this login when it was last acknowledged
    /// and are not gone. `but` is a sync and the person of it who is left out.
    pub async fn linked_under_login(
        &self,
        target_url: &str,
        login: &str,
        but: (&str, &SourceId),
    ) -> Result<Vec<(String, Link)>, StoreError> {
        let (target_url, login) = (target_url.to_owned(), fold_address(login));
        let (sync, person) = (but.0.to_owned(), but.1.clone());
        self.transact(move |transaction| {
            let sql = format!(
                "SELECT {COLUMNS}, sync FROM link
                 WHERE target_url = ?1 AND user_name_key = ?2 AND state <> 'gone'
                   AND NOT (sync = ?3 AND source_id = ?4)"
            );
            let mut statement = transaction.prepare_cached(&sql)?;
            let who = params![target_url, login, sync, person.as_str()];
            let rows = statement.query_map(who, |row| Ok((row.get(15)?, link(row))))?;
            rows.map(|row| row.map_err(StoreError::from).and_then(|(sync, link)| Ok((sync, link?)))).collect()
        })
        .await
    }

    /// Up to `limit` people with an active account, in no particular order but not always the same.
    pub async fn some_active(&self, sync: &str, limit: u32) -> Result<Vec<Link>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let sql = format!(
                "SELECT {COLUMNS} FROM link WHERE sync = ?1 AND state = 'active' ORDER BY random() LIMIT ?2"
            );
            let mut statement = transaction.prepare(&sql)?;
            let rows = statement.query_map(params![sync, limit], |row| Ok(link(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    /// Some people with an active account of whom nothing says that they left: they may serve as a positive control.
    pub async fn some_assigned(&self, sync: &str, limit: u32) -> Result<Vec<Link>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let sql = format!(
                "SELECT {COLUMNS} FROM link
                 WHERE sync = ?1 AND state = 'active' AND absent_since IS NULL
                   AND NOT EXISTS (SELECT 1 FROM owed WHERE owed.sync = link.sync
                                     AND owed.source_id = link.source_id AND owed.class = 'removal')
                 ORDER BY random() LIMIT ?2"
            );
            let mut statement = transaction.prepare(&sql)?;
            let rows = statement.query_map(params![sync, limit], |row| Ok(link(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    async fn one(&self, condition: &str, sync: &str, value: &str) -> Result<Option<Link>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM link {condition}");
        let (sync, value) = (sync.to_owned(), value.to_owned());
        self.transact(move |transaction| {
            transaction
                .prepare_cached(&sql)?
                .query_row(params![sync, value], |row| Ok(link(row)))
                .optional()?
                .transpose()
        })
        .await
    }
}

impl Snapshot {
    /// People whose creation was answered with an account that is still linked to somebody else, with the digest of
    /// the account that was asked for.
    pub async fn taken_accounts(
        &self,
        sync: &str,
    ) -> Result<HashMap<SourceId, (TargetId, Option<Digest>)>, StoreError> {
        let sync = sync.to_owned();
        self.transact(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT taken_account.source_id, taken_account.target_id, desired FROM taken_account
                 JOIN sync ON sync.name = taken_account.sync
                 JOIN link ON link.target_url = sync.target_url AND link.target_id = taken_account.target_id
                 WHERE taken_account.sync = ?1",
            )?;
            let rows = statement.query_map([&sync], |row| {
                let account = TargetId::new(row.get::<_, String>(1)?);
                Ok((SourceId::new(row.get::<_, String>(0)?), (account, digest(row.get(2)?))))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl Store {
    /// Notes when people were looked at: what rests on an older look is not sent any more.
    pub async fn note_looks(
        &self,
        tenure: &Tenure,
        looks: Vec<(SourceId, Observation)>,
    ) -> Result<(), StoreError> {
        if looks.is_empty() {
            return Ok(());
        }
        self.transact_as(tenure, move |transaction, tenure| {
            let mut statement = transaction.prepare(
                "INSERT INTO look (sync, source_id, observed_at, observed_number) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (sync, source_id) DO UPDATE SET
                         observed_at = excluded.observed_at, observed_number = excluded.observed_number
                     WHERE excluded.observed_number > look.observed_number",
            )?;
            for (id, look) in &looks {
                let number = look.number.in_epoch(tenure.epoch);
                statement.execute(params![tenure.sync, id.as_str(), look.at.0, number.get()])?;
            }
            Ok(())
        })
        .await
    }

    /// After a complete read: marks whom it missed for the first time, and clears the mark of whom it showed again.
    pub async fn note_absences(
        &self,
        tenure: &Tenure,
        missed: Vec<SourceId>,
        shown_again: Vec<SourceId>,
        at: Millis,
    ) -> Result<(), StoreError> {
        if missed.is_empty() && shown_again.is_empty() {
            return Ok(());
        }
        self.transact_as(tenure, move |transaction, tenure| {
            let mut mark = transaction.prepare(
                "UPDATE link SET absent_since = ?3, epoch = ?4,
                         last_listed_at = (SELECT max(started_at) FROM run
                                           WHERE run.sync = ?1 AND is_full AND started_at < ?3
                                             AND facts ->> '$.source.complete')
                     WHERE sync = ?1 AND source_id = ?2 AND absent_since IS NULL",
            )?;
            for id in &missed {
                mark.execute(params![tenure.sync, id.as_str(), at.0, tenure.epoch])?;
            }
            let mut clear = transaction.prepare(
                "UPDATE link SET absent_since = NULL, last_listed_at = NULL, cause = NULL, epoch = ?3
                     WHERE sync = ?1 AND source_id = ?2",
            )?;
            for id in &shown_again {
                clear.execute(params![tenure.sync, id.as_str(), tenure.epoch])?;
            }
            Ok(())
        })
        .await
    }

    /// Notes why people are not listed, as a look at their own records showed it.
    pub async fn note_causes(
        &self,
        tenure: &Tenure,
        causes: Vec<(SourceId, RemovalCause)>,
    ) -> Result<(), StoreError> {
        if causes.is_empty() {
            return Ok(());
        }
        self.transact_as(tenure, move |transaction, tenure| {
            let mut update = transaction
                .prepare("UPDATE link SET cause = ?3, epoch = ?4 WHERE sync = ?1 AND source_id = ?2")?;
            for (id, cause) in &causes {
                update.execute(params![tenure.sync, id.as_str(), cause.as_str(), tenure.epoch])?;
            }
            Ok(())
        })
        .await
    }

    /// Notes links whose account answered 404 to a look. Whether it was made anew, nobody has looked.
    pub async fn note_vanished(
        &self,
        tenure: &Tenure,
        vanished: Vec<(SourceId, TargetId)>,
        at: Millis,
    ) -> Result<(), StoreError> {
        if vanished.is_empty() {
            return Ok(());
        }
        self.transact_as(tenure, move |transaction, tenure| {
            let mut update = transaction.prepare(
                "UPDATE link SET state = 'gone', state_since = ?4, removal_seen = 0, epoch = ?5
                 WHERE sync = ?1 AND source_id = ?2 AND target_id = ?3 AND state <> 'gone'",
            )?;
            for (id, account) in &vanished {
                update.execute(params![tenure.sync, id.as_str(), account.as_str(), at.0, tenure.epoch])?;
            }
            Ok(())
        })
        .await
    }

    /// Stores digests that changed although no value did.
    pub async fn refresh_digests(
        &self,
        tenure: &Tenure,
        digests: Vec<(SourceId, Digest)>,
    ) -> Result<(), StoreError> {
        self.transact_as(tenure, move |transaction, tenure| {
            let mut update = transaction
                .prepare("UPDATE link SET digest = ?3, epoch = ?4 WHERE sync = ?1 AND source_id = ?2")?;
            for (id, digest) in &digests {
                update.execute(params![tenure.sync, id.as_str(), digest.0.as_slice(), tenure.epoch])?;
            }
            Ok(())
        })
        .await
    }
}

/// Writes a link. The pair (workspace, account) is unique over all syncs: where it is somebody else's, nothing is
/// written, and the text says whose it is.
pub(crate) fn put_link(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    link: &Link,
) -> Result<Option<String>, StoreError> {
    let target_url: String =
        transaction
            .query_row("SELECT target_url FROM sync WHERE name = ?1", [&tenure.sync], |row| row.get(0))?;
    let owner: Option<(String, String)> = transaction
        .query_row(
            "SELECT sync, source_id FROM link WHERE target_url = ?1 AND target_id = ?2",
            params![target_url, link.target_id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((sync, id)) = owner.filter(|(sync, id)| *sync != tenure.sync || id != link.source_id.as_str())
    {
        return Ok(Some(format!("{id} in sync \"{sync}\"")));
    }
    transaction
        .prepare_cached(
            "INSERT INTO link (sync, source_id, target_url, target_id, user_name, user_name_key, acknowledged,
                               state, state_since, digest, memory, billable, absent_since, observed_at,
                               observed_number, epoch, last_listed_at, removal_seen, cause)
             VALUES (:sync, :source_id, :target_url, :target_id, :user_name, :user_name_key, :acknowledged,
                     :state, :state_since, :digest, :memory, :billable, :absent_since, :observed_at, :observed_number, :epoch, :last_listed_at, :removal_seen, :cause)
             ON CONFLICT (sync, source_id) DO UPDATE SET
                 target_url = excluded.target_url, target_id = excluded.target_id,
                 user_name = excluded.user_name, user_name_key = excluded.user_name_key,
                 acknowledged = excluded.acknowledged, state = excluded.state,
                 state_since = excluded.state_since, digest = excluded.digest, memory = excluded.memory,
                 billable = excluded.billable, absent_since = excluded.absent_since,
                 observed_at = excluded.observed_at, observed_number = excluded.observed_number, epoch = excluded.epoch,
                 last_listed_at = excluded.last_listed_at, removal_seen = excluded.removal_seen,
                 cause = excluded.cause",
        )?
        .execute(named_params! {
            ":sync": tenure.sync,
            ":source_id": link.source_id.as_str(),
            ":target_url": target_url,
            ":target_id": link.target_id.as_str(),
            ":user_name": link.user_name,
            ":user_name_key": fold_address(&link.user_name),
            ":acknowledged": serde_json::to_string(&link.acknowledged)?,
            ":state": link.state.as_str(),
            ":state_since": link.state.since().map(|since| since.0),
            ":digest": link.digest.map(|digest| digest.0.to_vec()),
            ":memory": serde_json::to_string(&link.memory)?,
            ":billable": link.billable,
            ":absent_since": link.absent_since.map(|since| since.0),
            ":observed_at": link.observation.at.0,
            ":observed_number": link.observation.number.in_epoch(tenure.epoch).get(),
            ":epoch": tenure.epoch,
            ":last_listed_at": link.last_listed_at.map(|at| at.0),
            ":removal_seen": match link.state {
                LinkState::Vanished(_) => false,
                LinkState::Gone(_) => true,
                LinkState::Active | LinkState::Deactivated(_) | LinkState::Inactive => link.removal_seen,
            },
            ":cause": link.cause.map(RemovalCause::as_str),
        })?;
    Ok(None)
}

/// One person's link, as part of a larger transaction.
pub(crate) fn link_of(
    transaction: &Transaction<'_>,
    sync: &str,
    id: &SourceId,
) -> Result<Option<Link>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM link WHERE sync = ?1 AND source_id = ?2");
    let mut statement = transaction.prepare_cached(&sql)?;
    statement.query_row(params![sync, id.as_str()], |row| Ok(link(row))).optional()?.transpose()
}

fn link(row: &Row<'_>) -> Result<Link, StoreError> {
    Ok(Link {
        source_id: SourceId::new(row.get::<_, String>(0)?),
        target_id: TargetId::new(row.get::<_, String>(1)?),
        user_name: row.get(2)?,
        acknowledged: serde_json::from_str(&row.get::<_, String>(3)?)?,
        state: state(&row.get::<_, String>(4)?, row.get::<_, Option<i64>>(5)?, row.get(13)?),
        digest: digest(row.get::<_, Option<Vec<u8>>>(6)?),
        memory: serde_json::from_str(&row.get::<_, String>(7)?)?,
        billable: row.get(8)?,
        absent_since: row.get::<_, Option<i64>>(9)?.map(Millis),
        observation: Observation { at: Millis(row.get(10)?), number: OrderNumber::stored(row.get(11)?) },
        last_listed_at: row.get::<_, Option<i64>>(12)?.map(Millis),
        // Of an account that is gone it is part of the state.
        removal_seen: row.get::<_, bool>(13)? || row.get::<_, String>(4)? == "gone",
        cause: row.get::<_, Option<String>>(14)?.as_deref().and_then(RemovalCause::of_word),
    })
}

/// Of an account that is gone, `seen` says whether anybody has looked if it was made anew.
fn state(word: &str, since: Option<i64>, seen: bool) -> LinkState {
    let since = Millis(since.unwrap_or_default());
    match word {
        "active" => LinkState::Active,
        "deactivated" => LinkState::Deactivated(since),
        "gone" if seen => LinkState::Gone(since),
        "gone" => LinkState::Vanished(since),
        // The table's CHECK allows nothing else.
        _ => LinkState::Inactive,
    }
}

fn digest(bytes: Option<Vec<u8>>) -> Option<Digest> {
    bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Digest)
}
