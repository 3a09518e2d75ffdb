//! Following the System Log: what each event points at, and that nothing is lost or told twice.

use crate::source_support::{body, connect, okta_config, okta_oauth_config, sim};
use rosterd::config::{self, Dpop};
use rosterd::model::id::SourceId;
use rosterd::model::time::Millis;
use rosterd::sim::{Cut, Effect, Fault, Peer, PersonId, Sim, okta_error};
use rosterd::source::{Poll, PollError, Source, SourceError, Subject};
use serde_json::json;
use std::time::Duration;

/// A watch that has seen everything so far.
struct Watch {
    source: Source,
    cursor: String,
}

impl Watch {
    async fn of(sim: &Sim, config: &config::Source) -> Watch {
        let source = connect(sim, config);
        let mut poll = source.poll_events(None).await.unwrap();
        while poll.more {
            poll = source.poll_events(Some(&poll.cursor)).await.unwrap();
        }
        Watch { source, cursor: poll.cursor }
    }

    async fn try_look(&self) -> Result<Poll, PollError> {
        self.source.poll_events(Some(&self.cursor)).await
    }

    async fn look(&mut self) -> Poll {
        let poll = self.try_look().await.unwrap();
        self.cursor.clone_from(&poll.cursor);
        poll
    }

    async fn subjects(&mut self) -> Vec<Subject> {
        self.look().await.hints.into_iter().map(|hint| hint.subject).collect()
    }
}

async fn watch() -> (Sim, Watch) {
    let sim = sim().await;
    let watch = Watch::of(&sim, &okta_config(&sim)).await;
    (sim, watch)
}

fn id(sim: &Sim, person: PersonId) -> SourceId {
    SourceId::new(sim.world().person(person).okta_id)
}

fn reasons(subjects: &[Subject]) -> Vec<&str> {
    let reasons = subjects.iter().filter_map(|subject| match subject {
        Subject::Everybody(reason) => Some(reason.as_str()),
        Subject::Membership(_) | Subject::Person(_) => None,
    });
    reasons.collect()
}

/// With a cursor of an earlier poll.
fn later() -> Fault {
    Fault::on(Peer::Okta).path("/logs").when(|_, query| query.iter().any(|(name, _)| name == "after"))
}

#[tokio::test]
async fn assigning_and_taking_away_point_at_the_person_whoever_it_is() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let person = world.hire("ann@acme.example", |_| {});
    let id = id(&sim, person);
    watch.look().await;
    let before = Millis::now();
    world.assign(person);
    let after = Millis::now();
    let poll = watch.look().await;
    assert_eq!(poll.hints.len(), 1);
    assert_eq!(poll.hints[0].subject, Subject::Membership(id.clone()));
    assert!((before..=after).contains(&poll.hints[0].at), "the event's own time");
    world.unassign(person);
    assert_eq!(watch.subjects().await, [Subject::Membership(id.clone())]);
    world.assign(person);
    watch.look().await;
    world.rename(person, "ann.other@acme.example");
    assert_eq!(watch.subjects().await, [Subject::Person(id.clone()), Subject::Membership(id)]);
}

#[tokio::test]
async fn lifecycle_and_profile_point_at_the_person_if_known() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let person = world.hire("ann@acme.example", |_| {});
    let about = Subject::Person(id(&sim, person));
    assert_eq!(watch.subjects().await, [about.clone(), about.clone()], "created and activated");
    type Change = fn(&rosterd::sim::World, PersonId);
    let changes: [Change; 6] = [
        |world, person| world.suspend(person),
        |world, person| world.unsuspend(person),
        |world, person| world.deactivate(person),
        |world, person| world.reactivate(person),
        |world, person| world.edit(person, |person| person.title = Some("Head".to_owned())),
        |world, person| world.stage(person),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        change(world, person);
        assert_eq!(watch.subjects().await, std::slice::from_ref(&about), "change {number}");
    }
    world.lock(person);
    world.unlock(person);
    assert_eq!(watch.subjects().await, [], "a lock changes nothing about an account");
    world.delete(person);
    let all = watch.subjects().await;
    assert!(all.len() == 3 && all.iter().all(|subject| *subject == about), "{all:?}");
}

