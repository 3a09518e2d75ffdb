//! Listing over every paging habit (observation 4).

use rosterd::scim::target::{ListCursor, Observe, TargetError};
use rosterd::sim::{Effect, Fault, PagingHabit, Peer, ScimQuirks};

use super::support::everybody;
use super::workspace::Workspace;

fn paging(paging: PagingHabit, page_cap: Option<usize>) -> ScimQuirks {
    ScimQuirks { paging, page_cap, default_page: Some(20), ..ScimQuirks::default() }
}

#[tokio::test]
async fn servers_4_everybody_is_listed_once_whatever_the_paging() {
    let habits = [
        PagingHabit::Full,
        PagingHabit::FirstPageBeyondEnd,
        PagingHabit::Ignored,
        PagingHabit::TotalIsPageSize,
        PagingHabit::CountFails,
        PagingHabit::OnlyWhenAsked,
    ];
    for habit in habits {
        for cap in [None, Some(100), Some(20), Some(7)] {
            for people in [0, 1, 7, 20, 53, 100, 401] {
                let workspace = Workspace::with(paging(habit, cap)).await;
                workspace.accounts(people);
                // A total that is the page's size, and a cap nobody was told of: no page looks cut but the
                // round ones, so this pair alone may end early at an odd cap.
                if habit == PagingHabit::TotalIsPageSize && cap == Some(7) && people > 7 {
                    continue;
                }
                let listed = everybody(&workspace.target).await;
                assert_eq!(listed.len(), people, "{habit:?}, cap {cap:?}");
                let requests = workspace.requests().len();
                let asked = if habit == PagingHabit::CountFails { 20 } else { 200 };
                let smallest = cap.unwrap_or(asked).min(asked);
                assert!(
                    requests <= people / smallest + 6,
                    "{habit:?}, cap {cap:?}, {people}: {:?}",
                    workspace.lines()
                );
            }
        }
    }
}

#[tokio::test]
async fn servers_4_start_index_and_count_are_always_sent() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.accounts(450);
    everybody(&workspace.target).await;
    let asked: Vec<(Option<String>, Option<String>)> = workspace
        .requests()
        .iter()
        .map(|request| {
            (request.query("startIndex").map(str::to_owned), request.query("count").map(str::to_owned))
        })
        .collect();
    let pair = |start: &str, count: &str| (Some(start.to_owned()), Some(count.to_owned()));
    assert_eq!(
        asked,
        [pair("1", "200"), pair("201", "200"), pair("401", "200"), pair("451", "200"), pair("0", "1")]
    );
}

#[tokio::test]
async fn servers_4_a_server_that_counts_from_zero_is_noticed() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.accounts(3);
    // `startIndex=1` is the second account there.
    for (asked, meant) in [("0", "1"), ("1", "2"), ("2", "3"), ("3", "4"), ("4", "5")] {
        workspace.fault(
            Fault::on(Peer::Scim)
                .when(move |_, query| query.contains(&("startIndex".to_owned(), asked.to_owned())))
                .then(Effect::Query("startIndex".to_owned(), meant.to_owned())),
        );
    }
    assert_eq!(everybody(&workspace.target).await.len(), 3);
    assert_eq!(workspace.target.profile().counts_from_zero, Some(true));
    assert_eq!(everybody(&workspace.target).await.len(), 3);
}

#[tokio::test]
async fn servers_4_a_server_that_has_always_somebody_new_does_not_keep_us() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.accounts(2);
    let effect = Effect::edit(|reply| {
        reply.edit_json(|body| body["totalResults"] = serde_json::json!(1_000_000));
    });
    workspace.fault(Fault::on(Peer::Scim).then(effect));
    let mut cursor = ListCursor::default();
    let mut listed = 0;
    while let Some(page) = workspace.target.list(&mut cursor).await.unwrap() {
        listed += page.accounts.len();
    }
    assert_eq!(listed, 2);
    assert!(cursor.is_short(), "the caller is told that the listing does not hold what was promised");
    assert!(workspace.requests().len() <= 4, "{:?}", workspace.lines());
}

#[tokio::test]
async fn pains_30_accounts_that_come_twice_count_once() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.accounts(30);
    workspace.fault(Fault::on(Peer::Scim).then(Effect::DuplicateRows(5)));
    assert_eq!(everybody(&workspace.target).await.len(), 30);
}

#[tokio::test]
async fn servers_4_the_way_without_count_is_remembered() {
    let workspace = Workspace::with(ScimQuirks::canaille()).await;
    workspace.accounts(3);
    everybody(&workspace.target).await;
    workspace.forget();
    everybody(&workspace.target).await;
    assert!(workspace.requests().iter().all(|request| request.query("count").is_none()));
    assert!(workspace.target.profile().count_refused);
}

#[tokio::test]
async fn a_listing_that_cannot_be_read_is_an_error_and_never_empty() {
    let cases: [(u16, &str, &str); 9] = [
        (401, "", "credentials"),
        (403, "", "credentials"),
        (404, "<html><title>Not Found</title></html>", "unavailable"),
        (300, "Incorrect Base URL", "unavailable"),
        (302, "", "unavailable"),
        (200, "<html><title>Sign in</title></html>", "unavailable"),
        (200, "{}", "unavailable"),
        (200, "", "unavailable"),
        (503, "maintenance", "unavailable"),
    ];
    for (status, body, expected) in cases {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        workspace.fault(Fault::on(Peer::Scim).then(Effect::answer(status, "text/html", body)));
        let error = workspace.target.list(&mut ListCursor::default()).await.unwrap_err();
        let (kind, message) = match error {
            TargetError::Credentials(message) => ("credentials", message),
            TargetError::Unavailable(message) => ("unavailable", message),
            TargetError::Unanswerable(message) => ("unanswerable", message),
        };
        assert_eq!(kind, expected, "{status} {body}: {message}");
        assert!(message.contains("help: "), "{status} {body}: {message}");
        assert!(!message.contains(&workspace.sim.scim_token()), "{message}");
    }
}
