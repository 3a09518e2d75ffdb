//! SIGHUP: a good file takes effect whole, a bad one not at all.

use crate::service::{
    EVERY_SECOND, NEVER, Service, configure, configure_syncs, hire_many, logins, run_rows, stage,
};
use crate::support::Stage;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;

/// The only account's title.
fn title(stage: &Stage) -> Value {
    stage.sim.world().accounts()[0].at("/title")
}

#[test]
fn another_mapping_holds_from_the_reload_on() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    assert_eq!(title(&stage), "Engineer");
    configure(&stage, &format!("{NEVER}\nattributes = {{ title = \"user.title ~ ' of Acme'\" }}"));
    service.reload();
    // Nobody asks for a run: the reload does.
    service.has_run(2);
    assert_eq!(title(&stage), "Engineer of Acme");
    stage.run(&["--reconcile-now"]).exits(0).says(&["1 unchanged"]);
    service.logs("the configuration was read again", 1);
    service.stop();
}

#[test]
fn another_schedule_holds_from_the_reload_on() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    configure(&stage, EVERY_SECOND);
    service.reload();
    let rows = service.has_run(3);
    assert!(rows.iter().all(|row| row.trigger == "schedule"), "{rows:?}");
    let from = service.mark();
    configure(&stage, NEVER);
    service.reload();
    service.says(from, "-01-01T00:00:00Z");
    service.stop();
}

#[test]
fn a_client_with_a_file_that_was_not_read_yet_is_told_to_reload_first() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    configure(&stage, &format!("{NEVER}\nlifecycle = {{ create = false }}"));
    stage.sim.clear_requests();
    for command in [vec!["--reconcile-now"], vec!["--dry-run"], vec!["check"], vec!["pause"]] {
        let ran = stage.run(&command).exits(78);
        ran.complains(&["reload first", "systemctl reload rosterd"]);
        assert_eq!(ran.stdout, "");
    }
    assert!(stage.sim.all_requests().is_empty());
    service.reload();
    stage.run(&["--reconcile-now"]).exits(0);
    service.stop();
}

#[test]
fn a_bad_file_is_refused_whole_and_the_old_one_goes_on() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    let path = stage.home.path().join("config.toml");
    let good = fs::read_to_string(&path).unwrap();
    // Its first half is right, and must not be taken over either.
    configure(&stage, &format!("{EVERY_SECOND}\nattributes = {{ title = \"'Boss'\" }}\nmax_aply = \"1m\""));
    let bad = fs::read_to_string(&path).unwrap();
    let line = bad.lines().position(|line| line.starts_with("max_aply")).unwrap() + 1;
    let from = service.mark();
    service.reload();
    let told = service.says(from, "the new configuration was refused");
    assert!(told.contains("READY=1") && told.contains("the old one stays"), "{told}");
    let log = service.log();
    assert!(log.contains(&format!("config.toml:{line}:")) && log.contains("max_apply"), "{log}");
    // It is still in the status line after whatever else happens.
    fs::write(&path, good).unwrap();
    let from = service.mark();
    stage.run(&["--reconcile-now", "--format", "json"]).exits(0);
    assert_eq!(title(&stage), "Engineer");
    let told = service.says(from, "run 2 of default: ok");
    assert!(told.contains("the new configuration was refused"), "{told}");
    assert!(run_rows(&stage.home.state()).len() == 2, "the schedule of the bad file was not taken over");
    // A good one is, and clears it.
    let told = service.reload();
    assert!(!told.contains("refused"), "{told}");
    service.stop();
}

#[test]
fn a_file_whose_secret_cannot_be_read_is_refused_too() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    let path = stage.home.path().join("config.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("workspace.token", "other.token")).unwrap();
    let from = service.mark();
    service.reload();
    service.says(from, "the new configuration was refused");
    assert!(service.log().contains("other.token"), "{}", service.log());
    fs::write(&path, good).unwrap();
    stage.run(&["--reconcile-now"]).exits(0);
    service.stop();
}

#[test]
fn a_file_that_is_gone_is_refused_too() {
    let stage = stage();
    let service = Service::start(&stage.home);
    service.has_run(1);
    let path = stage.home.path().join("config.toml");
    fs::rename(&path, stage.home.path().join("aside")).unwrap();
    let from = service.mark();
    service.reload();
    service.says(from, "the new configuration was refused");
    fs::rename(stage.home.path().join("aside"), &path).unwrap();
    stage.run(&["--reconcile-now"]).exits(0);
    service.stop();
}

