//! Claims: who writes to an account, and who sets a login, over all syncs of a workspace.
//!
//! What lives here: taking a claim in the door, and ending it. What must not: whether a person should have the account
//! (`core::situation`).
//!
//! *Invariant*: one account has one claimant or one link, one login likewise. A claim lasts until its intent is settled;
//! then the link is the claim.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::planner::changes_login;
use crate::model::attributes::AttributePath;
use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::Link;
use crate::model::plan::{PlannedAction, Situation, Verb};
use crate::store::record::intent::IntentId;
use crate::store::state::owed;
use crate::store::state::runs::target_url_of;
use crate::store::{Snapshot, StoreError, Tenure};

/// What became of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Nobody else has it.
    Free,
    /// Somebody else has it; the text says who.
    TakenElsewhere(String),
}

/// Claims what an action writes to. Each claim is made first and the links are looked at in a statement of its own.
pub(crate) fn claim(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    action: &PlannedAction,
    link: Option<&Link>,
    intent: IntentId,
    is_approved: bool,
) -> Result<Claimed, StoreError> {
    let workspace = workspace_of(transaction, tenure)?;
    let place = Place { transaction, tenure, workspace: &workspace, action, intent };
    if let Some(account) = &action.target_id {
        if let Some(by) = place.take("account", account.as_str())? {
            return Ok(Claimed::TakenElsewhere(by));
        }
        if let Some((sync, owner)) = owner_of_account(transaction, &workspace, account)?
            && (sync != tenure.sync || owner != action.source_id.as_str())
        {
            if !(sync == tenure.sync && succeeds(action, &owner, is_approved)) {
                return Ok(Claimed::TakenElsewhere(format!(
                    "account {account} is linked to {owner} in sync \"{sync}\""
                )));
            }
            hand_to_successor(transaction, tenure, &owner, action)?;
        }
    }
    if let (Verb::Create | Verb::Adopt, Some((sync, account))) =
        (action.verb, linked_in_another_sync(transaction, &tenure.sync, action.source_id.as_str())?)
    {
        return Ok(Claimed::TakenElsewhere(format!(
            "account {account} of this person is linked in sync \"{sync}\""
        )));
    }
    for login in logins_set(action, link) {
        if let Some(by) = place.take("login", &login)? {
            return Ok(Claimed::TakenElsewhere(by));
        }
        if let Some(by) = place.login_owner(&login, is_approved)? {
            return Ok(Claimed::TakenElsewhere(by));
        }
    }
    // The login that is left stays claimed too until the write is acknowledged.
    if let (Some(link), true) = (link, changes_login(&action.changes))
        && let Some(by) = place.take("login", &fold_address(&link.user_name))?
    {
        return Ok(Claimed::TakenElsewhere(by));
    }
    Ok(Claimed::Free)
}

/// The folded logins that a write sets at the workspace.
fn logins_set(action: &PlannedAction, link: Option<&Link>) -> Vec<String> {
    let wanted = match action.verb {
        Verb::Create => action.desired.as_ref().map(|desired| desired.user_name().to_owned()),
        Verb::Adopt => action
            .found
            .as_ref()
            .and_then(|found| found.values.get(&AttributePath::user_name()))
            .map(|login| login.as_text().into_owned())
            .or_else(|| Some(action.user.clone())),
        Verb::Update | Verb::Reactivate => None,
        Verb::Deactivate | Verb::Delete | Verb::Block | Verb::Skip => return Vec::new(),
    };
    let renamed = action
        .changes
        .iter()
        .find(|change| change.path == AttributePath::user_name())
        .and_then(|change| change.to.as_ref())
        .map(|to| to.as_text().into_owned());
    let own = link.map(|link| fold_address(&link.user_name));
    let mut logins: Vec<String> =
        wanted.into_iter().chain(renamed).map(|login| fold_address(&login)).collect();
    logins.sort();
    logins.dedup();
    logins.retain(|login| !login.is_empty() && own.as_ref() != Some(login));
    logins
}

struct Place<'a, 't> {
    transaction: &'a Transaction<'t>,
    tenure: &'a Tenure,
    workspace: &'a str,
    action: &'a PlannedAction,
    intent: IntentId,
}

impl Place<'_, '_> {
    /// Takes one thing; gives who has it instead. An older write of the same person gives it up to the newer one.
    fn take(&self, kind: &str, value: &str) -> Result<Option<String>, StoreError> {
        let taken = self.transaction.execute(
            "INSERT INTO claim (target_url, kind, value, sync, source_id, intent) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (target_url, kind, value) DO UPDATE SET intent = excluded.intent
             WHERE claim.sync = excluded.sync AND claim.source_id = excluded.source_id",
            params![
                self.workspace,
                kind,
                value,
                self.tenure.sync,
                self.action.source_id.as_str(),
                self.intent.0
            ],
        )?;
        if taken > 0 {
            return Ok(None);
        }
        let (sync, owner): (String, String) = self.transaction.query_row(
            "SELECT sync, source_id FROM claim WHERE target_url = ?1 AND kind = ?2 AND value = ?3",
            params![self.workspace, kind, value],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Some(format!("the {kind} {value} is being written for {owner} in sync \"{sync}\"")))
    }

