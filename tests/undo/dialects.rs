//! Service providers of every kind: what a run did there goes back there.

use rosterd::exit;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::ScimQuirks;
use serde_json::json;

use crate::engine::{assert_left_alone, number, owned, undo};
use crate::support::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_service_provider_gives_back_what_it_took() {
    let kinds = [
        ("wrike", ScimQuirks::wrike()),
        ("scim2-server", ScimQuirks::scim2_server()),
        ("scimmy", ScimQuirks::scimmy()),
        ("better-auth", ScimQuirks::better_auth()),
        ("django-scim2-server", ScimQuirks::django_scim2_server()),
        ("canaille", ScimQuirks::canaille()),
        ("okta's sample", ScimQuirks::okta_sample()),
    ];
    for (kind, habits) in kinds {
        let bench = Bench::okta().await;
        let token = bench.sim.scim_token();
        let bench = bench.habits(|own| *own = ScimQuirks { token, requests_per_minute: None, ..habits });
        let [ann, bob, ..] = bench.staff(["ann", "bob", "cid", "dan", "eve"]);
        bench.begin().await;
        let before = owned(&bench);
        bench.world().edit(ann, |person| {
            person.title = Some("Manager".to_owned());
            person.primary_phone = Some("+15550199".to_owned());
            person.department = Some("Sales".to_owned());
        });
        bench.world().unassign(bob);
        let changed = bench.run().await;
        assert_eq!(changed.facts.summary.writes(), 2, "{kind}: {changed:?}");
        let ended = undo(&bench, number(&changed)).await;
        assert_eq!((ended.code, ended.facts.summary.writes()), (exit::OK, 2), "{kind}: {ended:?}");
        assert_eq!(owned(&bench), before, "{kind}: {ended:?}");
        assert_left_alone(&bench, &["ann", "bob"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_targets_own_spelling_is_what_the_run_wrote() {
    let bench = Bench::okta().await.habits(|habits| habits.normalises = true);
    let [ann, _] = bench.staff(["ann", "bob"]);
    bench.begin().await;
    let before = owned(&bench);
    bench.world().edit(ann, |person| {
        person.title = Some("  Manager ".to_owned());
        person.primary_phone = Some("+1 (555) 0199".to_owned());
    });
    let changed = bench.run().await;
    changed.assert_line("ann", Verb::Update, Outcome::Applied);
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert!(!ended.words_of("ann").contains("moved on"), "{ended:?}");
    assert_eq!(owned(&bench), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_target_ignored_has_nothing_to_come_back_from() {
    let bench = Bench::okta().await.habits(|habits| habits.drops = vec!["title".to_owned()]);
    let [ann, _] = bench.staff(["ann", "bob"]);
    bench.begin().await;
    bench.world().edit(ann, |person| {
        person.title = Some("Manager".to_owned());
        person.department = Some("Sales".to_owned());
    });
    let changed = bench.run().await;
    let ended = undo(&bench, number(&changed)).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    let changes = ended.changes_of("ann");
    assert!(changes.len() == 1 && changes[0].ends_with("department: Sales -> Research"), "{changes:?}");
    assert_eq!(bench.account("ann").at("/title"), json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_type_takes_its_seat_again() {
    let path = "userType";
    let tables = format!(
        "[sync.user_type]\npath = \"{path}\"\nfrom = \"user.title\"\ndefault = \"Regular\"\n\
         values = [\"Regular\", \"Collaborator\"]\nbillable = [\"Regular\"]\n"
    );
    let bench = Bench::okta().await.tables(&tables);
    let ann = bench.hire_with("ann", |person| person.title = Some("Regular".to_owned()));
    bench.hire_with("bob", |person| person.title = Some("Regular".to_owned()));
    bench.begin().await;
    bench.world().edit(ann, |person| person.title = Some("Collaborator".to_owned()));
    let changed = bench.run().await;
    assert_eq!((changed.facts.seats.before, changed.facts.seats.after), (2, 1), "{changed:?}");
    let ended = undo(&bench, number(&changed)).await;
    assert_eq!((ended.facts.seats.before, ended.facts.seats.after), (1, 2), "{ended:?}");
    assert!(bench.link(ann).await.unwrap().billable);
}
