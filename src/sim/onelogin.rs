//! The fake of a OneLogin account: the token endpoint, rate headers, error shapes and routing. The resources live
//! in `directory` (apps, users, roles) and `events`.

mod directory;
mod events;
mod page;
mod refuse;
mod token;

pub use refuse::ErrorShape;
pub use token::TokenShape;

use super::call::{Call, Reply};
use super::refusal::http_date;
use super::world::World;
use axum::http::Method;
use chrono::{DateTime, Duration, Utc};
use refuse::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use token::Token;

/// The account's number, as in tokens and events.
pub(crate) const ACCOUNT_ID: u64 = 555_555;

/// How the OneLogin account is set up.
#[derive(Clone, Debug)]
pub struct OneLoginOptions {
    /// API credentials.
    pub client_id: String,
    /// API credentials.
    pub client_secret: String,
    /// The form of the token reply.
    pub token_shape: TokenShape,
    /// Lifetime of a token, in seconds.
    pub token_lifetime_seconds: i64,
    /// The token is withdrawn after so many calls; counts down to `None`.
    pub token_calls_left: Option<u64>,
    /// The user who made the credentials was deleted: the token endpoint answers 500.
    pub credentials_owner_deleted: bool,
    /// The form of errors.
    pub errors: ErrorShape,
    /// What the credentials may not read, answered with 403: `apps`, `app_users`, `users`, `roles`, `events`.
    pub denied: BTreeSet<&'static str>,
    /// Calls an hour before 429.
    pub calls_per_hour: u64,
    /// Rows a page of `/api/2/users` has at most.
    pub users_page_cap: usize,
    /// Rows a page of everything else has at most.
    pub page_cap: usize,
    /// Apps each user has beside ours.
    pub other_apps_per_user: u64,
    /// Suspended and unlicensed people are listed among an app's users.
    pub lists_unlicensed: bool,
}

impl Default for OneLoginOptions {
    fn default() -> Self {
        Self {
            client_id: "sim-onelogin-client-id".to_owned(),
            client_secret: "sim-onelogin-client-secret".to_owned(),
            token_shape: TokenShape::Flat,
            token_lifetime_seconds: 36_000,
            token_calls_left: None,
            credentials_owner_deleted: false,
            errors: ErrorShape::V2,
            denied: BTreeSet::new(),
            calls_per_hour: 1_000_000,
            users_page_cap: 50,
            page_cap: 1000,
            other_apps_per_user: 1,
            lists_unlicensed: true,
        }
    }
}

/// The account: its set-up, the token in force, the rate window.
pub(crate) struct OneLogin {
    pub(crate) options: OneLoginOptions,
    token: Option<Token>,
    window: Option<(DateTime<Utc>, u64)>,
}

/// What a handler needs to know beside the request.
struct Context<'a> {
    world: &'a World,
    options: &'a OneLoginOptions,
}

impl OneLogin {
    pub(crate) fn new(options: OneLoginOptions) -> Self {
        Self { options, token: None, window: None }
    }

    pub(crate) fn revoke_token(&mut self) {
        self.token = None;
    }

    pub(crate) fn answer(&mut self, world: &World, call: &Call) -> Reply {
        let now = world.now();
        let reply = if call.path.starts_with("/auth/oauth2/") {
            self.issue(now, call)
        } else {
            match self.authorize(now, call) {
                Ok(()) => self.limited(world, now, call),
                Err(refusal) => Err(refusal),
            }
        };
        let reply = reply.unwrap_or_else(|refusal| refusal.reply(self.options.errors));
        reply.with("Date", http_date(now)).with("x-request-id", format!("{:016X}", fastrand::u64(..)))
    }

    fn limited(&mut self, world: &World, now: DateTime<Utc>, call: &Call) -> Result<Reply, Refusal> {
        let limit = self.options.calls_per_hour;
        let (start, used) = self.window.get_or_insert((now, 0));
        if now >= *start + Duration::hours(1) {
            (*start, *used) = (now, 0);
        }
        let exceeded = *used >= limit;
        *used += u64::from(!exceeded);
        let remaining = limit.saturating_sub(*used);
        // Unlike Okta's, this reset counts the seconds that are left.
        let reset = (*start + Duration::hours(1) - now).num_seconds();
        let reply = if exceeded {
            Refusal::new(429, "TooManyRequestsError", "Rate limit exceeded").reply(self.options.errors)
        } else if call.path == "/auth/rate_limit" {
            let figures = json!({"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset});
            Reply::json(200, &json!({"status": refuse::success(), "data": figures}))
        } else {
            let reply = route(&Context { world, options: &self.options }, call);
            reply.unwrap_or_else(|refusal| refusal.reply(self.options.errors))
        };
        Ok(reply
            .with("X-RateLimit-Limit", limit.to_string())
            .with("X-RateLimit-Remaining", remaining.to_string())
            .with("X-RateLimit-Reset", reset.to_string()))
    }
}

fn route(context: &Context<'_>, call: &Call) -> Result<Reply, Refusal> {
    if call.method != Method::GET {
        return Err(Refusal::new(404, "NotFoundError", "Not Found"));
    }
    let parts = call.parts();
    let area = match parts.as_slice() {
        ["api", "2", "apps", _, "users"] => "app_users",
        ["api", "2", "apps", ..] => "apps",
        ["api", "2", "users", ..] | ["api", "1", "users", ..] => "users",
        ["api", "2", "roles", ..] => "roles",
        ["api", "1", "events", ..] => "events",
        _ => return Err(Refusal::new(404, "NotFoundError", "Not Found")),
    };
    if context.options.denied.contains(area) {
        return Err(Refusal::new(403, "ForbiddenError", "Insufficient permissions"));
    }
    match parts[1..] {
        ["2", "apps"] => directory::apps(context, call),
        ["2", "apps", app] => directory::app(context, app),
        ["2", "apps", app, "users"] => directory::app_users(context, call, app),
        ["2", "users"] => directory::users(context, call),
        ["2", "users", "custom_attributes"] => Ok(directory::custom_attributes(context)),
        ["1", "users", "custom_attributes"] => Ok(directory::custom_attribute_names(context)),
        ["2", "users", user] => directory::user(context, user),
        ["2", "users", user, "apps"] => directory::user_apps(context, call, user),
        ["2", "roles"] => directory::roles(context, call),
        ["2", "roles", role] => directory::role(context, role),
        ["2", "roles", role, "users"] => directory::role_users(context, call, role),
        ["1", "events"] => events::list(context, call),
        ["1", "events", "types"] => Ok(events::types()),
        _ => Err(Refusal::new(404, "NotFoundError", "Not Found")),
    }
}

/// A field's value by its name; the fields a caller asks for are taken out of the whole object.
fn only(whole: Value, fields: &[&str]) -> Value {
    let Value::Object(members) = whole else { return whole };
    Value::Object(members.into_iter().filter(|(name, _)| fields.contains(&name.as_str())).collect())
}
