//! Ready-made refusals in each vendor's own words, for fault rules: rate limits, outages, proxies' pages.

use super::call::Reply;
use super::fault::Effect;
use serde_json::{Value, json};
use std::sync::Arc;

/// How a SCIM service provider says when to come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryAfter {
    /// It does not.
    SilentWatcher,
    /// `Retry-After` in seconds.
    Seconds(i64),
    /// `Retry-After` as an HTTP date so many seconds from now.
    Date(i64),
}

/// An HTTP date (RFC 9110 section 5.6.7).
pub(crate) fn http_date(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// An Okta error body (the schema `Error` of its OpenAPI document).
pub fn okta_error(status: u16, code: &str, summary: &str) -> Reply {
    let id = format!("oae{:017x}", fastrand::u64(..));
    Reply::json(
        status,
        &json!({"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": id, "errorCauses": []}),
    )
}

/// Okta's 429 for a used-up window: `X-Rate-Limit-Reset` lies so many seconds ahead of the server's `Date`.
pub fn okta_rate_limited(reset_seconds: i64) -> Effect {
    Effect::AnswerWith(Arc::new(move |world| {
        let now = world.okta_time();
        okta_error(429, "E0000047", "API call exceeded rate limit due to too many requests.")
            .with("X-Rate-Limit-Limit", "100")
            .with("X-Rate-Limit-Remaining", "0")
            .with("X-Rate-Limit-Reset", (now.timestamp() + reset_seconds).to_string())
            .with("Date", http_date(now))
    }))
}

/// Okta's 429 for too many requests at once: limit and remaining are both 0, and the reset is a mere suggestion
/// that may lie in the past.
pub fn okta_concurrency_limited(reset_seconds: i64) -> Effect {
    Effect::AnswerWith(Arc::new(move |world| {
        let now = world.okta_time();
        okta_error(429, "E0000047", "API call exceeded rate limit due to too many requests.")
            .with("X-Rate-Limit-Limit", "0")
            .with("X-Rate-Limit-Remaining", "0")
            .with("X-Rate-Limit-Reset", (now.timestamp() + reset_seconds).to_string())
            .with("Date", http_date(now))
    }))
}

/// OneLogin's 429: `X-RateLimit-Reset` counts the seconds that are left.
pub fn onelogin_rate_limited(reset_seconds: i64) -> Effect {
    let body = json!({"statusCode": 429, "name": "TooManyRequestsError", "message": "Rate limit exceeded"});
    Effect::Answer(
        Reply::json(429, &body)
            .with("X-RateLimit-Limit", "5000")
            .with("X-RateLimit-Remaining", "0")
            .with("X-RateLimit-Reset", reset_seconds.to_string()),
    )
}

/// A SCIM error body (RFC 7644 section 3.12).
pub fn scim_error(status: u16, scim_type: Option<&str>, detail: &str) -> Reply {
    let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                          "status": status.to_string(), "detail": detail});
    if let Some(kind) = scim_type {
        body["scimType"] = Value::from(kind);
    }
    scim_json(status, &body)
}

pub(crate) fn scim_json(status: u16, body: &Value) -> Reply {
    Reply::empty(status).with("content-type", "application/scim+json").with_body(body.to_string())
}

/// A SCIM 429.
pub fn scim_rate_limited(retry_after: RetryAfter) -> Effect {
    Effect::AnswerWith(Arc::new(move |world| {
        let reply = scim_error(429, None, "too many requests");
        match retry_after {
            RetryAfter::SilentWatcher => reply,
            RetryAfter::Seconds(seconds) => reply.with("Retry-After", seconds.to_string()),
            RetryAfter::Date(seconds) => {
                reply.with("Retry-After", http_date(world.now() + chrono::Duration::seconds(seconds)))
            }
        }
    }))
}

/// A gateway's HTML page, as a proxy in between would send.
pub fn html_page(status: u16) -> Effect {
    Effect::answer(status, "text/html", "<html><body><h1>The service is unavailable</h1></body></html>")
}
