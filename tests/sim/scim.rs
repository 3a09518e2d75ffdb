//! The SCIM side where it keeps to RFC 7643 and RFC 7644, and the workspace's own rules.

use crate::{encoded, scim, send, start};
use rosterd::sim::Sim;
use serde_json::{Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn ann() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "userName": "ann@acme.example", "externalId": "00u1", "active": true,
        "name": {"givenName": "Ann", "familyName": "Lee"},
        "emails": [{"value": "ann@acme.example", "type": "work", "primary": true},
                   {"value": "ann@home.example", "type": "home"}],
        "title": "Engineer", "password": "never shown",
        ENTERPRISE: {"department": "R&D"}
    })
}

async fn create(sim: &Sim, user: &Value) -> Value {
    let answer = scim(sim, "POST", "/Users", Some(user)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()
}

async fn patch(sim: &Sim, id: &str, operations: Value) -> crate::Answer {
    let body =
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    scim(sim, "PATCH", &format!("/Users/{id}"), Some(&body)).await
}

async fn names(sim: &Sim, filter: &str) -> Vec<String> {
    let answer = scim(sim, "GET", &format!("/Users?filter={}", encoded(filter)), None).await;
    assert_eq!(answer.status, 200, "{filter}: {}", answer.body);
    let rows = answer.json()["Resources"].as_array().unwrap().clone();
    rows.iter().map(|row| row["userName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_created_user_comes_back_whole_without_its_password() {
    let sim = start().await;
    let answer = scim(&sim, "POST", "/Users", Some(&ann())).await;
    assert_eq!((answer.status, answer.header("content-type")), (201, Some("application/scim+json")));
    let user = answer.json();
    assert_eq!(user.get("password"), None);
    assert_eq!(user[ENTERPRISE]["department"], "R&D");
    assert_eq!(answer.header("location"), user["meta"]["location"].as_str());
    assert_eq!(answer.header("etag"), user["meta"]["version"].as_str());
    let id = user["id"].as_str().unwrap();
    assert_eq!(scim(&sim, "GET", &format!("/Users/{id}"), None).await.json(), user);
    assert_eq!(sim.world().account("ANN@acme.example").unwrap().id, id);
    let gone = scim(&sim, "DELETE", &format!("/Users/{id}"), None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    let missing = scim(&sim, "GET", &format!("/Users/{id}"), None).await;
    assert_eq!((missing.status, missing.json()["status"].as_str()), (404, Some("404")));
    assert_eq!(scim(&sim, "DELETE", &format!("/Users/{id}"), None).await.status, 404);
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_in_any_case() {
    let sim = start().await;
    create(&sim, &ann()).await;
    let bob = create(&sim, &json!({"userName": "bob@acme.example"})).await;
    let answer = scim(&sim, "POST", "/Users", Some(&json!({"userName": "ANN@acme.example"}))).await;
    assert_eq!((answer.status, answer.json()["scimType"].as_str()), (409, Some("uniqueness")));
    let path = format!("/Users/{}", bob["id"].as_str().unwrap());
    let answer = scim(&sim, "PUT", &path, Some(&json!({"userName": "Ann@acme.example"}))).await;
    assert_eq!(answer.status, 409);
    let own = scim(&sim, "PUT", &path, Some(&json!({"userName": "BOB@acme.example"}))).await;
    assert_eq!((own.status, own.json()["userName"].as_str()), (200, Some("BOB@acme.example")));
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said() {
    let sim = start().await;
    let cases = [
        (json!({"active": true}), "invalidValue"),
        (json!({"userName": "a@b.example", "active": "true"}), "invalidValue"),
        (json!({"userName": "a@b.example", "emails": {"value": "a@b.example"}}), "invalidValue"),
        (
            json!({"userName": "a@b.example", "emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}),
            "invalidValue",
        ),
        (json!([1]), "invalidSyntax"),
    ];
    for (body, kind) in cases {
        let answer = scim(&sim, "POST", "/Users", Some(&body)).await;
        assert_eq!((answer.status, answer.json()["scimType"].as_str()), (400, Some(kind)), "{body}");
    }
    assert!(sim.world().accounts().is_empty());
    let url = format!("{}/Users", sim.scim_url());
    assert_eq!(send("GET", &url, &[("authorization", "Bearer wrong")], None).await.unwrap().status, 401);
}

#[tokio::test]
async fn put_replaces_everything_that_is_not_read_only() {
    let sim = start().await;
    let user = create(&sim, &ann()).await;
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    let body = json!({"userName": "ann@acme.example", "displayName": "Ann", "groups": [{"value": "x"}], "id": "other"});
    let replaced = scim(&sim, "PUT", &path, Some(&body)).await.json();
    assert_eq!(replaced["id"], user["id"]);
    for gone in ["title", "externalId", "name", "emails", "groups", ENTERPRISE] {
        assert_eq!(replaced.get(gone), None, "{gone}");
    }
    assert_eq!(replaced["active"], true);
    assert_eq!(replaced["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
}

#[tokio::test]
async fn patch_takes_every_form_of_the_rfc() {
    let sim = start().await;
    let id = create(&sim, &ann()).await["id"].as_str().unwrap().to_owned();
    let department = format!("{ENTERPRISE}:department");
    let operations = json!([
        {"op": "replace", "value": {"title": "Manager", "name": {"givenName": "Anna"}, ENTERPRISE: {"organization": "Acme"}}},
        {"op": "Replace", "path": "active", "value": false},
        {"op": "replace", "path": "name.familyName", "value": "Leigh"},
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "anna@acme.example"},
        {"op": "add", "path": "phoneNumbers", "value": [{"value": "+15550001", "type": "work", "primary": true}]},
        {"op": "add", "path": "phoneNumbers", "value": {"value": "+15550002", "type": "home", "primary": true}},
        {"op": "replace", "path": department, "value": "Sales"},
        {"op": "remove", "path": "emails[type eq \"home\"]"},
        {"op": "remove", "path": "externalId"},
    ]);
    let answer = patch(&sim, &id, operations).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let user = answer.json();
    assert_eq!(user["name"], json!({"givenName": "Anna", "familyName": "Leigh"}));
    assert_eq!((user["title"].as_str(), user["active"].as_bool()), (Some("Manager"), Some(false)));
    assert_eq!(user["emails"], json!([{"value": "anna@acme.example", "type": "work", "primary": true}]));
    assert_eq!(user["phoneNumbers"][0]["primary"], false, "a new primary ends the old one");
    assert_eq!(user[ENTERPRISE], json!({"department": "Sales", "organization": "Acme"}));
    assert_eq!(user.get("externalId"), None);
    let user = patch(
        &sim,
        &id,
        json!([{"op": "remove", "path": ENTERPRISE}, {"op": "remove", "path": "name.givenName"}]),
    )
    .await;
    assert_eq!(user.json().get(ENTERPRISE), None);
    assert_eq!(user.json()["name"], json!({"familyName": "Leigh"}));
}

#[tokio::test]
async fn a_patch_that_fails_changes_nothing() {
    let sim = start().await;
    let id = create(&sim, &ann()).await["id"].as_str().unwrap().to_owned();
    let cases = [
        (
            json!([{"op": "replace", "path": "title", "value": "x"}, {"op": "replace", "path": "id", "value": "x"}]),
            "invalidPath",
        ),
        (
            json!([{"op": "replace", "path": "title", "value": "x"}, {"op": "add", "path": "groups", "value": []}]),
            "mutability",
        ),
        (
            json!([{"op": "replace", "path": "title", "value": "x"},
                {"op": "replace", "path": "emails[type eq \"other\"].value", "value": "x"}]),
            "noTarget",
        ),
        (json!([{"op": "replace", "path": "title", "value": "x"}, {"op": "remove"}]), "noTarget"),
        (
            json!([{"op": "replace", "path": "title", "value": "x"}, {"op": "move", "path": "title"}]),
            "invalidSyntax",
        ),
        (
            json!([{"op": "replace", "path": "title", "value": "x"}, {"op": "remove", "path": "userName"}]),
            "mutability",
        ),
        (json!([{"op": "replace", "path": "emails[type eq", "value": "x"}]), "invalidPath"),
        (json!([{"op": "replace", "value": "x"}]), "invalidValue"),
    ];
    sim.scim(|habits| habits.unknown = rosterd::sim::UnknownHabit::Refused);
    for (operations, kind) in cases {
        let answer = patch(&sim, &id, operations.clone()).await;
        assert_eq!((answer.status, answer.json()["scimType"].as_str()), (400, Some(kind)), "{operations}");
    }
    let account = sim.world().account_by_id(&id).unwrap();
    assert_eq!((account.at("/title"), account.version), (json!("Engineer"), 1));
}

#[tokio::test]
async fn versions_guard_writes_and_save_reads() {
    let sim = start().await;
    let user = create(&sim, &ann()).await;
    let url = format!("{}/Users/{}", sim.scim_url(), user["id"].as_str().unwrap());
    let bearer = format!("Bearer {}", sim.scim_token());
    let version = user["meta"]["version"].as_str().unwrap();
    let unchanged =
        send("GET", &url, &[("authorization", &bearer), ("if-none-match", version)], None).await.unwrap();
    assert_eq!(unchanged.status, 304);
    let put = async |version: &str| {
        let headers = [("authorization", bearer.as_str()), ("if-match", version)];
        send("PUT", &url, &headers, Some(r#"{"userName":"ann@acme.example"}"#)).await.unwrap().status
    };
    assert_eq!(put(version).await, 200);
    assert_eq!(put(version).await, 412, "the version is the old one now");
}

#[tokio::test]
async fn filters_find_what_they_describe() {
    let sim = start().await;
    create(&sim, &ann()).await;
    create(&sim, &json!({"userName": "bob@acme.example", "active": false})).await;
    for (filter, expected) in [
        (r#"userName eq "ANN@acme.example""#, vec!["ann@acme.example"]),
        (r#"externalId eq "00u1""#, vec!["ann@acme.example"]),
        (r#"externalId eq "00U1""#, vec![]),
        (r#"active eq false"#, vec!["bob@acme.example"]),
        (r#"emails[type eq "work" and value co "acme"]"#, vec!["ann@acme.example"]),
        (
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "r&d""#,
            vec!["ann@acme.example"],
        ),
        (r#"userName sw "b" or title pr"#, vec!["ann@acme.example", "bob@acme.example"]),
        (r#"userName eq "nobody""#, vec![]),
    ] {
        assert_eq!(names(&sim, filter).await, expected, "{filter}");
    }
    let bad = scim(&sim, "GET", "/Users?filter=userName%20is%20x", None).await;
    assert_eq!((bad.status, bad.json()["scimType"].as_str()), (400, Some("invalidFilter")));
}

#[tokio::test]
async fn pages_follow_start_index_and_count() {
    let sim = start().await;
    for number in 0..7 {
        create(&sim, &json!({"userName": format!("p{number}@acme.example")})).await;
    }
    let page = async |query: &str| {
        let body = scim(&sim, "GET", &format!("/Users{query}"), None).await.json();
        let rows = body["Resources"].as_array().unwrap().len();
        (body["totalResults"].as_u64().unwrap(), body["startIndex"].as_u64().unwrap(), rows)
    };
    assert_eq!(page("").await, (7, 1, 7));
    assert_eq!(page("?startIndex=1&count=3").await, (7, 1, 3));
    assert_eq!(page("?startIndex=7&count=3").await, (7, 7, 1));
    assert_eq!(page("?startIndex=8&count=3").await, (7, 8, 0));
    assert_eq!(page("?startIndex=-4&count=0").await, (7, 1, 0));
    sim.scim(|habits| habits.page_cap = Some(2));
    assert_eq!(page("?count=1000").await, (7, 1, 2));
}

#[tokio::test]
async fn only_the_attributes_that_were_asked_for_are_returned() {
    let sim = start().await;
    let id = create(&sim, &ann()).await["id"].as_str().unwrap().to_owned();
    let keys = async |query: &str| {
        let user = scim(&sim, "GET", &format!("/Users/{id}?{query}"), None).await.json();
        user.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys("attributes=userName,name.givenName").await, ["id", "name", "schemas", "userName"]);
    let query = format!("attributes={}", encoded(&format!("{ENTERPRISE}:department")));
    assert_eq!(keys(&query).await, ["id", "schemas", ENTERPRISE]);
    assert!(
        !keys("excludedAttributes=emails,title").await.iter().any(|key| key == "emails" || key == "title")
    );
}

#[tokio::test]
async fn the_workspaces_rules_refuse_what_they_must() {
    let sim = start().await;
    let world = sim.world();
    let id = create(&sim, &ann()).await["id"].as_str().unwrap().to_owned();
    world.set_seat_limit(Some(1));
    let full = scim(&sim, "POST", "/Users", Some(&json!({"userName": "bob@acme.example"}))).await;
    assert_eq!(full.status, 403);
    world.edit_account(&id, |account| account.resource["active"] = json!(false));
    let full = scim(&sim, "POST", "/Users", Some(&json!({"userName": "bob@acme.example"}))).await;
    assert_eq!(full.status, 403, "a deactivated account keeps its seat");
    world.set_seat_limit(None);
    world.set_approved_domains(&["acme.example"]);
    let foreign = scim(&sim, "POST", "/Users", Some(&json!({"userName": "bob@other.example"}))).await;
    assert_eq!(foreign.status, 403);
    for mark in 0..2 {
        world.edit_account(&id, |account| {
            account.resource["active"] = json!(true);
            (account.owner, account.several_workspaces) = (mark == 0, mark == 1);
        });
        let answer = patch(&sim, &id, json!([{"op": "replace", "value": {"active": false}}])).await;
        assert_eq!(answer.status, 403);
        let title = patch(&sim, &id, json!([{"op": "replace", "value": {"title": "x"}}])).await;
        assert_eq!(title.status, 200, "other changes of the same person go through");
    }
    assert!(world.account("ann@acme.example").unwrap().active());
}

#[tokio::test]
async fn search_by_post_works_like_a_list() {
    let sim = start().await;
    create(&sim, &ann()).await;
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
                      "filter": "title eq \"Engineer\"", "attributes": ["userName"]});
    let found = scim(&sim, "POST", "/Users/.search", Some(&body)).await.json();
    assert_eq!(found["totalResults"], 1);
    assert_eq!(found["Resources"][0].get("title"), None);
}
