//! `undo` and `forget` at the real binary: what they show, ask and say, their exit codes, and the same by a daemon.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use insta::{allow_duplicates, assert_snapshot};
use rosterd::sim::{Cut, Effect, Fault, Peer};
use serde_json::json;

use crate::program::{Access, Prey, Stage, action_of, count, line_of, typed};

/// Ann and Bob moved and Cid left, all in run 2; Dan and Eve stay.
fn changed() -> Stage {
    changed_at(Access::OktaToken)
}

fn changed_at(login: Access) -> Stage {
    let stage = Stage::with(login, "");
    // One after the other, so that the lines have one order.
    let one_by_one = format!("source = {{ {} }}\n{}", stage.source(), stage.target(", concurrency = 1"));
    stage.home.configure(&format!("[[sync]]\n{one_by_one}\n"));
    let people = stage.hire_all(&["Ann", "Bob", "Cid", "Dan", "Eve"]);
    stage.reconcile();
    for person in &people[..2] {
        stage.sim.world().edit(*person, |person| person.title = Some("Manager".to_owned()));
    }
    stage.sim.world().unassign(people[2]);
    stage.reconcile();
    stage.sim.clear_requests();
    stage
}

fn title(stage: &Stage, name: &str) -> serde_json::Value {
    stage.sim.world().account(&format!("{name}@acme.example")).unwrap().at("/title")
}

fn state(stage: &Stage) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(stage.home.state()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_dry_run_shows_the_way_back_and_writes_nothing() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = changed_at(login);
        let before = state(&stage);
        let ran = stage.run(&["undo", "--run", "2", "--dry-run"]).exits(0);
        allow_duplicates! {
            assert_snapshot!(stage.redact(&ran.stdout), @r#"
        dry run of sync "default": looked at the accounts of 3 people

          ~ update      ann@acme.example  takes back what run 2 changed
              title: "Manager" -> "Engineer"
          ~ update      bob@acme.example  takes back what run 2 changed
              title: "Manager" -> "Engineer"
          ^ reactivate  cid@acme.example  takes back what run 2 changed
              active: false -> true

        Plan: 2 to update, 1 to reactivate, 0 unchanged.
        Seats: 5 billable before, 5 after. A deactivated account keeps its seat; accounts that rosterd does not manage are not counted.
        Note: takes back what run 2 did; the source is not asked
        Nothing was written.
        "#);
        }
        assert_eq!(state(&stage), before);
        assert!(stage.sim.writes().is_empty());
        stage.run(&["undo", "--run", "2", "--dry-run", "--detailed-exitcode"]).exits(2);
    }
}

#[test]
fn yes_takes_it_back_and_the_next_run_leaves_it_so() {
    let stage = changed();
    let ran = stage.run(&["undo", "--run", "2", "--yes", "--format", "json"]).exits(0);
    let sync = ran.sync();
    assert_eq!((&sync["trigger"], &sync["result"], &sync["run"]), (&json!("undo"), &json!("ok"), &json!(3)));
    assert_eq!((count(&sync, "update"), count(&sync, "reactivate")), (2, 1));
    let change = json!([{"path": "title", "from": "Manager", "to": "Engineer"}]);
    assert_eq!(line_of(&sync, "ann@acme.example")["changes"], change);
    assert_eq!((title(&stage, "ann"), title(&stage, "bob")), (json!("Engineer"), json!("Engineer")));
    let next = stage.reconcile();
    assert_eq!((count(&next, "skipped"), count(&next, "update"), count(&next, "deactivate")), (3, 0, 0));
    let line = line_of(&next, "cid@acme.example");
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.starts_with("undone by uid ") && reason.contains("(run 3 took back run 2)"), "{reason}");
    let history = stage.run(&["history", "--format", "json"]).exits(0).json();
    assert_eq!(history["runs"][1]["trigger"], json!("undo"));
    // The return of the return: the source rules again.
    stage.run(&["undo", "--run", "3", "--yes"]).exits(0).says(&["Done: 2 updated, 1 deactivated"]);
    assert_eq!(title(&stage, "ann"), json!("Manager"));
    assert_eq!(count(&stage.reconcile(), "unchanged"), 5);
}

#[test]
fn without_a_terminal_and_without_yes_it_shows_the_plan_and_sends_nothing() {
    let stage = changed();
    let ran = stage.run(&["undo", "--run", "2"]).exits(64);
    ran.complains(&[
        "ann@acme.example",
        "\"Manager\" -> \"Engineer\"",
        "nobody is there to confirm",
        "--yes",
    ]);
    assert_eq!(ran.stdout, "");
    assert!(stage.sim.writes().is_empty());
}

#[test]
fn on_a_terminal_it_asks() {
    let stage = changed();
    for answer in ["n\n", "\n", "yesterday\n"] {
        let ran = typed(&stage, &["undo", "--run", "2"], answer).exits(0);
        ran.complains(&[
            "ann@acme.example",
            "Take back what run 2 did, like this? [y/N]",
            "nothing was taken back",
        ]);
        assert!(stage.sim.writes().is_empty());
    }
    let ran = typed(&stage, &["undo", "--run", "2"], "y\n").exits(0);
    ran.complains(&["Take back what run 2 did"]).says(&["Done: 2 updated, 1 reactivated"]);
    assert_eq!(title(&stage, "ann"), json!("Engineer"));
}

