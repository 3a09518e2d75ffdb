//! Accounts that nobody is linked to and that bear a mark.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_marked_for_a_living_person_is_taken_whether_they_are_assigned_or_not() {
    for vendor in BOTH {
        for assigned in [false, true] {
            for active in [false, true] {
                let bench = Bench::new(vendor).await;
                bench.staff(["ben", "cleo"]);
                bench.begin().await;
                let eve = bench.world().hire("eve@acme.example", |_| {});
                if assigned {
                    bench.world().suspend(eve);
                    bench.world().assign(eve);
                }
                let ann = bench.hire("ann");
                let id = add_marked(&bench, "ann", &bench.external_id(eve), active);
                let before = whole(&bench, &id);
                for _ in 0..2 {
                    let ended = bench.run().await;
                    ended.assert_end(exit::OK, RunResult::Ok);
                    assert_line_of(&ended, &bench, ann, TAKEN);
                    let line = line_of(&ended, &bench, ann);
                    assert!(line.reason.contains(bench.source_id(eve).as_str()), "{ended:#?}");
                    assert_eq!(whole(&bench, &id), before);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_marked_for_somebody_who_is_gone_is_handed_on_only_with_approval() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            for active in [false, true] {
                let bench = Bench::new(vendor).await;
                bench.staff(["ben", "cleo"]);
                bench.begin().await;
                let eve = bench.hire("eve");
                let (old, mark) = (bench.source_id(eve), bench.external_id(eve));
                leave(bench.world(), eve);
                let ann = bench.hire("ann");
                let id = add_marked(&bench, "ann", &mark, active);
                let before = whole(&bench, &id);
                let ended = bench.run().await;
                assert_eq!(ended.code, exit::HELD, "{vendor:?} {what}: {ended:#?}");
                assert_line_of(&ended, &bench, ann, SUCCESSION_HELD);
                assert!(line_of(&ended, &bench, ann).reason.contains(old.as_str()), "{ended:#?}");
                assert_eq!(whole(&bench, &id), before, "{what}");
                let ended = approve_and_run(&bench).await;
                ended.assert_end(exit::OK, RunResult::Ok);
                assert_line_of(&ended, &bench, ann, SUCCEEDED);
                let shown = bench.world().account_by_id(&id).unwrap();
                assert_eq!((shown.active(), shown.at("/externalId")), (true, json!(bench.external_id(ann))));
                bench.assert_quiet().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_mark_of_our_form_that_the_source_does_not_know_waits_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let ann = bench.hire("ann");
        let id = add_marked(&bench, "ann", mark_of_nobody(vendor), false);
        let before = whole(&bench, &id);
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        assert_line_of(&ended, &bench, ann, ADOPTION_HELD);
        assert!(ended.words_of("ann").contains("does not know"), "{ended:#?}");
        assert_eq!(whole(&bench, &id), before);
        let ended = approve_and_run(&bench).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_line_of(&ended, &bench, ann, ADOPTED);
        assert!(bench.is_active("ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_value_is_nobodys_mark_and_is_shown_as_it_was_and_will_be() {
    for vendor in BOTH {
        // Another tool's id, a personnel number, a mark of the other vendor's form, and one that is too short.
        let foreign = match vendor {
            Vendor::Okta => "onelogin:42",
            Vendor::OneLogin => "00uNobodyKnowsThis01",
        };
        for value in ["5f0c2a0e-9b1e-4b7e-8f4e-1d2c3b4a5f6e", "E-1007", foreign, "00uShort", "42"] {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben"])[0];
            add_marked(&bench, "ann", value, false);
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, ann, ADOPTED);
            let change = format!("externalId: {value} -> {}", bench.external_id(ann));
            assert!(ended.changes_of("ann").contains(&change), "{ended:#?}");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_source_does_not_tell_about_the_marked_person_the_account_stays_untouched() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let eve = bench.world().hire("eve@acme.example", |_| {});
        let ann = bench.hire("ann");
        bench.hire("fay");
        let id = add_marked(&bench, "ann", &bench.external_id(eve), false);
        let before = whole(&bench, &id);
        let eve = bench.source_id(eve).to_string();
        let peer = if vendor == Vendor::Okta { Peer::Okta } else { Peer::OneLogin };
        let fault = Fault::on(peer).when(move |path, _| path.ends_with(&format!("/users/{eve}")));
        bench.sim.faults().add(fault.then(Effect::Answer(okta_error(
            500,
            "E0000009",
            "Internal Server Error",
        ))));
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, ann, TAKEN);
        assert!(line_of(&ended, &bench, ann).reason.contains("does not tell"), "{ended:#?}");
        ended.assert_line("fay", Verb::Create, Outcome::Applied);
        assert_eq!(whole(&bench, &id), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_account_that_is_reached_by_its_address_is_judged_by_its_mark_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(BY_EVERYTHING);
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let eve = bench.world().hire("eve@acme.example", |_| {});
        let ann = bench.hire("ann");
        let mut account = account_by_hand("a.archer@acme.example", false);
        account["externalId"] = json!(bench.external_id(eve));
        account["emails"] = json!([{"value": "ann@acme.example", "type": "work", "primary": true}]);
        let id = bench.world().add_account(&account);
        let before = whole(&bench, &id);
        assert_line_of(&bench.run().await, &bench, ann, TAKEN);
        assert_eq!(whole(&bench, &id), before);
    }
}

/// Without `externalId` as a search, a marked account is found in a listing or on the way to somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_marked_account_is_linked_although_another_account_has_the_login_that_its_person_has_now() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        let id = add_marked(&bench, "ann.before", &bench.external_id(ann), false);
        let in_the_way = bench.add_account("ann", true);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_line_of(&ended, &bench, ann, ADOPTED);
        let reason = &line_of(&ended, &bench, ann).reason;
        assert!(reason.contains(&format!("account {in_the_way} has the new one")), "{ended:#?}");
        let link = bench.link(ann).await.unwrap();
        assert_eq!(
            (link.target_id.as_str(), link.user_name.as_str()),
            (id.as_str(), "ann.before@acme.example")
        );
        let shown = bench.world().account_by_id(&id).unwrap();
        assert_eq!((shown.active(), shown.at("/userName")), (true, json!("ann.before@acme.example")));
        let again = bench.run().await;
        assert_eq!(line_of(&again, &bench, ann).action, Verb::Block, "the name is blocked: {again:#?}");
        // Once the name is free, it is a rename like any other.
        bench.world().delete_account(&in_the_way);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.account("ann").id, id);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_account_that_waits_for_approval_is_found_by_a_run_of_that_person_alone() {
    for vendor in BOTH {
        // Marks cannot be searched: the full run sees this one on the way to whoever has its login.
        let bench = Bench::new(vendor).await.target("dialect = \"wrike\"");
        let bench = bench.tables("[sync.adopt]\nmode = \"hold\"");
        bench.staff(["zoe", "yan"]);
        bench.begin().await;
        let renamed = bench.hire("anna");
        bench.hire("ann");
        let account = add_marked(&bench, "ann", &bench.external_id(renamed), true);
        assert_line_of(&bench.run().await, &bench, renamed, ADOPTION_HELD);
        let ended = bench.run_who(Selection::Ids(vec![bench.source_id(renamed)])).await;
        assert_line_of(&ended, &bench, renamed, ADOPTION_HELD);
        assert_eq!(bench.accounts().len(), 3, "nobody gets a second account: {ended:#?}");
        let ended = approve_and_run(&bench).await;
        assert_line_of(&ended, &bench, renamed, ADOPTED);
        assert_eq!(bench.world().account_by_id(&account).unwrap().user_name(), "anna@acme.example");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_marked_for_somebody_who_is_not_activated_yet_is_taken() {
    // OneLogin's "not activated" is the end of somebody with a link, and nobody has linked Eve.
    let bench = Bench::onelogin().await;
    bench.staff(["ben", "cleo"]);
    bench.begin().await;
    let eve = bench.hire("eve");
    bench.world().set_status(eve, "STAGED", 0, 1);
    let ann = bench.hire("ann");
    let id = add_marked(&bench, "ann", &bench.external_id(eve), true);
    let before = whole(&bench, &id);
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, ann, TAKEN);
        assert_eq!(whole(&bench, &id), before);
    }
}
