//! `plan --out` and `apply`: exactly what was read, or nothing and the reason.

use super::{TWENTY, gone, is_active, run_json, unassign};
use crate::support::{Ran, Stage, action_of, count};
use insta::assert_snapshot;
use rosterd::model::saved_plan::{SavedPlan, SavedSync, VALID_MILLIS};
use rosterd::model::time::Millis;
use rosterd::sim::PersonId;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Four people with accounts; Ann has left, Ben has another title, Joiner has come.
fn story() -> (Stage, Vec<PersonId>) {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
    stage.reconcile();
    stage.sim.world().unassign(people[0]);
    stage.sim.world().edit(people[1], |person| person.title = Some("Manager".to_owned()));
    stage.hire("Joiner", "Engineer");
    stage.sim.clear_requests();
    (stage, people)
}

fn path(stage: &Stage) -> String {
    stage.home.path().join("plan.rosterd").to_str().unwrap().to_owned()
}

/// Saves a plan and gives its path.
#[track_caller]
fn saved(stage: &Stage) -> String {
    let path = path(stage);
    stage.run(&["plan", "--out", &path]).exits(0);
    path
}

fn read(path: &str) -> SavedPlan {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn write(path: &str, plan: &SavedPlan) {
    fs::write(path, serde_json::to_string(plan).unwrap()).unwrap();
}

/// Asserts that a plan is refused with exit code 4 and these words, and that nothing is written.
#[track_caller]
fn refused(stage: &Stage, path: &str, words: &[&str]) -> Ran {
    stage.sim.clear_requests();
    let ran = stage.run(&["apply", path]).exits(4);
    let all = ran.all();
    for word in words.iter().chain(&["help: make and read a new one with `rosterd plan --out FILE`"]) {
        assert!(all.contains(word), "no {word:?} in\n{all}");
    }
    assert!(!all.contains("\\u{a}"), "lines are lines: {all}");
    assert!(stage.sim.writes().is_empty());
    ran
}

#[test]
fn a_plan_is_shown_and_saved_for_its_owner_alone() {
    let (stage, _) = story();
    let path = path(&stage);
    fs::write(&path, "the plan of yesterday").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = stage.run(&["plan", "--out", &path]).exits(0);
    ran.says(&[
        "dry run of sync \"default\"",
        "title: \"Engineer\" -> \"Manager\"",
        "Plan: 1 to create, 1 to update, 1 to deactivate, 2 unchanged.",
        "Nothing was written.",
    ]);
    ran.complains(&[&format!(
        "saved to {path}; `rosterd apply {path}` carries out exactly this, within 24 hours"
    )]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let plan: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(plan["schema"], "rosterd.plan/1");
    assert_eq!(plan["syncs"][0]["sync"], "default");
    assert_eq!(plan["syncs"][0]["actions"].as_array().unwrap().len(), 3);
    assert!(stage.sim.writes().is_empty());
    let names = fs::read_dir(stage.home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".tmp")));
}

#[test]
fn a_plan_ends_with_2_where_that_was_asked_for_and_something_is_pending() {
    let (stage, _) = story();
    let path = path(&stage);
    stage.run(&["plan", "--out", &path, "--detailed-exitcode"]).exits(2).complains(&["saved to"]);
    stage.run(&["apply", &path]).exits(0);
    stage.run(&["plan", "--out", &path, "--detailed-exitcode"]).exits(0);
    stage.run(&["apply", &path]).exits(0).says(&["nothing to do"]);
}

#[test]
fn exactly_the_saved_plan_is_carried_out() {
    let (stage, people) = story();
    let path = saved(&stage);
    stage.hire("Later", "Engineer");
    stage.sim.world().unassign(people[3]);
    let sync = run_json(&stage, &["apply", &path], 0);
    assert_eq!((sync["mode"].as_str(), sync["trigger"].as_str()), (Some("apply"), Some("plan-file")));
    for (name, verb) in [("ann", "deactivate"), ("ben", "update"), ("joiner", "create")] {
        let user = format!("{name}@acme.example");
        assert_eq!(action_of(&sync, &user), (verb.to_owned(), "applied".to_owned()));
    }
    assert_eq!(sync["actions"].as_array().unwrap().len(), 3);
    assert!(stage.sim.world().account("later@acme.example").is_none() && is_active(&stage, "dan"));
    // What it rests on is done.
    refused(&stage, &path, &["ann@acme.example: no longer planned"]);
}

