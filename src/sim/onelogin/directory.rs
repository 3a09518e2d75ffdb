//! Apps, users and roles (`/api/2`).

use super::refuse::{Refusal, success};
use super::{Context, only, page};
use crate::sim::call::{Call, Reply};
use crate::sim::world::{Group, Person, State, Visibility};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What a list of users shows without `fields`.
const DEFAULT_FIELDS: [&str; 22] = [
    "id",
    "firstname",
    "lastname",
    "email",
    "username",
    "phone",
    "external_id",
    "status",
    "state",
    "group_id",
    "directory_id",
    "member_of",
    "samaccountname",
    "distinguished_name",
    "created_at",
    "updated_at",
    "activated_at",
    "last_login",
    "invitation_sent_at",
    "password_changed_at",
    "locked_until",
    "invalid_login_attempts",
];

/// What an app's list of users shows, whatever is asked.
const APP_USER_FIELDS: [&str; 5] = ["id", "firstname", "lastname", "email", "username"];

fn user_object(state: &State, person: &Person) -> Value {
    let roles =
        person.groups.iter().filter_map(|group| state.groups.get(group)).map(|group| group.onelogin_id);
    let staged = person.onelogin_status == 0;
    let locked = person.onelogin_status == 3;
    let created = json!(iso(person.created));
    let mut user = json!({
        "id": person.onelogin_id,
        "username": (!person.without_username).then_some(&person.login),
        "email": person.email,
        "firstname": person.first_name,
        "lastname": person.last_name,
        "title": person.title,
        "department": person.department,
        "company": person.organization,
        "comment": "",
        "phone": person.primary_phone,
        "role_ids": roles.collect::<Vec<_>>(),
        "group_id": null,
        "custom_attributes": custom_attributes_of(state, person),
        "external_id": null,
        "state": person.onelogin_state,
        "status": person.onelogin_status,
        "created_at": created,
        "updated_at": iso(person.updated),
        "activated_at": if staged { Value::Null } else { created.clone() },
        "last_login": null,
        "locked_until": if locked { json!(iso(state.now() + chrono::Duration::minutes(30))) } else { Value::Null },
        "password_changed_at": if staged { Value::Null } else { created },
        "invalid_login_attempts": if locked { 5 } else { 0 },
        "invitation_sent_at": null, "directory_id": null, "trusted_idp_id": null, "manager_user_id": null,
        "manager_ad_id": null, "samaccountname": null, "userprincipalname": null, "distinguished_name": null,
        "member_of": null, "preferred_locale_code": null
    });
    if let Some(user) = user.as_object_mut() {
        user.extend(person.extra_onelogin.clone());
    }
    user
}

/// Every custom attribute that exists is shown, `null` where this person has none.
fn custom_attributes_of(state: &State, person: &Person) -> Value {
    let mut all: Map<String, Value> =
        attribute_names(state).into_iter().map(|name| (name, Value::Null)).collect();
    all.extend(person.custom_attributes.clone());
    Value::Object(all)
}

fn attribute_names(state: &State) -> Vec<String> {
    // In practice few people define the set: one look at everybody is too slow in a large world.
    let mut names: Vec<String> =
        state.people.values().take(100).flat_map(|person| person.custom_attributes.keys().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn app_object(state: &State) -> Value {
    let app = &state.app;
    let roles: Vec<u64> =
        state.groups.values().filter(|group| group.has_app).map(|group| group.onelogin_id).collect();
    json!({
        "id": app.onelogin_id, "connector_id": 110_016, "name": app.label, "description": "", "notes": "",
        "policy_id": null, "icon_url": "https://cdn.onelogin.example/wrike.png", "tab_id": null, "visible": app.visible,
        "allow_assumed_signin": false, "auth_method": 2, "auth_method_description": "SAML2.0", "role_ids": roles,
        "created_at": iso(app.created), "updated_at": iso(app.updated),
        "provisioning": {"enabled": app.onelogin_provisioning}
    })
}

fn other_app_object(state: &State) -> Value {
    let mut app = app_object(state);
    (app["id"], app["name"], app["role_ids"]) = (json!(400_001), json!("Payroll"), json!([]));
    app
}

pub(super) fn apps(context: &Context<'_>, call: &Call) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        let mut apps = vec![other_app_object(state)];
        if !state.app.removed {
            apps.push(app_object(state));
        }
        if let Some(name) = call.given("name") {
            apps.retain(|app| matches_pattern(app["name"].as_str(), name));
        }
        let fields = [
            "id",
            "connector_id",
            "name",
            "description",
            "visible",
            "auth_method",
            "created_at",
            "updated_at",
        ];
        page::reply(call, &apps, 100, context.options.page_cap, |app| only(app.clone(), &fields))
    })
}

