//! Quarantine: told once, no slower than the schedule, over at the first success; refused credentials rest for a while,
//! and are tried at once where somebody did something about it.

use crate::service::{
    EVERY_SECOND, NEVER, Service, configure, configure_syncs, logins, run_rows, socket, stage, stays,
};
use crate::support::Stage;
use rosterd::sim::{Effect, Fault, Peer};
use rusqlite::Connection;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

/// Another token is valid now, and the daemon does not know it.
fn revoke(stage: &Stage) {
    stage.sim.okta(|okta| okta.api_token = "00another-token".to_owned());
}

/// The token of the daemon is valid again: no file has changed.
fn restore(stage: &Stage) {
    let token = std::fs::read_to_string(stage.home.path().join("okta.token")).unwrap();
    stage.sim.okta(|okta| okta.api_token = token);
}

/// Puts the valid tokens into the files of the daemon, and nothing else.
fn write_tokens(stage: &Stage) {
    let [okta, workspace] = [stage.sim.okta_token(), stage.sim.scim_token()];
    stage.home.secret("okta.token", &okta);
    stage.home.secret("workspace.token", &workspace);
}

/// A daemon whose first run was refused; the next would be due in a year.
fn refused(stage: &Stage) -> Service {
    stage.hire("Ann", "Engineer");
    revoke(stage);
    let service = Service::start(&stage.home);
    service.says(0, "run 1 of default: source_unavailable");
    service
}

#[track_caller]
fn has_recovered(stage: &Stage, service: &Service, trigger: &str) {
    let rows = service.has_run(2);
    assert_eq!((rows[1].trigger.as_str(), rows[1].result.as_deref()), (trigger, Some("ok")), "{rows:?}");
    assert_eq!(logins(stage), ["ann@acme.example"]);
    service.says(0, "run 2 of default: ok");
}

/// The refusals on record are made to be so many minutes older. The daemon must be stopped.
fn age_refusals(stage: &Stage, minutes: i64) {
    let database = Connection::open(stage.home.database()).unwrap();
    let aged = "UPDATE refused_credentials SET since = since - ?1, refused_at = refused_at - ?1";
    assert_eq!(database.execute(aged, [minutes * 60_000]).unwrap(), 1);
}

#[test]
fn refused_credentials_rest_whatever_asks_for_a_run_and_a_changed_secret_is_tried_at_once() {
    let stage = stage();
    configure(&stage, EVERY_SECOND);
    stage.hire("Ann", "Engineer");
    revoke(&stage);
    let service = Service::start(&stage.home);
    service.says(0, "run 1 of default: source_unavailable");
    // The schedule fires, and they rest.
    let seen = || (run_rows(&stage.home.state()).len(), stage.sim.requests(Peer::Okta).len());
    stays(std::time::Duration::from_secs(4), seen);
    assert_eq!(seen().0, 1);
    assert!(stage.sim.requests(Peer::Scim).is_empty());
    write_tokens(&stage);
    let from = service.mark();
    service.says(from, "of default: ok");
    assert_eq!(logins(&stage), ["ann@acme.example"]);
    service.stop();
}

#[test]
fn credentials_refused_in_two_runs_a_minute_apart_are_a_quarantine_and_one_refusal_is_none() {
    let stage = stage();
    let service = refused(&stage);
    assert!(!stage.run(&["status"]).stdout.contains("quarantine"));
    service.stop();
    age_refusals(&stage, 6);
    let service = Service::start(&stage.home);
    service.says(0, "run 2 of default: source_unavailable");
    stage.run(&["status"]).exits(1).says(&["quarantine"]);
    service.logs("in quarantine from now on", 1);
    service.stop();
}

#[test]
fn five_failed_runs_are_a_quarantine_that_changes_no_schedule_and_ends_at_the_first_success() {
    let stage = stage();
    configure(&stage, EVERY_SECOND);
    stage.hire("Ann", "Engineer");
    let words = Effect::edit(|reply| reply.body = b"no list".to_vec());
    stage.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(words));
    let service = Service::start(&stage.home);
    service.has_run(8);
    stage.run(&["status"]).exits(1).says(&["quarantine"]);
    stage.sim.faults().clear();
    let from = service.mark();
    service.says(from, "of default: ok");
    let log = service.log();
    assert_eq!(log.matches("in quarantine from now on").count(), 1, "{log}");
    // Each of them is an error with its reason and what to do.
    assert!(log.matches("ERROR").count() >= 8 && log.contains("run failed: "), "{log}");
    assert!(!stage.run(&["status"]).stdout.contains("quarantine"));
    service.stop();
}

