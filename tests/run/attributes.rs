//! What of an account is ours, and what becomes of a value: ownership, missing values, user types, domains,
//! values that the workspace refuses, ignores or spells in its own way.

use std::time::Duration;

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, PatchHabit, Peer, Person, ScimQuirks, UnknownHabit, scim_error};
use serde_json::{Value, json};

use crate::support::Bench;

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Adds what the workspace's own people keep in an account.
fn furnish(bench: &Bench, name: &str) {
    let id = bench.account(name).id;
    bench.world().edit_account(&id, |account| {
        let resource = &mut account.resource;
        resource.insert("nickName".to_owned(), json!("The Boss"));
        resource.insert("locale".to_owned(), json!("de-DE"));
        resource.insert("roles".to_owned(), json!([{"value": "admin", "primary": true}]));
        resource.insert("addresses".to_owned(), json!([{"type": "home", "locality": "Ulm"}]));
        for (list, value) in [("emails", "private@home.example"), ("phoneNumbers", "+49731")] {
            if let Some(elements) = resource.get_mut(list).and_then(Value::as_array_mut) {
                elements.push(json!({"value": value, "type": "home"}));
            }
        }
        if let Some(name) = resource.get_mut("name").and_then(Value::as_object_mut) {
            name.insert("honorificPrefix".to_owned(), json!("Dr."));
        }
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        if let Some(extension) = resource.get_mut(enterprise).and_then(Value::as_object_mut) {
            extension.insert("costCenter".to_owned(), json!("4711"));
        }
    });
}

#[tokio::test]
async fn only_owned_attributes_are_written_in_whatever_way_the_workspace_takes_changes() {
    let ways = [
        PatchHabit::Full,
        PatchHabit::Missing,
        PatchHabit::NotImplemented,
        PatchHabit::OnlyWithPath,
        PatchHabit::OnlyWithoutPath,
        PatchHabit::NoValueFilter,
        PatchHabit::Ignored,
    ];
    for way in ways {
        for vendor in BOTH {
            let bench = Bench::new(vendor).await.habits(|habits| habits.patch = way);
            let [ann, _, _] = bench.staff(["ann", "ben", "cleo"]);
            bench.begin().await;
            furnish(&bench, "ann");
            let mut expected = bench.account("ann").resource;
            bench.world().edit(ann, |person| {
                person.title = Some("Lead".to_owned());
                person.last_name = Some("Bowman".to_owned());
                person.department = Some("Design".to_owned());
                person.primary_phone = Some("+15550199".to_owned());
            });
            bench.world().rename(ann, "anna@acme.example");
            bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
            expected["title"] = json!("Lead");
            expected["name"]["familyName"] = json!("Bowman");
            expected["userName"] = json!("anna@acme.example");
            expected["emails"][0]["value"] = json!("anna@acme.example");
            expected["phoneNumbers"][0]["value"] = json!("+15550199");
            expected["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"] =
                json!("Design");
            assert_eq!(
                Value::Object(bench.account("anna").resource),
                Value::Object(expected.clone()),
                "{way:?}"
            );
            bench.assert_quiet().await;
            bench.world().suspend(ann);
            bench.run().await.assert_line("anna", Verb::Deactivate, Outcome::Applied);
            expected["active"] = json!(false);
            assert_eq!(Value::Object(bench.account("anna").resource), Value::Object(expected), "{way:?}");
        }
    }
}

#[tokio::test]
async fn an_attribute_can_be_taken_out_of_our_hands() {
    let bench = Bench::okta().await.tables("[sync.attributes]\ntitle = \"off\"");
    let ann = bench.hire("ann");
    bench.begin().await;
    assert_eq!(bench.account("ann").at("/title"), Value::Null);
    bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    bench.assert_quiet().await;
}