fn known_app(state: &State, app: &str) -> Result<(), Refusal> {
    let ours = app.parse() == Ok(state.app.onelogin_id) && !state.app.removed;
    if ours { Ok(()) } else { Err(Refusal::not_found()) }
}

pub(super) fn app(context: &Context<'_>, app: &str) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        known_app(state, app)?;
        Ok(Reply::json(200, &app_object(state)))
    })
}

/// Whether the lists show this person among the app's users.
fn listed_in_app(context: &Context<'_>, state: &State, person: &Person) -> bool {
    let licensed = person.onelogin_state == 1 && person.onelogin_status != 2;
    state.assignment(person).is_some() && (licensed || context.options.lists_unlicensed)
}

pub(super) fn app_users(context: &Context<'_>, call: &Call, app: &str) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        known_app(state, app)?;
        let shown = |person: &&Person| {
            person.visibility == Visibility::Shown && listed_in_app(context, state, person)
        };
        let people: Vec<&Person> = state.people.values().filter(shown).collect();
        page::reply(call, &people, 100, context.options.page_cap, |person| {
            only(user_object(state, person), &APP_USER_FIELDS)
        })
    })
}

/// A wildcard search, in any case: `*` stands for anything.
fn matches_pattern(text: Option<&str>, pattern: &str) -> bool {
    let (text, pattern) = (text.unwrap_or_default().to_lowercase(), pattern.to_lowercase());
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return text == pattern };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The search of `/api/2/users`, read once and asked of everybody.
struct Search<'a> {
    /// Only people of an app; false: of one that does not exist.
    app: Option<bool>,
    ids: Option<BTreeSet<u64>>,
    updated_since: Option<DateTime<Utc>>,
    updated_until: Option<DateTime<Utc>>,
    created_since: Option<DateTime<Utc>>,
    created_until: Option<DateTime<Utc>>,
    /// Parameter and pattern.
    texts: Vec<(&'a str, &'a str)>,
}

impl<'a> Search<'a> {
    fn new(state: &State, call: &'a Call) -> Result<Self, Refusal> {
        let time = |name: &str| match call.given(name) {
            None => Ok(None),
            Some(text) => DateTime::parse_from_rfc3339(text)
                .map(|at| Some(at.to_utc()))
                .map_err(|_| Refusal::new(422, "UnprocessableEntityError", format!("{name} is invalid"))),
        };
        let is_text = |name: &str| {
            ["firstname", "lastname", "email", "username"].contains(&name)
                || name.starts_with("custom_attributes.")
        };
        let texts = call.query.iter().filter(|(name, wanted)| is_text(name) && !wanted.is_empty());
        let ids = call.given("user_ids");
        Ok(Self {
            app: call.given("app_id").map(|app| known_app(state, app).is_ok()),
            ids: ids.map(|ids| ids.split(',').filter_map(|id| id.trim().parse().ok()).collect()),
            updated_since: time("updated_since")?,
            updated_until: time("updated_until")?,
            created_since: time("created_since")?,
            created_until: time("created_until")?,
            texts: texts.map(|(name, wanted)| (name.as_str(), wanted.as_str())).collect(),
        })
    }

    fn finds(&self, context: &Context<'_>, state: &State, person: &Person) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&person.onelogin_id))
            && self.updated_since.is_none_or(|at| person.updated >= at)
            && self.updated_until.is_none_or(|at| person.updated < at)
            && self.created_since.is_none_or(|at| person.created >= at)
            && self.created_until.is_none_or(|at| person.created < at)
            && self.texts.iter().all(|(name, wanted)| matches_pattern(text_of(person, name), wanted))
            && self.app.is_none_or(|ours| ours && listed_in_app(context, state, person))
    }
}

fn text_of<'a>(person: &'a Person, name: &str) -> Option<&'a str> {
    match name {
        "firstname" => person.first_name.as_deref(),
        "lastname" => person.last_name.as_deref(),
        "email" => Some(&person.email),
        "username" => (!person.without_username).then_some(&person.login),
        custom => person.custom_attributes.get(custom.strip_prefix("custom_attributes.")?)?.as_str(),
    }
}

pub(super) fn users(context: &Context<'_>, call: &Call) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        let search = Search::new(state, call)?;
        let shown = state.people.values().filter(|person| person.visibility == Visibility::Shown);
        let people: Vec<&Person> = shown.filter(|person| search.finds(context, state, person)).collect();
        let fields: Vec<&str> = match call.given("fields") {
            Some(fields) => fields.split(',').map(str::trim).collect(),
            None => DEFAULT_FIELDS.to_vec(),
        };
        let cap = context.options.users_page_cap;
        page::reply(call, &people, cap, cap, |person| only(user_object(state, person), &fields))
    })
}

