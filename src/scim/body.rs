//! Whole User resources to send: the body of a create, and the body of a PUT made from what was read.
//!
//! What lives here: writing owned values into a resource. What must not: PATCH operations (`patch`).

use serde_json::{Map, Value, json};

use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Attributes, CORE_USER, Scalar, member, owned_index};
use crate::model::plan::Change;

/// Attributes that are never written, whatever the configuration maps: the server's own, and the password.
const NEVER_WRITTEN: [&str; 5] = ["id", "meta", "groups", "schemas", "password"];

/// Multi-valued attributes whose elements RFC 7643 gives the types `work` and `home`, and a `primary` mark.
const TYPED_WORK: [&str; 2] = ["emails", "phoneNumbers"];

/// Whether a path may be written by attribute changes. `active` may not: it has a way of its own.
pub(crate) fn is_writable(path: &AttributePath) -> bool {
    let is = |name: &str| path.attribute().eq_ignore_ascii_case(name);
    path.schema().is_some() || (!is("active") && !NEVER_WRITTEN.iter().any(|name| is(name)))
}

/// The body of a POST: an active account with these attributes (`active` left out for the servers that cannot
/// take it in a create).
pub(crate) fn create(attributes: &Attributes, with_active: bool) -> Value {
    let mut resource = Map::new();
    resource.insert("schemas".to_owned(), json!([CORE_USER]));
    for (path, value) in attributes.iter().filter(|(path, _)| is_writable(path)) {
        write(&mut resource, path, value);
    }
    if with_active {
        resource.insert("active".to_owned(), Value::Bool(true));
    }
    name_schemas(&mut resource);
    Value::Object(resource)
}

/// The body of a PUT: the account as read, with the changes in it. Everything unowned goes back untouched, but
/// for what is the server's own (`meta`, `groups`) and nulls, which mean "not assigned" (RFC 7643 section 2.5)
/// and which some servers refuse. `name` and `active` are always there: without `name` one server dies, without
/// `active` others reactivate.
pub(crate) fn replace(current: &Account, changes: &[Change], active: Option<bool>) -> Value {
    let mut resource = current.resource.clone();
    for own in ["meta", "groups", "password"] {
        let key = key_of(&resource, own);
        resource.remove(&key);
    }
    for change in changes.iter().filter(|change| is_writable(&change.path)) {
        match &change.to {
            Some(value) => write(&mut resource, &change.path, value),
            None => clear(&mut resource, &change.path),
        }
    }
    resource.retain(|_, value| !value.is_null());
    let mut body = Value::Object(resource);
    drop_nulls(&mut body);
    let Value::Object(mut resource) = body else { return body };
    let key = key_of(&resource, "name");
    resource.entry(key).or_insert_with(|| json!({}));
    let active = active.or_else(|| current.active()).unwrap_or(true);
    let key = key_of(&resource, "active");
    resource.insert(key, Value::Bool(active));
    name_schemas(&mut resource);
    Value::Object(resource)
}

/// Writes one owned value; of a multi-valued attribute only the owned element is touched.
pub(crate) fn write(resource: &mut Map<String, Value>, path: &AttributePath, value: &Scalar) {
    let container = container_of(resource, path);
    let key = key_of(container, path.attribute());
    match (path.selector(), path.sub_attribute()) {
        (None, None) => {
            container.insert(key, value.to_json());
        }
        (None, Some(sub)) => {
            let object = object_in(container.entry(key).or_insert(Value::Null));
            let key = key_of(object, sub);
            object.insert(key, value.to_json());
        }
        (Some(selector), sub) => {
            let list = list_in(container.entry(key).or_insert(Value::Null));
            match owned_index(list, selector) {
                Some(index) => {
                    let element = object_in(&mut list[index]);
                    let key = key_of(element, sub.unwrap_or("value"));
                    element.insert(key, value.to_json());
                }
                None => {
                    let element = element(path, value, list);
                    list.push(element);
                }
            }
        }
    }
}

/// Removes one owned value; of a multi-valued attribute the owned element, of a complex one the sub-attribute.
pub(crate) fn clear(resource: &mut Map<String, Value>, path: &AttributePath) {
    let container = container_of(resource, path);
    let key = key_of(container, path.attribute());
    match (path.selector(), path.sub_attribute()) {
        (None, None) => {
            container.remove(&key);
        }
        (None, Some(sub)) => {
            if let Some(Value::Object(object)) = container.get_mut(&key) {
                let sub = key_of(object, sub);
                object.remove(&sub);
            }
        }
        (Some(selector), _) => {
            if let Some(Value::Array(list)) = container.get_mut(&key)
                && let Some(index) = owned_index(list, selector)
            {
                list.remove(index);
            }
        }
    }
    if let Some(urn) = path.schema()
        && let Some(Value::Object(extension)) = member(resource, urn)
        && extension.is_empty()
    {
        let key = key_of(resource, urn);
        resource.remove(&key);
    }
}

