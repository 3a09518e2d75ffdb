//! Creating, changing and removing accounts, and the workspace's rules about it: unique names, seats, approved
//! domains, people who may not be deactivated.

use super::habits::{DuplicateHabit, PatchHabit, UnknownHabit};
use super::path::AttributePath;
use super::refuse::Refusal;
use super::schema::{self, CORE};
use super::{Context, patch, render};
use crate::sim::call::{Call, Reply};
use crate::sim::refusal::scim_json;
use crate::sim::world::Account;
use serde_json::{Map, Value};

type Resource = Map<String, Value>;

fn body(context: &Context<'_>, call: &Call) -> Result<Value, Refusal> {
    let body = call.json().filter(Value::is_object);
    let body = body.ok_or_else(|| Refusal::bad("invalidSyntax", "the body is not a JSON object"))?;
    if context.habits.refuses_null && has_null(&body) {
        return Err(Refusal::bad("invalidValue", "null is not a value"));
    }
    Ok(body)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A whole resource out of a POST or PUT body.
fn whole(context: &Context<'_>, body: &Value) -> Result<Resource, Refusal> {
    let members = body.as_object().cloned().unwrap_or_default();
    if context.habits.unknown == UnknownHabit::Refused {
        for urn in
            members.get("schemas").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !urn.eq_ignore_ascii_case(CORE) && schema::extension(urn).is_none() {
                return Err(Refusal::bad("invalidSyntax", format!("schema {urn} is not known")));
            }
        }
    }
    let mut resource = schema::resource(&members, context.habits.unknown)?;
    // What a client leaves out, the service provider may decide (RFC 7643 section 4.1.1): here, active.
    resource.entry("active").or_insert(Value::Bool(true));
    Ok(resource)
}

/// Everything that may be wrong with a resource, or be changed about it, before it is stored.
fn settle(context: &Context<'_>, old: Option<&Account>, mut new: Resource) -> Result<Resource, Refusal> {
    let habits = context.habits;
    let nothing = Map::new();
    let before = old.map_or(&nothing, |account| &account.resource);
    for text in &habits.refuses {
        let path = AttributePath::parse(text);
        let wanted = path.get(&new);
        if wanted.is_some() && wanted != path.get(before) {
            return Err(Refusal::bad("invalidValue", format!("attribute {text} is not supported")));
        }
    }
    for path in habits.drops.iter().map(|text| AttributePath::parse(text)) {
        path.remove(&mut new);
        path.copy(before, &mut new);
    }
    if habits.strict_phone_numbers {
        check_phone_numbers(&new)?;
    }
    if habits.normalises {
        normalise(&mut new);
    }
    let Some(name) = new.get("userName").and_then(Value::as_str).filter(|name| !name.trim().is_empty())
    else {
        return Err(Refusal::bad("invalidValue", "userName is required"));
    };
    let renamed = old.is_none_or(|account| account.user_name() != name);
    if habits.user_name_is_email && renamed && !name.contains('@') && first_email(&new).is_none() {
        return Err(Refusal::bad("invalidValue", "userName or emails must hold a valid email address"));
    }
    if habits.ignores_deactivation && new.get("active") == Some(&Value::Bool(false)) {
        new.insert("active".to_owned(), Value::Bool(true));
    }
    let deactivated = new.get("active") == Some(&Value::Bool(false));
    if let Some(account) = old.filter(|account| deactivated && account.active()) {
        check_removable(account)?;
    }
    Ok(new)
}

fn check_removable(account: &Account) -> Result<(), Refusal> {
    if account.owner {
        return Err(Refusal::not_allowed("the account owner cannot be deactivated or deleted"));
    }
    if account.several_workspaces {
        return Err(Refusal::not_allowed("a member of several accounts cannot be deactivated or deleted"));
    }
    Ok(())
}

fn first_email(resource: &Resource) -> Option<&str> {
    resource
        .get("emails")?
        .as_array()?
        .iter()
        .find_map(|email| email["value"].as_str().filter(|text| text.contains('@')))
}

