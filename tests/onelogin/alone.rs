//! One person's failure is one person's failure: what fails for one object, while OneLogin answers otherwise.

use crate::source_support::{End, body, connect, end_of, on, onelogin_config, read};
use crate::{account, error, id_of};
use rosterd::core::lifecycle::{Lifecycle, lifecycle};
use rosterd::http::Lane;
use rosterd::model::id::SourceId;
use rosterd::model::identity::{Finding, VendorStatus};
use rosterd::sim::{Cut, Effect, Peer, Sim, html_page};
use rosterd::source::{OwnState, Source, SourceError};

/// What may be wrong with one object, and a word of it that the person's finding must have.
fn troubles() -> Vec<(Effect, &'static str)> {
    vec![
        (error(403, "ForbiddenError"), "403"),
        (error(500, "InternalServerError"), "500"),
        (html_page(503), "503"),
        (Effect::Cut(Cut::LostReply), "GET"),
        (html_page(404), "404"),
        (html_page(200), "web page"),
        (body(""), "cut off"),
    ]
}

async fn look(source: &Source, id: &SourceId) -> Result<Finding, SourceError> {
    source.point_read(id, Lane::Removal).await.map(|read| read.finding)
}

fn ids(sim: &Sim, count: usize) -> Vec<SourceId> {
    let people = sim.world().people();
    people.iter().take(count).map(|person| SourceId::new(person.onelogin_id.to_string())).collect()
}

#[tokio::test]
async fn a_record_that_fails_on_its_own_is_that_persons_and_everybody_else_is_read() {
    for (effect, word) in troubles() {
        for place in ["/api/2/users/ID", "/api/2/users/ID/apps"] {
            let sim = account().await;
            let source = connect(&sim, &onelogin_config(&sim));
            let people = ids(&sim, 2);
            let path = place.replace("ID", people[0].as_str());
            let exact = path.clone();
            let fault = on(Peer::OneLogin, &path).when(move |path, _| path == exact).then(effect.clone());
            let number = sim.faults().add(fault);
            match look(&source, &people[0]).await {
                Ok(Finding::Inconclusive(why)) => assert!(why.contains(word), "{place}, {word}: {why}"),
                read => panic!("{place}, {word}: {read:?}"),
            }
            assert!(sim.faults().fired(number) > 0, "{place}, {word}");
            assert!(matches!(look(&source, &people[1]).await, Ok(Finding::Assigned(_))), "{place}, {word}");
        }
    }
}

#[tokio::test]
async fn a_401_is_refused_credentials_whoever_is_asked_for() {
    let sim = account().await;
    let id = id_of(&sim, "not.assigned@acme.example");
    sim.faults().add(on(Peer::OneLogin, "/api/2/users/").then(error(401, "UnauthorizedError")));
    let source = connect(&sim, &onelogin_config(&sim));
    assert_eq!(end_of(&look(&source, &id).await.unwrap_err()), End::Credentials);
    assert!(!sim.requests(Peer::OneLogin).iter().any(|request| request.path.starts_with("/api/2/apps/")));
}

#[tokio::test]
async fn many_people_whose_records_fail_cost_one_control_read() {
    let sim = account().await;
    sim.faults().add(on(Peer::OneLogin, "/api/2/users/").then(html_page(500)));
    let source = connect(&sim, &onelogin_config(&sim));
    let people = ids(&sim, 5);
    let looks = futures_util::future::join_all(people.iter().map(|id| look(&source, id))).await;
    assert!(looks.iter().all(|read| matches!(read, Ok(Finding::Inconclusive(_)))), "{looks:?}");
    let requests = sim.requests(Peer::OneLogin);
    let controls = requests.iter().filter(|request| request.path.starts_with("/api/2/apps/"));
    assert_eq!(controls.count(), 1);
}

#[tokio::test]
async fn a_persons_own_record_is_one_request_and_says_disabled_suspended_or_gone() {
    let sim = account().await;
    let world = sim.world();
    let [suspended, disabled, deleted, unassigned] = ["suspended", "disabled", "deleted", "unassigned"]
        .map(|name| world.hire_assigned(&format!("{name}@acme.example"), |_| {}));
    let ids = [suspended, disabled, deleted, unassigned]
        .map(|key| SourceId::new(world.person(key).onelogin_id.to_string()));
    world.suspend(suspended);
    world.deactivate(disabled);
    world.delete(deleted);
    world.unassign(unassigned);
    let mut config = onelogin_config(&sim);
    // No role of this name is there, and nobody asks for it.
    config.groups = vec!["Staff".to_owned()];
    let source = connect(&sim, &config);
    let state = async |id| source.own_record(id, Lane::General).await.unwrap().state;
    look_up_token(&source, &ids[3]).await;
    let expected = [Some(Lifecycle::Suspended), Some(Lifecycle::Disabled), None, Some(Lifecycle::Active)];
    for (id, expected) in ids.iter().zip(expected) {
        sim.clear_requests();
        let shown = match state(id).await {
            OwnState::Status(status) => Some(lifecycle(&status, true)),
            OwnState::UserGone => None,
            OwnState::Inconclusive(why) => panic!("{why}"),
        };
        assert_eq!(shown, expected);
        assert_eq!(sim.requests(Peer::OneLogin).len(), 1, "the apps are not asked for");
    }
    for (effect, word) in troubles() {
        sim.faults().clear();
        sim.faults().add(on(Peer::OneLogin, "/api/2/users/").then(effect));
        let shown = state(&ids[0]).await;
        assert!(matches!(&shown, OwnState::Inconclusive(why) if why.contains(word)), "{word}: {shown:?}");
    }
    sim.faults().clear();
    let no_status = Effect::edit(|reply| reply.edit_json(|user| user["status"] = serde_json::Value::Null));
    sim.faults().add(on(Peer::OneLogin, "/api/2/users/").then(no_status));
    assert!(matches!(state(&ids[0]).await, OwnState::Inconclusive(_)), "no status is no state");
    assert!(matches!(state(&SourceId::new("00u1")).await, OwnState::Inconclusive(_)), "no id of OneLogin");
    sim.faults().clear();
    sim.faults().add(on(Peer::OneLogin, "/api/2/").then(html_page(503)));
    let fresh = connect(&sim, &onelogin_config(&sim));
    let error = fresh.own_record(&ids[3], Lane::General).await.unwrap_err();
    assert_eq!(end_of(&error), End::Unavailable, "the control read fails as well");
}

