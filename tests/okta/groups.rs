//! Declared groups in point reads: resolved afresh, and an old id proves nothing.

use crate::organization;
use crate::source_support::{connect, okta_config, on, read};
use rosterd::http::Lane;
use rosterd::model::id::SourceId;
use rosterd::model::identity::Finding;
use rosterd::sim::{Effect, Peer, Sim, html_page};
use rosterd::source::Source;

/// A member of the group `Staff`, and a source that has read everybody once, as a daemon has.
async fn member() -> (Sim, Source, SourceId) {
    let sim = organization().await;
    let mut config = okta_config(&sim);
    config.groups = vec!["Staff".to_owned()];
    let source = connect(&sim, &config);
    let staff = sim.world().add_group("Staff");
    let person = sim.world().people()[0].clone();
    sim.world().add_member(staff, person.key);
    read(&source).await.unwrap();
    sim.world().delete_group(staff);
    (sim, source, SourceId::new(person.okta_id))
}

fn make_anew(sim: &Sim) {
    let anew = sim.world().add_group("Staff");
    sim.world().add_member(anew, sim.world().people()[0].key);
}

async fn groups(source: &Source, id: &SourceId) -> Result<Vec<String>, String> {
    match source.point_read(id, Lane::Removal).await.unwrap().finding {
        Finding::Assigned(person) => Ok(person.groups.iter().map(|name| name.to_string()).collect()),
        Finding::Inconclusive(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_group_that_was_made_anew_under_its_name_keeps_its_members() {
    for begins in [true, false] {
        let (sim, source, id) = member().await;
        make_anew(&sim);
        if begins {
            source.begin_pass();
        }
        assert_eq!(groups(&source, &id).await, Ok(vec!["Staff".to_owned()]), "a pass begins: {begins}");
    }
}

#[tokio::test]
async fn a_pass_resolves_the_declared_groups_once() {
    let (sim, source, id) = member().await;
    make_anew(&sim);
    source.begin_pass();
    sim.clear_requests();
    for _ in 0..3 {
        groups(&source, &id).await.unwrap();
    }
    let resolutions = |sim: &Sim| {
        sim.requests(Peer::Okta).iter().filter(|request| request.path == "/api/v1/groups").count()
    };
    assert_eq!(resolutions(&sim), 1);
    source.begin_pass();
    groups(&source, &id).await.unwrap();
    assert_eq!(resolutions(&sim), 2);
}

#[tokio::test]
async fn a_declared_group_that_cannot_be_found_says_nothing_about_its_members() {
    let (sim, source, id) = member().await;
    source.begin_pass();
    let why = groups(&source, &id).await.unwrap_err();
    assert!(why.contains("no group of this name"), "{why}");
    // Who is not assigned, or has left, is told apart without their groups.
    sim.world().suspend(sim.world().people()[1].key);
    let leaver = sim.world().find("not.assigned@acme.example").unwrap();
    let leaver = SourceId::new(sim.world().person(leaver).okta_id);
    let read = source.point_read(&leaver, Lane::Removal).await.unwrap();
    assert!(matches!(read.finding, Finding::NotAssigned(_)), "{:?}", read.finding);
}

#[tokio::test]
async fn a_membership_that_is_not_found_is_no_answer_about_the_person() {
    let not_found = rosterd::sim::okta_error(404, "E0000007", "Not found: Resource not found: 00u (User)");
    for effect in [Effect::Answer(not_found), html_page(404)] {
        let (sim, source, id) = member().await;
        make_anew(&sim);
        sim.faults().add(on(Peer::Okta, &format!("/users/{id}/groups")).then(effect));
        let why = groups(&source, &id).await.unwrap_err();
        assert!(why.contains("404"), "{why}");
    }
}

#[tokio::test]
async fn two_groups_of_one_name_contradict_each_other_and_nobody_is_counted_out() {
    let (sim, source, id) = member().await;
    make_anew(&sim);
    groups(&source, &id).await.unwrap();
    // The search still shows another one under the name.
    let other = "[{\"id\":\"00gOther\",\"profile\":{\"name\":\"Staff\"}}]";
    let search = |path: &str, _: &[(String, String)]| path == "/api/v1/groups";
    sim.faults().add(on(Peer::Okta, "/groups").when(search).then(Effect::answer(
        200,
        "application/json",
        other,
    )));
    source.begin_pass();
    let why = groups(&source, &id).await.unwrap_err();
    assert!(why.contains("Staff"), "{why}");
}
