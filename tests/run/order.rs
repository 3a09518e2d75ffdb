//! Who comes first, how many at once, and runs that need several passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, Peer};

use crate::support::{Bench, account_by_hand};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

#[tokio::test]
async fn leavers_go_first_then_renames_updates_returners_adoptions_and_creations() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo, dan, _, _] = bench.staff(["ann", "ben", "cleo", "dan", "eve", "fay"]);
        bench.begin().await;
        bench.world().unassign(dan);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.world().assign(dan);
        bench.world().unassign(ann);
        bench.world().rename(ben, "benjamin@acme.example");
        bench.world().edit(cleo, |person| person.title = Some("Lead".to_owned()));
        bench.add_account("gus", true);
        bench.staff(["gus", "hal"]);
        bench.sim.clear_requests();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        let order = bench.writes();
        let place =
            |line: &str| order.iter().position(|found| found == line).unwrap_or_else(|| panic!("{order:?}"));
        let expected = [
            vec!["PATCH ann@acme.example"],
            vec!["PATCH benjamin@acme.example", "PATCH cleo@acme.example"],
            vec!["PATCH dan@acme.example"],
            vec!["PATCH gus@acme.example"],
            vec!["POST hal@acme.example"],
        ];
        let mut before = None;
        for stage in expected {
            let places: Vec<usize> = stage.iter().map(|line| place(line)).collect();
            assert!(places.iter().all(|place| Some(*place) > before), "{order:?}");
            before = places.into_iter().max();
        }
    }
}

#[tokio::test]
async fn no_more_writes_are_under_way_at_once_than_the_configuration_allows() {
    for allowed in [1, 3] {
        let bench = Bench::okta().await.target(&format!("concurrency = {allowed}"));
        bench.crowd(12);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (begins, ends, highest) = (now.clone(), now, most.clone());
        let post = Fault::on(Peer::Scim)
            .method("POST")
            .then(Effect::before(move |_| {
                highest.fetch_max(begins.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            }))
            .then(Effect::Delay(Duration::from_millis(5)))
            .then(Effect::after(move |_| {
                ends.fetch_sub(1, Ordering::SeqCst);
            }));
        bench.sim.faults().add(post);
        assert_eq!(bench.run().await.facts.summary.create, 12);
        assert!(most.load(Ordering::SeqCst) <= allowed, "{most:?} at once");
    }
}

#[tokio::test]
async fn a_run_that_applies_for_too_long_reads_afresh_and_counts_each_person_once() {
    for vendor in BOTH {
        let mut bench = Bench::new(vendor).await.target("concurrency = 1");
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        bench.crowd(8);
        bench.max_apply = Some(Duration::from_millis(40));
        bench.sim.faults().add(
            Fault::on(Peer::Scim)
                .when(|path, _| path.contains("/Users"))
                .then(Effect::Delay(Duration::from_millis(15))),
        );
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert!(ended.facts.passes > 1, "{ended:?}");
        let summary = ended.facts.summary;
        assert_eq!(
            (summary.create, summary.deactivate, summary.update, summary.unchanged, summary.deferred),
            (8, 1, 1, 2, 0),
            "{ended:?}"
        );
        assert_eq!(bench.accounts().len(), 12);
        bench.sim.faults().clear();
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_leaver_of_a_long_run_is_removed_in_its_next_pass() {
    let mut bench = Bench::okta().await.target("concurrency = 1");
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.crowd(6);
    bench.max_apply = Some(Duration::from_millis(30));
    let leaves = Effect::after(move |world| world.unassign(ann));
    bench
        .sim
        .faults()
        .add(Fault::on(Peer::Scim).method("POST").then(Effect::Delay(Duration::from_millis(20))));
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(leaves));
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert!(!bench.is_active("ann"), "{ended:?}");
    let order = bench.writes();
    let place = order.iter().position(|line| line == "PATCH ann@acme.example").unwrap();
    assert!(place < order.len() - 1, "before the last joiner: {order:?}");
}

#[tokio::test]
async fn somebody_who_failed_in_an_early_pass_counts_once_and_is_not_tried_in_the_next() {
    let mut bench = Bench::okta().await.target("concurrency = 1");
    bench.crowd(6);
    bench.max_apply = Some(Duration::from_millis(30));
    bench
        .sim
        .faults()
        .add(Fault::on(Peer::Scim).method("POST").then(Effect::Delay(Duration::from_millis(20))));
    let refuse = rosterd::sim::scim_error(403, None, "this one not");
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Answer(refuse)));
    let ended = bench.run().await;
    ended.assert_end(exit::PARTIAL, RunResult::Partial);
    assert!(ended.facts.passes > 1);
    assert_eq!(
        (ended.facts.summary.create, ended.facts.summary.failed, ended.facts.summary.deferred),
        (5, 1, 0)
    );
    assert_eq!(bench.writes().len(), 6, "{:?}", bench.writes());
}

