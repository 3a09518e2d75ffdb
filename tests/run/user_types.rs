//! The user type: from an attribute, else from the first group, else the default; and the seats that go with it.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use serde_json::{Value, json};

use crate::support::Bench;

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// A user type made of an attribute and of groups.
fn with_user_types(vendor: Vendor) -> String {
    let from = if vendor == Vendor::Okta { "app.wrikeUserType" } else { "custom.wrike_user_type" };
    format!(
        "[sync.user_type]\npath = \"userType\"\nfrom = \"{from}\"\n\
         groups = [{{ group = \"Guests\", value = \"External\" }}, {{ group = \"Helpers\", value = \"Collaborator\" }}]"
    )
}

fn set_type(bench: &Bench, person: rosterd::sim::PersonId, value: Option<&str>) {
    bench.world().edit(person, |person| {
        let value = value.map_or(Value::Null, Value::from);
        person.app_profile.insert("wrikeUserType".to_owned(), value.clone());
        person.custom_attributes.insert("wrike_user_type".to_owned(), value);
    });
}

#[tokio::test]
async fn the_user_type_comes_from_the_attribute_else_the_first_group_else_the_default() {
    for vendor in BOTH {
        let bench = Bench::new(vendor)
            .await
            .source("groups = [\"Guests\", \"Helpers\"]")
            .tables(&with_user_types(vendor));
        let [ann, ben, cleo, dan] = bench.staff(["ann", "ben", "cleo", "dan"]);
        let guests = bench.world().add_group("Guests");
        let helpers = bench.world().add_group("Helpers");
        set_type(&bench, ann, Some("collaborator"));
        bench.world().add_member(guests, ann);
        bench.world().add_member(guests, ben);
        bench.world().add_member(helpers, ben);
        bench.world().add_member(helpers, cleo);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        let kind = |name: &str| bench.account(name).at("/userType");
        let kinds = ["ann", "ben", "cleo", "dan"].map(kind);
        assert_eq!(
            kinds,
            ["Collaborator", "External", "Collaborator", "Regular"].map(Value::from),
            "{vendor:?}"
        );
        assert_eq!(ended.facts.seats.after, 2, "collaborators are not billed");
        bench.assert_quiet().await;
        bench.world().add_member(guests, dan);
        bench.run().await.assert_line("dan", Verb::Update, Outcome::Applied);
        assert_eq!(kind("dan"), json!("External"));
    }
}

#[tokio::test]
async fn a_user_type_outside_the_list_stops_a_creation_and_only_that_attribute_of_a_linked_account() {
    for vendor in BOTH {
        let bench = Bench::new(vendor)
            .await
            .source("groups = [\"Guests\", \"Helpers\"]")
            .tables(&with_user_types(vendor));
        bench.world().add_group("Guests");
        bench.world().add_group("Helpers");
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        set_type(&bench, ben, Some("Superuser"));
        let ended = bench.run().await;
        ended.assert_line("ben", Verb::Block, Outcome::Skipped);
        assert!(ended.words_of("ben").contains("Superuser"), "{ended:?}");
        assert!(bench.world().account("ben@acme.example").is_none());
        set_type(&bench, ann, Some("Superuser"));
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(ended.changes_of("ann"), ["title: Engineer -> Lead"]);
        assert!(ended.words_of("ann").contains("Superuser"), "{ended:?}");
        assert_eq!(bench.account("ann").at("/userType"), json!("Regular"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn who_changes_group_changes_type_by_one_update_and_the_seats_line_says_what_that_costs() {
    for vendor in BOTH {
        let bench = Bench::new(vendor)
            .await
            .source("groups = [\"Guests\", \"Helpers\"]")
            .tables(&with_user_types(vendor));
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        let (guests, helpers) = (bench.world().add_group("Guests"), bench.world().add_group("Helpers"));
        bench.world().add_member(helpers, ann);
        bench.world().add_member(helpers, ben);
        let ended = bench.run().await;
        assert_eq!((ended.facts.seats.before, ended.facts.seats.after), (0, 2), "{vendor:?}");
        // From one rule to another with a higher priority, and from a rule to none.
        bench.world().add_member(guests, ann);
        bench.world().remove_member(helpers, ben);
        for ended in [bench.dry().await, bench.run().await] {
            assert_eq!(ended.facts.summary.update, 2, "{vendor:?} {ended:?}");
            assert_eq!(ended.changes_of("ann"), ["userType: Collaborator -> External"]);
            assert_eq!(ended.changes_of("ben"), ["userType: Collaborator -> Regular"]);
            assert_eq!((ended.facts.seats.before, ended.facts.seats.after), (2, 4), "{vendor:?}");
        }
        assert_eq!(
            bench.writes().iter().filter(|line| line.starts_with("P")).count(),
            2 + 4,
            "one write each"
        );
        bench.world().add_member(helpers, ben);
        let ended = bench.run().await;
        assert_eq!((ended.facts.seats.before, ended.facts.seats.after), (4, 3), "{vendor:?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_change_of_type_that_takes_a_seat_leaves_one_less_for_those_who_join() {
    let bench = Bench::okta()
        .await
        .source("groups = [\"Guests\", \"Helpers\"]")
        .tables(&format!("{}\n[sync.guard]\nmax_seats = 3\n", with_user_types(Vendor::Okta)));
    let [ann, _] = bench.staff(["ann", "ben"]);
    bench.world().add_group("Guests");
    let helpers = bench.world().add_group("Helpers");
    bench.world().add_member(helpers, ann);
    bench.begin().await;
    bench.world().remove_member(helpers, ann);
    bench.staff(["cleo", "dan"]);
    let ended = bench.run().await;
    assert_eq!(
        (ended.code, ended.facts.summary.create, ended.facts.summary.held),
        (exit::HELD, 1, 1),
        "{ended:?}"
    );
    assert_eq!(ended.facts.seats.after, 3);
}
