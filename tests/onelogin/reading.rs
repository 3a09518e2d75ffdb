//! Whole reads: two lists, roles, tokens, limits.

use crate::source_support::{
    End, Secrets, body, connect, end_of, on, onelogin_config, pacers, read, secrets, sim,
};
use crate::{ACTIVE, account, assigned, id_of};
use rosterd::http::Lane;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::identity::{Finding, OneLoginStatus, VendorStatus};
use rosterd::sim;
use rosterd::sim::{Effect, ErrorShape, Peer, Sim, TokenShape, html_page};
use rosterd::source::Source;
use serde_json::json;
use std::collections::BTreeSet;

const UNKNOWN: VendorStatus = VendorStatus::OneLogin(None);

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
    type Prepare = fn(&Sim, &Secrets);
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
