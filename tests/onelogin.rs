//! OneLogin as a source, against the simulated account: whole reads, point reads, credentials, rights, faults.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod source_support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rosterd::config;
use rosterd::http::Lane;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::identity::{Finding, OneLoginStatus, VendorStatus};
use rosterd::sim::{self, Cut, Effect, ErrorShape, Fault, Peer, Sim, TokenShape, html_page};
use rosterd::source::{CheckContext, CheckLevel, RightCheck, Source, SourceError};
use serde_json::json;
use source_support::{
    Case, End, body, connect, end_of, no_fault_ends_as_a_complete_read, on, onelogin_config, pacers, read,
    secrets, sim,
};

const ACTIVE: VendorStatus = VendorStatus::OneLogin(Some(OneLoginStatus { status: 1, state: 1 }));
const UNKNOWN: VendorStatus = VendorStatus::OneLogin(None);

/// An account with 23 assigned people on pages of 10, and one who is not assigned.
async fn account() -> Sim {
    let sim = sim().await;
    sim.onelogin(|onelogin| {
        onelogin.users_page_cap = 10;
        onelogin.page_cap = 10;
    });
    sim.world().populate(23);
    sim.world().hire("not.assigned@acme.example", |_| {});
    sim
}

fn assigned(sim: &Sim) -> BTreeSet<String> {
    sim.world().assigned().into_iter().map(|person| person.onelogin_id.to_string()).collect()
}

fn id_of(sim: &Sim, login: &str) -> SourceId {
    SourceId::new(sim.world().person(sim.world().find(login).unwrap()).onelogin_id.to_string())
}

#[tokio::test]
async fn a_whole_read_shows_everybody_who_is_assigned_with_status_and_details() {
    let sim = account().await;
    let key = sim.world().hire_assigned("ann@acme.example", |person| {
        person.title = Some("Engineer".to_owned());
        person.custom_attributes.insert("wrike_user_type".to_owned(), json!("External"));
    });
    let source = connect(&sim, &onelogin_config(&sim));
    let whole = read(&source).await.unwrap();
    assert_eq!(whole.people.keys().cloned().collect::<BTreeSet<_>>(), assigned(&sim));
    assert_eq!((whole.complete.users(), whole.complete.pages()), (24, 6), "two lists of three pages");
    for person in whole.people.values() {
        assert_eq!(person.status, ACTIVE, "{person:?}");
        assert!(person.assigned);
    }
    let ann = &whole.people[&sim.world().person(key).onelogin_id.to_string()];
    assert_eq!(ann.profile.title.as_deref(), Some("Engineer"), "the default list has no title");
    assert!(ann.raw.custom.as_ref().unwrap().get().contains("External"));
    assert_eq!(source.vendor(), Vendor::OneLogin);
}

#[tokio::test]
async fn every_page_is_asked_for_with_all_filters() {
    let sim = account().await;
    read(&connect(&sim, &onelogin_config(&sim))).await.unwrap();
    let requests = sim.requests(Peer::OneLogin);
    let details: Vec<_> = requests.iter().filter(|request| request.path == "/api/2/users").collect();
    assert_eq!(details.len(), 3);
    for request in details {
        assert_eq!(request.query("app_id"), Some(sim.onelogin_app_id().as_str()));
        assert!(request.query("fields").unwrap().contains("custom_attributes"));
    }
    assert!(
        requests
            .iter()
            .filter(|request| request.query("cursor").is_some())
            .all(|request| request.query("limit").is_none())
    );
}

#[tokio::test]
async fn an_empty_app_is_a_complete_read_of_nobody() {
    let sim = sim().await;
    let whole = read(&connect(&sim, &onelogin_config(&sim))).await.unwrap();
    assert_eq!((whole.complete.users(), whole.complete.pages()), (0, 2));
}

#[tokio::test]
async fn status_and_state_come_as_the_vendor_tells_them() {
    let sim = account().await;
    let world = sim.world();
    let suspended = world.hire_assigned("suspended@acme.example", |_| {});
    world.suspend(suspended);
    let staged = world.hire_assigned("staged@acme.example", |_| {});
    world.stage(staged);
    let whole = read(&connect(&sim, &onelogin_config(&sim))).await.unwrap();
    for (login, status, state) in [("suspended@acme.example", 2, 1), ("staged@acme.example", 0, 0)] {
        let person = &whole.people[id_of(&sim, login).as_str()];
        assert_eq!(person.status, VendorStatus::OneLogin(Some(OneLoginStatus { status, state })));
    }
}

