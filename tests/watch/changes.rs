//! Every kind of change, at both vendors.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::service::{Service, WIDE, active, is_active, stage};
use crate::support::Access;
use rosterd::sim::{Effect, Fault, Peer};

const BOTH: [Access; 2] = [Access::OktaToken, Access::OneLogin];

/// Carries every kind of change out, twice, and gives how long each took to be confirmed at the workspace.
fn times_of_changes(access: Access) -> Vec<Duration> {
    let stage = stage(access, WIDE);
    let world = stage.sim.world();
    let names = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"];
    let people = stage.hire_all(&names);
    let group = world.add_group("Everybody else");
    world.assign_group(group);
    let waiting: Vec<_> =
        ["kim", "lee", "mia", "ned"].map(|name| world.hire(&format!("{name}@acme.example"), |_| {})).to_vec();
    world.forget_events();
    let service = Service::start(&stage);
    service.until("the first run", || service_ran(&service, names.len(), active(world)));
    let mut times = Vec::new();
    for round in 0..2 {
        let [unassigned, suspended, disabled, edited] = [0, 1, 2, 3].map(|kind| kind * 2 + round);
        let name = |index: usize| names[index].to_lowercase();
        world.unassign(people[unassigned]);
        times.push(service.until("unassigned", || is_active(world, &name(unassigned)) == Some(false)));
        let began = Instant::now();
        world.suspend(people[suspended]);
        world.deactivate(people[disabled]);
        world.edit(people[edited], |person| person.title = Some("Director".to_owned()));
        world.assign(waiting[round]);
        world.add_member(group, waiting[2 + round]);
        let joined = [["kim", "lee"][round], ["mia", "ned"][round]];
        let title =
            |index: usize| world.account(&format!("{}@acme.example", name(index))).unwrap().at("/title");
        times.push(service.since(began, "suspended", || is_active(world, &name(suspended)) == Some(false)));
        times.push(service.since(began, "deactivated", || is_active(world, &name(disabled)) == Some(false)));
        times.push(service.since(began, "edited", || title(edited) == json!("Director")));
        times.push(service.since(began, "assigned", || is_active(world, joined[0]) == Some(true)));
        times.push(service.since(began, "assigned by a group", || is_active(world, joined[1]) == Some(true)));
    }
    service.until("the last run's end", || service.runs().1 >= 4);
    assert_eq!(service.runs().0, 1, "no full run was needed:\n{}", service.log());
    service.stop();
    times
}

fn service_ran(service: &Service<'_>, people: usize, active: usize) -> bool {
    active == people && service.runs().0 == 1
}

#[test]
fn every_kind_of_change_reaches_the_workspace_without_a_scheduled_run() {
    for access in BOTH {
        let mut times = times_of_changes(access);
        times.sort();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        println!("{access:?}: p50 {:?}, p95 {:?} with watch = 5s", at(50), at(95));
    }
}

#[test]
fn what_happened_while_the_daemon_was_down_is_caught_up_from_the_kept_place() {
    for access in BOTH {
        let stage = stage(access, WIDE);
        let world = stage.sim.world();
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        world.forget_events();
        let service = Service::start(&stage);
        service.until("the first run", || service.runs().0 == 1 && active(world) == 3);
        // A change that the watch sees, so that a place in the log is kept.
        world.edit(people[1], |person| person.title = Some("Lead".to_owned()));
        let title = || world.account("ben@acme.example").unwrap().at("/title");
        service.until("the edit", || title() == json!("Lead") && service.runs().1 == 1);
        service.stop();
        world.unassign(people[0]);
        let service = Service::start(&stage);
        service.until("the leaver", || is_active(world, "ann") == Some(false));
        assert_eq!(service.runs().0, 1, "{}", service.log());
        service.stop();
    }
}

#[test]
fn a_place_in_the_log_that_the_vendor_forgot_leads_to_one_full_run() {
    let stage = stage(Access::OktaToken, WIDE);
    let world = stage.sim.world();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    world.forget_events();
    let service = Service::start(&stage);
    service.until("the first run", || service.runs().0 == 1 && active(world) == 3);
    let gone = Effect::answer(
        400,
        "application/json",
        r#"{"errorCode":"E0000031","errorSummary":"Invalid cursor"}"#,
    );
    let old = |_: &str, query: &[(String, String)]| query.iter().any(|(name, _)| name == "after");
    let number = stage.sim.faults().add(Fault::on(Peer::Okta).path("/logs").when(old).nth(1).then(gone));
    world.unassign(people[0]);
    service.until("the cursor is refused", || stage.sim.faults().fired(number) == 1);
    service.until("the full run", || service.runs().0 == 2);
    assert_eq!(is_active(world, "ann"), Some(false), "{}", service.log());
    service.stop();
}

#[test]
fn strangers_are_not_looked_at() {
    for access in BOTH {
        let stage = stage(access, WIDE);
        let world = stage.sim.world();
        let people = stage.hire_all(&["Ann", "Ben"]);
        let stranger = world.hire("stranger@acme.example", |_| {});
        world.forget_events();
        let service = Service::start(&stage);
        service.until("the first run", || service.runs().0 == 1 && active(world) == 2);
        world.edit(stranger, |person| person.title = Some("Nobody".to_owned()));
        world.edit(people[0], |person| person.title = Some("Lead".to_owned()));
        let title = || world.account("ann@acme.example").unwrap().at("/title");
        service.until("the edit", || title() == json!("Lead") && service.runs().1 == 1);
        let person = world.person(stranger);
        let id = match access {
            Access::OneLogin => person.onelogin_id.to_string(),
            Access::OktaToken | Access::OktaOauth { .. } => person.okta_id,
        };
        let asked = stage.sim.all_requests().into_iter().filter(|request| request.path.contains(&id)).count();
        assert_eq!(asked, 0, "{access:?}: a person who has nothing to do with the app");
        service.stop();
    }
}
