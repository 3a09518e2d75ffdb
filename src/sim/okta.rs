//! The fake of an Okta organization: authentication, rate limits and routing. Response shapes live in `wire`,
//! the resources in `apps`, `directory` and `logs`.

mod apps;
mod auth;
mod directory;
mod dpop;
mod logs;
mod page;
mod rate;
mod wire;

pub use rate::RateLimits;

use super::call::{Call, Reply};
use super::refusal::{http_date, okta_error};
use super::world::World;
use auth::Auth;
use axum::http::Method;
use rate::Windows;
use std::collections::BTreeSet;

/// Whether the service app binds its tokens to a key (RFC 9449).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dpop {
    /// A `DPoP` header is ignored; tokens are plain bearer tokens.
    Off,
    /// With a proof the token is bound, without one it is not.
    Optional,
    /// A token request without a proof is refused, as with service apps made since 2024 unless switched off.
    Required,
}

/// How the Okta organization is set up.
#[derive(Clone, Debug)]
pub struct OktaOptions {
    /// The API token.
    pub api_token: String,
    /// False: the API token was revoked or has expired.
    pub api_token_valid: bool,
    /// Client id of the service app.
    pub client_id: String,
    /// Scopes granted to the service app.
    pub granted_scopes: BTreeSet<String>,
    /// DPoP of the service app.
    pub dpop: Dpop,
    /// Lifetime of an access token, in seconds.
    pub token_lifetime_seconds: i64,
    /// What the admin role does not allow, answered with 403 `E0000006`: `apps`, `app_users`, `app_groups`,
    /// `users`, `groups`, `logs`.
    pub denied: BTreeSet<&'static str>,
    /// The service app has scopes and no admin role: lists answer 200 with nobody, point reads 403.
    pub without_admin_role: bool,
    /// The vendor's bug: the next link of an app's users forgets `expand=user`.
    pub next_link_forgets_expand: bool,
    /// `_embedded.user` needs `okta.users.read` beside `okta.apps.read`.
    pub expand_needs_users_scope: bool,
    /// The server gives so many rows a page at most, whatever was asked.
    pub page_cap: Option<usize>,
    /// Limits and windows.
    pub rate_limits: RateLimits,
}

impl Default for OktaOptions {
    fn default() -> Self {
        let scopes =
            ["okta.apps.read", "okta.users.read", "okta.groups.read", "okta.logs.read", "okta.schemas.read"];
        Self {
            api_token: "00SimulatedOktaApiTokenAAAAAAAAAAAAAAAAAAA".to_owned(),
            api_token_valid: true,
            client_id: "0oaSimServiceApp0001".to_owned(),
            granted_scopes: scopes.into_iter().map(str::to_owned).collect(),
            dpop: Dpop::Off,
            token_lifetime_seconds: 3600,
            denied: BTreeSet::new(),
            without_admin_role: false,
            next_link_forgets_expand: true,
            expand_needs_users_scope: false,
            page_cap: None,
            rate_limits: RateLimits::default(),
        }
    }
}

/// The organization: its set-up, the tokens it issued, and its rate windows.
pub(crate) struct Okta {
    pub(crate) options: OktaOptions,
    auth: Auth,
    windows: Windows,
}

/// What a handler needs to know of the request beyond the request itself.
struct Context<'a> {
    world: &'a World,
    /// Origin of the organization.
    base: &'a str,
    options: &'a OktaOptions,
    /// Whether the credentials cover `okta.users.read`; an API token always does.
    reads_users: bool,
}

impl Okta {
    pub(crate) fn new(options: OktaOptions) -> Self {
        Self { options, auth: Auth::default(), windows: Windows::default() }
    }

    pub(crate) fn revoke_tokens(&mut self) {
        self.auth.revoke_tokens();
    }

    pub(crate) fn forget_nonces(&mut self) {
        self.auth.forget_nonces();
    }

