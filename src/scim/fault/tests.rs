//! Error bodies that were seen, and what they are taken for.

use super::*;

fn read(status: u16, body: &str) -> Fault {
    Fault::read(status, body.as_bytes())
}

#[test]
fn error_bodies_of_every_shape_become_one_line() {
    let cases = [
        (
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"User not found"}"#,
            "User not found",
        ),
        (
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":404,"detail":"gone"}"#,
            "gone",
        ),
        (
            r#"{"errorDescription":"Parameter 'title' value is invalid","error":"invalid_parameter"}"#,
            "Parameter 'title' value is invalid",
        ),
        (r#"{"type":"about:blank","title":"Bad Request","detail":"no such attribute"}"#, "no such attribute"),
        (r#"{"error":{"code":42,"message":"went wrong"}}"#, "went wrong"),
        (r#"{"errors":["one","two",{"message":"three"},"four"]}"#, "one; two; three"),
        (r#"{"status":{"error":true,"message":"Authentication Failure"}}"#, "Authentication Failure"),
        (r#"{"odd":1}"#, r#"{"odd":1}"#),
        (
            "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
            "502 Bad Gateway",
        ),
        (
            "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Cannot DELETE /Users/1</pre></body></html>",
            "Error: Cannot DELETE /Users/1",
        ),
        ("<html><body>Access&nbsp;denied<br>&lt;proxy&gt;</body></html>", "Access denied <proxy>"),
        ("Internal\r\nServer Error\n", "Internal Server Error"),
        ("\"just a text\"", "just a text"),
        ("", "no details (Not Found)"),
        ("null", "no details (Not Found)"),
    ];
    for (body, expected) in cases {
        assert_eq!(read(404, body).detail, expected, "{body}");
    }
}

#[test]
fn every_refusal_gets_the_class_that_decides_what_follows() {
    use RefusalClass as Class;
    let scim = |scim_type: &str, detail: &str| {
        format!(r#"{{"schemas":["{ERROR_SCHEMA}"],"scimType":"{scim_type}","detail":"{detail}"}}"#)
    };
    let wrike = |code: &str, text: &str| format!(r#"{{"errorDescription":"{text}","error":"{code}"}}"#);
    let cases: Vec<(u16, String, Class)> = vec![
        (401, scim("", "token expired"), Class::Credentials),
        (403, wrike("access_forbidden", "Access is forbidden"), Class::Forbidden),
        (403, wrike("not_allowed", "Not allowed due to license/quota limitations"), Class::NoSeat),
        (400, scim("", "The maximum number of licenses is reached"), Class::NoSeat),
        (403, wrike("not_allowed", "Account owner cannot be deactivated"), Class::Permanent),
        (400, wrike("invalid_request", "The user belongs to several accounts"), Class::Permanent),
        (403, wrike("access_forbidden", "User profile lives on another data center"), Class::Permanent),
        (400, scim("invalidValue", "Email domain is not approved"), Class::Forbidden),
        (
            403,
            wrike("not_allowed", "domain x.example is not on the list of approved domains"),
            Class::Forbidden,
        ),
        (404, scim("", "not found"), Class::NotFound),
        (410, String::new(), Class::NotFound),
        (409, String::new(), Class::Conflict),
        (400, scim("uniqueness", "userName"), Class::Conflict),
        (400, "user already exists".to_owned(), Class::Conflict),
        (422, "E-mail has already been taken".to_owned(), Class::Conflict),
        (500, "UNIQUE constraint failed: users.username".to_owned(), Class::Conflict),
        (500, "User with this email is a duplicate".to_owned(), Class::Conflict),
        (400, scim("invalidValue", "title"), Class::Invalid),
        (400, scim("invalidValue", "locality Seattle exceeds the limit"), Class::Invalid),
        (400, scim("mutability", "userName is immutable"), Class::Invalid),
        (413, String::new(), Class::Invalid),
        (429, String::new(), Class::RateLimited),
        (405, String::new(), Class::Server),
        (500, String::new(), Class::Server),
        (501, String::new(), Class::Server),
        (300, "Incorrect Base URL".to_owned(), Class::Unreachable),
        (302, String::new(), Class::Unreachable),
    ];
    for (status, body, expected) in cases {
        assert_eq!(read(status, &body).class(WriteKind::Create), expected, "{status} {body}");
    }
}

#[test]
fn no_seat_is_for_writes_that_take_one_and_words_that_name_one() {
    use RefusalClass::{Forbidden, Invalid, NoSeat, Permanent};
    let wrike = |text: &str| format!(r#"{{"errorDescription":"{text}","error":"not_allowed"}}"#);
    let limit = "Not allowed due to license/quota limitations";
    let cases = [
        (403, wrike(limit), NoSeat, Forbidden),
        (403, wrike("Operation is not allowed"), Forbidden, Forbidden),
        (403, wrike("Account owner cannot be deactivated"), Permanent, Permanent),
        (403, limit.to_owned(), NoSeat, Forbidden),
        (402, "no more seats are available".to_owned(), NoSeat, Invalid),
        (400, "the user limit of this plan is reached".to_owned(), NoSeat, Invalid),
    ];
    for (status, body, for_a_seat, for_others) in cases {
        for kind in [WriteKind::Create, WriteKind::Activation] {
            assert_eq!(read(status, &body).class(kind), for_a_seat, "{status} {body} {kind:?}");
        }
        for kind in [WriteKind::Update, WriteKind::Deactivation, WriteKind::Deletion] {
            assert_eq!(read(status, &body).class(kind), for_others, "{status} {body} {kind:?}");
        }
    }
}

#[test]
fn a_plain_5xx_leaves_doubt_and_a_clear_one_does_not() {
    assert!(read(500, "oops").leaves_doubt());
    assert!(read(503, "").leaves_doubt());
    assert!(read(504, "").leaves_doubt());
    assert!(read(408, "").leaves_doubt());
    assert!(!read(501, "").leaves_doubt());
    assert!(!read(500, "userName already exists").leaves_doubt());
    assert!(!read(400, "").leaves_doubt());
}

#[test]
fn a_method_that_is_not_there_is_told_from_a_bad_value() {
    assert!(read(405, "").refuses_method());
    assert!(read(501, "").refuses_method());
    assert!(read(400, "PATCH is not supported").refuses_method());
    assert!(
        read(404, r#"{"errorDescription":"Method not found","error":"method_not_found"}"#).refuses_method()
    );
    assert!(!read(400, "title is not supported").refuses_method());
    assert!(!read(400, "invalid input: title is not allowed").refuses_method());
    assert!(!read(404, "User not found").refuses_method());
}

#[test]
fn an_error_that_hides_in_a_200_is_found() {
    let body = format!(r#"{{"schemas":["{ERROR_SCHEMA}"],"status":"409","detail":"exists"}}"#);
    let fault = Fault::hidden_in_success(body.as_bytes()).unwrap();
    assert_eq!((fault.status, fault.class(WriteKind::Update)), (409, RefusalClass::Conflict));
    assert_eq!(Fault::hidden_in_success(br#"{"id":"1","schemas":["x"]}"#), None);
    assert_eq!(Fault::hidden_in_success(b""), None);
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_one_bounded_line(status in 100u16..1000, body: Vec<u8>, text in ".{0,400}") {
        for body in [body.as_slice(), text.as_bytes(), format!("<h1>{text}</h1>").as_bytes()] {
            let fault = Fault::read(status, body);
            proptest::prop_assert!(!fault.detail.is_empty());
            proptest::prop_assert!(fault.detail.chars().count() <= wire::DETAIL_CHARACTERS + 1);
            proptest::prop_assert!(!fault.detail.chars().any(char::is_control));
            let _ = (fault.class(WriteKind::Activation), fault.leaves_doubt(), Fault::hidden_in_success(body));
        }
    }
}

#[test]
fn a_proxys_page_is_not_taken_for_the_service() {
    assert!(!read(404, "<html><title>Not Found</title></html>").from_service);
    assert!(read(404, &format!(r#"{{"schemas":["{ERROR_SCHEMA}"],"detail":"x"}}"#)).from_service);
    assert!(read(404, r#"{"errorDescription":"x","error":"resource_not_found"}"#).from_service);
}
