//! Accounts that exist already: the matching ladder, what an adoption may change, and what it never does.

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{DuplicateHabit, Effect, Fault, FilterHabit, Peer, ScimQuirks};
use serde_json::json;

use crate::support::{Bench, account_by_hand};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];
const WITH_EMAIL: &str = "[sync.adopt]\nmatch = [\"externalId\", \"userName\", \"email\"]";

#[tokio::test]
async fn an_account_with_our_mark_is_adopted_whatever_it_is_called() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.hire("ann");
        let mut account = account_by_hand("former.name@acme.example", true);
        account["externalId"] = json!(bench.external_id(ann));
        let id = bench.world().add_account(&account);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("former.name", Verb::Adopt, Outcome::Applied);
        assert_eq!(ended.of("former.name").situation, Situation::Found);
        assert!(ended.words_of("former.name").contains("externalId"));
        let account = bench.account("ann");
        assert_eq!(account.id, id, "the login follows the source");
        assert_eq!(account.at("/name/givenName"), json!("Ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_bare_number_at_onelogin_is_not_our_mark() {
    let bench = Bench::onelogin().await;
    let ann = bench.hire("ann");
    let mut account = account_by_hand("somebody@elsewhere.example", true);
    account["externalId"] = json!(bench.source_id(ann).as_str());
    let id = bench.world().add_account(&account);
    bench.run().await.assert_line("ann", Verb::Create, Outcome::Applied);
    assert_eq!(bench.world().account_by_id(&id).unwrap().user_name(), "somebody@elsewhere.example");
}

#[tokio::test]
async fn an_account_with_the_login_in_another_case_is_adopted_and_keeps_its_spelling() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.hire("ann");
        let id = bench.add_account("Ann@ACME.example", true);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
        assert!(ended.changes_of("ann").contains(&"title: - -> Engineer".to_owned()), "{ended:#?}");
        let account = bench.world().account_by_id(&id).unwrap();
        assert_eq!(account.user_name(), "Ann@ACME.example", "the same login is not a change");
        assert_eq!(account.at("/externalId"), json!(bench.external_id(ann)));
        assert_eq!(bench.accounts().len(), 1);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_adoption_that_changes_nothing_sends_nothing() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    bench.begin().await;
    // The state is lost; the account stands as it was left.
    std::fs::remove_dir_all(bench.directory.path().join("state")).unwrap();
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
    assert_eq!((ended.changes_of("ann"), bench.writes()), (Vec::new(), Vec::new()));
    bench.assert_quiet().await;
}

#[tokio::test]
async fn an_address_alone_adopts_nobody_unless_the_configuration_lists_it() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.hire("ann");
        let mut account = account_by_hand("a.archer", true);
        account["emails"] = json!([{"value": "Ann@acme.example", "type": "work", "primary": true}]);
        let id = bench.world().add_account(&account);
        bench.run().await.assert_line("ann", Verb::Create, Outcome::Applied);
        let account = bench.world().account_by_id(&id).unwrap();
        assert_eq!((account.user_name(), account.version), ("a.archer", 1));
    }
}

#[tokio::test]
async fn an_adoption_by_address_changes_neither_login_nor_address_without_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(WITH_EMAIL);
        bench.hire("ann");
        let mut account = account_by_hand("a.archer@acme.example", true);
        account["emails"] = json!([
            {"value": "a.archer@acme.example", "type": "work", "primary": true},
            {"value": "ANN@acme.example", "type": "home"},
        ]);
        let id = bench.world().add_account(&account);
        let ended = bench.run().await;
        ended.assert_line("a.archer", Verb::Adopt, Outcome::Applied);
        assert!(ended.words_of("a.archer").contains("e-mail"), "{ended:#?}");
        let changes = ended.changes_of("a.archer").join("\n");
        assert!(changes.contains("title") && !changes.contains("userName") && !changes.contains("emails"));
        let shown = bench.world().account_by_id(&id).unwrap();
        assert_eq!(shown.at("/title"), json!("Engineer"));
        assert_eq!(
            (shown.at("/userName"), shown.at("/emails")),
            (account["userName"].clone(), account["emails"].clone())
        );
        for _ in 0..2 {
            bench.sim.clear_requests();
            let ended = bench.run().await;
            ended.assert_end(exit::HELD, RunResult::Held);
            ended.assert_line("a.archer", Verb::Update, Outcome::Held);
            assert!(
                ended
                    .changes_of("a.archer")
                    .contains(&"userName: a.archer@acme.example -> ann@acme.example".to_owned())
            );
            assert_eq!(bench.writes(), Vec::<String>::new());
        }
        assert_eq!(bench.accounts().len(), 1);
    }
}

