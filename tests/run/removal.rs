//! Absence is a question: what must be proven before anybody is removed, and what stops every removal of a run.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, PatchHabit, Peer, PersonId, Reply, Visibility, html_page, okta_error};
use serde_json::json;

use crate::support::Bench;

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

fn peer(vendor: Vendor) -> Peer {
    match vendor {
        Vendor::Okta => Peer::Okta,
        Vendor::OneLogin => Peer::OneLogin,
    }
}

/// Requests of a point read of this person.
fn point_reads(bench: &Bench, person: PersonId) -> Fault {
    let part = format!("/users/{}", bench.source_id(person));
    Fault::on(peer(bench.vendor)).method("GET").path(&part)
}

/// The question for this person's assignment.
fn assignment_of(bench: &Bench, person: PersonId) -> Fault {
    match bench.vendor {
        Vendor::Okta => point_reads(bench, person).path("/apps/"),
        Vendor::OneLogin => point_reads(bench, person).path("/apps"),
    }
}

#[tokio::test]
async fn who_is_missing_from_a_short_list_but_assigned_is_not_removed_and_the_report_says_so() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().show(ann, Visibility::LeftOutOfLists);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
        assert!(ended.words_of("ann").contains("assigned"), "{ended:?}");
        assert!(ended.problems().contains("list was short"), "{ended:?}");
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_removal_is_proven_right_before_it_is_sent() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().unassign(ben);
        bench.sim.clear_requests();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        let all = bench.sim.all_requests();
        for person in [ann, ben] {
            let part = format!("/users/{}", bench.source_id(person));
            let proof =
                all.iter().rposition(|request| request.peer != Peer::Scim && request.path.contains(&part));
            let account = bench.link(person).await.unwrap().target_id;
            let write = all
                .iter()
                .position(|request| request.method == "PATCH" && request.path.ends_with(account.as_str()));
            assert!(proof.is_some() && proof < write, "{vendor:?}: {proof:?} {write:?}");
        }
        let hidden =
            all.iter().filter(|request| request.path.ends_with("/apps") && request.peer == Peer::OneLogin);
        assert!(hidden.into_iter().all(|request| request.query("ignore_visibility") == Some("true")));
    }
}

#[tokio::test]
async fn an_app_that_is_hidden_from_the_portal_is_still_an_assignment() {
    let bench = Bench::onelogin().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().edit_app(|app| app.visible = false);
    bench.world().hide(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
    assert!(bench.is_active("ann"));
}

#[tokio::test]
async fn who_is_assigned_again_between_list_and_proof_is_not_removed() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        let proof = point_reads(&bench, ann).nth(1).then(Effect::before(move |world| world.assign(ann)));
        let number = bench.sim.faults().add(proof);
        let ended = bench.run().await;
        assert_eq!(bench.sim.faults().fired(number), 1);
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_proof_that_proves_nothing_defers_that_removal_and_no_other() {
    // What the person's point read answers, and words of the report.
    let silent_404 = || Effect::Answer(Reply::json(404, &json!({"message": "no route"})));
    let cases: Vec<(&str, Effect, &str)> = vec![
        ("a proxy's 404", html_page(404), "404"),
        ("a 404 in nobody's words", silent_404(), "404"),
        ("a lasting 500", html_page(500), "500"),
        ("a 403", Effect::Answer(okta_error(403, "E0000006", "no permission")), "403"),
        ("a body cut off", Effect::edit(|reply| reply.body.truncate(9)), "cut off"),
        ("no JSON", Effect::answer(200, "text/html", "<html>please log in</html>"), "web page"),
        (
            "somebody else",
            Effect::edit(|reply| reply.edit_json(|body| body["id"] = json!(1))),
            "somebody else",
        ),
    ];
    for vendor in BOTH {
        for (name, effect, words) in &cases {
            let bench = Bench::new(vendor).await;
            let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
            bench.begin().await;
            bench.world().unassign(ann);
            bench.world().unassign(ben);
            let id = bench.source_id(ann).to_string();
            let first = Fault::on(peer(vendor))
                .when(move |path, _| path.ends_with(&format!("/users/{id}")) && !path.contains("/apps/"));
            bench.sim.faults().add(first.then(effect.clone()));
            let ended = bench.run().await;
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
            assert!(ended.words_of("ann").contains(words), "{vendor:?} {name}: {ended:?}");
            ended.assert_line("ben", Verb::Deactivate, Outcome::Applied);
            assert!(bench.is_active("ann") && !bench.is_active("ben"), "{vendor:?} {name}");
        }
    }
}

#[tokio::test]
async fn the_answer_about_the_assignment_must_be_the_vendors_own_too() {
    let cases: Vec<(&str, Effect)> = vec![
        ("a proxy's 404", html_page(404)),
        ("a lasting 503", html_page(503)),
        ("a 403", Effect::Answer(okta_error(403, "E0000006", "no permission"))),
        ("a body cut off", Effect::edit(|reply| reply.body.truncate(5))),
        ("another list", Effect::Answer(Reply::json(200, &json!({"error": false})))),
    ];
    for vendor in BOTH {
        for (name, effect) in &cases {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben", "cleo"])[0];
            bench.begin().await;
            bench.world().unassign(ann);
            let number = bench.sim.faults().add(assignment_of(&bench, ann).then(effect.clone()));
            let ended = bench.run().await;
            assert!(bench.sim.faults().fired(number) > 0);
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
            assert_eq!(bench.writes(), Vec::<String>::new(), "{vendor:?} {name}");
        }
    }
}

#[tokio::test]
async fn that_the_app_is_gone_says_nothing_about_a_person() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    let summary = format!("Not found: Resource not found: {} (AppInstance)", bench.sim.okta_app_id());
    let gone = Effect::Answer(okta_error(404, "E0000007", &summary));
    bench.sim.faults().add(assignment_of(&bench, ann).then(gone));
    let ended = bench.run().await;
    ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
    assert!(ended.words_of("ann").contains("the app itself"), "{ended:?}");
}

