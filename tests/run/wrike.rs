//! The Wrike dialect: search by e-mail address only, both forms of its errors, its limits on seats and owners.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{ErrorForm, Peer, ScimQuirks};
use serde_json::json;

use crate::support::{Bench, account_by_hand};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

async fn wrike(vendor: Vendor, errors: ErrorForm) -> Bench {
    let bench = Bench::new(vendor).await.target("dialect = \"wrike\"");
    bench.habits(|habits| {
        let token = habits.token.clone();
        *habits = ScimQuirks { token, errors, requests_per_minute: None, ..ScimQuirks::wrike() };
    })
}

#[tokio::test]
async fn people_are_looked_up_by_address_and_by_nothing_else() {
    for vendor in BOTH {
        let bench = wrike(vendor, ErrorForm::Wrike).await;
        bench.staff(["ann", "ben"]);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.target.dialect, "wrike");
        let filters: Vec<String> = bench
            .sim
            .requests(Peer::Scim)
            .iter()
            .filter_map(|request| request.query("filter").map(str::to_owned))
            .collect();
        assert!(!filters.is_empty());
        assert!(
            filters.iter().all(|filter| filter.starts_with("userName eq \"") && filter.contains('@')),
            "{filters:?}"
        );
        assert!(
            bench
                .sim
                .requests(Peer::Scim)
                .iter()
                .all(|request| request.status.is_some_and(|status| status < 300))
        );
        assert_eq!(bench.account("ann").at("/externalId").as_str().map(str::is_empty), Some(false));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_existing_member_is_adopted() {
    for vendor in BOTH {
        let bench = wrike(vendor, ErrorForm::Wrike).await;
        let ann = bench.staff(["ann", "ben"])[0];
        let id = bench.world().add_account(&account_by_hand("ANN@acme.example", false));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
        let account = bench.world().account_by_id(&id).unwrap();
        assert!(account.active());
        assert_eq!(account.at("/externalId"), json!(bench.external_id(ann)));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn seats_owners_and_foreign_domains_are_told_apart_in_both_forms_of_errors() {
    for errors in [ErrorForm::Wrike, ErrorForm::Scim, ErrorForm::NumberStatus] {
        let bench = wrike(Vendor::Okta, errors).await.target("dialect = \"wrike\"\nconcurrency = 1");
        let [ann, ben, cleo, _, _] = bench.staff(["ann", "ben", "cleo", "dan", "eve"]);
        // Three removals are under the floor of a workspace this large.
        bench.crowd(6);
        bench.begin().await;
        bench.world().edit_account(&bench.account("ann").id, |account| account.owner = true);
        bench.world().edit_account(&bench.account("ben").id, |account| account.several_workspaces = true);
        [ann, ben, cleo].iter().for_each(|person| bench.world().unassign(*person));
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        for name in ["ann", "ben"] {
            ended.assert_line(name, Verb::Deactivate, Outcome::Failed);
            assert!(ended.words_of(name).contains("never allows"), "{errors:?}: {ended:?}");
        }
        ended.assert_line("cleo", Verb::Deactivate, Outcome::Applied);

        bench.world().set_approved_domains(&["acme.example"]);
        bench.hire("guest@other.example");
        let ended = bench.run().await;
        ended.assert_line("guest@other.example", Verb::Create, Outcome::Failed);
        assert!(ended.words_of("guest@other.example").contains("approved domains"), "{errors:?}: {ended:?}");

        bench.world().set_seat_limit(Some(5));
        bench.hire("fay");
        let ended = bench.run().await;
        ended.assert_line("fay", Verb::Create, Outcome::Held);
        assert!(ended.words_of("fay").contains("no seat"), "{errors:?}: {ended:?}");
    }
}

#[tokio::test]
async fn an_account_that_was_deleted_by_hand_is_told_in_both_forms_of_errors() {
    for errors in [ErrorForm::Wrike, ErrorForm::Scim] {
        let bench = wrike(Vendor::OneLogin, errors).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Update, Outcome::Failed);
        assert!(ended.words_of("ann").contains("gone at the target"), "{errors:?}: {ended:?}");
        bench.run().await.assert_line("ann", Verb::Block, Outcome::Skipped);
    }
}

#[tokio::test]
async fn the_wrong_data_centre_stops_the_run_and_is_named() {
    let bench = wrike(Vendor::Okta, ErrorForm::Wrike).await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.hire("cleo");
    bench.sim.scim(|habits| habits.wrong_data_centre = true);
    let ended = bench.run().await;
    ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
    assert!(ended.problems().contains("300"), "{ended:?}");
}

#[tokio::test]
async fn an_account_made_anew_with_our_mark_is_found_by_the_login_it_had() {
    for recreate in [false, true] {
        let tables = format!("[sync.lifecycle]\nrecreate = {recreate}");
        let bench = wrike(Vendor::Okta, ErrorForm::Wrike).await.tables(&tables);
        let ann = bench.hire("ann");
        bench.begin().await;
        let mut anew = bench.account("ann").resource;
        assert!(bench.world().delete_account(&bench.account("ann").id));
        anew.remove("id");
        bench.world().add_account(&serde_json::Value::Object(anew));
        bench.world().rename(ann, "ann.archer@acme.example");
        bench.run().await.assert_line("ann", Verb::Update, Outcome::Failed);
        for _ in 0..2 {
            let ended = bench.run().await;
            ended.assert_end(exit::HELD, RunResult::Held);
            ended.assert_line("ann", Verb::Adopt, Outcome::Held);
            assert_eq!(ended.of("ann").situation, Situation::Relink);
            assert_eq!(bench.accounts().len(), 1, "recreate = {recreate}");
        }
    }
}