fn known_user<'a>(state: &'a State, user: &str) -> Result<&'a Person, Refusal> {
    let person = user.parse().ok().and_then(|id| state.by_onelogin_id(id));
    person.filter(|person| person.visibility != Visibility::Nowhere).ok_or_else(Refusal::not_found)
}

pub(super) fn user(context: &Context<'_>, user: &str) -> Result<Reply, Refusal> {
    context.world.with(|state| Ok(Reply::json(200, &user_object(state, known_user(state, user)?))))
}

pub(super) fn user_apps(context: &Context<'_>, call: &Call, user: &str) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        let person = known_user(state, user)?;
        let hidden_too = call.query("ignore_visibility") == Some("true");
        let entry = |id: u64, name: &str, provisioned: bool| {
            json!({"id": id, "name": name, "icon_url": "https://cdn.onelogin.example/app.png", "extension": false,
                   "login_id": id * 1000 + person.key.0, "provisioning_enabled": provisioned,
                   "provisioning_status": if provisioned { "enabled" } else { "disabled" },
                   "provisioning_state": if provisioned { "provisioned" } else { "unknown" }})
        };
        let others = 0..context.options.other_apps_per_user;
        let mut apps: Vec<Value> =
            others.map(|number| entry(400_001 + number, &format!("App {number}"), false)).collect();
        let ours = state.assignment(person).is_some() && !state.app.removed && (state.app.visible || hidden_too);
        if ours {
            apps.push(entry(state.app.onelogin_id, &state.app.label, state.app.onelogin_provisioning));
        }
        page::reply(call, &apps, 100, context.options.page_cap, Value::clone)
    })
}

pub(super) fn custom_attributes(context: &Context<'_>) -> Reply {
    context.world.with(|state| {
        let attributes: Vec<Value> = attribute_names(state)
            .into_iter()
            .enumerate()
            .map(|(number, name)| json!({"id": number + 1, "name": name, "shortname": name}))
            .collect();
        Reply::json(200, &Value::Array(attributes))
    })
}

pub(super) fn custom_attribute_names(context: &Context<'_>) -> Reply {
    context
        .world
        .with(|state| Reply::json(200, &json!({"status": success(), "data": [attribute_names(state)]})))
}

fn role_object(state: &State, role: &Group) -> Value {
    let users: Vec<u64> = role
        .members
        .iter()
        .filter_map(|member| state.people.get(member))
        .map(|person| person.onelogin_id)
        .collect();
    let apps: Vec<u64> = if role.has_app { vec![state.app.onelogin_id] } else { Vec::new() };
    json!({"id": role.onelogin_id, "name": role.name, "apps": apps, "users": users, "admins": []})
}

pub(super) fn roles(context: &Context<'_>, call: &Call) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        let ours = state.app.onelogin_id.to_string();
        let roles: Vec<&Group> = state
            .groups
            .values()
            .filter(|role| call.given("name").is_none_or(|name| matches_pattern(Some(&role.name), name)))
            .filter(|role| call.given("app_id").is_none_or(|app| role.has_app && app == ours))
            .collect();
        let mut fields = vec!["id", "name"];
        fields.extend(call.given("fields").into_iter().flat_map(|fields| fields.split(',')).map(str::trim));
        page::reply(call, &roles, 100, context.options.page_cap, |role| {
            only(role_object(state, role), &fields)
        })
    })
}

fn known_role<'a>(state: &'a State, role: &str) -> Result<&'a Group, Refusal> {
    let id = role.parse::<u64>().ok();
    state.groups.values().find(|group| Some(group.onelogin_id) == id).ok_or_else(Refusal::not_found)
}

pub(super) fn role(context: &Context<'_>, role: &str) -> Result<Reply, Refusal> {
    context.world.with(|state| Ok(Reply::json(200, &role_object(state, known_role(state, role)?))))
}

pub(super) fn role_users(context: &Context<'_>, call: &Call, role: &str) -> Result<Reply, Refusal> {
    context.world.with(|state| {
        let role = known_role(state, role)?;
        let members: Vec<&Person> = role
            .members
            .iter()
            .filter_map(|member| state.people.get(member))
            .filter(|person| person.visibility == Visibility::Shown)
            .collect();
        page::reply(call, &members, 100, context.options.page_cap, |person| {
            json!({"id": person.onelogin_id, "name": person.display_name(), "username": person.login,
                   "added_by": {"id": 1, "name": "Admin"}, "added_at": iso(role.members_changed), "assigned": true})
        })
    })
}
