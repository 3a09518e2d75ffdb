//! Guards at the binary: what is held and how it is said, approved, rejected and paused.

use crate::support::{Ran, Stage, action_of, count, line_of, me};
use insta::assert_snapshot;
use rosterd::model::time::Millis;
use rosterd::sim::{PersonId, World};
use rusqlite::Connection;
use serde_json::{Value, json};

mod limits;
mod plan_file;
mod quarantine;
pub(crate) mod terminal;

const TWENTY: [&str; 20] = [
    "Ann", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Lea", "Max", "Nia", "Ole",
    "Pia", "Quin", "Rae", "Sam", "Tia",
];

fn unassign(world: &World, people: &[PersonId]) {
    people.iter().for_each(|person| world.unassign(*person));
}

/// Twenty people with accounts.
fn twenty(lines: &str) -> (Stage, Vec<PersonId>) {
    let stage = Stage::with(crate::support::Access::OktaToken, lines);
    let people = stage.hire_all(&TWENTY);
    stage.reconcile();
    (stage, people)
}

/// Twenty people with accounts, of whom the first five have left: more than 10 %. Nothing has run since.
fn five_left() -> (Stage, Vec<PersonId>) {
    let (stage, people) = twenty("");
    unassign(stage.sim.world(), &people[..5]);
    (stage, people)
}

/// As [`five_left`], with the removals held as h1.
fn five_held() -> (Stage, Vec<PersonId>) {
    let (stage, people) = five_left();
    stage.run(&["--reconcile-now"]).exits(4);
    (stage, people)
}

fn is_active(stage: &Stage, name: &str) -> bool {
    stage.sim.world().account(&format!("{}@acme.example", name.to_lowercase())).unwrap().active()
}

/// How many of the twenty have no access any more.
fn gone(stage: &Stage) -> usize {
    stage.sim.world().accounts().iter().filter(|account| !account.active()).count()
}

/// A run that ends with this code, as a JSON report.
#[track_caller]
fn run_json(stage: &Stage, arguments: &[&str], code: i32) -> Value {
    stage.run(&[arguments, &["--format", "json"]].concat()).exits(code).sync()
}

