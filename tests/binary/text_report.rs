//! The text report as people see it, and what must never reach their terminal.

use crate::support::{Access, Ran, Stage};
use insta::assert_snapshot;
use rosterd::sim::{Effect, Fault, Peer, Reply, scim_error};
use serde_json::json;

/// Standard output without what differs from run to run.
fn shown(stage: &Stage, ran: &Ran) -> String {
    stage.redact(&ran.stdout)
}

#[test]
fn a_first_dry_run_shows_everybody_with_every_value() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.sim.world().add_account(&json!({
        "userName": "Ben@ACME.example", "active": true, "title": "Apprentice", "name": {"givenName": "Ben"},
    }));
    let ran = stage.run(&["--dry-run"]).exits(0);
    assert_snapshot!(shown(&stage, &ran), @r#"
    dry run of sync "default": read 2 people in 1 page from Okta, complete

      = adopt       Ben@ACME.example  an account with this userName exists already
          emails[primary eq true].value: "ben@acme.example"
          externalId: "00u0m0ARBu0fpmiVkopY"
          name.familyName: "Example"
          title: "Apprentice" -> "Engineer"
      + create      ann@acme.example  assigned and has no account
          emails[primary eq true].value: "ann@acme.example"
          externalId: "00uPyp3m6VZytJwZ2gOG"
          name.familyName: "Example"
          name.givenName: "Ann"
          title: "Engineer"
          userName: "ann@acme.example"

    Plan: 1 to create, 1 to adopt, 0 unchanged.
    Seats: 0 billable before, 2 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    Note: there is no state yet: everybody is compared with the workspace as it is
    Nothing was written.
    "#);
}

#[test]
fn a_quiet_run_is_told_in_a_few_lines() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    let ran = stage.run(&["--reconcile-now"]).exits(0);
    assert_snapshot!(shown(&stage, &ran), @r#"
    run 2 of sync "default": read 2 people in 1 page from Okta, complete

    Done: nothing to do, 2 unchanged.
    Seats: 2 billable before, 2 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    "#);
}

#[test]
fn a_mixed_run_shows_leavers_first_and_each_change_from_old_to_new() {
    let stage = Stage::with(Access::OneLogin, "");
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve", "Ida", "Jon", "Kim"]);
    // One after the other, so that the lines have one order.
    let target = stage.target(", concurrency = 1");
    let scope = "scope = { domains = [\"acme.example\"] }";
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n{scope}\n", stage.source()));
    let world = stage.sim.world();
    stage.reconcile();
    world.unassign(people[3]);
    stage.reconcile();
    world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
    world.unassign(people[1]);
    world.suspend(people[2]);
    world.assign(people[3]);
    world.rename(people[4], "eva@acme.example");
    stage.hire("Fay", "Engineer");
    world.hire_assigned("gus@elsewhere.example", |_| {});
    let hal = stage.hire("Hal", "Engineer");
    world.stage(hal);
    let ran = stage.run(&["--reconcile-now"]).exits(0);
    assert_snapshot!(shown(&stage, &ran), @r#"
    run 3 of sync "default": read 10 people in 2 pages from OneLogin, complete

      - deactivated cleo@acme.example  suspended at the source
          active: true -> false
      - deactivated ben@acme.example  no longer assigned to the app
          active: true -> false
      ~ updated     ann@acme.example  title differs
          title: "Engineer" -> "Manager"
      ~ updated     eve@acme.example  emails, userName differ
          emails[primary eq true].value: "eve@acme.example" -> "eva@acme.example"
          userName: "eve@acme.example" -> "eva@acme.example"
      ^ reactivated dan@acme.example  assigned again; rosterd deactivated the account on [date]
          active: false -> true
      + created     fay@acme.example  assigned and has no account
          emails[primary eq true].value: "fay@acme.example"
          externalId: "onelogin:40000153"
          name.familyName: "Example"
          name.givenName: "Fay"
          title: "Engineer"
          userName: "fay@acme.example"
      ! blocked     gus@elsewhere.example  gus@elsewhere.example is outside scope.domains
      . skipped     hal@acme.example  not activated at the source yet (lifecycle.on_pending = "wait")

    Done: 1 created, 2 updated, 1 reactivated, 2 deactivated, 1 blocked, 1 skipped, 3 unchanged.
    Seats: 8 billable before, 9 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    "#);
}

#[test]
fn a_partial_failure_shows_the_targets_words_at_the_person() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.hire("Ben", "Engineer");
    let refusal = scim_error(400, Some("invalidValue"), "this address is on a list of ours");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refusal)));
    let ran = stage.run(&["--reconcile-now"]).exits(3);
    assert_snapshot!(shown(&stage, &ran), @r#"
    run 2 of sync "default": read 2 people in 1 page from Okta, complete

      + create      ben@acme.example  assigned and has no account
          emails[primary eq true].value: "ben@acme.example"
          externalId: "00u0m0ARBu0fpmiVkopY"
          name.familyName: "Example"
          name.givenName: "Ben"
          title: "Engineer"
          userName: "ben@acme.example"
          failed: 400: this address is on a list of ours

    Done: 1 failed, 1 unchanged.
    Seats: 1 billable before, 1 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    "#);
}

