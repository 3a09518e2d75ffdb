//! What the watch heard of is owed until it is done: through a failure, a pause, a stop, a reload, and a log that runs ahead.

use std::time::{Duration, Instant};

use rosterd::sim::{Effect, Fault, Peer, PersonId, scim_error};
use rustix::process::Signal;
use serde_json::json;

use crate::service::{Service, WIDE, YEARLY, active, is_active, stage};
use crate::support::{Access, Ran, Stage};

/// Ann, Ben and Cleo have accounts, and the log tells of nothing yet.
fn three(access: Access) -> (Stage, [PersonId; 3]) {
    let stage = stage(access, WIDE);
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    stage.sim.world().forget_events();
    (stage, [people[0], people[1], people[2]])
}

/// A daemon that follows the log, and whose first full run is over.
fn following(stage: &Stage) -> Service<'_> {
    let service = Service::start(stage);
    service.until("the full run of the first start", || service.runs().0 == 2);
    service
}

fn asks(stage: &Stage, arguments: &[&str]) -> Ran {
    let mut command = stage.home.command(arguments);
    command.env("RUNTIME_DIRECTORY", stage.home.path());
    Ran::of(command.output().unwrap())
}

fn account(stage: &Stage, name: &str) -> String {
    stage.sim.world().account(&format!("{name}@acme.example")).unwrap().id
}

#[test]
fn a_leaver_whose_deactivation_failed_once_is_tried_again_by_the_daemon() {
    let (stage, people) = three(Access::OktaToken);
    let service = following(&stage);
    let failure = Effect::Answer(scim_error(503, None, "try later"));
    let fault = Fault::on(Peer::Scim).method("PATCH").path(&account(&stage, "ann")).nth(1).then(failure);
    let number = stage.sim.faults().add(fault);
    stage.sim.world().unassign(people[0]);
    service.until("the failure", || stage.sim.faults().fired(number) == 1);
    let took = service.until("the leaver", || is_active(stage.sim.world(), "ann") == Some(false));
    assert!(took >= Duration::from_secs(25), "{took:?}: after half a minute, not at once");
    assert_eq!(service.runs().0, 2, "no full run came to help:\n{}", service.log());
    service.stop();
}

#[test]
fn a_leaver_whose_update_is_on_the_wire_is_removed_after_it() {
    let (stage, people) = three(Access::OktaToken);
    let service = following(&stage);
    let slow = Fault::on(Peer::Scim).method("PATCH").path(&account(&stage, "ann")).nth(1);
    stage.sim.faults().add(slow.then(Effect::Delay(Duration::from_secs(12))));
    stage.sim.world().edit(people[0], |person| person.title = Some("Lead".to_owned()));
    let writing = || stage.sim.writes().iter().any(|request| request.method == "PATCH");
    service.until("the update under way", writing);
    stage.sim.world().unassign(people[0]);
    service.until("the leaver", || is_active(stage.sim.world(), "ann") == Some(false));
    assert_eq!(service.runs().0, 2, "{}", service.log());
    service.stop();
}

#[test]
fn a_leaver_at_the_moment_of_a_pause_is_removed_by_the_full_run_that_makes_up_for_it() {
    for ended_by_hand in [true, false] {
        let (stage, people) = three(Access::OktaToken);
        let service = following(&stage);
        let pause: &[&str] = if ended_by_hand { &["pause"] } else { &["pause", "--for", "20s"] };
        assert_eq!(asks(&stage, pause).code, Some(0), "{}", service.log());
        stage.sim.world().unassign(people[0]);
        service.until("the look", || service.runs().1 >= 1);
        assert_eq!(is_active(stage.sim.world(), "ann"), Some(true), "{}", service.log());
        if ended_by_hand {
            asks(&stage, &["resume"]);
        }
        service.until("the leaver", || is_active(stage.sim.world(), "ann") == Some(false));
        service.until("the end of the full run", || service.runs().0 == 3);
        service.stop();
    }
}

#[test]
fn a_stop_between_an_event_about_the_whole_app_and_its_full_run_forgets_nothing() {
    let (stage, _) = three(Access::OktaToken);
    let world = stage.sim.world();
    let group = world.add_group("Everybody else");
    let dan = world.hire("dan@acme.example", |_| {});
    world.add_member(group, dan);
    world.forget_events();
    let service = following(&stage);
    world.assign_group(group);
    world.forget_events();
    world.log_okta_event("group.application_assignment.add", &app(&stage));
    service.until("the event", || service.log().contains("the app was assigned to a group"));
    service.stop();
    assert_eq!(is_active(world, "dan"), None);
    world.forget_events();
    let service = Service::start(&stage);
    service.until("the joiner", || is_active(world, "dan") == Some(true));
    service.stop();
}