/// A whole new element for a path with a selector, as it fits beside the elements in `others`.
pub(crate) fn element(path: &AttributePath, value: &Scalar, others: &[Value]) -> Value {
    let mut element = Map::new();
    element.insert(path.sub_attribute().unwrap_or("value").to_owned(), value.to_json());
    if let Some(selector) = path.selector() {
        let is_typed = path.schema().is_none() && TYPED_WORK.contains(&path.attribute());
        if is_typed && selector.attribute != "type" {
            element.insert("type".to_owned(), Value::from("work"));
        }
        let any_primary = others.iter().any(|other| other.get("primary") == Some(&Value::Bool(true)));
        if is_typed && selector.attribute != "primary" && !any_primary {
            element.insert("primary".to_owned(), Value::Bool(true));
        }
        element.insert(selector.attribute.clone(), selector.value.to_json());
    }
    Value::Object(element)
}

/// The value at an attribute's place in a resource, whole: a list, an object or a scalar.
pub(crate) fn whole<'a>(resource: &'a Map<String, Value>, path: &AttributePath) -> Option<&'a Value> {
    let container = match path.schema() {
        None => resource,
        Some(urn) => member(resource, urn)?.as_object()?,
    };
    member(container, path.attribute())
}

/// Removes nulls from objects, at any depth.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `schemas` names the core schema and every extension that the resource has data of.
fn name_schemas(resource: &mut Map<String, Value>) {
    let key = key_of(resource, "schemas");
    let mut schemas: Vec<Value> = match resource.remove(&key) {
        Some(Value::Array(schemas)) => schemas,
        Some(_) | None => Vec::new(),
    };
    let extensions = resource.keys().filter(|key| key.to_ascii_lowercase().starts_with("urn:"));
    for urn in std::iter::once(CORE_USER).chain(extensions.map(String::as_str)) {
        let named =
            schemas.iter().any(|known| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(urn)));
        if !named {
            schemas.push(Value::from(urn));
        }
    }
    resource.insert(key, Value::Array(schemas));
}

fn container_of<'a>(
    resource: &'a mut Map<String, Value>,
    path: &AttributePath,
) -> &'a mut Map<String, Value> {
    match path.schema() {
        None => resource,
        Some(urn) => {
            let key = key_of(resource, urn);
            object_in(resource.entry(key).or_insert(Value::Null))
        }
    }
}

/// The key as the resource spells it; names ignore case (RFC 7643 section 2.1).
fn key_of(object: &Map<String, Value>, name: &str) -> String {
    if object.contains_key(name) {
        return name.to_owned();
    }
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).map_or_else(|| name.to_owned(), Clone::clone)
}

fn object_in(slot: &mut Value) -> &mut Map<String, Value> {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("an object was put there just now")
}

