//! `/api/1/events`: 50 a page, a cursor in the body.

use super::Context;
use super::refuse::{Refusal, success};
use crate::sim::call::{Call, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

const PAGE: usize = 50;

/// The types the simulated world logs, with OneLogin's numbers.
const TYPES: [(i64, &str); 17] = [
    (1, "APP_ADDED_TO_ROLE"),
    (2, "APP_REMOVED_FROM_ROLE"),
    (5, "USER_LOGGED_INTO_ONELOGIN"),
    (12, "USER_UNLOCKED"),
    (13, "USER_CREATED"),
    (14, "USER_UPDATED"),
    (15, "USER_DEACTIVATED"),
    (16, "USER_ACTIVATED"),
    (17, "USER_DELETED"),
    (19, "USER_LOCKED"),
    (21, "USER_SUSPENDED"),
    (32, "USER_REACTIVATED"),
    (33, "USER_IMPORTED"),
    (147, "USER_MANUALLY_ADDED_ROLE"),
    (148, "USER_MANUALLY_REMOVED_ROLE"),
    (206, "USER_MANUALLY_ADDED_LOGIN"),
    (207, "USER_MANUALLY_REMOVED_LOGIN"),
];

pub(super) fn types() -> Reply {
    let data: Vec<Value> =
        TYPES.iter().map(|(id, name)| json!({"id": id, "name": name, "description": name})).collect();
    Reply::json(200, &json!({"status": success(), "data": data}))
}

fn time(call: &Call, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    match call.given(name) {
        None => Ok(None),
        Some(text) => DateTime::parse_from_rfc3339(text)
            .map(|at| Some(at.to_utc()))
            .map_err(|_| Refusal::new(400, "BadRequestError", format!("{name} is invalid"))),
    }
}

/// Where a cursor goes on: behind the event with this id.
fn position(call: &Call) -> Result<Option<u64>, Refusal> {
    let Some(cursor) = call.given("after_cursor") else { return Ok(None) };
    let id = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let id = id.and_then(|text| text.strip_prefix("id:")?.parse().ok());
    id.map(Some).ok_or_else(|| Refusal::new(400, "BadRequestError", "after_cursor is invalid"))
}

pub(super) fn list(context: &Context<'_>, call: &Call) -> Result<Reply, Refusal> {
    let (since, until) = (time(call, "since")?, time(call, "until")?);
    let after = position(call)?;
    let limit =
        call.number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let descending = call.query("sort").is_some_and(|sort| sort.starts_with('-'));
    let is_one_of = |name: &str, value: &Value| {
        let is = |wanted: &str| value.as_u64().is_some_and(|number| wanted.trim().parse() == Ok(number));
        call.given(name).is_none_or(|list| list.split(',').any(is))
    };
    context.world.with(|state| {
        let now = state.now();
        let mut events: Vec<&Value> = state
            .onelogin_log
            .iter()
            .filter(|event| event.visible_at <= now)
            .filter(|event| since.is_none_or(|at| event.published >= at))
            .filter(|event| until.is_none_or(|at| event.published < at))
            .map(|event| &event.body)
            .filter(|event| is_one_of("event_type_id", &event["event_type_id"]))
            .filter(|event| is_one_of("user_id", &event["user_id"]) && is_one_of("id", &event["id"]))
            .collect();
        if descending {
            events.reverse();
        }
        let start = after.map_or(0, |after| {
            let passed = |event: &&Value| {
                event["id"].as_u64().is_some_and(|id| if descending { id >= after } else { id <= after })
            };
            events.partition_point(passed)
        });
        let page = &events[start..(start + limit).min(events.len())];
        let more = start + page.len() < events.len();
        let last = page.last().filter(|_| more).and_then(|event| event["id"].as_u64());
        let cursor = last.map(|id| STANDARD.encode(format!("id:{id}")));
        let body = json!({
            "status": success(),
            "pagination": {"before_cursor": null, "after_cursor": cursor, "previous_link": null,
                           "next_link": cursor.as_ref().map(|cursor| format!("/api/1/events?after_cursor={cursor}"))},
            "data": page,
        });
        Ok(Reply::json(200, &body))
    })
}
