//! What is repaired, by whose leave, and what never is.

use std::time::Duration;

use rosterd::exit;
use rosterd::model::drift::FindingKind;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Mode, Outcome, RunResult, Trigger};
use rosterd::sim::PersonId;
use serde_json::{Value, json};

use crate::support::verifying::Asked;
use crate::support::{Bench, NO_LIMITS, mail};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

fn set(bench: &Bench, name: &str, key: &str, value: Value) {
    let id = bench.account(name).id;
    bench.world().edit_account(&id, |account| {
        account.resource.insert(key.to_owned(), value);
    });
}

fn title(bench: &Bench, name: &str) -> Value {
    bench.account(name).resource["title"].clone()
}

/// A bench where the first of these has left and somebody has activated the account again.
async fn with_a_leaver_back(vendor: Vendor, tables: &str) -> (Bench, PersonId) {
    let bench = Bench::new(vendor).await.tables(tables);
    let ann = bench.staff(["ann", "ben", "cleo", "dan"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    set(&bench, "ann", "active", json!(true));
    bench.sim.clear_requests();
    (bench, ann)
}

#[tokio::test]
async fn a_leaver_who_is_active_again_is_removed_by_a_run_with_a_number_of_its_own() {
    for vendor in BOTH {
        for asked in [Asked::Repair, Asked::Scheduled] {
            let (bench, _) = with_a_leaver_back(vendor, "").await;
            let seen = bench.verify(asked).await;
            assert!(seen.of(FindingKind::LeaverActive).repair, "{seen:?}");
            let repair = seen.repaired();
            repair.assert_end(exit::OK, RunResult::Ok);
            repair.assert_line("ann", Verb::Deactivate, Outcome::Applied);
            let trigger = if asked == Asked::Repair { Trigger::Manual } else { Trigger::Schedule };
            assert_eq!((repair.facts.mode, repair.facts.trigger), (Mode::Apply, trigger));
            assert_eq!(repair.facts.run, Some(3));
            assert!(!bench.is_active("ann"));
            assert_eq!(seen.facts.unrepaired, 0);
            assert_eq!(bench.verify(asked).await.lines(), Vec::<String>::new());
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn a_dry_repair_shows_the_removal_with_its_proof_and_writes_nothing() {
    for vendor in BOTH {
        let (bench, _) = with_a_leaver_back(vendor, "").await;
        let seen = bench.verify(Asked::DryRepair).await;
        let repair = seen.repaired();
        repair.assert_line("ann", Verb::Deactivate, Outcome::Planned);
        assert_eq!((repair.facts.mode, repair.facts.run), (Mode::DryRun, None));
        assert!(bench.is_active("ann"));
        assert_eq!(bench.writes(), Vec::<String>::new());
        // The state knows nothing of it: the next run has nothing to do.
        assert_eq!(bench.run().await.facts.summary.writes(), 0);
    }
}

#[tokio::test]
async fn access_is_only_told_where_the_policy_says_so() {
    let (bench, _) = with_a_leaver_back(Vendor::Okta, "[sync.drift]\naccess = \"report\"").await;
    let seen = bench.verify(Asked::Scheduled).await;
    assert!(seen.repair.is_none() && seen.facts.unrepaired == 1, "{seen:?}");
    assert!(bench.is_active("ann"));
}

#[tokio::test]
async fn a_leaver_who_is_assigned_again_by_the_time_of_the_proof_is_not_removed() {
    for vendor in BOTH {
        let (bench, ann) = with_a_leaver_back(vendor, "").await;
        // Assigned again after the list was read: the listing of the workspace comes later.
        let listing = rosterd::sim::Fault::on(rosterd::sim::Peer::Scim).method("GET").path("/Users").first(1);
        bench.sim.faults().add(listing.then(rosterd::sim::Effect::before(move |world| world.assign(ann))));
        let seen = bench.verify(Asked::Repair).await;
        seen.repaired().assert_line("ann", Verb::Deactivate, Outcome::Deferred);
        seen.repaired().assert_end(exit::PARTIAL, RunResult::Partial);
        assert!(bench.is_active("ann"), "{seen:?}");
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(bench.is_active("ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn leavers_who_are_all_active_again_are_held_and_an_approval_removes_them() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(NO_LIMITS);
        let people = bench.crowd(20);
        bench.begin().await;
        people[..12].iter().for_each(|person| bench.world().unassign(*person));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.pass(Duration::from_secs(25 * 3600));
        for number in 0..12 {
            set(&bench, &format!("person{number}"), "active", json!(true));
        }
        let bench = bench.tables("");
        let seen = bench.verify(Asked::Scheduled).await;
        seen.repaired().assert_end(exit::HELD, RunResult::Held);
        assert_eq!(seen.repaired().facts.summary.held, 12, "{seen:?}");
        assert!((0..12).all(|number| bench.is_active(&format!("person{number}"))));
        let hold = &seen.repaired().facts.holds[0];
        assert_eq!((hold.class, hold.count), (Verb::Deactivate, 12));
        // An ordinary run holds the same people, under the same number.
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_eq!(ended.facts.holds[0].id, hold.id, "{ended:?}");
        let store = rosterd::store::Store::open(&bench.directory.path().join("state"), false).await.unwrap();
        let number = hold.id.trim_start_matches('h').parse().unwrap();
        let now = rosterd::model::time::Millis::now();
        store.approve(number, hold.revision, "somebody", now).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(bench.run().await.facts.summary.deactivate, 12);
        assert!((0..12).all(|number| !bench.is_active(&format!("person{number}"))));
    }
}

#[tokio::test]
async fn an_attribute_is_told_by_default_and_brought_back_where_that_is_wanted() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        set(&bench, "ann", "title", json!("Boss"));
        set(&bench, "ann", "nickName", json!("Annie"));
        let seen = bench.verify(Asked::Scheduled).await;
        assert_eq!(seen.lines(), ["attributes ann@acme.example"]);
        assert!(seen.repair.is_none() && seen.facts.unrepaired == 1);
        assert_eq!(title(&bench, "ann"), "Boss");
        assert_eq!(bench.run().await.facts.summary.writes(), 0, "an ordinary run does not fight either");

        let bench = bench.tables("[sync.drift]\nattributes = \"repair\"");
        let seen = bench.verify(Asked::Scheduled).await;
        seen.repaired().assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(seen.repaired().changes_of("ann"), ["title: Boss -> Engineer"]);
        assert_eq!(title(&bench, "ann"), "Engineer");
        assert_eq!(bench.account("ann").resource["nickName"], "Annie", "nobody's attribute stays");
        assert_eq!(bench.verify(Asked::Repair).await.lines(), Vec::<String>::new());
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_login_that_was_changed_there_is_a_rename_back() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        set(&bench, "ann", "userName", json!("boss@acme.example"));
        let seen = bench.verify(Asked::Repair).await;
        assert_eq!(seen.of(FindingKind::Attributes).user, mail("boss"));
        assert_eq!(seen.repaired().changes_of("boss"), ["userName: boss@acme.example -> ann@acme.example"]);
        assert_eq!(bench.account("ann").resource["title"], "Engineer");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn what_changed_on_both_sides_gets_the_sources_value() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben"])[0];
    bench.begin().await;
    set(&bench, "ann", "title", json!("Boss"));
    bench.world().edit(ann, |ann| ann.title = Some("Lead".to_owned()));
    let seen = bench.verify(Asked::Repair).await;
    assert_eq!(seen.repaired().changes_of("ann"), ["title: Boss -> Lead"]);
    assert_eq!(title(&bench, "ann"), "Lead");
    bench.assert_quiet().await;
}

#[tokio::test]
async fn somebody_who_was_switched_off_there_is_told_and_not_fought_unless_that_is_wanted() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        set(&bench, "ann", "active", json!(false));
        for asked in [Asked::Report, Asked::Repair, Asked::Scheduled] {
            let seen = bench.verify(asked).await;
            assert_eq!(seen.lines(), ["switched_off ann@acme.example"], "{asked:?}");
            assert!(seen.repair.is_none(), "{seen:?}");
        }
        assert_eq!(bench.run().await.facts.summary.writes(), 0);
        assert!(!bench.is_active("ann"));

        let bench = bench.tables("[sync.drift]\nreactivate = \"repair\"");
        let seen = bench.verify(Asked::Scheduled).await;
        seen.repaired().assert_line("ann", Verb::Reactivate, Outcome::Applied);
        assert!(bench.is_active("ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_attribute_that_was_repaired_three_times_is_left_alone_until_the_source_changes() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben"])[0];
    bench.begin().await;
    for _ in 0..3 {
        set(&bench, "ann", "title", json!("Boss"));
        bench.verify(Asked::Repair).await.repaired().assert_line("ann", Verb::Update, Outcome::Applied);
    }
    set(&bench, "ann", "title", json!("Boss"));
    set(&bench, "ann", "name", json!({"givenName": "Anna", "familyName": "Archer"}));
    let seen = bench.verify(Asked::Repair).await;
    assert_eq!(seen.lines(), ["attributes ann@acme.example", "flapping ann@acme.example"]);
    assert_eq!(seen.repaired().changes_of("ann"), ["name.givenName: Anna -> Ann"], "the rest is repaired");
    assert_eq!(title(&bench, "ann"), "Boss");
    assert_eq!(seen.facts.unrepaired, 1);
    // Another value is another matter.
    bench.world().edit(ann, |ann| ann.title = Some("Lead".to_owned()));
    bench.run().await;
    set(&bench, "ann", "title", json!("Boss"));
    bench.verify(Asked::Repair).await.repaired().assert_line("ann", Verb::Update, Outcome::Applied);
    assert_eq!(title(&bench, "ann"), "Lead");
}

#[tokio::test]
async fn a_removal_is_never_given_up_however_often_somebody_undoes_it() {
    let bench = Bench::okta().await.tables(NO_LIMITS);
    let ann = bench.hire("ann");
    bench.crowd(20);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await;
    for _ in 0..5 {
        set(&bench, "ann", "active", json!(true));
        bench.verify(Asked::Scheduled).await.repaired().assert_line(
            "ann",
            Verb::Deactivate,
            Outcome::Applied,
        );
        assert!(!bench.is_active("ann"));
    }
}

#[tokio::test]
async fn an_account_that_is_gone_is_known_to_the_next_run() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        let seen = bench.verify(Asked::Scheduled).await;
        assert_eq!(seen.lines(), ["account_gone ann@acme.example"]);
        assert!(seen.repair.is_none(), "{seen:?}");
        assert!(bench.run().await.words_of("ann").contains("recreate"));
        let bench = bench.tables("[sync.lifecycle]\nrecreate = true");
        bench.run().await.assert_line("ann", Verb::Create, Outcome::Applied);
        assert_eq!(bench.verify(Asked::Report).await.lines(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn unmanaged_accounts_and_a_protected_one_are_never_touched() {
    let bench = Bench::okta().await.tables("[sync.guard]\nprotected = [\"ann@*\"]");
    bench.staff(["ben", "cleo"]);
    bench.begin().await;
    bench.add_account("zoe", true);
    let bench = bench.tables("[sync.guard]\nprotected = [\"ben@*\"]");
    set(&bench, "ben", "title", json!("Boss"));
    let before = bench.accounts();
    let seen = bench.verify(Asked::Repair).await;
    seen.repaired().assert_line("ben", Verb::Skip, Outcome::Skipped);
    assert_eq!((bench.accounts(), seen.facts.unrepaired), (before, 1), "what is left is drift");
}

#[tokio::test]
async fn a_paused_sync_is_verified_and_not_repaired() {
    let (bench, _) = with_a_leaver_back(Vendor::Okta, "").await;
    let store = rosterd::store::Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    store
        .set_pause(
            "default",
            Some(rosterd::model::time::Millis::FOR_GOOD),
            "uid 7",
            rosterd::model::time::Millis::now(),
        )
        .await
        .unwrap();
    store.close().await.unwrap();
    let seen = bench.verify(Asked::Scheduled).await;
    seen.repaired().assert_line("ann", Verb::Deactivate, Outcome::Disabled);
    assert!(bench.is_active("ann"));
}

#[tokio::test]
async fn whoever_another_run_acts_on_meanwhile_is_not_judged() {
    let bench = Bench::okta().await.tables("[sync.drift]\nattributes = \"repair\"");
    let ann = bench.staff(["ann", "ben"])[0];
    bench.begin().await;
    set(&bench, "ann", "title", json!("Boss"));
    set(&bench, "ben", "title", json!("Boss"));
    let (path, id) = (bench.directory.path().join("state/rosterd.db"), bench.source_id(ann));
    // A run of the watch, as far as the journal shows it.
    let acts = rosterd::sim::Effect::before(move |_| {
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute(
                "INSERT INTO journal (run, sync, epoch, at, kind, verb, source_id, salt, digest, chain)
                 VALUES (1, 'default', 1, ?1, 'outcome', 'update', ?2, x'', x'', x'')",
                rusqlite::params![rosterd::model::time::Millis::now().0, id.as_str()],
            )
            .unwrap();
    });
    let listing = rosterd::sim::Fault::on(rosterd::sim::Peer::Scim).method("GET").path("/Users").first(1);
    bench.sim.faults().add(listing.then(acts));
    let seen = bench.verify(Asked::Scheduled).await;
    assert_eq!(seen.lines(), ["attributes ben@acme.example"], "{seen:?}");
    assert_eq!((title(&bench, "ann"), title(&bench, "ben")), (json!("Boss"), json!("Engineer")));
    // The next verification does.
    bench.verify(Asked::Scheduled).await.repaired().assert_line("ann", Verb::Update, Outcome::Applied);
}

#[tokio::test]
async fn an_account_of_a_leaver_that_is_not_there_any_more_is_no_drift() {
    let bench = Bench::okta().await.tables(NO_LIMITS);
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await;
    bench.world().delete_account(&bench.account("ann").id);
    assert_eq!(bench.verify(Asked::Scheduled).await.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn two_syncs_of_one_workspace_leave_each_others_accounts_alone() {
    let mut bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    set(&bench, "ann", "title", json!("Boss"));
    bench.name = "second".to_owned();
    let seen = bench.verify(Asked::Repair).await;
    assert_eq!((seen.facts.accounts.other_syncs, seen.facts.accounts.linked), (2, 0), "{seen:?}");
    assert_eq!((seen.lines(), title(&bench, "ann")), (Vec::new(), json!("Boss")));
}
