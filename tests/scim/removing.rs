//! Deactivation and deletion (observations 7, 8, 12, 15).

use rosterd::core::proof::PROOF_VALID_MILLIS;
use rosterd::http::Lane;
use rosterd::model::id::TargetId;
use rosterd::model::plan::Verb;
use rosterd::model::time::Millis;
use rosterd::scim::dialect::WriteStyle;
use rosterd::scim::target::{Acknowledgement, Observe, RefusalClass, WriteOutcome};
use rosterd::sim::{Cut, Effect, Fault, PatchHabit, Peer, Reply, ScimQuirks};
use serde_json::json;

use super::support::{ThroughTheDoor, applied, bare, proven, proven_at, refused};
use super::workspace::Workspace;

async fn workspace(habits: ScimQuirks) -> (Workspace, TargetId) {
    let workspace = Workspace::with(habits).await;
    let id = workspace.account(json!({"userName": "ann@acme.com", "nickName": "annie", "active": true,
        "name": {"givenName": "Ann"}}));
    (workspace, id)
}

async fn deactivate(workspace: &Workspace, id: &TargetId) -> WriteOutcome {
    workspace.provisioner.deactivate(proven(id, Verb::Deactivate)).await
}

async fn delete(workspace: &Workspace, id: &TargetId) -> WriteOutcome {
    workspace.provisioner.delete(proven(id, Verb::Delete)).await
}

fn methods(workspace: &Workspace) -> Vec<String> {
    workspace.requests().into_iter().map(|request| request.method).collect()
}

#[tokio::test]
async fn servers_8_a_deactivation_is_one_portable_request() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    let acknowledgement: Acknowledgement = applied(deactivate(&workspace, &id).await);
    assert_eq!(acknowledgement.account.unwrap().active(), Some(false));
    let requests = workspace.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].json(),
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "value": {"active": false}}]})
    );
}

#[tokio::test]
async fn servers_8_every_way_to_deactivate_is_found_and_remembered() {
    let cases = [
        (PatchHabit::Full, WriteStyle::PatchValue),
        (PatchHabit::OnlyWithPath, WriteStyle::PatchPath),
        (PatchHabit::OnlyWithoutPath, WriteStyle::PatchValue),
        (PatchHabit::Missing, WriteStyle::Put),
        (PatchHabit::NotImplemented, WriteStyle::Put),
        (PatchHabit::Ignored, WriteStyle::Put),
    ];
    for (patch, expected) in cases {
        let (workspace, id) = workspace(ScimQuirks { patch, ..ScimQuirks::default() }).await;
        applied(deactivate(&workspace, &id).await);
        assert_eq!(workspace.stored(&id, "/active"), false, "{patch:?}");
        assert_eq!(workspace.stored(&id, "/nickName"), "annie", "{patch:?}: unowned");
        assert_eq!(workspace.target.profile().active, expected, "{patch:?}");
        let bob = workspace.account(json!({"userName": "bob@acme.com", "active": true}));
        workspace.forget();
        applied(deactivate(&workspace, &bob).await);
        assert_eq!(workspace.writes().len(), 1, "{patch:?}: {:?}", workspace.lines());
    }
}

#[tokio::test]
async fn a_deactivation_counts_when_it_is_seen() {
    let (workspace, id) =
        workspace(ScimQuirks { patch_without_content: true, ..ScimQuirks::default() }).await;
    applied(deactivate(&workspace, &id).await);
    assert_eq!(methods(&workspace), ["PATCH", "GET"]);
}

#[tokio::test]
async fn pains_79_a_deactivation_that_is_accepted_and_not_done_is_not_called_done() {
    let (workspace, id) = workspace(ScimQuirks { ignores_deactivation: true, ..ScimQuirks::default() }).await;
    let refusal = refused(deactivate(&workspace, &id).await);
    assert_eq!(refusal.class, RefusalClass::StillActive);
    assert!(refusal.detail.contains("still shows the account active"), "{refusal:?}");
    assert!(refusal.detail.contains("help: "), "{refusal:?}");
}

#[tokio::test]
async fn servers_8_a_server_that_never_shows_it_is_not_asked_in_every_way_each_time() {
    let (workspace, id) = workspace(ScimQuirks::onelogin_sample()).await;
    refused(deactivate(&workspace, &id).await);
    assert_eq!(workspace.stored(&id, "/active"), false);
    assert!(workspace.target.profile().deactivation_unshown);
    workspace.forget();
    assert_eq!(refused(deactivate(&workspace, &id).await).class, RefusalClass::StillActive);
    assert_eq!(methods(&workspace), ["GET", "PUT", "GET"]);
}

