//! Runs that nobody starts by hand, and what becomes of several wishes for one.
//!
//! Jitter is tested where it is decided, in `daemon::agenda`; gaps and folds of the calendar in `core::schedule`. The
//! clock is set by a hook of the simulation: a process cannot be given another one from outside.

use crate::service::{
    EVERY_SECOND, Gate, NEVER, Service, configure, configure_syncs, eventually, finish, hire_many, logins,
    run_rows, stage,
};
use crate::support::{Access, Stage};
use rosterd::sim::{Effect, Fault, Peer};
use rusqlite::Connection;

#[test]
fn with_a_schedule_of_seconds_runs_happen_by_themselves() {
    let stage = stage();
    configure(&stage, EVERY_SECOND);
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    let rows = service.has_run(3);
    assert!(rows.iter().all(|row| row.trigger == "schedule" && row.sync == "default"), "{rows:?}");
    assert!(rows[..3].iter().all(|row| row.result.as_deref() == Some("ok")), "{rows:?}");
    stage.hire("Ben", "Engineer");
    eventually("a later run creates the joiner", || (logins(&stage).len() == 2).then_some(()));
    let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
    assert_eq!(sync["trigger"], "manual");
    service.stop();
}

/// A daemon that ran once and was stopped; its run is made to be so many minutes old.
fn ran_before(stage: &Stage, minutes: i64) {
    let service = Service::start(&stage.home);
    service.has_run(1);
    service.stop();
    let database = Connection::open(stage.home.database()).unwrap();
    let aged = "UPDATE run SET started_at = started_at - ?1, finished_at = finished_at - ?1";
    assert_eq!(database.execute(aged, [minutes * 60_000]).unwrap(), 1);
}

/// A sync that is due each minute would be due in the middle of a test, one of each day perhaps at midnight.
const YEARLY: &str = NEVER;

#[test]
fn a_start_after_years_of_downtime_runs_once() {
    let stage = stage();
    configure(&stage, YEARLY);
    stage.hire("Ann", "Engineer");
    ran_before(&stage, 5 * 366 * 24 * 60);
    let service = Service::start(&stage.home);
    let rows = service.has_run(2);
    assert_eq!(rows[1].trigger, "schedule");
    // All five that were missed are made up for by one: the next is that of next January, and the run by hand is the
    // next there is.
    service.says(0, "run 2 of default: ok; next run at 20");
    let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
    assert_eq!(sync["run"], 3);
    service.stop();
}

#[test]
fn a_clock_that_jumps_ahead_brings_one_run_and_one_that_is_set_back_puts_none_off() {
    const HOUR_MILLIS: i64 = 3_600_000;
    let stage = Stage::new();
    configure(&stage, "schedule = \"0 3 * * *\"");
    stage.hire("Ann", "Engineer");
    let clock = stage.home.path().join("clock");
    let mut command = stage.home.command(&["daemon"]);
    // The loop turns at least every half of it, and each turn is told.
    command.env("WATCHDOG_USEC", "400000").env("ROSTERD_SIM_CLOCK", &clock);
    let service = Service::launch(&stage.home, command);
    service.has_run(1);
    let set = |hours: i64| {
        std::fs::write(&clock, (hours * HOUR_MILLIS).to_string()).unwrap();
        for _ in 0..3 {
            service.wait(service.mark(), "it turns", |words| words.contains("WATCHDOG=1"));
        }
    };
    // Ten days were slept through: one run makes up for ten.
    set(240);
    service.has_run(2);
    set(240);
    assert_eq!(run_rows(&stage.home.state()).len(), 2, "{}", service.log());
    // Set back by twelve days: nothing runs for that, and the next run is not twelve days away.
    set(-48);
    assert_eq!(run_rows(&stage.home.state()).len(), 2, "{}", service.log());
    set(-23);
    let rows = service.has_run(3);
    assert!(rows.len() == 3 && rows.iter().all(|row| row.trigger == "schedule"), "{rows:?}");
    service.stop();
}

