//! `rosterd status`: healthy or not, and why, from the state alone.

use crate::support::{Ran, Stage};
use rosterd::sim::{Effect, Fault, Peer, okta_error, scim_error};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};

/// The first sync of the JSON document.
fn status(stage: &Stage, code: i32) -> Value {
    let document = stage.run(&["status", "--format", "json"]).exits(code).json();
    assert_eq!(document["healthy"], code == 0);
    document["syncs"][0].clone()
}

fn problems(sync: &Value) -> Vec<String> {
    let all = sentences(&sync["problems"]);
    assert_eq!(sync["healthy"], all.is_empty());
    all
}

/// What is worth a line and changes no exit code.
fn notices(sync: &Value) -> Vec<String> {
    sentences(&sync["notices"])
}

fn sentences(all: &Value) -> Vec<String> {
    all.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn one(problems: &[String], beginning: &str) {
    assert!(problems.len() == 1 && problems[0].starts_with(beginning), "{problems:#?}");
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// A stage with ten linked people.
fn ten() -> Stage {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"]);
    stage.reconcile();
    stage
}

#[test]
fn without_any_run_it_says_so_and_leaves_no_trace() {
    let stage = Stage::new();
    let ran = stage.run(&["status"]).exits(1);
    ran.says(&[
        "sync \"default\": needs attention",
        "! no run yet",
        "last success  none yet",
        "failing       nobody",
    ]);
    assert!(!stage.home.state().exists());
    assert_eq!(problems(&status(&stage, 1)), ["no run yet"]);
    assert!(stage.sim.all_requests().is_empty(), "it asks nobody");
}

#[test]
fn a_sync_that_is_fine_is_healthy_and_told_whole() {
    let stage = ten();
    let ran = stage.run(&["status"]).exits(0);
    let text = stage.redact(&ran.stdout).replace(&stage.sim.okta_app_id(), "[app]");
    let text: String =
        text.lines().map(|line| line.split(" (in ").next().unwrap().to_owned() + "\n").collect();
    let text = text.lines().map(|line| match line.find(" seconds ago").or(line.find(" second ago")) {
        Some(_) => format!("{}(… ago)\n", line.rsplit_once('(').unwrap().0),
        None => format!("{line}\n"),
    });
    assert_eq!(
        text.collect::<String>(),
        "sync \"default\": healthy\n  leavers       nobody who left has access\n  between       okta app [app] at [okta] -> generic at [scim]\n  last success  [time] (… ago)\n  \
         target        answered [time] (… ago)\n  last run      run 1 (manual): ok, ended [time] (… ago)\n  next run      [time]\n  people        10 at the source\n  \
         accounts      10 active, 0 deactivated, 0 inactive, 0 gone\n  seats         10 billable\n  owed          nothing else\n  held          nothing\n  \
         failing       nobody\n  \
         tokens        source since [date] (today), workspace since [date] (today)\n"
    );
}

#[test]
fn the_json_document_has_exactly_these_fields() {
    let stage = ten();
    let document = stage.run(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(keys(&document), ["generated_at", "healthy", "rosterd", "schema", "syncs", "unconfigured"]);
    assert_eq!(document["schema"], "rosterd.status/1");
    let sync = &document["syncs"][0];
    assert_eq!(
        keys(sync),
        [
            "accounts",
            "credentials",
            "drift",
            "failed_runs",
            "failed_verification",
            "failing",
            "healthy",
            "held",
            "holds",
            "ignored_attributes",
            "kept_by_configuration",
            "last_run",
            "last_success_at",
            "last_success_seconds_ago",
            "leavers_with_access",
            "next_run_at",
            "notices",
            "open_run",
            "owed",
            "paused",
            "paused_until",
            "people",
            "pins",
            "problems",
            "quarantine",
            "refused_attributes",
            "seats",
            "source",
            "sync",
            "target",
            "target_answered_at"
        ]
    );
    assert_eq!(sync["accounts"], json!({"active": 10, "deactivated": 0, "inactive": 0, "gone": 0}));
    assert_eq!(sync["seats"], json!({"billable": 10, "limit": null}));
    assert_eq!(sync["failing"], json!({"count": 0, "first": []}));
    assert_eq!(sync["failed_runs"], json!({"count": 0, "reason": null}));
    assert_eq!((&sync["people"], &sync["held"], &sync["holds"]), (&json!(10), &json!(0), &json!([])));
    assert_eq!(keys(&sync["last_run"]), ["finished_at", "result", "run", "started_at", "trigger"]);
    assert_eq!((&sync["last_run"]["result"], &sync["last_run"]["trigger"]), (&json!("ok"), &json!("manual")));
    assert_eq!(keys(&sync["source"]), ["app_id", "kind", "url"]);
    assert_eq!(sync["target"], json!({"dialect": "generic", "url": stage.sim.scim_url()}));
    assert_eq!(
        (&sync["open_run"], &sync["quarantine"], &sync["paused_until"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let seconds = sync["last_success_seconds_ago"].as_u64().unwrap();
    assert!(seconds < 600, "{seconds}");
}

#[test]
fn a_run_of_one_person_is_no_success_of_the_sync() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.run(&["--reconcile-now", "--user", "ann@acme.example"]).exits(0);
    let sync = status(&stage, 1);
    one(&problems(&sync), "no full run has succeeded yet");
    assert_eq!((&sync["last_run"]["run"], &sync["last_success_at"]), (&json!(1), &Value::Null));
}

#[test]
fn a_failed_run_and_then_a_quarantine_are_told_with_the_reason() {
    let stage = ten();
    let refusal = okta_error(503, "E0000010", "read only");
    stage.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(refusal)));
    stage.run(&["--reconcile-now"]).exits(5);
    // One failed run is a line: firings that are missed, and a quarantine, are what changes the code.
    let sync = status(&stage, 0);
    one(&notices(&sync), "the last run failed: okta");
    assert_eq!((&sync["failed_runs"]["count"], &sync["quarantine"]), (&json!(1), &Value::Null));
    stage.sim.faults().clear();
    let refusal = okta_error(401, "E0000011", "Invalid token provided");
    stage.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(refusal)));
    // Five full runs in a row; refused credentials alone need two runs a minute apart.
    for _ in 0..4 {
        stage.run(&["--reconcile-now"]).exits(5);
    }
    let sync = status(&stage, 1);
    one(&problems(&sync), "in quarantine until ");
    assert!(sync["quarantine"]["reason"].as_str().unwrap().contains("okta"), "{sync:#}");
    assert!(sync["next_run_at"].as_str() <= sync["quarantine"]["until"].as_str(), "{sync:#}");
    stage.sim.faults().clear();
    stage.reconcile();
    status(&stage, 0);
}

#[test]
fn a_hold_names_the_command_that_releases_it() {
    let stage = ten();
    for name in ["ann", "ben", "cleo", "dan", "eve"] {
        let person = stage.sim.world().find(&format!("{name}@acme.example")).unwrap();
        stage.sim.world().unassign(person);
    }
    stage.run(&["--reconcile-now"]).exits(4);
    let sync = status(&stage, 1);
    one(&problems(&sync), "5 people who left still have access (waits for: approval)");
    one(&notices(&sync), "5 people wait for approval to deactivate: rosterd approve h1@1");
    let hold = &sync["holds"][0];
    assert_eq!(
        keys(hold),
        [
            "approve",
            "class",
            "count",
            "expires_at",
            "id",
            "kind",
            "opened_at",
            "reason",
            "reject",
            "revision"
        ]
    );
    assert_eq!((&hold["id"], &hold["count"], &sync["held"]), (&json!("h1"), &json!(5), &json!(5)));
    stage.run(&["status"]).exits(1).says(&[
        "leavers       5 with access, the longest first:",
        "held          h1 deactivate (unassigned) for 5 people since ",
        "guard.max_removals_percent",
        "release: rosterd approve h1@1    drop: rosterd reject h1",
    ]);
    stage.run(&["approve", "h1@1", "--yes"]).exits(0);
    let sync = status(&stage, 0);
    assert_eq!(sync["accounts"], json!({"active": 5, "deactivated": 5, "inactive": 0, "gone": 0}));
}

#[test]
fn a_pause_is_told_with_its_end_and_ends() {
    let stage = ten();
    stage.run(&["pause", "--for", "2h"]).exits(0);
    // Somebody wants it so: a line, and no code.
    let sync = status(&stage, 0);
    one(&notices(&sync), "paused: nothing is written until 20");
    assert!(sync["paused_until"].is_string() && sync["paused"] == true, "{sync:#}");
    stage.run(&["pause"]).exits(0);
    let sync = status(&stage, 0);
    one(&notices(&sync), "paused: nothing is written until `rosterd resume`");
    assert!(sync["paused_until"].is_null() && sync["paused"] == true, "{sync:#}");
    stage.run(&["resume"]).exits(0);
    status(&stage, 0);
}

#[test]
fn three_failing_people_are_shown_with_the_workspaces_words_and_the_rest_is_counted() {
    let stage = Stage::new();
    let refusal = Effect::Answer(scim_error(400, None, "closed on Sundays"));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(refusal));
    stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve"]);
    stage.run(&["--reconcile-now"]).exits(3);
    // Nobody of them has access that is to end.
    let sync = status(&stage, 0);
    one(&notices(&sync), "the last writes of 5 people were refused");
    assert_eq!(sync["failing"]["count"], 5);
    let first = sync["failing"]["first"].as_array().unwrap();
    assert_eq!(first.len(), 3);
    assert_eq!(keys(&first[0]), ["detail", "failures", "since", "source_id", "user", "wait_runs"]);
    assert_eq!((&first[0]["wait_runs"], &first[0]["failures"]), (&json!(0), &json!(1)));
    stage.run(&["status"]).exits(0).says(&[
        "failing       5, these the longest:",
        "ann@acme.example  once since ",
        "the next run tries again",
        "closed on Sundays",
        "… and 2 more",
    ]);
    let database = Connection::open(stage.home.database()).unwrap();
    let hostile = "UPDATE owed SET user_name = ?1, detail = ?1";
    assert_eq!(database.execute(hostile, ["a\u{1b}[31mb\u{202e}c\nd"]).unwrap(), 5);
    drop(database);
    let ran = stage.run(&["status"]).exits(0);
    ran.says(&["a\\u{1b}[31mb\\u{202e}c\\u{a}d  once", "  a\\u{1b}[31mb\\u{202e}c\\u{a}d\n"]);
    assert_printable(&ran);
}

