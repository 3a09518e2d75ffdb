//! PATCH (RFC 7644 section 3.5.2): changes as operations, in the styles that servers understand.
//!
//! What lives here: the operations. What must not: which style a server needs (`dialect`), whole resources
//! (`body`).

use serde_json::{Map, Value, json};

use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar, owned_index};
use crate::model::plan::Change;
use crate::scim::body::{self, is_writable};

/// The schema of a PATCH request.
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A PATCH body with these operations.
pub(crate) fn body(operations: Vec<Value>) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// `active` without a path: the one form that every server with PATCH was seen to take.
pub(crate) fn active_by_value(active: bool) -> Value {
    json!({"op": "replace", "value": {"active": active}})
}

/// `active` by its path.
pub(crate) fn active_by_path(active: bool) -> Value {
    json!({"op": "replace", "path": "active", "value": active})
}

/// One operation per change, each with its path. `known` is the account as just read, where it was: then the
/// lists of multi-valued attributes are replaced whole, which spares servers that cannot select an element.
pub(crate) fn by_path(changes: &[Change], known: Option<&Account>) -> Vec<Value> {
    let writable = changes.iter().filter(|change| is_writable(&change.path));
    writable
        .filter_map(|change| match (change.path.selector().is_some(), known, &change.to) {
            (true, Some(known), to) => list_operation(&change.path, to.as_ref(), known),
            (true, None, to) => element_operation(change, to.as_ref()),
            (false, _, Some(value)) => Some(value_operation(&change.path, value)),
            (false, _, None) => clear_operation(change, known),
        })
        .collect()
}

/// One operation without a path that holds whole attributes (a `name` in parts loses the other part at one
/// server), and a `remove` for each clear.
pub(crate) fn by_value(changes: &[Change], known: &Account) -> Vec<Value> {
    let mut after = known.resource.clone();
    let mut value = Map::new();
    for change in changes.iter().filter(|change| is_writable(&change.path)) {
        let Some(to) = &change.to else { continue };
        body::write(&mut after, &change.path, to);
        let Some(mut written) = body::whole(&after, &change.path).cloned() else { continue };
        body::drop_nulls(&mut written);
        let container = match change.path.schema() {
            None => &mut value,
            Some(urn) => {
                let Some(extension) = value.entry(urn).or_insert_with(|| json!({})).as_object_mut() else {
                    continue;
                };
                extension
            }
        };
        container.insert(change.path.attribute().to_owned(), written);
    }
    let clears = changes.iter().filter(|change| change.to.is_none());
    let clears: Vec<Change> = clears.cloned().collect();
    let mut operations = Vec::new();
    if !value.is_empty() {
        operations.push(json!({"op": "replace", "value": value}));
    }
    operations.extend(by_path(&clears, Some(known)));
    operations
}

/// The path as it is sent: the core schema's URN is left out (some servers know no core attribute by it).
pub(crate) fn canonical(path: &AttributePath) -> String {
    let mut text = attribute_path(path);
    if let Some(selector) = path.selector() {
        text.push_str(&format!("[{} eq {}]", selector.attribute, selector.value.to_json()));
    }
    if let Some(sub) = path.sub_attribute() {
        text.push('.');
        text.push_str(sub);
    }
    text
}

fn attribute_path(path: &AttributePath) -> String {
    match path.schema() {
        None => path.attribute().to_owned(),
        Some(urn) => format!("{urn}:{}", path.attribute()),
    }
}

fn value_operation(path: &AttributePath, value: &Scalar) -> Value {
    match (path.schema(), path.sub_attribute()) {
        // A complex attribute of an extension, as the manager: by its path some servers take only the object
        // and one only the bare id; without a path all of them take the object.
        (Some(urn), Some(sub)) => {
            json!({"op": "replace", "value": {urn: {path.attribute(): {sub: value.to_json()}}}})
        }
        (Some(_) | None, _) => json!({"op": "replace", "path": canonical(path), "value": value.to_json()}),
    }
}