#[test]
fn a_restart_between_two_firings_runs_nothing() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    ran_before(&stage, 1);
    stage.sim.clear_requests();
    let service = Service::start(&stage.home);
    assert!(service.told()[0].contains("next run at 20"), "{:?}", service.told());
    let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
    assert_eq!(sync["run"], 2);
    service.stop();
}

#[test]
fn a_first_run_that_nobody_started_keeps_to_the_number_of_creations_that_nobody_need_allow() {
    let stage = stage();
    configure(&stage, &format!("{NEVER}\nguard = {{ max_creates = 3 }}"));
    let people = hire_many(&stage, 5);
    let service = Service::start(&stage.home);
    service.says(0, "run 1 of default: held");
    assert_eq!(logins(&stage).len(), 0);
    stage.run(&["holds"]).exits(0).says(&["5 to create", "max_creates"]);
    // By hand is consent.
    stage.run(&["--reconcile-now"]).exits(0);
    assert_eq!(logins(&stage), people);
    service.stop();
}

#[test]
fn a_run_for_a_timer_is_served_by_the_daemon_and_keeps_to_the_same_number() {
    let stage = stage();
    configure(&stage, &format!("{NEVER}\nguard = {{ max_creates = 3 }}"));
    let service = Service::start(&stage.home);
    service.has_run(1);
    hire_many(&stage, 5);
    let ran = stage.run(&["--reconcile-now", "--unattended", "--format", "json"]).exits(4);
    assert_eq!(ran.sync()["trigger"], "schedule");
    assert_eq!(logins(&stage).len(), 0);
    service.stop();
}

/// Two syncs of two vendors and two workspaces.
fn two() -> (Stage, Stage) {
    let (okta, onelogin) = (Stage::new(), Stage::with(Access::OneLogin, ""));
    okta.hire("Ann", "Engineer");
    onelogin.hire("Ben", "Engineer");
    let sync = |name: &str, stage: &Stage| format!("name = \"{name}\"\n{}\n{EVERY_SECOND}", stage.sides());
    configure_syncs(&okta.home, &[&sync("okta", &okta), &sync("onelogin", &onelogin)]);
    (okta, onelogin)
}

#[test]
fn two_syncs_run_side_by_side_and_a_slow_one_does_not_keep_the_other() {
    let (okta, onelogin) = two();
    let gate = Gate::before(&okta, Fault::on(Peer::Okta).first(1));
    let service = Service::start(&okta.home);
    gate.is_reached();
    eventually("the other sync has run three times", || {
        let rows = run_rows(&okta.home.state());
        (rows.iter().filter(|row| row.sync == "onelogin" && row.finished_at.is_some()).count() >= 3)
            .then_some(())
    });
    assert_eq!(logins(&onelogin), ["ben@acme.example"]);
    let slow = run_rows(&okta.home.state()).into_iter().filter(|row| row.sync == "okta").collect::<Vec<_>>();
    assert!(slow.len() == 1 && slow[0].finished_at.is_none(), "one full run of a sync at a time: {slow:?}");
    gate.open();
    eventually("the slow one ends", || (logins(&okta) == ["ann@acme.example"]).then_some(()));
    service.stop();
}

#[test]
fn a_sync_whose_source_is_down_does_not_stop_the_other() {
    let (okta, onelogin) = two();
    okta.sim.faults().add(Fault::on(Peer::Okta).then(Effect::answer(503, "text/html", "<h1>down</h1>")));
    let service = Service::start(&okta.home);
    let results = |sync: &str| {
        let rows = run_rows(&okta.home.state());
        rows.into_iter().filter(|row| row.sync == sync).filter_map(|row| row.result).collect::<Vec<_>>()
    };
    eventually("both have run", || {
        let (down, well) = (results("okta"), results("onelogin"));
        (!down.is_empty() && well.len() >= 2).then_some(())
    });
    assert!(results("okta").iter().all(|result| result == "source_unavailable"), "{:?}", results("okta"));
    assert!(results("onelogin").iter().all(|result| result == "ok"), "{:?}", results("onelogin"));
    assert_eq!(logins(&onelogin), ["ben@acme.example"]);
    let ran = okta.run(&["--reconcile-now", "--format", "json"]).exits(5);
    assert_eq!(ran.json()["syncs"].as_array().unwrap().len(), 2);
    service.stop();
}