#[tokio::test]
async fn a_run_that_read_assigned_before_a_leaver_was_removed_does_not_give_the_access_back() {
    use rosterd::engine::selection::Selection;
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("concurrency = 1\ntimeout = \"2s\"");
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        // A full run wants to write to both, and hangs at Ben.
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let id = bench.account("ben").id;
        let hang = Fault::on(Peer::Scim).method("PATCH").path(&id).nth(1);
        bench.sim.faults().add(hang.then(Effect::Delay(Duration::from_secs(3600))));
        let shared = bench.open().await;
        let slow = shared.run(Selection::Everybody);
        let quick = async {
            while bench.writes().is_empty() {
                tokio::task::yield_now().await;
            }
            bench.world().unassign(ann);
            shared.run(crate::support::named(&["ann"])).await
        };
        let (slow, quick) = tokio::join!(slow, quick);
        let anns_turn_came_first = slow.of("ann").outcome == Outcome::Applied;
        quick.assert_line("ann", rosterd::model::plan::Verb::Deactivate, Outcome::Applied);
        if !anns_turn_came_first {
            slow.assert_line("ann", rosterd::model::plan::Verb::Update, Outcome::Deferred);
        }
        assert!(!bench.is_active("ann"), "{slow:?}\n{quick:?}");
    }
}

#[tokio::test]
async fn looking_costs_one_listing_where_that_takes_fewer_requests_than_lookups() {
    let bench = Bench::okta().await;
    (0..30).for_each(|number| {
        bench.world().add_account(&account_by_hand(&format!("stranger{number}@acme.example"), true));
    });
    bench.crowd(20);
    bench.dry().await.assert_end(exit::OK, RunResult::Ok);
    let reads = looks(&bench).len();
    assert!(reads <= 3, "{reads} requests for 20 people and 30 accounts");
    bench.run().await.assert_end(exit::OK, RunResult::Ok);
    bench.sim.clear_requests();
    bench.run().await.assert_end(exit::OK, RunResult::Ok);
    // One account is asked for, so that a quiet run proves both sides.
    assert_eq!(bench.sim.requests(Peer::Scim).len(), 1, "linked people need no look");
}

#[tokio::test]
async fn few_joiners_in_a_large_workspace_are_looked_up_one_by_one() {
    let bench = Bench::okta().await;
    bench.sim.scim(|habits| habits.page_cap = Some(5));
    (0..60).for_each(|number| {
        bench.world().add_account(&account_by_hand(&format!("stranger{number}@acme.example"), true));
    });
    bench.crowd(2);
    bench.dry().await.assert_end(exit::OK, RunResult::Ok);
    let requests = looks(&bench);
    assert!(requests.iter().all(|request| request.query("filter").is_some()), "{requests:#?}");
}

/// Looks for people; whose account the token is, is asked besides.
fn looks(bench: &Bench) -> Vec<rosterd::sim::Request> {
    let mut requests = bench.sim.requests(Peer::Scim);
    requests.retain(|request| !request.path.ends_with("/Me"));
    requests
}
