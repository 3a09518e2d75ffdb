//! What a client counted: the numbers behind reports and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A client's numbers at one moment. They only grow; take the difference of two for a run's share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, repetitions included.
    pub requests: u64,
    /// Answers that asked us to slow down (429).
    pub rate_limited: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Answers by HTTP status; 0 = no complete answer came.
    pub by_status: BTreeMap<u16, u64>,
}

/// Upper bounds of the classes of durations, seconds; whatever took longer is in one more class.
pub const DURATION_BOUNDS_SECONDS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Requests by how they ended and by how long they took. They only grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrafficTotals {
    /// Requests by HTTP status; 0 = no complete answer came.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests by duration: one class for each of [`DURATION_BOUNDS_SECONDS`], and one for the rest.
    pub by_duration: [u64; DURATION_BOUNDS_SECONDS.len() + 1],
    /// All durations together, seconds.
    pub seconds: f64,
}

impl TrafficTotals {
    /// Answers that asked us to slow down (429).
    pub fn rate_limited(&self) -> u64 {
        self.by_status.get(&429).copied().unwrap_or_default()
    }

    /// Requests that ended one way or the other.
    pub fn ended(&self) -> u64 {
        self.by_duration.iter().sum()
    }

    /// Adds another client's.
    pub fn add(&mut self, other: &TrafficTotals) {
        let TrafficTotals { by_status, by_duration, seconds } = other;
        for (status, number) in by_status {
            *self.by_status.entry(*status).or_default() += number;
        }
        for (mine, theirs) in self.by_duration.iter_mut().zip(by_duration) {
            *mine += theirs;
        }
        self.seconds += seconds;
    }

    fn count(&mut self, status: u16, took: Duration) {
        *self.by_status.entry(status).or_default() += 1;
        let seconds = took.as_secs_f64();
        let class = DURATION_BOUNDS_SECONDS.iter().filter(|bound| seconds > **bound).count();
        if let Some(slot) = self.by_duration.get_mut(class) {
            *slot += 1;
        }
        self.seconds += seconds;
    }
}

/// A handle on a client's counters: cheap to clone, readable at any time, also when the client is gone.
#[derive(Debug, Clone)]
pub struct Traffic(Arc<Counting>);

impl Traffic {
    /// What was counted so far.
    pub fn totals(&self) -> TrafficTotals {
        self.0.traffic().clone()
    }

    /// Whether both are handles on the same counters.
    pub fn is_same(&self, other: &Traffic) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether this is the last handle and its client is gone, so that nothing will be counted any more.
    pub fn is_final(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// The living counters of a client; its clones share them.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    requests: AtomicU64,
    retries: AtomicU64,
    traffic: Mutex<TrafficTotals>,
}

impl Counting {
    pub(crate) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// `took`: from sending to the last byte, or to the failure.
    pub(crate) fn answered(&self, status: Option<u16>, took: Duration) {
        self.traffic().count(status.unwrap_or(0), took);
    }

    pub(crate) fn read(&self) -> Counters {
        let traffic = self.traffic();
        Counters {
            requests: self.requests.load(Ordering::Relaxed),
            rate_limited: traffic.rate_limited(),
            retries: self.retries.load(Ordering::Relaxed),
            by_status: traffic.by_status.clone(),
        }
    }

    pub(crate) fn handle(self: &Arc<Counting>) -> Traffic {
        Traffic(Arc::clone(self))
    }

    fn traffic(&self) -> MutexGuard<'_, TrafficTotals> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_by_status_and_once_by_duration() {
        let counting = Arc::new(Counting::default());
        let handle = counting.handle();
        counting.answered(Some(200), Duration::from_millis(25));
        counting.answered(Some(429), Duration::from_millis(26));
        counting.answered(None, Duration::from_secs(31));
        let totals = handle.totals();
        assert_eq!(totals.by_status, BTreeMap::from([(0, 1), (200, 1), (429, 1)]));
        assert_eq!(totals.by_duration, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], "a bound belongs to its class");
        assert_eq!((totals.ended(), totals.rate_limited()), (3, 1));
        assert!((totals.seconds - 31.051).abs() < 1e-9);
    }

    #[test]
    fn a_handle_outlives_its_client_and_knows_it() {
        let counting = Arc::new(Counting::default());
        let handle = counting.handle();
        counting.answered(Some(200), Duration::ZERO);
        assert!(!handle.is_final() && handle.is_same(&counting.handle()));
        drop(counting);
        assert!(handle.is_final());
        assert_eq!(handle.totals().ended(), 1);
    }
}
