//! One sync with both sides opened: what a run of it needs, whoever starts it and however often.
//!
//! What lives here: opening, and what is kept between runs. What must not: when to run (`daemon`), what is printed
//! (`app`).

use tokio::sync::watch;

use crate::config;
use crate::config::secret::SecretRef;
use crate::core::mapping::{Mapping, MappingError};
use crate::engine::context::RunContext;
use crate::engine::quarantine::{secret_digests, secrets_digest};
use crate::engine::run::FinishedRun;
use crate::http::pacer::Pacers;
use crate::model::id::Vendor;
use crate::model::time::Millis;
use crate::scim::adapter::ScimTarget;
use crate::scim::dialect::Profile;
use crate::scim::target::TargetError;
use crate::source::{ResolveSecret, Source, SourceError};
use crate::store::{Snapshot, Store, StoreError};

/// A sync with both sides opened. Nothing has been sent yet.
pub struct SyncSession {
    /// The sync.
    pub config: config::Sync,
    /// The compiled mapping.
    pub mapping: Mapping,
    /// The identity provider.
    pub source: Source,
    /// The workspace.
    pub target: ScimTarget,
    secrets: ResolveSecret,
}

impl std::fmt::Debug for SyncSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SyncSession { config, mapping: _, source, target, secrets: _ } = self;
        write!(f, "Sides({}: {source:?} -> {target:?})", config.name)
    }
}

/// Why a sync could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The configuration.
    #[error("sync \"{0}\": {1}")]
    Config(String, String),
    /// The source.
    #[error("sync \"{0}\": {1}")]
    Source(String, SourceError),
    /// The target.
    #[error("sync \"{0}\": {1}")]
    Target(String, TargetError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SyncSession {
    /// Opens both sides. `pacers` are shared by everything that talks in this process.
    pub async fn open(
        sync: &config::Sync,
        pacers: &Pacers,
        snapshot: &Snapshot,
        secrets: &ResolveSecret,
    ) -> Result<SyncSession, SessionError> {
        let mapping = mapping_of(sync, snapshot)
            .map_err(|error| SessionError::Config(sync.name.clone(), error.to_string()))?;
        let source = Source::new(&sync.source, pacers, secrets.clone())
            .map_err(|error| SessionError::Source(sync.name.clone(), error))?;
        let stored = snapshot.profile(&sync.name).await?;
        // A profile of another version is learned anew.
        let profile = stored.and_then(|text| serde_json::from_str::<Profile>(&text).ok()).unwrap_or_default();
        let resolve = secrets.clone();
        let target =
            ScimTarget::new(&sync.target, pacers, move |reference: &SecretRef| resolve(reference), profile)
                .map_err(|error| SessionError::Target(sync.name.clone(), error))?;
        Ok(SyncSession { config: sync.clone(), mapping, source, target, secrets: secrets.clone() })
    }

    /// What a run of this sync may look at. It is a run that somebody started by hand and that nobody watches, until it
    /// is said otherwise.
    pub fn context<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        interrupted: watch::Receiver<bool>,
    ) -> RunContext<'a, ScimTarget> {
        RunContext::new(&self.config, &self.mapping, &self.source, &self.target, snapshot, interrupted)
    }

    /// Keeps what a run has seen of the target, and with which secrets it went.
    pub async fn remember(&self, store: &Store, finished: Option<&FinishedRun>) {
        self.remember_profile(store).await;
        if let Some(finished) = finished {
            self.remember_secrets(store, finished).await;
        }
        self.remember_credentials(store).await;
    }

    /// What a failed run had for secrets: others are a reason to try again at once.
    async fn remember_secrets(&self, store: &Store, finished: &FinishedRun) {
        let digest = (!finished.facts.result.reached_both_sides())
            .then(|| secrets_digest(&self.config, &self.secrets, &store.snapshot().digest_key()));
        if let Err(error) = store.note_secrets(&self.config.name, digest).await {
            tracing::warn!(sync = self.config.name, %error, "the state of the secrets could not be noted");
        }
    }

    /// Since when the secrets are in use that this run went with.
    async fn remember_credentials(&self, store: &Store) {
        let digests = secret_digests(&self.config, &self.secrets, &store.snapshot().digest_key());
        if let Err(error) = store.note_credentials(&self.config.name, digests, Millis::now()).await {
            tracing::warn!(sync = self.config.name, %error, "the age of the credentials could not be noted");
        }
    }

    /// What the target was seen to do is worth keeping, and never worth failing for.
    async fn remember_profile(&self, store: &Store) {
        let sync = &self.config.name;
        let saved = match serde_json::to_string(&self.target.profile()) {
            Ok(profile) => store.save_profile(sync, profile).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = saved {
            tracing::warn!(sync, %error, "what the target was seen to do could not be kept");
        }
    }
}

/// The compiled mapping of a configured sync.
pub fn mapping_of(sync: &config::Sync, snapshot: &Snapshot) -> Result<Mapping, MappingError> {
    Mapping::compile(
        vendor(&sync.source),
        &sync.scope,
        &sync.attributes,
        sync.user_type.as_ref(),
        snapshot.digest_key(),
    )
}

/// The vendor of a configured source.
pub fn vendor(source: &config::Source) -> Vendor {
    match source.kind {
        config::SourceKind::OktaToken { .. } | config::SourceKind::OktaOauth { .. } => Vendor::Okta,
        config::SourceKind::OneLogin { .. } => Vendor::OneLogin,
    }
}
