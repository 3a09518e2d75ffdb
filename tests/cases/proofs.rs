//! Proof: what was proven counts as long as it is fresh, and what was not shown proves nothing.

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Fault, GroupId, Peer, PersonId, RetryAfter, Visibility, scim_rate_limited};

use crate::accounts::BOTH;
use crate::support::{Bench, WIDE_LIMITS};

/// The workspace asks for 150 seconds at the first write, and the person comes back, or stays away, meanwhile. The test's
/// clock is moved on once the answer has arrived.
async fn limited_for_150_seconds(vendor: Vendor, comes_back: bool) {
    let bench = Bench::new(vendor).await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    let limited = Fault::on(Peer::Scim).method("PATCH").nth(1);
    let number = bench.sim.faults().add(limited.then(scim_rate_limited(RetryAfter::Seconds(150))));
    let meanwhile = async {
        while bench.sim.faults().fired(number) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The run takes its place in the queue in its own time.
        tokio::time::sleep(Duration::from_millis(300)).await;
        if comes_back {
            bench.world().assign(ann);
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(151)).await;
        tokio::time::resume();
    };
    let (ended, ()) = tokio::join!(bench.run(), meanwhile);
    assert_eq!(bench.is_active("ann"), comes_back, "{vendor:?} {ended:#?}");
    let patches = bench.writes().len();
    if comes_back {
        assert_eq!(patches, 1, "only the one that was limited: {ended:#?}");
        ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(bench.is_active("ann"));
    } else {
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_eq!(patches, 2);
    }
    bench.assert_quiet().await;
}

#[tokio::test]
async fn who_is_assigned_again_while_the_workspace_asks_to_wait_is_proven_again_and_not_removed() {
    for vendor in BOTH {
        limited_for_150_seconds(vendor, true).await;
    }
}

#[tokio::test]
async fn who_stays_away_while_the_workspace_asks_to_wait_is_proven_again_and_removed_in_the_same_run() {
    for vendor in BOTH {
        limited_for_150_seconds(vendor, false).await;
    }
}

/// Everybody is a member of the group that the filter names.
async fn staffed(vendor: Vendor) -> (Bench, GroupId, Vec<PersonId>) {
    let bench = Bench::new(vendor)
        .await
        .source("groups = [\"Staff\"]")
        .tables(&format!("[sync.scope]\nfilter = \"'Staff' in user.groups\"\n\n{WIDE_LIMITS}"));
    let people = bench.crowd(12);
    let group = bench.world().add_group("Staff");
    people.iter().for_each(|person| bench.world().add_member(group, *person));
    bench.begin().await;
    (bench, group, people)
}

fn make_anew(bench: &Bench, group: GroupId, members: &[PersonId]) {
    bench.world().delete_group(group);
    let again = bench.world().add_group("Staff");
    members.iter().for_each(|person| bench.world().add_member(again, *person));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_made_anew_under_its_name_removes_nobody_by_its_old_id() {
    for vendor in BOTH {
        let (bench, group, people) = staffed(vendor).await;
        let shared = bench.open().await;
        // The process knows the group by its old id.
        shared.run(Selection::Everybody).await;
        make_anew(&bench, group, &people);
        let ids = people[..2].iter().map(|person| bench.source_id(*person)).collect();
        let ended = shared.run(Selection::Ids(ids)).await;
        assert_eq!((ended.code, ended.facts.summary.writes()), (exit::OK, 0), "{vendor:?} {ended:#?}");
        let ended = shared.run(Selection::Everybody).await;
        assert_eq!((ended.code, ended.facts.summary.writes()), (exit::OK, 0), "{vendor:?} {ended:#?}");
        shared.close().await;
        assert!(bench.world().accounts().iter().all(|account| account.active()));
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_of_the_group_that_was_made_anew_is_removed() {
    for vendor in BOTH {
        let (bench, group, people) = staffed(vendor).await;
        make_anew(&bench, group, &people[1..]);
        let ids = people[..2].iter().map(|person| bench.source_id(*person)).collect();
        let ended = bench.run_who(Selection::Ids(ids)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("person0@acme.example", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.of("person0@acme.example").situation, Situation::OutOfScope);
        assert!(bench.is_active("person1@acme.example"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_gone_removes_nobody() {
    for vendor in BOTH {
        let (bench, group, people) = staffed(vendor).await;
        bench.world().delete_group(group);
        let ids = people[..2].iter().map(|person| bench.source_id(*person)).collect();
        let ended = bench.run_who(Selection::Ids(ids)).await;
        assert_ne!(ended.code, exit::OK, "{vendor:?} {ended:#?}");
        assert_ne!(bench.run().await.code, exit::OK);
        assert!(bench.world().accounts().iter().all(|account| account.active()), "{vendor:?} {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whom_a_narrowed_role_hides_is_never_taken_for_deleted_while_the_log_can_be_read() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().show(ann, Visibility::Nowhere);
        for hours in [0, 2, 25, 48] {
            bench.pass(Duration::from_secs(hours * 3600));
            let ended = bench.run().await;
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
            assert!(ended.words_of("ann").contains("log"), "{vendor:?} {ended:#?}");
            let by_name = bench.run_who(Selection::Ids(vec![bench.source_id(ann)])).await;
            by_name.assert_end(exit::PARTIAL, RunResult::Partial);
            assert!(bench.is_active("ann"), "{vendor:?} after {hours} hours: {ended:#?}");
        }
        bench.world().show(ann, Visibility::Shown);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_the_log_tells_of_is_believed() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().delete(ann);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        bench.assert_quiet().await;
    }
}
