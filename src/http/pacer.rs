//! When the next request may go: one pacer per peer and credential, shared by everybody who talks to it.
//!
//! What lives here: the configured rate (governor's cells, halved on 429 and raised again step by step), the
//! windows that a peer's headers tell, the not-before gate of `Retry-After`, and the two lanes. What must not:
//! sending, and the decision whether a request may be repeated (that is the client's).
//!
//! *Invariant*: while a removal waits in a bucket, nothing of the general lane is let through there.
//!
//! Limits live in the peer's buckets (Okta counts lists of app users and point reads of users apart). Time is
//! tokio's, so that tests can pause it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use self::rate::Rate;
use super::Lane;
use super::ratelimit::RateSignals;

mod rate;

/// Nobody is kept waiting longer than this: a window of an hour (OneLogin's) and a little.
pub const LONGEST_WAIT: Duration = Duration::from_secs(65 * 60);
/// A 503 may name any `Retry-After`; nobody sits through an outage, the next run tries again.
const LONGEST_OUTAGE: Duration = Duration::from_secs(60);
/// Two answers of the same window may differ by the rounding of their clocks.
const SAME_WINDOW: Duration = Duration::from_secs(2);
/// Spread of the wait after a concurrency limit, so that the same requests do not meet again.
const CONCURRENCY_JITTER_MILLISECONDS: u64 = 500;

/// How fast a pacer lets requests go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At most so many a minute, with a burst of about one second's worth.
    RequestsPerMinute(u32),
    /// At most this part of the window that the peer's own headers tell; unhindered until they told one.
    WindowShare {
        /// 1..=100.
        percent: u8,
    },
}

/// What a pacer is made of.
#[derive(Debug, Clone, Copy)]
pub struct PacerOptions {
    /// The speed.
    pub pace: Pace,
    /// Share that only [`Lane::Removal`] may use, 0..=90.
    pub reserve_for_removals_percent: u8,
    /// Which of the peer's buckets a URL counts in.
    pub bucket_of: fn(&Url) -> &'static str,
}

impl PacerOptions {
    /// A peer with a single bucket and a configured rate.
    pub fn requests_per_minute(requests_per_minute: u32, reserve_for_removals_percent: u8) -> PacerOptions {
        PacerOptions {
            pace: Pace::RequestsPerMinute(requests_per_minute.max(1)),
            reserve_for_removals_percent,
            bucket_of: |_| "all",
        }
    }
}

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Times a request is sent at most because of faults (5xx, connection).
    pub attempts: u32,
    /// Times a request is sent at most because of 429.
    pub attempts_when_limited: u32,
    /// Delay before the first repetition; doubles, with jitter.
    pub first_delay: Duration,
    /// Longest delay.
    pub longest_delay: Duration,
}

impl RetryPolicy {
    /// The delays between the attempts at one request: doubling, with jitter; they end with the attempts.
    pub fn delays(&self) -> impl Iterator<Item = Duration> + Send + 'static {
        ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(self.attempts.saturating_sub(1) as usize)
            .with_jitter()
            .build()
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            attempts_when_limited: 6,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(20),
        }
    }
}

/// All pacers of a process.
#[derive(Debug, Default)]
pub struct Pacers {
    retry: RetryPolicy,
    known: Mutex<HashMap<String, Arc<Pacer>>>,
}

impl Pacers {
    /// With the usual patience.
    pub fn new() -> Pacers {
        Pacers::default()
    }

    /// With another patience: tests and the demo, whose peers are loopback fakes, need less.
    pub fn with_retry(retry: RetryPolicy) -> Pacers {
        Pacers { retry, known: Mutex::default() }
    }

    /// The pacer of this origin and credential. `credential` is a name for it (a reference, a client id), never
    /// the secret. Where two syncs ask for different rates, the lower one holds for both.
    pub fn get(&self, origin: &Url, credential: &str, options: PacerOptions) -> Arc<Pacer> {
        let key = format!("{} {credential}", origin.origin().ascii_serialization());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pacer) = known.get(&key) {
            pacer.tighten(options.pace);
            return Arc::clone(pacer);
        }
        let pacer = Arc::new(Pacer::with_retry(options, self.retry));
        known.insert(key, Arc::clone(&pacer));
        pacer
    }
}

