//! Quarantine of a sync that fails, and people who keep failing.

use super::run_json;
use crate::support::{Ran, Stage, action_of, count, line_of};
use rosterd::sim::{Effect, Fault, Peer, okta_error, scim_error};
use serde_json::{Value, json};

const BY_TIMER: [&str; 2] = ["--reconcile-now", "--unattended"];
const BY_HAND: [&str; 1] = ["--reconcile-now"];
const BEGINS: &str = "this sync is in quarantine now";
const RECOVERED: &str = "recovered: this sync is out of quarantine";

/// Asserts that a run by a timer asks nobody, and says until when and why.
#[track_caller]
fn assert_rests(stage: &Stage, code: i32, why: &str) {
    stage.sim.clear_requests();
    let ran = stage.run(&BY_TIMER).exits(code);
    ran.complains(&[
        "sync \"default\" is not tried before 20",
        "because its credentials were refused",
        why,
        "help:",
        "`rosterd --reconcile-now` tries at once",
    ]);
    assert_eq!(ran.stdout, "");
    let ran = stage.run(&[&BY_TIMER[..], &["--format", "json"]].concat()).exits(code);
    assert_eq!(ran.json()["syncs"], json!([]), "one document, without a run");
    assert!(stage.sim.all_requests().is_empty(), "{ran:?}");
}

/// The source answers something that is no list.
fn break_lists(stage: &Stage) {
    let words = Effect::edit(|reply| reply.body = b"no list".to_vec());
    stage.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(words));
}

#[track_caller]
fn told(ran: &Ran) -> (bool, bool) {
    (ran.stdout.contains(BEGINS), ran.stdout.contains(RECOVERED))
}

/// The refusals on record are made to be so many minutes older.
fn age_refusals(stage: &Stage, minutes: i64) {
    let database = rusqlite::Connection::open(stage.home.database()).unwrap();
    let aged = "UPDATE refused_credentials SET since = since - ?1, refused_at = refused_at - ?1";
    assert_eq!(database.execute(aged, [minutes * 60_000]).unwrap(), 1);
}

#[test]
fn a_token_refused_in_two_runs_leads_into_quarantine_and_a_success_out_of_it() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.home.secret("okta.token", "not-the-token");
    // Whatever a timer asks, refused credentials rest for five minutes.
    assert_eq!(told(&stage.run(&BY_TIMER).exits(5)), (false, false));
    assert_rests(&stage, 5, "401");
    age_refusals(&stage, 6);
    assert_eq!(told(&stage.run(&BY_TIMER).exits(5)), (true, false));
    assert_rests(&stage, 5, "401");
    // By hand it tries at once, and what was told is not told again.
    stage.sim.clear_requests();
    assert_eq!(told(&stage.run(&BY_HAND).exits(5)), (false, false));
    assert!(!stage.sim.all_requests().is_empty());
    assert_rests(&stage, 5, "401");
    stage.home.secret("okta.token", &stage.sim.okta_token());
    assert_eq!(told(&stage.run(&BY_HAND).exits(0)), (false, true));
    stage.hire("Cleo", "Engineer");
    let ran = stage.run(&BY_TIMER).exits(0);
    assert_eq!(told(&ran), (false, false));
    ran.says(&["1 created"]);
}

#[test]
fn a_changed_secret_is_a_reason_for_the_timer_to_try_at_once() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    for (name, right) in [("okta.token", stage.sim.okta_token()), ("workspace.token", stage.sim.scim_token())]
    {
        stage.home.secret(name, "not-the-token");
        stage.hire(name.split('.').next().unwrap(), "Engineer");
        let code = if name == "okta.token" { 5 } else { 6 };
        stage.run(&BY_TIMER).exits(code);
        assert_rests(&stage, code, "401");
        stage.home.secret(name, &right);
        stage.run(&BY_TIMER).exits(0);
    }
}

#[test]
fn a_dry_run_looks_at_once_and_changes_nothing_about_refused_credentials() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.sim.okta(|okta| okta.api_token_valid = false);
    stage.run(&BY_TIMER).exits(5);
    stage.sim.okta(|okta| okta.api_token_valid = true);
    stage.run(&["--dry-run"]).exits(0).says(&["1 unchanged"]);
    assert_rests(&stage, 5, "401");
}

#[test]
fn the_reason_of_a_refusal_steers_no_terminal() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let answer = Effect::Answer(okta_error(401, "E0000011", "no\u{1b}[31m\u{202e}token"));
    stage.sim.faults().add(Fault::on(Peer::Okta).then(answer));
    stage.run(&BY_TIMER).exits(5);
    let ran = stage.run(&BY_TIMER).exits(5);
    ran.complains(&["is not tried before", "\\u{202e}token"]);
    assert!(!ran.all().contains(['\u{1b}', '\u{202e}']), "{ran:?}");
}

