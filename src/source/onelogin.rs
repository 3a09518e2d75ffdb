//! OneLogin as a source: the people assigned to one app.
//!
//! What lives here: the adapter and its full read of two lists, the app's and the users'. Point reads are in
//! `person`, finding by name in `search`, the rights in `check`, events in `events` (one person) and `watch` (as they
//! come), logging in in `auth`, shapes in `wire`, paging in `pages`. What must not: judgement about a person.
//!
//! Source: developers.onelogin.com, API v2; OpenAPI document 3.1.1 of the vendor's Java SDK.

mod auth;
mod check;
mod event_types;
mod events;
mod listed;
mod pages;
mod person;
mod search;
mod watch;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use url::Url;

use self::auth::ApiCredentials;
use self::event_types::KnownTypes;
use self::listed::{Listed, SeenAccount};
use self::pages::{Chain, ChainPage};
use self::wire::{CREDENTIALS_HELP, Context, ErrorBody, Named, Roles, User, VENDOR, WithId};
use super::control::Control;
use super::fault::{Failure, Place};
use super::names::Resolved;
use super::reader::{PageSink, Reader, Totals, abandoned};
use super::{Page, ResolveSecret, SourceError};
use crate::config;
use crate::http::client::Client;
use crate::http::client_options::{ClientOptions, PeerName};
use crate::http::credentials::{Credentials, NoCredentials};
use crate::http::pacer::{Pace, PacerOptions, Pacers};
use crate::http::{Answer, Lane, Request};
use crate::model::order::Observation;

/// The app's list: "max page limit is 1000".
const APP_USERS_PAGE_SIZE: &str = "1000";
/// The users' list: "up to 50 users per page".
const USERS_PAGE_SIZE: &str = "50";
const ROLES_PAGE_SIZE: &str = "100";
/// People whom only the app lists are handed over in pages of this size.
const REMAINDER_PAGE: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(120);
/// Share of the rate that only removals and the watch may use.
const RESERVE_FOR_REMOVALS_PERCENT: u8 = 20;

/// A OneLogin account and the one app of it that decides.
#[derive(Clone)]
pub struct OneLogin {
    client: Client,
    credentials: Arc<ApiCredentials>,
    app_id: Arc<str>,
    role_names: Arc<[String]>,
    /// The configured roles, resolved once a pass and again with each full read.
    roles: Resolved<Roles>,
    control: Control,
    /// The kinds of events that this account knows, read again each day.
    event_types: Arc<tokio::sync::Mutex<Option<KnownTypes>>>,
    rate_share_percent: u8,
}