#[tokio::test]
async fn an_inactive_account_is_adopted_and_activated_in_the_same_action() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.hire("ann");
        bench.add_account("ann", false);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
        assert!(ended.changes_of("ann").contains(&"active: false -> true".to_owned()));
        assert!(bench.is_active("ann"));
        assert_eq!(bench.accounts().len(), 1);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_inactive_account_stays_inactive_where_reactivation_is_off_and_is_owed_afterwards() {
    let bench = Bench::okta().await.tables("[sync.lifecycle]\nreactivate = false");
    bench.hire("ann");
    bench.add_account("ann", false);
    bench.run().await.assert_line("ann", Verb::Adopt, Outcome::Applied);
    assert!(!bench.is_active("ann"));
    bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Disabled);
    let bench = bench.tables("");
    bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
    assert!(bench.is_active("ann"));
    bench.assert_quiet().await;
}

#[tokio::test]
async fn with_updates_off_an_adoption_links_and_changes_nothing() {
    let bench = Bench::okta().await.tables("[sync.lifecycle]\nupdate = false");
    let ann = bench.hire("ann");
    let id = bench.add_account("ann", true);
    bench.run().await.assert_line("ann", Verb::Adopt, Outcome::Applied);
    assert_eq!(bench.writes(), Vec::<String>::new());
    assert_eq!(bench.link(ann).await.unwrap().target_id.as_str(), id);
}

#[tokio::test]
async fn adopt_mode_hold_waits_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.adopt]\nmode = \"hold\"");
        bench.staff(["ann", "ben"]);
        bench.add_account("ann", true);
        let before = bench.account("ann").resource;
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        ended.assert_line("ann", Verb::Adopt, Outcome::Held);
        ended.assert_line("ben", Verb::Create, Outcome::Applied);
        assert_eq!(bench.account("ann").resource, before);
        assert_eq!(bench.dry().await.code, exit::OK, "a dry run reports holds and exits 0");
    }
}

#[tokio::test]
async fn two_matching_accounts_are_ambiguous_and_neither_is_touched() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.add_account("ann", true);
        bench.add_account("Ann@acme.example", false);
        let before = bench.accounts();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Block, Outcome::Skipped);
        assert_eq!(ended.of("ann").situation, Situation::Ambiguous);
        assert!(
            before.iter().all(|(id, _)| ended.words_of("ann").contains(id)),
            "both are named: {ended:#?}"
        );
        assert_eq!(bench.accounts()[..2], before[..]);
    }
}

