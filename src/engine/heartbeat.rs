//! The heartbeat of the workspace: a quiet run proves both sides, by one GET of a linked account in every full run,
//! another one each time.
//!
//! What lives here: that one request. What must not: anything that its answer leads to but the run's own result.

use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::http::Lane;
use crate::model::time::Millis;
use crate::scim::target::{Observe, TargetError};
use crate::store::{Store, Tenure};

/// Asks for one account; a 404, or a refusal of this one account, is an answer.
pub(crate) async fn beat<O: Observe>(
    context: &RunContext<'_, O>,
    written: Option<(&Store, &Tenure)>,
) -> Result<(), RunError> {
    let Some(link) = context.snapshot.next_heartbeat(context.sync_name()).await? else { return Ok(()) };
    match context.target.get(&link.target_id, Lane::General).await {
        Ok(_) | Err(TargetError::Unanswerable(_)) => {}
        Err(error @ (TargetError::Unavailable(_) | TargetError::Credentials(_))) => return Err(error.into()),
    }
    if let Some((store, tenure)) = written {
        store.note_heartbeat(tenure, &link.source_id, Millis::now()).await?;
    }
    Ok(())
}