#[tokio::test]
async fn whoever_is_in_only_one_of_the_lists_is_shown_with_an_unknown_status() {
    // The app lists two who have no details; the counts of each list agree with themselves.
    let rows = |keep: usize| {
        Effect::edit(move |reply| {
            reply.edit_json(|rows| rows.as_array_mut().unwrap().truncate(keep));
            reply.set_header("Total-Count", keep.to_string());
        })
    };
    for (path, only) in [("/api/2/users", "the app"), ("/api/2/apps/", "the users")] {
        let sim = sim().await;
        sim.world().populate(5);
        let ends_in_users = |path: &str, _: &[(String, String)]| path.ends_with("/users");
        sim.faults().add(on(Peer::OneLogin, path).when(ends_in_users).then(rows(3)));
        let whole = read(&connect(&sim, &onelogin_config(&sim))).await.unwrap();
        assert_eq!(whole.people.keys().cloned().collect::<BTreeSet<_>>(), assigned(&sim), "only {only}");
        let unknown = whole.people.values().filter(|person| person.status == UNKNOWN).count();
        assert_eq!(unknown, 2, "only {only}");
    }
}

#[tokio::test]
async fn whom_the_users_list_leaves_out_silently_is_not_dropped() {
    let sim = account().await;
    let hidden = sim.world().hire_assigned("hidden@acme.example", |_| {});
    sim.onelogin(|onelogin| onelogin.lists_unlicensed = false);
    sim.world().suspend(hidden);
    let whole = read(&connect(&sim, &onelogin_config(&sim))).await.unwrap();
    assert!(!whole.people.contains_key(id_of(&sim, "hidden@acme.example").as_str()), "no list has them");
    let source = connect(&sim, &onelogin_config(&sim));
    let read = source.point_read(&id_of(&sim, "hidden@acme.example"), Lane::Removal).await.unwrap();
    let Finding::Assigned(identity) = read.finding else { panic!("the point read shows the truth") };
    assert_eq!(identity.status, VendorStatus::OneLogin(Some(OneLoginStatus { status: 2, state: 1 })));
}

#[tokio::test]
async fn both_shapes_of_a_token_and_all_shapes_of_errors_are_understood() {
    for shape in [TokenShape::Flat, TokenShape::Wrapped] {
        for errors in [ErrorShape::V2, ErrorShape::V1, ErrorShape::V1WithObject, ErrorShape::Flat] {
            let sim = account().await;
            sim.onelogin(|onelogin| (onelogin.token_shape, onelogin.errors) = (shape, errors));
            let source = connect(&sim, &onelogin_config(&sim));
            assert_eq!(read(&source).await.unwrap().people.len(), 23);
            let gone = source.point_read(&SourceId::new("99999999"), Lane::Removal).await.unwrap();
            assert!(matches!(gone.finding, Finding::UserGone), "{errors:?}: {:?}", gone.finding);
        }
    }
}

