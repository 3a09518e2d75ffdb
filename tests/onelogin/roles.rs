//! Declared roles in point reads: resolved afresh, and an old id proves nothing.

use crate::account;
use crate::source_support::{connect, onelogin_config, read};
use rosterd::http::Lane;
use rosterd::model::id::SourceId;
use rosterd::model::identity::Finding;
use rosterd::sim::{Peer, Sim};
use rosterd::source::Source;

/// A member of the role `Staff`, and a source that has read everybody once, as a daemon has.
async fn member() -> (Sim, Source, SourceId) {
    let sim = account().await;
    let mut config = onelogin_config(&sim);
    config.groups = vec!["Staff".to_owned()];
    let source = connect(&sim, &config);
    let staff = sim.world().add_group("Staff");
    let person = sim.world().people()[0].clone();
    sim.world().add_member(staff, person.key);
    read(&source).await.unwrap();
    sim.world().delete_group(staff);
    (sim, source, SourceId::new(person.onelogin_id.to_string()))
}

fn make_anew(sim: &Sim, name: &str) {
    let anew = sim.world().add_group(name);
    sim.world().add_member(anew, sim.world().people()[0].key);
}

async fn roles(source: &Source, id: &SourceId) -> Result<Vec<String>, String> {
    match source.point_read(id, Lane::Removal).await.unwrap().finding {
        Finding::Assigned(person) => Ok(person.groups.iter().map(|name| name.to_string()).collect()),
        Finding::Inconclusive(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

fn resolutions(sim: &Sim) -> usize {
    sim.requests(Peer::OneLogin).iter().filter(|request| request.path == "/api/2/roles").count()
}

#[tokio::test]
async fn a_role_that_was_made_anew_under_its_name_keeps_its_members() {
    for begins in [true, false] {
        let (sim, source, id) = member().await;
        make_anew(&sim, "Staff");
        if begins {
            source.begin_pass();
        }
        assert_eq!(roles(&source, &id).await, Ok(vec!["Staff".to_owned()]), "a pass begins: {begins}");
    }
}

#[tokio::test]
async fn a_pass_resolves_the_declared_roles_once() {
    let (sim, source, id) = member().await;
    make_anew(&sim, "Staff");
    source.begin_pass();
    sim.clear_requests();
    for _ in 0..3 {
        roles(&source, &id).await.unwrap();
    }
    assert_eq!(resolutions(&sim), 1);
    source.begin_pass();
    roles(&source, &id).await.unwrap();
    assert_eq!(resolutions(&sim), 2);
}

#[tokio::test]
async fn a_role_that_these_credentials_may_not_see_is_asked_about_once() {
    let (sim, source, id) = member().await;
    make_anew(&sim, "Staff");
    make_anew(&sim, "Hidden");
    let hide = rosterd::sim::Effect::edit(|reply| {
        reply.edit_json(|rows| rows.as_array_mut().unwrap().retain(|role| role["name"] != "Hidden"));
        reply.set_header("Total-Count", "1".to_owned());
    });
    sim.faults().add(crate::source_support::on(Peer::OneLogin, "/api/2/roles").then(hide));
    sim.clear_requests();
    for _ in 0..3 {
        assert_eq!(roles(&source, &id).await, Ok(vec!["Staff".to_owned()]));
    }
    assert_eq!(resolutions(&sim), 1);
}

#[tokio::test]
async fn a_declared_role_that_cannot_be_found_says_nothing_about_its_members() {
    let (sim, source, id) = member().await;
    source.begin_pass();
    let why = roles(&source, &id).await.unwrap_err();
    assert!(why.contains("no role `Staff`"), "{why}");
    // Who is not assigned is told apart without the roles.
    let leaver = crate::id_of(&sim, "not.assigned@acme.example");
    let read = source.point_read(&leaver, Lane::Removal).await.unwrap();
    assert!(matches!(read.finding, Finding::NotAssigned(_)), "{:?}", read.finding);
}
