//! Who has a login by our own links. A lookup need not show such an account (a filter that tells upper from lower case,
//! an index that lags), and an account that somebody deleted has no login any more. So it is asked for by its id.
//!
//! What lives here: that question. What must not: what follows for the person who wants the login (`plan`).

use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::model::account::Account;
use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId};
use crate::scim::target::{Observe, TargetError};

/// What asking for the accounts showed that are linked under a login.
#[derive(Debug, Default)]
pub(crate) struct LinkedHolders {
    /// The account that has the login.
    pub account: Option<Account>,
    /// Links of this sync whose account answers 404.
    pub vanished: Vec<(SourceId, TargetId)>,
}

/// Asks for the accounts that are linked to anybody but this person and had the login when it was last acknowledged.
pub(crate) async fn linked_holders<O: Observe>(
    context: &RunContext<'_, O>,
    person: &SourceId,
    login: &str,
) -> Result<LinkedHolders, RunError> {
    let sync = context.sync_name();
    let mut holders = LinkedHolders::default();
    let links = context.snapshot.linked_under_login(&context.target_url, login, (sync, person)).await?;
    for (linked_by, link) in links {
        match context.target.get(&link.target_id, context.lane()).await {
            Ok(Some(account)) if account.user_name().map(fold_address) == Some(fold_address(login)) => {
                holders.account = Some(account);
            }
            // It has another login now; what is linked is still believed in the door.
            Ok(Some(_)) => {}
            // Another sync's link is that sync's.
            Ok(None) if linked_by == sync => holders.vanished.push((link.source_id, link.target_id)),
            Ok(None) | Err(TargetError::Unanswerable(_)) => {}
            Err(error @ (TargetError::Unavailable(_) | TargetError::Credentials(_))) => {
                return Err(error.into());
            }
        }
    }
    Ok(holders)
}
