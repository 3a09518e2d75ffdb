//! Accounts that a creation finds in its way: a 409, and the adoption that it leads to.

use super::*;

/// An account appears after the lookup and before the creation, which is answered with 409.
fn appear_before_the_creation(bench: &Bench, account: Value) {
    let appear = move |world: &World| {
        world.add_account(&account);
    };
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::before(appear)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_after_a_409_waits_where_adoptions_or_activations_wait_and_can_be_approved() {
    for vendor in BOTH {
        for table in [
            "[sync.guard]\napproval = [\"adopt\"]",
            "[sync.guard]\nmax_reactivations = 0",
            "[sync.guard]\napproval = [\"reactivate\"]",
            "[sync.adopt]\nmode = \"hold\"",
        ] {
            let bench = Bench::new(vendor).await.tables(table);
            let [ann, _] = bench.staff(["ann", "ben"]);
            let bench = bench.target("concurrency = 1");
            appear_before_the_creation(&bench, account_by_hand("ann@acme.example", false));
            let ended = bench.run().await;
            assert_eq!(ended.code, exit::HELD, "{table}: {ended:#?}");
            assert_eq!(line_of(&ended, &bench, ann).action, Verb::Adopt, "{table}: {ended:#?}");
            assert!(!bench.is_active("ann"), "{table}: {ended:#?}");
            ended.assert_line("ben", Verb::Create, Outcome::Applied);
            let hold = open_holds(&bench).await.remove(0);
            assert_eq!((hold.count, ended.facts.holds.len()), (1, 1), "{table}: {hold:?}");
            assert_eq!(ended.facts.holds[0].id, hold.id(), "the report shows it");
            let again = bench.run().await;
            assert_eq!(again.code, exit::HELD, "it stays held: {table}: {again:#?}");
            let ended = approve_and_run(&bench).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert!(bench.is_active("ann"), "{table}: {ended:#?}");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_adoptions_after_a_409_one_activates_where_one_may() {
    for vendor in BOTH {
        let bench =
            Bench::new(vendor).await.tables("[sync.guard]\nmax_reactivations = 1").target("concurrency = 1");
        bench.staff(["ann", "ben"]);
        for login in ["ann@acme.example", "ben@acme.example"] {
            appear_before_the_creation(&bench, account_by_hand(login, false));
        }
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        let active = ["ann", "ben"].into_iter().filter(|name| bench.is_active(name)).count();
        assert_eq!(active, 1, "{ended:#?}");
        assert_eq!(open_holds(&bench).await[0].verb, Verb::Reactivate);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_a_409_that_is_marked_for_somebody_else_is_not_adopted() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("concurrency = 1");
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let eve = bench.world().hire("eve@acme.example", |_| {});
        let gone = bench.hire("gone");
        let gone_mark = bench.external_id(gone);
        bench.world().deactivate(gone);
        for (mark, expected) in [
            (bench.external_id(eve), exit::OK),
            (gone_mark, exit::HELD),
            (mark_of_nobody(vendor).to_owned(), exit::HELD),
        ] {
            let ann = bench.hire("ann");
            let mut account = account_by_hand("ann@acme.example", false);
            account["externalId"] = json!(mark);
            appear_before_the_creation(&bench, account);
            let ended = bench.run().await;
            assert_eq!(ended.code, expected, "{mark}: {ended:#?}");
            let shown = bench.account("ann");
            assert_eq!((shown.active(), shown.at("/externalId")), (false, json!(mark)), "{ended:#?}");
            bench.sim.faults().clear();
            bench.world().delete(ann);
            bench.world().delete_account(&shown.id);
            bench.run().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_a_409_in_place_of_a_deleted_one_waits_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.lifecycle]\nrecreate = true");
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.run().await;
        appear_before_the_creation(&bench, account_by_hand("ann@acme.example", true));
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        assert_line_of(&ended, &bench, ann, (Verb::Adopt, Situation::Relink, Outcome::Held));
        assert_eq!(bench.account("ann").at("/title"), Value::Null);
        approve_and_run(&bench).await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.account("ann").at("/title"), json!("Lead"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_adoptions_at_once_after_a_409_one_activates_where_one_may() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.guard]\nmax_reactivations = 1");
        bench.staff(["ann", "ben"]);
        for login in ["ann@acme.example", "ben@acme.example"] {
            appear_before_the_creation(&bench, account_by_hand(login, false));
        }
        // Both look at what stands in their way at the same time, and both write at the same time.
        for method in ["GET", "PATCH"] {
            let slow = Fault::on(Peer::Scim).method(method);
            bench.sim.faults().add(slow.then(Effect::Delay(Duration::from_millis(100))));
        }
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        let active = ["ann", "ben"].into_iter().filter(|name| bench.is_active(name)).count();
        assert_eq!(active, 1, "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_by_hand_is_not_taken_for_a_creation_that_never_arrived() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.guard]\napproval = [\"adopt\"]");
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let ann = bench.hire("ann");
        let lost = Fault::on(Peer::Scim).method("POST").then(Effect::Cut(Cut::BeforeProcessing));
        bench.sim.faults().add(lost);
        bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
        bench.sim.faults().clear();
        let id = bench.add_account("ann", true);
        let before = whole(&bench, &id);
        bench.pass(Duration::from_secs(11 * 60));
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, ann, ADOPTION_HELD);
        assert_eq!(whole(&bench, &id), before);
        assert_line_of(&approve_and_run(&bench).await, &bench, ann, ADOPTED);
        assert_eq!(whole(&bench, &id)["externalId"], json!(bench.external_id(ann)));
        bench.assert_quiet().await;
    }
}