fn list_in(slot: &mut Value) -> &mut Vec<Value> {
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("a list was put there just now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::ENTERPRISE_USER;
    use scim_v2::models::user::User;
    use scim_v2::{Context, Validate};

    fn path(text: &str) -> AttributePath {
        AttributePath::parse(text).unwrap()
    }

    fn change(at: &str, to: Option<&str>) -> Change {
        Change { path: path(at), from: None, to: to.map(Scalar::from) }
    }

    fn account(resource: Value) -> Account {
        Account::from_resource(resource.as_object().unwrap().clone()).unwrap()
    }

    fn everything() -> Attributes {
        let department = format!("{ENTERPRISE_USER}:department");
        let manager = format!("{ENTERPRISE_USER}:manager.value");
        [
            ("userName", "ann@acme.com"),
            ("externalId", "00u1"),
            ("name.givenName", "Ann"),
            ("name.familyName", "Lee"),
            ("emails[primary eq true].value", "ann@acme.com"),
            ("phoneNumbers[primary eq true].value", "+1 555"),
            ("title", "Lead"),
            (department.as_str(), "Sales"),
            (manager.as_str(), "m1"),
            ("password", "hunter2"),
            ("groups", "admins"),
        ]
        .map(|(at, value)| (path(at), Scalar::from(value)))
        .into()
    }

    #[test]
    fn a_create_holds_what_is_owned_and_never_a_password() {
        let body = create(&everything(), true);
        let expected = json!({
            "schemas": [CORE_USER, ENTERPRISE_USER],
            "userName": "ann@acme.com",
            "externalId": "00u1",
            "name": {"givenName": "Ann", "familyName": "Lee"},
            "emails": [{"value": "ann@acme.com", "type": "work", "primary": true}],
            "phoneNumbers": [{"value": "+1 555", "type": "work", "primary": true}],
            "title": "Lead",
            "active": true,
            ENTERPRISE_USER: {"department": "Sales", "manager": {"value": "m1"}},
        });
        assert_eq!(body, expected);
        let user: User = serde_json::from_value(body).unwrap();
        user.validate_as(Context::CreateRequest).unwrap();
    }

    #[test]
    fn servers_11_an_extension_is_named_only_where_it_has_data() {
        let body = create(&Attributes::from([(path("userName"), Scalar::from("a"))]), true);
        assert_eq!(body, json!({"schemas": [CORE_USER], "userName": "a", "active": true}));
    }

    #[test]
    fn servers_10_a_put_gives_everything_unowned_back_untouched() {
        let current = account(json!({
            "schemas": [CORE_USER], "id": "7", "userName": "ann@acme.com", "nickName": "annie", "locale": null,
            "active": "True", "meta": {"version": "1"}, "groups": [{"value": "g"}],
            "Emails": [{"value": "home@x.example", "type": "home"},
                       {"value": "ann@acme.com", "type": "work", "primary": true, "display": null}],
            "addresses": [{"locality": "Berlin"}],
            "urn:acme:1.0:User": {"badge": "9"},
        }));
        let changes = [
            change("emails[primary eq true].value", Some("ann.lee@acme.com")),
            change("title", Some("Lead")),
            change(&format!("{ENTERPRISE_USER}:department"), Some("Sales")),
        ];
        let body = replace(&current, &changes, None);
        let expected = json!({
            "schemas": [CORE_USER, "urn:acme:1.0:User", ENTERPRISE_USER],
            "id": "7", "userName": "ann@acme.com", "nickName": "annie", "active": true, "name": {},
            "Emails": [{"value": "home@x.example", "type": "home"},
                       {"value": "ann.lee@acme.com", "type": "work", "primary": true}],
            "addresses": [{"locality": "Berlin"}],
            "title": "Lead",
            "urn:acme:1.0:User": {"badge": "9"},
            ENTERPRISE_USER: {"department": "Sales"},
        });
        let mut sorted = body.clone();
        let mut expected_sorted = expected;
        for value in [&mut sorted, &mut expected_sorted] {
            value["schemas"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
        }
        assert_eq!(sorted, expected_sorted);
        let user: User =
            serde_json::from_value(replace(&account(json!({"id": "7", "userName": "a"})), &[], None))
                .unwrap();
        user.validate_as(Context::ReplaceRequest).unwrap();
    }

    #[test]
    fn servers_10_active_is_always_in_a_put() {
        let shown = |active: Value| account(json!({"id": "7", "userName": "a", "active": active}));
        assert_eq!(replace(&shown(json!(false)), &[], None)["active"], json!(false));
        assert_eq!(replace(&shown(Value::Null), &[], None)["active"], json!(true));
        assert_eq!(replace(&shown(json!(true)), &[], Some(false))["active"], json!(false));
    }

    #[test]
    fn clearing_takes_the_owned_element_alone() {
        let current = account(json!({
            "id": "7", "userName": "a", "title": "Lead", "name": {"givenName": "A", "familyName": "B"},
            "phoneNumbers": [{"value": "1", "type": "home"}, {"value": "2", "type": "work", "primary": true}],
            ENTERPRISE_USER: {"department": "Sales"},
        }));
        let changes = [
            change("title", None),
            change("name.familyName", None),
            change("phoneNumbers[primary eq true].value", None),
            change(&format!("{ENTERPRISE_USER}:department"), None),
        ];
        let body = replace(&current, &changes, Some(true));
        assert_eq!(
            body,
            json!({"schemas": [CORE_USER], "id": "7", "userName": "a", "active": true,
                "name": {"givenName": "A"}, "phoneNumbers": [{"value": "1", "type": "home"}]})
        );
    }

    #[test]
    fn an_element_by_type_becomes_primary_only_where_nothing_else_is() {
        let at = path("emails[type eq \"work\"].value");
        let value = Scalar::from("a@b");
        assert_eq!(element(&at, &value, &[]), json!({"value": "a@b", "type": "work", "primary": true}));
        let others = [json!({"value": "h", "primary": true})];
        assert_eq!(element(&at, &value, &others), json!({"value": "a@b", "type": "work"}));
        let city = path("addresses[type eq \"work\"].locality");
        assert_eq!(element(&city, &value, &[]), json!({"locality": "a@b", "type": "work"}));
    }

    proptest::proptest! {
        #[test]
        fn writing_an_element_changes_that_element_alone(
            marks in proptest::collection::vec((0u8..3, 0u8..3), 0..5),
        ) {
            let kinds = [None, Some("work"), Some("home")];
            let primaries = [None, Some(true), Some(false)];
            let element = |(index, (kind, primary)): (usize, &(u8, u8))| {
                let mut element = json!({"value": format!("e{index}@x.example")});
                if let Some(kind) = kinds[usize::from(*kind)] {
                    element["type"] = json!(kind);
                }
                if let Some(primary) = primaries[usize::from(*primary)] {
                    element["primary"] = json!(primary);
                }
                element
            };
            let before: Vec<Value> = marks.iter().enumerate().map(element).collect();
            let mut resource = json!({"emails": before}).as_object().unwrap().clone();
            let at = path("emails[primary eq true].value");
            let new = Scalar::from("new@x.example");
            write(&mut resource, &at, &new);
            proptest::prop_assert_eq!(at.read(&resource), Some(new));
            let after = resource["emails"].as_array().unwrap();
            let kept = before.iter().zip(after).filter(|(old, new)| old == new).count();
            let is_new = after.len() == before.len() + 1;
            proptest::prop_assert_eq!(kept, if is_new { before.len() } else { before.len() - 1 });
        }
    }
}
