//! A return beside other runs, and pins beside a source that does not show everybody.

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, Trigger};
use rosterd::model::time::Millis;
use rosterd::operations::run_task::RunTask;
use rosterd::sim::{Effect, Fault, Peer, Visibility};
use rosterd::store::Store;
use serde_json::json;

use crate::engine::{assert_left_alone, number, undo};
use crate::support::Bench;

fn return_of(run: i64) -> RunTask {
    RunTask::Undo { run, actor: "uid 7".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_planned_before_a_return_does_not_do_it_again() {
    let bench = Bench::okta().await;
    let [ann, _] = bench.staff(["ann", "bob"]);
    bench.begin().await;
    bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
    let changed = bench.run().await;
    bench.world().edit(ann, |person| person.department = Some("Sales".to_owned()));
    // The ordinary run is held up right before its write, and the return goes through meanwhile.
    let shared = bench.open().await;
    let (reached, mut seen) = tokio::sync::watch::channel(false);
    bench.hire("cid");
    // The lookup for Cid comes after Ann was planned and before anything is written.
    let lookup = Fault::on(Peer::Scim).method("GET").when(|_, query| !query.is_empty()).first(1);
    let tell = Effect::before(move |_| {
        reached.send_replace(true);
    });
    bench.sim.faults().add(lookup.then(tell).then(Effect::Delay(Duration::from_millis(1500))));
    let (ordinary, ()) = tokio::join!(shared.run(Selection::Everybody), async {
        seen.wait_for(|seen| *seen).await.unwrap();
        let ended = shared.run(return_of(number(&changed))).await;
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
    });
    shared.close().await;
    ordinary.assert_line("cid", Verb::Create, Outcome::Applied);
    assert_eq!(ordinary.of("ann").outcome, Outcome::Skipped, "{ordinary:?}");
    assert_eq!(bench.account("ann").at("/title"), json!("Engineer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_short_does_not_end_a_pin() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "bob", "cid"]);
        bench.begin().await;
        let eve = bench.hire("eve");
        let changed = bench.run().await;
        undo(&bench, number(&changed)).await.assert_line("eve", Verb::Deactivate, Outcome::Applied);
        bench.world().show(eve, Visibility::LeftOutOfLists);
        let ended = bench.run().await;
        assert_eq!(ended.facts.summary.writes(), 0, "{ended:?}");
        bench.world().show(eve, Visibility::Shown);
        assert_left_alone(&bench, &["eve"]).await;
        assert!(!bench.is_active("eve"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_an_end_goes_on_until_somebody_else_writes() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "bob"]);
    bench.begin().await;
    let path = bench.directory.path().join("state");
    let store = Store::open(&path, false).await.unwrap();
    let tenure = store.tenure("default").await.unwrap();
    let run = store.begin_run(&tenure, Trigger::Manual, true, false, Millis::now()).await.unwrap();
    let found = store.snapshot().run_to_undo(run).await.unwrap().unwrap();
    assert_eq!((found.sync.as_str(), found.goes_on, found.people), ("default", true, 0));
    store.give_up_tenure("default").await;
    store.tenure("default").await.unwrap();
    assert!(!store.snapshot().run_to_undo(run).await.unwrap().unwrap().goes_on);
    let first = store.snapshot().run_to_undo(1).await.unwrap().unwrap();
    assert_eq!((first.goes_on, first.people), (false, 2));
    assert_eq!(store.snapshot().run_to_undo(99).await.unwrap(), None);
    store.close().await.unwrap();
}
