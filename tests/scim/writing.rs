//! Creates and updates (observations 5, 6, 9 to 12, 15).

use rosterd::config::Dialect;
use rosterd::http::Lane;
use rosterd::model::attributes::{AttributePath, Scalar};
use rosterd::scim::dialect::{Profile, WriteStyle};
use rosterd::scim::target::{Criterion, Observe, RefusalClass, WriteOutcome};
use rosterd::sim::{
    Cut, DuplicateHabit, Effect, ErrorForm, Fault, PatchHabit, Peer, ScimQuirks, UnknownHabit,
};
use serde_json::json;

use super::support::{
    EMAIL, PHONE, ThroughTheDoor, applied, bare, change, department, desired, path, refused, target_at, text,
};
use super::workspace::Workspace;

fn names(paths: &[(AttributePath, String)]) -> Vec<&str> {
    paths.iter().map(|(path, _)| path.as_str()).collect()
}

#[tokio::test]
async fn servers_5_a_201_without_an_id_is_no_account() {
    let workspace =
        Workspace::with(ScimQuirks { create_without_id: true, ..ScimQuirks::scimgateway() }).await;
    let outcome = workspace.provisioner.create(&bare("ann@acme.com")).await;
    assert!(matches!(&outcome, WriteOutcome::Unknown { status: Some(201), attempts: 1, .. }), "{outcome:?}");
}

#[tokio::test]
async fn servers_5_an_empty_body_after_a_create_is_settled_by_reading() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let effect = Effect::edit(|reply| reply.body.clear());
    workspace.fault(Fault::on(Peer::Scim).method("POST").then(effect));
    let outcome = workspace.provisioner.create(&bare("ann@acme.com")).await;
    assert!(matches!(&outcome, WriteOutcome::Unknown { status: Some(201), .. }), "{outcome:?}");
}

#[tokio::test]
async fn servers_5_no_url_is_taken_from_an_answer() {
    let stranger = Workspace::with(ScimQuirks::default()).await;
    let habits = ScimQuirks {
        foreign_location: Some(stranger.sim.scim_url().to_owned()),
        patch: PatchHabit::Missing,
        ..ScimQuirks::default()
    };
    let workspace = Workspace::with(habits).await;
    let id = applied(workspace.provisioner.create(&desired("ann@acme.com")).await).account.unwrap().id;
    applied(workspace.provisioner.update(&id, &[change("title", None, Some("Lead"))], false).await);
    assert!(stranger.requests().is_empty(), "{:?}", stranger.lines());
}

#[tokio::test]
async fn servers_6_a_name_that_is_taken_is_a_conflict_whatever_the_status() {
    for (duplicates, errors) in [
        (DuplicateHabit::Conflict, ErrorForm::Scim),
        (DuplicateHabit::BareConflict, ErrorForm::Empty),
        (DuplicateHabit::Conflict, ErrorForm::NumberStatus),
        (DuplicateHabit::Conflict, ErrorForm::Html),
    ] {
        let workspace = Workspace::with(ScimQuirks { duplicates, errors, ..ScimQuirks::default() }).await;
        workspace.account(json!({"userName": "ann@acme.com"}));
        let refusal = refused(workspace.provisioner.create(&desired("ann@acme.com")).await);
        assert_eq!((refusal.class, refusal.attempts), (RefusalClass::Conflict, 1), "{duplicates:?}");
    }
    for (status, body) in [(500, "user already exists"), (400, "duplicate userName"), (422, "is taken")] {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        workspace.answer("POST", 1, status, body);
        let refusal = refused(workspace.provisioner.create(&desired("ann@acme.com")).await);
        assert_eq!(refusal.class, RefusalClass::Conflict, "{status} {body}");
        assert_eq!(workspace.writes().len(), 1);
    }
}

#[tokio::test]
async fn servers_6_a_create_in_doubt_is_never_sent_again() {
    let cuts = [Effect::Cut(Cut::LostReply), Effect::Cut(Cut::InBody(10))];
    let statuses = [500, 502, 503, 504, 408];
    let effects = cuts.into_iter().chain(statuses.map(|status| Effect::answer(status, "text/plain", "oops")));
    for effect in effects {
        let workspace = Workspace::with(ScimQuirks::onelogin_sample()).await;
        workspace.fault(Fault::on(Peer::Scim).method("POST").first(1).then(effect));
        let outcome = workspace.provisioner.create(&desired("ann@acme.com")).await;
        assert!(matches!(outcome, WriteOutcome::Unknown { attempts: 1, .. }), "{outcome:?}");
        assert_eq!(workspace.writes().len(), 1, "a server that accepts duplicates would hold two");
    }
}

