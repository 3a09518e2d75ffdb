//! What goes when history is pruned, and what stays however old it is.

use std::time::Duration;

use crate::core::guard::HoldClass;
use crate::model::digest::Digest;
use crate::model::handover::{FoundBy, Handover};
use crate::model::history::EventKind;
use crate::model::order::OrderNumber;
use crate::model::plan::{Situation, Verb};
use crate::model::report::ActionRecord;
use crate::model::time::Millis;
use crate::spool::Spool;
use crate::store::record::events::EventPayload;
use crate::store::record::retention::{Pruned, SHORTEST_KEEP, prune_piece};
use crate::store::record::sample_tests::{BEGINNING, Book, DAY, id, login};
use crate::store::{HeldPair, HoldScope, LineScope, Past};

async fn count(book: &Book, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    book.store.snapshot().transact(move |t| Ok(t.query_row(&sql, [], |row| row.get(0))?)).await.unwrap()
}

async fn prune(book: &Book, days: u64) -> Option<Pruned> {
    book.store.prune(Duration::from_secs(days * 86_400), book.at()).await.unwrap()
}

fn all() -> Past {
    Past { limit: 1000, ..Past::default() }
}

#[tokio::test]
async fn what_is_older_goes_with_its_runs_and_the_rest_stays_and_verifies() {
    let mut book = Book::new().await;
    let old = book.run(&["ann", "ben"]).await;
    book.pass(50 * DAY);
    let young = book.run(&["ann"]).await;
    assert_eq!(prune(&book, 40).await, Some(Pruned { entries: 4, others: 1 }));
    let (runs, events) = book.store.snapshot().runs_and_events(all()).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.run).collect::<Vec<_>>(), [young]);
    assert!(book.store.snapshot().run_again(old).await.unwrap().is_none());
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].event, events[0].by.as_deref()), (EventKind::Prune, Some("rosterd")));
    assert_eq!((events[0].counts["entries"], events[0].counts["runs"]), (4, 1));
    let report = book.audit().await;
    assert!(report.intact, "{report:?}");
    assert_eq!(report.pruned.unwrap().entry, 4);
    assert_eq!(book.store.snapshot().attempts(&login("ann"), all()).await.unwrap().len(), 1);
    assert_eq!(book.store.snapshot().attempts(&login("ben"), all()).await.unwrap(), []);
    let next = book.run(&["ben"]).await;
    assert_eq!(next, young + 1, "numbers are not given twice");
}

#[tokio::test]
async fn it_is_done_once_a_day_and_never_within_the_shortest_time() {
    let mut book = Book::new().await;
    book.run(&["ann"]).await;
    book.pass(30 * DAY);
    assert_eq!(prune(&book, 1).await, Some(Pruned::default()), "31 days are the least");
    book.pass(2 * DAY);
    assert_eq!(prune(&book, 1).await, Some(Pruned { entries: 2, others: 0 }), "the newest run stays");
    book.run(&["ann"]).await;
    book.pass(DAY - 10_000);
    assert_eq!(prune(&book, 1).await, None);
    book.pass(20_000);
    assert_eq!(prune(&book, 1).await, Some(Pruned { entries: 0, others: 1 }), "now there is a newer one");
    book.now = BEGINNING;
    assert_eq!(prune(&book, 1).await, Some(Pruned::default()), "a clock that went back puts nothing off");
    assert_eq!(SHORTEST_KEEP, Duration::from_secs(31 * 86_400));
}

#[tokio::test]
async fn what_is_in_flight_stays_with_its_run_and_everything_after_it() {
    let mut book = Book::new().await;
    book.run(&["ann"]).await;
    let open = book.begin().await;
    let intent = book.send(open, "ben").await;
    book.end(open, Vec::new()).await;
    book.run(&["cleo"]).await;
    book.pass(100 * DAY);
    assert_eq!(prune(&book, 40).await, Some(Pruned { entries: 2, others: 1 }));
    assert_eq!(count(&book, "in_flight").await, 1);
    let report = book.audit().await;
    assert!(report.intact, "{report:?}");
    // The next run settles it as ever.
    book.answer(intent, "ben", crate::model::link::LinkState::Active).await;
    book.run(&[]).await;
    book.pass(2 * DAY);
    assert_eq!(prune(&book, 40).await.unwrap().entries, 3);
    assert!(book.audit().await.intact);
}

