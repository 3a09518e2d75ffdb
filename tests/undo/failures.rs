//! Returns that only half happen: a refusal, a target that goes away, an answer that is lost, a crash in the middle.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Cut, Effect, Fault, Peer, PersonId};

use crate::engine::{assert_left_alone, number, owned, undo};
use crate::support::{Bench, Ended, NO_LIMITS};

const NAMES: [&str; 4] = ["ann", "bob", "cid", "dan"];

/// Ann and Bob moved, Cid left; Dan stays as he is.
async fn changed(vendor: Vendor) -> (Bench, Ended, [PersonId; 4]) {
    let bench = Bench::new(vendor).await.tables(NO_LIMITS);
    let people = bench.staff(NAMES);
    bench.begin().await;
    for person in &people[..2] {
        bench.world().edit(*person, |person| person.title = Some("Manager".to_owned()));
    }
    bench.world().unassign(people[2]);
    let changed = bench.run().await;
    assert_eq!(changed.facts.summary.writes(), 3, "{changed:?}");
    (bench, changed, people)
}

fn writes_to(bench: &Bench, name: &str) -> Fault {
    let id = bench.account(name).id;
    Fault::on(Peer::Scim).path(&id).method("PATCH")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_fails_one_person_and_the_next_return_finishes_it() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let (bench, changed, _) = changed(vendor).await;
        bench.sim.faults().add(writes_to(&bench, "ann").then(Effect::answer(
            403,
            "application/scim+json",
            r#"{"detail":"not yours"}"#,
        )));
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Update, Outcome::Failed);
        ended.assert_line("bob", Verb::Update, Outcome::Applied);
        ended.assert_line("cid", Verb::Reactivate, Outcome::Applied);
        bench.sim.faults().clear();
        // Nothing was taken back for Ann, so nothing is pinned for her.
        let quiet = bench.run().await;
        assert!(!quiet.tells_of("ann") && quiet.tells_of("bob"), "{quiet:?}");
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        ended.assert_line("bob", Verb::Skip, Outcome::Skipped);
        assert!(ended.words_of("bob").contains("already"), "{ended:?}");
        assert_left_alone(&bench, &["ann", "bob", "cid"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_goes_away_stops_the_return() {
    let (bench, changed, _) = changed(Vendor::Okta).await;
    let rule = bench.sim.faults().add(Fault::on(Peer::Scim).then(Effect::Cut(Cut::BeforeProcessing)));
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
    assert!(bench.sim.faults().fired(rule) > 0);
    bench.sim.faults().clear();
    undo(&bench, number(&changed)).await.assert_end(exit::OK, RunResult::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_answer_is_no_hindrance() {
    let (bench, changed, _) = changed(Vendor::Okta).await;
    bench.sim.faults().add(Fault::on(Peer::Okta).then(Effect::answer(500, "application/json", "{}")));
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!((ended.facts.summary.writes(), ended.facts.source.requests), (3, 0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_settled_by_reading() {
    let (bench, changed, _) = changed(Vendor::Okta).await;
    bench.sim.faults().add(writes_to(&bench, "cid").first(1).then(Effect::Cut(Cut::LostReply)));
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("cid", Verb::Reactivate, Outcome::Applied);
    assert!(bench.is_active("cid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_account_that_somebody_switched_off_meanwhile_needs_nothing() {
    let (bench, ..) = changed(Vendor::Okta).await;
    bench.hire("eve");
    let joined = bench.run().await;
    let id = bench.account("eve").id;
    bench.world().edit_account(&id, |account| {
        account.resource.insert("active".to_owned(), false.into());
    });
    bench.sim.clear_requests();
    let ended = undo(&bench, number(&joined)).await;
    ended.assert_line("eve", Verb::Skip, Outcome::Skipped);
    assert_eq!(bench.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_is_not_sent_where_the_account_is_switched_off_after_planning() {
    let (bench, ..) = changed(Vendor::Okta).await;
    bench.hire("eve");
    let joined = bench.run().await;
    let id = bench.account("eve").id;
    let hooked = id.clone();
    // The second look, right before the write.
    bench.sim.faults().add(Fault::on(Peer::Scim).method("GET").path(&id).nth(2).then(Effect::before(
        move |world| {
            world.edit_account(&hooked, |account| {
                account.resource.insert("active".to_owned(), false.into());
            });
        },
    )));
    bench.sim.clear_requests();
    let ended = undo(&bench, number(&joined)).await;
    ended.assert_line("eve", Verb::Deactivate, Outcome::Deferred);
    assert_eq!((ended.code, bench.writes()), (exit::PARTIAL, Vec::new()), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_that_ran_out_of_time_goes_on_in_passes() {
    let (mut bench, changed, _) = changed(Vendor::Okta).await;
    bench.max_apply = Some(std::time::Duration::ZERO);
    bench.max_apply = Some(std::time::Duration::from_millis(1));
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!(ended.facts.summary.writes(), 3, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_that_is_dropped_half_way_is_finished_by_the_next() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        for cut in [Cut::BeforeProcessing, Cut::LostReply] {
            let (bench, changed, _) = changed(vendor).await;
            let before_return = owned(&bench);
            let run = number(&changed);
            // The first write never gets its answer, and the process ends there.
            let (reached, mut seen) = tokio::sync::watch::channel(false);
            let tell = move |_: &rosterd::sim::World| {
                reached.send_replace(true);
            };
            bench
                .sim
                .faults()
                .add(writes_to(&bench, "ann").first(1).then(Effect::before(tell)).then(Effect::Cut(cut)));
            tokio::select! {
                _ = undo(&bench, run) => panic!("the return ended before it was dropped"),
                _ = seen.wait_for(|seen| *seen) => {}
            }
            bench.sim.faults().clear();
            let ended = undo(&bench, run).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_ne!(owned(&bench), before_return);
            for name in ["ann", "bob"] {
                assert_eq!(bench.account(name).at("/title"), "Engineer", "{vendor:?} {cut:?} {ended:?}");
            }
            assert!(bench.is_active("cid"));
            assert_left_alone(&bench, &["ann", "bob", "cid"]).await;
        }
    }
}

/// Ann left, came back with another title, and that is taken back: two writes for one person.
async fn came_back() -> (Bench, Ended) {
    let bench = Bench::okta().await.tables(NO_LIMITS);
    let [ann, ..] = bench.staff(NAMES);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await;
    bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
    bench.world().assign(ann);
    let changed = bench.run().await;
    changed.assert_line("ann", Verb::Reactivate, Outcome::Applied);
    (bench, changed)
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_refused_do_not_keep_an_account_active() {
    let (bench, changed) = came_back().await;
    bench.sim.faults().add(writes_to(&bench, "ann").first(1).then(Effect::answer(
        403,
        "application/scim+json",
        r#"{"detail":"not yours"}"#,
    )));
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::PARTIAL, RunResult::Partial);
    ended.assert_line("ann", Verb::Deactivate, Outcome::Failed);
    assert!(ended.words_of("ann").contains("its values did not go back: not yours"), "{ended:?}");
    assert!(!bench.is_active("ann"));
    assert_left_alone(&bench, &["ann"]).await;
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_line("ann", Verb::Update, Outcome::Applied);
    assert_eq!(bench.account("ann").at("/title"), "Engineer");
    assert!(!bench.is_active("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_back_although_the_deactivation_is_refused() {
    let (bench, changed) = came_back().await;
    bench.sim.faults().add(writes_to(&bench, "ann").numbers(2..=100).then(Effect::answer(
        403,
        "application/scim+json",
        r#"{"detail":"not yours"}"#,
    )));
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_line("ann", Verb::Deactivate, Outcome::Failed);
    assert_eq!(bench.account("ann").at("/title"), "Engineer");
    bench.sim.faults().clear();
    // What went back stays so, and the rest can be asked for again.
    assert_left_alone(&bench, &["ann"]).await;
    undo(&bench, number(&changed)).await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert!(!bench.is_active("ann"));
}
