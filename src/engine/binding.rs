//! What a sync is bound to: its source and its workspace. Links of another binding are never touched.

use crate::config;
use crate::engine::context::target_url;
use crate::engine::error::RunError;
use crate::source::Source;
use crate::store::{Binding, Snapshot};

/// What a sync is bound to, in words: saved plans and messages name it.
pub fn bound_to(source: &Source, config: &config::Sync) -> String {
    let origin = source.origin().origin().ascii_serialization();
    let kind = source.vendor().as_str();
    format!("{kind} app {} at {origin} -> {}", config.source.app_id, target_url(&config.target))
}

/// What a configured sync is bound to.
pub(crate) fn binding_of(source: &Source, config: &config::Sync) -> Binding {
    Binding {
        source_kind: source.vendor().as_str().to_owned(),
        source_origin: source.origin().origin().ascii_serialization(),
        source_app: config.source.app_id.clone(),
        target_url: target_url(&config.target),
    }
}

/// A sync is bound to its source and workspace: other links than its own are never touched.
pub(crate) async fn check_binding(snapshot: &Snapshot, sync: &str, now: &Binding) -> Result<(), RunError> {
    let Some(bound) = snapshot.binding(sync).await? else { return Ok(()) };
    if bound == *now || snapshot.link_counts(sync).await?.links == 0 {
        return Ok(());
    }
    let side = |binding: &Binding| {
        format!(
            "{} app {} at {} -> {}",
            binding.source_kind, binding.source_app, binding.source_origin, binding.target_url
        )
    };
    Err(RunError::Binding(format!(
        "sync \"{sync}\" holds links of {}, and the configuration now says {}\nhelp: if the source moved, hand the \
         links over with `rosterd transfer --from {sync} --to {sync}`; if this is another workspace, give it a sync name \
         of its own, and `rosterd rebuild` fills that one's empty state",
        side(&bound),
        side(now)
    )))
}
