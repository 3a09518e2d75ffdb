//! Accounts that bear the mark of a person whom the source does not list: somebody who left in the gap, or somebody else's
//! person altogether. Each is asked for.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::engine::error::RunError;
use crate::engine::gather::lookup::AccountLookup;
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::handover::{FoundBy, Left, Proposal};
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead};
use crate::operations::rebuild::{Work, mark_of, qualifies};
use crate::scim::target::Observe;
use crate::source::{DeletionEvidence, Source};
use crate::spool::Spool;

/// Point reads under way.
const AT_ONCE: usize = 4;
/// Accounts held while their people are asked for.
const CHUNK: usize = 128;

/// An account with the mark of somebody who is not listed.
#[derive(Debug, Serialize, Deserialize)]
struct Stranger {
    id: SourceId,
    account: serde_json::Map<String, serde_json::Value>,
}

/// What the source says of a person who is not listed.
struct Answer {
    read: PointRead,
    deleted: bool,
}

impl<O: Observe> Work<'_, '_, O> {
    /// Asks for everybody whose mark is on an account and who is not listed.
    pub(crate) async fn settle_strangers(&mut self) -> Result<(), RunError> {
        let (mut strangers, seen) = self.strangers()?;
        let mut short = 0u64;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut rest = strangers.iter()?.peekable();
        while let Some(stranger) = rest.next() {
            let stranger = stranger?;
            if seen.get(&stranger.id) == Some(&1) {
                chunk.push(stranger);
            } else if let Some(account) = Account::from_resource(stranger.account) {
                let reason = format!("several accounts bear the mark of {}", stranger.id);
                self.leave(login(&account), Some(&stranger.id), Some(&account.id), reason)?;
            }
            if chunk.len() < CHUNK && rest.peek().is_some() {
                continue;
            }
            let source = self.request.source;
            let asked = std::mem::take(&mut chunk).into_iter().map(|stranger| async move {
                let answer = ask(source, &stranger.id).await?;
                Ok::<_, RunError>((stranger, answer))
            });
            let answers: Vec<_> = futures_util::stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
            for (stranger, answer) in answers {
                short += u64::from(self.settle_stranger(stranger, &answer)?);
            }
        }
        if short > 0 {
            self.out.facts.notes.push(format!(
                "the source's list left out {short} people who are assigned when asked for alone; check that the \
                 credentials may see every user of the app"
            ));
        }
        Ok(())
    }

    /// Whom to ask for, and how many accounts bear each one's mark.
    fn strangers(&mut self) -> Result<(Spool<Stranger>, HashMap<SourceId, u32>), RunError> {
        let AccountLookup::Listing(listing) = &mut self.lookup else {
            return Ok((Spool::default(), HashMap::new()));
        };
        let vendor = self.request.source.vendor();
        let mut strangers = Spool::default();
        let mut seen: HashMap<SourceId, u32> = HashMap::new();
        for account in listing.each()? {
            let account = account?;
            let is_contested = self.contested.contains_key(&account.id);
            if self.taken.contains_key(&account.id)
                || (self.claimants.contains_key(&account.id) && !is_contested)
            {
                continue;
            }
            let mark = mark_of(vendor, &account);
            match mark.filter(|id| !self.people.contains(id) && !self.own.contains_key(id)) {
                Some(id) => {
                    *seen.entry(id.clone()).or_default() += 1;
                    strangers.push(&Stranger { id, account: account.resource })?;
                }
                None => {
                    self.out.facts.unmanaged += 1;
                    self.out.left.push(&Left {
                        user: login(&account),
                        source_id: None,
                        reason: "nobody whom the source lists matches".to_owned(),
                        target_id: Some(account.id),
                    })?;
                }
            }
        }
        Ok((strangers, seen))
    }

    /// `true` where the list had left out somebody who is assigned.
    fn settle_stranger(&mut self, stranger: Stranger, answer: &Answer) -> Result<bool, RunError> {
        let Some(account) = Account::from_resource(stranger.account) else { return Ok(false) };
        let contested = self.contested.remove(&account.id);
        let mapped = match &answer.read.finding {
            Finding::Assigned(identity) => qualifies(identity, self.request.mapping, self.request.config),
            Finding::NotAssigned(_) | Finding::UserGone | Finding::Inconclusive(_) => None,
        };
        let vendor = self.request.source.vendor().display_name();
        let note = match &answer.read.finding {
            Finding::Assigned(_) if mapped.is_some() => "not listed, but assigned when asked for alone",
            Finding::Assigned(_) | Finding::NotAssigned(_) => "left meanwhile",
            Finding::UserGone if answer.deleted => "deleted at the source meanwhile",
            Finding::UserGone => {
                let reason = match contested {
                    Some(Left { user, source_id: Some(id), .. }) => format!(
                        "marked for {}, whom {vendor} does not know; the next run looks whether it is {user} ({id})",
                        stranger.id
                    ),
                    Some(_) | None => format!(
                        "marked like one of ours, but {vendor} knows no user {}: deleted long ago, or another \
                         organisation's",
                        stranger.id
                    ),
                };
                self.leave(login(&account), Some(&stranger.id), Some(&account.id), reason)?;
                return Ok(false);
            }
            Finding::Inconclusive(why) => {
                let reason = format!("{} could not be asked for: {why}", stranger.id);
                self.leave(login(&account), Some(&stranger.id), Some(&account.id), reason)?;
                return Ok(false);
            }
        };
        if let Some(Left { user, source_id, target_id, .. }) = contested {
            let reason = format!("the account bears the mark of {}, who {note}", stranger.id);
            self.leave(user, source_id.as_ref(), target_id.as_ref(), reason)?;
        }
        let by = FoundBy::ExternalId;
        let link = self.link(&stranger.id, &account, mapped.as_ref(), by, answer.read.observation);
        let mut note = note.to_owned();
        if account.active() == Some(false) {
            note.push_str("; the account is inactive");
        }
        self.propose(Proposal { link, by, note: Some(note), instead_of: None })?;
        Ok(mapped.is_some())
    }
}

/// Asks for one person. An event log that cannot be asked is no witness, and no reason to fail.
async fn ask(source: &Source, id: &SourceId) -> Result<Answer, RunError> {
    let read = source.point_read(id, Lane::General).await?;
    let deleted = match read.finding {
        Finding::UserGone => matches!(source.deletion_event(id).await, Ok(DeletionEvidence::Event)),
        Finding::Assigned(_) | Finding::NotAssigned(_) | Finding::Inconclusive(_) => false,
    };
    Ok(Answer { read, deleted })
}

fn login(account: &Account) -> String {
    account.user_name().unwrap_or(account.id.as_str()).to_owned()
}