fn check_phone_numbers(resource: &Resource) -> Result<(), Refusal> {
    let numbers = resource.get("phoneNumbers").and_then(Value::as_array);
    for number in numbers.into_iter().flatten().filter_map(|number| number["value"].as_str()) {
        let digits = number.strip_prefix('+').unwrap_or_default();
        if digits.len() < 7 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::bad(
                "invalidValue",
                format!("phoneNumbers.value {number:?} is not in E.164 format"),
            ));
        }
    }
    Ok(())
}

fn normalise(resource: &mut Resource) {
    let lower = |value: &mut Value| {
        if let Some(text) = value.as_str() {
            *value = Value::from(text.to_lowercase());
        }
    };
    if let Some(name) = resource.get_mut("userName") {
        lower(name);
    }
    for email in resource.get_mut("emails").and_then(Value::as_array_mut).into_iter().flatten() {
        lower(&mut email["value"]);
    }
    for number in resource.get_mut("phoneNumbers").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(text) = number["value"].as_str() {
            number["value"] = Value::from(text.chars().filter(char::is_ascii_digit).collect::<String>());
        }
    }
}

/// Refuses a name that another account has, where the server minds.
fn check_unique<'a>(
    context: &Context<'_>,
    mut others: impl Iterator<Item = &'a Account>,
    name: &str,
) -> Result<(), Refusal> {
    let habit = context.habits.duplicates;
    let taken = match habit {
        DuplicateHabit::Accepted => false,
        DuplicateHabit::CaseSensitive => others.any(|other| other.user_name() == name),
        DuplicateHabit::Conflict | DuplicateHabit::BareConflict | DuplicateHabit::ServerError => {
            others.next().is_some()
        }
    };
    let scim_type = match habit {
        _ if !taken => return Ok(()),
        DuplicateHabit::ServerError => return Err(Refusal::new(500, None, "internal server error")),
        DuplicateHabit::BareConflict => None,
        DuplicateHabit::Conflict | DuplicateHabit::CaseSensitive | DuplicateHabit::Accepted => {
            Some("uniqueness")
        }
    };
    Err(Refusal::new(409, scim_type, format!("userName {name} is already taken")))
}

fn check_domain(domains: &[String], resource: &Resource, name: &str) -> Result<(), Refusal> {
    let address = if name.contains('@') { name } else { first_email(resource).unwrap_or_default() };
    let domain = address.rsplit('@').next().unwrap_or_default().to_lowercase();
    if domains.is_empty() || domains.contains(&domain) {
        return Ok(());
    }
    Err(Refusal::not_allowed(format!("domain {domain} is not on the list of approved domains")))
}

pub(super) fn create(context: &Context<'_>, call: &Call) -> Result<Reply, Refusal> {
    let new = settle(context, None, whole(context, &body(context, call)?)?)?;
    let name = new["userName"].as_str().unwrap_or_default().to_owned();
    let id = context.habits.id_is_user_name.then(|| name.clone());
    let created = context.world.with(|state| {
        check_unique(context, state.accounts.named(&name), &name)?;
        check_domain(&state.accounts.approved_domains, &new, &name)?;
        let seats = state.accounts.seats();
        if state.accounts.seat_limit.is_some_and(|limit| seats >= limit) {
            return Err(Refusal::not_allowed("not allowed due to license/quota limitations"));
        }
        let now = state.now();
        let id = state.accounts.insert(new, id, now);
        Ok(state.accounts.get(&id).map(|account| render(context, account)).unwrap_or_default())
    })?;
    let mut reply = resource_reply(context, 201, &created);
    if context.habits.create_without_id {
        reply.edit_json(|body| {
            if let Some(body) = body.as_object_mut() {
                body.remove("id");
            }
        });
        reply.set_header("Location", format!("{}/Users/undefined", context.base));
    }
    Ok(reply)
}

/// A reply with a resource, its location and its version.
pub(super) fn resource_reply(context: &Context<'_>, status: u16, resource: &Value) -> Reply {
    let mut reply = scim_json(status, resource);
    if let Some(location) = resource["meta"]["location"].as_str()
        && !context.habits.vague_location
    {
        reply = reply.with("Location", location);
    }
    if let Some(version) = resource["meta"]["version"].as_str() {
        reply = reply.with("ETag", version);
    }
    reply
}

