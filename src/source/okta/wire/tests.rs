//! Okta's answers, as they come and as they should not.

use super::*;
use crate::model::order::Observation;
use crate::model::time::Millis;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, LINK};
use serde_json::{Value, json};

/// The vendor's own example (OpenAPI `ListAppUsersExample`), cut.
fn example() -> Value {
    json!({"id": "00u1", "externalId": "x", "created": "2024-01-31T18:25:01.000Z", "scope": "USER",
        "status": "PROVISIONED", "passwordChanged": null, "credentials": {"userName": "saml.test@example.com"},
        "profile": {"firstName": "Saml", "lastName": "Test", "email": "app@example.com",
                    "displayName": "Saml O Test", "mobilePhone": null, "wrikeUserType": "External"},
        "_embedded": {"user": {"id": "00u1", "status": "ACTIVE", "profile": {"firstName": "S.",
            "lastName": "T.", "login": "login@example.com", "email": "own@example.com", "title": "Engineer",
            "mobilePhone": "+1", "organization": "ACME", "department": "R&D", "userType": "Employee"}}}})
}

fn identity(app_user: &Value) -> Identity {
    let text = app_user.to_string();
    let entry: AppUser<'_> = serde_json::from_str(&text).unwrap();
    let id = entry.id.get().unwrap().to_owned();
    let sighting = Sighting {
        app_user: Some(&entry),
        user: None,
        groups: Vec::new(),
        observation: Observation::before_numbers(Millis(7)),
    };
    sighting.identity(&id).unwrap()
}

#[test]
fn the_app_profile_wins_over_the_user_profile() {
    let person = identity(&example());
    let profile = &person.profile;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    assert_eq!(text(&profile.user_name), "saml.test@example.com");
    assert_eq!(text(&profile.email), "app@example.com");
    assert_eq!((text(&profile.given_name), text(&profile.family_name)), ("Saml".into(), "Test".into()));
    assert_eq!((text(&profile.title), text(&profile.phone)), ("Engineer".into(), "+1".into()));
    assert_eq!((text(&profile.organization), text(&profile.department)), ("ACME".into(), "R&D".into()));
    assert_eq!(person.status, VendorStatus::Okta(Some("ACTIVE".into())));
    assert_eq!(person.assigned_at, Millis::parse("2024-01-31T18:25:01.000Z"));
    assert!(person.raw.app.unwrap().get().contains("wrikeUserType"));
    assert!(person.assigned);
}

#[test]
fn a_missing_or_blank_value_gives_way_to_the_next_one() {
    let mut app_user = example();
    app_user["credentials"]["userName"] = json!(" ");
    app_user["profile"]["email"] = json!(null);
    let person = identity(&app_user);
    assert_eq!(person.profile.user_name.as_deref(), Some("login@example.com"));
    assert_eq!(person.profile.email.as_deref(), Some("own@example.com"));
    app_user["_embedded"]["user"]["profile"]["primaryPhone"] = json!(4930);
    assert_eq!(identity(&app_user).profile.phone.as_deref(), Some("4930"), "the primary phone comes first");
    app_user["profile"]["title"] = json!({"en": "Engineer"});
    assert_eq!(identity(&app_user).profile.title.as_deref(), Some("Engineer"), "an object is no title");
}

#[test]
fn without_the_embedded_user_or_with_somebody_elses_the_status_is_unknown() {
    let mut app_user = example();
    app_user["_embedded"]["user"]["id"] = json!("00u2");
    assert_eq!(identity(&app_user).status, VendorStatus::Okta(None));
    for gone in [json!(null), json!({}), json!({"user": null})] {
        app_user["_embedded"] = gone;
        assert_eq!(identity(&app_user).status, VendorStatus::Okta(None));
    }
    app_user.as_object_mut().unwrap().remove("_embedded");
    assert_eq!(identity(&app_user).status, VendorStatus::Okta(None));
}

#[test]
fn almost_nothing_is_needed_and_unknown_values_are_kept_as_they_came() {
    let person = identity(&json!({"id": "00u1", "profile": null, "credentials": null,
        "_embedded": {"user": {"id": "00u1", "status": "ACTIVATING"}}}));
    assert_eq!(person.status, VendorStatus::Okta(Some("ACTIVATING".into())));
    assert_eq!(person.profile, Profile::default());
}

fn with_links(links: &[&str]) -> Answer {
    let mut headers = HeaderMap::new();
    for link in links {
        headers.append(LINK, HeaderValue::from_str(link).unwrap());
    }
    Answer {
        status: 200,
        headers,
        body: Bytes::new(),
        observation: Observation::before_numbers(Millis(0)),
        attempts: 1,
    }
}

#[test]
fn the_next_link_is_found_however_the_headers_are_written() {
    let cases: [(&[&str], Option<&str>); 8] = [
        (
            &["<https://a/x>; rel=\"self\"", "<https://a/x?after=1>; rel=\"next\""],
            Some("https://a/x?after=1"),
        ),
        (
            &["<https://a/x>; rel=\"self\", <https://a/x?after=1,2;3>; rel=\"next\""],
            Some("https://a/x?after=1,2;3"),
        ),
        (&["<https://a/x>; rel=next"], Some("https://a/x")),
        (&["<https://a/x>; title=\"a\"; REL=\"prev next\""], Some("https://a/x")),
        (&["<https://a/next>; rel=\"self\""], None),
        (&["<https://a/x>; rel=\"nextish\""], None),
        (&["https://a/x; rel=\"next\""], None),
        (&[], None),
    ];
    for (links, expected) in cases {
        assert_eq!(next_link(&with_links(links)).as_deref(), expected, "{links:?}");
    }
}

#[test]
fn an_error_speaks_in_either_of_oktas_shapes_or_by_its_challenge() {
    let words = |body: &str, challenge: &[(&'static str, &str)]| {
        let mut answer = with_links(&[]);
        answer.body = Bytes::copy_from_slice(body.as_bytes());
        for (name, value) in challenge {
            answer.headers.insert(*name, value.parse().unwrap());
        }
        ErrorBody::words(&answer)
    };
    let okta = r#"{"errorCode":"E0000006","errorSummary":"You do not\nhave permission","errorCauses":[]}"#;
    assert_eq!(words(okta, &[]), "E0000006 You do not have permission");
    let oauth = r#"{"error":"invalid_client","error_description":"No."}"#;
    assert_eq!(words(oauth, &[]), "invalid_client No.");
    assert_eq!(words("", &[("www-authenticate", "DPoP error=\"x\"")]), "DPoP error=\"x\"");
    assert_eq!(words("<html>", &[]), "");
}
