//! What a client does by itself: its files, its end, and what it may read beside the daemon.

use crate::service::{
    Gate, NEVER, Service, configure, eventually, finish, hire_many, logins, makes_up_for_what_was_cut_off,
    run_rows, stage,
};
use crate::support::{Stage, count};
use rosterd::sim::{Fault, Peer};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

fn served(stage: &Stage) -> Service {
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    service
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

/// A client whose run is in the middle of its writes.
fn in_the_middle(stage: &Stage) -> (Vec<String>, Gate, Child) {
    let mut people = hire_many(stage, 8);
    people.insert(0, "ann@acme.example".to_owned());
    let gate = Gate::before(stage, Fault::on(Peer::Scim).method("POST").nth(3));
    let client = stage.home.start(&["--reconcile-now"]);
    gate.is_reached();
    (people, gate, client)
}

#[test]
fn a_client_that_is_killed_leaves_the_run_to_the_daemon() {
    let stage = stage();
    let service = served(&stage);
    let (people, gate, client) = in_the_middle(&stage);
    signal(&client, Signal::KILL);
    assert_eq!(finish(client).code, None);
    gate.open();
    let rows = service.has_run(2);
    assert_eq!(rows[1].result.as_deref(), Some("ok"), "{rows:?}");
    assert_eq!(logins(&stage), people);
    service.stop();
}

#[test]
fn a_client_that_is_interrupted_says_that_the_daemon_goes_on() {
    let stage = stage();
    let service = served(&stage);
    let (people, gate, client) = in_the_middle(&stage);
    signal(&client, Signal::INT);
    finish(client).exits(130).complains(&["the daemon goes on with it"]);
    gate.open();
    let rows = service.has_run(2);
    assert_eq!(rows[1].result.as_deref(), Some("ok"), "{rows:?}");
    assert_eq!(logins(&stage), people);
    service.stop();
}

#[test]
fn a_daemon_that_dies_under_a_client_is_told_of() {
    let stage = stage();
    let mut service = served(&stage);
    let (people, gate, client) = in_the_middle(&stage);
    service.signal(Signal::KILL);
    service.ended();
    let ran = finish(client).exits(1);
    ran.complains(&["lost the daemon at", "help:"]);
    gate.open();
    stage.sim.faults().clear();
    makes_up_for_what_was_cut_off(&stage, &people);
}

#[test]
fn a_report_that_goes_to_a_file_is_written_by_the_client() {
    let stage = stage();
    let service = served(&stage);
    let here = stage.home.path().join("here");
    fs::create_dir(&here).unwrap();
    let mut command = stage.home.command(&["--dry-run", "--format", "json", "--output", "report.json"]);
    // A path of the client's own, which means nothing to the daemon.
    command.current_dir(&here).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command.spawn().unwrap()).exits(0);
    assert_eq!(ran.stdout, "");
    ran.complains(&["default", "1 unchanged"]);
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(here.join("report.json")).unwrap()).unwrap();
    assert_eq!(count(&report["syncs"][0], "unchanged"), 1);
    let missing = stage.run(&["--dry-run", "--output", "/nowhere/at/all.json"]).exits(1);
    missing.complains(&["error: cannot write the report to /nowhere/at/all.json", "help:"]);
    service.stop();
}

#[test]
fn a_plan_is_written_and_read_by_the_client_and_is_nobody_elses_to_read() {
    let stage = stage();
    let service = served(&stage);
    stage.hire("Ben", "Engineer");
    let here = stage.home.path().join("here");
    fs::create_dir(&here).unwrap();
    let ran_here = |arguments: &[&str]| {
        let mut command = stage.home.command(arguments);
        command.current_dir(&here).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    };
    ran_here(&["plan", "--out", "plan.json"]).exits(0).complains(&["rosterd apply plan.json"]);
    let mode = fs::metadata(here.join("plan.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    // Whoever joins later is not in it.
    stage.hire("Cleo", "Engineer");
    ran_here(&["apply", "plan.json"]).exits(0).says(&["1 created"]);
    assert_eq!(logins(&stage), ["ann@acme.example", "ben@acme.example"]);
    assert_eq!(run_rows(&stage.home.state())[1].trigger, "plan-file");
    ran_here(&["apply", "nowhere.json"]).exits(64).complains(&["cannot read nowhere.json"]);
    service.stop();
}

#[test]
fn what_is_held_can_be_read_beside_the_daemon_and_decided_through_it() {
    let stage = stage();
    configure(&stage, &format!("{NEVER}\nguard = {{ approval = [\"create\"] }}"));
    let people = hire_many(&stage, 2);
    let service = Service::start(&stage.home);
    service.says(0, "1 hold waits for approval");
    stage.run(&["holds"]).exits(0).says(&["h1@1", "2 to create", "rosterd approve h1@1"]);
    assert!(!service.log().contains("a client asks"), "{}", service.log());
    // Nobody is there to be asked.
    stage.run(&["approve", "h1"]).exits(64).complains(&["--yes"]);
    assert_eq!(logins(&stage).len(), 0);
    stage.run(&["approve", "h1", "--yes"]).exits(0).says(&["2 created"]);
    assert_eq!(logins(&stage), people);
    let rows = run_rows(&stage.home.state());
    assert_eq!(rows[1].trigger, "approval", "{rows:?}");
    service.says(0, "run 2 of default: ok");
    stage.run(&["holds"]).exits(0).says(&["nothing is held"]);
    service.stop();
}

#[test]
fn a_pause_holds_for_the_runs_of_the_daemon() {
    let stage = stage();
    let service = served(&stage);
    stage.run(&["pause"]).exits(0);
    stage.hire("Ben", "Engineer");
    stage.sim.clear_requests();
    stage.run(&["--reconcile-now"]);
    assert!(stage.sim.writes().is_empty());
    stage.run(&["resume"]).exits(0);
    stage.run(&["--reconcile-now"]).exits(0);
    assert_eq!(logins(&stage), ["ann@acme.example", "ben@acme.example"]);
    service.stop();
}

#[test]
fn many_clients_at_once_are_all_served() {
    let stage = stage();
    let service = served(&stage);
    let clients: Vec<Child> = (0..12)
        .map(|number| match number % 3 {
            0 => stage.home.start(&["--dry-run"]),
            1 => stage.home.start(&["--reconcile-now", "--user", "ann@acme.example"]),
            _ => stage.home.start(&["--reconcile-now"]),
        })
        .collect();
    for client in clients {
        finish(client).exits(0).says(&["1 unchanged"]);
    }
    eventually("nothing is under way any more", || {
        run_rows(&stage.home.state()).iter().all(|row| row.result.as_deref() == Some("ok")).then_some(())
    });
    service.stop();
}
