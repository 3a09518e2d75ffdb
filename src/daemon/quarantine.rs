//! Whether a sync backs off, and what ends that early: a changed secret.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::config::secret::SecretRef;
use crate::config::{self, SourceKind};
use crate::core::quarantine::{Quarantine, quarantine};
use crate::core::schedule::shortest_interval;
use crate::source::ResolveSecret;
use crate::store::{Store, StoreError};

/// The cadence assumed where the schedule does not tell one.
pub const FALLBACK_INTERVAL: Duration = Duration::from_secs(900);

/// The quarantine of a sync, if it is in one.
pub async fn of(store: &Store, sync: &config::Sync) -> Result<Option<Quarantine>, StoreError> {
    let health = store.snapshot().health(&sync.name).await?;
    let interval =
        shortest_interval(&sync.schedule, sync.timezone, chrono::Utc::now()).unwrap_or(FALLBACK_INTERVAL);
    Ok(quarantine(&health, interval))
}

/// What is wrong with the secrets of a sync, if they cannot be read.
pub fn unreadable_secret(sync: &config::Sync, resolve: &ResolveSecret) -> Option<String> {
    let unreadable = references(sync).into_iter().find_map(|reference| resolve(reference).err());
    unreadable.map(|error| format!("sync \"{}\": {error}", sync.name))
}

/// A digest over the secrets as they are now, to see that one was changed. It stays in memory.
pub fn secrets_digest(sync: &config::Sync, resolve: &ResolveSecret) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for reference in references(sync) {
        match resolve(reference) {
            Ok(secret) => hasher.update(blake3::hash(secret.expose_secret().as_bytes()).as_bytes()),
            Err(error) => hasher.update(error.as_bytes()),
        };
    }
    *hasher.finalize().as_bytes()
}

fn references(sync: &config::Sync) -> [&SecretRef; 2] {
    let source = match &sync.source.kind {
        SourceKind::OktaToken { api_token } => api_token,
        SourceKind::OktaOauth { private_key, .. } => private_key,
        SourceKind::OneLogin { client_secret, .. } => client_secret,
    };
    [source, &sync.target.token]
}
