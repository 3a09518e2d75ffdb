//! The SCIM 2.0 adapter (RFC 7643, RFC 7644), made to give the right result at servers that each keep another
//! part of the standard.
//!
//! What lives here: the two types that the engine holds, [`ScimTarget`] to read and [`Provisioner`] to write.
//! What must not: loops over people, decisions about a person.
//!
//! *Invariants*: no URL is taken from an answer; a filter's answer is compared, never trusted; a POST is never
//! sent again after its outcome is in doubt; a deactivation counts when it is seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::config::secret::SecretRef;
use crate::config::{self, Dialect};
use crate::core::guard::Approved;
use crate::core::proof::{PROOF_VALID_MILLIS, Proven};
use crate::http::Lane;
use crate::http::client::Client;
use crate::http::client_options::{ClientOptions, PeerName};
use crate::http::clock::ClockWitness;
use crate::http::counters::{Counters, Traffic};
use crate::http::credentials::StaticBearer;
use crate::http::pacer::{KeptBack, PacerOptions, Pacers, Place};
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::check::RightCheck;
use crate::model::id::TargetId;
use crate::model::plan::Change;
use crate::model::time::Millis;
use crate::scim::control::Control;
pub use crate::scim::dialect::Profile;
use crate::scim::service::Service;
use crate::scim::target::{
    AccountPage, Criterion, ListCursor, Lookup, Observe, Provision, Refusal, RefusalClass, TargetError,
    WriteOutcome, unavailable,
};
use crate::store::Recorded;

/// A SCIM service provider that is read. Cheap to clone; clones share connections, pace and profile.
#[derive(Debug, Clone)]
pub struct ScimTarget {
    service: Arc<Service>,
}

/// A SCIM service provider that may be written to. A run that must not write never asks for one.
#[derive(Debug)]
pub struct Provisioner {
    service: Arc<Service>,
}

impl ScimTarget {
    /// Prepares the adapter; sends nothing. `secret` resolves the token's reference when it is first needed, and
    /// again after a 401. `profile` is what [`ScimTarget::profile`] gave back after an earlier run.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] where TLS, proxy or base URL cannot be used.
    pub fn new(
        target: &config::Target,
        pacers: &Pacers,
        secret: impl Fn(&SecretRef) -> Result<SecretString, String> + Send + Sync + 'static,
        profile: Profile,
    ) -> Result<ScimTarget, TargetError> {
        let pace = PacerOptions::requests_per_minute(
            target.requests_per_minute,
            target.reserve_for_removals_percent,
        );
        // The reference names the credential; two syncs with the same one share a pace.
        let pacer = pacers.get(&target.url, &format!("{:?}", target.token), pace);
        let options = ClientOptions {
            timeout: target.timeout,
            proxy: target.proxy.clone(),
            ca_file: target.ca_file.clone(),
            ..ClientOptions::new(PeerName("target"), target.url.clone(), pacer)
        };
        let token = target.token.clone();
        let credentials = StaticBearer::new(move || secret(&token));
        let client = Client::new(options, Arc::new(credentials)).map_err(unavailable)?;
        let service = Service {
            client,
            base: target.url.clone(),
            dialect: target.dialect,
            profile: Mutex::new(profile),
            control: Control::default(),
        };
        Ok(ScimTarget { service: Arc::new(service) })
    }

    /// What was learned of the target up to now, to be kept for the next run.
    pub fn profile(&self) -> Profile {
        self.service.profile.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same target with what was learned earlier.
    #[must_use]
    pub fn with_profile(self, profile: Profile) -> ScimTarget {
        *self.service.profile.lock().unwrap_or_else(PoisonError::into_inner) = profile;
        self
    }

    /// Requests sent so far and what became of them.
    pub fn counters(&self) -> Counters {
        self.service.client.counters()
    }

    /// A handle on what is counted, for whoever reads it later.
    pub fn traffic(&self) -> Traffic {
        self.service.client.traffic()
    }

    /// What the answers told about our clock; see [`crate::http::clock`].
    pub fn clock_witness(&self) -> Option<ClockWitness> {
        self.service.client.clock_witness()
    }

    /// The configured dialect.
    pub fn dialect(&self) -> Dialect {
        self.service.dialect
    }

    /// Stops writes that have not gone out yet, for good, and all that come until it lets them go on.
    pub fn pause_writes(&self, paused: bool) {
        let gate = self.service.client.write_gate();
        if paused { gate.close() } else { gate.open() }
    }

    /// Writes whose request is on the wire.
    pub fn writes_on_the_wire(&self) -> usize {
        self.service.client.write_gate().on_the_wire()
    }

    /// Waits until no write is on the wire.
    pub async fn no_write_on_the_wire(&self) {
        self.service.client.write_gate().is_quiet().await;
    }

    /// The right to write. Only a run in apply mode asks for it.
    pub fn provisioner(&self) -> Provisioner {
        Provisioner { service: Arc::clone(&self.service) }
    }

    /// The target's part of `check`: reachability, credentials, the right to read, capabilities. GET only.
    pub async fn check(&self) -> Vec<RightCheck> {
        self.service.check().await
    }
}

impl Observe for ScimTarget {
    async fn own_account(&self) -> Option<TargetId> {
        self.service.own_account().await
    }

