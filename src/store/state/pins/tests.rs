//! Pauses and kept accounts, as the state holds them.

use super::*;
use crate::store::Past;
use crate::store::record::sample_tests::{Book, DAY, id, login};

const MINUTE: i64 = 60_000;

#[tokio::test]
async fn a_pause_lasts_until_its_time_and_its_end_asks_for_the_full_run_that_makes_up_for_it() {
    let book = Book::new().await;
    let until = Millis(book.now + MINUTE);
    book.store.set_pause("default", Some(until), "root", book.at()).await.unwrap();
    for (at, expected) in [(book.now, Some(until)), (until.0 - 1, Some(until)), (until.0, None)] {
        let paused = book.store.snapshot().paused_until("default", Millis(at)).await.unwrap();
        assert_eq!(paused, expected, "{at}");
    }
    let look = |at: i64| book.store.look_at_pause("default", Millis(at));
    assert_eq!(look(until.0 - 1).await.unwrap(), Some(until));
    assert_eq!(book.store.snapshot().owed_full_run("default").await.unwrap(), None);
    assert_eq!(look(until.0).await.unwrap(), None);
    let owed = book.store.snapshot().owed_full_run("default").await.unwrap().unwrap();
    assert_eq!(owed.reason, "the pause is over");
}

#[tokio::test]
async fn a_pause_of_a_clock_that_was_ahead_lasts_as_long_as_was_asked_from_now_on() {
    let book = Book::new().await;
    let ahead = book.now + DAY;
    let pause = |until| book.store.set_pause("default", Some(until), "root", Millis(ahead));
    pause(Millis(ahead + MINUTE)).await.unwrap();
    for later in [0, MINUTE - 1] {
        let paused = book.store.look_at_pause("default", Millis(book.now + later)).await.unwrap();
        assert_eq!(paused, Some(Millis(book.now + MINUTE)), "{later}");
    }
    pause(Millis::FOR_GOOD).await.unwrap();
    let paused = book.store.look_at_pause("default", book.at()).await.unwrap();
    assert_eq!(paused, Some(Millis::FOR_GOOD), "until somebody resumes, whatever the clock says");
}

#[tokio::test]
async fn the_record_says_until_when_writing_was_stopped_and_who_started_it_again() {
    let book = Book::new().await;
    let until = Millis(book.now + MINUTE);
    for pause in [Some(until), Some(Millis::FOR_GOOD), None] {
        book.store.set_pause("default", pause, "root", book.at()).await.unwrap();
    }
    let past = Past { limit: 10, ..Past::default() };
    let mut told: Vec<_> = book.store.snapshot().events(None, past).await.unwrap();
    told.retain(|event| matches!(event.event, EventKind::Pause | EventKind::Resume));
    let told: Vec<_> = told.iter().map(|event| (event.event, event.detail.clone())).collect();
    for expected in [
        (EventKind::Pause, Some(format!("until {}", until.rfc3339()))),
        (EventKind::Pause, None),
        (EventKind::Resume, None),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    let owed = book.store.snapshot().owed_full_run("default").await.unwrap().unwrap();
    assert_eq!(owed.reason, "writing was resumed");
}

#[tokio::test]
async fn who_keeps_an_account_is_remembered_with_until_when_and_why() {
    let book = Book::new().await;
    let until = Millis(book.now + DAY);
    let kept = KeptAccount {
        source_id: id("ann"),
        user: login("ann"),
        target_id: TargetId::new("account-of-ann"),
        cause: RemovalCause::NotAssigned,
        until,
        reason: Some("parental leave".to_owned()),
    };
    book.store.keep_account(&book.tenure, kept, "root", book.at()).await.unwrap();
    let pins = book.store.snapshot().pins("default").await.unwrap();
    let pin = &pins[&id("ann")];
    assert_eq!((pin.until, pin.verb, pin.user_name.as_deref()), (Some(until), None, Some(&*login("ann"))));
    assert_eq!(pin.cause, Some(RemovalCause::NotAssigned));
    for words in ["kept by root on 2026-01-01", "until 2026-01-02", "(parental leave)"] {
        assert!(pin.reason.contains(words), "{words} in {}", pin.reason);
    }
}
