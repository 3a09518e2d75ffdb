//! The fake of a workspace: a SCIM 2.0 service provider for Users (RFC 7643, RFC 7644) with habits to choose.

mod discovery;
mod habits;
mod list;
mod patch;
mod path;
mod refuse;
mod schema;
mod users;

pub use habits::{DuplicateHabit, ErrorForm, FilterHabit, PagingHabit, PatchHabit, ScimQuirks, UnknownHabit};

use super::call::{Call, Reply};
use super::world::{Account, World};
use axum::http::Method;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use list::Wish;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use refuse::Refusal;
use serde_json::{Value, json};

const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The server: its habits and its rate window.
pub(crate) struct Scim {
    pub(crate) habits: ScimQuirks,
    window: Option<(DateTime<Utc>, u64)>,
}

/// What a handler needs to know beside the request.
struct Context<'a> {
    world: &'a World,
    habits: &'a ScimQuirks,
    /// The SCIM base URL.
    base: &'a str,
}

impl Scim {
    pub(crate) fn new(habits: ScimQuirks) -> Self {
        Self { habits, window: None }
    }

    pub(crate) fn answer(&mut self, world: &World, base: &str, call: &Call) -> Reply {
        let reply = self.answer_or_refuse(world, base, call);
        let reply = reply.unwrap_or_else(|refusal| self.refuse(world, &refusal));
        if self.habits.closes_connections { reply.with("connection", "close") } else { reply }
    }

    fn refuse(&self, world: &World, refusal: &Refusal) -> Reply {
        let reply = refusal.reply(self.habits.errors);
        match (refusal.status, self.window) {
            (401, _) => reply.with("WWW-Authenticate", "Bearer"),
            (429, Some((start, _))) if self.habits.tells_retry_after => {
                let left = (start + Duration::minutes(1) - world.now()).num_seconds() + 1;
                reply.with("Retry-After", left.max(1).to_string())
            }
            _ => reply,
        }
    }

    fn answer_or_refuse(&mut self, world: &World, base: &str, call: &Call) -> Result<Reply, Refusal> {
        if self.habits.wrong_data_centre {
            return Err(Refusal::new(300, None, "Incorrect Base URL"));
        }
        let token = call.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        if token != Some(self.habits.token.as_str()) {
            return Err(Refusal::new(401, None, "the access token is missing or invalid"));
        }
        self.count(world.now())?;
        let parts = call.parts();
        let ["scim", "v2", parts @ ..] = parts.as_slice() else {
            return Err(Refusal::new(404, None, "no such endpoint"));
        };
        route(&Context { world, habits: &self.habits, base }, call, parts)
    }

    /// Counts a request against the limit a minute.
    fn count(&mut self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let Some(limit) = self.habits.requests_per_minute else { return Ok(()) };
        let (start, used) = self.window.get_or_insert((now, 0));
        if now >= *start + Duration::minutes(1) {
            (*start, *used) = (now, 0);
        }
        if *used >= limit {
            let detail = format!("IP or access token exceeded limit: {limit} requests per minute");
            return Err(Refusal::new(429, None, detail));
        }
        *used += 1;
        Ok(())
    }
}

fn route(context: &Context<'_>, call: &Call, parts: &[&str]) -> Result<Reply, Refusal> {
    match (call.method.clone(), parts) {
        // RFC 7644 section 3.11.
        (Method::GET, ["Me"]) if context.habits.token_owner.is_some() => {
            get(context, call, context.habits.token_owner.as_deref().unwrap_or_default())
        }
        (Method::GET, ["Users"]) => list::list(context, &Wish::from_query(call)),
        (Method::POST, ["Users"]) => users::create(context, call),
        (Method::POST, ["Users", ".search"] | [".search"]) => {
            list::list(context, &Wish::from_body(&call.json().unwrap_or_default()))
        }
        (Method::GET, ["Users", id]) => get(context, call, id),
        (Method::PUT, ["Users", id]) => users::replace(context, call, id),
        (Method::PATCH, ["Users", id]) => users::modify(context, call, id),
        (Method::DELETE, ["Users", id]) => users::delete(context, call, id),
        (_, ["Users"] | ["Users", _]) => Err(Refusal::new(405, None, "method not allowed")),
        (_, ["ServiceProviderConfig" | "Schemas" | "ResourceTypes", ..]) => {
            discovery::answer(context.habits, context.base, call, parts)
        }
        _ => Err(Refusal::new(404, None, "no such endpoint")),
    }
}

fn get(context: &Context<'_>, call: &Call, id: &str) -> Result<Reply, Refusal> {
    let account = context.world.account_by_id(id).ok_or_else(|| Refusal::not_found(id))?;
    if call.header("if-none-match") == Some(version(&account).as_str()) {
        return Ok(Reply::empty(304).with("ETag", version(&account)));
    }
    let wish = Wish::from_query(call);
    let whole = render(context, &account);
    let mut reply = users::resource_reply(context, 200, &whole);
    reply.body = path::project(whole, &wish.attributes, &wish.excluded).to_string().into_bytes();
    Ok(reply)
}

fn version(account: &Account) -> String {
    format!("W/\"{}\"", account.version)
}

/// The account as it is shown.
fn render(context: &Context<'_>, account: &Account) -> Value {
    let habits = context.habits;
    let mut shown = account.resource.clone();
    shown.retain(|name, _| {
        schema::core().attribute(name).is_none_or(|attribute| attribute.returned != "never")
    });
    if habits.active_never_false {
        shown.insert("active".to_owned(), Value::Bool(true));
    }
    if habits.active_hidden {
        shown.remove("active");
    }
    let mut schemas = vec![json!(schema::CORE)];
    schemas.extend(shown.keys().filter(|key| key.starts_with("urn:")).map(|urn| json!(urn)));
    let path = format!("/Users/{}", utf8_percent_encode(&account.id, IN_PATH));
    let origin = match &habits.foreign_location {
        Some(origin) => origin.as_str(),
        None if habits.vague_location => "",
        None => context.base,
    };
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    shown.insert("schemas".to_owned(), Value::Array(schemas));
    shown.insert("id".to_owned(), json!(account.id));
    shown.insert(
        "meta".to_owned(),
        json!({"resourceType": "User", "created": time(account.created), "lastModified": time(account.modified),
               "location": format!("{origin}{path}"), "version": version(account)}),
    );
    Value::Object(shown)
}
