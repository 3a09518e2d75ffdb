//! The history as a record: verified, pruned, erased, and what is done beside the runs, at the real binary.

use crate::support::{Prey, Stage, typed};
use rosterd::sim::{Effect, Fault, Peer};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Ann was here and left; Ben is still here.
fn with_a_leaver() -> Stage {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.sim.world().unassign(people[0]);
    stage.reconcile();
    stage
}

fn verified(stage: &Stage, code: i32) -> Value {
    let document = stage.run(&["history", "--verify", "--format", "json"]).exits(code).json();
    assert_eq!(document["schema"], "rosterd.history/1");
    document["chain"].clone()
}

fn events(stage: &Stage) -> Vec<Value> {
    let document = stage.run(&["history", "--format", "json"]).exits(0).json();
    document["events"].as_array().unwrap().clone()
}

fn sql(stage: &Stage, sql: &str) {
    Connection::open(stage.home.database()).unwrap().execute_batch(sql).unwrap();
}

/// Files of the state directory that hold this word.
fn files_with(stage: &Stage, word: &str) -> Vec<String> {
    let entries = std::fs::read_dir(stage.home.state()).unwrap();
    let holding = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).to_lowercase();
        text.contains(&word.to_lowercase())
    });
    holding.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn source_id(stage: &Stage, login: &str) -> String {
    let document = stage.run(&["history", "--user", login, "--format", "json"]).exits(0).json();
    document["attempts"][0]["source_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_history_that_fits_is_told_with_its_head_which_the_log_has() {
    let stage = with_a_leaver();
    stage.sim.world().hire_assigned("cleo@acme.example", |_| {});
    let ran = stage.run(&["--reconcile-now", "--log-format", "json"]).exits(0);
    let logged = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let head = logged.filter_map(|line| line["chain_head"].as_str().map(str::to_owned)).next_back().unwrap();
    let chain = verified(&stage, 0);
    assert_eq!(chain["head"], head);
    assert_eq!((&chain["intact"], &chain["entries"], &chain["runs"]), (&json!(true), &json!(8), &json!(3)));
    assert_eq!(
        (&chain["erased"], &chain["pruned"], &chain["broken"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    stage.run(&["history", "--verify"]).exits(0).says(&[
        "the history verifies: 8 entries since ",
        "0 of them erased; 3 run ends fit",
        "nothing was pruned",
        &format!("head {head} at entry 8"),
    ]);
}

#[test]
fn a_history_that_was_altered_names_the_entry_and_ends_with_1() {
    let stage = with_a_leaver();
    sql(&stage, "UPDATE journal SET payload = replace(payload, 'ann@', 'eve@') WHERE seq = 5");
    let broken = verified(&stage, 1)["broken"].clone();
    assert_eq!((&broken["entry"], &broken["run"]), (&json!(5), &json!(2)));
    stage.run(&["history", "--verify"]).exits(1).says(&[
        "the history does not verify: at entry 5, run 2, ",
        "its content was changed",
        "4 entries before it are as they were written",
    ]);
    stage.run(&["history", "--verify", "--user", "ann"]).exits(64);
}

#[test]
fn it_verifies_without_any_state_and_beside_a_run() {
    let stage = Stage::new();
    stage.run(&["history", "--verify"]).exits(0).says(&["no run yet"]);
    stage.hire("Ann", "Engineer");
    let (arrived, arrival) = std::sync::mpsc::channel::<()>();
    let tell = Effect::before(move |_| arrived.send(()).unwrap());
    let never = Effect::Delay(std::time::Duration::from_secs(3600));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(tell).then(never));
    let mut living = stage.home.start(&["--reconcile-now"]);
    arrival.recv().unwrap();
    assert_eq!(verified(&stage, 0)["entries"], 1);
    living.kill().unwrap();
    living.wait().unwrap();
    assert_eq!(verified(&stage, 0)["entries"], 1, "after a crash, too");
}

#[test]
fn history_that_is_too_old_goes_after_a_run_and_a_dry_run_removes_nothing() {
    let stage = with_a_leaver();
    let sides = stage.sides();
    stage.home.configure(&format!("keep_history = \"31d\"\n[[sync]]\n{sides}\n"));
    // It was pruned, with nothing to prune, in these runs of today.
    let age = 40_i64 * 24 * 3600 * 1000;
    let older = format!(
        "UPDATE journal SET at = at - {age}; DELETE FROM meta WHERE key = 'pruned_at';
         UPDATE run SET started_at = started_at - {age}, finished_at = finished_at - {age};"
    );
    sql(&stage, &older);
    // What cannot be taken back waits for a clock that was confirmed a day before, too.
    let database = Connection::open(stage.home.database()).unwrap();
    let mut confirmed =
        database.prepare("SELECT key, value FROM meta WHERE key LIKE 'clock_confirmed%'").unwrap();
    let times: Vec<(String, [u8; 8])> = confirmed
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(!times.is_empty());
    for (key, at) in times {
        let before = (i64::from_le_bytes(at) - age).to_le_bytes();
        let set = "UPDATE meta SET value = ?2 WHERE key = ?1";
        database.execute(set, rusqlite::params![key, before.as_slice()]).unwrap();
    }
    let runs = |stage: &Stage| {
        let document = stage.run(&["history", "--format", "json"]).exits(0).json();
        document["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["run"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    stage.run(&["--dry-run"]).exits(0);
    assert_eq!(runs(&stage), [2, 1]);
    stage.reconcile();
    assert_eq!(runs(&stage), [3]);
    let chain = verified(&stage, 0);
    assert_eq!((&chain["pruned"]["entry"], &chain["entries"]), (&json!(6), &json!(1)));
    let pruned = &events(&stage)[0];
    assert_eq!(
        (&pruned["event"], &pruned["by"], &pruned["sync"]),
        (&json!("prune"), &json!("rosterd"), &Value::Null)
    );
    assert_eq!(pruned["counts"], json!({"entries": 6, "runs": 2}));
    stage.run(&["history", "--verify"]).exits(0).says(&["pruned up to entry 6 on "]);
    stage
        .run(&["history"])
        .exits(0)
        .says(&["prune  history that was too old was removed by rosterd", "entries: 6, runs: 2"]);
    // Nobody is touched because of it.
    stage.sim.clear_requests();
    stage.reconcile();
    assert!(stage.sim.writes().is_empty());
}

#[test]
fn a_leaver_who_is_erased_is_nowhere_in_the_state() {
    let stage = with_a_leaver();
    let (login, id) = ("ann@acme.example", source_id(&stage, "ann@acme.example"));
    let account = stage.sim.world().account(login).unwrap().id;
    stage.sim.clear_requests();
    let aside = stage.home.state().join("rosterd.db.damaged-20260101T000000Z");
    std::fs::write(&aside, "an earlier state").unwrap();
    let ran = stage.run(&["history", "--erase", login, "--yes"]).exits(0);
    ran.complains(&[
        &format!("{id} of sync \"default\" ({login}): 4 entries of the history, the last of "),
        &format!("the link to account {account}, which is not active, goes"),
        "erased: 4 entries of the history, 2 other records; the chain still fits",
        "the seat of an account whose link went is not counted any more, and is paid for until",
        "not erased: backups of the state, saved reports and plans, and the log",
        &format!("not erased: {}, an earlier state; delete it", aside.display()),
    ]);
    for word in [login, &id, &account, "\"Ann\""] {
        assert_eq!(files_with(&stage, word), [""; 0], "{word}");
    }
    assert!(!files_with(&stage, "ben@acme.example").is_empty());
    assert!(stage.sim.all_requests().is_empty(), "nobody else is told");
    let chain = verified(&stage, 0);
    assert_eq!((&chain["erased"], &chain["entries"]), (&json!(4), &json!(7)));
    let erased = &events(&stage)[0];
    assert_eq!(
        (&erased["event"], &erased["user"], &erased["source_id"]),
        (&json!("erase"), &Value::Null, &Value::Null)
    );
    assert_eq!(erased["counts"]["entries"], 4);
    assert!(erased["by"].as_str().unwrap().starts_with("uid "));
    stage.run(&["history", "--user", login]).exits(0).says(&["nothing that was sent for"]);
    stage.run(&["history", "--run", "1"]).exits(0).says(&["(erased)", "ben@acme.example"]);
    stage
        .run(&["history", "--erase", login, "--yes"])
        .exits(64)
        .complains(&["nothing about ann@acme.example is on record"]);
    // Who left and is not known any more is left alone.
    stage.sim.clear_requests();
    stage.reconcile();
    assert!(stage.sim.writes().is_empty());
}

#[test]
fn who_has_an_active_account_is_told_that_the_link_stays() {
    let stage = with_a_leaver();
    let ran = stage.run(&["history", "--erase", "ben@acme.example", "--yes"]).exits(0);
    ran.complains(&["stays, because the account is active", "erased: 2 entries of the history"]);
    assert!(!ran.stderr.contains("the seat of an account"), "{}", ran.stderr);
    stage.sim.clear_requests();
    stage.reconcile();
    assert!(stage.sim.writes().is_empty(), "ben is still ours");
    stage.run(&["history", "--user", "ben@acme.example"]).exits(0).says(&["nothing that was sent for"]);
    verified(&stage, 0);
}

#[test]
fn nothing_is_erased_in_a_dry_run_nor_without_a_yes() {
    let stage = with_a_leaver();
    let erase = ["history", "--erase", "ann@acme.example"];
    stage.run(&erase).exits(64).complains(&["4 entries of the history", "--yes"]);
    stage.run(&[erase.as_slice(), &["--dry-run"]].concat()).exits(0).complains(&["nothing was erased"]);
    typed(&stage, &erase, "n\n")
        .exits(0)
        .complains(&["Erase this? It cannot be brought back.", "nothing was erased"]);
    assert_eq!(verified(&stage, 0)["erased"], 0);
    stage
        .run(&["history", "--erase", "nobody", "--yes"])
        .exits(64)
        .complains(&["nothing about nobody is on record"]);
    stage.run(&["history", "--yes"]).exits(64);
    stage.run(&["history", "--erase", "ann@acme.example", "--verify"]).exits(64);
    typed(&stage, &erase, "y\n").exits(0).complains(&["erased: 4 entries"]);
}

#[test]
fn a_write_that_is_not_settled_is_not_erased() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let prey = Prey::default();
    let hunter = prey.clone();
    let rule = Fault::on(Peer::Scim).method("POST").nth(1);
    stage.sim.faults().add(rule.then(Effect::before(move |_| hunter.kill())));
    let mut child = stage.home.start(&["--reconcile-now"]);
    prey.is(&child);
    assert_eq!(child.wait().unwrap().code(), None, "killed");
    stage.sim.faults().clear();
    let ran = stage.run(&["history", "--erase", "ann@acme.example", "--yes"]).exits(1);
    ran.complains(&["is not settled yet, so nothing was erased"]);
    stage.reconcile();
    stage.run(&["history", "--erase", "ann@acme.example", "--yes"]).exits(0);
}

#[test]
fn a_login_of_two_people_asks_for_the_source_id() {
    let stage = Stage::new();
    let leaver = stage.hire_all(&["Ann", "Ben"])[0];
    stage.reconcile();
    stage.sim.world().unassign(leaver);
    stage.reconcile();
    let first = source_id(&stage, "ann@acme.example");
    let account = stage.sim.world().account("ann@acme.example").unwrap().id;
    stage.sim.world().delete_account(&account);
    stage.sim.world().rename(leaver, "ann.old@acme.example");
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let ran = stage.run(&["history", "--erase", "ann@acme.example", "--yes"]).exits(64);
    ran.complains(&["means more than one person", &first, "give the source id"]);
    stage.run(&["history", "--erase", &first, "--yes"]).exits(0).complains(&["erased: 4 entries"]);
}

#[test]
fn what_is_done_beside_the_runs_is_in_the_history() {
    let stage = with_a_leaver();
    stage.run(&["forget", "ben@acme.example", "--yes"]).exits(0);
    let id = source_id(&stage, "ben@acme.example");
    stage.run(&["forget", "--lift", &id]).exits(0);
    stage.run(&["rebuild", "--yes"]).exits(0);
    stage.run(&["rebuild", "--yes"]).exits(0);
    let sides = stage.sides();
    stage.home.configure(&format!("[[sync]]\nname = \"new\"\n{sides}\n"));
    stage.run(&["transfer", "--from", "default", "--to", "new", "--yes"]).exits(0);
    let told = events(&stage);
    let kinds: Vec<&str> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["transfer", "rebuild", "lift", "forget"], "{told:#?}");
    let mut keys: Vec<&String> = told[0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["at", "by", "counts", "detail", "event", "source_id", "sync", "user"]);
    assert_eq!((&told[0]["sync"], &told[0]["counts"]), (&json!("new"), &json!({"links": 2})));
    assert_eq!((&told[1]["counts"], &told[1]["detail"]), (&json!({"links": 1}), &Value::Null));
    assert_eq!((&told[3]["user"], &told[3]["source_id"]), (&json!("ben@acme.example"), &json!(id)));
    stage.run(&["history"]).exits(0).says(&[
        "forget  sync \"default\"  a link was dropped by uid ",
        &format!("    ben@acme.example; person {id}"),
        "transfer  sync \"new\"  links were handed over by uid ",
        "    links: 2; from \"default\" to \"new\"",
    ]);
    let of_ben = stage.run(&["history", "--user", "ben@acme.example", "--format", "json"]).exits(0).json();
    assert_eq!(of_ben["events"].as_array().unwrap().len(), 2);
    // Only what is no failure.
    let failed = stage.run(&["history", "--failed", "--format", "json"]).exits(0).json();
    assert_eq!(failed["events"], json!([]));
    verified(&stage, 0);
}

#[test]
fn who_decided_and_who_stopped_the_writes_is_in_the_history() {
    let stage = Stage::new();
    stage.configure("guard = { approval = [\"create\"] }");
    stage.hire_all(&["Ann", "Ben"]);
    stage.run(&["--reconcile-now"]).exits(4);
    stage.run(&["approve", "h1", "--yes", "--no-run"]).exits(0);
    stage.run(&["pause", "--for", "1h"]).exits(0);
    stage.run(&["resume"]).exits(0);
    stage.run(&["--reconcile-now"]).exits(0);
    stage.hire("Cleo", "Engineer");
    stage.run(&["--reconcile-now"]).exits(4);
    stage.run(&["reject", "h2"]).exits(0);
    let events = events(&stage);
    let told = |event: &Value| (event["event"].clone(), event["counts"].clone(), event["detail"].clone());
    let kinds: Vec<_> = events.iter().rev().map(told).collect();
    assert_eq!(kinds[0], (json!("approve"), json!({"people": 2}), json!("h1")));
    assert_eq!((&kinds[1].0, &kinds[2].0), (&json!("pause"), &json!("resume")));
    assert!(kinds[1].2.as_str().unwrap().starts_with("until "), "{kinds:?}");
    assert_eq!(kinds[3], (json!("reject"), json!({"people": 1}), json!("h2")));
    assert!(events.iter().all(|event| event["by"].as_str().unwrap().starts_with("uid ")), "{events:?}");
    stage.run(&["history"]).exits(0).says(&[
        "a hold was released",
        "2 people",
        "writes were stopped",
        "uid ",
    ]);
    verified(&stage, 0);
}

#[test]
fn a_damaged_state_that_was_moved_aside_is_on_record_in_the_new_one() {
    let stage = with_a_leaver();
    std::fs::write(stage.home.database(), b"nothing that SQLite knows").unwrap();
    stage.run(&["rebuild", "--yes"]).exits(0);
    let told = events(&stage);
    assert_eq!((told.len(), &told[0]["event"]), (1, &json!("rebuild")));
    assert_eq!(told[0]["detail"], "a damaged state was moved aside before");
}

#[test]
fn the_age_of_the_credentials_counts_from_the_first_run_with_them() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let credentials = |stage: &Stage| {
        let output = stage.run(&["status", "--format", "json"]);
        output.json()["syncs"][0]["credentials"].clone()
    };
    assert_eq!(credentials(&stage), json!({"source_since": null, "target_since": null}));
    stage.reconcile();
    let day = 24_i64 * 3600 * 1000;
    let older = format!(
        "UPDATE sync SET source_secret_since = source_secret_since - 113 * {day},
                         target_secret_since = target_secret_since - {day}"
    );
    sql(&stage, &older);
    let before = credentials(&stage);
    let secrets = [stage.home.path().join("okta.token"), stage.home.path().join("workspace.token")];
    let aside: Vec<Vec<u8>> = secrets.iter().map(|path| std::fs::read(path).unwrap()).collect();
    secrets.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let ran = stage.run(&["status"]).exits(0);
    ran.says(&["tokens        source since ", "(113 days), workspace since ", "(1 day)"]);
    secrets.iter().zip(aside).for_each(|(path, text)| {
        stage.home.secret(path.file_name().unwrap().to_str().unwrap(), &String::from_utf8(text).unwrap());
    });
    stage.reconcile();
    assert_eq!(credentials(&stage), before, "the same secret is as old as it was");
    stage.sim.scim(|scim| scim.token = "another-token".to_owned());
    stage.home.secret("workspace.token", "another-token");
    stage.reconcile();
    let after = credentials(&stage);
    assert_eq!(after["source_since"], before["source_since"]);
    assert_ne!(after["target_since"], before["target_since"]);
    for secret in [stage.sim.okta_token(), "another-token".to_owned()] {
        assert_eq!(files_with(&stage, &secret), [""; 0]);
    }
}
