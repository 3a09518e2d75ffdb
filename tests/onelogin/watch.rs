//! Following the event log: what each event points at, and that nothing is lost or told twice.

use crate::error;
use crate::source_support::{body, connect, on, onelogin_config, sim};
use rosterd::model::id::SourceId;
use rosterd::model::time::Millis;
use rosterd::sim::{Cut, Effect, Fault, Peer, PersonId, Sim, World};
use rosterd::source::{Poll, PollError, Source, SourceError, Subject};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const USER_SUSPENDED: i64 = 21;
const LOGIN_ADDED: i64 = 206;

/// A watch that has seen everything so far.
struct Watch {
    source: Source,
    cursor: String,
}

impl Watch {
    async fn of(sim: &Sim) -> Watch {
        let source = connect(sim, &onelogin_config(sim));
        let cursor = source.poll_events(None).await.unwrap().cursor;
        Watch { source, cursor }
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
    let watch = Watch::of(&sim).await;
    (sim, watch)
}

fn id(sim: &Sim, person: PersonId) -> SourceId {
    SourceId::new(sim.world().person(person).onelogin_id.to_string())
}

fn person(id: u64) -> Subject {
    Subject::Person(SourceId::new(id.to_string()))
}

fn lines(sim: &Sim) -> Vec<String> {
    sim.requests(Peer::OneLogin).iter().map(|request| request.line()).collect()
}

/// Beyond what the next poll sees again.
fn let_the_overlap_pass(sim: &Sim) {
    sim.world().advance(Duration::from_secs(300));
}

#[tokio::test]
async fn logins_and_roles_point_at_the_person_whoever_it_is() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let ann = world.hire("ann@acme.example", |_| {});
    let role = world.add_group("Projects");
    world.assign_group(role);
    watch.look().await;
    let about = Subject::Membership(id(&sim, ann));
    type Change<'w> = Box<dyn Fn() + 'w>;
    let changes: [Change<'_>; 4] = [
        Box::new(|| world.assign(ann)),
        Box::new(|| world.unassign(ann)),
        Box::new(|| world.add_member(role, ann)),
        Box::new(|| world.remove_member(role, ann)),
    ];
    for (number, change) in changes.iter().enumerate() {
        let before = Millis::now();
        change();
        let after = Millis::now();
        let poll = watch.look().await;
        assert_eq!(poll.hints.len(), 1, "change {number}: {poll:?}");
        assert_eq!(poll.hints[0].subject, about, "change {number}");
        assert!((before..=after).contains(&poll.hints[0].at), "the event's own time");
    }
}

#[tokio::test]
async fn lifecycle_and_profile_point_at_the_person_if_known() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let ann = world.hire("ann@acme.example", |_| {});
    let about = Subject::Person(id(&sim, ann));
    assert_eq!(watch.subjects().await, [about.clone(), about.clone()], "created and activated");
    type Change = fn(&World, PersonId);
    let changes: [Change; 8] = [
        |world, ann| world.suspend(ann),
        |world, ann| world.unsuspend(ann),
        |world, ann| world.lock(ann),
        |world, ann| world.unlock(ann),
        |world, ann| world.deactivate(ann),
        |world, ann| world.reactivate(ann),
        |world, ann| world.edit(ann, |ann| ann.title = Some("Head".to_owned())),
        |world, ann| world.delete(ann),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        change(world, ann);
        assert_eq!(watch.subjects().await, std::slice::from_ref(&about), "change {number}");
    }
}

#[tokio::test]
async fn a_role_that_gets_or_loses_the_app_asks_for_a_full_run() {
    let (sim, mut watch) = watch().await;
    let role = sim.world().add_group("Projects");
    sim.world().assign_group(role);
    let given = Subject::Everybody("the app was added to the role Projects".to_owned());
    assert_eq!(watch.subjects().await, [given]);
    sim.world().unassign_group(role);
    let taken = Subject::Everybody("the app was removed from the role Projects".to_owned());
    assert_eq!(watch.subjects().await, [taken]);
}

#[tokio::test]
async fn other_apps_and_other_kinds_are_passed_over_even_where_the_filter_is_ignored() {
    for ignored in [false, true] {
        let (sim, mut watch) = watch().await;
        if ignored {
            let everything = Effect::Query("event_type_id".to_owned(), String::new());
            sim.faults().add(Fault::on(Peer::OneLogin).path("/events").then(everything));
        }
        let world = sim.world();
        world.log_onelogin_event(LOGIN_ADDED, &json!({"user_id": 7, "app_id": 999}));
        world.log_onelogin_event(1, &json!({"app_id": 999, "role_name": "Projects"}));
        world.log_onelogin_event(5, &json!({"user_id": 7}));
        world.log_onelogin_event(9999, &json!({"user_id": 7}));
        assert_eq!(watch.subjects().await, [], "filter ignored: {ignored}");
        let ours: u64 = sim.onelogin_app_id().parse().unwrap();
        world.log_onelogin_event(LOGIN_ADDED, &json!({"user_id": 7, "app_id": ours}));
        world.log_onelogin_event(LOGIN_ADDED, &json!({"user_id": 8, "app_id": null}));
        let expected = ["7", "8"].map(|id| Subject::Membership(SourceId::new(id)));
        assert_eq!(watch.subjects().await, expected, "an event that names no app may mean ours");
    }
}

