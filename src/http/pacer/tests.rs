//! The pacer on paused time: rates, windows, lanes.

use super::rate::{LOWEST_PART, RAISE_AFTER};
use super::*;
use futures_util::FutureExt;

fn signals(limit: u64, remaining: u64, reset_seconds: u64) -> RateSignals {
    RateSignals {
        limit: Some(limit),
        remaining: Some(remaining),
        reset_after: Some(Duration::from_secs(reset_seconds)),
        retry_after: None,
    }
}

fn share(percent: u8) -> Pacer {
    Pacer::new(PacerOptions {
        pace: Pace::WindowShare { percent },
        reserve_for_removals_percent: 20,
        bucket_of: |_| "all",
    })
}

fn rate(requests_per_minute: u32) -> Pacer {
    Pacer::new(PacerOptions::requests_per_minute(requests_per_minute, 20))
}

/// Requests of a lane that are let through without any waiting.
fn at_once(pacer: &Pacer, lane: Lane) -> u32 {
    let mut count = 0;
    while count < 10_000 && pacer.admit(lane, "all").now_or_never().is_some() {
        count += 1;
    }
    count
}

async fn admitted_within(pacer: &Pacer, lane: Lane, time: Duration) -> u32 {
    let mut count = 0;
    let _ = tokio::time::timeout(time, async {
        loop {
            pacer.admit(lane, "all").await.unwrap();
            count += 1;
        }
    })
    .await;
    count
}

const FALLBACK: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_configured_rate_is_kept_and_the_burst_is_about_one_second() {
    let pacer = rate(600);
    assert_eq!(at_once(&pacer, Lane::Removal), 10);
    let in_a_minute = admitted_within(&pacer, Lane::Removal, Duration::from_secs(60)).await;
    assert!((598..=601).contains(&in_a_minute), "{in_a_minute}");
}

#[tokio::test(start_paused = true)]
async fn the_general_lane_leaves_the_reserve_to_removals() {
    let pacer = rate(600);
    let general = admitted_within(&pacer, Lane::General, Duration::from_secs(60)).await;
    assert!((480..=490).contains(&general), "{general}");
    assert!(at_once(&pacer, Lane::Removal) > 0, "removals still have cells of their own");
}

