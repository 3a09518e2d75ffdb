//! A large return meets the guards like any run; what waits is released by an approval and sent by the same return.

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::store::{Decided, Hold, Snapshot, Store};

use crate::engine::{number, undo, undo_dry};
use crate::support::{Bench, Ended};

async fn open_holds(bench: &Bench) -> Vec<Hold> {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    snapshot.open_holds(None, Millis::now()).await.unwrap()
}

async fn approve(bench: &Bench, hold: &Hold) -> Decided {
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let decided = store.approve(hold.number, hold.revision, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
    decided
}

/// Twenty people, and twenty more who joined in one run.
async fn many_joined() -> (Bench, Ended) {
    let bench = Bench::okta().await;
    bench.crowd(20);
    bench.begin().await;
    for number in 0..20 {
        bench.hire(&format!("joiner{number}@acme.example"));
    }
    let changed = bench.run().await;
    assert_eq!(changed.facts.summary.create, 20, "{changed:?}");
    (bench, changed)
}

/// Twenty people leave.
fn leave(bench: &Bench, names: &str) {
    for number in 0..20 {
        let person = bench.world().find(&format!("{names}{number}@acme.example")).unwrap();
        bench.world().unassign(person);
    }
}

fn inactive(bench: &Bench) -> usize {
    bench.world().accounts().iter().filter(|account| !account.active()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_return_is_held_and_an_approval_lets_the_same_return_send_it() {
    let (bench, changed) = many_joined().await;
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::HELD, RunResult::Held);
    assert_eq!((ended.facts.summary.held, inactive(&bench)), (20, 0), "{ended:?}");
    let hold = open_holds(&bench).await.remove(0);
    assert_eq!((hold.verb, hold.count), (Verb::Deactivate, 20));
    // An ordinary run knows nothing of it and leaves it open.
    bench.assert_quiet().await;
    assert_eq!(open_holds(&bench).await, vec![hold.clone()]);
    let decided = approve(&bench, &hold).await;
    assert_eq!(decided.of_returns.keys().collect::<Vec<_>>(), [&number(&changed)]);
    assert!(decided.of_no_return().is_empty());
    // The approval survives an ordinary run, which must not use it up.
    bench.assert_quiet().await;
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!((ended.facts.summary.deactivate, inactive(&bench)), (20, 20), "{ended:?}");
    bench.assert_quiet().await;
    assert!(open_holds(&bench).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_return_is_no_approval_for_an_ordinary_removal() {
    let (bench, changed) = many_joined().await;
    undo(&bench, number(&changed)).await;
    let hold = open_holds(&bench).await.remove(0);
    let people = approve(&bench, &hold).await.people;
    leave(&bench, "joiner");
    let ended = bench.run_who(Selection::Ids(people)).await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 20), "{ended:?}");
    assert_eq!(inactive(&bench), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_ordinary_removals_stays_open_beside_a_return() {
    let (bench, changed) = many_joined().await;
    leave(&bench, "person");
    let ended = bench.run().await;
    assert_eq!(ended.facts.summary.held, 20, "{ended:?}");
    let ended = undo(&bench, number(&changed)).await;
    assert_eq!(ended.facts.summary.held, 20, "{ended:?}");
    // A return has a hold of its own: approving the one releases nothing of the other.
    let holds = open_holds(&bench).await;
    assert_eq!(holds.iter().map(|hold| (hold.count, hold.revision)).collect::<Vec<_>>(), [(20, 1), (20, 1)]);
    let ordinary = approve(&bench, &holds[0]).await;
    let of_return = approve(&bench, &holds[1]).await;
    assert_eq!((ordinary.of_no_return().len(), ordinary.of_returns.len()), (20, 0));
    assert_eq!(of_return.of_returns[&number(&changed)].len(), 20);
    let decided = ordinary;
    let ended = undo(&bench, number(&changed)).await;
    assert_eq!(ended.facts.summary.deactivate, 20, "{ended:?}");
    let ended = bench.run_who(Selection::Ids(decided.of_no_return())).await;
    assert_eq!(ended.facts.summary.deactivate, 20, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_return_pins_nobody() {
    let (bench, changed) = many_joined().await;
    undo(&bench, number(&changed)).await;
    let hold = open_holds(&bench).await.remove(0);
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    store.reject(hold.number, "uid 0", Millis::now()).await.unwrap();
    assert!(store.snapshot().pins(&bench.name).await.unwrap().is_empty());
    store.close().await.unwrap();
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_return_tells_the_hold_and_opens_none() {
    let (bench, changed) = many_joined().await;
    let ended = undo_dry(&bench, number(&changed)).await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::OK, 20), "{ended:?}");
    assert_eq!((ended.facts.holds[0].class, ended.facts.holds[0].count), (Verb::Deactivate, 20));
    assert!(open_holds(&bench).await.is_empty());
    ended.assert_line("joiner0@acme.example", Verb::Deactivate, Outcome::Held);
}
