//! A leaver overtakes whatever else is under way, at the workspace as well as at the source.

use crate::service::{Service, is_active, stage};
use crate::support::{Access, Stage};
use rosterd::sim::{Peer, Request};

const WIDE_AND_SLOW: &str = "guard = { max_removals = 100000, max_removals_percent = 100, \
                             max_removals_percent_per_day = 100, max_creates = 100000 }\n";

fn stage_with_pace(requests_per_minute: u32) -> Stage {
    let stage = stage(Access::OktaToken, WIDE_AND_SLOW);
    stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
    stage.reconcile();
    let target = stage.target("").replace("60000", &requests_per_minute.to_string());
    let source = format!("source = {{ {} }}", stage.source());
    stage.home.configure(&format!(
        "[[sync]]\n{source}\n{target}\nschedule = \"*/30 * * * * *\"\nwatch = \"5s\"\n{WIDE_AND_SLOW}"
    ));
    stage
}

/// How many requests of a kind arrived after the poll that could first tell of the leaver, and before the removal.
fn arrived_between(stage: &Stage, from: usize, is_meant: impl Fn(&Request) -> bool) -> usize {
    let all = stage.sim.all_requests();
    let told = all[from..].iter().position(|request| request.path.ends_with("/logs")).unwrap() + from;
    let account = stage.sim.world().account("ann@acme.example").unwrap().id;
    let is_removal = |request: &Request| request.method == "PATCH" && request.path.ends_with(&account);
    let removed = all[told..].iter().position(is_removal).unwrap() + told;
    all[told..removed].iter().filter(|request| is_meant(request)).count()
}

#[test]
fn ten_thousand_creations_do_not_delay_a_leaver() {
    let stage = stage_with_pace(300);
    let world = stage.sim.world();
    let ann = world.find("ann@acme.example").unwrap();
    world.populate(10_000);
    let service = Service::start(&stage);
    service.until("creations under way", || world.accounts().len() > 20);
    let from = stage.sim.all_requests().len();
    world.unassign(ann);
    service.until("the leaver", || is_active(world, "ann") == Some(false));
    let creations =
        arrived_between(&stage, from, |request| request.method == "POST" && request.path.contains("/Users"));
    println!("creations between the poll that told of the leaver and the removal: {creations}");
    // Two slots of the rate, and what was under way already.
    assert!(creations <= 2 + 4, "{creations} creations went first:\n{}", service.log());
    service.stop();
}

#[test]
fn a_long_read_at_a_slow_pace_does_not_delay_a_leaver() {
    let stage = stage_with_pace(60_000);
    let world = stage.sim.world();
    let ann = world.find("ann@acme.example").unwrap();
    world.populate(10_000);
    // 50 requests a minute for everybody, 50 % of them ours.
    stage.sim.okta(|okta| {
        okta.rate_limits.apps = 50;
        okta.page_cap = Some(50);
    });
    let service = Service::start(&stage);
    let is_page = |request: &Request| request.peer == Peer::Okta && request.path.ends_with("/users");
    service.until("a read under way", || {
        stage.sim.all_requests().iter().filter(|request| is_page(request)).count() > 2
    });
    let from = stage.sim.all_requests().len();
    world.unassign(ann);
    service.until("the leaver", || is_active(world, "ann") == Some(false));
    let pages = arrived_between(&stage, from, is_page);
    println!("pages read between the poll that told of the leaver and the removal: {pages}");
    assert!(pages <= 2, "{pages} pages went first:\n{}", service.log());
    assert!(world.accounts().len() < 100, "the read had not ended");
    service.stop();
}