/// An element that is there is changed in place; one that is not is added whole, because a path into a missing
/// element is refused as `noTarget`.
fn element_operation(change: &Change, to: Option<&Scalar>) -> Option<Value> {
    let path = &change.path;
    match (to, change.from.is_some()) {
        (Some(value), true) => {
            Some(json!({"op": "replace", "path": canonical(path), "value": value.to_json()}))
        }
        (Some(value), false) => Some(add_operation(path, value, &[])),
        (None, true) => {
            let whole = canonical(path);
            let end = whole.find(']').map_or(whole.len(), |bracket| bracket + 1);
            Some(json!({"op": "remove", "path": whole[..end]}))
        }
        (None, false) => None,
    }
}

fn add_operation(path: &AttributePath, value: &Scalar, others: &[Value]) -> Value {
    json!({"op": "add", "path": attribute_path(path), "value": [body::element(path, value, others)]})
}

fn list_operation(path: &AttributePath, to: Option<&Scalar>, known: &Account) -> Option<Value> {
    let list = match body::whole(&known.resource, path) {
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) | None => &[],
    };
    let is_there = path.selector().is_some_and(|selector| owned_index(list, selector).is_some());
    if let (Some(value), false) = (to, is_there) {
        return Some(add_operation(path, value, list));
    }
    if !is_there {
        return None;
    }
    let mut after = known.resource.clone();
    match to {
        Some(value) => body::write(&mut after, path, value),
        None => body::clear(&mut after, path),
    }
    let mut list = body::whole(&after, path).cloned().unwrap_or_else(|| json!([]));
    body::drop_nulls(&mut list);
    if list.as_array().is_some_and(Vec::is_empty) {
        return Some(json!({"op": "remove", "path": attribute_path(path)}));
    }
    Some(json!({"op": "replace", "path": attribute_path(path), "value": list}))
}

