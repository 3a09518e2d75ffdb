//! Where there is nothing to explain, or nobody to ask.

use super::{VENDORS, offline};
use crate::support::{Access, Stage};
use rosterd::sim::{Effect, Fault, Peer, scim_error};
use serde_json::json;

#[test]
fn nobody_of_that_name_is_said_with_who_would_know_and_what_is_spelled_nearly_so() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire_all(&["Ann", "Ben"]);
        stage.reconcile();
        stage.sim.clear_requests();
        let ran = stage.run(&["explain", "anm@acme.example", "--offline"]).exits(1);
        assert_eq!(stage.sim.all_requests().len(), 0);
        ran.says(&[
            "nobody of that name is known",
            "the last complete read (run 1 at ",
            "did not list this person: not assigned to app",
            "spelled nearly so: ann@acme.example",
            "without --offline",
        ]);
        assert!(!ran.stdout.contains("ben@acme.example"), "{}", ran.stdout);
        let ran = stage.run(&["explain", "anm@acme.example", "--format", "json"]).exits(1);
        let document = ran.json();
        assert_eq!((&document["known"], &ran.sync()["people"]), (&json!(false), &json!([])));
        assert_eq!(ran.sync()["nobody"]["similar"], json!(["ann@acme.example"]));
        assert_eq!(stage.sim.writes().len(), 0);
    }
}

#[test]
fn an_account_by_hand_of_somebody_whom_the_source_does_not_know_is_named() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire("Ann", "Engineer");
        stage.reconcile();
        let account =
            stage.sim.world().add_account(&json!({"userName": "ghost@acme.example", "active": true}));
        for who in ["ghost@acme.example", &account] {
            let ran = stage.run(&["explain", who]).exits(1);
            let words = format!("at the target: {account} (ghost@acme.example), active: nobody manages it");
            ran.says(&["nobody of that name is known", &words]);
        }
    }
}

#[test]
fn without_any_state_both_answers_leave_no_trace() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire("Ann", "Engineer");
        stage
            .run(&["explain", "ann@acme.example", "--offline"])
            .exits(1)
            .says(&["no complete read of the app's people is on record yet"]);
        stage
            .run(&["explain", "ann@acme.example"])
            .exits(0)
            .says(&["assigned; the next run sends the create"]);
        assert!(!stage.home.state().exists());
    }
}

#[test]
fn a_source_that_does_not_answer_is_exit_5_and_a_workspace_that_does_not_is_exit_6() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        stage.hire("Ann", "Engineer");
        stage.reconcile();
        let peer = if stage.is_onelogin() { Peer::OneLogin } else { Peer::Okta };
        let refused = Effect::answer(401, "application/json", "{}");
        stage.sim.faults().add(Fault::on(peer).path("/users").then(refused));
        stage
            .run(&["explain", "ann@acme.example"])
            .exits(5)
            .complains(&["sync \"default\": ", "help: `rosterd explain WHO --offline` tells what is stored"]);
        assert_eq!(offline(&stage, "ann@acme.example")["answer"], "has an active account: nothing differs");
        stage.sim.faults().clear();
        stage.sim.faults().add(Fault::on(Peer::Scim).then(Effect::Answer(scim_error(
            401,
            None,
            "who are you",
        ))));
        stage
            .run(&["explain", "ann@acme.example"])
            .exits(6)
            .complains(&["sync \"default\": ", "help: `rosterd explain WHO --offline`"]);
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let stage = Stage::new();
    stage.run(&["explain"]).exits(64);
    stage.run(&["explain", " "]).exits(64).complains(&["nobody is asked for"]);
    stage.run(&["explain", "ann", "--offline", "--raw"]).exits(64);
    for format in ["markdown", "csv", "html"] {
        stage.run(&["explain", "ann", "--format", format]).exits(64).complains(&["text or json"]);
    }
    assert_eq!(stage.sim.all_requests().len(), 0);
}

#[test]
fn another_binding_is_refused_as_a_run_refuses_it() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let other = stage.sides().replace(&stage.sim.okta_app_id(), "0oaother");
    stage.home.configure(&format!("[[sync]]\n{other}\n"));
    stage.run(&["explain", "ann@acme.example"]).exits(78).complains(&["holds links of okta app"]);
}

#[test]
fn hostile_words_reach_neither_terminal_nor_json_raw() {
    let hostile = "Ann\u{1b}[31m\n<b>\u{202e}\"'&";
    let stage = Stage::with(Access::OktaToken, "scope.filter = \"user.title != 'x'\"");
    stage.sim.world().hire_assigned("ann@acme.example", |person| {
        person.first_name = Some(hostile.to_owned());
        person.last_name = Some("Example".to_owned());
        person.title = Some(hostile.to_owned());
    });
    for arguments in [&["--raw"][..], &["--format", "json"], &["--raw", "--format", "json"]] {
        let ran = stage.run(&[&["explain", "ann@acme.example"], arguments].concat()).exits(0);
        let steering =
            |character: char| character != '\n' && character.is_control() || character == '\u{202e}';
        assert!(!ran.stdout.contains(steering), "{}", ran.stdout);
        assert!(!ran.stdout.contains("\n<b>"), "{}", ran.stdout);
    }
    let ran = stage.run(&["explain", "\u{1b}[31m\u{202e}@acme.example", "--offline"]).exits(1);
    assert!(!ran.stdout.contains(['\u{1b}', '\u{202e}']), "{}", ran.stdout);
}
