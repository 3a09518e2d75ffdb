//! What is owed, from outside: the leavers who still have access, what keeps them, and the commands that decide.

use crate::support::{Ran, Stage, line_of, me, typed};
use rosterd::sim::{Effect, Fault, Peer, PersonId, okta_error, scim_error};
use rusqlite::Connection;
use serde_json::{Value, json};

fn ten() -> (Stage, Vec<PersonId>) {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"]);
    stage.reconcile();
    (stage, people)
}

/// Ten linked people, the first five of whom left and wait in a hold.
fn five_held() -> (Stage, Vec<PersonId>) {
    let (stage, people) = ten();
    people[..5].iter().for_each(|person| stage.sim.world().unassign(*person));
    stage.run(&["--reconcile-now"]).exits(4);
    (stage, people)
}

fn status(stage: &Stage, code: i32) -> Value {
    stage.run(&["status", "--format", "json"]).exits(code).json()["syncs"][0].clone()
}

fn leavers(sync: &Value) -> Vec<(String, String)> {
    let words = |leaver: &Value, key: &str| leaver[key].as_str().unwrap().to_owned();
    let all = sync["leavers_with_access"].as_array().unwrap();
    all.iter().map(|leaver| (words(leaver, "user"), words(leaver, "waits_for"))).collect()
}

fn is_active(stage: &Stage, name: &str) -> bool {
    stage.sim.world().account(&format!("{name}@acme.example")).unwrap().at("/active") == json!(true)
}

#[test]
fn status_begins_with_the_leavers_who_still_have_access() {
    let (stage, _) = five_held();
    let ran = stage.run(&["status"]).exits(1);
    let first: Vec<&str> = ran.stdout.lines().take(3).collect();
    assert!(first[1].contains("leavers       5 with access, the longest first:"), "{first:#?}");
    assert!(first[2].contains("@acme.example  unassigned, owed since 20"), "{first:#?}");
    assert!(first[2].contains("; waits for an approval; `rosterd holds` shows it"), "{first:#?}");
    let sync = status(&stage, 1);
    assert!(leavers(&sync).contains(&("ann@acme.example".to_owned(), "approval".to_owned())), "{sync:#}");
    let mut keys: Vec<&String> = sync["leavers_with_access"][0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["cause", "detail", "next_try", "since", "source_id", "user", "waits_for"]);
    // The document itself has them first in each sync, behind its name.
    let text = stage.run(&["status", "--format", "json"]).exits(1).stdout;
    assert!(text.contains("\"syncs\":[{\"sync\":\"default\",\"leavers_with_access\":[{\"user\":"), "{text}");
    stage.run(&["approve", "h1", "--yes"]).exits(0);
    assert_eq!(leavers(&status(&stage, 0)), []);
}

#[test]
fn a_removal_that_fails_with_503_is_exit_3_and_a_line_until_it_is_done() {
    let (stage, people) = ten();
    stage.sim.world().unassign(people[0]);
    let refusal = scim_error(503, None, "read only");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(Effect::Answer(refusal)));
    let since = |report: &Value| {
        let line = line_of(report, "ann@acme.example");
        assert_eq!((&line["cause"], &line["waits_for"]), (&json!("unassigned"), &json!("retry")), "{line:#}");
        line["owed_since"].as_str().unwrap().to_owned()
    };
    let first = since(&stage.run(&["--reconcile-now", "--format", "json"]).exits(3).sync());
    let sync = status(&stage, 1);
    assert_eq!(leavers(&sync), [("ann@acme.example".to_owned(), "retry".to_owned())]);
    assert!(sync["leavers_with_access"][0]["next_try"].is_string(), "{sync:#}");
    for _ in 0..2 {
        let again = since(&stage.run(&["--reconcile-now", "--format", "json"]).exits(3).sync());
        assert!(again <= first || again.starts_with(&first[..16]), "{first} {again}");
    }
    // Lines hold whole seconds, and only what was owed before the run is told.
    let database = Connection::open(stage.home.database()).unwrap();
    assert_eq!(database.execute("UPDATE owed SET since = since - 60000", []).unwrap(), 1);
    drop(database);
    stage.run(&["--reconcile-now"]).exits(3).says(&["owed since 20", "(unassigned): waits for the next try"]);
    stage.sim.faults().clear();
    stage.run(&["--reconcile-now"]).exits(0);
    assert_eq!(leavers(&status(&stage, 0)), []);
}