#[tokio::test]
async fn an_attribute_can_be_made_from_an_expression() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(
            "[sync.attributes]\ndisplayName = \"user.givenName ~ ' ' ~ user.familyName\"\n\
             nickName = \"profile.nobodyHasThis\"",
        );
        let ann = bench.hire("ann");
        bench.begin().await;
        assert_eq!(bench.account("ann").at("/displayName"), json!("Ann Archer"));
        assert_eq!(
            bench.account("ann").at("/nickName"),
            Value::Null,
            "a missing name is missing, not an error"
        );
        bench.world().edit(ann, |person| person.last_name = Some("Bowman".to_owned()));
        bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").at("/displayName"), json!("Ann Bowman"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn what_the_source_lost_stays_at_the_workspace_unless_clearing_is_asked_for() {
    for vendor in BOTH {
        for empty in [None, Some(String::new()), Some("  ".to_owned())] {
            let bench = Bench::new(vendor).await;
            let ann = bench.hire("ann");
            bench.begin().await;
            bench.world().edit(ann, |person| person.title.clone_from(&empty));
            bench.assert_quiet().await;
            assert_eq!(bench.account("ann").at("/title"), json!("Engineer"));
            let bench = bench.tables(
                "[sync.attributes]\ntitle = { from = \"user.title\", on_missing = \"clear\" }\n\
                 \"phoneNumbers[primary eq true].value\" = { from = \"user.phone\", on_missing = \"clear\" }",
            );
            bench.world().edit(ann, |person| person.primary_phone = None);
            furnish(&bench, "ann");
            let ended = bench.run().await;
            ended.assert_line("ann", Verb::Update, Outcome::Applied);
            assert_eq!(
                ended.changes_of("ann"),
                ["phoneNumbers[primary eq true].value: +15550100 -> -", "title: Engineer -> -"]
            );
            let account = bench.account("ann");
            assert_eq!(account.at("/title"), Value::Null);
            assert!(account.at("/phoneNumbers").to_string().contains("+49731"), "the other number stays");
            assert!(!account.at("/phoneNumbers").to_string().contains("+15550100"));
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn oktas_app_profile_wins_over_the_user_profile() {
    let bench = Bench::okta().await;
    let ann = bench.hire_with("ann", |person| {
        person.app_username = Some("ann.app@acme.example".to_owned());
        person.app_profile.insert("title".to_owned(), json!("Chief"));
    });
    bench.begin().await;
    let account = bench.account("ann.app");
    assert_eq!(
        (account.at("/title"), account.at("/externalId")),
        (json!("Chief"), json!(bench.external_id(ann)))
    );
}

#[tokio::test]
async fn onelogins_user_name_is_the_login_only_where_it_is_an_address() {
    let bench = Bench::onelogin().await;
    bench.hire_with("ann", |person| person.login = "aarcher".to_owned());
    bench.hire_with("ben", |person| person.without_username = true);
    bench.hire_with("cleo", |person| person.email = "other@acme.example".to_owned());
    bench.begin().await;
    let names: Vec<_> =
        bench.world().accounts().iter().map(|account| account.user_name().to_owned()).collect();
    assert_eq!(names.len(), 3);
    for name in ["ann@acme.example", "ben@acme.example", "cleo@acme.example"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert_eq!(bench.account("cleo").at("/emails/0/value"), json!("other@acme.example"));
}

#[tokio::test]
async fn who_has_no_login_at_all_is_blocked_and_still_removed_when_leaving() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        let nameless = |person: &mut Person| {
            person.app_username = Some(String::new());
            person.extra_profile.insert("login".to_owned(), json!(""));
            person.extra_profile.insert("email".to_owned(), json!(""));
            person.app_profile.insert("email".to_owned(), json!(""));
            person.extra_onelogin.insert("username".to_owned(), Value::Null);
            person.extra_onelogin.insert("email".to_owned(), json!(""));
        };
        bench.world().edit(ann, nameless);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!((ended.facts.summary.blocked, ended.facts.summary.create), (1, 2), "{ended:?}");
        bench.world().edit(ben, nameless);
        let ended = bench.run().await;
        ended.assert_line("ben", Verb::Block, Outcome::Skipped);
        assert!(ended.words_of("ben").contains("no userName"), "{ended:?}");
        bench.world().suspend(ben);
        bench.run().await.assert_line("ben", Verb::Deactivate, Outcome::Applied);
    }
}

#[tokio::test]
async fn a_failing_expression_holds_that_person_back_and_nobody_else() {
    for vendor in BOTH {
        let bench = Bench::new(vendor)
            .await
            .tables("[sync.attributes]\nnickName = \"10 // (user.title | length - 4)\"");
        let ann = bench.staff(["ann", "ben"])[0];
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Block, Outcome::Skipped);
        assert!(ended.words_of("ann").contains("nickName"), "{ended:?}");
        ended.assert_line("ben", Verb::Create, Outcome::Applied);
    }
}