#[test]
fn a_dry_run_of_a_plan_writes_nothing() {
    let (stage, people) = story();
    let path = saved(&stage);
    stage.hire("Later", "Engineer");
    for arguments in
        [["apply", "--dry-run", &path], ["apply", &path, "--dry-run"], ["--dry-run", "apply", &path]]
    {
        let sync = run_json(&stage, &arguments, 0);
        assert_eq!((sync["mode"].as_str(), sync["run"].clone()), (Some("dry-run"), Value::Null));
        assert_eq!((count(&sync, "create"), count(&sync, "update"), count(&sync, "deactivate")), (1, 1, 1));
    }
    stage.sim.world().assign(people[0]);
    stage.run(&["apply", "--dry-run", &path]).exits(4).says(&["ann@acme.example: no longer planned"]);
    assert!(stage.sim.writes().is_empty());
}

#[test]
fn an_edited_plan_is_refused() {
    let (stage, _) = story();
    let path = saved(&stage);
    let text = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("Manager", "Director"),
        ("joiner@acme.example", "mallory@acme.example"),
        ("\"deactivate\"", "\"delete\""),
        ("\"created_at\":", "\"created_at\":1"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        refused(&stage, &path, &["error: cannot apply ", "it was edited after it was made"]);
    }
    // Nor does leaving somebody out pass.
    let mut plan = read(&path_with(&path, &text));
    plan.syncs[0].actions.remove(0);
    write(&path, &plan);
    refused(&stage, &path, &["it was edited after it was made"]);
    assert!(stage.sim.all_requests().is_empty());
    fs::write(&path, &text).unwrap();
    stage.run(&["apply", &path]).exits(0);
}

/// Writes the text and gives the path again.
fn path_with(path: &str, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.to_owned()
}