#[tokio::test]
async fn a_token_that_ends_in_mid_list_is_fetched_anew_once_pain_34() {
    for calls in 1..8 {
        let sim = account().await;
        sim.onelogin(|onelogin| onelogin.token_calls_left = Some(calls));
        let whole = read(&connect(&sim, &onelogin_config(&sim))).await;
        assert_eq!(whole.unwrap_or_else(|error| panic!("after {calls}: {error}")).people.len(), 23);
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_apart_and_say_what_to_do() {
    type Prepare = fn(&Sim, &source_support::Secrets);
    let refusals: [(&str, Prepare, &str); 3] = [
        ("another secret", |_, secrets| secrets.set("ONELOGIN_SECRET", "other"), "client_secret"),
        (
            "the user who made them was deleted",
            |sim, _| sim.onelogin(|onelogin| onelogin.credentials_owner_deleted = true),
            "create new API credentials",
        ),
        (
            "an endpoint that gives no token",
            |sim, _| {
                sim.faults().add(on(Peer::OneLogin, "/token").then(body("{}")));
            },
            "no token",
        ),
    ];
    for (what, prepare, names) in refusals {
        let sim = account().await;
        let secrets = secrets(&sim);
        prepare(&sim, &secrets);
        let source = Source::new(&onelogin_config(&sim), &pacers(), secrets.resolve()).unwrap();
        let error = read(&source).await.unwrap_err();
        assert_eq!(end_of(&error), End::Credentials, "{what}: {error}");
        assert!(error.to_string().contains(names), "{what}: {error}");
        assert!(!error.to_string().contains(&sim.onelogin_client_secret()), "{what}: {error}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_fails_for_a_moment_is_asked_again() {
    let sim = account().await;
    sim.faults().add(on(Peer::OneLogin, "/token").first(2).then(html_page(502)));
    assert_eq!(read(&connect(&sim, &onelogin_config(&sim))).await.unwrap().people.len(), 23);
    let sim = account().await;
    sim.faults().add(on(Peer::OneLogin, "/token").then(html_page(502)));
    let error = read(&connect(&sim, &onelogin_config(&sim))).await.unwrap_err();
    assert_eq!(end_of(&error), End::Unavailable, "{error}");
}

#[tokio::test]
async fn a_secret_that_changed_is_read_again_with_the_next_token() {
    let sim = account().await;
    let secrets = secrets(&sim);
    let source = Source::new(&onelogin_config(&sim), &pacers(), secrets.resolve()).unwrap();
    read(&source).await.unwrap();
    sim.onelogin(|onelogin| onelogin.client_secret = "rotated".to_owned());
    sim.revoke_onelogin_token();
    assert_eq!(end_of(&read(&source).await.unwrap_err()), End::Credentials);
    secrets.set("ONELOGIN_SECRET", "rotated");
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
}

#[tokio::test]
async fn roles_are_the_groups_and_a_name_must_mean_exactly_one() {
    let sim = account().await;
    let world = sim.world();
    // More roles than fit on a page: the right one is on a later one.
    for number in 0..12 {
        world.add_group(&format!("Role {number}"));
    }
    let bots = world.add_group("Bots");
    let people = world.people();
    for person in &people[..5] {
        world.add_member(bots, person.key);
    }
    let mut config = onelogin_config(&sim);
    config.groups = vec!["Bots".to_owned()];
    let source = connect(&sim, &config);
    let whole = read(&source).await.unwrap();
    assert_eq!(whole.people.values().filter(|person| !person.groups.is_empty()).count(), 5);
    let id = SourceId::new(people[0].onelogin_id.to_string());
    let Finding::Assigned(identity) = source.point_read(&id, Lane::General).await.unwrap().finding else {
        panic!("{id} is assigned");
    };
    assert_eq!(identity.groups.len(), 1);
    config.groups = vec!["Nobody".to_owned()];
    let error = read(&connect(&sim, &config)).await.unwrap_err();
    assert!(end_of(&error) == End::Incomplete && error.to_string().contains("`Nobody`"), "{error}");
    world.add_group("Bots");
    config.groups = vec!["Bots".to_owned()];
    let error = read(&connect(&sim, &config)).await.unwrap_err();
    assert!(end_of(&error) == End::Incomplete && error.to_string().contains("2 roles"), "{error}");
}

#[tokio::test]
async fn the_reset_counts_seconds_and_nothing_is_refused() {
    let sim = account().await;
    sim.faults().add(on(Peer::OneLogin, "/users").nth(2).then(sim::onelogin_rate_limited(0)));
    let source = connect(&sim, &onelogin_config(&sim));
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
    assert_eq!(source.counters().rate_limited, 1);
}

fn app_users(effect: Effect) -> Fault {
    on(Peer::OneLogin, "/apps/").path("/users").then(effect)
}

fn details(effect: Effect) -> Fault {
    on(Peer::OneLogin, "/api/2/users").then(effect)
}

fn later(fault: Fault) -> Fault {
    fault.when(|_, query| query.iter().any(|(name, _)| name == "cursor"))
}

fn without_total() -> Effect {
    Effect::edit(|reply| reply.remove_header("Total-Count"))
}

fn error(status: u16, name: &str) -> Effect {
    Effect::Answer(sim::Reply::json(status, &json!({"statusCode": status, "name": name, "message": "No"})))
}

/// Somebody comes or goes while the list is read, which shifts the pages behind.
fn joiner_in_mid_list() -> Effect {
    Effect::before(|world| {
        world.hire_assigned(&format!("new{}@acme.example", world.people().len()), |_| {});
    })
}

fn leaver_in_mid_list() -> Effect {
    Effect::before(|world| {
        let first = world.assigned()[0].key;
        world.unassign(first);
    })
}

fn connection_faults() -> Vec<Case> {
    use End::{Incomplete, Unavailable};
    vec![
        Case::new(
            2,
            "lasting 503",
            later(details(html_page(503))),
            Unavailable,
            &["page 2", "/api/2/users", "503"],
        ),
        Case::new(
            3,
            "lasting 500 on the app's list",
            app_users(html_page(500)),
            Unavailable,
            &["page 1", "500"],
        ),
        Case::new(
            11,
            "every connection is cut",
            later(app_users(Effect::Cut(Cut::BeforeProcessing))),
            Unavailable,
            &["page 2"],
        ),
        Case::new(3, "every body is cut", details(Effect::Cut(Cut::InBody(50))), Unavailable, &["page 1"]),
        Case::new(
            3,
            "every chunked body is cut",
            details(Effect::Cut(Cut::InChunkedBody(50))),
            Unavailable,
            &["page 1"],
        ),
        Case::new(
            36,
            "429 for ever",
            later(details(sim::onelogin_rate_limited(0))),
            Unavailable,
            &["page 2", "429"],
        ),
        Case::new(
            12,
            "a web page with status 200",
            later(details(html_page(200))),
            Incomplete,
            &["page 2", "web page"],
        ),
        Case::new(12, "an empty body", app_users(body("")), Incomplete, &["page 1", "cut off"]),
        Case::new(
            12,
            "the v1 envelope instead of a list",
            details(body("{\"status\":{},\"data\":[]}")),
            Incomplete,
            &["page 1"],
        ),
        Case::new(
            3,
            "a truncated list of the right length",
            later(details(Effect::edit(|reply| reply.body.truncate(50)))),
            Incomplete,
            &["cut off"],
        ),
        Case::new(
            2,
            "an entry without an id",
            details(Effect::edit(|reply| reply.edit_json(|rows| rows[0]["id"] = json!(null)))),
            Incomplete,
            &["no id"],
        ),
        Case::new(
            20,
            "a redirect",
            details(Effect::Answer(sim::Reply::empty(302).with("location", "/login"))),
            Incomplete,
            &["302"],
        ),
    ]
}

fn paging_faults() -> Vec<Case> {
    use End::Incomplete;
    vec![
        Case::new(
            25,
            "the rest of the app's list is lost",
            app_users(Effect::DropNext),
            Incomplete,
            &["Total-Count", "23", "10"],
        ),
        Case::new(
            26,
            "the rest of the details is lost",
            details(Effect::DropNext),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            29,
            "a page that lacks somebody",
            later(app_users(Effect::DropRows(1)).nth(1)),
            Incomplete,
            &["Total-Count", "22"],
        ),
        Case::new(
            33,
            "a page of details that lacks somebody",
            later(details(Effect::DropRows(1)).nth(1)),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(4, "a count that is too high", app_users(Effect::ShiftTotal(1)), Incomplete, &["24"]),
        Case::new(4, "a count that is too low", details(Effect::ShiftTotal(-1)), Incomplete, &["22"]),
        Case::new(
            31,
            "a count that changes",
            details(Effect::ShiftTotal(5)).nth(1),
            Incomplete,
            &["28", "23"],
        ),
        Case::new(
            27,
            "no count at all on the app's list",
            app_users(without_total()),
            Incomplete,
            &["no Total-Count"],
        ),
        Case::new(
            27,
            "no count on the last page",
            later(details(without_total())),
            Incomplete,
            &["no Total-Count"],
        ),
        Case::new(
            21,
            "a cursor that leads back",
            app_users(Effect::RepeatCursor).numbers(2..=9),
            Incomplete,
            &["read already"],
        ),
        Case::new(
            21,
            "a cursor of the details that leads back",
            details(Effect::RepeatCursor).numbers(2..=9),
            Incomplete,
            &["read already"],
        ),
        Case::new(
            30,
            "rows that come twice",
            details(Effect::DuplicateRows(1)).nth(1),
            Incomplete,
            &["shifted"],
        ),
        Case::new(
            31,
            "the same page under each cursor",
            later(details(Effect::Query("cursor".to_owned(), String::new()))),
            Incomplete,
            &["read already"],
        ),
        Case::new(
            30,
            "a joiner while the app's list is read",
            app_users(joiner_in_mid_list()).nth(3),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            30,
            "a leaver while the app's list is read",
            app_users(leaver_in_mid_list()).nth(2),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            31,
            "a joiner while the details are read",
            details(joiner_in_mid_list()).nth(3),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            31,
            "a leaver while the details are read",
            details(leaver_in_mid_list()).nth(2),
            Incomplete,
            &["Total-Count"],
        ),
    ]
}

fn right_faults() -> Vec<Case> {
    use End::{Credentials, Incomplete, Unavailable};
    let app =
        |effect| on(Peer::OneLogin, "/api/2/apps/").when(|path, _| !path.ends_with("/users")).then(effect);
    vec![
        Case::new(
            34,
            "a lasting 401 in mid-list",
            later(details(error(401, "UnauthorizedError"))),
            Credentials,
            &["page 2", "Unauthorized"],
        ),
        Case::new(
            8,
            "403 on the app's list",
            app_users(error(403, "ForbiddenError")),
            Credentials,
            &["Read All"],
        ),
        Case::new(
            8,
            "403 in mid-list",
            later(details(error(403, "ForbiddenError"))),
            Credentials,
            &["page 2"],
        ),
        Case::new(10, "403 on the app", app(error(403, "ForbiddenError")), Credentials, &["Read All"]),
        Case::new(
            1,
            "an app that is gone",
            app(Effect::before(|world| world.edit_app(|app| app.removed = true))),
            Incomplete,
            &["no app"],
        ),
        Case::new(1, "an answer about another app", app(body("{\"id\":1}")), Incomplete, &["another app"]),
        Case::new(11, "an app that cannot be asked for", app(html_page(502)), Unavailable, &["502"]),
        Case::new(
            1,
            "an app that goes in mid-list",
            later(app_users(Effect::before(|world| world.edit_app(|app| app.removed = true)))),
            Incomplete,
            &["page 2", "404"],
        ),
        Case::new(
            1,
            "an app that goes between the lists",
            details(Effect::before(|world| world.edit_app(|app| app.removed = true))).nth(2),
            Incomplete,
            &["Total-Count"],
        ),
    ]
}

async fn plain() -> (Sim, config::Source) {
    let sim = account().await;
    let config = onelogin_config(&sim);
    (sim, config)
}

#[tokio::test]
async fn no_fault_of_connection_or_body_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(connection_faults(), plain).await;
}

#[tokio::test]
async fn no_fault_of_paging_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(paging_faults(), plain).await;
}

#[tokio::test]
async fn no_missing_right_or_app_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(right_faults(), plain).await;
}

#[tokio::test]
async fn an_account_that_cannot_be_reached_is_unavailable() {
    let sim = account().await;
    let source = connect(&sim, &onelogin_config(&sim));
    drop(sim);
    let error = read(&source).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unavailable(text) if text.contains("cannot connect")), "{error}");
}

