//! Okta as a source: the people assigned to one app.
//!
//! What lives here: the adapter and its full read. Point reads are in `person`, finding by name in `search`, the rights
//! in `check`, the event log in `events` (one person) and `watch` (as it grows), logging in in `auth`, shapes in `wire`,
//! paging in `pages`. What must not: judgement about a person.
//!
//! Source: Okta Management API 2026.06.3 (OpenAPI); limits and paging: developer.okta.com, "Core Okta API".

mod auth;
mod check;
mod dpop;
mod events;
mod groups;
mod keys;
mod membership;
mod pages;
mod person;
mod search;
mod watch;
mod wire;

pub(super) use self::events::LOG_RETENTION;

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use url::Url;

use self::auth::{ServiceApp, ServiceAppOptions};
use self::membership::{GroupIds, Membership};
use self::pages::{Chain, ChainPage};
use self::wire::{App, AppUser, CREDENTIALS_HELP, ErrorBody, Sighting, VENDOR, WithId};
use super::control::Control;
use super::fault::Place;
use super::ids::IdSet;
use super::names::Resolved;
use super::reader::{PageSink, Reader, Totals, abandoned};
use super::{Page, ResolveSecret, SourceError};
use crate::config;
use crate::http::client::Client;
use crate::http::client_options::{ClientOptions, PeerName};
use crate::http::credentials::{Credentials, NoCredentials, StaticBearer};
use crate::http::pacer::{Pace, PacerOptions, Pacers};
use crate::http::{Lane, Request};
use crate::model::order::Observation;

/// Okta's largest page of app users.
const PAGE_SIZE: &str = "500";
/// A page of 500 people with their profiles may take Okta a while (its own query limit is 30 s).
const TIMEOUT: Duration = Duration::from_secs(120);
/// Share of the rate that only removals and the watch may use.
const RESERVE_FOR_REMOVALS_PERCENT: u8 = 20;

/// How rosterd logs in.
#[derive(Clone)]
enum Login {
    Token(Arc<StaticBearer>),
    ServiceApp(Arc<ServiceApp>),
}

impl Login {
    fn credentials(&self) -> Arc<dyn Credentials> {
        match self {
            Login::Token(token) => Arc::<StaticBearer>::clone(token),
            Login::ServiceApp(app) => Arc::<ServiceApp>::clone(app),
        }
    }
}

/// The control reads, one for each right that the requests about one person need.
#[derive(Debug, Clone, Default)]
struct Controls {
    users: Control,
    app: Control,
}

/// An Okta organization and the one app of it that decides.
#[derive(Clone)]
pub struct Okta {
    client: Client,
    login: Login,
    app_id: Arc<str>,
    group_names: Arc<[String]>,
    /// Ids of the configured groups, resolved once a pass and again with each full read.
    group_ids: Resolved<GroupIds>,
    controls: Controls,
    rate_share_percent: u8,
}