#[tokio::test]
async fn servers_12_what_certainly_changed_nothing_is_a_refusal() {
    for (status, class) in [
        (401, RefusalClass::Credentials),
        (403, RefusalClass::Forbidden),
        (404, RefusalClass::NotFound),
        (405, RefusalClass::Server),
        (501, RefusalClass::Server),
        (307, RefusalClass::Unreachable),
    ] {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        workspace.answer("POST", 1, status, "no");
        let refusal = refused(workspace.provisioner.create(&desired("ann@acme.com")).await);
        assert_eq!((refusal.class, refusal.status), (class, status));
    }
    let nowhere = target_at("http://127.0.0.1:9/scim", "t0123456789", Dialect::Generic, Profile::default());
    let refusal = refused(nowhere.provisioner().create(&desired("ann@acme.com")).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::Unreachable, 0));
}

#[tokio::test]
async fn pains_81_one_odd_phone_number_costs_the_number_and_not_the_person() {
    let workspace = Workspace::with(ScimQuirks { strict_phone_numbers: true, ..ScimQuirks::default() }).await;
    let mut ann = desired("ann@acme.com");
    ann.set.insert(path(PHONE), Scalar::from("ask the front desk"));
    let created = applied(workspace.provisioner.create(&ann).await);
    assert_eq!((names(&created.refused), created.attempts), (vec![PHONE], 2));
    let account = created.account.unwrap();
    assert_eq!(text(&account, "title").as_deref(), Some("Engineer"));

    let changes = [change(PHONE, None, Some("still odd")), change("title", Some("Engineer"), Some("Lead"))];
    let updated = applied(workspace.provisioner.update(&account.id, &changes, false).await);
    assert_eq!(names(&updated.refused), [PHONE]);
    assert_eq!(workspace.stored(&account.id, "/title"), "Lead");
    assert!(workspace.target.profile().unknown.is_empty(), "an odd value is no trait of the target");
}

#[tokio::test]
async fn servers_11_attributes_that_a_strict_server_refuses_are_dropped_one_after_another() {
    let refuses = vec!["title".to_owned(), "phoneNumbers".to_owned(), department()];
    let workspace = Workspace::with(ScimQuirks { refuses, ..ScimQuirks::default() }).await;
    let created = applied(workspace.provisioner.create(&desired("ann@acme.com")).await);
    let mut refused = names(&created.refused);
    refused.sort_unstable();
    assert_eq!(refused, [PHONE, "title", department().as_str()]);
    assert_eq!(created.attempts, 4);
}

#[tokio::test]
async fn an_essential_attribute_is_never_dropped() {
    let refuses = vec!["userName".to_owned()];
    let workspace = Workspace::with(ScimQuirks { refuses, ..ScimQuirks::default() }).await;
    let refusal = refused(workspace.provisioner.create(&desired("ann@acme.com")).await);
    assert_eq!((refusal.class, refusal.attempts), (RefusalClass::Invalid, 1), "{refusal:?}");
    assert!(refusal.attributes.is_empty());
}

#[tokio::test]
async fn a_refusal_that_names_nothing_is_narrowed_down_attribute_by_attribute() {
    let habits =
        ScimQuirks { refuses: vec!["title".to_owned()], errors: ErrorForm::Empty, ..ScimQuirks::default() };
    let workspace = Workspace::with(habits).await;
    let created = applied(workspace.provisioner.create(&desired("ann@acme.com")).await);
    assert_eq!(names(&created.refused), ["title"]);
    let account = created.account.unwrap();
    for at in ["name.givenName", "name.familyName", PHONE, EMAIL, department().as_str()] {
        assert!(text(&account, at).is_some(), "{at}: {account:?}");
    }
    let changes = [
        change("title", None, Some("Lead")),
        change(PHONE, Some("+15550100200"), Some("+15550100201")),
        change("userName", Some("ann@acme.com"), Some("ann.lee@acme.com")),
    ];
    let updated = applied(workspace.provisioner.update(&account.id, &changes, false).await);
    assert_eq!(names(&updated.refused), ["title"]);
    let account = updated.account.unwrap();
    assert_eq!(account.user_name(), Some("ann.lee@acme.com"));
    assert_eq!(text(&account, PHONE).as_deref(), Some("+15550100201"));
}