#[tokio::test]
async fn a_point_read_needs_the_whole_list_of_apps_hidden_ones_too() {
    let sim = account().await;
    let world = sim.world();
    sim.onelogin(|onelogin| onelogin.other_apps_per_user = 25);
    world.edit_app(|app| app.visible = false);
    let deleted = world.hire_assigned("deleted@acme.example", |_| {});
    let deleted_id = id_of(&sim, "deleted@acme.example");
    world.delete(deleted);
    let source = connect(&sim, &onelogin_config(&sim));
    let look = async |id: &SourceId| source.point_read(id, Lane::Removal).await.unwrap().finding;
    let person = SourceId::new(world.people()[0].onelogin_id.to_string());
    assert!(matches!(look(&person).await, Finding::Assigned(_)), "on the last page, and hidden");
    let Finding::NotAssigned(identity) = look(&id_of(&sim, "not.assigned@acme.example")).await else {
        panic!("the person is not assigned");
    };
    assert!(!identity.assigned && identity.status == ACTIVE);
    assert!(matches!(look(&deleted_id).await, Finding::UserGone));
    assert!(matches!(look(&SourceId::new("00u1")).await, Finding::Inconclusive(_)), "no id of OneLogin");
    let requests = sim.requests(Peer::OneLogin);
    let apps = requests.iter().filter(|request| request.path.ends_with("/apps"));
    assert!(apps.clone().count() > 2);
    assert!(apps.clone().all(|request| request.query("ignore_visibility") == Some("true")));
}

