//! The rolling budgets, counted over runs and triggers from the journal.

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::report::Trigger;
use rosterd::sim::{Effect, Fault, Peer};

use crate::support::{Bench, mail};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_leak_trips_the_day_budget_although_no_single_run_does() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(40);
    bench.begin().await;
    let mut removed = 0;
    for pair in crowd.chunks(2) {
        pair.iter().for_each(|person| bench.world().unassign(*person));
        let ended = bench.run().await;
        removed += ended.facts.summary.deactivate;
        if ended.code == exit::HELD {
            break;
        }
    }
    // 10 % of 40 in the hour: the first runs, and no more, however the leavers are spread.
    assert_eq!(removed, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_named_people_and_full_runs_share_one_budget() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(30);
    bench.begin().await;
    for (number, person) in crowd.iter().take(3).enumerate() {
        bench.world().unassign(*person);
        let login = mail(&format!("person{number}@acme.example"));
        assert_eq!(bench.run_for(&[&login]).await.facts.summary.deactivate, 1);
    }
    bench.world().unassign(crowd[3]);
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::HELD, "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_removals_do_not_use_up_the_budget() {
    let bench = Bench::okta().await.tables("[sync.guard]\napproval = [\"deactivate\"]\n");
    let crowd = bench.crowd(30);
    bench.begin().await;
    for person in &crowd[..6] {
        bench.world().unassign(*person);
    }
    bench.run().await;
    let state = bench.directory.path().join("state");
    let store = rosterd::store::Store::open(&state, false).await.unwrap();
    let now = rosterd::model::time::Millis::now();
    let hold = store.snapshot().open_holds(None, now).await.unwrap().remove(0);
    let people = store.approve(hold.number, hold.revision, "uid 0", now).await.unwrap().people;
    store.close().await.unwrap();
    assert_eq!(
        bench.run_who(rosterd::engine::selection::Selection::Ids(people)).await.facts.summary.deactivate,
        6
    );
    let snapshot = rosterd::store::Snapshot::open(&state).await.unwrap();
    let ledger = snapshot.ledger("default", rosterd::model::time::Millis::now()).await.unwrap();
    assert_eq!((ledger.hour.removals, ledger.day.removals), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_may_not_create_more_than_the_limit_and_a_person_may() {
    let mut bench = Bench::okta().await.tables("[sync.guard]\nmax_creates = 5\n");
    bench.crowd(6);
    bench.unattended = true;
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 6), "{ended:#?}");
    bench.unattended = false;
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.create), (exit::OK, 6), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_mistake_that_rewrites_everybody_is_held() {
    let bench = Bench::okta().await;
    bench.crowd(12);
    bench.begin().await;
    let broken = bench.tables("[sync.attributes]\n\"title\" = \"'Oops'\"\n");
    let ended = broken.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 12), "{ended:#?}");
    assert!(broken.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_overlap_share_one_budget() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(30);
    bench.begin().await;
    crowd[..6].iter().for_each(|person| bench.world().unassign(*person));
    // Both plans are judged before either has sent anything.
    let reads = Fault::on(Peer::Okta).then(Effect::Delay(std::time::Duration::from_millis(30)));
    bench.sim.faults().add(reads);
    let shared = bench.open().await;
    let ids = |range: std::ops::Range<usize>| {
        Selection::Ids(crowd[range].iter().map(|id| bench.source_id(*id)).collect())
    };
    let (one, other) = tokio::join!(shared.run(ids(0..3)), shared.run(ids(3..6)));
    let removed = one.facts.summary.deactivate + other.facts.summary.deactivate;
    let held = one.facts.summary.held + other.facts.summary.held;
    assert_eq!((removed, held), (3, 3), "{one:#?} {other:#?}");
    let inactive = bench.world().accounts().iter().filter(|account| !account.active()).count();
    assert_eq!(inactive, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trigger_counts_for_the_same_hour() {
    let mut bench = Bench::okta().await;
    let crowd = bench.crowd(30);
    bench.begin().await;
    let triggers = [Trigger::Manual, Trigger::Schedule, Trigger::Watch, Trigger::Approval];
    let mut removed = 0;
    for (person, trigger) in crowd.iter().zip(triggers) {
        bench.trigger = Some(trigger);
        bench.world().unassign(*person);
        let ended = bench.run_who(Selection::Ids(vec![bench.source_id(*person)])).await;
        removed += ended.facts.summary.deactivate;
        assert_eq!(ended.facts.trigger, trigger);
    }
    assert_eq!(removed, 3, "the fourth is over 10 % of thirty, whoever asks for it");
}