#[test]
fn new_tokens_are_used_after_a_reload_and_where_the_old_ones_are_refused() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    for (number, by_reload) in [(1, true), (2, false)] {
        stage.sim.okta(|okta| okta.api_token = format!("00new-okta-token-{number}"));
        stage.sim.scim(|scim| scim.token = format!("new-workspace-token-{number}"));
        // Writes the secret files anew; the configuration itself stays as it was.
        configure(&stage, NEVER);
        if by_reload {
            service.reload();
            service.has_run(2);
            stage.sim.clear_requests();
        }
        stage.hire(&format!("Joiner{number}"), "Engineer");
        stage.run(&["--reconcile-now"]).exits(0).says(&["1 created"]);
        let refused = stage.sim.all_requests().iter().filter(|request| request.status == Some(401)).count();
        assert_eq!(refused > 0, !by_reload, "{refused} requests with an old token");
    }
    service.stop();
}

/// The tables of a second sync, with sides of another simulation.
fn named(name: &str, stage: &Stage, lines: &str) -> String {
    format!("name = \"{name}\"\n{}\n{lines}", stage.sides())
}

#[test]
fn a_sync_comes_and_goes_by_reload() {
    let (one, two) = (Stage::new(), Stage::new());
    one.hire("Ann", "Engineer");
    two.hire("Ben", "Engineer");
    let home = &one.home;
    configure_syncs(home, &[&named("one", &one, NEVER)]);
    let service = Service::start(home);
    service.has_run(1);
    configure_syncs(home, &[&named("one", &one, NEVER), &named("two", &two, NEVER)]);
    service.reload();
    // A reload asks for a full run of each, and one that never ran is due at once.
    let rows = service.has_run(3);
    let mut syncs: Vec<&str> = rows.iter().map(|row| row.sync.as_str()).collect();
    syncs.sort_unstable();
    assert_eq!(syncs, ["one", "one", "two"]);
    assert_eq!(logins(&two), ["ben@acme.example"]);
    let report = one.run(&["--reconcile-now", "--format", "json"]).exits(0).json();
    assert_eq!(report["syncs"].as_array().unwrap().len(), 2, "{report:#}");
    configure_syncs(home, &[&named("two", &two, NEVER)]);
    service.reload();
    one.sim.clear_requests();
    one.hire("Cleo", "Engineer");
    let report = one.run(&["--reconcile-now", "--format", "json"]).exits(0).json();
    assert_eq!(report["syncs"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["syncs"][0]["sync"], "two");
    one.run(&["--reconcile-now", "--sync", "one"]).exits(64).complains(&["there is no sync \"one\""]);
    assert!(one.sim.all_requests().is_empty(), "whom nobody keeps any more is left as it is");
    service.stop();
}

#[test]
fn a_reload_in_the_middle_of_a_run_lets_it_end_as_it_began() {
    let stage = stage();
    let people = hire_many(&stage, 6);
    let gate = crate::service::Gate::before(
        &stage,
        rosterd::sim::Fault::on(rosterd::sim::Peer::Scim).method("POST").nth(2),
    );
    let service = Service::start(&stage.home);
    gate.is_reached();
    configure(&stage, &format!("{NEVER}\nattributes = {{ title = \"'Boss'\" }}"));
    service.reload();
    gate.open();
    // The reload asks for a run of its own, which updates everybody.
    let rows = service.has_run(2);
    assert!(rows.iter().all(|row| row.result.as_deref() == Some("ok")), "{rows:?}");
    assert_eq!(logins(&stage), people);
    let created = stage.sim.requests(rosterd::sim::Peer::Scim).into_iter();
    let created: Vec<String> =
        created.filter(|request| request.method == "POST").map(|request| request.body).collect();
    assert_eq!(created.len(), 6);
    assert!(created.iter().all(|body| body.contains("Engineer") && !body.contains("Boss")), "{created:?}");
    assert!(stage.sim.world().accounts().iter().all(|account| account.at("/title") == "Boss"));
    service.stop();
}

#[test]
fn many_reloads_at_once_are_all_survived() {
    let stage = stage();
    let service = Service::start(&stage.home);
    for _ in 0..50 {
        service.signal(Signal::HUP);
    }
    service.reload();
    stage.run(&["--reconcile-now"]).exits(0);
    service.stop();
}
