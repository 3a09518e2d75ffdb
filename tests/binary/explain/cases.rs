//! One person after the other, each with the answer that an administrator looks for.

use super::{VENDORS, fate, fresh, line, offline, tells};
use crate::support::{Stage, line_of};
use rosterd::sim::{Effect, Fault, Peer, scim_error};
use serde_json::{Value, json};

const DEPARTMENT: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";

fn vendor(stage: &Stage) -> &'static str {
    if stage.is_onelogin() { "OneLogin" } else { "Okta" }
}

/// An account that somebody made by hand.
fn by_hand(stage: &Stage, login: &str) -> String {
    stage.sim.world().add_account(&json!({
        "userName": login, "name": {"givenName": "By", "familyName": "Hand"}, "active": true,
        "emails": [{"value": login, "primary": true}]
    }))
}

/// A real run, and somebody's line in it, which is what is explained from stored data afterwards.
#[track_caller]
fn told(stage: &Stage, user: &str) -> Value {
    let report = stage.run(&["--reconcile-now", "--format", "json"]).sync();
    let line = line_of(&report, user);
    let person = offline(stage, user);
    assert_eq!(person["action"], line, "offline is what the last run said");
    person
}

#[test]
fn healthy_and_unchanged() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire("Ann", "Engineer");
        stage.reconcile();
        for person in [fresh(&stage, "ann@acme.example"), offline(&stage, "ann@acme.example")] {
            tells(&person, "has an active account: nothing differs", &["nothing"]);
            assert_eq!((&person["action"], &person["failing"]), (&json!(null), &json!(null)));
            assert_eq!((fate(&person, "title"), &person["link"]["state"]), (json!("kept"), &json!("active")));
            assert_eq!(person["attempts"][0]["action"], "create");
        }
    }
}

#[test]
fn not_assigned_and_an_account_by_hand_has_the_same_login() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire("Ben", "Engineer");
        stage.sim.world().hire("ann@acme.example", |person| {
            person.first_name = Some("Ann".to_owned());
            person.last_name = Some("Example".to_owned());
        });
        let account = by_hand(&stage, "ann@acme.example");
        stage.reconcile();
        let person = fresh(&stage, "ann@acme.example");
        let answer = format!("has no account: not assigned to the app in {}", vendor(&stage));
        tells(&person, &answer, &["assign this person to the app", "by a group that has it"]);
        assert_eq!(person["assignment"]["value"], "not assigned");
        let found = &person["matches"][0];
        assert_eq!((&found["target_id"], &found["accepted"]), (&json!(account), &json!(false)));
        assert!(found["why"].as_str().unwrap().contains("nobody manages it"), "{found}");
        assert_eq!(fate(&person, "userName"), "not_sent");
    }
}

#[test]
fn suspended_and_removed_or_kept() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        let ann = stage.hire("Ann", "Engineer");
        stage.hire_all(&["Ben", "Cleo"]);
        stage.reconcile();
        stage.sim.world().suspend(ann);
        let person = fresh(&stage, "ann@acme.example");
        tells(
            &person,
            "suspended at the source; the next run sends the deactivate",
            &["the next run does it"],
        );
        assert_eq!(person["lifecycle"]["value"], "suspended");
        stage.configure("lifecycle.on_suspended = \"keep\"");
        let person = fresh(&stage, "ann@acme.example");
        tells(&person, "has an active account: suspended at the source; kept", &["end the suspension"]);
        assert_eq!(line(&told(&stage, "ann@acme.example")), ("suspended", "skip", "skipped"));
    }
}

#[test]
fn out_of_scope_with_the_rule_and_what_its_names_hold() {
    for login in VENDORS {
        let stage = Stage::with(login, "scope.filter = \"user.title != 'Bot' and user.department != 'X'\"");
        stage.hire_all(&["Ben", "Cleo"]);
        stage.hire("Ann", "Bot");
        let told = told(&stage, "ann@acme.example");
        let fresh = fresh(&stage, "ann@acme.example");
        for person in [&told, &fresh] {
            tells(person, "has no account: out of scope by scope.filter", &["user.title != 'Bot'"]);
        }
        let scope = &fresh["scope"];
        assert_eq!((&scope["value"], &scope["names"]["user.title"]), (&json!("out"), &json!("Bot")));
        assert_eq!(scope["names"]["user.department"], json!(null));
    }
}

#[test]
fn several_accounts_match() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        by_hand(&stage, "ann@acme.example");
        by_hand(&stage, "ann@acme.example");
        stage.hire("Ann", "Engineer");
        let person = fresh(&stage, "ann@acme.example");
        tells(&person, "has no account: 2 accounts match", &["leave one of the matching accounts"]);
        assert_eq!(person["matches"].as_array().unwrap().len(), 2);
        assert_eq!(line(&told(&stage, "ann@acme.example")), ("ambiguous", "block", "skipped"));
    }
}

#[test]
fn an_account_by_hand_is_taken_over_and_each_attribute_says_what_becomes_of_it() {
    for login in VENDORS {
        let stage = Stage::with(login, &format!("[sync.attributes]\n\"{DEPARTMENT}\" = \"off\""));
        let account = by_hand(&stage, "ann@acme.example");
        stage.hire("Ann", "Engineer");
        let person = fresh(&stage, "ann@acme.example");
        tells(&person, "an account with this userName exists already; the next run sends the adopt", &[]);
        let found = &person["matches"][0];
        assert_eq!((&found["target_id"], &found["accepted"]), (&json!(account), &json!(true)));
        let fates = ["userName", "name.givenName", "phoneNumbers[primary eq true].value"];
        assert_eq!(fates.map(|path| fate(&person, path)), [json!("kept"), json!("sent"), json!("omitted")]);
        assert_eq!(fate(&person, DEPARTMENT), "dropped");
    }
}

