//! Finding by name: every hit is compared, and nobody is only said where OneLogin said so.

use crate::source_support::{End, body, connect, end_of, on, onelogin_config};
use crate::{account, error};
use rosterd::model::id::SourceId;
use rosterd::sim::{Effect, Fault, Peer, Sim, html_page};

/// An account whose searches show everybody, whatever was asked.
async fn deaf() -> Sim {
    let sim = account().await;
    for name in ["email", "username"] {
        let everybody = Effect::Query(name.to_owned(), "*".to_owned());
        let asks = move |_: &str, query: &[(String, String)]| query.iter().any(|(given, _)| given == name);
        sim.faults().add(Fault::on(Peer::OneLogin).when(asks).then(everybody));
    }
    sim
}

#[tokio::test]
async fn a_search_that_is_ignored_finds_no_stranger() {
    let sim = deaf().await;
    let source = connect(&sim, &onelogin_config(&sim));
    assert_eq!(source.find("nobody@acme.example").await.unwrap(), []);
    assert_eq!(source.with_login("nobody@acme.example").await.unwrap(), []);
    let listed = &sim.world().people()[20];
    let id = SourceId::new(listed.onelogin_id.to_string());
    let login = listed.login.to_uppercase();
    assert_eq!(
        source.find(&login).await.unwrap(),
        std::slice::from_ref(&id),
        "the right one is among the strangers"
    );
    assert_eq!(source.with_login(&login).await.unwrap(), [id]);
}

#[tokio::test]
async fn a_search_that_shows_the_whole_account_is_given_up() {
    let sim = deaf().await;
    sim.world().populate(100);
    sim.onelogin(|onelogin| onelogin.users_page_cap = 1);
    let error = connect(&sim, &onelogin_config(&sim)).find("nobody@acme.example").await.unwrap_err();
    assert_eq!(end_of(&error), End::Incomplete);
    assert!(error.to_string().contains("does not end"), "{error}");
    assert!(sim.requests(Peer::OneLogin).len() < 60);
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_nobody_who_was_asked_for() {
    let sim = account().await;
    sim.faults().add(on(Peer::OneLogin, "/api/2/users/").then(body("{\"id\":1,\"status\":1,\"state\":1}")));
    let source = connect(&sim, &onelogin_config(&sim));
    let error = source.find("99999999").await.unwrap_err();
    assert!(error.to_string().contains("somebody else"), "{error}");
    assert_eq!(source.with_login("99999999").await.unwrap(), [], "a login is no id");
}

#[tokio::test]
async fn a_name_that_onelogin_cannot_answer_for_is_about_this_name_and_not_about_the_credentials() {
    let sim = account().await;
    let (id, login) = {
        let person = &sim.world().people()[3];
        (SourceId::new(person.onelogin_id.to_string()), person.login.clone())
    };
    let cases = [
        (error(403, "ForbiddenError"), "403"),
        (html_page(500), "500"),
        (html_page(400), "400"),
        (html_page(200), "web page"),
    ];
    for (effect, word) in cases {
        sim.faults().clear();
        let about_it =
            |_: &str, query: &[(String, String)]| query.iter().any(|(_, value)| value.contains("hara"));
        sim.faults().add(on(Peer::OneLogin, "/api/2/users").when(about_it).then(effect));
        let source = connect(&sim, &onelogin_config(&sim));
        for failed in
            [source.find("o'hara@acme.example").await, source.with_login("o'hara@acme.example").await]
        {
            let error = failed.unwrap_err();
            assert_eq!(end_of(&error), End::Incomplete, "{word}: {error}");
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert_eq!(source.find(&login).await.unwrap(), std::slice::from_ref(&id));
    }
    sim.faults().clear();
    sim.faults().add(on(Peer::OneLogin, "/api/2/").then(error(401, "UnauthorizedError")));
    let error = connect(&sim, &onelogin_config(&sim)).find(&login).await.unwrap_err();
    assert_eq!(end_of(&error), End::Credentials);
}