#[test]
fn explain_does_not_promise_what_waits_in_a_hold_and_names_the_commands() {
    let (stage, _) = five_held();
    for offline in [&["explain", "ann@acme.example", "--offline"][..], &["explain", "ann@acme.example"]] {
        let ran = stage.run(offline).exits(0);
        assert!(!ran.stdout.contains("the next run sends"), "{}", ran.stdout);
        ran.says(&[
            "the deactivate waits for an approval in h1",
            "; access is to end since 20",
            "Owed",
            "(unassigned): waits for an approval",
            "rosterd approve h1@1",
            "rosterd keep ",
        ]);
    }
    stage.run(&["reject", "h1"]).exits(0);
    stage.run(&["explain", "ann@acme.example"]).exits(0).says(&["rejected by ", "rosterd forget --lift "]);
}

#[test]
fn an_old_report_offers_no_approve_for_a_hold_that_was_decided() {
    for (decide, told) in [
        (&["approve", "h1", "--yes", "--no-run"][..], "It waits no more: approved by "),
        (&["reject", "h1"], "It waits no more: rejected by "),
    ] {
        let (stage, _) = five_held();
        let again = ["history", "--run", "2"];
        stage.run(&again).exits(0).says(&["rosterd approve h1@1"]);
        stage.run(decide).exits(0);
        for format in ["text", "markdown", "html"] {
            let ran = stage.run(&[&again[..], &["--format", format]].concat()).exits(0);
            assert!(!ran.stdout.contains("rosterd approve h1"), "{format}:\n{}", ran.stdout);
        }
        stage.run(&again).exits(0).says(&[told, &me()]);
        let document = stage.run(&[&again[..], &["--format", "json"]].concat()).exits(0).sync();
        assert!(document["holds"][0]["decided"].as_str().unwrap().contains(&me()), "{document:#}");
    }
}

#[test]
fn who_is_kept_keeps_access_for_that_cause_and_no_other() {
    let (stage, people) = five_held();
    let keep = ["keep", "ann@acme.example", "--for", "10d", "--reason", "handover"];
    stage
        .run(&keep)
        .exits(0)
        .complains(&["kept: the account of ann@acme.example", "not assigned to the app"]);
    let sync = status(&stage, 1);
    let ann = leavers(&sync).into_iter().find(|(user, _)| user == "ann@acme.example").unwrap();
    assert_eq!((ann.1.as_str(), &sync["pins"], &sync["held"]), ("decision", &json!(1), &json!(4)));
    let events = stage.run(&["history", "--format", "json"]).exits(0).json()["events"].clone();
    assert_eq!((&events[0]["event"], &events[0]["by"]), (&json!("keep"), &json!(me())));
    stage.run(&["approve", "h1", "--yes"]).exits(0);
    assert!(is_active(&stage, "ann") && !is_active(&stage, "ben"));
    stage.run(&["--reconcile-now"]).exits(0);
    // By decision: a line, and no code.
    assert_eq!(leavers(&status(&stage, 0)), [("ann@acme.example".to_owned(), "decision".to_owned())]);
    stage.run(&["status"]).exits(0).says(&[
        "waits for a person's decision",
        "kept by ",
        "pinned        1 person",
    ]);
    // Terminated is another cause.
    stage.sim.world().deactivate(people[0]);
    stage.run(&["--reconcile-now"]).exits(0);
    assert!(!is_active(&stage, "ann"));
}