#[test]
fn five_failures_in_a_row_at_the_source_lead_into_quarantine() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    // What is no list is not asked for again; a server that fails is, for some seconds, so one of those will do.
    break_lists(&stage);
    for _ in 0..4 {
        assert_eq!(told(&stage.run(&BY_TIMER).exits(5)), (false, false));
    }
    stage.sim.faults().clear();
    let answer = Effect::Answer(okta_error(500, "E0000009", "Internal Server Error"));
    stage.sim.faults().add(Fault::on(Peer::Okta).then(answer));
    assert_eq!(told(&stage.run(&BY_TIMER).exits(5)), (true, false));
    // It is tried at each firing all the same, and that is not told again.
    assert_eq!(told(&stage.run(&BY_TIMER).exits(5)), (false, false));
    stage.sim.faults().clear();
    assert_eq!(told(&stage.run(&BY_HAND).exits(0)), (false, true));
    assert_eq!(told(&stage.run(&BY_TIMER).exits(0)), (false, false));
}

#[test]
fn a_success_in_between_begins_the_count_anew() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let fail_four_times = || {
        break_lists(&stage);
        for _ in 0..4 {
            assert_eq!(told(&stage.run(&BY_TIMER).exits(5)), (false, false));
        }
        stage.sim.faults().clear();
    };
    fail_four_times();
    assert_eq!(told(&stage.run(&BY_TIMER).exits(0)), (false, false));
    fail_four_times();
    stage.run(&BY_TIMER).exits(0);
}

#[test]
fn five_failures_in_a_row_at_the_workspace_lead_into_quarantine_with_its_own_exit_code() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.hire("Ben", "Engineer");
    let page = Effect::answer(404, "text/html", "<html>no such site</html>");
    stage.sim.faults().add(Fault::on(Peer::Scim).then(page));
    let all: Vec<_> = (0..5).map(|_| told(&stage.run(&BY_TIMER).exits(6)).0).collect();
    assert_eq!(all, [false, false, false, false, true]);
    assert_eq!(told(&stage.run(&BY_TIMER).exits(6)), (false, false));
    stage.sim.faults().clear();
    assert_eq!(told(&stage.run(&BY_HAND).exits(0)), (false, true));
}

#[test]
fn a_stale_plan_is_no_failure_of_the_sync() {
    let stage = Stage::new();
    let ann = stage.hire("Ann", "Engineer");
    let path = stage.home.path().join("plan.rosterd");
    let path = path.to_str().unwrap();
    stage.run(&["plan", "--out", path]).exits(0);
    stage.sim.world().edit(ann, |person| person.title = Some("Manager".to_owned()));
    for _ in 0..5 {
        assert_eq!(told(&stage.run(&["apply", path]).exits(4)), (false, false));
    }
    stage.run(&BY_TIMER).exits(0).says(&["1 created"]);
}

/// What became of Ben, and the words about it.
#[track_caller]
fn ben_of(sync: &Value) -> (String, String) {
    let (_, outcome) = action_of(sync, "ben@acme.example");
    (outcome, line_of(sync, "ben@acme.example")["detail"].as_str().unwrap_or_default().to_owned())
}

/// Ann and Ben have accounts, and the workspace refuses to write to Ben's, whose title has changed.
fn ben_fails() -> Stage {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.sim.world().edit(people[1], |person| person.title = Some("Manager".to_owned()));
    let id = stage.sim.world().account("ben@acme.example").unwrap().id;
    let refusal = Effect::Answer(scim_error(403, None, "not Ben"));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").path(&id).then(refusal));
    stage
}

#[test]
fn somebody_who_keeps_failing_is_listed_in_every_report_and_blocks_nobody() {
    let stage = ben_fails();
    let mut story = Vec::new();
    for joiner in ["Cleo", "Dan", "Eve", "Fay", "Gus", "Hal"] {
        stage.hire(joiner, "Engineer");
        let dry = run_json(&stage, &["--dry-run"], 0);
        let ran = stage.run(&["--reconcile-now", "--format", "json"]);
        let sync = ran.sync();
        let (outcome, detail) = ben_of(&sync);
        // Waiting has no exit code of its own.
        assert_eq!(ran.code, Some(if outcome == "failed" { 3 } else { 0 }), "{ran:?}");
        assert_eq!(count(&sync, "create"), 1, "{sync:#}");
        assert_eq!(
            ben_of(&dry).0 == "deferred",
            outcome == "deferred",
            "the dry run says what the run will do"
        );
        story.push(detail);
    }
    assert_eq!(
        story,
        [
            "not Ben",
            "not Ben",
            "failed 2 times, tried again in 1 run: not Ben",
            "not Ben",
            "failed 3 times, tried again in 3 runs: not Ben",
            "failed 3 times, tried again in 2 runs: not Ben",
        ]
    );
    // The fault ends: by itself it is tried in its turn.
    stage.sim.faults().clear();
    assert_eq!(ben_of(&stage.reconcile()).1, "failed 3 times, tried again in 1 run: not Ben");
    assert_eq!(ben_of(&stage.reconcile()).0, "applied");
    assert_eq!(count(&stage.reconcile(), "unchanged"), 8);
}

#[test]
fn naming_somebody_who_keeps_failing_tries_at_once() {
    let stage = ben_fails();
    for _ in 0..2 {
        run_json(&stage, &["--reconcile-now"], 3);
    }
    assert_eq!(ben_of(&stage.reconcile()).0, "deferred");
    stage.sim.faults().clear();
    let sync = run_json(&stage, &["--reconcile-now", "--user", "ben@acme.example"], 0);
    assert_eq!(ben_of(&sync).0, "applied");
    assert_eq!(count(&stage.reconcile(), "unchanged"), 2);
}