#[test]
fn what_cannot_be_taken_back_is_said_in_plain_words() {
    let stage = changed();
    stage
        .run(&["undo", "--run", "99", "--yes"])
        .exits(64)
        .complains(&["there is no run 99 on record", "help:"]);
    stage.run(&["undo", "--run", "two"]).exits(64);
    stage.run(&["undo"]).exits(64);
    stage.reconcile();
    let ran = stage.run(&["undo", "--run", "3", "--yes"]).exits(0);
    ran.complains(&["run 3 of sync \"default\" changed nothing at the workspace"]);
    stage.run(&["undo", "--run", "2", "--yes"]).exits(0);
    let ran = stage.run(&["undo", "--run", "2", "--yes", "--format", "json"]).exits(0);
    ran.complains(&["nothing is left of run 2 that could be taken back"]);
    let reason = line_of(&ran.sync(), "ann@acme.example")["reason"].clone();
    assert_eq!(reason, json!("is as it was before run 2 already"));
}

#[test]
fn a_run_of_another_sync_is_not_taken_back_by_mistake() {
    let stage = changed();
    let (one, other) = (stage.sides(), stage.sides());
    let text = format!("[[sync]]\nname = \"default\"\n{one}\n[[sync]]\nname = \"other\"\n{other}\n");
    stage.home.configure(&text);
    let ran = stage.run(&["undo", "--run", "2", "--yes", "--sync", "other"]).exits(64);
    ran.complains(&["run 2 is of sync \"default\"", "rosterd undo --run 2 --sync 'default'"]);
    stage.home.configure(&format!("[[sync]]\nname = \"other\"\n{other}\n"));
    let ran = stage.run(&["undo", "--run", "2", "--yes"]).exits(64);
    ran.complains(&["run 2 is of sync \"default\", which is not configured any more", "help:"]);
    assert!(stage.sim.writes().is_empty());
}

#[test]
fn a_held_return_is_sent_by_its_approval() {
    let stage = Stage::new();
    let names: Vec<String> = (0..12).map(|number| format!("person{number}")).collect();
    stage.hire_all(&names.iter().map(String::as_str).collect::<Vec<_>>());
    stage.reconcile();
    stage.hire_all(&["Ann", "Bob", "Cid", "Dan", "Eve"]);
    stage.reconcile();
    let ran = stage.run(&["undo", "--run", "2", "--yes"]).exits(4);
    ran.says(&["rosterd approve h1"]);
    stage.run(&["holds"]).exits(0).says(&["deactivate  ann@acme.example", "), to take back run 2\n"]);
    let ran = stage.run(&["approve", "h1", "--yes", "--no-run"]).exits(0);
    ran.complains(&["`rosterd undo --run 2 --yes` sends those that take back run 2"]);
    let ran = stage.run(&["undo", "--run", "2", "--yes", "--format", "json"]).exits(0);
    assert_eq!(count(&ran.sync(), "deactivate"), 5);
    let shown = stage.run(&["history", "--user", "ann@acme.example", "--format", "json"]).exits(0).json();
    assert!(shown["attempts"][0]["approved_by"].as_str().unwrap().starts_with("uid "), "{shown:#}");
}

#[test]
fn an_approval_runs_the_return_itself() {
    let stage = Stage::new();
    let names: Vec<String> = (0..12).map(|number| format!("person{number}")).collect();
    stage.hire_all(&names.iter().map(String::as_str).collect::<Vec<_>>());
    stage.reconcile();
    stage.hire_all(&["Ann", "Bob", "Cid", "Dan", "Eve"]);
    stage.reconcile();
    stage.run(&["undo", "--run", "2", "--yes"]).exits(4);
    let ran = stage.run(&["approve", "h1", "--yes", "--format", "json"]).exits(0);
    let report = ran.json();
    assert_eq!(report["syncs"].as_array().unwrap().len(), 1);
    assert_eq!((&report["syncs"][0]["trigger"], count(&ran.sync(), "deactivate")), (&json!("undo"), 5));
    assert_eq!(count(&stage.reconcile(), "skipped"), 5);
}

#[test]
fn a_killed_return_is_finished_by_another_one_and_no_run_in_between_undoes_it() {
    for before in [true, false] {
        let stage = changed();
        let prey = Prey::default();
        let hunter = prey.clone();
        let rule = Fault::on(Peer::Scim).method("PATCH").nth(2);
        let rule = if before {
            rule.then(Effect::before(move |_| hunter.kill())).then(Effect::Cut(Cut::BeforeProcessing))
        } else {
            rule.then(Effect::after(move |_| hunter.kill())).then(Effect::Cut(Cut::LostReply))
        };
        stage.sim.faults().add(rule);
        let mut child = stage.home.start(&["undo", "--run", "2", "--yes"]);
        prey.is(&child);
        let output = child.stdout.take().zip(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), None);
        drop(output);
        stage.sim.faults().clear();
        stage.sim.clear_requests();
        let next = stage.reconcile();
        assert!(stage.sim.writes().is_empty(), "{next:#}");
        stage.run(&["undo", "--run", "2", "--yes"]).exits(0);
        assert_eq!((title(&stage, "ann"), title(&stage, "bob")), (json!("Engineer"), json!("Engineer")));
        assert!(stage.sim.world().account("cid@acme.example").unwrap().active());
        assert_eq!(count(&stage.reconcile(), "skipped"), 3, "{before}");
    }
}

