//! The Okta side: lists and pages, the directory, the System Log, limits.

use crate::{encoded, okta, start};
use rosterd::sim::{RateLimits, Visibility};
use serde_json::json;
use std::time::Duration;

fn app_users(sim: &rosterd::sim::Sim) -> String {
    format!("/api/v1/apps/{}/users", sim.okta_app_id())
}

#[tokio::test]
async fn following_the_next_links_shows_everybody_once() {
    let sim = start().await;
    sim.world().populate(23);
    let mut ids = Vec::new();
    let mut next = Some(format!("{}?limit=10&expand=user", app_users(&sim)));
    let mut pages = 0;
    while let Some(url) = next {
        let page = okta(&sim, &url).await;
        assert_eq!(page.status, 200);
        ids.extend(page.column("id"));
        pages += 1;
        next = page.next();
    }
    assert_eq!(pages, 3);
    let mut expected: Vec<String> = sim.world().people().into_iter().map(|person| person.okta_id).collect();
    expected.sort();
    ids.sort();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn self_and_next_are_two_headers_and_the_next_link_forgets_expand() {
    let sim = start().await;
    sim.world().populate(3);
    let first = okta(&sim, &format!("{}?limit=2&expand=user", app_users(&sim))).await;
    let links: Vec<&str> = first.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
    assert_eq!(links.len(), 2);
    assert!(links[0].ends_with("rel=\"self\"") && links[1].ends_with("rel=\"next\""), "{links:?}");
    assert_eq!(first.json()[0]["_embedded"]["user"]["status"], "ACTIVE");
    let next = first.next().unwrap();
    assert!(next.contains("after=") && next.contains("limit=2") && !next.contains("expand"), "{next}");
    let last = okta(&sim, &next).await;
    assert_eq!(last.json()[0].get("_embedded"), None);
    assert_eq!(last.next(), None);
    let repaired = okta(&sim, &format!("{next}&expand=user")).await;
    assert_eq!(repaired.json()[0]["_embedded"]["user"]["id"], repaired.json()[0]["id"]);
    sim.okta(|options| options.next_link_forgets_expand = false);
    let first = okta(&sim, &format!("{}?limit=2&expand=user", app_users(&sim))).await;
    assert!(first.next().unwrap().contains("expand=user"));
}

#[tokio::test]
async fn a_page_has_fifty_rows_unless_asked_and_never_more_than_500() {
    let sim = start().await;
    sim.world().populate(510);
    assert_eq!(okta(&sim, &app_users(&sim)).await.json().as_array().unwrap().len(), 50);
    let page = okta(&sim, &format!("{}?limit=9999", app_users(&sim))).await;
    assert_eq!(page.json().as_array().unwrap().len(), 500);
    sim.okta(|options| options.page_cap = Some(20));
    let page = okta(&sim, &format!("{}?limit=500", app_users(&sim))).await;
    assert_eq!(page.json().as_array().unwrap().len(), 20);
    assert_eq!(okta(&sim, &format!("{}?limit=0", app_users(&sim))).await.status, 400);
    let bad = okta(&sim, &format!("{}?after=nonsense", app_users(&sim))).await;
    assert_eq!((bad.status, bad.json()["errorCode"].as_str()), (400, Some("E0000001")));
}

#[tokio::test]
async fn suspension_keeps_an_assignment_and_deactivation_takes_it() {
    let sim = start().await;
    let world = sim.world();
    let suspended = world.hire_assigned("sue@acme.example", |_| {});
    let gone = world.hire_assigned("gus@acme.example", |_| {});
    world.suspend(suspended);
    world.deactivate(gone);
    let list = okta(&sim, &format!("{}?expand=user", app_users(&sim))).await;
    assert_eq!(list.column("id"), [world.person(suspended).okta_id]);
    assert_eq!(list.json()[0]["_embedded"]["user"]["status"], "SUSPENDED");
    assert_eq!(list.json()[0]["status"], "ACTIVE", "an app user's status is not the user's");
    let point = okta(&sim, &format!("{}/{}", app_users(&sim), world.person(gone).okta_id)).await;
    assert_eq!((point.status, point.json()["errorCode"].as_str()), (404, Some("E0000007")));
    assert!(point.json()["errorSummary"].as_str().unwrap().ends_with("(AppUser)"));
    let user = okta(&sim, "/api/v1/users/gus@acme.example").await;
    assert_eq!(user.json()["status"], "DEPROVISIONED");
    world.reactivate(gone);
    assert_eq!(
        okta(&sim, &app_users(&sim)).await.json().as_array().unwrap().len(),
        1,
        "no assignment comes back"
    );
}

#[tokio::test]
async fn a_group_assigns_the_app_and_reactivation_brings_that_back() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire("ann@acme.example", |_| {});
    let group = world.add_group("Wrike users");
    world.assign_group(group);
    world.add_member(group, ann);
    let list = okta(&sim, &app_users(&sim)).await;
    assert_eq!(list.column("scope"), ["GROUP"]);
    assert_eq!(list.json()[0]["_links"]["group"]["name"], "Wrike users");
    world.assign(ann);
    assert_eq!(okta(&sim, &app_users(&sim)).await.column("scope"), ["USER"], "listed once");
    world.deactivate(ann);
    assert!(world.assigned().is_empty());
    world.reactivate(ann);
    assert_eq!(okta(&sim, &app_users(&sim)).await.column("scope"), ["GROUP"]);
    let groups = okta(&sim, &format!("/api/v1/apps/{}/groups", sim.okta_app_id())).await;
    assert_eq!(groups.column("id"), [world.group(group).okta_id]);
    let members = okta(&sim, &format!("/api/v1/groups/{}/users", world.group(group).okta_id)).await;
    assert_eq!(members.column("id"), [world.person(ann).okta_id]);
    let of_ann = okta(&sim, &format!("/api/v1/users/{}/groups", world.person(ann).okta_id)).await;
    assert_eq!(of_ann.column("id"), [world.group(group).okta_id]);
    world.remove_member(group, ann);
    assert!(okta(&sim, &app_users(&sim)).await.json().as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_hidden_person_is_missing_from_lists_and_found_by_a_point_read() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire_assigned("ann@acme.example", |_| {});
    let point = format!("{}/{}", app_users(&sim), world.person(ann).okta_id);
    world.hide(ann);
    assert!(okta(&sim, &app_users(&sim)).await.json().as_array().unwrap().is_empty());
    assert_eq!(okta(&sim, &point).await.status, 200);
    world.show(ann, Visibility::Nowhere);
    assert_eq!(okta(&sim, &point).await.status, 404);
    assert_eq!(okta(&sim, "/api/v1/users/ann@acme.example").await.status, 404);
}

#[tokio::test]
async fn names_and_profiles_come_as_they_were_given() {
    let sim = start().await;
    let id = sim.world().hire_assigned("zoe@acme.example", |person| {
        person.first_name = Some("Zoë".to_owned());
        person.title = Some("Head of \"R&D\"".to_owned());
        person.app_profile.insert("wrikeUserType".to_owned(), json!("External"));
        person.app_username = Some("zoe.app@acme.example".to_owned());
        person.extra_profile.insert("costCenter".to_owned(), json!("77"));
    });
    let user = okta(&sim, &format!("{}/{}?expand=user", app_users(&sim), sim.world().person(id).okta_id))
        .await
        .json();
    assert_eq!(user["credentials"]["userName"], "zoe.app@acme.example");
    assert_eq!(user["profile"]["wrikeUserType"], "External");
    let profile = &user["_embedded"]["user"]["profile"];
    assert_eq!(profile["firstName"], "Zoë");
    assert_eq!(profile["lastName"], json!(null));
    assert_eq!(profile["title"], "Head of \"R&D\"");
    assert_eq!(profile["costCenter"], "77");
    assert_eq!(profile.get("department"), None);
    sim.world().edit(id, |person| person.without_embedded = true);
    let user = okta(&sim, &format!("{}?expand=user", app_users(&sim))).await.json();
    assert_eq!(user[0].get("_embedded"), None);
}

#[tokio::test]
async fn apps_are_listed_searched_deactivated_and_removed() {
    let sim = start().await;
    let own = format!("/api/v1/apps/{}", sim.okta_app_id());
    assert_eq!(okta(&sim, "/api/v1/apps").await.json().as_array().unwrap().len(), 2);
    assert_eq!(okta(&sim, "/api/v1/apps?q=wri").await.column("id"), [sim.okta_app_id()]);
    sim.world().edit_app(|app| app.features.push("PUSH_NEW_USERS".to_owned()));
    assert_eq!(okta(&sim, &own).await.json()["features"], json!(["PUSH_NEW_USERS"]));
    sim.world().hire_assigned("ann@acme.example", |_| {});
    assert_eq!(okta(&sim, &app_users(&sim)).await.column("status"), ["PROVISIONED"]);
    sim.world().deactivate_app();
    assert_eq!(okta(&sim, &own).await.json()["status"], "INACTIVE");
    sim.world().remove_app();
    for path in [own.clone(), app_users(&sim), format!("{own}/groups")] {
        assert_eq!(okta(&sim, &path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_directory_is_searched_by_the_documented_means() {
    let sim = start().await;
    let world = sim.world();
    world.hire("ann@acme.example", |person| person.department = Some("Sales".to_owned()));
    let bob = world.hire("bob@acme.example", |_| {});
    world.deactivate(bob);
    let find = async |query: &str| {
        okta(&sim, &format!("/api/v1/users?{query}")).await.json().as_array().unwrap().len()
    };
    assert_eq!(find("").await, 1, "deactivated people are left out without a filter");
    let search = encoded("profile.department eq \"Sales\" and status eq \"ACTIVE\"");
    assert_eq!(find(&format!("search={search}")).await, 1);
    assert_eq!(find(&format!("filter={}", encoded("status eq \"DEPROVISIONED\""))).await, 1);
    assert_eq!(find(&format!("filter={}", encoded("profile.login eq \"ANN@acme.example\""))).await, 1);
    assert_eq!(find("q=an").await, 1);
    let bad = okta(&sim, &format!("/api/v1/users?search={}", encoded("status is \"x\""))).await;
    assert_eq!(bad.status, 400);
    let group = world.add_group("Wrike Externals");
    world.add_group("Wrike");
    assert_eq!(okta(&sim, "/api/v1/groups?q=wrike").await.json().as_array().unwrap().len(), 2);
    let exact = encoded("profile.name eq \"Wrike Externals\"");
    assert_eq!(
        okta(&sim, &format!("/api/v1/groups?search={exact}")).await.column("id"),
        [world.group(group).okta_id]
    );
}

#[tokio::test]
async fn a_used_up_window_answers_429_until_it_ends() {
    let sim = start().await;
    sim.okta(|options| options.rate_limits = RateLimits { logs: 2, ..RateLimits::published() });
    sim.world().skew_okta_clock(90);
    let first = okta(&sim, "/api/v1/logs").await;
    assert_eq!(
        (first.header("x-rate-limit-limit"), first.header("x-rate-limit-remaining")),
        (Some("2"), Some("1"))
    );
    let date = chrono::DateTime::parse_from_rfc2822(first.header("date").unwrap()).unwrap().timestamp();
    let reset: i64 = first.header("x-rate-limit-reset").unwrap().parse().unwrap();
    assert_eq!(reset - date, 60, "the reset is told in the server's time");
    assert!((date - chrono::Utc::now().timestamp() - 90).abs() < 30, "the server's clock runs ahead");
    okta(&sim, "/api/v1/logs").await;
    let refused = okta(&sim, "/api/v1/logs").await;
    assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (429, Some("E0000047")));
    assert_eq!(refused.header("x-rate-limit-remaining"), Some("0"));
    assert_eq!(
        okta(&sim, "/api/v1/apps").await.status,
        200,
        "each group of endpoints has a window of its own"
    );
    sim.world().advance(Duration::from_secs(61));
    assert_eq!(okta(&sim, "/api/v1/logs").await.status, 200);
}

#[tokio::test]
async fn missing_rights_are_refused_and_a_missing_role_shows_nobody() {
    let sim = start().await;
    sim.world().populate(2);
    sim.okta(|options| options.denied.insert("logs"));
    let refused = okta(&sim, "/api/v1/logs").await;
    assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (403, Some("E0000006")));
    assert_eq!(okta(&sim, &app_users(&sim)).await.status, 200);
    sim.okta(|options| options.without_admin_role = true);
    assert_eq!(okta(&sim, &app_users(&sim)).await.json(), json!([]));
    assert_eq!(okta(&sim, &format!("/api/v1/apps/{}", sim.okta_app_id())).await.status, 403);
    sim.okta(|options| options.api_token_valid = false);
    let refused = okta(&sim, "/api/v1/logs").await;
    assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (401, Some("E0000011")));
}

#[tokio::test]
async fn polling_the_log_always_leads_on_and_sees_each_event_once() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire_assigned("ann@acme.example", |_| {});
    let mut types = Vec::new();
    let mut next = "/api/v1/logs?limit=2".to_owned();
    for _ in 0..4 {
        let page = okta(&sim, &next).await;
        types.extend(page.column("eventType"));
        next = page.next().expect("a polling request always has a next link");
    }
    assert_eq!(
        types,
        ["user.lifecycle.create", "user.lifecycle.activate", "application.user_membership.add"]
    );
    world.unassign(ann);
    let page = okta(&sim, &next).await;
    assert_eq!(page.column("eventType"), ["application.user_membership.remove"]);
    let kinds: Vec<_> =
        page.json()[0]["target"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(kinds, ["AppUser", "AppInstance", "User"]);
    assert!(okta(&sim, &page.next().unwrap()).await.json().as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_bounded_log_request_ends_and_filters_hold() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire_assigned("ann@acme.example", |_| {});
    world.suspend(ann);
    let until = encoded(&(world.now() + chrono::Duration::hours(1)).to_rfc3339());
    let page = okta(&sim, &format!("/api/v1/logs?until={until}&limit=3")).await;
    assert_eq!(page.json().as_array().unwrap().len(), 3);
    let last = okta(&sim, &page.next().unwrap()).await;
    assert_eq!(last.column("eventType"), ["user.lifecycle.suspend"]);
    assert_eq!(last.next(), None);
    let filter = encoded(&format!(
        "eventType eq \"application.user_membership.add\" and target.id eq \"{}\"",
        sim.okta_app_id()
    ));
    assert_eq!(
        okta(&sim, &format!("/api/v1/logs?filter={filter}")).await.json().as_array().unwrap().len(),
        1
    );
    for bad in ["since=yesterday", "limit=1001", "filter=eventType%20is%20x"] {
        assert_eq!(okta(&sim, &format!("/api/v1/logs?{bad}")).await.status, 400, "{bad}");
    }
    let since = encoded("2024-01-01T00:00:00Z");
    let next = okta(&sim, "/api/v1/logs").await.next().unwrap();
    assert_eq!(okta(&sim, &format!("{next}&since={since}")).await.status, 400);
}

#[tokio::test]
async fn a_delayed_event_appears_later_and_is_not_lost_to_a_poller() {
    let sim = start().await;
    let world = sim.world();
    world.delay_events(Duration::from_secs(60));
    world.hire("ann@acme.example", |_| {});
    let page = okta(&sim, "/api/v1/logs").await;
    assert!(page.json().as_array().unwrap().is_empty());
    world.advance(Duration::from_secs(61));
    assert_eq!(okta(&sim, &page.next().unwrap()).await.json().as_array().unwrap().len(), 2);
}