#[tokio::test]
async fn a_point_read_that_proves_nothing_says_so() {
    let apps = |effect| on(Peer::OneLogin, "/apps").then(effect);
    let user =
        |effect| on(Peer::OneLogin, "/api/2/users/").when(|path, _| !path.ends_with("/apps")).then(effect);
    let route = json!({"error": true, "code": 404, "type": "Not Found", "message": "No Route Exists"});
    let cases = [
        (2, "a proxy's 404 for the user", user(html_page(404))),
        (2, "a 404 for the route", user(Effect::Answer(sim::Reply::json(404, &route)))),
        (12, "a web page for the user", user(html_page(200))),
        (2, "somebody else's user", user(body("{\"id\":1,\"status\":2,\"state\":1}"))),
        (
            2,
            "a user without a status",
            user(Effect::edit(|reply| reply.edit_json(|user| user["status"] = json!(null)))),
        ),
        (2, "a 404 for the apps", apps(error(404, "NotFoundError"))),
        (12, "a web page for the apps", apps(html_page(200))),
        (3, "a cut list of apps", apps(Effect::edit(|reply| reply.body.truncate(20)))),
        (25, "the rest of the apps is lost", apps(Effect::DropNext)),
        (29, "an app is left out", apps(Effect::DropRows(1)).nth(1)),
        (21, "the list of apps loops", apps(Effect::RepeatCursor).numbers(2..=9)),
    ];
    for (pain, what, fault) in cases {
        let sim = account().await;
        sim.onelogin(|onelogin| onelogin.other_apps_per_user = 25);
        let id = id_of(&sim, "not.assigned@acme.example");
        let number = sim.faults().add(fault);
        let read = connect(&sim, &onelogin_config(&sim)).point_read(&id, Lane::Removal).await.unwrap();
        assert!(matches!(read.finding, Finding::Inconclusive(_)), "pain {pain}, {what}: {:?}", read.finding);
        assert!(sim.faults().fired(number) > 0, "{what}");
    }
}

