//! Finding by name: every hit is compared, and nobody is only said where Okta said so.

use crate::source_support::{End, connect, end_of, okta_config, on};
use crate::{id_of, organization};
use rosterd::model::id::SourceId;
use rosterd::sim::{Effect, Fault, Peer, Sim, html_page, okta_error};

/// An organization whose searches show everybody, whatever was asked.
async fn deaf() -> Sim {
    let sim = organization().await;
    sim.faults().add(Fault::on(Peer::Okta).then(Effect::Query("filter".to_owned(), "id pr".to_owned())));
    sim.faults().add(on(Peer::Okta, "/apps/").then(Effect::Query("q".to_owned(), String::new())));
    sim
}

#[tokio::test]
async fn a_search_that_is_ignored_finds_no_stranger() {
    let sim = deaf().await;
    let source = connect(&sim, &okta_config(&sim));
    assert_eq!(source.find("nobody@acme.example").await.unwrap(), []);
    assert_eq!(source.with_login("nobody@acme.example").await.unwrap(), []);
    let listed = &sim.world().people()[20];
    let id = SourceId::new(listed.okta_id.as_str());
    let login = listed.login.to_uppercase();
    assert_eq!(
        source.with_login(&login).await.unwrap(),
        std::slice::from_ref(&id),
        "the right one is among the strangers"
    );
    sim.faults()
        .add(on(Peer::Okta, "/api/v1/users/").then(Effect::Answer(okta_error(404, "E0000007", "No"))));
    assert_eq!(source.find(&login).await.unwrap(), [id]);
}

#[tokio::test]
async fn a_user_who_is_not_called_so_is_not_found_by_a_path_either() {
    let sim = organization().await;
    let stranger = id_of(&sim, "not.assigned@acme.example");
    let other =
        format!("{{\"id\":\"{stranger}\",\"status\":\"ACTIVE\",\"profile\":{{\"login\":\"x@y.z\"}}}}");
    sim.faults().add(on(Peer::Okta, "/api/v1/users/").then(Effect::answer(200, "application/json", &other)));
    let source = connect(&sim, &okta_config(&sim));
    assert_eq!(source.find("nobody").await.unwrap(), []);
    assert_eq!(source.find(stranger.as_str()).await.unwrap(), [stranger], "by id it is the one");
}

#[tokio::test]
async fn a_search_that_shows_the_whole_organization_is_given_up() {
    let sim = deaf().await;
    sim.okta(|okta| okta.page_cap = Some(2));
    let source = connect(&sim, &okta_config(&sim));
    let error = source.find("nobody@acme.example").await.unwrap_err();
    assert_eq!(end_of(&error), End::Incomplete);
    assert!(error.to_string().contains("does not end"), "{error}");
    assert!(sim.requests(Peer::Okta).len() < 30);
}

#[tokio::test]
async fn a_name_that_okta_cannot_answer_for_is_about_this_name_and_not_about_the_credentials() {
    let sim = organization().await;
    let known = SourceId::new(sim.world().people()[3].okta_id.as_str());
    let login = sim.world().people()[3].login.clone();
    for (effect, word) in [
        (Effect::Answer(okta_error(403, "E0000006", "No permission")), "403"),
        (html_page(500), "500"),
        (html_page(400), "400"),
        (html_page(200), "web page"),
    ] {
        for path in ["/api/v1/users/", "/api/v1/apps/"] {
            sim.faults().clear();
            let about_it = |path: &str, query: &[(String, String)]| {
                path.contains("hara") || query.iter().any(|(_, value)| value.contains("hara"))
            };
            sim.faults().add(on(Peer::Okta, path).when(about_it).then(effect.clone()));
            let source = connect(&sim, &okta_config(&sim));
            let error = source.find("o'hara@acme.example").await.unwrap_err();
            assert_eq!(end_of(&error), End::Incomplete, "{path} {word}: {error}");
            assert!(error.to_string().contains(word), "{path} {word}: {error}");
            if path == "/api/v1/apps/" {
                let error = source.with_login("o'hara@acme.example").await.unwrap_err();
                assert_eq!(end_of(&error), End::Incomplete, "{error}");
            }
            assert_eq!(source.find(&login).await.unwrap(), std::slice::from_ref(&known));
        }
    }
    sim.faults().clear();
    sim.okta(|okta| okta.api_token_valid = false);
    let error = connect(&sim, &okta_config(&sim)).find(&login).await.unwrap_err();
    assert_eq!(end_of(&error), End::Credentials);
}