#[tokio::test]
async fn a_lost_reply_to_a_deactivation_is_settled_by_reading() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::Cut(Cut::LostReply)));
    applied(deactivate(&workspace, &id).await);
    assert_eq!(methods(&workspace), ["PATCH", "GET"]);

    let bob = workspace.account(json!({"userName": "bob@acme.com", "active": true}));
    workspace.sim.faults().clear();
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(504, "text/html", "late")));
    let outcome = deactivate(&workspace, &bob).await;
    assert!(matches!(outcome, WriteOutcome::Unknown { status: Some(504), .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_500_to_a_deactivation_that_did_not_happen_leads_to_another_way() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(500, "text/plain", "oops")));
    applied(deactivate(&workspace, &id).await);
    assert_eq!(workspace.stored(&id, "/active"), false);
}

#[tokio::test]
async fn an_account_that_is_gone_needs_no_deactivation_and_a_proxys_404_does_not_make_it_gone() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    let refusal = refused(deactivate(&workspace, &TargetId::new("nobody")).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::NotFound, 404));

    let page = Effect::answer(404, "text/html", "<html><title>Not Found</title></html>");
    workspace.fault(Fault::on(Peer::Scim).then(page));
    let refusal = refused(deactivate(&workspace, &id).await);
    assert_eq!(refusal.class, RefusalClass::Unreachable, "{refusal:?}");
    let refusal = refused(delete(&workspace, &id).await);
    assert_eq!(refusal.class, RefusalClass::Unreachable, "{refusal:?}");
}

#[tokio::test]
async fn servers_8_a_404_to_the_method_leads_to_another_way() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    let page = Effect::answer(404, "text/html", "<html><pre>Cannot PATCH /Users/1</pre></html>");
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(page));
    applied(deactivate(&workspace, &id).await);
    assert_eq!(workspace.target.profile().active, WriteStyle::Put);
    assert_eq!(workspace.stored(&id, "/active"), false);
}

#[tokio::test]
async fn servers_7_a_deletion_may_be_answered_in_many_ways() {
    for (status, body) in [(200, "{}"), (202, ""), (204, "")] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        let (status_told, body_told) = (status, body.to_owned());
        let effect = Effect::edit(move |reply| {
            reply.status = status_told;
            reply.body = body_told.clone().into_bytes();
        });
        workspace.fault(Fault::on(Peer::Scim).method("DELETE").then(effect));
        assert_eq!(applied(delete(&workspace, &id).await).status, status);
    }
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    assert_eq!(applied(delete(&workspace, &id).await).status, 204);
    // Whether another account stands in its place is asked by whoever sent this.
    let refusal = refused(delete(&workspace, &id).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::NotFound, 404), "already gone");
    workspace.fault(Fault::on(Peer::Scim).method("DELETE").then(Effect::answer(
        500,
        "text/plain",
        "unknown id",
    )));
    let refusal = refused(delete(&workspace, &id).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::NotFound, 500), "an id that is not there");
    let bob = workspace.account(json!({"userName": "bob@acme.com", "active": true}));
    let refusal = refused(delete(&workspace, &bob).await);
    assert_eq!(refusal.class, RefusalClass::Server);
    assert!(refusal.detail.contains("still there"), "{refusal:?}");
}

#[tokio::test]
async fn servers_7_a_server_without_delete_is_told_apart() {
    let (workspace, id) = workspace(ScimQuirks::okta_sample()).await;
    let refusal = refused(delete(&workspace, &id).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::NotOffered, 405));
    assert!(refusal.detail.contains("help: "), "{refusal:?}");
}

#[tokio::test]
async fn servers_7_what_a_server_kept_after_deletion_is_found_and_activated_again() {
    let (workspace, id) = workspace(ScimQuirks::django_scim2_server()).await;
    applied(deactivate(&workspace, &id).await);
    applied(delete(&workspace, &id).await);
    let refusal = refused(workspace.provisioner.create(&bare("ann@acme.com")).await);
    assert_eq!(refusal.class, RefusalClass::Conflict);
    let returned = applied(workspace.provisioner.update(&id, &[], true).await);
    assert_eq!(returned.account.unwrap().active(), Some(true));
}

#[tokio::test]
async fn servers_15_a_deletion_has_no_body_and_no_content_type() {
    let (workspace, id) = workspace(ScimQuirks { picky_delete: true, ..ScimQuirks::default() }).await;
    applied(delete(&workspace, &id).await);
    let request = workspace.sim.writes().pop().unwrap();
    assert!(request.body.is_empty() && !request.headers.contains_key("content-type"), "{request:?}");
}

