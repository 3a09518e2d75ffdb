//! `/api/v1/users` and `/api/v1/groups`: the directory, whoever is assigned to what.

use super::{Context, not_found, page, wire};
use crate::sim::call::{Call, Reply};
use crate::sim::filter::Filter;
use crate::sim::refusal::okta_error;
use crate::sim::world::{Group, Person, State, Visibility};
use serde_json::{Value, json};

/// Parses `search` or `filter`, whichever is there.
fn filter(call: &Call) -> Result<Option<Filter>, Box<Reply>> {
    let Some(text) = call.given("search").or_else(|| call.given("filter")) else { return Ok(None) };
    Filter::parse(text)
        .map(Some)
        .map_err(|why| Box::new(okta_error(400, "E0000031", &format!("Invalid search criteria: {why}"))))
}

/// Okta compares logins and addresses without case; ids are exact, but no two differ in case only.
fn never_exact(_: &crate::sim::filter::Path) -> bool {
    false
}

pub(super) fn users(context: &Context<'_>, call: &Call) -> Reply {
    context
        .world
        .with(|state| {
            let filter = filter(call)?;
            let (after, limit) = (page::after(call)?, page::limit(context, call, 200, 200)?);
            let start = call.given("q").map(str::to_lowercase);
            let wanted = |person: &Person, value: &Value| {
                let begins = |text: &str, start: &str| text.to_lowercase().starts_with(start);
                let by_name = start.as_ref().is_none_or(|start| {
                    begins(&person.email, start)
                        || person.first_name.as_deref().is_some_and(|name| begins(name, start))
                        || person.last_name.as_deref().is_some_and(|name| begins(name, start))
                });
                // Without a filter, deactivated people are left out (listUsers).
                by_name
                    && match &filter {
                        Some(filter) => filter.matches(value, never_exact),
                        None => !person.deprovisioned(),
                    }
            };
            let rows = state.people.iter().filter_map(|(key, person)| {
                let value = (key.0 > after && person.visibility == Visibility::Shown)
                    .then(|| wire::user(context.base, person))?;
                wanted(person, &value).then_some((key.0, value))
            });
            let (rows, next) = page::take(rows, after, limit);
            Ok(page::reply(context, call, &rows, next, &["limit", "search", "filter", "q"]))
        })
        .unwrap_or_else(|refusal: Box<Reply>| *refusal)
}

/// A user by id or login.
fn known<'a>(state: &'a State, user: &str) -> Result<&'a Person, Box<Reply>> {
    state
        .by_okta_id(user)
        .or_else(|| state.by_login(user))
        .filter(|person| person.visibility != Visibility::Nowhere)
        .ok_or_else(|| Box::new(not_found(user, "User")))
}

pub(super) fn user(context: &Context<'_>, user: &str) -> Reply {
    if user == "me" {
        // The credentials' own user: an administrator who is nobody's account.
        let id = crate::sim::world::ids::okta_id("00u", context.world.with(|state| state.seed), 0);
        return Reply::json(
            200,
            &json!({"id": id, "status": "ACTIVE", "created": "2020-01-01T00:00:00.000Z",
                    "lastUpdated": "2020-01-01T00:00:00.000Z", "type": {"id": "otyzhh29g7Python90g3"},
                    "profile": {"login": "admin@acme.example", "email": "admin@acme.example",
                                "firstName": "Admin", "lastName": "Acme"}}),
        );
    }
    context.world.with(|state| match known(state, user) {
        Ok(person) => Reply::json(200, &wire::user(context.base, person)),
        Err(refusal) => *refusal,
    })
}

pub(super) fn user_groups(context: &Context<'_>, user: &str) -> Reply {
    context.world.with(|state| match known(state, user) {
        Ok(person) => {
            let groups = person.groups.iter().filter_map(|group| state.groups.get(group));
            let rows: Vec<Value> = groups.map(|group| wire::group(context.base, group)).collect();
            Reply::json(200, &Value::from(rows))
        }
        Err(refusal) => *refusal,
    })
}

pub(super) fn groups(context: &Context<'_>, call: &Call) -> Reply {
    context
        .world
        .with(|state| {
            let filter = filter(call)?;
            let (after, limit) = (page::after(call)?, page::limit(context, call, 10_000, 10_000)?);
            let start = call.given("q").map(str::to_lowercase);
            let rows =
                state.groups.iter().map(|(key, group)| (key.0, wire::group(context.base, group))).filter(
                    |(_, value)| {
                        let name = value["profile"]["name"].as_str().unwrap_or_default().to_lowercase();
                        start.as_ref().is_none_or(|start| name.starts_with(start))
                            && filter.as_ref().is_none_or(|filter| filter.matches(value, never_exact))
                    },
                );
            let (rows, next) = page::take(rows, after, limit);
            Ok(page::reply(context, call, &rows, next, &["limit", "search", "filter", "q"]))
        })
        .unwrap_or_else(|refusal: Box<Reply>| *refusal)
}

fn known_group<'a>(state: &'a State, id: &str) -> Result<&'a Group, Box<Reply>> {
    let group = state.groups.values().find(|group| group.okta_id == id);
    group.ok_or_else(|| Box::new(not_found(id, "UserGroup")))
}

pub(super) fn group(context: &Context<'_>, id: &str) -> Reply {
    context.world.with(|state| match known_group(state, id) {
        Ok(group) => Reply::json(200, &wire::group(context.base, group)),
        Err(refusal) => *refusal,
    })
}

pub(super) fn group_users(context: &Context<'_>, call: &Call, id: &str) -> Reply {
    context
        .world
        .with(|state| {
            let group = known_group(state, id)?;
            let (after, limit) = (page::after(call)?, page::limit(context, call, 1000, 1000)?);
            let members = group.members.iter().filter_map(|member| state.people.get(member));
            let rows = members
                .filter(|person| person.visibility == Visibility::Shown)
                .map(|person| (person.key.0, wire::user(context.base, person)));
            let (rows, next) = page::take(rows, after, limit);
            Ok(page::reply(context, call, &rows, next, &["limit"]))
        })
        .unwrap_or_else(|refusal: Box<Reply>| *refusal)
}