/// State and decider of a hold, as stored.
fn decided(stage: &Stage, number: i64) -> (String, Option<String>) {
    let database = Connection::open(stage.home.database()).unwrap();
    let row = "SELECT state, decided_by FROM hold WHERE id = ?1";
    database.query_row(row, [number], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn a_held_run_is_understood_from_its_report_alone() {
    let (stage, _) = five_left();
    stage.hire("Joiner", "Engineer");
    let ran = stage.run(&["--reconcile-now"]).exits(4);
    let shown = stage.redact(&ran.stdout);
    assert_snapshot!(shown, @r#"
    run 2 of sync "default": read 16 people in 1 page from Okta, complete

      - deactivate  ben@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      - deactivate  ann@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      - deactivate  eve@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      - deactivate  dan@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      - deactivate  cleo@acme.example  no longer assigned to the app
          active: true -> false
          held: waits for approval, see below
      + created     joiner@acme.example  assigned and has no account
          emails[primary eq true].value: "joiner@acme.example"
          externalId: "00uVWkUH7uMSyzlEwA4P"
          name.familyName: "Example"
          name.givenName: "Joiner"
          title: "Engineer"
          userName: "joiner@acme.example"

    Done: 1 created, 5 held for approval or a seat, 15 unchanged.
    Seats: 20 billable before, 21 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    Held h1: deactivate for 5 people: 5 removals planned and 0 sent in the last hour are more than guard.max_removals_percent = 10 % of 20 active accounts (also over max_removals_percent_per_day).
      Everything else went on. Release exactly these with `rosterd approve h1@1` until [time]; drop them with `rosterd reject h1`.
    "#);
    // The log says it too, for whoever reads that alone.
    ran.complains(&["held", "h1", "5", "rosterd approve h1@1"]);
    assert_eq!(gone(&stage), 0);
    assert!(is_active(&stage, "joiner"));
    assert_page_shows(&shown);
}

/// Each line of the example in docs/operating.md is one of the report.
fn assert_page_shows(report: &str) {
    let page = include_str!("../../docs/operating.md").split("and somebody joined:").nth(1).unwrap();
    let example = page.split("```").nth(1).unwrap().strip_prefix("console\n").unwrap();
    let lines: Vec<&str> =
        example.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…").collect();
    assert!(lines.len() > 5);
    for line in lines {
        let line = line.replace("@acme.com", "@acme.example").replace("2026-11-25T10:00:00Z", "[time]");
        assert!(
            report.lines().any(|told| told == line),
            "the page shows\n{line}\nand the program says\n{report}"
        );
    }
}

#[test]
fn a_hold_in_json_has_an_id_a_revision_the_numbers_and_72_hours() {
    let (stage, _) = five_left();
    stage.hire("Joiner", "Engineer");
    let before = Millis::now();
    let sync = run_json(&stage, &["--reconcile-now"], 4);
    assert_eq!(sync["result"], "held");
    assert_eq!((count(&sync, "held"), count(&sync, "create"), count(&sync, "deactivate")), (5, 1, 0));
    let holds = sync["holds"].as_array().unwrap();
    assert_eq!(holds.len(), 1, "{sync:#}");
    let hold = holds[0].as_object().unwrap();
    let reason = "5 removals planned and 0 sent in the last hour are more than guard.max_removals_percent = 10 % of 20 \
                  active accounts (also over max_removals_percent_per_day)";
    for (key, value) in [
        ("id", json!("h1")),
        ("revision", json!(1)),
        ("class", json!("deactivate")),
        ("reason", json!(reason)),
        ("count", json!(5)),
    ] {
        assert_eq!(hold[key], value, "{key}");
    }
    assert!(!hold["digest"].as_str().unwrap().is_empty());
    assert_eq!(hold.len(), 7, "and nothing else: {hold:?}");
    let expires = hold["expires_at"].as_str().unwrap();
    let lasts = chrono::DateTime::parse_from_rfc3339(expires).unwrap().timestamp_millis() - before.0;
    let whole = 72 * 3600 * 1000;
    // Shown to the second.
    assert!((whole - 1000..whole + 600_000).contains(&lasts), "{lasts}");
    for name in ["ann", "ben", "cleo", "dan", "eve"] {
        let user = format!("{name}@acme.example");
        assert_eq!(action_of(&sync, &user), ("deactivate".to_owned(), "held".to_owned()));
        assert_eq!(line_of(&sync, &user)["detail"], reason);
    }
    let again = run_json(&stage, &["--reconcile-now"], 4);
    for key in ["id", "revision", "class", "count", "digest", "expires_at"] {
        assert_eq!(again["holds"][0][key], hold[key], "the same hold: {key}");
    }
}

#[test]
fn holds_lists_what_waits_or_says_that_nothing_does() {
    let (stage, _) = five_left();
    assert_eq!(stage.run(&["holds"]).exits(0).stdout, "nothing is held\n");
    stage.run(&["--reconcile-now"]).exits(4);
    stage.sim.clear_requests();
    let ran = stage.run(&["holds"]).exits(0);
    assert_snapshot!(stage.redact(&ran.stdout), @r#"
    h1@1  sync "default": 5 to deactivate, waiting since [time], open until [time]
      why: 5 removals planned and 0 sent in the last hour are more than guard.max_removals_percent = 10 % of 20 active accounts (also over max_removals_percent_per_day)
      deactivate  ann@acme.example (00uPyp3m6VZytJwZ2gOG)
      deactivate  ben@acme.example (00u0m0ARBu0fpmiVkopY)
      deactivate  cleo@acme.example (00udl5zXKfGfqxKMTAKY)
      deactivate  dan@acme.example (00uX2Z94KpgwA4I1nnmn)
      deactivate  eve@acme.example (00uX1rqKEClM676hFDSK)
      release: rosterd approve h1@1    drop: rosterd reject h1
    "#);
    assert!(stage.sim.all_requests().is_empty());
}

#[test]
fn before_the_first_run_nothing_is_held() {
    let stage = Stage::new();
    assert_eq!(stage.run(&["holds"]).exits(0).stdout, "nothing is held\n");
    assert!(!stage.home.state().exists());
}

#[test]
fn an_approval_shows_the_list_runs_exactly_it_and_says_that_it_was_one() {
    let (stage, _) = five_held();
    let ran = stage.run(&["approve", "h1", "--yes", "--format", "json"]).exits(0);
    let sync = ran.sync();
    assert_eq!((sync["trigger"].as_str(), sync["result"].as_str()), (Some("approval"), Some("ok")));
    assert_eq!((count(&sync, "deactivate"), count(&sync, "held")), (5, 0));
    assert_eq!(sync["holds"], json!([]));
    ran.complains(&[
        "h1@1",
        "deactivate  ann@acme.example",
        "eve@acme.example",
        "approved 5 people of sync \"default\"",
    ]);
    assert_eq!(gone(&stage), 5);
    assert_eq!(stage.run(&["holds"]).exits(0).stdout, "nothing is held\n");
    assert_eq!(count(&stage.reconcile(), "unchanged"), 20);
}

#[test]
fn an_approval_without_a_terminal_and_without_yes_releases_nothing() {
    let (stage, _) = five_held();
    stage.sim.clear_requests();
    let ran = stage.run(&["approve", "h1"]).exits(64);
    ran.complains(&["ann@acme.example", "error: nobody is there to confirm", "help:", "--yes"]);
    assert_eq!(ran.stdout, "");
    assert!(stage.sim.all_requests().is_empty());
    assert_eq!(decided(&stage, 1), ("open".to_owned(), None));
    stage.run(&["--reconcile-now"]).exits(4);
    assert_eq!(gone(&stage), 0);
}

#[test]
fn an_approval_that_is_not_run_is_sent_by_the_next_run() {
    let (stage, _) = five_held();
    stage.sim.clear_requests();
    let ran = stage.run(&["approve", "h1", "--yes", "--no-run"]).exits(0);
    ran.complains(&["approved 5 people", "the next run sends them", "24 hours"]);
    assert!(stage.sim.all_requests().is_empty());
    assert_eq!(gone(&stage), 0);
    assert_eq!(count(&stage.reconcile(), "deactivate"), 5);
    assert_eq!(gone(&stage), 5);
}

#[test]
fn an_approval_of_a_revision_leaves_whoever_joined_later_held() {
    let (stage, people) = five_held();
    unassign(stage.sim.world(), &people[5..9]);
    let sync = run_json(&stage, &["--reconcile-now"], 4);
    assert_eq!((&sync["holds"][0]["id"], &sync["holds"][0]["revision"]), (&json!("h1"), &json!(2)));
    assert_eq!(sync["holds"][0]["count"], 9);
    let ran = stage.run(&["approve", "h1@1", "--yes"]).exits(0);
    assert!(!ran.all().contains("fay@acme.example"), "not shown, not released: {}", ran.all());
    ran.complains(&["5 to deactivate", "approved 5 people"]);
    assert_eq!(gone(&stage), 5);
    assert!(["fay", "gus", "hal", "ida"].iter().all(|name| is_active(&stage, name)));
    // They wait in a hold of their own, also when the next run looks at them again.
    stage.run(&["holds"]).exits(0).says(&[
        "h2@1",
        "4 to deactivate",
        "fay@acme.example",
        "rosterd approve h2@1",
    ]);
    let sync = run_json(&stage, &["--reconcile-now"], 4);
    assert_eq!((&sync["holds"][0]["id"], &sync["holds"][0]["revision"]), (&json!("h2"), &json!(1)));
    assert_eq!(gone(&stage), 5);
    assert_eq!(decided(&stage, 1).0, "released");
    stage.run(&["approve", "h2", "--yes"]).exits(0);
    assert_eq!(gone(&stage), 9);
}

#[test]
fn what_is_no_open_hold_cannot_be_decided_and_the_message_says_what_to_do() {
    let (stage, _) = five_held();
    stage.sim.clear_requests();
    for (id, why) in [
        ("h9", "there is no open hold h9"),
        ("nonsense", "`nonsense` is no hold"),
        ("7", "`7` is no hold"),
        ("h1@x", "`h1@x` is no hold"),
        ("", "`` is no hold"),
    ] {
        for command in [&["approve", id, "--yes"][..], &["reject", id]] {
            let ran = stage.run(command).exits(64);
            ran.complains(&[&format!("error: {why}"), "help:", "`rosterd holds` lists"]);
            assert_eq!(ran.stdout, "", "{command:?}");
        }
    }
    for id in ["h1@2", "h1@0"] {
        stage.run(&["approve", id, "--yes"]).exits(64).complains(&["h1 has revision 1", "help:"]);
    }
    stage
        .run(&["reject", "h1@1"])
        .exits(64)
        .complains(&["reject drops a whole hold", "help: rosterd reject h1"]);
    assert!(stage.sim.all_requests().is_empty());
    assert_eq!(decided(&stage, 1), ("open".to_owned(), None));
}

#[test]
fn a_hold_is_decided_once() {
    let (stage, _) = five_held();
    stage.run(&["approve", "h1", "--yes"]).exits(0);
    stage.sim.clear_requests();
    for command in
        [&["approve", "h1", "--yes"][..], &["approve", "h1@1", "--yes", "--no-run"], &["reject", "h1"]]
    {
        stage.run(command).exits(64).complains(&["there is no open hold h1", "help:"]);
    }
    assert!(stage.sim.all_requests().is_empty());
    assert_eq!(decided(&stage, 1).0, "released");
}

#[test]
fn who_decided_is_kept() {
    let me = me();
    let sudo = |stage: &Stage, arguments: &[&str], user: &str| {
        Ran::of(stage.home.command(arguments).env("SUDO_USER", user).output().unwrap()).exits(0)
    };
    let approve = ["approve", "h1", "--yes", "--no-run"];
    let (stage, _) = five_held();
    sudo(&stage, &approve, "mallory");
    assert_eq!(decided(&stage, 1), ("released".to_owned(), Some(format!("{me} [SUDO_USER says mallory]"))));
    stage.run(&["--reconcile-now"]).exits(0);
    let history = stage.run(&["history", "--user", "ann@acme.example"]).exits(0);
    history.says(&[&format!("approved by {me} [SUDO_USER says mallory]")]);
    for unset in [true, false] {
        let (stage, _) = five_held();
        if unset {
            stage.run(&approve).exits(0)
        } else {
            sudo(&stage, &approve, "")
        };
        assert_eq!(decided(&stage, 1), ("released".to_owned(), Some(me.clone())));
    }
    let (stage, _) = five_held();
    sudo(&stage, &["reject", "h1"], "mallory");
    assert_eq!(decided(&stage, 1), ("rejected".to_owned(), Some(format!("{me} [SUDO_USER says mallory]"))));
}

#[test]
fn a_rejection_pins_its_people_until_the_source_changes() {
    let (stage, people) = five_held();
    stage.sim.clear_requests();
    let ran = stage.run(&["reject", "h1"]).exits(0);
    ran.complains(&[
        "rejected: 5 people of sync \"default\", not planned this way again until the source changes",
    ]);
    assert!(stage.sim.all_requests().is_empty());
    for arguments in ["--dry-run", "--reconcile-now"] {
        let sync = run_json(&stage, &[arguments], 0);
        assert_eq!((count(&sync, "skipped"), count(&sync, "held"), &sync["holds"]), (5, 0, &json!([])));
        let line = line_of(&sync, "ann@acme.example");
        let who = format!("rejected by {} on ", me());
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.starts_with(&who) && reason.contains("until the source changes"), "{reason}");
    }
    assert_eq!(gone(&stage), 0);
    // Back and gone again is another question.
    stage.sim.world().assign(people[0]);
    assert_eq!(count(&stage.reconcile(), "skipped"), 4);
    stage.sim.world().unassign(people[0]);
    assert_eq!(count(&stage.reconcile(), "deactivate"), 1);
    assert!(!is_active(&stage, "ann") && is_active(&stage, "ben"));
}

#[test]
fn somebody_who_came_back_before_the_approval_keeps_the_account() {
    let (stage, people) = five_held();
    stage.sim.world().assign(people[0]);
    let sync = run_json(&stage, &["approve", "h1", "--yes"], 0);
    assert_eq!(count(&sync, "deactivate"), 4);
    assert!(is_active(&stage, "ann"));
    assert_eq!(gone(&stage), 4);
    // Nor does the approval wait for the next time.
    stage.sim.world().unassign(people[0]);
    let sync = stage.reconcile();
    assert_eq!(count(&sync, "deactivate"), 1, "one leaver is no mass leave: {sync:#}");
}

#[test]
fn a_paused_sync_reads_reports_and_writes_nothing_until_it_is_resumed() {
    let (stage, people) = twenty("");
    stage.sim.world().unassign(people[0]);
    stage.hire("Joiner", "Engineer");
    stage.sim.clear_requests();
    let ran = stage.run(&["pause"]).exits(0);
    ran.complains(&["sync \"default\" writes nothing until `rosterd resume`"]);
    assert!(stage.sim.all_requests().is_empty());
    let ran = stage.run(&["--reconcile-now"]).exits(0);
    ran.says(&["joiner@acme.example", "switched off: paused until resumed; `rosterd resume` ends it"]);
    let sync = stage.reconcile();
    for user in ["joiner@acme.example", "ann@acme.example"] {
        assert_eq!(action_of(&sync, user).1, "disabled", "{sync:#}");
    }
    stage.run(&["--reconcile-now", "--user", "joiner@acme.example"]).exits(0);
    assert!(stage.sim.writes().is_empty());
    stage.run(&["resume"]).exits(0).complains(&["sync \"default\" writes again"]);
    let sync = stage.reconcile();
    assert_eq!((count(&sync, "create"), count(&sync, "deactivate")), (1, 1));
}

#[test]
fn a_pause_for_a_time_says_its_end_and_ends_by_itself() {
    let (stage, _) = twenty("");
    stage.hire("Joiner", "Engineer");
    let ran = stage.run(&["pause", "--for", "2h"]).exits(0);
    let until = ran.stderr.split("writes nothing until ").nth(1).unwrap().trim().to_owned();
    let lasts = chrono::DateTime::parse_from_rfc3339(&until).unwrap().timestamp_millis() - Millis::now().0;
    assert!((7_080_000..=7_200_000).contains(&lasts), "{until}");
    let sync = stage.reconcile();
    let detail = line_of(&sync, "joiner@acme.example")["detail"].clone();
    assert_eq!(detail, format!("paused until {until}; `rosterd resume` ends it"));
    // The end has come.
    let database = Connection::open(stage.home.database()).unwrap();
    assert_eq!(database.execute("UPDATE sync SET paused_until = ?1", [Millis::now().0 - 1]).unwrap(), 1);
    drop(database);
    assert_eq!(count(&stage.reconcile(), "create"), 1);
    for wrong in ["0h", "2", "h", "soon", "-1h"] {
        stage.run(&["pause", "--for", wrong]).exits(64);
    }
}

#[test]
fn a_dry_run_decides_nothing() {
    let (stage, _) = five_held();
    for arguments in [
        &["approve", "h1", "--yes", "--dry-run"][..],
        &["reject", "h1", "--dry-run"],
        &["pause", "--dry-run"],
    ] {
        stage.run(arguments).exits(64).complains(&["--dry-run", "help:"]);
    }
    assert_eq!(decided(&stage, 1), ("open".to_owned(), None));
    assert_eq!(count(&run_json(&stage, &["--reconcile-now"], 4), "held"), 5);
}
