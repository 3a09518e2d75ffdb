//! What a peer tells about our clock: the `Date` of its answers (RFC 9110 section 6.6.1) beside the time at which they
//! came.
//!
//! What lives here: the witness that one peer is, and how it ages. What must not: what follows from a clock that is
//! wrong, and the comparison of two witnesses.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AGE, HeaderMap};
use tokio::time::Instant;

use super::ratelimit::server_time;
use crate::model::time::Millis;

/// `Date` is told in whole seconds, cut off.
const RESOLUTION_MILLIS: i64 = 1_000;
/// What was heard longer ago than this is no witness any more.
pub const WITNESS_VALID: Duration = Duration::from_secs(3_600);

/// How far a peer's clock is ahead of ours, as one of its answers told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockWitness {
    /// The peer's clock less ours when the answer came; negative where ours is ahead. `Date` has a resolution of a
    /// second and an answer is under way for a while: of all offsets that fit, the one nearest to 0.
    pub offset_millis: i64,
    /// When the answer came, by a clock that nobody sets.
    pub heard: Instant,
    /// When it came, by our clock.
    pub heard_at: Millis,
}

impl ClockWitness {
    /// Reads one answer; `None` where it has no `Date`, or an `Age` (then it was kept by somebody in between, and its
    /// `Date` is an old one). `under_way` is the time since the request was sent.
    pub(super) fn of(headers: &HeaderMap, under_way: Duration) -> Option<ClockWitness> {
        if headers.contains_key(AGE) {
            return None;
        }
        let told = server_time(headers)?.checked_mul(1_000)?;
        Some(ClockWitness::heard_now(told, under_way, Millis::now()))
    }

    fn heard_now(told_millis: i64, under_way: Duration, now: Millis) -> ClockWitness {
        let under_way = i64::try_from(under_way.as_millis()).unwrap_or(i64::MAX);
        // The peer looked at its clock somewhere between the sending and the coming.
        let least = told_millis.saturating_sub(now.0);
        let most = least.saturating_add(RESOLUTION_MILLIS).saturating_add(under_way);
        ClockWitness {
            offset_millis: 0_i64.clamp(least, most.max(least)),
            heard: Instant::now(),
            heard_at: now,
        }
    }

    /// The offset as it is now: the peer's clock has gone on by the clock that nobody sets, and ours may have been set
    /// since. An aged offset that is off is to be asked for again rather than believed, because a machine that slept
    /// shows the same.
    pub fn offset_now_millis(&self) -> i64 {
        self.offset_at(Millis::now())
    }

    fn offset_at(&self, now: Millis) -> i64 {
        let passed = i64::try_from(self.heard.elapsed().as_millis()).unwrap_or(i64::MAX);
        let ours = now.0.saturating_sub(self.heard_at.0);
        self.offset_millis.saturating_add(passed).saturating_sub(ours)
    }

    /// Time since the answer came.
    pub fn age(&self) -> Duration {
        self.heard.elapsed()
    }
}

/// The answer of one peer that is nearest to our clock.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    nearest: Mutex<Option<ClockWitness>>,
}

impl Hearing {
    /// Keeps what is nearer to our clock than what is known.
    pub(super) fn hear(&self, heard: ClockWitness) {
        let mut nearest = self.nearest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = nearest.filter(|known| known.age() < WITNESS_VALID);
        // At the same distance the newer one: it has aged less.
        let is_nearer = known.is_none_or(|known| {
            heard.offset_millis.unsigned_abs() <= known.offset_at(heard.heard_at).unsigned_abs()
        });
        if is_nearer {
            *nearest = Some(heard);
        }
    }

    /// What was kept, while it is younger than an hour.
    pub(super) fn witness(&self) -> Option<ClockWitness> {
        let nearest = self.nearest.lock().unwrap_or_else(PoisonError::into_inner);
        nearest.filter(|known| known.age() < WITNESS_VALID)
    }

    pub(super) fn forget(&self) {
        *self.nearest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{DATE, HeaderValue};

    const NOW: Millis = Millis(1_700_000_000_500);
    /// The second in which `NOW` lies.
    const DATE_TEXT: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

    fn offset(told_millis: i64, under_way_millis: u64) -> i64 {
        ClockWitness::heard_now(told_millis, Duration::from_millis(under_way_millis), NOW).offset_millis
    }

    #[test]
    fn a_date_is_a_second_wide_and_as_much_wider_as_the_answer_was_under_way() {
        let this_second = 1_700_000_000_000;
        assert_eq!(offset(this_second, 0), 0, "half a second is within the resolution");
        assert_eq!(offset(this_second + 1_000, 0), 500, "the next second has not begun here");
        assert_eq!(offset(this_second - 1_000, 0), -500);
        assert_eq!(offset(this_second - 1_000, 500), 0, "it may have been told half a second ago");
        assert_eq!(offset(this_second - 7_200_000, 30_000), -7_169_500, "ours is two hours ahead");
        assert_eq!(offset(this_second + 7_200_000, 30_000), 7_199_500, "ours is two hours behind");
        assert_eq!(offset(i64::MIN, u64::MAX), 0, "foreign numbers do not overflow");
    }

    #[test]
    fn an_answer_with_an_age_and_one_without_a_date_are_no_witness() {
        let mut headers = HeaderMap::new();
        assert_eq!(ClockWitness::of(&headers, Duration::ZERO), None);
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert_eq!(ClockWitness::of(&headers, Duration::ZERO), None);
        headers.insert(DATE, HeaderValue::from_static(DATE_TEXT));
        assert!(ClockWitness::of(&headers, Duration::ZERO).is_some_and(|heard| heard.offset_millis < -1_000));
        headers.insert(AGE, HeaderValue::from_static("0"));
        assert_eq!(ClockWitness::of(&headers, Duration::ZERO), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_nearest_to_our_clock_is_kept_for_an_hour_or_until_it_is_forgotten() {
        let heard = |offset_millis| ClockWitness {
            offset_millis,
            heard: Instant::now(),
            heard_at: Millis(Instant::now().elapsed().as_millis() as i64),
        };
        let hearing = Hearing::default();
        for offset in [400_000, -2_000, 30_000, -90_000] {
            hearing.hear(heard(offset));
        }
        assert_eq!(hearing.witness().map(|witness| witness.offset_millis), Some(-2_000));
        tokio::time::advance(WITNESS_VALID).await;
        assert_eq!(hearing.witness(), None, "an hour is over");
        hearing.hear(heard(400_000));
        assert_eq!(hearing.witness().map(|witness| witness.offset_millis), Some(400_000));
        hearing.forget();
        assert_eq!(hearing.witness(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_offset_ages_by_the_clock_that_nobody_sets() {
        let witness = ClockWitness { offset_millis: 300, heard: Instant::now(), heard_at: NOW };
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(witness.offset_at(Millis(NOW.0 + 600_000)), 300, "both went on alike");
        assert_eq!(witness.offset_at(Millis(NOW.0 + 7_800_000)), 300 - 7_200_000, "ours was set ahead");
        assert_eq!(witness.age(), Duration::from_secs(600));
    }
}