#[test]
fn a_panic_in_a_run_ends_it_as_an_error_that_counts_like_any_other() {
    let stage = stage();
    configure(&stage, EVERY_SECOND);
    stage.hire("Ann", "Engineer");
    let file = stage.home.path().join("panic");
    std::fs::write(&file, "").unwrap();
    let mut command = stage.home.command(&["daemon"]);
    command.env("ROSTERD_SIM_PANIC_WHILE", &file);
    let service = Service::launch(&stage.home, command);
    let rows = service.has_run(6);
    assert!(rows[..6].iter().all(|row| row.result.as_deref() == Some("error")), "{rows:?}");
    let status = stage.run(&["status"]).exits(1);
    status.says(&["quarantine", "a defect of rosterd broke the run off: a defect that a test asked for"]);
    service.logs("run failed: a defect of rosterd broke the run off", 6);
    std::fs::remove_file(&file).unwrap();
    service.says(service.mark(), "of default: ok");
    assert_eq!(logins(&stage), ["ann@acme.example"]);
    service.stop();
}

#[test]
fn a_reload_ends_the_quarantine_at_once() {
    let stage = stage();
    let service = refused(&stage);
    restore(&stage);
    service.reload();
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

#[test]
fn a_restart_ends_the_quarantine_at_once() {
    let stage = stage();
    refused(&stage).stop();
    write_tokens(&stage);
    let service = Service::start(&stage.home);
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

#[test]
fn a_changed_token_ends_the_quarantine_without_anybody_asking() {
    let stage = stage();
    let mut command = stage.home.command(&["daemon"]);
    // The loop turns at least every half of it.
    command.env("WATCHDOG_USEC", "1000000");
    stage.hire("Ann", "Engineer");
    revoke(&stage);
    let service = Service::launch(&stage.home, command);
    service.says(0, "run 1 of default: source_unavailable");
    write_tokens(&stage);
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

#[test]
fn a_run_by_hand_is_tried_at_once_and_ends_the_quarantine() {
    let stage = stage();
    let service = refused(&stage);
    stage.run(&["--reconcile-now"]).exits(5);
    restore(&stage);
    stage.run(&["--reconcile-now"]).exits(0).says(&["1 created"]);
    assert_eq!(logins(&stage), ["ann@acme.example"]);
    service.stop();
}

#[test]
fn a_workspace_that_refuses_the_token_leads_there_too() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    stage.sim.scim(|scim| scim.token = "another-token".to_owned());
    let service = Service::start(&stage.home);
    service.says(0, "run 1 of default: target_unavailable");
    write_tokens(&stage);
    service.reload();
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

/// A receiver of notices that answers 200 to everything.
fn receiver() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut text, mut piece) = (String::new(), [0; 4096]);
            while !text.ends_with('}') {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => text.push_str(&String::from_utf8_lossy(&piece[..length])),
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if heard.send(text).is_err() {
                return;
            }
        }
    });
    (url, hears)
}

#[test]
fn somebody_is_told_once_and_once_more_when_it_is_over() {
    let stage = stage();
    let (url, hears) = receiver();
    let sync = format!("{}\n{EVERY_SECOND}", stage.sides());
    configure_syncs(&stage.home, &[&sync]);
    let path = stage.home.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let place = format!("socket = {:?}\n", socket(&stage.home));
    let notify = format!("{place}notify = {{ url = \"{url}\" }}\n");
    std::fs::write(&path, text.replace(&place, &notify)).unwrap();
    stage.hire("Ann", "Engineer");
    let words = Effect::edit(|reply| reply.body = b"no list".to_vec());
    stage.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(words));
    let service = Service::start(&stage.home);
    service.has_run(7);
    stage.sim.faults().clear();
    service.says(0, "of default: ok");
    service.stop();
    let notices: Vec<String> = hears.try_iter().collect();
    let count = |event: &str| {
        notices.iter().filter(|notice| notice.contains(&format!("\"event\":\"{event}\""))).count()
    };
    let counts = (count("failed"), count("quarantine"), count("recovered"), notices.len());
    assert_eq!(counts, (1, 1, 1, 3), "{notices:#?}");
}

#[test]
fn after_a_success_the_schedule_is_what_it_was() {
    let stage = stage();
    let service = refused(&stage);
    restore(&stage);
    stage.run(&["--reconcile-now"]).exits(0);
    let from = service.mark();
    configure(&stage, EVERY_SECOND);
    service.reload();
    service.has_run(4);
    configure(&stage, NEVER);
    service.reload();
    service.says(from, "of default: ok; next run at 2");
    service.stop();
}
