//! Whose an account is that was found for somebody without a link: by its link, else by the mark that it bears.
//!
//! What lives here: asking state and source whose an account is. What must not: what follows for the person (`look`
//! judges the hits, `core::planner` decides).
//!
//! *Invariant*: a mark in the form of this source decides against a login. Whatever else stands in `externalId` (another
//! tool's, a personnel system's) is nobody's mark.

use std::collections::HashSet;

use crate::core::drift::marked;
use crate::core::eligibility::lifecycle_of_status;
use crate::core::lifecycle::Lifecycle;
use crate::core::planner::Tie;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::prove::Prover;
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::SourceId;
use crate::model::link::LinkState;
use crate::scim::target::Observe;
use crate::source::{DeletionEvidence, OwnState};

/// Who an account belongs to, as far as the plan must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOwner {
    /// Nobody.
    Nobody,
    /// This very person.
    Same,
    /// A living identity that is linked; the text names it.
    Living(String),
    /// A living identity whose mark it bears.
    Marked(SourceId),
    /// Another sync.
    OtherSync(String),
    /// An identity of this source that is proven gone: it is linked, or the account bears its mark.
    ProvenGone(SourceId, Tie),
    /// It bears the mark of somebody whom the source does not know.
    UnknownMark(SourceId),
    /// It bears the mark of somebody whom the source does not tell about now; the text says why.
    Untold(SourceId, String),
}

/// Who an account is linked to or marked for, as seen from a person.
pub(crate) async fn owner_of<O: Observe>(
    context: &RunContext<'_, O>,
    person: &SourceId,
    account: &Account,
    living: &HashSet<SourceId>,
    prover: &Prover<'_>,
) -> Result<AccountOwner, RunError> {
    let owner = context.snapshot.owner_of_account(&context.target_url, &account.id).await?;
    let Some((sync, link)) = owner else { return Ok(owner_by_mark(context, person, account).await) };
    if sync != context.sync_name() {
        return Ok(AccountOwner::OtherSync(sync));
    }
    if link.source_id == *person {
        return Ok(AccountOwner::Same);
    }
    if !living.contains(&link.source_id) && prover.is_proven_gone(&link).await {
        let tie = match link.state {
            LinkState::Active | LinkState::Vanished(_) | LinkState::Gone(_) => Tie::Link,
            LinkState::Deactivated(_) | LinkState::Inactive => Tie::InactiveLink,
        };
        return Ok(AccountOwner::ProvenGone(link.source_id, tie));
    }
    Ok(AccountOwner::Living(format!("{} ({})", link.user_name, link.source_id)))
}

/// Whose mark an account bears that nobody is linked to. The marked person is asked for alone: that the source does not
/// tell about one person is that one account's matter.
pub(crate) async fn owner_by_mark<O: Observe>(
    context: &RunContext<'_, O>,
    person: &SourceId,
    account: &Account,
) -> AccountOwner {
    let mark = account.external_id().and_then(|mark| marked(context.source.vendor(), mark));
    let Some(mark) = mark.filter(|mark| mark != person) else { return AccountOwner::Nobody };
    let state = match context.source.own_record(&mark, Lane::General).await {
        Ok(record) => record.state,
        Err(error) => return AccountOwner::Untold(mark, error.to_string()),
    };
    // "Not activated" is the end of somebody with a link, and the beginning of somebody without.
    let linked = match context.link(&mark).await {
        Ok(link) => link.is_some(),
        Err(error) => return AccountOwner::Untold(mark, error.to_string()),
    };
    match state {
        OwnState::Status(status) => match lifecycle_of_status(&status, linked, &context.config.lifecycle) {
            Lifecycle::Disabled => AccountOwner::ProvenGone(mark, Tie::Mark),
            // Unassigned is living.
            Lifecycle::Active | Lifecycle::Suspended | Lifecycle::Pending | Lifecycle::Unknown => {
                AccountOwner::Marked(mark)
            }
        },
        OwnState::UserGone => match context.source.deletion_event(&mark).await {
            Ok(DeletionEvidence::Event) => AccountOwner::ProvenGone(mark, Tie::Mark),
            Ok(DeletionEvidence::NoEvent | DeletionEvidence::LogNotReadable(_)) => {
                AccountOwner::UnknownMark(mark)
            }
            Err(error) => AccountOwner::Untold(mark, error.to_string()),
        },
        OwnState::Inconclusive(why) => AccountOwner::Untold(mark, why),
    }
}