#[test]
fn forget_drops_a_link_sends_nothing_and_can_be_lifted() {
    let stage = changed();
    let before = stage.sim.world().account("ann@acme.example").unwrap().resource;
    stage
        .run(&["forget", "nobody@acme.example", "--yes"])
        .exits(64)
        .complains(&["no link of nobody@acme.example"]);
    let ran = stage.run(&["forget", "ann@acme.example"]).exits(64);
    ran.complains(&["the account stays as it is", "nobody is there to confirm"]);
    let unchanged = state(&stage);
    stage.run(&["forget", "ann@acme.example", "--dry-run"]).exits(0).complains(&["nothing was forgotten"]);
    assert_eq!(state(&stage), unchanged);
    let ran = stage.run(&["forget", "Ann@acme.example", "--yes"]).exits(0);
    ran.complains(&["forgotten: ann@acme.example", "rosterd forget --lift"]);
    assert!(stage.sim.all_requests().is_empty());
    let next = stage.reconcile();
    assert_eq!(action_of(&next, "ann@acme.example"), ("skip".to_owned(), "skipped".to_owned()));
    assert!(line_of(&next, "ann@acme.example")["reason"].as_str().unwrap().starts_with("forgotten by uid "));
    assert_eq!(stage.sim.world().account("ann@acme.example").unwrap().resource, before);
    stage.run(&["forget", "--lift", "bob@acme.example"]).exits(64).complains(&["nothing is pinned for bob"]);
    stage.run(&["forget", "--lift", "ann@acme.example"]).exits(0).complains(&["lifted for"]);
    assert_eq!(action_of(&stage.reconcile(), "ann@acme.example").0, "adopt");
}

#[test]
fn lifting_gives_somebody_who_was_undone_back_to_the_source() {
    let stage = changed();
    stage.run(&["undo", "--run", "2", "--yes"]).exits(0);
    stage.run(&["forget", "--lift", "ann@acme.example"]).exits(0);
    let next = stage.reconcile();
    assert_eq!(action_of(&next, "ann@acme.example"), ("update".to_owned(), "applied".to_owned()));
    assert_eq!(action_of(&next, "bob@acme.example").0, "skip");
}

/// A running daemon.
struct Service {
    child: Child,
}

impl Service {
    fn start(stage: &Stage) -> Service {
        let notify = stage.home.path().join("notify.sock");
        let messages = UnixDatagram::bind(&notify).unwrap();
        let mut command = stage.home.command(&["daemon"]);
        let service =
            Service { child: command.env("NOTIFY_SOCKET", &notify).stderr(Stdio::null()).spawn().unwrap() };
        let mut buffer = [0; 4096];
        let mut ready = false;
        while !ready {
            let length = messages.recv(&mut buffer).unwrap();
            ready = String::from_utf8_lossy(&buffer[..length]).contains("READY=1");
        }
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_takes_back_and_forgets_with_the_same_words() {
    let stage = changed();
    let socket = stage.home.path().join("control.sock");
    let text = format!(
        "[daemon]\nsocket = {socket:?}\n\n[[sync]]\nschedule = \"0 0 1 1 *\"\nwatch = \"off\"\n{}\n",
        stage.sides()
    );
    stage.home.configure(&text);
    let service = Service::start(&stage);
    stage.run(&["undo", "--run", "99", "--yes"]).exits(64).complains(&["there is no run 99 on record"]);
    stage.run(&["undo", "--run", "2"]).exits(64).complains(&["nobody is there to confirm"]);
    let sync = stage.run(&["undo", "--run", "2", "--dry-run", "--format", "json"]).exits(0).sync();
    assert_eq!((count(&sync, "update"), &sync["run"]), (2, &json!(null)));
    let sync = stage.run(&["undo", "--run", "2", "--yes", "--format", "json"]).exits(0).sync();
    assert_eq!((count(&sync, "update"), count(&sync, "reactivate")), (2, 1), "{sync:#}");
    assert_eq!(title(&stage, "ann"), json!("Engineer"));
    stage.run(&["forget", "dan@acme.example", "--yes"]).exits(0).complains(&["forgotten: dan@acme.example"]);
    let next = stage.reconcile();
    assert_eq!((count(&next, "skipped"), count(&next, "update")), (4, 0), "{next:#}");
    stage.run(&["forget", "--lift", "dan@acme.example"]).exits(0);
    drop(service);
    assert_eq!(action_of(&stage.reconcile(), "dan@acme.example").0, "adopt");
}
