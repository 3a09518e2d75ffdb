//! The configured rate of a pacer: governor's cells, halved on 429 and raised again step by step.
//!
//! What lives here: one rate with its two lanes. What must not: windows and gates that a peer's headers tell.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed, RateLimiter};
use tokio::time::Instant;

use crate::http::Lane;

/// How long the rate stays before it is raised by a step.
pub(super) const RAISE_AFTER: Duration = Duration::from_secs(5);
/// A step is this part of the configured rate.
pub(super) const RAISE_STEPS: f64 = 20.0;
/// The rate is never cut below this part of the configured one.
pub(super) const LOWEST_PART: f64 = 1.0 / 32.0;

/// Tokio's clock for governor, so that paused time holds here too.
#[derive(Debug, Clone, Copy)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Cells = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// The configured rate and what 429s made of it.
#[derive(Debug)]
pub(super) struct Rate {
    configured: f64,
    current: f64,
    reserve_percent: u8,
    clock: TokioClock,
    total: Cells,
    general: Cells,
    /// A cell of `general` that was taken while `total` had none.
    general_in_hand: bool,
    changed_at: Instant,
    halved_at: Option<Instant>,
}

impl Rate {
    pub(super) fn new(per_minute: u32, reserve_percent: u8) -> Rate {
        let clock = TokioClock(Instant::now());
        let current = f64::from(per_minute);
        Rate {
            configured: current,
            current,
            reserve_percent,
            clock,
            total: cells(current, clock),
            general: cells(general_rate(current, reserve_percent), clock),
            general_in_hand: false,
            changed_at: Instant::now(),
            halved_at: None,
        }
    }

    /// `None` = a cell was taken.
    pub(super) fn take(&mut self, lane: Lane) -> Option<Duration> {
        if lane == Lane::General && !self.general_in_hand {
            if let Some(wait) = take_cell(&self.general, self.clock) {
                return Some(wait);
            }
            self.general_in_hand = true;
        }
        let wait = take_cell(&self.total, self.clock);
        if wait.is_none() && lane == Lane::General {
            self.general_in_hand = false;
        }
        wait
    }

    /// The rate as it is now, requests a minute.
    pub(super) fn per_minute(&self) -> f64 {
        self.current
    }

    /// Lowers the configured rate, if this is lower.
    pub(super) fn tighten(&mut self, per_minute: u32) {
        if f64::from(per_minute) < self.configured {
            self.configured = f64::from(per_minute);
            self.change_to(self.current, Instant::now());
        }
    }

    fn change_to(&mut self, rate: f64, now: Instant) {
        self.current = rate.clamp(self.configured * LOWEST_PART, self.configured);
        self.total = empty_cells(self.current, self.clock);
        self.general = empty_cells(general_rate(self.current, self.reserve_percent), self.clock);
        self.general_in_hand = false;
        self.changed_at = now;
    }

    /// Halves once per burst of refusals: those sent before the last cut say nothing about the new rate.
    pub(super) fn halve(&mut self, sent_at: Instant, now: Instant) {
        if self.halved_at.is_none_or(|halved_at| sent_at > halved_at) {
            self.change_to(self.current / 2.0, now);
            self.halved_at = Some(now);
        }
    }

    pub(super) fn raise(&mut self, now: Instant) {
        if self.current < self.configured && now.duration_since(self.changed_at) >= RAISE_AFTER {
            self.change_to(self.current + self.configured / RAISE_STEPS, now);
        }
    }
}

fn general_rate(rate: f64, reserve_percent: u8) -> f64 {
    rate * f64::from(100 - reserve_percent.min(90)) / 100.0
}

fn quota(per_minute: f64) -> Quota {
    let burst = NonZeroU32::new((per_minute / 60.0) as u32).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(Duration::from_secs_f64(60.0 / per_minute.max(0.01)))
        .unwrap_or(Quota::per_minute(NonZeroU32::MIN))
        .allow_burst(burst)
}

fn cells(per_minute: f64, clock: TokioClock) -> Cells {
    RateLimiter::direct_with_clock(quota(per_minute), clock)
}

/// A changed rate starts without a burst, else each change would be a gift.
fn empty_cells(per_minute: f64, clock: TokioClock) -> Cells {
    let cells = cells(per_minute, clock);
    let _ = cells.check_n(quota(per_minute).burst_size());
    cells
}

fn take_cell(cells: &Cells, clock: TokioClock) -> Option<Duration> {
    cells.check().err().map(|not_until| {
        let wait: Duration = not_until.earliest_possible().duration_since(clock.now()).into();
        wait.max(Duration::from_millis(1))
    })
}