impl OneLogin {
    /// `config.kind` must be OneLogin's. The secret is read when it is first needed.
    pub(super) fn new(
        config: &config::Source,
        pacers: &Pacers,
        secrets: &ResolveSecret,
    ) -> Result<OneLogin, SourceError> {
        let place = Place::new(VENDOR, "setting up", &config.url);
        let config::SourceKind::OneLogin { client_id, client_secret } = &config.kind else {
            return Err(place.credentials("these are credentials of Okta, not of OneLogin"));
        };
        let pacer = pacers.get(
            &config.url,
            client_id,
            PacerOptions {
                pace: Pace::WindowShare { percent: config.rate_share_percent },
                reserve_for_removals_percent: RESERVE_FOR_REMOVALS_PERCENT,
                // One limit for the whole account.
                bucket_of: |_| "all",
            },
        );
        let mut options = ClientOptions::new(PeerName(VENDOR), config.url.clone(), pacer);
        options.timeout = TIMEOUT;
        options.proxy.clone_from(&config.proxy);
        options.ca_file.clone_from(&config.ca_file);
        let bare = Client::new(options, Arc::new(NoCredentials)).map_err(|error| place.no_answer(error))?;
        let (secrets, reference) = (Arc::clone(secrets), client_secret.clone());
        let read = Box::new(move || secrets(&reference));
        let credentials = ApiCredentials::new(bare.clone(), client_id.clone(), read)
            .map_err(|error| place.no_answer(error))?;
        let credentials = Arc::new(credentials);
        Ok(OneLogin {
            client: bare.with_credentials(Arc::<ApiCredentials>::clone(&credentials) as Arc<dyn Credentials>),
            credentials,
            app_id: config.app_id.as_str().into(),
            role_names: config.groups.clone().into(),
            roles: Resolved::default(),
            control: Control::default(),
            event_types: Arc::default(),
            rate_share_percent: config.rate_share_percent,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The roles are resolved afresh when they are next needed.
    pub(super) fn begin_pass(&self) {
        self.roles.forget();
    }

    /// Checks the app and starts the full read.
    pub(super) async fn open(&self) -> Result<Reader, SourceError> {
        let started_at = Observation::now();
        self.app(Lane::General).await?;
        let roles = Arc::new(self.resolve_roles(Lane::General).await?);
        self.roles.keep(&roles);
        let source = self.clone();
        Ok(Reader::start(move |sink| async move { source.walk(sink, roles, started_at).await }))
    }

    async fn walk(
        &self,
        sink: PageSink,
        roles: Arc<Roles>,
        started_at: Observation,
    ) -> Result<Totals, SourceError> {
        let (mut listed, app_pages, assigned_at) = self.assigned_ids().await?;
        let base = self.url(&["2", "users"], &[("app_id", &self.app_id), ("fields", wire::FIELDS)]);
        let mut chain =
            Chain::new(&self.client, "the users of the app", base, USERS_PAGE_SIZE, Lane::General);
        loop {
            let slot = sink.slot().await.ok_or_else(abandoned)?;
            let Some(ChainPage { answer, place }) = chain.next().await? else { break };
            let malformed = |error| place.malformed(&answer, &error);
            let entries: Vec<&RawValue> = serde_json::from_slice(&answer.body).map_err(malformed)?;
            let mut identities = Vec::with_capacity(entries.len());
            for raw in entries {
                // A record that cannot be decoded is one person whose state is not known.
                let user = serde_json::from_str::<User<'_>>(raw.get());
                let id = match &user {
                    Ok(user) => user.id(),
                    Err(_) => serde_json::from_str::<WithId<'_>>(raw.get()).map_err(malformed)?.id(),
                };
                let id = id.ok_or_else(|| place.incomplete("an entry has no id"))?;
                let listed_by_both = match listed.sight(id) {
                    SeenAccount::InBoth => true,
                    SeenAccount::OnlyHere => false,
                    SeenAccount::Twice => return Err(shifted(&place, id)),
                };
                let context = Context {
                    roles: &roles,
                    assigned: true,
                    listed_by_both,
                    observation: answer.observation,
                };
                identities.push(user.ok().and_then(|user| user.identity(raw, &context)).unwrap_or_else(
                    || {
                        tracing::warn!(person = id, "a record of onelogin cannot be read");
                        wire::without_details(id, answer.observation)
                    },
                ));
            }
            slot.fill(Page { identities, observation: answer.observation });
        }
        chain.verify(listed.details(), true)?;
        for part in listed.without_details().chunks(REMAINDER_PAGE) {
            let identities = part.iter().map(|id| wire::without_details(*id, assigned_at)).collect();
            sink.slot().await.ok_or_else(abandoned)?.fill(Page { identities, observation: assigned_at });
        }
        Ok(Totals { users: listed.people(), pages: app_pages + chain.pages(), started_at })
    }

    /// The app's own list, which decides who is assigned: ids, pages, and when its last page was asked for.
    async fn assigned_ids(&self) -> Result<(Listed, u64, Observation), SourceError> {
        let base = self.url(&["2", "apps", &self.app_id, "users"], &[]);
        let mut chain = Chain::new(&self.client, "the app's users", base, APP_USERS_PAGE_SIZE, Lane::General);
        let mut ids = Vec::new();
        let mut last = None;
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let entries: Vec<WithId<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            for entry in entries {
                ids.push(entry.id().ok_or_else(|| place.incomplete("an entry has no id"))?);
            }
            last = Some(place);
        }
        let gathered = ids.len() as u64;
        let listed = Listed::new(ids).map_err(|id| match &last {
            Some(place) => shifted(place, id),
            None => SourceError::Incomplete(format!("{VENDOR}: {id} came twice")),
        })?;
        chain.verify(gathered, true)?;
        Ok((listed, chain.pages(), chain.last_observation()))
    }

    /// The app must exist, else an empty list would look right.
    async fn app(&self, lane: Lane) -> Result<(), SourceError> {
        let url = self.url(&["2", "apps", &self.app_id], &[]);
        let place = Place::new(VENDOR, format!("the app {}", self.app_id), &url);
        let answer = self.send(&place, url, lane).await?;
        match answer.status {
            200 => {}
            404 => {
                return Err(place.incomplete(format_args!(
                    "there is no app {}; help: `rosterd check` lists the apps that these credentials see",
                    self.app_id
                )));
            }
            _ => return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP).into()),
        }
        let app: Named<'_> =
            serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
        match app.id() {
            Some(id) if id.to_string() == *self.app_id => Ok(()),
            Some(_) | None => Err(place.incomplete("the answer is about another app")),
        }
    }