#[tokio::test]
async fn an_event_that_says_too_little_asks_for_a_full_run_once() {
    let (sim, mut watch) = watch().await;
    sim.world().log_onelogin_event(LOGIN_ADDED, &json!({"user_id": null}));
    sim.faults().add(on(Peer::OneLogin, "/api/1/events").when(|path, _| !path.ends_with("types")).then(
        Effect::edit(|reply| {
            reply.edit_json(|body| body["data"].as_array_mut().unwrap().push(json!("no event")));
        }),
    ));
    let subjects = watch.subjects().await;
    let [Subject::Everybody(first), Subject::Everybody(second)] = subjects.as_slice() else {
        panic!("{subjects:?}");
    };
    assert!(first.contains("does not say about whom") && second.contains("cannot be read"), "{subjects:?}");
    assert_eq!(watch.subjects().await, []);
}

#[tokio::test]
async fn the_kinds_are_what_the_account_says_they_are() {
    let sim = sim().await;
    let types = json!({"data": [
        {"id": 4711, "name": "user_automatically_added_to_role"},
        {"id": 4712, "name": "USER_SUSPENDED"},
        {"id": 21, "name": "SOMETHING_ELSE"},
        {"id": 64, "name": "USER_CREATION_FAILED_IN_APP"},
        {"id": 51, "name": "USER_CREATED_IN_APP"},
        {"id": 8, "name": "USER_LOGGED_IN_TO_APP"},
    ]});
    sim.faults().add(on(Peer::OneLogin, "/events/types").then(body(&types.to_string())));
    let mut watch = Watch::of(&sim).await;
    for (kind, user) in [(4711, 1), (4712, 2), (21, 3), (64, 4), (51, 5), (8, 6), (17, 7)] {
        sim.world().log_onelogin_event(kind, &json!({"user_id": user}));
    }
    let expected = [Subject::Membership(SourceId::new("1")), person(2), person(7)];
    assert_eq!(watch.subjects().await, expected, "17 is not in the list, so its usual meaning counts");
}

#[tokio::test]
async fn the_overlap_tells_nothing_twice_and_a_late_event_is_not_lost() {
    let (sim, mut watch) = watch().await;
    let world = sim.world();
    let [early, late] = ["early", "late"].map(|name| world.hire(&format!("{name}@acme.example"), |_| {}));
    watch.look().await;
    world.delay_events(Duration::from_secs(60));
    world.suspend(late);
    world.delay_events(Duration::ZERO);
    world.suspend(early);
    assert_eq!(watch.subjects().await, [Subject::Person(id(&sim, early))]);
    assert_eq!(watch.subjects().await, []);
    world.advance(Duration::from_secs(90));
    assert_eq!(watch.subjects().await, [Subject::Person(id(&sim, late))]);
    for _ in 0..3 {
        assert_eq!(watch.subjects().await, []);
        world.advance(Duration::from_secs(60));
    }
    let kept: serde_json::Value = serde_json::from_str(&watch.cursor).unwrap();
    assert_eq!(kept["seen"], json!([]), "what the next poll does not see again is not kept");
}

#[tokio::test]
async fn nothing_is_lost_where_the_clocks_differ_and_where_no_time_is_told() {
    for told in [true, false] {
        let (sim, mut watch) = watch().await;
        if !told {
            sim.faults().add(on(Peer::OneLogin, "/events").then(Effect::edit(|reply| {
                reply.set_header("Date", "no time");
            })));
        }
        // OneLogin's clock is far ahead of ours: our time would ask for the same events for ever.
        sim.world().advance(Duration::from_secs(3600));
        for number in 0..3 {
            sim.world().log_onelogin_event(USER_SUSPENDED, &json!({"user_id": number + 1}));
            assert_eq!(watch.subjects().await, [person(number + 1)], "told: {told}");
            let_the_overlap_pass(&sim);
        }
        sim.world().log_onelogin_event(USER_SUSPENDED, &json!({"user_id": 9}));
        watch.look().await;
        let since = sim.requests(Peer::OneLogin).pop().unwrap().query("since").unwrap().to_owned();
        assert!(Millis::parse(&since).unwrap() > Millis(Millis::now().0 + 3000 * 1000), "{since}");
    }
}