impl Okta {
    /// `config.kind` must be one of Okta's. Secrets are read when they are first needed.
    pub(super) fn new(
        config: &config::Source,
        pacers: &Pacers,
        secrets: &ResolveSecret,
    ) -> Result<Okta, SourceError> {
        let credential = match &config.kind {
            config::SourceKind::OktaToken { api_token } => format!("{api_token:?}"),
            config::SourceKind::OktaOauth { client_id, .. }
            | config::SourceKind::OneLogin { client_id, .. } => client_id.clone(),
        };
        let pacer = pacers.get(
            &config.url,
            &credential,
            PacerOptions {
                pace: Pace::WindowShare { percent: config.rate_share_percent },
                reserve_for_removals_percent: RESERVE_FOR_REMOVALS_PERCENT,
                bucket_of,
            },
        );
        let mut options = ClientOptions::new(PeerName(VENDOR), config.url.clone(), pacer);
        options.timeout = TIMEOUT;
        options.proxy.clone_from(&config.proxy);
        options.ca_file.clone_from(&config.ca_file);
        let place = Place::new(VENDOR, "setting up", &config.url);
        let bare = Client::new(options, Arc::new(NoCredentials)).map_err(|error| place.no_answer(error))?;
        let login = login(config, &bare, secrets).map_err(|error| place.no_answer(error))?;
        Ok(Okta {
            client: bare.with_credentials(login.credentials()),
            login,
            app_id: config.app_id.as_str().into(),
            group_names: config.groups.clone().into(),
            group_ids: Resolved::default(),
            controls: Controls::default(),
            rate_share_percent: config.rate_share_percent,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The groups are resolved afresh when they are next needed.
    pub(super) fn begin_pass(&self) {
        self.group_ids.forget();
    }

    /// Checks the app and starts the full read.
    pub(super) async fn open(&self) -> Result<Reader, SourceError> {
        let started_at = Observation::now();
        self.app(Lane::General).await?;
        let membership = Arc::new(self.membership().await?);
        let source = self.clone();
        Ok(Reader::start(move |sink| async move { source.walk(sink, membership, started_at).await }))
    }

    async fn walk(
        &self,
        sink: PageSink,
        membership: Arc<Membership>,
        started_at: Observation,
    ) -> Result<Totals, SourceError> {
        let first = self.url(&["apps", &self.app_id, "users"], &[("limit", PAGE_SIZE), ("expand", "user")]);
        let mut chain = Chain::new(&self.client, "the app's users", first, Lane::General)
            // The vendor's next link forgets it (okta/okta-sdk-nodejs#439), and without it nobody has a status.
            .keeping(&[("expand", "user")]);
        let mut ids = IdSet::default();
        loop {
            let slot = sink.slot().await.ok_or_else(abandoned)?;
            let Some(page) = chain.next().await? else { break };
            slot.fill(decode(&page, &membership, &mut ids)?);
        }
        Ok(Totals { users: ids.len() as u64, pages: chain.pages(), started_at })
    }

    /// The app: must exist and be active, else an empty or short list would look right.
    async fn app(&self, lane: Lane) -> Result<App, SourceError> {
        let url = self.url(&["apps", &self.app_id], &[]);
        let place = Place::new(VENDOR, format!("the app {}", self.app_id), &url);
        let answer =
            self.client.send(Request::get(url, lane)).await.map_err(|error| place.no_answer(error))?;
        match answer.status {
            200 => {}
            404 => {
                return Err(place.incomplete(format_args!(
                    "there is no app {}: {}; help: `rosterd check` lists the apps that these credentials see",
                    self.app_id,
                    ErrorBody::words(&answer)
                )));
            }
            _ => return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP).into()),
        }
        let app: App = wire::json(&answer).map_err(|error| place.malformed(&answer, &error))?;
        if app.id != *self.app_id {
            return Err(place.incomplete(format_args!("the answer is about another app, `{}`", app.id)));
        }
        if app.status != "ACTIVE" {
            return Err(place.incomplete(format_args!(
                "the app {} ({}) is {}, so nobody counts as assigned; help: activate it in the Admin Console, \
                 or correct `app_id`",
                self.app_id, app.label, app.status
            )));
        }
        Ok(app)
    }

    /// A URL of the API: segments are percent-encoded, so that no id can reach another path.
    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.client.base().clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(["api", "v1"]).extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn login(
    config: &config::Source,
    bare: &Client,
    secrets: &ResolveSecret,
) -> Result<Login, crate::http::HttpError> {
    let secrets = Arc::clone(secrets);
    match &config.kind {
        config::SourceKind::OktaToken { api_token } => {
            let reference = api_token.clone();
            Ok(Login::Token(Arc::new(StaticBearer::with_scheme("SSWS", move || secrets(&reference)))))
        }
        config::SourceKind::OktaOauth { client_id, private_key, key_id, dpop } => {
            let reference = private_key.clone();
            let mut scopes = vec!["okta.apps.read", "okta.users.read"];
            if !config.groups.is_empty() {
                scopes.push("okta.groups.read");
            }
            let options = ServiceAppOptions {
                client_id: client_id.clone(),
                key_id: key_id.clone(),
                read_key: Box::new(move || secrets(&reference)),
                dpop: *dpop,
                scopes,
            };
            Ok(Login::ServiceApp(Arc::new(ServiceApp::new(bare.clone(), options)?)))
        }
        config::SourceKind::OneLogin { .. } => Err(crate::http::HttpError::Credentials {
            message: "these are credentials of OneLogin, not of Okta".to_owned(),
        }),
    }
}

/// Okta counts lists and point reads apart (developer.okta.com, rate limits).
fn bucket_of(url: &Url) -> &'static str {
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    match segments.as_slice() {
        ["oauth2", ..] => "token",
        ["api", "v1", "apps", _] => "app",
        ["api", "v1", "apps", ..] => "apps",
        ["api", "v1", "users"] => "users",
        ["api", "v1", "users", ..] => "user",
        ["api", "v1", "groups", ..] => "groups",
        ["api", "v1", "logs"] => "logs",
        _ => "other",
    }
}

/// The people of a page. A record that cannot be decoded is one person whose state is not known, as long as it says
/// whose it is; a page that is no list of objects with ids is no page.
fn decode(page: &ChainPage, membership: &Membership, ids: &mut IdSet) -> Result<Page, SourceError> {
    let ChainPage { answer, place } = page;
    let malformed = |error| place.malformed(answer, &error);
    let observation = answer.observation;
    let records: Vec<&RawValue> = serde_json::from_slice(&answer.body).map_err(malformed)?;
    let mut identities = Vec::with_capacity(records.len());
    for record in records {
        let entry = serde_json::from_str::<AppUser<'_>>(record.get());
        let id = match &entry {
            Ok(entry) => entry.id.owned(),
            Err(_) => serde_json::from_str::<WithId<'_>>(record.get()).map_err(malformed)?.id.owned(),
        };
        let id = id.ok_or_else(|| place.incomplete("an entry has no id"))?;
        if !ids.insert(&id) {
            return Err(place.incomplete(format_args!(
                "{id} was on an earlier page, so the pages shifted while they were read and somebody may be \
                 missing; help: run again"
            )));
        }
        let identity = entry.and_then(|entry| {
            let groups = membership.of(&id);
            Sighting { app_user: Some(&entry), user: None, groups, observation }.identity(&id)
        });
        identities.push(identity.unwrap_or_else(|error| {
            tracing::warn!(person = id, error = error.to_string(), "a record of okta cannot be read");
            wire::undecodable(&id, membership.of(&id), observation)
        }));
    }
    Ok(Page { identities, observation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_point_reads_count_in_the_buckets_that_okta_keeps() {
        let cases = [
            ("/oauth2/v1/token", "token"),
            ("/api/v1/apps/0oa1", "app"),
            ("/api/v1/apps/0oa1/users", "apps"),
            ("/api/v1/apps/0oa1/users/00u1", "apps"),
            ("/api/v1/apps", "apps"),
            ("/api/v1/users", "users"),
            ("/api/v1/users/00u1", "user"),
            ("/api/v1/logs", "logs"),
            ("/api/v1/users/00u1/groups", "user"),
            ("/api/v1/groups/00g1/users", "groups"),
        ];
        for (path, bucket) in cases {
            let url = Url::parse("https://acme.okta.com").unwrap().join(path).unwrap();
            assert_eq!(bucket_of(&url), bucket, "{path}");
        }
    }
}
