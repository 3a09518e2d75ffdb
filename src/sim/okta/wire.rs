//! Okta's JSON shapes, as its OpenAPI document gives them.

use super::Context;
use crate::sim::world::ids::okta_id;
use crate::sim::world::{App, Group, Person, State};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

pub(super) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn app(base: &str, app: &App) -> Value {
    let own = format!("{base}/api/v1/apps/{}", app.okta_id);
    json!({
        "id": app.okta_id,
        "orn": format!("orn:okta:idp:00o1n8sbwArJ7OQRw406:apps:wrike:{}", app.okta_id),
        "name": "wrike",
        "label": app.label,
        "status": if app.active { "ACTIVE" } else { "INACTIVE" },
        "lastUpdated": iso(app.updated),
        "created": iso(app.created),
        "accessibility": {"selfService": false},
        "visibility": {"autoLaunch": false, "autoSubmitToolbar": false,
                       "hide": {"iOS": false, "web": !app.visible}, "appLinks": {"wrike_link": true}},
        "features": app.features,
        "signOnMode": "SAML_2_0",
        "credentials": {"userNameTemplate": {"template": "${source.login}", "type": "BUILT_IN"}, "signing": {}},
        "settings": {"app": {}, "notifications": {"vpn": {"network": {"connection": "DISABLED"}}},
                     "signOn": {}},
        "_links": {"self": {"href": own}, "users": {"href": format!("{own}/users")},
                   "groups": {"href": format!("{own}/groups")}}
    })
}

/// An app that is not ours, so that a list of candidates has more than one entry.
pub(super) fn other_app(base: &str, seed: u64) -> Value {
    let mut other = App {
        okta_id: okta_id("0oa", seed, 2),
        onelogin_id: 1,
        label: "Payroll".to_owned(),
        active: true,
        removed: false,
        features: Vec::new(),
        onelogin_provisioning: false,
        visible: true,
        created: DateTime::UNIX_EPOCH,
        updated: DateTime::UNIX_EPOCH,
    };
    other.features.push("SSO".to_owned());
    let mut value = app(base, &other);
    value["name"] = json!("payroll");
    value
}

/// The Okta user. `null` for a profile field that is there and empty, nothing for one that is not there at all
/// would both occur at the vendor; required-by-schema fields are always written.
pub(super) fn user(base: &str, person: &Person) -> Value {
    let mut profile = Map::new();
    let texts = [
        ("firstName", &person.first_name),
        ("lastName", &person.last_name),
        ("mobilePhone", &person.mobile_phone),
    ];
    for (name, value) in texts {
        profile.insert(name.to_owned(), json!(value));
    }
    profile.insert("secondEmail".to_owned(), Value::Null);
    profile.insert("login".to_owned(), json!(person.login));
    profile.insert("email".to_owned(), json!(person.email));
    let if_there = [
        ("title", &person.title),
        ("department", &person.department),
        ("organization", &person.organization),
        ("primaryPhone", &person.primary_phone),
    ];
    for (name, value) in if_there {
        if let Some(value) = value {
            profile.insert(name.to_owned(), json!(value));
        }
    }
    profile.extend(person.extra_profile.clone());
    let own = format!("{base}/api/v1/users/{}", person.okta_id);
    let staged = person.okta_status == "STAGED";
    json!({
        "id": person.okta_id,
        "status": person.okta_status,
        "created": iso(person.created),
        "activated": if staged { Value::Null } else { json!(iso(person.created)) },
        "statusChanged": iso(person.status_changed),
        "lastLogin": null,
        "lastUpdated": iso(person.updated),
        "passwordChanged": if staged { Value::Null } else { json!(iso(person.created)) },
        "type": {"id": "otyzhh29g7Python90g3"},
        "profile": profile,
        "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
        "_links": {"self": {"href": own}}
    })
}

/// An assignment of the app; `scope` is `USER` or `GROUP`.
pub(super) fn app_user(
    context: &Context<'_>,
    state: &State,
    person: &Person,
    scope: &str,
    expand: bool,
) -> Value {
    let provisioned = state.app.features.iter().any(|feature| feature == "PUSH_NEW_USERS");
    let status = person.app_status.as_deref().unwrap_or(if provisioned { "PROVISIONED" } else { "ACTIVE" });
    // What Okta's default mappings put into the profile of an app user.
    let mut profile = Map::new();
    profile.insert("email".to_owned(), json!(person.email));
    for (name, value) in [("firstName", &person.first_name), ("lastName", &person.last_name)] {
        if let Some(value) = value {
            profile.insert(name.to_owned(), json!(value));
        }
    }
    profile.extend(person.app_profile.clone());
    let base = context.base;
    let mut value = json!({
        "id": person.okta_id,
        "created": iso(person.assigned),
        "lastUpdated": iso(person.updated.max(person.assigned)),
        "scope": scope,
        "status": status,
        "statusChanged": iso(person.assigned),
        "passwordChanged": null,
        "syncState": if provisioned { "SYNCHRONIZED" } else { "DISABLED" },
        "credentials": {"userName": person.app_username.as_ref().unwrap_or(&person.login)},
        "profile": profile,
        "_links": {"app": {"href": format!("{base}/api/v1/apps/{}", state.app.okta_id)},
                   "user": {"href": format!("{base}/api/v1/users/{}", person.okta_id)}}
    });
    if provisioned {
        value["externalId"] = json!(person.okta_id.to_uppercase());
        value["lastSync"] = json!(iso(person.assigned));
    }
    if scope == "GROUP"
        && let Some(group) =
            person.groups.iter().filter_map(|group| state.groups.get(group)).find(|group| group.has_app)
    {
        value["_links"]["group"] =
            json!({"name": group.name, "href": format!("{base}/api/v1/groups/{}", group.okta_id)});
    }
    let may_embed = context.reads_users || !context.options.expand_needs_users_scope;
    if expand && may_embed && !person.without_embedded {
        value["_embedded"] = json!({"user": user(base, person)});
    }
    value
}

pub(super) fn group(base: &str, group: &Group) -> Value {
    let own = format!("{base}/api/v1/groups/{}", group.okta_id);
    json!({
        "id": group.okta_id,
        "created": iso(group.created),
        "lastUpdated": iso(group.created),
        "lastMembershipUpdated": iso(group.members_changed),
        "objectClass": ["okta:user_group"],
        "type": "OKTA_GROUP",
        "profile": {"name": group.name, "description": ""},
        "_links": {"self": {"href": own}, "users": {"href": format!("{own}/users")}, "apps": {"href": format!("{own}/apps")}}
    })
}

pub(super) fn app_group(base: &str, app: &App, group: &Group, priority: usize) -> Value {
    json!({
        "id": group.okta_id,
        "lastUpdated": iso(group.created),
        "priority": priority,
        "profile": {},
        "_links": {"app": {"href": format!("{base}/api/v1/apps/{}", app.okta_id)},
                   "self": {"href": format!("{base}/api/v1/apps/{}/groups/{}", app.okta_id, group.okta_id)},
                   "group": {"href": format!("{base}/api/v1/groups/{}", group.okta_id)}}
    })
}
