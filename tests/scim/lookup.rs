//! Lookups (observations 1 to 3, 13).

use rosterd::config::Dialect;
use rosterd::http::Lane;
use rosterd::model::check::CheckLevel;
use rosterd::model::id::TargetId;
use rosterd::scim::dialect::Profile;
use rosterd::scim::target::{Criterion, Observe, TargetError};
use rosterd::sim::{Effect, ErrorForm, Fault, FilterHabit, PagingHabit, Peer, ScimQuirks};
use serde_json::json;

use super::support::target_at;
use super::workspace::Workspace;

fn by_name(name: &str) -> Criterion {
    Criterion::UserName(name.to_owned())
}

async fn ids(workspace: &Workspace, criterion: &Criterion) -> Vec<String> {
    let found = workspace.target.find(criterion).await.unwrap();
    found.accounts.iter().map(|account| account.id.to_string()).collect()
}

#[tokio::test]
async fn servers_1_a_filter_that_lets_everybody_through_finds_only_who_was_asked_for() {
    for paging in [PagingHabit::Full, PagingHabit::FirstPageBeyondEnd, PagingHabit::CountFails] {
        let habits = ScimQuirks {
            filter: FilterHabit::Ignored,
            paging,
            default_page: Some(20),
            ..ScimQuirks::default()
        };
        let workspace = Workspace::with(habits).await;
        workspace.accounts(250);
        let ann = workspace.account(json!({"userName": "ann@acme.com", "externalId": "00u1"}));
        assert_eq!(ids(&workspace, &by_name("ANN@acme.com")).await, [ann.as_str()], "{paging:?}");
        assert_eq!(ids(&workspace, &Criterion::ExternalId("00u1".to_owned())).await, [ann.as_str()]);
        assert!(ids(&workspace, &by_name("nobody@acme.com")).await.is_empty());
        assert!(!workspace.target.lookups_are_cheap(), "{paging:?}: one listing serves better");
    }
}

#[tokio::test]
async fn servers_1_only_user_name_is_filtered_and_external_id_shows_everybody() {
    let workspace = Workspace::with(ScimQuirks::onelogin_sample()).await;
    workspace.accounts(3);
    let ann = workspace.account(json!({"userName": "ann@acme.com", "externalId": "00u1"}));
    assert_eq!(ids(&workspace, &Criterion::ExternalId("00u1".to_owned())).await, [ann.as_str()]);
    assert!(!workspace.target.finds_external_id(), "asking so again is a listing each time");
    assert_eq!(ids(&workspace, &by_name("ann@acme.com")).await, [ann.as_str()]);
    assert!(workspace.target.lookups_are_cheap());
}

#[tokio::test]
async fn servers_2_a_case_sensitive_filter_is_asked_in_lower_case_too_and_the_listing_finds_the_rest() {
    let workspace = Workspace::with(ScimQuirks::scimmy()).await;
    let ann = workspace.account(json!({"userName": "ann@acme.com"}));
    let bob = workspace.account(json!({"userName": "Bob@Acme.com"}));
    assert_eq!(ids(&workspace, &by_name("Ann@Acme.com")).await, [ann.as_str()]);
    assert!(ids(&workspace, &by_name("bob@acme.com")).await.is_empty());
    let listed = workspace.target.find_by_listing(&by_name("bob@acme.com")).await.unwrap();
    assert_eq!(listed.accounts.iter().map(|account| &account.id).collect::<Vec<_>>(), [&bob]);
}

#[tokio::test]
async fn servers_2_whether_a_filter_tells_case_apart_is_found_out_once_with_an_account_that_is_there() {
    for (habits, tells_apart) in [(ScimQuirks::scimmy(), true), (ScimQuirks::default(), false)] {
        let workspace = Workspace::with(habits).await;
        for nobody in [None, Some("17@4"), Some("gone@acme.com")] {
            assert!(!workspace.target.tells_case_apart(nobody).await.unwrap(), "nothing was found out");
        }
        assert_eq!(workspace.target.profile().filter_ignores_case, None);
        workspace.account(json!({"userName": "ann@acme.com"}));
        workspace.forget();
        for _ in 0..2 {
            let told = workspace.target.tells_case_apart(Some("ann@acme.com")).await;
            assert_eq!(told.unwrap(), tells_apart);
        }
        let asked: Vec<_> = workspace.requests();
        assert!(asked.len() <= 2, "{asked:?}");
        assert_eq!(workspace.target.profile().filter_ignores_case, Some(!tells_apart));
    }
}