    /// Whoever else is linked to an account with this login. That of the identity that is gone and whose account somebody
    /// was approved to have is none: the login was found at the account that goes over, and that link's is an old one.
    fn login_owner(&self, login: &str, is_approved: bool) -> Result<Option<String>, StoreError> {
        let gone = self.action.predecessor.as_ref().map(|id| id.as_str());
        let gone = gone.filter(|id| succeeds(self.action, id, is_approved));
        let owner: Option<(String, String)> = self
            .transaction
            .prepare_cached(
                "SELECT sync, source_id FROM link
                 WHERE target_url = ?1 AND user_name_key = ?2 AND state <> 'gone'
                   AND NOT (sync = ?3 AND (source_id = ?4 OR source_id = coalesce(?5, ?4))) LIMIT 1",
            )?
            .query_row(
                params![self.workspace, login, self.tenure.sync, self.action.source_id.as_str(), gone],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok(owner.map(|(sync, owner)| {
            format!("the login {login} belongs to an account that is linked to {owner} in sync \"{sync}\"")
        }))
    }
}

/// Whether somebody approved that exactly this identity is succeeded.
fn succeeds(action: &PlannedAction, owner: &str, is_approved: bool) -> bool {
    let predecessor = action.predecessor.as_ref().map(|id| id.as_str());
    is_approved && is_succession(action) && predecessor == Some(owner)
}

/// The account that another sync of the same source and workspace has linked to a person: never two for one identity.
fn linked_in_another_sync(
    transaction: &Transaction<'_>,
    sync: &str,
    person: &str,
) -> Result<Option<(String, String)>, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT link.sync, link.target_id FROM link
             JOIN sync AS theirs ON theirs.name = link.sync JOIN sync AS ours ON ours.name = ?1
             WHERE link.sync <> ?1 AND link.source_id = ?2 AND link.state <> 'gone'
               AND link.target_url = ours.target_url AND theirs.source_kind = ours.source_kind
               AND theirs.source_origin = ours.source_origin LIMIT 1",
        )?
        .query_row(params![sync, person], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

impl Snapshot {
    /// The sync and the account, where another sync of the same source has linked a person in the same workspace.
    pub async fn linked_in_another_sync(
        &self,
        sync: &str,
        person: &SourceId,
    ) -> Result<Option<(String, TargetId)>, StoreError> {
        let (sync, person) = (sync.to_owned(), person.clone());
        self.transact(move |transaction| {
            let linked = linked_in_another_sync(transaction, &sync, person.as_str())?;
            Ok(linked.map(|(sync, account)| (sync, TargetId::new(account))))
        })
        .await
    }
}

fn owner_of_account(
    transaction: &Transaction<'_>,
    workspace: &str,
    account: &TargetId,
) -> Result<Option<(String, String)>, StoreError> {
    Ok(transaction
        .prepare_cached("SELECT sync, source_id FROM link WHERE target_url = ?1 AND target_id = ?2")?
        .query_row(params![workspace, account.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Moves a link to the identity that was approved to succeed, and ends what was owed about the other one.
fn hand_to_successor(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    predecessor: &str,
    action: &PlannedAction,
) -> Result<(), StoreError> {
    let successor = action.source_id.as_str();
    transaction.execute(
        "DELETE FROM link WHERE sync = ?1 AND source_id = ?2 AND state = 'gone'",
        params![tenure.sync, successor],
    )?;
    transaction.execute(
        "UPDATE link SET source_id = ?3, epoch = ?4, digest = NULL, absent_since = NULL, last_listed_at = NULL,
                         cause = NULL, observed_at = ?5, observed_number = ?6
         WHERE sync = ?1 AND source_id = ?2",
        params![
            tenure.sync,
            predecessor,
            successor,
            tenure.epoch,
            action.observation.at.0,
            action.observation.number.in_epoch(tenure.epoch).get()
        ],
    )?;
    owed::end_all_of(transaction, &tenure.sync, predecessor)?;
    transaction
        .execute("DELETE FROM pin WHERE sync = ?1 AND source_id = ?2", params![tenure.sync, predecessor])?;
    Ok(())
}

/// Ends the claims of an intent that is settled.
pub(crate) fn end_claims(transaction: &Transaction<'_>, intent: IntentId) -> Result<(), StoreError> {
    transaction.prepare_cached("DELETE FROM claim WHERE intent = ?1")?.execute([intent.0])?;
    Ok(())
}

/// The workspace whose accounts and logins a sync's claims are about.
pub(crate) fn workspace_of(transaction: &Transaction<'_>, tenure: &Tenure) -> Result<String, StoreError> {
    target_url_of(transaction, &tenure.sync)
}

/// Whether an approved adoption takes an account over from somebody who is gone.
pub(crate) fn is_succession(action: &PlannedAction) -> bool {
    action.verb == Verb::Adopt && action.situation == Situation::Successor
}
