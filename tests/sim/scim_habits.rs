//! The SCIM side with the habits of real servers.

use crate::{Answer, encoded, scim, start};
use rosterd::sim::{
    DuplicateHabit, ErrorForm, FilterHabit, PagingHabit, PatchHabit, ScimQuirks, Sim, SimOptions,
    UnknownHabit,
};
use serde_json::{Value, json};
use std::time::Duration;

async fn with(habits: ScimQuirks) -> Sim {
    Sim::start(SimOptions { scim: habits, ..SimOptions::default() }).await.unwrap()
}

async fn create(sim: &Sim, name: &str) -> Answer {
    scim(sim, "POST", "/Users", Some(&json!({"userName": name, "name": {"givenName": "A"}, "active": true})))
        .await
}

async fn find(sim: &Sim, filter: &str) -> usize {
    let answer = scim(sim, "GET", &format!("/Users?filter={}", encoded(filter)), None).await;
    answer.json()["Resources"].as_array().unwrap().len()
}

fn patch_body(operation: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]})
}

/// Sends one PATCH operation to the account of this name.
async fn patch(sim: &Sim, name: &str, operation: Value) -> Answer {
    let id = sim.world().account(name).unwrap().id;
    scim(sim, "PATCH", &format!("/Users/{}", encoded(&id)), Some(&patch_body(operation))).await
}