#[tokio::test]
async fn a_group_with_the_app_points_at_its_members_and_asks_for_a_full_run() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let people = ["ann", "bob"].map(|name| world.hire(&format!("{name}@acme.example"), |_| {}));
    let group = world.add_group("Projects");
    watch.look().await;
    people.iter().for_each(|person| world.add_member(group, *person));
    assert_eq!(watch.subjects().await, [], "a group that is not configured and has no app");
    world.assign_group(group);
    let subjects = watch.subjects().await;
    assert_eq!(reasons(&subjects), ["the app was assigned to a group"]);
    for person in people {
        // Okta's own job assigns the members one by one.
        assert!(subjects.contains(&Subject::Membership(id(&sim, person))), "{subjects:?}");
    }
    world.remove_member(group, people[0]);
    assert_eq!(watch.subjects().await, [Subject::Membership(id(&sim, people[0]))]);
    world.unassign_group(group);
    let subjects = watch.subjects().await;
    assert_eq!(reasons(&subjects), ["the app was taken from a group"]);
    assert_eq!(subjects.len(), 2);
}

#[tokio::test]
async fn members_of_configured_groups_are_followed_and_of_no_others() {
    let sim = sim().await;
    let world = sim.world();
    let (bots, others) = (world.add_group("Bots"), world.add_group("Others"));
    let person = world.hire("ann@acme.example", |_| {});
    let mut config = okta_config(&sim);
    config.groups = vec!["Bots".to_owned()];
    let mut watch = Watch::of(&sim, &config).await;
    sim.clear_requests();
    world.add_member(bots, person);
    world.add_member(others, person);
    let about = Subject::Membership(id(&sim, person));
    assert_eq!(watch.subjects().await, std::slice::from_ref(&about));
    world.remove_member(others, person);
    world.remove_member(bots, person);
    assert_eq!(watch.subjects().await, [about]);
    assert_eq!(sim.requests(Peer::Okta).len(), 2, "the groups are resolved once");

    let without = connect(&sim, &okta_config(&sim)).poll_events(Some(&watch.cursor)).await;
    let told = without.unwrap_err().to_string();
    assert!(told.contains("other events are of interest"), "{told}");
}

#[tokio::test]
async fn the_app_as_a_whole_asks_for_a_full_run() {
    let (sim, mut watch) = watch().await;
    sim.world().edit_app(|app| app.label = "Work".to_owned());
    assert_eq!(reasons(&watch.subjects().await), ["the app was changed"]);
    sim.world().deactivate_app();
    sim.world().remove_app();
    assert_eq!(reasons(&watch.subjects().await), ["the app was deactivated", "the app was deleted"]);
}

fn target(id: &str, kind: &str) -> serde_json::Value {
    json!({"id": id, "type": kind})
}

#[tokio::test]
async fn other_apps_failures_and_other_events_are_passed_over_even_where_the_filter_is_ignored() {
    for ignored in [false, true] {
        let (sim, mut watch) = watch().await;
        if ignored {
            sim.faults()
                .add(Fault::on(Peer::Okta).then(Effect::Query("filter".to_owned(), "uuid pr".to_owned())));
        }
        let (world, app) = (sim.world(), sim.okta_app_id());
        let (ann, ours) = (target("00uAnn", "User"), target(&app, "AppInstance"));
        let add = "application.user_membership.add";
        world.log_okta_event(add, &json!({"target": [ann, target("0oaOther", "AppInstance")]}));
        world.log_okta_event(add, &json!({"target": [ann, ours], "outcome": {"result": "FAILURE"}}));
        world.log_okta_event(
            "application.lifecycle.delete",
            &json!({"target": [target("0oaOther", "AppInstance")]}),
        );
        world.log_okta_event("application.user_membership.invented", &json!({"target": [ann, ours]}));
        world.log_okta_event("user.session.start", &json!({"target": [ann]}));
        world.log_okta_event(
            "user.lifecycle.suspend",
            &json!({"target": [ann], "outcome": {"result": "FAILURE"}}),
        );
        assert_eq!(watch.subjects().await, [], "filter ignored: {ignored}");
        // Targets are told apart by type: order and strangers among them do not matter.
        world
            .log_okta_event(add, &json!({"target": [ours, target("0uaX", "AppUser"), ann], "outcome": null}));
        assert_eq!(watch.subjects().await, [Subject::Membership(SourceId::new("00uAnn"))]);
    }
}