/// Nothing that steers a terminal, colours switched off as they are here.
fn assert_printable(ran: &Ran) {
    let steering = ran.stdout.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(steering, None, "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{202e}'));
}

#[test]
fn attributes_that_the_workspace_does_not_keep_or_refuses_are_counted() {
    let stage = ten();
    let database = Connection::open(stage.home.database()).unwrap();
    let memory = json!({
        "echoes": {"title": {"sent": "Engineer", "returned": null, "kind": "ignored"},
                   "name.givenName": {"sent": "Ann ", "returned": "Ann", "kind": "normalised"}},
        "refusals": {"phoneNumbers[primary eq true].value":
                     {"sent": "1", "at": 8_000_000_000_000_i64, "detail": "no number"}}
    });
    let some = "UPDATE link SET memory = ?1 WHERE rowid IN (SELECT rowid FROM link LIMIT 2)";
    assert_eq!(database.execute(some, [memory.to_string()]).unwrap(), 2);
    drop(database);
    let sync = status(&stage, 0);
    assert_eq!(sync["ignored_attributes"], json!({"title": 2}));
    assert_eq!(sync["refused_attributes"], json!({"phoneNumbers[primary eq true].value": 2}));
    stage
        .run(&["status"])
        .exits(0)
        .says(&["title of 2 accounts", "phoneNumbers[primary eq true].value of 2 accounts"]);
}

#[test]
fn several_syncs_are_told_one_by_one_and_one_that_is_ill_decides() {
    let stage = Stage::new();
    let sides = stage.sides();
    stage
        .home
        .configure(&format!("[[sync]]\nname = \"first\"\n{sides}\n[[sync]]\nname = \"second\"\n{sides}\n"));
    stage.hire("Ann", "Engineer");
    stage.run(&["--reconcile-now", "--sync", "first"]).exits(0);
    stage.run(&["status"]).exits(1).says(&["sync \"first\": healthy", "sync \"second\": needs attention"]);
    let ran = stage.run(&["status", "--sync", "first"]).exits(0);
    assert!(!ran.stdout.contains("\"second\""), "{}", ran.stdout);
    stage.run(&["status", "--sync", "third"]).exits(64).complains(&["there is no sync \"third\""]);
}

#[test]
fn the_document_goes_to_a_file_where_one_is_named() {
    let stage = ten();
    let file = stage.home.path().join("status.json");
    let ran = stage.run(&["status", "--format", "json", "--output", file.to_str().unwrap()]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(document["syncs"][0]["accounts"]["active"], 10);
}

#[test]
fn status_and_history_read_beside_a_running_daemon() {
    let stage = Stage::new();
    let socket = stage.home.path().join("rosterd.sock");
    stage
        .home
        .configure(&format!("[daemon]\nsocket = {socket:?}\n[[sync]]\nwatch = \"off\"\n{}\n", stage.sides()));
    stage.hire_all(&["Ann", "Ben"]);
    let mut daemon = stage.home.start(&["daemon"]);
    let mut log = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
    // Nothing has run for a long time, so the first run is due at once.
    assert!(log.any(|line| line.contains("run finished")), "the daemon ended");
    let sync = status(&stage, 0);
    assert_eq!((&sync["accounts"]["active"], &sync["last_run"]["trigger"]), (&json!(2), &json!("schedule")));
    stage.run(&["--reconcile-now"]).exits(0);
    let runs = stage.run(&["history", "--format", "json"]).exits(0).json();
    let told: Vec<_> =
        runs["runs"].as_array().unwrap().iter().map(|run| (&run["run"], &run["trigger"])).collect();
    assert_eq!(told, [(&json!(2), &json!("manual")), (&json!(1), &json!("schedule"))]);
    stage.run(&["history", "--user", "ann@acme.example"]).exits(0).says(&["create", "applied (201)"]);
    let pid = rustix::process::Pid::from_raw(daemon.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    log.for_each(drop);
    assert!(daemon.wait().unwrap().success());
}