#[test]
fn what_is_no_plan_is_refused() {
    let (stage, _) = story();
    let path = saved(&stage);
    let text = fs::read_to_string(&path).unwrap();
    for other in
        [&text[..text.len() / 2], "", "plan: everything\n", "{}", "[]", "{\"schema\": \"rosterd.report/1\"}"]
    {
        fs::write(&path, other).unwrap();
        refused(&stage, &path, &["error: cannot apply ", "it is no plan"]);
    }
    fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    refused(&stage, &path, &["error: cannot apply ", "it is no plan"]);
    fs::write(&path, text.replacen("rosterd.plan/1", "rosterd.plan/2", 1)).unwrap();
    refused(&stage, &path, &["it is a rosterd.plan/2, this rosterd applies rosterd.plan/1"]);
    assert!(stage.sim.all_requests().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_in_the_call() {
    let (stage, _) = story();
    let missing = stage.home.path().join("missing.rosterd");
    let ran = stage.run(&["apply", missing.to_str().unwrap()]).exits(64);
    ran.complains(&["error: cannot read ", "missing.rosterd", "No such file", "help:"]);
    stage.run(&["apply", stage.home.path().to_str().unwrap()]).exits(64).complains(&["cannot read", "help:"]);
    let nowhere = stage.home.path().join("missing/plan");
    let ran = stage.run(&["plan", "--out", nowhere.to_str().unwrap()]).exits(1);
    ran.complains(&["error: cannot write the plan to", "help:"]);
    assert!(stage.sim.writes().is_empty());
}

#[test]
fn a_plan_of_another_configuration_is_refused() {
    let (stage, _) = story();
    let path = saved(&stage);
    stage.configure("guard = { max_removals = 5 }");
    refused(&stage, &path, &["the configuration has changed since it was made"]);
    let other = stage.source().replace("app_id = \"", "app_id = \"0oanother");
    stage.home.configure(&format!("[[sync]]\nsource = {{ {other} }}\n{}\n", stage.target("")));
    refused(&stage, &path, &["the configuration has changed since it was made"]);
    assert!(stage.sim.all_requests().is_empty());
    stage.configure("");
    stage.run(&["apply", &path]).exits(0);
}

#[test]
fn a_plan_for_another_sync_or_another_app_is_refused() {
    let (stage, _) = story();
    let path = saved(&stage);
    let SavedPlan { created_at, config, syncs, .. } = read(&path);
    let made = |change: &dyn Fn(&mut SavedSync)| {
        let mut syncs = syncs.clone();
        change(&mut syncs[0]);
        write(&path, &SavedPlan::new(created_at, config.clone(), syncs));
    };
    made(&|sync| sync.sync = "other".to_owned());
    refused(&stage, &path, &["there is no sync \"other\" here"]);
    made(&|sync| sync.bound_to = sync.bound_to.replace("okta app ", "okta app 0oanother"));
    let app = stage.sim.okta_app_id();
    refused(
        &stage,
        &path,
        &[&format!("it was made for okta app 0oanother{app}"), &format!("and here is okta app {app}")],
    );
    assert!(stage.sim.all_requests().is_empty());
}

#[test]
fn a_plan_that_is_older_than_a_day_is_refused() {
    let (stage, _) = story();
    let path = saved(&stage);
    let SavedPlan { created_at, config, syncs, .. } = read(&path);
    for away in [VALID_MILLIS, -3_600_000] {
        let made = Millis(created_at.0 - away);
        write(&path, &SavedPlan::new(made, config.clone(), syncs.clone()));
        refused(&stage, &path, &[&format!("it was made on {}", made.rfc3339()), "a plan holds for 24 hours"]);
    }
    assert!(stage.sim.all_requests().is_empty());
    let almost = Millis(created_at.0 - VALID_MILLIS + 600_000);
    write(&path, &SavedPlan::new(almost, config, syncs));
    stage.run(&["apply", &path]).exits(0);
}

#[test]
fn a_plan_is_stale_where_a_person_has_changed_at_the_source() {
    let (stage, people) = story();
    let path = saved(&stage);
    stage.sim.world().edit(people[1], |person| person.title = Some("Director".to_owned()));
    let ran = refused(&stage, &path, &["ben@acme.example: the values it rests on have changed"]);
    assert_snapshot!(stage.redact(&ran.stdout), @r#"
    run 2 of sync "default": read 4 people in 1 page from Okta, complete

    The run failed.
    Seats: 4 billable before, 4 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
    Note: the saved plan is stale, so nothing was written: ben@acme.example: the values it rests on have changed
      help: make and read a new one with `rosterd plan --out FILE`
    "#);
    let sync = run_json(&stage, &["apply", &path], 4);
    assert_eq!(sync["actions"], json!([]), "{sync:#}");
    assert!(
        sync["notes"][0].as_str().unwrap().starts_with("the saved plan is stale, so nothing was written: ")
    );
    stage.sim.world().assign(people[0]);
    refused(
        &stage,
        &path,
        &["ann@acme.example: no longer planned", "ben@acme.example: the values it rests on"],
    );
}

#[test]
fn a_plan_is_stale_where_a_link_has_moved() {
    let (stage, people) = story();
    // The account is deleted and another one stands in its place.
    stage.configure("lifecycle = { recreate = true }");
    let path = saved(&stage);
    let id = stage.sim.world().account("ben@acme.example").unwrap().id;
    stage.sim.world().delete_account(&id);
    stage.run(&["--reconcile-now", "--user", "ben@acme.example"]);
    stage.run(&["--reconcile-now", "--user", "ben@acme.example"]).exits(0).says(&["1 created"]);
    stage.sim.world().edit(people[1], |person| person.title = Some("Engineer".to_owned()));
    stage.run(&["--reconcile-now", "--user", "ben@acme.example"]).exits(0).says(&["1 updated"]);
    // The same change as in the plan, for another account.
    stage.sim.world().edit(people[1], |person| person.title = Some("Manager".to_owned()));
    refused(&stage, &path, &["ben@acme.example: the values it rests on have changed"]);
}

#[test]
fn a_plan_passes_the_guards_like_any_run() {
    let stage = Stage::new();
    let people = stage.hire_all(&TWENTY);
    stage.reconcile();
    unassign(stage.sim.world(), &people[..2]);
    let path = saved(&stage);
    // Meanwhile others leave: the hour's removals count together.
    unassign(stage.sim.world(), &people[2..4]);
    stage.run(&["--reconcile-now", "--user", "cleo@acme.example", "--user", "dan@acme.example"]).exits(0);
    let sync = run_json(&stage, &["apply", &path], 4);
    assert_eq!((count(&sync, "held"), count(&sync, "deactivate")), (2, 0));
    let hold = &sync["holds"][0];
    assert!(
        hold["reason"].as_str().unwrap().starts_with("2 removals planned and 2 sent in the last hour"),
        "{hold}"
    );
    assert_eq!(gone(&stage), 2);
    stage.run(&["approve", "h1", "--yes"]).exits(0);
    assert_eq!(gone(&stage), 4);
}

#[test]
fn what_would_be_held_is_shown_and_is_no_part_of_a_plan() {
    let (stage, _) = super::five_left();
    stage.hire("Joiner", "Engineer");
    let path = path(&stage);
    let ran = stage.run(&["plan", "--out", &path]).exits(0);
    ran.says(&["Would be held: deactivate for 5 people", "1 to create, 5 held for approval or a seat"]);
    assert_eq!(read(&path).syncs[0].actions.len(), 1);
    run_json(&stage, &["apply", &path], 0);
    assert_eq!(gone(&stage), 0);
    assert!(is_active(&stage, "joiner"));
}

#[test]
fn a_plan_that_could_not_be_made_completely_is_not_saved() {
    let (stage, _) = story();
    stage.home.secret("okta.token", "not-the-token");
    let path = path(&stage);
    stage.run(&["plan", "--out", &path]).exits(5).complains(&["the plan was not saved"]);
    assert!(!fs::exists(&path).unwrap());
}
