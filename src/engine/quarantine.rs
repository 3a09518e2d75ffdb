//! Whether a sync is in quarantine, and how long refused credentials rest; a changed secret ends that early.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::config::secret::SecretRef;
use crate::config::{self, SourceKind};
use crate::core::quarantine::{Quarantine, Side, quarantine};
use crate::model::digest::{Digest, DigestKey};
use crate::model::time::Millis;
use crate::source::ResolveSecret;
use crate::store::{SecretDigests, Snapshot, StoreError};

/// The cadence assumed where the schedule does not tell one.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(900);

/// The quarantine of a sync, if it is in one.
pub async fn quarantine_of(
    snapshot: &Snapshot,
    sync: &config::Sync,
) -> Result<Option<Quarantine>, StoreError> {
    let health = snapshot.health(&sync.name).await?;
    let interval =
        sync.schedule.shortest_interval(sync.timezone, chrono::Utc::now()).unwrap_or(FALLBACK_INTERVAL);
    Ok(quarantine(&health, interval))
}

/// Credentials that were refused and rest for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Until when no run that nobody started by hand tries them.
    pub until: Millis,
    /// What was refused, in the side's own words.
    pub reason: String,
    /// Which side.
    pub side: Side,
}

/// What a run that nobody started by hand has to wait for: credentials that either side refused just now. A secret that
/// was changed since is a reason to try at once.
pub async fn put_off(
    snapshot: &Snapshot,
    sync: &config::Sync,
    secrets: &ResolveSecret,
    now: Millis,
) -> Result<Option<Resting>, StoreError> {
    let health = snapshot.health(&sync.name).await?;
    let resting = health.refused.into_iter().filter_map(|refused| {
        let until = refused.rests_until(now)?;
        Some(Resting { until, reason: refused.reason, side: refused.side })
    });
    let Some(resting) = resting.max_by_key(|resting| resting.until) else { return Ok(None) };
    let changed = is_secret_changed(snapshot, sync, secrets).await?;
    Ok((!changed).then_some(resting))
}

/// Whether a secret is another one than in the run that failed last.
pub async fn is_secret_changed(
    snapshot: &Snapshot,
    sync: &config::Sync,
    secrets: &ResolveSecret,
) -> Result<bool, StoreError> {
    let then = snapshot.secrets_at_failure(&sync.name).await?;
    Ok(then.is_some_and(|then| then != secrets_digest(sync, secrets, &snapshot.digest_key())))
}

/// A keyed digest over the secrets as they are now, to see later that one was changed. Nothing can be read from it.
pub(crate) fn secrets_digest(sync: &config::Sync, secrets: &ResolveSecret, key: &DigestKey) -> Digest {
    let read = |reference| match secrets(reference) {
        Ok(secret) => key.digest([secret.expose_secret().as_bytes()]),
        Err(error) => key.digest([error.as_bytes()]),
    };
    let [source, target] = references(sync).map(read);
    key.digest([source.0.as_slice(), target.0.as_slice()])
}

/// Keyed digests over the secret of each side, to see since when it is in use. Nothing can be read from them.
pub(crate) fn secret_digests(sync: &config::Sync, secrets: &ResolveSecret, key: &DigestKey) -> SecretDigests {
    let read = |reference| {
        secrets(reference)
            .ok()
            .map(|secret| key.digest([b"in use".as_slice(), secret.expose_secret().as_bytes()]))
    };
    let [source, target] = references(sync).map(read);
    SecretDigests { source, target }
}

/// What is wrong with the secrets of a sync, if they cannot be read.
pub fn unreadable_secret(sync: &config::Sync, secrets: &ResolveSecret) -> Option<String> {
    let unreadable = references(sync).into_iter().find_map(|reference| secrets(reference).err());
    unreadable.map(|error| format!("sync \"{}\": {error}", sync.name))
}

fn references(sync: &config::Sync) -> [&SecretRef; 2] {
    let source = match &sync.source.kind {
        SourceKind::OktaToken { api_token } => api_token,
        SourceKind::OktaOauth { private_key, .. } => private_key,
        SourceKind::OneLogin { client_secret, .. } => client_secret,
    };
    [source, &sync.target.token]
}
