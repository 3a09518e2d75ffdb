//! What an answer says about the peer's rate limit.
//!
//! What lives here: reading `Retry-After` (RFC 9110 section 10.2.3) and the limit headers of Okta
//! (`X-Rate-Limit-*`, reset as epoch seconds), OneLogin (`X-RateLimit-*`, reset as seconds left) and those that
//! look like either. What must not: waiting (that is the pacer's).

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Values above this are points in time, not durations: no window lasts thirty years.
const EPOCH_FROM_SECONDS: f64 = 1_000_000_000.0;
/// Values above this are milliseconds since the epoch.
const EPOCH_FROM_MILLISECONDS: f64 = 1_000_000_000_000.0;
/// A reset is told in whole seconds, so it may be up to one second later than it reads.
const ROUNDING_SECONDS: f64 = 1.0;
/// Nothing is believed to ask for more than this.
const LONGEST_SECONDS: f64 = 7.0 * 24.0 * 3600.0;

/// The rate limit headers of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateSignals {
    /// Requests allowed in a window.
    pub limit: Option<u64>,
    /// Requests left in it.
    pub remaining: Option<u64>,
    /// Time until the window ends, reckoned with the server's own clock, one second of rounding added.
    pub reset_after: Option<Duration>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl RateSignals {
    /// Reads the headers. `now_epoch_seconds` is our clock; it counts only where the answer has no `Date`.
    pub fn read(headers: &HeaderMap, now_epoch_seconds: i64) -> RateSignals {
        let now = server_time(headers).unwrap_or(now_epoch_seconds) as f64;
        let number = |suffix: &str| {
            ["x-rate-limit-", "x-ratelimit-", "ratelimit-"]
                .iter()
                .find_map(|prefix| headers.get(format!("{prefix}{suffix}")))
                .and_then(|value| value.to_str().ok())
                .and_then(leading_number)
        };
        RateSignals {
            limit: number("limit").map(|value| value as u64),
            remaining: number("remaining").map(|value| value as u64),
            reset_after: number("reset").map(|value| duration(value_from(value, now) + ROUNDING_SECONDS)),
            retry_after: headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| retry_after(text, now)),
        }
    }

    /// Okta's sign that too many requests ran at the same time: limit and remaining are both 0, and the reset is
    /// a suggestion only (it may be now, or past).
    pub fn is_concurrency_limit(&self) -> bool {
        self.limit == Some(0) && self.remaining == Some(0)
    }
}

/// The server's clock as its answer tells it.
pub(super) fn server_time(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

fn retry_after(text: &str, now: f64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then(|| duration(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64();
    Some(duration(at - now))
}

/// Seconds from `now` to what a reset header says.
fn value_from(value: f64, now: f64) -> f64 {
    if value >= EPOCH_FROM_MILLISECONDS {
        value / 1000.0 - now
    } else if value >= EPOCH_FROM_SECONDS {
        value - now
    } else {
        value
    }
}

/// `100`, and `100, 100;w=60` as some proxies make of it.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse::<f64>().ok()
}

fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const NOW: i64 = 1_700_000_000;
    const DATE_TEXT: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

    fn read(headers: &[(&str, &str)]) -> RateSignals {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        // Our clock is an hour wrong: only the server's own date may count where it is told.
        RateSignals::read(&map, NOW + 3600)
    }

    fn seconds(value: u64) -> Option<Duration> {
        Some(Duration::from_secs(value))
    }

    #[test]
    fn a_retry_after_is_read_in_every_form_it_comes_in() {
        let cases: [(&str, Option<Duration>); 7] = [
            ("30", seconds(30)),
            (" 30 ", seconds(30)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("-5", seconds(0)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", seconds(60)),
            ("Tue, 14 Nov 2023 22:00:00 GMT", seconds(0)),
            ("soon", None),
        ];
        for (text, expected) in cases {
            let signals = read(&[("Date", DATE_TEXT), ("Retry-After", text)]);
            assert_eq!(signals.retry_after, expected, "{text}");
        }
    }

    #[test]
    fn a_reset_is_reckoned_with_the_servers_own_clock() {
        let cases = [
            ("Okta: epoch seconds", "X-Rate-Limit-Reset", "1700000030", seconds(31)),
            ("Okta: past", "X-Rate-Limit-Reset", "1699999000", seconds(0)),
            ("OneLogin: seconds left", "X-RateLimit-Reset", "832", seconds(833)),
            ("epoch seconds under the other name", "X-RateLimit-Reset", "1700000010", seconds(11)),
            ("epoch milliseconds", "X-RateLimit-Reset", "1700000010000", seconds(11)),
            ("the draft standard", "RateLimit-Reset", "5", seconds(6)),
            ("no number", "X-RateLimit-Reset", "soon", None),
        ];
        for (what, name, value, expected) in cases {
            let signals = read(&[("Date", DATE_TEXT), (name, value)]);
            assert_eq!(signals.reset_after, expected, "{what}");
        }
    }

    #[test]
    fn without_a_date_our_own_clock_counts() {
        let signals = read(&[("X-Rate-Limit-Reset", "1700003605")]);
        assert_eq!(signals.reset_after, seconds(6));
    }

    #[test]
    fn limit_and_remaining_are_read_and_both_zero_means_concurrency() {
        let signals = read(&[("X-Rate-Limit-Limit", "100"), ("X-Rate-Limit-Remaining", "7")]);
        assert_eq!((signals.limit, signals.remaining), (Some(100), Some(7)));
        assert!(!signals.is_concurrency_limit());
        let signals = read(&[("X-Rate-Limit-Limit", "0"), ("X-Rate-Limit-Remaining", "0")]);
        assert!(signals.is_concurrency_limit());
        let signals = read(&[("X-RateLimit-Limit", "100, 100;w=60")]);
        assert_eq!(signals.limit, Some(100));
    }
}
