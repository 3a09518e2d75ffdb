//! Okta's paging: opaque cursors, and `Link` headers that are to be followed.

use super::Context;
use crate::sim::call::{Call, Reply};
use crate::sim::refusal::okta_error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Row numbers are hidden in cursors by a constant, so that nobody counts with them.
const CURSOR_MASK: u64 = 0x5_1a7e_c0de;

/// Turns the key of a page's last row into a cursor.
pub(super) fn cursor(key: u64) -> String {
    format!("200u{:012x}", key ^ CURSOR_MASK)
}

/// The key a cursor stands for; without a cursor, 0.
pub(super) fn after(call: &Call) -> Result<u64, Box<Reply>> {
    let Some(text) = call.given("after") else { return Ok(0) };
    text.strip_prefix("200u")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map(|masked| masked ^ CURSOR_MASK)
        .ok_or_else(|| Box::new(okta_error(400, "E0000001", "Api validation failed: after")))
}

/// The number of rows a page has: what was asked, within the endpoint's and the organization's bounds.
pub(super) fn limit(
    context: &Context<'_>,
    call: &Call,
    default: usize,
    maximum: usize,
) -> Result<usize, Box<Reply>> {
    let asked = match call.given("limit") {
        None => default,
        Some(text) => match text.parse::<usize>() {
            Ok(number) if number >= 1 => number.min(maximum),
            _ => return Err(Box::new(okta_error(400, "E0000001", "Api validation failed: limit"))),
        },
    };
    Ok(context.options.page_cap.map_or(asked, |cap| asked.min(cap)))
}

/// A page of a list. `keep` names the query parameters that the next link repeats.
pub(super) fn reply(
    context: &Context<'_>,
    call: &Call,
    rows: &[Value],
    next: Option<String>,
    keep: &[&str],
) -> Reply {
    let own = if call.raw_query.is_empty() { String::new() } else { format!("?{}", call.raw_query) };
    let mut reply = Reply::json(200, &Value::from(rows))
        .with("Link", format!("<{}{}{own}>; rel=\"self\"", context.base, call.path));
    if let Some(cursor) = next {
        let mut query = format!("after={}", utf8_percent_encode(&cursor, UNRESERVED));
        for name in keep {
            if let Some(value) = call.query(name) {
                query.push_str(&format!("&{name}={}", utf8_percent_encode(value, UNRESERVED)));
            }
        }
        reply = reply.with("Link", format!("<{}{}?{query}>; rel=\"next\"", context.base, call.path));
    }
    reply
}

/// Takes one page out of rows that come with their keys in rising order: the rows, and the cursor of the next page.
pub(super) fn take<T>(
    rows: impl Iterator<Item = (u64, T)>,
    after: u64,
    limit: usize,
) -> (Vec<T>, Option<String>) {
    let mut page: Vec<(u64, T)> = rows.skip_while(|(key, _)| *key <= after).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = if more { page.last().map(|(key, _)| cursor(*key)) } else { None };
    (page.into_iter().map(|(_, row)| row).collect(), next)
}
