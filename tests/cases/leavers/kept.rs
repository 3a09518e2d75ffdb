//! A decision that keeps a leaver's access binds one cause: another one ends it.

use rosterd::exit;
use rosterd::model::owed::WaitsFor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::operations::run_task::RunTask;
use rosterd::sim::PersonId;
use rosterd::store::{Hold, Store};

use super::{approve_and_run, assert_gone_for_good, assert_kept, open_holds, owed};
use crate::support::Bench;

async fn reject(bench: &Bench, hold: &Hold) {
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    store.reject(hold.number, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
}

/// Twenty people of whom five are unassigned by mistake, and somebody rejects that.
async fn a_rejected_mass_leave() -> (Bench, Vec<PersonId>) {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(20);
    bench.begin().await;
    crowd[..5].iter().for_each(|person| bench.world().unassign(*person));
    assert_eq!(bench.run().await.code, exit::HELD);
    reject(&bench, &open_holds(&bench).await[0]).await;
    (bench, crowd)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_kept_by_a_rejection_when_unassigned_is_kept_while_that_stays_and_removed_when_terminated() {
    let (bench, crowd) = a_rejected_mass_leave().await;
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.skipped), (exit::OK, 5), "{ended:#?}");
        assert_kept(&bench, "person0@acme.example", WaitsFor::Decision).await;
    }
    bench.world().deactivate(crowd[0]);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 1), "{ended:#?}");
    assert!(!bench.is_active("person0@acme.example"));
    bench.world().delete(crowd[1]);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 1), "{ended:#?}");
    assert!(!bench.is_active("person1@acme.example"));
    bench.world().suspend(crowd[2]);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 1), "{ended:#?}");
    assert!(!bench.is_active("person2@acme.example"));
    // The other two stay as they were decided.
    assert_kept(&bench, "person3@acme.example", WaitsFor::Decision).await;
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_kept_by_a_rejection_is_removed_when_terminated_in_a_run_of_named_people_too() {
    let (bench, crowd) = a_rejected_mass_leave().await;
    let ended = bench.run_for(&["person0@acme.example"]).await;
    assert_eq!((ended.code, ended.facts.summary.skipped), (exit::OK, 1), "{ended:#?}");
    bench.world().deactivate(crowd[0]);
    let ended = bench.run_for(&["person0@acme.example"]).await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 1), "{ended:#?}");
    assert!(!bench.is_active("person0@acme.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_kept_when_disabled_stays_kept_when_deleted() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(20);
    bench.begin().await;
    crowd[..5].iter().for_each(|person| bench.world().deactivate(*person));
    assert_eq!(bench.run().await.code, exit::HELD);
    reject(&bench, &open_holds(&bench).await[0]).await;
    assert_eq!(bench.run().await.code, exit::OK);
    // Vendors delete only who is disabled: nothing has changed.
    bench.world().delete(crowd[0]);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 0), "{ended:#?}");
    assert_kept(&bench, "person0@acme.example", WaitsFor::Decision).await;
}

/// Makes pins what they were before causes were stored.
fn forget_causes_of_pins(bench: &Bench) {
    let database = rusqlite::Connection::open(bench.directory.path().join("state/rosterd.db")).unwrap();
    database.execute_batch("UPDATE pin SET cause = NULL; UPDATE link SET cause = NULL").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_from_before_causes_were_stored_takes_the_cause_of_its_first_look() {
    let (bench, crowd) = a_rejected_mass_leave().await;
    forget_causes_of_pins(&bench);
    // One is terminated before anybody looks: an upgrade removes nobody.
    bench.world().deactivate(crowd[0]);
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.skipped), (exit::OK, 5), "{ended:#?}");
    }
    assert_kept(&bench, "person0@acme.example", WaitsFor::Decision).await;
    bench.world().deactivate(crowd[1]);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 1), "{ended:#?}");
    assert!(!bench.is_active("person1@acme.example"));
    assert_kept(&bench, "person0@acme.example", WaitsFor::Decision).await;
}

/// Four people, one of whom is removed when unassigned by mistake, and that is taken back.
async fn an_undone_removal() -> (Bench, PersonId) {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().unassign(ann);
    let removed = bench.run().await;
    removed.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    let run = removed.facts.run.unwrap();
    let ended = bench.run_who(RunTask::Undo { run, actor: "uid 7".to_owned() }).await;
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    assert!(bench.is_active("ann"));
    (bench, ann)
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_removal_was_undone_is_kept_while_unassigned_and_removed_when_terminated_or_deleted() {
    for way in ["deactivated", "deleted"] {
        let (bench, ann) = an_undone_removal().await;
        for _ in 0..2 {
            let ended = bench.run().await;
            assert_eq!((ended.code, ended.facts.summary.skipped), (exit::OK, 1), "{ended:#?}");
            assert_kept(&bench, "ann", WaitsFor::Decision).await;
        }
        match way {
            "deleted" => bench.world().delete(ann),
            _ => bench.world().deactivate(ann),
        }
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_gone_for_good(&bench, "ann").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_removal_was_undone_and_who_is_terminated_before_the_next_run_is_removed_by_it() {
    let (bench, ann) = an_undone_removal().await;
    bench.world().deactivate(ann);
    let ended = bench.run().await;
    ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wants_so_is_owed_without_a_code_and_done_once_nobody_wants_it_any_more() {
    let cases = [
        ("[sync.lifecycle]\ndeactivate = false\n", Some(WaitsFor::Switch)),
        ("[sync.guard]\nprotected = [\"ann@*\"]\n", Some(WaitsFor::Decision)),
        // Nothing is wanted, so nothing is owed.
        ("[sync.lifecycle]\non_unassigned = \"keep\"\n", None),
    ];
    for (tables, waits_for) in cases {
        let bench = Bench::okta().await;
        let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        let bench = bench.tables(tables);
        bench.world().unassign(ann);
        for _ in 0..2 {
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            match waits_for {
                Some(waits_for) => assert_kept(&bench, "ann", waits_for).await,
                None => assert!(owed(&bench).await.is_empty()),
            }
            assert!(bench.is_active("ann"));
        }
        let bench = bench.tables("");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_gone_for_good(&bench, "ann").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_are_kept_though_they_left_are_nobody_to_compare_a_named_leaver_with() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(6);
    bench.begin().await;
    crowd[..5].iter().for_each(|person| bench.world().unassign(*person));
    assert_eq!(bench.run().await.code, exit::HELD);
    reject(&bench, &open_holds(&bench).await[0]).await;
    assert_eq!(bench.run().await.code, exit::OK);
    // The five prove nothing of the source: so it is held, and can be approved.
    bench.world().deactivate(crowd[5]);
    let ended = bench.run_for(&["person5@acme.example"]).await;
    ended.assert_end(exit::HELD, RunResult::Held);
    assert_kept(&bench, "person5@acme.example", WaitsFor::Approval).await;
    let ended = approve_and_run(&bench).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_gone_for_good_beside(&bench, "person5@acme.example").await;
}

/// Gone, while others are kept by a decision.
async fn assert_gone_for_good_beside(bench: &Bench, name: &str) {
    assert!(!bench.is_active(name));
    assert!(owed(bench).await.iter().all(|row| row.waits_for == WaitsFor::Decision));
    bench.assert_quiet().await;
}