#[tokio::test]
async fn filters_have_their_habits() {
    let sim = start().await;
    create(&sim, "ann@acme.example").await;
    create(&sim, "bob@acme.example").await;
    let eq_upper = r#"userName eq "ANN@acme.example""#;
    let set = |habit| sim.scim(|habits| habits.filter = habit);
    set(FilterHabit::CaseSensitive);
    assert_eq!(find(&sim, eq_upper).await, 0);
    assert_eq!(find(&sim, r#"userName eq "ann@acme.example""#).await, 1);
    set(FilterHabit::Ignored);
    assert_eq!(find(&sim, r#"userName eq "nobody""#).await, 2);
    set(FilterHabit::UserNameOnly);
    assert_eq!(find(&sim, r#"userName eq "nobody""#).await, 0);
    assert_eq!(find(&sim, r#"externalId eq "nobody""#).await, 2);
    set(FilterHabit::EmailOnly);
    assert_eq!(find(&sim, eq_upper).await, 1);
    let refused =
        scim(&sim, "GET", &format!("/Users?filter={}", encoded(r#"externalId eq "x""#)), None).await;
    assert_eq!(refused.status, 400);
    set(FilterHabit::NoEscapes);
    let escaped = encoded(r#"userName eq "a\"b""#);
    assert_eq!(scim(&sim, "GET", &format!("/Users?filter={escaped}"), None).await.status, 400);
    set(FilterHabit::Full);
    sim.scim(|habits| habits.inactive_invisible = true);
    patch(&sim, "ann@acme.example", json!({"op": "replace", "value": {"active": false}})).await;
    assert_eq!(find(&sim, eq_upper).await, 0);
    assert_eq!(create(&sim, "ann@acme.example").await.status, 409, "exists, but is not visible");
    sim.scim(|habits| habits.nobody_is_404 = true);
    let nobody = scim(&sim, "GET", &format!("/Users?filter={}", encoded(eq_upper)), None).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn paging_has_its_habits() {
    let sim = start().await;
    for number in 0..5 {
        create(&sim, &format!("p{number}@acme.example")).await;
    }
    let page = async |habit: PagingHabit, query: &str| {
        sim.scim(|habits| habits.paging = habit);
        scim(&sim, "GET", &format!("/Users{query}"), None).await
    };
    let rows = |answer: &Answer| answer.json()["Resources"].as_array().unwrap().len();
    let beyond = page(PagingHabit::FirstPageBeyondEnd, "?startIndex=6&count=2").await;
    assert_eq!((rows(&beyond), &beyond.json()["startIndex"]), (2, &json!(1)));
    let ignored = page(PagingHabit::Ignored, "?startIndex=3&count=2").await;
    assert_eq!((rows(&ignored), ignored.json().get("itemsPerPage")), (5, None));
    let total = page(PagingHabit::TotalIsPageSize, "?startIndex=1&count=2").await;
    assert_eq!((&total.json()["totalResults"], &total.json()["startIndex"]), (&json!(2), &json!(0)));
    assert_eq!(page(PagingHabit::CountFails, "?count=2").await.status, 500);
    assert_eq!(rows(&page(PagingHabit::CountFails, "").await), 5);
    assert_eq!(rows(&page(PagingHabit::OnlyWhenAsked, "").await), 0);
    assert_eq!(rows(&page(PagingHabit::OnlyWhenAsked, "?startIndex=1&count=3").await), 3);
    sim.scim(|habits| habits.default_page = Some(2));
    assert_eq!(rows(&page(PagingHabit::Full, "").await), 2);
}

#[tokio::test]
async fn duplicates_have_their_habits() {
    for (habit, again, other_case) in [
        (DuplicateHabit::Conflict, 409, 409),
        (DuplicateHabit::BareConflict, 409, 409),
        (DuplicateHabit::Accepted, 201, 201),
        (DuplicateHabit::CaseSensitive, 409, 201),
        (DuplicateHabit::ServerError, 500, 500),
    ] {
        let sim = with(ScimQuirks { duplicates: habit, ..ScimQuirks::default() }).await;
        create(&sim, "ann@acme.example").await;
        let repeated = create(&sim, "ann@acme.example").await;
        assert_eq!(repeated.status, again, "{habit:?}");
        assert_eq!(create(&sim, "ANN@acme.example").await.status, other_case, "{habit:?}");
        if habit == DuplicateHabit::BareConflict {
            assert_eq!(repeated.json().get("scimType"), None);
        }
    }
}

#[tokio::test]
async fn patch_has_its_habits() {
    let sim = start().await;
    let name = "ann@acme.example";
    create(&sim, name).await;
    let by_path = json!({"op": "replace", "path": "title", "value": "by path"});
    let by_value = json!({"op": "replace", "value": {"title": "by value"}});
    let by_filter = json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "x"});
    for (habit, operation, status) in [
        (PatchHabit::Missing, &by_path, 405),
        (PatchHabit::NotImplemented, &by_path, 501),
        (PatchHabit::OnlyWithPath, &by_value, 400),
        (PatchHabit::OnlyWithPath, &by_path, 200),
        (PatchHabit::OnlyWithoutPath, &by_path, 501),
        (PatchHabit::OnlyWithoutPath, &by_value, 200),
        (PatchHabit::NoValueFilter, &by_filter, 400),
    ] {
        sim.scim(|habits| habits.patch = habit);
        assert_eq!(patch(&sim, name, operation.clone()).await.status, status, "{habit:?} {operation}");
    }
    assert_eq!(sim.world().account(name).unwrap().at("/title"), "by value");
    sim.scim(|habits| habits.patch = PatchHabit::Ignored);
    let ignored = patch(&sim, name, by_path.clone()).await;
    assert_eq!((ignored.status, ignored.json()["title"].as_str()), (200, Some("by value")));
    sim.scim(|habits| (habits.patch, habits.patch_without_content) = (PatchHabit::Full, true));
    let silent = patch(&sim, name, by_path).await;
    assert_eq!((silent.status, silent.body.as_str()), (204, ""));
    assert_eq!(sim.world().account(name).unwrap().at("/title"), "by path");
}

#[tokio::test]
async fn attributes_are_dropped_refused_normalised_and_unknown_ones_treated_as_said() {
    let sim = start().await;
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    sim.scim(|habits| {
        habits.drops = vec!["title".to_owned(), "name.familyName".to_owned(), department.to_owned()];
        habits.refuses = vec!["nickName".to_owned()];
        habits.normalises = true;
    });
    let body = json!({"userName": "Ann@Acme.example", "title": "x", "name": {"givenName": "A", "familyName": "B"},
                      "phoneNumbers": [{"value": "+1 (555) 01"}], "madeUp": 1,
                      "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "x"}});
    let user = scim(&sim, "POST", "/Users", Some(&body)).await.json();
    assert_eq!(user["userName"], "ann@acme.example");
    assert_eq!(user["name"], json!({"givenName": "A"}));
    assert_eq!(user["phoneNumbers"], json!([{"value": "155501"}]));
    for gone in ["title", "madeUp", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] {
        assert_eq!(user.get(gone), None, "{gone}");
    }
    let name = "ann@acme.example";
    let refused = patch(&sim, name, json!({"op": "replace", "value": {"nickName": "x"}})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["detail"].as_str().unwrap().contains("nickName"));
    sim.scim(|habits| habits.unknown = UnknownHabit::Refused);
    let refused =
        scim(&sim, "POST", "/Users", Some(&json!({"userName": "b@acme.example", "madeUp": 1}))).await;
    assert!(refused.status == 400 && refused.body.contains("madeUp"), "{}", refused.body);
    let strange = json!({"schemas": ["urn:example:strange"], "userName": "b@acme.example"});
    assert_eq!(scim(&sim, "POST", "/Users", Some(&strange)).await.status, 400);
    sim.scim(|habits| (habits.strict_phone_numbers, habits.refuses_null) = (true, true));
    let phone = json!({"userName": "b@acme.example", "phoneNumbers": [{"value": "ext. 7"}]});
    assert!(scim(&sim, "POST", "/Users", Some(&phone)).await.body.contains("phoneNumbers"));
    let null = json!({"userName": "b@acme.example", "title": null});
    assert_eq!(scim(&sim, "POST", "/Users", Some(&null)).await.status, 400);
}

#[tokio::test]
async fn deactivation_and_deletion_have_their_habits() {
    let sim = start().await;
    let name = "ann@acme.example";
    create(&sim, name).await;
    let off = json!({"op": "replace", "value": {"active": false}});
    sim.scim(|habits| habits.ignores_deactivation = true);
    assert_eq!(patch(&sim, name, off.clone()).await.json()["active"], true);
    assert!(sim.world().account(name).unwrap().active());
    sim.scim(|habits| (habits.ignores_deactivation, habits.active_never_false) = (false, true));
    assert_eq!(patch(&sim, name, off).await.json()["active"], true);
    assert!(!sim.world().account(name).unwrap().active(), "stored, only not shown");
    let path = format!("/Users/{}", sim.world().account(name).unwrap().id);
    sim.scim(|habits| habits.without_delete = true);
    assert_eq!(scim(&sim, "DELETE", &path, None).await.status, 405);
    sim.scim(|habits| (habits.without_delete, habits.soft_delete) = (false, true));
    for _ in 0..2 {
        assert_eq!(scim(&sim, "DELETE", &path, None).await.status, 204);
    }
    assert_eq!(scim(&sim, "GET", &path, None).await.status, 200);
    assert_eq!(find(&sim, r#"userName eq "ann@acme.example""#).await, 1);
    assert_eq!(create(&sim, name).await.status, 409);
}

#[tokio::test]
async fn creation_and_locations_have_their_habits() {
    let sim = with(ScimQuirks { create_without_id: true, ..ScimQuirks::default() }).await;
    let created = create(&sim, "ann@acme.example").await;
    assert_eq!((created.status, created.json().get("id")), (201, None));
    assert!(created.header("location").unwrap().ends_with("/undefined"));
    assert_eq!(sim.world().accounts().len(), 1);
    let sim = with(ScimQuirks { vague_location: true, ..ScimQuirks::default() }).await;
    let created = create(&sim, "ann@acme.example").await;
    assert_eq!(created.header("location"), None);
    assert!(created.json()["meta"]["location"].as_str().unwrap().starts_with("/Users/"));
    let sim = with(ScimQuirks::onelogin_sample()).await;
    let created = create(&sim, "ann@acme.example").await;
    assert!(created.json()["meta"]["location"].as_str().unwrap().starts_with("https://example.com/"));
    let sim = with(ScimQuirks::scimgateway()).await;
    let created = create(&sim, "ann@acme.example").await;
    assert_eq!(created.json()["id"], "ann@acme.example");
    assert!(created.json()["meta"]["location"].as_str().unwrap().ends_with("/Users/ann%40acme.example"));
    assert_eq!(scim(&sim, "GET", "/Users/ann%40acme.example", None).await.status, 200);
}

#[tokio::test]
async fn put_without_a_name_kills_some_servers() {
    let sim = with(ScimQuirks::okta_sample()).await;
    create(&sim, "ann@acme.example").await;
    let path = format!("/Users/{}", sim.world().account("ann@acme.example").unwrap().id);
    assert_eq!(scim(&sim, "PUT", &path, Some(&json!({"userName": "ann@acme.example"}))).await.status, 500);
    let whole = json!({"userName": "ann@acme.example", "name": {"givenName": "A"}});
    assert_eq!(scim(&sim, "PUT", &path, Some(&whole)).await.status, 200);
    assert_eq!(scim(&sim, "GET", "/ServiceProviderConfig", None).await.status, 404);
}

#[tokio::test]
async fn errors_come_in_the_chosen_form() {
    let sim = start().await;
    let missing = async |form: ErrorForm| {
        sim.scim(|habits| habits.errors = form);
        let answer = scim(&sim, "GET", "/Users/nobody", None).await;
        assert_eq!(answer.status, 404);
        answer
    };
    assert_eq!(missing(ErrorForm::Scim).await.json()["status"], "404");
    assert_eq!(missing(ErrorForm::NumberStatus).await.json()["status"], 404);
    assert_eq!(missing(ErrorForm::Wrike).await.json()["error"], "resource_not_found");
    assert_eq!(missing(ErrorForm::PlainText).await.header("content-type"), Some("text/plain"));
    assert!(missing(ErrorForm::Html).await.body.starts_with("<html>"));
    assert_eq!(missing(ErrorForm::Empty).await.body, "");
}

#[tokio::test]
async fn the_wrike_preset_limits_and_refuses_as_its_pages_say() {
    let sim =
        with(ScimQuirks { requests_per_minute: Some(3), tells_retry_after: true, ..ScimQuirks::wrike() })
            .await;
    assert_eq!(create(&sim, "not an address").await.json()["error"], "invalid_parameter");
    sim.world().set_seat_limit(Some(0));
    let full = create(&sim, "ann@acme.example").await;
    assert_eq!((full.status, full.json()["error"].as_str()), (403, Some("not_allowed")));
    scim(&sim, "GET", "/Users", None).await;
    let limited = scim(&sim, "GET", "/Users", None).await;
    assert_eq!((limited.status, limited.json()["error"].as_str()), (429, Some("too_many_requests")));
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    sim.world().advance(Duration::from_secs(wait));
    assert_eq!(scim(&sim, "GET", "/Users", None).await.status, 200);
    sim.scim(|habits| habits.wrong_data_centre = true);
    assert_eq!(scim(&sim, "GET", "/Users", None).await.status, 300);
}

#[tokio::test]
async fn every_preset_creates_finds_and_reads() {
    for (name, habits) in ScimQuirks::presets() {
        let sim = with(habits).await;
        assert_eq!(create(&sim, "ann@acme.example").await.status, 201, "{name}");
        assert_eq!(find(&sim, r#"userName eq "ann@acme.example""#).await, 1, "{name}");
        let id = sim.world().accounts()[0].id.clone();
        assert_eq!(scim(&sim, "GET", &format!("/Users/{}", encoded(&id)), None).await.status, 200, "{name}");
    }
}
