//! What is due after a run, whoever started it: history that is too old goes.

use std::time::Duration;

use crate::model::time::Millis;
use crate::store::{Pruned, Store};

/// Prunes history older than `keep` where that is due, and finishes an erasure that a reader was in the way of. No run
/// fails for it.
pub async fn clear_up(store: &Store, keep: Duration) {
    match store.prune(keep, Millis::now()).await {
        Ok(Some(Pruned { entries, others })) if entries + others > 0 => {
            tracing::info!(entries, others, "history that was too old is gone");
        }
        Ok(Some(_) | None) => {}
        Err(error) => tracing::warn!(%error, "history that is too old could not be removed"),
    }
    if let Err(error) = store.scrub_if_due().await {
        tracing::warn!(%error, "what was erased could not be removed from the file's free space");
    }
}
