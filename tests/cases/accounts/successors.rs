//! An identity that is gone, and somebody new who takes its account over.

use super::*;

/// Ann is gone, her account is deactivated, and somebody new has her login. Gives both.
async fn rehired(bench: &Bench, leave: Leave) -> (SourceId, PersonId) {
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    let old = bench.source_id(ann);
    leave(bench.world(), ann);
    if bench.world().people().iter().any(|person| person.key == ann) {
        bench.world().rename(ann, "ann.before@acme.example");
    }
    let again = bench.hire("ann");
    bench.world().edit(again, |person| person.title = Some("Returner".to_owned()));
    (old, again)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_successor_gets_account_and_link_and_the_sync_lives_on() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            let bench = Bench::new(vendor).await;
            let (old, again) = rehired(&bench, leave).await;
            let ended = bench.run().await;
            assert_eq!(ended.code, exit::HELD, "{vendor:?} {what}: {ended:#?}");
            assert_line_of(&ended, &bench, again, SUCCESSION_HELD);
            assert!(line_of(&ended, &bench, again).reason.contains(old.as_str()), "both records: {ended:#?}");
            let account = bench.account("ann").id;
            assert!(!bench.is_active("ann"), "{what}");
            let ended = approve_and_run(&bench).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, again, SUCCEEDED);
            let link = bench.link(again).await.unwrap();
            assert_eq!((link.target_id.as_str(), link.state), (account.as_str(), LinkState::Active));
            assert!(link_of(&bench, &old).await.is_none(), "{what}: the old identity has no link any more");
            assert_eq!(what_is_owed(&bench, &old).await, 0);
            let shown = bench.account("ann");
            assert_eq!(
                (shown.active(), shown.at("/externalId"), shown.at("/title")),
                (true, json!(bench.external_id(again)), json!("Returner"))
            );
            assert_eq!(bench.accounts().len(), 3);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_owed_about_the_old_identity_ends_with_the_succession() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            let bench = Bench::new(vendor).await;
            let (old, again) = rehired(&bench, leave).await;
            let refused =
                Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(503, "text/plain", "later"));
            bench.sim.faults().add(refused);
            let ended = bench.run().await;
            assert!(what_is_owed(&bench, &old).await > 0, "{vendor:?} {what}: {ended:#?}");
            assert_eq!(ended.code, exit::PARTIAL, "{vendor:?} {what}: {ended:#?}");
            bench.sim.faults().clear();
            let ended = approve_and_run(&bench).await;
            assert_line_of(&ended, &bench, again, SUCCEEDED);
            assert_eq!(what_is_owed(&bench, &old).await, 0, "{what}");
            bench.assert_quiet().await;
            assert!(bench.is_active("ann"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_succession_whose_write_is_refused_is_done_by_a_later_run() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let (_, again) = rehired(&bench, |world, person| world.delete(person)).await;
        bench.run().await;
        let refused = Effect::answer(503, "text/plain", "later");
        bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(refused));
        let ended = approve_and_run(&bench).await;
        assert_eq!(ended.code, exit::PARTIAL, "{ended:#?}");
        bench.sim.faults().clear();
        for _ in 0..3 {
            bench.run().await;
        }
        assert!(bench.is_active("ann"));
        assert!(bench.link(again).await.is_some());
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehire_in_a_run_of_named_people_is_held_and_approved_like_any_other() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            let bench = Bench::new(vendor).await;
            let (old, again) = rehired(&bench, leave).await;
            let id = bench.source_id(again);
            let ended = bench.run_who(Selection::Ids(vec![id, old.clone()])).await;
            assert_eq!(ended.code, exit::HELD, "{vendor:?} {what}: {ended:#?}");
            assert_line_of(&ended, &bench, again, SUCCESSION_HELD);
            assert!(!bench.is_active("ann"), "the predecessor is removed");
            approve_and_run(&bench).await.assert_end(exit::OK, RunResult::Ok);
            assert!(bench.is_active("ann") && link_of(&bench, &old).await.is_none());
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_succession_that_was_rejected_is_not_planned_again_and_the_account_stays_off() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let (_, again) = rehired(&bench, |world, person| world.delete(person)).await;
        bench.run().await;
        let hold = open_holds(&bench).await.remove(0);
        let store = Store::open(&state_of(&bench), false).await.unwrap();
        store.reject(hold.number, "uid 0", Millis::now()).await.unwrap();
        store.close().await.unwrap();
        for _ in 0..2 {
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_eq!(line_of(&ended, &bench, again).outcome, Outcome::Skipped, "{ended:#?}");
        }
        assert!(!bench.is_active("ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_succession_is_dropped_where_the_predecessor_came_back() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().deactivate(ann);
        bench.world().rename(ann, "ann.before@acme.example");
        let again = bench.hire("ann");
        bench.run().await;
        let decided = approve(&bench).await;
        bench.world().reactivate(ann);
        let ended = bench.run_who(Selection::Ids(decided.people)).await;
        assert_line_of(&ended, &bench, again, TAKEN);
        assert!(bench.link(ann).await.is_some() && bench.link(again).await.is_none());
        assert!(!bench.is_active("ann"), "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_gets_access_where_the_workspace_does_not_show_who_has_it() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.active_hidden = true);
        let (_, again) = rehired(&bench, |world, person| world.delete(person)).await;
        bench.run().await;
        assert!(!bench.is_active("ann"), "the predecessor's access is taken");
        let ended = approve_and_run(&bench).await;
        assert_line_of(&ended, &bench, again, SUCCEEDED);
        assert!(bench.is_active("ann"), "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_of_an_account_that_was_made_anew_passes_the_door_although_the_old_link_has_the_login() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        let (old, mark) = (bench.source_id(ann), bench.external_id(ann));
        bench.world().delete(ann);
        bench.run().await;
        // Somebody deletes the account and makes one anew, with the same login and the same mark.
        bench.world().delete_account(&bench.account("ann").id);
        let anew = add_marked(&bench, "ann", &mark, false);
        let again = bench.hire("ann");
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, again, SUCCESSION_HELD);
        assert!(line_of(&ended, &bench, again).reason.contains(old.as_str()), "{ended:#?}");
        let ended = approve_and_run(&bench).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_line_of(&ended, &bench, again, SUCCEEDED);
        assert_eq!(bench.link(again).await.unwrap().target_id.as_str(), anew);
        assert!(bench.is_active("ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_at_an_end_and_still_listed_is_succeeded_like_anybody_who_is_gone() {
    // OneLogin goes on listing somebody who was set back to "not activated", which is the end of whoever has an account.
    let bench = Bench::onelogin().await;
    let (old, again) = rehired(&bench, |world, person| world.set_status(person, "DEPROVISIONED", 0, 1)).await;
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::HELD, "{ended:#?}");
    assert_line_of(&ended, &bench, again, SUCCESSION_HELD);
    approve_and_run(&bench).await.assert_end(exit::OK, RunResult::Ok);
    assert!(bench.is_active("ann") && link_of(&bench, &old).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_linked_account_somebody_deleted_is_free_for_whoever_has_it_now() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().delete(ann);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(!bench.is_active("ann"));
        assert!(bench.world().delete_account(&bench.account("ann").id));
        let again = bench.hire("ann");
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, again, CREATED);
        assert!(bench.is_active("ann"));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_linked_account_somebody_deleted_is_free_for_a_rename_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, ..] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        bench.world().delete(ann);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(bench.world().delete_account(&bench.account("ann").id));
        bench.world().rename(ben, "ann@acme.example");
        let ended = bench.run().await;
        assert_eq!(line_of(&ended, &bench, ben).outcome, Outcome::Applied, "{ended:#?}");
        assert!(bench.is_active("ann"));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_account_whose_login_the_filter_does_not_find_goes_to_the_successor() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.filter = FilterHabit::CaseSensitive);
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.add_account("ANN@acme.example", true);
        bench.begin().await;
        assert_eq!(bench.accounts().len(), 3);
        bench.world().delete(ann);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        let again = bench.hire("ann");
        let ended = bench.run_who(Selection::Ids(vec![bench.source_id(again)])).await;
        assert_line_of(&ended, &bench, again, SUCCESSION_HELD);
        let ended = approve_and_run(&bench).await;
        assert_line_of(&ended, &bench, again, SUCCEEDED);
        assert!(bench.is_active("ann"));
        assert_eq!(bench.accounts().len(), 3);
    }
}