    /// Each configured name to exactly one role.
    async fn resolve_roles(&self, lane: Lane) -> Result<Roles, Failure> {
        let mut roles = Roles::default();
        if self.role_names.is_empty() {
            return Ok(roles);
        }
        let base = self.url(&["2", "roles"], &[]);
        let place = Place::new(VENDOR, "the roles", &base);
        let mut chain = Chain::new(&self.client, "the roles", base, ROLES_PAGE_SIZE, lane);
        let mut known: Vec<(String, u64)> = Vec::new();
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let entries: Vec<Named<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            known.extend(entries.iter().filter_map(|entry| Some((entry.name.owned()?, entry.id()?))));
        }
        for name in self.role_names.iter() {
            let ids: Vec<u64> = known.iter().filter(|(found, _)| found == name).map(|(_, id)| *id).collect();
            match ids.as_slice() {
                [id] => roles.add(name, *id),
                [] => {
                    let why = format_args!(
                        "there is no role `{name}`; help: check the names in `groups` (at OneLogin they are roles)"
                    );
                    return Err(place.incomplete(why).into());
                }
                several => {
                    let why = format_args!(
                        "{} roles are called `{name}`, so it is not clear whose members are meant; help: rename one",
                        several.len()
                    );
                    return Err(place.incomplete(why).into());
                }
            }
        }
        roles.exist(known.iter().map(|(_, id)| *id));
        Ok(roles)
    }

    /// The configured roles as last resolved in this pass. Where this person has a role that did not exist then, they
    /// are resolved once more: it may be a declared one that was made anew under its name, with another id.
    async fn roles_for(&self, user: &User<'_>, lane: Lane) -> Result<Arc<Roles>, Failure> {
        if let Some(roles) = self.roles.known().filter(|roles| !roles.lacks_one(user.role_ids())) {
            return Ok(roles);
        }
        let mut roles = self.resolve_roles(lane).await?;
        // What is not listed now is hidden from these credentials, and would be asked about again for everybody.
        roles.exist(user.role_ids().iter().copied());
        let roles = Arc::new(roles);
        self.roles.keep(&roles);
        Ok(roles)
    }

    async fn send(&self, place: &Place, url: Url, lane: Lane) -> Result<Answer, Failure> {
        self.client.send(Request::get(url, lane)).await.map_err(|error| place.no_answer(error))
    }

    /// A URL of the API: segments are percent-encoded, so that no id can reach another path.
    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.client.base().clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push("api").extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn shifted(place: &Place, id: u64) -> SourceError {
    place.incomplete(format_args!(
        "{id} came before, so the pages shifted while they were read and somebody may be missing; help: run again"
    ))
}