/// The first request also fetches a token.
async fn look_up_token(source: &Source, id: &SourceId) {
    source.own_record(id, Lane::General).await.unwrap();
}

#[tokio::test]
async fn whoever_is_in_only_one_of_the_lists_is_judged_by_their_own_status_when_asked_for() {
    for missing_in in ["/api/2/apps/", "/api/2/users"] {
        let sim = account().await;
        sim.onelogin(|onelogin| (onelogin.users_page_cap, onelogin.page_cap) = (50, 50));
        let [suspended, active] = ["suspended", "active"]
            .map(|name| sim.world().hire_assigned(&format!("{name}@acme.example"), |_| {}));
        sim.world().suspend(suspended);
        let [suspended, active] =
            [suspended, active].map(|key| SourceId::new(sim.world().person(key).onelogin_id.to_string()));
        let left_out = [suspended.clone(), active.clone()];
        let leave_out = Effect::edit(move |reply| {
            reply.edit_json(|rows| {
                let is_shown = |row: &serde_json::Value| {
                    !left_out.iter().any(|id| row["id"].as_u64() == id.as_str().parse().ok())
                };
                rows.as_array_mut().unwrap().retain(is_shown);
            });
            reply.set_header("Total-Count", "23".to_owned());
        });
        let list = |path: &str, _: &[(String, String)]| path.ends_with("/users");
        let number = sim.faults().add(on(Peer::OneLogin, missing_in).when(list).then(leave_out));
        let source = connect(&sim, &onelogin_config(&sim));
        let whole = read(&source).await.unwrap();
        assert!(sim.faults().fired(number) > 0, "{missing_in}");
        for (id, own) in [(&suspended, Lifecycle::Suspended), (&active, Lifecycle::Active)] {
            assert_eq!(whole.people[id.as_str()].status, VendorStatus::OneLogin(None), "{missing_in}");
            let Ok(Finding::Assigned(person)) = look(&source, id).await else {
                panic!("the apps of {id} are complete, so the person's own status decides");
            };
            assert_eq!(lifecycle(&person.status, true), own, "{missing_in}");
        }
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_decoded_is_one_persons_and_text_that_is_none_is_replaced() {
    let sim = account().await;
    let [broken, torn] = ["broken", "torn"].map(|name| {
        sim.world()
            .hire_assigned(&format!("{name}@acme.example"), |person| person.title = Some(name.to_owned()))
    });
    let [broken, torn] = [broken, torn].map(|key| sim.world().person(key).onelogin_id);
    sim.faults().add(on(Peer::OneLogin, "/api/2/").then(Effect::edit(move |reply| {
        let spoil = |record: &mut serde_json::Value| {
            if record["id"] == broken {
                record["role_ids"] = serde_json::json!("no list");
                record["provisioning"] = serde_json::json!("no object");
            }
        };
        reply.edit_json(|body| match body {
            serde_json::Value::Array(records) => records.iter_mut().for_each(spoil),
            record => spoil(record),
        });
        let text = String::from_utf8(reply.body.clone()).unwrap();
        reply.body = text.replace("\"torn\"", "\"to\\udc00n\"").into_bytes();
    })));
    let source = connect(&sim, &onelogin_config(&sim));
    let whole = read(&source).await.unwrap();
    assert_eq!(whole.people.len(), 25);
    let (broken, torn) = (broken.to_string(), torn.to_string());
    assert_eq!(lifecycle(&whole.people[&broken].status, true), Lifecycle::Unknown);
    assert_eq!(whole.people[&torn].profile.title.as_deref(), Some("to\u{FFFD}n"));
    let Ok(Finding::Assigned(alone)) = look(&source, &SourceId::new(torn.as_str())).await else {
        panic!("a point read shows the same");
    };
    assert_eq!(alone.profile, whole.people[&torn].profile, "the list and the point read agree");
    let read = look(&source, &SourceId::new(broken)).await;
    assert!(matches!(read, Ok(Finding::Inconclusive(_))), "{read:?}");
}