#[tokio::test]
async fn credentials_that_are_refused_end_the_attempt() {
    for status in [401, 403] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
            status,
            "text/plain",
            "no",
        )));
        let expected = if status == 401 { RefusalClass::Credentials } else { RefusalClass::Forbidden };
        let refusal = refused(deactivate(&workspace, &id).await);
        assert_eq!(refusal.class, expected);
        let help = "help: the token is unknown or expired, make a new one";
        assert_eq!(refusal.detail.contains(help), status == 401, "{refusal:?}");
        // Refused credentials would refuse the look as well; after any other 4xx one GET decides.
        let expected: &[&str] = if status == 401 { &["PATCH"] } else { &["PATCH", "GET"] };
        assert_eq!(methods(&workspace), expected);
    }
}

#[tokio::test]
async fn after_any_refusal_of_a_deactivation_one_look_decides_whether_it_is_there_already() {
    for status in [400, 403, 404, 409, 412, 422, 423] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        workspace.sim.world().edit_account(id.as_str(), |account| {
            account.resource.insert("active".to_owned(), json!(false));
        });
        workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
            status,
            "text/plain",
            "no",
        )));
        let acknowledgement = applied(deactivate(&workspace, &id).await);
        assert!(acknowledgement.seen, "{status}");
        assert_eq!(methods(&workspace), ["PATCH", "GET"], "{status}");
    }
}

#[tokio::test]
async fn a_refused_deactivation_of_somebody_who_is_still_active_stays_refused() {
    for status in [403, 409] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
            status,
            "text/plain",
            "no",
        )));
        let refusal = refused(deactivate(&workspace, &id).await);
        assert_eq!(refusal.status, status);
        assert_eq!(methods(&workspace), ["PATCH", "GET"], "{status}");
    }
}

#[tokio::test]
async fn a_deactivation_at_a_target_that_shows_no_active_is_sent_and_not_seen() {
    for patch in [PatchHabit::Full, PatchHabit::Missing] {
        let habits = ScimQuirks { active_hidden: true, patch, ..ScimQuirks::default() };
        let (workspace, id) = workspace(habits).await;
        let acknowledgement = applied(deactivate(&workspace, &id).await);
        assert!(!acknowledgement.seen, "{patch:?}");
        assert_eq!(workspace.stored(&id, "/active"), false, "{patch:?}");
        assert!(workspace.target.profile().deactivation_unshown);
        let bob = workspace.account(json!({"userName": "bob@acme.com", "active": true}));
        workspace.forget();
        assert!(!applied(deactivate(&workspace, &bob).await).seen);
        assert_eq!(workspace.writes().len(), 1, "not in every way again: {:?}", workspace.lines());
    }
}

#[tokio::test]
async fn what_was_accepted_and_not_seen_outweighs_a_way_that_is_not_there() {
    let habits = ScimQuirks { active_hidden: true, without_put: true, ..ScimQuirks::default() };
    let (workspace, id) = workspace(habits).await;
    assert!(!applied(deactivate(&workspace, &id).await).seen);
    assert_eq!(workspace.stored(&id, "/active"), false);
}

#[tokio::test]
async fn one_account_that_stays_active_does_not_teach_a_worse_way_for_the_others() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    applied(deactivate(&workspace, &id).await);
    let profile = workspace.target.profile();
    let owner = workspace.account(json!({"userName": "owner@acme.com", "active": true}));
    let stays = Effect::edit(|reply| reply.edit_json(|body| body["active"] = json!(true)));
    workspace.fault(Fault::on(Peer::Scim).path(owner.as_str()).then(stays));
    assert_eq!(refused(deactivate(&workspace, &owner).await).class, RefusalClass::StillActive);
    assert_eq!(workspace.target.profile(), profile);
    assert_eq!(workspace.writes().len(), 4, "every way was tried for that one: {:?}", workspace.lines());
}

#[tokio::test]
async fn zero_and_false_in_letters_show_that_a_deactivation_took() {
    for shown in [json!(0), json!("false"), json!("False")] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        let told = shown.clone();
        workspace.fault(Fault::on(Peer::Scim).then(Effect::edit(move |reply| {
            let told = told.clone();
            reply.edit_json(move |body| body["active"] = told);
        })));
        assert!(applied(deactivate(&workspace, &id).await).seen, "{shown}");
        assert_eq!(methods(&workspace), ["PATCH"], "{shown}");
    }
}

#[tokio::test]
async fn a_deletion_that_is_not_offered_is_told_from_one_that_failed() {
    let page = "<html><pre>Cannot DELETE /Users/1</pre></html>";
    for (status, body) in [(405, ""), (501, "not implemented"), (404, page)] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        workspace.fault(Fault::on(Peer::Scim).method("DELETE").then(Effect::answer(
            status,
            "text/html",
            body,
        )));
        assert_eq!(refused(delete(&workspace, &id).await).class, RefusalClass::NotOffered, "{status}");
        // And the same proof carries the deactivation.
        applied(deactivate(&workspace, &id).await);
    }
}

