//! What a SCIM server answers, read with tolerance: list responses and User resources.
//!
//! What lives here: shapes of good answers and the one-line form of foreign text. What must not: error bodies
//! (`fault`), decisions about what an answer means for a person.

use serde_json::{Map, Value};

use crate::model::account::Account;
use crate::model::attributes::member;

/// Longest foreign text that goes into a report, in characters.
pub(crate) const DETAIL_CHARACTERS: usize = 300;

/// The schema of an error body (RFC 7644 section 3.12).
pub(crate) const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// A list response (RFC 7644 section 3.4.2).
#[derive(Debug)]
pub(crate) struct ListPage {
    /// `Resources`, as they are; absent where there are none.
    pub resources: Vec<Map<String, Value>>,
    /// `totalResults`, where it was told. Some servers tell the page's size instead.
    pub total: Option<u64>,
}

/// Reads a list response; the error says what came instead.
pub(crate) fn list_page(body: &[u8]) -> Result<ListPage, String> {
    let object = match json(body)? {
        Value::Object(object) => object,
        // Seen nowhere in the RFC but harmless: the bare list.
        Value::Array(items) => return Ok(ListPage { resources: objects(items), total: None }),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            return Err(format!("the answer is {}, no list response", kind(&other)));
        }
    };
    let total = member(&object, "totalResults").and_then(number);
    let resources = take(object, "Resources");
    match (resources, total) {
        (Some(Value::Array(items)), total) => Ok(ListPage { resources: objects(items), total }),
        (Some(Value::Null) | None, Some(total)) => Ok(ListPage { resources: Vec::new(), total: Some(total) }),
        (Some(Value::Null) | None, None) => {
            Err("the answer has neither `Resources` nor `totalResults`".to_owned())
        }
        (Some(other), _) => Err(format!("`Resources` is {}, no list", kind(&other))),
    }
}

/// Reads a User resource; `None` where the body is none or bears no `id`.
pub(crate) fn account(body: &[u8]) -> Option<Account> {
    match json(body) {
        Ok(Value::Object(resource)) => Account::from_resource(resource),
        Ok(_) | Err(_) => None,
    }
}

/// Whether a resource is told whole: RFC 7643 section 4.1.1 requires `userName` on every User.
pub(crate) fn is_whole(account: &Account) -> bool {
    account.user_name().is_some()
}

/// Parses a body, byte order mark or not; the error is a bounded single line.
pub(crate) fn json(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("the answer is empty".to_owned());
    }
    serde_json::from_slice(body).map_err(|fault| {
        let start: String = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        format!("the answer is no JSON ({fault}); it starts with: {}", one_line(&start))
    })
}

/// Foreign text as one bounded line: control and direction characters removed, white space collapsed, anything
/// behind the word "Bearer" masked.
pub(crate) fn one_line(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !is_invisible(*c));
    let visible: String = visible.collect();
    let mut words: Vec<&str> = Vec::new();
    for word in visible.split_whitespace() {
        let behind_bearer = words.last().is_some_and(|last| {
            last.trim_matches(|c: char| !c.is_ascii_alphanumeric()).eq_ignore_ascii_case("bearer")
        });
        // A server that repeats the request's headers in its error page must not put the token into a report.
        words.push(if behind_bearer && word.len() >= 8 { "[masked]" } else { word });
    }
    let line = words.join(" ");
    match line.char_indices().nth(DETAIL_CHARACTERS) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A whole number, written as a number or as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn take(mut object: Map<String, Value>, name: &str) -> Option<Value> {
    let key = object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    object.remove(&key)
}

fn objects(items: Vec<Value>) -> Vec<Map<String, Value>> {
    items
        .into_iter()
        .filter_map(|item| match item {
            Value::Object(object) => Some(object),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        })
        .collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_responses_are_read_in_every_spelling_that_was_seen() {
        let cases: [(&str, usize, Option<u64>); 6] = [
            (r#"{"totalResults":1,"Resources":[{"id":"1"}],"startIndex":1,"itemsPerPage":1}"#, 1, Some(1)),
            (r#"{"totalResults":"1","resources":[{"id":"1"}]}"#, 1, Some(1)),
            (r#"{"totalResults":0}"#, 0, Some(0)),
            (r#"{"totalResults":0,"Resources":null}"#, 0, Some(0)),
            (r#"{"Resources":[{"id":"1"},{"id":"2"},null]}"#, 2, None),
            (r#"[{"id":"1"}]"#, 1, None),
        ];
        for (body, received, total) in cases {
            let page = list_page(body.as_bytes()).unwrap();
            assert_eq!((page.resources.len(), page.total), (received, total), "{body}");
        }
    }

    #[test]
    fn what_is_no_list_response_is_refused_with_what_came() {
        for (body, expected) in [
            ("{}", "neither `Resources` nor `totalResults`"),
            ("<html>Sign in</html>", "no JSON"),
            ("", "empty"),
            ("\"ok\"", "a text"),
            (r#"{"Resources":{"id":"1"}}"#, "`Resources` is an object"),
        ] {
            let message = list_page(body.as_bytes()).unwrap_err();
            assert!(message.contains(expected), "{body}: {message}");
        }
    }

    #[test]
    fn a_user_without_an_id_is_no_account() {
        assert!(account(br#"{"userName":"a","id":""}"#).is_none());
        assert!(account(br#"{"userName":"a"}"#).is_none());
        assert!(account(b"").is_none());
        assert_eq!(account("\u{feff}{\"id\":7}".as_bytes()).unwrap().id.as_str(), "7");
    }

    #[test]
    fn foreign_text_becomes_one_bounded_line_without_control_characters() {
        assert_eq!(one_line("a\r\n\tb\u{1b}[31m c\u{202e}d\u{200b}e"), "a b [31m cde");
        let long = one_line(&"é".repeat(1_000));
        assert_eq!(long.chars().count(), DETAIL_CHARACTERS + 1);
    }

    #[test]
    fn a_token_that_the_server_repeats_is_masked() {
        let line = one_line("authorization: Bearer s3cr3t-token-value was refused");
        assert_eq!(line, "authorization: Bearer [masked] was refused");
    }
}