#[tokio::test]
async fn where_somebody_listed_is_not_found_assigned_no_removal_is_sent() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo, dan] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.hire("eve");
        // Point reads find nobody assigned, whoever is asked for.
        let eve = bench.world().find("eve@acme.example").unwrap();
        for person in [ben, cleo, dan, eve] {
            let nobody = match vendor {
                Vendor::Okta => {
                    Effect::Answer(okta_error(404, "E0000007", "Not found: Resource not found: x (AppUser)"))
                }
                Vendor::OneLogin => Effect::Answer(Reply::json(200, &json!([]))),
            };
            bench.sim.faults().add(assignment_of(&bench, person).then(nobody));
        }
        for dry in [true, false] {
            let ended = if dry { bench.dry().await } else { bench.run().await };
            assert_eq!(ended.facts.result, RunResult::Partial);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
            assert!(ended.words_of("ann").contains("contradicts itself"), "{ended:?}");
        }
        assert!(bench.is_active("ann") && bench.is_active("eve"), "everything else goes on");
    }
}

#[tokio::test]
async fn up_to_three_people_are_tried_as_positive_control() {
    for (broken, works) in [(2, true), (3, false)] {
        let bench = Bench::okta().await;
        let [ann, ben, cleo, dan, _] = bench.staff(["ann", "ben", "cleo", "dan", "eve"]);
        bench.begin().await;
        bench.world().unassign(ann);
        for person in [ben, cleo, dan].into_iter().take(broken) {
            let id = bench.source_id(person).to_string();
            let user = Fault::on(Peer::Okta).when(move |path, _| path.ends_with(&format!("/users/{id}")));
            bench.sim.faults().add(user.then(html_page(500)));
        }
        let ended = bench.run().await;
        let expected = if works { Outcome::Applied } else { Outcome::Deferred };
        ended.assert_line("ann", Verb::Deactivate, expected);
    }
}

#[tokio::test]
async fn a_list_with_nobody_is_not_believed_where_somebody_is_assigned_after_all() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        for person in bench.world().people() {
            bench.world().hide(person.key);
        }
        for dry in [true, false] {
            let ended = if dry { bench.dry().await } else { bench.run().await };
            ended.assert_end(exit::SOURCE, RunResult::SourceIncomplete);
            assert!(ended.problems().contains("lists nobody"), "{ended:?}");
        }
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_list_with_nobody_is_not_believed_where_nobody_can_be_read() {
    // A service app without an admin role: lists answer 200 with nobody, point reads are refused.
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    for person in bench.world().people() {
        bench.world().hide(person.key);
        let denied = okta_error(403, "E0000006", "You do not have permission");
        bench.sim.faults().add(point_reads(&bench, person.key).then(Effect::Answer(denied)));
    }
    let ended = bench.run().await;
    ended.assert_end(exit::SOURCE, RunResult::SourceIncomplete);
    assert!(ended.problems().contains("admin role"), "{ended:?}");
    assert_eq!(bench.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn where_really_everybody_left_the_removals_wait_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        people.iter().for_each(|person| bench.world().unassign(*person));
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        for name in ["ann", "ben", "cleo"] {
            ended.assert_line(name, Verb::Deactivate, Outcome::Held);
            assert!(ended.words_of(name).contains("everybody would go"), "{ended:?}");
        }
        assert_eq!(bench.writes(), Vec::<String>::new());
        assert_eq!(bench.dry().await.code, exit::OK);
    }
}