#[test]
fn an_incomplete_source_says_what_was_missing_and_that_nothing_was_planned() {
    let stage = Stage::with(Access::OneLogin, "");
    stage.hire_all(&["Ann", "Ben"]);
    stage
        .sim
        .faults()
        .add(Fault::on(Peer::OneLogin).path("/apps/").path("/users").then(Effect::ShiftTotal(3)));
    let ran = stage.run(&["--reconcile-now"]).exits(5);
    assert_snapshot!(shown(&stage, &ran), @r#"
    run 1 of sync "default": reading OneLogin did not succeed

    The source could not be read completely, so nothing was planned.
      onelogin: page 1 of the app's users (GET /api/2/apps/500007/users): Total-Count says 5 and 2 came; help: run again
    Seats: 0 billable before, 0 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    "#);
}

#[test]
fn a_held_run_says_why_and_what_releases_it() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    people.iter().for_each(|person| stage.sim.world().unassign(*person));
    let ran = stage.run(&["--reconcile-now"]).exits(4);
    assert_snapshot!(shown(&stage, &ran), @r#"
    run 2 of sync "default": read 0 people in 1 page from Okta, complete

      - deactivate  ben@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      - deactivate  ann@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      - deactivate  cleo@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below

    Done: 3 held for approval or a seat, 0 unchanged.
    Seats: 3 billable before, 3 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    Held h1: deactivate for 3 people: everybody would go: 3 planned and 0 sent in the last hour, of 3 active accounts (also over max_removals_percent, max_removals_percent_per_day); nobody else is listed to compare with, so a removal needs approval.
      Everything else went on. Release exactly these with `rosterd approve h1@1` until [time]; drop them with `rosterd reject h1`.
    "#);
}

/// Whether a terminal would do anything else with this text than show it, line by line.
fn steers(text: &str) -> Option<char> {
    text.chars().find(|character| {
        (character.is_control() && *character != '\n')
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
    })
}

const HOSTILE: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\r\nDone: 0 created\u{202e}gpj.exe\u{2066}\u{2028}x\u{8}\u{7f}\u{feff}";

#[track_caller]
fn assert_tame(ran: &Ran) {
    assert_eq!(steers(&ran.stdout), None, "{:?}", ran.stdout);
    assert_eq!(steers(&ran.stderr), None, "{:?}", ran.stderr);
}

#[test]
fn hostile_names_reach_no_terminal_raw() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = Stage::with(login, "");
        let ann = stage.hire("Ann", "Engineer");
        let ben = stage.hire("Ben", HOSTILE);
        stage.sim.world().edit(ben, |person| person.last_name = Some(HOSTILE.to_owned()));
        stage.sim.world().hire_assigned(&format!("eve{HOSTILE}@acme.example"), |_| {});
        stage.sim.world().edit_app(|app| app.label = HOSTILE.to_owned());
        for arguments in
            [&["--dry-run", "-vv"][..], &["--reconcile-now", "-vv"], &["--reconcile-now"], &["check"]]
        {
            let ran = stage.run(arguments);
            assert_tame(&ran);
            assert!(ran.all().contains("\\u{1b}") || ran.code == Some(0), "{ran:?}");
        }
        assert!(!stage.run(&["--dry-run"]).stdout.contains("\nDone: 0 created"), "no line of a name's own");
        stage.sim.world().edit(ann, |person| person.first_name = Some(HOSTILE.to_owned()));
        assert_tame(&stage.run(&["--dry-run", "--user", "ann@acme.example"]));
        assert_tame(&stage.run(&["--dry-run", "--user", HOSTILE]));
        assert_tame(&stage.run(&["--dry-run", "--sync", HOSTILE]));
    }
}

#[test]
fn hostile_answers_reach_no_terminal_raw() {
    let body = json!({"detail": HOSTILE, "errorSummary": HOSTILE, "errorCode": HOSTILE, "message": HOSTILE,
                      "error": HOSTILE, "scimType": HOSTILE});
    for (peer, method, status) in [
        (Peer::Okta, "GET", 401),
        (Peer::Okta, "GET", 403),
        (Peer::Okta, "GET", 400),
        (Peer::Scim, "GET", 401),
        (Peer::Scim, "POST", 400),
        (Peer::Scim, "POST", 403),
        (Peer::Scim, "GET", 400),
    ] {
        let stage = Stage::new();
        stage.hire("Ann", "Engineer");
        let answer = Effect::Answer(Reply::json(status, &body));
        stage.sim.faults().add(Fault::on(peer).method(method).then(answer));
        for arguments in [&["--dry-run", "-vv"][..], &["--reconcile-now", "-vv"], &["check", "-vv"]] {
            assert_tame(&stage.run(arguments));
        }
    }
}

#[test]
fn names_of_every_script_are_shown_as_they_are_and_long_values_are_cut() {
    let stage = Stage::new();
    let ann = stage.hire("Ann", "אנה כהן");
    stage.run(&["--dry-run"]).exits(0).says(&["title: \"אנה כהן\""]);
    stage.sim.world().edit(ann, |person| person.title = Some("Zoë 李小龍 👩‍💻".to_owned()));
    stage.run(&["--dry-run"]).exits(0).says(&["title: \"Zoë 李小龍 👩‍💻\""]);
    stage.sim.world().edit(ann, |person| person.title = Some("long ".repeat(1000)));
    let ran = stage.run(&["--dry-run"]).exits(0);
    ran.says(&["long long", "…\""]);
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 200), "{}", ran.stdout);
}
