//! Each verb taken back, for both vendors; what moved on meanwhile; what cannot come back; a return taken back.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::link::LinkState;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use serde_json::json;

use crate::engine::{assert_left_alone, number, owned, undo, undo_dry};
use crate::support::Bench;

const VENDORS: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// A workspace with four people, of whom nobody is missed by a guard.
async fn four(vendor: Vendor) -> (Bench, [rosterd::sim::PersonId; 4]) {
    let bench = Bench::new(vendor).await;
    let people = bench.staff(["ann", "bob", "cid", "dan"]);
    bench.begin().await;
    (bench, people)
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_values_come_back_and_stay() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        let before = owned(&bench);
        bench.world().edit(ann, |person| {
            person.title = Some("Manager".to_owned());
            person.department = Some("Sales".to_owned());
        });
        let changed = bench.run().await;
        let planned = undo_dry(&bench, number(&changed)).await;
        planned.assert_line("ann", Verb::Update, Outcome::Planned);
        assert!(planned.changes_of("ann").contains(&"title: Manager -> Engineer".to_owned()), "{planned:?}");
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(ended.records.len(), 1, "{ended:?}");
        assert_eq!(owned(&bench), before, "{vendor:?}");
        assert_left_alone(&bench, &["ann"]).await;
        assert_eq!(owned(&bench), before, "{vendor:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_not_there_before_is_cleared_again() {
    for vendor in VENDORS {
        let bench = Bench::new(vendor).await;
        let ann = bench.hire_with("ann", |person| {
            person.title = None;
            person.primary_phone = None;
        });
        bench.hire("bob");
        bench.begin().await;
        let before = owned(&bench);
        bench.world().edit(ann, |person| {
            person.title = Some("Manager".to_owned());
            person.primary_phone = Some("+15550199".to_owned());
        });
        let changed = bench.run().await;
        changed.assert_line("ann", Verb::Update, Outcome::Applied);
        undo(&bench, number(&changed)).await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(owned(&bench), before, "{vendor:?}");
        assert_left_alone(&bench, &["ann"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_the_source_lifts_the_pin() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
        let changed = bench.run().await;
        undo(&bench, number(&changed)).await;
        bench.world().edit(ann, |person| person.title = Some("Director".to_owned()));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").at("/title"), json!("Director"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_account_is_deactivated_and_never_deleted() {
    for vendor in VENDORS {
        let (bench, _) = four(vendor).await;
        let eve = bench.hire("eve");
        let changed = bench.run().await;
        changed.assert_line("eve", Verb::Create, Outcome::Applied);
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("eve", Verb::Deactivate, Outcome::Applied);
        assert!(ended.words_of("eve").contains("deactivated, not deleted"), "{ended:?}");
        assert!(!bench.is_active("eve"));
        assert!(matches!(bench.link(eve).await.unwrap().state, LinkState::Deactivated(_)));
        assert_left_alone(&bench, &["eve"]).await;
        // Who leaves and is assigned again is wanted anew.
        bench.world().unassign(eve);
        assert_eq!(bench.run().await.facts.summary.writes(), 0);
        bench.world().assign(eve);
        bench.run().await.assert_line("eve", Verb::Reactivate, Outcome::Applied);
        assert!(bench.is_active("eve"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_account_is_active_again() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        bench.world().unassign(ann);
        let changed = bench.run().await;
        changed.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        assert!(bench.is_active("ann"));
        assert_left_alone(&bench, &["ann"]).await;
        assert!(bench.is_active("ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reactivated_account_is_inactive_again_with_its_earlier_values() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        bench.world().unassign(ann);
        bench.run().await;
        let before = owned(&bench);
        bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
        bench.world().assign(ann);
        let changed = bench.run().await;
        changed.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        let after = owned(&bench);
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.changes_of("ann"), ["active: true -> false", "title: Manager -> Engineer"]);
        assert_eq!(owned(&bench), before, "{vendor:?}");
        assert_left_alone(&bench, &["ann"]).await;
        let again = undo(&bench, number(&ended)).await;
        again.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        assert_eq!(owned(&bench), after, "{vendor:?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_account_is_as_it_was_and_stays_linked() {
    for vendor in VENDORS {
        let (bench, _) = four(vendor).await;
        bench.add_account("eve", true);
        bench.add_account("fay", false);
        let before = owned(&bench);
        let [eve, fay] = bench.staff(["eve", "fay"]);
        let changed = bench.run().await;
        changed.assert_line("eve", Verb::Adopt, Outcome::Applied);
        changed.assert_line("fay", Verb::Adopt, Outcome::Applied);
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("eve", Verb::Update, Outcome::Applied);
        ended.assert_line("fay", Verb::Deactivate, Outcome::Applied);
        assert_eq!(owned(&bench), before, "{vendor:?}");
        assert!(bench.link(eve).await.is_some() && bench.link(fay).await.is_some());
        assert_left_alone(&bench, &["eve", "fay"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_listed_and_cannot_come_back() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        let bench = bench.tables("[sync.lifecycle]\non_unassigned = \"delete\"\n");
        bench.world().unassign(ann);
        let changed = bench.run().await;
        changed.assert_line("ann", Verb::Delete, Outcome::Applied);
        bench.sim.clear_requests();
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Block, Outcome::Skipped);
        assert!(ended.words_of("ann").contains("cannot come back"), "{ended:?}");
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_moved_on_is_listed_and_the_others_come_back() {
    for vendor in VENDORS {
        let (bench, [ann, bob, ..]) = four(vendor).await;
        for person in [ann, bob] {
            bench.world().edit(person, |person| {
                person.title = Some("Manager".to_owned());
                person.department = Some("Sales".to_owned());
            });
        }
        let changed = bench.run().await;
        for name in ["ann", "bob"] {
            let id = bench.account(name).id;
            bench.world().edit_account(&id, |account| {
                account.resource.insert("title".to_owned(), json!("Boss"));
            });
        }
        let id = bench.account("bob").id;
        bench.world().edit_account(&id, |account| {
            account.resource["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"] =
                json!("Board");
        });
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert!(ended.words_of("ann").contains("moved on: title is \"Boss\" now, run 2 wrote \"Manager\""));
        assert_eq!(ended.of("ann").changes.len(), 1, "{ended:?}");
        ended.assert_line("bob", Verb::Block, Outcome::Skipped);
        assert_eq!(bench.account("ann").at("/title"), json!("Boss"));
        let department = "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department";
        assert_eq!(bench.account("ann").at(department), json!("Research"));
        assert_eq!(bench.account("bob").at(department), json!("Board"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_a_later_run_took_is_not_given_back() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        bench.world().unassign(ann);
        let first = bench.run().await;
        bench.world().assign(ann);
        bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        bench.world().unassign(ann);
        let last = bench.run().await;
        last.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        let ended = undo(&bench, number(&first)).await;
        ended.assert_line("ann", Verb::Block, Outcome::Skipped);
        let why = format!("run {} wrote active again", number(&last));
        assert!(ended.words_of("ann").contains(&why), "{ended:?}");
        assert!(!bench.is_active("ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_can_be_taken_back_and_that_again() {
    for vendor in VENDORS {
        let (bench, [ann, bob, ..]) = four(vendor).await;
        let before = owned(&bench);
        bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
        bench.world().unassign(bob);
        let changed = bench.run().await;
        let after = owned(&bench);
        let first = undo(&bench, number(&changed)).await;
        assert_eq!(owned(&bench), before, "{vendor:?}");
        let second = undo(&bench, number(&first)).await;
        assert_eq!(owned(&bench), after, "{second:?}");
        // The source rules again: no pin is left.
        bench.assert_quiet().await;
        let quiet = bench.run().await;
        assert!(!quiet.tells_of("ann") && !quiet.tells_of("bob"), "{quiet:?}");
        let third = undo(&bench, number(&second)).await;
        third.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(owned(&bench), before, "{third:?}");
        assert_left_alone(&bench, &["ann", "bob"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_were_handed_on_go_back_in_the_opposite_order() {
    for vendor in VENDORS {
        let (bench, [ann, bob, ..]) = four(vendor).await;
        let before = owned(&bench);
        bench.world().rename(ann, "ann2@acme.example");
        bench.world().rename(bob, "ann@acme.example");
        let changed = bench.run().await;
        assert_eq!(changed.facts.summary.update, 2, "{changed:?}");
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.update, 2, "{ended:?}");
        assert_eq!(owned(&bench), before, "{vendor:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_gone_or_not_linked_any_more_is_not_touched() {
    let (bench, [ann, bob, ..]) = four(Vendor::Okta).await;
    for person in [ann, bob] {
        bench.world().edit(person, |person| person.title = Some("Manager".to_owned()));
    }
    let changed = bench.run().await;
    bench.world().delete_account(&bench.account("ann").id);
    forget(&bench, bob).await;
    bench.sim.clear_requests();
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert!(ended.words_of("ann").contains("gone at the target"), "{ended:?}");
    assert!(ended.words_of("bob").contains("not linked any more"), "{ended:?}");
    assert_eq!(bench.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_account_is_skipped_and_a_paused_sync_sends_nothing() {
    let (bench, [ann, bob, ..]) = four(Vendor::Okta).await;
    for person in [ann, bob] {
        bench.world().edit(person, |person| person.title = Some("Manager".to_owned()));
    }
    let changed = bench.run().await;
    let bench =
        bench.tables("[sync.guard]\nprotected = [\"ann@acme.example\"]\n[sync.lifecycle]\nupdate = false\n");
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_line("ann", Verb::Skip, Outcome::Skipped);
    ended.assert_line("bob", Verb::Update, Outcome::Disabled);
    assert_eq!(bench.account("bob").at("/title"), json!("Manager"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_workspace_and_state_as_they_are() {
    let (bench, [ann, ..]) = four(Vendor::Okta).await;
    bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
    let changed = bench.run().await;
    let path = bench.directory.path().join("state/rosterd.db");
    let (before, state) = (bench.accounts(), std::fs::read(&path).unwrap());
    let ended = undo_dry(&bench, number(&changed)).await;
    ended.assert_line("ann", Verb::Update, Outcome::Planned);
    assert_eq!((ended.facts.run, ended.code), (None, exit::OK));
    assert_eq!(bench.accounts(), before);
    assert_eq!(std::fs::read(&path).unwrap(), state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_account_is_left_alone_until_the_source_changes() {
    for vendor in VENDORS {
        let (bench, [ann, ..]) = four(vendor).await;
        let before = bench.accounts();
        forget(&bench, ann).await;
        for ended in [bench.dry().await, bench.run().await] {
            assert_eq!(ended.facts.summary.writes(), 0, "{ended:?}");
            assert!(ended.words_of("ann").contains("forgotten by uid 7"), "{ended:?}");
        }
        assert!(bench.link(ann).await.is_none());
        assert_eq!(bench.accounts(), before);
        bench.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
        bench.run().await.assert_line("ann", Verb::Adopt, Outcome::Applied);
    }
}

/// Drops a link as `forget` does.
async fn forget(bench: &Bench, person: rosterd::sim::PersonId) {
    use rosterd::model::time::Millis;
    let store = rosterd::store::Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let tenure = store.tenure(&bench.name).await.unwrap();
    assert!(store.forget(&tenure, &bench.source_id(person), "uid 7", Millis::now()).await.unwrap());
    store.close().await.unwrap();
}