#[tokio::test]
async fn a_held_class_does_not_stop_the_others() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        people.iter().for_each(|person| bench.world().unassign(*person));
        bench.hire("dan");
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_eq!((ended.facts.summary.held, ended.facts.summary.create), (3, 1), "{ended:?}");
        assert_eq!(bench.writes(), ["POST dan@acme.example"]);
    }
}

#[tokio::test]
async fn what_was_removed_in_the_last_hour_counts_for_everybody_would_go() {
    let bench = Bench::okta().await;
    let [ann, ben] = bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await.assert_end(exit::OK, RunResult::Ok);
    bench.world().unassign(ben);
    let ended = bench.run().await;
    ended.assert_end(exit::HELD, RunResult::Held);
    ended.assert_line("ben", Verb::Deactivate, Outcome::Held);
    assert!(ended.words_of("ben").contains("everybody would go"), "{ended:?}");
    assert!(bench.is_active("ben"));
}

#[tokio::test]
async fn the_only_member_goes_only_with_approval_because_nobody_is_left_to_compare_with() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.hire("ann");
        bench.begin().await;
        bench.world().unassign(ann);
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Held);
        assert!(ended.words_of("ann").contains("nobody else"), "{ended:?}");
        assert!(bench.is_active("ann"));
    }
}

#[tokio::test]
async fn a_name_in_the_filter_that_nobody_has_holds_every_removal() {
    for vendor in BOTH {
        let name = if vendor == Vendor::Okta { "profile.badge" } else { "custom.badge" };
        let bench = Bench::new(vendor)
            .await
            .tables(&format!("[sync.scope]\nfilter = \"{name} == 'staff' or user.title == 'Boss'\""));
        let badge = |bench: &Bench, person: PersonId, value: Option<&str>| {
            bench.world().edit(person, |person| {
                person.extra_profile.remove("badge");
                person.custom_attributes.remove("badge");
                if let Some(value) = value {
                    person.extra_profile.insert("badge".to_owned(), json!(value));
                    person.custom_attributes.insert("badge".to_owned(), json!(value));
                }
            });
        };
        let people = bench.staff(["ann", "ben", "cleo", "dan"]);
        people.iter().for_each(|person| badge(&bench, *person, Some("staff")));
        bench.world().edit(people[3], |person| person.title = Some("Boss".to_owned()));
        bench.begin().await;
        people.iter().for_each(|person| badge(&bench, *person, None));
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_eq!(ended.facts.summary.held, 3, "{ended:?}");
        assert!(ended.words_of("ann").contains(name), "{ended:?}");
        assert_eq!(bench.writes(), Vec::<String>::new());
        // With the name back for one person, the filter means what it says.
        badge(&bench, people[0], Some("staff"));
        badge(&bench, people[1], Some("guest"));
        badge(&bench, people[2], Some("staff"));
        let ended = bench.run().await;
        // As many as the hold had would still be too many, so the one who is left of it does not go by itself.
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_eq!(ended.lines(), ["deactivate ben@acme.example held"]);
        assert!(!ended.words_of("ben").contains("nobody has"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_deactivation_counts_when_it_is_seen() {
    let bench = Bench::okta().await.habits(|habits| habits.patch_without_content = true);
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    let lines: Vec<_> = bench.sim.requests(Peer::Scim).iter().map(|request| request.method.clone()).collect();
    let (heartbeat, rest) = lines.split_last().unwrap();
    // Before the first write the workspace is asked the time.
    assert_eq!(rest, ["GET", "PATCH", "GET"], "one look after a reply that shows nothing");
    assert_eq!(heartbeat, "GET");
}

#[tokio::test]
async fn a_deactivation_that_did_not_take_is_a_failure_whatever_the_reply() {
    for without_content in [false, true] {
        let bench = Bench::okta().await.habits(|habits| {
            habits.ignores_deactivation = true;
            habits.patch_without_content = without_content;
        });
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Failed);
        assert!(ended.words_of("ann").contains("still shows the account active"), "{ended:?}");
        bench.sim.scim(|habits| habits.ignores_deactivation = false);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    }
}

#[tokio::test]
async fn a_server_that_ignores_patch_is_deactivated_by_put() {
    let bench = Bench::okta().await.habits(|habits| habits.patch = PatchHabit::Ignored);
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert!(!bench.is_active("ann"));
}

#[tokio::test]
async fn a_dry_run_takes_the_proof_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().hide(ben);
        let ended = bench.dry().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Planned);
        ended.assert_line("ben", Verb::Deactivate, Outcome::Deferred);
        assert!(ended.problems().contains("list was short"));
    }
}
