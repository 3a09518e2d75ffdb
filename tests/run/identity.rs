//! Who is who: shared logins, accounts that belong to somebody else, accounts that went away, renames.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use serde_json::json;

use crate::support::{Bench, account_by_hand};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// Gives somebody the login of another person as far as the workspace is concerned, at either vendor.
fn share_login(bench: &Bench, person: rosterd::sim::PersonId, login: &str) {
    bench.world().edit(person, |person| {
        person.app_username = Some(login.to_owned());
        person.extra_onelogin.insert("username".to_owned(), json!(login));
    });
}

#[tokio::test]
async fn two_people_who_map_to_one_login_are_both_blocked() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [_, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        share_login(&bench, ben, "ANN@acme.example");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.blocked, 2, "{ended:#?}");
        assert_eq!(ended.facts.summary.create, 1);
        assert!(ended.records.iter().filter(|line| line.action == Verb::Block).all(|line| {
            line.situation == Situation::Ambiguous && line.reason.contains("another person")
        }));
        assert_eq!(bench.accounts().len(), 1);
        share_login(&bench, ben, "ben@acme.example");
        assert_eq!(bench.run().await.facts.summary.create, 2);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_newcomer_with_a_linked_persons_login_holds_both_back_and_touches_no_account() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        let before = bench.accounts();
        let dan = bench.hire("dan");
        share_login(&bench, dan, "ann@acme.example");
        // With and without anything else to do for the linked person.
        for title in ["Engineer", "Lead"] {
            bench.world().edit(ann, |person| person.title = Some(title.to_owned()));
            let ended = bench.run().await;
            assert_eq!((ended.facts.summary.blocked, ended.facts.summary.unchanged), (2, 1), "{ended:#?}");
            assert_eq!(bench.accounts(), before);
        }
    }
}

#[tokio::test]
async fn a_shared_login_does_not_delay_a_leaver() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        share_login(&bench, ben, "ann@acme.example");
        bench.world().suspend(ann);
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(!bench.is_active("ann"));
    }
}

#[tokio::test]
async fn an_account_that_belongs_to_a_living_person_is_taken() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        let bench = bench.tables("[sync.lifecycle]\nupdate = false");
        bench.world().rename(ann, "anna@acme.example");
        bench.hire("ann");
        let before = bench.accounts();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        let line = ended.records.iter().find(|line| line.situation == Situation::TakenElsewhere);
        let line = line.unwrap_or_else(|| panic!("{ended:#?}"));
        assert_eq!(line.action, Verb::Block);
        assert!(line.reason.contains("ann@acme.example"), "{line:?}");
        assert_eq!(bench.accounts(), before);
    }
}

#[tokio::test]
async fn the_account_of_somebody_who_only_left_is_not_handed_on() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().rename(ann, "ann.old@acme.example");
        bench.hire("ann");
        let ended = bench.run().await;
        let line = ended.records.iter().find(|line| line.situation == Situation::TakenElsewhere);
        assert!(line.is_some_and(|line| line.action == Verb::Block), "{ended:#?}");
        assert!(!bench.is_active("ann"), "the one who left is removed");
    }
}

#[tokio::test]
async fn a_rehire_under_a_new_id_waits_for_approval_with_both_records_shown() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        let old = bench.source_id(ann);
        bench.world().delete(ann);
        let again = bench.hire("ann");
        let id = bench.account("ann").id;
        for first in [true, false] {
            let ended = bench.run().await;
            ended.assert_end(exit::HELD, RunResult::Held);
            let line = ended.records.iter().find(|line| line.situation == Situation::Successor);
            let line = line.unwrap_or_else(|| panic!("{ended:#?}"));
            assert_eq!((line.action, line.outcome), (Verb::Adopt, Outcome::Held));
            assert_eq!(line.source_id, Some(bench.source_id(again)));
            assert_eq!(line.target_id.as_ref().map(|id| id.as_str()), Some(id.as_str()));
            assert!(line.reason.contains(old.as_str()), "{line:?}");
            let removed = ended.records.iter().any(|line| line.action == Verb::Deactivate);
            assert_eq!(removed, first, "the predecessor is removed once");
        }
        assert_eq!(bench.accounts().len(), 3);
        assert!(!bench.is_active("ann"));
    }
}

