//! Okta's rate limits: one window per group of endpoints.

use chrono::{DateTime, Duration, Utc};
use std::collections::HashMap;

/// Requests allowed in a window, per group of endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimits {
    /// `/api/v1/apps` and everything below an app.
    pub apps: u64,
    /// `/api/v1/apps/{id}` itself.
    pub app: u64,
    /// `/api/v1/users`, the list.
    pub users: u64,
    /// `/api/v1/users/{id}` and below.
    pub user: u64,
    /// `/api/v1/logs`.
    pub logs: u64,
    /// Everything else.
    pub other: u64,
    /// Length of a window, in seconds.
    pub window_seconds: i64,
}

impl Default for RateLimits {
    /// So much that no test runs into them by accident.
    fn default() -> Self {
        let plenty = 1_000_000;
        Self {
            apps: plenty,
            app: plenty,
            users: plenty,
            user: plenty,
            logs: plenty,
            other: plenty,
            window_seconds: 60,
        }
    }
}

impl RateLimits {
    /// The figures Okta published for workforce organizations.
    pub fn published() -> Self {
        Self { apps: 100, app: 500, users: 600, user: 2000, logs: 120, other: 1200, window_seconds: 60 }
    }

    fn limit(&self, bucket: Bucket) -> u64 {
        match bucket {
            Bucket::Apps => self.apps,
            Bucket::App => self.app,
            Bucket::Users => self.users,
            Bucket::User => self.user,
            Bucket::Logs => self.logs,
            Bucket::Other => self.other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    Apps,
    App,
    Users,
    User,
    Logs,
    Other,
}

pub(super) fn bucket(parts: &[&str]) -> Bucket {
    match parts {
        ["api", "v1", "apps", _] => Bucket::App,
        ["api", "v1", "apps", ..] => Bucket::Apps,
        ["api", "v1", "users"] => Bucket::Users,
        ["api", "v1", "users", ..] => Bucket::User,
        ["api", "v1", "logs"] => Bucket::Logs,
        _ => Bucket::Other,
    }
}

/// The open windows. A window starts with its first request, not with the minute.
#[derive(Default)]
pub(super) struct Windows(HashMap<Bucket, (DateTime<Utc>, u64)>);

/// What the headers say after a request was counted.
pub(super) struct Window {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) reset: DateTime<Utc>,
    pub(super) exceeded: bool,
}

impl Windows {
    pub(super) fn take(&mut self, limits: &RateLimits, bucket: Bucket, now: DateTime<Utc>) -> Window {
        let length = Duration::seconds(limits.window_seconds);
        let limit = limits.limit(bucket);
        let (start, used) = self.0.entry(bucket).or_insert((now, 0));
        if now >= *start + length || now < *start {
            (*start, *used) = (now, 0);
        }
        let exceeded = *used >= limit;
        *used += u64::from(!exceeded);
        Window { limit, remaining: limit - *used, reset: *start + length, exceeded }
    }
}
