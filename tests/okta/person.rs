//! One person: point reads, deletion events, finding somebody by name.

use crate::source_support::{End, body, connect, end_of, okta_config, okta_oauth_config, on, read};
use crate::{id_of, list_path, organization};
use rosterd::config::Dpop;
use rosterd::http::Lane;
use rosterd::model::id::SourceId;
use rosterd::model::identity::{Finding, VendorStatus};
use rosterd::sim;
use rosterd::sim::{Cut, Effect, Peer, html_page, okta_error};
use rosterd::source::DeletionEvidence;

#[tokio::test]
async fn a_point_read_says_only_what_okta_said() {
    let sim = organization().await;
    let world = sim.world();
    let suspended = world.hire_assigned("suspended@acme.example", |_| {});
    world.suspend(suspended);
    let deleted = world.hire_assigned("deleted@acme.example", |_| {});
    let deleted_id = SourceId::new(world.person(deleted).okta_id);
    world.delete(deleted);
    let hidden = world.hire_assigned("hidden@acme.example", |_| {});
    world.hide(hidden);
    let source = connect(&sim, &okta_config(&sim));
    let look = async |id: &SourceId| source.point_read(id, Lane::Removal).await.unwrap().finding;
    let person = &world.people()[0];
    assert!(matches!(look(&SourceId::new(person.okta_id.as_str())).await, Finding::Assigned(_)));
    let Finding::NotAssigned(identity) = look(&id_of(&sim, "not.assigned@acme.example")).await else {
        panic!("the person is not assigned");
    };
    assert!(!identity.assigned && identity.status == VendorStatus::Okta(Some("ACTIVE".into())));
    let Finding::Assigned(identity) = look(&id_of(&sim, "suspended@acme.example")).await else {
        panic!("a suspended person stays assigned");
    };
    assert_eq!(identity.status, VendorStatus::Okta(Some("SUSPENDED".into())));
    assert!(matches!(look(&deleted_id).await, Finding::UserGone));
    let hidden = SourceId::new(world.person(hidden).okta_id);
    assert!(!read(&source).await.unwrap().ids().contains(hidden.as_str()));
    assert!(matches!(look(&hidden).await, Finding::Assigned(_)), "the list was short, the point read is not");
}

#[tokio::test]
async fn a_point_read_that_proves_nothing_says_so() {
    let app_gone = Effect::before(|world| world.edit_app(|app| app.removed = true));
    let assignment = |effect| on(Peer::Okta, "/apps/").then(effect);
    let user = |effect| on(Peer::Okta, "/api/v1/users/").then(effect);
    let cases = [
        (2, "a proxy's 404 for the user", user(html_page(404))),
        (2, "a proxy's 404 for the assignment", assignment(html_page(404))),
        (
            2,
            "a 404 without Okta's code",
            assignment(Effect::Answer(okta_error(404, "E0000022", "No endpoint"))),
        ),
        (1, "the app is gone", assignment(app_gone)),
        (12, "a web page for the assignment", assignment(html_page(200))),
        (12, "an empty assignment", assignment(body(""))),
        (12, "a web page for the user", user(html_page(200))),
        (2, "somebody else's user", user(body("{\"id\":\"00uOther\",\"status\":\"DEPROVISIONED\"}"))),
        (2, "somebody else's assignment", assignment(body("{\"id\":\"00uOther\"}"))),
        (20, "a redirect", assignment(Effect::Answer(sim::Reply::empty(302).with("location", "/")))),
    ];
    for (pain, what, fault) in cases {
        let sim = organization().await;
        let id = id_of(&sim, "not.assigned@acme.example");
        sim.faults().add(fault);
        let read = connect(&sim, &okta_config(&sim)).point_read(&id, Lane::Removal).await.unwrap();
        assert!(matches!(read.finding, Finding::Inconclusive(_)), "pain {pain}, {what}: {:?}", read.finding);
    }
}

#[tokio::test]
async fn a_point_read_of_a_source_that_fails_is_an_error() {
    let cases = [
        (html_page(503), End::Unavailable),
        (Effect::Cut(Cut::LostReply), End::Unavailable),
        (Effect::Answer(okta_error(403, "E0000006", "No permission")), End::Credentials),
        (Effect::Answer(okta_error(401, "E0000011", "Invalid token")), End::Credentials),
    ];
    for (effect, end) in cases {
        // The control read, of any user or of the app, fails in the same way.
        for path in ["/api/v1/users", "/apps/"] {
            let sim = organization().await;
            let id = id_of(&sim, "not.assigned@acme.example");
            sim.faults().add(on(Peer::Okta, path).then(effect.clone()));
            let error = connect(&sim, &okta_config(&sim)).point_read(&id, Lane::Removal).await.unwrap_err();
            assert_eq!(end_of(&error), end, "{path}: {error}");
        }
    }
}

