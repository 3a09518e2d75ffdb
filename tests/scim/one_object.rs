//! One object, one lookup or the listing that is refused while everything else is answered, and credentials.

use rosterd::config::Dialect;
use rosterd::http::Lane;
use rosterd::model::plan::Verb;
use rosterd::scim::target::{Criterion, ListCursor, Observe, RefusalClass, TargetError};
use rosterd::sim::{Cut, Effect, Fault, Peer, ScimQuirks};
use serde_json::json;

use super::support::{ThroughTheDoor, applied, bare, change, proven, refused};
use super::workspace::Workspace;

const BLOCKED: &str = "<html><title>Access denied</title><h1>Request blocked</h1></html>";

fn by_name(name: &str) -> Criterion {
    Criterion::UserName(name.to_owned())
}

fn says(query: &[(String, String)], name: &str, part: &str) -> bool {
    query.iter().any(|(key, value)| key == name && value.contains(part))
}

/// Requests for the listing as such.
fn plain(path: &str, query: &[(String, String)]) -> bool {
    path.ends_with("/Users") && !says(query, "filter", "")
}

fn answers() -> Vec<(&'static str, Effect)> {
    vec![
        ("403 HTML", Effect::answer(403, "text/html", BLOCKED)),
        ("403", Effect::answer(403, "application/scim+json", "{}")),
        ("500", Effect::answer(500, "text/plain", "oops")),
        ("503", Effect::answer(503, "text/plain", "busy")),
        ("302", Effect::answer(302, "text/html", BLOCKED)),
        ("cut", Effect::Cut(Cut::LostReply)),
    ]
}