#[tokio::test]
async fn a_thousand_and_more_come_in_pages_over_several_polls_each_once() {
    let (sim, mut watch) = watch().await;
    for number in 0..1230 {
        sim.world().log_onelogin_event(USER_SUSPENDED, &json!({"user_id": number + 1}));
    }
    sim.clear_requests();
    let first = watch.look().await;
    assert_eq!((first.hints.len(), first.more), (1000, true));
    assert_eq!(sim.requests(Peer::OneLogin).len(), 20);
    sim.world().log_onelogin_event(USER_SUSPENDED, &json!({"user_id": 5000}));
    let second = watch.look().await;
    assert_eq!((second.hints.len(), second.more), (231, false));
    let all: BTreeSet<_> = first.hints.into_iter().chain(second.hints).map(|hint| hint.event_id).collect();
    assert_eq!(all.len(), 1231);
    // While the overlap lasts, the pages are read again, and nothing is told again.
    let again = watch.look().await;
    assert!(again.hints.is_empty() && again.more);
    let again = watch.look().await;
    assert!(again.hints.is_empty() && !again.more);
}

#[tokio::test]
async fn an_idle_poll_is_one_request_and_the_kinds_are_read_once_a_day() {
    let (sim, mut watch) = watch().await;
    for _ in 0..2 {
        sim.clear_requests();
        let poll = watch.look().await;
        assert!(poll.hints.is_empty() && !poll.more);
        assert_eq!(lines(&sim), ["GET /api/1/events"]);
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(24 * 3600 + 1)).await;
    tokio::time::resume();
    sim.clear_requests();
    watch.look().await;
    let asked = lines(&sim);
    assert!(asked.contains(&"GET /api/1/events/types".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_refused_cursor_is_lost_and_a_refused_first_request_is_not() {
    let (sim, watch) = watch().await;
    for (status, name) in [(400, "BadRequestError"), (404, "NotFoundError")] {
        sim.faults().clear();
        sim.faults().add(on(Peer::OneLogin, "/api/1/events").then(error(status, name)));
        let lost = watch.try_look().await.unwrap_err();
        assert!(matches!(lost, PollError::CursorLost(_)) && lost.to_string().contains(name), "{lost:?}");
        let first = watch.source.poll_events(None).await.unwrap_err();
        assert!(matches!(first, PollError::Source(SourceError::Incomplete(_))), "{first:?}");
    }
    sim.clear_requests();
    for cursor in ["", "not json", "{}"] {
        let lost = watch.source.poll_events(Some(cursor)).await.unwrap_err();
        assert!(matches!(lost, PollError::CursorLost(_)), "{cursor}: {lost:?}");
    }
    assert!(sim.requests(Peer::OneLogin).is_empty());
    sim.faults().clear();
    watch.try_look().await.unwrap();
}

#[tokio::test]
async fn credentials_that_may_not_read_events_are_told_with_the_scope() {
    let (sim, watch) = watch().await;
    let fresh = connect(&sim, &onelogin_config(&sim));
    sim.onelogin(|onelogin| onelogin.denied.insert("events"));
    for (source, cursor) in [(&fresh, None), (&watch.source, Some(watch.cursor.as_str()))] {
        let refused = source.poll_events(cursor).await.unwrap_err();
        let told = refused.to_string();
        assert!(matches!(refused, PollError::NotAllowed(_)) && told.contains("Read All"), "{refused:?}");
    }
    sim.onelogin(|onelogin| onelogin.denied.clear());
    sim.faults().add(on(Peer::OneLogin, "/api/1/events").then(error(401, "UnauthorizedError")));
    let refused = watch.try_look().await.unwrap_err();
    assert!(matches!(refused, PollError::NotAllowed(_)), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_leads_nowhere_sound_is_refused_and_the_next_poll_repeats_it() {
    let (sim, mut watch) = watch().await;
    for number in 0..60 {
        sim.world().log_onelogin_event(USER_SUSPENDED, &json!({"user_id": number + 1}));
    }
    let second_page = || {
        on(Peer::OneLogin, "/events").when(|_, query| query.iter().any(|(name, _)| name == "after_cursor"))
    };
    let again = Effect::edit(|reply| {
        let next = json!("aWQ6NzAwMDAwMDA1MA==");
        reply.edit_json(|body| body["pagination"]["after_cursor"] = next);
    });
    let cases = [
        (on(Peer::OneLogin, "/events").then(again), "the same page again"),
        (second_page().then(body("<html>")), "web page"),
        (second_page().then(body("{\"data\": [")), "cut off"),
        (second_page().then(body("[]")), "cannot be read"),
    ];
    for (fault, names) in cases {
        sim.faults().clear();
        sim.faults().add(fault);
        let error = watch.try_look().await.unwrap_err();
        let incomplete = matches!(error, PollError::Source(SourceError::Incomplete(_)));
        assert!(incomplete && error.to_string().contains(names), "{names}: {error:?}");
    }
    sim.faults().clear();
    sim.faults().add(second_page().then(Effect::Cut(Cut::LostReply)));
    let error = watch.try_look().await.unwrap_err();
    assert!(matches!(error, PollError::Source(SourceError::Unavailable(_))), "{error:?}");
    sim.faults().clear();
    assert_eq!(watch.look().await.hints.len(), 60, "nothing was lost meanwhile");
}