#[test]
fn protected() {
    for login in VENDORS {
        let stage = Stage::with(login, "guard.protected = [\"ann@acme.example\"]");
        stage.hire("Ann", "Engineer");
        stage.hire("Ben", "Engineer");
        let told = told(&stage, "ann@acme.example");
        for person in [told, fresh(&stage, "ann@acme.example")] {
            tells(
                &person,
                "has no account: protected by guard.protected",
                &["take it out of guard.protected"],
            );
            assert_eq!(person["guards"]["protected"], "protected by guard.protected");
        }
    }
}

#[test]
fn held_with_the_commands_that_decide() {
    for login in VENDORS {
        let stage = Stage::with(login, "guard.approval = [\"deactivate\"]");
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        stage.reconcile();
        stage.sim.world().unassign(people[0]);
        let person = fresh(&stage, "ann@acme.example");
        assert_eq!(line(&person), ("leaver", "deactivate", "held"));
        tells(&person, "the deactivate waits", &["a run that writes opens a hold"]);
        let told = told(&stage, "ann@acme.example");
        for person in [told, fresh(&stage, "ann@acme.example")] {
            tells(
                &person,
                "the deactivate waits",
                &["`rosterd approve h1@1` releases", "`rosterd reject h1`"],
            );
            assert_eq!(person["guards"]["holds"][0]["id"], "h1");
        }
        stage.run(&["reject", "h1"]).exits(0);
        let person = fresh(&stage, "ann@acme.example");
        tells(&person, "rejected by", &["forget --lift"]);
    }
}

#[test]
fn failing_with_the_targets_words() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire("Ann", "Engineer");
        let refusal = Effect::Answer(scim_error(400, Some("invalidValue"), "no <b>such</b> \u{1b}[31mluck"));
        stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(refusal));
        stage.run(&["--reconcile-now"]).exits(3);
        for person in [offline(&stage, "ann@acme.example"), fresh(&stage, "ann@acme.example")] {
            tells(
                &person,
                "has no account",
                &["mend what the target says", "luck", "--reconcile-now --user"],
            );
            assert_eq!(person["failing"]["failures"], 1);
            assert_eq!(person["attempts"][0]["outcome"], "refused");
        }
        for words in [&["explain", "ann@acme.example"][..], &["explain", "ann@acme.example", "--offline"]] {
            let ran = stage.run(words).exits(0);
            assert!(!ran.stdout.contains('\u{1b}') && ran.stdout.contains("luck"), "{}", ran.stdout);
        }
    }
}

#[test]
fn without_a_login_or_outside_the_domains() {
    let stage = Stage::with(VENDORS[0], "[sync.attributes]\nuserName = \"profile.employeeLogin\"");
    stage.hire("Ann", "Engineer");
    let person = fresh(&stage, "ann@acme.example");
    tells(&person, "blocked: no userName", &["map userName from something else"]);
    assert_eq!(fate(&person, "userName"), "failed");
    for login in VENDORS {
        let stage = Stage::with(login, "scope.domains = [\"other.example\"]");
        stage.hire("Ann", "Engineer");
        let told = told(&stage, "ann@acme.example");
        for person in [told, fresh(&stage, "ann@acme.example")] {
            tells(&person, "ann@acme.example is outside scope.domains", &["add its domain to scope.domains"]);
        }
    }
}

#[test]
fn a_leaver_who_is_kept() {
    for login in VENDORS {
        let stage = Stage::with(login, "lifecycle.on_unassigned = \"keep\"");
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        stage.reconcile();
        stage.sim.world().unassign(people[0]);
        let told = told(&stage, "ann@acme.example");
        for person in [told, fresh(&stage, "ann@acme.example")] {
            assert_eq!(line(&person).0, "leaver");
            let kept = "has an active account: left; kept by lifecycle.on_unassigned";
            tells(&person, kept, &["change the [sync.lifecycle] rule"]);
        }
    }
}

#[test]
fn somebody_who_left_and_is_gone_from_the_source() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        stage.reconcile();
        stage.sim.world().delete(people[0]);
        stage.reconcile();
        for person in [offline(&stage, "ann@acme.example"), fresh(&stage, "ann@acme.example")] {
            tells(&person, "this person left, and rosterd deactivated it on", &["to give access back"]);
        }
    }
}

#[test]
fn pinned_paused_and_not_activated() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        stage.reconcile();
        stage.run(&["forget", "ann@acme.example", "--yes"]).exits(0);
        let told = told(&stage, "ann@acme.example");
        for person in [told, fresh(&stage, "ann@acme.example")] {
            tells(&person, "has no account: forgotten by", &["forget --lift"]);
        }
        stage.run(&["pause"]).exits(0);
        stage.sim.world().edit(people[1], |person| person.title = Some("Manager".to_owned()));
        let person = fresh(&stage, "ben@acme.example");
        tells(&person, "the update is switched off: paused", &["`rosterd resume`"]);
        assert_eq!((fate(&person, "title"), &person["guards"]["paused"]), (json!("waits"), &json!(true)));
        stage.run(&["resume"]).exits(0);
        let dan = stage.hire("Dan", "Engineer");
        stage.sim.world().stage(dan);
        let person = fresh(&stage, "dan@acme.example");
        tells(&person, &format!("not activated in {} yet", vendor(&stage)), &["lifecycle.on_pending"]);
    }
}