#[tokio::test]
async fn outside_the_approved_domains_nobody_is_created_and_who_moves_there_is_blocked() {
    for vendor in BOTH {
        let bench =
            Bench::new(vendor).await.tables("[sync.scope]\ndomains = [\"acme.example\", \"bücher.example\"]");
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.staff(["guest@other.example", "reader@xn--bcher-kva.example", "sub@mail.acme.example"]);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        for name in ["guest@other.example", "sub@mail.acme.example"] {
            ended.assert_line(name, Verb::Block, Outcome::Skipped);
            assert!(ended.words_of(name).contains("scope.domains"), "{ended:?}");
        }
        assert_eq!(ended.facts.summary.create, 4);
        let before = bench.accounts();
        bench.world().rename(ann, "ann@other.example");
        bench.sim.clear_requests();
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Block, Outcome::Skipped);
        assert_eq!((bench.writes(), bench.accounts()), (Vec::new(), before));
        bench.world().suspend(ann);
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.of("ann").situation, Situation::Suspended, "an odd address delays no removal");
    }
}

#[tokio::test]
async fn a_refused_attribute_is_left_out_and_tried_again_when_it_changes_or_after_seven_days() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.strict_phone_numbers = true);
        let ann = bench.hire_with("ann", |person| person.primary_phone = Some("ext. 12".to_owned()));
        bench.hire("ben");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Create, Outcome::Applied);
        assert!(ended.words_of("ann").contains("refused by the target: phoneNumbers"), "{ended:?}");
        assert_eq!(bench.account("ann").at("/phoneNumbers"), Value::Null);
        assert_eq!(bench.account("ann").at("/title"), json!("Engineer"));
        bench.assert_quiet().await;
        bench.pass(6 * DAY);
        bench.assert_quiet().await;
        // Another value is tried at once.
        bench.world().edit(ann, |person| person.primary_phone = Some("ext. 13".to_owned()));
        bench.sim.clear_requests();
        let ended = bench.run().await;
        assert!(!bench.writes().is_empty(), "it was tried: {ended:?}");
        assert_eq!((ended.code, ended.facts.summary.failed), (exit::OK, 0), "nobody failed: {ended:?}");
        assert!(ended.words_of("ann").contains("phoneNumbers"), "and it is told: {ended:?}");
        bench.assert_quiet().await;
        // The same value is tried again after seven days.
        bench.sim.scim(|habits| habits.strict_phone_numbers = false);
        bench.assert_quiet().await;
        bench.pass(7 * DAY);
        bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").at("/phoneNumbers/0/value"), json!("ext. 13"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_refused_clearing_rests_like_a_refused_value() {
    let clear = "[sync.attributes]\ntitle = { from = \"user.title\", on_missing = \"clear\" }";
    let bench = Bench::okta().await.tables(clear);
    let [ann, _] = bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.world().edit(ann, |person| person.title = None);
    let refusal = scim_error(400, Some("invalidValue"), "title is required");
    bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(Effect::Answer(refusal)));
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.failed), (exit::OK, 0), "{ended:?}");
    assert!(ended.words_of("ann").contains("title is required"), "{ended:?}");
    bench.assert_quiet().await;
    bench.sim.faults().clear();
    bench.pass(7 * DAY);
    bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
    assert_eq!(bench.account("ann").at("/title"), Value::Null);
}

#[tokio::test]
async fn an_adoption_of_which_every_value_is_refused_still_links() {
    let bench = Bench::okta().await;
    let ann = bench.hire("ann");
    bench.begin().await;
    std::fs::remove_dir_all(bench.directory.path().join("state")).unwrap();
    bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    bench.sim.scim(|habits| habits.refuses = vec!["title".to_owned()]);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Adopt, Outcome::Applied);
    assert!(ended.words_of("ann").contains("refused by the target: title"), "{ended:?}");
    assert!(bench.link(ann).await.is_some());
    bench.assert_quiet().await;
}