#[tokio::test(start_paused = true)]
async fn a_rate_below_one_a_second_still_lets_the_first_request_through() {
    let pacer = rate(6);
    assert_eq!(at_once(&pacer, Lane::General), 1);
    let started = Instant::now();
    pacer.admit(Lane::Removal, "all").await.unwrap();
    assert!(started.elapsed() <= Duration::from_secs(11), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_removal_overtakes_everybody_of_the_general_lane() {
    let pacer = Arc::new(rate(60));
    assert_eq!(at_once(&pacer, Lane::Removal), 1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let spawn = |lane| {
        let (pacer, order) = (Arc::clone(&pacer), Arc::clone(&order));
        tokio::spawn(async move {
            pacer.admit(lane, "all").await.unwrap();
            order.lock().unwrap().push(lane);
        })
    };
    let general: Vec<_> = (0..3).map(|_| spawn(Lane::General)).collect();
    tokio::task::yield_now().await;
    let removals: Vec<_> = (0..3).map(|_| spawn(Lane::Removal)).collect();
    for task in general.into_iter().chain(removals) {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!(order[..3], [Lane::Removal; 3], "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_gives_up_waiting_lets_the_others_go() {
    let pacer = rate(60);
    assert_eq!(at_once(&pacer, Lane::Removal), 1);
    let impatient = tokio::time::timeout(Duration::from_millis(10), pacer.admit(Lane::Removal, "all"));
    assert!(impatient.await.is_err());
    let general = tokio::time::timeout(Duration::from_secs(5), pacer.admit(Lane::General, "all"));
    assert_eq!(general.await, Ok(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_halved_once_per_burst_of_refusals_and_comes_back() {
    let pacer = rate(600);
    tokio::time::advance(Duration::from_secs(1)).await;
    let sent_at = Instant::now();
    tokio::time::advance(Duration::from_millis(50)).await;
    for _ in 0..4 {
        // All four were in flight together: they say the same thing.
        pacer.observe("all", 429, &RateSignals::default(), sent_at, FALLBACK);
    }
    assert_eq!(pacer.requests_per_minute(), Some(300.0));
    for _ in 0..20 {
        tokio::time::advance(RAISE_AFTER).await;
        pacer.observe("all", 200, &RateSignals::default(), Instant::now(), FALLBACK);
    }
    assert_eq!(pacer.requests_per_minute(), Some(600.0));
}

#[tokio::test(start_paused = true)]
async fn the_rate_never_falls_to_nothing() {
    let pacer = rate(600);
    for _ in 0..50 {
        tokio::time::advance(Duration::from_secs(1)).await;
        pacer.observe("all", 429, &RateSignals::default(), Instant::now(), FALLBACK);
    }
    assert_eq!(pacer.requests_per_minute(), Some(600.0 * LOWEST_PART));
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_both_lanes_back() {
    let pacer = rate(600);
    let told = RateSignals { retry_after: Some(Duration::from_secs(30)), ..RateSignals::default() };
    let pause = pacer.observe("all", 429, &told, Instant::now(), FALLBACK);
    assert_eq!(pause, Some(Duration::from_secs(30)));
    for lane in [Lane::General, Lane::Removal] {
        assert!(pacer.admit(lane, "all").now_or_never().is_none(), "{lane:?}");
    }
    let started = Instant::now();
    pacer.admit(Lane::Removal, "all").await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(30));
    assert!(pacer.admit(Lane::General, "elsewhere").now_or_never().is_some(), "another bucket is free");
}

#[tokio::test(start_paused = true)]
async fn a_pause_nobody_should_sit_through_is_an_error() {
    let pacer = rate(600);
    let told = RateSignals { retry_after: Some(Duration::from_secs(86_400)), ..RateSignals::default() };
    pacer.observe("all", 429, &told, Instant::now(), FALLBACK);
    assert!(pacer.admit(Lane::Removal, "all").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn without_any_header_a_source_is_not_slowed() {
    assert_eq!(at_once(&share(50), Lane::General), 10_000);
}

#[tokio::test(start_paused = true)]
async fn at_most_the_share_of_the_window_is_used_and_the_next_window_is_free_again() {
    let pacer = share(50);
    assert_eq!(pacer.admit(Lane::General, "all").await, Ok(()));
    pacer.observe("all", 200, &signals(100, 99, 60), Instant::now(), FALLBACK);
    // Half of 100; the general lane may use 80 % of it, and one request is used.
    assert_eq!(at_once(&pacer, Lane::General), 39);
    assert_eq!(at_once(&pacer, Lane::Removal), 10);
    let started = Instant::now();
    pacer.admit(Lane::General, "all").await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(60));
    pacer.observe("all", 200, &signals(100, 99, 60), Instant::now(), FALLBACK);
    assert_eq!(at_once(&pacer, Lane::General), 39);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_window_is_waited_out_whoever_used_it() {
    let pacer = share(100);
    pacer.observe("all", 200, &signals(100, 0, 17), Instant::now(), FALLBACK);
    let started = Instant::now();
    pacer.admit(Lane::Removal, "all").await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(17));
}

#[tokio::test(start_paused = true)]
async fn the_newest_word_about_a_window_holds() {
    let pacer = share(100);
    pacer.observe("all", 200, &signals(100, 90, 60), Instant::now(), FALLBACK);
    pacer.observe("all", 429, &signals(100, 0, 5), Instant::now(), FALLBACK);
    let started = Instant::now();
    pacer.admit(Lane::General, "all").await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_waits_at_least_a_second_and_leaves_the_window_alone() {
    let pacer = share(50);
    let told = RateSignals { reset_after: Some(Duration::ZERO), ..signals(0, 0, 0) };
    let pause = pacer.observe("all", 429, &told, Instant::now(), Duration::from_millis(1)).unwrap();
    assert!(pause >= Duration::from_secs(1), "{pause:?}");
    assert_eq!(pacer.window("all"), None);
}

#[tokio::test(start_paused = true)]
async fn two_syncs_of_one_credential_share_a_pacer_and_the_lower_rate_holds() {
    let pacers = Pacers::new();
    let origin = Url::parse("https://a.example/scim/v2").unwrap();
    let first = pacers.get(&origin, "token", PacerOptions::requests_per_minute(400, 20));
    let elsewhere = Url::parse("https://a.example/other").unwrap();
    let second = pacers.get(&elsewhere, "token", PacerOptions::requests_per_minute(100, 20));
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.requests_per_minute(), Some(100.0));
    let other = pacers.get(&origin, "another token", PacerOptions::requests_per_minute(400, 20));
    assert!(!Arc::ptr_eq(&first, &other));
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_requests_end_is_not_begun() {
    let pacer = rate(600);
    let limited = RateSignals { retry_after: Some(Duration::from_secs(150)), ..RateSignals::default() };
    pacer.observe("all", 429, &limited, Instant::now(), FALLBACK);
    assert_eq!(pacer.opens_in(Lane::Removal, "all"), Duration::from_secs(150));
    let begun = Instant::now();
    let end = Some(begun + Duration::from_secs(120));
    assert_eq!(pacer.admit_before(Lane::Removal, "all", end).await, Err(KeptBack::Expired));
    assert_eq!(begun.elapsed(), Duration::ZERO, "told at once");
    let later = Some(begun + Duration::from_secs(200));
    assert_eq!(pacer.admit_before(Lane::Removal, "all", later).await, Ok(()));
    assert_eq!(begun.elapsed(), Duration::from_secs(150));
    assert_eq!(pacer.opens_in(Lane::Removal, "all"), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_kept_from_the_opening_of_the_gate_until_the_proof_was_taken() {
    let pacer = Arc::new(rate(600));
    let limited = RateSignals { retry_after: Some(Duration::from_secs(150)), ..RateSignals::default() };
    pacer.observe("all", 429, &limited, Instant::now(), FALLBACK);
    let begun = Instant::now();
    let place = Arc::clone(&pacer).place(Lane::Removal, "all").await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(150));
    // While the proof is taken nobody else goes first, and a general request gives up at its own end.
    let end = Some(Instant::now() + Duration::from_secs(5));
    assert_eq!(pacer.admit_before(Lane::General, "all", end).await, Err(KeptBack::Expired));
    assert_eq!(pacer.admit(Lane::Removal, "all").await, Ok(()));
    drop(place);
    assert_eq!(pacer.admit(Lane::General, "all").await, Ok(()));
}