#[tokio::test]
async fn an_account_that_cannot_be_read_alone_is_that_persons_and_not_everybodys() {
    for (name, effect) in answers() {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        let ann = workspace.account(json!({"userName": "ann@acme.com", "active": true}));
        let bob = workspace.account(json!({"userName": "bob@acme.com", "active": true}));
        workspace.fault(Fault::on(Peer::Scim).path(&format!("/Users/{ann}")).then(effect));
        let error = workspace.target.get(&ann, Lane::Removal).await.unwrap_err();
        let TargetError::Unanswerable(text) = &error else { panic!("{name}: {error:?}") };
        assert!(text.contains("other requests are answered; help: "), "{name}: {text}");
        assert!(workspace.target.get(&bob, Lane::Removal).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn o_hara_and_a_firewall_concern_nobody_else() {
    for dialect in [Dialect::Generic, Dialect::Wrike] {
        for (name, effect) in answers() {
            let workspace = Workspace::speaking(ScimQuirks::default(), dialect).await;
            let bob = workspace.account(json!({"userName": "bob@acme.com"}));
            // 500 to a lookup sends us to the listing, which finds the person, or nobody.
            let falls_back = name == "500";
            workspace
                .fault(Fault::on(Peer::Scim).when(|_, query| says(query, "filter", "o'hara")).then(effect));
            let found = workspace.target.find(&by_name("o'hara@acme.com")).await;
            match found {
                Ok(lookup) if falls_back => assert!(lookup.accounts.is_empty()),
                Err(TargetError::Unanswerable(_)) if !falls_back => {}
                other => panic!("{name}: {other:?}"),
            }
            let found = workspace.target.find(&by_name("bob@acme.com")).await.unwrap();
            assert_eq!(found.accounts.iter().map(|account| &account.id).collect::<Vec<_>>(), [&bob]);
        }
    }
}

#[tokio::test]
async fn where_nothing_is_answered_a_refused_read_is_everybodys() {
    for (status, credentials) in [(401, true), (403, true), (500, false), (503, false)] {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        let ann = workspace.account(json!({"userName": "ann@acme.com"}));
        workspace.fault(Fault::on(Peer::Scim).then(Effect::answer(status, "text/html", BLOCKED)));
        for error in [
            workspace.target.get(&ann, Lane::General).await.unwrap_err(),
            workspace.target.find(&by_name("ann@acme.com")).await.unwrap_err(),
            workspace.target.list(&mut ListCursor::default()).await.unwrap_err(),
        ] {
            match error {
                TargetError::Credentials(_) => assert!(credentials, "{status}"),
                TargetError::Unavailable(_) => assert!(!credentials, "{status}"),
                TargetError::Unanswerable(text) => panic!("{status}: {text}"),
            }
        }
    }
}

#[tokio::test]
async fn the_control_read_is_not_asked_once_a_person() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let blocked = Effect::answer(403, "text/html", BLOCKED);
    workspace.fault(Fault::on(Peer::Scim).when(|_, query| says(query, "filter", "o'")).then(blocked));
    for number in 0..10 {
        let error = workspace.target.find(&by_name(&format!("o'hara{number}@acme.com"))).await.unwrap_err();
        assert!(matches!(error, TargetError::Unanswerable(_)), "{error:?}");
    }
    assert_eq!(workspace.requests().len(), 11, "{:?}", workspace.lines());
}

#[tokio::test]
async fn a_listing_that_is_refused_while_lookups_work_is_no_outage() {
    let mut cases = answers();
    cases.push(("404", Effect::answer(404, "text/html", BLOCKED)));
    cases.push(("200 HTML", Effect::answer(200, "text/html", BLOCKED)));
    for (name, effect) in cases {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        let ann = workspace.account(json!({"userName": "ann@acme.com"}));
        workspace.fault(Fault::on(Peer::Scim).when(plain).then(effect));
        let error = workspace.target.list(&mut ListCursor::default()).await.unwrap_err();
        assert!(matches!(error, TargetError::Unanswerable(_)), "{name}: {error:?}");
        let found = workspace.target.find(&by_name("ann@acme.com")).await.unwrap();
        assert_eq!(found.accounts[0].id, ann, "{name}");
        assert!(workspace.target.get(&ann, Lane::General).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_listing_that_is_refused_while_only_point_reads_work_is_no_outage_either() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let ann = workspace.account(json!({"userName": "ann@acme.com", "active": true}));
    let blocked = Effect::answer(403, "text/html", BLOCKED);
    workspace.fault(Fault::on(Peer::Scim).when(|path, _| path.ends_with("/Users")).then(blocked));
    let error = workspace.target.list(&mut ListCursor::default()).await.unwrap_err();
    assert!(matches!(error, TargetError::Credentials(_)), "nothing was answered yet: {error:?}");
    assert!(workspace.target.get(&ann, Lane::General).await.unwrap().is_some());
    let error = workspace.target.list(&mut ListCursor::default()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unanswerable(_)), "{error:?}");
    // A leaver can be removed at such a target.
    applied(workspace.provisioner.deactivate(proven(&ann, Verb::Deactivate)).await);
}

#[tokio::test]
async fn somebody_who_was_counted_and_not_shown_is_never_absent() {
    let hidden = Effect::edit(|reply| reply.edit_json(|body| body["Resources"] = json!([])));
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.account(json!({"userName": "ann@acme.com"}));
    workspace.fault(Fault::on(Peer::Scim).when(|_, query| says(query, "filter", "")).then(hidden));
    for _ in 0..2 {
        let error = workspace.target.find(&by_name("Ann@acme.com")).await.unwrap_err();
        let TargetError::Unanswerable(text) = &error else { panic!("{error:?}") };
        assert!(text.contains("counted 1 account for a lookup and shows none"), "{text}");
    }
    assert_eq!(workspace.requests().len(), 4, "counting from 0 was tried: {:?}", workspace.lines());
    assert!(workspace.target.find(&by_name("nobody@acme.com")).await.unwrap().accounts.is_empty());
}

#[tokio::test]
async fn a_row_without_an_id_is_somebody_who_is_not_shown() {
    let nameless =
        Effect::edit(|reply| reply.edit_json(|body| body["Resources"] = json!([{"userName": "a"}])));
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.account(json!({"userName": "ann@acme.com"}));
    workspace.fault(Fault::on(Peer::Scim).when(|_, query| says(query, "filter", "")).then(nameless));
    let error = workspace.target.find(&by_name("ann@acme.com")).await.unwrap_err();
    assert!(matches!(error, TargetError::Unanswerable(_)), "{error:?}");
    assert_eq!(workspace.requests().len(), 1);
}

#[tokio::test]
async fn a_401_to_a_write_is_refused_credentials_with_the_same_help_as_one_to_a_read() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let ann = workspace.account(json!({"userName": "ann@acme.com", "active": true}));
    workspace.fault(Fault::on(Peer::Scim).then(Effect::answer(401, "text/plain", "no")));
    let TargetError::Credentials(read) = workspace.target.get(&ann, Lane::General).await.unwrap_err() else {
        panic!("a 401 to a read is refused credentials")
    };
    let (_, help) = read.split_once("; help: ").unwrap();
    let provisioner = &workspace.provisioner;
    let changes = [change("title", None, Some("Lead"))];
    for outcome in [
        provisioner.create(&bare("bob@acme.com")).await,
        provisioner.update(&ann, &changes, false).await,
        provisioner.update(&ann, &[], true).await,
        provisioner.deactivate(proven(&ann, Verb::Deactivate)).await,
        provisioner.delete(proven(&ann, Verb::Delete)).await,
    ] {
        let refusal = refused(outcome);
        assert_eq!((refusal.class, refusal.status), (RefusalClass::Credentials, 401), "{refusal:?}");
        assert!(refusal.detail.ends_with(help), "{refusal:?}");
    }
}

#[tokio::test]
async fn no_seat_is_what_a_write_that_takes_one_is_told_in_words_that_name_one() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let ann =
        workspace.account(json!({"userName": "ann@acme.com", "active": true, "name": {"givenName": "Ann"}}));
    for (words, for_a_seat) in
        [("license/quota limitations", RefusalClass::NoSeat), ("no permission", RefusalClass::Forbidden)]
    {
        let body = json!({"errorDescription": format!("Not allowed due to {words}"), "error": "not_allowed"});
        workspace.sim.faults().clear();
        for method in ["POST", "PATCH", "DELETE"] {
            let effect = Effect::answer(403, "application/json", &body.to_string());
            workspace.fault(Fault::on(Peer::Scim).method(method).then(effect));
        }
        let provisioner = &workspace.provisioner;
        let changes = [change("title", None, Some("Lead"))];
        let class = |outcome| refused(outcome).class;
        assert_eq!(class(provisioner.create(&bare("bob@acme.com")).await), for_a_seat, "{words}");
        assert_eq!(class(provisioner.update(&ann, &[], true).await), for_a_seat, "{words}");
        assert_eq!(class(provisioner.update(&ann, &changes, true).await), for_a_seat, "{words}");
        let forbidden = RefusalClass::Forbidden;
        assert_eq!(class(provisioner.update(&ann, &changes, false).await), forbidden, "{words}");
        let removal = provisioner.deactivate(proven(&ann, Verb::Deactivate)).await;
        assert_eq!(class(removal), forbidden, "{words}");
        assert_eq!(class(provisioner.delete(proven(&ann, Verb::Delete)).await), forbidden, "{words}");
    }
}
