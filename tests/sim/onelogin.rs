//! The OneLogin side: token, apps, users, roles, events.

use crate::{onelogin, onelogin_token, send, start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rosterd::sim::{ErrorShape, TokenShape};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn three_ways_of_sending_the_credentials_give_the_same_token() {
    let sim = start().await;
    let url = format!("{}/auth/oauth2/v2/token", sim.onelogin_url());
    let basic = onelogin_token(&sim).await.json();
    assert_eq!(basic["token_type"], "bearer");
    assert_eq!(basic["expires_in"], 36_000);
    let (id, secret) = (sim.onelogin_client_id(), sim.onelogin_client_secret());
    let header = format!("client_id:{id}, client_secret:{secret}");
    let grant = Some(r#"{"grant_type":"client_credentials"}"#);
    let by_header = send("POST", &url, &[("authorization", &header)], grant).await.unwrap();
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let by_form = [("content-type", "application/x-www-form-urlencoded")];
    let by_form = send("POST", &url, &by_form, Some(&form)).await.unwrap();
    for answer in [by_header, by_form] {
        assert_eq!(answer.json()["access_token"], basic["access_token"]);
        assert_eq!(answer.json()["created_at"], basic["created_at"]);
    }
    let wrong = send("POST", &url, &[("authorization", "Basic eDp5")], grant).await.unwrap();
    assert_eq!(wrong.status, 401);
    sim.onelogin(|options| options.token_shape = TokenShape::Wrapped);
    assert_eq!(onelogin_token(&sim).await.json()["data"][0]["access_token"], basic["access_token"]);
    sim.onelogin(|options| options.credentials_owner_deleted = true);
    assert_eq!(onelogin_token(&sim).await.status, 500);
}

#[tokio::test]
async fn a_token_dies_by_age_by_withdrawal_and_in_the_middle_of_a_read() {
    let sim = start().await;
    let token = onelogin_token(&sim).await.json()["access_token"].as_str().unwrap().to_owned();
    let get = async |token: &str| {
        let url = format!("{}/api/2/apps", sim.onelogin_url());
        send("GET", &url, &[("authorization", &format!("Bearer {token}"))], None).await.unwrap()
    };
    assert_eq!(get(&token).await.status, 200);
    sim.onelogin(|options| options.token_calls_left = Some(1));
    assert_eq!((get(&token).await.status, get(&token).await.status), (200, 401));
    let second = onelogin_token(&sim).await.json()["access_token"].as_str().unwrap().to_owned();
    assert_ne!(second, token);
    sim.world().advance(Duration::from_secs(36_001));
    let refused = get(&second).await;
    assert_eq!(
        refused.json(),
        json!({"statusCode": 401, "name": "UnauthorizedError", "message": "Unauthorized"})
    );
    onelogin_token(&sim).await;
    sim.revoke_onelogin_token();
    assert_eq!(get(&second).await.status, 401);
}

#[tokio::test]
async fn errors_come_in_the_chosen_shape() {
    let sim = start().await;
    let path = "/api/2/users/1";
    for (shape, pointer) in
        [(ErrorShape::V2, "/statusCode"), (ErrorShape::V1, "/status/code"), (ErrorShape::Flat, "/code")]
    {
        sim.onelogin(|options| options.errors = shape);
        let answer = onelogin(&sim, path).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json().pointer(pointer), Some(&json!(404)), "{shape:?}");
    }
    sim.onelogin(|options| options.errors = ErrorShape::V1WithObject);
    assert!(onelogin(&sim, path).await.json()["status"]["message"].is_object());
}

#[tokio::test]
async fn an_apps_users_have_five_fields_and_pages_that_count() {
    let sim = start().await;
    sim.world().populate(25);
    let path = format!("/api/2/apps/{}/users", sim.onelogin_app_id());
    let page = onelogin(&sim, &format!("{path}?limit=10")).await;
    let first = page.json()[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(first, ["email", "firstname", "id", "lastname", "username"]);
    let header = |name: &str| page.header(name).unwrap().to_owned();
    assert_eq!(header("total-count"), "25");
    assert_eq!(
        (header("current-page"), header("page-items"), header("total-pages")),
        ("1".into(), "10".into(), "3".into())
    );
    let cursor = header("after-cursor");
    assert_eq!(STANDARD.decode(&cursor).unwrap(), b"limit=10&page=2");
    let second = onelogin(&sim, &format!("{path}?cursor={cursor}")).await;
    let cursor = second.header("after-cursor").unwrap();
    let last = onelogin(&sim, &format!("{path}?cursor={cursor}")).await;
    assert_eq!(last.json().as_array().unwrap().len(), 5);
    assert_eq!(last.header("after-cursor"), None);
    assert_eq!(onelogin(&sim, &format!("{path}?cursor=!!")).await.status, 400);
    assert_eq!(onelogin(&sim, &path).await.json().as_array().unwrap().len(), 25, "100 is the default");
}

#[tokio::test]
async fn rows_shift_when_somebody_leaves_in_the_middle_of_a_read() {
    let sim = start().await;
    let people = sim.world().populate(20);
    let path = format!("/api/2/apps/{}/users", sim.onelogin_app_id());
    let mut ids = onelogin(&sim, &format!("{path}?limit=10")).await.column("id");
    sim.world().unassign(people[0]);
    let second = onelogin(&sim, &format!("{path}?limit=10&page=2")).await;
    ids.extend(second.column("id"));
    assert_eq!(second.header("total-count"), Some("19"));
    assert_eq!(ids.len(), 19);
    let skipped = sim.world().person(people[10]).onelogin_id.to_string();
    assert!(!ids.contains(&skipped), "the eleventh person slipped onto the page that was read already");
}

#[tokio::test]
async fn users_come_fifty_a_page_with_the_fields_that_were_asked_for() {
    let sim = start().await;
    sim.world().populate(60);
    let outsider = sim.world().hire("out@acme.example", |person| {
        person.custom_attributes.insert("wrike_user_type".to_owned(), json!("External"));
    });
    let app = sim.onelogin_app_id();
    let page =
        onelogin(&sim, &format!("/api/2/users?app_id={app}&limit=1000&fields=id,status,custom_attributes"))
            .await;
    assert_eq!(page.json().as_array().unwrap().len(), 50);
    assert_eq!(page.header("total-count"), Some("60"));
    let keys = page.json()[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys, ["custom_attributes", "id", "status"]);
    let cursor = page.header("after-cursor").unwrap();
    let alone = onelogin(&sim, &format!("/api/2/users?cursor={cursor}")).await;
    assert_eq!(alone.header("total-count"), Some("61"), "a cursor alone forgets the filter");
    let plain = onelogin(&sim, "/api/2/users?email=OUT@*").await.json();
    assert_eq!(plain.as_array().unwrap().len(), 1);
    assert_eq!(plain[0].get("title"), None, "the default list has no title");
    let id = sim.world().person(outsider).onelogin_id;
    let one = onelogin(&sim, &format!("/api/2/users/{id}")).await.json();
    assert_eq!(one["custom_attributes"]["wrike_user_type"], "External");
    assert_eq!(onelogin(&sim, &format!("/api/2/users?user_ids={id},1")).await.column("id"), [id.to_string()]);
    let custom = onelogin(&sim, "/api/2/users?custom_attributes.wrike_user_type=External").await;
    assert_eq!(custom.column("id"), [id.to_string()]);
    assert_eq!(onelogin(&sim, "/api/2/users?updated_since=yesterday").await.status, 422);
}

#[tokio::test]
async fn status_and_state_follow_the_person() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire_assigned("ann@acme.example", |_| {});
    let path = format!("/api/2/users/{}", world.person(ann).onelogin_id);
    let now = async || {
        let user = onelogin(&sim, &path).await.json();
        (user["status"].as_i64().unwrap(), user["state"].as_i64().unwrap())
    };
    assert_eq!(now().await, (1, 1));
    world.suspend(ann);
    assert_eq!(now().await, (2, 1));
    world.unsuspend(ann);
    world.lock(ann);
    assert_eq!(now().await, (3, 1));
    world.deactivate(ann);
    assert_eq!(now().await, (1, 3));
    world.stage(ann);
    assert_eq!(now().await, (0, 0));
    world.delete(ann);
    assert_eq!(onelogin(&sim, &path).await.status, 404);
}

#[tokio::test]
async fn a_hidden_app_is_shown_only_where_visibility_is_ignored() {
    let sim = start().await;
    let ann = sim.world().hire_assigned("ann@acme.example", |_| {});
    sim.onelogin(|options| options.other_apps_per_user = 120);
    let path = format!("/api/2/users/{}/apps", sim.world().person(ann).onelogin_id);
    let last = async |query: &str| onelogin(&sim, &format!("{path}?page=2{query}")).await.column("id");
    assert!(last("").await.contains(&sim.onelogin_app_id()), "the list has pages");
    sim.world().edit_app(|app| app.visible = false);
    assert!(!last("").await.contains(&sim.onelogin_app_id()));
    assert!(last("&ignore_visibility=true").await.contains(&sim.onelogin_app_id()));
}

#[tokio::test]
async fn a_role_gives_the_app_and_lists_its_members() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire("ann@acme.example", |_| {});
    let role = world.add_group("Wrike");
    world.assign_group(role);
    world.add_member(role, ann);
    let (role_id, ann_id) = (world.group(role).onelogin_id, world.person(ann).onelogin_id);
    let app = sim.onelogin_app_id();
    assert_eq!(onelogin(&sim, &format!("/api/2/apps/{app}/users")).await.column("id"), [ann_id.to_string()]);
    let roles = onelogin(&sim, &format!("/api/2/roles?app_id={app}&fields=users,apps")).await.json();
    assert_eq!(roles[0]["users"], json!([ann_id]));
    assert_eq!(onelogin(&sim, "/api/2/roles?name=wri*").await.column("id"), [role_id.to_string()]);
    assert_eq!(onelogin(&sim, "/api/2/roles").await.json()[0].get("users"), None);
    let members = onelogin(&sim, &format!("/api/2/roles/{role_id}/users")).await;
    assert_eq!(members.column("id"), [ann_id.to_string()]);
    world.unassign_group(role);
    assert_eq!(onelogin(&sim, &format!("/api/2/apps/{app}/users")).await.json(), json!([]));
}