#[tokio::test]
async fn a_run_that_goes_on_stays_whatever_the_clock_says() {
    let mut book = Book::new().await;
    let open = book.begin().await;
    let intent = book.send(open, "ann").await;
    book.answer(intent, "ann", crate::model::link::LinkState::Active).await;
    book.pass(100 * DAY);
    assert_eq!(prune(&book, 40).await, Some(Pruned::default()));
    book.end(open, Vec::new()).await;
}

#[tokio::test]
async fn a_run_across_the_edge_stays_whole() {
    let mut book = Book::new().await;
    book.run(&["cleo"]).await;
    let run = book.begin().await;
    let ann = book.send(run, "ann").await;
    book.answer(ann, "ann", crate::model::link::LinkState::Active).await;
    book.pass(20 * DAY);
    let ben = book.send(run, "ben").await;
    book.answer(ben, "ben", crate::model::link::LinkState::Active).await;
    book.end(run, Vec::new()).await;
    book.pass(30 * DAY);
    assert_eq!(prune(&book, 40).await.unwrap().entries, 2, "cleo's");
    assert_eq!(book.store.snapshot().run_again(run).await.unwrap().unwrap().records.len(), 2);
    assert!(book.audit().await.intact);
}

#[tokio::test]
async fn what_says_how_a_sync_is_doing_stays_although_it_is_old() {
    let mut book = Book::new().await;
    for _ in 0..3 {
        book.run(&["ann"]).await;
    }
    let before = book.store.snapshot().recorded(vec!["default".to_owned()], book.at()).await.unwrap();
    book.pass(400 * DAY);
    assert_eq!(prune(&book, 40).await, Some(Pruned { entries: 6, others: 2 }));
    let after = book.store.snapshot().recorded(vec!["default".to_owned()], book.at()).await.unwrap();
    assert_eq!(after, before);
    assert!(book.audit().await.intact);
}

#[tokio::test]
async fn decided_holds_go_and_open_ones_and_approvals_stay() {
    let mut book = Book::new().await;
    let pair = |name: &str, verb| HeldPair {
        class: HoldClass::plain(verb),
        cause: None,
        target_id: None,
        content: Digest([0; 16]),
        source_id: id(name),
        user: login(name),
        reason: "too many".to_owned(),
        source_digest: None,
    };
    let held = vec![pair("ann", Verb::Deactivate), pair("ben", Verb::Update), pair("cleo", Verb::Create)];
    let wanted: std::collections::HashSet<_> =
        held.iter().map(|pair| (pair.source_id.clone(), pair.class)).collect();
    let at = book.at();
    let holds = book
        .store
        .sync_holds(&book.tenure, held, wanted, HoldScope::Everybody(OrderNumber::next()), at)
        .await
        .unwrap();
    let number = |verb| holds.iter().find(|hold| hold.verb == verb).unwrap().number;
    book.store.reject(number(Verb::Deactivate), "uid 7", at).await.unwrap();
    book.store.approve(number(Verb::Update), 1, "uid 7", at).await.unwrap();
    book.run(&[]).await;
    book.pass(30 * DAY);
    assert_eq!(prune(&book, 40).await, Some(Pruned::default()));
    book.pass(70 * DAY);
    // The rejected one, and the one that ran out long ago. The approval is not used up yet.
    assert_eq!(prune(&book, 40).await, Some(Pruned { entries: 2, others: 2 }));
    assert_eq!((count(&book, "hold").await, count(&book, "hold_pair").await), (1, 1));
    assert!(book.audit().await.intact);
}