#[tokio::test]
async fn a_refusal_that_names_nothing_and_stays_is_the_persons() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.fault(Fault::on(Peer::Scim).method("POST").then(Effect::answer(
        400,
        "text/plain",
        "Bad Request",
    )));
    let refusal = refused(workspace.provisioner.create(&desired("ann@acme.com")).await);
    assert_eq!(
        (refusal.class, refusal.detail.as_str(), refusal.attempts),
        (RefusalClass::Invalid, "Bad Request", 2)
    );
}

#[tokio::test]
async fn pains_80_a_server_that_takes_no_active_in_a_create_gets_none() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.answer("POST", 1, 400, r#"{"detail": "attribute active is not allowed here"}"#);
    for attempts in [2, 1] {
        let login = format!("p{attempts}@acme.com");
        let created = applied(workspace.provisioner.create(&bare(&login)).await);
        assert_eq!((created.attempts, created.account.unwrap().active()), (attempts, Some(true)));
    }
    let last: serde_json::Value = workspace.sim.writes().last().unwrap().json();
    assert_eq!(last.get("active"), None);
}

#[tokio::test]
async fn servers_9_an_update_arrives_in_every_style_that_a_server_may_need() {
    let cases = [
        (PatchHabit::Full, false, WriteStyle::PatchPath),
        (PatchHabit::Full, true, WriteStyle::PatchPath),
        (PatchHabit::Missing, false, WriteStyle::Put),
        (PatchHabit::NotImplemented, false, WriteStyle::Put),
        (PatchHabit::OnlyWithPath, false, WriteStyle::PatchPath),
        (PatchHabit::OnlyWithoutPath, false, WriteStyle::Put),
        (PatchHabit::NoValueFilter, false, WriteStyle::PatchPath),
        (PatchHabit::Ignored, false, WriteStyle::Put),
        (PatchHabit::Ignored, true, WriteStyle::Put),
    ];
    for (patch, patch_without_content, expected) in cases {
        let workspace =
            Workspace::with(ScimQuirks { patch, patch_without_content, ..ScimQuirks::default() }).await;
        let id = workspace.account(json!({
            "userName": "ann@acme.com", "active": false, "nickName": "annie", "title": "Engineer",
            "name": {"givenName": "Ann", "familyName": "Lee"},
            "emails": [{"value": "h@home.example", "type": "home"},
                       {"value": "ann@acme.com", "type": "work", "primary": true}]}));
        let changes = [
            change("name.familyName", Some("Lee"), Some("Smith")),
            change("title", Some("Engineer"), None),
            change(EMAIL, Some("ann@acme.com"), Some("ann.smith@acme.com")),
            change(PHONE, None, Some("+15550100200")),
            change(&department(), None, Some("Sales")),
        ];
        let updated = applied(workspace.provisioner.update(&id, &changes, true).await);
        let account = workspace.target.get(&id, Lane::General).await.unwrap().unwrap();
        assert_eq!(updated.account.as_ref(), Some(&account), "{patch:?}");
        for change in &changes {
            assert_eq!(account.value(&change.path), change.to, "{patch:?} {}", change.path);
        }
        assert_eq!(account.active(), Some(true), "{patch:?}");
        assert_eq!(text(&account, "nickName").as_deref(), Some("annie"), "{patch:?}: unowned");
        assert_eq!(text(&account, "name.givenName").as_deref(), Some("Ann"), "{patch:?}: unowned");
        assert_eq!(account.emails(), ["h@home.example", "ann.smith@acme.com"], "{patch:?}");
        assert_eq!(workspace.target.profile().attributes, expected, "{patch:?}");
        workspace.forget();
        let again = [change("title", None, Some("Lead"))];
        applied(workspace.provisioner.update(&id, &again, false).await);
        let writes = workspace.writes();
        assert_eq!(writes.len(), 1, "{patch:?}: what was learned is used: {writes:?}");
    }
}

