//! One person's failure is one person's failure: what fails for one object, while Okta answers otherwise.

use crate::source_support::{End, body, connect, end_of, okta_config, on, read};
use crate::{id_of, organization};
use rosterd::core::lifecycle::{Lifecycle, lifecycle};
use rosterd::http::Lane;
use rosterd::model::id::SourceId;
use rosterd::model::identity::{Finding, VendorStatus};
use rosterd::sim::{Cut, Effect, Peer, Sim, html_page, okta_error};
use rosterd::source::{OwnState, Source, SourceError};

/// What may be wrong with one object, and a word of it that the person's finding must have.
fn troubles() -> Vec<(Effect, &'static str)> {
    vec![
        (Effect::Answer(okta_error(403, "E0000006", "No permission")), "403"),
        (Effect::Answer(okta_error(500, "E0000009", "Internal Server Error")), "500"),
        (html_page(503), "503"),
        (Effect::Cut(Cut::LostReply), "GET"),
        (html_page(404), "404"),
        (html_page(200), "web page"),
        (body(""), "cut off"),
    ]
}

fn grouped(sim: &Sim) -> Source {
    let staff = sim.world().add_group("Staff");
    for person in sim.world().people() {
        sim.world().add_member(staff, person.key);
    }
    let mut config = okta_config(sim);
    config.groups = vec!["Staff".to_owned()];
    connect(sim, &config)
}

async fn look(source: &Source, id: &SourceId) -> Result<Finding, SourceError> {
    source.point_read(id, Lane::Removal).await.map(|read| read.finding)
}

#[tokio::test]
async fn a_record_that_fails_on_its_own_is_that_persons_and_everybody_else_is_read() {
    for (effect, word) in troubles() {
        for place in ["/api/v1/users/ID", "/users/ID/groups", "/apps/APP/users/ID"] {
            let sim = organization().await;
            let source = grouped(&sim);
            let [one, other] =
                [0, 1].map(|place| SourceId::new(sim.world().people()[place].okta_id.as_str()));
            let path = place.replace("ID", one.as_str()).replace("APP", &sim.okta_app_id());
            let exact = path.clone();
            let fault =
                on(Peer::Okta, &path).when(move |path, _| path.ends_with(&exact)).then(effect.clone());
            let number = sim.faults().add(fault);
            match look(&source, &one).await {
                Ok(Finding::Inconclusive(why)) => assert!(why.contains(word), "{place}, {word}: {why}"),
                read => panic!("{place}, {word}: {read:?}"),
            }
            assert!(sim.faults().fired(number) > 0, "{place}, {word}");
            assert!(matches!(look(&source, &other).await, Ok(Finding::Assigned(_))), "{place}, {word}");
        }
    }
}

#[tokio::test]
async fn a_401_is_refused_credentials_whoever_is_asked_for() {
    for place in ["/api/v1/users/", "/users/"] {
        let sim = organization().await;
        let id = id_of(&sim, "not.assigned@acme.example");
        let refused = Effect::Answer(okta_error(401, "E0000011", "Invalid token"));
        sim.faults().add(on(Peer::Okta, place).path(id.as_str()).then(refused));
        let source = connect(&sim, &okta_config(&sim));
        assert_eq!(end_of(&look(&source, &id).await.unwrap_err()), End::Credentials);
        assert!(!sim.requests(Peer::Okta).iter().any(|request| request.query("limit").is_some()));
    }
}

#[tokio::test]
async fn credentials_that_show_nobody_at_all_are_refused_and_not_each_person() {
    let sim = organization().await;
    sim.okta(|okta| okta.without_admin_role = true);
    let source = connect(&sim, &okta_config(&sim));
    let error = look(&source, &id_of(&sim, "not.assigned@acme.example")).await.unwrap_err();
    assert_eq!(end_of(&error), End::Credentials);
    assert!(error.to_string().contains("admin role"), "{error}");
}