    pub(crate) fn answer(&mut self, world: &World, base: &str, call: &Call) -> Reply {
        let now = world.okta_time();
        let reply = if call.path == "/oauth2/v1/token" {
            self.auth.token(&self.options, now, base, call)
        } else {
            let bucket = rate::bucket(&call.parts());
            let window = self.windows.take(&self.options.rate_limits, bucket, now);
            let reply = if window.exceeded {
                okta_error(429, "E0000047", "API call exceeded rate limit due to too many requests.")
            } else {
                self.authorized(world, base, call)
            };
            reply
                .with("X-Rate-Limit-Limit", window.limit.to_string())
                .with("X-Rate-Limit-Remaining", window.remaining.to_string())
                .with("X-Rate-Limit-Reset", window.reset.timestamp().to_string())
        };
        reply
            .with("Date", http_date(now))
            .with("X-Okta-Request-Id", format!("{:016x}", fastrand::u64(..)))
            .with("Cache-Control", "no-cache, no-store")
    }

    fn authorized(&mut self, world: &World, base: &str, call: &Call) -> Reply {
        let scopes = match self.auth.authorize(&self.options, world.okta_time(), base, call) {
            Ok(scopes) => scopes,
            Err(refusal) => return *refusal,
        };
        let parts = call.parts();
        let Some((area, scope, is_list)) = area(&parts) else {
            return okta_error(404, "E0000022", "The endpoint does not support the provided HTTP method");
        };
        if call.method != Method::GET {
            return okta_error(405, "E0000022", "The endpoint does not support the provided HTTP method");
        }
        if scopes.as_ref().is_some_and(|scopes| !scopes.contains(scope)) {
            return auth::insufficient_scope(base);
        }
        if self.options.denied.contains(area) || (self.options.without_admin_role && !is_list) {
            return okta_error(403, "E0000006", "You do not have permission to perform the requested action");
        }
        if self.options.without_admin_role {
            return Reply::json(200, &serde_json::json!([]));
        }
        let reads_users = scopes.as_ref().is_none_or(|scopes| scopes.contains("okta.users.read"));
        route(&Context { world, base, options: &self.options, reads_users }, call, &parts)
    }
}

/// The area a path belongs to, the scope it needs, and whether it is a list.
fn area(parts: &[&str]) -> Option<(&'static str, &'static str, bool)> {
    let ["api", "v1", rest @ ..] = parts else { return None };
    Some(match rest {
        ["apps"] => ("apps", "okta.apps.read", true),
        ["apps", _] => ("apps", "okta.apps.read", false),
        ["apps", _, "users"] => ("app_users", "okta.apps.read", true),
        ["apps", _, "users", _] => ("app_users", "okta.apps.read", false),
        ["apps", _, "groups"] => ("app_groups", "okta.apps.read", true),
        ["users"] | ["users", _, "groups"] => ("users", "okta.users.read", true),
        ["users", _] => ("users", "okta.users.read", false),
        ["groups"] | ["groups", _, "users"] => ("groups", "okta.groups.read", true),
        ["groups", _] => ("groups", "okta.groups.read", false),
        ["logs"] => ("logs", "okta.logs.read", true),
        _ => return None,
    })
}

fn route(context: &Context<'_>, call: &Call, parts: &[&str]) -> Reply {
    match parts[2..] {
        ["apps"] => apps::list(context, call),
        ["apps", app] => apps::get(context, app),
        ["apps", app, "users"] => apps::users(context, call, app),
        ["apps", app, "users", user] => apps::user(context, call, app, user),
        ["apps", app, "groups"] => apps::groups(context, call, app),
        ["users"] => directory::users(context, call),
        ["users", user] => directory::user(context, user),
        ["users", user, "groups"] => directory::user_groups(context, user),
        ["groups"] => directory::groups(context, call),
        ["groups", group] => directory::group(context, group),
        ["groups", group, "users"] => directory::group_users(context, call, group),
        ["logs"] => logs::list(context, call),
        _ => okta_error(404, "E0000007", "Not found: Resource not found"),
    }
}

fn not_found(id: &str, kind: &str) -> Reply {
    okta_error(404, "E0000007", &format!("Not found: Resource not found: {id} ({kind})"))
}