#[tokio::test]
async fn a_deletion_is_only_believed_with_its_event() {
    let sim = organization().await;
    let world = sim.world();
    let (loud, silent) = (
        world.hire_assigned("loud@acme.example", |_| {}),
        world.hire_assigned("silent@acme.example", |_| {}),
    );
    let ids = [loud, silent].map(|key| SourceId::new(world.person(key).okta_id));
    world.delete(loud);
    world.delete_silently(silent);
    let source = connect(&sim, &okta_config(&sim));
    assert_eq!(source.deletion_event(&ids[0]).await.unwrap(), DeletionEvidence::Event);
    assert_eq!(source.deletion_event(&ids[1]).await.unwrap(), DeletionEvidence::NoEvent);
    let living = id_of(&sim, "not.assigned@acme.example");
    assert_eq!(source.deletion_event(&living).await.unwrap(), DeletionEvidence::NoEvent);
    sim.okta(|okta| okta.denied.insert("logs"));
    let refused = source.deletion_event(&ids[0]).await.unwrap();
    assert!(matches!(refused, DeletionEvidence::LogNotReadable(_)), "no log is no event: {refused:?}");
    let injected = SourceId::new("x\" or eventType pr or target.id eq \"y");
    sim.okta(|okta| okta.denied.clear());
    assert_eq!(
        source.deletion_event(&injected).await.unwrap(),
        DeletionEvidence::NoEvent,
        "an id cannot widen the filter"
    );
}

#[tokio::test]
async fn without_the_log_scope_everything_but_the_log_works() {
    let sim = organization().await;
    sim.okta(|okta| okta.granted_scopes.remove("okta.logs.read"));
    let source = connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto));
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
    let refused = source.deletion_event(&SourceId::new("00uGone")).await.unwrap();
    assert!(matches!(refused, DeletionEvidence::LogNotReadable(_)), "no log is no event: {refused:?}");
}

#[tokio::test]
async fn a_person_is_found_by_login_address_id_and_login_at_the_app() {
    let sim = organization().await;
    let key = sim.world().hire_assigned("ann@acme.example", |person| {
        person.email = "ann.other@acme.example".to_owned();
        person.app_username = Some("ann.at.app".to_owned());
        person.first_name = Some("ann.at.app".to_owned());
    });
    let id = sim.world().person(key).okta_id;
    let source = connect(&sim, &okta_config(&sim));
    for who in ["ann@acme.example", "ANN@acme.example", "ann.other@acme.example", "ann.at.app", id.as_str()] {
        assert_eq!(source.find(who).await.unwrap(), [SourceId::new(id.as_str())], "{who}");
    }
    for who in ["nobody@acme.example", "me", "", "..", "ann", "../apps", "x\" or id pr or id eq \"y@z"] {
        assert_eq!(source.find(who).await.unwrap(), [], "{who}");
    }
    assert!(sim.requests(Peer::Okta).iter().all(|request| request.path != "/api/v1/users/me"));
    let listed = |request: &sim::Request| request.path == list_path(&sim) && request.query("q").is_none();
    assert!(!sim.requests(Peer::Okta).iter().any(listed), "nobody reads the whole app for one person");
}

#[tokio::test]
async fn a_log_that_cannot_be_asked_now_is_an_error_and_no_answer_about_the_person() {
    let sim = organization().await;
    let id = id_of(&sim, "not.assigned@acme.example");
    let source = connect(&sim, &okta_config(&sim));
    assert_eq!(
        source.log_retention(),
        Some(std::time::Duration::from_secs(89 * 24 * 3600)),
        "a day less than Okta keeps, as far back as is asked"
    );
    for (path, effect, end) in [
        ("/logs", html_page(503), End::Unavailable),
        ("/logs", html_page(200), End::Incomplete),
        ("/api/v1/", Effect::Answer(okta_error(401, "E0000011", "Invalid token")), End::Credentials),
    ] {
        sim.faults().clear();
        let number = sim.faults().add(on(Peer::Okta, path).then(effect));
        let error = source.deletion_event(&id).await.unwrap_err();
        assert_eq!(end_of(&error), end, "{error}");
        assert!(sim.faults().fired(number) > 0);
    }
}
