//! When what is owed is tried again, and when it is owed no more.

use super::*;
use crate::model::link::LinkState;
use crate::store::record::sample_tests::{Book, id, login};

const SECOND: i64 = 1000;

fn entry(verb: Verb) -> OwedEntry {
    OwedEntry {
        source_id: id("ann"),
        user: login("ann"),
        target_id: None,
        verb,
        cause: None,
        waits_for: WaitsFor::Retry,
        attempted: true,
        refused: false,
        detail: "503".to_owned(),
        desired: None,
    }
}

/// What is owed after each of these, one after the other: how long it waits by itself, and for how many full runs.
async fn waits(entries: impl IntoIterator<Item = OwedEntry>) -> Vec<(Option<i64>, u32)> {
    let book = Book::new().await;
    let now = Millis::now();
    let mut waits = Vec::new();
    for entry in entries {
        book.store.note_judged_removals(&book.tenure, vec![entry], now).await.unwrap();
        let owed = book.store.snapshot().owed("default").await.unwrap().remove(0);
        waits.push((owed.next_try_at.map(|at| at.since(now) / SECOND), owed.wait_runs));
    }
    waits
}

#[tokio::test]
async fn a_removal_is_tried_again_after_half_a_minute_and_ever_more_rarely_down_to_every_ten_minutes() {
    let tries = waits((0..6).map(|_| entry(Verb::Deactivate))).await;
    assert_eq!(tries, [30, 60, 120, 300, 600, 600].map(|seconds| (Some(seconds), 0)));
}

#[tokio::test]
async fn the_third_refusal_of_one_account_in_a_row_is_for_good_and_it_is_tried_hourly() {
    let refusal = || OwedEntry { refused: true, ..entry(Verb::Deactivate) };
    let not_tried = OwedEntry { attempted: false, ..entry(Verb::Deactivate) };
    let tries = waits([refusal(), refusal(), refusal(), not_tried, entry(Verb::Deactivate), refusal()]).await;
    assert_eq!(
        tries,
        [30, 60, 3600, 3600, 300, 600].map(|seconds| (Some(seconds), 0)),
        "a row that broke begins anew"
    );
}

#[tokio::test]
async fn what_is_no_removal_waits_for_twice_as_many_full_runs_each_time_up_to_thirty_two() {
    let tries = waits((0..7).map(|_| entry(Verb::Update))).await;
    assert_eq!(tries, [1, 2, 4, 8, 16, 32, 32].map(|runs| (None, runs)));
}

#[tokio::test]
async fn nothing_waits_longer_than_a_day_however_rare_the_runs_are() {
    let book = Book::new().await;
    for (hours, runs) in [(23, 1), (25, 2)] {
        let then = Millis(Millis::now().0 - hours * 3600 * SECOND);
        book.store.note_judged_removals(&book.tenure, vec![entry(Verb::Update)], then).await.unwrap();
        let owed = book.store.snapshot().owed("default").await.unwrap().remove(0);
        assert_eq!(owed.wait_runs, if hours < 24 { runs } else { 0 }, "{hours} hours");
    }
}

#[tokio::test]
async fn a_removal_that_waits_for_somebody_is_not_tried_by_itself() {
    for waits_for in WaitsFor::ALL {
        let waiting = OwedEntry { waits_for, ..entry(Verb::Deactivate) };
        let by_itself = waits([waiting]).await[0].0.is_some();
        assert_eq!(by_itself, waits_for.meaning() == WaitMeaning::Undone, "{waits_for:?}");
    }
}

#[tokio::test]
async fn a_removal_that_another_run_has_done_meanwhile_is_owed_no_more() {
    let left = |state| async move {
        let mut book = Book::new().await;
        let run = book.begin().await;
        let intent = book.send(run, "ann").await;
        book.answer(intent, "ann", state).await;
        book
    };
    let untried = || OwedEntry { attempted: false, ..entry(Verb::Deactivate) };
    let out = LinkState::Deactivated(Millis(1));
    let table = [
        (LinkState::Active, untried(), true, "the account is still active"),
        (out, untried(), false, "it was deactivated by the run that was met"),
        (out, entry(Verb::Deactivate), true, "it was tried just now, and refused"),
        (out, OwedEntry { waits_for: WaitsFor::Approval, ..untried() }, true, "it waits for somebody"),
        (out, OwedEntry { verb: Verb::Delete, ..untried() }, true, "a deletion is more than that"),
    ];
    for (state, entry, is_owed, why) in table {
        let book = left(state).await;
        book.store.note_judged_removals(&book.tenure, vec![entry], book.at()).await.unwrap();
        assert_eq!(!book.store.snapshot().owed("default").await.unwrap().is_empty(), is_owed, "{why}");
    }
}

#[tokio::test]
async fn everything_that_is_owed_to_somebody_ends_at_once_and_is_counted() {
    let book = Book::new().await;
    let other = OwedEntry { source_id: id("ben"), ..entry(Verb::Update) };
    let entries = vec![entry(Verb::Deactivate), entry(Verb::Update), other];
    book.store.note_judged_removals(&book.tenure, entries, book.at()).await.unwrap();
    let ann = id("ann");
    let ended = book
        .store
        .transact_as(&book.tenure, move |transaction, tenure| {
            end_all_of(transaction, &tenure.sync, ann.as_str())
        })
        .await;
    assert_eq!(ended.unwrap(), 2);
    let left = book.store.snapshot().owed("default").await.unwrap();
    assert_eq!(left.into_iter().map(|owed| owed.source_id).collect::<Vec<_>>(), [id("ben")]);
}
