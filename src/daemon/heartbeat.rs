//! The loop's pulse: when it last turned, for `/healthz` and the watchdog.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A loop that has not turned for this long is stuck. It turns at least once a minute, whether there is anything to
/// do or not; two missed turns are more than chance.
pub const STUCK_AFTER: Duration = Duration::from_secs(150);

/// When the loop last turned. Runs are tasks of their own, so that a long run does not stop it. The clock is the
/// monotonic one: a wall clock that jumps makes nobody ill.
#[derive(Debug)]
pub struct Heartbeat {
    began: Instant,
    /// Milliseconds from `began` to the last beat.
    last: AtomicI64,
}

impl Heartbeat {
    /// Counts as a first beat.
    pub fn new() -> Heartbeat {
        Heartbeat { began: Instant::now(), last: AtomicI64::new(0) }
    }

    /// The loop turned.
    pub fn beat(&self) {
        self.last.store(self.elapsed_millis(), Ordering::Relaxed);
    }

    /// How long ago the last beat was.
    pub fn age(&self) -> Duration {
        let millis = self.elapsed_millis() - self.last.load(Ordering::Relaxed);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Whether the loop turns.
    pub fn is_alive(&self) -> bool {
        self.age() < STUCK_AFTER
    }

    fn elapsed_millis(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Heartbeat {
    fn default() -> Heartbeat {
        Heartbeat::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_misses_two_turns_is_stuck_until_it_turns_again() {
        let heartbeat = Heartbeat::new();
        tokio::time::advance(Duration::from_secs(120)).await;
        assert!(heartbeat.is_alive());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!heartbeat.is_alive());
        assert_eq!(heartbeat.age(), STUCK_AFTER);
        heartbeat.beat();
        assert_eq!((heartbeat.is_alive(), heartbeat.age()), (true, Duration::ZERO));
    }
}