#[tokio::test]
async fn events_are_filtered_by_a_list_of_types_and_paged_by_a_cursor_in_the_body() {
    let sim = start().await;
    let world = sim.world();
    for number in 0..60 {
        let id = world.hire_assigned(&format!("p{number}@acme.example"), |_| {});
        if number == 59 {
            world.suspend(id);
        }
    }
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = onelogin(&sim, &format!("/api/1/events?event_type_id=206,21{cursor}")).await.json();
        let rows = page["data"].as_array().unwrap().clone();
        assert!(rows.len() <= 50);
        ids.extend(rows.iter().map(|row| row["id"].as_u64().unwrap()));
        match page["pagination"]["after_cursor"].as_str() {
            Some(text) => cursor = format!("&after_cursor={text}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 61);
    assert!(ids.is_sorted());
    let newest = onelogin(&sim, "/api/1/events?sort=-id&limit=1").await.json();
    assert_eq!(newest["data"][0]["event_type_id"], 21);
    let types = onelogin(&sim, "/api/1/events/types").await.json();
    assert!(types["data"].as_array().unwrap().iter().any(|one| one["name"] == "APP_ADDED_TO_ROLE"));
    let later = "/api/1/events?since=2999-01-01T00:00:00.000Z";
    assert_eq!(onelogin(&sim, later).await.json()["data"], json!([]));
}

#[tokio::test]
async fn the_rate_headers_count_down_in_seconds() {
    let sim = start().await;
    sim.onelogin(|options| options.calls_per_hour = 2);
    let first = onelogin(&sim, "/api/2/apps").await;
    assert_eq!(
        (first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")),
        (Some("2"), Some("1"))
    );
    let reset: i64 = first.header("x-ratelimit-reset").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&reset), "{reset}");
    assert_eq!(onelogin(&sim, "/auth/rate_limit").await.json()["data"]["X-RateLimit-Remaining"], 0);
    assert_eq!(onelogin(&sim, "/api/2/apps").await.status, 429);
    sim.world().advance(Duration::from_secs(3601));
    assert_eq!(onelogin(&sim, "/api/2/apps").await.status, 200);
}

#[tokio::test]
async fn missing_rights_are_refused_area_by_area() {
    let sim = start().await;
    sim.onelogin(|options| options.denied.insert("app_users"));
    let app = sim.onelogin_app_id();
    assert_eq!(onelogin(&sim, &format!("/api/2/apps/{app}/users")).await.status, 403);
    assert_eq!(onelogin(&sim, &format!("/api/2/apps/{app}")).await.status, 200);
    sim.world().remove_app();
    assert_eq!(onelogin(&sim, &format!("/api/2/apps/{app}")).await.status, 404);
}