#[tokio::test]
async fn servers_2_two_accounts_that_differ_in_case_are_both_found() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.account(json!({"userName": "ann@acme.com"}));
    workspace.account(json!({"userName": "ANN@acme.com"}));
    assert_eq!(ids(&workspace, &by_name("ann@acme.com")).await.len(), 2);
}

#[tokio::test]
async fn servers_3_the_filter_is_sent_in_the_one_spelling_that_every_server_knows() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    ids(&workspace, &by_name("ann o'hara+x@acme.com")).await;
    let request = &workspace.requests()[0];
    assert_eq!(request.query("filter"), Some("userName eq \"ann o'hara+x@acme.com\""));
    assert_eq!((request.query("startIndex"), request.query("count")), (Some("1"), Some("200")));
    assert_eq!(workspace.requests().len(), 1, "nobody found costs one request");
}

#[tokio::test]
async fn servers_3_a_name_that_needs_escapes_is_found_in_the_listing() {
    let workspace = Workspace::with(ScimQuirks::scimgateway()).await;
    workspace.accounts(3);
    for name in ["o\"brien@acme.com", "o\\brien@acme.com"] {
        let id = workspace.account(json!({"userName": name}));
        workspace.forget();
        assert_eq!(ids(&workspace, &by_name(name)).await, [id.as_str()], "{name}");
        assert!(workspace.requests().iter().all(|request| request.query("filter").is_none()));
    }
}

#[tokio::test]
async fn a_compatibility_form_of_a_name_is_somebody_else() {
    let workspace =
        Workspace::with(ScimQuirks { filter: FilterHabit::Ignored, ..ScimQuirks::default() }).await;
    workspace.account(json!({"userName": "\u{212a}ate@acme.com"}));
    assert!(ids(&workspace, &by_name("kate@acme.com")).await.is_empty());
}

#[tokio::test]
async fn a_lookup_that_is_answered_404_found_nobody() {
    for errors in [ErrorForm::Scim, ErrorForm::Wrike, ErrorForm::Html, ErrorForm::Empty] {
        let workspace = Workspace::with(ScimQuirks { errors, ..ScimQuirks::default() }).await;
        let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
        let body = json!({"schemas": [schema], "status": 404, "detail": "no such user"}).to_string();
        let effect = Effect::answer(404, "application/scim+json", &body);
        workspace.fault(Fault::on(Peer::Scim).when(has_filter).then(effect));
        assert!(ids(&workspace, &by_name("ann@acme.com")).await.is_empty());
        assert_eq!(workspace.target.get(&TargetId::new("nobody"), Lane::General).await.unwrap(), None);
    }
}

fn has_filter(_: &str, query: &[(String, String)]) -> bool {
    query.iter().any(|(name, _)| name == "filter")
}

#[tokio::test]
async fn a_proxys_404_does_not_make_anybody_gone() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let ann = workspace.account(json!({"userName": "ann@acme.com"}));
    let page = Effect::answer(404, "text/html", "<html><title>404 Not Found</title></html>");
    workspace.fault(Fault::on(Peer::Scim).then(page));
    assert!(matches!(
        workspace.target.get(&ann, Lane::General).await.unwrap_err(),
        TargetError::Unavailable(message) if message.contains("help: there is no SCIM service")
    ));
    let error = workspace.target.find(&by_name("ann@acme.com")).await.unwrap_err();
    assert!(matches!(error, TargetError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_refused_filter_is_searched_for_in_the_listing_and_a_refused_external_id_is_not_asked_again() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let ann = workspace.account(json!({"userName": "ann@acme.com", "externalId": "00u1"}));
    let effect = Effect::answer(400, "text/plain", "the filter is not supported");
    workspace.fault(Fault::on(Peer::Scim).when(has_filter).then(effect));
    assert_eq!(ids(&workspace, &by_name("ann@acme.com")).await, [ann.as_str()]);
    assert!(workspace.target.finds_external_id());
    assert!(ids(&workspace, &Criterion::ExternalId("00u1".to_owned())).await.is_empty());
    assert!(!workspace.target.finds_external_id());
}

#[tokio::test]
async fn an_outage_teaches_nothing_about_the_server() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.fault(Fault::on(Peer::Scim).then(Effect::answer(500, "text/plain", "oops")));
    for criterion in [by_name("ann@acme.com"), Criterion::ExternalId("00u1".to_owned())] {
        let error = workspace.target.find(&criterion).await.unwrap_err();
        assert!(matches!(error, TargetError::Unavailable(_)), "{error:?}");
    }
    assert_eq!(workspace.target.profile(), Profile::default());
}