#[test]
fn a_reload_between_an_event_about_the_whole_app_and_its_full_run_forgets_nothing() {
    let (stage, _) = three(Access::OktaToken);
    let world = stage.sim.world();
    let dan = world.hire("dan@acme.example", |_| {});
    let service = following(&stage);
    world.assign(dan);
    world.forget_events();
    world.log_okta_event("group.application_assignment.add", &app(&stage));
    service.until("the event", || service.log().contains("the app was assigned to a group"));
    service.signal(Signal::HUP);
    service.until("the joiner", || is_active(world, "dan") == Some(true));
    service.stop();
}

#[test]
fn the_first_start_without_a_cursor_makes_up_for_what_the_log_does_not_tell() {
    for access in [Access::OktaToken, Access::OneLogin] {
        let (stage, people) = three(access);
        let world = stage.sim.world();
        // No run is due, and nobody will ever read of it.
        world.unassign(people[0]);
        world.forget_events();
        let service = Service::start(&stage);
        service.until("the leaver", || is_active(world, "ann") == Some(false));
        service.until("the end of that run", || service.runs() == (2, 0));
        service.stop();
        // The next start has a place in the log, and runs nothing.
        let service = Service::start(&stage);
        service.stays(Duration::from_secs(7), || service.runs() == (2, 0));
        service.stop();
    }
}

#[test]
fn a_look_that_contradicts_its_event_is_repeated() {
    let (stage, people) = three(Access::OktaToken);
    let world = stage.sim.world();
    let service = following(&stage);
    // The log runs ahead: the reads show Ann as assigned for some seconds more.
    let ann = world.person(people[0]).okta_id;
    let target = json!([{"id": ann, "type": "User"}, {"id": stage.sim.okta_app_id(), "type": "AppInstance"}]);
    world.log_okta_event("application.user_membership.remove", &json!({ "target": target }));
    service.until("the first look", || service.runs().1 == 1);
    let began = Instant::now();
    world.unassign(people[0]);
    world.forget_events();
    let took = service.since(began, "the leaver", || is_active(world, "ann") == Some(false));
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert_eq!(service.runs().0, 2, "no full run was needed:\n{}", service.log());
    // It came to something final: no further looks.
    service.until("the end of the second look", || service.runs().1 == 2);
    service.stays(Duration::from_secs(12), || service.runs().1 == 2);
    service.stop();
}

#[test]
fn one_person_whom_the_source_cannot_read_keeps_no_leaver_in() {
    let (stage, people) = three(Access::OktaToken);
    let world = stage.sim.world();
    // Enough of them that two are not most of them.
    stage.hire_all(&["Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim"]);
    world.forget_events();
    let service = following(&stage);
    let path = format!("/users/{}", world.person(people[1]).okta_id);
    let failure = Effect::answer(500, "application/json", r#"{"errorCode":"E0000009"}"#);
    stage.sim.faults().add(Fault::on(Peer::Okta).path(&path).then(failure));
    world.edit(people[1], |person| person.title = Some("Lead".to_owned()));
    world.unassign(people[0]);
    world.unassign(people[2]);
    service.until("the leavers", || active(world) == 9);
    stage.sim.faults().clear();
    let title = || world.account("ben@acme.example").unwrap().at("/title");
    service.until("the one who could not be read", || title() == json!("Lead"));
    assert_eq!(service.runs().0, 2, "{}", service.log());
    service.stop();
}

/// An event about the app of the stage.
fn app(stage: &Stage) -> serde_json::Value {
    json!({ "target": [{"id": stage.sim.okta_app_id(), "type": "AppInstance"}] })
}

#[test]
fn leavers_beyond_the_limit_of_one_look_are_owed_like_everybody() {
    let stage = Stage::with(Access::OktaToken, &format!("{YEARLY}{WIDE}"));
    let world = stage.sim.world();
    let crowd: Vec<PersonId> =
        (0..70).map(|number| stage.hire(&format!("Person{number}"), "Engineer")).collect();
    stage.reconcile();
    world.forget_events();
    let service = following(&stage);
    crowd[..60].iter().for_each(|person| world.unassign(*person));
    service.until("all of them", || active(world) == 10);
    assert_eq!(service.runs().0, 2, "{}", service.log());
    service.stop();
}
