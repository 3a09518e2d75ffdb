//! Fakes of Okta, OneLogin and a SCIM 2.0 workspace: one simulated world, served over HTTP on loopback ports.
//! Used by the tests, the benches and the demo. Nothing here imports the rest of the crate, so that client and
//! fake cannot share a misunderstanding; what the fakes answer follows the vendors' own documents.

mod call;
mod fault;
mod filter;
mod keys;
mod okta;
mod onelogin;
mod refusal;
mod requests;
mod scim;
mod server;
mod wire;
mod world;

pub use call::{Peer, Reply};
pub use fault::{Cut, Effect, Fault, Faults, Hook};
pub use keys::KeyKind;
pub use okta::{Dpop, OktaOptions, RateLimits};
pub use onelogin::{ErrorShape, OneLoginOptions, TokenShape};
pub use refusal::{
    RetryAfter, html_page, okta_concurrency_limited, okta_error, okta_rate_limited, onelogin_rate_limited,
    scim_error, scim_rate_limited,
};
pub use requests::Request;
pub use scim::{DuplicateHabit, ErrorForm, FilterHabit, PagingHabit, PatchHabit, ScimQuirks, UnknownHabit};
pub use world::{Account, App, Group, GroupId, Person, PersonId, Visibility, World};

use keys::ServiceKey;
use server::Shared;
use std::io;
use std::sync::Arc;

/// What a simulation starts with. All of it but seed and ports can be changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct SimOptions {
    /// Decides ids, names and everything else that looks random.
    pub seed: u64,
    /// Ports of Okta, OneLogin and SCIM; 0 takes a free one.
    pub ports: [u16; 3],
    /// How the Okta organization is set up.
    pub okta: OktaOptions,
    /// How the OneLogin account is set up.
    pub onelogin: OneLoginOptions,
    /// How the workspace's SCIM server behaves.
    pub scim: ScimQuirks,
}

/// A running simulation. The servers live on a thread and runtime of their own, so that a test may block, and they
/// stop when this is dropped.
pub struct Sim {
    shared: Arc<Shared>,
    thread: Option<server::ServerThread>,
}

impl Sim {
    /// Starts the three servers.
    ///
    /// # Errors
    /// Where a port cannot be bound or the thread cannot be started.
    pub async fn start(options: SimOptions) -> io::Result<Self> {
        tokio::task::spawn_blocking(|| Self::start_blocking(options)).await.map_err(io::Error::other)?
    }

    /// [`Sim::start`] for callers outside a runtime.
    ///
    /// # Errors
    /// As [`Sim::start`].
    pub fn start_blocking(options: SimOptions) -> io::Result<Self> {
        let (shared, thread) = server::start(options)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The world behind all three.
    pub fn world(&self) -> &World {
        &self.shared.world
    }

    /// Origin of the Okta organization, such as `http://127.0.0.1:4711`.
    pub fn okta_url(&self) -> &str {
        &self.shared.urls.okta
    }

    /// Origin of the OneLogin account.
    pub fn onelogin_url(&self) -> &str {
        &self.shared.urls.onelogin
    }

    /// SCIM base URL, with a path.
    pub fn scim_url(&self) -> &str {
        &self.shared.urls.scim
    }

    /// The app's id in Okta.
    pub fn okta_app_id(&self) -> String {
        self.world().app().okta_id
    }

    /// The app's id in OneLogin.
    pub fn onelogin_app_id(&self) -> String {
        self.world().app().onelogin_id.to_string()
    }

    /// Okta's API token, for `Authorization: SSWS`.
    pub fn okta_token(&self) -> String {
        self.okta(|options| options.api_token.clone())
    }

    /// Client id of the Okta service app.
    pub fn okta_client_id(&self) -> String {
        self.okta(|options| options.client_id.clone())
    }

    /// Private key of the Okta service app, PKCS #8 in PEM.
    pub fn okta_private_key_pem(&self, kind: KeyKind) -> String {
        ServiceKey::of(kind).pem.clone()
    }

    /// The same key as a JWK.
    pub fn okta_private_key_jwk(&self, kind: KeyKind) -> String {
        ServiceKey::of(kind).private_jwk().to_string()
    }

    /// Key id (`kid`) under which that key is registered.
    pub fn okta_key_id(&self, kind: KeyKind) -> String {
        ServiceKey::of(kind).key_id.to_owned()
    }

    /// OneLogin's API credentials.
    pub fn onelogin_client_id(&self) -> String {
        self.onelogin(|options| options.client_id.clone())
    }

    /// OneLogin's API credentials.
    pub fn onelogin_client_secret(&self) -> String {
        self.onelogin(|options| options.client_secret.clone())
    }

    /// The bearer token of the SCIM side.
    pub fn scim_token(&self) -> String {
        self.scim(|habits| habits.token.clone())
    }

    /// Reads or changes the Okta organization's set-up.
    pub fn okta<R>(&self, change: impl FnOnce(&mut OktaOptions) -> R) -> R {
        self.shared.with_okta(|okta| change(&mut okta.options))
    }

    /// Withdraws every OAuth access token that Okta issued.
    pub fn revoke_okta_tokens(&self) {
        self.shared.with_okta(okta::Okta::revoke_tokens);
    }

    /// Makes the nonces for DPoP proofs invalid that Okta handed out so far.
    pub fn forget_okta_nonces(&self) {
        self.shared.with_okta(okta::Okta::forget_nonces);
    }

    /// Reads or changes the OneLogin account's set-up.
    pub fn onelogin<R>(&self, change: impl FnOnce(&mut OneLoginOptions) -> R) -> R {
        self.shared.with_onelogin(|onelogin| change(&mut onelogin.options))
    }

    /// Withdraws OneLogin's access token.
    pub fn revoke_onelogin_token(&self) {
        self.shared.with_onelogin(onelogin::OneLogin::revoke_token);
    }

    /// Reads or changes the SCIM server's habits.
    pub fn scim<R>(&self, change: impl FnOnce(&mut ScimQuirks) -> R) -> R {
        self.shared.with_scim(|scim| change(&mut scim.habits))
    }

    /// The fault rules.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The requests to one server, in order of arrival.
    pub fn requests(&self, peer: Peer) -> Vec<Request> {
        self.shared.log.all().into_iter().filter(|request| request.peer == peer).collect()
    }

    /// The requests to all servers, in order of arrival.
    pub fn all_requests(&self) -> Vec<Request> {
        self.shared.log.all()
    }

    /// The requests to the workspace that were not a read.
    pub fn writes(&self) -> Vec<Request> {
        self.requests(Peer::Scim).into_iter().filter(|request| request.method != "GET").collect()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// Waits until the servers end, which they do not by themselves: for a demo that is left running.
    pub async fn run_forever(&self) {
        std::future::pending::<()>().await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.stop();
        }
    }
}