#[tokio::test]
async fn many_people_whose_records_fail_cost_one_control_read() {
    let sim = organization().await;
    sim.faults().add(on(Peer::Okta, "/api/v1/users/00u").then(html_page(500)));
    let source = connect(&sim, &okta_config(&sim));
    let people: Vec<SourceId> =
        sim.world().people().iter().take(5).map(|person| SourceId::new(person.okta_id.as_str())).collect();
    let looks = futures_util::future::join_all(people.iter().map(|id| look(&source, id))).await;
    assert!(looks.iter().all(|read| matches!(read, Ok(Finding::Inconclusive(_)))), "{looks:?}");
    let requests = sim.requests(Peer::Okta);
    let controls = requests.iter().filter(|request| request.path == "/api/v1/users");
    assert_eq!(controls.count(), 1);
}

#[tokio::test]
async fn a_persons_own_record_is_one_request_and_says_disabled_suspended_or_gone() {
    let sim = organization().await;
    let world = sim.world();
    let [suspended, disabled, deleted, unassigned] = ["suspended", "disabled", "deleted", "unassigned"]
        .map(|name| world.hire_assigned(&format!("{name}@acme.example"), |_| {}));
    let ids = [suspended, disabled, deleted, unassigned].map(|key| SourceId::new(world.person(key).okta_id));
    world.suspend(suspended);
    world.deactivate(disabled);
    world.delete(deleted);
    world.unassign(unassigned);
    let source = connect(&sim, &okta_config(&sim));
    let state = async |id| source.own_record(id, Lane::General).await.unwrap().state;
    let expected = [Some(Lifecycle::Suspended), Some(Lifecycle::Disabled), None, Some(Lifecycle::Active)];
    for (id, expected) in ids.iter().zip(expected) {
        sim.clear_requests();
        let shown = match state(id).await {
            OwnState::Status(status) => Some(lifecycle(&status, true)),
            OwnState::UserGone => None,
            OwnState::Inconclusive(why) => panic!("{why}"),
        };
        assert_eq!(shown, expected);
        assert_eq!(sim.requests(Peer::Okta).len(), 1, "the assignment is not asked for");
    }
    for (effect, word) in troubles() {
        sim.faults().clear();
        sim.faults().add(on(Peer::Okta, "/api/v1/users/").then(effect));
        let shown = state(&ids[0]).await;
        assert!(matches!(&shown, OwnState::Inconclusive(why) if why.contains(word)), "{word}: {shown:?}");
    }
    sim.faults().clear();
    let no_status = Effect::edit(|reply| reply.edit_json(|user| user["status"] = serde_json::Value::Null));
    sim.faults().add(on(Peer::Okta, "/api/v1/users/").then(no_status));
    assert!(matches!(state(&ids[0]).await, OwnState::Inconclusive(_)), "no status is no state");
    sim.faults().clear();
    sim.faults().add(on(Peer::Okta, "/api/").then(html_page(503)));
    let error = source.own_record(&ids[3], Lane::General).await;
    assert!(
        error.is_ok_and(|record| matches!(record.state, OwnState::Inconclusive(_))),
        "passed a moment ago"
    );
    let fresh = connect(&sim, &okta_config(&sim));
    let error = fresh.own_record(&ids[3], Lane::General).await.unwrap_err();
    assert_eq!(end_of(&error), End::Unavailable, "the control read fails as well");
}

