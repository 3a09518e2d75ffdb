//! `/api/v1/apps`: the app, the people and groups it is assigned to.

use super::{Context, not_found, page, wire};
use crate::sim::call::{Call, Reply};
use crate::sim::world::{Person, PersonId, State, Visibility};
use serde_json::Value;
use std::ops::Bound;

pub(super) fn list(context: &Context<'_>, call: &Call) -> Reply {
    context.world.with(|state| {
        let mut apps = vec![wire::other_app(context.base, state.seed)];
        if !state.app.removed {
            apps.push(wire::app(context.base, &state.app));
        }
        if let Some(start) = call.given("q") {
            let start = start.to_lowercase();
            let begins = |app: &Value, key: &str| {
                app[key].as_str().is_some_and(|text| text.to_lowercase().starts_with(&start))
            };
            apps.retain(|app| begins(app, "label") || begins(app, "name"));
        }
        page::reply(context, call, &apps, None, &[])
    })
}

pub(super) fn get(context: &Context<'_>, app: &str) -> Reply {
    context.world.with(|state| match known(state, app) {
        Ok(()) => Reply::json(200, &wire::app(context.base, &state.app)),
        Err(refusal) => *refusal,
    })
}

fn known(state: &State, app: &str) -> Result<(), Box<Reply>> {
    if state.app.okta_id == app && !state.app.removed {
        Ok(())
    } else {
        Err(Box::new(not_found(app, "AppInstance")))
    }
}

fn expands_user(call: &Call) -> bool {
    call.query("expand").is_some_and(|expand| expand.split(',').any(|part| part == "user"))
}

pub(super) fn users(context: &Context<'_>, call: &Call, app: &str) -> Reply {
    let keep: &[&str] =
        if context.options.next_link_forgets_expand { &["limit", "q"] } else { &["limit", "q", "expand"] };
    context
        .world
        .with(|state| {
            known(state, app)?;
            let (after, limit) = (page::after(call)?, page::limit(context, call, 50, 500)?);
            let start = call.given("q").map(str::to_lowercase);
            let shown = |person: &Person| {
                person.visibility == Visibility::Shown
                    && start.as_ref().is_none_or(|start| begins_with(person, start))
            };
            let from = (Bound::Excluded(PersonId(after)), Bound::Unbounded);
            let assigned = state.people.range(from).filter_map(|(key, person)| {
                let scope = state.okta_scope(person).filter(|_| shown(person))?;
                Some((key.0, (person, scope)))
            });
            let (rows, next) = page::take(assigned, after, limit);
            let expand = expands_user(call);
            let rows: Vec<Value> = rows
                .into_iter()
                .map(|(person, scope)| wire::app_user(context, state, person, scope, expand))
                .collect();
            Ok(page::reply(context, call, &rows, next, keep))
        })
        .unwrap_or_else(|refusal: Box<Reply>| *refusal)
}

/// `q` of app users: the start of the name, the login or the address.
fn begins_with(person: &Person, start: &str) -> bool {
    [person.first_name.as_deref(), person.last_name.as_deref(), Some(&person.login), Some(&person.email)]
        .into_iter()
        .flatten()
        .any(|text| text.to_lowercase().starts_with(start))
}

pub(super) fn user(context: &Context<'_>, call: &Call, app: &str, user: &str) -> Reply {
    context.world.with(|state| {
        if let Err(refusal) = known(state, app) {
            return *refusal;
        }
        let found = state
            .by_okta_id(user)
            .filter(|person| person.visibility != Visibility::Nowhere)
            .and_then(|person| Some((person, state.okta_scope(person)?)));
        match found {
            Some((person, scope)) => {
                Reply::json(200, &wire::app_user(context, state, person, scope, expands_user(call)))
            }
            None => not_found(user, "AppUser"),
        }
    })
}

pub(super) fn groups(context: &Context<'_>, call: &Call, app: &str) -> Reply {
    context
        .world
        .with(|state| {
            known(state, app)?;
            let (after, limit) = (page::after(call)?, page::limit(context, call, 20, 200)?);
            let assigned = state.groups.iter().filter(|(_, group)| group.has_app).enumerate();
            let rows = assigned.map(|(priority, (key, group))| {
                (key.0, wire::app_group(context.base, &state.app, group, priority))
            });
            let (rows, next) = page::take(rows, after, limit);
            Ok(page::reply(context, call, &rows, next, &["limit"]))
        })
        .unwrap_or_else(|refusal: Box<Reply>| *refusal)
}
