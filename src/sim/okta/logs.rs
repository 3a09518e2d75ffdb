//! `/api/v1/logs`: polling requests, which never end, and bounded ones, which do.

use super::{Context, page};
use crate::sim::call::{Call, Reply};
use crate::sim::filter::Filter;
use crate::sim::refusal::okta_error;
use crate::sim::world::Logged;
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

fn invalid(what: &str) -> Box<Reply> {
    Box::new(okta_error(400, "E0000001", &format!("Api validation failed: {what}")))
}

fn time(call: &Call, name: &str) -> Result<Option<DateTime<Utc>>, Box<Reply>> {
    match call.given(name) {
        None => Ok(None),
        Some(text) => {
            DateTime::parse_from_rfc3339(text).map(|at| Some(at.to_utc())).map_err(|_| invalid(name))
        }
    }
}

pub(super) fn list(context: &Context<'_>, call: &Call) -> Reply {
    read(context, call).unwrap_or_else(|refusal| *refusal)
}

fn read(context: &Context<'_>, call: &Call) -> Result<Reply, Box<Reply>> {
    let limit = match call.given("limit") {
        None => 100,
        Some(text) => {
            text.parse::<usize>().ok().filter(|limit| *limit <= 1000).ok_or_else(|| invalid("limit"))?
        }
    };
    let filter = match call.given("filter") {
        None => None,
        Some(text) => Some(Filter::parse(text).map_err(|why| {
            Box::new(okta_error(400, "E0000053", &format!("Invalid filter '{text}': {why}")))
        })?),
    };
    let (since, until) = (time(call, "since")?, time(call, "until")?);
    let cursor = call.given("after").map(|_| page::after(call)).transpose()?;
    if cursor.is_some() && since.is_some() {
        return Err(invalid("since and after are mutually exclusive"));
    }
    let descending = call.query("sortOrder").is_some_and(|order| order.eq_ignore_ascii_case("DESCENDING"));
    let bounded = until.is_some() || descending;
    let now = context.world.okta_time();
    let since = since.unwrap_or_else(|| until.unwrap_or(now) - Duration::days(7));
    let keep = ["limit", "filter", "q", "sortOrder", "until"];
    context.world.with(|state| {
        state.show_okta_events();
        let mut events: Vec<&Logged> = state
            .okta_log
            .iter()
            .filter(|event| event.sequence > 0)
            .filter(|event| cursor.is_some() || event.published >= since)
            .filter(|event| until.is_none_or(|until| event.published < until))
            .filter(|event| filter.as_ref().is_none_or(|filter| filter.matches(&event.body, |_| false)))
            .filter(|event| contains(&event.body, call.given("q")))
            .collect();
        if bounded {
            return Ok(bounded_page(context, call, events, cursor, limit, descending, &keep));
        }
        events.retain(|event| event.sequence > cursor.unwrap_or(0));
        events.sort_by_key(|event| event.sequence);
        events.truncate(limit);
        // Polling goes by order of persistence; its next link is there even where nothing is left, and an empty
        // page leads to the end of what is visible now.
        let end = state.okta_log.iter().map(|event| event.sequence).max().unwrap_or(0);
        let last = match events.last() {
            Some(event) => event.sequence,
            None => end.max(cursor.unwrap_or(0)),
        };
        let rows: Vec<Value> = events.iter().map(|event| event.body.clone()).collect();
        Ok(page::reply(context, call, &rows, Some(page::cursor(last)), &keep))
    })
}

/// Bounded pages go by the time of publication; the cursor counts the rows that were given.
fn bounded_page(
    context: &Context<'_>,
    call: &Call,
    mut events: Vec<&Logged>,
    cursor: Option<u64>,
    limit: usize,
    descending: bool,
    keep: &[&str],
) -> Reply {
    events.sort_by_key(|event| event.published);
    if descending {
        events.reverse();
    }
    let start = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX).min(events.len());
    let end = (start + limit).min(events.len());
    let rows: Vec<Value> = events[start..end].iter().map(|event| event.body.clone()).collect();
    let next = (end < events.len()).then(|| page::cursor(end as u64));
    page::reply(context, call, &rows, next, keep)
}

fn contains(event: &Value, keywords: Option<&str>) -> bool {
    let Some(keywords) = keywords else { return true };
    let text = event.to_string().to_lowercase();
    keywords.split_whitespace().all(|word| text.contains(&word.to_lowercase()))
}
