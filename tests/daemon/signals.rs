//! SIGTERM, SIGINT and SIGKILL in the middle of a run: nobody is lost, and nobody is there twice.

use crate::service::{
    Gate, Service, finish, hire_many, logins, makes_up_for_what_was_cut_off, run_rows, stage,
};
use crate::support::{Prey, Stage, count};
use rosterd::sim::{Cut, Effect, Fault, Peer};
use rusqlite::Connection;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

const PEOPLE: usize = 24;

/// Everybody has one account, nobody two; every intent has its outcome; a further run finds nothing to do.
#[track_caller]
fn is_whole(stage: &Stage, people: &[String]) {
    assert_eq!(logins(stage), people);
    let external: BTreeSet<String> =
        stage.sim.world().accounts().iter().map(|account| account.at("/externalId").to_string()).collect();
    assert_eq!(external.len(), people.len());
    let database = Connection::open(stage.home.database()).unwrap();
    let number = |query: &str| -> i64 { database.query_row(query, [], |row| row.get(0)).unwrap() };
    assert_eq!(number("SELECT count(*) FROM in_flight"), 0);
    assert_eq!(number("SELECT count(*) FROM link"), people.len() as i64);
    drop(database);
    let sync = stage.run(&["--dry-run", "--format", "json"]).exits(0).sync();
    assert_eq!(count(&sync, "unchanged"), people.len() as u64, "{sync:#}");
}

/// Starts the daemon again, which takes up what was left.
#[track_caller]
fn is_taken_up_again(stage: &Stage, people: &[String]) {
    stage.sim.faults().clear();
    // The schedule has not fired since; a run by hand is what comes next.
    let service = Service::start(&stage.home);
    stage.run(&["--reconcile-now"]);
    service.stop();
    makes_up_for_what_was_cut_off(stage, people);
    is_whole(stage, people);
}

/// A daemon in the middle of creating many, and what it was told to end with while a creation was under way.
fn signalled_in_the_middle(stage: &Stage, signal: Signal) -> Service {
    let post = || Fault::on(Peer::Scim).method("POST");
    // The writes of a real workspace take their time, so that there is a middle.
    stage.sim.faults().add(post().then(Effect::Delay(Duration::from_millis(20))));
    let prey = Prey::default();
    let hunter = prey.clone();
    stage.sim.faults().add(post().nth(6).then(Effect::before(move |_| hunter.signal(signal))));
    let command = stage.home.command(&["daemon"]);
    let service = Service::launch(&stage.home, command);
    prey.is_pid(service.pid());
    service
}

#[track_caller]
fn stops_between_two_writes(signal: Signal) {
    let stage = stage();
    let people = hire_many(&stage, PEOPLE);
    let mut service = signalled_in_the_middle(&stage, signal);
    assert_eq!(service.ended(), Some(0), "{}", service.log());
    let log = service.log();
    assert!(log.contains("stopping after the writes under way") && log.contains("stopped"), "{log}");
    assert!(!log.contains("a write was still under way"), "{log}");
    assert!(service.told().iter().any(|words| words.contains("STOPPING=1")), "{:?}", service.told());
    let made = logins(&stage).len();
    assert!((5..PEOPLE).contains(&made), "{made} accounts were made");
    assert_eq!(run_rows(&stage.home.state())[0].result.as_deref(), Some("interrupted"));
    // What was made is known: nothing was left to find out.
    let database = Connection::open(stage.home.database()).unwrap();
    let number = |query: &str| -> i64 { database.query_row(query, [], |row| row.get(0)).unwrap() };
    assert_eq!(number("SELECT count(*) FROM link"), made as i64);
    assert_eq!(number("SELECT count(*) FROM in_flight"), 0);
    drop(database);
    is_taken_up_again(&stage, &people);
}

#[test]
fn sigterm_in_the_middle_of_a_run_stops_between_two_writes() {
    stops_between_two_writes(Signal::TERM);
}

#[test]
fn sigint_in_the_middle_of_a_run_stops_between_two_writes() {
    stops_between_two_writes(Signal::INT);
}

#[track_caller]
fn ends_at_once(signal: Signal, code: i32) {
    let stage = stage();
    let people = hire_many(&stage, PEOPLE);
    let gate = Gate::after(&stage, Fault::on(Peer::Scim).method("POST").nth(6));
    let mut service = Service::start(&stage.home);
    gate.is_reached();
    service.signal(signal);
    service.wait(0, "it is stopping", |words| words.contains("STOPPING=1"));
    service.logs("stopping after the writes under way", 1);
    service.signal(signal);
    assert_eq!(service.ended(), Some(code), "{}", service.log());
    gate.open();
    is_taken_up_again(&stage, &people);
}

#[test]
fn a_second_sigterm_ends_it_at_once_and_nothing_is_lost() {
    ends_at_once(Signal::TERM, 143);
}

#[test]
fn a_second_sigint_ends_it_at_once_and_nothing_is_lost() {
    ends_at_once(Signal::INT, 130);
}

#[test]
fn a_write_that_gets_no_answer_does_not_keep_it_from_ending() {
    let stage = stage();
    let people = hire_many(&stage, PEOPLE);
    let gate = Gate::after(&stage, Fault::on(Peer::Scim).method("POST").nth(6));
    let mut service = Service::start(&stage.home);
    gate.is_reached();
    let asked = std::time::Instant::now();
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), Some(0), "{}", service.log());
    // The unit kills it after 20 s.
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert!(service.log().contains("the next start settles it by reading"), "{}", service.log());
    gate.open();
    is_taken_up_again(&stage, &people);
}

#[test]
fn a_kill_in_the_middle_of_a_run_is_recovered_from_by_the_next_start() {
    let stage = stage();
    let people = hire_many(&stage, PEOPLE);
    let prey = Prey::default();
    let hunter = prey.clone();
    let rule = Fault::on(Peer::Scim).method("POST").nth(6);
    let kill = Effect::after(move |_| hunter.kill());
    stage.sim.faults().add(rule.then(kill).then(Effect::Cut(Cut::LostReply)));
    let mut service = Service::launch(&stage.home, stage.home.command(&["daemon"]));
    prey.is_pid(service.pid());
    assert_eq!(service.ended(), None);
    assert!(logins(&stage).len() >= 6);
    is_taken_up_again(&stage, &people);
}

#[test]
fn a_signal_while_nothing_is_done_ends_it_and_leaves_a_state_without_a_log() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    service.says(0, "run 1 of default: ok");
    service.stop();
    assert!(!stage.home.state().join("rosterd.db-wal").exists(), "everything is written back");
}

#[test]
fn a_client_that_waits_gets_its_report_when_the_daemon_is_stopped() {
    let stage = stage();
    hire_many(&stage, 2);
    let mut service = Service::start(&stage.home);
    service.says(0, "run 1 of default: ok");
    let people = hire_many(&stage, PEOPLE);
    let gate = Gate::before(&stage, Fault::on(Peer::Scim).method("POST").nth(6));
    let client = stage.home.start(&["--reconcile-now", "--format", "json"]);
    gate.is_reached();
    service.signal(Signal::TERM);
    service.wait(0, "it is stopping", |words| words.contains("STOPPING=1"));
    gate.open();
    let ran = finish(client);
    assert_eq!(ran.sync()["result"], "interrupted", "{}", ran.all());
    assert_eq!(service.ended(), Some(0), "{}", service.log());
    assert!(logins(&stage).len() < people.len());
}