#[tokio::test]
async fn it_goes_piece_by_piece_and_each_piece_leaves_a_chain_that_fits() {
    let mut book = Book::new().await;
    for _ in 0..6 {
        book.run(&["ann", "ben"]).await;
    }
    book.pass(100 * DAY);
    book.run(&["ann"]).await;
    let (key, now) = (book.store.snapshot().digest_key(), book.at());
    let before = Millis(now.0 - 40 * DAY);
    for expected in [5, 5, 5, 5, 4] {
        let key = key.clone();
        // As far as a crash may let it get.
        let piece = book
            .store
            .snapshot()
            .transact(move |transaction| prune_piece(transaction, &key, before, now, 5))
            .await
            .unwrap();
        assert_eq!(piece.entries, expected);
        let report = book.audit().await;
        assert!(report.intact, "{report:?}");
    }
    assert_eq!(count(&book, "run").await, 1);
}

#[tokio::test]
async fn a_history_of_which_nothing_is_left_goes_on_where_it_was_cut() {
    let mut book = Book::new().await;
    book.run(&["ann"]).await;
    book.pass(100 * DAY);
    prune(&book, 40).await;
    book.pass(100 * DAY);
    // The record of the first pruning is pruned by the second.
    assert_eq!(prune(&book, 40).await.unwrap().entries, 1);
    let report = book.audit().await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.entries, report.pruned.unwrap().entry, report.last), (1, 3, 4));
    book.run(&["ann"]).await;
    assert!(book.audit().await.intact);
    let payload: String = book
        .store
        .snapshot()
        .transact(|t| {
            Ok(t.query_row("SELECT payload FROM journal WHERE kind = 'event'", [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    let payload: EventPayload = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload.pruned.unwrap().seq, 3);
}

/// Notes that this person was told of by a run.
async fn tell(book: &Book, run: i64, name: &str) {
    let mut line: ActionRecord = serde_json::from_value(serde_json::json!({
        "action": "skip", "user": login(name), "source_id": id(name), "target_id": null, "situation": Situation::Gone,
        "reason": "nothing", "changes": [], "outcome": "skipped", "status": null, "detail": null, "attempts": 0
    }))
    .unwrap();
    line.detail = Some(name.to_owned());
    let mut spool = Spool::default();
    spool.push(&line).unwrap();
    book.store.record_lines(&book.tenure, run, LineScope::Everybody, &mut spool).await.unwrap();
}

#[tokio::test]
async fn lines_of_a_sync_for_which_nothing_runs_any_more_go_and_those_of_one_that_runs_stay() {
    let mut book = Book::new().await;
    let run = book.begin().await;
    tell(&book, run, "ann").await;
    book.end(run, Vec::new()).await;
    book.pass(30 * DAY);
    book.run(&[]).await;
    book.pass(30 * DAY);
    // Told 60 days ago, and still true 30 days ago.
    prune(&book, 40).await;
    assert_eq!(book.store.snapshot().told_count("default").await.unwrap(), (1, 1));
    book.pass(20 * DAY);
    assert_eq!(prune(&book, 40).await, Some(Pruned { entries: 0, others: 1 }));
    assert_eq!(book.store.snapshot().told_count("default").await.unwrap(), (0, 0));
}

#[tokio::test]
async fn what_was_told_of_somebody_handed_over_is_not_true_any_more_and_stays_with_its_run() {
    let mut book = Book::new().await;
    book.run(&["ann"]).await;
    let run = book.begin().await;
    tell(&book, run, "ann").await;
    book.end(run, Vec::new()).await;
    let link = book.store.snapshot().link("default", &id("ann")).await.unwrap().unwrap();
    let eligibility = crate::model::digest::Digest([7; 16]);
    let handover = Handover { link, new_id: id("anna"), by: FoundBy::UserName, note: None, eligibility };
    assert_eq!(book.store.hand_over(&book.tenure, &book.tenure, vec![handover]).await.unwrap(), 1);
    assert_eq!(book.store.snapshot().told_count("default").await.unwrap(), (1, 0));
    let mut again = book.store.snapshot().run_again(run).await.unwrap().unwrap();
    assert_eq!(again.records.iter().unwrap().count(), 1);
}