#[tokio::test]
async fn a_point_read_of_a_source_that_fails_is_an_error() {
    let cases = [
        (html_page(503), End::Unavailable),
        (Effect::Cut(Cut::LostReply), End::Unavailable),
        (error(403, "ForbiddenError"), End::Credentials),
        (error(401, "UnauthorizedError"), End::Credentials),
    ];
    for (effect, end) in cases {
        for path in ["/api/2/users/", "/apps"] {
            let sim = account().await;
            let id = id_of(&sim, "not.assigned@acme.example");
            sim.faults().add(on(Peer::OneLogin, path).then(effect.clone()));
            let error =
                connect(&sim, &onelogin_config(&sim)).point_read(&id, Lane::Removal).await.unwrap_err();
            assert_eq!(end_of(&error), end, "{path}: {error}");
        }
    }
}

#[tokio::test]
async fn a_deletion_is_only_believed_with_its_event() {
    let sim = account().await;
    let world = sim.world();
    let (loud, silent) = (
        world.hire_assigned("loud@acme.example", |_| {}),
        world.hire_assigned("silent@acme.example", |_| {}),
    );
    let ids = ["loud@acme.example", "silent@acme.example"].map(|login| id_of(&sim, login));
    world.delete(loud);
    world.delete_silently(silent);
    let source = connect(&sim, &onelogin_config(&sim));
    assert_eq!(source.deletion_event(&ids[0]).await.unwrap(), Some(true));
    assert_eq!(source.deletion_event(&ids[1]).await.unwrap(), Some(false));
    assert_eq!(source.deletion_event(&id_of(&sim, "not.assigned@acme.example")).await.unwrap(), Some(false));
    sim.onelogin(|onelogin| onelogin.denied.insert("events"));
    assert_eq!(source.deletion_event(&ids[0]).await.unwrap(), None, "no log is no event");
}