#[tokio::test]
async fn an_account_that_was_deleted_by_hand_is_missing_and_not_made_again_by_itself() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Update, Outcome::Failed);
        assert!(ended.words_of("ann").contains("gone at the target"));
        for _ in 0..2 {
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            ended.assert_line("ann", Verb::Block, Outcome::Skipped);
            assert_eq!(ended.of("ann").situation, Situation::Missing);
            assert!(ended.words_of("ann").contains("lifecycle.recreate"));
        }
        assert_eq!(bench.accounts().len(), 1);
        let bench = bench.tables("[sync.lifecycle]\nrecreate = true");
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Create, Outcome::Applied);
        assert_eq!(ended.of("ann").situation, Situation::Missing);
        assert_eq!(bench.link(ann).await.unwrap().target_id.as_str(), bench.account("ann").id);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn another_account_in_place_of_a_missing_one_waits_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.lifecycle]\nrecreate = true");
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        let other = bench.add_account("ann", true);
        let before = bench.account("ann").resource;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.run().await;
        for _ in 0..2 {
            let ended = bench.run().await;
            ended.assert_end(exit::HELD, RunResult::Held);
            ended.assert_line("ann", Verb::Adopt, Outcome::Held);
            assert_eq!(ended.of("ann").situation, Situation::Relink);
            assert_eq!(ended.of("ann").target_id.as_ref().map(|id| id.as_str()), Some(other.as_str()));
        }
        assert_eq!(bench.account("ann").resource, before);
    }
}

#[tokio::test]
async fn who_leaves_with_a_missing_account_needs_nothing_more() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        bench.world().unassign(ann);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(ended.words_of("ann").contains("gone already"), "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_rename_is_one_update_of_the_same_account() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        let id = bench.account("ann").id;
        bench.world().rename(ann, "anna@acme.example");
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(
            ended.changes_of("ann"),
            [
                "emails[primary eq true].value: ann@acme.example -> anna@acme.example",
                "userName: ann@acme.example -> anna@acme.example"
            ]
        );
        assert_eq!(bench.account("anna").id, id);
        assert_eq!(bench.account("anna").at("/emails/0/value"), json!("anna@acme.example"));
        assert_eq!((bench.writes().len(), bench.accounts().len()), (1, 2));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn another_case_of_the_login_is_no_rename() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().rename(ann, "Ann@ACME.Example");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn in_a_chain_of_renames_a_name_is_released_before_it_is_taken() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        let ids = ["ann", "ben", "cleo"].map(|name| bench.account(name).id);
        bench.world().rename(cleo, "new@acme.example");
        bench.world().rename(ben, "cleo@acme.example");
        bench.world().rename(ann, "ben@acme.example");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.update, 3, "{ended:#?}");
        assert_eq!(["ben", "cleo", "new"].map(|name| bench.account(name).id), ids);
        assert_eq!(bench.writes().len(), 3, "no write was refused");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn two_people_who_swap_logins_are_blocked_and_nobody_else_is() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        let before = bench.account("ann").resource;
        bench.world().rename(ann, "parked@acme.example");
        bench.world().rename(ben, "ann@acme.example");
        bench.world().rename(ann, "ben@acme.example");
        bench.world().edit(cleo, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        for name in ["ann", "ben"] {
            ended.assert_line(name, Verb::Block, Outcome::Skipped);
            assert!(ended.words_of(name).contains("circle"), "{ended:#?}");
        }
        ended.assert_line("cleo", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").resource, before);
    }
}

#[tokio::test]
async fn a_name_of_an_account_outside_the_plan_cannot_be_taken() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        let other = bench.world().add_account(&account_by_hand("Anna@acme.example", true));
        bench.world().rename(ann, "anna@acme.example");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Block, Outcome::Skipped);
        assert!(ended.words_of("ann").contains(&other), "{ended:#?}");
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn who_wants_the_name_of_somebody_whose_rename_is_blocked_is_blocked_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().add_account(&account_by_hand("taken@acme.example", true));
        bench.world().rename(cleo, "taken@acme.example");
        bench.world().rename(ben, "cleo@acme.example");
        bench.world().rename(ann, "ben@acme.example");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!((ended.facts.summary.blocked, ended.facts.summary.unchanged), (3, 1), "{ended:#?}");
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_joiner_may_take_a_name_that_is_released_in_the_same_run() {
    for vendor in BOTH {
        for joiners in [1, 5] {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben"])[0];
            bench.begin().await;
            let id = bench.account("ann").id;
            bench.world().rename(ann, "anna@acme.example");
            bench.hire("ann");
            bench.crowd(joiners - 1);
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            let of = |verb| ended.records.iter().filter(|line| line.action == verb).count();
            assert_eq!((of(Verb::Update), of(Verb::Create)), (1, joiners), "{ended:#?}");
            assert_eq!(bench.account("anna").id, id);
            assert_ne!(bench.account("ann").id, id);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn who_returns_under_a_new_name_gets_the_old_account_back() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        let id = bench.account("ann").id;
        bench.world().unassign(ann);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        bench.world().rename(ann, "anna@acme.example");
        bench.world().assign(ann);
        bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        let account = bench.account("anna");
        assert_eq!((account.id.as_str(), account.active()), (id.as_str(), true));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn the_name_of_an_account_that_we_deactivated_is_not_free() {
    let bench = Bench::okta().await;
    let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    bench.world().rename(ann, "gone@acme.example");
    bench.world().rename(ben, "ann@acme.example");
    let ended = bench.run().await;
    ended.assert_line("ben", Verb::Block, Outcome::Skipped);
    assert!(ended.words_of("ben").contains(&bench.account("ann").id));
}
