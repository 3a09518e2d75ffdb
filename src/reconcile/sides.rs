//! One sync with both sides opened: what a run of it needs, whoever starts it and however often.
//!
//! What lives here: opening, and starting runs. What must not: when to run (`daemon`), what is printed (`app`).

use tokio::sync::watch;

use super::backoff::{secret_digests, secrets_digest};
use super::event::{Silent, Watcher};
use super::{Finished, Request, RunError, Verification, Verified, Who, Writing, explain, run, verify};
use crate::config;
use crate::config::secret::SecretRef;
use crate::core::mapping::{Mapping, MappingError};
use crate::http::pacer::Pacers;
use crate::model::explain::SyncExplained;
use crate::model::id::Vendor;
use crate::model::report::{ActionRecord, Trigger};
use crate::model::time::Millis;
use crate::source::{ResolveSecret, Source, SourceError};
use crate::store::{Snapshot, Store, StoreError};
use crate::target::TargetError;
use crate::target::scim::{Profile, Provisioner, ScimTarget};

/// A sync with both sides opened. Nothing has been sent yet.
pub struct Sides {
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

impl std::fmt::Debug for Sides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sides { config, mapping: _, source, target, secrets: _ } = self;
        write!(f, "Sides({}: {source:?} -> {target:?})", config.name)
    }
}

/// What a run is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Whom it is about.
    pub who: Who,
    /// What started it.
    pub trigger: Trigger,
    /// Nobody stands behind it: the limits for unattended runs apply.
    pub unattended: bool,
    /// Who started it by hand, for the record.
    pub by: Option<String>,
    /// Only these actions, exactly as they are: a saved plan.
    pub only: Option<Vec<ActionRecord>>,
}

/// What a verification may do with the state.
#[derive(Debug, Clone, Copy)]
pub enum State<'a> {
    /// Read it: nothing is written anywhere.
    Reading(&'a Snapshot),
    /// Write it, and repair.
    Writing(&'a Store),
}

/// Why a sync could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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

impl Sides {
    /// Opens both sides. `pacers` are shared by everything that talks in this process.
    pub async fn open(
        sync: &config::Sync,
        pacers: &Pacers,
        snapshot: &Snapshot,
        secrets: &ResolveSecret,
    ) -> Result<Sides, OpenError> {
        let mapping = mapping_of(sync, snapshot)
            .map_err(|error| OpenError::Config(sync.name.clone(), error.to_string()))?;
        let source = Source::new(&sync.source, pacers, secrets.clone())
            .map_err(|error| OpenError::Source(sync.name.clone(), error))?;
        let stored = snapshot.profile(&sync.name).await?;
        // A profile of another version is learned anew.
        let profile = stored.and_then(|text| serde_json::from_str::<Profile>(&text).ok()).unwrap_or_default();
        let resolve = secrets.clone();
        let target =
            ScimTarget::new(&sync.target, pacers, move |reference: &SecretRef| resolve(reference), profile)
                .map_err(|error| OpenError::Target(sync.name.clone(), error))?;
        Ok(Sides { config: sync.clone(), mapping, source, target, secrets: secrets.clone() })
    }

    /// A run that may write. What the target was seen to do is kept for the next one.
    pub async fn reconcile(
        &self,
        order: &Order,
        store: &Store,
        watcher: &dyn Watcher,
        interrupted: watch::Receiver<bool>,
    ) -> Finished {
        let provisioner = self.target.provisioner();
        let writing = Writing { store, provisioner: &provisioner };
        let request = self.request(order, store.snapshot(), watcher, interrupted);
        // On the heap: the future of a run is nested too deep for the layout of whatever holds it.
        let finished = Box::pin(run(request, Some(&writing))).await;
        self.remember_profile(store).await;
        self.remember_secrets(store, &finished).await;
        self.remember_credentials(store).await;
        finished
    }

    /// A run without the right to write.
    pub async fn dry_run(
        &self,
        order: &Order,
        snapshot: &Snapshot,
        watcher: &dyn Watcher,
        interrupted: watch::Receiver<bool>,
    ) -> Finished {
        let nothing: Option<&Writing<'_, Provisioner>> = None;
        Box::pin(run(self.request(order, snapshot, watcher, interrupted), nothing)).await
    }

    /// A verification. With a store it may repair, as far as the policies say so.
    pub async fn verify(
        &self,
        verification: &Verification,
        trigger: Trigger,
        state: State<'_>,
        watcher: &dyn Watcher,
        interrupted: watch::Receiver<bool>,
    ) -> Verified {
        let unattended = trigger == Trigger::Schedule;
        let order = Order { who: Who::Everybody, trigger, unattended, by: None, only: None };
        match state {
            State::Writing(store) => {
                let provisioner = self.target.provisioner();
                let writing = Writing { store, provisioner: &provisioner };
                let request = self.request(&order, store.snapshot(), watcher, interrupted);
                let verified = Box::pin(verify(request, verification, Some(&writing))).await;
                self.remember_profile(store).await;
                self.remember_credentials(store).await;
                verified
            }
            State::Reading(snapshot) => {
                let nothing: Option<&Writing<'_, Provisioner>> = None;
                let request = self.request(&order, snapshot, watcher, interrupted);
                Box::pin(verify(request, verification, nothing)).await
            }
        }
    }

    /// Why one person has the account they have, or none: both sides are read, nothing is written anywhere.
    pub async fn explain(
        &self,
        who: &str,
        raw: bool,
        snapshot: &Snapshot,
        interrupted: watch::Receiver<bool>,
    ) -> Result<SyncExplained, RunError> {
        // As the next run would be: nobody stands behind it.
        let order = Order {
            who: Who::Named(vec![who.to_owned()]),
            trigger: Trigger::Manual,
            unattended: true,
            by: None,
            only: None,
        };
        let request = self.request(&order, snapshot, &Silent, interrupted);
        Box::pin(explain::fresh(&request, who, raw)).await
    }

    fn request<'a>(
        &'a self,
        order: &'a Order,
        snapshot: &'a Snapshot,
        watcher: &'a dyn Watcher,
        interrupted: watch::Receiver<bool>,
    ) -> Request<'a, ScimTarget> {
        Request {
            config: &self.config,
            mapping: &self.mapping,
            source: &self.source,
            target: &self.target,
            snapshot,
            who: order.who.clone(),
            only: order.only.as_deref(),
            trigger: order.trigger,
            unattended: order.unattended,
            by: order.by.as_deref(),
            watcher,
            interrupted,
        }
    }

    /// What a failed run had for secrets: others are a reason to try again at once.
    async fn remember_secrets(&self, store: &Store, finished: &Finished) {
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