#[test]
fn keep_is_refused_where_nothing_waits_where_nobody_left_and_where_the_source_does_not_say() {
    let (stage, people) = five_held();
    stage.run(&["keep", "ida@acme.example"]).exits(1).complains(&[
        "no removal of ",
        "is owed or held",
        "help:",
    ]);
    stage
        .run(&["keep", "zoe@acme.example"])
        .exits(64)
        .complains(&["nothing about zoe@acme.example is on record"]);
    stage.run(&["keep", "ann@acme.example", "--for", "366d"]).exits(64).complains(&["at most a year"]);
    stage
        .run(&["keep", "ann@acme.example", "--dry-run"])
        .exits(64)
        .complains(&["does not go with a decision"]);
    stage.sim.world().assign(people[0]);
    stage.run(&["keep", "ann@acme.example"]).exits(1).complains(&["ann@acme.example has not left", "help:"]);
    let refusal = okta_error(503, "E0000010", "read only");
    stage.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(refusal)));
    stage.run(&["keep", "ben@acme.example"]).exits(5).complains(&["nothing is kept", "could not be asked"]);
    assert_eq!(status(&stage, 1)["pins"], json!(0));
}

#[test]
fn reject_asks_on_a_terminal() {
    let (stage, _) = five_held();
    let no: Ran = typed(&stage, &["reject", "h1"], "n\n").exits(4);
    no.complains(&["ann@acme.example", "Drop these?", "nothing was rejected"]);
    assert_eq!(status(&stage, 1)["held"], json!(5));
    typed(&stage, &["reject", "h1"], "y\n").exits(0);
    assert_eq!(status(&stage, 0)["held"], json!(0));
}

/// Somebody whose write has no answer that anybody can read back.
fn unsettled() -> Stage {
    let (stage, people) = ten();
    stage.sim.world().edit(people[0], |person| person.title = Some("Manager".to_owned()));
    let ann = stage.sim.world().account("ann@acme.example").unwrap().id;
    let refusal = scim_error(500, None, "out of order");
    stage.sim.faults().add(Fault::on(Peer::Scim).path(&ann).then(Effect::Answer(refusal)));
    stage.run(&["--reconcile-now"]).exits(3);
    stage
}

#[test]
fn an_unsettled_write_is_named_by_forget_and_given_up_with_an_event() {
    let stage = unsettled();
    let ann = "ann@acme.example";
    stage.run(&["forget", ann, "--yes"]).exits(1).complains(&["not settled yet", "--unsettled"]);
    stage.run(&["forget", ann, "--unsettled"]).exits(64).complains(&[
        "the update for ann@acme.example",
        "is not settled:",
        "nobody is there to confirm",
    ]);
    stage.run(&["forget", ann, "--unsettled", "--dry-run"]).exits(0).complains(&["nothing was given up"]);
    stage.run(&["forget", ann, "--unsettled", "--yes"]).exits(0).complains(&["given up for "]);
    let events = stage.run(&["history", "--format", "json"]).exits(0).json()["events"].clone();
    assert_eq!((&events[0]["event"], &events[0]["by"]), (&json!("give_up"), &json!(me())));
    stage.run(&["forget", ann, "--unsettled", "--yes"]).exits(64).complains(&["is unsettled"]);
    stage.run(&["history", "--verify"]).exits(0);
    stage.sim.faults().clear();
    stage.run(&["--reconcile-now"]).exits(0);
    assert_eq!(stage.sim.world().account(ann).unwrap().at("/title"), json!("Manager"));
}

