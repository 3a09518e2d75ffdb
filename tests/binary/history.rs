//! `rosterd history`: runs, every attempt for one person, one run again. From the state alone.

use crate::support::{Prey, Stage, action_of, me};
use rosterd::sim::{Cut, Effect, Fault, Peer, scim_error};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::Duration;

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn history(stage: &Stage, arguments: &[&str]) -> Value {
    let mut all = vec!["history", "--format", "json"];
    all.extend(arguments);
    stage.run(&all).exits(0).json()
}

fn runs(stage: &Stage, arguments: &[&str]) -> Vec<i64> {
    let document = history(stage, arguments);
    document["runs"].as_array().unwrap().iter().map(|run| run["run"].as_i64().unwrap()).collect()
}

/// Action, outcome and status of each attempt, the newest first.
fn attempts(stage: &Stage, who: &str, arguments: &[&str]) -> Vec<(String, String, Option<u64>)> {
    let mut all = vec!["--user", who];
    all.extend(arguments);
    let document = history(stage, &all);
    assert_eq!(document["user"], who);
    let each = document["attempts"].as_array().unwrap().iter();
    each.map(|attempt| {
        let text = |name: &str| attempt[name].as_str().unwrap().to_owned();
        (text("action"), text("outcome"), attempt["status"].as_u64())
    })
    .collect()
}

/// Ann is created, promoted, refused, removed; Ben is created. Four runs.
fn told() -> Stage {
    let stage = Stage::new();
    let ann = stage.hire("Ann", "Engineer");
    stage.hire("Ben", "Engineer");
    stage.reconcile();
    stage.sim.world().edit(ann, |person| person.title = Some("Mana\u{1b}[2Jger\u{202e}".to_owned()));
    let refusal = Effect::Answer(scim_error(409, Some("uniqueness"), "no such luck"));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(refusal));
    stage.run(&["--reconcile-now"]).exits(3);
    stage.sim.faults().clear();
    stage.reconcile();
    stage.sim.world().unassign(ann);
    stage.reconcile();
    stage
}

#[test]
fn without_any_state_there_is_no_run_and_no_trace() {
    let stage = Stage::new();
    stage.run(&["history"]).exits(0).says(&["no run yet"]);
    assert_eq!(history(&stage, &[])["runs"], json!([]));
    assert_eq!(history(&stage, &["--user", "ann"])["attempts"], json!([]));
    stage
        .run(&["history", "--run", "1"])
        .exits(64)
        .complains(&["there is no run 1 on record", "rosterd history"]);
    assert!(!stage.home.state().exists());
}

#[test]
fn runs_are_listed_the_newest_first_with_exactly_these_fields() {
    let stage = told();
    let document = history(&stage, &[]);
    assert_eq!(keys(&document), ["events", "generated_at", "rosterd", "runs", "schema"]);
    assert_eq!(document["schema"], "rosterd.history/1");
    assert_eq!(runs(&stage, &[]), [4, 3, 2, 1]);
    let first = &document["runs"][3];
    assert_eq!(
        keys(first),
        [
            "by",
            "complete",
            "finished_at",
            "people",
            "problem",
            "result",
            "run",
            "started_at",
            "summary",
            "sync",
            "trigger"
        ]
    );
    assert_eq!(
        (&first["result"], &first["people"], &first["complete"], &first["summary"]["create"]),
        (&json!("ok"), &json!(2), &json!(true), &json!(2))
    );
    stage.run(&["history"]).exits(0).says(&[
        &format!(
            "run 1  sync \"default\"  manual by {}  ok\n    everybody (2 people): 2 created, 0 unchanged.",
            me()
        ),
        &format!(
            "run 2  sync \"default\"  manual by {}  partial\n    everybody (2 people): 1 failed, 1 unchanged.",
            me()
        ),
    ]);
}

#[test]
fn the_list_is_narrowed_by_sync_time_failure_and_number() {
    let stage = told();
    assert_eq!(runs(&stage, &["--failed"]), [2]);
    assert_eq!(runs(&stage, &["--limit", "2"]), [4, 3]);
    assert_eq!(runs(&stage, &["--sync", "default"]).len(), 4);
    assert_eq!(runs(&stage, &["--sync", "other"]), [0_i64; 0]);
    let database = Connection::open(stage.home.database()).unwrap();
    database.execute("UPDATE run SET started_at = started_at - 7200000 WHERE id <= 2", []).unwrap();
    drop(database);
    assert_eq!(runs(&stage, &["--since", "1h"]), [4, 3]);
    assert_eq!(runs(&stage, &["--since", "1d"]).len(), 4);
    assert_eq!(runs(&stage, &["--since", "2000-01-01T00:00:00+02:00"]).len(), 4);
    assert_eq!(runs(&stage, &["--since", "2100-01-01T00:00:00Z"]), [0_i64; 0]);
    stage.run(&["history", "--since", "yesterday"]).exits(64).complains(&["such as 2h or 7d"]);
    stage.run(&["history", "--limit", "0"]).exits(64);
}