#[tokio::test]
async fn an_event_that_says_too_little_asks_for_a_full_run() {
    let (sim, mut watch) = watch().await;
    let ours = target(&sim.okta_app_id(), "AppInstance");
    sim.world().log_okta_event("application.user_membership.remove", &json!({"target": [ours]}));
    let subjects = watch.subjects().await;
    assert!(reasons(&subjects)[0].contains("does not say about whom"), "{subjects:?}");
    sim.world().log_okta_event("user.lifecycle.suspend", &json!({"published": "soon", "uuid": null}));
    sim.faults().add(later().then(Effect::edit(|reply| {
        reply.edit_json(|body| body[0]["target"] = json!("somebody"));
    })));
    let subjects = watch.subjects().await;
    assert!(reasons(&subjects)[0].contains("cannot be read"), "{subjects:?}");
}

#[tokio::test]
async fn an_event_of_the_last_two_minutes_is_seen_by_the_first_poll_and_an_older_one_is_not() {
    let sim = sim().await;
    let world = sim.world();
    let seen = Millis(Millis::now().0 - 60_000).rfc3339();
    let old = Millis(Millis::now().0 - 300_000).rfc3339();
    for (id, published) in [("00uOld", old), ("00uSeen", seen)] {
        let body = json!({"target": [target(id, "User")], "published": published});
        world.log_okta_event("user.lifecycle.suspend", &body);
    }
    let poll = connect(&sim, &okta_config(&sim)).poll_events(None).await.unwrap();
    let subjects: Vec<_> = poll.hints.into_iter().map(|hint| hint.subject).collect();
    assert_eq!(subjects, [Subject::Person(SourceId::new("00uSeen"))]);
    let requests = sim.requests(Peer::Okta);
    let asked = requests.last().unwrap();
    assert_eq!((asked.query("until"), asked.query("sortOrder")), (None, Some("ASCENDING")));
}

#[tokio::test]
async fn a_late_event_is_not_lost_and_nothing_comes_twice() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let [early, late] = ["early", "late"].map(|name| world.hire(&format!("{name}@acme.example"), |_| {}));
    watch.look().await;
    world.delay_events(Duration::from_secs(600));
    world.suspend(late);
    world.delay_events(Duration::ZERO);
    world.suspend(early);
    assert_eq!(watch.subjects().await, [Subject::Person(id(&sim, early))]);
    assert_eq!(watch.subjects().await, []);
    world.advance(Duration::from_secs(601));
    assert_eq!(watch.subjects().await, [Subject::Person(id(&sim, late))], "published first, stored last");
    assert_eq!(watch.subjects().await, []);
}

#[tokio::test]
async fn a_thousand_and_more_come_in_pages_each_once() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    for number in 0..1250 {
        let body = json!({"target": [target(&format!("00u{number}"), "User")]});
        world.log_okta_event("user.lifecycle.suspend", &body);
    }
    let first = watch.look().await;
    assert_eq!((first.hints.len(), first.more), (1000, true));
    let second = watch.look().await;
    assert_eq!((second.hints.len(), second.more), (250, false));
    let mut ids: Vec<_> = first.hints.into_iter().chain(second.hints).map(|hint| hint.event_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1250);
    assert!(watch.look().await.hints.is_empty());
}

#[tokio::test]
async fn an_event_twice_on_a_page_is_told_once() {
    let (sim, mut watch) = watch().await;
    sim.world().hire("ann@acme.example", |_| {});
    sim.faults().add(later().then(Effect::DuplicateRows(2)));
    assert_eq!(watch.look().await.hints.len(), 2, "created and activated");
}

#[tokio::test]
async fn an_idle_poll_is_one_request() {
    let (sim, mut watch) = watch().await;
    for _ in 0..3 {
        sim.clear_requests();
        let poll = watch.look().await;
        assert!(poll.hints.is_empty() && !poll.more);
        let lines: Vec<_> = sim.requests(Peer::Okta).iter().map(|request| request.line()).collect();
        assert_eq!(lines, ["GET /api/v1/logs"]);
    }
}

#[tokio::test]
async fn a_link_that_forgets_what_was_asked_gets_it_again() {
    let (sim, mut watch) = watch().await;
    sim.faults().add(later().nth(1).then(Effect::edit(|reply| {
        for (name, value) in &mut reply.headers {
            if name == "Link" && value.contains("next") {
                let bare = value.split_once('&').unwrap().0.to_owned();
                *value = format!("{bare}>; rel=\"next\"");
            }
        }
    })));
    watch.look().await;
    sim.clear_requests();
    watch.look().await;
    let requests = sim.requests(Peer::Okta);
    assert!(requests[0].query("filter").unwrap().contains("user.lifecycle.suspend"));
    assert_eq!(
        (requests[0].query("limit"), requests[0].query("sortOrder")),
        (Some("1000"), Some("ASCENDING"))
    );
}