#[tokio::test]
async fn an_assignment_that_okta_calls_ended_makes_the_person_unknown_and_removes_nobody() {
    for word in ["UNASSIGNED", "REVOKED", "DEPROVISIONED", "INACTIVE"] {
        let sim = organization().await;
        let world = sim.world();
        let [active, suspended] = ["active", "suspended"].map(|name| {
            world.hire_assigned(&format!("{name}@acme.example"), |person| {
                person.app_status = Some(word.to_owned())
            })
        });
        world.suspend(suspended);
        let [active, suspended] = [active, suspended].map(|key| SourceId::new(world.person(key).okta_id));
        let source = connect(&sim, &okta_config(&sim));
        let whole = read(&source).await.unwrap();
        let listed = &whole.people[active.as_str()];
        assert_eq!(lifecycle(&listed.status, true), Lifecycle::Unknown, "{word}: {}", listed.status);
        assert!(listed.assigned && listed.status.to_string().contains(word), "{word}: {}", listed.status);
        let Ok(Finding::Inconclusive(why)) = look(&source, &active).await else {
            panic!("{word} is neither assigned nor not");
        };
        assert!(why.contains(word), "{why}");
        // Who is suspended has left by their own status, whatever the assignment says.
        let own = VendorStatus::Okta(Some("SUSPENDED".into()));
        assert_eq!(whole.people[suspended.as_str()].status, own, "{word}");
        assert!(matches!(look(&source, &suspended).await, Ok(Finding::Assigned(who)) if who.status == own));
    }
}

#[tokio::test]
async fn every_other_status_of_an_assignment_is_assigned() {
    for word in ["ACTIVE", "PROVISIONED", "STAGED", "PENDING", "IMPORTED", "SUSPENDED", "SOMETHING_NEW", ""] {
        let sim = organization().await;
        let key = sim.world().hire_assigned("ann@acme.example", |person| {
            person.app_status = Some(word.to_owned());
        });
        let id = SourceId::new(sim.world().person(key).okta_id);
        let source = connect(&sim, &okta_config(&sim));
        let listed = &read(&source).await.unwrap().people[id.as_str()];
        assert_eq!(lifecycle(&listed.status, true), Lifecycle::Active, "{word}");
        assert!(matches!(look(&source, &id).await, Ok(Finding::Assigned(_))), "{word}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_decoded_is_one_persons_and_text_that_is_none_is_replaced() {
    let sim = organization().await;
    let [broken, torn, foreign] = ["broken", "torn", "foreign"].map(|name| {
        sim.world()
            .hire_assigned(&format!("{name}@acme.example"), |person| person.title = Some(name.to_owned()))
    });
    let id = |key| sim.world().person(key).okta_id;
    let [broken, torn, foreign] = [id(broken), id(torn), id(foreign)];
    let broken_id = broken.clone();
    sim.faults().add(on(Peer::Okta, "/users").then(Effect::edit(move |reply| {
        let spoil = |record: &mut serde_json::Value| {
            if record["id"] == broken_id.as_str() {
                record["profile"] = serde_json::json!("no object");
                record["credentials"] = serde_json::json!("none either");
            }
        };
        reply.edit_json(|body| match body {
            serde_json::Value::Array(records) => records.iter_mut().for_each(spoil),
            record => spoil(record),
        });
        reply.body = spoilt(&reply.body);
    })));
    let source = connect(&sim, &okta_config(&sim));
    let whole = read(&source).await.unwrap();
    assert_eq!(whole.people.len(), 26);
    assert_eq!(lifecycle(&whole.people[&broken].status, true), Lifecycle::Unknown);
    for (id, title) in [(torn, "to\u{FFFD}n"), (foreign, "f\u{FFFD}reign")] {
        assert_eq!(whole.people[&id].profile.title.as_deref(), Some(title));
        let Ok(Finding::Assigned(alone)) = look(&source, &SourceId::new(id.as_str())).await else {
            panic!("a point read shows {title} too");
        };
        assert_eq!(alone.profile, whole.people[&id].profile, "the list and the point read agree");
    }
    let read = look(&source, &SourceId::new(broken)).await;
    assert!(matches!(read, Ok(Finding::Inconclusive(_))), "{read:?}");
}

/// The title `torn` with half a surrogate pair, and `foreign` with a byte that is no UTF-8.
fn spoilt(body: &[u8]) -> Vec<u8> {
    let mut body =
        String::from_utf8(body.to_vec()).unwrap().replace("\"torn\"", "\"to\\ud83dn\"").into_bytes();
    while let Some(at) = body.windows(9).position(|part| part == b"\"foreign\"") {
        body[at + 2] = 0xF6;
    }
    body
}