#[tokio::test]
async fn a_server_with_put_gone_again_is_patched() {
    let workspace = Workspace::with(ScimQuirks { without_put: true, ..ScimQuirks::default() }).await;
    let id = workspace.account(json!({"userName": "ann@acme.com", "active": true}));
    let profile = Profile { attributes: WriteStyle::Put, ..Profile::default() };
    let target = workspace.target.clone().with_profile(profile);
    let changes = [change("title", None, Some("Lead"))];
    applied(target.provisioner().update(&id, &changes, false).await);
    assert_eq!(workspace.stored(&id, "/title"), "Lead");
    assert_eq!(target.profile().attributes, WriteStyle::PatchPath);
}

#[tokio::test]
async fn servers_10_a_put_without_a_name_would_kill_the_server() {
    let workspace = Workspace::with(ScimQuirks::onelogin_sample()).await;
    let id = workspace.account(json!({"userName": "ann@acme.com", "nickName": "annie", "active": true}));
    applied(workspace.provisioner.update(&id, &[change("title", None, Some("Lead"))], false).await);
    assert_eq!(workspace.stored(&id, "/title"), "Lead");
    assert_eq!(workspace.stored(&id, "/nickName"), "annie");
    let put = workspace.sim.writes().into_iter().find(|request| request.method == "PUT").unwrap().json();
    assert!(put["name"].is_object() && put["active"].is_boolean(), "{put}");
}

#[tokio::test]
async fn servers_11_a_value_that_is_dropped_silently_is_shown_by_the_account_that_comes_back() {
    let drops = vec!["title".to_owned()];
    let workspace = Workspace::with(ScimQuirks { drops, ..ScimQuirks::default() }).await;
    let created = applied(workspace.provisioner.create(&desired("ann@acme.com")).await).account.unwrap();
    assert_eq!(text(&created, "title"), None);
    let changes =
        [change("title", None, Some("Lead")), change("name.familyName", Some("Lee"), Some("Smith"))];
    workspace.forget();
    let updated = applied(workspace.provisioner.update(&created.id, &changes, false).await);
    assert_eq!(text(&updated.account.unwrap(), "title"), None);
    assert_eq!(
        workspace.writes().iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>(),
        ["PATCH", "PUT"]
    );
    assert_eq!(workspace.target.profile().attributes, WriteStyle::PatchPath, "PUT was no better");
    workspace.forget();
    let back = [change("title", None, Some("Chef")), change("name.familyName", Some("Smith"), Some("Lee"))];
    applied(workspace.provisioner.update(&created.id, &back, false).await);
    assert_eq!(workspace.writes().len(), 1, "the other way is not tried again for it");
}

#[tokio::test]
async fn servers_11_null_is_never_given_back() {
    let workspace = Workspace::with(ScimQuirks {
        patch: PatchHabit::Missing,
        refuses_null: true,
        unknown: UnknownHabit::Stored,
        ..ScimQuirks::default()
    })
    .await;
    let id = workspace.account(json!({"userName": "ann@acme.com", "locale": null, "active": true,
        "emails": [{"value": "a@acme.com", "display": null, "primary": true}]}));
    applied(workspace.provisioner.update(&id, &[change("title", None, Some("Lead"))], false).await);
    assert_eq!(workspace.stored(&id, "/title"), "Lead");
}

#[tokio::test]
async fn servers_12_a_failed_patch_is_read_back_before_anything_else_is_sent() {
    for acted in [true, false] {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        let id = workspace.account(json!({"userName": "ann@acme.com", "active": true}));
        let effect = if acted {
            Effect::edit(|reply| {
                reply.status = 500;
                reply.body = b"oops".to_vec();
            })
        } else {
            Effect::answer(500, "text/plain", "oops")
        };
        workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(effect));
        applied(workspace.provisioner.update(&id, &[change("title", None, Some("Lead"))], false).await);
        assert_eq!(workspace.stored(&id, "/title"), "Lead");
        let lines = workspace.lines();
        assert!(lines[0].starts_with("PATCH") && lines[1].starts_with("GET"), "{lines:?}");
        assert_eq!(lines.iter().any(|line| line.starts_with("PUT")), !acted, "{lines:?}");
        assert_eq!(workspace.target.profile().attributes, WriteStyle::PatchPath, "one bad moment");
    }
}