#[test]
fn a_sync_that_is_configured_no_more_is_a_line_of_status_and_can_be_dropped() {
    let (stage, _) = five_held();
    let sides = stage.sides();
    stage.run(&["forget", "--sync", "default", "--yes"]).exits(64).complains(&["is configured", "help:"]);
    stage.home.configure(&format!("[[sync]]\nname = \"new\"\n{sides}\n"));
    let line = "sync \"default\" is not configured any more: 10 links, 0 unsettled, 5 leavers with access";
    stage.run(&["status"]).exits(1).says(&[
        line,
        "rosterd transfer --from default",
        "rosterd forget --sync default",
    ]);
    let document = stage.run(&["status", "--format", "json"]).exits(1).json();
    assert_eq!(document["unconfigured"][0]["links"], json!(10), "{document:#}");
    stage
        .run(&["forget", "--sync", "other", "--yes"])
        .exits(64)
        .complains(&["nothing is left of a sync \"other\""]);
    stage.run(&["forget", "--yes"]).exits(64).complains(&["nobody is named"]);
    stage
        .run(&["forget", "--sync", "default"])
        .exits(64)
        .complains(&["10 links", "nobody is there to confirm"]);
    stage.run(&["forget", "--sync", "default", "--yes"]).exits(0).complains(&["forgotten: sync \"default\""]);
    let ran = stage.run(&["status"]).exits(1);
    assert!(!ran.stdout.contains("configured any more"), "{}", ran.stdout);
    stage.run(&["history"]).exits(0).says(&["what was left of a sync was dropped"]);
    stage.run(&["history", "--verify"]).exits(0);
}

#[test]
fn accounts_that_the_configuration_keeps_are_counted_and_not_owed() {
    let stage = Stage::new();
    stage.configure("lifecycle = { on_unassigned = \"keep\" }");
    let people = stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.sim.world().unassign(people[0]);
    stage.run(&["--reconcile-now"]).exits(0);
    let sync = status(&stage, 0);
    assert_eq!((&sync["kept_by_configuration"], leavers(&sync).len()), (&json!(1), 0));
    stage.run(&["status"]).exits(0).says(&["kept          1 account of people who left, by configuration"]);
}

#[test]
fn somebody_whose_removal_is_owed_is_not_erased() {
    let (stage, _) = five_held();
    let erase = ["history", "--erase", "ann@acme.example", "--yes"];
    stage.run(&erase).exits(1).complains(&["cannot erase", "still owed", "help:"]);
    stage.run(&["history", "--user", "ann@acme.example"]).exits(0).says(&["ann@acme.example"]);
}

#[test]
fn a_name_that_nobody_has_is_exit_1_and_no_dry_run() {
    let (stage, _) = ten();
    let ran = stage.run(&["--reconcile-now", "--user", "zoe@acme.example"]).exits(1);
    ran.says(&["knows nobody called zoe@acme.example"]);
    assert!(!ran.stdout.contains("dry run") && !ran.stdout.contains("Nothing was written"), "{}", ran.stdout);
}

#[test]
fn a_run_that_fails_before_it_begins_is_not_called_a_dry_run() {
    let (stage, _) = ten();
    let sides = stage.sides().replace(&stage.sim.okta_app_id(), "0oaother");
    stage.home.configure(&format!("[[sync]]\nname = \"default\"\n{sides}\n"));
    let ran = stage.run(&["--reconcile-now"]).exits(78);
    assert!(!ran.stdout.contains("dry run") && !ran.stdout.contains("Nothing was written"), "{}", ran.stdout);
    let report = stage.run(&["--reconcile-now", "--format", "json"]).exits(78).sync();
    assert_eq!((&report["mode"], &report["run"]), (&json!("apply"), &Value::Null));
}

#[test]
fn who_started_a_run_by_hand_is_on_record() {
    let (stage, _) = ten();
    stage.run(&["--reconcile-now", "--unattended"]).exits(0);
    let runs = stage.run(&["history", "--format", "json"]).exits(0).json()["runs"].clone();
    assert_eq!((&runs[0]["by"], &runs[1]["by"]), (&Value::Null, &json!(me())));
    stage.run(&["history"]).exits(0).says(&[&format!("manual by {}  ok", me())]);
}