#[tokio::test]
async fn a_refused_cursor_is_lost_and_a_refused_first_request_is_not() {
    let (sim, watch) = watch().await;
    for status in [400, 404] {
        sim.faults().clear();
        sim.faults().add(
            Fault::on(Peer::Okta).path("/logs").then(Effect::Answer(okta_error(status, "E0000001", "after"))),
        );
        let lost = watch.try_look().await.unwrap_err();
        assert!(
            matches!(lost, PollError::CursorLost(_)) && lost.to_string().contains("E0000001"),
            "{lost:?}"
        );
        let first = watch.source.poll_events(None).await.unwrap_err();
        assert!(matches!(first, PollError::Source(SourceError::Incomplete(_))), "{first:?}");
    }
    sim.faults().clear();
    watch.try_look().await.unwrap();
}

#[tokio::test]
async fn a_cursor_of_another_place_is_lost_before_anything_is_sent() {
    let (sim, watch) = watch().await;
    let mut other_app = okta_config(&sim);
    other_app.app_id = "0oaOther".to_owned();
    let there = watch.cursor.replace(sim.okta_url().trim_end_matches('/'), "http://evil.example");
    assert_ne!(there, watch.cursor);
    let elsewhere = watch.cursor.replace("/api/v1/logs", "/api/v1/users");
    sim.clear_requests();
    for (source, cursor) in [
        (&watch.source, there.as_str()),
        (&watch.source, elsewhere.as_str()),
        (&watch.source, "not json"),
        (&watch.source, ""),
        (&connect(&sim, &other_app), watch.cursor.as_str()),
    ] {
        let lost = source.poll_events(Some(cursor)).await.unwrap_err();
        assert!(matches!(lost, PollError::CursorLost(_)), "{cursor}: {lost:?}");
    }
    assert!(sim.requests(Peer::Okta).is_empty());
}

#[tokio::test]
async fn credentials_that_may_not_read_the_log_are_told_with_the_scope() {
    let sim = sim().await;
    sim.okta(|okta| okta.granted_scopes.remove("okta.logs.read"));
    let without_scope = connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto));
    let token = connect(&sim, &okta_config(&sim));
    let kept = token.poll_events(None).await.unwrap().cursor;
    sim.okta(|okta| okta.denied.insert("logs"));
    for (source, cursor) in [(&without_scope, None), (&token, None), (&token, Some(kept.as_str()))] {
        let refused = source.poll_events(cursor).await.unwrap_err();
        let told = refused.to_string();
        assert!(
            matches!(refused, PollError::NotAllowed(_)) && told.contains("okta.logs.read"),
            "{refused:?}"
        );
    }
    sim.okta(|okta| okta.api_token_valid = false);
    let refused = token.poll_events(Some(&kept)).await.unwrap_err();
    assert!(matches!(refused, PollError::NotAllowed(_)), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_leads_nowhere_sound_is_refused_and_the_next_poll_repeats_it() {
    let (sim, mut watch) = watch().await;
    let person = sim.world().hire("ann@acme.example", |_| {});
    let cases = [
        (Effect::ForeignNext("http://evil.example".to_owned()), "another origin"),
        (Effect::DropNext, "no next link"),
        (Effect::RepeatCursor, "the same page again"),
        (body("<html>"), "web page"),
        (body("[{"), "cut off"),
        (body("{}"), "cannot be read"),
    ];
    for (effect, names) in cases {
        sim.faults().clear();
        sim.faults().add(later().then(effect));
        let error = watch.try_look().await.unwrap_err();
        let incomplete = matches!(error, PollError::Source(SourceError::Incomplete(_)));
        assert!(incomplete && error.to_string().contains(names), "{names}: {error:?}");
    }
    sim.faults().clear();
    let cut = sim.faults().add(later().then(Effect::Cut(Cut::LostReply)));
    let error = watch.try_look().await.unwrap_err();
    assert!(matches!(error, PollError::Source(SourceError::Unavailable(_))), "{error:?}");
    assert!(sim.faults().fired(cut) > 0);
    sim.faults().clear();
    let about = Subject::Person(id(&sim, person));
    assert_eq!(watch.subjects().await, [about.clone(), about], "nothing was lost meanwhile");
}