/// The account with this id, if the request's precondition allows to touch it (RFC 7644 section 3.14).
fn touchable(context: &Context<'_>, call: &Call, id: &str) -> Result<Account, Refusal> {
    let account = context.world.account_by_id(id).ok_or_else(|| Refusal::not_found(id))?;
    match call.header("if-match") {
        Some(wanted) if wanted != "*" && wanted != super::version(&account) => {
            Err(Refusal::new(412, None, "the resource has changed"))
        }
        _ => Ok(account),
    }
}

/// Stores what an account has become.
fn store(context: &Context<'_>, old: &Account, new: Resource) -> Result<Value, Refusal> {
    let name = new["userName"].as_str().unwrap_or_default().to_owned();
    context.world.with(|state| {
        if !name.eq_ignore_ascii_case(old.user_name()) {
            check_unique(context, state.accounts.named(&name).filter(|other| other.id != old.id), &name)?;
            check_domain(&state.accounts.approved_domains, &new, &name)?;
        }
        let now = state.now();
        state.accounts.change(&old.id, now, |account| account.resource = new);
        Ok(state.accounts.get(&old.id).map(|account| render(context, account)).unwrap_or_default())
    })
}

pub(super) fn replace(context: &Context<'_>, call: &Call, id: &str) -> Result<Reply, Refusal> {
    if context.habits.without_put {
        return Err(Refusal::new(405, None, "method not allowed"));
    }
    let old = touchable(context, call, id)?;
    let body = body(context, call)?;
    if context.habits.put_needs_name && !body["name"].is_object() {
        return Err(Refusal::new(500, None, "internal server error"));
    }
    let new = settle(context, Some(&old), whole(context, &body)?)?;
    Ok(resource_reply(context, 200, &store(context, &old, new)?))
}

pub(super) fn modify(context: &Context<'_>, call: &Call, id: &str) -> Result<Reply, Refusal> {
    let habit = context.habits.patch;
    match habit {
        PatchHabit::Missing => return Err(Refusal::new(405, None, "method not allowed")),
        PatchHabit::NotImplemented => return Err(Refusal::new(501, None, "PATCH is not implemented")),
        PatchHabit::Full
        | PatchHabit::OnlyWithPath
        | PatchHabit::OnlyWithoutPath
        | PatchHabit::NoValueFilter
        | PatchHabit::Ignored => {}
    }
    let old = touchable(context, call, id)?;
    let operations = patch::operations(&body(context, call)?)?;
    let mut new = old.resource.clone();
    for operation in &operations {
        match (habit, &operation.target) {
            (PatchHabit::OnlyWithPath, None) => {
                return Err(Refusal::bad("invalidPath", "each operation needs a path"));
            }
            (PatchHabit::OnlyWithoutPath, Some(_)) => {
                return Err(Refusal::new(501, None, "path is not supported"));
            }
            (PatchHabit::NoValueFilter, Some(target)) if target.filter.is_some() => {
                return Err(Refusal::bad("invalidPath", "value filters are not supported"));
            }
            _ => patch::apply(&mut new, operation, context.habits.unknown)?,
        }
    }
    let changed = if habit == PatchHabit::Ignored {
        render(context, &old)
    } else {
        store(context, &old, settle(context, Some(&old), new)?)?
    };
    if context.habits.patch_without_content {
        let version = changed["meta"]["version"].as_str().unwrap_or_default();
        return Ok(Reply::empty(204).with("ETag", version));
    }
    Ok(resource_reply(context, 200, &changed))
}

pub(super) fn delete(context: &Context<'_>, call: &Call, id: &str) -> Result<Reply, Refusal> {
    if context.habits.without_delete {
        return Err(Refusal::new(405, None, "method not allowed"));
    }
    if context.habits.picky_delete && call.header("content-type").is_some() && call.body.is_empty() {
        return Err(Refusal::new(400, None, "the body is empty"));
    }
    let old = touchable(context, call, id)?;
    check_removable(&old)?;
    context.world.with(|state| {
        if context.habits.soft_delete {
            let now = state.now();
            state.accounts.change(id, now, |account| account.soft_deleted = true);
        } else {
            state.accounts.remove(id);
        }
    });
    Ok(Reply::empty(204))
}
