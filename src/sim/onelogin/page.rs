//! OneLogin's v2 paging: headers that count, and a cursor that is a page number in disguise, so that rows shift when
//! somebody comes or goes in the middle of a read.

use super::refuse::Refusal;
use crate::sim::call::{Call, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Page number (from 1) and rows a page.
fn position(call: &Call, default: usize, cap: usize) -> Result<(usize, usize), Refusal> {
    let bad = || Refusal::new(400, "BadRequestError", "cursor is invalid");
    let (mut limit, mut page) = (call.number("limit"), call.number("page"));
    if let Some(cursor) = call.given("cursor") {
        let text =
            STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
        for (name, value) in crate::sim::call::form(text.as_bytes()) {
            let value = Some(value.parse::<i64>().map_err(|_| bad())?);
            match name.as_str() {
                "limit" => limit = value,
                "page" => page = value,
                _ => return Err(bad()),
            }
        }
    }
    let limit =
        limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0).unwrap_or(default);
    let page = page.and_then(|page| usize::try_from(page).ok()).filter(|page| *page > 0).unwrap_or(1);
    Ok((page, limit.min(cap)))
}

fn cursor(limit: usize, page: usize) -> String {
    STANDARD.encode(format!("limit={limit}&page={page}"))
}

/// One page of the rows, each made only if it is on it.
pub(super) fn reply<T>(
    call: &Call,
    rows: &[T],
    default: usize,
    cap: usize,
    show: impl Fn(&T) -> Value,
) -> Result<Reply, Refusal> {
    let (page, limit) = position(call, default, cap)?;
    let start = ((page - 1).saturating_mul(limit)).min(rows.len());
    let shown: Vec<Value> = rows[start..(start + limit).min(rows.len())].iter().map(show).collect();
    let pages = rows.len().div_ceil(limit).max(1);
    let items = shown.len();
    let mut reply = Reply::json(200, &Value::Array(shown))
        .with("Current-Page", page.to_string())
        .with("Page-Items", items.to_string())
        .with("Total-Count", rows.len().to_string())
        .with("Total-Pages", pages.to_string());
    if page > 1 {
        reply = reply.with("Before-Cursor", cursor(limit, page - 1));
    }
    if page < pages {
        reply = reply.with("After-Cursor", cursor(limit, page + 1));
    }
    Ok(reply)
}