#[tokio::test]
async fn servers_4_a_server_that_counts_from_zero_does_not_hide_the_only_hit() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let ann = workspace.account(json!({"userName": "ann@acme.com"}));
    for (asked, meant) in [("0", "1"), ("1", "2")] {
        workspace.fault(
            Fault::on(Peer::Scim)
                .when(move |_, query| query.contains(&("startIndex".to_owned(), asked.to_owned())))
                .then(Effect::Query("startIndex".to_owned(), meant.to_owned())),
        );
    }
    assert_eq!(ids(&workspace, &by_name("ann@acme.com")).await, [ann.as_str()]);
    workspace.forget();
    assert_eq!(ids(&workspace, &by_name("ann@acme.com")).await, [ann.as_str()]);
    assert_eq!(workspace.requests().len(), 1, "what was learned is used");
}

#[tokio::test]
async fn servers_5_ids_are_one_path_segment_and_dots_are_no_id() {
    let workspace = Workspace::with(ScimQuirks::scimgateway()).await;
    let id = workspace.account(json!({"userName": "a/b?c#d@acme.com"}));
    let account = workspace.target.get(&id, Lane::General).await.unwrap();
    assert!(account.is_some());
    let odd = TargetId::new("ann@acme.com/../x");
    assert_eq!(workspace.target.get(&odd, Lane::General).await.unwrap(), None);
    assert_eq!(workspace.lines().last().unwrap(), "GET /Users/ann%40acme.com%2F..%2Fx");
    workspace.forget();
    for dots in [".", "..", ""] {
        let error = workspace.target.get(&TargetId::new(dots), Lane::General).await.unwrap_err();
        assert!(matches!(error, TargetError::Unanswerable(_)), "{error:?}");
    }
    assert!(workspace.requests().is_empty());
}

#[tokio::test]
async fn servers_13_discovery_that_is_missing_is_no_failure() {
    for (name, habits) in ScimQuirks::presets() {
        let dialect = if name == "wrike" { Dialect::Wrike } else { Dialect::Generic };
        let workspace = Workspace::speaking(habits, dialect).await;
        workspace.accounts(3);
        let lines = workspace.target.check().await;
        assert!(lines.iter().all(|line| line.level != CheckLevel::Fail), "{name}: {lines:#?}");
        assert!(workspace.writes().is_empty(), "{name}: check reads only");
        let lookup = lines.iter().find(|line| line.right == "target lookup").unwrap();
        assert_eq!(lookup.detail.contains("ignores filters"), name == "canaille", "{name}: {lookup:?}");
    }
}

#[tokio::test]
async fn check_says_what_to_do_about_each_failure() {
    let cases: [(u16, &str, &str, &str); 4] = [
        (401, "", "target credentials", "make a new one"),
        (403, "", "target credentials", "token of an administrator"),
        (404, "<html></html>", "target read", "copy the base URL exactly"),
        (300, "Incorrect Base URL", "target read", "another data centre"),
    ];
    for (status, body, right, help) in cases {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        workspace.fault(Fault::on(Peer::Scim).then(Effect::answer(status, "text/plain", body)));
        let lines = workspace.target.check().await;
        assert_eq!((lines.len(), lines[0].level, lines[0].right.as_str()), (1, CheckLevel::Fail, right));
        assert!(lines[0].help.as_deref().unwrap().contains(help), "{lines:?}");
    }
    let nowhere = target_at("http://127.0.0.1:9/scim", "t0123456789", Dialect::Generic, Profile::default());
    let lines = nowhere.check().await;
    assert_eq!((lines.len(), lines[0].level), (1, CheckLevel::Fail), "{lines:?}");
    assert!(lines[0].help.is_some());
}