#[test]
fn every_attempt_for_one_person_is_found_by_login_source_id_and_target_id() {
    let stage = told();
    let expected =
        [("deactivate", "applied"), ("update", "applied"), ("update", "refused"), ("create", "applied")];
    let document = history(&stage, &["--user", "ann@acme.example"]);
    let first = document["attempts"][3].clone();
    assert_eq!(
        keys(&first),
        [
            "action",
            "approved_by",
            "at",
            "changes",
            "detail",
            "ended_at",
            "outcome",
            "reason",
            "requests",
            "run",
            "source_id",
            "status",
            "sync",
            "target_id",
            "user"
        ]
    );
    let account = stage.sim.world().account("ann@acme.example").unwrap().id;
    assert_eq!(
        (&first["target_id"], &first["status"], &first["run"]),
        (&json!(account), &json!(201), &json!(1))
    );
    for who in ["ann@acme.example", "ANN@Acme.Example", first["source_id"].as_str().unwrap(), &account] {
        let found: Vec<(String, String)> =
            attempts(&stage, who, &[]).into_iter().map(|(action, outcome, _)| (action, outcome)).collect();
        let found: Vec<(&str, &str)> =
            found.iter().map(|(action, outcome)| (&**action, &**outcome)).collect();
        assert_eq!(found, expected, "{who}");
    }
    assert_eq!(
        attempts(&stage, "ann@acme.example", &["--failed"]),
        [("update".into(), "refused".into(), Some(409))]
    );
    assert_eq!(attempts(&stage, "ann@acme.example", &["--limit", "2"]).len(), 2);
    assert_eq!(attempts(&stage, "ann@acme.example", &["--sync", "other"]), []);
    assert_eq!(attempts(&stage, "nobody@acme.example", &[]), []);
    stage
        .run(&["history", "--user", "nobody"])
        .exits(0)
        .says(&["nothing that was sent for nobody is on record"]);
}

#[test]
fn the_text_of_an_attempt_shows_fields_and_words_and_nothing_that_steers() {
    let stage = told();
    let ran = stage.run(&["history", "--user", "ann@acme.example"]).exits(0);
    ran.says(&[
        "title: \"Engineer\" -> \"Mana\\u{1b}[2Jger\\u{202e}\"",
        "refused (409)  run 2 of sync \"default\"",
        "no such luck",
        "active: true -> false",
    ]);
    assert!(
        !ran.stdout.chars().any(|character| character.is_control() && character != '\n'),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains('\u{202e}'));
}

#[test]
fn an_earlier_login_still_finds_the_person() {
    let stage = Stage::new();
    let ann = stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.sim.world().rename(ann, "anna@acme.example");
    stage.reconcile();
    for login in ["ann@acme.example", "anna@acme.example"] {
        assert_eq!(attempts(&stage, login, &[]).len(), 2, "{login}");
    }
}

#[test]
fn a_run_again_is_the_report_of_what_it_sent() {
    let stage = told();
    let document = stage.run(&["history", "--run", "2", "--format", "json"]).exits(0).json();
    assert_eq!(document["schema"], "rosterd.report/1");
    let sync = &document["syncs"][0];
    assert_eq!(
        (&sync["run"], &sync["result"], &sync["mode"]),
        (&json!(2), &json!("partial"), &json!("apply"))
    );
    assert_eq!(sync["summary"]["failed"], 1);
    assert_eq!(action_of(sync, "ann@acme.example"), ("update".to_owned(), "failed".to_owned()));
    let line = &sync["actions"][0];
    assert_eq!((&line["status"], &line["situation"]), (&json!(409), &json!("confirmed")));
    stage.run(&["history", "--run", "1"]).exits(0).says(&[
        "run 1 of sync \"default\": read 2 people",
        "+ created     ann@acme.example",
        "Note: put together again from what is on record",
    ]);
    for wrong in [["--run", "1", "--user", "ann"], ["--run", "1", "--since", "1h"]] {
        stage.run(&["history", wrong[0], wrong[1], wrong[2], wrong[3]]).exits(64);
    }
}

#[test]
fn both_commands_read_beside_a_run_and_tell_that_it_is_open() {
    let stage = told();
    stage.hire("Cleo", "Engineer");
    let (arrived, arrival) = mpsc::channel::<()>();
    let tell = Effect::before(move |_| arrived.send(()).unwrap());
    let never = Effect::Delay(Duration::from_secs(3600));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(tell).then(never));
    let mut living = stage.home.start(&["--reconcile-now"]);
    arrival.recv().unwrap();
    let document = stage.run(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(document["syncs"][0]["open_run"]["run"], 5);
    assert_eq!(runs(&stage, &[]), [5, 4, 3, 2, 1]);
    stage.run(&["status"]).exits(0).says(&["open run      run 5 began"]);
    assert_eq!(attempts(&stage, "cleo@acme.example", &[]), [("create".into(), "unknown".into(), None)]);
    stage
        .run(&["history", "--run", "5"])
        .exits(0)
        .says(&["cleo@acme.example", "this run has no end on record"]);
    living.kill().unwrap();
    living.wait().unwrap();
}

#[test]
fn what_a_crash_left_open_is_unknown_until_the_next_run_settles_it() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let prey = Prey::default();
    let hunter = prey.clone();
    let rule = Fault::on(Peer::Scim).method("POST").nth(1);
    stage
        .sim
        .faults()
        .add(rule.then(Effect::after(move |_| hunter.kill())).then(Effect::Cut(Cut::LostReply)));
    let mut child = stage.home.start(&["--reconcile-now"]);
    prey.is(&child);
    assert_eq!(child.wait().unwrap().code(), None, "killed");
    stage.sim.faults().clear();
    assert_eq!(attempts(&stage, "ann@acme.example", &[]), [("create".into(), "unknown".into(), None)]);
    stage.reconcile();
    let settled = attempts(&stage, "ann@acme.example", &[]);
    assert_eq!(settled.last().unwrap(), &("create".into(), "applied".into(), None));
}
