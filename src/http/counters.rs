//! What a client counted: the numbers behind reports and metrics.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The living counters of a client; its clones share them.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    requests: AtomicU64,
    rate_limited: AtomicU64,
    retries: AtomicU64,
    by_status: Mutex<BTreeMap<u16, u64>>,
}

impl Counting {
    pub(crate) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: Option<u16>) {
        if status == Some(429) {
            self.rate_limited.fetch_add(1, Ordering::Relaxed);
        }
        let mut by_status = self.by_status.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *by_status.entry(status.unwrap_or(0)).or_default() += 1;
    }

    pub(crate) fn read(&self) -> Counters {
        Counters {
            requests: self.requests.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            by_status: self.by_status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
        }
    }
}
