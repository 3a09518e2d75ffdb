//! Bursts, and the guards, which know no shortcut.

use crate::service::{Service, WIDE, active, is_active, stage};
use crate::support::{Access, Ran, Stage};
use rosterd::sim::Peer;
use serde_json::json;

fn crowd(stage: &Stage, people: usize) -> Vec<rosterd::sim::PersonId> {
    (0..people).map(|number| stage.hire(&format!("Person{number}"), "Engineer")).collect()
}

#[test]
fn a_thousand_events_about_one_person_are_few_looks() {
    let stage = stage(Access::OktaToken, WIDE);
    let world = stage.sim.world();
    let people = stage.hire_all(&["Ann", "Ben"]);
    world.forget_events();
    let service = Service::start(&stage);
    service.until("the first run", || service.runs().0 == 1 && active(world) == 2);
    for number in 0..1000 {
        world.edit(people[0], |person| person.title = Some(format!("Title {number}")));
    }
    let title = || world.account("ann@acme.example").unwrap().at("/title");
    service.until("the last title", || title() == json!("Title 999"));
    let id = world.person(people[0]).okta_id;
    let looks = stage
        .sim
        .requests(Peer::Okta)
        .iter()
        .filter(|request| request.path.ends_with(&format!("/users/{id}")))
        .count();
    assert!(looks <= 6, "{looks} looks at one person:\n{}", service.log());
    service.stop();
}

#[test]
fn a_thousand_people_become_one_full_run() {
    let stage = stage(Access::OktaToken, WIDE);
    let world = stage.sim.world();
    stage.hire_all(&["Ann", "Ben"]);
    world.forget_events();
    let service = Service::start(&stage);
    service.until("the first run", || service.runs().0 == 1 && active(world) == 2);
    crowd(&stage, 1000);
    service.until("everybody", || active(world) == 1002 && service.runs().0 == 2);
    service.stop();
}

#[test]
fn leavers_that_the_watch_sees_pass_the_same_guards() {
    for access in [Access::OktaToken, Access::OneLogin] {
        let stage = stage(access, "");
        let world = stage.sim.world();
        let people = crowd(&stage, 30);
        world.forget_events();
        let service = Service::start(&stage);
        service.until("the first run", || service.runs().0 == 1 && active(world) == 30);
        people[..8].iter().for_each(|person| world.unassign(*person));
        let holds = || Ran::of(stage.home.command(&["holds"]).output().unwrap()).stdout;
        service.until("the hold", || holds().contains("to deactivate"));
        // 10 % of thirty at the most, whatever the polls showed at a time.
        assert!(active(world) >= 27, "{access:?}: {} of 30 left\n{}", active(world), service.log());
        // The daemon releases them for a client that asks.
        let id = holds().split('@').next().unwrap().to_owned();
        let mut approve = stage.home.command(&["approve", &id, "--yes"]);
        approve.env("RUNTIME_DIRECTORY", stage.home.path());
        let ran = Ran::of(approve.output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}\n{}", service.log());
        service.until("the approved leavers", || active(world) == 22);
        assert_eq!(is_active(world, "person20"), Some(true));
        service.stop();
    }
}