#[tokio::test]
async fn an_update_in_doubt_is_left_to_the_reader() {
    for effect in [Effect::Cut(Cut::LostReply), Effect::answer(503, "text/plain", "busy")] {
        let workspace = Workspace::with(ScimQuirks::default()).await;
        let id = workspace.account(json!({"userName": "ann@acme.com", "active": true}));
        workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(effect));
        let outcome = workspace.provisioner.update(&id, &[change("title", None, Some("Lead"))], false).await;
        assert!(matches!(outcome, WriteOutcome::Unknown { .. }), "{outcome:?}");
        assert_eq!(workspace.writes().len(), 1);
    }
}

#[tokio::test]
async fn pains_73_an_activation_that_is_accepted_and_not_done_is_not_called_done() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let id = workspace.account(json!({"userName": "ann@acme.com", "active": false}));
    let world = workspace.sim.world().clone();
    let account = id.to_string();
    let effect = Effect::after(move |_| {
        world.edit_account(&account, |stored| {
            stored.resource.insert("active".to_owned(), json!(false));
        });
    });
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(effect.clone()));
    workspace.fault(Fault::on(Peer::Scim).method("PUT").then(effect));
    let no_body = Effect::edit(|reply| {
        reply.status = 204;
        reply.body.clear();
    });
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(no_body.clone()));
    workspace.fault(Fault::on(Peer::Scim).method("PUT").then(no_body));
    let refusal = refused(workspace.provisioner.update(&id, &[], true).await);
    assert_eq!(refusal.class, RefusalClass::Server);
    assert!(refusal.detail.contains("still shows the account inactive"), "{refusal:?}");
}

#[tokio::test]
async fn an_account_that_is_gone_is_told_as_gone() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let id = rosterd::model::id::TargetId::new("nobody");
    let changes = [change("title", None, Some("Lead"))];
    let refusal = refused(workspace.provisioner.update(&id, &changes, false).await);
    assert_eq!(refusal.class, RefusalClass::NotFound);
}

#[tokio::test]
async fn servers_15_a_server_that_closes_every_connection_is_no_trouble() {
    let workspace = Workspace::with(ScimQuirks { closes_connections: true, ..ScimQuirks::default() }).await;
    for number in 0..20 {
        let login = format!("p{number}@acme.com");
        let id = applied(workspace.provisioner.create(&desired(&login)).await).account.unwrap().id;
        applied(workspace.provisioner.update(&id, &[change("title", None, Some("Lead"))], false).await);
        let found = workspace.target.find(&Criterion::UserName(login)).await.unwrap();
        assert_eq!(found.accounts.len(), 1);
    }
}

#[tokio::test]
async fn an_error_that_hides_in_a_200_is_no_success() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    let body = json!({"schemas": [schema], "status": "409", "detail": "exists"}).to_string();
    workspace.answer("POST", 1, 200, &body);
    let refusal = refused(workspace.provisioner.create(&bare("ann@acme.com")).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::Conflict, 409));
}

#[tokio::test]
async fn a_200_with_somebody_else_is_not_taken_for_the_created_account() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.answer("POST", 1, 200, r#"{"id": "7", "userName": "owner@acme.com"}"#);
    let outcome = workspace.provisioner.create(&bare("ann@acme.com")).await;
    assert!(matches!(outcome, WriteOutcome::Unknown { status: Some(200), .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_knows_json_by_its_common_name_only_gets_it_so() {
    let workspace = Workspace::with(ScimQuirks::default()).await;
    workspace.answer("POST", 1, 415, "Unsupported Media Type");
    for (login, types) in [
        ("ann@acme.com", vec!["application/scim+json", "application/json"]),
        ("bob@acme.com", vec!["application/json"]),
    ] {
        applied(workspace.provisioner.create(&bare(login)).await);
        let requests = workspace.sim.writes();
        let sent: Vec<&str> =
            requests.iter().map(|request| request.headers["content-type"].as_str()).collect();
        assert_eq!(sent, types);
        workspace.forget();
    }
}
