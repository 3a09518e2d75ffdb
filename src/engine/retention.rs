//! What is due after a run, whoever started it: history that is too old goes.

use std::time::Duration;

use crate::model::time::Millis;
use crate::store::{Pruned, Store};

/// Prunes history older than `keep` where that is due, and finishes an erasure that a reader or a full disk was in
/// the way of. No run fails for it.
pub async fn clear_up(store: &Store, keep: Duration) {
    let now = Millis::now();
    let pruned = match store.snapshot().is_clock_confirmed_twice(now).await {
        Ok(true) => store.prune(keep, now).await,
        // What cannot be taken back waits for a clock that somebody confirms.
        Ok(false) => Ok(None),
        Err(error) => Err(error),
    };
    match pruned {
        Ok(Some(Pruned { entries, others })) if entries + others > 0 => {
            tracing::info!(entries, others, "history that was too old is gone");
        }
        Ok(Some(_) | None) => {}
        Err(error) => tracing::warn!(%error, "history that is too old could not be removed"),
    }
    // Not at the start: a disk that is full would keep rosterd from everything else, and a large file from being ready.
    match store.scrub_if_due(Millis::now()).await {
        Ok(true) => tracing::info!("what was erased is out of the file's free space, too"),
        Ok(false) => {}
        Err(error) => tracing::warn!(
            %error,
            help = "free disk space: as much as the database takes; a run tries again in a day",
            "what was erased could not be removed from the file's free space"
        ),
    }
}
