//! When a sync's next full run is due. Pure: it is told the time and starts nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::config;
use crate::model::schedule::Schedule;
use crate::model::time::Millis;

/// A run that was asked for out of turn is never further away, whatever the clock did.
const LONGEST_SOON_MILLIS: i64 = 3_600_000;

/// The next due time of one sync. However many firings were missed, one run makes up for them.
#[derive(Debug)]
pub struct DueTimes {
    schedule: Schedule,
    zone: Tz,
    jitter: Duration,
    /// The next firing, jitter included; `None` = the schedule has no further one.
    next_at: Option<Millis>,
    /// A run that was asked for out of turn.
    soon_at: Option<Millis>,
}

impl DueTimes {
    /// An agenda from the schedule. Where no run has begun since the last firing, one is overdue.
    pub fn new(sync: &config::Sync, last_begun: Option<Millis>, now: Millis) -> DueTimes {
        DueTimes::following(&sync.schedule, sync, last_begun, now)
    }

    /// An agenda from another schedule, in the zone and with the jitter of the sync.
    pub fn following(
        schedule: &Schedule,
        sync: &config::Sync,
        last_begun: Option<Millis>,
        now: Millis,
    ) -> DueTimes {
        let schedule = schedule.clone();
        let mut due_times =
            DueTimes { schedule, zone: sync.timezone, jitter: sync.jitter, next_at: None, soon_at: None };
        let overdue =
            last_begun.is_none_or(|begun| due_times.firing_after(begun).is_some_and(|at| at <= now));
        if overdue {
            due_times.soon_at = Some(now);
        }
        due_times.plan_next(now);
        due_times
    }

    /// When to look again.
    pub fn next_at(&self) -> Option<Millis> {
        [self.next_at, self.soon_at].into_iter().flatten().min()
    }

    /// Whether a full run is due.
    pub fn is_due(&self, now: Millis) -> bool {
        self.next_at().is_some_and(|at| at <= now)
    }

    /// A run begins, or is put off: everything that was due is dealt with.
    pub fn dealt_with(&mut self, now: Millis) {
        self.soon_at = None;
        self.plan_next(now);
    }

    /// Asks for a run out of turn, no later than `at`.
    pub fn soon(&mut self, at: Millis) {
        self.soon_at = Some(self.soon_at.map_or(at, |known| Millis(known.0.min(at.0))));
    }

    /// The clock may have been set back: no firing is further away than the schedule says.
    pub fn look_at_the_clock(&mut self, now: Millis) {
        if let (Some(next), Some(first)) = (self.next_at, self.firing_after(now))
            && first.0.saturating_add(self.jitter.as_millis() as i64) < next.0
        {
            self.plan_next(now);
        }
        if self.soon_at.is_some_and(|at| at.since(now) > LONGEST_SOON_MILLIS) {
            self.soon_at = Some(now);
        }
    }

    fn plan_next(&mut self, now: Millis) {
        let jitter = fastrand::u64(0..=self.jitter.as_millis() as u64) as i64;
        self.next_at = self.firing_after(now).map(|at| Millis(at.0.saturating_add(jitter)));
    }

    fn firing_after(&self, instant: Millis) -> Option<Millis> {
        let instant = DateTime::<Utc>::from_timestamp_millis(instant.0)?;
        self.schedule.next_after(instant, self.zone).map(|at| Millis(at.timestamp_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    /// 2026-03-01T00:00:00Z
    const MIDNIGHT: i64 = 1_772_323_200_000;

    fn sync(schedule: &str, jitter_seconds: u64) -> config::Sync {
        let text = format!(
            "[[sync]]\nschedule = \"{schedule}\"\njitter = \"{jitter_seconds}s\"\nsource = {{ kind = \"okta\", url = \
             \"https://acme.okta.com\", app_id = \"0oa1\", api_token = {{ env = \"A\" }} }}\ntarget = {{ url = \
             \"https://scim.example\", token = {{ env = \"B\" }} }}\n"
        );
        let environment = config::Environment::fixed(Vec::<(String, String)>::new());
        config::parse(&text, std::path::Path::new("t.toml"), &environment).unwrap().syncs.remove(0)
    }

    fn at(minutes: i64) -> Millis {
        Millis(MIDNIGHT + minutes * MINUTE)
    }

    #[test]
    fn a_sync_that_never_ran_is_due_at_once() {
        assert!(DueTimes::new(&sync("*/15 * * * *", 0), None, at(1)).is_due(at(1)));
    }

    #[test]
    fn a_restart_between_two_firings_runs_nothing_early() {
        let due_times = DueTimes::new(&sync("*/15 * * * *", 0), Some(at(0)), at(10));
        assert!(!due_times.is_due(at(10)));
        assert_eq!(due_times.next_at(), Some(at(15)));
    }

    #[test]
    fn after_a_long_sleep_one_run_is_overdue_and_not_many() {
        let mut due_times = DueTimes::new(&sync("*/15 * * * *", 0), Some(at(0)), at(1));
        assert!(due_times.is_due(at(600)));
        due_times.dealt_with(at(600));
        assert!(!due_times.is_due(at(600)));
        assert_eq!(due_times.next_at(), Some(at(615)));
    }

    #[test]
    fn downtime_over_several_firings_leaves_one_run_overdue() {
        let mut due_times = DueTimes::new(&sync("*/15 * * * *", 0), Some(at(0)), at(200));
        assert!(due_times.is_due(at(200)));
        due_times.dealt_with(at(200));
        assert_eq!(due_times.next_at(), Some(at(210)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_put_the_next_run_off_for_as_long() {
        let mut due_times = DueTimes::new(&sync("0 * * * *", 0), Some(at(1440)), at(1441));
        assert_eq!(due_times.next_at(), Some(at(1500)));
        due_times.look_at_the_clock(at(5));
        assert_eq!(due_times.next_at(), Some(at(60)));
    }

    #[test]
    fn jitter_delays_each_firing_and_never_beyond_what_is_allowed() {
        for _ in 0..50 {
            let due_times = DueTimes::new(&sync("0 * * * *", 600), Some(at(0)), at(1));
            let next = due_times.next_at().unwrap();
            assert!(at(60) <= next && next <= at(70), "{next:?}");
        }
    }

    #[test]
    fn many_wishes_for_a_run_soon_are_one() {
        let mut due_times = DueTimes::new(&sync("0 * * * *", 0), Some(at(0)), at(1));
        due_times.soon(at(3));
        due_times.soon(at(2));
        due_times.soon(at(9));
        assert_eq!(due_times.next_at(), Some(at(2)));
        due_times.dealt_with(at(2));
        assert_eq!(due_times.next_at(), Some(at(60)));
    }
}