#[test]
fn full_runs_that_are_asked_for_while_one_is_under_way_become_one() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let gate = Gate::before(&stage, Fault::on(Peer::Okta).first(1));
    let service = Service::start(&stage.home);
    gate.is_reached();
    let clients: Vec<_> =
        (0..6).map(|_| stage.home.start(&["--reconcile-now", "--format", "json"])).collect();
    service.logs("a client asks", 6);
    // Who joins later is not told of a run that read before.
    stage.hire("Ben", "Engineer");
    gate.open();
    let runs: Vec<i64> =
        clients.into_iter().map(|client| finish(client).exits(0).sync()["run"].as_i64().unwrap()).collect();
    // What is logged before the loop has the wish may miss the first of them, by a hair.
    assert!(runs.iter().all(|run| [2, 3].contains(run)), "{runs:?}");
    assert!(runs.iter().filter(|run| **run == 2).count() > 1, "{runs:?}");
    let rows = run_rows(&stage.home.state());
    assert!(rows.len() <= 3, "six wishes led to {} runs after the one under way", rows.len() - 1);
    assert_eq!(logins(&stage), ["ann@acme.example", "ben@acme.example"]);
    service.stop();
}

#[test]
fn a_run_by_hand_does_what_a_scheduled_one_that_waits_would_have_done() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    let gate = Gate::before(&stage, Fault::on(Peer::Okta).first(1));
    let slow = stage.home.start(&["--reconcile-now", "--format", "json"]);
    gate.is_reached();
    // Fires each second while the slow one is under way, and then not any more.
    configure(&stage, EVERY_SECOND);
    let from = service.mark();
    service.reload();
    let next =
        |words: &str| words.lines().find_map(|line| line.split("next run at ").nth(1).map(str::to_owned));
    eventually("it has fired, as another next run tells", || {
        let told = service.told();
        let mut times: Vec<String> = told.iter().skip(from).filter_map(|words| next(words)).collect();
        times.dedup();
        (times.len() >= 3).then_some(())
    });
    configure(&stage, NEVER);
    service.reload();
    let by_hand = stage.home.start(&["--reconcile-now", "--format", "json"]);
    service.logs("a client asks", 2);
    gate.open();
    finish(slow).exits(0);
    assert_eq!(finish(by_hand).exits(0).sync()["trigger"], "manual");
    let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
    let rows = run_rows(&stage.home.state());
    assert_eq!(sync["run"], 4, "{rows:?}");
    service.stop();
}

#[test]
fn a_run_of_named_people_does_not_wait_for_a_full_one() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    stage.hire("Ben", "Engineer");
    // The fakes stand still at a gate, so the full run is slow by itself.
    let list = Fault::on(Peer::Okta).path("/apps/").when(|path, _| path.ends_with("/users"));
    let number = stage.sim.faults().add(list.first(1).then(Effect::Delay(std::time::Duration::from_secs(5))));
    let full = stage.home.start(&["--reconcile-now", "--format", "json"]);
    eventually("the full run reads", || (stage.sim.faults().fired(number) > 0).then_some(()));
    let named = stage.run(&["--reconcile-now", "--user", "ben@acme.example", "--format", "json"]).exits(0);
    assert_eq!(named.sync()["summary"]["create"], 1, "{}", named.all());
    let rows = run_rows(&stage.home.state());
    assert!(rows.iter().any(|row| row.result.is_none()), "the full run is still under way: {rows:?}");
    finish(full).exits(0);
    assert_eq!(logins(&stage), ["ann@acme.example", "ben@acme.example"]);
    service.stop();
}