#[tokio::test]
async fn one_odd_value_does_not_keep_the_others_from_being_written() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.strict_phone_numbers = true);
        let ann = bench.hire("ann");
        bench.begin().await;
        bench.world().edit(ann, |person| {
            person.primary_phone = Some("call me".to_owned());
            person.title = Some("Lead".to_owned());
        });
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        let account = bench.account("ann");
        assert_eq!(
            (account.at("/title"), account.at("/phoneNumbers/0/value")),
            (json!("Lead"), json!("+15550100"))
        );
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_refused_login_or_address_is_that_persons_failure() {
    for refused in ["userName", "emails"] {
        let bench = Bench::okta().await;
        bench.staff(["ann", "ben"]);
        bench.sim.scim(|habits| habits.refuses = vec![refused.to_owned()]);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        assert_eq!(ended.facts.summary.failed, 2, "{ended:?}");
        assert!(bench.accounts().is_empty(), "no account without its {refused}");
    }
}

#[tokio::test]
async fn the_workspaces_own_spelling_is_no_difference() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.normalises = true);
        let ann = bench.hire_with("Ann.Archer@Acme.Example", |person| {
            person.primary_phone = Some("+1 (555) 010-0123".to_owned());
        });
        bench.begin().await;
        let account = bench.account("ann.archer");
        assert_eq!(account.user_name(), "ann.archer@acme.example");
        assert_eq!(account.at("/phoneNumbers/0/value"), json!("15550100123"));
        bench.assert_quiet().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        assert_eq!(ended.changes_of("ann.archer"), ["title: Engineer -> Lead"], "only what changed");
        bench.assert_quiet().await;
        bench.world().edit(ann, |person| person.primary_phone = Some("+1 (555) 010-0199".to_owned()));
        bench.run().await.assert_line("ann.archer", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann.archer").at("/phoneNumbers/0/value"), json!("15550100199"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn what_the_workspace_ignores_is_told_once_and_sent_again_only_when_it_changes() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.drops = vec!["title".to_owned()]);
        let ann = bench.hire("ann");
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Create, Outcome::Applied);
        assert!(ended.words_of("ann").contains("ignored by the target: title"), "{ended:?}");
        bench.assert_quiet().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert!(ended.words_of("ann").contains("ignored by the target: title"), "{ended:?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn the_whole_cycle_ends_right_at_every_known_server() {
    for (name, habits) in ScimQuirks::presets() {
        for vendor in BOTH {
            let mut habits = habits.clone();
            habits.requests_per_minute = None;
            let unshown = habits.active_never_false;
            let bench = Bench::new(vendor).await.habits(|own| {
                let token = own.token.clone();
                *own = ScimQuirks { token, ..habits };
            });
            let bench = if name == "wrike" { bench.target("dialect = \"wrike\"") } else { bench };
            let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
            bench.begin().await;
            assert_eq!(bench.accounts().len(), 4, "{name}");
            bench.assert_quiet().await;
            bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
            bench.world().rename(ben, "benjamin@acme.example");
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_eq!(ended.facts.summary.update, 2, "{name}: {ended:?}");
            assert_eq!(bench.account("ann").at("/title"), json!("Lead"), "{name}");
            bench.assert_quiet().await;
            bench.world().unassign(ann);
            let ended = bench.run().await;
            assert!(!bench.is_active("ann"), "{name}: {ended:?}");
            // A server that never shows it leaves the deactivation unconfirmed, and that is said.
            let expected = if unshown { Outcome::Failed } else { Outcome::Applied };
            assert_eq!(ended.of("ann").outcome, expected, "{name}: {ended:?}");
            if unshown {
                continue;
            }
            bench.assert_quiet().await;
            bench.world().assign(ann);
            bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
            assert!(bench.is_active("ann"), "{name}");
            bench.assert_quiet().await;
            assert_eq!(bench.accounts().len(), 4, "{name}");
        }
    }
}

#[tokio::test]
async fn a_strict_workspace_loses_only_the_attributes_it_does_not_know() {
    let urn = "urn:acme:params:scim:schemas:extension:badge:2.0:User";
    let bench = Bench::okta()
        .await
        .tables(&format!("[sync.attributes]\n\"{urn}:badge\" = \"user.id\""))
        .habits(|habits| habits.unknown = UnknownHabit::Refused);
    bench.staff(["ann", "ben", "cleo"]);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!(ended.facts.summary.create, 3, "{ended:?}");
    assert!(ended.words_of("ann").contains("badge"), "{ended:?}");
    assert_eq!(bench.account("ann").at("/title"), json!("Engineer"));
    bench.assert_quiet().await;
}
