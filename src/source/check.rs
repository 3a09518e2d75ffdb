//! The answer of `check`: one entry per right that rosterd needs at a source.
//!
//! What lives here: the shape of an entry. What must not: requests (each vendor makes its own).

use std::time::Duration;

pub use crate::model::check::{CheckLevel, RightCheck};

/// What `check` knows beyond the source's own configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckContext {
    /// Shortest time between two scheduled runs.
    pub interval: Option<Duration>,
    /// People in the last complete read, or linked.
    pub people: Option<u64>,
}

/// What a full read costs against the window that the headers tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) people: u64,
    pub(super) requests: u64,
    pub(super) limit: u64,
    pub(super) window: Duration,
    pub(super) rate_share_percent: u8,
}

impl Cost {
    /// Warns where a run takes longer, at the allowed share, than the schedule leaves.
    pub(super) fn judge(&self, interval: Option<Duration>) -> RightCheck {
        let allowed = (self.limit * u64::from(self.rate_share_percent) / 100).max(1);
        let windows = self.requests.saturating_sub(1) / allowed;
        let needed = self.window * u32::try_from(windows).unwrap_or(u32::MAX);
        let numbers = format!(
            "a full read of {} people takes {} requests; {} % of the limit are {allowed} in {} s",
            self.people,
            self.requests,
            self.rate_share_percent,
            self.window.as_secs()
        );
        match interval {
            Some(interval) if needed > interval => RightCheck::warn(
                "rate",
                format!(
                    "{numbers}, so it lasts about {} min, and the schedule starts one every {} min",
                    needed.as_secs().div_ceil(60),
                    interval.as_secs().div_ceil(60)
                ),
                "make `schedule` less frequent, raise `rate_share_percent`, or ask the vendor for a higher limit",
            ),
            Some(_) | None => RightCheck::ok("rate", numbers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_that_needs_more_than_the_limit_allows_is_a_warning_with_numbers() {
        let cost = Cost {
            people: 100_000,
            requests: 201,
            limit: 20,
            window: Duration::from_secs(60),
            rate_share_percent: 50,
        };
        let tight = cost.judge(Some(Duration::from_secs(15 * 60)));
        assert_eq!(tight.level, CheckLevel::Warn);
        for number in ["100000", "201", "20 min", "15 min"] {
            assert!(tight.detail.contains(number), "{number}: {}", tight.detail);
        }
        assert_eq!(cost.judge(Some(Duration::from_secs(3600))).level, CheckLevel::Ok);
        assert_eq!(cost.judge(None).level, CheckLevel::Ok);
    }
}