/// What the headers told about the running window of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    limit: Option<u64>,
    remaining: u64,
    ends_at: Instant,
}

#[derive(Debug, Default)]
struct Bucket {
    window: Option<Window>,
    /// Requests of ours in the running window.
    used: u64,
    not_before: Option<Instant>,
    waiting_removals: usize,
}

/// The last known window of a bucket, for `check` and for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowFacts {
    /// Requests allowed in a window.
    pub limit: Option<u64>,
    /// Requests left.
    pub remaining: u64,
    /// Until the window ends.
    pub resets_in: Duration,
}

#[derive(Debug)]
struct State {
    rate: Option<Rate>,
    buckets: HashMap<&'static str, Bucket>,
}

/// Why a request was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptBack {
    /// The peer asks for a longer wait than [`LONGEST_WAIT`]: this one.
    TooLong(Duration),
    /// The wait would last beyond the request's own end.
    Expired,
}

enum Decision {
    Go,
    Wait(Duration),
    /// Until a removal that waits in the same bucket has gone.
    Behind,
}

/// Paces the requests to one peer with one credential.
#[derive(Debug)]
pub struct Pacer {
    options: PacerOptions,
    retry: RetryPolicy,
    state: Mutex<State>,
    moved: Notify,
}

impl Pacer {
    /// A pacer of its own, with the usual retries; usually one comes from [`Pacers::get`].
    pub fn new(options: PacerOptions) -> Pacer {
        Pacer::with_retry(options, RetryPolicy::default())
    }

    /// A pacer with its own patience.
    pub fn with_retry(options: PacerOptions, retry: RetryPolicy) -> Pacer {
        let rate = match options.pace {
            Pace::RequestsPerMinute(per_minute) => {
                Some(Rate::new(per_minute.max(1), options.reserve_for_removals_percent))
            }
            Pace::WindowShare { .. } => None,
        };
        let state = Mutex::new(State { rate, buckets: HashMap::new() });
        Pacer { options, retry, state, moved: Notify::new() }
    }

    /// How often a request may be repeated.
    pub fn retry_policy(&self) -> RetryPolicy {
        self.retry
    }