#[tokio::test]
async fn the_type_of_a_deletion_is_what_the_account_says_it_is() {
    let sim = account().await;
    let deleted = sim.world().hire_assigned("gone@acme.example", |_| {});
    let id = id_of(&sim, "gone@acme.example");
    sim.world().delete(deleted);
    let types = json!({"data": [{"id": 4711, "name": "USER_DELETED"}, {"id": 17, "name": "OTHER"}]});
    sim.faults().add(on(Peer::OneLogin, "/events/types").then(body(&types.to_string())));
    let source = connect(&sim, &onelogin_config(&sim));
    assert_eq!(source.deletion_event(&id).await.unwrap(), Some(false), "17 means something else here");
    let asked = sim.requests(Peer::OneLogin);
    assert!(asked.iter().any(|request| request.query("event_type_id") == Some("4711")));
}

#[tokio::test]
async fn a_person_is_found_by_login_address_and_id() {
    let sim = account().await;
    let key = sim.world().hire_assigned("ann", |person| person.email = "ann@acme.example".to_owned());
    let id = SourceId::new(sim.world().person(key).onelogin_id.to_string());
    let source = connect(&sim, &onelogin_config(&sim));
    let prefixed = format!("onelogin:{id}");
    for who in ["ann", "ANN@acme.example", id.as_str(), prefixed.as_str()] {
        assert_eq!(source.find(who).await.unwrap(), std::slice::from_ref(&id), "{who}");
    }
    for who in ["nobody@acme.example", "", "*", "an*", "99999999", "../apps"] {
        assert_eq!(source.find(who).await.unwrap(), [], "{who}");
    }
}

async fn check(sim: &Sim, config: &config::Source) -> BTreeMap<&'static str, RightCheck> {
    let checks = connect(sim, config).check(&CheckContext::default()).await;
    checks.into_iter().map(|check| (check.right, check)).collect()
}

#[tokio::test]
async fn each_missing_right_is_told_on_its_own_with_the_scope() {
    let rights = ["credentials", "app", "app users", "users", "event log", "groups"];
    let cases = [
        (None, ""),
        (Some("apps"), "app"),
        (Some("app_users"), "app users"),
        (Some("users"), "users"),
        (Some("events"), "event log"),
        (Some("roles"), "groups"),
    ];
    for (denied, right) in cases {
        let sim = account().await;
        sim.world().add_group("Bots");
        sim.onelogin(|onelogin| onelogin.denied.extend(denied));
        let mut config = onelogin_config(&sim);
        config.groups = vec!["Bots".to_owned()];
        let checks = check(&sim, &config).await;
        for other in rights {
            let level = match other {
                other if other != right => CheckLevel::Ok,
                "event log" => CheckLevel::Warn,
                _ => CheckLevel::Fail,
            };
            assert_eq!(checks[other].level, level, "{denied:?}: {:?}", checks[other]);
        }
        if denied.is_some() {
            assert!(checks[right].help.as_deref().unwrap().contains("Read All"), "{:?}", checks[right]);
        }
        assert!(!checks.contains_key("provisioning"));
    }
}

#[tokio::test]
async fn refused_credentials_are_one_line() {
    let sim = account().await;
    let source = connect(&sim, &onelogin_config(&sim));
    sim.onelogin(|onelogin| onelogin.credentials_owner_deleted = true);
    let checks = source.check(&CheckContext::default()).await;
    assert_eq!((checks.len(), checks[0].right, checks[0].level), (1, "credentials", CheckLevel::Fail));
}

#[tokio::test]
async fn a_wrong_app_id_is_answered_with_the_apps_there_are() {
    let sim = account().await;
    let mut config = onelogin_config(&sim);
    config.app_id = "1".to_owned();
    let checks = check(&sim, &config).await;
    assert_eq!(checks["app"].level, CheckLevel::Fail);
    assert!(checks["app"].help.as_deref().unwrap().contains(&sim.onelogin_app_id()), "{:?}", checks["app"]);
}

#[tokio::test]
async fn onelogins_own_provisioning_nobody_assigned_and_a_tight_schedule_are_warnings() {
    let sim = sim().await;
    sim.world().edit_app(|app| app.onelogin_provisioning = true);
    sim.onelogin(|onelogin| onelogin.calls_per_hour = 5000);
    let context = CheckContext { interval: Some(Duration::from_secs(900)), people: Some(300_000) };
    let checks = connect(&sim, &onelogin_config(&sim)).check(&context).await;
    for right in ["provisioning", "app users", "rate"] {
        let check = checks.iter().find(|check| check.right == right).unwrap();
        assert_eq!(check.level, CheckLevel::Warn, "{check:?}");
    }
}