fn clear_operation(change: &Change, known: Option<&Account>) -> Option<Value> {
    let is_there = match known {
        Some(known) => known.value(&change.path).is_some(),
        None => change.from.is_some(),
    };
    let path = match change.path.schema() {
        // The manager goes as a whole, as it came.
        Some(_) => attribute_path(&change.path),
        None => canonical(&change.path),
    };
    is_there.then(|| json!({"op": "remove", "path": path}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::ENTERPRISE_USER;
    use scim_v2::models::others::PatchOp;

    fn change(at: &str, from: Option<&str>, to: Option<&str>) -> Change {
        let path = AttributePath::parse(at).unwrap();
        Change { path, from: from.map(Scalar::from), to: to.map(Scalar::from) }
    }

    fn account(resource: Value) -> Account {
        Account::from_resource(resource.as_object().unwrap().clone()).unwrap()
    }

    fn checked(operations: Vec<Value>) -> Vec<Value> {
        let parsed: PatchOp = serde_json::from_value(body(operations.clone())).unwrap();
        scim_v2::Validate::validate(&parsed).unwrap();
        operations
    }

    const EMAIL: &str = "emails[primary eq true].value";
    const PHONE: &str = "phoneNumbers[primary eq true].value";

    #[test]
    fn servers_8_a_deactivation_is_the_one_body_that_every_server_takes() {
        assert_eq!(
            body(checked(vec![active_by_value(false)])).to_string(),
            r#"{"Operations":[{"op":"replace","value":{"active":false}}],"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}"#
        );
    }

    #[test]
    fn servers_9_attributes_go_one_by_one_with_their_path() {
        let department = format!("{ENTERPRISE_USER}:department");
        let manager = format!("{ENTERPRISE_USER}:manager.value");
        let changes = [
            change("userName", Some("a"), Some("b")),
            change("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName", None, Some("Ann")),
            change(EMAIL, Some("a@x.example"), Some("b@x.example")),
            change(PHONE, None, Some("+1")),
            change("title", Some("Lead"), None),
            change("nickName", None, None),
            change(&department, None, Some("Sales")),
            change(&manager, None, Some("m1")),
            change("active", Some("true"), Some("false")),
            change("password", None, Some("hunter2")),
        ];
        assert_eq!(
            checked(by_path(&changes, None)),
            vec![
                json!({"op": "replace", "path": "userName", "value": "b"}),
                json!({"op": "replace", "path": "name.givenName", "value": "Ann"}),
                json!({"op": "replace", "path": EMAIL, "value": "b@x.example"}),
                json!({"op": "add", "path": "phoneNumbers",
                    "value": [{"value": "+1", "type": "work", "primary": true}]}),
                json!({"op": "remove", "path": "title"}),
                json!({"op": "replace", "path": department, "value": "Sales"}),
                json!({"op": "replace", "value": {ENTERPRISE_USER: {"manager": {"value": "m1"}}}}),
            ]
        );
    }

    #[test]
    fn servers_9_with_the_account_at_hand_a_list_is_replaced_whole() {
        let known = account(json!({"id": "1", "userName": "a", "emails": [
            {"value": "h@x.example", "type": "home", "display": null}, {"value": "a@x.example", "type": "work"}]}));
        let changes =
            [change(EMAIL, Some("a@x.example"), Some("b@x.example")), change(PHONE, Some("1"), Some("2"))];
        assert_eq!(
            checked(by_path(&changes, Some(&known))),
            vec![
                json!({"op": "replace", "path": "emails", "value": [
                    {"value": "h@x.example", "type": "home"}, {"value": "b@x.example", "type": "work"}]}),
                json!({"op": "add", "path": "phoneNumbers",
                    "value": [{"value": "2", "type": "work", "primary": true}]}),
            ]
        );
    }

    #[test]
    fn clears_name_what_is_there_and_nothing_else() {
        let manager = format!("{ENTERPRISE_USER}:manager.value");
        let blind =
            [change(PHONE, Some("1"), None), change(EMAIL, None, None), change(&manager, Some("m"), None)];
        assert_eq!(
            checked(by_path(&blind, None)),
            vec![
                json!({"op": "remove", "path": "phoneNumbers[primary eq true]"}),
                json!({"op": "remove", "path": format!("{ENTERPRISE_USER}:manager")}),
            ]
        );
        let known =
            account(json!({"id": "1", "userName": "a", "phoneNumbers": [{"value": "1", "primary": true}]}));
        assert_eq!(
            checked(by_path(&[change(PHONE, None, None), change("title", Some("x"), None)], Some(&known))),
            vec![json!({"op": "remove", "path": "phoneNumbers"})]
        );
    }

    #[test]
    fn servers_9_without_paths_whole_attributes_go_in_one_object() {
        let known = account(json!({"id": "1", "userName": "a", "title": "Lead",
            "name": {"givenName": "Ann", "familyName": "Lee", "middleName": null},
            "emails": [{"value": "a@x.example", "primary": true}],
            ENTERPRISE_USER: {"organization": "Acme", "department": "Sales"}}));
        let changes = [
            change("name.givenName", Some("Ann"), Some("Anna")),
            change(EMAIL, Some("a@x.example"), Some("b@x.example")),
            change(&format!("{ENTERPRISE_USER}:department"), Some("Sales"), Some("Legal")),
            change("title", Some("Lead"), None),
        ];
        assert_eq!(
            checked(by_value(&changes, &known)),
            vec![
                json!({"op": "replace", "value": {
                    "name": {"givenName": "Anna", "familyName": "Lee"},
                    "emails": [{"value": "b@x.example", "primary": true}],
                    ENTERPRISE_USER: {"department": "Legal"}}}),
                json!({"op": "remove", "path": "title"}),
            ]
        );
    }

    #[test]
    fn a_selector_keeps_its_json_form() {
        let path = AttributePath::parse("emails[type eq \"work\"].value").unwrap();
        assert_eq!(canonical(&path), "emails[type eq \"work\"].value");
    }
}