    /// The bucket that a URL counts in.
    pub fn bucket_of(&self, url: &Url) -> &'static str {
        (self.options.bucket_of)(url)
    }

    /// The last known window of a bucket.
    pub fn window(&self, bucket: &'static str) -> Option<WindowFacts> {
        let state = self.lock();
        let window = state.buckets.get(bucket)?.window?;
        let resets_in = window.ends_at.saturating_duration_since(Instant::now());
        Some(WindowFacts { limit: window.limit, remaining: window.remaining, resets_in })
    }

    /// The rate as it is now, requests a minute; `None` where the peer's headers set it.
    pub fn requests_per_minute(&self) -> Option<f64> {
        self.lock().rate.as_ref().map(Rate::per_minute)
    }

    /// Waits until a request of this lane may be sent. `Err` = the peer asks for a longer wait than anybody
    /// should sit through ([`LONGEST_WAIT`]).
    pub async fn admit(&self, lane: Lane, bucket: &'static str) -> Result<(), KeptBack> {
        self.admit_before(lane, bucket, None).await
    }

    /// As [`Pacer::admit`], and not after `end`: a wait that would last longer is not begun.
    pub async fn admit_before(
        &self,
        lane: Lane,
        bucket: &'static str,
        end: Option<Instant>,
    ) -> Result<(), KeptBack> {
        let mut waiting = None;
        loop {
            if end.is_some_and(|end| Instant::now() >= end) {
                return Err(KeptBack::Expired);
            }
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            let decision = self.decide(lane, bucket);
            match decision {
                Decision::Go => return Ok(()),
                Decision::Wait(wait) if wait > LONGEST_WAIT => return Err(KeptBack::TooLong(wait)),
                Decision::Wait(wait) if end.is_some_and(|end| Instant::now() + wait >= end) => {
                    return Err(KeptBack::Expired);
                }
                Decision::Wait(wait) => {
                    if lane == Lane::Removal && waiting.is_none() {
                        waiting = Some(WaitingRemoval::begin(self, bucket));
                    }
                    if wait > Duration::from_secs(10) {
                        tracing::info!(bucket, wait_seconds = wait.as_secs(), "waiting for the rate limit");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = moved => {}
                    }
                }
                Decision::Behind => match end {
                    None => moved.await,
                    Some(end) => tokio::select! {
                        () = tokio::time::sleep_until(end) => {}
                        () = moved => {}
                    },
                },
            }
        }
    }

    /// How long the peer's gate and window keep this lane back at least; zero where nothing does. The configured rate
    /// is not asked: it lets the next one through within moments.
    pub fn opens_in(&self, lane: Lane, bucket: &'static str) -> Duration {
        let now = Instant::now();
        let mut state = self.lock();
        let bucket = state.buckets.entry(bucket).or_default();
        let waits = [bucket.gate(now), bucket.window_wait(lane, &self.options, now)];
        waits.into_iter().flatten().max().unwrap_or_default()
    }

    /// Whether the peer's own headers keep this lane back, in whatever bucket.
    pub fn is_kept_back(&self, lane: Lane) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        state.buckets.values_mut().any(|bucket| {
            bucket.gate(now).is_some() || bucket.window_wait(lane, &self.options, now).is_some()
        })
    }

    /// Waits until the peer's gate opens for this lane, without sending anything, and keeps the place: while the
    /// [`Place`] is held, nothing of the general lane goes before a removal. Whoever needs a fresh proof takes it then.
    pub async fn place(self: Arc<Self>, lane: Lane, bucket: &'static str) -> Result<Place, KeptBack> {
        let place = Place::take(Arc::clone(&self), lane, bucket);
        loop {
            match self.opens_in(lane, bucket) {
                Duration::ZERO => return Ok(place),
                wait if wait > LONGEST_WAIT => return Err(KeptBack::TooLong(wait)),
                wait => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Takes in what an answer says. Returns how long to wait before the same request is sent again, where the
    /// peer asked for a wait (429, or 503 with `Retry-After`); `fallback` is used where it named no time.
    pub fn observe(
        &self,
        bucket: &'static str,
        status: u16,
        signals: &RateSignals,
        sent_at: Instant,
        fallback: Duration,
    ) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(rate) = state.rate.as_mut() {
            match status {
                429 => rate.halve(sent_at, now),
                200..=399 => rate.raise(now),
                _ => {}
            }
        }
        let bucket = state.buckets.entry(bucket).or_default();
        bucket.take_in(signals, now);
        let pause = match status {
            429 => Some(pause_after_429(signals, fallback)),
            503 => signals.retry_after.filter(|wait| !wait.is_zero()).map(|wait| wait.min(LONGEST_OUTAGE)),
            _ => None,
        };
        if let Some(pause) = pause {
            let until = now + pause;
            bucket.not_before = Some(bucket.not_before.map_or(until, |known| known.max(until)));
        }
        pause
    }

    fn decide(&self, lane: Lane, bucket: &'static str) -> Decision {
        let now = Instant::now();
        let mut state = self.lock();
        let State { rate, buckets } = &mut *state;
        let bucket = buckets.entry(bucket).or_default();
        if lane == Lane::General && bucket.waiting_removals > 0 {
            return Decision::Behind;
        }
        let waits = [bucket.gate(now), bucket.window_wait(lane, &self.options, now)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Decision::Wait(wait);
        }
        if let Some(wait) = rate.as_mut().and_then(|rate| rate.take(lane)) {
            return Decision::Wait(wait);
        }
        bucket.used += 1;
        if let Some(window) = bucket.window.as_mut() {
            window.remaining = window.remaining.saturating_sub(1);
        }
        Decision::Go
    }

    fn removal_waits(&self, bucket: &'static str) {
        self.lock().buckets.entry(bucket).or_default().waiting_removals += 1;
    }

    fn removal_went(&self, bucket: &'static str) {
        if let Some(bucket) = self.lock().buckets.get_mut(bucket) {
            bucket.waiting_removals = bucket.waiting_removals.saturating_sub(1);
        }
        self.moved.notify_waiters();
    }

    fn tighten(&self, pace: Pace) {
        let mut state = self.lock();
        if let (Pace::RequestsPerMinute(per_minute), Some(rate)) = (pace, state.rate.as_mut()) {
            rate.tighten(per_minute.max(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn gate(&mut self, now: Instant) -> Option<Duration> {
        let wait = self.not_before?.saturating_duration_since(now);
        if wait.is_zero() {
            self.not_before = None;
            return None;
        }
        Some(wait)
    }

    fn window_wait(&mut self, lane: Lane, options: &PacerOptions, now: Instant) -> Option<Duration> {
        let window = self.window?;
        let wait = window.ends_at.saturating_duration_since(now);
        if wait.is_zero() {
            self.window = None;
            self.used = 0;
            return None;
        }
        let share = match (options.pace, window.limit) {
            (Pace::WindowShare { percent }, Some(limit)) => {
                let all = (limit * u64::from(percent.clamp(1, 100)) / 100).max(1);
                let reserve = u64::from(options.reserve_for_removals_percent.min(90));
                match lane {
                    Lane::Removal => all,
                    Lane::General => (all * (100 - reserve) / 100).max(1),
                }
            }
            (Pace::WindowShare { .. }, None) | (Pace::RequestsPerMinute(_), _) => u64::MAX,
        };
        (window.remaining == 0 || self.used >= share).then_some(wait)
    }

    fn take_in(&mut self, signals: &RateSignals, now: Instant) {
        let (Some(remaining), Some(reset_after)) = (signals.remaining, signals.reset_after) else { return };
        if signals.is_concurrency_limit() {
            return;
        }
        let ends_at = now + reset_after;
        match self.window.as_mut() {
            Some(window) if ends_at <= window.ends_at + SAME_WINDOW => {
                window.limit = signals.limit;
                window.remaining = remaining;
                // The newest word holds: a refusal may name an earlier end than the answers before it.
                window.ends_at = ends_at;
            }
            Some(window) => {
                *window = Window { limit: signals.limit, remaining, ends_at };
                self.used = 1;
            }
            None => self.window = Some(Window { limit: signals.limit, remaining, ends_at }),
        }
    }
}

fn pause_after_429(signals: &RateSignals, fallback: Duration) -> Duration {
    let told = signals.retry_after.filter(|wait| !wait.is_zero());
    if signals.is_concurrency_limit() {
        // The reset is only a suggestion and may be past; it carries one second of rounding, which is the floor.
        let floor = signals.reset_after.unwrap_or(Duration::from_secs(1)).max(Duration::from_secs(1));
        let jitter = Duration::from_millis(fastrand::u64(0..=CONCURRENCY_JITTER_MILLISECONDS));
        return told.unwrap_or_default().max(floor) + jitter;
    }
    told.or(signals.reset_after).unwrap_or(fallback)
}

/// Counts a removal that waits, for as long as it waits, also where its request is dropped.
struct WaitingRemoval<'a> {
    pacer: &'a Pacer,
    bucket: &'static str,
}

impl<'a> WaitingRemoval<'a> {
    fn begin(pacer: &'a Pacer, bucket: &'static str) -> WaitingRemoval<'a> {
        pacer.removal_waits(bucket);
        WaitingRemoval { pacer, bucket }
    }
}

impl Drop for WaitingRemoval<'_> {
    fn drop(&mut self) {
        self.pacer.removal_went(self.bucket);
    }
}

/// A place at the front of a lane, kept while the holder makes ready what it sends.
#[derive(Debug)]
#[must_use]
pub struct Place {
    pacer: Arc<Pacer>,
    lane: Lane,
    bucket: &'static str,
}

impl Place {
    fn take(pacer: Arc<Pacer>, lane: Lane, bucket: &'static str) -> Place {
        if lane == Lane::Removal {
            pacer.removal_waits(bucket);
        }
        Place { pacer, lane, bucket }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.lane == Lane::Removal {
            self.pacer.removal_went(self.bucket);
        }
    }
}

#[cfg(test)]
mod tests;