#[tokio::test]
async fn a_removal_that_waits_for_the_rate_limit_beyond_its_proof_is_not_sent() {
    for verb in [Verb::Deactivate, Verb::Delete] {
        let (workspace, id) = workspace(ScimQuirks::default()).await;
        let limited = || {
            let reply = Reply::empty(429).with("retry-after", "150");
            Fault::on(Peer::Scim).nth(1).then(Effect::Answer(reply))
        };
        workspace.fault(limited());
        let proof = proven(&id, verb);
        let provisioner = &workspace.provisioner;
        let refusal = refused(match verb {
            Verb::Delete => provisioner.delete(proof).await,
            _ => provisioner.deactivate(proof).await,
        });
        assert_eq!((refusal.class, refusal.status), (RefusalClass::Expired, 0), "{refusal:?}");
        assert!(
            refusal.detail.starts_with("the proof's time was over before it could be sent"),
            "{refusal:?}"
        );
        assert_eq!(workspace.stored(&id, "/active"), true);
        assert_eq!(workspace.requests().len(), 1);
        let opens_in = workspace.target.opens_in(Lane::Removal).as_secs();
        assert!((140..=150).contains(&opens_in), "{opens_in}");
    }
}

#[tokio::test]
async fn every_further_way_of_a_deactivation_obeys_the_proofs_end() {
    let habits = ScimQuirks { patch: PatchHabit::Missing, ..ScimQuirks::default() };
    let (workspace, id) = workspace(habits).await;
    // The PATCH is refused for good, and the look before the PUT meets the limit.
    let reply = Reply::empty(429).with("retry-after", "150");
    workspace.fault(Fault::on(Peer::Scim).method("GET").then(Effect::Answer(reply)));
    let refusal = refused(deactivate(&workspace, &id).await);
    assert_eq!(refusal.class, RefusalClass::Expired, "{refusal:?}");
    assert_eq!(workspace.stored(&id, "/active"), true);
    assert_eq!(methods(&workspace), ["PATCH", "GET"]);
}

#[tokio::test]
async fn a_proof_whose_time_is_over_sends_nothing() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    for at in [-PROOF_VALID_MILLIS, 3_600_000] {
        // Too old, or taken before our clock was set back.
        let proof = proven_at(&id, Verb::Deactivate, Millis(Millis::now().0 + at));
        assert_eq!(refused(workspace.provisioner.deactivate(proof).await).class, RefusalClass::Expired);
        let proof = proven_at(&id, Verb::Delete, Millis(Millis::now().0 + at));
        assert_eq!(refused(workspace.provisioner.delete(proof).await).class, RefusalClass::Expired);
    }
    assert!(workspace.requests().is_empty());
}

#[tokio::test]
async fn the_workspace_is_a_witness_of_our_clock() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    assert!(workspace.target.clock_witness().is_none(), "nothing was heard yet");
    workspace.target.get(&id, Lane::General).await.unwrap();
    let witness = workspace.target.clock_witness().unwrap();
    assert!(witness.offset_millis.abs() < 1_000, "{witness:?}");
    workspace.target.forget_clock_witness();
    let date = Effect::edit(|reply| {
        reply.headers.push(("date".to_owned(), "Tue, 14 Nov 2023 22:13:20 GMT".to_owned()));
    });
    workspace.fault(Fault::on(Peer::Scim).then(date));
    applied(deactivate(&workspace, &id).await);
    let witness = workspace.target.clock_witness().unwrap();
    assert!(witness.offset_millis < -300_000, "a write is a witness as well: {witness:?}");
}

#[tokio::test]
async fn a_refusal_is_told_without_waiting_for_the_look_behind_the_rate_limit() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    workspace.fault(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(403, "text/plain", "no")));
    let reply = Reply::empty(429).with("retry-after", "150");
    workspace.fault(Fault::on(Peer::Scim).method("GET").then(Effect::Answer(reply)));
    assert_eq!(refused(deactivate(&workspace, &id).await).class, RefusalClass::Forbidden);
}

#[tokio::test]
async fn a_place_is_had_when_the_gate_opens_and_the_removal_then_goes() {
    let (workspace, id) = workspace(ScimQuirks::default()).await;
    let reply = Reply::empty(429).with("retry-after", "1");
    workspace.fault(Fault::on(Peer::Scim).nth(1).then(Effect::Answer(reply)));
    let begun = std::time::Instant::now();
    // Whatever met the limit.
    workspace.target.get(&id, Lane::General).await.unwrap();
    let place = workspace.target.place(Lane::Removal).await.unwrap();
    assert!(place.is_some() && begun.elapsed().as_millis() >= 1_000);
    applied(deactivate(&workspace, &id).await);
    drop(place);
}