#[tokio::test]
async fn a_server_that_ignores_filters_never_gets_the_wrong_account_adopted() {
    for vendor in BOTH {
        for habit in [FilterHabit::Ignored, FilterHabit::UserNameOnly, FilterHabit::NoEscapes] {
            let bench = Bench::new(vendor).await.habits(|habits| habits.filter = habit);
            bench.add_account("zoe", true);
            let zoe = bench.account("zoe").resource;
            bench.hire("ann");
            let ended = bench.run().await;
            ended.assert_line("ann", Verb::Create, Outcome::Applied);
            assert_eq!(bench.account("zoe").resource, zoe, "{habit:?}");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn an_account_that_appears_between_lookup_and_create_is_adopted_after_the_409() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        let appear = |world: &rosterd::sim::World| {
            world.add_account(&account_by_hand("ann@acme.example", true));
        };
        let is_ann = Fault::on(Peer::Scim).method("POST").nth(1);
        bench.sim.faults().add(is_ann.then(Effect::before(appear)));
        let bench = bench.target("concurrency = 1");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
        ended.assert_line("ben", Verb::Create, Outcome::Applied);
        assert_eq!(bench.accounts().len(), 2);
        assert_eq!(bench.account("ann").at("/title"), json!("Engineer"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn after_a_409_adopt_mode_hold_still_waits() {
    let bench = Bench::okta().await.tables("[sync.adopt]\nmode = \"hold\"");
    bench.hire("ann");
    let appear = |world: &rosterd::sim::World| {
        world.add_account(&account_by_hand("ann@acme.example", true));
    };
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::before(appear)));
    let ended = bench.run().await;
    ended.assert_end(exit::HELD, RunResult::Held);
    ended.assert_line("ann", Verb::Adopt, Outcome::Held);
    assert_eq!(bench.account("ann").version, 1);
}

/// A workspace that shows this account in no list and no search.
fn hide_account(bench: &Bench, id: &str) {
    let id = id.to_owned();
    let lists = Fault::on(Peer::Scim).method("GET").when(|path, _| path.ends_with("/Users"));
    bench.sim.faults().add(lists.then(Effect::edit(move |reply| {
        reply.edit_json(|body| {
            if let Some(rows) = body["Resources"].as_array_mut() {
                rows.retain(|row| row["id"] != json!(id));
                let left = rows.len();
                body["totalResults"] = json!(left);
            }
        });
    })));
}

#[tokio::test]
async fn an_account_that_exists_and_is_not_visible_is_told_and_fails_nothing() {
    for vendor in BOTH {
        for people in [1, 5] {
            let bench = Bench::new(vendor).await;
            bench.hire("ann");
            bench.crowd(people);
            let id = bench.add_account("ann", false);
            hide_account(&bench, &id);
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            ended.assert_line("ann", Verb::Block, Outcome::Skipped);
            assert!(ended.words_of("ann").contains("exists but not visible"), "{ended:?}");
            assert_eq!(ended.facts.summary.create, people as u64);
            assert_eq!(bench.world().account_by_id(&id).unwrap().version, 1);
        }
    }
}

#[tokio::test]
async fn an_inactive_account_that_searches_do_not_find_is_found_after_the_409() {
    let bench = Bench::okta().await.habits(|habits| habits.inactive_invisible = true);
    bench.staff(["ann", "ben"]);
    let id = bench.add_account("ann", false);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
    assert!(bench.world().account_by_id(&id).unwrap().active());
    bench.assert_quiet().await;
}

#[tokio::test]
async fn a_server_that_tells_cases_apart_in_lookups_only_still_gets_its_account_adopted() {
    for people in [1, 6] {
        let bench = Bench::okta().await.habits(|habits| habits.filter = FilterHabit::CaseSensitive);
        let id = bench.add_account("Ann@ACME.example", true);
        bench.hire("ann");
        bench.crowd(people - 1);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
        assert_eq!(bench.accounts().len(), people);
        assert_eq!(
            bench.world().account_by_id(&id).unwrap().at("/title"),
            json!("Engineer"),
            "{people} people"
        );
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_server_that_accepts_duplicates_never_gets_one_from_us() {
    use rosterd::sim::DuplicateHabit;
    for people in [1, 6] {
        let bench = Bench::okta().await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
        bench.add_account("ann", true);
        bench.hire("ann");
        bench.crowd(people - 1);
        bench.run().await.assert_line("ann", Verb::Adopt, Outcome::Applied);
        assert_eq!(bench.accounts().len(), people);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_listing_that_shows_less_than_it_counts_is_followed_by_a_lookup_before_anybody_is_created() {
    use rosterd::sim::DuplicateHabit;
    let bench = Bench::okta().await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
    let names = ["ann", "ben", "cleo", "dan", "eve", "fay"];
    bench.staff(names);
    names.iter().for_each(|name| drop(bench.add_account(name, true)));
    let lists =
        Fault::on(Peer::Scim).method("GET").when(|_, query| query.iter().all(|(name, _)| name != "filter"));
    let number = bench.sim.faults().add(lists.then(Effect::DropRows(1)));
    let ended = bench.run().await;
    assert!(bench.sim.faults().fired(number) > 0, "it did list");
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!((ended.facts.summary.adopt, ended.facts.summary.create), (6, 0), "{ended:#?}");
    assert_eq!(bench.accounts().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_filter_tells_case_apart_a_listing_decides_before_anybody_is_created() {
    for vendor in BOTH {
        let habits = |habits: &mut ScimQuirks| {
            habits.filter = FilterHabit::CaseSensitive;
            habits.duplicates = DuplicateHabit::CaseSensitive;
        };
        let bench = Bench::new(vendor).await.habits(habits);
        bench.hire("ben");
        bench.begin().await;
        let ann = bench.hire("ann");
        let id = bench.add_account("Ann@ACME.example", true);
        let ended = bench.run_who(Selection::Ids(vec![bench.source_id(ann)])).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
        assert_eq!(bench.accounts().len(), 2);
        assert_eq!(
            bench.world().account_by_id(&id).unwrap().at("/externalId"),
            json!(bench.external_id(ann))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_filter_tells_case_apart_and_nothing_is_listed_the_report_says_what_is_not_found() {
    let bench = Bench::okta().await.habits(|habits| habits.filter = FilterHabit::CaseSensitive);
    bench.hire("ann");
    bench.begin().await;
    bench.hire("ben");
    let refused = Fault::on(Peer::Scim)
        .method("GET")
        .when(|path, query| path.ends_with("/Users") && query.iter().all(|(name, _)| name != "filter"))
        .then(Effect::answer(403, "application/json", "{}"));
    bench.sim.faults().add(refused);
    let ended = bench.run().await;
    ended.assert_line("ben", Verb::Create, Outcome::Applied);
    assert!(ended.facts.notes.iter().any(|note| note.contains("upper from lower case")), "{ended:#?}");
}