    fn counters(&self) -> Counters {
        ScimTarget::counters(self)
    }

    fn clock_witness(&self) -> Option<ClockWitness> {
        ScimTarget::clock_witness(self)
    }

    fn forget_clock_witness(&self) {
        self.service.client.forget_clock_witness();
    }

    fn opens_in(&self, lane: Lane) -> Duration {
        let pacer = self.service.client.pacer();
        pacer.opens_in(lane, pacer.bucket_of(&self.service.base))
    }

    async fn place(&self, lane: Lane) -> Result<Option<Place>, KeptBack> {
        let pacer = Arc::clone(self.service.client.pacer());
        let bucket = pacer.bucket_of(&self.service.base);
        pacer.place(lane, bucket).await.map(Some)
    }

    async fn get(&self, id: &TargetId, lane: Lane) -> Result<Option<Account>, TargetError> {
        self.service.account(id, lane).await
    }

    async fn find(&self, criterion: &Criterion) -> Result<Lookup, TargetError> {
        self.service.find(criterion).await
    }

    async fn find_by_listing(&self, criterion: &Criterion) -> Result<Lookup, TargetError> {
        self.service.search(criterion).await
    }

    fn finds_external_id(&self) -> bool {
        match self.service.dialect {
            Dialect::Wrike => false,
            Dialect::Generic => self.service.known(|profile| profile.external_id_searchable != Some(false)),
        }
    }

    fn lookups_are_cheap(&self) -> bool {
        self.service.known(|profile| profile.filter_trusted != Some(false))
    }

    async fn tells_case_apart(&self, known_login: Option<&str>) -> Result<bool, TargetError> {
        self.service.tells_case_apart(known_login).await
    }

    async fn list(&self, cursor: &mut ListCursor) -> Result<Option<AccountPage>, TargetError> {
        self.service.list(cursor).await
    }
}

impl Provision for Provisioner {
    async fn create(&self, write: &Recorded<Approved>) -> WriteOutcome {
        match &write.action().desired {
            Some(desired) => self.service.create(desired).await,
            None => unwritable("the plan holds no account to create"),
        }
    }

    async fn update(&self, write: &Recorded<Approved>) -> WriteOutcome {
        let action = write.action();
        let Some(id) = &action.target_id else { return unwritable("there is no account to write to") };
        let active = AttributePath::active();
        let values: Vec<Change> =
            action.changes.iter().filter(|change| change.path != active).cloned().collect();
        self.service.update(id, &values, action.activate).await
    }

    async fn deactivate(&self, removal: &Recorded<Proven>) -> WriteOutcome {
        let proven = removal.permit();
        self.service.deactivate(proven.target_id(), Some(end_of(proven))).await
    }

    async fn delete(&self, removal: &Recorded<Proven>) -> WriteOutcome {
        let proven = removal.permit();
        self.service.delete(proven.target_id(), Some(end_of(proven))).await
    }
}

/// A plan that lacks what its verb needs: nothing is sent.
fn unwritable(why: &str) -> WriteOutcome {
    WriteOutcome::Refused(Refusal {
        class: RefusalClass::Invalid,
        status: 0,
        detail: why.to_owned(),
        attempts: 0,
        attributes: Vec::new(),
    })
}

/// When a proof's time is over. A clock that was set since the proof was taken ends it at once.
fn end_of(removal: &Proven) -> Instant {
    let passed = Millis::now().since(removal.observation().at);
    let left = if passed < 0 { 0 } else { PROOF_VALID_MILLIS.saturating_sub(passed).max(0) };
    Instant::now() + Duration::from_millis(left.unsigned_abs())
}
