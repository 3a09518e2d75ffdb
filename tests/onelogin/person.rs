//! One person: point reads, deletion events, finding somebody by name.

use crate::source_support::{End, body, connect, end_of, on, onelogin_config};
use crate::{ACTIVE, account, error, id_of};
use rosterd::http::Lane;
use rosterd::model::id::SourceId;
use rosterd::model::identity::Finding;
use rosterd::sim;
use rosterd::sim::{Cut, Effect, Peer, html_page};
use rosterd::source::DeletionEvidence;
use serde_json::json;

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
        // The control read, of the app, fails in the same way.
        for path in ["/api/2/", "/apps"] {
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
    assert_eq!(source.deletion_event(&ids[0]).await.unwrap(), DeletionEvidence::Event);
    assert_eq!(source.deletion_event(&ids[1]).await.unwrap(), DeletionEvidence::NoEvent);
    assert_eq!(
        source.deletion_event(&id_of(&sim, "not.assigned@acme.example")).await.unwrap(),
        DeletionEvidence::NoEvent
    );
    sim.onelogin(|onelogin| onelogin.denied.insert("events"));
    let refused = source.deletion_event(&ids[0]).await.unwrap();
    assert!(matches!(refused, DeletionEvidence::LogNotReadable(_)), "no log is no event: {refused:?}");
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
    assert_eq!(
        source.deletion_event(&id).await.unwrap(),
        DeletionEvidence::NoEvent,
        "17 means something else here"
    );
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

#[tokio::test]
async fn a_log_that_cannot_be_asked_now_is_an_error_and_no_answer_about_the_person() {
    let sim = account().await;
    let id = id_of(&sim, "not.assigned@acme.example");
    let source = connect(&sim, &onelogin_config(&sim));
    assert_eq!(source.log_retention(), None, "OneLogin documents no span");
    for (path, effect, end) in [
        ("/api/1/events", html_page(503), End::Unavailable),
        ("/api/1/events", html_page(200), End::Incomplete),
        ("/api/", error(401, "UnauthorizedError"), End::Credentials),
    ] {
        sim.faults().clear();
        let number = sim.faults().add(on(Peer::OneLogin, path).then(effect));
        let error = source.deletion_event(&id).await.unwrap_err();
        assert_eq!(end_of(&error), end, "{error}");
        assert!(sim.faults().fired(number) > 0);
    }
}

#[tokio::test]
async fn a_log_whose_pages_lead_in_a_circle_has_not_said_that_there_is_no_deletion() {
    let sim = account().await;
    let id = id_of(&sim, "not.assigned@acme.example");
    let stranger =
        json!({"data": [{"id": 1, "event_type_id": 17, "user_id": 2}], "pagination": {"after_cursor": "a"}});
    let page = |path: &str, _: &[(String, String)]| path == "/api/1/events";
    sim.faults().add(on(Peer::OneLogin, "/events").when(page).then(body(&stranger.to_string())));
    let error = connect(&sim, &onelogin_config(&sim)).deletion_event(&id).await.unwrap_err();
    assert_eq!(end_of(&error), End::Incomplete, "{error}");
}
