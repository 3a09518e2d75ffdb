//! A deletion that cannot go takes the access all the same, and stays owed until it is done or not wanted any more.

use rosterd::exit;
use rosterd::model::owed::{OwedChange, WaitsFor};
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Peer, PersonId};

use super::{owed, removal_of};
use crate::accounts::BOTH;
use crate::clock::{HOUR, is_behind_us, tells_no_time};
use crate::people::source_of;
use crate::support::{Bench, mail};

const DELETING: &str = "[sync.lifecycle]\non_unassigned = \"delete\"";

/// Three people, one of whom is unassigned at a workspace that does not delete.
async fn left_without_deletion(tables: &str) -> (Bench, PersonId) {
    let bench = Bench::okta().await.tables(tables).habits(|habits| habits.without_delete = true);
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    (bench, ann)
}

/// The same, after the run that takes the access.
async fn deactivated_instead(tables: &str) -> (Bench, PersonId) {
    let (bench, ann) = left_without_deletion(tables).await;
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    (bench, ann)
}

async fn assert_deletion_owed(bench: &Bench) {
    let row = removal_of(bench, "ann").await;
    assert_eq!((row.verb, row.waits_for), (Some(Verb::Delete), WaitsFor::Date), "{row:#?}");
    assert!(row.is_deletion_alone() && !row.keeps_access(), "{row:#?}");
}

#[tokio::test]
async fn where_the_workspace_does_not_delete_the_access_is_taken_on_the_same_proof() {
    let (bench, _) = left_without_deletion(DELETING).await;
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert!(ended.words_of("ann").contains("does not delete accounts"), "{ended:?}");
    assert!(!bench.is_active("ann"));
}

#[tokio::test]
async fn a_deletion_that_the_workspace_does_not_offer_stays_owed_without_a_code_of_its_own() {
    let (bench, _) = deactivated_instead(DELETING).await;
    assert_deletion_owed(&bench).await;
    // Nothing is sent again, and no guard holds what nobody could carry out, however many there are.
    for _ in 0..3 {
        let before = bench.writes().len();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.writes().len(), before, "{:?}", bench.writes());
        assert_deletion_owed(&bench).await;
    }
    // Asked for by name it is tried once more.
    bench.run_for(&[&mail("ann")]).await.assert_line("ann", Verb::Delete, Outcome::Deferred);
    assert_deletion_owed(&bench).await;
    bench.sim.scim(|habits| habits.without_delete = false);
    bench.run_for(&[&mail("ann")]).await.assert_line("ann", Verb::Delete, Outcome::Applied);
    assert!(bench.world().account(&mail("ann")).is_none());
    assert_eq!(owed(&bench).await, Vec::<OwedChange>::new());
    bench.assert_quiet().await;
}

#[tokio::test]
async fn a_deletion_without_a_clock_that_a_witness_confirms_takes_the_access_and_is_made_up_for() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(DELETING);
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        tells_no_time(&bench, source_of(vendor));
        is_behind_us(&bench, Peer::Scim, 2 * HOUR);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_deletion_owed(&bench).await;
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Delete, Outcome::Deferred);
        assert_deletion_owed(&bench).await;
        bench.sim.faults().clear();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Delete, Outcome::Applied);
        assert!(bench.world().account(&mail("ann")).is_none());
        assert_eq!(owed(&bench).await, Vec::<OwedChange>::new());
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn who_comes_back_before_an_owed_deletion_has_the_account_again_and_nothing_is_owed() {
    let (bench, ann) = deactivated_instead(DELETING).await;
    bench.world().assign(ann);
    bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
    assert_eq!(owed(&bench).await, Vec::<OwedChange>::new());
    bench.assert_quiet().await;
}

#[tokio::test]
async fn an_owed_deletion_that_the_configuration_does_not_want_any_more_is_dropped() {
    let (bench, _) = deactivated_instead(DELETING).await;
    let bench = bench.tables("[sync.lifecycle]\non_unassigned = \"deactivate\"");
    bench.sim.scim(|habits| habits.without_delete = false);
    bench.assert_quiet().await;
    assert_eq!(owed(&bench).await, Vec::<OwedChange>::new());
    assert!(bench.world().account(&mail("ann")).is_some(), "deactivated, and that is all");
}

#[tokio::test]
async fn delete_after_at_a_workspace_that_does_not_delete_sends_no_second_deactivation() {
    let (bench, _) = deactivated_instead("[sync.lifecycle]\ndelete_after = \"30d\"").await;
    bench.pass(31 * 24 * HOUR);
    bench.run().await.assert_line("ann", Verb::Delete, Outcome::Deferred);
    bench.pass(25 * HOUR);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Delete, Outcome::Deferred);
    assert!(ended.words_of("ann").contains("does not delete accounts"), "{ended:#?}");
    assert_deletion_owed(&bench).await;
}
