//! OneLogin's answers, as they come and as they should not.

use super::*;
use crate::model::order::Observation;
use crate::model::time::Millis;
use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// The vendor's own sample, cut.
fn sample() -> Value {
    json!({"id": 36216766, "firstname": "Kelly", "lastname": "Slater", "username": "kellyslater",
        "email": "kelly@onelogin.com", "phone": "+64272001122", "title": "Surfer", "department": "Waves",
        "company": "WSL", "role_ids": [272445, 199848], "custom_attributes": {"employeenumber": null, "food": "chicken"},
        "state": 1, "status": 3})
}

fn roles() -> Roles {
    let mut roles = Roles::default();
    roles.add("Surfers", 199848);
    roles.add("Divers", 7);
    roles.add("Everybody", 272445);
    roles
}

fn identity(user: &Value, roles: &Roles, listed_by_both: bool) -> Identity {
    let text = user.to_string();
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    let user: User<'_> = serde_json::from_str(raw.get()).unwrap();
    let context = Context {
        roles,
        assigned: true,
        listed_by_both,
        observation: Observation::before_numbers(Millis(7)),
    };
    user.identity(raw, &context).unwrap()
}

#[test]
fn the_attributes_of_a_person_are_read() {
    let person = identity(&sample(), &roles(), true);
    assert_eq!(person.id.as_str(), "36216766");
    assert_eq!(person.status, VendorStatus::OneLogin(Some(OneLoginStatus { status: 3, state: 1 })));
    assert_eq!(person.profile.organization.as_deref(), Some("WSL"));
    assert_eq!(person.profile.phone.as_deref(), Some("+64272001122"));
    assert_eq!(person.raw.custom.unwrap().get(), r#"{"employeenumber":null,"food":"chicken"}"#);
    let groups: Vec<&str> = person.groups.iter().map(|name| &**name).collect();
    assert_eq!(groups, ["Surfers", "Everybody"], "in configured order");
}

#[test]
fn the_user_name_is_the_login_only_where_that_is_an_address() {
    let cases = [
        (json!("kellyslater"), json!("kelly@onelogin.com"), Some("kelly@onelogin.com")),
        (json!("kelly@wsl.com"), json!("kelly@onelogin.com"), Some("kelly@wsl.com")),
        (json!(null), json!("kelly@onelogin.com"), Some("kelly@onelogin.com")),
        (json!("a@b@c"), json!("kelly@onelogin.com"), Some("kelly@onelogin.com")),
        (json!("@wsl.com"), json!("kelly@onelogin.com"), Some("kelly@onelogin.com")),
        (json!("kellyslater"), json!(""), None),
        (json!(null), json!(null), None),
    ];
    for (username, email, expected) in cases {
        let mut user = sample();
        (user["username"], user["email"]) = (username.clone(), email.clone());
        let person = identity(&user, &Roles::default(), true);
        assert_eq!(person.profile.user_name.as_deref(), expected, "{username} {email}");
    }
}

#[test]
fn whoever_is_not_fully_known_has_an_unknown_status() {
    let unknown = VendorStatus::OneLogin(None);
    assert_eq!(identity(&sample(), &roles(), false).status, unknown, "in only one of the lists");
    for missing in ["status", "state", "role_ids"] {
        let mut user = sample();
        user.as_object_mut().unwrap().remove(missing);
        assert_eq!(identity(&user, &roles(), true).status, unknown, "{missing}");
    }
    let mut user = sample();
    user["status"] = json!("three");
    assert_eq!(identity(&user, &roles(), true).status, unknown);
    assert_eq!(without_details(5, Observation::before_numbers(Millis(1))).status, unknown);
    user["status"] = json!("3");
    user.as_object_mut().unwrap().remove("role_ids");
    let known = identity(&user, &Roles::default(), true);
    assert_ne!(known.status, unknown, "without configured roles nobody needs role_ids");
}

fn answer(status: u16, body: &str) -> Answer {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Answer {
        status,
        headers: HeaderMap::new(),
        body,
        observation: Observation::before_numbers(Millis(0)),
        attempts: 1,
    }
}

#[test]
fn errors_are_understood_in_all_three_shapes() {
    let cases = [
        (
            r#"{"statusCode":404,"name":"NotFoundError","message":"Not Found"}"#,
            "NotFoundError Not Found",
            true,
        ),
        (
            r#"{"status":{"error":true,"code":404,"type":"Not Found","message":"User not found"}}"#,
            "Not Found User not found",
            true,
        ),
        (
            r#"{"status":{"error":true,"code":404,"type":"x","message":{"description":"no user","attribute":"id"}}}"#,
            "x no user id",
            true,
        ),
        (r#"{"error":true,"code":404,"type":"Not Found","message":"nobody"}"#, "Not Found nobody", true),
        (
            r#"{"error":true,"code":404,"type":"Not Found","message":"No Route Exists"}"#,
            "Not Found No Route Exists",
            false,
        ),
        (r#"{"statusCode":401,"name":"UnauthorizedError","message":"No"}"#, "UnauthorizedError No", false),
        (r#"{"message":"not here"}"#, "not here", false),
        ("<html>404</html>", "", false),
        ("", "", false),
    ];
    for (body, words, proves) in cases {
        assert_eq!(ErrorBody::words(&answer(404, body)), words, "{body}");
        assert_eq!(ErrorBody::says_not_found(&answer(404, body)), proves, "{body}");
    }
    assert!(!ErrorBody::says_not_found(&answer(200, r#"{"statusCode":404}"#)));
}

#[test]
fn an_empty_cursor_and_the_text_null_are_the_end() {
    for end in [None, Some(""), Some(" "), Some("null")] {
        assert_eq!(cursor(end), None, "{end:?}");
    }
    assert_eq!(cursor(Some("bGltaXQ9")), Some("bGltaXQ9"));
    let page: V1<'_> = serde_json::from_str(r#"{"data":[{}],"pagination":{"after_cursor":"null"}}"#).unwrap();
    assert_eq!(page.next_cursor(), None);
}
