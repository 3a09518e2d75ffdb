//! Approval by class, seats and protected accounts.

use super::{is_active, run_json};
use crate::support::{Access, Stage, action_of, count, line_of};
use insta::assert_snapshot;
use serde_json::json;

const SEATS_NOTE: &str = "A deactivated account keeps its seat";

#[test]
fn a_class_that_always_waits_says_so() {
    let stage = Stage::with(Access::OktaToken, "guard = { approval = [\"create\"] }");
    stage.hire("Ann", "Engineer");
    let ran = stage.run(&["--reconcile-now"]).exits(4);
    ran.says(&["Held h1: create for 1 person: guard.approval lists create.", "rosterd approve h1@1"]);
    assert!(stage.sim.writes().is_empty());
    let ran = stage.run(&["approve", "h1", "--yes", "--format", "json"]).exits(0);
    ran.complains(&["1 to create", "approved 1 person of sync"]);
    assert_eq!(action_of(&ran.sync(), "ann@acme.example"), ("create".to_owned(), "applied".to_owned()));
    // Once, and for nobody else.
    stage.hire("Ben", "Engineer");
    run_json(&stage, &["--reconcile-now"], 4);
    assert!(stage.sim.world().account("ben@acme.example").is_none());
}

/// Assigns a person in this year.
fn hire_in(stage: &Stage, name: &str, year: u16) {
    let person = stage.hire(name, "Engineer");
    stage.sim.world().edit(person, |person| {
        person.assigned = format!("{year}-01-01T00:00:00Z").parse().unwrap();
    });
}

#[test]
fn seats_go_to_the_oldest_assignments_and_the_report_counts_them() {
    let stage = Stage::with(Access::OktaToken, "guard = { max_seats = 3 }");
    let people = stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    // Whoever left keeps the seat.
    stage.sim.world().unassign(people[0]);
    stage.reconcile();
    hire_in(&stage, "Young", 2026);
    hire_in(&stage, "Old", 2020);
    hire_in(&stage, "Middle", 2023);
    let dry = run_json(&stage, &["--dry-run"], 0);
    assert_eq!((count(&dry, "create"), count(&dry, "held")), (1, 2));
    let ran = stage.run(&["--reconcile-now"]).exits(4);
    assert_snapshot!(stage.redact(&ran.stdout), @r#"
    run 3 of sync "default": read 4 people in 1 page from Okta, complete

      + create      young@acme.example  assigned and has no account
          emails[primary eq true].value: "young@acme.example"
          externalId: "00udl5zXKfGfqxKMTAKY"
          name.familyName: "Example"
          name.givenName: "Young"
          title: "Engineer"
          userName: "young@acme.example"
          held: no seat: guard.max_seats = 3 and 2 are taken (a deactivated account keeps its seat); seats go to the oldest assignments first
      + created     old@acme.example  assigned and has no account
          emails[primary eq true].value: "old@acme.example"
          externalId: "00uX2Z94KpgwA4I1nnmn"
          name.familyName: "Example"
          name.givenName: "Old"
          title: "Engineer"
          userName: "old@acme.example"
      + create      middle@acme.example  assigned and has no account
          emails[primary eq true].value: "middle@acme.example"
          externalId: "00uX1rqKEClM676hFDSK"
          name.familyName: "Example"
          name.givenName: "Middle"
          title: "Engineer"
          userName: "middle@acme.example"
          held: no seat: guard.max_seats = 3 and 2 are taken (a deactivated account keeps its seat); seats go to the oldest assignments first

    Done: 1 created, 2 held for approval or a seat, 2 unchanged.
    Seats: 2 billable before, 3 after, limit 3. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    "#);
    assert!(is_active(&stage, "old"));
    let sync = run_json(&stage, &["--reconcile-now"], 4);
    assert_eq!(sync["seats"], json!({"before": 3, "after": 3, "limit": 3}));
    assert_eq!((count(&sync, "held"), &sync["holds"]), (2, &json!([])), "no approval makes a seat");
    stage.configure("guard = { max_seats = 4 }");
    let sync = run_json(&stage, &["--reconcile-now"], 4);
    assert_eq!(action_of(&sync, "middle@acme.example"), ("create".to_owned(), "applied".to_owned()));
    assert_eq!(action_of(&sync, "young@acme.example"), ("create".to_owned(), "held".to_owned()));
    stage.configure("guard = { max_seats = 5 }");
    assert_eq!(count(&stage.reconcile(), "create"), 1);
}

#[test]
fn a_workspace_without_a_seat_holds_the_creation_and_a_later_run_does_it() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.sim.world().set_seat_limit(Some(2));
    stage.reconcile();
    stage.hire_all(&["Cleo", "Dan"]);
    for _ in 0..2 {
        let sync = run_json(&stage, &["--reconcile-now"], 4);
        assert_eq!(
            (count(&sync, "held"), count(&sync, "failed"), count(&sync, "create")),
            (2, 0, 0),
            "{sync:#}"
        );
        let detail = line_of(&sync, "cleo@acme.example")["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("no seat: ") && detail.contains("license/quota"), "{detail}");
        assert_eq!(sync["seats"], json!({"before": 2, "after": 2, "limit": null}));
        assert_eq!(sync["holds"], json!([]));
    }
    let ran = stage.run(&["--reconcile-now"]).exits(4);
    ran.says(&["held: 403: no seat: ", "2 held for approval or a seat", SEATS_NOTE]);
    stage.sim.world().set_seat_limit(Some(3));
    let sync = run_json(&stage, &["--reconcile-now"], 4);
    assert_eq!((count(&sync, "create"), count(&sync, "held")), (1, 1), "{sync:#}");
    stage.sim.world().set_seat_limit(None);
    let sync = stage.reconcile();
    assert_eq!((count(&sync, "create"), count(&sync, "unchanged")), (1, 3));
}

#[test]
fn protected_accounts_are_listed_as_skipped_with_the_reason() {
    let guard = "guard = { protected = [\"OWNER@acme.example\", \"root*@acme.example\"] }";
    let stage = Stage::new();
    let owner = stage.hire("Owner", "Engineer");
    stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.configure(guard);
    stage.sim.world().unassign(owner);
    stage.hire("Root7", "Engineer");
    stage.sim.clear_requests();
    let ran = stage.run(&["--reconcile-now"]).exits(0);
    assert_snapshot!(stage.redact(&ran.stdout), @r#"
    run 2 of sync "default": read 3 people in 1 page from Okta, complete

      . skipped     root7@acme.example  protected by guard.protected
      . skipped     owner@acme.example  protected by guard.protected

    Done: nothing to do, 2 unchanged, 2 skipped.
    Seats: 3 billable before, 3 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    "#);
    assert!(is_active(&stage, "owner") && stage.sim.writes().is_empty());
    let sync = stage.reconcile();
    let line = line_of(&sync, "owner@acme.example");
    assert_eq!((&line["action"], &line["outcome"]), (&json!("skip"), &json!("skipped")));
    assert_eq!(line["reason"], "protected by guard.protected");
}
